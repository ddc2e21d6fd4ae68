"""The small head on a GPU: a program walks over STEPS blocks of points; the weights stay with it.

[x, 1] is one tile of 16 columns and e another, so that E = 32 is not padded to 64. Products are
3 x TF32: three passes of the tensor cores, each factor split in a high and a low half, which keeps
about 21 bits. "ieee" leaves the tensor cores, and the backward then spills.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from privhead_nb.kernels.lazy import power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

_PRECISION = "tf32x3"
_WARPS = 4
# Points of a block, forward and backward: what the 255 registers of a thread hold at E = 32,
# H = 64, O = 16. Larger blocks spill kilobytes.
_FORWARD_BLOCK, _BACKWARD_BLOCK = 64, 32
_TILE = 16  # least side of a tile of a product
_RESIDENT = 2  # programs on a multiprocessor: they take all of its registers


@triton_kernel
def _silu(z):
    """silu(z) and silu'(z); what the caller drops is never computed."""
    decay = tl.exp(-tl.abs(z))
    gate = tl.where(z < 0, decay, 1.0) / (1.0 + decay)
    rest = tl.where(z < 0, 1.0, decay) / (1.0 + decay)
    return z * gate, gate * (1.0 + z * rest)


@triton_kernel
def _forward_kernel(
    p_points, p_encoded, p_v, p_w2, p_b2, p_out, count, H, E, OUT,
    BH: tl.constexpr, BE: tl.constexpr, BO: tl.constexpr, BLOCK: tl.constexpr,
    STEPS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    h, e, o, c = tl.arange(0, BH), tl.arange(0, BE), tl.arange(0, BO), tl.arange(0, 16)
    m_h, m_e, m_o, m_c = h < H, e < E, o < OUT, c < 4
    p_row = p_v + h[None, :] * (E + 4)
    b_vx = tl.load(p_row + c[:, None], mask=m_h[None, :] & m_c[:, None], other=0.0)
    b_ve = tl.load(p_row + 4 + e[:, None], mask=m_h[None, :] & m_e[:, None], other=0.0)
    b_w2 = tl.load(p_w2 + o[None, :] * H + h[:, None], mask=m_o[None, :] & m_h[:, None], other=0.0)
    b_b2 = tl.load(p_b2 + o, mask=m_o, other=0.0)
    for step in range(STEPS):
        n = (tl.program_id(0).to(tl.int64) * STEPS + step) * BLOCK + tl.arange(0, BLOCK)
        m_n = n < count
        m_nx = m_n[:, None] & (c < 3)[None, :]
        b_x = tl.load(p_points + n[:, None] * 3 + c[None, :], mask=m_nx, other=0.0)
        b_x = tl.where(c[None, :] == 3, 1.0, b_x)
        m_ne = m_n[:, None] & m_e[None, :]
        b_e = tl.load(p_encoded + n[:, None] * E + e[None, :], mask=m_ne, other=0.0)
        z = tl.dot(b_x, b_vx, input_precision=PRECISION)
        z += tl.dot(b_e, b_ve, input_precision=PRECISION)
        value, _ = _silu(z)
        out = tl.dot(value, b_w2, input_precision=PRECISION) + b_b2[None, :]
        tl.store(p_out + n[:, None] * OUT + o[None, :], out, mask=m_n[:, None] & m_o[None, :])


@triton_kernel
def _backward_kernel(
    p_points, p_encoded, p_v, p_w2, p_g_out, p_g_points, p_g_encoded, p_g_v, p_g_w2, p_g_b2,
    count, H, E, OUT, WANT_W: tl.constexpr,
    BH: tl.constexpr, BE: tl.constexpr, BO: tl.constexpr, BLOCK: tl.constexpr,
    STEPS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dV, dW2 and db2 add up in registers over a program's blocks: one partial sum a program.

    A gradient of points or code whose pointer is None is not wanted.
    """
    h, e, o, c = tl.arange(0, BH), tl.arange(0, BE), tl.arange(0, BO), tl.arange(0, 16)
    m_h, m_e, m_o, m_c = h < H, e < E, o < OUT, c < 4
    p_row = p_v + h[None, :] * (E + 4)
    b_vx = tl.load(p_row + c[:, None], mask=m_h[None, :] & m_c[:, None], other=0.0)
    b_ve = tl.load(p_row + 4 + e[:, None], mask=m_h[None, :] & m_e[:, None], other=0.0)
    b_w2 = tl.load(p_w2 + o[:, None] * H + h[None, :], mask=m_o[:, None] & m_h[None, :], other=0.0)
    sum_vx = tl.zeros((BH, 16), tl.float32)
    sum_ve = tl.zeros((BH, BE), tl.float32)
    sum_w2 = tl.zeros((BH, BO), tl.float32)
    sum_b2 = tl.zeros((BO,), tl.float32)
    for step in range(STEPS):
        n = (tl.program_id(0).to(tl.int64) * STEPS + step) * BLOCK + tl.arange(0, BLOCK)
        m_n = n < count
        m_nx = m_n[:, None] & (c < 3)[None, :]
        m_ne = m_n[:, None] & m_e[None, :]
        b_x = tl.load(p_points + n[:, None] * 3 + c[None, :], mask=m_nx, other=0.0)
        b_x = tl.where(c[None, :] == 3, 1.0, b_x)
        b_e = tl.load(p_encoded + n[:, None] * E + e[None, :], mask=m_ne, other=0.0)
        m_no = m_n[:, None] & m_o[None, :]
        b_g = tl.load(p_g_out + n[:, None] * OUT + o[None, :], mask=m_no, other=0.0)
        z = tl.dot(b_x, b_vx, input_precision=PRECISION)
        z += tl.dot(b_e, b_ve, input_precision=PRECISION)
        value, slope = _silu(z)
        dz = slope * tl.dot(b_g, b_w2, input_precision=PRECISION)
        if WANT_W:
            sum_vx += tl.dot(tl.trans(dz), b_x, input_precision=PRECISION)
            sum_ve += tl.dot(tl.trans(dz), b_e, input_precision=PRECISION)
            sum_w2 += tl.dot(tl.trans(value), b_g, input_precision=PRECISION)
            sum_b2 += tl.sum(b_g, axis=0)
        if p_g_encoded is not None:
            du = tl.dot(dz, tl.trans(b_ve), input_precision=PRECISION)
            tl.store(p_g_encoded + n[:, None] * E + e[None, :], du, mask=m_ne)
        if p_g_points is not None:
            du = tl.dot(dz, tl.trans(b_vx), input_precision=PRECISION)
            tl.store(p_g_points + n[:, None] * 3 + c[None, :], du, mask=m_nx)
    if WANT_W:
        row = tl.program_id(0) * H + h[:, None]
        tl.store(p_g_v + row * (E + 4) + c[None, :], sum_vx, mask=m_h[:, None] & m_c[None, :])
        tl.store(p_g_v + row * (E + 4) + 4 + e[None, :], sum_ve, mask=m_h[:, None] & m_e[None, :])
        tl.store(p_g_w2 + row * OUT + o[None, :], sum_w2, mask=m_h[:, None] & m_o[None, :])
        tl.store(p_g_b2 + tl.program_id(0) * OUT + o, sum_b2, mask=m_o)


def _shapes(encoded: Tensor, H: int, OUT: int, block: int) -> tuple[int, dict[str, Any]]:
    """Programs, and the shapes of one; the blocks that each walks over are a power of two.

    So few kernels are compiled, and between half of and all the programs that run at once are
    there, for many points.
    """
    (count, E), at_once = encoded.shape, 2  # in the interpreter
    if encoded.device.type == "cuda":
        processors = torch.cuda.get_device_properties(encoded.device).multi_processor_count
        at_once = _RESIDENT * processors
    blocks = -(-count // block)
    steps = power_of_two(-(-blocks // at_once))
    sizes = {name: power_of_two(n, _TILE) for name, n in (("BH", H), ("BE", E), ("BO", OUT))}
    fixed = {"BLOCK": block, "STEPS": steps, "PRECISION": _PRECISION}
    return -(-blocks // steps), sizes | fixed | {"num_warps": _WARPS, "num_stages": 1}


def forward(points: Tensor, encoded: Tensor, v: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """The outputs (N, O)."""
    (N, E), H, OUT = encoded.shape, len(v), len(w2)
    out = encoded.new_empty(N, OUT)
    programs, shapes = _shapes(encoded, H, OUT, _FORWARD_BLOCK)
    _forward_kernel.launch(
        encoded, (programs,), points, encoded, v, w2, b2, out, N, H, E, OUT, **shapes
    )
    return out


def backward(
    points: Tensor, encoded: Tensor, v: Tensor, w2: Tensor, g_out: Tensor,
    g_points: Tensor | None, g_encoded: Tensor | None, weights: bool,
) -> tuple[Tensor, Tensor, Tensor] | None:  # fmt: skip
    """Fill the gradients of points and code that are there; those of v, w2, b2 if wanted."""
    (N, E), H, OUT = encoded.shape, len(v), len(w2)
    programs, shapes = _shapes(encoded, H, OUT, _BACKWARD_BLOCK)
    sums = programs if weights else 0
    g_v, g_w2 = encoded.new_empty(sums, H, E + 4), encoded.new_empty(sums, H, OUT)
    g_b2 = encoded.new_empty(sums, OUT)
    _backward_kernel.launch(
        encoded, (programs,), points, encoded, v, w2, g_out, g_points, g_encoded, g_v, g_w2, g_b2,
        N, H, E, OUT, WANT_W=weights, **shapes,
    )  # fmt: skip
    return (g_v.sum(0), g_w2.sum(0).T, g_b2.sum(0)) if weights else None
