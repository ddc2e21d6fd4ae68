"""Pictures of lesson 10: mixed heads, where colours are asked for, and whom it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.lab.appearance import Nearer
from privhead_nb.lab.intervals import exact_interval
from privhead_nb.lab.recognition import Recogniser
from privhead_nb.lab.renders import FRONT
from privhead_nb.teach.backdrop import Backdrop
from privhead_nb.teach.extras import notebook_library
from privhead_nb.teach.lesson10 import mixed_heads as mixed
from privhead_nb.teach.lesson10 import transfer_runs
from privhead_nb.viz.palette import BLUE, GREEN, ORANGE, PURPLE, VERMILLION
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from matplotlib.figure import Figure

    from privhead_nb.geometry.mesh import Mesh
    from privhead_nb.teach.widgets import View

Floats = NDArray[np.float64]
CROP = (slice(4, 60), slice(10, 54))  # rows and columns of a portrait that hold the head
LOOKS = {  # of each way: colour and mark
    mixed.PLACE: (BLUE, "o"),
    mixed.POINT: (ORANGE, "s"),
    mixed.SURFACE: (GREEN, "^"),
}


def sheet(rows: Mapping[str, Sequence[Tensor]], titles: Sequence[str], zoom: int = 3) -> Figure:
    """Portraits in rows, a name beside each row and a title over each column.

    Args:
        rows: name -> pictures (64, 64, 3), as many as there are titles.
        titles: of the columns.
        zoom: whole number; each pixel becomes so many.
    """
    from matplotlib.figure import Figure

    cropped = [[p[CROP[0], CROP[1]].double().numpy() for p in row] for row in rows.values()]
    image = np.concatenate([np.concatenate(row, axis=1) for row in cropped], axis=0)
    tall, wide = image.shape[0] * zoom / 100, image.shape[1] * zoom / 100
    left, top = 1.7, 0.3
    figure = Figure(figsize=(wide + left, tall + top), dpi=100)
    ax = figure.add_axes((left / (wide + left), 0, wide / (wide + left), tall / (tall + top)))
    ax.imshow(image, interpolation="nearest", vmin=0, vmax=1)
    ax.set_axis_off()
    height, width = cropped[0][0].shape[:2]
    for number, title in enumerate(titles):
        ax.text((number + 0.5) * width, -3, title, ha="center", va="bottom", fontsize=9)
    for number, name in enumerate(rows):
        ax.text(-3, (number + 0.5) * height, name, ha="right", va="center", fontsize=9)
    return figure


def table_of_mixtures(way: str = mixed.PLACE) -> Figure:
    """All four shapes in all four colours, from the front."""
    rows = {
        f"shape of {a}": [mixed.pictures(a, b, way, angles=FRONT)[0] for b in mixed.PEOPLE]
        for a in mixed.PEOPLE
    }
    return sheet(rows, [f"colours of {b}" for b in mixed.PEOPLE])


def ways_of(shape: str, whose: str) -> Figure:
    """Two people, and the first in the second's colours, by all three ways, from three sides."""
    rows = {
        f"{shape} itself": mixed.pictures(shape, shape),
        f"{whose} itself": mixed.pictures(whose, whose),
    }
    rows |= {way: mixed.pictures(shape, whose, way) for way in mixed.WAYS}
    return sheet({k: list(v) for k, v in rows.items()}, ["front", "from one side", "the other"])


def steps_to_surface(shape: str, other: str) -> Figure:
    """Both faces cut from nose to neck, and Newton steps from one to the other."""
    figure, axes = grid(1, 2, width=9, height=4.4)
    z, y = np.meshgrid(np.arange(30.0, 135.0, 1.5), np.arange(-115.0, 75.0, 1.5))
    flat = np.stack([np.zeros(z.size), y.ravel(), z.ravel()], 1)
    points = torch.from_numpy(flat).float()
    lines = {}
    for name, style in ((shape, (BLUE, "-")), (other, (VERMILLION, "--"))):
        with torch.no_grad():
            value = mixed.person(name).sdf(points).reshape(z.shape).numpy()
        for ax in axes[0]:
            ax.contour(z, y, value, [0.0], colors=style[0], linestyles=style[1], linewidths=1.6)
        lines[name] = value
    start = _on_profile(lines[shape], z, y)[::5]
    three = torch.from_numpy(np.column_stack([np.zeros(len(start)), start[:, 1], start[:, 0]]))
    there = mixed.toward(mixed.person(other), three.float()).numpy()
    for ax in axes[0]:
        for (z0, y0), (_, y1, z1) in zip(start, there, strict=True):
            ax.annotate(
                "", (z1, y1), (z0, y0),
                arrowprops={"arrowstyle": "->", "color": "0.2", "lw": 0.9, "shrinkA": 0,
                            "shrinkB": 0},
            )  # fmt: skip
        ax.set_aspect("equal")
        ax.tick_params(labelsize=8)
    axes[0][0].set_title(f"{shape} solid, {other} dashed, cut through the nose; mm", fontsize=9)
    axes[0][1].set_title("mouth and chin", fontsize=9)
    axes[0][1].set_xlim(70, 128)
    axes[0][1].set_ylim(-105, -35)
    return figure


