"""What the paper of 3D-aware de-identification shows, in kind: Fig. 4, Tables 1 to 3; linkability.

Distances are L2 of unit vectors, 0 to 2, so that a smaller one is more alike in every recogniser.
None of those that score took part in training; E_id did, and stands beside them for Fig. 4.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.studies import dlib_recogniser
from benchmarks.studies.ideudemon_figures import (
    Tested,
    distances,
    embedded,
    named,
    rates,
    scoring,
    used,
)
from privhead_nb.deid import domain
from privhead_nb.deid.aware3d import Aware3d
from privhead_nb.deid.aware3d.losses import distance
from privhead_nb.lab import faces
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.framing import PROBES
from privhead_nb.lab.intervals import abstain, share
from privhead_nb.lab.recognisers import Recogniser, published
from privhead_nb.lab.recognisers.stored import recogniser

PAPER = {
    "Table 1": {"FR": 0.872, "VGGFace2": 1.259, "CASIA": 1.235, "ArcFace, cosine": 0.562},
    "Table 2": {"FR": 0.410, "VGGFace2": 0.462, "CASIA": 0.494, "ArcFace, cosine": 0.765},
    "Table 3": {"FD": 0.996, "PD": 2.014, "PSNR": 21.236, "SSIM": 0.718, "LPIPS": 0.311},
}
"""The paper's own row, on photographs; no figure here is measured on those."""
OTHER_TAU = 0.9


def tested_of(group: str, count: int) -> Tested:
    """Of the first of a group one frontal picture at rest each, and eight views."""
    everything = faces.face_dataset(
        faces.people(group, count), faces.GALLERY, folder=faces.cache_folder(), workers=1
    )
    return Tested(everything.views(), everything.frontals())


def measured(system: Aware3d, people: Tested) -> dict[str, Any]:
    """All tables."""
    return {
        "people": len(people.front),
        "pictures": len(people.views),
        "between_people": between(people.front.rgb(), people.front.identity),
        "figure_4": {f"{tau:g}": _at(system, people, tau) for tau in system.strengths},
        "table_1": privacy(system, people),
        "table_2": consistency(system, people),
        "table_3": utility_of(system, people),
        "linkability": linkability(system, people),
    }


def apart(one: Tensor, two: Tensor, looks: Recogniser) -> float:
    """Mean distance of pictures, row by row."""
    (a, there), (b, too) = looks.embed(one), looks.embed(two)
    kept = there & too
    return round(float((a - b)[kept].norm(dim=1).mean()), 4)


def between(pictures: Tensor, identity: Tensor) -> dict[str, float]:
    """Mean distance of pictures of different people."""
    other = identity[:, None] != identity
    out = {}
    for looks in scoring():
        vectors, there = looks.embed(pictures)
        pairs = other & there[:, None] & there
        out[looks.name] = round(float(torch.cdist(vectors, vectors)[pairs].mean()), 4)
    return out


def released(system: Aware3d, data: FaceDataset, tau: float, *, group: bool = False) -> Tensor:
    """What the system makes of a data set; in group mode, of all of a person's pictures at once."""
    random, rgb = torch.Generator().manual_seed(0), data.rgb()
    if not group:
        return system(rgb, tau, random)
    out = torch.empty_like(rgb)
    for who in torch.unique(data.identity):
        rows = data.identity == who
        out[rows] = system(rgb[rows], tau, random, group=True)
    return out


def _at(system: Aware3d, people: Tested, tau: float) -> dict[str, Any]:
    """One point of Fig. 4."""
    plain, made = people.views.rgb(), released(system, people.views, tau)
    before, after = (system.networks.auxiliary(x)[0] for x in (plain, made))
    return {
        "E_id": apart(made, plain, recogniser("arcface_cnn")),
        "distance": distances(made, people.originals),
        "attributes": round(float(distance(before, after).mean()), 4),
        "named": named(made, people),
        **used(made, plain),
    }


