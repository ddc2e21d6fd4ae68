"""Heads that a reader turns with the mouse: plotly figures of meshes, small enough for a notebook.

    show(turning({"stage 1": head.stage1_mesh, "truth": truth}), alt="...")

Buttons choose which mesh is seen, so that two of them are compared from one and the same side.
Every such figure has a still picture beside it in its lesson, since a page without scripts shows
only the alternative text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.teach.extras import notebook_library

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from IPython.display import DisplayHandle

MIME = "application/vnd.plotly.v1+json"
FACES = 6000  # of each mesh; a file of several such meshes stays under a megabyte
_CLAY = "#cfc8bd"
_LIGHT = {"ambient": 0.45, "diffuse": 0.7, "specular": 0.15, "roughness": 0.7}


def lighter(mesh: Mesh, faces: int = FACES) -> Mesh:
    """The mesh with about as many faces at most, by quadric error decimation (libigl)."""
    if len(mesh.faces) <= faces:
        return mesh
    import igl

    vertices, triangles = igl.qslim(mesh.vertices, mesh.faces, faces)[:2]
    return Mesh(vertices, triangles)


def turning(
    meshes: Mapping[str, Mesh],
    values: Mapping[str, NDArray[np.float64]] | None = None,
    *,
    label: str = "",
    limits: tuple[float, float] = (0.0, 1.0),
    faces: int = FACES,
) -> go.Figure:
    """Meshes in one place, crown to +y and face to +z, a button for each.

    Args:
        meshes: by the name on the button; the first is seen at the start.
        values: by the same names, a number for each vertex (N,), shown as colour, or its colour
            (N, 3), sRGB in [0, 1]; a mesh without is grey. Meshes with values are taken as they
            are, not made lighter.
        label: what the values are, with their unit.
        limits: values at the two ends of the colour map.
        faces: largest number of faces of a mesh without values.
    """
    from matplotlib.colors import to_hex

    go = notebook_library("plotly.graph_objects")
    values = values or {}
    traces = []
    for number, (name, mesh) in enumerate(meshes.items()):
        colour: dict[str, Any] = {"color": _CLAY}
        if name in values:
            shown = np.asarray(values[name], np.float32)
            scale = {"title": {"text": label}, "thickness": 14, "len": 0.7}
            colour = {
                "intensity": shown, "colorscale": "Cividis",
                "cmin": limits[0], "cmax": limits[1], "colorbar": scale,
            }  # fmt: skip
            if shown.ndim == 2:
                colour = {"vertexcolor": [to_hex(rgb) for rgb in shown.clip(0, 1)]}
        else:
            mesh = lighter(mesh, faces)
        x, y, z = mesh.vertices.astype(np.float32).T
        small = len(mesh.vertices) < 2**15  # numbers of half the bytes
        i, j, k = mesh.faces.astype(np.int16 if small else np.int32).T
        traces.append(
            go.Mesh3d(
                x=x, y=y, z=z, i=i, j=j, k=k, name=name, visible=number == 0,
                lighting=_LIGHT, flatshading=False, hoverinfo="skip", **colour,
            )
        )  # fmt: skip
    buttons = [
        {"label": name, "method": "update", "args": [{"visible": [n == name for n in meshes]}]}
        for name in meshes
    ]
    camera = {
        "eye": {"x": 0.0, "y": 0.25, "z": 1.5}, "up": {"x": 0.0, "y": 1.0, "z": 0.0},
        "projection": {"type": "orthographic"},
    }  # fmt: skip
    hidden = {"visible": False}
    figure = go.Figure(traces)
    figure.update_layout(
        scene={
            "aspectmode": "data", "camera": camera, "xaxis": hidden, "yaxis": hidden,
            "zaxis": hidden,
        },
        updatemenus=[{"type": "buttons", "direction": "right", "buttons": buttons, "x": 0, "y": 1.1,
                      "xanchor": "left", "yanchor": "top", "showactive": True}],
        margin={"l": 0, "r": 0, "t": 40, "b": 0}, height=460, template="none",
    )  # fmt: skip
    return figure


def show(figure: go.Figure, alt: str) -> DisplayHandle | None:
    """The figure, with alternative text where no script draws it."""
    import json

    from IPython.display import display

    # the JSON that plotly itself writes: arrays as base64, which is half of their decimal digits
    data = {MIME: json.loads(figure.to_json()), "text/plain": alt}
    return display(data, raw=True, metadata={MIME: {"alt": alt}})
