"""The lab's rasteriser: many pictures of one surface, quickly.

The sphere tracer of `heads` needs a third of a second a view; a study needs ten thousand views. So
a head is evaluated once, at the vertices of a mesh. Triangles are filled with points, and a
z-buffer keeps the nearest of each small pixel (a G-buffer: what is seen, before any light).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.codes import ALBEDO_NAMES, named_code
from privhead_nb.heads.colour import albedo
from privhead_nb.heads.grid import marching_cubes, sample_grid
from privhead_nb.heads.head import Head
from privhead_nb.heads.light import LIGHTS, shade, to_linear, to_srgb
from privhead_nb.heads.surface import LABELS, gloss, label
from privhead_nb.heads.tracer import ambient_occlusion
from privhead_nb.scenes.camera import Cameras

SPACING = 4.0  # mm, of a head's mesh; a pixel of a release is 6 mm wide
FINE = 3  # small pixels along a pixel's side
HAIR_LABEL = LABELS.index("hair")
MASKED_HAIR = 0.5  # sRGB grey that covers hair
MASKED_HAIR_LIGHT = to_linear(torch.tensor(MASKED_HAIR, dtype=torch.float64)).float()
GREY = 0.4  # linear reflectance of a mesh without colours


def filling(n: int) -> Tensor:
    """((n + 1) (n + 2) / 2, 3) barycentric coordinates of points that fill a triangle evenly."""
    rows = [[a / n, b / n, (n - a - b) / n] for a in range(n + 1) for b in range(n + 1 - a)]
    return torch.tensor(rows)


_FILL = filling(4)  # about 1 mm apart


@dataclass(frozen=True, eq=False, kw_only=True)
class LitPoints:
    """All that light needs to know of N points of a surface."""

    normals: Tensor  # (N, 3) unit
    reflectance: Tensor  # (N, 3) linear albedo
    plain: Tensor  # (N, 3) the same of the one albedo that all people share
    occlusion: Tensor  # (N,) ambient occlusion as the tracer's: 1 under open sky
    gloss: Tensor  # (N,) strength of the mirror term
    label: Tensor  # (N,) index into LABELS


@dataclass(frozen=True, eq=False, kw_only=True)
class SurfaceMesh(LitPoints):
    """A surface at N vertices; mm."""

    vertices: Tensor  # (N, 3) float32
    faces: Tensor  # (F, 3) int64, normals outward


@dataclass(frozen=True, eq=False, kw_only=True)
class GBuffer(LitPoints):
    """What V views see of a surface, before any light: N small pixels hit it."""

    pixel: Tensor  # (N,) which small pixel, of all V (FINE H) (FINE W)
    size: tuple[int, int, int]  # (V, H, W)
    depth: Tensor  # (N,) mm along the viewing axis
    view: Tensor  # (N, 3) unit directions from the eye

    def pictures(self, lights: Tensor, *, one_albedo: bool = False, hair: bool = True) -> Tensor:
        """(V, H, W, 3) sRGB in [0, 1], before white.

        Args:
            lights: (V, 27), a light for each view.
            one_albedo: all people in the same skin, lips, irises and hair.
            hair: shown; else covered by grey.
        """
        V, H, W = self.size
        of_view = self.pixel // (FINE * FINE * H * W)
        colour = torch.empty_like(self.view)
        surface = self.plain if one_albedo else self.reflectance
        for v in range(V):
            at = of_view == v
            colour[at] = shade(
                surface[at], self.normals[at], self.occlusion[at], lights[v], self.gloss[at],
                self.view[at],
            )  # fmt: skip
        if not hair:
            colour[self.label == HAIR_LABEL] = MASKED_HAIR_LIGHT
        return to_srgb(self.average(colour.clamp(0, 1), 1.0))

    def maps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Share of each pixel covered (V, H, W), mean depth (V, H, W) mm, normals (V, H, W, 3).

        Depth and normals are 0 where there is no head.
        """
        cover = self.average(torch.ones(len(self.pixel), 1), 0.0)
        depth = self.average(self.depth[:, None], 0.0) / cover.clamp_min(1e-6)
        normals = F.normalize(self.average(self.normals, 0.0), dim=-1)
        return cover[..., 0], depth[..., 0], normals

    def average(self, values: Tensor, background: Tensor | float) -> Tensor:
        """Mean over each pixel (V, H, W, C) of values (N, C) of small pixels, differentiable."""
        V, H, W = self.size
        ground = torch.as_tensor(background, dtype=values.dtype)
        canvas = ground.expand(V * FINE * H * FINE * W, values.shape[1])
        canvas = canvas.index_copy(0, self.pixel, values)
        return canvas.reshape(V, H, FINE, W, FINE, -1).mean(dim=(2, 4))


@torch.no_grad()
def surface_mesh(head: Head, spacing: float = SPACING) -> SurfaceMesh:
    """A made head's surface on a mesh of `spacing` mm."""
    grid = sample_grid(head.sdf, spacing, coarse=3)
    vertices, faces = marching_cubes(grid)
    points = torch.from_numpy(vertices).float()
    surface, normals = head.surface(points), head.normals(points)
    average_code = named_code(torch.zeros(len(ALBEDO_NAMES)), ALBEDO_NAMES, "albedo")
    return SurfaceMesh(
        vertices=points,
        faces=torch.from_numpy(faces),
        normals=normals,
        reflectance=albedo(surface, head.colour_values),
        plain=albedo(surface, average_code),
        occlusion=ambient_occlusion(grid, points, normals),
        gloss=gloss(surface),
        label=label(surface),
    )


