"""Lesson 08: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import find_contours

# 0801, a mean of balls ----------------------------------------------------------------------------


def lengths(points: Any, centers: Any) -> Any:
    return np.stack([np.linalg.norm(points - c, axis=1) for c in centers], axis=1)


def arrows(points: Any, centers: Any) -> Any:
    return (points[:, None] - centers) / lengths(points, centers)[..., None]


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
    mean = lambda x: (lengths(x, centers) - radii).mean(1)  # noqa: E731
    slope = [(mean(points + h) - mean(points - h)) / 2e-5 for h in 1e-5 * np.eye(3)]
    return mean(points), np.linalg.norm(slope, axis=0)


def nearest_ball(points: Any, centers: Any, radii: Any) -> Any:
    return (lengths(points, centers) - radii).min(1), ball_by_ball(points, centers, radii)[1]


def length_before_mean(points: Any, centers: Any, radii: Any) -> Any:
    slope = np.linalg.norm(arrows(points, centers), axis=2).mean(1)
    return ball_by_ball(points, centers, radii)[0], slope


def arrows_not_unit(points: Any, centers: Any, radii: Any) -> Any:
    slope = np.linalg.norm((points[:, None] - centers).mean(1), axis=1)
    return ball_by_ball(points, centers, radii)[0], slope


def positive_inside(points: Any, centers: Any, radii: Any) -> Any:
    return (radii - lengths(points, centers)).mean(1), ball_by_ball(points, centers, radii)[1]


def to_centres(points: Any, centers: Any, radii: Any) -> Any:
    return lengths(points, centers).mean(1), ball_by_ball(points, centers, radii)[1]


def summed(points: Any, centers: Any, radii: Any) -> Any:
    total = np.linalg.norm(arrows(points, centers).sum(1), axis=1)
    return (lengths(points, centers) - radii).sum(1), total


def of_lengths(mean: Any) -> Any:
    """Another mean(lengths (P, K), radii), beside the right slope."""

    def answer(points: Any, centers: Any, radii: Any) -> Any:
        return mean(lengths(points, centers), radii), ball_by_ball(points, centers, radii)[1]

    return answer


def of_arrows(slope: Any) -> Any:
    """Another slope(arrows (P, K, 3)), beside the right mean."""

    def answer(points: Any, centers: Any, radii: Any) -> Any:
        return ball_by_ball(points, centers, radii)[0], slope(arrows(points, centers))

    return answer


def one_ball(points: Any, centers: Any, radii: Any) -> Any:
    away = np.linalg.norm(points - centers.mean(0), axis=1) - radii.mean()
    return away, ball_by_ball(points, centers, radii)[1]


def a_union(points: Any, centers: Any, radii: Any) -> Any:
    return (lengths(points, centers) - radii).min(1), np.ones(len(points))


def gradient_itself(points: Any, centers: Any, radii: Any) -> Any:
    return ball_by_ball(points, centers, radii)[0], arrows(points, centers).mean(1)


# 0802, repair a distance --------------------------------------------------------------------------


def dense_points(values: Any, step: float) -> Any:
    """Right: many points on a refined zero line."""
    fine = ndimage.zoom(values, 8, order=1, grid_mode=False)
    scale = step * (values.shape[0] - 1) / (fine.shape[0] - 1)
    line = np.concatenate(find_contours(fine, 0.0)) * scale
    where = np.indices(values.shape).reshape(2, -1).T * step
    away = cKDTree(line).query(where)[0].reshape(values.shape)
    return np.where(values < 0, -away, away)


def to_lines(values: Any, step: float, lines: Any) -> Any:
    """Distances to the segments of lines."""
    first, last = (np.concatenate([a[cut] for a in lines]) for cut in (slice(-1), slice(1, None)))
    where = np.indices(values.shape).reshape(2, -1).T[:, None].astype(float)
    share = ((where - first) * (last - first)).sum(-1) / ((last - first) ** 2).sum(-1).clip(1e-12)
    foot = first + share.clip(0, 1)[..., None] * (last - first)
    away = step * np.linalg.norm(where - foot, axis=-1).min(1).reshape(values.shape)
    return np.where(values < 0, -away, away)


def by_segments(values: Any, step: float) -> Any:
    """Right."""
    return to_lines(values, step, find_contours(values, 0.0))


def longest_line(values: Any, step: float) -> Any:
    return to_lines(values, step, [max(find_contours(values, 0.0), key=len)])


def first_line(values: Any, step: float) -> Any:
    return to_lines(values, step, find_contours(values, 0.0)[:1])


def closed_lines(values: Any, step: float) -> Any:
    lines = [np.concatenate([line, line[:1]]) for line in find_contours(values, 0.0)]
    return to_lines(values, step, lines)


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


def no_sign(values: Any, step: float) -> Any:
    return np.abs(dense_points(values, step))


def in_steps(values: Any, step: float) -> Any:
    return dense_points(values, 1.0)


def unchanged(values: Any, step: float) -> Any:
    return values


def upside_down(values: Any, step: float) -> Any:
    return -dense_points(values, step)


def one_newton(values: Any, step: float) -> Any:
    return values / np.hypot(*np.gradient(values, step)).clip(1e-9)


def between_cells(values: Any, step: float) -> Any:
    outside = ndimage.distance_transform_edt(values >= 0)
    return step * (outside - ndimage.distance_transform_edt(values < 0))


def a_line(values: Any, step: float) -> Any:
    return find_contours(values, 0.0)[0] * step


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


def greedy(towards: Any, count: int, cost: Any) -> Any:
    chosen = [0]
    while len(chosen) < count:
        free = [v for v in range(len(towards)) if v not in chosen]
        chosen.append(min(free, key=lambda v: cost(towards[chosen] @ towards[v])))
    return chosen


def summed_cosines(towards: Any, count: int) -> Any:
    return greedy(towards, count, np.sum)


def from_the_first(towards: Any, count: int) -> Any:
    return greedy(towards, count, lambda c: c[0])


def from_the_last(towards: Any, count: int) -> Any:
    return greedy(towards, count, lambda c: c[-1])


def nearest_first(towards: Any, count: int) -> Any:
    return greedy(towards, count, lambda c: -c.max())


def farthest_of_all(towards: Any, count: int) -> Any:
    return greedy(towards, count, np.min)


def lines_not_arrows(towards: Any, count: int) -> Any:
    return greedy(towards, count, lambda c: np.abs(c).max())


def in_order(towards: Any, count: int) -> Any:
    return sorted(by_angles(towards, count))


def from_view_1(towards: Any, count: int) -> Any:
    chosen = [1]
    while len(chosen) < count:
        free = [v for v in range(len(towards)) if v not in chosen]
        chosen.append(min(free, key=lambda v: max(towards[chosen] @ towards[v])))
    return chosen


def last_of_equals(towards: Any, count: int) -> Any:
    chosen = [0]
    while len(chosen) < count:
        nearest = (towards @ towards[chosen].T).max(1).round(9)
        nearest[chosen] = np.inf
        chosen.append(int(np.flatnonzero(nearest == nearest.min())[-1]))
    return chosen


def one_too_many(towards: Any, count: int) -> Any:
    return by_angles(towards, min(count + 1, len(towards)))


def the_first_ones(towards: Any, count: int) -> Any:
    return list(range(count))


# 0804, an examination without the truth -----------------------------------------------------------


def widened(shape: Any, reach: int) -> Any:
    return ndimage.maximum_filter(
        shape, (1, 2 * reach + 1, 2 * reach + 1), mode="constant", cval=0.0
    )


def by_filter(moduli: Any, shape: Any, reach: int) -> Any:
    """Right: scipy's largest in a window."""
    return moduli[widened(shape, reach) < 0.5].sum() / moduli.sum()


