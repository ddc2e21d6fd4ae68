"""Pictures of lesson 4: patches, landscapes of both losses, fading and stripes; and its panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.teach.backdrop import Backdrop, number_heights
from privhead_nb.teach.lesson04 import landscape
from privhead_nb.teach.lesson04.landscape import Curve
from privhead_nb.training.batches import patch_weights
from privhead_nb.viz.palette import BLUE, GREEN, PURPLE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Each loss has its own colour and dash, so that neither alone tells them.
GRADIENT: dict[str, Any] = {"color": VERMILLION, "ls": "-", "lw": 2}
RGB: dict[str, Any] = {"color": BLUE, "ls": "--", "lw": 2}
EMPTY: dict[str, Any] = {"color": "0.55", "ls": ":", "lw": 1.2}


def side_by_side(pictures: Mapping[str, Tensor], *, top: float | None = None) -> Figure:
    """Pictures (H, W, 3) as they are, moduli (H, W) as dark lines on white, in one row.

    Args:
        pictures: by their titles.
        top: modulus that is drawn black; by default the 99.5th percentile of the first modulus.
    """
    figure, axes = grid(1, len(pictures), width=2.4 * len(pictures), height=2.7)
    for ax, (title, picture) in zip(axes[0], pictures.items(), strict=True):
        if picture.ndim == 2:
            top = top or float(picture.quantile(0.995))
            ax.imshow(picture, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest")
        else:
            ax.imshow(picture.clamp(0, 1), interpolation="nearest")
        ax.set_title(title, fontsize=9)
        _frame(ax)
    return figure


def patches(modulus: Tensor, patch: int, count: int, generator: torch.Generator) -> Figure:
    """One view: where patches of a step are, drawn by signal and evenly, and who is compared.

    Args:
        modulus: released, (H, W).
        patch: side in pixels.
        count: patches to draw.
    """
    from matplotlib.patches import Rectangle

    places = patch_weights(modulus[None], patch)[0]
    even = torch.ones_like(places)
    figure, axes = grid(1, 3, width=10, height=3.7)
    top = float(modulus.quantile(0.995))
    titles = ("drawn by signal", "drawn evenly")
    for ax, weights, title in zip(axes[0], (places, even), titles, strict=False):
        ax.imshow(modulus, cmap="gray_r", vmin=0, vmax=top, interpolation="nearest")
        drawn = torch.multinomial(weights.flatten(), count, replacement=True, generator=generator)
        for corner in drawn.tolist():
            y, x = divmod(corner, weights.shape[1])
            outer = Rectangle((x - 0.5, y - 0.5), patch, patch, fill=False, ec=BLUE, lw=1)
            inner = Rectangle(
                (x + 0.5, y + 0.5), patch - 2, patch - 2, fc=VERMILLION, alpha=0.35, ec="none"
            )
            ax.add_patch(outer)
            ax.add_patch(inner)
        ax.set_title(f"{count} patches, {title}", fontsize=9)
        _frame(ax)
    seen = axes[0][2].imshow(landscape.compared(len(modulus), patch), cmap="cividis")
    axes[0][2].set_title("in how many of all patches\na pixel is compared", fontsize=9)
    figure.colorbar(seen, ax=axes[0][2], shrink=0.8)
    _frame(axes[0][2])
    return figure


def patch_sizes(signal: Tensor, sides: Sequence[int], threshold: float) -> Figure:
    """What a ray is worth over the side of its patch.

    Args:
        signal: released moduli (V, H, W).
        sides: pixels.
        threshold: a modulus over it is useful.
    """
    shares = [landscape.useful(signal, side, threshold) for side in sides]
    kept = [((side - 2) / side) ** 2 for side in sides]
    figure, axes = grid(1, 2, width=10, height=3.2)
    left, right = axes[0]
    left.plot(sides, kept, "k-o", ms=4, label="share of rays whose pixel is compared")
    left.plot(sides, [s[0] for s in shares], **GRADIENT, marker="s", ms=4,
              label="share of those with signal, drawn by signal")  # fmt: skip
    left.plot(sides, [s[1] for s in shares], **RGB, marker="v", ms=4,
              label="share of those with signal, drawn evenly")  # fmt: skip
    left.legend(fontsize=8, frameon=False, loc="lower right")
    left.set_ylim(0, 1.02)
    value = [landscape.worth(signal, side, threshold) for side in sides]
    right.plot(sides, [v[0] for v in value], **GRADIENT, marker="s", ms=4, label="drawn by signal")
    right.plot(sides, [v[1] for v in value], **RGB, marker="v", ms=4, label="drawn evenly")
    right.axvline(10, **EMPTY)
    right.text(10.4, 0.01, "the package's 10", fontsize=8, color="0.35")
    right.set_ylim(0, None)
    right.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.1))
    right.set_title("useful pixels a ray: the product", fontsize=9)
    for ax in (left, right):
        ax.set_xlabel("side of a patch, pixels", fontsize=9)
        _lean(ax)
    return figure


def curves(named: Mapping[str, Curve]) -> Figure:
    """Both losses over each change, in one row; 1 is the loss of an empty picture.

    Args:
        named: label of the axis -> losses.
    """
    figure, axes = grid(1, len(named), width=2.2 + 2.2 * len(named), height=3.0)
    for ax, (label, curve) in zip(axes[0], named.items(), strict=True):
        ax.plot(curve.steps, curve.gradient, **GRADIENT, label="gradient loss")
        ax.plot(curve.steps, curve.rgb, **RGB, label="RGB loss")
        ax.axhline(1, **EMPTY)
        ax.set_xlabel(label, fontsize=9)
        _lean(ax)
        ax.set_ylim(-0.05, 2.05)
    axes[0][0].set_ylabel("loss; 1 = an empty picture", fontsize=9)
    handles = axes[0][0].get_legend_handles_labels()
    figure.legend(*handles, fontsize=9, frameon=False, loc="outside upper center", ncols=2)
    return figure


def maps(axis: Tensor, losses: Curve) -> Figure:
    """Both losses over shifts in two directions, with level lines."""
    figure, axes = grid(1, 2, width=9, height=4)
    reach = float(axis[-1])
    extent = (-reach - 0.5, reach + 0.5, reach + 0.5, -reach - 0.5)
    for ax, name, title in zip(
        axes[0], ("rgb", "gradient"), ("RGB loss", "gradient loss"), strict=True
    ):
        values = getattr(losses, name)
        shown = ax.imshow(values, cmap="cividis", extent=extent, vmin=0, vmax=values.max())
        levels = np.linspace(0, float(values.max()), 9)[1:-1]
        ax.contour(axis, axis, values, levels=levels, colors="white", linewidths=0.7)
        ax.plot(0, 0, "o", mfc="none", mec="white", ms=7)
        ax.set_title(title, fontsize=10)
        ax.set_xlabel("shift to the right, pixels", fontsize=9)
        ax.set_ylabel("shift down, pixels", fontsize=9)
        ax.tick_params(labelsize=8)
        figure.colorbar(shown, ax=ax, shrink=0.85)
    return figure


def blurs(found: Mapping[float, Curve]) -> Figure:
    """The gradient loss over a shift for several widths of blur, and its half-widths."""
    figure, axes = grid(1, 2, width=10, height=3.2)
    left, right = axes[0]
    dashes = ("-", "--", "-.", ":")
    for dash, (blur, curve) in zip(dashes, found.items(), strict=False):
        left.plot(curve.steps, curve.gradient, dash, color="black", label=f"blur {blur:g}")
    left.axhline(1, **EMPTY)
    left.set_xlabel("shift, pixels", fontsize=9)
    left.set_ylabel("loss; 1 = an empty picture", fontsize=9)
    left.legend(fontsize=8, frameon=False)
    widths = [landscape.half_width(c.steps, c.gradient) for c in found.values()]
    right.plot(list(found), widths, "k-o", label="gradient loss")
    rgb = [landscape.half_width(c.steps, c.rgb) for c in found.values()]
    right.plot(list(found), rgb, **RGB, label="RGB loss, pictures not blurred")
    right.set_ylim(0, None)
    right.set_xlabel("sigma of the blur, pixels", fontsize=9)
    right.set_ylabel("half-width of the basin, pixels", fontsize=9)
    right.legend(fontsize=8, frameon=False, loc="center right", bbox_to_anchor=(1, 0.6))
    for ax in (left, right):
        _lean(ax)
    return figure


def fading(shifts: Tensor, best: Tensor, left: Tensor, full: Tensor) -> Figure:
    """The best contrast of lines that are off, and what loss it leaves.

    Args:
        shifts, best, left: from `landscape.fading`.
        full: losses at full contrast.
    """
    figure, axes = grid(1, 2, width=10, height=3.0)
    axes[0][0].plot(shifts, best, color=PURPLE, lw=2, marker="o", ms=4)
    axes[0][0].set_ylabel("contrast with the least loss", fontsize=9)
    axes[0][0].set_ylim(-0.05, 1.1)
    axes[0][1].plot(shifts, full, **GRADIENT, label="at full contrast")
    axes[0][1].plot(
        shifts, left, color=PURPLE, lw=2, marker="o", ms=4, label="at the best contrast"
    )
    axes[0][1].axhline(1, **EMPTY)
    axes[0][1].set_ylabel("gradient loss; 1 = an empty picture", fontsize=9)
    axes[0][1].legend(fontsize=8, frameon=False, loc="lower right")
    for ax in axes[0]:
        ax.set_xlabel("how far the lines are off, pixels", fontsize=9)
        _lean(ax)
    return figure


def stripes(coarse: Curve, period: float, fine: float) -> Figure:
    """Stripes: twice the minima, and what a ray through a pixel's middle makes of fine ones.

    Args:
        coarse: losses over the shift of stripes of some `period`.
        fine: a period near a pixel's width.
    """
    figure, axes = grid(1, 4, width=11.5, height=2.9)
    ax = axes[0][0]
    ax.plot(coarse.steps, coarse.gradient / coarse.gradient.max(), **GRADIENT, label="gradient")
    ax.plot(coarse.steps, coarse.rgb / coarse.rgb.max(), **RGB, label="RGB")
    ax.set_title(f"stripes of {period:g} pixels: both losses", fontsize=9)
    ax.set_xlabel("shift, pixels", fontsize=9)
    ax.set_ylim(-0.05, 1.45)
    ax.legend(fontsize=8, frameon=False, loc="upper center", ncols=2)
    _lean(ax)
    for ax, samples, title in zip(
        axes[0][1:], (16, 8, 1), ("drawn finely", "averaged over pixels", "one ray a pixel"),
        strict=True,
    ):  # fmt: skip
        if title == "drawn finely":
            shown = landscape.stripes(fine * samples, 24 * samples, angle=0.15)
        else:
            shown = landscape.stripes(fine, 24, samples=samples, angle=0.15)
        ax.imshow(shown, vmin=0, vmax=1, interpolation="nearest")
        ax.set_title(f"{fine:g} pixels,\n{title}", fontsize=9)
        _frame(ax)
    return figure


def against_itself(
    curve: Curve,
    loss: str,
    panes: Mapping[str, Tensor],
    here: tuple[float, float],
) -> Figure:
    """The panel's picture: three panes and the curve with its point, over a kept backdrop.

    Args:
        curve: losses over a shift at the other settings.
        loss: "gradient" or "rgb".
        panes: title -> picture or modulus.
        here: shift and loss of the setting.
    """
    # one picture of all three: each axes costs as much as a picture
    figure, (left, right) = _pane_frame(tuple(panes), float(curve.steps[-1])).copy()
    left.imshow(
        _row(list(panes.values())).numpy(), interpolation="nearest", aspect="auto",
        extent=(0, 1, 0, 1),
    )  # fmt: skip
    right.set_ylim(0, max(2.0, 1.05 * here[1]))
    right.plot(curve.steps, getattr(curve, loss), **(GRADIENT if loss == "gradient" else RGB))
    right.axhline(1, **EMPTY)
    number_heights(right)
    right.plot(*here, "o", color=GREEN, mec="black", ms=9, clip_on=False, zorder=5)
    return figure


@lru_cache(maxsize=4)
def _pane_frame(titles: tuple[str, ...], reach: float) -> Backdrop:
    """What stays of `against_itself` for some titles of the panes, at shifts of -reach to reach."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 2.2), dpi=90)
    left = figure.add_axes((0.005, 0.02, 0.615, 0.835))
    left.set_axis_off()
    for number, title in enumerate(titles):
        figure.text(0.105 + 0.2075 * number, 0.89, title, fontsize=9, ha="center")
    right = figure.add_axes((0.67, 0.2, 0.32, 0.65))
    right.set_xlim(-reach, reach)
    right.set_yticks([])
    right.set_xlabel("shift, pixels", fontsize=8)
    right.tick_params(labelsize=8)
    right.set_title("loss; 1 = an empty picture", fontsize=9, y=1.0)
    return Backdrop.of(figure)


def _row(pictures: Sequence[Tensor], gap: int = 1) -> Tensor:
    """Pictures (H, W, 3), or moduli (H, W) as dark lines on white, side by side, framed in grey."""
    top, tiles = 0.0, []
    for picture in pictures:
        if picture.ndim == 2:
            top = top or float(picture.quantile(0.995))
            picture = (1 - picture / top)[..., None].expand(-1, -1, 3)
        tile = torch.nn.functional.pad(picture.clamp(0, 1), (0, 0, 1, 1, 1, 1), value=0.6)
        tiles.append(torch.nn.functional.pad(tile, (0, 0, gap, gap), value=1.0))
    return torch.cat(tiles, 1)


def _frame(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])


def _lean(ax: Axes) -> None:
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
