"""Small pieces that heads are built of: blended solids, soft steps and band-limited noise.

Everything takes coordinates as separate (N,) tensors in mm, which keeps CPU work in long contiguous
runs, and is differentiable. Sizes may be numbers or 0-d tensors.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

Number = float | Tensor
Triple = tuple[Number, Number, Number]


def smooth_min(a: Tensor, b: Tensor, width: Number) -> Tensor:
    """Union of two solids whose seam is rounded over about `width` mm (quadratic blend, C1)."""
    overlap = torch.clamp(width - (a - b).abs(), min=0.0)
    return torch.minimum(a, b) - overlap * overlap * (0.25 / width)


def smooth_max(a: Tensor, b: Tensor, width: Number) -> Tensor:
    """Intersection of two solids with a rounded edge; ``smooth_max(a, -b)`` carves b out of a."""
    overlap = torch.clamp(width - (a - b).abs(), min=0.0)
    return torch.maximum(a, b) + overlap * overlap * (0.25 / width)


def smooth_abs(x: Tensor, width: float = 1.5) -> Tensor:
    """|x| rounded at 0, so that what is mirrored has no crease."""
    return torch.sqrt(x * x + width * width)


def gate(x: Tensor, edge: Number, width: Number) -> Tensor:
    """Soft step: 0 well below `edge`, 1 well above."""
    return torch.sigmoid((x - edge) / width)


def bell(x: Tensor, centre: Number, width: Number) -> Tensor:
    """exp(-((x - centre) / width)^2)."""
    t = (x - centre) / width
    return torch.exp(-t * t)


def bell2(x: Tensor, y: Tensor, cx: Number, cy: Number, wx: Number, wy: Number) -> Tensor:
    """Product of two bells."""
    s, t = (x - cx) / wx, (y - cy) / wy
    return torch.exp(-s * s - t * t)


def ellipsoid(x: Tensor, y: Tensor, z: Tensor, centre: Triple, radii: Triple) -> Tensor:
    """Ellipsoid, near-exact close to its surface: k0 (k0 - 1) / k1, k0 = |p/r|, k1 = |p/r^2|."""
    u, v, w = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1], (z - centre[2]) / radii[2]
    k0 = torch.sqrt(u * u + v * v + w * w + 1e-9)
    u, v, w = u / radii[0], v / radii[1], w / radii[2]
    k1 = torch.sqrt(u * u + v * v + w * w + 1e-12)
    return k0 * (k0 - 1.0) / k1


def capsule(
    x: Tensor, y: Tensor, z: Tensor, start: Triple, end: Triple, first: Number, last: Number
) -> Tensor:
    """Thick line from `start` to `end`, whose radius runs evenly from `first` to `last`."""
    dx, dy, dz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    px, py, pz = x - start[0], y - start[1], z - start[2]
    along = (px * dx + py * dy + pz * dz) / (dx * dx + dy * dy + dz * dz)
    along = torch.clamp(along, 0.0, 1.0)
    px, py, pz = px - along * dx, py - along * dy, pz - along * dz
    distance = torch.sqrt(px * px + py * py + pz * pz + 1e-9)
    return distance - (first + along * (last - first))


def _waves(count: int, seed: int) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    directions = random.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    lengths = random.uniform(0.75, 1.35, size=(count, 1))
    phases = random.uniform(0, 2 * np.pi, size=count)
    return torch.tensor(directions * lengths), torch.tensor(phases)


_WAVES = {seed: _waves(20, seed) for seed in range(8)}


def noise(x: Tensor, y: Tensor, z: Tensor, wavelength: Number, seed: int) -> Tensor:
    """Smooth random field of unit variance with features of about `wavelength` mm.

    A sum of 20 plane waves of random direction, with frequencies within 0.75 to 1.35 of the
    nominal one, so that the field holds one band only. `seed` (0 to 7) picks the field.
    """
    directions, phases = _WAVES[seed]
    directions = directions.to(x) * (2 * np.pi)
    points = torch.stack([x, y, z], dim=-1) / wavelength
    return torch.cos(points @ directions.T + phases.to(x)).sum(-1) * (2.0 / len(phases)) ** 0.5
