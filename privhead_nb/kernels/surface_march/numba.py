"""The march on the CPU: one ray after the other."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from torch import Tensor

from privhead_nb.kernels.lazy import numba_kernel

_F0, _F1, _TINY = np.float32(0), np.float32(1), np.float32(1e-9)
_HALF, _QUARTER, _LEAST_SLOPE = np.float32(0.5), np.float32(0.25), np.float32(-0.1)


@numba_kernel(inline="always")
def _lookup(lattice, res, x, y, z):
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
def _march_loop(first, last, lattice, res, origins, directions, steps, hit, out):
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


def march(
    lattice: Tensor, resolution: int, origins: Tensor, directions: Tensor, steps: int,
    hit: Tensor, out: Tensor,
) -> None:  # fmt: skip
    """Fill `hit` (N,) and `out` (4, N): t, slope, t_closest, closest."""
    _march_loop(
        len(origins), lattice.reshape(-1).numpy(), resolution, origins.numpy(),
        directions.numpy(), steps, hit.numpy(), out.numpy(),
    )  # fmt: skip
