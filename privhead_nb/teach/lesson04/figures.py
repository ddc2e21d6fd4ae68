"""Pictures of lesson 4: landscapes of both losses with their minima, maps of a pull."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from privhead_nb.teach.lesson04.landscape import minima
from privhead_nb.viz.style import BLUE, VERMILLION, curves, grid, image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Each loss has its own colour and dash, so that neither alone tells them.
LOOKS = {"gradient loss": (VERMILLION, "s", "-"), "RGB loss": (BLUE, "v", "--")}
EMPTY: dict[str, Any] = {"color": "0.55", "ls": ":", "lw": 1.2}
Curve = tuple[Tensor, Mapping[str, Tensor]]
"""Steps (n,), and losses (n,) by name: 1 is the loss of an empty picture."""


def loss_lines(ax: Axes, curve: Curve, names: Sequence[str] = tuple(LOOKS)) -> None:
    """Losses over a change, a ring at each minimum, and the dotted level of an empty picture."""
    steps, losses = curve
    series = {name: losses[name] for name in names}
    curves(ax, steps, series, legend=False, looks=[LOOKS[name] for name in names])
    for name in names:
        at = minima(losses[name])[:, 0]
        ax.plot(steps[at], losses[name][at], "o", mfc="none", mec=LOOKS[name][0], ms=9, mew=1.4)
    ax.axhline(1, **EMPTY)


def both_losses(found: Mapping[str, Curve]) -> Figure:
    """Both losses over each change, in one row; 1 is the loss of an empty picture.

    Args:
        found: label of the axis -> steps and losses.
    """
    figure, (axes,) = grid(1, len(found), width=2.2 + 2.2 * len(found), height=3.0)
    for ax, (label, curve) in zip(axes, found.items(), strict=True):
        loss_lines(ax, curve)
        ax.set(xlabel=label, ylim=(-0.1, 2.05))
    axes[0].set_ylabel("loss; 1 = an empty picture")
    axes[0].plot([], [], "o", mfc="none", mec="0.3", label="a minimum")
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=9, frameon=False,
                  loc="outside upper center", ncols=3)  # fmt: skip
    return figure


def maps(axis: Tensor, losses: Mapping[str, Tensor]) -> Figure:
    """Losses over shifts in two directions, with level lines and their minima."""
    figure, (axes,) = grid(1, 2, width=9, height=4)
    reach = float(axis[-1]) + 0.5
    for ax, (title, values) in zip(axes, losses.items(), strict=True):
        shown = ax.imshow(values, cmap="cividis", extent=(-reach, reach, reach, -reach), vmin=0)
        levels = np.linspace(0, float(values.max()), 9)[1:-1]
        ax.contour(axis, axis, values, levels=levels, colors="white", linewidths=0.7)
        down, right = minima(values).T
        for size, colour in ((9, "black"), (6.5, "white")):
            ax.plot(axis[right], axis[down], "o", mfc="none", mec=colour, ms=size, mew=1.5)
        ax.set(xlabel="shift to the right, pixels", ylabel="shift down, pixels")
        ax.set_title(f"{title}; rings: minima", fontsize=10)
        figure.colorbar(shown, ax=ax, shrink=0.85, label="loss; 1 = an empty picture")
    return figure


def pull_maps(found: Mapping[str, tuple[Tensor, Tensor]]) -> Figure:
    """d loss / d number, pixel by pixel, for several numbers of the toy's shape.

    Args:
        found: title -> share of each pixel (S, S), and the opacity (S, S).
    """
    figure, (axes,) = grid(1, len(found), width=3.7 * len(found), height=3.2)
    for ax, (title, (share, opacity)) in zip(axes, found.items(), strict=True):
        top = float(share.abs().max())
        image(ax, share, title, cmap="PuOr", vmin=-top, vmax=top)
        ax.contour(opacity, levels=[0.5], colors="black", linewidths=0.8, linestyles="--")
        figure.colorbar(ax.images[0], ax=ax, shrink=0.8, label="pull of the pixel")
    return figure
