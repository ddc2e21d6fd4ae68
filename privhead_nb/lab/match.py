"""Who of a gallery comes first, and does it mean anything: embeddings of one source, compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.gallery import Gallery
from privhead_nb.lab.protocol import Comparison, calibrate, too_few

FMRS = (1e-3, 1e-2)
FIRST = 5
WARNING = (
    "Someone always comes first, in the gallery or not. Only a similarity above a threshold says "
    "more, and one source is no rate: privhead study privacy measures rates."
)


@dataclass(frozen=True, eq=False)
class Guess:
    """A guessed picture."""

    picture: Tensor  # (H, W, 3) in [0, 1]
    # mean |its modulus - the released one|, colour per pixel; beyond noise and rounding.
    misfit: float
    share: float  # the same, of the mean released modulus


@dataclass(frozen=True, eq=False)
class Embeddings:
    """What an attack made of a source and of a gallery. All embeddings have unit length."""

    card: Card  # what the attack needed
    probe_embedding: Tensor  # (D,) of whom the source shows
    views: int  # how many of its views were used
    gallery: Tensor  # (M, D) of the gallery's pictures
    who: Tensor  # (M,) places in the gallery's names
    # (P, D) people of the gallery, one embedding each, from other pictures, protected as the source
    # is.
    others: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    # (P,) their places.
    other: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    why: str = ""  # why there are no others
    # view -> guessed picture, where the attack makes pictures.
    guesses: dict[int, Guess] = field(default_factory=dict)


def match(found: Embeddings, gallery: Gallery, truth: str | None = None) -> dict[str, Any]:
    """Whom an attack names, ready for JSON.

    Returns:
        The `first` few of the gallery by similarity (cosine), how many `views` were used, the
        `gallery`, the `chance` of rank-1 by guessing, `thresholds`, a `warning`, and, where it is
        given, the `truth`: the true person's rank (the mean of tied ones) and similarity.

    Raises:
        LabError: the attack has no embedding of the source.
    """
    probe, people = found.probe_embedding, len(gallery.names)
    if not bool(torch.isfinite(probe).all()) or float(probe.norm()) < 0.5:
        raise LabError(
            "the attack found no face in the source",
            where=found.card.attack,
            remedy="Try another attack. That none is found is no proof of privacy.",
        )
    alike = best_of_each(probe[None], found.gallery, found.who, people)[0]
    order = alike.argsort(descending=True, stable=True).tolist()
    named: dict[str, Any] = {
        "first": [
            {"person": gallery.names[i], "similarity": round(float(alike[i]), 4)}
            for i in order[:FIRST]
        ],
        "views": found.views,
        "gallery": {"people": people, "pictures": len(found.who), "from": gallery.source},
        "chance": round(1 / people, 6),
        "thresholds": thresholds(found, people, float(alike[order[0]])),
        "warning": WARNING,
    }
    if truth is not None:
        own = alike[gallery.names.index(truth)]
        tied = int((alike == own).sum()) - 1
        rank = 1 + int((alike > own).sum()) + tied / 2
        named["truth"] = {"person": truth, "rank": rank, "similarity": round(float(own), 4)}
    return named


def best_of_each(probes: Tensor, gallery: Tensor, who: Tensor, people: int) -> Tensor:
    """(P, people) cosines of each person's best picture."""
    alike = probes @ gallery.T
    low = torch.full((len(probes), people), -2.0)
    return low.scatter_reduce(1, who.expand_as(alike), alike, "amax")


def thresholds(found: Embeddings, people: int, similarity: float) -> list[dict[str, Any]]:
    """For each of FMRS: the threshold, and whether `similarity` passes it; or why there is none.

    Pairs of different people of the gallery, one side protected as the source is, pass it in at
    most a share FMR of all cases.
    """
    if found.why:
        return [{"fmr": fmr, "why": found.why} for fmr in FMRS]
    pairs, rows = len(found.others) * (people - 1), []
    alike = best_of_each(found.others, found.gallery, found.who, people)
    comparison = Comparison(
        alike.double().numpy(), found.other.numpy(), torch.arange(people).numpy()
    )
    for fmr in FMRS:
        row: dict[str, Any] = {"fmr": fmr, "pairs": pairs}
        why, note = too_few(fmr, pairs)
        if why:
            row["why"] = why
        else:
            limit = calibrate(comparison, fmr)
            row |= {"threshold": round(limit, 4), "passed": similarity >= limit}
            if note:
                row["note"] = note
        rows.append(row)
    return rows
