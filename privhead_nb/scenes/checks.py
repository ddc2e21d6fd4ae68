"""What must hold between the cameras, the bounding sphere and the roles of a scene's views."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Cameras, Vec3


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
    """Raise SceneError for cameras inside the bounding sphere, looking away, or all on one spot."""
    if not (np.isfinite(radius) and radius > 0 and np.isfinite(center).all()):
        raise SceneError(
            f"the bounding sphere has centre {center} and radius {radius}",
            where=where,
            remedy="Both must be finite numbers and the radius above 0.",
        )
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
    if len(cameras) > 1 and float((offset - offset[:1]).norm(dim=1).max()) < 1e-3 * radius:
        raise SceneError(
            f"all {len(cameras)} cameras are on one spot",
            where=where,
            remedy="A shape needs views from different places; check the translations.",
        )
