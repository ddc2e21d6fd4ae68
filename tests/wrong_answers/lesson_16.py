"""Lesson 16: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import numpy as np
from answers import spoiled
from PIL import Image

# 1601, upright ------------------------------------------------------------------------------------


def by_turns(pixels, orientation):
    """Mirrored first where it must be, then quarter turns."""
    mirrored, turns = {
        1: (0, 0), 2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 1), 6: (0, -1), 7: (1, -1), 8: (0, 1)
    }[orientation]  # fmt: skip
    return np.rot90(pixels[:, ::-1] if mirrored else pixels, turns)


def with_tables(pixels, orientation):
    """Pixel by pixel, after EXIF's table of where row 0 and column 0 belong."""
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


def as_if(other):
    """A picture turned as if another orientation stood in its file."""
    return lambda pixels, orientation: by_turns(pixels, other.get(orientation, orientation))


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


def by_sides(errors):
    best = int(np.argmin(errors))
    left, right = errors[:best], errors[best + 1 :]
    rises = [(side > 1.15 * errors[best]).any() for side in (left, right)]
    return best if all(rises) else -1


# 1604, where rays meet ----------------------------------------------------------------------------


def summed(centers, along):
    d = along / np.linalg.norm(along, axis=1, keepdims=True)
    across = np.eye(3) - d[:, :, None] * d[:, None]
    right = np.einsum("nij,nj->i", across, centers)
    return np.linalg.lstsq(across.sum(0), right, rcond=None)[0]


def with_depths(centers, along):
    """Point and depths together."""
    n, d = len(centers), along / np.linalg.norm(along, axis=1, keepdims=True)
    rows = np.zeros((3 * n, 3 + n))
    for i in range(n):
        rows[3 * i : 3 * i + 3, :3], rows[3 * i : 3 * i + 3, 3 + i] = np.eye(3), -d[i]
    return np.linalg.lstsq(rows, centers.ravel(), rcond=None)[0][:3]


# 1605, roles --------------------------------------------------------------------------------------


def one_by_one(angle, faces, doubt):
    """A loop, closed unless open."""
    found = []
    for a, f in zip(angle, faces, strict=True):
        neutral = np.isfinite(a) and a > 125 + doubt and f == 0
        found.append(not neutral)
    return np.array(found)


def reasons(angle, faces, doubt):
    """Every reason by name."""
    return np.isnan(angle) | (angle <= 125 + doubt) | (faces > 0) | (faces < 0)


SIDES = "errors[:best], errors[best + 1 :]"

WRONG = [
    ("1601", lambda p, _: p, "as it is stored"),
    ("1601", as_if({6: 8, 8: 6}), "row 0 of 6 belongs at the right"),
    ("1601", as_if({3: 4}), "columns run backwards, too"),
    ("1601", as_if({3: 2}), "rows run backwards, too"),
    ("1601", as_if({6: 5, 7: 5, 8: 5}), "mirror the face"),
    ("1601", as_if({2: 4, 4: 2}), "turn around columns, not rows"),
    ("1601", as_if({5: 7, 7: 5}), "the wrong ones run backwards"),
    ("1601", as_if({2: 1, 4: 3, 5: 6, 7: 6}), "is no turned one"),
    ("1601", lambda p, way: p.T if way > 4 else by_turns(p, way), "has the shape"),
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
    *spoiled(
        "1603", by_sides,
        (SIDES, "errors[best - 1 : best], errors[best + 1 : best + 2]",
         "later than at its neighbours"),
        ("(side >", "not len(side) or (side >", "knows what comes next"),
        ("all(", "any(", "to the right, too"),
        ("1.15 *", "0.15 +", "not 0.15 pixels"),
        (".any()", ".all() and len(side)", "not all of them"),
        ("(left, right)", "[left]", "to the right, too"),
        ("(left, right)", "[right]", "to the left, too"),
    ),
    ("1603", lambda e: [int(np.argmin(e))], "has the shape"),
    ("1604", lambda c, _: c.mean(0), "middle of the cameras"),
    *spoiled(
        "1604", summed,
        ("np.eye(3) - ", "", "takes what lies along the rays"),
        (" / np.linalg.norm(along, axis=1, keepdims=True)", "", "divide by it first"),
        ('np.einsum("nij,nj->i", across, centers)', "centers.sum(0)", "not of c"),
        ("across.sum(0), right", "across.sum(0), right / len(centers)", "a mean on the other"),
    ),
    ("1604", lambda c, d: summed(c[:2], d[:2]), "all count"),
    ("1604", lambda c, d: summed(c, d)[None], "has the shape"),
    ("1605", lambda a, f, d: ~one_by_one(a, f, d), "that is neutral"),
    ("1605", lambda _, f, __: f != 0, "misses profiles"),
    ("1605", lambda a, _, d: ~(a > 125 + d), "misses mirrors"),
    ("1605", lambda a, f, d: (a <= 125 + d) & (f > 0), "or, not and"),
    ("1605", lambda a, f, _: ~((a > 125) & (f == 0)), "add it to 125"),
    ("1605", lambda a, f, d: ~((a > 125 - d) & (f == 0)), "not fewer"),
    ("1605", lambda a, f, d: ~((a > 125 + d) & (f < 1)), "is not the same"),
    ("1605", lambda a, f, d: (a <= 125 + d) | (f != 0), "nan <= 133"),
]  # fmt: skip

RIGHT = [
    ("1601", by_turns),
    ("1601", with_tables),
    ("1602", through_the_angle),
    ("1603", in_a_loop),
    ("1603", by_sides),
    ("1604", summed),
    ("1604", with_depths),
    ("1605", one_by_one),
    ("1605", reasons),
]
