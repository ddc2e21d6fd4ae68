"""What lesson 1's learner writes, put together from the package's parts: for checks and the panel.

All R rays of a call have N samples each, at distances t (R, N) from the camera, nearest first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from privhead_nb.kernels.compositing import LEAST_OPACITY, composite, weights_from_density
from privhead_nb.kernels.error_bounded import inverse_cdf
from privhead_nb.render.sampling import uniform_samples
from privhead_nb.scenes.camera import Cameras

Rays = tuple[Tensor, Tensor]  # origins and directions (R, 3)
Picture = tuple[Tensor, Tensor, Tensor]  # colour (R, 3), opacity (R,) and depth (R,)
LEAST_MASS = 1e-5  # of a bin, so that a ray which met nothing is sampled evenly
weights_of = weights_from_density


def pixel_rays(camera: Cameras, xy: Tensor) -> tuple[Tensor, Tensor]:
    """Origins and unit directions (R, 3) of the rays through pixels xy (R, 2) of one camera."""
    return camera.rays(torch.zeros(len(xy), dtype=torch.long), xy)


def even_samples(
    near: Any, far: Any, rays: int, count: int, generator: torch.Generator | None = None
) -> Tensor:
    """Middles of count equal sections, or jittered; (R, count). near, far: numbers or (R, 1)."""
    start, end = (torch.as_tensor(end).expand(rays, 1)[:, 0] for end in (near, far))
    return uniform_samples(start, end, count, generator)


def fine_samples(
    t: Tensor, weights: Tensor, count: int, generator: torch.Generator | None = None
) -> Tensor:
    """NeRF's second pass (R, count): bins between midpoints of t, masses the inner weights."""
    u = even_samples(0.0, 1.0, len(t), count, generator)
    edges, mass = (t[:, 1:] + t[:, :-1]) / 2, weights[:, 1:-1] + LEAST_MASS
    return inverse_cdf(edges, mass, u.double())


def depth_and_spread(weights: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Expected depth and the depth's standard deviation (R,); both are 0 where the weights are."""
    mass = weights.sum(-1).clamp_min(LEAST_OPACITY)
    depth = (weights * t).sum(-1) / mass
    return depth, ((weights * (t - depth[:, None]).square()).sum(-1) / mass).sqrt()


def passes(
    field: Any, rays: Rays, near: Tensor, far: Tensor, end: Tensor, counts: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Samples of the first and the second pass; near, far and end of the last section (R, 1)."""
    first = even_samples(near, far, len(near), counts[0])
    return first, fine_samples(first, weigh(field, rays, first, end), counts[1])


def along(rays: Rays, t: Tensor) -> Tensor:
    """Points (R * N, 3) at t (R, N)."""
    return (rays[0][:, None] + t[..., None] * rays[1][:, None]).reshape(-1, 3)


def weigh(field: Any, rays: Rays, t: Tensor, end: Tensor) -> Tensor:
    """Weights (R, N) of samples t (R, N)."""
    density = field.density(along(rays, t)).reshape(t.shape)
    return weights_of(density, torch.diff(t, append=end))


def shade(field: Any, rays: Rays, t: Tensor, end: Tensor, background: Tensor) -> Picture:
    """What samples t (R, N) show."""
    weights = weigh(field, rays, t, end)
    views = rays[1][:, None].expand(*t.shape, 3).reshape(-1, 3)
    colours = composite(weights, field.colour(along(rays, t), views).reshape(*t.shape, 3))
    opacity = weights.sum(1)
    colour = colours + (1 - opacity)[:, None] * background
    return colour, opacity, depth_and_spread(weights, t)[0]


def render_rays(
    field: Any, origins: Tensor, directions: Tensor, near: Tensor, far: Tensor,
    counts: tuple[int, int], background: Tensor,
) -> Picture:  # fmt: skip
    """A field's rays in two passes; it has density(points) and colour(points, directions)."""
    rays = origins, directions
    t = torch.cat(passes(field, rays, near, far, far, counts), 1).sort(1).values
    return shade(field, rays, t, far, background)


PIECES: dict[str, Callable[..., Any]] = {
    "pixel_rays": pixel_rays,
    "even_samples": even_samples,
    "weights_of": weights_of,
    "composite": composite,
    "depth_and_spread": depth_and_spread,
    "fine_samples": fine_samples,
}
