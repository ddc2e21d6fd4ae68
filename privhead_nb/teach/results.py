"""Stored results of the studies as tables: `RESULTS/<name>.json`, read with pandas.

runs = frame("reconstruction")                     a row a run, nested names joined by dots
rows = frame("inversion", "rows")                  the list that stands under "rows"
both = pairs(where(runs, method="two-stage"), where(runs, method="full-rgb"),
             "final.distance_mean")                index (head, seed), columns one and other
interval(both.one - both.other)                    mean, low, high, n
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from privhead_nb.errors import PrivheadError
from privhead_nb.lab.intervals import percent
from privhead_nb.resources import RESULTS

if TYPE_CHECKING:
    import pandas as pd

SAME_RUN = ("head", "seed")


class Interval(NamedTuple):
    """A mean, median or rate with its 95 % interval: a tuple; NaN where it is not known.

    Attributes:
        value, low, high: the estimate and the ends.
        n: how many numbers stand behind it; 0 where the study did not store it.
        why: the reason where there is no value.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    why: str = ""

    @property
    def known(self) -> bool:
        """There is a value."""
        return not math.isnan(self.value)

    def holds(self, number: float) -> bool:
        """Whether a number lies between the ends."""
        return self.low <= number <= self.high

    def percent(self) -> str:
        """A rate for a reader, "52 % (48 to 57)"; or why it is not known."""
        if not self.known:
            return f"not known: {self.why}"
        return percent(self.value, self.low, self.high)


@cache
def table(name: str) -> Any:
    """What `RESULTS/<name>.json` holds. It is read once: don't change it.

    Raises:
        PrivheadError: there is no such file.
    """
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise PrivheadError(
            f"there is no {path.name} in benchmarks/results",
            remedy="Run the study that writes it (CONTRIBUTING.md), or install the package again.",
        )
    return json.loads(path.read_text(encoding="utf-8"))


def frame(name: str, *path: str) -> pd.DataFrame:
    """The runs of a stored study, a row each.

    Args:
        name: of the file, without ".json".
        path: names to go down to the runs, such as "rows"; the runs are a list, or the values of a
            dictionary, whose names become the column "key".

    Returns:
        A table of its own; {"final": {"face_mm": 1.9}} is the column "final.face_mm".
    """
    import pandas as pd

    runs = table(name)
    for step in path:
        runs = runs[step]
    if isinstance(runs, dict):
        runs = [{"key": key, **run} for key, run in runs.items()]
    return pd.json_normalize(runs)


def where(runs: pd.DataFrame, **settings: Any) -> pd.DataFrame:
    """The rows whose columns have these values."""
    for column, wanted in settings.items():
        runs = runs[runs[column] == wanted]
    return runs


def pairs(
    one: pd.DataFrame, other: pd.DataFrame, column: str, by: Sequence[str] = SAME_RUN
) -> pd.DataFrame:
    """A column of two sets of runs side by side, where both have a run of the same head and seed.

    Returns:
        Columns "one" and "other", sorted by the index `by`.
    """
    import pandas as pd

    keys = list(by)
    columns = [runs.set_index(keys)[column] for runs in (one, other)]
    return pd.concat(columns, axis=1, join="inner", keys=["one", "other"]).sort_index()


def interval(values: ArrayLike, confidence: float = 0.95) -> Interval:
    """The mean of some numbers with Student's interval, infinitely wide for a single number."""
    from scipy import stats

    numbers = np.asarray(values, dtype=float)
    mean, n = float(numbers.mean()), len(numbers)
    if n < 2:
        return Interval(mean, -math.inf, math.inf, n)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * stats.sem(numbers))
    return Interval(mean, mean - half, mean + half, n)


def rate(stored: Any) -> Interval:
    """A rate as the lab's studies write it: [value, low, high], {"why": ...}, or words."""
    if isinstance(stored, list) and len(stored) == 3:
        value, low, high = (math.nan if v is None else float(v) for v in stored)
        return Interval(value, low, high)
    why = stored.get("why", "") if isinstance(stored, dict) else str(stored)
    return Interval(math.nan, why=why)
