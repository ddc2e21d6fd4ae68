"""The engine's results with kernels equal those without, to the tolerances stated here."""

from dataclasses import replace

import pytest
import torch
from runs import shortened

from privhead_nb import protect, reconstruct
from privhead_nb.errors import TrainingError
from privhead_nb.training.profiles import get_profile

FEW = 5
# Rounding differs, and training amplifies it: the first step's loss terms agree to FIRST, the
# fields after FEW steps of each stage to LATER of the unit sphere's radius.
FIRST, LATER = 1e-4, 2e-3


def short(name, **render):
    profile = shortened(get_profile(name), steps=FEW, mesh=16)
    return replace(profile, render=replace(profile.render, **render))


def small_paper():
    paper = short("paper")
    bound = replace(paper.render.error_bound, first=16, more=16, final=16, extra=8, rounds=3)
    return replace(
        paper,
        field=replace(paper.field, width=32, depth=3, features=8, colour_width=32, colour_depth=2),
        render=replace(paper.render, error_bound=bound),
    )


PROFILES = {
    "cpu": short("ci"),
    "exact normals": short("ci", normals="exact"),
    "uniform samples": short("ci", sampler="uniform", samples=24, coverage="volume"),
    "the paper's": small_paper(),
}


@pytest.mark.parametrize("name", PROFILES)
def test_training_with_kernels_equals_training_without(ball, name):
    release = protect(ball, size=32)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with_, without = (
        reconstruct(release, PROFILES[name], backend=b, progress=False, device=device)
        for b in ("auto", "torch")
    )
    for stage in ("stage1", "stage2"):
        for term, values in without.history[stage].items():
            first = with_.history[stage][term][0]
            bound = FIRST if stage == "stage1" else 30 * FIRST
            assert first == pytest.approx(values[0], rel=bound, abs=1e-6), f"{stage} {term}"
    points = torch.rand(500, 3, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.8
    points = points.to(device)
    with torch.no_grad():
        off = (with_.model.sdf(points) - without.model.sdf(points)).abs()
    assert off.mean() < LATER, f"the fields differ by {off.mean():.1e}"


def test_a_backend_that_can_not_run_is_refused_before_training(ball, monkeypatch):
    release = protect(ball, size=32)
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(TrainingError, match=r"can't run here.*Use 'auto'"):
        reconstruct(release, PROFILES["cpu"], backend="triton", device="cpu", progress=False)
