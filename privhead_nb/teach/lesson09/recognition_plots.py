"""Pictures of lesson 9: portraits, similarities, errors and intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privhead_nb.lab.comparison import Comparison
from privhead_nb.lab.intervals import exact_interval, wilson_interval
from privhead_nb.teach.lab_runs import Spot, Stored
from privhead_nb.teach.lesson09.repeated_studies import Repeated
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILLION, modulus_picture
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MATED, OTHER = BLUE, VERMILLION
LOOKS = ((BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"), ("0.3", "P"))
"""Colour and mark, so that neither alone has to tell two apart."""


def portraits(rows: ArrayLike, names: Sequence[str]) -> Figure:
    """People (R, 5, H, H, 3): the gallery's picture on the left, probes on the right.

    Args:
        rows: pictures in [0, 1].
        names: of the rows.
    """
    pictures = np.asarray(rows)
    figure, axes = grid(*pictures.shape[:2], width=7.0)
    for line, row, name in zip(axes, pictures, names, strict=True):
        for place, (ax, picture) in enumerate(zip(line, row, strict=True)):
            _tile(ax, picture)
            if place == 0:
                ax.set_ylabel(name, fontsize=9)
    axes[0][0].set_title("gallery", fontsize=10)
    axes[0][3].set_title("probes", fontsize=10, loc="left")
    return figure


def drawings(rows: Mapping[str, ArrayLike]) -> Figure:
    """Rows of pictures (K, H, H, 3) or of moduli (K, H, H), which are drawn dark on white."""
    count = len(np.asarray(next(iter(rows.values()))))
    figure, axes = grid(len(rows), count, width=1.4 * count + 0.4)
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for place, (ax, picture) in enumerate(zip(line, np.asarray(pictures), strict=True)):
            shown = picture if picture.ndim == 3 else modulus_picture(np.sqrt(picture))
            _tile(ax, shown)
            if place == 0:
                ax.set_ylabel(name, fontsize=9)
    return figure


def _tile(ax: Axes, picture: NDArray[Any]) -> None:
    ax.imshow(np.clip(picture, 0, 1), interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def similarities(found: Mapping[str, tuple[Comparison, float]]) -> Figure:
    """Cosines of mated and non-mated pairs, a panel for each recogniser and its threshold."""
    figure, axes = grid(1, len(found), width=4.2 * len(found), height=2.9)
    bins = np.linspace(-1, 1, 61).tolist()
    for ax, (name, (pairs, threshold)) in zip(axes[0], found.items(), strict=True):
        usual = {"bins": bins, "density": True}
        other, own = pairs.similarity[~pairs.mated], pairs.similarity[pairs.mated]
        ax.hist(other, color=OTHER, alpha=0.35, label=f"non-mated, {other.size}", **usual)
        ax.hist(own, histtype="step", color=MATED, lw=2, label=f"mated, {own.size}", **usual)
        ax.axvline(threshold, color="black", ls="--", lw=1.2, label="threshold, FMR 1 %")
        ax.set_title(name, fontsize=10)
        ax.set(xlabel="cosine similarity", yticks=[], xlim=(-0.8, 1))
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.set_ylim(top=1.45 * ax.get_ylim()[1])
        ax.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def dots(
    rows: Mapping[str, Mapping[str, Stored]],
    chance: float | None = None,
    *,
    label: str = "named rightly",
    width: float = 8.0,
    paper: Mapping[str, Sequence[float]] | None = None,
) -> Figure:
    """Rates with their intervals: a row a name, a mark a series, the dashed line at chance.

    Args:
        rows: row -> series -> rate; what is not known is left out.
        chance: share of a guess.
        label: under the axis.
        width: inches.
        paper: row -> shares printed elsewhere, drawn as grey crosses.
    """
    if not rows:
        return not_yet("see the line above")
    series = list(dict.fromkeys(name for one in rows.values() for name in one))
    height = 0.9 + len(rows) * (0.22 + 0.16 * len(series)) + 0.15 * len(series)
    figure, axes = grid(1, 1, width=width, height=height)
    ax = axes[0][0]
    step = 0.72 / max(len(series), 1)
    for row, (name, found) in enumerate(rows.items()):
        for k, one in enumerate(series):
            rate = found.get(one)
            colour, mark = LOOKS[k % len(LOOKS)]
            if rate is not None and rate.known:
                y = row + step * (k - (len(series) - 1) / 2)
                ax.hlines(y, rate.low, rate.high, color=colour, lw=1.8)
                ax.plot(rate.value, y, mark, color=colour, mec="black", mew=0.5, ms=6)
        for share in (paper or {}).get(name, ()):
            ax.plot(share, row, "x", color="0.45", ms=6, mew=1.5)
    for k, one in enumerate(series):
        colour, mark = LOOKS[k % len(LOOKS)]
        ax.plot([], [], mark, ls="-", color=colour, mec="black", mew=0.5, label=one)
    if paper:
        ax.plot([], [], "x", color="0.45", mew=1.5, label="the paper's seven")
    if chance is not None:
        ax.axvline(chance, color="0.3", ls="--", lw=1, label="chance")
    ax.set_yticks(range(len(rows)), list(rows), fontsize=9)
    ax.set(xlim=(-0.02, 1.02), ylim=(len(rows) - 0.5, -0.5))
    ax.set_xlabel(label, fontsize=9)
    ax.set_xticks(np.linspace(0, 1, 6), [f"{v} %" for v in range(0, 101, 20)], fontsize=8)
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
    if len(series) > 1 or chance is not None or paper:
        figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    return figure


def not_yet(command: str) -> Figure:
    """In place of a picture whose numbers are not stored yet."""
    figure, axes = grid(1, 1, width=6, height=0.8)
    axes[0][0].set_axis_off()
    axes[0][0].text(0.5, 0.5, f"not stored yet: {command}", ha="center", va="center")
    return figure


def galleries(sizes: Sequence[int], rates: Mapping[str, Sequence[float]]) -> Figure:
    """Rank-1 over the size of the gallery, and what a guess gets."""
    figure, axes = grid(1, 1, width=6.4, height=3.0)
    ax = axes[0][0]
    for (name, values), (colour, mark) in zip(rates.items(), LOOKS, strict=False):
        ax.plot(sizes, values, marker=mark, color=colour, label=name)
    ax.plot(sizes, [1 / n for n in sizes], color="0.3", ls="--", label="chance")
    ax.set(xlabel="people in the gallery", ylabel="named rightly", ylim=(0, 1.05), xscale="log")
    ax.set_xticks(list(sizes), [str(n) for n in sizes])
    ax.minorticks_off()
    ax.grid(color="0.92")
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    return figure


def two_of_31(successes: int = 2, trials: int = 31) -> Figure:
    """How both intervals come about: tails of the binomial, and distances in spreads."""
    from scipy.stats import binom

    p = np.linspace(1e-4, 0.35, 700)
    figure, axes = grid(1, 2, width=9, height=3.2)
    exact, wilson = axes[0]
    exact.plot(p, binom.sf(successes - 1, trials, p), color=BLUE, label=f"{successes} or more")
    exact.plot(
        p, binom.cdf(successes, trials, p), color=VERMILLION, ls="-.", label=f"{successes} or fewer"
    )
    exact.axhline(0.025, color="0.3", ls=":", label="2.5 %")
    exact.set(ylabel="probability", ylim=(0, 1))
    away = (p - successes / trials) / np.sqrt(p * (1 - p) / trials)
    wilson.plot(p, away, color=GREEN, label=f"distance from {successes}/{trials} in spreads")
    for z in (-1.96, 1.96):
        wilson.axhline(z, color="0.3", ls=":")
    wilson.set(ylim=(-4, 4))
    ends = {
        "exact, no tail under 2.5 %": exact_interval(successes, trials),
        "Wilson, within 1.96 spreads": wilson_interval(successes, trials),
    }
    for ax, (name, (low, high)) in zip(axes[0], ends.items(), strict=True):
        ax.axvspan(low, high, color="0.9", zorder=0)
        ax.set_title(f"{name}: {100 * low:.1f} to {100 * high:.1f} %", fontsize=10)
        ax.axvline(successes / trials, color="black", lw=0.8, ls="--")
        ax.set(xlabel="true rate p", xlim=(0, 0.35))
        ax.legend(fontsize=8, frameon=False)
    return figure


def held(found: Repeated, shown: int = 40) -> Figure:
    """Intervals of the first studies, by pictures and by people; those that miss stand out."""
    figure, axes = grid(1, 2, width=9, height=3.6)
    kinds = {"pictures counted as independent": found.by_picture, "people drawn": found.by_person}
    for ax, (name, ends) in zip(axes[0], kinds.items(), strict=True):
        for row in range(shown):
            low, high = ends[row]
            holds = low <= found.truth <= high
            colour, dash = (BLUE, "-") if holds else (VERMILLION, (0, (2, 1)))
            ax.hlines(row, low, high, color=colour, ls=dash, lw=1.6)
            ax.plot(found.value[row], row, "o" if holds else "X", color=colour, ms=4)
        ax.axvline(found.truth, color="black", lw=1)
        ax.set_title(f"{name}:\n{found.coverage(ends):.0%} hold the truth", fontsize=10)
        ax.set(xlabel="rate", yticks=[], xlim=(0.15, 0.85))
    axes[0][0].set_ylabel(f"the first {shown} of {len(found.value)} studies")
    return figure


def verdict_curves(pairs: Comparison, thresholds: Mapping[str, float]) -> Figure:
    """How many mated and non-mated pairs are called the same person, over the cosine distance."""
    figure, axes = grid(1, 1, width=7.5, height=3.1)
    ax = axes[0][0]
    distance = np.linspace(0, 1.2, 400)
    for where, colour, dash, name in (
        (pairs.mated, MATED, "-", "mated pairs"),
        (~pairs.mated, OTHER, "-.", "non-mated pairs"),
    ):
        apart = np.sort(1 - pairs.similarity[where])
        share = np.searchsorted(apart, distance, side="right") / len(apart)
        ax.plot(distance, share, color=colour, ls=dash, lw=2, label=name)
    marks = zip(thresholds.items(), ((0, (6, 2)), (0, (1, 1.5)), (0, (4, 1, 1, 1))), strict=False)
    for (name, at), line in marks:
        ax.axvline(at, color="black", lw=1.2, ls=line, label=f"{name}: {at:.2f}")
    ax.set(xlabel="cosine distance of the threshold", ylabel="called the same person")
    ax.set(xlim=(0, 1.2), ylim=(0, 1.03))
    ax.grid(color="0.93")
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    return figure


def privacy_beside_utility(spots: Sequence[Spot]) -> Figure:
    """Who is named, by one picture and by eight, over what a setting costs the shape."""
    if not spots:
        return not_yet("python benchmarks/studies/curve.py run")
    figure, axes = grid(1, 2, width=9.5, height=3.8)
    for ax, taken in zip(axes[0], ("one picture", "eight together"), strict=True):
        for spot, (colour, mark) in zip(spots, (*LOOKS, ("0.6", "h")), strict=False):
            leak, shape = spot.leak(taken), spot.shape
            if leak is None:  # full RGB: no attack, and the best that its shape can be
                ax.axvspan(shape.low, shape.high, color="0.92", zorder=0)
                ax.axvline(shape.value, color="0.4", ls=":", label=f"{spot.name}: not protected")
                continue
            ax.hlines(leak.value, shape.low, shape.high, color=colour)
            ax.vlines(shape.value, leak.low, leak.high, color=colour)
            best = " (recommended)" if spot.recommended else ""
            ax.plot(shape.value, leak.value, mark, color=colour, mec="black", ms=8,
                    label=spot.name + best)  # fmt: skip
        ax.set(xlabel="reconstructed shape: mm from the truth", ylim=(0, 1.03), xlim=(0, None))
        ax.set_title(f"strongest attack, {taken}", fontsize=10)
        ax.grid(color="0.93")
    axes[0][0].set_ylabel("named rightly")
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=8, frameon=False, loc="outside lower center", ncols=4)
    return figure
