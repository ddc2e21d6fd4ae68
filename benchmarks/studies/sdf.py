"""Lesson 02's fits on the cpu profile: which of them get better with more steps and a finer grid?

    python benchmarks/studies/sdf.py            # about ten minutes on one core

A torus from 500 points, three seeds of each start and loss; a made head from 20,000 points: the MLP
and the grid with all terms, the grid with three smaller losses. Networks, losses and the training
loop are those of the lesson's page, whose definitions are read from its source. Writes
benchmarks/results/sdf_fits.json.
"""

from __future__ import annotations

import ast
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from privhead_nb import load_scene, resources
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import sample_surface
from privhead_nb.training.profiles import PROFILES

LESSON = Path(__file__).parents[2] / "notebooks/src/02_sdf_and_eikonal.py"
OUT = resources.RESULTS / "sdf_fits.json"
STEPS, SEEDS = 900, (0, 1, 2)
TORUS = {"PyTorch's start": (False, 0.1), "no eikonal term": (True, 0.0), "both": (True, 0.1)}
HEAD = {
    "SDFNetwork": (0.1, 0.1),
    "points": (0.0, 0.0),
    "points, eikonal": (0.0, 0.1),
    "points, normals": (0.1, 0.0),
    "all three": (0.1, 0.1),
}


def definitions(lesson: Path = LESSON, **names: Any) -> SimpleNamespace:
    """The functions and classes that stand on a lesson's page, which see `names`, too."""
    page = ast.parse(lesson.read_text(encoding="utf-8"))
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    page.body = [node for node in page.body if isinstance(node, kinds)]
    found: dict[str, Any] = {"__name__": lesson.stem, **names}
    exec(compile(page, str(lesson), "exec"), found)
    return SimpleNamespace(**found)


def torus(page: SimpleNamespace) -> dict[str, list[float]]:
    """Mean distance of each fit's zero set to the torus, a number for each seed."""
    truth = page.level_mesh(page.sample_volume(page.torus))
    apart: dict[str, list[float]] = {name: [] for name in TORUS}
    for name, (geometric, weight) in TORUS.items():
        for seed in SEEDS:
            scan = torch.from_numpy(sample_surface(truth, 500, seed)[0]).float()
            torch.manual_seed(seed)
            field = page.SDFNetwork(geometric=geometric)
            page.fit(field.parameters(), partial(page.scan_loss, field, scan, weight), STEPS)
            zero = page.level_mesh(page.sample_volume(field, 64))
            apart[name].append(round(page.apart(zero, truth), 5))
    return apart


def head() -> dict[str, dict[str, float]]:
    """Distance [mm], normals [degrees], pieces, and where the level of 30 mm lies, of each fit."""
    scene = load_scene(resources.SAMPLES / "scene")
    truth = Mesh.from_trimesh(scene.truth_mesh())
    page = definitions(scene=scene, truth=truth)
    on_truth, face = sample_surface(truth, 20_000, 0)
    cloud = torch.from_numpy((on_truth - scene.center) / scene.radius).float()
    normals = torch.from_numpy(truth.face_normals()[face]).float()
    found = {}
    for name, weights in HEAD.items():
        torch.manual_seed(0)
        if name == "SDFNetwork":
            field = page.SDFNetwork()
            slope_of, groups, f = partial(page.with_slope, field), field.parameters(), field
        else:
            field = page.as_package(page.GridSDF(PROFILES["cpu"].field.resolutions))
            slope_of, groups, f = partial(page.their_slope, field), page.groups(field), field.sdf
        page.fit(groups, partial(page.head_loss, slope_of, cloud, normals, *weights), STEPS)
        volume = page.sample_volume(f)
        distance, angle, level = page.measured(volume)
        found[name] = {
            "distance": round(distance, 3),
            "normals": round(angle, 2),
            "pieces": page.level_mesh(volume).to_trimesh().body_count,
            "level 30": round(float(level), 2),
        }
    return found


def main() -> None:
    """Make all fits and write what came out."""
    facts = {"command": "python benchmarks/studies/sdf.py", "steps": STEPS, "seeds": list(SEEDS)}
    OUT.write_text(
        json.dumps(facts | {"torus": torus(definitions()), "head": head()}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
