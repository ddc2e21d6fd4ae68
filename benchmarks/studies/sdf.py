"""Lesson 02's fits on the cpu profile: which of them get better with more steps and a finer grid?

    python benchmarks/studies/sdf.py            # about ten minutes on one core

A torus from 500 points, three seeds of each start and loss; a made head from 20,000 points, four
losses. The lesson itself makes the same fits with the profile that it runs under. Writes
benchmarks/results/sdf_fits.json.
"""

from __future__ import annotations

import json
from typing import Any

from privhead_nb import load_scene, resources
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.resources import SAMPLES
from privhead_nb.teach.lesson02 import sdf_fit, shapes
from privhead_nb.training.profiles import PROFILES

OUT = resources.RESULTS / "sdf_fits.json"
STEPS, SEEDS = 900, (0, 1, 2)
TORUS = {
    "plain start, eikonal": (True, 0.1),
    "geometric, no eikonal": (False, 0.0),
    "geometric, eikonal": (False, 0.1),
}
HEAD = {
    "points": (0.0, 0.0),
    "points, eikonal": (0.0, 0.1),
    "points, normals": (0.1, 0.0),
    "all three": (0.1, 0.1),
}


def torus() -> dict[str, list[float]]:
    """Mean distance of each fit's zero set to the torus, a number for each seed."""
    truth = sdf_fit.level_mesh(shapes.torus, 0.0, resolution=96)
    apart: dict[str, list[float]] = {name: [] for name in TORUS}
    for name, (plain, weight) in TORUS.items():
        for seed in SEEDS:
            cloud = sdf_fit.cloud_of(truth, 500, (0, 0, 0), 1.0, seed=seed)
            field = sdf_fit.start_mlp(plain=plain, seed=seed)
            settings = sdf_fit.FitSettings(steps=STEPS, batch=256, probes=256, eikonal=weight)
            sdf_fit.fit(field, cloud, settings, seed=seed)
            zero = sdf_fit.level_mesh(field.sdf, 0.0, resolution=96, largest=False)
            apart[name].append(round(sdf_fit.distance_of(zero, truth), 5))
    return apart


def head() -> dict[str, dict[str, Any]]:
    """Distance [mm], normals [degrees], pieces and levels [mm] of each fit of the sample's head."""
    scene = load_scene(SAMPLES / "scene")
    truth = Mesh.from_trimesh(scene.truth_mesh())
    cloud = sdf_fit.cloud_of(truth, 20_000, scene.center, scene.radius)
    found = {}
    for name, (normals, eikonal) in HEAD.items():
        field = sdf_fit.start_grid(PROFILES["cpu"])
        settings = sdf_fit.FitSettings(steps=STEPS, batch=2048, normals=normals, eikonal=eikonal)
        sdf_fit.fit(field, cloud, settings)
        judged = sdf_fit.judge(field.sdf, scene)
        found[name] = {
            "distance": round(judged.distance, 3),
            "normals": round(judged.normals, 2),
            "pieces": judged.pieces,
            "levels": {str(k): round(v, 2) for k, v in judged.levels.items()},
        }
    return found


def main() -> None:
    """Make all fits and write what came out."""
    facts = {"command": "python benchmarks/studies/sdf.py", "steps": STEPS, "seeds": list(SEEDS)}
    OUT.write_text(json.dumps(facts | {"torus": torus(), "head": head()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
