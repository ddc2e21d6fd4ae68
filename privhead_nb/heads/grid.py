"""A head's SDF on a grid, exact near the surface: the tracer's map, the truth mesh's source."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

CHUNK = 16_384
BAND = 1.6
LOW = (-135.0, -168.0, -171.0)
HIGH = (135.0, 177.0, 150.0)
"""The box that holds every head of the generator, mm."""


@dataclass(frozen=True, eq=False)
class SdfGrid:
    """SDF samples.

    Args:
        values: (X, Y, Z) float32, mm.
        low: position of sample (0, 0, 0), mm.
        spacing: distance between samples, mm.
    """

    values: Tensor
    low: Tensor
    spacing: float

    def __call__(self, points: Tensor) -> Tensor:
        """Trilinear value at (N, 3) points; points outside take the border's value."""
        size = torch.tensor(self.values.shape, dtype=points.dtype)
        unit = (points - self.low.to(points)) / self.spacing / (size - 1) * 2 - 1
        found = torch.nn.functional.grid_sample(
            self.values[None, None].to(points),
            unit.flip(-1)[None, :, None, None],
            align_corners=True,
            padding_mode="border",
        )
        return found.reshape(-1)


def in_chunks(f: Callable[[Tensor], Tensor], points: Tensor) -> Tensor:
    """f over (N, 3) points, CHUNK at a time, so that memory stays flat and caches warm."""
    return torch.cat([f(part) for part in points.split(CHUNK)])


@torch.no_grad()
def sample_grid(sdf: Callable[[Tensor], Tensor], spacing: float, coarse: int = 4) -> SdfGrid:
    """Fill a grid: coarse everywhere, fine in the cells that the surface may cross.

    Those have a corner where the SDF is below BAND cell widths.

    Args:
        sdf: (N, 3) mm -> (N,) mm.
        spacing: of the fine samples, mm.
        coarse: fine steps in one coarse cell.
    """
    low = torch.tensor(LOW)
    step = spacing * coarse
    counts = [int(np.ceil((h - lo) / step)) for lo, h in zip(LOW, HIGH, strict=True)]
    axes = [torch.arange(n + 1, dtype=torch.float32) for n in counts]
    corners = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
    rough = in_chunks(sdf, corners.reshape(-1, 3) * step + low).reshape(corners.shape[:3])
    nearest = torch.nn.functional.max_pool3d(-rough.abs()[None, None], 2, stride=1)[0, 0]
    cells = (-nearest < BAND * step).nonzero()
    fine = torch.nn.functional.interpolate(
        rough[None, None],
        size=tuple(n * coarse + 1 for n in counts),
        mode="trilinear",
        align_corners=True,
    )[0, 0]
    # a cell owns the samples 0..coarse on each axis; neighbours write shared ones alike
    wanted = torch.zeros_like(fine, dtype=torch.bool)
    i, j, k = (cells * coarse).unbind(-1)
    for a, b, c in itertools.product(range(coarse + 1), repeat=3):
        wanted[i + a, j + b, k + c] = True
    where = wanted.nonzero()
    fine[wanted] = in_chunks(sdf, where.float() * spacing + low)
    return SdfGrid(fine, low, spacing)


def marching_cubes(grid: SdfGrid) -> tuple[np.ndarray, np.ndarray]:
    """Zero level of a grid as vertices (N, 3) float64 mm and faces (M, 3) int64, normals outward.

    Only the largest connected piece is kept.
    """
    from skimage.measure import marching_cubes as march

    values = grid.values.numpy()
    values = np.where(np.abs(values) < 1e-5, 1e-5, values)  # no vertex on a sample: no slivers
    vertices, faces, _, _ = march(values, 0.0, gradient_direction="descent")
    vertices = vertices.astype(np.float64) * grid.spacing + grid.low.numpy().astype(np.float64)
    return _largest_piece(vertices, faces.astype(np.int64))


def _largest_piece(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from trimesh.graph import connected_component_labels

    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    piece = connected_component_labels(edges, node_count=len(vertices))
    keep = piece == np.bincount(piece).argmax()
    index = np.cumsum(keep) - 1
    return vertices[keep], index[faces[keep[faces[:, 0]]]]
