"""What VolSDF's sampler computes on a ray between two answers of the field, as one reads it.

Yariv et al. 2021, "Volume Rendering of Neural Implicit Surfaces", algorithm 1 and its appendix; the
algorithm itself is `render.sampling.error_bounded_samples`. On section k of a ray, of length
delta_k, with f_k the field at its start:

    d*_k = least distance to the surface there          two balls, |f_k| and |f_k+1| wide, are free
    R_k  = sum_{j<k} sigma(f_j; beta) delta_j                   optical depth of the samples so far
    E_k  = sum_{j<=k} exp(-d*_j / beta) delta_j^2 / (4 beta^2)  how far R may be off
    B_k  = (exp(E_k) - 1) exp(-R_k)                     bounds the opacity's error on section k
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import laplace_density, sum_before


@dataclass(frozen=True)
class ErrorBound:
    """Settings of VolSDF's sampler (Yariv et al. 2021, algorithm 1 and appendix B).

    Args:
        first: samples to start from.
        more: samples added in each round but the last.
        final: samples drawn for the rendering.
        extra: even samples beside them.
        epsilon: bound on the opacity's error.
        rounds: at most this many bounds; the field is asked before each.
        bisections: of beta_+ in each round.
    """

    first: int = 64
    more: int = 64
    final: int = 64
    extra: int = 32
    epsilon: float = 0.1
    rounds: int = 5
    bisections: int = 10

    def __post_init__(self) -> None:
        if self.first < 2 or min(self.more, self.final, self.rounds, self.bisections) < 1:
            raise ValueError(f"first must be at least 2, the other counts at least 1: {self}")
        if self.extra < 0 or self.epsilon <= 0:
            raise ValueError(f"extra must not be negative, epsilon must be positive: {self}")

    @property
    def most(self) -> int:
        """Samples of a ray that never converges."""
        return self.first + (self.rounds - 1) * self.more

    @property
    def numbers(self) -> int:
        """Random numbers that a ray may take."""
        return self.most + self.final + self.extra


def quantiles(jitter: Tensor) -> Tensor:
    """(j + jitter_j) / n for jitter (N, n) in [0, 1): one in each of n equal parts; doubles."""
    count = jitter.shape[1]
    return (torch.arange(count, device=jitter.device) + jitter.double()) / count


def closest_on_section(sdf: Tensor, deltas: Tensor) -> Tensor:
    """d*: least distance to the surface that a section can have (VolSDF, lemma 1).

    It is the height of the triangle with sides delta, |f_k| and |f_k+1|, or its shorter side where
    an angle at delta is obtuse, and 0 where the balls do not meet or the sign changes.

    Args:
        sdf: (N, S) at the samples.
        deltas: (N, S - 1) lengths of the sections.

    Returns:
        (N, S - 1).
    """
    b, c, a = sdf[:, :-1].abs(), sdf[:, 1:].abs(), deltas
    half = (a + b + c) / 2
    area = (half * (half - a) * (half - b) * (half - c)).clamp_min(0).sqrt()
    star = torch.where(b + c > a, 2 * area / a.clamp_min(1e-9), 0.0)
    star = torch.where(a.square() + c.square() <= b.square(), c, star)
    star = torch.where(a.square() + b.square() <= c.square(), b, star)
    return star * (sdf[:, :-1].sign() * sdf[:, 1:].sign() > 0)


def opacity_error(beta: Tensor, sdf: Tensor, deltas: Tensor, star: Tensor) -> Tensor:
    """B: bound on the opacity's error at each section (VolSDF, eq. 15-16).

    Args:
        beta: (N,), one a ray.
        sdf, deltas, star: (N, S), (N, S - 1), (N, S - 1), see `closest_on_section`.

    Returns:
        (N, S - 1).
    """
    beta = beta[:, None]
    tau = laplace_density(sdf[:, :-1], beta) * deltas
    through = torch.exp(-sum_before(tau))
    error = torch.cumsum(torch.exp(-star / beta) * deltas.square() / (4 * beta.square()), -1)
    return (torch.exp(error.clamp(max=14)) - 1) * through


def inverse_cdf(t: Tensor, pdf: Tensor, u: Tensor) -> Tensor:
    """Samples of a piecewise constant density on the sections of t, in double precision.

    Args:
        t: (N, S) rising section ends.
        pdf: (N, S - 1) mass of each section, any non-negative scale.
        u: (N, n) rising quantiles in [0, 1], doubles.

    Returns:
        (N, n), rising, in the precision of t; each lies on its section, ends included.
    """
    edges = torch.nn.functional.pad(torch.cumsum(pdf.double() + 1e-6, -1), (1, 0))
    mass = u * edges[:, -1:]
    after = torch.searchsorted(edges, mass, right=True).clamp(1, t.shape[1] - 1)
    low, high = edges.gather(1, after - 1), edges.gather(1, after)
    start, end = t.gather(1, after - 1).double(), t.gather(1, after).double()
    share = ((mass - low) / (high - low)).clamp(0, 1)
    return (start + share * (end - start)).to(t.dtype)
