"""`inspect` as a picture: cameras, bounding sphere and mesh over the views, on one page.

A misread camera file shows at once: outline and head part, or the sphere misses the head.
"""

from __future__ import annotations

import itertools
import math
import textwrap
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
from privhead_nb.privacy.released import Release, release_facts
from privhead_nb.scenes.about import turn
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.folder import SceneFolder
from privhead_nb.scenes.scene import Scene, scene_facts
from privhead_nb.scenes.truth import Triangles
from privhead_nb.viz.palette import GREEN, NEUTRAL, ORANGE, SENSITIVE, modulus_picture
from privhead_nb.viz.shading import rasterize

# Colour and word both tell the roles apart.
UNUSED, SPHERE, MESH = "#777777", ORANGE, GREEN
MAX_VIEWS = 150
"""Views on one page; each takes matplotlib some 0.2 to 0.4 s."""
_THUMB = 192


def inspect_scene(scene: Scene | SceneFolder, out_png: str | Path) -> None:
    """Write `draw_scene`'s page as a PNG; OutputError where it can't be written."""
    _save(draw_scene(scene), out_png)


def inspect_release(release: Release, out_png: str | Path) -> None:
    """Write `draw_release`'s page as a PNG; OutputError where it can't be written."""
    _save(draw_release(release), out_png)


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
    roles = dict.fromkeys(scene.sensitive, "sensitive") | dict.fromkeys(scene.neutral, "neutral")
    truth = scene.truth_triangles() if facts["truth"] else None
    text = [
        f"scene: {facts['name']}",
        f"{facts['views']} views of {W} x {H} pixels",
        *_left_out(len(scene.cameras)),
        f"{len(scene.sensitive)} sensitive, {len(scene.neutral)} neutral, "
        f"{len(scene.unused)} unused",
        f"pixel centre at {facts['pixel_center']:g}",
        f"face looks along {scene.front}, up is {scene.up}",
        *_geometry_text(facts),
        f"focal length {_span(facts['focal_pixels'])} pixels",
        f"masks cover {100 * facts['mask_share']:.0f} % of the pictures",
        f"truth mesh: {'yes' if truth else 'none'}",
        f"nose tip: {'unknown' if scene.nose_tip is None else _point(scene.nose_tip)}",
        *[f"assumed: {said}" for said in facts["assumptions"]],
    ]
    axes, sphere = (scene.up, scene.front), (scene.center, scene.radius)
    titles = {v: f"{_short(name)}\n{v}" for v, name in enumerate(scene.names)}
    return _page(pictures, titles, roles, scene.cameras, sphere, text, axes, truth)


def draw_release(release: Release) -> Figure:
    """The released views: neutral colours, sensitive moduli, and the cameras."""
    facts = release_facts(release)
    roles = dict.fromkeys(release.neutral, "neutral")
    roles |= dict.fromkeys(release.sensitive, "sensitive")
    colours = dict(zip(release.neutral, release.neutral_images.numpy(), strict=True))
    # The square root, for the eye alone: weak gradients would vanish beside the silhouette.
    drawn = [modulus_picture(m) for m in release.moduli.sqrt().numpy()]
    moduli = dict(zip(release.sensitive, drawn, strict=True))
    pictures = {v: (colours | moduli)[v] for v in shown_views(len(release.cameras))}
    op = release.operator
    text = [
        f"release: {facts['views']} views of {release.size} x {release.size} pixels",
        *_left_out(len(release.cameras)),
        f"{len(release.neutral)} neutral views as colours",
        f"{len(release.sensitive)} sensitive views as modulus only",
        f"operator {op.kind}, {op.kernel_size} x {op.kernel_size}"
        + (f", blur {op.blur:g}" if op.blur else "")
        + (f", noise {op.noise:g}" if op.noise else "")
        + (f", {op.levels} levels" if op.levels else ""),
        f"channels: {'each' if op.per_channel else 'luma only'}; border: {op.border}",
        f"background: {op.background}; down-sampling: {op.downsample}",
        f"largest modulus {facts['modulus_max']:.3g} of {op.peak:.3g}",
        "(drawn as its square root, dark on white)",
        f"masks released: {release.masks_released}",
        *_geometry_text(facts),
    ]
    axes = (release.up, release.front)
    sphere = (release.center, release.radius)
    titles = {v: str(v) for v in pictures}
    return _page(pictures, titles, roles, release.cameras, sphere, text, axes, None)


