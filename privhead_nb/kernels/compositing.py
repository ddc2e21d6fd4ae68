"""Volume compositing: signed distances along a ray -> density -> opacity -> weights (eq. 1).

    sigma_i = LaplaceCDF(-f_i; 0, beta) / beta          (VolSDF, Yariv et al. 2021, eq. 2-3)
    tau_i   = sigma_i delta_i
    T_i     = exp(-sum_{j<i} tau_j)                     (a sum of logarithms, never a product)
    w_i     = T_i (1 - exp(-tau_i))
    values  = sum_i w_i v_i,   opacity = sum_i w_i,   depth = sum_i w_i t_i / max(opacity, 1e-6)

A product of (1 - alpha_j) has the same value, but its gradient is 0/0 once an alpha reaches 1.

Backward. G_i = dL/dw_i gathers all that comes from above:

    G_i         = up_weights_i + up_values . v_i + up_depth (t_i - depth) / opacity + up_opacity
    dL/dtau_i   = G_i T_{i+1} - sum_{j>i} G_j w_j          (dT_j/dtau_i = -T_j for j > i)
    dL/df_i     = -dL/dtau_i delta_i tail_i / beta^2       tail = exp(-|f| / beta) / 2
    dL/dbeta    = sum_i dL/dtau_i delta_i (sign(f_i) tail_i |f_i| / beta - CDF_i) / beta^2

A constant in all G_i gives that constant times T_end, what leaves the ray, for the w_j behind i sum
to T_{i+1} - T_end: so up_opacity is taken out of G, and an opaque ray's gradient is no difference
of ones. No sum is got by subtraction: before a wall, and behind it, small terms keep their digits.

Nothing is stored for the backward but the inputs; all else is computed again. Bytes a sample with C
channels: forward 16 + 4 C (f, delta, t, v in; w out), backward 16 + 8 C (f, delta, t, v in; two
gradients out) and 4 more where the weights have a gradient. The reference moves about 570.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.lazy import numba_kernel, power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

LEAST_OPACITY = 1e-6  # depth is a mean over the weights, unless they sum to less than this
MAX_SAMPLES, MAX_CHANNELS = 1024, 16  # a ray stays in one program's registers

_F0, _HALF, _F1 = np.float32(0), np.float32(0.5), np.float32(1)
_LEAST = np.float32(LEAST_OPACITY)


class Composited(NamedTuple):
    """What rays show.

    Attributes:
        values: (N, C), the samples' values summed by weight.
        opacity: (N,), sum of the weights.
        depth: (N,), mean distance by weight; 0 where nothing is met.
        weights: (N, S).
    """

    values: Tensor
    opacity: Tensor
    depth: Tensor
    weights: Tensor


# The reference -----------------------------------------------------------------------------------


def laplace_density(sdf: Tensor, beta: Tensor | float) -> Tensor:
    """sigma = LaplaceCDF(-sdf; 0, beta) / beta (VolSDF, eq. 2-3).

    Both branches of the CDF come from one exponential of a negative number: the branch that is
    not taken can't overflow, so no gradient is NaN at tiny beta.

    Args:
        sdf: signed distance, any shape, negative inside.
        beta: width of the wall, in the unit of `sdf`; positive.

    Returns:
        Density per unit of length, the shape of `sdf`.
    """
    tail = 0.5 * torch.exp(-sdf.abs() / beta)
    return torch.where(sdf > 0, tail, 1 - tail) / beta


def weights_from_density(density: Tensor, deltas: Tensor) -> Tensor:
    """w_i = T_i alpha_i (eq. 1).

    Args:
        density: (..., S), per unit of length.
        deltas: (..., S), distance from each sample to the next.

    Returns:
        (..., S), each in [0, 1], with a sum of at most 1.
    """
    tau = density * deltas
    before = sum_before(tau)
    return torch.exp(-before) * -torch.expm1(-tau)


def weights_from_alpha(alpha: Tensor) -> Tensor:
    """w_i = T_i alpha_i for given opacities (..., S) in [0, 1]; sums of log(1 - alpha)."""
    log_through = torch.log1p(-alpha.clamp(max=1 - 1e-7))
    before = sum_before(log_through)
    return torch.exp(before) * alpha


def sum_before(values: Tensor) -> Tensor:
    """sum_{j<i} v_j; not cumsum - v, which loses what stands before a huge v to rounding."""
    return torch.nn.functional.pad(torch.cumsum(values[..., :-1], -1), (1, 0))


def composite(weights: Tensor, values: Tensor) -> Tensor:
    """sum_i w_i v_i (eq. 1): weights (..., S), values (..., S, C) -> (..., C)."""
    return (weights[..., None] * values).sum(-2)


def sdf_weights_reference(sdf: Tensor, deltas: Tensor, beta: Tensor | float) -> Tensor:
    """The specification: see `sdf_weights`. Any shape (..., S), differentiable twice and more."""
    return weights_from_density(laplace_density(sdf, beta), deltas)


def composite_sdf_reference(
    sdf: Tensor, deltas: Tensor, t: Tensor, values: Tensor, beta: Tensor | float
) -> Composited:
    """The specification: see `composite_sdf`. Differentiable twice and more."""
    weights = sdf_weights_reference(sdf, deltas, beta)
    opacity = weights.sum(-1)
    depth = (weights * t).sum(-1) / opacity.clamp_min(LEAST_OPACITY)
    return Composited(composite(weights, values), opacity, depth, weights)


# Numba: loops over samples that the compiler vectorises, then a short walk along each ray ---------

_LOG2_E, _LN2_HIGH, _LN2_LOW = (np.float32(x) for x in (1.44269504, 0.693359375, -2.12194440e-4))
_P2, _P3, _P4 = (np.float32(x) for x in (5.0000001e-1, 1.6666665e-1, 4.1665796e-2))
_P5, _P6, _P7 = (np.float32(x) for x in (8.3334519e-3, 1.3981999e-3, 1.9875691e-4))
_S2, _S3, _S4, _S5, _S6 = (np.float32(1 / x) for x in (2, 6, 24, 120, 720))
_LOWEST, _QUARTER = np.float32(-87), np.float32(0.25)
_BIAS, _MANTISSA = np.int32(127), np.int32(23)
_BLOCK = 1024  # samples that one iteration takes: its scratch stays in the first-level cache


@numba_kernel()
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0, to 3e-7: 2^n e^r, |r| <= ln(2) / 2 (Cephes' polynomial), no branch.

    The library's exp is a call, and a loop with a call in it is not vectorised.
    """
    x = max(x, _LOWEST)
    n = np.int32(x * _LOG2_E - _HALF)
    r = x - np.float32(n) * _LN2_HIGH - np.float32(n) * _LN2_LOW
    p = _P2 + r * (_P3 + r * (_P4 + r * (_P5 + r * (_P6 + r * _P7))))
    return (_F1 + r + r * r * p) * np.int32((n + _BIAS) << _MANTISSA).view(np.float32)


