"""Checks of lesson 16: upright pictures, focal lengths, a profile, rays that meet, roles."""

from __future__ import annotations

import numpy as np

from privhead_nb.capture.roles import FACE_ANGLE
from privhead_nb.teach.checks import Array, Function, Slip, check


def upright(pixels: Array, orientation: int) -> Array:
    """Stored pixels (H, W, 3) as they are to be shown, by EXIF's orientation 1 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns]


def ex1601(yours: Function) -> None:
    """EXIF's orientation: (stored pixels (H, W, 3), orientation) -> upright pixels."""

    pixels = np.random.default_rng(1601).uniform(size=(2, 3, 3))
    names = {
        1: "upright", 3: "upside down", 6: "row 0 at the right", 8: "row 0 at the left",
        4: "mirrored, upside down", 2: "mirrored", 5: "transposed", 7: "transposed, upside down",
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "that is the picture as it is stored": lambda p, _: p,
        "upside down is half a turn: columns run backwards, too": ("(2, 3, 6, 7)", "(2, 6, 7)"),
        "the other way round: row 0 of 6 belongs at the right, of 8 at the left": (
            lambda p, way: upright(p, 14 - way if way in (6, 8) else way)
        ),
        "rows and columns swapped alone mirror the face: a quarter turn does more": (
            lambda p, way: upright(p, 5 if way in (6, 8) else way)
        ),
    }
    check(
        "ex1601",
        yours,
        upright,
        {f"orientation {o}, {name}": (pixels, o) for o, name in names.items()},
        slips=slips,
    )


def focal_pixels(mm: float, width: int, height: int) -> float:
    """Focal length in pixels of FocalLengthIn35mmFilm, which counts against the diagonal."""
    return float(mm / np.hypot(36, 24) * np.hypot(width, height))


def ex1602(yours: Function) -> None:
    """EXIF's focal length: (mm of 35 mm film, width, height in pixels) -> pixels."""
    cases = {
        "a camera whose shape is the film's": (50, 6000, 4000),
        "a phone, 3:4, held upright": (26, 3024, 4032),
        "the same on its side": (26, 4032, 3024),
        "a square": (42, 256, 256),
        "a film, 16:9": (28, 1920, 1080),
    }
    slips: dict[str, Slip] = {
        "36 mm of width hold for a picture of the film's shape only": (
            lambda mm, w, _: mm / 36 * w
        ),
        "36 mm of the longer side hold for a picture of the film's shape only": (
            lambda mm, w, h: mm / 36 * max(w, h)
        ),
        "35 mm is the name of the film, not a length in the picture": (
            lambda mm, w, h: mm / 35 * np.hypot(w, h)
        ),
        "the film's diagonal goes with the picture's diagonal, not with its width": (
            lambda mm, w, _: mm / np.hypot(36, 24) * w
        ),
    }
    check("ex1602", yours, focal_pixels, cases, slips=slips)


def choose(errors: Array, rise: float = 1.15) -> int:
    """Place of the least error, or -1 unless some error on each side is `rise` times as large."""
    best = int(np.argmin(errors))
    sides = errors[:best], errors[best + 1 :]
    return best if all((side > rise * errors[best]).any() for side in sides) else -1


def ex1603(yours: Function) -> None:
    """A focal length out of a profile: (errors (F,)) -> place of the least, or -1."""

    sides = "errors[:best], errors[best + 1 :]"
    cases = {
        "a valley": (np.array([1.2, 0.8, 0.4, 0.7, 1.0]),),
        "flat": (np.array([0.33, 0.32, 0.31, 0.32, 0.33]),),
        "rises to the left alone": (np.array([0.9, 0.5, 0.30, 0.31, 0.32]),),
        "rises to the right alone": (np.array([0.32, 0.31, 0.30, 0.5, 0.9]),),
        "falls to the right end": (np.array([0.9, 0.7, 0.5, 0.4, 0.3]),),
        "falls to the left end": (np.array([0.3, 0.4, 0.5, 0.7, 0.9]),),
        "a bump": (np.array([0.6, 0.5, 0.30, 0.50, 0.31]),),
        "a wide valley": (np.array([0.5, 0.32, 0.30, 0.31, 0.5]),),
        "sharp pictures": (np.array([0.09, 0.06, 0.03, 0.05, 0.08]),),
        "a map that failed": (np.array([np.inf, 0.5, 0.3, 0.4, np.inf]),),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "errors must rise to the right, too": (sides, "[errors[:best]]"),
        "errors must rise to the left, too": (sides, "[errors[best + 1 :]]"),
        "a wide valley rises later than at its neighbours: ask all of each side":
            (sides, "errors[:best][-1:], errors[best + 1 :][:1]"),
        "the least error is no proof: ask whether the others are clearly larger":
            lambda e: int(np.argmin(e)),
    }  # fmt: skip
    check("ex1603", yours, choose, cases, slips=slips)


