"""Answers to lesson 07's exercises: wrong ones with words of the message, and right ones."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
from answers import edited, spoiled
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

Array = NDArray[Any]
Weights = list[Tensor]
SILU = 1.0998393

# 0701, the layer ----------------------------------------------------------------------------------


def layer(weight: Tensor, m: Tensor) -> Tensor:
    bound, sums = F.softplus(m), weight.abs().sum(dim=1, keepdim=True)
    return weight * (bound / sums.clamp_min(1e-12)).clamp(max=1)


def layer_by_cases(weight: Tensor, m: Tensor) -> Tensor:
    sums = weight.abs().sum(dim=1, keepdim=True)
    return torch.where(sums > F.softplus(m), weight * F.softplus(m) / sums, weight)


def layer_by_rows(weight: Tensor, m: Tensor) -> Tensor:
    bound, rows = float(torch.log1p(torch.exp(m))), []
    for row in weight:
        total = float(row.abs().sum())
        rows.append(row if total <= bound else row * (bound / total))
    return torch.stack(rows)


# 0702, promise and truth --------------------------------------------------------------------------


def promise_and_truth(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    def network(x: Tensor) -> Tensor:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = F.silu(weight @ x + bias)
        return weights[-1] @ x + biases[-1]

    rows = [float(w.abs().sum(1).max()) for w in weights]
    slopes = torch.stack([torch.autograd.functional.jacobian(network, x) for x in points])
    return SILU ** (len(weights) - 1) * math.prod(rows), float(slopes.abs().sum(2).max())


def product(weights: Weights) -> Tensor:
    return functools.reduce(lambda chain, weight: weight @ chain, weights)


PROMISE, TRUTH = "SILU ** (len(weights) - 1) * math.prod(rows)", "float(slopes.abs().sum(2).max())"


def promise_and_truth_by_vmap(weights: Weights, biases: Weights, points: Tensor) -> Tensor:
    def network(x: Tensor) -> Tensor:
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x = F.linear(F.silu(x) if number else x, weight, bias)
        return x

    steep = torch.func.vmap(torch.func.jacrev(network))(points)
    norms = [torch.linalg.matrix_norm(w, math.inf) for w in weights]
    return torch.stack(
        [SILU ** (len(weights) - 1) * math.prod(norms), steep.abs().sum(2).flatten().max()]
    )


# 0703, the interval of pairs ----------------------------------------------------------------------


def pairs(without: Array, with_it: Array, draws: Array) -> Any:
    changes = 100 * (with_it / without - 1)
    return changes.mean(), *np.percentile(changes[draws].mean(1), [2.5, 97.5])


def pairs_of_means(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    ratios = 100 * (with_it[draws].mean(1) / without[draws].mean(1) - 1)
    return 100 * (with_it.mean() / without.mean() - 1), *np.percentile(ratios, [2.5, 97.5])


def pairs_student(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    changes = 100 * (with_it / without - 1)
    half = stats.t.ppf(0.975, len(changes) - 1) * stats.sem(changes)
    return changes.mean(), changes.mean() - half, changes.mean() + half


def pairs_by_loop(without: Array, with_it: Array, draws: Array) -> list[float]:
    changes = [100 * (b - a) / a for a, b in zip(without, with_it, strict=True)]
    means = [sum(changes[i] for i in draw) / len(draw) for draw in draws]
    return [sum(changes) / len(changes), *np.quantile(means, (0.025, 0.975))]


# 0704, how many pairs -----------------------------------------------------------------------------


def count(effect: float, spread: float, wanted: float) -> int:
    for n in range(2, 10_000):
        freedom, center = n - 1, abs(effect) * n**0.5 / spread
        critical = stats.t.ppf(0.975, freedom)
        below = np.nan_to_num(stats.nct.cdf(-critical, freedom, center))
        if stats.nct.sf(critical, freedom, center) + below >= wanted:
            return n
    raise OverflowError("no number of pairs is enough")


def count_one_tail(effect: float, spread: float, wanted: float) -> int:
    n = 2  # the wrong sign is as good as never found
    while stats.nct.sf(stats.t.isf(0.025, n - 1), n - 1, abs(effect) / spread * n**0.5) < wanted:
        n += 1
    return n


def count_normal(effect: float, spread: float, wanted: float) -> int:
    z = stats.norm.ppf(0.975) + stats.norm.ppf(wanted)
    return max(2, math.ceil((z * spread / effect) ** 2))


def count_by_quantiles(effect: float, spread: float, wanted: float) -> int:
    def least(n: int) -> float:
        both = stats.t.ppf(0.975, n - 1) + stats.t.ppf(wanted, n - 1)
        return float((both * spread / effect) ** 2)

    return next(n for n in range(2, 10_000) if n >= least(n))


def count_signed(effect: float, spread: float, wanted: float) -> int:
    n = 2
    while stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect * n**0.5 / spread) < wanted:
        n += 1
        if n > 500:
            raise OverflowError("no number of pairs is enough")
    return n


WRONG = [
    *spoiled(
        "0701", layer,
        (".clamp(max=1)", "", "the factor is at most 1"),
        ("sums.clamp_min(1e-12)", "sums.max()", "each row has its own factor"),
        ("dim=1", "dim=0", "an output is a row"),
        ("F.softplus(m)", "m", "is softplus(m), not m"),
        ("F.softplus(m)", "m.exp()", "not e^m"),
        ("weight.abs()", "weight", "signs must not cancel"),
        ("weight.abs().sum", "weight.norm", "by Pythagoras"),
        ("weight * (bound / sums.clamp_min(1e-12)).clamp(max=1)",
         "weight.clamp(-float(bound), float(bound))", "scale the whole row"),
        ("(bound / sums.clamp_min(1e-12)).clamp(max=1)", "torch.minimum(sums, bound) / sums",
         "nan: a 0 / 0"),
    ),
    *spoiled(
        "0702", promise_and_truth,
        ("(len(weights) - 1)", "0", "each activation counts"),
        ("(len(weights) - 1)", "len(weights)", "no activation behind the last layer"),
        ("(len(weights) - 1)", "int(len(weights) > 1)", "not once in all"),
        ("SILU **", "1.1 **", "1.1 is rounded"),
        ("math.prod", "sum", "a chain multiplies"),
        ("math.prod(rows)", "float(product(weights).abs().sum(1).max())",
         "the norm of the matrices' product"),
        ("sum(2).max()", "sum(2).amax(1).mean()", "not the mean one"),
        ("sum(2).max()", "sum(2).mean(1).max()", "not the mean of the rows"),
        (".sum(2)", "", "add up the moduli of a row"),
        (".sum(2)", ".sum((1, 2))", "not that of the whole Jacobian"),
        ("slopes.abs().sum(2)", "product(weights).abs().sum(1)", "with its activations"),
        (f"{PROMISE}, {TRUTH}", f"{TRUTH}, {PROMISE}", "the bound first"),
        ("sum(1)", "sum(0)", "the promise has sums of columns"),
        ("sum(2)", "sum(1)", "the truth has sums of columns"),
        ("w.abs().sum(1).max()", "torch.linalg.norm(w, 2)", "spectral norms"),
        ("w.abs()", "w", "the promise adds moduli"),
        ("slopes.abs()", "slopes", "the truth adds moduli"),
        ("in points", "in points[:1]", "not the first alone"),
        ("weight @ x + bias)", "weight @ x)", "biases decide"),
        ("return weights[-1] @ x + biases[-1]", "return F.silu(weights[-1] @ x + biases[-1])",
         "behind its last layer"),
        ("F.silu", "torch.relu", "is SiLU, not max"),
    ),
    ("0702", edited(promise_and_truth, ("sum(1)", "sum(0)"), ("sum(2)", "sum(1)")),
     "a row belongs to an output"),
    ("0702", edited(promise_and_truth, ("w.abs().sum(1).max()", "torch.linalg.norm(w, 2)"),
                    ("slopes.abs().sum(2)", "torch.linalg.norm(slopes, 2, dim=(1, 2))")),
     "the spectral norm"),
    ("0702", edited(promise_and_truth, ("w.abs().sum(1).max()", "w.norm()"),
                    ("slopes.abs().sum(2)", "slopes.norm(dim=(1, 2))")),
     "the norm of all entries"),
    ("0703", pairs_of_means, "compare within each pair"),
    ("0703", pairs_student, "yours is Student's"),
    *spoiled(
        "0703", pairs,
        ("[2.5, 97.5]", "[5, 95]", "percentiles 2.5 and 97.5"),
        ("changes[draws].mean(1)", "changes", "the means of the resamplings"),
        ("with_it / without - 1", "1 - with_it / without", "not the other way round"),
        ("100 * ", "", "100 times the share"),
        ("with_it / without - 1", "with_it - without", "divide by it"),
        ("with_it / without", "without / with_it", "not by the one with"),
        ("(with_it / without - 1)", "np.log(with_it / without)", "not a logarithm"),
        ("changes.mean()", "np.median(changes)", "not their median"),
        ("[2.5, 97.5]", "[97.5, 2.5]", "low end first"),
    ),
    ("0704", count_normal, "t asks for more"),
    ("0704", count_by_quantiles, "noncentral"),
    ("0704", count_signed, "raises OverflowError"),
    *spoiled(
        "0704", count,
        ("stats.nct.sf(critical, freedom, center) + below",
         "stats.t.sf(critical - center, freedom)", "noncentral"),
        ("0.975", "0.95", "the test is two-sided"),
        ("/ spread", "/ spread / 2**0.5", "of the pairs' differences already"),
        ("return n", "return n - 1", "one pair less"),
        ("return n", "return n + 1", "yours is one more"),
        ("= n - 1", "= n", "n - 1 degrees of freedom"),
        (">= wanted", ">= 0.5", "found half the time"),
    ),
]  # fmt: skip

RIGHT = [
    ("0701", layer),
    ("0701", layer_by_cases),
    ("0701", layer_by_rows),
    ("0702", promise_and_truth),
    ("0702", promise_and_truth_by_vmap),
    ("0703", pairs),
    ("0703", pairs_by_loop),
    ("0704", count),
    ("0704", count_one_tail),
]
