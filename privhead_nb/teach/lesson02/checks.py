"""Checks of lesson 02: a distance, two losses' heart, a start, a loop, a lattice, and rays."""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid_reference
from privhead_nb.teach.checks import Function, Slip, check
from privhead_nb.teach.lesson02 import laplace, shapes


def ex0201(yours: Function) -> None:
    """Distance to a box: (points (N, 3), half (3,)) -> (N,)."""
    half = torch.tensor([0.5, 0.4, 0.3])
    cases = {
        "in front of a face": (torch.tensor([[1.0, 0, 0], [0, -1, 0], [0, 0, 0.5]]), half),
        "beyond an edge and a corner": (torch.tensor([[0.8, 0.8, 0], [0.8, -0.8, 0.6]]), half),
        "inside": (torch.tensor([[0.0, 0, 0], [0.3, 0.3, 0.0], [0.45, 0, 0]]), half),
        "500 places, a long box": (_places(500), torch.tensor([0.9, 0.1, 0.2])),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "inside the box yours is 0, not minus the way to a face":
            (" + beyond.amax(dim=-1).clamp_max(0)", ""),
        "a box has six faces: take |x| before you subtract": ("points.abs()", "points"),
        "half is half of an edge already": ("abs() - half", "abs() - half / 2"),
        "legs of a right angle: the norm, not the sum": ("norm(dim=-1)", "sum(dim=-1)"),
        "inside the distance is negative": lambda *case: shapes.box(*case).abs(),
    }  # fmt: skip
    check("ex0201", yours, shapes.box, cases, slips=slips)


def ex0202(yours: Function) -> None:
    """Eikonal loss of any field: (field, points (N, 3)) -> scalar that can be trained with."""

    def learn(loss: Function, make: Function, scale: float, points: Tensor) -> Tensor:
        """The loss, and its derivative by a parameter of the field; 0 where none comes back."""
        parameter, asked = torch.tensor(scale, dtype=points.dtype, requires_grad=True), [0]
        field = make(parameter)

        def ask(x: Tensor) -> Tensor:
            asked[0] += 1
            if asked[0] > 3:
                raise RuntimeError("over 3 questions of the field: autograd needs one")
            return field(x)

        value = torch.as_tensor(loss(ask, points.clone()))
        back = None
        if value.requires_grad and value.numel() == 1:
            (back,) = torch.autograd.grad(value.sum(), parameter, allow_unused=True)
        back = torch.zeros_like(parameter) if back is None else back
        return torch.cat([value.detach().reshape(-1), back.reshape(-1)])

    cases = {
        "twice a distance, 7 places":
            (lambda scale: lambda x: scale * shapes.torus(x), 2.0, _places(7)),
        "a sphere with waves, 200 places": (
            lambda scale: lambda x: shapes.sphere(x) + 0.1 * torch.sin(scale * x).sum(dim=-1),
            3.0, _places(200),
        ),
        "a quadratic, 50 places":
            (lambda scale: lambda x: x.square().sum(dim=-1) * scale - 0.3, 0.8, _places(50)),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "the value is right, but nothing can be learned from it: autograd must keep the "
        "gradient's own graph": ("create_graph=True", "create_graph=False"),
        "the norm, not its square, is compared with 1": ("norm(dim=-1)", "square().sum(dim=-1)"),
        "square the difference (eq. 4)": (").square()", ").abs()"),
        "the gradient of a mean is N times too short: differentiate the sum": (".sum()", ".mean()"),
    }  # fmt: skip
    check("ex0202", yours, _eikonal, cases, call=learn, slips=slips, rtol=1e-4, atol=1e-5)


def _eikonal(field: Function, points: Tensor) -> Tensor:
    points = points.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(field(points).sum(), points, create_graph=True)
    return (gradient.norm(dim=-1) - 1).square().mean()


