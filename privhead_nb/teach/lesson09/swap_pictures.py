"""Face swaps as pictures: how two tools are built, and what they drew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from privhead_nb.lab.swaps import SWAPPED, TOOLS
from privhead_nb.teach.lab_runs import SWAPS
from privhead_nb.teach.lesson09.recognition_plots import not_yet
from privhead_nb.viz.palette import BLUE, GREEN, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIDE = 64  # pixels of a tile
COLUMNS = (("actor plays", 2), ("target, given", 1), *((tool, 2) for tool in TOOLS))
"""What stands in a row of the stored sheet, and in how many tiles."""


def plan() -> Figure:
    """Both tools as boxes: learning in solid arrows, the swap in a dashed one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.2), dpi=100)
    pair, prior = figure.add_axes((0.01, 0.02, 0.46, 0.9)), figure.add_axes((0.52, 0.02, 0.47, 0.9))
    for ax, title in ((pair, "a pair: two decoders"), (prior, "a prior: who and how")):
        ax.set_axis_off()
        ax.set(xlim=(0, 10), ylim=(0, 6))
        ax.set_title(title, fontsize=11)
    for ax, words, place in (
        (pair, "actor's\npictures", (1, 4.6)),
        (pair, "target's\npictures", (1, 1.4)),
        (pair, "one\nencoder", (4, 3)),
        (pair, "actor's\ndecoder", (7, 4.6)),
        (pair, "target's\ndecoder", (7, 1.4)),
        (prior, "pictures of\na person", (1.1, 4.6)),
        (prior, "picture\nto redraw", (1.1, 1.4)),
        (prior, "who\n(64 numbers)", (4.4, 4.6)),
        (prior, "how\n(16 numbers)", (4.4, 1.4)),
        (prior, "one\ndecoder", (7.5, 3)),
    ):
        colour = BLUE if "target" in words else "black"
        ax.text(
            place[0], place[1], words, ha="center", va="center", fontsize=9, color=colour, bbox=_BOX
        )
    for start, end in (((1.9, 4.4), (3.2, 3.5)), ((1.9, 1.6), (3.2, 2.5))):
        _arrow(pair, start, end)
    for end in ((6.1, 4.4), (6.1, 1.6)):
        _arrow(pair, (4.8, 3.5 if end[1] > 3 else 2.5), end)
    pair.annotate(
        "the swap: actor in,\ntarget out", (8.0, 1.4), (8.1, 3.0), fontsize=9, color=VERMILLION,
        ha="left", va="center",
    )  # fmt: skip
    pair.plot([1.9, 3.2, 4.8, 6.1], [4.1, 3.2, 2.8, 1.9], color=VERMILLION, ls="--", lw=2)
    for start, end in (
        ((2.2, 4.6), (3.2, 4.6)),
        ((2.2, 1.4), (3.2, 1.4)),
        ((5.6, 4.4), (6.7, 3.5)),
        ((5.6, 1.6), (6.7, 2.5)),
    ):
        _arrow(prior, start, end)
    swap: dict[str, Any] = {"fontsize": 9, "color": VERMILLION, "va": "center"}
    prior.text(0.1, 5.7, "the swap: who from the target, ...", **swap)
    prior.text(0.1, 0.35, "... how from the actor", **swap)
    prior.text(7.5, 1.4, "learned on\n60 others", ha="center", fontsize=9, color=GREEN, va="center")
    return figure


_BOX = {"boxstyle": "round", "facecolor": "white", "edgecolor": "0.4"}


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": "0.25", "lw": 1.4}
    ax.annotate("", end, start, arrowprops=style)


def sheet(path: Path = SWAPS) -> Figure:
    """The stored sheet of two targets with its columns and rows named."""
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

    if not path.is_file():
        return not_yet("python benchmarks/studies/tables.py face_swap")
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    rows, columns = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    kinds = SWAPPED[:-1]
    figure = Figure(figsize=(1.5 + 0.85 * columns, 0.5 + 0.85 * rows), dpi=100)
    left, top = 1.5 / figure.get_figwidth(), 0.45 / figure.get_figheight()
    ax = figure.add_axes((left, 0.005, 0.995 - left, 0.995 - top))
    ax.imshow(pixels, interpolation="nearest", aspect="auto")
    names = [kinds[row % len(kinds)] for row in range(rows)]
    ax.set_yticks([SIDE * (row + 0.5) for row in range(rows)], names, fontsize=9)
    ax.xaxis.tick_top()
    ends = np.cumsum([0, *(count for _, count in COLUMNS)])
    middles = (ends[:-1] + ends[1:]) / 2 * SIDE
    ax.set_xticks(middles.tolist(), [name.replace(", ", ",\n") for name, _ in COLUMNS], fontsize=9)
    ax.tick_params(length=0)
    for end in ends[1:-1]:
        ax.axvline(end * SIDE - 0.5, color="white", lw=3)
    for row in range(len(kinds), rows, len(kinds)):
        ax.axhline(row * SIDE - 0.5, color="black", lw=2)
    ax.spines[:].set_visible(False)
    return figure
