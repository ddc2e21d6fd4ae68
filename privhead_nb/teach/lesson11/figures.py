"""Pictures of lesson 11: what fusing wins, and a GPU on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from privhead_nb.bench import show
from privhead_nb.teach.lesson11 import roofline
from privhead_nb.teach.lesson11.roofline import Machine
from privhead_nb.viz.roofline import FUNCTIONS, Result
from privhead_nb.viz.style import VERMILLION, dots, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def speedups(result: Result) -> Figure:
    """How many times faster than eager, forward and backward together, op by op and size by size.

    An op with no backward is shown by its forward.
    """
    names = {"compile": "torch.compile of the same lines", "fused": "fused"}
    rows: dict[str, dict[str, tuple[float, float, float]]] = {}
    for row in show.ratios(result):
        faster = row["full"] or row["forward"]
        if row["function"] in names and faster:
            place = f"{row['op'].replace('_', ' ')}, {row['size']}"
            rows.setdefault(place, {})[names[row["function"]]] = (faster, 1.0, faster)
    figure, axes = grid(1, 1, width=9, height=1.0 + 0.26 * len(rows))
    ax = axes[0][0]
    dots(ax, rows, percent=False, xscale="log", xlabel="times faster than eager (ratio of medians)")
    for height, ratios in enumerate(rows.values()):
        fused = ratios["fused"][0]
        ax.text(1.12 * fused, height - 0.18, f"{fused:.1f}", va="center", fontsize=8)
    ax.axvline(1, color=VERMILLION, lw=1.5)
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter("{x:g}")
    return figure


def on_paper(
    machine: Machine, flops_a_sample: float, measured: Result | None = None, samples: int = 98
) -> Figure:
    """Forward and backward of compositing by the model of `roofline.times`, over the rays.

    Args:
        machine: its ceilings.
        flops_a_sample: arithmetic of a forward.
        measured: a benchmark of such a machine; its sizes are drawn beside the lines.
        samples: a ray.
    """
    figure, axes = grid(1, 1, width=8, height=3.6)
    ax, rays = axes[0][0], np.geomspace(64, 2**20, 200)
    for name in ("eager", "fused"):
        works = [
            roofline.compositing_work(int(n), samples, name, flops_a_sample, backward=True)
            for n in rays
        ]
        spent = [roofline.times(work, machine) for work in works]
        colour, mark = FUNCTIONS[name]
        ax.loglog(rays, [t.total for t in spent], color=colour, lw=2)
        ax.loglog(rays, [t.memory for t in spent], color=colour, lw=1, ls=":")
        turn = int(np.argmax([t.bound == "memory" for t in spent]))
        ax.text(
            rays[0], 1.15 * spent[0].total, f"{name}: {works[0].launches} launches", fontsize=9,
            color=colour, va="bottom",
        )  # fmt: skip
        ax.plot(rays[turn], spent[turn].total, "|", color=colour, ms=14, mew=2)
        for row in roofline.of_compositing(measured["rows"] if measured else [], name):
            count, each = roofline.rays_and_samples(row)
            taken = 1e-3 * row["full_ms"]["median"]
            ax.plot(count * each / samples, taken, mark, color=colour, mec="black", ms=8)
    low, high = ax.get_ylim()
    ax.set_yticks([1e-6, 1e-5, 1e-4, 1e-3, 1e-2], ["1 us", "10 us", "100 us", "1 ms", "10 ms"])
    ax.set_ylim(max(low, 3e-6), high)
    ax.minorticks_off()
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel(f"rays of {samples} samples")
    ax.set_title(f"forward and backward on {machine.name}" + (", and measured" if measured else ""))
    return figure
