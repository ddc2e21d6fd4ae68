"""The small head: its gradient is the gradient, and the kernels equal the reference."""

import numpy as np
import pytest
import torch
from backends import DEVICE, KERNELS, device_of
from hypothesis import given, settings
from hypothesis import strategies as st

from privhead_nb.field.sdf import GridField
from privhead_nb.kernels import sdf_head as op
from privhead_nb.kernels.dispatch import prefer
from privhead_nb.kernels.grid_encoding import GridLayout
from privhead_nb.kernels.sdf_head import (
    sdf_head,
    sdf_head_reference,
    sdf_head_with_gradient,
    sdf_head_with_gradient_reference,
)

ACTIVATIONS = ["silu", "softplus"]
# points, codes, hidden, outputs: the laptop's head, odd sizes, the limits, one of each
SIZES = [(1023, 16, 64, 16), (63, 5, 7, 1), (129, 64, 64, 64), (1, 1, 1, 1)]


def head(count, codes, hidden, outputs, seed=0, scale=1.0):
    """float64 points, code, Jacobian, w1, b1, w2, b2; |z| is a few times `scale`."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [
        ((count, 3), scale),
        ((count, codes), scale),
        ((count, codes, 3), 1.0),
        ((hidden, 3 + codes), (3 + codes) ** -0.5),
        ((hidden,), 0.5),
        ((outputs, hidden), hidden**-0.5),
        ((outputs,), 1.0),
    ]
    return [torch.randn(s, generator=generator, dtype=torch.float64) * by for s, by in shapes]


def rounded(tensors, device="cpu"):
    """float32 leaves, and float64 leaves of the same values."""
    single = [t.float().to(device).requires_grad_() for t in tensors]
    return single, [t.detach().cpu().double().requires_grad_() for t in single]


def off(got, wanted):
    """Relative RMS difference."""
    assert torch.isfinite(got).all()
    return (got.detach().cpu().double() - wanted).norm() / wanted.norm().clamp_min(1e-12)


def upstream(outputs, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(y.shape, generator=generator).to(y) for y in outputs]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_reference_passes_gradcheck_and_the_value_twice(activation):
    scale = 1.0 if activation == "silu" else 0.02  # a softplus of steepness 100 needs small z
    x, e, J, w1, b1, w2, b2 = head(4, 3, 5, 2)
    tensors = [t.requires_grad_() for t in (x * scale, e * scale, J, w1, b1 * scale, w2, b2)]
    plain = [*tensors[:2], *tensors[3:]]
    assert torch.autograd.gradcheck(lambda *t: sdf_head_reference(*t, activation), plain)
    assert torch.autograd.gradgradcheck(lambda *t: sdf_head_reference(*t, activation), plain)
    both = lambda *t: sdf_head_with_gradient_reference(*t, activation)  # noqa: E731
    assert torch.autograd.gradcheck(both, tensors)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_is_that_of_autograd_through_the_code(activation):
    """With the code e(x) = A x, de/dx = A: autograd through the code sees the same gradient."""
    x, _, J, *layers = head(50, 6, 8, 3)
    A = J[0]
    x.requires_grad_()
    out = sdf_head_reference(x, x @ A.T, *layers, activation)
    (wanted,) = torch.autograd.grad(out[:, 0].sum(), x)
    _, got = sdf_head_with_gradient(x, x @ A.T, A.expand(50, 6, 3), *layers, activation=activation)
    # torch's softplus is a straight line from 100 z = 20 on, where the exact slope is 1 - 2e-9
    assert off(got, wanted) < (1e-12 if activation == "silu" else 1e-9)


def test_values_by_hand():
    x, e = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[2.0]])
    w1, b1 = torch.tensor([[1.0, 0.0, 0.0, 0.5]]), torch.tensor([-2.0])  # z = 1 + 1 - 2 = 0
    w2, b2 = torch.tensor([[3.0]]), torch.tensor([0.25])
    J = torch.tensor([[[0.0, 4.0, 0.0]]])
    for backend in ("torch", "numba"):
        out, slope = sdf_head_with_gradient(x, e, J, w1, b1, w2, b2, backend=backend)
        assert out.item() == pytest.approx(0.25)  # silu(0) = 0
        assert slope.tolist() == [pytest.approx([1.5, 3.0, 0.0])]  # silu'(0) = 1/2
        soft = sdf_head(x, e, w1, b1, w2, b2, activation="softplus", backend=backend)
        assert soft.item() == pytest.approx(0.25 + 3 * np.log(2) / 100)


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_kernels_equal_the_reference(backend, activation, size):
    if backend == "triton" and DEVICE == "cpu":
        size = (min(size[0], 200), *size[1:])  # the interpreter is slow
    single, double = rounded(head(*size, seed=sum(size)), device_of(backend))
    got = sdf_head_with_gradient(*single, activation=activation, backend=backend)
    wanted = sdf_head_with_gradient_reference(*double, activation)
    assert all(off(a, b) < 1e-5 for a, b in zip(got, wanted, strict=True))
    weights = upstream(wanted)
    found = torch.autograd.grad(got, single, [g.to(y) for g, y in zip(weights, got, strict=True)])
    exact = torch.autograd.grad(wanted, double, weights)
    for a, b in zip(found, exact, strict=True):
        assert off(a, b) < 1e-4

    del single[2], double[2]
    value = sdf_head(*single, activation=activation, backend=backend)
    wanted = sdf_head_reference(*double, activation)
    assert off(value, wanted) < 1e-5
    (weights,) = upstream([wanted])
    found = torch.autograd.grad(value, single, weights.to(value))
    for a, b in zip(found, torch.autograd.grad(wanted, double, weights), strict=True):
        assert off(a, b) < 1e-4


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("scale", [1e-6, 30.0, 1e4])
def test_flat_and_saturated_units_stay_finite_and_right(backend, activation, scale):
    """Tiny z: both activations are nearly linear there. Huge z: one side is 0, the other z.

    Between them lies the bend, where a z of 1e4 has too few digits in float32: no unit is there.
    """
    points, codes, jacobian, w1, b1, *rest = head(150, 8, 16, 3, scale=scale)
    z = torch.cat([points, codes], dim=1) @ w1.T + b1
    far = (z.abs() > 30).all(dim=1) if scale > 1e3 else torch.ones(150, dtype=torch.bool)
    tensors = [points[far], codes[far], jacobian[far], w1, b1, *rest]
    assert len(tensors[0]) > 100
    single, double = rounded(tensors, device_of(backend))
    got = sdf_head_with_gradient(*single, activation=activation, backend=backend)
    wanted = sdf_head_with_gradient_reference(*double, activation)
    assert all(off(a, b) < 1e-5 for a, b in zip(got, wanted, strict=True))
    weights = upstream(wanted)
    found = torch.autograd.grad(got, single, [g.to(y) for g, y in zip(weights, got, strict=True)])
    for tensor in found:
        assert torch.isfinite(tensor).all()


@pytest.mark.parametrize("backend", KERNELS)
def test_one_output_alone_and_only_the_gradients_wanted(backend):
    """An unused output passes nothing, a frozen input gets nothing, and the rest is the same."""
    tensors = head(70, 6, 12, 4)
    single, double = rounded(tensors, device_of(backend))
    for which in (0, 1):
        y = sdf_head_with_gradient(*single, backend=backend)[which]
        exact = sdf_head_with_gradient_reference(*double)[which]
        (weight,) = upstream([exact])
        found = torch.autograd.grad(y, single, weight.to(y), allow_unused=True)
        wanted = torch.autograd.grad(exact, double, weight, allow_unused=True)
        for a, b in zip(found, wanted, strict=True):
            zero = b is None or not b.any()
            assert (a is None or not a.any()) if zero else off(a, b) < 1e-4
    for wanting in ([0], [1], [2], [3], [6]):
        frozen = [t.detach().requires_grad_(i in wanting) for i, t in enumerate(single)]
        y = sdf_head_with_gradient(*frozen, backend=backend)
        exact = sdf_head_with_gradient_reference(*double)
        weights = upstream(exact)
        sum((a * b.to(a)).sum() for a, b in zip(y, weights, strict=True)).backward()
        (wanted,) = torch.autograd.grad(exact, double[wanting[0]], weights)
        assert off(frozen[wanting[0]].grad, wanted) < 1e-4
        assert all(t.grad is None for i, t in enumerate(frozen) if i not in wanting)


@pytest.mark.parametrize("backend", KERNELS)
def test_no_points_and_strided_inputs(backend):
    single, _ = rounded(head(40, 6, 12, 4), device_of(backend))
    x, e, J, *layers = single
    none = sdf_head_with_gradient(x[:0], e[:0], J[:0], *layers, backend=backend)
    assert none[0].shape == (0, 4) and none[1].shape == (0, 3)
    grads = torch.autograd.grad(none, layers, upstream(none))
    assert all(not g.any() for g in grads)

    strided = [t.detach().transpose(0, -1).contiguous().transpose(0, -1) for t in single]
    strided = [t.requires_grad_() for t in strided]
    assert not strided[1].is_contiguous() and not strided[3].is_contiguous()
    plain = sdf_head_with_gradient(*single, backend=backend)
    other = sdf_head_with_gradient(*strided, backend=backend)
    assert all(torch.equal(a, b) for a, b in zip(plain, other, strict=True))
    ones = [torch.ones_like(y[:1, :1]).expand(y.shape) for y in plain]  # strides of 0
    for a, b in zip(
        torch.autograd.grad(plain, single, ones),
        torch.autograd.grad(other, strided, ones),
        strict=True,
    ):
        assert torch.equal(a, b)


@pytest.mark.parametrize("backend", KERNELS)
def test_two_runs_agree_bit_for_bit(backend):
    single, _ = rounded(head(333, 16, 32, 5), device_of(backend))

    def run():
        y = sdf_head_with_gradient(*single, backend=backend)
        return [*y, *torch.autograd.grad(y, single, upstream(y))]

    assert all(torch.equal(a, b) for a, b in zip(run(), run(), strict=True))


@pytest.mark.parametrize("backend", KERNELS)
def test_nothing_but_the_inputs_is_kept_for_the_backward(backend):
    single, _ = rounded(head(200, 16, 64, 16), device_of(backend))
    inputs = {t.data_ptr() for t in single}

    def beyond(run):
        kept = []
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t)
        with hooks:
            run()
        return sum(t.nbytes for t in kept if t.data_ptr() not in inputs)

    assert beyond(lambda: sdf_head_with_gradient(*single, backend=backend)) == 0
    # the check bites: eager keeps hidden layers
    assert beyond(lambda: sdf_head_with_gradient(*single, backend="torch")) > 200 * 64 * 4


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.01, 100.0))
def test_vector_exp_keeps_the_precision_of_float32(seed, scale):
    generator = np.random.default_rng(seed)
    y = (generator.standard_normal(256) * scale).astype(np.float32)
    exact = y.astype(np.float64)
    gate, rest = np.array([op._gate(v) for v in y]).T
    assert np.abs(gate - 1 / (1 + np.exp(-exact))).max() < 3e-7
    left = 1 / (1 + np.exp(np.minimum(exact, 87)))
    assert (np.abs(rest - left) <= 2e-5 * left).all()  # of itself, however small it is
    near = np.abs(y) < 10
    soft = np.array([op._soft(v) for v in y])
    wanted = np.logaddexp(0, exact)
    assert (np.abs(soft - wanted) <= 1e-6 * np.maximum(wanted, 1e-30))[near].all()
    assert np.abs(soft - wanted).max() <= 2e-7 * max(1, np.abs(exact).max())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31 - 1), st.sampled_from(ACTIVATIONS))
def test_head_is_linear_in_its_last_layer(seed, activation):
    """So is the gradient: doubling W2 doubles it, and b2 moves no slope."""
    x, e, J, w1, b1, w2, b2 = (t.float() for t in head(20, 4, 6, 2, seed=seed))
    run = lambda w, b: sdf_head_with_gradient(  # noqa: E731
        x, e, J, w1, b1, w, b, activation=activation, backend="numba"
    )
    out, slope = run(w2, b2)
    twice, steeper = run(2 * w2, 2 * b2)
    torch.testing.assert_close(twice, 2 * out, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(steeper, 2 * slope, rtol=1e-6, atol=1e-6)
    assert torch.equal(run(w2, b2 + 1)[1], slope)


def test_what_cannot_run_says_why():
    x, e, J, w1, b1, w2, b2 = (t.float() for t in head(5, 4, 6, 2))
    wide = [t.float() for t in head(5, 4, 65, 2)]
    with pytest.raises(ValueError, match="64 hidden"):
        sdf_head_with_gradient(*wide, backend="numba")
    assert sdf_head_with_gradient(*wide)[0].shape == (5, 2)  # auto: the reference runs
    with pytest.raises(ValueError, match="float32"):
        sdf_head(*(t.double() for t in (x, e, w1, b1, w2, b2)), backend="numba")
    with pytest.raises(ValueError, match=r"w1 must be \(6, 7\)"):
        sdf_head(x, e, w1[:, 1:], b1, w2, b2)
    with pytest.raises(ValueError, match=r"jacobian must be \(5, 4, 3\)"):
        sdf_head_with_gradient(x, e, J[:, :, :2], w1, b1, w2, b2)
    with pytest.raises(ValueError, match=r"b2 is torch\.float64"):
        sdf_head(x, e, w1, b1, w2, b2.double())
    with pytest.raises(ValueError, match="activation"):
        sdf_head(x, e, w1, b1, w2, b2, activation="relu")
    with pytest.raises(ValueError, match="backend"):
        sdf_head(x, e, w1, b1, w2, b2, backend="jax")


def test_field_gives_the_same_with_and_without_kernels():
    generator = torch.Generator().manual_seed(3)
    field = GridField(GridLayout((5, 9)), generator=generator)
    points = torch.rand(300, 3, generator=generator) * 1.6 - 0.8
    results = []
    for backend in ("auto", "torch"):
        with prefer(backend):
            y = [field.sdf(points)[:, None], *field.sdf_and_features(points)]
            y = [*y, *field.with_gradient(points)]
            results.append([*y, *torch.autograd.grad(y, list(field.parameters()), upstream(y))])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * b.abs().max().item())
