"""IDeudemon at teaching scale: its training, and the paper's figures in kind.

    python benchmarks/studies/ideudemon.py train              40 minutes of one core; goes on
    python benchmarks/studies/ideudemon.py train --profile ci seconds, to try it
    python benchmarks/studies/ideudemon.py train --profile gpu a longer one
    python benchmarks/studies/ideudemon.py run                Fig. 4, Table 1, special attacks
    python benchmarks/studies/ideudemon.py ablate             Table 2, short trainings
    python benchmarks/studies/ideudemon.py table

Weights go to privhead_nb/deid/weights/ideudemon.safetensors, results to
benchmarks/results/ideudemon.json. It learned people of "defender"; tested are people of "fresh".
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.deid import portraits
from benchmarks.studies.deid.ideudemon_step1 import (
    NERF,
    NERF_SHARPER,
    REGRESSOR,
    train_codes,
    train_nerf,
)
from benchmarks.studies.deid.ideudemon_step2 import RESTORER, train_restorer
from benchmarks.studies.deid.learning import Learning, save_parts
from benchmarks.studies.ideudemon_figures import Tested, ablations, figure_4, special, tables
from privhead_nb.bench.harness import cpu_name
from privhead_nb.deid.ideudemon import NAME, deidentifier
from privhead_nb.deid.ideudemon.codes import CoarseRegressor, Parser
from privhead_nb.deid.stored import path_of
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.resources import RESULTS

STORED = RESULTS / "ideudemon.json"


@dataclass(frozen=True)
class Profile:
    """How long the networks learn, and from whom."""

    people: int
    regressor: Learning
    nerf: Learning
    sharper: Learning
    restorer: Learning


_FEW = Learning(2, 2, 1e-3)
PROFILES = {
    "ci": Profile(4, Learning(4, 8, 1e-3), _FEW, _FEW, _FEW),
    "cpu": Profile(120, REGRESSOR, NERF, NERF_SHARPER, RESTORER),
    "gpu": Profile(
        600,
        replace(REGRESSOR, steps=20_000, batch=128),
        replace(NERF, steps=30_000, batch=32),
        NERF_SHARPER,
        replace(RESTORER, steps=20_000, batch=32),
    ),
}


def coarse_codes(
    profile: str, learn: portraits.KnownPortraits, progress: bool = True
) -> tuple[CoarseRegressor, Parser]:
    """The regressor of codes and the parser, which `studies/g2face.py` takes too."""
    folder = faces.cache_folder() / f"coarse_codes_{profile}"
    return train_codes(learn, folder, PROFILES[profile].regressor, progress)


def train(profile: str, target: Path, progress: bool = True) -> None:
    """All three networks, one after the other; what is finished is kept."""
    how = PROFILES[profile]
    folder = faces.cache_folder() / f"{NAME}_{profile}"
    people = faces.people(portraits.GROUP, how.people)
    learn = portraits.known_portraits(people, folder=faces.cache_folder(), progress=progress)
    began = time.perf_counter()
    regressor, parser = coarse_codes(profile, learn, progress)
    nerf = train_nerf(learn, folder, how.nerf, how.sharper, progress).requires_grad_(False)
    restorer = train_restorer(learn, nerf, parser, folder, how.restorer, progress=progress)
    facts = {
        "profile": profile,
        "people": how.people,
        "portraits": len(learn),
        "seconds_of_the_last_call": round(time.perf_counter() - began),
        "cpu": cpu_name(),
    }
    parts = {"regressor": regressor, "parser": parser, "nerf": nerf, "restorer": restorer}
    save_parts(target, parts, facts)


def store(part: str, found: dict[str, Any]) -> None:
    """Put a part of the results into the stored file."""
    known = json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}
    head = {"format": 1, "generator": GENERATOR_VERSION, "cpu": cpu_name(), "seed": 0}
    write_json(STORED, {**known, **head, part: found})


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("train", "run", "ablate", "table"))
    parser.add_argument("--profile", choices=tuple(PROFILES), default="cpu")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--draws", type=int, default=10)
    asked = parser.parse_args()
    if asked.command == "train":
        out = path_of(NAME) if asked.profile != "ci" else Path("out/ideudemon_ci.safetensors")
        train(asked.profile, out)
        return
    if asked.command == "run":
        tested = Tested.of(asked.people)
        system = deidentifier()
        store("figure_4", figure_4(system, tested, asked.draws))
        store("special", special(system, tested, asked.draws))
    if asked.command == "ablate":
        store("table_2", ablations(Tested.of(asked.people), PROFILES[asked.profile].people))
    print(tables(json.loads(STORED.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
