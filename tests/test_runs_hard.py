"""Hard cases of runs: another release, damaged or mixed files, wrong types, a full disk."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import contents, edit_json, flip, held
from runs import SHORT, as_read, fill_disk, poison, stopped_run, weights
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from privhead_nb import Reconstruction, Release, reconstruct, reconstruct_full_rgb
from privhead_nb.cli import common
from privhead_nb.errors import OutputError, PrivheadError, TrainingError
from privhead_nb.training import run as run_module
from privhead_nb.training.checkpoint import NAME, _digest
from privhead_nb.training.profiles import PROFILES, Profile
from privhead_nb.training.reconstruction import FILES

REPORT = "report.json"


@pytest.fixture(scope="module")
def made(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's folder."""
    folder = tmp_path_factory.mktemp("made")
    reconstruct(release, SHORT, out=folder)
    return folder


@pytest.fixture(scope="module")
def other(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with another seed."""
    folder = tmp_path_factory.mktemp("other")
    reconstruct(release, SHORT, seed=1, out=folder)
    return folder


@pytest.fixture(scope="module")
def stopped(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was interrupted in stage 2."""
    folder = tmp_path_factory.mktemp("stopped")
    stopped_run(9, lambda: reconstruct(release, SHORT, out=folder))
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy of the finished run that a test may spoil."""
    return shutil.copytree(made, tmp_path / "run")


@pytest.fixture
def going(stopped: Path, tmp_path: Path) -> Path:
    """A copy of the interrupted run that a test may spoil."""
    return shutil.copytree(stopped, tmp_path / "run")


# Resume: the same input, all of it ---------------------------------------------------------------

SCENE_CHANGES: tuple[dict[str, Any], ...] = (
    {"radius": 81.0},
    {"background": (0.5, 1.0, 1.0)},
    {"masks": torch.zeros(6, 32, 32)},
    {"neutral": (3, 4)},
)


def test_an_input_that_differs_in_anything_is_another(release, scene, made, stopped, tmp_path):
    """What counts in a release's fingerprint is in test_release_hard.py."""
    other = replace(release, radius=release.radius * 1.01)
    for folder in (made, stopped):
        before = contents(folder)
        with pytest.raises(TrainingError, match="another run: the data differ"):
            reconstruct(other, SHORT, out=folder, resume=True)
        assert contents(folder) == before
    reconstruct_full_rgb(scene, SHORT, size=32, out=tmp_path)
    for fields in SCENE_CHANGES:
        with pytest.raises(TrainingError, match="another run: the data differ"):
            reconstruct_full_rgb(
                replace(scene, **fields), SHORT, size=32, out=tmp_path, resume=True
            )


def test_a_result_of_an_older_version_is_said_to_be_one(release, made, run):
    """Its mark told less; and it has no checksums, without which it is still read."""
    for data in ("0" * 64, ...):
        edit_json(run / REPORT, files=..., data=data)
        with pytest.raises(TrainingError, match=r"older version.*--overwrite"):
            reconstruct(release, SHORT, out=run, resume=True)
        assert torch.equal(weights(Reconstruction.load(run)), weights(Reconstruction.load(made)))


# Results: whole, of one run, of the right types --------------------------------------------------


@pytest.mark.parametrize("name", ["mesh.ply", "stage1.ply", "field.safetensors", REPORT])
def test_files_of_two_runs_or_with_a_flipped_bit_are_refused(release, made, other, run, name):
    shutil.copy(other / name, run / name)
    with pytest.raises(TrainingError, match="is of another run"):
        Reconstruction.load(run)
    if name == REPORT:
        return
    shutil.copy(made / name, run / name)
    flip(run / name, 0.7)
    with pytest.raises(TrainingError, match=rf"{name}: was changed"):
        Reconstruction.load(run)
    with pytest.raises(TrainingError, match=rf"{name}: was changed"):
        reconstruct(release, SHORT, out=run, resume=True)
    if name != "field.safetensors":
        with pytest.raises(PrivheadError, match=rf"{name}: was changed"):
            common.mesh_path(run, name)


def test_what_is_read_while_it_is_written_is_refused(other, run, monkeypatch):
    """All of another run's files may come in after the report was read."""
    read = Profile.from_record

    def late(record: Any) -> Profile:
        shutil.copytree(other, run, dirs_exist_ok=True)
        return read(record)

    monkeypatch.setattr(Profile, "from_record", late)
    with pytest.raises(TrainingError, match="another run"):
        Reconstruction.load(run)


def test_without_stage_1_an_older_stage_1_mesh_goes(made, run):
    replace(Reconstruction.load(made), stage1_mesh=None).save(run)
    assert Reconstruction.load(run).stage1_mesh is None


def test_a_wrong_field_is_found_without_checksums(run):
    edit_json(run / REPORT, files=...)
    tensors = load_file(run / "field.safetensors")
    name = sorted(tensors)[0]
    spoilt = tensors | {name: tensors[name].clone().fill_(float("nan"))}
    missing = {k: v for k, v in tensors.items() if k != name}
    shape = tensors | {name: torch.zeros(3, 3)}
    for wrong, said in ((spoilt, "NaN"), (missing, "lacks"), (shape, "not torch"), ({}, "lacks")):
        save_file(wrong, run / "field.safetensors")
        with pytest.raises(TrainingError, match=rf"field\.safetensors: .*{said}"):
            Reconstruction.load(run)


WRONG: list[Any] = [None, True, -1, 10**17, 1e300, "x", "", [], [[]], {}, [None], {"a": 1}, ["a"]]
REPORT_FIELDS = (
    "settings", "sphere", "history", "files", "seconds", "seconds_total", "profile", "seed",
    "sphere/center", "sphere/radius", "sphere/background", "history/stage1", "history/stage1/step",
    "history/stage1/rgb", "settings/field", "settings/field/width", "settings/field/resolutions",
    "settings/render/error_bound", "settings/render/sampler", "settings/stage2/beta",
    "settings/stage2/lipschitz_log", "settings/name", "files/mesh.ply",
)  # fmt: skip


def put(data: dict[str, Any], path: str, value: Any) -> None:
    """Write another value at `path`."""
    *keys, last = path.split("/")
    for key in keys:
        data = data[key]
    data[last] = value


@pytest.mark.parametrize("field", REPORT_FIELDS)
def test_wrong_types_in_a_report_are_errors_that_name_it(run, field):
    whole = (run / REPORT).read_text()
    refused: list[TrainingError] = []
    for value in WRONG:
        report = json.loads(whole)
        put(report, field, value)
        (run / REPORT).write_text(json.dumps(report))
        try:
            Reconstruction.load(run)
        except TrainingError as error:  # nothing else may come
            refused.append(error)
    assert all(any(name in str(error) for name in FILES) for error in refused)
    assert len(refused) >= len(WRONG) - 5  # some values are in order for some fields


def test_absurd_sizes_are_refused_before_memory_is_asked_for():
    plain = PROFILES["cpu"].to_dict()
    began = time.monotonic()
    for key, value in (
        ("width", 10**9),
        ("colour_width", 10**7),
        ("depth", 10**6),
        ("resolutions", [2000] * 5),
        ("resolutions", []),
        ("max_entries", 10**9),
        ("widht", 64),
    ):
        more = {"max_entries": 2**26} if key == "resolutions" else {}
        with pytest.raises(TrainingError, match=key):
            Profile.from_record(as_read(plain | {"field": plain["field"] | more | {key: value}}))
    assert time.monotonic() - began < 5


def test_one_bad_step_is_passed_over_and_its_report_is_read(release, tmp_path, monkeypatch):
    poison(monkeypatch, lambda step: step == 1)
    assert weights(reconstruct(release, SHORT, out=tmp_path)).isfinite().all()
    text = (tmp_path / REPORT).read_text()
    assert "NaN" not in text and json.loads(text)["history"]["stage1"]["rgb"][0] is None
    assert np.isnan(Reconstruction.load(tmp_path).history["stage1"]["rgb"][0])


# Checkpoints -------------------------------------------------------------------------------------

Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], Any]


