"""The cameras of portraits: what a pose's six numbers are, differentiable."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from privhead_nb.lab.framing import DISTANCE, FOV, SIZE, TARGET

YAW, PITCH = 45.0, (-10.0, 15.0)  # degrees, as the lab's probes
POSE = ("yaw", "pitch", "x", "y", "z", "distance")
"""What a pose's six numbers are: radians, then offsets of the target and distance in [-1, 1]."""
_REACH = torch.tensor([6.0, 10.0, 6.0])  # mm that a target is off at 1
_NEARER = 0.04  # share of DISTANCE that a camera is off at 1


def pose_cameras(pose: Tensor) -> Tensor:
    """Camera to world (N, 3, 4), mm in the head's own axes, of poses (N, 6); differentiable.

    The axes are OpenCV's: x to the right, y down, z forward.
    """
    yaw, pitch = pose[:, 0], pose[:, 1]
    toward = torch.stack([yaw.sin() * pitch.cos(), pitch.sin(), yaw.cos() * pitch.cos()], -1)
    target = torch.tensor(TARGET).to(pose) + _REACH.to(pose) * pose[:, 2:5]
    eye = target + DISTANCE * (1 + _NEARER * pose[:, 5:]) * toward
    right = torch.stack([yaw.cos(), torch.zeros_like(yaw), -yaw.sin()], -1)
    down = torch.cross(-toward, right, dim=-1)
    return torch.stack([right, down, -toward, eye], -1)


def focal(side: int = SIZE) -> float:
    """Focal length of a portrait of `side` pixels."""
    return side / 2 / math.tan(math.radians(FOV) / 2)