def grey_surface(mesh: Mesh) -> SurfaceMesh:
    """A mesh in mm as a grey figure, the paper's "Rendered Mesh"."""
    vertices = torch.from_numpy(np.ascontiguousarray(mesh.vertices)).float()
    grey, one = torch.full_like(vertices, GREY), torch.ones(len(vertices))
    return SurfaceMesh(
        vertices=vertices,
        faces=torch.from_numpy(np.ascontiguousarray(mesh.faces)).long(),
        normals=torch.from_numpy(np.ascontiguousarray(mesh.vertex_normals())).float(),
        reflectance=grey,
        plain=grey,
        occlusion=one,
        gloss=0.35 * one,
        label=torch.zeros(len(vertices), dtype=torch.long),
    )


@torch.no_grad()
def rasterize(surface: SurfaceMesh, cameras: Cameras) -> GBuffer:
    """See a surface, of triangles of about 4 mm or less, with V cameras of H x W pixels."""
    small, views = FINE * cameras.height * FINE * cameras.width, []
    for v in range(len(cameras)):
        pixel, corners, weights, depth, points = visible(
            surface.vertices, surface.faces, cameras, v
        )
        heaviest = corners.gather(1, weights.argmax(1, keepdim=True))[:, 0]
        seen = {"pixel": pixel + v * small, "depth": depth, "label": surface.label[heaviest]}
        seen["view"] = F.normalize(points - cameras.c2w[v, :3, 3].float(), dim=-1)
        for name in ("normals", "reflectance", "plain", "occlusion", "gloss"):
            values = getattr(surface, name)[corners]  # (N, 3, ...), a value for each corner
            seen[name] = (weights.reshape(-1, 3, *[1] * (values.dim() - 2)) * values).sum(1)
        seen["normals"] = F.normalize(seen["normals"], dim=-1)
        views.append(seen)
    size = (len(cameras), cameras.height, cameras.width)
    return GBuffer(size=size, **{name: torch.cat([s[name] for s in views]) for name in views[0]})


@torch.no_grad()
def visible(
    vertices: Tensor, faces: Tensor, cameras: Cameras, v: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What each small pixel of camera `v` sees of triangles: a z-buffer of points that fill them.

    Args:
        vertices: (N, 3) float32 mm.
        faces: (F, 3), normals outward; those that turn away are left out.

    Returns:
        For M small pixels: their number (M,), the triangle's vertices (M, 3), barycentric weights
        (M, 3), depth (M,) mm along the viewing axis, the point (M, 3).
    """
    wide, high = FINE * cameras.width, FINE * cameras.height
    K, c2w = cameras.K[v].float(), cameras.c2w[v].float()
    eye, corners = c2w[:3, 3], vertices[faces]
    flat = torch.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=1)
    front = ((corners[:, 0] - eye) * flat).sum(1) < 0
    points = torch.einsum("sk,fkd->fsd", _FILL, corners[front]).reshape(-1, 3)
    seen = (points - eye) @ c2w[:3, :3]
    depth = seen[:, 2]
    xy = seen @ K.T
    # a camera's pixel (x, y) has its centre at pixel_center; its small ones fill it
    cell = torch.floor((xy[:, :2] / xy[:, 2:] + 0.5 - cameras.pixel_center) * FINE).long()
    inside = (cell >= 0).all(1) & (cell[:, 0] < wide) & (cell[:, 1] < high) & (depth > 0)
    chosen = inside.nonzero()[:, 0]
    pixel = cell[chosen, 1] * wide + cell[chosen, 0]
    nearest = torch.full((high * wide,), float("inf"))
    nearest = nearest.scatter_reduce(0, pixel, depth[chosen], "amin")
    winner = depth[chosen] <= nearest[pixel]
    keep = torch.full((high * wide,), -1, dtype=torch.long)
    keep[pixel[winner]] = chosen[winner]  # of two at one depth, either
    pixel = (keep >= 0).nonzero()[:, 0]
    chosen = keep[pixel]
    triangle, place = faces[front][chosen // len(_FILL)], _FILL[chosen % len(_FILL)]
    return pixel, triangle, place, depth[chosen], points[chosen]


def photograph(head: Head | SurfaceMesh, cameras: Cameras, light: str = "studio") -> Tensor:
    """(V, H, W, 3) sRGB pictures of a made head, or of its surface, in one of LIGHTS."""
    seen = rasterize(surface_mesh(head) if isinstance(head, Head) else head, cameras)
    return seen.pictures(LIGHTS[light].expand(len(cameras), -1)).clamp(0, 1)


def render_mesh(mesh: Mesh, cameras: Cameras) -> Tensor:
    """(V, H, W, 3) pictures of a mesh as a grey figure before white, in the mesh's unit, mm."""
    return photograph(grey_surface(mesh), cameras)
