"""Cases of `kernels.gradient_loss`: the modulus of pictures, and the loss with its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.bench.case import Case, own_backend
from privhead_nb.kernels.dispatch import Backend
from privhead_nb.kernels.gradient_loss import gradient_loss, gradient_modulus
from privhead_nb.privacy.operators import Operator

Peers = dict[str, Callable[[], Any]]


def cases(device: torch.device, quick: bool = False) -> Iterator[Case]:
    """A step's patches, then whole pictures of three channels; Sobel, 3 x 3, and one of 5 x 5."""
    cuda = device.type == "cuda"
    patches, full = (10, 3, 10, 10), (1, 3, 1080, 1920)
    if quick:
        sizes = [patches]
    elif cuda:
        sizes = [patches, (100, 3, 10, 10), (8, 3, 512, 512), full, (4, 3, 2160, 3840)]
    else:
        sizes = [patches, (1, 3, 256, 256)]
    for size in sizes:
        yield _loss(size, device)
    for size in [patches] if quick else [patches, full]:
        yield _modulus(size, device, gradient=quick or cuda)
    if cuda and not quick:
        yield _loss(full, device, Operator("sobel", 5))


def _named(size: tuple[int, ...]) -> str:
    return " x ".join(map(str, size))


def _pictures(size: tuple[int, ...], device: torch.device, seed: int = 0) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(seed)).to(device)


def _loss(size: tuple[int, ...], device: torch.device, operator: Operator | None = None) -> Case:
    operator = operator or Operator()
    kx, ky = (kernel.to(device) for kernel in operator.kernels())
    B, _, H, W = size
    r = 2 * operator.reach
    target = _pictures((B, H - r, W - r), device, seed=1)

    def run(backend: Backend) -> Callable[..., Any]:
        def function(rendered: Tensor, target: Tensor) -> Tensor:
            return gradient_loss(rendered, target, kx, ky, backend=backend)

        return function

    rendered = _pictures(size, device).requires_grad_()
    read = 4 * (rendered.numel() + target.numel())
    return Case(
        op="gradient_loss",
        size=f"loss {_named(size)}" + (f", k {r + 1}" if r != 2 else ""),
        inputs=(rendered, target),
        functions={"eager": run("torch"), "fused": run(own_backend(device))},
        bytes_forward=read,
        bytes_backward=read + 4 * rendered.numel(),
        flops=rendered.numel() * 4 * (r + 1) ** 2,
    )


def _modulus(size: tuple[int, ...], device: torch.device, *, gradient: bool) -> Case:
    kx, ky = (kernel.to(device) for kernel in Operator().kernels())
    B, _, H, W = size
    images = _pictures(size, device).requires_grad_(gradient)
    moduli = B * (H - 2) * (W - 2)

    def run(backend: Backend) -> Callable[..., Any]:
        def function(images: Tensor) -> Tensor:
            return gradient_modulus(images, kx, ky, backend=backend)

        return function

    return Case(
        op="gradient_loss",
        size=f"modulus {_named(size)}",
        inputs=(images,),
        functions={"eager": run("torch"), "fused": run(own_backend(device))},
        bytes_forward=4 * (images.numel() + moduli),
        bytes_backward=4 * (2 * images.numel() + moduli) if gradient else 0,
        flops=images.numel() * 36,
        peers=peers(images.detach()) if B == 1 else {},
    )


def peers(images: Tensor) -> Peers:
    """The Sobel modulus of one picture (1, C, H, W) by OpenCV and kornia, where they are installed.

    Both border the picture; what they return is cut to the inner (H - 2, W - 2). OpenCV runs on
    the CPU, on planes and with as many threads as torch. Of its ways this was the fastest: the
    others are one Sobel of the interleaved picture and `filter2D`.
    """
    found: Peers = {}
    try:
        import kornia

        def by_kornia() -> Tensor:
            g = kornia.filters.spatial_gradient(images, "sobel", 1)[..., 1:-1, 1:-1]
            return torch.linalg.vector_norm(g, dim=1).sum(dim=1)

        found["kornia"] = by_kornia
    except ImportError:
        pass
    if images.device.type != "cpu":
        return found
    try:
        import cv2

        planes = [np.ascontiguousarray(plane) for plane in images[0].numpy()]

        def by_opencv() -> Any:
            cv2.setNumThreads(torch.get_num_threads())
            norms: list[Any] = []
            for d in ((1, 0), (0, 1)):
                squares = np.zeros_like(planes[0])
                for plane in planes:
                    cv2.accumulateSquare(cv2.Sobel(plane, cv2.CV_32F, *d, scale=1 / 8), squares)
                norms.append(cv2.sqrt(squares, squares))
            return cv2.add(norms[0], norms[1])[1:-1, 1:-1]

        found["opencv"] = by_opencv
    except ImportError:
        pass
    return found
