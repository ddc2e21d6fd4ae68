"""Many appearance transfers: on the generator and on trained fields, kept; and photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.studies.image_conditions import Arms, make_pictures, sheet
from benchmarks.studies.reconstructed_heads import FULL_RGB, Made
from privhead_nb.heads.head import make_head
from privhead_nb.lab.appearance import VIEWS, exact_head, transfer
from privhead_nb.lab.attacks.field_renders import renders
from privhead_nb.lab.framing import FRONT, portrait_cameras
from privhead_nb.lab.raster import SurfaceMesh, photograph, rasterize, surface_mesh
from privhead_nb.lab.settings import DEFAULT
from privhead_nb.scenes.camera import Cameras

ON_OWN, ON_ANOTHER, ON_MEAN = "own mesh", "another person's mesh", "mean head"
"""What a photograph is painted on."""
SPACING = 5.0  # mm, of these meshes; a pixel is 6 mm wide
SIDES = VIEWS[1:]  # of painted meshes; from the front one would see the photograph itself

TRANSFERS_VERSION = 1
"""Changes whenever the same people give other pictures."""


@dataclass(frozen=True, eq=False)
class Mixed:
    """Transferred pictures, VIEWS of each pair one after the other.

    Args:
        rgb: (N, 64, 64, 3).
        geometry, radiance: (N,) who gave shape and colours.
    """

    rgb: Tensor
    geometry: Tensor
    radiance: Tensor


@dataclass(frozen=True)
class _Exact:
    geometry: int
    radiances: tuple[int, ...]


@dataclass(frozen=True)
class _Field:
    geometry: Made
    radiance: Made
    snap: bool


def exact_transfers(
    known: Sequence[int],
    folder: Path,
    *,
    geometries: int = 30,
    radiances: int = 5,
    seed: int = 0,
    workers: int | None = None,
) -> tuple[Mixed, Mixed]:
    """On the generator: transferred pictures, and the shapes in their own colours.

    Args:
        known: people; the first `geometries` give shapes, and each is shown in the colours of
            `radiances` others, drawn by `seed`.
        folder: where pictures are kept.
        workers: processes; all cores by default.
    """
    random = np.random.default_rng(seed)
    jobs = {}
    for i in known[:geometries]:
        drawn = random.choice([k for k in known if k != i], radiances, replace=False)
        jobs[str(i)] = _Exact(i, (i, *map(int, drawn)))
    version = {
        "transfers": TRANSFERS_VERSION,
        "drawn": [len(known), geometries, radiances, seed],
    }
    made = make_pictures(jobs, _make_exact, folder, version, workers=workers, desc="heads")
    parts = [(rgb, int(i), int(j)) for i, own in made.items() for j, rgb in own.items()]
    return _join([p for p in parts if p[1] != p[2]]), _join([p for p in parts if p[1] == p[2]])


def field_transfers(
    arms: Arms,
    folder: Path,
    *,
    setting: str = DEFAULT,
    steps: int = 2,
    workers: int | None = None,
) -> dict[str, Mixed]:
    """On trained fields: everyone in the colours of the next `steps` people's full-RGB fields.

    Shapes come from full-RGB fields, as the paper's, and from fields of protected pictures: what
    someone has who forges from a release. Both ask for colours at the same point, as the paper
    describes, and at the nearest point of the other's surface.
    """
    people = list(arms)
    jobs: dict[str, _Field] = {}
    parts: dict[str, list[str]] = {}
    for letter, arm, shape in (("f", "full-RGB shapes", FULL_RGB), ("o", "our shapes", setting)):
        for snap in (False, True):
            name = f"{arm}, {'nearest surface point' if snap else 'same point'}"
            for k, i in enumerate(people):
                for step in range(1, min(steps + 1, len(people))):
                    j = people[(k + step) % len(people)]
                    key = f"{letter}{int(snap)}-{i}-{j}"
                    jobs[key] = _Field(arms[i][shape], arms[j][FULL_RGB], snap)
                    parts.setdefault(name, []).append(key)
    first = arms[people[0]]
    version = {
        "transfers": TRANSFERS_VERSION,
        "arms": [str(first[arm].folder.parent) for arm in (setting, FULL_RGB)],
    }
    made = make_pictures(jobs, _make_field, folder, version, workers=workers, desc="fields")
    people_of = {k: (job.geometry.identity, job.radiance.identity) for k, job in jobs.items()}
    return {
        name: _join([(made[k]["pictures"], *people_of[k]) for k in keys])
        for name, keys in parts.items()
    }


@torch.no_grad()
def photographs(
    known: Sequence[int], *, tested: int = 20, others: int = 3, light: str = "warm", seed: int = 0
) -> tuple[dict[str, Mixed], Tensor]:
    """One frontal photograph of each tested person painted on meshes, seen from SIDES.

    Args:
        known: people of the gallery; the first `tested` are photographed.
        others: people of the gallery, drawn by `seed`, whose meshes get the photograph, too.
        light: of the photographs; the gallery is in studio light.

    Returns:
        Pictures by what the photograph was painted on (`geometry` is -1 for the mean head), and
        "true portrait" for true pictures from there in the same light; the gallery (G, H, W, 3).
    """
    bodies = {i: surface_mesh(make_head(i), SPACING) for i in known}
    front, aside = portrait_cameras(FRONT), portrait_cameras(SIDES)
    gallery = torch.cat([photograph(body, front) for body in bodies.values()])
    nobody = surface_mesh(make_head(torch.zeros(64)), SPACING)
    random = np.random.default_rng(seed)
    parts: dict[str, list[tuple[Tensor, int, int]]] = {}
    for i in known[:tested]:
        (picture,) = photograph(bodies[i], front, light)
        drawn = random.choice([k for k in known if k != i], others, replace=False)
        for name, under in ((ON_OWN, [i]), (ON_ANOTHER, map(int, drawn))):
            for j in under:
                parts.setdefault(name, []).append((forged(bodies[j], picture, front), j, i))
        parts.setdefault(ON_MEAN, []).append((forged(nobody, picture, front), -1, i))
        true = photograph(bodies[i], aside, light)
        parts.setdefault("true portrait", []).append((true, i, i))
    return {name: _join(own) for name, own in parts.items()}, gallery


def forged(surface: SurfaceMesh, picture: Tensor, camera: Cameras) -> Tensor:
    """(V, H, W, 3) a surface painted with a picture (H, W, 3) that `camera` took, from SIDES.

    What the picture doesn't see gets the colour of the nearest point that it does see. No light is
    put on: the picture brings its own. At the rim, where it mixes the head with the wall behind,
    nothing is taken. Lesson 10 writes the same by hand.
    """
    from scipy.spatial import cKDTree

    cover, depth, _ = rasterize(surface, camera).maps()
    rim = torch.nn.functional.max_pool2d(1 - cover[None], 3, stride=1, padding=1)[0]
    near = torch.where(rim < 0.01, depth, 0.0)[0]
    place, far = (x[0] for x in camera.project(surface.vertices))
    column, row = place.round().long().unbind(1)
    height, width = near.shape
    seen = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (far > 0)
    column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
    seen &= (near[row, column] > 0) & (far <= near[row, column] + 8)
    paint = picture[row, column]
    points = surface.vertices.numpy()
    paint[~seen] = paint[seen][cKDTree(points[seen]).query(points[~seen])[1]]
    buffer = rasterize(replace(surface, reflectance=paint), portrait_cameras(SIDES))
    return buffer.average(buffer.reflectance, 1.0).clamp(0, 1)


def draw(own: Mixed, made: dict[str, Mixed], path: Path) -> None:
    """A row a transfer: the shape's person, the colours' person, the result from three sides."""
    rows = []
    for name, wanted in (
        ("generator", 3),
        ("full-RGB shapes, same point", 2),
        ("full-RGB shapes, nearest surface point", 2),
    ):
        m, views, shown = made[name], len(VIEWS), 0
        for k in range(0, len(m.rgb), views):
            people = [own.rgb[own.geometry == p[k]][:1] for p in (m.geometry, m.radiance)]
            if shown < wanted and all(map(len, people)):
                rows.append(torch.cat([*people, m.rgb[k : k + views]]))
                shown += 1
    sheet(rows, path)


@torch.no_grad()
def _make_exact(job: _Exact) -> dict[str, Tensor]:
    cameras, pictures = portrait_cameras(VIEWS), {}
    surface = surface_mesh(make_head(job.geometry))  # once for all colours
    for other in job.radiances:
        colours = exact_head(job.geometry, other).reflectance(surface.vertices)
        pictures[str(other)] = photograph(replace(surface, reflectance=colours), cameras)
    return pictures


def _make_field(job: _Field) -> dict[str, Tensor]:
    shape, colours = job.geometry.reconstruction(), job.radiance.reconstruction()
    joined = transfer(shape, colours, snap=job.snap)
    return {"pictures": renders(joined, portrait_cameras(VIEWS))}


def _join(parts: list[tuple[Tensor, int, int]]) -> Mixed:
    shape, colours = (torch.tensor([p[k] for p in parts for _ in range(len(p[0]))]) for k in (1, 2))
    return Mixed(torch.cat([p[0] for p in parts]), shape, colours)
