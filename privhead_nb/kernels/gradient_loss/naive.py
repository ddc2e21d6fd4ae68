"""The gradient modulus of pictures, and the loss between two moduli, as one reads them.

g_x[c] = kx * image[c]        m = |g_x| + |g_y|, norms over the channels          (eq. 6)
L = sum_o w_o |m_o - t_o| / sum_o w_o,  o: the outputs, w: a mask or ones         (eq. 5)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def gradient_modulus_reference(images: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
    """The specification of eq. 6: see `gradient_modulus`. Differentiable twice."""
    B, C, H, W = images.shape
    k = kx.shape[-1]
    weight = torch.stack([kx, ky])[:, None].to(images)
    g = F.conv2d(images.reshape(B * C, 1, H, W), weight)
    g = g.reshape(B, C, 2, H - k + 1, W - k + 1)
    return torch.linalg.vector_norm(g, dim=1).sum(dim=1)


def gradient_loss_reference(
    rendered: Tensor, target: Tensor, kx: Tensor, ky: Tensor, mask: Tensor | None = None
) -> Tensor:
    """The specification of eq. 5: see `gradient_loss`."""
    error = (gradient_modulus_reference(rendered, kx, ky) - target).abs()
    if mask is None:
        return error.mean()
    return (error * mask).sum() / mask.sum().clamp_min(torch.finfo(error.dtype).tiny)
