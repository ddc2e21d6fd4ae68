"""Checks of lesson 1: rays, samples, weights, depths, importance sampling, a renderer.

Exercises 0105 and 0106 use what the ones before define. Their checks lend the function the
package's pieces under those names, so that they judge it alone.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.scenes.camera import Cameras, look_at
from privhead_nb.teach.checks import Function, Slip, check
from privhead_nb.teach.lesson01 import pieces
from privhead_nb.teach.lesson01.pieces import (
    depth_and_spread,
    even_samples,
    fine_samples,
    render_rays,
    weights_of,
)


def ex0101(yours: Function) -> None:
    """Pixels to rays: (camera, xy (R, 2)) -> origins, directions (R, 3)."""
    xy = torch.tensor([[0.0, 0.0], [63.0, 10.0], [31.5, 23.5], [7.25, 40.0]])
    K = torch.tensor([[[90.0, 0, 32], [0, 90, 24], [0, 0, 1]]], dtype=torch.float64)
    odd = torch.tensor([[[90.0, 0, 29], [0, 80, 26], [0, 0, 1]]], dtype=torch.float64)
    ahead = torch.eye(4, dtype=torch.float64)[None]
    aside = look_at(torch.tensor([[300.0, 120, 500]]), torch.zeros(3))
    cases = {
        "a camera whose axes are the scene's": (Cameras(K, ahead, 64, 48, 0.0), xy),
        "a camera that looks from the side": (Cameras(odd, aside, 64, 48, 0.0), xy),
        "centres of pixels at one half": (Cameras(odd, aside, 64, 48, 0.5), xy),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "a direction must have length 1: divide by its norm": ("F.normalize(d, dim=1)", "d"),
        "K counts from where pixel_center says, xy from the first pixel's centre":
            (" + camera.pixel_center", ""),
        "this is in the camera's axes; c2w turns it into the scene's": (" @ c2w[:3, :3].T", ""),
        "you turned it the other way: columns of c2w are the camera's axes":
            ("c2w[:3, :3].T", "c2w[:3, :3]"),
        "x comes first: it counts to the right, y downwards":
            ("xy.double()", "xy.double().flip(1)"),
    }  # fmt: skip
    check("ex0101", yours, _rays, cases, slips=slips)


class _Seed(int):
    """An argument that becomes a generator of its own in each call."""


def _seeded(function: Function, *arguments: Any) -> Any:
    draw = torch.Generator()
    return function(*(draw.manual_seed(a) if isinstance(a, _Seed) else a for a in arguments))


def _rays(camera: Cameras, xy: Tensor) -> tuple[Tensor, Tensor]:
    back, c2w = torch.linalg.inv(camera.K[0]), camera.c2w[0]
    pixels = F.pad(xy.double() + camera.pixel_center, (0, 1), value=1.0)
    d = pixels @ back.T @ c2w[:3, :3].T
    return c2w[:3, 3].expand(d.shape).float(), F.normalize(d, dim=1).float()


def ex0102(yours: Function) -> None:
    """Even or jittered samples: (near, far, rays, count, generator=None) -> (R, count)."""
    ends = torch.tensor([[0.5], [1.0]]), torch.tensor([[2.5], [2.0]])
    cases = {
        "three rays of four samples, no generator": (0.0, 2.0, 3, 4),
        "near and far of each ray, (2, 1)": (*ends, 2, 5),
        "a generator of seed 7": (1.0, 3.0, 6, 8, _Seed(7)),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "a sample stands in the middle of its section, not at its near end":
            lambda near, far, rays, n, *_:
                even_samples(near, far, rays, n) - (far - near) / n / 2,
        "far is where the last section ends, not how long the way is":
            lambda near, far, *rest: even_samples(near, near + far, *rest),
        "with a generator a sample is anywhere in its section, not in the middle":
            lambda near, far, rays, n, *_: even_samples(near, far, rays, n),
        "all rays have the same jitter: draw (rays, count) numbers":
            lambda near, far, rays, n, *g: (
                near + (far - near) * even_samples(0.0, 1.0, 1, n, *g)
            ).expand(rays, n),
    }  # fmt: skip
    check("ex0102", yours, even_samples, cases, slips=slips, call=_seeded)


def ex0103(yours: Function) -> None:
    """Weights of eq. 1: density, delta (R, N) -> (R, N)."""

    def alpha(density: Tensor, delta: Tensor) -> Tensor:
        return -torch.expm1(-density * delta)

    def arrives(density: Tensor, delta: Tensor) -> Tensor:
        tau = density * delta
        return torch.exp(tau - torch.cumsum(tau, 1))

    def rows(*values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    random = torch.Generator().manual_seed(1)
    some, lengths = torch.rand(2, 5, 20, generator=random, dtype=torch.float64)
    cases = {
        "two rays of three samples": (rows([0.7, 0.5, 0.2], [0.3, 0.9, 0.4]), torch.ones(2, 3)),
        "a wall, more behind it": (rows([0.1, 900.0, 3.0]), rows([0.5, 2.0, 1.0])),
        "5 rays of 20 samples": (6 * some.square(), lengths),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "T contains the sample itself; it counts only what stands before":
            lambda s, d: arrives(s, d) * torch.exp(-s * d) * alpha(s, d),
        "this is alpha alone; multiply it by what gets that far": alpha,
        "this is T, what gets that far; the weight is T times alpha": arrives,
        "the lengths delta do not count: sigma times delta is what a section stops":
            lambda s, d: weights_of(s, torch.ones_like(d)),
    }  # fmt: skip
    check("ex0103", yours, weights_of, cases, slips=slips)


def ex0104(yours: Function) -> None:
    """Expected depth and its spread: weights, t (R, N) -> two tensors (R,)."""

    def heaviest(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        depth = t.take_along_dim(weights.argmax(1, keepdim=True), 1)[:, 0]
        return depth, depth_and_spread(weights, t)[1]

    def rays(*rows: list[float]) -> tuple[Tensor, Tensor]:
        t = torch.arange(1, 5, dtype=torch.float64)
        return torch.tensor(rows, dtype=torch.float64), t.expand(len(rows), 4)

    cases = {
        "a surface, and a veil before a wall": rays([0.0, 0.1, 0.8, 0.1], [0.5, 0.0, 0.0, 0.5]),
        "most of the light goes by": rays([0.0, 0.1, 0.1, 0.0], [0.3, 0.0, 0.0, 0.1]),
        "nothing is met": rays([0.0, 0.0, 0.0, 0.0]),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "weights need not sum to 1: divide by their sum":
            ("weights.sum(-1).clamp_min(LEAST_OPACITY)", "1"),
        "this is the variance; the spread is its square root": (".sqrt()", ""),
        "this is the heaviest sample's depth; the expected depth is a mean": heaviest,
        "depth first, then spread": lambda *given: depth_and_spread(*given)[::-1],
    }  # fmt: skip
    check("ex0104", yours, depth_and_spread, cases, slips=slips)


def _lent(yours: Function) -> Function:
    """The function, with the package's pieces under the names of the learner's."""

    def call(*arguments: Any) -> Any:
        names = getattr(yours, "__globals__", {})
        with mock.patch.dict(names, pieces.PIECES):
            return yours(*arguments)

    return call


def ex0105(yours: Function) -> None:
    """NeRF's second pass: (t, weights (R, N), count) -> (R, count)."""
    random = torch.Generator().manual_seed(4)
    t = torch.tensor([[0.0, 1.0, 1.5, 2.5, 4.0]], dtype=torch.float64)
    five = torch.tensor([[0.3, 0.1, 0.3, 0.0, 0.2]], dtype=torch.float64)
    rising, many = torch.rand(2, 6, 13, generator=random, dtype=torch.float64)
    cases = {
        "five samples, one of them weightless": (t, five, 4),
        "6 rays of 13 samples": (rising.cumsum(1), many.pow(4), 8),
        "nothing was met: all weights 0": (t, torch.zeros_like(five), 4),
        "a generator of seed 7": (rising.cumsum(1), many.pow(4), 8, _Seed(7)),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "bins from t_i to t_i+1 lie behind their sample; NeRF's go from midpoint to midpoint":
            ("(t[:, 1:] + t[:, :-1]) / 2, weights[:, 1:-1]", "t, weights[:, :-1]"),
        "a bin's weight is that of the sample inside: leave out the first weight, too":
            ("weights[:, 1:-1]", "weights[:, :-2]"),
        "masses need not sum to 1: multiply u by their sum":
            ("u.double()", "u.double() / mass.sum(1, keepdim=True)"),
        "the generator is not used: hand it to even_samples": ("count, generator)", "count)"),
        "this holds the old samples, too: return the count new ones":
            lambda t, w, n, *_: torch.cat([t, fine_samples(t, w, n)], 1).sort(1).values,
    }  # fmt: skip
    check(
        "ex0105", _lent(yours), fine_samples, cases, slips=slips, call=_seeded, rtol=1e-4, atol=1e-5
    )


