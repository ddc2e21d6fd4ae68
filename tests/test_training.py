"""The main job on a small ball: it trains, repeats, resumes, refuses, and stops when it must."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from runs import TINY, as_read, poison, stop_at, weights
from safetensors.torch import load_file

from privhead_nb import Reconstruction, evaluate, protect, reconstruct, reconstruct_full_rgb
from privhead_nb.errors import OutputError, TrainingError
from privhead_nb.training import run as run_module
from privhead_nb.training.checkpoint import NAME
from privhead_nb.training.profiles import PROFILES, Optimiser, Profile, Stage1, Stage2, get_profile


def test_two_stages_find_the_ball(scene, release):
    longer = dataclasses.replace(
        TINY,
        stage1=dataclasses.replace(TINY.stage1, steps=150),
        stage2=dataclasses.replace(TINY.stage2, steps=150),
    )
    result = reconstruct(release, longer, seed=0)
    first = evaluate(result.stage1_mesh, scene, region="head", samples=5000)
    second = evaluate(result, scene, region="head", samples=5000)
    assert first.distance_mean < 5.0 and second.distance_mean < 4.0  # mm, of a radius of 60
    history = result.history["stage2"]
    losses = history["gradient"]  # of a few patches each: compare means
    assert sum(losses[-5:]) < sum(losses[:5])
    assert set(result.history) == {"stage1", "stage2"} and len(history["step"]) == 16
    assert result.report["input"] == "release" and result.report["seconds_total"] > 0


def test_same_seed_same_bits_other_seed_others(release):
    one, two, other = (reconstruct(release, TINY, seed=s) for s in (5, 5, 6))
    assert torch.equal(weights(one), weights(two))
    assert not torch.equal(weights(one), weights(other))


@pytest.mark.parametrize("stop", [("stage1", 7), ("stage1", 24), ("stage2", 9)])
def test_interrupted_then_resumed_is_the_same_run(release, tmp_path, monkeypatch, stop):
    whole = reconstruct(release, TINY, seed=1)
    stop_at(monkeypatch, stop[1] + (TINY.stage1.steps if stop[0] == "stage2" else 0))
    with pytest.raises(KeyboardInterrupt):
        reconstruct(release, TINY, seed=1, out=tmp_path)
    assert (tmp_path / NAME).is_file() and not (tmp_path / "mesh.ply").exists()
    monkeypatch.undo()
    resumed = reconstruct(release, TINY, seed=1, out=tmp_path, resume=True)
    assert torch.equal(weights(whole), weights(resumed))
    assert resumed.history == whole.history
    assert not (tmp_path / NAME).exists() and (tmp_path / "stage1.ply").is_file()
    assert not list(tmp_path.glob("*.part*"))


def test_results_are_saved_and_read_back(release, tmp_path):
    result = reconstruct(release, TINY, out=tmp_path / "run")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert {"settings", "seconds", "peak_memory_mb", "history", "seed", "operator"} <= set(report)
    back = Reconstruction.load(tmp_path / "run")
    assert torch.equal(weights(back), weights(result)) and back.settings == result.settings
    assert len(back.mesh.faces) == len(result.mesh.faces) and back.stage1_mesh is not None
    again = reconstruct(release, TINY, out=tmp_path / "run", resume=True)  # nothing left to do
    with pytest.raises(TrainingError, match="another run: the seed differs"):
        reconstruct(release, TINY, seed=5, out=tmp_path / "run", resume=True)
    with pytest.raises(TrainingError, match="another run: the settings differ"):
        reconstruct(
            release,
            dataclasses.replace(TINY, mesh_resolution=40),
            out=tmp_path / "run",
            resume=True,
        )
    assert torch.equal(weights(again), weights(result))
    with pytest.raises(OutputError, match="--overwrite"):
        reconstruct(release, TINY, out=tmp_path / "run")
    shown = back.render(release.cameras, 0)
    assert shown.colour.shape == (32, 32, 3) and 0.02 < shown.opacity.mean() < 0.9


def test_checkpoints_and_fields_hold_no_picture(scene, release, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "SAVE_EVERY", 0.0)
    kept = {}
    write = run_module.write_checkpoint

    def keep(folder, progress):
        write(folder, progress)
        kept.update(load_file(folder / NAME))

    monkeypatch.setattr(run_module, "write_checkpoint", keep)
    reconstruct(release, TINY, out=tmp_path)
    kept.update(load_file(tmp_path / "field.safetensors"))
    allowed = ("model.", "optimiser.", "field.", "colour.", "beta.", "generator", "cache")
    assert all(name.startswith(allowed) for name in kept)
    pixels = scene.images[list(scene.sensitive)].numel()
    picture_shapes = {(32, 32, 3), (3, 32, 32, 3), (3, 3, 32, 32), (pixels,)}
    assert not picture_shapes & {tuple(t.shape) for t in kept.values()}


def test_only_a_release_trains_and_only_a_scene_is_a_baseline(scene, release):
    with pytest.raises(TrainingError, match=r"given a Scene.*protect"):
        reconstruct(scene, TINY)
    with pytest.raises(TrainingError, match=r"whole scene.*Release"):
        reconstruct_full_rgb(release, TINY)


def test_training_never_sees_the_scene(scene, release, monkeypatch):
    """The release is enough: the scene's pictures are gone when training runs."""
    alone = protect(scene, size=32)
    before = weights(reconstruct(alone, TINY))
    scene_images = scene.images.clone()
    scene.images[list(scene.sensitive)] = 0.5
    try:
        assert torch.equal(before, weights(reconstruct(alone, TINY)))
    finally:
        scene.images.copy_(scene_images)


