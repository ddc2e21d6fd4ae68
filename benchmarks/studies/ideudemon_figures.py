"""What the paper of IDeudemon shows, in kind: Fig. 4, Table 1, Table 2, and two attacks on it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.studies import dlib_recogniser
from benchmarks.studies.deid import portraits, utility
from benchmarks.studies.deid.ideudemon_step2 import SMALL, Variant, train_restorer
from benchmarks.studies.deid.learning import Learning
from privhead_nb.deid.ideudemon import Ideudemon, deidentifier
from privhead_nb.deid.ideudemon.codes import Codes, Parser, perturbed
from privhead_nb.deid.ideudemon.restore import KEPT
from privhead_nb.lab import faces
from privhead_nb.lab.attacks.probe import fused
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.protocol import calibrate, compare, identification
from privhead_nb.lab.recognisers import Recogniser, is_template
from privhead_nb.lab.recognisers.stored import recogniser

SCORING = ("triplet_cnn", "hog_lda", "pca_lda")
"""Recognisers that took no part in training."""
SHORT = Learning(250, 8, 1e-3)
"""Of each ablation's restorer; the full one is compared with itself at this length."""
GREY = 0.5
Embedded = dict[str, tuple[Tensor, Tensor]]


@dataclass(frozen=True, eq=False)
class Tested:
    """Fresh people: one frontal picture each is known, and some views are de-identified."""

    views: FaceDataset
    front: FaceDataset

    @cached_property
    def known(self) -> Embedded:
        """Of the frontal pictures."""
        return embedded(self.front.rgb())

    @cached_property
    def originals(self) -> Embedded:
        """Of the views as they are."""
        return embedded(self.views.rgb())

    @classmethod
    def of(cls, people: int, views: int = 2) -> Tested:
        """The first of "fresh", with `views` pictures each."""
        all_of = faces.face_dataset(
            faces.people("fresh", people), faces.GALLERY, folder=faces.cache_folder(), workers=1
        )
        probes = all_of.views()
        rows, taken = [], dict.fromkeys(probes.identity.tolist(), 0)
        for row, who in enumerate(probes.identity.tolist()):
            taken[who] += 1
            if taken[who] <= views:
                rows.append(row)
        return cls(probes.only(torch.tensor(rows)), all_of.frontals())


def scoring() -> list[Recogniser]:
    """Those that took no part; dlib's too, where it is installed."""
    own = [recogniser(name) for name in SCORING]
    return [*own, dlib_recogniser.dlib(detector="skip")] if dlib_recogniser.available() else own


def named(pictures: Tensor, tested: Tested, who: Tensor | None = None) -> dict[str, Any]:
    """Rank-1 of pictures among the known people, a rate for each recogniser."""
    people = tested.views.identity if who is None else who
    return rates(embedded(pictures), people, tested.known, tested.front.identity)


def rates(made: Embedded, who: Tensor, known: Embedded, whose: Tensor) -> dict[str, Any]:
    """Rank-1 of vectors among known ones, a rate for each recogniser."""
    out = {}
    for name, (probes, found) in made.items():
        gallery, there = known[name]
        pairs = compare(probes, who, gallery[there], whose[there], found.numpy())
        out[name] = identification(pairs, ranks=(1,)).rank[1].stored()
    return out


def embedded(pictures: Tensor) -> Embedded:
    """Vectors by each recogniser, and where it gives any."""
    return {looks.name: looks.embed(pictures) for looks in scoring()}


def distances(pictures: Tensor, others: Embedded) -> dict[str, float]:
    """Mean L2 distance of unit vectors of pictures, row by row (the paper's DIS)."""
    out = {}
    for name, (a, found) in embedded(pictures).items():
        b, there = others[name]
        out[name] = round(float((a - b)[found & there].norm(dim=1).mean()), 4)
    return out


def limits(tested: Tested) -> dict[str, float]:
    """Each recogniser's distance at a false match rate of 1 % on unprotected pictures."""
    out = {}
    for name, (probes, found) in tested.originals.items():
        known, _ = tested.known[name]
        pairs = compare(probes, tested.views.identity, known, tested.front.identity, found.numpy())
        cosine = calibrate(pairs, 0.01)
        out[name] = round(float(np.sqrt(max(0.0, 2 - 2 * cosine))), 4)
    return out


