"""The roofline of a benchmark: arithmetic a second over arithmetic per byte, op by op.

Williams, Waterman and Patterson, Roofline (2009). `privhead bench --picture` writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privhead_nb.viz.style import BLUE, ORANGE, VERMILLION, grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Result = dict[str, Any]

FUNCTIONS = {"eager": (VERMILLION, "v"), "compile": (ORANGE, "s"), "fused": (BLUE, "o")}
"""Colour and mark of each timed function, so that neither alone tells them apart."""


def largest_rows(result: Result) -> dict[str, dict[str, Any]]:
    """Op -> the last row of its fused form, which has its largest size; ops of known arithmetic."""
    return {r["op"]: r for r in result["rows"] if r["function"] == "fused" and r["flops"]}


def intensity(row: dict[str, Any]) -> float:
    """Arithmetic of a row per byte that must move, flop / B."""
    return float(row["flops"] / row["bytes_forward"])


def roof(ax: Axes, bytes_s: float, flop_s: float, right: float = 1000) -> None:
    """Draw the most that a machine can reach, from 0.03 flop / B to `right`.

    Args:
        ax: becomes logarithmic both ways.
        bytes_s: bytes a second of a large copy.
        flop_s: float32 operations a second of a large product.
        right: flop / B, where the axis ends.
    """
    from matplotlib.ticker import EngFormatter

    x = np.geomspace(0.03, right, 100)
    ax.loglog(x, np.minimum(x * bytes_s, flop_s), color="black", lw=1.6)
    ax.axvline(flop_s / bytes_s, color="0.6", lw=1, ls=":")
    ax.set_xlim(0.03, right)
    ax.set_xlabel("arithmetic per byte moved [flop / B]")
    ax.set_ylabel("arithmetic a second [flop / s]")
    ax.minorticks_off()
    ax.xaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_major_formatter(EngFormatter(sep=" "))


def roofline(result: Result) -> Figure:
    """Forward passes of a benchmark under their machine's roof, each op at its largest size.

    x is arithmetic over the least bytes, the same for all functions of an op: whoever moves more
    than the least stands lower, not further left.

    Args:
        result: as `bench.harness.run` returns it.
    """
    figure, axes = grid(1, 1, width=8, height=4.6)
    ax, facts = axes[0][0], result["machine"]
    bytes_s, flop_s = 1e9 * facts["copy_gb_s"], 1e9 * facts["fp32_gflop_s"]
    rows = sorted(largest_rows(result).values(), key=intensity)
    roof(ax, bytes_s, flop_s, max([1000.0, *(5 * intensity(row) for row in rows)]))
    lowest = flop_s
    for number, row in enumerate(rows):
        x, rates = intensity(row), []
        for name, (colour, mark) in FUNCTIONS.items():
            place = (row["op"], row["size"], name)
            for r in result["rows"]:
                if (r["op"], r["size"], r["function"]) == place:
                    rates.append(row["flops"] / (1e-3 * r["forward_ms"]["median"]))
                    ax.plot(x, rates[-1], mark, color=colour, mec="black", ms=8)
        ax.plot([x, x], [min(rates), max(rates)], color="0.6", lw=1, zorder=0)
        lowest, above = min(lowest, *rates), bool(number % 2)
        ax.annotate(
            row["op"].replace("_", " "), (x, max(rates) if above else min(rates)),
            (0, 8 if above else -8), textcoords="offset points", ha="center",
            va="bottom" if above else "top", fontsize=8,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )  # fmt: skip
    for name, (colour, mark) in FUNCTIONS.items():
        ax.plot([], [], mark, color=colour, mec="black", ms=8, label=name)
    ax.set_ylim(lowest / 8, 8 * flop_s)
    ax.text(0.2, 0.13 * bytes_s, "copy bandwidth", fontsize=8, va="top")
    ax.text(30, 1.2 * flop_s, "float32 product", fontsize=8)
    ax.set_xlabel("arithmetic per byte that must move [flop / B]")
    ax.legend(fontsize=9, frameon=False, loc="lower left")
    return figure
