"""Cases of `kernels.sdf_head`: a head of 64 hidden units and 16 outputs behind a grid's code."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from privhead_nb.bench.case import Case, own_backend
from privhead_nb.kernels.dispatch import Backend
from privhead_nb.kernels.sdf_head import sdf_head, sdf_head_with_gradient

HIDDEN, OUT = 64, 16


def cases(device: torch.device, quick: bool = False) -> Iterator[Case]:
    """The head without and with its gradient in space; all but the points get gradients."""
    cuda = device.type == "cuda"
    E = 32 if cuda else 16
    counts = (65,) if quick else (8192, 65536, 1048576) if cuda else (12000,)
    own = own_backend(device)
    for count in counts:
        # only the distance is asked for by the four samples of a difference gradient
        for outputs in (OUT,) if cuda else (OUT, 1):
            yield Case(
                op="sdf_head",
                size=f"{count} x {E}, {outputs} out",
                inputs=tuple(_inputs(count, E, outputs, False, device)),
                functions={"eager": _value("torch"), "fused": _value(own)},
                bytes_forward=4 * count * (3 + E + outputs),
                bytes_backward=4 * count * (3 + E + outputs + E),
                flops=2 * count * HIDDEN * (3 + E + outputs),
            )
        yield Case(
            op="sdf_head",
            size=f"{count} x {E}, {OUT} out, gradient",
            inputs=tuple(_inputs(count, E, OUT, True, device)),
            functions={"eager": _both("torch"), "fused": _both(own)},
            bytes_forward=4 * count * (3 + 4 * E + OUT + 3),
            bytes_backward=4 * count * (3 + 4 * E + OUT + 3 + 4 * E),
            flops=2 * count * (HIDDEN * (2 * (3 + E) + OUT) + 3 * E),
        )


def _value(backend: Backend) -> Callable[..., Tensor]:
    def run(*inputs: Tensor) -> Tensor:
        return sdf_head(*inputs, backend=backend)

    return run


def _both(backend: Backend) -> Callable[..., tuple[Tensor, Tensor]]:
    def run(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        return sdf_head_with_gradient(*inputs, backend=backend)

    return run


def _inputs(
    count: int, codes: int, outputs: int, jacobian: bool, device: torch.device
) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(count + outputs)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=generator) * scale).to(device)

    yield normal(count, 3, scale=0.4)
    yield normal(count, codes).requires_grad_()
    if jacobian:
        yield normal(count, codes, 3).requires_grad_()
    yield normal(HIDDEN, 3 + codes, scale=(3 + codes) ** -0.5).requires_grad_()
    yield normal(HIDDEN).requires_grad_()
    yield normal(outputs, HIDDEN, scale=HIDDEN**-0.5).requires_grad_()
    yield normal(outputs).requires_grad_()
