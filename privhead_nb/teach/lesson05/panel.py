"""Lesson 05's panel: the field while it is trained, with stage 1 and without."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson05 import figures, stages
from privhead_nb.viz.style import grid

if TYPE_CHECKING:
    from privhead_nb.teach.widgets import View

BETAS = {"as trained": 0.0, "0.3 mm": 0.3, "1 mm": 1.0, "3 mm": 3.0, "10 mm": 10.0}
LAST = 9  # number of the last moment
TWIN: list[dict[str, Any]] = [
    {"moment": 3, "plane": "profile", "shown": "distance", "beta": 0.0},
    {"moment": 6, "plane": "profile", "shown": "distance", "beta": 0.0},
    {"moment": LAST, "plane": "profile", "shown": "distance", "beta": 0.0},
    {"moment": LAST, "plane": "level", "shown": "density", "beta": 0.0},
]


def picture(moment: int, plane: str, shown: str, beta: float) -> View:
    """Both runs at a moment; stage 2 alone waits while stage 1 runs.

    Args:
        moment: its number among those of the run with two stages.
        plane: of `stages.PLANES`.
        shown: "distance" or "density".
        beta: the wall's width in mm; 0 takes the one that training used then.
    """
    two = [m for m in _moments() if m.run == "two stages"][moment]
    alone = {m.step: m for m in _moments() if m.run != "two stages"}
    both = (two, alone[two.step if two.stage == "stage2" else 0])
    figure, (axes,) = grid(1, 2, width=8.2, height=4.0)
    for ax, now in zip(axes, both, strict=True):
        if shown == "density":
            figures.draw_density(ax, now, plane, _truth(plane), beta or now.beta)
        else:
            figures.draw_distance(ax, now, plane, _truth(plane))
        ax.set_title(f"{now.run}: {now.name}, {now.distance:.1f} mm", fontsize=9)
    label = "signed distance [mm]" if shown == "distance" else "density times beta"
    figure.colorbar(axes[1].images[0], ax=axes, label=label, shrink=0.8)
    facts = "; ".join(
        f"{m.run}: {m.name}, {m.distance:.2f} mm, {m.normal_deg:.1f} deg" for m in both
    )
    what = f"density at a beta of {beta or two.beta:.2g} mm" * (shown == "density") or "distance"
    cut = "from the side" if plane == "profile" else "level through the nose"
    alt = f"Two pictures of the {what}, cut {cut}, with the true outline dashed. {facts}."
    return widgets.View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """The moment, the plane, distance or density, and the wall's width."""
    names = [m.name for m in _moments() if m.run == "two stages"]
    return {
        "moment": widgets.choice("moment", {name: i for i, name in enumerate(names)}),
        "plane": widgets.choice("plane", stages.PLANES),
        "shown": widgets.choice("shown", ["distance", "density"]),
        "beta": widgets.choice("beta", BETAS),
    }


@cache
def _moments() -> tuple[stages.Moment, ...]:
    return tuple(stages.load())


@cache
def _truth(plane: str) -> tuple[Any, ...]:
    scene = load_scene(SAMPLES / "scene")
    return tuple(stages.outline(Mesh.from_trimesh(scene.truth_mesh()), plane, scene))