def ex0203(yours: Function) -> None:
    """Geometric initialisation: (layers, radius), filled in place."""

    def facts(fill: Function, inputs: int, width: int, depth: int, radius: float) -> Tensor:
        """Fourth moment, spread, mean and largest bias of each layer, in units of about 1."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            sizes = [inputs] + depth * [width]
            layers = [nn.Linear(a, b) for a, b in pairwise(sizes)]
            layers.append(nn.Linear(width, 1))
            fill(layers, radius)
        rows, unit = [], math.sqrt(width)
        for linear in layers:
            weight, bias = linear.weight.detach(), linear.bias.detach()
            spread, mean = weight.std() * unit, weight.mean() * unit
            if linear is not layers[-1]:  # 1 for normal numbers, 0.6 for even ones
                rows.append((weight / weight.std()).pow(4).mean()[None] / 3)
                bias = bias * unit
            rows.append(torch.stack([spread, mean / (1 + spread), bias[bias.abs().argmax()]]))
        return torch.cat(rows)

    cases = {
        "one hidden layer of 512 units": (3, 512, 1, 0.6),
        "three hidden layers of 256 units, another radius": (3, 256, 3, 0.25),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "2 / m is a variance, not a standard deviation":
            ("math.sqrt(2 / linear.out_features)", "2 / linear.out_features"),
        "m is the number of rows, so of outputs": ("linear.out_features", "linear.in_features"),
        "f is negative at the origin: the last bias is -radius": ("-radius", "radius"),
        "the hidden biases are still PyTorch's: they move the sphere":
            ("linear.bias.zero_()", "pass"),
    }  # fmt: skip
    check("ex0203", yours, _start, cases, call=facts, slips=slips, rtol=0.1, atol=0.15)


def _start(layers: list[nn.Linear], radius: float) -> None:
    """Geometric initialisation."""
    with torch.no_grad():
        for linear in layers[:-1]:
            linear.weight.normal_(0, math.sqrt(2 / linear.out_features))
            linear.bias.zero_()
        layers[-1].weight.fill_(math.sqrt(math.pi / layers[-1].in_features))
        layers[-1].bias.fill_(-radius)


def ex0204(yours: Function) -> None:
    """The training loop: (parameters, loss, steps, rate) -> losses, parameters moved in place."""

    def facts(loop: Function, steep: float, steps: int, rate: float, own: tuple[float, ...]) -> Any:
        """Losses, final values, and how often the loss was asked."""
        values = [nn.Parameter(torch.tensor([1.0, -0.5])) for _ in range(2)]
        goals, asked = (torch.tensor([0.2, 0.4]), torch.tensor([3.0, -0.6])), [0]

        def loss() -> Tensor:
            asked[0] += 1
            apart = [(v - g).square().sum() for v, g in zip(values, goals, strict=True)]
            return steep * (apart[0] + 3 * apart[1])

        groups = [{"params": [v], "lr": r} for v, r in zip(values, own, strict=False)]
        losses = list(loop(groups or values, loss, steps, rate))
        kept = sum(isinstance(v, Tensor) for v in losses)
        found = torch.tensor([torch.as_tensor(v).item() for v in losses]) / steep
        ends = torch.cat([v.detach() for v in values])
        return found, ends, torch.tensor([asked[0] / steps]), torch.tensor([[float(kept)]])

    cases = {
        "20 steps down a bowl": (1.0, 20, 0.05, ()),
        "two groups with rates of their own": (1.0, 30, 0.05, (0.1, 0.01)),
        "a loss whose gradients are tiny": (1e-11, 20, 0.05, ()),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "nothing has moved: a step is zero_grad, backward, step, in this order":
            ("adam.step()", "pass"),
        "gradients of all steps add up: forget them before each": ("adam.zero_grad()", "pass"),
        "the rate doesn't fall": ("0.1 ** (1 / steps)", "1"),
        "a tenth is left after all steps, not after each": ("0.1 ** (1 / steps)", "0.1"),
        "plain numbers, please: a tensor keeps its whole way back": ("value.item()", "value"),
    }  # fmt: skip
    check("ex0204", yours, _fit, cases, call=facts, slips=slips, rtol=1e-4, atol=1e-6)


def _fit(parameters: Any, loss: Function, steps: int, rate: float) -> list[float]:
    """The training loop."""
    adam, losses = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99), eps=1e-15), []
    for _ in range(steps):
        adam.zero_grad()
        value = loss()
        value.backward()
        adam.step()
        losses.append(value.item())
        for group in adam.param_groups:
            group["lr"] *= 0.1 ** (1 / steps)
    return losses


def ex0205(yours: Function) -> None:
    """Trilinear interpolation: (volume (R, R, R, C), points (N, 3)) -> (N, C)."""

    def spec(volume: Tensor, points: Tensor) -> Tensor:
        layout = GridLayout((len(volume),), volume.shape[-1])
        return encode_grid_reference(points, volume.flatten(0, 2), layout, jacobian=False)[0]

    def nearest(volume: Tensor, points: Tensor) -> Tensor:
        half = (len(volume) - 1) / 2
        return spec(volume, ((points + 1) * half).round() / half - 1)

    def facts(answer: Function, points: Tensor, corners: int, train: bool) -> Any:
        """Features; to train with also their derivatives by the points and by the volume."""
        random = torch.Generator().manual_seed(3)
        volume = torch.randn(corners, corners, corners, 4, generator=random)
        points = points.clone()
        if not train:
            return answer(volume, points)
        found = torch.as_tensor(answer(volume.requires_grad_(), points.requires_grad_()))
        if not found.requires_grad:
            return found, 0 * points, 0 * volume, 0 * volume
        total = (found * torch.randn(found.shape, generator=random)).sum()
        wanted: dict[str, Any] = {
            "create_graph": True,
            "allow_unused": True,
            "materialize_grads": True,
        }
        by_points, by_volume = torch.autograd.grad(total, (points, volume), **wanted)
        twice = torch.zeros_like(volume)
        if by_points.requires_grad:
            (twice,) = torch.autograd.grad(by_points.square().sum(), volume, **wanted)
        return found, by_points, by_volume, twice

    inside = _places(200)
    axis = torch.linspace(-1, 1, 5)
    cases = {
        "at the corners themselves": (torch.cartesian_prod(axis, axis, axis)[:60], 5, False),
        "in the middle of a cell": (torch.tensor([[0.25, -0.25, 0.75]]), 5, False),
        "on the rim": (torch.cartesian_prod(axis[-2:], axis, axis[-2:]), 5, False),
        "200 places": (inside, 6, False),
        "two corners a side": (inside, 2, False),
        "outside": (1.6 * inside, 5, False),
        "its derivatives, and theirs": (0.99 * inside, 7, True),
    }
    slips: dict[str, Slip] = {
        "the axes are swapped: volume[x, y, z]": lambda v, x: spec(v, x.flip(-1)),
        "points are from -1 to 1, not from 0 to 1": lambda v, x: spec(v, 2 * x - 1),
        "take all eight corners, not the nearest one": nearest,
        "the place in the cell must stay differentiable by the points": lambda v, x: spec(
            v, x.detach()
        ),
        "the features must stay differentiable": lambda v, x: spec(v.detach(), x),
    }
    check("ex0205", yours, spec, cases, call=facts, slips=slips, rtol=1e-4, atol=1e-4)


def ex0206(yours: Function) -> None:
    """Sphere tracing: (sdf, origins, directions, lipschitz, far) -> depth (N,), inf for a miss."""
    asked = {"yours": 0, "ours": 0}

    def counted(function: Function, sdf: shapes.Shape, *case: Any) -> Any:
        who = "ours" if function is _trace else "yours"
        most = asked[who] + 1500 * len(case[0])

        def ask(points: Tensor) -> Tensor:
            asked[who] += len(points)
            if asked[who] > most:
                raise RuntimeError("over 1500 questions a ray: step as far as f allows")
            return sdf(points)

        return function(ask, *case)

    def wavy(x: Tensor) -> Tensor:  # |gradient| <= 1 + 0.06 * 16
        return shapes.sphere(x, 0.5) + 0.06 * torch.sin(16 * x[..., 0])

    def leaf(x: Tensor) -> Tensor:
        return (x[:, 2] - 0.8405).abs() - 1e-5  # no even march of usual steps meets it

    front, slanted = _rays(12, 0.0), _rays(15, 0.35)
    middle = (front[0] * torch.tensor([0.4, 0.4, 1.0]), front[1])
    block = partial(shapes.box, half=torch.tensor([0.55, 0.4, 0.5]))

    def cut(x: Tensor) -> Tensor:
        return torch.maximum(block(x), shapes.sphere(x - 0.3 * torch.eye(3)[0]))

    cases = {
        "a leaf, thinner than a hair": (leaf, *front, 1.0, 4.0),
        "a sphere, hit and missed": (shapes.sphere, *front, 1.0, 4.0),
        "a box, at an angle": (block, *slanted, 1.0, 4.0),
        "three times a torus": (lambda x: 3 * shapes.torus(x), *front, 3.0, 4.0),
        "an intersection, a bound only": (cut, *slanted, 1.0, 4.0),
        "a wavy sphere, gradients up to 2": (wavy, *slanted, 2.0, 4.0),
        "rays that end before they arrive": (shapes.sphere, *front, 1.0, 1.2),
        "rays that begin inside": (shapes.sphere, 0.1 * front[0], front[1], 1.0, 4.0),
        "a bound that is 25 times too careful": (shapes.sphere, *middle, 25.0, 4.0),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "your step is too long: where f grows faster than the way, divide by lipschitz":
            (" / lipschitz", ""),
        "a miss has the depth inf": ("math.inf", "far"),
        "inside is met at once: compare f, not its magnitude": ("f <=", "f.abs() <="),
        "you give up too early: until each ray has arrived or is beyond `far`": ("2000", "60"),
    }  # fmt: skip
    check("ex0206", yours, _trace, cases, call=counted, slips=slips, rtol=1e-3, atol=2e-3)
    print(f"  it asks the field {asked['yours'] / asked['ours']:.1f} times as often as ours does")


def _trace(
    sdf: shapes.Shape, origins: Tensor, directions: Tensor, lipschitz: float, far: float
) -> Tensor:
    """Sphere tracing (Hart 1996); (N,)."""
    depth = torch.zeros(len(origins))
    met, going = depth > 0, torch.arange(len(origins))
    for _ in range(2000):
        f = sdf(origins[going] + depth[going, None] * directions[going])
        hit = f <= 1e-4
        met[going[hit]] = True
        going = going[~hit]
        depth[going] += f[~hit] / lipschitz
        going = going[depth[going] <= far]
        if len(going) == 0:
            break
    return torch.where(met, depth, math.inf)


def ex0207(yours: Function) -> None:
    """How deep a share of the light gets: (share, beta, cosine) -> -f there."""
    spec = laplace.depth_at
    cases = {
        "0.1 % of the light, in front": (0.001, 2.0, 1.0),
        "half of it": (0.5, 1.5, 1.0),
        "99.99 %, behind": (0.9999, 0.5, 1.0),
        "half of it, at 60 degrees": (0.5, 1.0, 0.5),
        "99.9 %, at 80 degrees, a thin layer": (0.999, 0.28, 0.17),
    }
    slips: dict[str, Slip] = {
        "a slanting ray gathers 1 / cosine as much a depth": lambda s, b, _: spec(s, b),
        "what lies in front counts behind, too": lambda s, b, c: -b * c * math.log1p(-s),
        "behind is positive here: the sign is swapped": lambda *case: -spec(*case),
        "this is in units of beta": lambda s, _, c: spec(s, 1.0, c),
    }
    check("ex0207", yours, spec, cases, slips=slips, rtol=1e-4, atol=1e-4)


def _places(count: int) -> Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(2)) * 2 - 1


def _rays(count: int, slant: float) -> tuple[Tensor, Tensor]:
    """count^2 rays from z = 2 towards -z, leaning to +x."""
    across = torch.linspace(-0.83, 0.86, count)
    y, x = torch.meshgrid(across, across, indexing="ij")
    origins = torch.stack([x - 2 * slant, y, torch.full_like(x, 2.0)], -1).reshape(-1, 3)
    directions = torch.tensor([slant, 0.0, -1.0]).expand_as(origins)
    return origins, torch.nn.functional.normalize(directions, dim=-1)
