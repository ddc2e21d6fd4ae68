"""The gradient modulus and loss on a GPU: a program walks down a strip, a lane holds two pixels.

3 x 3 kernels (Sobel, Scharr, Prewitt, central difference, Gaussian derivative) have two numbers:

    kx = m [-r 0 r; -1 0 1; -r 0 r], ky its transpose;  of a row: D = p2 - p0, S = r (p0 + p2) + p1
    g_x / m = r (D_top + D_low) + D_mid,  g_y / m = S_low - S_top        exactly 0 where flat

|m| is left to the end. A lane holds two pixels and D and S of the rows above, so a pixel is fetched
three times, out of the first-level cache, and not 27. Two pixels a lane because the four outputs
that they touch are then computed twice each, not three times. Other kernels take the reference.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import TYPE_CHECKING, no_type_check

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from privhead_nb.kernels.lazy import power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

_ROWS_FORWARD, _ROWS_GRADIENT = (12, 6, 3), (22, 10, 4)  # a program's; with 2 above, triples
_FULL = 512  # programs that fill a data-centre GPU
_CHANNELS = 4  # at most: their rows must fit in a lane's registers

_read = WeakTensorKeyDictionary()


def two_numbers(kx: Tensor, ky: Tensor) -> tuple[float, float] | None:
    """r and |m| of the module's text, if the kernels have that form."""
    if kx.shape != (3, 3):
        return None
    values = _values(kx) + _values(ky)
    a, m = values[2], values[5]
    common = (-a, 0.0, a, -m, 0.0, m, -a, 0.0, a, -a, -m, -a, 0.0, 0.0, 0.0, a, m, a)
    return (a / m, abs(m)) if m and values == common else None


def _values(kernel: Tensor) -> tuple[float, ...]:
    """A kernel's taps on the host. One that lies on a GPU is read once: reading waits for it."""
    if kernel.device.type == "cpu":
        return tuple(kernel.detach().flatten().tolist())
    known = _read.get(kernel)
    if known is None or known[0] != kernel._version:
        known = (kernel._version, tuple(kernel.detach().flatten().tolist()))
        _read[kernel] = known
    return known[1]


def why_not(images: Tensor, kx: Tensor, ky: Tensor) -> str | None:
    """Why these kernels or pictures can't be taken."""
    if two_numbers(kx, ky) is not None and images.shape[1] <= _CHANNELS:
        return None
    return f"it takes 3 x 3 kernels of two numbers, and up to {_CHANNELS} channels"


