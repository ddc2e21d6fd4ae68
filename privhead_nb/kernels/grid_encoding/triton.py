"""The grid encoding on a GPU: a program is a block of points at one level.

On a GPU the table's gradient is a scatter by atomics; under
`torch.use_deterministic_algorithms(True)` a slower, sorted sum repeats bit for bit.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, no_type_check

import torch
from torch import Tensor

from privhead_nb.kernels.grid_encoding.naive import (
    GridLayout,
    encode_grid_reference,
    levels_of,
)
from privhead_nb.kernels.lazy import triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

_BLOCK = 128  # one point a thread, its channels in that thread's registers


@triton_kernel
def _position_block(p_points, p_level, rows, m_rows, AXIS: tl.constexpr):
    """On one axis: points in cells, clamped to the lattice, and cells per unit, 0 outside."""
    x = tl.load(p_points + rows * 3 + AXIS, mask=m_rows, other=0.0)
    scale = 0.5 * (tl.load(p_level) - 1).to(tl.float32)
    clamped = tl.minimum(tl.maximum(x, -1.0), 1.0)
    return (clamped + 1.0) * scale, tl.where(x == clamped, scale, 0.0)[:, None]


@triton_kernel
def _along_block(p_points, p_level, rows, m_rows, AXIS: tl.constexpr):
    """On one axis: the lower and upper plane's part of the index, place in the cell, slope."""
    res, bits, stride = tl.load(p_level), tl.load(p_level + 2), tl.load(p_level + 4 + AXIS)
    position, slope = _position_block(p_points, p_level, rows, m_rows, AXIS)
    cell = tl.minimum(position.to(tl.int32).to(tl.int64), res - 2)
    cell = tl.maximum(cell, 0)  # a NaN must not become an address
    lower = ((cell * stride) & bits).to(tl.int32)
    upper = ((cell * stride + stride) & bits).to(tl.int32)
    place = position - cell.to(tl.float32)
    return lower, upper, place[:, None], slope


@triton_kernel
def _entry(p_level, x, y, z, C: tl.constexpr):
    """Where the channels of a corner lie in the table, (BLOCK, C)."""
    first, hashed = tl.load(p_level + 1), tl.load(p_level + 3)
    entry = first + tl.where(hashed != 0, x ^ y ^ z, x + y + z)
    return entry[:, None] * C + tl.arange(0, C)[None, :]


@triton_kernel
def _cell_block(p_points, p_level, rows, m_rows, C: tl.constexpr):
    """Where the 8 corners around points lie (z fastest), the places in the cells, the slopes."""
    x0, x1, fx, sx = _along_block(p_points, p_level, rows, m_rows, 0)
    y0, y1, fy, sy = _along_block(p_points, p_level, rows, m_rows, 1)
    z0, z1, fz, sz = _along_block(p_points, p_level, rows, m_rows, 2)
    corners = (
        _entry(p_level, x0, y0, z0, C),
        _entry(p_level, x0, y0, z1, C),
        _entry(p_level, x0, y1, z0, C),
        _entry(p_level, x0, y1, z1, C),
        _entry(p_level, x1, y0, z0, C),
        _entry(p_level, x1, y0, z1, C),
        _entry(p_level, x1, y1, z0, C),
        _entry(p_level, x1, y1, z1, C),
    )
    return corners, (fx, fy, fz), (sx, sy, sz)


@triton_kernel
@no_type_check
def _trilinear_block(p_table, corners, place, m_rows):
    """Value, and derivatives along x, y, z in cells; (BLOCK, C) each."""
    t = ()
    for k in tl.static_range(8):
        t = t + (tl.load(p_table + corners[k], mask=m_rows[:, None], other=0.0),)
    fx, fy, fz = place
    d00, d01, d10, d11 = t[1] - t[0], t[3] - t[2], t[5] - t[4], t[7] - t[6]
    v00, v01, v10, v11 = t[0] + fz * d00, t[2] + fz * d01, t[4] + fz * d10, t[6] + fz * d11
    e0, e1 = v01 - v00, v11 - v10
    u0, u1 = v00 + fy * e0, v10 + fy * e1
    f0, f1 = d00 + fy * (d01 - d00), d10 + fy * (d11 - d10)
    return u0 + fx * (u1 - u0), u1 - u0, e0 + fx * (e1 - e0), f0 + fx * (f1 - f0)


