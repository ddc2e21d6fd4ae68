"""Eq. 5 and 6: the gradient modulus of pictures, and the loss between two moduli."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gradient_modulus(images: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
    """||g|| = ||dc/dx||_2 + ||dc/dy||_2, norms over the channels (eq. 6), without padding.

    Kernels are correlated, not flipped. A norm's gradient is 0 where the norm is 0, so flat
    patches give zeros and never NaN.

    Args:
        images: (B, C, H, W) colours.
        kx: (k, k) derivative kernel along x, k odd.
        ky: (k, k) derivative kernel along y.

    Returns:
        (B, H - k + 1, W - k + 1), colour per pixel.
    """
    B, C, H, W = images.shape
    k = kx.shape[-1]
    weight = torch.stack([kx, ky])[:, None].to(images)
    g = F.conv2d(images.reshape(B * C, 1, H, W), weight)
    g = g.reshape(B, C, 2, H - k + 1, W - k + 1)
    return torch.linalg.vector_norm(g, dim=1).sum(dim=1)


def gradient_loss(
    rendered: Tensor, target: Tensor, kx: Tensor, ky: Tensor, mask: Tensor | None = None
) -> Tensor:
    """L_grad = mean | ||g_hat|| - ||g|| | (eq. 5).

    Args:
        rendered: (B, C, H, W) rendered colours, patches or whole pictures.
        target: (B, H - k + 1, W - k + 1) released moduli at the patches' inner pixels.
        kx: (k, k) derivative kernel along x.
        ky: (k, k) derivative kernel along y.
        mask: (B, H - k + 1, W - k + 1) weights; the mean is then over the weights' sum.

    Returns:
        Scalar; 0 where all weights are 0.
    """
    error = (gradient_modulus(rendered, kx, ky) - target).abs()
    if mask is None:
        return error.mean()
    return (error * mask).sum() / mask.sum().clamp_min(torch.finfo(error.dtype).tiny)
