"""Claims about a study's jobs: what is finished stays, what is missing runs, failures are named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from privhead_nb.errors import LabError, OutputError, SceneError
from privhead_nb.lab import jobs
from privhead_nb.lab.jobs import run_jobs, safe_name

VERSION = {"generator": 3, "settings": "ab12", "package": "0.1.0"}


# Jobs: at the top level, so that a Dask worker finds them -----------------------------------------


def square(number: int) -> dict[str, Any]:
    return {"square": number * number}


def noted(argument: tuple[str, int]) -> dict[str, Any]:
    """Leave a mark each time it runs."""
    marks, number = argument
    with (Path(marks) / f"{number}.txt").open("a") as file:
        file.write("x")
    return {"number": number}


def killed(argument: tuple[str, int, int]) -> dict[str, Any]:
    """Kill the worker in the job's first `times` attempts."""
    marks, number, times = argument
    mark = Path(marks) / f"{number}.txt"
    if times and (not mark.exists() or len(mark.read_text()) < times):
        noted((marks, number))
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": number}


def refuses(number: int) -> dict[str, Any]:
    if number == 1:
        raise SceneError("the eyes are closed", where="head 1", remedy="Open them.")
    if number == 3:
        raise ZeroDivisionError("no light")
    return {"share": number / 7, "pair": (number, str(number))}


def slow(argument: tuple[str, int]) -> dict[str, Any]:
    marks, number = argument
    (Path(marks) / f"pid-{os.getpid()}").touch()
    time.sleep(120 if number else 0)
    return {"number": number}


def threads(_: Any) -> dict[str, Any]:
    import torch

    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {name: os.environ.get(name) for name in names} | {"torch": torch.get_num_threads()}


def returns(what: Any) -> Any:
    return {"list": [1, 2], "nothing": None, "object": {"a": object()}}[what]


def marks_of(folder: Path) -> dict[str, int]:
    return {path.stem: len(path.read_text()) for path in folder.glob("*.txt")}


def names_of(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir())


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """Address of a Dask cluster of two processes, as a user would have started it."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, **jobs.LOCAL) as started:
        yield started.scheduler_address


@pytest.fixture(params=["here", "processes", "Dask"])
def place(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where jobs run, as options of run_jobs."""
    if request.param == "Dask":
        return {"scheduler": request.getfixturevalue("cluster")}
    return {"workers": 1 if request.param == "here" else 2}


# What is stored -----------------------------------------------------------------------------------


def test_a_second_run_does_only_what_is_missing(tmp_path, marks):
    folder = tmp_path / "out"
    todo = {f"head {i}": (str(marks), i) for i in range(5)}
    some = dict(list(todo.items())[1:3])
    run_jobs(some, noted, folder, version=VERSION, workers=1)
    found = run_jobs(todo, noted, folder, version=VERSION, workers=1)
    assert list(found) == list(todo) and found["head 4"] == {"number": 4}
    again = run_jobs(todo, noted, folder, version=VERSION, workers=2)  # starts no process
    assert again == found and marks_of(marks) == {str(i): 1 for i in range(5)}
    record = json.loads((folder / f"{safe_name('head 4')}.json").read_text())
    assert record.pop("seconds") >= 0
    assert record == {"format": 1, "key": "head 4", "version": VERSION, "result": {"number": 4}}


