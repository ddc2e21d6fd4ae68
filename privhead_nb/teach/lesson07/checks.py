"""Checks of lesson 7: bounded layers, sampled slopes, paired intervals, and how many pairs."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.field.lipschitz import SILU_CONSTANT, local_constants
from privhead_nb.field.radiance import LipschitzLinear
from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.teach.lesson07 import runs
from privhead_nb.teach.results import interval

HINTS = {
    # exercise: a question, and the idea
    "0701": (
        "Which weights does one output depend on, and what happens to an output whose sum is small "
        "enough already?",
        "each row gets its own factor, the bound over its sum of moduli; a factor above 1 would "
        "loosen a row, so it never comes to more",
    ),
    "0702": (
        "Where does a network stretch, apart from its matrices, and how often?",
        "for the promise multiply what each link can do at most, activations included; for the "
        "truth measure every point's Jacobian as you measured a matrix, and keep the largest",
    ),
    "0703": (
        "What stays the same within a pair, and would be lost in a mean over all heads?",
        "make one number of each pair first; then resample these numbers, and look between which "
        "values the middle 95 % of the resampled means lie",
    ),
    "0704": (
        "With n pairs, which distribution has t if there is no effect, and which if there is one?",
        "the critical value comes from the first, the chance to pass it from the second, whose "
        "center grows with the root of n; try n = 2, 3, ... and stop at the first that suffices",
    ),
}


def ex0701(yours: Function) -> None:
    """A layer's weight by eq. 7: (weight (outputs, inputs), m) -> W_hat of the same shape."""

    def spec(weight: Tensor, m: Tensor) -> Tensor:
        layer = LipschitzLinear(weight.shape[1], weight.shape[0])
        with torch.no_grad():
            layer.weight.copy_(weight)
            layer.m.copy_(m)
            return layer.normalised_weight()

    def scaled(weight: Tensor, bound: Tensor, *, dim: int = 1, most: float = 1.0) -> Tensor:
        sums = weight.abs().sum(dim, keepdim=True).clamp_min(1e-12)
        return weight * (bound / sums).clamp(max=most)

    def together(weight: Tensor, m: Tensor) -> Tensor:
        largest = weight.abs().sum(1).max().clamp_min(1e-12)
        return weight * (F.softplus(m) / largest).clamp(max=1.0)

    generator = torch.Generator().manual_seed(7)
    check(
        "ex0701",
        yours,
        spec,
        {
            "a row above its bound and one below": (
                torch.tensor([[3.0, -1.0], [0.5, 0.25]]), torch.tensor(1.0)),
            "a row of zeros": (torch.tensor([[0.0, 0.0], [2.0, 2.0]]), torch.tensor(0.0)),
            "5 rows of 8, m below zero": (
                torch.randn(5, 8, generator=generator), torch.tensor(-2.0)),
            "a bound that no row meets": (
                torch.randn(4, 3, generator=generator), torch.tensor(30.0)),
        },
        slips={
            "rows below the bound stay as they are: the factor is at most 1": lambda w, m: (
                scaled(w, F.softplus(m), most=math.inf)),
            "each row has its own factor; yours scales all rows by one": together,
            "these are the columns' sums; an output is a row": lambda w, m: (
                scaled(w, F.softplus(m), dim=0)),
            "the bound is softplus(m), not m": scaled,
            "the bound is softplus(m) = ln(1 + e^m), not e^m": lambda w, m: scaled(w, m.exp()),
            "a row's sum is one of moduli: signs must not cancel": lambda w, m: (
                w * (F.softplus(m) / w.sum(1, keepdim=True).clamp_min(1e-12)).clamp(max=1.0)),
            "the infinity norm sums moduli; yours is the length by Pythagoras": lambda w, m: (
                w * (F.softplus(m) / w.norm(dim=1, keepdim=True).clamp_min(1e-12)).clamp(max=1.0)),
            "scale the whole row; cutting each weight off at the bound changes its direction": (
                lambda w, m: w.clamp(-F.softplus(m).item(), F.softplus(m).item())),
        },
    )  # fmt: skip


Weights = list[Tensor]


