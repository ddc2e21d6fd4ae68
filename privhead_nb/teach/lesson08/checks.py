"""Checks of lesson 8: means of distances, a true one, views to keep, a stage 1 that failed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from privhead_nb.teach.checks import Array, Function, check, numbers_differ
from privhead_nb.teach.lesson08 import few_views

HINTS = {
    # exercise: a question, and the idea
    "0801": (
        "How far is a point from a ball's surface if you know how far it is from the centre, and "
        "which way does that distance grow fastest?",
        "each ball by itself is easy: a length and a radius, and an arrow of length one away from "
        "the centre; average the lengths, and average the arrows before you measure their length",
    ),
    "0802": (
        "Between two neighbours of opposite sign, where along the edge does the zero line pass?",
        "collect the pieces of the zero line as short segments, measure from each lattice point to "
        "the nearest place on any segment, and let the given values decide the sign",
    ),
    "0803": (
        "Of two views that are still free, which one is worse served by those that you have?",
        "keep for every view how near its nearest chosen one is; the worst served comes next, and "
        "a view that was chosen serves itself",
    ),
    "0804": (
        "Which pixels does the shape reach once its edge may be wrong by `reach` rows and columns, "
        "and what happens at the picture's border?",
        "widen first: a pixel is covered if any pixel of the shape stands in the square window "
        "around it, and outside of the picture there is nothing; then compare two sums",
    ),
}


def ex0801(yours: Function) -> None:
    """Mean signed distance of balls and its slope: (points, centers, radii) -> (P,), (P,)."""

    def spec(points: Array, centers: Array, radii: Array) -> tuple[Tensor, Tensor]:
        where = torch.tensor(points, requires_grad=True)
        away = (where[None] - torch.tensor(centers)[:, None]).norm(dim=-1)
        mean = (away - torch.tensor(radii)[:, None]).mean(dim=0)
        (slope,) = torch.autograd.grad(mean.sum(), where)
        return mean, slope.norm(dim=-1)

    def each(points: Array, centers: Array, radii: Array) -> Array:
        return np.linalg.norm(points - centers[:, None], axis=-1) - radii[:, None]

    def with_slope(slope: Function) -> Function:
        """The right mean beside another slope."""
        return lambda *given: (spec(*given)[0], slope(*given))

    def with_mean(mean: Function) -> Function:
        """The right slope beside another mean, of mean(points, centers, radii)."""
        return lambda *given: (mean(*given), spec(*given)[1])

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
        slips={
            "that is the nearest ball, their union; the mean takes every ball alike": (
                lambda *given: (each(*given).min(0), spec(*given)[1])
            ),
            "take the mean of the gradients first, their length afterwards": with_slope(
                lambda points, *_: np.ones(len(points))
            ),
            "an arrow away from a centre has length one: divide before you average": with_slope(
                lambda points, centers, _: np.linalg.norm(points - centers.mean(0), axis=1)
            ),
            "a signed distance is negative inside": (
                lambda *given: (-spec(*given)[0], spec(*given)[1])
            ),
            "to the centre is not to the surface: where are the radii?": (
                lambda points, centers, radii: spec(points, centers, 0 * radii)
            ),
            "that is a sum over the balls; divide by their number": (
                lambda *given: tuple(len(given[1]) * part for part in spec(*given))
            ),
            "the gradient's arrows are summed; divide by the number of balls": with_slope(
                lambda *given: len(given[1]) * spec(*given)[1]
            ),
            "the distances are summed; divide by the number of balls": with_mean(
                lambda *given: len(given[1]) * spec(*given)[0]
            ),
            "a distance to a surface is shorter by the radius, not longer": with_mean(
                lambda points, centers, radii: each(points, centers, -radii).mean(0)
            ),
            "every ball has its own radius": with_mean(
                lambda points, centers, radii: each(points, centers, 0 * radii + radii[0]).mean(0)
            ),
            "a signed distance keeps its sign in the mean": with_mean(
                lambda *given: np.abs(each(*given)).mean(0)
            ),
            "that is the farthest ball, their intersection; the mean takes every ball alike": (
                with_mean(lambda *given: each(*given).max(0))
            ),
            "this is one ball in the middle: the mean of distances is another number": with_mean(
                lambda points, centers, radii: each(
                    points, centers.mean(0, keepdims=True), radii.mean(keepdims=True)
                )[0]
            ),
            "squares of lengths are no distances: take the root": with_mean(
                lambda points, centers, radii: (
                    (each(points, centers, 0 * radii) ** 2 - radii[:, None] ** 2).mean(0)
                )
            ),
            "this is the square of the gradient's length: take the root": with_slope(
                lambda *given: spec(*given)[1] ** 2
            ),
            "that is the slope of the nearest ball, one everywhere; and of the mean?": (
                lambda *given: (each(*given).min(0), np.ones(len(given[0])))
            ),
            "the mean first, then the length of its gradient": lambda *given: spec(*given)[::-1],
        },
    )  # fmt: skip


def redistance(
    values: Array, step: float, choose: Function = lambda lines: lines, whole: float = 1.0
) -> Array:
    """The signed distance (H, W) whose zero line is that of `values`; |gradient| = 1.

    The zero line's segments a to b are those of marching squares. A segment's nearest point to x is
    a + t (b - a), with t = (x - a) . (b - a) / |b - a|^2 cut to [0, 1].

    Args:
        values: (H, W) on a lattice; somewhere they change their sign.
        step: of the lattice.
        choose, whole: slips choose other lines, or only the share `whole` of a segment.
    """
    from skimage.measure import find_contours

    lines = [line * step for line in choose(find_contours(values, 0.0))]
    start = np.concatenate([line[:-1] for line in lines])
    along = np.concatenate([np.diff(line, axis=0) for line in lines])
    points = np.indices(values.shape).reshape(2, -1).T[:, None] * step
    length = np.maximum((along**2).sum(axis=1), 1e-18)
    t = np.clip(((points - start) * along).sum(axis=-1) / length, 0, whole)
    away = np.linalg.norm(points - start - t[..., None] * along, axis=-1).min(axis=1)
    return np.where(values < 0, -1, 1) * away.reshape(values.shape)


NEAR = 0.1  # steps: how right the nodes next to the zero line must be


def ex0802(yours: Function) -> None:
    """True distance, same zero line: (values, step) -> (H, W).

    Within three quarters of a step, which first-order marching keeps, and within a tenth of a step
    at inner nodes that are less than one away from the line.
    """
    step = 0.05
    x, y = np.meshgrid(*2 * [np.arange(-1.0, 1.001, step)], indexing="ij")
    discs = [np.hypot(x - c, y) - 0.45 for c in (-0.25, 0.25)]
    apart = np.minimum(np.hypot(x + 0.3, y + 0.25) - 0.42, np.hypot(x - 0.55, y - 0.5) - 0.25)

    def cells(values: Array, h: float) -> Array:
        """From cell to cell, as if the line passed through lattice points."""
        inside, outside = (ndimage.distance_transform_edt(v) for v in (values < 0, values >= 0))
        return h * np.asarray(outside - inside)

    def longest(values: Array, h: float) -> Array:
        """From the longest piece of the line alone."""
        return redistance(values, h, lambda lines: [max(lines, key=len)])

    def closed(values: Array, h: float) -> Array:
        """As if each piece came back to where it begins."""
        return redistance(values, h, lambda lines: [np.vstack([a, a[:1]]) for a in lines])

    def corners(values: Array, h: float) -> Array:
        """From the crossings on lattice edges, without what is between them."""
        return redistance(values, h, lambda lines: [a[[*range(len(a)), -1]] for a in lines], 0.0)

    def near_too(got: Any, wanted: Array) -> list[str] | None:
        wrong = numbers_differ(got, wanted, 0.0, 0.75 * step)
        if wrong is None:
            near = np.pad(np.abs(wanted)[1:-1, 1:-1] < step, 1)  # the line may end at the rim
            mine = np.where(near, np.asarray(got, float), wanted)
            wrong = numbers_differ(mine, wanted, 0.0, NEAR * step)
        return wrong

    check(
        "ex0802",
        yours,
        redistance,
        {
            "a disc, already a distance": (np.hypot(x, y) - 0.52, step),
            "the mean of two discs": (np.mean(discs, axis=0), step),
            "an ellipse's equation": ((x / 0.7) ** 2 + (y / 0.4) ** 2 - 1, step),
            "two discs apart": (apart, step),
            "a bent line from rim to rim": (3 * (x - 0.7 * y**2 + 0.2), step),
        },
        slips={
            "the inside must be negative": lambda v, h: np.abs(redistance(v, h)),
            "you count lattice steps; multiply by the step": lambda v, h: redistance(v, h) / h,
            "these are the values that came in": lambda v, _: v,
            "the signs are the wrong way round": lambda v, h: -redistance(v, h),
            "one division by the slope is right near the line only; far off the slope is another": (
                lambda v, h: v / np.maximum(np.hypot(*np.gradient(v, h)), 1e-9)
            ),
            "the zero line may have several pieces: all of them count": longest,
            "a line that leaves the lattice has two ends: don't join them": closed,
            "the line goes on between the crossings: measure to segments, not to their ends": (
                corners
            ),
            "the line passes between lattice points: interpolate where, on each edge": cells,
        },
        same=near_too,
    )


def ex0803(yours: Function) -> None:
    """Farthest-point choice of views: (towards, count) -> indices in the order of choice."""

    def greedy(cost: Function, first: int = 0) -> Function:
        """View `first`, then always the one whose cosines to the chosen ones cost least."""

        def choose(towards: Array, count: int) -> list[int]:
            chosen = [first]
            while len(chosen) < count:
                costs = cost(towards @ towards[chosen].T)
                costs[chosen] = np.inf
                chosen.append(int(costs.argmin()))
            return chosen

        return choose

    def last_of_equals(towards: Array, count: int) -> list[int]:
        turned = np.concatenate([towards[:1], towards[:0:-1]])
        return [(-v) % len(towards) for v in few_views.farthest_views(turned, count)]

    axes = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, -1], [0, -1, 0]])
    cloud = np.random.default_rng(82).normal(size=(24, 3))
    angles = np.radians(np.array([0.0, 10, 28, 70, 95, 100, 180]))
    ring = np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=1)
    check(
        "ex0803",
        yours,
        few_views.farthest_views,
        {
            "one view": (np.eye(3), 1),
            "8 of 24 all around": (cloud / np.linalg.norm(cloud, axis=1, keepdims=True), 8),
            "4 of 7 on a ring": (ring, 4),
            "all of 7": (ring, 7),
            "equally far": (axes, 5),
        },
        slips={
            "you add up over all chosen views; what counts is the nearest of them": greedy(
                lambda cosines: cosines.sum(axis=1)
            ),
            "compare with all chosen views, not only with the first": greedy(
                lambda cosines: cosines[:, 0].copy()
            ),
            "compare with all chosen views, not only with the last": greedy(
                lambda cosines: cosines[:, -1].copy()
            ),
            "this takes the nearest view each time; coverage wants the farthest": greedy(
                lambda cosines: -cosines.max(axis=1)
            ),
            "the smallest cosine is the farthest chosen view; ask for the nearest": greedy(
                lambda cosines: cosines.min(axis=1)
            ),
            "opposite is as far as can be: a cosine of -1 is no 1": greedy(
                lambda cosines: np.abs(cosines).max(axis=1)
            ),
            "of equally far views take the first": last_of_equals,
            "the first choice is view 0": greedy(lambda cosines: cosines.max(axis=1), first=1),
            "in the order of choice, please: these are sorted": (
                lambda towards, count: sorted(few_views.farthest_views(towards, count))
            ),
            "these are simply the first views": lambda _, count: list(range(count)),
        },
    )


def ex0804(yours: Function) -> None:
    """Share of the modulus outside of a widened shape: (moduli, shape, reach) -> number."""

    def spec(moduli: Array, shape: Array, reach: int) -> float:
        return few_views.signal_outside(torch.tensor(moduli), torch.tensor(shape), reach)

    def uncovered(moduli: Array, wide: Array) -> float:
        return float((moduli * (1 - wide)).sum() / moduli.sum())

    def crosses(moduli: Array, shape: Array, reach: int) -> float:
        plus = ndimage.generate_binary_structure(2, 1)[None]
        wide = ndimage.binary_dilation(shape, plus, reach) if reach else shape
        return uncovered(moduli, wide * 1.0)

    def around(moduli: Array, shape: Array, reach: int) -> float:
        size = (1, 2 * reach + 1, 2 * reach + 1)
        return uncovered(moduli, ndimage.maximum_filter(shape, size, mode="wrap"))

    def window(*size: float) -> Function:
        """Widened in another window: sizes along pictures, rows, columns from a size for each."""

        def made(moduli: Array, shape: Array, reach: int) -> float:
            sizes = tuple(int(a * reach + b) for a, b in zip(size[::2], size[1::2], strict=True))
            return uncovered(moduli, ndimage.maximum_filter(shape, sizes, mode="constant"))

        return made

    def by_picture(moduli: Array, shape: Array, reach: int) -> float:
        return float(np.mean([spec(m[None], s[None], reach)
                              for m, s in zip(moduli, shape, strict=True)]))  # fmt: skip

    rng = np.random.default_rng(83)
    dot, lines = np.zeros((2, 1, 9, 9))
    dot[0, 4, 4] = 1
    lines[0, 4, 4], lines[0, 4, 6], lines[0, 1, 1] = 1.0, 2.0, 5.0
    lines[0, 3, 5], lines[0, 3, 4], lines[0, 8, 0] = 3.0, 0.5, 4.0
    lines[0, 4, 5], lines[0, 5, 4], lines[0, 5, 3] = 0.7, 0.3, 1.5
    blobs = (rng.uniform(size=(3, 16, 16)) > 0.8).astype(float)
    bright = rng.uniform(size=(3, 16, 16)) * np.array([1.0, 3.0, 0.2])[:, None, None]
    check(
        "ex0804",
        yours,
        spec,
        {
            "a dot, not widened": (lines, dot, 0),
            "a dot, widened by 1 pixel": (lines, dot, 1),
            "a dot, widened by 2 pixels": (lines, dot, 2),
            "at the picture's border": (lines, np.roll(dot, (-4, -4), (1, 2)), 1),
            "three pictures": (bright, blobs, 1),
            "nothing outside": (lines, np.ones_like(lines), 1),
        },
        slips={
            "that is the share inside": lambda m, shape, reach: 1 - spec(m, shape, reach),
            "you have not widened the shape": lambda m, shape, _: spec(m, shape, 0),
            "you count pixels; weigh each with its modulus": lambda m, shape, reach: spec(
                (m > 0).astype(float), shape, reach
            ),
            "diagonals, too: the window is a square": crosses,
            "the left border is no neighbour of the right one": around,
            "each picture by itself: yours widens from one view into the next": window(
                2, 1, 2, 1, 2, 1
            ),
            "to both sides and up and down: yours is widened up and down only": window(
                0, 1, 2, 1, 0, 1
            ),
            "to both sides and up and down: yours is widened sideways only": window(
                0, 1, 0, 1, 2, 1
            ),
            "by `reach` to each side: the window is 2 reach + 1 wide": window(0, 1, 1, 1, 1, 1),
            "one share for all pictures together, not the mean of a share for each": by_picture,
            "that is an amount, not a share: divide by all of the modulus": (
                lambda m, shape, reach: spec(m, shape, reach) * m.sum()
            ),
        },
        atol=1e-5,
    )
