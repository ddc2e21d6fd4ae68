"""Lesson 3's panel: one head, one operator, and what a face detector says to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privhead_nb.privacy.operators import KINDS, Operator
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson03 import detector, figures

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

SIZES = (256, 128, 96, 64, 48, 32, 24, 16)
NOISES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
LEVELS = {"all": 0, "64": 64, "32": 32, "16": 16, "8": 8, "4": 4, "2": 2}
WHO = ("made head", "another", "a third", "from behind", "photograph")
_REST: dict[str, Any] = {
    "who": "made head", "kind": "sobel", "size": 64, "blur": 0.0, "noise": 0.0, "levels": 0,
    "luma": False, "lines": "dark",
}  # fmt: skip
TWIN: list[dict[str, Any]] = [
    _REST | {"size": 256, "lines": "light"},
    _REST | {"size": 256},
    _REST | {"who": "photograph", "size": 256, "kind": "scharr"},
    _REST | {"who": "photograph", "size": 256, "kind": "scharr", "levels": 4},
]


def picture(
    who: str, kind: str, size: int, blur: float, noise: float, levels: int, luma: bool, lines: str
) -> View:
    """Portrait, and the modulus with the detector's boxes."""
    fronts, backs = detector.stored_portraits()
    portraits = dict(zip(WHO, (*fronts[:3], backs[0], detector.photograph()), strict=True))
    operator = Operator(kind, blur=blur, noise=noise, levels=levels, per_channel=not luma)
    return figures.desk(portraits[who], operator, size, lines)


def controls() -> dict[str, Any]:
    """Who, the operator and its parameters, the size, and how lines are drawn."""
    return {
        "who": widgets.choice("who", WHO),
        "kind": widgets.choice("operator", KINDS),
        "size": widgets.choice("pixels", SIZES, 64),
        "blur": widgets.real("blur", 0.0, 4.0, 0.5, 0.0),
        "noise": widgets.choice("noise", NOISES, 0.0),
        "levels": widgets.choice("levels", LEVELS, 0),
        "luma": widgets.tick("luma alone"),
        "lines": widgets.choice("lines", ["dark", "light"]),
    }
