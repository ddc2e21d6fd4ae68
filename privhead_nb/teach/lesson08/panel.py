"""Lesson 8's panel: the mean of one to ten made people, cut by a plane and as a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privhead_nb.teach import widgets
from privhead_nb.teach.lesson08 import mean_heads

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

TWIN: list[dict[str, Any]] = [
    {"people": 1, "plane": "profile"},
    {"people": 3, "plane": "profile"},
    {"people": 10, "plane": "profile"},
    {"people": 10, "plane": "from above"},
]


def picture(people: int, plane: str) -> View:
    """Outlines of so many people, and their mean."""
    return mean_heads.mean_of_people(people, plane)


def controls() -> dict[str, Any]:
    """How many people, and the plane; the heads are shaded before anything moves."""
    mean_heads.warm()
    return {
        "people": widgets.whole("people", 1, 10, 1, 2),
        "plane": widgets.choice("plane", list(mean_heads.PLANES)),
    }
