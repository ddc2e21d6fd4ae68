"""No attack: the released modulus, shown as a grey picture to a recogniser of clean faces.

This is the protected-original pairing of the paper's Table 2: what a user fears first, and the
weakest test of all. Edges come white on black, or black on white as in a drawing.
"""

from __future__ import annotations

from torch import Tensor

from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.recognition import Recogniser
from privhead_nb.privacy.operators import Operator


def as_grey(moduli: Tensor, operator: Operator, *, inverted: bool = False) -> Tensor:
    """(N, H, H) -> (N, H, H, 3) in [0, 1]: a quarter of the peak is white, or black."""
    grey = (moduli / (0.25 * operator.peak)).clamp(0, 1)
    grey = 1 - grey if inverted else grey
    return grey[..., None].expand(*grey.shape, 3)


def shown_to(
    recogniser: Recogniser, operator: Operator, *, size: int = 64, inverted: bool = False
) -> Attack:
    """A clean recogniser looks at the moduli; its gallery holds pictures as they are."""

    def picture(moduli: Tensor) -> Tensor:
        return as_grey(moduli, operator, inverted=inverted)

    def probe(moduli: Tensor) -> Tensor:
        return recogniser.embed(picture(moduli))[0]

    def enrol(colours: Tensor) -> Tensor:
        return recogniser.embed(colours)[0]

    card = Card(
        attack=f"no attack, shown to {recogniser.name}" + (", inverted" if inverted else ""),
        knowledge="none",
        data="none",
        cost="none",
        seed=0,
    )
    return Attack(card, probe, enrol, picture, operator, size)
