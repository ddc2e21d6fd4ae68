"""Prior-free inversion: find a picture whose modulus is the released one, knowing no other face.

Descent on eq. 5 with the norms of eq. 6 smoothed,

    |g|_e = sqrt(|g|^2 + e^2) - e,      loss = mean |m_e(x) - m| + tv mean |grad x|,

e falling while it runs. Smoothing lets a wrong sign pass through zero while e is large; the total
variation (TV) decides what the modulus leaves open, such as stripes that Sobel doesn't see. Where
the release says what stands behind the head, flat pixels that reach the border get that colour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from privhead_nb.lab.attacks import Card
from privhead_nb.lab.fit import fit
from privhead_nb.privacy.operators import BORDERS, Operator

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Descent:
    """Settings of the attack."""

    starts: int = 4  # random pictures to start from
    steps: int = 300  # of Adam
    rate: float = 0.1  # its learning rate at the start; it falls to 5 % along a cosine
    # first and last e, in the modulus's unit (colour per pixel).
    smooth: tuple[float, float] = (0.1, 0.002)
    tv: tuple[float, float] = (0.1, 0.002)  # first and last weight of the total variation
    # first and last weight of the variation of what is not grey (colour minus its mean).
    grey: tuple[float, float] = (0.001, 0.3)
    channels: int = 3  # 3 guesses colours; 1 guesses a grey picture, with a third of the unknowns
    # colour of the flat border that the attacker knows; None knows nothing.
    background: Colour | None = (1.0, 1.0, 1.0)
    seed: int = 0  # of the random starts

    def __post_init__(self) -> None:
        if self.starts < 1 or self.steps < 1:
            raise ValueError("starts and steps are at least 1")
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}, not 1 or 3")


def suited(operator: Operator, **changes: Any) -> Descent:
    """Settings for an operator: where it adds noise or rounds, more total variation at the end."""
    rough = operator.noise > 0 or operator.levels > 0
    return replace(Descent(tv=(0.1, 0.02 if rough else 0.002)), **changes)


@dataclass(frozen=True, eq=False)
class Inversion:
    """What the attack found."""

    guess: Tensor  # (H, W, 3), of the start whose modulus came nearest
    residual: float  # its mean |m(guess) - m|, colour per pixel: all that the attacker can check
    guesses: Tensor  # (starts, H, W, 3)
    residuals: Tensor  # (starts,)
    card: Card  # what it needed


def smoothed_modulus(images: Tensor, operator: Operator, smooth: float = 0.0) -> Tensor:
    """Eq. 6 of (B, H, W, 3) with smoothed norms, without noise and levels; smooth 0 is eq. 6."""
    gx, gy = signed_gradients(images, operator)
    return _norm(gx, smooth) + _norm(gy, smooth)


def signed_gradients(images: Tensor, operator: Operator) -> tuple[Tensor, Tensor]:
    """What the modulus throws away: gx and gy (B, C, H, W) of pictures (B, H, W, 3)."""
    x, r = operator.channels(images), operator.reach
    shape = x.shape
    x = F.pad(x.reshape(-1, 1, *shape[-2:]), (r, r, r, r), mode=BORDERS[operator.border])
    kernels = torch.stack(operator.kernels()).to(x)[:, None]
    both = F.conv2d(x, kernels).reshape(*shape[:2], 2, *shape[-2:])
    return both[:, :, 0], both[:, :, 1]


def expected(modulus: Tensor, operator: Operator) -> Tensor:
    """The released modulus on average over the noise, which is cut at 0: E max(0, m + sigma n)."""
    if operator.noise == 0:
        return modulus
    z = modulus / operator.noise
    bell = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    return modulus * torch.special.ndtr(z) + operator.noise * bell


def rounding(operator: Operator) -> float:
    """Half a level: a modulus that is no further off may be the true one."""
    return operator.peak / (operator.levels - 1) / 2 if operator.levels else 0.0


def _norm(g: Tensor, smooth: float) -> Tensor:
    tiny = max(smooth, 1e-12)
    return (g.square().sum(1) + tiny**2).sqrt() - tiny


def flat_border(modulus: Tensor, operator: Operator) -> Tensor:
    """(H, W) true on flat pixels that are joined to the border by flat pixels.

    Noise of sigma, cut at 0, is 0.4 sigma on average where the modulus is 0; the mean of 5 x 5
    pixels tells that from an edge.
    """
    seen = modulus.detach().numpy()
    if operator.noise > 0:
        seen = ndimage.uniform_filter(seen, 5)
    parts, _ = ndimage.label(seen < 1e-3 + 0.75 * operator.noise)
    rim = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return torch.from_numpy(np.isin(parts, np.setdiff1d(rim, 0)))


def interior(modulus: Tensor, operator: Operator, depth: int = 3) -> Tensor:
    """(H, W) true on the head, at least `depth` pixels from the flat border: where to score."""
    head = ~flat_border(modulus, operator).numpy()
    return torch.from_numpy(ndimage.binary_erosion(head, iterations=depth))


def invert(
    modulus: Tensor,
    operator: Operator,
    descent: Descent | None = None,
    *,
    signed: tuple[Tensor, Tensor] | None = None,
) -> Inversion:
    """Guess a picture from its modulus.

    Args:
        modulus: (H, W) as released.
        operator: its settings; noise and levels are modelled, "last" of `downsample` is not.
        descent: the attack's settings; by default those of `suited`.
        signed: gx, gy (C, H, W) of `signed_gradients`: the positive control, which shows that the
            modulus stands in the way, not the descent. It then only tells where the background is.
    """
    settings = suited(operator) if descent is None else descent
    H, W = modulus.shape
    target = modulus.detach().float()
    known = torch.zeros(H, W, dtype=torch.bool)
    colour = torch.full((3,), 0.5)
    if settings.background is not None:
        known, colour = flat_border(target, operator), torch.tensor(settings.background)
    generator = torch.Generator().manual_seed(settings.seed)
    x = torch.rand(settings.starts, H, W, settings.channels, generator=generator)
    x = (0.5 + 0.2 * (x - 0.5)).requires_grad_()
    last = max(1, settings.steps - 1)

    def loss(step: int) -> Tensor:
        share = step / last
        pictures = _pictures(x, known, colour)
        smooth, tv = _between(settings.smooth, share), _between(settings.tv, share)
        off = _misfit(pictures, target, operator, smooth, signed) + tv * _variation(pictures)
        if (grey := _between(settings.grey, share)) > 0:
            off = off + grey * _variation(pictures - pictures.mean(-1, keepdim=True))
        return off

    @torch.no_grad()
    def keep_in_range(_: int) -> None:
        x.clamp_(0, 1)

    adam = torch.optim.Adam([x], lr=settings.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        adam, lambda step: 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / last))
    )
    fit(adam, loss, settings.steps, schedule=schedule, after_step=keep_in_range)
    with torch.no_grad():
        guesses = _pictures(x, known, colour).clone()
        residuals = _misfit(guesses, target, operator, 0.0, signed)
    best, card = int(residuals.argmin()), _card(settings, signed is not None)
    return Inversion(guesses[best], float(residuals[best]), guesses, residuals, card)


def _card(settings: Descent, signed: bool) -> Card:
    known = ["the operator", "signed gradients" if signed else "the modulus"]
    if settings.background is not None:
        known.append("the background's colour")
    return Card(
        attack="prior-free inversion" + (", positive control" if signed else ""),
        knowledge=", ".join(known),
        data="none",
        cost=f"{settings.starts} starts of {settings.steps} steps",
        seed=settings.seed,
    )


def _pictures(x: Tensor, known: Tensor, colour: Tensor) -> Tensor:
    """(B, H, W, 3) of the unknowns, the known pixels in their colour."""
    return torch.where(known[..., None], colour, x.expand(*x.shape[:-1], 3))


def _misfit(
    pictures: Tensor,
    target: Tensor,
    operator: Operator,
    smooth: float,
    signed: tuple[Tensor, Tensor] | None,
) -> Tensor:
    """(B,) eq. 5 of each picture, or the same of the signed gradients."""
    if signed is None:
        off = expected(smoothed_modulus(pictures, operator, smooth), operator) - target
        return (off.abs() - rounding(operator)).clamp_min(0).mean(dim=(1, 2))
    gx, gy = signed_gradients(pictures, operator)
    off = _norm(gx - signed[0], smooth) + _norm(gy - signed[1], smooth)
    return off.mean(dim=(1, 2))


def _variation(pictures: Tensor) -> Tensor:
    """(B,) mean length of the steps between neighbours, over the channels."""
    down, right = pictures.diff(dim=1), pictures.diff(dim=2)
    length = (down.square().sum(-1)[:, :, :-1] + right.square().sum(-1)[:, :-1] + 1e-8).sqrt()
    return length.mean(dim=(1, 2))


def _between(ends: tuple[float, float], share: float) -> float:
    """From the first to the last, geometrically."""
    first, last = ends
    return float(first * (last / first) ** share) if first > 0 and last > 0 else first
