"""The last step of the data's way: a reconstruction against the truth that only its owner has."""

from __future__ import annotations

from typing import Any

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import Distances, evaluate_mesh
from privhead_nb.scenes.about import AboutScene
from privhead_nb.training.reconstruction import Reconstruction


def evaluate(result: Reconstruction | Mesh, scene: AboutScene, **options: Any) -> Distances:
    """Distances and normal errors of a reconstruction or mesh; options as for `evaluate_mesh`."""
    mesh = result.mesh if isinstance(result, Reconstruction) else result
    return evaluate_mesh(mesh, scene, **options)
