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
from privhead_nb.teach.checks import Function, check
from privhead_nb.teach.lesson01 import pieces
from privhead_nb.teach.lesson01.pieces import (
    depth_and_spread,
    even_samples,
    fine_samples,
    pixel_rays,
    render_rays,
    weights_of,
)

HINTS = {
    # exercise: a question, and the idea
    "0101": (
        "which point in front of the lens, one unit away in the camera's own axes, does K draw at "
        "(u, v)?",
        "walk backwards: from the pixel to K's own counting, through K's inverse into the camera's "
        "axes, through the pose's rotation into the scene's; what is left is a length",
    ),
    "0102": (
        "if [near, far] is cut into count equal sections, where does section i begin, and which "
        "share of it lies before its sample?",
        "work in sections first: number i plus a share between 0 and 1, which is one half, or a "
        "random number of its own for each ray and section; stretch that to [near, far] at the end",
    ),
    "0103": (
        "what has the light that reaches sample i passed: sample i itself, too?",
        "a section's sigma times delta is all you need of it. Sum these up along the ray, shift "
        "the sums by one place so that the first sample gets 0, and turn sums into what arrives",
    ),
    "0104": (
        "if half of the light leaves the ray, what do the weights sum to, and what is the mean of "
        "the depths that were met?",
        "both are means by weight, so both divide by what the weights sum to; the spread is the "
        "root of such a mean, of a squared distance from the depth you just found",
    ),
    "0105": (
        "between which two depths does the weight of sample i count, and for which samples do "
        "both of these depths exist?",
        "bins are bounded by midpoints, so the first and the last sample have none. Pile the "
        "masses up, find for each height the first pile above it, and go into that bin by the "
        "share of its mass that is still missing",
    ),
    "0106": (
        "after the second pass a ray has samples of two kinds: what must be true of them before "
        "lengths and weights mean anything?",
        "the first pass only says where to look: its weights are thrown away. Put all samples in "
        "order, ask again, weigh again, and let the background have the light that is left",
    ),
}


