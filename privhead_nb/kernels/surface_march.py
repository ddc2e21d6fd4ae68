"""Where rays enter a surface that a lattice of signed distances holds, and where they come closest.

A ray o + t d is cut into even steps over its way through the unit sphere; f_k is the trilinear
value at step k.

    hit        f_k < 0 for some k; t by the linear root between k - 1 and k
    closest    the parabola through the lowest f_k and its neighbours

The reference holds all points of all rays (12 + 4 bytes a step, and what the look-up needs). The
kernels keep a ray's march in registers: 24 bytes in, 17 out a ray, and look-ups in a lattice that
fits in the second-level cache. Nothing here is differentiated: it only says where to ask the field.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid
from privhead_nb.kernels.lazy import numba_kernel, power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

_F0, _F1, _TINY = np.float32(0), np.float32(1), np.float32(1e-9)
_HALF, _QUARTER, _LEAST_SLOPE = np.float32(0.5), np.float32(0.25), np.float32(-0.1)


@dataclass(frozen=True)
class Crossing:
    """What a march finds, for rays (N,).

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


@numba_kernel(inline="always")
def _lookup(lattice, res, x, y, z):  # type: ignore[no-untyped-def]
    """Trilinear value at a point of [-1, 1]^3; points outside are clamped to it."""
    scale = _HALF * np.float32(res - 1)
    x = (min(max(x, -_F1), _F1) + _F1) * scale
    y = (min(max(y, -_F1), _F1) + _F1) * scale
    z = (min(max(z, -_F1), _F1) + _F1) * scale
    i, j, k = min(int(x), res - 2), min(int(y), res - 2), min(int(z), res - 2)
    x, y, z = x - np.float32(i), y - np.float32(j), z - np.float32(k)
    a = (i * res + j) * res + k
    b, c, d = a + res, a + res * res, a + res * res + res
    v00 = lattice[a] + z * (lattice[a + 1] - lattice[a])
    v01 = lattice[b] + z * (lattice[b + 1] - lattice[b])
    v10 = lattice[c] + z * (lattice[c + 1] - lattice[c])
    v11 = lattice[d] + z * (lattice[d + 1] - lattice[d])
    u0, u1 = v00 + y * (v01 - v00), v10 + y * (v11 - v10)
    return u0 + x * (u1 - u0)


@numba_kernel(parallel=True)
def _march_loop(first, last, lattice, res, origins, directions, steps, hit, out):  # type: ignore[no-untyped-def]
    for n in range(first, last):
        ox, oy, oz = origins[n, 0], origins[n, 1], origins[n, 2]
        dx, dy, dz = directions[n, 0], directions[n, 1], directions[n, 2]
        half = ox * dx + oy * dy + oz * dz
        disc = half * half - (ox * ox + oy * oy + oz * oz) + _F1
        near, far = _F0, _F0
        if disc > _F0:
            near, far = max(-half - np.sqrt(disc), _F0), max(-half + np.sqrt(disc), _F0)
        step = (far - near) / np.float32(steps - 1)
        values = np.full(steps, _F1)
        after, lowest = -1, 0
        if far > near:
            for k in range(steps):
                t = near + step * np.float32(k)
                values[k] = _lookup(lattice, res, ox + t * dx, oy + t * dy, oz + t * dz)
                if after < 0 and values[k] < _F0:
                    after = k
                if values[k] < values[lowest]:
                    lowest = k
        lowest = min(max(lowest, 1), steps - 2)
        q0, q1, q2 = values[lowest - 1], values[lowest], values[lowest + 1]
        offset = _HALF * (q0 - q2) / max(q0 - q1 - q1 + q2, _TINY)
        offset = min(max(offset, -_F1), _F1)
        hit[n] = after >= 0
        after = max(after, 1)
        v0, v1 = values[after - 1], values[after]
        out[2, n] = near + step * (np.float32(lowest) + offset)
        out[3, n] = q1 - _QUARTER * (q0 - q2) * offset
        out[0, n] = out[2, n]
        if hit[n]:
            root = min(max(v0 / max(v0 - v1, _TINY), _F0), _F1)
            out[0, n] = near + step * (np.float32(after - 1) + root)
        out[1, n] = min((v1 - v0) / max(step, _TINY), _LEAST_SLOPE)


