"""Many pictures of a made head, quickly: its surface once as points, then a z-buffer a view.

The sphere tracer of `scenes` needs a third of a second a view; a study needs ten thousand views.
So the surface is evaluated at the vertices of one mesh of the head (normal, reflectance, openness,
label), triangles are filled with points, and a view keeps the nearest point of each of its small
pixels. Light is put on afterwards, as often as wanted. A test holds these pictures against the
tracer's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from privhead_nb.heads.codes import ALBEDO_NAMES, named_code
from privhead_nb.heads.colour import albedo
from privhead_nb.heads.grid import SdfGrid, marching_cubes, sample_grid
from privhead_nb.heads.head import Head
from privhead_nb.heads.light import shade, to_srgb
from privhead_nb.heads.surface import EYE, HAIR, LABELS, label
from privhead_nb.heads.tracer import openness
from privhead_nb.scenes.camera import Cameras

SPACING = 4.0  # mm, of the mesh; a pixel of a release is 6 mm wide
FINE = 3  # small pixels along a pixel's side
HAIR_LABEL = LABELS.index("hair")
MASKED_HAIR = 0.5  # sRGB grey that covers hair
_FILL = np.array(  # barycentric places of points in a triangle, about 1 mm apart
    [[a / 4, b / 4, (4 - a - b) / 4] for a in range(5) for b in range(5 - a)], dtype=np.float32
)


@dataclass(frozen=True, eq=False)
class Bust:
    """A head's surface at N points, F of whose triples are triangles.

    Args:
        vertices: (N, 3) float32 mm.
        faces: (F, 3) int64, normals outward.
        normals: (N, 3) unit.
        reflectance: (N, 3) linear albedo of the person, and
        plain: (N, 3) of the one albedo that all share.
        openness: (N,) as the tracer's.
        gloss: (N,) strength of the mirror term.
        label: (N,) index into LABELS.
    """

    vertices: Tensor
    faces: Tensor
    normals: Tensor
    reflectance: Tensor
    plain: Tensor
    openness: Tensor
    gloss: Tensor
    label: Tensor


@dataclass(frozen=True, eq=False)
class Shots:
    """What V views see, before any light: M small pixels hit the head.

    Args:
        pixel: (M,) which small pixel, of all V (FINE H) (FINE W).
        size: (V, H, W).
        depth: (M,) mm along the viewing axis.
        view: (M, 3) unit directions from the eye.
        normals, reflectance, plain, openness, gloss, label: as a bust's, (M, ...).
    """

    pixel: Tensor
    size: tuple[int, int, int]
    depth: Tensor
    view: Tensor
    normals: Tensor
    reflectance: Tensor
    plain: Tensor
    openness: Tensor
    gloss: Tensor
    label: Tensor

    def pictures(
        self,
        lights: Tensor,
        *,
        one_albedo: bool = False,
        hair: bool = True,
        background: float = 1.0,
    ) -> Tensor:
        """(V, H, W, 3) sRGB in [0, 1].

        Args:
            lights: (V, 27), a light for each view.
            one_albedo: all people in the same skin, lips, irises and hair.
            hair: shown; else covered by grey.
            background: sRGB grey behind the head.
        """
        V, H, W = self.size
        of_view = self.pixel // (FINE * FINE * H * W)
        colour = torch.empty_like(self.view)
        surface = self.plain if one_albedo else self.reflectance
        for v in range(V):
            at = of_view == v
            colour[at] = shade(
                surface[at], self.normals[at], self.openness[at], lights[v], self.gloss[at],
                self.view[at],
            )  # fmt: skip
        if not hair:
            colour[self.label == HAIR_LABEL] = _linear(MASKED_HAIR)
        return to_srgb(self._average(colour.clamp(0, 1), _linear(background)))

    def maps(self) -> tuple[Tensor, Tensor, Tensor]:
        """Share of each pixel covered (V, H, W), mean depth (V, H, W) mm, normals (V, H, W, 3).

        Depth and normals are 0 where there is no head.
        """
        cover = self._average(torch.ones(len(self.pixel), 1), 0.0)
        depth = self._average(self.depth[:, None], 0.0) / cover.clamp_min(1e-6)
        normals = torch.nn.functional.normalize(self._average(self.normals, 0.0), dim=-1)
        return cover[..., 0], depth[..., 0], normals

    def _average(self, values: Tensor, background: float) -> Tensor:
        """(M, C) of small pixels -> (V, H, W, C)."""
        V, H, W = self.size
        canvas = torch.full((V * FINE * H * FINE * W, values.shape[1]), background)
        canvas[self.pixel] = values
        return canvas.reshape(V, H, FINE, W, FINE, -1).mean(dim=(2, 4))


@torch.no_grad()
def bust(head: Head, spacing: float = SPACING) -> Bust:
    """Evaluate a head's surface on a mesh of `spacing` mm."""
    return bust_on(head, sample_grid(head.sdf, spacing, coarse=3))


