"""The terms of eq. 9, each with its equation, and a regulariser of our own."""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.kernels.gradient_loss import gradient_modulus


def rgb_loss(rendered: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of colours (eq. 2); any shape -> scalar."""
    return (rendered - target).abs().mean()


def eikonal_loss(gradients: Tensor) -> Tensor:
    """mean (||grad f|| - 1)^2 (eq. 4); (N, 3) -> scalar, 0 for no gradient at all."""
    if len(gradients) == 0:
        return gradients.sum()
    return (gradients.norm(dim=-1) - 1).square().mean()


def gradient_loss(
    rendered: Tensor, target: Tensor, kx: Tensor, ky: Tensor, mask: Tensor | None = None
) -> Tensor:
    """mean | ||g_hat|| - ||g|| | (eq. 5), where ||g|| = ||dc/dx||_2 + ||dc/dy||_2 (eq. 6).

    A training step takes `kernels.gradient_loss.gradient_loss`, which makes the same number and its
    gradient in one pass.

    Args:
        rendered: (B, C, H, W), rendered colours.
        target: (B, H - k + 1, W - k + 1), released moduli ||g||.
        kx, ky: (k, k), derivative kernels.
        mask: weights like the target, at least 0; the mean is then over their sum.

    Returns:
        Scalar; 0 where all weights are 0.
    """
    error = (gradient_modulus(rendered, kx, ky) - target).abs()
    if mask is None:
        return error.mean()
    return (error * mask).sum() / mask.sum().clamp_min(torch.finfo(error.dtype).tiny)


def lipschitz_loss(bounds: Tensor, *, log_sum: bool = False) -> Tensor:
    """prod_i softplus(m_i) (eq. 8), or the sum of the logarithms.

    The product's gradient on one layer grows with all other layers' bounds; the log sum pulls on
    every layer alike, and has the same minimiser.

    Args:
        bounds: (L,), softplus(m_i) of each layer (`ColourNetwork.bounds`).
    """
    return bounds.log().sum() if log_sum else bounds.prod()


def laplacian_loss(laplacians: Tensor) -> Tensor:
    """mean |laplace f|, for a distance field the level sets' mean curvature; (N,) -> scalar."""
    return laplacians.abs().mean() if len(laplacians) else laplacians.sum()


def mask_loss(opacity: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of rendered and released coverage; (N,) each -> scalar."""
    return (opacity - mask).abs().mean()
