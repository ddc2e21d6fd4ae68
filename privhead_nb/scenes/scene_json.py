"""`scene.json`: what a folder of views can't say by itself. Read and checked here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from privhead_nb.errors import SceneError
from privhead_nb.reading import Record, is_number, read_json
from privhead_nb.scenes.about import AXES, UNITS
from privhead_nb.scenes.camera import Vec3
from privhead_nb.scenes.roles import ROLES, Entry

FIELDS = (
    *("unit", "pixel_center", "background", "axes", "up", "front"),
    *("licence", "nose_tip", "face_radius", "views", "landmarks"),
)
MAX_LANDMARKS = 100_000
MAX_LICENCE = 1000
FARTHEST = 1e9
"""Largest coordinate or radius, scene unit: maps reach 1e7 m."""


@dataclass(frozen=True)
class SceneInfo:
    """The checked contents of scene.json; None where it says nothing."""

    views: dict[str, list[Entry] | None] = field(default_factory=dict)
    unit: str | None = None
    pixel_center: float | None = None
    background: Vec3 | None = None
    up: str = "+y"
    front: str | None = None
    licence: str = ""
    nose_tip: Vec3 | None = None
    face_radius: float | None = None
    landmarks: np.ndarray | None = None


def read_scene_json(path: Path) -> SceneInfo:
    """Read and check scene.json.

    Raises:
        SceneError: damaged, or a field that is unknown or wrong; the message names it.
    """
    data = read_json(path, error=SceneError, remedy=f"It should look like:\n{template()}")
    data.only(FIELDS)
    if "axes" in data and data.get("axes") != "opencv":
        raise data.wrong("axes", "opencv: cameras with x right, y down, z forward")
    if "pixel_center" in data:
        pixel_center = data.get("pixel_center")
        if not is_number(pixel_center) or pixel_center not in (0, 0.5):
            raise data.wrong("pixel_center", "0 or 0.5")
    landmarks = None
    if "landmarks" in data:
        landmarks = data.array("landmarks", (None, 3), -FARTHEST, FARTHEST)
        if len(landmarks) > MAX_LANDMARKS:
            raise data.wrong("landmarks", f"a list of at most {MAX_LANDMARKS} points")
    background = _vec3(data, "background", 0, 255)
    if background is not None:
        red, green, blue = background
        background = (red / 255, green / 255, blue / 255)
    return SceneInfo(
        views=_views(data),
        unit=data.text("unit", UNITS) if "unit" in data else None,
        pixel_center=data.number("pixel_center") if "pixel_center" in data else None,
        background=background,
        up=data.text("up", AXES) if "up" in data else "+y",
        front=data.text("front", AXES) if "front" in data else None,
        licence=data.text("licence", most=MAX_LICENCE) if "licence" in data else "",
        nose_tip=_vec3(data, "nose_tip", -FARTHEST, FARTHEST),
        face_radius=data.number("face_radius", 1e-9, FARTHEST) if "face_radius" in data else None,
        landmarks=landmarks,
    )


def template(names: Sequence[str] = (), unit: str = "mm", pixel_center: float = 0) -> str:
    """A scene.json to paste: all views sensitive, until their names are moved to neutral."""
    sensitive = f'"sensitive": {json.dumps(list(names), ensure_ascii=False)}, ' if names else ""
    return f"""{{
 "unit": "{unit}",
 "pixel_center": {pixel_center:g},
 "background": [255, 255, 255],
 "axes": "opencv",
 "up": "+y",
 "front": "+z",
 "licence": "",
 "nose_tip": null,
 "face_radius": null,
 "views": {{{sensitive}"neutral": []}}
}}"""


def missing_scene_json(path: Path, names: Sequence[str], unit: str) -> SceneError:
    """The error that asks for a scene.json and shows one to paste."""
    return SceneError(
        f"{'names no views' if path.is_file() else 'the file is missing'}, so nobody knows which "
        f"of the {len(names)} views are sensitive",
        where=path,
        remedy=f"Pass --sensitive with the names of the views that show the face (such as "
        f"{names[0]}), or write this, and move the views that may go out in colour from "
        f"sensitive to neutral:\n{template(names[:100] if len(names) <= 100 else (), unit)}",
    )


def _views(data: Record) -> dict[str, list[Entry] | None]:
    """Numbers and names by role; nothing is known yet of the views that there are."""
    if "views" not in data:
        return {}
    views = data.record("views")
    views.only(ROLES)
    lists: dict[str, list[Entry] | None] = {}
    for role in ROLES:
        value = views.get(role) if role in views else None
        fits = value is None or isinstance(value, list)
        if not fits or not all(type(v) in (int, str) for v in value or ()):
            raise views.wrong(role, "a list of file names or view numbers")
        lists[role] = value
    return lists


def _vec3(data: Record, key: str, low: float, high: float) -> Vec3 | None:
    return data.vec3(key, low, high) if key in data else None
