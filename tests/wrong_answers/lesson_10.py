"""Lesson 10: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
from answers import spoiled


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# 1001, a step to the surface ----------------------------------------------------------------------


def a_step(points: Any, distance: Any, gradient: Any) -> Any:
    step = (distance / (gradient**2).sum(1))[:, None] * gradient
    return points - step


def along_unit(points: Any, distance: Any, gradient: Any) -> Any:
    """Right: the unit vector, and the distance over the slope."""
    return points - (distance / np.linalg.norm(gradient, axis=1))[:, None] * unit(gradient)


def point_by_point(points: Any, distance: Any, gradient: Any) -> Any:
    """Right: a loop."""
    rows = zip(points, distance, gradient, strict=True)
    return np.array([x - f / np.dot(g, g) * g for x, f, g in rows])


# 1002, two distances and a name -------------------------------------------------------------------


def two_distances(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    cosine = unit(pictures) @ unit(gallery).T
    distance, rows = 1 - cosine, np.arange(len(cosine))
    return distance[rows, shape], distance[rows, colours], distance.argmin(1)


def in_loops(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    """Right: pair by pair."""
    all_ = np.array(
        [[1 - p @ g / np.linalg.norm(p) / np.linalg.norm(g) for g in gallery] for p in pictures]
    )
    both = [[row[s], row[c]] for row, s, c in zip(all_, shape, colours, strict=True)]
    return *np.array(both).T, [int(np.argmin(row)) for row in all_]


def by_take(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    """Right: half of a squared distance of unit vectors is 1 - cosine."""
    apart = ((unit(pictures)[:, None] - unit(gallery)) ** 2).sum(2) / 2
    two = np.take_along_axis(apart, np.stack([shape, colours], 1), 1)
    return two[:, 0], two[:, 1], np.argsort(apart, axis=1)[:, 0]


# 1003, pictures that hang on two people -----------------------------------------------------------


def draw_by_draw(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    """Right: a loop over the draws."""
    shares = []
    for row in times:
        weights = [row[s] * row[c] for s, c in zip(shape, colours, strict=True)]
        if sum(weights):
            shares.append(np.dot(weights, hits) / sum(weights))
    return np.quantile(shares, 0.025), np.quantile(shares, 0.975)


def with_nan(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    """Right: 0 / 0 is NaN, and nanpercentile leaves it out."""
    weights = times[:, shape] * times[:, colours]
    with np.errstate(invalid="ignore"):
        return tuple(np.nanpercentile((weights @ hits) / weights.sum(1), [2.5, 97.5]))


def weighted(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    weights = times[:, shape] * times[:, colours]
    total = weights.sum(1)
    shares = (weights @ hits)[total > 0] / total[total > 0]
    return np.quantile(shares, (0.025, 0.975))


COUNTS = "times[:, shape] * times[:, colours]"
SHARES = "(weights @ hits)[total > 0] / total[total > 0]"

# 1004, a photograph on a mesh ---------------------------------------------------------------------


def one_by_one(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    """Right: a loop, with the inverse of the camera's matrix."""
    colours, seen = np.zeros((len(points), 3)), np.zeros(len(points), bool)
    w2c = np.linalg.inv(c2w)
    for number, point in enumerate(points):
        p = w2c[:3, :3] @ point + w2c[:3, 3]
        u, v, w = K @ p
        column, row = int(np.floor(u / w)), int(np.floor(v / w))
        inside = 0 <= row < len(depth) and 0 <= column < len(depth[0])
        near = depth[row, column] if inside else 0
        if p[2] > 0 and near > 0 and p[2] <= near + 8:
            colours[number], seen[number] = picture[row, column], True
    return colours, seen


PIXEL = "int(np.floor(u / w)), int(np.floor(v / w))"


