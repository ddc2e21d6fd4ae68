"""Rays to pixels (eq. 1): colour, opacity, depth and normals of a head model."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.field.density import logistic_alpha
from privhead_nb.field.model import HeadModel
from privhead_nb.field.sdf import difference_gradient
from privhead_nb.heads.light import to_linear, to_srgb
from privhead_nb.kernels.compositing import (
    composite,
    composite_sdf,
    sdf_weights,
    weights_from_alpha,
)
from privhead_nb.kernels.surface_march import march, sphere_interval
from privhead_nb.render.sampling import (
    ErrorBound,
    SdfCache,
    error_bounded_samples,
    stratified,
    uniform_samples,
)


@dataclass(frozen=True)
class RenderSettings:
    """How a ray is sampled and summed up.

    Args:
        sampler: "surface" (few samples around the crossing found in a cache of the field),
            "error-bounded" (VolSDF) or "uniform".
        samples: samples a ray ("surface", "uniform").
        supersampling: k x k rays a pixel, whose mean is its colour; a camera's pixel is an area,
            and one ray through its middle shows a point.
        error_bound: settings of the "error-bounded" sampler.
        band: half-width of the "surface" sampler's interval, in betas.
        cache: lattice points per axis of the "surface" sampler's cache.
        march: steps of the march through the cache.
        coverage: how much of a pixel the head covers. "footprint": from the distance by which the
            ray misses the surface (or passes beneath it), against the pixel's width, as a
            camera's area average would; colours are then those of the surface. "volume": the sum
            of the weights (eq. 1), as if pixels were points. "footprint" needs the "surface"
            sampler.
        density: "laplace" (VolSDF) or "logistic" (NeuS).
        normals: "differences" (four taps where the ray weighs most, feels the field over twice
            `step`; in training one ray of a pixel stands for all) or "exact" (at every sample).
        step: tap distance in unit-sphere coordinates.
        min_weight: colour and normal are asked only where a sample weighs more than this.
    """

    sampler: str = "surface"
    samples: int = 8
    supersampling: int = 1
    error_bound: ErrorBound = field(default_factory=ErrorBound)
    band: float = 4.0
    cache: int = 64
    march: int = 64
    coverage: str = "footprint"
    density: str = "laplace"
    normals: str = "differences"
    step: float = 0.012
    min_weight: float = 0.004

    def __post_init__(self) -> None:
        allowed = {
            "sampler": ("surface", "error-bounded", "uniform"),
            "coverage": ("footprint", "volume"),
            "density": ("laplace", "logistic"),
            "normals": ("differences", "exact"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(
                    f"RenderSettings.{name} is {getattr(self, name)!r}; use one of {values}"
                )
        if self.coverage == "footprint" and self.sampler != "surface":
            raise ValueError("coverage='footprint' needs sampler='surface'")
        if self.samples < 2 or self.step <= 0 or self.band <= 0:
            raise ValueError("samples must be at least 2, step and band positive")
        if not 1 <= self.supersampling <= 8:
            raise ValueError(f"RenderSettings.supersampling is {self.supersampling}; use 1 to 8")


@dataclass(frozen=True)
class Rays:
    """N rays in unit-sphere coordinates.

    Args:
        origins, directions: (N, 3), directions of unit length.
        pixel: (N,), the width of a pixel at distance 1 along the ray (1 / focal length).
    """

    origins: Tensor
    directions: Tensor
    pixel: Tensor

    def __len__(self) -> int:
        return len(self.origins)

    def __getitem__(self, rows: Tensor | slice) -> Rays:
        return Rays(self.origins[rows], self.directions[rows], self.pixel[rows])


@dataclass(frozen=True)
class Rendered:
    """What rays or pixels show.

    Attributes:
        colour: (N, 3), on the background.
        opacity: (N,), share of the pixel that the head covers.
        depth: (N,), distance along the ray; 0 where nothing is met.
        normals: (N, 3), unit-sphere coordinates, outward; 0 where nothing is met.
        gradients: (M, 3), gradient of the field where it was asked (for the eikonal loss).
        laplacians: (M,), Laplacian there; None for normals="exact".
    """

    colour: Tensor
    opacity: Tensor
    depth: Tensor
    normals: Tensor
    gradients: Tensor
    laplacians: Tensor | None


def render_rays(
    model: HeadModel,
    rays: Rays,
    background: Tensor,
    settings: RenderSettings = RenderSettings(),
    *,
    cache: SdfCache | None = None,
    generator: torch.Generator | None = None,
    eikonal_points: Tensor | None = None,
    rays_a_pixel: int = 1,
    linear_light: float = 0.0,
) -> Rendered:
    """Render pixels (eq. 1), differentiably.

    Args:
        model: the head.
        rays: N rays.
        background: (3,) colour behind the head.
        settings: sampler, density, coverage, normals.
        cache: a refreshed cache of the field, needed by the "surface" sampler.
        generator: jitters the samples; none gives the same picture every time.
        eikonal_points: (P, 3) further points whose gradients are wanted; asked in the same pass.
        rays_a_pixel: so many rays in a row make one pixel, which is their mean. With a generator
            and normals="differences" one of them, drawn, gives the normal of all.
        linear_light: how far the mean is one of light, 0 (of stored values) to 1; the same goes for
            the mean of head and background at the outline. See `batches.linear_light`.

    Returns:
        See `Rendered`, with a row for each pixel; gradients of the samples come first, then those
        of the eikonal points.
    """
    beta = model.beta()
    if settings.sampler == "surface":
        if cache is None:
            raise ValueError("sampler='surface' needs a cache of the field")
        samples = _surface_samples(rays, beta, settings, cache, model, generator)
    else:
        near, far, meets = sphere_interval(rays.origins, rays.directions)
        kept = meets.nonzero()[:, 0]
        some = rays[kept]
        if settings.sampler == "uniform":
            t = uniform_samples(near[kept], far[kept], settings.samples, generator)
        else:
            t = error_bounded_samples(
                model.sdf, some.origins, some.directions, beta, settings.error_bound, generator
            )
        deltas = torch.cat([t[:, 1:] - t[:, :-1], (far[kept, None] - t[:, -1:])], -1)
        samples = _Samples(kept, t, deltas, None)
    shared = _shared_normals(samples.kept, rays_a_pixel, generator)
    shown, surface = _shade(
        model, rays, samples, shared, background, settings, eikonal_points, beta
    )
    return _pixels(shown, surface, rays_a_pixel, background, linear_light)


def _pixels(
    rays: Rendered, surface: Tensor, count: int, background: Tensor, linear_light: float
) -> Rendered:
    """Means over `count` rays in a row; `surface` (N, 3) is what they show of the head alone.

    Depth is that of the rays that meet something. A mean of normals is shorter than 1; gradients
    and Laplacians stay as they are.
    """
    if count == 1 and linear_light == 0:
        return rays

    def mean(values: Tensor) -> Tensor:
        return values.reshape(-1, count, *values.shape[1:]).mean(1)

    colour = mean(rays.colour)
    if linear_light > 0:
        share = rays.opacity[:, None]
        light = share * to_linear(surface) + (1 - share) * to_linear(background)
        colour = torch.lerp(colour, to_srgb(mean(light)), linear_light)
    depths = rays.depth.reshape(-1, count)
    return replace(
        rays,
        colour=colour,
        opacity=mean(rays.opacity),
        depth=depths.sum(1) / (depths > 0).sum(1).clamp_min(1),
        normals=mean(rays.normals),
    )


def _shared_normals(
    kept: Tensor, together: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Rows (m,) of the kept rays (n,) that get a normal, and which of these each ray takes, (n,).

    With a generator one is drawn of the kept ones among `together` rays in a row.
    """
    rows = torch.arange(len(kept), device=kept.device)
    if together == 1 or generator is None:
        return rows, rows
    pixel = kept.div(together, rounding_mode="floor")
    _, taken, counts = torch.unique_consecutive(pixel, return_inverse=True, return_counts=True)
    first = counts.cumsum(0) - counts
    drawn = torch.rand(len(counts), generator=generator, device=kept.device)
    return first + (drawn * counts).long().minimum(counts - 1), taken


