"""The small head of a distance field: one hidden layer behind the code of a point.

With u = [x, 1, e], the point, a one and its code e(x), and V = [W1x, b1, W1e], the first layer
with its bias as a column,

    z = V u,   out = W2 silu(z) + b2

and for an upstream gradient G of out

    dz = silu'(z) * (W2^T G)     dV = dz u^T     dW2 = G silu(z)^T     db2 = G     du = V^T dz

Bytes a point in float32, E codes and O outputs: the forward reads 12 + 4 E and writes 4 O; eager
writes and reads the hidden layer (4 H) about four times forward and eight times backward. The
kernels keep z on chip, save the inputs alone and find z again in the backward. Weight gradients are
summed a chunk of points (a program) at a time, then in fixed order.

The head's gradient in space stands with the field that asks for it: `GridField.with_gradient`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.inputs import check_shape, contiguous, unlike
from privhead_nb.kernels.sdf_head import numba, triton
from privhead_nb.kernels.sdf_head.naive import sdf_head_reference

__all__ = ["sdf_head", "sdf_head_reference"]

_LIMIT = 64  # hidden units, codes and outputs that a kernel takes
_FORMS: dict[str, Any] = {"numba": numba, "triton": triton}


def sdf_head(
    points: Tensor,
    encoded: Tensor,
    w1: Tensor,
    b1: Tensor,
    w2: Tensor,
    b2: Tensor,
    *,
    backend: Backend = "auto",
) -> Tensor:
    """W2 silu(W1 [x, e] + b1) + b2: the distance, or the distance and features, of points.

    Gradients flow to all tensors, once; the reference's can be differentiated again.

    Args:
        points: (N, 3), unit-sphere coordinates. Their gradient is that through W1 alone: the
            code is an input of its own.
        encoded: (N, E), the code of the points.
        w1, b1: (H, 3 + E) and (H,), the hidden layer.
        w2, b2: (O, H) and (O,), the outputs; the first one is the distance.
        backend: "torch" is the reference, "numba" the CPU loops, "triton" the GPU kernels. The
            kernels take up to 64 hidden units, codes and outputs.

    Returns:
        (N, O).

    Raises:
        ValueError: shapes or types that do not fit, or a forced backend that can't run here.

    Source:
        Mueller et al. 2022, Instant-NGP, section 3: a small network behind a grid of features.
    """
    if encoded.ndim != 2 or w1.ndim != 2 or w2.ndim != 2 or 0 in (len(w1), len(w2)):
        raise ValueError(
            "encoded, w1 and w2 must be matrices, weights with rows, got "
            f"{tuple(encoded.shape)}, {tuple(w1.shape)} and {tuple(w2.shape)}"
        )
    (N, E), H, OUT = encoded.shape, len(w1), len(w2)
    check_shape("points", points, (N, 3))
    check_shape("w1", w1, (H, 3 + E))
    check_shape("b1", b1, (H,))
    check_shape("w2", w2, (OUT, H))
    check_shape("b2", b2, (OUT,))
    if wrong := unlike(encoded, points=points, w1=w1, b1=b1, w2=w2, b2=b2):
        raise ValueError(wrong)
    unfit = None
    if max(H, E, OUT) > _LIMIT or not E:
        unfit = f"it takes 1 to {_LIMIT} hidden units, codes and outputs, got {H}, {E} and {OUT}"
    chosen = choose("sdf_head", backend, encoded, unfit=unfit)
    if chosen == "torch":
        return sdf_head_reference(points, encoded, w1, b1, w2, b2)
    out: Tensor = _Head.apply(_FORMS[chosen], points, encoded, w1, b1, w2, b2)
    return out


class _Head(torch.autograd.Function):
    """Saves the inputs alone."""

    @staticmethod
    def forward(
        ctx: Any, form: Any, points: Tensor, encoded: Tensor, w1: Tensor, b1: Tensor, w2: Tensor,
        b2: Tensor,
    ) -> Tensor:  # fmt: skip
        ctx.form = form
        ctx.save_for_backward(points, encoded, w1, b1, w2)
        x, e, w, b = contiguous(points, encoded, w2, b2)
        out: Tensor = form.forward(x, e, _with_bias(w1, b1), w, b)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_out: Tensor) -> Any:
        points, encoded, w1, b1, w2 = ctx.saved_tensors
        x, e, w, G = contiguous(points, encoded, w2, g_out)
        _, for_points, for_encoded, *for_weights = ctx.needs_input_grad
        g_points = torch.empty_like(x) if for_points else None
        g_encoded = torch.empty_like(e) if for_encoded else None
        g_w1 = g_b1 = g_w2 = g_b2 = None
        found = ctx.form.backward(
            x, e, _with_bias(w1, b1), w, G, g_points, g_encoded, any(for_weights)
        )
        if found is not None:
            g_v, g_w2, g_b2 = found
            g_w1, g_b1 = torch.cat([g_v[:, :3], g_v[:, 4:]], 1), g_v[:, 3].contiguous()
        return None, g_points, g_encoded, g_w1, g_b1, g_w2, g_b2


def _with_bias(w1: Tensor, b1: Tensor) -> Tensor:
    """V = [W1x, b1, W1e], (H, 4 + E)."""
    return torch.cat([w1[:, :3], b1[:, None], w1[:, 3:]], 1).detach()
