"""`inspect` as a picture: cameras, bounding sphere and mesh over the views, on one page.

A misread camera file shows at once: outline and head part, or the sphere misses the head.
"""

from __future__ import annotations

import itertools
import math
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from mpl_toolkits.mplot3d.art3d import Line3DCollection

from privhead_nb.files import atomic_file
from privhead_nb.privacy.release import Release, release_facts
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.folder import SceneFolder, scene_facts
from privhead_nb.scenes.ply import Triangles
from privhead_nb.scenes.scene import Scene, turn
from privhead_nb.viz.shading import rasterize
from privhead_nb.viz.style import GREEN, NEUTRAL, ORANGE, SENSITIVE, modulus_picture

UNUSED, SPHERE, MESH = "#777777", ORANGE, GREEN
# Colour and word both tell the roles apart.
COLOURS = {"sensitive": SENSITIVE, "neutral": NEUTRAL, "unused": UNUSED}
MAX_VIEWS = 150
"""Views on one page; each takes matplotlib some 0.2 to 0.4 s."""
_THUMB = 192
_SCENE_SAYS = ("name", "width", "height", "pixel_center", "front", "up", "unit", "center", "radius",
               "camera_distance", "focal_pixels", "mask_share", "truth", "nose_tip")  # fmt: skip
_RELEASE_SAYS = ("size", "modulus_max", "modulus_scale", "masks_released", "front", "up", "unit",
                 "center", "radius", "camera_distance", "pixel_center")  # fmt: skip


@dataclass(frozen=True)
class Page:
    """What a page shows of a scene or a release.

    Args:
        pictures: what is drawn of each view on the page.
        names: what each view is called.
        source: gives cameras, roles, bounding sphere and axes.
        text: lines beside the cameras.
        truth: the truth mesh, if any.
    """

    pictures: dict[int, np.ndarray]
    names: dict[int, str]
    source: Scene | SceneFolder | Release
    text: list[str]
    truth: Triangles | None = None

    def role(self, view: int) -> str:
        """sensitive, neutral or unused."""
        sensitive = view in self.source.sensitive
        return "sensitive" if sensitive else "neutral" if view in self.source.neutral else "unused"


def save_page(figure: Figure, path: str | Path) -> None:
    """Write a page as a PNG; OutputError where it can't be written."""
    with atomic_file(path) as aside:
        figure.savefig(aside, format="png", metadata={"Software": "privhead_nb"})


def shown_views(count: int) -> list[int]:
    """View numbers on a page: all, or an even choice of MAX_VIEWS, which the page then says."""
    if count <= MAX_VIEWS:
        return list(range(count))
    return [int(v) for v in np.linspace(0, count - 1, MAX_VIEWS)]


def draw_scene(scene: Scene | SceneFolder) -> Figure:
    """The views with the sphere's and the truth mesh's outlines, and the cameras.

    Pictures are read one at a time and held small.
    """
    W, H = scene.cameras.width, scene.cameras.height
    # Squeezed into a square; `_draw_view` stretches it to the picture's shape again.
    size = None if max(W, H) <= _THUMB else min(_THUMB, W, H)
    pictures = {v: scene.picture(v, size) for v in shown_views(len(scene.cameras))}
    facts = scene_facts(scene)  # knows the backgrounds of the pictures just read
    truth = scene.truth_triangles() if facts["truth"] else None
    text = [*_said(facts, _SCENE_SAYS), *[f"assumed: {said}" for said in facts["assumptions"]]]
    names = {v: f"{_short(name)}\n{v}" for v, name in enumerate(scene.names)}
    return _draw(Page(pictures, names, scene, text, truth))


def draw_release(release: Release) -> Figure:
    """The released views: neutral colours, sensitive moduli, and the cameras."""
    facts, operator = release_facts(release), release.operator.to_dict()
    colours = dict(zip(release.neutral, release.neutral_images.numpy(), strict=True))
    # The square root, for the eye alone: weak gradients would vanish beside the silhouette.
    drawn = [modulus_picture(m) for m in release.moduli.sqrt().numpy()]
    moduli = dict(zip(release.sensitive, drawn, strict=True))
    pictures = {v: (colours | moduli)[v] for v in shown_views(len(release.cameras))}
    text = [
        *_said(facts, _RELEASE_SAYS),
        "operator: " + ", ".join(f"{key} {value}" for key, value in operator.items()),
        "(the modulus is drawn as its square root, dark on white)",
    ]
    return _draw(Page(pictures, {v: str(v) for v in pictures}, release, text))


