"""Multi-resolution feature grids: trilinear features and their Jacobian in one pass.

    feature_l(x) = sum_c  w_c(x) table[index_l(c)]          c: the 8 corners of x's cell at level l
    d feature_l / dx = sum_c  grad w_c(x) table[index_l(c)]

Both are linear in the table, so one scatter serves the backward of both: an eikonal term on the
Jacobian needs no second pass through autograd. Levels whose lattice fits in their share of the
table are dense; finer ones are hashed (Mueller et al. 2022, Instant-NGP, section 3).
Points are in [-1, 1]^3 and are clamped to it; outside, the Jacobian is zero.

The kernels read w_c as three lerps: with t the corners' entries, f the place in the cell and
s = df/dx (0 outside),

    v = t_0 + f_z (t_1 - t_0)     u = v_0 + f_y (v_1 - v_0)     F = u_0 + f_x (u_1 - u_0)
    dF/dx = s_x (u_1 - u_0)     d2F/dxdy = s_x s_y ((v_11 - v_10) - (v_01 - v_00))     d2F/dx2 = 0

    table     transpose of the lerps: dL/dF and dL/d(dF/dx) go to the corners in one scatter
    points    dL/dx = dL/dF dF/dx + sum over the other two axes a of dL/d(dF/da) d2F/dxda

Least traffic a point and level with C channels of float32: 32 C bytes gathered, 16 C written
(4 C without the Jacobian), 12 for the point; the backward reads 16 C and adds to 32 C. The tables
fit in the second-level cache of a large GPU, so the gathers cost less than their bytes say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, Chosen, choose
from privhead_nb.kernels.lazy import numba_kernel, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

_PRIMES = (1, 2654435761, 805459861)
_F0, _F1, _HALF = np.float32(0), np.float32(1), np.float32(0.5)


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
    """The specification: see `encode_grid`. Differentiable as often as you like."""
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


def _levels(layout: GridLayout) -> list[list[int]]:
    """What the kernels know of a level: resolution, first entry, bits, hashed, strides x, y, z.

    A corner's entry is first + (x stride_x & bits) o (y stride_y & bits) o (z stride_z & bits),
    with o a sum on a dense level (and all bits kept) and xor on a hashed one.
    """
    rows, first = [], 0
    for res, size, hashed in zip(layout.resolutions, layout.sizes, layout.hashed, strict=True):
        strides = _PRIMES if hashed else (res * res, res, 1)
        rows.append([res, first, size - 1 if hashed else 2**31 - 1, int(hashed), *strides])
        first += size
    return rows


@lru_cache(maxsize=32)
def _level_array(layout: GridLayout) -> Any:
    return np.array(_levels(layout), np.int64)


@lru_cache(maxsize=32)
def _level_tensor(layout: GridLayout, device: torch.device) -> Tensor:
    return torch.tensor(_levels(layout), device=device)


# ---------------------------------------------------------------------------------------- Numba


@numba_kernel(forceinline=True)
def _along(x, res):  # type: ignore[no-untyped-def]
    """On one axis: the cell, the place in it, and the slope of that place."""
    scale = _HALF * np.float32(res - 1)
    clamped = min(max(x, -_F1), _F1)
    position = (clamped + _F1) * scale
    cell = max(min(int(position), res - 2), 0)  # max: a NaN must not become an address
    return cell, position - np.float32(cell), scale if x == clamped else _F0


@numba_kernel(forceinline=True)
def _cell(points, n, levels, level):  # type: ignore[no-untyped-def]
    """Entries of the 8 corners around a point (z fastest), its place in the cell, the slopes."""
    res, first, bits = levels[level, 0], levels[level, 1], levels[level, 2]
    stride_x, stride_y, stride_z = levels[level, 4], levels[level, 5], levels[level, 6]
    x, fx, sx = _along(points[n, 0], res)
    y, fy, sy = _along(points[n, 1], res)
    z, fz, sz = _along(points[n, 2], res)
    x0, y0, z0 = x * stride_x, y * stride_y, z * stride_z
    x1, y1, z1 = x0 + stride_x, y0 + stride_y, z0 + stride_z
    if levels[level, 3]:
        corners = (
            first + ((x0 ^ y0 ^ z0) & bits),
            first + ((x0 ^ y0 ^ z1) & bits),
            first + ((x0 ^ y1 ^ z0) & bits),
            first + ((x0 ^ y1 ^ z1) & bits),
            first + ((x1 ^ y0 ^ z0) & bits),
            first + ((x1 ^ y0 ^ z1) & bits),
            first + ((x1 ^ y1 ^ z0) & bits),
            first + ((x1 ^ y1 ^ z1) & bits),
        )
    else:
        corners = (
            first + (x0 + y0 + z0),
            first + (x0 + y0 + z1),
            first + (x0 + y1 + z0),
            first + (x0 + y1 + z1),
            first + (x1 + y0 + z0),
            first + (x1 + y0 + z1),
            first + (x1 + y1 + z0),
            first + (x1 + y1 + z1),
        )
    return corners, (fx, fy, fz), (sx, sy, sz)


@numba_kernel(forceinline=True)
def _trilinear(table, corners, place, c):  # type: ignore[no-untyped-def]
    """Channel c: value, derivatives along x, y, z, and mixed ones xy, xz, yz, in cells."""
    fx, fy, fz = place
    t000, t001 = table[corners[0], c], table[corners[1], c]
    t010, t011 = table[corners[2], c], table[corners[3], c]
    t100, t101 = table[corners[4], c], table[corners[5], c]
    t110, t111 = table[corners[6], c], table[corners[7], c]
    d00, d01, d10, d11 = t001 - t000, t011 - t010, t101 - t100, t111 - t110
    v00, v01, v10, v11 = t000 + fz * d00, t010 + fz * d01, t100 + fz * d10, t110 + fz * d11
    e0, e1 = v01 - v00, v11 - v10
    u0, u1 = v00 + fy * e0, v10 + fy * e1
    yz0, yz1 = d01 - d00, d11 - d10
    f0, f1 = d00 + fy * yz0, d10 + fy * yz1
    first = (u1 - u0, e0 + fx * (e1 - e0), f0 + fx * (f1 - f0))
    mixed = (e1 - e0, f1 - f0, yz0 + fx * (yz1 - yz0))
    return u0 + fx * (u1 - u0), first, mixed


@numba_kernel(parallel=True)
def _forward_loop(first, last, points, table, levels, channels, out, slope):  # type: ignore[no-untyped-def]
    """`channels` is a tuple: its length is known to the compiler, which unrolls the inner loop."""
    with_slope = len(slope) > 0
    for n in range(first, last):
        for level in range(len(levels)):
            corners, place, scale = _cell(points, n, levels, level)
            for c in range(len(channels)):
                feature = level * len(channels) + c
                value, d, _ = _trilinear(table, corners, place, c)
                out[n, feature] = value
                if with_slope:
                    slope[n, feature, 0] = scale[0] * d[0]
                    slope[n, feature, 1] = scale[1] * d[1]
                    slope[n, feature, 2] = scale[2] * d[2]


@numba_kernel(parallel=True)
def _table_loop(first, last, points, levels, order, channels, g_out, g_slope, g_table):  # type: ignore[no-untyped-def]
    # One thread owns a level, so no two threads write one entry: no atomics, and the sum's order,
    # hence the result, does not depend on the number of threads.
    with_out, with_slope = len(g_out) > 0, len(g_slope) > 0
    for job in range(first, last):
        level = order[job]
        for n in range(len(points)):
            corners, place, scale = _cell(points, n, levels, level)
            fx, fy, fz = place
            for c in range(len(channels)):
                feature = level * len(channels) + c
                g = gx = gy = gz = _F0
                if with_out:
                    g = g_out[n, feature]
                if with_slope:
                    gx = g_slope[n, feature, 0] * scale[0]
                    gy = g_slope[n, feature, 1] * scale[1]
                    gz = g_slope[n, feature, 2] * scale[2]
                # the transpose of `_trilinear`: x first, then y, then z
                u1 = gx + fx * g
                u0 = g - u1
                e0, e1 = (_F1 - fx) * gy, fx * gy
                f0, f1 = (_F1 - fx) * gz, fx * gz
                v01, v11 = fy * u0 + e0, fy * u1 + e1
                v00, v10 = u0 - v01, u1 - v11
                d00, d01 = fz * v00 + (_F1 - fy) * f0, fz * v01 + fy * f0
                d10, d11 = fz * v10 + (_F1 - fy) * f1, fz * v11 + fy * f1
                g_table[corners[0], c] += v00 - d00
                g_table[corners[1], c] += d00
                g_table[corners[2], c] += v01 - d01
                g_table[corners[3], c] += d01
                g_table[corners[4], c] += v10 - d10
                g_table[corners[5], c] += d10
                g_table[corners[6], c] += v11 - d11
                g_table[corners[7], c] += d11


@numba_kernel(parallel=True)
def _points_loop(  # type: ignore[no-untyped-def]
    first, last, points, table, levels, channels, g_out, g_slope, g_points
):  # fmt: skip
    with_out, with_slope = len(g_out) > 0, len(g_slope) > 0
    for n in range(first, last):
        sum_x = sum_y = sum_z = _F0
        for level in range(len(levels)):
            corners, place, scale = _cell(points, n, levels, level)
            sx, sy, sz = scale
            for c in range(len(channels)):
                feature = level * len(channels) + c
                _, d, mixed = _trilinear(table, corners, place, c)
                if with_out:
                    g = g_out[n, feature]
                    sum_x += sx * g * d[0]
                    sum_y += sy * g * d[1]
                    sum_z += sz * g * d[2]
                if with_slope:
                    gx = g_slope[n, feature, 0] * sx
                    gy = g_slope[n, feature, 1] * sy
                    gz = g_slope[n, feature, 2] * sz
                    sum_x += sx * (gy * mixed[0] + gz * mixed[1])
                    sum_y += sy * (gx * mixed[0] + gz * mixed[2])
                    sum_z += sz * (gx * mixed[1] + gy * mixed[2])
        g_points[n, 0], g_points[n, 1], g_points[n, 2] = sum_x, sum_y, sum_z


@lru_cache(maxsize=32)
def _job_order(levels: int) -> Any:
    """Fine levels miss the cache most: deal them out so that neighbouring jobs differ in cost."""
    return np.array([i // 2 if i % 2 == 0 else levels - 1 - i // 2 for i in range(levels)])


# --------------------------------------------------------------------------------------- Triton


@triton_kernel
def _along_block(p_points, p_level, rows, m_rows, AXIS: tl.constexpr):  # type: ignore[no-untyped-def]
    """On one axis: the lower and upper plane's part of the index, place in the cell, slope."""
    res, bits, stride = tl.load(p_level), tl.load(p_level + 2), tl.load(p_level + 4 + AXIS)
    x = tl.load(p_points + rows * 3 + AXIS, mask=m_rows, other=0.0)
    scale = 0.5 * (res - 1).to(tl.float32)
    clamped = tl.minimum(tl.maximum(x, -1.0), 1.0)
    position = (clamped + 1.0) * scale
    cell = tl.minimum(position.to(tl.int32).to(tl.int64), res - 2)
    cell = tl.maximum(cell, 0)  # a NaN must not become an address
    lower = ((cell * stride) & bits).to(tl.int32)
    upper = ((cell * stride + stride) & bits).to(tl.int32)
    place = position - cell.to(tl.float32)
    slope = tl.where(x == clamped, scale, 0.0)
    return lower, upper, place[:, None], slope[:, None]


