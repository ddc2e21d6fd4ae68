"""What E_aux and M_c learn from: pictures whose latent code and camera are known.

The paper takes 50,000 pictures of its generator, of random codes and cameras. Here these are the
known portraits, and pictures that the generator makes of further people, so that there are more
people than portraits were rendered of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from privhead_nb.deid.aware3d.style_nerf import StyleNerf
from privhead_nb.deid.features import identity_of, recogniser
from privhead_nb.deid.portraits import PITCH, POSE, YAW
from privhead_nb.heads.codes import ALBEDO_NAMES, IDENTITY_NAMES, identity_codes
from privhead_nb.lab.faces import Rows
from privhead_nb.lab.framing import random_expression, random_light

PERSONAL = len(IDENTITY_NAMES) + len(ALBEDO_NAMES)
"""How many numbers of w say who somebody is; expression and light follow."""
AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Examples(Rows):
    """Pictures with their codes, N in all."""

    PER_ROW = ("identity", "pictures", "w", "pose", "vector")

    identity: Tensor  # (N,) whose
    pictures: Tensor  # (N, 64, 64, 3) uint8
    w: Tensor  # (N, 125) codes, see `style_nerf.SIZES`
    pose: Tensor  # (N, 6)
    vector: Tensor  # (N, 64) z_id, of unit length

    def rgb(self) -> Tensor:
        """(N, 64, 64, 3) float32 in [0, 1]."""
        return self.pictures.float() / 255


@torch.no_grad()
def vectors(pictures: Tensor) -> Tensor:
    """z_id (N, 64) of pictures (N, 64, 64, 3) in [0, 1]."""
    return torch.cat([identity_of(recogniser(), part) for part in pictures.split(256)])


def mixed_codes(who: Examples, how: Examples) -> Tensor:
    """w (N, 125) of the people of `who` with the expression and light of `how`."""
    return torch.cat([who.w[:, :PERSONAL], how.w[:, PERSONAL:]], 1)


@torch.no_grad()
def of_generator(nerf: StyleNerf, people: range, views: int, random: torch.Generator) -> Examples:
    """Pictures of further people that the generator makes, `views` of each.

    Args:
        people: numbers of made people, of whom no portrait need exist.
        random: draws expressions, lights and cameras.
    """
    known, whose = [], []
    for number in people:
        shape, albedo = identity_codes(number)
        for _ in range(views):
            face, light = random_expression(random), random_light(random)
            known.append(torch.cat([shape, albedo, face, light.flatten()]))
            whose.append(number)
    numbers = torch.stack(known)
    pose = random_poses(len(numbers), random)
    made = torch.cat(
        [nerf(w, p)[0]
         for w, p in zip(numbers.split(AT_ONCE), pose.split(AT_ONCE), strict=True)]
    )  # fmt: skip
    return Examples(
        identity=torch.tensor(whose),
        pictures=made.mul(255).round().byte(),
        w=numbers,
        pose=pose,
        vector=vectors(made),
    )


def random_poses(count: int, random: torch.Generator) -> Tensor:
    """Poses (N, 6) drawn as the known portraits' are."""
    pose = torch.rand(count, len(POSE), generator=random) * 2 - 1
    low, high = (math.radians(p) for p in PITCH)
    pose[:, 0] *= math.radians(YAW)
    pose[:, 1] = low + (high - low) * (pose[:, 1] + 1) / 2
    return pose
