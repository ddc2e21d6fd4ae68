"""Eq. 5 and 6: the gradient modulus of pictures, and the loss between two moduli.

    g_x[c] = kx * image[c]        m = |g_x| + |g_y|, norms over the channels          (eq. 6)
    L = sum_o w_o |m_o - t_o| / sum_o w_o,  o: the outputs, w: a mask or ones         (eq. 5)

The backward is a gather, so that no two programs write one place. Pixel p is seen by the outputs
p - d, d over the taps:

    dL / d image[c, p] = sum_d  s_o (kx[d] g_x[c, o] / |g_x, o| + ky[d] g_y[c, o] / |g_y, o|),
    o = p - d,  s_o = dL / d m_o,  for the loss  s_o = up w_o sign(m_o - t_o) / sum w

and g / |g| = g / sqrt(max(|g|^2, 1e-36)): exactly 0 where g is 0.

Bytes, per pixel of three channels: the loss reads 12 + 4 and its backward 12 + 4 and writes 12,
44 in all. A forward that wrote the gradient and a backward that scaled it would move 52, and hold
the 12 in between; so on a GPU the backward computes g again: what is saved is the inputs. On a CPU
arithmetic is dearer than bytes, and a call dearer than both: there the loss makes the gradient in
the same pass, and the backward scales it.

3 x 3 kernels (Sobel, Scharr, Prewitt, central difference, Gaussian derivative) have two numbers:

    kx = m [-r 0 r; -1 0 1; -r 0 r], ky its transpose;  of a row: D = p2 - p0, S = r (p0 + p2) + p1
    g_x / m = r (D_top + D_low) + D_mid,  g_y / m = S_low - S_top        exactly 0 where flat

On a GPU a program walks down a strip with them, |m| left to the end. A lane holds two pixels and
D and S of the rows above, so a pixel is fetched three times, out of the first-level cache, and not
27. Two pixels a lane because the four outputs that they touch are then computed twice each, not
three times. Other kernels would take k^4 operations a pixel that way: their backward writes
g / |g| once and gathers it, 24 bytes a pixel and channel more, for its own duration.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, no_type_check

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from privhead_nb.kernels.dispatch import Backend, Chosen, choose
from privhead_nb.kernels.lazy import numba_kernel, power_of_two, triton_kernel

if TYPE_CHECKING:
    import triton.language as tl

_F0, _TINY = np.float32(0), np.float32(1e-36)
_NONE = np.empty((0, 0, 0), np.float32)
_CHUNK = 32  # picture rows that one Numba job owns
_FEW = 1 << 15  # numbers in pictures so small that waking a second thread costs more than it gives
_WIDEST = 15  # pixels; taps go one by one, and wider kernels are better left to the convolution
_ROWS_FORWARD, _ROWS_GRADIENT = (12, 6, 3), (22, 10, 4)  # a program's; with 2 above, triples
_FULL = 512  # programs that fill a data-centre GPU
_BLOCK = 256


def gradient_modulus_reference(images: Tensor, kx: Tensor, ky: Tensor) -> Tensor:
    """The specification of eq. 6: see `gradient_modulus`."""
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


# ---- Numba: rows are worked on whole, so that every inner loop runs over x and vectorises.
# Inlined, a row is no object that is counted at each call: 15 us for a step's patches, not 90.


@numba_kernel()
def _two_numbers(taps):  # type: ignore[no-untyped-def]
    """Whether taps (2, k, k) have the common form of the module's text."""
    if taps.shape[1] != 3:
        return False
    for i in range(3):
        for j in range(3):
            wanted = taps[0, i % 2, 2] * np.float32(j - 1)
            if taps[0, i, j] != wanted or taps[1, j, i] != wanted:
                return False
    return True


