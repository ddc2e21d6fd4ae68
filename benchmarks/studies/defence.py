"""Is there a better protection? The leak beyond shape and the error, candidate by candidate.

    python benchmarks/studies/defence.py run          all: about an hour of one core
    python benchmarks/studies/defence.py run --small  four candidates on a few people; not stored
    python benchmarks/studies/defence.py table

`run` goes on where it stopped: finished jobs are kept in out/lab (PRIVHEAD_LAB). The result goes to
benchmarks/results/defence.json, or to out/lab/defence_small.json with --small.

Two questions are asked of each candidate (`defence_candidates.py`, `defence_learned.py`), each time
with attackers that learned anew on what it releases, all with the same budget:

1. *beyond shape*: are twins, made people of equal shape, told apart, and can their colours be read
   (`beyond_shape.py`)? And are people named in all, shape included?
2. *error*, where it leaks less: how far is a head from the truth that was reconstructed from it,
   over the default of the same person and seed (`defence_shape.py`)?

A candidate is found where at most half of the default's leak beyond shape is left, at errors of
distance and normals of at most 1.1 times the default's (`defence_front.py`); the rule was fixed
before. People are the development split "evaluation"; attackers learn on "attacker", the learned
candidates on "recogniser", since their portraits are made anyway and no attacker here sees them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.studies.beyond_shape import Study, beyond_shape
from benchmarks.studies.colour_reader import ReaderLearning
from benchmarks.studies.defence_candidates import (
    DEFAULT,
    OF_PICTURES,
    PLAIN,
    Candidate,
    fixed_candidates,
    noise,
    pigment_free_candidate,
)
from benchmarks.studies.defence_front import (
    RULE,
    finalists,
    found,
    leaks_less,
    table,
    table_of_finalists,
)
from benchmarks.studies.defence_leak import beyond_quickly, informed, named, named_by_classical
from benchmarks.studies.defence_learned import Teaching, flattened, local, pairs
from benchmarks.studies.defence_shape import STAGE_1, Person, in_one_reflectance, shape_errors
from benchmarks.studies.table2 import mean
from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.lab import faces
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.profiles import Profile, get_profile

FORMAT, VERSION = 1, 1
STORED = resources.RESULTS / "defence.json"
BOUNDS = (STAGE_1, OF_PICTURES)


BEYOND = Study()
TAUGHT = Teaching()


@dataclass(frozen=True)
class Size:
    """How large the search is."""

    names: tuple[str, ...] = ()  # of the candidates; all by default
    beyond: Study = BEYOND  # the attack beyond shape, as it is for the finalists
    further: int = 50  # its steps on every candidate, after those on the default
    from_nothing: int = 150  # its steps where two channels are released, and nothing was before
    attackers: int = 60  # people that the quick attacker learned from
    tested: int = 40  # people it is tried on
    defenders: int = 160  # people that the learned candidates learned from
    teaching: Teaching = TAUGHT
    people: int = 2  # who are reconstructed
    steps: int = 200  # of stage 2; all else is the profile "ci"
    finalists: int = 2
    people_at_end: int = 3  # who are reconstructed from the finalists
    steps_at_end: int = 500
    informed: int = 200  # people that the informed attacker learned from
    epochs: int = 6  # of the informed attacker
    seed: int = 0

    def profile(self, steps: int) -> Profile:
        """Of the reconstructions, with so many steps of stage 2."""
        ci = get_profile("ci")
        return replace(ci, name="defence", stage2=replace(ci.stage2, steps=steps))


LITTLE = Size(
    names=(DEFAULT, "noise-0.05", "log", "direction"),
    beyond=Study(2, 4, 2, ReaderLearning(steps=4, groups=2), 2, 2),
    further=2,
    from_nothing=2,
    attackers=12,
    tested=6,
    defenders=2,
    teaching=Teaching(steps=20, width=4),
    people=1,
    finalists=1,
    people_at_end=2,
    informed=12,
    epochs=1,
    steps=20,
    steps_at_end=20,
)
"""Does it run? A few minutes."""


@lru_cache(maxsize=1)
def defenders(size: Size) -> faces.FaceDataset:
    """Whom the learned candidates learned from, and no attacker."""
    who = faces.people("recogniser", size.defenders)
    return faces.face_dataset(who, faces.MANY, folder=faces.cache_folder(), workers=1)


@lru_cache(maxsize=1)
def candidates(size: Size) -> dict[str, Candidate]:
    """All candidates by name, the learned ones taught."""
    learn = partial(defenders, size)
    every = [
        *fixed_candidates(),
        pigment_free_candidate(*pairs(learn())),
        local(learn, size.teaching),
        flattened(learn, size.teaching),
        flattened(learn, size.teaching, noise(0.02)),
    ]
    return {c.name: c for c in every if not size.names or c.name in size.names}


# Jobs ---------------------------------------------------------------------------------------------


def leak_job(given: tuple[str, Size]) -> dict[str, Any]:
    """The quick attacker, and the leak beyond shape, of one candidate."""
    name, size = given
    candidate = candidates(size)[name]
    learn, test = attacked(size)
    few = size.from_nothing if candidate.channels > 1 else size.further
    return {
        "named": named_by_classical(candidate, learn, test),
        "beyond": beyond_quickly(candidate, size.beyond, few),
    }


def informed_job(given: tuple[str, Size]) -> dict[str, Any]:
    """The informed attacker, and the attack beyond shape in full, of one candidate."""
    name, size = given
    candidate = candidates(size)[name]
    everyone = faces.people("attacker", size.informed)
    learn = faces.face_dataset(everyone, faces.LEARNING, folder=faces.cache_folder(), workers=1)
    embed, protect = informed(candidate, learn.views(), size.epochs, size.seed)
    told = named(embed, protect, attacked(size)[1], drawn=candidate.spoil is not None)
    beyond = beyond_shape(candidate.release, study=size.beyond)
    return {"informed": told, "beyond": beyond}


def shape_job(given: tuple[int, str, Size, int]) -> dict[str, Any]:
    """Errors of one person's head, reconstructed from what one candidate releases."""
    identity, name, size, steps = given
    person = _person(identity, size.profile(steps), size.seed)
    if name == STAGE_1:
        return person.errors(person.run)
    if name == OF_PICTURES:
        flat = in_one_reflectance(person.scene, identity)
        return shape_errors(person, PLAIN, size.seed, flat)
    return shape_errors(person, candidates(size)[name], size.seed)


