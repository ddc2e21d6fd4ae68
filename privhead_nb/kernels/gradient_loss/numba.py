"""The gradient modulus and loss on the CPU: rows are worked on whole, so that loops vectorise.

Inlined, a row is no object that is counted at each call: 15 us for a step's patches, not 90.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.kernels.lazy import numba_kernel

_F0, _TINY = np.float32(0), np.float32(1e-36)
_NONE = np.empty((0, 0, 0), np.float32)
_CHUNK = 32  # picture rows that one job owns
_FEW = 1 << 15  # numbers in pictures so small that waking a second thread costs more than it gives


@numba_kernel()
def _two_numbers(taps):
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
def _common_derivatives(plane, y, a, m, gx, gy, nx, ny, pad):
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
def _derivatives(plane, y, taps, gx, gy, nx, ny, pad):
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
def _row_derivatives(images, b, y, taps, common, gx, gy, nx, ny, pad):
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
def _modulus_job(job, images, taps, common, out):
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
def _modulus_jobs(first, last, images, taps, out):
    common = _two_numbers(taps)
    for job in range(first, last):
        _modulus_job(job, images, taps, common, out)


@numba_kernel(inline="always")
def _scales(nx, ny, weight):
    """nx, ny: weight / |g|."""
    for x in range(len(nx)):
        nx[x] = weight[x] / np.sqrt(max(nx[x], _TINY))
        ny[x] = weight[x] / np.sqrt(max(ny[x], _TINY))


@numba_kernel(inline="always")
def _loss_scales(nx, ny, weight, target):
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
def _spread(ux, uy, taps, i, grad, y):
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
def _gradient_job(job, images, taps, common, weight, target, grad, sums):
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
def _gradient_jobs(first, last, images, taps, weight, target, grad, sums):
    common = _two_numbers(taps)
    for job in range(first, last):
        _gradient_job(job, images, taps, common, weight, target, grad, sums)


def _taps(kernels: tuple[Tensor, Tensor]) -> Any:
    """kx, then ky: (2, k, k) float32."""
    return np.array([kernel.detach().tolist() for kernel in kernels], np.float32)


def _array(x: Tensor) -> Any:
    """As a NumPy array whose rows lie one after the other."""
    return x.detach().contiguous().numpy()


def modulus(images: Tensor, kernels: tuple[Tensor, Tensor]) -> Tensor:
    """The modulus (B, h, w) of pictures (B, C, H, W)."""
    B, _, H, W = images.shape
    k = kernels[0].shape[-1]
    out = images.new_empty(B, H - k + 1, W - k + 1)
    jobs = B * -(-out.shape[1] // _CHUNK)
    run = _modulus_jobs.alone if images.numel() <= _FEW else _modulus_jobs
    run(jobs, _array(images), _taps(kernels), out.numpy())
    return out


def gradient(
    images: Tensor, kernels: tuple[Tensor, Tensor], weight: Any, target: Any = _NONE
) -> tuple[Tensor, float]:
    """See `_gradient_job`: the images' gradient, and the sum of errors."""
    jobs = images.shape[0] * -(-images.shape[2] // _CHUNK)
    grad = np.zeros(images.shape, np.float32)
    sums = np.empty(jobs)
    run = _gradient_jobs.alone if images.numel() <= _FEW else _gradient_jobs
    run(jobs, _array(images), _taps(kernels), weight, target, grad, sums)
    return torch.from_numpy(grad), float(sums.sum())
