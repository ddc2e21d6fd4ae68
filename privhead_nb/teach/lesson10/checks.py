"""Checks of lesson 10: a step to a surface, two distances, a share of pairs, a photo on a mesh."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import normalize

from privhead_nb.lab.appearance import nearer
from privhead_nb.lab.intervals import draws, share
from privhead_nb.teach.checks import Array, Function, Slip, check


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
    cases = {
        "a plane, one step away": (
            np.array([[0.0, 0.0, 3.0]]), np.array([2.0]), np.array([[0.0, 0.0, 1.0]])
        ),
        "true distances, gradients of length one": (points, distance, unit),
        "a field whose slope is 0.5": (points, distance, 0.5 * unit),
        "slopes of all kinds": (points, distance, gradient),
        "on the surface": (points, 0 * distance, gradient),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "right where the slope is one; else divide by the gradient's length squared": slope_one,
        "that divides by the length once; the step along a unit vector is f / |g|, so the "
        "length stands below twice": lambda x, f, g: slope_one(x, f, _unit(g)),
        "the gradient points outwards: from a positive distance you go against it":
            lambda x, f, g: 2 * x - spec(x, f, g),
        "that is the step alone; where do you arrive?": lambda x, f, g: spec(x, f, g) - x,
    }  # fmt: skip
    check("ex1001", yours, spec, cases, slips=slips)


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
    cases = {
        "two people, at right angles": (
            np.array([[3.0, 4.0]]), np.eye(2), np.array([0]), np.array([1])
        ),
        "vectors of many lengths": (between * lengths, gallery, shape, colours),
        "nearest to a third person": (third, gallery, np.array([0, 1]), np.array([2, 3])),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "a cosine wants unit vectors: divide each row by its length":
            lambda x, g, s, c: picked(1 - x @ g.T, s, c),
        "these are similarities; a distance is 1 - cosine, and the nearest has the smallest":
            lambda x, g, s, c: picked(cosines(x, g), s, c),
        "shape and colours have changed places": lambda x, g, s, c: spec(x, g, c, s),
        "the nearest of the whole gallery, who may be neither of the two": one_of_two,
    }  # fmt: skip
    check("ex1002", yours, spec, cases, slips=slips)


def ex1003(yours: Function) -> None:
    """A share's interval with both people drawn: (hits, shape, colours (N,), times (B, P)) -> 2."""

    def spec(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        seed = SEEDS[times.shape[1]]
        found = share(hits, shape, colours, resamples=len(times), seed=seed)
        return found.low, found.high

    def weighted(hits: Array, weights: Array) -> Array:
        some = 1.0 * weights[weights.sum(1) > 0]
        return np.quantile((some @ hits) / some.sum(1), (0.025, 0.975))

    def empty_as_0(hits: Array, shape: Array, colours: Array, times: Array) -> Array:
        weights = times[:, shape] * times[:, colours]
        return np.quantile((weights @ hits) / np.maximum(weights.sum(1), 1), [0.025, 0.975])

    cases = {
        "12 pairs of 4 people": pairs_of(4, 3),
        "40 pairs of 20 people": pairs_of(20, 2),
        "6 pairs of 3 people, all hits but one": pairs_of(3, 2, hit=1.0),
        "6 pairs of 6 people, all hits but one": pairs_of(6, 1, hit=1.0),
        "6 pairs of 3 people, all misses but one": pairs_of(3, 2, hit=0.0),
    }
    slips: dict[str, Slip] = {
        "the picture hangs on two people: multiply how often both were drawn": (
            lambda hits, shape, _, times: weighted(hits, times[:, shape])
        ),
        "multiply the two counts: a pair is there only if both of its people are": (
            lambda hits, s, c, times: weighted(hits, times[:, s] + times[:, c])
        ),
        "a share, not percent": lambda *given: 100 * np.array(spec(*given)),
        "quantiles of the draws' shares, not of the hits": lambda hits, *_: np.quantile(
            hits, [0.025, 0.975]
        ),
        "a draw that leaves no picture has no share: leave it out": empty_as_0,
    }
    check("ex1003", yours, spec, cases, slips=slips, rtol=1e-6)


def ex1004(yours: Function) -> None:
    """A photo on a mesh: (points (N, 3), picture, depth (H, W), K, c2w) -> colours, seen (N,)."""
    slips: dict[str, Slip] = {
        "points on the far side get the face, too: compare p_z with the depth in that pixel":
            (" & (p[:, 2] <= near + 8)", ""),
        "rows go with v, columns with u: picture[row, column]":
            (".astype(int)", ".astype(int)[:, ::-1]"),
        "into the camera: take away c, then turn; of R you need its transpose":
            ("@ c2w[:3, :3]", "@ c2w[:3, :3].T"),
        "a point behind the camera falls into a pixel, too: p_z must be positive":
            (" & (p[:, 2] > 0)", ""),
    }  # fmt: skip
    check("ex1004", yours, _seen_colours, photos(), slips=slips)


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


def _seen_colours(
    points: Array, picture: Array, depth: Array, K: Array, c2w: Array
) -> tuple[Array, Array]:
    p, limit = (points - c2w[:3, 3]) @ c2w[:3, :3], np.array(depth.shape[::-1])
    at = np.floor((p @ K.T)[:, :2] / p[:, 2:]).astype(int)
    column, row = np.clip(at, 0, limit - 1).T
    near = depth[row, column]
    seen = ((at >= 0) & (at < limit)).all(1) & (p[:, 2] > 0)
    seen &= (near > 0) & (p[:, 2] <= near + 8)
    return np.where(seen[:, None], picture[row, column], 0.0), seen
