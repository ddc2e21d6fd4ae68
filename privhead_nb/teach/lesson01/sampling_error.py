"""How far off a head's depth is when its rays are sampled in one way or another; measured.

The head is a reconstruction's field, its density VolSDF's with a beta of our choice. Truth is the
same field with `FINE` even samples a ray: this measures sampling, not reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import sdf_weights
from privhead_nb.kernels.error_bounded import inverse_cdf, quantiles
from privhead_nb.kernels.surface_march import sphere_interval
from privhead_nb.render.sampling import uniform_samples
from privhead_nb.render.volume import Rays, render_view
from privhead_nb.scenes.camera import Cameras
from privhead_nb.teach.lesson01.fog import depth_and_spread, widened
from privhead_nb.training.batches import camera_rays, unit_cameras
from privhead_nb.training.reconstruction import Reconstruction

FINE = 1024
SURE = 0.99  # opacity from which on a pixel counts as the head's
PLACINGS = ("even", "jittered", "random", "by weight", "by weight, widened")


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
        deltas = torch.diff(t, append=self.far[:, None])
        return sdf_weights(self.ask(t), deltas, beta)

    def number(self, x: int, y: int) -> int:
        """Which of the rays is that of pixel (x, y)."""
        return int(self.pixels.reshape(-1)[: y * self.pixels.shape[1] + x].sum())

    def picture(self, values: Tensor, outside: float = float("nan")) -> Tensor:
        """Values of the rays (N,) at their pixels, (H, W)."""
        flat = torch.full(self.pixels.shape, outside, dtype=values.dtype)
        flat[self.pixels] = values
        return flat


@dataclass(frozen=True, eq=False)
class Depths:
    """What rays show of a head: opacity, expected depth and its spread (N,), the last two in mm."""

    opacity: Tensor
    depth: Tensor
    spread: Tensor


def head_rays(head: Reconstruction, cameras: Cameras, view: int, size: int) -> HeadRays:
    """Rays through the size x size pixels of a view."""
    unit = unit_cameras(cameras.resized(size, size)[view], head.center, head.radius)
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    xy = torch.stack([x, y], -1).reshape(-1, 2)
    rays = camera_rays(unit, torch.zeros(len(xy), dtype=torch.long), xy)
    near, far, meets = sphere_interval(rays.origins, rays.directions)
    return HeadRays(head, rays[meets], near[meets], far[meets], meets.reshape(size, size))


def place(rays: HeadRays, count: int, how: str, beta: float, generator: torch.Generator) -> Tensor:
    """Samples (N, count) on every ray; `how` is one of PLACINGS.

    "by weight" spends half of them evenly, the other half by the inverse CDF of the weights found;
    "widened" gives each section the largest weight among its neighbours.
    """
    if how not in PLACINGS:
        raise ValueError(f"samples are placed {how!r}; use one of {PLACINGS}")
    near, far = rays.near, rays.far
    if how == "even":
        return uniform_samples(near, far, count)
    if how == "jittered":
        return uniform_samples(near, far, count, generator)
    if how == "random":
        shares = torch.rand(len(near), count, generator=generator).sort(-1).values
        return near[:, None] + (far - near)[:, None] * shares
    first = uniform_samples(near, far, count // 2)
    weights = rays.weights(first, beta)
    if how == "by weight, widened":
        weights = widened(weights)
    edges = torch.cat([first, far[:, None]], -1)
    share = quantiles(torch.full((len(near), count - count // 2), 0.5))
    return torch.cat([first, inverse_cdf(edges, weights, share)], -1).sort(-1).values


def depths(rays: HeadRays, t: Tensor, beta: float) -> Depths:
    """What is seen with samples t (N, S)."""
    weights = rays.weights(t, beta)
    depth, spread = depth_and_spread(weights, t)
    radius = rays.head.radius
    return Depths(weights.sum(-1), depth * radius, spread * radius)


def truth(rays: HeadRays, beta: float, count: int = FINE) -> Depths:
    """What is seen with so many samples that more change nothing."""
    return depths(rays, uniform_samples(rays.near, rays.far, count), beta)


def error(
    rays: HeadRays, exact: Depths, count: int, how: str, beta: float, seed: int = 0
) -> Tensor:
    """Depth minus true depth, mm, at all rays (N,); NaN where the head isn't surely met."""
    t = place(rays, count, how, beta, torch.Generator().manual_seed(seed))
    off = depths(rays, t, beta).depth - exact.depth
    return torch.where(exact.opacity > SURE, off, torch.nan)


def three_errors(rays: HeadRays, exact: Depths, count: int, beta: float) -> dict[str, Tensor]:
    """Depth minus true depth, mm, (N,): of even and of jittered samples, and a mean of the latter.

    The mean is over 16 pictures, each with its own jitter.
    """
    many = [error(rays, exact, count, "jittered", beta, seed) for seed in range(16)]
    return {
        f"{count} even": error(rays, exact, count, "even", beta),
        f"{count} jittered": many[0],
        "mean of 16 jittered": torch.stack(many).mean(0),
    }


def package_error(rays: HeadRays, exact: Depths) -> float:
    """Mean |error| in mm of the package's own sampler, `RenderSettings(sampler="surface")`.

    At the model's own beta, which must be that of `exact`.
    """
    settings = replace(rays.head.settings.render, coverage="volume")
    seen = render_view(rays.head.model, rays.rays, rays.near.new_ones(3), settings)
    off = seen.depth * rays.head.radius - exact.depth
    return float(off[exact.opacity > SURE].abs().mean())


def mean_errors(
    rays: HeadRays, beta: float, counts: Sequence[int], placings: Sequence[str] = PLACINGS
) -> dict[str, list[float]]:
    """Mean absolute error of the depth, mm, for each placing and each number of samples."""
    exact = truth(rays, beta)
    return {
        how: [float(error(rays, exact, n, how, beta).abs().nanmean()) for n in counts]
        for how in placings
    }


def alike(errors: Tensor) -> float:
    """Correlation of the errors (H, W) of neighbouring pixels, left and right; NaN is left out."""
    left, right = errors[:, :-1].reshape(-1), errors[:, 1:].reshape(-1)
    both = ~(left.isnan() | right.isnan())
    return float(torch.corrcoef(torch.stack([left[both], right[both]]))[0, 1])


def lies(rays: HeadRays, seen: Depths, beta: float, least: float = 0.01) -> Tensor:
    """Which rays (N,) show the head at a depth where there is none.

    Their opacity is at least a half, and the density at the expected depth is less than `least`
    of the largest possible, 1 / beta.
    """
    f = rays.ask(seen.depth[:, None] / rays.head.radius)[:, 0]
    thin = torch.exp(-f / beta) / 2 < least  # Laplace's tail, outside
    return (seen.opacity >= 0.5) & (f > 0) & thin


def uncertain(rays: HeadRays, seen: Depths, beta: float, mm: float = 6.0) -> tuple[float, float]:
    """Of the pixels that show the head: shares whose spread is over `mm`, and whose depth lies."""
    met = seen.opacity > 0.5
    return float((seen.spread > mm)[met].float().mean()), float(
        lies(rays, seen, beta)[met].float().mean()
    )


def mean_opacity_gap(ours: Tensor, mask: Tensor) -> float:
    """Mean |opacity - mask| over the pixels that the outline crosses, 0.02 < mask < 0.98."""
    edge = (mask > 0.02) & (mask < 0.98)
    return float((ours - mask)[edge].abs().sum() / max(1, int(edge.sum())))
