"""Lesson 16: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np

# 1601, upright ------------------------------------------------------------------------------------


def by_turns(pixels, orientation):
    """Mirrored first where it must be, then quarter turns."""
    mirrored, turns = {
        1: (0, 0), 2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 1), 6: (0, -1), 7: (1, -1), 8: (0, 1)
    }[orientation]  # fmt: skip
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, turns)


# 1602, focal length -------------------------------------------------------------------------------


def through_the_angle(mm, width, height):
    """Half the angle across the corners."""
    half = np.arctan(np.sqrt(36**2 + 24**2) / 2 / mm)
    return np.sqrt(width**2 + height**2) / 2 / np.tan(half)


# 1603, out of a profile ---------------------------------------------------------------------------


def in_a_loop(errors):
    least = min(errors)
    place = list(errors).index(least)
    left = any(e > 1.15 * least for e in errors[:place])
    right = any(e > 1.15 * least for e in errors[place + 1 :])
    return place if left and right else -1


# 1604, where rays meet ----------------------------------------------------------------------------


def with_depths(centers, along):
    """Point and depths together."""
    n, d = len(centers), along / np.linalg.norm(along, axis=1, keepdims=True)
    rows = np.zeros((3 * n, 3 + n))
    for i in range(n):
        rows[3 * i : 3 * i + 3, :3], rows[3 * i : 3 * i + 3, 3 + i] = np.eye(3), -d[i]
    return np.linalg.lstsq(rows, centers.ravel(), rcond=None)[0][:3]


# 1605, roles --------------------------------------------------------------------------------------


def reasons(angle, faces, doubt):
    """Every reason by name."""
    return np.isnan(angle) | (angle <= 125 + doubt) | (faces > 0) | (faces < 0)


WRONG: list[Any] = []  # the checks say nothing of a wrong answer that is none of their slips

RIGHT = [
    ("1601", by_turns),
    ("1602", through_the_angle),
    ("1603", in_a_loop),
    ("1604", with_depths),
    ("1605", reasons),
]
