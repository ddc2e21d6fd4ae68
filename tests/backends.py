"""Where the kernels' tests run (Numba on the CPU, Triton on a GPU or in its interpreter), and the
problems that every op is tested on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from privhead_nb.kernels.compositing import (
    composite_sdf,
    composite_sdf_reference,
    sdf_weights,
    sdf_weights_reference,
)
from privhead_nb.kernels.dispatch import triton_available, why_no_numba
from privhead_nb.kernels.gradient_loss import (
    gradient_loss,
    gradient_loss_reference,
    gradient_modulus,
    gradient_modulus_reference,
)
from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid, encode_grid_reference
from privhead_nb.kernels.sdf_head import sdf_head, sdf_head_reference
from privhead_nb.privacy.operators import Operator

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"  # Triton's
needs_numba = pytest.mark.skipif(why_no_numba() is not None, reason="Numba is not installed")
needs_triton = pytest.mark.skipif(
    not triton_available(), reason="Triton is not installed (there is one for Linux only)"
)
NUMBA = pytest.param("numba", marks=needs_numba)
TRITON = pytest.param("triton", marks=needs_triton)
KERNELS = [NUMBA, TRITON]


def device_of(backend: str) -> str:
    return DEVICE if backend == "triton" else "cpu"


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def relative_rms(got: Tensor, wanted: Tensor) -> float:
    """Of a finite result against an exact one of the same shape; below 1e-12 counts as zero."""
    got, wanted = got.detach().double().cpu(), wanted.detach().double().cpu()
    assert got.shape == wanted.shape and got.isfinite().all()
    return float((got - wanted).norm() / wanted.norm().clamp_min(1e-12))


@dataclass(frozen=True)
class Problem:
    """An op on some float32 inputs.

    Args:
        call: (*inputs, backend=) -> Tensor or tuple of them.
        reference: (*inputs) -> the same.
        inputs: tensors.
        learns: which of them have gradients.
        rows: which have a row a ray, point or picture.
        limits: largest relative RMS error of outputs and of gradients.
        keeps: what a backward stores beyond the inputs, in numbers, by backend.
    """

    call: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: tuple[Tensor, ...]
    learns: tuple[int, ...]
    rows: tuple[int, ...]
    limits: tuple[float, float] = (1e-5, 1e-4)
    keeps: dict[str, int] | None = None


def in_lists(out: Any) -> tuple[list[Tensor], list[Tensor]]:
    """What an op returns, and random upstream gradients for it."""
    outputs = list(out) if isinstance(out, tuple) else [out]
    g = torch.Generator().manual_seed(1)
    return outputs, [torch.randn(y.shape, generator=g).to(y) for y in outputs]


def answers(
    function: Callable[..., Any], inputs: tuple[Tensor, ...], learns: tuple[int, ...],
    only: int | None = None,
) -> tuple[list[Tensor], list[Tensor | None]]:  # fmt: skip
    """Outputs, and gradients for random upstream ones; of one output alone, if `only` says so."""
    leaves = [x.detach().clone().requires_grad_(i in learns) for i, x in enumerate(inputs)]
    out = function(*leaves)
    outputs, upstream = in_lists(out)
    used = range(len(outputs)) if only is None else [only]
    grads = torch.autograd.grad(
        [outputs[k] for k in used], [leaves[i] for i in learns], [upstream[k] for k in used],
        allow_unused=True,
    )  # fmt: skip
    return outputs, list(grads)


def run(problem: Problem, backend: str, **how: Any) -> tuple[list[Tensor], list[Tensor | None]]:
    """Outputs and gradients of the kernel."""
    given = tuple(x.to(device_of(backend)) for x in problem.inputs)
    return answers(lambda *x: problem.call(*x, backend=backend), given, problem.learns, **how)


def exact(problem: Problem, **how: Any) -> tuple[list[Tensor], list[Tensor | None]]:
    """Outputs and gradients of the reference, in float64."""
    inputs = tuple(x.double() for x in problem.inputs)
    return answers(problem.reference, inputs, problem.learns, **how)


def agreed(problem: Problem, backend: str) -> list[Tensor]:
    """Outputs and gradients of the kernel, which must be those of the float64 reference."""
    got = run(problem, backend)
    for found, wanted, limit in zip(got, exact(problem), problem.limits, strict=True):
        for a, b in zip(found, wanted, strict=True):
            assert a is not None and b is not None and relative_rms(a, b) <= limit
    return [x.detach().cpu() for x in (*got[0], *got[1]) if x is not None]


# The problems -------------------------------------------------------------------------------------


def rays(samples: int, beta: float, count: int, channels: int, seed: int = 0, wide: float = 0.2,
         step: float = 0.05) -> tuple[Tensor, ...]:  # fmt: skip
    """sdf, deltas, t, values, beta."""
    g = torch.Generator().manual_seed(seed)
    sdf = wide * torch.randn(count, samples, generator=g)
    deltas = step * torch.rand(count, samples, generator=g)
    values = torch.rand(count, samples, channels, generator=g)
    return sdf, deltas, 1 + deltas.cumsum(1), values, torch.tensor(beta)


def weights(count: int, samples: int, beta: float = 0.05) -> Problem:
    sdf, deltas, _, _, beta_ = rays(samples, beta, count, 1)
    return Problem(sdf_weights, sdf_weights_reference, (sdf, deltas, beta_), (0, 1, 2), (0, 1))


def compositing(
    count: int, samples: int, channels: int = 3, beta: float = 0.05, **how: Any
) -> Problem:
    inputs = rays(samples, beta, count, channels, **how)
    return Problem(composite_sdf, composite_sdf_reference, inputs, (0, 1, 2, 3, 4), (0, 1, 2, 3))


PRECISE = (1e-6, 1e-5)


def pictures(operator: Operator, *size: int) -> tuple[Tensor, ...]:
    """Pictures with a flat part, targets, weights of which many are 0, and two kernels."""
    B, _, H, W = size
    g = torch.Generator().manual_seed(0)
    images = torch.rand(size, generator=g)
    images[:1, :, : 2 * H // 3, : 2 * W // 3] = 0.5
    shape = (B, H - 2 * operator.reach, W - 2 * operator.reach)
    target, mask = (torch.rand(shape, generator=g) for _ in "ab")
    return images, target, (2 * mask - 1).clamp_min(0), *operator.kernels()


def modulus(operator: Operator, *size: int) -> Problem:
    images, _, _, kx, ky = pictures(operator, *size)
    inputs = images, kx, ky
    return Problem(gradient_modulus, gradient_modulus_reference, inputs, (0,), (0,), PRECISE)


def loss(operator: Operator, *size: int, masked: bool = True) -> Problem:
    images, target, mask, kx, ky = pictures(operator, *size)
    inputs = (images, target, kx, ky, mask) if masked else (images, target, kx, ky)
    rows, keeps = (0, 1, 4) if masked else (0, 1), {"numba": images.numel(), "triton": 1}
    return Problem(gradient_loss, gradient_loss_reference, inputs, (0,), rows, PRECISE, keeps)


def plain_loss(operator: Operator, *size: int) -> Problem:
    return loss(operator, *size, masked=False)


def grid(layout: GridLayout, count: int, exact: bool = False) -> Problem:
    """Points, some outside; `exact` ones have 12 bits, so that float32 finds the place in a cell
    of 1 / 511."""
    g = torch.Generator().manual_seed(count)
    points = torch.rand(count, 3, generator=g) * 2.4 - 1.2
    points = (points * 4096).round() / 4096 if exact else points
    table = torch.randn(layout.entries, layout.channels, generator=g)
    return Problem(
        lambda p, t, backend: encode_grid(p, t, layout, backend=backend),
        lambda p, t: encode_grid_reference(p, t, layout), (points, table), (1,), (0,),
    )  # fmt: skip


def head(
    count: int, codes: int, hidden: int, outputs: int, scale: float = 1.0, seed: int = 0
) -> Problem:
    g = torch.Generator().manual_seed(seed)
    shapes = [
        ((count, 3), scale),
        ((count, codes), scale),
        ((hidden, 3 + codes), (3 + codes) ** -0.5),
        ((hidden,), 0.5),
        ((outputs, hidden), hidden**-0.5),
        ((outputs,), 1.0),
    ]
    inputs = tuple(torch.randn(shape, generator=g) * by for shape, by in shapes)
    return Problem(sdf_head, sdf_head_reference, inputs, (0, 1, 2, 3, 4, 5), (0, 1))


SOBEL, SOBEL5, SCHARR = Operator(), Operator("sobel", 5), Operator("scharr")
GAUSSIAN, ROBERTS, DOG = Operator("gaussian", 3), Operator("roberts"), Operator("dog", 3)
BLURRED = Operator(blur=0.5)  # 7 x 7
DENSE = GridLayout((4, 9), channels=4)
HASHED = GridLayout((5, 40, 64), channels=2, max_entries=1000)
NGP = GridLayout((16, 512), channels=2, max_entries=2**12)  # products of primes pass 2^32
SINGLE = GridLayout((17,), channels=1, max_entries=17**3)  # as the cache of distances uses it
ODD = GridLayout((3, 20), channels=3, max_entries=500)
WIDE = GridLayout((6,), channels=8)
QUADRATIC = GridLayout((3, 9), channels=4, degree=2)
HASHED_QUADRATIC = replace(HASHED, degree=2)

Size = tuple[Callable[..., Problem], tuple[Any, ...]]

SMALL: list[Size] = [  # of each op one, odd; small enough for Triton's interpreter
    (weights, (37, 8)),
    (compositing, (9, 17, 2)),
    (modulus, (SOBEL, 2, 3, 5, 7)),
    (loss, (SCHARR, 1, 2, 6, 9)),
    (grid, (HASHED, 77)),
    (head, (70, 6, 12, 4)),
]
MORE: list[Size] = [  # triton: 128 pixels a strip, so 131 take two
    (compositing, (37, 33, 3)),
    (compositing, (5, 98, 6, 0.02)),
    (compositing, (3, 16, 16, 10.0)),
    (compositing, (9, 1, 2, 0.1)),
    (compositing, (2, 1024, 16)),
    *((f, (o, *s)) for f in (modulus, plain_loss, loss) for o, s in (
        (SCHARR, (1, 1, 4, 131)), (GAUSSIAN, (1, 2, 9, 5)), (SOBEL, (1, 4, 3, 3)))),
    *((grid, case) for case in ((DENSE, 131), (HASHED, 131), (NGP, 131, True), (SINGLE, 131),
                                (WIDE, 1), (QUADRATIC, 131), (HASHED_QUADRATIC, 61))),
    (head, (129, 64, 64, 64)),
    (head, (200, 16, 64, 16)),
    (head, (63, 5, 7, 1)),
    (head, (1, 1, 1, 1)),
]  # fmt: skip
LARGE: list[Size] = [  # numba: 32 rows a job, so 63 are shared; (1, 3, 131, 129) wakes a thread
    (compositing, (1023, 98, 3)),
    (modulus, (SOBEL, 3, 3, 63, 60)),
    (loss, (SOBEL, 3, 3, 63, 60)),
    (plain_loss, (SOBEL, 1, 3, 131, 129)),
    (grid, (HASHED, 1023)),
    (grid, (HASHED_QUADRATIC, 1023)),
    (head, (1023, 16, 64, 16)),
]
ANY_SIZE: list[Size] = [  # Numba alone
    (compositing, (3, 1000, 17)),
    *((f, (o, *s)) for f in (modulus, loss) for o, s in (
        (ROBERTS, (2, 3, 37, 12)), (DOG, (1, 2, 7, 7)), (SOBEL5, (3, 3, 63, 60)),
        (BLURRED, (2, 3, 41, 8)))),
    (grid, (ODD, 201)),
]  # fmt: skip