@triton_kernel
def _entry(p_level, x, y, z, C: tl.constexpr):  # type: ignore[no-untyped-def]
    """Where the channels of a corner lie in the table, (BLOCK, C)."""
    first, hashed = tl.load(p_level + 1), tl.load(p_level + 3)
    entry = first + tl.where(hashed != 0, x ^ y ^ z, x + y + z)
    return entry[:, None] * C + tl.arange(0, C)[None, :]


@triton_kernel
def _cell_block(p_points, p_level, rows, m_rows, C: tl.constexpr):  # type: ignore[no-untyped-def]
    """Where the 8 corners around points lie (z fastest), the places in the cells, the slopes."""
    x0, x1, fx, sx = _along_block(p_points, p_level, rows, m_rows, 0)
    y0, y1, fy, sy = _along_block(p_points, p_level, rows, m_rows, 1)
    z0, z1, fz, sz = _along_block(p_points, p_level, rows, m_rows, 2)
    i000, i001 = _entry(p_level, x0, y0, z0, C), _entry(p_level, x0, y0, z1, C)
    i010, i011 = _entry(p_level, x0, y1, z0, C), _entry(p_level, x0, y1, z1, C)
    i100, i101 = _entry(p_level, x1, y0, z0, C), _entry(p_level, x1, y0, z1, C)
    i110, i111 = _entry(p_level, x1, y1, z0, C), _entry(p_level, x1, y1, z1, C)
    return i000, i001, i010, i011, i100, i101, i110, i111, fx, fy, fz, sx, sy, sz


