"""Who comes first, and does it mean anything: vectors of one source against a gallery."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.known_people import Known
from privhead_nb.lab.protocol import Comparison, calibrate

FMRS = (1e-3, 1e-2)
ENOUGH = 30  # expected false matches; with fewer a threshold is given with a note
FIRST = 5
WARNING = (
    "Someone always comes first, in the gallery or not. Only a similarity above a threshold says "
    "more, and one source is no rate: privhead study privacy measures rates."
)


@dataclass(frozen=True, eq=False)
class Guess:
    """A guessed picture.

    Args:
        picture: (H, H, 3) in [0, 1].
        misfit: mean |its modulus - the released one|, colour per pixel; beyond noise and rounding.
        share: the same, of the mean released modulus.
    """

    picture: Tensor
    misfit: float
    share: float


@dataclass(frozen=True, eq=False)
class Held:
    """What an attack made of a source and of a gallery. All vectors have unit length.

    Args:
        card: what the attack needed.
        one: (D,) whom the source shows.
        views: how many of its views were used.
        known: (M, D) of the gallery.
        who: (M,) places in the gallery's names.
        others: (P, D) people of the gallery, one vector each, from other pictures, protected as
            the source is.
        other: (P,) their places.
        why: why there are none.
        guesses: view -> guessed picture, where the attack makes pictures.
    """

    card: Card
    one: Tensor
    views: int
    known: Tensor
    who: Tensor
    others: Tensor = field(default_factory=lambda: torch.zeros(0, 1))
    other: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    why: str = ""
    guesses: dict[int, Guess] = field(default_factory=dict)


def named(held: Held, known: Known, truth: str | None = None) -> dict[str, Any]:
    """The first few of the gallery, thresholds, and the true person's rank if that is asked for.

    Raises:
        LabError: the attack has no vector for the source.
    """
    if not bool(torch.isfinite(held.one).all()) or float(held.one.norm()) < 0.5:
        raise LabError(
            "the attack found no face in the source",
            where=held.card.attack,
            remedy="Try another attack. That none is found is no proof of privacy.",
        )
    people = len(known.names)
    alike = best_of_each(held.one[None], held.known, held.who, people)[0]
    order = alike.argsort(descending=True, stable=True).tolist()
    first = [
        {"person": known.names[i], "similarity": round(float(alike[i]), 4)} for i in order[:FIRST]
    ]
    found: dict[str, Any] = {
        "first": first,
        "views": held.views,
        "gallery": {"people": people, "pictures": len(held.who), "from": known.source},
        "chance": round(1 / people, 6),
        "thresholds": thresholds(held, people, float(alike[order[0]])),
        "warning": WARNING,
    }
    if truth is not None:
        own = alike[known.place(truth)]
        tied = int((alike == own).sum()) - 1
        rank = 1 + int((alike > own).sum()) + tied / 2
        found["truth"] = {"person": truth, "rank": rank, "similarity": round(float(own), 4)}
    return found


def best_of_each(probes: Tensor, known: Tensor, who: Tensor, people: int) -> Tensor:
    """(P, people) cosines of each person's best picture."""
    alike = probes @ known.T
    low = torch.full((len(probes), people), -2.0)
    return low.scatter_reduce(1, who.expand_as(alike), alike, "amax")


def thresholds(held: Held, people: int, similarity: float) -> list[dict[str, Any]]:
    """For each of FMRS: the threshold, and whether `similarity` passes it; or why there is none.

    It comes from pairs of different people of the gallery, one side protected as the source is. A
    pair of those passes it in at most a share FMR of all cases.
    """
    pairs = len(held.others) * (people - 1)
    found: list[dict[str, Any]] = []
    for fmr in FMRS:
        if held.why:
            found.append({"fmr": fmr, "why": held.why})
            continue
        one: dict[str, Any] = {"fmr": fmr, "pairs": pairs}
        if pairs * fmr < 1 - 1e-9:
            one["why"] = f"{pairs} pairs of different people; {1 / fmr:,.0f} are needed"
        else:
            alike = best_of_each(held.others, held.known, held.who, people)
            comparison = Comparison(
                alike.double().numpy(), held.other.numpy(), torch.arange(people).numpy()
            )
            limit = calibrate(comparison, fmr)
            one |= {"threshold": round(limit, 4), "passed": similarity >= limit}
            if pairs * fmr < ENOUGH - 1e-9:
                one["note"] = f"from few pairs: {pairs:,}; {ENOUGH / fmr:,.0f} are wanted"
        found.append(one)
    return found
