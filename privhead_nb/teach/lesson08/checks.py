"""Checks of lesson 8: means of distances, a true one, views to keep, a stage 1 that failed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.teach.lesson08 import few_views


def ex0801(yours: Function) -> None:
    """Mean signed distance of balls and its slope: (points, centers, radii) -> (P,), (P,)."""

    def spec(points: Array, centers: Array, radii: Array) -> tuple[Tensor, Tensor]:
        where = torch.tensor(points, requires_grad=True)
        away = (where[None] - torch.tensor(centers)[:, None]).norm(dim=-1)
        mean = (away - torch.tensor(radii)[:, None]).mean(dim=0)
        (slope,) = torch.autograd.grad(mean.sum(), where)
        return mean, slope.norm(dim=-1)

    def union(points: Array, centers: Array, radii: Array) -> tuple[Array, Tensor]:
        each = np.linalg.norm(points - centers[:, None], axis=-1) - radii[:, None]
        return each.min(axis=0), spec(points, centers, radii)[1]

    rng = np.random.default_rng(8)
    one = (np.array([[2.0, 0, 0], [0, 0.5, 0]]), np.zeros((1, 3)), np.ones(1))
    two = (np.array([[0.0, 0.1, 0], [0.3, 0, 0]]), np.array([[-1.0, 0, 0], [1, 0, 0]]),
           np.array([0.5, 0.5]))  # fmt: skip
    five = (rng.normal(size=(40, 3)), rng.normal(size=(5, 3)), rng.uniform(0.2, 1.0, 5))
    check(
        "ex0801",
        yours,
        spec,
        {"one ball": one, "between two balls": two, "five balls, 40 points": five},
        hint="each ball's distance is |x - c| - r, and its gradient the unit vector (x - c) / "
        "|x - c|; take the mean of both, then the length",
        slips={
            "that is the nearest ball, their union; the mean takes every ball alike": union,
            "take the mean of the gradients first, their length afterwards": lambda *given: (
                spec(*given)[0], np.ones(len(given[0]))),
            "a signed distance is negative inside": lambda *given: (
                -spec(*given)[0], spec(*given)[1]),
        },
    )  # fmt: skip


def redistance(values: Array, step: float) -> Array:
    """The signed distance (H, W) whose zero line is that of `values`; |gradient| = 1.

    The zero line's segments a to b are those of marching squares. A segment's nearest point to x is
    a + t (b - a), with t = (x - a) . (b - a) / |b - a|^2 cut to [0, 1].

    Args:
        values: (H, W) on a lattice; somewhere they change their sign.
        step: of the lattice.
    """
    from skimage.measure import find_contours

    lines = [line * step for line in find_contours(values, 0.0)]
    start = np.concatenate([line[:-1] for line in lines])
    along = np.concatenate([np.diff(line, axis=0) for line in lines])
    points = np.indices(values.shape).reshape(2, -1).T[:, None] * step
    length = np.maximum((along**2).sum(axis=1), 1e-18)
    t = np.clip(((points - start) * along).sum(axis=-1) / length, 0, 1)
    away = np.linalg.norm(points - start - t[..., None] * along, axis=-1).min(axis=1)
    return np.where(values < 0, -1, 1) * away.reshape(values.shape)


def ex0802(yours: Function) -> None:
    """True distance with the same zero line: (values, step) -> (H, W), within half a step."""
    step = 0.05
    x, y = np.meshgrid(*2 * [np.arange(-1.0, 1.001, step)], indexing="ij")
    discs = [np.hypot(x - c, y) - 0.45 for c in (-0.25, 0.25)]
    check(
        "ex0802",
        yours,
        redistance,
        {
            "a disc, already a distance": (np.hypot(x, y) - 0.52, step),
            "the mean of two discs": (np.mean(discs, axis=0), step),
            "an ellipse's equation": ((x / 0.7) ** 2 + (y / 0.4) ** 2 - 1, step),
        },
        hint="find where the values change sign along the lattice's edges, by linear "
        "interpolation; measure the distance to the line through those places, not to the "
        "nearest lattice point; give it the sign of the values",
        slips={
            "the inside must be negative": lambda v, h: np.abs(redistance(v, h)),
            "you count lattice steps; multiply by the step": lambda v, h: redistance(v, h) / h,
            "these are the values that came in": lambda v, _: v,
        },
        rtol=0.0,
        atol=step / 2,  # first-order marching stays within it
    )


def ex0803(yours: Function) -> None:
    """Farthest-point choice of views: (towards, count) -> indices in the order of choice."""

    def greedy(towards: Array, count: int, cost: Function) -> list[int]:
        """View 0, then always the one whose cosines to the chosen ones cost least."""
        chosen = [0]
        while len(chosen) < count:
            costs = cost(towards @ towards[chosen].T)
            costs[chosen] = np.inf
            chosen.append(int(costs.argmin()))
        return chosen

    cloud = np.random.default_rng(82).normal(size=(24, 3))
    angles = np.radians(np.array([0.0, 10, 28, 70, 95, 100, 180]))
    ring = np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=1)
    check(
        "ex0803",
        yours,
        few_views.farthest_views,
        {
            "one view": (np.eye(3), 1),
            "4 of 7 on a ring": (ring, 4),
            "8 of 24 all around": (cloud / np.linalg.norm(cloud, axis=1, keepdims=True), 8),
            "all of 7": (ring, 7),
        },
        hint="for each view look up its nearest chosen one (the largest cosine); take the view "
        "for which that is worst (the smallest), and repeat",
        slips={
            "you add up over all chosen views; what counts is the nearest of them": lambda t, n: (
                greedy(t, n, lambda cosines: cosines.sum(axis=1))
            ),
            "compare with all chosen views, not only with the first": lambda t, n: greedy(
                t, n, lambda cosines: cosines[:, 0].copy()
            ),
            "this takes the nearest view each time; coverage wants the farthest": lambda t, n: (
                greedy(t, n, lambda cosines: -cosines.max(axis=1))
            ),
        },
    )


def ex0804(yours: Function) -> None:
    """Share of the modulus outside of a widened shape: (moduli, shape, reach) -> number."""

    def spec(moduli: Array, shape: Array, reach: int) -> float:
        return few_views.signal_outside(torch.tensor(moduli), torch.tensor(shape), reach)

    rng = np.random.default_rng(83)
    dot, lines = np.zeros((2, 1, 9, 9))
    dot[0, 4, 4] = 1
    lines[0, 4, 4], lines[0, 4, 6], lines[0, 1, 1] = 1.0, 2.0, 5.0
    blobs = (rng.uniform(size=(3, 16, 16)) > 0.8).astype(float)
    check(
        "ex0804",
        yours,
        spec,
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
            "that is the share inside": lambda m, shape, reach: 1 - spec(m, shape, reach),
            "you have not widened the shape": lambda m, shape, _: spec(m, shape, 0),
            "you count pixels; weigh each with its modulus": lambda m, shape, reach: spec(
                (m > 0).astype(float), shape, reach
            ),
        },
        atol=1e-5,
    )
