"""VolSDF's sampler: its promises on fields whose answer is known, and two forms that agree."""

import pytest
import torch
from backends import DEVICE, TRITON, device_of
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from privhead_nb.bench.cases import sphere_rays, two_balls
from privhead_nb.kernels.compositing import laplace_density, weights_from_density
from privhead_nb.kernels.dispatch import triton_available
from privhead_nb.kernels.error_bounded import (
    closest_on_section,
    inverse_cdf,
    opacity_error,
    quantiles,
)
from privhead_nb.kernels.surface_march import sphere_interval
from privhead_nb.render.sampling import ErrorBound, error_bounded_samples

SMALL = ErrorBound(first=16, more=16, final=16, extra=8, rounds=3, bisections=4)
ODD = ErrorBound(first=13, more=5, final=7, extra=3, rounds=4, bisections=3)


def ball(points):
    return points.norm(dim=-1) - 0.5


def shell(points):
    """Two crossings a hundredth apart: most of the opacity lies between two samples."""
    return (points.norm(dim=-1) - 0.5).abs() - 0.005


def far_away(points):
    return points.norm(dim=-1) + 2


FIELDS = [ball, shell, two_balls, far_away]


def rays(count, device="cpu"):
    """From around the sphere into a cube within it."""
    return sphere_rays(torch.device(device), count, 0.55)


def sample(sdf, count, beta, bound, backend="torch", *, seed=3, device="cpu"):
    generator = None if seed is None else torch.Generator(device).manual_seed(seed)
    return error_bounded_samples(sdf, *rays(count, device), beta, bound, generator, backend=backend)


def share_off(got, wanted):
    """Share of rays with a sample more than 1e-5 away."""
    return ((got - wanted).abs().amax(1) > 1e-5).double().mean().item()


def dense(sdf, origins, directions, beta, sections):
    """Even t (N, sections + 1) over the rays' intervals, and the opacity of a sum up to each."""
    near, far, _ = sphere_interval(origins, directions)
    t = torch.lerp(near[:, None], far[:, None], torch.linspace(0, 1, sections + 1).to(near))
    points = origins[:, None] + t[..., None] * directions[:, None]
    depth = (laplace_density(sdf(points[:, :-1]), beta) * t.diff()).cumsum(-1)
    return t, F.pad(1 - torch.exp(-depth), (1, 0))


# What the parts compute ---------------------------------------------------------------------------


def test_closest_on_section_is_the_height_of_the_triangle_or_its_shorter_side():
    deltas = torch.tensor([[2.0], [1.0], [1.0], [4.0], [1.0], [0.0]], dtype=torch.float64)
    ends = [[2**0.5, 2**0.5], [0.5, 1.4], [1.4, 0.5], [1.0, 1.0], [0.5, -0.5], [0.3, 0.3]]
    star = closest_on_section(torch.tensor(ends, dtype=torch.float64), deltas)
    assert star[:, 0].tolist() == pytest.approx([1.0, 0.5, 0.5, 0.0, 0.0, 0.3])


def test_closest_on_section_is_what_two_free_balls_leave_of_it():
    """Brute force: d* is the distance to the segment of the nearest point outside both balls."""
    b, c, a = 0.7, 0.6, 0.8
    x = torch.linspace(-1, 2, 3001, dtype=torch.float64)[:, None]
    y = torch.linspace(0, 1, 1001, dtype=torch.float64)[None]
    outside = (x.square() + y.square() >= b * b) & ((x - a).square() + y.square() >= c * c)
    distance = ((x - x.clamp(0, a)).square() + y.square()).sqrt()
    star = closest_on_section(torch.tensor([[b, c]]).double(), torch.tensor([[a]]).double())
    assert star.item() == pytest.approx(distance[outside].min().item(), abs=2e-3)


