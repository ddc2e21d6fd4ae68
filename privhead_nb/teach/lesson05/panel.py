"""Lesson 05's panel: the field while it is trained, with stage 1 and without."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson05 import figures, stages

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

BETAS = {"as trained": 0.0, "0.3 mm": 0.3, "1 mm": 1.0, "3 mm": 3.0, "10 mm": 10.0}
LAST = 9  # number of the last moment
TWIN: list[dict[str, Any]] = [
    {"moment": 3, "plane": "profile", "shown": "distance", "beta": 0.0},
    {"moment": 6, "plane": "profile", "shown": "distance", "beta": 0.0},
    {"moment": LAST, "plane": "profile", "shown": "distance", "beta": 0.0},
    {"moment": LAST, "plane": "level", "shown": "fog", "beta": 0.0},
]


def picture(moment: int, plane: str, shown: str, beta: float) -> View:
    """Both runs at a moment; stage 2 alone waits while stage 1 runs.

    Args:
        moment: its number among those of the run with two stages.
        plane: of `stages.PLANES`.
        shown: "distance" or "fog".
        beta: the fog's width in mm; 0 takes the one that training used then.
    """
    two = [m for m in _moments() if m.run == "two stages"]
    alone = {m.step: m for m in _moments() if m.run != "two stages"}
    here = two[moment]
    other = alone[here.step if here.stage == "stage2" else 0]
    return figures.moment_pair(here, other, plane, _truth(plane), shown=shown, beta=beta or None)


def controls() -> dict[str, Any]:
    """The moment, the plane, distance or fog, and the fog's width."""
    names = [m.name for m in _moments() if m.run == "two stages"]
    return {
        "moment": widgets.choice("moment", {name: i for i, name in enumerate(names)}),
        "plane": widgets.choice("plane", stages.PLANES),
        "shown": widgets.choice("shown", ["distance", "fog"]),
        "beta": widgets.choice("beta of fog", BETAS),
    }


@cache
def _moments() -> tuple[stages.Moment, ...]:
    return tuple(stages.load())


@cache
def _truth(plane: str) -> tuple[Any, ...]:
    scene = load_scene(SAMPLES / "scene")
    return tuple(stages.outline(Mesh.from_trimesh(scene.truth_mesh()), plane, scene))
