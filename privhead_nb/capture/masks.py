"""Where the head is in each picture: given masks, or GrabCut between a model and the visual hull.

A rough person (head, neck and shoulders, placed by the face's landmarks) starts GrabCut in every
picture; the visual hull of all its answers starts a second one; what hull and picture agree on is
the mask. Real pictures show shoulders, and a head ends under the chin: masks are cut where the
hull is, along a plane of the head's frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tqdm import tqdm

from privhead_nb.capture.hull import Hull, Mask, carve
from privhead_nb.capture.views import Points, View
from privhead_nb.errors import SceneError, listed, no_folder
from privhead_nb.scenes.images import FORMATS, read_mask

BODY = (
    ((0.0, -10.0, -5.0), (82.0, 122.0, 108.0)),
    ((0.0, -150.0, -30.0), (55.0, 90.0, 60.0)),
    ((0.0, -250.0, -45.0), (200.0, 75.0, 95.0)),
)
"""Middle and half axes of head, neck and shoulders, mm, in the head's frame."""
WORKED = 384
"""Longer side, pixels, of the part of a picture that GrabCut looks at."""
ROUNDS = 3
AGREE = 0.8
"""Intersection over union of mask and hull below which a mask is named."""
BELOW = 40.0
"""Millimetres under the neck plane to which the hull is carved."""


def make_masks(
    views: Sequence[View], folder: Path, unit: float, plane: float, *, progress: bool = False
) -> tuple[list[Mask], Hull, list[float]]:
    """Masks of heads out of the pictures alone.

    Args:
        views: in the head's frame.
        folder: of the pictures' copies.
        unit: scene units per mm.
        plane: height of the plane that the head ends at, scene unit.
        progress: show bars.

    Returns:
        Masks (H, W), 255 = head; the hull above the plane; intersection over union of both, (V,).

    Raises:
        SceneError: the masks have no head in common.
    """
    floor = plane - BELOW * unit
    first = [
        _first_cut(view, view.picture(folder), unit)
        for view in tqdm(views, desc="cut out, 1 of 2", disable=not progress)
    ]
    hull = carve(views, first, unit, floor)
    second = [
        _second_cut(view, view.picture(folder), hull, mask, unit)
        for view, mask in zip(
            tqdm(views, desc="cut out, 2 of 2", disable=not progress), first, strict=True
        )
    ]
    return cut_at_plane(views, second, unit, plane)


def cut_at_plane(
    views: Sequence[View], people: Sequence[Mask], unit: float, plane: float
) -> tuple[list[Mask], Hull, list[float]]:
    """Masks of persons (H, W) cut along the neck plane; see `make_masks`."""
    hull = carve(views, people, unit, plane - BELOW * unit).above(plane)
    if not len(hull.points):
        raise SceneError(
            "nothing of the head is above the neck plane",
            where="--neck",
            remedy="Give more millimetres under the chin.",
        )
    masks, agreement = [], []
    for view, person in zip(views, people, strict=True):
        drawn = hull.drawn(view)
        near = cv2.dilate(drawn, _ring(view, hull.cell))
        mask = _one_piece(np.where((person > 127) & (near > 127), 255, 0).astype(np.uint8))
        masks.append(mask)
        agreement.append(overlap(mask, drawn))
    return masks, hull, agreement


def given_masks(views: Sequence[View], folder: Path) -> list[Mask]:
    """Masks of a folder, paired by the pictures' names without their endings.

    Raises:
        SceneError: none for a view, two for one, or one of another shape.
    """
    if not folder.is_dir():
        raise SceneError(no_folder(folder), where=folder, remedy="Check --masks.")
    there: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in FORMATS or path.name.startswith("."):
            continue
        if path.stem.lower() in there:
            raise SceneError(
                f"stands beside {there[path.stem.lower()].name}",
                where=path,
                remedy="Keep one mask a picture.",
            )
        there[path.stem.lower()] = path
    lost = [view.name for view in views if Path(view.name).stem.lower() not in there]
    if lost:
        raise SceneError(
            f"no mask for {listed(lost, 5)}",
            where=folder,
            remedy="Give each picture a mask of its name, as PNG or JPEG: IMG_0001.png for "
            "IMG_0001.jpg; white = head.",
        )
    return [_given(view, there[Path(view.name).stem.lower()]) for view in views]


def _given(view: View, path: Path) -> Mask:
    with Image.open(path) as image:
        turned = ImageOps.exif_transpose(image).size != image.size
    if turned:
        raise SceneError(
            "is turned by EXIF", where=path, remedy="Save it upright, as the picture is shown."
        )
    mask = read_mask(path)
    height, width = mask.shape
    if abs(width / height / (view.width / view.height) - 1) > 0.02:
        raise SceneError(
            f"is {width} x {height} pixels, another shape than {view.name} "
            f"({view.width} x {view.height}, upright)",
            where=path,
            remedy="Make masks of the upright, uncropped pictures.",
        )
    sized = cv2.resize(mask, (view.width, view.height), interpolation=cv2.INTER_AREA)
    found = view.straightened(np.where(sized >= 0.5, 255, 0).astype(np.uint8))
    if not (found > 127).any():
        raise SceneError("is empty", where=path, remedy="White (255) must mark the head.")
    return found


def overlap(one: Mask, two: Mask) -> float:
    """Intersection over union of two masks (H, W); 0 where both are empty."""
    either = ((one > 127) | (two > 127)).sum()
    return float(((one > 127) & (two > 127)).sum() / either) if either else 0.0


