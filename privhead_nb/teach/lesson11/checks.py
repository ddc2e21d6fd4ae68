"""Checks of lesson 11: bytes, loops and rooflines."""

from __future__ import annotations

import copy

import numpy as np
import torch

from privhead_nb.kernels.compositing import laplace_density, weights_from_density
from privhead_nb.teach.checks import (
    Array,
    Function,
    check,
    check_loop,
    same_names,
)
from privhead_nb.teach.lesson11 import roofline
from privhead_nb.teach.lesson11.traffic import size, traffic


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

    def spec(density: Array, deltas: Array) -> Array:
        return weights_from_density(torch.tensor(density), torch.tensor(deltas)).numpy()

    def inclusive(density: Array, deltas: Array) -> Array:
        tau = density * deltas
        return np.exp(-np.cumsum(tau, axis=1)) * -np.expm1(-tau)

    def no_deltas(density: Array, deltas: Array) -> Array:
        return spec(density, np.ones_like(deltas))

    def no_restart(density: Array, deltas: Array) -> Array:
        one = spec(density.reshape(1, -1), deltas.reshape(1, -1))
        return one.reshape(density.shape)

    def no_alpha(density: Array, deltas: Array) -> Array:
        tau = density * deltas
        return np.exp(-(np.cumsum(tau, axis=1) - tau))

    check_loop(
        "ex1102",
        yours,
        spec,
        {name: given[:2] for name, given in _rays().items()},
        hint="go along the ray with one running sum; what gets through to a sample is the "
        "exponential of minus the sum of what stands before it",
        slips={
            "your sum contains the sample itself; T counts only what stands before": inclusive,
            "your sum must start from 0 on each ray": no_restart,
            "each density must be multiplied by its delta": no_deltas,
            "this is T, what gets through; the weight is T times the share that stops": no_alpha,
        },
    )


def ex1103(yours: Function) -> None:
    """Its backward: (density, deltas, upstream, grad), fills grad with d loss / d density."""

    def spec(density: Array, deltas: Array, upstream: Array) -> Array:
        sigma = torch.tensor(density).requires_grad_()
        weights = weights_from_density(sigma, torch.tensor(deltas))
        (grad,) = torch.autograd.grad(weights, sigma, torch.tensor(upstream))
        return grad.numpy()

    def parts(density: Array, deltas: Array, upstream: Array) -> tuple[Array, Array]:
        weights = weights_from_density(torch.tensor(density), torch.tensor(deltas)).numpy()
        own = upstream * np.exp(-np.cumsum(density * deltas, axis=1))
        return own, upstream * weights

    def own_only(density: Array, deltas: Array, upstream: Array) -> Array:
        return parts(density, deltas, upstream)[0] * deltas

    def inclusive(density: Array, deltas: Array, upstream: Array) -> Array:
        own, shares = parts(density, deltas, upstream)
        behind = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1]
        return (own - behind) * deltas

    def of_tau(density: Array, deltas: Array, upstream: Array) -> Array:
        own, shares = parts(density, deltas, upstream)
        behind = np.cumsum(shares[:, ::-1], axis=1)[:, ::-1] - shares
        return own - behind

    check_loop(
        "ex1103",
        yours,
        spec,
        _rays(),
        hint="go forward once to know what gets through, then backward with a running sum of "
        "upstream times weight of the samples behind",
        slips={
            "you left out the samples behind: more density here takes light from them": own_only,
            "your sum contains the sample itself; only those behind it lose light": inclusive,
            "this is d loss / d tau; tau is density times delta": of_tau,
        },
        rtol=1e-4,
        atol=1e-5,
    )


def ex1104(yours: Function) -> None:
    """Which kernels memory holds up: a stored benchmark -> their names."""
    stored = roofline.stored()
    slower, faster = copy.deepcopy(stored), copy.deepcopy(stored)
    slower["machine"]["copy_gb_s"] /= 50
    faster["machine"]["copy_gb_s"] *= 50

    def swapped(result: roofline.Result) -> set[str]:
        rows = roofline.largest(result)
        return set(rows) - roofline.memory_bound(result)

    check(
        "ex1104",
        yours,
        roofline.memory_bound,
        {
            "the stored benchmark": (stored,),
            "a machine with 50 times slower memory": (slower,),
            "a machine with 50 times faster memory": (faster,),
        },
        hint="an op is bound by memory where flops / bytes_forward of its last row is less "
        "than fp32_gflop_s / copy_gb_s of the machine",
        slips={"these are the others, which arithmetic holds up": swapped},
        same=same_names,
    )


def _rays() -> dict[str, tuple[Array, ...]]:
    """Density, deltas and upstream gradient of a few rays, by what is special about them."""
    rng = np.random.default_rng(11)
    wall = np.array([[0.3, 5000.0, 1.0, 2.0]])
    cases: dict[str, tuple[Array, ...]] = {
        "one sample": (np.array([[2.0]]), np.array([[0.5]]), np.array([[1.0]])),
        "a thin sample before a wall": (wall, np.ones_like(wall), np.array([[1.0, -2, 3, 4]])),
        "7 rays of 33 samples": (
            rng.exponential(3.0, (7, 33)),
            rng.uniform(0.01, 0.2, (7, 33)),
            rng.normal(size=(7, 33)),
        ),
        "no ray at all": tuple(np.zeros((0, 5)) for _ in range(3)),
    }
    return {
        name: tuple(array.astype(np.float32) for array in arrays) for name, arrays in cases.items()
    }
