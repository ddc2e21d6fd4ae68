"""Pictures of lesson 1: what a rendered head consists of, its backgrounds, and its outline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.render.volume import Rendered
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Window = tuple[slice, slice]


def around(shown: Tensor, margin: int = 3) -> Window:
    """The square window around all that is True in (H, W), with a margin of pixels."""
    rows, columns = shown.any(1).nonzero()[:, 0], shown.any(0).nonzero()[:, 0]
    spans = [(int(i[0]), int(i[-1])) for i in (rows, columns)]
    half = max(b - a for a, b in spans) // 2 + margin
    window = []
    for (a, b), size in zip(spans, shown.shape, strict=True):
        middle = min(max((a + b) // 2, half), size - half)
        window.append(slice(max(0, middle - half), min(size, middle + half)))
    return window[0], window[1]


def four_pictures(rendered: Rendered) -> Figure:
    """Colour, opacity, depth and normals of one view; normals as colours, (n + 1) / 2."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 3.5), dpi=100)
    places = [(0.005 + 0.25 * k, 0.19, 0.24, 0.73) for k in range(4)]
    colour, opacity, depth, normals = (figure.add_axes(place) for place in places)
    met = (rendered.opacity > 0.5).numpy()
    window = around(rendered.opacity > 0.01)
    far_away = np.ma.masked_where(~met, rendered.depth.numpy())
    colour.imshow(rendered.colour.clamp(0, 1).numpy()[window])
    shares = opacity.imshow(rendered.opacity.numpy()[window], cmap="gray", vmin=0, vmax=1)
    far = depth.imshow(far_away[window], cmap="cividis_r")
    normals.imshow(np.where(met[..., None], normal_colours(rendered.normals), 1.0)[window])
    titles = ("colour", "opacity", "depth [mm]", "normals as colours")
    for ax, title in zip((colour, opacity, depth, normals), titles, strict=True):
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()
    for number, shown in ((1, shares), (2, far)):
        bar = figure.add_axes((0.035 + 0.25 * number, 0.13, 0.18, 0.04))
        figure.colorbar(shown, cax=bar, orientation="horizontal").ax.tick_params(labelsize=8)
    return figure


def normal_colours(normals: Tensor) -> NDArray[np.float32]:
    """Unit normals (H, W, 3) as colours: red for +x, green for +y, blue for +z."""
    length = normals.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    return (0.5 + 0.5 * normals / length).clamp(0, 1).numpy()


def backgrounds(pictures: Mapping[str, Tensor]) -> Figure:
    """Pictures (H, W, 3) side by side with their names, each in a frame."""
    figure, axes = grid(1, len(pictures), width=2.6 * len(pictures), height=2.9)
    for ax, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        ax.imshow(picture.clamp(0, 1).numpy())
        ax.set_title(name, fontsize=10)
        ax.set(xticks=[], yticks=[])
    return figure


def checks(size: int, squares: int = 8) -> Tensor:
    """A chessboard (size, size, 3) of two greys."""
    step = torch.arange(size) * squares // size
    board = ((step[:, None] + step[None, :]) % 2).float()
    return (0.45 + 0.4 * board)[..., None].expand(size, size, 3)


def outlines(pictures: Mapping[str, Tensor], window: Window) -> Figure:
    """Opacities (H, W), a part of each, in large pixels."""
    figure, axes = grid(1, len(pictures), width=3.3 * len(pictures), height=3.4)
    for ax, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        ax.imshow(_part(picture, window), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(name, fontsize=10)
        ax.set_axis_off()
    return figure


def _part(picture: Tensor, window: Window) -> NDArray[Any]:
    return picture[window].numpy()
