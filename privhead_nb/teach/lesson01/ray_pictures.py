"""Pictures of lesson 1: rays through a head, and what happens on one of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.kernels.compositing import laplace_density, weights_from_density
from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.scene import Scene
from privhead_nb.teach import interactive
from privhead_nb.teach.backdrop import Backdrop
from privhead_nb.teach.extras import notebook_library
from privhead_nb.teach.lesson01 import fog
from privhead_nb.teach.lesson01.fog import LENGTH, Bump, Seen
from privhead_nb.teach.lesson01.sampling_error import HeadRays
from privhead_nb.teach.widgets import View
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.viz.palette import BLUE, GREEN, PURPLE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

MARKS = (
    (BLUE, "-"),
    (VERMILLION, "--"),
    (GREEN, "-."),
    (PURPLE, ":"),
    ("black", (0, (5, 1, 1, 1))),
)


def slice_of(head: Reconstruction, across: float = 200.0, step: float = 2.0) -> Tensor:
    """The field in the head's plane of symmetry, x = 0, in mm; (Y, Z), rising from -across."""
    axis = torch.arange(-across, across + step / 2, step)
    y, z = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([torch.zeros_like(y), y, z], -1).reshape(-1, 3)
    with torch.no_grad():
        unit = (points - torch.tensor(head.center)) / head.radius
        return head.model.sdf(unit).reshape(y.shape) * head.radius


