"""The fused compositing at its extremes; what all kernels keep is in `test_kernels.py`."""

from dataclasses import replace

import pytest
import torch
from backends import KERNELS, NUMBA, agreed, compositing, device_of, rays
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from privhead_nb.kernels.compositing import (
    composite_sdf,
    laplace_density,
    sdf_weights,
)

kernels = pytest.mark.parametrize("backend", KERNELS)


def check(backend: str, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """The kernel's values, opacity, depth, weights and gradients, which are the reference's."""
    return agreed(replace(compositing(1, 1), inputs=inputs), backend)


@kernels
@pytest.mark.parametrize("beta", [1e-6, 1e-3, 10.0])
def test_extreme_beta_in_a_fixed_and_in_a_scaled_scene(backend, beta):
    check(backend, rays(20, beta, 7, 3))
    assert all(x.norm() > 0 for x in check(backend, rays(20, beta, 7, 3, wide=2 * beta, step=beta)))


@kernels
@pytest.mark.parametrize(
    "far", [1e3, 0.5, -0.5, -1e3], ids=["far outside", "misses", "inside", "far inside"]
)
def test_rays_that_all_miss_or_all_hit(backend, far):
    sdf, deltas, *others = rays(12, 0.02, 6, 3)
    opacity = check(backend, (sdf / 10 + far, deltas, *others))[1]
    if far > 0:
        assert opacity.max() < 1e-6
    else:
        assert torch.allclose(opacity, -torch.expm1(-deltas.sum(1) / 0.02))


@kernels
def test_weights_alone_are_those_of_the_whole(backend):
    sdf, deltas, t, values, beta = (x.to(device_of(backend)) for x in rays(8, 0.05, 37, 1))
    whole = composite_sdf(sdf, deltas, t, values, beta, backend=backend)
    assert torch.equal(whole.weights, sdf_weights(sdf, deltas, beta, backend=backend))
    by_number = composite_sdf(sdf, deltas, t, values, 0.05, backend=backend)
    assert all(torch.equal(a, b) for a, b in zip(by_number, whole, strict=True))


@kernels
def test_thin_segments_keep_their_digits(backend):
    """1 - exp(-tau) to 1e-6 from 1e-12 to 30: a plain difference is off by 1e-7 / tau."""
    tau = torch.logspace(-12, 1.5, 400, dtype=torch.float64)[:, None]
    sdf = torch.full_like(tau, -1e3)  # far inside: the density is 1 / beta
    device = device_of(backend)
    weights = sdf_weights(sdf.float().to(device), tau.float().to(device), 1.0, backend=backend)
    exact = -torch.expm1(-tau.float().double())
    assert ((weights.cpu().double() - exact) / exact).abs().max() < 1e-6


@kernels
def test_a_thin_sample_before_a_wall_keeps_its_weight_and_gradient(backend):
    """A sum before minus itself would leave 5e-4 of rounding here."""
    sdf = torch.full((1, 3), -1e3)
    deltas = torch.tensor([[0.3, 5000.0, 1.0]])
    values = torch.tensor([[[0.2], [0.9], [0.4]]])
    got = check(backend, (sdf, deltas, deltas.cumsum(1), values, torch.tensor(1.0)))
    thin = 1 - torch.exp(torch.tensor(-0.3))
    assert torch.allclose(got[3], torch.tensor([[thin, 1 - thin, 0.0]]), atol=5e-7)


@kernels
def test_an_opaque_rays_opacity_has_no_gradient_of_rounding(backend):
    """All T_end is 0 in float32, so dL/dsdf is 0, and no difference of ones."""
    device = device_of(backend)
    sdf = torch.linspace(0.2, -0.3, 24, device=device)[None].requires_grad_()
    weights = torch.full_like(sdf, 0.5)
    out = composite_sdf(sdf, weights, weights, weights[..., None], 1e-3, backend=backend)
    assert torch.autograd.grad(out.opacity.sum(), sdf)[0].abs().max() < 1e-30


@kernels
def test_at_the_surface_the_slope_is_that_of_the_density(backend):
    """At sdf = 0 autograd of |sdf| says 0; the density's slope is -1 / (2 beta^2)."""
    device = device_of(backend)
    sdf = torch.zeros(1, 1, device=device, requires_grad=True)
    weights = sdf_weights(sdf, torch.full_like(sdf, 1e-4), 0.5, backend=backend)
    (slope,) = torch.autograd.grad(weights.sum(), sdf)
    assert slope.item() == pytest.approx(-2.0 * 1e-4, rel=1e-3)


def test_what_can_not_run_says_why():
    sdf, deltas, t, values, beta = compositing(2, 4).inputs
    long, nothing = torch.zeros(1, 1025), values[..., :0]
    for call, words in (
        (lambda: composite_sdf(sdf, deltas, t, values.double(), beta, backend="numba"),
         "other inputs are"),
        (lambda: sdf_weights(long, long, beta, backend="triton"), "at most 1024 samples"),
        (lambda: composite_sdf(sdf, deltas, t, torch.zeros(2, 4, 17), beta, backend="triton"),
         "16 channels, not 4 and 17"),
        (lambda: sdf_weights(sdf, deltas, torch.ones(2)), "one number"),
        (lambda: sdf_weights(sdf[0], deltas[0], beta), r"\(N, S\)"),
        (lambda: composite_sdf(sdf, deltas, t[:1], values, beta), r"t must be \(2, 4\)"),
        (lambda: composite_sdf(sdf, deltas, t, values[:1], beta), "values"),
        (lambda: composite_sdf(sdf, deltas, t, nothing, beta, backend="numba"), "nothing to sum"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            call()
    assert composite_sdf(sdf, deltas, t, nothing, beta).values.shape == (2, 0)  # auto falls back


@pytest.mark.parametrize("backend", ["torch", NUMBA])
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31 - 1),
    beta=st.floats(1e-6, 10.0),
    scale=st.floats(1e-3, 1e3),
    closer=st.floats(0.0, 1.0),
)
def test_weights_sum_to_at_most_one_and_denser_rays_are_more_opaque(
    backend, seed, beta, scale, closer
):
    sdf, deltas, *_ = rays(17, beta, 4, 1, seed, wide=0.3, step=scale)
    weights = sdf_weights(sdf, deltas, beta, backend=backend)
    assert (weights >= 0).all() and (weights.sum(-1) <= 1 + 1e-5).all()
    nearer = sdf - closer
    assert (laplace_density(nearer, beta) >= laplace_density(sdf, beta) * (1 - 1e-6)).all()
    denser = sdf_weights(nearer, deltas, beta, backend=backend)
    assert (denser.sum(-1) >= weights.sum(-1) - 1e-5).all()
