"""Lesson 6's stored pictures and runs: 24 made heads from the front, and what attacks reached.

`benchmarks/studies/inversion.py` made the heads, their guesses and the scores of these, and says
how; the other attacks are the lab's.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from safetensors.torch import load_file
from torch import Tensor

from privhead_nb.lab.settings import DEFAULT
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.images import resize_area
from privhead_nb.teach import lab_runs, results
from privhead_nb.teach.results import Interval

if TYPE_CHECKING:
    import pandas as pd


@cache
def front(size: int = 64) -> Tensor:
    """(24 people, 2 lights, size, size, 3) front pictures in [0, 1], float64."""
    stored = load_file(RESULTS / "faces.safetensors")["front"].numpy() / np.float32(255)
    small = [[resize_area(picture, size, size) for picture in lights] for lights in stored]
    return torch.from_numpy(np.array(small)).double()


def guess(setting: str, person: int) -> Tensor:
    """(size, size, 3) that the attack made of person 0 to 3 under a setting of the study."""
    stored = load_file(RESULTS / "inversion.safetensors")
    return stored[f"{setting}, {person}"].double() / 255


def explained() -> dict[str, pd.Series[float]]:
    """Setting -> how much of each person the attack's guesses explain, the mean over seeds."""
    runs = results.frame("inversion", "rows")
    scores = runs.groupby(["setting", "person"])["explained"].mean()
    return {name: scores[name] for name in runs["setting"].unique()}


def median(values: ArrayLike) -> Interval:
    """The median of people's scores with a 95 % interval, by drawing people with replacement."""
    from scipy import stats

    people, random = np.asarray(values, dtype=float), np.random.default_rng(6)
    found = stats.bootstrap((people,), np.median, n_resamples=4000, method="percentile", rng=random)
    low, high = found.confidence_interval
    return Interval(float(np.median(people)), float(low), float(high), len(people))


class Attack(NamedTuple):
    """One attack on releases of the paper's default.

    Attributes:
        name: in words.
        knows: apart from the release and a gallery of known people.
        alone: rank-1 of one picture, or of what the attack looks at, over n people.
        together: rank-1 of eight pictures of a person.
        fnmr: share of mated pairs missed at FMR 1e-3; not known for meshes.
    """

    name: str
    knows: str
    alone: Interval
    together: Interval
    fnmr: Interval


def attacks() -> list[Attack]:
    """The attacks that were run at the default: on pictures, and the strongest on a mesh."""
    found = []
    for name in lab_runs.attacks(DEFAULT):
        card = lab_runs.card(DEFAULT, name) or {}
        knows = "; ".join(words for key in ("knowledge", "data") if (words := card[key]) != "none")
        alone = lab_runs.rate(DEFAULT, name)._replace(n=lab_runs.people())
        together = lab_runs.rate(DEFAULT, name, taken="eight together")
        missed = lab_runs.fnmr(DEFAULT, name)
        found.append(Attack(lab_runs.NAMES[name], knows or "nothing", alone, together, missed))
    unknown = Interval(math.nan)
    found.append(Attack(*strongest_on_mesh(DEFAULT), unknown, unknown))
    return found


def strongest_on_mesh(setting: str) -> tuple[str, str, Interval]:
    """The attack on reconstructed meshes and fields that names most: name, knowledge, rank-1."""
    stored = results.table("artefacts")
    worst = stored["heads"][setting]
    name = worst["worst_attack"]
    rate = results.rate(worst["worst_rank1"])._replace(n=len(worst["people"]))
    return name, stored["attacks"]["shape"][name]["card"]["knowledge"], rate