def ex0101(yours: Function) -> None:
    """Pixels to rays: (camera, xy (R, 2)) -> origins, directions (R, 3)."""

    def slip(change: Function) -> Function:
        """Rays of what change(inverse of K, rotation, u and v, pixel_center) returns."""

        def made(camera: Cameras, xy: Tensor) -> tuple[Tensor, Tensor]:
            back, turn = torch.linalg.inv(camera.K[0]), camera.c2w[0, :3, :3]
            uv, centre = xy.double() + camera.pixel_center, camera.pixel_center
            back, turn, uv = change(back, turn, uv, centre)
            directions = F.pad(uv, (0, 1), value=1.0) @ back.T @ turn.T
            return pixel_rays(camera, xy)[0], F.normalize(directions, dim=1).float()

        return made

    def other(change: Function) -> Function:
        """Rays of what change(origins, directions one unit deep, pose) returns."""

        def made(camera: Cameras, xy: Tensor) -> Any:
            origins, directions = pixel_rays(camera, xy)
            deep = directions / (directions @ camera.forward[0].float())[:, None]
            return change(origins, deep, camera.c2w[0].float())

        return made

    xy = torch.tensor([[0.0, 0.0], [63.0, 10.0], [31.5, 23.5], [7.25, 40.0]])
    K = torch.tensor([[[90.0, 0, 32], [0, 90, 24], [0, 0, 1]]], dtype=torch.float64)
    odd = torch.tensor([[[90.0, 0, 29], [0, 80, 26], [0, 0, 1]]], dtype=torch.float64)
    ahead = torch.eye(4, dtype=torch.float64)[None]
    aside = look_at(torch.tensor([[300.0, 120, 500]]), torch.zeros(3))
    check(
        "ex0101",
        yours,
        pixel_rays,
        {
            "a camera whose axes are the scene's": (Cameras(K, ahead, 64, 48, 0.0), xy),
            "a camera that looks from the side": (Cameras(odd, aside, 64, 48, 0.0), xy),
            "centres of pixels at one half": (Cameras(odd, aside, 64, 48, 0.5), xy),
        },
        slips={
            "a direction must have length 1: divide by its norm": other(lambda o, d, _: (o, d)),
            "each ray has a length of its own, not all of them one: dim=1":
                other(lambda o, d, _: (o, d / d.norm())),
            "a direction is turned, not moved: the camera's place is the origin's":
                other(lambda o, d, _: (o, F.normalize(d + o, dim=1))),
            "c2w's last column is the camera's place already":
                other(lambda o, d, pose: (-o @ pose[:3, :3], F.normalize(d, dim=1))),
            "origins first, then directions": other(lambda o, d, _: (F.normalize(d, dim=1), o)),
            "pixels are rows here, so K's inverse stands behind them transposed":
                slip(lambda K, R, uv, _: (K.T, R, uv)),
            "K's inverse takes the principal point off, too; yours only divides by f":
                slip(lambda K, R, uv, _: (torch.diag(K.diag()), R, uv)),
            "y points down, as K has it: do not turn it up":
                slip(lambda K, R, uv, _: (K, R * R.new_tensor([1.0, -1.0, 1.0]), uv)),
            "z points forward, as K has it: do not turn it back":
                slip(lambda K, R, uv, _: (K, R * R.new_tensor([1.0, 1.0, -1.0]), uv)),
            "K counts from where pixel_center says, xy from the first pixel's centre":
                slip(lambda K, R, uv, centre: (K, R, uv - centre)),
            "pixel_center is added, not subtracted":
                slip(lambda K, R, uv, centre: (K, R, uv - 2 * centre)),
            "this is in the camera's axes; c2w turns it into the scene's":
                slip(lambda K, R, uv, _: (K, torch.eye(len(R)).to(R), uv)),
            "you turned it the other way: columns of c2w are the camera's axes":
                slip(lambda K, R, uv, _: (K, R.T, uv)),
            "x comes first: it counts to the right, y downwards":
                slip(lambda K, R, uv, _: (K, R, uv.flip(1))),
            "this applies K; a pixel becomes a direction by its inverse":
                slip(lambda K, R, uv, _: (torch.linalg.inv(K), R, uv)),
            "y points down and z forward, as K has them: flip no axis":
                slip(lambda K, R, uv, _: (K, R * R.new_tensor([1.0, -1.0, -1.0]), uv)),
            "every ray needs its origin: (R, 3), the camera's place in each row":
                lambda camera, xy: (camera.centers[0], pixel_rays(camera, xy)[1]),
        },
    )  # fmt: skip


class _Seed(int):
    """An argument that becomes a generator of its own in each call."""


def _seeded(function: Function, *arguments: Any) -> Any:
    draw = torch.Generator()
    return function(*(draw.manual_seed(a) if isinstance(a, _Seed) else a for a in arguments))


