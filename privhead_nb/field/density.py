"""From distance to density: VolSDF's Laplace density, its scale beta, and NeuS's logistic form."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def laplace_cdf(x: Tensor, beta: Tensor | float) -> Tensor:
    """Psi_beta, the CDF of the Laplace law with mean 0 and scale beta (VolSDF, eq. 3).

    Both branches come from one exponential of a negative number: the branch that is not taken can't
    overflow, so no gradient is NaN at tiny beta.
    """
    tail = 0.5 * torch.exp(-x.abs() / beta)
    return torch.where(x < 0, tail, 1 - tail)


def laplace_density(sdf: Tensor, beta: Tensor | float) -> Tensor:
    """sigma = Psi_beta(-f) / beta (VolSDF, Yariv et al. 2021, eq. 2).

    Inside the surface it goes to 1 / beta, outside to 0, over a width of a few beta.

    Args:
        sdf: f, signed distance, any shape, negative inside.
        beta: scale, in the unit of `sdf`; positive.

    Returns:
        Density per unit of length, the shape of `sdf`.
    """
    return laplace_cdf(-sdf, beta) / beta


def logistic_alpha(sdf: Tensor, beta: Tensor | float) -> Tensor:
    """Opacity of ray sections from the logistic CDF at their two ends (NeuS, eq. 13).

        alpha_i = max((Phi(f_i) - Phi(f_{i+1})) / Phi(f_i), 0),  Phi(f) = sigmoid(f / beta)

    Args:
        sdf: (..., S), signed distances along the ray.
        beta: scale of the logistic law (NeuS's 1 / s).

    Returns:
        (..., S); the last section is given none.
    """
    log_cdf = torch.nn.functional.logsigmoid(sdf / beta)
    drop = (log_cdf[..., 1:] - log_cdf[..., :-1]).clamp(max=0)
    return torch.nn.functional.pad(-torch.expm1(drop), (0, 1))


class Beta(nn.Module):
    """The scale of the density: learned as in VolSDF, or set by a schedule.

    Args:
        start: first value, unit-sphere coordinates.
        learned: a parameter (VolSDF), or a number that the trainer sets.
        floor: least value of a learned beta.
    """

    def __init__(self, start: float = 0.1, *, learned: bool = True, floor: float = 1e-4) -> None:
        super().__init__()
        self.learned, self.floor = learned, floor
        value = torch.tensor(float(start))
        if learned:
            self.value: Tensor = nn.Parameter(value)
        else:
            self.register_buffer("value", value)

    def forward(self) -> Tensor:
        """Beta, a positive scalar."""
        return self.value.abs() + self.floor if self.learned else self.value

    def set(self, value: float) -> None:
        """Set a scheduled beta; a learned one is left alone."""
        if not self.learned:
            self.value.fill_(value)