def _on_profile(values: Floats, z: Floats, y: Floats) -> Floats:
    """(N, 2) points (z, y) of the longest zero line of values on a grid."""
    from skimage.measure import find_contours

    line = max(find_contours(values, 0.0), key=len)
    step = z[0, 1] - z[0, 0]
    return np.column_stack([z[0, 0] + step * line[:, 1], y[0, 0] + step * line[:, 0]])


def scatter(answers: Mapping[str, Mapping[str, Nearer]]) -> Figure:
    """Every mixture's two distances, a panel for each recogniser; below the line colours win.

    Args:
        answers: recogniser -> way -> what it says.
    """
    figure, axes = grid(1, len(answers), width=11, height=3.0)
    for ax, (name, by_way) in zip(axes[0], answers.items(), strict=True):
        top = 0.0
        for way, said in by_way.items():
            colour, mark = LOOKS[way]
            x, y = said.to_geometry.numpy(), said.to_radiance.numpy()
            ax.plot(x, y, mark, color=colour, mec="black", mew=0.4, ms=4.5, ls="", label=way)
            top = max(top, float(x.max()), float(y.max()))
        ax.plot([0, 1.05 * top], [0, 1.05 * top], color="0.4", lw=1, ls=":")
        ax.set_xlim(0, 1.05 * top)
        ax.set_ylim(0, 1.05 * top)
        ax.set_aspect("equal")
        ax.set_title(name, fontsize=10)
        ax.tick_params(labelsize=8)
    axes[0][0].set_ylabel("to the colours' person", fontsize=9)
    figure.supxlabel("cosine distance to the shape's person", fontsize=9)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, fontsize=8, frameon=False)
    return figure


def study(part: transfer_runs.Part) -> Figure:
    """The stored study: share of pictures nearer to the colours' person, with intervals."""
    names = transfer_runs.recognisers(part)
    arms = [a for a in transfer_runs.ARMS if a in part[names[0]]]
    figure, axes = grid(1, 1, width=9, height=0.3 * len(names) * (len(arms) + 0.7) + 1.6)
    ax, row, labels = axes[0][0], 0.0, []
    low, high = exact_interval(len(transfer_runs.PAPER), len(transfer_runs.PAPER))
    ax.plot([low, high], [row, row], color="0.5", lw=4, alpha=0.5, solid_capstyle="butt")
    ax.plot(1.0, row, "X", color="black", ms=8)
    labels.append((row, "the paper's 6 of 6, as if independent"))
    styles = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (VERMILLION, "v")]
    for name in names:
        row += 0.7
        for arm, (colour, mark) in zip(arms, styles, strict=False):
            row += 1
            share = transfer_runs.rate(part, name, arm, "radiance_nearer")
            if share is not None:
                value, low, high = share
                ax.plot([low, high], [row, row], color=colour, lw=4, alpha=0.4,
                        solid_capstyle="butt")  # fmt: skip
                ax.plot(value, row, mark, color=colour, mec="black", ms=7)
            labels.append((row, f"{name}: {arm}"))
    ax.axvline(0.5, color="0.4", lw=1, ls=":")
    ax.set_yticks([r for r, _ in labels], [t for _, t in labels], fontsize=8)
    ax.invert_yaxis()
    ax.set_xlim(-0.03, 1.03)
    ax.set_xlabel("share of pictures nearer to the colours' person than to the shape's", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)
    return figure


def kept_sheet() -> Figure:
    """The study's own picture: the two people, then the transfer from three sides."""
    from PIL import Image

    image = np.asarray(Image.open(transfer_runs.PICTURE).convert("RGB"))
    figure, axes = grid(1, 1, width=6, height=6 * image.shape[0] / image.shape[1] + 0.3)
    axes[0][0].imshow(image, interpolation="nearest")
    titles = ("gave the shape", "gave the colours", "front", "one side", "the other")
    step = image.shape[1] / len(titles)
    axes[0][0].set_xticks([(k + 0.5) * step for k in range(len(titles))], titles, fontsize=9)
    axes[0][0].xaxis.tick_top()
    axes[0][0].set_yticks([])
    axes[0][0].tick_params(length=0)
    axes[0][0].spines[:].set_visible(False)
    return figure


# Panel --------------------------------------------------------------------------------------------


