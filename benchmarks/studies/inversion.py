"""Prior-free inversion of moduli: the faces it is tried on, and how the operator moves its score.

    python benchmarks/studies/inversion.py faces      24 made heads in two lights (4 minutes)
    python benchmarks/studies/inversion.py run        the attack on eight of them; half an hour
    python benchmarks/studies/inversion.py table      what is stored

writes benchmarks/results/faces.safetensors and, in benchmarks/results, inversion.json (scores) and
inversion.safetensors (guesses). `run` goes on where it stopped. Every run is named by its setting,
person and seed, which set all that is random in it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from privhead_nb.files import atomic_file, write_json
from privhead_nb.heads.grid import marching_cubes
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import light_code
from privhead_nb.heads.synthetic import bounding_sphere
from privhead_nb.heads.tracer import render
from privhead_nb.lab.attacks.prior_free import Descent, interior, invert, signed_gradients, suited
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.camera import make_rig
from privhead_nb.scenes.images import resize_area
from privhead_nb.teach.lesson06.scores import up_to_colours, up_to_constant_and_sign

FACES, RUNS = RESULTS / "faces.safetensors", RESULTS / "inversion.json"
GUESSES = RESULTS / "inversion.safetensors"
PEOPLE, SIZE = 24, 64
ATTACKED, AGAIN, STARTS = 8, 4, 3  # people with seed 0, with seed 1; starts of a run
SHOWN = 4  # people whose guesses are kept as pictures, of seed 0
LIGHTS = ("studio", "left")


def make_faces() -> None:
    """Front pictures of `PEOPLE` heads in `LIGHTS`: (people, lights, size, size, 3), 8 bit."""
    pictures = torch.zeros(PEOPLE, len(LIGHTS), SIZE, SIZE, 3, dtype=torch.uint8)
    for person in tqdm(range(PEOPLE), desc="faces"):
        head = make_head(person)
        center, _ = bounding_sphere(marching_cubes(head.grid)[0])
        cameras, _, _ = make_rig("facescape", 0, 1, size=SIZE, center=center)
        for number, light in enumerate(LIGHTS):
            lit = replace(head, light=light_code(light))
            lit.__dict__["grid"] = head.grid  # the shape is the same: made once
            image = render(lit, cameras).images[0]
            pictures[person, number] = (image * 255).round().to(torch.uint8)
    with atomic_file(FACES) as aside:
        save_file({"front": pictures}, str(aside))


# One thing at a time; the rest is Sobel on 48 x 48 pixels in front of a white that is known.
SETTINGS: dict[str, dict[str, Any]] = {
    "as released": {},
    "signed gradients": {"signed": True},
    "another's modulus": {"other": True},
    "background unknown": {"descent": {"background": None}},
    "luma only": {"operator": {"per_channel": False}},
    "noise 0.01": {"operator": {"noise": 0.01}},
    "noise 0.03": {"operator": {"noise": 0.03}},
    "noise 0.1": {"operator": {"noise": 0.1}},
    "64 levels": {"operator": {"levels": 64}},
    "16 levels": {"operator": {"levels": 16}},
    "8 levels": {"operator": {"levels": 8}},
    "blur 0.5": {"operator": {"blur": 0.5}},
    "blur 1": {"operator": {"blur": 1.0}},
    "blur 2": {"operator": {"blur": 2.0}},
    "32 pixels": {"size": 32},
    "64 pixels": {"size": 64},
}


def face(person: int, size: int) -> Tensor:
    """(size, size, 3) of a person in the first light."""
    stored = load_file(FACES)["front"][person, 0].numpy().astype(np.float32) / 255
    return torch.from_numpy(resize_area(stored, size, size))


def attack(setting: str, person: int, seed: int) -> tuple[dict[str, Any], Tensor]:
    """One run: its scores, and the guess (size, size, 3)."""
    how = SETTINGS[setting]
    size, operator = how.get("size", 48), Operator(**how.get("operator", {}))
    truth = face(person, size)
    shown = face((person + 1) % ATTACKED, size) if how.get("other") else truth
    generator = torch.Generator().manual_seed(1000 * seed + person)
    descent: Descent = suited(operator, starts=STARTS, seed=seed, **how.get("descent", {}))
    gx, gy = signed_gradients(truth[None], operator)
    found = invert(
        operator.protect(shown, generator),
        operator,
        descent,
        signed=(gx[0], gy[0]) if how.get("signed") else None,
    )
    plain = Operator()
    where = interior(plain.modulus(truth), plain, depth=round(size / 16))
    scores = [up_to_colours(guess, truth, where).explained for guess in found.guesses]
    grey = up_to_constant_and_sign(found.guess.mean(-1), truth.mean(-1), where).explained
    row = {
        "setting": setting,
        "person": person,
        "seed": seed,
        "residual": round(found.residual, 6),
        "explained": round(scores[int(found.residuals.argmin())], 4),
        "explained_grey": round(grey, 4),
        "explained_best_start": round(max(scores), 4),
    }
    return row, found.guess


def wanted() -> list[tuple[str, int, int]]:
    """All runs: setting, person, seed."""
    seeds = [(person, 0) for person in range(ATTACKED)] + [(person, 1) for person in range(AGAIN)]
    return [(setting, person, seed) for person, seed in seeds for setting in SETTINGS]


def run() -> None:
    """All runs that are not stored yet."""
    torch.set_num_threads(1)
    rows = json.loads(RUNS.read_text())["rows"] if RUNS.is_file() else []
    pictures = dict(load_file(GUESSES)) if GUESSES.is_file() else {}
    done = {(r["setting"], r["person"], r["seed"]) for r in rows}
    for setting, person, seed in tqdm([w for w in wanted() if w not in done], desc="runs"):
        row, guess = attack(setting, person, seed)
        rows.append(row)
        if seed == 0 and person < SHOWN:
            pictures[f"{setting}, {person}"] = (guess * 255).round().to(torch.uint8)
            with atomic_file(GUESSES) as aside:
                save_file(pictures, str(aside))
        settings = {"descent": asdict(suited(Operator(), starts=STARTS)), "settings": SETTINGS}
        write_json(
            RUNS,
            {"command": "python benchmarks/studies/inversion.py run", **settings, "rows": rows},
        )


def table() -> str:
    """Median and quartiles of each setting, over people and seeds."""
    rows = json.loads(RUNS.read_text())["rows"]
    lines = []
    for setting in SETTINGS:
        found = [r["explained"] for r in rows if r["setting"] == setting]
        if found:
            low, middle, high = np.percentile(found, [25, 50, 75])
            lines.append(f"{setting:>20}  {len(found):>3}  {low:6.2f} {middle:6.2f} {high:6.2f}")
    return "\n".join(lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("faces", "run", "table"))
    command = parser.parse_args().command
    if command == "faces":
        make_faces()
    elif command == "run":
        run()
    else:
        print(table())


if __name__ == "__main__":
    main()
