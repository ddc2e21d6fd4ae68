"""Portraits of made people side by side as one picture, whose header says whose they are.

    gallery.webp   the gallery that ships: 100 people of "evaluation", from the front, and half of
                   them in views within 45 degrees too; lossless
    album.png      what lessons 6 and 9 read

Both stand in benchmarks/results, written by `python benchmarks/studies/stored_faces.py`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.faces import FACES_VERSION, VARIANTS, FaceDataset
from privhead_nb.lab.framing import SIZE
from privhead_nb.resources import RESULTS

COMMAND = "python benchmarks/studies/stored_faces.py"
GALLERY = RESULTS / "gallery.webp"
COLUMNS = 15  # pictures in a row of it


@cache
def read_sheet(path: Path, columns: int, variants: int = len(VARIANTS)) -> FaceDataset:
    """The portraits of a PNG or WebP sheet of `columns` pictures in a row; masks are 0.

    A portrait has a picture for each of VARIANTS, or 1 `variants`, taken for all of them.

    Raises:
        LabError: no such file, or of another generator or another version of data sets.
    """
    try:
        with Image.open(path) as picture:
            told = picture.info["xmp" if picture.format == "WEBP" else "facts"]
            facts = json.loads(told)
            sheet = torch.from_numpy(np.array(picture.convert("RGB")))
    except Exception as error:
        raise LabError(f"can't be read: {error}", where=path, remedy=COMMAND) from error
    found = (facts["generator"], facts["album"])
    if found != (GENERATOR_VERSION, FACES_VERSION):
        raise LabError(
            f"generator and data set are {found}, not this package's", where=path, remedy=COMMAND
        )
    tiles = sheet.reshape(-1, SIZE, columns, SIZE, 3).permute(0, 2, 1, 3, 4)
    identity, role, yaw = (torch.tensor(facts[name]) for name in ("identity", "role", "yaw"))
    pictures = tiles.reshape(len(identity), variants, SIZE, SIZE, 3).contiguous()
    of_each = pictures if variants > 1 else pictures[:, 0]
    return replace(FaceDataset.of_pictures(identity, role, of_each), yaw=yaw)


def shipped_gallery() -> FaceDataset:
    """The gallery that ships: a frontal portrait each, and of half of them views.

    All variants are the whole one. A person's views are dealt out so that every other one of them
    shows both of the person's expressions.

    Raises:
        LabError: it is missing, damaged or of another version.
    """
    return read_sheet(GALLERY, COLUMNS, 1)