@lru_cache(maxsize=1)
def _person(identity: int, profile: Profile, seed: int) -> Person:
    return Person.of(_scene(identity), profile, seed)


@lru_cache(maxsize=1)
def _scene(identity: int) -> Scene:
    return synthetic_scene(identity)


@lru_cache(maxsize=1)
def attacked(size: Size) -> tuple[faces.FaceDataset, faces.FaceDataset]:
    """Portraits that the quick attacker learned from, and whom it is tried on."""
    learn, test = (
        faces.face_dataset(faces.people(group, count), plan, folder=faces.cache_folder(), workers=1)
        for group, count, plan in (
            ("attacker", size.attackers, faces.LEARNING),
            ("evaluation", size.tested, faces.GALLERY),
        )
    )
    return learn.views(), test


# The study ----------------------------------------------------------------------------------------


def run(size: Size, target: Path, command: str) -> dict[str, Any]:
    """All jobs that are missing; what is stored."""
    folder = faces.cache_folder() / "defence"
    version = {"generator": GENERATOR_VERSION, "study": VERSION, "size": asdict(size)}

    def jobs(kind: str, work: Any, asked: dict[str, Any]) -> dict[str, Any]:
        own = {**version, "kind": kind}
        return run_jobs(asked, work, folder / kind, version=own, workers=1, desc=kind)

    every = candidates(size)
    leaks = jobs("leak", leak_job, {name: (name, size) for name in every})
    able = [name for name in every if name == DEFAULT or leaks_less(leaks, name)]
    few, many = (faces.people("evaluation", n) for n in (size.people, size.people_at_end))
    asked = [*BOUNDS, *able]
    measured = jobs("shape", shape_job, _by_person(few, asked, size, size.steps))
    shape = {name: ratios(measured, few, name) for name in asked}
    best = finalists(leaks, shape, size.finalists)
    asked = [*BOUNDS, DEFAULT, *best]
    at_end = jobs("shape at end", shape_job, _by_person(many, asked, size, size.steps_at_end))
    told = jobs("informed", informed_job, {name: (name, size) for name in [DEFAULT, *best]})
    stored = {
        "format": FORMAT,
        "generator": GENERATOR_VERSION,
        "command": command,
        "cpu": cpu_name(),
        "seed": size.seed,
        "size": asdict(size),
        "rule": RULE,
        "candidates": {
            name: {
                "what": one.what,
                "pixels": one.size,
                **leaks[name],
                "shape": shape.get(name),
            }
            for name, one in every.items()
        },
        "bounds": {name: shape[name] for name in BOUNDS},
        "finalists": {
            name: {**told[name], "shape": ratios(at_end, many, name)} for name in [DEFAULT, *best]
        },
        "bounds_at_end": {name: ratios(at_end, many, name) for name in BOUNDS},
    }
    stored["found"] = found(stored)
    write_json(target, stored)
    return stored


def _by_person(
    people: Sequence[int], names: Sequence[str], size: Size, steps: int
) -> dict[str, Any]:
    """Jobs of one person together, who is made once."""
    return {f"{i} {name}": (i, name, size, steps) for i in people for name in names}


def ratios(measured: dict[str, Any], people: Sequence[int], name: str) -> dict[str, Any]:
    """Mean errors, and those over the default's of the same person, with 95 % intervals."""
    out: dict[str, Any] = {"people": len(people)}
    for key, ratio in (("chamfer_mm", "chamfer_ratio"), ("normals_deg", "normals_ratio")):
        own, plain = (
            np.array([measured[f"{i} {n}"][key] for i in people]) for n in (name, DEFAULT)
        )
        out[key], out[ratio] = (_interval(v, people) for v in (own, own / plain))
    return out


def _interval(values: Any, people: Sequence[int]) -> list[float]:
    if len(people) < 2:
        return [round(float(values.mean()), 4)] * 3
    known = mean(values, list(people))
    return [round(v, 4) for v in (known.value, known.low, known.high)]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--small", action="store_true", help="a few candidates; not stored")
    asked = parser.parse_args()
    target = faces.cache_folder() / "defence_small.json" if asked.small else STORED
    if asked.command == "run":
        command = "python benchmarks/studies/defence.py run" + " --small" * asked.small
        run(LITTLE if asked.small else Size(), target, command)
    stored = json.loads(target.read_text(encoding="utf-8"))
    print(table(stored), table_of_finalists(stored), sep="\n\n")


if __name__ == "__main__":
    main()
