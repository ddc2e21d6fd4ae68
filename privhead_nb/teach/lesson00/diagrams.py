"""The trust boundary as a picture, drawn from a real scene and its release."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.scenes.about import axis_vector
from privhead_nb.viz.palette import NEUTRAL, SENSITIVE, modulus_picture
from privhead_nb.viz.shading import shaded_normals

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from privhead_nb.privacy.released import Release
    from privhead_nb.scenes.scene import Scene

BOUNDARY = 0.42  # where the wall stands, as a share of the figure's width


def trust_boundary(scene: Scene, release: Release, mesh: Mesh) -> Figure:
    """Left of the wall: the owner's photos and `protect`. Right: the release and what it gives."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=110)
    sensitive = _facing(scene, scene.sensitive, 1.0)
    neutral = _facing(scene, scene.neutral, -1.0)
    for i, (s, n) in enumerate(zip(sensitive, neutral, strict=True)):
        left, right = 0.03 + 0.095 * i, 0.53 + 0.095 * i
        photo = scene.images[scene.sensitive[s]].numpy()
        plain = scene.images[scene.neutral[n]].numpy()
        _picture(figure, (left, 0.50), photo, SENSITIVE)
        _picture(figure, (left, 0.14), plain, NEUTRAL)
        drawing = modulus_picture(release.moduli[s].sqrt().numpy())
        _picture(figure, (right, 0.50), drawing, SENSITIVE)
        _picture(figure, (right, 0.14), release.neutral_images[n].numpy(), NEUTRAL)
    head = shaded_normals(mesh, "three-quarter", 256, up=release.up, front=release.front)
    ax = figure.add_axes((0.84, 0.26, 0.16, 0.43))
    ax.imshow(head)
    ax.set_axis_off()

    page = figure.add_axes((0, 0, 1, 1))
    page.set_axis_off()
    page.set(xlim=(0, 1), ylim=(0, 1))
    page.patch.set_alpha(0)
    page.plot([BOUNDARY] * 2, [0.04, 0.98], color="black", lw=2.5)
    _arrow(page, (0.32, 0.655), (0.525, 0.655))
    _arrow(page, (0.32, 0.295), (0.525, 0.295))
    _arrow(page, (0.815, 0.475), (0.855, 0.475))
    big: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 11, "weight": "bold"}
    page.text(0.17, 0.94, "your device", **big)
    page.text(0.74, 0.94, "everyone else", **big)
    page.text(BOUNDARY, 0.655, " protect ", ha="center", va="center", fontsize=10, bbox=_BOX)
    page.text(BOUNDARY, 0.295, " as it is ", ha="center", va="center", fontsize=10, bbox=_BOX)
    page.text(0.92, 0.74, "reconstruct", ha="center", fontsize=10)
    note: dict[str, Any] = {"ha": "center", "fontsize": 9}
    page.text(0.17, 0.835, "sensitive views: photos of the face", color=SENSITIVE, **note)
    page.text(0.17, 0.065, "neutral views: taken from behind", color=NEUTRAL, **note)
    page.text(0.67, 0.835, "how fast colours change, not which", color=SENSITIVE, **note)
    page.text(0.67, 0.065, "the same photos", color=NEUTRAL, **note)
    return figure


_BOX = {"boxstyle": "round", "facecolor": "white", "edgecolor": "black"}


def _picture(figure: Figure, at: tuple[float, float], image: np.ndarray, colour: str) -> None:
    ax = figure.add_axes((*at, 0.085, 0.31))
    ax.imshow(image, vmin=0, vmax=1, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    for side in ax.spines.values():
        side.set(color=colour, linewidth=1.8)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "lw": 1.6, "color": "black"})


def _facing(scene: Scene, views: tuple[int, ...], sign: float) -> list[int]:
    """Places in `views` of the three that look most at the face (sign 1) or at the back (-1)."""
    ahead = scene.cameras.forward.numpy() @ axis_vector(scene.front)
    order = sorted(range(len(views)), key=lambda i: sign * float(ahead[views[i]]))
    return order[:3]
