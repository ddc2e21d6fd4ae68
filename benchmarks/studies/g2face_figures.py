"""What the paper of G2Face shows, in kind: its Tables I to VI, its diversity plot, and attacks."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.metrics import silhouette_score
from torch import Tensor

from benchmarks.studies import dlib_recogniser
from benchmarks.studies.deid import utility
from benchmarks.studies.ideudemon_figures import (
    Tested,
    embedded,
    known_by_the_untouched,
    named,
    scoring,
    untouched,
    used,
)
from privhead_nb.deid import domain
from privhead_nb.deid.features import identity_of, layers_and_identity, recogniser
from privhead_nb.deid.g2face import G2Face
from privhead_nb.deid.g2face.identity import NOISE
from privhead_nb.deid.g2face.payload import BITS, coarse, read, written
from privhead_nb.deid.ideudemon.codes import Parser
from privhead_nb.lab.framing import resized
from privhead_nb.lab.intervals import exact_interval
from privhead_nb.lab.protocol import compare, verification
from privhead_nb.lab.recognisers import published

QUALITIES = (100, 95, 90, 75, 50)
"""Of JPEG."""
SOURCES, DUMMIES = 8, 200
"""Pictures, and anonymised versions of each, of the paper's diversity plot."""
LARGE = 256
"""Pixels that detectors get."""


@dataclass(frozen=True, eq=False)
class Anonymised:
    """Pictures of fresh people, what was made of them, and what was hidden in that."""

    plain: Tensor  # (N, 64, 64, 3)
    hidden: Tensor  # (N, 64, 64, 3) saved with 8 bits
    own: Tensor  # (N, 64) identities of the originals
    bits: Tensor  # (N, 1024)

    @classmethod
    def of(cls, system: G2Face, plain: Tensor, seed: int = 0) -> Anonymised:
        """With a dummy drawn for each picture, strength 1, and no passphrase."""
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            own = identity_of(recogniser(), plain)
            dummy = system.parts.dummy(torch.randn(len(plain), NOISE, generator=random))
        bits = written(own, random)
        return cls(plain, saved(system.manipulated(plain, dummy, bits)), own, bits)


def saved(pictures: Tensor) -> Tensor:
    """As a PNG file gives them back: 8 bits."""
    return (pictures * 255).round().clamp(0, 255) / 255


def as_jpeg(pictures: Tensor, quality: int) -> Tensor:
    """As a JPEG file gives them back, colours not subsampled."""
    out = []
    for picture in saved(pictures).mul(255).round().byte().numpy():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=0)
        out.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(out)).float() / 255


def share(hits: int, of: int) -> list[float]:
    """A rate with its exact 95 % interval."""
    return [round(v, 4) for v in (hits / of, *exact_interval(hits, of))]


# Tables I and II: who is recognised ---------------------------------------------------------------


def tar_at_far(pictures: Tensor, tested: Tested) -> dict[str, Any]:
    """Table I: mated pairs that match at a false match rate of 0.1 %, a rate each recogniser."""
    out = {}
    for name, (probes, found) in embedded(pictures).items():
        known, there = tested.known[name]
        pairs = compare(
            probes, tested.views.identity, known[there], tested.front.identity[there], found.numpy()
        )
        out[name] = verification(pairs, fars=(1e-3,)).tar_at_far[1e-3].stored()
    return out


def cosines(one: Tensor, two: Tensor) -> dict[str, float]:
    """Table II: mean cosine of identities of pictures, row by row."""
    out = {}
    for looks in scoring():
        (a, found), (b, there) = looks.embed(one), looks.embed(two)
        out[looks.name] = round(float((a * b).sum(1)[found & there].mean()), 4)
    return out


# Table III: what is left --------------------------------------------------------------------------


