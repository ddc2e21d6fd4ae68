"""Pictures of lesson 4's toy head: what it looks like, where its gradient comes from, its paint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from privhead_nb.teach.lesson04 import toy_head
from privhead_nb.viz.palette import BLUE, GREEN, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def views(yaws: Sequence[float]) -> Figure:
    """The toy head from several sides, and the moduli of these pictures."""
    figure, axes = grid(2, len(yaws), width=1.9 * len(yaws), height=3.9)
    for column, yaw in enumerate(yaws):
        colour = toy_head.render(toy_head.shape(), yaw).colour
        axes[0][column].imshow(colour.clamp(0, 1), interpolation="nearest")
        lines = toy_head.modulus(colour)
        axes[1][column].imshow(lines, cmap="gray_r", vmin=0, vmax=0.35, interpolation="nearest")
        axes[0][column].set_title(f"{np.degrees(yaw):.0f} degrees", fontsize=9)
    _bare(axes)
    return figure


def where_from(found: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """d loss / d number, pixel by pixel, for several numbers of the shape.

    Args:
        found: title -> share of each pixel (S, S), and the opacity (S, S).
    """
    figure, axes = grid(1, len(found), width=3.5 * len(found), height=3.2)
    for ax, (title, (share, opacity)) in zip(axes[0], found.items(), strict=True):
        top = float(share.abs().max())
        shown = ax.imshow(share, cmap="PuOr", vmin=-top, vmax=top, interpolation="nearest")
        ax.contour(opacity, levels=[0.5], colors="black", linewidths=0.8, linestyles="--")
        ax.set_title(title, fontsize=9)
        figure.colorbar(shown, ax=ax, shrink=0.8).ax.tick_params(labelsize=7)
    _bare(axes)
    return figure


def far(shifts: Tensor, losses: Tensor, slopes: Tensor) -> Figure:
    """Loss of a small ball over the way it is off, with the direction in which descent would go."""
    pixels = (shifts * toy_head.SIZE / 2).numpy()
    figure, axes = grid(1, 1, width=8.5, height=3.2)
    ax = axes[0][0]
    ax.plot(pixels, losses, color="0.4", lw=1.2, zorder=1)
    home = (slopes > 0).numpy()
    ax.plot(pixels[home], losses[home], "<", color=BLUE, ms=7, label="descent goes home")
    ax.plot(pixels[~home], losses[~home], ">", color=VERMILLION, ms=7, label="descent goes away")
    ax.axhline(1, color="0.55", ls=":", lw=1.2)
    ax.axvline(2 * 0.3 * toy_head.SIZE / 2, color="0.55", ls="--", lw=1)
    ax.text(2 * 0.3 * toy_head.SIZE / 2 + 0.2, 0.06, "no overlap beyond", fontsize=8, color="0.35")
    ax.set_ylim(0, 1.9)
    ax.set_xlabel("how far the ball is to the right of its target, pixels", fontsize=9)
    ax.set_ylabel("gradient loss; 1 = an empty picture", fontsize=9)
    ax.legend(fontsize=8, frameon=False, loc="lower center")
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def painted(pictures: Mapping[str, Tensor], losses: Sequence[float]) -> Figure:
    """Pictures (S, S, 3) over their moduli, and how the loss of the paint fell."""
    columns = len(pictures)
    figure, axes = grid(2, columns + 2, width=2.0 * (columns + 2), height=4.1)
    for column, (title, picture) in enumerate(pictures.items()):
        axes[0][column].imshow(picture.clamp(0, 1), interpolation="nearest")
        axes[0][column].set_title(title, fontsize=9)
        lines = toy_head.modulus(picture)
        axes[1][column].imshow(lines, cmap="gray_r", vmin=0, vmax=0.35, interpolation="nearest")
    _bare([row[:columns] for row in axes])
    places = axes[0][0].get_gridspec()
    assert places is not None
    for ax in (*axes[0][columns:], *axes[1][columns:]):
        ax.remove()
    ax = figure.add_subplot(places[:, columns:])
    ax.semilogy(range(1, len(losses) + 1), losses, color=VERMILLION, lw=1.8)
    ax.set_title("gradient loss; 1 = an empty picture", fontsize=9)
    ax.set_xlabel("steps of the paint alone", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def noses(heights: Sequence[float], left: Mapping[str, Sequence[float]]) -> Figure:
    """What loss the best paint leaves, over the height of the nose that was painted.

    Args:
        heights: of the noses.
        left: label -> losses.
    """
    figure, axes = grid(1, 1, width=7.5, height=3.2)
    ax = axes[0][0]
    styles = ((BLUE, "--", "v"), (VERMILLION, "-", "o"), (GREEN, "-.", "s"))
    for (label, losses), (colour, dash, mark) in zip(left.items(), styles, strict=False):
        ax.plot(heights, losses, dash, color=colour, marker=mark, lw=2, label=label)
    ax.axvline(0.2, color="0.55", ls=":", lw=1.2)
    ax.set_ylim(0, 1.15 * max(max(some) for some in left.values()))
    ax.text(0.203, ax.get_ylim()[1], "the true nose", fontsize=8, color="0.35", va="top")
    ax.set_xlabel("height of the nose that is painted", fontsize=9)
    ax.set_ylabel("loss that paint leaves", fontsize=9)
    ax.legend(fontsize=8, frameon=False)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _bare(axes: Sequence[Sequence[Axes]]) -> None:
    for row in axes:
        for ax in row:
            ax.set_xticks([])
            ax.set_yticks([])
