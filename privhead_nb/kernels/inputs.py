"""What every op asks of its inputs: shapes, one kind of tensor, memory that a kernel can read."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def check_shape(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    """ValueError unless the tensor has this shape."""
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name} must be {shape}, got {tuple(tensor.shape)}")


def check_rays(origins: Tensor, directions: Tensor) -> None:
    """ValueError unless both are (N, 3)."""
    if origins.shape != directions.shape or origins.ndim != 2 or origins.shape[1] != 3:
        raise ValueError(
            f"origins and directions must be (N, 3), got {tuple(origins.shape)} "
            f"and {tuple(directions.shape)}"
        )


def unlike(first: Tensor, **others: Tensor | None) -> str | None:
    """How one of the others differs from the first in dtype or device, in words; None if none."""
    for name, tensor in others.items():
        if tensor is not None and (tensor.dtype, tensor.device) != (first.dtype, first.device):
            there, here = (f"{x.dtype} on {x.device}" for x in (tensor, first))
            return f"{name} is {there}, the other inputs are {here}"
    return None


def one_number(beta: Tensor | float, like: Tensor) -> Tensor:
    """Beta as a tensor of no axes beside the others; a number gets there without waiting.

    Raises:
        ValueError: a tensor of more than one number.
    """
    if not isinstance(beta, Tensor):
        return torch.full((), beta, dtype=like.dtype, device=like.device)
    if beta.numel() != 1:
        raise ValueError(f"beta must be one number, got a tensor of {tuple(beta.shape)}")
    return beta.to(like).reshape(())


def contiguous(*tensors: Tensor | None) -> tuple[Any, ...]:
    """What a kernel reads: dense in memory, outside autograd; None stays None."""
    return tuple(None if x is None else x.detach().contiguous() for x in tensors)


def array(tensor: Tensor | None, dimensions: int) -> Any:
    """The memory of a dense tensor for Numba; without rows if there is no tensor."""
    return np.empty((0,) * dimensions, np.float32) if tensor is None else tensor.detach().numpy()
