"""`scene.json`: what a folder of views can't say by itself. Read, checked and written here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import Vec3

TEMPLATE = """{
 "unit": "mm",
 "pixel_center": 0.5,
 "background": [255, 255, 255],
 "axes": "opencv",
 "up": "+y",
 "front": "+z",
 "licence": "",
 "nose_tip": [0.0, 0.0, 100.0],
 "face_radius": 95.0,
 "views": {"sensitive": [0, 1, 2], "neutral": [3, 4, 5]}
}"""
_AXES = ("+x", "-x", "+y", "-y", "+z", "-z")


@dataclass(frozen=True)
class SceneInfo:
    """The checked contents of scene.json; None where it says nothing."""

    sensitive: tuple[int, ...] | None = None
    neutral: tuple[int, ...] | None = None
    unit: str | None = None
    pixel_center: float | None = None
    background: Vec3 | None = None
    up: str = "+y"
    front: str = "+z"
    licence: str = ""
    nose_tip: Vec3 | None = None
    face_radius: float | None = None
    landmarks: tuple[Vec3, ...] | None = None


def read_scene_json(path: Path) -> SceneInfo:
    """Read and check scene.json.

    Raises:
        SceneError: damaged, or a field that is wrong; the message names it.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SceneError(
            f"can't be read as JSON ({error})",
            where=path,
            remedy=f"It should look like:\n{TEMPLATE}",
        ) from error
    if not isinstance(data, dict):
        raise SceneError("holds no object", where=path, remedy=f"It should look like:\n{TEMPLATE}")
    if data.get("axes", "opencv") != "opencv":
        raise SceneError(
            f"axes is {data['axes']!r}",
            where=path,
            remedy='Only "opencv" cameras (x right, y down, z forward) are read.',
        )
    views = data.get("views", {})
    if not isinstance(views, dict):
        raise _wrong(path, "views", views, 'an object with "sensitive" and "neutral" lists')
    background = _numbers(data, "background", path, 3)
    if background is not None and not all(0 <= b <= 255 for b in background):
        raise _wrong(path, "background", background, "three numbers from 0 to 255")
    pixel_center = data.get("pixel_center")
    if pixel_center not in (None, 0, 0.5):
        raise _wrong(path, "pixel_center", pixel_center, "0 or 0.5")
    up, front = data.get("up", "+y"), data.get("front", "+z")
    if up not in _AXES or front not in _AXES or up[1] == front[1]:
        raise _wrong(path, "up and front", [up, front], "two different axes such as +y and +z")
    radius = data.get("face_radius")
    if radius is not None and not (_is_number(radius) and radius > 0):
        raise _wrong(path, "face_radius", radius, "a positive number")
    for key in ("unit", "licence"):
        if not isinstance(data.get(key, ""), str):
            raise _wrong(path, key, data[key], "a string")
    landmarks = data.get("landmarks")
    if landmarks is not None and not isinstance(landmarks, list):
        raise _wrong(path, "landmarks", landmarks, "a list of [x, y, z]")
    return SceneInfo(
        sensitive=_views(views, "sensitive", path),
        neutral=_views(views, "neutral", path),
        unit=data.get("unit"),
        pixel_center=pixel_center,
        background=None if background is None else _vec3([b / 255 for b in background]),
        up=up,
        front=front,
        licence=data.get("licence", ""),
        nose_tip=_optional_vec3(_numbers(data, "nose_tip", path, 3)),
        face_radius=None if radius is None else float(radius),
        landmarks=None if landmarks is None else tuple(_landmark(p, path) for p in landmarks),
    )


def parse_views(text: str, count: int) -> tuple[int, ...]:
    """View numbers of "0-19" or "0-4,7", sorted and each once.

    Raises:
        SceneError: no such notation, or a view that isn't among `count` views.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part)
        if match is None:
            raise SceneError(
                f"can't read the views {text!r}",
                where="--sensitive",
                remedy='Write ranges and numbers, such as "0-19" or "0-4,7".',
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last or last >= count:
            raise SceneError(
                f"views {part.strip()} of a scene with {count} views",
                where="--sensitive",
                remedy=f"Views are numbered 0 to {count - 1}.",
            )
        chosen.update(range(first, last + 1))
    return tuple(sorted(chosen))


def missing_scene_json(path: Path, views: int) -> SceneError:
    """The error that asks for a scene.json and shows one to paste."""
    return SceneError(
        f"the file is missing, so nobody knows which of the {views} views are sensitive",
        where=path,
        remedy=f"Pass --sensitive (such as 0-{max(views // 2 - 1, 0)}) or write it:\n{TEMPLATE}",
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _numbers(data: dict[str, Any], key: str, path: Path, count: int) -> list[float] | None:
    value = data.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != count or not all(map(_is_number, value)):
        raise _wrong(path, key, value, f"{count} numbers")
    return [float(v) for v in value]


def _views(views: dict[str, Any], key: str, path: Path) -> tuple[int, ...] | None:
    value = views.get(key)
    if value is None:
        return None
    whole = isinstance(value, list) and all(
        isinstance(v, int) and not isinstance(v, bool) for v in value
    )
    if not whole:
        raise _wrong(path, f"views.{key}", value, "a list of view numbers")
    return tuple(value)


def _landmark(point: Any, path: Path) -> Vec3:
    if not isinstance(point, list) or len(point) != 3 or not all(map(_is_number, point)):
        raise _wrong(path, "landmarks", point, "a list of [x, y, z]")
    return _vec3(point)


def _vec3(values: Sequence[float]) -> Vec3:
    return (float(values[0]), float(values[1]), float(values[2]))


def _optional_vec3(values: list[float] | None) -> Vec3 | None:
    return None if values is None else _vec3(values)


def _wrong(path: Path, field: str, value: Any, expected: str) -> SceneError:
    return SceneError(f"{field} is {value!r}", where=path, remedy=f"It must be {expected}.")