# Table 1: privacy ---------------------------------------------------------------------------------


def privacy(system: Aware3d, people: Tested) -> dict[str, Any]:
    """Identity distance of de-identified views to their originals, at the paper's tau.

    Beside it how far the generator alone goes, which keeps everybody's identity (tau 0, stage 1),
    and what the original's hair costs.
    """
    plain, tau = people.views.rgb(), system.default
    w, direction = system.codes(plain, tau)
    alone = system.rendered(w, direction)
    variants = {
        "hair kept": replace(system, keep_hair=True).composited(plain, alone),
        "hair made": replace(system, keep_hair=False).composited(plain, alone),
    }
    w, direction = system.codes(plain, 0.0)
    variants["tau 0: same identity, hair made"] = replace(system, keep_hair=False).composited(
        plain, system.rendered(w, direction)
    )
    return {
        name: {
            "E_id": apart(made, plain, recogniser("arcface_cnn")),
            "distance": distances(made, people.originals),
            "named": named(made, people),
        }
        for name, made in variants.items()
    }


# Table 2: consistency -----------------------------------------------------------------------------


def probe_poses() -> Tensor:
    """(8, 6) cameras of the lab's eight probes."""
    angles = torch.deg2rad(torch.tensor(PROBES))
    return torch.cat([angles, torch.zeros(len(angles), 4)], 1)


def consistency(system: Aware3d, people: Tested) -> dict[str, Any]:
    """Identity distance of eight views to the frontal release, in three modes and two controls."""
    tau, front = system.default, people.front
    plain = front.rgb()
    eight = probe_poses()
    poses = torch.cat([torch.zeros(1, 6), eight])
    views = torch.stack([system.multi_view(x, poses, tau) for x in plain])
    everything = FaceDataset.join([front, people.views])
    modes = {
        "group": released(system, everything, tau, group=True),
        "single": released(system, everything, tau),
        "originals": everything.rgb(),
    }
    out: dict[str, Any] = {"multi-view": {}}
    for looks in scoring():
        vectors = looks.embed(views.flatten(0, 1))[0].unflatten(0, views.shape[:2])
        off = (vectors[:, 1:] - vectors[:, :1]).norm(dim=2)
        out["multi-view"][looks.name] = round(float(off.mean()), 4)
    for name, made in modes.items():
        out[name] = {looks.name: _to_front(made, everything, looks) for looks in scoring()}
    first = modes["single"][: len(front)]
    out["between releases"] = between(first, front.identity)
    return out


def _to_front(made: Tensor, data: FaceDataset, looks: Recogniser) -> float:
    """Mean distance of pictures to the first, frontal one of the same person."""
    vectors, _ = looks.embed(made)
    frontal = data.role == 0
    place = {int(who): row for row, who in enumerate(data.identity) if frontal[row]}
    rows = torch.tensor([place[int(who)] for who in data.identity])
    return round(float((vectors - vectors[rows]).norm(dim=1)[~frontal].mean()), 4)


# Table 3: utility ---------------------------------------------------------------------------------


def utility_of(system: Aware3d, people: Tested) -> dict[str, Any]:
    """Detection, pixel difference, likeness and time at the paper's tau."""
    plain, who = people.views.rgb(), people.views.identity.numpy()
    began = time.perf_counter()
    system(plain[:100], system.default, torch.Generator())
    seconds = time.perf_counter() - began
    made = released(system, people.views, system.default)
    detectors = {"cascade": lambda x: domain.faces_found(x) > 0}
    if published.mtcnn_available():
        mtcnn = published.mtcnn()
        detectors["mtcnn"] = lambda x: dlib_recogniser.detected(mtcnn, x)
    out: dict[str, Any] = {}
    for name, find in detectors.items():
        before, after = find(plain), find(made)
        hits = after[before]
        rate = share(hits, who[before]) if len(hits) else abstain("no face was found before")
        out[name] = rate.stored()
        out[f"{name}_before"] = round(float(np.mean(before)), 4)
    labels = torch.cat([system.networks.parser(x).argmax(1) for x in plain.split(50)])
    face = (labels > 0)[..., None].float()
    off = (made - plain).abs() * 255 * face
    out["pd_of_head"] = round(float(off.sum() / (3 * face.sum())), 3)
    return out | used(made, plain) | {"seconds_of_100": round(seconds, 2)}


