"""`scene.json`: what a folder of views can't say by itself, and which of its views are which.

Views are sensitive, neutral or unused: by file name, by file number, or by place. A view goes out
in colour only if it is neutral, and it is neutral only if somebody said so.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from privhead_nb.errors import SceneError, listed
from privhead_nb.reading import Record, is_number, read_json
from privhead_nb.scenes.camera import AXES, Axis, Vec3
from privhead_nb.scenes.checks import UNITS
from privhead_nb.scenes.formats.parts import numbers_in

ROLES = ("sensitive", "neutral", "unused")

FIELDS = (
    *("unit", "pixel_center", "background", "axes", "up", "front"),
    *("licence", "nose_tip", "face_radius", "views", "landmarks", "center", "radius"),
)
MAX_LANDMARKS = 100_000
MAX_LICENCE = 1000
FARTHEST = 1e9
"""Largest coordinate or radius, scene unit: maps reach 1e7 m."""

_NUMBERS = re.compile(r"(?:(file|position)\s*:)?\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")

Entry = int | str


@dataclass(frozen=True)
class SceneInfo:
    """The checked contents of scene.json; None where it says nothing."""

    views: dict[str, list[Entry] | None] = field(default_factory=dict)
    unit: str | None = None
    pixel_center: float | None = None
    background: Vec3 | None = None
    up: Axis | None = None
    front: Axis | None = None
    center: Vec3 | None = None
    radius: float | None = None
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
    if ("center" in data) != ("radius" in data):
        raise data.wrong(
            "radius" if "center" in data else "center",
            "given too: center and radius of the bounding sphere belong together",
        )
    background = _vec3(data, "background", 0, 255)
    if background is not None:
        red, green, blue = background
        background = (red / 255, green / 255, blue / 255)
    return SceneInfo(
        views=_views(data),
        unit=data.text("unit", UNITS) if "unit" in data else None,
        pixel_center=data.number("pixel_center") if "pixel_center" in data else None,
        background=background,
        up=_axis(data, "up"),
        front=_axis(data, "front"),
        center=_vec3(data, "center", -FARTHEST, FARTHEST),
        radius=data.number("radius", 1e-9, FARTHEST) if "radius" in data else None,
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


def _axis(data: Record, key: str) -> Axis | None:
    """A named axis, or three numbers for one that is none of the coordinates'."""
    if not isinstance(data.data.get(key), list):
        return data.text(key, AXES) if key in data else None
    axis = data.vec3(key, -FARTHEST, FARTHEST)
    if not any(abs(a) > 1e-6 for a in axis):
        raise data.wrong(key, "a direction: one of " + ", ".join(AXES) + ", or three numbers")
    return axis


