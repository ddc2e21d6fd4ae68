"""Signed distance fields: VolSDF's network, and a feature grid with a small head for laptops.

All points are in unit-sphere coordinates: x = (p - center) / radius, the head inside |x| < 1.
Both fields answer the same three questions: the distance alone, the distance with features for
the colour network, and the distance with features and gradient.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from privhead_nb.field.encoding import GridEncoding, frequency_encoding
from privhead_nb.kernels.grid_encoding import GridLayout
from privhead_nb.kernels.sdf_head import sdf_head


class GridField(nn.Module):
    """f(x) = |x| - sphere + head(x, grid features): a laptop's field.

    The head has one hidden layer, so its gradient is written out: no second pass of autograd.

        f = w2 . silu(z) + b2,  z = W1 [x, e(x)] + b1
        grad f = W1^T (silu'(z) * w2) [I, de/dx] + x / |x|

    Args:
        layout: levels of the grid.
        width: hidden units of the head.
        features: numbers handed to the colour network.
        sphere: radius of the sphere that training starts from (geometric initialisation).
        generator: source of the start values.
    """

    def __init__(
        self,
        layout: GridLayout,
        *,
        width: int = 64,
        features: int = 15,
        sphere: float = 0.55,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.sphere = sphere
        self.grid = GridEncoding(layout, generator=generator)
        inputs = 3 + layout.features
        self.hidden = nn.Linear(inputs, width)
        self.out = nn.Linear(width, 1 + features)
        with torch.no_grad():
            bound = 1 / math.sqrt(inputs)
            noise = torch.rand(width, inputs, generator=generator)
            self.hidden.weight.copy_((noise * 2 - 1) * bound)
            self.hidden.bias.zero_()
            self.out.weight.copy_(torch.randn(1 + features, width, generator=generator) * 0.01)
            self.out.bias.zero_()

    def sdf(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N,)."""
        return self._ball(points) + self._head(points, outputs=1)[:, 0]

    def sdf_and_features(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3) -> distance (N,), features (N, F)."""
        out = self._head(points)
        return self._ball(points) + out[:, 0], out[:, 1:]

    def with_gradient(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3) -> distance (N,), features (N, F), gradient (N, 3)."""
        encoded, jacobian = self.grid(points, jacobian=True)
        z = self.hidden(torch.cat([points, encoded], -1))
        gate = torch.sigmoid(z)
        out = self.out(z * gate)
        bend = gate * (1 + z * (1 - gate))  # silu'(z)
        slope = (bend * self.out.weight[0]) @ self.hidden.weight
        through_code = torch.einsum("nf,nfk->nk", slope[:, 3:], jacobian)
        outward = points / points.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        gradient = outward + slope[:, :3] + through_code
        return self._ball(points) + out[:, 0], out[:, 1:], gradient

    def _head(self, points: Tensor, outputs: int | None = None) -> Tensor:
        """The first of the head's outputs, or all: (N, outputs)."""
        encoded, _ = self.grid(points)
        return sdf_head(
            points,
            encoded,
            self.hidden.weight,
            self.hidden.bias,
            self.out.weight[:outputs],
            self.out.bias[:outputs],
        )

    def _ball(self, points: Tensor) -> Tensor:
        return points.norm(dim=-1) - self.sphere


class MLPField(nn.Module):
    """VolSDF's network: softplus layers, frequency encoding, geometric initialisation.

    Geometric initialisation (Atzmon and Lipman 2020, SAL, theorem 1) makes an untrained network
    close to |x| - sphere: hidden weights are N(0, 2 / width) and zero on the sines and cosines,
    the last layer is sqrt(pi / width) with bias -sphere.

    Args:
        width, depth: hidden units and hidden layers (the paper: 256, 8).
        frequencies: octaves of the encoding (VolSDF: 6).
        skip: this layer sees the input again, scaled by 1 / sqrt(2).
        features: numbers handed to the colour network.
        sphere: radius of the starting sphere.
        generator: source of the start values.
    """

    def __init__(
        self,
        *,
        width: int = 256,
        depth: int = 8,
        frequencies: int = 6,
        skip: int = 4,
        features: int = 256,
        sphere: float = 0.6,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.frequencies, self.skip = frequencies, skip
        inputs = 3 * (1 + 2 * frequencies)
        self.layers = nn.ModuleList()
        before = inputs
        for number in range(depth):
            after = width - inputs if number + 1 == skip else width
            self.layers.append(nn.Linear(before, after))
            before = width if number + 1 == skip else after
        self.layers.append(nn.Linear(before, 1 + features))
        with torch.no_grad():
            for number, layer in enumerate(self.layers):
                self._start(layer, number, depth, inputs, sphere, generator)  # type: ignore[arg-type]

    def _start(
        self,
        layer: nn.Linear,
        number: int,
        depth: int,
        inputs: int,
        sphere: float,
        generator: torch.Generator | None,
    ) -> None:
        outputs, before = layer.weight.shape
        noise = torch.randn(outputs, before, generator=generator)
        if number == depth:
            layer.weight.copy_(math.sqrt(math.pi / before) + 1e-4 * noise)
            layer.bias.fill_(-sphere)
            return
        weight = noise * math.sqrt(2 / outputs)
        if number == 0:
            weight[:, 3:] = 0
        elif number == self.skip:
            weight[:, -(inputs - 3) :] = 0
        layer.weight.copy_(weight)
        layer.bias.zero_()

    def sdf(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N,)."""
        return self.sdf_and_features(points)[0]

    def sdf_and_features(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3) -> distance (N,), features (N, F)."""
        encoded = frequency_encoding(points, self.frequencies)
        hidden = encoded
        for number, layer in enumerate(self.layers):
            if number == self.skip:
                hidden = torch.cat([hidden, encoded], -1) / math.sqrt(2)
            hidden = layer(hidden)
            if number + 1 < len(self.layers):
                hidden = F.softplus(hidden, beta=100)
        return hidden[:, 0], hidden[:, 1:]

    def with_gradient(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 3) -> distance (N,), features (N, F), gradient (N, 3) by autograd."""
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            value, features = self.sdf_and_features(points)
            (gradient,) = torch.autograd.grad(
                value.sum(), points, create_graph=torch.is_grad_enabled()
            )
        return value, features, gradient


# Corners of a tetrahedron: four samples give the gradient and the Laplacian.
_TAPS = ((1.0, -1.0, -1.0), (-1.0, -1.0, 1.0), (-1.0, 1.0, -1.0), (1.0, 1.0, 1.0))


def difference_gradient(
    field: GridField | MLPField, points: Tensor, sdf: Tensor, step: float
) -> tuple[Tensor, Tensor]:
    """Gradient and Laplacian from four samples around each point.

    With taps x + h k_j on a tetrahedron (sum k_j = 0, sum k_j k_j^T = 4 I):

        grad f ~ sum_j f(x + h k_j) k_j / (4 h)
        laplace f ~ 2 (mean_j f(x + h k_j) - f(x)) / h^2

    Unlike the exact gradient this one feels the field over a width of 2 h, which smooths it.

    Args:
        field: the field.
        points: (N, 3).
        sdf: (N,), the field at the points.
        step: h, in unit-sphere coordinates.

    Returns:
        Gradient (N, 3) and Laplacian (N,), differentiable.
    """
    taps = points.new_tensor(_TAPS)
    around = (points[None] + step * taps[:, None]).reshape(-1, 3)
    values = field.sdf(around).reshape(4, -1)
    gradient = (values.T @ taps) / (4 * step)
    laplacian = (values.mean(0) - sdf) * (2 / step**2)
    return gradient, laplacian
