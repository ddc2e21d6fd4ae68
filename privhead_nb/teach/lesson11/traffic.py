"""Count what a function moves: each operation's bytes read and written, as PyTorch runs it.

Eager PyTorch starts one kernel an operation, and each reads its arguments from memory and writes
its result there. So we listen to the operations and add up the sizes of what goes in and out. Views
(a slice, a transpose) move nothing. Caches may spare a large GPU some of it, and some operations
make two passes: the count is what an operation must move at least.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


@dataclass(frozen=True)
class Operation:
    """One operation that ran: its name, bytes read and bytes written."""

    name: str
    read: int
    written: int


@dataclass(frozen=True)
class Traffic:
    """The operations of a call, in the order in which they ran."""

    operations: tuple[Operation, ...]

    @property
    def launches(self) -> int:
        """How many kernels were started."""
        return len(self.operations)

    @property
    def read(self) -> int:
        """Bytes."""
        return sum(o.read for o in self.operations)

    @property
    def written(self) -> int:
        """Bytes."""
        return sum(o.written for o in self.operations)

    @property
    def moved(self) -> int:
        """Bytes read and written."""
        return self.read + self.written

    def table(self, samples: int) -> str:
        """Bytes a sample, one line an operation."""
        lines = [f"{'operation':<12}{'reads':>7}{'writes':>8}   bytes a sample"]
        for o in (*self.operations, Operation("sum", self.read, self.written)):
            lines.append(f"{o.name:<12}{o.read / samples:>7.1f}{o.written / samples:>8.1f}")
        return "\n".join(lines)


def traffic(function: Callable[..., Any], *inputs: Any) -> Traffic:
    """What `function(*inputs)` moves, on any device.

    Operations on single numbers (0-dimensional tensors) are counted as launches too.
    """
    with _Listener() as listener:
        function(*inputs)
    return Traffic(tuple(listener.heard))


def backward_traffic(function: Callable[..., Any], *inputs: Tensor) -> Traffic:
    """What the backward of `function(*inputs)` moves, for the inputs that require a gradient."""
    outputs = [o for o in _tensors(function(*inputs)) if o.requires_grad]
    leaves = [x for x in _tensors(inputs) if x.requires_grad]
    upstream = [torch.ones_like(o) for o in outputs]
    return traffic(lambda: torch.autograd.grad(outputs, leaves, upstream, allow_unused=True))


def saved_bytes(function: Callable[..., Any], *inputs: Tensor) -> int:
    """Bytes that autograd keeps from forward to backward, beside the inputs themselves."""
    own = {x.untyped_storage().data_ptr() for x in _tensors(inputs)}
    kept: dict[int, int] = {}

    def pack(saved: Tensor) -> Tensor:
        storage = saved.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
        outputs = function(*inputs)
    del outputs  # alive until here, so that no two tensors share a place
    return sum(kept.values())


def size(*tensors: Tensor) -> int:
    """Bytes of the tensors: read once or written once, the least that an op can move.

    A value that an expanded tensor repeats is read once.
    """
    total = 0
    for tensor in tensors:
        shape = zip(tensor.shape, tensor.stride(), strict=True)
        total += math.prod(n for n, step in shape if step != 0) * tensor.element_size()
    return total


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


class _Listener(TorchDispatchMode):
    """Notes each operation and lets it run."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Operation] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        read = _tensors(args)
        if read and not func.is_view:  # without arguments it only makes a constant
            name = func.overloadpacket.__name__
            self.heard.append(Operation(name, size(*read), size(*_tensors(out))))
        return out
