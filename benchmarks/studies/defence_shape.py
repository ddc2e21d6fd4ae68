"""What a candidate of `studies/defence.py` costs the shape: stage 2 on what it releases.

Stage 1 sees neutral views only, so it is trained once a person, and each candidate goes on from a
copy. A step of stage 2 is the package's own (`training/steps.py`), but that the candidate's measure
stands in the place of eq. 6, and that its error is weighed by the default's mean over the
candidate's, so that both pull alike.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmarks.studies.defence_candidates import PLAIN, Candidate
from privhead_nb.geometry.mesh import extract_mesh
from privhead_nb.geometry.metrics import evaluate
from privhead_nb.heads.codes import ALBEDO_NAMES
from privhead_nb.heads.head import make_head
from privhead_nb.heads.tracer import render
from privhead_nb.privacy.protect import protect
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.batches import (
    Views,
    draw_patches,
    linear_light,
    patch_weights,
    released_views,
    unit_cameras,
)
from privhead_nb.training.losses import (
    eikonal_loss,
    laplacian_loss,
    lipschitz_loss,
)
from privhead_nb.training.profiles import Profile, Stage2
from privhead_nb.training.run import Run, Terms
from privhead_nb.training.start import RunOptions, start_run
from privhead_nb.training.steps import eikonal_points, rgb_terms

STAGE_1 = "stage 1 alone"
"""Not a candidate but a bound: nothing of the sensitive views is released."""


@dataclass(eq=False)
class Person:
    """A made person whose neutral views were trained on."""

    scene: Scene
    release: Release
    run: Run

    @classmethod
    def of(cls, scene: Scene, profile: Profile, seed: int) -> Person:
        """Stage 1 of a scene."""
        release = protect(scene, size=64, seed=seed)
        options = RunOptions(seed=seed, device="cpu", progress=False)
        views, stage = released_views(release, "neutral", options.place), profile.stage1
        run = start_run(profile, options, {"input": "release"}, linear_light=linear_light(views))
        run.train("stage1", stage.steps, stage.beta, rgb_terms(run, views, stage))
        return cls(scene, release, run)

    def errors(self, run: Run) -> dict[str, float]:
        """Chamfer, mm, and normals, degrees, of the face."""
        size = run.settings.mesh_resolution
        center, radius = self.release.center, self.release.radius
        mesh = extract_mesh(run.model.sdf, center, radius, resolution=size, device=run.device)
        found = evaluate(mesh, self.scene, samples=50_000)
        return {
            "chamfer_mm": round(found.distance_mean, 4),
            "normals_deg": round(float(found.normal_median_deg or 0.0), 3),
        }


def in_one_reflectance(scene: Scene, identity: int) -> Scene:
    """The scene of a made person in the mean skin, lips and hair: all views, or none would fit."""
    plain = make_head(identity, albedo=torch.zeros(len(ALBEDO_NAMES)))
    return replace(scene, images=render(plain, scene.cameras).images)


def shape_errors(
    person: Person, candidate: Candidate, seed: int, scene: Scene | None = None
) -> dict[str, float]:
    """Errors after stage 2 on what a candidate releases.

    Args:
        scene: whose pictures are released in the place of the person's own.
    """
    before = person.run
    run = replace(
        before,
        model=copy.deepcopy(before.model),
        cache=copy.deepcopy(before.cache),
        generator=torch.Generator().manual_seed(seed + 1),
        history={},
        seconds={},
    )
    stage = run.settings.stage2
    terms = candidate_terms(run, person, candidate, stage, seed, scene or person.scene)
    run.train("stage2", stage.steps, stage.beta, terms)
    return person.errors(run)


def candidate_terms(
    run: Run, person: Person, candidate: Candidate, stage: Stage2, seed: int, scene: Scene
) -> Callable[[], Terms]:
    """A function that draws patches and returns one step's terms (eq. 9)."""
    views, target = _views(person, candidate, seed, scene)
    reach = candidate.reach
    side = stage.patch + 2 * (reach - 1)
    weights = patch_weights(views.values, side)
    flat_target = target.flatten(0, 2)
    inner = slice(reach, side - reach)
    plain = PLAIN.release(_sensitive(scene), torch.Generator())
    weight = stage.gradient * float(plain.mean() / target.abs().mean().clamp_min(1e-6))

    def step() -> Terms:
        flat = draw_patches(views, weights, stage.patches, side, run.generator)
        points = eikonal_points(run, stage.eikonal_points)
        shown = run.render(views, flat.reshape(-1), points)
        patches = shown.colour.reshape(stage.patches, side, side, 3)
        off = (candidate.measure(patches) - flat_target[flat[:, inner, inner]]).abs().mean()
        terms = {
            "gradient": weight * off,
            "eikonal": stage.eikonal * eikonal_loss(shown.gradients),
            "lipschitz": stage.lipschitz * lipschitz_loss(run.model.colour.bounds()),
        }
        if stage.laplacian and shown.laplacians is not None:
            terms["laplacian"] = stage.laplacian * laplacian_loss(shown.laplacians)
        return terms

    return step


def _sensitive(scene: Scene) -> Tensor:
    return scene.images[list(scene.sensitive)]


def _views(person: Person, candidate: Candidate, seed: int, scene: Scene) -> tuple[Views, Tensor]:
    """The released views with a measure (V, H, H) of what there is to see, and all channels."""
    released = candidate.release(_sensitive(scene), torch.Generator().manual_seed(seed))
    if candidate.even_views:
        of_view = released.mean(dim=(1, 2, 3), keepdim=True)
        released = released * of_view.mean() / of_view.clamp_min(1e-6)
    release, size = person.release, candidate.size
    cameras = release.cameras[list(release.sensitive)].resized(size, size)
    views = Views(
        cameras=unit_cameras(cameras, release.center, release.radius),
        values=released.abs().mean(-1),
        masks=torch.zeros(len(released), size, size),
        masked=torch.zeros(len(released), dtype=torch.bool),
        background=torch.tensor(release.background),
    )
    return views, released