def pixel_by_pixel(moduli: Any, shape: Any, reach: int) -> Any:
    """Right: loops."""
    outside = 0.0
    for v, i, j in np.ndindex(moduli.shape):
        top, left = max(i - reach, 0), max(j - reach, 0)
        if not shape[v, top : i + reach + 1, left : j + reach + 1].any():
            outside += moduli[v, i, j]
    return outside / moduli.sum()


def inside(moduli: Any, shape: Any, reach: int) -> Any:
    return (moduli * widened(shape, reach)).sum() / moduli.sum()


def not_widened(moduli: Any, shape: Any, reach: int) -> Any:
    return (moduli * (1 - shape)).sum() / moduli.sum()


def counted(moduli: Any, shape: Any, reach: int) -> Any:
    lit = moduli > 0
    return (lit * (1 - widened(shape, reach))).sum() / lit.sum()


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


def mean_of_shares(moduli: Any, shape: Any, reach: int) -> Any:
    left = (moduli * (1 - widened(shape, reach))).sum((1, 2))
    return (left / moduli.sum((1, 2))).mean()


def in_window(*times: int) -> Any:
    """Widened in a window of 1 + times * reach along pictures, rows and columns."""

    def answer(moduli: Any, shape: Any, reach: int) -> Any:
        size = [1 + n * reach for n in times]
        wide = ndimage.maximum_filter(shape, size, mode="constant")
        return (moduli * (1 - wide)).sum() / moduli.sum()

    return answer


