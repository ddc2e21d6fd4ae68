"""Train the shipped attackers that look at meshes, at renders of fields and at neutral views.

    python benchmarks/studies/attackers.py                       all three
    python benchmarks/studies/attackers.py mesh renders neutral  some of them
    python benchmarks/studies/attackers.py --people 8 --weights /tmp/quick     does it run?

They learn from people of the group "attacker". Pictures and scans of them are made once and kept in
out/lab (PRIVHEAD_LAB names another folder). Weights go to privhead_nb/lab/weights, with templates
of the gallery's people; how they do on those goes to benchmarks/results/attackers.json. Those that
look at moduli are trained by benchmarks/studies/informed.py.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json, write_tensors
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.lab import attackers, faces
from privhead_nb.lab.attacker_data import scan_of_mesh
from privhead_nb.lab.attacks import Card, field_renders, mesh_shape, neutral_views
from privhead_nb.lab.attacks.probe import in_batches, per_person
from privhead_nb.lab.faces import read_kept
from privhead_nb.lab.protocol import compare, identification, verification
from privhead_nb.lab.raster import surface_mesh

RESULTS = resources.RESULTS / "attackers.json"
NO_CARD = Card("", "", "", "", 0)


@dataclass(frozen=True)
class Study:
    """Sizes: people whose scans and portraits an attacker has."""

    scanned: int = 60
    pictured: int = 200
    known: int = 100  # people of the gallery
    weights: Path = resources.WEIGHTS


Found = tuple[dict[str, Tensor], str, dict[str, Any]]
"""What is stored of an attacker, what it learned from, and its rates on the gallery's people."""


def mesh(study: Study) -> Found:
    """Of scans; templates are true scans of the gallery's people."""
    scans = true_scans(faces.people("attacker", study.scanned))
    attack = mesh_shape.learn_network(scans, progress=True)
    known = faces.people("evaluation", study.known)
    true = true_scans(known)
    gallery = in_batches(attack.enrol, true)
    noise = torch.randn(true.shape, generator=torch.Generator().manual_seed(5)) * 12.0
    rough = (true.float() + noise * (true != 0)).round().clamp(-127, 127).to(torch.int8)
    control = rates(in_batches(attack.probe, rough), known, gallery, known)
    return (
        {**attack.networks[0].state_dict(), **templates(known, gallery=gallery)},
        f"trained on scans of {study.scanned} made people of the group attacker",
        {"roughened true scans": control},
    )


def true_scans(who: Sequence[int]) -> Tensor:
    """(N, 3, S, S, 4) int8 of people at rest, kept beside the portraits."""
    folder, found = faces.cache_folder() / f"heads{GENERATOR_VERSION}_scans", []
    for person in tqdm(who, desc="true scans"):
        path = folder / f"{person}.safetensors"
        if not path.is_file():
            body = surface_mesh(make_head(person))
            made = scan_of_mesh(Mesh(body.vertices.double().numpy(), body.faces.numpy()))
            write_tensors(path, {"scan": made}, {})
        found.append(read_kept(path, ["scan"])["scan"])
    return torch.stack(found)


def renders(study: Study) -> Found:
    """Of portraits in turned colours; a gallery is enrolled as it is."""
    others = portraits("attacker", study.pictured)
    attack = field_renders.learn_colour_blind(others, progress=True)
    known = portraits("evaluation", study.known)
    views, fronts = known.views(), known.frontals()
    turned = field_renders.recoloured(
        views.rgb(), views.masks.float() / 255, torch.Generator().manual_seed(5)
    )
    control = {
        "unprotected views": views.rgb(),
        "views in turned colours": turned,
    }
    gallery, names = in_batches(attack.enrol, fronts.rgb()), fronts.identity.tolist()
    return (
        attack.networks[0].state_dict(),
        f"trained on {len(others)} pictures of {study.pictured} made people of the group attacker, "
        "in turned colours",
        {
            name: rates(in_batches(attack.probe, seen), views.identity.tolist(), gallery, names)
            for name, seen in control.items()
        },
    )


