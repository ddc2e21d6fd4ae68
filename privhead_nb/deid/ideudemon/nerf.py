"""The parametric NeRF: codes in, a fitted face out (M_nerf of eq. 2 and 4).

After HeadNeRF (Hong et al. 2022), which the paper uses: density from place, identity and
expression; features from these, albedo and illumination; 16 x 16 rays, and a 2D network that brings
their features to 64 x 64 colours.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid.generator import (
    SAMPLES,
    SIDE,
    Upsampler,
    composite,
    portrait_rays,
    samples_along,
)
from privhead_nb.deid.ideudemon.codes import SIZES, Codes

BALL = 1.25
"""Radius, in generator.UNIT, outside of which there is nothing."""
FREQUENCIES = 7


def encoded(points: Tensor) -> Tensor:
    """(..., 3) -> (..., 3 + 6 FREQUENCIES): sines and cosines of octaves (NeRF, eq. 4)."""
    scales = math.pi * 2.0 ** torch.arange(FREQUENCIES, dtype=points.dtype, device=points.device)
    angles = (points[..., None] * scales / (2 * BALL)).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], -1)


class ParametricNerf(nn.Module):
    """Codes of N faces -> pictures (N, 64, 64, 3), and how opaque each ray is (N, 16, 16)."""

    def __init__(self, width: int = 128, features: int = 32) -> None:
        super().__init__()
        place = 3 + 6 * FREQUENCIES
        shape = SIZES["identity"] + SIZES["expression"]
        look = SIZES["albedo"] + SIZES["illumination"]
        self.place = nn.ModuleList(nn.Linear(place, width) for _ in range(2))
        self.shape = nn.ModuleList(nn.Linear(shape, width, bias=False) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.density = nn.Linear(width, 1)
        self.look = nn.Linear(look, width, bias=False)
        self.hidden = nn.Linear(width, width)
        self.features = nn.Linear(width, features)
        self.ground = nn.Parameter(torch.zeros(features))
        self.upsample = Upsampler(features)

    def forward(
        self, codes: Codes, random: torch.Generator | None = None, samples: int = SAMPLES
    ) -> tuple[Tensor, Tensor]:
        """Eq. 4, with `samples` a ray; with `random`, they are drawn in their bins (training)."""
        points, depths = samples_along(*portrait_rays(codes.camera), samples, random)
        N, R, S, _ = points.shape
        inside = points.norm(dim=-1) < BALL
        face = torch.arange(N, device=points.device)[:, None, None].expand(N, R, S)[inside]
        density, features = self.field(points[inside], face, codes)
        whole = points.new_zeros(N, R, S).masked_scatter(inside, density)
        shown = points.new_zeros(N, R, S, features.shape[-1])
        shown = shown.masked_scatter(inside[..., None], features)
        seen, opaque = composite(whole, shown, depths)
        seen = seen + (1 - opaque[..., None]) * self.ground
        picture = self.upsample(seen.reshape(N, SIDE, SIDE, -1).movedim(-1, 1))
        return picture.movedim(1, -1).to(points), opaque.reshape(N, SIDE, SIDE)

    def field(self, points: Tensor, face: Tensor, codes: Codes) -> tuple[Tensor, Tensor]:
        """Density (P,) and features (P, C) at points (P, 3) of faces numbered `face` (P,)."""
        shape = torch.cat([codes.identity, codes.expression], 1)
        look = self.look(torch.cat([codes.albedo, codes.illumination], 1))
        place = encoded(points)
        x = F.relu(self.place[0](place) + self.shape[0](shape)[face])
        x = F.relu(self.layers[0](x))
        x = F.relu(self.layers[1](x) + self.place[1](place) + self.shape[1](shape)[face])
        x = F.relu(self.layers[2](x))
        x = F.relu(self.layers[3](x))
        density = F.softplus(self.density(x)[:, 0] - 1) * 4
        features = self.features(F.relu(self.hidden(x) + look[face]))
        return density.to(points), features.to(points)