def _said(facts: dict[str, Any], keys: tuple[str, ...]) -> list[str]:
    """How many views there are, and these facts: "focal pixels: 57.6, 60"."""
    counts = [f"{facts['kind']}: {facts['views']} views"]
    drawn = len(shown_views(facts["views"]))
    if drawn < facts["views"]:
        counts.append(f"{drawn} of {facts['views']} views are drawn")
    lines = []
    for key in keys:
        values = facts[key] if isinstance(facts[key], list) else [facts[key]]
        words = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in values]
        lines.append(f"{key.replace('_', ' ')}: {', '.join(words)}")
    return counts + lines


def _draw(page: Page) -> Figure:
    cameras = page.source.cameras
    # As few empty places as can be, and the wider of two that leave as many.
    columns = min(range(8, 11), key=lambda c: (-len(page.pictures) % c, -c))
    rows = math.ceil(len(page.pictures) / columns)
    width, head = 14.0, 5.2  # inches; the head of the page holds cameras and text
    body = rows * (width / columns + 0.34)
    figure = Figure(figsize=(width, head + body), layout="constrained", dpi=110)
    top, bottom = figure.subfigures(2, 1, height_ratios=[head, body], squeeze=False)[:, 0]
    left, right = top.subfigures(1, 2, width_ratios=[1.35, 1])
    _draw_cameras(left, page)
    lines = [textwrap.wrap(_drawable(t), 62, subsequent_indent="  ") for t in page.text]
    wrapped = "\n".join(itertools.chain(*lines))
    place = {"va": "top", "ha": "left", "parse_math": False}
    right.text(0.0, 0.95, wrapped, family="monospace", fontsize=9.5, **place)
    roles = {page.role(view) for view in range(len(cameras))}
    entries = {f"{role} view": colour for role, colour in COLOURS.items() if role in roles}
    entries["bounding sphere"] = SPHERE
    if page.truth is not None:
        entries["truth mesh outline"] = MESH
    handles = [Line2D([], [], color=colour, label=label) for label, colour in entries.items()]
    right.legend(handles=handles, loc="lower left", fontsize=9.5, frameon=False, ncols=2)
    grid = np.atleast_1d(bottom.subplots(rows, columns, squeeze=False)).ravel()
    for ax in grid:
        ax.set_axis_off()
    for ax, (view, picture) in zip(grid, page.pictures.items(), strict=False):
        _draw_view(ax, picture, cameras[view], page)
        role = page.role(view)
        # No part of a file's name is a formula.
        title = _drawable(f"{page.names[view]} {role}")
        ax.set_title(title, fontsize=8, color=COLOURS[role], pad=2, parse_math=False)
    return figure


def _draw_view(ax: Axes, picture: np.ndarray, camera: Cameras, page: Page) -> None:
    W, H = camera.width, camera.height
    ax.imshow(
        picture, extent=(-0.5, W - 0.5, H - 0.5, -0.5), cmap="gray", vmin=0, vmax=1, aspect="equal"
    )
    if page.truth is not None:
        _draw_mesh(ax, page.truth, camera, step=0.06 * page.source.radius)
    ring = _sphere_outline(camera, page.source.center, page.source.radius)
    ax.plot(ring[:, 0], ring[:, 1], color=SPHERE, linewidth=1.0)
    ax.set_xlim(-0.5, W - 0.5)
    ax.set_ylim(H - 0.5, -0.5)


def _draw_cameras(figure: Any, page: Page) -> None:
    """Frusta around the sphere; the page's vertical is the scene's up, its depth the front."""
    ax, source = figure.add_subplot(projection="3d"), page.source
    to_page = turn((source.up, source.front))[[2, 0, 1]]
    center, radius, cameras = np.array(source.center), source.radius, source.cameras
    distance = float(np.linalg.norm(cameras.centers.numpy() - center, axis=1).max())
    for view in range(len(cameras)):
        colour = COLOURS[page.role(view)]
        lines = (_frustum(cameras[view], 0.13 * distance) - center) @ to_page.T
        ax.add_collection3d(Line3DCollection(list(lines), colors=colour, linewidths=0.9))
        # The label stands outside of its camera, so that it doesn't hide the frustum.
        label = (cameras.centers[view].numpy() - center) @ to_page.T * 1.09
        ax.text(*label, str(view), fontsize=6.5, color=colour, ha="center", va="center")
    around = np.linspace(0, 2 * np.pi, 60)
    ring = radius * np.stack([np.cos(around), np.sin(around), 0 * around], axis=1)
    for order in ((0, 1, 2), (0, 2, 1), (2, 0, 1)):
        ax.plot(*ring[:, order].T, color=SPHERE, linewidth=0.9)
    if page.truth is not None:
        vertices = page.truth[0][:: max(1, len(page.truth[0]) // 2500)]
        ax.scatter(*((vertices - center) @ to_page.T).T, s=0.6, color=MESH, alpha=0.5, linewidths=0)
    ax.plot([0, 1.9 * radius], [0, 0], [0, 0], color="black", linewidth=1.2)
    ax.text(2.13 * radius, 0, 0, "front", fontsize=8, ha="center")
    reach = 0.8 * distance
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach))
    ax.set_box_aspect((1, 1, 1), zoom=1.32)
    ax.view_init(elev=24, azim=-42)
    ax.set_axis_off()


