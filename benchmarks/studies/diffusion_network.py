"""The U-Net that a small diffusion model is made of."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TIME = 64


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a way past them; the noise level shifts the middle."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.norm_one, self.norm_two = nn.GroupNorm(4, into), nn.GroupNorm(4, out)
        self.one = nn.Conv2d(into, out, 3, padding=1)
        self.two = nn.Conv2d(out, out, 3, padding=1)
        self.time = nn.Linear(TIME, out)
        self.past = nn.Conv2d(into, out, 1) if into != out else nn.Identity()
        nn.init.zeros_(self.two.weight)
        nn.init.zeros_(self.two.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        y = self.one(F.silu(self.norm_one(x))) + self.time(time)[:, :, None, None]
        return self.past(x) + self.two(F.silu(self.norm_two(y)))


class _Attention(nn.Module):
    """Each place of a small map looks at all others."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, width)
        self.all = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        B, C, H, W = x.shape
        q, k, v = self.all(self.norm(x)).reshape(B, 3, C, H * W).transpose(2, 3).unbind(1)
        seen = F.scaled_dot_product_attention(q, k, v)
        return x + self.out(seen.transpose(1, 2).reshape(B, C, H, W))


class Denoiser(nn.Module):
    """(N, 3, H, H) noisy pictures and (N,) levels in [0, 1] -> (N, 3, H, H) the noise in them.

    Args:
        width: channels at full size, a multiple of 4; 2 and 3 times as many at a half and a
            quarter. 32 gives about 0.9 million numbers.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 3 * width
        self.time = nn.Sequential(nn.Linear(TIME, TIME), nn.SiLU(), nn.Linear(TIME, TIME))
        self.first = nn.Conv2d(5, a, 3, padding=1)
        self.down = nn.ModuleList([_Block(a, a), _Block(a, b), _Block(b, c)])
        self.middle, self.attention = _Block(c, c), _Attention(c)
        self.up = nn.ModuleList([_Block(2 * c, c), _Block(c + b, b), _Block(b + a, a)])
        self.norm, self.last = nn.GroupNorm(4, a), nn.Conv2d(a, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        time = self.time(_waves(level))
        x = torch.cat([x, _places(x)], dim=1)
        x = self.first(x)
        kept = []
        for number, block in enumerate(self.down):
            x = block(x if number == 0 else F.avg_pool2d(x, 2), time)
            kept.append(x)
        x = self.attention(self.middle(x, time))
        for number, block in enumerate(self.up):
            if number:
                x = F.interpolate(x, scale_factor=2.0)
            x = block(torch.cat([x, kept.pop()], dim=1), time)
        return self.last(F.silu(self.norm(x)))


def _waves(level: Tensor) -> Tensor:
    """(N,) in [0, 1] -> (N, TIME) sines and cosines."""
    half = TIME // 2
    speed = torch.exp(torch.linspace(0, math.log(1000), half, device=level.device))
    angle = level.float()[:, None] * speed
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _places(x: Tensor) -> Tensor:
    """(N, 2, H, W) where each pixel is, from -1 to 1: portraits are all framed alike."""
    rows = torch.linspace(-1, 1, x.shape[2], device=x.device)
    columns = torch.linspace(-1, 1, x.shape[3], device=x.device)
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"))
    return grid.expand(len(x), -1, -1, -1)
