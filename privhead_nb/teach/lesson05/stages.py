"""What benchmarks/results/stages/ holds: a head's signed distance while it was trained."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.scene import Scene

Array = NDArray[np.float64]

FOLDER = RESULTS / "stages"
PLANES = ("profile", "level")  # x = nose tip's, seen from the side; y = nose tip's, from above
SIDE, POINTS = 300.0, 120  # mm along a plane's side, and grid points along it


@dataclass(frozen=True)
class Moment:
    """One step of a run.

    Attributes:
        run: "two stages" or "stage 2 alone".
        stage, step: where in it; the stage's last step is its number of steps.
        beta: the wall's width, mm.
        sdf: plane -> signed distance (POINTS, POINTS), mm, rows from the top (or front) down.
        distance, normal_deg: two-way mean in mm and median in degrees, face region.
    """

    run: str
    stage: str
    step: int
    beta: float
    sdf: dict[str, NDArray[np.float32]]
    distance: float
    normal_deg: float

    @property
    def name(self) -> str:
        """ "stage 2, step 60"."""
        return f"{self.stage[:-1]} {self.stage[-1]}, step {self.step}"


def outline(mesh: Mesh, plane: str, scene: Scene) -> list[Array]:
    """Where a mesh cuts a plane through the nose tip: lines (K, 2) of right and down, mm.

    Seen as a picture: "profile" has the nose at the left and the crown above, "level" has the nose
    below and the left of the picture at -x. Its middle is that of the bounding sphere.
    """
    (x, y, z), nose = scene.center, scene.face_region()[0]
    normal = (1.0, 0.0, 0.0) if plane == "profile" else (0.0, 1.0, 0.0)
    section = mesh.to_trimesh().section(normal, nose)
    lines = [] if section is None else [np.asarray(line) for line in section.discrete]
    if plane == "profile":
        return [np.stack([z - line[:, 2], y - line[:, 1]], -1) for line in lines]
    return [np.stack([line[:, 0] - x, line[:, 2] - z], -1) for line in lines]


def load(folder: Path = FOLDER) -> list[Moment]:
    """All moments, in the order of training, run by run."""
    facts = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    fields = load_file(folder / "fields.safetensors")
    moments = []
    for number, fact in enumerate(facts["moments"]):
        sdf = {p: fields[f"{number:02d} {p}"].astype(np.float32) for p in PLANES}
        moments.append(Moment(sdf=sdf, **fact))
    return moments
