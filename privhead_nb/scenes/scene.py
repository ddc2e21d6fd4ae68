"""A scene: views of one head with cameras and masks, and which of them are sensitive.

A scene never leaves its owner's machine; `privacy.protect` makes what may. `Scene` holds its
pictures in memory, `folder.SceneFolder` leaves them on disk; what they share stands here.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import SceneError
from privhead_nb.files import atomic_folder
from privhead_nb.scenes.camera import Axis, Cameras, Vec3
from privhead_nb.scenes.camera import turn as turn
from privhead_nb.scenes.checks import check_description, check_roles, check_surroundings, point
from privhead_nb.scenes.images import resize_area, write_image
from privhead_nb.scenes.mesh_files import read_mesh, write_landmarks, write_obj
from privhead_nb.scenes.ply import Triangles
from privhead_nb.targets import refuse_foreign

if TYPE_CHECKING:
    import trimesh

WHITE: Vec3 = (1.0, 1.0, 1.0)
HEAD_AXES = ("+y", "+z")
"""up and front of the head's own frame."""

_OWN = re.compile(
    r"image(/img_\d{4}\.png)?|mask(/mask_\d{4}\.png)?"
    r"|cameras\.npz|scene\.json|full_head\.obj|landmarks\.txt"
)

AnyScene = TypeVar("AnyScene", bound="AboutScene")