def ex0102(yours: Function) -> None:
    """Even or jittered samples: (near, far, rays, count, generator=None) -> (R, count)."""

    def slip(share: Function) -> Function:
        """Samples at another share(generator, rays, count) of their section."""

        def made(
            near: Any, far: Any, rays: int, count: int, draw: torch.Generator | None = None
        ) -> Tensor:
            t = (torch.arange(count) + share(draw, rays, count)) / count
            return near + (far - near) * t.expand(rays, count)

        return lambda *arguments: _seeded(made, *arguments)

    def jitter(shape: Function) -> Function:
        """A slip that draws numbers of another shape(rays, count)."""
        return slip(lambda g, *size: 0.5 if g is None else torch.rand(*shape(*size), generator=g))

    def anywhere(near: Any, far: Any, rays: int, count: int, *draw: torch.Generator) -> Tensor:
        if not draw:
            return even_samples(near, far, rays, count)
        shares = torch.rand(rays, count, generator=draw[0])
        return near + (far - near) * shares.sort(1).values

    ends = torch.tensor([[0.5], [1.0]]), torch.tensor([[2.5], [2.0]])
    check(
        "ex0102",
        yours,
        lambda *arguments: _seeded(even_samples, *arguments),
        {
            "three rays of four samples, no generator": (0.0, 2.0, 3, 4),
            "near and far of each ray, (2, 1)": (*ends, 2, 5),
            "a generator of seed 7": (1.0, 3.0, 6, 8, _Seed(7)),
        },
        slips={
            "a sample stands in the middle of its section, not at its near end":
                slip(lambda *_: 0.0),
            "a sample stands in the middle of its section, not at its far end":
                slip(lambda *_: 1.0),
            "the first and last sample stand half a section inside, not at near and far":
                slip(lambda *size: torch.arange(size[2]) / max(size[2] - 1, 1)),
            "far is where the last section ends, not how long the way is":
                lambda near, far, *n: _seeded(even_samples, near, near + far, *n),
            "the first section begins at near, not at 0":
                lambda near, far, *rest: _seeded(even_samples, 0.0 * near, far, *rest),
            "with a generator a sample is anywhere in its section, not in the middle":
                slip(lambda *_: 0.5),
            "all rays have the same jitter: draw (rays, count) numbers":
                jitter(lambda *size: (1, size[1])),
            "a ray's samples are all shifted alike: draw (rays, count) numbers":
                jitter(lambda *size: (size[0], 1)),
            "these are thrown over the whole way: draw one in each section":
                lambda *arguments: _seeded(anywhere, *arguments),
            "a random number is the share of the section itself: add no half to it":
                slip(lambda g, *size: 0.5 + (0.0 if g is None else torch.rand(*size, generator=g))),
            "the jitter goes from 0 to 1 section, not from - 1/2 to 1/2":
                slip(lambda g, *size: 0.5 if g is None else torch.rand(*size, generator=g) - 0.5),
        },
        call=_seeded,
    )  # fmt: skip


