"""A ray through bumps of fog: eq. 1 with all that happens on the way, for pictures and panels.

    sigma(t) = sum_k sigma_k,    sigma_k = height_k exp(-(t - at_k)^2 / (2 width_k^2))
    c(t)     = sum_k sigma_k c_k / sigma(t)

Lengths are in the unit of t, densities in its inverse. A ray runs over [0, LENGTH].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import composite, weights_from_density
from privhead_nb.teach.lesson01 import sampling

LENGTH = 2.0
FINE = 4000  # samples of what we call exact
VEIL_COLOUR, WALL_COLOUR = (0.902, 0.624, 0.0), (0.0, 0.447, 0.698)  # style.ORANGE, BLUE


@dataclass(frozen=True)
class Bump:
    """One cloud on the ray.

    Args:
        at: where its middle is.
        height: density there.
        width: standard deviation, positive.
        colour: (3,) in [0, 1].
    """

    at: float
    height: float
    width: float
    colour: tuple[float, float, float]


VEIL_AND_WALL = (Bump(0.6, 4.0, 0.07, VEIL_COLOUR), Bump(1.4, 60.0, 0.06, WALL_COLOUR))


class Seen(NamedTuple):
    """What happens on one ray with S samples (eq. 1).

    Attributes:
        t, density, alpha, through, weights: (S,); `through` is T before the sample.
        colours: (S, 3), the fog's own.
        colour: (3,), on white.
        opacity, depth, spread: numbers; see `sampling.depth_and_spread`.
    """

    t: Tensor
    density: Tensor
    alpha: Tensor
    through: Tensor
    weights: Tensor
    colours: Tensor
    colour: Tensor
    opacity: float
    depth: float
    spread: float


def fog(bumps: Sequence[Bump], t: Tensor) -> tuple[Tensor, Tensor]:
    """Density (S,) and colour (S, 3) at distances t (S,)."""
    parts = torch.stack(
        [b.height * torch.exp(-0.5 * ((t - b.at) / b.width).square()) for b in bumps]
    )
    colours = torch.tensor([b.colour for b in bumps], dtype=t.dtype)
    return parts.sum(0), (parts + 1e-30).T @ colours / (parts + 1e-30).sum(0)[:, None]


def look(bumps: Sequence[Bump], t: Tensor) -> Seen:
    """Eq. 1 on one ray: t (S,) rising in [0, LENGTH]; the last sample stands for the rest."""
    deltas = torch.diff(t, append=t.new_tensor([LENGTH]))
    density, colours = fog(bumps, t)
    weights = weights_from_density(density, deltas)
    through = torch.exp(-torch.cumsum(density * deltas, 0) + density * deltas)
    depth, spread = sampling.depth_and_spread(weights, t)
    opacity = float(weights.sum())
    colour = composite(weights, colours) + 1 - opacity
    alpha = -torch.expm1(-density * deltas)
    return Seen(
        t, density, alpha, through, weights, colours, colour, opacity, float(depth), float(spread)
    )


def exact(bumps: Sequence[Bump]) -> Seen:
    """The same with so many samples that more change nothing that is seen."""
    return look(bumps, place(bumps, FINE, "even"))


def place(bumps: Sequence[Bump], count: int, how: str) -> Tensor:
    """Distances (count,) of samples on the ray, doubles; `how` is one of `sampling.PLACINGS`."""
    near = torch.zeros(1, dtype=torch.float64)

    def weigh(t: Tensor) -> Tensor:
        return look(bumps, t[0]).weights[None]

    random = torch.Generator().manual_seed(0)
    return sampling.place(near, near + LENGTH, count, how, weigh, random)[0]


def not_there(bumps: Sequence[Bump], seen: Seen, least: float = 0.05) -> bool:
    """Whether a ray that is at least half stopped shows a depth where there is next to no fog."""
    density, _ = fog(bumps, torch.tensor([seen.depth], dtype=torch.float64))
    return seen.opacity >= 0.5 and float(density) < least * float(seen.density.max())
