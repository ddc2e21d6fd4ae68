"""The discriminator D of latent codes: what it is, and what it and M_c learn from each other."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.studies.deid.g2face_losses import gradient_penalty
from privhead_nb.deid.aware3d.mapper import ConversionMapper
from privhead_nb.deid.aware3d.style_nerf import STYLE


class LatentDiscriminator(nn.Module):
    """D: codes w (N, 125) -> logits (N,), above 0 where they are taken for the generator's own."""

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(STYLE, width), nn.Linear(width, width)])
        self.out = nn.Linear(width, 1)
        self.register_buffer("mean", torch.zeros(STYLE))
        self.register_buffer("spread", torch.ones(STYLE))

    def forward(self, w: Tensor) -> Tensor:
        """Logits (N,)."""
        x = (w - self.mean) / self.spread
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        out: Tensor = self.out(x)[:, 0]
        return out


def set_spread(codes: Tensor, *parts: ConversionMapper | LatentDiscriminator) -> None:
    """Tell networks the mean and spread over N of codes (N, 125)."""
    for part in parts:
        part.mean.copy_(codes.mean(0))
        part.spread.copy_(codes.std(0) + 1e-3)


def adversarial_loss(logits: Tensor) -> Tensor:
    """Of what is made: non-saturating (Goodfellow et al. 2014)."""
    return F.softplus(-logits).mean()


def discriminator_loss(critic: nn.Module, real: Tensor, made: Tensor, r1: float) -> Tensor:
    """Of the latent discriminator, with R1 (Mescheder et al. 2018, eq. 9) on real codes (N, W)."""
    real = real.detach().requires_grad_(True)
    of_real = critic(real)
    off = F.softplus(-of_real).mean() + F.softplus(critic(made.detach())).mean()
    return off + r1 / 2 * gradient_penalty(of_real, real)
