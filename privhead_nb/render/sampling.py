"""Where on a ray the field is asked: uniform, error-bounded (VolSDF), or near the surface.

Everything is in unit-sphere coordinates; t is the distance from the camera along a unit direction.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from privhead_nb.kernels.error_bounded import ErrorBound, error_bounded_samples
from privhead_nb.kernels.surface_march import Crossing, march

__all__ = [
    "ErrorBound",
    "SdfCache",
    "error_bounded_samples",
    "first_crossing",
    "uniform_samples",
]


def uniform_samples(
    near: Tensor, far: Tensor, count: int, generator: torch.Generator | None = None
) -> Tensor:
    """Stratified samples: one in each of `count` equal sections, jittered by the generator, if any.

    Args:
        near, far: (N,).

    Returns:
        (N, count), rising.
    """
    steps = torch.arange(count, device=near.device, dtype=near.dtype)
    jitter: Tensor | float = 0.5
    if generator is not None:
        jitter = torch.rand(len(near), count, generator=generator, device=near.device)
    return near[:, None] + (far - near)[:, None] * ((steps + jitter) / count)


class SdfCache:
    """The field on a coarse lattice: enough to find where rays meet the surface.

    Args:
        resolution: lattice points per axis over [-1, 1].
    """

    def __init__(self, resolution: int = 64) -> None:
        self.resolution = resolution
        self.values: Tensor | None = None
        self._at_surface: Tensor | None = None  # lattice points within a cell of the surface

    @torch.no_grad()
    def refresh(
        self,
        sdf: Callable[[Tensor], Tensor],
        device: torch.device | str = "cpu",
        within: float | None = None,
    ) -> None:
        """Ask the field at the lattice points.

        Args:
            sdf: (M, 3) -> (M,).
            device: where the lattice lives.
            within: ask only where the last answer was nearer to the surface than this.
        """
        self._at_surface = None
        axis = torch.linspace(-1, 1, self.resolution, device=device)
        lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
        if self.values is None or within is None:
            self.values = torch.cat([sdf(some) for some in lattice.split(1 << 16)])[:, None]
            return
        near = (self.values[:, 0].abs() < within).nonzero()[:, 0]
        new = [sdf(some) for some in lattice[near].split(1 << 16)]
        self.values = self.values.index_copy(0, near, torch.cat([*new, lattice[:0, 0]])[:, None])

    def near_surface(self, count: int, generator: torch.Generator) -> Tensor:
        """Random points within a cell or so of the surface, on all its sides; (count, 3).

        Fewer, if need be none, where the cache holds no surface.
        """
        values, res = self.lattice(), self.resolution
        cell = 2 / (res - 1)
        if self._at_surface is None:
            self._at_surface = (values[:, 0].abs() < cell).nonzero()[:, 0]
        near, device = self._at_surface, values.device
        if len(near) == 0:
            return torch.zeros(0, 3, device=device)
        drawn = near[torch.randint(len(near), (count,), generator=generator, device=device)]
        lattice = torch.stack([drawn // (res * res), drawn // res % res, drawn % res], -1)
        jitter = torch.rand(count, 3, generator=generator, device=device) - 0.5
        return ((lattice + jitter) * cell - 1).clamp(-1, 1)

    def lattice(self) -> Tensor:
        """The values, (resolution^3, 1)."""
        if self.values is None:
            raise RuntimeError("the cache is empty: call refresh(sdf) first")
        return self.values


def first_crossing(
    cache: SdfCache, origins: Tensor, directions: Tensor, steps: int = 64
) -> Crossing:
    """March rays (N, 3) through the cache in even steps (`kernels.surface_march.march`)."""
    return march(cache.lattice(), cache.resolution, origins, directions, steps=steps)
