"""What each differentiable kernel keeps: the reference's values and gradients, its own bits."""

from typing import Any

import pytest
import torch
from backends import (
    ANY_SIZE,
    DEVICE,
    KERNELS,
    LARGE,
    MORE,
    SMALL,
    Problem,
    agreed,
    deterministic,
    device_of,
    exact,
    in_lists,
    needs_numba,
    needs_triton,
    relative_rms,
    run,
    threads,
)
from torch import Tensor

BACKENDS = pytest.mark.parametrize("backend", KERNELS)
OPS = pytest.mark.parametrize(
    ("make", "size"), SMALL, ids=["weights", "compositing", "modulus", "loss", "grid", "head"]
)
SIZES = [pytest.param("numba", *size, marks=needs_numba)
         for size in SMALL + MORE + LARGE + ANY_SIZE]  # fmt: skip
SIZES += [pytest.param("triton", *size, marks=needs_triton)
          for size in SMALL + MORE + (LARGE if DEVICE == "cuda" else [])]  # fmt: skip


def moved(problem: Problem, backend: str) -> tuple[Tensor, ...]:
    return tuple(x.to(device_of(backend)) for x in problem.inputs)


def same(got: list[Any], wanted: list[Any]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize(("backend", "make", "size"), SIZES)
def test_values_and_gradients_are_those_of_the_float64_reference(backend, make, size):
    agreed(make(*size), backend)


@BACKENDS
@OPS
def test_one_output_may_be_used_alone(backend, make, size):
    problem = make(*size)
    for only in range(len(exact(problem)[0])):
        found, wanted = run(problem, backend, only=only)[1], exact(problem, only=only)[1]
        for a, b in zip(found, wanted, strict=True):
            if a is None or b is None:
                assert (a is None or not a.any()) and (b is None or not b.any())
            else:
                assert relative_rms(a, b) <= 1e-4


@BACKENDS
@OPS
def test_a_gradient_that_is_not_wanted_is_not_given_and_changes_no_other(backend, make, size):
    problem = make(*size)
    every = run(problem, backend)[1]
    for which, wanted in zip(problem.learns, every, strict=True):
        leaves = [x.clone() for x in moved(problem, backend)]
        leaves[which].requires_grad_()
        torch.autograd.backward(*in_lists(problem.call(*leaves, backend=backend)))
        assert [x.grad is not None for x in leaves] == [i == which for i in range(len(leaves))]
        assert relative_rms(leaves[which].grad, wanted) <= 1e-5


def strided(x: Tensor) -> Tensor:
    """The same numbers in another order of memory."""
    if x.ndim > 1:
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    return torch.stack([x, x], -1)[..., 0]


@BACKENDS
@OPS
def test_the_order_of_memory_changes_no_bit(backend, make, size):
    """Of inputs, and of upstream gradients that are expanded or transposed."""
    problem = make(*size)
    plain = moved(problem, backend)
    odd = tuple(map(strided, plain))
    assert not any(x.is_contiguous() for x in (odd[i] for i in problem.rows) if x.ndim > 1)
    results = []
    for inputs, form in ((plain, lambda up: up), (odd, strided)):
        leaves = [x.detach().requires_grad_(i in problem.learns) for i, x in enumerate(inputs)]
        outputs, ups = in_lists(problem.call(*leaves, backend=backend))
        ups = [form(up) for up in ups]
        ups[0] = ups[0].new_tensor(0.7).expand(outputs[0].shape)
        with deterministic():  # the GPU's sums by atomics differ from run to run
            grads = torch.autograd.grad(outputs, [leaves[i] for i in problem.learns], ups)
        results.append([*outputs, *grads])
    assert same(*results)


@BACKENDS
@OPS
def test_no_rows_at_all_give_none_and_gradients_of_zero(backend, make, size):
    problem = make(*size)
    inputs = [x[:0] if i in problem.rows else x for i, x in enumerate(problem.inputs)]
    none = Problem(problem.call, problem.reference, tuple(inputs), problem.learns, ())
    outputs, grads = run(none, backend)
    assert all(len(y) == 0 for y in outputs if y.ndim)
    assert all(not y.any() for y in outputs)
    for grad, i in zip(grads, problem.learns, strict=True):
        assert grad is not None and grad.shape == inputs[i].shape and not grad.any()


@BACKENDS
@OPS
def test_two_runs_agree_bit_for_bit_at_any_number_of_threads(backend, make, size):
    """Triton's scatter under torch's deterministic algorithms; all others always."""
    large = dict(LARGE) | {make: size} if backend == "triton" and DEVICE == "cpu" else dict(LARGE)
    problem = make(*large.get(make, size))
    results = []
    for count in (1, 2):
        with deterministic(), threads(count if backend == "numba" else 1):
            outputs, grads = run(problem, backend)
        results.append([*outputs, *grads])
    assert same(*results)


@BACKENDS
@OPS
def test_nothing_but_the_inputs_is_kept_for_the_backward(backend, make, size):
    """But for the loss: its gradient (Numba) or one number (Triton)."""
    problem = make(*size)
    leaves = [x.requires_grad_(i in problem.learns)
              for i, x in enumerate(moved(problem, backend))]  # fmt: skip
    held = {x.data_ptr() for x in leaves}

    def beyond(form: str) -> int:
        saved: list[int] = []

        def pack(x: Tensor) -> Tensor:
            saved.append(0 if x.data_ptr() in held else x.numel())
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            problem.call(*leaves, backend=form)
        return sum(saved)

    allowed = 0 if problem.keeps is None else problem.keeps[backend]
    assert beyond(backend) == allowed
    assert beyond("torch") > 100  # so the hook sees what eager keeps


@OPS
def test_float64_takes_the_reference_and_can_not_be_forced(make, size):
    problem = make(*size)
    inputs = tuple(x.double() for x in problem.inputs)
    outputs, _ = in_lists(problem.call(*inputs, backend="auto"))
    assert outputs[0].dtype == torch.float64
    with pytest.raises(ValueError, match="float32"):
        problem.call(*inputs, backend="numba")
    with pytest.raises(ValueError, match="unknown backend"):
        problem.call(*inputs, backend="cuda")


def test_the_comparison_bites():
    """Errors of 3e-4 in a gradient, or of 3e-5 in an output, are found."""
    x = torch.randn(20, dtype=torch.float64)
    assert relative_rms(x * (1 + 3e-5), x) > 1e-5 and relative_rms(x * (1 + 3e-4), x) > 1e-4
    with pytest.raises(AssertionError):
        relative_rms(x * float("nan"), x)
