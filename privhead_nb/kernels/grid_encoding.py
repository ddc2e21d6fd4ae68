"""Multi-resolution feature grids: trilinear features and their Jacobian in one pass.

    feature_l(x) = sum_c  w_c(x) table[index_l(c)]          c: the 8 corners of x's cell at level l
    d feature_l / dx = sum_c  grad w_c(x) table[index_l(c)]

Both are linear in the table, so one scatter serves the backward of both: an eikonal term on the
Jacobian needs no second pass through autograd. Levels whose lattice fits in their share of the
table are dense; finer ones are hashed (Mueller et al. 2022, Instant-NGP, section 3).
Points are in [-1, 1]^3 and are clamped to it; outside, the Jacobian is zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, choose

_PRIMES = (1, 2654435761, 805459861)


@dataclass(frozen=True)
class GridLayout:
    """Where each level lies in the table.

    Args:
        resolutions: lattice points per axis, one number a level.
        channels: features per lattice point.
        max_entries: a level with more lattice points than this is hashed into a table of the next
            power of two at or below it.
    """

    resolutions: tuple[int, ...]
    channels: int = 4
    max_entries: int = 2**20

    def __post_init__(self) -> None:
        if not self.resolutions or min(self.resolutions) < 2:
            raise ValueError(f"resolutions must be at least 2 each, got {self.resolutions}")
        if self.channels < 1 or self.max_entries < 8:
            raise ValueError(f"channels {self.channels} / max_entries {self.max_entries} too small")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Entries of each level."""
        hashed = 2 ** int(math.log2(self.max_entries))
        return tuple(r**3 if r**3 <= self.max_entries else hashed for r in self.resolutions)

    @property
    def hashed(self) -> tuple[bool, ...]:
        """Which levels are hashed."""
        return tuple(r**3 > self.max_entries for r in self.resolutions)

    @property
    def entries(self) -> int:
        """Entries of the whole table."""
        return sum(self.sizes)

    @property
    def features(self) -> int:
        """Numbers that a point is encoded to."""
        return len(self.resolutions) * self.channels


def _corner_index(layout: GridLayout, level: int, corner: Tensor) -> Tensor:
    """Table index of lattice points `corner` (..., 3) int64 at `level`."""
    res, size = layout.resolutions[level], layout.sizes[level]
    offset = sum(layout.sizes[:level])
    x, y, z = corner.unbind(-1)
    if layout.hashed[level]:
        mixed = (x * _PRIMES[0]) ^ (y * _PRIMES[1]) ^ (z * _PRIMES[2])
        return offset + (mixed & (size - 1))
    return offset + (x * res + y) * res + z


def encode_grid_reference(
    points: Tensor, table: Tensor, layout: GridLayout, jacobian: bool = True
) -> tuple[Tensor, Tensor | None]:
    """The specification: see `encode_grid`. Differentiable in `table` as often as you like."""
    features, slopes = [], []
    inside = ((points >= -1) & (points <= 1)).to(points.dtype)
    for level, res in enumerate(layout.resolutions):
        scale = (res - 1) / 2
        position = (points.clamp(-1, 1) + 1) * scale
        cell = position.detach().floor().clamp(0, res - 2)
        fraction = position - cell
        cell = cell.long()
        value: Tensor | float = 0.0
        slope: Tensor | float = 0.0
        for bits in range(8):
            bit = torch.tensor([bits >> 2 & 1, bits >> 1 & 1, bits & 1], device=points.device)
            entry = table[_corner_index(layout, level, cell + bit)]
            weight = torch.where(bit.bool(), fraction, 1 - fraction)
            value = value + weight.prod(-1, keepdim=True) * entry
            if jacobian:
                sign = (2.0 * bit - 1.0).to(points.dtype)
                others = torch.stack(
                    [
                        weight[:, 1] * weight[:, 2],
                        weight[:, 0] * weight[:, 2],
                        weight[:, 0] * weight[:, 1],
                    ],
                    -1,
                )
                slope = slope + (sign * others * scale * inside)[:, None, :] * entry[:, :, None]
        features.append(value)
        slopes.append(slope)
    out = torch.cat(features, -1)  # type: ignore[arg-type]
    return out, torch.cat(slopes, 1) if jacobian else None  # type: ignore[arg-type]


