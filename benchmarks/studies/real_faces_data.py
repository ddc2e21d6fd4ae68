"""Photographs of forty real people, read from where the user has them; no copy is ever made.

The ORL faces (Samaria and Harter 1994, Olivetti Research Laboratory; please credit it): ten grey
pictures each of 40 people. As files, sN/K.pgm of 92 x 112 pixels, in the folder PRIVHEAD_ORL, or by
scikit-learn's `fetch_olivetti_faces`, 64 x 64 pixels, which fetches them if they are not in its
`data_home`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import Ints
from privhead_nb.scenes.images import resize_area

SIZE = 64  # pixels of a release
LARGE = 256  # pixels that published detectors are shown
DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data" / "orl_faces"
REMEDY = (
    "Name the folder of the ORL faces, s1/1.pgm to s40/10.pgm, by PRIVHEAD_ORL, or let "
    "scikit-learn fetch them: --olivetti."
)


@dataclass(frozen=True, eq=False)
class RealFaces:
    """N pictures of real people, in the order of people."""

    small: Tensor  # (N, 64, 64, 3) grey in [0, 1]: what would be protected
    large: Tensor  # (N, 256, 256, 3) the same enlarged from what is stored, for detectors
    who: Ints  # (N,) whose
    source: str  # "ORL" or "Olivetti"


def folder() -> Path:
    """Where the files are: PRIVHEAD_ORL, or beside the repository."""
    return Path(os.environ.get("PRIVHEAD_ORL") or DEFAULT)


def orl_faces(root: Path | None = None) -> RealFaces:
    """The ORL faces of a folder, cropped to the middle 92 rows and brought to 64 pixels.

    Raises:
        LabError: no such folder, a file that is no picture, people with too few pictures.
    """
    root = folder() if root is None else root
    people = [p for p in root.glob("s*") if p.is_dir() and re.fullmatch(r"s\d+", p.name)]
    if not people:
        raise LabError("there are no ORL faces", where=root, remedy=REMEDY)
    squares, who = [], []
    for person in sorted(people, key=lambda p: int(p.name[1:])):
        files = sorted(person.glob("*.pgm"), key=lambda p: (len(p.stem), p.stem))
        for file in files:
            squares.append(_square(file))
            who.append(int(person.name[1:]))
    return _faces(squares, np.array(who), "ORL")


def olivetti_faces(data_home: Path | None = None) -> RealFaces:
    """The same people by scikit-learn, which has them cropped, at 64 pixels.

    Raises:
        LabError: they are not there and can't be fetched.
    """
    from sklearn.datasets import fetch_olivetti_faces

    try:
        found = fetch_olivetti_faces(data_home=data_home)
    except Exception as error:  # whatever a download trips over
        raise LabError(
            f"can't be had ({error})", where="fetch_olivetti_faces", remedy=REMEDY
        ) from error
    return _faces(list(found.images), found.target.astype(np.int64), "Olivetti")


def _square(file: Path) -> np.ndarray:
    """(W, W) the middle rows of a portrait picture, in [0, 1]."""
    grey = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    if grey is None or min(grey.shape) < SIZE:
        raise LabError("is no picture of 64 pixels or more", where=file, remedy=REMEDY)
    high, wide = grey.shape
    top = max(0, (high - wide) // 2)
    return np.float32(grey[top : top + wide]) / 255


def _faces(squares: list[np.ndarray], who: Ints, source: str) -> RealFaces:
    counts = np.unique(who, return_counts=True)[1]
    if len(counts) < 4 or counts.min() < 2 or len(np.unique(counts)) > 1:
        raise LabError(
            f"{len(counts)} people with {counts.min()} to {counts.max()} pictures each",
            where=source,
            remedy="Give at least four people with two pictures each, all with as many.",
        )
    large = [cv2.resize(x, (LARGE, LARGE), interpolation=cv2.INTER_CUBIC) for x in squares]
    small = [resize_area(x, SIZE, SIZE) for x in squares]
    return RealFaces(_grey(small), _grey(large), who, source)


def _grey(pictures: list[np.ndarray]) -> Tensor:
    x = torch.from_numpy(np.stack(pictures)).clamp(0, 1)
    return x[..., None].expand(*x.shape, 3)
