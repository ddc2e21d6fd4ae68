"""Lesson 6's stored pictures and runs: 24 made heads from the front, and what an attack made of 8.

`benchmarks/studies/inversion.py` made both, and says how.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from privhead_nb.lab.attacks.prior_free import interior
from privhead_nb.lab.attacks.scores import up_to_colours
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.images import resize_area

Row = dict[str, Any]


@cache
def front(size: int = 64) -> Tensor:
    """(24 people, 2 lights, size, size, 3) front pictures in [0, 1], float64."""
    stored = load_file(RESULTS / "faces.safetensors")["front"].numpy().astype(np.float32) / 255
    small = [[resize_area(picture, size, size) for picture in lights] for lights in stored]
    return torch.from_numpy(np.array(small)).double()


@cache
def runs() -> tuple[Row, ...]:
    """One row for each setting, person and seed: `residual`, `explained` and others."""
    return tuple(json.loads((RESULTS / "inversion.json").read_text())["rows"])


def guess(setting: str, person: int) -> Tensor:
    """(size, size, 3) that the attack made of person 0 to 3 under a setting of the study."""
    return load_file(RESULTS / "inversion.safetensors")[f"{setting}, {person}"].double() / 255


def settings() -> list[str]:
    """The study's settings, in its order."""
    return list(dict.fromkeys(row["setting"] for row in runs()))


def of_people(setting: str, key: str = "explained") -> NDArray[np.float64]:
    """(people,) a score of each person, the mean over seeds."""
    rows = [row for row in runs() if row["setting"] == setting]
    people = sorted({row["person"] for row in rows})
    return np.array([np.mean([r[key] for r in rows if r["person"] == p]) for p in people])


def interval(values: NDArray[np.float64], draws: int = 4000) -> tuple[float, float]:
    """A 95 % interval of the median, by drawing people with replacement."""
    random = np.random.default_rng(6)
    drawn = values[random.integers(len(values), size=(draws, len(values)))]
    low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
    return float(low), float(high)


def window(size: int = 48) -> Tensor:
    """(size, size) true in the middle of a face, brows to chin: no hair, outline or wall."""
    found = torch.zeros(size, size, dtype=torch.bool)
    rows, columns = (
        slice(round(a * size), round(b * size)) for a, b in ((5 / 12, 17 / 24), (3 / 8, 5 / 8))
    )
    found[rows, columns] = True
    return found


def two_tones(picture: Tensor, where: Tensor) -> Tensor:
    """A picture (H, W, 3) with two colours only, those that explain most of it: a cartoon.

    Pixels are cut along the direction in which their colours differ most, at the place that leaves
    the least sum of squares; each side gets its mean. Outside of `where` (H, W) the picture stays.
    """
    x = picture[where]
    axis = torch.linalg.svd(x - x.mean(0), full_matrices=False)[2][0]
    order = (x @ axis).argsort()
    n = torch.arange(1, len(x)).to(x)[:, None]
    low = x[order].cumsum(0)[:-1]
    high = x.sum(0) - low
    won = (low.square() / n + high.square() / (len(x) - n)).sum(1)
    cut = int(won.argmax()) + 1
    toned = x.clone()
    for half in (order[:cut], order[cut:]):
        toned[half] = x[half].mean(0)
    out = picture.clone()
    out[where] = toned
    return out


def of_others(truth: Tensor, people: Tensor, where: Tensor) -> NDArray[np.float64]:
    """How well each other picture explains this one, up to its colours: what chance looks like.

    Args:
        truth: (H, W, 3).
        people: (N, H, W, 3).
        where: (H, W) pixels that count.
    """
    return np.array([up_to_colours(other, truth, where).explained for other in people])


def cartoons() -> NDArray[np.float64]:
    """(8,) how much of each attacked head its own two-coloured cartoon explains."""
    heads, plain = front(48)[:8, 0], Operator()
    found = []
    for head in heads:
        where = interior(plain.modulus(head), plain)
        found.append(up_to_colours(two_tones(head, where), head, where).explained)
    return np.array(found)


def in_the_face(setting: str) -> NDArray[np.float64]:
    """(4,) how much a stored guess explains of the `window` alone, of people 0 to 3."""
    pairs = [(guess(setting, p), front(48)[p, 0]) for p in range(4)]
    return np.array([up_to_colours(g, truth, window()).explained for g, truth in pairs])


def best_strangers() -> NDArray[np.float64]:
    """(4,) the same of the one of 23 other people's pictures that explains most."""
    heads = front(48)[:, 0]
    rest = [torch.arange(len(heads)) != p for p in range(4)]
    return np.array([of_others(heads[p], heads[r], window()).max() for p, r in enumerate(rest)])


def nearest(probes: Tensor, gallery: Tensor) -> Tensor:
    """(N,) for each probe (N, ...) the number of the gallery's picture that differs least (L1)."""
    rows = (probe[None] - gallery for probe in probes)
    return torch.stack([row.abs().flatten(1).mean(1).argmin() for row in rows])
