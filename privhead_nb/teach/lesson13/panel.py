"""Lesson 13's panel: whom to de-identify, how far, and from which side to look at the result."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
from torch import Tensor

from privhead_nb.deid import aware3d
from privhead_nb.lab.recognisers.stored import recogniser
from privhead_nb.lab.sheet import shipped_gallery
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson10.figures import CROP
from privhead_nb.teach.widgets import View
from privhead_nb.viz.style import grid, image

PEOPLE = 8
TAUS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
YAWS = (-40, -20, 0, 20, 40)
JUDGES = ("arcface_cnn", "triplet_cnn")
SETTING: dict[str, Any] = {"person": 3, "tau": 1.5, "yaw": 20}
"""Where the panel starts."""
TWIN: list[dict[str, Any]] = [
    {"person": 0, "tau": 0.5, "yaw": 0},
    {"person": 0, "tau": 1.5, "yaw": 0},
    SETTING | {"yaw": -40},
    SETTING | {"yaw": 40},
]


@cache
def system() -> aware3d.Aware3d:
    """The system with the weights that ship."""
    return aware3d.deidentifier()


def poses(*yaws: float) -> Tensor:
    """(V, 6) level cameras at yaws in degrees."""
    made = torch.zeros(len(yaws), 6)
    made[:, 0] = torch.tensor([math.radians(yaw) for yaw in yaws])
    return made


def picture(person: int, tau: float, yaw: int) -> View:
    """A portrait, its release from the front and from the side, and their distances.

    Args:
        person: number of a gallery picture, from 0.
        tau: of TAUS.
        yaw: degrees from which the release is seen.
    """
    (source,) = shipped_gallery().frontals().rgb()[person][None]
    front, side = system().multi_view(source, poses(0.0, float(yaw)), tau)
    told = []
    for name in JUDGES:
        own, near, far = recogniser(name).embed(torch.stack([source, front, side]))[0]
        told.append(
            f"{name}: to the original {float((near - own).norm()):.2f}, "
            f"from this side to the front {float((far - near).norm()):.2f}"
        )
    facts = "; ".join(told)
    figure, axes = grid(1, 3, width=6.6, height=2.7)
    titles = ("the original", f"released, tau {tau:g}", f"the same, {yaw} deg")
    for ax, shown, title in zip(axes[0], (source, front, side), titles, strict=True):
        image(ax, shown[CROP], title)
    alt = (
        f"Three portraits: gallery person {person}; the soft picture of who takes their place at "
        f"tau {tau:g}, from the front; and the same from {yaw} degrees. Distances: {facts}."
    )
    return View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """Whom, how far, and from where."""
    return {
        "person": widgets.whole("person", 0, PEOPLE - 1, 1, SETTING["person"]),
        "tau": widgets.choice("tau", TAUS, SETTING["tau"]),
        "yaw": widgets.choice("yaw [deg]", YAWS, SETTING["yaw"]),
    }