def _page(
    pictures: dict[int, np.ndarray],
    titles: dict[int, str],
    roles: dict[int, str],
    cameras: Cameras,
    sphere: tuple[Vec3, float],
    text: list[str],
    axes: tuple[str, str],
    truth: Triangles | None,
) -> Figure:
    # As few empty places as can be, and the wider of two that leave as many.
    columns = min(range(8, 11), key=lambda c: (-len(pictures) % c, -c))
    rows = math.ceil(len(pictures) / columns)
    width, head = 14.0, 5.2  # inches; the head of the page holds cameras and text
    body = rows * (width / columns + 0.34)
    figure = Figure(figsize=(width, head + body), layout="constrained", dpi=110)
    top, bottom = figure.subfigures(2, 1, height_ratios=[head, body], squeeze=False)[:, 0]
    left, right = top.subfigures(1, 2, width_ratios=[1.35, 1])
    _draw_cameras(left, cameras, roles, sphere, axes, truth)
    lines = [textwrap.wrap(_drawable(t), 62, subsequent_indent="  ") for t in text]
    wrapped = "\n".join(itertools.chain(*lines))
    place = {"va": "top", "ha": "left", "parse_math": False}
    right.text(0.0, 0.95, wrapped, family="monospace", fontsize=9.5, **place)
    handles = _legend(len(roles) < len(cameras), truth)
    right.legend(handles=handles, loc="lower left", fontsize=9.5, frameon=False, ncols=2)
    grid = np.atleast_1d(bottom.subplots(rows, columns, squeeze=False)).ravel()
    for ax in grid:
        ax.set_axis_off()
    for ax, (view, picture) in zip(grid, pictures.items(), strict=False):
        _draw_view(ax, picture, cameras[view], sphere, truth)
        role = roles.get(view, "unused")
        # No part of a file's name is a formula.
        title = _drawable(f"{titles[view]} {role}")
        ax.set_title(title, fontsize=8, color=_colour(role), pad=2, parse_math=False)
    return figure


def _draw_view(
    ax: Axes,
    picture: np.ndarray,
    camera: Cameras,
    sphere: tuple[Vec3, float],
    truth: Triangles | None,
) -> None:
    W, H = camera.width, camera.height
    ax.imshow(
        picture, extent=(-0.5, W - 0.5, H - 0.5, -0.5), cmap="gray", vmin=0, vmax=1, aspect="equal"
    )
    if truth is not None:
        _draw_mesh(ax, truth, camera, step=0.06 * sphere[1])
    ring = _sphere_outline(camera, *sphere)
    ax.plot(ring[:, 0], ring[:, 1], color=SPHERE, linewidth=1.0)
    ax.set_xlim(-0.5, W - 0.5)
    ax.set_ylim(H - 0.5, -0.5)


