"""Checks of lesson 1: rays, weights, depths, and where to ask."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import weights_from_alpha
from privhead_nb.kernels.error_bounded import inverse_cdf
from privhead_nb.scenes.camera import Cameras, look_at
from privhead_nb.teach.checks import Function, check
from privhead_nb.teach.lesson01 import contest
from privhead_nb.teach.lesson01.contest import BUDGET, EVEN, Course, Run
from privhead_nb.teach.lesson01.sampling import depth_and_spread

LADDER = (EVEN, 256, 512, 1024, 2048)  # even samples, for the last exercise's score


def ex0101(yours: Function) -> None:
    """Pixels to unit directions: (K, c2w, xy, pixel_center) -> (N, 3)."""

    def spec(K: Tensor, c2w: Tensor, xy: Tensor, pixel_center: float) -> Tensor:
        cameras = Cameras(K[None], c2w[None], 64, 48, pixel_center)
        return cameras.rays(torch.zeros(len(xy), dtype=torch.long), xy)[1]

    def no_length(K: Tensor, c2w: Tensor, xy: Tensor, pixel_center: float) -> Tensor:
        uv1 = torch.cat([xy + pixel_center, torch.ones_like(xy[:, :1])], 1)
        return uv1 @ torch.linalg.inv(K).T @ c2w[:3, :3].T

    xy = torch.tensor([[0.0, 0.0], [63.0, 10.0], [31.5, 23.5], [7.25, 40.0]], dtype=torch.float64)
    K = torch.tensor([[90.0, 0, 32], [0, 90, 24], [0, 0, 1]], dtype=torch.float64)
    odd = torch.tensor([[90.0, 0, 29], [0, 80, 26], [0, 0, 1]], dtype=torch.float64)
    still = torch.eye(4, dtype=torch.float64)
    aside = look_at(torch.tensor([[300.0, 120, 500]]), torch.zeros(3))[0]
    check(
        "ex0101",
        yours,
        spec,
        {
            "a camera whose axes are the scene's": (K, still, xy, 0.0),
            "a camera that looks from the side": (odd, aside, xy, 0.0),
            "centres of pixels at one half": (odd, aside, xy, 0.5),
        },
        hint="undo K: (x + pixel_center, y + pixel_center, 1) times its inverse is a direction in "
        "the camera's axes; c2w[:3, :3] turns it into the scene's; divide by its length",
        slips={
            "a direction must have length 1: divide by its norm": no_length,
            "K counts from where pixel_center says, xy from the first pixel's centre": (
                lambda K, c2w, xy, _: spec(K, c2w, xy, 0.0)
            ),
            "this is in the camera's axes; c2w turns it into the scene's": lambda K, _, xy, p: spec(
                K, still, xy, p
            ),
            "you turned it the other way: columns of c2w are the camera's axes": (
                lambda K, c2w, xy, p: spec(K, c2w.T, xy, p)
            ),
            "x comes first: it counts to the right, y downwards": lambda K, c2w, xy, p: spec(
                K, c2w, xy.flip(1), p
            ),
        },
    )


def ex0102(yours: Function) -> None:
    """Weights of eq. 1 from opacities: alpha (N, S) -> (N, S)."""

    random = torch.Generator().manual_seed(1)
    check(
        "ex0102",
        yours,
        weights_from_alpha,
        {
            "three samples": (torch.tensor([[0.5, 0.4, 0.2]], dtype=torch.float64),),
            "a wall, and fog behind it": (torch.tensor([[0.1, 1.0, 0.5]], dtype=torch.float64),),
            "5 rays of 20 samples": (
                torch.rand(5, 20, generator=random, dtype=torch.float64).square(),
            ),
        },
        hint="what gets to sample i has passed all samples before it, and not sample i itself: "
        "shift the running product by one and let it start with 1",
        slips={
            "your product contains the sample itself; T counts only what stands before": (
                lambda alpha: torch.cumprod(1 - alpha, 1) * alpha
            ),
            "this is alpha alone; multiply it by what gets that far": lambda alpha: alpha,
            "this is T, what gets through; the weight is T times alpha": lambda alpha: (
                weights_from_alpha(alpha) / alpha.clamp_min(1e-9)
            ),
            "the first sample is the nearest; you walk from the far end": lambda alpha: (
                weights_from_alpha(alpha.flip(1)).flip(1)
            ),
        },
    )


def ex0103(yours: Function) -> None:
    """Expected depth and its spread: weights, t (N, S) -> two tensors (N,)."""

    def not_divided(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        depth = (weights * t).sum(1)
        return depth, (weights * (t - depth[:, None]).square()).sum(1).sqrt()

    def variance(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        depth, spread = depth_and_spread(weights, t)
        return depth, spread.square()

    def unweighted(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        depth, _ = depth_and_spread(weights, t)
        return depth, (t - depth[:, None]).square().mean(1).sqrt()

    t = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=torch.float64)

    def rays(*rows: list[float]) -> tuple[Tensor, Tensor]:
        return torch.tensor(rows, dtype=torch.float64), t.expand(len(rows), 4)

    check(
        "ex0103",
        yours,
        depth_and_spread,
        {
            "a surface, and a veil before a wall": rays([0.0, 0.1, 0.8, 0.1], [0.5, 0.0, 0.0, 0.5]),
            "most of the light goes by": rays([0.0, 0.1, 0.1, 0.0], [0.3, 0.0, 0.0, 0.1]),
            "nothing is met": rays([0.0, 0.0, 0.0, 0.0]),
        },
        hint="divide by the sum of the weights, or by 1e-6 where it is smaller; the spread is the "
        "square root of the mean squared distance from the depth, by the same weights",
        slips={
            "weights need not sum to 1: divide by their sum": not_divided,
            "this is the variance; the spread is its square root": variance,
            "the spread is a mean by weight, too": unweighted,
        },
    )


def ex0104(yours: Function) -> None:
    """Samples by the inverse CDF: t (N, S + 1), weights (N, S), u (N, n) -> (N, n)."""

    def left_ends(t: Tensor, weights: Tensor, u: Tensor) -> Tensor:
        edges = torch.cumsum(weights + 1e-6, 1)
        return t.gather(1, torch.searchsorted(edges, u * edges[:, -1:], right=True))

    random = torch.Generator().manual_seed(4)
    ends = torch.tensor([[0.0, 1.0, 1.5, 4.0]], dtype=torch.float64)
    three = torch.tensor([[0.1, 0.3, 0.0]], dtype=torch.float64)
    u = torch.tensor([[0.05, 0.25, 0.5, 0.95]], dtype=torch.float64)
    many = torch.rand(6, 12, generator=random, dtype=torch.float64).pow(4)
    rising = torch.rand(6, 13, generator=random, dtype=torch.float64).cumsum(1)
    level = ((torch.arange(8, dtype=torch.float64) + 0.5) / 8).expand(6, 8).contiguous()
    check(
        "ex0104",
        yours,
        inverse_cdf,
        {
            "three sections, the last one empty": (ends, three, u),
            "6 rays of 12 sections": (rising, many, level),
            "nothing was met: all weights 0": (ends, torch.zeros_like(three), u),
        },
        hint="make the running sum with a 0 before it; torch.searchsorted says into which section "
        "u times the total falls; how far into it is a division of two differences",
        slips={
            "you found the section, and took its near end: go into it by the share that is left": (
                left_ends
            ),
            "a weight is the mass of its whole section: don't multiply by its length": (
                lambda t, weights, u: inverse_cdf(t, weights * torch.diff(t), u)
            ),
            "weights need not sum to 1: multiply u by their sum": lambda t, weights, u: inverse_cdf(
                t, weights, u / (weights + 1e-6).sum(1, keepdim=True)
            ),
        },
        rtol=1e-4,
        atol=1e-5,
    )


def ex0105(yours: Function) -> None:
    """48 questions a ray: (ask, near, far, beta) -> t, f (N, S); as good as 144 even samples."""
    reached = list(LADDER)

    def same(got: Any, wanted: Any) -> list[str] | None:
        if isinstance(wanted, Run):  # of a slip
            alike = got.t.shape == wanted.t.shape and torch.allclose(got.t, wanted.t, atol=1e-4)
            return None if alike else ["other samples"]
        wrong = _foul(got, wanted)
        if wrong:
            return wrong
        off, bar = wanted.off(got.t), wanted.even(EVEN)
        if off > bar:
            return [
                f"the depth is off by {off:.4f} in the mean",
                f"{EVEN} even samples are off by {bar:.4f}, and that is the bar",
            ]
        reached[:] = [n for n in reached if off <= wanted.even(n)]
        return None

    check(
        "ex0105",
        yours,
        lambda course: course,
        {name: (course,) for name, course in contest.courses().items()},
        hint="spend half of the questions evenly, look where f changes its sign, and spend the "
        "other half there; the surface lies before the first sample that is inside",
        slips={
            "the first sample inside has the weight, but the wall stands before it: look at the "
            "sections beside, too": lambda course: course.placed("by weight"),
            "these are even samples: use what the first questions tell": lambda course: (
                course.placed("even")
            ),
        },
        call=contest.run,
        same=same,
    )
    print(f"  {BUDGET} questions, as good as {max(reached)} even samples; the ladder: {LADDER}")


def _foul(got: Run, course: Course) -> list[str] | None:
    """What is against the rules of the last exercise, in words."""
    rays = len(course.near)
    if got.t.shape != got.f.shape or got.t.ndim != 2 or len(got.t) != rays:
        shapes = f"{tuple(got.t.shape)} and {tuple(got.f.shape)}"
        return [f"t and f must both be ({rays}, S), yours are {shapes}"]
    if got.asked > BUDGET:
        return [f"you asked each ray {got.asked} times; {BUDGET} are allowed"]
    if bool((got.t.diff() < 0).any()):
        return ["t must rise along each ray: sort it, and f with it"]
    inside = (got.t >= course.near[:, None] - 1e-6) & (got.t <= course.far[:, None] + 1e-6)
    if not bool(inside.all()):
        return ["a sample lies before near or behind far"]
    if not torch.allclose(got.f.double(), course.sdf(got.t).double(), atol=1e-5):
        return ["f must hold what ask(t) says, in the same order as t"]
    return None
