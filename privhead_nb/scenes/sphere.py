"""The bounding sphere of formats that have none: scene.json's, or the masks' visual hull's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.checks import point
from privhead_nb.scenes.mask_check import CAUSES, hull_sphere


def stated_sphere(
    stored: tuple[Vec3, float] | None, center: Vec3 | None, radius: float | None, path: Path
) -> tuple[Vec3, float] | None:
    """The sphere of the camera file or of scene.json; SceneError where the two contradict.

    Args:
        stored: the camera file's.
        center, radius: scene.json's, both or none.
        path: scene.json.
    """
    if center is None or radius is None:
        return stored
    if stored is not None and not np.allclose([*stored[0], stored[1]], [*center, radius], 1e-5):
        raise SceneError(
            f"center {point(center)} and radius {radius:g} contradict the camera file's sphere, "
            f"{point(stored[0])} and {stored[1]:g}",
            where=path,
            remedy="Leave center and radius out where the format has a scale_mat.",
        )
    return center, radius


def fitted_sphere(
    cameras: Cameras, masks: np.ndarray, where: Path
) -> tuple[tuple[Vec3, float], str]:
    """A sphere around what all masks cover, and a sentence for `assumptions`.

    Args:
        cameras: V cameras, scene unit, for the masks' size.
        masks: (V, h, w) in [0, 1].
        where: the camera file.

    Raises:
        SceneError: the cameras look away from each other, or the masks have nothing in common.
    """
    middle = _meeting_point(cameras)
    ahead = ((cameras.centers.new_tensor(middle) - cameras.centers) * cameras.forward).sum(1) > 0
    if int(ahead.sum()) <= len(cameras) / 2:
        raise SceneError(
            f"{len(cameras) - int(ahead.sum())} of {len(cameras)} cameras look away from the "
            "place that their axes are nearest to",
            where=where,
            remedy="The axes are probably of another convention: transforms.json has OpenGL's "
            "(the camera looks along -z), all other formats OpenCV's; from one to the other, "
            "negate y and z of each camera.",
        )
    hull = hull_sphere(cameras, masks, middle)
    if hull is None:
        raise SceneError(
            "the masks have nothing in common, so no bounding sphere can be found",
            where=where,
            remedy=f"Say center and radius in scene.json to look closer. {CAUSES}.",
        )
    return hull, (
        f"the bounding sphere is the masks' visual hull's, centre {point(hull[0])}, radius "
        f"{hull[1]:.4g} (scene.json may say center and radius)"
    )


def _meeting_point(cameras: Cameras) -> Vec3:
    """The point nearest to all viewing axes, by least squares."""
    centers, forward = cameras.centers.numpy(), cameras.forward.numpy()
    across = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    left, right = across.sum(0), (across @ centers[:, :, None]).sum(0)[:, 0]
    x, y, z = np.linalg.lstsq(left, right, rcond=None)[0].tolist()
    return x, y, z
