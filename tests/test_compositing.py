"""Eq. 1 and the densities: values against closed forms, and gradients that never turn into NaN."""

import math

import pytest
import torch

from privhead_nb.field.density import Beta, laplace_density, logistic_alpha
from privhead_nb.kernels import compositing
from privhead_nb.kernels.compositing import (
    composite_sdf_reference,
    sdf_weights_reference,
    weights_from_alpha,
    weights_from_density,
)


def draw(*shape, seed=0, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_laplace_density_is_the_cdf_over_beta_here_and_in_the_kernels():
    sdf = torch.linspace(-1, 1, 41, dtype=torch.float64)
    for beta in (0.05, 0.3):
        law = torch.distributions.Laplace(0.0, beta)
        assert torch.allclose(laplace_density(sdf, beta), law.cdf(-sdf).double() / beta, atol=1e-6)
    x = torch.cat([torch.randn(1000), torch.tensor([0.0, -0.0])])
    for beta in (1e-6, 0.01, 1.0, torch.tensor(0.3)):
        assert torch.equal(laplace_density(x, beta), compositing.laplace_density(x, beta))


def test_density_and_weights_are_finite_at_extremes():
    sdf = torch.tensor([[1e3, 1.0, 1e-9, 0.0, -1e-9, -1.0, -1e3]], requires_grad=True)
    for beta in (1e-6, 1e-3, 10.0):
        wide = torch.tensor(beta, requires_grad=True)
        weights = weights_from_density(laplace_density(sdf, wide), torch.full_like(sdf, 0.1))
        grads = torch.autograd.grad(weights.square().sum(), [sdf, wide])
        assert weights.isfinite().all() and all(g.isfinite().all() for g in grads)


def test_weights_equal_the_product_of_eq_1():
    density, deltas = 20 * draw(5, 9), 0.2 * draw(5, 9, seed=1)
    alpha = 1 - torch.exp(-density * deltas)
    through = torch.cumprod(torch.nn.functional.pad(1 - alpha, (1, 0), value=1.0), -1)[:, :-1]
    assert torch.allclose(weights_from_density(density, deltas), through * alpha)
    assert torch.allclose(weights_from_alpha(alpha), through * alpha, atol=1e-6)


def test_reference_by_hand():
    """Two samples of density ln 2 halve the light each: 1/2 and 1/4 of it stop there."""
    beta = 1 / math.log(2)
    sdf = torch.full((1, 2), -1e3, dtype=torch.float64)
    ones, t = torch.ones_like(sdf), torch.tensor([[1.0, 4.0]], dtype=torch.float64)
    out = composite_sdf_reference(sdf, ones, t, torch.stack([t, 2 * t], -1), beta)
    wanted = [[[1.5, 3.0]], [0.75], [2.0], [[0.5, 0.25]]]
    for found, exact in zip(out, wanted, strict=True):
        assert torch.allclose(found, torch.tensor(exact).double())


def test_reference_gradients_are_the_difference_quotients():
    sdf, deltas = 0.4 * draw(3, 5) - 0.2, 0.05 * draw(3, 5, seed=1)
    inputs = [sdf, deltas, 1 + deltas.cumsum(1), draw(3, 5, 2, seed=2), torch.tensor(0.3).double()]
    inputs = [x.requires_grad_() for x in map(torch.Tensor.detach, inputs)]
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(composite_sdf_reference, inputs)
        assert check(sdf_weights_reference, (*inputs[:2], inputs[4]))
    assert torch.autograd.gradcheck(logistic_alpha, (inputs[0], inputs[4]))


def test_logistic_alpha_of_a_wall_is_opaque_and_leaving_adds_nothing():
    through = torch.tensor([[0.5, 0.2, -0.2, -0.5]])
    assert weights_from_alpha(logistic_alpha(through, 0.01)).sum() > 0.999
    assert logistic_alpha(through.flip(1), 0.01).abs().max() == 0


def test_beta_learned_or_scheduled():
    learned, scheduled = Beta(0.1, learned=True, floor=1e-3), Beta(0.1, learned=False)
    learned.set(5.0)
    scheduled.set(0.02)
    assert learned().item() == pytest.approx(0.101) and scheduled().item() == pytest.approx(0.02)
    assert len(list(learned.parameters())) == 1 and not list(scheduled.parameters())
