"""Pictures of lesson 3: moduli in a row, and what a face detector finds in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from privhead_nb.privacy.operators import Operator
from privhead_nb.scenes.images import resize_area
from privhead_nb.teach.lesson03 import detector
from privhead_nb.teach.lesson03.detector import Box, Picture, Portrait
from privhead_nb.teach.widgets import View
from privhead_nb.viz.style import BLUE, VERMILLION, grid, image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def found(portraits: Sequence[Portrait], operator: Operator, sizes: Sequence[int]) -> Figure:
    """Rows: the photo, and its modulus at each size with light and with dark lines.

    Frames are what the detector calls a face; a cross in the corner says that it found none.
    """
    names = ["photo", *(f"{s} px\n{lines} lines" for s in sizes for lines in detector.LINES)]
    columns = []
    for portrait in portraits:
        moduli = [detector.released(portrait.picture, operator, size) for size in sizes]
        drawn = [detector.drawing(m, lines) for m in moduli for lines in detector.LINES]
        columns.append([portrait.picture, *drawn])
    figure, rows = grid(len(names), len(portraits), width=1.4 * len(portraits) + 0.7,
                        height=1.4 * len(names))  # fmt: skip
    for row, name, pictures in zip(rows, names, zip(*columns, strict=True), strict=True):
        for ax, picture, portrait in zip(row, pictures, portraits, strict=True):
            boxed(ax, picture, portrait)
        row[0].set_ylabel(name)
    return figure


def boxed(ax: Axes, picture: Picture, portrait: Portrait) -> list[Box]:
    """Draw a picture with the detector's boxes, solid around the nose and dotted elsewhere."""
    side = detector.SIDE
    image(ax, picture, extent=(-0.5, side - 0.5, side - 0.5, -0.5))
    boxes = detector.boxes(picture)
    if not boxes:
        ax.plot(0.93 * side, 0.93 * side, "x", color=VERMILLION, ms=9, mew=2.4)
    for box in boxes:
        right = portrait.nose is not None and box.holds(portrait.nose)
        x, y = np.array([(0, 1, 1, 0, 0), (0, 0, 1, 1, 0)]) * box.width + [[box.x], [box.y]]
        ax.plot(x, y, ls="-" if right else ":", color=BLUE if right else VERMILLION, lw=2.2)
    return boxes


def desk(portrait: Portrait, operator: Operator, size: int, lines: str) -> View:
    """The panel: a picture, its modulus as the detector sees it, and the verdict."""
    modulus = detector.released(portrait.picture, operator, size)
    figure, ((left, right),) = grid(1, 2, width=8, height=4.2)
    image(left, resize_area(portrait.picture, size, size), f"{portrait.name}, {size} px")
    boxes = boxed(right, detector.drawing(modulus, lines), portrait)
    levels = f"{operator.levels} levels" if operator.levels else "all levels"
    right.set_title(f"{operator.kind}, {levels}, {lines} lines", fontsize=9)
    verdict, used = _verdict(boxes, portrait), len(np.unique(np.round(modulus, 7)))
    words = f"{size * size} numbers, {used} different ones, mean {modulus.mean():.3f}"
    alt = (
        f"{portrait.name} at {size} pixels and its {operator.kind} modulus drawn with {lines} "
        f"lines; {verdict}."
    )
    return View(figure, alt, f"{verdict}; {words}")


def _verdict(boxes: Sequence[Box], portrait: Portrait) -> str:
    if not boxes:
        return "the detector finds no face"
    if portrait.nose is None:
        return "false alarm: the detector finds a face"
    if any(b.holds(portrait.nose) for b in boxes):
        return "the detector finds the face"
    return "the detector finds a face, but beside it"
