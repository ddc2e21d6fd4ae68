"""What face detectors see in the pictures: how many faces, and the landmarks of the largest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from privhead_nb.capture.photographs import smaller
from privhead_nb.capture.views import View
from privhead_nb.lab.recognisers import published

LOOKED_AT = 800
"""Longer side, pixels, of the pictures in which faces are looked for."""


def detectors() -> dict[str, published.Detector]:
    """dlib's HOG, and MTCNN where it is installed; each finds faces that the other misses.

    Raises:
        LabError: dlib is missing, without which there are no landmarks.
    """
    found = {"hog": published.dlib_hog()}
    if published.mtcnn_available():
        found["mtcnn"] = published.mtcnn()
    return found


def look_for_faces(
    views: Sequence[View], folder: Path, *, progress: bool = False
) -> dict[str, Any]:
    """Look for faces in each view's picture.

    Args:
        views: placed pictures.
        folder: of their copies.
        progress: show a bar.

    Returns:
        `detectors`, the names of those that looked; `faces`, how many the most generous one saw,
        by the view's name; `landmarks`, 68 pixel positions of the largest face, of views with one.

    Raises:
        LabError: dlib or its weights are missing.
    """
    finders, marks_of = detectors(), published.landmarks_68()
    faces: dict[str, int] = {}
    landmarks: dict[str, Any] = {}
    for view in tqdm(views, desc="look for faces", disable=not progress):
        picture = view.picture(folder)
        small = smaller(picture, LOOKED_AT)
        scale = picture.shape[1] / small.shape[1]
        boxes = [find(small) for find in finders.values()]
        faces[view.name] = max(len(b) for b in boxes)
        largest = next((b[0] for b in boxes if len(b)), None)
        if largest is not None:
            marks = marks_of(picture, np.asarray(largest) * scale)
            landmarks[view.name] = marks.tolist()
    return {"detectors": [*finders], "faces": faces, "landmarks": landmarks}
