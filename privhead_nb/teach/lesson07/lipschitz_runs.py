"""The stored runs of benchmarks/studies/lipschitz.py: pairs, intervals, and how many it takes.

All arms of a head and seed start from one stage 1, so an arm is compared with another by pairs: the
difference within each pair is free of what makes heads and stages 1 differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb import resources
from privhead_nb.field.lipschitz import (
    Seen,
    composed_bound,
    jacobians,
    local_constants,
    row_sums,
    seen_from,
    spectral_bound,
)
from privhead_nb.field.model import HeadModel
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.scenes.camera import Cameras
from privhead_nb.training.reconstruction import Reconstruction

RESULTS = resources.RESULTS / "lipschitz.json"
STEPS = 400  # of the study's main part
PAPER = ((0.7753, 0.6998), (0.8347, 0.7664))
"""The paper's two heads: Chamfer x 1e-3 without and with the term (its figure 4)."""
CONFIDENCE = 0.95
LEVEL = 0.05  # of a two-sided test

PLACES = 4096  # of a surface, where a network's slope is sampled

Run = dict[str, Any]
Sphere = tuple[tuple[float, float, float], float]


@dataclass(frozen=True)
class Arm:
    """What a stage 2 starts with; see the study's first lines.

    Args:
        slack: "none"; "again", the same with other pixels drawn; "shipped"; or bounds as a multiple
            of the largest row sums.
        weight: of eq. 8; "log 0.01" stands for the sum of logarithms.
        bare: without Laplacian and smoothness.
        steps: of stage 2.
    """

    slack: str
    weight: float | str
    bare: bool = False
    steps: int = STEPS

    @property
    def label(self) -> str:
        """As pictures name it."""
        name = {
            "none": "no bound",
            "again": "no bound, drawn anew",
            "shipped": "as shipped",
            "1.0": "bound at the row sums",
            "0.5": "bound at 1/2",
            "0.25": "bound at 1/4",
        }[self.slack]
        return name + (", bare" if self.bare else "")


NONE, AGAIN, SHIPPED = Arm("none", 0.0), Arm("again", 0.0), Arm("shipped", 3e-6)
TIGHT, HALF, QUARTER = Arm("1.0", 3e-6), Arm("0.5", 1e-2), Arm("0.25", 1e-2)
ARMS = (NONE, AGAIN, SHIPPED, TIGHT, HALF, QUARTER)

# What a run measures: its name -> its unit, and where it stands.
MEASURES = {
    "distance": ("mm", ("final", "distance_mean")),
    "normals": ("degrees", ("final", "normal_median_deg")),
    "gradient loss": ("", ("gradient_loss",)),
    "network's steepness": ("", ("constants", "true_max")),
    "slope of the features": ("", ("constants", "feature_slope")),
    "slope of the paint": ("", ("constants", "painted_slope")),
}


@cache
def _file() -> dict[str, Run]:
    found: dict[str, Run] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return found


def stored() -> list[Run]:
    """All stored runs, in the order in which they were made."""
    return list(_file().values())


def of_arm(arm: Arm, runs: Sequence[Run] | None = None) -> dict[tuple[int, int], Run]:
    """An arm's runs by (head, seed), in order."""
    wanted = (arm.slack, arm.weight, arm.bare, arm.steps)
    found = {
        (r["head"], r["seed"]): r
        for r in (stored() if runs is None else runs)
        if (r["slack"], r["weight"], r["bare"], r["steps"]) == wanted
    }
    return dict(sorted(found.items()))


def present() -> list[Arm]:
    """Of `ARMS` those that have runs in the main part."""
    return [arm for arm in ARMS if of_arm(arm)]


def value(run: Run, measure: str) -> float:
    """One of `MEASURES` of a run."""
    found: Any = run
    for name in MEASURES[measure][1]:
        found = found[name]
    return float(found)


def product(values: Sequence[float]) -> float:
    """Of bounds (eq. 8) or norms."""
    return math.prod(values)


def met(run: Run) -> list[int]:
    """At how many of a run's looks a row had met its bound, layer by layer.

    A row that meets it is scaled down to it, so that both are equal up to rounding.
    """
    bounds, sums = (np.array(run["watched"][name]) for name in ("bounds", "row_sums"))
    found: list[int] = (sums >= 0.9999 * bounds).sum(axis=0).tolist()
    return found


def pairs(arm: Arm, against: Arm = NONE) -> list[tuple[Run, Run]]:
    """(arm's run, the other's) of every head and seed that both arms have."""
    ours, theirs = of_arm(arm), of_arm(against)
    return [(ours[who], theirs[who]) for who in ours if who in theirs]


def relative(arm: Arm, measure: str = "distance", against: Arm = NONE) -> NDArray[np.float64]:
    """(arm - other) / other of every pair, in percent, (n,): negative where the arm is lower."""
    found = [(value(a, measure), value(b, measure)) for a, b in pairs(arm, against)]
    return np.array([100 * (a / b - 1) for a, b in found])