@numba_kernel()
def _density(sdf, inverse):  # type: ignore[no-untyped-def]
    """The Laplace tail and the density; `inverse` is 1 / beta."""
    tail = _HALF * _exp(-abs(sdf) * inverse)
    return tail, (tail if sdf > _F0 else _F1 - tail) * inverse


@numba_kernel()
def _opaque(tau, passed):  # type: ignore[no-untyped-def]
    """1 - exp(-tau) for passed = exp(-tau): its series where the difference would lose digits."""
    s = min(tau, _QUARTER)
    series = s * (_F1 - s * (_S2 - s * (_S3 - s * (_S4 - s * (_S5 - s * _S6)))))
    return series if tau < _QUARTER else _F1 - passed


@numba_kernel()
def _segments(sdf, deltas, inverse, passed, opaque):  # type: ignore[no-untyped-def]
    """exp(-tau) and 1 - exp(-tau) of a block of samples."""
    for k in range(len(sdf)):
        _, density = _density(sdf[k], inverse)
        tau = density * deltas[k]
        passed[k] = _exp(-tau)
        opaque[k] = _opaque(tau, passed[k])


@numba_kernel()
def _into_samples(sdf, deltas, inverse, g_tau, g_sdf, g_deltas):  # type: ignore[no-untyped-def]
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
def _forward_block(sdf, deltas, t, values, inverse, w, summed, opacity, depth):  # type: ignore[no-untyped-def]
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
def _backward_block(  # type: ignore[no-untyped-def]
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
def _forward_loop(  # type: ignore[no-untyped-def]
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
def _backward_loop(  # type: ignore[no-untyped-def]
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


# Triton: one program a block of rays; a ray's samples lie side by side in registers ---------------


@triton_kernel
def _add_before(total, before, next_total, next_before):  # type: ignore[no-untyped-def]  # noqa: ARG001
    """Sums over two stretches, one after the other: over all, and over all but the last entry."""
    return total + next_total, total + next_before


@triton_kernel
def _rays(p_sdf, p_deltas, p_beta, at, m_at):  # type: ignore[no-untyped-def]
    """What both passes need: f, delta, 1 / beta, tail, density, tau, T and the weights."""
    inverse = 1.0 / tl.load(p_beta)
    b_sdf = tl.load(p_sdf + at, mask=m_at, other=0.0)
    b_deltas = tl.load(p_deltas + at, mask=m_at, other=0.0)
    b_tail = 0.5 * tl.exp(-tl.abs(b_sdf) * inverse)
    b_density = tl.where(b_sdf > 0, b_tail, 1.0 - b_tail) * inverse
    b_tau = b_density * b_deltas
    _, b_before = tl.associative_scan((b_tau, tl.zeros_like(b_tau)), 1, _add_before)
    b_through = tl.exp(-b_before)
    # 1 - exp(-tau), by its series where the difference would lose digits
    b_s = tl.minimum(b_tau, 0.25)
    b_series = 1 / 6 - b_s * (1 / 24 - b_s * (1 / 120 - b_s * (1 / 720)))
    b_series = b_s * (1.0 - b_s * (0.5 - b_s * b_series))
    b_weights = b_through * tl.where(b_tau < 0.25, b_series, 1.0 - tl.exp(-b_tau))
    return b_sdf, b_deltas, inverse, b_tail, b_density, b_tau, b_through, b_weights


@triton_kernel
def _forward_kernel(  # type: ignore[no-untyped-def]
    p_sdf, p_deltas, p_t, p_values, p_beta, p_weights, p_summed, p_opacity, p_depth,
    count, samples,
    LEAST: tl.constexpr, RAYS: tl.constexpr, SAMPLES: tl.constexpr, C: tl.constexpr,
):  # fmt: skip
    """Without channels (C = 0) only the weights are written."""
    first = tl.program_id(0).to(tl.int64) * RAYS
    ray, sample = tl.arange(0, RAYS), tl.arange(0, SAMPLES)
    m_ray = ray < count - first
    m_at = m_ray[:, None] & (sample < samples)[None, :]
    at = ray[:, None] * samples + sample[None, :]
    skip = first * samples
    _, _, _, _, _, _, _, b_weights = _rays(p_sdf + skip, p_deltas + skip, p_beta, at, m_at)
    tl.store(p_weights + skip + at, b_weights, mask=m_at)
    if C > 0:
        for c in tl.static_range(C):
            b_value = tl.load(p_values + skip * C + at * C + c, mask=m_at, other=0.0)
            b_summed = tl.sum(b_weights * b_value, axis=1)
            tl.store(p_summed + (first + ray) * C + c, b_summed, mask=m_ray)
        b_t = tl.load(p_t + skip + at, mask=m_at, other=0.0)
        b_opacity = tl.sum(b_weights, axis=1)
        b_depth = tl.sum(b_weights * b_t, axis=1) / tl.maximum(b_opacity, LEAST)
        tl.store(p_opacity + first + ray, b_opacity, mask=m_ray)
        tl.store(p_depth + first + ray, b_depth, mask=m_ray)


@triton_kernel
def _backward_kernel(  # type: ignore[no-untyped-def]
    p_sdf, p_deltas, p_t, p_values, p_beta, p_up_weights, p_up_values, p_up_opacity, p_up_depth,
    p_g_sdf, p_g_deltas, p_g_t, p_g_values, p_g_beta, count, samples,
    LEAST: tl.constexpr, RAYS: tl.constexpr, SAMPLES: tl.constexpr,
    C: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """A pointer that is None is not given, or not wanted; `p_g_beta` takes partial sums."""
    first = tl.program_id(0).to(tl.int64) * RAYS
    ray, sample = tl.arange(0, RAYS), tl.arange(0, SAMPLES)
    m_ray = ray < count - first
    m_at = m_ray[:, None] & (sample < samples)[None, :]
    at = ray[:, None] * samples + sample[None, :]
    skip = first * samples
    b_sdf, b_deltas, inverse, b_tail, b_density, b_tau, b_through, b_weights = _rays(
        p_sdf + skip, p_deltas + skip, p_beta, at, m_at
    )
    b_up = tl.zeros_like(b_tau)
    if p_up_weights is not None:
        b_up += tl.load(p_up_weights + skip + at, mask=m_at, other=0.0)
    if p_up_values is not None:
        for c in tl.static_range(C):
            b_pull = tl.load(p_up_values + (first + ray) * C + c, mask=m_ray, other=0.0)
            b_value = tl.load(p_values + skip * C + at * C + c, mask=m_at, other=0.0)
            b_up += b_value * b_pull[:, None]
        if p_g_values is not None:
            # channels as an axis: neighbouring threads write neighbouring numbers
            channel = tl.arange(0, CHANNELS)
            m_pull = m_ray[:, None] & (channel < C)[None, :]
            at_pull = (first + ray)[:, None] * C + channel[None, :]
            b_pull = tl.load(p_up_values + at_pull, mask=m_pull, other=0.0)
            m_value = m_at[:, :, None] & (channel < C)[None, None, :]
            at_value = at[:, :, None] * C + channel[None, None, :]
            b_g_values = b_weights[:, :, None] * b_pull[:, None, :]
            tl.store(p_g_values + skip * C + at_value, b_g_values, mask=m_value)
    if p_up_depth is not None:
        b_t = tl.load(p_t + skip + at, mask=m_at, other=0.0)
        b_total = tl.sum(b_weights, axis=1)
        b_mean = tl.sum(b_weights * b_t, axis=1) / tl.maximum(b_total, LEAST)
        b_centre = tl.where(b_total >= LEAST, b_mean, 0.0)
        b_turn = tl.load(p_up_depth + first + ray, mask=m_ray, other=0.0)
        b_turn = b_turn / tl.maximum(b_total, LEAST)
        b_up += b_turn[:, None] * (b_t - b_centre[:, None])
        if p_g_t is not None:
            tl.store(p_g_t + skip + at, b_weights * b_turn[:, None], mask=m_at)
    _, b_later = tl.associative_scan(
        (b_up * b_weights, tl.zeros_like(b_tau)), 1, _add_before, reverse=True
    )
    b_g_tau = b_up * b_through * tl.exp(-b_tau) - b_later
    if p_up_opacity is not None:
        b_leaves = tl.exp(-tl.sum(b_tau, axis=1))
        b_leaves = b_leaves * tl.load(p_up_opacity + first + ray, mask=m_ray, other=0.0)
        b_g_tau += b_leaves[:, None]
    b_g_density = b_g_tau * b_deltas
    b_slope = b_g_density * b_tail * inverse * inverse
    if p_g_sdf is not None:
        tl.store(p_g_sdf + skip + at, -b_slope, mask=m_at)
    if p_g_deltas is not None:
        tl.store(p_g_deltas + skip + at, b_g_tau * b_density, mask=m_at)
    if p_g_beta is not None:
        b_g_beta = b_slope * (b_sdf * inverse) - b_g_density * b_density * inverse
        tl.store(p_g_beta + tl.program_id(0), tl.sum(tl.sum(b_g_beta, axis=1), axis=0))


# Launchers and autograd ---------------------------------------------------------------------------

_NOTHING = {n: np.empty((0,) * n, np.float32) for n in (1, 2, 3)}


def _arrays(*tensors: tuple[int, Tensor | None]) -> list[Any]:
    """(dimensions, tensor) as NumPy arrays, for Numba; an empty one where there is no tensor."""
    return [_NOTHING[n] if x is None else x.detach().numpy() for n, x in tensors]


@lru_cache(maxsize=64)
def _sizes(samples: int, channels: int) -> dict[str, int]:
    """Shapes of a Triton program: 8 samples a thread, so that a short ray stays in one warp."""
    padded = power_of_two(samples)
    rays = max(1, 256 // padded)
    warps = max(1, rays * padded // 256, rays * padded * power_of_two(channels) // 1024)
    return {"RAYS": rays, "SAMPLES": padded, "C": channels, "num_warps": warps}


class _Fused(torch.autograd.Function):
    """`composite_sdf`; without `t` and `values` the weights alone."""

    @staticmethod
    def forward(
        ctx: Any,
        numba: bool,
        sdf: Tensor,
        deltas: Tensor,
        beta: Tensor,
        t: Tensor | None,
        values: Tensor | None,
    ) -> Any:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(sdf, deltas, beta, t, values)
        ctx.numba = numba
        sdf, deltas, t, values = _contiguous(sdf, deltas, t, values)
        (count, samples), channels = sdf.shape, 0 if values is None else values.shape[-1]
        weights = torch.empty_like(sdf)
        summed = opacity = depth = None
        if values is not None:
            summed = sdf.new_empty(count, channels)
            opacity, depth = sdf.new_empty(count), sdf.new_empty(count)
        if numba:
            rows = max(1, _BLOCK // samples)
            _forward_loop(
                -(-count // rows), *_arrays((2, sdf), (2, deltas), (2, t), (3, values)),
                np.float32(beta.item()), rows,
                *_arrays((2, weights), (2, summed), (1, opacity), (1, depth)),
            )  # fmt: skip
        elif count:
            sizes = _sizes(samples, channels)
            with torch.cuda.device_of(sdf):
                _forward_kernel[(-(-count // sizes["RAYS"]),)](
                    sdf, deltas, t, values, beta, weights, summed, opacity, depth,
                    count, samples, LEAST=LEAST_OPACITY, **sizes,
                )  # fmt: skip
        return weights if values is None else (summed, opacity, depth, weights)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *ups: Tensor | None) -> Any:
        sdf, deltas, beta, t, values = ctx.saved_tensors
        shape = beta.shape
        sdf, deltas, t, values = _contiguous(sdf, deltas, t, values)
        (count, samples), channels = sdf.shape, 0 if values is None else values.shape[-1]
        up_values, up_opacity, up_depth, up_weights = _contiguous(
            *((None, None, None) if values is None else ()), *ups
        )
        _, for_sdf, for_deltas, for_beta, for_t, for_values = ctx.needs_input_grad
        g_sdf = torch.empty_like(sdf) if for_sdf else None
        g_deltas = torch.empty_like(sdf) if for_deltas else None
        g_t = torch.empty_like(sdf) if for_t and up_depth is not None else None
        g_values = torch.empty_like(values) if for_values and up_values is not None else None
        ups = (up_weights, up_values, up_opacity, up_depth)
        if ctx.numba:
            rows = max(1, _BLOCK // samples)
            g_beta = sdf.new_empty(-(-count // rows))
            _backward_loop(
                len(g_beta), *_arrays((2, sdf), (2, deltas), (2, t), (3, values)),
                np.float32(beta.item()), rows,
                *_arrays((2, up_weights), (2, up_values), (1, up_opacity), (1, up_depth)),
                *_arrays((2, g_sdf), (2, g_deltas), (2, g_t), (3, g_values), (1, g_beta)),
            )  # fmt: skip
        else:
            sizes = _sizes(samples, channels)
            programs = -(-count // sizes["RAYS"])
            g_beta = sdf.new_empty(programs) if for_beta else None
            if count:
                with torch.cuda.device_of(sdf):
                    _backward_kernel[(programs,)](
                        sdf, deltas, t, values, beta, *ups, g_sdf, g_deltas, g_t, g_values, g_beta,
                        count, samples, LEAST=LEAST_OPACITY, CHANNELS=power_of_two(channels),
                        **sizes,
                    )  # fmt: skip
        g_beta = g_beta.sum().reshape(shape) if g_beta is not None and for_beta else None
        return None, g_sdf, g_deltas, g_beta, g_t, g_values


def _contiguous(*tensors: Tensor | None) -> tuple[Any, ...]:
    return tuple(None if x is None else x.contiguous() for x in tensors)


# The public functions -----------------------------------------------------------------------------


def sdf_weights(
    sdf: Tensor, deltas: Tensor, beta: Tensor | float, *, backend: Backend = "auto"
) -> Tensor:
    """Weights of samples along rays, from signed distances (eq. 1 with VolSDF's density, eq. 2-3).

    Args:
        sdf: (N, S) signed distances, negative inside.
        deltas: (N, S), distance from each sample to the next, in the unit of `sdf`, not negative.
        beta: width of the wall, a number or a tensor of one; positive, in the unit of `sdf`.
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel.

    Returns:
        (N, S), each in [0, 1], with a sum of at most 1. Differentiable in `sdf`, `deltas` and
        `beta`; only the reference more than once.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run here.
    """
    _check(sdf, deltas, beta)
    chosen = choose("sdf_weights", backend, sdf, unfit=_unfit(sdf, deltas))
    if chosen == "torch":
        return sdf_weights_reference(sdf, deltas, beta)
    return _Fused.apply(chosen == "numba", sdf, deltas, _scalar(beta, sdf), None, None)


def composite_sdf(
    sdf: Tensor,
    deltas: Tensor,
    t: Tensor,
    values: Tensor,
    beta: Tensor | float,
    *,
    backend: Backend = "auto",
) -> Composited:
    """Signed distances to what a ray shows, in one pass (eq. 1 with VolSDF's density, eq. 2-3).

    Args:
        sdf: (N, S) signed distances, negative inside.
        deltas: (N, S), distance from each sample to the next, in the unit of `sdf`, not negative.
        t: (N, S), distance along the ray.
        values: (N, S, C) what is summed up: colours, normals.
        beta: width of the wall, a number or a tensor of one; positive, in the unit of `sdf`.
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel.

    Returns:
        See `Composited`. All four are differentiable in all inputs; only the reference more than
        once. At a signed distance of 0 the kernels give the density's slope, autograd of |sdf| 0.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run here.
    """
    _check(sdf, deltas, beta)
    if t.shape != sdf.shape or values.ndim != 3 or values.shape[:2] != sdf.shape:
        raise ValueError(
            f"sdf is {tuple(sdf.shape)}, so t must be the same and values {tuple(sdf.shape)} + "
            f"(C,); got {tuple(t.shape)} and {tuple(values.shape)}"
        )
    chosen = choose("composite_sdf", backend, sdf, unfit=_unfit(sdf, deltas, t, values))
    if chosen == "torch":
        return composite_sdf_reference(sdf, deltas, t, values, beta)
    return Composited(*_Fused.apply(chosen == "numba", sdf, deltas, _scalar(beta, sdf), t, values))


def _check(sdf: Tensor, deltas: Tensor, beta: Tensor | float) -> None:
    if sdf.ndim != 2 or deltas.shape != sdf.shape:
        raise ValueError(
            f"sdf and deltas must be (N, S), got {tuple(sdf.shape)} and {tuple(deltas.shape)}"
        )
    if isinstance(beta, Tensor) and beta.numel() != 1:
        raise ValueError(f"beta must be one number, got a tensor of {tuple(beta.shape)}")


def _unfit(sdf: Tensor, *others: Tensor) -> dict[str, str] | None:
    """Why a kernel can't take these inputs."""
    samples = sdf.shape[1]
    channels = others[-1].shape[2] if len(others) > 1 else 1
    if samples < 1 or channels < 1:
        reason = "there is nothing to sum up"
        return {"numba": reason, "triton": reason}
    if any(x.dtype != sdf.dtype or x.device != sdf.device for x in others):
        reason = "its inputs must have one dtype and one device"
        return {"numba": reason, "triton": reason}
    if samples > MAX_SAMPLES or channels > MAX_CHANNELS:
        most = f"{MAX_SAMPLES} samples a ray and {MAX_CHANNELS} channels"
        return {"triton": f"it takes at most {most}, not {samples} and {channels}"}
    return None


def _scalar(beta: Tensor | float, like: Tensor) -> Tensor:
    """Beta as a tensor beside the others; a number gets there without waiting for the device."""
    if isinstance(beta, Tensor):
        return beta.to(like)
    return torch.full((), beta, dtype=like.dtype, device=like.device)
