"""What larger moduli cost in privacy: the same pictures released at 64, 128 and 256 pixels.

    python benchmarks/studies/larger_moduli.py run          20 minutes of one core
    python benchmarks/studies/larger_moduli.py table

Made people are drawn once at 256 pixels; smaller releases are made of area means, as `protect`
makes them. An attacker who has the operator learns from ATTACKER people's portraits ("parrot
attack", Newton et al. 2005) and names TESTED others, one frontal picture each in the gallery,
PROBES views with another expression and light each. Two attackers, from the start for each release:
HOG and pixels with LDA, and the lab's network, which sees a larger picture as several of 64 pixels
(pixel unshuffle), so that all sizes cost it the same. Whoever has releases of two sizes gives it
both. "64 apart" is a release of the two lengths whose sum the modulus is (eq. 6), along x and along
y, which our format doesn't have; only the network sees it. Unprotected pictures are the positive
control. Results go to benchmarks/results/larger_moduli.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import mean
from typing import Any

import joblib
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.arena_attacks import Sides, rates
from benchmarks.studies.reconstruction import machine
from privhead_nb.files import write_json
from privhead_nb.heads.codes import EXPRESSION_NAMES, GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.heads.light import LIGHTS
from privhead_nb.kernels.gradient_loss import gradient_modulus
from privhead_nb.lab import faces
from privhead_nb.lab.attacks.parrot import classical_parrot
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.fit import fit_identities
from privhead_nb.lab.framing import cameras_at, random_expression, random_light, resized
from privhead_nb.lab.raster import rasterize, surface_mesh
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.network import ArcFace, FaceNetwork
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import RESULTS

STORED = RESULTS / "larger_moduli.json"
LARGEST, ATTACKER, VIEWS, TESTED, PROBES = 256, 200, 8, 100, 4
SEEDS, EPOCHS, BATCH, RATE, SHIFT = (0,), 24, 64, 3e-3, 3  # SHIFT in pixels of 64
RELEASES: dict[str, tuple[int, ...]] = {
    "64": (64,),
    "128": (128,),
    "256": (256,),
    "64 and 128": (64, 128),
    "64 and 256": (64, 256),
}
OPERATOR = Operator()


def portraits(identity: int, tested: bool) -> Any:
    """(V, 256, 256, 3) uint8: the frontal picture and the probes, or an attacker's views."""
    random = torch.Generator().manual_seed(700_001 + identity)
    yaw, low, high = (45.0, -10.0, 15.0) if tested else (60.0, -20.0, 40.0)
    turns = torch.rand(PROBES if tested else VIEWS, 2, generator=random).tolist()
    views = [(1, yaw * (2 * a - 1), low + (high - low) * b) for a, b in turns]
    sessions = [(random_expression(random), views)]
    if tested:
        sessions.insert(0, (torch.zeros(len(EXPRESSION_NAMES)), [(0, 0.0, 0.0)]))
    made = []
    for expression, angles in sessions:
        body = surface_mesh(make_head(identity, expression=expression))
        seen = rasterize(body, cameras_at(angles, random).resized(LARGEST, LARGEST))
        lights = [random_light(random) if role else LIGHTS["studio"] for role, _, _ in angles]
        made.append(seen.pictures(torch.stack(lights)).mul(255).round().byte())
    return torch.cat(made).numpy()


def group(name: str, count: int, tested: bool) -> tuple[Tensor, Tensor]:
    """Pictures (N, V, 256, 256, 3) uint8 of a group's people, kept, and who they are."""
    kept = joblib.Memory(faces.cache_folder() / "larger_moduli", verbose=0).cache(portraits)
    who = faces.people(name, count)
    return torch.from_numpy(np.stack([kept(i, tested) for i in who])), torch.tensor(who)


def at_sizes(pictures: Tensor) -> dict[int, Tensor]:
    """(N, 256, 256, 3) uint8 as it is and in area means, by size."""
    sizes = {size for release in RELEASES.values() for size in release}
    parts = {size: [resized(x.float() / 255, size) for x in pictures.split(64)] for size in sizes}
    return {
        size: torch.cat([x.mul(255).round().byte() for x in some]) for size, some in parts.items()
    }


def lengths(pictures: Tensor) -> Tensor:
    """|dx| and |dy| over the colours: (N, H, H, 3) in [0, 1] -> (N, H, H, 2)."""
    r = OPERATOR.reach
    padded = F.pad(OPERATOR.channels(pictures), (r, r, r, r), mode="reflect")
    kx, ky = OPERATOR.kernels()
    pairs = ((kx, torch.zeros_like(ky)), (torch.zeros_like(kx), ky))
    return torch.stack([gradient_modulus(padded, *pair) for pair in pairs], -1)


def seen_by_network(pictures: list[Tensor], shown: str) -> Tensor:
    """(N, H, H, 3) in [0, 1] of each size -> what a network is shown, (N, C, 56, 40).

    `shown` is "modulus", "apart" or "colours".
    """
    parts = []
    for x in pictures:
        times = x.shape[1] // 64
        if shown == "modulus":
            x = OPERATOR.protect(x)[..., None] / (0.25 * OPERATOR.peak)
        elif shown == "apart":
            x = lengths(x) / (0.25 * OPERATOR.peak)
        parts.append(F.pixel_unshuffle(x.movedim(-1, 1), times))
    return head_crop(torch.cat(parts, 1).movedim(1, -1))


