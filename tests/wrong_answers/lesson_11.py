"""Answers to the exercises of lesson 11, as students write them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from answers import edited, spoiled

from privhead_nb.kernels.lazy import triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

# 1101, bytes of the density -----------------------------------------------------------------------


def bytes_right(samples, itemsize):
    return samples * (10 * itemsize + 1), samples * (8 * itemsize + 1), samples * 2 * itemsize


def bytes_line_by_line(samples, itemsize):
    """One operation after the other: what it reads, what it writes."""
    number, boolean = itemsize, 1
    operations = [(number, number)] * 6  # abs, neg, / beta, exp, 0.5 *, 1 -
    operations += [(number, boolean), (boolean + 2 * number, number), (number, number)]
    read, written = (samples * sum(column) for column in zip(*operations, strict=True))
    return read, written, samples * (number + number)


# 1102, the loop -----------------------------------------------------------------------------------


def loop(density, deltas, weights):
    for ray in range(density.shape[0]):
        before = 0.0
        for i in range(density.shape[1]):
            tau = density[ray, i] * deltas[ray, i]
            weights[ray, i] = math.exp(-before) * -math.expm1(-tau)
            before += tau


def loop_by_cumsum_minus(density, deltas, weights):
    tau = density * deltas
    weights[:] = np.exp(-(np.cumsum(tau, 1) - tau)) * -np.expm1(-tau)


def loop_in_float32(density, deltas, weights):
    tau = density * deltas
    before = np.pad(np.cumsum(tau[:, :-1], 1), ((0, 0), (1, 0)))[:, : tau.shape[1]]
    weights[:] = np.exp(-before) * (1 - np.exp(-tau))


def loop_right_by_arrays(density, deltas, weights):
    tau = density * deltas
    weights[:, 1:] = np.cumsum(tau[:, :-1], 1)
    weights[:, 0] = 0
    weights[:] = np.exp(-weights) * -np.expm1(-tau)


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


def back_total_minus_so_far(density, deltas, upstream, grad):
    for ray in range(density.shape[0]):
        before = 0.0
        lost = []
        for i in range(density.shape[1]):
            tau = density[ray, i] * deltas[ray, i]
            lost.append(upstream[ray, i] * math.exp(-before) * -math.expm1(-tau))
            before += tau
            grad[ray, i] = math.exp(-before)
        so_far = 0.0
        for i in range(density.shape[1]):
            so_far += lost[i]
            grad[ray, i] = (upstream[ray, i] * grad[ray, i] - (sum(lost) - so_far)) * deltas[ray, i]


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


def bound(result: Any) -> dict[str, list[bool]]:
    """Whether the rows of each op are bound by memory, in their order."""
    ridge = result["machine"]["fp32_gflop_s"] / result["machine"]["copy_gb_s"]
    rows: dict[str, list[bool]] = {}
    for row in result["rows"]:
        if row["function"] == "fused" and row["flops"]:
            rows.setdefault(row["op"], []).append(row["flops"] / row["bytes_forward"] < ridge)
    return rows


def bound_right(result):
    ridge = result["machine"]["fp32_gflop_s"] / result["machine"]["copy_gb_s"]
    last = {row["op"]: row for row in result["rows"] if row["function"] == "fused" and row["flops"]}
    return {op for op, row in last.items() if row["flops"] / row["bytes_forward"] < ridge}


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


def bound_on_one_machine(result):
    """The stored machine's ridge, written down as a number."""
    from privhead_nb.teach import results

    machine = results.table("kernels_cpu")["machine"]
    return set(bound_right({**result, "machine": machine}))


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
DELTAS = "tau *= tl.load(p_deltas + own, mask=inside, other=0.0)"
DELTAS_LEFT = "tau_left *= tl.load(p_deltas + own - 1, mask=left, other=0.0)"
THROUGH = "tl.exp(-tl.cumsum(tau_left, axis=0))"


BOTH = "(10 * itemsize + 1), samples * (8 * itemsize + 1)"