@pytest.mark.parametrize("sdf", [ball, shell, two_balls])
@pytest.mark.parametrize("beta", [0.5, 0.05, 0.02])
def test_the_bound_bounds_the_opacity_of_every_section(sdf, beta):
    origins, directions = (x.double() for x in rays(40))
    t, coarse = dense(sdf, origins, directions, beta, 59)
    values, deltas = sdf(origins[:, None] + t[..., None] * directions[:, None]), t.diff()
    star = closest_on_section(values, deltas)
    error = opacity_error(torch.full_like(t[:, 0], beta), values, deltas, star)
    off = (coarse - dense(sdf, origins, directions, beta, 59 * 200)[1][:, ::200]).abs()
    # the bound holds at both ends of a section; the fine sum itself is off by about 1e-3
    assert (off[:, 1:] <= error + 2e-3).all() and (off[:, :-1] <= error + 2e-3).all()


def test_quantiles_rise_one_in_each_part():
    jitter = torch.rand(50, 9, generator=torch.Generator().manual_seed(0))
    u = quantiles(jitter)
    assert torch.equal((u * 9).floor(), torch.arange(9.0).double().expand(50, 9))
    assert quantiles(torch.full((1, 2), 0.5)).tolist() == [[0.25, 0.75]]


def test_inverse_cdf_follows_the_density():
    t = torch.linspace(0, 1, 11).expand(1, 11)
    pdf = torch.zeros(1, 10)
    pdf[0, 3], pdf[0, 7] = 3.0, 1.0
    drawn = inverse_cdf(t, pdf, quantiles(torch.full((1, 4000), 0.5)))
    assert (drawn.diff() >= 0).all()
    assert ((drawn > 0.3) & (drawn < 0.4)).double().mean().item() == pytest.approx(0.75, abs=1e-3)
    assert ((drawn > 0.7) & (drawn < 0.8)).double().mean().item() == pytest.approx(0.25, abs=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(2, 40), st.integers(1, 40), st.floats(0, 6))
def test_inverse_cdf_stays_on_its_sections_and_inverts(seed, size, count, decades):
    generator = torch.Generator().manual_seed(seed)
    t = (torch.rand(3, size, generator=generator) * 4).sort(-1).values
    pdf = 10 ** (-decades * torch.rand(3, size - 1, generator=generator))
    u = quantiles(torch.rand(3, count, generator=generator))
    drawn = inverse_cdf(t, pdf, u)
    assert (drawn.diff() >= 0).all() and (drawn >= t[:, :1]).all() and (drawn <= t[:, -1:]).all()
    cdf = F.pad((pdf.double() + 1e-6).cumsum(-1), (1, 0))
    cdf = cdf / cdf[:, -1:]
    in_double = inverse_cdf(t.double(), pdf, u)
    for row in range(3):  # the CDF at a sample is its quantile, by linear interpolation
        after = torch.searchsorted(t[row].double(), in_double[row]).clamp(1, size - 1)
        start, end = t[row].double()[after - 1], t[row].double()[after]
        share = (in_double[row] - start) / (end - start).clamp_min(1e-30)
        back = torch.lerp(cdf[row][after - 1], cdf[row][after], share)
        wide = end - start > 1e-6
        assert (back - u[row])[wide].abs().max().item() < 1e-6 if wide.any() else True


# What the sampler promises ------------------------------------------------------------------------


class Asked:
    """A field that keeps the points it is asked at."""

    def __init__(self, sdf):
        self.sdf, self.points = sdf, []

    def __call__(self, points):
        self.points.append(points)
        return self.sdf(points)

    @property
    def calls(self):
        return list(map(len, self.points))


