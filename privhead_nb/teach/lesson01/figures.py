"""Pictures of lesson 1: rays through a head, from the side and to turn, and a cut head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from privhead_nb.teach import interactive
from privhead_nb.teach.extras import notebook_library
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.viz.style import LOOKS, grid, image

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REACH = 200.0  # mm from the middle that is drawn of a head
Bundles = Mapping[str, tuple[Tensor, Tensor]]
"""Origins and directions (R, 3) of rays, by the name of their view."""


def rays_through_head(
    photo: Tensor, head: Reconstruction, xy: Tensor, origins: Tensor, directions: Tensor
) -> Figure:
    """At most six pixels xy (R, 2) of a frontal photo, and their rays in the plane x = 0."""
    figure, ((front, side),) = grid(1, 2, width=11, height=3.6, width_ratios=[1, 2.4])
    image(front, photo, f"view 7, {photo.shape[1]} x {photo.shape[0]}")
    cut(side, head, across=0)
    white = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}
    lines = zip(xy.tolist(), origins.tolist(), directions.tolist(), LOOKS, strict=False)
    for number, ((x, y), o, d, (colour, _, dash)) in enumerate(lines, start=1):
        end = o[1] - (o[2] + REACH) / d[2] * d[1]
        side.plot([o[2], -REACH], [o[1], end], color=colour, ls=dash, lw=1.5)
        side.text(-REACH - 6, end, str(number), ha="right", va="center", fontsize=9)
        front.plot(x, y, "o", color=colour, mec="white", ms=7)
        front.text(x + 3, y, str(number), va="center", fontsize=9, bbox=white)
    eye = origins[0].tolist()
    side.plot(eye[2], eye[1], "ks", ms=9)
    side.text(eye[2], eye[1] + 20, "camera", ha="center", fontsize=9)
    side.set(aspect="equal", xlim=(-REACH - 35, eye[2] + 60), ylim=(-REACH - 40, REACH))
    side.set(xlabel="z [mm], the face looks this way >", ylabel="y [mm]")
    side.set_title("the same rays from the side; the cut head is shaded", fontsize=9)
    return figure


def cut(ax: Axes, head: Reconstruction, across: int) -> None:
    """The head cut where coordinate `across` is 0: (z, y) for across 0, (x, z) for 1."""
    axis = torch.arange(-REACH, REACH + 1, 2.0)
    v, z = torch.meshgrid(axis, axis, indexing="ij")
    planes = [torch.zeros_like(v), v] if across == 0 else [v, torch.zeros_like(v)]
    points = torch.stack([*planes, z], -1).reshape(-1, 3)
    with torch.no_grad():
        field = head.model.sdf((points - torch.tensor(head.center)) / head.radius).reshape(v.shape)
    field = field if across == 0 else field.T
    ax.contourf(axis, axis, field, levels=[-9, 0], colors=["#e3ddd3"])
    ax.contour(axis, axis, field, levels=[0], colors="black", linewidths=1.2)


def rays_to_turn(head: Reconstruction, bundles: Bundles, faces: int = 3000) -> go.Figure:
    """The head's mesh and the rays of some views, to turn with the mouse."""
    go = notebook_library("plotly.graph_objects")
    figure = interactive.turning({"the head": head.mesh}, faces=faces)
    figure.layout.updatemenus = ()
    for number, (name, (origins, directions)) in enumerate(bundles.items()):
        middle = float((origins[0] - torch.tensor(head.center)).norm())
        near = origins + (middle - 2 * head.radius) * directions
        far = origins + (middle + head.radius) * directions
        ends = torch.stack([near, far, torch.full_like(near, torch.nan)], 1).reshape(-1, 3)
        x, y, z = ends.T.numpy()
        line = {"color": LOOKS[number][0], "width": 4, "dash": ("solid", "dash")[number % 2]}
        figure.add_trace(go.Scatter3d(x=x, y=y, z=z, mode="lines", line=line, name=name))
    lamp = {"x": 600, "y": 500, "z": 900}
    figure.update_traces(lightposition=lamp, selector={"type": "mesh3d"})
    oblique = {"eye": {"x": 0.75, "y": 0.35, "z": 0.85}, "projection": {"type": "perspective"}}
    figure.update_layout(showlegend=True, legend={"x": 0, "y": 1}, scene_camera=oblique)
    return figure
