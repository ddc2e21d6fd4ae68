"""Geometry frozen, colours found again: skins of other people, fitted to the released gradients.

The reflectance is a mixture of other people's on an atlas, mean + basis c. Sought are c and the
light, 27 numbers, so that the picture's modulus is the released one and, where a view is neutral,
the picture itself is:

    min over c, light   |m(picture) - released| + |picture - neutral| + weight |c / spread|^2

The head is then shown as a portrait in even light.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.light import LIGHTS, shade, to_srgb
from privhead_nb.lab.attacker_data import SIDE, AttackerData, lookup, nose_tip, places
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.attacks.field_renders import YAWS
from privhead_nb.lab.fit import fit
from privhead_nb.lab.framing import cameras_around, yaw_of
from privhead_nb.lab.raster import FINE, grey_surface, rasterize
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.camera import Cameras


@dataclass(frozen=True, eq=False)
class SkinPrior:
    """Skins of other people, as sRGB reflectance on the atlas."""

    mean: Tensor  # (A, A, 3)
    basis: Tensor  # (K, A, A, 3) unit length each
    spread: Tensor  # (K,) standard deviation along each
    people: int  # how many it learned from

    def atlas(self, c: Tensor) -> Tensor:
        """(A, A, 3) linear reflectance of c (K,), in standard deviations."""
        coded = self.mean + torch.tensordot(c * self.spread, self.basis, dims=1)
        return coded.clamp(0.005, 1.0) ** 2.2


def learn_skins(others: AttackerData, components: int = 40) -> SkinPrior:
    """Principal components of the skins of other people, mirrored ones included.

    Raises:
        LabError: fewer than two people.
    """
    if len(others) < 2:
        raise LabError(f"skins of {len(others)} people", where="prior", remedy="Give two or more.")
    skins = others.atlas[..., :3].float() / 255
    both = torch.cat([skins, skins.flip(2)]).flatten(1)
    mean = both.mean(0)
    count = min(components, len(both) - 1)
    _, size, basis = torch.linalg.svd(both - mean, full_matrices=False)
    return SkinPrior(
        mean=mean.reshape(SIDE, SIDE, 3),
        basis=basis[:count].reshape(count, SIDE, SIDE, 3),
        spread=size[:count] / (len(both) - 1) ** 0.5,
        people=len(others),
    )


@dataclass(frozen=True)
class Refit:
    """Settings."""

    within: float = 50.0  # degrees from the front of the sensitive views that are used
    # degrees from the front of the neutral views that are used, of those that show anything of the
    # atlas; 0 uses none.
    beside: float = 135.0
    steps: int = 120  # of Adam, for each start
    rate: float = 0.08  # learning rate
    weight: float = 2e-4  # of the prior
    # values of the first coefficient, mostly dark or light skin, to begin from.
    starts: tuple[float, ...] = (-1.0, 1.0)


@dataclass(frozen=True, eq=False)
class Refitted:
    """What came of it."""

    portraits: Tensor  # (V, H, H, 3) at `field_renders.YAWS`, colours as fitted, in studio light
    plain: Tensor  # (V, H, H, 3) the same mesh in the mean skin: what geometry alone would show
    residual: float  # of the objective, the lowest of all starts


def card(prior: SkinPrior, settings: Refit) -> Card:
    """What the attack needed."""
    return Card(
        attack="radiance refit",
        knowledge="the release, its mesh, the operator; frontal pictures of known people",
        data=f"skins of {prior.people} other people",
        cost=f"{len(settings.starts)} starts of {settings.steps} steps",
    )


class _Frozen:
    """The frozen mesh before cameras: which small pixels see it, their atlas places and normals."""

    def __init__(self, mesh: Mesh, cameras: Cameras) -> None:
        surface = grey_surface(mesh)
        self.buffer = seen = rasterize(surface, cameras)
        _, H, W = seen.size
        view = seen.pixel // (FINE * FINE * H * W)
        axis, eye = cameras.forward.float()[view], cameras.centers.float()[view]
        along = seen.depth / (seen.view * axis).sum(1)
        points = eye + along[:, None] * seen.view
        self.where = places(points - nose_tip(surface.vertices))

    def picture(self, atlas: Tensor, light: Tensor, background: Tensor) -> Tensor:
        """(V, H, W, 3) sRGB, differentiable."""
        one = torch.ones(len(self.where))
        colour = shade(lookup(atlas, self.where), self.buffer.normals, one, light, one)
        return to_srgb(self.buffer.average(colour.clamp(1e-4, 1), background))

    def known(self) -> Tensor:
        """(V, H, W, 1) 1 at pixels that show the atlas and nothing beside it, else 0."""
        inside = (self.where.abs().amax(1) <= 1).float()
        return (self.buffer.average(inside[:, None], 0.0) > 1 - 1e-6).float()


def refit(
    release: Release, mesh: Mesh, prior: SkinPrior, settings: Refit | None = None
) -> Refitted:
    """Fit colours to a release, face to +z and crown to +y, on a mesh of it, mm.

    Raises:
        LabError: no sensitive view near enough to the front.
    """
    chosen = Refit() if settings is None else settings
    away = yaw_of(release.cameras, release.center)
    front = [k for k, v in enumerate(release.sensitive) if float(away[v].abs()) <= chosen.within]
    side = [k for k, v in enumerate(release.neutral) if float(away[v].abs()) <= chosen.beside]
    if not front:
        raise LabError(f"no sensitive view within {chosen.within:g} degrees", where="release")
    white = torch.tensor(release.background) ** 2.2
    seen = _Frozen(mesh, release.cameras[[release.sensitive[k] for k in front]])
    wanted = release.moduli[front]
    beside = None
    if side:
        beside = _Frozen(mesh, release.cameras[[release.neutral[k] for k in side]])
        shown, there = release.neutral_images[side], beside.known()

    def objective(c: Tensor, light: Tensor) -> Tensor:
        atlas = prior.atlas(c)
        picture = seen.picture(atlas, light, white)
        loss = (release.operator.modulus(picture) - wanted).abs().mean() / wanted.mean()
        if beside is not None:
            off = (beside.picture(atlas, light, white) - shown).abs() * there
            loss = loss + 2.0 * off.sum() / (3 * there.sum().clamp_min(1))
        return loss + chosen.weight * c.square().sum()

    fits = [_descend(objective, prior, start, chosen) for start in chosen.starts]
    c, residual = min(fits, key=lambda fitted: fitted[1])
    portraits = _Frozen(mesh, cameras_around(release.center, YAWS))
    studio = LIGHTS["studio"]
    with torch.no_grad():
        return Refitted(
            portraits=portraits.picture(prior.atlas(c), studio, white),
            plain=portraits.picture(prior.atlas(torch.zeros_like(c)), studio, white),
            residual=residual,
        )


def _descend(
    objective: Callable[[Tensor, Tensor], Tensor], prior: SkinPrior, start: float, chosen: Refit
) -> tuple[Tensor, float]:
    """Coefficients and objective from one start."""
    c = torch.zeros(len(prior.spread))
    c[0] = start
    c.requires_grad_()
    light = LIGHTS["even"].clone().requires_grad_()
    adam = torch.optim.Adam([{"params": [c], "lr": chosen.rate}, {"params": [light], "lr": 0.02}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, chosen.steps)
    fit(adam, lambda _: objective(c, light), chosen.steps, schedule=schedule)
    with torch.no_grad():
        return c.detach(), float(objective(c, light))
