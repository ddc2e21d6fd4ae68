"""The stored runs of benchmarks/studies/lipschitz.py: arms in pairs, and how many it takes.

All arms of a head and seed start from one stage 1, so an arm is compared with another by pairs: the
difference within each pair is free of what makes heads and stages 1 differ.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from privhead_nb.teach.results import frame, pairs, where

if TYPE_CHECKING:
    import pandas as pd

STEPS = 400  # of the study's main part
PAPER = ((0.7753, 0.6998), (0.8347, 0.7664))
"""The paper's two heads: Chamfer x 1e-3 without and with the term (its figure 4)."""
PAPER_CHANGES = np.array([100 * (after / before - 1) for before, after in PAPER])

# What a run measures: its name -> its unit, and its column.
MEASURES = {
    "distance": ("mm", "final.distance_mean"),
    "normals": ("degrees", "final.normal_median_deg"),
    "gradient loss": ("", "gradient_loss"),
    "network's steepness": ("", "constants.true_max"),
    "slope of the features": ("", "constants.feature_slope"),
    "slope of the colour": ("", "constants.painted_slope"),
}
LABELS = {
    "none": "no bound",
    "again": "no bound, drawn anew",
    "shipped": "as shipped",
    "1.0": "bound at the row sums",
    "0.5": "bound at 1/2",
    "0.25": "bound at 1/4",
}


@dataclass(frozen=True)
class Arm:
    """What a stage 2 starts with; see the study's first lines.

    Args:
        slack: "none"; "again", the same with other pixels drawn; "shipped"; or bounds as a multiple
            of the largest row sums.
        weight: of eq. 8; "log 0.01" stands for the sum of logarithms.
        bare: without the Laplacian, and without the smoothness of normals of that day.
        steps: of stage 2.
    """

    slack: str
    weight: float | str
    bare: bool = False
    steps: int = STEPS

    @property
    def label(self) -> str:
        """As pictures name it."""
        return LABELS[self.slack] + (", bare" if self.bare else "")


NONE, AGAIN, SHIPPED = Arm("none", 0.0), Arm("again", 0.0), Arm("shipped", 3e-6)
TIGHT, HALF, QUARTER = Arm("1.0", 3e-6), Arm("0.5", 1e-2), Arm("0.25", 1e-2)
ARMS = (NONE, AGAIN, SHIPPED, TIGHT, HALF, QUARTER)


@cache
def stored() -> pd.DataFrame:
    """All runs, a row each, in the order in which they were made."""
    return frame("lipschitz")


def of_arm(arm: Arm) -> pd.DataFrame:
    """An arm's runs, sorted by head and seed."""
    return where(stored(), **asdict(arm)).sort_values(["head", "seed"])


def in_pairs(arm: Arm, measure: str = "distance", against: Arm = NONE) -> pd.DataFrame:
    """One of `MEASURES` of every head and seed that both arms have: columns "one" and "other"."""
    return pairs(of_arm(arm), of_arm(against), MEASURES[measure][1])


def changes(arm: Arm, measure: str = "distance", against: Arm = NONE) -> pd.Series[float]:
    """(arm - other) / other of every pair, in percent, by head and seed; negative where lower."""
    both = in_pairs(arm, measure, against)
    return 100 * (both.one / both.other - 1)


def times_met(run: pd.Series) -> list[int]:
    """At how many of a run's looks a row had met its bound, layer by layer.

    A row that meets it is scaled down to it, so that both are equal up to rounding.
    """
    bounds, sums = np.array(run["watched.bounds"]), np.array(run["watched.row_sums"])
    found: list[int] = (sums >= 0.9999 * bounds).sum(axis=0).tolist()
    return found


def power(effect: float, spread: float, count: int, level: float = 0.05) -> float:
    """How often a two-sided paired t test finds a true mean difference.

    With n pairs whose differences have standard deviation s, the test's t has a noncentral t
    distribution with n - 1 degrees of freedom and noncentrality effect sqrt(n) / s.

    Args:
        effect: true mean difference.
        spread: standard deviation of the differences, in the same unit.
        count: of pairs, n, 2 or more.
        level: of the test.
    """
    from scipy import stats

    center = abs(effect) * math.sqrt(count) / spread
    critical = stats.t.ppf(1 - level / 2, count - 1)
    above = float(stats.nct.sf(critical, count - 1, center))
    below = float(stats.nct.cdf(-critical, count - 1, center))  # wrong sign; nan where it is 0
    return above + (0.0 if math.isnan(below) else below)


def pairs_needed(effect: float, spread: float, wanted: float = 0.8, level: float = 0.05) -> int:
    """Smallest number of pairs, 2 or more, at which `power` reaches what is wanted."""
    count = 2
    while power(effect, spread, count, level) < wanted:
        count += 1
    return count
