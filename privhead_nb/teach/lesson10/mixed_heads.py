"""Lesson 10's people: four made heads in each other's colours, and one painted with a photograph.

A shape is a `Bust`, evaluated once. Colours are reflectances at its points: those of another head,
asked for at one of three places (`WAYS`). All that a lesson's page needs of a shape is seen in one
go and kept, so that a picture of any mixture takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb import Template
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.codes import IDENTITY_NAMES
from privhead_nb.heads.head import Head, make_head
from privhead_nb.heads.light import LIGHTS, to_srgb
from privhead_nb.lab.appearance import VIEWS, Nearer, exact_head, nearer
from privhead_nb.lab.busts import Bust, Shots, bust, shoot
from privhead_nb.lab.recognition import Recogniser
from privhead_nb.lab.renders import FRONT, photograph, portrait_cameras
from privhead_nb.resources import SAMPLE_HEAD, SAMPLES
from privhead_nb.scenes.camera import Cameras
from privhead_nb.training.profiles import get_profile
from privhead_nb.training.reconstruction import Reconstruction

PEOPLE = {"A": 40000, "B": 40002, "C": 40003, "D": 40004}
"""By letter; of the group "evaluation", whom no recogniser has learned from."""
PLACE, POINT, SURFACE = "same place on the face", "same point", "nearest surface point"
WAYS = (PLACE, POINT, SURFACE)
SPACING = 5.0  # mm of the shapes' meshes; a pixel is 6 mm wide
LIT = LIGHTS["studio"]
Angles = tuple[tuple[float, float], ...]


@cache
def person(name: str) -> Head:
    """A person of PEOPLE."""
    return make_head(PEOPLE[name])


@cache
def body(name: str) -> Bust:
    """A person's shape in their own colours."""
    return bust(person(name), SPACING)


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
def worn(points: Tensor, shape: str, whose: str, way: str = PLACE) -> Tensor:
    """(N, 3) linear reflectance of `whose`, for (N, 3) points of the surface of `shape`."""
    if way == PLACE:
        return exact_head(PEOPLE[shape], PEOPLE[whose]).reflectance(points)
    there = points if way == POINT else toward(person(whose), points)
    return person(whose).reflectance(there)


@cache
def colours(shape: str, whose: str, way: str = PLACE) -> Tensor:
    """As `worn`, for the points of the body of `shape`."""
    if shape == whose:
        return body(shape).reflectance
    return worn(body(shape).vertices, shape, whose, way)


def gaps(shape: str, other: str) -> tuple[float, float]:
    """Mean distance, mm, of a shape's face to another's surface: as it is, and after one step."""
    points = body(shape).vertices
    points = points[(points[:, 2] > 40) & (points[:, 1].abs() < 90)]
    there = toward(person(other), points)
    with torch.no_grad():
        before, after = (person(other).sdf(x).abs().mean() for x in (points, there))
    return float(before), float(after)


# Pictures -----------------------------------------------------------------------------------------


@cache
def _seen(shape: str, way: str, angles: Angles, size: int) -> Shots:
    """A shape from some sides, with everybody's colours side by side: reflectance (M, 3 x 4)."""
    worn = torch.cat([colours(shape, whose, way) for whose in PEOPLE], 1)
    return shoot(replace(body(shape), reflectance=worn), cameras(angles, size))


def cameras(angles: Sequence[tuple[float, float]], size: int = 64) -> Cameras:
    """Portrait cameras of another size; at more than 96 pixels a bust shows holes."""
    return portrait_cameras(angles).resized(size, size)


