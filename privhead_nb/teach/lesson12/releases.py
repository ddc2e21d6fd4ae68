"""The stored pictures of lesson 12: people as they are, and drawn again from noisy identity codes.

`python benchmarks/studies/noisy_codes.py` makes them: one sheet of tiles, lossless.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.heads.codes import IDENTITY_NAMES
from privhead_nb.lab.framing import random_light
from privhead_nb.resources import RESULTS

SHEET = RESULTS / "noisy_codes.webp"
COMMAND = "python benchmarks/studies/noisy_codes.py"
PEOPLE, DRAWS = 20, 10  # the first of "evaluation", and releases of each
SCALE = 0.4  # of the noise: the paper's largest
KNOWN = 50  # people of the gallery whose portraits are parsed
YAW, PITCH = 20.0, 7.0  # most degrees
COLUMNS = 20  # tiles in a row of the sheet
STEP = 28  # between the greys that stand for labels


@dataclass(frozen=True, eq=False)
class Releases:
    """Pictures uint8, and labels, indices into `heads.surface.LABELS`, of P people, D draws."""

    originals: Tensor  # (P, 64, 64, 3)
    labels: Tensor  # (P, 64, 64)
    noisy: Tensor  # (P, D, 64, 64, 3)
    noisy_labels: Tensor  # (P, D, 64, 64)
    gallery_labels: Tensor  # (KNOWN, 64, 64) of the gallery's frontal portraits


def session(number: int) -> tuple[tuple[float, float], Tensor, Tensor]:
    """A person's yaw and pitch, degrees; light (27,); noise (DRAWS, 64) of spread 1."""
    random = torch.Generator().manual_seed(12_000 + number)
    yaw, pitch = (2 * torch.rand(2, generator=random) - 1).tolist()
    noise = torch.randn(DRAWS, len(IDENTITY_NAMES), generator=random)
    return (YAW * yaw, PITCH * pitch), random_light(random), noise


def load(path: Path = SHEET) -> Releases:
    """What the study wrote.

    Raises:
        LabError: no such file, or of another size.
    """
    try:
        with Image.open(path) as picture:
            sheet = torch.from_numpy(np.array(picture.convert("RGB")))
    except OSError as error:
        raise LabError(f"can't be read: {error}", where=path, remedy=COMMAND) from error
    sizes = ((PEOPLE,), (PEOPLE,), (PEOPLE, DRAWS), (PEOPLE, DRAWS), (KNOWN,))
    counts = [int(np.prod(size)) for size in sizes]
    rows = -(-sum(counts) // COLUMNS)
    if sheet.shape != (64 * rows, 64 * COLUMNS, 3):
        raise LabError(f"is {tuple(sheet.shape)} large", where=path, remedy=COMMAND)
    tiles = sheet.reshape(rows, 64, COLUMNS, 64, 3).transpose(1, 2).reshape(-1, 64, 64, 3)
    parts = [
        part.reshape(*size, 64, 64, 3)
        for part, size in zip(tiles[: sum(counts)].split(counts), sizes, strict=True)
    ]
    for which in (1, 3, 4):
        parts[which] = parts[which][..., 0] // STEP
    return Releases(*parts)
