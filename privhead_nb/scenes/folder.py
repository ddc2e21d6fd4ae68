"""A scene on disk: all of it but its pictures, which are read one at a time when asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import torch

from privhead_nb.errors import SceneError, no_folder
from privhead_nb.reading import unreadable
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.checks import assumed_axes, check_description, check_surroundings
from privhead_nb.scenes.facts import scene_facts
from privhead_nb.scenes.formats import read_parts
from privhead_nb.scenes.formats.parts import SceneParts
from privhead_nb.scenes.images import image_size, resize_area, turned_pictures
from privhead_nb.scenes.mask_check import check_masks, looks_like_volsdf, refit_sphere, small_masks
from privhead_nb.scenes.mesh_files import read_landmarks
from privhead_nb.scenes.scene import HEAD_AXES, WHITE, AboutScene, Scene, Truth
from privhead_nb.scenes.scene_json import (
    SceneInfo,
    missing_scene_json,
    parse_views,
    read_roles,
    read_scene_json,
)
from privhead_nb.scenes.sphere import fitted_sphere, stated_sphere
from privhead_nb.scenes.view_files import ViewFiles, common_size

__all__ = ["SceneFolder", "load_scene", "open_scene", "open_truth", "scene_facts"]

NO_MASKS = np.empty((0, 0, 0), np.float32)
MAX_SCENE_PIXELS = 256_000_000
"""Pixels of a whole scene in memory: 4.1 GB with its masks."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneFolder(AboutScene):
    """V views of one head on disk; `load` makes the `Scene` of them.

    Args:
        files: picture and mask of each view; `cameras` are at their size.
        small_masks: (V, h, w) float32 in [0, 1], at most 128 pixels wide and high.
        background_errors: `background_error` of the views read so far, so that none is read
            twice for it.
    """

    files: tuple[ViewFiles, ...]
    small_masks: np.ndarray
    background_errors: dict[int, float] = field(default_factory=dict)

    def picture(self, view: int, size: int | None = None) -> np.ndarray:
        """(H, W, 3) float32 in [0, 1], read from its file; area average to `size` x `size`.

        Raises:
            SceneError: damaged, of another size than at opening, or smaller than `size`.
        """
        pixels = self._pixels(view)
        found = self._sized(pixels, size)
        if view not in self.background_errors:
            small = min(self.small_masks.shape[1:])
            shown, mask = (resize_area(a, small, small) for a in (pixels, self.small_masks[view]))
            self.background_errors[view] = background_error(shown, mask, self.background)
        return found

    def mask(self, view: int, size: int | None = None) -> np.ndarray:
        """(H, W) float32 in [0, 1], 1 = head; see `picture`."""
        if self.small_masks.shape[1:] == (self.cameras.height, self.cameras.width):
            pixels = self.small_masks[view]  # so small that it was kept whole
        else:
            pixels = self.files[view].mask_pixels(self._canvas)
        return self._sized(pixels, size)

    def mask_share(self) -> float:
        """Share of the pictures that the masks cover."""
        return float(self.small_masks.mean())

    def background_remark(self) -> tuple[str, ...]:
        """A sentence where the pictures show another background than stated, else nothing.

        Reads the pictures that have not been read so far.
        """
        for view in range(len(self.cameras)):
            if view not in self.background_errors:
                self.picture(view)
        return _remark([*self.background_errors.values()])

    def load(self, size: int | None = None) -> Scene:
        """The scene with its pictures in memory, brought to `size` x `size` as they are read.

        Raises:
            SceneError: a picture is damaged, or there are too many pixels to hold.
        """
        self._check_size(size)
        W, H = (self.cameras.width, self.cameras.height) if size is None else (size, size)
        views = len(self.cameras)
        if views * W * H > MAX_SCENE_PIXELS:
            raise SceneError(
                f"{views} views of {W} x {H} pixels are too many to hold in memory",
                where=self.files[0].image.parent,
                remedy="Load them at a smaller size, as load_scene(folder, size=512), or take "
                "open_scene(folder), which reads one picture at a time.",
            )
        images, masks = np.empty((views, H, W, 3), np.float32), np.empty((views, H, W), np.float32)
        errors = []
        for view in range(views):
            images[view] = self._sized(self._pixels(view), size)
            masks[view] = self.mask(view, size)
            errors.append(background_error(images[view], masks[view], self.background))
        shared = {f.name: getattr(self, f.name) for f in fields(AboutScene)}
        shared["cameras"] = self.cameras.resized(W, H)
        shared["assumptions"] = (*self.assumptions, *_remark(errors))
        return Scene(**shared, images=torch.from_numpy(images), masks=torch.from_numpy(masks))

    @property
    def _canvas(self) -> tuple[int, int]:
        return self.cameras.width, self.cameras.height

    def _pixels(self, view: int) -> np.ndarray:
        return self.files[view].picture(self._canvas, self.background)

    def _sized(self, pixels: np.ndarray, size: int | None) -> np.ndarray:
        self._check_size(size)
        return pixels if size is None else resize_area(pixels, size, size)

    def _check_size(self, size: int | None) -> None:
        if size is not None and not 1 <= size <= min(self.cameras.width, self.cameras.height):
            raise SceneError(
                f"size {size} is above the pictures' {self.cameras.width} x {self.cameras.height}"
                if size > 0
                else f"size {size} is no size",
                where=self.files[0].image.parent,
                remedy="Pictures are never enlarged: use a smaller size.",
            )


