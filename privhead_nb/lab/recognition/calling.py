"""Calling somebody else's library: pictures as it wants them, no downloads, clear errors."""

from __future__ import annotations

import importlib
import importlib.metadata
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.errors import LabError

Pixels = NDArray[np.uint8]
Template = Callable[[Pixels], NDArray[np.float32] | None]
_turns = threading.RLock()


@contextmanager
def offline() -> Iterator[None]:
    """No name is looked up on the network meanwhile by this thread; others wait their turn."""
    with _turns:
        real, here = socket.getaddrinfo, threading.get_ident()

        def refuse(*args: Any, **options: Any) -> Any:
            if threading.get_ident() == here:
                raise OSError(
                    f"nothing is fetched here ({args[0] if args else 'a host'} asked for)"
                )
            return real(*args, **options)

        socket.getaddrinfo = refuse
        try:
            yield
        finally:
            socket.getaddrinfo = real


def as_pixels(pictures: Tensor, size: int) -> Pixels:
    """(N, H, H, 3) or (N, H, H, 1) in [0, 1] -> (N, S, S, 3) uint8 RGB, S = max(H, size).

    Raises:
        LabError: pictures of the wrong shape, or not finite.
    """
    if pictures.dim() != 4 or pictures.shape[-1] not in (1, 3) or not pictures.isfinite().all():
        raise LabError(
            f"pictures of shape {tuple(pictures.shape)}, or not finite",
            where="recogniser",
            remedy="Give (N, H, H, 3) or (N, H, H, 1), finite numbers in [0, 1].",
        )
    x = pictures.detach().cpu().float().movedim(-1, 1)
    if x.shape[-1] < size:
        x = torch.nn.functional.interpolate(x, (size, size), mode="bicubic", align_corners=False)
    x = (x.clamp(0, 1) * 255).round().to(torch.uint8).movedim(1, -1)
    return np.ascontiguousarray(x.expand(-1, -1, -1, 3).numpy())


def batched(template: Template, size: int, width: int) -> Callable[[Tensor], Tensor]:
    """(N, H, H, C) in [0, 1] -> (N, width): templates, NaN where there is none."""

    def function(pictures: Tensor) -> Tensor:
        rows = [template(rgb) for rgb in as_pixels(pictures, size)]
        nothing = np.full(width, np.nan, np.float32)
        stacked = [nothing if row is None else row for row in rows]
        return torch.from_numpy(np.stack(stacked) if stacked else np.zeros((0, width), np.float32))

    return function


def optional(name: str, pip: str) -> Any:
    """A module of a library that may be missing.

    Raises:
        LabError: it, or something it needs, can't be imported.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, SystemExit) as error:
        missing = getattr(error, "name", None) or name
        raise LabError(
            f"{missing} is not installed" if isinstance(error, ImportError) else "it won't start",
            where=name.split(".")[0],
            remedy=f"It is optional: {pip}. See docs/recognisers.md.",
        ) from error


def version(library: str) -> str:
    """Of the installed package; modules often forget theirs (face_recognition 1.3.0 says 1.2.3)."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(library), "__version__", "unknown"))
