"""Lesson 08: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
from answers import edited, spoiled
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import find_contours

# 0801, a mean of balls ----------------------------------------------------------------------------


def mean_of_balls(points: Any, centers: Any, radii: Any) -> Any:
    away = points[:, None] - centers
    lengths = np.linalg.norm(away, axis=2)
    gradient = (away / lengths[..., None]).mean(1)
    return (lengths - radii).mean(1), np.linalg.norm(gradient, axis=1)


def ball_by_ball(points: Any, centers: Any, radii: Any) -> Any:
    """Right: a loop over the balls."""
    mean, slope = np.zeros(len(points)), np.zeros_like(points)
    for center, radius in zip(centers, radii, strict=True):
        away = points - center
        length = np.sqrt((away**2).sum(1))
        mean += (length - radius) / len(centers)
        slope += away / length[:, None] / len(centers)
    return mean, np.sqrt((slope**2).sum(1))


def by_small_steps(points: Any, centers: Any, radii: Any) -> Any:
    """Right: the slope from small differences."""

    def mean(x: Any) -> Any:
        return (np.linalg.norm(x[:, None] - centers, axis=2) - radii).mean(1)

    slope = [(mean(points + h) - mean(points - h)) / 2e-5 for h in 1e-5 * np.eye(3)]
    return mean(points), np.linalg.norm(slope, axis=0)


LENGTH = "np.linalg.norm(gradient, axis=1)"


# 0802, repair a distance --------------------------------------------------------------------------


def dense_points(values: Any, step: float) -> Any:
    """Right: many points on a refined zero line."""
    fine = ndimage.zoom(values, 8, order=1, grid_mode=False)
    scale = step * (values.shape[0] - 1) / (fine.shape[0] - 1)
    line = np.concatenate(find_contours(fine, 0.0)) * scale
    where = np.indices(values.shape).reshape(2, -1).T * step
    away = cKDTree(line).query(where)[0].reshape(values.shape)
    return np.where(values < 0, -away, away)


def by_segments(values: Any, step: float) -> Any:
    """Right."""
    lines = find_contours(values, 0.0)
    first, last = (np.concatenate([a[cut] for a in lines]) for cut in (slice(-1), slice(1, None)))
    where = np.indices(values.shape).reshape(2, -1).T[:, None].astype(float)
    share = ((where - first) * (last - first)).sum(-1) / ((last - first) ** 2).sum(-1).clip(1e-12)
    foot = first + share.clip(0, 1)[..., None] * (last - first)
    away = step * np.linalg.norm(where - foot, axis=-1).min(1).reshape(values.shape)
    return np.where(values < 0, -away, away)


LINES = "find_contours(values, 0.0)"


def crossings_only(values: Any, step: float) -> Any:
    line = np.concatenate(find_contours(values, 0.0)) * step
    where = np.indices(values.shape).reshape(2, -1).T * step
    away = cKDTree(line).query(where)[0].reshape(values.shape)
    return np.where(values < 0, -away, away)


def swept(values: Any, step: float) -> Any:
    """Right: values at the line by interpolation, then fast sweeping of the eikonal equation."""
    far = np.full(values.shape, 1e3)
    for axis in (0, 1):
        a, b = np.moveaxis(values, axis, 0)[:-1], np.moveaxis(values, axis, 0)[1:]
        share = np.where(a * b <= 0, np.abs(a) / (np.abs(a) + np.abs(b) + 1e-12), np.nan)
        near = np.moveaxis(far, axis, 0)
        near[:-1] = np.fmin(near[:-1], share * step)
        near[1:] = np.fmin(near[1:], (1 - share) * step)
    slope = np.hypot(*np.gradient(values, step))
    frozen = far < 1e2
    out = np.where(frozen, np.minimum(far, np.abs(values) / slope.clip(1e-6)), 1e3)
    rows, columns = values.shape
    for turn in range(8):
        for i in range(rows)[:: 1 if turn % 2 else -1]:
            for j in range(columns)[:: 1 if turn // 2 % 2 else -1]:
                if frozen[i, j]:
                    continue
                a = min(out[max(i - 1, 0), j], out[min(i + 1, rows - 1), j])
                b = min(out[i, max(j - 1, 0)], out[i, min(j + 1, columns - 1)])
                if abs(a - b) >= step:
                    new = min(a, b) + step
                else:
                    new = (a + b + np.sqrt(2 * step**2 - (a - b) ** 2)) / 2
                out[i, j] = min(out[i, j], new)
    return np.where(values < 0, -out, out)


def between_cells(values: Any, step: float) -> Any:
    outside = ndimage.distance_transform_edt(values >= 0)
    return step * (outside - ndimage.distance_transform_edt(values < 0))


# 0803, the next best view -------------------------------------------------------------------------


def by_angles(towards: Any, count: int) -> Any:
    """Right: angles instead of cosines, kept up to date."""
    chosen, angle = [0], np.arccos((towards @ towards[0]).clip(-1, 1))
    while len(chosen) < count:
        chosen.append(int(np.argmax(angle.round(9))))
        angle = np.minimum(angle, np.arccos((towards @ towards[chosen[-1]]).clip(-1, 1)))
    return np.array(chosen)


def by_lengths(towards: Any, count: int) -> Any:
    """Right: distances of the unit vectors."""
    chosen = [0]
    while len(chosen) < count:
        free = [v for v in range(len(towards)) if v not in chosen]
        far = [round(min(np.linalg.norm(towards[v] - towards[c]) for c in chosen), 9) for v in free]
        chosen.append(free[far.index(max(far))])
    return chosen


def greedy(towards: Any, count: int) -> Any:
    chosen = [0]
    while len(chosen) < count:
        free = [v for v in range(len(towards)) if v not in chosen]
        chosen.append(min(free, key=lambda v: round(max(towards[chosen] @ towards[v]), 9)))
    return chosen


NEAREST = "max(towards[chosen] @ towards[v])"


# 0804, an examination without the truth -----------------------------------------------------------


def by_filter(moduli: Any, shape: Any, reach: int) -> Any:
    """Right: scipy's largest in a window."""
    wide = ndimage.maximum_filter(shape, (1, 2 * reach + 1, 2 * reach + 1), mode="constant")
    return (moduli * (1 - wide)).sum() / moduli.sum()