def ex0103(yours: Function) -> None:
    """Weights of eq. 1: density, delta (R, N) -> (R, N)."""

    def alpha(density: Tensor, delta: Tensor) -> Tensor:
        return -torch.expm1(-density * delta)

    def arrives(density: Tensor, delta: Tensor, along: int = 1) -> Tensor:
        tau = density * delta
        return torch.exp(tau - torch.cumsum(tau, along))

    def rows(*values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    random = torch.Generator().manual_seed(1)
    some, lengths = torch.rand(2, 5, 20, generator=random, dtype=torch.float64)
    check(
        "ex0103",
        yours,
        weights_of,
        {
            "two rays of three samples": (rows([0.7, 0.5, 0.2], [0.3, 0.9, 0.4]), torch.ones(2, 3)),
            "a wall, more behind it": (rows([0.1, 900.0, 3.0]), rows([0.5, 2.0, 1.0])),
            "5 rays of 20 samples": (6 * some.square(), lengths),
        },
        slips={
            "T contains the sample itself; it counts only what stands before":
                lambda s, d: arrives(s, d) * torch.exp(-s * d) * alpha(s, d),
            "this is alpha alone; multiply it by what gets that far": alpha,
            "this is T, what gets that far; the weight is T times alpha": arrives,
            "the first sample is the nearest; you walk from the far end":
                lambda s, d: weights_of(s.flip(1), d.flip(1)).flip(1),
            "the lengths delta do not count: sigma times delta is what a section stops":
                lambda s, d: weights_of(s, torch.ones_like(d)),
            "T sums sigma alone; each section stops sigma times delta":
                lambda s, d: arrives(s, torch.ones_like(d)) * alpha(s, d),
            "all light reaches the first sample: T is 1 there, not what the last one leaves":
                lambda s, d: torch.exp(-torch.cumsum(s * d, 1)).roll(1, 1) * alpha(s, d),
            "alpha is 1 - exp(-sigma delta), not sigma delta": lambda s, d: arrives(s, d) * s * d,
            "alpha is what the section stops; exp(-sigma delta) is what it lets through":
                lambda s, d: arrives(s, d) * torch.exp(-s * d),
            "T is a product over the samples before, not over all rays: dim=1":
                lambda s, d: arrives(s, d, along=0) * alpha(s, d),
            "weights need not sum to 1: what is left is the light that leaves":
                lambda s, d: F.normalize(weights_of(s, d), p=1),
        },
    )  # fmt: skip


def ex0104(yours: Function) -> None:
    """Expected depth and its spread: weights, t (R, N) -> two tensors (R,)."""

    def slip(change: Function) -> Function:
        """The right depth beside another spread: change(weights, t - depth, spread)."""

        def made(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            depth, spread = depth_and_spread(weights, t)
            return depth, change(weights, t - depth[:, None], spread)

        return made

    def not_divided(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        depth = (weights * t).sum(1)
        return depth, (weights * (t - depth[:, None]).square()).sum(1).sqrt()

    def rays(*rows: list[float]) -> tuple[Tensor, Tensor]:
        t = torch.arange(1, 5, dtype=torch.float64)
        return torch.tensor(rows, dtype=torch.float64), t.expand(len(rows), 4)

    check(
        "ex0104",
        yours,
        depth_and_spread,
        {
            "a surface, and a veil before a wall": rays([0.0, 0.1, 0.8, 0.1], [0.5, 0.0, 0.0, 0.5]),
            "most of the light goes by": rays([0.0, 0.1, 0.1, 0.0], [0.3, 0.0, 0.0, 0.1]),
            "nothing is met": rays([0.0, 0.0, 0.0, 0.0]),
        },
        slips={
            "weights need not sum to 1: divide by their sum": not_divided,
            "the spread's mean is divided by the sum of the weights, too":
                slip(lambda w, _, spread: spread * w.sum(1).sqrt()),
            "this is the variance; the spread is its square root": slip(lambda *x: x[2].square()),
            "the spread is a mean by weight, too": slip(lambda *x: x[1].square().mean(1).sqrt()),
            "the spread is the root of a mean of squares, not a mean of distances":
                slip(lambda w, off, _: depth_and_spread(w, off.abs())[0]),
            "this is the heaviest sample's depth; the expected depth is a mean":
                lambda w, t: (t.take_along_dim(w.argmax(1, keepdim=True), 1)[:, 0],
                              depth_and_spread(w, t)[1]),
            "depth first, then spread": lambda w, t: depth_and_spread(w, t)[::-1],
        },
    )  # fmt: skip


def _lent(yours: Function) -> Function:
    """The function, with the package's pieces under the names of the learner's."""

    def call(*arguments: Any) -> Any:
        names = getattr(yours, "__globals__", {})
        with mock.patch.dict(names, pieces.PIECES):
            return yours(*arguments)

    return call


def ex0105(yours: Function) -> None:
    """NeRF's second pass: (t, weights (R, N), count) -> (R, count)."""

    def middles(t: Tensor) -> Tensor:
        return (t[:, 1:] + t[:, :-1]) / 2

    def inner(weights: Tensor) -> Tensor:
        return weights[:, 1:-1]

    def slip(
        edges: Function = middles,
        masses: Function = inner,
        into: Function = lambda way, mass: way / mass,
        zero: int = 1,
        **change: Function,
    ) -> Function:
        """Other bins or masses, another way into the bin, or changes of `mass`, height or bin."""

        def made(t: Tensor, weights: Tensor, count: int, *_: Any) -> Tensor:
            ends, mass = edges(t), masses(weights) + pieces.LEAST_MASS
            u = even_samples(0.0, 1.0, len(t), count).double()
            u = change["u"](u, mass) if "u" in change else u
            mass = change["mass"](mass, ends) if "mass" in change else mass
            total = F.pad(torch.cumsum(mass, 1), (zero, 0))
            height, last = u * total[:, -1:], total.shape[1] - 1
            after = torch.searchsorted(total, height, right=True).clamp(1, last)
            after = change["bin"](after).clamp(max=last) if "bin" in change else after
            low, start = total.gather(1, after - 1), ends.gather(1, after - 1)
            share = into(height - low, total.gather(1, after) - low)
            return start + share * (ends.gather(1, after) - start)

        return made

    def drawn(draw: Function) -> Function:
        """With a generator, other heights: draw(rays, count, generator)."""

        def made(t: Tensor, weights: Tensor, count: int, *generator: torch.Generator) -> Tensor:
            if not generator:
                return fine_samples(t, weights, count)
            u = draw(len(t), count, generator[0]).double().expand(len(t), count).contiguous()
            return slip(u=lambda *_: u)(t, weights, count)

        return lambda *arguments: _seeded(made, *arguments)

    random = torch.Generator().manual_seed(4)
    t = torch.tensor([[0.0, 1.0, 1.5, 2.5, 4.0]], dtype=torch.float64)
    five = torch.tensor([[0.3, 0.1, 0.3, 0.0, 0.2]], dtype=torch.float64)
    rising, many = torch.rand(2, 6, 13, generator=random, dtype=torch.float64)
    check(
        "ex0105",
        _lent(yours),
        lambda *arguments: _seeded(fine_samples, *arguments),
        {
            "five samples, one of them weightless": (t, five, 4),
            "6 rays of 13 samples": (rising.cumsum(1), many.pow(4), 8),
            "nothing was met: all weights 0": (t, torch.zeros_like(five), 4),
            "a generator of seed 7": (rising.cumsum(1), many.pow(4), 8, _Seed(7)),
        },
        slips={
            "bins from t_i to t_i+1 lie behind their sample; NeRF's go from midpoint to midpoint":
                slip(lambda t: t, lambda w: w[:, :-1]),
            "a bin's weight is that of the sample inside: leave out the first weight, too":
                slip(masses=lambda w: w[:, :-2]),
            "the first and last weight have no bin: use the inner ones":
                slip(masses=lambda w: w[:, 2:]),
            "you found the bin, and took its near end: go into it by the share that is left":
                slip(into=lambda way, _: 0 * way),
            "you found the bin, and took its middle: go into it by the share that is left":
                slip(into=lambda way, _: 0 * way + 0.5),
            "you walk into the bin from its far end: its near end has the share 0":
                slip(into=lambda way, mass: 1 - way / mass),
            "what is left of the height is a part of this bin's mass: divide by that":
                slip(into=lambda way, _: way),
            "sums begin with a 0, before the first bin": slip(zero=0),
            "you are a bin too far: how many sums are at most u counts to the far end of its bin":
                slip(bin=lambda after: after + 1),
            "a weight is the mass of its whole bin: don't multiply by its length":
                slip(mass=lambda mass, ends: mass * ends.diff()),
            "masses need not sum to 1: multiply u by their sum":
                slip(u=lambda u, mass: u / mass.sum(1, keepdim=True)),
            "heights stand in the middle of count equal parts of [0, 1]: even_samples":
                slip(u=lambda u, _: (u - u[:, :1]) / (u[:, -1:] - u[:, :1])),
            "the generator is not used: hand it to even_samples": slip(),
            "with a generator there is one height in each of count equal parts: even_samples":
                drawn(lambda rays, count, g: torch.rand(rays, count, generator=g)),
            "sorted random heights leave gaps: even_samples draws one in each of count parts":
                drawn(lambda rays, count, g: torch.rand(rays, count, generator=g).sort(1).values),
            "each ray draws heights of its own: (R, count) of them":
                drawn(lambda _, count, g: even_samples(0.0, 1.0, 1, count, g)),
            "this holds the old samples, too: return the count new ones":
                lambda t, w, n, *_: (torch.cat([t, fine_samples(t, w, n)], 1).sort(1).values),
            "these are even over the whole way: read the running sum backwards":
                lambda t, w, n, *_: even_samples(t[:, :1], t[:, -1:], len(w), n),
        },
        call=_seeded,
        rtol=1e-4,
        atol=1e-5,
    )  # fmt: skip


def _clouds(height: float, width: float, *places: tuple[float, float, float]) -> Any:
    """A field of Gaussian clouds of one height and width at places."""
    middles = torch.tensor(places, dtype=torch.float64)

    def density(points: Tensor) -> Tensor:
        away = (points[:, None] - middles).norm(dim=2) / width
        return height * torch.exp(-0.5 * away.square()).sum(1)

    def colour(points: Tensor, directions: Tensor) -> Tensor:
        return torch.sigmoid(2 * points + directions.flip(1))

    return SimpleNamespace(density=density, colour=colour)


def _other_samples(
    choose: Function = lambda *both: torch.cat(both, 1).sort(1).values,
    end: Function = lambda _, far: far,
) -> Function:
    """A renderer with choose(first, second samples), or another end(t, far) of the last section."""

    def render(
        field: Any, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor,
        counts: tuple[int, int], background: Tensor,
    ) -> pieces.Picture:  # fmt: skip
        rays, first = (origins, directions), even_samples(near, far, len(near), counts[0])
        t = choose(*pieces.passes(field, rays, near, far, end(first, far), counts))
        return pieces.shade(field, rays, t, end(t, far), background)

    return render


def _other_colour(change: Function) -> Function:
    """A renderer with change(colour before black, opacity (R, 1), background) as its colour."""

    def render(*arguments: Any) -> pieces.Picture:
        colour, opacity, depth = render_rays(*arguments)
        share, background = opacity[:, None], arguments[-1]
        return change(colour - (1 - share) * background, share, background), opacity, depth

    return render


def _mixed_rays(field: Any, origins: Tensor, *rest: Any) -> pieces.Picture:
    """A renderer whose directions are repeated ray after ray, its points sample after sample."""

    def colour(points: Tensor, directions: Tensor) -> Tensor:
        by_ray = directions.unflatten(0, (len(origins), -1))
        return field.colour(points, by_ray.transpose(0, 1).reshape(-1, 3))

    return render_rays(SimpleNamespace(density=field.density, colour=colour), origins, *rest)


def ex0106(yours: Function) -> None:
    """A two-pass renderer: see `pieces.render_rays`."""
    aims = [[0.0, 0.0, -3.0], [0.2, 0.1, -3.0], [-0.3, 0.2, -3.0], [0.9, 0.9, -3.0]]
    directions = F.normalize(torch.tensor(aims, dtype=torch.float64), dim=1)
    origins = torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64).expand(4, 3)
    near = torch.tensor([[2.0], [2.1], [1.9], [2.0]], dtype=torch.float64)
    rays = origins, directions, near, near + 2
    grey = torch.tensor([0.2, 0.5, 0.9], dtype=torch.float64)
    veils = _clouds(6.0, 0.12, (0.0, 0.0, 0.5), (0.1, 0.1, -0.3), (-0.2, 0.1, -0.9))
    ball, nothing = _clouds(60.0, 0.15, (0.0, 0.0, 0.0)), _clouds(0.0, 1.0, (0.0, 0.0, 0.0))
    check(
        "ex0106",
        _lent(yours),
        render_rays,
        {
            "clouds that let some light through": (veils, *rays, (16, 12), grey),
            "a thick cloud, which two rays miss": (ball, *rays, (12, 16), grey),
            "nothing at all": (nothing, *rays, (6, 6), grey),
        },
        slips={
            "the light that is left, 1 - opacity, comes from the background":
                _other_colour(lambda colour, *_: colour),
            "the background shows through by 1 - opacity, not as a whole":
                _other_colour(lambda colour, _, background: colour + background),
            "the background has what the head lets through, 1 - opacity":
                _other_colour(lambda colour, opacity, background: colour + opacity * background),
            "a colour is a sum by weight, not a mean: do not divide by the opacity":
                _other_colour(lambda colour, o, back: colour / o.clamp_min(1e-6) + (1 - o) * back),
            "sort the samples of both passes together before you weigh them":
                _other_samples(lambda *both: torch.cat(both, 1)),
            "these are the first samples alone: ask a second time where they found weight":
                _other_samples(lambda first, _: first),
            "these are the second pass's samples alone: both passes count":
                _other_samples(lambda _, more: more),
            "the last sample stands for all up to far: append far to the lengths":
                _other_samples(end=lambda t, _: t[:, -1:]),
            "the last section ends at far, not at infinity":
                _other_samples(end=lambda _, far: far + 1e10),
            "the rows of directions and points must belong to the same ray": _mixed_rays,
            "the depth is a mean: divide by the opacity":
                lambda *all: (*render_rays(*all)[:2], render_rays(*all)[2] * render_rays(*all)[1]),
        },
        rtol=1e-4,
        atol=1e-5,
    )  # fmt: skip
