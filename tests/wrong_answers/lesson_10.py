"""Lesson 10: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# 1001, a step to the surface ----------------------------------------------------------------------


def along_unit(points: Any, distance: Any, gradient: Any) -> Any:
    """Right: the unit vector, and the distance over the slope."""
    return points - (distance / np.linalg.norm(gradient, axis=1))[:, None] * unit(gradient)


def point_by_point(points: Any, distance: Any, gradient: Any) -> Any:
    """Right: a loop."""
    rows = zip(points, distance, gradient, strict=True)
    return np.array([x - f / np.dot(g, g) * g for x, f, g in rows])


def slope_forgotten(points: Any, distance: Any, gradient: Any) -> Any:
    return points - distance[:, None] * gradient


def divided_once(points: Any, distance: Any, gradient: Any) -> Any:
    return points - distance[:, None] * unit(gradient)


def uphill(points: Any, distance: Any, gradient: Any) -> Any:
    return points + (distance / (gradient**2).sum(1))[:, None] * gradient


def no_distance(points: Any, distance: Any, gradient: Any) -> Any:
    return points - gradient / (gradient**2).sum(1, keepdims=True)


def step_alone(points: Any, distance: Any, gradient: Any) -> Any:
    return -(distance / (gradient**2).sum(1))[:, None] * gradient


def always_inwards(points: Any, distance: Any, gradient: Any) -> Any:
    return points - (np.abs(distance) / (gradient**2).sum(1))[:, None] * gradient


def one_missing(points: Any, distance: Any, gradient: Any) -> Any:
    return along_unit(points, distance, gradient)[:-1]


def not_broadcast(points: Any, distance: Any, gradient: Any) -> Any:
    return points - distance / (gradient**2).sum(1) * gradient


# 1002, two distances and a name -------------------------------------------------------------------


def table(pictures: Any, gallery: Any) -> Any:
    return 1 - unit(pictures) @ unit(gallery).T


def picked(distance: Any, shape: Any, colours: Any, name: Any = None) -> Any:
    rows = np.arange(len(distance))
    name = distance.argmin(1) if name is None else name
    return distance[rows, shape], distance[rows, colours], name


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


def changed_places(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    return picked(table(pictures, gallery), colours, shape)


def any_length(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    return picked(1 - pictures @ gallery.T, shape, colours)


def one_of_two(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    own, other, _ = picked(table(pictures, gallery), shape, colours)
    return own, other, np.where(own < other, shape, colours)


def similarities(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    return picked(1 - table(pictures, gallery), shape, colours)


def farthest(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    distance = table(pictures, gallery)
    return picked(distance, shape, colours, distance.argmax(1))


def euclid(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    return picked(np.linalg.norm(unit(pictures)[:, None] - unit(gallery), axis=2), shape, colours)


def two_things(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    return picked(table(pictures, gallery), shape, colours)[:2]


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


def ends(weights: Any, hits: Any, empty: Any = None, at: Any = (0.025, 0.975)) -> Any:
    if empty is None:
        weights = weights[weights.sum(1) > 0]
    total = weights.sum(1)
    return np.quantile(np.where(total > 0, weights @ hits / np.maximum(total, 1), empty or 0), at)


def empty_is_zero(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape] * times[:, colours], hits, 0.0)


def empty_is_one(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape] * times[:, colours], hits, 1.0)


def empty_is_mean(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape] * times[:, colours], hits, hits.mean())


def small_number_below(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    weights = times[:, shape] * times[:, colours]
    return np.quantile(weights @ hits / (weights.sum(1) + 1e-9), [0.025, 0.975])


def shape_alone(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape], hits)


def added(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape] + times[:, colours], hits)


def there_or_not(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends((times[:, shape] > 0) * (times[:, colours] > 0) * 1.0, hits)


def by_count(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    weights = times[:, shape] * times[:, colours]
    return np.quantile(weights @ hits / len(hits), [0.025, 0.975])


def five_each_side(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape] * times[:, colours], hits, None, (0.05, 0.95))


def extremes(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape] * times[:, colours], hits, None, (0, 1))


def colours_alone(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, colours], hits)


def the_smaller(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(np.minimum(times[:, shape], times[:, colours]), hits)


def high_first(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape] * times[:, colours], hits)[::-1]


def in_percent(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return 100 * ends(times[:, shape] * times[:, colours], hits)


def of_the_hits(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return np.percentile(hits, [2.5, 97.5])


def by_deviation(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    weights = times[:, shape] * times[:, colours]
    weights = weights[weights.sum(1) > 0]
    shares = weights @ hits / weights.sum(1)
    return shares.mean() - 1.96 * shares.std(), shares.mean() + 1.96 * shares.std()


def mirrored(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    low, high = ends(times[:, shape] * times[:, colours], hits)
    return 2 * hits.mean() - high, 2 * hits.mean() - low


def hitless_left_out(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    weights = times[:, shape] * times[:, colours]
    return ends(weights[weights @ hits > 0], hits)


def one_side(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    return ends(times[:, shape] * times[:, colours], hits, None, (0, 0.95))


def the_width(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    low, high = ends(times[:, shape] * times[:, colours], hits)
    return high - low


def nothing_left_out(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    weights = times[:, shape] * times[:, colours]
    return np.quantile(weights @ hits / weights.sum(1), [0.025, 0.975])


# 1004, a photograph on a mesh ---------------------------------------------------------------------


def one_by_one(
    points: Any,
    picture: Any,
    depth: Any,
    K: Any,
    c2w: Any,
    slack: float = 8,
    w2c: Any = None,
    whole: Any = np.floor,
    beyond: Any = lambda p, near: p[2] - near,
    divided: bool = True,
) -> Any:
    """Right: a loop, with the inverse of the camera's matrix."""
    colours, seen = np.zeros((len(points), 3)), np.zeros(len(points), bool)
    w2c = np.linalg.inv(c2w) if w2c is None else w2c
    for number, point in enumerate(points):
        p = w2c[:3, :3] @ point + w2c[:3, 3]
        u, v, w = K @ p
        w = w if divided else 1
        column, row = int(whole(u / w)), int(whole(v / w))
        inside = 0 <= row < len(depth) and 0 <= column < len(depth[0])
        near = depth[row, column] if inside else 0
        if p[2] > 0 and near > 0 and beyond(p, near) <= slack:
            colours[number], seen[number] = picture[row, column], True
    return colours, seen


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


