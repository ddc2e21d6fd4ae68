"""The main job: stage 1 on neutral RGB, stage 2 on gradient moduli (eq. 9-11), and the baseline.

`reconstruct` takes a `Release`, the only thing that training may read. The full-RGB baseline takes
a whole `Scene`: only someone who owns the sensitive pictures can run it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from privhead_nb.errors import TrainingError
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.kernels.dispatch import Backend, prefer
from privhead_nb.kernels.gradient_loss import gradient_loss
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.images import to_uint8
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.batches import (
    Views,
    draw_patches,
    draw_pixels,
    patch_weights,
    pixel_pool,
    rays_at,
    unit_cameras,
)
from privhead_nb.training.checkpoint import fingerprint
from privhead_nb.training.losses import (
    eikonal_loss,
    laplacian_loss,
    lipschitz_loss,
    mask_loss,
    rgb_loss,
    smoothness_loss,
)
from privhead_nb.training.profiles import FullRGB, Profile, Stage1, Stage2, get_profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.run import Run, Terms
from privhead_nb.training.start import one_writer, start_run
from privhead_nb.training.template import Template, as_template


@dataclass(frozen=True)
class _Sphere:
    center: tuple[float, float, float]
    radius: float
    background: tuple[float, float, float]


@one_writer
def reconstruct(
    release: Release,
    profile: str | Profile | None = None,
    *,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    stages: tuple[int, ...] | None = None,
    device: str | torch.device | None = None,
    progress: bool | None = None,
    backend: Backend = "auto",
    template: Template | str | Path | None = None,
) -> Reconstruction:
    """Reconstruct a head from a release in two stages (eq. 9-11), or on a template in one.

    Args:
        release: the only input. A `Scene` is refused.
        profile: settings, or "ci", "cpu", "gpu", "paper"; None takes PRIVHEAD_PROFILE, else "cpu".
        seed: repeats a CPU run bit for bit, at the same number of threads.
        out: folder for checkpoints and results; nothing is written without one.
        resume: go on from the checkpoint in `out`, to the same result; begin if there is none.
        overwrite: replace the results in `out`.
        stages: (1, 2), or (2,) to show what stage 1 is for; by default (2,) with a template, else
            (1, 2).
        device: default is a GPU where there is one.
        progress: show bars; the default shows them except under the "ci" profile.
        backend: of all kernels; an op that has no such form runs its reference.
        template: the head that the first stage starts from, or its folder; the default is a sphere.
            With one, a release needs no neutral view.

    Returns:
        Field, meshes (of stage 1 too), history and report.

    Raises:
        TrainingError: no release, no views for a stage, divergence, or a checkpoint of another run.
        OutputError: `out` can't be written, or holds results and may not be replaced.
    """
    _require(
        release,
        Release,
        "training reads a release",
        "Make one with protect(scene); a scene itself serves the full-RGB baseline.",
    )
    settings, template = get_profile(profile), as_template(template)
    if stages is None:
        stages = (1, 2) if template is None else (2,)
    if not stages or set(stages) - {1, 2}:
        raise TrainingError(f"stages are 1 and 2, not {stages}", where="stages")
    _check_views(release, stages)
    if template is not None:
        template.check_axes(release)
    sphere = _Sphere(release.center, release.radius, release.background)
    described = {
        "input": "release",
        "stages": list(stages),
        "size": release.size,
        "neutral_views": len(release.neutral),
        "sensitive_views": len(release.sensitive),
        "masks": release.masks_released,
        "operator": release.operator.to_dict(),
        "unit": release.unit,
    }
    mark = f"release {release.fingerprint}"
    run = start_run(
        settings, seed, out, resume, overwrite, device, progress, backend, described, mark, template
    )
    if run.finished is not None:
        return run.finished
    neutral = _neutral_views(release, run.device)
    sensitive = _sensitive_views(release, run.device)
    background = torch.tensor(release.background, device=run.device)
    stage1_mesh = None
    with prefer(backend):
        if 1 in stages:
            stage = settings.stage1
            run.train("stage1", stage.steps, stage.beta, _rgb_step(run, neutral, background, stage))
            stage1_mesh = run.stage_mesh("stage1.ply", lambda: _mesh(run, sphere))
        if 2 in stages and settings.stage2.steps:
            step = _modulus_step(run, sensitive, release.operator, background, settings.stage2)
            run.train("stage2", settings.stage2.steps, settings.stage2.beta, step)
        return _finish(run, sphere, stage1_mesh)


@one_writer
def reconstruct_full_rgb(
    scene: Scene,
    profile: str | Profile | None = None,
    *,
    size: int = 64,
    seed: int = 0,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: str | torch.device | None = None,
    progress: bool | None = None,
    backend: Backend = "auto",
) -> Reconstruction:
    """The baseline that a release can't start: all views as RGB, as many steps as both stages.

    It sees what a release's owner could have sent unprotected: pictures at `size`, 8 bits, and the
    masks of the neutral views only, as in a default release. Arguments as for `reconstruct`.

    Raises:
        TrainingError: given a release, which has no sensitive RGB.
    """
    _require(
        scene,
        Scene,
        "the full-RGB baseline needs a whole scene",
        "A release holds no sensitive RGB; name the scene that it was made from.",
    )
    settings = get_profile(profile)
    small = scene.resized(size)
    sphere = _Sphere(scene.center, scene.radius, scene.background)
    described = {"input": "scene", "baseline": "full-rgb", "size": size, "unit": scene.unit}
    images, masks = _eight_bit(small.images), _eight_bit(small.masks)
    mark = f"scene {_fingerprint(small, images, masks)}"
    run = start_run(
        settings, seed, out, resume, overwrite, device, progress, backend, described, mark
    )
    if run.finished is not None:
        return run.finished
    masked = torch.zeros(len(images), dtype=torch.bool)
    masked[list(scene.neutral)] = True
    views = Views(
        cameras=unit_cameras(small.cameras, scene.center, scene.radius).to(run.device),
        values=images.to(run.device),
        masks=masks.to(run.device),
        masked=masked.to(run.device),
    )
    background = torch.tensor(scene.background, device=run.device)
    stage = settings.full_rgb
    with prefer(backend):
        run.train("full_rgb", stage.steps, stage.beta, _rgb_step(run, views, background, stage))
        return _finish(run, sphere, None)


def _fingerprint(scene: Scene, images: Tensor, masks: Tensor) -> str:
    """SHA-256 of all that the baseline trains on."""
    about = (*scene.center, scene.radius, *scene.background, scene.cameras.pixel_center)
    return fingerprint(
        images,
        masks,
        scene.cameras.K,
        scene.cameras.c2w,
        torch.tensor(about, dtype=torch.float64),
        torch.tensor(scene.neutral),
    )


def _require(given: object, wanted: type, need: str, remedy: str) -> None:
    if not isinstance(given, wanted):
        raise TrainingError(f"{need}, and was given a {type(given).__name__}", remedy=remedy)


def _check_views(release: Release, stages: tuple[int, ...]) -> None:
    """Raises TrainingError where a stage would have nothing to look at."""
    if 1 in stages and not release.neutral:
        raise TrainingError(
            "the release has no neutral view, and stage 1 needs some",
            where="release",
            remedy="Start stage 2 from a template (--template FOLDER, template=...; "
            "`privhead template` makes one), or mark views as neutral in the scene.",
        )
    if 2 in stages and not release.sensitive:
        raise TrainingError(
            "the release has no sensitive view, and stage 2 needs some",
            where="release",
            remedy="Leave stage 2 out, or mark views as sensitive in the scene.",
        )


def _neutral_views(release: Release, device: torch.device) -> Views:
    cameras = release.cameras[list(release.neutral)]
    count, size = len(release.neutral), release.size
    masks = torch.zeros(count, size, size)
    if release.masks is not None:
        masks = release.masks
        if release.masks_released == "all":
            masks = masks[list(release.neutral)]
    return Views(
        cameras=unit_cameras(cameras, release.center, release.radius).to(device),
        values=release.neutral_images.to(device),
        masks=masks.to(device),
        masked=torch.full((count,), release.masks is not None, device=device),
    )


def _sensitive_views(release: Release, device: torch.device) -> Views:
    cameras = release.cameras[list(release.sensitive)]
    everywhere = release.masks_released == "all" and release.masks is not None
    masks = torch.zeros_like(release.moduli)
    if everywhere and release.masks is not None:
        masks = release.masks[list(release.sensitive)]
    return Views(
        cameras=unit_cameras(cameras, release.center, release.radius).to(device),
        values=release.moduli.to(device),
        masks=masks.to(device),
        masked=torch.full((len(release.sensitive),), everywhere, device=device),
    )


def _eight_bit(values: Tensor) -> Tensor:
    """Rounded as a release's PNGs are."""
    return torch.from_numpy(to_uint8(values.numpy())).float() / 255


