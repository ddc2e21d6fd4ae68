"""transforms.json and its kin: frames with a picture and an OpenGL camera-to-world matrix each.

NeRF's Blender scenes, instant-ngp and nerfstudio share the file; `blender` and `nerfstudio` read
what differs.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from privhead_nb.errors import SceneError
from privhead_nb.reading import Record, parse_json, read_text
from privhead_nb.scenes.formats.posed import Matrix, check_pose, named_picture

MAX_FRAMES = 100_000
WIDEST = 3.1
"""Field of view, radians, of a pinhole that a lens can have; half a turn has none."""

_REMEDY = "It should hold frames, each with file_path and transform_matrix: docs/formats.md."


def read_transforms(path: Path, remedy: str = _REMEDY) -> Record:
    """The object of a camera file in JSON; a NaN in it is told by its frame and field.

    Raises:
        SceneError: missing, damaged, or with numbers that are none.
    """
    text = read_text(path, error=SceneError, remedy=remedy)
    try:
        return parse_json(text, path, error=SceneError, remedy=remedy)
    except SceneError:
        field = _not_finite(text)
        if not field:
            raise
        raise SceneError(
            f"{field} has NaN or infinite numbers",
            where=path,
            remedy="This view was never posed: take it out, or calibrate again.",
        ) from None


def _not_finite(text: str) -> str:
    """The first field of a frame, or of the file, that holds NaN; "" where none does."""
    try:
        data = json.loads(text)
        frames = data["frames"] if isinstance(data.get("frames"), list) else []
    except (ValueError, RecursionError, AttributeError, KeyError):
        return ""
    fields = {f"frames[{i}].": frame for i, frame in enumerate(frames)} | {"": data}
    for within, record in fields.items():
        for key, value in record.items() if isinstance(record, dict) else ():
            if key == "frames":
                continue
            if not all(math.isfinite(v) for v in _floats(value)):
                return within + key
    return ""


def _floats(value: Any) -> list[float]:
    if isinstance(value, list):
        return [v for entry in value for v in _floats(entry)]
    return [value] if isinstance(value, float) else []


def frames_of(data: Record) -> list[Record]:
    """The frames, each with its own place for messages; SceneError unless it is a list of some."""
    frames = data.get("frames")
    if not isinstance(frames, list) or not 1 <= len(frames) <= MAX_FRAMES:
        raise data.wrong("frames", "a list of views, each with file_path and transform_matrix")
    found = []
    for i, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise SceneError(f"frames[{i}] is no object", where=data.path, remedy=_REMEDY)
        found.append(Record(frame, data.path, SceneError, _REMEDY, f"frames[{i}]."))
    return found


def frame_picture(folder: Path, frame: Record, key: str = "file_path") -> Path:
    """The picture that a frame names; SceneError where there is none, or it is outside."""
    return named_picture(folder, frame.text(key), where=frame.path, field=frame.within + key)


def frame_pose(frame: Record) -> Matrix:
    """(4, 4) camera to scene, OpenCV axes, from the OpenGL matrix of a frame.

    Raises:
        SceneError: wrong shape, mirrored or sheared axes.
    """
    matrix = frame.array("transform_matrix", (None, 4))
    if len(matrix) not in (3, 4):
        raise frame.wrong("transform_matrix", "4 x 4 numbers, or their upper 3 x 4")
    field = frame.within + "transform_matrix"
    pose = check_pose(matrix, where=frame.path, field=field)
    pose[:3, 1:3] *= -1
    return pose


def focal_of_angle(data: Record, key: str, pixels: int) -> float:
    """Focal length, in pixels, of a field of view in radians over so many pixels."""
    angle = data.number(key, 1e-3, 1e6)
    if angle >= WIDEST:
        raise data.wrong(key, f"an angle in radians, below {WIDEST:g}; {angle:g} may be degrees")
    return 0.5 * pixels / math.tan(angle / 2)


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Matrix:
    """(3, 3) K without skew."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)
