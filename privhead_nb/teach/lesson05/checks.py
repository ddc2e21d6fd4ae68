"""Checks of lesson 05: beta's schedule, two distances, and finding a surface along rays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.training.run import BETA_SHARE


def ex0501(yours: Function) -> None:
    """Beta at a step: (step, steps, first, last) -> number."""

    def falling(share: Callable[[float], float]) -> Function:
        """Beta that falls geometrically, and has come as far as `share` of the stage says."""
        return lambda step, steps, first, last: (
            first * (last / first) ** share(step / max(steps - 1, 1))
        )

    check(
        "ex0501",
        yours,
        falling(lambda over: min(over / BETA_SHARE, 1.0)),
        {
            "the first step": (0, 300, 0.03, 0.003),
            "half way": (150, 300, 0.03, 0.003),
            "the last step": (299, 300, 0.03, 0.003),
            "a step of stage 2": (700, 1900, 0.012, 0.0015),
        },
        hint="the share of the stage that is over is step / (steps - 1); divided by 0.8 and cut at "
        "1, it is how far beta has come on its way, on a logarithmic scale",
        slips={
            "beta falls by the same factor each step, not by the same amount": (
                lambda step, steps, first, last: (
                    first + (last - first) * min(step / max(steps - 1, 1) / BETA_SHARE, 1.0)
                )
            ),
            "beta has arrived after 0.8 of the stage, and then stays": falling(lambda over: over),
            "beta must not fall below its last value": falling(lambda over: over / BETA_SHARE),
        },
        rtol=1e-6,
        atol=1e-12,
    )


def ex0502(yours: Function) -> None:
    """Two-way mean distance of samples: (N, 3), (M, 3) -> number."""

    def ways(a: Array, b: Array) -> tuple[Array, Array]:
        return cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]

    def spec(a: Array, b: Array) -> float:
        forth, back = ways(a, b)
        return float((forth.mean() + back.mean()) / 2)

    rng = np.random.default_rng(5)
    near, far = rng.normal(size=(400, 3)), rng.normal(size=(300, 3)) * 2 + (0.5, 0.0, 0.0)
    check(
        "ex0502",
        yours,
        spec,
        {
            "one point each": (np.zeros((1, 3)), np.array([[3.0, 4.0, 0.0]])),
            "one point and two": (np.zeros((1, 3)), np.array([[1.0, 0, 0], [9.0, 0, 0]])),
            "400 points and 300": (near, far),
            "the same two, swapped": (far, near),
        },
        hint="scipy.spatial.cKDTree(b).query(a) gives the distance from each point of a to the "
        "nearest of b; then the other way round, a mean for each, and the mean of the two means",
        slips={
            "this is one way only: from a to b": lambda a, b: ways(a, b)[0].mean(),
            "this is one way only: from b to a": lambda a, b: ways(a, b)[1].mean(),
            "this is the sum of the two means; take their mean": lambda a, b: 2 * spec(a, b),
            "these distances are squared": lambda a, b: (
                sum(np.mean(way**2) for way in ways(a, b)) / 2
            ),
            "this is one mean over all points; the larger set would count more": lambda a, b: (
                np.concatenate(ways(a, b)).mean()
            ),
        },
    )


def ex0503(yours: Function) -> None:
    """Median angle between unit normals in degrees: (N, 3), (N, 3) -> number."""

    def angles(a: Array, b: Array) -> Array:
        return np.asarray(np.degrees(np.arccos(np.clip((a * b).sum(axis=1), -1, 1))))

    def unit(vectors: Array) -> Array:
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    rng = np.random.default_rng(3)
    some, others = unit(rng.normal(size=(501, 3))), unit(rng.normal(size=(501, 3)))
    check(
        "ex0503",
        yours,
        lambda a, b: np.median(angles(a, b)),
        {
            "a right angle": (np.array([[1.0, 0, 0]]), np.array([[0.0, 1, 0]])),
            "501 small angles": (some, unit(some + 0.05 * others)),
            "501 random directions": (some, others),
            "turned inside out": (some, -some),
            "501 normals and themselves": (some, some),
        },
        hint="the dot product of unit vectors is the cosine of their angle. If yours is nan: "
        "rounding makes some dot products 1.0000000000000002, so cut them to [-1, 1] first",
        slips={
            "this is in radians": lambda a, b: np.radians(np.median(angles(a, b))),
            "this is the mean": lambda a, b: angles(a, b).mean(),
            "a surface that is turned inside out must be 180 degrees off": lambda a, b: np.median(
                np.minimum(angles(a, b), angles(a, -b))
            ),
        },
        rtol=1e-5,
        atol=1e-4,
    )


@dataclass(frozen=True)
class Balls:
    """A field whose surface is that of some balls, and where rays meet it, exactly.

    f(x) = scale min_i (|x - c_i| - r_i): a distance only if scale is 1.
    """

    balls: tuple[tuple[tuple[float, float, float], float], ...]
    scale: float = 1.0

    def __call__(self, points: Tensor) -> Tensor:
        """(P, 3) -> (P,)."""
        each = [(points - points.new_tensor(c)).norm(dim=-1) - r for c, r in self.balls]
        return self.scale * torch.stack(each).amin(0)

    def roots(self, origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Where rays enter and leave each ball, (balls, N) each; inf where they miss."""
        enter, leave = [], []
        for c, r in self.balls:
            to = origins - origins.new_tensor(c)
            half = (to * directions).sum(-1)
            inside = half**2 - (to**2).sum(-1) + r**2
            root = inside.clamp_min(0).sqrt()
            enter.append(torch.where(inside > 0, -half - root, torch.inf))
            leave.append(torch.where(inside > 0, -half + root, torch.inf))
        return torch.stack(enter), torch.stack(leave)


