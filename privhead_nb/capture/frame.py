"""Up, front and scale: the head's own frame from landmarks seen in several pictures."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privhead_nb.capture.settings import PUPILS
from privhead_nb.capture.views import Points, View
from privhead_nb.errors import SceneError

MEAN_FACE = {
    8: (0.0, -112.7, 79.4), 27: (0.0, 2.4, 90.4), 30: (0.0, -36.7, 113.8), 33: (0.0, -49.2, 98.0),
    36: (-44.0, 0.8, 79.3), 39: (-17.1, -0.7, 80.3), 42: (17.1, -0.7, 80.3), 45: (44.0, 0.8, 79.3),
    48: (-23.7, -67.4, 81.4), 54: (23.7, -67.4, 81.4),
}  # fmt: skip
"""Ten of the 68 landmarks of the mean made head, mm: chin, nose, corners of eyes and mouth. Its
frame is the head's own: +y up, +z front, the origin between the ears."""
CHIN, TIP = 8, 30
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)  # of the person
SPREAD = 5.0
"""Degrees between the pictures by which landmarks are placed, at least."""
AGREES = 0.1
"""Median distance of a picture's landmarks from where others place them, over their mean distance
from their middle, below which it agrees with those others."""
DOUBT, DOUBT_OF_TWO = 12.0, 30.0
"""Degrees by which the front may be off, more than was measured (docs/own-photos.md): where three
pictures or more agree, and where only two do, which any two nearly can."""
MISFIT = 14.0
"""Mean distance, mm, of the ten landmarks from the mean face's, above which it is no face."""


@dataclass(frozen=True, eq=False)
class HeadFrame:
    """Where the head is in the poses' frame: x_head = scale * turn @ x + shift.

    Args:
        turn: (3, 3) rotation to +y up, +z front.
        scale: scene units per unit of the poses.
        shift: (3,) scene unit.
        landmarks: (68, 3) in the head's frame, scene unit.
        used: names of the pictures whose landmarks placed it.
        pixels: median distance of landmarks from where the pictures have them, pixels.
        misfit: mean distance of ten landmarks from the mean face's, mm at its scale.
        doubt: degrees by which the front may be off (`DOUBT`, `DOUBT_OF_TWO`).
        unit: "mm" where the pupils' distance was given, else "unknown".
        pupils: what the distance between the eyes' middles was set to, scene unit.
    """

    turn: NDArray[np.float64]
    scale: float
    shift: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    used: tuple[str, ...]
    pixels: float
    misfit: float
    doubt: float
    unit: str
    pupils: float = field(default=PUPILS)

    @property
    def chin(self) -> float:
        """Height of the chin in the head's frame."""
        return float(self.landmarks[CHIN, 1])

    @property
    def nose_tip(self) -> tuple[float, float, float]:
        x, y, z = self.landmarks[TIP].tolist()
        return x, y, z

    def facts(self) -> dict[str, Any]:
        """What is reported of it."""
        return {
            "used_views": list(self.used), "landmark_error_px": self.pixels,
            "face_misfit_mm": self.misfit, "front_doubt_deg": self.doubt, "unit": self.unit,
            "pupils": self.pupils,
        }  # fmt: skip


def head_frame(
    views: Sequence[View], marks: Mapping[str, Points], pupils: float | None = None
) -> HeadFrame:
    """The head's frame from what a landmark finder saw.

    Args:
        views: placed pictures, in the poses' frame.
        marks: 68 landmarks (68, 2) of some of them, pixel indices, by name.
        pupils: distance between the pupils, mm; without it the scale is a guess and the unit
            unknown.

    Raises:
        SceneError: too few faces, too near to each other, or points that are no face.
    """
    seen = [view for view in views if view.name in marks]
    if len(seen) < 2:
        raise SceneError(
            f"a face was found in {len(seen)} of {len(views)} placed pictures"
            + (f" ({seen[0].name})" if seen else ""),
            where="up and front",
            remedy="Take at least ten pictures from the front and half from the side, with the "
            "whole face in them, upright and lit; nothing is marked neutral without a front.",
        )
    _check_spread(seen, marks)
    agreeing = _agreeing(seen, marks)
    seen = agreeing or seen
    points, away = _triangulated(seen, marks)
    doubt = DOUBT if len(agreeing) > 2 else DOUBT_OF_TWO
    return _fitted(points, seen, float(np.median(away)), doubt, pupils)


