"""A contest of samplers: a ray may ask the field so often, and must find the right depth.

Analytic scenes on N rays; the samples are composited by eq. 1 with VolSDF's density.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import sdf_weights_reference
from privhead_nb.kernels.error_bounded import inverse_cdf, quantiles
from privhead_nb.teach.lesson01.fog import depth_and_spread, widened

Ask = Callable[[Tensor], Tensor]
Sampler = Callable[[Ask, Tensor, Tensor, float], tuple[Tensor, Tensor]]

BUDGET = 48  # questions a ray
EVEN = 3 * BUDGET  # even samples that the bar is set by
BETA = 0.003
RAYS, FINE = 256, 4096


@dataclass(frozen=True, eq=False)
class Course:
    """Rays through one scene.

    Args:
        sdf: t (N, S) -> signed distance (N, S).
        near, far: (N,).
    """

    sdf: Ask
    near: Tensor
    far: Tensor

    def depth(self, t: Tensor, f: Tensor) -> Tensor:
        """What is seen with samples t and their field values f, both (N, S); (N,)."""
        deltas = torch.diff(t, append=self.far[:, None])
        return depth_and_spread(sdf_weights_reference(f, deltas, BETA), t)[0]

    def off(self, t: Tensor) -> float:
        """Mean error of the depth that samples t (N, S) show."""
        return float((self.depth(t, self.sdf(t)) - self.truth()).abs().mean())

    def even(self, count: int) -> Tensor:
        """Even samples (N, count)."""
        return even(self.near, self.far, count)

    def truth(self) -> Tensor:
        """The depth by many even samples, (N,)."""
        t = self.even(FINE)
        return self.depth(t, self.sdf(t))


class Run(NamedTuple):
    """What a sampler did on a course: its samples, and how often it asked a ray."""

    t: Tensor
    f: Tensor
    asked: int


def courses(seed: int = 0) -> dict[str, Course]:
    """Three scenes, rising in difficulty, by name."""
    random = torch.Generator().manual_seed(seed)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(RAYS, 1, generator=random, dtype=torch.float64)

    near = draw(0.5, 1.0)
    far = near + 2.0
    wall, off_axis = near + draw(0.3, 1.7), draw(0.0, 0.45)
    ear = near + draw(0.3, 0.9)
    behind = ear + draw(0.3, 0.7)
    middle = near + 1.0
    scenes: dict[str, Ask] = {
        "a wall, on each ray elsewhere": lambda t: wall - t,
        "a ball": lambda t: ((t - middle).square() + off_axis.square()).sqrt() - 0.5,
        "an ear before a head": lambda t: torch.minimum((t - ear).abs() - 0.05, behind - t),
    }
    return {name: Course(sdf, near[:, 0], far[:, 0]) for name, sdf in scenes.items()}


def run(sampler: Sampler, course: Course) -> Run:
    """Let a sampler loose, and count its questions."""
    asked = 0

    def ask(t: Tensor) -> Tensor:
        nonlocal asked
        if t.ndim != 2 or len(t) != len(course.near):
            raise ValueError(f"ask for (N, k) distances, one row a ray; got {tuple(t.shape)}")
        asked += t.shape[1]
        return course.sdf(t)

    t, f = sampler(ask, course.near, course.far, BETA)
    return Run(t, f, asked)


def even(near: Tensor, far: Tensor, count: int) -> Tensor:
    """One sample in the middle of each of `count` equal sections, (N, count)."""
    share = (torch.arange(count, dtype=near.dtype) + 0.5) / count
    return near[:, None] + (far - near)[:, None] * share


def by_weight(
    ask: Ask, near: Tensor, far: Tensor, beta: float, wide: bool
) -> tuple[Tensor, Tensor]:
    """Half of the questions evenly, half where the first found weight, or next to it."""
    t = even(near, far, BUDGET // 2)
    f = ask(t)
    edges = torch.cat([t, far[:, None]], 1)
    weights = sdf_weights_reference(f, torch.diff(edges), beta)
    weights = widened(weights) if wide else weights
    share = quantiles(torch.full((len(t), BUDGET // 2), 0.5))
    more = inverse_cdf(edges, weights, share)
    t, order = torch.cat([t, more], 1).sort(1)
    return t, torch.cat([f, ask(more)], 1).gather(1, order)


def plain(ask: Ask, near: Tensor, far: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """The inverse CDF of the weights as they are: it looks behind the wall."""
    return by_weight(ask, near, far, beta, wide=False)


def careful(ask: Ask, near: Tensor, far: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """The inverse CDF of widened weights."""
    return by_weight(ask, near, far, beta, wide=True)


def all_even(ask: Ask, near: Tensor, far: Tensor, _: float) -> tuple[Tensor, Tensor]:
    """All questions evenly."""
    t = even(near, far, BUDGET)
    return t, ask(t)
