"""The small head of a distance field: one hidden layer, its value and its exact spatial gradient.

With u = [x, 1, e], the point, a one and its code e(x), and V = [W1x, b1, W1e], the first layer
with its bias as a column,

    z = V u,   out = W2 act(z) + b2,   s = act'(z) * W2[0],   p = V^T s
    g = d out_0 / dx = p_x + J^T p_e                          J = de/dx

For upstream gradients G of out and Q of g, let q = [Q, 0, J Q], so that Q . g = p . q, and t = V q;

    dz = act'(z) * (W2^T G) + act''(z) * W2[0] * t
    dV = dz u^T + s q^T      dW2 = G act(z)^T, and its row 0 gets act'(z) * t      db2 = G
    du = V^T dz              dJ = p_e Q^T

act is silu, or softplus(100 z) / 100 (Yariv et al. 2021, VolSDF, section B.1). Gradients in closed
form, as in Gropp et al. 2020 (IGR), need one pass of autograd instead of two.

Bytes a point in float32, E codes and O outputs: the forward reads 12 + 4 E (and 12 E of Jacobian)
and writes 4 O (and 12); eager writes and reads the hidden layer (4 H) about four times forward and
eight times backward. The kernels keep z on chip, save the inputs alone and find z again in the
backward. Weight gradients are summed a chunk of points (a program) at a time, then in fixed order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.kernels.dispatch import Backend, Chosen, choose
from privhead_nb.kernels.lazy import numba_kernel, power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

Activation = Literal["silu", "softplus"]
_STEEP = 100.0  # of the softplus
_LIMIT = 64  # hidden units, codes and outputs that a kernel takes


def sdf_head_reference(
    points: Tensor, encoded: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor,
    activation: Activation = "silu",
) -> Tensor:  # fmt: skip
    """The specification: see `sdf_head`. Differentiable as often as you like."""
    z = F.linear(torch.cat([points, encoded], -1), w1, b1)
    hidden = F.silu(z) if activation == "silu" else F.softplus(z, beta=_STEEP)
    return F.linear(hidden, w2, b2)


def sdf_head_with_gradient_reference(
    points: Tensor, encoded: Tensor, jacobian: Tensor, w1: Tensor, b1: Tensor, w2: Tensor,
    b2: Tensor, activation: Activation = "silu",
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The specification: see `sdf_head_with_gradient`. Differentiable as often as you like."""
    z = F.linear(torch.cat([points, encoded], -1), w1, b1)
    if activation == "silu":
        gate = torch.sigmoid(z)
        hidden, bend = z * gate, gate * (1 + z * (1 - gate))
    else:
        hidden, bend = F.softplus(z, beta=_STEEP), torch.sigmoid(_STEEP * z)
    slope = (bend * w2[0]) @ w1
    through_code = torch.einsum("nf,nfk->nk", slope[:, 3:], jacobian)
    return F.linear(hidden, w2, b2), slope[:, :3] + through_code


class _Wanted(NamedTuple):
    """Which gradients a backward is to find."""

    points: bool
    encoded: bool
    jacobian: bool
    weights: bool


@dataclass
class _Grads:
    """What it found; `v` is that of V = [W1x, b1, W1e]."""

    points: Tensor | None
    encoded: Tensor | None
    jacobian: Tensor | None
    v: Tensor | None = None
    w2: Tensor | None = None
    b2: Tensor | None = None

    @classmethod
    def empty(
        cls, points: Tensor, encoded: Tensor, jacobian: Tensor | None, want: _Wanted
    ) -> _Grads:
        """Room for what a point has, weights left out."""
        return cls(
            torch.empty_like(points) if want.points else None,
            torch.empty_like(encoded) if want.encoded else None,
            torch.empty_like(jacobian) if want.jacobian and jacobian is not None else None,
        )


# ---- Numba ---------------------------------------------------------------------------------------
# Points go through in blocks, transposed, so that the innermost loops run over the points of a
# block: their length is a constant, whatever the sizes of the layers. A block's rows stay in the
# first- and second-level cache.

_POINTS = 128  # of a block
_CHUNKS = 16  # partial sums of the weight gradients: fixed, so the sum's order is
_AHEAD1, _AHEAD2, _AHEAD3 = np.uintp(_POINTS), np.uintp(2 * _POINTS), np.uintp(3 * _POINTS)
_F0, _F1, _F2, _HALF = np.float32(0), np.float32(1), np.float32(2), np.float32(0.5)
_F100, _CENTI, _FARTHEST = np.float32(_STEEP), np.float32(1 / _STEEP), np.float32(87)
_LOG2_E, _BIAS, _ONE_IN_EXPONENT = np.float32(1 / math.log(2)), np.float32(127), np.float32(2**23)
# 2^r on [-1/2, 1/2]: degree 5, least squares of the relative error on 4000 Chebyshev nodes in
# float64, reweighted by the error until it is level: 7.5e-8, about half a unit in the last place.
_E0, _E1 = np.float32(1.0000000716544515), np.float32(0.6931469670575157)
_E2, _E3 = np.float32(0.2402211972459794), np.float32(0.05550713285330594)
_E4, _E5 = np.float32(0.009675541304010604), np.float32(0.0013276468167539197)
_L3, _L5, _L7 = np.float32(1 / 3), np.float32(1 / 5), np.float32(1 / 7)
_L9, _L11, _L13 = np.float32(1 / 9), np.float32(1 / 11), np.float32(1 / 13)


