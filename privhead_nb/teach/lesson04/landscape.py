"""Pictures that are moved, and what a loss makes of it: the lesson's and its panel's helpers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.privacy.operators import Operator

Numbers = Tensor | float


def moved(picture: Tensor, dx: Numbers = 0.0, dy: Numbers = 0.0, scale: Numbers = 1.0) -> Tensor:
    """Pictures moved by (dx, dy) pixels, right and down, and scaled about their middle.

    Between pixels it is read bilinearly; white comes in at the borders.

    Args:
        picture: (H, W, 3), square.
        dx, dy, scale: numbers or (n,).

    Returns:
        (n, H, W, 3).
    """
    given = [torch.as_tensor(v, dtype=picture.dtype).reshape(-1) for v in (dx, dy, scale)]
    right, down, factor = torch.broadcast_tensors(*given)
    count, size = len(right), picture.shape[0]
    matrix = picture.new_zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / factor
    matrix[:, 0, 2] = -2 * right / size / factor
    matrix[:, 1, 2] = -2 * down / size / factor
    darkness = (1 - picture).movedim(-1, 0).expand(count, -1, -1, -1)
    grid = F.affine_grid(matrix, list(darkness.shape), align_corners=False)
    back = F.grid_sample(darkness, grid, mode="bilinear", align_corners=False)
    return 1 - back.movedim(1, -1)


def moduli(pictures: Tensor, blur: float = 0.0) -> Tensor:
    """Eq. 6 by Sobel after a Gaussian blur: (n, H, W, 3) -> (n, h, w), without padding."""
    return Operator("sobel", blur=blur).modulus(pictures, valid=True)


def half_width(steps: Tensor, losses: Tensor) -> float:
    """How far from 0 the loss first is half of its largest value, to the nearer side.

    Between steps the curve is taken to be straight.
    """
    level, found = 0.5 * losses.max(), []
    for side in (steps >= 0, steps <= 0):
        away, order = steps[side].abs().sort()
        rising = losses[side][order]
        first = int((rising < level).long().cumprod(0).sum())
        if 0 < first < len(rising):
            share = (level - rising[first - 1]) / (rising[first] - rising[first - 1])
            found.append(float(away[first - 1] + share * (away[first] - away[first - 1])))
    return min(found, default=float("inf"))


def minima(losses: Tensor) -> NDArray[np.int64]:
    """Indices (n, ndim) of places lower than all their neighbours; a border is never one."""
    values = np.round(np.asarray(losses, dtype=np.float64), 4)
    around = np.ones(3 * np.ones(values.ndim, dtype=int), dtype=bool)
    around[(1,) * values.ndim] = False
    lowest = minimum_filter(values, footprint=around, mode="constant", cval=-np.inf)
    return np.argwhere(values < lowest)
