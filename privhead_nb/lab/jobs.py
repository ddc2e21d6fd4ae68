"""The jobs of a study: run side by side, each result stored when it is there, resumed by default.

A result is a file `folder/<key>.json` that names the version it was made with. Workers are joblib's
(loky), or those of a Dask cluster, to which jobs are handed directly: joblib's own Dask backend
waits for ever for a job that kills its worker.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import cpu_count
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from privhead_nb.errors import LabError, PrivheadError
from privhead_nb.files import write_json
from privhead_nb.reading import read_json

Work = Callable[[Any], dict[str, Any]]
FORMAT = 1
NAMED = 8  # failed jobs that an error names
DIED = "its worker process died (killed, or out of memory)"
CONNECT_SECONDS = 20
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
LOCAL: dict[str, Any] = {  # of a Dask cluster on this machine
    "threads_per_worker": 1,
    "dashboard_address": None,
    "memory_limit": 0,  # no worker is killed for more than its share
    "silence_logs": logging.CRITICAL,  # a death is told in our words
    "scheduler_kwargs": {
        "allowed_failures": 0,  # we try again ourselves, alone
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",  # its plain pages: any port, only here
    },
}
_PLAIN = re.compile(r"(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9][a-z0-9._-]{0,79}")


@dataclass(frozen=True)
class Attempt:
    """What came of one job: its result as JSON, or a problem in one line."""

    text: str | None = None
    seconds: float = 0.0
    problem: str = ""
    trace: str = ""
    died: bool = False


Attempts = Generator[tuple[str, Attempt], None, None]


def run_jobs(
    jobs: Mapping[str, Any],
    work: Work,
    folder: str | Path,
    *,
    version: dict[str, Any],
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    desc: str = "jobs",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Do what `folder` has no result of yet, and return all results in the order of `jobs`.

    A job whose worker died is tried once more, alone, after all the others. Results are as JSON
    gives them back: tuples are lists, keys are strings.

    Args:
        jobs: key -> what the job is given (picklable).
        work: returns a dict that JSON can hold.
        version: what must be the same for a stored result to count.
        workers: processes on this machine, one thread each; None takes one a core, 0 or 1 runs in
            this process.
        scheduler: "tcp://host:port" of a Dask scheduler whose workers have this package, or "local"
            for a Dask cluster of `workers` processes on this machine.
        progress, desc: show a bar, except under PRIVHEAD_PROFILE=ci, and its name.
        overwrite: drop stored results of another version, and such as can't be read.

    Raises:
        LabError: a stored result is of another version or broken; or jobs failed, after all others
            were finished and stored.
        OutputError: a result can't be written.
        KeyboardInterrupt: at once; what is finished is kept.
    """
    folder = Path(folder)
    if workers is not None and workers < 0:
        raise LabError(f"there are no {workers} workers", where="workers", remedy="Use 0 or more.")
    wanted = json.loads(json.dumps(version))
    paths = {key: folder / f"{safe_name(key)}.json" for key in jobs}
    stored = {key: _read(path, key, wanted, overwrite) for key, path in paths.items()}
    results = {key: result for key, result in stored.items() if result is not None}
    failed: dict[str, Attempt] = {}
    missing = {key: argument for key, argument in jobs.items() if key not in results}
    quiet = not progress or os.environ.get("PRIVHEAD_PROFILE") == "ci"
    bar = tqdm(total=len(jobs), initial=len(results), desc=desc, disable=quiet, file=sys.stderr)
    with bar, closing(_attempts(missing, work, workers, scheduler)) as attempts:
        try:
            for key, made in attempts:
                if made.text is None:
                    failed[key] = made
                else:
                    results[key] = json.loads(made.text)
                    record = {"format": FORMAT, "key": key, "version": wanted}
                    record |= {"seconds": made.seconds, "result": results[key]}
                    write_json(paths[key], record)
                bar.update()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{len(results)} of {len(jobs)} jobs are finished and kept in {folder}; "
                "run the same command again for the rest"
            ) from None
    if failed:
        raise _report({key: failed[key] for key in jobs if key in failed}, len(results), folder)
    return {key: results[key] for key in jobs}


def finished(keys: Iterable[str], folder: Path, version: dict[str, Any]) -> dict[str, Any]:
    """The stored results of one version, by key; those of other versions are passed over.

    Raises:
        LabError: a file can't be read.
    """
    wanted, found = json.loads(json.dumps(version)), {}
    for key in keys:
        path = folder / f"{safe_name(key)}.json"
        if path.is_file():
            again = "Delete it; the study makes it again."
            record = read_json(path, error=LabError, remedy=again)
            if (record.data.get("key"), record.data.get("version")) == (key, wanted):
                found[key] = record.record("result").data
    return found


def safe_name(key: str) -> str:
    """A file name for any key: itself if that is plain, else what is plain of it, "~" and a hash.

    No two keys share a file, not even on a disk that ignores case.
    """
    if _PLAIN.fullmatch(key):
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return re.sub(r"[^a-z0-9]+", "-", key.lower())[:40].strip("-") + f"~{digest}"


def _attempts(
    jobs: Mapping[str, Any], work: Work, workers: int | None, scheduler: str | None
) -> Attempts:
    """Every job once; those at work when a worker died a second time, alone: neither memory nor
    blame is then another's."""
    if not jobs:
        return
    if scheduler is None and workers is not None and workers <= 1:
        for key, argument in jobs.items():
            yield key, _attempt(work, argument)
        return
    count = workers or cpu_count()
    died = []
    with _cluster(scheduler, count) if scheduler else _processes(count) as pool:
        at_once = len(jobs) if scheduler else count
        for key, made in _round(pool, jobs, work, at_once):
            if made.died:
                died.append(key)
            else:
                yield key, made
        for key in died:
            yield from _round(pool, {key: jobs[key]}, work, 1)


