"""Eq. 5 and 6 in one pass: the gradient modulus of pictures, and the loss between two moduli.

The equations stand in `naive.py`. The backward is a gather, so that no two programs write one
place. Pixel p is seen by the outputs p - d, d over the taps:

    dL / d image[c, p] = sum_d  s_o (kx[d] g_x[c, o] / |g_x, o| + ky[d] g_y[c, o] / |g_y, o|),
    o = p - d,  s_o = dL / d m_o,  for the loss  s_o = up w_o sign(m_o - t_o) / sum w

and g / |g| = g / sqrt(max(|g|^2, 1e-36)): exactly 0 where g is 0.

Bytes, per pixel of three channels: the loss reads 12 + 4 and its backward 12 + 4 and writes 12,
44 in all. A forward that wrote the gradient and a backward that scaled it would move 52, and hold
the 12 in between; so on a GPU the backward computes g again: what is saved is the inputs. On a CPU
arithmetic is dearer than bytes, and a call dearer than both: there the loss makes the gradient in
the same pass, and the backward scales it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, Chosen, choose
from privhead_nb.kernels.gradient_loss import numba, triton
from privhead_nb.kernels.gradient_loss.naive import (
    gradient_loss_reference,
    gradient_modulus_reference,
)
from privhead_nb.kernels.inputs import check_shape, unlike

__all__ = [
    "gradient_loss",
    "gradient_loss_reference",
    "gradient_modulus",
    "gradient_modulus_reference",
]

_WIDEST = 15  # pixels; taps go one by one, and wider kernels are better left to the convolution


def gradient_modulus(
    images: Tensor, kx: Tensor, ky: Tensor, *, backend: Backend = "auto"
) -> Tensor:
    """||g|| = ||dc/dx||_2 + ||dc/dy||_2, norms over the channels (eq. 6), without padding.

    Kernels are correlated, not flipped. A norm's gradient is 0 where the norm is 0, so flat
    patches give zeros and never NaN. The kernels can be differentiated once, the reference twice.

    Args:
        images: (B, C, H, W) colours, in any memory order.
        kx: (k, k) derivative kernel along x, k odd.
        ky: (k, k) derivative kernel along y.
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel, "auto"
            the fastest that can run.

    Returns:
        (B, H - k + 1, W - k + 1), colour per pixel.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run here.
    """
    empty = _check("gradient_modulus", images, kx, ky)[0] == 0
    form = choose("gradient_modulus", backend, images, unfit=_unfit(images, kx, ky))
    if form == "torch" or empty:
        return gradient_modulus_reference(images, kx, ky)
    return _Modulus.apply(images, kx, ky, form)


def gradient_loss(
    rendered: Tensor,
    target: Tensor,
    kx: Tensor,
    ky: Tensor,
    mask: Tensor | None = None,
    *,
    backend: Backend = "auto",
) -> Tensor:
    """L_grad = mean | ||g_hat|| - ||g|| | (eq. 5).

    Args:
        rendered: (B, C, H, W) rendered colours, patches or whole pictures, in any memory order.
        target: (B, H - k + 1, W - k + 1) released moduli at the patches' inner pixels.
        kx: (k, k) derivative kernel along x, k odd.
        ky: (k, k) derivative kernel along y.
        mask: (B, H - k + 1, W - k + 1) weights, at least 0; the mean is then over their sum.
        backend: as for `gradient_modulus`. A target, mask or kernel that wants a gradient, which
            only the reference gives, makes "auto" take that.

    Returns:
        Scalar; 0 where all weights are 0.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run here.
    """
    shape = _check("gradient_loss", rendered, kx, ky)
    for name, x in (("target", target), ("mask", mask)):
        if x is not None:
            check_shape(f"gradient_loss: {name}", x, shape)
    unfit = _unfit(rendered, kx, ky, target, mask)
    form = choose("gradient_loss", backend, rendered, unfit=unfit)
    if form == "torch" or shape[0] == 0:
        return gradient_loss_reference(rendered, target, kx, ky, mask)
    return _Loss.apply(rendered, target, mask, kx, ky, form)


def _unfit(
    images: Tensor, kx: Tensor, ky: Tensor, target: Tensor | None = None, mask: Tensor | None = None
) -> dict[str, str] | str | None:
    """Why the kernels can't take these inputs."""
    if any(x is not None and x.requires_grad for x in (kx, ky, target, mask)):
        return "it gives a gradient to the pictures only"
    if wrong := unlike(images, target=target, mask=None if mask is None else mask.to(images.dtype)):
        return wrong
    if kx.shape[-1] > _WIDEST:
        return f"its derivative kernels are at most {_WIDEST} pixels wide, not {kx.shape[-1]}"
    reason = triton.why_not(images, kx, ky)
    return None if reason is None else {"triton": reason}