@triton_kernel
def _trilinear_block(  # type: ignore[no-untyped-def]
    p_table, i000, i001, i010, i011, i100, i101, i110, i111, fx, fy, fz, m_rows
):  # fmt: skip
    """Value, derivatives along x, y, z, and mixed ones xy, xz, yz, in cells; (BLOCK, C) each."""
    m_tile = m_rows[:, None]
    t000 = tl.load(p_table + i000, mask=m_tile, other=0.0)
    t001 = tl.load(p_table + i001, mask=m_tile, other=0.0)
    t010 = tl.load(p_table + i010, mask=m_tile, other=0.0)
    t011 = tl.load(p_table + i011, mask=m_tile, other=0.0)
    t100 = tl.load(p_table + i100, mask=m_tile, other=0.0)
    t101 = tl.load(p_table + i101, mask=m_tile, other=0.0)
    t110 = tl.load(p_table + i110, mask=m_tile, other=0.0)
    t111 = tl.load(p_table + i111, mask=m_tile, other=0.0)
    d00, d01, d10, d11 = t001 - t000, t011 - t010, t101 - t100, t111 - t110
    v00, v01, v10, v11 = t000 + fz * d00, t010 + fz * d01, t100 + fz * d10, t110 + fz * d11
    e0, e1 = v01 - v00, v11 - v10
    u0, u1 = v00 + fy * e0, v10 + fy * e1
    yz0, yz1 = d01 - d00, d11 - d10
    f0, f1 = d00 + fy * yz0, d10 + fy * yz1
    value = u0 + fx * (u1 - u0)
    x, y, z = u1 - u0, e0 + fx * (e1 - e0), f0 + fx * (f1 - f0)
    return value, x, y, z, e1 - e0, f1 - f0, yz0 + fx * (yz1 - yz0)