def parse_views(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """The views that a text such as "0-4,img_0007.png" names, sorted and each once.

    Between commas stand file names, patterns ("front_*.png"), numbers or ranges of numbers. After
    "file:" numbers are those in the file names, after "position:" places in the sorted list, from
    0. Plain numbers are taken only where both are the same.

    Raises:
        SceneError: no such notation, no such view, or numbers with two meanings.
    """
    known = _Known(names, "--sensitive")
    chosen: set[int] = set()
    kind = ""
    for part in map(str.strip, text.split(",")):
        match = _NUMBERS.fullmatch(part)
        if match is not None:
            kind = match[1] or kind  # a prefix holds for the numbers after it too
            part = part if match[1] or not kind else f"{kind}:{part}"
        chosen.update(known.views(part))
    return tuple(sorted(chosen))


def read_roles(
    lists: Mapping[str, Sequence[Entry] | None], names: Sequence[str], path: Path
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sensitive and neutral views as scene.json's lists name them; the others are unused.

    Where only neutral views (and unused ones) are named, all others are sensitive.

    Args:
        lists: by role, numbers and file names; None where a role isn't given.
        names: file name of each view's picture.
        path: scene.json, for messages.

    Raises:
        SceneError: an unknown view, a view in two places, or views that no list names.
    """
    known = _Known(names, path)
    role: dict[int, str] = {}
    found: dict[str, list[int]] = {key: [] for key in ROLES}
    for key in ROLES:
        for entry in lists.get(key) or ():
            for view in known.views(entry):
                if view in role:
                    raise SceneError(
                        f"the view {names[view]} is named twice, under {role[view]} and {key}",
                        where=path,
                        remedy="A view is sensitive, neutral or unused: name it once.",
                    )
                role[view] = key
                found[key].append(view)
    left = [view for view in range(len(names)) if view not in role]
    if left and lists.get("sensitive") is None and lists.get("neutral") is not None:
        found["sensitive"] = left
    elif left:
        raise SceneError(
            f"{len(left)} views have no role: {listed(names[v] for v in left)}",
            where=path,
            remedy="Name each under views as neutral, sensitive or unused; a view goes out in "
            "colour only if its name stands under neutral.",
        )
    return tuple(found["sensitive"]), tuple(found["neutral"])


def file_numbers(names: Sequence[str]) -> list[int] | None:
    """The one number in each name that differs from file to file, None where there is none."""
    rows = [numbers_in(Path(name)) for name in names]
    if not rows or len({len(row) for row in rows}) != 1:
        return None
    columns = [list(column) for column in zip(*rows, strict=True)]
    varying = [column for column in columns if len(set(column)) > 1]
    if len(names) == 1:
        varying = columns
    return varying[0] if len(varying) == 1 else None


class _Known:
    """The views of a scene by file name, file number and place; `where` is for messages."""

    def __init__(self, names: Sequence[str], where: str | Path) -> None:
        self.names, self.where = names, where
        self.place = {name: view for view, name in enumerate(names)}
        self.numbers = file_numbers(names)
        digits = any(numbers_in(Path(name)) for name in names)
        self.plain = not digits or self.numbers == list(range(len(names)))

    def views(self, entry: Entry) -> list[int]:
        """The views that a number, a range, a file name or a pattern names."""
        text = str(entry)
        match = _NUMBERS.fullmatch(text)
        if match is not None:
            return self._numbered(match[1], int(match[2]), int(match[3] or match[2]), text)
        if text in self.place:
            return [self.place[text]]
        if views := [v for v, name in enumerate(self.names) if text and fnmatchcase(name, text)]:
            return views
        near = difflib.get_close_matches(text[:100], self.names, 1)
        hint = f"Did you mean {near[0]}?" if near else f"The pictures are {listed(self.names)}."
        raise SceneError(f"there is no view {text[:100]!r}", where=self.where, remedy=hint)

    def _numbered(self, kind: str | None, first: int, last: int, said: str) -> list[int]:
        places = f'"position:0-{len(self.names) - 1}" for places in the sorted list'
        if kind is None and not self.plain:
            by_file = ""
            if self.numbers is not None:
                low, high = min(self.numbers), max(self.numbers)
                by_file = f'"file:{low}-{high}" for the numbers in the file names, '
            raise SceneError(
                f"view {said} has two meanings: the pictures, {listed(self.names)}, aren't "
                "numbered by their places 0, 1, 2, ...",
                where=self.where,
                remedy=f"Write {by_file}{places}, or file names.",
            )
        if kind == "file" and self.numbers is None:
            raise SceneError(
                f"can't read {said!r}: no single number tells the file names apart",
                where=self.where,
                remedy=f"Write {places}, or file names.",
            )
        if kind == "file" and self.numbers is not None:
            low, high = min(self.numbers), max(self.numbers)
            views = [v for v, number in enumerate(self.numbers) if first <= number <= last]
        else:
            low, high = 0, len(self.names) - 1
            views = list(range(first, min(last, high) + 1))
        if not views or first < low or last > high:
            raise SceneError(
                f"there is no view {said} of {len(self.names)} views",
                where=self.where,
                remedy=f"They are numbered {low} to {high}.",
            )
        return views
