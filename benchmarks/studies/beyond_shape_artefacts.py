"""What else is released, for `beyond_shape.py`: neutral views, meshes, renders of fields.

Heads are reconstructed with and without neutral views (on a template), with lesson 8's short
profile. Their meshes are held against true scans of known people; renders of their fields, and
neutral views, against twins, people of the same shape in other colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.studies.guessed import three
from benchmarks.studies.template import study_profile
from benchmarks.studies.twin_attack import Looked, Study, look, trained, victims
from benchmarks.studies.twin_scores import (
    Likelihood,
    Vectors,
    colours_from,
    error_removed,
    joined,
    named,
    within_group,
)
from benchmarks.studies.twins import FRONTAL
from privhead_nb.files import write_tensors
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import evaluate
from privhead_nb.heads.codes import identity_codes
from privhead_nb.heads.head import make_head
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.lab import faces
from privhead_nb.lab.attacker_data import AttackerData, scan_of_mesh
from privhead_nb.lab.attacks import field_renders
from privhead_nb.lab.attacks.mesh_shape import matching
from privhead_nb.lab.faces import read_kept
from privhead_nb.lab.framing import cameras_around, portrait_cameras, random_expression
from privhead_nb.lab.protocol import compare, identification
from privhead_nb.lab.raster import photograph, surface_mesh
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.protect import protect
from privhead_nb.resources import SAMPLES
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.template import Template
from privhead_nb.training.two_stage import reconstruct

MODES = ("with neutral views", "template, no neutral view")


def neutral(study: Study, group: str) -> dict[str, Any]:
    """Four neutral views of each twin against pictures from behind, and against frontal ones.

    Against frontal pictures both sides are turned into colours of the face, and compared by how
    far these lie apart for the attacker's held-out twins.
    """
    behind = look(trained(None, 64, study, behind=True), group, study, behind=True)
    front = look(trained(None, 64, study), group, study)
    reads = [colours_from(seen.held, seen.coordinates) for seen in (behind, front)]
    held = [seen.held.each().map(read) for seen, read in zip((behind, front), reads, strict=True)]
    apart = held[0].values - held[1].values
    likelihood = Likelihood.of(within_group(held[1]), apart - apart.mean(0))
    against = {
        name: named(behind.probes[v].map(reads[0]), front.gallery[v].map(reads[1]), likelihood)
        for name, v in (("whole", "whole"), ("hair_masked", "hair masked"))
    }
    return behind.figures() | {"against_frontal": against}


def forger(study: Study, group: str) -> dict[str, Any]:
    """How much of the mean skin's colour error goes, by what a forger looks at.

    The mean skin is 0 and the true colours 1: "moduli" (of eight views), "neutral views" (four),
    both, and "full RGB", the same eight views unprotected.
    """
    moduli = look(trained(Operator(), 64, study), group, study)
    behind = look(trained(None, 64, study, behind=True), group, study, behind=True)
    front = look(trained(None, 64, study), group, study)

    def removed(seen: Sequence[Looked]) -> dict[str, Any]:
        held = joined([s.held.each() for s in seen])
        probes = joined([s.probes["whole"].each() for s in seen])
        guess = colours_from(held, seen[0].coordinates)(probes.values)
        return error_removed(guess, seen[0].codes, probes.shape, seen[0].space)

    return {
        "neutral views": removed([behind]),
        "moduli": removed([moduli]),
        "moduli and neutral views": removed([moduli, behind]),
        "full RGB": removed([front]),
    }


def true_scan(identity: int, expression: Tensor | None = None) -> Tensor:
    """(3, S, S, 4) of a person's true surface."""
    body = surface_mesh(make_head(identity, expression=expression))
    return scan_of_mesh(Mesh(body.vertices.double().numpy(), body.faces.numpy()))


def known_scans(known: Sequence[int], folder: Path) -> Tensor:
    """(P, 3, S, S, 4) of known people at rest; kept."""
    path = folder / f"scans_{known[0]}_{len(known)}.safetensors"
    if not path.is_file():
        write_tensors(path, {"scans": torch.stack([true_scan(i) for i in known])})
    return read_kept(path, ("scans",))["scans"]


