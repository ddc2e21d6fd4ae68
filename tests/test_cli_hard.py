"""The command line's last resort: whatever happens ends in one line and an exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import run
from conftest import ball_scene

from privhead_nb import Release, protect
from privhead_nb.files import claim
from privhead_nb.training import two_stage

UNFORESEEN = {
    "/disk/x: Input/output error": OSError(5, "Input/output error", "/disk/x"),
    "out of memory": MemoryError(),
    "out of memory.": RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    "nested too deep": RecursionError("maximum recursion depth exceeded"),
    "characters": UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
}


def test_what_no_one_foresaw_is_one_line_but_no_fault_of_the_package_is_hidden(
    tmp_path, monkeypatch
):
    fault = RuntimeError("shapes differ")
    protect(ball_scene(), size=32).save(tmp_path / "release")
    words = ("reconstruct", tmp_path / "release", tmp_path / "out")
    for said, error in (UNFORESEEN | {"": fault}).items():

        def fail(*_: Any, error: Exception = error, **__: Any) -> None:
            raise error

        monkeypatch.setattr(two_stage, "reconstruct", fail)
        done = run(*words)
        if error is fault:
            assert done.exception is fault
            continue
        assert done.exit_code == 2 and said in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1 and done.stderr.startswith("privhead: ")
        assert run(*words, "--debug").exception is error
        with claim(tmp_path / "out"):  # the lock was given back
            pass


COMMAND = [sys.executable, "-m", "privhead_nb"]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="names that aren't text are Linux's own")
STRIKE = """
import os, signal, sys
import privhead_nb.__main__ as entry

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it

class Strike:
    def find_spec(self, name, path=None, target=None):
        if name == MOMENT:
            os.kill(os.getpid(), signal.SIGINT)

MOMENT = sys.argv.pop(1)
sys.meta_path.insert(0, Strike())
entry.main()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are sent another way")
@pytest.mark.parametrize("moment", ["privhead_nb.cli", "typer", "privhead_nb.cli.lab", "torch"])
def test_ctrl_c_while_modules_load_is_one_line(tmp_path, moment):
    done = subprocess.run(
        [sys.executable, "-c", STRIKE, moment, "synth", str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert done.stderr.strip() == "privhead: interrupted" and done.stdout == ""
    assert not any(tmp_path.iterdir())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_or_closed_output_ends_quietly(tmp_path):
    """The release is written; only the answer can't be printed."""
    ball_scene().save(tmp_path / "scene")
    release = tmp_path / "release"
    words = [*COMMAND, "protect", str(tmp_path / "scene"), str(release), "--size", "32"]
    read, closed = os.pipe()
    os.close(read)
    for output, code in (os.open("/dev/full", os.O_WRONLY), 1), (closed, 0):
        done = subprocess.run(words, stdout=output, stderr=subprocess.PIPE, text=True, check=False)
        os.close(output)
        assert done.returncode == code
        last = done.stderr.strip().split("\n")[-1]
        assert last.startswith("privhead: the answer can't be printed") == (code == 1)
        assert "Traceback" not in done.stderr and "ignored" not in done.stderr
        Release.load(release)
        words.append("--overwrite")


@LINUX
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_name_is_printed_on_any_console(tmp_path, encoding):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff \xe2\x9c\x93"))
    folder.mkdir()
    ball_scene().save(folder / "scene")
    words = ("protect", folder / "scene", folder / "release", "--size", 32)
    for more in ((), ("--json", "--overwrite"), ("--masks", "some")):
        done = subprocess.run(
            [*COMMAND, *map(str, (*words, *more))],
            capture_output=True, check=False, env=os.environ | {"PYTHONIOENCODING": encoding},
        )  # fmt: skip
        assert done.returncode == (2 if "some" in more else 0), done.stderr
        assert b"Traceback" not in done.stderr
        if "--json" in more:
            assert json.loads(done.stdout)["out"] == str(folder / "release")
    Release.load(folder / "release")


@LINUX
def test_any_name_can_stand_in_a_picture(tmp_path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff \x07 $x^{ \n"))
    ball_scene().save(folder)
    words = ["inspect", str(folder), "--picture", str(tmp_path / "page.png")]
    done = subprocess.run([*COMMAND, *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.png").is_file()
