"""What lesson 8 and its study measure: which views to keep, and whether stage 1 failed.

None of these needs the truth: who has only a release can use them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.camera import Cameras

Points = NDArray[np.float64]


def directions(cameras: Cameras, center: Sequence[float]) -> Points:
    """Unit vectors (V, 3) from the head's centre to the cameras."""
    away = cameras.centers.numpy() - np.asarray(center, dtype=np.float64)
    return np.asarray(away / np.linalg.norm(away, axis=1, keepdims=True))


def farthest_views(towards: Points, count: int) -> list[int]:
    """`count` of the views, each as far as can be from those before it; the first is view 0.

    Args:
        towards: (V, 3) unit vectors to the cameras.
        count: 1 to V.

    Returns:
        Indices in the order of choice. Of equally far views the first is taken.

    Raises:
        ValueError: more views are wanted than there are, or none.
    """
    if not 1 <= count <= len(towards):
        raise ValueError(f"{count} of {len(towards)} views")
    chosen = [0]
    while len(chosen) < count:
        nearest = (towards @ towards[chosen].T).max(axis=1)  # cosine to the nearest chosen view
        nearest = nearest.round(9)  # so that rounding errors decide no tie
        nearest[chosen] = np.inf
        chosen.append(int(nearest.argmin()))
    return chosen


def silhouettes(mesh: Mesh, cameras: Cameras) -> Tensor:
    """Which pixels (V, H, W) a mesh's vertices and face centres fall into; 1 or 0.

    Good for meshes whose triangles are smaller than a pixel.
    """
    points = np.concatenate([mesh.vertices, mesh.vertices[mesh.faces].mean(axis=1)])
    xy, depth = cameras.project(torch.from_numpy(points))
    column, row = xy.round().long().unbind(-1)
    width, height = cameras.width, cameras.height
    there = (depth > 0) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    out = torch.zeros(len(cameras), height * width)
    for view, (where, c, r) in enumerate(zip(there, column, row, strict=True)):
        out[view, (r * width + c)[where]] = 1
    return out.reshape(len(cameras), height, width)


def signal_outside(moduli: Tensor, shape: Tensor, reach: int = 1) -> float:
    """Share of the released modulus that falls on pixels which a shape doesn't cover.

    On a plain background all modulus is the head's: a shape that leaves much of it uncovered is
    too small or in the wrong place.

    Args:
        moduli: (V, H, W).
        shape: (V, H, W), 1 where the shape is seen.
        reach: pixels by which the shape is widened, since the operator's kernel reaches beyond.
    """
    wide = F.max_pool2d(shape[:, None], 2 * reach + 1, 1, reach)[:, 0]
    return float((moduli * (1 - wide)).sum() / moduli.sum().clamp_min(1e-12))


def empty_border(moduli: Tensor, shape: Tensor, reach: int = 1) -> float:
    """Share of a shape's outline near which the release shows no modulus: it is too large there.

    Args:
        moduli, shape: (V, H, W).
        reach: pixels in which a line may lie.
    """
    inner = -F.max_pool2d(-shape[:, None], 3, 1, 1)[:, 0]
    outline = (shape > 0.5) & (inner < 0.5)
    near = F.max_pool2d(moduli[:, None], 2 * reach + 1, 1, reach)[:, 0]
    line = 0.1 * float(moduli.flatten().quantile(0.99)) if moduli.numel() < 1e7 else 0.02
    missing = (near < line) & outline
    return float(missing.sum() / outline.sum().clamp_min(1))


def stage_looks(mesh: Mesh, release: Release) -> dict[str, float]:
    """`signal_outside` and `empty_border` of a mesh in a release's sensitive views."""
    shape = silhouettes(mesh, release.cameras[list(release.sensitive)])
    return {
        "signal_outside": round(signal_outside(release.moduli, shape), 4),
        "empty_border": round(empty_border(release.moduli, shape), 4),
    }
