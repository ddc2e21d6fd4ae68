"""A ray through bumps of fog: eq. 1 with all that happens on the way, for pictures and panels.

    sigma(t) = sum_k sigma_k,    sigma_k = height_k exp(-(t - at_k)^2 / (2 width_k^2))
    c(t)     = sum_k sigma_k c_k / sigma(t)

Lengths are in the unit of t, densities in its inverse. A ray runs over [0, LENGTH].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.kernels.compositing import LEAST_OPACITY, composite, weights_from_density
from privhead_nb.kernels.error_bounded import inverse_cdf, quantiles

LENGTH = 2.0
FINE = 4000  # samples of what we call exact
PLACINGS = ("even", "jittered", "by weight", "by weight, widened")


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


class Seen(NamedTuple):
    """What happens on one ray with S samples (eq. 1).

    Attributes:
        t, deltas, density, alpha, through, weights: (S,); `through` is T before the sample.
        colours: (S, 3), the fog's own.
        colour: (3,), on the background.
        opacity, depth, spread: numbers; see `depth_and_spread`.
    """

    t: Tensor
    deltas: Tensor
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


def look(
    bumps: Sequence[Bump], t: Tensor, background: tuple[float, float, float] = (1.0, 1.0, 1.0)
) -> Seen:
    """Eq. 1 on one ray: t (S,) rising in [0, LENGTH]; the last sample stands for the rest."""
    deltas = torch.diff(t, append=t.new_tensor([LENGTH]))
    density, colours = fog(bumps, t)
    weights = weights_from_density(density, deltas)
    through = torch.exp(-torch.cumsum(density * deltas, 0) + density * deltas)
    depth, spread = depth_and_spread(weights, t)
    opacity = float(weights.sum())
    colour = composite(weights, colours) + (1 - opacity) * t.new_tensor(background)
    return Seen(
        t, deltas, density, -torch.expm1(-density * deltas), through, weights, colours, colour,
        opacity, float(depth), float(spread),
    )  # fmt: skip


def exact(bumps: Sequence[Bump]) -> Seen:
    """The same with so many samples that more change nothing that is seen."""
    return look(bumps, (torch.arange(FINE, dtype=torch.float64) + 0.5) * (LENGTH / FINE))


def depth_and_spread(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Expected depth, and the standard deviation of the depth, of samples with weights.

    Args:
        weights: (..., S), eq. 1.
        t: (..., S).

    Returns:
        Two tensors (...), in the unit of t; both are 0 where the weights are.
    """
    mass = weights.sum(-1).clamp_min(LEAST_OPACITY)
    depth = (weights * t).sum(-1) / mass
    off = (t - depth[..., None]).square()
    return depth, ((weights * off).sum(-1) / mass).sqrt()


def place(bumps: Sequence[Bump], count: int, how: str, seed: int = 0) -> Tensor:
    """Distances (count,) of samples on the ray, rising, doubles; `how` is one of PLACINGS.

    "by weight" spends half of the samples evenly, and the other half by the inverse CDF of the
    weights that those found; "widened" gives each section the largest weight of its neighbours.
    """
    if how not in PLACINGS:
        raise ValueError(f"samples are placed {how!r}; use one of {PLACINGS}")
    random = torch.Generator().manual_seed(seed)
    if how in ("even", "jittered"):
        jitter = torch.full((1, count), 0.5)
        if how == "jittered":
            jitter = torch.rand(1, count, generator=random)
        return LENGTH * quantiles(jitter)[0]
    first = LENGTH * quantiles(torch.full((1, count // 2), 0.5))
    weights = look(bumps, first[0]).weights[None]
    if how == "by weight, widened":
        weights = widened(weights)
    edges = torch.nn.functional.pad(first, (0, 1), value=LENGTH)
    more = inverse_cdf(edges, weights, quantiles(torch.full((1, count - count // 2), 0.5)))
    return torch.cat([first, more], 1)[0].sort().values


def widened(weights: Tensor) -> Tensor:
    """Each section's largest weight among itself and its two neighbours; (N, S) -> (N, S)."""
    return torch.nn.functional.max_pool1d(weights[:, None], 3, 1, 1)[:, 0]


def rgb(colour: Tensor) -> NDArray[Any]:
    """A colour for matplotlib."""
    return np.clip(colour.double().numpy(), 0.0, 1.0)