WRONG = [
    *spoiled(
        "1101", bytes_right,
        (BOTH, "11 * itemsize, samples * 9 * itemsize", "a boolean takes 1 byte"),
        ("samples * 2 *", "samples *", "two numbers, not one"),
        ("10 *", "9 *", "`where` has three inputs"),
        (BOTH, "(8 * itemsize + 1), samples * (10 * itemsize + 1)", "first what is read"),
        (BOTH, "(18 * itemsize + 2)", "has the shape (2,)"),
    ),
    ("1101", lambda samples, itemsize: tuple(n // itemsize for n in bytes_right(samples, itemsize)),
     "in bytes, not in numbers"),
    ("1101", lambda samples, itemsize: bytes_right(1, itemsize),
     "multiply by how many there are"),
    *spoiled(
        "1102", loop,
        ("-math.expm1(-tau)", "(1 - math.exp(-tau))", "take expm1"),
        ("exp(-before)", "exp(-before - tau)", "the sample itself"),
        (" * -math.expm1(-tau)", "", "this is T"),
        ("math.exp(-before) * ", "", "the share that stops at each sample"),
        ("    for ray in range(density.shape[0]):\n        before = 0.0\n",
         "    before = 0.0\n    for ray in range(density.shape[0]):\n", "start from 0 on each ray"),
        ("density.shape[1]", "density.shape[1] - 1", "never written"),
        (" * deltas[ray, i]", "", "multiplied by its delta"),
    ),
    ("1102", edited(loop, ("before = 0.0", "through = 1.0"), ("math.exp(-before)", "through"),
                    ("before += tau", "through *= 1 - -math.expm1(-tau)")),
     "a product of it: add up tau"),
    ("1102", edited(loop, ("            before += tau\n", ""),
                    ("            weights", "            before += tau\n            weights"),
                    ("exp(-before)", "exp(-(before - tau))")),
     "a sum minus its last term loses"),
    ("1102", loop_in_float32, "in float32, 1 - exp(-tau)"),
    ("1102", loop_by_cumsum_minus, "a sum minus its last term loses"),
    *spoiled(
        "1103", back,
        ("-math.expm1(-taus[i])", "(1 - math.exp(-taus[i]))", "take expm1"),
        ("- behind)", "- behind - lost)", "only those behind it lose light"),
        ("- behind", "+ behind", "must be subtracted"),
        ("[i + 1]", "[i]", "T_k+1, not T_k"),
        (" * deltas[ray, i]", "", "tau is density times delta"),
        ("        taus", "        upstream = np.ones_like(upstream)\n        taus",
         "its own upstream gradient"),
        (" - behind", "", "left out the samples behind"),
    ),
    ("1103", back_total_minus_so_far, "a sum minus a sum"),
    ("1103", back_divides, "nan: a 0 / 0"),
    ("1103", back_of_products, "a product of it: add up tau"),
    *spoiled(
        "1104", bound_right,
        ('row["function"] == "fused" and ', "", "take the fused ones only"),
        (' and row["flops"]', "", "whose flops are 0"),
        ("< ridge", ">= ridge", "these are the others"),
    ),
    ("1104", lambda result: {op for op, below in bound(result).items() if all(below)},
     "all of its rows"),
    ("1104", lambda result: {op for op, below in bound(result).items() if any(below)},
     "one of its rows"),
    ("1104", lambda result: {op for op, below in bound(result).items() if below[0]},
     "not its first"),
    ("1104", bound_on_one_machine, "the ridge belongs to a machine"),
    ("1105", kernel_with(("stopped(tau)", "(1 - tl.exp(-tau))")), "take expm1"),
    ("1105", kernel_with((THROUGH, "tl.exp(-tl.cumsum(tau, axis=0))")), "the sample itself"),
    ("1105", kernel_with((THROUGH, "tl.exp(tau - tl.cumsum(tau, axis=0))")),
     "a sum minus its last term loses"),
    ("1105", kernel_with((THROUGH, "tl.cumprod(1 - stopped(tau_left), axis=0)")),
     "a product of it: add up tau"),
    ("1105", kernel_with((OWN_LEFT, "left = inside")), "the last sample of another ray"),
    ("1105", kernel_with(("tl.program_id(0) * count", "tl.program_id(0) * BLOCK")),
     "raises IndexError"),
    ("1105", kernel_with(("stopped(tau), mask=inside", "stopped(tau)")),
     "the kernel has written beside its rays"),
    ("1105", kernel_with(("p_density + own, mask=inside, other=0.0", "p_density + own")),
     "without a mask reaches beyond its ray"),
    ("1105", kernel_with((DELTAS, ""), (DELTAS_LEFT, "")), "multiplied by its delta"),
    ("1105", kernel_with(("through * stopped", "stopped")), "the share that stops at each sample"),
]  # fmt: skip

RIGHT = [
    ("1101", bytes_right),
    ("1101", bytes_line_by_line),
    ("1102", loop),
    ("1102", loop_right_by_arrays),
    ("1102", loop_right_by_product_of_exponentials),
    ("1103", back),
    ("1103", back_right_by_arrays),
    ("1104", bound_right),
    ("1104", bound_right_backwards),
    ("1105", triton_kernel(kernel)),
    ("1105", kernel_right_shifted_by_where),
]
