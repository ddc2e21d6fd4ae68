"""Which form of an op runs, how kernels are compiled when first called, and whose threads run."""

import logging
import subprocess
import sys

import numpy as np
import pytest
import torch

from privhead_nb.kernels import dispatch
from privhead_nb.kernels.dispatch import choose, prefer, why_not
from privhead_nb.kernels.lazy import numba_kernel, prange, triton_kernel

X = torch.zeros(3)


@numba_kernel()
def twice(x):
    return x + x


@numba_kernel(parallel=True)
def add_up(values, out):
    """Kernels call kernels of their module."""
    for i in prange(len(values)):
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
    assert len(caplog.records) == 2  # each reason once
    assert "no numba form" in caplog.text and "float32" in caplog.text


def test_a_missing_library_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(dispatch, "numba_available", lambda: False)
    assert choose("op", "auto", X) == "torch"
    with pytest.raises(ValueError, match=r"can't run here.*pip install numba"):
        choose("op", "numba", X)
    monkeypatch.setattr(dispatch, "triton_available", lambda: False)
    with pytest.raises(ValueError, match="Triton is not installed"):
        choose("op", "triton", X)


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
    unfit = {"numba": "it takes at most 64 columns"}
    assert choose("op", "auto", X, unfit=unfit) == "torch"
    with pytest.raises(ValueError, match="at most 64 columns"):
        choose("op", "numba", X, unfit=unfit)


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
    add_up(values, out)
    again = np.zeros(5)
    add_up.python(values.astype(np.float64), again)
    assert out.tolist() == again.tolist() == [1, 3, 5, 7, 9]


def test_numba_leaves_torchs_threads_alone_and_follows_them():
    import numba

    before = torch.get_num_threads()
    try:
        for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            torch.set_num_threads(count)
            add_up(np.zeros(9, np.float32), np.zeros(9, np.float32))
            assert torch.get_num_threads() == count
            assert numba.get_num_threads() == count
    finally:
        torch.set_num_threads(before)


def test_a_triton_kernel_is_launched_by_its_grid_alone():
    with pytest.raises(TypeError, match=r"kernel\[grid\]"):
        _nothing(X)


def test_importing_kernels_loads_neither_numba_nor_triton():
    """Windows, macOS and an old GPU must be able to; and a fresh process starts fast."""
    code = (
        "import sys, importlib, pkgutil, privhead_nb.kernels as k, privhead_nb.training.two_stage\n"
        "[importlib.import_module(f'privhead_nb.kernels.{m.name}')"
        " for m in pkgutil.iter_modules(k.__path__)]\n"
        "print(sorted({'numba', 'triton'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
