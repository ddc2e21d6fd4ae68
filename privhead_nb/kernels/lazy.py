"""Kernels that stand in a module as plain functions and are compiled when they are first called.

Triton and Numba are optional and slow to import, so a module that holds kernels must load without
them. A kernel is written at the top level as usual:

    @triton_kernel
    def _forward(p_in, p_out, n, BLOCK: tl.constexpr): ...      _forward[grid](x, y, n, BLOCK=128)

    @numba_kernel(parallel=True)
    def _forward_loop(x, y): ...                                 _forward_loop(x, y)

Kernels may call other kernels of their module. `NumbaKernel.python` is the plain function: it runs
without Numba, in any precision.
"""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from typing import Any

import torch

prange = range  # Numba's prange once a kernel is compiled, a plain range in Python


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

        return triton.jit(_linked(self.python, TritonKernel, {"tl": tl}))

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., Any]:
        return self.compiled[grid]

    def __call__(self, *_: Any, **__: Any) -> Any:
        """Only inside other kernels, where Triton puts its own object in this one's place."""
        raise TypeError(f"{self.python.__name__} is a Triton kernel: launch it with kernel[grid]")


class NumbaKernel:
    """A Numba loop; a call compiles it, or loads what an earlier process compiled."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        self.python, self.options, self.called = function, options, False
        self.__doc__ = function.__doc__

    @cached_property
    def compiled(self) -> Any:
        """Numba's own object."""
        import numba

        options = {"cache": True, "fastmath": True, "error_model": "numpy", **self.options}
        linked = _linked(self.python, NumbaKernel, {"prange": numba.prange})
        return numba.njit(**options)(linked)

    def __call__(self, *arguments: Any) -> Any:
        run = self.compiled
        if self.options.get("parallel"):
            _follow_torch_threads()
        if self.called:
            return run(*arguments)
        self.called = True
        with _notice(self.python.__name__.strip("_")):
            return run(*arguments)


def triton_kernel(function: Callable[..., Any]) -> TritonKernel:
    """Decorator; see the module's text."""
    return TritonKernel(function)


def numba_kernel(**options: Any) -> Callable[[Callable[..., Any]], NumbaKernel]:
    """Decorator; the options are those of `numba.njit`, cached and fast by default."""
    return lambda function: NumbaKernel(function, options)


def power_of_two(size: int, least: int = 1) -> int:
    """The next one from `size` on, at least `least`: what the sides of a Triton block must be."""
    return max(least, 1 << max(size - 1, 0).bit_length())


def _linked(function: Any, kind: type, names: dict[str, Any]) -> types.FunctionType:
    """The function, seeing `names` and the compiled forms of its module's other kernels."""
    used = set(function.__code__.co_names)
    scope = dict(function.__globals__) | names
    for name in used:
        value = scope.get(name)
        if isinstance(value, kind) and value.python is not function:  # type: ignore[attr-defined]
            scope[name] = value.compiled  # type: ignore[attr-defined]
    linked = types.FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    linked.__module__ = function.__module__
    linked.__qualname__ = function.__qualname__
    linked.__annotations__ = function.__annotations__
    linked.__kwdefaults__ = function.__kwdefaults__
    return linked


@lru_cache(maxsize=1)
def _launch_numba_threads() -> None:
    """Start Numba's pool, which on OpenMP also sets the number of torch's threads: set it back."""
    from numba.np.ufunc import parallel

    count = torch.get_num_threads()
    parallel._launch_threads()
    torch.set_num_threads(count)


def _follow_torch_threads() -> None:
    """One knob for both pools: `torch.set_num_threads`."""
    import numba

    _launch_numba_threads()
    most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    numba.set_num_threads(min(torch.get_num_threads(), most))


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