def detection(made: Tensor, plain: Tensor) -> dict[str, Any]:
    """By each detector that is installed: how many faces of before, and how far boxes moved.

    "box" is the mean L2 distance of a box's four edges, "landmarks" that of dlib's 68 points in a
    box that stays where portraits have the face; pixels of 256.
    """
    before, after = (domain.faces_found(x) > 0 for x in (plain, made))
    out: dict[str, Any] = {
        "cascade": {"found": share(int((before & after).sum()), int(before.sum()))}
    }
    pixels = [resized(x, LARGE).clamp(0, 1).mul(255).round().byte().numpy() for x in (plain, made)]
    if published.mtcnn_available():
        find = published.mtcnn()
        boxes = [[find(rgb) for rgb in side] for side in pixels]
        both = [(a[0], b[0]) for a, b in zip(*boxes, strict=True) if len(a) and len(b)]
        out["mtcnn"] = {
            "found": share(len(both), sum(len(a) > 0 for a in boxes[0])),
            "box": round(float(np.mean([np.linalg.norm(a - b) for a, b in both])), 3),
        }
    if dlib_recogniser.available():
        marks, where = published.landmarks_68(), dlib_recogniser.where_portraits_have_it()
        apart = [
            np.linalg.norm(marks(a, where(a)[0]) - marks(b, where(b)[0]), axis=1).mean()
            for a, b in zip(*pixels, strict=True)
        ]
        out["landmarks"] = round(float(np.mean(apart)), 3)
    return out


# Tables IV and V: recovery ------------------------------------------------------------------------


def recovery(system: G2Face, made: Anonymised, hidden: Tensor) -> dict[str, Any]:
    """What `recover` makes of files of the anonymised pictures, against the originals."""
    logits = system.extracted(hidden)
    found = system.recover(hidden)
    back = [(one.picture, row) for row, one in enumerate(found) if one.picture is not None]
    out: dict[str, Any] = {
        "bit_error": round(float(((logits > 0).float() != made.bits).float().mean()), 6),
        "number_mse": round(float((read(logits)[0] - made.own).square().mean()), 6),
        "recovered": share(len(back), len(found)),
    }
    if not back:
        return out
    rows = torch.tensor([row for _, row in back])
    pictures = torch.stack([picture for picture, _ in back if picture is not None])
    return out | likeness(pictures, made.plain[rows])


@torch.no_grad()
def likeness(made: Tensor, plain: Tensor) -> dict[str, Any]:
    """Cosines of identities, MAE, perceptual distance, PSNR and SSIM of pictures to originals."""
    a, b = (layers_and_identity(recogniser(), x)[0] for x in (made, plain))
    return {
        "cosine": cosines(made, plain),
        "mae": round(float((made - plain).abs().mean()), 5),
        "perceptual": round(
            float(torch.stack([F.l1_loss(x, y) for x, y in zip(a, b, strict=True)]).mean()), 4
        ),
        "psnr_db": round(float(utility.psnr(made, plain).mean()), 2),
        "ssim": round(float(utility.ssim(made, plain).mean()), 4),
    }


def leak(system: G2Face, made: Anonymised) -> dict[str, Any]:
    """Recovery with the true bits as placeholder, as the paper's code has it, and with others."""
    random = torch.Generator().manual_seed(1)
    anything = torch.randint(2, (len(made.plain), BITS), generator=random).float()
    out = {}
    for name, given in (("random bits", anything), ("true bits", made.bits)):
        found = system.recover(made.hidden, placeholder=given)
        rows = torch.tensor([k for k, one in enumerate(found) if one.picture is not None])
        back = torch.stack([one.picture for one in found if one.picture is not None])
        out[name] = likeness(back, made.plain[rows])
    return out


# Attacks, each with a positive and a null control -------------------------------------------------


def keys(system: G2Face, plain: Tensor) -> dict[str, Any]:
    """How many are recovered: right and wrong passphrases, and pictures that hide nothing."""
    locked = _locked(system, plain)
    tries = {
        "right passphrase": system.recover(locked, "right"),
        "wrong passphrase": system.recover(locked, "wrong"),
        "no passphrase": system.recover(locked),
        "never anonymised": system.recover(plain),
    }
    return {
        name: share(sum(one.picture is not None for one in each), len(each))
        for name, each in tries.items()
    }


def _locked(system: G2Face, plain: Tensor) -> Tensor:
    random = torch.Generator().manual_seed(3)
    return saved(system.anonymise(plain, 1.0, random, passphrase="right"))


