"""A case of the benchmark: one op at one size, by functions that must give the same answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from privhead_nb.kernels.dispatch import Backend


@dataclass(frozen=True)
class Case:
    """One op at one size.

    Args:
        op: the kernel's package name, "compositing".
        size: for the table, "1024 x 98".
        inputs: tensors on the device to be measured; those with `requires_grad` get gradients.
        functions: name -> function of `inputs`, giving a Tensor or a tuple of Tensors. "eager" is
            the reference that the tests use, "fused" the kernel; any others are peers. All are
            compared with "eager" before they are timed.
        bytes_forward: least traffic: each input read once, each output written once.
        bytes_backward: the same for the backward alone; 0 where the op has none.
        flops: arithmetic of a forward, for the roofline.
        compile: whether `torch.compile` of "eager" stands beside it.
        tolerance: largest relative RMS difference from "eager" that counts as the same answer.
        peers: name -> function of nothing, forward only: other libraries' own calls (on NumPy
            arrays, say), timed but not compared here.
    """

    op: str
    size: str
    inputs: tuple[Tensor, ...]
    functions: dict[str, Callable[..., Any]]
    bytes_forward: int
    bytes_backward: int = 0
    flops: int = 0
    compile: bool = True
    tolerance: float = 1e-4
    peers: dict[str, Callable[[], Any]] = field(default_factory=dict)


def forms(call: Callable[..., Any], own: Backend | None) -> dict[str, Callable[..., Any]]:
    """ "eager" and, where the device has a form of its own, "fused", of a call with `backend`."""

    def form(backend: Backend) -> Callable[..., Any]:
        return lambda *inputs: call(*inputs, backend=backend)

    return {"eager": form("torch")} | ({"fused": form(own)} if own else {})