def ex0702(yours: Function) -> None:
    """A small SiLU network: (weights, biases, points (N, D)) -> (its bound, its sampled slope)."""

    def jacobians(
        weights: Weights, biases: Weights, points: Tensor,
        between: Function = F.silu, last: Function = lambda x: x,
    ) -> Tensor:  # fmt: skip
        def network(x: Tensor) -> Tensor:
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                x = between(F.linear(x, weight, bias))
            return last(F.linear(x, weights[-1], biases[-1]))

        return torch.func.vmap(torch.func.jacrev(network))(points)

    def bound(
        weights: Weights, activations: int, norm: Function = lambda w: w.abs().sum(1).max()
    ) -> float:
        return math.prod(float(norm(w)) for w in weights) * SILU_CONSTANT**activations

    def promised(norm: Function) -> Function:
        """Another norm of a matrix in the promise."""
        return lambda w, b, p: (bound(w, len(w) - 1, norm), spec(w, b, p)[1])

    def measured(measure: Function, **other: Function) -> Function:
        """Another measure of the Jacobians (N, outputs, inputs), or those of another network."""
        return lambda w, b, p: (spec(w, b, p)[0], float(measure(jacobians(w, b, p, **other))))

    def both(norm: Function) -> Function:
        """Another norm of matrices in both."""
        return lambda w, b, p: (
            bound(w, len(w) - 1, norm), max(float(norm(j)) for j in jacobians(w, b, p))
        )  # fmt: skip

    def spec(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
        slopes = local_constants(jacobians(weights, biases, points))
        return bound(weights, len(weights) - 1), float(slopes.max())

    def column(matrix: Tensor) -> Tensor:
        return matrix.abs().sum(-2).max()

    def largest(slopes: Tensor) -> Tensor:
        return local_constants(slopes).max()

    def chain(weights: Weights) -> float:
        product = weights[0]
        for weight in weights[1:]:
            product = weight @ product
        return float(product.abs().sum(1).max())

    def network(sizes: tuple[int, ...], count: int) -> tuple[Weights, Weights, Tensor]:
        generator = torch.Generator().manual_seed(7)
        weights = [torch.randn(o, i, generator=generator) for i, o in pairwise(sizes)]
        biases = [torch.randn(o, generator=generator) for o in sizes[1:]]
        return weights, biases, torch.randn(count, sizes[0], generator=generator)

    check(
        "ex0702",
        yours,
        spec,
        {
            "one layer, no activation": network((3, 2), 5),
            "4 -> 8 -> 8 -> 2 at 200 points": network((4, 8, 8, 2), 200),
            "1 -> 1 -> 1, where SiLU is steepest": (
                [torch.tensor([[1.0]]), torch.tensor([[2.0]])], [torch.zeros(1), torch.zeros(1)],
                torch.tensor([[0.0], [2.3994]])),
        },
        slips={
            "SiLU's slope reaches 1.0998: each activation counts": lambda w, b, p: (
                bound(w, 0), spec(w, b, p)[1]),
            "there is no activation behind the last layer": lambda w, b, p: (
                bound(w, len(w)), spec(w, b, p)[1]),
            "SiLU's constant is 1.0998 and more; 1.1 is rounded": lambda w, b, p: (
                bound(w, 0) * 1.1 ** (len(w) - 1), spec(w, b, p)[1]),
            "SiLU's slope counts once for each activation, not once in all": lambda w, b, p: (
                bound(w, min(1, len(w) - 1)), spec(w, b, p)[1]),
            "these are sums of columns; a row belongs to an output": both(column),
            "the promise has sums of columns; a row belongs to an output": promised(column),
            "the truth has sums of columns; a row belongs to an output": measured(column),
            "the largest row sum is asked for; yours is the spectral norm": both(
                lambda w: torch.linalg.matrix_norm(w, 2)),
            "the promise is of row sums; yours has the matrices' spectral norms": promised(
                lambda w: torch.linalg.matrix_norm(w, 2)),
            "the largest row sum is asked for; yours is the norm of all entries": both(
                lambda w: w.norm()),
            "the promise adds moduli along rows: signs must not cancel": promised(
                lambda w: w.sum(1).max()),
            "the truth adds moduli along rows: signs must not cancel": measured(
                lambda j: j.sum(-1).max()),
            "a row's sum, not that of the whole Jacobian": measured(
                lambda j: j.abs().sum((1, 2)).max()),
            "a Lipschitz constant is the largest slope, not the mean one": measured(
                lambda j: local_constants(j).mean()),
            "a Lipschitz constant is the largest slope, not the smallest": measured(
                lambda j: local_constants(j).min()),
            "the largest row counts, not the mean of the rows": measured(
                lambda j: j.abs().sum(-1).mean(-1).max()),
            "all points count, not the first alone": measured(lambda j: largest(j[:1])),
            "add up the moduli of a row of the Jacobian before you take the largest": measured(
                lambda j: j.abs().max()),
            "biases decide where each SiLU is met: the network has them": (
                lambda w, b, p: spec(w, [0 * x for x in b], p)),
            "the network has no activation behind its last layer": measured(largest, last=F.silu),
            "its activation is SiLU, not max(., 0)": measured(largest, between=F.relu),
            "the promise multiplies the norms; yours is the norm of the matrices' product": (
                lambda w, b, p: (chain(w) * SILU_CONSTANT ** (len(w) - 1), spec(w, b, p)[1])),
            "a chain multiplies: its bound is the product of its links', not their sum": (
                lambda w, b, p: (
                    sum(float(x.abs().sum(1).max()) for x in w) * SILU_CONSTANT ** (len(w) - 1),
                    spec(w, b, p)[1])),
            "the answer is the bound first, then the slope that was found": lambda w, b, p: (
                spec(w, b, p)[::-1]),
            "the slope is the network's, with its activations; yours is that of the matrices": (
                lambda w, b, p: (spec(w, b, p)[0], chain(w))),
        },
        rtol=1e-4,
    )  # fmt: skip


def bootstrap_interval(without: Array, with_it: Array, draws: Array) -> tuple[float, float, float]:
    """Mean relative difference of pairs and its bootstrap interval, in percent.

    Args:
        without, with_it: (n,), a pair at each place.
        draws: (B, n), which pairs each of B resamplings takes.

    Returns:
        Mean of with / without - 1, and the percentiles 2.5 and 97.5 of the resampled means.
    """
    differences = 100 * (with_it / without - 1)
    low, high = np.percentile(differences[draws].mean(axis=1), [2.5, 97.5])
    return float(differences.mean()), float(low), float(high)


def ex0703(yours: Function) -> None:
    """Paired bootstrap, percent: (without (n,), with_it (n,), draws (B, n)) -> mean, low, high."""

    def of_means(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
        ratios = 100 * (with_it[draws].mean(1) / without[draws].mean(1) - 1)
        return 100 * (with_it.mean() / without.mean() - 1), *np.percentile(ratios, [2.5, 97.5])

    def narrow(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
        changes = 100 * (with_it / without - 1)
        return changes.mean(), *np.percentile(changes[draws].mean(1), [5, 95])

    def of_pairs(without: Array, with_it: Array, _: Array) -> tuple[float, ...]:
        changes = 100 * (with_it / without - 1)
        return changes.mean(), *np.percentile(changes, [2.5, 97.5])

    def student(without: Array, with_it: Array, _: Array) -> tuple[float, ...]:
        return interval(100 * (with_it / without - 1))[:3]

    def apart(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
        ratios = (with_it[draws] / without - 1).mean(1)
        return 100 * (with_it / without - 1).mean(), *np.percentile(100 * ratios, [2.5, 97.5])

    rng = np.random.default_rng(7)
    heads = rng.uniform(0.8, 1.6, 8)
    same = np.array([1.0, 2.0, 3.0])
    check(
        "ex0703",
        yours,
        bootstrap_interval,
        {
            "the paper's two heads": (
                *np.array(runs.PAPER).T, np.array([[0, 0], [0, 1], [1, 0], [1, 1]])),
            "8 heads, 1000 draws": (
                heads, heads * rng.normal(0.95, 0.06, 8), rng.integers(0, 8, (1000, 8))),
            "3 heads that nothing changes": (same, same, rng.integers(0, 3, (50, 3))),
        },
        slips={
            "compare within each pair before you average; yours divides means": of_means,
            "95 % of the means lie between the percentiles 2.5 and 97.5": narrow,
            "an interval of the mean needs the means of the resamplings": of_pairs,
            "divide by the run without, not by the one with": lambda a, b, d: (
                bootstrap_interval(b, a, d)),
            "100 (with / without - 1) is asked for, not a logarithm": lambda a, b, d: (
                bootstrap_interval(np.ones_like(a), 1 + np.log(b / a), d)),
            "the mean is that of the pairs, not their median": lambda a, b, d: (
                float(np.median(100 * (b / a - 1))), *bootstrap_interval(a, b, d)[1:]),
            "low end first": lambda *given: np.array(bootstrap_interval(*given))[[0, 2, 1]],
            "negative is better: with / without - 1, not the other way round": lambda *given: (
                -np.array(bootstrap_interval(*given))[[0, 2, 1]]),
            "percent: 100 times the share": lambda *given: (
                np.array(bootstrap_interval(*given)) / 100),
            "relative to the run without: divide by it": lambda a, b, d: bootstrap_interval(
                np.ones_like(a), 1 + b - a, d),
            "a bootstrap asks the resampled means; yours is Student's interval": student,
            "draws say which pairs are taken: index both runs of a pair by them": apart,
        },
    )  # fmt: skip


def ex0704(yours: Function) -> None:
    """Pairs that a study needs: (effect, spread, wanted power) -> the least number, from 2 up."""

    def normal(effect: float, spread: float, wanted: float) -> int:
        z = stats.norm.ppf(0.975) + stats.norm.ppf(wanted)
        return max(2, math.ceil((z * spread / abs(effect)) ** 2))

    def of_n(effect: float, spread: float, wanted: float) -> int:
        def found(n: int) -> float:
            t = stats.t.ppf(0.975, n)
            shift = abs(effect) / spread * math.sqrt(n)
            return float(np.nan_to_num(stats.nct.sf(t, n, shift)))

        return next(n for n in range(2, 10_000) if found(n) >= wanted)

    def by_quantiles(effect: float, spread: float, wanted: float) -> int:
        def least(n: int) -> float:
            both = stats.t.ppf(0.975, n - 1) + stats.t.ppf(wanted, n - 1)
            return float((both * spread / effect) ** 2)

        return next(n for n in range(2, 10_000) if n >= least(n))

    check(
        "ex0704",
        yours,
        runs.pairs_needed,
        {
            "3 %, pairs that spread by 6 %": (3.0, 6.0, 0.8),
            "9 %, pairs that spread by 6 %": (9.0, 6.0, 0.8),
            "9 %, pairs that spread by 12 %": (9.0, 12.0, 0.8),
            "-3 %, pairs that spread by 6 %": (-3.0, 6.0, 0.8),
            "an effect that can't be missed": (50.0, 1.0, 0.8),
            "few pairs": (9.0, 3.0, 0.8),
            "few pairs, to be found 9 times in 10": (9.0, 2.5, 0.9),
        },
        slips={
            "with an effect t has the noncentral distribution (nct), and no moved t": by_quantiles,
            "n pairs leave n - 1 degrees of freedom, not n": of_n,
            "that is the formula with a normal distribution: with few pairs the spread itself is "
            "uncertain, and t asks for more": normal,
            "the test is two-sided: 2.5 % on each side": lambda effect, spread, wanted: (
                runs.pairs_needed(effect, spread, wanted, level=0.1)),
            "the spread is that of the pairs' differences already": lambda effect, spread, wanted: (
                runs.pairs_needed(effect, math.sqrt(2) * spread, wanted)),
            "this is one pair less than it takes: the first number that suffices": lambda *given: (
                runs.pairs_needed(*given) - 1),
            "the smallest number that suffices is wanted: yours is one more (or does nct.cdf "
            "give nan, where it means 0?)": lambda *given: (
                runs.pairs_needed(*given) + 1),
            "an interval that just excludes 0 on average is found half the time: the power is "
            "asked for": lambda effect, spread, _: runs.pairs_needed(effect, spread, 0.5),
        },
    )  # fmt: skip
