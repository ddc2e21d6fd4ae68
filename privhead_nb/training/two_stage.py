"""The main job: stage 1 on neutral RGB, stage 2 on gradient moduli (eq. 9-11), and the baseline.

`reconstruct` takes a `Release`, the only thing that training may read. The full-RGB baseline takes
a whole `Scene`: only someone who owns the sensitive pictures can run it. What a step minimises
stands in `steps.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from privhead_nb.errors import TrainingError
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.kernels.dispatch import Backend
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.images import to_uint8
from privhead_nb.scenes.scene import Scene
from privhead_nb.training.batches import Views, linear_light, released_views, scene_views
from privhead_nb.training.checkpoint import fingerprint
from privhead_nb.training.profiles import Profile, get_profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.run import Run, Terms
from privhead_nb.training.start import RunOptions, start_run
from privhead_nb.training.steps import modulus_terms, rgb_terms
from privhead_nb.training.template import Template, as_template, earlier

CPU = torch.device("cpu")


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
    start: Reconstruction | str | Path | None = None,
) -> Reconstruction:
    """Reconstruct a head from a release in two stages (eq. 9-11), or on a template in one.

    Args:
        release: the only input. A `Scene` is refused.
        profile: settings, or "ci", "cpu", "fine", "gpu", "paper"; None takes PRIVHEAD_PROFILE, else
            "cpu".
        seed: repeats a CPU run bit for bit; where no CPU kernels run (`backend="torch"`, no Numba,
            the `paper` profile), at the same number of threads.
        out: folder for checkpoints and results; nothing is written without one.
        resume: go on from the checkpoint in `out`, to the same result; begin if there is none.
        overwrite: replace the results in `out`.
        stages: (1, 2), or (2,) to show what stage 1 is for; by default (2,) with a template, else
            (1, 2).
        device: default is a GPU where there is one.
        progress: show bars; the default shows them except under the "ci" profile.
        backend: of all kernels; an op that has no such form runs its reference.
        template: the head that the first stage starts from, or its folder; the default is a sphere.
            With one, a release needs no neutral view; stage 2 alone then takes pixels for means of
            stored values.
        start: an earlier reconstruction of this head, or its folder, from a release with smaller
            pictures; stage 2 alone goes on from it. Large pictures need one: their moduli pull
            towards the right place from nearby only (docs/reconstruction.md).

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
    if start is not None:
        if template is not None:
            raise TrainingError(
                "a template and an earlier reconstruction can't both be where it starts",
                where="start",
                remedy="Name one of the two.",
            )
        template = earlier(start, release)
    if stages is None:
        stages = (1, 2) if template is None else (2,)
    if not stages or set(stages) - {1, 2}:
        raise TrainingError(f"stages are 1 and 2, not {stages}", where="stages")
    _check_fit(release, stages, template)
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
    light, mark = 0.0, f"release {release.fingerprint}"
    if 1 in stages or template is None or start is not None:
        # stage 2 on a template alone reads no neutral view
        light = linear_light(released_views(release, "neutral", CPU))
    with options.alone():
        run = start_run(settings, options, described, mark, template, linear_light=light)
        if run.finished is not None:
            return run.finished
        if template is None and 2 in stages and release.size > 64:
            logging.getLogger(__name__).warning(
                "%d pixels alone give no better head than 64: start from the result of a release "
                'of 64 (start=, --start, with the profile "fine")',
                release.size,
            )
        one, two, stage1_mesh = settings.stage1, settings.stage2, None
        if 1 in stages:
            run.train("stage1", one.steps, one.beta, _terms(run, release, "neutral"))
            stage1_mesh = run.stage_mesh("stage1.ply", lambda: _mesh(run, release))
        if 2 in stages and two.steps:
            run.train("stage2", two.steps, two.beta, _terms(run, release, "sensitive"))
        return _finish(run, release, stage1_mesh)


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
    small = replace(small, images=_eight_bit(small.images), masks=_eight_bit(small.masks))
    described = {"input": "scene", "baseline": "full-rgb", "size": size, "unit": scene.unit}
    light, mark = linear_light(_baseline_views(small, CPU)), f"scene {_fingerprint(small)}"
    options = RunOptions(seed, out, resume, overwrite, device, progress, backend)
    with options.alone():
        run = start_run(settings, options, described, mark, linear_light=light)
        if run.finished is not None:
            return run.finished
        views = _baseline_views(small, run.device)
        stage = settings.full_rgb
        run.train("full_rgb", stage.steps, stage.beta, rgb_terms(run, views, stage))
        return _finish(run, scene, None)


