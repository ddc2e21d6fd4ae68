"""Aligned pictures of a shape: what a shape-only recogniser looks at.

A mesh is turned by the axes that its release states, moved so that its nose tip is the origin, and
seen from the front and from both sides by a camera that the face fills. Nothing else aligns it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.lab.busts import Bust, shoot
from privhead_nb.scenes.camera import Cameras, custom_rig

SIZE = 64
YAWS = (-30.0, 0.0, 30.0)  # degrees
HEAD, FACE = 230.0, 170.0  # mm across the picture
DISTANCE = 885.0  # mm
DEPTH = 80.0  # mm of depth at a code of 127
_BELOW, _BEHIND = 6.0, -35.0  # mm from the nose tip to the picture's middle
_AXIS = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Axes:
    """Where a head's crown and face point in its scene, as a release states it ("+y", "+z")."""

    up: str = "+y"
    front: str = "+z"

    def turn(self) -> Tensor:
        """(3, 3) float64 rotation that brings the crown to +y and the face to +z.

        Raises:
            LabError: no axes, or one axis twice.
        """
        try:
            up, front = (_direction(name) for name in (self.up, self.front))
        except (KeyError, IndexError) as error:
            raise LabError(
                f"axes are {self.up!r} and {self.front!r}", remedy='Name them "+y" and "-z", say.'
            ) from error
        if abs(float(up @ front)) > 0.5:
            raise LabError(f"up {self.up!r} and front {self.front!r} are one axis", where="axes")
        return torch.stack([torch.linalg.cross(up, front), up, front])


def _direction(name: str) -> Tensor:
    out = torch.zeros(3, dtype=torch.float64)
    out[_AXIS[name[1]]] = {"+": 1.0, "-": -1.0}[name[0]]
    return out


def nose_tip(vertices: Tensor) -> Tensor:
    """(3,) of vertices (N, 3) mm that face +z: the middle of the foremost 1.5 mm near x = middle.

    Raises:
        LabError: no vertex there.
    """
    middle = (vertices[:, 0].amin() + vertices[:, 0].amax()) / 2
    height = vertices[:, 1].amax() - vertices[:, 1].amin()
    low = vertices[:, 1].amin() + 0.25 * height  # neck and chin stay out
    near = vertices[((vertices[:, 0] - middle).abs() < 25) & (vertices[:, 1] > low)]
    if len(near) == 0:
        raise LabError(
            "the mesh has no vertex near its middle", where="scan", remedy="Give a whole head."
        )
    return near[near[:, 2] > near[:, 2].amax() - 1.5].mean(0)


def cameras_of_scan(across: float) -> Cameras:
    """Three cameras around a head whose nose tip is the origin, `across` mm wide at the face."""
    target = (0.0, _BELOW, _BEHIND)
    eyes = [
        (
            DISTANCE * np.sin(np.radians(yaw)),
            _BELOW,
            _BEHIND + DISTANCE * np.cos(np.radians(yaw)),
        )
        for yaw in YAWS
    ]
    fov = 2 * float(np.degrees(np.arctan(across / 2 / DISTANCE)))
    cameras, _, _ = custom_rig(eyes, range(len(eyes)), target=target, size=SIZE, fov_deg=fov)
    return cameras


def shape_only(vertices: Tensor, faces: Tensor, normals: Tensor) -> Bust:
    """A bust without colours, for `shoot`."""
    grey, one = torch.full_like(vertices, 0.5), torch.ones(len(vertices))
    return Bust(vertices, faces, normals, grey, grey, one, one, one.long())


def scan(
    vertices: Tensor, faces: Tensor, normals: Tensor, axes: Axes, across: float = HEAD
) -> Tensor:
    """(3, S, S, 4) int8 from -30, 0 and 30 degrees: normals of length 127, then depth.

    Args:
        vertices: (N, 3) mm.
        faces: (F, 3).
        normals: (N, 3) unit, outward.
        axes: of the scene.
        across: width of the picture at the face, mm: HEAD shows hair and neck, FACE hardly.
    """
    turn = axes.turn()
    turned = vertices.double() @ turn.T
    placed = (turned - nose_tip(turned)).float()
    body = shape_only(placed, faces, normals.float() @ turn.float().T)
    cover, depth, seen = shoot(body, cameras_of_scan(across)).maps()
    relief = torch.where(cover > 0.5, (DISTANCE - depth) / DEPTH, torch.full_like(depth, -1.0))
    both = torch.cat([seen, relief.clamp(-1, 1)[..., None]], -1)
    return both.mul(127).round().to(torch.int8)


def scan_of_mesh(mesh: Mesh, axes: Axes | None = None, across: float = HEAD) -> Tensor:
    """As `scan`, of a released mesh in mm."""
    return scan(
        torch.from_numpy(mesh.vertices).float(),
        torch.from_numpy(mesh.faces),
        torch.from_numpy(mesh.vertex_normals()).float(),
        Axes() if axes is None else axes,
        across,
    )
