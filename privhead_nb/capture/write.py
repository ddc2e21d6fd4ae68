"""The scene: each view cut to a square around the head, with its mask, camera and role."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from privhead_nb.capture.frame import HeadFrame
from privhead_nb.capture.hull import Hull, Mask
from privhead_nb.capture.roles import ViewRole
from privhead_nb.capture.views import View
from privhead_nb.scenes.formats.parts import list_pictures
from privhead_nb.scenes.images import resize_area, write_image

AROUND = 1.06
"""Side of a view's square over the outline of the bounding sphere in it."""
FACE_RADIUS = 95.0
"""Of the face region for distances, mm (H3DS's protocol)."""


@dataclass(frozen=True)
class Square:
    """A square of a picture: first column and row, side, all in whole pixels."""

    left: int
    top: int
    side: int


def square_around(view: View, center: Sequence[float], radius: float) -> Square:
    """The square around the outline of a sphere, moved into the picture as far as it fits."""
    middle, depth = view.project(np.array([center], np.float64))
    reach = radius * view.focal / np.sqrt(max(float(depth[0]) ** 2 - radius**2, 1e-9))
    side = max(8, int(np.ceil(2 * AROUND * reach)))
    left, top = (round(float(m) + 0.5 - side / 2) for m in middle[0])
    if side <= view.width:
        left = int(np.clip(left, 0, view.width - side))
    if side <= view.height:
        top = int(np.clip(top, 0, view.height - side))
    return Square(left, top, side)


def cut_square(pixels: NDArray[Any], square: Square, size: int, beyond: int) -> NDArray[np.float32]:
    """A square of pixels (H, W) or (H, W, 3) uint8 at `size`, in [0, 1]; `beyond` its edges."""
    height, width = pixels.shape[:2]
    canvas = np.full((square.side, square.side, *pixels.shape[2:]), beyond, np.uint8)
    x0, y0 = max(0, square.left), max(0, square.top)
    x1, y1 = min(width, square.left + square.side), min(height, square.top + square.side)
    if x1 > x0 and y1 > y0:
        canvas[y0 - square.top : y1 - square.top, x0 - square.left : x1 - square.left] = (
            pixels[y0:y1, x0:x1]
        )  # fmt: skip
    if square.side >= size:
        return resize_area(canvas.astype(np.float32) / 255, size, size)
    found = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(found, np.float32) / np.float32(255)


def world_matrix(view: View, square: Square, size: int) -> NDArray[np.float64]:
    """(4, 4) K [R|t] of a view's square at `size`; pixel centres are at 0.5."""
    scale = size / square.side
    K = np.array(
        [
            [view.focal * scale, 0, (view.width / 2 - square.left) * scale],
            [0, view.focal * scale, (view.height / 2 - square.top) * scale],
            [0, 0, 1],
        ]
    )
    found = np.eye(4)
    found[:3] = K @ np.column_stack([view.R, -view.R @ view.center])
    return found


def scene_names(views: Sequence[View]) -> list[str]:
    """A file name for each view: the user's, made plain, without ending; each once."""
    found: list[str] = []
    for view in views:
        stem = re.sub(r"[^A-Za-z0-9_.-]+", "_", Path(view.name).stem).strip("._-") or "view"
        name, number = stem, 1
        while name.lower() in (f.lower() for f in found):
            number += 1
            name = f"{stem}_v{number}"
        found.append(name)
    return found


def write_scene(
    out: Path,
    views: Sequence[View],
    masks: Sequence[Mask],
    roles: Sequence[ViewRole],
    head: HeadFrame,
    hull: Hull,
    folder: Path,
    *,
    size: int,
    progress: bool = False,
) -> dict[str, Any]:
    """Write image/, mask/, cameras.npz and scene.json into `out`, which must be empty.

    Args:
        out: the folder.
        views: in the head's frame.
        masks: of them, (H, W).
        roles: of them.
        head: its frame.
        hull: of the head, above the neck plane.
        folder: of the pictures' copies.
        size: width and height of the scene's pictures.
        progress: show a bar.

    Returns:
        Sphere, pixels of the squares before they were resized, and the scene's name of each file.
    """
    center, radius = hull.sphere()
    (out / "image").mkdir()
    (out / "mask").mkdir()
    names = scene_names(views)
    squares = [square_around(view, center, radius) for view in views]
    rows = list(zip(views, masks, squares, names, strict=True))
    for view, mask, square, name in tqdm(rows, desc="write", disable=not progress):
        write_image(
            out / "image" / f"{name}.png", cut_square(view.picture(folder), square, size, 255)
        )
        write_image(out / "mask" / f"{name}.png", cut_square(mask, square, size, 0))
    place = {name: row for row, name in enumerate(names)}
    order = [place[path.stem] for path in list_pictures(out / "image")]
    scale = np.diag([radius, radius, radius, 1.0])
    scale[:3, 3] = center
    mats: dict[str, Any] = {}
    for number, row in enumerate(order):
        mats[f"world_mat_{number}"] = world_matrix(views[row], squares[row], size)
        mats[f"scale_mat_{number}"] = scale
    np.savez(out / "cameras.npz", **mats)
    listed: dict[str, list[str]] = {"sensitive": [], "neutral": [], "unused": []}
    for row in order:
        listed[roles[row].role].append(f"{names[row]}.png")
    scene = {
        "unit": head.unit,
        "pixel_center": 0.5,
        "background": [255, 255, 255],
        "axes": "opencv",
        "up": "+y",
        "front": "+z",
        "licence": "",
        "nose_tip": list(head.nose_tip),
        "face_radius": FACE_RADIUS,
        "landmarks": head.landmarks.tolist(),
        "views": listed,
    }
    (out / "scene.json").write_text(json.dumps(scene, indent=1) + "\n", encoding="utf-8")
    return {
        "center": list(center),
        "radius": radius,
        "square_pixels": [square.side for square in squares],
        "names": {view.name: f"{name}.png" for view, name in zip(views, names, strict=True)},
    }