def rays_through_head(
    scene: Scene, head: Reconstruction, view: int, rows: Sequence[float]
) -> Figure:
    """Pixels of the middle column of a frontal view, and their rays from the side.

    Args:
        scene: its photo is shown.
        head: its field is cut open.
        view: a camera in the plane x = 0.
        rows: pixel index coordinates of at most five rays.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.5), dpi=100)
    photo = figure.add_axes((0.03, 0.12, 0.25, 0.78))
    side = figure.add_axes((0.35, 0.15, 0.64, 0.75))
    middle = (scene.cameras.width - 1) / 2
    xy = torch.tensor([[middle, y] for y in rows])
    origins, directions = scene.cameras.rays(torch.full((len(rows),), view), xy)
    photo.imshow(scene.images[view].numpy(), interpolation="nearest")
    photo.set_title(f"view {view}, {scene.cameras.width} x {scene.cameras.height}", fontsize=10)
    photo.set_xticks([0, 31, 63])
    photo.set_yticks([0, 31, 63])
    photo.tick_params(labelsize=8)
    field, reach = slice_of(head), 200.0
    axis = np.linspace(-reach, reach, field.shape[0])
    side.contourf(axis, axis, field.numpy(), levels=[-300, 0], colors=["#e3ddd3"])
    side.contour(axis, axis, field.numpy(), levels=[0], colors="black", linewidths=1.2)
    lines = zip(rows, origins, directions, MARKS, strict=False)
    for number, (row, o, d, (colour, dash)) in enumerate(lines, start=1):
        end = o + float((o[2] + reach) / -d[2]) * d
        side.plot([o[2], end[2]], [o[1], end[1]], color=colour, ls=dash, lw=1.5)
        side.text(end[2] - 6, end[1], str(number), ha="right", va="center", fontsize=9)
        photo.plot(middle, row, "o", color=colour, mec="white", ms=7)
        photo.text(middle + 3, row, str(number), va="center", fontsize=9, color="black",
                   bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"})  # fmt: skip
    eye = origins[0]
    side.plot(eye[2], eye[1], "ks", ms=9)
    side.annotate("camera", (float(eye[2]), float(eye[1])), (0, 12), textcoords="offset points",
                  ha="center", fontsize=9)  # fmt: skip
    side.set_aspect("equal")
    side.set_xlim(-reach - 35, float(eye[2]) + 40)
    side.set_ylim(-reach - 40, reach)
    side.set_xlabel("z [mm], the face looks this way >", fontsize=9)
    side.set_ylabel("y [mm]", fontsize=9)
    side.tick_params(labelsize=8)
    side.set_title("the same rays from the side; the cut head is shaded", fontsize=10)
    return figure


def rays_to_turn(
    head: Reconstruction, cameras: Cameras, views: Sequence[int], xy: Tensor, faces: int = 3000
) -> go.Figure:
    """The head's mesh and the rays of pixels xy (N, 2) of some views, to turn with the mouse.

    Of each ray only the part near the head, so that the head is not a dot.
    """
    go = notebook_library("plotly.graph_objects")
    figure = interactive.turning({"head": head.mesh}, faces=faces)
    figure.layout.updatemenus = ()
    for number, view in enumerate(views):
        o, d = cameras.rays(torch.full((len(xy),), view), xy)
        middle = float((o[0] - torch.tensor(head.center)).norm())
        near, far = o + (middle - 2 * head.radius) * d, o + (middle + head.radius) * d
        ends = torch.stack([near, far, torch.full_like(o, torch.nan)], 1).reshape(-1, 3)
        x, y, z = ends.T.numpy()
        line = {"color": MARKS[number][0], "width": 4, "dash": ("solid", "dash")[number % 2]}
        figure.add_trace(go.Scatter3d(x=x, y=y, z=z, mode="lines", line=line, name=f"view {view}"))
    lamp = {"x": 600, "y": 500, "z": 900}
    figure.update_traces(lightposition=lamp, selector={"type": "mesh3d"})
    oblique = {"eye": {"x": 0.75, "y": 0.35, "z": 0.85}, "projection": {"type": "perspective"}}
    figure.update_layout(showlegend=True, legend={"x": 0, "y": 1}, scene_camera=oblique)
    return figure


def real_ray(rays: HeadRays, number: int, betas: Sequence[float]) -> Figure:
    """One ray through a head: the field on it, and density and weights for some betas.

    Args:
        rays: of a picture.
        number: which of them.
        betas: unit-sphere lengths, at most four.
    """
    near, far = float(rays.near[number]), float(rays.far[number])
    t = torch.linspace(near, far, 2001)
    o, d = rays.rays.origins[number], rays.rays.directions[number]
    with torch.no_grad():
        f = rays.head.model.sdf(o + t[:, None] * d)
    deltas, mm = torch.diff(t, append=t[-1:]), t * rays.head.radius
    figure, axes = grid(1, 3, width=11, height=2.9)
    field, density, weight = axes[0]
    field.plot(mm, f * rays.head.radius, color="black", lw=1.8)
    field.axhline(0, color="0.6", lw=0.8)
    for beta, (colour, dash) in zip(betas, MARKS, strict=False):
        sigma = laplace_density(f, beta)
        w = weights_from_density(sigma, deltas) / deltas.clamp_min(1e-9)
        name = f"beta = {beta * rays.head.radius:.1f} mm"
        density.plot(mm, sigma / rays.head.radius, color=colour, ls=dash, lw=1.6, label=name)
        weight.plot(mm, w / rays.head.radius, color=colour, ls=dash, lw=1.6, label=name)
    titles = ("signed distance f [mm]", "density [1/mm]", "weight per mm")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("depth t [mm]", fontsize=9)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    density.legend(fontsize=8, frameon=False)
    first = float(mm[(f < 0).nonzero()[0, 0]]) if bool((f < 0).any()) else float(mm[-1])
    weight.set_xlim(first - 40, first + 40)
    weight.axvline(first, color="0.6", lw=0.8)
    weight.set_title("weight per mm, close to the surface", fontsize=10)
    return figure


def ray_view(bumps: Sequence[Bump], count: int, how: str) -> View:
    """A ray through bumps of fog: density, alpha and T, weights, and what is seen.

    A panel redraws it while a slider moves: few artists over a kept backdrop.

    Args:
        bumps: on the ray.
        count: samples.
        how: one of `fog.PLACINGS`.
    """
    from matplotlib.collections import LineCollection

    seen, right = fog.look(bumps, fog.place(bumps, count, how)), fog.exact(bumps)
    figure, (ax,) = _tracks().copy()
    edges = np.append(seen.t.numpy(), LENGTH)
    dense = max(1e-3, float(right.density.max()), float(seen.density.max()))
    heavy = max(1e-3, float(seen.weights.max()))
    ax.fill_between(right.t.numpy()[::8], 2.4, 2.4 + right.density.numpy()[::8] / dense,
                    color="0.8", lw=0)  # fmt: skip
    steps = [
        _steps(edges, 2.4 + seen.density.numpy() / dense, 2.4),
        _steps(edges, 1.2 + seen.through.numpy()),
        _steps(edges, 1.2 + seen.alpha.numpy(), 1.2),
    ]
    ax.add_collection(
        LineCollection(
            steps, colors=(BLUE, "black", VERMILLION), linewidths=(1.3, 1.7, 1.3),
            linestyles=("-", "-", "--"),
        ),
        autolim=False,
    )  # fmt: skip
    stems = [((t, 0), (t, w)) for t, w in zip(edges, seen.weights.numpy() / heavy, strict=False)]
    depths = [((one.depth, 0), (one.depth, 1.02)) for one in (seen, right)]
    colours = [*fog.rgb(seen.colours).tolist(), "black", "black"]
    ax.add_collection(
        LineCollection(
            stems + depths, colors=colours, linewidths=[4.0] * count + [1.5] * 2,
            linestyles=["-"] * (count + 1) + [":"],
        ),
        autolim=False,
    )  # fmt: skip
    for height, most in ((3.47, f"{dense:.3g}"), (1.07, f"{heavy:.2f}")):
        ax.text(LENGTH, height, f"up to {most}", fontsize=9, ha="right")
    _seen_box(figure, 0.56, seen, f"{count} samples")
    _seen_box(figure, 0.07, right, "exact")
    empty = not_there(bumps, right)
    lie = ", a place without fog" if empty else ""
    facts = (
        f"{count} samples, {how}: depth {seen.depth:.2f}, exact {right.depth:.2f}{lie}; opacity "
        f"{seen.opacity:.2f}, exact {right.opacity:.2f}"
    )
    alt = (
        f"A ray through {len(bumps)} bumps of fog, {count} samples placed {how}: density, alpha, "
        f"transmittance and weights over the depth. Sampled: depth {seen.depth:.2f}, opacity "
        f"{seen.opacity:.2f}. Exact: depth {right.depth:.2f}, opacity {right.opacity:.2f}{lie}."
    )
    return View(figure, alt, facts)


@cache
def _tracks() -> Backdrop:
    """What stays of `ray_view`: three tracks, their names, and the axis. One axes serves all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.4), dpi=100)
    ax = figure.add_axes((0.02, 0.1, 0.7, 0.88))
    words = (
        (3.47, "density: grey as it is, blue as sampled"),
        (2.27, "T (black, solid) and alpha (red, dashed), 0 to 1"),
        (1.07, "weights; depth sampled (solid), exact (dotted)"),
    )
    for height, text in words:
        ax.text(0.02, height, text, fontsize=9)
        ax.axhline(height - 1.07, color="0.5", lw=0.8)
    ax.set(xlim=(0, LENGTH), ylim=(-0.03, 3.68), xticks=[0, 0.5, 1, 1.5, 2], xlabel="depth t")
    ax.yaxis.set_visible(False)
    ax.spines[:].set_visible(False)
    return Backdrop.of(figure)


