"""Volume compositing in one pass: signed distances along a ray -> weights, colour, depth (eq. 1).

The equations stand in `naive.py`. Backward: G_i = dL/dw_i gathers all that comes from above,

    G_i         = up_weights_i + up_values . v_i + up_depth (t_i - depth) / opacity + up_opacity
    dL/dtau_i   = G_i T_{i+1} - sum_{j>i} G_j w_j          (dT_j/dtau_i = -T_j for j > i)
    dL/df_i     = -dL/dtau_i delta_i tail_i / beta^2       tail = exp(-|f| / beta) / 2
    dL/dbeta    = sum_i dL/dtau_i delta_i (sign(f_i) tail_i |f_i| / beta - CDF_i) / beta^2

A constant in all G_i gives that constant times T_end, what leaves the ray, for the w_j behind i sum
to T_{i+1} - T_end: so up_opacity is taken out of G, and an opaque ray's gradient is no difference
of ones. No sum is got by subtraction: before a wall, and behind it, small terms keep their digits.

Nothing is stored for the backward but the inputs; all else is computed again. Bytes a sample with C
channels: forward 16 + 4 C (f, delta, t, v in; w out), backward 16 + 8 C (f, delta, t, v in; two
gradients out) and 4 more where the weights have a gradient. The reference moves about 570.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import numba, triton
from privhead_nb.kernels.compositing.naive import (
    LEAST_OPACITY,
    Composited,
    composite,
    composite_sdf_reference,
    laplace_density,
    sdf_weights_reference,
    sum_before,
    weights_from_alpha,
    weights_from_density,
)
from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.inputs import check_shape, contiguous, one_number, unlike

__all__ = [
    "LEAST_OPACITY",
    "Composited",
    "composite",
    "composite_sdf",
    "composite_sdf_reference",
    "laplace_density",
    "sdf_weights",
    "sdf_weights_reference",
    "sum_before",
    "weights_from_alpha",
    "weights_from_density",
]

MAX_SAMPLES, MAX_CHANNELS = 1024, 16  # of Triton: a ray stays in one program's registers
_FORMS: dict[str, Any] = {"numba": numba, "triton": triton}


def sdf_weights(
    sdf: Tensor, deltas: Tensor, beta: Tensor | float, *, backend: Backend = "auto"
) -> Tensor:
    """Weights of samples along rays, from signed distances (eq. 1 with VolSDF's density, eq. 2-3).

    Args:
        sdf: (N, S) signed distances, negative inside.
        deltas: (N, S), distance from each sample to the next, in the unit of `sdf`, not negative.
        beta: scale of the Laplace density, a number or a tensor of one; positive, in the unit of
            `sdf`.
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel.

    Returns:
        (N, S), each in [0, 1], with a sum of at most 1. Differentiable in `sdf`, `deltas` and
        `beta`; only the reference more than once.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run here.
    """
    beta = _checked(sdf, deltas, beta)
    chosen = choose("sdf_weights", backend, sdf, unfit=_unfit(sdf, deltas))
    if chosen == "torch":
        return sdf_weights_reference(sdf, deltas, beta)
    return _Fused.apply(_FORMS[chosen], sdf, deltas, beta, None, None)


def composite_sdf(
    sdf: Tensor,
    deltas: Tensor,
    t: Tensor,
    values: Tensor,
    beta: Tensor | float,
    *,
    backend: Backend = "auto",
) -> Composited:
    """Signed distances to what a ray shows, in one pass (eq. 1 with VolSDF's density, eq. 2-3).

    Args:
        sdf, deltas, beta, backend: as in `sdf_weights`.
        t: (N, S), distance along the ray.
        values: (N, S, C) what is summed up: colours, normals.

    Returns:
        See `Composited`. All four are differentiable in all inputs; only the reference more than
        once. At a signed distance of 0 the kernels give the density's slope, autograd of |sdf| 0.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run here.
    """
    beta = _checked(sdf, deltas, beta)
    check_shape("t", t, tuple(sdf.shape))
    if values.ndim != 3 or values.shape[:2] != sdf.shape:
        raise ValueError(f"values must be {tuple(sdf.shape)} + (C,), got {tuple(values.shape)}")
    chosen = choose("composite_sdf", backend, sdf, unfit=_unfit(sdf, deltas, t, values))
    if chosen == "torch":
        return composite_sdf_reference(sdf, deltas, t, values, beta)
    return Composited(*_Fused.apply(_FORMS[chosen], sdf, deltas, beta, t, values))


def _checked(sdf: Tensor, deltas: Tensor, beta: Tensor | float) -> Tensor:
    """Beta as a tensor; ValueError for shapes that do not fit."""
    if sdf.ndim != 2 or deltas.shape != sdf.shape:
        raise ValueError(
            f"sdf and deltas must be (N, S), got {tuple(sdf.shape)} and {tuple(deltas.shape)}"
        )
    return one_number(beta, sdf)


def _unfit(
    sdf: Tensor, deltas: Tensor, t: Tensor | None = None, values: Tensor | None = None
) -> dict[str, str] | str | None:
    """Why a kernel can't take these inputs."""
    samples, channels = sdf.shape[1], 1 if values is None else values.shape[2]
    if samples < 1 or channels < 1:
        return "there is nothing to sum up"
    if samples > MAX_SAMPLES or channels > MAX_CHANNELS:
        most = f"{MAX_SAMPLES} samples a ray and {MAX_CHANNELS} channels"
        return {"triton": f"it takes at most {most}, not {samples} and {channels}"}
    return unlike(sdf, deltas=deltas, t=t, values=values)


class _Fused(torch.autograd.Function):
    """`composite_sdf`; without `t` and `values` the weights alone. Saves the inputs alone."""

    @staticmethod
    def forward(
        ctx: Any, form: Any, sdf: Tensor, deltas: Tensor, beta: Tensor,
        t: Tensor | None, values: Tensor | None,
    ) -> Any:  # fmt: skip
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(sdf, deltas, beta, t, values)
        ctx.form = form
        sdf, deltas, t, values = contiguous(sdf, deltas, t, values)
        weights = torch.empty_like(sdf)
        if values is None:
            form.forward(sdf, deltas, t, values, beta, weights, None, None, None)
            return weights
        summed = sdf.new_empty(len(sdf), values.shape[-1])
        opacity, depth = sdf.new_empty(len(sdf)), sdf.new_empty(len(sdf))
        form.forward(sdf, deltas, t, values, beta, weights, summed, opacity, depth)
        return summed, opacity, depth, weights

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *ups: Tensor | None) -> Any:
        sdf, deltas, beta, t, values = ctx.saved_tensors
        sdf, deltas, t, values = contiguous(sdf, deltas, t, values)
        up_values, up_opacity, up_depth, up_weights = contiguous(
            *((None, None, None) if values is None else ()), *ups
        )
        _, for_sdf, for_deltas, for_beta, for_t, for_values = ctx.needs_input_grad
        g_sdf = torch.empty_like(sdf) if for_sdf else None
        g_deltas = torch.empty_like(sdf) if for_deltas else None
        g_t = torch.empty_like(sdf) if for_t and up_depth is not None else None
        g_values = torch.empty_like(values) if for_values and up_values is not None else None
        g_beta = ctx.form.backward(
            sdf, deltas, t, values, beta, (up_weights, up_values, up_opacity, up_depth),
            g_sdf, g_deltas, g_t, g_values,
        )  # fmt: skip
        g_beta = g_beta.sum().reshape(beta.shape) if for_beta else None
        return None, g_sdf, g_deltas, g_beta, g_t, g_values
