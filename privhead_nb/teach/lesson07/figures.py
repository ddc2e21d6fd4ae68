"""Figures of lesson 7: bounds that never bind, and arms in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from privhead_nb.teach.lesson07 import runs
from privhead_nb.teach.results import Interval
from privhead_nb.viz.style import BLUE, GREEN, ORANGE, PURPLE, VERMILLION, curves, dots, grid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

# Every arm has its own colour and mark, so that neither alone tells them apart; and a short name.
ARMS = {
    "none": (VERMILLION, "v", "no\nbound"),
    "again": ("0.35", "P", "drawn\nanew"),
    "shipped": (PURPLE, "s", "as\nshipped"),
    "1.0": (ORANGE, "D", "row\nsums"),
    "0.5": (GREEN, "^", "1/2"),
    "0.25": (BLUE, "o", "1/4"),
}


def race(run: pd.Series) -> Figure:
    """Bounds and largest row sums of the three layers during a stage 2."""
    bounds, sums = np.array(run["watched.bounds"]), np.array(run["watched.row_sums"])
    figure, (axes,) = grid(1, 3, width=10, height=2.9, sharey=True)
    looks = ((VERMILLION, "", "--"), (BLUE, "o", "-"))
    for layer, ax in enumerate(axes):
        both = {"bound softplus(m)": bounds[:, layer], "largest row sum": sums[:, layer]}
        ax.fill_between(run["watched.step"], bounds[:, layer], sums[:, layer], color="0.9")
        curves(ax, run["watched.step"], both, marks=True, looks=looks, legend=layer == 0,
               title=f"layer {layer + 1}", xlabel="step of stage 2")  # fmt: skip
    axes[0].set_ylim(0, 1.15 * bounds.max())
    return figure


def forest(rows: Mapping[str, tuple[ArrayLike, Interval]]) -> Figure:
    """Paired differences: a cross a pair, the mean and its interval, and the paper's 9 %.

    Args:
        rows: name -> (differences in percent, their interval).
    """
    figure, ((ax,),) = grid(1, 1, width=9.5, height=1.2 + 0.62 * len(rows))
    named = {f"{name}\n{found.n} pairs": (some, found) for name, (some, found) in rows.items()}
    dots(ax, {name: {"mean, 95 %": found} for name, (_, found) in named.items()}, percent=False,
         extra={name: list(np.asarray(some)) for name, (some, _) in named.items()},
         extra_label="a pair", xlabel="distance against the same head and seed without a bound, "
         "percent")  # fmt: skip
    ax.axvline(0, color="0.4", lw=1)
    ax.axvline(-9, color=VERMILLION, lw=1.2, ls=":")
    ax.set_title("dotted: the paper's mean, -9 %", fontsize=9, color=VERMILLION)
    return figure


def where_lines_come_from() -> Figure:
    """Every run: how steep its network is, against its features, its colour and its geometry."""
    figure, (axes,) = grid(1, 3, width=11, height=3.2)
    measures = ("slope of the features", "slope of the colour", "distance")
    for ax, measure in zip(axes, measures, strict=True):
        unit, column = runs.MEASURES[measure]
        for arm in runs.ARMS:
            colour, mark, _ = ARMS[arm.slack]
            found = runs.of_arm(arm)
            ax.plot(found["constants.true_max"], found[column], mark, color=colour, mec="black",
                    mew=0.4, ms=7, label=arm.label)  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks([0.2, 0.5, 1.0], ["0.2", "0.5", "1"])
        ax.minorticks_off()
        ax.set(xlabel="steepness of the colour network", ylim=(0, 1.08 * ax.dataLim.y1))
        ax.set_title(measure + (f" ({unit})" if unit else ""), fontsize=10)
    axes[2].legend(frameon=False, fontsize=8, loc="lower right")
    return figure
