"""What the small portrait generators share: rays of a portrait, volume rendering, two upsamplings.

A field is sampled on a coarse grid of rays, composited as in NeRF (Mildenhall et al. 2020, eq. 3),
and the picture of features is brought to 64 x 64 colours by two pixel shuffles.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid.portraits import focal, pose_cameras
from privhead_nb.lab.framing import DISTANCE, TARGET

UNIT = 130.0
"""mm; a head fits into the ball of radius 1.15 of these around TARGET."""
NEAR, FAR = DISTANCE / UNIT - 1.2, DISTANCE / UNIT + 1.2
SIDE, SAMPLES = 16, 24
"""Rays along a side of the coarse picture, and samples a ray."""


def portrait_rays(pose: Tensor, side: int = SIDE) -> tuple[Tensor, Tensor]:
    """Origins (N, 1, 3) and unit directions (N, side side, 3), in UNIT, around TARGET.

    Args:
        pose: (N, 6) of cameras, see `deid.portraits.POSE`; gradients reach it.
        side: rays along each side of the picture.
    """
    to_world = pose_cameras(pose)
    at = torch.arange(side, device=pose.device, dtype=pose.dtype) - (side - 1) / 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    plane = torch.stack([x, y, torch.full_like(x, focal(side))], -1).reshape(-1, 3)
    directions = F.normalize(plane @ to_world[:, :, :3].transpose(1, 2), dim=-1)
    origins = (to_world[:, None, :, 3] - torch.tensor(TARGET).to(pose)) / UNIT
    return origins, directions


def samples_along(
    origins: Tensor,
    directions: Tensor,
    samples: int = SAMPLES,
    random: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Points (N, R, S, 3) on rays and their depths (N, R, S), in UNIT.

    Args:
        origins, directions: (N, 1 or R, 3), (N, R, 3).
        samples: S, one in each of S equal bins from NEAR to FAR.
        random: draws the place in each bin; without it the middle is taken.
    """
    N, R, _ = directions.shape
    place: Tensor | float = 0.5
    if random is not None:
        place = torch.rand(N, R, samples, generator=random).to(directions)
    bins = torch.arange(samples, device=directions.device, dtype=directions.dtype)
    depths = (NEAR + (FAR - NEAR) * (bins + place) / samples).expand(N, R, samples)
    return origins[:, :, None] + depths[..., None] * directions[:, :, None], depths


def composite(density: Tensor, features: Tensor, depths: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, R, C) seen along rays, and how opaque they are (N, R): NeRF's eq. 3.

    Args:
        density: (N, R, S), 0 or more, per UNIT.
        features: (N, R, S, C).
        depths: (N, R, S), rising, evenly spaced on average.
    """
    step = (FAR - NEAR) / depths.shape[-1]
    passed = torch.exp(-density * step)
    before = torch.cumprod(torch.cat([torch.ones_like(passed[..., :1]), passed[..., :-1]], -1), -1)
    weights = before * (1 - passed)
    return (weights[..., None] * features).sum(-2), weights.sum(-1)


class Upsampler(nn.Module):
    """Features (N, C, s, s) to sRGB (N, 3, 4 s, 4 s) in [0, 1] by two pixel shuffles."""

    def __init__(self, channels: int = 32, inner: int = 48) -> None:
        super().__init__()
        self.enter = nn.Conv2d(channels, inner, 3, padding=1)
        self.grow = nn.ModuleList(nn.Conv2d(inner, 4 * inner, 3, padding=1) for _ in range(2))
        self.mix = nn.ModuleList(nn.Conv2d(inner, inner, 3, padding=1) for _ in range(2))
        self.leave = nn.Conv2d(inner, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, s, s) -> (N, 3, 4 s, 4 s)."""
        x = F.leaky_relu(self.enter(features), 0.2)
        for grow, mix in zip(self.grow, self.mix, strict=True):
            x = F.leaky_relu(F.pixel_shuffle(grow(x), 2), 0.2)
            x = x + F.leaky_relu(mix(x), 0.2)
        out: Tensor = torch.sigmoid(self.leave(x))
        return out
