"""Claims about a study's jobs: what is finished stays, what is missing runs, failures are named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from privhead_nb.errors import LabError, OutputError, SceneError
from privhead_nb.lab import job_cluster, jobs
from privhead_nb.lab.jobs import run_jobs, safe_name

VERSION = {"generator": 3, "settings": "ab12", "package": "0.1.0"}


# Jobs: at the top level, so that a worker process finds them ------------------------------------


def square(number: float) -> dict[str, Any]:
    return {"square": number * number, "pair": (number, str(number))}


def noted(argument: tuple[str, int]) -> dict[str, Any]:
    """Leave a mark each time it runs."""
    marks, number = argument
    with (Path(marks) / f"{number}.txt").open("a") as file:
        file.write("x")
    return {"number": number}


def killed(argument: tuple[str, int, int]) -> dict[str, Any]:
    """Kill the worker in the job's first `times` attempts."""
    marks, number, times = argument
    mark = Path(marks) / f"killed-{number}.txt"
    before = len(mark.read_text()) if mark.exists() else 0
    if before < times:
        mark.write_text("x" * (before + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": number}


def refuses(number: int) -> dict[str, Any]:
    if number == 1:
        raise SceneError("the eyes are closed", where="head 1", remedy="Open them.")
    if number == 3:
        raise ZeroDivisionError("no light")
    return {"number": number}


def interrupted(number: int) -> dict[str, Any]:
    if number == 2:
        raise KeyboardInterrupt
    return {"number": number}


def slow(argument: tuple[str, int]) -> dict[str, Any]:
    marks, number = argument
    (Path(marks) / f"pid-{os.getpid()}").touch()
    time.sleep(120 if number else 0)
    return {"number": number}


def threads(_: Any) -> dict[str, Any]:
    return {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


def returns(what: Any) -> Any:
    return {"list": [1, 2], "nothing": None, "object": {"a": object()}}[what]


def marks_of(folder: Path) -> dict[str, int]:
    return {path.stem: len(path.read_text()) for path in folder.glob("*.txt")}


@pytest.fixture
def marks(tmp_path: Path) -> Path:
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder


# What is stored ---------------------------------------------------------------------------------


def test_a_second_run_does_only_what_is_missing(tmp_path: Path, marks: Path) -> None:
    folder = tmp_path / "out"
    todo = {f"head {i}": (str(marks), i) for i in range(5)}
    some = dict(list(todo.items())[1:3])
    run_jobs(some, noted, folder, version=VERSION, workers=1)
    found = run_jobs(todo, noted, folder, version=VERSION, workers=1)
    assert list(found) == list(todo)
    assert found["head 4"] == {"number": 4}
    again = run_jobs(todo, noted, folder, version=VERSION, workers=2)  # starts no process
    assert again == found
    assert marks_of(marks) == {str(i): 1 for i in range(5)}
    record = json.loads((folder / f"{safe_name('head 4')}.json").read_text())
    assert record["key"] == "head 4"
    assert record["version"] == VERSION
    assert record["result"] == {"number": 4}
    assert record["seconds"] >= 0


def test_no_jobs_are_no_results(tmp_path: Path) -> None:
    assert run_jobs({}, square, tmp_path, version=VERSION) == {}
    assert not list(tmp_path.iterdir())


def test_a_result_of_another_version_is_refused_and_named(tmp_path: Path, marks: Path) -> None:
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


def test_a_version_is_compared_as_json_keeps_it(tmp_path: Path) -> None:
    version = {"sizes": (32, 64), "rates": {1: 0.5}}
    run_jobs({"a": 2}, square, tmp_path, version=version, workers=1)
    assert run_jobs({"a": 2}, square, tmp_path, version=version, workers=1)["a"]["square"] == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "can't be read"),
        ('{"format": 1, "key": "a", "ver', "can't be read"),
        ("\udcff", "can't be read"),
        ("[1, 2]", "holds no object"),
        ('{"accuracy": 0.5}', "no stored result"),
        ('{"format": 9, "result": {}}', "format 9"),
        ('{"format": 1, "key": "b", "version": {}, "result": {}}', "'b', not of 'a'"),
        ('{"format": 1, "key": "a", "result": {}}', "names no version"),
    ],
)
def test_a_broken_or_foreign_file_is_refused_and_named(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(LabError, match=rf"a\.json: .*{said}.*delete the file"):
        run_jobs({"a": 2}, square, tmp_path, version=VERSION, workers=1)
    found = run_jobs({"a": 2}, square, tmp_path, version=VERSION, workers=1, overwrite=True)
    assert found["a"]["square"] == 4
    assert json.loads((tmp_path / "a.json").read_text())["version"] == VERSION


def test_odd_keys_have_files_of_their_own_inside_the_folder(tmp_path: Path) -> None:
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


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((LabError, OutputError), match="file"):
        run_jobs({"a": 2}, square, tmp_path / "file", version=VERSION, workers=1)


# In this process --------------------------------------------------------------------------------


def test_jobs_that_fail_are_named_after_the_others_finished(tmp_path: Path) -> None:
    todo = {f"h{i}": i for i in range(5)}
    said = r"2 of 5 jobs failed: 'h1' \(head 1: the eyes are closed\. Open them\.\), 'h3' \(Zero"
    with pytest.raises(LabError, match=said) as caught:
        run_jobs(todo, refuses, tmp_path, version=VERSION, workers=1)
    assert "The 3 finished results are kept" in str(caught.value)
    assert any("the eyes are closed" in note for note in caught.value.__notes__)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["h0", "h2", "h4"]


@pytest.mark.parametrize(
    ("what", "said"), [("list", "a list, not"), ("nothing", "NoneType"), ("object", "JSON can't")]
)
def test_a_result_that_is_none_is_said(tmp_path: Path, what: str, said: str) -> None:
    with pytest.raises(LabError, match=said):
        run_jobs({"a": what}, returns, tmp_path, version=VERSION, workers=1)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_keeps_what_is_finished(tmp_path: Path) -> None:
    todo = {f"h{i}": i for i in range(4)}
    with pytest.raises(KeyboardInterrupt, match=r"2 of 4 jobs .* run the same command again"):
        run_jobs(todo, interrupted, tmp_path, version=VERSION, workers=1)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["h0", "h1"]


def test_bars_are_quiet_under_ci(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PRIVHEAD_PROFILE", raising=False)
    run_jobs({"a": 2}, square, tmp_path / "1", version={}, workers=1, desc="heads")
    assert "heads: 100%" in capfd.readouterr().err
    run_jobs({"a": 2}, square, tmp_path / "2", version={}, workers=1, progress=False)
    monkeypatch.setenv("PRIVHEAD_PROFILE", "ci")
    run_jobs({"a": 2}, square, tmp_path / "3", version={}, workers=1)
    assert capfd.readouterr().err == ""


def test_fewer_than_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="-1 workers"):
        run_jobs({"a": 2}, square, tmp_path, version={}, workers=-1)


# Worker processes -------------------------------------------------------------------------------


def test_two_workers_find_what_one_finds(tmp_path: Path) -> None:
    todo = {f"h{i}": i / 7 for i in range(6)}
    one = run_jobs(todo, square, tmp_path / "one", version=VERSION, workers=1)
    two = run_jobs(todo, square, tmp_path / "two", version=VERSION, workers=2)
    stored = run_jobs(todo, square, tmp_path / "two", version=VERSION, workers=1)
    assert one == two == stored
    assert list(two) == list(todo)


def test_a_worker_has_one_thread_and_this_process_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    found = run_jobs({"a": 0}, threads, tmp_path, version={}, workers=2)
    assert found["a"] == {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    assert threads(0) == {"OMP_NUM_THREADS": "7", "OPENBLAS_NUM_THREADS": None}


def test_a_killed_worker_loses_nothing(tmp_path: Path, marks: Path) -> None:
    todo = {f"h{i}": (str(marks), i, int(i == 1)) for i in range(5)}
    found = run_jobs(todo, killed, tmp_path / "out", version=VERSION, workers=2)
    assert [found[key]["number"] for key in todo] == list(range(5))
    assert marks_of(marks) == {"killed-1": 1}


def test_a_job_that_always_kills_its_worker_is_named(tmp_path: Path, marks: Path) -> None:
    todo = {f"h{i}": (str(marks), i, 99 * (i == 1)) for i in range(5)}
    with pytest.raises(LabError, match=r"1 of 5 jobs failed: 'h1' \(its worker .*The 4 fin"):
        run_jobs(todo, killed, tmp_path / "out", version=VERSION, workers=2)
    assert marks_of(marks) == {"killed-1": 2}
    assert sorted(p.stem for p in (tmp_path / "out").iterdir()) == ["h0", "h2", "h3", "h4"]
    mended = todo | {"h1": (str(marks), 1, 0)}
    found = run_jobs(mended, killed, tmp_path / "out", version=VERSION, workers=1)
    assert found["h1"] == {"number": 1}


def test_exceptions_in_workers_are_named_too(tmp_path: Path) -> None:
    todo = {f"h{i}": i for i in range(5)} | {"odd": lambda: 0}
    with pytest.raises(LabError, match=r"'h1' \(head 1: .*'h3' \(Zero.*'odd' \(.*pickle") as caught:
        run_jobs(todo, refuses, tmp_path, version=VERSION, workers=2)
    assert any("in refuses" in note for note in caught.value.__notes__)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["h0", "h2", "h4"]


def test_work_that_cannot_travel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="top level of a module"):
        run_jobs({"a": 1}, lambda x: {"x": x}, tmp_path, version={}, workers=2)
    found = run_jobs({"a": 1}, lambda x: {"x": x}, tmp_path, version={}, workers=1)
    assert found == {"a": {"x": 1}}


SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
sys.path.insert(0, {tests!r})
from test_jobs import VERSION, run_jobs, slow, square
{guard}
    run_jobs({{f"h{{i}}": {job} for i in range(5)}}, {work}, {folder!r}, version=VERSION, workers=2)
"""


def script(tmp_path: Path, **parts: Any) -> subprocess.Popen[str]:
    path = tmp_path / "script.py"
    tests = str(Path(__file__).parent)
    path.write_text(SCRIPT.format(tests=tests, folder=str(tmp_path / "out"), **parts))
    env = os.environ | {"PRIVHEAD_PROFILE": "ci"}
    return subprocess.Popen(
        [sys.executable, str(path)], stderr=subprocess.PIPE, text=True, env=env, process_group=0
    )


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
def test_an_interrupted_run_ends_at_once_with_its_workers(
    tmp_path: Path, marks: Path, how: str
) -> None:
    run = script(
        tmp_path, guard="if __name__ == '__main__':", job=f"({str(marks)!r}, i)", work="slow"
    )
    with run:
        wait_until(lambda: (tmp_path / "out" / "h0.json").exists())
        wait_until(lambda: len(list(marks.iterdir())) == 2)
        pids = [int(path.name.split("-")[1]) for path in marks.iterdir()]
        assert all(alive(pid) for pid in pids)
        if how == "Ctrl-C":  # a terminal sends it to all of them
            os.killpg(run.pid, signal.SIGINT)
        else:
            run.kill()
        assert run.stderr is not None
        error = run.stderr.read()
        assert run.wait(20) != 0
        wait_until(lambda: not any(alive(pid) for pid in pids), 20)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["h0.json"]
    assert how == "killed" or "1 of 5 jobs are finished" in error


def test_a_script_without_a_guard_is_told_so(tmp_path: Path) -> None:
    with script(tmp_path, guard="if True:", job="i", work="square") as run:
        assert run.stderr is not None
        assert "guard its last lines" in run.stderr.read()


# A Dask cluster ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Address of a cluster of two processes, as a user would have started it."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=True,
        dashboard_address=None,
        silence_logs=50,
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
    ) as cluster:
        yield cluster.scheduler_address


def test_a_dask_cluster_finds_what_one_process_finds(tmp_path: Path, scheduler: str) -> None:
    todo = {f"h{i}": i / 7 for i in range(6)}
    one = run_jobs(todo, square, tmp_path / "one", version=VERSION, workers=1)
    dask = run_jobs(todo, square, tmp_path / "dask", version=VERSION, scheduler=scheduler)
    assert one == dask
    assert list(dask) == list(todo)
    record = json.loads((tmp_path / "dask" / "h3.json").read_text())
    assert record["result"] == one["h3"]


def test_a_dask_cluster_survives_a_killed_worker(
    tmp_path: Path, marks: Path, scheduler: str
) -> None:
    todo = {f"h{i}": (str(marks), i, int(i == 1)) for i in range(5)}
    found = run_jobs(todo, killed, tmp_path / "out", version=VERSION, scheduler=scheduler)
    assert [found[key]["number"] for key in todo] == list(range(5))
    assert marks_of(marks) == {"killed-1": 1}


def test_a_dask_cluster_names_jobs_that_fail(tmp_path: Path, scheduler: str) -> None:
    todo = {f"h{i}": i for i in range(5)}
    with pytest.raises(LabError, match=r"2 of 5 jobs failed: 'h1' \(head 1: .*'h3' \(Zero"):
        run_jobs(todo, refuses, tmp_path, version=VERSION, scheduler=scheduler)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["h0", "h2", "h4"]


def test_a_local_dask_cluster_names_a_job_that_always_kills(
    tmp_path: Path, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(job_cluster, "ALLOWED_FAILURES", 0)
    todo = {f"h{i}": (str(marks), i, 99 * (i == 1)) for i in range(4)}
    with pytest.raises(LabError, match=r"1 of 4 jobs failed: 'h1' \(its worker .*The 3 fin"):
        run_jobs(todo, killed, tmp_path / "out", version=VERSION, scheduler="local", workers=1)
    assert marks_of(marks) == {"killed-1": 2}  # once among the others, once alone
    assert sorted(p.stem for p in (tmp_path / "out").iterdir()) == ["h0", "h2", "h3"]


def test_no_dask_is_a_clear_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LabError, match=r'pip install "privhead-nb\[cluster\]"'):
        run_jobs({"a": 2}, square, tmp_path, version={}, scheduler="local")


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_no_scheduler_is_a_clear_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(job_cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(LabError, match=rf"{address}: no Dask scheduler answers"):
        run_jobs({"a": 2}, square, tmp_path, version={}, scheduler=address)


def test_the_default_takes_a_worker_a_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def place(work: Any, count: int) -> Any:
        asked.append(count)
        return jobs.in_this_process(work)

    monkeypatch.setattr(jobs, "in_processes", place)
    run_jobs({"a": 2}, square, tmp_path, version={})
    assert asked == [jobs.cores()]