def pictures(
    shape: str,
    whose: str,
    way: str = PLACE,
    *,
    angles: Sequence[tuple[float, float]] = VIEWS,
    blend: float = 1.0,
    hair: bool = True,
    one_albedo: bool = False,
    size: int = 64,
) -> Tensor:
    """(V, size, size, 3) pictures of a shape in somebody's colours.

    Args:
        shape, whose: names of PEOPLE.
        way: one of WAYS.
        angles: yaw and pitch, degrees.
        blend: 0 for the shape's own colours, 1 for the other's, between them a mixture.
        hair, one_albedo: as in `Shots.pictures`.
        size: pixels.
    """
    seen = _seen(shape, way, tuple(angles), size)
    names = list(PEOPLE)
    own, other = (seen.reflectance[:, 3 * k : 3 * k + 3] for k in map(names.index, (shape, whose)))
    shots = replace(seen, reflectance=own + blend * (other - own))
    lights = LIT.expand(len(angles), -1)
    return shots.pictures(lights, hair=hair, one_albedo=one_albedo).clamp(0, 1)


def gallery(*, hair: bool = True, one_albedo: bool = False) -> tuple[Tensor, Tensor]:
    """(4, 64, 64, 3) frontal pictures of all four as they are, and their numbers (4,)."""
    own = [pictures(n, n, angles=FRONT, hair=hair, one_albedo=one_albedo) for n in PEOPLE]
    return torch.cat(own), torch.tensor(list(PEOPLE.values()))


