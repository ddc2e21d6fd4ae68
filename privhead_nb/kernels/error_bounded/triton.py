"""VolSDF's sampler on a GPU: one program a ray, its samples side by side in registers.

It bisects in single precision, and decides again in double where max_k B_k is as near to epsilon as
rounding might move it. So both forms agree to the last digit but for one ray in many thousands.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from privhead_nb.kernels.error_bounded.naive import ErrorBound
from privhead_nb.kernels.lazy import power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl


@triton_kernel
def _count_up_to(p_row, x, size, STEPS: tl.constexpr):
    """How many of the `size` < 2^STEPS rising numbers at p_row are at most x: bisection."""
    count = tl.zeros_like(x).to(tl.int32)
    for step in tl.static_range(STEPS):
        probe = count + (1 << (STEPS - 1 - step))
        m_probe = probe <= size
        b_row = tl.load(p_row + probe - 1, mask=m_probe, other=0)
        count = tl.where(m_probe & (b_row <= x), probe, count)
    return count


@triton_kernel
def _closest_block(f, g, a):
    """d* of sections of length a between field values f and g, see `closest_on_section`."""
    b, c = tl.abs(f), tl.abs(g)
    half = (a + b + c) / 2
    area = tl.sqrt(tl.maximum(half * (half - a) * (half - b) * (half - c), 0.0))
    star = tl.where(b + c > a, 2 * area / tl.maximum(a, 1e-9), 0.0)
    star = tl.where(a * a + c * c <= b * b, c, star)
    star = tl.where(a * a + b * b <= c * c, b, star)
    return tl.where(f * g > 0, star, 0.0)


@triton_kernel
def _tau_block(f, delta, inverse):
    """sigma delta, see `laplace_density`; `inverse` is 1 / beta."""
    tail = 0.5 * tl.exp(-tl.abs(f) * inverse)
    return tl.where(f > 0, tail, 1 - tail) * inverse * delta


@triton_kernel
def _error_block(f_before, delta_before, delta, star, beta):
    """B_k. R_k sums what lies before k: so each slot holds the optical depth of section k - 1."""
    inverse = 1 / beta
    slope = 0.5 * inverse * delta
    before = tl.cumsum(_tau_block(f_before, delta_before, inverse), 0)
    error = tl.cumsum(tl.exp(-star * inverse) * slope * slope, 0)
    return (tl.exp(tl.minimum(error, 14.0)) - 1) * tl.exp(-before)


@triton_kernel
def _bounded_block(f_before, delta_before, delta, star, beta, epsilon, m_sections):
    """Whether B_k(beta) <= epsilon on all sections: in single precision, unless it is close."""
    b_error = _error_block(
        f_before.to(tl.float32), delta_before.to(tl.float32), delta.to(tl.float32),
        star.to(tl.float32), beta.to(tl.float32),
    )  # fmt: skip
    worst = tl.max(tl.where(m_sections, b_error, 0.0), axis=0)
    if tl.abs(worst - epsilon) < 1e-3 * epsilon:
        b_exact = _error_block(f_before, delta_before, delta, star, beta)
        worst = tl.max(tl.where(m_sections, b_exact, 0.0), axis=0).to(tl.float32)
    return worst <= epsilon


@triton_kernel
def _draw_block(p_t, p_cdf, pdf, jitter, sections, j, count, STEPS: tl.constexpr):
    """`inverse_cdf` at quantiles j of a ray: the samples (float32) and their places.

    The CDF goes through memory, where quantiles can look it up.
    """
    k = tl.arange(0, 1 << STEPS)
    m_sections = k < sections
    tl.store(p_cdf + k, tl.cumsum(tl.where(m_sections, pdf + 1e-6, 0.0), 0), mask=m_sections)
    tl.debug_barrier()  # all of it is written before any of it is read
    mass = (j + jitter.to(tl.float64)) / count * tl.load(p_cdf + sections - 1)
    section = _count_up_to(p_cdf, mass, sections, STEPS)
    section = tl.minimum(section, sections - 1)
    m_j = j < count
    low = tl.load(p_cdf + section - 1, mask=m_j & (section > 0), other=0.0)
    high = tl.load(p_cdf + section, mask=m_j, other=1.0)
    start = tl.load(p_t + section, mask=m_j, other=0.0).to(tl.float64)
    end = tl.load(p_t + section + 1, mask=m_j, other=0.0).to(tl.float64)
    share = tl.minimum(tl.maximum((mass - low) / (high - low), 0.0), 1.0)
    return (start + share * (end - start)).to(tl.float32), section + 1 + j


@triton_kernel
def _round_kernel(
    p_t, p_values, p_size, p_wide, p_active, p_added, p_place, p_cdf, p_asked, p_jitter, p_beta,
    jitter_stride, most, size, more, epsilon,
    MERGE: tl.constexpr, LAST: tl.constexpr, BISECTIONS: tl.constexpr,
    STEPS: tl.constexpr, MORE: tl.constexpr, MORE_STEPS: tl.constexpr,
):  # fmt: skip
    """One round of one ray: merge, d*, bound, bisection, and the samples to ask next.

    `size` <= 2^STEPS counts the samples with those that are merged now; `more` < 2^MORE_STEPS.
    """
    ray = tl.program_id(0).to(tl.int64)
    if tl.load(p_active + ray) == 0:
        return
    p_t += ray * most
    p_values += ray * most
    p_added += ray * more
    p_place += ray * more
    p_asked += ray * more
    p_cdf += ray * most
    k = tl.arange(0, 1 << STEPS)
    if MERGE:
        # Slot k: the last of the `new` added samples with a place up to k, if that place is k;
        # else an old sample, which `new` added ones have pushed back.
        new = _count_up_to(p_place, k, more, MORE_STEPS)
        place = tl.load(p_place + new - 1, mask=new > 0, other=-1)
        m_new = (place == k) & (k < size)
        m_old = (place != k) & (k < size)
        b_t = tl.load(p_added + new - 1, mask=m_new, other=0.0)
        b_t += tl.load(p_t + k - new, mask=m_old, other=0.0)
        b_values = tl.load(p_asked + new - 1, mask=m_new, other=0.0)
        b_values += tl.load(p_values + k - new, mask=m_old, other=0.0)
        tl.debug_barrier()  # all old samples are read before any is overwritten
        tl.store(p_t + k, b_t, mask=k < size)
        tl.store(p_values + k, b_values, mask=k < size)
        tl.store(p_size + ray, size)
        tl.debug_barrier()

    # Slot k holds section k, and the start of section k - 1.
    m_sections, m_before = k < size - 1, (k > 0) & (k < size)
    t = tl.load(p_t + k, mask=k < size, other=0.0).to(tl.float64)
    t_next = tl.load(p_t + k + 1, mask=m_sections, other=0.0).to(tl.float64)
    t_before = tl.load(p_t + k - 1, mask=m_before, other=0.0).to(tl.float64)
    f = tl.load(p_values + k, mask=k < size, other=1.0).to(tl.float64)
    f_next = tl.load(p_values + k + 1, mask=m_sections, other=1.0).to(tl.float64)
    f_before = tl.load(p_values + k - 1, mask=m_before, other=1.0).to(tl.float64)
    delta = tl.where(m_sections, t_next - t, 0.0)
    delta_before = tl.where(m_before, t - t_before, 0.0)
    star = _closest_block(f, f_next, delta)

    low = tl.load(p_beta).to(tl.float64)
    high = tl.load(p_wide + ray)
    if _bounded_block(f_before, delta_before, delta, star, low, epsilon, m_sections):
        tl.store(p_wide + ray, low)
        tl.store(p_active + ray, 0)
    else:
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            good = _bounded_block(f_before, delta_before, delta, star, middle, epsilon, m_sections)
            high = tl.where(good, middle, high)
            low = tl.where(good, low, middle)
        tl.store(p_wide + ray, high)
        if not LAST:
            pdf = _error_block(f_before, delta_before, delta, star, high)
            j = tl.arange(0, MORE)
            jitter = tl.load(p_jitter + ray * jitter_stride + j, mask=j < more, other=0.0)
            b_added, b_place = _draw_block(p_t, p_cdf, pdf, jitter, size - 1, j, more, STEPS)
            tl.store(p_added + j, b_added, mask=j < more)
            tl.store(p_place + j, b_place, mask=j < more)


@triton_kernel
def _final_kernel(
    p_t, p_values, p_size, p_wide, p_cdf, p_near, p_far, p_final, p_extra, p_out,
    jitter_stride, most, final, extra,
    STEPS: tl.constexpr, FINAL: tl.constexpr, EXTRA: tl.constexpr,
):  # fmt: skip
    """The final samples of one ray, its even ones and both ends, in rising order."""
    ray = tl.program_id(0).to(tl.int64)
    p_t += ray * most
    p_values += ray * most
    p_out += ray * (final + extra + 2)
    sections = tl.load(p_size + ray) - 1
    near, far = tl.load(p_near + ray), tl.load(p_far + ray)
    inverse = 1 / tl.load(p_wide + ray)

    k = tl.arange(0, 1 << STEPS)
    m_sections, m_before = k < sections, (k > 0) & (k <= sections)
    t = tl.load(p_t + k, mask=k <= sections, other=0.0).to(tl.float64)
    t_next = tl.load(p_t + k + 1, mask=m_sections, other=0.0).to(tl.float64)
    t_before = tl.load(p_t + k - 1, mask=m_before, other=0.0).to(tl.float64)
    f = tl.load(p_values + k, mask=m_sections, other=1.0).to(tl.float64)
    f_before = tl.load(p_values + k - 1, mask=m_before, other=1.0).to(tl.float64)
    tau = _tau_block(f, tl.where(m_sections, t_next - t, 0.0), inverse)
    tau_before = _tau_block(f_before, tl.where(m_before, t - t_before, 0.0), inverse)
    weights = tl.exp(-tl.cumsum(tau_before, 0)) * (1 - tl.exp(-tau))

    i, j = tl.arange(0, FINAL), tl.arange(0, EXTRA)
    jitter = tl.load(p_final + ray * jitter_stride + i, mask=i < final, other=0.0)
    drawn, _ = _draw_block(p_t, p_cdf + ray * most, weights, jitter, sections, i, final, STEPS)
    jitter = tl.load(p_extra + ray * jitter_stride + j, mask=j < extra, other=0.0)
    even = tl.minimum(near + (far - near) * ((j + jitter) / tl.maximum(extra, 1)), far)
    # A sample's place: its number, and how many of the other kind come before it.
    first = (drawn[:, None] <= even[None, :]) & (i < final)[:, None]
    second = (drawn[:, None] > even[None, :]) & (j < extra)[None, :]
    place_drawn = 1 + i + tl.sum(second.to(tl.int32), axis=1)
    place_even = 1 + j + tl.sum(first.to(tl.int32), axis=0)
    tl.store(p_out, near)
    tl.store(p_out + place_drawn, drawn, mask=i < final)
    tl.store(p_out + place_even, even, mask=j < extra)
    tl.store(p_out + final + extra + 1, far)


def launch_round(
    rays: tuple[Tensor, ...], asked: Tensor, jitter: Tensor, number: int, beta: Tensor,
    settings: ErrorBound,
) -> None:  # fmt: skip
    """One round of all rays, in place; `rays` are the buffers of `RayBuffers`."""
    size, more = settings.first + number * settings.more, settings.more
    steps = (size - 1).bit_length()
    _round_kernel.launch(
        asked, (len(asked),), *rays, asked, jitter, beta, jitter.stride(0), settings.most, size,
        more, settings.epsilon, MERGE=number > 0, LAST=number + 1 == settings.rounds,
        BISECTIONS=settings.bisections, STEPS=steps, MORE=power_of_two(more),
        MORE_STEPS=more.bit_length(), num_warps=_warps(steps),
    )  # fmt: skip


def launch_final(
    rays: tuple[Tensor, ...], near: Tensor, far: Tensor, final: Tensor, extra: Tensor, out: Tensor
) -> None:
    """The final samples of all rays, into `out`."""
    t, values, size, wide, *_, cdf = rays
    most = t.shape[1]
    steps = (most - 1).bit_length()
    _final_kernel.launch(
        out, (len(out),), t, values, size, wide, cdf, near, far, final, extra, out,
        final.stride(0), most, final.shape[1], extra.shape[1], STEPS=steps,
        FINAL=power_of_two(final.shape[1]), EXTRA=power_of_two(extra.shape[1]),
        num_warps=_warps(steps),
    )  # fmt: skip


def _warps(steps: int) -> int:
    """Four of 2^steps samples a thread."""
    return max(1, min(8, (1 << steps) // 128))
