"""The grid encoding on the CPU: point after point; in the backward a thread owns a level."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from torch import Tensor

from privhead_nb.kernels.grid_encoding.naive import GridLayout, levels_of
from privhead_nb.kernels.lazy import numba_kernel

_F0, _F1, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_3_4 = np.float32(0.75)


@numba_kernel(forceinline=True)
def _position(x, res):
    """On one axis: a point in cells, clamped to the lattice, and cells per unit, 0 outside."""
    scale = _HALF * np.float32(res - 1)
    clamped = min(max(x, -_F1), _F1)
    return (clamped + _F1) * scale, scale if x == clamped else _F0


@numba_kernel(forceinline=True)
def _along(x, res):
    """On one axis: the cell, the place in it, and the slope of that place."""
    position, slope = _position(x, res)
    cell = max(min(int(position), res - 2), 0)  # max: a NaN must not become an address
    return cell, position - np.float32(cell), slope


@numba_kernel(forceinline=True)
def _cell(points, n, levels, level):
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
def _trilinear(table, corners, place, c):
    """Channel c: value, and derivatives along x, y, z in cells."""
    fx, fy, fz = place
    t000, t001 = table[corners[0], c], table[corners[1], c]
    t010, t011 = table[corners[2], c], table[corners[3], c]
    t100, t101 = table[corners[4], c], table[corners[5], c]
    t110, t111 = table[corners[6], c], table[corners[7], c]
    d00, d01, d10, d11 = t001 - t000, t011 - t010, t101 - t100, t111 - t110
    v00, v01, v10, v11 = t000 + fz * d00, t010 + fz * d01, t100 + fz * d10, t110 + fz * d11
    e0, e1 = v01 - v00, v11 - v10
    u0, u1 = v00 + fy * e0, v10 + fy * e1
    f0, f1 = d00 + fy * (d01 - d00), d10 + fy * (d11 - d10)
    return u0 + fx * (u1 - u0), (u1 - u0, e0 + fx * (e1 - e0), f0 + fx * (f1 - f0))


@numba_kernel(parallel=True)
def _forward_loop(first, last, points, table, levels, channels, out, slope):
    """`channels` is a tuple: its length is known to the compiler, which unrolls the inner loop."""
    with_slope = len(slope) > 0
    for n in range(first, last):
        for level in range(len(levels)):
            corners, place, scale = _cell(points, n, levels, level)
            for c in range(len(channels)):
                feature = level * len(channels) + c
                value, d = _trilinear(table, corners, place, c)
                out[n, feature] = value
                if with_slope:
                    slope[n, feature, 0] = scale[0] * d[0]
                    slope[n, feature, 1] = scale[1] * d[1]
                    slope[n, feature, 2] = scale[2] * d[2]


@numba_kernel(parallel=True)
def _table_loop(first, last, points, levels, order, channels, g_out, g_slope, g_table):
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


# Degree 2 ----------------------------------------------------------------------------------------


@numba_kernel(forceinline=True)
def _splines(x, res):
    """On one axis: the first of 3 lattice points, their weights, the weights' slopes."""
    position, s = _position(x, res)
    middle = max(min(int(position + _HALF), res - 2), 1)  # max: a NaN must not become an address
    t = position - np.float32(middle)
    below, above = _HALF - t, _HALF + t
    weights = (_HALF * below * below, _3_4 - t * t, _HALF * above * above)
    return middle - 1, weights, (-s * below, -s * (t + t), s * above)


@numba_kernel(forceinline=True)
def _plane(levels, level, x, y, z):
    """Entries of the 9 lattice points from (x, y, z) on, y and z counting up, z fastest.

    Unsigned: a signed index may be negative, and the test for that stops the vectoriser.
    """
    first, bits = levels[level, 1], levels[level, 2]
    stride_y, stride_z = levels[level, 5], levels[level, 6]
    x0, y0, z0 = x * levels[level, 4], y * stride_y, z * stride_z
    y1, y2, z1, z2 = y0 + stride_y, y0 + 2 * stride_y, z0 + stride_z, z0 + 2 * stride_z
    if levels[level, 3]:
        a, b, c = x0 ^ y0, x0 ^ y1, x0 ^ y2
        return (
            _unsigned(
                first + ((a ^ z0) & bits), first + ((a ^ z1) & bits), first + ((a ^ z2) & bits)
            ),
            _unsigned(
                first + ((b ^ z0) & bits), first + ((b ^ z1) & bits), first + ((b ^ z2) & bits)
            ),
            _unsigned(
                first + ((c ^ z0) & bits), first + ((c ^ z1) & bits), first + ((c ^ z2) & bits)
            ),
        )
    a, b, c = first + x0 + y0, first + x0 + y1, first + x0 + y2
    return (
        _unsigned(a + z0, a + z1, a + z2),
        _unsigned(b + z0, b + z1, b + z2),
        _unsigned(c + z0, c + z1, c + z2),
    )


