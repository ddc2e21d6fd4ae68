"""The stored runs of `benchmarks/studies/template.py`, as lesson 8 asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from privhead_nb.teach.results import frame, where

if TYPE_CHECKING:
    import pandas as pd

STARTS = (
    "the template itself",
    "stage 1, then 2",
    "longer stage 1, then 2",
    "mean template",
    "trained template",
    "template, stage 1, then 2",
    "sphere",
    "at once on the template",
    "at once on a sphere",
)
NEUTRAL = ("15", "10", "5", "2", "5 in a narrow arc")
USUAL = {"neutral": "10", "sensitive": 20, "size": 64}


def runs(**wanted: Any) -> pd.DataFrame:
    """Stored runs with these settings, a row each.

    What isn't named is as usual (10 + 20 views of 64 pixels), and None stands for any.
    """
    asked = {name: value for name, value in (USUAL | wanted).items() if value is not None}
    return where(frame("templates"), **asked)


def by_head(column: str, setting: str, **wanted: Any) -> pd.DataFrame:
    """A number of the runs, mean over seeds: a row each head, a column each value of a setting."""
    found = runs(**({setting: None} | wanted))
    return found.pivot_table(column, index="head", columns=setting)


def means(
    column: str, setting: str, options: Sequence[Any], **wanted: Any
) -> tuple[pd.Series[float], list[str]]:
    """Option -> mean over those heads that were run with every option; and these heads.

    Heads differ more than settings do, so a mean over other heads would say nothing.
    """
    found = by_head(column, setting, **wanted)[list(options)].dropna()
    return found.mean(), list(found.index)
