"""A scene: views of one head with cameras and masks, and which of them are sensitive.

A scene never leaves its owner's machine; `privacy.release.protect` makes what may.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import OutputError, SceneError
from privhead_nb.files import atomic_folder
from privhead_nb.scenes.about import HEAD_AXES, AboutScene, check_description
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.checks import check_roles, check_surroundings
from privhead_nb.scenes.images import resize_area, write_image
from privhead_nb.scenes.truth import Triangles, write_landmarks, write_obj

if TYPE_CHECKING:
    from privhead_nb.scenes.folder import SceneFolder


@dataclass(frozen=True, eq=False)
class Scene(AboutScene):
    """V views of one head.

    Args:
        images: (V, H, W, 3) float32 in [0, 1], sRGB values as stored.
        masks: (V, H, W) float32 in [0, 1], 1 = head.
        cameras: V cameras, scene unit.
        sensitive: views that show the face.
        neutral: views that don't; those in neither list are never released.
        center: centre of the bounding sphere, scene unit.
        radius: its radius, scene unit.
        nose_tip: centre of the face region for distances, scene unit; None where unknown.
        face_radius: radius of the face region, scene unit; None where unknown.
        background: colour behind the head, in [0, 1].
        unit: name of the scene unit.
        up: axis towards the crown.
        front: axis that the face looks along.
        licence: licence of the pictures.
        landmarks: (L, 3) float64, scene unit.
        truth: truth mesh, vertices (N, 3) float64 and faces (M, 3) int64.
        truth_path: file of the truth mesh, where it isn't in memory.
        name: what to call the scene in reports.
        assumptions: what the loader took for granted, one sentence each.
        names: file name of each view's picture; img_%04d.png where none are given.
        origin: where the origin stood in the files' coordinates (see `in_head_frame`).
        file_axes: what up and front were called there.

    Raises:
        SceneError: counts, sizes, names, roles, unit, masks or cameras that can't be right.
    """

    images: Tensor
    masks: Tensor
    cameras: Cameras
    sensitive: tuple[int, ...]
    neutral: tuple[int, ...]
    center: Vec3
    radius: float
    nose_tip: Vec3 | None = None
    face_radius: float | None = None
    background: Vec3 = (1.0, 1.0, 1.0)
    unit: str = "mm"
    up: str = "+y"
    front: str = "+z"
    licence: str = ""
    landmarks: np.ndarray | None = None
    truth: Triangles | None = None
    truth_path: Path | None = None
    name: str = "scene"
    assumptions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    origin: Vec3 = (0.0, 0.0, 0.0)
    file_axes: tuple[str, str] = HEAD_AXES
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        views, size = len(self.cameras), (self.cameras.height, self.cameras.width)
        if self.images.shape != (views, *size, 3) or self.masks.shape != (views, *size):
            raise SceneError(
                f"images are {tuple(self.images.shape)} and masks {tuple(self.masks.shape)} for "
                f"{views} cameras of {size[1]} x {size[0]} pixels",
                where=self.name,
                remedy="They must be (V, H, W, 3) and (V, H, W).",
            )
        if not self.names:
            object.__setattr__(self, "names", tuple(f"img_{v:04d}.png" for v in range(views)))
        if len(self.names) != views or len(set(self.names)) != views:
            raise SceneError(
                f"{len(set(self.names))} names for {views} views",
                where=self.name,
                remedy="Give every view a name of its own.",
            )
        check_roles(self.sensitive, self.neutral, views, self.name)
        check_surroundings(self.cameras, self.center, self.radius, self.name)
        check_description(self.unit, (self.up, self.front), self.center, self.nose_tip, self.name)

    def picture(self, view: int, size: int | None = None) -> np.ndarray:
        """(H, W, 3) picture of a view, brought to `size` x `size` by area average."""
        return _sized(self.images[view], size)

    def mask(self, view: int, size: int | None = None) -> np.ndarray:
        """(H, W) mask of a view, brought to `size` x `size` by area average."""
        return _sized(self.masks[view], size)

    def mask_share(self) -> float:
        """Share of the pictures that the masks cover."""
        return float(self.masks.mean())

    def background_remark(self) -> tuple[str, ...]:
        """Nothing: what `load` found stands in `assumptions`."""
        return ()

    def resized(self, size: int) -> Scene:
        """The scene at `size` x `size` pixels: area average, K rescaled."""
        images = [resize_area(i, size, size) for i in self.images.numpy()]
        masks = [resize_area(m, size, size) for m in self.masks.numpy()]
        return replace(
            self,
            images=torch.from_numpy(np.stack(images)),
            masks=torch.from_numpy(np.stack(masks)),
            cameras=self.cameras.resized(size, size),
        )

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write the H3DS layout with scene.json: 8-bit PNGs, cameras, truth mesh, landmarks.

        Raises:
            OutputError: the folder holds something and `overwrite` is false, or can't be written.
        """
        target = Path(folder)
        foreign = _foreign(target) if overwrite and target.is_dir() else None
        if foreign is not None:
            raise OutputError(
                f"holds {foreign!r}, which is no part of a scene written here and would be lost",
                where=target,
                remedy="Name a new folder, or remove this one yourself.",
            )
        triangles = None
        if self.truth is not None or self.truth_path is not None:
            triangles = self.truth_triangles()
        with atomic_folder(folder, overwrite=overwrite) as aside:
            (aside / "image").mkdir()
            (aside / "mask").mkdir()
            for i, (image, mask) in enumerate(zip(self.images, self.masks, strict=True)):
                write_image(aside / "image" / f"img_{i:04d}.png", image.numpy())
                write_image(aside / "mask" / f"mask_{i:04d}.png", mask.numpy())
            np.savez(aside / "cameras.npz", **self._npz())  # type: ignore[arg-type]
            text = json.dumps(self._scene_json(), indent=1)
            (aside / "scene.json").write_text(text + "\n", encoding="utf-8")
            if triangles is not None:
                write_obj(aside / "full_head.obj", *triangles)
                if self.landmarks is not None:
                    write_landmarks(aside / "landmarks.txt", self.landmarks, triangles[0])

    def _npz(self) -> dict[str, np.ndarray]:
        scale = np.diag([self.radius, self.radius, self.radius, 1.0])
        scale[:3, 3] = self.center
        mats = {f"world_mat_{i}": m for i, m in enumerate(self.cameras.world_mats().numpy())}
        return mats | {f"scale_mat_{i}": scale for i in range(len(self.cameras))}

    def _scene_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "unit": self.unit,
            "pixel_center": self.cameras.pixel_center,
            "background": [round(255 * b, 4) for b in self.background],
            "axes": "opencv",
            "up": self.up,
            "front": self.front,
            "licence": self.licence,
            "nose_tip": self.nose_tip,
            "face_radius": self.face_radius,
            "views": {"sensitive": self.sensitive, "neutral": self.neutral},
        }
        if self.unused:
            data["views"]["unused"] = self.unused
        if self.landmarks is not None:
            # landmarks.txt rounds to the nearest vertex; here they stand exactly.
            data["landmarks"] = self.landmarks.tolist()
        return data


