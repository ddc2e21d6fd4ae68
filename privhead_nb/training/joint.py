"""The paper's bad case: neutral RGB and gradient moduli at once, in one stage (its figure 7b).

The two-stage recipe sets the colour term's weight to 0 as soon as moduli come in (eq. 10). Here
both kinds of pictures pull together from the first step on, usually on a template.
"""

from __future__ import annotations

from pathlib import Path

import torch

from privhead_nb.errors import TrainingError
from privhead_nb.privacy.released import Release
from privhead_nb.training.profiles import Profile, get_profile
from privhead_nb.training.reconstruction import Reconstruction
from privhead_nb.training.run import Terms
from privhead_nb.training.start import start_run
from privhead_nb.training.template import Template, as_template
from privhead_nb.training.two_stage import (
    _finish,
    _modulus_step,
    _neutral_views,
    _rgb_step,
    _sensitive_views,
    _Sphere,
)


def reconstruct_at_once(
    release: Release,
    profile: str | Profile | None = None,
    *,
    seed: int = 0,
    template: Template | str | Path | None = None,
    beta: tuple[float, float] | None = None,
    progress: bool | None = None,
) -> Reconstruction:
    """Reconstruct with all terms of both stages in every step: rgb + mask + gradient + the rest.

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
    mark = f"release {release.fingerprint}"
    run = start_run(
        settings, seed, None, False, False, "cpu", progress, "auto", described, mark, template
    )
    background = torch.tensor(release.background)
    colours = _rgb_step(run, _neutral_views(release, run.device), background, one)
    sensitive = _sensitive_views(release, run.device)
    moduli = _modulus_step(run, sensitive, release.operator, background, two)

    def terms() -> Terms:
        first, second = colours(), moduli()
        shared = {name: (first[name] + second[name]) / 2 for name in first.keys() & second.keys()}
        return first | second | shared

    run.train("at_once", two.steps, beta, terms)
    return _finish(run, _Sphere(release.center, release.radius, release.background), None)
