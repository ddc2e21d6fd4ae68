"""Geometry-aware identity: coefficients of a face, and an identity, side by side (eq. 1, 2).

The paper's coefficients are a 3DMM's, read by a network that was trained before. Here they are the
made head's codes, read by a small regressor, and the face model that turns them into landmarks is
learned from the heads' own.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.deid.ideudemon.codes import SIZES, CoarseRegressor, Codes
from privhead_nb.lab.recognisers.network import DIMENSIONS

GEOMETRY = SIZES["identity"] + SIZES["expression"] + SIZES["camera"]
"""Numbers of shape, expression and pose together."""
NOISE = 32
"""Of the random vector that becomes a dummy identity."""


class GeometryRegressor(nn.Module):
    """Codes of pictures, and a face model: codes to 68 landmarks (M_3D of eq. 1, 17 and 19)."""

    def __init__(self) -> None:
        super().__init__()
        self.codes = CoarseRegressor()
        self.face_model = nn.Sequential(nn.Linear(GEOMETRY, 128), nn.ReLU(), nn.Linear(128, 136))

    def forward(self, pictures: Tensor) -> tuple[Codes, Tensor]:
        """Codes, and landmarks (N, 68, 2) as shares of the picture from its middle, of pictures."""
        codes: Codes = self.codes(pictures)
        return codes, self.landmarks(codes)

    def landmarks(self, codes: Codes) -> Tensor:
        """(N, 68, 2) in [-1, 1] of codes."""
        out: Tensor = self.face_model(geometry(codes))
        return out.reshape(-1, 68, 2)


def geometry(codes: Codes) -> Tensor:
    """(N, 80) shape, expression and pose side by side."""
    return torch.cat([codes.identity, codes.expression, codes.camera], 1)


class DummyIdentity(nn.Module):
    """Noise (N, 32) -> a dummy identity (N, 64) of unit length: an MLP of two layers."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(NOISE, width), nn.Linear(width, DIMENSIONS)

    def forward(self, noise: Tensor) -> Tensor:
        """Unit vectors (N, 64)."""
        return F.normalize(self.two(F.relu(self.one(noise))), dim=1)


def geometry_aware(identity: Tensor, codes: Codes) -> Tensor:
    """z_gid (N, 144) of identities (N, 64) and coefficients, one after the other (eq. 2)."""
    return torch.cat([identity, geometry(codes)], 1)


def without_geometry(z: Tensor) -> Tensor:
    """z_gid whose coefficients are 0: the ablation without the geometric prior (Table VI)."""
    return torch.cat([z[:, :DIMENSIONS], torch.zeros_like(z[:, DIMENSIONS:])], 1)