def network(pictures: list[Tensor], who: Tensor, shown: str, seed: int) -> FaceNetwork:
    """Trained on (N, H, H, 3) uint8 of each size, of people (N,), moved, mirrored and lit anew."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    numbers, place = torch.unique(who, return_inverse=True)

    def batch() -> tuple[list[Tensor], list[Tensor]]:
        rows = torch.randint(len(who), (BATCH,), generator=random)
        mirrored = torch.rand(BATCH, generator=random) < 0.5
        shift = torch.randint(-SHIFT, SHIFT + 1, (BATCH, 2), generator=random)
        gain = 1 + 0.3 * (torch.rand(BATCH, 1, 1, 1, generator=random) - 0.5)
        drawn = []
        for some in pictures:
            x, at = some[rows], torch.arange(some.shape[1])
            x = torch.where(mirrored[:, None, None, None], x.flip(2), x)
            moved = shift * (len(at) // 64)  # the same for all sizes
            down, across = ((at - moved[:, k, None]) % len(at) for k in (0, 1))
            x = x[torch.arange(BATCH)[:, None, None], down[:, :, None], across[:, None]]
            drawn.append((1 - gain * (1 - x.float() / 255)).clamp(0, 1))  # white stays white
        return [seen_by_network(drawn, shown)], [place[rows] + len(numbers) * mirrored]

    each = {"modulus": 1, "apart": 2, "colours": 3}[shown]
    channels = sum(each * (x.shape[1] // 64) ** 2 for x in pictures)
    made, steps = FaceNetwork(channels), EPOCHS * (len(who) // BATCH)
    fit_identities([made], ArcFace(2 * len(numbers)), batch, steps, rate=RATE, desc="parrot")
    return made


def run() -> None:
    """Train and measure what is not stored yet."""
    learned, others = group("attacker", ATTACKER, False)
    tested, people = group("fresh", TESTED, True)
    others = others.repeat_interleave(VIEWS)
    learn, known = at_sizes(learned.flatten(0, 1)), at_sizes(tested[:, 0])
    probes = at_sizes(tested[:, 1:].flatten(0, 1))
    small = known[64]
    sides = Sides(probes[64], people.repeat_interleave(PROBES), small, small, people)
    found = stored()

    def keep(key: str, row: dict[str, Any]) -> None:
        found["rates"][key] = row
        write_json(STORED, found)
        print(key, row, flush=True)

    ways = [(name, sizes, "modulus") for name, sizes in RELEASES.items()]
    ways += [("64 apart", (64,), "apart")]
    ways += [(f"unprotected {size}", (size,), "colours") for size in (64, 256)]
    for seed in SEEDS:
        for name, sizes, shown in ways:
            key = f"network, {name}, seed {seed}"
            if key in found["rates"]:
                continue
            made = network([learn[size] for size in sizes], others, shown, seed)

            @torch.no_grad()
            def embed(some: dict[int, Tensor], m: Any = made, w: Any = (sizes, shown)) -> Tensor:
                rows = len(some[64])
                parts = [slice(first, first + BATCH) for first in range(0, rows, BATCH)]
                pictures = [[some[size][part].float() / 255 for size in w[0]] for part in parts]
                return torch.cat([m(seen_by_network(x, w[1])) for x in pictures])

            keep(key, rates(embed(probes), embed(known), sides))
    for name, sizes, shown in ways:
        key, size, protect = f"HOG and pixels, {name}", sizes[0], shown == "modulus"
        if len(sizes) > 1 or shown == "apart" or key in found["rates"]:
            continue
        data = FaceDataset.of_pictures(others, torch.ones(len(others)), learn[size])
        attack = classical_parrot(data, OPERATOR if protect else None, size=size)
        seen, gallery = probes[size].float() / 255, known[size].float() / 255
        released = OPERATOR.protect(seen) if protect else seen
        assert attack.enrol is not None
        keep(key, rates(attack.probe(released), attack.enrol(gallery), sides))


def stored() -> dict[str, Any]:
    """Rates so far, by attacker and release."""
    if STORED.is_file():
        kept: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
        return kept
    return {
        "format": 1,
        "generator": GENERATOR_VERSION,
        "command": "python benchmarks/studies/larger_moduli.py run",
        "machine": machine(),
        "people": {"learned from": ATTACKER, "views": VIEWS, "tested": TESTED, "probes": PROBES},
        "rates": {},
    }


def table() -> str:
    """Rates as Markdown; a network's are means over seeds, with the first seed's interval."""
    found = stored()["rates"]
    lines = [
        "| released | attacker | one picture | FNMR at FMR 0.1 % | four together |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name in (*RELEASES, "64 apart", "unprotected 64", "unprotected 256"):
        for attacker in ("HOG and pixels", "network"):
            rows = [v for k, v in found.items() if f"{k}, ".startswith(f"{attacker}, {name}, ")]
            if rows:
                cells = [_cell([row[what] for row in rows]) for what in ("one", "fnmr", "eight")]
                lines.append(f"| {name} | {attacker} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(found: list[Any]) -> str:
    if isinstance(found[0], dict):
        return "-"
    low, high = (100 * x for x in found[0][1:3])
    return f"{100 * mean(row[0] for row in found):.0f} % ({low:.0f} to {high:.0f})"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("run", "table"))
    if parser.parse_args().command == "run":
        run()
    print(table())


if __name__ == "__main__":
    main()
