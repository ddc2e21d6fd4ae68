"""What `privhead study privacy` calls: the study of attacks on pictures, and its summary.

Jobs are kept in a folder, so that a second call does only what is missing. The summary is what
`advice.py` reads: the strongest attack of each setting, against one picture and against a release.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from privhead_nb.errors import LabError
from privhead_nb.files import write_json
from privhead_nb.lab import albums
from privhead_nb.lab.advice import ALONE, FORMAT, TOGETHER
from privhead_nb.lab.jobs import safe_name
from privhead_nb.lab.picture_jobs import (
    ATTACKS,
    CLASSICAL,
    FULL,
    LITTLE,
    NETWORK,
    ONLY_AT,
    Size,
)
from privhead_nb.lab.picture_study import run, summary, version
from privhead_nb.lab.settings import SETTINGS, setting
from privhead_nb.reading import read_json

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
    progress: bool = True,
) -> dict[str, Any]:
    """Do the jobs that are missing, and sum up all that are there.

    Args:
        small: few people, two settings: shows that it runs.
        settings, attacks: names with commas between; all by default, the slowest at some.
        folder: of jobs; the lab's own by default.
        store: a file for the summary.
        workers, scheduler, overwrite, progress: as in `run_jobs`.

    Returns:
        The summary, with the folder and the number of finished jobs.

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
    kept = folder or albums.cache_folder() / ("privacy_small" if small else "picture_attacks")
    jobs = wanted(_names(settings), _names(attacks), small)
    run(
        jobs, size, kept,
        workers=workers, scheduler=scheduler, progress=progress, overwrite=overwrite,
    )  # fmt: skip
    results = stored(kept, size)
    found = summed_up(results, size)
    if store is not None:
        write_json(store, found)
        found["store"] = str(store)
    return {"folder": str(kept), "jobs": len(results), **found}


def wanted(settings: list[str], attacks: list[str], small: bool) -> list[tuple[str, str]]:
    """Setting and attack of each job, quick attacks first; an empty list means all."""
    if small:
        settings, attacks = settings or [*SMALL_SETTINGS], attacks or [*SMALL_ATTACKS]
    for name in settings:
        setting(name)
    if unknown := [name for name in attacks if name not in ATTACKS]:
        raise LabError(
            f"there is no attack {unknown[0]!r}",
            where="--attacks",
            remedy=f"Attacks on pictures: {', '.join(ATTACKS)}.",
        )
    everywhere = bool(attacks or settings) or small
    return [
        (name, attack)
        for attack in ATTACKS
        if not attacks or attack in attacks
        for name in settings or SETTINGS
        if everywhere or name in ONLY_AT.get(attack, (name,))
    ]


def stored(folder: Path, size: Size) -> dict[str, Any]:
    """Finished jobs of this version and size, by key."""
    found, same = {}, json.loads(json.dumps(version(size)))
    for name in SETTINGS:
        for attack in ATTACKS:
            key = f"{name}.{attack}"
            path = folder / "jobs" / f"{safe_name(key)}.json"
            if not path.is_file():
                continue
            again = "Delete it; the study makes it again."
            record = read_json(path, error=LabError, remedy=again)
            if record.data.get("key") == key and record.data.get("version") == same:
                found[key] = record.record("result").data
    return found


def summed_up(results: dict[str, Any], size: Size) -> dict[str, Any]:
    """What is stored: for each setting the strongest attack, alone and together."""
    worst = {name: summary(results, measure) for name, measure in MEASURES.items()}
    settings: dict[str, Any] = {}
    for name in SETTINGS:
        found = {kind: of[name] for kind, of in worst.items() if name in of}
        if not found:
            continue
        one = next(iter(found.values()))
        settings[name] = {
            "operator": one["operator"],
            "pixels": one["pixels"],
            "chance": one["chance"],
            "attacks": one["attacks"],
            **{
                kind: {"attack": of["attack"], "rank1": of[MEASURES[kind]]}
                for kind, of in found.items()
            },
        }
    facts = version(size)
    return {
        "format": FORMAT,
        "command": "privhead study privacy",
        "generator": facts["generator"],
        "album": facts["album"],
        "study": facts["study"],
        "people": size.people,
        "attackers": size.attackers,
        "views": albums.GALLERY.views,
        "settings": settings,
    }


def text(answer: dict[str, Any]) -> str:
    """The strongest attack of each setting, for a reader."""
    people, views = answer["people"], answer["views"]
    head = (
        f"The strongest attack at each setting: rank-1 among {people} people, with 95 % intervals."
    )
    row = f"{'setting':<22}{'one picture':<26}{'':<20}{f'{views} pictures together':<26}"
    lines = [head, row.rstrip()]
    for name, one in answer["settings"].items():
        cells = [_cell(one[kind]) if kind in one else f"{'not known':<46}" for kind in MEASURES]
        lines.append((f"{name:<22}" + "".join(cells)).rstrip() + f" (of {len(one['attacks'])})")
    if not answer["settings"]:
        lines.append("No attack has a value yet.")
    lines.append(
        f"Chance {1 / people:.3g}. The strongest is picked after the fact, so it is a little high. "
        "Neutral views, mesh and field leak besides: docs/privacy-lab.md."
    )
    lines.append(f"{answer['folder']}: {answer['jobs']} finished jobs.")
    return "\n".join(lines)


def _cell(one: dict[str, Any]) -> str:
    value, low, high = one["rank1"]
    return f"{f'{value:.3f} ({low:.3f} to {high:.3f})':<26}{one['attack']:<20}"


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]
