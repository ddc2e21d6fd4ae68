"""The colour network, and the Lipschitz layers that keep it smooth (eq. 7 and 8)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from privhead_nb.field.encoding import frequency_encoding


class LipschitzLinear(nn.Linear):
    """A linear layer whose infinity norm is at most softplus(m), m trained (eq. 7).

    ||W||_inf is the largest absolute row sum; rows above the bound are scaled down to it:

        W_hat[i] = W[i] min(1, softplus(m) / sum_j |W[i, j]|)

    Args:
        inputs, outputs: widths.
        slack: the bound starts at this times the largest row sum (PermutoSDF starts at 2).
    """

    def __init__(self, inputs: int, outputs: int, *, slack: float = 2.0) -> None:
        super().__init__(inputs, outputs)
        with torch.no_grad():
            start = slack * self.weight.abs().sum(1).max()
        self.m = nn.Parameter(torch.log(torch.expm1(start)))

    def bound(self) -> Tensor:
        """softplus(m): the layer's Lipschitz bound in the infinity norm."""
        return F.softplus(self.m)

    def normalised_weight(self) -> Tensor:
        """W_hat, (outputs, inputs)."""
        rows = self.weight.abs().sum(1, keepdim=True).clamp_min(1e-12)
        return self.weight * (self.bound() / rows).clamp(max=1.0)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.normalised_weight(), self.bias)


class ColourNetwork(nn.Module):
    """RGB in [0, 1] from position, normal, viewing direction and the field's features.

    Args:
        features: width of the field's features.
        width: hidden width.
        depth: hidden layers.
        view_frequencies: octaves for the viewing direction; -1 leaves the direction out.
        activation: "silu" or "relu"; both are 1-Lipschitz up to a constant of 1.1.
    """

    def __init__(
        self,
        features: int,
        *,
        width: int = 64,
        depth: int = 2,
        view_frequencies: int = 0,
        activation: str = "silu",
    ) -> None:
        super().__init__()
        self.view_frequencies = view_frequencies
        view = 3 * (1 + 2 * view_frequencies) if view_frequencies >= 0 else 0
        sizes = [3 + 3 + view + features, *[width] * depth, 3]
        self.layers = nn.ModuleList(LipschitzLinear(i, o) for i, o in pairwise(sizes))
        self.activation = {"silu": F.silu, "relu": F.relu}[activation]

    def forward(self, points: Tensor, normals: Tensor, views: Tensor, features: Tensor) -> Tensor:
        """(N, 3) each and features (N, F) -> colours (N, 3)."""
        parts = [points, normals, features]
        if self.view_frequencies >= 0:
            parts.insert(2, frequency_encoding(views, self.view_frequencies))
        hidden = torch.cat(parts, -1)
        for layer in self.layers[:-1]:
            hidden = self.activation(layer(hidden))
        return torch.sigmoid(self.layers[-1](hidden))

    def bounds(self) -> Tensor:
        """Lipschitz bound of each layer, (L,); eq. 8 is their product."""
        return torch.stack([layer.bound() for layer in self.layers])  # type: ignore[operator]
