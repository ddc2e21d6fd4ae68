"""Pictures of what a reconstruction leaves behind, framed as the lab's portraits are.

A field has colours, `attacks.field_renders.renders` shows them. A mesh has none: it is shown as a
grey figure in studio light, as the paper's "Rendered Mesh". A protected picture is shown as the
grey picture that its numbers make. All are 64 x 64 RGB, so that a recogniser that was trained on
photographs can be asked about any of them, as the paper asks its seven (AAAI, Table 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.head import Head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.lab.albums import cameras_at
from privhead_nb.lab.busts import Bust, bust, shoot
from privhead_nb.privacy.operators import Operator
from privhead_nb.scenes.camera import Cameras

GREY = 0.4  # linear reflectance of a grey figure
FRONT = ((0.0, 0.0),)
PROBES = ((-40.0, 0.0), (-28.0, 8.0), (-16.0, -6.0), (-6.0, 6.0),
          (6.0, -6.0), (16.0, 8.0), (28.0, -4.0), (40.0, 6.0))  # fmt: skip
"""Yaw and pitch of eight probes within 45 degrees, as many as an evaluation album has."""


def portrait_cameras(angles: Sequence[tuple[float, float]] = PROBES) -> Cameras:
    """Cameras at (yaw, pitch) degrees, framed as portraits; mm, in the heads' own axes."""
    return cameras_at([(0, yaw, pitch) for yaw, pitch in angles], torch.Generator())


def photograph(head: Head | Bust, cameras: Cameras, light: str = "studio") -> Tensor:
    """(V, H, W, 3) sRGB pictures of a made head, or of its bust: what the paper calls Original."""
    seen = shoot(bust(head) if isinstance(head, Head) else head, cameras)
    return seen.pictures(LIGHTS[light].expand(len(cameras), -1)).clamp(0, 1)


def render_mesh(mesh: Mesh, cameras: Cameras, light: str = "studio") -> Tensor:
    """(V, H, W, 3) pictures of a mesh as a grey figure before white.

    Args:
        mesh: mm; triangles should not be much larger than 4 mm, for they are filled with points.
        cameras: in the mesh's unit and axes.
        light: a name in LIGHTS.
    """
    vertices = torch.from_numpy(np.ascontiguousarray(mesh.vertices)).float()
    grey = torch.full_like(vertices, GREY)
    one = torch.ones(len(vertices))
    figure = Bust(
        vertices=vertices,
        faces=torch.from_numpy(np.ascontiguousarray(mesh.faces)).long(),
        normals=torch.from_numpy(np.ascontiguousarray(mesh.vertex_normals())).float(),
        reflectance=grey,
        plain=grey,
        openness=one,
        gloss=0.35 * one,
        label=torch.zeros(len(vertices), dtype=torch.long),
    )
    return photograph(figure, cameras, light)


def as_grey(moduli: Tensor, operator: Operator) -> Tensor:
    """Moduli (N, H, W) as grey pictures (N, H, W, 3) in [0, 1], a quarter of the peak as white."""
    return (moduli / (0.25 * operator.peak)).clamp(0, 1)[..., None].expand(*moduli.shape, 3)


def protected(pictures: Tensor, operator: Operator, seed: int = 0) -> Tensor:
    """Pictures (N, H, W, 3) after a protecting operator, as grey pictures of the same shape."""
    return as_grey(operator.protect(pictures, torch.Generator().manual_seed(seed)), operator)
