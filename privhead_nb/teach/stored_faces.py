"""The stored portraits of lessons 6 and 9: 24 made people of the group "evaluation", five each.

`python benchmarks/studies/stored_faces.py` makes them: a frontal picture and four views within 45
degrees of each person, side by side in one PNG, in the lab's three variants.
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

SHEET = RESULTS / "album.png"
COMMAND = "python benchmarks/studies/stored_faces.py"
COLUMNS = 15  # pictures in a row of the sheet: five portraits in three variants


@cache
def load(path: Path = SHEET) -> FaceDataset:
    """The portraits of a sheet; without masks and normals, which are 0.

    Raises:
        LabError: no such file, or of another generator or another version of data sets.
    """
    try:
        with Image.open(path) as picture:
            facts = json.loads(picture.text["facts"])  # type: ignore[attr-defined]
            sheet = torch.from_numpy(np.array(picture.convert("RGB")))
    except Exception as error:
        raise LabError(f"can't be read: {error}", where=path, remedy=COMMAND) from error
    found = (facts["generator"], facts["album"])
    if found != (GENERATOR_VERSION, FACES_VERSION):
        raise LabError(
            f"generator and data set are {found}, not this package's", where=path, remedy=COMMAND
        )
    tiles = sheet.reshape(-1, SIZE, COLUMNS, SIZE, 3).permute(0, 2, 1, 3, 4)
    count = len(facts["identity"])
    pictures = tiles.reshape(count, len(VARIANTS), SIZE, SIZE, 3).contiguous()
    identity, role, yaw = (torch.tensor(facts[name]) for name in ("identity", "role", "yaw"))
    return replace(FaceDataset.of_pictures(identity, role, pictures), yaw=yaw)
