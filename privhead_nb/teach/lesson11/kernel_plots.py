"""Pictures of lesson 11: what a ray sees, what eager moves, and rooflines."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from privhead_nb.kernels.compositing import laplace_density, sum_before, weights_from_density
from privhead_nb.teach.backdrop import Backdrop
from privhead_nb.teach.lesson11 import roofline
from privhead_nb.teach.lesson11.roofline import Machine, Result, Times
from privhead_nb.teach.lesson11.traffic import Traffic
from privhead_nb.teach.widgets import View
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Every function and every queue has its own colour and mark, so that neither alone tells them.
FUNCTIONS = {
    "eager": (VERMILLION, "v"),
    "compile": (ORANGE, "s"),
    "fused": (BLUE, "o"),
}
QUEUES = {"launches": (PURPLE, "//"), "memory": (BLUE, ""), "arithmetic": (GREEN, "..")}
SHORTEST = 1e-8  # s, where the queues' axis begins


def along_a_ray(beta: float = 0.02) -> Figure:
    """What the op makes of one ray that meets a wall: sdf, density, what gets through, weights."""
    depth = torch.linspace(0, 1, 97)
    sdf = 0.55 - depth
    density, deltas = laplace_density(sdf, beta), torch.full_like(depth, 1 / 96)
    through = torch.exp(-sum_before(density * deltas))
    curves = {
        "signed distance f": sdf,
        "density": density,
        "T, what gets through": through,
        "weight w": weights_from_density(density, deltas),
    }
    figure, axes = grid(1, 4, width=11, height=2.6)
    for ax, (name, values) in zip(axes[0], curves.items(), strict=True):
        ax.plot(depth, values, color=BLUE, lw=1.8)
        ax.axvline(0.55, color="0.5", lw=1, ls="--")
        ax.set_title(name, fontsize=10)
        ax.set_xlabel("depth", fontsize=9)
        ax.tick_params(labelsize=8)
    axes[0][0].axhline(0, color="0.8", lw=0.8, zorder=0)
    return figure


def byte_bars(passes: Mapping[str, Traffic], floors: Mapping[str, int], samples: int) -> Figure:
    """One bar a pass, cut into its operations, and the floor under it.

    Args:
        passes: "forward" -> what eager moves for `samples` samples.
        floors: "forward" -> least bytes a sample.
        samples: how many were counted.
    """
    figure, axes = grid(1, 1, width=10, height=1.1 + 1.0 * len(passes))
    ax, places, names = axes[0][0], [], []
    for row, (name, moved) in enumerate(passes.items()):
        left = 0.0
        for number, operation in enumerate(moved.operations):
            width = (operation.read + operation.written) / samples
            shade = (VERMILLION, "#F0A878")[number % 2]
            ax.barh(2.4 * row, width, 0.9, left=left, color=shade, edgecolor="white", lw=0.4)
            left += width
        ax.text(left + 4, 2.4 * row, f"{left:.0f} B in {moved.launches} launches", va="center")
        ax.barh(2.4 * row + 1, floors[name], 0.9, color=BLUE)
        ax.text(floors[name] + 4, 2.4 * row + 1, f"{floors[name]} B in one", va="center")
        places += [2.4 * row, 2.4 * row + 1]
        names += [f"{name}, eager", f"{name}, fused"]
    ax.set_yticks(places, names)
    ax.invert_yaxis()
    ax.set_xlabel("bytes a sample; each slice is one operation")
    ax.set_xlim(0, 1.25 * max(m.moved for m in passes.values()) / samples)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def _roof(ax: Axes, machine: Machine, right: float = 1000) -> None:
    from matplotlib.ticker import EngFormatter

    x = np.geomspace(0.03, right, 100)
    ax.loglog(x, np.minimum(x * machine.bytes_s, machine.flop_s), color="black", lw=1.6)
    ax.axvline(machine.ridge, color="0.6", lw=1, ls=":")
    ax.set_xlim(0.03, right)
    ax.set_xlabel("arithmetic per byte moved [flop / B]", fontsize=9)
    ax.set_ylabel("arithmetic a second [flop / s]", fontsize=9)
    ax.minorticks_off()
    ax.xaxis.set_major_formatter("{x:g}")  # powers as formulas would take half of a panel's time
    ax.yaxis.set_major_formatter(EngFormatter(sep=" "))
    ax.grid(alpha=0.25)


def stored_roofline(result: Result) -> Figure:
    """Forward passes of a stored benchmark, each op at the last and largest of its sizes.

    x is arithmetic over the least bytes, the same for all functions of an op: whoever moves more
    than the least stands lower, not further left.
    """
    figure, axes = grid(1, 1, width=8, height=4.6)
    ax, machine = axes[0][0], roofline.machine_of(result)
    rows = sorted(roofline.largest(result).values(), key=_intensity)
    _roof(ax, machine, max([1000.0, *(5 * _intensity(row) for row in rows)]))
    lowest = machine.flop_s
    for number, row in enumerate(rows):
        x, rates = _intensity(row), []
        for name, (colour, mark) in FUNCTIONS.items():
            place = (row["op"], row["size"], name)
            same = [r for r in result["rows"] if (r["op"], r["size"], r["function"]) == place]
            for r in same:
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
    ax.set_ylim(lowest / 8, 8 * machine.flop_s)
    ax.text(0.2, 0.13 * machine.bytes_s, "copy bandwidth", fontsize=8, va="top")
    ax.text(30, 1.2 * machine.flop_s, "float32 product", fontsize=8)
    ax.set_xlabel("arithmetic per byte that must move [flop / B]", fontsize=9)
    ax.legend(fontsize=9, frameon=False, loc="lower left")
    return figure


def _intensity(row: dict[str, Any]) -> float:
    return float(row["flops"] / row["bytes_forward"])


def stored_ratios(result: Result) -> Figure:
    """How many times faster than eager, forward and backward together, op by op and size by size.

    An op with no backward is shown by its forward.
    """
    lines: dict[tuple[str, str], dict[str, float]] = {}
    for row in result["rows"]:
        timed = row["full_ms"] or row["forward_ms"]
        if row["function"] in FUNCTIONS and timed:
            place = lines.setdefault((row["op"], row["size"]), {})
            place[row["function"]] = timed["median"]
    lines = {place: t for place, t in lines.items() if {"eager", "fused"} <= set(t)}
    figure, axes = grid(1, 1, width=9, height=1.0 + 0.22 * len(lines))
    ax = axes[0][0]
    for height, medians in enumerate(lines.values()):
        ratios = {n: medians["eager"] / medians[n] for n in ("compile", "fused") if n in medians}
        ax.plot([1, max(ratios.values())], [height, height], color="0.75", lw=1.5, zorder=0)
        for name, ratio in ratios.items():
            colour, mark = FUNCTIONS[name]
            ax.plot(ratio, height, mark, color=colour, mec="black", ms=8)
        ax.text(1.12 * ratios["fused"], height, f"{ratios['fused']:.1f}", va="center", fontsize=8)
    ax.set_yticks(range(len(lines)), [f"{op.replace('_', ' ')}, {s}" for op, s in lines])
    ax.tick_params(labelsize=8)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.margins(x=0.1, y=0.02)
    ax.axvline(1, color=FUNCTIONS["eager"][0], lw=1.5)
    ax.set_xlabel("times faster than eager (ratio of medians)", fontsize=9)
    ax.xaxis.set_major_formatter("{x:g}")
    for name, label in (("compile", "torch.compile of the same lines"), ("fused", "fused")):
        colour, mark = FUNCTIONS[name]
        ax.plot([], [], mark, color=colour, mec="black", ms=8, label=label)
    ax.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    ax.spines[["top", "right"]].set_visible(False)
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
            count, each = (int(n) for n in row["size"].split(" x "))
            taken = 1e-3 * row["full_ms"]["median"]
            ax.plot(count * each / samples, taken, mark, color=colour, mec="black", ms=8)
    low, high = ax.get_ylim()
    ax.set_yticks([1e-6, 1e-5, 1e-4, 1e-3, 1e-2], ["1 us", "10 us", "100 us", "1 ms", "10 ms"])
    ax.set_ylim(max(low, 3e-6), high)
    ax.minorticks_off()
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel(f"rays of {samples} samples", fontsize=9)
    ax.set_title(f"forward and backward on {machine.name}" + (", and measured" if measured else ""))
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def budget(rays: int, samples: int, function: str, machine: Machine, flops_a_sample: float) -> View:
    """Where the time of one compositing goes: its place under the roof, and the three queues.

    A panel redraws it while a slider moves: few artists over a kept backdrop.

    Args:
        rays, samples: the size.
        function: "eager" or "fused".
        machine: its ceilings.
        flops_a_sample: arithmetic of the op.
    """
    work = roofline.compositing_work(rays, samples, function, flops_a_sample)
    spent = roofline.times(work, machine)
    figure, (left, right) = _budget_frame(machine).copy()
    colour, mark = FUNCTIONS[function]
    x, y = work.flops / work.bytes, work.flops / spent.total
    left.plot([x, x], [y, min(x * machine.bytes_s, machine.flop_s)], color=colour, ls=":", lw=1.2)
    left.plot(x, y, mark, color=colour, mec="black", ms=10)
    # a title that is told its height does not look for room above all that is drawn
    left.set_title(f"{function} on {machine.name}", fontsize=10, y=1.0)
    _queues(right, spent)
    right.set_title(f"{rays} rays x {samples} samples", fontsize=10, y=1.0)
    facts = (
        f"{function}: launches {work.launches}, {work.bytes / 1e6:.3g} MB, "
        f"{work.flops / 1e6:.3g} Mflop; {_short(spent.total)}, bound by {spent.bound}"
    )
    alt = (
        f"{rays} rays of {samples} samples, {function}, on {machine.name}: a point under a "
        f"roofline at {x:.2g} operations per byte, three bars, "
        f"of which {spent.bound} is the longest."
    )
    return View(figure, alt, facts)


@lru_cache(maxsize=4)
def _budget_frame(machine: Machine) -> Backdrop:
    """What stays of `budget` on one machine: the roof, and the queues' names."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.1), dpi=100)
    left = figure.add_axes((0.09, 0.16, 0.39, 0.74))
    right = figure.add_axes((0.6, 0.16, 0.39, 0.74))
    _roof(left, machine)
    left.set_ylim(1e-5 * machine.flop_s, 4 * machine.flop_s)
    right.set_yticks(range(3), list(QUEUES))
    right.set_ylim(2.43, -0.43)
    right.set_xscale("log")
    right.set_xlim(SHORTEST, 30)
    right.set_xticks([1e-6, 1e-3, 1], ["1 us", "1 ms", "1 s"])
    right.spines[["top", "right"]].set_visible(False)
    return Backdrop.of(figure)


def _queues(ax: Axes, spent: Times) -> None:
    """A bar for each queue, the longest in full colour."""
    from matplotlib.patches import Rectangle

    for row, (name, (colour, hatch)) in enumerate(QUEUES.items()):
        seconds = getattr(spent, name)
        longest = name == spent.bound
        ax.add_patch(
            Rectangle(
                (SHORTEST, row - 0.3), seconds, 0.6, facecolor=colour, hatch=hatch,
                edgecolor="white", alpha=1.0 if longest else 0.45,
            )
        )  # fmt: skip
        ax.text(
            seconds * 1.2 + SHORTEST, row, _short(seconds), va="center", fontsize=9,
            weight="bold" if longest else "normal",
        )  # fmt: skip


def _short(seconds: float) -> str:
    """ "1.2 ms"."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
