"""Checks of lesson 11: bytes, loops and rooflines."""

from __future__ import annotations

import copy

import numpy as np
import torch

from privhead_nb.kernels.compositing import laplace_density, weights_from_density
from privhead_nb.teach import results
from privhead_nb.teach.checks import (
    Array,
    Function,
    check,
    check_loop,
    same_names,
)
from privhead_nb.teach.lesson11 import roofline
from privhead_nb.teach.lesson11.traffic import size, traffic
from privhead_nb.viz.roofline import Result, largest_rows


def ex1101(yours: Function) -> None:
    """Bytes that `laplace_density` reads and writes, and the least: (samples, itemsize) -> 3."""
    types = {2: torch.float16, 4: torch.float32, 8: torch.float64}

    def counted(samples: int, itemsize: int) -> tuple[int, int, int]:
        sdf = torch.linspace(-1, 1, samples, dtype=types[itemsize])
        moved = traffic(laplace_density, sdf, 0.1)
        return moved.read, moved.written, size(sdf) + size(laplace_density(sdf, 0.1))

    def wide_booleans(samples: int, itemsize: int) -> tuple[int, int, int]:
        read, written, least = counted(samples, itemsize)
        return read + (itemsize - 1) * samples, written + (itemsize - 1) * samples, least

    check(
        "ex1101",
        yours,
        counted,
        {
            "1 number of 4 bytes": (1, 4),
            "1000 numbers of 4 bytes": (1000, 4),
            "60 numbers of 8 bytes": (60, 8),
            "7 numbers of 2 bytes": (7, 2),
        },
        hint="write the two lines with one operation on each line, as in the table above; "
        "each reads its arguments and writes its result",
        slips={"a comparison writes booleans, and a boolean takes 1 byte": wide_booleans},
    )


def ex1102(yours: Function) -> None:
    """Weights of eq. 1 as a loop: (density, deltas, weights), fills weights (rays, samples)."""

    check_loop(
        "ex1102",
        yours,
        weights,
        {name: given[:2] for name, given in _rays().items()},
        hint="go along the ray with one running sum; what gets through to a sample is the "
        "exponential of minus the sum of what stands before it",
        slips={
            "your sum contains the sample itself; T counts only what stands before": (
                lambda density, deltas: weights(density, deltas) * np.exp(-density * deltas)
            ),
            "your sum must start from 0 on each ray": (
                lambda *rays: weights(*(a.reshape(1, -1) for a in rays)).reshape(rays[0].shape)
            ),
            "each density must be multiplied by its delta": (
                lambda density, deltas: weights(density, np.ones_like(deltas))
            ),
            "this is T, what gets through; the weight is T times the share that stops": (
                lambda density, deltas: np.exp(density * deltas - np.cumsum(density * deltas, 1))
            ),
        },
    )


def ex1103(yours: Function) -> None:
    """Its backward: (density, deltas, upstream, grad), fills grad with d loss / d density."""

    def spec(density: Array, deltas: Array, upstream: Array) -> Array:
        sigma = torch.tensor(density).requires_grad_()
        found = weights_from_density(sigma, torch.tensor(deltas))
        (grad,) = torch.autograd.grad(found, sigma, torch.tensor(upstream))
        return grad.numpy()

    check_loop(
        "ex1103",
        yours,
        spec,
        _rays(),
        hint="go forward once to know what gets through, then backward with a running sum of "
        "upstream times weight of the samples behind",
        slips={
            "you left out the samples behind: more density here takes light from them": (
                lambda density, deltas, upstream: (
                    upstream * np.exp(-np.cumsum(density * deltas, axis=1)) * deltas
                )
            ),
            "your sum contains the sample itself; only those behind it lose light": (
                lambda *rays: spec(*rays) - rays[2] * weights(*rays[:2]) * rays[1]
            ),
            "this is d loss / d tau; tau is density times delta": (
                lambda *rays: spec(*rays) / rays[1]
            ),
        },
        rtol=1e-4,
        atol=1e-5,
    )


def ex1104(yours: Function) -> None:
    """Which kernels memory holds up: a stored benchmark -> their names."""
    stored = results.table("kernels_cpu")

    def with_memory(times_as_fast: float) -> tuple[Result]:
        result = copy.deepcopy(stored)
        result["machine"]["copy_gb_s"] *= times_as_fast
        return (result,)

    def swapped(result: Result) -> set[str]:
        return set(largest_rows(result)) - roofline.memory_bound(result)

    check(
        "ex1104",
        yours,
        roofline.memory_bound,
        {
            "the stored benchmark": (stored,),
            "a machine with 50 times slower memory": with_memory(1 / 50),
            "a machine with 50 times faster memory": with_memory(50),
        },
        hint="an op is bound by memory where flops / bytes_forward of its last row is less "
        "than fp32_gflop_s / copy_gb_s of the machine",
        slips={"these are the others, which arithmetic holds up": swapped},
        same=same_names,
    )


def weights(density: Array, deltas: Array) -> Array:
    """(rays, samples) weights of eq. 1."""
    return weights_from_density(torch.tensor(density), torch.tensor(deltas)).numpy()


def _rays() -> dict[str, tuple[Array, ...]]:
    """Density, deltas and upstream gradient of a few rays, by what is special about them."""
    rng = np.random.default_rng(11)
    cases = {
        "one sample": ([[2.0]], [[0.5]], [[1.0]]),
        "a thin sample before a wall": (
            [[0.3, 5000.0, 1.0, 2.0]],
            np.ones((1, 4)),
            [[1, -2, 3, 4]],
        ),
        "7 rays of 33 samples": (
            rng.exponential(3.0, (7, 33)),
            rng.uniform(0.01, 0.2, (7, 33)),
            rng.normal(size=(7, 33)),
        ),
        "no ray at all": (np.zeros((0, 5)),) * 3,
    }
    return {
        name: tuple(np.array(array, dtype=np.float32) for array in arrays)
        for name, arrays in cases.items()
    }
