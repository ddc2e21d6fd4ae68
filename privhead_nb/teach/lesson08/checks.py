"""Checks of lesson 8: means of distances, a true one, views to keep, a stage 1 that failed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.teach.lesson08 import few_views
from privhead_nb.teach.lesson08.redistance import redistance


def ex0801(yours: Function) -> None:
    """Mean signed distance of balls and its slope: (points, centers, radii) -> (P,), (P,)."""

    def each(points: Array, centers: Array, radii: Array) -> torch.Tensor:
        where = torch.tensor(points)
        away = (where[None] - torch.tensor(centers)[:, None]).norm(dim=-1)
        return away - torch.tensor(radii)[:, None]

    def spec(points: Array, centers: Array, radii: Array) -> Array:
        where = torch.tensor(points, requires_grad=True)
        away = (where[None] - torch.tensor(centers)[:, None]).norm(dim=-1)
        mean = (away - torch.tensor(radii)[:, None]).mean(dim=0)
        (slope,) = torch.autograd.grad(mean.sum(), where)
        return torch.stack([mean, slope.norm(dim=-1)]).detach().numpy()

    def union(points: Array, centers: Array, radii: Array) -> Array:
        least = each(points, centers, radii).min(dim=0).values.numpy()
        return np.stack([least, spec(points, centers, radii)[1]])

    def of_lengths(points: Array, centers: Array, radii: Array) -> Array:
        mean = spec(points, centers, radii)[0]
        return np.stack([mean, np.ones_like(mean)])

    def inside_out(points: Array, centers: Array, radii: Array) -> Array:
        mean, slope = spec(points, centers, radii)
        return np.stack([-mean, slope])

    rng = np.random.default_rng(8)
    check(
        "ex0801",
        yours,
        spec,
        {
            "one ball": (np.array([[2.0, 0, 0], [0, 0.5, 0]]), np.zeros((1, 3)), np.ones(1)),
            "between two balls": (
                np.array([[0.0, 0.1, 0], [0.3, 0, 0]]),
                np.array([[-1.0, 0, 0], [1, 0, 0]]),
                np.array([0.5, 0.5]),
            ),
            "five balls, 40 points": (
                rng.normal(size=(40, 3)),
                rng.normal(size=(5, 3)),
                rng.uniform(0.2, 1.0, 5),
            ),
        },
        hint="each ball's distance is |x - c| - r, and its gradient the unit vector (x - c) / "
        "|x - c|; take the mean of both, then the length",
        slips={
            "that is the nearest ball, their union; the mean takes every ball alike": union,
            "take the mean of the gradients first, their length afterwards": of_lengths,
            "a signed distance is negative inside": inside_out,
        },
    )


def ex0802(yours: Function) -> None:
    """True distance with the same zero line: (values, step) -> (H, W), within half a step."""

    def same(got: Any, wanted: Array) -> list[str] | None:
        try:
            mine = np.asarray(got, dtype=np.float64)
        except (TypeError, ValueError):
            return [f"yours is {got!r}, which is not made of numbers"]
        if mine.shape != wanted.shape:
            return [f"yours has the shape {mine.shape}, the specification {wanted.shape}"]
        off = np.abs(mine - wanted)
        # a step of a lattice is 0.05 in every case; first-order marching stays within half of it
        if not np.isfinite(mine).all() or off.max() > 0.025:
            worst = tuple(int(i) for i in np.unravel_index(np.nanargmax(off), off.shape))
            return [
                f"at {worst}: yours {mine[worst]:.4f}, specification {wanted[worst]:.4f}",
                f"{int((off > 0.025).sum())} of {off.size} values are off by over half a step",
            ]
        return None

    def unsigned(values: Array, step: float) -> Array:
        return np.abs(redistance(values, step))

    def in_steps(values: Array, step: float) -> Array:
        return redistance(values, step) / step

    def nothing(values: Array, _: float) -> Array:
        return values

    axis = np.arange(-1.0, 1.001, 0.05)
    x, y = np.meshgrid(axis, axis, indexing="ij")
    discs = [np.hypot(x - c, y) - 0.45 for c in (-0.25, 0.25)]
    egg = (x / 0.7) ** 2 + (y / 0.4) ** 2 - 1
    check(
        "ex0802",
        yours,
        redistance,
        {
            "a disc, already a distance": (np.hypot(x, y) - 0.52, 0.05),
            "the mean of two discs": (np.mean(discs, axis=0), 0.05),
            "an ellipse's equation": (egg, 0.05),
        },
        hint="find where the values change sign along the lattice's edges, by linear "
        "interpolation; measure the distance to the line through those places, not to the "
        "nearest lattice point; give it the sign of the values",
        slips={
            "the inside must be negative": unsigned,
            "you count lattice steps; multiply by the step": in_steps,
            "these are the values that came in": nothing,
        },
        same=same,
    )


def ex0803(yours: Function) -> None:
    """Farthest-point choice of views: (towards, count) -> indices in the order of choice."""

    def of_sum(towards: Array, count: int) -> list[int]:
        chosen = [0]
        while len(chosen) < count:
            total = (towards @ towards[chosen].T).sum(axis=1)
            total[chosen] = np.inf
            chosen.append(int(total.argmin()))
        return chosen

    def from_first(towards: Array, count: int) -> list[int]:
        order = np.argsort(towards @ towards[0], kind="stable")
        return [0, *[int(i) for i in order if i != 0]][:count]

    def nearest(towards: Array, count: int) -> list[int]:
        chosen = [0]
        while len(chosen) < count:
            cosine = (towards @ towards[chosen].T).max(axis=1)
            cosine[chosen] = -np.inf
            chosen.append(int(cosine.argmax()))
        return chosen

    rng = np.random.default_rng(82)
    cloud = rng.normal(size=(24, 3))
    ring = np.radians(np.array([0.0, 10, 28, 70, 95, 100, 180]))
    check(
        "ex0803",
        yours,
        few_views.farthest_views,
        {
            "one view": (np.eye(3), 1),
            "4 of 7 on a ring": (np.stack([np.sin(ring), 0 * ring, np.cos(ring)], axis=1), 4),
            "8 of 24 all around": (cloud / np.linalg.norm(cloud, axis=1, keepdims=True), 8),
            "all of 7": (np.stack([np.sin(ring), 0 * ring, np.cos(ring)], axis=1), 7),
        },
        hint="for each view look up its nearest chosen one (the largest cosine); take the view "
        "for which that is worst (the smallest), and repeat",
        slips={
            "you add up over all chosen views; what counts is the nearest of them": of_sum,
            "compare with all chosen views, not only with the first": from_first,
            "this takes the nearest view each time; coverage wants the farthest": nearest,
        },
    )


def ex0804(yours: Function) -> None:
    """Share of the modulus outside of a widened shape: (moduli, shape, reach) -> number."""

    def on(moduli: Array, shape: Array, reach: int) -> float:
        return few_views.signal_outside(torch.tensor(moduli), torch.tensor(shape), reach)

    def inside(moduli: Array, shape: Array, reach: int) -> float:
        return 1 - on(moduli, shape, reach)

    def not_widened(moduli: Array, shape: Array, _: int) -> float:
        return on(moduli, shape, 0)

    def of_pixels(moduli: Array, shape: Array, reach: int) -> float:
        return on((moduli > 0).astype(moduli.dtype), shape, reach)

    def same(got: Any, wanted: float) -> list[str] | None:
        try:
            mine = float(got)
        except (TypeError, ValueError):
            return [f"yours is {got!r}, which is no number"]
        if abs(mine - wanted) < 1e-5:
            return None
        return [f"yours {mine:.6g}, specification {wanted:.6g}"]

    rng = np.random.default_rng(83)
    dot = np.zeros((1, 9, 9))
    dot[0, 4, 4] = 1
    lines = np.zeros((1, 9, 9))
    lines[0, 4, 4], lines[0, 4, 6], lines[0, 1, 1] = 1.0, 2.0, 5.0
    blobs = (rng.uniform(size=(3, 16, 16)) > 0.8).astype(float)
    check(
        "ex0804",
        yours,
        on,
        {
            "a dot, not widened": (lines, dot, 0),
            "a dot, widened by 2 pixels": (lines, dot, 2),
            "at the picture's border": (lines, np.roll(dot, (-4, -4), (1, 2)), 1),
            "three pictures": (rng.uniform(size=(3, 16, 16)), blobs, 1),
            "nothing outside": (lines, np.ones_like(lines), 1),
        },
        hint="widen first: a pixel is covered if any pixel of the shape lies within `reach` rows "
        "and columns (diagonals too); then sum the modulus that is not covered, over all of it",
        slips={
            "that is the share inside": inside,
            "you have not widened the shape": not_widened,
            "you count pixels; weigh each with its modulus": of_pixels,
        },
        same=same,
    )
