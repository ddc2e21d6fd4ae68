"""Eq. 1 and the densities: values against closed forms, and gradients that never turn into NaN."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from privhead_nb.field.density import Beta, logistic_alpha
from privhead_nb.kernels.compositing import (
    composite,
    laplace_density,
    weights_from_alpha,
    weights_from_density,
)


def test_laplace_density_is_the_cdf_over_beta():
    sdf = torch.linspace(-1, 1, 41, dtype=torch.float64)
    for beta in (0.05, 0.3):
        law = torch.distributions.Laplace(0.0, beta)
        assert torch.allclose(laplace_density(sdf, beta), law.cdf(-sdf).double() / beta, atol=1e-6)


def test_density_and_weights_are_finite_at_extremes():
    sdf = torch.tensor([[1e3, 1.0, 1e-9, 0.0, -1e-9, -1.0, -1e3]], requires_grad=True)
    for beta in (1e-6, 1e-3, 10.0):
        wide = torch.tensor(beta, requires_grad=True)
        weights = weights_from_density(laplace_density(sdf, wide), torch.full_like(sdf, 0.1))
        grads = torch.autograd.grad(weights.square().sum(), [sdf, wide])
        assert weights.isfinite().all() and all(g.isfinite().all() for g in grads)


def test_weights_equal_the_product_of_eq_1():
    generator = torch.Generator().manual_seed(0)
    density = torch.rand(5, 9, generator=generator, dtype=torch.float64) * 20
    deltas = torch.rand(5, 9, generator=generator, dtype=torch.float64) * 0.2
    alpha = 1 - torch.exp(-density * deltas)
    through = torch.cumprod(torch.nn.functional.pad(1 - alpha, (1, 0), value=1.0), -1)[:, :-1]
    assert torch.allclose(weights_from_density(density, deltas), through * alpha)
    assert torch.allclose(weights_from_alpha(alpha), through * alpha, atol=1e-6)


def test_a_thin_sample_before_a_wall_keeps_its_weight():
    density = torch.tensor([[0.3, 5000.0, 1.0]])
    weights = weights_from_density(density, torch.ones(1, 3))
    exact = 1 - torch.exp(torch.tensor(-0.3))
    assert torch.allclose(weights, torch.tensor([[exact, 1 - exact, 0.0]]), atol=1e-7)


def test_gradcheck():
    generator = torch.Generator().manual_seed(0)
    sdf = torch.randn(3, 6, generator=generator, dtype=torch.float64).requires_grad_()
    beta = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    deltas = torch.rand(3, 6, generator=generator, dtype=torch.float64)
    colours = torch.rand(3, 6, 3, generator=generator, dtype=torch.float64).requires_grad_()

    def render(sdf, beta, colours):
        return composite(weights_from_density(laplace_density(sdf, beta), deltas), colours)

    assert torch.autograd.gradcheck(render, (sdf, beta, colours))
    assert torch.autograd.gradcheck(lambda s, b: logistic_alpha(s, b), (sdf, beta))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(1e-4, 10.0))
def test_weights_sum_to_at_most_one_and_opacity_rises_with_density(seed, scale):
    generator = torch.Generator().manual_seed(seed)
    density = torch.rand(4, 17, generator=generator) * scale * 100
    deltas = torch.rand(4, 17, generator=generator)
    weights = weights_from_density(density, deltas)
    assert (weights >= 0).all() and (weights.sum(-1) <= 1 + 1e-5).all()
    denser = weights_from_density(density * 1.5, deltas)
    assert (denser.sum(-1) >= weights.sum(-1) - 1e-5).all()


def test_logistic_alpha_of_a_wall_is_opaque_and_leaving_adds_nothing():
    through = torch.tensor([[0.5, 0.2, -0.2, -0.5]])
    assert weights_from_alpha(logistic_alpha(through, 0.01)).sum() > 0.999
    assert logistic_alpha(through.flip(1), 0.01).abs().max() == 0


def test_beta_learned_or_scheduled():
    learned, scheduled = Beta(0.1, learned=True, floor=1e-3), Beta(0.1, learned=False)
    learned.set(5.0)
    scheduled.set(0.02)
    assert abs(learned().item() - 0.101) < 1e-6 and abs(scheduled().item() - 0.02) < 1e-6
    assert len(list(learned.parameters())) == 1 and not list(scheduled.parameters())
