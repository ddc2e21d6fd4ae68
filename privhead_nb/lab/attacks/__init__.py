"""Attacks, one a file. Each takes what a release holds, and says on its card what it needs.

Two things come out of an attack: a guess at the pictures, scored against the truth (`scores.py`),
or vectors that are held against a gallery of known people, scored by the protocol. The second kind
is an `Attack`, whatever it does inside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from privhead_nb.privacy.operators import Operator


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


@dataclass(frozen=True, eq=False)
class Attack:
    """A way to say who is in a protected picture, given a gallery of known people.

    Args:
        card: what it needed.
        probe: (N, H, H) float32 released moduli -> (N, D) vectors.
        enrol: (N, H, H, 3) float32 colours of known people -> (N, D) vectors of the same space.
        picture: (N, H, H) -> (N, H, H, 3) guessed colours, where the attack makes pictures.
        operator: the protection that it was made for; None where pictures are not protected: a
            positive control, whose probes are colours (N, H, H, 3), or grey pictures where the
            attack says so.
        size: H of the protected pictures, pixels.
    """

    card: Card
    probe: Callable[[Tensor], Tensor]
    enrol: Callable[[Tensor], Tensor]
    picture: Callable[[Tensor], Tensor] | None = None
    operator: Operator | None = None
    size: int = 64
