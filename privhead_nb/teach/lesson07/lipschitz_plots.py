"""Pictures of lesson 7: norms, painted lines, bounds that never bind, and arms in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.teach.lesson07 import lipschitz_runs as runs
from privhead_nb.teach.lesson07 import painted_lines
from privhead_nb.teach.lesson07.lipschitz_runs import Arm, Interval, Run
from privhead_nb.teach.lesson07.painted_lines import Fitted
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Every arm has its own colour and mark, so that neither alone tells them apart; and a short name.
ARMS = {
    "none": (VERMILLION, "v", "no\nbound"),
    "again": ("0.35", "P", "drawn\nanew"),
    "shipped": (PURPLE, "s", "as\nshipped"),
    "1.0": (ORANGE, "D", "row\nsums"),
    "0.5": (GREEN, "^", "1/2"),
    "0.25": (BLUE, "o", "1/4"),
}
DASHES = ("-", "--", ":", "-.")
FITS = (VERMILLION, BLUE, GREEN, ORANGE)


def boxes(weight: Tensor) -> Figure:
    """What a 2 x 2 matrix makes of the square of all inputs that moved by at most 1.

    Args:
        weight: (2, 2).
    """
    square = torch.tensor([[1.0, 1], [-1, 1], [-1, -1], [1, -1], [1, 1]])
    image, norm = square @ weight.T, float(weight.abs().sum(1).max())
    figure, axes = grid(1, 2, width=7.5, height=3.7)
    for ax, shape, title in zip(
        axes[0], (square, image), ("inputs that move by at most 1", "where their outputs go"),
        strict=True,
    ):  # fmt: skip
        ax.fill(shape[:, 0], shape[:, 1], color=BLUE, alpha=0.25)
        ax.plot(shape[:, 0], shape[:, 1], color=BLUE, lw=1.8)
        ax.set_title(title, fontsize=10)
        ax.set_xlim(-1.25 * norm, 1.25 * norm)
        ax.set_ylim(-1.25 * norm, 1.25 * norm)
        ax.set_aspect("equal")
        ax.grid(alpha=0.25)
    far = image[image.abs().amax(1).argmax()]
    box = norm * square
    axes[0][1].plot(box[:, 0], box[:, 1], color="0.3", lw=1.4, ls="--")
    axes[0][1].plot(*far, "o", color=VERMILLION, mec="black", ms=8)
    axes[0][1].text(
        0, 1.08 * norm, f"largest row sum: {norm:.1f}", ha="center", fontsize=9, color="0.2"
    )
    return figure


def activations() -> Figure:
    """SiLU and ReLU, and their slopes: SiLU's exceeds 1."""
    x = torch.linspace(-6, 8, 281, requires_grad=True)
    figure, axes = grid(1, 2, width=8.5, height=2.9)
    for name, function, colour, dash in (
        ("SiLU", F.silu, BLUE, "-"),
        ("ReLU", F.relu, ORANGE, "--"),
    ):
        y = function(x)
        (slope,) = torch.autograd.grad(y.sum(), x)
        for ax, values in zip(axes[0], (y, slope), strict=True):
            ax.plot(x.detach(), values.detach(), dash, color=colour, lw=1.8, label=name)
    axes[0][0].set_title("the function", fontsize=10)
    axes[0][1].set_title("its slope", fontsize=10)
    axes[0][1].axhline(1, color="0.6", lw=0.8)
    axes[0][1].plot(2.4, 1.0998, "o", color=BLUE, mec="black", ms=7)
    axes[0][1].annotate(
        "1.0998", (2.4, 1.0998), (3.4, 0.72), fontsize=9, arrowprops={"arrowstyle": "-"}
    )
    axes[0][0].legend(frameon=False, fontsize=9)
    return figure


