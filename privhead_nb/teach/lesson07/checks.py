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
        hint="sum the moduli along each row; multiply a row by softplus(m) over its sum, but never "
        "by more than 1",
        slips={
            "rows below the bound stay as they are: the factor is at most 1": lambda w, m: (
                scaled(w, F.softplus(m), most=math.inf)),
            "each row has its own factor; yours scales all rows by one": together,
            "these are the columns' sums; an output is a row": lambda w, m: (
                scaled(w, F.softplus(m), dim=0)),
            "the bound is softplus(m), not m": scaled,
            "the bound is softplus(m) = ln(1 + e^m), not e^m": lambda w, m: scaled(w, m.exp()),
        },
    )  # fmt: skip


Weights = list[Tensor]


def ex0702(yours: Function) -> None:
    """A small SiLU network: (weights, biases, points (N, D)) -> (its bound, its sampled slope)."""

    def jacobians(weights: Weights, biases: Weights, points: Tensor) -> Tensor:
        def network(x: Tensor) -> Tensor:
            for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
                x = F.silu(F.linear(x, weight, bias))
            return F.linear(x, weights[-1], biases[-1])

        return torch.func.vmap(torch.func.jacrev(network))(points)

    def bound(weights: Weights, activations: int, dim: int = 1) -> float:
        norms = math.prod(float(w.abs().sum(dim).max()) for w in weights)
        return norms * SILU_CONSTANT**activations

    def spec(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
        slopes = local_constants(jacobians(weights, biases, points))
        return bound(weights, len(weights) - 1), float(slopes.max())

    def columns(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
        slopes = local_constants(jacobians(weights, biases, points).transpose(1, 2))
        return bound(weights, len(weights) - 1, dim=0), float(slopes.max())

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
            "1 -> 1 -> 1, where SiLU is steepest": (
                [torch.tensor([[1.0]]), torch.tensor([[2.0]])], [torch.zeros(1), torch.zeros(1)],
                torch.tensor([[0.0], [2.3994]])),
            "4 -> 8 -> 8 -> 2 at 200 points": network((4, 8, 8, 2), 200),
        },
        hint="the bound is the product of the largest row sums, times SiLU's constant for each "
        "activation; the slope is the largest row sum that any point's Jacobian has",
        slips={
            "SiLU's slope reaches 1.0998: each activation counts": lambda w, b, p: (
                bound(w, 0), spec(w, b, p)[1]),
            "there is no activation behind the last layer": lambda w, b, p: (
                bound(w, len(w)), spec(w, b, p)[1]),
            "these are sums of columns; a row belongs to an output": columns,
            "a Lipschitz constant is the largest slope, not the mean one": lambda w, b, p: (
                spec(w, b, p)[0], local_constants(jacobians(w, b, p)).mean()),
            "add up the moduli of a row of the Jacobian before you take the largest": (
                lambda w, b, p: (spec(w, b, p)[0], jacobians(w, b, p).abs().max())),
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
        hint="make one number of each pair first, 100 (with / without - 1); then take the mean of "
        "each row of changes[draws], and of these means the percentiles 2.5 and 97.5",
        slips={
            "compare within each pair before you average; yours divides means": of_means,
            "95 % of the means lie between the percentiles 2.5 and 97.5": narrow,
            "an interval of the mean needs the means of the resamplings": of_pairs,
            "negative is better: with / without - 1, not the other way round": lambda *given: (
                -np.array(bootstrap_interval(*given))[[0, 2, 1]]),
        },
    )  # fmt: skip


def ex0704(yours: Function) -> None:
    """Pairs that a study needs: (effect, spread, wanted power) -> the least number, from 2 up."""

    def normal(effect: float, spread: float, wanted: float) -> int:
        z = stats.norm.ppf(0.975) + stats.norm.ppf(wanted)
        return max(2, math.ceil((z * spread / abs(effect)) ** 2))

    check(
        "ex0704",
        yours,
        runs.pairs_needed,
        {
            "9 %, pairs that spread by 6 %": (9.0, 6.0, 0.8),
            "9 %, pairs that spread by 12 %": (9.0, 12.0, 0.8),
            "-3 %, pairs that spread by 6 %": (-3.0, 6.0, 0.8),
            "9 %, spread 8 %, to be found 19 times in 20": (9.0, 8.0, 0.95),
            "an effect that can't be missed": (50.0, 1.0, 0.8),
        },
        hint="with n pairs the test's t is noncentral, with n - 1 degrees of freedom and center "
        "sqrt(n) |effect| / spread; it must pass the critical value of the central one. Try "
        "n = 2, 3, ... and stop at the first that suffices",
        slips={
            "that is the formula with a normal distribution: with few pairs the spread itself is "
            "uncertain, and t asks for more": normal,
            "the test is two-sided: 2.5 % on each side": lambda effect, spread, wanted: (
                runs.pairs_needed(effect, spread, wanted, level=0.1)),
            "the spread is that of the pairs' differences already": lambda effect, spread, wanted: (
                runs.pairs_needed(effect, math.sqrt(2) * spread, wanted)),
        },
    )  # fmt: skip
