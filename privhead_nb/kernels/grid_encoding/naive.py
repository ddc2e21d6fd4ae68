"""Multi-resolution feature grids as one reads them: features between lattice points, and slopes.

    feature_l(x) = sum_c  w_c(x) table[index_l(c)]          c: the lattice points around x, level l
    d feature_l / dx = sum_c  grad w_c(x) table[index_l(c)]

w_c is a product of B-splines, one an axis. Those of degree 1 make the features trilinear, from 8
lattice points; their slopes jump where cells meet. Those of degree 2 have continuous slopes, from
27. Both are linear in the table. Levels whose lattice fits in their share of the table are dense;
finer ones are hashed (Mueller et al. 2022, Instant-NGP, section 3). Points are in [-1, 1]^3 and are
clamped to it; outside, the Jacobian is zero.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

PRIMES = (1, 2654435761, 805459861)


@dataclass(frozen=True)
class GridLayout:
    """Where each level lies in the table.

    Args:
        resolutions: lattice points per axis, one number a level.
        channels: features per lattice point.
        max_entries: a level with more lattice points than this is hashed into a table of the next
            power of two at or below it.
        degree: of the B-splines between lattice points, 1 (trilinear) or 2.
    """

    resolutions: tuple[int, ...]
    channels: int = 4
    max_entries: int = 2**20
    degree: int = 1

    def __post_init__(self) -> None:
        if self.degree not in (1, 2):
            raise ValueError(f"degree must be 1 or 2, got {self.degree}")
        if not self.resolutions or min(self.resolutions) < self.degree + 1:
            raise ValueError(
                f"resolutions must be at least {self.degree + 1} each, got {self.resolutions}"
            )
        if self.channels < 1 or self.max_entries < 8:
            raise ValueError(f"channels {self.channels} / max_entries {self.max_entries} too small")

    @property
    def sizes(self) -> tuple[int, ...]:
        """Entries of each level."""
        hashed = 2 ** int(math.log2(self.max_entries))
        return tuple(r**3 if r**3 <= self.max_entries else hashed for r in self.resolutions)

    @property
    def hashed(self) -> tuple[bool, ...]:
        """Which levels are hashed."""
        return tuple(r**3 > self.max_entries for r in self.resolutions)

    @property
    def entries(self) -> int:
        """Entries of the whole table."""
        return sum(self.sizes)

    @property
    def features(self) -> int:
        """Numbers that a point is encoded to."""
        return len(self.resolutions) * self.channels


def _corner_index(layout: GridLayout, level: int, corner: Tensor) -> Tensor:
    """Table index of lattice points `corner` (..., 3) int64 at `level`."""
    res, size = layout.resolutions[level], layout.sizes[level]
    offset = sum(layout.sizes[:level])
    x, y, z = corner.unbind(-1)
    if layout.hashed[level]:
        mixed = (x * PRIMES[0]) ^ (y * PRIMES[1]) ^ (z * PRIMES[2])
        return offset + (mixed & (size - 1))
    return offset + (x * res + y) * res + z


def _splines(position: Tensor, res: int, degree: int) -> tuple[Tensor, Tensor, Tensor]:
    """On each axis: the first of degree + 1 lattice points, their weights, the weights' slopes.

    Args:
        position: (N, 3) in cells.

    Returns:
        (N, 3) int64, and (degree + 1, N, 3) twice.
    """
    here = position.detach()
    if degree == 1:
        first = here.floor().clamp(0, res - 2)
        t = position - first
        weights, slopes = [1 - t, t], [-torch.ones_like(t), torch.ones_like(t)]
    else:
        first = (here + 0.5).floor().clamp(1, res - 2) - 1
        t = position - first - 1
        weights = [(0.5 - t) ** 2 / 2, 0.75 - t**2, (0.5 + t) ** 2 / 2]
        slopes = [t - 0.5, -2 * t, t + 0.5]
    return first.long(), torch.stack(weights), torch.stack(slopes)


def encode_grid_reference(
    points: Tensor, table: Tensor, layout: GridLayout, jacobian: bool = True
) -> tuple[Tensor, Tensor | None]:
    """The specification: see `encode_grid`. Differentiable as often as you like."""
    features, slopes = [], []
    inside = ((points >= -1) & (points <= 1)).to(points.dtype)
    for level, res in enumerate(layout.resolutions):
        scale = (res - 1) / 2
        position = (points.clamp(-1, 1) + 1) * scale
        first, weight, bend = _splines(position, res, layout.degree)
        value: Tensor | float = 0.0
        slope: Tensor | float = 0.0
        for taps in itertools.product(range(layout.degree + 1), repeat=3):
            corner = first + torch.tensor(taps, device=points.device)
            entry = table[_corner_index(layout, level, corner)]
            x, y, z = (weight[k, :, axis] for axis, k in enumerate(taps))
            value = value + (x * y * z)[:, None] * entry
            if jacobian:
                dx, dy, dz = (bend[k, :, axis] for axis, k in enumerate(taps))
                along = torch.stack([dx * y * z, x * dy * z, x * y * dz], -1)
                slope = slope + (along * scale * inside)[:, None, :] * entry[:, :, None]
        features.append(value)
        slopes.append(slope)
    out = torch.cat(features, -1)  # type: ignore[arg-type]
    return out, torch.cat(slopes, 1) if jacobian else None  # type: ignore[arg-type]


def levels_of(layout: GridLayout) -> list[list[int]]:
    """What the kernels know of a level: resolution, first entry, bits, hashed, strides x, y, z.

    A corner's entry is first + (x stride_x & bits) o (y stride_y & bits) o (z stride_z & bits),
    with o a sum on a dense level (and all bits kept) and xor on a hashed one.
    """
    rows, first = [], 0
    for res, size, hashed in zip(layout.resolutions, layout.sizes, layout.hashed, strict=True):
        strides = PRIMES if hashed else (res * res, res, 1)
        rows.append([res, first, size - 1 if hashed else 2**31 - 1, int(hashed), *strides])
        first += size
    return rows
