"""Pictures of a run: what was released, how the losses fell, and the heads side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import Distances
from privhead_nb.viz.shading import frame_of, shaded_normals
from privhead_nb.viz.style import (
    LOOKS,
    NEUTRAL,
    SENSITIVE,
    curves,
    image,
    modulus_picture,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from trimesh import Trimesh

    from privhead_nb.privacy.release import Release

History = Mapping[str, Mapping[str, Sequence[float]]]

STAGES = {"stage1": "stage 1", "stage2": "stage 2", "full_rgb": "full RGB"}
TERMS = ("rgb", "gradient", "eikonal", "mask", "laplacian", "lipschitz")
"""Of the losses; each has its own look in all pictures."""


def loss_curves(axes: Sequence[Axes], history: History) -> None:
    """Every weighted loss term over the steps, a panel for each stage, on a logarithmic scale.

    Args:
        axes: as many as the history has stages.
        history: of a Reconstruction; "step" and one list for each term. Terms of older versions,
            which have no look any more, are left out.
    """
    for ax, (stage, record) in zip(axes, history.items(), strict=True):
        terms = {t: np.maximum(values, 1e-9) for t, values in record.items() if t in TERMS}
        looks = [LOOKS[TERMS.index(term)] for term in terms]
        title = f"{STAGES.get(stage, stage)}: weighted losses"
        curves(ax, record["step"], terms, looks=looks, title=title, xlabel="step", yscale="log")


def released_views(axes: Sequence[Axes], release: Release) -> None:
    """Half of the axes show neutral views, half show moduli, as they leave the device.

    Moduli are drawn as their square root, for the eye alone: weak gradients would vanish beside
    the silhouette.
    """
    half = len(axes) // 2
    neutral = _spread(len(release.neutral), half)
    sensitive = _spread(len(release.sensitive), len(axes) - half)
    pictures = [(release.neutral_images[i].numpy(), "neutral: RGB", NEUTRAL) for i in neutral]
    pictures += [
        (modulus_picture(release.moduli[i].sqrt().numpy()), "sensitive: modulus", SENSITIVE)
        for i in sensitive
    ]
    for ax in axes:
        ax.set_axis_off()
    for ax, (picture, title, colour) in zip(axes, pictures, strict=False):
        image(ax, picture)
        ax.set_title(title, fontsize=8, color=colour, pad=3)


def mesh_row(
    axes: Sequence[Axes],
    meshes: Mapping[str, Mesh | Trimesh],
    view: str,
    *,
    up: str = "+y",
    front: str = "+z",
    titles: bool = True,
) -> None:
    """Meshes side by side from one side, in one frame: that of the last, usually the truth."""
    ours = {n: m if isinstance(m, Mesh) else Mesh.from_trimesh(m) for n, m in meshes.items()}
    center, extent = frame_of(list(ours.values())[-1], up)
    for ax, (name, mesh) in zip(axes, ours.items(), strict=True):
        picture = shaded_normals(
            mesh, view, 320, center=list(center), extent=extent, up=up, front=front
        )
        image(ax, picture, name if titles else "")


def result_page(
    release: Release,
    history: History,
    meshes: Mapping[str, Mesh],
    distances: Mapping[str, Distances] | None = None,
    *,
    title: str = "",
) -> Figure:
    """One page: released views, loss curves, and the meshes from the front and three-quarter.

    Args:
        release: what training read.
        history: of the runs shown, stage by stage.
        meshes: by name, left to right; the last sets the frame.
        distances: by the same names, printed under them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 11.5), layout="constrained", dpi=110)
    parts = figure.subfigures(3, 1, height_ratios=[1.5, 2.3, 6.2], squeeze=False)
    released, curves, heads = parts[:, 0]
    if title:
        figure.suptitle(title, fontsize=11)
    released_views(list(released.subplots(1, 8)), release)
    loss_curves(list(np.atleast_1d(curves.subplots(1, len(history)))), history)
    rows = heads.subplots(2, len(meshes), squeeze=False)
    for row, view in zip(rows, ("front", "three-quarter"), strict=True):
        mesh_row(
            list(row), meshes, view, up=release.up, front=release.front, titles=view == "front"
        )
    for ax, name in zip(rows[0], meshes, strict=True):
        if distances and name in distances:
            ax.set_title(f"{name}\n{short(distances[name])}", fontsize=9)
    return figure


def short(distance: Distances) -> str:
    """ "1.25 mm, 9.7 deg"."""
    text = f"{distance.distance_mean:.2f} {distance.unit}"
    if distance.normal_median_deg is not None:
        text += f", {distance.normal_median_deg:.1f} deg"
    return text


def _spread(count: int, wanted: int) -> list[int]:
    """Up to `wanted` of `count` indices, evenly spread."""
    chosen = np.linspace(0, count - 1, min(wanted, count))
    return [int(i) for i in np.round(chosen)]