def pixel_by_pixel(moduli: Any, shape: Any, reach: int) -> Any:
    """Right: loops."""
    outside = 0.0
    for v, i, j in np.ndindex(moduli.shape):
        top, left = max(i - reach, 0), max(j - reach, 0)
        if not shape[v, top : i + reach + 1, left : j + reach + 1].any():
            outside += moduli[v, i, j]
    return outside / moduli.sum()


def a_cross(moduli: Any, shape: Any, reach: int) -> Any:
    wide = shape.copy()
    for _ in range(reach):
        grown = np.pad(wide, ((0, 0), (1, 1), (1, 1)))
        wide = np.maximum.reduce([
            wide, grown[:, :-2, 1:-1], grown[:, 2:, 1:-1], grown[:, 1:-1, :-2], grown[:, 1:-1, 2:],
        ])  # fmt: skip
    return (moduli * (1 - wide)).sum() / moduli.sum()


def rolled(moduli: Any, shape: Any, reach: int) -> Any:
    steps = range(-reach, reach + 1)
    wide = np.max([np.roll(shape, (i, j), (1, 2)) for i in steps for j in steps], axis=0)
    return (moduli * (1 - wide)).sum() / moduli.sum()


SHARE = "(moduli * (1 - wide)).sum() / moduli.sum()"

