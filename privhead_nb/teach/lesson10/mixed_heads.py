"""Lesson 10's people: four made heads in each other's colours, and one painted with a photograph.

A shape is a `SurfaceMesh`, made once. Colours are reflectances at its vertices: those of another
head, asked for at one of three places (`WAYS`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.head import Head, make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.lab.appearance import VIEWS, Nearer, exact_head, nearer
from privhead_nb.lab.framing import FRONT, portrait_cameras
from privhead_nb.lab.raster import (
    GBuffer,
    SurfaceMesh,
    grey_surface,
    photograph,
    rasterize,
    surface_mesh,
)
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.resources import SAMPLE_HEAD
from privhead_nb.scenes.camera import Cameras

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


# Whose colours, and from where --------------------------------------------------------------------


def snapped(points: Tensor, distance: Tensor, gradient: Tensor) -> Tensor:
    """One Newton step to the surface f = 0: x - f(x) grad f(x) / |grad f(x)|^2.

    Args:
        points: (N, 3).
        distance: (N,) f there.
        gradient: (N, 3) of f there.
    """
    return points - (distance / gradient.square().sum(1))[:, None] * gradient


def toward(head: Head, points: Tensor) -> Tensor:
    """(N, 3) points after one Newton step to a made head's surface."""
    with torch.enable_grad():
        x = points.detach().requires_grad_()
        value = head.sdf(x)
        (gradient,) = torch.autograd.grad(value.sum(), x)
    return snapped(points, value.detach(), gradient)


@torch.no_grad()
def colours(shape: str, whose: str, way: str = PLACE, spacing: float = 5.0) -> Tensor:
    """(N, 3) linear reflectance of `whose` at the vertices of the body of `shape`.

    Args:
        shape, whose: names of PEOPLE.
        way: one of WAYS.
        spacing: of the body's mesh, mm.
    """
    points = body(shape, spacing).vertices
    if shape == whose:
        return body(shape, spacing).reflectance
    if way == PLACE:
        return exact_head(PEOPLE[shape], PEOPLE[whose]).reflectance(points)
    return person(whose).reflectance(points if way == POINT else toward(person(whose), points))


# Pictures, and what recognisers say of them -------------------------------------------------------


@cache
def _seen(shape: str, whose: str, way: str, angles: Angles) -> GBuffer:
    """A shape in somebody's colours from some sides, before any light."""
    dressed = replace(body(shape), reflectance=colours(shape, whose, way))
    return rasterize(dressed, portrait_cameras(angles))


def pictures(
    shape: str,
    whose: str,
    way: str = PLACE,
    *,
    angles: Angles = VIEWS,
    blend: float = 1.0,
    hair: bool = True,
    one_albedo: bool = False,
) -> Tensor:
    """(V, 64, 64, 3) pictures of a shape in somebody's colours.

    Args:
        shape, whose: names of PEOPLE.
        way: one of WAYS.
        angles: yaw and pitch, degrees.
        blend: 0 for the shape's own colours, 1 for the other's, between them a mixture.
        hair, one_albedo: as in `GBuffer.pictures`.
    """
    seen, own = _seen(shape, whose, way, angles), _seen(shape, shape, PLACE, angles)
    mixed = own.reflectance + blend * (seen.reflectance - own.reflectance)
    lights = LIGHTS["studio"].expand(len(angles), -1)
    shown = replace(seen, reflectance=mixed).pictures(lights, hair=hair, one_albedo=one_albedo)
    return shown.clamp(0, 1)


def gallery(*, hair: bool = True) -> tuple[Tensor, Tensor]:
    """(4, 64, 64, 3) frontal pictures of all four as they are, and their numbers (4,)."""
    own = [pictures(n, n, angles=FRONT, hair=hair) for n in PEOPLE]
    return torch.cat(own), torch.tensor(list(PEOPLE.values()))


def asked(one: Recogniser, way: str = PLACE, *, hair: bool = True) -> Nearer:
    """What a recogniser says of everyone in the colours of each other one, in all VIEWS."""
    pairs = [(a, b) for a in PEOPLE for b in PEOPLE if a != b]
    shown = torch.cat([pictures(a, b, way, hair=hair) for a, b in pairs])
    shape, whose = (torch.tensor([PEOPLE[p[k]] for p in pairs for _ in VIEWS]) for k in range(2))
    known, who = gallery(hair=hair)
    return nearer(one.embed(shown)[0], shape, whose, one.embed(known)[0], who)


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


# A released shape, and one photograph -------------------------------------------------------------


def painted(
    points: Tensor, picture: Tensor, depth: Tensor, camera: Cameras, slack: float = 8.0
) -> tuple[Tensor, Tensor]:
    """Colours that a photograph gives to points that it sees.

    Args:
        points: (N, 3) mm.
        picture: (H, W, 3).
        depth: (H, W) mm along the viewing axis, of the surface; 0 where there is none.
        camera: one, that took the picture.
        slack: mm that a point may lie behind the surface and still be seen.

    Returns:
        Colours (N, 3) of the nearest pixel, 0 where not seen; and where they are seen (N,) bool.
    """
    place, far = (x[0] for x in camera.project(points))
    column, row = place.round().long().unbind(1)
    height, width = depth.shape
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (far > 0)
    column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
    there = depth[row, column]
    seen &= (there > 0) & (far <= there + slack)
    return torch.where(seen[:, None], picture[row, column], 0.0), seen


def depth_of(surface: SurfaceMesh, camera: Cameras) -> Tensor:
    """(H, W) mm; 0 at the rim, too, where a photograph mixes the head with the wall behind it."""
    cover, depth, _ = rasterize(surface, camera).maps()
    rim = torch.nn.functional.max_pool2d(1 - cover[None], 3, stride=1, padding=1)[0]
    return torch.where(rim < 0.01, depth, 0.0)[0]


def forged(mesh: Mesh, picture: Tensor, camera: Cameras, angles: Angles = VIEWS) -> Tensor:
    """(V, 64, 64, 3) a mesh painted with a photograph from the front, seen from other sides.

    What the photograph doesn't see gets the colour of the nearest point that it does see. No light
    is put on: the photograph brings its own.
    """
    from scipy.spatial import cKDTree

    surface = grey_surface(mesh)
    paint, seen = painted(surface.vertices, picture, depth_of(surface, camera), camera)
    nearest = cKDTree(surface.vertices[seen].numpy()).query(surface.vertices[~seen].numpy())[1]
    paint[~seen] = paint[seen][nearest]
    buffer = rasterize(replace(surface, reflectance=paint), portrait_cameras(angles))
    return buffer.average(buffer.reflectance, 1.0).clamp(0, 1)


@cache
def photo() -> Tensor:
    """(64, 64, 3) frontal picture of head 7, as anybody may have it."""
    return photograph(make_head(SAMPLE_HEAD), portrait_cameras(FRONT))[0]


def to_five(one: Recogniser, shown: Tensor) -> Tensor:
    """(V, 5) cosine distances of pictures to the frontal ones of PEOPLE and, last, of head 7."""
    five = torch.cat([gallery()[0], photo()[None]])
    return 1 - one.embed(shown)[0] @ one.embed(five)[0].T
