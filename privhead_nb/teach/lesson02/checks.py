"""Checks of lesson 02: a distance, the eikonal loss, a wall's thickness, and sphere tracing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.teach.checks import Function, check
from privhead_nb.teach.lesson02 import shapes, wall
from privhead_nb.training.losses import eikonal_loss


def ex0201(yours: Function) -> None:
    """Distance to a box: (points (N, 3), half (3,)) -> (N,)."""

    def spec(points: Tensor, half: Tensor) -> Tensor:
        return shapes.box(points, tuple(half.tolist()))

    def no_sides(points: Tensor, half: Tensor) -> Tensor:
        beyond = points - half
        return beyond.clamp_min(0).norm(dim=-1) + beyond.amax(dim=-1).clamp_max(0)

    def summed(points: Tensor, half: Tensor) -> Tensor:
        beyond = points.abs() - half
        return beyond.clamp_min(0).sum(dim=-1) + beyond.amax(dim=-1).clamp_max(0)

    half = torch.tensor([0.5, 0.4, 0.3])
    check(
        "ex0201",
        yours,
        spec,
        {
            "in front of a face": (torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, 0.5]]), half),
            "beyond an edge and a corner": (torch.tensor([[0.8, 0.8, 0], [0.8, -0.8, 0.6]]), half),
            "inside": (torch.tensor([[0.0, 0, 0], [0.3, 0.3, 0.0], [0.45, 0, 0]]), half),
            "500 places, a long box": (_places(500), torch.tensor([0.9, 0.1, 0.2])),
        },
        hint="q = |x| - half says for each axis how far the point is beyond the face; outside only "
        "the positive entries of q count, inside only the largest",
        slips={
            "inside the box yours is 0; there it is minus the distance to the nearest face, which "
            "is max(q)": lambda points, half: (points.abs() - half).clamp_min(0).norm(dim=-1),
            "beyond an edge or a corner two or three entries of q count, by Pythagoras": (
                lambda points, half: (points.abs() - half).amax(dim=-1)
            ),
            "a box has six faces: take |x| before you subtract": no_sides,
            "half is half of an edge already": lambda points, half: spec(points, half / 2),
            "positive entries of q are legs of a right angle: take the norm, not the sum": summed,
        },
    )


Make = Callable[[Tensor], Callable[[Tensor], Tensor]]


def ex0202(yours: Function) -> None:
    """Eikonal loss of any field: (field, points (N, 3)) -> scalar that can be trained with."""

    def slopes(field: Any, points: Tensor, keep: bool = True) -> Tensor:
        points = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(field(points).sum(), points, create_graph=keep)
        return gradient

    def learn(loss: Function, make: Make, scale: float, points: Tensor) -> Tensor:
        """The loss, and its derivative by a parameter of the field; 0 where none comes back."""
        parameter = torch.tensor(scale, dtype=points.dtype, requires_grad=True)
        value = torch.as_tensor(loss(make(parameter), points.clone()))
        back = None
        if value.requires_grad and value.numel() == 1:
            (back,) = torch.autograd.grad(value.sum(), parameter, allow_unused=True)
        back = torch.zeros_like(parameter) if back is None else back
        return torch.cat([value.detach().reshape(-1), back.reshape(-1)])

    def by(make_loss: Function) -> Function:
        return lambda *case: learn(make_loss, *case)

    def right(field: Any, points: Tensor) -> Tensor:
        return eikonal_loss(slopes(field, points))

    check(
        "ex0202",
        yours,
        by(right),
        {
            "twice a distance, 7 places": (
                lambda scale: lambda x: scale * shapes.torus(x), 2.0, _places(7),
            ),
            "a sphere with waves, 200 places": (
                lambda scale: lambda x: shapes.sphere(x) + 0.1 * torch.sin(scale * x).sum(dim=-1),
                3.0, _places(200),
            ),
            "a quadratic, 50 places": (
                lambda scale: lambda x: x.square().sum(dim=-1) * scale - 0.3, 0.8, _places(50),
            ),
        },
        call=lambda loss, *case: learn(loss, *case),
        hint="let autograd give the gradient of field(points).sum() by the points, with "
        "create_graph=True; then the mean of (norm - 1) squared; the check's second number is the "
        "loss's own derivative by a parameter of the field",
        slips={
            "the value is right, but nothing can be learned from it: autograd must keep the "
            "gradient's own graph (create_graph=True)": by(
                lambda f, x: eikonal_loss(slopes(f, x, keep=False))
            ),
            "take the square root: the norm, not its square, is compared with 1": by(
                lambda f, x: (slopes(f, x).square().sum(-1) - 1).square().mean()
            ),
            "square the difference (eq. 4), its magnitude is another loss": by(
                lambda f, x: (slopes(f, x).norm(dim=-1) - 1).abs().mean()
            ),
            "take the mean over the places, not the sum": by(
                lambda f, x: (slopes(f, x).norm(dim=-1) - 1).square().sum()
            ),
            "the gradient of a mean is N times too short: differentiate the sum": by(
                lambda f, x: eikonal_loss(slopes(f, x) / len(x))
            ),
            "subtract 1 from the norm, not from each component": by(
                lambda f, x: (slopes(f, x) - 1).square().sum(-1).mean()
            ),
        },
        rtol=1e-4,
        atol=1e-5,
    )  # fmt: skip


def ex0203(yours: Function) -> None:
    """Sphere tracing: (sdf, origins, directions, lipschitz, far) -> depth (N,), inf for a miss."""
    asked = {"yours": 0, "ours": 0}

    def counted(who: str, sdf: shapes.Shape) -> shapes.Shape:
        def ask(points: Tensor) -> Tensor:
            asked[who] += len(points)
            return sdf(points)

        return ask

    def spec(sdf: shapes.Shape, *case: Any) -> Tensor:
        origins, directions, lipschitz, far = case
        sdf = counted("ours", sdf)
        return shapes.sphere_trace(sdf, origins, directions, lipschitz=lipschitz, far=far)

    def greedy(sdf: shapes.Shape, o: Tensor, d: Tensor, _: float, far: float) -> Tensor:
        return shapes.sphere_trace(sdf, o, d, lipschitz=1.0, far=far)

    def no_misses(sdf: shapes.Shape, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
        depth = shapes.sphere_trace(sdf, o, d, lipschitz=bound, far=far)
        return torch.where(torch.isfinite(depth), depth, far)

    def places(sdf: shapes.Shape, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
        return o + shapes.sphere_trace(sdf, o, d, lipschitz=bound, far=far)[:, None] * d

    def wavy(x: Tensor) -> Tensor:  # |gradient| <= 1 + 0.06 * 16
        return shapes.sphere(x, 0.5) + 0.06 * torch.sin(16 * x[..., 0])

    front, slanted = _rays(12, 0.0), _rays(15, 0.35)
    blob = shapes.smooth_union(shapes.moved(shapes.sphere, (0.3, 0, 0)), shapes.box)
    check(
        "ex0203",
        lambda sdf, *case: yours(counted("yours", sdf), *case),
        spec,
        {
            "a sphere, hit and missed": (shapes.sphere, *front, 1.0, 4.0),
            "a box, at an angle": (shapes.box, *slanted, 1.0, 4.0),
            "three times a torus": (lambda x: 3 * shapes.torus(x), *front, 3.0, 4.0),
            "a smooth union, a bound only": (blob, *slanted, 1.0, 4.0),
            "a wavy sphere, gradients up to 2": (wavy, *slanted, 2.0, 4.0),
            "rays that end before they arrive": (shapes.sphere, *front, 1.0, 1.2),
            "rays that begin inside": (shapes.sphere, 0.1 * front[0], front[1], 1.0, 4.0),
        },
        hint="a ray at x may go f(x) / lipschitz further, and no more; it has arrived where f is "
        "at most 1e-4, and has missed beyond `far`: then its depth is infinite",
        slips={
            "your step is f: where the gradient is longer than 1 that jumps over the surface; "
            "divide by lipschitz": greedy,
            "a ray that meets nothing up to `far` has the depth inf": no_misses,
            "these are the places; return how far along the ray they are": places,
        },
        rtol=1e-3,
        atol=2e-3,
    )
    print(f"  it asks the field {asked['yours'] / asked['ours']:.1f} times as often as ours does")


def ex0204(yours: Function) -> None:
    """How deep a share of the light gets: (share, beta, cosine) -> -f there."""

    def hard(share: float, beta: float, cosine: float) -> float:
        return float(-beta * np.log1p(-share) * cosine)

    def front_only(share: float, beta: float, cosine: float) -> float:
        return float(beta * np.log(-2 * np.log1p(-share) * cosine))

    check(
        "ex0204",
        yours,
        wall.depth_at,
        {
            "5 % of the light, in front": (0.05, 2.0, 1.0),
            "half of it": (0.5, 1.5, 1.0),
            "95 %, behind": (0.95, 0.5, 1.0),
            "half of it, at 60 degrees": (0.5, 1.0, 0.5),
            "99.9 %, at 80 degrees, a thin wall": (0.999, 0.28, 0.17),
        },
        hint="share = 1 - exp(-R), so R is known; R times the cosine is e^u / 2 in front of the "
        "surface (up to 1/2) and u + e^-u / 2 behind it; solve for u, multiply by beta",
        slips={
            "a slanting ray gathers 1 / cosine as much for each unit of depth": lambda s, b, _: (
                wall.depth_at(s, b)
            ),
            "depth is asked perpendicular to the surface, as -f, not along the ray": (
                lambda s, b, c: wall.depth_at(s, b, c) / c
            ),
            "behind the surface the fog of its front must be counted: the term e^-u / 2": hard,
            "that is the formula in front of the surface; behind it, R is another": front_only,
            "behind the surface is positive here: the sign is swapped": lambda *case: (
                -wall.depth_at(*case)
            ),
            "the share that has been stopped, not the share that is left": lambda s, b, c: (
                wall.depth_at(1 - s, b, c)
            ),
            "this is in units of beta": lambda s, _, c: wall.depth_at(s, 1.0, c),
        },
        rtol=1e-4,
        atol=1e-4,
    )


def _places(count: int) -> Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(2)) * 2 - 1


def _rays(count: int, slant: float) -> tuple[Tensor, Tensor]:
    """count^2 rays from z = 2 towards -z, leaning to +x."""
    across = torch.linspace(-0.83, 0.86, count)
    y, x = torch.meshgrid(across, across, indexing="ij")
    origins = torch.stack([x - 2 * slant, y, torch.full_like(x, 2.0)], -1).reshape(-1, 3)
    directions = torch.tensor([slant, 0.0, -1.0]).expand_as(origins)
    return origins, torch.nn.functional.normalize(directions, dim=-1)