def used(made: Tensor, plain: Tensor) -> dict[str, float]:
    """What is left: pose in degrees, expression, PSNR, SSIM, Frechet distance to the originals."""
    (pose, face), (pose_before, face_before) = (
        utility.pose_and_expression(x) for x in (made, plain)
    )
    looks = recogniser("triplet_cnn")
    return {
        "pose_deg": _mean((pose - pose_before).abs().mean(1)),
        "expression": _mean((face - face_before).abs().mean(1)),
        "psnr_db": round(float(utility.psnr(made, plain).mean()), 2),
        "ssim": round(float(utility.ssim(made, plain).mean()), 4),
        "frechet": round(utility.realism(made, plain, looks), 4),
    }


def _mean(values: Tensor) -> float:
    return round(float(values.double().mean()), 4)


# Figure 4 and Table 1 -----------------------------------------------------------------------------


def figure_4(system: Ideudemon, tested: Tested, draws: int) -> dict[str, Any]:
    """Distance and utility over the scale of the noise, means of `draws` releases each.

    Scale 0 is the fit without noise, restored: what all others are compared with. The first draw
    alone is named and measured for utility.
    """
    plain, random = tested.views.rgb(), torch.Generator().manual_seed(0)
    codes = system.codes(plain)
    rows: dict[str, Any] = {}
    for scale in (0.0, *system.strengths):
        apart, first = [], None
        for _ in range(draws if scale else 1):
            made = system.restored(plain, perturbed(codes, scale, random))
            apart.append(distances(made, tested.originals))
            first = made if first is None else first
        assert first is not None
        rows[f"{scale:g}"] = {
            "distance": {k: round(float(np.mean([a[k] for a in apart])), 4) for k in apart[0]},
            "named": named(first, tested),
            **used(first, plain),
        }
    between = {
        name: round(float(torch.cdist(front, front).sum()
                          / (len(tested.front) * (len(tested.front) - 1))), 4)
        for name, (front, _) in tested.known.items()
    }  # fmt: skip
    return {
        "people": len(tested.front),
        "pictures": len(plain),
        "draws": draws,
        "published_limits": {"dlib": 0.6, "FaceNet": 1.1},
        "limits_at_fmr_1_percent": limits(tested),
        "between_people": between,
        "unprotected": named(plain, tested),
        "scales": rows,
    }


# Attacks of its own -------------------------------------------------------------------------------


def special(system: Ideudemon, tested: Tested, draws: int) -> dict[str, Any]:
    """Averaging several releases of one picture, and matching what was not touched."""
    plain, random = tested.views.rgb(), torch.Generator().manual_seed(1)
    codes, who = system.codes(plain), tested.views.identity
    released = [
        system.restored(plain, perturbed(codes, system.default, random)) for _ in range(draws)
    ]
    averaging = {
        str(k): {"pictures": named(torch.stack(released[:k]).mean(0), tested),
                 "vectors": _vectors(released[:k], tested)}
        for k in sorted({k for k in (1, 2, 5, draws) if k <= draws})
    }  # fmt: skip
    largest = system.strengths[-1]
    noise = [system.restored(plain, perturbed(codes, largest, random)) for _ in range(draws)]
    order = torch.randperm(len(plain), generator=random)
    kept = untouched(system.parser, released[0])
    return {
        "scale": system.default,
        "averaging": averaging,
        # positive control: without noise; null: names drawn anew
        "averaging_positive": named(system.restored(plain, codes), tested),
        "averaging_null": _vectors(released, tested, who[order]),
        "averaging_at_largest": {"scale": largest, "vectors": _vectors(noise, tested)},
        "untouched": named(kept, known_by_the_untouched(system.parser, tested)),
        "untouched_positive": named(
            untouched(system.parser, plain), known_by_the_untouched(system.parser, tested)
        ),
        "untouched_null": named(kept, known_by_the_untouched(system.parser, tested), who[order]),
    }


def _vectors(released: list[Tensor], tested: Tested, who: Tensor | None = None) -> dict[str, Any]:
    """Rank-1 by the mean of the releases' vectors."""
    people = tested.views.identity if who is None else who
    out = {}
    for one in scoring():
        each = torch.stack([one.embed(x)[0] for x in released], 1)
        whole = fused(each)
        known, there = tested.known[one.name]
        pairs = compare(
            torch.nan_to_num(whole), people, known[there], tested.front.identity[there],
            is_template(whole).numpy(),
        )  # fmt: skip
        out[one.name] = identification(pairs, ranks=(1,)).rank[1].stored()
    return out


