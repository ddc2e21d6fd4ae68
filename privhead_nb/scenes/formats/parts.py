"""What every loader returns, and the reading of pictures that loaders share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.images import image_size, read_image, read_mask, resize_area

SUFFIXES = (".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG")
WHITE: Vec3 = (1.0, 1.0, 1.0)
MAX_SCENE_PIXELS = 256_000_000
"""Pixels of a whole scene in memory: about 4 GB with its masks."""


@dataclass(frozen=True)
class Hints:
    """What a loader is told; None where nobody knows.

    Args:
        pixel_center: image coordinate of the centre of pixel (0, 0), from scene.json.
        background: colour behind the head in [0, 1], from scene.json.
        size: bring every view to this width and height while reading.
    """

    pixel_center: float | None = None
    background: Vec3 | None = None
    size: int | None = None


@dataclass(frozen=True, eq=False)
class SceneParts:
    """A folder of views in the package's conventions, before roles are known.

    Args:
        images: (V, H, W, 3) float32 in [0, 1].
        masks: (V, H, W) float32 in [0, 1].
        cameras: V cameras, scene unit.
        camera_file: where they came from, for messages.
        center: centre of the bounding sphere, scene unit.
        radius: its radius, scene unit.
        unit: "mm", or "scene" where it is unknown.
        truth_path: the truth mesh, if any.
        landmarks_path: `landmarks.txt`, if any.
        assumptions: what the loader took for granted.
    """

    images: np.ndarray
    masks: np.ndarray
    cameras: Cameras
    camera_file: Path
    center: Vec3
    radius: float
    unit: str
    truth_path: Path | None
    landmarks_path: Path | None
    assumptions: tuple[str, ...]


def list_pictures(folder: Path) -> list[Path]:
    """The pictures in `folder`, in the order of the numbers in their names."""
    if not folder.is_dir():
        raise SceneError("the folder is missing", where=folder, remedy="Every view needs one file.")
    try:
        paths = [p for p in folder.iterdir() if p.suffix in SUFFIXES and p.name[0] != "."]
    except OSError as error:
        raise SceneError(
            f"can't be listed ({error.strerror})", where=folder, remedy="Check its permissions."
        ) from error
    return sorted(paths, key=lambda p: (numbers_in(p), p.name))


def numbers_in(path: Path) -> tuple[int, ...]:
    """The whole numbers in a file's name: img_0007.png gives (7,)."""
    return tuple(int(n) for n in re.findall(r"\d+", path.stem))


def check_counts(images: list[Path], masks: list[Path], cameras: int, camera_file: Path) -> None:
    """Raise SceneError, naming both counts, unless every view has picture, mask and camera."""
    if not images:
        raise SceneError(
            f"no pictures for the {cameras} cameras in {camera_file.name}",
            where=camera_file.parent / "image",
            remedy="Put one PNG or JPEG a view there.",
        )
    if len(images) != cameras:
        raise SceneError(
            f"{len(images)} images but {cameras} cameras in {camera_file.name}",
            where=images[0].parent,
            remedy="Give every camera its picture, or remove the surplus.",
        )
    if len(masks) != len(images):
        raise SceneError(
            f"{len(masks)} masks but {len(images)} images",
            where=camera_file.parent / "mask",
            remedy="Give every view its mask (white = head); none is made up.",
        )
    for image, mask in zip(images, masks, strict=True):
        if numbers_in(image)[-1:] != numbers_in(mask)[-1:]:
            raise SceneError(
                f"the mask {mask.name} stands beside the image {image.name}",
                where=mask,
                remedy="Number masks as the images are numbered.",
            )


def read_views(
    images: list[Path], masks: list[Path], background: Vec3, size: int | None
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Read all pictures and masks: (V, H, W, 3) and (V, H, W) float32 in [0, 1].

    All headers are read before any picture is decoded, so that a wrong size costs no memory; with
    `size`, one full picture at a time is held.

    Returns:
        Pictures and masks, brought to `size` x `size` where it is given, and the width and height
        of the files.

    Raises:
        SceneError: a file is missing, damaged, too large, of another size, or an empty mask.
    """
    width, height = image_size(images[0])
    for path in [*images, *masks]:
        found = image_size(path)
        if found != (width, height):
            raise SceneError(
                f"is {found[0]} x {found[1]} pixels but {images[0].name} is {width} x {height}",
                where=path,
                remedy="All images and masks of a scene must be of one size.",
            )
    if size is not None and size > min(width, height):
        raise SceneError(
            f"size {size} is above the pictures' {width} x {height}",
            where=images[0].parent,
            remedy="Pictures are never enlarged: use a smaller size.",
        )
    W, H = (width, height) if size is None else (size, size)
    if len(images) * W * H > MAX_SCENE_PIXELS:
        raise SceneError(
            f"{len(images)} views of {W} x {H} pixels are too many to hold in memory",
            where=images[0].parent,
            remedy="Load them at a smaller size, or scale pictures, masks and K down first.",
        )
    pixels = np.empty((len(images), H, W, 3), np.float32)
    coverage = np.empty((len(images), H, W), np.float32)
    for i, (image, mask) in enumerate(zip(images, masks, strict=True)):
        pixels[i] = resize_area(read_image(image, background=background), W, H)
        coverage[i] = resize_area(read_mask(mask), W, H)
    if coverage.max() < 0.5:
        raise SceneError(
            "all masks are empty",
            where=masks[0].parent,
            remedy="White (255) must mark the head; are they inverted or 0/1 valued?",
        )
    empty = np.flatnonzero(coverage.reshape(len(masks), -1).max(1) < 0.5)
    if len(empty):
        raise SceneError(
            "the mask is empty",
            where=masks[empty[0]],
            remedy="White (255) must mark the head; remove views that don't show it.",
        )
    return pixels, coverage, (width, height)
