"""Lens distortion: pictures and masks are straightened as they are read, and K stays as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from privhead_nb.errors import SceneError

MOST = 1e4
"""Of a coefficient: a long lens may have some hundreds in its higher ones."""


@dataclass(frozen=True, eq=False)
class Lens:
    """A camera's distortion by OpenCV's formulas.

    Args:
        K: (3, 3) float64, pixels, with the first pixel's centre at (0, 0), without skew.
        coefficients: k1 k2 p1 p2 and, where there are more, k3 k4 k5 k6; of a fisheye k1 k2 k3 k4.
        fisheye: which of the two formulas.
    """

    K: NDArray[np.float64]
    coefficients: tuple[float, ...]
    fisheye: bool = False

    def straightened(self, pixels: np.ndarray, fill: tuple[float, ...]) -> np.ndarray:
        """(H, W) or (H, W, 3) float32 as a pinhole with the same K would show it.

        Bilinear; `fill`, a value for each channel, is where the picture shows nothing.
        """
        height, width = pixels.shape[:2]
        maps = cv2.fisheye.initUndistortRectifyMap if self.fisheye else cv2.initUndistortRectifyMap
        straight = np.eye(3), self.K, (width, height), cv2.CV_32FC1
        x, y = maps(self.K, np.array(self.coefficients), *straight)
        return np.asarray(
            cv2.remap(
                pixels,
                x,
                y,
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=fill,
            )
        )


def make_lens(
    K: NDArray[np.float64],
    coefficients: Sequence[float],
    size: tuple[int, int],
    pixel_center: float,
    *,
    fisheye: bool = False,
    where: Path,
    field: str,
) -> Lens | None:
    """The lens of a camera; None where it distorts nothing.

    Args:
        K: (3, 3), pixels.
        coefficients: see `Lens`.
        size: width and height of the picture.
        pixel_center: image coordinate, in K, of the centre of the first pixel.
        fisheye: which formula.
        where: file of the coefficients, for messages.
        field: their field in it.

    Raises:
        SceneError: numbers that are not finite, too large, or that would fold the picture.
    """
    k = np.array(coefficients, np.float64)
    if not np.isfinite(k).all() or np.abs(k).max(initial=0) > MOST:
        raise SceneError(
            f"{field} holds the distortion {k.tolist()}",
            where=where,
            remedy=f"Its numbers must be finite and at most {MOST:g}; calibrate again, or "
            "undistort the pictures first and leave the coefficients out.",
        )
    if not k.any() and not fisheye:  # a fisheye with zeros still isn't a pinhole
        return None
    indices = K.copy()
    indices[:2, 2] -= pixel_center
    corners = np.array([[x, y, 1] for x in (0, size[0] - 1) for y in (0, size[1] - 1)])
    rays = corners @ np.linalg.inv(indices).T
    farthest = float(np.linalg.norm(rays[:, :2], axis=1).max())
    if np.diff(_distorted(np.linspace(0, farthest, 200), k, fisheye)).min() <= 0:
        raise SceneError(
            f"{field} holds the distortion {k.tolist()}, which folds the picture over itself "
            "before its corners",
            where=where,
            remedy="These coefficients aren't this camera's, or in another order, or only good "
            "near the middle: calibrate again, or undistort the pictures first.",
        )
    return Lens(indices, tuple(k.tolist()), fisheye)


def _distorted(
    r: NDArray[np.float64], k: NDArray[np.float64], fisheye: bool
) -> NDArray[np.float64]:
    """Distance from the principal point, over the focal length, after the radial distortion."""
    if fisheye:
        angle = np.arctan(r)
        return np.asarray(angle * (1 + np.polyval([*k[3::-1], 0], angle**2)))
    k1, k2, _, _, k3, k4, k5, k6 = np.pad(k, (0, 8 - len(k)))
    below = np.polyval([k6, k5, k4, 1], r**2)
    return np.asarray(r * np.polyval([k3, k2, k1, 1], r**2) / np.where(below == 0, 1e-12, below))
