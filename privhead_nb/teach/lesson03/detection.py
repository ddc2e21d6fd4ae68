"""Pictures of what a face detector finds: boxes, rates over sizes and operators, and a desk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from privhead_nb.privacy.operators import Operator
from privhead_nb.teach.lesson03 import detector
from privhead_nb.teach.lesson03.detector import Box, Picture, Portrait
from privhead_nb.teach.lesson03.operators import squares
from privhead_nb.teach.widgets import View
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, VERMILLION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_TILE = 244  # pixels of a picture on the panel

# Every way of drawing has its own colour, mark and dash, so that none alone has to tell it.
DRAWN: dict[str, tuple[str, str, Any, str]] = {
    "photo": (GREEN, "s", "-", "the photo itself"),
    "dark": (BLUE, "o", "-", "modulus, dark lines"),
    "light": (ORANGE, "^", "--", "modulus, light lines"),
}


def found(portraits: Sequence[Portrait], operator: Operator, sizes: Sequence[int]) -> Figure:
    """Rows: the photo, and its modulus at each size with light and with dark lines.

    Frames are what the detector calls a face; a cross in the corner says that it found none.
    """
    names = ["photo", *(f"{s} px\n{lines} lines" for s in sizes for lines in detector.LINES)]
    figure, rows = squares(len(names), len(portraits), tile=1.3, head=0.05)
    for column, portrait in enumerate(portraits):
        pictures = [portrait.picture]
        for size in sizes:
            modulus = detector.released(portrait.picture, operator, size)
            pictures += [detector.drawing(modulus, lines) for lines in detector.LINES]
        for row, picture in zip(rows, pictures, strict=True):
            _boxed(row[column], picture, portrait)
    for row, name in zip(rows, names, strict=True):
        row[0].text(
            0.03, 0.97, name, transform=row[0].transAxes, fontsize=8, va="top",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5, "alpha": 0.85},
        )  # fmt: skip
    return figure


def _boxed(ax: Axes, picture: Picture, portrait: Portrait) -> None:
    """Draw a picture and the detector's boxes."""
    side = detector.SIDE
    ax.imshow(
        np.clip(picture, 0, 1), vmin=0, vmax=1, interpolation="nearest",
        extent=(-0.5, side - 0.5, side - 0.5, -0.5),
    )  # fmt: skip
    for line in _frames(detector.boxes(detector.enlarged(picture)), portrait):
        ax.add_line(line)


def _frames(boxes: Sequence[Box], portrait: Portrait) -> list[Line2D]:
    """A frame for each box, solid around the nose and dotted elsewhere; or a cross for none."""
    from matplotlib.lines import Line2D

    side = detector.SIDE
    if not boxes:
        x = [0.93 * side]
        return [Line2D(x, x, color=VERMILLION, marker="x", ls="", ms=9, mew=2.4)]
    lines = []
    for box in boxes:
        right = portrait.nose is not None and box.holds(portrait.nose)
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]) * box.width + (box.x, box.y)
        colour, dash = (BLUE, "-") if right else (VERMILLION, ":")
        lines.append(Line2D(corners[:, 0], corners[:, 1], color=colour, ls=dash, lw=2.2))
    return lines


def _verdict(boxes: Sequence[Box], portrait: Portrait) -> str:
    if not boxes:
        return "the detector finds no face"
    if portrait.nose is None:
        return "false alarm: the detector finds a face"
    if any(b.holds(portrait.nose) for b in boxes):
        return "the detector finds the face"
    return "the detector finds a face, but beside it"


def by_size() -> Figure:
    """The stored study, Sobel: share of faces found over the release's size, and of alarms."""
    figure, left, right = _two_panels()
    for lines, (colour, mark, dash, label) in DRAWN.items():
        rates = detector.rows("photo" if lines == "photo" else "sobel", lines)
        sizes = sorted(rates)
        for ax, key in ((left, "found"), (right, "alarms")):
            seen = [getattr(rates[s], key) for s in sizes]
            tried = [rates[s].tried for s in sizes]
            shares = [100 * n / t for n, t in zip(seen, tried, strict=True)]
            ends = np.array([detector.wilson(n, t) for n, t in zip(seen, tried, strict=True)]) * 100
            place = np.array(sizes) * {"photo": 0.965, "dark": 1.0, "light": 1.036}[lines]
            error = np.abs(ends.T - np.array(shares))
            ax.errorbar(
                place, shares, error, color=colour, marker=mark, ls=dash, lw=1.6, ms=6, capsize=2.5,
                elinewidth=1, mec="black", mew=0.5, label=label,
            )  # fmt: skip
    left.set_title("heads from the front: face found", fontsize=10)
    right.set_title("the same from behind: false alarm", fontsize=10)
    for ax in (left, right):
        ax.set_xscale("log")
        sizes = sorted(detector.rows("sobel", "dark"))
        ax.set_xticks(sizes, [str(s) for s in sizes], fontsize=8)
        ax.minorticks_off()
        ax.set_xlabel("pixels a side", fontsize=9)
    left.set_ylabel("share of heads, %", fontsize=9)
    right.legend(fontsize=8, frameon=False, loc="upper right")
    return figure


def _two_panels() -> tuple[Figure, Axes, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 3.4), dpi=100)
    left = figure.add_axes((0.07, 0.15, 0.42, 0.75))
    right = figure.add_axes((0.56, 0.15, 0.42, 0.75))
    for ax in (left, right):
        ax.set_ylim(-4, 104)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    return figure, left, right


