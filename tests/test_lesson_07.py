"""Claims about lesson 7: bounds hold, and stored runs say what the lesson says."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from benchmarks.studies import lipschitz as study
from privhead_nb import Reconstruction, Release, load_scene
from privhead_nb.field import lipschitz
from privhead_nb.field.model import FieldSettings, HeadModel
from privhead_nb.field.radiance import ColourNetwork
from privhead_nb.resources import SAMPLES
from privhead_nb.teach.lesson07 import panel, runs
from privhead_nb.teach.results import interval
from privhead_nb.training.losses import lipschitz_loss

# Bounds -------------------------------------------------------------------------------------------


def steepest(network: ColourNetwork, count: int = 400, size: float = 2.0) -> float:
    generator = torch.Generator().manual_seed(1)
    widths = (3, 3, 3, network.layers[0].in_features - 9)
    inputs = [size * torch.randn(count, w, generator=generator) for w in widths]
    return float(lipschitz.local_constants(lipschitz.jacobians(network, *inputs)).max())


def test_silus_constant_is_its_largest_slope_so_the_product_alone_is_no_bound() -> None:
    x = torch.linspace(0, 6, 600_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(F.silu(x).sum(), x)
    assert float(slope.max()) == pytest.approx(lipschitz.SILU_CONSTANT, abs=1e-6)
    x = torch.tensor(2.4, requires_grad=True)
    (slope,) = torch.autograd.grad(F.silu(F.silu(x) + 1.3), x)  # all weights are 1
    assert float(slope) > 1.15


@pytest.mark.parametrize("activation", ["silu", "relu"])
@pytest.mark.parametrize("slack", [None, 2.0, 1.0, 0.3])
def test_no_sampled_slope_exceeds_a_bound(activation: str, slack: float | None) -> None:
    torch.manual_seed(3)
    network = ColourNetwork(5, width=16, activation=activation)
    for layer in network.layers:
        layer.weight.data *= 3
    study.loosen(network, slack)
    norms, found = lipschitz.row_sums(network).detach(), steepest(network)
    assert found <= float(lipschitz.composed_bound(network, norms))
    assert found <= float(lipschitz.spectral_bound(network).detach())
    assert bool((norms <= network.bounds() * 1.0001).all())
    product = float(lipschitz_loss(network.bounds()).detach())
    assert float(lipschitz.composed_bound(network, network.bounds().detach())) < 0.31 * product


def test_the_jacobian_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    network = ColourNetwork(2, width=8).double()
    inputs = [torch.randn(3, w, dtype=torch.float64) for w in (3, 3, 3, 2)]
    found = lipschitz.jacobians(network, *inputs)
    together = torch.cat(inputs, 1)
    for number, step in enumerate(1e-5 * torch.eye(11, dtype=torch.float64)):
        up, down = (network(*x.split([3, 3, 3, 2], 1)) for x in (together + step, together - step))
        assert torch.allclose((up - down) / 2e-5, found[:, :, number], atol=1e-8)


def test_loosening_alone_changes_no_colour() -> None:
    torch.manual_seed(0)
    network = ColourNetwork(4, width=8)
    inputs = [torch.randn(50, w) for w in (3, 3, 3, 4)]
    study.loosen(network, 0.5)
    bounded, before = network(*inputs), network.bounds().detach()
    study.loosen(network, None)
    assert torch.allclose(network(*inputs), bounded, atol=1e-6)
    assert bool((network.bounds() > 5 * before).all())
    study.loosen(network, 1.0)
    assert torch.allclose(network.bounds(), lipschitz.row_sums(network), rtol=1e-4)


def test_what_is_seen_faces_its_camera_and_slopes_are_finite() -> None:
    model = HeadModel(FieldSettings(resolutions=(8, 16), width=16))
    points = F.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    seen = lipschitz.seen_from(model, 0.55 * points, torch.tensor([[0.0, 0, 3], [3.0, 0, 0]]))
    assert 20 < len(seen.points) < 200
    assert bool(((seen.views * seen.normals).sum(1) < -0.2).all())
    features, painted = study.painted_slopes(model, seen)
    assert features.shape == painted.shape == (len(seen.points),)
    assert bool(painted.isfinite().all()) and float(painted.min()) >= 0


# Statistics ---------------------------------------------------------------------------------------


def test_power_is_what_simulated_tests_find() -> None:
    rng = np.random.default_rng(0)
    for effect, spread, n in ((9.0, 6.0, 6), (3.0, 6.0, 12), (0.0, 6.0, 5)):
        samples = rng.normal(effect, spread, (20_000, n))
        found = stats.ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05
        assert runs.power(effect, spread, n) == pytest.approx(found.mean(), abs=0.012)
    assert runs.power(-9.0, 6.0, 6) == runs.power(9.0, 6.0, 6)
    assert runs.power(50.0, 1.0, 8) == pytest.approx(1.0)
    count = runs.pairs_needed(9.0, 8.0)
    assert runs.power(9.0, 8.0, count) >= 0.8 > runs.power(9.0, 8.0, count - 1)


def test_the_papers_two_heads_do_not_exclude_no_effect() -> None:
    assert runs.PAPER_CHANGES.mean() == pytest.approx(-8.96, abs=0.01)
    assert interval(runs.PAPER_CHANGES).holds(0.0)


# The stored study ---------------------------------------------------------------------------------


def test_the_stored_runs_are_what_the_lesson_says_of_them() -> None:
    found = runs.stored()
    assert (found["constants.true_max"] <= found["constants.composed"]).all()
    assert (found["constants.composed"] <= found["constants.promised"] * 1.001).all()
    assert found["final.distance_mean"].between(0, found["stage1.distance_mean"], "neither").all()
    assert not set(found["head"]) & {101, 102}  # the settings were tuned on those
    for _, run in found.iterrows():
        sums = np.array(run["watched.row_sums"])
        assert (sums <= np.array(run["watched.bounds"]) * 1.001).all()


def test_as_shipped_the_term_changes_no_bit_until_a_row_meets_its_bound() -> None:
    found = runs.stored()
    free = found[(found["slack"] == "none") & ~found["bare"]].set_index(["head", "seed", "steps"])
    outcomes = set()
    for _, run in found[found["slack"] == "shipped"].iterrows():
        never = not any(runs.times_met(run))
        assert never == (
            run["field"] == free.loc[(run["head"], run["seed"], run["steps"]), "field"]
        )
        outcomes.add((run["steps"] < 1900, never))
    assert outcomes == {(True, True), (False, True), (False, False)}


def test_pairs_share_head_seed_and_stage_1() -> None:
    ours, theirs = (
        runs.of_arm(arm).set_index(["head", "seed"]) for arm in (runs.QUARTER, runs.NONE)
    )
    both = ours.index.intersection(theirs.index)
    assert len(runs.changes(runs.QUARTER)) == len(both) >= 4
    first = [column for column in ours if column.startswith("stage1.")]
    pd.testing.assert_frame_equal(ours.loc[both, first], theirs.loc[both, first])
    assert (ours["constants.bounds"].map(math.prod) < 10).all()


def test_the_study_names_every_stored_run() -> None:
    named = {study.key(run) for part in study.PARTS for run in study.runs(part)}
    assert set(runs.stored()["key"]) <= named
    assert study.STEPS == runs.STEPS
    bare = study.settings_of(study.runs("bare")[0]).stage2
    assert bare.laplacian == 0.0
    logarithms = study.settings_of(study.runs("weights")[-1]).stage2
    assert (logarithms.lipschitz, logarithms.lipschitz_log) == (0.01, True)


def test_a_run_of_the_study_measures_what_the_lesson_shows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = Reconstruction.load(SAMPLES / "reconstruction")
    first = replace(first, model=HeadModel(first.settings.field))  # bounds at twice the row sums
    stage = replace(first.settings.stage2, steps=12, patches=2, eikonal_points=64)
    small = replace(first.settings, stage2=stage, mesh_resolution=48)
    monkeypatch.setattr(study, "settings_of", lambda _: small)
    scene, release = load_scene(SAMPLES / "scene"), Release.load(SAMPLES / "release")
    start = study.Start(scene, release, first, {"stage1": {}, "start": {}})
    found = {}
    for slack in ("none", "shipped", "0.25"):
        run = study._run(201, 0, slack, 3e-6, steps=12)
        found[slack] = study.execute(run, start)
        assert len(found[slack]["watched"]["step"]) == 13
    assert found["none"]["field"] == found["shipped"]["field"] != found["0.25"]["field"]
    steep = {slack: run["constants"]["true_max"] for slack, run in found.items()}
    assert steep["0.25"] < 0.5 * steep["none"] == 0.5 * steep["shipped"]
    measured = pd.json_normalize(found["none"])
    assert all(measured[column].item() > 0 for _, column in runs.MEASURES.values())


# Panel --------------------------------------------------------------------------------------------


def test_the_panel_says_the_interval() -> None:
    found = interval(runs.changes(runs.QUARTER))
    facts = panel.picture("0.25", 0, "distance").facts
    assert f"mean {found.value:+.1f} %" in facts and f"{found.n} pairs" in facts
