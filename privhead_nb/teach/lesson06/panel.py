"""Lesson 6's panel: a picture, another one, and their moduli, which are the same."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor

from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson06 import data, multiplicity
from privhead_nb.teach.lesson06.figures import gallery

OPERATOR, SIZE, PERSON = Operator(), 48, 3
REST: dict[str, Any] = {"subject": "head", "turn": 0, "flips": 0, "stripes": 0.0, "noise": 0.0}
TWIN: list[dict[str, Any]] = [
    REST | {"turn": 150},
    REST | {"subject": "islands", "flips": 5},
    REST | {"stripes": 0.08},
    REST | {"turn": 240, "noise": 0.05},
]


@cache
def subject_of(name: str) -> Tensor:
    """(48, 48, 3): a made "head", or the nine "islands"."""
    return data.front(SIZE)[PERSON, 0] if name == "head" else multiplicity.islands(SIZE)


def other(subject: str, turn: int, flips: int, stripes: float) -> Tensor:
    """(48, 48, 3) a picture with the subject's modulus: parts flipped, colours turned, striped."""
    picture = subject_of(subject)
    count = multiplicity.parts(OPERATOR.modulus(picture))[1]
    for part in range(1, min(flips, count) + 1):
        picture = multiplicity.flipped(picture, OPERATOR, part)
    if turn:
        picture = multiplicity.recoloured(picture, multiplicity.turn(turn))
    amplitude = torch.full((SIZE,), stripes, dtype=torch.float64)
    return picture + multiplicity.unseen(amplitude, 0 * amplitude)[..., None]


def picture(subject: str, turn: int, flips: int, stripes: float, noise: float) -> widgets.View:
    """Both pictures and both moduli, the first as it is released."""
    truth, another = subject_of(subject), other(subject, turn, flips, stripes)
    operator = OPERATOR.with_noise(noise)
    released = operator.protect(truth, torch.Generator().manual_seed(6))
    modulus = OPERATOR.modulus(another)
    off = float((modulus - released).abs().max())
    apart = float((another - truth).square().mean().sqrt())
    tiles = {"the picture": truth, "another one": another}
    tiles |= {"released (square root)": released, "modulus of the other": modulus}
    fits = "fits" if multiplicity.in_range(another) else "does NOT fit"
    facts = (
        f"the pictures differ by {apart:.3f} (rms), the moduli by {off:.1e} at most; "
        f"the other picture {fits} into 0 to 1"
    )
    alt = (
        f"Four tiles of the {subject}: the picture; another one (colours turned by {turn} degrees, "
        f"{flips} parts flipped, stripes of {stripes:g}); what is released of the first with noise "
        f"{noise:g}; the modulus of the other. {facts[0].upper()}{facts[1:]}."
    )
    return widgets.View(gallery([tiles], width=8), alt, facts)


def controls() -> dict[str, Any]:
    """What is shown, the turn of colours, flipped parts, stripes and noise."""
    return {
        "subject": widgets.choice("subject", ("head", "islands")),
        "turn": widgets.whole("turn [deg]", 0, 345, 15, 150),
        "flips": widgets.whole("flipped parts", 0, 9, 1, 0),
        "stripes": widgets.real("stripes", 0.0, 0.2, 0.02, 0.0),
        "noise": widgets.real("noise", 0.0, 0.1, 0.01, 0.0),
    }
