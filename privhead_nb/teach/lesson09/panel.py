"""Lesson 9's panel: an operator against the strongest attack, from the stored study."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from privhead_nb.lab.faces import VARIANTS
from privhead_nb.lab.settings import DEFAULT
from privhead_nb.teach import lab_runs, results, widgets
from privhead_nb.teach.lab_runs import NAMES, TAKEN, WORST
from privhead_nb.teach.lesson09.figures import crossed
from privhead_nb.teach.results import Interval
from privhead_nb.teach.widgets import View
from privhead_nb.viz.style import BLUE, VERMILLION, dots, grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHOSEN = (VERMILLION, "D")
STRONGEST = "the strongest attack on the default"
TWIN: list[dict[str, Any]] = [
    {"setting": DEFAULT, "taken": "one picture", "variant": "whole", "attack": WORST},
    {"setting": DEFAULT, "taken": "eight together", "variant": "one albedo", "attack": WORST},
    {"setting": DEFAULT, "taken": "one picture", "variant": "whole", "attack": "no-attack"},
    {"setting": "levels-2", "taken": "eight together", "variant": "hair masked", "attack": WORST},
]


def picture(setting: str, taken: str, variant: str, attack: str) -> View:
    """Every setting under one attack, every attack at one setting, and the stored curve.

    Args:
        setting: one of `lab_runs.settings()`, drawn as a diamond.
        taken: one of TAKEN.
        variant: of the pictures, one of VARIANTS.
        attack: one of `lab_runs.attacks()`, or WORST.
    """
    settings = {s: lab_runs.rate(s, attack, variant, taken) for s in lab_runs.settings()}
    attacks = {a: lab_runs.rate(setting, a, variant, taken) for a in lab_runs.attacks()}
    used = lab_runs.strongest(setting, variant, taken) if attack == WORST else attack
    here, chance = settings[setting], 1 / lab_runs.people()
    figure, axes = grid(2, 2, width=8.8, height=4.3, height_ratios=[1.3, 1])
    (left, right), (empty, below) = axes
    empty.remove()
    spec = left.get_gridspec()
    assert spec is not None
    left.set_subplotspec(spec[:, 0])
    starred = {name: f"{name} {weaker(name, attack)}".strip() for name in settings}
    _rates(left, {starred[name]: rate for name, rate in settings.items()}, starred[setting], chance)
    _rates(right, {NAMES[name]: rate for name, rate in attacks.items()}, NAMES[used], chance)
    left.set_title(f"{taken}, {variant}; {NAMES.get(attack, attack)}", fontsize=9)
    right.set_title(f"every attack at {setting}", fontsize=9)
    for name, point in results.table("curve")["settings"].items():
        if name in settings:
            leak = lab_runs.rate(name, WORST, taken=taken)
            look = CHOSEN if name == setting else (BLUE, "o")
            crossed(below, point["chamfer_mm"], leak[:3], *look)
    below.set(xlim=(0, None), ylim=(0, 1.03), xlabel="reconstructed shape: mm from the truth")
    below.set_yticks([0, 0.5, 1], ["0", "50", "100 %"])
    below.set_title("strongest on pictures; what it costs", fontsize=9)
    known = f"{NAMES.get(attack, attack)} was not run here"
    if here.known:
        known = f"{NAMES[used]} names {here.percent()}"
        if attack == WORST:
            count = len(lab_runs.attacks(setting))
            known = f"the strongest of {count} attacks names {here.percent()}: {NAMES[used]}"
            known += f" (* {STRONGEST} was not run)" if weaker(setting, attack) else ""
    facts = f"{setting}, {taken}, {variant}: {known}; chance {100 * chance:.0f} %"
    others = [rate.value for rate in settings.values() if rate.known]
    alt = (
        f"Left: {len(others)} settings, a mark and an interval each, under "
        f"{NAMES.get(attack, attack)}; {taken}, {variant}; from "
        f"{100 * min(others, default=math.nan):.0f} % to "
        f"{100 * max(others, default=math.nan):.0f} % named rightly, a dashed line at chance. "
        f"The diamond is {setting}. Right: every attack at {setting}. {facts}."
    )
    return View(figure, alt, facts)


def weaker(setting: str, attack: str) -> str:
    """A star, if the worst attack is asked for and the default's was not run at a setting."""
    return lab_runs.marked(setting) if attack == WORST else ""


def controls() -> dict[str, Any]:
    """The setting, how many pictures, what is left of them, and the attack."""
    attacks = {WORST: WORST} | {NAMES[name]: name for name in lab_runs.attacks()}
    return {
        "setting": widgets.choice("setting", lab_runs.settings(), DEFAULT),
        "taken": widgets.choice("pictures", list(TAKEN)),
        "variant": widgets.choice("seen", list(VARIANTS)),
        "attack": widgets.choice("attack", attacks),
    }


def _rates(ax: Axes, rates: dict[str, Interval], chosen: str, chance: float) -> None:
    """A mark and an interval a row; the chosen row is a diamond in another colour."""
    dots(ax, {name: {"": rate} for name, rate in rates.items()}, chance=chance, legend=False)
    for row, (name, rate) in enumerate(rates.items()):
        if not rate.known:
            ax.text(0.5, row, "not run", color="0.45", fontsize=7.5, ha="center", va="center")
        elif name == chosen:
            ax.axhspan(row - 0.45, row + 0.45, color="0.3", alpha=0.1, lw=0, zorder=0)
            crossed(ax, rate[:3], (row, row, row), *CHOSEN)
