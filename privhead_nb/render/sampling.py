"""Where on a ray the field is asked: uniform, error-bounded (VolSDF), or near the surface.

Everything is in unit-sphere coordinates; t is the distance from the camera along a unit direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import laplace_density, sum_before, weights_from_density
from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid
from privhead_nb.kernels.surface_march import Crossing, march, sphere_interval


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


def inverse_cdf_samples(
    t: Tensor, pdf: Tensor, count: int, generator: torch.Generator | None = None
) -> Tensor:
    """Draw from a piecewise constant density on the sections of t.

    Args:
        t: (N, S) rising section ends.
        pdf: (N, S - 1), any non-negative scale.
        count: how many; evenly spread quantiles without a generator.

    Returns:
        (N, count), rising.
    """
    pdf = pdf + 1e-6
    cdf = torch.cumsum(pdf / pdf.sum(-1, keepdim=True), -1)
    cdf = torch.nn.functional.pad(cdf, (1, 0))
    if generator is None:
        u = (torch.arange(count, device=t.device, dtype=t.dtype) + 0.5) / count
        u = u.expand(len(t), count)
    else:
        u = torch.rand(len(t), count, generator=generator, device=t.device).sort(-1).values
    above = torch.searchsorted(cdf, u.contiguous(), right=True).clamp(1, t.shape[1] - 1)
    low, high = cdf.gather(1, above - 1), cdf.gather(1, above)
    share = (u - low) / (high - low).clamp_min(1e-9)
    start, end = t.gather(1, above - 1), t.gather(1, above)
    return start + share.clamp(0, 1) * (end - start)


@dataclass(frozen=True)
class ErrorBound:
    """Settings of VolSDF's sampler (Yariv et al. 2021, algorithm 1 and appendix B).

    Args:
        first: samples to start from.
        more: samples added in each round.
        final: samples drawn for the rendering.
        extra: uniform samples beside them.
        epsilon: bound on the opacity's error.
        rounds: at most this many refinements.
        bisections: of beta in each round.
    """

    first: int = 64
    more: int = 64
    final: int = 64
    extra: int = 32
    epsilon: float = 0.1
    rounds: int = 5
    bisections: int = 10


def _closest_on_section(sdf: Tensor, deltas: Tensor) -> Tensor:
    """d*: least distance to the surface that a section can have (VolSDF, lemma 1), (N, S - 1)."""
    b, c, a = sdf[:, :-1].abs(), sdf[:, 1:].abs(), deltas
    half = (a + b + c) / 2
    area = (half * (half - a) * (half - b) * (half - c)).clamp_min(0).sqrt()
    star = torch.where(b + c > a, 2 * area / a.clamp_min(1e-9), torch.zeros_like(a))
    star = torch.where(a.square() + c.square() <= b.square(), c, star)
    star = torch.where(a.square() + b.square() <= c.square(), b, star)
    return star * (sdf[:, :-1].sign() * sdf[:, 1:].sign() > 0)


def _opacity_error(beta: Tensor, sdf: Tensor, deltas: Tensor, star: Tensor) -> Tensor:
    """Bound on the opacity's error at each section (VolSDF, eq. 15-16), (N, S - 1)."""
    beta = beta[:, None]
    tau = laplace_density(sdf[:, :-1], beta) * deltas
    through = torch.exp(-sum_before(tau))
    error = torch.cumsum(torch.exp(-star / beta) * deltas.square() / (4 * beta.square()), -1)
    return (torch.exp(error.clamp(max=14)) - 1) * through


