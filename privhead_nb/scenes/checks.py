"""What must hold between a scene's cameras, bounding sphere, axes, unit and roles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Axis, Cameras, Vec3, axis_vector, refuse_views, turn

UNITS = ("mm", "cm", "m", "scene", "unknown")
"""Names of the scene unit; "scene" and "unknown" say that nobody knows its length."""
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
    distance = offset.norm(dim=1)
    refuse_views(
        distance <= radius,
        "is inside the bounding sphere",
        "scale_mat's sphere must hold the head and no camera; mend it or the camera.",
        where,
    )
    refuse_views(
        (offset * cameras.forward).sum(1) >= 0,
        "has the bounding sphere behind it",
        "Cameras look along +z in OpenCV's axes, along -z in OpenGL's, which transforms.json has: "
        "negate y and z of each to get from one to the other.",
        where,
    )
    refuse_views(
        distance > MOST_RADII * radius,
        f"is more than {MOST_RADII} radii from the bounding sphere",
        "Cameras and sphere must be in one unit; check scale_mat and translations.",
        where,
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
        view = int(views.int().argmax())
        refuse_views(
            views,
            f"has {problem} (K is {K[view].tolist()} for pictures of "
            f"{cameras.width} x {cameras.height})",
            "K must be in pixels of the pictures as they are stored.",
            where,
        )


def check_description(
    unit: str, axes: tuple[Axis, Axis], center: Vec3, nose_tip: Vec3 | None, where: str | Path
) -> None:
    """Raise SceneError for an unknown unit, axes that are no frame, or a nose tip elsewhere."""
    if unit not in UNITS:
        raise SceneError(
            f"unit is {unit[:60]!r}", where=where, remedy=f"It must be one of {', '.join(UNITS)}."
        )
    up, front = axes
    if not _are_a_frame(up, front):
        raise SceneError(
            f"up and front are {up!r} and {front!r}",
            where=where,
            remedy="They must be two different axes such as +y and +z.",
        )
    if nose_tip is None:
        return
    _, crown, ahead = turn(axes)
    tip = np.array(nose_tip) - center
    level = tip - (tip @ crown) * crown
    # The rule for views that show the face counts from `front`: both must tell the same side.
    if tip @ ahead < 0.7 * np.linalg.norm(level) or not level.any():
        raise SceneError(
            f"the face looks along {front}, but nose_tip {point(nose_tip)} lies to another side "
            f"of the bounding sphere's centre {point(center)}",
            where=where,
            remedy="Which views show the face hangs on it: mend front or nose_tip.",
        )


def assumed_axes(
    up: Axis | None, front: Axis | None, otherwise: tuple[Axis, Axis]
) -> tuple[Axis, Axis]:
    """up and front as stated, and what is assumed for one that isn't: it must fit the other."""
    ups = [otherwise[0], "+y", "+z"] if up is None else [up]
    fronts = [otherwise[1], "+z", "-y"] if front is None else [front]
    pairs = [(u, f) for u in ups for f in fronts]
    return next((pair for pair in pairs if _are_a_frame(*pair)), pairs[0])


def _are_a_frame(up: Axis, front: Axis) -> bool:
    """Whether both are directions, at least 6 degrees apart and not opposite."""
    try:
        return float(np.linalg.norm(np.cross(axis_vector(up), axis_vector(front)))) > 0.1
    except SceneError:
        return False


def point(values: Sequence[float]) -> str:
    """Coordinates for a message: "(1, 2.5, 3)"."""
    return "(" + ", ".join(f"{v:.7g}" for v in values) + ")"
