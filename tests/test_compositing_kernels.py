"""The fused compositing: every form against the float64 reference, values and all gradients."""

from __future__ import annotations

import math

import pytest
import torch
from backends import DEVICE, KERNELS, NUMBA, device_of, needs_numba
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from privhead_nb.kernels.compositing import (
    Composited,
    composite_sdf,
    composite_sdf_reference,
    laplace_density,
    sdf_weights,
    sdf_weights_reference,
)

NAMES = ("values", "opacity", "depth", "weights")
kernels = pytest.mark.parametrize("backend", KERNELS)


def make(rays, samples, channels, beta, seed=0, wide=0.2, step=0.05) -> tuple[Tensor, ...]:
    """sdf, deltas, t, values, beta in float64 that float32 holds exactly."""
    g = torch.Generator().manual_seed(seed)
    sdf = wide * torch.randn(rays, samples, generator=g)
    deltas = step * torch.rand(rays, samples, generator=g)
    t = 1 + deltas.cumsum(1)
    values = torch.rand(rays, samples, channels, generator=g)
    return tuple(x.double() for x in (sdf, deltas, t, values, torch.tensor(beta)))


def upstream(like: Composited, seed=1) -> list[Tensor]:
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(x.shape, generator=g).double() for x in like]


def answers(function, inputs, ups, **options) -> dict[str, Tensor]:
    """Outputs and gradients by name."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    out = function(*leaves, **options)
    grads = torch.autograd.grad(out, leaves, [u.to(o) for u, o in zip(ups, out, strict=True)])
    named = dict(zip(NAMES, out, strict=True))
    return named | dict(zip(("d_sdf", "d_deltas", "d_t", "d_v", "d_beta"), grads, strict=True))


def error(got: Tensor, wanted: Tensor) -> float:
    """Relative RMS; what is below 1e-12 counts as zero."""
    got = got.detach().double().cpu()
    assert got.isfinite().all()
    return ((got - wanted).norm() / wanted.norm().clamp_min(1e-12)).item()


def check(backend, inputs, ups=None, forward=1e-5, backward=1e-4) -> dict[str, Tensor]:
    ups = upstream(composite_sdf_reference(*inputs)) if ups is None else ups
    wanted = answers(composite_sdf_reference, inputs, ups)
    device = device_of(backend)
    plain = [x.float().to(device) for x in inputs]
    got = answers(composite_sdf, plain, ups, backend=backend)
    for name, want in wanted.items():
        limit = backward if name.startswith("d_") else forward
        assert error(got[name], want.detach()) <= limit, name
    return got


@kernels
@pytest.mark.parametrize(
    ("rays", "samples", "channels", "beta"),
    [(37, 33, 3, 0.05), (5, 98, 6, 0.02), (67, 8, 1, 0.1), (3, 16, 16, 10.0), (9, 1, 2, 0.1)],
)
def test_agrees_with_the_reference(backend, rays, samples, channels, beta):
    check(backend, make(rays, samples, channels, beta, seed=rays))


@kernels
def test_long_rays_of_many_channels(backend):
    check(backend, make(2, 1024, 16, 0.05, step=0.002))


@needs_numba
def test_numba_takes_many_rays_and_any_length():
    check("numba", make(1023, 98, 3, 0.05))
    check("numba", make(3, 1500, 17, 0.05, step=0.001))


@pytest.mark.skipif(DEVICE == "cpu", reason="too many rays for the interpreter")
@pytest.mark.parametrize(("rays", "samples"), [(1023, 98), (4099, 128), (63 * 60, 8)])
def test_triton_takes_many_rays(rays, samples):
    check("triton", make(rays, samples, 3, 0.05))


@kernels
@pytest.mark.parametrize("beta", [1e-6, 1e-3, 10.0])
@pytest.mark.parametrize("kind", ["fixed", "scaled"])
def test_extreme_beta(backend, beta, kind):
    scale = {"wide": 2 * beta, "step": beta} if kind == "scaled" else {}
    got = check(backend, make(7, 20, 3, beta, **scale))
    if kind == "scaled":
        assert all(x.norm() > 0 for x in got.values())


@kernels
@pytest.mark.parametrize(
    "far", [1e3, 0.5, -0.5, -1e3], ids=["far outside", "misses", "inside", "far inside"]
)
def test_rays_that_all_miss_or_all_hit(backend, far):
    sdf, *others = make(6, 12, 3, 0.02)
    inputs = ((sdf / 10 + far).float().double(), *others)
    got = check(backend, inputs)
    opacity = got["opacity"].cpu()
    if far > 0:
        assert opacity.max() < 1e-6
    else:
        assert torch.allclose(opacity.double(), -torch.expm1(-inputs[1].sum(1) / 0.02))


@kernels
def test_one_upstream_gradient_at_a_time(backend):
    inputs = make(9, 17, 2, 0.05)
    wanted_out = composite_sdf_reference(*(x.clone().requires_grad_() for x in inputs))
    ups, device = upstream(wanted_out), device_of(backend)
    for which, name in enumerate(NAMES):
        both = []
        for function, dtype, options in (
            (composite_sdf_reference, torch.float64, {}),
            (composite_sdf, torch.float32, {"backend": backend}),
        ):
            place = "cpu" if dtype == torch.float64 else device
            leaves = [x.to(place, dtype, copy=True).requires_grad_() for x in inputs]
            out = getattr(function(*leaves, **options), name)
            both.append(torch.autograd.grad(out, leaves, ups[which].to(out), allow_unused=True))
        for wanted, got in zip(*both, strict=True):
            assert (wanted is None) == (got is None), name
            if wanted is not None:
                assert error(got, wanted) <= 1e-4, name


@kernels
def test_gradients_that_are_not_wanted_are_not_computed(backend):
    inputs = make(9, 17, 2, 0.05)
    ups = upstream(composite_sdf_reference(*inputs))
    every = answers(composite_sdf, [x.float().to(device_of(backend)) for x in inputs], ups,
                    backend=backend)  # fmt: skip
    for which, name in enumerate(("d_sdf", "d_deltas", "d_t", "d_v", "d_beta")):
        plain = [x.float().to(device_of(backend)) for x in inputs]
        plain[which].requires_grad_()
        out = composite_sdf(*plain, backend=backend)
        torch.autograd.backward(out, [u.to(o) for u, o in zip(ups, out, strict=True)])
        assert [x.grad is not None for x in plain] == [i == which for i in range(5)]
        assert torch.allclose(plain[which].grad, every[name], rtol=1e-5)


@kernels
def test_sdf_weights_agrees_with_the_reference(backend):
    sdf, deltas, _, _, beta = make(37, 8, 1, 0.05)
    up = torch.randn(37, 8, generator=torch.Generator().manual_seed(2)).double()

    def run(function, *inputs):
        leaves = [x.clone().requires_grad_() for x in inputs]
        out = function(*leaves)
        return [out, *torch.autograd.grad(out, leaves, up.to(out))]

    wanted = run(sdf_weights_reference, sdf, deltas, beta)
    plain = [x.float().to(device_of(backend)) for x in (sdf, deltas, beta)]
    got = run(lambda *x: sdf_weights(*x, backend=backend), *plain)
    assert error(got[0], wanted[0].detach()) <= 1e-5
    assert all(error(g, w) <= 1e-4 for g, w in zip(got[1:], wanted[1:], strict=True))
    whole = composite_sdf(plain[0], plain[1], plain[0], plain[0][..., None], plain[2],
                          backend=backend)  # fmt: skip
    assert torch.equal(whole.weights, got[0].detach())


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
    sdf = torch.full((1, 3), -1e3, dtype=torch.float64)
    deltas = torch.tensor([[0.3, 5000.0, 1.0]], dtype=torch.float64)
    values = torch.tensor([[[0.2], [0.9], [0.4]]], dtype=torch.float64)
    inputs = (sdf, deltas, deltas.cumsum(1), values, torch.tensor(1.0, dtype=torch.float64))
    got = check(backend, inputs)
    thin = 1 - torch.exp(torch.tensor(-0.3))
    assert torch.allclose(got["weights"].cpu(), torch.tensor([[thin, 1 - thin, 0.0]]), atol=5e-7)


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


@kernels
def test_inputs_that_are_not_contiguous(backend):
    inputs = make(11, 13, 3, 0.05)
    device = device_of(backend)
    plain = [x.float().to(device) for x in inputs]
    odd = [
        plain[0].t().contiguous().t(),
        torch.stack([plain[1], plain[1]], -1)[..., 0],
        torch.cat([plain[2], plain[2]], 1)[:, :13],
        plain[3].permute(2, 0, 1).contiguous().permute(1, 2, 0),
        plain[4].expand(3)[1:2],
    ]
    assert not any(x.is_contiguous() for x in odd[:4])
    ups = upstream(composite_sdf_reference(*inputs))
    # gradients from above that are expanded or transposed
    ups[0] = ups[0].t().contiguous().t()
    ups[1] = torch.tensor(0.7).double().expand(11)
    wanted = answers(composite_sdf, plain, ups, backend=backend)
    got = answers(composite_sdf, odd, ups, backend=backend)
    assert got["d_beta"].shape == (1,)
    assert all(torch.equal(got[n].reshape(-1), wanted[n].reshape(-1)) for n in wanted)


@kernels
def test_no_rays(backend):
    inputs = [x.float().to(device_of(backend)) for x in make(0, 8, 3, 0.05)]
    got = answers(composite_sdf, inputs, upstream(composite_sdf_reference(*inputs)),
                  backend=backend)  # fmt: skip
    assert got["values"].shape == (0, 3) and got["d_v"].shape == (0, 8, 3)
    assert got["d_beta"].shape == () and got["d_beta"] == 0


@kernels
def test_beta_may_be_a_number(backend):
    sdf, deltas, t, values, _ = (x.float().to(device_of(backend)) for x in make(5, 9, 3, 0.0))
    by_number = composite_sdf(sdf, deltas, t, values, 0.05, backend=backend)
    by_tensor = composite_sdf(sdf, deltas, t, values, sdf.new_tensor([0.05]), backend=backend)
    assert all(torch.equal(a, b) for a, b in zip(by_number, by_tensor, strict=True))


@kernels
def test_nothing_is_stored_but_the_inputs(backend):
    inputs = [x.float().to(device_of(backend)).requires_grad_() for x in make(8, 16, 3, 0.05)]
    held = {x.data_ptr() for x in inputs}

    def beyond(**options) -> int:
        saved: list[int] = []

        def pack(x: Tensor) -> Tensor:
            saved.append(0 if x.data_ptr() in held else x.numel() * x.element_size())
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            composite_sdf(*inputs, **options)
            sdf_weights(inputs[0], inputs[1], inputs[4], **options)
        return sum(saved)

    assert beyond(backend=backend) == 0
    assert beyond(backend="torch") > 8 * 16 * 4 * 5  # so the hook sees what is saved


@kernels
def test_two_runs_are_equal_to_the_bit(backend):
    inputs = make(41, 33, 3, 0.05)
    ups = upstream(composite_sdf_reference(*inputs))
    plain = [x.float().to(device_of(backend)) for x in inputs]
    one, two = (answers(composite_sdf, plain, ups, backend=backend) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_comparison_bites():
    """Errors of 3e-4 in one gradient, or of 3e-5 in one output, are found."""
    x = torch.randn(20, dtype=torch.float64)
    assert error(x * (1 + 3e-5), x) > 1e-5 and error(x * (1 + 3e-4), x) > 1e-4
    with pytest.raises(AssertionError):
        error(x * float("nan"), x)


def test_reference_gradients():
    inputs = [x.requires_grad_() for x in make(3, 5, 2, 0.3)]
    assert torch.autograd.gradcheck(composite_sdf_reference, inputs)
    assert torch.autograd.gradgradcheck(composite_sdf_reference, inputs)
    assert torch.autograd.gradgradcheck(sdf_weights_reference, (*inputs[:2], inputs[4]))


def test_reference_by_hand():
    """Two samples of density ln 2 halve the light each: 1/2 and 1/4 of it stop there."""
    beta = 1 / math.log(2)
    sdf = torch.full((1, 2), -1e3, dtype=torch.float64)
    ones, t = torch.ones_like(sdf), torch.tensor([[1.0, 4.0]], dtype=torch.float64)
    out = composite_sdf_reference(sdf, ones, t, torch.stack([t, 2 * t], -1), beta)
    assert torch.allclose(out.weights, torch.tensor([[0.5, 0.25]]).double())
    assert torch.allclose(out.opacity, torch.tensor([0.75]).double())
    assert torch.allclose(out.depth, torch.tensor([2.0]).double())
    assert torch.allclose(out.values, torch.tensor([[1.5, 3.0]]).double())


def test_what_can_not_run_says_why():
    sdf, deltas, t, values, beta = (x.float() for x in make(2, 4, 3, 0.05))
    with pytest.raises(ValueError, match="float32"):
        sdf_weights(sdf.double(), deltas.double(), beta, backend="numba")
    with pytest.raises(ValueError, match="one dtype"):
        composite_sdf(sdf, deltas, t, values.double(), beta, backend="numba")
    long = torch.zeros(1, 1025)
    with pytest.raises(ValueError, match="at most 1024 samples"):
        sdf_weights(long, long, beta, backend="triton")
    with pytest.raises(ValueError, match="16 channels, not 4 and 17"):
        composite_sdf(sdf, deltas, t, torch.zeros(2, 4, 17), beta, backend="triton")
    with pytest.raises(ValueError, match="unknown backend"):
        sdf_weights(sdf, deltas, beta, backend="cuda")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one number"):
        sdf_weights(sdf, deltas, torch.ones(2))
    with pytest.raises(ValueError, match=r"\(N, S\)"):
        sdf_weights(sdf[0], deltas[0], beta)
    with pytest.raises(ValueError, match="values"):
        composite_sdf(sdf, deltas, t, values[:1], beta)


def test_auto_takes_what_kernels_can_not():
    sdf, deltas, t, values, beta = make(2, 4, 3, 0.05)
    out = composite_sdf(sdf, deltas, t, values, beta)
    assert out.values.dtype == torch.float64
    assert composite_sdf(sdf, deltas, t, values[..., :0], beta).values.shape == (2, 0)


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
    sdf, deltas, _, _, _ = (x.float() for x in make(4, 17, 1, beta, seed, wide=0.3, step=scale))
    weights = sdf_weights(sdf, deltas, beta, backend=backend)
    assert (weights >= 0).all() and (weights.sum(-1) <= 1 + 1e-5).all()
    nearer = sdf - closer
    assert (laplace_density(nearer, beta) >= laplace_density(sdf, beta) * (1 - 1e-6)).all()
    denser = sdf_weights(nearer, deltas, beta, backend=backend)
    assert (denser.sum(-1) >= weights.sum(-1) - 1e-5).all()
