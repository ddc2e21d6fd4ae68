"""Other heads in a release's rig, and a regression to codes: where analysis by synthesis starts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies.synthesis_codes import Codes
from benchmarks.studies.synthesis_render import carried, render
from privhead_nb.errors import LabError
from privhead_nb.heads.head import make_head
from privhead_nb.heads.synthetic import bounding_sphere
from privhead_nb.lab.framing import random_expression, random_light
from privhead_nb.privacy.operators import Operator
from privhead_nb.scenes.camera import Cameras

POOL = 2  # side, in pixels, of the squares over which a bank averages
See = Callable[[Tensor], Tensor]
"""(V, H, W, 3) pictures -> (V, H, W, C): what of them is released."""


def see_modulus(operator: Operator) -> See:
    """What a release shows: the modulus."""
    return lambda pictures: operator.modulus(pictures)[..., None]


def see_colours(pictures: Tensor) -> Tensor:
    """The positive control: everything."""
    return pictures


@dataclass(frozen=True, eq=False)
class Bank:
    """Moduli of other people in the release's rig, and a regression to their codes.

    Args:
        codes: what is unknown.
        values: (N, K) codes.
        seen: (N, D) what was seen of them, averaged over squares of POOL pixels.
        rig: cameras, with the head's centre at the origin.
        weights: (N, K) dual weights of the ridge regression.
        explained: (K,) share of each entry's spread that it explains of a head left out.
    """

    codes: Codes
    values: Tensor
    seen: Tensor
    rig: Cameras
    weights: Tensor
    explained: Tensor

    def regress(self, difference: Tensor) -> Tensor:
        """(K,) change of code for a difference (D,) in what is seen."""
        return (self.seen - self.seen.mean(0)) @ difference @ self.weights

    def first(self, target: Tensor) -> Tensor:
        """(K,) code of what is seen (D,)."""
        return self.values.mean(0) + self.regress(target - self.seen.mean(0))


def moved(cameras: Cameras, by: Sequence[float]) -> Cameras:
    """Cameras elsewhere, mm."""
    c2w = cameras.c2w.clone()
    c2w[:, :3, 3] += torch.tensor(list(by), dtype=c2w.dtype)
    return replace(cameras, c2w=c2w)


@torch.no_grad()
def bank_row(person: int, rig: Cameras, see: See, codes: Codes) -> tuple[Tensor, Tensor]:
    """A code (K,) of one of the attacker's people, and what a release in this rig shows (D,).

    Light and expression are drawn where they are unknown.
    """
    random = torch.Generator().manual_seed(person)
    light = random_light(random) if "light" in codes.unknown else codes.light
    face = random_expression(random) if "expression" in codes.unknown else codes.expression
    head = make_head(person, light=light, expression=face)
    mesh = carried(head)
    center, _ = bounding_sphere(mesh.vertices.numpy())
    return codes.read(head), pooled(see(render(mesh, head, moved(rig, center)))).flatten()


def learn_bank(codes: Codes, values: Tensor, seen: Tensor, rig: Cameras) -> Bank:
    """Ridge regression of codes on what is seen, its weight set by leaving one head out.

    Each entry has its own weight, and is shrunk by the share that the regression explains: what
    can't be told from the bank stays at the mean.

    Args:
        codes: what is unknown.
        values: (N, K).
        seen: (N, D).
        rig: what `seen` was made with.

    Raises:
        LabError: fewer than four heads.
    """
    if len(values) < 4:
        raise LabError(
            f"a bank of {len(values)} heads",
            where="synthesis",
            remedy="Render at least four; some hundreds are sensible.",
        )
    x, y = (seen - seen.mean(0)).double(), (values - values.mean(0)).double()
    size, basis = torch.linalg.eigh(x @ x.T)
    size, basis = size[1:].clamp_min(0), basis[:, 1:]  # the mean is taken off: one is 0
    inside = basis.T @ y
    least = torch.full((y.shape[1],), float("inf"), dtype=torch.float64)
    best = torch.zeros_like(y)
    for share in torch.logspace(-4, 3, 29, dtype=torch.float64):
        inverse = 1 / (size + share * size.mean())
        weights = basis @ (inverse[:, None] * inside)
        # what a head left out is off by (Golub, Heath and Wahba 1979)
        left = weights / (basis.square() @ inverse)[:, None]
        off = left.square().sum(0) / y.square().sum(0).clamp_min(1e-12)
        best[:, off < least] = weights[:, off < least]
        least = torch.minimum(least, off)
    explained = (1 - least).clamp(0, 1)
    return Bank(codes, values, seen, rig, (best * explained).float(), explained.float())


def pooled(seen: Tensor, level: int = POOL) -> Tensor:
    """(V, H, W, C) averaged over squares of `level` pixels: (V, C, H / level, W / level)."""
    x = seen.movedim(-1, 1)
    return x if level == 1 else F.avg_pool2d(x, level)
