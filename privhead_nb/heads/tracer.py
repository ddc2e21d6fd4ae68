"""Sphere tracer for parametric heads.

A ray marches through the head's SDF grid (trilinear, cheap). A blended SDF is no exact distance, so
a step is at most 0.7 of the value and 12 mm, and at least a third of the grid's spacing. The first
change of sign brackets the crossing; two bounded secant steps on the exact SDF then set the point.
Only rays on their way are evaluated, and only hits are shaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor
from tqdm import tqdm

from privhead_nb.errors import SceneError
from privhead_nb.heads.colour import albedo
from privhead_nb.heads.grid import CHUNK, HIGH, LOW, SdfGrid
from privhead_nb.heads.head import Head
from privhead_nb.heads.light import shade, to_linear, to_srgb
from privhead_nb.heads.surface import gloss, label
from privhead_nb.scenes.camera import Cameras, parts_of_pixel

STEP_FACTOR = 0.7
MAX_STEP = 12.0
MAX_STEPS = 160
RAYS_AT_ONCE = 262_144


@dataclass(frozen=True, eq=False)
class Pictures:
    """Rendered views; depth, normals and labels belong to pixel centres.

    Args:
        images: (V, H, W, 3) float32 sRGB in [0, 1].
        masks: (V, H, W) float32, share of each pixel that the head covers.
        depth: (V, H, W) float32, mm along the viewing axis; 0 where no head.
        normals: (V, H, W, 3) float32 unit, scene axes; 0 where no head.
        labels: (V, H, W) uint8, index into LABELS; 0 is background.
    """

    images: Tensor
    masks: Tensor
    depth: Tensor
    normals: Tensor
    labels: Tensor


def _box_span(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the box of all heads, (N,) each; empty where leave < enter."""
    inverse = 1.0 / torch.where(directions.abs() < 1e-9, 1e-9, directions)
    a = (torch.tensor(LOW) - origins) * inverse
    b = (torch.tensor(HIGH) - origins) * inverse
    return torch.minimum(a, b).amax(-1).clamp(min=0.0), torch.maximum(a, b).amin(-1)


def trace(head: Head, grid: SdfGrid, origins: Tensor, directions: Tensor) -> Tensor:
    """Distance along each ray to the head, (N,) mm; infinite where it misses.

    Args:
        head: what to hit.
        grid: its SDF grid.
        origins, directions: (N, 3) float32, directions of unit length.
    """
    found = torch.full((len(origins),), float("inf"))
    t, leave = _box_span(origins, directions)
    alive = (t < leave).nonzero().squeeze(-1)
    t, before = t[alive], t[alive].clone()
    value_before = torch.full_like(t, 1.0)
    floor = grid.spacing / 3
    for _ in range(MAX_STEPS):
        if len(alive) == 0:
            break
        value = grid(origins[alive] + t[:, None] * directions[alive])
        hit = value <= 0
        if bool(hit.any()):
            share = value_before[hit] / (value_before[hit] - value[hit]).clamp(min=1e-6)
            found[alive[hit]] = before[hit] + share * (t[hit] - before[hit])
        after = t + (STEP_FACTOR * value).clamp(floor, MAX_STEP)
        go = ~hit & (after < leave[alive])
        before, value_before = t[go], value[go]
        t, alive = after[go], alive[go]
    rays = torch.isfinite(found).nonzero().squeeze(-1)
    if len(rays):
        found[rays] = _polish(head, origins[rays], directions[rays], found[rays], grid.spacing)
    return found


def _polish(head: Head, origins: Tensor, directions: Tensor, t: Tensor, reach: float) -> Tensor:
    """Two secant steps on the exact SDF, each bounded to `reach` mm."""
    value = head.sdf(origins + t[:, None] * directions)
    ahead = t + value.clamp(-reach, reach)
    value_ahead = head.sdf(origins + ahead[:, None] * directions)
    slope = (value_ahead - value) / torch.where((ahead - t).abs() < 1e-6, 1e-6, ahead - t)
    move = -value_ahead / slope.clamp(max=-0.15)
    return ahead - (-move).clamp(-reach, reach)


