"""Where on a ray the field is asked: uniform, error-bounded (VolSDF), or near the surface.

Everything is in unit-sphere coordinates; t is the distance from the camera along a unit direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from privhead_nb.field.density import laplace_density
from privhead_nb.kernels.compositing import weights_from_density
from privhead_nb.kernels.dispatch import Backend, choose
from privhead_nb.kernels.error_bounded import (
    ErrorBound,
    closest_on_section,
    fused_samples,
    inverse_cdf,
    opacity_error,
    quantiles,
    why_not_fused,
)
from privhead_nb.kernels.inputs import check_rays, one_number
from privhead_nb.kernels.surface_march import Blocks, blocks_of, sphere_interval

__all__ = [
    "ErrorBound",
    "SdfCache",
    "error_bounded_samples",
    "stratified",
    "uniform_samples",
]

VOLSDF = ErrorBound()  # the counts of VolSDF's own code


def uniform_samples(
    near: Tensor, far: Tensor, count: int, generator: torch.Generator | None = None
) -> Tensor:
    """Stratified samples: one in each of `count` equal sections, jittered by the generator, if any.

    Args:
        near, far: (N,).

    Returns:
        (N, count), rising.
    """
    return near[:, None] + (far - near)[:, None] * (stratified(near, count, generator) / count)


def stratified(like: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """A number in each of [0, 1), [1, 2), ... [count - 1, count); the middles without a generator.

    Returns:
        (N, count) for N rays, the entries of `like`; (1, count) without a generator.
    """
    steps = torch.arange(count, device=like.device, dtype=like.dtype)[None]
    if generator is None:
        return steps + 0.5
    return steps + torch.rand(len(like), count, generator=generator, device=like.device)


@torch.no_grad()
def error_bounded_samples(
    sdf: Callable[[Tensor], Tensor],
    origins: Tensor,
    directions: Tensor,
    beta: Tensor | float,
    settings: ErrorBound = VOLSDF,
    generator: torch.Generator | None = None,
    *,
    backend: Backend = "auto",
) -> Tensor:
    """Samples whose opacity is off by at most epsilon (VolSDF, Yariv et al. 2021, algorithm 1).

    A ray starts from an even grid and from a beta_+ so wide that this grid bounds its error
    (lemma 2). Each round then tests whether the bound B holds at beta itself: then the ray is left
    alone. Else it shrinks beta_+ by bisection, as far as max_k B_k(beta_+) <= epsilon allows, and
    adds samples by the inverse CDF of B(beta_+). A ray that never converges keeps its last beta_+.
    The final samples follow the weights at beta_+, with a few even ones among them.

    Samples and field values are single, what is made of them is double: a quantile behind a wall
    lies where the CDF is 1 - 1e-4, and an error of 1e-7 there moves its sample by a thousandth of
    what is left of the ray; and a bisection that takes one other turn ends elsewhere.

    Args:
        sdf: (M, 3) -> (M,), the field in unit-sphere coordinates; any M, 0 too.
        origins, directions: (N, 3), rays that meet the unit sphere, directions of unit length.
        beta: the density's scale, a number or a tensor of one.
        settings: counts and epsilon.
        generator: jitter, all of it drawn at once; evenly spread without one.
        backend: "torch" asks the field only at rays that have not converged; "triton", on a GPU,
            at all of them in each round, so that the host waits for nothing.

    Returns:
        (N, final + extra + 2), rising; both ends of the sphere's interval are among them. Nothing
        is differentiated.

    Raises:
        ValueError: shapes that do not fit, or a forced backend that can't run.
    """
    check_rays(origins, directions)
    beta = one_number(beta, origins).detach()
    unfit = why_not_fused(settings)
    chosen = choose("error_bounded", backend, origins, has=("triton",), unfit=unfit)
    shape = len(origins), settings.numbers
    jitter = origins.new_full(shape, 0.5)
    if generator is not None:
        jitter = torch.rand(shape, generator=generator, device=origins.device, dtype=origins.dtype)
    added = [settings.more] * (settings.rounds - 1)
    first, *rounds, final, extra = jitter.split(
        [settings.first, *added, settings.final, settings.extra], 1
    )

    def ask(t: Tensor, rays: Tensor | slice = slice(None)) -> Tensor:
        points = torch.addcmul(origins[rays, None], t[..., None], directions[rays, None])
        return sdf(points.reshape(-1, 3)).reshape(t.shape)

    near, far, _ = sphere_interval(origins, directions)
    t = _even_samples(near, far, first)
    widest = (t.double().diff().square().sum(-1) / (4 * math.log1p(settings.epsilon))).sqrt()
    beta_plus = torch.maximum(widest, beta)
    if chosen == "triton":
        return fused_samples(
            ask, near, far, t, beta_plus, beta, settings, tuple(rounds), final, extra
        )

    values = ask(t)
    drawn = torch.empty_like(final)
    rays = torch.arange(len(t), device=t.device)  # the active ones; t, values, beta_plus are theirs
    for number in range(settings.rounds):
        f, deltas = values.double(), t.double().diff()
        star = closest_on_section(f, deltas)
        low, high = beta.double().expand_as(beta_plus), beta_plus
        done = opacity_error(low, f, deltas, star).amax(-1) <= settings.epsilon
        for _ in range(settings.bisections):
            middle = (low + high) / 2
            good = opacity_error(middle, f, deltas, star).amax(-1) <= settings.epsilon
            high, low = torch.where(good, middle, high), torch.where(good, low, middle)
        beta_plus = torch.where(done, beta, high)

        done |= number + 1 == settings.rounds
        ready, active = done.nonzero()[:, 0], (~done).nonzero()[:, 0]
        density = laplace_density(f[ready, :-1], beta_plus[ready, None])
        weights = weights_from_density(density, deltas[ready])
        drawn[rays[ready]] = inverse_cdf(t[ready], weights, quantiles(final[rays[ready]]))
        if not len(active):
            break

        error = opacity_error(beta_plus[active], f[active], deltas[active], star[active])
        rays, t, values, beta_plus = rays[active], t[active], values[active], beta_plus[active]
        new = inverse_cdf(t, error, quantiles(rounds[number][rays]))
        t, order = torch.cat([t, new], -1).sort(-1)
        values = torch.cat([values, ask(new, rays)], -1).gather(1, order)
    even = _even_samples(near, far, extra)
    return torch.cat([near[:, None], drawn, even, far[:, None]], -1).sort(-1).values


def _even_samples(near: Tensor, far: Tensor, jitter: Tensor) -> Tensor:
    """Samples from near to far (N,), one in each of n equal sections; (N, n)."""
    return torch.lerp(near[:, None], far[:, None], quantiles(jitter).to(near.dtype))


class SdfCache:
    """The field on a coarse lattice: enough to find where rays meet the surface.

    Args:
        resolution: lattice points per axis over [-1, 1].
    """

    def __init__(self, resolution: int = 64) -> None:
        self.resolution = resolution
        self.values: Tensor | None = None
        self._blocks: Blocks | None = None
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
        self._blocks = self._at_surface = None
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

    def blocks(self) -> Blocks:
        """Bounds of the lattice's values, for `march`; made when first asked for."""
        if self._blocks is None:
            self._blocks = blocks_of(self.lattice(), self.resolution)
        return self._blocks

    def lattice(self) -> Tensor:
        """The values, (resolution^3, 1)."""
        if self.values is None:
            raise RuntimeError("the cache is empty: call refresh(sdf) first")
        return self.values
