"""Answers to lesson 1's exercises: wrong ones as students write them, and right ones written anew.

Exercises 0105 and 0106 call the pieces of the ones before, which their checks lend by name.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch.nn.functional import normalize, pad

from privhead_nb.teach.lesson01.pieces import (  # what the checks of 0105 and 0106 lend
    composite,
    depth_and_spread,
    even_samples,
    fine_samples,
    weights_of,
)

# 0101: pixel_rays(camera, xy) ---------------------------------------------------------------------


def rays(
    camera, xy, *, shift=None, turned=True, flip=False, length=True, inverse=True, axes=(1, 1, 1)
):
    K, c2w = camera.K[0].float(), camera.c2w[0].float()
    xy = (xy.flip(1) if flip else xy) + (camera.pixel_center if shift is None else shift)
    uv1 = torch.cat([xy, torch.ones_like(xy[:, :1])], 1)
    d = (uv1 @ (torch.linalg.inv(K) if inverse else K).T) * torch.tensor(axes)
    d = d @ (c2w[:3, :3].T if turned else torch.eye(3))
    origins = c2w[:3, 3].expand(len(xy), 3)
    return origins, normalize(d, dim=1) if length else d


def rays_turned_back(camera, xy):
    origins, d = rays(camera, xy, turned=False)
    return origins, d @ camera.c2w[0, :3, :3].float()


def one_origin(camera, xy):
    origins, d = rays(camera, xy)
    return origins[0], d


def rays_without_transpose(camera, xy):
    uv1 = pad((xy + camera.pixel_center).double(), (0, 1), value=1.0)
    d = uv1 @ torch.linalg.inv(camera.K[0]) @ camera.c2w[0, :3, :3].T
    return camera.c2w[0, :3, 3].expand(len(xy), 3), normalize(d, dim=1)


def rays_by_focal_length(camera, xy):
    x, y = ((xy + camera.pixel_center).double() / camera.K[0].diag()[:2]).T
    d = torch.stack([x, y, torch.ones_like(x)], 1) @ camera.c2w[0, :3, :3].T
    return camera.c2w[0, :3, 3].expand(len(xy), 3), normalize(d, dim=1)


def places_not_directions(camera, xy):
    origins, d = rays(camera, xy, length=False)
    return origins, normalize(d + origins, dim=1)


def pose_taken_for_its_inverse(camera, xy):
    R, t = camera.c2w[0, :3, :3].float(), camera.c2w[0, :3, 3].float()
    return (-R.T @ t).expand(len(xy), 3), rays(camera, xy)[1]


def one_length(camera, xy):
    origins, d = rays(camera, xy, length=False)
    return origins, d / torch.linalg.norm(d)


def rays_by_solve(camera, xy):
    uv1 = pad((xy + camera.pixel_center).double(), (0, 1), value=1.0)
    d = (camera.c2w[0, :3, :3] @ torch.linalg.solve(camera.K[0], uv1.T)).T
    return camera.c2w[0, :3, 3].repeat(len(xy), 1), d / d.norm(dim=1, keepdim=True)


def rays_by_hand(camera, xy):
    (fx, _, cx), (_, fy, cy), _ = camera.K[0].tolist()
    x, y = (xy + camera.pixel_center).double().T
    d = torch.stack([(x - cx) / fx, (y - cy) / fy, torch.ones_like(x)], 1)
    d = d @ camera.c2w[0, :3, :3].T
    return camera.centers.expand(len(xy), 3), normalize(d, dim=1)


# 0102: even_samples(near, far, rays, count, generator=None) ---------------------------------------


def near_ends(near, far, rays, count, generator=None):
    share = torch.zeros(rays, count)
    if generator is not None:
        share = torch.rand(rays, count, generator=generator)
    return near + (far - near) * (torch.arange(count) + share) / count


def by_linspace(near, far, rays, count, generator=None):
    t = torch.linspace(0, 1, count).expand(rays, count)
    return near + (far - near) * t


def deaf(near, far, rays, count, generator=None):
    return even_samples(near, far, rays, count)


def one_jitter(near, far, rays, count, generator=None):
    share = 0.5 if generator is None else torch.rand(1, count, generator=generator)
    return near + (far - near) * ((torch.arange(count) + share) / count).expand(rays, count)


def one_shift(near, far, rays, count, generator=None):
    share = 0.5 if generator is None else torch.rand(rays, 1, generator=generator)
    return near + (far - near) * ((torch.arange(count) + share) / count).expand(rays, count)


def thrown(near, far, rays, count, generator=None):
    if generator is None:
        return even_samples(near, far, rays, count)
    share = torch.rand(rays, count, generator=generator).sort(dim=1).values
    return near + (far - near) * share


def centred_jitter(near, far, rays, count, generator=None):
    share = 0.5 if generator is None else torch.rand(rays, count, generator=generator) - 0.5
    return near + (far - near) * ((torch.arange(count) + share) / count).expand(rays, count)


def half_and_jitter(near, far, rays, count, generator=None):
    t = (torch.arange(count) + 0.5).expand(rays, count)
    if generator is not None:
        t = t + torch.rand(rays, count, generator=generator)
    return near + (far - near) * t / count


def from_zero(near, far, rays, count, generator=None):
    return even_samples(0 * near, far, rays, count, generator)


def far_as_length(near, far, rays, count, generator=None):
    return near + far * even_samples(0.0, 1.0, rays, count, generator)


def one_row(near, far, rays, count, generator=None):
    return even_samples(near, far, rays, count, generator)[0]


def far_ends(near, far, rays, count, generator=None):
    share = 1.0 if generator is None else torch.rand(rays, count, generator=generator)
    return near + (far - near) * ((torch.arange(count) + share) / count).expand(rays, count)


def by_ends(near, far, rays, count, generator=None):
    ends = near + (far - near) * torch.linspace(0, 1, count + 1)
    ends = ends.expand(rays, count + 1)
    low, high = ends[:, :-1], ends[:, 1:]
    if generator is None:
        return (low + high) / 2
    return low + (high - low) * torch.rand(rays, count, generator=generator)


# 0103: weights_of(density, delta) -----------------------------------------------------------------


def through_itself(density, delta):
    alpha = 1 - torch.exp(-density * delta)
    return torch.cumprod(1 - alpha, dim=1) * alpha


def alpha_alone(density, delta):
    return 1 - torch.exp(-density * delta)


def transmittance_alone(density, delta):
    through = torch.exp(-torch.cumsum(density * delta, dim=1))
    return torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], dim=1)


def without_lengths(density, delta):
    return weights_of(density, torch.ones_like(delta))


def linear_alpha(density, delta):
    alpha = density * delta
    return transmittance_alone(density, delta) * alpha


def what_goes_through(density, delta):
    return transmittance_alone(density, delta) * torch.exp(-density * delta)


def from_behind(density, delta):
    return weights_of(density.flip(1), delta.flip(1)).flip(1)


def over_rays(density, delta):
    tau = density * delta
    return torch.exp(tau - torch.cumsum(tau, dim=0)) * (1 - torch.exp(-tau))


def normalised(density, delta):
    weights = weights_of(density, delta)
    return weights / weights.sum(dim=1, keepdim=True)


def short_through(density, delta):
    alpha = 1 - torch.exp(-density * delta)
    return torch.cumprod(1 - alpha, dim=1)[:, :-1] * alpha[:, 1:]


def rolled(density, delta):
    alpha = 1 - torch.exp(-density * delta)
    return torch.roll(torch.cumprod(1 - alpha, dim=1), 1, dims=1) * alpha


def weights_by_loop(density, delta):
    weights, left = torch.zeros_like(density), torch.ones_like(density[:, 0])
    for i in range(density.shape[1]):
        alpha = 1 - torch.exp(-density[:, i] * delta[:, i])
        weights[:, i] = left * alpha
        left = left * (1 - alpha)
    return weights


def weights_by_product(density, delta):
    alpha = 1 - torch.exp(-density * delta)
    through = torch.cumprod(1 - alpha, dim=1)
    return torch.cat([torch.ones_like(alpha[:, :1]), through[:, :-1]], dim=1) * alpha


def weights_by_difference(density, delta):
    through = torch.exp(-pad(torch.cumsum(density * delta, dim=1), (1, 0)))
    return through[:, :-1] - through[:, 1:]


# 0104: depth_and_spread(weights, t) ---------------------------------------------------------------


def not_divided(weights, t):
    depth = (weights * t).sum(1)
    return depth, (weights * (t - depth[:, None]) ** 2).sum(1).sqrt()


def spread_not_divided(weights, t):
    depth, _ = depth_and_spread(weights, t)
    return depth, (weights * (t - depth[:, None]) ** 2).sum(1).sqrt()


def variance(weights, t):
    depth, spread = depth_and_spread(weights, t)
    return depth, spread**2


def unweighted_spread(weights, t):
    depth, _ = depth_and_spread(weights, t)
    return depth, ((t - depth[:, None]) ** 2).mean(dim=1).sqrt()


def mean_distance(weights, t):
    depth, _ = depth_and_spread(weights, t)
    off = (weights * (t - depth[:, None]).abs()).sum(1)
    return depth, off / weights.sum(1).clamp_min(1e-6)


def heaviest(weights, t):
    return t.gather(1, weights.argmax(1, keepdim=True))[:, 0], depth_and_spread(weights, t)[1]


def no_floor(weights, t):
    depth = (weights * t).sum(1) / weights.sum(1)
    return depth, ((weights * (t - depth[:, None]) ** 2).sum(1) / weights.sum(1)).sqrt()


def only_depth(weights, t):
    return depth_and_spread(weights, t)[0]


def swapped(weights, t):
    return depth_and_spread(weights, t)[::-1]


def by_second_moment(weights, t):
    mass = weights.sum(1).clamp_min(1e-6)
    depth = (weights * t).sum(1) / mass
    return depth, ((weights * t**2).sum(1) / mass - depth**2).clamp_min(0).sqrt()


def by_normalised_weights(weights, t):
    share = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
    depth = (share * t).sum(1)
    return depth, (share * (t - depth[:, None]) ** 2).sum(1).sqrt()


# 0105: fine_samples(t, weights, count, generator=None) --------------------------------------------


def draw(edges, mass, u, into=lambda way, mass: way / mass, zero=1, ahead=0):
    total = pad(torch.cumsum(mass, dim=1), (zero, 0))
    height, last = u * total[:, -1:], total.shape[1] - 1
    after = torch.searchsorted(total, height, right=True).clamp(1, last) + ahead
    after = after.clamp(max=last)
    low, high = total.gather(1, after - 1), total.gather(1, after)
    start, end = edges.gather(1, after - 1), edges.gather(1, after)
    return start + into(height - low, high - low) * (end - start)


def drawn_otherwise(t, weights, count, generator=None, **other):
    return draw(middles(t), weights[:, 1:-1] + 1e-5, heights(t, count, generator), **other)


def random_heights(t, weights, count, generator=None, sort=False):
    u = heights(t, count)
    if generator is not None:
        u = torch.rand(len(t), count, generator=generator).to(t)
        u = u.sort(dim=1).values if sort else u
    return draw(middles(t), weights[:, 1:-1] + 1e-5, u)


def heights_of_one_ray(t, weights, count, generator=None):
    u = even_samples(0.0, 1.0, 1, count, generator).to(t).repeat(len(t), 1)
    return draw(middles(t), weights[:, 1:-1] + 1e-5, u)


def heights(t, count, generator=None):
    return even_samples(0.0, 1.0, len(t), count, generator).to(t)


def middles(t):
    return (t[:, 1:] + t[:, :-1]) / 2


def bins_behind(t, weights, count, generator=None):
    return draw(t, weights[:, :-1] + 1e-5, heights(t, count))


def first_weight_kept(t, weights, count, generator=None):
    return draw(middles(t), weights[:, :-2] + 1e-5, heights(t, count))


def last_weight_kept(t, weights, count, generator=None):
    return draw(middles(t), weights[:, 2:] + 1e-5, heights(t, count))


def near_end_of_the_bin(t, weights, count, generator=None):
    return drawn_otherwise(t, weights, count, generator, into=lambda way, _: 0 * way)


def mass_by_length(t, weights, count, generator=None):
    edges = middles(t)
    return draw(edges, (weights[:, 1:-1] + 1e-5) * edges.diff(dim=1), heights(t, count))


def heights_of_one(t, weights, count, generator=None):
    mass = weights[:, 1:-1] + 1e-5
    return draw(middles(t), mass, heights(t, count) / mass.sum(1, keepdim=True))


def merged(t, weights, count, generator=None):
    return torch.cat([t, fine_samples(t, weights, count)], dim=1).sort(dim=1).values


def heights_with_ends(t, weights, count, generator=None):
    u = torch.linspace(0, 1, count).to(t).expand(len(t), count).contiguous()
    return draw(middles(t), weights[:, 1:-1] + 1e-5, u)


def deaf_draw(t, weights, count, generator=None):
    return draw(middles(t), weights[:, 1:-1] + 1e-5, heights(t, count))


def even_again(t, weights, count, generator=None):
    return even_samples(t[:, :1], t[:, -1:], len(t), count)


def no_floor_of_mass(t, weights, count, generator=None):
    return draw(middles(t), weights[:, 1:-1], heights(t, count))


def unequal_counts(t, weights, count, generator=None):
    return draw(middles(t), weights + 1e-5, heights(t, count))


def by_interpolation(t, weights, count, generator=None):
    rows = []
    u = even_samples(0.0, 1.0, len(t), count, generator).numpy()
    for ends, mass, up in zip(middles(t).numpy(), weights[:, 1:-1].numpy(), u, strict=True):
        total = np.concatenate([[0], np.cumsum(mass + 1e-5)])
        rows.append(np.interp(up * total[-1], total, ends))
    return torch.tensor(np.array(rows))


def by_pdf(t, weights, count, generator=None):
    mass = weights[:, 1:-1] + 1e-5
    return draw(middles(t), mass / mass.sum(1, keepdim=True), heights(t, count, generator))


# 0106: render_rays(field, origins, directions, near, far, counts, background) ---------------------


def renderer(
    *,
    sort=True,
    passes="both",
    last="far",
    views="expand",
    finish=lambda c, o, bg: c + (1 - o) * bg,
):
    def render(field, origins, directions, near, far, counts, background):
        def points(t):
            return (origins[:, None] + t[..., None] * directions[:, None]).reshape(-1, 3)

        def weigh(t):
            end = {"far": far, "own": t[:, -1:], "inf": torch.full_like(far, 1e10)}[last]
            return weights_of(field.density(points(t)).reshape(t.shape), t.diff(append=end))

        t = even_samples(near, far, len(origins), counts[0])
        more = fine_samples(t, weigh(t), counts[1])
        t = {"both": torch.cat([t, more], dim=1), "first": t, "second": more}[passes]
        t = t.sort(dim=1).values if sort else t
        d = directions[:, None].expand(*t.shape, 3).reshape(-1, 3)
        if views == "repeat":
            d = directions.repeat(t.shape[1], 1)
        weights = weigh(t)
        colour = composite(weights, field.colour(points(t), d).reshape(*t.shape, 3))
        opacity = weights.sum(dim=1)
        colour = finish(colour, opacity[:, None], background)
        return colour, opacity, depth_and_spread(weights, t)[0]

    return render


def depth_not_divided(*arguments):
    colour, opacity, depth = renderer()(*arguments)
    return colour, opacity, depth * opacity


def merged_densities(field, origins, directions, near, far, counts, background):
    """Asks the density of the first samples only once, and goes ray by ray."""
    colours, opacities, depths = [], [], []
    for o, d, a, b in zip(origins, directions, near, far, strict=True):
        t = even_samples(a[None], b[None], 1, counts[0])
        density = field.density(o + t[0, :, None] * d)[None]
        more = fine_samples(t, weights_of(density, t.diff(append=b[None])), counts[1])
        density = torch.cat([density, field.density(o + more[0, :, None] * d)[None]], dim=1)
        t, order = torch.cat([t, more], dim=1).sort(dim=1)
        weights = weights_of(density.gather(1, order), t.diff(append=b[None]))
        colour = field.colour(o + t[0, :, None] * d, d.expand(t.shape[1], 3))
        colours.append((weights[0, :, None] * colour).sum(0) + (1 - weights.sum()) * background)
        opacities.append(weights.sum())
        depths.append(depth_and_spread(weights, t)[0][0])
    return torch.stack(colours), torch.stack(opacities), torch.stack(depths)


WRONG = [
    ("0101", lambda camera, xy: rays(camera, xy, length=False), "a direction must have length 1"),
    ("0101", lambda camera, xy: rays(camera, xy, shift=0.0), "where pixel_center says"),
    ("0101", lambda camera, xy: rays(camera, xy, shift=-camera.pixel_center), "is added, not"),
    ("0101", lambda camera, xy: rays(camera, xy, turned=False), "c2w turns it into the scene's"),
    ("0101", rays_turned_back, "columns of c2w are the camera's axes"),
    ("0101", lambda camera, xy: rays(camera, xy, flip=True), "x comes first"),
    ("0101", lambda camera, xy: rays(camera, xy, inverse=False), "this applies K"),
    ("0101", lambda camera, xy: rays(camera, xy, axes=(1, -1, -1)), "flip no axis"),
    ("0101", one_origin, "every ray needs its origin"),
    ("0101", lambda camera, xy: rays(camera, xy)[1], "has the shape"),
    ("0101", lambda camera, xy: rays(camera, xy, axes=(1, -1, 1)), "do not turn it up"),
    ("0101", lambda camera, xy: rays(camera, xy, axes=(1, 1, -1)), "do not turn it back"),
    ("0101", lambda camera, xy: rays(camera, xy)[::-1], "origins first"),
    ("0101", rays_without_transpose, "behind them transposed"),
    ("0101", rays_by_focal_length, "takes the principal point off"),
    ("0101", places_not_directions, "turned, not moved"),
    ("0101", pose_taken_for_its_inverse, "the camera's place already"),
    ("0101", one_length, "has a length of its own"),
    ("0102", near_ends, "not at its near end"),
    ("0102", far_ends, "not at its far end"),
    ("0102", by_linspace, "half a section inside"),
    ("0102", deaf, "with a generator a sample is anywhere"),
    ("0102", one_jitter, "all rays have the same jitter"),
    ("0102", one_shift, "are all shifted alike"),
    ("0102", thrown, "over the whole way"),
    ("0102", centred_jitter, "from 0 to 1 section"),
    ("0102", half_and_jitter, "add no half"),
    ("0102", from_zero, "begins at near"),
    ("0102", far_as_length, "where the last section ends"),
    ("0102", one_row, "has the shape"),
    ("0103", through_itself, "T contains the sample itself"),
    ("0103", alpha_alone, "this is alpha alone"),
    ("0103", transmittance_alone, "this is T, what gets that far"),
    ("0103", without_lengths, "the lengths delta do not count"),
    ("0103", linear_alpha, "not sigma delta"),
    ("0103", what_goes_through, "what it lets through"),
    ("0103", from_behind, "you walk from the far end"),
    ("0103", over_rays, "not over all rays"),
    ("0103", normalised, "weights need not sum to 1"),
    ("0103", rolled, "all light reaches the first sample"),
    ("0103", short_through, "has the shape"),
    ("0104", not_divided, "divide by their sum"),
    ("0104", spread_not_divided, "the spread's mean is divided"),
    ("0104", variance, "this is the variance"),
    ("0104", unweighted_spread, "a mean by weight, too"),
    ("0104", mean_distance, "not a mean of distances"),
    ("0104", heaviest, "the heaviest sample's depth"),
    ("0104", no_floor, "nan: a 0 / 0"),
    ("0104", only_depth, "has the shape"),
    ("0104", swapped, "depth first, then spread"),
    ("0105", bins_behind, "lie behind their sample"),
    ("0105", first_weight_kept, "leave out the first weight"),
    ("0105", last_weight_kept, "use the inner ones"),
    ("0105", near_end_of_the_bin, "took its near end"),
    ("0105", partial(drawn_otherwise, into=lambda way, _: 0 * way + 0.5), "took its middle"),
    ("0105", partial(drawn_otherwise, into=lambda way, mass: 1 - way / mass), "from its far end"),
    ("0105", partial(drawn_otherwise, into=lambda way, _: way), "divide by that"),
    ("0105", partial(drawn_otherwise, zero=0), "begin with a 0"),
    ("0105", partial(drawn_otherwise, ahead=1), "a bin too far"),
    ("0105", random_heights, "in each of count equal parts"),
    ("0105", partial(random_heights, sort=True), "leave gaps"),
    ("0105", heights_of_one_ray, "heights of its own"),
    ("0105", mass_by_length, "don't multiply by its length"),
    ("0105", heights_of_one, "multiply u by their sum"),
    ("0105", merged, "this holds the old samples, too"),
    ("0105", heights_with_ends, "in the middle of count equal parts"),
    ("0105", deaf_draw, "the generator is not used"),
    ("0105", even_again, "read the running sum backwards"),
    ("0105", no_floor_of_mass, "nan: a 0 / 0"),
    ("0105", unequal_counts, "yours raises"),
    ("0106", renderer(finish=lambda c, *_: c), "comes from the background"),
    ("0106", renderer(finish=lambda c, _, bg: c + bg), "not as a whole"),
    ("0106", renderer(finish=lambda c, o, bg: c + o * bg), "what the head lets through"),
    ("0106", renderer(finish=lambda c, o, bg: c / o.clamp_min(1e-6) + (1 - o) * bg), "not a mean"),
    ("0106", renderer(sort=False), "sort the samples of both passes"),
    ("0106", renderer(passes="first"), "these are the first samples alone"),
    ("0106", renderer(passes="second"), "the second pass's samples alone"),
    ("0106", renderer(last="own"), "append far to the lengths"),
    ("0106", renderer(last="inf"), "ends at far, not at infinity"),
    ("0106", renderer(views="repeat"), "must belong to the same ray"),
    ("0106", depth_not_divided, "the depth is a mean"),
]

RIGHT = [
    ("0101", rays_by_solve),
    ("0101", rays_by_hand),
    ("0102", by_ends),
    ("0103", weights_by_loop),
    ("0103", weights_by_product),
    ("0103", weights_by_difference),
    ("0104", by_second_moment),
    ("0104", by_normalised_weights),
    ("0105", by_interpolation),
    ("0105", by_pdf),
    ("0106", merged_densities),
]
