"""Volume compositing: signed distances along a ray -> density -> opacity -> weights (eq. 1).

    sigma_i = LaplaceCDF(-f_i; 0, beta) / beta
    T_i     = exp(-sum_{j<i} sigma_j delta_j)           (a sum of logarithms, never a product)
    w_i     = T_i (1 - exp(-sigma_i delta_i))

A product of (1 - alpha_j) has the same value, but its gradient is 0/0 once an alpha reaches 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def laplace_density(sdf: Tensor, beta: Tensor | float) -> Tensor:
    """sigma = LaplaceCDF(-sdf; 0, beta) / beta (VolSDF, eq. 2-3).

    Both branches of the CDF come from one exponential of a negative number: the branch that is
    not taken can't overflow, so no gradient is NaN at tiny beta.

    Args:
        sdf: signed distance, any shape, negative inside.
        beta: width of the wall, in the unit of `sdf`; positive.

    Returns:
        Density per unit of length, the shape of `sdf`.
    """
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
