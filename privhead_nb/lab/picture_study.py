"""Protecting operators against attacks on pictures: who is recognised, setting by setting.

One job is one attack at one setting: trained on the attacker's people, tested on the evaluation
group's, eight probes and one frontal picture each (`picture_jobs.py`). `summary` gives the
strongest attack of each setting, and is what a recommendation should read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import albums
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.picture_jobs import (
    ATTACKS,
    INVERSION,
    NETWORK,
    STEMS,
    STUDY_VERSION,
    Size,
    base,
    job,
    people,
)
from privhead_nb.lab.protocol import check_disjoint
from privhead_nb.lab.settings import setting


def run(
    wanted: Iterable[tuple[str, str]],
    size: Size,
    folder: Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Do the jobs that `folder` has no result of yet; a killed run goes on where it stopped.

    Args:
        wanted: setting and attack of each job.
        size: of the study; a folder holds one size only.
        folder: of results and shared networks.
        workers, scheduler, progress, overwrite: as in `run_jobs`.

    Returns:
        Results by key, "setting.attack".

    Raises:
        LabError: unknown settings or attacks; or as `run_jobs`.
    """
    pairs = list(wanted)
    for name, attack in pairs:
        setting(name)
        if attack not in ATTACKS:
            raise LabError(
                f"there is no attack {attack!r}",
                where="picture study",
                remedy=f"Attacks: {', '.join(ATTACKS)}.",
            )
    groups = people(size)
    check_disjoint(**groups)
    for group, plan in (("evaluation", albums.GALLERY), ("attacker", albums.LEARNING)):
        albums.make_album(
            groups[group], plan, folder=albums.cache_folder(), workers=workers, progress=progress
        )
    same: dict[str, Any] = {
        "version": version(size), "workers": workers, "scheduler": scheduler,
        "progress": progress, "overwrite": overwrite,
    }  # fmt: skip
    attacks = {attack for _, attack in pairs}
    bases = {"colours": {STEMS, INVERSION}, "moduli": {NETWORK, STEMS}}
    needed = [name for name, users in bases.items() if users & attacks]
    shared = {name: (name, size, str(folder)) for name in needed}
    run_jobs(shared, base, folder / "base", desc="shared networks", **same)
    jobs = {f"{s}.{a}": (s, a, size, str(folder)) for s, a in pairs}
    return run_jobs(jobs, job, folder / "jobs", desc="attacks on pictures", **same)


def version(size: Size) -> dict[str, Any]:
    """What must be the same for a stored result to count."""
    return {
        "generator": GENERATOR_VERSION,
        "album": albums.ALBUM_VERSION,
        "study": STUDY_VERSION,
        "size": asdict(size),
    }


def summary(results: Mapping[str, Any], measure: str = "rank1") -> dict[str, dict[str, Any]]:
    """The strongest attack of each setting.

    Args:
        results: by key, as `run` gives and the stored file holds under "results".
        measure: "rank1" of one picture, "release" (rank-1 of eight together), "tar", "auc"; of
            whole portraits.

    Returns:
        Setting -> operator, size, the attack's key, and [value, low, high] of the measure; chance;
        and which attacks were tried. A setting where no attack has a value is left out.
    """
    worst: dict[str, dict[str, Any]] = {}
    tried: dict[str, list[str]] = {}
    for key, result in results.items():
        name, value = result["setting"], result["whole"][measure]
        tried.setdefault(name, []).append(result["attack"])
        if isinstance(value, dict):  # an abstention
            continue
        if name not in worst or value[0] > worst[name][measure][0]:
            worst[name] = {
                "operator": result["operator"],
                "pixels": result["pixels"],
                "attack": result["attack"],
                "key": key,
                measure: value,
                "chance": result["chance"],
            }
    return {name: {**found, "attacks": tried[name]} for name, found in worst.items()}