@numba_kernel(inline="always")
def _common_derivatives(plane, y, a, m, gx, gy, nx, ny, pad):  # type: ignore[no-untyped-def]
    """Row y of g of a plane (H, W) goes to gx, gy from `pad` on; its squares join nx, ny."""
    for x in range(len(nx)):
        p0, p1, p2 = plane[y, x], plane[y, x + 1], plane[y, x + 2]
        p3, p5 = plane[y + 1, x], plane[y + 1, x + 2]
        p6, p7, p8 = plane[y + 2, x], plane[y + 2, x + 1], plane[y + 2, x + 2]
        u = a * ((p2 - p0) + (p8 - p6)) + m * (p5 - p3)
        v = a * ((p6 - p0) + (p8 - p2)) + m * (p7 - p1)
        gx[pad + x] = u
        gy[pad + x] = v
        nx[x] += u * u
        ny[x] += v * v


@numba_kernel(inline="always")
def _derivatives(plane, y, taps, gx, gy, nx, ny, pad):  # type: ignore[no-untyped-def]
    """The same for any taps."""
    k, w = taps.shape[1], len(nx)
    for x in range(w):
        gx[pad + x] = _F0
        gy[pad + x] = _F0
    for i in range(k):
        for j in range(k):
            a, b = taps[0, i, j], taps[1, i, j]
            if a != _F0 or b != _F0:
                for x in range(w):
                    value = plane[y + i, x + j]
                    gx[pad + x] += a * value
                    gy[pad + x] += b * value
    for x in range(w):
        nx[x] += gx[pad + x] * gx[pad + x]
        ny[x] += gy[pad + x] * gy[pad + x]


@numba_kernel(inline="always")
def _row_derivatives(images, b, y, taps, common, gx, gy, nx, ny, pad):  # type: ignore[no-untyped-def]
    """Output row y of picture b: g of every channel, and the squared norms."""
    for x in range(len(nx)):
        nx[x] = _F0
        ny[x] = _F0
    for c in range(images.shape[1]):
        if common:
            a, m = taps[0, 0, 2], taps[0, 1, 2]
            _common_derivatives(images[b, c], y, a, m, gx[c], gy[c], nx, ny, pad)
        else:
            _derivatives(images[b, c], y, taps, gx[c], gy[c], nx, ny, pad)


@numba_kernel()
def _modulus_job(job, images, taps, common, out):  # type: ignore[no-untyped-def]
    """The modulus of some rows of a picture."""
    C, h, w = images.shape[1], out.shape[1], out.shape[2]
    chunks = (h + _CHUNK - 1) // _CHUNK
    b, chunk = job // chunks, job % chunks
    gx, gy = np.empty((C, w), np.float32), np.empty((C, w), np.float32)
    nx, ny = np.empty(w, np.float32), np.empty(w, np.float32)
    for y in range(chunk * _CHUNK, min(h, (chunk + 1) * _CHUNK)):
        _row_derivatives(images, b, y, taps, common, gx, gy, nx, ny, 0)
        for x in range(w):
            out[b, y, x] = np.sqrt(nx[x]) + np.sqrt(ny[x])


@numba_kernel(parallel=True)
def _modulus_jobs(first, last, images, taps, out):  # type: ignore[no-untyped-def]
    common = _two_numbers(taps)
    for job in range(first, last):
        _modulus_job(job, images, taps, common, out)


@numba_kernel(inline="always")
def _scales(nx, ny, weight):  # type: ignore[no-untyped-def]
    """nx, ny: weight / |g|."""
    for x in range(len(nx)):
        nx[x] = weight[x] / np.sqrt(max(nx[x], _TINY))
        ny[x] = weight[x] / np.sqrt(max(ny[x], _TINY))


@numba_kernel(inline="always")
def _loss_scales(nx, ny, weight, target):  # type: ignore[no-untyped-def]
    """nx, ny: weight sign(m - target) / |g|; returns the row's sum of weight |m - target|."""
    error = _F0
    for x in range(len(nx)):
        off = np.sqrt(nx[x]) + np.sqrt(ny[x]) - target[x]
        error += weight[x] * abs(off)
        s = weight[x] if off > _F0 else (-weight[x] if off < _F0 else _F0)
        nx[x] = s / np.sqrt(max(nx[x], _TINY))
        ny[x] = s / np.sqrt(max(ny[x], _TINY))
    return error


