"""The files of one view, and how its picture and its mask are read out of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Vec3
from privhead_nb.scenes.images import image_size, read_alpha, read_image, read_mask
from privhead_nb.scenes.lens import Lens


@dataclass(frozen=True, eq=False)
class ViewFiles:
    """One view on disk.

    Args:
        name: what lists of roles call it: the picture's file name, with its folder where needed.
        image: the picture.
        mask: the mask; the picture itself where its transparency is the mask.
        size: width and height that the camera file states; None where it states none.
        lens: distortion that is taken out as the files are read.
    """

    name: str
    image: Path
    mask: Path
    size: tuple[int, int] | None = None
    lens: Lens | None = None

    def files(self) -> list[Path]:
        """The picture and, where it is a file of its own, the mask."""
        return [self.image] if self.mask == self.image else [self.image, self.mask]

    def picture(self, canvas: tuple[int, int], background: Vec3) -> np.ndarray:
        """(H, W, 3) float32 in [0, 1] of `canvas`, width and height; see `_prepared`."""
        pixels = read_image(self.image, background=background)
        return self._prepared(pixels, canvas, background, self.image)

    def mask_pixels(self, canvas: tuple[int, int]) -> np.ndarray:
        """(H, W) float32 in [0, 1], 1 = head; see `_prepared`."""
        reader = read_alpha if self.mask == self.image else read_mask
        return self._prepared(reader(self.mask), canvas, (0.0,), self.mask)

    def _prepared(
        self, pixels: np.ndarray, canvas: tuple[int, int], fill: tuple[float, ...], path: Path
    ) -> np.ndarray:
        """Without distortion; a picture smaller than the canvas is padded right and below.

        Raises:
            SceneError: it has another size than at opening.
        """
        height, width = pixels.shape[:2]
        if (width, height) != (self.size or canvas):
            raise SceneError(
                "the file was changed while the scene was open",
                where=path,
                remedy="Open the scene again.",
            )
        if self.lens is not None:
            pixels = self.lens.straightened(pixels, fill)
        if (width, height) == canvas:
            return pixels
        whole = np.empty((canvas[1], canvas[0], *pixels.shape[2:]), np.float32)
        whole[:] = np.array(fill, np.float32) if pixels.ndim == 3 else fill[0]
        whole[:height, :width] = pixels
        return whole


def common_size(views: tuple[ViewFiles, ...], camera_file: Path) -> tuple[int, int]:
    """Width and height that hold every view, from the headers of all files.

    Raises:
        SceneError: a file is missing, no picture, too large, or of another size than the camera
            file states, its picture has, or, where nothing is stated, the first picture has.
    """
    first = image_size(views[0].image)
    for view in views:
        for path in view.files():
            wanted, found = view.size or first, image_size(path)
            if found == wanted:
                continue
            if view.size is None:
                raise SceneError(
                    f"is {found[0]} x {found[1]} pixels but {views[0].image.name} is "
                    f"{first[0]} x {first[1]}",
                    where=path,
                    remedy="All images and masks of a scene must be of one size.",
                )
            raise SceneError(
                f"is {found[0]} x {found[1]} pixels but {camera_file.name} says "
                f"{wanted[0]} x {wanted[1]} for this view",
                where=path,
                remedy="Use the pictures and masks that were calibrated, or scale size, focal "
                "lengths and principal point in the camera file with them.",
            )
    sizes = np.array([view.size or first for view in views])
    return int(sizes[:, 0].max()), int(sizes[:, 1].max())
