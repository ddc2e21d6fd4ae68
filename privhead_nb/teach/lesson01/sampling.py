"""Where to ask a field on a ray, and how far off a head's depth is then.

The head is a reconstruction's field, its density VolSDF's with a beta of our choice. Truth is the
same field with `FINE` even samples a ray: this measures sampling, not reconstruction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import LEAST_OPACITY, sdf_weights
from privhead_nb.kernels.error_bounded import inverse_cdf, quantiles
from privhead_nb.kernels.surface_march import sphere_interval
from privhead_nb.render.sampling import uniform_samples
from privhead_nb.render.volume import Rays
from privhead_nb.scenes.camera import Cameras
from privhead_nb.training.batches import camera_rays, unit_cameras
from privhead_nb.training.reconstruction import Reconstruction

FINE = 1024
SURE = 0.99  # opacity from which on a pixel counts as the head's
PLACINGS = ("even", "jittered", "random", "by weight", "by weight, widened")


def place(
    near: Tensor,
    far: Tensor,
    count: int,
    how: str,
    weigh: Callable[[Tensor], Tensor],
    generator: torch.Generator,
) -> Tensor:
    """Samples (N, count) on every ray, rising.

    "by weight" spends half of them evenly, the other half by the inverse CDF of the weights found;
    "widened" gives each section the largest weight among its neighbours.

    Args:
        near, far: (N,) ends of the rays.
        how: one of PLACINGS.
        weigh: t (N, S) -> weights (N, S) of eq. 1.
        generator: of "jittered" and "random".
    """
    if how not in PLACINGS:
        raise ValueError(f"samples are placed {how!r}; use one of {PLACINGS}")
    if how == "even":
        return uniform_samples(near, far, count)
    if how == "jittered":
        return uniform_samples(near, far, count, generator)
    if how == "random":
        shares = torch.rand(len(near), count, generator=generator).sort(-1).values
        return near[:, None] + (far - near)[:, None] * shares
    first = uniform_samples(near, far, count // 2)
    weights = weigh(first)
    if how == "by weight, widened":
        weights = torch.nn.functional.max_pool1d(weights[:, None], 3, 1, 1)[:, 0]
    edges = torch.cat([first, far[:, None]], -1)
    share = quantiles(torch.full((len(near), count - count // 2), 0.5))
    return torch.cat([first, inverse_cdf(edges, weights, share)], -1).sort(-1).values


def depth_and_spread(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Expected depth, and the standard deviation of the depth, of samples with weights.

    Args:
        weights: (..., S), eq. 1.
        t: (..., S).

    Returns:
        Two tensors (...), in the unit of t; both are 0 where the weights are.
    """
    mass = weights.sum(-1).clamp_min(LEAST_OPACITY)
    depth = (weights * t).sum(-1) / mass
    off = (t - depth[..., None]).square()
    return depth, ((weights * off).sum(-1) / mass).sqrt()


class Depths(NamedTuple):
    """What rays show of a head: opacity, expected depth and its spread (N,), the last two in mm."""

    opacity: Tensor
    depth: Tensor
    spread: Tensor


@dataclass(frozen=True, eq=False)
class HeadRays:
    """The N rays of a picture that meet a head's unit sphere.

    Args:
        head: whose field is asked.
        rays: in unit-sphere coordinates.
        near, far: (N,) where they enter and leave the sphere.
        pixels: (H, W) bool, which pixels they belong to.
    """

    head: Reconstruction
    rays: Rays
    near: Tensor
    far: Tensor
    pixels: Tensor

    @torch.no_grad()
    def ask(self, t: Tensor) -> Tensor:
        """The signed distance at t (N, S), unit-sphere coordinates; (N, S)."""
        o, d = self.rays.origins[:, None], self.rays.directions[:, None]
        return self.head.model.sdf((o + t[..., None] * d).reshape(-1, 3)).reshape(t.shape)

    def weights(self, t: Tensor, beta: float) -> Tensor:
        """Eq. 1 at samples t (N, S); the last one stands for what is left of the sphere."""
        return sdf_weights(self.ask(t), torch.diff(t, append=self.far[:, None]), beta)

    def depths(self, t: Tensor, beta: float) -> Depths:
        """What is seen with samples t (N, S)."""
        weights = self.weights(t, beta)
        depth, spread = depth_and_spread(weights, t)
        return Depths(weights.sum(-1), depth * self.head.radius, spread * self.head.radius)

    def truth(self, beta: float, count: int = FINE) -> Depths:
        """What is seen with so many samples that more change nothing."""
        return self.depths(uniform_samples(self.near, self.far, count), beta)

    def error(self, exact: Depths, count: int, how: str, beta: float, seed: int = 0) -> Tensor:
        """Depth minus true depth, mm, at all rays (N,); NaN where the head isn't surely met."""
        random = torch.Generator().manual_seed(seed)
        t = place(self.near, self.far, count, how, lambda t: self.weights(t, beta), random)
        off = self.depths(t, beta).depth - exact.depth
        return torch.where(exact.opacity > SURE, off, torch.nan)

    def picture(self, values: Tensor) -> Tensor:
        """Values of the rays (N,) at their pixels, (H, W); NaN elsewhere."""
        flat = torch.full(self.pixels.shape, torch.nan, dtype=values.dtype)
        flat[self.pixels] = values
        return flat


def head_rays(head: Reconstruction, cameras: Cameras, view: int, size: int) -> HeadRays:
    """Rays through the size x size pixels of a view."""
    unit = unit_cameras(cameras.resized(size, size)[view], head.center, head.radius)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    xy = torch.stack([x, y], -1).reshape(-1, 2)
    rays = camera_rays(unit, torch.zeros(len(xy), dtype=torch.long), xy)
    near, far, meets = sphere_interval(rays.origins, rays.directions)
    return HeadRays(head, rays[meets], near[meets], far[meets], meets.reshape(size, size))
