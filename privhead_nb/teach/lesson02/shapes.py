"""Signed distances of simple shapes, ways to join them, and a ray tracer that steps by them.

Every shape takes points (N, 3) and gives (N,): negative inside, positive outside, in the points'
unit. Sphere, box, capsule and torus are exact. Of two joined shapes only a bound is known: the
value never exceeds the true distance, but may be smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from privhead_nb.heads.primitives import smooth_min

Shape = Callable[[Tensor], Tensor]


def sphere(points: Tensor, radius: float = 0.6) -> Tensor:
    """|x| - r."""
    return points.norm(dim=-1) - radius


def box(points: Tensor, half: Sequence[float] = (0.55, 0.4, 0.5)) -> Tensor:
    """Exact distance to a box around the origin.

    q = |x| - half tells, axis by axis, how far a point is beyond the face: outside, the length of
    q's positive part; inside, the nearest face, max(q).

    Args:
        points: (N, 3).
        half: half of its edges.
    """
    beyond = points.abs() - points.new_tensor(half)
    return beyond.clamp_min(0).norm(dim=-1) + beyond.amax(dim=-1).clamp_max(0)


def capsule(
    points: Tensor,
    start: Sequence[float] = (0.0, -0.4, 0.0),
    end: Sequence[float] = (0.0, 0.4, 0.0),
    radius: float = 0.25,
) -> Tensor:
    """Distance to the segment from `start` to `end`, less the radius."""
    a, along = points.new_tensor(start), points.new_tensor(end) - points.new_tensor(start)
    share = (((points - a) @ along) / along.dot(along)).clamp(0, 1)
    return (points - a - share[:, None] * along).norm(dim=-1) - radius


def torus(points: Tensor, ring: float = 0.5, tube: float = 0.2) -> Tensor:
    """A ring of radius `ring` around the z axis, a tube thick."""
    off_ring = points[..., :2].norm(dim=-1) - ring
    return torch.stack([off_ring, points[..., 2]], -1).norm(dim=-1) - tube


def moved(shape: Shape, by: Sequence[float]) -> Shape:
    """The shape, shifted."""
    return lambda points: shape(points - points.new_tensor(by))


def union(a: Shape, b: Shape) -> Shape:
    """What lies in either: min(a, b). Exact outside, a bound inside."""
    return lambda points: torch.minimum(a(points), b(points))


def intersection(a: Shape, b: Shape) -> Shape:
    """What lies in both: max(a, b). Exact inside, a bound outside."""
    return lambda points: torch.maximum(a(points), b(points))


def smooth_union(a: Shape, b: Shape, width: float = 0.3) -> Shape:
    """A union whose seam is filled where a and b differ by less than `width`."""
    return lambda points: smooth_min(a(points), b(points), width)


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


def parallel_rays(side: int, reach: float = 0.85) -> tuple[Tensor, Tensor]:
    """side^2 rays from the plane z = 1 towards -z, rows upwards: origins, directions (N, 3)."""
    origins = plane(side, "z", 1.0, reach).reshape(-1, 3)
    return origins, torch.tensor([0.0, 0.0, -1.0]).expand_as(origins)


def sphere_trace(
    shape: Shape,
    origins: Tensor,
    directions: Tensor,
    *,
    lipschitz: float = 1.0,
    far: float = 4.0,
    tolerance: float = 1e-4,
    steps: int = 500,
) -> Tensor:
    """First place where f <= tolerance along each ray; (N,), infinite where there is none.

    |f(x) - f(y)| <= L |x - y| says that no zero lies nearer to x than f(x) / L, so a step of that
    length can't jump over a surface (Hart 1996). Rays that have arrived, or left, ask no more.

    Args:
        shape: f; only its sign and this bound are relied on.
        origins, directions: (N, 3), directions of unit length.
        lipschitz: L, a bound on the gradient's norm along the rays.
        far: rays end here.
        tolerance: what counts as met.
        steps: at most so many; a ray that needs more counts as a miss.
    """
    depth = origins.new_zeros(len(origins))
    met = torch.zeros(len(origins), dtype=torch.bool, device=origins.device)
    going = torch.arange(len(origins), device=origins.device)
    for _ in range(steps):
        if len(going) == 0:
            break
        value = shape(origins[going] + depth[going, None] * directions[going])
        hit = value <= tolerance
        met[going[hit]] = True
        going, value = going[~hit], value[~hit]
        depth[going] += value / lipschitz
        going = going[depth[going] <= far]
    return torch.where(met, depth, torch.inf)