@dataclass(frozen=True, eq=False, kw_only=True)
class Truth:
    """A head to measure against: its mesh, the unit of it, and where the face is.

    Args:
        name: what to call it in reports.
        truth: vertices (N, 3) float64 and faces (M, 3) int64, unless they are still on disk.
        truth_path: file of the truth mesh, where it isn't in memory.
        unit: name of the scene unit.
        nose_tip: centre of the face region for distances, scene unit; None where unknown.
        face_radius: radius of the face region, scene unit; None where unknown.
        origin: where the origin stood in the files' coordinates (see `AboutScene.in_head_frame`).
        file_axes: what up and front were called there.
        file_scale: what the truth mesh's coordinates are multiplied by, before that.
    """

    name: str = "scene"
    truth: Triangles | None = None
    truth_path: Path | None = None
    unit: str = "mm"
    nose_tip: Vec3 | None = None
    face_radius: float | None = None
    origin: Vec3 = (0.0, 0.0, 0.0)
    file_axes: tuple[Axis, Axis] = HEAD_AXES
    file_scale: float = 1.0

    def face_region(self) -> tuple[Vec3, float]:
        """Nose tip and radius of the face region, scene unit; SceneError where unknown."""
        if self.nose_tip is None or self.face_radius is None:
            raise SceneError(
                "the face region is unknown",
                where=self.name,
                remedy="Name a scene whose scene.json has nose_tip and face_radius, or use the "
                "head region (--region head).",
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
        vertices, faces = read_mesh(self.truth_path, error=SceneError)
        return _moved(self.file_scale * vertices, self.origin, self.file_axes), faces


@dataclass(frozen=True, eq=False, kw_only=True)
class AboutScene(Truth):
    """All of a scene but its pictures: V views of one head.

    Args:
        cameras: V cameras, scene unit.
        sensitive: views that show the face.
        neutral: views that don't; those in neither list are never released.
        center: centre of the bounding sphere, scene unit.
        radius: its radius, scene unit.
        names: file name of each view's picture; img_%04d.png where none are given.
        background: colour behind the head, in [0, 1].
        up: axis towards the crown.
        front: axis that the face looks along.
        licence: licence of the pictures.
        landmarks: (L, 3) float64, scene unit.
        assumptions: what the loader took for granted, one sentence each.
        doubts: why the cameras can't tell which views show the face; empty where they can.
    """

    cameras: Cameras
    sensitive: tuple[int, ...]
    neutral: tuple[int, ...]
    center: Vec3
    radius: float
    names: tuple[str, ...] = ()
    background: Vec3 = WHITE
    up: str = HEAD_AXES[0]
    front: str = HEAD_AXES[1]
    licence: str = ""
    landmarks: np.ndarray | None = None
    assumptions: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def unused(self) -> tuple[int, ...]:
        """Views without a role: shown by `inspect`, never released."""
        used = {*self.sensitive, *self.neutral}
        return tuple(v for v in range(len(self.cameras)) if v not in used)

    def in_head_frame(self: AnyScene, axes: tuple[Axis, Axis] | None = None) -> AnyScene:
        """The scene in the head's own frame, where its numbers tell of another place.

        Where the origin lies outside of the bounding sphere (a map's or a hall's coordinates),
        the sphere's centre becomes the origin, `up` +y and `front` +z, and `origin` says where the
        new origin was. Any other scene is returned as it is, unless up and front are given as
        `axes`, since they needn't be axes of the files' coordinates.
        """
        if axes is None and float(np.linalg.norm(self.center)) <= self.radius:
            return self
        axes = axes or (self.up, self.front)
        c2w = self.cameras.c2w.clone()
        c2w[:, :3, 3] = torch.from_numpy(_moved(c2w[:, :3, 3].numpy(), self.center, axes))
        c2w[:, :3, :3] = torch.from_numpy(turn(axes)) @ c2w[:, :3, :3]
        tip, marks, truth = self.nose_tip, self.landmarks, self.truth
        if tip is not None:
            x, y, z = _moved(np.array(tip), self.center, axes).tolist()
            tip = (x, y, z)
        said = f"moved to the head's own frame: its origin was at {point(self.center)}"
        return replace(
            self,
            cameras=replace(self.cameras, c2w=c2w),
            center=(0.0, 0.0, 0.0),
            nose_tip=tip,
            landmarks=None if marks is None else _moved(marks, self.center, axes),
            truth=None if truth is None else (_moved(truth[0], self.center, axes), truth[1]),
            up=HEAD_AXES[0],
            front=HEAD_AXES[1],
            origin=self.center,
            file_axes=axes,
            assumptions=(*self.assumptions, said),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene(AboutScene):
    """A scene in memory; `AboutScene` and `Truth` have its other fields.

    Args:
        images: (V, H, W, 3) float32 in [0, 1], sRGB values as stored.
        masks: (V, H, W) float32 in [0, 1], 1 = head.

    Raises:
        SceneError: counts, sizes, names, roles, unit, masks or cameras that can't be right.
    """

    images: Tensor
    masks: Tensor

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
        if overwrite and target.is_dir():
            refuse_foreign(target, _OWN, "a scene written here")
        triangles = None
        if self.truth is not None or self.truth_path is not None:
            triangles = self.truth_triangles()
        with atomic_folder(folder, overwrite=overwrite) as aside:
            (aside / "image").mkdir()
            (aside / "mask").mkdir()
            for i, (image, mask) in enumerate(zip(self.images, self.masks, strict=True)):
                write_image(aside / "image" / f"img_{i:04d}.png", image.numpy())
                write_image(aside / "mask" / f"mask_{i:04d}.png", mask.numpy())
            write_idr(aside / "cameras.npz", self.cameras, self.center, self.radius)
            text = json.dumps(self._scene_json(), indent=1)
            (aside / "scene.json").write_text(text + "\n", encoding="utf-8")
            if triangles is not None:
                write_obj(aside / "full_head.obj", *triangles)
                if self.landmarks is not None:
                    write_landmarks(aside / "landmarks.txt", self.landmarks, triangles[0])

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


def _moved(points: np.ndarray, origin: Vec3, axes: tuple[Axis, Axis]) -> np.ndarray:
    """Points (..., 3) after the move that puts `origin` at 0 and `axes` at (+y, +z)."""
    return np.asarray((points - np.array(origin)) @ turn(axes).T)


def _sized(pixels: torch.Tensor, size: int | None) -> np.ndarray:
    return pixels.numpy() if size is None else resize_area(pixels.numpy(), size, size)


def write_idr(path: Path, cameras: Cameras, center: Vec3, radius: float) -> None:
    """Write cameras and bounding sphere as H3DS and IDR do: world_mat_i and scale_mat_i, npz."""
    scale = np.diag([radius, radius, radius, 1.0])
    scale[:3, 3] = center
    mats = {f"world_mat_{i}": m for i, m in enumerate(cameras.world_mats().numpy())}
    mats |= {f"scale_mat_{i}": scale for i in range(len(cameras))}
    np.savez(path, **mats)
