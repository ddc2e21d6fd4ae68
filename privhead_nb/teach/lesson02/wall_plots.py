"""What a ray sees of a flat wall: density, where its light stops, and what samples make of it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from privhead_nb.kernels.compositing import laplace_density
from privhead_nb.teach.backdrop import Backdrop, number_heights
from privhead_nb.teach.lesson02 import wall
from privhead_nb.teach.widgets import View
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LENGTH = 60.0  # mm of ray that the panel shows
NEAR = 1.0  # mm from the surface: "close"
LOOKS = {"VolSDF": (BLUE, "-"), "NeuS": (VERMILLION, "--")}


def densities(betas: tuple[float, ...] = (4.0, 2.0, 1.0)) -> Figure:
    """VolSDF's density over f, and where the light of a head-on ray stops, for a few betas [mm]."""
    f = torch.linspace(-14, 14, 561, dtype=torch.float64)
    figure, axes = grid(1, 2, width=9.5, height=2.9)
    left, right = axes[0]
    for beta, colour, dash in zip(betas, (ORANGE, GREEN, BLUE), (":", "--", "-"), strict=False):
        name = f"beta = {beta:g} mm"
        left.plot(
            f.numpy(), laplace_density(f, beta).numpy(), dash, color=colour, lw=1.8, label=name
        )
        right.plot(
            f.numpy(), _per_mm(f, beta, 1.0, "VolSDF"), dash, color=colour, lw=1.8, label=name
        )
    for ax, words in zip(axes[0], ("density [1 / mm]", "light stopped a mm"), strict=True):
        ax.axvline(0, color="0.6", lw=0.8)
        ax.set(xlim=(14, -14), xlabel="f [mm], outside to inside", ylabel=words)
        ax.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, fontsize=8)
    return figure


