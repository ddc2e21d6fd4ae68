"""What a position becomes before a network sees it: frequencies (NeRF) or feature grids."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid


def frequency_encoding(points: Tensor, frequencies: int) -> Tensor:
    """[x, sin(2^k x), cos(2^k x)] for k < `frequencies` (Mildenhall et al. 2020, eq. 4).

    Args:
        points: (N, D).
        frequencies: how many octaves; 0 returns the points.

    Returns:
        (N, D (1 + 2 frequencies)).
    """
    scaled = [points * 2.0**k for k in range(frequencies)]
    waves = [wave(s) for s in scaled for wave in (torch.sin, torch.cos)]
    return torch.cat([points, *waves], -1)


class GridEncoding(nn.Module):
    """Trainable multi-resolution feature grid on [-1, 1]^3.

    Args:
        layout: its levels.
        generator: source of the start values, uniform in [-1e-4, 1e-4].

    Attributes:
        adds_to_grad: set by a training loop that clears `table.grad` before each step: backward
            passes then add to that buffer, and autograd hands out no gradient of the table.
    """

    def __init__(self, layout: GridLayout, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.layout, self.adds_to_grad = layout, False
        start = torch.rand(layout.entries, layout.channels, generator=generator)
        self.table = nn.Parameter((start * 2 - 1) * 1e-4)

    def forward(self, points: Tensor, *, jacobian: bool = False) -> tuple[Tensor, Tensor | None]:
        """Features (N, F) and, if asked for, their Jacobian (N, F, 3)."""
        into = self.table.grad if self.adds_to_grad else None
        return encode_grid(points, self.table, self.layout, jacobian=jacobian, into=into)
