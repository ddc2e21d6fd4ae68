"""Multi-resolution feature grids: features and their Jacobian in one pass.

The equations stand in `naive.py`. The kernels read w_c as three lerps: with t the corners' entries,
f the place in the cell and s = df/dx (0 outside),

    v = t_0 + f_z (t_1 - t_0)     u = v_0 + f_y (v_1 - v_0)     F = u_0 + f_x (u_1 - u_0)
    dF/dx = s_x (u_1 - u_0)

and the backward is the transpose of the lerps: dL/dF and dL/d(dF/dx) go to the corners in one
scatter. With splines of degree 2 the sums over 3 points an axis take the lerps' place, z first.

Least traffic a point and level of degree 1 with C channels of float32: 32 C bytes gathered, 16 C
written (4 C without the Jacobian), 12 for the point; the backward reads 16 C and adds to 32 C. The
tables fit in the second-level cache of a large GPU, so the gathers cost less than their bytes say.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.grid_encoding import numba, triton
from privhead_nb.kernels.grid_encoding.naive import GridLayout, encode_grid_reference
from privhead_nb.kernels.inputs import check_shape, contiguous, unlike

__all__ = ["GridLayout", "encode_grid", "encode_grid_reference"]

_FORMS: dict[str, Any] = {"numba": numba, "triton": triton}


def encode_grid(
    points: Tensor,
    table: Tensor,
    layout: GridLayout,
    *,
    jacobian: bool = True,
    into: Tensor | None = None,
    backend: Backend = "auto",
) -> tuple[Tensor, Tensor | None]:
    """Features of points, and their Jacobian.

    Both outputs have gradients to the table: a loss on the Jacobian, such as an eikonal term, needs
    no second pass through autograd. Only the reference gives one to the points, or can be
    differentiated again; points that want a gradient make "auto" take that.

    Args:
        points: (N, 3) in [-1, 1]; those outside are clamped, and get no gradient along that axis.
        table: (layout.entries, layout.channels), of the points' dtype and device.
        layout: the levels.
        jacobian: also return d features / d points.
        into: a contiguous buffer like the table, which the kernels' backward adds the table's
            gradient to instead of returning one: a table of megabytes that is asked several times
            a step is cleared and summed once. Pass `table.grad` (the reference takes no notice:
            autograd adds to it anyway).
        backend: "torch" is the reference, "numba" the CPU loop, "triton" the GPU kernel (1, 2, 4
            or 8 channels), "auto" the fastest that can run.

    Returns:
        features (N, layout.features) and the Jacobian (N, layout.features, 3) or None.

    Raises:
        ValueError: shapes, dtypes or devices that do not fit, or a forced backend that can't run.

    Source:
        Mueller et al. 2022, Instant Neural Graphics Primitives, section 3.
    """
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points must be (N, 3), got {tuple(points.shape)}")
    check_shape("table", table, (layout.entries, layout.channels))
    if wrong := unlike(points, table=table):
        raise ValueError(wrong)
    unfit: dict[str, str] | str | None = None
    if points.requires_grad and torch.is_grad_enabled():
        unfit = "it gives a gradient to the table only"
    elif layout.channels not in (1, 2, 4, 8):
        unfit = {"triton": f"it takes 1, 2, 4 or 8 channels, the layout has {layout.channels}"}
    chosen = choose("grid_encoding", backend, table, unfit=unfit)
    if chosen == "torch":
        return encode_grid_reference(points, table, layout, jacobian)
    if into is not None and (into.shape != table.shape or not into.is_contiguous()):
        raise ValueError("`into` must be contiguous and shaped like the table")
    features, *slope = _Encode.apply(_FORMS[chosen], points, table, layout, jacobian, into)
    return features, slope[0] if jacobian else None


class _Encode(torch.autograd.Function):
    """Saves the points, and nothing a point and level: the backward finds the corners again."""

    @staticmethod
    def forward(
        ctx: Any, form: Any, points: Tensor, table: Tensor, layout: GridLayout, jacobian: bool,
        into: Tensor | None,
    ) -> Any:  # fmt: skip
        points, table = contiguous(points, table)
        count = len(points)
        out = torch.empty(count, layout.features, device=points.device)
        slope = torch.empty(count if jacobian else 0, layout.features, 3, device=points.device)
        form.forward(points, table, layout, out, slope)
        ctx.save_for_backward(points)
        ctx.set_materialize_grads(False)
        ctx.form, ctx.layout, ctx.into = form, layout, into
        return (out, slope) if jacobian else (out,)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, g_out: Tensor | None, g_slope: Tensor | None = None) -> Any:
        (points,) = ctx.saved_tensors
        layout, into = ctx.layout, ctx.into
        none = points.new_empty(0, layout.features, 3)
        g_out = none[..., 0] if g_out is None else g_out.contiguous()
        g_slope = none if g_slope is None else g_slope.contiguous()
        g_table = into
        if into is None:
            g_table = torch.zeros(layout.entries, layout.channels, device=points.device)
        ctx.form.table_gradient(points, layout, g_out, g_slope, g_table)
        return None, None, g_table if into is None else None, None, None, None