def by_head(arm: Arm, measure: str = "distance", against: Arm = NONE) -> NDArray[np.float64]:
    """`relative`, but one number a head: the mean over its seeds, in the order of heads."""
    heads = np.array([run["head"] for run, _ in pairs(arm, against)])
    changes = relative(arm, measure, against)
    return np.array([changes[heads == head].mean() for head in np.unique(heads)])


def paper_relative() -> NDArray[np.float64]:
    """The same of the paper's two heads, (2,)."""
    return np.array([100 * (a / b - 1) for b, a in PAPER])


@dataclass(frozen=True)
class Interval:
    """A mean and where the true one may lie.

    Attributes:
        mean, low, high: of the differences.
        count: how many there were.
    """

    mean: float
    low: float
    high: float
    count: int

    def holds(self, number: float) -> bool:
        """Whether a number lies between the ends."""
        return self.low <= number <= self.high


def t_interval(differences: NDArray[np.float64], confidence: float = CONFIDENCE) -> Interval:
    """Student's interval of the mean, mean +- t s / sqrt(n), for n of 2 or more."""
    from scipy import stats

    n, mean = len(differences), float(np.mean(differences))
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n)
    spread = float(np.std(differences, ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * spread
    return Interval(mean, mean - half, mean + half, n)


def bootstrap_interval(
    without: NDArray[np.float64], with_it: NDArray[np.float64], draws: NDArray[np.int64]
) -> tuple[float, float, float]:
    """Mean relative difference of pairs and its bootstrap interval, in percent.

    Args:
        without, with_it: (n,), a pair at each place.
        draws: (B, n), which pairs each of B resamplings takes.

    Returns:
        Mean of with / without - 1, and the percentiles 2.5 and 97.5 of the resampled means.
    """
    differences = 100 * (np.asarray(with_it, float) / np.asarray(without, float) - 1)
    low, high = np.percentile(differences[draws].mean(axis=1), [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)


def power(effect: float, spread: float, pairs: int, level: float = LEVEL) -> float:
    """How often a two-sided paired t test finds a true mean difference.

    With n pairs whose differences have standard deviation s, the test's t has a noncentral t
    distribution with n - 1 degrees of freedom and noncentrality effect sqrt(n) / s.

    Args:
        effect: true mean difference.
        spread: standard deviation of the differences, in the same unit.
        pairs: n, 2 or more.
        level: of the test.
    """
    from scipy import stats

    center = abs(effect) * math.sqrt(pairs) / spread
    critical = stats.t.ppf(1 - level / 2, pairs - 1)
    above = float(stats.nct.sf(critical, pairs - 1, center))
    below = float(stats.nct.cdf(-critical, pairs - 1, center))  # wrong sign; nan where it is 0
    return above + (0.0 if math.isnan(below) else below)


def pairs_needed(effect: float, spread: float, wanted: float = 0.8, level: float = LEVEL) -> int:
    """Smallest number of pairs, 2 or more, at which `power` reaches what is wanted."""
    count = 2
    while power(effect, spread, count, level) < wanted:
        count += 1
    return count


def seen_on(
    model: HeadModel, mesh: Mesh, sphere: Sphere, cameras: Cameras, count: int = PLACES
) -> Seen:
    """What the colour network is asked at vertices drawn from a mesh, one camera for each.

    Args:
        model: whose network and field.
        mesh: its surface, scene unit.
        sphere: centre and radius that unit-sphere coordinates refer to.
        cameras: of the scene.
        count: vertices; those that face no camera are left out.
    """
    center, radius = torch.tensor(sphere[0]), sphere[1]
    drawn = torch.randint(len(mesh.vertices), (count,), generator=torch.Generator().manual_seed(0))
    points = (torch.as_tensor(mesh.vertices).float()[drawn] - center) / radius
    return seen_from(model, points, (cameras.c2w[:, :3, 3].float() - center) / radius)


def ladder(result: Reconstruction, cameras: Cameras) -> dict[str, float]:
    """Bounds of a finished head's colour network from loose to tight; the last one was found.

    Args:
        result: the head.
        cameras: that its surface is looked at from.
    """
    network = result.model.colour
    seen = seen_on(result.model, result.mesh, (result.center, result.radius), cameras)
    steep = jacobians(network, seen.points, seen.normals, seen.views, seen.features)
    rungs = {
        "equation 8": network.bounds().prod(),
        "and activations": composed_bound(network, network.bounds()),
        "by row sums": composed_bound(network, row_sums(network)),
        "by singular values": spectral_bound(network),
        "steepest found": local_constants(steep).max(),
    }
    return {name: float(number.detach()) for name, number in rungs.items()}


def adam_travel(rate: float, decay: float, steps: int) -> float:
    """How far Adam carries a number whose gradient never changes its sign.

    Each of its steps then is as long as the learning rate, whatever the gradient's size; the rate
    falls geometrically to `decay` of itself, as `training/run.py` lets it.
    """
    last = max(steps - 1, 1)
    return float(sum(rate * decay ** (step / last) for step in range(steps)))
