"""Pictures of lesson 4: drawings on one scale, patches, landscapes of both losses, a toy head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.teach.lesson04 import landscape
from privhead_nb.teach.lesson04.landscape import Curve
from privhead_nb.training.batches import patch_weights
from privhead_nb.viz.style import BLUE, VERMILLION, curves, grid, image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Each loss has its own colour and dash, so that neither alone tells them.
LOOKS = {"gradient": (VERMILLION, "s", "-"), "rgb": (BLUE, "v", "--")}
NAMES = {"gradient": "gradient loss", "rgb": "RGB loss"}
EMPTY: dict[str, Any] = {"color": "0.55", "ls": ":", "lw": 1.2}


def drawings(*moduli: Tensor, top: float | None = None) -> list[Tensor]:
    """Moduli (H, W) as dark lines on white, all on one scale.

    Args:
        top: modulus that is drawn black; by default the 99.5th percentile of the first modulus.
    """
    top = top or max(float(moduli[0].quantile(0.995)), 1e-6)
    return [1 - (modulus / top).clamp(0, 1) for modulus in moduli]


def patches(modulus: Tensor, patch: int, count: int, generator: torch.Generator) -> Figure:
    """One view: where patches of a step are, drawn by signal and evenly, and who is compared.

    Args:
        modulus: released, (H, W).
        patch: side in pixels.
        count: patches to draw.
    """
    from matplotlib.patches import Rectangle

    by_signal = patch_weights(modulus[None], patch)[0]
    figure, (axes,) = grid(1, 3, width=10, height=3.7)
    ways = {"drawn by signal": by_signal, "drawn evenly": torch.ones_like(by_signal)}
    for ax, (title, weights) in zip(axes, ways.items(), strict=False):
        image(ax, drawings(modulus)[0], f"{count} patches, {title}")
        drawn = torch.multinomial(weights.flatten(), count, replacement=True, generator=generator)
        for corner in drawn.tolist():
            y, x = divmod(corner, weights.shape[1])
            ax.add_patch(Rectangle((x - 0.5, y - 0.5), patch, patch, fill=False, ec=BLUE, lw=1))
            ax.add_patch(
                Rectangle((x + 0.5, y + 0.5), patch - 2, patch - 2, fc=VERMILLION, alpha=0.35)
            )
    counts = landscape.compared(len(modulus), patch)
    title = "in how many of all patches\na pixel is compared"
    image(axes[2], counts, title, cmap="cividis", vmax=float(counts.max()))
    figure.colorbar(axes[2].images[0], ax=axes[2], shrink=0.8)
    return figure


def loss_lines(ax: Axes, curve: Curve, losses: Sequence[str] = tuple(LOOKS)) -> None:
    """Losses over a change, and the dotted level of an empty picture."""
    series = {NAMES[loss]: getattr(curve, loss) for loss in losses}
    curves(ax, curve.steps, series, legend=False, looks=[LOOKS[loss] for loss in losses])
    ax.axhline(1, **EMPTY)


def both_losses(found: Mapping[str, Curve]) -> Figure:
    """Both losses over each change, in one row; 1 is the loss of an empty picture.

    Args:
        found: label of the axis -> losses.
    """
    figure, (axes,) = grid(1, len(found), width=2.2 + 2.2 * len(found), height=3.0)
    for ax, (label, curve) in zip(axes, found.items(), strict=True):
        loss_lines(ax, curve)
        ax.set(xlabel=label, ylim=(-0.05, 2.05))
    axes[0].set_ylabel("loss; 1 = an empty picture")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=9, frameon=False,
                  loc="outside upper center", ncols=2)  # fmt: skip
    return figure


def maps(axis: Tensor, losses: Curve) -> Figure:
    """Both losses over shifts in two directions, with level lines."""
    figure, (axes,) = grid(1, 2, width=9, height=4)
    reach = float(axis[-1]) + 0.5
    for ax, values, title in zip(
        axes, (losses.rgb, losses.gradient), ("RGB loss", "gradient loss"), strict=True
    ):
        top = float(values.max())
        shown = ax.imshow(values, cmap="cividis", extent=(-reach, reach, reach, -reach), vmin=0)
        levels = np.linspace(0, top, 9)[1:-1]
        ax.contour(axis, axis, values, levels=levels, colors="white", linewidths=0.7)
        ax.plot(0, 0, "o", mfc="none", mec="white", ms=7)
        ax.set(xlabel="shift to the right, pixels", ylabel="shift down, pixels")
        ax.set_title(title, fontsize=10)
        figure.colorbar(shown, ax=ax, shrink=0.85)
    return figure


def pull_maps(found: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """d loss / d number, pixel by pixel, for several numbers of the toy's shape.

    Args:
        found: title -> share of each pixel (S, S), and the opacity (S, S).
    """
    figure, (axes,) = grid(1, len(found), width=3.5 * len(found), height=3.2)
    for ax, (title, (share, opacity)) in zip(axes, found.items(), strict=True):
        top = float(share.abs().max())
        image(ax, share, title, cmap="PuOr", vmin=-top, vmax=top)
        ax.contour(opacity, levels=[0.5], colors="black", linewidths=0.8, linestyles="--")
        figure.colorbar(ax.images[0], ax=ax, shrink=0.8)
    return figure
