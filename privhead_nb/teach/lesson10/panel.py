"""Lesson 10's panel: whose shape, whose colours, how much of them, and what recognisers say."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from torch import Tensor

from privhead_nb.lab.framing import FRONT
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers.stored import shipped
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson10 import mixed_heads as mixed
from privhead_nb.teach.lesson10.figures import CROP
from privhead_nb.teach.widgets import View
from privhead_nb.viz.style import BLUE, VERMILLION, grid, image

YAWS = (-40, -20, 0, 20, 40)
SETTING: dict[str, Any] = {"shape": "B", "colours": "D", "blend": 1.0, "yaw": 0, "way": mixed.PLACE}
"""Where the panel starts."""
TWIN: list[dict[str, Any]] = [
    SETTING | {"blend": 0.0},
    SETTING | {"blend": 0.5},
    SETTING,
    SETTING | {"way": mixed.POINT},
]


@cache
def judges() -> tuple[Recogniser, ...]:
    """The shipped recognisers, and one that sees colours only."""
    return (*shipped(), Recogniser("palette", mixed.palette))


def _mixture(shape: str, colours: str, blend: float, yaw: int, way: str) -> Tensor:
    """(1, 64, 64, 3) one's shape; colours between one's own (blend 0) and the other's (1)."""
    own, other = mixed.colours(shape, shape), mixed.colours(shape, colours, way)
    return mixed.pictures(shape, own + blend * (other - own), angles=((float(yaw), 0.0),))


def distances(shape: str, colours: str, blend: float, yaw: int, way: str) -> dict[str, Any]:
    """Recogniser -> cosine distances of a mixture to the frontal pictures of its two people."""
    return _distances(_mixture(shape, colours, blend, yaw, way), shape, colours)


def _distances(shown: Tensor, shape: str, colours: str) -> dict[str, Any]:
    found = {}
    for one in judges():
        (vector,) = one.embed(shown)[0]
        known = (one.embed(mixed.pictures(n, angles=FRONT))[0][0] for n in (shape, colours))
        found[one.name] = tuple(max(0.0, float(1 - own @ vector)) for own in known)
    return found


def picture(shape: str, colours: str, blend: float, yaw: int, way: str) -> View:
    """The mixture beside its two people, and its distances to them.

    Args:
        shape, colours: of PEOPLE.
        blend: 0 to 1.
        yaw: degrees.
        way: one of WAYS.
    """
    mixture = _mixture(shape, colours, blend, yaw, way)
    shown = {
        f"shape: {shape}": mixed.pictures(shape, angles=FRONT),
        f"blend {blend:.1f}": mixture,
        f"colours: {colours}": mixed.pictures(colours, angles=FRONT),
    }
    said = _distances(mixture, shape, colours)
    figure, axes = grid(1, 4, width=8, height=2.6)
    for ax, (title, (portrait,)) in zip(axes[0], shown.items(), strict=False):
        image(ax, portrait[CROP], title)
    right, rows = axes[0][3], range(len(said))
    to_shape, to_colours = np.array(list(said.values())).T
    right.hlines(rows, to_shape, to_colours, color="0.6", lw=1.5)
    right.plot(to_shape, rows, "o", color=BLUE, mec="black", ms=8)
    right.plot(to_colours, rows, "s", color=VERMILLION, mec="black", ms=7)
    right.set(xlim=(-0.08, 2.08), ylim=(len(said) - 0.4, -0.6), xlabel="cosine distance")
    right.set_yticks(rows, list(said))
    right.set_title(f"circle: to {shape}   square: to {colours}", fontsize=8)
    facts = "; ".join(f"{n} {a:.2f} to {shape}, {b:.2f} to {colours}" for n, (a, b) in said.items())
    alt = (
        f"Three portraits: {shape}; the shape of {shape} with {blend:.0%} of the colours of "
        f"{colours} ({way}), seen from {yaw} degrees; {colours}. Beside them cosine distances: "
        f"{facts}."
    )
    return View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """Both people, the blend, the side it is seen from, and the way."""
    people = list(mixed.PEOPLE)
    return {
        "shape": widgets.choice("shape of", people, SETTING["shape"]),
        "colours": widgets.choice("colours of", people, SETTING["colours"]),
        "blend": widgets.real("blend", 0.0, 1.0, 0.1, 1.0),
        "yaw": widgets.choice("yaw [deg]", YAWS, 0),
        "way": widgets.choice("colours from", (mixed.PLACE, mixed.POINT)),
    }