def an_amount(moduli: Any, shape: Any, reach: int) -> Any:
    return (moduli * (1 - widened(shape, reach))).sum()


def a_share_each(moduli: Any, shape: Any, reach: int) -> Any:
    return (moduli * (1 - widened(shape, reach))).sum((1, 2)) / moduli.sum((1, 2))


WRONG = [
    ("0801", nearest_ball, "their union"),
    ("0801", length_before_mean, "mean of the gradients first"),
    ("0801", arrows_not_unit, "divide before you average"),
    ("0801", positive_inside, "negative inside"),
    ("0801", to_centres, "where are the radii?"),
    ("0801", summed, "divide by their number"),
    ("0801", gradient_itself, "not made of numbers"),
    ("0801", of_lengths(lambda away, r: (away + r).mean(1)), "by the radius, not longer"),
    ("0801", of_lengths(lambda away, r: (away - r[0]).mean(1)), "its own radius"),
    ("0801", of_lengths(lambda away, r: np.abs(away - r).mean(1)), "keeps its sign"),
    ("0801", of_lengths(lambda away, r: (away - r).max(1)), "the farthest ball"),
    ("0801", of_lengths(lambda away, r: (away**2 - r**2).mean(1)), "squares of lengths"),
    ("0801", of_lengths(lambda away, r: (away - r).sum(1)), "the distances are summed"),
    ("0801", of_arrows(lambda a: np.linalg.norm(a.sum(1), axis=1)), "arrows are summed"),
    ("0801", of_arrows(lambda a: (a.mean(1) ** 2).sum(1)), "the square of the gradient's length"),
    ("0801", one_ball, "one ball in the middle"),
    ("0801", a_union, "the slope of the nearest ball"),
    ("0801", lambda *given: ball_by_ball(*given)[::-1], "the mean first"),
    ("0802", longest_line, "may have several pieces"),
    ("0802", first_line, "may have several pieces"),
    ("0802", closed_lines, "don't join them"),
    ("0802", crossings_only, "the line goes on between the crossings"),
    ("0802", no_sign, "the inside must be negative"),
    ("0802", in_steps, "multiply by the step"),
    ("0802", unchanged, "the values that came in"),
    ("0802", upside_down, "wrong way round"),
    ("0802", one_newton, "near the line only"),
    ("0802", between_cells, "passes between lattice points"),
    ("0802", a_line, "has the shape"),
    ("0803", summed_cosines, "the nearest of them"),
    ("0803", from_the_first, "not only with the first"),
    ("0803", from_the_last, "not only with the last"),
    ("0803", nearest_first, "wants the farthest"),
    ("0803", farthest_of_all, "ask for the nearest"),
    ("0803", lines_not_arrows, "opposite is as far as can be"),
    ("0803", in_order, "these are sorted"),
    ("0803", from_view_1, "is view 0"),
    ("0803", last_of_equals, "take the first"),
    ("0803", one_too_many, "has the shape"),
    ("0803", the_first_ones, "simply the first views"),
    ("0804", inside, "the share inside"),
    ("0804", not_widened, "not widened the shape"),
    ("0804", counted, "weigh each with its modulus"),
    ("0804", a_cross, "the window is a square"),
    ("0804", rolled, "no neighbour of the right one"),
    ("0804", mean_of_shares, "one share for all pictures"),
    ("0804", an_amount, "divide by all of the modulus"),
    ("0804", in_window(2, 2, 2), "from one view into the next"),
    ("0804", in_window(0, 2, 0), "up and down only"),
    ("0804", in_window(0, 0, 2), "sideways only"),
    ("0804", in_window(0, 1, 1), "2 reach + 1 wide"),
    ("0804", a_share_each, "has the shape"),
]

RIGHT = [
    ("0801", ball_by_ball),
    ("0801", by_small_steps),
    ("0802", by_segments),
    ("0802", dense_points),
    ("0802", swept),
    ("0803", by_angles),
    ("0803", by_lengths),
    ("0804", by_filter),
    ("0804", pixel_by_pixel),
]
