"""How steep the colour network really is, beside what its Lipschitz layers promise (eq. 7 and 8).

All constants are in the infinity norm: an input moves by the largest change of any of its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.field.model import HeadModel
from privhead_nb.field.radiance import ColourNetwork

SILU_CONSTANT = 1.0998393
"""Largest slope of x sigmoid(x), met where x is 2.4: a little more than ReLU's 1."""
SIGMOID_CONSTANT = 0.25
"""Largest slope of the sigmoid, which ends the colour network."""
NEVER = 100.0
"""A bound that no row of a trained colour network reaches (theirs sum to about 8)."""


def used_weights(network: ColourNetwork) -> list[Tensor]:
    """The weights W_hat that the network multiplies by."""
    return [layer.normalised_weight() for layer in network.layers]  # type: ignore[operator]


def row_sums(network: ColourNetwork) -> Tensor:
    """Infinity norm of each layer's used weight, (L,): its largest sum of a row's moduli."""
    return torch.stack([w.abs().sum(1).max() for w in used_weights(network)])


def composed_bound(network: ColourNetwork, norms: Tensor) -> Tensor:
    """Lipschitz bound from inputs to colours: layers' norms times the activations' constants."""
    hidden = SILU_CONSTANT if network.activation is F.silu else 1.0
    return norms.prod() * hidden ** (len(norms) - 1) * SIGMOID_CONSTANT


def spectral_bound(network: ColourNetwork) -> Tensor:
    """Another bound from inputs to colours, by the layers' largest singular values.

    In Euclidean length a layer stretches by its largest singular value. For D inputs that move by
    at most 1 each, the length is at most sqrt(D), and no output is longer than all of them.
    """
    weights = used_weights(network)
    norms = torch.stack([torch.linalg.matrix_norm(w, 2) for w in weights])
    return composed_bound(network, norms) * weights[0].shape[1] ** 0.5


def jacobians(
    network: ColourNetwork, points: Tensor, normals: Tensor, views: Tensor, features: Tensor
) -> Tensor:
    """d colour / d input at N inputs -> (N, 3, D); positions, normals, views, features in turn."""
    inputs = [x.detach().requires_grad_() for x in (points, normals, views, features)]
    colours = network(*inputs)
    rows = []
    for channel in range(3):
        found = torch.autograd.grad(
            colours[:, channel].sum(), inputs, retain_graph=True, materialize_grads=True
        )
        rows.append(torch.cat(found, -1))
    return torch.stack(rows, 1)


def local_constants(jacobian: Tensor) -> Tensor:
    """Infinity norm of each Jacobian, (N, 3, D) -> (N,): how steep the network is right there."""
    return jacobian.abs().sum(-1).amax(-1)


@dataclass(frozen=True)
class Seen:
    """What the colour network is asked at N places of a surface, unit-sphere coordinates.

    Args:
        points, normals, views: (N, 3) each.
        features: (N, F).
    """

    points: Tensor
    normals: Tensor
    views: Tensor
    features: Tensor

    def colours(self, network: ColourNetwork) -> Tensor:
        """(N, 3)."""
        return network(self.points, self.normals, self.views, self.features)


def seen_from(model: HeadModel, points: Tensor, centers: Tensor) -> Seen:
    """The network's inputs at surface points, each looked at by one of the cameras that it faces.

    Cameras are drawn, from a fixed seed; points that face none are left out.

    Args:
        points: (N, 3), on or near the surface, unit-sphere coordinates.
        centers: (V, 3), where the cameras stand.
    """
    with torch.no_grad():
        _, features, gradients = model.field.with_gradient(points)
        normals = F.normalize(gradients, dim=-1)
        views = F.normalize(points[:, None] - centers, dim=-1)  # (N, V, 3)
        facing = ((views * normals[:, None]).sum(-1) < -0.2).float()
        kept = (facing.sum(1) > 0).nonzero()[:, 0]
        generator = torch.Generator().manual_seed(0)
        drawn = torch.multinomial(facing[kept], 1, generator=generator)[:, 0]
        return Seen(points[kept], normals[kept], views[kept, drawn], features[kept])
