"""Lesson 7's panel: the stored runs, by bound, head and measure."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privhead_nb.teach import widgets
from privhead_nb.teach.backdrop import Backdrop, number_heights
from privhead_nb.teach.lesson07 import lipschitz_runs as runs
from privhead_nb.teach.lesson07.lipschitz_plots import ARMS
from privhead_nb.teach.lesson07.lipschitz_runs import Arm
from privhead_nb.teach.widgets import View

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TWIN: list[dict[str, Any]] = [
    {"bound": bound, "head": 0, "measure": measure}
    for bound in ("1.0", "0.25")
    for measure in ("distance", "slope of the paint")
]


def picture(bound: str, head: int, measure: str) -> View:
    """A column an arm, and the chosen arm's differences from the one without bounds.

    A panel redraws it while a slider moves: few artists over a kept backdrop.

    Args:
        bound: `slack` of one of `runs.ARMS`.
        head: drawn in colour; 0 for all.
        measure: one of `runs.MEASURES`.
    """
    chosen = next(arm for arm in runs.ARMS if arm.slack == bound)
    differences, names = runs.relative(chosen, measure), list(runs.of_arm(chosen))
    figure, (left, right) = _frame(tuple(names)).copy()
    _columns(left, chosen, head, measure)
    unit = runs.MEASURES[measure][0]
    left.set_title(measure + (f", {unit}" if unit else ""), fontsize=10, y=1.0)
    right.set_title(f"{chosen.label}: change in %", fontsize=10, y=1.0)
    right.axhline(0, color="0.4", lw=1)
    colour, mark, _ = ARMS[bound]
    for lit in (False, True):
        some = [i for i, (who, _) in enumerate(names) if (head in (0, who)) == lit]
        if some:
            shown = colour if lit else "0.8"
            right.plot(some, differences[some], mark, color=shown, mec="black", ms=8)
    widest = max(12.0, 1.15 * float(np.abs(differences).max(initial=0)))
    right.set_ylim(-widest, widest)
    number_heights(right)
    words = "every other arm is compared with this one"
    if chosen is not runs.NONE:
        found = runs.t_interval(differences)
        right.axhline(found.mean, color=colour, lw=1.4, ls="--")
        right.axhspan(max(found.low, -widest), min(found.high, widest), color=colour, alpha=0.15)
        words = (
            f"mean {found.mean:+.1f} %, 95 % interval {found.low:+.1f} to {found.high:+.1f} %, "
            f"{found.count} pairs"
        )
    seen = "all heads" if head == 0 else f"head {head} in colour"
    alt = (
        f"Left: {measure} of all runs, a column an arm, {seen}. Right: the arm "
        f"'{chosen.label}', a mark for each head and seed, in percent against no bound; {words}."
    )
    return View(figure, alt, f"{chosen.label}, {measure}: {words}")


def controls() -> dict[str, Any]:
    """The bound, the head (0: all), and what is measured."""
    heads = sorted({head for head, _ in runs.of_arm(runs.NONE)})
    return {
        "bound": widgets.choice("bound", {arm.label: arm.slack for arm in runs.present()}, "0.25"),
        "head": widgets.choice("head", {"all": 0} | {str(h): h for h in heads}),
        "measure": widgets.choice("measure", list(runs.MEASURES)),
    }


@lru_cache(maxsize=4)
def _frame(names: tuple[tuple[int, int], ...]) -> Backdrop:
    """What stays of the picture for (head, seed) of an arm's runs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.1), dpi=100)
    left, right = figure.add_axes((0.07, 0.2, 0.46, 0.7)), figure.add_axes((0.62, 0.2, 0.37, 0.7))
    arms = runs.present()
    left.set_xticks(range(len(arms)), [ARMS[arm.slack][2] for arm in arms], fontsize=8)
    left.set_xlim(-0.6, len(arms) - 0.4)
    right.set_xticks(range(len(names)), [f"{h}\n{s}" for h, s in names], fontsize=7)
    right.set_xlabel("head, seed", fontsize=8)
    right.set_xlim(-0.6, len(names) - 0.4)
    for ax in (left, right):
        ax.set_yticks([])
    return Backdrop.of(figure)


def _columns(ax: Axes, chosen: Arm, head: int, measure: str) -> None:
    """One column an arm, a mark a run."""
    arms, highest = runs.present(), 0.0
    for place, arm in enumerate(arms):
        colour, mark, _ = ARMS[arm.slack]
        for lit in (False, True):
            found = [r for (who, _), r in runs.of_arm(arm).items() if (head in (0, who)) == lit]
            values = [runs.value(r, measure) for r in found]
            edge, size = ("black", 8) if lit else ("0.6", 5)
            if found:
                shown = colour if lit else "0.8"
                ax.plot([place] * len(found), values, mark, color=shown, mec=edge, ms=size)
                highest = max(highest, *values)
    place = arms.index(chosen)
    ax.axvspan(place - 0.45, place + 0.45, color="0.93", zorder=0)
    ax.set_ylim(0, 1.08 * highest)
    number_heights(ax)
