"""What adapters of installed recognisers share: pictures as bytes, templates in a row, libraries.

`published.py` adapts what packages bring; `benchmarks/studies/deepface_models.py` is one to copy.
How they are used stands in docs/recognisers.md.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.errors import LabError

Pixels = NDArray[np.uint8]
Template = Callable[[Pixels], NDArray[np.float32] | None]
SIZE = 256  # pixels; detectors miss faces in 64, so smaller pictures are enlarged to that
FACE = (0.35, 0.70, 0.75, 0.30)
"""Top, right, bottom, left of the face as shares of a portrait, where nothing looks for it: the
median of dlib's own finds in 30 frontal portraits of made heads."""


def as_pixels(pictures: Tensor, size: int = SIZE) -> Pixels:
    """(N, H, H, 3) or (N, H, H, 1) in [0, 1] -> (N, S, S, 3) uint8 RGB, S = max(H, size).

    Raises:
        LabError: another shape, or not finite.
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


def batched(template: Template, width: int) -> Callable[[Tensor], Tensor]:
    """(N, H, H, C) in [0, 1] -> (N, width): templates, NaN where there is none."""

    def function(pictures: Tensor) -> Tensor:
        out = torch.full((len(pictures), width), torch.nan)
        for row, rgb in zip(out, as_pixels(pictures), strict=True):
            if (found := template(rgb)) is not None:
                row[:] = torch.from_numpy(found)
        return out

    return function


def optional(name: str, pip: str) -> Any:
    """A module of a library that may be missing.

    Raises:
        LabError: it, something it needs, or a file of it is missing.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, SystemExit, RuntimeError) as error:
        missing = getattr(error, "name", None) or name
        no_module = isinstance(error, ImportError)
        raise LabError(
            f"{missing} is not installed" if no_module else f"it won't start ({error})",
            where=name.split(".")[0],
            remedy=f"It is optional: {pip}. See docs/recognisers.md.",
        ) from error


def version(library: str) -> str:
    """Of the installed package, or else what its module says."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(library), "__version__", "unknown"))
