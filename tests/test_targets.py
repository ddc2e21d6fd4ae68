"""Claims about targets: checked before the work, one writer at a time, and nothing is ever lost."""

import errno
import json
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from command import refused_call, run
from refusals import held
from runs import fill_disk

from privhead_nb import locks, protect, targets
from privhead_nb.errors import OutputError
from privhead_nb.files import atomic_file, atomic_folder, claim, write_json, write_tensors
from privhead_nb.targets import SOURCES, left_over, refuse_inside_sources

DEAD = 2**22 + 1  # above the largest process number of Linux


def fill(target: Path, *names: str, overwrite: bool = False) -> None:
    with atomic_folder(target, overwrite=overwrite) as aside:
        for name in names or ("new.txt",):
            (aside / name).write_text("new")


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}


# Where a result can't go is said before the work --------------------------------------------------


def closed(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Folders that may not be written to, for root too."""
    ask = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: Path(p) not in folders and ask(p, mode))


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("f", "is a file"),
        ("f/x", "is a file"),
        ("f/x/y", "is a file"),
        ("n" * 250, "too long"),
        ("a/" + "n" * 300, "too long"),
        ("n/" * 3000, "too long"),
        ("loop/x", "loop|no path|could not be written"),
        ("closed/new", "no permission"),
        ("closed/new/deep", "no permission"),
    ],
    ids=lambda text: text[:12],
)
def test_where_a_result_cant_go_is_said_before_the_work(tmp_path, monkeypatch, target, said):
    (tmp_path / "f").write_text("mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "closed").mkdir()
    before = sorted(p.name for p in tmp_path.iterdir())
    closed(monkeypatch, tmp_path / "closed")
    with pytest.raises(OutputError, match=said):
        targets.check_target(tmp_path / target, overwrite=True)
    done = run("synth", tmp_path / target)
    assert done.exit_code == 2 and re.search(said, done.stderr)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    assert (tmp_path / "f").read_text() == "mine"


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps links for administrators")
def test_a_link_stays_and_its_folder_is_written(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk", target_is_directory=True)
    fill(tmp_path / "out")
    fill(tmp_path / "out", "newer.txt", overwrite=True)
    assert (tmp_path / "out").is_symlink() and files(tmp_path / "disk") == {"newer.txt"}
    (tmp_path / "real.json").write_text("1")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    write_json(tmp_path / "link.json", {"a": 1})
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text()) == {"a": 1}


# What can't be renamed: the working folder, a mount, a folder in a closed one ---------------------


def unmovable(how: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "working folder":
        monkeypatch.chdir(target)
    elif how == "mount":
        mounted = os.path.ismount
        monkeypatch.setattr(os.path, "ismount", lambda p: Path(p) == target or mounted(p))
    else:
        closed(monkeypatch, target.parent)
    rename = os.replace

    def replace(a: Any, b: Any) -> None:
        if target in (Path(a), Path(b)):
            raise OSError(errno.EBUSY, "Device or resource busy")
        rename(a, b)

    monkeypatch.setattr(os, "replace", replace)


HOW = ("working folder", "mount", "closed parent")


@pytest.mark.parametrize("how", HOW)
def test_its_contents_are_swapped(tmp_path, monkeypatch, how):
    target = tmp_path / "out"
    target.mkdir()
    unmovable(how, target, monkeypatch)
    fill(Path() if how == "working folder" else target)
    assert files(tmp_path) == {"out/new.txt"}
    with pytest.raises(OutputError, match="not empty"):
        fill(target, "newer.txt")
    fill(target, "newer.txt", overwrite=True)
    assert files(tmp_path) == {"out/newer.txt"} and len([*target.iterdir()]) == 1


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_swap_that_fails_halfway_is_undone(tmp_path, monkeypatch, how, at):
    target = tmp_path / "out"
    target.mkdir()
    (target / "a").write_text("a")
    (target / "b").write_text("b")
    unmovable(how, target, monkeypatch)
    rename, count = os.replace, 0

    def fail(a: Any, b: Any) -> None:
        nonlocal count
        count += 1
        if count == at + 1:
            raise OSError(errno.EIO, "Input/output error")
        rename(a, b)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OutputError, match="Input/output"):
        fill(target, "a", "c", overwrite=True)
    assert {p.name: p.read_text() for p in target.iterdir()} == {"a": "a", "b": "b"}


# Killed writers ----------------------------------------------------------------------------------


def test_the_next_run_clears_what_a_killed_one_left(tmp_path):
    out = tmp_path / "out"
    (tmp_path / f".out.{DEAD}.part" / "deep").mkdir(parents=True)
    (tmp_path / ".out.a1b2c3d4.part").mkdir()  # as older versions named them
    (tmp_path / ".out.lock").write_text(f"{DEAD} elsewhere")
    (tmp_path / f".out.more.{DEAD}.part").mkdir()  # of another target
    (tmp_path / ".out.backup.old").mkdir()  # and names of somebody's own
    (tmp_path / ".out.my.part").mkdir()
    assert [p.name for p in left_over(out)] == [f".out.{DEAD}.part", ".out.a1b2c3d4.part"]
    fill(out)
    assert left_over(out) == [] and not (tmp_path / ".out.lock").exists()
    assert (tmp_path / f".out.more.{DEAD}.part").is_dir()


@pytest.mark.skipif(os.name == "nt", reason="nobody is taken for dead there")
def test_a_files_leftovers_go_unless_their_writer_lives(tmp_path):
    target = tmp_path / "a.json"
    (tmp_path / f".a.{DEAD}.part.json").write_text("half")
    (tmp_path / f".a.{os.getppid()}.part.json").write_text("half")
    write_json(target, {})
    assert files(tmp_path) == {"a.json", f".a.{os.getppid()}.part.json"}


def test_a_kill_between_two_renames_is_told_and_loses_nothing(tmp_path):
    out, old = tmp_path / "out", tmp_path / f".out.{DEAD}.old"
    old.mkdir()
    (old / "precious.txt").write_text("precious")
    with pytest.raises(OutputError, match=rf"killed moved what was here to \.out\.{DEAD}\.old"):
        targets.check_target(out, overwrite=False)
    with pytest.raises(OutputError, match="Rename"):
        fill(out)
    with pytest.raises(ZeroDivisionError), atomic_folder(out, overwrite=True):
        raise ZeroDivisionError  # the new run fails as well
    assert (old / "precious.txt").is_file()
    fill(out, overwrite=True)
    assert files(tmp_path) == {"out/new.txt"}


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    write_tensors(tmp_path / "t.safetensors", {"a": torch.zeros(3)})
    before = (tmp_path / "t.safetensors").read_bytes()
    fill_disk(monkeypatch, lambda *_: True)
    with pytest.raises(OutputError, match="disk is full"):
        write_tensors(tmp_path / "t.safetensors", {"a": torch.ones(3)})
    assert (tmp_path / "t.safetensors").read_bytes() == before
    assert files(tmp_path) == {"t.safetensors"}


# One writer at a time ----------------------------------------------------------------------------


def test_a_second_writer_is_refused_by_name_until_the_first_is_killed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with held(tmp_path / "out") as writer:
        said = rf"another run is writing here \(process {writer.pid}\)"
        for target in (tmp_path / "out", tmp_path / "link", tmp_path / "." / "out"):
            with pytest.raises(OutputError, match=said):
                fill(target)
        refused_call(str(writer.pid), "synth", tmp_path / "out")
        fill(tmp_path / "other")
    # killed, it blocks nobody any more
    assert (tmp_path / ".out.lock").exists()
    fill(tmp_path / "out")
    assert files(tmp_path / "out") == {"new.txt"}


def test_a_thread_may_claim_again_and_another_may_not(tmp_path):
    caught: list[Exception] = []

    def other() -> None:
        try:
            fill(tmp_path / "out")
        except OutputError as error:
            caught.append(error)

    with claim(tmp_path / "out"):
        fill(tmp_path / "out")
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(caught) == 1 and str(os.getpid()) in str(caught[0])
    assert files(tmp_path) == {"out/new.txt"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has its own locks")
def test_without_locks_a_file_stands_for_one(tmp_path, monkeypatch):
    """As on some network file systems."""

    def none(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks, "_lock", none)
    with claim(tmp_path / "out"):
        monkeypatch.setattr(locks, "_HELD", {})
        with pytest.raises(OutputError, match=f"process {os.getpid()}"), claim(tmp_path / "out"):
            pass
        monkeypatch.undo()
        monkeypatch.setattr(locks, "_lock", none)
    (tmp_path / ".out.pid").write_bytes(locks._me().replace(str(os.getpid()).encode(), b"4194305"))
    fill(tmp_path / "out")
    assert files(tmp_path) == {"out/new.txt"}


# Nothing goes into a scene or a release ----------------------------------------------------------


def test_nothing_is_written_into_a_scene_or_release(ball, tmp_path):
    ball.save(tmp_path / "scene")
    protect(ball, size=32).save(tmp_path / "release")
    for source in ("scene", "release"):
        held = {p: (tmp_path / p).read_bytes() for p in files(tmp_path)}
        inside = tmp_path / source / "deep" / "out"
        for words in (
            ("synth", inside),
            ("template", inside),
            ("demo", inside),
            ("reconstruct", tmp_path / "release", inside),
            ("attack", tmp_path / "release", "--out", inside),
            ("bench", "--json", inside / "x.json"),
            ("bench", "--picture", inside / "x.png"),
            ("study", "privacy", "--store", inside / "x.json"),
            ("inspect", tmp_path / "release", "--picture", inside / "x.png"),
        ):
            done = run(*words)
            assert done.exit_code == 2, words
            assert "scene or release" in done.stderr or "made from" in done.stderr
        assert {p: (tmp_path / p).read_bytes() for p in files(tmp_path)} == held
        assert not inside.parent.exists()


def test_a_run_is_not_written_over_its_release(ball, tmp_path):
    release = tmp_path / "all" / "release"
    protect(ball, size=32).save(release)
    before = files(tmp_path)
    for out in (release, release / "out", release.parent):
        for more in ((), ("--overwrite",), ("--resume",)):
            refused_call("made from", "reconstruct", release, out, "--profile", "ci", *more)
    assert files(tmp_path) == before
    with pytest.raises(OutputError, match="scene or release"):
        refuse_inside_sources(release / "mesh.ply")


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_is_written_into_a_scene_of_any_format(tmp_path, source):
    known = tmp_path / "scene" / source
    known.parent.mkdir(parents=True)
    known.touch()
    with pytest.raises(OutputError, match="scene or release"):
        refuse_inside_sources(tmp_path / "scene" / "made" / "release")


def test_a_file_that_is_not_ours_is_not_written_over(ball_folder, tmp_path):
    photo, page = tmp_path / "photo.png", tmp_path / "page.png"
    photo.write_bytes((ball_folder / "image" / "img_0000.png").read_bytes())
    before = photo.read_bytes()
    for target in (photo, ball_folder / "image" / "img_0003.png"):
        refused_call(target.name, "inspect", ball_folder, "--picture", target)
    assert photo.read_bytes() == before
    for _ in range(2):  # its own picture may be made again
        assert run("inspect", ball_folder, "--picture", page).exit_code == 0
    (tmp_path / "notes.json").write_text('{"mine": 1}')
    for words in (("bench", "--json"), ("study", "privacy", "--store")):
        refused_call("was not written by this package", *words, tmp_path / "notes.json")
    with pytest.raises(OutputError, match="is a folder"):
        targets.check_file_target(tmp_path)


def test_json_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"x": [float("nan"), 1.0, (float("inf"),)], "y": 2})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": [None, 1.0, [None]], "y": 2}


def test_a_failed_block_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), atomic_folder(tmp_path / "new" / "deep" / "out"):
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "a.txt") as aside:
        raise ZeroDivisionError(aside.write_text("half"))
    assert not any(tmp_path.iterdir())
