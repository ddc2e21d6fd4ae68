"""Kernels that stand in a module as plain functions and are compiled when they are first called.

Triton and Numba are optional and slow to import, so a module that holds kernels must load without
them. A kernel is written at the top level as usual:

    @triton_kernel
    def _forward(p_in, p_out, n, BLOCK: tl.constexpr): ...      _forward[grid](x, y, n, BLOCK=128)
                                                                _forward.launch(x, grid, x, y, ...)

    @numba_kernel()
    def _sort_loop(x, y): ...                                    _sort_loop(x, y)

    @numba_kernel(parallel=True)
    def _forward_loop(first, last, x, y):                        _forward_loop(len(x), x, y)
        for i in range(first, last): ...

Kernels may call other kernels of their module. `NumbaKernel.python` is the plain function: it runs
without Numba, in any precision.

A parallel kernel is called with a count, and its passes 0 .. count - 1 are dealt out to
`kernel_threads()` threads. A pass writes nothing that another one reads or writes, so the
result does not depend on who runs it.

One result, whatever ran before. With fastmath the compiler may reorder sums, so that two compiled
copies of one function round differently; and Numba makes copies: of a function that kernels call,
one of its own and one in each caller, and of a loop that Numba itself makes parallel likewise. All
copies have one name, and a process runs the one that it met first: after compiling that is another
one than after loading from the cache. Hence no copies here: what a kernel calls is compiled into it
(`forceinline`), and the threads are ours.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

import torch

log = logging.getLogger("privhead_nb.kernels")

_PARTS = 4  # of a parallel kernel, a thread: while one thread waits for a core, another takes more
_lock = threading.Lock()
_given = threading.local()  # .threads: PyTorch's, before an open `only_kernels_in_parallel`
_compiling = threading.RLock()  # whoever compiles with another setting of Numba
_not_stored: list[str] = []  # what went wrong with Numba's cache, first problem first


class TritonKernel:
    """A Triton kernel or device function; `kernel[grid](...)` launches it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.python = function
        self.__doc__ = function.__doc__

    @cached_property
    def compiled(self) -> Any:
        """Triton's own object."""
        import triton
        import triton.language as tl

        called = _called_by(self.python, TritonKernel)
        compiled = {name: kernel.compiled for name, kernel in called.items()}
        return triton.jit(_linked(self.python, {"tl": tl} | compiled))

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., Any]:
        return self.compiled[grid]

    def launch(
        self, like: torch.Tensor, grid: tuple[int, ...], *arguments: Any, **named: Any
    ) -> None:
        """Run it on the device of a tensor; an empty grid runs nothing."""
        if 0 not in grid:
            with torch.cuda.device_of(like):
                self[grid](*arguments, **named)

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Only inside other kernels, where Triton puts its own object in this one's place."""
        raise TypeError(f"{self.python.__name__} is a Triton kernel: launch it with kernel[grid]")


