"""Cases of `kernels.surface_march`: the march that finds where rays meet the surface."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.bench.case import Case, own_backend
from privhead_nb.kernels.dispatch import Backend
from privhead_nb.kernels.surface_march import march

RES, STEPS = 64, 64


def cases(device: torch.device, quick: bool = False) -> Iterator[Case]:
    """A bumpy ball in a 64^3 lattice, seen by rays of which about a third miss."""
    axis = torch.linspace(-1, 1, RES, device=device)
    lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    values = lattice.norm(dim=1) - 0.6 + 0.03 * torch.sin(9 * lattice).sum(1)
    own = own_backend(device)

    def run(backend: Backend) -> object:
        def function(origins: Tensor, directions: Tensor) -> tuple[Tensor, ...]:
            found = march(values, RES, origins, directions, steps=STEPS, backend=backend)
            return found.t, found.t_closest, found.closest

        return function

    counts = (16,) if quick else (1024, 16384, 262144) if device.type == "cuda" else (1024, 4096)
    for count in counts:
        generator = torch.Generator().manual_seed(count)
        origins = 3 * F.normalize(torch.randn(count, 3, generator=generator), dim=1)
        aim = torch.rand(count, 3, generator=generator) * 1.6 - 0.8
        directions = F.normalize(aim - origins, dim=1)
        yield Case(
            op="surface_march",
            size=f"{count} x {STEPS}",
            inputs=(origins.to(device), directions.to(device)),
            functions={"eager": run("torch"), "fused": run(own)},  # type: ignore[dict-item]
            bytes_forward=count * (24 + 17) + 4 * RES**3,
            flops=count * STEPS * 40,
        )
