"""A head that fits on a page: a ball with a nose, two eyes and a mouth, rendered by eq. 1.

    f(x) = |x - c| - radius - nose exp(k (u . front - 1)), u = (x - c) / |x - c|, c = (shift, 0, 0)

Three numbers make its shape, so that d loss / d shape can be looked at, one number at a time. The
samples on a ray stand still when the shape changes: what autograd gives is the derivative of what
is computed, exactly, and finite differences must agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.kernels.compositing import composite, sdf_weights
from privhead_nb.kernels.gradient_loss import gradient_loss, gradient_modulus
from privhead_nb.privacy.operators import Operator

SIZE, SAMPLES, BETA = 48, 96, 0.02
NARROW = 18.0  # k: the nose is about a quarter of the radius wide
LEAST_WEIGHT = 1e-7  # samples that weigh less are not asked for a colour
VIEWS = (-0.6, -0.3, 0.0, 0.3, 0.6)  # yaw in radians; at none of them the nose reaches the outline
_FRONT = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
_LIGHT = F.normalize(torch.tensor([-0.5, 0.6, 0.9], dtype=torch.float64), dim=0)
_SKIN = torch.tensor([0.80, 0.66, 0.58], dtype=torch.float64)

Paint = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Shape:
    """Three numbers, float64 scalars: radius, shift to the right, height of the nose."""

    radius: Tensor
    shift: Tensor
    nose: Tensor


@dataclass(frozen=True)
class Shown:
    """A picture: colour (S, S, 3), opacity (S, S), direction u of what is seen (S, S, 3)."""

    colour: Tensor
    opacity: Tensor
    directions: Tensor


def shape(
    radius: Tensor | float = 0.6, shift: Tensor | float = 0.0, nose: Tensor | float = 0.2
) -> Shape:
    """A shape of numbers, or of tensors that want a gradient."""
    return Shape(*(torch.as_tensor(v, dtype=torch.float64) for v in (radius, shift, nose)))


def distance(points: Tensor, of: Shape) -> tuple[Tensor, Tensor, Tensor]:
    """f (N,), its unit normals (N, 3), and directions u (N, 3) at points (N, 3)."""
    zero = torch.zeros_like(of.shift)
    from_centre = points - torch.stack([of.shift, zero, zero])
    length = from_centre.norm(dim=-1).clamp_min(1e-9)
    u = from_centre / length[:, None]
    along = u @ _FRONT
    nose = of.nose * torch.exp(NARROW * (along - 1))
    slope = (NARROW * nose / length)[:, None] * (_FRONT - along[:, None] * u)
    return length - of.radius - nose, F.normalize(u - slope, dim=-1), u


def face(u: Tensor) -> Tensor:
    """Colours of skin, eyes and mouth at directions (N, 3)."""
    dark = torch.zeros_like(u[:, 0])
    for side in (-1.0, 1.0):
        eye = F.normalize(u.new_tensor([0.40 * side, 0.28, 0.87]), dim=0)
        dark = dark + 0.70 * torch.exp(60 * (u @ eye - 1))
    mouth = (u[:, 0] / 0.28).square() + ((u[:, 1] + 0.45) / 0.08).square()
    dark = dark + 0.55 * torch.exp(-mouth) * (u[:, 2] > 0)
    return (1 - dark.clamp(max=0.85))[:, None] * _SKIN.to(u)


def plain(u: Tensor) -> Tensor:
    """Skin and nothing else."""
    return _SKIN.to(u).expand(len(u), 3)


def render(of: Shape, yaw: float = 0.0, *, paint: Paint = face, light: float = 0.6) -> Shown:
    """What an orthographic camera sees that was turned about the head by `yaw`, on white.

    Args:
        of: the shape; the picture is differentiable in it.
        yaw: radians, to the head's left.
        paint: colours by direction.
        light: share of the lamp in the light, the rest comes from everywhere; 0 is unlit.
    """
    axis = ((torch.arange(SIZE, dtype=torch.float64) + 0.5) / SIZE) * 2 - 1
    y, x = torch.meshgrid(-axis, axis, indexing="ij")
    right = torch.tensor([math.cos(yaw), 0.0, -math.sin(yaw)], dtype=torch.float64)
    toward = torch.tensor([math.sin(yaw), 0.0, math.cos(yaw)], dtype=torch.float64)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    start = (x[..., None] * right + y[..., None] * up + toward).reshape(-1, 1, 3)
    t = (torch.arange(SAMPLES, dtype=torch.float64) + 0.5) * (2 / SAMPLES)
    points = (start - t[:, None] * toward).reshape(-1, 3)

    sdf = distance(points, of)[0].reshape(-1, SAMPLES)
    weights = sdf_weights(sdf, torch.full_like(sdf, 2 / SAMPLES), BETA)
    seen = (weights.detach().flatten() > LEAST_WEIGHT).nonzero()[:, 0]
    _, normals, u = distance(points[seen], of)
    shade = 1 - light + light * (normals @ _LIGHT).clamp_min(0)
    both = torch.cat([paint(u) * shade[:, None], u], -1)
    spread = both.new_zeros(len(points), 6).index_copy(0, seen, both)
    colour, directions = composite(weights, spread.reshape(-1, SAMPLES, 6)).split(3, -1)
    opacity = weights.sum(-1, keepdim=True)
    square = (SIZE, SIZE, -1)
    return Shown(
        (colour + 1 - opacity).reshape(square),
        opacity.reshape(SIZE, SIZE),
        F.normalize(directions.detach(), dim=-1).reshape(square),
    )


def modulus(colour: Tensor) -> Tensor:
    """Eq. 6 of a picture (S, S, 3), without padding: (S - 2, S - 2)."""
    return gradient_modulus(colour.movedim(-1, 0)[None], *_sobel(colour))[0]


def loss(colour: Tensor, target: Tensor) -> Tensor:
    """Eq. 5 of a picture (S, S, 3) and a target modulus (S - 2, S - 2)."""
    return gradient_loss(colour.movedim(-1, 0)[None], target[None], *_sobel(colour))


def slope(name: str, value: float, target: Tensor, **looks: object) -> tuple[float, float]:
    """Loss and d loss / d number by autograd, of the shape whose number `name` has a value."""
    number = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    found = loss(render(shape(**{name: number}), **looks).colour, target)  # type: ignore[arg-type]
    found.backward()
    assert number.grad is not None
    return found.item(), number.grad.item()


def on_texture(u: Tensor) -> Tensor:
    """Longitude and latitude in [-1, 1], as `grid_sample` reads a texture: (..., 3) -> (..., 2)."""
    across = torch.atan2(u[..., 0], u[..., 2]) / math.pi
    down = -torch.asin(u[..., 1].clamp(-1, 1)) / (math.pi / 2)
    return torch.stack([across, down], -1)


def _sobel(like: Tensor) -> tuple[Tensor, Tensor]:
    kx, ky = Operator("sobel").kernels()
    return kx.to(like), ky.to(like)