def test_full_rgb_baseline(scene, tmp_path):
    result = reconstruct_full_rgb(scene, TINY, size=32, out=tmp_path)
    assert result.stage1_mesh is None and set(result.history) == {"full_rgb"}
    assert result.report["baseline"] == "full-rgb" and (tmp_path / "mesh.ply").is_file()


def test_without_stage_1(release):
    result = reconstruct(release, TINY, stages=(2,))
    assert set(result.history) == {"stage2"} and result.stage1_mesh is None


@pytest.mark.parametrize("masks", ["none", "neutral", "all"])
def test_masks_released_or_not(scene, masks):
    result = reconstruct(protect(scene, size=32, masks=masks), TINY)
    assert ("mask" in result.history["stage1"]) == (masks != "none")
    assert ("mask" in result.history["stage2"]) == (masks == "all")


def test_every_term_of_eq_9_is_there(release):
    stage2 = dataclasses.replace(TINY.stage2, steps=4, lipschitz=1e-4)
    short = dataclasses.replace(TINY, stage1=dataclasses.replace(TINY.stage1, steps=4))
    result = reconstruct(release, dataclasses.replace(short, stage2=stage2))
    assert {"rgb", "eikonal"} <= set(result.history["stage1"])
    assert {"gradient", "eikonal", "lipschitz"} <= set(result.history["stage2"])
    assert "rgb" not in result.history["stage2"] and "lipschitz" not in result.history["stage1"]


def test_paper_profile_runs(release):
    """VolSDF's network, sampler and learned beta, a few steps of it."""
    paper = PROFILES["paper"]
    few = dataclasses.replace(
        paper,
        stage1=dataclasses.replace(paper.stage1, steps=2, rays=16, eikonal_points=16),
        stage2=dataclasses.replace(paper.stage2, steps=2, patches=1, patch=4, eikonal_points=16),
        mesh_resolution=16,
    )
    result = reconstruct(release, few)
    assert result.model.beta.learned and "lipschitz" in result.history["stage2"]


def test_a_nan_stops_with_the_last_good_checkpoint(release, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "SAVE_EVERY", 0.0)
    poison(monkeypatch, lambda step: step > 10)
    with pytest.raises(TrainingError, match=r"diverged at step 12.*no finite number.*checkpoint"):
        reconstruct(release, TINY, out=tmp_path)
    good = load_file(tmp_path / NAME)
    assert all(t.isfinite().all() for n, t in good.items() if n.startswith("model."))


def test_one_bad_step_is_passed_over(release, monkeypatch):
    poison(monkeypatch, lambda step: step == 5)
    assert weights(reconstruct(release, TINY)).isfinite().all()


def test_a_lost_surface_is_said(release, monkeypatch):
    monkeypatch.setattr(
        run_module.SdfCache,
        "refresh",
        lambda self, *_: setattr(self, "values", torch.ones(self.resolution**3, 1)),
    )
    with pytest.raises(TrainingError, match="surface has vanished"):
        reconstruct(release, TINY)


def test_checkpoint_of_another_run_is_refused(scene, release, tmp_path, monkeypatch):
    stop_at(monkeypatch, 1)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(release, TINY, seed=1, out=tmp_path)
    monkeypatch.undo()
    with pytest.raises(TrainingError, match="another run"):
        reconstruct(release, TINY, seed=2, out=tmp_path, resume=True)
    (tmp_path / NAME).write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="can't be read"):
        reconstruct(release, TINY, seed=1, out=tmp_path, resume=True)


def test_a_full_disk_keeps_the_checkpoint_that_was_there(release, tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "SAVE_EVERY", 0.0)
    write, count = Path.write_bytes, 0

    def full(self, data):
        nonlocal count
        count += 1
        if count > 3:
            write(self, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="disk is full"):
        reconstruct(release, TINY, out=tmp_path)
    assert load_file(tmp_path / NAME) and not list(tmp_path.glob(".*part*"))


def test_a_folder_without_permission_is_said_before_training(release, tmp_path, monkeypatch):
    def deny(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", deny)
    with pytest.raises(OutputError, match="Permission denied"):
        reconstruct(release, TINY, out=tmp_path / "x")


def test_settings_are_checked_and_round_trip(monkeypatch):
    for profile in PROFILES.values():
        assert Profile.from_record(as_read(profile.to_dict())) == profile
    with pytest.raises(ValueError, match="beta"):
        Stage1(beta=(0.0, 1.0))
    with pytest.raises(ValueError, match="negative"):
        Stage2(gradient=-1.0)
    with pytest.raises(ValueError, match="positive"):
        Optimiser(clip=0.0)
    with pytest.raises(TrainingError, match="ci, cpu, gpu, paper"):
        get_profile("laptop")
    monkeypatch.setenv("PRIVHEAD_PROFILE", "ci")
    assert get_profile().name == "ci"


def test_views_that_a_stage_needs(release):
    empty = dataclasses.replace(
        release,
        neutral=(),
        neutral_images=release.neutral_images[:0],
        masks=release.masks[:0],
        cameras=release.cameras[list(release.sensitive)],
        sensitive=tuple(range(len(release.sensitive))),
    )
    with pytest.raises(TrainingError, match="no neutral view"):
        reconstruct(empty, TINY)
    assert reconstruct(empty, TINY, stages=(2,)).history["stage2"]