@torch.no_grad()
def untouched(parser: Parser, pictures: Tensor) -> Tensor:
    """Pictures with all but hair, background and neck under one grey."""
    labels = torch.cat([parser(part).argmax(1) for part in pictures.split(25)])
    keep = torch.stack([labels == label for label in KEPT]).any(0)[..., None]
    return torch.where(keep, pictures, torch.full_like(pictures, GREY))


def known_by_the_untouched(parser: Parser, tested: Tested) -> Tested:
    """The same people, known by what is not touched."""
    bytes_ = untouched(parser, tested.front.rgb()).mul(255).round().byte()
    front = FaceDataset.of_pictures(tested.front.identity, tested.front.role, bytes_)
    return replace(tested, front=front)


# Table 2 ------------------------------------------------------------------------------------------

VARIANTS = {
    "all": Variant(),
    "w/o vsa": Variant(assistance=False),
    "w/o L_rec": Variant(reconstruction=False),
    "w/o L_adv": Variant(adversarial=False),
    "w/o L_comp": Variant(components=False),
    "w/o L_id": Variant(identity=False),
    "idloss": Variant(weights=replace(SMALL, identity_l1=True)),
}


def ablations(tested: Tested, people: int) -> dict[str, Any]:
    """Step II without each of its parts: restorers of SHORT training, at the default scale."""
    system = deidentifier()
    cache = faces.cache_folder()
    learn = portraits.known_portraits(faces.people(portraits.GROUP, people), folder=cache)
    plain, random = tested.views.rgb(), torch.Generator().manual_seed(2)
    hidden = perturbed(system.codes(plain), system.default, random)
    rows = {}
    for name, variant in VARIANTS.items():
        with TemporaryDirectory() as folder:
            restorer = train_restorer(
                learn, system.nerf, system.parser, Path(folder), SHORT, variant
            ).requires_grad_(False)
        made = _restored_by(replace(system, restorer=restorer), plain, hidden, variant)
        rows[name] = {"distance": distances(made, tested.originals), **used(made, plain)}
    return {"steps": SHORT.steps, "scale": system.default, "variants": rows}


@torch.no_grad()
def _restored_by(system: Ideudemon, plain: Tensor, codes: Codes, variant: Variant) -> Tensor:
    if variant.assistance:
        return system.restored(plain, codes)
    return torch.cat([system.restorer(part) for part in system.rendered(codes).split(25)])


# As Markdown --------------------------------------------------------------------------------------


def tables(found: dict[str, Any]) -> str:
    """What is stored, as tables."""
    parts = []
    if "figure_4" in found:
        names = list(found["figure_4"]["limits_at_fmr_1_percent"])
        lines = [
            f"| scale | {' | '.join(f'DIS {n}' for n in names)} | named, worst | pose, deg "
            "| expression | PSNR | SSIM | Frechet |",
            "| --- |" + " --- |" * (len(names) + 6),
        ]
        for scale, row in found["figure_4"]["scales"].items():
            worst = max(r[0] for r in row["named"].values() if isinstance(r, list))
            cells = [
                scale,
                *(f"{row['distance'][n]:.3f}" for n in names),
                f"{100 * worst:.0f} %",
                f"{row['pose_deg']:.2f}",
                f"{row['expression']:.3f}",
                f"{row['psnr_db']:.1f}",
                f"{row['ssim']:.3f}",
                f"{row['frechet']:.3f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    if "table_2" in found:
        variants = found["table_2"]["variants"]
        names = list(next(iter(variants.values()))["distance"])
        lines = [
            f"| variant | {' | '.join(f'DIS {n}' for n in names)} | PSNR | SSIM | Frechet "
            "| pose, deg | expression |",
            "| --- |" + " --- |" * (len(names) + 5),
        ]
        for name, row in variants.items():
            cells = [
                name,
                *(f"{row['distance'][n]:.3f}" for n in names),
                f"{row['psnr_db']:.1f}",
                f"{row['ssim']:.3f}",
                f"{row['frechet']:.3f}",
                f"{row['pose_deg']:.2f}",
                f"{row['expression']:.3f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
