"""The march of rays through a lattice of signed distances, as one reads it.

A ray o + t d is cut into even steps over its way through the unit sphere; f_k is the trilinear
value at step k.

    hit        f_k < 0 for some k; t by the linear root between k - 1 and k
    closest    the parabola through the lowest f_k and its neighbours

`Blocks` bound a lattice's values, so that a kernel can pass over what is far from the surface; the
reference looks at all steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid


@dataclass(frozen=True)
class Crossing:
    """What a march finds, for rays (N,); of those that stay out of `reach`, see `march`.

    Attributes:
        hit: the ray enters the surface.
        t: where it does; where it comes closest to the surface if it misses.
        slope: d sdf / dt there, at most -0.1 (only a hit's is meaningful).
        t_closest, closest: where the ray is deepest inside (or nearest outside), and the value.
    """

    hit: Tensor
    t: Tensor
    slope: Tensor
    t_closest: Tensor
    closest: Tensor


BLOCK = 2  # cells along a block's side, a power of two


@dataclass(frozen=True)
class Blocks:
    """Lowest and highest values of a lattice in blocks of BLOCK^3 cells.

    Attributes:
        lowest, highest: (M, M, M), M of `blocks_a_side`, in the lattice's order.
    """

    lowest: Tensor
    highest: Tensor


def blocks_a_side(resolution: int) -> int:
    """M of the blocks of a lattice of resolution^3 points."""
    return (resolution - 2) // BLOCK + 1


def blocks_of(lattice: Tensor, resolution: int) -> Blocks:
    """The lowest and the highest value in each block of a lattice (resolution^3,)."""
    cube = lattice.reshape(1, resolution, resolution, resolution)

    def highest(values: Tensor) -> Tensor:  # neighbouring blocks share a layer of points
        return F.max_pool3d(values, BLOCK + 1, BLOCK, ceil_mode=True)[0]

    return Blocks(-highest(-cube), highest(cube))


def sphere_interval(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where rays enter and leave the unit sphere.

    Args:
        origins, directions: (N, 3), directions of unit length.

    Returns:
        near (N,), far (N,) and which rays meet the sphere (N,) bool; the others get 0 and 0.
    """
    half = (origins * directions).sum(-1)
    disc = half.square() - origins.square().sum(-1) + 1
    meets = disc > 0
    root = disc.clamp_min(0).sqrt()
    near = torch.where(meets, (-half - root).clamp_min(0), 0.0)
    far = torch.where(meets, (-half + root).clamp_min(0), 0.0)
    return near, far, meets & (far > near)


def march_reference(
    lattice: Tensor, resolution: int, origins: Tensor, directions: Tensor, steps: int
) -> Crossing:
    """The specification: see `march`."""
    near, far, meets = sphere_interval(origins, directions)
    fractions = torch.linspace(0, 1, steps, device=origins.device, dtype=origins.dtype)
    t = near[:, None] + (far - near)[:, None] * fractions
    points = origins[:, None] + t[..., None] * directions[:, None]
    layout = GridLayout((resolution,), 1, max_entries=resolution**3)
    values, _ = encode_grid(points.reshape(-1, 3), lattice, layout, jacobian=False, backend="torch")
    values = torch.where(meets[:, None], values.reshape(t.shape), 1.0)
    step = (far - near) / (steps - 1)

    def at(index: Tensor) -> Tensor:
        return values.gather(1, index[:, None])[:, 0]

    inside = values < 0
    after = inside.to(torch.uint8).argmax(1).clamp_min(1)
    v0, v1 = at(after - 1), at(after)
    root = (v0 / (v0 - v1).clamp_min(1e-9)).clamp(0, 1)
    t_hit = t.gather(1, (after - 1)[:, None])[:, 0] + step * root
    slope = ((v1 - v0) / step.clamp_min(1e-9)).clamp(max=-0.1)

    lowest = values.argmin(1).clamp(1, steps - 2)
    q0, q1, q2 = at(lowest - 1), at(lowest), at(lowest + 1)
    offset = (0.5 * (q0 - q2) / (q0 - 2 * q1 + q2).clamp_min(1e-9)).clamp(-1, 1)
    t_closest = t.gather(1, lowest[:, None])[:, 0] + offset * step
    hit = inside.any(1)
    return Crossing(
        hit=hit,
        t=torch.where(hit, t_hit, t_closest),
        slope=slope,
        t_closest=t_closest,
        closest=q1 - 0.25 * (q0 - q2) * offset,
    )
