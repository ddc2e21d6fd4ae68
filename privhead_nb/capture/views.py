"""A placed picture: where its camera stood, what of the head it shows, its straightened pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from privhead_nb.capture.photographs import Picture
from privhead_nb.capture.poses import Poses

Points = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class View:
    """A picture with its camera; pixel coordinates are indices, (0, 0) the first pixel's centre.

    Args:
        name: of the user's file.
        file: its copy among the steps.
        width: pixels.
        height: pixels.
        focal: pixels; the principal point is the picture's middle.
        k1: radial distortion of the copy; `picture` takes it out.
        R: (3, 3) from the frame to the camera: x right, y down, z forward.
        center: (3,) of the camera.
    """

    name: str
    file: str
    width: int
    height: int
    focal: float
    k1: float
    R: NDArray[np.float64]
    center: NDArray[np.float64]

    def project(self, points: Points) -> tuple[Points, Points]:
        """Points (N, 3) to pixel indices (N, 2) and depths (N,); depth <= 0 is behind."""
        camera = (points - self.center) @ self.R.T
        depth = camera[:, 2]
        safe = np.where(np.abs(depth) < 1e-9, 1e-9, depth)[:, None]
        middle = np.array([self.width / 2 - 0.5, self.height / 2 - 0.5])
        return self.focal * camera[:, :2] / safe + middle, depth

    def rays(self, xy: Points) -> Points:
        """Unit directions (N, 3) through pixel indices (N, 2), in the frame's axes."""
        middle = np.array([self.width / 2 - 0.5, self.height / 2 - 0.5])
        camera = np.column_stack([(xy - middle) / self.focal, np.ones(len(xy))])
        found = camera @ self.R
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))

    def shown(
        self, points: Points
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Column and row of each point, and whether it lies in the picture."""
        xy, depth = self.project(points)
        inside = (depth > 0) & (xy > -0.5).all(1)
        inside &= (xy[:, 0] < self.width - 0.5) & (xy[:, 1] < self.height - 0.5)
        whole = np.rint(np.where(inside[:, None], xy, 0)).astype(np.int64)
        return whole[:, 0], whole[:, 1], inside

    def picture(self, folder: Path) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 sRGB without distortion, read from its copy in `folder`."""
        with Image.open(folder / self.file) as image:
            pixels = np.asarray(image.convert("RGB"))
        return self.straightened(pixels)

    def straightened(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Pixels (H, W) or (H, W, 3) of the copy without distortion."""
        if abs(self.k1) < 1e-6:
            return pixels
        K = np.array(
            [[self.focal, 0, self.width / 2 - 0.5], [0, self.focal, self.height / 2 - 0.5],
             [0, 0, 1]]
        )  # fmt: skip
        return np.asarray(cv2.undistort(pixels, K, np.array([self.k1, 0, 0, 0])), np.uint8)


def placed_views(pictures: Sequence[Picture], poses: Poses) -> list[View]:
    """The pictures that were placed, in the poses' own frame."""
    known = {picture.name: picture for picture in pictures}
    views = []
    for row, name in enumerate(poses.names):
        picture = known[name]
        focal = float(poses.focal[row]) * max(picture.width, picture.height)
        views.append(
            View(name, picture.file, picture.width, picture.height, focal,
                 float(poses.k1[row]), poses.R[row], poses.centers[row])
        )  # fmt: skip
    return views


def moved(view: View, turn: Points, scale: float, shift: Points) -> View:
    """The view in the frame where x becomes scale * turn @ x + shift."""
    return replace(view, R=view.R @ turn.T, center=scale * turn @ view.center + shift)
