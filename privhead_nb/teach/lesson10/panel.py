"""Lesson 10's panel: whose shape, whose colours, how much of them, and what recognisers say."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from privhead_nb.lab.recognition import Recogniser
from privhead_nb.lab.recognition.stored import shipped
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson10 import mixed_heads, transfer_plots

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

YAWS = (-40, -20, 0, 20, 40)
ASKED = (mixed_heads.PLACE, mixed_heads.POINT)
_REST: dict[str, Any] = {
    "shape": "B",
    "colours": "D",
    "blend": 1.0,
    "yaw": 0,
    "way": mixed_heads.PLACE,
}
TWIN: list[dict[str, Any]] = [
    _REST | {"blend": 0.0},
    _REST | {"blend": 0.5},
    _REST,
    _REST | {"way": mixed_heads.POINT},
]


def picture(shape: str, colours: str, blend: float, yaw: int, way: str) -> View:
    """The mixture beside its two people, and its distances to them."""
    return transfer_plots.mixture(shape, colours, blend, yaw, way, judges())


def controls() -> dict[str, Any]:
    """Both people, the blend, the side it is seen from, and the way; all shapes are seen before."""
    people = list(mixed_heads.PEOPLE)
    for shape in people:
        for colours in people:
            picture(shape, colours, 1.0, 0, ASKED[0])
        for way in ASKED:
            for yaw in YAWS:
                mixed_heads.pictures(shape, shape, way, angles=((float(yaw), 0.0),))
    return {
        "shape": widgets.choice("shape of", people, _REST["shape"]),
        "colours": widgets.choice("colours of", people, _REST["colours"]),
        "blend": widgets.real("blend", 0.0, 1.0, 0.1, 1.0),
        "yaw": widgets.choice("yaw [deg]", YAWS, 0),
        "way": widgets.choice("colours from", ASKED),
    }


@cache
def judges() -> tuple[Recogniser, ...]:
    """The shipped recognisers, and one that sees colours only."""
    return (*shipped(), Recogniser("palette", mixed_heads.palette))