@pytest.mark.parametrize("sdf", FIELDS)
@pytest.mark.parametrize("beta", [0.1, 0.02])
def test_opacity_of_converged_rays_is_within_epsilon_of_a_dense_sum(sdf, beta):
    """Each ray alone, so that the number of points asked says whether it has converged.

    The samples that the bound speaks of are those that the field was asked at.
    """
    bound = ErrorBound(rounds=8)
    origins, directions = rays(24)
    fine, exact = dense(sdf, origins.double(), directions.double(), beta, 40000)
    exact = exact[:, 1:]
    converged = 0
    for ray in range(len(origins)):
        one, field = slice(ray, ray + 1), Asked(sdf)
        error_bounded_samples(field, origins[one], directions[one], beta, bound)
        if sum(field.calls) == bound.most:
            continue
        converged += 1
        t = (torch.cat(field.points) - origins[ray]) @ directions[ray]
        t = t.double().sort().values
        at = origins[one].double() + t[:, None] * directions[one].double()
        coarse = 1 - torch.exp(-(laplace_density(sdf(at[:-1]), beta) * t.diff()).cumsum(0))
        # the dense sum from near to t_1, ..., against the samples' sum from t_0
        there = torch.searchsorted(fine[ray], t[1:]).clamp(1, 40000) - 1
        before = torch.searchsorted(fine[ray], t[:1]).clamp(1, 40000) - 1
        wanted = 1 - (1 - exact[ray][there]) / (1 - exact[ray][before])
        assert (coarse - wanted).abs().max() <= bound.epsilon + 5e-3
    assert converged >= 12


@pytest.mark.parametrize("sdf", FIELDS)
@pytest.mark.parametrize("beta", [1e-4, 0.01, 0.1, 1e3])
def test_samples_rise_within_the_interval_and_hold_its_ends(sdf, beta):
    bound = ErrorBound()
    near, far, _ = sphere_interval(*rays(60))
    for seed in (None, 5):
        t = sample(sdf, 60, beta, bound, seed=seed)
        assert t.shape == (60, bound.final + bound.extra + 2) and t.isfinite().all()
        assert (t.diff() >= 0).all()
        assert torch.equal(t[:, 0], near) and torch.equal(t[:, -1], far)


def test_samples_crowd_at_the_first_surface():
    origins, directions = torch.tensor([[0.0, 0, 3]]), torch.tensor([[0.0, 0, -1]])
    t = error_bounded_samples(ball, origins, directions, 0.005)
    assert ((t - 2.5).abs() < 0.05).float().mean() > 0.4
    assert ((t - 3.5).abs() < 0.05).float().mean() < 0.1


@pytest.mark.parametrize("beta", [0.1, 0.02, 0.001])
def test_final_samples_see_the_opacity_that_a_dense_sum_sees(beta):
    origins, directions = rays(100)
    near, far, _ = sphere_interval(origins, directions)

    def opacity(t):
        at = origins[:, None] + t[..., None] * directions[:, None]
        return weights_from_density(laplace_density(ball(at[:, :-1]), beta), t.diff()).sum(-1)

    def even(count):
        return opacity(torch.lerp(near[:, None], far[:, None], torch.linspace(0, 1, count)))

    t = error_bounded_samples(ball, origins, directions, beta)
    off = (opacity(t) - even(20001)).abs()
    assert off.max() < 0.15
    assert off.mean() <= (even(t.shape[1]) - even(20001)).abs().mean() + 4e-3


def test_a_converged_ray_does_not_depend_on_the_others():
    origins, directions = rays(40)
    together = error_bounded_samples(two_balls, origins, directions, 0.02)
    for ray in range(0, 40, 7):
        one = slice(ray, ray + 1)
        alone = error_bounded_samples(two_balls, origins[one], directions[one], 0.02)
        assert share_off(alone, together[one]) == 0


def test_the_field_is_asked_at_active_rays_only_and_no_more_once_all_converged():
    bound, field = ErrorBound(), Asked(ball)
    sample(field, 50, 0.3, bound)
    assert field.calls == [50 * bound.first]
    field = Asked(ball)
    sample(field, 50, 1e-4, bound)
    assert len(field.calls) == bound.rounds and field.calls[0] == 50 * bound.first
    assert 0 < field.calls[-1] < 50 * bound.more  # rays that hit never get this far, others do


def test_double_precision_runs_and_is_near():
    """Not equal: rounded samples are other samples, and the next round starts from them."""
    origins, directions = rays(100)
    bound = ErrorBound(rounds=1)
    single = error_bounded_samples(ball, origins, directions, 0.1, bound)
    double = error_bounded_samples(ball, origins.double(), directions.double(), 0.1, bound)
    assert double.dtype == torch.float64 and (single - double).abs().max() < 1e-3