@numba_kernel()
def _decay(y):  # type: ignore[no-untyped-def]
    """exp(-y) for y >= 0, in arithmetic that runs on vectors (a call of exp does not)."""
    y = -min(y, _FARTHEST) * _LOG2_E
    whole = np.float32(math.floor(y + _HALF))
    r = y - whole
    power = ((((_E5 * r + _E4) * r + _E3) * r + _E2) * r + _E1) * r + _E0
    return power * np.int32((whole + _BIAS) * _ONE_IN_EXPONENT).view(np.float32)


@numba_kernel()
def _gate(y):  # type: ignore[no-untyped-def]
    """1 / (1 + exp(-y)) and 1 / (1 + exp(y)), to 2e-7; their tails to 1e-5 of themselves.

    The second is not 1 minus the first: a huge z times what rounding leaves of that is no zero.
    """
    decay = _decay(abs(y))
    near, far = _F1 / (_F1 + decay), decay / (_F1 + decay)
    return (far, near) if y < _F0 else (near, far)


@numba_kernel()
def _soft(y):  # type: ignore[no-untyped-def]
    """log(1 + exp(y)) = max(y, 0) + 2 artanh(d / (2 + d)), d = exp(-|y|): the series up to 1/3."""
    decay = _decay(abs(y))
    r = decay / (_F2 + decay)
    q = r * r
    series = ((((_L13 * q + _L11) * q + _L9) * q + _L7) * q + _L5) * q + _L3
    return max(y, _F0) + _F2 * r * (_F1 + q * series)


@numba_kernel()
def _activate(z, softplus, value, slope, curve):  # type: ignore[no-untyped-def]
    """value = act(z) and, where slope has rows, slope = act'(z) and curve = act''(z)."""
    bent = len(slope) > 0
    z, value = z.reshape(z.size), value.reshape(value.size)
    slope, curve = slope.reshape(slope.size), curve.reshape(curve.size)
    if softplus and bent:
        for i in range(len(z)):
            gate, rest = _gate(_F100 * z[i])
            value[i] = _CENTI * _soft(_F100 * z[i])
            slope[i] = gate
            curve[i] = _F100 * gate * rest
    elif softplus:
        for i in range(len(z)):
            value[i] = _CENTI * _soft(_F100 * z[i])
    elif bent:
        for i in range(len(z)):
            gate, rest = _gate(z[i])
            value[i] = z[i] * gate
            slope[i] = gate * (_F1 + z[i] * rest)
            curve[i] = gate * rest * (_F2 + z[i] * (rest - gate))
    else:
        for i in range(len(z)):
            value[i] = z[i] * _gate(z[i])[0]


@numba_kernel()
def _combine(a, rows, out):  # type: ignore[no-untyped-def]
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
def _correlate(left, right, total):  # type: ignore[no-untyped-def]
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
def _load(points, encoded, first, count, u):  # type: ignore[no-untyped-def]
    """u = [x, 1, e] of a block, transposed; rows and points that pad it stay 0."""
    for b in range(count):
        u[0, b], u[1, b], u[2, b] = points[first + b, 0], points[first + b, 1], points[first + b, 2]
        u[3, b] = _F1
        for i in range(encoded.shape[1]):
            u[4 + i, b] = encoded[first + b, i]


@numba_kernel()
def _scale_rows(rows, factors):  # type: ignore[no-untyped-def]
    for h in range(len(factors)):
        factor = factors[h]
        for b in range(_POINTS):
            rows[h, b] *= factor


