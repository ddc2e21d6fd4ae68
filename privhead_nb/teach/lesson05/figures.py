"""Pictures of lesson 5: a field in training, schedules of beta, errors as colour, ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.kernels.compositing import laplace_density
from privhead_nb.teach.lesson05.stages import POINTS, SIDE, Moment
from privhead_nb.teach.lesson05.table1 import Group
from privhead_nb.teach.results import where
from privhead_nb.teach.widgets import View
from privhead_nb.viz.shading import frame_of, rasterize, shaded_normals, view_rotation
from privhead_nb.viz.style import BLUE, LOOKS, VERMILLION, grid, image

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Lines = Sequence[Array]
RUNS = {"two stages": (BLUE, "o", "-"), "stage 2 alone": (VERMILLION, "s", "--")}
FAR = 60.0  # mm, at the ends of the map of distances
STEP = 6.0  # mm, of a band of one colour: bands can be counted, and make a small file
ALONG = np.linspace(-SIDE / 2, SIDE / 2, POINTS)


def moment_row(moments: Sequence[Moment], plane: str, truth: Lines) -> Figure:
    """The field at a few moments: distance as colour, its zero as a line, the truth dashed."""
    figure, (axes,) = grid(1, len(moments), width=11, height=11 / len(moments) + 0.7)
    for ax, moment in zip(axes, moments, strict=True):
        draw_distance(ax, moment, plane, truth)
        ax.set_title(f"{moment.name}\n{moment.distance:.1f} mm", fontsize=9)
    axes[0].plot([], [], color=RUNS[moments[0].run][0], lw=1.8, label="f = 0")
    axes[0].plot([], [], color="black", lw=1.2, ls="--", label="truth")
    axes[0].legend(fontsize=8, loc="lower right", framealpha=0.9)
    return figure


def draw_distance(ax: Axes, moment: Moment, plane: str, truth: Lines) -> None:
    """Signed distance in bands, f = 0 as a line, f = +-20 mm as thin white ones, truth dashed."""
    sdf = moment.sdf[plane]
    _picture(ax, STEP * np.round(sdf / STEP), truth, "black", cmap="cividis", vmin=-FAR, vmax=FAR)
    lines = ax.contour(
        ALONG, ALONG, sdf, [-20.0, 0.0, 20.0], colors="white", linewidths=[0.6, 3.2, 0.6]
    )
    for surface in lines.allsegs[1]:
        ax.plot(surface[:, 0], surface[:, 1], color=RUNS[moment.run][0], lw=1.8)


def draw_fog(ax: Axes, moment: Moment, plane: str, truth: Lines, beta: float) -> None:
    """Density times beta: 1 deep inside, 1/2 at the surface, 0 far outside."""
    fog = beta * laplace_density(torch.from_numpy(moment.sdf[plane]), beta).numpy()
    _picture(ax, fog, truth, VERMILLION, cmap="gray_r", vmax=1.15)


def _picture(ax: Axes, values: NDArray[Any], truth: Lines, colour: str, **options: Any) -> None:
    half = SIDE / 2
    image(ax, values, extent=(-half, half, half, -half), **options)
    for line in truth:
        ax.plot(line[:, 0], line[:, 1], color=colour, lw=1.1, ls=(0, (4, 2)))
    ax.set(xlim=(-half, half), ylim=(half, -half))


def moment_pair(
    two: Moment, alone: Moment, plane: str, truth: Lines, *, shown: str, beta: float | None
) -> View:
    """Two runs at one moment, on one plane.

    Args:
        two, alone: the run with both stages, and stage 2 alone at the same step of stage 2.
        plane: of `stages.PLANES`.
        truth: outline of the truth there.
        shown: "distance" or "fog", the density that the distance becomes.
        beta: width of the fog in mm; None takes the one that training used then.
    """
    figure, (axes,) = grid(1, 2, width=7.6, height=4.1)
    for ax, moment in zip(axes, (two, alone), strict=True):
        if shown == "fog":
            draw_fog(ax, moment, plane, truth, moment.beta if beta is None else beta)
        else:
            draw_distance(ax, moment, plane, truth)
        ax.set_title(f"{moment.run}: {moment.name}, {moment.distance:.1f} mm", fontsize=9)
    facts = "; ".join(
        f"{m.run}: {m.name}, {m.distance:.2f} mm, {m.normal_deg:.1f} deg" for m in (two, alone)
    )
    wide = f"{two.beta if beta is None else beta:.2g} mm"
    what = f"the fog that a beta of {wide} makes of it" if shown == "fog" else "signed distance"
    cut = "cut from the side" if plane == "profile" else "cut level through the nose"
    alt = (
        f"Two pictures of the {what}, {cut}, with the true outline dashed. Left two stages at "
        f"{two.name}, {two.distance:.1f} mm from the truth; right stage 2 alone at {alone.name}, "
        f"{alone.distance:.1f} mm."
    )
    return View(figure, alt, facts)


def progress(moments: Sequence[Moment], stage1_steps: int) -> Figure:
    """Distance and normals of both runs over the steps of training."""
    figure, (axes,) = grid(1, 2, width=10, height=3.2)
    for ax, attribute, title in zip(
        axes, ("distance", "normal_deg"), ("distance to the truth [mm]", "normal error [deg]"),
        strict=True,
    ):  # fmt: skip
        for run, (colour, mark, dash) in RUNS.items():
            own = [m for m in moments if m.run == run]
            steps = [m.step + stage1_steps * (m.stage == "stage2") for m in own]
            values = [getattr(m, attribute) for m in own]
            ax.plot(steps, values, color=colour, marker=mark, ls=dash, label=run)
        ax.axvline(stage1_steps, color="0.6", lw=1, ls=":")
        ax.set_xscale("symlog", linthresh=30)
        ax.xaxis.set_major_formatter("{x:g}")
        ax.set(xlabel="step, stage 1 and stage 2 counted through", ylim=(0, None))
        ax.set_title(title, fontsize=10)
        ax.set_xlim(-3, 1.15 * max(m.step for m in moments) + stage1_steps)
    height = 0.4 * axes[0].get_ylim()[1]
    axes[0].text(0.93 * stage1_steps, height, "stage 2 begins", fontsize=8, ha="right")
    axes[1].legend(frameon=False, fontsize=9, loc="lower left")
    return figure


def pull_of_a_wall(beta: float, misses: Array, length: float = 0.2) -> Array:
    """|d opacity / d shift| of rays that pass a flat wall at some distances, (N,).

    A ray runs along the wall for a while at the distance `miss` (negative: beneath it), so its
    opacity is 1 - exp(-density length). How much that changes when the wall is shifted is all that
    a gradient has to work with.

    Args:
        beta: of the fog.
        misses: (N,).
        length: how long the ray stays near the wall, in the unit of the others.
    """
    at = torch.tensor(misses, dtype=torch.float64, requires_grad=True)
    opacity = 1 - torch.exp(-laplace_density(at, beta) * length)
    (slope,) = torch.autograd.grad(opacity.sum(), at)
    return slope.abs().numpy()


def schedules(runs: pd.DataFrame) -> Figure:
    """Normals and distances of the stored study of beta: a mark for each run, means as bars."""
    names = list(dict.fromkeys(runs["schedule"]))
    kinds = {"footprint": "by its footprint", "volume": "by fog alone"}
    keys = {"distance_mean": "distance [mm]", "normal_median_deg": "normal error [deg]"}
    figure, axes = grid(2, 2, width=10, height=1.2 + 0.9 * len(names), sharex="col", sharey=True)
    for line, (kind, words) in zip(axes, kinds.items(), strict=True):
        some = where(runs, coverage=kind)
        for ax, (key, label) in zip(line, keys.items(), strict=True):
            for number, stage in enumerate(("stage1", "stage2")):
                colour, mark, _ = LOOKS[number]
                rows = some["schedule"].map(names.index) + 0.32 * number - 0.16
                values = some[f"{stage}.{key}"]
                means = values.groupby(rows).mean()
                ax.barh(means.index, means, 0.3, color=colour, alpha=0.35)
                ax.plot(values, rows, mark, color=colour, mec="black", label=f"stage {number + 1}")
            ax.set_xlabel(label)
            ax.set_title(f"coverage {words}", fontsize=10, loc="left")
            ax.grid(visible=False)
    axes[0][0].set_yticks(range(len(names)), names)
    axes[0][0].invert_yaxis()
    axes[0][1].legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return figure


def error_row(
    meshes: Mapping[str, Mesh],
    values: Mapping[str, Array],
    *,
    limits: tuple[float, float],
    label: str,
    view: str = "three-quarter",
    size: int = 240,
) -> Figure:
    """Meshes side by side, a number at each vertex as colour, and the colour bar.

    A mesh without values is drawn as clay. Frames are those of the last mesh.
    """
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure, (axes,) = grid(1, len(meshes), width=11, height=11 / len(meshes) + 0.3)
    center, extent = frame_of(list(meshes.values())[-1])
    norm = Normalize(*limits)
    for ax, (name, mesh) in zip(axes, meshes.items(), strict=True):
        clay = shaded_normals(mesh, view, size, center=list(center), extent=extent)
        if name in values:
            at_pixels, hit = over_pixels(mesh, values[name], view, size, center, extent)
            light = 0.55 + 0.45 * clay.mean(axis=2)[hit] / 0.86
            colours = colormaps["cividis"](norm(at_pixels[hit]))[:, :3]
            clay[hit] = colours * light[:, None].clip(0, 1)
        image(ax, clay, name)
    colours = ScalarMappable(norm, "cividis")
    figure.colorbar(colours, ax=axes, label=label, shrink=0.8, extend="max", pad=0.01)
    return figure


def over_pixels(
    mesh: Mesh, values: Array, view: str, size: int, center: Array, extent: float
) -> tuple[Array, NDArray[np.bool_]]:
    """Values of vertices blended over the pixels (size, size), and which pixels see the mesh."""
    seen = (mesh.vertices - center) @ view_rotation(view).T
    pixel = np.stack([seen[:, 0], -seen[:, 1]], axis=1) * (size / (2 * extent)) + (size - 1) / 2
    face, weights = rasterize(np.column_stack([pixel, seen[:, 2]]), mesh.faces, size)
    hit = face >= 0
    blended = np.zeros(face.shape)
    blended[hit] = (values[mesh.faces[face[hit]]] * weights[hit]).sum(axis=1)
    return blended, hit


def ratios(groups: Sequence[Group]) -> Figure:
    """Stage 2 over full RGB, a mark for each head or seed, the ratio of means as a bar."""
    figure, ((ax,),) = grid(1, 1, width=8, height=0.9 + 0.5 * len(groups))
    for row, (group, (colour, mark, _)) in enumerate(zip(groups, LOOKS, strict=False)):
        spread = row + np.linspace(-0.18, 0.18, len(group.ratios))
        ax.plot(group.ratios, spread, mark, color=colour, mec="black", ms=6, alpha=0.85)
        ax.plot([group.ratio] * 2, [row - 0.32, row + 0.32], color="black", lw=2)
        ax.text(1.02, row, f"{group.ratio:.2f}", va="center", transform=ax.get_yaxis_transform())
    ax.axvline(1, color="0.6", lw=1, ls=":")
    ax.set_yticks(range(len(groups)), [group.name for group in groups])
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlabel("distance of stage 2 / distance of full RGB (1: the photos were not needed)")
    return figure
