"""How thick the layer is that a ray sees: VolSDF's density at a flat surface, in closed form.

A ray meets a plane at an angle, c its cosine, so f falls by c for each unit of way. With u = -f /
beta VolSDF's density (eq. 2-3) adds up to R(u) = e^u / (2 c) in front of the surface (u <= 0) and
R(u) = (u + e^-u / 2) / c behind it; a share of 1 - e^-R(u) of the light has been stopped by there.
NeuS's alpha lets through T = Phi(f), at any angle: 1 - T = sigmoid(u). Beta enters by u alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from privhead_nb.field.density import logistic_alpha
from privhead_nb.kernels.compositing import (
    laplace_density,
    weights_from_alpha,
    weights_from_density,
)

FORMS = ("VolSDF", "NeuS")


def stopped(depth: Tensor, beta: float, cosine: float = 1.0, form: str = "VolSDF") -> Tensor:
    """Share of the light that is stopped before `depth` behind the surface.

    Args:
        depth: -f, any shape, perpendicular to the surface, negative in front of it.
        beta: Laplace scale, in the unit of `depth`.
        cosine: of the angle between ray and normal, in (0, 1].
        form: "VolSDF" or "NeuS".
    """
    u = depth / beta
    if form == "NeuS":
        return torch.sigmoid(u)
    tail = 0.5 * torch.exp(-u.abs())
    return -torch.expm1(-torch.where(u > 0, u + tail, tail) / cosine)


def depth_at(share: float, beta: float, cosine: float = 1.0, form: str = "VolSDF") -> float:
    """How far behind the surface a share of the light has been stopped: the inverse of `stopped`.

    Behind the surface R = u + e^-u / 2 has no elementary inverse, but u <- R - e^-u / 2 halves its
    error each time.
    """
    if not 0 < share < 1 or not 0 < cosine <= 1 or beta <= 0:
        raise ValueError(f"share {share} in (0, 1), cosine {cosine} in (0, 1], beta {beta} > 0")
    if form == "NeuS":
        return beta * math.log(share / (1 - share))
    optical = -math.log1p(-share) * cosine
    if optical <= 0.5:
        return beta * math.log(2 * optical)
    u = optical
    for _ in range(60):
        u = optical - 0.5 * math.exp(-u)
    return beta * u


def sampled_weights(sdf: Tensor, spacing: float, beta: float, form: str = "VolSDF") -> Tensor:
    """Weights of even samples (S,) on a ray, by the package's own compositing.

    Args:
        sdf: (S,) along the ray.
        spacing: from sample to sample, along the ray.
        beta, form: as in `stopped`.
    """
    if form == "NeuS":
        return weights_from_alpha(logistic_alpha(sdf, beta))
    return weights_from_density(laplace_density(sdf, beta), torch.full_like(sdf, spacing))


def stopped_on_ray(depth: Tensor, hit: float, beta: float, cosine: float, form: str) -> Tensor:
    """`stopped`, of the light that is there where a ray begins, `hit` before the surface."""
    before = stopped(depth.new_tensor(-hit * cosine), beta, cosine, form)
    return (stopped(depth, beta, cosine, form) - before) / (1 - before)


def exactly(beta: float, angle: float, hit: float, form: str) -> tuple[float, float]:
    """Of a ray that starts `hit` before the surface, were its samples infinitely many.

    Args:
        beta, hit: mm.
        angle: between the ray and the normal, degrees.
        form: "VolSDF" or "NeuS".

    Returns:
        The share of its light that stops within 1 mm of the surface, and how far behind the
        surface half of it has stopped, perpendicular.
    """
    cosine = math.cos(math.radians(angle))
    ends = torch.tensor([-1, 1], dtype=torch.float64)
    first, last = stopped_on_ray(ends, hit, beta, cosine, form).tolist()
    before = float(stopped(ends.new_tensor(-hit * cosine), beta, cosine, form))
    return last - first, depth_at(before + 0.5 * (1 - before), beta, cosine, form)
