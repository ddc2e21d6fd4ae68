"""Checks of lesson 05: beta's schedule, a batch of patches, two distances, and first hits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from privhead_nb.teach.checks import Array, Function, Slip, check
from privhead_nb.training.run import BETA_SHARE


def ex0501(yours: Function) -> None:
    """Beta at a step: (step, steps, first, last) -> number."""
    cases = {
        "the first step": (0, 300, 0.03, 0.003),
        "half way": (150, 300, 0.03, 0.003),
        "the last step": (299, 300, 0.03, 0.003),
        "a step of stage 2": (700, 1900, 0.012, 0.0015),
        "a beta that does not change": (7, 20, 0.01, 0.01),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "beta falls by the same factor each step, not by the same amount":
            ("first * (last / first) ** share", "first + (last - first) * share"),
        "beta has arrived after 0.8 of the stage, and then stays": (" / BETA_SHARE", ""),
        "the last step is steps - 1: a stage of 300 is over at step 299": ("(steps - 1)", "steps"),
        "it runs the wrong way: from last to first": lambda step, steps, first, last: (
            _beta(step, steps, last, first)
        ),
    }  # fmt: skip
    check("ex0501", yours, _beta, cases, slips=slips, rtol=1e-6, atol=1e-12)


def _beta(step: int, steps: int, first: float, last: float) -> float:
    share = min(step / (steps - 1) / BETA_SHARE, 1.0)
    return float(first * (last / first) ** share)


def ex0502(yours: Function) -> None:
    """A batch of patches: (moduli (V, H, W), corners (P, 3), side) -> pixels, target."""
    moduli = torch.rand(4, 9, 12, generator=torch.Generator().manual_seed(2))
    four = torch.tensor([[1, 2, 3], [3, 4, 7], [0, 0, 0], [3, 3, 2]])
    cases = {
        "one patch in the first view's corner": (moduli, torch.tensor([[0, 0, 0]]), 3),
        "one patch further down": (moduli, torch.tensor([[0, 4, 0]]), 4),
        "one patch of the third view": (moduli, torch.tensor([[2, 1, 5]]), 4),
        "four patches": (moduli, four, 5),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "the target begins one pixel in: Sobel needs a neighbour on each side":
            ("1:-1, 1:-1", ":-2, :-2"),
        "the patch lies on its side: rows come before columns": lambda *given: tuple(
            part.transpose(1, 2) for part in _patches(*given)
        ),
        "the view is missing: pixels of all views are counted through": ("view * height + ", ""),
        "a row further down is a whole width further on, not a height": ("* width", "* height"),
    }  # fmt: skip
    check("ex0502", yours, _patches, cases, slips=slips, rtol=0.0)


def ex0503(yours: Function) -> None:
    """Two-way mean distance of samples: (N, 3), (M, 3) -> number."""

    def ways(a: Array, b: Array) -> tuple[Array, Array]:
        return cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]

    def spec(a: Array, b: Array) -> float:
        forth, back = ways(a, b)
        return float((forth.mean() + back.mean()) / 2)

    rng = np.random.default_rng(5)
    near, far = rng.normal(size=(400, 3)), rng.normal(size=(300, 3)) * 2 + (0.5, 0.0, 0.0)
    cases = {
        "one point each": (np.zeros((1, 3)), np.array([[3.0, 4.0, 0.0]])),
        "one point and two": (np.zeros((1, 3)), np.array([[1.0, 0, 0], [9.0, 0, 0]])),
        "400 points and 300": (near, far),
        "the same two, swapped": (far, near),
        "300 points and themselves": (far, far),
    }
    slips: dict[str, Slip] = {
        "this is one way only: from a to b": lambda a, b: ways(a, b)[0].mean(),
        "this is the sum of the two means; take their mean": lambda a, b: 2 * spec(a, b),
        "these distances are squared": lambda a, b: sum(np.mean(way**2) for way in ways(a, b)) / 2,
        "this is one mean over all points; the larger set would count more": lambda a, b: (
            np.concatenate(ways(a, b)).mean()
        ),
    }
    check("ex0503", yours, spec, cases, slips=slips)


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


def first_hit_cases() -> dict[str, tuple[Balls, Tensor, Tensor, float, float]]:
    """Fields and rays for exercise 0504; no ray stays in a ball for less than a tenth."""
    one, high = Balls((((0.1, 0.0, 0.0), 0.5),)), Balls((((0.0, 5.0, 0.0), 0.2),))
    pair = Balls((((0.0, 0.0, 0.4), 0.25), ((0.0, 0.0, -0.4), 0.3)))
    fast, slow = replace(one, scale=3.0), replace(pair, scale=0.3)
    at = 0.09 * (torch.cartesian_prod(torch.arange(7), torch.arange(7)) - 3)
    origins, directions = _rays(torch.cat([at, at[:, :1] * 0], dim=1))
    # A thin ball on each ray, at depths that no even sampling coarser than a tenth meets.
    depths = 2.2 + 1.6 * torch.arange(len(origins)).mul(0.618034).frac()
    centres = (origins + depths[:, None] * directions).tolist()
    thin = Balls(tuple(((x, y, z), 0.053) for x, y, z in centres))
    return {
        "rays at a ball": (one, *_fan(9, 0.15), 2.0, 4.0),
        "some of them miss": (one, *_clear(one, 20, 0.3), 2.0, 4.0),
        "two balls, one behind the other": (pair, *_clear(pair, 24, 0.15), 2.0, 4.0),
        "a field that grows three times too fast": (fast, *_clear(one, 24, 0.3), 2.0, 4.0),
        "a field that grows too slowly": (slow, *_clear(pair, 24, 0.15), 2.0, 4.0),
        "all of them miss": (high, *_fan(4, 0.1), 2.0, 4.0),
        "balls no thicker than a tenth": (thin, origins, directions, 2.0, 4.0),
        "rays that begin inside a ball": (pair, *_fan(9, 0.03), 2.6, 4.0),
        "a surface behind the end": (pair, *_fan(9, 0.03), 2.0, 2.2),
    }


def _patches(moduli: Tensor, corners: Tensor, side: int) -> tuple[Tensor, Tensor]:
    _, height, width = moduli.shape
    view, row, column = corners.T[..., None, None]
    steps = torch.arange(side)
    pixels = (view * height + row + steps[:, None]) * width + column + steps
    return pixels, moduli.reshape(-1)[pixels[:, 1:-1, 1:-1]]


def ex0504(yours: Function) -> None:
    """First hits: (f, origins (N, 3), directions (N, 3), near, far) -> t (N,), inf for a miss."""

    def spec(f: Balls, o: Tensor, d: Tensor, near: float, far: float) -> Tensor:
        enter = f.roots(o, d)[0]
        return torch.where((enter >= near) & (enter <= far), enter, torch.inf).amin(0)

    def leaves(f: Balls, o: Tensor, d: Tensor, *_: float) -> Tensor:
        enter, leave = f.roots(o, d)
        return leave.gather(0, enter.argmin(0, keepdim=True))[0]

    def passed_by(*given: Any) -> Any:
        """What yours gives, if it is right where it is finite."""
        found, wanted = yours(*given), spec(*given)
        fits = isinstance(found, Tensor) and found.shape == wanted.shape
        right = wanted.where(found.isfinite(), found) if fits else wanted
        return found if fits and torch.allclose(found, right, rtol=0, atol=1e-3) else wanted

    def inside_at_once(f: Balls, o: Tensor, d: Tensor, near: float, far: float) -> Tensor:
        return torch.where(f(o + near * d) <= 0, near, spec(f, o, d, near, far))

    slips: dict[str, Slip] = {
        "a ray that meets nothing must give inf, not far": lambda *given: spec(*given).nan_to_num(
            posinf=given[-1]
        ),
        "this is where the ray leaves: look for a change from positive to negative": leaves,
        "a ray that begins inside has not entered yet": inside_at_once,
        "some surfaces were passed by: a tenth slips between two of your samples": passed_by,
    }
    check("ex0504", yours, spec, first_hit_cases(), slips=slips, rtol=0.0, atol=1e-3)


def _fan(count: int, width: float) -> tuple[Tensor, Tensor]:
    """Rays from (0, 0, 3) towards the origin, spread by about `width`; float32."""
    generator = torch.Generator().manual_seed(count)
    spread = (torch.rand(count, 3, generator=generator) - 0.5) * 2 * width
    return _rays(spread * torch.tensor([1.0, 1.0, 0.0]))


def _clear(f: Balls, count: int, width: float) -> tuple[Tensor, Tensor]:
    """Such rays, but for those that cut a corner of less than a tenth off a ball."""
    origins, directions = _fan(count, width)
    enter, leave = f.roots(origins, directions)
    clear = ~(leave - enter < 0.1).any(0)
    return origins[clear], directions[clear]


def _rays(spread: Tensor) -> tuple[Tensor, Tensor]:
    directions = torch.tensor([0.0, 0.0, -1.0]) + spread
    origins = torch.tensor([0.0, 0.0, 3.0]).expand(len(spread), 3).clone()
    return origins, directions / directions.norm(dim=-1, keepdim=True)


def ex0505(yours: Function) -> None:
    """Median angle between unit normals in degrees: (N, 3), (N, 3) -> number."""

    def angles(a: Array, b: Array) -> Array:
        return np.asarray(np.degrees(np.arccos(np.clip((a * b).sum(axis=1), -1, 1))))

    def unit(vectors: Array) -> Array:
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    rng = np.random.default_rng(3)
    some, others = unit(rng.normal(size=(501, 3))), unit(rng.normal(size=(501, 3)))
    cases = {
        "a right angle": (np.array([[1.0, 0, 0]]), np.array([[0.0, 1, 0]])),
        "501 small angles": (some, unit(some + 0.05 * others)),
        "501 random directions": (some, others),
        "turned inside out": (some, -some),
        "501 normals and themselves": (some, some),
    }
    slips: dict[str, Slip] = {
        "this is in radians": lambda a, b: np.radians(np.median(angles(a, b))),
        "this is the mean": lambda a, b: angles(a, b).mean(),
        "a surface that is turned inside out must be 180 degrees off": lambda a, b: np.median(
            np.minimum(angles(a, b), angles(a, -b))
        ),
        "rounding made a dot product larger than 1, and the arc cosine of that is nan": (
            lambda a, b: np.degrees(np.median(np.arccos((a * b).sum(axis=1))))
        ),
    }
    check(
        "ex0505",
        yours,
        lambda a, b: np.median(angles(a, b)),
        cases,
        slips=slips,
        rtol=1e-5,
        atol=1e-4,
    )