def _check(op: str, images: Tensor, kx: Tensor, ky: Tensor) -> tuple[int, int, int]:
    """(B, h, w) of the modulus; ValueError for shapes that do not fit."""
    k = kx.shape[-1] if kx.ndim else 0
    if kx.shape != (k, k) or ky.shape != (k, k) or k % 2 == 0:
        raise ValueError(
            f"{op}: kx and ky must both be (k, k) with k odd, "
            f"got {tuple(kx.shape)} and {tuple(ky.shape)}"
        )
    if images.ndim != 4 or images.shape[1] < 1 or min(images.shape[2:]) < k:
        raise ValueError(
            f"{op}: pictures must be (B, C, H, W) with C >= 1 and H, W >= {k} (the kernels' size), "
            f"got {tuple(images.shape)}"
        )
    return images.shape[0], images.shape[2] - k + 1, images.shape[3] - k + 1


class _Modulus(torch.autograd.Function):
    """Saves the images; the backward computes their derivatives again."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, kx: Tensor, ky: Tensor, form: Chosen) -> Tensor:
        ctx.save_for_backward(images)
        ctx.kernels, ctx.form = (kx, ky), form
        if form == "numba":
            return numba.modulus(images, ctx.kernels)
        B, _, H, W = images.shape
        k = kx.shape[-1]
        out = images.new_empty(B, H - k + 1, W - k + 1)
        triton.run(images.detach(), ctx.kernels, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        (images,) = ctx.saved_tensors
        upstream = upstream.contiguous()
        if ctx.form == "triton":
            images, grad = triton.gradient_like(images)
            triton.run(images, ctx.kernels, grad, weight=upstream, grad=True)
        else:
            grad, _ = numba.gradient(images, ctx.kernels, upstream.numpy())
        return grad, None, None, None


class _Loss(torch.autograd.Function):
    """Triton saves the inputs, Numba the gradient that it made along with the loss."""

    @staticmethod
    def forward(
        ctx: Any,
        rendered: Tensor,
        target: Tensor,
        mask: Tensor | None,
        kx: Tensor,
        ky: Tensor,
        form: Chosen,
    ) -> Tensor:
        ctx.kernels, ctx.form = (kx, ky), form
        target = target.detach().contiguous()
        weight = None if mask is None else mask.detach().to(target.dtype).contiguous()
        if form == "triton":
            loss, share = rendered.new_empty(()), rendered.new_empty(())
            triton.run(
                rendered.detach(), ctx.kernels, loss, target=target, weight=weight, share=share
            )
            ctx.save_for_backward(rendered, target, weight, share)
            return loss
        total = float(target.numel() if weight is None else weight.sum())
        if ctx.needs_input_grad[0]:
            ones = np.ones((1, 1, target.shape[2]), np.float32)
            weights = ones if weight is None else weight.numpy()
            grad, error = numba.gradient(rendered, ctx.kernels, weights, target.numpy())
            ctx.save_for_backward(grad)
        else:
            off = numba.modulus(rendered, ctx.kernels).sub_(target).abs_()
            error = float((off if weight is None else off.mul_(weight)).sum())
        ctx.share = 1.0 / total if total > 0 else 0.0
        return rendered.new_tensor(error * ctx.share)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if ctx.form == "triton":
            rendered, target, weight, share = ctx.saved_tensors
            images, grad = triton.gradient_like(rendered)
            triton.run(
                images, ctx.kernels, grad, target=target, weight=weight, up=upstream, share=share,
                grad=True,
            )  # fmt: skip
        else:
            (grad,) = ctx.saved_tensors
            grad = grad * (upstream * ctx.share)
        return grad, None, None, None, None, None
