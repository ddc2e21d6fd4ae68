"""Lesson 3's instruments: portraits of made heads, and an old face detector.

The detector is scikit-image's cascade of local binary patterns, whose numbers come with the
library: nothing is downloaded. It is old and small, and that is the point: what even this one
finds, others find. What it does not find may well be found, or recognised, by others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.kernels.dispatch import prefer
from privhead_nb.lab.recognisers.published import cascade
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.protect import released_modulus
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.images import read_image
from privhead_nb.teach import results
from privhead_nb.viz.style import modulus_picture

if TYPE_CHECKING:
    import pandas as pd

Picture = NDArray[np.float32]

SIDE = 256  # pixels of a portrait, and of what the detector is shown
LINES = ("light", "dark")
STORED, COLUMNS = 12, 6  # portraits in the stored sheet: fronts first, then the backs

_STEP = 1.05  # ratio of two sizes that the detector tries
_LEAST, _MOST = 80, 180  # pixels of a face in SIDE, as someone who knows about the distance has it


class Box(NamedTuple):
    """A square that the detector calls a face; pixels."""

    x: int
    y: int
    width: int

    def holds(self, nose: tuple[float, float]) -> bool:
        """Whether a nose lies in the middle half of the box, which is where a nose belongs."""
        centre = (self.x + self.width / 2, self.y + self.width / 2)
        return all(abs(n - c) <= self.width / 4 for n, c in zip(nose, centre, strict=True))


@dataclass(frozen=True, eq=False)
class Portrait:
    """A picture of a head.

    Args:
        picture: (SIDE, SIDE, 3) float32 in [0, 1].
        nose: x, y of the nose tip, pixels; None from behind.
        name: whose it is.
    """

    picture: Picture
    nose: tuple[float, float] | None
    name: str


def rates() -> pd.DataFrame:
    """The stored study of `benchmarks/studies/detector.py`: faces found and false alarms.

    Returns:
        Index (treatment, lines, size); columns `found` and `alarms`, each of `tried` heads.
    """
    rows = results.frame("detectors", "rows").set_index(["treatment", "lines", "size"])
    ones = rows[["found", "alarms"]].apply(lambda verdicts: verdicts.str.count("1"))
    return ones.assign(tried=rows["found"].str.len())


@cache
def stored_portraits() -> tuple[tuple[Portrait, ...], tuple[Portrait, ...]]:
    """Fronts and backs of the study's first 12 people, as `studies/detector.py` made them."""
    sheet, table = read_image(RESULTS / "portraits.png"), results.table("detectors")
    tiles = [
        np.ascontiguousarray(sheet[SIDE * (k // COLUMNS) :, SIDE * (k % COLUMNS) :][:SIDE, :SIDE])
        for k in range(2 * STORED)
    ]
    names = [f"made head {identity}" for identity in table["identities"][:STORED]]
    noses = [(float(x), float(y)) for x, y in table["noses"][:STORED]]
    fronts = tuple(map(Portrait, tiles[:STORED], noses, names))
    return fronts, tuple(map(Portrait, tiles[STORED:], [None] * STORED, names))


@cache
def photograph() -> Portrait:
    """Eileen Collins by NASA, public domain, cut to the head; scikit-image ships the file."""
    from skimage.data import astronaut

    cut = astronaut()[0:SIDE, 96 : 96 + SIDE]
    return Portrait((cut / np.float32(255)).astype(np.float32), (124.0, 118.0), "photograph")


def released(picture: Picture, operator: Operator, size: int, seed: int = 0) -> Picture:
    """(size, size) modulus that `protect` would release of one square picture (H, W, 3).

    Args:
        picture: colours in [0, 1].
        operator: with its `downsample`; its `background` needs a mask and is left to `protect`.
        size: of the release, pixels.
        seed: of the noise, so that a lesson prints the same twice.
    """
    generator = torch.Generator().manual_seed(seed)
    with prefer("torch"):  # the same bytes with and without the fast kernels, as `protect`
        return released_modulus(picture, operator, size, generator)


def drawing(modulus: Picture, lines: str = "dark") -> Picture:
    """A modulus (H, W) as a picture (H, W, 3): dark lines on white, or light ones on black."""
    if lines not in LINES:
        raise ValueError(f"lines are {lines!r}, not one of {', '.join(LINES)}")
    dark = modulus_picture(modulus)
    return dark if lines == "dark" else 1 - dark


def boxes(picture: Picture) -> list[Box]:
    """What the detector calls a face in a square picture (H, H, 3), H at least SIDE or enlarged."""
    if picture.shape[0] < SIDE:
        large = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        picture = np.asarray(large, np.float32)
    codes = np.ascontiguousarray(np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    found = cascade().detect_multi_scale(
        codes, _STEP, 1, min_size=(_LEAST, _LEAST), max_size=(_MOST, _MOST)
    )
    return [Box(int(f["c"]), int(f["r"]), int(f["width"])) for f in found]


def finds(portrait: Portrait, picture: Picture) -> bool:
    """Whether the detector, shown `picture` of this portrait, finds its face.

    From the front a box must hold the nose. From behind there is no face, and any box is an alarm.
    """
    found = boxes(picture)
    return bool(found) if portrait.nose is None else any(b.holds(portrait.nose) for b in found)