# The attack of its own ----------------------------------------------------------------------------


def linkability(system: Aware3d, people: Tested) -> dict[str, Any]:
    """The map is deterministic: an attacker de-identifies the gallery, and matches releases.

    Positive control: original pictures against the original gallery. Null: releases under names
    drawn anew. Beside them the releases against the original gallery, a gallery that was
    de-identified at another tau, and one person's releases against each other, names unknown.
    """
    random = torch.Generator().manual_seed(1)
    tau, who, whose = system.default, people.views.identity, people.front.identity
    made = embedded(released(system, people.views, tau))
    changed = embedded(released(system, people.front, tau))
    elsewhere = embedded(released(system, people.front, OTHER_TAU))
    bare = replace(system, keep_hair=False)
    bare_made, bare_changed = (
        embedded(released(bare, x, tau)) for x in (people.views, people.front)
    )
    mixed = who[torch.randperm(len(who), generator=random)]
    return {
        "positive: originals, gallery original": rates(people.originals, who, people.known, whose),
        "releases, gallery original": rates(made, who, people.known, whose),
        "releases, gallery de-identified": rates(made, who, changed, whose),
        "releases, gallery de-identified, hair made": rates(bare_made, who, bare_changed, whose),
        f"releases, gallery de-identified at tau {OTHER_TAU:g}": rates(made, who, elsewhere, whose),
        "null: names drawn anew": rates(made, mixed, changed, whose),
    }


# As Markdown --------------------------------------------------------------------------------------


def tables(found: dict[str, Any]) -> str:
    """What is stored, as tables."""
    names = list(found["between_people"])
    head = " | ".join(names)
    rule = "--- |" * len(names)
    lines = [f"| tau | E_id | {head} | named, worst | attributes | pose, deg | expression | PSNR |",
             f"| --- | --- | {rule} --- | --- | --- | --- | --- |"]  # fmt: skip
    for tau, row in found["figure_4"].items():
        worst = max(r[0] for r in row["named"].values() if isinstance(r, list))
        cells = [tau, f"{row['E_id']:.3f}", *(f"{row['distance'][n]:.3f}" for n in names),
                 f"{100 * worst:.0f} %", f"{row['attributes']:.2f}", f"{row['pose_deg']:.2f}",
                 f"{row['expression']:.3f}", f"{row['psnr_db']:.1f}"]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    parts = ["Fig. 4 in kind", "\n".join(lines)]
    rows = {"between people": found["between_people"]}
    rows |= {f"to the original, {k}": v["distance"] for k, v in found["table_1"].items()}
    rows |= {f"to the frontal one, {k}": v for k, v in found["table_2"].items()}
    lines = [f"| distance | {head} |", f"| --- | {rule}"]
    lines += [f"| {k} | {' | '.join(f'{v[n]:.3f}' for n in names)} |" for k, v in rows.items()]
    parts += ["Tables 1 and 2 in kind", "\n".join(lines)]
    lines = ["| utility | |", "| --- | --- |"]
    lines += [f"| {k} | {v} |" for k, v in found["table_3"].items()]
    parts += ["Table 3 in kind", "\n".join(lines)]
    lines = [f"| named | {head} |", f"| --- | {rule}"]
    for name, row in found["linkability"].items():
        cells = [_percent(row[n]) for n in names]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n\n".join([*parts, "Linkability", "\n".join(lines)])


def _percent(rate: Any) -> str:
    if not isinstance(rate, list):
        return str(rate["why"])
    value, low, high = (100 * x for x in rate)
    return f"{value:.0f} % ({low:.0f} to {high:.0f})"
