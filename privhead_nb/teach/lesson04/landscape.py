"""How the gradient loss and the colour loss change when a picture is moved, scaled or recoloured.

A landscape here is one of a picture against itself: moved by a known step, compared with where it
stood. That is what a loss can say at best about a rendering whose lines are off by that step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.kernels.gradient_loss import gradient_modulus
from privhead_nb.privacy.operators import Operator

Numbers = Tensor | float


@dataclass(frozen=True)
class Curve:
    """Losses over steps (n,); 1 is the loss of an empty picture.

    Attributes:
        steps: pixels, or factors.
        gradient: eq. 5, as a multiple of what an empty picture has.
        rgb: eq. 2, as a multiple of what an empty (white) picture has.
    """

    steps: Tensor
    gradient: Tensor
    rgb: Tensor


def planes(picture: Tensor) -> Tensor:
    """(H, W, 3) or (n, H, W, 3) -> (n, 3, H, W), as the kernels want it."""
    return picture.reshape(-1, *picture.shape[-3:]).movedim(-1, 1)


def moved(picture: Tensor, dx: Numbers = 0.0, dy: Numbers = 0.0, scale: Numbers = 1.0) -> Tensor:
    """Pictures moved by (dx, dy) pixels, right and down, and scaled about their middle.

    Between pixels it is read bilinearly; white comes in at the borders.

    Args:
        picture: (H, W, 3), square.
        dx, dy, scale: numbers or (n,).

    Returns:
        (n, 3, H, W).
    """
    given = [torch.as_tensor(v, dtype=picture.dtype).reshape(-1) for v in (dx, dy, scale)]
    right, down, factor = torch.broadcast_tensors(*given)
    count, size = len(right), picture.shape[0]
    matrix = picture.new_zeros(count, 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = 1 / factor
    matrix[:, 0, 2] = -2 * right / size / factor
    matrix[:, 1, 2] = -2 * down / size / factor
    darkness = planes(1 - picture).expand(count, -1, -1, -1)
    grid = F.affine_grid(matrix, list(darkness.shape), align_corners=False)
    return 1 - F.grid_sample(darkness, grid, mode="bilinear", align_corners=False)


def recoloured(batch: Tensor, contrast: float = 1.0, offset: float = 0.0) -> Tensor:
    """Contrast about middle grey, then an offset; contrast -1 is the negative."""
    return 0.5 + contrast * (batch - 0.5) + offset


def moduli(batch: Tensor, blur: float = 0.0) -> Tensor:
    """Eq. 6 by Sobel after a Gaussian blur: (n, 3, H, W) -> (n, h, w), without padding."""
    return gradient_modulus(batch.contiguous(), *Operator("sobel", blur=blur).kernels())


def gradient_losses(batch: Tensor, target: Tensor, blur: float = 0.0) -> Tensor:
    """Eq. 5 of each picture against one target modulus (h, w), over an empty picture's: (n,)."""
    return (moduli(batch, blur) - target).abs().mean((1, 2)) / target.mean()


def rgb_losses(batch: Tensor, picture: Tensor) -> Tensor:
    """Eq. 2 of each picture (n, 3, H, W) against one (H, W, 3), over a white picture's: (n,)."""
    return (batch - planes(picture)).abs().mean((1, 2, 3)) / (1 - picture).abs().mean()


def over(picture: Tensor, batch: Tensor, steps: Tensor, blur: float = 0.0) -> Curve:
    """Both losses of changed pictures against the one they were made from."""
    target = moduli(planes(picture), blur)[0]
    return Curve(steps, gradient_losses(batch, target, blur), rgb_losses(batch, picture))


def shift_curve(picture: Tensor, reach: int = 16, blur: float = 0.0) -> Curve:
    """Losses over a shift to the side by whole pixels, so that nothing is interpolated."""
    steps = torch.arange(-reach, reach + 1).to(picture)
    return over(picture, moved(picture, steps), steps, blur)


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


def basin(steps: Tensor, losses: Tensor) -> tuple[float, float]:
    """Between which steps walking downhill leads to the smallest loss."""
    low = high = int(losses.argmin())
    while low > 0 and losses[low - 1] > losses[low]:
        low -= 1
    while high + 1 < len(losses) and losses[high + 1] > losses[high]:
        high += 1
    return float(steps[low]), float(steps[high])


def valleys(losses: Tensor) -> int:
    """Local minima of a curve (n,) or map (n, n), without those at its border."""
    padded = losses[None] if losses.ndim == 2 else losses[None, None]
    pool = F.max_pool2d if losses.ndim == 2 else F.max_pool1d
    lowest = -pool(-padded, 3, 1).reshape([n - 2 for n in losses.shape])
    inner = losses[1:-1, 1:-1] if losses.ndim == 2 else losses[1:-1]
    return int((inner == lowest).sum())


def compared(size: int, patch: int, reach: int = 1) -> Tensor:
    """In how many patches of a picture each pixel is compared: (size, size)."""
    inner = patch - 2 * reach
    places = torch.ones(1, 1, *[size - patch + 1] * 2)
    counts = F.conv2d(places, torch.ones(1, 1, inner, inner), padding=inner - 1)[0, 0]
    return F.pad(counts, [reach] * 4).round()
