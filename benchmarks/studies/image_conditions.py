"""One person in the paper's five kinds of picture: what tables and face swaps look at.

Made once for each reconstructed person, and kept: `probes` from eight sides for recognisers,
`given` from 21 sides for face swaps, all from cameras that training has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.studies.reconstructed_heads import FULL_RGB, Made
from privhead_nb.errors import LabError
from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.lab.attacks.field_renders import renders
from privhead_nb.lab.attacks.no_attack import as_grey
from privhead_nb.lab.faces import read_kept
from privhead_nb.lab.framing import PROBES, portrait_cameras
from privhead_nb.lab.jobs import run_jobs, safe_name
from privhead_nb.lab.raster import photograph, render_mesh, surface_mesh
from privhead_nb.lab.settings import DEFAULT
from privhead_nb.lab.table2 import IMAGE_CONDITIONS
from privhead_nb.privacy.operators import Operator

ORIGINAL, PROTECTED, MESH, OURS, FULL = IMAGE_CONDITIONS
GIVEN = tuple(
    (yaw, pitch)
    for pitch in (-12.0, 4.0, 20.0)
    for yaw in (-50.0, -33.0, -17.0, 0.0, 17.0, 33.0, 50.0)
)
"""Yaw and pitch of the 21 pictures that a face swap has of its target, degrees."""
KINDS_VERSION = 1
"""Changes whenever the same reconstructions give other pictures."""

Arms = Mapping[int, Mapping[str, Made]]
"""Person -> arm -> reconstruction: the protected arm under its setting's name, and FULL_RGB."""


def protected(pictures: Tensor, operator: Operator, seed: int = 0) -> Tensor:
    """Pictures (N, H, W, 3) after a protecting operator, as grey pictures of the same shape."""
    return as_grey(operator.protect(pictures, torch.Generator().manual_seed(seed)), operator)


@dataclass(frozen=True)
class _Job:
    identity: int
    ours: Path
    full: Path


def see(
    arms: Arms,
    folder: Path,
    *,
    setting: str = DEFAULT,
    operator: Operator | None = None,
    workers: int | None = None,
) -> dict[int, dict[str, Tensor]]:
    """Pictures of every person, by name, "probes original" to "given full-RGB rendering".

    Args:
        arms: reconstructions, both arms of each person.
        folder: where pictures are kept, as bytes; what is there is read.
        setting: of the protected arm, which "our rendering" and "rendered mesh" show.
        operator: of that setting, which made the protected pictures; None is the default one.
        workers: processes; all cores by default.

    Returns:
        Person -> name -> (V, 64, 64, 3) in [0, 1].

    Raises:
        LabError: an arm is missing, or jobs failed.
    """
    for identity, made in arms.items():
        if missing := {setting, FULL_RGB} - set(made):
            raise LabError(
                f"person {identity} has no reconstruction {', '.join(sorted(missing))}",
                where="kinds of picture",
                remedy="Make both arms with make_reconstructions.",
            )
    jobs = {
        str(i): _Job(i, made[setting].folder, made[FULL_RGB].folder) for i, made in arms.items()
    }
    version = {
        "kinds": KINDS_VERSION,
        "arms": [str(next(iter(arms.values()))[arm].folder.parent) for arm in (setting, FULL_RGB)],
    }
    chosen = Operator() if operator is None else operator
    seen = make_pictures(jobs, _see, folder, version, workers=workers, desc="pictures")
    found = {int(identity): pictures for identity, pictures in seen.items()}
    for identity, pictures in found.items():
        for use in ("probes", "given"):
            original = pictures[f"{use} {ORIGINAL}"]
            pictures[f"{use} {PROTECTED}"] = protected(original, chosen, identity)
    return found


def _see(job: _Job) -> dict[str, Tensor]:
    from privhead_nb.training.reconstruction import Reconstruction

    ours, full = (Reconstruction.load(folder / "run") for folder in (job.ours, job.full))
    probes, given = portrait_cameras(PROBES), portrait_cameras(GIVEN)
    body = surface_mesh(make_head(job.identity))
    return {
        f"probes {ORIGINAL}": photograph(body, probes),
        f"given {ORIGINAL}": photograph(body, given),
        f"probes {MESH}": render_mesh(ours.mesh, probes),
        f"probes {OURS}": renders(ours, probes),
        f"given {OURS}": renders(ours, given),
        f"probes {FULL}": renders(full, probes),
        f"given {FULL}": renders(full, given),
    }


def make_pictures(
    jobs: Mapping[str, Any],
    work: Callable[[Any], dict[str, Tensor]],
    folder: Path,
    version: dict[str, Any],
    *,
    workers: int | None = None,
    desc: str,
) -> dict[str, dict[str, Tensor]]:
    """Pictures of every job by name, made where they are missing and kept as bytes in `folder`.

    Args:
        jobs: key -> what `work` is given.
        work: returns pictures in [0, 1] by name.
        folder: of KEY.safetensors.
        version: what must be the same for kept pictures to count, besides the head generator's.
        workers, desc: as in `run_jobs`.
    """
    files = {key: folder / f"{safe_name(key)}.safetensors" for key in jobs}
    asked = {key: (work, job, files[key]) for key, job in jobs.items()}
    same = {"generator": GENERATOR_VERSION, **version}
    run_jobs(asked, _keep, folder / "made", version=same, workers=workers, desc=desc)
    return {key: kept(file) for key, file in files.items()}


def _keep(given: tuple[Callable[[Any], dict[str, Tensor]], Any, Path]) -> dict[str, Any]:
    work, job, file = given
    keep(file, work(job))
    return {}


def keep(path: Path, pictures: Mapping[str, Tensor]) -> None:
    """Write pictures in [0, 1] as bytes."""
    data = {k: v.mul(255).round().byte().contiguous() for k, v in pictures.items()}
    with atomic_file(path) as aside:
        save_file(data, aside)


def kept(path: Path) -> dict[str, Tensor]:
    """Read what `keep` wrote.

    Raises:
        LabError: it can't be read.
    """
    return {k: v.float() / 255 for k, v in read_kept(path).items()}


def sheet(rows: list[Tensor], path: Path) -> None:
    """Rows of pictures (K, 64, 64, 3) as one PNG."""
    lines = [row.movedim(0, 1).reshape(64, -1, 3) for row in rows]
    rgb = torch.cat(lines).mul(255).round().byte().numpy()
    _, data = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))
    with atomic_file(path) as aside:
        aside.write_bytes(data.tobytes())
