"""Lesson 16: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

# 1601, upright ------------------------------------------------------------------------------------


def by_turns(pixels: Any, orientation: int) -> Any:
    """Right: mirrored first where it must be, then quarter turns."""
    mirrored, turns = {
        1: (0, 0), 2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 1), 6: (0, -1), 7: (1, -1), 8: (0, 1)
    }[orientation]  # fmt: skip
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, turns)


def with_tables(pixels: Any, orientation: int) -> Any:
    """Right: pixel by pixel, after EXIF's table of where row 0 and column 0 belong."""
    h, w = pixels.shape[:2]
    out = np.empty((w, h, 3) if orientation > 4 else (h, w, 3))
    for r in range(h):
        for c in range(w):
            to = {
                1: (r, c), 2: (r, w - 1 - c), 3: (h - 1 - r, w - 1 - c), 4: (h - 1 - r, c),
                5: (c, r), 6: (c, h - 1 - r), 7: (w - 1 - c, h - 1 - r), 8: (w - 1 - c, r),
            }[orientation]  # fmt: skip
            out[to] = pixels[r, c]
    return out


def turned_only(pixels: Any, orientation: int) -> Any:
    return np.rot90(pixels, {3: 2, 4: 2, 6: -1, 7: -1, 5: -1, 8: 1}.get(orientation, 0))


def wrong_way(pixels: Any, orientation: int) -> Any:
    return by_turns(pixels, {6: 8, 8: 6}.get(orientation, orientation))


def flipped_for_three(pixels: Any, orientation: int) -> Any:
    return pixels[::-1] if orientation == 3 else by_turns(pixels, orientation)


def mirrored_for_three(pixels: Any, orientation: int) -> Any:
    return pixels[:, ::-1] if orientation == 3 else by_turns(pixels, orientation)


def transposed_only(pixels: Any, orientation: int) -> Any:
    return pixels.swapaxes(0, 1) if orientation > 5 else by_turns(pixels, orientation)


def rows_for_columns(pixels: Any, orientation: int) -> Any:
    return by_turns(pixels, {2: 4, 4: 2}.get(orientation, orientation))


def diagonals_swapped(pixels: Any, orientation: int) -> Any:
    return by_turns(pixels, {5: 7, 7: 5}.get(orientation, orientation))


def sheet_of_paper(pixels: Any, orientation: int) -> Any:
    return pixels.T if orientation > 4 else by_turns(pixels, orientation)


# 1602, focal length -------------------------------------------------------------------------------


def through_the_angle(mm: float, width: int, height: int) -> Any:
    """Right: half the angle across the corners."""
    half = np.arctan(np.sqrt(36**2 + 24**2) / 2 / mm)
    return np.sqrt(width**2 + height**2) / 2 / np.tan(half)


# 1603, out of a profile ---------------------------------------------------------------------------


def in_a_loop(errors: Any) -> int:
    """Right: one by one."""
    least = min(errors)
    place = list(errors).index(least)
    left = any(e > 1.15 * least for e in errors[:place])
    right = any(e > 1.15 * least for e in errors[place + 1 :])
    return place if left and right else -1


def neighbours(errors: Any) -> int:
    best = int(np.argmin(errors))
    if best in (0, len(errors) - 1):
        return -1
    return best if min(errors[best - 1], errors[best + 1]) > 1.15 * errors[best] else -1


def ends_pass(errors: Any) -> int:
    best = int(np.argmin(errors))
    sides = [s for s in (errors[:best], errors[best + 1 :]) if len(s)]
    return best if all(max(s) > 1.15 * errors[best] for s in sides) else -1


def one_side(errors: Any) -> int:
    best = int(np.argmin(errors))
    return best if max(errors) > 1.15 * errors[best] else -1


def in_pixels(errors: Any) -> int:
    best = int(np.argmin(errors))
    sides = errors[:best], errors[best + 1 :]
    return best if all((s > errors[best] + 0.15).any() for s in sides) else -1


def every_other(errors: Any) -> int:
    best = int(np.argmin(errors))
    if best in (0, len(errors) - 1):
        return -1
    return best if np.delete(errors, best).min() > 1.15 * errors[best] else -1


def left_alone(errors: Any) -> int:
    best = int(np.argmin(errors))
    return best if (errors[:best] > 1.15 * errors[best]).any() else -1


def right_alone(errors: Any) -> int:
    best = int(np.argmin(errors))
    return best if (errors[best + 1 :] > 1.15 * errors[best]).any() else -1


# 1604, where rays meet ----------------------------------------------------------------------------


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def stacked(centers: Any, along: Any) -> Any:
    """Right: three equations a ray, solved at once."""
    across = [np.eye(3) - np.outer(d, d) for d in unit(along)]
    right = [a @ c for a, c in zip(across, centers, strict=True)]
    return np.linalg.lstsq(np.concatenate(across), np.concatenate(right), rcond=None)[0]


def with_depths(centers: Any, along: Any) -> Any:
    """Right: point and depths together."""
    n, d = len(centers), unit(along)
    rows = np.zeros((3 * n, 3 + n))
    for i in range(n):
        rows[3 * i : 3 * i + 3, :3], rows[3 * i : 3 * i + 3, 3 + i] = np.eye(3), -d[i]
    return np.linalg.lstsq(rows, centers.ravel(), rcond=None)[0][:3]