def mixture(
    shape: str,
    colours: str,
    blend: float,
    yaw: int,
    way: str,
    judges: Sequence[Recogniser],
) -> View:
    """A shape, somebody's colours, the mixture, and what recognisers say of it."""
    from privhead_nb.teach.widgets import View

    at = ((float(yaw), 0.0),)
    shown = mixed.pictures(shape, colours, way, angles=at, blend=blend)
    said = [distances(one, shown, shape, colours) for one in judges]
    figure, (ax, right) = _frame(shape, colours, tuple(one.name for one in judges)).copy()
    ax.imshow(shown[0][CROP[0], CROP[1]].numpy(), interpolation="nearest", aspect="auto")
    ax.set_title(f"blend {blend:.1f}", fontsize=10)
    rows = np.arange(len(judges))
    right.hlines(rows, [s[0] for s in said], [s[1] for s in said], color="0.6", lw=1.5)
    right.plot([s[0] for s in said], rows, "o", color=BLUE, mec="black", ms=8)
    right.plot([s[1] for s in said], rows, "s", color=VERMILLION, mec="black", ms=7)
    facts = "; ".join(
        f"{one.name} {a:.2f} to {shape}, {b:.2f} to {colours}"
        for one, (a, b) in zip(judges, said, strict=True)
    )
    alt = (
        f"Three portraits: {shape}; the shape of {shape} with {blend:.0%} of the colours of "
        f"{colours} ({way}), seen from {yaw} degrees; {colours}. Beside them cosine distances: "
        f"{facts}."
    )
    return View(figure, alt, facts)


@cache
def _frame(shape: str, colours: str, judges: tuple[str, ...]) -> Backdrop:
    """What stays while blend, side and way change: both people, and the axes of distances."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.6), dpi=100)
    for k, (what, name) in ((0, ("shape", shape)), (2, ("colours", colours))):
        tile = mixed.pictures(name, name, angles=FRONT)[0][CROP[0], CROP[1]].numpy()
        rgb = np.repeat(np.repeat(tile, 4, 0), 4, 1)
        figure.figimage(rgb, xo=4 + 184 * k, yo=4, origin="upper")
        figure.text((92 + 184 * k) / 800, 0.91, f"{what}: {name}", ha="center", fontsize=10)
    middle = figure.add_axes((188 / 800, 4 / 260, 176 / 800, 224 / 260), frameon=False)
    middle.set(xlim=(-0.5, 43.5), ylim=(55.5, -0.5), xticks=[], yticks=[])
    ax = figure.add_axes((0.82, 0.2, 0.16, 0.63))
    ax.set(xlim=(-0.08, 2.08), ylim=(len(judges) - 0.4, -0.6), xticks=[0, 1, 2])
    ax.set_yticks(range(len(judges)), judges, fontsize=9)
    ax.tick_params(axis="x", labelsize=8)
    ax.set_xlabel("cosine distance", fontsize=8)
    words = f"circle: to {shape}   square: to {colours}"
    figure.text(0.98, 0.91, words, ha="right", fontsize=8)
    return Backdrop.of(figure)


def distances(one: Recogniser, shown: Tensor, shape: str, colours: str) -> tuple[float, float]:
    """Cosine distances of one picture (1, 64, 64, 3) to the two people's frontal pictures."""
    (picture,) = one.embed(shown)[0]
    a, b = (float(1 - _known(one, name) @ picture) for name in (shape, colours))
    return max(a, 0.0), max(b, 0.0)


@cache
def _known(one: Recogniser, name: str) -> Tensor:
    """(D,) of a person's frontal picture."""
    return one.embed(mixed.pictures(name, name, angles=FRONT))[0][0]


# To turn ------------------------------------------------------------------------------------------


def turning(mesh: Mesh, colours: Mapping[str, Floats]) -> go.Figure:
    """One shape in several colours, a button for each.

    Args:
        mesh: fewer than 32,768 vertices (N, 3).
        colours: name -> (N, 3) sRGB in [0, 1].
    """
    go = notebook_library("plotly.graph_objects")
    x, y, z = mesh.vertices.astype(np.float32).T
    i, j, k = mesh.faces.astype(np.int16).T
    names, traces = list(colours), []
    for number, (name, rgb) in enumerate(colours.items()):
        packed = (np.clip(rgb, 0, 1) * 255).round().astype(np.uint8)
        hexes = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in packed]
        traces.append(
            go.Mesh3d(
                x=x, y=y, z=z, i=i, j=j, k=k, name=name, visible=number == 0, vertexcolor=hexes,
                flatshading=False, hoverinfo="skip",
                lighting={"ambient": 0.55, "diffuse": 0.6, "specular": 0.1, "roughness": 0.8},
            )
        )  # fmt: skip
    buttons = [
        {"label": name, "method": "update", "args": [{"visible": [n == name for n in names]}]}
        for name in names
    ]
    hidden: dict[str, Any] = {"visible": False}
    figure = go.Figure(traces)
    figure.update_layout(
        scene={
            "aspectmode": "data", "xaxis": hidden, "yaxis": hidden, "zaxis": hidden,
            "camera": {"eye": {"x": 0.4, "y": 0.2, "z": 1.5}, "up": {"x": 0, "y": 1, "z": 0},
                       "projection": {"type": "orthographic"}},
        },
        updatemenus=[{"type": "buttons", "direction": "right", "buttons": buttons, "x": 0, "y": 1.1,
                      "xanchor": "left", "yanchor": "top", "showactive": True}],
        margin={"l": 0, "r": 0, "t": 40, "b": 0}, height=440, template="none",
    )  # fmt: skip
    return figure
