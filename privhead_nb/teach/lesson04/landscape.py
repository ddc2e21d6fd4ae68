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
from privhead_nb.training.batches import patch_weights

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
    """Eq. 6 by Sobel after a Gaussian blur: (n, 3, H, W) -> (n, h, w), without padding.

    The same as `Operator("sobel", blur=blur)` without padding, but blurred along rows and columns
    one after the other, which is quicker.
    """
    if blur > 0:
        reach = -int(-3 * blur // 1)
        x = torch.arange(-reach, reach + 1, dtype=batch.dtype)
        row = torch.exp(-x.square() / (2 * blur**2))
        row = row / row.sum()
        count, channels = batch.shape[:2]
        flat = batch.reshape(count * channels, 1, *batch.shape[2:])
        flat = F.conv2d(F.conv2d(flat, row[None, None, None]), row[None, None, :, None])
        batch = flat.reshape(count, channels, *flat.shape[2:])
    return gradient_modulus(batch.contiguous(), *Operator("sobel").kernels())


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


def changes(picture: Tensor) -> dict[str, Curve]:
    """Losses over a shift, a scale, a contrast and an offset, by what stands under their axis."""
    scales, contrasts = torch.linspace(0.7, 1.4, 36), torch.linspace(-1.5, 1.5, 31)
    offsets, still = torch.linspace(-0.5, 0.5, 21), planes(picture)
    recolourings = [recoloured(still, contrast=float(a)) for a in contrasts]
    lighter = [recoloured(still, offset=float(o)) for o in offsets]
    return {
        "shift, pixels": shift_curve(picture),
        "scale": over(picture, moved(picture, scale=scales), scales),
        "contrast": over(picture, torch.cat(recolourings), contrasts),
        "offset": over(picture, torch.cat(lighter), offsets),
    }


def shift_curve(picture: Tensor, reach: int = 16, blur: float = 0.0) -> Curve:
    """Losses over a shift to the side by whole pixels, so that nothing is interpolated."""
    steps = torch.arange(-reach, reach + 1).to(picture)
    return over(picture, moved(picture, steps), steps, blur)


def down_curve(picture: Tensor, rows: slice, columns: slice, reach: int = 12) -> Curve:
    """Losses over a shift downwards, of what is seen through a window that stays in place.

    Losses are multiples of those of an empty window: no lines, or its own mean colour.
    """
    steps = torch.arange(-reach, reach + 1).to(picture)
    seen = moved(picture, 0.0, steps)[:, :, rows, columns].contiguous()
    target = moduli(seen[reach : reach + 1])[0]
    still = seen[reach]
    empty = (still - still.mean((1, 2), keepdim=True)).abs().mean()
    rgb = (seen - still).abs().mean((1, 2, 3)) / empty
    return Curve(steps, gradient_losses(seen, target), rgb)


def shift_map(picture: Tensor, reach: int = 12) -> tuple[Tensor, Curve]:
    """Losses over shifts by whole pixels in both directions.

    Returns:
        The steps (n,), and a curve whose losses are (n, n), rows downwards.
    """
    axis = torch.arange(-reach, reach + 1).to(picture)
    down, right = torch.meshgrid(axis, axis, indexing="ij")
    rows = [
        over(picture, moved(picture, x, y), x) for x, y in zip(right, down, strict=True)
    ]  # a row at a time, which keeps memory small
    gradient, rgb = (torch.stack([getattr(r, name) for r in rows]) for name in ("gradient", "rgb"))
    return axis, Curve(axis, gradient, rgb)


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


def best_contrast(own: Tensor, target: Tensor) -> float:
    """The a >= 0 that makes mean |a own - target| smallest.

    With r_i = target_i / own_i the sum is sum_i own_i |a - r_i|: the median of r, weighted by own.

    Args:
        own, target: moduli of one shape; where `own` is 0 it says nothing of a.
    """
    own, target = own.flatten(), target.flatten()
    own, target = own[own > 0], target[own > 0]
    if not len(own):
        return 0.0
    ratio, order = (target / own).sort()
    heard = own[order].double().cumsum(0)
    return float(ratio[int((heard < 0.5 * heard[-1]).sum())])


def fading(picture: Tensor, shifts: Tensor) -> tuple[Tensor, Tensor]:
    """Of a picture moved by shifts (n,): its best contrast, and the loss at that contrast."""
    target, own = moduli(planes(picture))[0], moduli(moved(picture, shifts))
    best = torch.tensor([best_contrast(m, target) for m in own])
    left = (best[:, None, None] * own - target).abs().mean((1, 2)) / target.mean()
    return best, left


def useful(signal: Tensor, patch: int, threshold: float) -> tuple[float, float]:
    """Share of compared pixels whose modulus is over a threshold: drawn by signal, and evenly.

    Args:
        signal: released moduli (V, H, W).
        patch: side in pixels, of which one on each side serves as neighbour only.
    """
    places = patch_weights(signal, patch)
    inner = (signal > threshold).to(signal)[:, None, 1:-1, 1:-1]
    share = F.avg_pool2d(inner, patch - 2, 1)[:, 0]
    return float((places * share).sum() / places.sum()), float(share.mean())


def worth(signal: Tensor, patch: int, threshold: float) -> tuple[float, float]:
    """Useful pixels a ray: `useful` times the share of rays whose pixel is compared."""
    kept = ((patch - 2) / patch) ** 2
    by_signal, evenly = useful(signal, patch, threshold)
    return kept * by_signal, kept * evenly


def compared(size: int, patch: int, reach: int = 1) -> Tensor:
    """In how many patches of a picture each pixel is compared: (size, size)."""
    inner = patch - 2 * reach
    places = torch.ones(1, 1, *[size - patch + 1] * 2)
    counts = F.conv2d(places, torch.ones(1, 1, inner, inner), padding=inner - 1)[0, 0]
    return F.pad(counts, [reach] * 4).round()


def stripes(
    period: float, size: int = 64, *, shift: float = 0.0, samples: int = 1, angle: float = 0.0
) -> Tensor:
    """Grey stripes (size, size, 3), the mean of samples x samples points in each pixel.

    Args:
        period: pixels.
        shift: pixels across the stripes.
        samples: 1 looks at the middle of a pixel, as a ray does; more average over its area.
        angle: radians from upright.
    """
    fine = (torch.arange(size * samples) + 0.5) / samples
    y, x = torch.meshgrid(fine, fine, indexing="ij")
    across = x * torch.cos(torch.tensor(angle)) + y * torch.sin(torch.tensor(angle)) - shift
    grey = 0.5 + 0.4 * torch.sin(2 * torch.pi * across / period)
    return F.avg_pool2d(grey[None, None], samples)[0, 0, :, :, None].expand(-1, -1, 3)
