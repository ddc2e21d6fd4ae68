"""3D-aware de-identification at teaching scale: its training, the paper's tables, its attack.

    python benchmarks/studies/aware3d.py train               goes on where it stopped
    python benchmarks/studies/aware3d.py train --profile ci  seconds, to try it
    python benchmarks/studies/aware3d.py train --profile gpu a longer one
    python benchmarks/studies/aware3d.py run                 Fig. 4, Tables 1 to 3, linkability
    python benchmarks/studies/aware3d.py table

The generator starts from the field that studies/ideudemon.py trains (40 minutes of one core), which
`train` makes where it is missing. Weights go to privhead_nb/deid/weights/aware3d.safetensors,
results to benchmarks/results/aware3d.json. It learned people of "defender"; tested are people of
"fresh". `run --group evaluation` measures those whom recipes are chosen by, and stores nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.aware3d_figures import measured, tables, tested_of
from benchmarks.studies.deid import portraits
from benchmarks.studies.deid.aware3d_generator import (
    GENERATOR,
    PARSER,
    train_generator,
    train_parser,
)
from benchmarks.studies.deid.aware3d_mapper import (
    INVERSION,
    STAGE_1,
    STAGE_2,
    of_portraits,
    train_inversion,
    train_stage_1,
    train_stage_2,
)
from benchmarks.studies.deid.ideudemon_step1 import NERF, train_field
from benchmarks.studies.deid.learning import Learning, save_parts
from privhead_nb.bench.harness import cpu_name
from privhead_nb.deid.aware3d import NAME, Networks, deidentifier
from privhead_nb.deid.aware3d.examples import Examples, of_generator
from privhead_nb.deid.aware3d.style_nerf import StyleNerf
from privhead_nb.deid.stored import path_of
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.resources import RESULTS

STORED = RESULTS / "aware3d.json"


@dataclass(frozen=True)
class Profile:
    """How long the networks learn, and from whom."""

    people: int  # of whom there are portraits
    further: int  # of whom the generator makes two pictures each
    field: Learning
    generator: Learning
    parser: Learning
    inversion: Learning
    stage_1: Learning
    stage_2: Learning


_FEW = Learning(2, 2, 1e-3)
PROFILES = {
    "ci": Profile(3, 2, _FEW, _FEW, _FEW, _FEW, replace(_FEW, steps=3), _FEW),
    "cpu": Profile(600, 1500, NERF, GENERATOR, PARSER, INVERSION, STAGE_1, STAGE_2),
    "gpu": Profile(
        600,
        6000,
        replace(NERF, steps=30_000, batch=32),
        replace(GENERATOR, steps=30_000, batch=32),
        replace(PARSER, steps=5000),
        replace(INVERSION, steps=20_000),
        replace(STAGE_1, steps=20_000),
        replace(STAGE_2, steps=20_000),
    ),
}


def train(profile: str, target: Path, progress: bool = True) -> None:
    """All networks, one after the other; what is finished is kept."""
    how, cache = PROFILES[profile], faces.cache_folder()
    folder = cache / f"{NAME}_{profile}"
    people = faces.people(portraits.GROUP, how.people)
    plain = portraits.known_portraits(people, folder=cache, progress=progress)
    learn = portraits.KnownPortraits.join([plain, plain.mirrored()])
    began = time.perf_counter()
    field = train_field(learn, cache / f"ideudemon_{profile}", how.field, progress)
    nerf = train_generator(learn, field, folder, how.generator, progress)
    parser = train_parser(learn, folder, how.parser, progress)
    examples = examples_of(nerf, learn, how.further, folder)
    networks = Networks(nerf, parser)
    train_inversion(of_portraits(learn), networks, folder, how.inversion, progress)
    train_stage_1(examples, networks, folder, how.stage_1, progress=progress)
    train_stage_2(examples, networks, folder, how.stage_2, progress=progress)
    facts = {
        "profile": profile,
        "people": how.people,
        "portraits": len(learn),
        "further": how.further,
        "seconds_of_the_last_call": round(time.perf_counter() - began),
        "cpu": cpu_name(),
    }
    save_parts(target, vars(networks), facts)


def examples_of(
    nerf: StyleNerf,
    learn: portraits.KnownPortraits,
    further: int,
    folder: Path,
) -> Examples:
    """Known portraits, and pictures of `further` people whom nobody rendered; made once."""
    file = folder / "examples.safetensors"
    if file.is_file():
        return Examples.load(file)
    first = faces.people(portraits.GROUP, 1)[0] + len(torch.unique(learn.identity))
    others = of_generator(nerf, range(first, first + further), 2, torch.Generator().manual_seed(0))
    both = Examples.join([of_portraits(learn), others])
    both.save(file)
    return both


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("train", "run", "table"))
    parser.add_argument("--profile", choices=tuple(PROFILES), default="cpu")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--group", choices=("fresh", "evaluation"), default="fresh")
    asked = parser.parse_args()
    if asked.command == "train":
        train(
            asked.profile,
            path_of(NAME) if asked.profile != "ci" else Path("out/aware3d_ci.safetensors"),
        )
        return
    if asked.command == "run":
        found = measured(deidentifier(), tested_of(asked.group, asked.people))
        facts = {
            "format": 1,
            "generator": GENERATOR_VERSION,
            "command": "python benchmarks/studies/aware3d.py run",
            "cpu": cpu_name(),
            "seed": 0,
            "group": asked.group,
            **found,
        }
        if asked.group != "fresh":
            print(tables(facts))
            return
        write_json(STORED, facts)
    print(tables(json.loads(STORED.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
