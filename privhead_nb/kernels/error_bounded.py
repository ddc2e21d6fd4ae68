"""VolSDF's sampler: samples on a ray whose opacity is off by at most epsilon.

Yariv et al. 2021, "Volume Rendering of Neural Implicit Surfaces", algorithm 1 and its appendix. On
section k of a ray, of length delta_k, with f_k the field at its start:

    d*_k = least distance to the surface there          two balls, |f_k| and |f_k+1| wide, are free
    R_k  = sum_{j<k} sigma(f_j; beta) delta_j                   optical depth of the samples so far
    E_k  = sum_{j<=k} exp(-d*_j / beta) delta_j^2 / (4 beta^2)  how far R may be off
    B_k  = (exp(E_k) - 1) exp(-R_k)                     bounds the opacity's error on section k

A ray starts from an even grid and from a beta_+ so wide that this grid bounds its error (lemma 2).
Each round then
    tests whether max_k B_k(beta) <= epsilon: then beta_+ = beta, and the ray is left alone;
    else shrinks beta_+ by bisection, as far as max_k B_k(beta_+) <= epsilon allows;
    and adds samples by the inverse CDF of B(beta_+), sorted in among the old ones.
The last samples follow the weights at the ray's last beta_+, with a few even ones among them.

Precision. Samples and field values are single, what is made of them is double: a quantile behind a
wall lies where the CDF is 1 - 1e-4, and an error of 1e-7 there moves its sample by a thousandth of
what is left of the ray; and a bisection that takes one other turn ends elsewhere. The Triton kernel
bisects in single precision and decides again in double where max_k B_k is as near to epsilon as
rounding might move it. So all forms agree to the last digit but for one ray in many thousands.

Random numbers are drawn outside. Quantile j of n is (j + jitter_j) / n with 0 <= jitter_j < 1: they
rise by themselves, so nothing is sorted, and a drawn sample's place among the old ones is the
number of its section plus j.

The reference launches about 25 operations for each of 12 bounds a round. The kernels keep a ray in
one program: a round reads its S samples (8 S bytes) and writes them back with the new ones. They
have a fixed number of rounds and nothing that the host must wait for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from privhead_nb.kernels.compositing import laplace_density, sum_before, weights_from_density
from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.lazy import numba_kernel, power_of_two, triton_kernel
from privhead_nb.kernels.surface_march import sphere_interval

if TYPE_CHECKING:
    import triton.language as tl

Field = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class ErrorBound:
    """Settings of VolSDF's sampler (Yariv et al. 2021, algorithm 1 and appendix B).

    Args:
        first: samples to start from.
        more: samples added in each round but the last.
        final: samples drawn for the rendering.
        extra: even samples beside them.
        epsilon: bound on the opacity's error.
        rounds: at most this many bounds; the field is asked before each.
        bisections: of beta_+ in each round.
    """

    first: int = 64
    more: int = 64
    final: int = 64
    extra: int = 32
    epsilon: float = 0.1
    rounds: int = 5
    bisections: int = 10

    def __post_init__(self) -> None:
        if self.first < 2 or min(self.more, self.final, self.rounds, self.bisections) < 1:
            raise ValueError(f"first must be at least 2, the other counts at least 1: {self}")
        if self.extra < 0 or self.epsilon <= 0:
            raise ValueError(f"extra must not be negative, epsilon must be positive: {self}")

    @property
    def most(self) -> int:
        """Samples of a ray that never converges."""
        return self.first + (self.rounds - 1) * self.more

    @property
    def numbers(self) -> int:
        """Random numbers that a ray may take."""
        return self.most + self.final + self.extra

    def split(self, jitter: Tensor) -> tuple[Tensor, tuple[Tensor, ...], Tensor, Tensor]:
        """Jitter (N, numbers) as that of the first samples, of each round, of the final, extra."""
        added = [self.more] * (self.rounds - 1)
        parts = jitter.split([self.first, *added, self.final, self.extra], 1)
        return parts[0], parts[1:-2], parts[-2], parts[-1]


# The reference -----------------------------------------------------------------------------------


def quantiles(jitter: Tensor) -> Tensor:
    """(j + jitter_j) / n for jitter (N, n) in [0, 1): one in each of n equal parts; doubles."""
    count = jitter.shape[1]
    return (torch.arange(count, device=jitter.device) + jitter.double()) / count


def closest_on_section(sdf: Tensor, deltas: Tensor) -> Tensor:
    """d*: least distance to the surface that a section can have (VolSDF, lemma 1).

    It is the height of the triangle with sides delta, |f_k| and |f_k+1|, or its shorter side where
    an angle at delta is obtuse, and 0 where the balls do not meet or the sign changes.

    Args:
        sdf: (N, S) at the samples.
        deltas: (N, S - 1) lengths of the sections.

    Returns:
        (N, S - 1).
    """
    b, c, a = sdf[:, :-1].abs(), sdf[:, 1:].abs(), deltas
    half = (a + b + c) / 2
    area = (half * (half - a) * (half - b) * (half - c)).clamp_min(0).sqrt()
    star = torch.where(b + c > a, 2 * area / a.clamp_min(1e-9), 0.0)
    star = torch.where(a.square() + c.square() <= b.square(), c, star)
    star = torch.where(a.square() + b.square() <= c.square(), b, star)
    return star * (sdf[:, :-1].sign() * sdf[:, 1:].sign() > 0)


def opacity_error(beta: Tensor, sdf: Tensor, deltas: Tensor, star: Tensor) -> Tensor:
    """B: bound on the opacity's error at each section (VolSDF, eq. 15-16).

    Args:
        beta: (N,), one a ray.
        sdf, deltas, star: (N, S), (N, S - 1), (N, S - 1), see `closest_on_section`.

    Returns:
        (N, S - 1).
    """
    beta = beta[:, None]
    tau = laplace_density(sdf[:, :-1], beta) * deltas
    through = torch.exp(-sum_before(tau))
    error = torch.cumsum(torch.exp(-star / beta) * deltas.square() / (4 * beta.square()), -1)
    return (torch.exp(error.clamp(max=14)) - 1) * through


def inverse_cdf(t: Tensor, pdf: Tensor, u: Tensor) -> Tensor:
    """Samples of a piecewise constant density on the sections of t, in double precision.

    Args:
        t: (N, S) rising section ends.
        pdf: (N, S - 1) mass of each section, any non-negative scale.
        u: (N, n) rising quantiles in [0, 1], doubles.

    Returns:
        (N, n), rising, in the precision of t; each lies on its section, ends included.
    """
    edges = torch.nn.functional.pad(torch.cumsum(pdf.double() + 1e-6, -1), (1, 0))
    mass = u * edges[:, -1:]
    after = torch.searchsorted(edges, mass, right=True).clamp(1, t.shape[1] - 1)
    low, high = edges.gather(1, after - 1), edges.gather(1, after)
    start, end = t.gather(1, after - 1).double(), t.gather(1, after).double()
    share = ((mass - low) / (high - low)).clamp(0, 1)
    return (start + share * (end - start)).to(t.dtype)


def error_bounded_reference(
    sdf: Field,
    origins: Tensor,
    directions: Tensor,
    beta: Tensor,
    settings: ErrorBound,
    jitter: Tensor,
) -> Tensor:
    """The specification: see `error_bounded_samples`. The field is asked only at active rays."""
    first, added, final, extra = settings.split(jitter)
    near, far, t, wide = _start(origins, directions, beta, settings, first)
    values = _ask(sdf, origins, directions, t)
    drawn = torch.empty_like(final)
    rays = torch.arange(len(t), device=t.device)  # those still active; t, values, wide are theirs
    for number in range(settings.rounds):
        f, deltas = values.double(), t.double().diff()
        star = closest_on_section(f, deltas)
        low = beta.double().expand_as(wide)
        done = opacity_error(low, f, deltas, star).amax(-1) <= settings.epsilon
        high = wide
        for _ in range(settings.bisections):
            middle = (low + high) / 2
            good = opacity_error(middle, f, deltas, star).amax(-1) <= settings.epsilon
            high, low = torch.where(good, middle, high), torch.where(good, low, middle)
        wide = torch.where(done, beta, high)

        done |= number + 1 == settings.rounds
        ready, active = done.nonzero()[:, 0], (~done).nonzero()[:, 0]
        density = laplace_density(f[ready, :-1], wide[ready, None])
        weights = weights_from_density(density, deltas[ready])
        drawn[rays[ready]] = inverse_cdf(t[ready], weights, quantiles(final[rays[ready]]))
        if not len(active):
            break

        error = opacity_error(wide[active], f[active], deltas[active], star[active])
        rays, t, values, wide = rays[active], t[active], values[active], wide[active]
        new = inverse_cdf(t, error, quantiles(added[number][rays]))
        asked = _ask(sdf, origins[rays], directions[rays], new)
        t, order = torch.cat([t, new], -1).sort(-1)
        values = torch.cat([values, asked], -1).gather(1, order)
    even = _even(near, far, extra)
    return torch.cat([near[:, None], drawn, even, far[:, None]], -1).sort(-1).values


def _even(near: Tensor, far: Tensor, jitter: Tensor) -> Tensor:
    """Even samples from near to far (N,), one in each of n equal sections; (N, n)."""
    return torch.lerp(near[:, None], far[:, None], quantiles(jitter).to(near.dtype))


def _start(
    origins: Tensor, directions: Tensor, beta: Tensor, settings: ErrorBound, jitter: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """near, far (N,), the even grid (N, first), and lemma 2's beta_+ (N,) for it, in doubles."""
    near, far, _ = sphere_interval(origins, directions)
    t = _even(near, far, jitter)
    wide = (t.double().diff().square().sum(-1) / (4 * math.log1p(settings.epsilon))).sqrt()
    return near, far, t, torch.maximum(wide, beta)


