"""The march on the CPU: one ray after the other."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from torch import Tensor

from privhead_nb.kernels.lazy import numba_kernel
from privhead_nb.kernels.surface_march.naive import BLOCK, Blocks, blocks_a_side

_F0, _F1, _TINY = np.float32(0), np.float32(1), np.float32(1e-9)
_HALF, _QUARTER, _LEAST_SLOPE = np.float32(0.5), np.float32(0.25), np.float32(-0.1)
_SHIFT = BLOCK.bit_length() - 1  # a cell's block is its index >> _SHIFT


@numba_kernel(inline="always")
def _cell(res, x):
    """The cell that holds a coordinate of [-1, 1], and the share of it that lies before the
    coordinate; what is outside is clamped to it."""
    x = (min(max(x, -_F1), _F1) + _F1) * (_HALF * np.float32(res - 1))
    i = min(int(x), res - 2)
    return i, x - np.float32(i)


@numba_kernel(inline="always")
def _value(lattice, res, i, j, k, x, y, z):
    """Trilinear value in a cell."""
    a = (i * res + j) * res + k
    b, c, d = a + res, a + res * res, a + res * res + res
    v00 = lattice[a] + z * (lattice[a + 1] - lattice[a])
    v01 = lattice[b] + z * (lattice[b + 1] - lattice[b])
    v10 = lattice[c] + z * (lattice[c + 1] - lattice[c])
    v11 = lattice[d] + z * (lattice[d + 1] - lattice[d])
    u0, u1 = v00 + y * (v01 - v00), v10 + y * (v11 - v10)
    return u0 + x * (u1 - u0)


@numba_kernel(inline="always")
def _at(lattice, res, ray, t):
    """The value at t on a ray (ox, oy, oz, dx, dy, dz)."""
    ox, oy, oz, dx, dy, dz = ray
    i, x = _cell(res, ox + t * dx)
    j, y = _cell(res, oy + t * dy)
    k, z = _cell(res, oz + t * dz)
    return _value(lattice, res, i, j, k, x, y, z)


@numba_kernel(parallel=True)
def _march_loop(first, last, lattice, res, kinds, origins, directions, steps, hit, out):
    """Of a block kinds says: 0 pass over, 1 look at, 2 look at and go no farther."""
    for n in range(first, last):
        ox, oy, oz = origins[n, 0], origins[n, 1], origins[n, 2]
        dx, dy, dz = directions[n, 0], directions[n, 1], directions[n, 2]
        half = ox * dx + oy * dy + oz * dz
        disc = half * half - (ox * ox + oy * oy + oz * oz) + _F1
        near, far = _F0, _F0
        if disc > _F0:
            near, far = max(-half - np.sqrt(disc), _F0), max(-half + np.sqrt(disc), _F0)
        step = (far - near) / np.float32(steps - 1)
        after, lowest, least = -1, -1, _F0
        if far > near:
            for k in range(steps):
                t = near + step * np.float32(k)
                i, x = _cell(res, ox + t * dx)
                j, y = _cell(res, oy + t * dy)
                h, z = _cell(res, oz + t * dz)
                kind = kinds[i >> _SHIFT, j >> _SHIFT, h >> _SHIFT]
                if kind == 0:
                    continue
                value = _value(lattice, res, i, j, h, x, y, z)
                if after < 0 and value < _F0:
                    after = k
                if lowest < 0 or value < least:
                    lowest, least = k, value
                if kind == 2:
                    break
        hit[n] = after >= 0
        if lowest < 0:  # beside the sphere, or far from the surface
            out[0, n] = out[2, n] = near
            out[1, n], out[3, n] = _LEAST_SLOPE, _F1
            continue
        ray = ox, oy, oz, dx, dy, dz
        lowest = min(max(lowest, 1), steps - 2)
        q0 = _at(lattice, res, ray, near + step * np.float32(lowest - 1))
        q1 = _at(lattice, res, ray, near + step * np.float32(lowest))
        q2 = _at(lattice, res, ray, near + step * np.float32(lowest + 1))
        offset = _HALF * (q0 - q2) / max(q0 - q1 - q1 + q2, _TINY)
        offset = min(max(offset, -_F1), _F1)
        after = max(after, 1)
        v0 = _at(lattice, res, ray, near + step * np.float32(after - 1))
        v1 = _at(lattice, res, ray, near + step * np.float32(after))
        out[2, n] = near + step * (np.float32(lowest) + offset)
        out[3, n] = q1 - _QUARTER * (q0 - q2) * offset
        out[0, n] = out[2, n]
        if hit[n]:
            root = min(max(v0 / max(v0 - v1, _TINY), _F0), _F1)
            out[0, n] = near + step * (np.float32(after - 1) + root)
        out[1, n] = min((v1 - v0) / max(step, _TINY), _LEAST_SLOPE)


def march(
    lattice: Tensor, resolution: int, origins: Tensor, directions: Tensor, steps: int,
    hit: Tensor, out: Tensor, reach: float, blocks: Blocks | None,
) -> None:  # fmt: skip
    """Fill `hit` (N,) and `out` (4, N): t, slope, t_closest, closest."""
    if blocks is None or not 0 <= reach <= 1:  # what is passed over is said to be 1 away
        kinds = np.ones((blocks_a_side(resolution),) * 3, np.uint8)
    else:
        near = ~(blocks.lowest >= reach)  # blocks that hold a NaN are looked at
        kinds = near.byte().add_(blocks.highest < -reach).numpy()
    _march_loop(
        len(origins), lattice.reshape(-1).numpy(), resolution, kinds, origins.numpy(),
        directions.numpy(), steps, hit.numpy(), out.numpy(),
    )  # fmt: skip
