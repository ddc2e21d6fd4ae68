"""Pictures of lesson 10: rows of portraits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from privhead_nb.viz.style import images

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
