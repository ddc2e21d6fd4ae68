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
from privhead_nb.teach.checks import Array, Function, Slip, check
from privhead_nb.teach.lesson07 import runs


def ex0701(yours: Function) -> None:
    """A layer's weight by eq. 7: (weight (outputs, inputs), m) -> W_hat of the same shape."""
    generator = torch.Generator().manual_seed(7)
    cases = {
        "a row above its bound and one below": (
            torch.tensor([[3.0, -1.0], [0.5, 0.25]]), torch.tensor(1.0)),
        "a row of zeros": (torch.tensor([[0.0, 0.0], [2.0, 2.0]]), torch.tensor(0.0)),
        "5 rows of 8, m below zero": (
            torch.randn(5, 8, generator=generator), torch.tensor(-2.0)),
        "a bound that no row meets": (
            torch.randn(4, 3, generator=generator), torch.tensor(30.0)),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "rows below the bound stay as they are: the factor is at most 1": (
            ".clamp(max=1.0)", ""),
        "each row has its own factor; yours scales all rows by one": (
            "sums.clamp_min(1e-12)", "sums.max()"),
        "these are the columns' sums; an output is a row": ("dim=1", "dim=0"),
        "the bound is softplus(m), not m": ("F.softplus(m)", "m"),
    }  # fmt: skip
    check("ex0701", yours, _bounded, cases, slips=slips)


Weights = list[Tensor]


def _bounded(weight: Tensor, m: Tensor) -> Tensor:
    sums = weight.abs().sum(dim=1, keepdim=True)
    return weight * (F.softplus(m) / sums.clamp_min(1e-12)).clamp(max=1.0)


def ex0702(yours: Function) -> None:
    """A small SiLU network: (weights, biases, points (N, D)) -> (its bound, its sampled slope)."""

    def network(sizes: tuple[int, ...], count: int) -> tuple[Weights, Weights, Tensor]:
        generator = torch.Generator().manual_seed(7)
        weights = [torch.randn(o, i, generator=generator) for i, o in pairwise(sizes)]
        biases = [torch.randn(o, generator=generator) for o in sizes[1:]]
        return weights, biases, torch.randn(count, sizes[0], generator=generator)

    cases = {
        "one layer, no activation": network((3, 2), 5),
        "4 -> 8 -> 8 -> 2 at 200 points": network((4, 8, 8, 2), 200),
        "1 -> 1 -> 1, where SiLU is steepest": (
            [torch.tensor([[1.0]]), torch.tensor([[2.0]])], [torch.zeros(1), torch.zeros(1)],
            torch.tensor([[0.0], [2.3994]])),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "SiLU's slope reaches 1.0998: each activation counts": (
            " * SILU_CONSTANT ** (len(weights) - 1)", ""),
        "there is no activation behind the last layer": ("(len(weights) - 1)", "len(weights)"),
        "the promise has sums of columns; a row belongs to an output": (
            "w.abs().sum(1)", "w.abs().sum(0)"),
        "a Lipschitz constant is the largest slope, not the mean one": (
            "local_constants(slopes).max()", "local_constants(slopes).mean()"),
        "a chain multiplies: its bound is the product of its links', not their sum": (
            "math.prod(", "sum("),
    }  # fmt: skip
    check("ex0702", yours, _promise_and_truth, cases, slips=slips, rtol=1e-4)


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


def _promise_and_truth(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    def network(x: Tensor) -> Tensor:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = F.silu(F.linear(x, weight, bias))
        return F.linear(x, weights[-1], biases[-1])

    slopes = torch.func.vmap(torch.func.jacrev(network))(points)
    links = math.prod(float(w.abs().sum(1).max()) for w in weights)
    return links * SILU_CONSTANT ** (len(weights) - 1), float(local_constants(slopes).max())


def ex0703(yours: Function) -> None:
    """Paired bootstrap, percent: (without (n,), with_it (n,), draws (B, n)) -> mean, low, high."""

    def of_means(without: Array, with_it: Array, draws: Array) -> tuple[float, ...]:
        ratios = 100 * (with_it[draws].mean(1) / without[draws].mean(1) - 1)
        return 100 * (with_it.mean() / without.mean() - 1), *np.percentile(ratios, [2.5, 97.5])

    rng = np.random.default_rng(7)
    heads = rng.uniform(0.8, 1.6, 8)
    same = np.array([1.0, 2.0, 3.0])
    cases = {
        "the paper's two heads": (
            *np.array(runs.PAPER).T, np.array([[0, 0], [0, 1], [1, 0], [1, 1]])),
        "8 heads, 1000 draws": (
            heads, heads * rng.normal(0.95, 0.06, 8), rng.integers(0, 8, (1000, 8))),
        "3 heads that nothing changes": (same, same, rng.integers(0, 3, (50, 3))),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "compare within each pair before you average; yours divides means": of_means,
        "95 % of the means lie between the percentiles 2.5 and 97.5": (
            "[2.5, 97.5]", "[5, 95]"),
        "an interval of the mean needs the means of the resamplings": (
            "differences[draws].mean(axis=1)", "differences"),
        "divide by the run without, not by the one with": lambda a, b, d: (
            bootstrap_interval(b, a, d)),
        "percent: 100 times the share": ("100 * ", ""),
    }  # fmt: skip
    check("ex0703", yours, bootstrap_interval, cases, slips=slips)


def ex0704(yours: Function) -> None:
    """Pairs that a study needs: (effect, spread, wanted power) -> the least number, from 2 up."""

    def normal(effect: float, spread: float, wanted: float) -> int:
        z = stats.norm.ppf(0.975) + stats.norm.ppf(wanted)
        return max(2, math.ceil((z * spread / abs(effect)) ** 2))

    cases = {
        "3 %, pairs that spread by 6 %": (3.0, 6.0, 0.8),
        "9 %, pairs that spread by 6 %": (9.0, 6.0, 0.8),
        "9 %, pairs that spread by 12 %": (9.0, 12.0, 0.8),
        "-3 %, pairs that spread by 6 %": (-3.0, 6.0, 0.8),
        "an effect that can't be missed": (50.0, 1.0, 0.8),
        "few pairs": (9.0, 3.0, 0.8),
        "few pairs, to be found 9 times in 10": (9.0, 2.5, 0.9),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "that is the formula with a normal distribution: with few pairs the spread itself is "
        "uncertain, and t asks for more": normal,
        "the test is two-sided: 2.5 % on each side": lambda effect, spread, wanted: (
            runs.pairs_needed(effect, spread, wanted, level=0.1)),
        "this is one pair less than it takes: the first number that suffices": lambda *given: (
            runs.pairs_needed(*given) - 1),
        "an interval that just excludes 0 on average is found half the time: the power is "
        "asked for": lambda effect, spread, _: runs.pairs_needed(effect, spread, 0.5),
    }  # fmt: skip
    check("ex0704", yours, runs.pairs_needed, cases, slips=slips)
