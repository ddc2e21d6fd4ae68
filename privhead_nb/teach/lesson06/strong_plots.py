"""Pictures of lesson 6's last section: who is named, by how many pictures and at which setting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from privhead_nb.teach import lab_runs
from privhead_nb.viz.palette import BLUE, ORANGE
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STEPS = ((BLUE, "-"), (ORANGE, "--"))
LOOKS = {"one picture": (BLUE, "o"), "eight together": (ORANGE, "s")}


def first_so_many(tables: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> Figure:
    """Share of probes whose person is among the first k, over k; the dotted line is guessing.

    Args:
        tables: name -> (N, P) similarities.
        own: name -> (N,) the right columns.
    """
    figure, axes = grid(1, 1, width=6, height=3.2)
    ax = axes[0][0]
    for (name, table), (colour, dash) in zip(tables.items(), STEPS, strict=False):
        mine = table.gather(1, own[name][:, None])
        ranks = (table >= mine).sum(1).numpy()
        k = np.arange(1, table.shape[1] + 1)
        ax.step(
            k, (ranks[:, None] <= k).mean(0), dash, where="post", color=colour, lw=2, label=name
        )
    ax.plot(k, k / k[-1], ":", color="0.4", lw=1.2, label="guessing")
    ax.set(xlim=(1, k[-1]), ylim=(0, 1.02))
    ax.set_xlabel("so many people kept, the most similar first", fontsize=9)
    ax.set_ylabel("the right one is among them", fontsize=9)
    ax.legend(fontsize=9, frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def by_setting(attack: str = "parrot-classical") -> Figure:
    """Rank-1 of one attack at each setting, with intervals; diamonds where another was stronger."""
    names = lab_runs.settings()
    figure, axes = grid(1, 1, width=9, height=0.36 * len(names) + 1.1)
    ax = axes[0][0]
    for k, (taken, (colour, mark)) in enumerate(LOOKS.items()):
        found = [lab_runs.rate(name, attack, taken=taken) for name in names]
        best = [lab_runs.rate(name, lab_runs.WORST, taken=taken) for name in names]
        y = np.arange(len(names)) + 0.24 * (k - 0.5)
        for row, rate in zip(y, found, strict=True):
            ax.hlines(row, rate.low, rate.high, color=colour, lw=2)
        ax.plot([r.value for r in found], y, mark, color=colour, mec="black", ms=6, label=taken)
        more = [(b, row) for b, f, row in zip(best, found, y, strict=True) if b.source != f.source]
        words = f"{taken}, a stronger attack"
        style: dict[str, Any] = {
            "color": "white",
            "mec": colour,
            "mew": 1.8,
            "ms": 7,
            "label": words,
        }
        ax.plot([b.value for b, _ in more], [row for _, row in more], "D", **style)
    ax.axvline(1 / lab_runs.people(), color="0.4", ls=":", lw=1.2, label="guessing")
    ax.set_yticks(range(len(names)), names, fontsize=9)
    ax.invert_yaxis()
    ax.set_xlim(0, 1.02)
    ax.set_xlabel(f"named rightly among {lab_runs.people()} people", fontsize=9)
    figure.legend(fontsize=8, frameon=False, loc="outside upper center", ncols=3)
    ax.spines[["top", "right"]].set_visible(False)
    return figure
