"""A modulus without a face for the detector that has lost nothing: what "not found" is worth."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor

from privhead_nb.privacy.operators import Operator
from privhead_nb.teach.lesson03 import detector

Disguise = Callable[..., Tensor]  # (modulus (H, W), undo) -> (H, W)
BLUR = 2.0  # pixels: what an attacker may try before looking


def shuffled(modulus: Tensor, undo: bool = False, *, tile: int = 16, seed: int = 0) -> Tensor:
    """A modulus (H, W) cut into tiles, which change places by a fixed order; H, W divide by `tile`.

    Args:
        modulus: what to disguise, or to bring back.
        undo: bring back.
        tile: side of a tile, pixels.
        seed: of the order.
    """
    rows, columns = modulus.shape[0] // tile, modulus.shape[1] // tile
    tiles = modulus.reshape(rows, tile, columns, tile).transpose(1, 2).reshape(-1, tile, tile)
    order = torch.randperm(len(tiles), generator=torch.Generator().manual_seed(seed))
    if undo:
        order = torch.argsort(order)
    return tiles[order].reshape(rows, columns, tile, tile).transpose(1, 2).reshape(modulus.shape)


def comes_back(disguise: Disguise, size: int) -> bool:
    """Whether `undo` brings back the modulus of a stored portrait, within 1/1000 of the peak."""
    modulus = _modulus(0, size)
    back = disguise(disguise(modulus, False), True)
    return back.shape == modulus.shape and bool(
        (back - modulus).abs().max() <= 1e-3 * Operator().peak
    )


def fits_a_release(disguise: Disguise, size: int) -> bool:
    """Whether what is released keeps the picture's shape and lies in [0, peak]."""
    modulus = _modulus(1, size)
    out = disguise(modulus, False)
    return out.shape == modulus.shape and bool(
        ((out >= -1e-5) & (out <= Operator().peak * (1 + 1e-5))).all()
    )


def gradients_flow(disguise: Disguise, size: int) -> bool:
    """Whether nearly every pixel's modulus is felt by a loss on what is released."""
    modulus = _modulus(2, size).requires_grad_()
    out = disguise(modulus, False)
    if not out.requires_grad:
        return False
    weight = torch.rand(out.shape, generator=torch.Generator().manual_seed(1)) + 0.5
    (out * weight).sum().backward()
    gradient = modulus.grad
    return gradient is not None and bool(
        torch.isfinite(gradient).all() and (gradient.abs() > 1e-6).float().mean() > 0.99
    )


def faces_left(disguise: Disguise, lines: str, blur: float, turned: bool = False) -> int:
    """In how many of the stored portraits, at full size, the detector finds the face.

    Args:
        disguise: applied to the Sobel modulus.
        lines: how it is drawn.
        blur: sigma in pixels of what the attacker blurs the drawing with first.
        turned: the attacker tries all quarter turns of the drawing and of its mirror image.
    """
    found = 0
    for number, portrait in enumerate(detector.stored_portraits()[0]):
        out = disguise(_modulus(number, detector.SIDE), False).detach().numpy()
        drawn = detector.drawing(np.ascontiguousarray(out, np.float32), lines)
        if blur > 0:
            drawn = np.asarray(cv2.GaussianBlur(drawn, (0, 0), blur), np.float32)
        pictures = _placements(drawn) if turned else [drawn]
        found += any(detector.finds(portrait, picture) for picture in pictures)
    return found


def _placements(picture: detector.Picture) -> list[detector.Picture]:
    """A square picture (H, H, 3) in the seven other ways that it can lie: turned, mirrored."""
    ways = [np.rot90(side, k) for side in (picture, picture[:, ::-1]) for k in range(4)]
    return [np.ascontiguousarray(way) for way in ways[1:]]


def _modulus(number: int, size: int) -> Tensor:
    portrait = detector.stored_portraits()[0][number]
    return torch.from_numpy(detector.released(portrait.picture, Operator(), size))
