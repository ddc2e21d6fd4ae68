"""Checks of lesson 10: a step to a surface, two distances, a share of pairs, a photo on a mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize

from privhead_nb.lab.appearance import nearer
from privhead_nb.lab.intervals import draws, share
from privhead_nb.teach.checks import Array, Function, check

HINTS = {
    # exercise: a question, and the idea
    "1001": (
        "If you walk a little way along the gradient, by how much does f change for each step?",
        "pretend that f is linear: its slope along the gradient is known, so you can say how far "
        "to walk until it is 0; a gradient that is twice as long means half as far a way, and the "
        "arrow that you walk along is twice as long, too",
    ),
    "1002": (
        "Does the length of a vector say anything about whom a picture shows?",
        "bring every row to length one, make one table of distances from all pictures to all "
        "people, and look up three things in each of its rows",
    ),
    "1003": (
        "If somebody was drawn three times and somebody else never, how often does a picture of "
        "both of them count, and what of a draw in which no picture is left?",
        "a picture counts as often as its two people meet; that is a weight, so take a weighted "
        "mean in each draw, over those draws only that have any weight at all",
    ),
    "1004": (
        "Where does a point lie for somebody who stands at the camera, and what may hide it?",
        "go into the camera's frame with the transpose of its axes, project, and find the pixel; "
        "then strike out what lies outside, behind the camera, beside the head, or deeper than "
        "the surface in that pixel",
    ),
}


def ex1001(yours: Function) -> None:
    """A Newton step to f = 0: (points (N, 3), distance (N,), gradient (N, 3)) -> points (N, 3)."""

    def spec(points: Array, distance: Array, gradient: Array) -> Array:
        step = distance / (gradient**2).sum(axis=1)
        return np.asarray(points - step[:, None] * gradient)

    def slope_one(points: Array, distance: Array, gradient: Array) -> Array:
        return points - distance[:, None] * gradient

    random = np.random.default_rng(1001)
    points, gradient = random.normal(size=(2, 6, 3))
    unit, distance = _unit(gradient), random.normal(size=6)
    check(
        "ex1001",
        yours,
        spec,
        {
            "a plane, one step away": (
                np.array([[0.0, 0.0, 3.0]]), np.array([2.0]), np.array([[0.0, 0.0, 1.0]])
            ),
            "true distances, gradients of length one": (points, distance, unit),
            "a field whose slope is 0.5": (points, distance, 0.5 * unit),
            "slopes of all kinds": (points, distance, gradient),
            "on the surface": (points, 0 * distance, gradient),
        },
        slips={
            "right where the slope is one; else divide by the gradient's length squared": slope_one,
            "that divides by the length once; the step along a unit vector is f / |g|, so the "
            "length stands below twice": lambda x, f, g: slope_one(x, f, _unit(g)),
            "the gradient points outwards: from a positive distance you go against it": (
                lambda x, f, g: 2 * x - spec(x, f, g)
            ),
            "the farther off, the longer the step: where is the distance?": (
                lambda x, f, g: spec(x, np.ones_like(f), g)
            ),
            "that is the step alone; where do you arrive?": lambda x, f, g: spec(x, f, g) - x,
            "a step has a sign: from inside you walk outwards": (
                lambda x, f, g: spec(x, np.abs(f), g)
            ),
        },
    )  # fmt: skip


def ex1002(yours: Function) -> None:
    """Near to whom: (pictures (N, D), gallery (P, D), shape (N,), colours (N,)) -> three (N,)."""

    def spec(*given: Array) -> tuple[Array, ...]:
        x, g, shape, colours = map(torch.tensor, given)
        said = nearer(normalize(x), shape, colours, normalize(g), torch.arange(len(g)))
        return said.to_geometry.numpy(), said.to_radiance.numpy(), said.named.numpy()

    def picked(table: Array, shape: Array, colours: Array) -> tuple[Array, ...]:
        rows = np.arange(len(table))
        return table[rows, shape], table[rows, colours], table.argmin(1)

    def cosines(x: Array, g: Array) -> Array:
        return np.asarray(_unit(x) @ _unit(g).T)

    def one_of_two(x: Array, g: Array, shape: Array, colours: Array) -> tuple[Array, ...]:
        own, other, _ = spec(x, g, shape, colours)
        return own, other, np.where(own < other, shape, colours)

    random = np.random.default_rng(1002)
    gallery = random.normal(size=(5, 8))
    shape, colours = np.array([0, 1, 2, 3]), np.array([1, 4, 0, 2])
    between = gallery[shape] + 0.6 * gallery[colours] + 0.3 * random.normal(size=(4, 8))
    lengths, third = random.uniform(0.2, 5, (4, 1)), np.repeat(gallery[[4]], 2, 0)
    check(
        "ex1002",
        yours,
        spec,
        {
            "two people, at right angles": (
                np.array([[3.0, 4.0]]), np.eye(2), np.array([0]), np.array([1])
            ),
            "vectors of many lengths": (between * lengths, gallery, shape, colours),
            "nearest to a third person": (third, gallery, np.array([0, 1]), np.array([2, 3])),
        },
        slips={
            "a cosine wants unit vectors: divide each row by its length": (
                lambda x, g, s, c: picked(1 - x @ g.T, s, c)
            ),
            "these are similarities; a distance is 1 - cosine, and the nearest has the smallest": (
                lambda x, g, s, c: picked(cosines(x, g), s, c)
            ),
            "these are similarities; a distance is 1 - cosine": (
                lambda x, g, s, c: (*picked(cosines(x, g), s, c)[:2], spec(x, g, s, c)[2])
            ),
            "a distance is 1 - cosine, not the angle": (
                lambda x, g, s, c: picked(np.arccos(cosines(x, g).clip(-1, 1)), s, c)
            ),
            "a cosine of -1 is far off, not near: keep its sign": (
                lambda x, g, s, c: picked(1 - np.abs(cosines(x, g)), s, c)
            ),
            "each row has its own length: axis=1, keepdims=True": (
                lambda x, g, s, c: picked(1 - _unit(x.T).T @ _unit(g.T), s, c)
            ),
            "half of Euclid's squared distance is 1 - cosine": (
                lambda x, g, s, c: picked(2 - 2 * cosines(x, g), s, c)
            ),
            "shape and colours have changed places": lambda x, g, s, c: spec(x, g, c, s),
            "the nearest of the whole gallery, who may be neither of the two": one_of_two,
            "the nearest has the smallest distance": (
                lambda x, g, s, c: (*spec(x, g, s, c)[:2], cosines(x, g).argmin(1))
            ),
            "between vectors of length one, Euclid's distance is another number than 1 - cosine": (
                lambda x, g, s, c: picked(np.sqrt(2 - 2 * cosines(x, g).clip(-1, 1)), s, c)
            ),
        },
    )  # fmt: skip


def ex1003(yours: Function) -> None:
    """A share's interval with both people drawn: (hits, shape, colours (N,), times (B, P)) -> 2."""

    def spec(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        seed = SEEDS[times.shape[1]]
        found = share(hits, shape, colours, resamples=len(times), seed=seed)
        return found.low, found.high

    def weighted(hits: Array, weights: Array, ends: tuple[float, float] = (0.025, 0.975)) -> Array:
        some = 1.0 * weights[weights.sum(1) > 0]
        return np.quantile((some @ hits) / some.sum(1), ends)

    def both(combine: Function, ends: tuple[float, float] = (0.025, 0.975)) -> Function:
        """Weights combine(times of shapes, times of colours), or other quantiles."""
        return lambda hits, s, c, times: weighted(hits, combine(times[:, s], times[:, c]), ends)

    def normal(hits: Array, shape: Array, colours: Array, times: Array) -> Array:
        weights = times[:, shape] * times[:, colours]
        some = weights[weights.sum(1) > 0]
        shares = (some @ hits) / some.sum(1)
        return shares.mean() + np.array([-1.96, 1.96]) * shares.std()

    def only_hits(hits: Array, shape: Array, colours: Array, times: Array) -> Array:
        weights = times[:, shape] * times[:, colours]
        return weighted(hits, weights[weights @ hits > 0])

    def empty_as(number: float, hits: Array, weights: Array) -> Array:
        total = weights.sum(1)
        shares = np.where(total > 0, (weights @ hits) / np.maximum(total, 1), number)
        return np.quantile(shares, [0.025, 0.975])

    check(
        "ex1003",
        yours,
        spec,
        {
            "12 pairs of 4 people": pairs_of(4, 3),
            "40 pairs of 20 people": pairs_of(20, 2),
            "6 pairs of 3 people, all hits but one": pairs_of(3, 2, hit=1.0),
            "6 pairs of 6 people, all hits but one": pairs_of(6, 1, hit=1.0),
            "6 pairs of 3 people, all misses but one": pairs_of(3, 2, hit=0.0),
        },
        slips={
            "the picture hangs on two people: multiply how often both were drawn": both(
                lambda one, _: one
            ),
            "the picture hangs on its shape's person, too: multiply both counts": both(
                lambda _, other: other
            ),
            "multiply the two counts: a pair is there only if both of its people are": both(np.add),
            "a person who was drawn twice counts twice": both(lambda *two: np.prod(two, 0) > 0),
            "two who were drawn twice meet four times: multiply, don't take the smaller": both(
                np.minimum
            ),
            "low end first": lambda *given: spec(*given)[::-1],
            "a share, not percent": lambda *given: 100 * np.array(spec(*given)),
            "quantiles of the draws' shares, not of the hits": lambda hits, *_: np.quantile(
                hits, [0.025, 0.975]
            ),
            "quantiles ask the draws; a mean and 1.96 deviations ask a normal distribution": normal,
            "the quantiles themselves: don't mirror them at the measured share": (
                lambda hits, *rest: 2 * hits.mean() - np.array(spec(hits, *rest))[::-1]
            ),
            "a draw with pictures but without a hit has the share 0, and stays": only_hits,
            "divide by the weights of that draw, which is not always the number of pictures": (
                lambda hits, s, c, times: np.quantile(
                    (times[:, s] * times[:, c]) @ hits / len(hits), [0.025, 0.975]
                )
            ),
            "a draw that leaves no picture has no share: leave it out": (
                lambda hits, s, c, times: empty_as(0.0, hits, times[:, s] * times[:, c])
            ),
            "a draw that leaves no picture is no success either: leave it out": (
                lambda hits, s, c, times: empty_as(1.0, hits, times[:, s] * times[:, c])
            ),
            "a draw that leaves no picture tells nothing, and not the share of all: leave it out": (
                lambda hits, s, c, times: empty_as(hits.mean(), hits, times[:, s] * times[:, c])
            ),
            "2.5 percent on each side, not 5": both(np.multiply, (0.05, 0.95)),
            "2.5 percent on each side, not 5 on one": both(np.multiply, (0, 0.95)),
            "the ends of 95 percent of the draws, not the extreme ones": both(np.multiply, (0, 1)),
        },
        rtol=1e-6,
    )


def ex1004(yours: Function) -> None:
    """A photo on a mesh: (points (N, 3), picture, depth (H, W), K, c2w) -> colours, seen (N,)."""

    def into(points: Array, c2w: Array) -> Array:
        return np.asarray((points - c2w[:3, 3]) @ c2w[:3, :3])

    def cells(p: Array, K: Array, whole: Function = np.floor) -> Array:
        """Columns and rows."""
        return np.asarray(whole((p @ K.T)[:, :2] / p[:, 2:])).astype(int)

    def slip(
        frame: Function = into,
        cell: Function = cells,
        beyond: Function = lambda p, near: p[:, 2] - near,
        *,
        through: bool = False,
        outside: bool = False,
        gap: bool = False,
    ) -> Function:
        """Other coordinates, cells or millimetres beyond the surface, or a question not asked."""

        def made(points: Array, picture: Array, depth: Array, K: Array, c2w: Array) -> Any:
            p, limit = frame(points, c2w), np.array(depth.shape[::-1])
            at = cell(p, K)
            column, row = np.clip(at, 0, limit - 1).T
            near = depth[row, column]
            seen = ((at >= 0) & (at < limit)).all(1) | outside
            seen &= (p[:, 2] > 0) | through
            seen &= ((near > 0) & (beyond(p, near) <= 8)) | (gap & (near == 0))
            return np.where(seen[:, None], picture[row, column], 0.0), seen

        return made

    spec = slip()

    def blind(points: Array, picture: Array, depth: Array, K: Array, c2w: Array) -> Any:
        colours, seen = spec(points, picture, depth, K, c2w)
        everywhere = spec(points, picture, np.full_like(depth, 1e6), K, c2w)[0]
        return np.where(seen[:, None], colours, everywhere), seen

    check(
        "ex1004",
        yours,
        spec,
        photos(),
        slips={
            "at most 8 mm deeper than the surface is still seen": slip(
                beyond=lambda p, near: p[:, 2] - near + 8
            ),
            "where depth is 0 there is no head, and nothing to paint": slip(gap=True),
            "points on the far side get the face, too: compare p_z with the depth in that pixel": (
                slip(beyond=lambda _, near: 0 * near)
            ),
            "depth is a way along the axis: compare p_z, not the length of p": slip(
                beyond=lambda p, near: np.linalg.norm(p, axis=1) - near
            ),
            "what stands before the surface is seen: only deeper than 8 mm is hidden": slip(
                beyond=lambda p, near: np.abs(p[:, 2] - near)
            ),
            "rows go with v, columns with u: picture[row, column]": slip(
                cell=lambda p, K: cells(p, K)[:, ::-1]
            ),
            "into the camera: take away c, then turn; of R you need its transpose": slip(
                lambda x, c2w: (x - c2w[:3, 3]) @ c2w[:3, :3].T
            ),
            "c2w leads out of the camera; you need the way in": slip(
                lambda x, c2w: x @ c2w[:3, :3].T + c2w[:3, 3]
            ),
            "take away c before you turn, not after": slip(
                lambda x, c2w: x @ c2w[:3, :3] - c2w[:3, 3]
            ),
            "the camera's place is not taken away": slip(lambda x, c2w: x @ c2w[:3, :3]),
            "a point behind the camera falls into a pixel, too: p_z must be positive": slip(
                through=True
            ),
            "what falls outside of the picture is not seen; yours moves it to the rim": slip(
                outside=True
            ),
            "what is not seen gets 0, no colour": blind,
            "floor, not round: a pixel goes from one whole number to the next": slip(
                cell=lambda p, K: cells(p, K, lambda u: np.floor(u + 0.5))
            ),
            "floor, not the whole part: -0.7 lies before pixel 0, not in it": slip(
                cell=lambda p, K: cells(p, K, np.trunc)
            ),
            "you are a pixel off: floor, and not the next one": slip(
                cell=lambda p, K: cells(p, K) + 1
            ),
            "K p is the pixel up to a factor: divide by its last entry": slip(
                cell=lambda p, K: np.floor((p @ K.T)[:, :2]).astype(int)
            ),
        },
    )


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


SEEDS = {3: 13, 4: 11, 6: 11, 20: 12}
"""Of the draws, by how many people there are."""


def pairs_of(people: int, each: int, hit: float | None = None) -> tuple[Array, ...]:
    """Hits of pairs among so many people, `each` for a shape, and 400 draws.

    Args:
        people, each: how many.
        hit: of all pairs but the first, which has the other; None draws hits.
    """
    shape = np.repeat(np.arange(people), each)
    colours = (shape + 1 + np.tile(np.arange(each), people)) % people
    random = np.random.default_rng(people)
    hits = (random.uniform(size=len(shape)) < 0.35 + 0.4 * (colours % 2)).astype(float)
    if hit is not None:
        hits = np.where(np.arange(len(shape)) == 0, 1 - hit, hit)
    return hits, shape, colours, draws(people, 400, SEEDS[people])


def photos() -> dict[str, tuple[Array, ...]]:
    """A few points before cameras, with a depth map of one wall and a gap."""
    random = np.random.default_rng(1004)
    picture = random.uniform(size=(6, 8, 3))
    depth = np.full((6, 8), 100.0)
    depth[:, 0] = 0.0
    K = np.array([[50.0, 0, 4.0], [0, 50.0, 3.0], [0, 0, 1.0]])

    def camera(angle: float, *place: float) -> Array:
        pose = np.eye(4)
        pose[0, [0, 2]] = np.cos(angle), np.sin(angle)
        pose[2, [0, 2]] = -np.sin(angle), np.cos(angle)
        pose[:3, 3] = place
        return pose

    straight, aside, turned = camera(0, 0, 0, 0), camera(0.02, 2, -1, 1), camera(0.7, 5, -2, 7)
    corner = np.stack([random.integers(1, 8, 12), random.integers(0, 6, 12)], 1)
    cell = corner + random.uniform(0.1, 0.9, (12, 2))
    flat = np.column_stack([(cell - [4.0, 3.0]) * 2, np.full(12, 100.0)])
    outside = np.array(
        [[0.0, 40.0, 100.0], [-40.0, 0.0, 100.0], [0.5, 0.5, -100.0], [-1.2, -7.4, 100.0]]
    )  # the last in row -0.7
    gap = np.array([[-7.5, 0.4, 100.0], [-3.0, 0.4, 107.5], [-3.0, 0.4, 108.5]])
    wide = np.array(
        [
            [58.0, 20.0, 100.0],
            [-35.0, -40.0, 105.0],
            [58.0, -40.0, 112.0],
            [4.0, 3.0, 60.0],
            [20.0, -12.0, 45.0],
        ]
    )  # the third is hidden
    beside, there = (flat @ pose[:3, :3].T + pose[:3, 3] for pose in (aside, turned))
    return {
        "a wall that the camera faces": (flat, picture, depth, K, straight),
        "a camera that stands a little aside": (beside, picture, depth, K, aside),
        "a camera that is turned": (there, picture, depth, K, turned),
        "points behind the wall": (np.vstack([flat, 1.3 * flat]), picture, depth, K, straight),
        "outside of the picture": (outside, picture, depth, K, straight),
        "a gap, and near the limit": (gap, picture, depth, K, straight),
        "far off the axis, and before the wall": (
            wide,
            picture,
            depth,
            K * [[0.12], [0.12], [1.0]] + [[0, 0, 3.52], [0, 0, 2.64], [0] * 3],
            straight,
        ),
    }