def _draw_cameras(
    figure: Any,
    cameras: Cameras,
    roles: dict[int, str],
    sphere: tuple[Vec3, float],
    axes: tuple[str, str],
    truth: Triangles | None,
) -> None:
    """Frusta around the sphere; the page's vertical is the scene's up."""
    ax = figure.add_subplot(projection="3d")
    turn = _upright(*axes)
    center, radius = np.array(sphere[0]), sphere[1]
    distance = float((cameras.centers - cameras.centers.new_tensor(sphere[0])).norm(dim=1).max())
    for view in range(len(cameras)):
        role = roles.get(view, "unused")
        lines = (_frustum(cameras[view], 0.13 * distance) - center) @ turn.T
        ax.add_collection3d(Line3DCollection(list(lines), colors=_colour(role), linewidths=0.9))
        # The label stands outside of its camera, so that it doesn't hide the frustum.
        label = (cameras.centers[view].numpy() - center) @ turn.T * 1.09
        ax.text(*label, str(view), fontsize=6.5, color=_colour(role), ha="center", va="center")
    around = np.linspace(0, 2 * np.pi, 60)
    ring = radius * np.stack([np.cos(around), np.sin(around), 0 * around], axis=1)
    for order in ((0, 1, 2), (0, 2, 1), (2, 0, 1)):
        ax.plot(*ring[:, order].T, color=SPHERE, linewidth=0.9)
    if truth is not None:
        vertices = truth[0][:: max(1, len(truth[0]) // 2500)]
        ax.scatter(*((vertices - center) @ turn.T).T, s=0.6, color=MESH, alpha=0.5, linewidths=0)
    tip = np.array([1.9 * radius, 0, 0])
    ax.plot(*np.stack([0.0 * tip, tip]).T, color="black", linewidth=1.2)
    ax.text(*(1.12 * tip), "front", fontsize=8, ha="center")
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
    eye, middle = camera.centers[0].numpy(), np.array(center)
    to_eye = eye - middle
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
    seen = camera.resized(*_raster_size(camera))
    side = max(seen.width, seen.height)
    xy, depth = seen.project(torch.from_numpy(truth[0]))
    points = torch.cat([xy[0], -depth[0, :, None]], dim=1).numpy()
    # A mesh that reaches behind the camera can't be drawn; its vertices there are put far off.
    points[points[:, 2] >= 0, :2] = -1e6
    face, weights = rasterize(points, truth[1], side)
    face, weights = face[: seen.height, : seen.width], weights[: seen.height, : seen.width]
    covered = face >= 0
    z = np.where(covered, (weights * points[truth[1][face]][..., 2]).sum(-1), np.nan)
    jumps = np.zeros_like(covered)
    jumps[:-1] |= np.abs(np.diff(z, axis=0)) > step
    jumps[:, :-1] |= np.abs(np.diff(z, axis=1)) > step
    drawn = np.zeros((*covered.shape, 4))
    drawn[jumps] = to_rgba(MESH, 0.6)
    W, H = camera.width, camera.height
    ax.imshow(drawn, extent=(-0.5, W - 0.5, H - 0.5, -0.5), interpolation="nearest")
    if covered.any():
        x = (np.arange(seen.width) + 0.5) * W / seen.width - 0.5
        y = (np.arange(seen.height) + 0.5) * H / seen.height - 0.5
        ax.contour(x, y, covered, levels=[0.5], colors=MESH, linewidths=0.9)


def _raster_size(camera: Cameras) -> tuple[int, int]:
    """Width and height, 256 on the longer side."""
    scale = 256 / max(camera.width, camera.height)
    return max(2, round(camera.width * scale)), max(2, round(camera.height * scale))


def _upright(up: str, front: str) -> np.ndarray:
    """(3, 3) rotation from scene axes to the plot's: front along x, up along z."""
    return turn((up, front))[[2, 0, 1]]


def _legend(unused: bool, truth: Triangles | None) -> list[Line2D]:
    entries = [(SENSITIVE, "sensitive view"), (NEUTRAL, "neutral view")]
    if unused:
        entries.append((UNUSED, "view without a role"))
    entries += [(SPHERE, "bounding sphere")] + ([(MESH, "truth mesh outline")] if truth else [])
    return [Line2D([], [], color=colour, label=label) for colour, label in entries]


def _colour(role: str) -> str:
    return {"sensitive": SENSITIVE, "neutral": NEUTRAL}.get(role, UNUSED)


def _left_out(count: int) -> list[str]:
    drawn = len(shown_views(count))
    return [f"{drawn} of {count} views are drawn"] if drawn < count else []


def _drawable(text: str) -> str:
    """Without what no font has: control characters, and bytes of a name that are no text."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def _short(name: str) -> str:
    """A file's name that fits above its picture."""
    return name if len(name) <= 24 else f"{name[:11]}...{name[-10:]}"


def _geometry_text(facts: dict[str, Any]) -> list[str]:
    unit = facts["unit"]
    return [
        f"bounding sphere {_point(facts['center'])}, radius {facts['radius']:.4g} {unit}",
        f"cameras {_span(facts['camera_distance'])} {unit} from its centre",
    ]


def _span(values: list[float]) -> str:
    low, high = (f"{v:.4g}" for v in values)
    return low if low == high else f"{low} to {high}"


def _point(values: Any) -> str:
    return "(" + ", ".join(f"{v:.4g}" for v in values) + ")"


def _save(figure: Figure, path: str | Path) -> None:
    with atomic_file(path) as aside:
        figure.savefig(aside, format="png", metadata={"Software": "privhead_nb"})
