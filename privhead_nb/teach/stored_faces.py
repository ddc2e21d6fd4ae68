"""The stored portraits of lessons 6 and 9: 24 made people of the group "evaluation", five each.

`python benchmarks/studies/stored_faces.py` makes them: a frontal picture and four views within 45
degrees of each person, side by side in one PNG, in the lab's three variants.
"""

from __future__ import annotations

from pathlib import Path

from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.sheet import COMMAND, read_sheet
from privhead_nb.resources import RESULTS

__all__ = ["COLUMNS", "COMMAND", "SHEET", "load"]

SHEET = RESULTS / "album.png"
COLUMNS = 15  # pictures in a row of the sheet: five portraits in three variants


def load(path: Path = SHEET) -> FaceDataset:
    """The portraits of a sheet; without masks, which are 0.

    Raises:
        LabError: no such file, or of another generator or another version of data sets.
    """
    return read_sheet(path, COLUMNS)
