"""Which views show the face. A view is neutral only where nothing at all speaks against it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from privhead_nb.capture.frame import DOUBT
from privhead_nb.capture.views import View
from privhead_nb.errors import SceneError, listed

FACE_ANGLE = 125.0
"""Degrees from the face's frontal axis within which a camera may see the outline of the nose past
the cheek; of twenty made heads the last nose is gone at 137 (`benchmarks/studies/capture.py
outline`). `privacy.consent` refuses neutral views below 100."""
CUT = 0.02
"""Share of the head outside of a picture's edges, above which the view is of no use."""


@dataclass(frozen=True)
class ViewRole:
    """What a view is taken for, and why.

    Args:
        name: of the user's file.
        role: sensitive, neutral or unused.
        angle: degrees between the face's frontal axis and the camera.
        faces: faces that a detector saw in it.
        reasons: one clause each.
    """

    name: str
    role: str
    angle: float
    faces: int
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def angle_from_front(view: View, nose_tip: Sequence[float]) -> float:
    """Degrees between +z and the camera, at the head's middle or the nose, the smaller of both."""
    points = [np.zeros(3), np.array(nose_tip)]
    away = [view.center - p for p in points]
    return min(float(np.degrees(np.arccos(np.clip(a[2] / np.linalg.norm(a), -1, 1)))) for a in away)


def view_roles(
    views: Sequence[View],
    faces: Mapping[str, int],
    nose_tip: Sequence[float],
    cut: Mapping[str, float],
    *,
    doubt: float = DOUBT,
    sensitive: Collection[str] = (),
    neutral: Collection[str] = (),
    unused: Collection[str] = (),
) -> list[ViewRole]:
    """The role of each view, in the head's frame.

    Args:
        views: in the head's frame.
        faces: how many faces a detector saw in each view; a view that is missing here was not
            looked at, and is sensitive.
        nose_tip: in the head's frame.
        cut: share of the head that is outside of the picture.
        doubt: degrees by which the front may be off: views are sensitive up to FACE_ANGLE + doubt.
        sensitive: names that the user moves there.
        neutral: names that the user moves to neutral, all the same.
        unused: names that the user takes out.

    Raises:
        SceneError: a name that is no view's, or is moved both ways.
    """
    names = {view.name for view in views}
    for option, chosen in (("--sensitive", sensitive), ("--neutral", neutral)):
        unknown = [name for name in chosen if name not in names]
        if unknown:
            raise SceneError(
                f"no placed picture is called {unknown[0]!r}",
                where=option,
                remedy=f"Write whole file names: {listed(sorted(names), 5)}.",
            )
    both = sorted(set(sensitive) & set(neutral))
    if both:
        raise SceneError(
            f"{both[0]} is moved to sensitive and to neutral",
            where="--neutral",
            remedy="Name it once; in doubt it is sensitive.",
        )
    roles = [
        _role(view, faces, nose_tip, cut.get(view.name, 0.0), doubt, sensitive, neutral)
        for view in views
    ]
    return [
        replace(role, role="unused", reasons=("taken out by you",)) if role.name in unused else role
        for role in roles
    ]


def _role(
    view: View,
    faces: Mapping[str, int],
    nose_tip: Sequence[float],
    cut: float,
    doubt: float,
    sensitive: Collection[str],
    neutral: Collection[str],
) -> ViewRole:
    angle, count = angle_from_front(view, nose_tip), faces.get(view.name, 0)
    why = []
    if view.name in sensitive:
        why.append("named by you")
    if view.name not in faces:
        why.append("no detector looked at it")
    if count:
        why.append("a detector sees a face" if count == 1 else f"a detector sees {count} faces")
    if not angle > FACE_ANGLE + doubt:  # NaN counts as seen
        why.append(f"{angle:.0f} degrees from the front")
    if why and view.name in neutral and view.name not in sensitive:
        why = [f"made neutral by you, although: {', '.join(why)}"]
        role = "neutral"
    elif why:
        role = "sensitive"
    else:
        role = "neutral"
        why = [f"{angle:.0f} degrees from the front, and no detector sees a face"]
    if cut > CUT:
        return ViewRole(
            view.name, "unused", angle, count,
            (f"{cut:.0%} of the head is outside of the picture", *why),
        )  # fmt: skip
    return ViewRole(view.name, role, angle, count, tuple(why))
