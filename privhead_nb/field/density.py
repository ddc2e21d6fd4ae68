"""Beta, the width of the wall, and NeuS's logistic alternative to the Laplace density.

The Laplace density itself lives with the compositing that uses it (`kernels.compositing`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def logistic_alpha(sdf: Tensor, beta: Tensor | float) -> Tensor:
    """Opacity of ray sections from the logistic CDF at their two ends (NeuS, eq. 13).

        alpha_i = max((Phi(f_i) - Phi(f_{i+1})) / Phi(f_i), 0),  Phi(f) = sigmoid(f / beta)

    Args:
        sdf: (..., S), signed distances along the ray.
        beta: width of the wall (NeuS's 1 / s).

    Returns:
        (..., S); the last section is given none.
    """
    log_cdf = torch.nn.functional.logsigmoid(sdf / beta)
    drop = (log_cdf[..., 1:] - log_cdf[..., :-1]).clamp(max=0)
    return torch.nn.functional.pad(-torch.expm1(drop), (0, 1))


class Beta(nn.Module):
    """The wall's width: learned as in VolSDF, or set by a schedule.

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