@numba_kernel(forceinline=True)
def _unsigned(a, b, c):
    return np.uintp(a), np.uintp(b), np.uintp(c)


@numba_kernel(forceinline=True)
def _around(points, n, levels, level):
    """Entries of the 27 lattice points around a point, their weights an axis, and the slopes."""
    res = levels[level, 0]
    x, wx, dx = _splines(points[n, 0], res)
    y, wy, dy = _splines(points[n, 1], res)
    z, wz, dz = _splines(points[n, 2], res)
    planes = (
        _plane(levels, level, x, y, z),
        _plane(levels, level, x + 1, y, z),
        _plane(levels, level, x + 2, y, z),
    )
    return planes, (wx, wy, wz), (dx, dy, dz)


@numba_kernel(forceinline=True)
def _dot(w, t0, t1, t2):
    return w[0] * t0 + w[1] * t1 + w[2] * t2


@numba_kernel(forceinline=True)
def _along_z(table, plane, c, w):
    """Channel c of a plane of 9, summed along z: three numbers, y counting up."""
    p, q, r = plane
    return (
        _dot(w, table[p[0], c], table[p[1], c], table[p[2], c]),
        _dot(w, table[q[0], c], table[q[1], c], table[q[2], c]),
        _dot(w, table[r[0], c], table[r[1], c], table[r[2], c]),
    )


@numba_kernel(forceinline=True)
def _value(table, planes, c, wx, wy, wz):
    """Channel c summed over 27 points."""
    u, v, w = planes
    a0, a1, a2 = _along_z(table, u, c, wz)
    b0, b1, b2 = _along_z(table, v, c, wz)
    c0, c1, c2 = _along_z(table, w, c, wz)
    return _dot(wx, _dot(wy, a0, a1, a2), _dot(wy, b0, b1, b2), _dot(wy, c0, c1, c2))


@numba_kernel(parallel=True, side_by_side=True)
def _values_loop_2(first, last, points, table, levels, channels, out):
    """Features alone. Four channels stand side by side, so that they become one vector."""
    fours = len(channels) // 4 * 4
    for n in range(first, last):
        for level in range(len(levels)):
            planes, (wx, wy, wz), _ = _around(points, n, levels, level)
            feature = level * len(channels)
            for c in range(0, fours, 4):
                f0 = _value(table, planes, c, wx, wy, wz)
                f1 = _value(table, planes, c + 1, wx, wy, wz)
                f2 = _value(table, planes, c + 2, wx, wy, wz)
                f3 = _value(table, planes, c + 3, wx, wy, wz)
                out[n, feature + c] = f0
                out[n, feature + c + 1] = f1
                out[n, feature + c + 2] = f2
                out[n, feature + c + 3] = f3
            for c in range(fours, len(channels)):
                out[n, feature + c] = _value(table, planes, c, wx, wy, wz)


@numba_kernel(parallel=True)
def _forward_loop_2(first, last, points, table, levels, channels, out, slope):
    """Features and Jacobian: z first, then y, then x."""
    for n in range(first, last):
        for level in range(len(levels)):
            planes, (wx, wy, wz), (dx, dy, dz) = _around(points, n, levels, level)
            for c in range(len(channels)):
                feature = level * len(channels) + c
                a0, b0, c0 = _across(table, planes[0], c, wy, wz, dy, dz)
                a1, b1, c1 = _across(table, planes[1], c, wy, wz, dy, dz)
                a2, b2, c2 = _across(table, planes[2], c, wy, wz, dy, dz)
                out[n, feature] = _dot(wx, a0, a1, a2)
                slope[n, feature, 0] = _dot(dx, a0, a1, a2)
                slope[n, feature, 1] = _dot(wx, b0, b1, b2)
                slope[n, feature, 2] = _dot(wx, c0, c1, c2)


@numba_kernel(forceinline=True)
def _across(table, plane, c, wy, wz, dy, dz):
    """Channel c summed over a plane of 9: its value, and derivatives along y and z."""
    v0, v1, v2 = _along_z(table, plane, c, wz)
    u0, u1, u2 = _along_z(table, plane, c, dz)
    return _dot(wy, v0, v1, v2), _dot(dy, v0, v1, v2), _dot(wy, u0, u1, u2)


