"""Answers to the exercises of lesson 11, as students write them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from answers import edited

from privhead_nb.kernels.lazy import triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

# 1101, bytes of the density -----------------------------------------------------------------------


def bytes_line_by_line(samples, itemsize):
    """One operation after the other: what it reads, what it writes."""
    number, boolean = itemsize, 1
    operations = [(number, number)] * 6  # abs, neg, / beta, exp, 0.5 *, 1 -
    operations += [(number, boolean), (boolean + 2 * number, number), (number, number)]
    read, written = (samples * sum(column) for column in zip(*operations, strict=True))
    return read, written, samples * (number + number)


# 1102, the loop -----------------------------------------------------------------------------------


def loop_right_by_product_of_exponentials(density, deltas, weights):
    """A product, but of numbers that keep their digits: nothing is subtracted."""
    for ray in range(density.shape[0]):
        through = 1.0
        for i in range(density.shape[1]):
            tau = density[ray, i] * deltas[ray, i]
            weights[ray, i] = through * -math.expm1(-tau)
            through *= math.exp(-tau)


# 1103, the way back -------------------------------------------------------------------------------


def back(density, deltas, upstream, grad):
    for ray in range(density.shape[0]):
        taus = [float(d) * float(e) for d, e in zip(density[ray], deltas[ray], strict=True)]
        befores = [0.0]
        for tau in taus:
            befores.append(befores[-1] + tau)
        behind = 0.0
        for i in reversed(range(len(taus))):
            lost = upstream[ray, i] * math.exp(-befores[i]) * -math.expm1(-taus[i])
            grad[ray, i] = (upstream[ray, i] * math.exp(-befores[i + 1]) - behind) * deltas[ray, i]
            behind += lost


def back_divides(density, deltas, upstream, grad):
    """The derivative of a product, by dividing by the factor that changes."""
    alpha = -np.expm1(-(density * deltas).astype(float))
    for ray in range(density.shape[0]):
        through = np.cumprod(np.append(1, 1 - alpha[ray, :-1]))
        for k in range(density.shape[1]):
            behind = sum(
                upstream[ray, i] * through[i] * alpha[ray, i] / (1 - alpha[ray, k])
                for i in range(k + 1, density.shape[1])
            )
            by_alpha = upstream[ray, k] * through[k] - behind
            grad[ray, k] = by_alpha * (1 - alpha[ray, k]) * deltas[ray, k]


def back_of_products(density, deltas, upstream, grad):
    alpha = -np.expm1(-(density * deltas).astype(float))
    through = np.cumprod(1 - alpha, 1)
    before = np.pad(through[:, :-1], ((0, 0), (1, 0)), constant_values=1)
    if not density.size:
        return
    lost = upstream * before * alpha
    behind = np.cumsum(lost[:, ::-1], 1)[:, ::-1] - lost
    grad[:] = (upstream * through - behind) * deltas


def back_right_by_arrays(density, deltas, upstream, grad):
    tau = (density * deltas).astype(float)
    through = np.exp(-np.cumsum(tau, 1))
    before = np.pad(np.cumsum(tau[:, :-1], 1), ((0, 0), (1, 0)))[:, : tau.shape[1]]
    lost = upstream * np.exp(-before) * -np.expm1(-tau)
    behind = np.zeros_like(tau)
    behind[:, :-1] = np.cumsum(lost[:, :0:-1], 1)[:, ::-1]
    grad[:] = (upstream * through - behind) * deltas


# 1104, bound by memory ----------------------------------------------------------------------------


def bound_right_backwards(result):
    seen, found = set(), set()
    ridge = result["machine"]["fp32_gflop_s"] / result["machine"]["copy_gb_s"]
    for row in reversed(result["rows"]):
        if row["function"] != "fused" or row["flops"] == 0 or row["op"] in seen:
            continue
        seen.add(row["op"])
        if row["flops"] < ridge * row["bytes_forward"]:
            found.add(row["op"])
    return found


# 1105, the kernel ---------------------------------------------------------------------------------


@triton_kernel
def stopped(tau):
    thin = tl.minimum(tau, 0.25)
    series = thin * (1 - thin / 2 * (1 - thin / 3 * (1 - thin / 4 * (1 - thin / 5))))
    return tl.where(tau < 0.25, series, 1 - tl.exp(-tau))


def kernel(p_density, p_deltas, p_weights, count, BLOCK: tl.constexpr):
    lane = tl.arange(0, BLOCK)
    own, inside = tl.program_id(0) * count + lane, lane < count
    tau = tl.load(p_density + own, mask=inside, other=0.0)
    tau *= tl.load(p_deltas + own, mask=inside, other=0.0)
    left = inside & (lane > 0)
    tau_left = tl.load(p_density + own - 1, mask=left, other=0.0)
    tau_left *= tl.load(p_deltas + own - 1, mask=left, other=0.0)
    through = tl.exp(-tl.cumsum(tau_left, axis=0))
    tl.store(p_weights + own, through * stopped(tau), mask=inside)


@triton_kernel
def kernel_right_shifted_by_where(p_density, p_deltas, p_weights, count, BLOCK: tl.constexpr):
    """The neighbour's place, held in the ray; lane 0 then forgets what it has read there."""
    lane = tl.arange(0, BLOCK)
    first = tl.program_id(0) * count
    left = tl.maximum(lane - 1, 0)
    inside = lane < count
    tau = tl.load(p_density + first + lane, inside, 0.0) * tl.load(p_deltas + first + lane, inside)
    tau_left = tl.load(p_density + first + left, inside) * tl.load(p_deltas + first + left, inside)
    before = tl.cumsum(tl.where((lane > 0) & inside, tau_left, 0.0), axis=0)
    tl.store(p_weights + first + lane, tl.exp(-before) * stopped(tau), inside)


def kernel_with(*changes):
    return triton_kernel(edited(kernel, *changes))


OWN_LEFT = "left = inside & (lane > 0)"
THROUGH = "tl.exp(-tl.cumsum(tau_left, axis=0))"

WRONG = [
    ("1102", edited(loop_right_by_product_of_exponentials,
                    ("math.exp(-tau)", "1 - -math.expm1(-tau)")),
     "a product of it: add up tau"),
    ("1103", back_divides, "nan: a 0 / 0"),
    ("1103", back_of_products, "a product of it: add up tau"),
    ("1105", kernel_with(("stopped(tau)", "(1 - tl.exp(-tau))")), "take expm1"),
    ("1105", kernel_with((THROUGH, "tl.exp(-tl.cumsum(tau, axis=0))")), "the sample itself"),
    ("1105", kernel_with((THROUGH, "tl.cumprod(1 - stopped(tau_left), axis=0)")),
     "a product of it: add up tau"),
    ("1105", kernel_with((OWN_LEFT, "left = inside")), "the last sample of another ray"),
    ("1105", kernel_with(("stopped(tau), mask=inside", "stopped(tau)")),
     "the kernel has written beside its rays"),
    ("1105", kernel_with(("p_density + own, mask=inside, other=0.0", "p_density + own")),
     "without a mask reaches beyond its ray"),
]  # fmt: skip

RIGHT = [
    ("1101", bytes_line_by_line),
    ("1102", loop_right_by_product_of_exponentials),
    ("1103", back),
    ("1103", back_right_by_arrays),
    ("1104", bound_right_backwards),
    ("1105", kernel_right_shifted_by_where),
]
