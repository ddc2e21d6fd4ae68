"""Cases of `kernels.compositing`: signed distances to colour, opacity, depth and weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from privhead_nb.bench.case import Case, own_backend
from privhead_nb.kernels.compositing import (
    composite_sdf,
    composite_sdf_reference,
    sdf_weights,
    sdf_weights_reference,
)
from privhead_nb.kernels.dispatch import Backend

CHANNELS = 3


def cases(device: torch.device, quick: bool = False) -> Iterator[Case]:
    """Rays through a bumpy wall; gradients to distances, values and beta, as in training."""
    cuda = device.type == "cuda"
    own = own_backend(device)
    if quick:
        sizes, weights_sizes = [(16, 8)], [(16, 8)]
    elif cuda:
        sizes = [(1024, 98), (4096, 98), (16384, 128), (65536, 128)]
        weights_sizes = [(4096, 8)]
    else:
        sizes = [(1024, 8), (1024, 98), (8192, 98)]
        weights_sizes = [(1024, 8)]
    for rays, samples in weights_sizes:
        sdf, deltas, _, _, beta = _inputs(rays, samples, device)
        yield Case(
            op="compositing",
            size=f"{rays} x {samples}, weights",
            inputs=(sdf, deltas, beta),
            functions={"eager": sdf_weights_reference, "fused": _with(sdf_weights, own)},
            bytes_forward=rays * samples * 12,
            bytes_backward=rays * samples * 16,
            flops=rays * samples * 30,
        )
    for rays, samples in sizes:
        yield Case(
            op="compositing",
            size=f"{rays} x {samples}",
            inputs=_inputs(rays, samples, device),
            functions={"eager": composite_sdf_reference, "fused": _with(composite_sdf, own)},
            # f, delta, t and values in, weights out; back, theirs in too, and two gradients out
            bytes_forward=rays * (samples * (16 + 4 * CHANNELS) + 4 * CHANNELS + 8),
            bytes_backward=rays * (samples * (20 + 8 * CHANNELS) + 4 * CHANNELS + 8),
            flops=rays * samples * (34 + 2 * CHANNELS),
        )


def _with(function: Callable[..., Any], backend: Backend) -> Callable[..., Any]:
    def run(*inputs: Tensor) -> Any:
        return function(*inputs, backend=backend)

    return run


def _inputs(rays: int, samples: int, device: torch.device) -> tuple[Tensor, ...]:
    """Sorted samples over 2 units of way; the wall stands at 1.2, and a fifth of the rays miss."""
    generator = torch.Generator().manual_seed(rays)
    t = (2 * torch.rand(rays, samples, generator=generator)).sort(1).values
    deltas = torch.diff(t, dim=1, append=torch.full((rays, 1), 2.0))
    sdf = 1.2 - t + 0.05 * torch.randn(rays, samples, generator=generator)
    sdf[::5] = sdf[::5].abs() + 0.3
    values = torch.rand(rays, samples, CHANNELS, generator=generator)
    sdf, values, beta = sdf.to(device), values.to(device), torch.tensor(0.03, device=device)
    for leaf in (sdf, values, beta):
        leaf.requires_grad_()
    return sdf, deltas.to(device), t.to(device), values, beta
