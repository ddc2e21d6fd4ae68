"""Lesson 7's panel: the stored runs, by bound, head and measure."""

from __future__ import annotations

from typing import Any

from privhead_nb.teach import widgets
from privhead_nb.teach.lesson07 import runs
from privhead_nb.teach.lesson07.figures import ARMS
from privhead_nb.teach.results import interval
from privhead_nb.viz.style import grid

TWIN: list[dict[str, Any]] = [
    {"bound": bound, "head": 0, "measure": measure}
    for bound in ("1.0", "0.25")
    for measure in ("distance", "slope of the colour")
]


def picture(bound: str, head: int, measure: str) -> widgets.View:
    """A column an arm, and the chosen arm's differences from the one without bounds.

    Args:
        bound: `slack` of one of `runs.ARMS`.
        head: drawn in colour; 0 for all.
        measure: one of `runs.MEASURES`.
    """
    unit, column = runs.MEASURES[measure]
    chosen = next(arm for arm in runs.ARMS if arm.slack == bound)
    changes = runs.changes(chosen, measure)
    figure, ((left, right),) = grid(1, 2, width=8, height=3.1, width_ratios=[5, 4])
    for place, arm in enumerate(runs.ARMS):
        colour, mark, _ = ARMS[arm.slack]
        found = runs.of_arm(arm)
        lit = (found["head"] == head) | (head == 0)
        for some, shade, size in ((found[~lit], "0.8", 5), (found[lit], colour, 8)):
            left.plot([place] * len(some), some[column], mark, color=shade, mec="black", ms=size)
        if arm is chosen:
            left.axvspan(place - 0.45, place + 0.45, color="0.93", zorder=0)
    left.set_xticks(range(len(runs.ARMS)), [ARMS[arm.slack][2] for arm in runs.ARMS])
    left.set_ylim(0, 1.08 * left.dataLim.y1)
    left.set_title(measure + (f", {unit}" if unit else ""), fontsize=10)

    colour, mark, _ = ARMS[bound]
    for place, ((who, _), change) in enumerate(changes.items()):
        shade = colour if head in (0, who) else "0.8"
        right.plot(place, change, mark, color=shade, mec="black", ms=8)
    right.set_xticks(range(len(changes)), [f"{who}\n{seed}" for who, seed in changes.index])
    right.axhline(0, color="0.4", lw=1)
    widest = max(12.0, 1.15 * changes.abs().max())
    right.set(xlabel="head, seed", ylim=(-widest, widest))
    right.set_title(f"{chosen.label}: change in %", fontsize=10)
    words = "every other arm is compared with this one"
    if chosen is not runs.NONE:
        found = interval(changes)
        right.axhline(found.value, color=colour, lw=1.4, ls="--")
        right.axhspan(max(found.low, -widest), min(found.high, widest), color=colour, alpha=0.15)
        words = (
            f"mean {found.value:+.1f} %, 95 % interval {found.low:+.1f} to {found.high:+.1f} %, "
            f"{found.n} pairs"
        )
    seen = "all heads" if head == 0 else f"head {head} in colour"
    alt = (
        f"Left: {measure} of all runs, a column an arm, {seen}. Right: the arm "
        f"'{chosen.label}', a mark for each head and seed, in percent against no bound; {words}."
    )
    return widgets.View(figure, alt, f"{chosen.label}, {measure}: {words}")


def controls() -> dict[str, Any]:
    """The bound, the head (0: all), and what is measured."""
    heads = sorted({int(head) for head in runs.of_arm(runs.NONE)["head"]})
    return {
        "bound": widgets.choice("bound", {arm.label: arm.slack for arm in runs.ARMS}, "0.25"),
        "head": widgets.choice("head", {"all": 0} | {str(h): h for h in heads}),
        "measure": widgets.choice("measure", list(runs.MEASURES)),
    }
