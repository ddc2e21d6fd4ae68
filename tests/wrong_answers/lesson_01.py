"""Answers to lesson 1's exercises: wrong ones as students write them, and right ones written anew.

Exercises 0105 and 0106 call the pieces of the ones before, which their checks lend by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import pad

from privhead_nb.teach.lesson01.pieces import (  # what the checks of 0105 and 0106 lend
    depth_and_spread,
    even_samples,
    fine_samples,
    pixel_rays,
    weights_of,
)

# 0101: pixel_rays(camera, xy) ---------------------------------------------------------------------


def rays_by_solve(camera, xy):
    uv1 = pad((xy + camera.pixel_center).double(), (0, 1), value=1.0)
    d = (camera.c2w[0, :3, :3] @ torch.linalg.solve(camera.K[0], uv1.T)).T
    return camera.c2w[0, :3, 3].repeat(len(xy), 1), d / d.norm(dim=1, keepdim=True)


# 0102: even_samples(near, far, rays, count, generator=None) ---------------------------------------


def by_ends(near, far, rays, count, generator=None):
    ends = near + (far - near) * torch.linspace(0, 1, count + 1)
    ends = ends.expand(rays, count + 1)
    low, high = ends[:, :-1], ends[:, 1:]
    if generator is None:
        return (low + high) / 2
    return low + (high - low) * torch.rand(rays, count, generator=generator)


# 0103: weights_of(density, delta) -----------------------------------------------------------------


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


def by_second_moment(weights, t):
    mass = weights.sum(1).clamp_min(1e-6)
    depth = (weights * t).sum(1) / mass
    return depth, ((weights * t**2).sum(1) / mass - depth**2).clamp_min(0).sqrt()


# 0105: fine_samples(t, weights, count, generator=None) --------------------------------------------


def middles(t):
    return (t[:, 1:] + t[:, :-1]) / 2


def by_interpolation(t, weights, count, generator=None):
    rows = []
    u = even_samples(0.0, 1.0, len(t), count, generator).numpy()
    for ends, mass, up in zip(middles(t).numpy(), weights[:, 1:-1].numpy(), u, strict=True):
        total = np.concatenate([[0], np.cumsum(mass + 1e-5)])
        rows.append(np.interp(up * total[-1], total, ends))
    return torch.tensor(np.array(rows))


# 0106: render_rays(field, origins, directions, near, far, counts, background) ---------------------


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


WRONG: list[Any] = []  # the checks say nothing of a wrong answer that is none of their slips

RIGHT = [
    ("0101", pixel_rays),
    ("0101", rays_by_solve),
    ("0102", by_ends),
    ("0103", weights_by_loop),
    ("0103", weights_by_difference),
    ("0104", by_second_moment),
    ("0105", by_interpolation),
    ("0106", merged_densities),
]
