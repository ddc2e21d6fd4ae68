"""The small head on the CPU: points go through in blocks, the weights' gradients in fixed order."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.kernels.inputs import array
from privhead_nb.kernels.lazy import numba_kernel

# Points go through in blocks, transposed, so that the innermost loops run over the points of a
# block: their length is a constant, whatever the sizes of the layers. A block's rows stay in the
# first- and second-level cache.

_POINTS = 128  # of a block
_CHUNKS = 16  # partial sums of the weight gradients: fixed, so the sum's order is
_AHEAD1, _AHEAD2, _AHEAD3 = np.uintp(_POINTS), np.uintp(2 * _POINTS), np.uintp(3 * _POINTS)
_F0, _F1, _HALF, _FARTHEST = np.float32(0), np.float32(1), np.float32(0.5), np.float32(87)
_LOG2_E, _BIAS, _ONE_IN_EXPONENT = np.float32(1 / math.log(2)), np.float32(127), np.float32(2**23)
# 2^r on [-1/2, 1/2]: degree 5, least squares of the relative error on 4000 Chebyshev nodes in
# float64, reweighted by the error until it is level: 7.5e-8, about half a unit in the last place.
_E0, _E1 = np.float32(1.0000000716544515), np.float32(0.6931469670575157)
_E2, _E3 = np.float32(0.2402211972459794), np.float32(0.05550713285330594)
_E4, _E5 = np.float32(0.009675541304010604), np.float32(0.0013276468167539197)


@numba_kernel()
def _decay(y):
    """exp(-y) for y >= 0, in arithmetic that runs on vectors (a call of exp does not)."""
    y = -min(y, _FARTHEST) * _LOG2_E
    whole = np.float32(math.floor(y + _HALF))
    r = y - whole
    power = ((((_E5 * r + _E4) * r + _E3) * r + _E2) * r + _E1) * r + _E0
    return power * np.int32((whole + _BIAS) * _ONE_IN_EXPONENT).view(np.float32)


@numba_kernel()
def _gate(y):
    """1 / (1 + exp(-y)) and 1 / (1 + exp(y)), to 2e-7; their tails to 1e-5 of themselves.

    The second is not 1 minus the first: a huge z times what rounding leaves of that is no zero.
    """
    decay = _decay(abs(y))
    near, far = _F1 / (_F1 + decay), decay / (_F1 + decay)
    return (far, near) if y < _F0 else (near, far)


@numba_kernel()
def _activate(z, value, slope):
    """value = silu(z) and, where slope has rows, slope = silu'(z)."""
    bent = len(slope) > 0
    z, value, slope = z.reshape(z.size), value.reshape(value.size), slope.reshape(slope.size)
    if bent:
        for i in range(len(z)):
            gate, rest = _gate(z[i])
            value[i] = z[i] * gate
            slope[i] = gate * (_F1 + z[i] * rest)
    else:
        for i in range(len(z)):
            value[i] = z[i] * _gate(z[i])[0]


@numba_kernel()
def _combine(a, rows, out):
    """out = a @ rows, tiles of 4 x 4; the sizes of `a` are multiples of 4.

    Indices are unsigned: a signed one may be negative, and the test for that stops the vectoriser.
    """
    out[:] = _F0
    x, y = rows.reshape(rows.size), out.reshape(out.size)
    for m in range(0, a.shape[0], 4):
        for k in range(0, a.shape[1], 4):
            a00, a01, a02, a03 = a[m, k], a[m, k + 1], a[m, k + 2], a[m, k + 3]
            a10, a11, a12, a13 = a[m + 1, k], a[m + 1, k + 1], a[m + 1, k + 2], a[m + 1, k + 3]
            a20, a21, a22, a23 = a[m + 2, k], a[m + 2, k + 1], a[m + 2, k + 2], a[m + 2, k + 3]
            a30, a31, a32, a33 = a[m + 3, k], a[m + 3, k + 1], a[m + 3, k + 2], a[m + 3, k + 3]
            for b in range(_POINTS):
                i, j = np.uintp(m) * _AHEAD1 + np.uintp(b), np.uintp(k) * _AHEAD1 + np.uintp(b)
                x0, x1, x2, x3 = x[j], x[j + _AHEAD1], x[j + _AHEAD2], x[j + _AHEAD3]
                y[i] += a00 * x0 + a01 * x1 + a02 * x2 + a03 * x3
                y[i + _AHEAD1] += a10 * x0 + a11 * x1 + a12 * x2 + a13 * x3
                y[i + _AHEAD2] += a20 * x0 + a21 * x1 + a22 * x2 + a23 * x3
                y[i + _AHEAD3] += a30 * x0 + a31 * x1 + a32 * x2 + a33 * x3


