"""Lesson 1's panel: one ray through two bumps of fog, and what a few samples make of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privhead_nb.teach import widgets
from privhead_nb.teach.lesson01 import fog, ray_pictures
from privhead_nb.teach.lesson01.ray_pictures import VEIL_COLOUR, WALL_COLOUR

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

REST: dict[str, Any] = {
    "first_at": 0.6, "first_height": 4.0, "first_width": 0.07,
    "second_at": 1.4, "second_height": 60.0, "second_width": 0.06,
    "samples": 32, "placed": "even",
}  # fmt: skip
TWIN: list[dict[str, Any]] = [
    REST,
    REST | {"first_height": 0.0},
    REST | {"second_width": 0.01, "samples": 12},
    REST | {"second_width": 0.01, "samples": 12, "placed": "by weight, widened"},
]


def bumps(setting: dict[str, Any]) -> tuple[fog.Bump, fog.Bump]:
    """The two clouds of a setting of the panel."""
    first, second = (
        fog.Bump(setting[f"{n}_at"], setting[f"{n}_height"], setting[f"{n}_width"], colour)
        for n, colour in (("first", VEIL_COLOUR), ("second", WALL_COLOUR))
    )
    return first, second


def picture(samples: int, placed: str, **clouds: float) -> View:
    """The ray, its samples, and what is seen."""
    return ray_pictures.ray_view(bumps(clouds), samples, placed)


def controls() -> dict[str, Any]:
    """Place, height and width of two clouds; number and placing of the samples."""
    heights = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0]
    widths = [0.01, 0.02, 0.04, 0.06, 0.07, 0.1, 0.15, 0.25, 0.4]
    clouds: dict[str, Any] = {}
    for name in ("first", "second"):
        at, height, width = (REST[f"{name}_{what}"] for what in ("at", "height", "width"))
        clouds[f"{name}_at"] = widgets.real(f"{name}: at", 0.1, 1.9, 0.05, at)
        clouds[f"{name}_height"] = widgets.choice(f"{name}: height", heights, height)
        clouds[f"{name}_width"] = widgets.choice(f"{name}: width", widths, width)
    return {
        **clouds,
        "samples": widgets.whole("samples", 4, 128, 4, REST["samples"]),
        "placed": widgets.choice("placed", fog.PLACINGS, REST["placed"]),
    }
