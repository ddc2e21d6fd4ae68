"""G2Face at teaching scale: its training, and the paper's tables in kind.

    python benchmarks/studies/g2face.py train              40 minutes of one core; goes on
    python benchmarks/studies/g2face.py train --profile ci seconds, to try it
    python benchmarks/studies/g2face.py train --profile gpu a longer one
    python benchmarks/studies/g2face.py run                anonymised, recovered, read by others
    python benchmarks/studies/g2face.py ablate             Table VI, 15 minutes
    python benchmarks/studies/g2face.py table

Weights go to privhead_nb/deid/weights/g2face.safetensors, results to
benchmarks/results/g2face.json. It learned people of "defender", and its regressor of codes is that
of studies/ideudemon.py: `train` trains it first where it is missing; `run` and `ablate` take it,
and the parser, from the weights that ship. Tested are people of "fresh".
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies import g2face_figures as figures
from benchmarks.studies.deid import portraits
from benchmarks.studies.deid.g2face_prior import Variant
from benchmarks.studies.deid.g2face_training import JOINT, PRIOR, Training, train
from benchmarks.studies.deid.learning import Learning, save_parts
from benchmarks.studies.ideudemon import PROFILES, coarse_codes
from benchmarks.studies.ideudemon_figures import Tested, distances, named, used
from privhead_nb.bench.harness import cpu_name
from privhead_nb.deid import ideudemon
from privhead_nb.deid.g2face import NAME, G2Face, deidentifier
from privhead_nb.deid.stored import path_of
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.resources import RESULTS

STORED = RESULTS / "g2face.json"
TRAININGS = {
    "ci": Training(
        face_model=Learning(2, 8, 1e-3),
        population=Learning(2, 8, 1e-3),
        prior=Learning(2, 4, 1e-3),
        joint=Learning(2, 4, 1e-3),
    ),
    "cpu": Training(),
    "gpu": Training(
        prior=replace(PRIOR, steps=10_000, batch=32), joint=replace(JOINT, steps=60_000, batch=32)
    ),
}
SHORT = Training(prior=replace(PRIOR, steps=150), joint=replace(JOINT, steps=200))
"""Of each row of Table VI; the whole system is compared with itself at this length."""
VARIANTS = {
    "GENP": Variant(True, False, False),
    "GEOP": Variant(False, True, False),
    "IFF": Variant(False, False, True),
    "GEOP + IFF": Variant(False, True, True),
    "GENP + IFF": Variant(True, False, True),
    "GENP + GEOP": Variant(True, True, False),
    "GENP + GEOP + IFF": Variant(),
}
"""Prior of the decoder (trained before), geometric prior, feature fusion."""


def make(profile: str, target: Path, progress: bool = True) -> None:
    """Train and store; what is finished is kept."""
    people = faces.people(portraits.GROUP, PROFILES[profile].people)
    learn = portraits.known_portraits(people, folder=faces.cache_folder(), progress=progress)
    codes, _ = coarse_codes(profile, learn, progress)
    folder = faces.cache_folder() / f"{NAME}_{profile}"
    parts = train(codes, learn, folder, TRAININGS[profile], progress)
    facts = {"profile": profile, "people": len(people), "portraits": len(learn), "cpu": cpu_name()}
    save_parts(target, parts.named(), facts)


# Measuring ----------------------------------------------------------------------------------------


def run(tested: Tested) -> dict[str, Any]:
    """Tables I to V, the diversity plot and the attacks, in kind."""
    system = deidentifier()
    made = figures.Anonymised.of(system, tested.views.rgb())
    plain, hidden = made.plain, made.hidden
    parser = ideudemon.deidentifier().parser
    files = {"PNG": hidden} | {
        f"JPEG {quality}": figures.as_jpeg(hidden, quality) for quality in figures.QUALITIES
    }
    return {
        "people": len(tested.front),
        "pictures": len(plain),
        "anonymised": {
            "named": named(hidden, tested),
            "unprotected": named(plain, tested),
            "tar_at_far_0.001": figures.tar_at_far(hidden, tested),
            "unprotected_tar": figures.tar_at_far(plain, tested),
            "cosine": figures.cosines(hidden, plain),
            "distance": distances(hidden, tested.originals),
            **figures.detection(hidden, plain),
            **used(hidden, plain),
            **_codes_apart(system, hidden, plain),
        },
        "recovery": {name: figures.recovery(system, made, file) for name, file in files.items()},
        "leak": figures.leak(system, made),
        "keys": figures.keys(system, plain),
        "outsider": figures.outsider(system, made, tested),
        "without_password": figures.without_password(system, made, tested),
        "untouched": figures.hair_and_background(parser, made, tested),
        "strengths": _strengths(system, tested),
        "diversity": figures.diversity(system, plain),
        "seconds_a_hundred": _seconds(system, plain),
    }


@torch.no_grad()
def _codes_apart(system: G2Face, hidden: Tensor, plain: Tensor) -> dict[str, float]:
    """Shape of Table III: by the regressor of codes, which took part in training."""
    (one, _), (two, _) = system.parts.geometry(hidden), system.parts.geometry(plain)
    return {"shape_l2": round(float((one.identity - two.identity).norm(dim=1).mean()), 4)}


def _strengths(system: G2Face, tested: Tested) -> dict[str, Any]:
    """Rank-1 and cosine to the original over the way to the dummy."""
    out = {}
    for strength in system.strengths:
        random = torch.Generator().manual_seed(9)
        made = figures.saved(system(tested.views.rgb(), strength, random))
        out[f"{strength:g}"] = {
            "named": named(made, tested), "cosine": figures.cosines(made, tested.views.rgb())
        }  # fmt: skip
    return out


def _seconds(system: G2Face, plain: Tensor) -> dict[str, float]:
    began = time.perf_counter()
    hidden = system(plain[:100], 1.0, torch.Generator().manual_seed(0))
    between = time.perf_counter()
    system.recover(figures.saved(hidden))
    return {"anonymise": round(between - began, 2),
            "recover": round(time.perf_counter() - between, 2)}  # fmt: skip


def ablate(tested: Tested, progress: bool = True) -> dict[str, Any]:
    """Table VI: systems of SHORT training with and without each proposal; what is done is kept."""
    people = faces.people(portraits.GROUP, PROFILES["cpu"].people)
    learn = portraits.known_portraits(people, folder=faces.cache_folder())
    codes = ideudemon.deidentifier().regressor
    rows = {}
    for name, variant in VARIANTS.items():
        folder = faces.cache_folder() / f"{NAME}_short" / name.replace(" + ", "_")
        parts = train(codes, learn, folder, replace(SHORT, variant=variant), progress)
        for part in parts.named().values():
            part.requires_grad_(False)
        rows[name] = figures.ablation_row(G2Face(parts), tested)
    return {"steps": [SHORT.prior.steps, SHORT.joint.steps], "variants": rows}


def table(found: dict[str, Any]) -> str:
    """Recovery, and Table VI where it was made, as Markdown."""
    rows = []
    for name, row in found["recovery"].items():
        known = "cosine" in row
        rows.append(
            [name, f"{row['bit_error']:.5f}", f"{100 * row['recovered'][0]:.0f} %"]
            + [f"{row['cosine'][n]:.2f}" if known else "-" for n in _names(found)]
            + [f"{row[k]:.{d}f}" if known else "-" for k, d in (("psnr_db", 1), ("ssim", 3))]
        )
    heads = ["saved as", "bit error", "recovered", *_names(found), "PSNR", "SSIM"]
    parts = [_markdown(heads, rows)]
    if "table_6" in found:
        names = ["anonymised", "recovered"]
        rows = [
            [name]
            + [f"{np.mean(list(row[k].values())):.3f}" for k in names]
            + [f"{row[k]:.3f}" for k in ("recovered_psnr_db", "frechet", "pose_deg", "expression")]
            for name, row in found["table_6"]["variants"].items()
        ]
        heads = ["variant", "cosine anonymised", "cosine recovered", "PSNR recovered", "Frechet",
                 "pose, deg", "expression"]  # fmt: skip
        parts.append(_markdown(heads, rows))
    return "\n\n".join(parts)


def _names(found: dict[str, Any]) -> list[str]:
    return list(found["anonymised"]["cosine"])


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("train", "run", "ablate", "table"))
    parser.add_argument("--profile", choices=tuple(TRAININGS), default="cpu")
    parser.add_argument("--people", type=int, default=100)
    asked = parser.parse_args()
    if asked.command == "train":
        make(asked.profile, path_of(NAME) if asked.profile != "ci" else Path("out/g2face_ci.st"))
        return
    if asked.command != "table":
        before = json.loads(STORED.read_text(encoding="utf-8")) if STORED.is_file() else {}
        head = {"format": 1, "generator": GENERATOR_VERSION, "cpu": cpu_name(), "seed": 0,
                "command": "python benchmarks/studies/g2face.py run, then ablate"}  # fmt: skip
        tested = Tested.of(asked.people)
        found = run(tested) if asked.command == "run" else {"table_6": ablate(tested)}
        write_json(STORED, {**before, **head, **found})
    print(table(json.loads(STORED.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