def test_a_result_of_another_version_is_refused_and_named(tmp_path, marks):
    todo = {f"h{i}": (str(marks), i) for i in range(3)}
    run_jobs(todo, noted, tmp_path / "out", version=VERSION, workers=1)
    newer = VERSION | {"generator": 4}
    with pytest.raises(LabError, match=r"h0\.json: .*generator is 3 there, 4 here.*--overwrite"):
        run_jobs(todo, noted, tmp_path / "out", version=newer, workers=1)
    with pytest.raises(LabError, match=r"light is none there, \"soft\" here"):
        run_jobs(todo, noted, tmp_path / "out", version=VERSION | {"light": "soft"}, workers=1)
    assert marks_of(marks) == {"0": 1, "1": 1, "2": 1}  # nothing ran
    one = {"h1": todo["h1"]}
    run_jobs(one, noted, tmp_path / "out", version=newer, workers=1, overwrite=True)
    run_jobs(todo, noted, tmp_path / "out", version=newer, workers=1, overwrite=True)
    assert marks_of(marks) == {"0": 2, "1": 2, "2": 2}  # h1 of the newer version was kept
    as_json = {"sizes": (32, 64), "rates": {1: 0.5}}  # becomes lists and strings
    for _ in range(2):
        found = run_jobs({"a": 2}, square, tmp_path / "json", version=as_json, workers=1)
    assert found["a"]["square"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"form', "can't be read as JSON"),
        ('{"accuracy": 0.5}', "'result' is missing"),
        ('{"result": {}, "version": {}, "format": 9, "key": "a"}', "format is 9"),
        ('{"result": {}, "version": {}, "format": 1, "key": "b"}', 'key is "b" there, "a"'),
        ('{"result": {}, "format": 1, "key": "a"}', "'version' is missing"),
    ],
)
def test_a_broken_or_foreign_file_is_refused_and_named(tmp_path, text, said):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LabError, match=rf"a\.json: .*{said}.*delete the file"):
        run_jobs({"a": 2}, square, tmp_path, version=VERSION, workers=1)
    found = run_jobs({"a": 2}, square, tmp_path, version=VERSION, workers=1, overwrite=True)
    assert found["a"]["square"] == 4
    assert json.loads((tmp_path / "a.json").read_text())["version"] == VERSION


def test_odd_keys_have_files_of_their_own_inside_the_folder(tmp_path):
    odd = ["a", "A", "a b", "a/b", "../a", "a~b", "", ".", "con", "con.x", "ä", "a\nb", "x" * 300]
    odd += ["x" * 299 + "y", "头", "a.json", "\udc80", safe_name("A"), "a-", "-a", "nul", "COM1"]
    names = [safe_name(key) for key in odd]
    assert len({name.lower() for name in names}) == len(odd)
    found = run_jobs(
        {key: i for i, key in enumerate(odd)}, square, tmp_path / "o", version={}, workers=0
    )
    assert [found[key]["square"] for key in odd] == [i * i for i in range(len(odd))]
    stored = sorted(path.name for path in (tmp_path / "o").iterdir())
    assert stored == sorted(f"{name}.json" for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["o"]
    assert safe_name("head-07_sobel.32") == "head-07_sobel.32"
    assert not {"con", "nul", "com1"} & {name.split(".")[0] for name in names}


# Failures, wherever jobs run ----------------------------------------------------------------------


def test_jobs_find_the_same_and_failures_are_named_wherever_they_run(tmp_path, place):
    todo = {f"h{i}": i for i in range(5)}
    said = r"2 of 5 jobs failed: 'h1' \(head 1: the eyes are closed\. Open them\.\), 'h3' \(Zero"
    with pytest.raises(LabError, match=said) as caught:
        run_jobs(todo, refuses, tmp_path, version=VERSION, **place)
    assert "The 3 finished results are kept" in str(caught.value)
    assert any("in refuses" in note for note in caught.value.__notes__)
    assert names_of(tmp_path) == ["h0", "h2", "h4"]
    for i in (0, 2, 4):
        stored = json.loads((tmp_path / f"h{i}.json").read_text())["result"]
        assert stored == {"share": i / 7, "pair": [i, str(i)]}


@pytest.mark.parametrize("place", ["processes", "Dask"], indirect=True)
def test_a_killed_worker_loses_nothing(tmp_path, marks, place):
    todo = {f"h{i}": (str(marks), i, int(i == 1)) for i in range(5)}
    found = run_jobs(todo, killed, tmp_path / "out", version=VERSION, **place)
    assert [found[key]["number"] for key in todo] == list(range(5))
    assert marks_of(marks) == {"1": 1}


@pytest.mark.parametrize("place", [{"workers": 2}, {"workers": 1, "scheduler": "local"}])
def test_a_job_that_always_kills_its_worker_is_named(tmp_path, marks, place):
    if "scheduler" in place:
        pytest.importorskip("distributed")
    todo = {f"h{i}": (str(marks), i, 99 * (i == 1)) for i in range(5)}
    with pytest.raises(LabError, match=r"1 of 5 jobs failed: 'h1' \(its worker .*The 4 fin"):
        run_jobs(todo, killed, tmp_path / "out", version=VERSION, **place)
    assert marks_of(marks) == {"1": 2}  # once among the others, once alone
    mended = todo | {"h1": (str(marks), 1, 0)}
    found = run_jobs(mended, killed, tmp_path / "out", version=VERSION, workers=1)
    assert found["h1"] == {"number": 1}


@pytest.mark.parametrize(
    ("what", "said"), [("list", "a list, not"), ("nothing", "NoneType"), ("object", "JSON can't")]
)
def test_what_is_no_result_is_said(tmp_path, what, said):
    with pytest.raises(LabError, match=said):
        run_jobs({"a": what}, returns, tmp_path, version=VERSION, workers=1)
    assert not list(tmp_path.iterdir())


def test_what_cannot_travel_is_said_and_a_function_of_a_notebook_travels(tmp_path):
    todo = {"odd": threading.Lock(), "h0": 0}
    with pytest.raises(LabError, match=r"'odd' \(.*pickle.*The 1 fin"):
        run_jobs(todo, refuses, tmp_path, version=VERSION, workers=2)
    found = run_jobs({"a": 1}, lambda x: {"x": x}, tmp_path, version={}, workers=2)
    assert found == {"a": {"x": 1}}


def test_what_cannot_be_done_is_said(tmp_path, monkeypatch):
    with pytest.raises(LabError, match="-1 workers"):
        run_jobs({"a": 2}, square, tmp_path, version={}, workers=-1)
    (tmp_path / "file").write_text("")
    with pytest.raises((LabError, OutputError), match="file"):
        run_jobs({"a": 2}, square, tmp_path / "file", version=VERSION, workers=1)
    assert run_jobs({}, square, tmp_path / "none", version=VERSION) == {}
    monkeypatch.setattr(jobs, "CONNECT_SECONDS", 1)
    pytest.importorskip("distributed")
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(LabError, match=rf"{address}: no Dask scheduler answers"):
            run_jobs({"a": 2}, square, tmp_path, version={}, scheduler=address)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LabError, match=r'pip install "privhead-nb\[cluster\]"'):
        run_jobs({"a": 2}, square, tmp_path, version={}, scheduler="local")


