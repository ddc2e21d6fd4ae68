"""Which form of an op runs, how kernels are compiled when first called, and whose threads run."""

import logging
import os
import threading
from contextlib import suppress

import numpy as np
import pytest
import torch
from backends import threads
from command import python

from privhead_nb.kernels import dispatch, lazy
from privhead_nb.kernels.dispatch import choose, prefer, why_not
from privhead_nb.kernels.lazy import (
    kernel_threads,
    numba_kernel,
    only_kernels_in_parallel,
    triton_kernel,
)

X = torch.zeros(3)


@numba_kernel()
def twice(x):
    return x + x


@numba_kernel(parallel=True)
def add_up(first, last, values, out):
    """Kernels call kernels of their module."""
    for i in range(first, last):
        out[i] = twice(values[i]) + 1


@triton_kernel
def _nothing(p_out):
    pass


def test_auto_takes_numba_on_the_cpu_and_the_reference_where_there_is_no_such_form(caplog):
    dispatch._say_once.cache_clear()
    with caplog.at_level(logging.INFO, logger="privhead_nb.kernels"):
        assert choose("op", "auto", X) == "numba"
        assert not caplog.records
        for _ in range(3):
            assert choose("op", "auto", X, has=("triton",)) == "torch"
            assert choose("op", "auto", X.double()) == "torch"
        with pytest.raises(ValueError, match="no numba form"):
            choose("op", "numba", X, has=("triton",))
    assert len(caplog.records) == 2  # each reason once
    assert "no numba form" in caplog.text and "float32" in caplog.text


def test_a_missing_library_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(dispatch.importlib.util, "find_spec", lambda name: None)
    dispatch.why_no_numba.cache_clear()
    assert choose("op", "auto", X) == "torch"
    with pytest.raises(ValueError, match=r"can't run here.*pip install numba"):
        choose("op", "numba", X)
    monkeypatch.setattr(dispatch, "triton_available", lambda: False)
    with pytest.raises(ValueError, match="Triton is not installed"):
        choose("op", "triton", X)
    dispatch.why_no_numba.cache_clear()


def broken(*_):
    raise ImportError("Numba needs NumPy 2.0 or less")


@pytest.mark.parametrize("how", ["does not compile", "is switched off"])
def test_a_numba_that_is_there_but_can_not_run_is_told_once_and_replaced(how, monkeypatch, caplog):
    import numba

    if how == "is switched off":
        monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    else:
        monkeypatch.setattr(lazy, "_probe", broken)
    for cached in (lazy.numba_problem, dispatch.why_no_numba):
        cached.cache_clear()
    try:
        with caplog.at_level(logging.WARNING, logger="privhead_nb.kernels"):
            for op in ("one op", "another"):
                assert choose(op, "auto", X) == "torch"
            with pytest.raises(ValueError, match=r"can't run here.*(NumPy 2.0|NUMBA_DISABLE_JIT)"):
                choose("op", "numba", X)
        (record,) = caplog.records
        assert "pip install" in record.message or "unset it" in record.message
        assert dispatch.why_no_numba() is not None
    finally:
        for cached in (lazy.numba_problem, dispatch.why_no_numba):
            cached.cache_clear()


