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

GUESSES = {
    "synthesis, learned decoder": (
        "the operator; portraits of others", "synthesis decoder", ("decoder", "modulus"),
    ),
    "synthesis, true generator": (
        "the operator, the cameras, how heads are made", "synthesis oracle",
        ("oracle", "rates", "modulus"),
    ),
    "diffusion, guided samples": (
        "the operator; portraits of others", "diffusion run", ("guided",),
    ),
}  # fmt: skip
"""Attacks that make a picture: what they know, the study, and where its judged guesses stand."""


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
        command: that measured it.
    """

    name: str
    knows: str
    alone: Interval
    together: Interval
    command: str


def attacks() -> list[Attack]:
    """All attacks of the lesson's last section, stored or not."""
    found = []
    for name, words in lab_runs.NAMES.items():
        card = lab_runs.card(DEFAULT, name) or {
            "knowledge": "the operator",
            "data": "portraits of others",
        }
        knows = f"{card['knowledge']}; {card['data']}"
        alone = lab_runs.rate(DEFAULT, name)._replace(n=lab_runs.people())
        together = lab_runs.rate(DEFAULT, name, taken="eight together")
        command = "python benchmarks/studies/picture_attacks.py"
        knows = "nothing" if knows == "none; none" else knows
        found.append(Attack(words, knows, alone, together, command))
    unknown = Interval(math.nan, why="not stored yet")
    for words, (knows, study, path) in GUESSES.items():
        file, part = study.split()
        command = f"python benchmarks/studies/{file}.py {part}"
        found.append(Attack(words, knows, _judged(file, path), unknown, command))
    stored = results.table("artefacts")
    worst = stored["heads"][DEFAULT]
    rate = results.rate(worst["worst_rank1"])._replace(n=len(worst["people"]))
    words = f"mesh or field: {worst['worst_attack']}"
    found.append(Attack(words, "scans or portraits of others", rate, unknown, stored["command"]))
    return found


def _judged(file: str, path: tuple[str, ...]) -> Interval:
    """The rank-1 of a study's guesses by the recogniser that names most of its n people."""
    found = results.table(file) if (RESULTS / f"{file}.json").is_file() else {}
    for step in path:
        found = found.get(step, {})
    if not found:
        return Interval(math.nan, why="not stored yet")
    judged = max(found["recognisers"].values(), key=lambda one: one["right"]["rank1"][0])
    return results.rate(judged["right"]["rank1"])._replace(n=int(judged["people"]))