@cache
def mixtures(way: str = PLACE, *, hair: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Everyone in the colours of each other one, in all VIEWS: pictures, shape, colours (N,)."""
    pairs = [(a, b) for a in PEOPLE for b in PEOPLE if a != b]
    shown = torch.cat([pictures(a, b, way, hair=hair) for a, b in pairs])
    shape, colour = (torch.tensor([PEOPLE[p[k]] for p in pairs for _ in VIEWS]) for k in range(2))
    return shown, shape, colour


def asked(one: Recogniser, way: str = PLACE, *, hair: bool = True) -> Nearer:
    """What a recogniser says of all mixtures."""
    shown, shape, colour = mixtures(way, hair=hair)
    known, who = gallery(hair=hair)
    return nearer(one.embed(shown)[0], shape, colour, one.embed(known)[0], who)


def yardsticks(one: Recogniser) -> tuple[float, float]:
    """Mean cosine distance to the gallery's picture: of the same person from aside; of others."""
    known, who = gallery()
    sides = torch.cat([pictures(n, n, angles=VIEWS[1:]) for n in PEOPLE])
    own = who.repeat_interleave(len(VIEWS) - 1)[:, None] == who
    distance = 1 - one.embed(sides)[0] @ one.embed(known)[0].T
    return float(distance[own].mean()), float(distance[~own].mean())


def palette(pictures: Tensor) -> Tensor:
    """(N, H, H, 3) -> (N, 9): mean colours of a head's upper, middle and lower part, about grey.

    A recogniser that sees no shape at all. Pixels of the white wall don't count.
    """
    found = []
    for rows in _BANDS:
        part = pictures[:, rows]
        head = (part.amin(-1) < _WALL).float()[..., None]
        mean = (head * part).sum((1, 2)) / head.sum((1, 2)).clamp_min(1)
        found.append(mean - 0.4)
    return torch.cat(found, 1)


_BANDS = (slice(8, 24), slice(24, 44), slice(44, 58))  # rows of a 64 x 64 portrait
_WALL = 0.97


# Trained fields -----------------------------------------------------------------------------------


@cache
def sample() -> Reconstruction:
    """Head 7 as reconstructed from protected pictures."""
    return Reconstruction.load(SAMPLES / "reconstruction")


@cache
def mean_of_ten() -> Reconstruction:
    """The template that was trained on colour pictures of ten other people, ready to render."""
    template, beta = Template.load(SAMPLES / "template_trained"), sample().model.beta()
    model = template.model()
    model.beta.set(float(beta))
    return Reconstruction(
        model, template.mesh(), None, template.center, template.radius, sample().background,
        get_profile("cpu"),
    )  # fmt: skip


# One photograph -----------------------------------------------------------------------------------


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


def figure_of(mesh: Mesh) -> Bust:
    """A mesh as a bust without colours."""
    vertices = torch.from_numpy(np.ascontiguousarray(mesh.vertices)).float()
    one = torch.ones(len(vertices))
    grey = torch.full_like(vertices, 0.4)
    normals = torch.from_numpy(np.ascontiguousarray(mesh.vertex_normals())).float()
    faces = torch.from_numpy(np.ascontiguousarray(mesh.faces)).long()
    return Bust(vertices, faces, normals, grey, grey, one, 0.35 * one, torch.zeros(len(one)).long())


def photo(number: int = SAMPLE_HEAD, size: int = 64) -> tuple[Tensor, Cameras]:
    """(size, size, 3) frontal picture of a made head as anybody may have it, and its camera."""
    camera = cameras(FRONT, size)
    return photograph(make_head(number), camera)[0], camera


@cache
def five() -> Tensor:
    """(5, 64, 64, 3) frontal pictures of PEOPLE and, last, of head 7."""
    return torch.cat([gallery()[0], photo()[0][None]])


def to_five(one: Recogniser, shown: Tensor) -> Tensor:
    """(V, 5) cosine distances of pictures to `five`."""
    return 1 - one.embed(shown)[0] @ one.embed(five())[0].T


def depth_of(figure: Bust, camera: Cameras) -> Tensor:
    """(H, W) mm; 0 at the rim, too, where a photograph mixes the head with the wall behind it."""
    cover, depth, _ = shoot(figure, camera).maps()
    rim = torch.nn.functional.max_pool2d(1 - cover[None], 3, stride=1, padding=1)[0]
    return torch.where(rim < 0.01, depth, 0.0)[0]


def forged(mesh: Mesh, picture: Tensor, camera: Cameras, angles: Angles = VIEWS) -> Tensor:
    """(V, 64, 64, 3) a mesh painted with a photograph from the front, seen from other sides.

    What the photograph doesn't see gets the colour of the nearest point that it does see. No light
    is put on: the photograph brings its own.
    """
    from scipy.spatial import cKDTree

    figure = figure_of(mesh)
    paint, seen = painted(figure.vertices, picture, depth_of(figure, camera), camera)
    nearest = cKDTree(figure.vertices[seen].numpy()).query(figure.vertices[~seen].numpy())[1]
    paint[~seen] = paint[seen][nearest]
    shots = shoot(replace(figure, reflectance=paint), cameras(angles))
    return shots._average(shots.reflectance, 1.0).clamp(0, 1)


def to_turn(shape: str, spacing: float = 8.0) -> tuple[Mesh, dict[str, NDArray[np.float64]]]:
    """A shape with few triangles, and (N, 3) sRGB of its points in everybody's colours."""
    coarse = bust(person(shape), spacing)
    found = {
        whose: to_srgb(worn(coarse.vertices, shape, whose).clamp(0, 1)).double().numpy()
        for whose in PEOPLE
    }
    return Mesh(coarse.vertices.double().numpy(), coarse.faces.numpy()), found


# Each half alone ----------------------------------------------------------------------------------


@cache
def _average_body() -> Bust:
    return bust(make_head(torch.zeros(len(IDENTITY_NAMES))), SPACING)


def colours_alone(whose: str, angles: Angles = VIEWS) -> Tensor:
    """(V, 64, 64, 3) pictures of the average shape, which nobody has, in somebody's colours."""
    average = _average_body()
    head = make_head(torch.zeros(len(IDENTITY_NAMES)), albedo=person(whose).albedo)
    with torch.no_grad():
        shots = shoot(
            replace(average, reflectance=head.reflectance(average.vertices)), cameras(angles)
        )
    return shots.pictures(LIT.expand(len(angles), -1)).clamp(0, 1)


def halves(one: Recogniser) -> dict[str, float]:
    """Share of pictures, four people from three sides, that a recogniser names rightly."""
    known, who = gallery()
    shown = {
        "as they are": [pictures(n, n) for n in PEOPLE],
        "shape alone": [pictures(n, n, one_albedo=True) for n in PEOPLE],
        "colours alone": [colours_alone(n) for n in PEOPLE],
    }
    vectors, truth = one.embed(known)[0], who.repeat_interleave(len(VIEWS))
    return {
        name: float(
            (who[(one.embed(torch.cat(x))[0] @ vectors.T).argmax(1)] == truth).float().mean()
        )
        for name, x in shown.items()
    }
