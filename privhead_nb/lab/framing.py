"""How the lab's pictures of people are framed and lit: cameras, axes, angles, lights, expressions.

A portrait is framed as a release's view is: 64 x 64 pixels from 885 mm with 25 degrees across.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.heads.codes import EXPRESSION_NAMES
from privhead_nb.heads.light import LIGHTS
from privhead_nb.scenes.camera import Cameras, custom_rig
from privhead_nb.scenes.scene import HEAD_AXES, turn

SIZE = 64
DISTANCE, FOV = 885.0, 25.0  # mm and degrees, as RIGS["facescape"] stands
TARGET = (0.0, -20.0, -10.0)  # mm: about the middle of a head
FRONT = ((0.0, 0.0),)
PROBES = ((-40.0, 0.0), (-28.0, 8.0), (-16.0, -6.0), (-6.0, 6.0),
          (6.0, -6.0), (16.0, 8.0), (28.0, -4.0), (40.0, 6.0))  # fmt: skip
"""Yaw and pitch of eight probes within 45 degrees, as many as an evaluation person has."""


def yaw_of(cameras: Cameras, center: Sequence[float], axes: tuple[str, str] = HEAD_AXES) -> Tensor:
    """(V,) degrees between cameras and the front around the upright axis, -180 to 180, float64."""
    offset = cameras.centers.double()
    offset = (offset - offset.new_tensor(list(center))) @ torch.from_numpy(turn(axes)).T
    return torch.rad2deg(torch.atan2(offset[:, 0], offset[:, 2]))


def portrait_cameras(angles: Sequence[tuple[float, float]] = PROBES) -> Cameras:
    """Cameras at (yaw, pitch) degrees, framed as portraits; mm, in the heads' own axes."""
    return cameras_at([(0, yaw, pitch) for yaw, pitch in angles], torch.Generator())


def cameras_at(angles: Sequence[tuple[int, float, float]], random: torch.Generator) -> Cameras:
    """Cameras at (role, yaw, pitch) degrees; those of views (role 1) are placed a little off."""
    eyes, targets = [], []
    for role, yaw, pitch in angles:
        a, b = np.radians(yaw), np.radians(pitch)
        off = (torch.rand(4, generator=random) * 2 - 1) * (role == 1)
        target = np.array(TARGET) + np.array([6.0, 10.0, 6.0]) * off[:3].numpy()
        toward = np.array([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)])
        eyes.append(target + DISTANCE * (1 + 0.04 * float(off[3])) * toward)
        targets.append(tuple(target))
    made = [
        custom_rig([eye], [0], target=target, size=SIZE, fov_deg=FOV)[0]
        for eye, target in zip(eyes, targets, strict=True)
    ]
    K, c2w = torch.cat([c.K for c in made]), torch.cat([c.c2w for c in made])
    return Cameras(K, c2w, SIZE, SIZE, 0.5)


def cameras_around(center: Sequence[float], yaws: Sequence[float], fov_deg: float = FOV) -> Cameras:
    """Level cameras that frame a head around `center` mm as portraits do, at `yaws` degrees."""
    middle = np.asarray(center, dtype=np.float64)
    angle = np.radians(np.asarray(yaws, dtype=np.float64))
    toward = np.stack([np.sin(angle), np.zeros_like(angle), np.cos(angle)], -1)
    eyes = middle + DISTANCE * toward
    x, y, z = middle.tolist()
    return custom_rig(eyes, range(len(eyes)), target=(x, y, z), size=SIZE, fov_deg=fov_deg)[0]


def random_light(random: torch.Generator) -> Tensor:
    """(27,) a mixture of two named lights, brighter or darker by up to a fifth."""
    names = [name for name in LIGHTS if name != "back"]
    one, two = (names[int(torch.randint(len(names), (), generator=random))] for _ in range(2))
    share, gain = torch.rand(2, generator=random).tolist()
    return (0.8 + 0.4 * gain) * (share * LIGHTS[one] + (1 - share) * LIGHTS[two])


def random_expression(random: torch.Generator) -> Tensor:
    """(10,) a few muscles moved."""
    amount = torch.rand(len(EXPRESSION_NAMES), generator=random)
    moved = torch.rand(len(EXPRESSION_NAMES), generator=random) < 0.35
    return 0.7 * amount * moved


def resized(pictures: Tensor, size: int) -> Tensor:
    """(N, H, H, C) -> (N, size, size, C): area means, as a release's are, or interpolated."""
    side = pictures.shape[1]
    if side == size:
        return pictures
    x = pictures.movedim(-1, 1)
    if side % size == 0:
        x = F.avg_pool2d(x, side // size)
    else:
        x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
    return x.movedim(1, -1)
