"""Heads reconstructed from protected pictures, many people by many operators: what attacks get.

A job is one person under one setting: the scene is made, protected, reconstructed and measured
against its truth. Kept beside the numbers are the release and the reconstruction, which is all that
an attack may open. The arm FULL_RGB trains on unprotected pictures: the paper's baseline.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from privhead_nb.errors import LabError
from privhead_nb.geometry.metrics import evaluate
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.lab.jobs import run_jobs, safe_name
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.protect import protect
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.profiles import get_profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.two_stage import reconstruct, reconstruct_full_rgb

FULL_RGB = "full_rgb"
"""Name of the arm that sees all pictures unprotected."""
RECONSTRUCTION_VERSION = 2
"""Changes whenever the same job gives another head."""


@dataclass(frozen=True)
class Made:
    """One reconstructed person.

    Attributes:
        identity: who.
        setting: name of the operator, or FULL_RGB.
        folder: where the release and the reconstruction are.
        chamfer: mean distance of face and truth, mm, both ways.
        normals: median error of the normals, degrees.
        seconds: of training.
    """

    identity: int
    setting: str
    folder: Path
    chamfer: float
    normals: float
    seconds: float

    def release(self) -> Release:
        """What left the device.

        Raises:
            LabError: the arm FULL_RGB, which has none.
        """
        if self.setting == FULL_RGB:
            raise LabError("a full-RGB baseline has no release", where=self.folder)
        return Release.load(self.folder / "release")

    def reconstruction(self) -> Reconstruction:
        """What was made of it."""
        return Reconstruction.load(self.folder / "run")


@dataclass(frozen=True)
class _Job:
    identity: int
    setting: str
    operator: dict[str, Any] | None  # None: full RGB
    size: int  # of the release
    folder: str
    profile: str
    traced: int  # pixels of the scene
    views: tuple[int, int]
    seed: int


def make_reconstructions(
    identities: Iterable[int],
    settings: Mapping[str, tuple[Operator, int] | None],
    folder: str | Path,
    profile: str = "cpu",
    *,
    traced: int = 64,
    views: tuple[int, int] = (10, 20),
    seed: int = 0,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> list[Made]:
    """Reconstruct every person under every setting, in parallel, one thread each, and keep it.

    Args:
        identities: who.
        settings: name -> operator and size of the release, pixels; None for FULL_RGB.
        folder: where all is kept; a second call only does what is missing.
        profile: of training.
        traced: size of the scene's views, pixels; FULL_RGB sees them as they are.
        views: how many neutral and sensitive views a scene has.
        seed: of training and of the operator's noise.
        workers, scheduler, progress, overwrite: as for `run_jobs`.

    Returns:
        People by settings, the settings of one person together.

    Raises:
        LabError: a stored result is of another version, or jobs failed.
    """
    if any((chosen is None) != (name == FULL_RGB) for name, chosen in settings.items()):
        raise LabError(
            f"settings are {', '.join(settings)}",
            where="settings",
            remedy=f"Give an operator to each but {FULL_RGB!r}, which has none.",
        )
    folder = Path(folder)
    version = {
        "generator": GENERATOR_VERSION,
        "reconstruction": RECONSTRUCTION_VERSION,
        "profile": get_profile(profile).to_dict(),
        "traced": traced,
        "views": list(views),
        "seed": seed,
    }
    jobs = {}
    for identity in identities:  # of one person together: a worker makes a scene once
        for name, chosen in settings.items():
            described = None if chosen is None else chosen[0].to_dict()
            size = traced if chosen is None else chosen[1]
            made_of = version | {"operator": described, "size": size}
            arm = f"{safe_name(name)}-{_fingerprint(made_of)}"
            jobs[f"{identity} {arm}"] = _Job(
                identity, name, described, size, str(folder / arm / str(identity)), profile, traced,
                views, seed,
            )  # fmt: skip
    found = run_jobs(
        jobs,
        _reconstruct,
        folder / "made",
        version=version,
        workers=workers,
        scheduler=scheduler,
        progress=progress,
        desc="heads",
        overwrite=overwrite,
    )
    return [
        Made(
            identity=job.identity,
            setting=job.setting,
            folder=Path(job.folder),
            chamfer=found[key]["chamfer_mm"],
            normals=found[key]["normals_deg"],
            seconds=found[key]["seconds"],
        )
        for key, job in jobs.items()
    ]


def _fingerprint(described: dict[str, Any]) -> str:
    """Eight letters of operator and version: what changes behind a name gets a new folder."""
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:8]


@lru_cache(maxsize=1)
def _scene(identity: int, size: int, views: tuple[int, int]) -> Scene:
    return synthetic_scene(identity, size=size, neutral=views[0], sensitive=views[1])


def _reconstruct(job: _Job) -> dict[str, Any]:
    """One job; what an earlier attempt left is gone on with."""
    scene, folder = _scene(job.identity, job.traced, job.views), Path(job.folder)
    began = time.perf_counter()
    if job.operator is None:
        result = reconstruct_full_rgb(
            scene, job.profile, size=job.size, seed=job.seed, out=folder / "run",
            resume=True, device="cpu", progress=False,
        )  # fmt: skip
    else:
        operator = Operator.from_dict(job.operator)
        noise = 1_000_003 * job.seed + job.identity
        release = protect(scene, operator, size=job.size, seed=noise)
        release.save(folder / "release", overwrite=True)
        result = reconstruct(
            release, job.profile, seed=job.seed, out=folder / "run",
            resume=True, device="cpu", progress=False,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    distances = evaluate(result, scene)
    return {
        "identity": job.identity,
        "setting": job.setting,
        "chamfer_mm": round(distances.distance_mean, 4),
        "truth_to_mesh_mm": round(distances.distance_truth_to_mesh, 4),
        "normals_deg": _rounded(distances.normal_median_deg),
        "normals_mean_deg": _rounded(distances.normal_mean_deg),
        "seconds": round(seconds, 1),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
