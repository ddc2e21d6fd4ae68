"""Answers to lesson 1's exercises: wrong ones as students write them, and right ones written anew.

Exercises 0105 and 0106 call the pieces of the ones before, which their checks lend by name.
"""

from __future__ import annotations

import numpy as np
import torch
from answers import spoiled
from torch.nn.functional import normalize, pad

from privhead_nb.teach.lesson01.pieces import (  # what the checks of 0105 and 0106 lend
    composite,
    depth_and_spread,
    even_samples,
    fine_samples,
    weights_of,
)

# 0101: pixel_rays(camera, xy) ---------------------------------------------------------------------


def rays(camera, xy):
    K, c2w = camera.K[0].float(), camera.c2w[0].float()
    uv1 = pad(xy + camera.pixel_center, (0, 1), value=1.0)
    d = uv1 @ torch.linalg.inv(K).T @ c2w[:3, :3].T
    return c2w[:3, 3].expand(len(xy), 3), normalize(d, dim=1)


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


def even(near, far, rays, count, generator=None):
    share = 0.5 if generator is None else torch.rand(rays, count, generator=generator)
    return near + (far - near) * ((torch.arange(count) + share) / count).expand(rays, count)


def thrown(near, far, rays, count, generator=None):
    if generator is None:
        return even_samples(near, far, rays, count)
    share = torch.rand(rays, count, generator=generator).sort(dim=1).values
    return near + (far - near) * share


def by_ends(near, far, rays, count, generator=None):
    ends = near + (far - near) * torch.linspace(0, 1, count + 1)
    ends = ends.expand(rays, count + 1)
    low, high = ends[:, :-1], ends[:, 1:]
    if generator is None:
        return (low + high) / 2
    return low + (high - low) * torch.rand(rays, count, generator=generator)


# 0103: weights_of(density, delta) -----------------------------------------------------------------


def weights_by_product(density, delta):
    alpha = 1 - torch.exp(-density * delta)
    through = torch.cumprod(pad(1 - alpha, (1, -1), value=1.0), dim=1)
    return through * alpha


def weights_by_loop(density, delta):
    weights, left = torch.zeros_like(density), torch.ones_like(density[:, 0])
    for i in range(density.shape[1]):
        alpha = 1 - torch.exp(-density[:, i] * delta[:, i])
        weights[:, i] = left * alpha
        left = left * (1 - alpha)
    return weights


def weights_by_difference(density, delta):
    through = torch.exp(-pad(torch.cumsum(density * delta, dim=1), (1, 0)))
    return through[:, :-1] - through[:, 1:]


# 0104: depth_and_spread(weights, t) ---------------------------------------------------------------


def mean_and_spread(weights, t):
    mass = weights.sum(1).clamp_min(1e-6)
    depth = (weights * t).sum(1) / mass
    return depth, ((weights * (t - depth[:, None]) ** 2).sum(1) / mass).sqrt()


def by_second_moment(weights, t):
    mass = weights.sum(1).clamp_min(1e-6)
    depth = (weights * t).sum(1) / mass
    return depth, ((weights * t**2).sum(1) / mass - depth**2).clamp_min(0).sqrt()


def by_normalised_weights(weights, t):
    share = weights / weights.sum(1, keepdim=True).clamp_min(1e-6)
    depth = (share * t).sum(1)
    return depth, (share * (t - depth[:, None]) ** 2).sum(1).sqrt()


# 0105: fine_samples(t, weights, count, generator=None) --------------------------------------------


def draw(t, weights, count, generator=None):
    edges, mass = middles(t), weights[:, 1:-1] + 1e-5
    total = pad(torch.cumsum(mass, dim=1), (1, 0))
    u = even_samples(0.0, 1.0, len(t), count, generator).to(t) * total[:, -1:]
    after = torch.searchsorted(total, u, right=True).clamp(1, total.shape[1] - 1)
    low, high = total.gather(1, after - 1), total.gather(1, after)
    start, end = edges.gather(1, after - 1), edges.gather(1, after)
    return start + (u - low) / (high - low) * (end - start)


def middles(t):
    return (t[:, 1:] + t[:, :-1]) / 2


def random_heights(rays, count, generator):
    if generator is None:
        return even_samples(0.0, 1.0, rays, count)
    return torch.rand(rays, count, generator=generator)


def merged(t, weights, count, generator=None):
    return torch.cat([t, fine_samples(t, weights, count)], dim=1).sort(dim=1).values


def even_again(t, weights, count, generator=None):
    return even_samples(t[:, :1], t[:, -1:], len(t), count)


def by_interpolation(t, weights, count, generator=None):
    rows = []
    u = even_samples(0.0, 1.0, len(t), count, generator).numpy()
    for ends, mass, up in zip(middles(t).numpy(), weights[:, 1:-1].numpy(), u, strict=True):
        total = np.concatenate([[0], np.cumsum(mass + 1e-5)])
        rows.append(np.interp(up * total[-1], total, ends))
    return torch.tensor(np.array(rows))