def reconstruct_at_once(
    release: Release,
    profile: str | Profile | None = None,
    *,
    seed: int = 0,
    template: Template | str | Path | None = None,
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
        template: where it starts, with stage 2's betas; the default is a sphere, with stage 1's
            first and stage 2's last.
        progress: show a bar.

    Raises:
        TrainingError: one kind of view is missing, or the template doesn't fit.
    """
    settings, template = get_profile(profile), as_template(template)
    _check_fit(release, (1, 2), template)
    one, two = settings.stage1, settings.stage2
    beta = two.beta if template is not None else (one.beta[0], two.beta[1])
    described = {"input": "release", "stages": "at once", "beta": list(beta), "unit": release.unit}
    options = RunOptions(seed, device="cpu", progress=progress)
    light = linear_light(released_views(release, "neutral", CPU))
    mark = f"release {release.fingerprint}"
    run = start_run(settings, options, described, mark, template, linear_light=light)
    colours, moduli = _terms(run, release, "neutral"), _terms(run, release, "sensitive")

    def terms() -> Terms:
        first, second = colours(), moduli()
        shared = {name: (first[name] + second[name]) / 2 for name in first.keys() & second.keys()}
        return first | second | shared

    run.train("at_once", two.steps, beta, terms)
    return _finish(run, release, None)


def _require(given: object, wanted: type, need: str, remedy: str) -> None:
    if not isinstance(given, wanted):
        raise TrainingError(f"{need}, and was given a {type(given).__name__}", remedy=remedy)


def _check_fit(release: Release, stages: tuple[int, ...], template: Template | None) -> None:
    """Raises TrainingError where a stage has no view, or the template looks another way."""
    for stage, kind, views, remedy in (
        (1, "neutral", release.neutral, "Start stage 2 from a template (--template FOLDER, "
         "template=...; `privhead template` makes one), or mark views as neutral in the scene."),
        (2, "sensitive", release.sensitive,
         "Leave stage 2 out, or mark views as sensitive in the scene."),
    ):  # fmt: skip
        if stage in stages and not views:
            raise TrainingError(
                f"the release has no {kind} view, and stage {stage} needs some",
                where="release",
                remedy=remedy,
            )
    if template is not None:
        template.check_axes(release)


def _terms(run: Run, release: Release, which: str) -> Callable[[], Terms]:
    """One step's terms on the "neutral" (stage 1) or "sensitive" (stage 2) views of a release."""
    views = released_views(release, which, run.device)
    if which == "neutral":
        return rgb_terms(run, views, run.settings.stage1)
    return modulus_terms(run, views, release.operator, run.settings.stage2)


def _baseline_views(scene: Scene, device: torch.device) -> Views:
    return scene_views([scene], device, neutral_masks=True)


def _fingerprint(scene: Scene) -> str:
    """SHA-256 of all that the baseline trains on."""
    about = (*scene.center, scene.radius, *scene.background, scene.cameras.pixel_center)
    return fingerprint(
        scene.images,
        scene.masks,
        scene.cameras.K,
        scene.cameras.c2w,
        torch.tensor(about, dtype=torch.float64),
        torch.tensor(scene.neutral),
    )


def _eight_bit(values: Tensor) -> Tensor:
    """Rounded as a release's PNGs are."""
    return torch.from_numpy(to_uint8(values.numpy())).float() / 255


def _mesh(run: Run, head: Release | Scene) -> Mesh:
    size = run.settings.mesh_resolution
    return extract_mesh(run.model.sdf, head.center, head.radius, resolution=size, device=run.device)


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
