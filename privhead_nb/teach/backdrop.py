"""Pictures that are redrawn while a slider moves: what never changes is drawn once, as pixels.

Most of a redraw goes into frames, ticks and their labels, which matplotlib lays out anew for each
figure. So a panel draws them once, and each redraw lays its few lines and marks over the pixels:

    @cache
    def _frame() -> Backdrop:
        figure = Figure(figsize=(8, 3), dpi=100)
        ax = figure.add_axes((0.1, 0.2, 0.8, 0.7))
        ax.set(xlim=(0, 60), xlabel="mm")
        return Backdrop.of(figure)

    figure, (ax,) = _frame().copy()
    ax.plot(x, y)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.markers import TICKLEFT
from numpy.typing import NDArray

BEHIND = -1.0  # the axes' zorder is 0


@dataclass(frozen=True)
class Backdrop:
    """A figure as pixels, and where its axes were.

    Attributes:
        figure: that was drawn; nobody draws into it again.
        pixels: of it, (H, W, 4) in 0 to 255, the lowest row first.
    """

    figure: Figure
    pixels: NDArray[np.uint8]

    @classmethod
    def of(cls, figure: Figure) -> Backdrop:
        """Draw a figure once; its axes have the limits that they shall keep."""
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return cls(figure, np.array(canvas.buffer_rgba())[::-1].copy())

    def copy(self) -> tuple[Figure, list[Axes]]:
        """A new figure over these pixels, with bare axes of the same places, limits and scales.

        It is to be saved at the resolution that it has.
        """
        kept = self.figure
        figure = Figure(figsize=tuple(kept.get_size_inches()), dpi=kept.dpi)
        figure.add_artist(_Pixels(self.pixels))
        bare = []
        for ax in kept.axes:
            new = figure.add_axes(
                ax.get_position(original=True).bounds, frameon=False, autoscale_on=False,
                xscale=ax.get_xscale(), yscale=ax.get_yscale(),
                xlim=ax.get_xlim(), ylim=ax.get_ylim(),
            )  # fmt: skip
            new.set_axis_off()
            _frame_again(ax, new)
            bare.append(new)
        return figure, bare


SIDES = {
    "left": ((0, 0), (0, 1)),
    "right": ((1, 0), (1, 1)),
    "bottom": ((0, 0), (1, 0)),
    "top": ((0, 1), (1, 1)),
}


def _frame_again(ax: Axes, new: Axes) -> None:
    """The edges that `ax` has, in one piece, over what will be drawn into `new`."""
    seen = [name for name in SIDES if ax.axison and ax.spines[name].get_visible()]
    if seen:
        edge = ax.spines[seen[0]]
        new.add_collection(
            LineCollection(
                [SIDES[name] for name in seen], colors=[edge.get_edgecolor()],
                linewidths=edge.get_linewidth(), capstyle="projecting", clip_on=False,
                transform=new.transAxes, zorder=edge.get_zorder(),
            ),
            autolim=False,
        )  # fmt: skip


def number_heights(ax: Axes, fontsize: float = 8) -> None:
    """Marks and round numbers on the left edge of bare axes, for limits that change.

    They look as an axis does, which takes ten times as long.
    """
    places, texts = round_numbers(*ax.get_ylim())
    left = np.full(len(places), ax.get_xlim()[0])
    ax.plot(left, places, ls="", marker=TICKLEFT, ms=3.5, mew=0.8, color="black", clip_on=False)
    for place, text in zip(places, texts, strict=True):
        ax.annotate(
            text, (left[0], place), (-7, 0), textcoords="offset points", fontsize=fontsize,
            ha="right", va="center_baseline",
        )  # fmt: skip


def round_numbers(low: float, high: float) -> tuple[NDArray[np.float64], list[str]]:
    """Multiples of 1, 2 or 5 times a power of ten, three to five of them, and their names."""
    least = (high - low) / 4.5
    power = float(10.0 ** math.floor(math.log10(least)))
    step = next(power * share for share in (1, 2, 5, 10) if power * share >= least)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = np.arange(first, last + 1, dtype=np.float64) * step
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return places, [f"{place:.{digits}f}".replace("-", "\N{MINUS SIGN}") for place in places]


class _Pixels(Artist):
    """Pixels behind all axes; `Figure.figimage` would resample them, this copies."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        super().__init__()
        self.set_zorder(BEHIND)
        self.pixels = pixels

    def draw(self, renderer: RendererBase) -> None:
        context = renderer.new_gc()
        renderer.draw_image(context, 0, 0, self.pixels)
        context.restore()