# 0106: render_rays(field, origins, directions, near, far, counts, background) ---------------------


def render(field, origins, directions, near, far, counts, background):
    def points(t):
        return (origins[:, None] + t[..., None] * directions[:, None]).reshape(-1, 3)

    def weigh(t):
        return weights_of(field.density(points(t)).reshape(t.shape), t.diff(append=far))

    t = even_samples(near, far, len(origins), counts[0])
    more = fine_samples(t, weigh(t), counts[1])
    t = torch.cat([t, more], dim=1).sort(dim=1).values
    d = directions[:, None].expand(*t.shape, 3).reshape(-1, 3)
    weights = weigh(t)
    colour = composite(weights, field.colour(points(t), d).reshape(*t.shape, 3))
    opacity, depth = weights.sum(dim=1), depth_and_spread(weights, t)[0]
    return colour + (1 - opacity[:, None]) * background, opacity, depth


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


ORIGINS, DIRECTIONS = "c2w[:3, 3].expand(len(xy), 3)", "normalize(d, dim=1)"
THROUGH = "pad(1 - alpha, (1, -1), value=1.0), dim=1)"
SPREAD = "((weights * (t - depth[:, None]) ** 2).sum(1) / mass)"
HEIGHTS = "even_samples(0.0, 1.0, len(t), count, generator)"

