"""Pictures of lesson 6: signals with the same steps, pictures with the same modulus, guesses."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.teach.lesson06 import faces
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILLION, modulus_picture
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
NULL, CONTROL = "another's modulus", "signed gradients"


def walks(steps: Sequence[float]) -> Figure:
    """Every signal with these steps, started at the middle; bold where one shift fits all of it."""
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
    paths = np.concatenate([np.zeros((len(signs), 1)), np.cumsum(signs * steps, axis=1)], axis=1)
    fits = np.ptp(paths, axis=1) <= 1
    figure, axes = grid(1, 2, width=9, height=3.2)
    for ax, chosen, words in zip(
        axes[0],
        (np.ones(len(paths), bool), fits),
        (f"all {len(paths)} signals", f"the {fits.sum()} that fit into 0 to 1 (dotted)"),
        strict=True,
    ):
        for number, path in enumerate(paths):
            shown = path + 0.5 - (path.min() + path.max()) / 2 if fits[number] else path + 0.5
            if chosen[number]:
                style = {"color": BLUE, "lw": 2} if fits[number] else {"color": "0.7", "lw": 1.2}
                ax.plot(shown, **style)  # type: ignore[arg-type]
        for edge in (0, 1):
            ax.axhline(edge, color="black", lw=1, ls=":")
        ax.set_ylim(-0.9, 1.9)
        ax.set_xticks(range(len(steps) + 1))
        ax.set_title(words, fontsize=10)
        ax.set_xlabel("pixel", fontsize=9)
    axes[0][0].set_ylabel("grey value", fontsize=9)
    return figure


def gallery(rows: Sequence[Mapping[str, Tensor]], *, width: float = 10.0, zoom: int = 1) -> Figure:
    """Pictures in rows, by title: colours (H, W, 3), or a modulus (H, W) as dark lines.

    Args:
        rows: title -> picture; colours outside of [0, 1] are cut.
        width: inches.
        zoom: whole number; each pixel becomes so many.
    """
    columns = max(map(len, rows))
    tall = width / columns * len(rows) + 0.3 * len(rows)
    figure, axes = grid(len(rows), columns, width=width, height=tall)
    for line, row in zip(axes, rows, strict=True):
        for ax in line:
            ax.set_axis_off()
        for ax, (title, picture) in zip(line, row.items(), strict=False):
            shown = np.kron(drawn(picture), np.ones((zoom, zoom, 1)))
            ax.imshow(shown, vmin=0, vmax=1, interpolation="nearest")
            ax.set_title(title, fontsize=9)
    return figure


def drawn(picture: Tensor) -> Floats:
    """(H, W, 3) to look at: a modulus (H, W) by its square root, colours cut to [0, 1]."""
    if picture.dim() == 2:
        return modulus_picture(picture.detach().clamp_min(0).sqrt().float().numpy()).astype(float)
    return np.asarray(picture.detach().clamp(0, 1).double().numpy())


def likeness(mine: Mapping[str, float], others: Floats) -> Figure:
    """One axis: pictures with a person's modulus, and other people, by how well they explain.

    Args:
        mine: what it is -> share explained.
        others: shares of other people's pictures; those below -1 are drawn at -1.
    """
    figure, axes = grid(1, 1, width=9, height=0.45 * len(mine) + 1.3)
    ax, row = axes[0][0], 0
    for row, value in enumerate(mine.values()):
        ax.plot(value, row, "o", color=BLUE, mec="black", ms=9)
        ax.text(max(value, -1) - 0.05, row, f"{value:.2f}", va="center", ha="right", fontsize=9)
        ax.axhline(row, color="0.9", lw=1, zorder=0)
    last = row + 1
    ax.plot(np.maximum(others, -1), np.full(len(others), last), "v", color=VERMILLION, mec="black")
    ax.set_yticks(range(last + 1), [*mine, f"{len(others)} other people"])
    ax.invert_yaxis()
    ax.axvline(0, color="0.5", lw=1, ls=":")
    ax.set_xlim(-1.1, 1.08)
    ax.set_xlabel("share of the face explained, up to a turn of colours (below -1 at -1)")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def study() -> Figure:
    """The stored runs: each person's mean over seeds, and the median with its interval."""
    names = faces.settings()
    figure, axes = grid(1, 1, width=9, height=0.34 * len(names) + 1.0)
    ax = axes[0][0]
    for row, name in enumerate(names):
        values = faces.of_people(name)
        colour, mark = _looks(name)
        low, high = faces.interval(values)
        ax.plot([low, high], [row, row], color=colour, lw=5, alpha=0.35, solid_capstyle="butt")
        ax.plot(np.maximum(values, -1.5), np.full(len(values), row), ".", color="0.45", ms=5)
        ax.plot(max(float(np.median(values)), -1.5), row, mark, color=colour, mec="black", ms=9)
        ax.text(1.06, row, f"{np.median(values):.2f}", va="center", fontsize=9)
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.invert_yaxis()
    ax.axvline(0, color="0.5", lw=1, ls=":")
    ax.set_xlim(-1.6, 1.2)
    ax.set_xlabel("share of the face explained, up to a turn of colours (below -1.5 at -1.5)")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _looks(name: str) -> tuple[str, str]:
    """Colour and mark of a setting's family."""
    if name in (NULL, CONTROL):
        return (VERMILLION, "v") if name == NULL else (GREEN, "^")
    families = {"noise": (ORANGE, "s"), "levels": (PURPLE, "D"), "blur": ("0.35", "P")}
    return next((looks for word, looks in families.items() if word in name), (BLUE, "o"))
