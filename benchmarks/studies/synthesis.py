"""Prior knowledge of heads against protection: the generator itself, and a learned decoder.

    python benchmarks/studies/synthesis.py bank         the attacker's heads, 2 s each
    python benchmarks/studies/synthesis.py oracle       codes fitted to releases, minutes a person
    python benchmarks/studies/synthesis.py decoder      a decoder learned from portraits, fitted
    python benchmarks/studies/synthesis.py table        what is stored

write benchmarks/results/synthesis.json. `--people` sets how many are attacked. `--small` is for
machines that test: a few people, few steps, nothing stored but in `--results`. What is finished is
kept in out/lab (PRIVHEAD_LAB) and not done again. Set OMP_NUM_THREADS=1: jobs run side by side.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies import synthesis_bank, synthesis_fit
from benchmarks.studies.guessed import judges, quartiles, rate_lines, recognised
from benchmarks.studies.synthesis_bank import Bank, See, see_colours, see_modulus
from benchmarks.studies.synthesis_codes import (
    Codes,
    code_errors,
    face_distance,
    front_portrait,
)
from benchmarks.studies.synthesis_fit import Fit
from privhead_nb import resources
from privhead_nb.files import atomic_file, write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.heads.synthetic import RIGS, synthetic_scene
from privhead_nb.lab import faces
from privhead_nb.lab.attacks import decoder
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.recognisers.stored import NAMES
from privhead_nb.privacy.operators import Operator
from privhead_nb.scenes.camera import Cameras, facescape_rig

RESULTS = resources.RESULTS / "synthesis.json"
VERSION = {"generator": GENERATOR_VERSION, "synthesis": 1}
VIEWS, SIZE = 20, 64
SETTINGS: dict[str, tuple[str, ...]] = {  # what is unknown
    "modulus": ("identity", "albedo"),
    "colours": ("identity", "albedo"),  # the positive control: nothing is protected
    "modulus, light unknown": ("identity", "albedo", "light"),
}


def rig(views: int = VIEWS) -> Cameras:
    """Sensitive cameras of a release around the origin."""
    _, distance = RIGS["facescape"]
    cameras, _, _ = facescape_rig(0, views, size=SIZE, distance=distance)
    return cameras


def see(setting: str) -> See:
    """What the attacker gets."""
    if setting == "colours":
        return see_colours
    return see_modulus(Operator())


def bank_folder(setting: str) -> Path:
    """Where a setting's bank is kept; settings that see alike share one."""
    kind = "colours" if setting == "colours" else "modulus"
    lit = "_light" if "light" in SETTINGS[setting] else ""
    return kept() / f"bank_{kind}{lit}"


def kept() -> Path:
    """Where finished jobs are."""
    return faces.cache_folder() / f"synthesis{VERSION['synthesis']}"


def bank_job(job: tuple[str, int]) -> dict[str, Any]:
    """One head of a bank."""
    setting, person = job
    target = bank_folder(setting) / f"{person}.safetensors"
    if not target.is_file():
        codes = Codes(SETTINGS[setting])
        value, seen = synthesis_bank.bank_row(person, rig(), see(setting), codes)
        with atomic_file(target) as aside:
            save_file({"value": value, "seen": seen.half()}, aside)
    return {"person": person}


def make_bank(setting: str, count: int, workers: int | None) -> None:
    """Render what is missing of a bank."""
    run_jobs(
        {str(i): (setting, i) for i in faces.people("attacker", count)},
        bank_job,
        bank_folder(setting) / "made",
        version=VERSION,
        workers=workers,
        desc=f"bank, {setting}",
    )


@cache
def bank(setting: str, count: int) -> Bank:
    """A bank that has been rendered."""
    rows = [
        load_file(bank_folder(setting) / f"{i}.safetensors")
        for i in faces.people("attacker", count)
    ]
    return synthesis_bank.learn_bank(
        Codes(SETTINGS[setting]),
        torch.stack([r["value"] for r in rows]),
        torch.stack([r["seen"] for r in rows]).float(),
        rig(),
    )