@numba_kernel(inline="always")
def _spread(ux, uy, taps, i, grad, y):  # type: ignore[no-untyped-def]
    """Add row i of the taps' adjoint: grad[y, x] += sum_j tap[i, j] u[x - j]; u has k - 1 zeros
    before and after."""
    k, W = taps.shape[1], grad.shape[1]
    if k == 3:
        a0, a1, a2 = taps[0, i, 0], taps[0, i, 1], taps[0, i, 2]
        b0, b1, b2 = taps[1, i, 0], taps[1, i, 1], taps[1, i, 2]
        for x in range(W):
            grad[y, x] += (a0 * ux[x + 2] + a1 * ux[x + 1] + a2 * ux[x]) + (
                b0 * uy[x + 2] + b1 * uy[x + 1] + b2 * uy[x]
            )
        return
    for j in range(k):
        a, b, at = taps[0, i, j], taps[1, i, j], k - 1 - j
        for x in range(W):
            grad[y, x] += a * ux[x + at] + b * uy[x + at]


@numba_kernel()
def _gradient_job(job, images, taps, common, weight, target, grad, sums):  # type: ignore[no-untyped-def]
    """Add to grad, which is 0: the gradient by the images of sum(weight * modulus), or, where there
    is a target, of sum(weight * |modulus - target|), whose value goes to sums[job].

    A job owns picture rows. It computes the outputs above them that they share with the job
    before, and adds to its own rows only. A weight of one row holds for all.
    """
    B, C, H, W = images.shape
    k = taps.shape[1]
    h, w, pad = H - k + 1, W - k + 1, k - 1
    chunks = (H + _CHUNK - 1) // _CHUNK
    b, first = job // chunks, job % chunks * _CHUNK
    last = min(H, first + _CHUNK)
    ux, uy = np.zeros((C, w + 2 * pad), np.float32), np.zeros((C, w + 2 * pad), np.float32)
    nx, ny = np.empty(w, np.float32), np.empty(w, np.float32)
    each = weight.shape[0] == B and weight.shape[1] == h
    total = 0.0
    for y in range(max(0, first - pad), min(h, last)):
        _row_derivatives(images, b, y, taps, common, ux, uy, nx, ny, pad)
        weights = weight[b, y] if each else weight[0, 0]
        if target.shape[0] > 0:
            error = _loss_scales(nx, ny, weights, target[b, y])
            if y >= first:  # what stands above belongs to the job before
                total += error
        else:
            _scales(nx, ny, weights)
        for c in range(C):
            for x in range(w):
                ux[c, pad + x] *= nx[x]
                uy[c, pad + x] *= ny[x]
            for i in range(max(0, first - y), min(k, last - y)):
                _spread(ux[c], uy[c], taps, i, grad[b, c], y + i)
    sums[job] = total


@numba_kernel(parallel=True)
def _gradient_jobs(first, last, images, taps, weight, target, grad, sums):  # type: ignore[no-untyped-def]
    common = _two_numbers(taps)
    for job in range(first, last):
        _gradient_job(job, images, taps, common, weight, target, grad, sums)


# ---- Triton, 3 x 3 kernels of two numbers: a program walks down a strip, a lane holds two pixels


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


# ---- Triton, any other size: an output a lane, taps in a loop


