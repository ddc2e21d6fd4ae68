"""What must hold between the cameras, the bounding sphere and the roles of a scene's views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Cameras, Vec3

RADII = (1e-6, 1e7)
"""Of a bounding sphere, in any unit: a head's is 1e-4 km and 1e5 micrometres."""
FARTHEST = 1e10
"""Coordinate of the sphere's centre, in any unit: places on Earth have at most 7e9 mm."""
MOST_RADII = 1000
"""Distance of a camera from the sphere's centre, in its radii."""
FOCALS = (0.05, 1000)
"""Focal length in picture widths; a crop from a long lens has some hundred."""


def check_roles(
    sensitive: tuple[int, ...], neutral: tuple[int, ...], views: int, where: str | Path
) -> None:
    """Raise SceneError unless roles name existing views, each once and in one role only."""
    chosen = [*sensitive, *neutral]
    outside = [i for i in chosen if not 0 <= i < views]
    if outside:
        raise SceneError(
            f"view {outside[0]} of {views} views", where=where, remedy="Views count from 0."
        )
    twice = [i for i in chosen if chosen.count(i) > 1]
    if twice:
        raise SceneError(
            f"view {twice[0]} is named twice among sensitive and neutral views",
            where=where,
            remedy="A view is either sensitive or neutral.",
        )


def check_surroundings(cameras: Cameras, center: Vec3, radius: float, where: str | Path) -> None:
    """Refuse cameras and a bounding sphere that no photographer could have had.

    Raises:
        SceneError: a sphere or lens beyond the bounds above, or cameras inside the sphere, too far
            away, looking away, or all on one spot.
    """
    low, high = RADII
    if not (low <= radius <= high) or not np.abs(center).max() <= FARTHEST:
        raise SceneError(
            f"the bounding sphere has centre {center} and radius {radius:g}",
            where=where,
            remedy=f"The radius must lie between {low:g} and {high:g}, and no coordinate beyond "
            f"{FARTHEST:g}; use another unit.",
        )
    _check_lenses(cameras, where)
    offset = cameras.centers - cameras.centers.new_tensor(center)
    inside = (offset.norm(dim=1) <= radius).nonzero().flatten().tolist()
    if inside:
        raise SceneError(
            f"camera of view {inside[0]} is inside the bounding sphere",
            where=where,
            remedy="scale_mat's sphere must hold the head and no camera; mend it or the camera.",
        )
    away = ((offset * cameras.forward).sum(1) >= 0).nonzero().flatten().tolist()
    if away:
        raise SceneError(
            f"camera of view {away[0]} has the bounding sphere behind it",
            where=where,
            remedy="Axes must be OpenCV's, z forward; OpenGL cameras need y and z negated.",
        )
    far = (offset.norm(dim=1) > MOST_RADII * radius).nonzero().flatten().tolist()
    if far:
        raise SceneError(
            f"camera of view {far[0]} is more than {MOST_RADII} radii from the bounding sphere",
            where=where,
            remedy="Cameras and sphere must be in one unit; check scale_mat and translations.",
        )
    if len(cameras) > 1 and float((offset - offset[:1]).norm(dim=1).max()) < 1e-3 * radius:
        raise SceneError(
            f"all {len(cameras)} cameras are on one spot",
            where=where,
            remedy="A shape needs views from different places; check the translations.",
        )


def _check_lenses(cameras: Cameras, where: str | Path) -> None:
    """Raise SceneError for a K that is no lens's, or one for pictures of quite another size."""
    K, size = cameras.K, cameras.K.new_tensor([cameras.width, cameras.height])
    focal = torch.stack([K[:, 0, 0], K[:, 1, 1]], dim=1)
    triangle = (K[:, 2] - K.new_tensor([0, 0, 1])).abs().amax(1) + K[:, 1, 0].abs() / focal[:, 0]
    low, high = FOCALS
    # The principal point of a crop may lie far outside of it, but not behind the camera.
    off = (K[:, :2, 2] - size / 2).abs()
    wrong = {
        "no upper triangular K with a 1 in its last corner": triangle > 1e-6,
        f"a focal length outside of {low:g} to {high:g} picture sizes": (
            (focal < low * size) | (focal > high * size)
        ).any(1),
        "its principal point far outside of the picture": (
            off > 2 * torch.maximum(focal, size)
        ).any(1),
        "a skew above its focal length": K[:, 0, 1].abs() > focal[:, 0],
    }
    for problem, views in wrong.items():
        if bool(views.any()):
            view = int(views.nonzero()[0, 0])
            raise SceneError(
                f"camera of view {view} has {problem} (K is {K[view].tolist()} for pictures of "
                f"{cameras.width} x {cameras.height})",
                where=where,
                remedy="K must be in pixels of the pictures as they are stored.",
            )
