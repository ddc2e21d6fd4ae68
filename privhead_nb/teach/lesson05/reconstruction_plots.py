"""Pictures of lesson 05: beta, distances as colour, whose colours a face has, and Table 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.kernels.compositing import laplace_density
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach.lesson05.table1 import Group
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, PURPLE, modulus_picture
from privhead_nb.viz.plots import grid
from privhead_nb.viz.shading import frame_of, rasterize, shaded_normals, view_rotation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
BETAS = ((0.03, ":", PURPLE), (0.012, "--", ORANGE), (0.0015, "-", BLUE))
GROUPS = ((ORANGE, "^"), (PURPLE, "v"), (BLUE, "o"), (GREEN, "s"))


def reach(beta: float, misses: Array, length: float = 0.2) -> Array:
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


def who_feels(betas: Sequence[tuple[float, str, str]] = BETAS, radius: float = 185.0) -> Figure:
    """Fog over the distance from a wall, and how strongly a ray that misses by it pulls."""
    figure, axes = grid(1, 2, width=9.5, height=3.0)
    f = np.linspace(-20, 40, 3001) / radius
    for beta, dash, colour in betas:
        label = f"beta {beta:g}, {beta * radius:.1f} mm"
        fog = laplace_density(torch.from_numpy(f), beta).numpy() * beta
        pull = reach(beta, f)
        axes[0][0].plot(f * radius, fog, dash, color=colour, label=label, lw=1.8)
        axes[0][1].plot(f * radius, pull / pull.max(), dash, color=colour, lw=1.8)
    axes[0][0].set_title("fog: density times beta", fontsize=10)
    axes[0][1].set_title("pull of a ray, as a share of the largest", fontsize=10)
    for ax in axes[0]:
        ax.set_xlabel("how far the ray misses the wall [mm]", fontsize=9)
        ax.axvline(0, color="0.6", lw=0.8, zorder=0)
        ax.tick_params(labelsize=8)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(frameon=False, fontsize=9)
    return figure


def schedules(study: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Normals and distances of the stored study of beta: a mark for each run, means as bars."""
    names = list(dict.fromkeys(run["schedule"] for run in study.values()))
    kinds = {"footprint": "by its footprint", "volume": "by fog alone"}
    figure, axes = grid(2, 2, width=10, height=1.2 + 0.9 * len(names))
    stages = (("stage1", ORANGE, "^", -0.16), ("stage2", BLUE, "o", 0.16))
    keys = {"distance_mean": "distance [mm]", "normal_median_deg": "normal error [deg]"}
    for line, (kind, words) in zip(axes, kinds.items(), strict=True):
        for ax, (key, label) in zip(line, keys.items(), strict=True):
            for row, name in enumerate(names):
                runs = [r for r in study.values() if (r["schedule"], r["coverage"]) == (name, kind)]
                for stage, colour, mark, shift in stages:
                    values = [run[stage][key] for run in runs]
                    if values:
                        ax.barh(row + shift, mean(values), 0.3, color=colour, alpha=0.35)
                        ax.plot(values, [row + shift] * len(values), mark, color=colour, mec="k")
            ax.set_yticks(range(len(names)), names if ax is line[0] else [])
            ax.invert_yaxis()
            ax.spines[["top", "right"]].set_visible(False)
            ax.set_title(f"coverage {words}", fontsize=10, loc="left")
            ax.set_xlabel(label)
    for column in (0, 1):  # one scale above and below
        right = max(line[column].get_xlim()[1] for line in axes)
        for line in axes:
            line[column].set_xlim(0, right)
    for stage, colour, mark, _ in stages:
        label = f"{stage[:-1]} {stage[-1]}"
        axes[0][1].plot([], [], mark, color=colour, mec="k", label=label)
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

    figure, axes = grid(1, len(meshes), width=11, height=11 / len(meshes) + 0.3)
    center, extent = frame_of(list(meshes.values())[-1])
    norm = Normalize(*limits)
    for ax, (name, mesh) in zip(axes[0], meshes.items(), strict=True):
        clay = shaded_normals(mesh, view, size, center=list(center), extent=extent)
        if name in values:
            painted, hit = _painted(mesh, values[name], view, size, center, extent)
            light = 0.55 + 0.45 * clay.mean(axis=2)[hit] / 0.86
            clay[hit] = colormaps["cividis"](norm(painted[hit]))[:, :3] * light[:, None].clip(0, 1)
        ax.imshow(clay, vmin=0, vmax=1)
        ax.set_axis_off()
        ax.set_title(name, fontsize=10)
    colours = ScalarMappable(norm, "cividis")
    figure.colorbar(colours, ax=axes[0], label=label, shrink=0.8, extend="max", pad=0.01)
    return figure


