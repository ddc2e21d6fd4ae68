"""Claims about the command line: the promised calls, their JSON, their errors and exit codes."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from command import answer, python, refused_call, run
from runs import shortened

from privhead_nb import cli, evaluate
from privhead_nb.cli import demo as demo_module
from privhead_nb.scenes.folder import load_scene
from privhead_nb.training import two_stage
from privhead_nb.training.profiles import PROFILES
from privhead_nb.training.reconstruction import FILES

COMMANDS = ("doctor", "synth", "inspect", "protect", "reconstruct", "evaluate", "demo")


@pytest.fixture(autouse=True, scope="module")
def few_steps() -> Iterator[None]:
    """A ci profile of a few steps: only the plumbing is looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PROFILES, "ci", shortened(PROFILES["ci"], steps=6, mesh=48))
        yield


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "scene"
    made = answer("synth", folder, "--identity", 7, "--neutral", 3, "--sensitive", 4, "--size", 64)
    assert (made["views"], made["width"], made["truth"]) == (7, 64, True)
    return folder


@pytest.fixture(scope="module")
def release(scene: Path) -> Path:
    folder = scene.with_name("release")
    made = answer("protect", scene, folder, "--operator", "sobel", "--size", 32)
    assert made["operator"]["kind"] == "sobel"
    assert (len(made["neutral_as_rgb"]), len(made["sensitive_as_modulus"])) == (3, 4)
    return folder


@pytest.fixture(scope="module")
def result(release: Path) -> Path:
    folder = release.with_name("result")
    report = answer("reconstruct", release, folder, "--profile", "ci", "--seed", 0)
    assert report["profile"] == "ci" and report["seed"] == 0
    assert set(report["seconds"]) == {"stage1", "stage2"}
    assert {path.name for path in folder.iterdir()} == {*FILES}
    return folder


def test_evaluate_measures_runs_and_meshes(scene, result):
    end = ("--truth", scene, "--samples", 5000)
    measured = answer("evaluate", result, *end, "--protocol", "surface", "--region", "face")
    assert 0 < measured["distance_mean"] < 50
    other = answer("evaluate", result, *end, "--mesh", "stage1.ply")
    assert other["distance_mean"] != measured["distance_mean"]
    assert answer("evaluate", scene / "full_head.obj", *end)["distance_mean"] < 1e-5
    assert "distance_mean" in run("evaluate", result, *end).stdout


def test_the_baseline_takes_a_scene(scene, tmp_path):
    end = ("--baseline", "full-rgb", "--profile", "ci", "--size", 32)
    assert answer("reconstruct", scene, tmp_path / "full", *end)["baseline"] == "full-rgb"
    assert not (tmp_path / "full" / "stage1.ply").exists()


def test_the_demo_makes_a_table_a_mesh_and_a_page(scene, tmp_path, monkeypatch):
    # A head that is there already, since making one takes a while.
    monkeypatch.setattr(demo_module, "synthetic_scene", lambda *_, **__: load_scene(scene))
    monkeypatch.setattr(demo_module, "evaluate", partial(evaluate, samples=5000))
    done = run("demo", tmp_path / "demo", "--profile", "ci")
    assert done.exit_code == 0, done.stderr
    for word in ("stage 1", "stage 2", "full RGB", "mm", "deg", "stage 2 / full RGB"):
        assert word in done.stdout
    there = {path.name for path in (tmp_path / "demo").iterdir()}
    folders = {"scene", "release", "reconstruction", "full_rgb"}
    assert there == folders | {"mesh.ply", "page.png", "demo.json"}
    refused_call("--overwrite", "demo", tmp_path / "demo", "--profile", "ci")


def test_inspect_reads_scenes_and_releases_and_draws_them(scene, release, tmp_path):
    assert answer("inspect", scene)["kind"] == "scene"
    facts = answer("inspect", release, "--picture", tmp_path / "page.png")
    assert facts["kind"] == "release"
    assert (tmp_path / "page.png").read_bytes()[:4] == b"\x89PNG"
    shown = run("inspect", scene)
    assert shown.exit_code == 0 and "bounding" not in shown.stderr
    assert run("inspect", scene, "--picture", tmp_path / "page.bmp").exit_code == 2


def test_doctor_answers_in_words_and_json():
    assert answer("doctor")["can_run"] is True
    assert "--profile" in run("doctor").stdout


