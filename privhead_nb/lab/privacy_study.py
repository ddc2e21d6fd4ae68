"""The study of attacks on pictures: who is recognised, setting by setting, by which attack.

One job is one attack at one setting: trained on the attacker's people, tested on the evaluation
group's, eight probes and one frontal picture each (`picture_jobs.py`). Jobs are kept in a folder,
so that a second call does only what is missing. The summary, the strongest attack of each setting
against one picture and against a release, is what `recommendation.py` reads.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from privhead_nb.errors import LabError
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.attacks import unknown_attack
from privhead_nb.lab.jobs import run_jobs, safe_name
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
from privhead_nb.lab.recommendation import ALONE, COMMAND, FORMAT, TOGETHER
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
) -> dict[str, Any]:
    """What `privhead study privacy` does: the jobs that are missing, and the sum of all there are.

    Args:
        small: few people, two settings: shows that it runs.
        settings, attacks: names with commas between; all by default, the slowest at some.
        folder: of jobs; the lab's own by default.
        store: a file for the summary.
        workers, scheduler, overwrite: as in `run_jobs`.

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
    """Results by key, "setting.attack"; a killed run goes on where it stopped.

    Args:
        asked: setting and attack of each job.
        size: of the study; a folder holds one size only.
        folder: of results and shared networks.
        workers, scheduler, overwrite: as in `run_jobs`.
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
    found, same = {}, json.loads(json.dumps(version(size)))
    for key in (f"{name}.{attack}" for name in SETTINGS for attack in ATTACKS):
        path = folder / "jobs" / f"{safe_name(key)}.json"
        if path.is_file():
            again = "Delete it; the study makes it again."
            record = read_json(path, error=LabError, remedy=again)
            if record.data.get("key") == key and record.data.get("version") == same:
                found[key] = record.record("result").data
    return found


def summary(results: Mapping[str, Any], size: Size) -> dict[str, Any]:
    """What is stored: for each setting the strongest attack on whole portraits, alone and together.

    A setting where no attack has a value is left out.

    Args:
        results: by key, as `run` gives.
        size: of the study.
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
    facts = version(size)
    return {
        "format": FORMAT,
        "command": COMMAND,
        **{k: facts[k] for k in ("generator", "album", "study")},
        "people": size.people,
        "attackers": size.attackers,
        "views": faces.GALLERY.views,
        "settings": {name: found for name, found in settings.items() if MEASURES.keys() & found},
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