@numba_kernel(parallel=True)
def _forward_loop(  # type: ignore[no-untyped-def]
    first_chunk, last_chunk, points, encoded, jacobian, v, w2, b2, softplus, out, gradient
):  # fmt: skip
    """`gradient` without rows: not wanted. v and w2 are padded to multiples of 4 by zeros."""
    count, codes, outputs = len(points), encoded.shape[1], out.shape[1]
    blocks = (count + _POINTS - 1) // _POINTS
    vt = np.ascontiguousarray(v.T)
    for chunk in range(first_chunk, last_chunk):
        u = np.zeros((v.shape[1], _POINTS), np.float32)
        p = np.empty((v.shape[1], _POINTS), np.float32)
        z = np.empty((v.shape[0], _POINTS), np.float32)
        value = np.empty((v.shape[0], _POINTS), np.float32)
        slope = np.empty((v.shape[0] if len(gradient) > 0 else 0, _POINTS), np.float32)
        curve = np.empty(slope.shape, np.float32)
        y = np.empty((w2.shape[0], _POINTS), np.float32)
        for block in range(chunk * blocks // _CHUNKS, (chunk + 1) * blocks // _CHUNKS):
            first = block * _POINTS
            here = min(_POINTS, count - first)
            _load(points, encoded, first, here, u)
            _combine(v, u, z)
            _activate(z, softplus, value, slope, curve)
            _combine(w2, value, y)
            for b in range(here):
                for o in range(outputs):
                    out[first + b, o] = y[o, b] + b2[o]
            if len(gradient) > 0:
                _scale_rows(slope, w2[0])
                _combine(vt, slope, p)
                for b in range(here):
                    gx, gy, gz = p[0, b], p[1, b], p[2, b]
                    for i in range(codes):
                        gx += jacobian[first + b, i, 0] * p[4 + i, b]
                        gy += jacobian[first + b, i, 1] * p[4 + i, b]
                        gz += jacobian[first + b, i, 2] * p[4 + i, b]
                    gradient[first + b, 0] = gx
                    gradient[first + b, 1] = gy
                    gradient[first + b, 2] = gz


@numba_kernel(parallel=True)
def _backward_loop(  # type: ignore[no-untyped-def]
    first_chunk, last_chunk, points, encoded, jacobian, v, w2, softplus, g_out, g_gradient,
    g_points, g_encoded, g_jacobian, g_v, g_w2, g_b2,
):  # fmt: skip
    """Arrays without rows are not given or not wanted; g_v, g_w2, g_b2 hold one sum a chunk."""
    count, codes, outputs = len(points), encoded.shape[1], g_out.shape[1]
    inputs, hidden = v.shape[1], v.shape[0]
    curved, weighted = len(g_gradient) > 0, len(g_v) > 0
    blocks = (count + _POINTS - 1) // _POINTS
    vt, w2t = np.ascontiguousarray(v.T), np.ascontiguousarray(w2.T)
    for chunk in range(first_chunk, last_chunk):
        u = np.zeros((inputs, _POINTS), np.float32)
        q = np.zeros((inputs, _POINTS), np.float32)
        du = np.empty((inputs, _POINTS), np.float32)
        g = np.zeros((w2.shape[0], _POINTS), np.float32)
        z = np.empty((hidden, _POINTS), np.float32)
        value = np.empty((hidden, _POINTS), np.float32)
        slope = np.empty((hidden, _POINTS), np.float32)
        curve = np.empty((hidden, _POINTS), np.float32)
        dz = np.empty((hidden, _POINTS), np.float32)
        t = np.empty((hidden, _POINTS), np.float32)
        for block in range(chunk * blocks // _CHUNKS, (chunk + 1) * blocks // _CHUNKS):
            first = block * _POINTS
            here = min(_POINTS, count - first)
            g[:, here:] = _F0  # so that what pads a block adds nothing to the sums
            q[:, here:] = _F0
            for b in range(here):
                for o in range(outputs):
                    g[o, b] = g_out[first + b, o]
            _load(points, encoded, first, here, u)
            _combine(v, u, z)
            _activate(z, softplus, value, slope, curve)
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
            if curved:
                for b in range(here):
                    qx, qy, qz = (
                        g_gradient[first + b, 0],
                        g_gradient[first + b, 1],
                        g_gradient[first + b, 2],
                    )
                    q[0, b], q[1, b], q[2, b] = qx, qy, qz
                    for i in range(codes):
                        q[4 + i, b] = (
                            jacobian[first + b, i, 0] * qx
                            + jacobian[first + b, i, 1] * qy
                            + jacobian[first + b, i, 2] * qz
                        )
                _combine(v, q, t)
                for h in range(hidden):
                    outer, total = w2[0, h], _F0
                    for b in range(_POINTS):
                        dz[h, b] += outer * t[h, b] * curve[h, b]
                        total += slope[h, b] * t[h, b]
                    if weighted:
                        g_w2[chunk, 0, h] += total
                _scale_rows(slope, w2[0])  # from here on: s
                if weighted:
                    _correlate(slope, q, g_v[chunk])
                if len(g_jacobian) > 0:
                    _combine(vt, slope, du)
                    for b in range(here):
                        for i in range(codes):
                            g_jacobian[first + b, i, 0] = du[4 + i, b] * q[0, b]
                            g_jacobian[first + b, i, 1] = du[4 + i, b] * q[1, b]
                            g_jacobian[first + b, i, 2] = du[4 + i, b] * q[2, b]
            if weighted:
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
    array = np.zeros((-(-rows // 4) * 4, -(-columns // 4) * 4), np.float32)
    array[:rows, :columns] = matrix.numpy()
    return array


def _numba_forward(
    points: Tensor, encoded: Tensor, jacobian: Tensor | None, v: Tensor, w2: Tensor, b2: Tensor,
    softplus: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    out = torch.empty(len(points), len(w2))
    gradient = None if jacobian is None else torch.empty(len(points), 3)
    _forward_loop(
        _CHUNKS, points.numpy(), encoded.numpy(), _array(jacobian, 3), _padded(v), _padded(w2),
        b2.numpy(), softplus, out.numpy(), _array(gradient, 2),
    )  # fmt: skip
    return out, gradient


def _array(tensor: Tensor | None, ndim: int) -> Any:
    """The tensor's memory; without rows if it is None."""
    return np.empty((0,) * (ndim - 1) + (3,), np.float32) if tensor is None else tensor.numpy()


def _numba_backward(
    points: Tensor, encoded: Tensor, jacobian: Tensor | None, v: Tensor, w2: Tensor,
    g_out: Tensor, g_gradient: Tensor | None, want: _Wanted, softplus: bool,
) -> _Grads:  # fmt: skip
    H, OUT = v.shape[0], w2.shape[0]
    g = _Grads.empty(points, encoded, jacobian, want)
    padded_v, padded_w2 = _padded(v), _padded(w2)
    chunks = _CHUNKS if want.weights else 0
    g_v = np.zeros((chunks, *padded_v.shape), np.float32)
    g_w2 = np.zeros((chunks, *padded_w2.shape), np.float32)
    g_b2 = np.zeros((chunks, OUT), np.float32)
    _backward_loop(
        _CHUNKS, points.numpy(), encoded.numpy(), _array(jacobian, 3), padded_v, padded_w2,
        softplus, g_out.numpy(), _array(g_gradient, 2), _array(g.points, 2), _array(g.encoded, 2),
        _array(g.jacobian, 3), g_v, g_w2, g_b2,
    )  # fmt: skip
    if want.weights:
        g.v = torch.from_numpy(g_v.sum(0)[:H, : v.shape[1]])
        g.w2 = torch.from_numpy(np.ascontiguousarray(g_w2.sum(0)[:OUT, :H]))
        g.b2 = torch.from_numpy(g_b2.sum(0))
    return g


# ---- Triton --------------------------------------------------------------------------------------
# A program walks over STEPS blocks of points; the weights stay with it. [x, 1] is one tile of 16
# columns and e another, so that E = 32 is not padded to 64.
# Products are 3 x TF32: three passes of the tensor cores, each factor split in a high and a low
# half, which keeps about 21 bits. "ieee" leaves the tensor cores, and the backward then spills.

_PRECISION = "tf32x3"
_WARPS = 4
# Points of a block, (forward, backward), without and with the gradient in space: what the 255
# registers of a thread hold at E = 32, H = 64, O = 16. Larger blocks spill kilobytes.
_BLOCKS = {False: (64, 32), True: (32, 16)}
_TILE = 16  # least side of a tile of a product
_RESIDENT = 2  # programs on a multiprocessor: they take all of its registers


@triton_kernel
def _activation(z, SOFTPLUS: tl.constexpr):  # type: ignore[no-untyped-def]
    """act, act', act''; what the caller drops is never computed."""
    if SOFTPLUS:
        y = z * 100.0
        decay = tl.exp(-tl.abs(y))
        gate = tl.where(y < 0, decay, 1.0) / (1.0 + decay)
        rest = tl.where(y < 0, 1.0, decay) / (1.0 + decay)
        value = (tl.maximum(y, 0.0) + tl.log(1.0 + decay)) * 0.01
        slope = gate
        curve = 100.0 * gate * rest
    else:
        decay = tl.exp(-tl.abs(z))
        gate = tl.where(z < 0, decay, 1.0) / (1.0 + decay)
        rest = tl.where(z < 0, 1.0, decay) / (1.0 + decay)
        value = z * gate
        slope = gate * (1.0 + z * rest)
        curve = gate * rest * (2.0 + z * (rest - gate))
    return value, slope, curve


@triton_kernel
def _forward_kernel(  # type: ignore[no-untyped-def]
    p_points, p_encoded, p_jacobian, p_v, p_w2, p_b2, p_out, p_gradient,
    count, H, E, OUT,
    GRADIENT: tl.constexpr, SOFTPLUS: tl.constexpr, BH: tl.constexpr, BE: tl.constexpr,
    BO: tl.constexpr, BLOCK: tl.constexpr, STEPS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    h, e, o, c = tl.arange(0, BH), tl.arange(0, BE), tl.arange(0, BO), tl.arange(0, 16)
    m_h, m_e, m_o, m_c = h < H, e < E, o < OUT, c < 4
    p_row = p_v + h[None, :] * (E + 4)
    b_vx = tl.load(p_row + c[:, None], mask=m_h[None, :] & m_c[:, None], other=0.0)
    b_ve = tl.load(p_row + 4 + e[:, None], mask=m_h[None, :] & m_e[:, None], other=0.0)
    b_w2 = tl.load(p_w2 + o[None, :] * H + h[:, None], mask=m_o[None, :] & m_h[:, None], other=0.0)
    b_b2 = tl.load(p_b2 + o, mask=m_o, other=0.0)
    w = tl.load(p_w2 + h, mask=m_h, other=0.0)
    for step in range(STEPS):
        n = (tl.program_id(0).to(tl.int64) * STEPS + step) * BLOCK + tl.arange(0, BLOCK)
        m_n = n < count
        m_nx = m_n[:, None] & (c < 3)[None, :]
        b_x = tl.load(p_points + n[:, None] * 3 + c[None, :], mask=m_nx, other=0.0)
        b_x = tl.where(c[None, :] == 3, 1.0, b_x)
        m_ne = m_n[:, None] & m_e[None, :]
        b_e = tl.load(p_encoded + n[:, None] * E + e[None, :], mask=m_ne, other=0.0)
        z = tl.dot(b_x, b_vx, input_precision=PRECISION)
        z += tl.dot(b_e, b_ve, input_precision=PRECISION)
        value, slope, _ = _activation(z, SOFTPLUS)
        out = tl.dot(value, b_w2, input_precision=PRECISION) + b_b2[None, :]
        tl.store(p_out + n[:, None] * OUT + o[None, :], out, mask=m_n[:, None] & m_o[None, :])
        if GRADIENT:
            s = slope * w[None, :]
            p_x = tl.dot(s, tl.trans(b_vx), input_precision=PRECISION)
            p_e = tl.dot(s, tl.trans(b_ve), input_precision=PRECISION)
            p_j = p_jacobian + (n[:, None] * E + e[None, :]) * 3
            for k in tl.static_range(3):
                b_j = tl.load(p_j + k, mask=m_ne, other=0.0)
                g = tl.sum(p_e * b_j, axis=1) + tl.sum(tl.where(c[None, :] == k, p_x, 0.0), axis=1)
                tl.store(p_gradient + n * 3 + k, g, mask=m_n)


@triton_kernel
def _backward_kernel(  # type: ignore[no-untyped-def]
    p_points, p_encoded, p_jacobian, p_v, p_w2, p_g_out, p_g_gradient,
    p_g_points, p_g_encoded, p_g_jacobian, p_g_v, p_g_w2, p_g_b2,
    count, H, E, OUT,
    GRADIENT: tl.constexpr, SOFTPLUS: tl.constexpr, WANT_X: tl.constexpr, WANT_E: tl.constexpr,
    WANT_J: tl.constexpr, WANT_W: tl.constexpr, BH: tl.constexpr, BE: tl.constexpr,
    BO: tl.constexpr, BLOCK: tl.constexpr, STEPS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dV, dW2 and db2 add up in registers over a program's blocks: one partial sum a program."""
    h, e, o, c = tl.arange(0, BH), tl.arange(0, BE), tl.arange(0, BO), tl.arange(0, 16)
    m_h, m_e, m_o, m_c = h < H, e < E, o < OUT, c < 4
    p_row = p_v + h[None, :] * (E + 4)
    b_vx = tl.load(p_row + c[:, None], mask=m_h[None, :] & m_c[:, None], other=0.0)
    b_ve = tl.load(p_row + 4 + e[:, None], mask=m_h[None, :] & m_e[:, None], other=0.0)
    b_w2 = tl.load(p_w2 + o[:, None] * H + h[None, :], mask=m_o[:, None] & m_h[None, :], other=0.0)
    w = tl.load(p_w2 + h, mask=m_h, other=0.0)
    sum_vx = tl.zeros((BH, 16), tl.float32)
    sum_ve = tl.zeros((BH, BE), tl.float32)
    sum_w2 = tl.zeros((BH, BO), tl.float32)
    sum_w = tl.zeros((BH,), tl.float32)
    sum_b2 = tl.zeros((BO,), tl.float32)
    for step in range(STEPS):
        n = (tl.program_id(0).to(tl.int64) * STEPS + step) * BLOCK + tl.arange(0, BLOCK)
        m_n = n < count
        m_nx = m_n[:, None] & (c < 3)[None, :]
        m_ne = m_n[:, None] & m_e[None, :]
        b_x = tl.load(p_points + n[:, None] * 3 + c[None, :], mask=m_nx, other=0.0)
        b_x = tl.where(c[None, :] == 3, 1.0, b_x)
        b_e = tl.load(p_encoded + n[:, None] * E + e[None, :], mask=m_ne, other=0.0)
        m_no = m_n[:, None] & m_o[None, :]
        b_g = tl.load(p_g_out + n[:, None] * OUT + o[None, :], mask=m_no, other=0.0)
        z = tl.dot(b_x, b_vx, input_precision=PRECISION)
        z += tl.dot(b_e, b_ve, input_precision=PRECISION)
        value, slope, curve = _activation(z, SOFTPLUS)
        dz = slope * tl.dot(b_g, b_w2, input_precision=PRECISION)
        if GRADIENT:
            b_q = tl.load(p_g_gradient + n[:, None] * 3 + c[None, :], mask=m_nx, other=0.0)
            p_j = p_jacobian + (n[:, None] * E + e[None, :]) * 3
            q0 = tl.load(p_g_gradient + n * 3, mask=m_n, other=0.0)
            q1 = tl.load(p_g_gradient + n * 3 + 1, mask=m_n, other=0.0)
            q2 = tl.load(p_g_gradient + n * 3 + 2, mask=m_n, other=0.0)
            b_jq = tl.load(p_j, mask=m_ne, other=0.0) * q0[:, None]
            b_jq += tl.load(p_j + 1, mask=m_ne, other=0.0) * q1[:, None]
            b_jq += tl.load(p_j + 2, mask=m_ne, other=0.0) * q2[:, None]
            t = tl.dot(b_q, b_vx, input_precision=PRECISION)
            t += tl.dot(b_jq, b_ve, input_precision=PRECISION)
            s = slope * w[None, :]
            dz += curve * w[None, :] * t
            if WANT_W:
                sum_w += tl.sum(slope * t, axis=0)
                sum_vx += tl.dot(tl.trans(s), b_q, input_precision=PRECISION)
                sum_ve += tl.dot(tl.trans(s), b_jq, input_precision=PRECISION)
            if WANT_J:
                p_e = tl.dot(s, tl.trans(b_ve), input_precision=PRECISION)
                p_gj = p_g_jacobian + (n[:, None] * E + e[None, :]) * 3
                tl.store(p_gj, p_e * q0[:, None], mask=m_ne)
                tl.store(p_gj + 1, p_e * q1[:, None], mask=m_ne)
                tl.store(p_gj + 2, p_e * q2[:, None], mask=m_ne)
        if WANT_W:
            sum_vx += tl.dot(tl.trans(dz), b_x, input_precision=PRECISION)
            sum_ve += tl.dot(tl.trans(dz), b_e, input_precision=PRECISION)
            sum_w2 += tl.dot(tl.trans(value), b_g, input_precision=PRECISION)
            sum_b2 += tl.sum(b_g, axis=0)
        if WANT_E:
            du = tl.dot(dz, tl.trans(b_ve), input_precision=PRECISION)
            tl.store(p_g_encoded + n[:, None] * E + e[None, :], du, mask=m_ne)
        if WANT_X:
            du = tl.dot(dz, tl.trans(b_vx), input_precision=PRECISION)
            tl.store(p_g_points + n[:, None] * 3 + c[None, :], du, mask=m_nx)
    if WANT_W:
        sum_w2 += tl.where(o[None, :] == 0, sum_w[:, None], 0.0)
        row = tl.program_id(0) * H + h[:, None]
        tl.store(p_g_v + row * (E + 4) + c[None, :], sum_vx, mask=m_h[:, None] & m_c[None, :])
        tl.store(p_g_v + row * (E + 4) + 4 + e[None, :], sum_ve, mask=m_h[:, None] & m_e[None, :])
        tl.store(p_g_w2 + row * OUT + o[None, :], sum_w2, mask=m_h[:, None] & m_o[None, :])
        tl.store(p_g_b2 + tl.program_id(0) * OUT + o, sum_b2, mask=m_o)


def _share(count: int, block: int, device: torch.device) -> tuple[int, int]:
    """Programs, and the blocks that each walks over: a power of two, so that few are compiled.

    Between half of and all the programs that run at once, for many points.
    """
    at_once = 2  # in the interpreter
    if device.type == "cuda":
        at_once = _RESIDENT * torch.cuda.get_device_properties(device).multi_processor_count
    blocks = -(-count // block)
    steps = power_of_two(-(-blocks // at_once))
    return -(-blocks // steps), steps


def _triton_forward(
    points: Tensor, encoded: Tensor, jacobian: Tensor | None, v: Tensor, w2: Tensor, b2: Tensor,
    softplus: bool,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    (N, E), H, OUT = encoded.shape, len(v), len(w2)
    out = encoded.new_empty(N, OUT)
    gradient = None if jacobian is None else encoded.new_empty(N, 3)
    block, _ = _BLOCKS[jacobian is not None]
    programs, steps = _share(N, block, encoded.device)
    if programs:
        with torch.cuda.device_of(encoded):
            _forward_kernel[(programs,)](
                points, encoded, _some(jacobian, encoded), v, w2, b2, out, _some(gradient, out),
                N, H, E, OUT,
                GRADIENT=jacobian is not None, SOFTPLUS=softplus, BH=power_of_two(H, _TILE),
                BE=power_of_two(E, _TILE), BO=power_of_two(OUT, _TILE), BLOCK=block, STEPS=steps,
                PRECISION=_PRECISION, num_warps=_WARPS, num_stages=1,
            )  # fmt: skip
    return out, gradient


def _some(tensor: Tensor | None, instead: Tensor) -> Tensor:
    """A pointer for an argument that is never followed."""
    return instead if tensor is None else tensor


def _triton_backward(
    points: Tensor, encoded: Tensor, jacobian: Tensor | None, v: Tensor, w2: Tensor,
    g_out: Tensor, g_gradient: Tensor | None, want: _Wanted, softplus: bool,
) -> _Grads:  # fmt: skip
    (N, E), H, OUT = encoded.shape, len(v), len(w2)
    g = _Grads.empty(points, encoded, jacobian, want)
    _, block = _BLOCKS[g_gradient is not None]
    programs, steps = _share(N, block, encoded.device)
    sums = programs if want.weights else 0
    g_v, g_w2 = encoded.new_empty(sums, H, E + 4), encoded.new_empty(sums, H, OUT)
    g_b2 = encoded.new_empty(sums, OUT)
    if programs:
        with torch.cuda.device_of(encoded):
            _backward_kernel[(programs,)](
                points, encoded, _some(jacobian, encoded), v, w2, g_out,
                _some(g_gradient, encoded), _some(g.points, encoded), _some(g.encoded, encoded),
                _some(g.jacobian, encoded), g_v, g_w2, g_b2, N, H, E, OUT,
                GRADIENT=g_gradient is not None, SOFTPLUS=softplus, WANT_X=want.points,
                WANT_E=want.encoded, WANT_J=g.jacobian is not None, WANT_W=want.weights,
                BH=power_of_two(H, _TILE), BE=power_of_two(E, _TILE),
                BO=power_of_two(OUT, _TILE), BLOCK=block, STEPS=steps, PRECISION=_PRECISION,
                num_warps=_WARPS, num_stages=1,
            )  # fmt: skip
    if want.weights:
        g.v, g.w2, g.b2 = g_v.sum(0), g_w2.sum(0).T, g_b2.sum(0)
    return g


# ---- Autograd and the public functions -----------------------------------------------------------


class _Head(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, chosen: Chosen, softplus: bool, points: Tensor, encoded: Tensor,
        jacobian: Tensor | None, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor,
    ) -> Any:  # fmt: skip
        ctx.chosen, ctx.softplus = chosen, softplus
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(points, encoded, jacobian, w1, b1, w2)
        run = _numba_forward if chosen == "numba" else _triton_forward
        x, e, J, w, b = _plain(points, encoded, jacobian, w2, b2)
        out, gradient = run(x, e, J, _with_bias(w1, b1), w, b, softplus)  # type: ignore[arg-type]
        return out if gradient is None else (out, gradient)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_out: Tensor | None, g_gradient: Tensor | None = None) -> Any:
        if g_out is None and g_gradient is None:
            return (None,) * 9
        points, encoded, jacobian, w1, b1, w2 = ctx.saved_tensors
        needs = ctx.needs_input_grad[2:]
        want = _Wanted(needs[0], needs[1], needs[2] and g_gradient is not None, any(needs[3:]))
        if g_out is None:
            g_out = encoded.new_zeros(len(encoded), len(w2))
        run = _numba_backward if ctx.chosen == "numba" else _triton_backward
        x, e, J, w, G, Q = _plain(points, encoded, jacobian, w2, g_out, g_gradient)
        g = run(x, e, J, _with_bias(w1, b1), w, G, Q, want, ctx.softplus)  # type: ignore[arg-type]
        g_w1 = g_b1 = None
        if g.v is not None:
            g_w1, g_b1 = torch.cat([g.v[:, :3], g.v[:, 4:]], 1), g.v[:, 3].contiguous()
        return None, None, g.points, g.encoded, g.jacobian, g_w1, g_b1, g.w2, g.b2


def _plain(*tensors: Tensor | None) -> list[Tensor | None]:
    """What a kernel reads: dense in memory, outside autograd."""
    return [None if t is None else t.detach().contiguous() for t in tensors]


def _with_bias(w1: Tensor, b1: Tensor) -> Tensor:
    """V = [W1x, b1, W1e], (H, 4 + E)."""
    return torch.cat([w1[:, :3], b1[:, None], w1[:, 3:]], 1).detach()


def sdf_head(
    points: Tensor,
    encoded: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    *,
    activation: Activation = "silu",
    backend: Backend = "auto",
) -> Tensor:
    """W2 act(W1 [x, e] + b1) + b2: the distance, or the distance and features, of points.

    Gradients flow to all tensors, once; the reference's can be differentiated again.

    Args:
        points: (N, 3), unit-sphere coordinates. Their gradient is that through W1 alone: the
            code is an input of its own.
        encoded: (N, E), the code of the points.
        w1, b1: (H, 3 + E) and (H,), the hidden layer.
        w2, b2: (O, H) and (O,), the outputs; the first one is the distance.
        activation: "silu", or "softplus" with VolSDF's beta of 100.
        backend: "torch" is the reference, "numba" the CPU loops, "triton" the GPU kernels. The
            kernels take up to 64 hidden units, codes and outputs.

    Returns:
        (N, O).

    Raises:
        ValueError: shapes or types that do not fit, or a forced backend that can't run here.

    Source:
        Yariv et al. 2021, VolSDF, section B.1, for the softplus; Mueller et al. 2022, Instant-NGP,
        section 3, for a small network behind a grid of features.
    """
    chosen = _check(points, encoded, None, w1, b1, w2, b2, activation, backend)
    if chosen == "torch":
        return sdf_head_reference(points, encoded, w1, b1, w2, b2, activation)
    soft = activation == "softplus"
    out: Tensor = _Head.apply(chosen, soft, points, encoded, None, w1, b1, w2, b2)
    return out


def sdf_head_with_gradient(
    points: Tensor,
    encoded: Tensor,
    jacobian: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    *,
    activation: Activation = "silu",
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor]:
    """`sdf_head`, and the exact gradient of its first output in space.

    Both outputs pass gradients to all tensors, once: an eikonal term needs no second pass.

    Args:
        points: (N, 3), unit-sphere coordinates.
        encoded: (N, E), their code.
        jacobian: (N, E, 3), d code / d point.
        w1, b1, w2, b2, activation, backend: as in `sdf_head`.

    Returns:
        The outputs (N, O), and d out[:, 0] / dx = W1x^T s + J^T W1e^T s, (N, 3), where
        s = act'(z) * W2[0]; per unit of the points' coordinates.

    Raises:
        ValueError: shapes or types that do not fit, or a forced backend that can't run here.

    Source:
        Gropp et al. 2020, IGR, section 3 (the eikonal term); Yariv et al. 2021, VolSDF.
    """
    chosen = _check(points, encoded, jacobian, w1, b1, w2, b2, activation, backend)
    if chosen == "torch":
        return sdf_head_with_gradient_reference(
            points, encoded, jacobian, w1, b1, w2, b2, activation
        )
    soft = activation == "softplus"
    both: tuple[Tensor, Tensor] = _Head.apply(
        chosen, soft, points, encoded, jacobian, w1, b1, w2, b2
    )
    return both


def _check(
    points: Tensor, encoded: Tensor, jacobian: Tensor | None, w1: Tensor, b1: Tensor, w2: Tensor,
    b2: Tensor, activation: str, backend: Backend,
) -> Chosen:  # fmt: skip
    """Which form runs; raises for what does not fit together."""
    if activation not in get_args(Activation):
        raise ValueError(f"activation must be one of {get_args(Activation)}, got {activation!r}")
    if encoded.ndim != 2 or w1.ndim != 2 or w2.ndim != 2 or 0 in (len(w1), len(w2)):
        raise ValueError(
            "encoded, w1 and w2 must be matrices, weights with rows, got "
            f"{tuple(encoded.shape)}, {tuple(w1.shape)} and {tuple(w2.shape)}"
        )
    (N, E), H, OUT = encoded.shape, len(w1), len(w2)
    wanted = {
        "points": (points, (N, 3)),
        "w1": (w1, (H, 3 + E)),
        "b1": (b1, (H,)),
        "w2": (w2, (OUT, H)),
        "b2": (b2, (OUT,)),
    }
    if jacobian is not None:
        wanted["jacobian"] = jacobian, (N, E, 3)
    for name, (tensor, shape) in wanted.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} must be {shape}, got {tuple(tensor.shape)}")
        if tensor.dtype != encoded.dtype or tensor.device != encoded.device:
            raise ValueError(
                f"{name} is {tensor.dtype} on {tensor.device}, "
                f"encoded is {encoded.dtype} on {encoded.device}"
            )
    unfit = {}
    if max(H, E, OUT) > _LIMIT or not E:
        reason = f"it takes 1 to {_LIMIT} hidden units, codes and outputs, got {H}, {E} and {OUT}"
        unfit = {"numba": reason, "triton": reason}
    return choose("sdf_head", backend, encoded, unfit=unfit)