def _first_cut(view: View, picture: NDArray[np.uint8], unit: float) -> Mask:
    """The person as GrabCut has it, started from a rough model."""
    shapes = [_drawn(view, middle, axes, unit) for middle, axes in BODY]
    person = np.maximum.reduce(shapes)
    labels = np.full(person.shape, cv2.GC_BGD, np.uint8)
    labels[cv2.dilate(person, _ring(view, 45 * unit)) > 127] = cv2.GC_PR_BGD
    labels[person > 127] = cv2.GC_PR_FGD
    head = _drawn(view, *(BODY[0][0], tuple(0.62 * a for a in BODY[0][1])), unit)  # type: ignore[arg-type]
    labels[head > 127] = cv2.GC_FGD
    return _grabcut(picture, labels, person)


def _second_cut(
    view: View, picture: NDArray[np.uint8], hull: Hull, first: Mask, unit: float
) -> Mask:
    """The person as GrabCut has it, started from the hull; below it, from the first answer."""
    drawn = hull.drawn(view)
    labels = np.full(drawn.shape, cv2.GC_BGD, np.uint8)
    body = np.maximum(cv2.dilate(drawn, _ring(view, 9 * unit)), first)
    labels[cv2.dilate(body, _ring(view, 9 * unit)) > 127] = cv2.GC_PR_BGD
    labels[(drawn > 127) | (first > 127)] = cv2.GC_PR_FGD
    labels[cv2.erode(drawn, _ring(view, 7 * unit)) > 127] = cv2.GC_FGD
    # What is far from the hull, and no other view's head, is no head in this one either.
    far = (cv2.dilate(drawn, _ring(view, 12 * unit)) < 128) & _above(view, hull)
    labels[far] = cv2.GC_BGD
    return _grabcut(picture, labels, body)


def _above(view: View, hull: Hull) -> NDArray[np.bool_]:
    """(H, W): rows above the hull's lowest points in the picture, where no shoulder is."""
    low = hull.points[:, 1] < hull.points[:, 1].min() + 15 * hull.cell
    rows = view.project(hull.points[low])[0][:, 1]
    top = float(rows.min()) if len(rows) else view.height
    found = np.zeros((view.height, view.width), bool)
    found[: int(np.clip(top, 0, view.height))] = True
    return found


def _grabcut(picture: NDArray[np.uint8], labels: Mask, around: Mask) -> Mask:
    """GrabCut of the part of a picture (H, W, 3) in which labels (H, W) leave room; (H, W)."""
    rows, columns = np.flatnonzero((around > 127).any(1)), np.flatnonzero((around > 127).any(0))
    found = np.zeros(labels.shape, np.uint8)
    if not len(rows):
        return found
    margin = int(0.15 * max(np.ptp(rows), np.ptp(columns))) + 8
    top, bottom = max(0, rows[0] - margin), min(labels.shape[0], rows[-1] + margin + 1)
    left, right = max(0, columns[0] - margin), min(labels.shape[1], columns[-1] + margin + 1)
    part, start = picture[top:bottom, left:right], labels[top:bottom, left:right]
    height, width = start.shape
    scale = min(1.0, WORKED / max(height, width))
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    small: Any = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    begun: Any = cv2.resize(start, size, interpolation=cv2.INTER_NEAREST)
    kinds = set(np.unique(begun))
    if kinds & {cv2.GC_FGD, cv2.GC_PR_FGD} and kinds & {cv2.GC_BGD, cv2.GC_PR_BGD}:
        cv2.setRNGSeed(0)
        bgr = np.ascontiguousarray(small[..., ::-1])
        models = np.zeros((1, 65)), np.zeros((1, 65))
        begun, _, _ = cv2.grabCut(  # type: ignore[call-overload]
            bgr, begun, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK
        )
    person = np.where((begun == cv2.GC_FGD) | (begun == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)
    square = np.ones((3, 3), np.uint8)
    person = np.asarray(cv2.morphologyEx(person, cv2.MORPH_OPEN, square), np.uint8)
    large = cv2.resize(person, (width, height), interpolation=cv2.INTER_LINEAR)
    found[top:bottom, left:right] = np.where(large > 127, 255, 0)
    return _one_piece(found)


def _one_piece(mask: Mask) -> Mask:
    """The largest piece of a mask, its holes filled."""
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = np.zeros_like(mask)
    if outlines:
        largest = max(outlines, key=cv2.contourArea)
        cv2.drawContours(found, [largest], -1, 255, cv2.FILLED)
    return found


def _drawn(
    view: View,
    middle: tuple[float, float, float],
    axes: tuple[float, float, float],
    unit: float,
) -> Mask:
    """The outline of an ellipsoid in a view, filled; empty where it isn't before the camera."""
    canvas = np.zeros((view.height, view.width), np.uint8)
    xy, depth = view.project(unit * (_BALL * np.array(axes) + np.array(middle)))
    if depth.min() > 0:
        outline = cv2.convexHull(np.clip(np.round(xy), -20000, 20000).astype(np.int32))
        cv2.fillConvexPoly(canvas, outline, 255)
    return canvas


def _ring(view: View, reach: float) -> NDArray[np.uint8]:
    """A disc of a radius in scene units at the head's depth, for dilation; at least 1 pixel."""
    away = float(np.linalg.norm(view.center))
    pixels = max(1, round(reach * view.focal / away))
    found = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1, 2 * pixels + 1))
    return np.asarray(found, np.uint8)


def _sphere_points() -> Points:
    """(400, 3) points evenly on the unit sphere."""
    number = np.arange(400) + 0.5
    height = 1 - 2 * number / 400
    turn = np.pi * (1 + 5**0.5) * number
    ring = np.sqrt(1 - height**2)
    return np.stack([np.cos(turn) * ring, height, np.sin(turn) * ring], 1)


_BALL = _sphere_points()