def neutral(study: Study) -> Found:
    """Colours from all sides; templates are pictures from behind of the gallery's people."""
    pictures = portraits("attacker", study.pictured)
    mean, matrix = (x.half() for x in neutral_views.train_palette(pictures))
    attack = neutral_views.by_palette(mean.float(), matrix.float(), NO_CARD)
    known = portraits("evaluation", study.known)
    rear, fronts = known.only(known.role == 2), known.frontals()
    names = fronts.identity.tolist()
    seen = rear.rgb().reshape(len(names), -1, *rear.rgb().shape[1:])  # rows lie person by person
    others = per_person(attack.probe, seen)
    control = rates(others, names, in_batches(attack.enrol, fronts.rgb()), names)
    return (
        {"mean": mean, "matrix": matrix, **templates(names, others=others)},
        f"trained on {len(pictures)} pictures from all sides of {study.pictured} made people of "
        "the group attacker",
        {"4 pictures from behind, frontal gallery": control},
    )


def portraits(group: str, count: int) -> faces.FaceDataset:
    """Of the attacker's people, or of the gallery's; from behind, too."""
    plan = faces.GALLERY if group == "evaluation" else faces.LEARNING
    return faces.face_dataset(
        faces.people(group, count), plan, folder=faces.cache_folder(), progress=True
    )


def templates(who: Sequence[int], **rows: Tensor) -> dict[str, Tensor]:
    """As `attackers.trained` reads them."""
    kept = {"people": torch.tensor(list(who)), **rows}
    return {attackers.TEMPLATES + name: values.contiguous() for name, values in kept.items()}


def rates(
    probe: Tensor, who: Sequence[int], gallery: Tensor, known: Sequence[int]
) -> dict[str, Any]:
    """Rank-1 and FNMR at FMR 1e-3, each with its 95 % interval; chance."""
    similar = compare(probe, torch.tensor(who), gallery, torch.tensor(known))
    named, pairs = identification(similar, ranks=(1,)), verification(similar, fars=(1e-3,))
    return {
        "probes": len(who),
        "gallery": named.gallery_identities,
        "rank1": named.rank[1].stored(),
        "chance": round(named.chance[1], 6),
        "fnmr": pairs.fnmr_at_fmr[1e-3].stored(),
    }


def save(name: str, tensors: dict[str, Tensor], note: str, path: Path) -> None:
    """Weights as half floats, facts in the header."""
    facts = {
        "name": f"attacker_{name}",
        "kind": "palette" if "matrix" in tensors else "network",
        "generator": GENERATOR_VERSION,
        "note": note,
        "command": attackers.command(name),
        "seed": 0,
    }
    halves = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    write_tensors(path, halves, {"facts": json.dumps(facts)})


ATTACKERS = {
    attackers.MESH: mesh,
    attackers.RENDERS: renders,
    attackers.NEUTRAL: neutral,
}


def main() -> None:
    """Train, store, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(ATTACKERS), metavar="NAME")
    parser.add_argument("--people", type=int, help="of each group, to try it")
    parser.add_argument("--weights", type=Path, default=resources.WEIGHTS, help="folder")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(ATTACKERS):
        parser.error(f"no attacker {sorted(unknown)}; there are {', '.join(ATTACKERS)}")
    few = asked.people
    study = Study(few, few, few, asked.weights) if few else Study(weights=asked.weights)
    for name in asked.names:
        began = time.perf_counter()
        tensors, note, found = ATTACKERS[name](study)
        asked.weights.mkdir(parents=True, exist_ok=True)
        save(name, tensors, note, asked.weights / attackers.path_of(name).name)
        row = {
            "note": note,
            "seconds": round(time.perf_counter() - began, 1),
            "cpu": cpu_name(),
            "seed": 0,
            "people": study.known,
            **found,
        }
        print(name, json.dumps(row), flush=True)
        if not few and asked.weights == resources.WEIGHTS:
            stored = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
            facts = {"command": "python benchmarks/studies/attackers.py"}
            write_json(RESULTS, {**stored, **facts, "generator": GENERATOR_VERSION, name: row})


if __name__ == "__main__":
    main()