def open_scene(
    folder: str | Path, *, sensitive: str | None = None, format: str = "auto"
) -> SceneFolder:
    """Read all of a folder of views but its pictures, in the head's own frame.

    Args:
        folder: of one of the formats in docs/formats.md.
        sensitive: views that show the face, such as "img_0003.png,front_*.png" or "0-19" (see
            `parse_views`); all others are neutral, but for those that scene.json lists as unused.
            It stands in for the other roles in scene.json.
        format: "auto", or the name of a loader.

    Raises:
        SceneError: what is missing or wrong, in which file, and what to do.
    """
    path, info, parts = _read(Path(folder), format)
    names = tuple(view.name for view in parts.views)
    if sensitive is not None:
        chosen = parse_views(sensitive, names)
        given = {"neutral": [], "unused": info.views.get("unused")}
        rest, _ = read_roles(given, names, path)  # all that aren't unused
        others = tuple(v for v in rest if v not in set(chosen))
    elif any(info.views.get(role) is not None for role in ("sensitive", "neutral")):
        chosen, others = read_roles(info.views, names, path)
    else:
        raise missing_scene_json(path, names, info.unit or parts.unit)
    return _made(path, info, parts, parts.cameras(), (chosen, others))


def load_scene(
    folder: str | Path,
    *,
    sensitive: str | None = None,
    format: str = "auto",
    size: int | None = None,
) -> Scene:
    """Read a folder of views into memory; see `open_scene`, which leaves the pictures on disk.

    Args:
        folder, sensitive, format: as `open_scene` takes them.
        size: bring every view to `size` x `size` pixels as it is read (see `Scene.resized`), so
            that memory doesn't grow with the pictures.

    Raises:
        SceneError: what is missing or wrong, in which file, and what to do.
    """
    return open_scene(folder, sensitive=sensitive, format=format).load(size)


def open_truth(folder: str | Path, format: str = "auto") -> Truth:
    """What distances need of a scene's folder: truth mesh, face region, unit. Reads no picture.

    Raises:
        SceneError: what is missing or wrong, in which file, and what to do.
    """
    path, info, parts = _read(Path(folder), format)
    return _made(path, info, parts, None, ((), ()))


def background_error(picture: np.ndarray, mask: np.ndarray, background: Vec3) -> float:
    """Mean distance, of 1, between a picture (H, W, 3) off the head and the colour stated."""
    off = np.abs(picture[mask < 0.01] - np.array(background, np.float32))
    return float(off.mean()) if off.size else 0.0


def _read(folder: Path, format: str) -> tuple[Path, SceneInfo, SceneParts]:
    """Path and contents of scene.json, and what the loader found."""
    try:
        if not folder.is_dir():
            raise SceneError(no_folder(folder), where=folder, remedy="Check the path.")
        release = (folder / "release.json").is_file()
    except (OSError, ValueError) as problem:  # closed to us, or no name that a folder can have
        raise unreadable(folder, problem, error=SceneError, remedy="Check the path.") from problem
    if release:
        raise SceneError(
            "this is a release, not a scene",
            where=folder,
            remedy="Sensitive pictures can't be had from it; name the scene it was made from.",
        )
    path = folder / "scene.json"
    info = read_scene_json(path) if os.path.lexists(path) else SceneInfo()
    return path, info, read_parts(folder, format, info.pixel_center)