AT_DEFAULT_SIZES = [  # they take too long in the interpreter
    (sdf, beta, ErrorBound())
    for sdf in (ball, shell, two_balls)
    for beta in (0.1, 0.01, 0.001)
    if DEVICE == "cuda"
]


# The kernels --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [None, 5])
@pytest.mark.parametrize(
    ("sdf", "beta", "bound"),
    [
        (ball, 0.03, SMALL),
        (shell, 0.01, SMALL),
        (two_balls, 1e-4, ODD),
        (far_away, 0.05, ODD),
        (two_balls, 1e3, ErrorBound(2, 1, 1, 0, rounds=2, bisections=1)),
        (ball, 0.05, ErrorBound(16, 3, 40, 1, rounds=1, bisections=2)),
        *AT_DEFAULT_SIZES,
    ],
)
@pytest.mark.parametrize("backend", [TRITON])
def test_kernels_give_the_samples_of_the_reference_to_the_bit_each_time(
    backend, sdf, beta, bound, seed
):
    """They ask the field in fixed rounds, at all rays, so that the host waits for nothing."""
    device = device_of(backend)
    count = 4000 if DEVICE == "cuda" else 5
    wanted = sample(sdf, count, beta, bound, "torch", device=device, seed=seed)
    field = Asked(sdf)
    got = sample(field, count, beta, bound, backend, device=device, seed=seed)
    assert share_off(got, wanted) <= 1e-3
    assert field.calls == [bound.first * count] + [bound.more * count] * (bound.rounds - 1)
    again = sample(sdf, count, beta, bound, backend, device=device, seed=seed)
    assert torch.equal(got, again)
    if seed is not None and bound is ODD:
        other = sample(sdf, count, beta, bound, backend, device=device, seed=4)
        assert not torch.equal(got, other)


@pytest.mark.parametrize("backend", ["torch", TRITON])
def test_edges(backend):
    """No rays; rays beside the sphere; a camera inside; strided input; beta as a tensor."""
    device = device_of(backend)
    origins = torch.tensor([[0.0, 3, 3], [0, 0, 3], [0, 0, 0.9], [0.1, 0, 0]], device=device)
    directions = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0, -1], [0, 0, 1]], device=device)
    beta = torch.full((1,), 0.05, device=device, requires_grad=True)
    none = error_bounded_samples(ball, origins[:0], directions[:0], beta, SMALL, backend=backend)
    assert none.shape == (0, 26)
    t = error_bounded_samples(ball, origins, directions, beta, SMALL, backend=backend)
    near, far, _ = sphere_interval(origins, directions)
    assert t.isfinite().all() and (t.diff() >= 0).all() and not t.requires_grad
    assert (t[:2] == 0).all() and torch.equal(t[:, 0], near) and torch.equal(t[:, -1], far)
    strided = error_bounded_samples(
        ball, origins.T.contiguous().T, directions.T.contiguous().T, 0.05, SMALL, backend=backend
    )
    assert torch.equal(strided, t)


def test_wrong_input_says_what_is_wrong():
    origins, directions = rays(4)
    large = ErrorBound(first=600, more=600)
    for call, words in (
        (lambda: error_bounded_samples(ball, origins, directions[:2], 0.1), r"\(N, 3\)"),
        (lambda: error_bounded_samples(ball, origins, directions, torch.ones(4)), "one number"),
        (lambda: sample(ball, 4, 0.1, SMALL, "numba"), "no numba form"),
        (lambda: sample(ball, 4, 0.1, large, "triton"), "registers|CUDA|not installed"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    if triton_available():
        with pytest.raises(ValueError, match="float32"):
            error_bounded_samples(ball, *(x.double() for x in rays(4)), 0.1, backend="triton")
    for wrong in ({"first": 1}, {"more": 0}, {"rounds": 0}, {"extra": -1}, {"epsilon": 0.0}):
        with pytest.raises(ValueError, match="must"):
            ErrorBound(**wrong)
