"""Do cameras, bounding sphere and masks belong together? Wrong poses and orders show here.

And so does VolSDF's scale_mat, which fits the cameras, not the object, into a sphere: its script
puts the farthest camera at 3 / 1.1 of its unit, where IDR, NeuS and H3DS put the object into the
unit sphere.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.images import resize_area
from privhead_nb.scenes.view_files import ViewFiles

SMALL = 128
"""Longer side, in pixels, of the masks that are held to check cameras and sphere against."""
VIEWS = 100
"""Of more views than this, evenly spaced ones are checked."""
GRID = 64
"""Points of the visual hull along the sphere's diameter; no more than a mask has pixels."""
OUTSIDE, UNEXPLAINED = 0.05, 0.02
"""Shares of a mask's pixels that, passed in a quarter of the views, make a scene suspicious."""

_VOLSDF_GRID = 40

Points = NDArray[np.float64]

CAUSES = (
    "Usual causes: poses in another order or scale than the pictures, world-to-camera matrices "
    "given as camera-to-world, OpenGL axes, K of another picture size, masks of other views, or "
    "the sphere of another object"
)


def small_masks(views: Sequence[ViewFiles], width: int, height: int) -> np.ndarray:
    """All masks at SMALL pixels or less, (V, h, w) float32 in [0, 1]; one at a time is read.

    Args:
        views: their files.
        width, height: of the cameras.

    Raises:
        SceneError: damaged, or an empty mask.
    """
    scale = min(1.0, SMALL / max(width, height))
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    coverage = np.empty((len(views), h, w), np.float32)
    for view, files in enumerate(views):
        coverage[view] = resize_area(files.mask_pixels((width, height)), w, h)
    if coverage.max() < 0.5:
        raise SceneError(
            "all masks are empty",
            where=views[0].mask.parent,
            remedy="White (255) must mark the head; are they inverted or 0/1 valued?",
        )
    empty = np.flatnonzero(coverage.reshape(len(views), -1).max(1) < 0.5)
    if len(empty):
        raise SceneError(
            "the mask is empty",
            where=views[empty[0]].mask,
            remedy="White (255) must mark the head; remove views that don't show it.",
        )
    return coverage


