"""Lesson 10: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


# 1001, a step to the surface ----------------------------------------------------------------------


def along_unit(points: Any, distance: Any, gradient: Any) -> Any:
    """Right: the unit vector, and the distance over the slope."""
    return points - (distance / np.linalg.norm(gradient, axis=1))[:, None] * unit(gradient)


# 1002, two distances and a name -------------------------------------------------------------------


def in_loops(pictures: Any, gallery: Any, shape: Any, colours: Any) -> Any:
    """Right: pair by pair."""
    all_ = np.array(
        [[1 - p @ g / np.linalg.norm(p) / np.linalg.norm(g) for g in gallery] for p in pictures]
    )
    both = [[row[s], row[c]] for row, s, c in zip(all_, shape, colours, strict=True)]
    return *np.array(both).T, [int(np.argmin(row)) for row in all_]


# 1003, pictures that hang on two people -----------------------------------------------------------


def with_nan(hits: Any, shape: Any, colours: Any, times: Any) -> Any:
    """Right: 0 / 0 is NaN, and nanpercentile leaves it out."""
    weights = times[:, shape] * times[:, colours]
    with np.errstate(invalid="ignore"):
        return tuple(np.nanpercentile((weights @ hits) / weights.sum(1), [2.5, 97.5]))


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


WRONG: list[Any] = []  # the checks say nothing of a wrong answer that is none of their slips

RIGHT = [
    ("1001", along_unit),
    ("1002", in_loops),
    ("1003", with_nan),
    ("1004", one_by_one),
]