def _steps(
    edges: NDArray[np.float64], values: NDArray[np.float64], base: float | None = None
) -> NDArray[np.float64]:
    """Points of a line of steps, one value from each edge to the next, from `base` and back to it.

    Args:
        edges: (S + 1,).
        values: (S,).
    """
    line = np.column_stack([np.repeat(edges, 2)[1:-1], np.repeat(values, 2)])
    if base is None:
        return line
    return np.vstack([(edges[0], base), line, (edges[-1], base)])


def _seen_box(figure: Figure, low: float, seen: Seen, title: str) -> None:
    """The ray's colour as a box at the figure's right, and its numbers beside it."""
    from matplotlib.patches import Rectangle

    colour = fog.rgb(seen.colour)
    figure.add_artist(Rectangle((0.75, low), 0.23, 0.2, facecolor=colour, edgecolor="black"))
    words = f"{title}\nopacity {seen.opacity:.2f}\ndepth {seen.depth:.2f}, spread {seen.spread:.2f}"
    figure.text(0.75, low + 0.22, words, fontsize=9, va="bottom")


def not_there(bumps: Sequence[Bump], seen: Seen, least: float = 0.05) -> bool:
    """Whether a ray that is at least half stopped shows a depth where there is next to no fog."""
    density, _ = fog.fog(bumps, torch.tensor([seen.depth], dtype=torch.float64))
    return seen.opacity >= 0.5 and float(density) < least * float(seen.density.max())


VEIL_COLOUR, WALL_COLOUR = (0.902, 0.624, 0.0), (0.0, 0.447, 0.698)  # palette.ORANGE, BLUE
VEIL_AND_WALL = (Bump(0.6, 4.0, 0.07, VEIL_COLOUR), Bump(1.4, 60.0, 0.06, WALL_COLOUR))
