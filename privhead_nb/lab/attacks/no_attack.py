"""The no-attack baseline: the released modulus as a grey picture, before a clean recogniser.

The protected-original pairing of the paper's Table 2: the weakest test of all. Edges come white on
black, or black on white as in a drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.privacy.operators import Operator


def as_grey(moduli: Tensor, operator: Operator, *, inverted: bool = False) -> Tensor:
    """Moduli (N, H, H) as grey pictures (N, H, H, 3): a quarter of the peak is white, or black."""
    grey = (moduli / (0.25 * operator.peak)).clamp(0, 1)
    grey = 1 - grey if inverted else grey
    return grey[..., None].expand(*grey.shape, 3)


def no_attack(
    recogniser: Recogniser, operator: Operator, *, size: int = 64, inverted: bool = False
) -> Attack:
    """A clean recogniser looks at the moduli; its gallery holds pictures as they are."""
    name = f"no attack, shown to {recogniser.name}" + (", inverted" if inverted else "")
    card = Card(name, knowledge="none", data="none", cost="none", seed=0)
    picture = partial(as_grey, operator=operator, inverted=inverted)
    return by_pictures(card, picture, recogniser, operator, size)


def by_pictures(
    card: Card,
    picture: Callable[[Tensor], Tensor],
    recogniser: Recogniser,
    operator: Operator | None,
    size: int,
) -> Attack:
    """An attack whose pictures of moduli a recogniser of clean pictures looks at."""

    def look(colours: Tensor) -> Tensor:
        return recogniser.embed(colours)[0]

    return Attack(card, lambda released: look(picture(released)), look, picture, operator, size)
