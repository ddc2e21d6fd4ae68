"""The study of attacks on pictures: who is recognised, setting by setting, by which attack.

Jobs (`picture_jobs.py`) are kept in a folder, so that a second call does only what is missing. The
summary, the strongest attack of each setting against one picture and against a release, is what
`assessment.py` reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from privhead_nb.errors import LabError
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.assessment import ALONE, COMMAND, FMR, FORMAT, TOGETHER
from privhead_nb.lab.attacks import unknown_attack
from privhead_nb.lab.jobs import finished, run_jobs
from privhead_nb.lab.picture_jobs import (
    ATTACKS,
    BASES,
    CLASSICAL,
    FULL,
    LITTLE,
    NETWORK,
    ONLY_AT,
    STUDY_VERSION,
    Size,
    base,
    job,
    people,
    portraits,
)
from privhead_nb.lab.protocol import check_disjoint
from privhead_nb.lab.settings import DEFAULT, SETTINGS, setting

SMALL_SETTINGS = ("sobel-64", "sobel-16-noise-0.2")
SMALL_ATTACKS = (CLASSICAL, NETWORK)
MEASURES = {ALONE: "rank1", TOGETHER: "release"}


def study_privacy(
    *,
    small: bool = False,
    settings: str = "",
    attacks: str = "",
    folder: Path | None = None,
    store: Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """What `privhead study privacy` does: the jobs that are missing, and the sum of all there are.

    Arguments are its options, and as in `run_jobs`. Returns the summary, with the folder and the
    number of finished jobs.

    Raises:
        LabError: unknown names; `store` of a small study; or as `run_jobs`.
    """
    if small and store is not None:
        raise LabError(
            "a small study shows that it runs, and its numbers mean nothing",
            where="--store",
            remedy="Leave --small out, or --store.",
        )
    size = LITTLE if small else FULL
    kept = folder or faces.cache_folder() / ("privacy_small" if small else "picture_attacks")
    jobs = wanted(_names(settings), _names(attacks), small)
    run(jobs, size, kept, workers=workers, scheduler=scheduler, overwrite=overwrite)
    results = stored(kept, size)
    found = summary(results, size)
    if store is not None:
        write_json(store, found)
        found["store"] = str(store)
    return {"folder": str(kept), "jobs": len(results), **found}


def wanted(settings: list[str], attacks: list[str], small: bool) -> list[tuple[str, str]]:
    """Setting and attack of each job, quick attacks first; an empty list means all.

    Raises:
        LabError: unknown settings or attacks.
    """
    if small:
        settings, attacks = settings or [*SMALL_SETTINGS], attacks or [*SMALL_ATTACKS]
    for name in settings:
        setting(name)
    if unknown := [name for name in attacks if name not in ATTACKS]:
        raise unknown_attack(unknown[0], "--attacks", f"Attacks on pictures: {', '.join(ATTACKS)}.")
    everywhere = bool(attacks or settings) or small
    return [
        (name, attack)
        for attack in ATTACKS
        if not attacks or attack in attacks
        for name in settings or SETTINGS
        if everywhere or name in ONLY_AT.get(attack, (name,))
    ]


def run(
    asked: Iterable[tuple[str, str]],
    size: Size,
    folder: Path,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Results by key, "setting.attack", of jobs that name both; the rest as in `run_jobs`.

    A folder, of results and shared networks, holds one size only.
    """
    pairs, groups = list(asked), people(size)
    check_disjoint(**groups)
    for group in groups:
        portraits(group, size, workers=workers, progress=True)
    same: dict[str, Any] = {"version": version(size), "workers": workers}
    same |= {"scheduler": scheduler, "overwrite": overwrite}
    attacks = {attack for _, attack in pairs}
    needed = [name for name, users in BASES.items() if attacks & set(users)]
    shared = {name: (name, size, str(folder)) for name in needed}
    run_jobs(shared, base, folder / "base", desc="shared networks", **same)
    jobs = {f"{s}.{a}": (s, a, size, str(folder)) for s, a in pairs}
    return run_jobs(jobs, job, folder / "jobs", desc="attacks on pictures", **same)


