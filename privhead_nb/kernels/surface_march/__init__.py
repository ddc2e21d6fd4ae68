"""Where rays enter a surface that a lattice of signed distances holds, and where they come closest.

The reference (`naive.py`) holds all points of all rays (12 + 4 bytes a step, and what the look-up
needs). The kernels keep a ray's march in registers: 24 bytes in, 17 out a ray, and look-ups in a
lattice that fits in the second-level cache. Nothing here is differentiated: it only says where to
ask the field.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.inputs import check_rays, contiguous
from privhead_nb.kernels.surface_march import numba, triton
from privhead_nb.kernels.surface_march.naive import Crossing, march_reference, sphere_interval

__all__ = ["Crossing", "march", "march_reference", "sphere_interval"]

_FORMS: dict[str, Any] = {"numba": numba, "triton": triton}


@torch.no_grad()
def march(
    lattice: Tensor,
    resolution: int,
    origins: Tensor,
    directions: Tensor,
    *,
    steps: int = 64,
    backend: Backend = "auto",
) -> Crossing:
    """March rays through a lattice of signed distances in even steps over the unit sphere.

    Args:
        lattice: (resolution^3,) or (resolution^3, 1) values over [-1, 1]^3, z fastest.
        resolution: lattice points per axis.
        origins, directions: (N, 3), unit-sphere coordinates, directions of unit length.
        steps: field values a ray.
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel.

    Returns:
        See `Crossing`; t is the distance along the ray.

    Raises:
        ValueError: shapes that do not fit, fewer than 3 steps, or a forced backend that can't run.
    """
    if lattice.numel() != resolution**3:
        raise ValueError(f"the lattice must hold {resolution}^3 values, it holds {lattice.numel()}")
    check_rays(origins, directions)
    if steps < 3:
        raise ValueError(f"a march needs at least 3 steps, got {steps}")
    unfit = {"triton": "it takes at most 256 steps a ray"} if steps > 256 else None
    chosen = choose("surface_march", backend, origins, unfit=unfit)
    if chosen == "torch":
        return march_reference(lattice.reshape(-1, 1), resolution, origins, directions, steps)
    lattice, origins, directions = contiguous(lattice, origins, directions)
    hit = torch.empty(len(origins), dtype=torch.bool, device=origins.device)
    out = torch.empty(4, len(origins), device=origins.device)
    _FORMS[chosen].march(lattice, resolution, origins, directions, steps, hit, out)
    return Crossing(hit, *out.unbind(0))
