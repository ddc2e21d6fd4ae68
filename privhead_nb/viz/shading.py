"""Meshes as pictures without a GPU or a window: an orthographic z-buffer in numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from privhead_nb.errors import PrivheadError, check_choice
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.scenes.camera import axis_vector

Array = NDArray[np.float64]
Pixels = NDArray[np.float32]

# Where the viewer stands: yaw to the head's left and pitch upwards, degrees.
VIEWS = {
    "front": (0.0, 0.0),
    "three-quarter": (40.0, 8.0),
    "profile": (90.0, 0.0),
    "back": (180.0, 0.0),
}
CLAY = np.array([0.86, 0.84, 0.81])
SUPERSAMPLE = 2  # samples along a pixel's side


def view_rotation(view: str, up: str = "+y", front: str = "+z") -> Array:
    """Rows right, up and towards the viewer, (3, 3), for a named view.

    Raises:
        PrivheadError: an unknown view or axis, or up along front.
    """
    check_choice("view", view, VIEWS, where="shading", error=PrivheadError)
    top, face = axis_vector(up), axis_vector(front)
    if abs(top @ face) > 0:
        raise PrivheadError(f"up {up} and front {front} lie on one axis", remedy="Mend scene.json.")
    yaw, pitch = np.radians(VIEWS[view])
    side = np.cross(top, face)
    level = np.cos(yaw) * face + np.sin(yaw) * side
    toward = np.cos(pitch) * level + np.sin(pitch) * top
    right = np.cross(top, level)
    return np.stack([right, np.cross(toward, right), toward])


def frame_of(mesh: Mesh, up: str = "+y") -> tuple[Array, float]:
    """Centre and half-width of a square frame that holds the mesh from every side."""
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    center = (low + high) / 2
    height = np.abs((mesh.vertices - center) @ axis_vector(up))
    sideways = np.linalg.norm((mesh.vertices - center) * (1 - np.abs(axis_vector(up))), axis=1)
    return center, 1.05 * max(float(height.max()), float(sideways.max()), 1e-12)


def rasterize(
    points: Array, faces: NDArray[np.int64], size: int
) -> tuple[NDArray[np.int64], Array]:
    """Which triangle each pixel sees.

    Args:
        points: (N, 3) pixel coordinates x to the right and y down, (0, 0) the centre of the first
            pixel, and depth z, larger nearer.
        faces: (M, 3).
        size: pixels along a side.

    Returns:
        face (size, size), -1 where nothing is; barycentric weights (size, size, 3), 0 there.
    """
    corners = points[faces]
    low = np.maximum(np.ceil(corners[..., :2].min(axis=1)), 0).astype(np.int64)
    high = np.minimum(np.floor(corners[..., :2].max(axis=1)), size - 1).astype(np.int64)
    extent = np.maximum(high - low + 1, 0)
    area = _cross2(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    alive = np.flatnonzero((extent.prod(axis=1) > 0) & (area != 0))

    # Every pixel of every triangle's box is a candidate; all are tested at once.
    counts = extent[alive].prod(axis=1)
    face = np.repeat(alive, counts)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    x = low[face, 0] + within % extent[face, 0]
    y = low[face, 1] + within // extent[face, 0]
    here = np.stack([x, y], axis=1).astype(np.float64)
    a, b, c = corners[face].transpose(1, 0, 2)
    wa = _cross2(b[:, :2] - here, c[:, :2] - here) / area[face]
    wb = _cross2(c[:, :2] - here, a[:, :2] - here) / area[face]
    weights = np.stack([wa, wb, 1 - wa - wb], axis=1)
    hit = (weights >= -1e-9).all(axis=1)
    face, weights, pixel = face[hit], weights[hit], (y * size + x)[hit]
    depth = (weights * corners[face][..., 2]).sum(axis=1)

    # Far to near, so that the nearest is written last.
    order = np.argsort(depth, kind="stable")
    seen = np.full(size * size, -1, dtype=np.int64)
    seen[pixel[order]] = order
    out_face = np.where(seen >= 0, face[seen] if len(face) else -1, -1)
    out_weights = np.where((seen >= 0)[:, None], weights[seen] if len(face) else 0.0, 0.0)
    return out_face.reshape(size, size), out_weights.reshape(size, size, 3)


def shaded_normals(
    mesh: Mesh,
    view: str = "front",
    size: int = 256,
    *,
    center: Sequence[float] | None = None,
    extent: float | None = None,
    up: str = "+y",
    front: str = "+z",
) -> Pixels:
    """A clay picture of a mesh: brightness follows its vertices' area-weighted normals.

    Light comes from the viewer and, weaker, from the upper left. Faces seen from behind (a hole,
    or a mesh turned inside out) are painted blue, so that a defect can't pass for skin.

    Args:
        view: front, three-quarter, profile or back.
        size: pixels along a side.
        center, extent: middle and half-width of the frame, in the mesh's unit; by default the
            whole mesh. Give the same to meshes that are to be compared.
        up, front: the head's axes.

    Returns:
        (size, size, 3) float32 in [0, 1].
    """
    rotation = view_rotation(view, up, front)
    own_center, own_extent = frame_of(mesh, up)
    middle = own_center if center is None else np.asarray(center, dtype=np.float64)
    half = own_extent if extent is None else float(extent)
    fine = size * SUPERSAMPLE
    seen = (mesh.vertices - middle) @ rotation.T
    scale = fine / (2 * half)
    pixel = np.stack([seen[:, 0], -seen[:, 1]], axis=1) * scale + (fine - 1) / 2
    face, weights = rasterize(np.column_stack([pixel, seen[:, 2]]), mesh.faces, fine)

    hit = face >= 0
    corners = mesh.vertex_normals()[mesh.faces[face[hit]]]
    normal = (corners * weights[hit][..., None]).sum(axis=1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    normal = normal @ rotation.T
    behind = (mesh.face_normals()[face[hit]] @ rotation.T)[:, 2] < 0

    key = np.array([-0.45, 0.55, 0.70])
    key /= np.linalg.norm(key)
    head_on, from_side = np.clip(normal[:, 2], 0, 1), np.clip(normal @ key, 0, 1)
    light = 0.12 + 0.45 * head_on + 0.43 * from_side
    colour = light[:, None] * CLAY
    colour[behind] = (0.35, 0.55, 0.80)
    image = np.ones((fine, fine, 3))
    image[hit] = colour
    image = image.reshape(size, SUPERSAMPLE, size, SUPERSAMPLE, 3).mean(axis=(1, 3))
    return image.clip(0, 1).astype(np.float32)


def _cross2(a: Array, b: Array) -> Array:
    return np.asarray(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])