def no_transpose(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    wrong = np.eye(4)
    wrong[:3, :3] = c2w[:3, :3]
    wrong[:3, 3] = -c2w[:3, :3] @ c2w[:3, 3]
    return one_by_one(points, picture, depth, K, c2w, w2c=wrong)


def through_the_head(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    return one_by_one(points, picture, depth, K, c2w, slack=1e6)


def rows_are_columns(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    square = np.pad(picture, ((0, 2), (0, 0), (0, 0))), np.pad(depth, ((0, 2), (0, 0)))
    swapped = (a.swapaxes(0, 1)[:6] for a in square)
    return one_by_one(points, *swapped, K, c2w)


def rounded(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    return one_by_one(points, picture, depth, K + 0.5 * np.array([[0, 0, 1]] * 2 + [[0] * 3]), c2w)


def next_pixel(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    return one_by_one(points, picture, depth, K + np.array([[0, 0, 1]] * 2 + [[0] * 3]), c2w)


def gap_is_seen(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    return one_by_one(points, picture, np.where(depth > 0, depth, 1e6), K, c2w)


def unseen_coloured(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    _, seen = one_by_one(points, picture, depth, K, c2w)
    return one_by_one(points, picture, np.full_like(depth, 1e6), K, c2w)[0], seen


def behind_the_camera(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    p = (points - c2w[:3, 3]) @ c2w[:3, :3]
    u, v = np.floor((p @ K.T)[:, :2].T / p[:, 2]).astype(int)
    seen = (u >= 0) & (u < depth.shape[1]) & (v >= 0) & (v < depth.shape[0])
    u, v = u.clip(0, depth.shape[1] - 1), v.clip(0, depth.shape[0] - 1)
    seen &= (depth[v, u] > 0) & (p[:, 2] <= depth[v, u] + 8)
    return np.where(seen[:, None], picture[v, u], 0.0), seen


def pose_as_it_is(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    return one_by_one(points, picture, depth, K, c2w, w2c=c2w)


def turned_first(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    wrong = np.eye(4)
    wrong[:3, :3], wrong[:3, 3] = c2w[:3, :3].T, -c2w[:3, 3]
    return one_by_one(points, picture, depth, K, c2w, w2c=wrong)


def turned_only(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    wrong = np.eye(4)
    wrong[:3, :3] = c2w[:3, :3].T
    return one_by_one(points, picture, depth, K, c2w, w2c=wrong)


def to_the_rim(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    p = (points - c2w[:3, 3]) @ c2w[:3, :3]
    u, v = np.floor((p @ K.T)[:, :2].T / p[:, 2]).astype(int)
    u, v = u.clip(0, depth.shape[1] - 1), v.clip(0, depth.shape[0] - 1)
    seen = (p[:, 2] > 0) & (depth[v, u] > 0) & (p[:, 2] <= depth[v, u] + 8)
    return np.where(seen[:, None], picture[v, u], 0.0), seen


def no_border(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    p = (points - c2w[:3, 3]) @ c2w[:3, :3]
    u, v = np.floor((p @ K.T)[:, :2].T / p[:, 2]).astype(int)
    seen = (p[:, 2] > 0) & (depth[v, u] > 0) & (p[:, 2] <= depth[v, u] + 8)
    return np.where(seen[:, None], picture[v, u], 0.0), seen


def no_slack(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    return one_by_one(points, picture, depth, K, c2w, slack=1e-9)


def seen_alone(points: Any, picture: Any, depth: Any, K: Any, c2w: Any) -> Any:
    colours, seen = one_by_one(points, picture, depth, K, c2w)
    return colours[seen], seen


WRONG = [
    ("1001", slope_forgotten, "gradient's length squared"),
    ("1001", divided_once, "divides by the length once"),
    ("1001", uphill, "go against it"),
    ("1001", no_distance, "where is the distance?"),
    ("1001", step_alone, "where do you arrive?"),
    ("1001", always_inwards, "a step has a sign"),
    ("1001", one_missing, "has the shape"),
    ("1001", not_broadcast, "raises"),
    ("1002", changed_places, "changed places"),
    ("1002", any_length, "wants unit vectors"),
    ("1002", one_of_two, "may be neither"),
    ("1002", similarities, "a distance is 1 - cosine"),
    ("1002", farthest, "has the smallest distance"),
    ("1002", euclid, "another number than 1 - cosine"),
    ("1002", lambda p, g, s, c: picked(np.arccos(1 - table(p, g)), s, c), "not the angle"),
    ("1002", lambda p, g, s, c: picked(1 - np.abs(1 - table(p, g)), s, c), "keep its sign"),
    ("1002", lambda p, g, s, c: picked(2 * table(p, g), s, c), "Euclid's squared"),
    ("1002", two_things, "has the shape"),
    ("1003", empty_is_zero, "leave it out"),
    ("1003", small_number_below, "leave it out"),
    ("1003", empty_is_one, "leave it out"),
    ("1003", empty_is_mean, "leave it out"),
    ("1003", nothing_left_out, "(nan: "),
    ("1003", shape_alone, "multiply how often both"),
    ("1003", added, "multiply the two counts"),
    ("1003", there_or_not, "counts twice"),
    ("1003", by_count, "divide by the weights"),
    ("1003", five_each_side, "on each side"),
    ("1003", extremes, "not the extreme ones"),
    ("1003", colours_alone, "on its shape's person, too"),
    ("1003", the_smaller, "don't take the smaller"),
    ("1003", high_first, "low end first"),
    ("1003", in_percent, "not percent"),
    ("1003", of_the_hits, "not of the hits"),
    ("1003", by_deviation, "ask a normal distribution"),
    ("1003", mirrored, "don't mirror them"),
    ("1003", hitless_left_out, "has the share 0, and stays"),
    ("1003", one_side, "not 5 on one"),
    ("1003", the_width, "has the shape"),
    ("1004", no_transpose, "need its transpose"),
    ("1004", through_the_head, "far side"),
    ("1004", rows_are_columns, "rows go with v"),
    ("1004", rounded, "floor, not round"),
    ("1004", next_pixel, "a pixel off"),
    ("1004", gap_is_seen, "there is no head"),
    ("1004", unseen_coloured, "what is not seen gets 0"),
    ("1004", behind_the_camera, "behind the camera"),
    ("1004", partial(one_by_one, beyond=lambda p, near: np.linalg.norm(p) - near), "length of p"),
    ("1004", partial(one_by_one, beyond=lambda p, near: abs(p[2] - near)), "only deeper than 8"),
    ("1004", partial(one_by_one, whole=np.trunc), "not the whole part"),
    ("1004", partial(one_by_one, whole=int), "not the whole part"),
    ("1004", partial(one_by_one, divided=False), "divide by its last entry"),
    ("1004", pose_as_it_is, "leads out of the camera"),
    ("1004", turned_first, "before you turn"),
    ("1004", turned_only, "is not taken away"),
    ("1004", to_the_rim, "moves it to the rim"),
    ("1004", no_border, "raises"),
    ("1004", no_slack, "8 mm"),
    ("1004", seen_alone, "has the shape"),
]

RIGHT = [
    ("1001", along_unit),
    ("1001", point_by_point),
    ("1002", in_loops),
    ("1002", by_take),
    ("1003", draw_by_draw),
    ("1003", with_nan),
    ("1004", one_by_one),
    ("1004", at_once),
]