@numba_kernel(parallel=True, side_by_side=True)
def _values_table_loop_2(first, last, points, levels, order, channels, g_out, g_table):
    """The transpose of `_values_loop_2`; a thread owns a level, as in `_table_loop`."""
    fours = len(channels) // 4 * 4
    for job in range(first, last):
        level = order[job]
        feature = level * len(channels)
        for n in range(len(points)):
            planes, (wx, wy, wz), _ = _around(points, n, levels, level)
            for c in range(0, fours, 4):
                g = (
                    g_out[n, feature + c],
                    g_out[n, feature + c + 1],
                    g_out[n, feature + c + 2],
                    g_out[n, feature + c + 3],
                )
                _spread(g_table, planes[0], c, wx[0], wy, wz, g)
                _spread(g_table, planes[1], c, wx[1], wy, wz, g)
                _spread(g_table, planes[2], c, wx[2], wy, wz, g)
            for c in range(fours, len(channels)):
                g0 = g_out[n, feature + c]
                for i in range(3):
                    for j in range(3):
                        for k in range(3):
                            g_table[planes[i][j][k], c] += wx[i] * wy[j] * wz[k] * g0


@numba_kernel(forceinline=True)
def _spread(g_table, plane, c, w, wy, wz, g):
    """Add four channels' gradient to the 9 points of a plane of weight w."""
    for j in range(3):
        for k in range(3):
            share = w * wy[j] * wz[k]
            a0, a1, a2, a3 = share * g[0], share * g[1], share * g[2], share * g[3]
            g_table[plane[j][k], c] += a0
            g_table[plane[j][k], c + 1] += a1
            g_table[plane[j][k], c + 2] += a2
            g_table[plane[j][k], c + 3] += a3


@numba_kernel(parallel=True)
def _table_loop_2(first, last, points, levels, order, channels, g_out, g_slope, g_table):
    """`_table_loop` for splines of degree 2: the transpose, x first, then y, then z."""
    with_out = len(g_out) > 0
    for job in range(first, last):
        level = order[job]
        for n in range(len(points)):
            planes, (wx, wy, wz), (dx, dy, dz) = _around(points, n, levels, level)
            for i in range(3):
                rows = planes[i]
                for c in range(len(channels)):
                    feature = level * len(channels) + c
                    g = dx[i] * g_slope[n, feature, 0]
                    if with_out:
                        g += wx[i] * g_out[n, feature]
                    gy, gz = wx[i] * g_slope[n, feature, 1], wx[i] * g_slope[n, feature, 2]
                    for j in range(3):
                        v, u = wy[j] * g + dy[j] * gy, wy[j] * gz
                        for k in range(3):
                            g_table[rows[j][k], c] += wz[k] * v + dz[k] * u


@lru_cache(maxsize=32)
def _job_order(levels: int) -> Any:
    """Fine levels miss the cache most: deal them out so that neighbouring jobs differ in cost."""
    return np.array([i // 2 if i % 2 == 0 else levels - 1 - i // 2 for i in range(levels)])


@lru_cache(maxsize=32)
def _level_array(layout: GridLayout) -> Any:
    return np.array(levels_of(layout), np.int64)


def forward(points: Tensor, table: Tensor, layout: GridLayout, out: Tensor, slope: Tensor) -> None:
    """Fill the features and, where it has rows, the Jacobian."""
    count, channels = len(points), (0,) * layout.channels
    given = points.numpy(), table.numpy(), _level_array(layout), channels, out.numpy()
    if layout.degree == 1:
        _forward_loop(count, *given, slope.numpy())
    elif len(slope):
        _forward_loop_2(count, *given, slope.numpy())
    else:
        _values_loop_2(count, *given)


def table_gradient(
    points: Tensor, layout: GridLayout, g_out: Tensor, g_slope: Tensor, g_table: Tensor
) -> None:
    """Add the gradient to the table to `g_table`; an upstream gradient not there has no rows."""
    levels, channels = len(layout.resolutions), (0,) * layout.channels
    given = points.numpy(), _level_array(layout), _job_order(levels), channels, g_out.numpy()
    if layout.degree == 1:
        _table_loop(levels, *given, g_slope.numpy(), g_table.numpy())
    elif len(g_slope):
        _table_loop_2(levels, *given, g_slope.numpy(), g_table.numpy())
    else:
        _values_table_loop_2(levels, *given, g_table.numpy())
