"""Pictures of lesson 02: slices through fields, with their level lines."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from privhead_nb.field.sdf import difference_gradient
from privhead_nb.teach.lesson02.shapes import Shape, plane
from privhead_nb.viz import style
from privhead_nb.viz.style import ORANGE, VERMILLION, grid, image

if TYPE_CHECKING:
    from IPython.display import Image
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 161  # points along a slice
STEP = 0.1  # between contour lines


def values_on(shape: Shape, axis: str = "z", side: int = SIDE) -> NDArray[np.float64]:
    """f on a slice through the middle, (side, side), rows upwards."""
    points = plane(side, axis).reshape(-1, 3)
    with torch.no_grad():
        return np.asarray(shape(points).reshape(side, side).double().numpy())


def gradient_norm_on(shape: Shape, side: int = SIDE) -> NDArray[np.float64]:
    """||grad f|| on the slice z = 0 by four taps, which dips where the gradient jumps."""

    class _Field:
        sdf = staticmethod(shape)

    points = plane(side).reshape(-1, 3)
    with torch.no_grad():
        taps, _ = difference_gradient(_Field(), points, shape(points), 0.01)  # type: ignore[arg-type]
    return np.asarray(taps.norm(dim=-1).reshape(side, side).double().numpy())


def slices(
    shapes: Mapping[str, Shape],
    values: Mapping[str, ArrayLike] | None = None,
    *,
    columns: int = 4,
    width: float = 10.5,
    axis: str = "z",
    label: str = "f",
    line: str = "black",
    truth: Shape | None = None,
    points: Tensor | None = None,
    **colours: Any,
) -> Figure:
    """One slice through the middle of each field, its zero set as a thick line.

    Args:
        shapes: f by title.
        values: by the same titles, what is drawn in place of f, (side, side) with rows upwards;
            without, f is drawn with a contour every STEP, dashed inside.
        columns: pictures in a row, all rows full.
        width: of the figure, in inches.
        axis: perpendicular to the slice, "z" or "x" (`shapes.plane`).
        label: of the colour bar.
        line: colour of the zero set.
        truth: its zero set is drawn thin and orange.
        points: (N, 3), those within 0.02 of the slice are drawn as dots.
        colours: of the colour map: cmap, vmin, vmax.
    """
    cmap = matplotlib.colormaps["cividis"].resampled(round(1.2 / STEP))  # a colour a band
    bands = {"cmap": cmap, "vmin": -0.6, "vmax": 0.6} | colours
    rows = len(shapes) // columns
    tall = (width - 0.5) / columns * rows + 0.25
    figure, axes = grid(rows, columns, width=width, height=tall)
    flat = [ax for row in axes for ax in row]
    for ax, (name, shape) in zip(flat, shapes.items(), strict=True):
        f = values_on(shape, axis)
        shown = f if values is None else values[name]
        image(ax, shown, name, origin="lower", extent=(-1, 1, -1, 1), **bands)
        if values is None:
            levels = np.arange(1, 21) * STEP
            _contour(ax, f, -levels[::-1], "white", linewidths=0.7, linestyles="dashed")
            _contour(ax, f, levels, "black", linewidths=0.6)
        _contour(ax, f, [0.0], line, linewidths=2.4)
        if truth is not None:
            _contour(ax, values_on(truth, axis), [0.0], ORANGE, linewidths=1.4)
        if points is not None:
            near = points[points[:, "xyz".index(axis)].abs() < 0.02]
            right, up = near[:, (0, 1) if axis == "z" else (2, 1)].T
            ax.plot(right, up, "o", color=VERMILLION, ms=3, mec="white", mew=0.4)
    figure.colorbar(flat[0].images[0], ax=flat, shrink=0.7, label=label, pad=0.01)
    return figure


def show(figure: Figure, alt: str) -> Image:
    """What `viz.style.show` shows, in 256 colours: level lines take a third of the bytes."""
    from IPython.display import Image
    from PIL import Image as Pillow

    picture, data = Pillow.open(BytesIO(style.show(figure, alt).data)), BytesIO()
    few = picture.convert("RGB").quantize(256, dither=Pillow.Dither.NONE)
    few.save(data, format="png", optimize=True)
    kept: dict[str, Any] = {"alt": alt}
    return Image(data=data.getvalue(), format="png", **kept)


def _contour(
    ax: Axes, values: NDArray[np.float64], levels: ArrayLike, colour: str, **look: Any
) -> None:
    inside = [v for v in np.asarray(levels) if values.min() < v < values.max()]
    if inside:
        across = np.linspace(-1, 1, len(values))
        ax.contour(across, across, values, inside, colors=[colour], **look)
