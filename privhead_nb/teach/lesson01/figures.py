"""Pictures of lesson 1: rays through a head, from the side and to turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.scene import Scene
from privhead_nb.teach import interactive
from privhead_nb.teach.extras import notebook_library
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.viz.style import LOOKS, grid, image

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure


def rays_through_head(
    scene: Scene, head: Reconstruction, view: int, rows: Sequence[float]
) -> Figure:
    """Pixels of the middle column of a frontal view, and their rays from the side.

    Args:
        scene: its photo is shown.
        head: its field is cut open.
        view: a camera in the plane x = 0.
        rows: pixel index coordinates of at most six rays.
    """
    figure, ((photo, side),) = grid(1, 2, width=11, height=3.6, width_ratios=[1, 2.4])
    middle = (scene.cameras.width - 1) / 2
    xy = torch.tensor([[middle, y] for y in rows])
    origins, directions = scene.cameras.rays(torch.full((len(rows),), view), xy)
    title = f"view {view}, {scene.cameras.width} x {scene.cameras.height}"
    image(photo, scene.images[view], title)
    reach = 200.0
    axis = torch.arange(-reach, reach + 1, 2.0)
    y, z = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([torch.zeros_like(y), y, z], -1).reshape(-1, 3)
    with torch.no_grad():
        field = head.model.sdf((points - torch.tensor(head.center)) / head.radius).reshape(y.shape)
    side.contourf(axis, axis, field, levels=[-9, 0], colors=["#e3ddd3"])
    side.contour(axis, axis, field, levels=[0], colors="black", linewidths=1.2)
    white = {"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none"}
    lines = zip(rows, origins.tolist(), directions.tolist(), LOOKS, strict=False)
    for number, (row, o, d, (colour, _, dash)) in enumerate(lines, start=1):
        end = o[1] - (o[2] + reach) / d[2] * d[1]
        side.plot([o[2], -reach], [o[1], end], color=colour, ls=dash, lw=1.5)
        side.text(-reach - 6, end, str(number), ha="right", va="center", fontsize=9)
        photo.plot(middle, row, "o", color=colour, mec="white", ms=7)
        photo.text(middle + 3, row, str(number), va="center", fontsize=9, bbox=white)
    eye = origins[0].tolist()
    side.plot(eye[2], eye[1], "ks", ms=9)
    side.text(eye[2], eye[1] + 20, "camera", ha="center", fontsize=9)
    side.set(
        aspect="equal", xlim=(-reach - 35, eye[2] + 40), ylim=(-reach - 40, reach),
        xlabel="z [mm], the face looks this way >", ylabel="y [mm]",
    )  # fmt: skip
    side.set_title("the same rays from the side; the cut head is shaded", fontsize=9)
    return figure


def rays_to_turn(
    head: Reconstruction, cameras: Cameras, views: Sequence[int], xy: Tensor, faces: int = 3000
) -> go.Figure:
    """The head's mesh and the rays of pixels xy (N, 2) of some views, to turn with the mouse.

    Of each ray only the part near the head, so that the head is not a dot.
    """
    go = notebook_library("plotly.graph_objects")
    figure = interactive.turning({"head": head.mesh}, faces=faces)
    figure.layout.updatemenus = ()
    for number, view in enumerate(views):
        o, d = cameras.rays(torch.full((len(xy),), view), xy)
        middle = float((o[0] - torch.tensor(head.center)).norm())
        near, far = o + (middle - 2 * head.radius) * d, o + (middle + head.radius) * d
        ends = torch.stack([near, far, torch.full_like(o, torch.nan)], 1).reshape(-1, 3)
        x, y, z = ends.T.numpy()
        line = {"color": LOOKS[number][0], "width": 4, "dash": ("solid", "dash")[number % 2]}
        figure.add_trace(go.Scatter3d(x=x, y=y, z=z, mode="lines", line=line, name=f"view {view}"))
    lamp = {"x": 600, "y": 500, "z": 900}
    figure.update_traces(lightposition=lamp, selector={"type": "mesh3d"})
    oblique = {"eye": {"x": 0.75, "y": 0.35, "z": 0.85}, "projection": {"type": "perspective"}}
    figure.update_layout(showlegend=True, legend={"x": 0, "y": 1}, scene_camera=oblique)
    return figure