def _round(pool: Callable[[], Any], jobs: Mapping[str, Any], work: Work, at_once: int) -> Attempts:
    """Each job's attempt, in the order in which they end."""
    waiting = list(jobs.items())[::-1]
    running: dict[Future[Attempt], str] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            key, argument = waiting.pop()
            running[pool().submit(_attempt, work, argument)] = key
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield running.pop(future), _outcome(future)


def _outcome(future: Future[Attempt]) -> Attempt:
    """What a worker answered, or what became of it."""
    try:
        return future.result()
    except CancelledError as error:
        raise LabError(
            "the Dask scheduler went away",
            where="scheduler",
            remedy="Finished jobs are kept; run the same command again for the rest.",
        ) from error
    except Exception as error:
        if isinstance(error, BrokenProcessPool) or type(error).__name__ == "KilledWorker":
            return Attempt(problem=DIED, died=True)
        return Attempt(problem=_one_line(error.__cause__ or error))  # the argument can't travel


def _attempt(work: Work, argument: Any) -> Attempt:
    """Do one job; whatever it raises or returns becomes words that any process can read."""
    began = time.perf_counter()
    try:
        with threadpool_limits(1):  # the same numbers and the same load wherever it runs
            result: Any = work(argument)
    except (Exception, SystemExit) as error:
        return Attempt(problem=_one_line(error), trace=traceback.format_exc())
    if not isinstance(result, dict):
        return Attempt(problem=f"it returned a {type(result).__name__}, not a dict")
    try:
        text = json.dumps(result)
    except (TypeError, ValueError) as error:
        return Attempt(problem=f"it returned what JSON can't hold ({error})")
    return Attempt(text, round(time.perf_counter() - began, 3))


@contextmanager
def _processes(count: int) -> Iterator[Callable[[], Any]]:
    """Gives a pool of `count` processes on this machine: a new one where a worker broke it."""

    def pool() -> Any:
        return get_reusable_executor(
            count, timeout=300, initializer=_prepare, initargs=(os.getpid(),), env=ONE_THREAD
        )

    try:
        yield pool
    except BaseException:
        pool().shutdown(kill_workers=True)
        raise


def _prepare(parent: int) -> None:
    """First thing in a worker: Ctrl-C is its parent's to answer, and it ends when that ends."""

    def end_with_it() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_it, daemon=True).start()


@contextmanager
def _cluster(scheduler: str, count: int) -> Iterator[Callable[[], Any]]:
    """Gives the executor of a Dask cluster; results come back here, no shared disk is needed."""
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise LabError(
            "running on a cluster needs dask.distributed, which is not installed",
            where="scheduler",
            remedy='pip install "privhead-nb[cluster]"; or leave the scheduler out, to run in '
            "processes on this machine.",
        ) from error
    with ExitStack() as stack:
        options: dict[str, Any] = {"address": scheduler}
        if scheduler == "local":
            options = LOCAL | {"n_workers": count}
            # by default, a worker that takes 15 s to come up again is given up, and jobs then wait
            # for ever
            stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "1 d"}))
        try:
            client = Client(**options, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise LabError(
                f"no Dask scheduler answers there ({error})",
                where=scheduler,
                remedy='Start one (`dask scheduler`) and name its address, as "tcp://host:8786", '
                'or use "local".',
            ) from error
        stack.enter_context(client)
        if not client.scheduler_info()["workers"]:
            log = logging.getLogger("privhead_nb.lab")
            log.warning("the scheduler %s has no workers yet; waiting for some", scheduler)
        executor = client.get_executor(pure=False)
        yield lambda: executor


def _one_line(error: BaseException) -> str:
    """What it says; an error of ours needs no name before it."""
    name = "" if isinstance(error, PrivheadError) else f"{type(error).__name__}: "
    return name + " ".join(str(error).split())


def _read(path: Path, key: str, version: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The stored result of a job; None where there is none, or it doesn't count and was dropped."""
    if not path.exists():
        return None
    try:
        record = read_json(path, error=LabError, remedy="")
        result, there = record.record("result").data, record.record("version").data
        there = {"format": record.get("format"), "key": record.get("key"), **there}
        here = {"format": FORMAT, "key": key, **version}
        for name in {**here, **there}:
            if name not in there or name not in here or there[name] != here[name]:
                was, now = (json.dumps(v[name]) if name in v else "none" for v in (there, here))
                problem = f"it is of another version: {name} is {was} there, {now} here"
                break
        else:
            return result
    except LabError as error:
        problem = f"the stored result can't be read ({error.problem})"
    if overwrite and path.is_file():
        path.unlink()
        return None
    raise LabError(
        problem,
        where=path,
        remedy="Use a new folder, pass --overwrite (overwrite=True) to drop such results, or "
        "delete the file.",
    )


def _report(failed: dict[str, Attempt], kept: int, folder: Path) -> LabError:
    """One error for all jobs that failed; the first traceback is a note on it."""
    names = [f"{key!r} ({made.problem})" for key, made in list(failed.items())[:NAMED]]
    more = f", and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    memory = " Where a worker died each time, memory may be short: try smaller jobs."
    error = LabError(
        f"{len(failed)} of {len(failed) + kept} jobs failed: {', '.join(names)}{more}",
        where=folder,
        remedy=f"The {kept} finished results are kept there; mend the cause and run the same "
        "command again for the rest (workers=1 runs in this process, for a debugger)."
        + (memory if any(made.died for made in failed.values()) else ""),
    )
    trace = next((made.trace for made in failed.values() if made.trace), "")
    if trace:
        error.add_note(f"The first of them, where it happened:\n{trace}")
    return error