@lru_cache(maxsize=1)
def _numba_kernels() -> tuple[Any, Any]:
    """Compile (once a machine, then cached) the forward and the backward loop."""
    import numba as nb
    import numpy as np

    p1, p2 = np.int64(_PRIMES[1]), np.int64(_PRIMES[2])

    @nb.njit(inline="always")
    def corner(hashed, offset, size, res, x, y, z):  # type: ignore[no-untyped-def]
        if hashed:
            return offset + ((x ^ (y * p1) ^ (z * p2)) & (size - 1))
        return offset + (x * res + y) * res + z

    @nb.njit(inline="always")
    def locate(coordinate, res):  # type: ignore[no-untyped-def]
        scale = np.float32(0.5) * np.float32(res - 1)
        clamped = min(max(coordinate, np.float32(-1.0)), np.float32(1.0))
        position = (clamped + np.float32(1.0)) * scale
        cell = min(np.int64(position), res - 2)
        inside = np.float32(1.0) if coordinate == clamped else np.float32(0.0)
        return cell, position - np.float32(cell), scale * inside

    @nb.njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
    def forward(points, table, res, offset, size, hashed, out, slope):  # type: ignore[no-untyped-def]
        count, levels, channels = points.shape[0], res.shape[0], table.shape[1]
        with_slope = slope.shape[0] > 0
        for n in nb.prange(count):
            for level in range(levels):
                r, o, s, h = res[level], offset[level], size[level], hashed[level]
                x, fx, sx = locate(points[n, 0], r)
                y, fy, sy = locate(points[n, 1], r)
                z, fz, sz = locate(points[n, 2], r)
                a000 = corner(h, o, s, r, x, y, z)
                a001 = corner(h, o, s, r, x, y, z + 1)
                a010 = corner(h, o, s, r, x, y + 1, z)
                a011 = corner(h, o, s, r, x, y + 1, z + 1)
                a100 = corner(h, o, s, r, x + 1, y, z)
                a101 = corner(h, o, s, r, x + 1, y, z + 1)
                a110 = corner(h, o, s, r, x + 1, y + 1, z)
                a111 = corner(h, o, s, r, x + 1, y + 1, z + 1)
                base = level * channels
                for c in range(channels):
                    t000, t001 = table[a000, c], table[a001, c]
                    t010, t011 = table[a010, c], table[a011, c]
                    t100, t101 = table[a100, c], table[a101, c]
                    t110, t111 = table[a110, c], table[a111, c]
                    d00, d01, d10, d11 = t001 - t000, t011 - t010, t101 - t100, t111 - t110
                    v00, v01 = t000 + fz * d00, t010 + fz * d01
                    v10, v11 = t100 + fz * d10, t110 + fz * d11
                    e0, e1 = v01 - v00, v11 - v10
                    u0, u1 = v00 + fy * e0, v10 + fy * e1
                    out[n, base + c] = u0 + fx * (u1 - u0)
                    if with_slope:
                        f0, f1 = d00 + fy * (d01 - d00), d10 + fy * (d11 - d10)
                        slope[n, base + c, 0] = sx * (u1 - u0)
                        slope[n, base + c, 1] = sy * (e0 + fx * (e1 - e0))
                        slope[n, base + c, 2] = sz * (f0 + fx * (f1 - f0))

    @nb.njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
    def backward(points, order, res, offset, size, hashed, g_out, g_slope, g_table):  # type: ignore[no-untyped-def]
        # One thread owns a level, so no two threads write one entry: no atomics, and the sum's
        # order, hence the result, does not depend on the number of threads.
        count, levels, channels = points.shape[0], res.shape[0], g_table.shape[1]
        with_slope = g_slope.shape[0] > 0
        one, zero = np.float32(1.0), np.float32(0.0)
        for job in nb.prange(levels):
            level = order[job]
            r, o, s, h = res[level], offset[level], size[level], hashed[level]
            base = level * channels
            for n in range(count):
                x, fx, sx = locate(points[n, 0], r)
                y, fy, sy = locate(points[n, 1], r)
                z, fz, sz = locate(points[n, 2], r)
                a000 = corner(h, o, s, r, x, y, z)
                a001 = corner(h, o, s, r, x, y, z + 1)
                a010 = corner(h, o, s, r, x, y + 1, z)
                a011 = corner(h, o, s, r, x, y + 1, z + 1)
                a100 = corner(h, o, s, r, x + 1, y, z)
                a101 = corner(h, o, s, r, x + 1, y, z + 1)
                a110 = corner(h, o, s, r, x + 1, y + 1, z)
                a111 = corner(h, o, s, r, x + 1, y + 1, z + 1)
                for c in range(channels):
                    g = g_out[n, base + c]
                    gx = gy = gz = zero
                    if with_slope:
                        gx = g_slope[n, base + c, 0] * sx
                        gy = g_slope[n, base + c, 1] * sy
                        gz = g_slope[n, base + c, 2] * sz
                    # the transpose of the forward's chain of lerps, x first, then y, then z
                    du = gx + fx * g
                    u0, u1 = g - du, du
                    e0, e1 = (one - fx) * gy, fx * gy
                    f0, f1 = (one - fx) * gz, fx * gz
                    q01, q11 = fy * u0 + e0, fy * u1 + e1
                    q00, q10 = u0 - q01, u1 - q11
                    d00, d01 = fz * q00 + (one - fy) * f0, fz * q01 + fy * f0
                    d10, d11 = fz * q10 + (one - fy) * f1, fz * q11 + fy * f1
                    g_table[a000, c] += q00 - d00
                    g_table[a001, c] += d00
                    g_table[a010, c] += q01 - d01
                    g_table[a011, c] += d01
                    g_table[a100, c] += q10 - d10
                    g_table[a101, c] += d10
                    g_table[a110, c] += q11 - d11
                    g_table[a111, c] += d11

    return forward, backward


