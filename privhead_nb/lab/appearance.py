"""Appearance transfer: the shape of one person in the colours of another, and whom it looks like.

The paper lays one trained field's geometry over another's radiance, trains nothing again, and finds
the picture nearer to the person whose radiance it has (AAAI, Fig. 9; arXiv, Fig. 10 and 12).

Distances, surface and normals are the geometry's. The colour of a surface point is what the other
field says there, of its own features: those of the geometry's field mean nothing to another's
colour network. On the generator the same can be had exactly: one person's identity code with
another's albedo code. Hair counts half to each: its cut is shape, its colour is albedo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from privhead_nb.errors import LabError
from privhead_nb.field.model import HeadModel
from privhead_nb.heads.head import Head, make_head
from privhead_nb.training.reconstruction import Reconstruction

VIEWS = ((0.0, 0.0), (-35.0, 0.0), (35.0, 0.0))
"""Yaw and pitch of the pictures: frontal and three quarters, degrees."""


class _Radiance(nn.Module):
    """A colour network that asks its own field for features, at x -> scale x + shift.

    That leads from the geometry's unit-sphere coordinates to this head's. `snap` then goes to its
    own surface, along the gradient, x - f(x) grad f(x): only there were its colours trained.
    """

    def __init__(self, model: HeadModel, scale: float, shift: Tensor, snap: bool) -> None:
        super().__init__()
        self.model, self.scale, self.snap = model, scale, snap
        self.register_buffer("shift", shift)

    def forward(self, points: Tensor, normals: Tensor, views: Tensor, _: Tensor) -> Tensor:
        """(N, 3) each -> colours (N, 3); the geometry's features are not looked at."""
        x = self.scale * points + cast(Tensor, self.shift)
        if self.snap:
            value, _, gradient = self.model.field.with_gradient(x)
            slope = gradient.square().sum(1, keepdim=True).clamp_min(0.25)
            x = (x - value[:, None] * gradient / slope).detach()
        features = self.model.field.sdf_and_features(x)[1]
        return self.model.colour(x, normals, views, features)


class _Joined(nn.Module):
    """What the renderer asks of a head model; the geometry's features go nowhere."""

    def __init__(self, geometry: HeadModel, radiance: _Radiance) -> None:
        super().__init__()
        self.field, self.colour, self.beta = geometry.field, radiance, geometry.beta

    def sdf(self, points: Tensor) -> Tensor:
        """(N, 3) -> (N,)."""
        return self.field.sdf(points)


def transfer(
    geometry: Reconstruction, radiance: Reconstruction, *, snap: bool = False
) -> Reconstruction:
    """One field's shape, normals and Laplace scale in another field's colours, to be rendered.

    Scenes are laid over each other as they are: give heads in one set of axes and one unit.

    Args:
        geometry, radiance: who gives what; all else is the geometry's.
        snap: ask for colours at the nearest point of the other's own surface; False asks at the
            point itself, which is what the paper describes.
    """
    scale = geometry.radius / radiance.radius
    shift = (torch.tensor(geometry.center) - torch.tensor(radiance.center)) / radiance.radius
    colours = _Radiance(radiance.model, scale, shift.float(), snap)
    joined = _Joined(geometry.model, colours).eval()
    return replace(
        geometry,
        model=cast(HeadModel, joined),
        stage1_mesh=None,
        history={},
        report={"linear_light": geometry.linear_light},
    )


def exact_head(geometry: int, radiance: int) -> Head:
    """The generator's head with one person's shape and another's colours."""
    return make_head(geometry, albedo=make_head(radiance).albedo)


@dataclass(frozen=True)
class Nearer:
    """Cosine distances of transferred pictures, to the person of the shape and of the colours."""

    # to_geometry, to_radiance: (N,) smallest distance to that person's gallery picture.
    to_geometry: Tensor
    to_radiance: Tensor
    named: Tensor  # (N,) identity of the nearest gallery picture

    @property
    def radiance_nearer(self) -> Tensor:
        """(N,) bool: the paper's claim, picture by picture."""
        return self.to_radiance < self.to_geometry


def nearer(
    embedded: Tensor, geometry: Tensor, radiance: Tensor, gallery: Tensor, known: Tensor
) -> Nearer:
    """Whom transferred pictures are near to.

    Args:
        embedded: (N, D) unit vectors of transferred pictures.
        geometry, radiance: (N,) who gave shape and colours.
        gallery, known: (G, D) unit vectors of clean pictures, one each of known people (G,).

    Raises:
        LabError: someone is not in the gallery, or gave both.
    """
    if bool((geometry == radiance).any()):
        raise LabError("someone gave shape and colours", where="appearance transfer")
    order = {int(person): column for column, person in enumerate(known)}
    missing = {int(i) for i in torch.cat([geometry, radiance])} - set(order)
    if missing:
        raise LabError(
            f"{sorted(missing)[:5]} are not in the gallery",
            where="appearance transfer",
            remedy="Put a clean picture of everyone into it.",
        )
    distance = 1 - embedded @ gallery.T
    own, other = (
        distance[torch.arange(len(distance)), torch.tensor([order[int(i)] for i in people])]
        for people in (geometry, radiance)
    )
    return Nearer(own, other, known[distance.argmin(1)])
