"""Lesson 14's arena: every defence before the same attackers (`results.table("arena")`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from privhead_nb.teach.results import Interval, rate
from privhead_nb.viz.style import LOOKS, grid, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def worst(attacks: Mapping[str, Any], key: str = "one") -> tuple[str, Interval]:
    """The attack that names most people by "one" picture or "eight", and its rate."""
    known = {name: found for name, a in attacks.items() if (found := rate(a[key])).known}
    return max(known.items(), key=lambda one: one[1].value)


def row(found: Mapping[str, Any]) -> list[str]:
    """Of a defence: worst attack, by one picture, by eight; faces found, pose, expression."""
    (name, one), (_, eight) = (worst(found["attacks"], key) for key in ("one", "eight"))
    use = found["utility"]
    told = (one, eight, rate(use["cascade"]))
    kept = (f"{use['pose_deg']:.1f} deg", f"{use['expression']:.2f}")
    return [name, *(r.percent() if r.known else "-" for r in told), *kept]


def chart(arena: Mapping[str, Any]) -> Figure:
    """What the worst attack names over what is left: faces found, and Frechet distance."""
    figure, axes = grid(1, 2, width=11, height=4.4)
    methods = list(dict.fromkeys(found["method"] for found in arena["defences"].values()))
    for found in arena["defences"].values():
        again, number = divmod(methods.index(found["method"]), len(LOOKS))
        colour, mark = LOOKS[number][0], LOOKS[(number + again) % len(LOOKS)][1]
        x, use = worst(found["attacks"])[1], found["utility"]
        look: dict[str, Any] = {"color": colour, "mec": "black", "ms": 9 if found["default"] else 5}
        for ax, y in zip(axes[0], (rate(use["cascade"]), rate(3 * [use["frechet"]])), strict=True):
            ax.hlines(y.value, x.low, x.high, color=colour, lw=1)
            ax.vlines(x.value, y.low, y.high, color=colour, lw=1)
            ax.plot(x.value, y.value, mark, label=found["method"], **look)
    for ax, name in zip(axes[0], ("faces found, of before", "Frechet distance"), strict=True):
        ax.axvline(arena["chance"], color="0.3", ls="--", lw=1)
        ax.set(xlim=(-0.02, 1.02), ylim=(0, None), xlabel="named by the worst attack", ylabel=name)
    lines, labels = axes[0][1].get_legend_handles_labels()
    with styled():
        one_each = dict(zip(labels, lines, strict=True))
        figure.legend(one_each.values(), one_each, loc="outside right center")
    return figure
