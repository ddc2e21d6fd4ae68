"""Lesson 10's people: four made heads, and pictures of their shapes in any colours."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from privhead_nb.heads.head import Head, make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.lab.appearance import VIEWS, exact_head
from privhead_nb.lab.framing import portrait_cameras
from privhead_nb.lab.raster import GBuffer, SurfaceMesh, rasterize, surface_mesh

PEOPLE = {"A": 40000, "B": 40002, "C": 40003, "D": 40004}
"""By letter; of the group "evaluation", whom no recogniser has learned from."""
PLACE, POINT, SURFACE = "same place on the face", "same point", "nearest surface point"
WAYS = (PLACE, POINT, SURFACE)
Angles = tuple[tuple[float, float], ...]


@cache
def person(name: str) -> Head:
    """A person of PEOPLE."""
    return make_head(PEOPLE[name])


@cache
def body(name: str, spacing: float = 5.0) -> SurfaceMesh:
    """A person's shape in their own colours, on a mesh of `spacing` mm; a pixel is 6 mm wide."""
    return surface_mesh(person(name), spacing)


@torch.no_grad()
def colours(shape: str, whose: str, way: str = PLACE, spacing: float = 5.0) -> Tensor:
    """(N, 3) linear reflectance of `whose` at the vertices of the body of `shape`.

    Args:
        shape, whose: names of PEOPLE.
        way: PLACE or POINT; the lesson's page writes SURFACE.
        spacing: of the body's mesh, mm.
    """
    points = body(shape, spacing).vertices
    head = exact_head(PEOPLE[shape], PEOPLE[whose]) if way == PLACE else person(whose)
    return head.reflectance(points)


@cache
def _as_they_are(shape: str, angles: Angles) -> GBuffer:
    return rasterize(body(shape), portrait_cameras(angles))


def pictures(
    shape: str,
    reflectance: Tensor | None = None,
    *,
    angles: Angles = VIEWS,
    hair: bool = True,
    one_albedo: bool = False,
) -> Tensor:
    """(V, 64, 64, 3) pictures of a shape in studio light.

    Args:
        shape: a name of PEOPLE.
        reflectance: (N, 3) linear, at the vertices of its body; None for its own.
        angles: yaw and pitch, degrees.
        hair, one_albedo: as in `GBuffer.pictures`.
    """
    if reflectance is None:
        seen = _as_they_are(shape, angles)
    else:
        dressed = replace(body(shape), reflectance=reflectance)
        seen = rasterize(dressed, portrait_cameras(angles))
    lights = LIGHTS["studio"].expand(len(angles), -1)
    return seen.pictures(lights, hair=hair, one_albedo=one_albedo).clamp(0, 1)


def palette(pictures: Tensor) -> Tensor:
    """(N, 64, 64, 3) -> (N, 9): mean colours of a head's upper, middle and lower part, about grey.

    A recogniser that sees no shape at all. Pixels of the white wall don't count.
    """
    found = []
    for rows in (slice(8, 24), slice(24, 44), slice(44, 58)):
        part = pictures[:, rows]
        head = (part.amin(-1) < 0.97).float()[..., None]
        mean = (head * part).sum((1, 2)) / head.sum((1, 2)).clamp_min(1)
        found.append(mean - 0.4)
    return torch.cat(found, 1)