def version(size: Size) -> dict[str, Any]:
    """What must be the same for a stored result to count."""
    return {
        "generator": GENERATOR_VERSION,
        "album": faces.FACES_VERSION,
        "study": STUDY_VERSION,
        "size": asdict(size),
    }


def stored(folder: Path, size: Size) -> dict[str, Any]:
    """Finished jobs of this version and size, by key."""
    keys = [f"{name}.{attack}" for name in SETTINGS for attack in ATTACKS]
    return finished(keys, folder / "jobs", version(size))


def summary(results: Mapping[str, Any], size: Size) -> dict[str, Any]:
    """For each setting the strongest attack on whole portraits, alone and together.

    Beside rank-1 of single pictures stands "fnmr", the share of mated pairs that the same attack
    misses at FMR; several pictures together are too few pairs for it. A setting where no attack has
    a value is left out of what is stored.
    """
    settings: dict[str, Any] = {}
    for result in results.values():
        facts = {k: result[k] for k in ("operator", "pixels", "chance")}
        worst = settings.setdefault(result["setting"], facts | {"attacks": []})
        worst["attacks"].append(result["attack"])
        for kind, measure in MEASURES.items():
            rate = result["whole"][measure]
            known = isinstance(rate, list)  # no abstention
            if known and (kind not in worst or rate[0] > worst[kind]["rank1"][0]):
                worst[kind] = {"attack": result["attack"], "rank1": rate}
                if kind == ALONE and (missed := fnmr(result["whole"])):
                    worst[kind]["fnmr"] = missed
    facts = version(size)
    return {
        "format": FORMAT,
        "command": COMMAND,
        **{k: facts[k] for k in ("generator", "album", "study")},
        "people": size.people,
        "people_from": next(iter(people(size).values()))[0],
        "attackers": size.attackers,
        "views": faces.GALLERY.views,
        "settings": {name: found for name, found in settings.items() if MEASURES.keys() & found},
    }


def fnmr(rates: Mapping[str, Any]) -> list[float] | None:
    """FNMR at FMR as [value, low, high], of a job's rates of one variant; None if it abstained."""
    tar = rates.get("tar")
    return [round(1 - tar[k], 4) for k in (0, 2, 1)] if isinstance(tar, list) else None


def text(answer: dict[str, Any]) -> str:
    """The strongest attack of each setting, for a reader."""
    known, views = answer["people"], answer["views"]
    lines = [
        f"The strongest attack on pictures at each setting: rank-1 among {known} people (from "
        f"{answer['people_from']}), with 95 % intervals,",
        f"and FNMR at FMR {FMR:.1%} of single pictures. (of N) were tried; * without "
        f"{strongest(answer)}, the strongest on {DEFAULT}.",
        f"{'setting':<22}{'one picture':<46}{'FNMR':<26}{f'{views} pictures together'}",
    ]
    for name, one in answer["settings"].items():
        star = "" if strongest(answer) in one["attacks"] else " *"
        cells = [f"{name + star:<22}"]
        for kind in MEASURES:
            worst = one.get(kind, {})
            rate = _rate(worst["rank1"]) if worst else "not known"
            cells.append(f"{rate:<26}{worst.get('attack', ''):<20}")
            if kind == ALONE:
                cells.append(f"{_rate(worst.get('fnmr')):<26}")
        lines.append("".join(cells).rstrip() + f" (of {len(one['attacks'])})")
    if not answer["settings"]:
        lines.append("No attack has a value yet.")
    lines.append(
        f"Chance {1 / known:.3g}. The strongest is picked after the fact, so it is a little high. "
        "Neutral views, mesh and field leak besides: docs/privacy-lab.md."
    )
    lines.append(f"{answer['folder']}: {answer['jobs']} finished jobs.")
    return "\n".join(lines)


def strongest(answer: Mapping[str, Any]) -> str:
    """The attack that names most at the paper's default; "" where none was tried there."""
    return str(answer["settings"].get(DEFAULT, {}).get(ALONE, {}).get("attack", ""))


def _rate(rate: list[float] | None) -> str:
    return "" if rate is None else "{:.3f} ({:.3f} to {:.3f})".format(*rate)


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]