def by_operator(sizes: Sequence[int] = (256, 64)) -> Figure:
    """The stored study: for each operator and size, faces found and alarms, with intervals."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(r["treatment"] for r in detector.study()["rows"]))
    figure = Figure(figsize=(9.5, 0.9 + 0.3 * len(names)), dpi=100)
    for number, size in enumerate(sizes):
        ax = figure.add_axes((0.16 + 0.42 * number, 0.1, 0.4, 0.8))
        for height, name in enumerate(names):
            for lines, (colour, mark, _, _) in DRAWN.items():
                rate = detector.rows(name, lines).get(size)
                if rate is None:
                    continue
                y = height + {"photo": 0.0, "dark": -0.17, "light": 0.17}[lines]
                low, high = detector.wilson(rate.found, rate.tried)
                ax.plot([100 * low, 100 * high], [y, y], color=colour, lw=1.6)
                ax.plot(100 * rate.found / rate.tried, y, mark, color=colour, mec="black", ms=6)
                ax.plot(100 * rate.alarms / rate.tried, y, "|", color="black", ms=8, mew=1.6)
        ax.set_yticks(range(len(names)), names if number == 0 else [""] * len(names), fontsize=9)
        ax.invert_yaxis()
        ax.set_xlim(-3, 103)
        ax.set_title(f"{size} x {size} pixels", fontsize=10)
        ax.set_xlabel("share of heads, %", fontsize=9)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    ax = figure.axes[0]
    for colour, mark, _, label in DRAWN.values():
        ax.plot([], [], mark, color=colour, mec="black", ms=6, label=label)
    ax.plot([], [], "|", color="black", ms=8, mew=1.6, label="false alarms from behind")
    figure.legend(
        *ax.get_legend_handles_labels(), fontsize=8, loc="upper center", ncols=4, frameon=False
    )
    return figure


def desk(
    portrait: Portrait, operator: Operator, size: int, lines: str, *, look: bool = True
) -> View:
    """The panel: a picture, its modulus as a drawing, the modulus' histogram, and the verdict.

    A panel redraws it while a slider moves, so pictures go straight onto the page: axes cost more.

    Args:
        portrait: whose.
        operator: what it becomes.
        size: of the release, pixels.
        lines: "dark" or "light".
        look: ask the detector; without, the picture is a quick preview.
    """
    from matplotlib.figure import Figure
    from matplotlib.transforms import Affine2D

    modulus = detector.released(portrait.picture, operator, size)
    picture = detector.drawing(modulus, lines)
    figure = Figure(figsize=(8, 2.75), dpi=100)
    for left, shown, title in (
        (4, detector.shrunk(portrait.picture, size), f"{portrait.name}, {size} px"),
        (4 + _TILE + 8, picture, f"{operator.kind}, {lines} lines"),
    ):
        figure.figimage(_as_tile(shown), left, 4)
        figure.text((left + _TILE / 2) / 800, 254 / 275, title, fontsize=9, ha="center")
    _histogram(figure.add_axes((0.7, 0.16, 0.29, 0.72)), modulus)
    verdict = "the detector looks when you let go"
    if look:
        boxes = detector.boxes(detector.enlarged(picture))
        verdict = _verdict(boxes, portrait)
        scale = _TILE / detector.SIDE
        place = Affine2D().scale(scale, -scale).translate(4 + _TILE + 8, 4 + _TILE)
        for line in _frames(boxes, portrait):
            line.set_transform(place)
            figure.add_artist(line)
    used = len(np.unique(np.round(modulus, 7)))
    words = f"{size * size} numbers, {used} different ones, mean {modulus.mean():.3f}"
    alt = (
        f"{portrait.name} at {size} pixels, its {operator.kind} modulus drawn with {lines} lines, "
        f"and a histogram of the modulus; {verdict}."
    )
    return View(figure, alt, f"{verdict}; {words}")


def _as_tile(picture: Picture) -> NDArray[np.uint8]:
    """A picture (H, W, 3) at the panel's size, pixels kept as squares; eight bits."""
    codes = np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)
    return np.asarray(cv2.resize(codes, (_TILE, _TILE), interpolation=cv2.INTER_NEAREST), np.uint8)


def _histogram(ax: Axes, modulus: Picture) -> None:
    """Share of pixels over the modulus, logarithmic; what is below 0.001 stands at the left.

    The axis is that of log10, with labels by hand: a logarithmic one takes a third of the time.
    """
    edges = np.linspace(-3.0, 0.3, 41)
    # The logarithm is cut, not the modulus: a single-precision log10(0.001) may lie below -3.
    exponents = np.maximum(np.log10(np.maximum(modulus, 1e-9)), edges[0])
    counts = np.histogram(exponents, edges)[0] / modulus.size * 100
    ax.fill_between(edges, np.append(counts, counts[-1]), step="post", color=BLUE, lw=0)
    top = max(10.0, 1.05 * float(counts[1:].max()))
    ax.set(xlim=(-3, 0.3), ylim=(0, top))
    ax.set_xticks([-3, -2, -1, 0], ["<0.001", "0.01", "0.1", "1"], fontsize=8)
    ax.set_xlabel("modulus", fontsize=8, labelpad=1)
    ax.set_yticks([0, top / 2, top], ["0", f"{top / 2:.0f}", f"{top:.0f}"], fontsize=8)
    ax.set_title(f"% of pixels; {counts[0]:.0f} % lie below 0.001", fontsize=8.5, y=1.0)
    ax.spines[["top", "right"]].set_visible(False)
