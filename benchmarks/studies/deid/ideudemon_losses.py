"""The losses of step II that need discriminators or another identity, eq. 6 to 9.

Eq. 5, which lesson 12 takes too, is `deid/ideudemon/losses.py`. r_id of eq. 8 is `deid.features`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid.features import identity_of
from privhead_nb.deid.ideudemon.losses import Weights
from privhead_nb.lab.recognisers.network import FaceNetwork

REGIONS: dict[str, tuple[slice, int, int]] = {
    "left_eye": (slice(42, 48), 8, 12),
    "right_eye": (slice(36, 42), 8, 12),
    "mouth": (slice(48, 68), 8, 16),
}
"""Landmarks (iBUG) of each region of eq. 7, and its height and width, pixels."""


class Discriminator(nn.Module):
    """Pictures (N, 3, H, W) -> logits (N,), and the features of each layer."""

    def __init__(self, height: int, width: int, channels: int = 24) -> None:
        super().__init__()
        layers, inputs = [], 3
        while min(height, width) > 4:
            layers.append(nn.Conv2d(inputs, channels, 3, stride=2, padding=1))
            nn.init.kaiming_normal_(layers[-1].weight, 0.2)
            inputs, channels = channels, min(2 * channels, 96)
            height, width = (height + 1) // 2, (width + 1) // 2
        self.layers = nn.ModuleList(layers)
        self.out = nn.Linear(inputs * height * width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits: above 0 where the picture is taken for a real one."""
        features = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.out(x.flatten(1))[:, 0], features


def region(pictures: Tensor, landmarks: Tensor, name: str) -> Tensor:
    """(N, 3, h, w) of one of REGIONS, around its landmarks' mean (ROI align, bilinear).

    Args:
        pictures: (N, H, W, 3).
        landmarks: (N, 68, 2) pixels.
    """
    marks, height, width = REGIONS[name]
    middle = landmarks[:, marks].mean(1)
    dy = torch.arange(height).to(pictures) - (height - 1) / 2
    dx = torch.arange(width).to(pictures) - (width - 1) / 2
    y = middle[:, 1, None, None] + dy[:, None].expand(height, width)
    x = middle[:, 0, None, None] + dx[None].expand(height, width)
    side = pictures.shape[1]
    grid = (2 * torch.stack([x, y], -1) + 1) / side - 1
    return F.grid_sample(pictures.movedim(-1, 1), grid, padding_mode="border", align_corners=False)


def gram(features: Tensor) -> Tensor:
    """Gram matrices (N, C, C) of features (N, C, H, W), over C H W."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat[0].numel()


def adversarial_loss(logits: Tensor, weights: Weights) -> Tensor:
    """Eq. 6: -lambda E[softplus(D(X'))]."""
    return -weights.adversarial * F.softplus(logits).mean()


def component_loss(
    made: Tensor,
    original: Tensor,
    landmarks: Tensor,
    local: Mapping[str, Discriminator],
    weights: Weights,
) -> Tensor:
    """Eq. 7: local discriminators' log(1 - D), and the distance of Gram matrices in them."""
    total = made.new_zeros(())
    for name, discriminator in local.items():
        logits, features = discriminator(region(made, landmarks, name))
        with torch.no_grad():
            _, wanted = discriminator(region(original, landmarks, name))
        fooled = F.logsigmoid(-logits).mean()  # log(1 - sigmoid)
        style = torch.stack(
            [F.l1_loss(gram(a), gram(b)) for a, b in zip(features, wanted, strict=True)]
        ).sum()
        total = total + weights.local * fooled + weights.style * style
    return total


def identity_loss(made: Tensor, source: Tensor, network: FaceNetwork, weights: Weights) -> Tensor:
    """Eq. 8: 1 - cosine of r_id of X' and of X_l; or their L1 distance, for the ablation."""
    a, b = (identity_of(network, x) for x in (made, source))
    if weights.identity_l1:
        return weights.identity * (a - b).abs().mean()
    return weights.identity * (1 - (a * b).sum(1)).mean()


def steepness(discriminator: Discriminator, real: Tensor) -> Tensor:
    """R1 (Mescheder et al. 2018): mean squared slope of logits at real pictures (N, 3, H, W)."""
    real = real.detach().requires_grad_()
    (slope,) = torch.autograd.grad(discriminator(real)[0].sum(), real, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The logistic loss of a discriminator, from its logits of real and of made pictures."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()