@numba_kernel()
def _correlate(left, right, total):
    """total += left @ right^T: sums over the points of a block, tiles of 4 x 4."""
    x, y = left.reshape(left.size), right.reshape(right.size)
    for m in range(0, total.shape[0], 4):
        for k in range(0, total.shape[1], 4):
            t00 = t01 = t02 = t03 = t10 = t11 = t12 = t13 = _F0
            t20 = t21 = t22 = t23 = t30 = t31 = t32 = t33 = _F0
            for b in range(_POINTS):
                i, j = np.uintp(m) * _AHEAD1 + np.uintp(b), np.uintp(k) * _AHEAD1 + np.uintp(b)
                x0, x1, x2, x3 = x[i], x[i + _AHEAD1], x[i + _AHEAD2], x[i + _AHEAD3]
                y0, y1, y2, y3 = y[j], y[j + _AHEAD1], y[j + _AHEAD2], y[j + _AHEAD3]
                t00, t01, t02, t03 = t00 + x0 * y0, t01 + x0 * y1, t02 + x0 * y2, t03 + x0 * y3
                t10, t11, t12, t13 = t10 + x1 * y0, t11 + x1 * y1, t12 + x1 * y2, t13 + x1 * y3
                t20, t21, t22, t23 = t20 + x2 * y0, t21 + x2 * y1, t22 + x2 * y2, t23 + x2 * y3
                t30, t31, t32, t33 = t30 + x3 * y0, t31 + x3 * y1, t32 + x3 * y2, t33 + x3 * y3
            sums = (
                (t00, t01, t02, t03),
                (t10, t11, t12, t13),
                (t20, t21, t22, t23),
                (t30, t31, t32, t33),
            )
            for row in range(4):
                for column in range(4):
                    total[m + row, k + column] += sums[row][column]


@numba_kernel()
def _load(points, encoded, first, count, u):
    """u = [x, 1, e] of a block, transposed; rows and points that pad it stay 0."""
    for b in range(count):
        u[0, b], u[1, b], u[2, b] = points[first + b, 0], points[first + b, 1], points[first + b, 2]
        u[3, b] = _F1
        for i in range(encoded.shape[1]):
            u[4 + i, b] = encoded[first + b, i]


