"""What a user may choose of a capture, checked where it is made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from privhead_nb.errors import SceneError

MIN_VIEWS = 8
"""Pictures that are left to work with; fewer carry neither poses nor a head."""
PUPILS = 62.0
"""Millimetres between the pupils of a grown-up, about; stands in where nobody measured them."""


@dataclass(frozen=True)
class CaptureSettings:
    """How pictures become a scene.

    Args:
        fov: angle of view over the longer side of the pictures, degrees; None where unknown.
        pupils: between the pupils, mm; None leaves the scene's unit unknown.
        neck: how far under the chin the head ends, mm.
        frames: of a film, how many are taken.
        size: width and height of the scene's pictures, pixels.
        features: SIFT points of a picture, at most.
        threads: for features, matches and maps; 0 takes all cores.

    Raises:
        SceneError: a number out of its range, by the name of its option.
    """

    fov: float | None = None
    pupils: float | None = None
    neck: float = 25.0
    frames: int = 60
    size: int = 512
    features: int = 3000
    threads: int = 0

    def __post_init__(self) -> None:
        ranges = {
            "fov": (5.0, 150.0, "degrees over the longer side of the pictures; a phone has 60-75"),
            "pupils": (40.0, 80.0, "millimetres; grown-ups have 54 to 74"),
            "neck": (-20.0, 150.0, "millimetres under the chin"),
            "frames": (MIN_VIEWS, 300, "frames; 40 to 80 are usual"),
            "size": (64, 2048, "pixels"),
            "features": (200, 20000, "points of a picture"),
            "threads": (0, 1024, "threads"),
        }
        for name, (low, high, said) in ranges.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise SceneError(
                    f"is {value:g}", where=f"--{name}", remedy=f"Give {low:g} to {high:g} {said}."
                )
