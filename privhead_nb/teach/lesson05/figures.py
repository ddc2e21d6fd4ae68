"""Pictures of lesson 5: a field in training, and errors as colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.kernels.compositing import laplace_density
from privhead_nb.teach.lesson05.stages import POINTS, SIDE, Moment
from privhead_nb.viz.shading import frame_of, view_rotation
from privhead_nb.viz.style import BLUE, VERMILLION, grid, image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Lines = Sequence[Array]
RUNS = {"two stages": (BLUE, "o", "-"), "stage 2 alone": (VERMILLION, "s", "--")}
FAR = 60.0  # mm, at the ends of the map of distances
STEP = 6.0  # mm, of a band of one colour: bands can be counted, and make a small file
ALONG = np.linspace(-SIDE / 2, SIDE / 2, POINTS)


def draw_distance(ax: Axes, moment: Moment, plane: str, truth: Lines) -> None:
    """Signed distance in bands, f = 0 as a line, f = +-20 mm as thin white ones, truth dashed."""
    sdf = moment.sdf[plane]
    _picture(ax, STEP * np.round(sdf / STEP), truth, "black", cmap="cividis", vmin=-FAR, vmax=FAR)
    lines = ax.contour(
        ALONG, ALONG, sdf, [-20.0, 0.0, 20.0], colors="white", linewidths=[0.6, 3.2, 0.6]
    )
    for surface in lines.allsegs[1]:
        ax.plot(surface[:, 0], surface[:, 1], color=RUNS[moment.run][0], lw=1.8)


def draw_density(ax: Axes, moment: Moment, plane: str, truth: Lines, beta: float) -> None:
    """Density times beta: 1 deep inside, 1/2 at the surface, 0 far outside."""
    dense = beta * laplace_density(torch.from_numpy(moment.sdf[plane]), beta).numpy()
    _picture(ax, dense, truth, VERMILLION, cmap="gray_r", vmin=0, vmax=1.15)


def _picture(ax: Axes, values: NDArray[Any], truth: Lines, colour: str, **options: Any) -> None:
    half = SIDE / 2
    image(ax, values, extent=(-half, half, half, -half), **options)
    for line in truth:
        ax.plot(line[:, 0], line[:, 1], color=colour, lw=1.1, ls=(0, (4, 2)))
    ax.set(xlim=(-half, half), ylim=(half, -half))


def error_row(
    meshes: Mapping[str, Mesh], values: Mapping[str, Array], *, top: float, label: str
) -> Figure:
    """Meshes at three-quarter, a number at each vertex as colour; one without values is grey."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import Normalize

    figure, (axes,) = grid(1, len(meshes), width=11, height=11 / len(meshes) + 0.3)
    center, extent = frame_of(list(meshes.values())[-1])
    rotation, painter = view_rotation("three-quarter"), ScalarMappable(Normalize(0, top), "cividis")
    for ax, (name, mesh) in zip(axes, meshes.items(), strict=True):
        corners = (mesh.triangles() - center) @ rotation.T
        slant = (mesh.face_normals() @ rotation.T)[:, 2]
        order = np.argsort(corners[..., 2].mean(axis=1))  # far to near
        order = order[slant[order] > 0]
        plain = np.full((len(mesh.faces), 4), 0.8)
        colours = (
            painter.to_rgba(values[name][mesh.faces].mean(axis=1)) if name in values else plain
        )
        colours[:, :3] *= 0.55 + 0.45 * slant[:, None].clip(0)
        colours[:, 3] = 1
        shown = PolyCollection(
            list(corners[order][..., :2]), facecolors=colours[order], edgecolors="face"
        )
        ax.add_collection(shown)
        ax.set(xlim=(-extent, extent), ylim=(-extent, extent), aspect="equal")
        ax.set_axis_off()
        ax.set_title(name, fontsize=9)
    figure.colorbar(painter, ax=axes, label=label, shrink=0.8, extend="max", pad=0.01)
    return figure
