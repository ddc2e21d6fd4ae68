"""Compositing on the CPU: loops over samples that the compiler vectorises, then along each ray.

The derivation of the backward stands in the package's text (`kernels/compositing/__init__.py`).
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from torch import Tensor

from privhead_nb.kernels.compositing.naive import LEAST_OPACITY
from privhead_nb.kernels.inputs import array
from privhead_nb.kernels.lazy import numba_kernel

_F0, _HALF, _F1 = np.float32(0), np.float32(0.5), np.float32(1)
_LEAST = np.float32(LEAST_OPACITY)
_LOG2_E, _LN2_HIGH, _LN2_LOW = (np.float32(x) for x in (1.44269504, 0.693359375, -2.12194440e-4))
_P2, _P3, _P4 = (np.float32(x) for x in (5.0000001e-1, 1.6666665e-1, 4.1665796e-2))
_P5, _P6, _P7 = (np.float32(x) for x in (8.3334519e-3, 1.3981999e-3, 1.9875691e-4))
_S2, _S3, _S4, _S5, _S6 = (np.float32(1 / x) for x in (2, 6, 24, 120, 720))
_LOWEST, _QUARTER = np.float32(-87), np.float32(0.25)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)
_BLOCK = 1024  # samples that one iteration takes: its scratch stays in the first-level cache


@numba_kernel()
def _exp(x):
    """exp(x) for x <= 0, to 3e-7: 2^n e^r, |r| <= ln(2) / 2 (Cephes' polynomial), no branch.

    The library's exp is a call, and a loop with a call in it is not vectorised.
    """
    x = max(x, _LOWEST)
    n = np.int32(x * _LOG2_E - _HALF)
    r = x - np.float32(n) * _LN2_HIGH - np.float32(n) * _LN2_LOW
    p = _P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * (_P6 + r * _P7))))
    return (_F1 + r + r * r * p) * np.int32((n + _BIAS) << _MANTISSA).view(np.float32)


@numba_kernel()
def _density(sdf, inverse):
    """The Laplace tail and the density; `inverse` is 1 / beta."""
    tail = _HALF * _exp(-abs(sdf) * inverse)
    return tail, (tail if sdf > _F0 else _F1 - tail) * inverse


@numba_kernel()
def _opaque(tau, passed):
    """1 - exp(-tau) for passed = exp(-tau): its series where the difference would lose digits."""
    s = min(tau, _QUARTER)
    series = s * (_F1 - s * (_S2 - s * (_S3 - s * (_S4 - s * (_S5 - s * _S6)))))
    return series if tau < _QUARTER else _F1 - passed


@numba_kernel()
def _segments(sdf, deltas, inverse, passed, opaque):
    """exp(-tau) and 1 - exp(-tau) of a block of samples."""
    for k in range(len(sdf)):
        _, density = _density(sdf[k], inverse)
        tau = density * deltas[k]
        passed[k] = _exp(-tau)
        opaque[k] = _opaque(tau, passed[k])


@numba_kernel()
def _into_samples(sdf, deltas, inverse, g_tau, g_sdf, g_deltas):
    """From dL/dtau to gradients of a block of samples; returns dL/dbeta."""
    g_beta = _F0
    for k in range(len(sdf)):
        tail, density = _density(sdf[k], inverse)
        g_density = g_tau[k] * deltas[k]
        slope = g_density * tail * inverse * inverse
        g_beta += slope * (sdf[k] * inverse) - g_density * density * inverse
        if len(g_sdf):
            g_sdf[k] = -slope
        if len(g_deltas):
            g_deltas[k] = g_tau[k] * density
    return g_beta


@numba_kernel()
def _forward_block(sdf, deltas, t, values, inverse, w, summed, opacity, depth):
    """A block of rays; without values only the weights `w` are written."""
    passed = np.empty(w.shape, np.float32)
    _segments(sdf.reshape(-1), deltas.reshape(-1), inverse, passed.reshape(-1), w.reshape(-1))
    for n in range(len(w)):
        through = _F1
        for i in range(w.shape[1]):
            w[n, i] *= through
            through *= passed[n, i]
    for n in range(len(values)):
        total, moment = _F0, _F0
        for i in range(w.shape[1]):
            total += w[n, i]
            moment += w[n, i] * t[n, i]
        opacity[n], depth[n] = total, moment / max(total, _LEAST)
        for c in range(values.shape[2]):
            value = _F0
            for i in range(w.shape[1]):
                value += w[n, i] * values[n, i, c]
            summed[n, c] = value


@numba_kernel()
def _backward_block(
    sdf, deltas, t, values, inverse, up_weights, up_values, up_opacity, up_depth,
    g_sdf, g_deltas, g_t, g_values,
):  # fmt: skip
    """A block of rays; returns dL/dbeta."""
    samples, channels = sdf.shape[1], values.shape[2]
    f, delta = sdf.reshape(-1), deltas.reshape(-1)
    w, after = np.empty(sdf.shape, np.float32), np.empty(sdf.shape, np.float32)
    up, g_tau = np.zeros(sdf.shape, np.float32), np.empty(sdf.shape, np.float32)
    _segments(f, delta, inverse, after.reshape(-1), w.reshape(-1))
    for n in range(len(sdf)):
        through = _F1
        for i in range(samples):
            w[n, i] *= through
            through *= after[n, i]
            after[n, i] = through  # T_{i+1} from here on
        if len(up_weights):
            for i in range(samples):
                up[n, i] = up_weights[n, i]
        if len(up_values):
            for c in range(channels):
                for i in range(samples):
                    up[n, i] += up_values[n, c] * values[n, i, c]
        if len(g_values):
            for c in range(channels):
                for i in range(samples):
                    g_values[n, i, c] = up_values[n, c] * w[n, i]
        if len(up_depth):
            total, moment = _F0, _F0
            for i in range(samples):
                total += w[n, i]
                moment += w[n, i] * t[n, i]
            pull = up_depth[n] / max(total, _LEAST)
            centre = moment / total if total >= _LEAST else _F0
            for i in range(samples):
                up[n, i] += pull * (t[n, i] - centre)
                if len(g_t):
                    g_t[n, i] = pull * w[n, i]
        leaves = through * up_opacity[n] if len(up_opacity) else _F0
        later = _F0
        for i in range(samples - 1, -1, -1):
            g_tau[n, i] = up[n, i] * after[n, i] - later + leaves
            later += up[n, i] * w[n, i]
    return _into_samples(
        f, delta, inverse, g_tau.reshape(-1), g_sdf.reshape(-1), g_deltas.reshape(-1)
    )


@numba_kernel(parallel=True)
def _forward_loop(
    first, last, sdf, deltas, t, values, beta, rows, weights, summed, opacity, depth
):  # fmt: skip
    """All rays, by blocks of `rows`."""
    for block in range(first, last):
        a, b = block * rows, min(block * rows + rows, len(sdf))
        _forward_block(
            sdf[a:b], deltas[a:b], t[a:b], values[a:b], _F1 / beta,
            weights[a:b], summed[a:b], opacity[a:b], depth[a:b],
        )  # fmt: skip


@numba_kernel(parallel=True)
def _backward_loop(
    first, last, sdf, deltas, t, values, beta, rows, up_weights, up_values, up_opacity, up_depth,
    g_sdf, g_deltas, g_t, g_values, g_beta,
):  # fmt: skip
    """An array without rays is not given, or not wanted. `g_beta` takes each block's sum."""
    for block in range(first, last):
        a, b = block * rows, min(block * rows + rows, len(sdf))
        g_beta[block] = _backward_block(
            sdf[a:b], deltas[a:b], t[a:b], values[a:b], _F1 / beta,
            up_weights[a:b], up_values[a:b], up_opacity[a:b], up_depth[a:b],
            g_sdf[a:b], g_deltas[a:b], g_t[a:b], g_values[a:b],
        )  # fmt: skip


def forward(
    sdf: Tensor, deltas: Tensor, t: Tensor | None, values: Tensor | None, beta: Tensor,
    weights: Tensor, summed: Tensor | None, opacity: Tensor | None, depth: Tensor | None,
) -> None:  # fmt: skip
    """Fill the last four; without `t` and `values` the weights alone."""
    rows = max(1, _BLOCK // sdf.shape[1])
    _forward_loop(
        -(-len(sdf) // rows), array(sdf, 2), array(deltas, 2), array(t, 2), array(values, 3),
        np.float32(beta.item()), rows,
        array(weights, 2), array(summed, 2), array(opacity, 1), array(depth, 1),
    )  # fmt: skip


def backward(
    sdf: Tensor, deltas: Tensor, t: Tensor | None, values: Tensor | None, beta: Tensor,
    ups: tuple[Tensor | None, ...], g_sdf: Tensor | None, g_deltas: Tensor | None,
    g_t: Tensor | None, g_values: Tensor | None,
) -> Tensor:  # fmt: skip
    """Fill the last four; returns parts of the sum dL/dbeta.

    `ups` are the upstream gradients of weights, values, opacity and depth.
    """
    rows = max(1, _BLOCK // sdf.shape[1])
    g_beta = sdf.new_empty(-(-len(sdf) // rows))
    _backward_loop(
        len(g_beta), array(sdf, 2), array(deltas, 2), array(t, 2), array(values, 3),
        np.float32(beta.item()), rows,
        *(array(up, n) for up, n in zip(ups, (2, 2, 1, 1), strict=True)),
        array(g_sdf, 2), array(g_deltas, 2), array(g_t, 2), array(g_values, 3), array(g_beta, 1),
    )  # fmt: skip
    return g_beta
