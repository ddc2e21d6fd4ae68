"""Pictures of lesson 9: rates and their intervals, privacy beside utility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privhead_nb.lab.protocol import Rate, exact_interval
from privhead_nb.lab.settings import DEFAULT, SETTINGS
from privhead_nb.teach import lab_runs, results
from privhead_nb.teach.results import Interval
from privhead_nb.viz.style import (
    BLUE,
    LOOKS,
    VERMILLION,
    curves,
    dots,
    grid,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Three = tuple[float, float, float]
BESIDE: dict[str, Any] = {"fontsize": 8, "frameon": False, "loc": "outside right upper"}
"""Of a legend beside the axes."""


def rates(
    rows: Mapping[str, Mapping[str, Rate | Interval]],
    chance: float | None = None,
    *,
    label: str = "named rightly",
    paper: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Rates with their intervals: a row a name, a mark a series, the dashed line at chance.

    Args:
        rows: row -> series -> rate; what is not known is left out.
        chance: share of a guess.
        label: under the axis.
        paper: row -> shares printed elsewhere, drawn as grey crosses.
    """
    series = {name for found in rows.values() for name in found}
    height = 0.9 + len(rows) * (0.22 + 0.16 * len(series)) + 0.15 * len(series)
    figure, axes = grid(1, 1, width=8, height=height)
    shown = {
        name: {one: (rate.value, rate.low, rate.high) for one, rate in found.items()}
        for name, found in rows.items()
    }
    dots(axes[0][0], shown, chance=chance, extra=paper, extra_label="the paper's seven",
         xlabel=label)  # fmt: skip
    return figure


def two_of_31(successes: int = 2, trials: int = 31) -> Figure:
    """How both intervals come about: tails of the binomial, and distances in spreads."""
    from scipy.stats import binom, binomtest

    p = np.linspace(1e-4, 0.35, 700)
    tails = {
        f"{successes} or more": binom.sf(successes - 1, trials, p),
        f"{successes} or fewer": binom.cdf(successes, trials, p),
    }
    away = (p - successes / trials) / np.sqrt(p * (1 - p) / trials)
    figure, axes = grid(1, 2, width=9, height=3.2)
    exact, wilson = axes[0]
    exact.axhline(0.025, color="0.3", ls=":", label="2.5 %")
    curves(exact, p, tails, ylabel="probability", ylim=(0, 1))
    curves(wilson, p, {"": away}, ylabel=f"distance from {successes}/{trials} in spreads",
           ylim=(-4, 4))  # fmt: skip
    for z in (-1.96, 1.96):
        wilson.axhline(z, color="0.3", ls=":")
    ends = {
        "exact, no tail under 2.5 %": exact_interval(successes, trials),
        "Wilson, within 1.96 spreads": binomtest(successes, trials).proportion_ci(method="wilson"),
    }
    for ax, (name, (low, high)) in zip(axes[0], ends.items(), strict=True):
        ax.axvspan(low, high, color="0.9", zorder=0)
        ax.set_title(f"{name}: {100 * low:.1f} to {100 * high:.1f} %", fontsize=10)
        ax.axvline(successes / trials, color="black", lw=0.8, ls="--")
        ax.set(xlabel="true rate p", xlim=(0, 0.35))
    return figure


def held(truth: float, value: Floats, kinds: Mapping[str, Floats], shown: int = 40) -> Figure:
    """Intervals of the first of S studies; those that miss the truth stand out.

    Args:
        truth: the true rate.
        value: (S,) as measured.
        kinds: name -> (S, 2) low and high ends.
        shown: how many are drawn.
    """
    figure, axes = grid(1, len(kinds), width=9, height=3.6)
    for ax, (name, ends) in zip(axes[0], kinds.items(), strict=True):
        holds = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
        for hit, colour, dash, mark in ((True, BLUE, "-", "o"), (False, VERMILLION, ":", "X")):
            rows = np.flatnonzero(holds[:shown] == hit)
            ax.hlines(rows, *ends[rows].T, color=colour, ls=dash, lw=1.6)
            ax.plot(value[rows], rows, mark, color=colour, ms=4)
        ax.axvline(truth, color="black", lw=1)
        ax.set_title(f"{name}:\n{holds.mean():.0%} hold the truth", fontsize=10)
        ax.set(xlabel="rate", yticks=[], xlim=(0.15, 0.85))
    axes[0][0].set_ylabel(f"the first {shown} of {len(value)} studies")
    return figure


def crossed(ax: Axes, x: Three, y: Three, colour: str, mark: str, label: str = "") -> None:
    """A mark with its intervals both ways; x and y are (value, low, high)."""
    ax.hlines(y[0], x[1], x[2], color=colour)
    ax.vlines(x[0], y[1], y[2], color=colour)
    ax.plot(x[0], y[0], mark, color=colour, mec="black", ms=8, label=label)


def privacy_beside_utility() -> Figure:
    """Who is named, by one picture and by eight, over what a setting costs the shape.

    A star is the strongest attack on what is made of the setting: its mesh and renders.
    """
    curve, made = results.table("curve"), results.table("artefacts")["heads"]
    figure, axes = grid(1, 2, width=9.5, height=3.8)
    for ax, title in zip(axes[0], lab_runs.TAKEN, strict=True):
        for (name, point), (colour, mark, _) in zip(curve["settings"].items(), LOOKS, strict=False):
            shape = point["chamfer_mm"]
            if name not in SETTINGS:  # full RGB: no attack, and the best that its shape can be
                ax.axvspan(*shape[1:], color="0.92", zorder=0)
                ax.axvline(shape[0], color="0.4", ls=":", label=f"{name}: not protected")
            else:
                best = " (the paper's default)" if name == DEFAULT else ""
                leak = lab_runs.rate(name, lab_runs.WORST, taken=title)
                crossed(ax, shape, leak[:3], colour, mark, name + best)
                if name in made:
                    height = made[name]["worst_rank1"][0]
                    ax.plot(shape[0], height, "*", color=colour, mec="black", ms=13)
        ax.set(xlabel="reconstructed shape: mm from the truth", ylim=(0, 1.03), xlim=(0, None))
        ax.set_title(f"{title}; star: its mesh", fontsize=10)
    axes[0][0].set_ylabel("named rightly")
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, **BESIDE | {"loc": "outside lower center", "ncols": 4})
    return figure