def _ask(sdf: Field, origins: Tensor, directions: Tensor, t: Tensor) -> Tensor:
    """The field at distances t (N, S) along rays; (N, S)."""
    points = torch.addcmul(origins[:, None], t[..., None], directions[:, None])
    return sdf(points.reshape(-1, 3)).reshape(t.shape)


# What the kernels keep of a ray between the field's answers --------------------------------------


class _Rays(NamedTuple):
    """Buffers of N rays; S is what a ray holds, at most `settings.most`."""

    t: Tensor  # (N, most), the first S rise
    values: Tensor  # (N, most), the field there
    size: Tensor  # (N,) int32, S
    wide: Tensor  # (N,) double, beta_+
    active: Tensor  # (N,) uint8, 0 once a ray has converged
    added: Tensor  # (N, more), the samples to ask next
    place: Tensor  # (N, more) int32, each added sample's place among old and new
    cdf: Tensor  # (N, most) double, scratch of the Triton kernels


def _with_kernels(
    sdf: Field,
    origins: Tensor,
    directions: Tensor,
    beta: Tensor,
    settings: ErrorBound,
    jitter: Tensor,
    chosen: str,
    wait: bool,
) -> Tensor:
    """As the reference, in rounds over all rays: those that have converged are masked."""
    run = (_numba_round, _numba_final) if chosen == "numba" else (_triton_round, _triton_final)
    first, added, final, extra = settings.split(jitter)
    near, far, t, wide = _start(origins, directions, beta, settings, first)
    count = len(t)
    rays = _Rays(
        t=t.new_empty(count, settings.most),
        values=t.new_empty(count, settings.most),
        size=torch.full((count,), settings.first, dtype=torch.int32, device=t.device),
        wide=wide,
        active=torch.ones(count, dtype=torch.uint8, device=t.device),
        added=near[:, None].repeat(1, settings.more),
        place=torch.empty(count, settings.more, dtype=torch.int32, device=t.device),
        cdf=t.new_empty(count if chosen == "triton" else 0, settings.most, dtype=torch.float64),
    )
    rays.t[:, : settings.first] = t
    rays.values[:, : settings.first] = _ask(sdf, origins, directions, t)
    asked = rays.added  # nothing was added before round 0
    for number in range(settings.rounds):
        last = number + 1 == settings.rounds
        run[0](rays, asked, final if last else added[number], number, beta, settings)
        if last:
            break
        if wait:
            some = rays.active.nonzero()[:, 0]
            if not len(some):
                break
            answers = _ask(sdf, origins[some], directions[some], rays.added[some])
            asked = torch.zeros_like(rays.added).index_copy_(0, some, answers)
        else:
            asked = _ask(sdf, origins, directions, rays.added).contiguous()
    out = t.new_empty(count, settings.final + settings.extra + 2)
    run[1](rays, near, far, final, extra, out)
    return out


