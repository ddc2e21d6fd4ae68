"""The march on a GPU: one program a block of rays, all steps of a ray side by side in registers."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from privhead_nb.kernels.lazy import power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl


@triton_kernel
def _march_kernel(
    p_lattice, p_origins, p_directions, p_hit, p_out, count, steps, RES, RAYS: tl.constexpr,
    STEPS: tl.constexpr,
):  # fmt: skip
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


def march(
    lattice: Tensor, resolution: int, origins: Tensor, directions: Tensor, steps: int,
    hit: Tensor, out: Tensor,
) -> None:  # fmt: skip
    """Fill `hit` (N,) and `out` (4, N): t, slope, t_closest, closest."""
    block = power_of_two(steps, 16)
    rays = max(1, 1024 // block)
    _march_kernel.launch(
        lattice, (-(-len(origins) // rays),), lattice, origins, directions, hit, out, len(origins),
        steps, resolution, RAYS=rays, STEPS=block, num_warps=4,
    )  # fmt: skip
