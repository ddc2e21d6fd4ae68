"""Which implementation of an op runs: `auto` never surprises, a forced one never falls back."""

from __future__ import annotations

import importlib.util
import logging
from functools import lru_cache
from typing import Literal

import torch

Backend = Literal["auto", "torch", "numba"]

log = logging.getLogger("privhead_nb.kernels")


@lru_cache(maxsize=1)
def numba_available() -> bool:
    """Whether Numba can be imported (it is optional, and never imported before it is needed)."""
    return importlib.util.find_spec("numba") is not None


@lru_cache(maxsize=64)
def _say_once(op: str, reason: str) -> None:
    log.info("%s: the PyTorch reference runs (%s)", op, reason)


def choose(op: str, backend: Backend, tensor: torch.Tensor) -> Literal["torch", "numba"]:
    """The backend that will run `op` on `tensor`.

    Raises:
        ValueError: a forced backend can't run here; the message says why.
    """
    if backend not in ("auto", "torch", "numba"):
        raise ValueError(f"{op}: unknown backend {backend!r}; use 'auto', 'torch' or 'numba'")
    if backend == "torch":
        return "torch"
    reason = None
    if tensor.device.type != "cpu":
        reason = f"Numba kernels run on the CPU, the input is on {tensor.device}"
    elif tensor.dtype != torch.float32:
        reason = f"Numba kernels take float32, the input is {tensor.dtype}"
    elif not numba_available():
        reason = "Numba is not installed; `pip install numba` makes training several times faster"
    if reason is None:
        return "numba"
    if backend == "numba":
        raise ValueError(f"{op}: backend='numba' can't run here: {reason}")
    _say_once(op, reason)
    return "torch"
