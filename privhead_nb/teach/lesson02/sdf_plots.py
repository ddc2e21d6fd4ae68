"""Pictures of lesson 02: slices of fields, where gradients break, and what training made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.field.sdf import difference_gradient
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.teach.lesson02.shapes import Shape, plane
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, VERMILLION
from privhead_nb.viz.plots import grid
from privhead_nb.viz.shading import shaded_normals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

SIDE = 161  # points along a slice
STEP = 0.1  # between contour lines


def values_on(
    shape: Shape, axis: str = "z", at: float = 0.0, side: int = SIDE
) -> NDArray[np.float64]:
    """f on a slice, (side, side), rows upwards."""
    points = plane(side, axis, at).reshape(-1, 3)
    with torch.no_grad():
        return np.asarray(shape(points).reshape(side, side).double().numpy())


def slices(
    shapes: Mapping[str, Shape],
    *,
    columns: int = 4,
    axis: str = "z",
    at: float = 0.0,
    reach: float = 0.6,
    step: float = STEP,
    truth: Shape | None = None,
    points: Tensor | None = None,
) -> Figure:
    """One slice a field: contours every `step`, inside dashed, the zero set thick.

    Args:
        shapes: f by title.
        columns: pictures in a row.
        axis, at: the slice (`shapes.plane`).
        reach: f at the ends of the colour map.
        step: between contour lines; 0 draws the zero set alone.
        truth: its zero set is drawn thin and orange.
        points: (N, 3), those within 0.02 of the slice are drawn as dots.
    """
    rows = -(-len(shapes) // columns)
    figure, axes = grid(rows, columns, width=1.88 * columns + 0.3, height=1.98 * rows + 0.1)
    flat = [ax for row in axes for ax in row]
    for ax, (name, shape) in zip(flat, shapes.items(), strict=False):
        image = _slice(ax, values_on(shape, axis, at), reach, step)
        if truth is not None:
            _contour(ax, values_on(truth, axis, at), [0.0], ORANGE, 1.4, "solid")
        if points is not None:
            across = "xyz".index(axis)
            near = points[(points[:, across] - at).abs() < 0.02]
            right, up = (0, 1) if axis == "z" else (2, 1)
            ax.plot(
                near[:, right].numpy(),
                near[:, up].numpy(),
                "o",
                color=VERMILLION,
                ms=3,
                mec="white",
                mew=0.4,
            )
        ax.set_title(name, fontsize=10)
    for ax in flat[len(shapes) :]:
        ax.set_axis_off()
    figure.colorbar(image, ax=flat, shrink=0.7, label="f", pad=0.01)
    return figure


def _slice(ax: Axes, values: NDArray[np.float64], reach: float, step: float) -> AxesImage:
    from matplotlib import colormaps

    bands = colormaps["cividis"].resampled(24)  # a smooth ramp would make a file twice as large
    image = ax.imshow(
        values, origin="lower", extent=(-1, 1, -1, 1), cmap=bands, vmin=-reach, vmax=reach,
        interpolation="nearest",
    )  # fmt: skip
    if step:
        levels = np.arange(-20, 21) * step
        _contour(ax, values, levels[levels < 0], "white", 0.7, "dashed")
        _contour(ax, values, levels[levels > 0], "black", 0.6, "solid")
    _contour(ax, values, [0.0], "black", 2.4, "solid")
    ax.set(xticks=[], yticks=[], xlim=(-1, 1), ylim=(-1, 1))
    return image


def _contour(
    ax: Axes,
    values: NDArray[np.float64],
    levels: Iterable[float],
    colour: str,
    width: float,
    dash: str,
) -> None:
    inside = [v for v in levels if values.min() < v < values.max()]
    if inside:
        across = np.linspace(-1, 1, len(values))
        ax.contour(
            across, across, values, inside, colors=[colour], linewidths=width, linestyles=dash
        )


def gradient_norm_on(
    shape: Shape, axis: str = "z", at: float = 0.0, side: int = SIDE
) -> NDArray[np.float64]:
    """||grad f|| on a slice by four taps, which dips where the gradient jumps; (side, side)."""

    class _Field:
        sdf = staticmethod(shape)

    points = plane(side, axis, at).reshape(-1, 3)
    with torch.no_grad():
        taps, _ = difference_gradient(_Field(), points, shape(points), 0.01)  # type: ignore[arg-type]
    return np.asarray(taps.norm(dim=-1).reshape(side, side).double().numpy())


def creases(shapes: Mapping[str, Shape]) -> Figure:
    """Where the gradient's norm is not 1, dark; the surface is the orange line."""
    figure, axes = grid(1, len(shapes), width=2.6 * len(shapes) + 0.6, height=2.9)
    for ax, (name, shape) in zip(axes[0], shapes.items(), strict=True):
        image = ax.imshow(
            gradient_norm_on(shape), origin="lower", extent=(-1, 1, -1, 1), cmap="gray",
            vmin=0, vmax=1,
        )  # fmt: skip
        _contour(ax, values_on(shape), [0.0], ORANGE, 2.0, "solid")
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize=10)
    figure.colorbar(image, ax=axes[0], shrink=0.8, label="norm of the gradient", pad=0.01)
    return figure