def through_shape(
    meshes: dict[str, list[tuple[int, Mesh]]], known: Sequence[int], moved: int
) -> dict[str, Any]:
    """How often a mesh alone names its person among `known`, by scans matched pixel by pixel.

    Args:
        meshes: reconstructed ones by the mode that made them, each with whose it is.
        known: the gallery, at rest.
        moved: of how many of them the true surface is held against it, with another expression.
    """
    gallery = known_scans(known, faces.cache_folder())
    none = torch.zeros(len(known), 0)
    attack = matching(AttackerData(torch.tensor(known), none, none, gallery, none, none[0]))
    random = torch.Generator().manual_seed(0)
    true = [(i, true_scan(i, random_expression(random))) for i in known[:moved]]
    scans = {"true mesh, another expression": true}
    scans |= {name: [(i, scan_of_mesh(m)) for i, m in made] for name, made in meshes.items()}
    enrolled = unit(attack.enrol(gallery)).numpy()
    found: dict[str, Any] = {"gallery": len(known), "chance": round(1 / len(known), 4)}
    for name, probes in scans.items():
        looked = unit(attack.probe(torch.stack([scan for _, scan in probes]))).numpy()
        held = compare(looked, torch.tensor([i for i, _ in probes]).numpy(), enrolled,
                       torch.tensor(known).numpy())  # fmt: skip
        rank = identification(held, ranks=[1]).rank[1]
        found[name] = {"people": len(probes), "rank1": three(rank)}
    return found


def unit(vectors: Tensor) -> Tensor:
    """Of length 1, float64."""
    return torch.nn.functional.normalize(vectors.double(), dim=1)


def heads(people: Sequence[int]) -> dict[str, list[tuple[int, Reconstruction, dict[str, Any]]]]:
    """Reconstructions of releases with ten neutral views, and without any on a template."""
    made: dict[str, list[tuple[int, Reconstruction, dict[str, Any]]]] = {m: [] for m in MODES}
    template = Template.load(SAMPLES / "template")
    for identity in people:
        scene = synthetic_scene(identity)
        for mode, given, start in (
            (MODES[0], scene, None),
            (MODES[1], replace(scene, neutral=()), template),
        ):
            release = protect(given, seed=0)
            head = reconstruct(release, study_profile(), template=start, progress=False)
            error = evaluate(head, scene)
            facts = {"identity": identity, "chamfer_mm": round(error.distance_mean, 3)}
            made[mode].append((identity, head, facts))
    return made


def renders(
    made: dict[str, list[tuple[int, Reconstruction, dict[str, Any]]]], study: Study, group: str
) -> dict[str, Any]:
    """Which of 21 people of one shape a field's renders show: the person, or one of 20 twins.

    Looked at by the network of the positive control, which knows colours, and by that of the
    default's moduli, of the renders' own moduli.
    """
    out: dict[str, Any] = {}
    tested = victims(group, study)
    for name, protecting in (("colours", None), ("moduli", Operator())):
        reader = trained(protecting, 64, study)
        seen = look(reader, group, study)
        likelihood = Likelihood.learned(seen.held)
        guess = colours_from(seen.held, seen.coordinates)
        random = torch.Generator().manual_seed(0)
        for mode, people in made.items():
            probes, gallery = [], []
            for identity, head, _ in people:
                frontal = photograph(make_head(identity), portrait_cameras(((0.0, 0.0),)))
                same = tested.only((tested.shape == identity) & (tested.role == FRONTAL))
                who = torch.cat([torch.tensor([identity]), same.identity])
                pictures = torch.cat([frontal, same.rgb()])
                shape = torch.full_like(who, identity)
                gallery.append(Vectors(reader.embed(pictures, random), who, shape))
                shown = field_renders.renders(head, cameras_around(head.center, field_renders.YAWS))
                own = torch.full((len(shown),), identity)
                probes.append(Vectors(reader.embed(shown, random), own, own))
            both = Vectors.stacked(probes), Vectors.stacked(gallery)
            rates = named(*both, likelihood, aligned=False)
            mean = Vectors.stacked(probes).each()
            codes = torch.stack([identity_codes(int(i))[1] for i in mean.identity])
            error = error_removed(guess(mean.values), codes, mean.shape, seen.space)
            out.setdefault(mode, {})[name] = {
                "people": len(people),
                "among": 21,
                "chance": round(1 / 21, 4),
                "one": rates["one"]["rank1"],
                "together": rates["together"]["rank1"],
                "removed": error["removed"],
            }
    return out
