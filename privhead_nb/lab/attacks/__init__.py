"""Attacks, one a file. Each takes what a release holds, and says on its card what it needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What an attack needed: to be printed beside its score.

    Attributes:
        attack: its name.
        knowledge: what it knows apart from the release.
        data: pictures of other people that it learned from.
        cost: what it computed.
        seed: of all that is random in it.
    """

    attack: str
    knowledge: str
    data: str
    cost: str
    seed: int