def _frustum(camera: Cameras, depth: float) -> np.ndarray:
    """(9, 2, 3) line segments: four edges, the picture's rim, and a tick at its top."""
    W, H = camera.width, camera.height
    corners = torch.tensor([[-0.5, -0.5], [W - 0.5, -0.5], [W - 0.5, H - 0.5], [-0.5, H - 0.5]])
    origin, direction = camera.rays(torch.zeros(4, dtype=torch.long), corners)
    forward = camera.forward[0].float()
    rim = (origin + direction * (depth / (direction @ forward))[:, None]).double().numpy()
    eye, top = camera.centers[0].numpy(), (rim[0] + rim[1]) / 2
    tick = top + 0.35 * (top - rim.mean(0))
    edges = [(eye, c) for c in rim] + [(rim[i], rim[(i + 1) % 4]) for i in range(4)]
    return np.array([*edges, (top, tick)])


def _sphere_outline(camera: Cameras, center: Vec3, radius: float) -> np.ndarray:
    """(97, 2) pixel index coordinates of the sphere's silhouette: the tangent cone's circle."""
    middle = np.array(center)
    to_eye = camera.centers[0].numpy() - middle
    d = float(np.linalg.norm(to_eye))
    axis = to_eye / d
    side = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    side /= np.linalg.norm(side)
    angle = np.linspace(0, 2 * np.pi, 97)[:, None]
    # A tangent point lies r^2/d from the centre towards the eye, r sqrt(1 - r^2/d^2) off the axis.
    around = np.cos(angle) * side + np.sin(angle) * np.cross(axis, side)
    ring = middle + axis * radius**2 / d + around * radius * math.sqrt(1 - (radius / d) ** 2)
    return camera.project(torch.from_numpy(ring))[0][0].numpy()


def _draw_mesh(ax: Axes, truth: Triangles, camera: Cameras, step: float) -> None:
    """The mesh's silhouette and, fainter, where its depth jumps by more than `step`."""
    W, H = camera.width, camera.height
    scale = 256 / max(W, H)
    seen = camera.resized(max(2, round(W * scale)), max(2, round(H * scale)))
    xy, depth = seen.project(torch.from_numpy(truth[0]))
    points = torch.cat([xy[0], -depth[0, :, None]], dim=1).numpy()
    # A mesh that reaches behind the camera can't be drawn; its vertices there are put far off.
    points[points[:, 2] >= 0, :2] = -1e6
    face, weights = rasterize(points, truth[1], max(seen.width, seen.height))
    face, weights = face[: seen.height, : seen.width], weights[: seen.height, : seen.width]
    covered = face >= 0
    z = np.where(covered, (weights * points[truth[1][face]][..., 2]).sum(-1), np.nan)
    jumps = np.zeros_like(covered)
    jumps[:-1] |= np.abs(np.diff(z, axis=0)) > step
    jumps[:, :-1] |= np.abs(np.diff(z, axis=1)) > step
    drawn = np.zeros((*covered.shape, 4))
    drawn[jumps] = to_rgba(MESH, 0.6)
    ax.imshow(drawn, extent=(-0.5, W - 0.5, H - 0.5, -0.5), interpolation="nearest")
    if covered.any():
        x = (np.arange(seen.width) + 0.5) * W / seen.width - 0.5
        y = (np.arange(seen.height) + 0.5) * H / seen.height - 0.5
        ax.contour(x, y, covered, levels=[0.5], colors=MESH, linewidths=0.9)


def _drawable(text: str) -> str:
    """Without what no font has: control characters, and bytes of a name that are no text."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def _short(name: str) -> str:
    """A file's name that fits above its picture."""
    return name if len(name) <= 24 else f"{name[:11]}...{name[-10:]}"
