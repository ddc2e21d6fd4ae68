"""Samples of a diffusion model under the guidance of moduli: do they differ in identity?

    python benchmarks/studies/diffusion.py run      train, draw, judge; profile "cpu": minutes
    python benchmarks/studies/diffusion.py table    what is stored

writes benchmarks/results/diffusion.json. `--profile gpu` has the sizes of a real study. `--small`
is for machines that test: two people, few steps, stored in out/lab (PRIVHEAD_LAB) only.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies import diffusion_model as diffusion
from benchmarks.studies.diffusion_model import spread
from benchmarks.studies.guessed import judges, quartiles, rate_lines, recognised
from privhead_nb import resources
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.framing import resized
from privhead_nb.lab.recognisers.stored import NAMES
from privhead_nb.privacy.operators import Operator

RESULTS = resources.RESULTS / "diffusion.json"
VERSION = {"generator": GENERATOR_VERSION, "diffusion": 1}


def run(asked: argparse.Namespace) -> dict[str, Any]:
    """Train a model on the attacker's portraits; draw for one view of each person."""
    how = diffusion.PROFILES["ci" if asked.small else asked.profile]
    how = replace(how, steps=asked.steps or how.steps, guidance=asked.guidance or how.guidance)
    folder = faces.cache_folder()
    album = faces.face_dataset(
        faces.people("attacker", 12 if asked.small else asked.learned),
        faces.LEARNING, folder=folder, progress=True,
    ).views()  # fmt: skip
    began = time.process_time()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    people = len(torch.unique(album.identity))
    model = diffusion.train(album.rgb(), people, how, device=device, progress=True)
    learned = time.process_time() - began
    tested = faces.face_dataset(
        faces.people("evaluation", 12 if asked.small else 100),
        faces.GALLERY, folder=folder, progress=True,
    )  # fmt: skip
    gallery, views = tested.frontals(), tested.views()
    chosen = []  # each person's view nearest to the front: not the gallery's picture
    for person in faces.people("evaluation", asked.people):
        own = (views.identity == person).nonzero()[:, 0]
        chosen.append(int(own[views.yaw[own].abs().argmin()]))
    shown = views.only(torch.tensor(chosen))
    truth, who = resized(shown.rgb(), how.size), shown.identity
    operator = Operator()
    moduli = operator.protect(truth)
    looking = judges(asked.judges, small=asked.small)
    if asked.small:  # bare pixels need one size
        gallery = replace(gallery, pictures=_small(gallery.pictures, how.size))
    found: dict[str, Any] = {
        "settings": asdict(how),
        "card": asdict(diffusion.card(model)),
        "losses": model.losses,
        "cpu_seconds_of_learning": round(learned, 1),
        "true pictures as small": {"recognisers": recognised(truth, who, gallery, looking)},
    }
    for name, guidance in (("guided", None), ("without guidance", 0.0)):
        began = time.process_time()
        drawn = diffusion.sample(
            model, operator, moduli.repeat_interleave(how.samples, 0), guidance=guidance,
            progress=True,
        )  # fmt: skip
        rows = []
        for n, samples in enumerate(drawn.split(how.samples)):
            others = truth[torch.arange(len(truth)) != n]
            how_different = spread(samples, truth[n], others, looking[0], operator, moduli[n])
            row = {measure: round(v, 4) for measure, v in how_different.items()}
            rows.append({"person": int(who[n])} | row)
        owners = who.repeat_interleave(how.samples)
        found[name] = {"recognisers": recognised(drawn, owners, gallery, looking), "rows": rows}
        for measure in ("among", "to_truth", "to_others", "colour", "pattern", "misfit"):
            found[name][measure] = quartiles([r[measure] for r in rows])
        found[name]["cpu_seconds"] = round(time.process_time() - began, 1)
    return found


def _small(pictures: torch.Tensor, size: int) -> torch.Tensor:
    """(N, 3, H, H, 3) uint8 of another size."""
    flat = resized(pictures.flatten(0, 1).float() / 255, size)
    return flat.mul(255).round().byte().reshape(*pictures.shape[:2], size, size, 3)


def table(stored: dict[str, Any]) -> str:
    """Rates, and how samples differ."""
    lines = []
    for name in ("true pictures as small", "guided", "without guidance"):
        found = stored.get(name, {})
        lines += rate_lines("diffusion", name, found.get("recognisers", {}))
        if "among" in found:
            facts = (f"{m} {found[m][1]:.3f}" for m in ("among", "to_truth", "to_others"))
            more = (f"{m} {found[m][1]:.3f}" for m in ("colour", "pattern", "misfit"))
            lines.append(f"{'':>10}  medians: {', '.join(facts)}; {', '.join(more)}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--people", type=int, default=10, help="attacked, of 100 in the gallery")
    parser.add_argument("--learned", type=int, default=200, help="whom the model learns from")
    parser.add_argument("--profile", choices=diffusion.PROFILES, default="cpu")
    parser.add_argument("--steps", type=int, default=0, help="of training; 0: the profile's")
    parser.add_argument("--guidance", type=float, default=0.0, help="0: the profile's")
    parser.add_argument("--judges", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    if asked.small:
        asked.people = 2
        small = faces.cache_folder() / "diffusion_small.json"
        asked.results = asked.results if asked.results != RESULTS else small
    torch.set_num_threads(1)
    if asked.command == "run":
        line = f"python benchmarks/studies/diffusion.py run --people {asked.people}"
        line += f" --profile {asked.profile}" + (f" --steps {asked.steps}" if asked.steps else "")
        write_json(asked.results, VERSION | {"command": line} | run(asked))
    print(table(json.loads(asked.results.read_text()) if asked.results.is_file() else {}))


if __name__ == "__main__":
    main()
