"""Hard cases of runs: another release, damaged or mixed files, wrong types, a full disk."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ball_scene
from runs import SHORT, as_read, poison, stop_at, weights
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from privhead_nb import Reconstruction, Release, reconstruct, reconstruct_full_rgb
from privhead_nb.cli import common
from privhead_nb.errors import OutputError, PrivheadError, TrainingError
from privhead_nb.scenes.scene import Scene
from privhead_nb.training import run as run_module
from privhead_nb.training.checkpoint import NAME, _digest
from privhead_nb.training.profiles import PROFILES, Profile
from privhead_nb.training.reconstruction import FILES


@pytest.fixture(scope="module")
def made(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run's folder."""
    folder = tmp_path_factory.mktemp("made") / "run"
    reconstruct(release, SHORT, out=folder)
    return folder


@pytest.fixture(scope="module")
def stopped(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was interrupted in stage 2."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        stop_at(patch, 9)
        with pytest.raises(KeyboardInterrupt):
            reconstruct(release, SHORT, out=folder)
    return folder


def copy(folder: Path, to: Path) -> Path:
    to.mkdir()
    for path in folder.iterdir():
        (to / path.name).write_bytes(path.read_bytes())
    return to


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


# Resume: the same input, all of it ---------------------------------------------------------------

CHANGES: dict[str, Callable[[Release], Release]] = {
    "K": lambda r: replace(r, cameras=replace(r.cameras, K=r.cameras.K * scaled(1.001))),
    "mask": lambda r: replace(r, masks=None if r.masks is None else 1 - r.masks),
    "radius": lambda r: replace(r, radius=r.radius * 1.01),
    "center": lambda r: replace(r, center=(1.0, 0.0, 0.0)),
    "background": lambda r: replace(r, background=(0.0, 0.0, 0.0)),
    "operator": lambda r: replace(r, operator=replace(r.operator, border="replicate")),
    "modulus": lambda r: replace(r, moduli=r.moduli * 0.5),
}


def scaled(by: float) -> torch.Tensor:
    """Focal lengths times `by`."""
    return torch.tensor([[by, 1, 1], [1, by, 1], [1, 1, 1]], dtype=torch.float64)


@pytest.mark.parametrize("what", CHANGES)
def test_a_release_that_differs_in_anything_is_another(
    release: Release, made: Path, stopped: Path, what: str
) -> None:
    other = CHANGES[what](release)
    for folder in (made, stopped):
        before = contents(folder)
        with pytest.raises(TrainingError, match="another run: the data differ"):
            reconstruct(other, SHORT, out=folder, resume=True)
        assert contents(folder) == before


def test_the_same_release_read_from_its_folder_is_the_same(
    release: Release, made: Path, tmp_path: Path
) -> None:
    release.save(tmp_path / "release")
    again = reconstruct(Release.load(tmp_path / "release"), SHORT, out=made, resume=True)
    assert torch.equal(weights(again), weights(Reconstruction.load(made)))


@pytest.mark.parametrize(
    "change",
    [
        {"radius": 81.0},
        {"background": (0.5, 1.0, 1.0)},
        {"masks": torch.zeros(6, 32, 32)},
        {"neutral": (3, 4), "unused": (5,)},
    ],
    ids=lambda c: "-".join(c),
)
def test_a_scene_that_differs_in_anything_is_another(
    scene: Scene, tmp_path: Path, change: dict[str, Any]
) -> None:
    reconstruct_full_rgb(scene, SHORT, size=32, out=tmp_path)
    change = {k: v for k, v in change.items() if k in Scene.__dataclass_fields__}
    with pytest.raises(TrainingError, match="another run: the data differ"):
        reconstruct_full_rgb(replace(scene, **change), SHORT, size=32, out=tmp_path, resume=True)


def test_a_result_of_an_older_version_is_said_to_be_one(
    release: Release, made: Path, tmp_path: Path
) -> None:
    """Its mark told less; and it has no checksums, without which it is still read."""
    folder = copy(made, tmp_path / "old")
    report = json.loads((folder / "report.json").read_text())
    del report["files"]
    for old in ({"data": "0" * 64}, {}):
        kept = {k: v for k, v in report.items() if k != "data"}
        (folder / "report.json").write_text(json.dumps(kept | old))
        with pytest.raises(TrainingError, match=r"older version.*--overwrite"):
            reconstruct(release, SHORT, out=folder, resume=True)
        assert torch.equal(weights(Reconstruction.load(folder)), weights(Reconstruction.load(made)))


# Results: whole, of one run, of the right types --------------------------------------------------


def flip(path: Path, at: float = 0.7) -> None:
    """One bit."""
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("name", ["mesh.ply", "stage1.ply", "field.safetensors"])
def test_a_flipped_bit_is_found(release: Release, made: Path, tmp_path: Path, name: str) -> None:
    folder = copy(made, tmp_path / "run")
    flip(folder / name)
    for read in (
        lambda: Reconstruction.load(folder),
        lambda: reconstruct(release, SHORT, out=folder, resume=True),
    ):
        with pytest.raises(TrainingError, match=rf"{name}: was changed"):
            read()
    if name != "field.safetensors":
        with pytest.raises(PrivheadError, match=rf"{name}: was changed"):
            common.mesh_path(folder, name)


@pytest.mark.parametrize("name", ["mesh.ply", "stage1.ply", "field.safetensors", "report.json"])
def test_files_of_two_runs_are_not_taken_for_one(
    release: Release, made: Path, tmp_path: Path, name: str
) -> None:
    other, folder = tmp_path / "other", copy(made, tmp_path / "run")
    reconstruct(release, SHORT, seed=1, out=other)
    (folder / name).write_bytes((other / name).read_bytes())
    with pytest.raises(TrainingError, match="is of another run"):
        Reconstruction.load(folder)


def test_what_is_read_while_it_is_written_is_refused(
    release: Release, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whatever moment another run's files come in, before the report or after the read."""
    reconstruct(release, SHORT, seed=1, out=tmp_path / "other")
    folder = copy(made, tmp_path / "run")
    for name in ("field.safetensors", "stage1.ply", "mesh.ply"):
        (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
        with pytest.raises(TrainingError, match="another run"):
            Reconstruction.load(folder)
    folder = copy(made, tmp_path / "late")
    read = Profile.from_record

    def late(record: Any) -> Profile:
        for name in FILES:
            (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
        return read(record)

    monkeypatch.setattr(Profile, "from_record", late)
    with pytest.raises(TrainingError, match="another run"):
        Reconstruction.load(folder)


def test_without_stage_1_an_older_stage_1_mesh_goes(
    release: Release, made: Path, tmp_path: Path
) -> None:
    folder = copy(made, tmp_path / "run")
    replace(Reconstruction.load(made), stage1_mesh=None).save(folder)
    assert Reconstruction.load(folder).stage1_mesh is None


def test_a_nan_in_a_field_is_found_without_checksums(made: Path, tmp_path: Path) -> None:
    folder = copy(made, tmp_path / "run")
    report = json.loads((folder / "report.json").read_text())
    del report["files"]
    (folder / "report.json").write_text(json.dumps(report))
    tensors = load_file(folder / "field.safetensors")
    name = sorted(tensors)[0]
    spoilt = tensors | {name: tensors[name].clone().fill_(float("nan"))}
    missing = {k: v for k, v in tensors.items() if k != name}
    other = tensors | {name: torch.zeros(3, 3)}
    for wrong, said in ((spoilt, "NaN"), (missing, "lacks"), (other, "not torch"), ({}, "lacks")):
        save_file(wrong, folder / "field.safetensors")
        with pytest.raises(TrainingError, match=rf"field\.safetensors: .*{said}"):
            Reconstruction.load(folder)


WRONG: list[Any] = [None, True, -1, 10**17, 1e300, "x", "", [], [[]], {}, [None], {"a": 1}, ["a"]]
REPORT_FIELDS = (
    "settings", "sphere", "history", "files", "seconds", "seconds_total", "profile", "seed",
    "sphere.center", "sphere.radius", "sphere.background", "history.stage1", "history.stage1.step",
    "history.stage1.rgb", "settings.field", "settings.field.width", "settings.field.resolutions",
    "settings.render.error_bound", "settings.render.sampler", "settings.stage2.beta",
    "settings.stage2.lipschitz_log", "settings.name", "files.mesh.ply",
)  # fmt: skip


def put(data: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value at `path`."""
    data = json.loads(json.dumps(data))
    inner, keys = data, path.replace("mesh.ply", "mesh/ply").split(".")
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1].replace("/", ".")] = value
    return data


@pytest.mark.parametrize("field", REPORT_FIELDS)
def test_wrong_types_in_a_report_are_errors_that_name_it(
    made: Path, tmp_path: Path, field: str
) -> None:
    folder = copy(made, tmp_path / "run")
    report = json.loads((folder / "report.json").read_text())
    refused: list[TrainingError] = []
    for value in WRONG:
        (folder / "report.json").write_text(json.dumps(put(report, field, value)))
        try:
            Reconstruction.load(folder)
        except TrainingError as error:  # nothing else may come
            refused.append(error)
    assert all(any(name in str(error) for name in FILES) for error in refused)
    assert len(refused) >= len(WRONG) - 5  # some values are in order for some fields


@pytest.mark.parametrize(
    "text", ["", "[]", "nul", '{"a":' * 100_000, '{"seed": 1' + "0" * 400 + "}", '{"x": NaN}']
)
def test_a_report_that_is_no_json_is_an_error(made: Path, tmp_path: Path, text: str) -> None:
    folder = copy(made, tmp_path / "run")
    (folder / "report.json").write_text(text)
    with pytest.raises(TrainingError, match=r"report\.json"):
        Reconstruction.load(folder)


def test_absurd_sizes_are_refused_before_memory_is_asked_for() -> None:
    plain = PROFILES["cpu"].to_dict()
    began = time.monotonic()
    for key, value in (
        ("width", 10**9),
        ("colour_width", 10**7),
        ("depth", 10**6),
        ("resolutions", [2000, 2000, 2000, 2000, 2000]),
        ("resolutions", []),
        ("max_entries", 10**9),
        ("widht", 64),
    ):
        with pytest.raises(TrainingError, match=key):
            Profile.from_record(
                as_read(plain | {"field": plain["field"] | {key: value, "max_entries": 2**26}})
                if key == "resolutions"
                else as_read(plain | {"field": plain["field"] | {key: value}})
            )
    assert time.monotonic() - began < 5


def test_a_bad_step_leaves_a_report_that_is_read(
    release: Release, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, lambda step: step == 1)
    reconstruct(release, SHORT, out=tmp_path)
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text and json.loads(text)["history"]["stage1"]["rgb"][0] is None
    assert np.isnan(Reconstruction.load(tmp_path).history["stage1"]["rgb"][0])


# Checkpoints -------------------------------------------------------------------------------------


def test_a_flipped_bit_in_a_checkpoint_is_found(
    release: Release, stopped: Path, tmp_path: Path
) -> None:
    for number, at in enumerate(np.linspace(0.001, 0.999, 12)):
        folder = copy(stopped, tmp_path / str(number))
        flip(folder / NAME, float(at))
        with pytest.raises(TrainingError, match=NAME):
            reconstruct(release, SHORT, out=folder, resume=True)


def rewritten(
    folder: Path, change: Callable[[dict[str, Any], dict[str, torch.Tensor]], Any]
) -> None:
    """A checkpoint with other contents, and the checksum that fits them."""
    tensors = load_file(folder / NAME)
    with safe_open(folder / NAME, "pt") as file:
        words = json.loads(file.metadata()["privhead"])
    change(words, tensors)
    text = json.dumps(words)
    save_file(tensors, folder / NAME, {"privhead": text, "sha256": _digest(text, tensors)})


def test_a_checkpoint_with_other_contents_is_an_error(
    release: Release, stopped: Path, tmp_path: Path
) -> None:
    some = next(n for n in load_file(stopped / NAME) if n.startswith("model.field"))
    moment = "optimiser.0.exp_avg"
    changes: list[Callable[[dict[str, Any], dict[str, torch.Tensor]], Any]] = [
        lambda w, _: w.pop("stage"),
        lambda w, _: w.update(stage="stage9"),
        lambda w, _: w.update(step=-1),
        lambda w, _: w.update(step=1.5),
        lambda w, _: w.update(step=10**12),
        lambda w, _: w.update(history=[]),
        lambda w, _: w["history"]["stage1"].update(rgb="x"),
        lambda w, _: w["history"]["stage1"].pop("step"),
        lambda w, _: w.update(seconds={"stage1": "x"}),
        lambda w, _: w.update(identity=None),
        lambda w, _: w.update(format=1),
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
    for number, change in enumerate(changes):
        folder = copy(stopped, tmp_path / str(number))
        rewritten(folder, change)
        with pytest.raises(TrainingError, match=NAME):
            reconstruct(release, SHORT, out=folder, resume=True)
    folder = copy(stopped, tmp_path / "same")
    rewritten(folder, lambda *_: None)
    reconstruct(release, SHORT, out=folder, resume=True)


def test_a_changed_mesh_of_stage_1_is_found_on_resume(
    release: Release, stopped: Path, tmp_path: Path
) -> None:
    folder = copy(stopped, tmp_path / "run")
    flip(folder / "stage1.ply")
    with pytest.raises(TrainingError, match=r"stage1\.ply: was changed"):
        reconstruct(release, SHORT, out=folder, resume=True)


# One run at a time, and clean folders ------------------------------------------------------------


def test_two_runs_into_one_folder(
    release: Release, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is refused while the first trains, and changes nothing."""
    folder, seen = copy(stopped, tmp_path / "run"), []
    hold = """
import sys
from privhead_nb.files import claim
with claim(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.readline()
        before = contents(folder)
        for resume in (True, False):
            more: Any = {"resume": resume, "overwrite": not resume, "out": folder}
            with pytest.raises(OutputError, match=str(process.pid)):
                reconstruct(release, SHORT, **more)
            with pytest.raises(OutputError, match=str(process.pid)):
                reconstruct_full_rgb(ball_scene(), SHORT, size=32, **more)
        assert contents(folder) == before
        process.kill()

    def refused(self: Any, *args: Any) -> None:
        seen.append((tmp_path / ".run.lock").exists())
        raise KeyboardInterrupt

    monkeypatch.setattr(run_module.Run, "render", refused)
    with pytest.raises(KeyboardInterrupt):
        reconstruct(release, SHORT, out=folder, resume=True)
    assert seen == [True] and not (tmp_path / ".run.lock").exists()


def test_the_next_run_clears_a_killed_ones_half_files(
    release: Release, stopped: Path, tmp_path: Path
) -> None:
    folder = copy(stopped, tmp_path / "run")
    for name in (
        ".checkpoint.77.part.safetensors",
        ".mesh.78.part.ply",
        ".tmpAb12Cd",
        ".writable.part",
    ):
        (folder / name).write_text("half")
    reconstruct(release, SHORT, out=folder, resume=True)
    assert {p.name for p in folder.iterdir()} == {*FILES}


def test_a_scene_or_release_is_no_folder_for_results(
    scene: Scene, release: Release, tmp_path: Path
) -> None:
    scene.save(tmp_path / "scene")
    release.save(tmp_path / "release")
    for name in ("scene", "release"):
        for out in (tmp_path / name, tmp_path / name / "out"):
            before = set(tmp_path.rglob("*"))
            with pytest.raises(OutputError, match="scene or release"):
                reconstruct(release, SHORT, out=out, overwrite=True)
            assert set(tmp_path.rglob("*")) == before
    Release.load(tmp_path / "release")


def test_a_mesh_that_no_run_left_is_kept_even_with_overwrite(
    release: Release, tmp_path: Path
) -> None:
    (tmp_path / "mesh.ply").write_text("mine")
    with pytest.raises(OutputError, match="no run left it"):
        reconstruct(release, SHORT, out=tmp_path, overwrite=True)
    assert (tmp_path / "mesh.ply").read_text() == "mine"


def test_a_full_disk_at_the_end_keeps_the_checkpoint(
    release: Release, stopped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(stopped, tmp_path / "run")
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if "field" in self.name:
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"field\.safetensors: the disk is full"):
        reconstruct(release, SHORT, out=folder, resume=True)
    monkeypatch.undo()
    assert (folder / NAME).is_file() and not [*folder.glob(".*")]
    reconstruct(release, SHORT, out=folder, resume=True)