def outsider(system: G2Face, made: Anonymised, tested: Tested) -> dict[str, Any]:
    """Who has the extractor, and no permission, reads the identity and names it in a gallery."""
    random = torch.Generator().manual_seed(4)
    locked = _locked(system, made.plain)
    gallery, who = identity_of(recogniser(), tested.front.rgb()), tested.views.identity

    def hits(identity: Tensor, people: Tensor = who) -> list[float]:
        best = tested.front.identity[(identity @ gallery.T).argmax(1)]
        return share(int((best == people).sum()), len(best))

    told = read(system.extracted(made.hidden))[0]
    order = torch.randperm(len(who), generator=random)
    return {
        "reads": hits(told),
        "positive: the original's own identity": hits(coarse(made.own)),
        "null: names drawn anew": hits(told, who[order]),
        "locked by a passphrase": hits(read(system.extracted(locked))[0]),
    }


def without_password(system: G2Face, made: Anonymised, tested: Tested) -> dict[str, Any]:
    """Who has the manipulator and no password gives it any identity, and looks at what comes back.

    What is hidden besides the bits would show: a picture that comes back as the original whatever
    identity is given needs no password.
    """
    random = torch.Generator().manual_seed(7)
    people, count = tested.views.identity, len(made.plain)
    with torch.no_grad():
        dummy = system.parts.dummy(torch.randn(count, NOISE, generator=random))
    given = {
        "a dummy": dummy,
        "another person's": made.own.roll(int((people == people[0]).sum()), 0),
        "positive: the original's own": coarse(made.own),
    }
    out: dict[str, Any] = {}
    for name, identity in given.items():
        bits = torch.randint(2, (count, BITS), generator=random).float()
        back = system.manipulated(made.hidden, identity, bits)
        out[name] = {"named": named(back, tested), "cosine": cosines(back, made.plain)}
        if name == "a dummy":
            order = torch.randperm(count, generator=random)
            out["null: names drawn anew"] = {"named": named(back, tested, people[order])}
    return out


def hair_and_background(parser: Parser, made: Anonymised, tested: Tested) -> dict[str, Any]:
    """Hair, background and neck alone, against the same of known people."""
    gallery = known_by_the_untouched(parser, tested)
    random = torch.Generator().manual_seed(5)
    order = torch.randperm(len(made.plain), generator=random)
    kept = untouched(parser, made.hidden)
    return {
        "named": named(kept, gallery),
        "positive: originals": named(untouched(parser, made.plain), gallery),
        "null: names drawn anew": named(kept, gallery, tested.views.identity[order]),
    }


# The diversity plot, and Table VI -----------------------------------------------------------------


def diversity(system: G2Face, plain: Tensor, sources: int = SOURCES) -> dict[str, Any]:
    """How far anonymised versions of a picture lie apart, and whether they gather by source.

    Of `sources` pictures, DUMMIES versions each: mean distance between a picture's versions, that
    between people, and the silhouette of the versions grouped by picture (1: apart, 0: mixed).
    """
    random = torch.Generator().manual_seed(6)
    few = plain[:: max(1, len(plain) // sources)][:sources]
    made = system.anonymise(few.repeat_interleave(DUMMIES, 0), 1.0, random)
    source = torch.arange(len(few)).repeat_interleave(DUMMIES).numpy()
    out = {}
    for one in scoring():
        versions, people = one.embed(made)[0], one.embed(plain)[0]
        each = versions.reshape(len(few), DUMMIES, -1)
        within = torch.cdist(each, each).sum() / (len(few) * DUMMIES * (DUMMIES - 1))
        between = torch.cdist(people, people).sum() / (len(people) * (len(people) - 1))
        out[one.name] = {
            "versions": round(float(within), 4),
            "people": round(float(between), 4),
            "silhouette": round(float(silhouette_score(versions.numpy(), source)), 4),
        }
    return out


def ablation_row(system: G2Face, tested: Tested) -> dict[str, Any]:
    """A row of Table VI."""
    made = Anonymised.of(system, tested.views.rgb())
    random = torch.Generator().manual_seed(8)
    anything = torch.randint(2, made.bits.shape, generator=random).float()
    back = system.manipulated(made.hidden, coarse(made.own), anything)
    errors = (system.extracted(made.hidden) > 0).float() != made.bits
    return {
        "anonymised": cosines(made.hidden, made.plain),
        "recovered": cosines(back, made.plain),
        "recovered_psnr_db": round(float(utility.psnr(back, made.plain).mean()), 2),
        "bit_error": round(float(errors.float().mean()), 5),
        **used(made.hidden, made.plain),
    }
