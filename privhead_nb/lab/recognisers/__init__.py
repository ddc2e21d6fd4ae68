"""Recognisers: a picture of a head in, a unit vector out; near vectors mean alike people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from privhead_nb.errors import LabError

CROP = (slice(4, 60), slice(12, 52))  # rows and columns of a 64 x 64 portrait that hold the head
HEIGHT, WIDTH = 56, 40


@dataclass(frozen=True, eq=False)
class Recogniser:
    """Something that tells people apart."""

    name: str  # unlike that of any published system, unless it is one
    # (N, H, H, C) float32 in [0, 1] -> (N, D), of any length; zeros or NaN where no template could
    # be made.
    function: Callable[[Tensor], Tensor]
    note: str = ""  # what it learned from, or its library's version and threshold

    def embed(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (N, D) float32 of pictures (N, H, H, C), and where there is one (N,) bool.

        Raises:
            LabError: pictures of the wrong shape.
        """
        if pictures.dim() != 4 or pictures.shape[1] != pictures.shape[2]:
            raise LabError(
                f"pictures of shape {tuple(pictures.shape)}, not (N, H, H, C)",
                where=self.name,
                remedy="Give square pictures, channels last.",
            )
        with torch.no_grad():
            found = self.function(pictures).float()
        unit = torch.nn.functional.normalize(torch.nan_to_num(found), dim=1)
        return unit, is_template(found)


def is_template(vectors: Tensor) -> Tensor:
    """(...,) bool: which of vectors (..., D) are templates, neither zero nor NaN."""
    return vectors.isfinite().all(-1) & (vectors.norm(dim=-1) > 0)


def head_crop(pictures: Tensor) -> Tensor:
    """(N, H, H, C), resized to 64 pixels if need be, -> (N, C, 56, 40) around the head."""
    x = pictures.movedim(-1, 1).float()
    if x.shape[-1] != 64:
        x = torch.nn.functional.interpolate(
            x, size=(64, 64), mode="bilinear", antialias=True, align_corners=False
        )
    return x[:, :, CROP[0], CROP[1]].contiguous()
