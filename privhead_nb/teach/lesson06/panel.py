"""Lesson 6's panel: a picture, another one, and their moduli, which are the same."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.lab.attacks import multiplicity
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson06 import faces
from privhead_nb.teach.lesson06.irreversibility import drawn

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

OPERATOR, SIZE, PERSON = Operator(), 48, 3
ZOOM, GAP = 4, 4  # screen pixels a pixel, and between tiles
_REST: dict[str, Any] = {"subject": "head", "turn": 0, "flips": 0, "stripes": 0.0, "noise": 0.0}
TWIN: list[dict[str, Any]] = [
    _REST | {"turn": 150},
    _REST | {"subject": "islands", "flips": 5},
    _REST | {"stripes": 0.08},
    _REST | {"turn": 240, "noise": 0.05},
]


def other(subject: str, turn: int, flips: int, stripes: float) -> Tensor:
    """(48, 48, 3) a picture with the subject's modulus: parts flipped, colours turned, striped."""
    picture = _subject(subject)
    for part in range(1, min(flips, _count(subject)) + 1):
        picture = multiplicity.flipped(picture, OPERATOR, part)
    if turn:
        picture = multiplicity.recoloured(picture, multiplicity.turn(turn))
    amplitude = torch.full((SIZE,), stripes, dtype=torch.float64)
    return picture + multiplicity.unseen(amplitude, 0 * amplitude)[..., None]


def picture(subject: str, turn: int, flips: int, stripes: float, noise: float) -> View:
    """Both pictures and both moduli, the first as it is released."""
    from matplotlib.figure import Figure

    truth, another = _subject(subject), other(subject, turn, flips, stripes)
    operator = OPERATOR.with_noise(noise)
    released = operator.protect(truth, torch.Generator().manual_seed(6))
    modulus = OPERATOR.modulus(another)
    off = float((modulus - released).abs().max())
    apart = float((another - truth).square().mean().sqrt())
    tiles = [drawn(p) for p in (truth, another, released, modulus)]
    side = SIZE * ZOOM + GAP
    strip = np.ones((SIZE * ZOOM, 4 * side - GAP, 3))
    for number, tile in enumerate(tiles):
        strip[:, number * side : number * side + SIZE * ZOOM] = np.kron(
            tile, np.ones((ZOOM, ZOOM, 1))
        )
    figure = Figure(figsize=(8, 2.3), dpi=100)
    ax = figure.add_axes((0, 0, 1, 0.88))
    ax.imshow(strip, interpolation="nearest")
    ax.set_axis_off()
    names = ("the picture", "another one", "released of it", "modulus of the other")
    for number, name in enumerate(names):
        figure.text(0.125 + 0.25 * number, 0.91, name, ha="center", fontsize=10)
    fits = multiplicity.in_range(another)
    facts = (
        f"the pictures differ by {apart:.3f} (rms), the moduli by {off:.1e} at most; "
        f"the other picture {'fits' if fits else 'does NOT fit'} into 0 to 1"
    )
    alt = (
        f"Four tiles of the {subject}: the picture; another one (colours turned by {turn} degrees, "
        f"{flips} parts flipped, stripes of {stripes:g}); what is released of the first with noise "
        f"{noise:g}; the modulus of the other. {facts[0].upper()}{facts[1:]}."
    )
    return widgets.View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """What is shown, the turn of colours, flipped parts, stripes and noise."""
    return {
        "subject": widgets.choice("subject", ("head", "islands")),
        "turn": widgets.whole("turn [deg]", 0, 345, 15, 150),
        "flips": widgets.whole("flipped parts", 0, 9, 1, 0),
        "stripes": widgets.real("stripes", 0.0, 0.2, 0.02, 0.0),
        "noise": widgets.real("noise", 0.0, 0.1, 0.01, 0.0),
    }


@cache
def _subject(name: str) -> Tensor:
    return faces.front(SIZE)[PERSON, 0] if name == "head" else multiplicity.islands(SIZE)


@cache
def _count(name: str) -> int:
    return multiplicity.parts(OPERATOR.modulus(_subject(name)))[1]