@dataclass(frozen=True)
class _Coverage:
    """Of n kept rays: the e whose pixel the outline may cross, and the outline's width there."""

    base: Tensor  # (n,) 1 for hits, 0 for misses
    rows: Tensor  # (e,) rows among the kept
    points: Tensor  # (e, 3) where those rays are deepest inside or come closest
    width: Tensor  # (e,)


@dataclass(frozen=True)
class _Samples:
    """Of N rays the n that are rendered, and their S samples."""

    kept: Tensor  # (n,) rows among the rays
    t: Tensor  # (n, S) distances along the rays
    deltas: Tensor  # (n, S) to the next sample
    coverage: _Coverage | None


def _surface_samples(
    rays: Rays,
    beta: Tensor,
    settings: RenderSettings,
    cache: SdfCache,
    model: HeadModel,
    generator: torch.Generator | None,
) -> _Samples:
    """Samples around the crossing."""
    with torch.no_grad():
        footprint = settings.coverage == "footprint"
        # A logistic of scale 0.32 w is as wide as a box of half-width w.
        widening = 0.32 * 0.55 * rays.pixel if footprint else torch.zeros_like(rays.pixel)
        # No ray is longer than |origin| + 1, so no width is larger.
        widest = torch.cat([widening * (rays.origins.norm(dim=-1) + 1), widening.new_zeros(1)])
        room = 0.25 / (settings.march - 1)  # what the march's parabola may take off a lowest value
        found = march(
            cache.lattice(),
            cache.resolution,
            rays.origins,
            rays.directions,
            steps=settings.march,
            reach=5 * (widest.amax() + beta) + room,
            blocks=cache.blocks(),
        )
        width = widening * found.t_closest + beta
        near_miss = found.closest < 5 * width
        kept = (found.hit | near_miss).nonzero()[:, 0]
        some, hit, slope = rays[kept], found.hit[kept], found.slope[kept]
        # One Newton step on the field itself takes out the error of the cache.
        t_mid = found.t[kept]
        here = model.sdf(some.origins + t_mid[:, None] * some.directions)
        t_mid = torch.where(hit, t_mid - (here / slope).clamp(-0.02, 0.02), t_mid)
        half = settings.band * beta / (-slope).clamp(0.25, 1.0)
        count = settings.samples
        places = stratified(t_mid, count, generator)
        t = t_mid[:, None] + half[:, None] * (places * (2 / count) - 1)
        deltas = torch.cat([t[:, 1:] - t[:, :-1], (half * 2 / count)[:, None]], -1)
        if not footprint:
            return _Samples(kept, t, deltas, None)
        width, closest = width[kept], found.closest[kept]
        rows = (closest.abs() < 5 * width).nonzero()[:, 0]
        at = some.origins[rows] + found.t_closest[kept][rows, None] * some.directions[rows]
        outline = _Coverage(hit.to(t.dtype), rows, at, width[rows])
        return _Samples(kept, t, deltas, outline)


