"""The two networks that learn, E_aux and M_c."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid.aware3d.style_nerf import STYLE
from privhead_nb.deid.portraits import POSE
from privhead_nb.lab.recognisers.network import DIMENSIONS

IDENTITY = DIMENSIONS
"""Numbers of z_id; 512 in the paper."""
ATTRIBUTES = 96
"""Numbers of z_at; 7 x 512 in the paper."""


class ResBlock(nn.Module):
    """(N, C, H, W) -> (N, O, H / 2, W / 2): two convolutions beside a mean."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.two = nn.Conv2d(outputs, outputs, 3, stride=2, padding=1)
        self.beside = nn.Conv2d(inputs, outputs, 1)
        self.norm = nn.GroupNorm(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.two(F.leaky_relu(self.norm(self.one(x)), 0.2))
        return F.leaky_relu(y + self.beside(F.avg_pool2d(x, 2)), 0.2)


class AuxiliaryEncoder(nn.Module):
    """E_aux: pictures (N, 64, 64, 3) -> attributes z_at (N, 96) and direction z_d (N, 6).

    z_at has mean 0 and variance 1 over its numbers, so that L_attr can't be met by making it small.
    """

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        widths = (width, 2 * width, 3 * width, 4 * width)
        self.enter = nn.Conv2d(3, width, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(
            ResBlock(a, b) for a, b in zip(widths, (*widths[1:], widths[-1]), strict=True)
        )
        self.hidden = nn.Linear(4 * widths[-1], 256)
        self.attributes = nn.Linear(256, ATTRIBUTES)
        self.direction = nn.Linear(256, len(POSE))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """z_at and z_d."""
        x = F.leaky_relu(self.enter(pictures.movedim(-1, 1) - 0.5), 0.2)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.hidden(x.flatten(1)), 0.2)
        return F.layer_norm(self.attributes(x).float(), (ATTRIBUTES,)), self.direction(x).float()


class ConversionMapper(nn.Module):
    """M_c: z_id (N, 64), z_at (N, 96) and tau (N,) -> codes w (N, 125), a five-layer MLP.

    The paper trains a network for each tau, this one is for all: tau enters the first layer, and
    the last one tells beside the code in which direction it goes, tau times as far. At tau 0, that
    of stage 1, nothing is added. Codes are told in units of their spread over training portraits.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, width: int = 320) -> None:
        super().__init__()
        sizes = (IDENTITY + ATTRIBUTES + 1, width, width, width, width, STYLE)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.away = nn.Linear(width, STYLE)
        self.register_buffer("mean", torch.zeros(STYLE))
        self.register_buffer("spread", torch.ones(STYLE))

    def forward(self, identity: Tensor, attributes: Tensor, tau: Tensor) -> Tensor:
        """Codes w (N, 125)."""
        x = torch.cat([8 * identity, attributes, tau[:, None]], 1)
        for layer in self.layers[:-1]:
            x = F.leaky_relu(layer(x), 0.2)
        code = self.layers[-1](x).float() + tau[:, None] * self.away(x).float()
        w: Tensor = self.mean + self.spread * code
        return w
