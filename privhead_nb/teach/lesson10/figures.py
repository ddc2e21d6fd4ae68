"""Pictures of lesson 10: rows of portraits, a profile with steps, and whom a mixture is near to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from privhead_nb.teach.lesson10 import mixed_heads as mixed
from privhead_nb.viz.style import BLUE, VERMILLION, grid, images

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CROP = (slice(4, 60), slice(10, 54))
"""Rows and columns of a portrait that hold the head."""


def sheet(rows: Mapping[str, Sequence[Tensor] | Tensor], titles: Sequence[str]) -> Figure:
    """Portraits in rows, a name beside each row and a title over each column.

    Args:
        rows: name -> pictures (64, 64, 3), as many as there are titles.
        titles: of the columns.
    """
    cropped = [[p[CROP].double().numpy() for p in row] for row in rows.values()]
    return images(cropped, titles, list(rows), width=0.4 + 1.4 * len(titles))


def steps_to_surface(shape: str, other: str) -> Figure:
    """Both faces cut from nose to neck, and Newton steps from one to the other."""
    from skimage.measure import find_contours

    z, y = np.meshgrid(np.arange(30.0, 135.0, 1.5), np.arange(-115.0, 75.0, 1.5))
    flat = torch.from_numpy(np.stack([0 * z, y, z], -1).reshape(-1, 3)).float()
    cuts = []
    for name in (shape, other):
        with torch.no_grad():
            values = mixed.person(name).sdf(flat).reshape(z.shape).numpy()
        line = max(find_contours(values, 0.0), key=len)  # (N, 2) row and column
        cuts.append(np.array([30.0, -115.0]) + 1.5 * line[:, ::-1])
    start = cuts[0][::5]
    three = torch.from_numpy(np.column_stack([0 * start[:, 0], start[:, 1], start[:, 0]])).float()
    step = mixed.toward(mixed.person(other), three).numpy()[:, [2, 1]] - start
    figure, axes = grid(1, 2, width=9, height=4.4)
    for ax in axes[0]:
        for cut, colour, dash in zip(cuts, (BLUE, VERMILLION), ("-", "--"), strict=True):
            ax.plot(*cut.T, dash, color=colour, lw=1.6)
        ax.quiver(*start.T, *step.T, angles="xy", scale_units="xy", scale=1, color="0.2",
                  width=0.004, zorder=3)  # fmt: skip
        ax.set_aspect("equal")
    axes[0][0].set_title(f"{shape} solid, {other} dashed, cut through the nose; mm", fontsize=9)
    axes[0][1].set_title("mouth and chin", fontsize=9)
    axes[0][1].set(xlim=(70, 128), ylim=(-105, -35))
    return figure
