"""A head that fits on a page: a ball with a nose, two eyes and a mouth, rendered by eq. 1.

    f(x) = |x - c| - radius - nose exp(k (u . front - 1)), u = (x - c) / |x - c|, c = (shift, 0, 0)

Three numbers make its shape, so that d loss / d shape can be looked at, one number at a time. The
samples on a ray stand still when the shape changes: what autograd gives is the derivative of what
is computed, exactly, and finite differences must agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.kernels.compositing import composite, sdf_weights
from privhead_nb.kernels.gradient_loss import gradient_loss, gradient_modulus
from privhead_nb.privacy.operators import Operator
from privhead_nb.training.losses import rgb_loss
from privhead_nb.training.profiles import get_profile

SIZE, SAMPLES, BETA = 48, 96, 0.02
NARROW = 18.0  # k: the nose is about a quarter of the radius wide
LEAST_WEIGHT = 1e-7  # samples that weigh less are not asked for a colour
TEXTURE = (48, 96)
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


def far_slopes(shifts: Tensor, radius: float = 0.3) -> tuple[Tensor, Tensor]:
    """Of a small ball whose target stands in the middle: losses over the empty picture's, slopes.

    Args:
        shifts: (n,) how far to the side the ball is.
    """
    target = modulus(render(shape(radius, 0.0, 0.0)).colour)
    found = []
    for value in shifts.tolist():
        shift = torch.tensor(value, dtype=torch.float64, requires_grad=True)
        lost = loss(render(shape(radius, shift, 0.0)).colour, target) / target.mean()
        found.append((lost.item(), torch.autograd.grad(lost, shift)[0].item()))
    losses, slopes = torch.tensor(found, dtype=torch.float64).unbind(1)
    return losses, slopes


def where_from(name: str, value: float, target: Tensor) -> tuple[Tensor, Tensor]:
    """d loss / d number, pixel by pixel: (S, S), which sums to the whole; and the opacity (S, S).

    The chain rule is a sum over pixels p:

        d loss / d number = sum_p  d loss / d c_p . d c_p / d number
    """

    def picture(number: Tensor) -> Tensor:
        return render(shape(**{name: number})).colour

    number = torch.tensor(value, dtype=torch.float64)
    pushed = torch.func.jvp(picture, (number,), (torch.ones_like(number),))
    colour, change = pushed[0].detach().requires_grad_(), pushed[1]
    (pull,) = torch.autograd.grad(loss(colour, target), colour)
    return (pull * change).sum(-1), render(shape(**{name: number})).opacity


def outline(opacity: Tensor) -> Tensor:
    """Pixels at the silhouette: partly covered, or the neighbour of one that is; (S, S) bool."""
    partly = ((opacity > 0.02) & (opacity < 0.98)).to(opacity)
    return F.max_pool2d(partly[None, None], 3, 1, 1)[0, 0] > 0


@dataclass(frozen=True)
class Painted:
    """What painting a shape of the wrong height came to.

    Attributes:
        losses: over the steps, over the mean of the target moduli.
        pictures: (V, S, S, 3) at the end.
    """

    losses: list[float]
    pictures: Tensor


def paint_it(nose: float, yaws: Sequence[float], *, by_rgb: bool = False) -> Painted:
    """Fit the colours of a shape that does not move, to the true head's moduli in some views.

    Args:
        nose: height of the shape that is painted; the true head's is 0.2.
        yaws: from where it is seen.
        by_rgb: fit to the colours (eq. 2) instead.
    """
    steps = 150 if get_profile().name == "ci" else 250
    views = [render(shape(nose=nose), yaw) for yaw in yaws]
    wanted = torch.stack([render(shape(), yaw).colour for yaw in yaws]).float().movedim(-1, 1)
    kernels = _sobel(wanted)
    target = gradient_modulus(wanted, *kernels)
    opacity = torch.stack([v.opacity for v in views]).float()[:, None]
    places = torch.stack([_place(v.directions) for v in views]).float()
    noise = torch.randn(1, 3, *TEXTURE, generator=torch.Generator().manual_seed(0))
    texture = (0.1 * noise).requires_grad_()
    optimiser = torch.optim.Adam([texture], lr=0.05)
    fall = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.03 ** (1 / steps))
    losses = []
    for _ in range(steps):
        colours = torch.sigmoid(texture).expand(len(yaws), -1, -1, -1)
        painted = F.grid_sample(colours, places, padding_mode="border", align_corners=False)
        pictures = painted * opacity + 1 - opacity
        lost = rgb_loss(pictures, wanted) if by_rgb else gradient_loss(pictures, target, *kernels)
        optimiser.zero_grad()
        lost.backward()
        optimiser.step()
        fall.step()
        losses.append(lost.item() / target.mean().item())
    return Painted(losses, pictures.detach().movedim(1, -1))


def _place(u: Tensor) -> Tensor:
    """Longitude and latitude in [-1, 1], as `grid_sample` reads a texture: (S, S, 2)."""
    across = torch.atan2(u[..., 0], u[..., 2]) / math.pi
    down = -torch.asin(u[..., 1].clamp(-1, 1)) / (math.pi / 2)
    return torch.stack([across, down], -1)


def _sobel(like: Tensor) -> tuple[Tensor, Tensor]:
    kx, ky = Operator("sobel").kernels()
    return kx.to(like), ky.to(like)
