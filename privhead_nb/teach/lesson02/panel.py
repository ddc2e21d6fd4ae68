"""Lesson 02's panel: what beta, the angle and the samples make of a wall that a ray meets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from privhead_nb.teach import widgets
from privhead_nb.teach.lesson02 import wall, wall_plots

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

TWIN: list[dict[str, Any]] = [
    {"beta": beta, "angle": angle, "samples": 48, "hit": 30.0, "form": form}
    for beta, angle, form in (
        (2.0, 0, "VolSDF"), (0.5, 0, "VolSDF"), (2.0, 75, "VolSDF"), (2.0, 75, "NeuS"),
    )
]  # fmt: skip


def picture(beta: float, angle: int, samples: int, hit: float, form: str) -> View:
    """Density and weights along the ray."""
    return wall_plots.ray(beta, angle, samples, hit, form)


def controls() -> dict[str, Any]:
    """Beta, the angle to the normal, samples, the place of the hit, and the form."""
    return {
        "beta": widgets.choice("beta [mm]", [8.0, 4.0, 2.0, 1.0, 0.5, 0.25], 2.0),
        "angle": widgets.whole("angle [deg]", 0, 80, 5, 0),
        "samples": widgets.choice("samples", [12, 24, 48, 96, 192], 48),
        "hit": widgets.real("hit at [mm]", 20.0, 40.0, 0.25, 30.0),
        "form": widgets.choice("form", list(wall.FORMS)),
    }
