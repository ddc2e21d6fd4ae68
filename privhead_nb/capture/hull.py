"""The visual hull of the head: the points that (nearly) all masks cover, above the neck plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from privhead_nb.capture.views import Points, View
from privhead_nb.errors import SceneError

LOW, HIGH = (-150.0, -260.0, -190.0), (150.0, 190.0, 170.0)
"""Corners of the box in which a head with its hair lies, mm, in the head's frame."""
CELL = 3.0
"""Edge of the grid's cells, mm."""
AGAINST = 0.08
"""Share of the views that show a point whose masks may speak against it."""
SEEN_BY = 0.3
"""Share of the views that must show a point."""
MARGIN = 1.1
"""Radius of the bounding sphere over the farthest point of the hull."""

Mask = NDArray[np.uint8]
"""(H, W), 255 = head."""


@dataclass(frozen=True, eq=False)
class Hull:
    """Points (P, 3) of the hull in the head's frame, and the edge of their cells, scene unit."""

    points: Points
    cell: float

    def above(self, height: float) -> Hull:
        """The part of it above the plane y = height."""
        return Hull(self.points[self.points[:, 1] > height], self.cell)

    def sphere(self) -> tuple[tuple[float, float, float], float]:
        """Centre (on the plane of symmetry) and radius of a sphere around it, scene unit."""
        low, high = self.points.min(0), self.points.max(0)
        middle = (low + high) / 2
        middle[0] = 0.0
        reach = float(np.linalg.norm(self.points - middle, axis=1).max()) + self.cell
        return (0.0, float(middle[1]), float(middle[2])), MARGIN * reach

    def drawn(self, view: View) -> Mask:
        """The hull's outline in a view, filled; (H, W)."""
        canvas = np.zeros((view.height, view.width), np.uint8)
        column, row, inside = view.shown(self.points)
        if not inside.any():
            return canvas
        canvas[row[inside], column[inside]] = 255
        depth = float(np.median(view.project(self.points)[1]))
        reach = int(np.ceil(self.cell * view.focal / depth)) + 1
        ring = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        # A border keeps what closes across the picture's edge from being eaten there.
        wide = cv2.copyMakeBorder(canvas, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
        closed = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, ring)
        return np.asarray(closed[reach:-reach, reach:-reach])

    def outside(self, view: View) -> float:
        """Share of the hull's points that the picture doesn't show."""
        return float(1 - view.shown(self.points)[2].mean())


def carve(views: Sequence[View], masks: Sequence[Mask], unit: float, floor: float) -> Hull:
    """The visual hull of masks.

    Args:
        views: in the head's frame.
        masks: (H, W) of each, 255 = head or person.
        unit: scene units per mm of the box above.
        floor: height below which nothing is asked for, scene unit.

    Raises:
        SceneError: no point is in the masks of enough views.
    """
    axes = [np.arange(a, b, CELL) * unit for a, b in zip(LOW, HIGH, strict=True)]
    axes[1] = axes[1][axes[1] > floor]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    against = np.zeros(len(points), np.int32)
    shown = np.zeros(len(points), np.int32)
    allowed = max(1, int(AGAINST * len(views)))
    for view, mask in zip(views, masks, strict=True):
        column, row, inside = view.shown(points)
        shown += inside
        against += inside & (mask[row, column] < 128)
        left = against <= allowed
        points, against, shown = points[left], against[left], shown[left]
    points = points[shown >= SEEN_BY * len(views)]
    if len(points) < 200:
        raise SceneError(
            "the masks of the views have no head in common",
            where="masks",
            remedy="Look at the review page's pictures: does the head stand out from what is "
            "behind it? Give masks of your own with --masks DIR (white = head).",
        )
    return Hull(points, CELL * unit)
