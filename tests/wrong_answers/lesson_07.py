"""Answers to lesson 07's exercises: wrong ones with words of the message, and right ones."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

Array = NDArray[Any]
Weights = list[Tensor]
SILU = 1.0998393

# 0701, the layer ----------------------------------------------------------------------------------


def scaled(weight: Tensor, bound: Tensor, dim: int = 1, most: float = 1.0) -> Tensor:
    sums = weight.abs().sum(dim, keepdim=True).clamp_min(1e-12)
    return weight * (bound / sums).clamp(max=most)


def layer_always_scaled(weight: Tensor, m: Tensor) -> Tensor:
    return scaled(weight, F.softplus(m), most=math.inf)


def layer_by_one_factor(weight: Tensor, m: Tensor) -> Tensor:
    return weight * min(1.0, float(F.softplus(m) / weight.abs().sum(1).max()))


def layer_columns(weight: Tensor, m: Tensor) -> Tensor:
    return scaled(weight, F.softplus(m), dim=0)


def layer_m(weight: Tensor, m: Tensor) -> Tensor:
    return scaled(weight, m)


def layer_exp(weight: Tensor, m: Tensor) -> Tensor:
    return scaled(weight, m.exp())


def layer_signed_sums(weight: Tensor, m: Tensor) -> Tensor:
    return weight * (F.softplus(m) / weight.sum(1, keepdim=True).clamp_min(1e-12)).clamp(max=1)


def layer_euclid(weight: Tensor, m: Tensor) -> Tensor:
    return weight * (F.softplus(m) / weight.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1)


def layer_clamped(weight: Tensor, m: Tensor) -> Tensor:
    return weight.clamp(-float(F.softplus(m)), float(F.softplus(m)))


def layer_0_by_0(weight: Tensor, m: Tensor) -> Tensor:
    bound = F.softplus(m)
    sums = weight.abs().sum(1, keepdim=True)
    return weight / sums * torch.minimum(sums, bound)


def layer_right(weight: Tensor, m: Tensor) -> Tensor:
    sums = weight.abs().sum(dim=1, keepdim=True)
    return torch.where(sums > F.softplus(m), weight * F.softplus(m) / sums, weight)


def layer_right_by_rows(weight: Tensor, m: Tensor) -> Tensor:
    bound, rows = float(torch.log1p(torch.exp(m))), []
    for row in weight:
        total = float(row.abs().sum())
        rows.append(row if total <= bound else row * (bound / total))
    return torch.stack(rows)


# 0702, promise and truth --------------------------------------------------------------------------


def jacobians(weights: Weights, biases: Weights, points: Tensor) -> Tensor:
    def network(x: Tensor) -> Tensor:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = F.silu(weight @ x + bias)
        return weights[-1] @ x + biases[-1]

    return torch.stack([torch.autograd.functional.jacobian(network, p) for p in points])


def truth(weights: Weights, biases: Weights, points: Tensor) -> float:
    return float(jacobians(weights, biases, points).abs().sum(-1).max())


def promise(weights: Weights, activations: int, dim: int = 1) -> float:
    return math.prod(float(w.abs().sum(dim).max()) for w in weights) * SILU**activations


def slope_without_silu(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    return promise(weights, 0), truth(weights, biases, points)


def slope_one_silu_more(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    return promise(weights, len(weights)), truth(weights, biases, points)


def slope_columns(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    found = jacobians(weights, biases, points).abs().sum(-2).max()
    return promise(weights, len(weights) - 1, dim=0), float(found)


def slope_mean(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    found = jacobians(weights, biases, points).abs().sum(-1).amax(-1).mean()
    return promise(weights, len(weights) - 1), float(found)


def slope_largest_entry(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    return promise(weights, len(weights) - 1), float(jacobians(weights, biases, points).abs().max())


def slope_sum(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    total = sum(float(w.abs().sum(1).max()) for w in weights) * SILU ** (len(weights) - 1)
    return total, truth(weights, biases, points)


def slope_matrices(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    chain = weights[0]
    for weight in weights[1:]:
        chain = weight @ chain
    return promise(weights, len(weights) - 1), float(chain.abs().sum(1).max())


def slope_by(
    of_weight: Any = None, of_jacobian: Any = None, activations: Any = lambda n: n - 1
) -> Any:
    """Other norms of a weight, or of a point's Jacobian, and another power of SiLU's constant."""

    def answer(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
        norm, measure = (f or (lambda m: m.abs().sum(1).max()) for f in (of_weight, of_jacobian))
        most = math.prod(float(norm(w)) for w in weights) * SILU ** activations(len(weights))
        return most, max(float(measure(j)) for j in jacobians(weights, biases, points))

    return answer


def slope_rounded(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    return promise(weights, 0) * 1.1 ** (len(weights) - 1), truth(weights, biases, points)


def spectral(matrix: Tensor) -> Tensor:
    return torch.linalg.norm(matrix, 2)


def slope_first_point(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    return promise(weights, len(weights) - 1), truth(weights, biases, points[:1])


def slope_without_biases(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    nothing = [torch.zeros_like(b) for b in biases]
    return promise(weights, len(weights) - 1), truth(weights, nothing, points)


def slope_silu_behind(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    def network(x: Tensor) -> Tensor:
        for weight, bias in zip(weights, biases, strict=True):
            x = F.silu(weight @ x + bias)
        return x

    steep = torch.func.vmap(torch.func.jacrev(network))(points).abs().sum(2)
    return promise(weights, len(weights) - 1), float(steep.max())


def slope_relu(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    def network(x: Tensor) -> Tensor:
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x = weight @ (torch.relu(x) if number else x) + bias
        return x

    steep = torch.func.vmap(torch.func.jacrev(network))(points).abs().sum(2)
    return promise(weights, len(weights) - 1), float(steep.max())


def slope_of_the_product(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    most = slope_matrices(weights, biases, points)[1] * SILU ** (len(weights) - 1)
    return most, truth(weights, biases, points)


def slope_swapped(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    return slope_right(weights, biases, points)[::-1]


def slope_right(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    return promise(weights, len(weights) - 1), truth(weights, biases, points)


def slope_right_by_vmap(weights: Weights, biases: Weights, points: Tensor) -> Tensor:
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


def middle(values: Array, low: float = 2.5) -> tuple[float, float]:
    found = np.percentile(values, [low, 100 - low])
    return float(found[0]), float(found[1])


def pairs_of_means(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    ratios = 100 * (with_it[draws].mean(1) / without[draws].mean(1) - 1)
    return 100 * (with_it.mean() / without.mean() - 1), *middle(ratios)


def pairs_90(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    changes = 100 * (with_it / without - 1)
    return changes.mean(), *middle(changes[draws].mean(1), 5)


def pairs_unsampled(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    changes = 100 * (with_it / without - 1)
    return changes.mean(), *middle(changes)


def pairs_turned(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    mean, low, high = pairs_right(without, with_it, draws)
    return -mean, -high, -low


def pairs_shares(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    return tuple(x / 100 for x in pairs_right(without, with_it, draws))


def pairs_absolute(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    changes = 100 * (with_it - without)
    return changes.mean(), *middle(changes[draws].mean(1))


def pairs_logarithm(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    changes = 100 * np.log(with_it / without)
    return changes.mean(), *middle(changes[draws].mean(1))


def pairs_median(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    return np.median(100 * (with_it / without - 1)), *pairs_right(without, with_it, draws)[1:]


def pairs_student(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    changes = 100 * (with_it / without - 1)
    half = stats.t.ppf(0.975, len(changes) - 1) * stats.sem(changes)
    return changes.mean(), changes.mean() - half, changes.mean() + half


def pairs_right(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
    changes = 100 * (with_it / without - 1)
    return float(changes.mean()), *middle(changes[draws].mean(1))


def pairs_right_by_loop(without: Array, with_it: Array, draws: Array) -> list[float]:
    changes = [100 * (b - a) / a for a, b in zip(without, with_it, strict=True)]
    means = [sum(changes[i] for i in draw) / len(draw) for draw in draws]
    return [sum(changes) / len(changes), *np.quantile(means, (0.025, 0.975))]


# 0704, how many pairs -----------------------------------------------------------------------------


def power(effect: float, spread: float, n: int, level: float = 0.05) -> float:
    critical, center = stats.t.ppf(1 - level / 2, n - 1), abs(effect) * math.sqrt(n) / spread
    below = np.nan_to_num(stats.nct.cdf(-critical, n - 1, center))
    return float(stats.nct.sf(critical, n - 1, center) + below)


def count_right(effect: float, spread: float, wanted: float) -> int:
    return next(n for n in range(2, 10_000) if power(effect, spread, n) >= wanted)


def count_right_one_tail(effect: float, spread: float, wanted: float) -> int:
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


def count_moved_t(effect: float, spread: float, wanted: float) -> int:
    def found(n: int) -> float:
        center = abs(effect) * n**0.5 / spread
        return float(stats.t.sf(stats.t.ppf(0.975, n - 1) - center, n - 1))

    return next(n for n in range(2, 10_000) if found(n) >= wanted)


def count_one_sided(effect: float, spread: float, wanted: float) -> int:
    return next(n for n in range(2, 10_000) if power(effect, spread, n, 0.1) >= wanted)


def count_root_2(effect: float, spread: float, wanted: float) -> int:
    return count_right(effect, math.sqrt(2) * spread, wanted)


def count_before(effect: float, spread: float, wanted: float) -> int:
    return count_right(effect, spread, wanted) - 1


def count_after(effect: float, spread: float, wanted: float) -> int:
    return count_right(effect, spread, wanted) + 1


def count_n_freedoms(effect: float, spread: float, wanted: float) -> int:
    def found(n: int) -> float:
        t = stats.t.ppf(0.975, n)
        return float(np.nan_to_num(stats.nct.sf(t, n, abs(effect) * n**0.5 / spread)))

    return next(n for n in range(2, 10_000) if found(n) >= wanted)


def count_half(effect: float, spread: float, wanted: float) -> int:
    return count_right(effect, spread, 0.5)


def count_signed(effect: float, spread: float, wanted: float) -> int:
    n = 2
    while stats.nct.sf(stats.t.ppf(0.975, n - 1), n - 1, effect * n**0.5 / spread) < wanted:
        n += 1
        if n > 500:
            raise OverflowError("no number of pairs is enough")
    return n


WRONG = [
    ("0701", layer_always_scaled, "the factor is at most 1"),
    ("0701", layer_by_one_factor, "each row has its own factor"),
    ("0701", layer_columns, "an output is a row"),
    ("0701", layer_m, "is softplus(m), not m"),
    ("0701", layer_exp, "not e^m"),
    ("0701", layer_signed_sums, "signs must not cancel"),
    ("0701", layer_euclid, "by Pythagoras"),
    ("0701", layer_clamped, "scale the whole row"),
    ("0701", layer_0_by_0, "nan: a 0 / 0"),
    ("0702", slope_without_silu, "each activation counts"),
    ("0702", slope_one_silu_more, "no activation behind the last layer"),
    ("0702", slope_columns, "a row belongs to an output"),
    ("0702", slope_mean, "not the mean one"),
    ("0702", slope_largest_entry, "add up the moduli of a row"),
    ("0702", slope_sum, "a chain multiplies"),
    ("0702", slope_matrices, "with its activations"),
    ("0702", slope_swapped, "the bound first"),
    ("0702", slope_by(activations=lambda n: int(n > 1)), "not once in all"),
    ("0702", slope_by(lambda w: w.abs().sum(0).max()), "the promise has sums of columns"),
    ("0702", slope_by(None, lambda j: j.abs().sum(0).max()), "the truth has sums of columns"),
    ("0702", slope_rounded, "1.1 is rounded"),
    ("0702", slope_by(spectral, spectral), "the spectral norm"),
    ("0702", slope_by(spectral), "spectral norms"),
    ("0702", slope_by(torch.norm, torch.norm), "the norm of all entries"),
    ("0702", slope_by(lambda w: w.sum(1).max()), "the promise adds moduli"),
    ("0702", slope_by(None, lambda j: j.sum(1).max()), "the truth adds moduli"),
    ("0702", slope_by(None, lambda j: j.abs().sum()), "not that of the whole Jacobian"),
    ("0702", slope_by(None, lambda j: j.abs().sum(1).mean()), "not the mean of the rows"),
    ("0702", slope_first_point, "not the first alone"),
    ("0702", slope_without_biases, "biases decide"),
    ("0702", slope_silu_behind, "behind its last layer"),
    ("0702", slope_relu, "is SiLU, not max"),
    ("0702", slope_of_the_product, "the norm of the matrices' product"),
    ("0703", pairs_of_means, "compare within each pair"),
    ("0703", pairs_90, "percentiles 2.5 and 97.5"),
    ("0703", pairs_unsampled, "the means of the resamplings"),
    ("0703", pairs_turned, "not the other way round"),
    ("0703", pairs_shares, "100 times the share"),
    ("0703", pairs_absolute, "divide by it"),
    ("0703", pairs_student, "yours is Student's"),
    ("0704", count_normal, "t asks for more"),
    ("0703", lambda a, b, d: pairs_right(b, a, d), "not by the one with"),
    ("0703", pairs_logarithm, "not a logarithm"),
    ("0703", pairs_median, "not their median"),
    ("0703", lambda *given: [pairs_right(*given)[i] for i in (0, 2, 1)], "low end first"),
    ("0704", count_by_quantiles, "noncentral"),
    ("0704", count_moved_t, "noncentral"),
    ("0704", count_one_sided, "the test is two-sided"),
    ("0704", count_root_2, "of the pairs' differences already"),
    ("0704", count_before, "one pair less"),
    ("0704", count_after, "yours is one more"),
    ("0704", count_n_freedoms, "n - 1 degrees of freedom"),
    ("0704", count_half, "found half the time"),
    ("0704", count_signed, "raises OverflowError"),
]

RIGHT = [
    ("0701", layer_right),
    ("0701", layer_right_by_rows),
    ("0702", slope_right),
    ("0702", slope_right_by_vmap),
    ("0703", pairs_right),
    ("0703", pairs_right_by_loop),
    ("0704", count_right),
    ("0704", count_right_one_tail),
]