def test_every_command_has_help_and_json():
    for command in COMMANDS:
        shown = run(command, "--help")
        assert shown.exit_code == 0
        assert "--json" in shown.stdout and "--debug" in shown.stdout
        known = [c.callback for c in cli.app.registered_commands if c.callback]
        (callback,) = [c for c in known if c.__name__ == command]
        assert callback.__doc__


def test_help_is_fast_because_nothing_heavy_is_imported():
    code = (
        "import sys; from typer.testing import CliRunner; from privhead_nb.cli import app; "
        "assert CliRunner().invoke(app, ['reconstruct', '--help']).exit_code == 0; "
        "print([m for m in ('torch', 'numpy', 'trimesh', 'matplotlib') if m in sys.modules])"
    )
    assert python(code).stdout.strip() == "[]"


def _wrong_calls(scene: Path, release: Path, result: Path, tmp: Path) -> dict[str, list[object]]:
    (tmp / "empty").mkdir()
    (tmp / "full").mkdir()
    (tmp / "full" / "mine.txt").write_text("mine")
    return {
        "is a scene, not a release": ["reconstruct", scene, tmp / "o", "--profile", "ci"],
        "is a release, not a scene": ["reconstruct", release, tmp / "o", "--baseline", "full-rgb"],
        "there is no mesh.ply": ["evaluate", tmp / "empty", "--truth", scene],
        "there is no such folder": ["evaluate", tmp / "nowhere", "--truth", scene],
        "It holds mesh.ply, stage1.ply": ["evaluate", result, "--truth", scene, "--mesh", "x.ply"],
        "no scene is in this folder": ["evaluate", result, "--truth", tmp / "empty"],
        "this is a release": ["evaluate", result, "--truth", release],
        "the target folder is not empty": ["synth", tmp / "full"],
        "kernel_size is 4": ["protect", scene, tmp / "r", "--kernel-size", 4],
        "is a file, not a folder": ["protect", tmp / "full" / "mine.txt", tmp / "r"],
        "there is no light": ["synth", tmp / "s", "--light", "moon"],
    }  # fmt: skip


def test_what_a_user_can_mend_is_one_line_and_exit_code_2(scene, release, result, tmp_path):
    for words, arguments in _wrong_calls(scene, release, result, tmp_path).items():
        refused_call(words, *arguments)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert not any((tmp_path / name).exists() for name in ("o", "r", "s"))
    shown = run("reconstruct", scene, tmp_path / "o", "--debug")
    assert type(shown.exception).__name__ == "ReleaseError"
    flag = run("evaluate", scene, "--truth", scene, "--protocol", "guess")
    assert flag.exit_code == 2 and "surface" in flag.stderr


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the trainer and the demo are asked for, before Ctrl-C strikes."""
    seen: list[dict[str, Any]] = []

    def stop(_: Any, profile: str = "", **settings: Any) -> None:
        seen.append({**settings, "profile": profile, "threads": torch.get_num_threads()})
        raise KeyboardInterrupt

    monkeypatch.setattr(two_stage, "reconstruct", stop)
    monkeypatch.setattr(demo_module, "run_demo", stop)
    return seen


def test_ctrl_c_says_how_to_go_on(release, asked):
    done = run("reconstruct", release, release.with_name("interrupted"))
    assert done.exit_code == 130
    assert "interrupted; continue with --resume" in done.stderr
    done = run("demo", release.with_name("no_demo"))
    assert done.exit_code == 130 and "--resume" not in done.stderr
    assert len(asked) == 2


def test_settings_reach_the_trainer(release, asked, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    try:
        run("reconstruct", release, "out", "--profile", "gpu", "--seed", 5, "--resume",
            "--overwrite", "--threads", 2, "--template", "t", "--stages", "1,2")  # fmt: skip
    finally:
        torch.set_num_threads(before)
    assert asked == [{
        "profile": "gpu", "seed": 5, "out": Path("out"), "resume": True, "overwrite": True,
        "threads": 2, "template": Path("t"), "start": None, "stages": (1, 2),
    }]  # fmt: skip


def test_the_profile_can_come_from_the_environment(release, asked, monkeypatch):
    monkeypatch.delenv("PRIVHEAD_PROFILE", raising=False)
    run("reconstruct", release, "out")
    monkeypatch.setenv("PRIVHEAD_PROFILE", "paper")
    run("reconstruct", release, "out")
    assert [a["profile"] for a in asked] == ["cpu", "paper"]
