"""The small head by hand and at its extremes; what all kernels keep is in `test_kernels.py`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from backends import KERNELS, device_of, exact, head, relative_rms, run
from hypothesis import given, settings
from hypothesis import strategies as st

from privhead_nb.kernels.sdf_head import numba as loops
from privhead_nb.kernels.sdf_head import sdf_head, sdf_head_reference


def test_reference_passes_gradcheck_twice():
    inputs = [x.double().requires_grad_() for x in head(4, 3, 5, 2).inputs]
    assert torch.autograd.gradcheck(sdf_head_reference, inputs)
    assert torch.autograd.gradgradcheck(sdf_head_reference, inputs)


@pytest.mark.parametrize("backend", ["torch", *KERNELS])
def test_values_by_hand(backend):
    x, e = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[2.0]])
    w1, b1 = torch.tensor([[1.0, 0.0, 0.0, 0.5]]), torch.tensor([-2.0])  # z = 1 + 1 - 2 = 0
    inputs = [x, e, w1, b1, torch.tensor([[3.0]]), torch.tensor([0.25])]
    inputs = [x.to(device_of(backend)).requires_grad_() for x in inputs]
    out = sdf_head(*inputs, backend=backend)
    assert out.item() == pytest.approx(0.25)  # silu(0) = 0
    out.backward()
    assert inputs[0].grad.tolist() == [pytest.approx([1.5, 0.0, 0.0])]  # silu'(0) = 1/2
    assert inputs[1].grad.item() == pytest.approx(0.75)


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("scale", [1e-6, 30.0, 1e4])
def test_flat_and_saturated_units_stay_finite_and_right(backend, scale):
    """Tiny z: silu is nearly linear there. Huge z: one side is 0, the other z.

    Between them lies the bend, where a z of 1e4 has too few digits in float32: no unit is there.
    """
    problem = head(150, 8, 16, 3, scale=scale)
    x, e, w1, b1, *rest = problem.inputs
    z = torch.cat([x, e], dim=1) @ w1.T + b1
    far = (z.abs() > 30).all(dim=1) if scale > 1e3 else torch.ones(150, dtype=torch.bool)
    assert far.sum() > 100
    problem = replace(problem, inputs=(x[far], e[far], w1, b1, *rest))
    got, grads = run(problem, backend)
    assert relative_rms(got[0], exact(problem)[0][0]) < 1e-5
    assert all(g.isfinite().all() for g in grads)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31 - 1), st.floats(0.01, 100.0))
def test_vector_exp_keeps_the_precision_of_float32(seed, scale):
    y = (np.random.default_rng(seed).standard_normal(256) * scale).astype(np.float32)
    exact = y.astype(np.float64)
    gate, rest = np.array([loops._gate(v) for v in y]).T
    assert np.abs(gate - 1 / (1 + np.exp(-exact))).max() < 3e-7
    left = 1 / (1 + np.exp(np.minimum(exact, 87)))
    assert (np.abs(rest - left) <= 2e-5 * left).all()  # of itself, however small it is


def test_what_cannot_run_says_why():
    x, e, w1, b1, w2, b2 = given = head(5, 4, 6, 2).inputs
    wide = head(5, 4, 65, 2).inputs
    assert sdf_head(*wide).shape == (5, 2)  # auto: the reference runs
    for call, words in (
        (lambda: sdf_head(*wide, backend="numba"), "64 hidden"),
        (lambda: sdf_head(x, e, w1[:, 1:], b1, w2, b2), r"w1 must be \(6, 7\)"),
        (lambda: sdf_head(x, e, w1, b1, w2, b2.double()), r"b2 is torch\.float64"),
        (lambda: sdf_head(x, e[0], *given[2:]), "matrices"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
