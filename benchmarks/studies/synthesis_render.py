"""Rendering inside a fit: a head's mesh is carried along as its code changes, and splatted.

A fit by synthesis renders one head hundreds of times with codes that hardly differ. So the head is
meshed once; for another code each vertex goes along its normal to the new surface, to first order
    v(c) = v - sdf(v; c) n / (n . grad sdf)
which is how IDR (Yariv et al., 2020, eq. 3) makes a ray's hit depend on the shape, with the normal
in place of the ray. Light is put on at the vertices. What a pixel sees comes from a z-buffer of
points that fill the triangles, by `lab/raster.py`, so silhouettes move with the code as well.

Everything but the z-buffer is a differentiable function of the head's codes, in their dtype.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from trimesh.remesh import subdivide

from privhead_nb.heads.colour import albedo
from privhead_nb.heads.grid import marching_cubes, sample_grid
from privhead_nb.heads.head import Head
from privhead_nb.heads.light import shade, to_srgb
from privhead_nb.heads.tracer import ambient_occlusion
from privhead_nb.lab.raster import FINE, average, gloss, visible
from privhead_nb.scenes.camera import Cameras

SPACING = 6.0  # mm: a pixel of a release is as wide
FACE_FROM = 35.0  # mm: in front of this, triangles are cut in four
MOST = 8.0  # mm that a vertex moves at a time


@dataclass(frozen=True, eq=False)
class Carried:
    """A head's surface at N vertices that follow its code.

    Args:
        vertices: (N, 3) mm.
        faces: (F, 3) int64, normals outward.
        normals: (N, 3) unit.
        slope: (N,) how much the SDF grows along the normal, a mm.
        occlusion: (N,) ambient occlusion as the tracer's; kept while the code changes.
    """

    vertices: Tensor
    faces: Tensor
    normals: Tensor
    slope: Tensor
    occlusion: Tensor


@torch.no_grad()
def carried(head: Head, spacing: float = SPACING) -> Carried:
    """Mesh a head (float32 codes) at `spacing` mm, at half of that in the face."""
    grid = sample_grid(head.sdf, spacing, coarse=3)
    found, triangles = marching_cubes(grid)
    fore = np.flatnonzero(found.astype(np.float32)[triangles][..., 2].mean(1) > FACE_FROM)
    finer, four = subdivide(found.astype(np.float32), triangles, fore)  # each face into four
    vertices, faces = torch.from_numpy(finer).float(), torch.from_numpy(four).long()
    for _ in range(2):  # onto the exact surface
        normals = head.normals(vertices)
        slope = _slope(head, vertices, normals)
        move = (head.sdf(vertices) / slope).clamp(-spacing / 2, spacing / 2)
        vertices = vertices - move[:, None] * normals
    normals = head.normals(vertices)
    return Carried(
        vertices, faces, normals, _slope(head, vertices, normals),
        ambient_occlusion(grid, vertices, normals),
    )  # fmt: skip


def carry(mesh: Carried, head: Head) -> Carried:
    """The mesh on the surface of a head with another code, near by."""
    gap = head.sdf(mesh.vertices.to(head.identity)) / mesh.slope
    vertices = mesh.vertices - gap.clamp(-MOST, MOST)[:, None] * mesh.normals
    turn = mesh_normals(vertices, mesh.faces) - mesh_normals(mesh.vertices, mesh.faces)
    normals = F.normalize(mesh.normals + turn, dim=-1)
    return replace(mesh, vertices=vertices, normals=normals)


def colours(mesh: Carried, head: Head, cameras: Cameras) -> Tensor:
    """(V, N, 3) linear light that each vertex sends to each camera."""
    points = mesh.vertices
    s = head.surface(points)
    reflectance = albedo(s, head.colour_values)
    seen = []
    for eye in cameras.centers.to(points):
        view = F.normalize(points - eye, dim=-1)
        sky = mesh.occlusion.to(points)
        seen.append(shade(reflectance, mesh.normals, sky, head.light, gloss(s), view))
    return torch.stack(seen).clamp(0, 1)


@dataclass(frozen=True, eq=False)
class Seen:
    """What V views see of a mesh: M small pixels hit it.

    Args:
        pixel: (M,) which of all V (FINE H) (FINE W).
        corner: (M, 3) its triangle's vertices, of all V N.
        weight: (M, 3) barycentric.
        size: (V, H, W).
    """

    pixel: Tensor
    corner: Tensor
    weight: Tensor
    size: tuple[int, int, int]

    def pictures(self, colour: Tensor) -> Tensor:
        """(V, H, W, 3) sRGB in front of white, of colours (V, N, 3)."""
        flat = colour.reshape(-1, 3)
        hit = (self.weight[..., None].to(flat) * flat[self.corner]).sum(1)
        return to_srgb(average(hit, self.pixel, self.size, 1.0))


@torch.no_grad()
def splat(mesh: Carried, cameras: Cameras) -> Seen:
    """Which triangle each small pixel of V cameras sees."""
    H, W = cameras.height, cameras.width
    parts = []
    for v in range(len(cameras)):
        pixel, corner, weight, _, _ = visible(mesh.vertices.float(), mesh.faces, cameras, v)
        pixel = pixel + v * FINE * H * FINE * W
        parts.append((pixel, corner + v * len(mesh.vertices), weight))
    pixels, corners, weights = (torch.cat(p) for p in zip(*parts, strict=True))
    return Seen(pixels, corners, weights, (len(cameras), H, W))


def render(mesh: Carried, head: Head, cameras: Cameras) -> Tensor:
    """(V, H, W, 3) sRGB of a mesh that lies on the head's surface."""
    return splat(mesh, cameras).pictures(colours(mesh, head, cameras))


def mesh_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """(N, 3) unit normals, the mean of the triangles' around, by area."""
    corners = vertices[faces]
    flat = torch.linalg.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = torch.zeros_like(vertices)
    for k in range(3):
        total = total.index_add(0, faces[:, k], flat)
    return F.normalize(total, dim=-1)


def _slope(head: Head, points: Tensor, normals: Tensor, step: float = 0.5) -> Tensor:
    out, back = head.sdf(points + step * normals), head.sdf(points - step * normals)
    return ((out - back) / (2 * step)).clamp_min(0.3)
