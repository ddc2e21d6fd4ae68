"""VolSDF's error-bounded sampler on a GPU: what happens on a ray between two answers of the field.

The equations stand in `naive.py`, algorithm 1 in `render.sampling.error_bounded_samples`, which
calls `fused_samples` where a GPU is.

The torch form launches about 25 operations for each of 12 bounds a round. The kernels keep a ray in
one program: a round reads its S samples (8 S bytes) and writes them back with the new ones. They
have a fixed number of rounds over all rays, those that have converged masked, and nothing that the
host must wait for. Quantile j of n is (j + jitter_j) / n with 0 <= jitter_j < 1: they rise by
themselves, so nothing is sorted, and a drawn sample's place among the old ones is the number of its
section plus j.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from privhead_nb.kernels.error_bounded import triton
from privhead_nb.kernels.error_bounded.naive import (
    ErrorBound,
    closest_on_section,
    inverse_cdf,
    opacity_error,
    quantiles,
)

__all__ = [
    "ErrorBound",
    "closest_on_section",
    "fused_samples",
    "inverse_cdf",
    "opacity_error",
    "quantiles",
    "why_not_fused",
]


class RayBuffers(NamedTuple):
    """Buffers of N rays; S is what a ray holds, at most `settings.most`."""

    t: Tensor  # (N, most), the first S rise
    values: Tensor  # (N, most), the field there
    size: Tensor  # (N,) int32, S
    wide: Tensor  # (N,) double, beta_+
    active: Tensor  # (N,) uint8, 0 once a ray has converged
    added: Tensor  # (N, more), the samples to ask next
    place: Tensor  # (N, more) int32, each added sample's place among old and new
    cdf: Tensor  # (N, most) double, scratch


def why_not_fused(settings: ErrorBound) -> dict[str, str] | None:
    """Why the kernels can't take these settings: backend -> reason; None where they can."""
    if max(settings.most, settings.more) <= 1024 and settings.final * settings.extra <= 16384:
        return None
    return {"triton": f"a ray's samples must fit in a program's registers, not {settings}"}


def fused_samples(
    ask: Callable[[Tensor], Tensor],
    near: Tensor,
    far: Tensor,
    t: Tensor,
    wide: Tensor,
    beta: Tensor,
    settings: ErrorBound,
    rounds: tuple[Tensor, ...],
    final: Tensor,
    extra: Tensor,
) -> Tensor:
    """Rounds and final samples of VolSDF's algorithm 1, from the first samples on.

    Args:
        ask: (N, n) distances along the rays -> (N, n), the field there.
        near, far: (N,), the rays' interval.
        t: (N, first), the even grid.
        wide: (N,) doubles, lemma 2's beta_+ for it.
        beta: the density's scale, a tensor of one.
        settings: counts and epsilon.
        rounds, final, extra: jitter in [0, 1) of each round's samples, the final, the even ones.

    Returns:
        (N, final + extra + 2), rising.
    """
    count = len(t)
    rays = RayBuffers(
        t=t.new_empty(count, settings.most),
        values=t.new_empty(count, settings.most),
        size=torch.full((count,), settings.first, dtype=torch.int32, device=t.device),
        wide=wide,
        active=torch.ones(count, dtype=torch.uint8, device=t.device),
        added=near[:, None].repeat(1, settings.more),
        place=torch.empty(count, settings.more, dtype=torch.int32, device=t.device),
        cdf=t.new_empty(count, settings.most, dtype=torch.float64),
    )
    rays.t[:, : settings.first] = t
    rays.values[:, : settings.first] = ask(t)
    asked = rays.added  # nothing was added before round 0
    for number in range(settings.rounds):
        last = number + 1 == settings.rounds
        triton.launch_round(rays, asked, final if last else rounds[number], number, beta, settings)
        if not last:
            asked = ask(rays.added).contiguous()
    out = t.new_empty(count, settings.final + settings.extra + 2)
    triton.launch_final(rays, near, far, final, extra, out)
    return out
