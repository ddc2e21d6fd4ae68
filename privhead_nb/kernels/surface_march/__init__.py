"""Where rays enter a surface that a lattice of signed distances holds, and where they come closest.

The reference (`naive.py`) holds all points of all rays (12 + 4 bytes a step, and what the look-up
needs). The kernels keep a ray's march in registers: 24 bytes in, 17 out a ray, and look-ups in a
lattice that fits in the second-level cache. Nothing here is differentiated: it only says where to
ask the field.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.inputs import check_rays, contiguous
from privhead_nb.kernels.surface_march import numba, triton
from privhead_nb.kernels.surface_march.naive import (
    Blocks,
    Crossing,
    blocks_a_side,
    blocks_of,
    march_reference,
    sphere_interval,
)

__all__ = ["Blocks", "Crossing", "blocks_of", "march", "march_reference", "sphere_interval"]


@torch.no_grad()
def march(
    lattice: Tensor,
    resolution: int,
    origins: Tensor,
    directions: Tensor,
    *,
    steps: int = 64,
    reach: Tensor | float = math.inf,
    blocks: Blocks | None = None,
    backend: Backend = "auto",
) -> Crossing:
    """March rays through a lattice of signed distances in even steps over the unit sphere.

    Args:
        lattice: (resolution^3,) or (resolution^3, 1) values over [-1, 1]^3, z fastest.
        resolution: lattice points per axis.
        origins, directions: (N, 3), unit-sphere coordinates, directions of unit length.
        steps: field values a ray.
        reach: how far from 0 values matter. A hit's `t` and `slope` are always exact; `t_closest`,
            `closest` and a miss's `t` are where the ray's lowest value is within this of 0.
            Elsewhere `closest` has the right sign, and is at least this far from 0 but for what the
            parabola takes off; the others are where the ray enters the sphere, or the lowest place
            that was looked at.
        blocks: of the lattice (`blocks_of`). With them, and a reach up to 1, the CPU loop passes
            over blocks that hold nothing within reach.
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel.

    Returns:
        See `Crossing`; t is the distance along the ray.

    Raises:
        ValueError: shapes that do not fit, blocks of another lattice, fewer than 3 steps, or a
            forced backend that can't run.
    """
    if lattice.numel() != resolution**3:
        raise ValueError(f"the lattice must hold {resolution}^3 values, it holds {lattice.numel()}")
    check_rays(origins, directions)
    if steps < 3:
        raise ValueError(f"a march needs at least 3 steps, got {steps}")
    side = blocks_a_side(resolution)
    if blocks is not None and not blocks.lowest.shape == blocks.highest.shape == (side,) * 3:
        raise ValueError(f"{resolution}^3 points have {side}^3 blocks: these are another lattice's")
    unfit = {"triton": "it takes at most 256 steps a ray"} if steps > 256 else None
    chosen = choose("surface_march", backend, origins, unfit=unfit)
    if chosen == "torch":
        return march_reference(lattice.reshape(-1, 1), resolution, origins, directions, steps)
    lattice, origins, directions = contiguous(lattice, origins, directions)
    hit = torch.empty(len(origins), dtype=torch.bool, device=origins.device)
    out = torch.empty(4, len(origins), device=origins.device)
    given = lattice, resolution, origins, directions, steps, hit, out
    if chosen == "numba":
        numba.march(*given, float(reach), blocks)
    else:
        triton.march(*given)
    return Crossing(hit, *out.unbind(0))