@triton_kernel
def _splines_block(p_points, p_level, rows, m_rows, AXIS: tl.constexpr):
    """Degree 2, on one axis: three planes' parts of the index, their weights and slopes."""
    res, bits, stride = tl.load(p_level), tl.load(p_level + 2), tl.load(p_level + 4 + AXIS)
    position, s = _position_block(p_points, p_level, rows, m_rows, AXIS)
    middle = tl.minimum((position + 0.5).to(tl.int32).to(tl.int64), res - 2)
    middle = tl.maximum(middle, 1)  # a NaN must not become an address
    t = (position - middle.to(tl.float32))[:, None]
    first, below, above = (middle - 1) * stride, 0.5 - t, 0.5 + t
    parts = (
        (first & bits).to(tl.int32),
        ((first + stride) & bits).to(tl.int32),
        ((first + 2 * stride) & bits).to(tl.int32),
    )
    weights = (0.5 * below * below, 0.75 - t * t, 0.5 * above * above)
    return parts, weights, (-s * below, -2.0 * s * t, s * above)


@triton_kernel
def _quadratic_block(
    p_points, p_table, p_level, rows, m_rows, C: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """Degree 2: value, and derivatives along x, y, z; (BLOCK, C) each."""
    px, wx, dx = _splines_block(p_points, p_level, rows, m_rows, 0)
    py, wy, dy = _splines_block(p_points, p_level, rows, m_rows, 1)
    pz, wz, dz = _splines_block(p_points, p_level, rows, m_rows, 2)
    value = tl.zeros([BLOCK, C], tl.float32)
    x = tl.zeros([BLOCK, C], tl.float32)
    y = tl.zeros([BLOCK, C], tl.float32)
    z = tl.zeros([BLOCK, C], tl.float32)
    for i in tl.static_range(3):
        for j in tl.static_range(3):
            v = tl.zeros([BLOCK, C], tl.float32)
            u = tl.zeros([BLOCK, C], tl.float32)
            for k in tl.static_range(3):
                entry = _entry(p_level, px[i], py[j], pz[k], C)
                t = tl.load(p_table + entry, mask=m_rows[:, None], other=0.0)
                v += wz[k] * t
                u += dz[k] * t
            value += wx[i] * wy[j] * v
            x += dx[i] * wy[j] * v
            y += wx[i] * dy[j] * v
            z += wx[i] * wy[j] * u
    return value, x, y, z


@triton_kernel
def _scatter_quadratic(
    p_points, p_level, p_g_table, rows, m_rows, upstream, C: tl.constexpr
):  # fmt: skip
    """The transpose of `_quadratic_block`: x first, then y, then z."""
    px, wx, dx = _splines_block(p_points, p_level, rows, m_rows, 0)
    py, wy, dy = _splines_block(p_points, p_level, rows, m_rows, 1)
    pz, wz, dz = _splines_block(p_points, p_level, rows, m_rows, 2)
    g, gx, gy, gz = upstream
    for i in tl.static_range(3):
        for j in tl.static_range(3):
            v = wy[j] * (wx[i] * g + dx[i] * gx) + dy[j] * wx[i] * gy
            u = wy[j] * wx[i] * gz
            for k in tl.static_range(3):
                entry = _entry(p_level, px[i], py[j], pz[k], C)
                piece = wz[k] * v + dz[k] * u
                tl.atomic_add(p_g_table + entry, piece, mask=m_rows[:, None], sem="relaxed")


@triton_kernel
def _where_slopes(rows, m_rows, level, LEVELS: tl.constexpr, C: tl.constexpr):
    """Where x, y, z of the Jacobian's channels lie, with a fourth that is masked; (BLOCK, 4 C).

    So a point's 12 C bytes are one run of the memory; axis by axis each would be touched 3 times.
    """
    lane = tl.arange(0, 4 * C)[None, :]
    at = rows[:, None] * (3 * LEVELS * C) + level * (3 * C) + lane // 4 * 3 + lane % 4
    return at, m_rows[:, None] & (lane % 4 < 3)


@triton_kernel
def _upstream_block(
    p_g_out, p_g_slope, rows, m_rows, level, slope, LEVELS: tl.constexpr, C: tl.constexpr,
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
        gx, gy, gz = slope[0] * x, slope[1] * y, slope[2] * z
    return g, gx, gy, gz


@triton_kernel
def _forward_kernel(
    p_points, p_table, p_levels, p_out, p_slope, count,
    LEVELS: tl.constexpr, C: tl.constexpr, DEGREE: tl.constexpr, JACOBIAN: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """A program: a block of points at one level. Programs that run together share a level."""
    rows = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    m_rows = rows < count
    level = tl.program_id(1)
    p_level = p_levels + level * 7
    if DEGREE == 1:
        corners, place, slope = _cell_block(p_points, p_level, rows, m_rows, C)
        value, x, y, z = _trilinear_block(p_table, corners, place, m_rows)
        x, y, z = slope[0] * x, slope[1] * y, slope[2] * z
    else:
        value, x, y, z = _quadratic_block(p_points, p_table, p_level, rows, m_rows, C, BLOCK)
    at = rows[:, None] * (LEVELS * C) + level * C + tl.arange(0, C)[None, :]
    tl.store(p_out + at, value, mask=m_rows[:, None])
    if JACOBIAN:
        tile = tl.reshape(tl.join(tl.join(x, z), tl.join(y, z)), [BLOCK, 4 * C])  # x, y, z, z
        at, m_at = _where_slopes(rows, m_rows, level, LEVELS, C)
        tl.store(p_slope + at, tile, mask=m_at)


@triton_kernel
def _table_kernel(
    p_points, p_levels, p_g_out, p_g_slope, p_g_table, count,
    LEVELS: tl.constexpr, C: tl.constexpr, DEGREE: tl.constexpr, WITH_OUT: tl.constexpr,
    WITH_SLOPE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The scatter: atomic, so the order of a sum, and its last bits, differ from run to run."""
    rows = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)
    m_rows = rows < count
    level = tl.program_id(1)
    p_level = p_levels + level * 7
    if DEGREE == 1:
        corners, place, slope = _cell_block(p_points, p_level, rows, m_rows, C)
        g, gx, gy, gz = _upstream_block(
            p_g_out, p_g_slope, rows, m_rows, level, slope, LEVELS, C, WITH_OUT, WITH_SLOPE, BLOCK
        )
        fx, fy, fz = place
        # the transpose of `_trilinear_block`: x first, then y, then z
        u1 = gx + fx * g
        u0 = g - u1
        e0, e1 = (1.0 - fx) * gy, fx * gy
        f0, f1 = (1.0 - fx) * gz, fx * gz
        v01, v11 = fy * u0 + e0, fy * u1 + e1
        v00, v10 = u0 - v01, u1 - v11
        d00, d01 = fz * v00 + (1.0 - fy) * f0, fz * v01 + fy * f0
        d10, d11 = fz * v10 + (1.0 - fy) * f1, fz * v11 + fy * f1
        pieces = (v00 - d00, d00, v01 - d01, d01, v10 - d10, d10, v11 - d11, d11)
        for k in tl.static_range(8):
            tl.atomic_add(p_g_table + corners[k], pieces[k], mask=m_rows[:, None], sem="relaxed")
    else:
        upstream = _upstream_block(
            p_g_out, p_g_slope, rows, m_rows, level, (1.0, 1.0, 1.0), LEVELS, C, WITH_OUT,
            WITH_SLOPE, BLOCK,
        )  # fmt: skip
        _scatter_quadratic(p_points, p_level, p_g_table, rows, m_rows, upstream, C)


@lru_cache(maxsize=32)
def _level_tensor(layout: GridLayout, device: torch.device) -> Tensor:
    return torch.tensor(levels_of(layout), device=device)


def forward(points: Tensor, table: Tensor, layout: GridLayout, out: Tensor, slope: Tensor) -> None:
    """Fill the features and, where it has rows, the Jacobian."""
    count, levels = len(points), len(layout.resolutions)
    _forward_kernel.launch(
        points, (-(-count // _BLOCK), levels), points, table, _level_tensor(layout, points.device),
        out, slope, count, LEVELS=levels, C=layout.channels, DEGREE=layout.degree,
        JACOBIAN=len(slope) > 0, BLOCK=_BLOCK,
        num_warps=4,
    )  # fmt: skip


def table_gradient(
    points: Tensor, layout: GridLayout, g_out: Tensor, g_slope: Tensor, g_table: Tensor
) -> None:
    """Add the gradient to the table to `g_table`; an upstream gradient not there has no rows."""
    if torch.are_deterministic_algorithms_enabled():
        g_table += _sorted_table_gradient(points, layout, g_out, g_slope)
        return
    count, levels = len(points), len(layout.resolutions)
    _table_kernel.launch(
        points, (-(-count // _BLOCK), levels), points, _level_tensor(layout, points.device), g_out,
        g_slope, g_table, count, LEVELS=levels, C=layout.channels, DEGREE=layout.degree,
        WITH_OUT=len(g_out) > 0,
        WITH_SLOPE=len(g_slope) > 0, BLOCK=_BLOCK, num_warps=4,
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
