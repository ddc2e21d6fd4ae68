"""Views whose camera file names their pictures: paths, masks, names, poses and their order.

Paths in a camera file come from elsewhere. One that leaves the scene's folder is refused, by name
or by a link: else a scene could pass off any picture of the disk as one of its views.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.errors import SceneError, listed
from privhead_nb.scenes.formats.parts import SceneParts, numbers_in
from privhead_nb.scenes.images import FORMATS
from privhead_nb.scenes.lens import make_lens
from privhead_nb.scenes.view_files import ViewFiles

Matrix = NDArray[np.float64]

IMAGE_FOLDERS = ("images", "image")
MASK_FOLDERS = ("masks", "mask")


@dataclass(frozen=True, eq=False)
class PosedView:
    """One view as a camera file describes it.

    Args:
        field: where it stands in the file, for messages.
        image: its picture.
        mask: its mask; the picture itself where its transparency is the mask.
        K: (3, 3), pixels.
        c2w: (4, 4), camera to scene, OpenCV axes.
        size: width and height as stated, None where nothing is.
        distortion: coefficients as `Lens` takes them; empty for none.
        fisheye: which formula they belong to.
        group: views of a lower one come first.
    """

    field: str
    image: Path
    mask: Path
    K: Matrix
    c2w: Matrix
    size: tuple[int, int] | None = None
    distortion: tuple[float, ...] = ()
    fisheye: bool = False
    group: int = 0


def assemble(
    folder: Path,
    views: Sequence[PosedView],
    camera_file: Path,
    *,
    pixel_center: float,
    sizes: Callable[[Path], tuple[int, int]],
    **about: Any,
) -> SceneParts:
    """The views, sorted by group, folder and the numbers in their names, as `SceneParts`.

    Args:
        folder: of the scene.
        views: in any order.
        camera_file: where they stand.
        pixel_center: image coordinate, in K, of the centre of the first pixel.
        sizes: width and height of a picture, asked for where a lens needs them.
        about: other fields of `SceneParts`.

    Raises:
        SceneError: no views, a picture that stands twice, or a lens that is none.
    """
    if not views:
        raise SceneError("holds no view", where=camera_file, remedy="See docs/formats.md.")
    twice = [path for path, n in Counter(view.image for view in views).items() if n > 1]
    if twice:
        fields = [view.field for view in views if view.image == twice[0]]
        raise SceneError(
            f"{listed(fields, 3)} name one picture, {twice[0].name}",
            where=camera_file,
            remedy="A view stands once: remove the others, or name the pictures they are of.",
        )
    relative = {view.image: PurePosixPath(view.image.relative_to(folder)) for view in views}
    views = sorted(views, key=lambda v: (v.group, *_order(relative[v.image])))
    short = len({view.image.name for view in views}) == len(views)
    files = []
    for view in views:
        name = view.image.name if short else str(relative[view.image])
        if not min(view.K[0, 0], view.K[1, 1]) > 1e-6:
            raise SceneError(
                f"{view.field} has a focal length of zero or below",
                where=camera_file,
                remedy="Write it in pixels, or calibrate again.",
            )
        lens = None
        if any(view.distortion) or view.fisheye:
            size = view.size or sizes(view.image)
            lens = make_lens(
                view.K,
                view.distortion,
                size,
                pixel_center,
                fisheye=view.fisheye,
                where=camera_file,
                field=view.field,
            )
        files.append(ViewFiles(name, view.image, view.mask, view.size, lens))
    said = list(about.pop("assumptions", ()))
    bent = sum(file.lens is not None for file in files)
    if bent:
        said.append(
            f"lens distortion is taken out of {bent} of {len(files)} views as they are read"
        )
    if len({view.size for view in views}) > 1:
        said.append(
            "pictures of several sizes: smaller ones are padded at the right and below with the "
            "background, their masks with black"
        )
    K = torch.from_numpy(np.stack([view.K for view in views]))
    c2w = torch.from_numpy(np.stack([view.c2w for view in views]))
    return SceneParts(
        views=tuple(files),
        K=K,
        c2w=c2w,
        pixel_center=pixel_center,
        camera_file=camera_file,
        assumptions=tuple(said),
        **about,
    )


def _order(path: PurePosixPath) -> tuple[str, tuple[int, ...], str]:
    return str(path.parent), numbers_in(Path(path.name)), path.name


def inside(folder: Path, said: str, *, where: Path, field: str) -> Path:
    """The path that a camera file names, in the scene's folder.

    Raises:
        SceneError: it is absolute, leaves the folder by "..", or by a link.
    """
    plain = said.replace("\\", "/")  # as Windows writes it
    windows = PureWindowsPath(said)
    parts = PurePosixPath(plain).parts
    leaves = plain.startswith("/") or bool(windows.drive) or ".." in parts
    if not parts or "\0" in said:
        raise SceneError(f"{field} is {said[:80]!r}", where=where, remedy="It must name a file.")
    path = folder.joinpath(*parts)
    try:
        leaves = leaves or not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as problem:  # a loop of links, a name that is too long
        raise SceneError(
            f"{field} is {said[:80]!r}, which can't be followed ({problem})",
            where=where,
            remedy="Name a file in the scene's folder.",
        ) from problem
    if leaves:
        raise SceneError(
            f"{field} is {said[:80]!r}, which leaves the scene's folder",
            where=where,
            remedy="Copy the file into the folder, and write its path from there, as "
            "images/0001.png: nothing outside is read.",
        )
    return path


def named_picture(folder: Path, said: str, *, where: Path, field: str) -> Path:
    """The picture that a camera file names, with its ending or without.

    Raises:
        SceneError: no such file, or a path that leaves the folder.
    """
    path = inside(folder, said, where=where, field=field)
    for found in (path, *(path.with_name(path.name + ending) for ending in FORMATS)):
        if found.is_file():
            return inside(folder, str(found.relative_to(folder)), where=where, field=field)
    raise SceneError(
        f"{field} is {said[:80]!r}, and there is no such picture",
        where=where,
        remedy=f"Put it into {folder.name}/, or take the view out of the file.",
    )


def mask_of(folder: Path, image: Path, masks: Sequence[str] = MASK_FOLDERS) -> Path:
    """The mask of a view that names none: a file of masks/ or mask/, else the picture itself.

    It is called as the picture, a.jpg or a.png for a.jpg, or, COLMAP's way, a.jpg.png; a leading
    images/ or image/ is left out. The picture itself means that its transparency is the mask.

    Raises:
        SceneError: there is such a folder, but no mask in it for this view, or more than one.
    """
    inner = PurePosixPath(image.relative_to(folder))
    if inner.parts[0] in IMAGE_FOLDERS and len(inner.parts) > 1:
        inner = inner.relative_to(inner.parts[0])
    roots = [folder / name for name in masks if (folder / name).is_dir()]
    names = {str(inner) + ".png", *(str(inner.with_suffix(ending)) for ending in FORMATS)}
    found = [root / name for root in roots for name in sorted(names) if (root / name).is_file()]
    if not roots:
        return image
    if len(found) == 1:
        path = found[0].relative_to(folder)
        return inside(folder, str(path), where=roots[0], field="the mask of " + image.name)
    if found:
        raise SceneError(
            f"stands beside {found[1].name}, and nobody knows which of them is meant",
            where=found[0],
            remedy="Keep one of the two.",
        )
    raise SceneError(
        f"no mask for {image.name}",
        where=roots[0],
        remedy=f"Give every view its mask (white = head), as {inner.with_suffix('.png')}; none is "
        "made up.",
    )


def check_pose(c2w: Matrix, *, where: Path, field: str) -> Matrix:
    """A camera-to-scene matrix (3 or 4, 4), OpenCV axes, as 4 x 4.

    Raises:
        SceneError: NaN, mirrored or sheared axes, or a last row that isn't 0 0 0 1.
    """
    pose = np.eye(4)
    pose[:3] = c2w[:3]
    R = pose[:3, :3]
    finite = bool(np.isfinite(c2w).all())
    problem = ""
    if not finite:
        problem = "has NaN or infinite numbers"
        remedy = "This view was never posed: take it out, or calibrate again."
    elif len(c2w) == 4 and not np.allclose(c2w[3], [0, 0, 0, 1], atol=1e-6):
        problem, remedy = "doesn't end in the row 0 0 0 1", "Rows and columns may be exchanged."
    elif np.linalg.det(R) < 0:
        problem = "has mirrored axes (det R < 0)"
        remedy = "Axes must be right-handed: an axis was flipped, or two exchanged, alone."
    elif np.abs(R @ R.T - np.eye(3)).max() > 1e-3:
        problem = "has axes that are no rotation"
        remedy = "Take scale and shear out of its left 3 x 3 block."
    if problem:
        raise SceneError(f"{field} {problem}", where=where, remedy=remedy)
    return pose
