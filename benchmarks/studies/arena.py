"""The arena: every defence, the package's own among them, before the same attackers.

    python benchmarks/studies/arena.py regressor     what reads pose and expression: 10 minutes
    python benchmarks/studies/arena.py domain        what tells made portraits from others
    python benchmarks/studies/arena.py run           all defences, each at its default and its
                                                     strongest; --only NAME for some, --all for
                                                     every strength
    python benchmarks/studies/arena.py run --small   a few people; not stored
    python benchmarks/studies/arena.py table
    python benchmarks/studies/arena.py chart         benchmarks/results/arena.webp

100 fresh people, one frontal picture each in the gallery, eight views each released. `run` goes on
where it stopped, and writes benchmarks/results/arena.json. Pictures are kept in out/lab
(PRIVHEAD_LAB).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies import dlib_recogniser
from benchmarks.studies.arena_attacks import (
    Sides,
    changed_views,
    informed,
    picture_only,
)
from benchmarks.studies.arena_table import table
from benchmarks.studies.deid import utility
from benchmarks.studies.deid.learning import save_parts
from benchmarks.studies.deid.portraits import KnownPortraits, known_portraits
from privhead_nb.bench.harness import cpu_name
from privhead_nb.deid import NAMES, TRAINED, deidentifier, domain
from privhead_nb.deid.stored import path_of
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.intervals import abstain, share
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.recognisers import published
from privhead_nb.lab.recognisers.stored import recogniser
from privhead_nb.resources import RESULTS

FORMAT, VERSION = 1, 1
STORED = RESULTS / "arena.json"
NONE = "none"
"""The positive control: pictures as they are."""
SCORED_BY = "triplet_cnn"
"""Whose feature space realism and distances are told in; no system learned from or against it."""

MARGIN = 1.5
"""The farthest held-back portrait's distance times this is still taken for a portrait."""


@dataclass(frozen=True)
class Size:
    """How large the arena is."""

    people: int = 100  # who are named, of the group "fresh"
    attackers: int = 60  # whom the informed attacker learned from, of "attacker"
    epochs: int = 8  # of its network
    seed: int = 0


LITTLE = Size(people=12, attackers=8, epochs=1)


def entries(only: list[str] | None, every: bool) -> dict[str, tuple[str, float]]:
    """Each defence at its default and its strongest, or at every strength."""
    out: dict[str, tuple[str, float]] = {NONE: (NONE, 0.0)}
    for name in NAMES:
        if only is not None and name not in only:
            continue
        if name in TRAINED and not path_of(name).is_file():
            print(f"{name}: no weights, left out", file=sys.stderr)
            continue
        system = deidentifier(name)
        chosen = system.strengths if every else (system.default, max(system.strengths))
        for strength in sorted(set(chosen)):
            out[f"{name} {strength:g}"] = (name, strength)
    return out


def job(given: tuple[str, float, Size]) -> dict[str, Any]:
    """One defence at one strength: attacked, and what is left of its pictures."""
    name, strength, size = given
    system = None if name == NONE else deidentifier(name)
    test, learn = _portraits("fresh", size.people), _portraits("attacker", size.attackers)
    views, front, learn = test.views(), test.frontals(), learn.views()
    began = time.perf_counter()
    probes = changed_views(system, views, strength, size.seed)
    seconds = time.perf_counter() - began
    sides = Sides(
        probes=probes,
        probe=views.identity,
        gallery=front.rgb(),
        changed=changed_views(system, front, strength, size.seed + 1),
        known=front.identity,
    )
    changed = changed_views(system, learn, strength, size.seed + 2)
    weights = path_of(name) if name in TRAINED else None
    attacks = {**picture_only(sides), **informed(sides, learn, changed, size.epochs)}
    if name == "modulus":
        attacks |= of_the_lab(strength)
    return {
        "method": name,
        "strength": strength,
        "default": system is not None and strength == system.default,
        "attacks": attacks,
        "utility": left(probes, views),
        "milliseconds": round(1000 * seconds / len(probes), 2),
        "megabytes": 0.0 if weights is None else round(weights.stat().st_size / 1e6, 2),
    }


def of_the_lab(noise: float) -> dict[str, Any]:
    """The lab's own worst attack on the modulus, on the same people, by ten times the pictures."""
    known = json.loads((RESULTS / "privacy.json").read_text(encoding="utf-8"))["settings"]
    found = known[f"noise-{noise:g}" if noise else "sobel-64"]
    return {
        f"{found['alone']['attack']} (privhead study privacy)": {
            "one": found["alone"]["rank1"],
            "fnmr": found["alone"]["fnmr"],
            "eight": found["together"]["rank1"],
        }
    }


def _by_mtcnn(pictures: Tensor) -> np.ndarray:
    return dlib_recogniser.detected(_mtcnn(), pictures)


@cache
def _mtcnn() -> published.Detector:
    return published.mtcnn()


DETECTORS = {"cascade": lambda pictures: domain.faces_found(pictures) > 0, "mtcnn": _by_mtcnn}


@cache
def found_before(people: int) -> dict[str, np.ndarray]:
    """In which of the unprotected views (N,) each detector that is installed finds a face."""
    plain = _portraits("fresh", people).views().rgb()
    names = [n for n in DETECTORS if n != "mtcnn" or published.mtcnn_available()]
    return {name: DETECTORS[name](plain) for name in names}


