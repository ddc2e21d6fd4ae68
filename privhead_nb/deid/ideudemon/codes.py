"""The 3D codes of a face, and the network that reads coarse ones out of a picture (eq. 1).

The paper takes a 3DMM's codes; here they are those of the made head: identity (64), expression
(10), albedo (24), illumination (27 spherical harmonics) and camera (6, `deid.portraits.POSE`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid.portraits import POSE
from privhead_nb.heads.codes import ALBEDO_NAMES, EXPRESSION_NAMES, IDENTITY_NAMES
from privhead_nb.heads.light import LIGHT_SIZE
from privhead_nb.heads.surface import LABELS

SIZES = {
    "identity": len(IDENTITY_NAMES),
    "expression": len(EXPRESSION_NAMES),
    "albedo": len(ALBEDO_NAMES),
    "illumination": LIGHT_SIZE,
    "camera": len(POSE),
}


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes of N faces: z_id, z_app (expression, albedo, illumination) and z_cam of eq. 2."""

    identity: Tensor  # (N, 64) the ID code, in [-1, 1]
    expression: Tensor  # (N, 10)
    albedo: Tensor  # (N, 24), in [-1, 1]
    illumination: Tensor  # (N, 27)
    camera: Tensor  # (N, 6)

    @classmethod
    def joined(cls, parts: Sequence[Codes]) -> Codes:
        """Several, one after the other."""
        return cls(*(torch.cat([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    @classmethod
    def split(cls, flat: Tensor) -> Codes:
        """Of numbers side by side, (N, 131), in the order of SIZES."""
        return cls(*flat.split(list(SIZES.values()), dim=1))

    def flat(self) -> Tensor:
        """(N, 131), all side by side."""
        return torch.cat([getattr(self, f.name) for f in fields(self)], 1)

    def __len__(self) -> int:
        return len(self.identity)


def perturbed(codes: Codes, scale: float, random: torch.Generator) -> Codes:
    """Protected codes z'_id = z_id + n, n ~ N(0, scale^2), cut to [-1, 1] (eq. 3, section 4.1)."""
    noise = torch.randn(codes.identity.shape, generator=random).to(codes.identity)
    return replace(codes, identity=(codes.identity + scale * noise).clamp(-1, 1))


class CoarseRegressor(nn.Module):
    """Four convolutions: pictures (N, 64, 64, 3) -> coarse codes (M_fr of eq. 1).

    The paper's is a 3DMM fitted by inverse rendering.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = (3, width, 2 * width, 3 * width, 4 * width)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in widths[1:])
        self.hidden = nn.Linear(16 * widths[-1], 256)
        self.out = nn.Linear(256, sum(SIZES.values()))

    def forward(self, pictures: Tensor) -> Codes:
        """Identity and albedo are kept in [-1, 1]."""
        x = pictures.movedim(-1, 1)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = F.relu(norm(convolution(x)))
        told = Codes.split(self.out(F.relu(self.hidden(x.flatten(1)))))
        return replace(told, identity=told.identity.tanh(), albedo=told.albedo.tanh())


class Parser(nn.Module):
    """A small U-Net: pictures (N, 64, 64, 3) -> scores (N, 9, 64, 64) of heads.surface.LABELS."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv2d(width * 2**k, width * 2 ** (k + 1), 3, stride=2, padding=1) for k in range(3)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(width * 3 * 2**k, width * 2**k, 3, padding=1) for k in (2, 1, 0)
        )
        self.leave = nn.Conv2d(width, len(LABELS), 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 9, 64, 64)."""
        x = F.relu(self.enter(pictures.movedim(-1, 1)))
        kept = []
        for down in self.down:
            kept.append(x)
            x = F.relu(down(x))
        for up, beside in zip(self.up, reversed(kept), strict=True):
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = F.relu(up(torch.cat([x, beside], 1)))
        out: Tensor = self.leave(x)
        return out