@triton_kernel
def _march_kernel(  # type: ignore[no-untyped-def]
    p_lattice, p_origins, p_directions, p_hit, p_out, count, steps, RES, RAYS: tl.constexpr,
    STEPS: tl.constexpr,
):  # fmt: skip
    """One program a block of rays; all steps of a ray lie side by side in registers."""
    rays = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    m_rays = rays < count
    ox = tl.load(p_origins + rays * 3, mask=m_rays, other=2.0)
    oy = tl.load(p_origins + rays * 3 + 1, mask=m_rays, other=0.0)
    oz = tl.load(p_origins + rays * 3 + 2, mask=m_rays, other=0.0)
    dx = tl.load(p_directions + rays * 3, mask=m_rays, other=1.0)
    dy = tl.load(p_directions + rays * 3 + 1, mask=m_rays, other=0.0)
    dz = tl.load(p_directions + rays * 3 + 2, mask=m_rays, other=0.0)
    half = ox * dx + oy * dy + oz * dz
    disc = half * half - (ox * ox + oy * oy + oz * oz) + 1
    root = tl.sqrt(tl.maximum(disc, 0.0))
    near = tl.where(disc > 0, tl.maximum(-half - root, 0.0), 0.0)
    far = tl.where(disc > 0, tl.maximum(-half + root, 0.0), 0.0)
    step = (far - near) / (steps - 1)

    k = tl.arange(0, STEPS)[None, :]
    t = near[:, None] + step[:, None] * k
    m_steps = (k < steps) & (far > near)[:, None]
    scale = 0.5 * (RES - 1)
    x = (tl.minimum(tl.maximum(ox[:, None] + t * dx[:, None], -1.0), 1.0) + 1.0) * scale
    y = (tl.minimum(tl.maximum(oy[:, None] + t * dy[:, None], -1.0), 1.0) + 1.0) * scale
    z = (tl.minimum(tl.maximum(oz[:, None] + t * dz[:, None], -1.0), 1.0) + 1.0) * scale
    i = tl.minimum(x.to(tl.int32), RES - 2)
    j = tl.minimum(y.to(tl.int32), RES - 2)
    h = tl.minimum(z.to(tl.int32), RES - 2)
    x, y, z = x - i, y - j, z - h
    p_a = p_lattice + (i * RES + j) * RES + h
    p_c = p_a + RES * RES
    a0 = tl.load(p_a, mask=m_steps, other=1.0)
    a1 = tl.load(p_a + 1, mask=m_steps, other=1.0)
    b0 = tl.load(p_a + RES, mask=m_steps, other=1.0)
    b1 = tl.load(p_a + RES + 1, mask=m_steps, other=1.0)
    c0 = tl.load(p_c, mask=m_steps, other=1.0)
    c1 = tl.load(p_c + 1, mask=m_steps, other=1.0)
    d0 = tl.load(p_c + RES, mask=m_steps, other=1.0)
    d1 = tl.load(p_c + RES + 1, mask=m_steps, other=1.0)
    v00, v01 = a0 + z * (a1 - a0), b0 + z * (b1 - b0)
    v10, v11 = c0 + z * (c1 - c0), d0 + z * (d1 - d0)
    u0, u1 = v00 + y * (v01 - v00), v10 + y * (v11 - v10)
    values = tl.where(m_steps, u0 + x * (u1 - u0), 1.0)

    # the first step inside, and the first of the lowest: a minimum over step numbers
    inside = values < 0
    after = tl.min(tl.where(inside, k, STEPS), axis=1)
    hit = after < STEPS
    after = tl.minimum(tl.maximum(after, 1), steps - 1)
    after = tl.where(hit, after, 1)
    least = tl.min(tl.where(k < steps, values, 3.0e38), axis=1)
    found = (values == least[:, None]) & (k < steps)
    lowest = tl.min(tl.where(found, k, STEPS), axis=1)
    lowest = tl.minimum(tl.maximum(lowest, 1), steps - 2)
    q0 = tl.sum(tl.where(k == lowest[:, None] - 1, values, 0.0), axis=1)
    q1 = tl.sum(tl.where(k == lowest[:, None], values, 0.0), axis=1)
    q2 = tl.sum(tl.where(k == lowest[:, None] + 1, values, 0.0), axis=1)
    v0 = tl.sum(tl.where(k == after[:, None] - 1, values, 0.0), axis=1)
    v1 = tl.sum(tl.where(k == after[:, None], values, 0.0), axis=1)

    offset = 0.5 * (q0 - q2) / tl.maximum(q0 - 2 * q1 + q2, 1e-9)
    offset = tl.minimum(tl.maximum(offset, -1.0), 1.0)
    t_closest = near + step * (lowest + offset)
    share = tl.minimum(tl.maximum(v0 / tl.maximum(v0 - v1, 1e-9), 0.0), 1.0)
    t_hit = near + step * (after - 1 + share)
    slope = tl.minimum((v1 - v0) / tl.maximum(step, 1e-9), -0.1)
    tl.store(p_hit + rays, hit, mask=m_rays)
    tl.store(p_out + rays, tl.where(hit, t_hit, t_closest), mask=m_rays)
    tl.store(p_out + count + rays, slope, mask=m_rays)
    tl.store(p_out + 2 * count + rays, t_closest, mask=m_rays)
    tl.store(p_out + 3 * count + rays, q1 - 0.25 * (q0 - q2) * offset, mask=m_rays)


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
    if origins.shape != directions.shape or origins.ndim != 2 or origins.shape[1] != 3:
        raise ValueError(
            f"origins and directions must be (N, 3), got {tuple(origins.shape)} "
            f"and {tuple(directions.shape)}"
        )
    if steps < 3:
        raise ValueError(f"a march needs at least 3 steps, got {steps}")
    unfit = {"triton": "it takes at most 256 steps a ray"} if steps > 256 else None
    chosen = choose("surface_march", backend, origins, unfit=unfit)
    if chosen == "torch":
        return march_reference(lattice.reshape(-1, 1), resolution, origins, directions, steps)
    lattice, origins = lattice.contiguous(), origins.contiguous()
    directions = directions.contiguous()
    count = len(origins)
    hit = torch.empty(count, dtype=torch.bool, device=origins.device)
    out = torch.empty(4, count, device=origins.device)
    if chosen == "numba":
        _march_loop(
            count, lattice.reshape(-1).numpy(), resolution, origins.numpy(), directions.numpy(),
            steps, hit.numpy(), out.numpy(),
        )  # fmt: skip
    elif count:
        block = power_of_two(steps, 16)
        rays = max(1, 1024 // block)
        with torch.cuda.device_of(origins):
            _march_kernel[(-(-count // rays),)](
                lattice, origins, directions, hit, out, count, steps, resolution,
                RAYS=rays, STEPS=block, num_warps=4,
            )  # fmt: skip
    return Crossing(hit, *out.unbind(0))
