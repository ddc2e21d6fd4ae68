"""Lesson 9's panel: an operator against the strongest attack, from the stored study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from privhead_nb.lab.albums import VARIANTS
from privhead_nb.lab.settings import DEFAULT
from privhead_nb.teach import lab_runs, widgets
from privhead_nb.teach.backdrop import Backdrop
from privhead_nb.teach.lab_runs import NAMES, TAKEN, WORST, Spot, Stored
from privhead_nb.teach.widgets import View
from privhead_nb.viz.palette import BLUE, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TWIN: list[dict[str, Any]] = [
    {"setting": DEFAULT, "taken": "one picture", "seen": "whole", "attack": WORST},
    {"setting": DEFAULT, "taken": "eight together", "seen": "one albedo", "attack": WORST},
    {"setting": DEFAULT, "taken": "one picture", "seen": "whole", "attack": "shown"},
    {"setting": "levels-2", "taken": "eight together", "seen": "hair masked", "attack": WORST},
]
CHOSEN, REST = VERMILLION, BLUE


def picture(setting: str, taken: str, seen: str, attack: str) -> View:
    """Every setting under one attack, and every attack at one setting; the curve, if it is there.

    Args:
        setting: one of `lab_runs.settings()`, drawn as a diamond.
        taken: one of TAKEN.
        seen: one of the album's variants.
        attack: one of `lab_runs.attacks()`, or WORST.
    """
    settings, attacks, spots = lab_runs.settings(), lab_runs.attacks(), lab_runs.curve()
    figure, axes = _frame(tuple(settings), tuple(attacks), spots).copy()
    by_setting = [lab_runs.rate(name, attack, seen, taken) for name in settings]
    by_attack = [lab_runs.rate(setting, name, seen, taken) for name in attacks]
    rates(axes[0], by_setting, settings.index(setting))
    here = by_setting[settings.index(setting)]
    rates(axes[1], by_attack, attacks.index(here.source) if here.known else None)
    if spots is not None:
        beside(axes[2], spots, setting, taken)
    chance, words = 1 / lab_runs.people(), NAMES.get(attack, attack)
    axes[0].set_title(f"{taken}, {seen}; {words}", fontsize=9, y=1.0)
    axes[1].set_title(f"every attack at {setting}", fontsize=9, y=1.0)
    known = f"{words} names {here}" if here.known else f"{words} was not run here"
    if attack == WORST and here.known:
        known = (
            f"the strongest of {lab_runs.tried(setting)} attacks names {here}: "
            + (NAMES[here.source])
        )
    facts = f"{setting}, {taken}, {seen}: {known}; chance {100 * chance:.0f} %"
    others = [r.value for r in by_setting if r.known]
    alt = (
        f"Left: {len(others)} settings, a mark and an interval each, under {words}; {taken}, "
        f"{seen}; from {100 * min(others, default=math.nan):.0f} % to "
        f"{100 * max(others, default=math.nan):.0f} % named rightly, a dashed line at chance. "
        f"The diamond is {setting}. Right: every attack at {setting}. {facts}."
    )
    return View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """The setting, how many pictures, what is seen of them, and the attack."""
    attacks = {WORST: WORST} | {NAMES[name]: name for name in lab_runs.attacks()}
    return {
        "setting": widgets.choice("setting", lab_runs.settings(), DEFAULT),
        "taken": widgets.choice("pictures", list(TAKEN)),
        "seen": widgets.choice("seen", list(VARIANTS)),
        "attack": widgets.choice("attack", attacks),
    }


def rates(ax: Axes, found: Sequence[Stored], chosen: int | None) -> None:
    """A mark and an interval a row; the chosen row is a diamond in another colour."""
    value = np.array([r.value for r in found])
    rows = np.arange(len(found))
    known = ~np.isnan(value)
    low, high = (np.array([getattr(r, end) for r in found]) for end in ("low", "high"))
    rest = known & (rows != (-1 if chosen is None else chosen))
    ax.hlines(rows[rest], low[rest], high[rest], color=REST, lw=1.6)
    ax.plot(value[rest], rows[rest], "o", color=REST, ms=5)
    for row in rows[~known]:
        ax.text(0.5, float(row), "not run", color="0.45", fontsize=7.5, ha="center", va="center")
    if chosen is not None and known[chosen]:
        ax.axhspan(chosen - 0.45, chosen + 0.45, color="0.3", alpha=0.1, lw=0, zorder=0)
        ax.hlines([chosen], low[chosen], high[chosen], color=CHOSEN, lw=2.4)
        ax.plot(value[chosen], chosen, "D", color=CHOSEN, mec="black", ms=8)


def beside(ax: Axes, spots: Sequence[Spot], setting: str, taken: str) -> None:
    """Leak over the error of shape; the chosen setting is a diamond."""
    for lit in (False, True):
        some = [s for s in spots if (s.name == setting) == lit]
        both = [(s.shape, leak) for s in some if (leak := s.leak(taken)) is not None]
        if not both:
            continue
        x, y = ([one[k].value for one in both] for k in (0, 1))
        colour, mark, size = (CHOSEN, "D", 8) if lit else (REST, "o", 5)
        ax.hlines(y, [s.low for s, _ in both], [s.high for s, _ in both], color=colour, lw=1.2)
        ax.vlines(x, [r.low for _, r in both], [r.high for _, r in both], color=colour, lw=1.2)
        ax.plot(x, y, mark, color=colour, mec="black", ms=size)


def limits(spots: Sequence[Spot]) -> tuple[float, float]:
    """Of the curve's axis of shape, mm: from 0 to beyond all intervals."""
    ends = [v for s in spots for v in (s.shape.value, s.shape.high) if not math.isnan(v)]
    return 0.0, 1.08 * max(ends, default=1.0)


@cache
def _frame(
    settings: tuple[str, ...], attacks: tuple[str, ...], spots: tuple[Spot, ...] | None
) -> Backdrop:
    from matplotlib.figure import Figure

    figure: Figure = Figure(figsize=(8.8, 4.3), dpi=100)
    places = [(0.165, 0.13, 0.35, 0.79), (0.735, 0.13, 0.235, 0.79)]
    if spots is not None:
        places[1:] = [(0.735, 0.57, 0.235, 0.35), (0.60, 0.13, 0.37, 0.27)]
    left, right, *below = (figure.add_axes(place) for place in places)
    names = [[NAMES.get(n, n) for n in rows] for rows in (settings, attacks)]
    for ax, rows in zip((left, right), names, strict=True):
        ax.set_yticks(range(len(rows)), rows, fontsize=8)
        ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6))
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25", "50", "75", "100 %"], fontsize=7.5)
        ax.axvline(1 / lab_runs.people(), color="0.35", ls="--", lw=1)
        ax.grid(axis="x", color="0.9")
        ax.set_axisbelow(True)
    left.set_xlabel("named rightly; dashed: chance", fontsize=8)
    for ax in below:
        ax.set(xlim=limits(spots or ()), ylim=(0, 1.03))
        ax.set_yticks([0, 0.5, 1], ["0", "50", "100 %"], fontsize=7.5)
        ax.tick_params(labelsize=7.5)
        ax.set_xlabel("reconstructed shape: mm from the truth", fontsize=8)
        ax.set_title("strongest attack, beside what a setting costs", fontsize=8)
    return Backdrop.of(figure)
