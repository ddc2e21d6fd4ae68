"""Lesson 1's panel: one ray through two clouds, and what a few samples make of it.

    sigma(t) = sum_k height_k exp(-(t - at_k)^2 / (2 width_k^2)),    0 <= t <= LENGTH

Colours are mixed by density. Depths, densities and widths are in one unit of length.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import composite, weights_from_density
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson01.pieces import depth_and_spread, even_samples, fine_samples
from privhead_nb.viz.style import BLUE, VERMILLION, grid

LENGTH = 2.0
COLOURS = ((0.902, 0.624, 0.0), (0.0, 0.447, 0.698))  # style.ORANGE, BLUE
PLACINGS = ("even", "jittered", "by weight")
REST: dict[str, Any] = {
    "first_at": 0.6, "first_height": 4.0, "first_width": 0.07,
    "second_at": 1.4, "second_height": 60.0, "second_width": 0.06,
    "samples": 32, "placed": "even",
}  # fmt: skip
TWIN: list[dict[str, Any]] = [
    REST,
    REST | {"first_height": 0.0},
    REST | {"second_width": 0.01, "samples": 12},
    REST | {"second_width": 0.01, "samples": 12, "placed": "by weight"},
]


class Seen(NamedTuple):
    """What N samples show: (N,) each, colours (N, 3), colour (3,) on white, and three numbers."""

    t: Tensor
    density: Tensor
    alpha: Tensor
    through: Tensor  # T before the sample
    weights: Tensor
    colours: Tensor
    colour: Tensor
    opacity: float
    depth: float
    spread: float


def look(t: Tensor, clouds: dict[str, float]) -> Seen:
    """Eq. 1 at samples t (1, N), doubles; the last one stands for the rest of the ray."""
    at, height, width = (
        t.new_tensor([clouds[f"{k}_{what}"] for k in ("first", "second")])
        for what in ("at", "height", "width")
    )
    parts = height * torch.exp(-0.5 * ((t[..., None] - at) / width).square()) + 1e-30
    density, deltas = parts.sum(2), torch.diff(t, append=t.new_full((1, 1), LENGTH))
    colours = parts / density[..., None] @ t.new_tensor(COLOURS)
    weights = weights_from_density(density, deltas)
    opacity, (depth, spread) = weights.sum(1), depth_and_spread(weights, t)
    through, alpha = 1 - torch.cumsum(weights, 1) + weights, -torch.expm1(-density * deltas)
    shown = composite(weights, colours) + 1 - opacity
    return Seen(
        t[0], density[0], alpha[0], through[0], weights[0], colours[0], shown[0],
        float(opacity), float(depth), float(spread),
    )  # fmt: skip


def place(count: int, how: str, clouds: dict[str, float]) -> Tensor:
    """Samples (1, count), rising, placed in one of PLACINGS; "by weight" is NeRF's two passes."""
    random = torch.Generator().manual_seed(0) if how == "jittered" else None
    if how != "by weight":
        return even_samples(0.0, LENGTH, 1, count, random).double()
    first = even_samples(0.0, LENGTH, 1, count - count // 2).double()
    more = fine_samples(first, look(first, clouds).weights[None], count // 2)
    return torch.cat([first, more], 1).sort(1).values


def picture(samples: int, placed: str, **clouds: float) -> widgets.View:
    """The ray: density, alpha and T, weights, and what is seen, with samples and exactly."""
    from matplotlib.patches import Rectangle

    seen = look(place(samples, placed, clouds), clouds)
    exact = look(place(4000, "even", clouds), clouds)
    figure, ((density,), (light,), (weights,)) = grid(3, 1, width=8, height=4.8, sharex=True)
    figure.set_layout_engine(None)  # finding a layout takes as long as drawing
    figure.subplots_adjust(left=0.08, right=0.78, bottom=0.1, top=0.98, hspace=0.12)
    density.fill_between(exact.t[::8], exact.density[::8], color="0.8", lw=0, label="as it is")
    density.step(seen.t, seen.density, where="post", color=BLUE, label="as sampled")
    light.step(seen.t, seen.through, where="post", color="black", label="T")
    light.step(seen.t, seen.alpha, where="post", color=VERMILLION, ls="--", label="alpha")
    weights.vlines(seen.t, 0, seen.weights, colors=seen.colours.tolist(), lw=4)
    weights.axvline(seen.depth, color="black", label="depth, sampled")
    weights.axvline(exact.depth, color="black", ls=":", label="depth, exact")
    for ax, name in ((density, "density"), (light, "T and alpha"), (weights, "weight")):
        ax.set(ylabel=name, ylim=(0, None), xlim=(0, LENGTH))
        ax.legend(fontsize=8, frameon=False, loc="center left" if ax is light else "upper left")
    weights.set_xlabel("depth t")
    for at, it, name in ((0.72, seen, f"{samples} samples"), (0.36, exact, "exact")):
        colour = [float(x) for x in it.colour.clamp(0, 1)]
        figure.patches.append(
            Rectangle((0.81, at), 0.17, 0.12, fc=colour, ec="black", transform=figure.transFigure)
        )
        words = f"{name}\nopacity {it.opacity:.2f}\ndepth {it.depth:.2f}, spread {it.spread:.2f}"
        figure.text(0.895, at + 0.14, words, ha="center", fontsize=9)
    facts = (
        f"{samples} samples, {placed}: depth {seen.depth:.2f}, exact {exact.depth:.2f}; "
        f"opacity {seen.opacity:.2f}, exact {exact.opacity:.2f}"
    )
    alt = (
        "A ray through two clouds: density, alpha, transmittance and weights over the depth, and "
        f"the colours that are seen. {facts}."
    )
    return widgets.View(figure, alt, facts)


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
        "samples": widgets.whole("samples", 8, 128, 4, REST["samples"]),
        "placed": widgets.choice("placed", PLACINGS, REST["placed"]),
    }
