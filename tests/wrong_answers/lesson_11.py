"""Answers to the exercises of lesson 11, as students write them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from answers import edited

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


def bytes_wide_booleans(samples, itemsize):
    return samples * 11 * itemsize, samples * 9 * itemsize, samples * 2 * itemsize


def bytes_least_once(samples, itemsize):
    return *bytes_right(samples, itemsize)[:2], samples * itemsize


def bytes_where_of_two(samples, itemsize):
    read, written, least = bytes_right(samples, itemsize)
    return read - samples * itemsize, written, least


def bytes_in_numbers(samples, itemsize):
    return tuple(n // itemsize for n in bytes_right(samples, itemsize))


def bytes_of_one(samples, itemsize):
    return bytes_right(1, itemsize)


def bytes_swapped(samples, itemsize):
    read, written, least = bytes_right(samples, itemsize)
    return written, read, least


def bytes_in_all(samples, itemsize):
    read, written, least = bytes_right(samples, itemsize)
    return read + written, least


# 1102, the loop -----------------------------------------------------------------------------------


def loop(
    stops: Callable[..., float] = lambda tau: -math.expm1(-tau),
    through: Callable[..., float] = lambda before, tau, product: math.exp(-before),
    resets: bool = True,
    last: int = 0,
) -> Callable[..., None]:
    """The loop of weights with something changed."""

    def weights_loop(density, deltas, weights):
        before, product = 0.0, 1.0
        for ray in range(density.shape[0]):
            if resets:
                before, product = 0.0, 1.0
            for i in range(density.shape[1] - last):
                tau = density[ray, i] * deltas[ray, i]
                weights[ray, i] = through(before, tau, product) * stops(tau)
                before += tau
                product *= 1 - -math.expm1(-tau)

    return weights_loop


def loop_without_deltas(density, deltas, weights):
    loop()(density, np.ones_like(deltas), weights)


def loop_by_subtraction(density, deltas, weights):
    for ray in range(density.shape[0]):
        total = 0.0
        for i in range(density.shape[1]):
            tau = density[ray, i] * deltas[ray, i]
            total += tau
            weights[ray, i] = math.exp(-(total - tau)) * -math.expm1(-tau)


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


def back(
    stops: Callable[..., float] = lambda tau: -math.expm1(-tau),
    own: int = 0,
    sign: int = 1,
    shift: int = 1,
    by_delta: bool = True,
    by_upstream: bool = True,
) -> Callable[..., None]:
    """The backward loop with something changed."""

    def backward_loop(density, deltas, upstream, grad):
        for ray in range(density.shape[0]):
            taus = [float(d) * float(e) for d, e in zip(density[ray], deltas[ray], strict=True)]
            ups = upstream[ray] if by_upstream else np.ones(len(taus))
            befores = [0.0]
            for tau in taus:
                befores.append(befores[-1] + tau)
            behind = 0.0
            for i in reversed(range(len(taus))):
                lost = ups[i] * math.exp(-befores[i]) * stops(taus[i])
                grad[ray, i] = ups[i] * math.exp(-befores[i + shift]) - sign * (behind + own * lost)
                grad[ray, i] *= deltas[ray, i] if by_delta else 1
                behind += lost

    return backward_loop


def back_without_the_rest(density, deltas, upstream, grad):
    grad[:] = upstream * np.exp(-np.cumsum(density * deltas, 1)) * deltas


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


def bound(result: Any, keep: Any = lambda row: row["function"] == "fused" and row["flops"]) -> Any:
    ridge = result["machine"]["fp32_gflop_s"] / result["machine"]["copy_gb_s"]
    rows: dict[str, list[bool]] = {}
    for row in filter(keep, result["rows"]):
        below = row["flops"] / row["bytes_forward"] < ridge
        rows.setdefault(row["op"], []).append(below)
    return rows


def bound_right(result):
    return [op for op, below in bound(result).items() if below[-1]]


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


def bound_of_any_function(result):
    return {op for op, below in bound(result, lambda row: row["flops"]).items() if below[-1]}


def bound_in_all_rows(result):
    return {op for op, below in bound(result).items() if all(below)}


def bound_in_one_row(result):
    return {op for op, below in bound(result).items() if any(below)}


def bound_by_first_row(result):
    return {op for op, below in bound(result).items() if below[0]}


def bound_with_uncounted(result):
    return {op for op, below in bound(result, lambda r: r["function"] == "fused").items()
            if below[-1]}  # fmt: skip


def not_bound(result):
    return {op for op, below in bound(result).items() if not below[-1]}


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


def naive(tau: float) -> float:
    return 1 - math.exp(-tau)


WRONG = [
    ("1101", bytes_wide_booleans, "a boolean takes 1 byte"),
    ("1101", bytes_least_once, "two numbers, not one"),
    ("1101", bytes_where_of_two, "`where` has three inputs"),
    ("1101", bytes_in_numbers, "in bytes, not in numbers"),
    ("1101", bytes_of_one, "multiply by how many there are"),
    ("1101", bytes_swapped, "first what is read"),
    ("1101", bytes_in_all, "has the shape (2,)"),
    ("1102", loop(naive), "take expm1"),
    ("1102", loop_in_float32, "in float32, 1 - exp(-tau)"),
    ("1102", loop(through=lambda before, tau, product: product), "a product of it: add up tau"),
    ("1102", loop(through=lambda before, tau, _: math.exp(-before - tau)), "the sample itself"),
    ("1102", loop(stops=lambda tau: 1.0), "this is T"),
    ("1102", loop(through=lambda *_: 1.0), "the share that stops at each sample"),
    ("1102", loop(resets=False), "start from 0 on each ray"),
    ("1102", loop(last=1), "never written"),
    ("1102", loop_without_deltas, "multiplied by its delta"),
    ("1102", loop_by_subtraction, "a sum minus its last term loses"),
    ("1102", loop_by_cumsum_minus, "a sum minus its last term loses"),
    ("1103", back(naive), "take expm1"),
    ("1103", back(own=1), "only those behind it lose light"),
    ("1103", back(sign=-1), "must be subtracted"),
    ("1103", back(shift=0), "T_k+1, not T_k"),
    ("1103", back(by_delta=False), "tau is density times delta"),
    ("1103", back(by_upstream=False), "its own upstream gradient"),
    ("1103", back_without_the_rest, "left out the samples behind"),
    ("1103", back_total_minus_so_far, "a sum minus a sum"),
    ("1103", back_divides, "nan: a 0 / 0"),
    ("1103", back_of_products, "a product of it: add up tau"),
    ("1104", bound_of_any_function, "take the fused ones only"),
    ("1104", bound_in_all_rows, "all of its rows"),
    ("1104", bound_in_one_row, "one of its rows"),
    ("1104", bound_by_first_row, "not its first"),
    ("1104", bound_with_uncounted, "whose flops are 0"),
    ("1104", not_bound, "these are the others"),
    ("1104", bound_on_one_machine, "the ridge belongs to a machine"),
    ("1105", kernel_with(("stopped(tau)", "(1 - tl.exp(-tau))")), "take expm1"),
    ("1105", kernel_with((THROUGH, "tl.exp(-tl.cumsum(tau, axis=0))")), "the sample itself"),
    (
        "1105",
        kernel_with((THROUGH, "tl.exp(tau - tl.cumsum(tau, axis=0))")),
        "a sum minus its last term loses",
    ),
    (
        "1105",
        kernel_with((THROUGH, "tl.cumprod(1 - stopped(tau_left), axis=0)")),
        "a product of it: add up tau",
    ),
    ("1105", kernel_with((OWN_LEFT, "left = inside")), "the last sample of another ray"),
    (
        "1105",
        kernel_with(("tl.program_id(0) * count", "tl.program_id(0) * BLOCK")),
        "raises IndexError",
    ),
    (
        "1105",
        kernel_with(("stopped(tau), mask=inside", "stopped(tau)")),
        "the kernel has written beside its rays",
    ),
    (
        "1105",
        kernel_with(("p_density + own, mask=inside, other=0.0", "p_density + own")),
        "without a mask reaches beyond its ray",
    ),
    ("1105", kernel_with((DELTAS, ""), (DELTAS_LEFT, "")), "multiplied by its delta"),
    ("1105", kernel_with(("through * stopped", "stopped")), "the share that stops at each sample"),
]

RIGHT = [
    ("1101", bytes_right),
    ("1101", bytes_line_by_line),
    ("1102", loop()),
    ("1102", loop_right_by_arrays),
    ("1102", loop_right_by_product_of_exponentials),
    ("1103", back()),
    ("1103", back_right_by_arrays),
    ("1104", bound_right),
    ("1104", bound_right_backwards),
    ("1105", triton_kernel(kernel)),
    ("1105", kernel_right_shifted_by_where),
]