# The oracle ---------------------------------------------------------------------------------------


def scene(person: int) -> tuple[Tensor, tuple[float, float, float]]:
    """(V, H, W, 3) sensitive views of a person, traced, and the release's centre; kept."""
    path = faces.cache_folder() / f"synthesis{VERSION['synthesis']}" / f"scene_{person}.safetensors"
    if not path.is_file():
        made = synthetic_scene(person, neutral=0, sensitive=VIEWS, size=SIZE)
        with atomic_file(path) as aside:
            save_file({"images": made.images, "center": torch.tensor(made.center)}, aside)
    stored = load_file(path)
    x, y, z = stored["center"].tolist()
    return stored["images"], (x, y, z)


def oracle_job(job: tuple[str, int, int, dict[str, Any]]) -> dict[str, Any]:
    """One code fitted to one release."""
    setting, person, heads, settings = job
    began = time.process_time()
    images, center = scene(person)
    target = images if setting == "colours" else Operator().protect(images)[..., None]
    how = Fit(**{**settings, "levels": tuple(settings["levels"])})
    found = synthesis_fit.fit(target, rig(), center, see(setting), bank(setting, heads), how)
    truth = make_head(person)
    average = Codes(SETTINGS[setting]).head(Codes(SETTINGS[setting]).mean)
    return {
        "setting": setting,
        "person": person,
        "history": [round(v, 7) for v in found.history],
        "explained": round(found.explained, 4),
        "code": [round(v, 4) for v in found.code.tolist()],
        "code_error": {k: round(v, 4) for k, v in code_errors(found.head, truth).items()},
        "face_mm": round(face_distance(found.head, truth), 3),
        "face_mm_of_the_average_head": round(face_distance(average, truth), 3),
        "card": asdict(found.card),
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def oracle(asked: argparse.Namespace) -> dict[str, Any]:
    """Fits to releases of the first people of "evaluation", and who the guesses are taken for."""
    how = Fit(levels=(2,), views=4, regressions=1) if asked.small else Fit(restarts=asked.restarts)
    heads = 6 if asked.small else asked.bank
    people = faces.people("evaluation", asked.people)
    settings = ["modulus"] if asked.small else asked.settings
    for setting in settings:
        make_bank(setting, heads, asked.workers)
    jobs = {f"{s}, {p}": (s, p, heads, asdict(how)) for p in people for s in settings}
    fingerprint = VERSION | {"fit": asdict(how), "bank": heads}
    name = "small" if asked.small else f"restarts{how.restarts}_bank{heads}"
    rows = list(
        run_jobs(
            jobs, oracle_job, kept() / "fits" / name, version=fingerprint, workers=asked.workers
        ).values()
    )
    found: dict[str, Any] = {"fit": asdict(how), "bank": heads, "rows": rows, "rates": {}}
    for setting in settings:
        own = [r for r in rows if r["setting"] == setting]
        codes = Codes(SETTINGS[setting])
        guesses = torch.stack([front_portrait(codes.head(torch.tensor(r["code"]))) for r in own])
        found["rates"][setting] = {
            "recognisers": _named(guesses, torch.tensor([r["person"] for r in own]), asked)
        }
        for measure in ("explained", "face_mm", "face_mm_of_the_average_head", "cpu_seconds"):
            found["rates"][setting][measure] = quartiles([r[measure] for r in own])
        for name in ("identity", "albedo"):
            errors = [r["code_error"][name] for r in own]
            found["rates"][setting][f"code_error_{name}"] = quartiles(errors)
    return found


# Learned priors -----------------------------------------------------------------------------------


def learned_decoder(asked: argparse.Namespace) -> dict[str, Any]:
    """A linear decoder fitted to single moduli of portraits."""
    album = _album("attacker", 12 if asked.small else asked.learned, faces.LEARNING)
    made = decoder.learn(album, components=24 if asked.small else 400)
    tested = _album("evaluation", asked.people, faces.GALLERY).views()
    tested = tested.only(tested.yaw.abs() <= made.yaw)
    truth, who = tested.rgb(), tested.identity
    how = decoder.Descent(steps=30) if asked.small else decoder.Descent()
    found: dict[str, Any] = {"descent": asdict(how), "people": made.people, "probes": len(who)}
    targets = {"modulus": Operator().protect(truth), "colours": truth}
    for name, target in targets.items():
        began, parts = time.process_time(), target.split(32)
        plain = name == "colours"
        fits = [decoder.decode(made, Operator(), p, how, colours=plain) for p in parts]
        pictures, misfits = (torch.cat(found) for found in zip(*fits, strict=True))
        found[name] = {"recognisers": _named(pictures, who, asked)}
        found[name]["misfit"] = quartiles(misfits.tolist())
        found[name]["error"] = round(float((pictures - truth).square().mean().sqrt()), 4)
        found[name]["cpu_seconds"] = round(time.process_time() - began, 1)
    return found


def _named(pictures: Tensor, who: Tensor, asked: argparse.Namespace) -> dict[str, Any]:
    gallery = _album("evaluation", 12 if asked.small else 100, faces.GALLERY).frontals()
    return recognised(pictures, who, gallery, judges(asked.judges, small=asked.small))


@cache
def _album(group: str, count: int, plan: faces.PortraitPlan) -> faces.FaceDataset:
    folder = faces.cache_folder()
    return faces.face_dataset(faces.people(group, count), plan, folder=folder, progress=True)


def table(stored: dict[str, Any]) -> str:
    """One line for each attack and recogniser."""
    lines = []
    for name, found in stored.get("oracle", {}).get("rates", {}).items():
        lines += rate_lines("oracle", name, found["recognisers"])
        lines.append(f"{'':>10}  {name:<24} face {found['face_mm'][1]:.2f} mm (median)")
    for name in ("modulus", "colours"):
        found = stored.get("decoder", {}).get(name, {})
        lines += rate_lines("decoder", name, found.get("recognisers", {}))
    return "\n".join(lines)


def line(asked: argparse.Namespace) -> str:
    """The command that does it again."""
    said = f"python benchmarks/studies/synthesis.py {asked.command} --people {asked.people}"
    if asked.command == "oracle":
        said += f" --bank {asked.bank} --restarts {asked.restarts} --settings"
        said += "".join(f" {json.dumps(s) if ' ' in s else s}" for s in asked.settings)
    else:
        said += f" --learned {asked.learned}"
    return said + f" --judges {' '.join(asked.judges)}" + (" --small" if asked.small else "")


def main(arguments: list[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parts = {"oracle": oracle, "decoder": learned_decoder}
    parser.add_argument("command", choices=("bank", *parts, "table"))
    parser.add_argument("--people", type=int, default=10, help="attacked, of 100 in the gallery")
    parser.add_argument("--bank", type=int, default=200, help="the attacker's heads")
    parser.add_argument("--learned", type=int, default=200, help="whom the decoder learns from")
    parser.add_argument("--restarts", type=int, default=1, help="of each fit")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--judges", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    if asked.small:
        asked.people = 2
        asked.results = asked.results if asked.results != RESULTS else kept() / "small.json"
    torch.set_num_threads(1)
    if asked.command == "bank":
        for setting in asked.settings:
            make_bank(setting, asked.bank, asked.workers)
        return
    stored = json.loads(asked.results.read_text()) if asked.results.is_file() else {}
    if asked.command != "table":
        stored[asked.command] = {"command": line(asked)} | parts[asked.command](asked)
        write_json(asked.results, VERSION | stored)
    print(table(stored))


if __name__ == "__main__":
    main()
