"""Many appearance transfers, kept: on the generator, and on trained fields."""

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
from privhead_nb.lab.framing import portrait_cameras
from privhead_nb.lab.raster import photograph, surface_mesh
from privhead_nb.lab.settings import DEFAULT

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
