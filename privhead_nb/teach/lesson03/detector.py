"""Made portraits, a face detector, and how often it finds their faces: lesson 3's instruments.

The detector is scikit-image's cascade of local binary patterns, whose numbers come with the
library: nothing is downloaded. It is old and small, and that is the point: what even this one
finds, others find. What it does not find may well be found, or recognised, by others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.heads.grid import sample_grid
from privhead_nb.heads.head import make_head
from privhead_nb.heads.tracer import render
from privhead_nb.kernels.dispatch import prefer
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.camera import custom_rig
from privhead_nb.scenes.images import read_image, resize_area
from privhead_nb.viz.palette import modulus_picture

Picture = NDArray[np.float32]

SIDE = 256  # pixels of a portrait, and of what the detector is shown
LINES = ("light", "dark")
STORED, COLUMNS = 12, 6  # portraits in the stored sheet: fronts first, then the backs

_STEP = 1.05  # ratio of two sizes that the detector tries
_LEAST, _MOST = 80, 180  # pixels of a face in SIDE, as someone who knows about the distance has it
_GRID = 2.5  # mm: where a ray starts its exact steps


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


def portraits_of(identity: int, *, size: int = SIDE, samples: int = 3) -> tuple[Portrait, Portrait]:
    """Front and back of a made head, from 900 mm in studio light, on white."""
    head = make_head(identity)
    eyes = [(0.0, -5.0, 900.0), (0.0, -5.0, -900.0)]
    cameras, _, _ = custom_rig(eyes, [0], target=(0.0, -20.0, 0.0), size=size, fov_deg=21.0)
    grid = sample_grid(head.sdf, _GRID, coarse=3)
    front, back = render(head, cameras, samples=samples, grid=grid).images.numpy()
    x, y = cameras.project(head.nose_tip()[None])[0][0, 0].tolist()
    name = f"made head {identity}"
    return Portrait(front, (round(x, 1), round(y, 1)), name), Portrait(back, None, name)


@cache
def stored_portraits() -> tuple[tuple[Portrait, ...], tuple[Portrait, ...]]:
    """Fronts and backs of the study's first 12 people, as `studies/detector.py` made them."""
    sheet, people = read_image(RESULTS / "portraits.png"), study()["identities"]
    noses = study()["noses"]
    tiles = [
        np.ascontiguousarray(sheet[SIDE * (k // COLUMNS) :, SIDE * (k % COLUMNS) :][:SIDE, :SIDE])
        for k in range(2 * STORED)
    ]
    names = [f"made head {identity}" for identity in people[:STORED]]
    fronts = [
        Portrait(tile, (float(x), float(y)), name)
        for tile, (x, y), name in zip(tiles, noses, names, strict=False)
    ]
    backs = [Portrait(t, None, n) for t, n in zip(tiles[STORED:], names, strict=True)]
    return tuple(fronts), tuple(backs)


@cache
def photograph() -> Portrait:
    """Eileen Collins by NASA, public domain, cut to the head; scikit-image ships the file."""
    from skimage.data import astronaut

    cut = astronaut()[0:SIDE, 96 : 96 + SIDE]
    return Portrait((cut / np.float32(255)).astype(np.float32), (124.0, 118.0), "photograph")


def shrunk(picture: Picture, size: int) -> Picture:
    """A square picture or mask at `size` pixels, by area average, as `protect` does it."""
    return resize_area(picture, size, size)


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
        if operator.downsample == "first":
            small = torch.from_numpy(shrunk(picture, size))
            return operator.protect(small, generator).numpy()
        full = shrunk(operator.modulus(torch.from_numpy(picture)).numpy(), size)
    scaled = torch.from_numpy(full * (picture.shape[0] / size))
    return operator.degrade(scaled, generator).numpy()


def drawing(modulus: Picture, lines: str = "dark") -> Picture:
    """A modulus (H, W) as a picture (H, W, 3): dark lines on white, or light ones on black."""
    if lines not in LINES:
        raise ValueError(f"lines are {lines!r}, not one of {', '.join(LINES)}")
    dark = modulus_picture(modulus)
    return dark if lines == "dark" else 1 - dark


def enlarged(picture: Picture, side: int = SIDE) -> Picture:
    """A picture (H, W, 3) at the detector's size, bicubic."""
    if picture.shape[0] == side:
        return picture
    return np.clip(cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)


@cache
def cascade() -> Any:
    """The detector, loaded once."""
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def boxes(picture: Picture) -> list[Box]:
    """What the detector calls a face in a picture (SIDE, SIDE, 3)."""
    codes = np.ascontiguousarray(np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8))
    found = cascade().detect_multi_scale(
        codes, _STEP, 1, min_size=(_LEAST, _LEAST), max_size=(_MOST, _MOST)
    )
    return [Box(int(f["c"]), int(f["r"]), int(f["width"])) for f in found]


def finds(portrait: Portrait, picture: Picture) -> bool:
    """Whether the detector, shown `picture` of this portrait, finds its face.

    From the front a box must hold the nose. From behind there is no face, and any box is an alarm.
    """
    found = boxes(enlarged(picture))
    return bool(found) if portrait.nose is None else any(b.holds(portrait.nose) for b in found)


def wilson(found: int, tried: int, z: float = 1.96) -> tuple[float, float]:
    """Ends of Wilson's interval for a share, 95 % by default.

    The shares p whose own scatter reaches what was seen: (found / n - p)^2 <= z^2 p (1 - p) / n.
    """
    if not 0 <= found <= tried or tried < 1:
        raise ValueError(f"{found} of {tried} is no share")
    share, spread = found / tried, z * z / tried
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(spread * share * (1 - share) + spread * spread / 4) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


# The stored study ---------------------------------------------------------------------------------


class Rate(NamedTuple):
    """How many faces of how many were found, and how many backs of as many heads."""

    found: int
    alarms: int
    tried: int

    def words(self) -> str:
        """ "36 of 40 (77 to 96 %)"."""
        low, high = wilson(self.found, self.tried)
        return f"{self.found} of {self.tried} ({100 * low:.0f} to {100 * high:.0f} %)"


@cache
def study() -> dict[str, Any]:
    """benchmarks/results/detectors.json: what `python benchmarks/studies/detector.py` found."""
    path = RESULTS / "detectors.json"
    if not path.is_file():
        raise FileNotFoundError(
            "no detectors.json in benchmarks/results: run `python benchmarks/studies/detector.py`"
        )
    loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


def rate(row: Mapping[str, str]) -> Rate:
    """Of one row of the study, whose "found" and "alarms" have a 0 or 1 for each person."""
    return Rate(row["found"].count("1"), row["alarms"].count("1"), len(row["found"]))


def rows(treatment: str, lines: str) -> dict[int, Rate]:
    """By size, the rates of one treatment and one way of drawing."""
    chosen = [r for r in study()["rows"] if (r["treatment"], r["lines"]) == (treatment, lines)]
    return {r["size"]: rate(r) for r in chosen}


def count(
    operator: Operator, size: int, lines: str, portraits: Sequence[Portrait] | None = None
) -> int:
    """In how many portraits (the stored fronts by default) the detector finds what it looks for."""
    portraits = stored_portraits()[0] if portraits is None else portraits
    return sum(
        finds(p, drawing(released(p.picture, operator, size, seed=k), lines))
        for k, p in enumerate(portraits)
    )
