"""Lesson 8's panel: the mean of one to ten made people, cut by a plane and as a head.

The people are the template's, as exact signed distances on one coarse lattice, each in a unit
sphere of their own. A distance is kept as one byte, 127.5 tanh(d / SCALE), which is finest at the
surface (0.2 mm) and coarse where nobody looks. `benchmarks/studies/template.py people` makes them.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.resources import RESULTS
from privhead_nb.teach import widgets
from privhead_nb.viz.shading import shaded_normals
from privhead_nb.viz.style import BLUE, ORANGE, grid, image

FILE = RESULTS / "template_people.safetensors"
STEP = 0.04  # of the lattice, unit-sphere coordinates: some 7 mm
LOW, COUNTS = (-0.6, -0.92, -0.8), (31, 47, 41)
SCALE = 0.12
RADIUS = 185.0  # mm, mean radius of the people's spheres
PLANES = {"profile": ("x", 0.0), "front": ("z", 0.12), "from above": ("y", 0.06)}
TWIN: list[dict[str, Any]] = [
    {"people": 1, "plane": "profile"},
    {"people": 3, "plane": "profile"},
    {"people": 10, "plane": "profile"},
    {"people": 10, "plane": "from above"},
]
Values = NDArray[np.float32]


def axes() -> list[Values]:
    """The lattice's coordinates along x, y and z."""
    return [
        np.float32(low) + np.float32(STEP) * np.arange(count, dtype=np.float32)
        for low, count in zip(LOW, COUNTS, strict=True)
    ]


@cache
def lattices() -> Values:
    """Signed distances (10, X, Y, Z) of the template's people, unit-sphere coordinates."""
    codes = load_file(FILE)["codes"].numpy().astype(np.float32)
    return np.asarray(SCALE * np.arctanh(codes / 127.5), dtype=np.float32)


def surface(values: Values) -> Mesh:
    """The zero level of values (X, Y, Z) as a mesh, mm, the sphere's centre at 0."""
    from skimage.measure import marching_cubes

    vertices, faces, _, _ = marching_cubes(values, 0.0, gradient_direction="descent")
    unit = vertices * STEP + np.array(LOW)
    return Mesh(unit.astype(np.float64) * RADIUS, faces.astype(np.int64))


def outlines(values: Values, plane: str) -> list[NDArray[np.float64]]:
    """Zero lines of values (X, Y, Z) in a plane, (N, 2) to the right and up, unit coordinates."""
    from skimage.measure import find_contours

    name, at = PLANES[plane]
    number = "xyz".index(name)
    place = (at - LOW[number]) / STEP
    low = int(place)
    share = place - low
    cut = (1 - share) * values.take(low, number) + share * values.take(low + 1, number)
    corner = [start for i, start in enumerate(LOW) if i != number]
    lines = [line * STEP + corner for line in find_contours(cut, 0.0)]
    if name == "x":  # seen from the head's left: the face looks to the left of the picture
        return [np.column_stack([-line[:, 1], line[:, 0]]) for line in lines]
    return lines


def picture(people: int, plane: str) -> widgets.View:
    """Outlines of the first people in a plane with that of their mean, and the mean as a head."""
    shown = lattices()[:people]
    mean = shown.mean(axis=0)
    figure, ((left, *heads),) = grid(1, 3, width=7.5, height=3.1, width_ratios=[1.5, 1, 1])
    for line in (line for person in shown for line in outlines(person, plane)):
        left.plot(*line.T, "--", color=ORANGE, lw=0.9)
    for line in outlines(mean, plane):
        left.plot(*line.T, color=BLUE, lw=2.4)
    left.set(xlim=(-0.92, 0.92), ylim=(-0.96, 0.88), aspect="equal")
    left.set_title(f"{plane}: people (dashed), their mean (solid)", fontsize=9)
    left.set_axis_off()
    middle, extent = [0.0, -0.05 * RADIUS, 0.0], 0.92 * RADIUS
    for ax, view in zip(heads, ("front", "three-quarter"), strict=True):
        head = shaded_normals(surface(mean), view, 120, center=middle, extent=extent)
        image(ax, head[:, 20:-20])
    near = np.abs(mean) < STEP
    slope = np.linalg.norm(np.gradient(mean, STEP), axis=0)[near].mean()
    apart = shown.std(axis=0)[near].mean() * RADIUS
    facts = (
        f"{people} of 10 people: at the mean's surface they are {apart:.1f} mm apart (standard "
        f"deviation), and the mean's slope is {slope:.2f}"
    )
    alt = (
        f"Left: outlines of {people} made people in one plane, dashed, and of their mean, solid. "
        "Right: the mean as a grey head from the front and from three quarters. " + facts
    )
    return widgets.View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """How many people, and the plane."""
    return {
        "people": widgets.whole("people", 1, 10, 1, 2),
        "plane": widgets.choice("plane", list(PLANES)),
    }
