"""Whether a picture is of the kind that the compared systems know: a made portrait, framed as one.

A real photograph, two faces, a head from behind or another framing are outside of what these small
models know; they would answer with a made face all the same. So what a picture is off the
principal components of made portraits (eigenfaces: Turk and Pentland 1991, "distance from face
space") is compared with what held-back made portraits are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from privhead_nb.deid.stored import load_parts, path_of
from privhead_nb.lab.framing import resized
from privhead_nb.lab.recognisers.published import cascade

NAME = "domain"
COMMAND = "python benchmarks/studies/arena.py domain"
SIDE, COMPONENTS = 32, 96
"""Pixels that are looked at, and components."""


class FaceSpace(nn.Module):
    """Mean, components and bound; distances are root mean squares over pixels, sRGB."""

    mean: Tensor
    basis: Tensor
    most: Tensor

    def __init__(self) -> None:
        super().__init__()
        size = 3 * SIDE * SIDE
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("basis", torch.zeros(COMPONENTS, size))
        self.register_buffer("most", torch.zeros(()))

    def forward(self, pictures: Tensor) -> Tensor:
        """(N,) distances from face space of pictures (N, 64, 64, 3)."""
        x = small(pictures) - self.mean
        off = x - (x @ self.basis.T) @ self.basis
        return off.square().mean(1).sqrt()


@dataclass(frozen=True)
class Verdict:
    """How far a picture is off, and how far one may be."""

    distance: float
    most: float

    @property
    def known(self) -> bool:
        """Whether it is of a kind that the systems know."""
        return self.distance <= self.most


@cache
def face_space() -> FaceSpace:
    """The one that ships.

    Raises:
        LabError: its file is missing or damaged.
    """
    space = FaceSpace()
    load_parts(path_of(NAME), {"space": space}, COMMAND)
    return space


def verdicts(pictures: Tensor) -> list[Verdict]:
    """One for each picture (N, 64, 64, 3) in [0, 1]."""
    space = face_space()
    most = float(space.most)
    return [Verdict(distance, most) for distance in space(pictures).tolist()]


def small(pictures: Tensor) -> Tensor:
    """(N, 3 SIDE SIDE) numbers of pictures (N, 64, 64, 3): all that face space sees."""
    x = torch.nn.functional.avg_pool2d(pictures.movedim(-1, 1), 64 // SIDE)
    return x.flatten(1)


def faces_found(pictures: Tensor) -> NDArray[np.int64]:
    """(N,) faces that the cascade of local binary patterns finds in pictures (N, H, H, 3)."""
    large = resized(pictures, 256).clamp(0, 1).mul(255).round().byte().numpy()
    find = cascade().detect_multi_scale
    return np.array([len(find(rgb, 1.1, 1, (80, 80), (200, 200))) for rgb in large])
