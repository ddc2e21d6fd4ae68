"""What scenes in memory and on disk share: face region, truth mesh, the head's own frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.truth import Triangles, read_obj

if TYPE_CHECKING:
    import trimesh

UNITS = ("mm", "cm", "m", "scene", "unknown")
"""Names of the scene unit; "scene" and "unknown" say that nobody knows its length."""
AXES = ("+x", "-x", "+y", "-y", "+z", "-z")
HEAD_AXES = ("+y", "+z")

Any_ = TypeVar("Any_", bound="AboutScene")


class AboutScene:
    """Base of the frozen dataclasses `Scene` and `SceneFolder`, which hold these fields."""

    names: tuple[str, ...]
    cameras: Cameras
    sensitive: tuple[int, ...]
    neutral: tuple[int, ...]
    center: Vec3
    radius: float
    nose_tip: Vec3 | None
    face_radius: float | None
    background: Vec3
    unit: str
    up: str
    front: str
    licence: str
    landmarks: np.ndarray | None
    truth: Triangles | None
    truth_path: Path | None
    name: str
    assumptions: tuple[str, ...]
    origin: Vec3
    file_axes: tuple[str, str]
    doubts: tuple[str, ...]

    @property
    def unused(self) -> tuple[int, ...]:
        """Views without a role: shown by `inspect`, never released."""
        used = {*self.sensitive, *self.neutral}
        return tuple(v for v in range(len(self.cameras)) if v not in used)

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
        vertices, faces = read_obj(self.truth_path)
        return _moved(vertices, self.origin, self.file_axes), faces

    def in_head_frame(self: Any_) -> Any_:
        """The scene in the head's own frame, where its numbers tell of another place.

        Where the origin lies outside of the bounding sphere (a map's or a hall's coordinates),
        the sphere's centre becomes the origin, `up` +y and `front` +z, and `origin` says where the
        new origin was. Any other scene is returned as it is.
        """
        if float(np.linalg.norm(self.center)) <= self.radius:
            return self
        axes = (self.up, self.front)
        R = turn(axes)
        c2w = self.cameras.c2w.clone()
        c2w[:, :3, 3] = torch.from_numpy(_moved(c2w[:, :3, 3].numpy(), self.center, axes))
        c2w[:, :3, :3] = torch.from_numpy(R) @ c2w[:, :3, :3]
        tip, marks, truth = self.nose_tip, self.landmarks, self.truth
        if tip is not None:
            x, y, z = _moved(np.array(tip), self.center, axes).tolist()
            tip = (x, y, z)
        said = f"moved to the head's own frame: its origin was at {_point(self.center)}"
        made = replace(
            cast(Any, self),
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
        return cast(Any_, made)


@dataclass(frozen=True, eq=False)
class TruthFile(AboutScene):
    """A truth mesh of which nothing else is known: distances of the whole head alone."""

    name: str
    truth: Triangles | None
    unit: str = "unknown"

    def face_region(self) -> tuple[Vec3, float]:
        """Always a SceneError: a mesh doesn't say where its nose tip is."""
        raise SceneError(
            "a mesh file doesn't say where the face is",
            where=self.name,
            remedy="Name the scene's folder, or use the head region (--region head).",
        )


def axis_vector(name: str) -> np.ndarray:
    """ "+y" to (0, 1, 0), and so on: (3,) float64; SceneError for any other name."""
    if name not in AXES:
        raise SceneError(f"unknown axis {name!r}", remedy=f"Use one of {' '.join(AXES)}.")
    vector = np.zeros(3)
    vector["xyz".index(name[1])] = 1.0 if name[0] == "+" else -1.0
    return vector


def check_description(
    unit: str, axes: tuple[str, str], center: Vec3, nose_tip: Vec3 | None, where: str | Path
) -> None:
    """Raise SceneError for an unknown unit, axes that are no frame, or a nose tip elsewhere."""
    if unit not in UNITS:
        raise SceneError(
            f"unit is {unit[:60]!r}", where=where, remedy=f"It must be one of {', '.join(UNITS)}."
        )
    up, front = axes
    if up not in AXES or front not in AXES or up[1] == front[1]:
        raise SceneError(
            f"up and front are {up!r} and {front!r}",
            where=where,
            remedy="They must be two different axes such as +y and +z.",
        )
    if nose_tip is None:
        return
    tip = np.array(nose_tip) - center
    level = tip - (tip @ axis_vector(up)) * axis_vector(up)
    # The rule for views that show the face counts from `front`: both must tell the same side.
    if tip @ axis_vector(front) < 0.7 * np.linalg.norm(level) or not level.any():
        raise SceneError(
            f"the face looks along {front}, but nose_tip {_point(nose_tip)} lies to another side "
            f"of the bounding sphere's centre {_point(center)}",
            where=where,
            remedy="Which views show the face hangs on it: mend front or nose_tip.",
        )


def turn(axes: tuple[str, str]) -> np.ndarray:
    """(3, 3) rotation from axes named (up, front) to (+y, +z): a permutation with signs."""
    up, front = map(axis_vector, axes)
    return np.stack([np.cross(up, front), up, front])


def _moved(points: np.ndarray, origin: Vec3, axes: tuple[str, str]) -> np.ndarray:
    """Points (..., 3) after the move that puts `origin` at 0 and `axes` at (+y, +z)."""
    return np.asarray((points - np.array(origin)) @ turn(axes).T)


def _point(values: Vec3) -> str:
    return "(" + ", ".join(f"{v:.7g}" for v in values) + ")"