WRONG = [
    *spoiled(
        "0801", mean_of_balls,
        ("radii).mean(1)", "radii).min(1)", "their union"),
        (LENGTH, "np.linalg.norm(away / lengths[..., None], axis=2).mean(1)",
         "mean of the gradients first"),
        ("(away / lengths[..., None])", "away", "divide before you average"),
        ("lengths - radii", "radii - lengths", "negative inside"),
        ("lengths - radii", "lengths", "where are the radii?"),
        (LENGTH, "gradient", "not made of numbers"),
        ("lengths - radii", "lengths + radii", "by the radius, not longer"),
        ("- radii", "- radii[0]", "its own radius"),
        ("(lengths - radii)", "abs(lengths - radii)", "keeps its sign"),
        ("radii).mean(1)", "radii).max(1)", "the farthest ball"),
        ("lengths - radii", "lengths**2 - radii**2", "squares of lengths"),
        ("radii).mean(1)", "radii).sum(1)", "the distances are summed"),
        ("None]).mean(1)", "None]).sum(1)", "arrows are summed"),
        (LENGTH, "(gradient**2).sum(1)", "the square of the gradient's length"),
        ("(lengths - radii).mean(1)",
         "np.linalg.norm(points - centers.mean(0), axis=1) - radii.mean()",
         "one ball in the middle"),
        ("radii).mean(1), " + LENGTH, "radii).min(1), np.ones(len(points))",
         "the slope of the nearest ball"),
    ),
    ("0801", edited(mean_of_balls, ("None]).mean", "None]).sum"), ("radii).mean", "radii).sum")),
     "divide by their number"),
    ("0801", lambda *given: mean_of_balls(*given)[::-1], "the mean first"),
    *spoiled(
        "0802", by_segments,
        (LINES, f"[max({LINES}, key=len)]", "may have several pieces"),
        (LINES, f"{LINES}[:1]", "may have several pieces"),
        (LINES, f"[np.concatenate([a, a[:1]]) for a in {LINES}]", "don't join them"),
        ("np.where(values < 0, -away, away)", "away", "the inside must be negative"),
        ("away = step *", "away =", "multiply by the step"),
        ("-away, away", "away, -away", "wrong way round"),
    ),
    ("0802", crossings_only, "the line goes on between the crossings"),
    ("0802", lambda values, step: values, "the values that came in"),
    ("0802", lambda values, step: values / np.hypot(*np.gradient(values, step)).clip(1e-9),
     "near the line only"),
    ("0802", between_cells, "passes between lattice points"),
    ("0802", lambda values, step: find_contours(values, 0.0)[0] * step, "has the shape"),
    *spoiled(
        "0803", greedy,
        (NEAREST, "sum(towards[chosen] @ towards[v])", "the nearest of them"),
        (NEAREST, "towards[0] @ towards[v]", "not only with the first"),
        (NEAREST, "towards[chosen[-1]] @ towards[v]", "not only with the last"),
        ("round(", "-round(", "wants the farthest"),
        (NEAREST, "min(towards[chosen] @ towards[v])", "ask for the nearest"),
        (NEAREST, "max(abs(towards[chosen] @ towards[v]))", "opposite is as far as can be"),
        ("return chosen", "return sorted(chosen)", "these are sorted"),
        ("chosen = [0]", "chosen = [1]", "is view 0"),
        ("min(free", "min(free[::-1]", "take the first"),
        ("< count", "< min(count + 1, len(towards))", "has the shape"),
    ),
    ("0803", lambda towards, count: list(range(count)), "simply the first views"),
    *spoiled(
        "0804", by_filter,
        ("(1 - wide)", "wide", "the share inside"),
        ("(1 - wide)", "(1 - shape)", "not widened the shape"),
        (SHARE, "((moduli > 0) * (1 - wide)).sum() / (moduli > 0).sum()",
         "weigh each with its modulus"),
        (SHARE, "((moduli * (1 - wide)).sum((1, 2)) / moduli.sum((1, 2))).mean()",
         "one share for all pictures"),
        (" / moduli.sum()", "", "divide by all of the modulus"),
        ("(1, 2 * reach", "(2 * reach + 1, 2 * reach", "from one view into the next"),
        ("2 * reach + 1)", "1)", "up and down only"),
        ("2 * reach + 1,", "1,", "sideways only"),
        ("2 * reach + 1, 2 * reach + 1", "reach + 1, reach + 1", "2 reach + 1 wide"),
        (SHARE, "(moduli * (1 - wide)).sum((1, 2)) / moduli.sum((1, 2))", "has the shape"),
    ),
    ("0804", a_cross, "the window is a square"),
    ("0804", rolled, "no neighbour of the right one"),
]  # fmt: skip

RIGHT = [
    ("0801", mean_of_balls),
    ("0801", ball_by_ball),
    ("0801", by_small_steps),
    ("0802", by_segments),
    ("0802", dense_points),
    ("0802", swept),
    ("0803", greedy),
    ("0803", by_angles),
    ("0803", by_lengths),
    ("0804", by_filter),
    ("0804", pixel_by_pixel),
]