def ambient_occlusion(grid: SdfGrid, points: Tensor, normals: Tensor) -> Tensor:
    """Share of the sky's light (N,) that reaches each point, 0.25 to 1 (1: nothing is near).

    At three heights h over the point, it falls by how much nearer the head is than h.
    """
    shut = torch.zeros(len(points))
    for height, weight in ((3.0, 0.40), (9.0, 0.35), (24.0, 0.30)):
        value = grid(points + height * normals)
        shut = shut + weight * (1.0 - value / height).clamp(0.0, 1.0)
    return (1.0 - shut).clamp(min=0.25)


def _shade_hits(
    head: Head, grid: SdfGrid, points: Tensor, directions: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Linear colour (N, 3), normals (N, 3) and labels (N,) of hits, chunk by chunk."""
    colours, normals, labels = [], [], []
    for p, d in zip(points.split(CHUNK), directions.split(CHUNK), strict=True):
        s, n = head.surface(p), head.normals(p)
        painted, sky = albedo(s, head.colour_values), ambient_occlusion(grid, p, n)
        colours.append(shade(painted, n, sky, head.light, gloss(s), d))
        normals.append(n)
        labels.append(label(s))
    return torch.cat(colours), torch.cat(normals), torch.cat(labels)


@torch.no_grad()
def render(
    head: Head,
    cameras: Cameras,
    *,
    samples: int = 3,
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
    grid: SdfGrid | None = None,
    progress: bool = False,
) -> Pictures:
    """Render a head in every camera.

    Each pixel averages samples x samples rays in linear light; its middle ray gives depth, normal
    and label.

    Args:
        head: a head with float32 codes.
        cameras: V cameras in mm.
        samples: 1, 3, 5, ... rays along a pixel's side.
        background: sRGB in [0, 1].
        grid: the head's SDF on a grid to march through; its own, of 1.5 mm, by default.
        progress: show a bar.

    Raises:
        SceneError: `samples` is not a positive odd number.
    """
    if samples < 1 or samples % 2 == 0:
        raise SceneError(
            f"samples is {samples}", where="render", remedy="Use an odd number: 1, 3 or 5."
        )
    grid = head.grid if grid is None else grid
    back = to_linear(torch.tensor(background))
    V, H, W = len(cameras), cameras.height, cameras.width
    rows = torch.arange(H, dtype=torch.float32)
    strips = rows.split(max(1, RAYS_AT_ONCE // (W * samples * samples)))
    parts: list[list[Tensor]] = []
    for view, strip in tqdm([*product(range(V), strips)], desc="render", disable=not progress):
        parts.append(_strip(head, grid, cameras[view], strip, samples, back))
    pictures = (torch.cat(p) for p in zip(*parts, strict=True))
    return Pictures(*(p.reshape(V, H, W, *p.shape[1:]) for p in pictures))


def _strip(
    head: Head, grid: SdfGrid, camera: Cameras, rows: Tensor, samples: int, back: Tensor
) -> list[Tensor]:
    """Rows of a view: image, mask, depth, normals, labels, each (pixels, ...)."""
    columns = torch.arange(camera.width, dtype=torch.float32)
    offsets = parts_of_pixel(samples)
    y, x, down, right = torch.meshgrid(rows, columns, offsets, offsets, indexing="ij")
    xy = torch.stack([x + right, y + down], dim=-1).reshape(-1, 2)
    origins, directions = camera.rays(torch.zeros(len(xy), dtype=torch.long), xy)
    t = trace(head, grid, origins, directions)
    hit = torch.isfinite(t)
    colour = back.expand(len(t), 3).clone()
    normal, kind = torch.zeros(len(t), 3), torch.zeros(len(t), dtype=torch.uint8)
    points = origins[hit] + t[hit, None] * directions[hit]
    lit, normal[hit], labels = _shade_hits(head, grid, points, directions[hit])
    colour[hit], kind[hit] = lit.clamp(0.0, 1.0), labels.to(torch.uint8)
    per_pixel = samples * samples
    middle = slice(per_pixel // 2, None, per_pixel)
    depth = torch.where(hit, t, 0.0) * (directions @ camera.forward[0].float())
    return [
        to_srgb(colour.reshape(-1, per_pixel, 3).mean(1)),
        hit.float().reshape(-1, per_pixel).mean(1),
        depth[middle],
        normal[middle],
        kind[middle],
    ]
