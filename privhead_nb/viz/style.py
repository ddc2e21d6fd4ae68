"""How the project's pictures look: colours, one matplotlib style, and rows of curves, dots, images.

    figure, axes = grid(1, 2, height=3)
    curves(axes[0][0], steps, {"stage 1": one, "stage 2": two}, xlabel="step", ylabel="loss")
    dots(axes[0][1], {"sobel": {"CNN": (0.5, 0.4, 0.6)}}, chance=0.01)
    show(figure, alt="what it shows, in words")

`grid` makes axes in the style: no frame at the top and right, a light grid (which lies behind
images, too), small text, constrained layout. `images` makes a figure of pictures without ticks.
matplotlib asks for the size of titles and legends when they are made: give it, or draw them inside
`with styled():`, as `curves` and `dots` do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from IPython.display import Image
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that colour-blind readers can tell apart (Okabe and Ito).
BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SENSITIVE, NEUTRAL = VERMILLION, BLUE
LOOKS: tuple[tuple[str, str, Any], ...] = (
    (BLUE, "o", "-"),
    (VERMILLION, "s", "--"),
    (GREEN, "^", "-."),
    (PURPLE, "D", ":"),
    (ORANGE, "v", (0, (3, 1, 1, 1))),
    ("0.35", "P", (0, (6, 2))),
    ("black", "h", (0, (1, 3))),
)
"""Colour, mark and dash of each series, so that none of them alone has to tell two apart."""

STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "grid.color": "0.92",
    "legend.fontsize": 8,
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
Rate = Sequence[Any]
"""(value, low, high), and what may follow; a value of NaN is not drawn."""


def modulus_picture(modulus: NDArray[np.float32]) -> NDArray[np.float32]:
    """A modulus (H, W) as a drawing (H, W, 3), dark lines on white.

    Scaled by its own 99.5th percentile: a picture to look at, not to measure.
    """
    top = max(float(np.percentile(modulus, 99.5)), 1e-6)
    grey = 1.0 - np.clip(modulus / top, 0.0, 1.0)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.float32)


def styled() -> AbstractContextManager[None]:
    """Draw in STYLE: `with styled(): ...`."""
    import matplotlib as mpl

    return mpl.rc_context(STYLE)


def grid(
    rows: int, columns: int, *, width: float = 10.0, height: float | None = None, **options: Any
) -> tuple[Figure, list[list[Axes]]]:
    """A figure with rows of axes, in inches; by default the axes are about square.

    Args:
        options: of `Figure.subplots`, such as sharey=True or width_ratios=[2, 1].
    """
    from matplotlib.figure import Figure

    tall = width / columns * rows if height is None else height
    with styled():
        figure = Figure(figsize=(width, tall), layout="constrained", dpi=100)
        axes = figure.subplots(rows, columns, squeeze=False, **options)
    for ax in axes.flat:
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_zorder(-1)  # grid lines behind images
    return figure, [list(row) for row in axes]


def curves(
    ax: Axes,
    x: ArrayLike,
    series: Mapping[str, ArrayLike],
    *,
    marks: bool = False,
    legend: bool = True,
    looks: Sequence[tuple[str, str, Any]] = LOOKS,
    **settings: Any,
) -> None:
    """A line for each series, in its own colour and dash.

    Args:
        x: common to all.
        series: label -> heights; a shorter one belongs to the last places of x.
        marks: put a mark on each point, too.
        legend: name the series in the axes, where there is more than one.
        looks: (colour, mark, dash) of each series.
        settings: of the axes, such as xlabel="step", yscale="log" or title="...".
    """
    places = np.asarray(x)
    for number, (label, heights) in enumerate(series.items()):
        colour, mark, dash = looks[number % len(looks)]
        y = np.asarray(heights)
        ax.plot(places[-len(y) :], y, color=colour, ls=dash, lw=1.6, label=label,
                marker=mark if marks else "", ms=5)  # fmt: skip
    with styled():
        ax.set(**settings)
        if legend and len(series) > 1:
            ax.legend()


def dots(
    ax: Axes,
    rows: Mapping[str, Mapping[str, Rate | None]],
    *,
    chance: float | None = None,
    extra: Mapping[str, Sequence[float]] | None = None,
    extra_label: str = "the paper's",
    percent: bool = True,
    legend: bool = True,
    **settings: Any,
) -> None:
    """Values with their intervals: a row a name, a mark a series.

    Args:
        rows: row -> series -> (value, low, high); None and NaN are left out.
        chance: where a dashed line stands.
        extra: row -> values printed elsewhere, drawn as grey crosses.
        extra_label: what they are, for the legend.
        percent: values are shares of 1, and the axis goes from 0 to 100 %.
        legend: name the series to the right of the axes, where there is more than one.
        settings: of the axes, such as xlabel="named rightly".
    """
    series = list(dict.fromkeys(name for found in rows.values() for name in found))
    step = 0.72 / max(len(series), 1)
    for k, name in enumerate(series):
        colour, mark, _ = LOOKS[k % len(LOOKS)]
        known = [
            (row + step * (k - (len(series) - 1) / 2), *rate[:3])
            for row, found in enumerate(rows.values())
            if (rate := found.get(name)) is not None and not math.isnan(rate[0])
        ]
        y, value, low, high = np.array(known, dtype=float).reshape(-1, 4).T
        ax.hlines(y, low, high, color=colour, lw=1.8)
        ax.plot(value, y, mark, color=colour, mec="black", mew=0.5, ms=6, label=name)
    if extra:
        points = [(v, row) for row, name in enumerate(rows) for v in extra.get(name, ())]
        ax.plot(*zip(*points, strict=True), "x", color="0.45", ms=6, mew=1.5, label=extra_label)
    if chance is not None:
        ax.axvline(chance, color="0.3", ls="--", lw=1, label="chance")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    if percent:
        ax.set_xlim(-0.02, 1.02)
        ax.set_xticks(np.linspace(0, 1, 6), [f"{v} %" for v in range(0, 101, 20)])
    with styled():
        ax.set(**settings)
        if legend and len(ax.get_legend_handles_labels()[0]) > 1:
            ax.legend(loc="upper left", bbox_to_anchor=(1, 1))


def image(ax: Axes, picture: ArrayLike, title: str = "", **options: Any) -> None:
    """A picture (H, W, 3), or (H, W) in greys, in [0, 1], without ticks and frame.

    Args:
        options: of `Axes.imshow`, such as cmap="cividis" with its vmin and vmax.
    """
    usual: dict[str, Any] = {"cmap": "gray", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
    shown = np.asarray(picture)
    ax.imshow(np.clip(shown, 0, 1) if shown.ndim == 3 else shown, **(usual | options))
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    ax.set_title(title, fontsize=9)


def images(
    rows: Sequence[Sequence[Any]],
    titles: Sequence[str] = (),
    names: Sequence[str] = (),
    *,
    width: float = 10.0,
    bar: str = "",
    **options: Any,
) -> Figure:
    """Rows of pictures, as `image` draws them; a shorter row, or None, leaves places empty.

    Args:
        rows: of pictures.
        titles: above the pictures: one for each picture, row by row, or one for each column.
        names: of the rows, on their left.
        width: of the figure in inches.
        bar: what a colour bar on the right says of the last picture's values; "" for no bar.
        options: of `Axes.imshow`.
    """
    columns = max(map(len, rows))
    tall, wide = next(np.asarray(p).shape[:2] for row in rows for p in row if p is not None)
    height = (width / columns * tall / wide + 0.3) * len(rows)
    figure, axes = grid(len(rows), columns, width=width, height=height)
    every = iter(titles if len(titles) > columns else [])
    above = [] if len(titles) > columns else list(titles)
    for number, (line, pictures) in enumerate(zip(axes, rows, strict=True)):
        for column, ax in enumerate(line):
            if column >= len(pictures) or pictures[column] is None:
                ax.set_axis_off()
                continue
            title = next(every, above[column] if number == 0 and column < len(above) else "")
            image(ax, pictures[column], title, **options)
        if names:
            line[0].set_ylabel(names[number])
    if bar:
        (last,) = [ax for line in axes for ax in line if ax.images][-1].images
        figure.colorbar(last, ax=[ax for line in axes for ax in line], label=bar, shrink=0.8)
    return figure


def show(figure: Figure, alt: str) -> Image:
    """A figure as a PNG with alternative text, for the last line of a notebook cell."""
    from IPython.display import Image

    data = BytesIO()
    figure.savefig(data, format="png")
    kept: dict[str, Any] = {"alt": alt}
    return Image(data=data.getvalue(), format="png", **kept)
