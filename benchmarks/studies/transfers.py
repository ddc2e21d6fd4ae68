"""Many appearance transfers, kept: on the generator, and on trained fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.studies.image_conditions import Arms, keep, kept, sheet
from benchmarks.studies.reconstructed_heads import FULL_RGB, Made
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.lab.appearance import VIEWS, exact_head, transfer
from privhead_nb.lab.attacks.field_renders import renders
from privhead_nb.lab.framing import portrait_cameras
from privhead_nb.lab.jobs import run_jobs
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
    file: Path


@dataclass(frozen=True)
class _Field:
    geometry: Made
    radiance: Made
    snap: bool
    file: Path


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
        jobs[str(i)] = _Exact(i, (i, *map(int, drawn)), folder / f"{i}.safetensors")
    version = {
        "generator": GENERATOR_VERSION,
        "transfers": TRANSFERS_VERSION,
        "drawn": [len(known), geometries, radiances, seed],
    }
    run_jobs(jobs, _make_exact, folder / "made", version=version, workers=workers, desc="heads")
    mixed: list[tuple[Tensor, int, int]] = []
    own: list[tuple[Tensor, int, int]] = []
    for job in jobs.values():
        for name, pictures in kept(job.file).items():
            (own if int(name) == job.geometry else mixed).append(
                (pictures, job.geometry, int(name))
            )
    return _join(mixed), _join(own)


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
                    file = folder / f"{key}.safetensors"
                    jobs[key] = _Field(arms[i][shape], arms[j][FULL_RGB], snap, file)
                    parts.setdefault(name, []).append(key)
    first = arms[people[0]]
    version = {
        "generator": GENERATOR_VERSION,
        "transfers": TRANSFERS_VERSION,
        "arms": [str(first[arm].folder.parent) for arm in (setting, FULL_RGB)],
    }
    run_jobs(jobs, _make_field, folder / "made", version=version, workers=workers, desc="fields")
    return {
        name: _join(
            [
                (
                    kept(jobs[k].file)["pictures"],
                    jobs[k].geometry.identity,
                    jobs[k].radiance.identity,
                )
                for k in keys
            ]
        )
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
def _make_exact(job: _Exact) -> dict[str, Any]:
    torch.set_num_threads(1)
    cameras, pictures = portrait_cameras(VIEWS), {}
    surface = surface_mesh(make_head(job.geometry))  # once for all colours
    for other in job.radiances:
        colours = exact_head(job.geometry, other).reflectance(surface.vertices)
        pictures[str(other)] = photograph(replace(surface, reflectance=colours), cameras)
    keep(job.file, pictures)
    return {"geometry": job.geometry}


def _make_field(job: _Field) -> dict[str, Any]:
    torch.set_num_threads(1)
    shape, colours = job.geometry.reconstruction(), job.radiance.reconstruction()
    joined = transfer(shape, colours, snap=job.snap)
    keep(job.file, {"pictures": renders(joined, portrait_cameras(VIEWS))})
    return {"geometry": job.geometry.identity, "radiance": job.radiance.identity}


def _join(parts: list[tuple[Tensor, int, int]]) -> Mixed:
    shape, colours = (torch.tensor([p[k] for p in parts for _ in range(len(p[0]))]) for k in (1, 2))
    return Mixed(torch.cat([p[0] for p in parts]), shape, colours)
