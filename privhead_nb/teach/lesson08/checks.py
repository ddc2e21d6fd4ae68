"""Checks of lesson 8: means of distances, a true one, views to keep, a stage 1 that failed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import ndimage

from privhead_nb.teach.checks import Array, Function, Slip, check, numbers_differ
from privhead_nb.teach.lesson08 import few_views


def ex0801(yours: Function) -> None:
    """Mean signed distance of balls and its slope: (points, centers, radii) -> (P,), (P,)."""
    rng = np.random.default_rng(8)
    one = (np.array([[2.0, 0, 0], [0, 0.5, 0]]), np.zeros((1, 3)), np.ones(1))
    two = (np.array([[0.0, 0.1, 0], [0.3, 0, 0]]), np.array([[-1.0, 0, 0], [1, 0, 0]]),
           np.array([0.5, 0.5]))  # fmt: skip
    five = (rng.normal(size=(40, 3)), rng.normal(size=(5, 3)), rng.uniform(0.2, 1.0, 5))
    slips: dict[str, Slip] = {
        "that is the nearest ball, their union; the mean takes every ball alike":
            ("(lengths - radii).mean(", "(lengths - radii).min("),
        "take the mean of the gradients first, their length afterwards":
            ("np.linalg.norm(gradient, axis=1)", "np.ones(len(points))"),
        "an arrow away from a centre has length one: divide before you average":
            ("away / lengths[..., None]", "away"),
        "a signed distance is negative inside": ("lengths - radii", "radii - lengths"),
        "to the centre is not to the surface: where are the radii?": ("lengths - radii", "lengths"),
    }  # fmt: skip
    check(
        "ex0801",
        yours,
        _mean_of_balls,
        {"one ball": one, "between two balls": two, "five balls, 40 points": five},
        slips=slips,
    )


def _mean_of_balls(points: Array, centers: Array, radii: Array) -> tuple[Array, Array]:
    away = points[:, None] - centers
    lengths = np.linalg.norm(away, axis=2)
    gradient = (away / lengths[..., None]).mean(axis=1)
    return (lengths - radii).mean(axis=1), np.linalg.norm(gradient, axis=1)


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

    def near_too(got: Any, wanted: Array) -> list[str] | None:
        wrong = numbers_differ(got, wanted, 0.0, 0.75 * step)
        if wrong is None:
            near = np.pad(np.abs(wanted)[1:-1, 1:-1] < step, 1)  # the line may end at the rim
            mine = np.where(near, np.asarray(got, float), wanted)
            wrong = numbers_differ(mine, wanted, 0.0, NEAR * step)
        return wrong

    cases = {
        "a disc, already a distance": (np.hypot(x, y) - 0.52, step),
        "the mean of two discs": (np.mean(discs, axis=0), step),
        "an ellipse's equation": ((x / 0.7) ** 2 + (y / 0.4) ** 2 - 1, step),
        "two discs apart": (apart, step),
        "a bent line from rim to rim": (3 * (x - 0.7 * y**2 + 0.2), step),
    }
    slips: dict[str, Slip] = {
        "the inside must be negative": ("np.where(values < 0, -1, 1) * ", ""),
        "you count lattice steps; multiply by the step": lambda v, h: redistance(v, h) / h,
        "one division by the slope is right near the line only; far off the slope is another": (
            lambda v, h: v / np.maximum(np.hypot(*np.gradient(v, h)), 1e-9)
        ),
        "the line passes between lattice points: interpolate where, on each edge": cells,
    }
    check("ex0802", yours, redistance, cases, slips=slips, same=near_too)


def ex0803(yours: Function) -> None:
    """Farthest-point choice of views: (towards, count) -> indices in the order of choice."""
    axes = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, -1], [0, -1, 0]])
    cloud = np.random.default_rng(82).normal(size=(24, 3))
    angles = np.radians(np.array([0.0, 10, 28, 70, 95, 100, 180]))
    ring = np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=1)
    nearest = "(towards @ towards[chosen].T).max(axis=1)"
    cases = {
        "one view": (np.eye(3), 1),
        "8 of 24 all around": (cloud / np.linalg.norm(cloud, axis=1, keepdims=True), 8),
        "4 of 7 on a ring": (ring, 4),
        "all of 7": (ring, 7),
        "equally far": (axes, 5),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "you add up over all chosen views; what counts is the nearest of them":
            (".max(axis=1)", ".sum(axis=1)"),
        "compare with all chosen views, not only with the last":
            (nearest, "towards @ towards[chosen[-1]]"),
        "this takes the nearest view each time; coverage wants the farthest":
            (nearest, f"-{nearest}"),
        "the smallest cosine is the farthest chosen view; ask for the nearest":
            (".max(axis=1)", ".min(axis=1)"),
    }  # fmt: skip
    check("ex0803", yours, few_views.farthest_views, cases, slips=slips)


def ex0804(yours: Function) -> None:
    """Share of the modulus outside of a widened shape: (moduli, shape, reach) -> number."""

    def spec(moduli: Array, shape: Array, reach: int) -> float:
        return few_views.signal_outside(torch.tensor(moduli), torch.tensor(shape), reach)

    rng = np.random.default_rng(83)
    dot, lines = np.zeros((2, 1, 9, 9))
    dot[0, 4, 4] = 1
    lines[0, 4, 4], lines[0, 4, 6], lines[0, 1, 1] = 1.0, 2.0, 5.0
    lines[0, 3, 5], lines[0, 3, 4], lines[0, 8, 0] = 3.0, 0.5, 4.0
    lines[0, 4, 5], lines[0, 5, 4], lines[0, 5, 3] = 0.7, 0.3, 1.5
    blobs = (rng.uniform(size=(3, 16, 16)) > 0.8).astype(float)
    bright = rng.uniform(size=(3, 16, 16)) * np.array([1.0, 3.0, 0.2])[:, None, None]
    cases = {
        "a dot, not widened": (lines, dot, 0),
        "a dot, widened by 1 pixel": (lines, dot, 1),
        "a dot, widened by 2 pixels": (lines, dot, 2),
        "at the picture's border": (lines, np.roll(dot, (-4, -4), (1, 2)), 1),
        "three pictures": (bright, blobs, 1),
        "nothing outside": (lines, np.ones_like(lines), 1),
    }
    slips: dict[str, Slip] = {
        "that is the share inside": lambda m, shape, reach: 1 - spec(m, shape, reach),
        "you have not widened the shape": lambda m, shape, _: spec(m, shape, 0),
        "you count pixels; weigh each with its modulus": lambda m, shape, reach: spec(
            (m > 0).astype(float), shape, reach
        ),
        "that is an amount, not a share: divide by all of the modulus": (
            lambda m, shape, reach: spec(m, shape, reach) * m.sum()
        ),
    }
    check("ex0804", yours, spec, cases, slips=slips, atol=1e-5)