@torch.no_grad()
def error_bounded_samples(
    sdf: Callable[[Tensor], Tensor],
    origins: Tensor,
    directions: Tensor,
    beta: Tensor | float,
    settings: ErrorBound = ErrorBound(),
    generator: torch.Generator | None = None,
) -> Tensor:
    """Samples whose opacity is off by at most epsilon (VolSDF, algorithm 1).

    Start from an even grid and from a beta_+ so wide that the grid bounds its error; then add
    samples where the bound is large and shrink beta_+ by bisection, until beta itself is bounded.

    Args:
        sdf: (M, 3) -> (M,).
        origins, directions: (N, 3), rays that meet the unit sphere.
        beta: the density's width.
        settings: counts and epsilon.
        generator: jitter; evenly spread without one.

    Returns:
        (N, final + extra + 2), rising; both ends of the sphere's interval are among them.
    """
    beta = torch.as_tensor(beta, dtype=origins.dtype, device=origins.device).detach()
    near, far, _ = sphere_interval(origins, directions)

    def ask(t: Tensor) -> Tensor:
        points = origins[:, None] + t[..., None] * directions[:, None]
        return sdf(points.reshape(-1, 3)).reshape(t.shape)

    t = uniform_samples(near, far, settings.first, generator)
    values = ask(t)
    deltas = t[:, 1:] - t[:, :-1]
    # Lemma 2: with this beta any field of unit slope is bounded on this grid.
    wide = (deltas.square().sum(-1) / (4 * torch.log(torch.tensor(1 + settings.epsilon)))).sqrt()
    wide = torch.maximum(wide, beta)
    for number in range(settings.rounds):
        star = _closest_on_section(values, deltas)

        at_beta = _opacity_error(beta.expand_as(wide), values, deltas, star)
        done = at_beta.amax(-1) <= settings.epsilon
        low, high = beta.expand_as(wide), wide
        for _ in range(settings.bisections):
            middle = (low + high) / 2
            good = _opacity_error(middle, values, deltas, star).amax(-1) <= settings.epsilon
            high, low = torch.where(good, middle, high), torch.where(good, low, middle)
        wide = torch.where(done, beta.expand_as(wide), high)
        if number + 1 == settings.rounds or bool(done.all()):
            break
        error = _opacity_error(wide, values, deltas, star)
        added = inverse_cdf_samples(t, error, settings.more, generator)
        t, order = torch.cat([t, added], -1).sort(-1)
        values = torch.cat([values, ask(added)], -1).gather(1, order)
        deltas = t[:, 1:] - t[:, :-1]
    density = laplace_density(values[:, :-1], wide[:, None])
    drawn = inverse_cdf_samples(t, weights_from_density(density, deltas), settings.final, generator)
    even = uniform_samples(near, far, settings.extra, generator)
    return torch.cat([near[:, None], drawn, even, far[:, None]], -1).sort(-1).values


class SdfCache:
    """The field on a coarse lattice: enough to find where rays meet the surface.

    Args:
        resolution: lattice points per axis over [-1, 1].
    """

    def __init__(self, resolution: int = 64) -> None:
        self.resolution = resolution
        self.layout = GridLayout((resolution,), 1, max_entries=resolution**3)
        self.values: Tensor | None = None

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
        axis = torch.linspace(-1, 1, self.layout.resolutions[0], device=device)
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
        if self.values is None:
            raise RuntimeError("the cache is empty: call refresh(sdf) first")
        res = self.layout.resolutions[0]
        cell = 2 / (res - 1)
        near = (self.values[:, 0].abs() < cell).nonzero()[:, 0]
        device = self.values.device
        if len(near) == 0:
            return torch.zeros(0, 3, device=device)
        drawn = near[torch.randint(len(near), (count,), generator=generator, device=device)]
        lattice = torch.stack([drawn // (res * res), drawn // res % res, drawn % res], -1)
        jitter = torch.rand(count, 3, generator=generator, device=device) - 0.5
        return ((lattice + jitter) * cell - 1).clamp(-1, 1)

    def __call__(self, points: Tensor) -> Tensor:
        """Trilinear value at points (N, 3) -> (N,)."""
        return encode_grid(points, self.lattice(), self.layout, jacobian=False)[0][:, 0]

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