def rewritten(folder: Path, change: Change) -> None:
    """A checkpoint with other contents, and the checksum that fits them."""
    tensors = load_file(folder / NAME)
    with safe_open(folder / NAME, "pt") as file:
        words = json.loads(file.metadata()["privhead"])
    change(words, tensors)
    text = json.dumps(words)
    save_file(tensors, folder / NAME, {"privhead": text, "sha256": _digest(text, tensors)})


def test_a_damaged_checkpoint_is_an_error(release, stopped, going):
    """One flipped bit anywhere, or contents that can't be, with the checksum that fits them."""
    some = next(n for n in load_file(stopped / NAME) if n.startswith("model.field"))
    moment = "optimiser.0.exp_avg"
    words: list[dict[str, Any]] = [
        {"stage": "stage9"}, {"step": -1}, {"step": 1.5}, {"step": 10**12}, {"history": []},
        {"seconds": {"stage1": "x"}}, {"identity": None}, {"format": 1},
    ]  # fmt: skip
    changes: list[Change] = [lambda w, _, new=new: w.update(new) for new in words]
    changes += [
        lambda w, _: w.pop("stage"),
        lambda w, _: w["history"]["stage1"].update(rgb="x"),
        lambda w, _: w["history"]["stage1"].pop("step"),
        lambda w, _: w["identity"].update(settings={"stage1": 1}),
        lambda _, t: t.pop(some),
        lambda _, t: t.update({some: t[some][..., :1].contiguous()}),
        lambda _, t: t.update({some: t[some].double()}),
        lambda _, t: t[some].fill_(float("nan")),
        lambda _, t: t.update({"model.more": torch.zeros(1)}),
        lambda _, t: t.update({"more": torch.zeros(1)}),
        lambda _, t: t.pop(moment),
        lambda _, t: t.update({moment: torch.zeros(2)}),
        lambda _, t: t.update({"optimiser.999.step": torch.zeros(())}),
        lambda _, t: t.update({"optimiser.x.step": torch.zeros(())}),
        lambda _, t: t.pop("generator"),
        lambda _, t: t.update(generator=torch.zeros(7, dtype=torch.uint8)),
        lambda _, t: t.update(cache=torch.zeros(5, 1)),
    ]
    damages: list[Callable[[], None]] = [lambda c=c: rewritten(going, c) for c in changes]
    places = np.linspace(0.001, 0.999, 12)
    damages += [lambda at=at: flip(going / NAME, float(at)) for at in places]
    damages.append(lambda: (going / NAME).write_bytes(b"not a checkpoint") and None)
    for damage in damages:
        damage()
        with pytest.raises(TrainingError, match=NAME):
            reconstruct(release, SHORT, out=going, resume=True)
        shutil.copy(stopped / NAME, going / NAME)