def grazing(angles: tuple[int, ...] = (0, 60, 80), beta: float = 1.0) -> Figure:
    """Where light stops at several angles: VolSDF's wall comes forward, NeuS's stays."""
    f = torch.linspace(6, -6, 481, dtype=torch.float64)
    figure, axes = grid(1, len(angles), width=10, height=2.7)
    for number, (ax, angle) in enumerate(zip(axes[0], angles, strict=True)):
        cosine = float(np.cos(np.radians(angle)))
        for form, (colour, dash) in LOOKS.items():
            ax.plot(
                f.numpy(), _per_mm(f, beta, cosine, form), dash, color=colour, lw=1.8, label=form
            )
            middle = -wall.depth_at(0.5, beta, cosine, form)
            ax.plot([middle], [0], "^", color=colour, ms=8, mec="black", clip_on=False, zorder=5)
        ax.axvline(0, color="0.6", lw=0.8)
        ax.set(xlim=(6, -6), ylim=(0, 0.62), xlabel="f [mm], outside to inside")
        ax.set_title(f"{angle} degrees from the normal", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
        if number:
            ax.set_yticklabels([])
    axes[0][0].set_ylabel("light stopped a mm of f")
    axes[0][0].legend(frameon=False, fontsize=8, loc="upper right")
    return figure


def _per_mm(f: torch.Tensor, beta: float, cosine: float, form: str) -> np.ndarray:
    share = wall.stopped(-f, beta, cosine, form)
    return np.asarray(np.abs(np.gradient(share.numpy(), f.numpy())))


def ray(beta: float, angle: int, samples: int, hit: float, form: str) -> View:
    """The panel: a ray of 60 mm that meets a wall, its density, and its samples' weights.

    Args:
        beta: mm.
        angle: between the ray and the normal, degrees.
        samples: even ones over the ray.
        hit: where it meets the surface, mm from its start.
        form: "VolSDF" or "NeuS".
    """
    cosine, spacing = float(np.cos(np.radians(angle))), LENGTH / samples
    t = torch.linspace(0, LENGTH, 301, dtype=torch.float64)
    places = (torch.arange(samples, dtype=torch.float64) + 0.5) * spacing
    sdf = (hit - places) * cosine
    weights = wall.sampled_weights(sdf, spacing, beta, form)
    hump = np.gradient(_of_this_ray((t - hit) * cosine, hit, beta, cosine, form), t.numpy())
    stems = (weights / spacing).numpy()

    distance = (hit - t) * cosine
    fog = (_density(distance, beta, form, cosine) * beta).numpy()
    way, at = t.numpy(), places.numpy()
    highest = max(float(hump.max()), float(stems.max()), 1e-3)
    figure, (left, right) = _ray_frame().copy()
    colour = LOOKS[form][0]
    left.plot(way, fog, color=colour, lw=1.8)
    left.plot(way, distance.numpy() / 40, color="0.35", lw=1.2, ls="--")
    left.set_title(f"{form}, {angle} degrees", fontsize=10, y=1.0)
    right.set_ylim(0, 1.15 * highest)
    right.fill_between(way, hump, color=colour, alpha=0.25, lw=0)
    right.vlines(at, 0, stems, color="black", lw=1)
    right.plot(at, stems, "o", color="black", ms=3.5)
    number_heights(right)
    for ax in (left, right):
        ax.axvline(hit, color=ORANGE, lw=1.4, ls=":")

    exact, middle = exactly(beta, angle, hit, form)
    seen, total = float(weights[sdf.abs() <= NEAR].sum()), float(weights.sum())
    off = float((weights * (places - hit)).sum() / max(total, 1e-6))
    facts = (
        f"within {NEAR:g} mm of the surface stops {exact:.0%} of the light, {seen:.0%} by these "
        f"samples; half of it has stopped {abs(middle):.2f} mm "
        f"{'behind' if middle > 0 else 'in front of'} it; mean depth of the samples: {off:+.1f} mm"
    )
    alt = (
        f"A ray at {angle} degrees meets a wall of beta {beta:g} mm ({form}). Left, f falls "
        f"through zero at the surface and the density rises there. Right, a hump of stopped light "
        f"and the weights of {samples} samples; {exact:.0%} of the hump lies within {NEAR:g} mm."
    )
    return View(figure, alt, facts)


@cache
def _ray_frame() -> Backdrop:
    """What stays of `ray`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.0), dpi=100)
    left = figure.add_axes((0.08, 0.17, 0.39, 0.72))
    right = figure.add_axes((0.58, 0.17, 0.40, 0.72))
    left.text(1.5, -0.8, "line: density x beta\ndashes: f / 40 mm", fontsize=8)
    left.set(ylim=(-1.05, 1.15), yticks=[-1, 0, 1])
    right.set_yticks([])
    right.set_title("light stopped a mm of ray", fontsize=10, y=1.0)
    for ax in (left, right):
        ax.set(xlim=(0, LENGTH), xticks=[0, 20, 40, 60])
        ax.set_xlabel("mm along the ray", fontsize=9)
        ax.tick_params(labelsize=8)
    return Backdrop.of(figure)


def exactly(beta: float, angle: int, hit: float, form: str) -> tuple[float, float]:
    """Of a ray that starts `hit` before the wall, were its samples infinitely many.

    Returns:
        the share of its light that stops within NEAR of the surface, and how far behind the surface
        half of it has stopped [mm, perpendicular].
    """
    cosine = float(np.cos(np.radians(angle)))
    ends = torch.tensor([-NEAR, NEAR], dtype=torch.float64)
    share = _of_this_ray(ends, hit, beta, cosine, form)
    start = torch.tensor(-hit * cosine, dtype=torch.float64)
    before = float(wall.stopped(start, beta, cosine, form))
    middle = wall.depth_at(before + 0.5 * (1 - before), beta, cosine, form)
    return float(share[1] - share[0]), middle


def _of_this_ray(
    depth: torch.Tensor, hit: float, beta: float, cosine: float, form: str
) -> np.ndarray:
    """Share stopped of what was there when the ray began, `hit` before the wall."""
    before = wall.stopped(torch.tensor(-hit * cosine, dtype=torch.float64), beta, cosine, form)
    share = wall.stopped(depth, beta, cosine, form)
    return np.asarray(((share - before) / (1 - before)).numpy())


def _density(f: torch.Tensor, beta: float, form: str, cosine: float) -> torch.Tensor:
    """Per mm of ray; NeuS's opaque density is the logistic density over its CDF."""
    if form == "NeuS":
        return torch.sigmoid(-f / beta) * cosine / beta
    return laplace_density(f, beta)


def thickness_bars(ax: Axes, rows: list[tuple[str, float, float]]) -> None:
    """A bar from front to back of a wall for each (name, front, back) [mm behind the surface]."""
    for number, (name, front, back) in enumerate(rows):
        ax.barh(number, back - front, 0.55, left=front, color=BLUE)
        ax.text(back + 0.4, number, f"{back - front:.1f} mm", va="center", fontsize=9)
        ax.text(front - 0.4, number, name, va="center", ha="right", fontsize=9)
    ax.axvline(0, color=ORANGE, lw=1.5, ls=":")
    ax.set(yticks=[], xlabel="mm behind the surface", xlim=(-32, 27))
    ax.invert_yaxis()
    ax.spines[["top", "right", "left"]].set_visible(False)
