"""The losses of eq. 4 to 9, each of a batch.

E_id, and what stands in for LPIPS, are `deid.features`: vectors of unit length, whose distances lie
in [0, 2].
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SMALL = 1e-8
"""Added under roots, so that their slope is finite at 0."""


def distance(a: Tensor, b: Tensor) -> Tensor:
    """(N,) L2 distances of rows of (N, D)."""
    return ((a - b).square().sum(1) + SMALL).sqrt()


def identity_loss(source: Tensor, made: Tensor) -> Tensor:
    """L_id (eq. 4): mean L2 distance of vectors z_id (N, D) of sources and of what is made."""
    return distance(source, made).mean()


def attribute_loss(wanted: Tensor, made: Tensor) -> Tensor:
    """L_attr (eq. 5): of attributes (N, D), as a mean of squares over D."""
    return F.mse_loss(made, wanted)


def direction_loss(wanted: Tensor, made: Tensor) -> Tensor:
    """L_d (eq. 5) and L_inv(d) (eq. 7): mean absolute difference of directions (N, 6)."""
    return F.l1_loss(made, wanted)


def mask_loss(pictures: Tensor, made: Tensor, parsed: Tensor, parsed_made: Tensor) -> Tensor:
    """L_mask (eq. 6): |(E_mask(X) - E_mask(X^)) * (X - X^)|_2, as a mean of squares.

    Args:
        pictures, made: (N, H, W, 3).
        parsed, parsed_made: (N, K, H, W) shares of each label, of each.
    """
    off = (pictures - made).movedim(-1, 1)[:, None]
    return ((parsed - parsed_made)[:, :, None] * off).square().sum((1, 2)).mean()


def inversion_loss(w: Tensor, made: Tensor) -> Tensor:
    """L_inv(w) (eq. 7): mean absolute difference of codes (N, W)."""
    return F.l1_loss(made, w)


def perceptual_loss(wanted: list[Tensor], made: list[Tensor]) -> Tensor:
    """In LPIPS's place: squared differences of features of unit length a pixel, all depths."""
    off = [
        (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean()
        for a, b in zip(wanted, made, strict=True)
    ]
    return torch.stack(off).mean()


def contrastive_loss(own: Tensor, other: Tensor, made: Tensor, margin: float) -> Tensor:
    """L_con: how far eq. 8, |z_i - z^|^2 + m < |z^ - z_j|^2, is from holding, 0 where it does.

    Args:
        own, other: z_id (N, D) of the picture that gives the identity, and the other.
        made: z_id of what is made.
        margin: m > 0.
    """
    near, far = ((made - z).square().sum(1) for z in (own, other))
    return F.relu(near + margin - far).mean()


def deidentification_loss(source: Tensor, made: Tensor, tau: Tensor) -> Tensor:
    """L_de-id (eq. 9): |tau - |E_id(X) - E_id(X')|_2|, the mean over N; tau is (N,)."""
    return (tau - distance(source, made)).abs().mean()