def _probes(run: Run, count: int) -> Tensor:
    """Random points for the eikonal and Laplacian terms, half of them near the surface.

    Those near the surface reach the side that no neutral view shows: without them stage 1 leaves
    lumps there, and stage 2, which sees no signs, can settle into them.
    """
    anywhere = torch.rand(count, 3, generator=run.generator, device=run.device) * 2 - 1
    if run.settings.render.sampler != "surface":
        return anywhere
    near = run.cache.near_surface(count // 2, run.generator)
    return torch.cat([near, anywhere[len(near) :]])


def _rgb_step(
    run: Run, views: Views, background: Tensor, stage: Stage1 | FullRGB
) -> Callable[[], Terms]:
    """One step's terms: rgb + eikonal (stage 1 and the baseline)."""
    pool = pixel_pool(views, background)
    colours, masks = views.values.reshape(-1, 3), views.masks.reshape(-1)
    per_view = views.size * views.size

    def step() -> Terms:
        flat = draw_pixels(pool, stage.rays, run.generator)
        shown = run.render(rays_at(views, flat), background, _probes(run, stage.probes))
        terms = {
            "rgb": stage.rgb * rgb_loss(shown.colour, colours[flat]),
            "eikonal": stage.eikonal * eikonal_loss(shown.gradients),
        }
        known = views.masked[flat.div(per_view, rounding_mode="floor")]
        if stage.mask and bool(known.any()):
            # averaged over all rays, so that its weight does not hang on how many views have one
            opacity, mask = shown.opacity * known, masks[flat] * known
            terms["mask"] = stage.mask * mask_loss(opacity, mask)
        if stage.laplacian and shown.laplacians is not None:
            terms["laplacian"] = stage.laplacian * laplacian_loss(shown.laplacians)
        return terms

    return step


def _modulus_step(
    run: Run, views: Views, operator: Operator, background: Tensor, stage: Stage2
) -> Callable[[], Terms]:
    """One step's terms: gradient + eikonal + Lipschitz (stage 2)."""
    reach = operator.reach
    side = stage.patch + 2 * (reach - 1)  # a wider kernel gets a wider patch, the same inner one
    if side > views.size:
        raise TrainingError(
            f"a patch of {side} pixels is larger than the released {views.size}",
            where="operator",
            remedy="Use a smaller kernel or blur, a larger --size, or a smaller stage2.patch.",
        )
    kernels = [k.to(run.device) for k in operator.kernels()]
    weights = patch_weights(views.values, side)
    moduli, masks = views.values.reshape(-1), views.masks.reshape(-1)
    inner = slice(reach, side - reach)

    def step() -> Terms:
        flat = draw_patches(views, weights, stage.patches, side, run.generator)
        rays = rays_at(views, flat.reshape(-1))
        shown = run.render(rays, background, _probes(run, stage.probes))
        patches = shown.colour.reshape(stage.patches, side, side, 3)
        target = moduli[flat[:, inner, inner]]
        loss = gradient_loss(operator.channels(patches), target, kernels[0], kernels[1])
        terms = {
            "gradient": stage.gradient * loss,
            "eikonal": stage.eikonal * eikonal_loss(shown.gradients),
        }
        if stage.laplacian and shown.laplacians is not None:
            terms["laplacian"] = stage.laplacian * laplacian_loss(shown.laplacians)
        if stage.smoothness:
            normals = shown.normals.reshape(stage.patches, side, side, 3)
            terms["smoothness"] = stage.smoothness * smoothness_loss(normals)
        if stage.lipschitz and run.step >= stage.lipschitz_from * stage.steps:
            bounds = run.model.colour.bounds()
            terms["lipschitz"] = stage.lipschitz * lipschitz_loss(
                bounds, log_sum=stage.lipschitz_log
            )
        if stage.mask and bool(views.masked.all()):
            terms["mask"] = stage.mask * mask_loss(shown.opacity, masks[flat].reshape(-1))
        return terms

    return step


def _mesh(run: Run, sphere: _Sphere) -> Mesh:
    return extract_mesh(
        run.model.sdf,
        sphere.center,
        sphere.radius,
        resolution=run.settings.mesh_resolution,
        device=run.device,
    )


def _finish(run: Run, sphere: _Sphere, stage1_mesh: Mesh | None) -> Reconstruction:
    result = Reconstruction(
        model=run.model.eval(),
        mesh=_mesh(run, sphere),
        stage1_mesh=stage1_mesh,
        center=sphere.center,
        radius=sphere.radius,
        background=sphere.background,
        settings=run.settings,
        history=run.history,
        report=run.report(),
    )
    run.close(result)
    return result