@triton_kernel
@no_type_check
def _any_kernel(
    p_image, p_taps, p_target, p_weight, p_up, p_out, p_sums, s_b, s_c, s_y, s_x, h, w, count,
    C: tl.constexpr, K: tl.constexpr, LOSS: tl.constexpr, WEIGHTED: tl.constexpr,
    GRAD: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Modulus, loss sums, or (GRAD) s g / |g| of each output, (B, C, 2, h, w), to be gathered."""
    pid = tl.program_id(0)
    o = pid.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_o = o < count
    b, y, x = o // (h * w), o // w % h, o % w
    p_seen = p_image + b * s_b + y * s_y + x * s_x
    nx, ny = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for c in range(C):
        gx, gy = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
        for t in range(K * K):
            p_pixel = p_seen + c * s_c + t // K * s_y + t % K * s_x
            value = tl.load(p_pixel, mask=m_o, other=0.0)
            gx += tl.load(p_taps + t) * value
            gy += tl.load(p_taps + K * K + t) * value
        nx += gx * gx
        ny += gy * gy
    rx, ry = tl.rsqrt(tl.maximum(nx, 1e-36)), tl.rsqrt(tl.maximum(ny, 1e-36))
    modulus = nx * rx + ny * ry
    weight = tl.where(m_o, 1.0, 0.0)
    if WEIGHTED:
        weight = tl.load(p_weight + o, mask=m_o, other=0.0)
    if LOSS:
        off = modulus - tl.load(p_target + o, mask=m_o, other=0.0)
        if GRAD:
            weight = tl.where(off > 0, weight, tl.where(off < 0, -weight, 0.0))
            weight = weight * (tl.load(p_up) * tl.load(p_sums))
        else:
            tl.store(p_sums + 2 * pid, tl.sum(weight * tl.abs(off), axis=0))
            tl.store(p_sums + 2 * pid + 1, tl.sum(weight, axis=0))
    elif not GRAD:
        tl.store(p_out + o, modulus, mask=m_o)
    if GRAD:
        rx, ry = rx * weight, ry * weight
        for c in range(C):
            gx, gy = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
            for t in range(K * K):
                p_pixel = p_seen + c * s_c + t // K * s_y + t % K * s_x
                value = tl.load(p_pixel, mask=m_o, other=0.0)
                gx += tl.load(p_taps + t) * value
                gy += tl.load(p_taps + K * K + t) * value
            p_unit = p_out + (b * C + c) * 2 * h * w + y * w + x
            tl.store(p_unit, gx * rx, mask=m_o)
            tl.store(p_unit + h * w, gy * ry, mask=m_o)


@triton_kernel
@no_type_check
def _gather_kernel(
    p_units, p_taps, p_grad, s_b, s_c, s_y, s_x, H, W, count, C: tl.constexpr, K: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """The adjoint of both correlations: a pixel of a channel a lane."""
    e = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    m_e = e < count
    plane, y, x = e // (H * W), e // W % H, e % W
    h, w = H - K + 1, W - K + 1
    grad = tl.zeros((BLOCK,), tl.float32)
    for t in range(K * K):
        v, u = y - t // K, x - t % K
        inside = m_e & (v >= 0) & (v < h) & (u >= 0) & (u < w)
        p_unit = p_units + plane * 2 * h * w + v * w + u
        grad += tl.load(p_taps + t) * tl.load(p_unit, mask=inside, other=0.0)
        grad += tl.load(p_taps + K * K + t) * tl.load(p_unit + h * w, mask=inside, other=0.0)
    b, c = plane // C, plane % C
    tl.store(p_grad + b * s_b + c * s_c + y * s_y + x * s_x, grad, mask=m_e)


@triton_kernel
def _finish_kernel(p_sums, p_loss, p_share, programs, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
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


# ---- Launchers


_read = WeakTensorKeyDictionary()


def _values(kernel: Tensor) -> tuple[float, ...]:
    """A kernel's taps on the host. One that lies on a GPU is read once: reading waits for it."""
    if kernel.device.type == "cpu":
        return tuple(kernel.detach().flatten().tolist())
    known = _read.get(kernel)
    if known is None or known[0] != kernel._version:
        known = (kernel._version, tuple(kernel.detach().flatten().tolist()))
        _read[kernel] = known
    return known[1]


def _numbers(values: tuple[float, ...]) -> tuple[float, float] | None:
    """r and |m| of the module's text, if kernels (kx, then ky) have that form."""
    a, m = values[2], values[5]
    kx = (-a, 0.0, a, -m, 0.0, m, -a, 0.0, a)
    ky = (-a, -m, -a, 0.0, 0.0, 0.0, a, m, a)
    return (a / m, abs(m)) if m and values == kx + ky else None


@lru_cache(maxsize=64)
def _taps_on(values: tuple[float, ...], device: torch.device) -> Tensor:
    """kx, then ky, on the device."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=torch.float32, device=device)


def _run_triton(
    images: Tensor,
    kernels: tuple[Tensor, Tensor],
    *,
    out: Tensor | None = None,
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
    k = kernels[0].shape[-1]
    h, w = H - k + 1, W - k + 1
    values = _values(kernels[0]) + _values(kernels[1])
    numbers = _numbers(values) if k == 3 and C <= 4 else None
    summed = target is not None and not grad
    flags: dict[str, Any] = {
        "LOSS": target is not None,
        "WEIGHTED": weight is not None,
        "GRAD": grad,
        "C": C,
    }
    # a pointer that a kernel's flags leave unused is that of the images
    given = [images if x is None else x for x in (target, weight, up)]
    out = images if out is None else out
    if numbers is not None:
        width, height = (W, H) if grad else (w, h)
        lanes = min(64, power_of_two(-(-width // 2), 16))
        strips = -(-width // (2 * lanes))
        heights = _ROWS_GRADIENT if grad else _ROWS_FORWARD
        enough = (n for n in heights if B * strips * -(-height // n) >= _FULL)
        rows = next(enough, heights[-1])
        chunks = -(-height // rows)
        programs = B * strips * chunks
    else:
        programs = -(-B * h * w // _BLOCK)
    sums = images.new_empty(2 * programs) if summed else images if share is None else share
    with torch.cuda.device_of(images):
        if numbers is not None:
            _walk_kernel[(programs,)](
                images, *given, out, sums, *numbers, *images.stride(), H, W, strips, chunks,
                ROWS=rows, LANES=lanes, num_warps=1 if lanes <= 32 else 2, **flags,
            )  # fmt: skip
        else:
            taps = _taps_on(values, images.device)
            units = images.new_empty(B, C, 2, h, w) if grad else out
            _any_kernel[(programs,)](
                images, taps, *given, units, sums, *images.stride(), h, w, B * h * w,
                K=k, BLOCK=_BLOCK, num_warps=4, **flags,
            )  # fmt: skip
            if grad:
                _gather_kernel[(-(-images.numel() // _BLOCK),)](
                    units, taps, out, *out.stride(), H, W, images.numel(), C=C, K=k,
                    BLOCK=_BLOCK, num_warps=4,
                )  # fmt: skip
        if summed:
            _finish_kernel[(1,)](sums, out, share, programs, BLOCK=1024, num_warps=4)


def _dense(images: Tensor) -> tuple[Tensor, Tensor]:
    """The images with strides that their gradient can have too, and that gradient, unset."""
    images = images.detach()
    grad = torch.empty_like(images)
    if grad.stride() != images.stride():
        images = images.contiguous()
        grad = torch.empty_like(images, memory_format=torch.contiguous_format)
    return images, grad


def _array(x: Tensor) -> Any:
    """As a NumPy array whose rows lie one after the other."""
    return x.detach().contiguous().numpy()


def _host_taps(kernels: tuple[Tensor, Tensor]) -> Any:
    """kx, then ky: (2, k, k) float32."""
    return np.array([_values(kernel) for kernel in kernels], np.float32).reshape(
        2, *kernels[0].shape
    )


def _numba_modulus(images: Tensor, kernels: tuple[Tensor, Tensor]) -> Tensor:
    B, _, H, W = images.shape
    k = kernels[0].shape[-1]
    out = images.new_empty(B, H - k + 1, W - k + 1)
    jobs = B * -(-out.shape[1] // _CHUNK)
    run = _modulus_jobs.alone if images.numel() <= _FEW else _modulus_jobs
    run(jobs, _array(images), _host_taps(kernels), out.numpy())
    return out


def _numba_gradient(
    images: Tensor, kernels: tuple[Tensor, Tensor], weight: Any, target: Any = _NONE
) -> tuple[Tensor, float]:
    """See `_gradient_job`: the images' gradient, and the sum of errors."""
    jobs = images.shape[0] * -(-images.shape[2] // _CHUNK)
    grad = np.zeros(images.shape, np.float32)
    sums = np.empty(jobs)
    run = _gradient_jobs.alone if images.numel() <= _FEW else _gradient_jobs
    run(jobs, _array(images), _host_taps(kernels), weight, target, grad, sums)
    return torch.from_numpy(grad), float(sums.sum())


class _Modulus(torch.autograd.Function):
    """Saves the images; the backward computes their derivatives again."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, kx: Tensor, ky: Tensor, form: Chosen) -> Tensor:
        ctx.save_for_backward(images)
        ctx.kernels, ctx.form = (kx, ky), form
        if form == "numba":
            return _numba_modulus(images, ctx.kernels)
        B, _, H, W = images.shape
        k = kx.shape[-1]
        out = images.new_empty(B, H - k + 1, W - k + 1)
        _run_triton(images.detach(), ctx.kernels, out=out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        (images,) = ctx.saved_tensors
        upstream = upstream.contiguous()
        if ctx.form == "triton":
            images, grad = _dense(images)
            _run_triton(images, ctx.kernels, out=grad, weight=upstream, grad=True)
        else:
            grad, _ = _numba_gradient(images, ctx.kernels, upstream.numpy())
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
            _run_triton(
                rendered.detach(), ctx.kernels, out=loss, target=target, weight=weight, share=share
            )
            ctx.save_for_backward(rendered, target, weight, share)
            return loss
        total = float(target.numel() if weight is None else weight.sum())
        if ctx.needs_input_grad[0]:
            ones = np.ones((1, 1, target.shape[2]), np.float32)
            weights = ones if weight is None else weight.numpy()
            grad, error = _numba_gradient(rendered, ctx.kernels, weights, target.numpy())
            ctx.save_for_backward(grad)
        else:
            off = _numba_modulus(rendered, ctx.kernels).sub_(target).abs_()
            error = float((off if weight is None else off.mul_(weight)).sum())
        ctx.share = 1.0 / total if total > 0 else 0.0
        return rendered.new_tensor(error * ctx.share)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if ctx.form == "triton":
            rendered, target, weight, share = ctx.saved_tensors
            images, grad = _dense(rendered)
            _run_triton(
                images, ctx.kernels, out=grad, target=target, weight=weight, up=upstream,
                share=share, grad=True,
            )  # fmt: skip
        else:
            (grad,) = ctx.saved_tensors
            grad = grad * (upstream * ctx.share)
        return grad, None, None, None, None, None


def _unfit(images: Tensor, kx: Tensor, ky: Tensor, *others: Tensor | None) -> dict[str, str]:
    """Why the kernels can't take these inputs: backend -> reason."""
    given = [x for x in others if x is not None]
    reason = None
    if kx.requires_grad or ky.requires_grad or any(x.requires_grad for x in given):
        reason = "it gives a gradient to the pictures only"
    elif any(x.device != images.device for x in given):
        reason = "the inputs lie on several devices"
    elif given and given[0].dtype != images.dtype:
        reason = f"the pictures are {images.dtype}, the target {given[0].dtype}"
    elif kx.shape[-1] > _WIDEST:
        reason = f"its derivative kernels are at most {_WIDEST} pixels wide, not {kx.shape[-1]}"
    return {} if reason is None else {"numba": reason, "triton": reason}


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
        if x is not None and tuple(x.shape) != shape:
            raise ValueError(f"gradient_loss: {name} must be {shape}, got {tuple(x.shape)}")
    unfit = _unfit(rendered, kx, ky, target, mask)
    form = choose("gradient_loss", backend, rendered, unfit=unfit)
    if form == "torch" or shape[0] == 0:
        return gradient_loss_reference(rendered, target, kx, ky, mask)
    return _Loss.apply(rendered, target, mask, kx, ky, form)
