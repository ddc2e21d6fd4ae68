"""Pictures of lesson 05: a head's signed distance while it is trained (`stages.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privhead_nb.kernels.compositing import laplace_density
from privhead_nb.teach.lesson05.stages import POINTS, SIDE, Moment
from privhead_nb.teach.widgets import View
from privhead_nb.viz.palette import BLUE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Lines = Sequence[NDArray[np.float64]]
RUNS = {"two stages": (BLUE, "o", "-"), "stage 2 alone": (VERMILLION, "s", "--")}
FAR = 60.0  # mm, at the ends of the map of distances
STEP = 6.0  # mm, of a band of one colour: bands can be counted, and make a small file
ALONG = np.linspace(-SIDE / 2, SIDE / 2, POINTS)


def moment_row(moments: Sequence[Moment], plane: str, truth: Lines) -> Figure:
    """The field at a few moments: distance as grey, its zero as a line, the truth dashed."""
    figure, axes = grid(1, len(moments), width=11, height=11 / len(moments) + 0.7)
    for ax, moment in zip(axes[0], moments, strict=True):
        _field(ax, moment.sdf[plane], truth, RUNS[moment.run][0])
        ax.set_title(f"{moment.name}\n{moment.distance:.1f} mm", fontsize=9)
    axes[0][0].plot([], [], color=RUNS[moments[0].run][0], lw=1.8, label="f = 0")
    axes[0][0].plot([], [], color="black", lw=1.2, ls="--", label="truth")
    axes[0][0].legend(fontsize=8, loc="lower right", framealpha=0.9)
    return figure


def progress(moments: Sequence[Moment], stage1_steps: int) -> Figure:
    """Distance and normals of both runs over the steps of training."""
    figure, axes = grid(1, 2, width=10, height=3.2)
    for run, (colour, mark, dash) in RUNS.items():
        own = [m for m in moments if m.run == run]
        steps = [m.step + stage1_steps * (m.stage == "stage2") for m in own]
        for ax, values in zip(
            axes[0], ([m.distance for m in own], [m.normal_deg for m in own]), strict=True
        ):
            ax.plot(steps, values, color=colour, marker=mark, ls=dash, label=run)
    for ax, label in zip(
        axes[0], ("distance to the truth [mm]", "normal error [deg]"), strict=True
    ):
        ax.axvline(stage1_steps, color="0.6", lw=1, ls=":")
        ax.set_xscale("symlog", linthresh=30)
        ax.set_xlim(-3, 1.15 * max(m.step for m in moments) + stage1_steps)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set_xlabel("step, stage 1 and stage 2 counted through", fontsize=9)
        ax.set_title(label, fontsize=10)
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    height = 0.4 * axes[0][0].get_ylim()[1]
    axes[0][0].text(0.93 * stage1_steps, height, "stage 2 begins", fontsize=8, ha="right")
    axes[0][1].legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def moment_pair(
    two: Moment, alone: Moment, plane: str, truth: Lines, *, shown: str, beta: float | None
) -> View:
    """Two runs at one moment, on one plane: what a panel shows, so axes are placed by hand.

    Args:
        two, alone: the run with both stages, and stage 2 alone at the same step of stage 2.
        plane: of `stages.PLANES`.
        truth: outline of the truth there.
        shown: "distance" or "fog", the density that the distance becomes.
        beta: width of the fog in mm; None takes the one that training used then.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 4.1), dpi=80)
    for place, moment in enumerate((two, alone)):
        ax = figure.add_axes((0.02 + 0.49 * place, 0.02, 0.47, 0.87))
        width = moment.beta if beta is None else beta
        if shown == "fog":
            _fog(ax, moment.sdf[plane], width, truth)
        else:
            _field(ax, moment.sdf[plane], truth, RUNS[moment.run][0])
        ax.set_title(
            f"{moment.run}: {moment.name}, {moment.distance:.1f} mm", fontsize=10, y=1.0
        )  # a title that is told its height does not look for room above all that is drawn
    facts = "; ".join(
        f"{m.run}: {m.name}, {m.distance:.2f} mm, {m.normal_deg:.1f} deg" for m in (two, alone)
    )
    wide = f"{two.beta if beta is None else beta:.2g} mm"
    what = f"the fog that a beta of {wide} makes of it" if shown == "fog" else "signed distance"
    where = "cut from the side" if plane == "profile" else "cut level through the nose"
    alt = (
        f"Two pictures of the {what}, {where}, with the true outline dashed. Left two stages at "
        f"{two.name}, {two.distance:.1f} mm from the truth; right stage 2 alone at {alone.name}, "
        f"{alone.distance:.1f} mm."
    )
    return View(figure, alt, facts)


def _field(ax: Axes, sdf: NDArray[np.float32], truth: Lines, colour: str) -> None:
    _picture(ax, STEP * np.round(sdf / STEP), "cividis", (-FAR, FAR))
    lines = ax.contour(
        ALONG, ALONG, sdf, [-20.0, 0.0, 20.0], colors="white", linewidths=[0.6, 3.2, 0.6]
    )
    for surface in lines.allsegs[1]:
        ax.plot(surface[:, 0], surface[:, 1], color=colour, lw=1.8)
    _truth(ax, truth)


def _fog(ax: Axes, sdf: NDArray[np.float32], beta: float, truth: Lines) -> None:
    """Density times beta: 1 deep inside, 1/2 at the surface, 0 far outside."""
    import torch

    fog = beta * laplace_density(torch.from_numpy(sdf), beta).numpy()
    _picture(ax, fog, "gray_r", (0.0, 1.15))
    _truth(ax, truth, VERMILLION)


def _picture(ax: Axes, values: NDArray[Any], cmap: str, limits: tuple[float, float]) -> None:
    half = SIDE / 2
    ax.imshow(
        values, cmap=cmap, vmin=limits[0], vmax=limits[1], extent=(-half, half, half, -half),
        interpolation="nearest",
    )  # fmt: skip
    ax.set_axis_off()


def _truth(ax: Axes, truth: Lines, colour: str = "black") -> None:
    for line in truth:
        ax.plot(line[:, 0], line[:, 1], color=colour, lw=1.1, ls=(0, (4, 2)))
    ax.set(xlim=(-SIDE / 2, SIDE / 2), ylim=(SIDE / 2, -SIDE / 2))