def test_a_checkpoint_of_another_run_is_refused_and_one_under_old_names_is_not(release, going):
    with pytest.raises(TrainingError, match="another run"):
        reconstruct(release, SHORT, seed=2, out=going, resume=True)

    def older(words: dict[str, Any], _: Any) -> None:
        for stage in ("stage1", "stage2", "full_rgb"):
            settings = words["identity"]["settings"][stage]
            settings["probes"] = settings.pop("eikonal_points")

    rewritten(going, older)
    assert reconstruct(release, SHORT, out=going, resume=True).history["stage2"]


def test_a_changed_mesh_of_stage_1_is_found_on_resume(release, going):
    flip(going / "stage1.ply", 0.7)
    with pytest.raises(TrainingError, match=r"stage1\.ply: was changed"):
        reconstruct(release, SHORT, out=going, resume=True)


# One run at a time, and clean folders ------------------------------------------------------------


def test_two_runs_into_one_folder(scene, release, going, tmp_path, monkeypatch):
    """The second is refused while the first trains, and changes nothing."""
    with held(going) as process:
        before = contents(going)
        for resume in (True, False):
            more: Any = {"resume": resume, "overwrite": not resume, "out": going}
            with pytest.raises(OutputError, match=str(process.pid)):
                reconstruct(release, SHORT, **more)
            with pytest.raises(OutputError, match=str(process.pid)):
                reconstruct_full_rgb(scene, SHORT, size=32, **more)
        assert contents(going) == before
    seen = []

    def refused(self: Any, *args: Any) -> None:
        seen.append((tmp_path / ".run.lock").exists())
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module.Run, "render", refused)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(release, SHORT, out=going, resume=True)
    assert seen == [True] and not (tmp_path / ".run.lock").exists()


def test_the_next_run_clears_a_killed_ones_half_files(release, going):
    left = ".checkpoint.77.part.safetensors .mesh.78.part.ply .tmpAb12Cd .writable.part"
    for name in left.split():
        (going / name).write_text("half")
    reconstruct(release, SHORT, out=going, resume=True)
    assert {p.name for p in going.iterdir()} == {*FILES}


def test_folders_with_other_things_are_no_place_for_results(scene, release, tmp_path):
    """A scene, and a mesh that no run left, stay as they are, even with overwrite."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mesh.ply").write_text("mine")
    scene.save(tmp_path / "scene")
    before = contents(tmp_path)
    for name, said in (("scene", "scene or release"), ("mine", "no run left it")):
        with pytest.raises(OutputError, match=said):
            reconstruct(release, SHORT, out=tmp_path / name, overwrite=True)
    assert contents(tmp_path) == before


def test_a_full_disk_at_the_end_keeps_the_checkpoint(release, going):
    with pytest.MonkeyPatch.context() as patch:
        fill_disk(patch, lambda _, path: "field" in path.name)
        with pytest.raises(OutputError, match=r"field\.safetensors: the disk is full"):
            reconstruct(release, SHORT, out=going, resume=True)
    assert (going / NAME).is_file() and not [*going.glob(".*")]
    reconstruct(release, SHORT, out=going, resume=True)
