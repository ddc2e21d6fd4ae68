"""Volume compositing as one reads it: signed distances -> density -> weights -> pixels (eq. 1).

    sigma_i = LaplaceCDF(-f_i; 0, beta) / beta          (VolSDF, Yariv et al. 2021, eq. 2-3)
    tau_i   = sigma_i delta_i
    T_i     = exp(-sum_{j<i} tau_j)                     (a sum of logarithms, never a product)
    w_i     = T_i (1 - exp(-tau_i))
    values  = sum_i w_i v_i,   opacity = sum_i w_i,   depth = sum_i w_i t_i / max(opacity, 1e-6)

A product of (1 - alpha_j) has the same value, but its gradient is 0/0 once an alpha reaches 1.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LEAST_OPACITY = 1e-6  # depth is a mean over the weights, unless they sum to less than this


class Composited(NamedTuple):
    """What rays show.

    Attributes:
        values: (N, C), the samples' values summed by weight.
        opacity: (N,), sum of the weights.
        depth: (N,), mean distance by weight; 0 where nothing is met.
        weights: (N, S).
    """

    values: Tensor
    opacity: Tensor
    depth: Tensor
    weights: Tensor


def laplace_density(sdf: Tensor, beta: Tensor | float) -> Tensor:
    """sigma = LaplaceCDF(-sdf; 0, beta) / beta, any shape: `field.density.laplace_density`."""
    tail = 0.5 * torch.exp(-sdf.abs() / beta)
    return torch.where(sdf > 0, tail, 1 - tail) / beta


def weights_from_density(density: Tensor, deltas: Tensor) -> Tensor:
    """w_i = T_i alpha_i (eq. 1).

    Args:
        density: (..., S), per unit of length.
        deltas: (..., S), distance from each sample to the next.

    Returns:
        (..., S), each in [0, 1], with a sum of at most 1.
    """
    tau = density * deltas
    before = sum_before(tau)
    return torch.exp(-before) * -torch.expm1(-tau)


def weights_from_alpha(alpha: Tensor) -> Tensor:
    """w_i = T_i alpha_i for given opacities (..., S) in [0, 1]; sums of log(1 - alpha)."""
    log_through = torch.log1p(-alpha.clamp(max=1 - 1e-7))
    before = sum_before(log_through)
    return torch.exp(before) * alpha


def sum_before(values: Tensor) -> Tensor:
    """sum_{j<i} v_j; not cumsum - v, which loses what stands before a huge v to rounding."""
    return torch.nn.functional.pad(torch.cumsum(values[..., :-1], -1), (1, 0))


def composite(weights: Tensor, values: Tensor) -> Tensor:
    """sum_i w_i v_i (eq. 1): weights (..., S), values (..., S, C) -> (..., C)."""
    return (weights[..., None] * values).sum(-2)


def sdf_weights_reference(sdf: Tensor, deltas: Tensor, beta: Tensor | float) -> Tensor:
    """The specification: see `sdf_weights`. Any shape (..., S), differentiable twice and more."""
    return weights_from_density(laplace_density(sdf, beta), deltas)


def composite_sdf_reference(
    sdf: Tensor, deltas: Tensor, t: Tensor, values: Tensor, beta: Tensor | float
) -> Composited:
    """The specification: see `composite_sdf`. Differentiable twice and more."""
    weights = sdf_weights_reference(sdf, deltas, beta)
    opacity = weights.sum(-1)
    depth = (weights * t).sum(-1) / opacity.clamp_min(LEAST_OPACITY)
    return Composited(composite(weights, values), opacity, depth, weights)