def no_length(centers: Any, along: Any) -> Any:
    across = np.eye(3) - along[:, :, None] * along[:, None]
    right = np.einsum("nij,nj->i", across, centers)
    return np.linalg.lstsq(across.sum(0), right, rcond=None)[0]


def along_the_rays(centers: Any, along: Any) -> Any:
    d = unit(along)
    outer = d[:, :, None] * d[:, None]
    right = np.einsum("nij,nj->i", np.eye(3) - outer, centers)
    return np.linalg.lstsq(outer.sum(0), right, rcond=None)[0]


def bare_centres(centers: Any, along: Any) -> Any:
    d = unit(along)
    across = np.eye(3) - d[:, :, None] * d[:, None]
    return np.linalg.solve(across.sum(0), centers.sum(0))


def mean_for_sum(centers: Any, along: Any) -> Any:
    return stacked(centers, along) / len(centers)


# 1605, roles --------------------------------------------------------------------------------------


def one_by_one(angle: Any, faces: Any, doubt: float) -> Any:
    """Right: a loop, closed unless open."""
    found = []
    for a, f in zip(angle, faces, strict=True):
        neutral = np.isfinite(a) and a > 110 + doubt and f == 0
        found.append(not neutral)
    return np.array(found)


def reasons(angle: Any, faces: Any, doubt: float) -> Any:
    """Right: every reason by name."""
    return np.isnan(angle) | (angle <= 110 + doubt) | (faces > 0) | (faces < 0)


WRONG = [
    ("1601", lambda p, _: p, "as it is stored"),
    ("1601", wrong_way, "row 0 of 6 belongs at the right"),
    ("1601", flipped_for_three, "columns run backwards, too"),
    ("1601", mirrored_for_three, "rows run backwards, too"),
    ("1601", transposed_only, "mirror the face"),
    ("1601", rows_for_columns, "turn around columns, not rows"),
    ("1601", diagonals_swapped, "the wrong ones run backwards"),
    ("1601", turned_only, "is no turned one"),
    ("1601", sheet_of_paper, "has the shape"),
    ("1601", lambda p, _: Image.fromarray(p), "raises"),
    ("1602", lambda mm, w, _: mm / 36 * w, "36 mm of width"),
    ("1602", lambda mm, w, h: mm / 36 * max(w, h), "36 mm of the longer side"),
    ("1602", lambda mm, _, h: mm / 24 * h, "24 mm of height"),
    ("1602", lambda mm, w, h: mm / 24 * min(w, h), "24 mm of the shorter"),
    ("1602", lambda mm, w, h: mm / 35 * np.hypot(w, h), "name of the film"),
    ("1602", lambda mm, w, _: mm / np.hypot(36, 24) * w, "not with its width"),
    ("1602", lambda mm, w, h: mm / 36 * np.hypot(w, h), "goes with a side"),
    ("1602", lambda mm, w, h: np.hypot(36, 24) / mm * np.hypot(w, h), "larger"),
    ("1602", lambda mm, w, h: mm / (36 + 24) * np.hypot(w, h), "36 squared"),
    ("1603", lambda e: int(np.argmin(e)), "is no proof"),
    ("1603", neighbours, "later than at its neighbours"),
    ("1603", ends_pass, "knows what comes next"),
    ("1603", one_side, "to the right, too"),
    ("1603", in_pixels, "not 0.15 pixels"),
    ("1603", every_other, "not all of them"),
    ("1603", left_alone, "to the right, too"),
    ("1603", right_alone, "to the left, too"),
    ("1603", lambda e: [int(np.argmin(e))], "has the shape"),
    ("1604", lambda c, _: c.mean(0), "middle of the cameras"),
    ("1604", no_length, "divide by it first"),
    ("1604", bare_centres, "not of c"),
    ("1604", mean_for_sum, "a mean on the other"),
    ("1604", lambda c, d: stacked(c[:2], d[:2]), "all count"),
    ("1604", lambda c, d: stacked(c, d)[None], "has the shape"),
    ("1605", lambda a, f, d: ~one_by_one(a, f, d), "that is neutral"),
    ("1605", lambda _, f, __: f != 0, "misses profiles"),
    ("1605", lambda a, _, d: ~(a > 110 + d), "misses mirrors"),
    ("1605", lambda a, f, d: (a <= 110 + d) & (f > 0), "or, not and"),
    ("1605", lambda a, f, _: ~((a > 110) & (f == 0)), "add it to 110"),
    ("1605", lambda a, f, d: ~((a > 110 - d) & (f == 0)), "not fewer"),
    ("1605", lambda a, f, d: ~((a > 110 + d) & (f < 1)), "is not the same"),
    ("1605", lambda a, f, d: (a <= 110 + d) | (f != 0), "nan <= 118"),
]

RIGHT = [
    ("1601", by_turns),
    ("1601", with_tables),
    ("1602", through_the_angle),
    ("1603", in_a_loop),
    ("1604", stacked),
    ("1604", with_depths),
    ("1605", one_by_one),
    ("1605", reasons),
]
