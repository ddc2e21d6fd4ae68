"""Signed distances of simple shapes for lesson 02's checks and panel, slices, and a gradient.

Every shape takes points (N, 3) and gives (N,): negative inside, positive outside, in the points'
unit. The lesson's page has its own.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Shape = Callable[[Tensor], Tensor]


def sphere(points: Tensor, radius: float = 0.6) -> Tensor:
    """|x| - r."""
    return points.norm(dim=-1) - radius


def box(points: Tensor, half: Tensor) -> Tensor:
    """Exact distance to a box around the origin with half edges (3,).

    q = |x| - half tells, axis by axis, how far a point is beyond the face: outside, the length of
    q's positive part; inside, the nearest face, max(q).
    """
    beyond = points.abs() - half
    return beyond.clamp_min(0).norm(dim=-1) + beyond.amax(dim=-1).clamp_max(0)


def torus(points: Tensor) -> Tensor:
    """A ring of radius 0.5 around the z axis, a tube of radius 0.2."""
    off_ring = points[..., :2].norm(dim=-1) - 0.5
    return torch.stack([off_ring, points[..., 2]], -1).norm(dim=-1) - 0.2


def value_and_gradient(shape: Shape, points: Tensor) -> tuple[Tensor, Tensor]:
    """f (N,) and its gradient (N, 3) by autograd, both detached."""
    with torch.enable_grad():
        points = points.detach().requires_grad_()
        value = shape(points)
        (gradient,) = torch.autograd.grad(value.sum(), points)
    return value.detach(), gradient


def plane(count: int, axis: str = "z", at: float = 0.0, reach: float = 1.0) -> Tensor:
    """Points of a square slice (count, count, 3), rows upwards.

    Args:
        count: points along a side.
        axis: what the slice is perpendicular to; "z" shows x to the right and y up, "x" shows z to
            the right and y up.
        at: where along that axis.
        reach: half of the side.
    """
    across = torch.linspace(-reach, reach, count)
    up, right = torch.meshgrid(across, across, indexing="ij")
    fixed = torch.full_like(up, at)
    return torch.stack([right, up, fixed] if axis == "z" else [fixed, up, right], -1)