WRONG = [
    *spoiled(
        "0101", rays,
        (DIRECTIONS, "d", "a direction must have length 1"),
        (" + camera.pixel_center", "", "where pixel_center says"),
        ("+ camera.pixel_center", "- camera.pixel_center", "is added, not"),
        (" @ c2w[:3, :3].T", "", "c2w turns it into the scene's"),
        ("c2w[:3, :3].T", "c2w[:3, :3]", "columns of c2w are the camera's axes"),
        ("pad(xy", "pad(xy.flip(1)", "x comes first"),
        ("torch.linalg.inv(K)", "K", "this applies K"),
        ("inv(K).T", "inv(K).T * torch.tensor([1, -1, -1])", "flip no axis"),
        ("inv(K).T", "inv(K).T * torch.tensor([1, -1, 1])", "do not turn it up"),
        ("inv(K).T", "inv(K).T * torch.tensor([1, 1, -1])", "do not turn it back"),
        (".expand(len(xy), 3)", "", "every ray needs its origin"),
        (f"{ORIGINS}, ", "", "has the shape"),
        (f"{ORIGINS}, {DIRECTIONS}", f"{DIRECTIONS}, {ORIGINS}", "origins first"),
        ("inv(K).T", "inv(K)", "behind them transposed"),
        ("torch.linalg.inv(K).T", "(1 / K.diag()).diag()", "takes the principal point off"),
        (DIRECTIONS, "normalize(d + c2w[:3, 3], dim=1)", "turned, not moved"),
        ("return c2w[:3, 3]", "return (-c2w[:3, :3].T @ c2w[:3, 3])",
         "the camera's place already"),
        (DIRECTIONS, "d / d.norm()", "has a length of its own"),
    ),
    *spoiled(
        "0102", even,
        ("0.5", "torch.zeros(rays, count)", "not at its near end"),
        ("0.5", "1.0", "not at its far end"),
        ("((torch.arange(count) + share) / count)", "torch.linspace(0, 1, count)",
         "half a section inside"),
        (" if generator is None else torch.rand(rays, count, generator=generator)", "",
         "with a generator a sample is anywhere"),
        ("rand(rays, count", "rand(1, count", "all rays have the same jitter"),
        ("rand(rays, count", "rand(rays, 1", "are all shifted alike"),
        ("else torch", "else -0.5 + torch", "from 0 to 1 section"),
        ("else torch", "else 0.5 + torch", "add no half"),
        ("return near + (far - near)", "return far", "begins at near"),
        ("(far - near)", "far", "where the last section ends"),
        ("return near + (far - near) * ((torch.arange(count) + share) / count).expand(rays, count)",
         "return (near + (far - near) * (torch.arange(count) + share) / count)[0]",
         "has the shape"),
    ),
    ("0102", thrown, "over the whole way"),
    *spoiled(
        "0103", weights_by_product,
        (THROUGH, "1 - alpha, dim=1)", "T contains the sample itself"),
        ("through * alpha", "alpha", "this is alpha alone"),
        ("through * alpha", "through", "this is T, what gets that far"),
        ("density * delta", "density", "the lengths delta do not count"),
        ("through * alpha", "through * density * delta", "not sigma delta"),
        ("through * alpha", "through * (1 - alpha)", "what it lets through"),
        (THROUGH, "pad(1 - alpha, (0, 0, 1, -1), value=1.0), dim=0)", "not over all rays"),
        ("through * alpha", "through * alpha / (through * alpha).sum(dim=1, keepdim=True)",
         "weights need not sum to 1"),
        ("pad(1 - alpha", "pad(torch.exp(-density)", "T sums sigma alone"),
        (THROUGH, "1 - alpha, dim=1).roll(1, dims=1)", "all light reaches the first sample"),
        ("through * alpha", "(through * alpha)[:, 1:]", "has the shape"),
    ),
    ("0103", lambda density, delta: weights_of(density.flip(1), delta.flip(1)).flip(1),
     "you walk from the far end"),
    *spoiled(
        "0104", mean_and_spread,
        ("weights.sum(1).clamp_min(1e-6)", "1", "divide by their sum"),
        ("/ mass).sqrt()", ").sqrt()", "the spread's mean is divided"),
        (".sqrt()", "", "this is the variance"),
        (SPREAD, "((t - depth[:, None]) ** 2).mean(dim=1)", "a mean by weight, too"),
        (f"{SPREAD}.sqrt()", "(weights * (t - depth[:, None]).abs()).sum(1) / mass",
         "not a mean of distances"),
        ("return depth", "return t.gather(1, weights.argmax(1, keepdim=True))[:, 0]",
         "the heaviest sample's depth"),
        (".clamp_min(1e-6)", "", "nan: a 0 / 0"),
        (f", {SPREAD}.sqrt()", "", "has the shape"),
        (f"depth, {SPREAD}.sqrt()", f"{SPREAD}.sqrt(), depth", "depth first, then spread"),
    ),
    *spoiled(
        "0105", draw,
        ("middles(t), weights[:, 1:-1]", "t, weights[:, :-1]", "lie behind their sample"),
        ("[:, 1:-1]", "[:, :-2]", "leave out the first weight"),
        ("[:, 1:-1]", "[:, 2:]", "use the inner ones"),
        ("(u - low) / (high - low)", "0", "took its near end"),
        ("(u - low) / (high - low)", "0.5", "took its middle"),
        ("(u - low) / (high - low)", "(high - u) / (high - low)", "from its far end"),
        (" / (high - low)", "", "divide by that"),
        ("pad(torch.cumsum(mass, dim=1), (1, 0))", "torch.cumsum(mass, dim=1)",
         "begin with a 0"),
        ("clamp(1, total.shape[1] - 1)", "add(1).clamp(2, total.shape[1] - 1)",
         "a bin too far"),
        (HEIGHTS, "random_heights(len(t), count, generator)", "in each of count equal parts"),
        (HEIGHTS, "random_heights(len(t), count, generator).sort(dim=1).values", "leave gaps"),
        ("len(t), count, generator", "1, count, generator", "heights of its own"),
        ("    total", "    mass = mass * edges.diff(dim=1)\n    total",
         "don't multiply by its length"),
        (" * total[:, -1:]", "", "multiply u by their sum"),
        (HEIGHTS, "torch.linspace(0, 1, count).expand(len(t), count)",
         "in the middle of count equal parts"),
        ("count, generator)", "count)", "the generator is not used"),
        (" + 1e-5", "", "nan: a 0 / 0"),
        ("[:, 1:-1]", "", "yours raises"),
    ),
    ("0105", merged, "this holds the old samples, too"),
    ("0105", even_again, "read the running sum backwards"),
    *spoiled(
        "0106", render,
        (" + (1 - opacity[:, None]) * background", "", "comes from the background"),
        ("(1 - opacity[:, None]) * background", "background", "not as a whole"),
        ("(1 - opacity[:, None])", "opacity[:, None]", "what the head lets through"),
        ("return colour", "return colour / opacity[:, None].clamp_min(1e-6)", "not a mean"),
        (".sort(dim=1).values", "", "sort the samples of both passes"),
        ("torch.cat([t, more], dim=1)", "t", "these are the first samples alone"),
        ("torch.cat([t, more], dim=1)", "more", "the second pass's samples alone"),
        ("append=far", "append=t[:, -1:]", "append far to the lengths"),
        ("append=far", "append=torch.full_like(far, 1e10)", "ends at far, not at infinity"),
        ("directions[:, None].expand(*t.shape, 3).reshape(-1, 3)",
         "directions.repeat(t.shape[1], 1)", "must belong to the same ray"),
        ("depth_and_spread(weights, t)[0]", "(weights * t).sum(dim=1)", "the depth is a mean"),
    ),
]  # fmt: skip

RIGHT = [
    ("0101", rays),
    ("0101", rays_by_solve),
    ("0101", rays_by_hand),
    ("0102", even),
    ("0102", by_ends),
    ("0103", weights_by_loop),
    ("0103", weights_by_product),
    ("0103", weights_by_difference),
    ("0104", mean_and_spread),
    ("0104", by_second_moment),
    ("0104", by_normalised_weights),
    ("0105", draw),
    ("0105", by_interpolation),
    ("0106", render),
    ("0106", merged_densities),
]