# Numba: plain loops in double precision, one ray after the other ---------------------------------


@numba_kernel()
def _closest(b, c, a):  # type: ignore[no-untyped-def]
    """d* of one section of length a between field values b and c, see `closest_on_section`."""
    if b * c <= 0.0:
        return 0.0
    b, c = abs(b), abs(c)
    if a * a + b * b <= c * c:
        return b
    if a * a + c * c <= b * b:
        return c
    if b + c <= a:
        return 0.0
    half = (a + b + c) / 2
    return 2 * np.sqrt(max(half * (half - a) * (half - b) * (half - c), 0.0)) / max(a, 1e-9)


_LOG2_E, _LN2_HIGH, _LN2_LOW = 1.4426950408889634, 0.693145751953125, 1.4286068203094173e-06
_CHUNK = 32  # sections whose exponentials are taken together


@numba_kernel(inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0, to 1e-13: 2^n e^r, |r| <= ln(2) / 2, Taylor's series, branch-free.

    The library's exp is a call, and a loop with a call in it is not vectorised.
    """
    x = max(x, -700.0)
    n = np.int32(x * _LOG2_E - 0.5)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = 1 / 39916800 + r * (1 / 479001600)
    p = 1 / 40320 + r * (1 / 362880 + r * (1 / 3628800 + r * p))
    p = 1 / 120 + r * (1 / 720 + r * (1 / 5040 + r * p))
    p = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * p))))
    return p * np.int64(np.int64(n + np.int32(1023)) << np.int64(52)).view(np.float64)


@numba_kernel(inline="always")
def _tau(f, delta, inverse):  # type: ignore[no-untyped-def]
    """sigma delta, see `laplace_density`; `inverse` is 1 / beta."""
    tail = 0.5 * _exp(-abs(f) * inverse)
    return (tail if f > 0 else 1 - tail) * inverse * delta


@numba_kernel()
def _sums(beta, f, delta, star, start, count, error, before, errors, befores):  # type: ignore[no-untyped-def]
    """E_k and R_k of `count` sections from `start` on, given the sums so far; gives them after."""
    inverse = 1 / beta
    for i in range(count):
        k = start + i
        slope = 0.5 * inverse * delta[k]
        errors[i] = _exp(-star[k] * inverse) * slope * slope
        befores[i] = _tau(f[k], delta[k], inverse)
    for i in range(count):
        error += errors[i]
        errors[i] = error
        tau = befores[i]
        befores[i] = before
        before += tau
    return error, before


@numba_kernel(inline="always")
def _bound(error, before):  # type: ignore[no-untyped-def]
    """B_k."""
    return (1 / _exp(-min(error, 14.0)) - 1) * _exp(-before)


@numba_kernel()
def _is_bounded(beta, f, delta, star, sections, epsilon):  # type: ignore[no-untyped-def]
    """Whether B_k(beta) <= epsilon on all sections, looking at no more of them than it must.

    B_k can't pass epsilon before exp(E_k) - 1 does; and once exp(-R_k) is small enough for the
    largest E_k (clamped to 14), it never will again.
    """
    errors, befores = np.empty(_CHUNK), np.empty(_CHUNK)
    slack, shield = np.log(1 + epsilon), 14 - np.log(epsilon)
    error, before = 0.0, 0.0
    for start in range(0, sections, _CHUNK):
        count = min(_CHUNK, sections - start)
        error, before = _sums(beta, f, delta, star, start, count, error, before, errors, befores)
        if error > slack:
            worst = 0.0
            for i in range(count):
                worst = max(worst, _bound(errors[i], befores[i]))
            if worst > epsilon:
                return False
            if before > shield:
                return True
    return True


@numba_kernel()
def _sum_up(row):  # type: ignore[no-untyped-def]
    """Cumulative sum, in place."""
    total = 0.0
    for k in range(len(row)):
        total += row[k]
        row[k] = total


@numba_kernel()
def _draw(t, cdf, sections, jitter, out, place):  # type: ignore[no-untyped-def]
    """`inverse_cdf` at the quantiles of `jitter`, for cdf[k] = the mass up to the end of k."""
    k, count = 0, len(jitter)
    for j in range(count):
        mass = (j + np.float64(jitter[j])) / count * cdf[sections - 1]
        while k < sections - 1 and cdf[k] <= mass:
            k += 1
        low = cdf[k - 1] if k > 0 else 0.0
        share = min(max((mass - low) / (cdf[k] - low), 0.0), 1.0)
        start, end = np.float64(t[k]), np.float64(t[k + 1])
        out[j] = start + share * (end - start)
        place[j] = k + 1 + j


@numba_kernel()
def _merge(t, values, old, added, asked, place):  # type: ignore[no-untyped-def]
    """Sort the added samples in among the `old` first ones, in place, from the back."""
    j = len(added) - 1
    for k in range(old + len(added) - 1, -1, -1):
        if j >= 0 and place[j] == k:
            t[k], values[k] = added[j], asked[j]
            j -= 1
        else:
            t[k], values[k] = t[k - j - 1], values[k - j - 1]


@numba_kernel(parallel=True)
def _round_loop(  # type: ignore[no-untyped-def]
    begin, end, t, values, size, wide, active, added, place, asked, jitter, beta, epsilon,
    bisections, merge, last,
):  # fmt: skip
    for n in range(begin, end):
        if active[n] == 0:
            continue
        if merge:
            _merge(t[n], values[n], size[n], added[n], asked[n], place[n])
            size[n] += added.shape[1]
        sections = size[n] - 1
        f, delta, star = np.empty(sections), np.empty(sections), np.empty(sections)
        for k in range(sections):
            f[k] = values[n, k]
            delta[k] = np.float64(t[n, k + 1]) - np.float64(t[n, k])
            star[k] = _closest(f[k], np.float64(values[n, k + 1]), delta[k])
        if _is_bounded(beta, f, delta, star, sections, epsilon):
            wide[n], active[n] = beta, 0
            continue
        low, high = beta, wide[n]
        for _ in range(bisections):
            middle = (low + high) / 2
            if _is_bounded(middle, f, delta, star, sections, epsilon):
                high = middle
            else:
                low = middle
        wide[n] = high
        if last:
            continue
        cdf, befores = np.empty(sections), np.empty(sections)
        _sums(high, f, delta, star, 0, sections, 0.0, 0.0, cdf, befores)
        for k in range(sections):
            cdf[k] = _bound(cdf[k], befores[k]) + 1e-6
        _sum_up(cdf)
        _draw(t[n], cdf, sections, jitter[n], added[n], place[n])


@numba_kernel(parallel=True)
def _final_loop(begin, end, t, values, size, wide, near, far, final, extra, out):  # type: ignore[no-untyped-def]
    drawn_count, even_count = final.shape[1], extra.shape[1]
    for n in range(begin, end):
        sections, beta = size[n] - 1, wide[n]
        passed, cdf = np.empty(sections), np.empty(sections)
        for k in range(sections):
            delta = np.float64(t[n, k + 1]) - np.float64(t[n, k])
            passed[k] = _exp(-_tau(np.float64(values[n, k]), delta, 1 / beta))
        through = 1.0
        for k in range(sections):
            cdf[k] = through * (1 - passed[k]) + 1e-6
            through *= passed[k]
        _sum_up(cdf)
        drawn, place = np.empty(drawn_count, np.float32), np.empty(drawn_count, np.int32)
        _draw(t[n], cdf, sections, final[n], drawn, place)
        out[n, 0], out[n, drawn_count + even_count + 1] = near[n], far[n]
        i = j = 0
        for k in range(1, drawn_count + even_count + 1):
            even = far[n]
            if j < even_count:
                share = (j + np.float64(extra[n, j])) / even_count
                even = min(np.float32(near[n] + share * (far[n] - near[n])), far[n])
            if i < drawn_count and (j == even_count or drawn[i] <= even):
                out[n, k] = drawn[i]
                i += 1
            else:
                out[n, k] = even
                j += 1


def _numba_round(
    rays: _Rays, asked: Tensor, jitter: Tensor, number: int, beta: Tensor, settings: ErrorBound
) -> None:
    state = [x.numpy() for x in rays[:-1]]
    _round_loop(
        len(asked), *state, asked.numpy(), jitter.numpy(), float(beta), settings.epsilon,
        settings.bisections, number > 0, number + 1 == settings.rounds,
    )  # fmt: skip


def _numba_final(
    rays: _Rays, near: Tensor, far: Tensor, final: Tensor, extra: Tensor, out: Tensor
) -> None:
    state = [x.numpy() for x in rays[:4]]
    arrays = (x.numpy() for x in (near, far, final, extra, out))
    _final_loop(len(out), *state, *arrays)


# Triton: one program a ray, its samples side by side in registers --------------------------------


@triton_kernel
def _count_up_to(p_row, x, size, STEPS: tl.constexpr):  # type: ignore[no-untyped-def]
    """How many of the `size` < 2^STEPS rising numbers at p_row are at most x: bisection."""
    count = tl.zeros_like(x).to(tl.int32)
    for step in tl.static_range(STEPS):
        probe = count + (1 << (STEPS - 1 - step))
        m_probe = probe <= size
        b_row = tl.load(p_row + probe - 1, mask=m_probe, other=0)
        count = tl.where(m_probe & (b_row <= x), probe, count)
    return count


@triton_kernel
def _closest_block(f, g, a):  # type: ignore[no-untyped-def]
    """d* of sections of length a between field values f and g, see `closest_on_section`."""
    b, c = tl.abs(f), tl.abs(g)
    half = (a + b + c) / 2
    area = tl.sqrt(tl.maximum(half * (half - a) * (half - b) * (half - c), 0.0))
    star = tl.where(b + c > a, 2 * area / tl.maximum(a, 1e-9), 0.0)
    star = tl.where(a * a + c * c <= b * b, c, star)
    star = tl.where(a * a + b * b <= c * c, b, star)
    return tl.where(f * g > 0, star, 0.0)


@triton_kernel
def _tau_block(f, delta, inverse):  # type: ignore[no-untyped-def]
    """sigma delta, see `laplace_density`; `inverse` is 1 / beta."""
    tail = 0.5 * tl.exp(-tl.abs(f) * inverse)
    return tl.where(f > 0, tail, 1 - tail) * inverse * delta


@triton_kernel
def _error_block(f_before, delta_before, delta, star, beta):  # type: ignore[no-untyped-def]
    """B_k. R_k sums what lies before k: so each slot holds the optical depth of section k - 1."""
    inverse = 1 / beta
    slope = 0.5 * inverse * delta
    before = tl.cumsum(_tau_block(f_before, delta_before, inverse), 0)
    error = tl.cumsum(tl.exp(-star * inverse) * slope * slope, 0)
    return (tl.exp(tl.minimum(error, 14.0)) - 1) * tl.exp(-before)


@triton_kernel
def _bounded_block(f_before, delta_before, delta, star, beta, epsilon, m_sections):  # type: ignore[no-untyped-def]
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
def _draw_block(  # type: ignore[no-untyped-def]
    p_t, p_cdf, pdf, jitter, sections, j, count, STEPS: tl.constexpr
):
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
def _round_kernel(  # type: ignore[no-untyped-def]
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
def _final_kernel(  # type: ignore[no-untyped-def]
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


def _triton_round(
    rays: _Rays, asked: Tensor, jitter: Tensor, number: int, beta: Tensor, settings: ErrorBound
) -> None:
    if not len(asked):
        return
    size, more = settings.first + number * settings.more, settings.more
    steps = (size - 1).bit_length()
    with torch.cuda.device_of(asked):
        _round_kernel[(len(asked),)](
            *rays, asked, jitter, beta, jitter.stride(0), settings.most, size, more,
            settings.epsilon, MERGE=number > 0, LAST=number + 1 == settings.rounds,
            BISECTIONS=settings.bisections, STEPS=steps, MORE=power_of_two(more),
            MORE_STEPS=more.bit_length(), num_warps=_warps(steps),
        )  # fmt: skip


def _triton_final(
    rays: _Rays, near: Tensor, far: Tensor, final: Tensor, extra: Tensor, out: Tensor
) -> None:
    if not len(out):
        return
    most = rays.t.shape[1]
    steps = (most - 1).bit_length()
    with torch.cuda.device_of(out):
        _final_kernel[(len(out),)](
            rays.t, rays.values, rays.size, rays.wide, rays.cdf, near, far, final, extra, out,
            final.stride(0), most, final.shape[1], extra.shape[1], STEPS=steps,
            FINAL=power_of_two(final.shape[1]), EXTRA=power_of_two(extra.shape[1]),
            num_warps=_warps(steps),
        )  # fmt: skip


def _warps(steps: int) -> int:
    """Four of 2^steps samples a thread."""
    return max(1, min(8, (1 << steps) // 128))


# The public function -----------------------------------------------------------------------------


@torch.no_grad()
def error_bounded_samples(
    sdf: Field,
    origins: Tensor,
    directions: Tensor,
    beta: Tensor | float,
    settings: ErrorBound = ErrorBound(),
    generator: torch.Generator | None = None,
    *,
    wait: bool | None = None,
    backend: Backend = "auto",
) -> Tensor:
    """Samples whose opacity is off by at most epsilon (VolSDF, algorithm 1).

    Start from an even grid and from a beta_+ so wide that the grid bounds its error; then add
    samples where the bound is large and shrink beta_+ by bisection, until beta itself is bounded.
    A ray for which it is takes no part in further rounds; one for which it never is keeps the
    beta_+ that it has reached.

    Args:
        sdf: (M, 3) -> (M,), the field in unit-sphere coordinates; any M, 0 too.
        origins, directions: (N, 3), rays that meet the unit sphere, directions of unit length.
        beta: the density's width, a number or a tensor of one.
        settings: counts and epsilon.
        generator: jitter, all of it drawn at once; evenly spread without one.
        wait: in each round, wait for the device to say which rays are active, ask the field only
            there, and stop when there are none. Default: on the CPU, where it costs nothing.
            The reference always does.
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel.

    Returns:
        (N, final + extra + 2), rising; both ends of the sphere's interval are among them. Nothing
        is differentiated.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run.
    """
    if origins.shape != directions.shape or origins.ndim != 2 or origins.shape[1] != 3:
        raise ValueError(
            f"origins and directions must be (N, 3), got {tuple(origins.shape)} "
            f"and {tuple(directions.shape)}"
        )
    beta = torch.as_tensor(beta, dtype=origins.dtype, device=origins.device).detach()
    if beta.numel() != 1:
        raise ValueError(f"beta must be one number, got {tuple(beta.shape)}")
    beta = beta.reshape(())
    large = settings.most > 1024 or settings.more > 1024 or settings.final * settings.extra > 16384
    unfit = {"triton": f"a ray's samples must fit in a program's registers, not {settings}"}
    chosen = choose("error_bounded", backend, origins, unfit=unfit if large else None)
    shape = len(origins), settings.numbers
    if generator is None:
        jitter = origins.new_full(shape, 0.5)
    else:
        jitter = torch.rand(shape, generator=generator, device=origins.device, dtype=origins.dtype)
    if chosen == "torch":
        return error_bounded_reference(sdf, origins, directions, beta, settings, jitter)
    wait = origins.device.type == "cpu" if wait is None else wait
    return _with_kernels(sdf, origins, directions, beta, settings, jitter, chosen, wait)