def _agreeing(seen: Sequence[View], marks: Mapping[str, Points]) -> list[View]:
    """The largest set of pictures whose landmarks fit the same points in space, found from pairs.

    A landmark finder guesses the hidden half of a profile; such pictures agree with no other. Of
    sets of one size, that which looks most like a face: two guesses can agree by chance.
    """
    size = {name: float(np.linalg.norm(m - m.mean(0), axis=1).mean()) for name, m in marks.items()}
    best: tuple[int, float, list[View]] = (0, 0.0, [])
    for pair in itertools.combinations(seen, 2):
        if _spread(pair, marks) < SPREAD:
            continue
        points, _ = _triangulated(pair, marks)
        away = [np.linalg.norm(v.project(points)[0] - marks[v.name], axis=1) for v in seen]
        off = [float(np.median(a)) / size[v.name] for v, a in zip(seen, away, strict=True)]
        good = [view for view, share in zip(seen, off, strict=True) if share < AGREES]
        if len(good) > 1 and len(good) >= best[0]:
            misfit = _laid_on_the_mean(_triangulated(good, marks)[0])[2]
            best = max(best, (len(good), -misfit, good), key=lambda one: one[:2])
    return best[2]


def _triangulated(seen: Sequence[View], marks: Mapping[str, Points]) -> tuple[Points, Points]:
    """Landmarks (68, 3) nearest to their rays, outliers weighted down; pixels off (V, 68)."""
    rays = np.stack([view.rays(marks[view.name]) for view in seen])
    centers = np.stack([view.center for view in seen])
    across = np.eye(3) - rays[..., :, None] * rays[..., None, :]  # (V, 68, 3, 3)
    weights = np.ones(rays.shape[:2])
    for _ in range(15):
        left = (weights[..., None, None] * across).sum(0)
        right = np.einsum("vl,vlij,vj->li", weights, across, centers)
        points = np.linalg.solve(left, right[..., None])[..., 0]
        away = np.stack(
            [np.linalg.norm(v.project(points)[0] - marks[v.name], axis=1) for v in seen]
        )
        weights = 1 / np.maximum(away, max(0.5, float(np.median(away))))
    return points, away


def _spread(seen: Sequence[View], marks: Mapping[str, Points]) -> float:
    """Degrees between the two cameras that look at the face from the most different sides."""
    to = np.stack([view.rays(marks[view.name]).mean(0) for view in seen])
    to /= np.linalg.norm(to, axis=1, keepdims=True)
    return float(np.degrees(np.arccos(np.clip((to @ to.T).min(), -1, 1))))


def _check_spread(seen: Sequence[View], marks: Mapping[str, Points]) -> None:
    """Raise SceneError where the cameras look at the face from (nearly) one side only."""
    spread = _spread(seen, marks)
    if spread < SPREAD:
        raise SceneError(
            f"the {len(seen)} pictures with a face are all taken from one place ({spread:.1f} "
            "degrees apart)",
            where="up and front",
            remedy="Walk on in a bow before the face, at least from one cheek to the other.",
        )


def _laid_on_the_mean(points: Points) -> tuple[NDArray[np.float64], float, float]:
    """Turn and scale that bring ten landmarks nearest to the mean face's, and what is left, mm."""
    mean, ours = np.array([*MEAN_FACE.values()]), points[[*MEAN_FACE]]
    a, b = ours - ours.mean(0), mean - mean.mean(0)
    u, s, vt = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
    turn = u @ sign @ vt
    scale = float((s * np.diag(sign)).sum() / (a**2).sum())
    return turn, scale, float(np.linalg.norm(scale * a @ turn.T - b, axis=1).mean())


def _fitted(
    points: Points, seen: Sequence[View], pixels: float, doubt: float, pupils: float | None
) -> HeadFrame:
    """The frame in which ten landmarks lie nearest to the mean face's."""
    eyes = float(np.linalg.norm(points[LEFT_EYE].mean(0) - points[RIGHT_EYE].mean(0)))
    turn, fit, misfit = _laid_on_the_mean(points)
    mean, ours = np.array([*MEAN_FACE.values()]), points[[*MEAN_FACE]]
    scale = (pupils or PUPILS) / eyes
    shift = mean.mean(0) * scale / fit - scale * turn @ ours.mean(0)
    placed = scale * points @ turn.T + shift
    before = [float((scale * turn @ view.center + shift - placed[TIP])[2]) for view in seen]
    if misfit > MISFIT or np.median(before) <= 0:
        raise SceneError(
            f"the landmarks of {len(seen)} pictures make no face (they miss the mean face's by "
            f"{misfit:.0f} mm)",
            where="up and front",
            remedy="Look at the pictures: is the face whole, still, and the only one? A head that "
            "moves, or poses that are wrong, look like this.",
        )
    names = tuple(view.name for view in seen)
    unit = "unknown" if pupils is None else "mm"
    return HeadFrame(
        turn, scale, shift, placed, names, pixels, misfit, doubt, unit, float(pupils or PUPILS)
    )