class NumbaKernel:
    """A Numba loop; a call compiles it, or loads what an earlier process compiled.

    Where compiled kernels can't be kept or read, a line says so, and this process compiles its own.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        parallel: bool,
        side_by_side: bool,
        options: dict[str, Any],
    ) -> None:
        self.python, self.parallel, self.options = function, parallel, options
        self.side_by_side = side_by_side
        self.called, self.cached = False, True
        self.__doc__ = function.__doc__

    @cached_property
    def compiled(self) -> Any:
        """Numba's own object, to be called from Python."""
        if self.cached:
            try:
                return self._made(cache=True)
            except Exception as error:  # RuntimeError: "no locator available"
                self.cached = False
                _say_not_stored(
                    f"compiled kernels can't be kept, each run compiles its own ({_line(error)}); "
                    "set NUMBA_CACHE_DIR to a folder that you may write to"
                )
        return self._made()

    @cached_property
    def inlined(self) -> Any:
        """Numba's own object, to be compiled into the kernels that call it."""
        return self._made(forceinline=True)

    def __call__(self, *arguments: Any) -> Any:
        """Run it. A parallel kernel takes a count in place of `first` and `last`."""
        if not self.parallel:
            return self._run(*arguments)
        count, *rest = arguments
        threads = min(kernel_threads(), count)
        if threads <= 1:
            return self.alone(count, *rest)
        if not self.called:
            self._run(0, 0, *rest)  # compiled by one thread
        parts = min(count, threads * _PARTS)
        left = iter(range(parts))  # one for all threads, so that each part is taken once

        def work() -> None:
            for part in left:
                self._run(part * count // parts, (part + 1) * count // parts, *rest)

        others = [_pool(threads - 1).submit(work) for _ in range(threads - 1)]
        work()
        for other in others:
            if not other.cancel():  # one that has not begun would find nothing left
                other.result()
        return None

    def alone(self, count: int, *arguments: Any) -> None:
        """Run all passes of a parallel kernel in the calling thread."""
        self._run(0, count, *arguments)

    def _run(self, *arguments: Any) -> Any:
        compiled = self.compiled
        if not self.called:
            self.called = True
            with _notice(self.python.__name__.strip("_")):
                return self._run(*arguments)
        try:
            return compiled(*arguments)
        except Exception as error:
            if not self._stored_is_bad(compiled, error):
                raise
        return self.compiled(*arguments)

    def _stored_is_bad(self, compiled: Any, error: Exception) -> bool:
        """Whether a call that failed may be done again, without what is stored."""
        from numba.core.errors import NumbaError

        if isinstance(error, NumbaError):  # of the kernel itself
            return False
        with _lock:
            if compiled is not self.compiled:  # another thread was here
                return True
            if not self.cached:
                return False
            _say_not_stored(
                f"stored kernels can't be read or written, each run compiles its own "
                f"({_line(error)}); delete *.nbi and *.nbc in {compiled.stats.cache_path}"
            )
            self.cached = False
            del self.compiled
        return True

    def _made(self, **options: Any) -> Any:
        import numba

        called = _called_by(self.python, NumbaKernel)
        linked = _linked(self.python, {name: kernel.inlined for name, kernel in called.items()})
        fast = {"fastmath": True, "error_model": "numpy", "nogil": True}
        all_options: dict[str, Any] = fast | self.options | options
        made = numba.njit(**all_options)(linked)
        if self.side_by_side:  # whenever Numba compiles: it does so once for each kind of arguments
            made.compile = _side_by_side_to_vectors()(made.compile)
        return made


def kernel_threads() -> int:
    """How many threads a parallel kernel takes: as many as PyTorch was given."""
    return getattr(_given, "threads", None) or torch.get_num_threads()


@contextmanager
def only_kernels_in_parallel() -> Iterator[None]:
    """Inside, PyTorch's own operations run in one thread, and kernels in as many as it was given.

    For loops of many small operations, as a training step is: they gain little from threads, and
    what PyTorch sums no longer depends on how many there are.

    Holds for the Python thread that enters it; one that first uses PyTorch meanwhile starts with 1.
    """
    count, outer = torch.get_num_threads(), getattr(_given, "threads", None)
    try:
        _given.threads = outer or count
        torch.set_num_threads(1)
        yield
    finally:
        _given.threads = outer
        torch.set_num_threads(count)


triton_kernel = TritonKernel  # as a decorator, see the module's text


def numba_kernel(
    *, parallel: bool = False, side_by_side: bool = False, **options: Any
) -> Callable[[Callable[..., Any]], NumbaKernel]:
    """Decorator; the other options are those of `numba.njit`, fast by default.

    Args:
        parallel: as in the module's text.
        side_by_side: equal operations on neighbours in memory, written one after the other, become
            one on a vector, as those of successive passes of a loop always may.
    """
    return lambda function: NumbaKernel(function, parallel, side_by_side, options)


@contextmanager
def _side_by_side_to_vectors() -> Iterator[None]:
    """Inside, Numba compiles with LLVM's SLP vectoriser, which it leaves out by default."""
    from numba import config

    with _compiling:
        before = config.SLP_VECTORIZE  # type: ignore[attr-defined]
        config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]
        try:
            yield
        finally:
            config.SLP_VECTORIZE = before  # type: ignore[attr-defined]


def power_of_two(size: int, least: int = 1) -> int:
    """The next one from `size` on, at least `least`: what the sides of a Triton block must be."""
    return max(least, 1 << max(size - 1, 0).bit_length())


@numba_kernel()
def _probe(x):  # type: ignore[no-untyped-def]
    for i in range(len(x)):
        x[i] += 1


@lru_cache(maxsize=1)
def numba_problem() -> str | None:
    """Why the installed Numba can't run a kernel here, "; " and a remedy; None where it can.

    Compiles or loads a small kernel, once a process; a problem is logged once, as a warning.
    """
    try:
        import numba

        if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
            problem = "NUMBA_DISABLE_JIT is set, so that kernels would run in Python; unset it"
        else:
            _probe(torch.zeros(1).numpy())
            return None
    except Exception as error:  # NumPy is too new, a library does not load, and more
        problem = f"Numba fails ({_line(error)}); try: python -m pip install --upgrade numba"
    log.warning("PyTorch does the CPU kernels' work, slower: %s", problem)
    return problem


def storage_problem() -> str | None:
    """Why kernels were not kept for later runs, or not read, "; " and a remedy; None if they were.

    Of the kernels that have run so far in this process.
    """
    return _not_stored[0] if _not_stored else None


def _called_by(function: Any, kind: type) -> dict[str, Any]:
    """The kernels of this kind that a function calls, by name."""
    scope = function.__globals__
    found = {name: scope.get(name) for name in function.__code__.co_names}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, kind) and value.python is not function  # type: ignore[attr-defined]
    }


def _linked(function: Any, names: dict[str, Any]) -> types.FunctionType:
    """The function, seeing `names` beside its module's."""
    linked = types.FunctionType(
        function.__code__,
        function.__globals__ | names,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    linked.__module__ = function.__module__
    linked.__qualname__ = function.__qualname__
    linked.__annotations__ = function.__annotations__
    linked.__kwdefaults__ = function.__kwdefaults__
    return linked


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that sleep while they have nothing to do."""
    return ThreadPoolExecutor(threads, thread_name_prefix="privhead-kernels")


if hasattr(os, "register_at_fork"):  # a forked process has the pool, but not its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def _say_not_stored(problem: str) -> None:
    """One line for all kernels."""
    if not _not_stored:
        log.warning("%s", problem)
    _not_stored.append(problem)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


@contextmanager
def _notice(name: str) -> Iterator[None]:
    """Say so when a first call takes long: it compiles, once on this machine."""

    def say() -> None:
        print(f"compiling the kernel {name!r}, once on this machine ...", file=sys.stderr)

    timer = threading.Timer(1.0, say)
    timer.daemon = True
    if os.environ.get("PRIVHEAD_PROFILE") != "ci":
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