def flatland() -> Figure:
    """The flat world: the plane's colour, what the views would show, and what is released."""
    u, v = painted_lines.pixels()
    x = torch.linspace(-1.3, 1.3, 200)
    figure, axes = grid(1, 3, width=10.5, height=2.7)
    axes[0][0].plot(x, painted_lines.colour(x), color="black", lw=1.6)
    axes[0][0].set(xlabel="place x on the plane", ylim=(0, 1))
    axes[0][0].set_title("the plane's colour", fontsize=10)
    rows = {
        "its pictures (one row a view)": painted_lines.colour(u - v * painted_lines.DEPTH),
        "what is released: their modulus": painted_lines.released(),
    }
    for ax, (title, picture) in zip(axes[0][1:], rows.items(), strict=True):
        shown = picture if "pictures" in title else -picture
        ax.imshow(shown, cmap="gray", aspect="auto", extent=(-1.3, 1.3, 1.25, -1.25))
        ax.set(xlabel="pixel u", ylabel="slant v of the view")
        ax.set_title(title, fontsize=10)
    return figure


def paintings(fits: Mapping[str, Fitted]) -> Figure:
    """What networks paint onto the plane, for each view, and where the plane went.

    Args:
        fits: by name, up to three.
    """
    count = len(fits)
    figure, axes = grid(1, count + 1, width=3.0 * (count + 1), height=2.9)
    for number, (name, fitted) in enumerate(fits.items()):
        ax = axes[0][number]
        ax.imshow(
            fitted.painted(), cmap="gray", vmin=0, vmax=1, aspect="auto", extent=(-1, 1, 1, -1)
        )
        ax.set_title(f"{name}\ndepth {fitted.depth:.2f}", fontsize=10)
        ax.set(xlabel="place x on the plane", ylabel="view" if number == 0 else "")
        axes[0][-1].plot(fitted.depths, DASHES[number], color=FITS[number], lw=1.8, label=name)
    last = axes[0][-1]
    last.axhline(painted_lines.DEPTH, color="0.4", lw=1)
    last.text(0, painted_lines.DEPTH + 0.01, "truth", fontsize=8, color="0.3")
    last.set(xlabel="step", ylim=(-0.03, 0.5))
    last.set_title("depth of the plane", fontsize=10)
    last.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def ladder(rungs: Mapping[str, float]) -> Figure:
    """Bounds of one network from loose to tight, on a logarithmic scale; the last is the truth.

    Args:
        rungs: name -> largest slope from input to colour.
    """
    figure, axes = grid(1, 1, width=8.5, height=0.6 + 0.45 * len(rungs))
    ax = axes[0][0]
    for row, number in enumerate(rungs.values()):
        last = row == len(rungs) - 1
        ax.barh(row, number, 0.6, left=0.0, color=GREEN if last else BLUE, alpha=0.85,
                hatch="//" if last else "")  # fmt: skip
        ax.text(1.08 * number, row, f"{number:.0f}" if number > 10 else f"{number:.1f}",
                va="center", fontsize=9)  # fmt: skip
    ax.set_yticks(range(len(rungs)), list(rungs), fontsize=9)
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlim(0.3, 2.5 * max(rungs.values()))
    ax.set_xlabel("largest change of a colour, per change of an input", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def race(found: Run) -> Figure:
    """Bounds and largest row sums of the three layers during a stage 2."""
    watched = found["watched"]
    steps = watched["step"]
    bounds, sums = np.array(watched["bounds"]), np.array(watched["row_sums"])
    figure, axes = grid(1, bounds.shape[1], width=10, height=2.9)
    for layer, ax in enumerate(axes[0]):
        ax.plot(steps, bounds[:, layer], "--", color=VERMILLION, lw=1.8, label="bound softplus(m)")
        ax.plot(steps, sums[:, layer], color=BLUE, lw=1.8, marker="o", ms=3.5,
                label="largest row sum")  # fmt: skip
        ax.fill_between(steps, sums[:, layer], bounds[:, layer], color="0.9")
        ax.set_ylim(0, 1.15 * bounds.max())
        ax.set_title(f"layer {layer + 1}", fontsize=10)
        ax.set_xlabel("step of stage 2", fontsize=9)
    axes[0][0].legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def forest(
    rows: Mapping[str, tuple[NDArray[np.float64], Interval]], styles: Sequence[tuple[str, str]]
) -> Figure:
    """Paired differences: a dot a pair, the mean and its interval, and the paper's 9 %.

    Args:
        rows: name -> (differences in percent, their interval).
        styles: colour and mark of each row.
    """
    figure, axes = grid(1, 1, width=9.5, height=1.2 + 0.62 * len(rows))
    ax = axes[0][0]
    for row, ((dots, found), (colour, mark)) in enumerate(zip(rows.values(), styles, strict=True)):
        ax.plot(dots, np.full(len(dots), row - 0.16), mark, color=colour, ms=6, alpha=0.75)
        ax.plot([found.low, found.high], [row + 0.16, row + 0.16], color="black", lw=2)
        ax.plot(found.mean, row + 0.16, "|", color="black", ms=13, mew=2.5)
    ax.axvline(0, color="0.4", lw=1)
    ax.axvline(-9, color=VERMILLION, lw=1.2, ls=":")
    ax.text(-10, -0.62, "the paper's mean, -9 %", fontsize=8, color=VERMILLION, ha="right")
    ax.set_yticks(range(len(rows)), [f"{n}\n{f.count} pairs" for n, (_, f) in rows.items()])
    ax.tick_params(labelsize=9)
    ax.set_ylim(len(rows) - 0.4, -0.85)
    ax.set_xlabel("distance against the same head and seed without a bound, percent", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def where_lines_come_from(arms: Sequence[Arm]) -> Figure:
    """Every run: how steep its network is, against its features, its paint and its geometry."""
    figure, axes = grid(1, 3, width=11, height=3.2)
    measures = ("slope of the features", "slope of the paint", "distance")
    for ax, measure in zip(axes[0], measures, strict=True):
        for arm in arms:
            colour, mark, _ = ARMS[arm.slack]
            found = runs.of_arm(arm).values()
            ax.plot(
                [runs.value(r, "network's steepness") for r in found],
                [runs.value(r, measure) for r in found],
                mark, color=colour, mec="black", mew=0.4, ms=7, label=arm.label,
            )  # fmt: skip
        ax.set_xscale("log")
        ax.set_xticks([0.2, 0.5, 1.0], ["0.2", "0.5", "1"])
        ax.minorticks_off()
        ax.set_ylim(0, 1.08 * ax.dataLim.y1)
        unit = runs.MEASURES[measure][0]
        ax.set_title(measure + (f" ({unit})" if unit else ""), fontsize=10)
        ax.set_xlabel("steepness of the colour network", fontsize=9)
    axes[0][2].legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def power_curves(spreads: Mapping[str, float], effect: float, most: int = 24) -> Figure:
    """How often a paired t test finds an effect, over the number of pairs.

    Args:
        spreads: name -> standard deviation of the differences, in percent.
        effect: true mean difference, in percent.
        most: pairs.
    """
    figure, axes = grid(1, 1, width=7.5, height=3.3)
    ax, counts = axes[0][0], range(2, most + 1)
    for (name, spread), dash, colour in zip(spreads.items(), DASHES, FITS, strict=False):
        chance = [runs.power(effect, spread, n) for n in counts]
        ax.plot(counts, chance, dash, color=colour, lw=1.8, label=name)
        needed = runs.pairs_needed(effect, spread)
        if needed <= most:
            ax.plot(needed, runs.power(effect, spread, needed), "o", color=colour, mec="black")
    ax.axhline(0.8, color="0.6", lw=0.8)
    ax.set(xlabel="pairs (head x seed)", ylim=(0, 1.03))
    ax.set_ylabel(f"chance to find {effect:g} %", fontsize=9)
    ax.legend(frameon=False, fontsize=8, loc="lower right")
    return figure
