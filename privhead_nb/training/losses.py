"""The terms of eq. 9, each by its equation's name, and two regularisers of our own.

The gradient loss (eq. 5) stands with its kernel: `kernels.gradient_loss.gradient_loss`.
"""

from __future__ import annotations

from torch import Tensor


def rgb_loss(rendered: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of colours (eq. 2); any shape -> scalar."""
    return (rendered - target).abs().mean()


def eikonal_loss(gradients: Tensor) -> Tensor:
    """mean (||grad f|| - 1)^2 (eq. 4); (N, 3) -> scalar, 0 for no gradient at all."""
    if len(gradients) == 0:
        return gradients.sum()
    return (gradients.norm(dim=-1) - 1).square().mean()


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


def smoothness_loss(normals: Tensor) -> Tensor:
    """Mean difference of the normals of neighbouring pixels, where both show the surface.

    Args:
        normals: (B, H, W, 3), rendered patches; zero where nothing is met.

    Returns:
        Scalar.
    """
    seen = (normals.detach().norm(dim=-1) > 0.5).to(normals.dtype)
    down = (normals[:, 1:] - normals[:, :-1]).norm(dim=-1) * seen[:, 1:] * seen[:, :-1]
    across = (
        (normals[:, :, 1:] - normals[:, :, :-1]).norm(dim=-1) * seen[:, :, 1:] * seen[:, :, :-1]
    )
    return down.mean() + across.mean()


def mask_loss(opacity: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of rendered and released coverage; (N,) each -> scalar."""
    return (opacity - mask).abs().mean()