@triton_kernel
def _where_slopes(rows, m_rows, level, LEVELS: tl.constexpr, C: tl.constexpr):  # type: ignore[no-untyped-def]
    """Where x, y, z of the Jacobian's channels lie, with a fourth that is masked; (BLOCK, 4 C).

    So a point's 12 C bytes are one run of the memory; axis by axis each would be touched 3 times.
    """
    lane = tl.arange(0, 4 * C)[None, :]
    at = rows[:, None] * (3 * LEVELS * C) + level * (3 * C) + lane // 4 * 3 + lane % 4
    return at, m_rows[:, None] & (lane % 4 < 3)


@triton_kernel
def _upstream_block(  # type: ignore[no-untyped-def]
    p_g_out, p_g_slope, rows, m_rows, level, sx, sy, sz, LEVELS: tl.constexpr, C: tl.constexpr,
    WITH_OUT: tl.constexpr, WITH_SLOPE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Upstream gradients of the value and, in cells, of its derivatives; zero where absent."""
    g = tl.zeros([BLOCK, C], tl.float32)
    gx = tl.zeros([BLOCK, C], tl.float32)
    gy = tl.zeros([BLOCK, C], tl.float32)
    gz = tl.zeros([BLOCK, C], tl.float32)
    if WITH_OUT:
        at = rows[:, None] * (LEVELS * C) + level * C + tl.arange(0, C)[None, :]
        g = tl.load(p_g_out + at, mask=m_rows[:, None], other=0.0)
    if WITH_SLOPE:
        at, m_at = _where_slopes(rows, m_rows, level, LEVELS, C)
        tile = tl.load(p_g_slope + at, mask=m_at, other=0.0)
        xz, yw = tl.split(tl.reshape(tile, [BLOCK, C, 2, 2]))
        x, z = tl.split(xz)
        y, _w = tl.split(yw)
        gx, gy, gz = sx * x, sy * y, sz * z
    return g, gx, gy, gz


@triton_kernel
def _forward_kernel(  # type: ignore[no-untyped-def]
    p_points, p_table, p_levels, p_out, p_slope, count,
    LEVELS: tl.constexpr, C: tl.constexpr, JACOBIAN: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A program: a block of points at one level. Programs that run together share a level."""
    rows = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    m_rows = rows < count
    level = tl.program_id(1)
    p_level = p_levels + level * 7
    i000, i001, i010, i011, i100, i101, i110, i111, fx, fy, fz, sx, sy, sz = _cell_block(
        p_points, p_level, rows, m_rows, C
    )
    value, x, y, z, _xy, _xz, _yz = _trilinear_block(
        p_table, i000, i001, i010, i011, i100, i101, i110, i111, fx, fy, fz, m_rows
    )
    at = rows[:, None] * (LEVELS * C) + level * C + tl.arange(0, C)[None, :]
    tl.store(p_out + at, value, mask=m_rows[:, None])
    if JACOBIAN:
        x, y, z = sx * x, sy * y, sz * z
        tile = tl.reshape(tl.join(tl.join(x, z), tl.join(y, z)), [BLOCK, 4 * C])  # x, y, z, z
        at, m_at = _where_slopes(rows, m_rows, level, LEVELS, C)
        tl.store(p_slope + at, tile, mask=m_at)


@triton_kernel
def _table_kernel(  # type: ignore[no-untyped-def]
    p_points, p_levels, p_g_out, p_g_slope, p_g_table, count,
    LEVELS: tl.constexpr, C: tl.constexpr, WITH_OUT: tl.constexpr, WITH_SLOPE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """The scatter: atomic, so the order of a sum, and its last bits, differ from run to run."""
    rows = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    m_rows = rows < count
    m_tile = m_rows[:, None]
    level = tl.program_id(1)
    p_level = p_levels + level * 7
    i000, i001, i010, i011, i100, i101, i110, i111, fx, fy, fz, sx, sy, sz = _cell_block(
        p_points, p_level, rows, m_rows, C
    )
    g, gx, gy, gz = _upstream_block(
        p_g_out, p_g_slope, rows, m_rows, level, sx, sy, sz, LEVELS, C, WITH_OUT, WITH_SLOPE, BLOCK
    )
    # the transpose of `_trilinear_block`: x first, then y, then z
    u1 = gx + fx * g
    u0 = g - u1
    e0, e1 = (1.0 - fx) * gy, fx * gy
    f0, f1 = (1.0 - fx) * gz, fx * gz
    v01, v11 = fy * u0 + e0, fy * u1 + e1
    v00, v10 = u0 - v01, u1 - v11
    d00, d01 = fz * v00 + (1.0 - fy) * f0, fz * v01 + fy * f0
    d10, d11 = fz * v10 + (1.0 - fy) * f1, fz * v11 + fy * f1
    tl.atomic_add(p_g_table + i000, v00 - d00, mask=m_tile, sem="relaxed")
    tl.atomic_add(p_g_table + i001, d00, mask=m_tile, sem="relaxed")
    tl.atomic_add(p_g_table + i010, v01 - d01, mask=m_tile, sem="relaxed")
    tl.atomic_add(p_g_table + i011, d01, mask=m_tile, sem="relaxed")
    tl.atomic_add(p_g_table + i100, v10 - d10, mask=m_tile, sem="relaxed")
    tl.atomic_add(p_g_table + i101, d10, mask=m_tile, sem="relaxed")
    tl.atomic_add(p_g_table + i110, v11 - d11, mask=m_tile, sem="relaxed")
    tl.atomic_add(p_g_table + i111, d11, mask=m_tile, sem="relaxed")


@triton_kernel
def _points_kernel(  # type: ignore[no-untyped-def]
    p_points, p_table, p_levels, p_g_out, p_g_slope, p_g_points, count,
    LEVELS: tl.constexpr, C: tl.constexpr, WITH_OUT: tl.constexpr, WITH_SLOPE: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """A program: all levels of a block of points, so that their sum needs no atomics."""
    rows = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    m_rows = rows < count
    sum_x = tl.zeros([BLOCK], tl.float32)
    sum_y = tl.zeros([BLOCK], tl.float32)
    sum_z = tl.zeros([BLOCK], tl.float32)
    for level in range(LEVELS):
        p_level = p_levels + level * 7
        i000, i001, i010, i011, i100, i101, i110, i111, fx, fy, fz, sx, sy, sz = _cell_block(
            p_points, p_level, rows, m_rows, C
        )
        _value, x, y, z, xy, xz, yz = _trilinear_block(
            p_table, i000, i001, i010, i011, i100, i101, i110, i111, fx, fy, fz, m_rows
        )
        g, gx, gy, gz = _upstream_block(
            p_g_out, p_g_slope, rows, m_rows, level, sx, sy, sz, LEVELS, C, WITH_OUT, WITH_SLOPE,
            BLOCK,
        )  # fmt: skip
        sum_x += tl.sum(sx * (g * x + gy * xy + gz * xz), axis=1)
        sum_y += tl.sum(sy * (g * y + gx * xy + gz * yz), axis=1)
        sum_z += tl.sum(sz * (g * z + gx * xz + gy * yz), axis=1)
    tl.store(p_g_points + rows * 3, sum_x, mask=m_rows)
    tl.store(p_g_points + rows * 3 + 1, sum_y, mask=m_rows)
    tl.store(p_g_points + rows * 3 + 2, sum_z, mask=m_rows)


_BLOCK = 128  # one point a thread, its channels in that thread's registers


# ------------------------------------------------------------------------------------ launchers


def _forward(
    chosen: Chosen, points: Tensor, table: Tensor, layout: GridLayout, jacobian: bool
) -> tuple[Tensor, Tensor]:
    """Features and Jacobian; the latter has no rows where it is not wanted."""
    count, C, levels = len(points), layout.channels, len(layout.resolutions)
    out = torch.empty(count, layout.features, device=points.device)
    slope = torch.empty(count if jacobian else 0, layout.features, 3, device=points.device)
    if chosen == "numba":
        _forward_loop(
            count, points.numpy(), table.numpy(), _level_array(layout), (0,) * C,
            out.numpy(), slope.numpy(),
        )  # fmt: skip
    elif count:
        with torch.cuda.device_of(points):
            _forward_kernel[(-(-count // _BLOCK), levels)](
                points, table, _level_tensor(layout, points.device), out, slope, count,
                LEVELS=levels, C=C, JACOBIAN=jacobian, BLOCK=_BLOCK, num_warps=4,
            )  # fmt: skip
    return out, slope


def _table_gradient(
    chosen: Chosen,
    points: Tensor,
    layout: GridLayout,
    g_out: Tensor,
    g_slope: Tensor,
    g_table: Tensor,
) -> None:
    """Add the gradient to the table to `g_table`; an upstream gradient not there has no rows."""
    count, C, levels = len(points), layout.channels, len(layout.resolutions)
    if chosen == "triton" and torch.are_deterministic_algorithms_enabled():
        g_table += _sorted_table_gradient(points, layout, g_out, g_slope)
    elif chosen == "numba":
        _table_loop(
            levels, points.numpy(), _level_array(layout), _job_order(levels), (0,) * C,
            g_out.numpy(), g_slope.numpy(), g_table.numpy(),
        )  # fmt: skip
    elif count:
        with torch.cuda.device_of(points):
            _table_kernel[(-(-count // _BLOCK), levels)](
                points, _level_tensor(layout, points.device), g_out, g_slope, g_table, count,
                LEVELS=levels, C=C, WITH_OUT=len(g_out) > 0, WITH_SLOPE=len(g_slope) > 0,
                BLOCK=_BLOCK, num_warps=4,
            )  # fmt: skip


def _sorted_table_gradient(
    points: Tensor, layout: GridLayout, g_out: Tensor, g_slope: Tensor
) -> Tensor:
    """The same sums in an order that repeats, slower.

    The outputs are linear in the table, so the reference's backward at any table will do: it is
    torch's `index_put(accumulate=True)`, which sorts the entries and adds up their segments.
    """
    table = torch.zeros(layout.entries, layout.channels, device=points.device, requires_grad=True)
    with torch.enable_grad():
        outputs = encode_grid_reference(points, table, layout, jacobian=len(g_slope) > 0)
    upstream = zip(outputs, (g_out, g_slope), strict=True)
    pairs = [(o, g) for o, g in upstream if o is not None and len(g)]
    if not pairs:
        return table.detach()
    return torch.autograd.grad([o for o, _ in pairs], table, [g for _, g in pairs])[0]


def _points_gradient(
    chosen: Chosen,
    points: Tensor,
    table: Tensor,
    layout: GridLayout,
    g_out: Tensor,
    g_slope: Tensor,
) -> Tensor:
    """Gradient to the points; an upstream gradient that is not there has no rows."""
    count, C, levels = len(points), layout.channels, len(layout.resolutions)
    g_points = torch.empty_like(points)
    if chosen == "numba":
        _points_loop(
            count, points.numpy(), table.numpy(), _level_array(layout), (0,) * C,
            g_out.numpy(), g_slope.numpy(), g_points.numpy(),
        )  # fmt: skip
    elif count:
        with torch.cuda.device_of(points):
            _points_kernel[(-(-count // _BLOCK),)](
                points, table, _level_tensor(layout, points.device), g_out, g_slope, g_points,
                count, LEVELS=levels, C=C, WITH_OUT=len(g_out) > 0, WITH_SLOPE=len(g_slope) > 0,
                BLOCK=_BLOCK, num_warps=4,
            )  # fmt: skip
    return g_points


class _Encode(torch.autograd.Function):
    """Saves its inputs, and nothing a point and level: the backward finds the corners again."""

    @staticmethod
    def forward(
        ctx: Any,
        points: Tensor,
        table: Tensor,
        layout: GridLayout,
        jacobian: bool,
        chosen: Chosen,
        into: Tensor | None,
    ) -> Any:
        points, table = points.detach().contiguous(), table.detach().contiguous()
        out, slope = _forward(chosen, points, table, layout, jacobian)
        ctx.save_for_backward(points, *([table] if ctx.needs_input_grad[0] else []))
        ctx.set_materialize_grads(False)
        ctx.layout, ctx.chosen, ctx.into = layout, chosen, into
        return (out, slope) if jacobian else (out,)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_out: Tensor | None, g_slope: Tensor | None = None) -> Any:
        points, *table = ctx.saved_tensors
        layout, chosen = ctx.layout, ctx.chosen
        none = points.new_empty(0, layout.features, 3)
        g_out = none[..., 0] if g_out is None else g_out.contiguous()
        g_slope = none if g_slope is None else g_slope.contiguous()
        g_points = g_table = None
        if ctx.needs_input_grad[0]:
            g_points = _points_gradient(chosen, points, table[0], layout, g_out, g_slope)
        if ctx.needs_input_grad[1]:
            g_table = ctx.into
            if g_table is None:
                g_table = torch.zeros(layout.entries, layout.channels, device=points.device)
            _table_gradient(chosen, points, layout, g_out, g_slope, g_table)
        return g_points, g_table if ctx.into is None else None, None, None, None, None


def encode_grid(
    points: Tensor,
    table: Tensor,
    layout: GridLayout,
    *,
    jacobian: bool = True,
    into: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor | None]:
    """Features of points, and their Jacobian.

    Both outputs have gradients to the table and, where `points` requires them, to the points: with
    a loss on the Jacobian that is the second order of the features. The kernels stop there; to
    differentiate their gradients once more raises torch's error, backend="torch" allows it.

    On a GPU the table's gradient is summed by atomics, so its last bits vary from run to run;
    under `torch.use_deterministic_algorithms(True)` a slower sorted sum repeats bit for bit.

    Args:
        points: (N, 3) in [-1, 1]; those outside are clamped, and get no gradient along that axis.
        table: (layout.entries, layout.channels), of the points' dtype and device.
        layout: the levels.
        jacobian: also return d features / d points.
        into: a contiguous buffer like the table, which the kernels' backward adds the table's
            gradient to instead of returning one: a table of megabytes that is asked several times
            a step is cleared and summed once. Pass `table.grad` (the reference takes no notice:
            autograd adds to it anyway).
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel (1, 2, 4
            or 8 channels), "auto" the fastest that can run.

    Returns:
        features (N, layout.features) and the Jacobian (N, layout.features, 3) or None.

    Raises:
        ValueError: shapes, dtypes or devices that do not fit, or a forced backend that can't run.

    Source:
        Mueller et al. 2022, Instant Neural Graphics Primitives, section 3.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points must be (N, 3), got {tuple(points.shape)}")
    if tuple(table.shape) != (layout.entries, layout.channels):
        raise ValueError(
            f"table must be {(layout.entries, layout.channels)}, got {tuple(table.shape)}"
        )
    if points.dtype != table.dtype or points.device != table.device:
        raise ValueError(
            f"points are {points.dtype} on {points.device}, the table {table.dtype} on "
            f"{table.device}; both must be the same"
        )
    unfit = {}
    if layout.channels not in (1, 2, 4, 8):
        unfit["triton"] = f"it takes 1, 2, 4 or 8 channels, the layout has {layout.channels}"
    chosen = choose("grid_encoding", backend, table, unfit=unfit)
    if chosen == "torch":
        return encode_grid_reference(points, table, layout, jacobian)
    if into is not None and (into.shape != table.shape or not into.is_contiguous()):
        raise ValueError("`into` must be contiguous and shaped like the table")
    features, *slope = _Encode.apply(points, table, layout, jacobian, chosen, into)
    return features, slope[0] if jacobian else None
