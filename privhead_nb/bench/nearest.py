"""Cases of `kernels.nearest`: two noisy samplings of one ball, as two meshes of a head are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from privhead_nb.bench.case import Case, own_backend
from privhead_nb.kernels.nearest import nearest, nearest_reference

GRADIENTS_UP_TO = {"cuda": 100_000, "cpu": 10_000}  # beyond, the reference takes seconds a call
ALL_PAIRS_UP_TO = 100_000  # a compiler that can't fuse all pairs has to store them
BLOCK = 1 << 24


def cases(device: torch.device, quick: bool = False) -> Iterator[Case]:
    """All pairs of N and N points; beside it, what others call for the same distances."""
    cuda = device.type == "cuda"
    own = own_backend(device)
    counts = (100,) if quick else (10_000, 100_000, 400_000) if cuda else (10_000, 100_000)
    for count in counts:
        wanted = count <= GRADIENTS_UP_TO[device.type]
        queries, targets = (
            _ball(count, seed).to(device).requires_grad_(wanted) for seed in (count, count + 1)
        )
        yield Case(
            op="nearest",
            size=f"{count} x {count}",
            inputs=(queries, targets),
            functions={
                "eager": lambda q, t: nearest_reference(q, t)[0],
                "fused": lambda q, t: nearest(q, t, backend=own)[0],
            },
            bytes_forward=count * (12 + 12 + 4 + 8),  # the points; distance and index
            # points, index, distance and its gradient; two gradients out
            bytes_backward=count * (12 + 12 + 8 + 4 + 4 + 12 + 12),
            flops=8 * count * count if cuda else 0,  # a tree does not compare all pairs
            # a query that is as far from two targets, to rounding, may take either: of 100,000
            # about one does, and then its gradient points elsewhere
            tolerance=1e-2 if wanted and count > 10_000 else 1e-4,
            compile=False,  # it would unroll the reference's blocks: see the peer
            peers=_peers(queries.detach(), targets.detach()),
        )


def _ball(count: int, seed: int) -> Tensor:
    """Points near the unit sphere, its radius noisy by 1 %."""
    generator = torch.Generator().manual_seed(seed)
    points = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=1)
    return points * (1 + 0.01 * torch.randn(count, 1, generator=generator))


def _peers(queries: Tensor, targets: Tensor) -> dict[str, Callable[[], Any]]:
    if queries.device.type == "cpu":
        from scipy.spatial import cKDTree

        q, t = queries.numpy(), targets.numpy()
        return {"cKDTree": lambda: cKDTree(t).query(q, workers=torch.get_num_threads())}
    rows = max(1, BLOCK // len(targets))

    def cdist() -> Tensor:
        """By a matrix product, as `cdist` does for many points: quick, and inexact close by."""
        found = [torch.cdist(block, targets).min(dim=1).values for block in queries.split(rows)]
        return torch.cat(found)

    peers: dict[str, Callable[[], Any]] = {"chunked cdist": cdist}
    compiled: Callable[..., Any] = torch.compile(_all_pairs, dynamic=False)
    if len(targets) <= ALL_PAIRS_UP_TO:
        try:
            compiled(queries, targets)
            peers["compiled all pairs"] = lambda: compiled(queries, targets)
        except Exception:  # no compiler on this machine
            torch.cuda.empty_cache()
    return peers


def _all_pairs(queries: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    squared = (queries[:, None] - targets).square().sum(dim=2)
    least, index = squared.min(dim=1)
    return least.sqrt(), index