def ex0504(yours: Function) -> None:
    """First hits: (f, origins (N, 3), directions (N, 3), near, far) -> t (N,), inf for a miss."""

    def spec(f: Balls, o: Tensor, d: Tensor, *_: float) -> Tensor:
        return f.roots(o, d)[0].amin(0)

    def misses_near(f: Balls, o: Tensor, d: Tensor, near: float, _: float) -> Tensor:
        found = spec(f, o, d)
        return torch.where(found.isfinite(), found, near)

    def last(f: Balls, o: Tensor, d: Tensor, *_: float) -> Tensor:
        enter = f.roots(o, d)[0]
        return torch.where(enter.isfinite(), enter, -torch.inf).amax(0).abs()

    def leaves(f: Balls, o: Tensor, d: Tensor, *_: float) -> Tensor:
        enter, leave = f.roots(o, d)
        return leave.gather(0, enter.argmin(0, keepdim=True))[0]

    one, high = ((0.1, 0.0, 0.0), 0.5), ((0.0, 5.0, 0.0), 0.2)
    pair = (((0.0, 0.0, 0.4), 0.25), ((0.0, 0.0, -0.4), 0.3))
    check(
        "ex0504",
        yours,
        spec,
        {
            "rays at a ball": (Balls((one,)), *_fan(9, 0.15), 2.0, 4.0),
            "some of them miss": (Balls((one,)), *_fan(9, 0.4), 2.0, 4.0),
            "two balls, one behind the other": (Balls(pair), *_fan(16, 0.2), 2.0, 4.0),
            "a field that grows three times too fast": (
                Balls((one,), 3.0),
                *_fan(16, 0.3),
                2.0,
                4.0,
            ),
            "a field that grows too slowly": (Balls(pair, 0.3), *_fan(16, 0.3), 2.0, 4.0),
            "all of them miss": (Balls((high,)), *_fan(4, 0.1), 2.0, 4.0),
        },
        hint="look at f at some hundred places of each ray; the first place where f turns from "
        "positive to negative brackets the surface; halve the bracket a dozen times",
        slips={
            "a ray that meets nothing must give inf, not far": lambda *given: spec(
                *given
            ).clamp_max(given[-1]),
            "a ray that meets nothing must give inf; argmax of nothing is 0": misses_near,
            "this is where the ray leaves: look for a change from positive to negative": leaves,
            "this is the last surface on the ray; nearer ones hide it": last,
        },
        rtol=0.0,
        atol=1e-3,
    )


def _fan(count: int, width: float) -> tuple[Tensor, Tensor]:
    """Rays from (0, 0, 3) towards the origin, spread by about `width`; float32."""
    generator = torch.Generator().manual_seed(count)
    spread = (torch.rand(count, 3, generator=generator) - 0.5) * 2 * width
    directions = torch.tensor([0.0, 0.0, -1.0]) + spread * torch.tensor([1.0, 1.0, 0.0])
    origins = torch.tensor([0.0, 0.0, 3.0]).expand(count, 3).clone()
    return origins, directions / directions.norm(dim=-1, keepdim=True)
