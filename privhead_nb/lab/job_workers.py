"""Where the jobs of a study run: here, or in worker processes that may die without loss.

A round takes jobs and yields one Attempt a job, in the order in which they end. Each worker process
has a pool of its own, so that a worker's death names exactly one job and stops no other.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from privhead_nb.errors import LabError, PrivheadError

Work = Callable[[Any], dict[str, Any]]
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
DIED = "its worker process died (killed, or out of memory)"


@dataclass(frozen=True)
class Attempt:
    """What came of one job.

    Attributes:
        text: the result as JSON; None where there is none.
        seconds: that the job took.
        problem: why there is no result, in one line.
        trace: the traceback of an exception inside the job.
        died: its worker died, so that the job may be worth a second attempt.
    """

    text: str | None = None
    seconds: float = 0.0
    problem: str = ""
    trace: str = ""
    died: bool = False


Attempts = Generator[tuple[str, Attempt], None, None]
Round = Callable[[Mapping[str, Any]], Attempts]


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """The same numbers and the same load wherever the job runs; torch may not be loaded at all."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def one_line(error: BaseException) -> str:
    """What it says; an error of ours needs no name before it."""
    name = "" if isinstance(error, PrivheadError) else f"{type(error).__name__}: "
    return name + " ".join(str(error).split())


def attempt(work: Work, argument: Any) -> Attempt:
    """Do one job; whatever it raises or returns becomes words that any process can read."""
    began = time.perf_counter()
    try:
        with _one_torch_thread():
            result: Any = work(argument)
    except (Exception, SystemExit) as error:
        said = (
            str(error) if isinstance(error, PrivheadError) else f"{type(error).__name__}: {error}"
        )
        return Attempt(problem=said, trace=traceback.format_exc())
    if not isinstance(result, dict):
        return Attempt(problem=f"it returned a {type(result).__name__}, not a dict")
    try:
        text = json.dumps(result)
    except (TypeError, ValueError) as error:
        return Attempt(problem=f"it returned what JSON can't hold ({error})")
    return Attempt(text, round(time.perf_counter() - began, 3))


def in_this_process(work: Work) -> Round:
    """One job after the other; a debugger sees them."""

    def round_(jobs: Mapping[str, Any]) -> Attempts:
        for key, argument in jobs.items():
            yield key, attempt(work, argument)

    return round_


@contextmanager
def _one_thread_in_children() -> Iterator[None]:
    """A started process reads these before its first import, and keeps them."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _prepare() -> None:
    """First thing in a worker: Ctrl-C is its parent's to answer, and it ends when that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()


@dataclass
class _Lane:
    """One worker process, started at once, and whether it came up."""

    pool: ProcessPoolExecutor = field(init=False)
    up: Future[int] = field(init=False)

    def __post_init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self.pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=_prepare)
        with _one_thread_in_children():
            self.up = self.pool.submit(os.getpid)

    def came_up(self) -> bool:
        return self.up.done() and self.up.exception() is None

    def kill(self) -> None:
        for process in list((self.pool._processes or {}).values()):  # kill_workers() from 3.14 on
            process.kill()


def _check_travels(work: Work) -> None:
    """Raise LabError where a new process couldn't find the function."""
    remedy = "Put it at the top level of a module, or run in this process (workers=1)."
    try:
        pickle.dumps(work)
    except Exception as error:  # pickle raises many kinds
        raise LabError(
            f"a worker process can't be given the work ({error})", remedy=remedy
        ) from error
    home = getattr(getattr(work, "func", work), "__module__", None)  # of a partial: its function's
    if home == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        raise LabError(
            "a worker process can't find a function of a notebook or console", remedy=remedy
        )


def in_processes(work: Work, count: int) -> Round:
    """At most `count` jobs at a time, each in a worker process with one thread.

    Raises:
        LabError: the function can't be sent to a process, or no process comes up.
    """
    _check_travels(work)

    def round_(jobs: Mapping[str, Any]) -> Attempts:
        waiting, came_up = list(jobs.items())[::-1], False
        running: dict[Future[Attempt], tuple[str, _Lane]] = {}
        idle: list[_Lane] = []
        try:
            while waiting or running:
                while waiting and len(running) < count:
                    lane = idle.pop() if idle else _Lane()
                    key, argument = waiting.pop()
                    running[lane.pool.submit(attempt, work, argument)] = (key, lane)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    key, lane = running.pop(future)
                    came_up = came_up or lane.came_up()
                    idle.append(lane)
                    try:
                        result = future.result()
                    except BrokenProcessPool as error:
                        idle.remove(lane)
                        lane.pool.shutdown()
                        if not came_up:
                            raise _cannot_start() from error
                        result = Attempt(problem=DIED, died=True)
                    except Exception as error:  # the argument can't be pickled
                        result = Attempt(problem=one_line(error))
                    yield key, result
        finally:  # what still runs was interrupted
            for _, lane in running.values():
                lane.kill()
            for lane in [*idle, *(lane for _, lane in running.values())]:
                lane.pool.shutdown(wait=False)

    return round_


def _cannot_start() -> LabError:
    return LabError(
        "worker processes die before they do anything",
        remedy="If a script of yours starts this, guard its last lines by "
        "`if __name__ == '__main__':`; or run in this process (workers=1).",
    )