def _painted(
    mesh: Mesh, values: Array, view: str, size: int, center: Array, extent: float
) -> tuple[Array, NDArray[np.bool_]]:
    """Values blended over the pixels that see the mesh."""
    seen = (mesh.vertices - center) @ view_rotation(view).T
    pixel = np.stack([seen[:, 0], -seen[:, 1]], axis=1) * (size / (2 * extent)) + (size - 1) / 2
    face, weights = rasterize(np.column_stack([pixel, seen[:, 2]]), mesh.faces, size)
    hit = face >= 0
    painted = np.zeros(face.shape)
    painted[hit] = (values[mesh.faces[face[hit]]] * weights[hit]).sum(axis=1)
    return painted, hit


def whose_colours(
    photo: NDArray[Any], rendered: NDArray[Any], operator: Operator, *, normals: NDArray[Any]
) -> Figure:
    """A sensitive photo that its owner kept, our rendering of the same view, and both moduli.

    Args:
        photo, rendered: (H, W, 3) in [0, 1].
        operator: the release's.
        normals: (H, W, 3), of the rendering.
    """
    figure, axes = grid(1, 5, width=11, height=2.7)
    moduli = [operator.modulus(torch.as_tensor(p)).sqrt().numpy() for p in (photo, rendered)]
    pictures = {
        "the photo\n(stays with its owner)": photo,
        "its modulus\n(in the release)": modulus_picture(moduli[0]),
        "modulus of our rendering\n(what training compares)": modulus_picture(moduli[1]),
        "our rendering\n(never compared)": rendered,
        "normals\n(the shape we want)": normals * 0.5 + 0.5,
    }
    for ax, (name, picture) in zip(axes[0], pictures.items(), strict=True):
        ax.imshow(np.clip(picture, 0, 1), interpolation="nearest")
        ax.set_title(name, fontsize=8.5)
        ax.set_axis_off()
    return figure


def bias(counts: Sequence[int], sampled: Mapping[str, Sequence[float]], exact: float) -> Figure:
    """Two-way distance by nearest samples, over how many there are, and the exact one."""
    figure, axes = grid(1, 1, width=6.5, height=3.2)
    ax = axes[0][0]
    for (name, values), (colour, mark) in zip(sampled.items(), GROUPS, strict=False):
        ax.loglog(counts, values, color=colour, marker=mark, label=name)
    ax.axhline(exact, color="black", lw=1.4, ls="--", label="exact, to the triangles")
    ax.set_xlabel("samples on each surface")
    ax.set_ylabel("two-way distance [mm]")
    ax.set_yticks([0.5, 1, 2, 4, 8])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_xticks(list(counts))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def ratios(groups: Sequence[Group]) -> Figure:
    """Stage 2 over full RGB, a mark for each head or seed, the ratio of means as a bar."""
    figure, axes = grid(1, 1, width=8, height=0.9 + 0.5 * len(groups))
    ax = axes[0][0]
    for row, (group, (colour, mark)) in enumerate(zip(groups, GROUPS, strict=True)):
        spread = row + np.linspace(-0.18, 0.18, len(group.ratios))
        ax.plot(group.ratios, spread, mark, color=colour, mec="black", ms=6, alpha=0.85)
        ax.plot([group.ratio] * 2, [row - 0.32, row + 0.32], color="black", lw=2)
        ax.text(1.02, row, f"{group.ratio:.2f}", va="center", transform=ax.get_yaxis_transform())
    ax.axvline(1, color="0.6", lw=1, ls=":")
    ax.set_yticks(range(len(groups)), [group.name for group in groups])
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlabel("distance of stage 2 / distance of full RGB (1: the photos were not needed)")
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def two_depths(ours: NDArray[Any], theirs: NDArray[Any], unit: str = "mm") -> Figure:
    """Depth maps (H, W) of one view, nan where nothing is met, and their difference."""
    figure, axes = grid(1, 3, width=9.5, height=3.0)
    limits = (np.nanmin(theirs), np.nanmax(theirs))
    for ax, depth, name in zip(axes[0], (ours, theirs), ("yours", "the package's"), strict=False):
        shown = ax.imshow(depth, cmap="viridis_r", vmin=limits[0], vmax=limits[1])
        ax.set_title(f"depth, {name}", fontsize=10)
        ax.set_axis_off()
    figure.colorbar(shown, ax=axes[0][:2], label=unit, shrink=0.8)
    shown = axes[0][2].imshow(np.abs(ours - theirs), cmap="cividis", vmin=0, vmax=2)
    axes[0][2].set_title("difference", fontsize=10)
    axes[0][2].set_axis_off()
    figure.colorbar(shown, ax=axes[0][2], label=unit, shrink=0.8, extend="max")
    return figure
