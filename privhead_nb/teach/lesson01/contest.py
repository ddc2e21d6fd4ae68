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
from privhead_nb.render.sampling import uniform_samples
from privhead_nb.teach.lesson01 import sampling

Ask = Callable[[Tensor], Tensor]
Sampler = Callable[[Ask, Tensor, Tensor, float], tuple[Tensor, Tensor]]

BUDGET = 48  # questions a ray
EVEN = 3 * BUDGET  # even samples that the bar is set by
BETA = 0.003
RAYS, FINE = 256, 4096


class Run(NamedTuple):
    """What a sampler did on a course: its samples, and how often it asked a ray."""

    t: Tensor
    f: Tensor
    asked: int


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

    def weights(self, t: Tensor) -> Tensor:
        """Eq. 1 at samples t (N, S)."""
        return sdf_weights_reference(self.sdf(t), torch.diff(t, append=self.far[:, None]), BETA)

    def off(self, t: Tensor) -> float:
        """Mean error of the depth that samples t (N, S) show, against FINE even samples."""
        even = uniform_samples(self.near, self.far, FINE)
        shown, true = (sampling.depth_and_spread(self.weights(x), x)[0] for x in (t, even))
        return float((shown - true).abs().mean())

    def even(self, count: int) -> float:
        """Mean error of the depth that so many even samples show."""
        return self.off(uniform_samples(self.near, self.far, count))

    def placed(self, how: str) -> Run:
        """BUDGET samples of one of `sampling.PLACINGS`."""
        random = torch.Generator()
        t = sampling.place(self.near, self.far, BUDGET, how, self.weights, random)
        return Run(t, self.sdf(t), BUDGET)


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
