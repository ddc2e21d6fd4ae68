"""Lesson 16's panel: whom a wrong front, a narrow limit or a missing detector gives away."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from privhead_nb.capture.frame import DOUBT
from privhead_nb.capture.roles import FACE_ANGLE
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson16 import photos
from privhead_nb.teach.widgets import View
from privhead_nb.viz.style import NEUTRAL, SENSITIVE, grid, image

SETTING: dict[str, Any] = {"off": 0, "limit": round(FACE_ANGLE + DOUBT), "detector": True}
"""Where the panel starts: as the package does it."""
TWIN: list[dict[str, Any]] = [
    SETTING,
    SETTING | {"off": 40},
    SETTING | {"limit": 70, "detector": False},
]


@cache
def _shown() -> tuple[Any, Any, Any]:
    """Thumbnails, true places of the cameras, and faces seen, in the order of the photographs."""
    faces = photos.kept()["faces"]["faces"]
    small, seen = [], []
    for path in sorted(photos.PHOTOS.glob("*.jpg")):
        with Image.open(path) as stored:
            small.append(photos.thumb(np.asarray(ImageOps.exif_transpose(stored))))
        seen.append(faces.get(path.name, -1))
    return small, photos.true_cameras(), np.array(seen)


def leaks(off: int, limit: int, detector: bool) -> tuple[Any, Any, Any]:
    """For each photograph: true degrees from the front, is it neutral, and does it show the face.

    Args:
        off: degrees by which the found front is turned to one side.
        limit: degrees from the found front up to which a view is sensitive.
        detector: whether a face that a detector sees counts.
    """
    _, centers, seen = _shown()
    toward = centers / np.linalg.norm(centers, axis=1, keepdims=True)
    front = np.array([np.sin(np.radians(off)), 0, np.cos(np.radians(off))])
    true = np.degrees(np.arccos(toward[:, 2]))
    found = np.degrees(np.arccos(toward @ front))
    neutral = (found > limit) & ((seen == 0) | (not detector))
    return true, neutral, neutral & (true <= FACE_ANGLE)


def picture(off: int, limit: int, detector: bool) -> View:
    """All photographs by their true angle, framed by role; those that leak a face are named."""
    small = _shown()[0]
    true, neutral, wrong = leaks(off, limit, detector)
    columns = 9
    figure, axes = grid(-(-len(small) // columns), columns, width=9.5, height=4.1)
    every = [ax for line in axes for ax in line]
    for ax, row in zip(every, np.argsort(true), strict=False):
        colour = NEUTRAL if neutral[row] else SENSITIVE
        said = "LEAKS" if wrong[row] else "neutral" if neutral[row] else "sensitive"
        image(ax, small[row], f"{true[row]:.0f} deg\n{said}")
        ax.spines[:].set(visible=True, color=colour, linewidth=5 if wrong[row] else 2.5)
    for ax in every[len(small) :]:
        ax.set_axis_off()
    how = "with" if detector else "without"
    figure.suptitle(f"front found {off} degrees off, limit {limit} degrees, {how} a detector")
    facts = (
        f"{(~neutral).sum()} sensitive, {neutral.sum()} neutral, of which {wrong.sum()} show the "
        "face and would go out in colour"
    )
    alt = (
        f"The photographs in the order of their angle from the front. Front found {off} degrees "
        f"off, limit {limit} degrees, {'with' if detector else 'without'} a detector: {facts}."
    )
    return View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """How wrong the front is, the limit, and the detector."""
    limits = (70, 90, 110, 125, SETTING["limit"], 150)
    return {
        "off": widgets.whole("front off", 0, 60, 5, SETTING["off"]),
        "limit": widgets.choice("limit", limits, SETTING["limit"]),
        "detector": widgets.tick("a detector looks, too", SETTING["detector"]),
    }
