"""Figures of lesson 8: what the stored runs say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from privhead_nb.teach.lesson08.runs import NEUTRAL, STARTS, by_head, runs
from privhead_nb.viz.style import BLUE, LOOKS, ORANGE, curves, dots, grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FACE = "face, mm from the truth"


def starts() -> Figure:
    """One row a start: each head's mean and range over its seeds, and the mean of the heads."""
    rows = {}
    for start in STARTS:
        found = runs(start=start).groupby("head")["final.face_mm"].agg(["mean", "min", "max"])
        rows[start] = {f"head {head}": list(values) for head, values in found.iterrows()}
        rows[start]["mean of heads"] = [found["mean"].mean()] * 3
    figure, ((ax,),) = grid(1, 1, width=8.5, height=3.8)
    dots(ax, rows, percent=False, xlabel=FACE, xlim=(0, None))
    return figure


def neutral_views() -> Figure:
    """Error over the number of neutral views, after stage 1 and at the end, head by head."""
    figure, ((ax,),) = grid(1, 1, width=8, height=3.4)
    _by_stage(ax, "face_mm", "neutral", NEUTRAL)
    ax.set(xlabel="neutral views", ylabel=FACE)
    return figure


def sizes() -> Figure:
    """Error over the size of the released pictures, head by head."""
    figure, (axes,) = grid(1, 2, width=9, height=3.3)
    labels = {"face_mm": FACE, "face_deg": "median angle of normals, degrees"}
    for ax, (measure, label) in zip(axes, labels.items(), strict=True):
        _by_stage(ax, measure, "size", (16, 32, 64, 128))
        ax.set_xscale("log", base=2)
        ax.set_xticks([16, 32, 64, 128], ["16", "32", "64", "128"])
        ax.set(xlabel="released pixels along a side", ylabel=label)
    return figure


def _by_stage(ax: Axes, measure: str, setting: str, options: Sequence[object]) -> None:
    """A number over the first four options of a setting, head by head; a fifth stands alone."""
    for part, dash, words in (("stage1", "--", "after stage 1"), ("final", "-", "at the end")):
        found = by_head(f"{part}.{measure}", setting, start="stage 1, then 2")[list(options)]
        for (head, values), (colour, mark, _) in zip(
            found.dropna().iterrows(), LOOKS, strict=False
        ):
            fill = "full" if part == "final" else "none"
            ax.plot(values[:4], dash, color=colour, marker=mark, fillstyle=fill,
                    label=f"head {head}, {words}")  # fmt: skip
            ax.plot(values[4:], mark, color=colour, fillstyle=fill, ms=8)
    ax.set_ylim(0, None)
    ax.legend(fontsize=8, frameon=False, ncols=2)


def looks() -> Figure:
    """What a release says of stage 1, without the truth, against what the truth says."""
    measures = {
        "signal_outside": "released signal outside of stage 1's outline",
        "empty_border": "share of its outline without a released line",
    }
    found = runs(start=None, neutral=None).dropna(subset="stage1.head_mm")
    template, few = found.start.str.startswith("template"), found.neutral.isin(NEUTRAL[3:])
    figure, (axes,) = grid(1, 2, width=9, height=3.5, sharey=True)
    for ax, (measure, label) in zip(axes, measures.items(), strict=True):
        for some, mark, size, colour, fill, words in (
            (found[~template & ~few], "o", 7, BLUE, "full", "a sphere, 5 to 15 views"),
            (found[~template & few], "o", 7, BLUE, "none", "a sphere, 2 views or an arc"),
            (found[template & ~few], "*", 11, ORANGE, "full", "the template, 10 views"),
            (found[template & few], "*", 11, ORANGE, "none", "the template, 2 views or an arc"),
        ):
            ax.plot(some[f"stage1_looks.{measure}"], some["stage1.head_mm"], mark, color=colour,
                    fillstyle=fill, ms=size, label=f"from {words}")  # fmt: skip
        ax.set(xlabel=label, ylim=(0, None), xlim=(-0.01, None))
    axes[0].set_ylabel("stage 1: whole head, mm")
    axes[1].legend(fontsize=7, frameon=False, loc="lower right")
    return figure


def left_of_template() -> Figure:
    """Share of the template's error that is left: by start, and over the sensitive views.

    By start: the mean and the range of the heads' means over their seeds.
    """
    parts = {"face": "bias.share_face", "rest of the head": "bias.share_rest"}
    rows = {}
    for start in STARTS[:-1]:
        of_heads = {name: by_head(column, "start")[start] for name, column in parts.items()}
        rows[start] = {n: (v.mean(), v.min(), v.max()) for n, v in of_heads.items()}
    counts = runs(start="mean template", sensitive=None).groupby("sensitive")
    over_views = {name: counts[column].mean() for name, column in parts.items()}
    figure, ((by_start, by_views),) = grid(1, 2, width=10, height=3.3)
    dots(by_start, rows, percent=False, legend=False, xlabel="share of the template's error left")
    by_start.axvline(0, color="0.5", lw=0.8)
    curves(by_views, list(counts.groups), over_views, marks=True,
           xlabel="sensitive views, start: mean template", ylabel="share left")  # fmt: skip
    by_views.axhline(0, color="0.5", lw=0.8)
    return figure
