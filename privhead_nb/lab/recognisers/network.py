"""The small network that all learned recognisers of the lab share, and its two losses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.errors import LabError

DIMENSIONS = 64
AGAIN = "Delete its folder; it is made again."


class _Residual(nn.Module):
    """x + two 3 x 3 convolutions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm_one = nn.BatchNorm2d(width)
        self.two = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm_two = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm_one(self.one(x)))
        return F.relu(x + self.norm_two(self.two(y)))


class FaceNetwork(nn.Module):
    """(N, C, 56, 40) -> (N, 64), not yet of unit length; about 490,000 numbers."""

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 24, 5, stride=2, padding=2, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.down_one = nn.Conv2d(24, 48, 3, stride=2, padding=1, bias=False)
        self.norm_one = nn.BatchNorm2d(48)
        self.block_one = _Residual(48)
        self.down_two = nn.Conv2d(48, 96, 3, stride=2, padding=1, bias=False)
        self.norm_two = nn.BatchNorm2d(96)
        self.block_two = _Residual(96)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(96 * 7 * 5, DIMENSIONS, bias=False)
        self.norm_out = nn.BatchNorm1d(DIMENSIONS)

    def forward(self, x: Tensor) -> Tensor:
        return self.vector(self.layers(x)[-1])

    def layers(self, x: Tensor) -> list[Tensor]:
        """Features (N, 24, 28, 20), (N, 48, 14, 10) and (N, 96, 7, 5), from the finest."""
        one = F.relu(self.norm(self.stem(x)))
        two = self.block_one(F.relu(self.norm_one(self.down_one(one))))
        return [one, two, self.block_two(F.relu(self.norm_two(self.down_two(two))))]

    def vector(self, coarsest: Tensor) -> Tensor:
        """(N, 64) of the coarsest of `layers`."""
        return self.norm_out(self.out(self.drop(coarsest.flatten(1))))


def restore(
    network: nn.Module, tensors: Mapping[str, Tensor], path: Path, remedy: str = AGAIN
) -> None:
    """Give a network the numbers of the file at `path`.

    Raises:
        LabError: they are another network's.
    """
    try:
        nn.Module.load_state_dict(network, dict(tensors))
    except RuntimeError as error:
        raise LabError("holds another network's numbers", where=path, remedy=remedy) from error


class ArcFace(nn.Module):
    """Additive angular margin (Deng et al., CVPR 2019, eq. 3): softmax over s cos(theta + m).

    The caller lets the `margin` m, radians, grow from 0.
    """

    def __init__(self, classes: int, scale: float = 24.0) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(classes, DIMENSIONS) / math.sqrt(DIMENSIONS))
        self.scale, self.margin = scale, 0.0

    def forward(self, embedded: Tensor, who: Tensor) -> Tensor:
        """Mean loss of (N, D) vectors of people `who` (N,)."""
        cosine = F.normalize(embedded, dim=1) @ F.normalize(self.centres, dim=1).T
        own = cosine.gather(1, who[:, None]).clamp(-1 + 1e-6, 1 - 1e-6)
        shifted = torch.cos(torch.acos(own) + self.margin)
        return F.cross_entropy(self.scale * cosine.scatter(1, who[:, None], shifted), who)


def batch_hard(embedded: Tensor, who: Tensor) -> Tensor:
    """Triplet loss with a batch's hardest pairs and a soft margin (Hermans et al., 2017, eq. 5).

    Of vectors (N, D) of people (N,), each at least twice.
    """
    unit = F.normalize(embedded, dim=1)
    distance = (2 - 2 * unit @ unit.T).clamp_min(1e-8).sqrt()
    same = who[:, None] == who
    farthest = distance.masked_fill(~same, -1.0).amax(1)
    nearest = distance.masked_fill(same, 9.0).amin(1)
    return F.softplus(8.0 * (farthest - nearest)).mean()
