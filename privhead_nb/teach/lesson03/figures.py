"""Pictures of lesson 3: moduli in a row, and what a face detector finds in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from privhead_nb.privacy.operators import Operator
from privhead_nb.scenes.images import resize_area
from privhead_nb.teach.lesson03 import detector
from privhead_nb.teach.lesson03.detector import Box, Picture, Portrait
from privhead_nb.teach.widgets import View
from privhead_nb.viz.style import BLUE, LOOKS, VERMILLION, dots, grid, image, images

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DRAWN = {
    "photo": "the photo itself",
    "dark": "modulus, dark lines",
    "light": "modulus, light lines",
}


def strip(
    portraits: Sequence[Portrait],
    settings: Mapping[str, tuple[Operator, int]],
    fact: Callable[[Picture], str] | None = None,
) -> Figure:
    """One choice, from setting to setting: a row for each portrait, a column for each setting.

    Args:
        portraits: whose.
        settings: title -> operator and size of the release.
        fact: what to write under a modulus (size, size).
    """
    moduli = [
        [detector.released(portrait.picture, *setting) for setting in settings.values()]
        for portrait in portraits
    ]
    rows = [[detector.drawing(modulus) for modulus in row] for row in moduli]
    figure = images(rows, list(settings), width=1.85 * len(settings))
    if fact is not None:
        for ax, modulus in zip(figure.axes, (m for row in moduli for m in row), strict=True):
            ax.set_xlabel(fact(modulus), fontsize=9)
    return figure


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


def by_size() -> Figure:
    """The stored study, Sobel: share of faces found over the release's size, and of alarms."""
    rates = detector.rates()
    figure, ((left, right),) = grid(1, 2, width=9.5, height=3.4, sharey=True)
    for (lines, label), (colour, mark, dash), aside in zip(
        DRAWN.items(), LOOKS, (0.965, 1.0, 1.036), strict=False
    ):
        runs = rates.loc["photo" if lines == "photo" else "sobel", lines].sort_index()
        for ax, column in ((left, "found"), (right, "alarms")):
            shares = [detector.wilson(n, t) for n, t in zip(runs[column], runs.tried, strict=True)]
            value, low, high = 100 * np.array([share[:3] for share in shares]).T
            ax.errorbar(
                runs.index * aside, value, (value - low, high - value), color=colour, marker=mark,
                ls=dash, lw=1.6, ms=6, capsize=2.5, mec="black", mew=0.5, label=label,
            )  # fmt: skip
    for ax, title in (
        (left, "heads from the front: face found"), (right, "the same from behind: false alarm"),
    ):  # fmt: skip
        ax.set(xscale="log", ylim=(-4, 104), xlabel="pixels a side")
        ax.set_title(title, fontsize=10)
        ax.set_xticks(runs.index, [str(size) for size in runs.index])
        ax.minorticks_off()
    left.set_ylabel("share of heads, %")
    right.legend(loc="upper right", frameon=False, fontsize=8)
    return figure


def by_operator(sizes: Sequence[int] = (256, 64)) -> Figure:
    """The stored study: for each operator and size, faces found and alarms, with intervals."""
    rates = detector.rates()
    names = list(dict.fromkeys(rates.index.get_level_values("treatment")))
    figure, (axes,) = grid(1, len(sizes), width=9.5, height=0.9 + 0.3 * len(names), sharey=True)
    for ax, size in zip(axes, sizes, strict=True):
        rows = {
            name: {
                label: detector.wilson(*rates.loc[name, lines, size][["found", "tried"]])
                for lines, label in DRAWN.items()
                if (name, lines, size) in rates.index
            }
            for name in names
        }
        alarms = {
            name: (at := rates.loc[name].xs(size, level="size")).alarms / at.tried for name in names
        }
        dots(ax, rows, extra=alarms, extra_label="false alarms from behind",
             legend=False, title=f"{size} x {size} pixels", xlabel="share of heads")  # fmt: skip
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside upper center",
                  ncols=4, frameon=False)  # fmt: skip
    return figure


def desk(portrait: Portrait, operator: Operator, size: int, lines: str) -> View:
    """The panel: a picture, its modulus as the detector sees it, a histogram, and the verdict."""
    modulus = detector.released(portrait.picture, operator, size)
    figure, ((left, middle, right),) = grid(1, 3, width=8, height=2.75)
    image(left, resize_area(portrait.picture, size, size), f"{portrait.name}, {size} px")
    boxes = boxed(middle, detector.drawing(modulus, lines), portrait)
    middle.set_title(f"{operator.kind}, {lines} lines", fontsize=9)
    histogram(right, modulus)
    verdict = _verdict(boxes, portrait)
    used = len(np.unique(np.round(modulus, 7)))
    words = f"{size * size} numbers, {used} different ones, mean {modulus.mean():.3f}"
    alt = (
        f"{portrait.name} at {size} pixels, its {operator.kind} modulus drawn with {lines} lines, "
        f"and a histogram of the modulus; {verdict}."
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


def histogram(ax: Axes, modulus: Picture) -> None:
    """Share of pixels over the modulus, logarithmic; what is below 0.001 stands at the left."""
    edges = np.logspace(-3, 0.3, 41)
    share = np.histogram(modulus.clip(edges[0]), edges)[0] / modulus.size * 100
    ax.stairs(share, edges, fill=True, color=BLUE)
    ax.set(xscale="log", xlabel="modulus", ylim=(0, max(10.0, 1.05 * share[1:].max())))
    ax.set_xticks([0.001, 0.01, 0.1, 1], ["<0.001", "0.01", "0.1", "1"])
    ax.set_title(f"% of pixels; {share[0]:.0f} % lie below 0.001", fontsize=8.5)
