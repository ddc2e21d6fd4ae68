"""ROC pictures as NIST draws them: FMR against FNMR, both logarithmic, and lower is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from privhead_nb.lab.protocol import Roc
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Every recogniser has its own dash as well, so that colour alone never tells two apart.
LOOKS = (
    (BLUE, "-"),
    (VERMILLION, "--"),
    (GREEN, "-."),
    (PURPLE, ":"),
    (ORANGE, (0, (5, 1, 1, 1, 1, 1))),
    ("black", (0, (8, 2))),
    ("0.45", (0, (2, 1))),
)


def error_rates(curves: Mapping[str, Roc], *, title: str = "", width: float = 7.0) -> Figure:
    """FNMR over FMR of several recognisers, with the chance line FNMR = 1 - FMR.

    Curves run from one false match to the loosest threshold of a detected pair: a curve that ends
    before FMR 1 had probes without a face. Rates of 0 have no place on a logarithm: they lie on the
    lower edge, at half of one pair.

    Args:
        curves: name -> its rates; with a band where it has one. At most seven.
        title: above the axes.
        width: inches.
    """
    if not 1 <= len(curves) <= len(LOOKS):
        raise ValueError(f"{len(curves)} curves: give 1 to {len(LOOKS)}")
    figure, axes = grid(1, 1, width=width, height=0.72 * width)
    ax = axes[0][0]
    left = min(1 / curve.non_mated for curve in curves.values())
    bottom = min(0.5 / curve.mated for curve in curves.values())
    chance = np.geomspace(left, 1 - bottom, 400)
    ax.plot(chance, 1 - chance, color="0.6", lw=1, label="chance")
    for (name, curve), (colour, dash) in zip(curves.items(), LOOKS, strict=False):
        fmr, fnmr = np.maximum(curve.fmr, left), np.maximum(curve.fnmr, bottom)
        ax.plot(fmr, fnmr, color=colour, ls=dash, lw=1.8, drawstyle="steps-post", label=name)
        if curve.band is not None:
            at, low, high = curve.band
            low, high = np.maximum(low, bottom), np.maximum(high, bottom)
            ax.fill_between(at, low, high, color=colour, alpha=0.15, lw=0, step="post")
    ax.set(xscale="log", yscale="log", xlim=(left, 1), ylim=(bottom, 1.15), title=title)
    ax.set_xlabel("FMR: non-mated pairs that match")
    ax.set_ylabel("FNMR: mated pairs that don't match")
    ax.grid(which="major", color="0.9", lw=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=9, loc="outside right upper", handlelength=3.5)
    return figure
