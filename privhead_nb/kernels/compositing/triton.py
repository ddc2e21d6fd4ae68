"""Compositing on a GPU: one program a block of rays, a ray's samples side by side in registers."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from torch import Tensor

from privhead_nb.kernels.compositing.naive import LEAST_OPACITY
from privhead_nb.kernels.lazy import power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl


@triton_kernel
def _add_before(total, before, next_total, next_before):  # noqa: ARG001
    """Sums over two stretches, one after the other: over all, and over all but the last entry."""
    return total + next_total, total + next_before


@triton_kernel
def _rays(p_sdf, p_deltas, p_beta, at, m_at):
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
def _forward_kernel(
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
def _backward_kernel(
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
    b_g_beta = b_slope * (b_sdf * inverse) - b_g_density * b_density * inverse
    tl.store(p_g_beta + tl.program_id(0), tl.sum(tl.sum(b_g_beta, axis=1), axis=0))


@lru_cache(maxsize=64)
def _sizes(samples: int, channels: int) -> dict[str, int]:
    """Shapes of a program: 8 samples a thread, so that a short ray stays in one warp."""
    padded = power_of_two(samples)
    rays = max(1, 256 // padded)
    warps = max(1, rays * padded // 256, rays * padded * power_of_two(channels) // 1024)
    return {"RAYS": rays, "SAMPLES": padded, "C": channels, "num_warps": warps}


def forward(
    sdf: Tensor, deltas: Tensor, t: Tensor | None, values: Tensor | None, beta: Tensor,
    weights: Tensor, summed: Tensor | None, opacity: Tensor | None, depth: Tensor | None,
) -> None:  # fmt: skip
    """Fill the last four; without `t` and `values` the weights alone."""
    (count, samples), channels = sdf.shape, 0 if values is None else values.shape[-1]
    sizes = _sizes(samples, channels)
    _forward_kernel.launch(
        sdf, (-(-count // sizes["RAYS"]),), sdf, deltas, t, values, beta, weights, summed, opacity,
        depth, count, samples, LEAST=LEAST_OPACITY, **sizes,
    )  # fmt: skip


def backward(
    sdf: Tensor, deltas: Tensor, t: Tensor | None, values: Tensor | None, beta: Tensor,
    ups: tuple[Tensor | None, ...], g_sdf: Tensor | None, g_deltas: Tensor | None,
    g_t: Tensor | None, g_values: Tensor | None,
) -> Tensor:  # fmt: skip
    """Fill the last four; returns parts of the sum dL/dbeta.

    `ups` are the upstream gradients of weights, values, opacity and depth.
    """
    (count, samples), channels = sdf.shape, 0 if values is None else values.shape[-1]
    sizes = _sizes(samples, channels)
    programs = -(-count // sizes["RAYS"])
    g_beta = sdf.new_empty(programs)
    _backward_kernel.launch(
        sdf, (programs,), sdf, deltas, t, values, beta, *ups, g_sdf, g_deltas, g_t, g_values,
        g_beta, count, samples, LEAST=LEAST_OPACITY, CHANNELS=power_of_two(channels), **sizes,
    )  # fmt: skip
    return g_beta