def _clouds(height: float, width: float, *places: tuple[float, float, float]) -> Any:
    """A field of Gaussian clouds of one height and width at places."""
    middles = torch.tensor(places, dtype=torch.float64)

    def density(points: Tensor) -> Tensor:
        away = (points[:, None] - middles).norm(dim=2) / width
        return height * torch.exp(-0.5 * away.square()).sum(1)

    def colour(points: Tensor, directions: Tensor) -> Tensor:
        return torch.sigmoid(2 * points + directions.flip(1))

    return SimpleNamespace(density=density, colour=colour)


def ex0106(yours: Function) -> None:
    """A two-pass renderer: see `pieces.render_rays`."""

    def without_background(*given: Any) -> pieces.Picture:
        return render_rays(*(*given[:-1], 0 * given[-1]))

    def undivided_depth(*given: Any) -> pieces.Picture:
        colour, opacity, depth = render_rays(*given)
        return colour, opacity, depth * opacity

    aims = [[0.0, 0.0, -3.0], [0.2, 0.1, -3.0], [-0.3, 0.2, -3.0], [0.9, 0.9, -3.0]]
    directions = F.normalize(torch.tensor(aims, dtype=torch.float64), dim=1)
    origins = torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64).expand(4, 3)
    near = torch.tensor([[2.0], [2.1], [1.9], [2.0]], dtype=torch.float64)
    rays = origins, directions, near, near + 2
    grey = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    veils = _clouds(6.0, 0.12, (0.0, 0.0, 0.5), (0.1, 0.1, -0.3), (-0.2, 0.1, -0.9))
    ball, nothing = _clouds(60.0, 0.15, (0.0, 0.0, 0.0)), _clouds(0.0, 1.0, (0.0, 0.0, 0.0))
    cases = {
        "clouds that let some light through": (veils, *rays, (16, 12), grey),
        "a thick cloud, which two rays miss": (ball, *rays, (12, 16), grey),
        "nothing at all": (nothing, *rays, (6, 6), grey),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "the light that is left, 1 - opacity, comes from the background": without_background,
        "sort the samples of both passes together before you weigh them": (".sort(1).values", ""),
        "these are the first samples alone: ask a second time where they found weight":
            ("counts), 1)", "counts)[:1], 1)"),
        "the depth is a mean: divide by the opacity": undivided_depth,
    }  # fmt: skip
    check("ex0106", _lent(yours), render_rays, cases, slips=slips, rtol=1e-4, atol=1e-5)
