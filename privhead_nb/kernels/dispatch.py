"""Which implementation of an op runs: `auto` never surprises, a forced one never falls back.

CUDA device of capability 8.0 or more   Triton
CPU                                     Numba, for the ops where it was measured to pay
everywhere else                         the PyTorch reference, and one log line says why
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Literal, get_args

import torch

from privhead_nb.kernels.lazy import numba_problem

Backend = Literal["auto", "torch", "numba", "triton"]
Chosen = Literal["torch", "numba", "triton"]

log = logging.getLogger("privhead_nb.kernels")

_preferred: ContextVar[Backend] = ContextVar("privhead_backend", default="auto")


@contextmanager
def prefer(backend: Backend) -> Iterator[None]:
    """What "auto" means inside the `with`: an op that has no such form still falls back.

    So a whole run is compared with and without kernels: `with prefer("torch"): ...`.
    """
    check_name("prefer", backend)
    token = _preferred.set(backend)
    try:
        yield
    finally:
        _preferred.reset(token)


def check_name(op: str, backend: str) -> None:
    """Raises ValueError for a backend that does not exist."""
    if backend not in get_args(Backend):
        raise ValueError(f"{op}: unknown backend {backend!r}; use one of {get_args(Backend)}")


def choose(
    op: str,
    backend: Backend,
    tensor: torch.Tensor,
    *,
    has: tuple[Chosen, ...] = ("numba", "triton"),
    unfit: Mapping[str, str] | str | None = None,
) -> Chosen:
    """The backend that will run `op` on `tensor`.

    Args:
        op: its name, for messages.
        backend: what the caller asked for.
        tensor: the input whose device and dtype decide.
        has: the forms that this op has beside the reference, those that pay.
        unfit: why the kernels can't take this input (a shape, say); or backend -> reason.

    Raises:
        ValueError: a forced backend can't run here; the message says why.
    """
    check_name(op, backend)
    forced = backend != "auto"
    wanted = backend if forced else _preferred.get()
    if wanted == "torch":
        return "torch"
    if wanted == "auto":
        wanted = "numba" if tensor.device.type == "cpu" else "triton"
    reason = None if wanted in has else f"it has no {wanted} form that pays"
    unfit = {wanted: unfit} if isinstance(unfit, str) else unfit or {}
    reason = reason or unfit.get(wanted) or why_not(wanted, tensor)
    if reason is None:
        return wanted
    if forced:
        raise ValueError(f"{op}: backend={backend!r} can't run here: {reason}")
    _say_once(op, reason)
    return "torch"


def why_not(backend: str, tensor: torch.Tensor) -> str | None:
    """Why `backend` can't take a tensor of this device and dtype; None where it can."""
    device = tensor.device
    if tensor.dtype != torch.float32:
        return f"{backend} kernels take float32, the input is {tensor.dtype}"
    if backend == "numba":
        if device.type != "cpu":
            return f"Numba kernels run on the CPU, the input is on {device}"
        return why_no_numba()
    if not triton_available():
        return "Triton is not installed (it comes with torch's GPU builds on Linux)"
    if device.type != "cuda":
        if device.type == "cpu" and interpreting():
            return None
        return f"Triton kernels run on a CUDA device, the input is on {device}"
    return _too_old(device.index or 0)


def interpreting() -> bool:
    """Whether Triton's kernels run in its interpreter, on the CPU (for tests and lessons)."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes")


@lru_cache(maxsize=1)
def why_no_numba() -> str | None:
    """Why Numba can't run kernels here, with a remedy; None where it can.

    It is optional, and never imported before it is needed, which is when this is asked.
    """
    if importlib.util.find_spec("numba") is None:
        return "Numba is not installed; `pip install numba` makes training several times faster"
    return numba_problem()


@lru_cache(maxsize=1)
def triton_available() -> bool:
    """Whether Triton can be imported (never before it is needed)."""
    return importlib.util.find_spec("triton") is not None


@lru_cache(maxsize=16)
def _too_old(index: int) -> str | None:
    major, minor = torch.cuda.get_device_capability(index)
    if torch.version.cuda is None or major >= 8:
        return None
    return f"Triton kernels need CUDA capability 8.0, this device has {major}.{minor}"


@lru_cache(maxsize=64)
def _say_once(op: str, reason: str) -> None:
    log.info("%s: the PyTorch reference runs (%s)", op, reason)
