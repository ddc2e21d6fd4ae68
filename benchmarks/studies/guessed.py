"""Whom recognisers take guessed pictures for: the score of every attack that makes pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.protocol import Rate, compare, identification
from privhead_nb.lab.recognisers import Recogniser


def recognised(
    pictures: Tensor, who: Tensor, gallery: FaceDataset, judges: Sequence[Recogniser]
) -> dict[str, dict[str, Any]]:
    """Rank-1 and rank-5 rates of guesses among known people, for each recogniser.

    Args:
        pictures: (N, H, H, 3) guesses.
        who: (N,) whose pictures they should be.
        gallery: portraits of known people, other pictures than the guesses were made from.
        judges: recognisers that no attack learned from.

    Returns:
        For each judge: "right", the rates with their 95 % intervals (value, low, high); "shuffled",
        the same with each guess under the next person's name, the null control; "chance".

    Raises:
        LabError: guesses of one person only, who can't be shuffled.
    """
    who = who.contiguous()
    people = torch.unique(who)
    if len(people) < 2:
        raise LabError(
            "all guesses are of one person", where="guesses", remedy="Attack at least two people."
        )
    other = people[(torch.searchsorted(people, who) + 1) % len(people)]
    found: dict[str, dict[str, Any]] = {}
    for judge in judges:
        known, _ = judge.embed(gallery.rgb())
        vectors, made = judge.embed(pictures)
        rates: dict[str, Any] = {"probes": len(who), "people": len(people)}
        for name, names in (("right", who), ("shuffled", other)):
            scores = compare(
                vectors.numpy(), names.numpy(), known.numpy(), gallery.identity.numpy(),
                made.numpy(),
            )  # fmt: skip
            ranks = identification(scores)
            rates[name] = {f"rank{k}": three(r) for k, r in ranks.rank.items()}
            rates["chance"] = {f"rank{k}": v for k, v in ranks.chance.items()}
        found[judge.name] = rates
    return found


def three(rate: Rate) -> list[float] | str:
    """Value, low and high end of the interval; or why it isn't known."""
    return [round(v, 4) for v in (rate.value, rate.low, rate.high)] if rate.known else rate.why