@lru_cache(maxsize=16)
def _layout_arrays(layout: GridLayout) -> tuple[Any, ...]:
    import numpy as np

    offsets = np.cumsum((0, *layout.sizes[:-1]))
    count = len(layout.resolutions)
    # Fine levels miss the cache most: deal them out so that neighbouring jobs differ in cost.
    order = [i // 2 if i % 2 == 0 else count - 1 - i // 2 for i in range(count)]
    return (
        np.array(layout.resolutions, np.int64),
        offsets.astype(np.int64),
        np.array(layout.sizes, np.int64),
        np.array(layout.hashed, np.bool_),
        np.array(order, np.int64),
    )


class _NumbaEncode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, layout: GridLayout, jacobian: bool) -> Any:
        run, _ = _numba_kernels()
        res, offset, size, hashed, _ = _layout_arrays(layout)
        points = points.detach().contiguous()
        out = torch.empty(len(points), layout.features)
        slope = torch.empty(len(points) if jacobian else 0, layout.features, 3)
        run(
            points.numpy(),
            table.detach().contiguous().numpy(),
            res,
            offset,
            size,
            hashed,
            out.numpy(),
            slope.numpy(),
        )
        ctx.save_for_backward(points)
        ctx.layout, ctx.jacobian, ctx.shape = layout, jacobian, table.shape
        return (out, slope) if jacobian else out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> Any:
        _, run = _numba_kernels()
        res, offset, size, hashed, order = _layout_arrays(ctx.layout)
        (points,) = ctx.saved_tensors
        g_table = torch.zeros(ctx.shape)
        g_slope = grads[1].contiguous() if ctx.jacobian else torch.empty(0, 1, 3)
        run(
            points.numpy(),
            order,
            res,
            offset,
            size,
            hashed,
            grads[0].contiguous().numpy(),
            g_slope.numpy(),
            g_table.numpy(),
        )
        return None, g_table, None, None


def encode_grid(
    points: Tensor,
    table: Tensor,
    layout: GridLayout,
    *,
    jacobian: bool = True,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor | None]:
    """Features of points, and their Jacobian.

    Args:
        points: (N, 3) in [-1, 1]; no gradient flows to them (use the Jacobian).
        table: (layout.entries, layout.channels).
        layout: the levels.
        jacobian: also return d features / d points.
        backend: "torch" is the reference, "numba" the CPU loop, "auto" the faster that can run.

    Returns:
        features (N, layout.features) and the Jacobian (N, layout.features, 3) or None.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run here.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points must be (N, 3), got {tuple(points.shape)}")
    if tuple(table.shape) != (layout.entries, layout.channels):
        raise ValueError(
            f"table must be {(layout.entries, layout.channels)}, got {tuple(table.shape)}"
        )
    if choose("grid_encoding", backend, table) == "torch":
        return encode_grid_reference(points, table, layout, jacobian)
    result = _NumbaEncode.apply(points, table, layout, jacobian)
    return result if jacobian else (result, None)