@torch.no_grad()
def bust_on(head: Head, grid: SdfGrid) -> Bust:
    """As `bust`, from the head's SDF grid."""
    vertices, faces = marching_cubes(grid)
    points = torch.from_numpy(vertices).float()
    surface, normals = head.surface(points), head.normals(points)
    gloss = 0.35 + 0.35 * surface.lip
    gloss = torch.where(surface.part == HAIR, 0.45, gloss)
    gloss = torch.where(surface.part == EYE, 1.5, gloss)
    average = named_code(torch.zeros(len(ALBEDO_NAMES)), ALBEDO_NAMES, "albedo")
    return Bust(
        vertices=points,
        faces=torch.from_numpy(faces),
        normals=normals,
        reflectance=albedo(surface, head.colour_values),
        plain=albedo(surface, average),
        openness=openness(grid, points, normals),
        gloss=gloss,
        label=label(surface),
    )


@torch.no_grad()
def shoot(one: Bust, cameras: Cameras) -> Shots:
    """See a bust with V cameras, mm, of H x W pixels."""
    H, W = cameras.height, cameras.width
    found: list[list[Tensor]] = []
    fill = torch.from_numpy(_FILL)
    corners = one.vertices[one.faces]
    flat = torch.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], dim=1)
    for v in range(len(cameras)):
        K, c2w = cameras.K[v].float(), cameras.c2w[v].float()
        eye = c2w[:3, 3]
        front = ((corners[:, 0] - eye) * flat).sum(1) < 0
        points = torch.einsum("sk,fkd->fsd", fill, corners[front]).reshape(-1, 3)
        seen = (points - eye) @ c2w[:3, :3]
        depth = seen[:, 2]
        xy = seen @ K.T
        xy = xy[:, :2] / xy[:, 2:]
        # a camera's pixel (x, y) has its centre at pixel_center; its small ones fill it
        cell = torch.floor((xy + 0.5 - cameras.pixel_center) * FINE).long()
        inside = (
            (cell[:, 0] >= 0) & (cell[:, 0] < FINE * W)
            & (cell[:, 1] >= 0) & (cell[:, 1] < FINE * H) & (depth > 0)
        )  # fmt: skip
        chosen = inside.nonzero()[:, 0]
        pixel = cell[chosen, 1] * FINE * W + cell[chosen, 0]
        nearest = torch.full((FINE * H * FINE * W,), float("inf"))
        nearest = nearest.scatter_reduce(0, pixel, depth[chosen], "amin")
        winner = depth[chosen] <= nearest[pixel]
        chosen, pixel = chosen[winner], pixel[winner]
        keep = torch.full((FINE * H * FINE * W,), -1, dtype=torch.long)
        keep[pixel] = chosen  # of two at one depth, either
        pixel = (keep >= 0).nonzero()[:, 0]
        chosen = keep[pixel]
        faces, weights = one.faces[front][chosen // len(fill)], fill[chosen % len(fill)]

        def mean(values: Tensor, faces: Tensor = faces, weights: Tensor = weights) -> Tensor:
            shape = values.shape[1:]
            return (weights.reshape(-1, 3, *[1] * len(shape)) * values[faces]).sum(1)

        heaviest = faces.gather(1, weights.argmax(1, keepdim=True))[:, 0]
        normals = torch.nn.functional.normalize(mean(one.normals), dim=-1)
        view = torch.nn.functional.normalize(points[chosen] - eye, dim=-1)
        found.append(
            [
                pixel + v * FINE * H * FINE * W, depth[chosen], view, normals,
                mean(one.reflectance), mean(one.plain), mean(one.openness), mean(one.gloss),
                one.label[heaviest],
            ]
        )  # fmt: skip
    parts = [torch.cat(p) for p in zip(*found, strict=True)]
    return Shots(parts[0], (len(cameras), H, W), *parts[1:])


def _linear(srgb: float) -> float:
    """An sRGB value as linear light."""
    return srgb / 12.92 if srgb <= 0.04045 else ((srgb + 0.055) / 1.055) ** 2.4