# Threads, bars, interrupts ------------------------------------------------------------------------


def test_a_worker_has_one_thread_and_this_process_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = threads(0)
    found = run_jobs({"a": 0}, threads, tmp_path, version={}, workers=2)
    assert found["a"] == {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "torch": 1}
    here = run_jobs({"b": 0}, threads, tmp_path, version={}, workers=1)
    assert here["b"]["torch"] == 1
    assert threads(0) == before
    assert before["OMP_NUM_THREADS"] == "7" and before["OPENBLAS_NUM_THREADS"] is None


def test_bars_are_quiet_under_ci(tmp_path, monkeypatch, capfd):
    for profile, progress, said in (("", True, "heads: 100%"), ("", False, ""), ("ci", True, "")):
        monkeypatch.setenv("PRIVHEAD_PROFILE", profile)
        folder = tmp_path / f"{profile}{progress}"
        run_jobs({"a": 2}, square, folder, version={}, workers=1, desc="heads", progress=progress)
        error = capfd.readouterr().err
        assert said in error and bool(said) == bool(error)


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.path.insert(0, {tests!r})
from test_jobs import VERSION, run_jobs, slow
todo = {{f"h{{i}}": ({marks!r}, i) for i in range(5)}}
run_jobs(todo, slow, {folder!r}, version=VERSION, workers=2)
"""


def wait_until(what: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize("how", ["Ctrl-C", "killed"])
def test_an_interrupted_run_ends_at_once_with_its_workers(tmp_path, marks, how):
    """A script, which needs no guard of its last lines."""
    path, tests, out = tmp_path / "script.py", str(Path(__file__).parent), tmp_path / "out"
    path.write_text(SCRIPT.format(tests=tests, folder=str(out), marks=str(marks)))
    with subprocess.Popen(
        [sys.executable, str(path)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PRIVHEAD_PROFILE": "ci"},
        process_group=0,
    ) as run:
        wait_until(lambda: (out / "h0.json").exists())
        wait_until(lambda: len(list(marks.iterdir())) == 2)
        pids = [int(path.name.split("-")[1]) for path in marks.iterdir()]
        assert all(alive(pid) for pid in pids)
        if how == "Ctrl-C":  # a terminal sends it to all of them
            os.killpg(run.pid, signal.SIGINT)
        else:
            run.kill()
        error = run.stderr.read()
        assert run.wait(20) != 0
        wait_until(lambda: not any(alive(pid) for pid in pids), 20)
    assert names_of(out) == ["h0"]
    assert how == "killed" or "1 of 5 jobs are finished" in error
