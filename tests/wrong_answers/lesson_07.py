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

from privhead_nb.field.radiance import LipschitzLinear

Array = NDArray[Any]
Weights = list[Tensor]
SILU = 1.0998393

# 0701, the layer ----------------------------------------------------------------------------------


def the_packages_layer(weight: Tensor, m: Tensor) -> Tensor:
    layer = LipschitzLinear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.m.copy_(m)
        return layer.normalised_weight()


# 0702, promise and truth --------------------------------------------------------------------------


def promise_and_truth(weights: Weights, biases: Weights, points: Tensor) -> tuple[float, float]:
    def network(x: Tensor) -> Tensor:
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            x = F.silu(weight @ x + bias)
        return weights[-1] @ x + biases[-1]

    rows = [float(w.abs().sum(1).max()) for w in weights]
    slopes = torch.stack([torch.autograd.functional.jacobian(network, x) for x in points])
    return SILU ** (len(weights) - 1) * math.prod(rows), float(slopes.abs().sum(2).max())


# 0703, the interval of pairs ----------------------------------------------------------------------


def pairs_by_loop(without: Array, with_it: Array, draws: Array) -> list[float]:
    changes = [100 * (b - a) / a for a, b in zip(without, with_it, strict=True)]
    means = [sum(changes[i] for i in draw) / len(draw) for draw in draws]
    return [sum(changes) / len(changes), *np.quantile(means, (0.025, 0.975))]


# 0704, how many pairs -----------------------------------------------------------------------------


def count_one_tail(effect: float, spread: float, wanted: float) -> int:
    n = 2  # the wrong sign is as good as never found
    while stats.nct.sf(stats.t.isf(0.025, n - 1), n - 1, abs(effect) / spread * n**0.5) < wanted:
        n += 1
    return n


WRONG: list[Any] = []  # the checks say nothing of a wrong answer that is none of their slips

RIGHT = [
    ("0701", the_packages_layer),
    ("0702", promise_and_truth),
    ("0703", pairs_by_loop),
    ("0704", count_one_tail),
]
