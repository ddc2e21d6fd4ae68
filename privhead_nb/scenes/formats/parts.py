"""What every loader returns, and what loaders of folders with image/ and mask/ share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch

from privhead_nb.errors import SceneError, listed
from privhead_nb.scenes.camera import Axis, Cameras, Vec3
from privhead_nb.scenes.images import FORMATS
from privhead_nb.scenes.view_files import ViewFiles, common_size

_CALLED = {"img", "image", "rgb", "mask", "alpha", "matte", "png", "jpg", "jpeg"}
"""Words in a file's name that say what it is, not which view."""


@dataclass(frozen=True, eq=False)
class SceneParts:
    """A folder of views in the package's conventions, before roles are known and pictures read.

    Args:
        views: the files of each view.
        K: (V, 3, 3) float64, pixels of the files.
        c2w: (V, 4, 4) float64, camera to scene, scene unit.
        pixel_center: image coordinate, in K, of the centre of the first pixel: 0 or 0.5.
        camera_file: where the cameras came from, for messages.
        sphere: centre and radius of the bounding sphere, scene unit; None where the format has
            none: then scene.json names it, or the masks' visual hull is taken.
        unit: "mm", or "scene" where it is unknown.
        axes: towards the crown, and along which the face looks, where scene.json doesn't say.
        truth_path: the truth mesh, if any.
        truth_scale: what its coordinates are multiplied by to be in the scene unit.
        landmarks_path: `landmarks.txt`, if any.
        assumptions: what the loader took for granted.
    """

    views: tuple[ViewFiles, ...]
    K: torch.Tensor
    c2w: torch.Tensor
    pixel_center: float
    camera_file: Path
    unit: str = "scene"
    sphere: tuple[Vec3, float] | None = None
    axes: tuple[Axis, Axis] = ("+y", "+z")
    truth_path: Path | None = None
    truth_scale: float = 1.0
    landmarks_path: Path | None = None
    assumptions: tuple[str, ...] = ()

    def cameras(self) -> Cameras:
        """The cameras for the files' size, which is read from their headers.

        Where the camera file states sizes that differ, for a canvas that holds all of them.

        Raises:
            SceneError: a file is missing, no picture, too large, or of another size.
        """
        width, height = common_size(self.views, self.camera_file)
        return Cameras(self.K, self.c2w, width, height, self.pixel_center)


def list_pictures(folder: Path) -> list[Path]:
    """The pictures in `folder`, in the order of the numbers in their names.

    Files with other endings and hidden ones (.DS_Store, ._img_0000.png) are passed over.

    Raises:
        SceneError: no such folder, closed to us, or two pictures that differ in their ending alone.
    """
    try:
        paths = [p for p in folder.iterdir() if p.suffix.lower() in FORMATS and p.name[0] != "."]
    except FileNotFoundError as error:
        raise SceneError(
            "the folder is missing", where=folder, remedy="Every view needs one file."
        ) from error
    except OSError as error:
        raise SceneError(
            f"can't be listed ({error.strerror})", where=folder, remedy="Check its permissions."
        ) from error
    paths.sort(key=lambda p: (numbers_in(p), p.name))
    stems: dict[str, Path] = {}
    for path in paths:
        if other := stems.get(path.stem.lower()):
            raise SceneError(
                f"stands beside {other.name}, and nobody knows which of them is meant",
                where=path,
                remedy="Keep one of the two.",
            )
        stems[path.stem.lower()] = path
    return paths


def numbers_in(path: Path) -> tuple[int, ...]:
    """The whole numbers in a file's name: img_0007.png gives (7,)."""
    return tuple(int(n) for n in re.findall(r"\d+", path.stem))


def pair_views(
    images: list[Path], masks: list[Path], cameras: int, camera_file: Path
) -> list[Path]:
    """The mask of each image; SceneError, naming files, unless every view has all it needs.

    A mask belongs to the image with the same numbers, all of them, in its name; or with the same
    words but for those that say "mask" or "image".
    """
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
    for key in (_words_in, numbers_in):
        wanted, there = [key(image) for image in images], {key(mask): mask for mask in masks}
        if len(masks) == len(images) == len(there) and there.keys() == set(wanted):
            return [there[name] for name in wanted]
    lost = [image.name for image in images if numbers_in(image) not in there]
    extra = [mask.name for mask in masks if numbers_in(mask) not in wanted]
    said = (
        f"no mask for {listed(lost, 3)}" if lost else "masks can't be told apart by their numbers"
    )
    raise SceneError(
        f"{len(masks)} masks but {len(images)} images: {said}"
        + (f", and no image for {listed(extra, 3)}" if extra else ""),
        where=camera_file.parent / "mask",
        remedy="Give every view its mask (white = head), with the same numbers in its name; "
        "none is made up.",
    )


def _words_in(path: Path) -> tuple[str, ...]:
    words = re.split(r"[\W_]+", path.stem.lower())
    return tuple(word for word in words if word not in _CALLED)
