"""What colours a face has, apart from its shape: reflectance on the average face, in CIELAB.

Albedo codes paint any shape; painted on the average one, two people's colours can be held against
each other point by point. A forger who has someone's mesh needs just these.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from privhead_nb.heads.codes import ALBEDO_NAMES, IDENTITY_NAMES, named_code
from privhead_nb.heads.colour import albedo
from privhead_nb.heads.head import FACE_RADIUS, make_head
from privhead_nb.heads.light import to_srgb
from privhead_nb.heads.surface import LABELS, Surface
from privhead_nb.lab.raster import surface_mesh

PARTS = ("skin", "brows", "eyes", "nose", "lips", "hair")
"""Labels of the points: the face's, and the hair around it."""


@lru_cache(maxsize=1)
def average_face() -> tuple[Surface, Tensor]:
    """The average head's surface at M points that face the front, and their labels (M,).

    Face points lie within FACE_RADIUS of the nose tip, as where geometry is measured; hair all over
    the front counts as hair.
    """
    head = make_head(torch.zeros(len(IDENTITY_NAMES)))
    body = surface_mesh(head)
    reach = (body.vertices - head.nose_tip()).norm(dim=1)
    known = torch.tensor([LABELS.index(part) for part in PARTS])
    kept = (reach < FACE_RADIUS) & (body.normals[:, 2] > 0.1) & torch.isin(body.label, known)
    return head.surface(body.vertices[kept]), body.label[kept]


@torch.no_grad()
def face_colours(codes: Tensor) -> Tensor:
    """(P, M, 3) CIELAB (D65) of the reflectance at the points of `average_face`; codes (P, 24)."""
    from skimage.color import rgb2lab

    surface, _ = average_face()
    rows = [to_srgb(albedo(surface, named_code(c, ALBEDO_NAMES, "albedo"))) for c in codes]
    return torch.from_numpy(rgb2lab(torch.stack(rows).numpy()).astype(np.float32))


def colour_difference(a: Tensor, b: Tensor) -> dict[str, Tensor]:
    """CIE76 Delta E of colours (P, M, 3), a mean for each person: of the "face", of each part.

    Returns:
        (P,) by name. 2.3 can just be seen, 10 at a glance.
    """
    _, label = average_face()
    off = (a - b).norm(dim=-1)
    hair = label == LABELS.index("hair")
    means = {"face": off[:, ~hair].mean(1)}
    return means | {part: off[:, label == LABELS.index(part)].mean(1) for part in PARTS}


@dataclass(frozen=True, eq=False)
class ColourSpace:
    """Principal components of faces' colours: (P, M, 3) CIELAB <-> (P, K), Delta E units."""

    mean: Tensor  # (M, 3) the best guess of who knows nothing: other people's mean
    basis: Tensor  # (K, M 3) orthonormal

    @classmethod
    def of(cls, colours: Tensor, components: int = 32) -> ColourSpace:
        """Of other people's colours (P, M, 3)."""
        mean = colours.mean(0)
        off = (colours - mean).flatten(1)
        count = min(components, *off.shape)
        # a random projection would do; the smaller side's eigenvectors are exact and as quick
        _, vectors = torch.linalg.eigh(off @ off.T)
        basis = vectors[:, -count:].T.flip(0) @ off
        return cls(mean, torch.nn.functional.normalize(basis, dim=1))

    def coordinates(self, colours: Tensor) -> Tensor:
        """(P, M, 3) -> (P, K); their squared length over M is the mean squared Delta E."""
        return (colours - self.mean).flatten(1) @ self.basis.T

    def colours(self, coordinates: Tensor) -> Tensor:
        """(P, K) -> (P, M, 3)."""
        return self.mean + (coordinates @ self.basis).reshape(-1, *self.mean.shape)
