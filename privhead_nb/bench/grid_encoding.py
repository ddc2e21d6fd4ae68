"""Cases of `kernels.grid_encoding`: with the Jacobian, and features alone beside grid_sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.bench.case import Case, own_backend
from privhead_nb.kernels.dispatch import Backend
from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid

DENSE = GridLayout((12, 24, 48, 80), channels=4)
# Instant-NGP's: 16 levels from 16 to 512 in even ratios, two channels, 2^19 entries at most
HASHED = GridLayout(
    tuple(round(16 * 32 ** (k / 15)) for k in range(16)), channels=2, max_entries=2**19
)
TINY = GridLayout((4, 7), channels=2)


def cases(device: torch.device, quick: bool = False) -> Iterator[Case]:
    """Points of a ball. The upstream gradients of features and Jacobian are random.

    A backward through the Jacobian is the second order of the features: what an eikonal loss needs.
    """
    layouts: dict[str, GridLayout]
    counts: tuple[int, ...]
    own = own_backend(device)
    if quick:
        layouts, counts = {"tiny": TINY}, (33,)
    elif device.type == "cuda":
        layouts, counts = {"dense 4 x 4": DENSE, "hashed 16 x 2": HASHED}, (8192, 65536, 524288)
    else:
        layouts, counts = {"dense 4 x 4": DENSE}, (12000,)
    for name, layout in layouts.items():
        few = len(layout.resolutions) <= 4  # the compiler takes minutes over 16 levels x 8 corners
        for count in counts:
            inputs = _inputs(layout, count, device)
            yield Case(
                op="grid_encoding",
                size=f"{count}, {name}",
                inputs=inputs,
                functions={"eager": _both(layout, "torch"), "fused": _both(layout, own)},
                bytes_forward=_bytes(layout, count, numbers=4),
                bytes_backward=_bytes_backward(layout, count, numbers=4),
                flops=count * layout.features * 50,
                compile=few,
            )
            functions = {"eager": _features(layout, "torch"), "fused": _features(layout, own)}
            if not any(layout.hashed):
                functions["grid_sample"] = lambda p, t, layout=layout: grid_sample(p, t, layout)
            yield Case(
                op="grid_encoding",
                size=f"{count}, {name}, features alone",
                inputs=inputs,
                functions=functions,
                bytes_forward=_bytes(layout, count, numbers=1),
                bytes_backward=_bytes_backward(layout, count, numbers=1),
                flops=count * layout.features * 25,
                compile=few,
            )


def grid_sample(points: Tensor, table: Tensor, layout: GridLayout) -> Tensor:
    """Features of dense levels by `torch.nn.functional.grid_sample`."""
    where = points.flip(-1)[None, None, None]  # its last axis names the fastest of the volume first
    features, first = [], 0
    for res, size in zip(layout.resolutions, layout.sizes, strict=True):
        volume = table[first : first + size].reshape(1, res, res, res, -1).permute(0, 4, 1, 2, 3)
        out = F.grid_sample(volume, where, padding_mode="border", align_corners=True)
        features.append(out[0, :, 0, 0].T)
        first += size
    return torch.cat(features, -1)


def _inputs(layout: GridLayout, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(count)
    direction = F.normalize(torch.randn(count, 3, generator=generator), dim=1)
    points = 0.98 * direction * torch.rand(count, 1, generator=generator) ** (1 / 3)
    table = torch.randn(layout.entries, layout.channels, generator=generator)
    return points.to(device), table.to(device).requires_grad_()


def _both(layout: GridLayout, backend: Backend) -> Callable[..., tuple[Tensor, Tensor | None]]:
    return lambda points, table: encode_grid(points, table, layout, backend=backend)


def _features(layout: GridLayout, backend: Backend) -> Callable[..., Tensor]:
    return lambda points, table: encode_grid(
        points, table, layout, jacobian=False, backend=backend
    )[0]


def _bytes(layout: GridLayout, count: int, numbers: int) -> int:
    """Points, the entries that their corners can touch, and `numbers` floats a feature."""
    touched = sum(min(size, 8 * count) for size in layout.sizes)
    return 12 * count + 4 * touched * layout.channels + 4 * numbers * layout.features * count


def _bytes_backward(layout: GridLayout, count: int, numbers: int) -> int:
    """Points, upstream gradients, and the whole table's gradient, which is dense."""
    return 12 * count + 4 * layout.entries * layout.channels + 4 * numbers * layout.features * count
