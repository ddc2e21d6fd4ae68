"""Lesson 1's panel: one ray through two bumps of fog, and what a few samples make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privhead_nb.teach import widgets
from privhead_nb.teach.lesson01 import fog, sampling
from privhead_nb.viz.style import BLUE, VERMILLION, grid, image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REST: dict[str, Any] = {
    "first_at": 0.6, "first_height": 4.0, "first_width": 0.07,
    "second_at": 1.4, "second_height": 60.0, "second_width": 0.06,
    "samples": 32, "placed": "even",
}  # fmt: skip
TWIN: list[dict[str, Any]] = [
    REST,
    REST | {"first_height": 0.0},
    REST | {"second_width": 0.01, "samples": 12},
    REST | {"second_width": 0.01, "samples": 12, "placed": "by weight, widened"},
]


def bumps(setting: dict[str, Any]) -> tuple[fog.Bump, fog.Bump]:
    """The two clouds of a setting of the panel."""
    first, second = (
        fog.Bump(setting[f"{n}_at"], setting[f"{n}_height"], setting[f"{n}_width"], colour)
        for n, colour in (("first", fog.VEIL_COLOUR), ("second", fog.WALL_COLOUR))
    )
    return first, second


def picture(samples: int, placed: str, **clouds: float) -> widgets.View:
    """The ray: density, alpha and T, weights, and what is seen, with samples and exactly."""
    both = bumps(clouds)
    seen, exact = fog.look(both, fog.place(both, samples, placed)), fog.exact(both)
    figure, ((density, box), (light, other), (weights, empty)) = grid(
        3, 2, width=8, height=4.8, width_ratios=[3.6, 1], sharex="col"
    )
    density.fill_between(exact.t[::8], exact.density[::8], color="0.8", lw=0, label="as it is")
    density.step(seen.t, seen.density, where="post", color=BLUE, label="as sampled")
    light.step(seen.t, seen.through, where="post", color="black", label="T")
    light.step(seen.t, seen.alpha, where="post", color=VERMILLION, ls="--", label="alpha")
    weights.vlines(seen.t, 0, seen.weights, colors=seen.colours.tolist(), lw=4)
    weights.axvline(seen.depth, color="black", label="depth, sampled")
    weights.axvline(exact.depth, color="black", ls=":", label="depth, exact")
    for ax, name in ((density, "density"), (light, "T and alpha"), (weights, "weight")):
        ax.set(ylabel=name, ylim=(0, None), xlim=(0, fog.LENGTH))
        ax.legend(fontsize=8, frameon=False, loc="center left" if ax is light else "upper left")
    weights.set_xlabel("depth t")
    _colour_box(box, seen, f"{samples} samples")
    _colour_box(other, exact, "exact")
    empty.set_axis_off()
    lie = ", a place without fog" if fog.not_there(both, exact) else ""
    facts = (
        f"{samples} samples, {placed}: depth {seen.depth:.2f}, exact {exact.depth:.2f}{lie}; "
        f"opacity {seen.opacity:.2f}, exact {exact.opacity:.2f}"
    )
    alt = (
        f"A ray through two bumps of fog, {samples} samples placed {placed}: density, alpha, "
        f"transmittance and weights over the depth. Sampled: depth {seen.depth:.2f}, opacity "
        f"{seen.opacity:.2f}. Exact: depth {exact.depth:.2f}, opacity {exact.opacity:.2f}{lie}."
    )
    return widgets.View(figure, alt, facts)


def _colour_box(ax: Axes, seen: fog.Seen, title: str) -> None:
    words = f"{title}\nopacity {seen.opacity:.2f}\ndepth {seen.depth:.2f}, spread {seen.spread:.2f}"
    image(ax, np.broadcast_to(seen.colour.numpy(), (2, 5, 3)), words)
    ax.spines[:].set_visible(True)


def controls() -> dict[str, Any]:
    """Place, height and width of two clouds; number and placing of the samples."""
    heights = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0]
    widths = [0.01, 0.02, 0.04, 0.06, 0.07, 0.1, 0.15, 0.25, 0.4]
    clouds: dict[str, Any] = {}
    for name in ("first", "second"):
        at, height, width = (REST[f"{name}_{what}"] for what in ("at", "height", "width"))
        clouds[f"{name}_at"] = widgets.real(f"{name}: at", 0.1, 1.9, 0.05, at)
        clouds[f"{name}_height"] = widgets.choice(f"{name}: height", heights, height)
        clouds[f"{name}_width"] = widgets.choice(f"{name}: width", widths, width)
    return {
        **clouds,
        "samples": widgets.whole("samples", 4, 128, 4, REST["samples"]),
        "placed": widgets.choice("placed", sampling.PLACINGS, REST["placed"]),
    }
