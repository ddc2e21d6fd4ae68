"""Lesson 16's photographs, and what pycolmap and the detectors found in them: both stored.

`python benchmarks/studies/made_film.py lesson` renders and captures them (minutes): a made
head in a papered room, by a phone that writes its focal length into EXIF and was held on its side
or upside down at times. The notebook asks neither pycolmap nor a detector.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.scenes.camera import Cameras, directions, look_at

PHOTOS = Path(__file__).with_name("photos")
KEPT = Path(__file__).with_name("kept.json")
IDENTITY, FRAMES, SIZE = 41, 26, 256
PUPILS = 57.0
"""What a ruler says, mm."""
TURNED = {2: 6, 5: 8, 9: 3, 12: 6, 14: 6, 15: 6, 18: 8, 21: 3}
"""EXIF orientation of the photographs that weren't held upright, by their numbers."""
ROOM = 1500.0
"""Half of the room's side, mm."""


def walk(
    frames: int,
    *,
    size: int = 320,
    fov: float = 40.0,
    elevations: Sequence[float] = (2.0, 24.0),
    distance: float = 700.0,
    seed: int = 0,
) -> tuple[Cameras, NDArray[np.float64]]:
    """Cameras on a walk around a head, the elevations (degrees) in turn; and azimuths (V,)."""
    random = np.random.default_rng(seed)
    azimuth = np.linspace(-180, 180, frames, endpoint=False) + random.uniform(-2, 2, frames)
    height = np.resize(elevations, frames) + random.uniform(-1, 1, frames)
    away = distance * random.uniform(0.96, 1.04, frames)
    eyes = away[:, None] * directions(np.radians(azimuth), np.radians(height))
    aim = torch.from_numpy(random.uniform(-15, 15, (frames, 3)) + np.array([0, -25, 0]))
    focal = 0.5 * size / np.tan(np.radians(fov) / 2)
    K = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]], dtype=torch.float64)
    c2w = look_at(torch.from_numpy(eyes), aim)
    return Cameras(K.repeat(frames, 1, 1), c2w, size, size, 0.5), azimuth


def true_cameras() -> Any:
    """(V, 3) where the cameras stood, in the head's frame, mm."""
    return walk(FRAMES, size=SIZE, seed=IDENTITY)[0].centers.double().numpy()


def kept() -> dict[str, Any]:
    """The stored poses and faces."""
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def thumb(pixels: Any) -> Any:
    """The middle of pixels (256, 256, 3) as (64, 64, 3) in [0, 1], 16 levels: small as PNG."""
    small = cv2.resize(pixels[40:216, 40:216], (64, 64), interpolation=cv2.INTER_AREA)
    return np.round(small / 17) / 15
