"""Checks of lesson 10: a step to a surface, two distances, a share of pairs, a photo on a mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from privhead_nb.lab import tables
from privhead_nb.lab.appearance import nearer
from privhead_nb.lab.intervals import draws
from privhead_nb.scenes.camera import Cameras
from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.teach.lesson10 import mixed_heads


def ex1001(yours: Function) -> None:
    """A Newton step to f = 0: (points (N, 3), distance (N,), gradient (N, 3)) -> points (N, 3)."""

    def spec(points: Array, distance: Array, gradient: Array) -> Array:
        given = (torch.tensor(x) for x in (points, distance, gradient))
        return mixed_heads.snapped(*given).numpy()

    def slope_one(points: Array, distance: Array, gradient: Array) -> Array:
        return points - distance[:, None] * gradient

    def by_length(points: Array, distance: Array, gradient: Array) -> Array:
        return slope_one(
            points, distance, gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
        )

    def away(points: Array, distance: Array, gradient: Array) -> Array:
        return 2 * points - spec(points, distance, gradient)

    def no_distance(points: Array, distance: Array, gradient: Array) -> Array:
        return points - gradient / (gradient**2).sum(1, keepdims=True) + 0 * distance[:, None]

    random = np.random.default_rng(1001)
    points, gradient = random.normal(size=(2, 6, 3))
    unit = gradient / np.linalg.norm(gradient, axis=1, keepdims=True)
    distance = random.normal(size=6)
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
            "length stands below twice": by_length,
            "the gradient points outwards: from a positive distance you go against it": away,
            "the farther off, the longer the step: where is the distance?": no_distance,
        },
    )  # fmt: skip


def ex1002(yours: Function) -> None:
    """Near to whom: (pictures (N, D), gallery (P, D), shape (N,), colours (N,)) -> three (N,)."""

    def spec(pictures: Array, gallery: Array, shape: Array, colours: Array) -> Array:
        x, g = (torch.nn.functional.normalize(torch.tensor(a), dim=1) for a in (pictures, gallery))
        rows = torch.arange(len(g))
        said = nearer(x, torch.tensor(shape), torch.tensor(colours), g, rows)
        return np.stack([said.to_geometry, said.to_radiance, said.named]).astype(float)

    def raw(pictures: Array, gallery: Array, shape: Array, colours: Array) -> Array:
        return _three(1 - pictures @ gallery.T, shape, colours)

    def similar(pictures: Array, gallery: Array, shape: Array, colours: Array) -> Array:
        return _three(1 - _distance(pictures, gallery), shape, colours)

    def similar_but_named(pictures: Array, gallery: Array, shape: Array, colours: Array) -> Array:
        found = similar(pictures, gallery, shape, colours)
        found[2] = _distance(pictures, gallery).argmin(1)
        return found

    def swapped(pictures: Array, gallery: Array, shape: Array, colours: Array) -> Array:
        return _three(_distance(pictures, gallery), colours, shape)

    def one_of_two(pictures: Array, gallery: Array, shape: Array, colours: Array) -> Array:
        found = _three(_distance(pictures, gallery), shape, colours)
        found[2] = np.where(found[0] < found[1], shape, colours)
        return found

    random = np.random.default_rng(1002)
    gallery = random.normal(size=(5, 8))
    shape, colours = np.array([0, 1, 2, 3]), np.array([1, 4, 0, 2])
    between = gallery[shape] + 0.6 * gallery[colours] + 0.3 * random.normal(size=(4, 8))
    check(
        "ex1002",
        yours,
        spec,
        {
            "two people, at right angles": (
                np.array([[3.0, 4.0]]), np.eye(2), np.array([0]), np.array([1])
            ),
            "vectors of many lengths": (
                between * random.uniform(0.2, 5, (4, 1)), gallery, shape, colours
            ),
            "nearest to a third person": (
                np.repeat(gallery[[4]], 2, 0), gallery, np.array([0, 1]), np.array([2, 3])
            ),
        },
        hint="make every row unit and take 1 - their products, an (N, P) table; in row n look at "
        "columns shape[n] and colours[n], and for the column of the smallest",
        slips={
            "a cosine wants unit vectors: divide each row by its length": raw,
            "these are similarities; a distance is 1 - cosine, and the nearest has the smallest": (
                similar
            ),
            "these are similarities; a distance is 1 - cosine": similar_but_named,
            "shape and colours have changed places": swapped,
            "the nearest of the whole gallery, who may be neither of the two": one_of_two,
        },
        call=lambda function, *given: np.stack([np.asarray(x, float) for x in function(*given)]),
    )  # fmt: skip


def ex1003(yours: Function) -> None:
    """A share's interval with both people drawn: (hits, shape, colours (N,), times (B, P)) -> 2."""

    def spec(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        found = tables.share(hits, shape, colours, resamples=len(times), seed=_seed(times))
        return found.low, found.high

    def weighted(hits: Array, weights: Array) -> tuple[float, float]:
        with np.errstate(invalid="ignore"):
            shares = (weights @ hits) / weights.sum(1)
        return tuple(np.nanquantile(shares, [0.025, 0.975]))

    def shape_only(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        return weighted(hits, times[:, shape] + 0 * colours)

    def added(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        return weighted(hits, times[:, shape] + times[:, colours])

    def once(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        return weighted(hits, ((times[:, shape] > 0) & (times[:, colours] > 0)).astype(float))

    def unweighted(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        sums = (times[:, shape] * times[:, colours]) @ hits / len(hits)
        return tuple(np.quantile(sums, [0.025, 0.975]))

    def ends(hits: Array, shape: Array, colours: Array, times: Array) -> tuple[float, float]:
        both = times[:, shape] * times[:, colours]
        with np.errstate(invalid="ignore"):
            shares = (both @ hits) / both.sum(1)
        return float(np.nanmin(shares)), float(np.nanmax(shares))

    check(
        "ex1003",
        yours,
        spec,
        {"12 pairs of 4 people": _pairs(4, 3), "40 pairs of 20 people": _pairs(20, 2)},
        hint="in draw b a picture counts times[b, shape] x times[b, colours]; the share is the "
        "weighted mean of hits; then the 2.5 and 97.5 percent quantiles over the draws",
        slips={
            "the picture hangs on two people: multiply how often both were drawn": shape_only,
            "multiply the two counts: a pair is there only if both of its people are": added,
            "a person who was drawn twice counts twice": once,
            "divide by the weights of that draw, which is not always the number of pictures": (
                unweighted
            ),
            "the ends of 95 percent of the draws, not the extreme ones": ends,
        },
        rtol=1e-6,
    )


def ex1004(yours: Function) -> None:
    """A photo on a mesh: (points (N, 3), picture, depth (H, W), K, c2w) -> colours, seen (N, 4)."""

    def spec(points: Array, picture: Array, depth: Array, K: Array, c2w: Array) -> Array:
        height, width = depth.shape
        camera = Cameras(torch.tensor(K)[None], torch.tensor(c2w)[None], width, height, 0.5)
        x, shown, far = (torch.tensor(a) for a in (points, picture, depth))
        paint, seen = mixed_heads.painted(x, shown, far, camera)
        return np.column_stack([paint.numpy(), seen.numpy()])

    def slip(
        *, around: int = 0, both_sides: bool = False, turned: bool = False, mirrored: bool = False
    ) -> Function:
        def made(points: Array, picture: Array, depth: Array, K: Array, c2w: Array) -> Array:
            rotation = c2w[:3, :3].T if not turned else c2w[:3, :3]
            there = (points - c2w[:3, 3]) @ rotation.T
            u, v = ((there @ K.T)[:, k] / there[:, 2] for k in (0, 1))
            column, row = (np.floor(x).astype(int) + around for x in (u, v))
            if mirrored:
                column, row = row, column
            height, width = depth.shape
            seen = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            column, row = column.clip(0, width - 1), row.clip(0, height - 1)
            nearest = depth[row, column]
            seen &= there[:, 2] > 0
            seen &= nearest > 0
            if not both_sides:
                seen &= there[:, 2] <= nearest + 8
            return np.column_stack([np.where(seen[:, None], picture[row, column], 0), seen])

        return made

    check(
        "ex1004",
        yours,
        spec,
        _photos(),
        hint="p = R^T (x - c), (u, v) = (K p)[:2] / p_z, column floor(u), row floor(v); seen: in "
        "the picture, before the camera, on the head, and at most 8 mm behind the depth there",
        slips={
            "points on the far side get the face, too: compare p_z with the depth in that pixel": (
                slip(both_sides=True)
            ),
            "rows go with v, columns with u: picture[row, column]": slip(mirrored=True),
            "c2w turns from the camera into the scene; here you need its transpose": slip(
                turned=True
            ),
            "you are a pixel off: floor, and not the next one": slip(around=1),
        },
        call=lambda function, *given: np.column_stack(
            [np.asarray(x, float) for x in function(*given)]
        ),
    )


def _distance(pictures: Array, gallery: Array) -> Array:
    """(N, P) cosine distances."""
    x, g = (a / np.linalg.norm(a, axis=1, keepdims=True) for a in (pictures, gallery))
    return np.asarray(1 - x @ g.T)


def _three(table: Array, shape: Array, colours: Array) -> Array:
    """(3, N): two columns picked from a table (N, P), and the column of the smallest."""
    rows = np.arange(len(table))
    return np.stack([table[rows, shape], table[rows, colours], table.argmin(1)]).astype(float)


_SEEDS = {4: 11, 20: 12}


def _seed(times: Array) -> int:
    return _SEEDS[times.shape[1]]


def _pairs(people: int, each: int) -> tuple[Array, ...]:
    """Hits of pairs among so many people, `each` for a shape, and 400 draws."""
    shape = np.repeat(np.arange(people), each)
    colours = (shape + 1 + np.tile(np.arange(each), people)) % people
    random = np.random.default_rng(people)
    hits = (random.uniform(size=len(shape)) < 0.35 + 0.4 * (colours % 2)).astype(float)
    return hits, shape, colours, draws(people, 400, _SEEDS[people])


def _photos() -> dict[str, tuple[Any, ...]]:
    """A few points before cameras, with a depth map of one wall and a gap."""
    random = np.random.default_rng(1004)
    picture = random.uniform(size=(6, 8, 3))
    depth = np.full((6, 8), 100.0)
    depth[:, 0] = 0.0
    K = np.array([[50.0, 0, 4.0], [0, 50.0, 3.0], [0, 0, 1.0]])
    straight = np.eye(4)
    cell = random.uniform(0.1, 0.9, (12, 2)) + np.stack(
        [random.integers(1, 8, 12), random.integers(0, 6, 12)], 1
    )
    flat = np.column_stack([(cell - [4.0, 3.0]) * 2, np.full(12, 100.0)])
    angle = 0.7
    turned = np.eye(4)
    turned[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]
    ]  # fmt: skip
    turned[:3, 3] = [5.0, -2.0, 7.0]
    behind = flat * [[1.3, 1.3, 1.3]]
    seen_by = flat @ turned[:3, :3].T + turned[:3, 3]
    outside = np.array([[0.0, 40.0, 100.0], [-40.0, 0.0, 100.0], [0.5, 0.5, -100.0]])
    gap = np.array([[-7.5, 0.4, 100.0], [-3.0, 0.4, 104.0], [-3.0, 0.4, 109.0]])
    return {
        "a wall that the camera faces": (flat, picture, depth, K, straight),
        "a camera that is turned": (seen_by, picture, depth, K, turned),
        "points behind the wall": (np.vstack([flat, behind]), picture, depth, K, straight),
        "outside of the picture": (outside, picture, depth, K, straight),
        "a gap, and near the limit": (gap, picture, depth, K, straight),
    }