def load_scene(
    folder: str | Path,
    *,
    sensitive: str | None = None,
    format: str = "auto",
    size: int | None = None,
) -> Scene:
    """Read a folder of views into memory; see `open_scene`, which leaves the pictures on disk.

    Args:
        folder: H3DS, IDR, NeuS or VolSDF folder (docs/formats.md).
        sensitive: views that show the face, such as "img_0003.png,front_*.png" or "0-19"; all
            others are neutral. It stands in for, and overrules, the roles in scene.json.
        format: "auto", or the name of a loader.
        size: bring every view to `size` x `size` pixels as it is read (see `Scene.resized`), so
            that memory doesn't grow with the pictures.

    Raises:
        SceneError: what is missing or wrong, in which file, and what to do.
    """
    from privhead_nb.scenes.folder import open_scene  # which builds on this file

    return open_scene(folder, sensitive=sensitive, format=format).load(size)


def scene_facts(scene: Scene | SceneFolder) -> dict[str, Any]:
    """What `inspect` prints: counts, sizes, distances and assumptions, ready for JSON."""
    cameras = scene.cameras
    distance = (cameras.centers - cameras.centers.new_tensor(scene.center)).norm(dim=1)
    return {
        "kind": "scene",
        "name": scene.name,
        "views": len(cameras),
        "sensitive": list(scene.sensitive),
        "neutral": list(scene.neutral),
        "in_colour": [scene.names[v] for v in scene.neutral],
        "as_modulus": [scene.names[v] for v in scene.sensitive],
        "unused": [scene.names[v] for v in scene.unused],
        "width": cameras.width,
        "height": cameras.height,
        "pixel_center": cameras.pixel_center,
        "unit": scene.unit,
        "up": scene.up,
        "front": scene.front,
        "center": list(scene.center),
        "radius": scene.radius,
        "origin": list(scene.origin),
        "camera_distance": [float(distance.min()), float(distance.max())],
        "focal_pixels": [float(cameras.K[:, 0, 0].min()), float(cameras.K[:, 0, 0].max())],
        "mask_share": scene.mask_share(),
        "nose_tip": None if scene.nose_tip is None else list(scene.nose_tip),
        "face_radius": scene.face_radius,
        "landmarks": 0 if scene.landmarks is None else len(scene.landmarks),
        "truth": scene.truth is not None or scene.truth_path is not None,
        "licence": scene.licence,
        "assumptions": [*scene.assumptions, *scene.background_remark()],
    }


def _sized(pixels: torch.Tensor, size: int | None) -> np.ndarray:
    return pixels.numpy() if size is None else resize_area(pixels.numpy(), size, size)


def _foreign(folder: Path) -> str | None:
    """The first entry of a folder that `Scene.save` doesn't write, None where there is none."""
    own = re.compile(
        r"image(/img_\d{4}\.png)?|mask(/mask_\d{4}\.png)?"
        r"|cameras\.npz|scene\.json|full_head\.obj|landmarks\.txt"
    )
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    if names and "scene.json" not in names:
        return names[0]
    return next((name for name in names if not own.fullmatch(name)), None)