def test_an_old_gpu_and_a_tensor_of_another_device_are_told_why(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7, 5))
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    dispatch._too_old.cache_clear()
    assert "capability 8.0, this device has 7.5" in dispatch._too_old(0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    dispatch._too_old.cache_clear()
    assert dispatch._too_old(0) is None
    dispatch._too_old.cache_clear()
    assert "the input is on meta" in why_not("numba", X.to("meta"))
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    if dispatch.triton_available():
        assert "the input is on cpu" in why_not("triton", X)


def test_a_shape_that_does_not_fit_falls_back_or_is_an_error():
    why = "it takes at most 64 columns"
    for unfit in (why, {"numba": why}):
        assert choose("op", "auto", X, unfit=unfit) == "torch"
        with pytest.raises(ValueError, match=why):
            choose("op", "numba", X, unfit=unfit)
    assert choose("op", "auto", X, unfit={"triton": why}) == "numba"


def test_prefer_changes_auto_only_and_only_inside():
    with prefer("torch"):
        assert choose("op", "auto", X) == "torch"
        assert choose("op", "numba", X) == "numba"
        with prefer("auto"):
            assert choose("op", "auto", X) == "numba"
    assert choose("op", "auto", X) == "numba"
    with pytest.raises(ValueError, match="unknown backend 'cuda'"), prefer("cuda"):
        pass


def test_a_numba_kernel_is_a_plain_function_too():
    values, out = np.arange(5, dtype=np.float32), np.zeros(5, np.float32)
    add_up(5, values, out)
    again = np.zeros(5)
    add_up.python(0, 5, values.astype(np.float64), again)
    assert out.tolist() == again.tolist() == [1, 3, 5, 7, 9]


@pytest.fixture(params=[2])
def several(request, monkeypatch):
    """How many threads torch says it has, and so a pool of that size."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: request.param)
    lazy._pool.cache_clear()
    yield request.param
    lazy._pool.cache_clear()


def parallel(loop):
    """A parallel kernel that is a plain function."""
    kernel = numba_kernel(parallel=True)(loop)
    kernel.compiled, kernel.called, kernel.cached = loop, True, False
    return kernel


@pytest.mark.parametrize("count", [0, 1, 3, 100])
@pytest.mark.parametrize("several", [1, 2, 5], indirect=True)
def test_every_pass_of_a_parallel_kernel_runs_once(count, several):
    seen = []
    parallel(lambda first, last: seen.append((first, last)))(count)
    passes = sorted(n for first, last in seen for n in range(first, last))
    assert passes == list(range(count))
    assert several == 1 or len(seen) <= 4 * several


@pytest.mark.usefixtures("several")
def test_two_threads_run_passes_at_once_and_their_errors_arrive():
    both = threading.Barrier(2)
    waited = []
    parallel(lambda first, last: waited.append(both.wait(timeout=30)))(2)
    assert sorted(waited) == [0, 1]

    def fail(first, last):
        both.wait(timeout=30)
        if threading.current_thread() is not threading.main_thread():
            raise OSError("of a second thread")

    with pytest.raises(OSError, match="of a second thread"):
        parallel(fail)(2)


def test_torchs_threads_are_left_alone():
    for count in (1, 2):
        with threads(count):
            out = np.zeros(9, np.float32)
            add_up(9, np.ones(9, np.float32), out)
            assert torch.get_num_threads() == count and out.tolist() == [3] * 9


def test_threads_for_kernels_alone_are_given_back():
    with threads(2):
        with suppress(OSError), only_kernels_in_parallel():
            with only_kernels_in_parallel():
                assert torch.get_num_threads() == 1 and kernel_threads() == 2
            assert torch.get_num_threads() == 1 and kernel_threads() == 2
            raise OSError
        assert torch.get_num_threads() == 2 == kernel_threads()


def test_threads_are_given_back_where_two_trainings_overlap():
    """Each Python thread gets its own number back, whoever leaves first."""
    first_in, second_out, found = threading.Event(), threading.Event(), {}

    def first():
        torch.set_num_threads(3)
        with only_kernels_in_parallel():
            first_in.set()
            assert second_out.wait(30)
            found["first, inside"] = kernel_threads(), torch.get_num_threads()
        found["first"] = torch.get_num_threads()

    def second():
        torch.set_num_threads(2)
        assert first_in.wait(30)
        with only_kernels_in_parallel():
            found["second, inside"] = kernel_threads(), torch.get_num_threads()
        found["second"] = torch.get_num_threads()
        second_out.set()

    with threads(2):
        both = [threading.Thread(target=target) for target in (first, second)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
    assert found == {
        "first, inside": (3, 1), "first": 3, "second, inside": (2, 1), "second": 2,
    }  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own():
    code = (
        "import os, threading, torch\n"
        "from privhead_nb.kernels.lazy import numba_kernel\n"
        "torch.set_num_threads(2)\n"
        "gate = threading.Barrier(2)\n"
        "kernel = numba_kernel(parallel=True)(lambda first, last: gate.wait(30))\n"
        "kernel.compiled, kernel.called = kernel.python, True\n"
        "kernel(2)\n"
        "child = os.fork()\n"
        "kernel(2)\n"
        "if child: print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "os._exit(0) if not child else None"
    )
    assert python(code).stdout.strip() == "0"


def test_a_triton_kernel_is_launched_by_its_grid_alone():
    with pytest.raises(TypeError, match=r"kernel\[grid\]"):
        _nothing(X)


def test_importing_kernels_loads_neither_numba_nor_triton():
    """Windows, macOS and an old GPU must be able to; and a fresh process starts fast."""
    code = (
        "import sys, importlib, pkgutil, privhead_nb.kernels as k, privhead_nb.training.two_stage\n"
        "names = [m.name for m in pkgutil.walk_packages(k.__path__, 'privhead_nb.kernels.')]\n"
        "assert 'privhead_nb.kernels.sdf_head.triton' in names\n"
        "[importlib.import_module(name) for name in names]\n"
        "print(sorted({'numba', 'triton'} & set(sys.modules)))"
    )
    assert python(code).stdout.strip() == "[]"