def _made(
    path: Path,
    info: SceneInfo,
    parts: SceneParts,
    cameras: Cameras | None,
    roles: tuple[tuple[int, ...], tuple[int, ...]],
) -> SceneFolder:
    """The scene in the head's own frame; without `cameras`, no picture is opened.

    Masks are opened even so where the sphere hangs on them.
    """
    said = [] if cameras is None else turned_pictures(view.image for view in parts.views)
    said += parts.assumptions
    if info.background is None:
        said.append("background assumed to be white")
    if info.unit is None:
        said.append(f"unit assumed to be {parts.unit}")
    up, front = assumed_axes(info.up, info.front, parts.axes)
    if info.up is None and up != HEAD_AXES[0]:
        said.append(f"up is assumed to be {up}")
    if info.front is None:
        said.append(f"the face is assumed to look along {front} (scene.json names no front)")
    sphere, small = stated_sphere(parts.sphere, info.center, info.radius, path), NO_MASKS
    placed = Cameras(parts.K, parts.c2w, 1, 1, parts.pixel_center) if cameras is None else cameras
    volsdf = parts.sphere is not None and looks_like_volsdf(placed, *parts.sphere)
    if cameras is None and (volsdf or sphere is None):
        width, height = (
            image_size(parts.views[0].mask)
            if volsdf
            else common_size(parts.views, parts.camera_file)
        )
        placed = replace(placed, width=width, height=height)
    if cameras is not None or volsdf or sphere is None:
        small = small_masks(parts.views, placed.width, placed.height)
    if sphere is None:
        seen = placed.resized(small.shape[2], small.shape[1])
        sphere, remark = fitted_sphere(seen, small, parts.camera_file)
        said.append(remark)
    center, radius = sphere
    if volsdf:
        seen = placed.resized(small.shape[2], small.shape[1])
        center, radius, remark = refit_sphere(seen, small, center, radius)
        said.append(remark)
    names = tuple(view.name for view in parts.views)
    if cameras is not None:
        check_surroundings(cameras, center, radius, parts.camera_file)
    check_description(info.unit or parts.unit, (up, front), center, info.nose_tip, path)
    landmarks, truth = info.landmarks, None
    if landmarks is None and parts.landmarks_path is not None:
        landmarks, truth = read_landmarks(parts.landmarks_path, parts.truth_path)
    named = isinstance(up, str) and isinstance(front, str)
    made = SceneFolder(
        files=parts.views,
        small_masks=small,
        names=names,
        cameras=placed,
        sensitive=roles[0],
        neutral=roles[1],
        center=center,
        radius=radius,
        nose_tip=info.nose_tip,
        face_radius=info.face_radius,
        background=info.background or WHITE,
        unit=info.unit or parts.unit,
        up=up if isinstance(up, str) else HEAD_AXES[0],
        front=front if isinstance(front, str) else HEAD_AXES[1],
        licence=info.licence,
        landmarks=landmarks,
        truth=truth,
        truth_path=parts.truth_path,
        file_scale=parts.truth_scale,
        name=path.parent.resolve().name,
        assumptions=tuple(said),
    ).in_head_frame(None if named else (up, front))
    if cameras is None:
        return made
    # After the move: a map's coordinates would use up the single precision of rays.
    fit = check_masks(
        made.cameras, small, made.center, radius, names=names, where=parts.camera_file
    )
    doubts = []
    if info.front is None and info.nose_tip is None:
        doubts.append("scene.json names no front and no nose_tip")
    if fit:
        doubts.append("cameras, sphere and masks fit badly")
    return replace(made, assumptions=(*made.assumptions, *fit), doubts=tuple(doubts))


def _remark(errors: Sequence[float]) -> tuple[str, ...]:
    """Say so where the pictures show something else than the stated background off the head."""
    error = max(errors, default=0.0)
    if error < 0.05:
        return ()
    said = (
        f"the background of the pictures isn't the plain colour stated (mean error {error:.2f} "
        "of 1 in the worst view); protect it with background='flat'"
    )
    return (said,)
