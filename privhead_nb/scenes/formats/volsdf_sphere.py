"""VolSDF's scale_mat fits the cameras, not the object, into a sphere: detect it and mend it.

VolSDF's script puts the farthest camera at 3 / 1.1 of its unit, where IDR, NeuS and H3DS put the
object into the unit sphere.
"""

from __future__ import annotations

import numpy as np
import torch

from privhead_nb.scenes.camera import Cameras, Vec3

_GRID = 40


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
    hull = _hull_sphere(cameras, masks, center)
    # The hull of few views is larger than the object: only a clear misfit counts.
    if hull is None or 0.4 * radius <= hull[1] <= 1.25 * radius:
        return center, radius, f"{said}; its sphere fits the masks and is kept"
    place = ", ".join(f"{c:.4g}" for c in hull[0])
    return (
        *hull,
        f"{said}: its sphere of radius {radius:.4g} doesn't fit the object, and was replaced by "
        f"the masks' visual hull's, centre ({place}), radius {hull[1]:.4g}",
    )


def _hull_sphere(cameras: Cameras, masks: np.ndarray, center: Vec3) -> tuple[Vec3, float] | None:
    """A sphere around the points that all masks cover, None where there are none."""
    middle = cameras.centers.new_tensor(center)
    reach = float((cameras.centers - middle).norm(dim=1).min())
    for _ in range(2):  # the second grid looks closer at what the first one found
        axis = torch.linspace(-reach, reach, _GRID, dtype=torch.float64)
        points = torch.cartesian_prod(axis, axis, axis) + middle
        points = points[_covered(cameras, masks, points)]
        if not len(points):
            return None
        low, high = points.amin(0), points.amax(0)
        step = 2 * reach / (_GRID - 1)
        middle = (low + high) / 2
        reach = float((points - middle).norm(dim=1).max()) + step
    return (float(middle[0]), float(middle[1]), float(middle[2])), 1.02 * reach


def _covered(cameras: Cameras, masks: np.ndarray, points: torch.Tensor) -> torch.Tensor:
    """(P,) bool: in the mask of every view that shows the point, and shown by most views."""
    inside = torch.ones(len(points), dtype=torch.bool)
    shown = torch.zeros(len(points), dtype=torch.long)
    for view, mask in enumerate(masks):
        xy, depth = cameras[view].project(points)
        x, y = xy[0].round().long().unbind(1)
        seen = (depth[0] > 0) & (x >= 0) & (x < cameras.width) & (y >= 0) & (y < cameras.height)
        hit = torch.from_numpy(mask)[y.clamp(0, mask.shape[0] - 1), x.clamp(0, mask.shape[1] - 1)]
        inside &= ~seen | (hit >= 0.5)
        shown += seen
    return inside & (2 * shown > len(cameras))