def bound_errors(shapes: Mapping[str, tuple[Shape, NDArray[np.float64]]]) -> Figure:
    """How much a field falls short of the true distance on a slice.

    Args:
        shapes: by title, f and the true distance |d| on the slice (side, side).
    """
    figure, axes = grid(1, len(shapes), width=3.0 * len(shapes) + 0.7, height=3.4)
    for ax, (name, (shape, exact)) in zip(axes[0], shapes.items(), strict=True):
        values = values_on(shape, side=len(exact))
        image = ax.imshow(
            (exact - np.abs(values)).clip(0), origin="lower", extent=(-1, 1, -1, 1),
            cmap="cividis", vmin=0, vmax=0.15,
        )  # fmt: skip
        _contour(ax, values_on(shape), [0.0], "white", 2.0, "solid")
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize=10)
    figure.colorbar(image, ax=axes[0], shrink=0.8, label="true distance less |f|", pad=0.01)
    return figure


def zigzags() -> Figure:
    """Three functions of one variable with slope 1 or -1 nearly everywhere and zeros at -1, 1."""
    x = np.linspace(-1.6, 1.6, 641)
    curves = {
        "the signed distance": np.abs(x) - 1,
        "inside and outside swapped": 1 - np.abs(x),
        "two more kinks": np.abs(np.abs(np.abs(x) - 1) - 0.25) - 0.25,
    }
    figure, axes = grid(1, 3, width=9, height=2.3)
    for ax, (name, values) in zip(axes[0], curves.items(), strict=True):
        ax.axhline(0, color="0.7", lw=0.8)
        ax.plot(x, values, color=BLUE, lw=1.8)
        ax.plot([-1, 1], [0, 0], "o", color=VERMILLION, ms=6)
        ax.set_title(name, fontsize=10)
        ax.set(ylim=(-1.15, 1.15), xlabel="x")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("f")
    return figure


def around(starts: Mapping[str, Shape], radius: float = 0.6) -> Figure:
    """f along a circle of the given radius in the plane z = 0, by the name of the network."""
    angle = torch.linspace(0, 2 * torch.pi, 361)
    circle = radius * torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], -1)
    figure, axes = grid(1, 1, width=7.5, height=2.8)
    ax = axes[0][0]
    looks = ((ORANGE, ":"), (GREEN, "--"), (BLUE, "-"), ("black", "-."))
    for (name, start), (colour, dash) in zip(starts.items(), looks, strict=False):
        with torch.no_grad():
            values = start(circle).numpy()
        ax.plot(np.degrees(angle.numpy()), values, dash, color=colour, lw=1.8, label=name)
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set(xlabel="angle along the circle [degrees]", ylabel="f", xticks=range(0, 361, 90))
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def norm_histograms(norms: Mapping[str, Tensor]) -> Figure:
    """||grad f|| at random places, one panel a run; the dashed line is 1."""
    figure, axes = grid(1, len(norms), width=2.6 * len(norms) + 0.4, height=2.3)
    bins = np.linspace(0, 2, 41).tolist()
    for number, (ax, (name, values)) in enumerate(zip(axes[0], norms.items(), strict=True)):
        shown = values.clamp(max=1.999).numpy()
        ax.hist(shown, bins, color=BLUE, weights=np.full(len(shown), 1 / len(shown)))
        ax.axvline(1, color="black", lw=1, ls="--")
        ax.set_title(name, fontsize=10)
        ax.set(xlim=(0, 2), ylim=(0, 0.45), xlabel="norm of the gradient")
        ax.spines[["top", "right"]].set_visible(False)
        if number:
            ax.set_yticklabels([])
    axes[0][0].set_ylabel("share of places")
    return figure


def level_rows(rows: Mapping[str, Mapping[str, Mesh]], view: str = "three-quarter") -> Figure:
    """Level sets as clay heads, all to one scale: a row for each field, a column for each level.

    Args:
        rows: row title -> level's name -> mesh.
        view: of `shading.VIEWS`.
    """
    count = len(next(iter(rows.values())))
    every = np.concatenate([mesh.vertices for meshes in rows.values() for mesh in meshes.values()])
    low, high = every.min(axis=0), every.max(axis=0)
    center, extent = (low + high) / 2, 0.52 * float((high - low).max())
    figure, axes = grid(len(rows), count, width=1.75 * count, height=1.95 * len(rows))
    for number, (line, (name, meshes)) in enumerate(zip(axes, rows.items(), strict=True)):
        for ax, (level, mesh) in zip(line, meshes.items(), strict=True):
            ax.imshow(
                shaded_normals(mesh, view, 200, center=list(center), extent=extent), vmin=0, vmax=1
            )
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if number == 0:
                ax.set_title(level, fontsize=10)
        line[0].set_ylabel(name, fontsize=10)
    return figure


def shaded(depth: Tensor, normals: Tensor, side: int) -> Figure:
    """What a tracer saw: depth and clay, (side, side) rays, rows upwards.

    Args:
        depth: (side^2,), infinite where nothing was met.
        normals: (side^2, 3), unit.
    """
    met = torch.isfinite(depth).reshape(side, side)
    far = np.where(met.numpy(), depth.reshape(side, side).numpy(), np.nan)
    light = torch.nn.functional.normalize(torch.tensor([-0.45, 0.55, 0.70]), dim=0)
    clay = 0.12 + 0.45 * normals[:, 2].clamp(0, 1) + 0.43 * (normals @ light).clamp(0, 1)
    clay = torch.where(met, clay.reshape(side, side), torch.ones(side, side))
    figure, axes = grid(1, 2, width=7.4, height=3.4)
    image = axes[0][0].imshow(far, origin="lower", cmap="cividis_r")
    figure.colorbar(image, ax=axes[0][0], shrink=0.8, label="depth along the ray")
    axes[0][1].imshow(clay.numpy(), origin="lower", cmap="gray", vmin=0, vmax=1)
    for ax, name in zip(axes[0], ("depth", "lit by the gradient"), strict=True):
        ax.set(xticks=[], yticks=[])
        ax.set_title(name, fontsize=10)
    return figure
