"""Lesson 6's stored pictures and runs: 24 made heads from the front, and what an attack made of 8.

`benchmarks/inversion_study.py` made both, and says how.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from privhead_nb.lab.attacks.scores import up_to_colours
from privhead_nb.scenes.images import resize_area

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
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


def of_others(truth: Tensor, people: Tensor, where: Tensor) -> NDArray[np.float64]:
    """How well each other picture explains this one, up to its colours: what chance looks like.

    Args:
        truth: (H, W, 3).
        people: (N, H, W, 3).
        where: (H, W) pixels that count.
    """
    return np.array([up_to_colours(other, truth, where).explained for other in people])


def nearest(probes: Tensor, gallery: Tensor) -> Tensor:
    """(N,) for each probe (N, ...) the number of the gallery's picture that differs least (L1)."""
    rows = (probe[None] - gallery for probe in probes)
    return torch.stack([row.abs().flatten(1).mean(1).argmin() for row in rows])
