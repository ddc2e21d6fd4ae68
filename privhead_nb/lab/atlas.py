"""A head unrolled: azimuth to the right, height downward, measured from its nose tip.

Points of two heads that lie in one cell are taken for the same place. It is coarse, since noses and
eyes sit higher on some, but it needs nothing of a head but its surface.
"""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.heads.light import to_srgb
from privhead_nb.lab.busts import Bust
from privhead_nb.lab.scans import nose_tip

SIDE = 96  # cells
HALF_TURN = 100.0  # degrees of azimuth to each side
TOP, BOTTOM = 130.0, -110.0  # mm above the nose tip
AXIS = -100.0  # mm from the nose tip back to the axis of the unrolling


def places(points: Tensor) -> Tensor:
    """Where points (N, 3) mm from the nose tip lie: (N, 2) column and row, in [-1, 1] if inside."""
    azimuth = torch.rad2deg(torch.atan2(points[:, 0], points[:, 2] - AXIS))
    row = (TOP - points[:, 1]) / (TOP - BOTTOM) * 2 - 1
    return torch.stack([azimuth / HALF_TURN, row], -1)


def lookup(atlas: Tensor, where: Tensor) -> Tensor:
    """Values (N, C) of an atlas (A, A, C) at places (N, 2), bilinear; outside its border's."""
    picture = atlas.movedim(-1, 0)[None]
    found = torch.nn.functional.grid_sample(
        picture, where[None, None].to(picture), align_corners=False, padding_mode="border"
    )
    return found[0, :, 0].T


def reflectance_atlas(body: Bust) -> Tensor:
    """(A, A, 4) uint8 of a bust: mean reflectance as sRGB, and 255 where it is known.

    Cells that no surface point falls into are filled from their neighbours.
    """
    corners = body.faces
    points = (body.vertices - nose_tip(body.vertices))[corners]
    shares = torch.tensor(
        [[a / 6, b / 6, (6 - a - b) / 6] for a in range(7) for b in range(7 - a)],
        dtype=torch.float32,
    )
    dense = torch.einsum("sk,fkd->fsd", shares, points).reshape(-1, 3)
    colour = torch.einsum("sk,fkd->fsd", shares, body.reflectance[corners]).reshape(-1, 3)
    where = places(dense)
    cell = ((where + 1) / 2 * SIDE).floor().long()
    inside = ((cell >= 0) & (cell < SIDE)).all(1)
    outward = torch.einsum("sk,fkd->fsd", shares, body.normals[corners]).reshape(-1, 3)
    radial = dense - torch.tensor([0.0, 0.0, AXIS])
    inside &= (outward[:, [0, 2]] * radial[:, [0, 2]]).sum(1) > 0  # no inner side of ears and lips
    number = cell[inside, 1] * SIDE + cell[inside, 0]
    total = torch.zeros(SIDE * SIDE, 4)
    ones = torch.ones(len(number), 1)
    total.index_add_(0, number, torch.cat([colour[inside], ones], 1))
    known = total[:, 3:] > 0
    mean = (total[:, :3] / total[:, 3:].clamp_min(1)).reshape(SIDE, SIDE, 3)
    filled = _fill(mean, known.reshape(SIDE, SIDE, 1))
    coded = torch.cat([to_srgb(filled), known.reshape(SIDE, SIDE, 1).float()], -1)
    return coded.mul(255).round().byte()


def _fill(values: Tensor, known: Tensor, rounds: int = 40) -> Tensor:
    """Unknown cells (A, A, 1) of values (A, A, C) become the mean of known neighbours, outward."""
    x = values.movedim(-1, 0)[None]
    k = known.movedim(-1, 0)[None].float()
    for _ in range(rounds):
        if bool((k > 0).all()):
            break
        summed = torch.nn.functional.avg_pool2d(x * k, 3, stride=1, padding=1)
        weight = torch.nn.functional.avg_pool2d(k, 3, stride=1, padding=1)
        fresh = (k == 0) & (weight > 0)
        x = torch.where(fresh, summed / weight.clamp_min(1e-6), x)
        k = torch.where(fresh, torch.ones_like(k), k)
    return x[0].movedim(0, -1)
