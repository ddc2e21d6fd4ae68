"""Pictures of lesson 8: outlines of people and of their mean, and the mean as a head."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from privhead_nb.teach.lesson08 import blend
from privhead_nb.teach.widgets import View
from privhead_nb.viz.palette import BLUE, ORANGE
from privhead_nb.viz.shading import shaded_normals

PLANES = {"profile": ("x", 0.0), "front": ("z", 0.12), "from above": ("y", 0.06)}
SIZE = 150  # pixels of the shaded head
VIEWS = ("front", "three-quarter")


@cache
def outlines(plane: str) -> list[list[NDArray[np.float64]]]:
    """Zero lines of each person in a plane, (N, 2) to the right and up, unit coordinates."""
    return [_outline(one, plane) for one in blend.people()]


def _outline(values: NDArray[np.float32], plane: str) -> list[NDArray[np.float64]]:
    from skimage.measure import find_contours

    name, at = PLANES[plane]
    axes = blend.axes()
    number = "xyz".index(name)
    place = (at - float(axes[number][0])) / blend.STEP
    low = int(place)
    share = place - low
    cut = (1 - share) * values.take(low, number) + share * values.take(low + 1, number)
    first, second = (float(a[0]) for i, a in enumerate(axes) if i != number)
    lines = [line * blend.STEP + (first, second) for line in find_contours(cut, 0.0)]
    if name == "x":  # seen from the head's left: the face looks to the left of the picture
        return [np.column_stack([-line[:, 1], line[:, 0]]) for line in lines]
    return lines


def _shaded(count: int, view: str) -> NDArray[np.float32]:
    mesh = blend.surface_of(blend.mean_of(count))
    middle = [0.0, -0.05 * blend.RADIUS, 0.0]
    full = shaded_normals(mesh, view, SIZE, center=middle, extent=0.92 * blend.RADIUS)
    return full[:, SIZE // 6 : -SIZE // 6]


@cache
def _heads(count: int) -> NDArray[np.float32]:
    """The mean of the first people from both `VIEWS`, side by side with a gap."""
    first, second = (_shaded(count, view) for view in VIEWS)
    return np.hstack([first, np.ones((len(first), 2, *first.shape[2:]), np.float32), second])


@cache
def _outline_of_mean(count: int, plane: str) -> list[NDArray[np.float64]]:
    return _outline(blend.mean_of(count), plane)


@cache
def _slope_and_spread(count: int) -> tuple[float, float]:
    """At the mean's surface: the mean's slope, and how far the people are apart, mm."""
    values = blend.mean_of(count)
    near = np.abs(values) < blend.STEP
    slope = float(blend.slope_of(values)[near].mean())
    return slope, float(blend.people()[:count].std(axis=0)[near].mean()) * blend.RADIUS


def warm() -> None:
    """Shade all ten means once, so that a panel only has to put pictures together."""
    for count in range(1, 11):
        _heads(count)
        _slope_and_spread(count)


def mean_of_people(people: int, plane: str) -> View:
    """Outlines of the first people in a plane with that of their mean, and the mean as a head."""
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 3.4), dpi=84)
    left = figure.add_axes((0.02, 0.01, 0.42, 0.9))
    single = [line for lines in outlines(plane)[:people] for line in lines]
    for lines, colour, width, dash in (
        (single, ORANGE, 0.9, "--"),
        (_outline_of_mean(people, plane), BLUE, 2.4, "-"),
    ):
        shown = LineCollection(lines, colors=colour, linewidths=width, linestyles=dash)
        left.add_collection(shown, autolim=False)
    left.set(xlim=(-0.92, 0.92), ylim=(-0.96, 0.88), aspect="equal")
    left.set_title(f"{plane}: people (dashed), their mean (solid)", fontsize=9, y=1.0)
    right = figure.add_axes((0.46, 0.01, 0.525, 0.9))
    right.imshow(_heads(people))  # both in one: each axes costs as much as a picture
    for ax in (left, right):
        ax.set_axis_off()
    slope, apart = _slope_and_spread(people)
    facts = (
        f"{people} of 10 people: at the mean's surface they are {apart:.1f} mm apart (standard "
        f"deviation), and the mean's slope is {slope:.2f}"
    )
    alt = (
        f"Left: outlines of {people} made people in one plane, dashed, and of their mean, solid. "
        "Right: the mean as a grey head from the front and from three quarters. " + facts
    )
    return View(figure, alt, facts)
