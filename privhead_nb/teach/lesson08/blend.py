"""The template's ten people on one coarse lattice, so that lesson 8 can mix them while one looks.

    python -m privhead_nb.teach.lesson08.blend    writes results/template_people.safetensors

Exact signed distances in each person's own unit sphere, kept as one byte each: 127 tanh(d / SCALE),
which is finest at the surface (0.2 mm) and coarse where nobody looks.
"""

from __future__ import annotations

import sys
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tqdm import tqdm

from privhead_nb import resources
from privhead_nb.files import write_tensors
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.training.make_template import PEOPLE, person

FILE = resources.RESULTS / "template_people.safetensors"
STEP = 0.04  # unit-sphere coordinates: some 7 mm
LOW, HIGH = (-0.6, -0.92, -0.8), (0.6, 0.92, 0.8)
SCALE = 0.12
RADIUS = 185.0  # mm, mean radius of the people's spheres

Values = NDArray[np.float32]


def axes() -> list[Values]:
    """The lattice's coordinates along x, y and z."""
    counts = [round((high - low) / STEP) + 1 for low, high in zip(LOW, HIGH, strict=True)]
    return [
        np.float32(low) + np.float32(STEP) * np.arange(n, dtype=np.float32)
        for low, n in zip(LOW, counts, strict=True)
    ]


def points() -> NDArray[np.float64]:
    """All lattice points (P, 3)."""
    grid = np.stack(np.meshgrid(*axes(), indexing="ij"), axis=-1)
    return grid.reshape(-1, 3).astype(np.float64)


@cache
def people() -> Values:
    """Signed distances (10, X, Y, Z) of the template's people, unit-sphere coordinates."""
    codes = load_file(FILE)["codes"].numpy().astype(np.float32)
    return np.asarray(SCALE * np.arctanh(codes / 127.5), dtype=np.float32)


def mean_of(count: int) -> Values:
    """Mean signed distance (X, Y, Z) of the first `count` people.

    Raises:
        ValueError: not one to ten.
    """
    if not 1 <= count <= len(PEOPLE):
        raise ValueError(f"1 to {len(PEOPLE)} people, not {count}")
    return np.asarray(people()[:count].mean(axis=0))


def slope_of(values: Values) -> Values:
    """Length of the gradient (X, Y, Z) by central differences; 1 for a distance."""
    return np.asarray(np.linalg.norm(np.gradient(values, STEP), axis=0))


def surface_of(values: Values) -> Mesh:
    """The zero level as a mesh, mm, the sphere's centre at 0."""
    from skimage.measure import marching_cubes

    vertices, faces, _, _ = marching_cubes(values, 0.0, gradient_direction="descent")
    unit = vertices * STEP + np.array(LOW)
    return Mesh(unit.astype(np.float64) * RADIUS, faces.astype(np.int64))


def main() -> None:
    """Measure the ten people and write the file."""
    where = points()
    found = [person(i).sdf(where) for i in tqdm(PEOPLE, desc="people", file=sys.stderr)]
    shape = tuple(len(a) for a in axes())
    codes = np.round(127.5 * np.tanh(np.stack(found) / SCALE)).clip(-127, 127).astype(np.int8)
    write_tensors(FILE, {"codes": torch.from_numpy(codes.reshape(len(PEOPLE), *shape))})


if __name__ == "__main__":
    main()
