"""How well released artefacts name a person: neutral views, mesh, field renders, fitted colours.

    python benchmarks/studies/artefact.py run --people 10 --settings sobel-64 noise-0.2 full_rgb
    python benchmarks/studies/artefact.py run --small      a few people, ci profile: two minutes
    python benchmarks/studies/artefact.py table            what is stored, as Markdown

`run` goes on where it stopped: captures of people (5 s each), reconstructions (a minute and more
each), artefacts (a minute each), then three groups of attacks (some minutes each). It writes
benchmarks/results/artefacts.json, or out/lab/artefacts_small.json with --small. Probes are people
of the group "evaluation", one vector each, held against a gallery of 100 of them; attacks learned
from the group "attacker", and recognisers from the group "recogniser".
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.studies.artefact_attacks import GROUPS, Study, work
from benchmarks.studies.artefact_pictures import ARTEFACT_VERSION, Looking, make_artefacts
from benchmarks.studies.reconstructed_heads import (
    FULL_RGB,
    RECONSTRUCTION_VERSION,
    Made,
    make_reconstructions,
)
from privhead_nb import resources
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import attacker_data, faces
from privhead_nb.lab.attacks.radiance_refit import Refit
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.protocol import check_disjoint
from privhead_nb.lab.settings import DEFAULT, setting

RESULTS = resources.RESULTS / "artefacts.json"
SMALL = "artefacts_small.json"
STUDY_VERSION = 1


def small_study(settings: Sequence[str]) -> Study:
    """Of a size that CI can run: its numbers say only that the attacks work."""
    return Study(
        people=2,
        gallery=6,
        others=6,
        settings=tuple(settings),
        profile="ci",
        epochs=20,
        steps=30,
        looking=Looking(others=6, components=8, refit=Refit(steps=10, starts=(0.0,))),
        small=True,
    )


# The study ----------------------------------------------------------------------------------------


def run(study: Study, workers: int | None, scheduler: str | None, overwrite: bool) -> Path:
    """Everything that is not there yet; returns the file written."""
    chosen = {name: None if name == FULL_RGB else setting(name) for name in study.settings}
    people = faces.people("evaluation", study.gallery)
    check_disjoint(known=people, others=faces.people("attacker", study.others))
    folder = Path(study.folder)
    how = {"workers": workers, "progress": True}
    study.made(**how)
    study = replace(study, looking=replace(study.looking, album=study.folder))
    more = {**how, "scheduler": scheduler, "overwrite": overwrite}
    made = make_reconstructions(
        faces.people("evaluation", study.people),
        chosen,
        folder / "reconstructions" / study.profile,
        study.profile,
        **more,
    )
    make_artefacts(made, study.looking, **more)
    found = run_jobs(
        {name: (name, study, tuple(made)) for name in GROUPS},
        work,
        folder
        / "artefact_attacks"
        / f"{study.people}-{'-'.join(_short(s) for s in study.settings)}",
        version={
            "generator": GENERATOR_VERSION,
            "study": STUDY_VERSION,
            "album": faces.FACES_VERSION,
            "captures": attacker_data.ATTACKER_VERSION,
            "reconstruction": RECONSTRUCTION_VERSION,
            "artefacts": ARTEFACT_VERSION,
            **asdict(replace(study, folder="", looking=replace(study.looking, album=""))),
        },
        desc="attacks",
        **more,
    )
    target = folder / SMALL if study.small else RESULTS
    write_json(target, report(study, made, found))
    return target


def _short(name: str) -> str:
    return "".join(c for c in name if c.isalnum())


def report(study: Study, made: Sequence[Made], found: dict[str, Any]) -> dict[str, Any]:
    """What is stored: utility and worst attack of each setting first, then every rate."""
    heads: dict[str, Any] = {}
    for name in study.settings:
        own = [m for m in made if m.setting == name]
        tried = {attack: rates[name]["rank1"] for attack, rates in found["shape"].items()}
        for recogniser, rates in found["pictures"].items():
            for kind, score in rates[name].items():
                tried[f"{kind}, {recogniser}"] = score["rank1"]
        worst = max(tried, key=lambda attack: tried[attack][0])
        heads[name] = {
            "operator": None if name == FULL_RGB else setting(name)[0].to_dict(),
            "size": None if name == FULL_RGB else setting(name)[1],
            "people": [m.identity for m in own],
            "chamfer_mm": [round(m.chamfer, 3) for m in own],
            "normals_deg": [round(m.normals, 2) for m in own],
            "chamfer_mm_mean": round(float(np.mean([m.chamfer for m in own])), 3),
            "normals_deg_mean": round(float(np.mean([m.normals for m in own])), 2),
            "seconds_mean": round(float(np.mean([m.seconds for m in own])), 1),
            "worst_attack": worst,
            "worst_rank1": tried[worst],
        }
    settings = " ".join(study.settings)
    size = "--small" if study.small else f"--people {study.people} --others {study.others}"
    return {
        "command": f"python benchmarks/studies/artefact.py run {size} --settings {settings}",
        "generator": GENERATOR_VERSION,
        "profile": study.profile,
        "gallery": study.gallery,
        "others": study.others,
        "note": "rates: value, low and high end of the 95 % interval over identities; the worst of "
        "several attacks is picked after the fact, so it is a little too high",
        "heads": heads,
        "attacks": found,
    }


def table(path: Path) -> str:
    """The stored results as Markdown."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    lines = [
        "| setting | Chamfer, mm | normals, deg | worst attack | rank-1 |",
        "| --- |" + " --- |" * 4,
    ]
    for name, one in stored["heads"].items():
        lines.append(
            f"| {name} | {one['chamfer_mm_mean']:.2f} | {one['normals_deg_mean']:.1f} "
            f"| {one['worst_attack']} | {_said(one['worst_rank1'])} |"
        )
    lines += ["", "| attack | on | rank-1 | rank-5 | shuffled |", "| --- |" + " --- |" * 4]
    for rates in stored["attacks"].values():
        for name, own in rates.items():
            for on, score in own.items():
                if on != "card":
                    rows = (
                        {on: score}
                        if "rank1" in score
                        else {f"{on}: {k}": s for k, s in score.items()}
                    )
                    lines += [
                        f"| {name} | {k} (n = {s['probes']}) | {_said(s['rank1'])} "
                        f"| {_said(s['rank5'])} | {_said(s['shuffled_rank1'])} |"
                        for k, s in rows.items()
                    ]
    return "\n".join(lines)


def _said(rate: list[float] | str) -> str:
    if isinstance(rate, str):
        return rate
    return percent(*rate)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--people", type=int, default=10, help="reconstructed under each setting")
    parser.add_argument("--settings", nargs="+", default=[DEFAULT, FULL_RGB], metavar="NAME")
    parser.add_argument("--others", type=int, default=200, help="the attacker's people")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--scheduler", default=None)
    parser.add_argument("--overwrite", action="store_true", help="drop results of other versions")
    asked = parser.parse_args()
    study = (
        small_study(asked.settings)
        if asked.small
        else Study(
            people=asked.people,
            others=asked.others,
            settings=tuple(asked.settings),
            looking=Looking(others=asked.others),
        )
    )
    if asked.command == "run":
        path = run(study, asked.workers, asked.scheduler, asked.overwrite)
    else:
        path = Path(study.folder) / SMALL if asked.small else RESULTS
    print(table(path))


if __name__ == "__main__":
    main()