def left(probes: Tensor, views: faces.FaceDataset) -> dict[str, Any]:
    """What is left of the pictures: utility, likeness, realism."""
    plain, who = views.rgb(), views.identity.numpy()
    out: dict[str, Any] = {}
    for name, before in found_before(len(torch.unique(views.identity))).items():
        after = DETECTORS[name](probes)
        out[name] = _of(after[before], who[before])
    (pose, face), (pose_before, face_before) = (
        utility.pose_and_expression(x) for x in (probes, plain)
    )
    out["pose_deg"] = _mean((pose - pose_before).abs().mean(1))
    out["expression"] = _mean((face - face_before).abs().mean(1))
    out["psnr_db"] = _mean(torch.from_numpy(np.minimum(utility.psnr(probes, plain), 99.0)))
    out["ssim"] = _mean(torch.from_numpy(utility.ssim(probes, plain)))
    looks = recogniser(SCORED_BY)
    others = _portraits("evaluation", 100).views()
    out["frechet"] = round(utility.realism(probes, others.rgb(), looks), 4)
    out["frechet_of_originals"] = round(utility.realism(plain, others.rgb(), looks), 4)
    return out | distances(probes, plain, views.identity)


def distances(probes: Tensor, plain: Tensor, identity: Tensor) -> dict[str, Any]:
    """Distances (L2 of unit vectors, 0 to 2) to the original, within and between people."""
    looks = recogniser(SCORED_BY)
    one, two = (looks.embed(x)[0] for x in (probes, plain))
    apart = torch.cdist(one, one)
    same = identity[:, None] == identity
    same_other = same & ~torch.eye(len(identity), dtype=torch.bool)
    return {
        "to_original": round(float((one - two).norm(dim=1).mean()), 4),
        "within_people": round(float(apart[same_other].mean()), 4),
        "between_people": round(float(torch.cdist(two, two)[~same].mean()), 4),
        "within_originals": round(float(torch.cdist(two, two)[same_other].mean()), 4),
    }


def _of(hits: np.ndarray, who: np.ndarray) -> list[float] | dict[str, str]:
    if len(hits) == 0:
        return abstain("no face was found before").stored()
    return share(hits, who).stored()


def _mean(values: Tensor) -> float:
    return round(float(values.double().mean()), 4)


@cache
def _portraits(group: str, count: int) -> faces.FaceDataset:
    plan = faces.LEARNING if group == "attacker" else faces.GALLERY
    return faces.face_dataset(
        faces.people(group, count), plan, folder=faces.cache_folder(), workers=1
    )


# Commands -----------------------------------------------------------------------------------------


def run(
    size: Size, target: Path, only: list[str] | None, every: bool, workers: int | None
) -> dict[str, Any]:
    """All that is missing; what is stored, with what was stored before of other defences."""
    for group, count in (("fresh", size.people), ("attacker", size.attackers), ("evaluation", 100)):
        _portraits(group, count)
    jobs = {key: (*entry, size) for key, entry in entries(only, every).items()}
    version = {"generator": GENERATOR_VERSION, "arena": VERSION, "size": asdict(size)}
    made = run_jobs(
        jobs,
        job,
        faces.cache_folder() / f"arena_{size.people}",
        version=version,
        workers=workers,
        desc="arena",
    )
    before = json.loads(target.read_text(encoding="utf-8")) if target.is_file() else {}
    kept = before.get("defences", {}) if before.get("size") == asdict(size) else {}
    facts = {
        "format": FORMAT,
        "generator": GENERATOR_VERSION,
        "command": "python benchmarks/studies/arena.py run",
        "cpu": cpu_name(),
        "size": asdict(size),
        "chance": round(1 / size.people, 6),
        "defences": {**kept, **made},
    }
    write_json(target, facts)
    return facts


def train_shared(what: str) -> None:
    """The regressor of pose and expression, or the space of made portraits."""
    if what == "regressor":
        group, count = "recogniser", 200
    else:
        group, count = "defender", 600
    cache = faces.cache_folder()
    learn = known_portraits(faces.people(group, count), folder=cache, progress=True)
    facts = {"people": count, "group": group, "portraits": len(learn)}
    if what == "regressor":
        made = utility.train_regressor(learn, progress=True)
        save_parts(path_of(utility.NAME), {"regressor": made}, facts)
    else:
        held = known_portraits(faces.people("evaluation", 40), folder=cache, progress=True)
        space = learn_face_space(learn, held.rgb())
        save_parts(path_of(domain.NAME), {"space": space}, facts)


def learn_face_space(portraits: KnownPortraits, held_back: Tensor) -> domain.FaceSpace:
    """Face space of portraits, bounded by pictures (N, 64, 64, 3) of other made people."""
    space = domain.FaceSpace()
    x = torch.cat([domain.small(one.rgb()) for one in (portraits, portraits.mirrored())])
    space.mean.copy_(x.mean(0))
    torch.manual_seed(0)
    _, _, v = torch.svd_lowrank(x - space.mean, q=domain.COMPONENTS + 8, niter=4)
    space.basis.copy_(v[:, : domain.COMPONENTS].T)
    space.most.copy_(MARGIN * space(held_back).max())
    return space


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("regressor", "domain", "run", "table", "chart"))
    parser.add_argument("--only", nargs="+", choices=NAMES, help="these defences alone")
    parser.add_argument("--all", action="store_true", help="every strength")
    parser.add_argument("--small", action="store_true", help="a few people; not stored")
    parser.add_argument("--workers", type=int, default=None)
    asked = parser.parse_args()
    target = faces.cache_folder() / "arena_small.json" if asked.small else STORED
    if asked.command in ("regressor", "domain"):
        train_shared(asked.command)
        return
    if asked.command == "run":
        run(LITTLE if asked.small else Size(), target, asked.only, asked.all, asked.workers)
    stored = json.loads(target.read_text(encoding="utf-8"))
    if asked.command == "chart":
        from privhead_nb.teach.lesson14.figures import chart

        chart(stored).savefig(target.with_suffix(".webp"), dpi=110)
        return
    print(table(stored))


if __name__ == "__main__":
    main()