def _shade(
    model: HeadModel,
    rays: Rays,
    samples: _Samples,
    shared: tuple[Tensor, Tensor],
    background: Tensor,
    settings: RenderSettings,
    eikonal_points: Tensor | None,
    beta: Tensor,
) -> tuple[Rendered, Tensor]:
    """Ask the field at the samples, weigh, colour, and sum up; the head's colour alone beside."""
    kept, t, deltas, coverage = samples.kept, samples.t, samples.deltas, samples.coverage
    some = rays[kept]
    count, each = t.shape
    points = (some.origins[:, None] + t[..., None] * some.directions[:, None]).reshape(-1, 3)
    outline = points[:0] if coverage is None else coverage.points
    eikonal_points = points[:0] if eikonal_points is None else eikonal_points
    # One pass for all points: samples, the outline's, and the eikonal points.
    parts = [len(points), len(outline), len(eikonal_points)]
    everything = torch.cat([points, outline, eikonal_points])
    gradients: Tensor | None = None
    if settings.normals == "exact":
        values, features, gradients = model.field.with_gradient(everything)
    else:
        values, features = model.field.sdf_and_features(everything)
    sdf, outline_sdf, _ = values.split(parts)
    sdf = sdf.reshape(count, each)
    # Without footprints the weights are only looked at here: `composite_sdf` makes its own.
    fused = coverage is None and settings.density == "laplace"
    if settings.density == "laplace":
        with torch.set_grad_enabled(torch.is_grad_enabled() and not fused):
            weights = sdf_weights(sdf, deltas, beta)
    else:
        weights = weights_from_alpha(logistic_alpha(sdf, beta))
    if coverage is not None:
        crossed = torch.sigmoid(-outline_sdf / coverage.width)
        opacity = coverage.base.index_copy(0, coverage.rows, crossed)
        weights = weights + 1e-8
    heavy = weights.detach()
    whole = 1.0 if coverage is None else heavy.sum(-1, keepdim=True)
    asked = heavy > settings.min_weight * whole
    if coverage is not None:  # what is not asked must not count: the rest sums to 1
        weights = weights * asked
        weights = weights / weights.sum(-1, keepdim=True)
    seen = asked.reshape(-1).nonzero()[:, 0]
    ray = seen.div(each, rounding_mode="floor")
    laplacians = None
    if gradients is None:
        # The band is thin: a normal of a ray, or of one a pixel, where it weighs most, serves all.
        # (index_select, not brackets: its backward is a plain addition of rows)
        chosen, taken = shared
        heaviest = heavy[chosen].argmax(-1) + each * chosen
        where = torch.cat([points[heaviest], eikonal_points])
        there = torch.cat([values.index_select(0, heaviest), values[parts[0] + parts[1] :]])
        gradients, laplacians = difference_gradient(model.field, where, there, settings.step)
        normals = F.normalize(gradients[: len(chosen)], dim=-1).index_select(0, taken[ray])
    else:
        gradients = torch.cat([gradients.index_select(0, seen), gradients[parts[0] + parts[1] :]])
        normals = F.normalize(gradients[: len(seen)], dim=-1)
    colours = model.colour(
        points[seen], normals, some.directions[ray], features.index_select(0, seen)
    )

    both = torch.cat([colours, normals], -1)
    spread = both.new_zeros(count * each, 6).index_copy(0, seen, both)
    spread = spread.reshape(count, each, 6)
    if fused:
        summed, opacity, depth, _ = composite_sdf(sdf, deltas, t, spread, beta)
    else:
        mass = weights.sum(-1)
        summed, depth = composite(weights, spread), (weights * t).sum(-1) / mass.clamp_min(1e-6)
        if coverage is None:
            opacity = mass
    colour, normal = summed.split(3, -1)
    surface = colour
    if coverage is not None:
        colour = colour * opacity[:, None]
    else:
        surface = colour / opacity[:, None].clamp_min(1e-6)
    colour = colour + (1 - opacity[:, None]) * background

    total = len(rays)
    shown = Rendered(
        colour=background.expand(total, 3).index_copy(0, kept, colour),
        opacity=opacity.new_zeros(total).index_copy(0, kept, opacity),
        depth=depth.new_zeros(total).index_copy(0, kept, depth),
        normals=normal.new_zeros(total, 3).index_copy(0, kept, normal),
        gradients=gradients,
        laplacians=laplacians,
    )
    return shown, surface.new_zeros(total, 3).index_copy(0, kept, surface)


@torch.no_grad()
def render_view(
    model: HeadModel,
    rays: Rays,
    background: Tensor,
    settings: RenderSettings = RenderSettings(),
    *,
    rays_a_pixel: int = 1,
    linear_light: float = 0.0,
    chunk: int = 4096,
) -> Rendered:
    """Render many pixels in chunks of about `chunk` rays, so that memory is bounded.

    Returns:
        See `render_rays`; `gradients` is empty.
    """
    cache = None
    if settings.sampler == "surface":
        cache = SdfCache(settings.cache)
        cache.refresh(model.sdf, rays.origins.device)
    step = max(1, chunk // rays_a_pixel) * rays_a_pixel
    parts = [
        render_rays(
            model,
            rays[slice(i, i + step)],
            background,
            settings,
            cache=cache,
            rays_a_pixel=rays_a_pixel,
            linear_light=linear_light,
        )
        for i in range(0, len(rays), step)
    ]
    return Rendered(
        colour=torch.cat([p.colour for p in parts]),
        opacity=torch.cat([p.opacity for p in parts]),
        depth=torch.cat([p.depth for p in parts]),
        normals=torch.cat([p.normals for p in parts]),
        gradients=rays.origins[:0],
        laplacians=None,
    )
