"""Checks of lesson 10: a step to a surface, two distances, a share of pairs, a photo on a mesh."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize

from privhead_nb.lab.appearance import nearer
from privhead_nb.lab.intervals import draws, share
from privhead_nb.scenes.camera import Cameras
from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.teach.lesson10 import mixed_heads


def ex1001(yours: Function) -> None:
    """A Newton step to f = 0: (points (N, 3), distance (N,), gradient (N, 3)) -> points (N, 3)."""

    def spec(*given: Array) -> Array:
        return mixed_heads.snapped(*map(torch.tensor, given)).numpy()

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
        hint="along the gradient, f(x - s g) is about f - s |g|^2; choose s so that this is 0, and "
        "go there",
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
        hint="make every row unit and take 1 - their products, an (N, P) table; in row n look at "
        "columns shape[n] and colours[n], and for the column of the smallest",
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
            "shape and colours have changed places": lambda x, g, s, c: spec(x, g, c, s),
            "the nearest of the whole gallery, who may be neither of the two": one_of_two,
        },
    )  # fmt: skip


def ex1003(yours: Function) -> None:
    """A share's interval with both people drawn: (hits, shape, colours (N,), times (B, P)) -> 2."""

    def spec(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        seed = SEEDS[times.shape[1]]
        found = share(hits, shape, colours, resamples=len(times), seed=seed)
        return found.low, found.high

    def weighted(hits: Array, weights: Array, ends: tuple[float, float] = (0.025, 0.975)) -> Array:
        some = weights[weights.sum(1) > 0]
        return np.quantile((some @ hits) / some.sum(1), ends)

    check(
        "ex1003",
        yours,
        spec,
        {"12 pairs of 4 people": pairs_of(4, 3), "40 pairs of 20 people": pairs_of(20, 2)},
        hint="in draw b a picture counts times[b, shape] x times[b, colours]; the share is the "
        "weighted mean of hits; then the 2.5 and 97.5 percent quantiles over the draws",
        slips={
            "the picture hangs on two people: multiply how often both were drawn": (
                lambda hits, s, _, times: weighted(hits, times[:, s])
            ),
            "multiply the two counts: a pair is there only if both of its people are": (
                lambda hits, s, c, times: weighted(hits, times[:, s] + times[:, c])
            ),
            "a person who was drawn twice counts twice": (
                lambda hits, s, c, times: weighted(hits, 1.0 * (times[:, s] * times[:, c] > 0))
            ),
            "divide by the weights of that draw, which is not always the number of pictures": (
                lambda hits, s, c, times: np.quantile(
                    (times[:, s] * times[:, c]) @ hits / len(hits), [0.025, 0.975]
                )
            ),
            "the ends of 95 percent of the draws, not the extreme ones": (
                lambda hits, s, c, times: weighted(hits, times[:, s] * times[:, c], (0, 1))
            ),
        },
        rtol=1e-6,
    )


def ex1004(yours: Function) -> None:
    """A photo on a mesh: (points (N, 3), picture, depth (H, W), K, c2w) -> colours, seen (N,)."""

    def spec(
        points: Array, picture: Array, depth: Array, K: Array, c2w: Array, flip: bool = False
    ) -> Any:
        height, width = depth.shape
        camera: Any = Cameras(torch.tensor(K)[None], torch.tensor(c2w)[None], width, height, 0.5)
        if flip:  # rows and columns change places
            place, far = camera.project(torch.tensor(points))
            camera = SimpleNamespace(project=lambda _: (place.flip(-1), far))
        x, shown, near = (torch.tensor(a) for a in (points, picture, depth))
        return mixed_heads.painted(x, shown, near, camera)

    def transposed(points: Array, picture: Array, depth: Array, K: Array, c2w: Array) -> Any:
        wrong = c2w.copy()
        wrong[:3, :3] = c2w[:3, :3].T
        return spec(points, picture, depth, K, wrong)

    check(
        "ex1004",
        yours,
        spec,
        photos(),
        hint="p = R^T (x - c), (u, v) = (K p)[:2] / p_z, column floor(u), row floor(v); seen: in "
        "the picture, before the camera, on the head, and at most 8 mm behind the depth there",
        slips={
            "points on the far side get the face, too: compare p_z with the depth in that pixel": (
                lambda x, picture, depth, K, c2w: spec(x, picture, 1e6 * (depth > 0), K, c2w)
            ),
            "rows go with v, columns with u: picture[row, column]": (
                lambda x, picture, depth, K, c2w: spec(x, picture, depth, K, c2w, flip=True)
            ),
            "c2w turns from the camera into the scene; here you need its transpose": transposed,
            "you are a pixel off: floor, and not the next one": (
                lambda x, picture, depth, K, c2w: spec(
                    x, picture, depth, K + [[0, 0, 1], [0, 0, 1], [0, 0, 0]], c2w
                )
            ),
        },
    )


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


SEEDS = {4: 11, 20: 12}
"""Of the draws, by how many people there are."""


def pairs_of(people: int, each: int) -> tuple[Array, ...]:
    """Hits of pairs among so many people, `each` for a shape, and 400 draws."""
    shape = np.repeat(np.arange(people), each)
    colours = (shape + 1 + np.tile(np.arange(each), people)) % people
    random = np.random.default_rng(people)
    hits = (random.uniform(size=len(shape)) < 0.35 + 0.4 * (colours % 2)).astype(float)
    return hits, shape, colours, draws(people, 400, SEEDS[people])


def photos() -> dict[str, tuple[Array, ...]]:
    """A few points before cameras, with a depth map of one wall and a gap."""
    random = np.random.default_rng(1004)
    picture = random.uniform(size=(6, 8, 3))
    depth = np.full((6, 8), 100.0)
    depth[:, 0] = 0.0
    K = np.array([[50.0, 0, 4.0], [0, 50.0, 3.0], [0, 0, 1.0]])
    straight, turned = np.eye(4), np.eye(4)
    turned[0, [0, 2]] = np.cos(0.7), np.sin(0.7)
    turned[2, [0, 2]] = -np.sin(0.7), np.cos(0.7)
    turned[:3, 3] = [5.0, -2.0, 7.0]
    corner = np.stack([random.integers(1, 8, 12), random.integers(0, 6, 12)], 1)
    cell = corner + random.uniform(0.1, 0.9, (12, 2))
    flat = np.column_stack([(cell - [4.0, 3.0]) * 2, np.full(12, 100.0)])
    outside = np.array([[0.0, 40.0, 100.0], [-40.0, 0.0, 100.0], [0.5, 0.5, -100.0]])
    gap = np.array([[-7.5, 0.4, 100.0], [-3.0, 0.4, 104.0], [-3.0, 0.4, 109.0]])
    there = flat @ turned[:3, :3].T + turned[:3, 3]
    return {
        "a wall that the camera faces": (flat, picture, depth, K, straight),
        "a camera that is turned": (there, picture, depth, K, turned),
        "points behind the wall": (np.vstack([flat, 1.3 * flat]), picture, depth, K, straight),
        "outside of the picture": (outside, picture, depth, K, straight),
        "a gap, and near the limit": (gap, picture, depth, K, straight),
    }
