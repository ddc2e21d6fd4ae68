"""A scene: views of one head with cameras and masks, and which of them are sensitive.

A scene never leaves its owner's machine; `privacy.release.protect` makes what may.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import OutputError, SceneError
from privhead_nb.files import atomic_folder
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.checks import check_roles, check_surroundings
from privhead_nb.scenes.formats import read_parts
from privhead_nb.scenes.formats.parts import Hints
from privhead_nb.scenes.images import resize_area, write_image
from privhead_nb.scenes.scene_json import (
    SceneInfo,
    missing_scene_json,
    parse_views,
    read_scene_json,
)
from privhead_nb.scenes.truth import (
    Triangles,
    read_landmarks,
    read_obj,
    write_landmarks,
    write_obj,
)

if TYPE_CHECKING:
    import trimesh


@dataclass(frozen=True, eq=False)
class Scene:
    """V views of one head.

    Args:
        images: (V, H, W, 3) float32 in [0, 1], sRGB values as stored.
        masks: (V, H, W) float32 in [0, 1], 1 = head.
        cameras: V cameras, scene unit.
        sensitive: views that show the face.
        neutral: views that don't.
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

    Raises:
        SceneError: counts, sizes, roles, masks or cameras that can't be right.
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

    def __post_init__(self) -> None:
        views, size = len(self.cameras), (self.cameras.height, self.cameras.width)
        if self.images.shape != (views, *size, 3) or self.masks.shape != (views, *size):
            raise SceneError(
                f"images are {tuple(self.images.shape)} and masks {tuple(self.masks.shape)} for "
                f"{views} cameras of {size[1]} x {size[0]} pixels",
                where=self.name,
                remedy="They must be (V, H, W, 3) and (V, H, W).",
            )
        check_roles(self.sensitive, self.neutral, views, self.name)
        check_surroundings(self.cameras, self.center, self.radius, self.name)

    def face_region(self) -> tuple[Vec3, float]:
        """Nose tip and radius of the face region, scene unit; SceneError where unknown."""
        if self.nose_tip is None or self.face_radius is None:
            raise SceneError(
                "the face region is unknown",
                where=self.name,
                remedy="Add nose_tip and face_radius to its scene.json, or use the head region.",
            )
        return self.nose_tip, self.face_radius

    def truth_mesh(self) -> trimesh.Trimesh:
        """The truth mesh, scene unit; SceneError where the scene has none."""
        import trimesh

        vertices, faces = self.truth_triangles()
        return trimesh.Trimesh(vertices, faces, process=False)

    def truth_triangles(self) -> Triangles:
        """Vertices (N, 3) and faces (M, 3) of the truth mesh; SceneError where there is none."""
        if self.truth is not None:
            return self.truth
        if self.truth_path is None:
            raise SceneError(
                "the scene has no truth mesh",
                where=self.name,
                remedy="Put the true head, in the scene's unit, into full_head.obj.",
            )
        return read_obj(self.truth_path)

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
        foreign = target.is_dir() and any(target.iterdir()) and not (target / "image").is_dir()
        if overwrite and foreign:
            raise OutputError(
                "holds something that is no scene, and won't be replaced",
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
    """Read a folder of views.

    Args:
        folder: H3DS, IDR, NeuS or VolSDF folder (docs/formats.md).
        sensitive: views that show the face, such as "0-19" or "0-4,7"; all others are neutral.
            It stands in for, and overrules, the roles in scene.json.
        format: "auto", or the name of a loader.
        size: bring every view to `size` x `size` pixels as it is read (see `Scene.resized`), so
            that memory doesn't grow with the pictures.

    Raises:
        SceneError: what is missing or wrong, in which file, and what to do.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise SceneError("there is no such folder", where=folder, remedy="Check the path.")
    if (folder / "release.json").is_file():
        raise SceneError(
            "this is a release, not a scene",
            where=folder,
            remedy="Sensitive pictures can't be had from it; name the scene it was made from.",
        )
    path = folder / "scene.json"
    info = read_scene_json(path) if path.is_file() else SceneInfo()
    parts = read_parts(folder, format, Hints(info.pixel_center, info.background, size))
    views = len(parts.cameras)
    if sensitive is not None:
        chosen = parse_views(sensitive, views)
        others = tuple(i for i in range(views) if i not in chosen)
    elif info.sensitive is None:
        raise missing_scene_json(path, views)
    else:
        chosen = info.sensitive
        rest = tuple(i for i in range(views) if i not in chosen)
        others = rest if info.neutral is None else info.neutral
    check_roles(chosen, others, views, path)
    check_surroundings(parts.cameras, parts.center, parts.radius, parts.camera_file)
    background = info.background or (1.0, 1.0, 1.0)
    said = list(parts.assumptions)
    if info.unit is None:
        said.append(f"unit assumed to be {parts.unit}")
    said += _look_at_background(parts.images, parts.masks, background)
    landmarks = None
    if info.landmarks is not None:
        landmarks = np.array(info.landmarks, np.float64).reshape(-1, 3)
    elif parts.landmarks_path is not None:
        landmarks = read_landmarks(parts.landmarks_path, parts.truth_path)
    return Scene(
        images=torch.from_numpy(parts.images),
        masks=torch.from_numpy(parts.masks),
        cameras=parts.cameras,
        sensitive=chosen,
        neutral=others,
        center=parts.center,
        radius=parts.radius,
        nose_tip=info.nose_tip,
        face_radius=info.face_radius,
        background=background,
        unit=info.unit or parts.unit,
        up=info.up,
        front=info.front,
        licence=info.licence,
        landmarks=landmarks,
        truth_path=parts.truth_path,
        name=folder.resolve().name,
        assumptions=tuple(said),
    )


def scene_facts(scene: Scene) -> dict[str, Any]:
    """What `inspect` prints: counts, sizes, distances and assumptions, ready for JSON."""
    cameras = scene.cameras
    distance = (cameras.centers - cameras.centers.new_tensor(scene.center)).norm(dim=1)
    return {
        "kind": "scene",
        "name": scene.name,
        "views": len(cameras),
        "sensitive": list(scene.sensitive),
        "neutral": list(scene.neutral),
        "width": cameras.width,
        "height": cameras.height,
        "pixel_center": cameras.pixel_center,
        "unit": scene.unit,
        "up": scene.up,
        "front": scene.front,
        "center": list(scene.center),
        "radius": scene.radius,
        "camera_distance": [float(distance.min()), float(distance.max())],
        "focal_pixels": [float(cameras.K[:, 0, 0].min()), float(cameras.K[:, 0, 0].max())],
        "mask_share": float(scene.masks.mean()),
        "nose_tip": None if scene.nose_tip is None else list(scene.nose_tip),
        "face_radius": scene.face_radius,
        "landmarks": 0 if scene.landmarks is None else len(scene.landmarks),
        "truth": scene.truth is not None or scene.truth_path is not None,
        "licence": scene.licence,
        "assumptions": list(scene.assumptions),
    }


def _look_at_background(images: np.ndarray, masks: np.ndarray, background: Vec3) -> list[str]:
    """Say so where the pictures show something else than `background` off the head."""
    off = [
        np.abs(i[m < 0.01] - np.array(background, np.float32))
        for i, m in zip(images, masks, strict=True)
    ]
    error = max((float(o.mean()) for o in off if o.size), default=0.0)
    if error < 0.05:
        return []
    said = (
        f"the background of the pictures isn't the plain colour stated (mean error {error:.2f} "
        "of 1 in the worst view); protect it with background='flat'"
    )
    return [said]
