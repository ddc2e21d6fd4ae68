"""The main job: stage 1 on neutral RGB, stage 2 on gradient moduli (eq. 9-11), and the baseline.

`reconstruct` takes a `Release`, the only thing that training may read. The full-RGB baseline takes
a whole `Scene`: only someone who owns the sensitive pictures can run it. What a step minimises
stands in `steps.py`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from privhead_nb.errors import TrainingError
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.kernels.dispatch import Backend, prefer
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.images import to_uint8
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.batches import Views, released_views, unit_cameras
from privhead_nb.training.checkpoint import fingerprint
from privhead_nb.training.profiles import Profile, get_profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.run import Run, Terms
from privhead_nb.training.start import RunOptions, one_writer, start_run
from privhead_nb.training.steps import modulus_terms, rgb_terms
from privhead_nb.training.template import Template, as_template


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
    options = RunOptions(seed, out, resume, overwrite, device, progress, backend)
    run = start_run(settings, options, described, f"release {release.fingerprint}", template)
    if run.finished is not None:
        return run.finished
    neutral = released_views(release, "neutral", run.device)
    sensitive = released_views(release, "sensitive", run.device)
    background = torch.tensor(release.background, device=run.device)
    one, two, stage1_mesh = settings.stage1, settings.stage2, None
    with prefer(backend):
        if 1 in stages:
            run.train("stage1", one.steps, one.beta, rgb_terms(run, neutral, background, one))
            stage1_mesh = run.stage_mesh("stage1.ply", lambda: _mesh(run, release))
        if 2 in stages and two.steps:
            terms = modulus_terms(run, sensitive, release.operator, background, two)
            run.train("stage2", two.steps, two.beta, terms)
        return _finish(run, release, stage1_mesh)


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
    described = {"input": "scene", "baseline": "full-rgb", "size": size, "unit": scene.unit}
    images, masks = _eight_bit(small.images), _eight_bit(small.masks)
    options = RunOptions(seed, out, resume, overwrite, device, progress, backend)
    mark = f"scene {_fingerprint(small, images, masks)}"
    run = start_run(settings, options, described, mark)
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
        run.train("full_rgb", stage.steps, stage.beta, rgb_terms(run, views, background, stage))
        return _finish(run, scene, None)


def reconstruct_at_once(
    release: Release,
    profile: str | Profile | None = None,
    *,
    seed: int = 0,
    template: Template | str | Path | None = None,
    beta: tuple[float, float] | None = None,
    progress: bool | None = None,
) -> Reconstruction:
    """The paper's bad case: neutral RGB and moduli at once, in one stage (its figure 7b).

    Eq. 10 sets the colour term's weight to 0 as soon as moduli come in. Here all terms of both
    stages pull together from the first step on, usually on a template.

    Args:
        release: with neutral and sensitive views.
        profile: as for `reconstruct`. There are as many steps as in stage 2, each with the pixels
            of both stages.
        seed: as for `reconstruct`.
        template: where it starts; the default is a sphere.
        beta: first and last beta; None takes stage 2's on a template, and on a sphere stage 1's
            first and stage 2's last.
        progress: show a bar.

    Raises:
        TrainingError: one kind of view is missing, or the template doesn't fit.
    """
    settings, template = get_profile(profile), as_template(template)
    if not release.neutral or not release.sensitive:
        raise TrainingError(
            "needs neutral and sensitive views at once",
            where="release",
            remedy="With one kind alone, run that stage: reconstruct(..., stages=(1,)) or (2,).",
        )
    if template is not None:
        template.check_axes(release)
    one, two = settings.stage1, settings.stage2
    if beta is None:
        beta = two.beta if template is not None else (one.beta[0], two.beta[1])
    described = {"input": "release", "stages": "at once", "beta": list(beta), "unit": release.unit}
    options = RunOptions(seed, device="cpu", progress=progress)
    run = start_run(settings, options, described, f"release {release.fingerprint}", template)
    background = torch.tensor(release.background)
    neutral = released_views(release, "neutral", run.device)
    sensitive = released_views(release, "sensitive", run.device)
    colours = rgb_terms(run, neutral, background, one)
    moduli = modulus_terms(run, sensitive, release.operator, background, two)

    def terms() -> Terms:
        first, second = colours(), moduli()
        shared = {name: (first[name] + second[name]) / 2 for name in first.keys() & second.keys()}
        return first | second | shared

    run.train("at_once", two.steps, beta, terms)
    return _finish(run, release, None)


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


def _eight_bit(values: Tensor) -> Tensor:
    """Rounded as a release's PNGs are."""
    return torch.from_numpy(to_uint8(values.numpy())).float() / 255


def _mesh(run: Run, head: Release | Scene) -> Mesh:
    return extract_mesh(
        run.model.sdf,
        head.center,
        head.radius,
        resolution=run.settings.mesh_resolution,
        device=run.device,
    )


def _finish(run: Run, head: Release | Scene, stage1_mesh: Mesh | None) -> Reconstruction:
    result = Reconstruction(
        model=run.model.eval(),
        mesh=_mesh(run, head),
        stage1_mesh=stage1_mesh,
        center=head.center,
        radius=head.radius,
        background=head.background,
        settings=run.settings,
        history=run.history,
        report=run.report(),
    )
    run.close(result)
    return result