def nearest_point(centers: Array, along: Array) -> Array:
    """The point (3,) of least squared distance from lines through centers (N, 3) along (N, 3)."""
    unit = along / np.linalg.norm(along, axis=1, keepdims=True)
    across = np.eye(3) - unit[:, :, None] * unit[:, None, :]
    return np.asarray(
        np.linalg.solve(across.sum(0), np.einsum("nij,nj->i", across, centers)), np.float64
    )


def ex1604(yours: Function) -> None:
    """Where rays meet: (camera centres (N, 3), directions (N, 3)) -> point (3,)."""

    random = np.random.default_rng(1604)
    target = np.array([3.0, -20.0, 90.0])
    centers = 700 * random.normal(size=(8, 3))
    toward = target - centers
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    lengths = random.uniform(0.3, 4, (8, 1))
    cases = {
        "two rays that cross": (
            np.array([[0.0, 0, 0], [4.0, 0, 0]]),
            np.array([[0.6, 0, 0.8], [-0.6, 0, 0.8]]),
        ),
        "eight rays that meet": (centers, toward),
        "directions of many lengths": (centers, lengths * toward),
        "rays that miss each other": (
            centers, toward + 0.02 * random.normal(size=(8, 3))
        ),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "that is the middle of the cameras": lambda c, _: c.mean(0),
        "the right side is the sum of (I - d d^T) c, not of c":
            ('np.einsum("nij,nj->i", across, centers)', "centers.sum(0)"),
        "directions have any length: divide by it first":
            (" / np.linalg.norm(along, axis=1, keepdims=True)", ""),
        "a sum on one side, a mean on the other": lambda c, d: nearest_point(c, d) / len(c),
    }  # fmt: skip
    check("ex1604", yours, nearest_point, cases, slips=slips, rtol=1e-4, atol=1e-4)


def is_sensitive(angle: Array, faces: Array, doubt: float) -> Array:
    """(V,) True unless the camera is surely behind and a detector looked and saw nothing."""
    return np.asarray(~((angle > FACE_ANGLE + doubt) & (faces == 0)))


def ex1605(yours: Function) -> None:
    """Roles: (degrees from the front (V,), faces seen or -1 (V,), doubt) -> sensitive (V,)."""

    def cases(*rows: tuple[float, int]) -> tuple[Array, Array]:
        return np.array([r[0] for r in rows], np.float64), np.array([r[1] for r in rows])

    clear = cases((0.0, 1), (60.0, 1), (160.0, 0), (178.0, 0))
    slips: dict[str, Slip] = {
        "a detector alone misses profiles": ("(angle > FACE_ANGLE + doubt) & ", ""),
        "the angle alone misses mirrors, and faces where none should be": (" & (faces == 0)", ""),
        "one reason is enough: or, not and": (" & ", " | "),
        "nan <= 133 is False: ask when a view is surely neutral, and turn that around":
            lambda a, f, d: (a <= FACE_ANGLE + d) | (f != 0),
    }  # fmt: skip
    check(
        "ex1605",
        yours,
        is_sensitive,
        {
            "front and back": (*clear, 8.0),
            "a profile that no detector sees": (*cases((95.0, 0), (150.0, 1)), 8.0),
            "a face seen from behind, in a mirror": (*cases((150.0, 1), (150.0, 0)), 8.0),
            "near the limit, the front in doubt": (
                *cases((110.0, 0), (120.0, 0), (129.0, 0), (136.0, 0), (165.0, 1)),
                8.0,
            ),
            "the same, the front known": (*cases((129.0, 0), (120.0, 0)), 0.0),
            "nobody looked": (*cases((150.0, -1), (150.0, 1)), 8.0),
            "a camera that is nowhere": (*cases((np.nan, 0), (95.0, 0)), 8.0),
        },
        slips=slips,
    )