@triton_kernel
@no_type_check
def _row(p_row, x, s_c, s_x, limit, m_row, C: tl.constexpr, N: tl.constexpr):
    """Numbers x ... x + N - 1 of a row in all channels, 0 outside: a tuple of C * N blocks."""
    row = ()
    for c in tl.static_range(C):
        for n in tl.static_range(N // 2):
            both = x[:, None] + 2 * n + tl.arange(0, 2)[None, :]
            inside = m_row & (both >= 0) & (both < limit)
            even, odd = tl.split(tl.load(p_row + c * s_c + both * s_x, mask=inside, other=0.0))
            row = row + (even, odd)
    return row


@triton_kernel
@no_type_check
def _across(row, r, C: tl.constexpr, N: tl.constexpr):
    """D and S at each of the N - 2 outputs of each channel, one after the other."""
    out = ()
    for c in tl.static_range(C):
        for n in tl.static_range(N - 2):
            p0, p1, p2 = row[c * N + n], row[c * N + n + 1], row[c * N + n + 2]
            out = out + (p2 - p0, r * (p0 + p2) + p1)
    return out


@triton_kernel
@no_type_check
def _walk_kernel(
    p_image, p_target, p_weight, p_up, p_out, p_sums, r, size, s_b, s_c, s_y, s_x, H, W, strips,
    chunks, C: tl.constexpr, LOSS: tl.constexpr, WEIGHTED: tl.constexpr, GRAD: tl.constexpr,
    ROWS: tl.constexpr, LANES: tl.constexpr,
):  # fmt: skip
    """Modulus, loss sums, or either's gradient by the image, for ROWS rows of a strip.

    r and size: r and |m| of the module's text.
    """
    OUTS: tl.constexpr = 4 if GRAD else 2  # outputs that a lane computes
    N: tl.constexpr = OUTS + 2  # pixels that they see
    STEPS: tl.constexpr = ROWS + 2 if GRAD else ROWS
    pid = tl.program_id(0)
    first = pid // strips % chunks * ROWS
    b = (pid // strips // chunks).to(tl.int64)
    x = (pid % strips * LANES + tl.arange(0, LANES)) * 2
    h, w = H - 2, W - 2
    p_image += b * s_b
    p_out += b * (s_b if GRAD else h * w)
    if GRAD:  # start with the outputs that the strip's first pixels touch
        first, x = first - 2, x - 2
    zero = tl.zeros((LANES,), tl.float32)
    error, total, scale = zero, zero, size
    below, after = (), ()  # gradients of the next two pixel rows, as far as they are known
    if GRAD:
        for _ in tl.static_range(2 * C):
            below, after = below + (zero,), after + (zero,)
        if LOSS:
            scale = size * tl.load(p_up) * tl.load(p_sums)

    top = _row(p_image + first * s_y, x, s_c, s_x, W, (first >= 0) & (first < H), C, N)
    top = _across(top, r, C, N)
    y = first + 1
    mid = _row(p_image + y * s_y, x, s_c, s_x, W, (y >= 0) & (y < H), C, N)
    mid = _across(mid, r, C, N)
    y = first + 2
    coming = _row(p_image + y * s_y, x, s_c, s_x, W, y < H, C, N)
    for turn in range(STEPS // 3):  # three rows a turn: names change places, not registers
        for third in tl.static_range(3):
            step = 3 * turn + third
            low = _across(coming, r, C, N)
            o = first + step  # the output row
            m_o = (o >= 0) & (o < h)
            y = o + 3
            coming = _row(p_image + y * s_y, x, s_c, s_x, W, (y < H) & (step + 1 < STEPS), C, N)
            at = b * h * w + o * w
            if LOSS:
                wanted = _row(p_target + at, x, 0, 1, w, m_o, 1, OUTS)
            if WEIGHTED:
                weights = _row(p_weight + at, x, 0, 1, w, m_o, 1, OUTS)
            moduli, ux, uy = (), (), ()
            for n in tl.static_range(OUTS):
                g = ()
                nx, ny = zero, zero
                for c in tl.static_range(C):
                    gx = r * (top[2 * (c * OUTS + n)] + low[2 * (c * OUTS + n)])
                    gx += mid[2 * (c * OUTS + n)]
                    gy = low[2 * (c * OUTS + n) + 1] - top[2 * (c * OUTS + n) + 1]
                    nx += gx * gx
                    ny += gy * gy
                    g = g + (gx, gy)
                rx, ry = tl.rsqrt(tl.maximum(nx, 1e-36)), tl.rsqrt(tl.maximum(ny, 1e-36))
                modulus = size * (nx * rx + ny * ry)
                weight = tl.where(m_o & (x + n >= 0) & (x + n < w), 1.0, 0.0)
                if WEIGHTED:
                    weight = weights[n]
                if LOSS:
                    off = modulus - wanted[n]
                    if GRAD:
                        weight = tl.where(off > 0, weight, tl.where(off < 0, -weight, 0.0))
                    else:
                        error += weight * tl.abs(off)
                        total += weight
                if GRAD:
                    weight *= scale
                    rx, ry = rx * weight, ry * weight
                    for c in tl.static_range(C):
                        ux, uy = ux + (g[2 * c] * rx,), uy + (g[2 * c + 1] * ry,)
                else:
                    moduli = moduli + (modulus,)
            both = x[:, None] + tl.arange(0, 2)[None, :]
            if GRAD:  # the adjoint: pixel p of the lane is tap 2, 1, 0 of outputs p, p + 1, p + 2
                m_both = (step >= 2) & (o < H) & (both + 2 < W)
                known, coming_after = (), ()
                for c in tl.static_range(C):
                    done = ()
                    for p in tl.static_range(2):
                        across = ux[p * C + c] - ux[(p + 2) * C + c]
                        along = r * (uy[p * C + c] + uy[(p + 2) * C + c]) + uy[(p + 1) * C + c]
                        done = done + (below[2 * c + p] + (r * across - along),)
                        known = known + (after[2 * c + p] + across,)
                        coming_after = coming_after + (r * across + along,)
                    p_pixel = p_out + c * s_c + o * s_y + (both + 2) * s_x
                    tl.store(p_pixel, tl.join(done[0], done[1]), mask=m_both)
                below, after = known, coming_after
            elif not LOSS:
                tl.store(p_out + o * w + both, tl.join(moduli[0], moduli[1]), mask=m_o & (both < w))
            top, mid = mid, low
    if LOSS and not GRAD:
        tl.store(p_sums + 2 * pid, tl.sum(error, axis=0))
        tl.store(p_sums + 2 * pid + 1, tl.sum(total, axis=0))


@triton_kernel
def _finish_kernel(p_sums, p_loss, p_share, programs, BLOCK: tl.constexpr):
    """The loss, and 1 / sum of weights, out of the programs' sums, always in one order."""
    error, total = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    n = tl.arange(0, BLOCK)
    start = 0
    while start < programs:
        error += tl.load(p_sums + 2 * n, mask=n < programs, other=0.0)
        total += tl.load(p_sums + 2 * n + 1, mask=n < programs, other=0.0)
        n += BLOCK
        start += BLOCK
    weights = tl.sum(total, axis=0)
    share = tl.where(weights > 0, 1.0 / tl.maximum(weights, 1.2e-38), 0.0)
    tl.store(p_loss, tl.sum(error, axis=0) * share)
    tl.store(p_share, share)


def run(
    images: Tensor,
    kernels: tuple[Tensor, Tensor],
    out: Tensor,
    *,
    target: Tensor | None = None,
    weight: Tensor | None = None,
    up: Tensor | None = None,
    share: Tensor | None = None,
    grad: bool = False,
) -> None:
    """Fill `out` with the modulus, the images' gradient or the loss; with a loss `share`, one over
    the sum of weights, which its gradient (grad = True) then takes.

    `images` are dense in any order of their axes, and a gradient has their strides.
    """
    B, C, H, W = images.shape
    width, height = (W, H) if grad else (W - 2, H - 2)
    lanes = min(64, power_of_two(-(-width // 2), 16))
    strips = -(-width // (2 * lanes))
    heights = _ROWS_GRADIENT if grad else _ROWS_FORWARD
    enough = (n for n in heights if B * strips * -(-height // n) >= _FULL)
    rows = next(enough, heights[-1])
    chunks = -(-height // rows)
    programs = B * strips * chunks
    summed = target is not None and not grad
    sums = images.new_empty(2 * programs) if summed else images if share is None else share
    # a pointer that a kernel's flags leave unused is that of the images
    given = [images if x is None else x for x in (target, weight, up)]
    _walk_kernel.launch(
        images, (programs,), images, *given, out, sums, *(two_numbers(*kernels) or ()),
        *images.stride(), H, W, strips, chunks, C=C, LOSS=target is not None,
        WEIGHTED=weight is not None, GRAD=grad, ROWS=rows, LANES=lanes,
        num_warps=1 if lanes <= 32 else 2,
    )  # fmt: skip
    if summed:
        _finish_kernel.launch(images, (1,), sums, out, share, programs, BLOCK=1024, num_warps=4)


def gradient_like(images: Tensor) -> tuple[Tensor, Tensor]:
    """The images with strides that their gradient can have too, and that gradient, unset."""
    images = images.detach()
    grad = torch.empty_like(images)
    if grad.stride() != images.stride():
        images = images.contiguous()
        grad = torch.empty_like(images, memory_format=torch.contiguous_format)
    return images, grad