def check_masks(
    cameras: Cameras,
    masks: NDArray[np.float32],
    center: Vec3,
    radius: float,
    *,
    names: Sequence[str],
    where: str | Path,
) -> list[str]:
    """Compare the masks with the sphere's outline, and with the outlines of their visual hull.

    The hull is made of the points in the sphere that lie in all masks (in nine of ten, of ten
    views and more). What a mask shows must be explained by it; beyond the border of a picture that
    cuts the head, anything may be.

    Args:
        cameras: V cameras, scene unit, that `check_surroundings` accepts.
        masks: (V, h, w) in [0, 1], small (`small_masks`): time grows with them.
        center: of the bounding sphere, scene unit.
        radius: its radius.
        names: what to call each view.
        where: the camera file, for messages.

    Returns:
        Sentences for `assumptions` where something is suspicious; none for a sound scene.

    Raises:
        SceneError: in most views, most of the mask is outside of the sphere's outline, or isn't
            explained by the hull.
    """
    step = -(-len(cameras) // VIEWS)
    cameras, masks, names = cameras[::step], masks[::step], names[::step]
    h, w = masks.shape[1:]
    heads = [mask >= 0.5 for mask in masks]
    cameras = cameras.resized(w, h)
    outlines = [_outline(cameras[v], center, radius) for v in range(len(cameras))]
    outside = np.array([_share(m & ~o, m) for m, o in zip(heads, outlines, strict=True)])
    said = _judge(outside, OUTSIDE, "lies outside of the bounding sphere's outline", names, where)
    hull, cell = _hull(cameras, heads, center, radius)
    missed = [
        _share(m & o & ~_seen(cameras[v], hull, cell), m & o)
        for v, (m, o) in enumerate(zip(heads, outlines, strict=True))
    ]
    return said + _judge(
        np.array(missed), UNEXPLAINED, "contradicts the masks of the other views", names, where
    )


def _judge(
    shares: NDArray[np.float64],
    suspicious: float,
    problem: str,
    names: Sequence[str],
    where: str | Path,
) -> list[str]:
    """Refuse, or say, or pass over what `shares` of each view's mask do."""
    quarter = float(np.quantile(shares, 0.75))
    worst = [f"{names[v]} ({shares[v]:.0%})" for v in np.argsort(-shares, kind="stable")[:3]]
    views = int((shares > 0.5).sum())
    if views > len(shares) / 2:
        raise SceneError(
            f"cameras, sphere and masks contradict each other: in {views} of {len(shares)} views, "
            f"most of the mask {problem}, such as {', '.join(worst)}",
            where=where,
            remedy=CAUSES + ".",
        )
    if quarter <= suspicious and not views:
        return []
    return [
        f"cameras, sphere and masks fit badly: in a quarter of the views, {quarter:.0%} and more "
        f"of the mask {problem}, most in {', '.join(worst)}. {CAUSES}"
    ]


def _share(some: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    """Pixels of `some` among those of `of`; 1 where there are none."""
    return float(some.sum() / of.sum()) if of.any() else 1.0


def _outline(camera: Cameras, center: Vec3, radius: float) -> NDArray[np.bool_]:
    """(h, w): does the pixel's ray meet the sphere?"""
    y, x = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
    xy = torch.stack([x, y], -1).reshape(-1, 2)
    origins, directions = camera.rays(torch.zeros(len(xy), dtype=torch.long), xy)
    offset = origins.new_tensor(center) - origins
    along = (offset * directions).sum(1)
    beside = (offset - along[:, None] * directions).norm(dim=1)
    return ((beside <= radius) & (along > 0)).reshape(camera.height, camera.width).numpy()


def _hull(
    cameras: Cameras, heads: list[NDArray[np.bool_]], center: Vec3, radius: float
) -> tuple[Points, float]:
    """Points (P, 3) of the masks' visual hull in the sphere, on a grid, and half a cell's diagonal.

    A point counts as in a mask that is nearer than that, so that thin parts aren't lost.
    """
    grid = min(GRID, max(heads[0].shape))
    axis = (np.arange(grid) + 0.5) * 2 / grid - 1
    points = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3)
    points = points[np.linalg.norm(points, axis=1) <= 1] * radius + center
    reach = 3**0.5 * radius / grid
    against = np.zeros(len(points), np.int64)
    for v, head in enumerate(heads):
        y, x, shown = _pixels(cameras[v], points)
        cut = head[[0, -1]].any() or head[:, [0, -1]].any()
        near = _distance(head) <= _in_pixels(cameras[v], points, reach)
        against += np.where(shown, ~near[y, x], not cut)
        left = against <= len(cameras) // 10
        points, against = points[left], against[left]
    return points, reach


def _seen(camera: Cameras, points: Points, reach: float) -> NDArray[np.bool_]:
    """(h, w): is a point of the hull within `reach` of the pixel?"""
    y, x, shown = _pixels(camera, points)
    hit = np.zeros((camera.height, camera.width), bool)
    hit[y[shown], x[shown]] = True
    return _distance(hit) <= _in_pixels(camera, points, reach)


def _pixels(camera: Cameras, points: Points) -> tuple[NDArray[np.int64], ...]:
    """Row and column of each point, and whether it is in the picture, in front of the camera."""
    P = camera.world_mats()[0, :3].numpy()
    x, y, depth = (points @ P[:, :3].T + P[:, 3]).T
    safe = np.maximum(depth, 1e-9)
    x, y = x / safe - camera.pixel_center, y / safe - camera.pixel_center
    shown = (depth > 0) & (x > -0.5) & (x < camera.width - 0.5)
    shown &= (y > -0.5) & (y < camera.height - 0.5)
    return *(np.rint(np.where(shown, a, 0)).astype(np.int64) for a in (y, x)), shown


def _distance(marked: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(h, w) distance in pixels to the nearest marked pixel; far where none is."""
    if not marked.any():
        return np.full(marked.shape, np.inf, np.float32)
    away = (~marked).astype(np.uint8)
    return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float32)


def _in_pixels(camera: Cameras, points: Points, reach: float) -> float:
    """`reach` at the points' middle depth, and half a pixel's diagonal for rounding."""
    if not len(points):
        return 0.0
    offset = points.mean(0) - camera.centers[0].numpy()
    depth = float(offset @ camera.forward[0].numpy())
    return reach * float(camera.K[0, :2, :2].diagonal().max()) / depth + 0.71


def looks_like_volsdf(cameras: Cameras, center: Vec3, radius: float) -> bool:
    """True where the farthest camera is near 3 sphere radii away (2.5 to 3.1)."""
    far = (cameras.centers - cameras.centers.new_tensor(center)).norm(dim=1).max() / radius
    return 2.5 <= float(far) <= 3.1


def refit_sphere(
    cameras: Cameras, masks: np.ndarray, center: Vec3, radius: float
) -> tuple[Vec3, float, str]:
    """Keep the sphere if it fits the masks' visual hull, else take the hull's; say which.

    Args:
        cameras: V cameras, scene unit.
        masks: (V, H, W) in [0, 1].
        center: of the sphere as stored, scene unit.
        radius: its radius.

    Returns:
        Centre, radius and a sentence for `assumptions`.
    """
    said = "VolSDF-like normalisation (farthest camera near 3 sphere radii)"
    hull = hull_sphere(cameras, masks, center)
    # The hull of few views is larger than the object: only a clear misfit counts.
    if hull is None or 0.4 * radius <= hull[1] <= 1.25 * radius:
        return center, radius, f"{said}; its sphere fits the masks and is kept"
    place = ", ".join(f"{c:.4g}" for c in hull[0])
    return (
        *hull,
        f"{said}: its sphere of radius {radius:.4g} doesn't fit the object, and was replaced by "
        f"the masks' visual hull's, centre ({place}), radius {hull[1]:.4g}",
    )


def hull_sphere(cameras: Cameras, masks: np.ndarray, center: Vec3) -> tuple[Vec3, float] | None:
    """A sphere around the points that all masks cover, None where there are none."""
    middle = np.array(center, np.float64)
    reach = float(np.linalg.norm(cameras.centers.numpy() - middle, axis=1).min())
    for _ in range(2):  # the second grid looks closer at what the first one found
        axis = np.linspace(-reach, reach, _VOLSDF_GRID)
        points = np.stack(np.meshgrid(axis, axis, axis), -1).reshape(-1, 3) + middle
        points = points[_covered(cameras, masks, points)]
        if not len(points):
            return None
        middle = (points.min(0) + points.max(0)) / 2
        step = 2 * reach / (_VOLSDF_GRID - 1)
        reach = float(np.linalg.norm(points - middle, axis=1).max()) + step
    return (float(middle[0]), float(middle[1]), float(middle[2])), 1.02 * reach


def _covered(cameras: Cameras, masks: np.ndarray, points: Points) -> NDArray[np.bool_]:
    """(P,): in the mask of every view that shows the point, and shown by most views."""
    inside, shown = np.ones(len(points), bool), np.zeros(len(points), np.int64)
    for view, mask in enumerate(masks):
        y, x, seen = _pixels(cameras[view], points)
        inside &= ~seen | (mask[y, x] >= 0.5)
        shown += seen
    return inside & (2 * shown > len(cameras))