def at_once(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    """Right: padded by a border of nothing."""
    p = (np.linalg.inv(c2w) @ np.column_stack([points, np.ones(len(points))]).T)[:3].T
    u, v = K[0, 0] * p[:, 0] / p[:, 2] + K[0, 2], K[1, 1] * p[:, 1] / p[:, 2] + K[1, 2]
    height, width = depth.shape
    column = np.where(p[:, 2] > 0, np.floor(u), -1).clip(-1, width).astype(int) + 1
    row = np.floor(v).clip(-1, height).astype(int) + 1
    near = np.pad(depth, 1)[row, column]
    seen = (near > 0) & (p[:, 2] <= near + 8)
    return np.pad(picture, ((1, 1), (1, 1), (0, 0)))[row, column] * seen[:, None], seen


WRONG = [
    *spoiled(
        "1001", a_step,
        (" / (gradient**2).sum(1)", "", "gradient's length squared"),
        ("(gradient**2).sum(1)", "np.linalg.norm(gradient, axis=1)", "divides by the length once"),
        ("points - step", "points + step", "go against it"),
        ("distance /", "1 /", "where is the distance?"),
        ("points - step", "-step", "where do you arrive?"),
        ("distance /", "abs(distance) /", "a step has a sign"),
        ("points - step", "(points - step)[:-1]", "has the shape"),
        ("[:, None]", "", "raises"),
    ),
    *spoiled(
        "1002", two_distances,
        ("distance[rows, shape], distance[rows, colours]",
         "distance[rows, colours], distance[rows, shape]", "changed places"),
        ("unit(pictures) @ unit(gallery).T", "pictures @ gallery.T", "wants unit vectors"),
        ("distance.argmin(1)",
         "np.where(distance[rows, shape] < distance[rows, colours], shape, colours)",
         "may be neither"),
        ("1 - cosine", "cosine", "a distance is 1 - cosine"),
        ("argmin", "argmax", "has the smallest distance"),
        ("1 - cosine", "np.linalg.norm(unit(pictures)[:, None] - unit(gallery), axis=2)",
         "another number than 1 - cosine"),
        ("1 - cosine", "np.arccos(cosine)", "not the angle"),
        ("1 - cosine", "1 - np.abs(cosine)", "keep its sign"),
        ("1 - cosine", "2 - 2 * cosine", "Euclid's squared"),
        (", distance.argmin(1)", "", "has the shape"),
    ),
    *spoiled(
        "1003", weighted,
        (SHARES, "weights @ hits / total.clip(1)", "leave it out"),
        (SHARES, "weights @ hits / (total + 1e-9)", "leave it out"),
        (SHARES, "np.where(total > 0, weights @ hits / total.clip(1), 1)", "leave it out"),
        (SHARES, "np.where(total > 0, weights @ hits / total.clip(1), hits.mean())",
         "leave it out"),
        (SHARES, "weights @ hits / total", "(nan: "),
        (SHARES, "weights @ hits / len(hits)", "divide by the weights"),
        (SHARES, "(weights @ hits / total.clip(1))[weights @ hits > 0]",
         "has the share 0, and stays"),
        (COUNTS, "times[:, shape]", "multiply how often both"),
        (COUNTS, "times[:, colours]", "on its shape's person, too"),
        (COUNTS, "times[:, shape] + times[:, colours]", "multiply the two counts"),
        (COUNTS, "1.0 * (times[:, shape] > 0) * (times[:, colours] > 0)", "counts twice"),
        (COUNTS, "np.minimum(times[:, shape], times[:, colours])", "don't take the smaller"),
        ("(0.025, 0.975)", "(0.05, 0.95)", "on each side"),
        ("(0.025, 0.975)", "(0, 1)", "not the extreme ones"),
        ("(0.025, 0.975)", "(0.975, 0.025)", "low end first"),
        ("(0.025, 0.975)", "(0, 0.95)", "not 5 on one"),
        ("np.quantile", "100 * np.quantile", "not percent"),
        ("np.quantile(shares", "np.quantile(hits", "not of the hits"),
        ("np.quantile(shares, (0.025, 0.975))",
         "shares.mean() + 1.96 * shares.std() * np.array([-1, 1])", "ask a normal distribution"),
        ("np.quantile(shares, (0.025, 0.975))",
         "2 * hits.mean() - np.quantile(shares, (0.975, 0.025))", "don't mirror them"),
        ("np.quantile(shares, (0.025, 0.975))", "np.ptp(np.quantile(shares, (0.025, 0.975)))",
         "has the shape"),
    ),
    *spoiled(
        "1004", one_by_one,
        ("w2c[:3, :3] @ point + w2c[:3, 3]", "c2w[:3, :3] @ (point - c2w[:3, 3])",
         "need its transpose"),
        ("near + 8", "near + 1e6", "far side"),
        ("column, row =", "row, column =", "rows go with v"),
        (PIXEL, "int(np.floor(u / w + 0.5)), int(np.floor(v / w + 0.5))", "floor, not round"),
        (PIXEL, "int(np.floor(u / w)) + 1, int(np.floor(v / w)) + 1", "a pixel off"),
        ("near > 0 and p[2] <= near + 8", "inside and (near == 0 or p[2] <= near + 8)",
         "there is no head"),
        ("if p[2]", "colours[number] = picture[row, column] if inside and w > 0 else 0\n"
         "        if p[2]", "what is not seen gets 0"),
        ("p[2] > 0 and ", "", "behind the camera"),
        ("p[2] <= near", "np.linalg.norm(p) <= near", "length of p"),
        ("p[2] <= near + 8", "abs(p[2] - near) <= 8", "only deeper than 8"),
        (PIXEL, "int(u / w), int(v / w)", "not the whole part"),
        ("u, v, w = K @ p", "u, v, w = *(K @ p)[:2], 1", "divide by its last entry"),
        ("np.linalg.inv(c2w)", "c2w", "leads out of the camera"),
        ("+ w2c[:3, 3]", "- c2w[:3, 3]", "before you turn"),
        ("+ w2c[:3, 3]", "", "is not taken away"),
        ("inside =",
         "column, row = np.clip([column, row], 0, [len(depth[0]) - 1, len(depth) - 1])\n"
         "        inside =", "moves it to the rim"),
        ("if inside else 0", "", "raises"),
        ("near + 8", "near + 1e-9", "8 mm"),
        ("return colours, seen", "return colours[seen], seen", "has the shape"),
    ),
]  # fmt: skip

RIGHT = [
    ("1001", a_step),
    ("1001", along_unit),
    ("1001", point_by_point),
    ("1002", two_distances),
    ("1002", in_loops),
    ("1002", by_take),
    ("1003", weighted),
    ("1003", draw_by_draw),
    ("1003", with_nan),
    ("1004", one_by_one),
    ("1004", at_once),
]