@numba_kernel(parallel=True)
def _forward_loop(first_chunk, last_chunk, points, encoded, v, w2, b2, out):
    """v and w2 are padded to multiples of 4 by zeros."""
    count, outputs = len(points), out.shape[1]
    blocks = (count + _POINTS - 1) // _POINTS
    for chunk in range(first_chunk, last_chunk):
        u = np.zeros((v.shape[1], _POINTS), np.float32)
        z = np.empty((v.shape[0], _POINTS), np.float32)
        value = np.empty((v.shape[0], _POINTS), np.float32)
        slope = np.empty((0, _POINTS), np.float32)
        y = np.empty((w2.shape[0], _POINTS), np.float32)
        for block in range(chunk * blocks // _CHUNKS, (chunk + 1) * blocks // _CHUNKS):
            first = block * _POINTS
            here = min(_POINTS, count - first)
            _load(points, encoded, first, here, u)
            _combine(v, u, z)
            _activate(z, value, slope)
            _combine(w2, value, y)
            for b in range(here):
                for o in range(outputs):
                    out[first + b, o] = y[o, b] + b2[o]


@numba_kernel(parallel=True)
def _backward_loop(
    first_chunk, last_chunk, points, encoded, v, w2, g_out, g_points, g_encoded, g_v, g_w2, g_b2
):
    """Arrays without rows are not wanted; g_v, g_w2, g_b2 hold one sum a chunk."""
    count, codes, outputs = len(points), encoded.shape[1], g_out.shape[1]
    inputs, hidden = v.shape[1], v.shape[0]
    weighted = len(g_v) > 0
    blocks = (count + _POINTS - 1) // _POINTS
    vt, w2t = np.ascontiguousarray(v.T), np.ascontiguousarray(w2.T)
    for chunk in range(first_chunk, last_chunk):
        u = np.zeros((inputs, _POINTS), np.float32)
        du = np.empty((inputs, _POINTS), np.float32)
        g = np.zeros((w2.shape[0], _POINTS), np.float32)
        z = np.empty((hidden, _POINTS), np.float32)
        value = np.empty((hidden, _POINTS), np.float32)
        slope = np.empty((hidden, _POINTS), np.float32)
        dz = np.empty((hidden, _POINTS), np.float32)
        for block in range(chunk * blocks // _CHUNKS, (chunk + 1) * blocks // _CHUNKS):
            first = block * _POINTS
            here = min(_POINTS, count - first)
            g[:, here:] = _F0  # so that what pads a block adds nothing to the sums
            for b in range(here):
                for o in range(outputs):
                    g[o, b] = g_out[first + b, o]
            _load(points, encoded, first, here, u)
            _combine(v, u, z)
            _activate(z, value, slope)
            _combine(w2t, g, dz)
            for h in range(hidden):
                for b in range(_POINTS):
                    dz[h, b] *= slope[h, b]
            if weighted:
                _correlate(g, value, g_w2[chunk])
                for o in range(outputs):
                    total = _F0
                    for b in range(_POINTS):
                        total += g[o, b]
                    g_b2[chunk, o] += total
                _correlate(dz, u, g_v[chunk])
            if len(g_encoded) > 0 or len(g_points) > 0:
                _combine(vt, dz, du)
            if len(g_encoded) > 0:
                for b in range(here):
                    for i in range(codes):
                        g_encoded[first + b, i] = du[4 + i, b]
            if len(g_points) > 0:
                for b in range(here):
                    for k in range(3):
                        g_points[first + b, k] = du[k, b]


def _padded(matrix: Tensor) -> Any:
    """As an array, sizes brought to multiples of 4 by zeros."""
    rows, columns = matrix.shape
    padded = np.zeros((-(-rows // 4) * 4, -(-columns // 4) * 4), np.float32)
    padded[:rows, :columns] = matrix.numpy()
    return padded


def forward(points: Tensor, encoded: Tensor, v: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """The outputs (N, O)."""
    out = torch.empty(len(points), len(w2))
    _forward_loop(
        _CHUNKS, points.numpy(), encoded.numpy(), _padded(v), _padded(w2), b2.numpy(), out.numpy()
    )
    return out


def backward(
    points: Tensor, encoded: Tensor, v: Tensor, w2: Tensor, g_out: Tensor,
    g_points: Tensor | None, g_encoded: Tensor | None, weights: bool,
) -> tuple[Tensor, Tensor, Tensor] | None:  # fmt: skip
    """Fill the gradients of points and code that are there; those of v, w2, b2 if wanted."""
    H, OUT = v.shape[0], w2.shape[0]
    padded_v, padded_w2 = _padded(v), _padded(w2)
    chunks = _CHUNKS if weights else 0
    g_v = np.zeros((chunks, *padded_v.shape), np.float32)
    g_w2 = np.zeros((chunks, *padded_w2.shape), np.float32)
    g_b2 = np.zeros((chunks, OUT), np.float32)
    _backward_loop(
        _CHUNKS, points.numpy(), encoded.numpy(), padded_v, padded_w2, g_out.numpy(),
        array(g_points, 2), array(g_encoded, 2), g_v, g_w2, g_b2,
    )  # fmt: skip
    if not weights:
        return None
    return (
        torch.from_numpy(g_v.sum(0)[:H, : v.shape[1]]),
        torch.from_numpy(np.ascontiguousarray(g_w2.sum(0)[:OUT, :H])),
        torch.from_numpy(g_b2.sum(0)),
    )
