"""Checks of lesson 02: a distance, two losses' heart, a start, a loop, a lattice, and rays."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid_reference
from privhead_nb.teach.checks import Function, check
from privhead_nb.teach.lesson02 import laplace, shapes

HINTS = {
    # exercise: a question, and the idea
    "0201": (
        "look at q for a point in front of a face, one beyond an edge and one inside: how many of "
        "its entries are positive, and which of them are legs of a triangle?",
        "outside, only the axes on which you are beyond the face count, and they are perpendicular "
        "to each other; inside, the nearest face decides. One of the two parts is always zero, so "
        "you can compute both and add them",
    ),
    "0202": (
        "if you move point 5 a little, which of the values f(x_i) change? And what does autograd "
        "throw away after a gradient unless you ask it not to?",
        "each value depends on its own point alone, so one number that contains all values has all "
        "their gradients; torch.autograd.grad has an argument that keeps the gradient "
        "differentiable. The check's last number is your loss's own derivative by a parameter",
    ),
    "0203": (
        "normal_ wants a standard deviation: is the text's 2 / m one? And m counts the rows of a "
        "weight: is that what comes in or what goes out?",
        "hidden layers: noise around zero whose variance goes down with the number of their units, "
        "and no bias. Last layer: no randomness at all, all weights alike; its bias makes f "
        "negative at the origin",
    ),
    "0204": (
        "write the story of one step: who forgets, who computes, who walks back, who moves, who "
        "slows down? In which order must they come, and how often?",
        "make the optimiser and the schedule once, before the loop. In the loop each of the five "
        "verbs of the text is one line. A factor that is applied `steps` times shall make a tenth",
    ),
    "0205": (
        "how many cells has an axis with R corners, and in which of them is a point at +1?",
        "stretch [-1, 1] to [0, R - 1]: the whole part names the cell (the last cell holds its far "
        "rim, too), the rest is the place in it. Then go through the eight corners: each axis "
        "gives the place or one less it, the three are multiplied",
    ),
    "0206": (
        "which ball around a place is surely empty, if f can grow by `lipschitz` for each unit of "
        "way? And when is a ray done: in which two cases?",
        "keep a depth for each ray and a list of those still on their way; ask f for them only, "
        "sort out who has arrived and who is beyond `far`, let the others go as far as is safe, "
        "until the list is empty",
    ),
    "0207": (
        "what is R where a given share has been stopped, and what does the angle do to it? On "
        "which side of the surface is that?",
        "invert in two steps, from the share to the optical depth, from there to u, then give u "
        "its unit. At the surface itself R is one half over the cosine, which tells the side; in "
        "front a logarithm does it, behind you have to search",
    ),
}
Answer = Callable[..., Any]


def ex0201(yours: Function) -> None:
    """Distance to a box: (points (N, 3), half (3,)) -> (N,)."""
    spec = shapes.box

    def by(
        outside: Answer = lambda q: q.clamp_min(0).norm(dim=-1),
        inside: Answer = lambda q: q.amax(dim=-1).clamp_max(0),
        fold: Answer = torch.abs,
    ) -> Function:
        return lambda points, half: outside(fold(points) - half) + inside(fold(points) - half)

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
        slips={
            "inside the box yours is 0, not minus the way to a face": by(inside=lambda _: 0),
            "beyond an edge two entries count, by Pythagoras": by(
                lambda q: q.amax(-1).clamp_min(0)
            ),
            "a box has six faces: take |x| before you subtract": by(fold=lambda x: x),
            "half is half of an edge already": lambda points, half: spec(points, half / 2),
            "legs of a right angle: the norm, not the sum": by(lambda q: q.clamp_min(0).sum(-1)),
            "this is the square of a length: take the root": by(
                lambda q: q.clamp_min(0).pow(2).sum(-1)
            ),
            "negative entries of q are no legs": by(lambda q: q.norm(dim=-1) * (q > 0).any(-1)),
            "take |x| first, then subtract half: |x - half| is from one corner only": (
                lambda points, half: by(fold=lambda x: x)((points - half).abs() + half, half)
            ),
            "outside, the part for the inside must be 0: cut it off there": by(
                inside=lambda q: q.amax(dim=-1)
            ),
            "inside, the way to the nearest face, not to a corner": by(
                inside=lambda q: -q.norm(dim=-1) * (q < 0).all(-1)
            ),
            "inside, one face counts: don't add up the ways to several": by(
                inside=lambda q: q.clamp_max(0).sum(-1)
            ),
            "inside, one face counts: the negative entries of q are no legs of one way": by(
                inside=lambda q: -q.clamp_max(0).norm(dim=-1)
            ),
            "half of an edge it is: don't double it": lambda points, half: spec(points, 2 * half),
            "inside, the nearest face counts": by(inside=lambda q: q.amin(dim=-1).clamp_max(0)),
            "inside the distance is negative": lambda *case: spec(*case).abs(),
            "the sign is swapped: outside is positive": lambda *case: -spec(*case),
        },
    )


def ex0202(yours: Function) -> None:
    """Eikonal loss of any field: (field, points (N, 3)) -> scalar that can be trained with."""

    def slopes(field: Any, points: Tensor, keep: bool = True) -> Tensor:
        points = points.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(field(points).sum(), points, create_graph=keep)
        return gradient

    def learn(loss: Function, make: Answer, scale: float, points: Tensor) -> Tensor:
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

    def by(of_norms: Answer, of_slopes: Answer = lambda g: g.norm(dim=-1)) -> Function:
        return lambda *case: learn(lambda f, x: of_norms(of_slopes(slopes(f, x))), *case)

    def right(norm: Tensor) -> Tensor:
        return (norm - 1).square().mean()

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
        slips={
            "the value is right, but nothing can be learned from it: autograd must keep the "
            "gradient's own graph": lambda *case: learn(
                lambda f, x: right(slopes(f, x, keep=False).norm(dim=-1)), *case
            ),
            "the norm, not its square, is compared with 1": by(right, lambda g: g.square().sum(-1)),
            "square the difference (eq. 4)": by(lambda norm: (norm - 1).abs().mean()),
            "the mean over the places, not the sum": by(lambda norm: (norm - 1).square().sum()),
            "the gradient of a mean is N times too short: differentiate the sum": by(
                right, lambda g: g.norm(dim=-1) / len(g)
            ),
            "subtract 1 from the norm, not from each component": by(
                torch.mean, lambda g: (g - 1).square().sum(-1)
            ),
            "the mean of squares, not the square of the mean": by(lambda n: (n.mean() - 1) ** 2),
            "one norm for each place, of three components": by(right, lambda g: g.norm()),
            "long gradients are wrong, too": by(lambda n: (1 - n).clamp_min(0).square().mean()),
            "the length is that of the vector: the root of a sum of squares": by(
                right, lambda g: g.abs().sum(-1)
            ),
            "eq. 4 has no half before it": by(lambda n: right(n) / 2),
            "eq. 4 takes no root of the mean": by(lambda n: right(n).sqrt()),
            "slopes shall be 1, not 0": by(lambda n: n.square().mean()),
            "short gradients are wrong, too": by(lambda n: (n - 1).clamp_min(0).square().mean()),
        },
        rtol=1e-4,
        atol=1e-5,
    )  # fmt: skip


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

    def by(**changed: Any) -> Function:
        return lambda *case: facts(partial(_start, **changed), *case)

    check(
        "ex0203",
        yours,
        by(),
        {
            "one hidden layer of 512 units": (3, 512, 1, 0.6),
            "three hidden layers of 256 units, another radius": (3, 256, 3, 0.25),
        },
        call=lambda fill, *case: facts(fill, *case),
        slips={
            "nothing has changed: fill in place": lambda *case: facts(lambda *_: None, *case),
            "2 / m is a variance, not a standard deviation": by(
                hidden=lambda n: 2 / n.out_features
            ),
            "m is the number of rows, so of outputs": by(
                hidden=lambda n: (2 / n.in_features) ** 0.5
            ),
            "the variance is 2 / m: max(., 0) halves it": by(hidden=lambda n: n.out_features**-0.5),
            "the last layer sums: all its weights are sqrt(pi / m), not random ones of that size": (
                by(last=lambda n: torch.randn(n.weight.shape) * math.sqrt(math.pi / n.in_features))
            ),
            "the last weights have the root of m below them, since the mean of a unit has, too": by(
                last=lambda n: torch.full(n.weight.shape, math.sqrt(math.pi) / n.in_features)
            ),
            "normal numbers, not even ones": by(
                draw=lambda w, s: w.uniform_(-1, 1).mul_(3**0.5 * s)
            ),
            "f is negative at the origin: the last bias is -radius": by(bias=1.0),
            "the last bias is still PyTorch's: it makes the radius": by(bias=None),
            "the hidden biases are still PyTorch's: they move the sphere": by(zero=False),
        },
        rtol=0.1,
        atol=0.15,
    )


def _start(
    layers: list[nn.Linear],
    radius: float,
    *,
    hidden: Answer = lambda n: math.sqrt(2 / n.out_features),
    draw: Answer = lambda weight, spread: weight.normal_(0, spread),
    last: Answer = lambda n: torch.full(n.weight.shape, math.sqrt(math.pi / n.in_features)),
    bias: float | None = -1.0,
    zero: bool = True,
) -> None:
    """Geometric initialisation, or one of its slips."""
    with torch.no_grad():
        for linear in layers[:-1]:
            draw(linear.weight, hidden(linear))
            if zero:
                linear.bias.zero_()
        layers[-1].weight.copy_(last(layers[-1]))
        if bias is not None:
            layers[-1].bias.fill_(bias * radius)


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

    def by(**changed: Any) -> Function:
        return lambda *case: facts(partial(_fit, **changed), *case)

    def twice(parameters: Any, loss: Answer, steps: int, rate: float) -> list[float]:
        again: list[float] = []
        _fit(parameters, loss, steps, rate, after=lambda: again.append(loss().item()))
        return again

    check(
        "ex0204",
        yours,
        by(),
        {
            "20 steps down a bowl": (1.0, 20, 0.05, ()),
            "two groups with rates of their own": (1.0, 30, 0.05, (0.1, 0.01)),
            "a loss whose gradients are tiny": (1e-11, 20, 0.05, ()),
        },
        call=lambda loop, *case: facts(loop, *case),
        slips={
            "nothing has moved: a step is zero_grad, backward, step, in this order": by(order="cb"),
            "gradients of all steps add up: forget them before each": by(order="bs"),
            "the optimiser steps before the new gradients are there": by(order="scb"),
            "the rate doesn't fall": by(left=lambda *_: 1.0),
            "a tenth is left after all steps, not after each": by(left=lambda n, _: 0.1**n),
            "the factor is a root of a tenth": by(left=lambda n, steps: (1 - 0.9 / steps) ** n),
            "the rate falls before the first step": by(
                left=lambda n, steps: 0.1 ** ((n + 1) / steps)
            ),
            "the factor comes `steps` times, not one time less": by(
                left=lambda n, steps: 0.1 ** (n / (steps - 1))
            ),
            "the rate falls by the same factor, not by the same amount": by(
                left=lambda n, steps: 1 - 0.9 * n / steps
            ),
            "your rate grows": by(left=lambda n, steps: 10 ** (n / steps)),
            "`rate` is not used": by(
                make=lambda p, **rest: torch.optim.Adam(p, **rest | {"lr": 2e-3})
            ),
            "groups may have rates of their own: let each fall, set none": by(
                first=lambda rate, _: rate
            ),
            "use Adam": by(make=lambda p, lr, **_: torch.optim.SGD(p, lr)),
            "plain Adam: AdamW pulls all parameters to 0": by(make=torch.optim.AdamW),
            "Adam's betas are (0.9, 0.99) here": by(betas=(0.9, 0.999)),
            "Adam's eps is 1e-15 here": by(eps=1e-8),
            "make the optimiser once, before the loop: it remembers": by(fresh=True),
            "ask loss() once a step, and note that number": lambda *case: facts(twice, *case),
            "ask loss() in each step: yours is the first one's throughout": by(once=True),
            "this climbs: the loss itself is walked back, not its negative": by(sign=-1.0),
            "plain numbers, please: a tensor keeps its whole way back": by(
                note=lambda value: value
            ),
        },
        rtol=1e-4,
        atol=1e-6,
    )


def _fit(
    parameters: Any,
    loss: Answer,
    steps: int,
    rate: float,
    *,
    order: str = "cbs",
    left: Callable[[int, int], float] = lambda number, steps: 0.1 ** (number / steps),
    first: Callable[[float, float], float] = lambda _, own: own,
    make: Answer = torch.optim.Adam,
    betas: tuple[float, float] = (0.9, 0.99),
    eps: float = 1e-15,
    fresh: bool = False,
    once: bool = False,
    sign: float = 1.0,
    note: Answer = lambda value: value.item(),
    after: Callable[[], Any] = lambda: None,
) -> list[Any]:
    """The training loop, or one of its slips; order: of clear, back and step.

    A group's rate begins with first(rate, its own); left: (step, steps) -> the share that is left.
    """
    optimiser, losses = make(parameters, lr=rate, betas=betas, eps=eps), []
    groups = [(group, first(rate, group["lr"])) for group in optimiser.param_groups]
    value: Any = None
    for number in range(steps):
        if fresh:
            optimiser.state.clear()
        value = value if once and number else loss()
        losses.append(note(value))
        for group, start in groups:
            group["lr"] = start * left(number, steps)
        for act in order:
            if act == "b":
                (sign * value).backward(retain_graph=once)
            else:
                (optimiser.zero_grad if act == "c" else optimiser.step)()
        after()
    return losses


def ex0205(yours: Function) -> None:
    """Trilinear interpolation: (volume (R, R, R, C), points (N, 3)) -> (N, C)."""

    def spec(volume: Tensor, points: Tensor) -> Tensor:
        layout = GridLayout((len(volume),), volume.shape[-1])
        return encode_grid_reference(points, volume.flatten(0, 2), layout, jacobian=False)[0]

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

    def by(**changed: Any) -> Function:
        return lambda *case: facts(partial(_trilinear, **changed), *case)

    inside = _places(200)
    axis = torch.linspace(-1, 1, 5)
    check(
        "ex0205",
        yours,
        lambda *case: facts(spec, *case),
        {
            "at the corners themselves": (torch.cartesian_prod(axis, axis, axis)[:60], 5, False),
            "in the middle of a cell": (torch.tensor([[0.25, -0.25, 0.75]]), 5, False),
            "on the rim": (torch.cartesian_prod(axis[-2:], axis, axis[-2:]), 5, False),
            "200 places": (inside, 6, False),
            "two corners a side": (inside, 2, False),
            "outside": (1.6 * inside, 5, False),
            "its derivatives, and theirs": (0.99 * inside, 7, True),
        },
        call=lambda answer, *case: facts(answer, *case),
        slips={
            "the axes are swapped: volume[x, y, z]": by(axes=(2, 1, 0)),
            "R corners make R - 1 cells, and corner 0 lies at -1 itself": by(cells=0),
            "points are from -1 to 1, not from 0 to 1": by(low=0.0, high=1.0),
            "take all eight corners, not the nearest one": by(share=torch.round),
            "take all eight corners, not the first one": by(share=torch.zeros_like),
            "near corners count most: yours is the other way round": by(share=lambda p: 1 - p),
            "all eight corners have the same share in yours": by(share=lambda p: 0 * p + 0.5),
            "multiply the three shares of a corner": by(join=lambda part: part.mean(-1)),
            "points outside are moved to the rim": by(clamp=False),
            "the place in the cell must stay differentiable by the points": by(share=Tensor.detach),
            "the features must stay differentiable": by(take=Tensor.detach),
            "stay with torch: neither points nor features can learn from this": by(
                share=Tensor.detach, take=Tensor.detach
            ),
        },
        rtol=1e-4,
        atol=1e-4,
    )


def _trilinear(
    volume: Tensor,
    points: Tensor,
    *,
    axes: tuple[int, ...] = (0, 1, 2),
    cells: int = 1,
    low: float = -1.0,
    high: float = 1.0,
    share: Callable[[Tensor], Tensor] = lambda part: part,
    take: Callable[[Tensor], Tensor] = lambda features: features,
    join: Callable[[Tensor], Tensor] = lambda part: part.prod(-1),
    clamp: bool = True,
) -> Tensor:
    """Trilinear interpolation, or one of its slips."""
    count = len(volume)
    place = (points.clamp(low, high) if clamp else points)[:, list(axes)]
    place = (place - low) / (high - low) * (count - cells)
    cell = place.detach().floor().clamp(0, count - 2)
    part, total = share(place - cell), torch.zeros(())
    for corner in torch.cartesian_prod(*3 * [torch.arange(2)]):
        weight = join(torch.where(corner.bool(), part, 1 - part))
        total = total + weight[:, None] * take(volume)[tuple((cell.long() + corner).T)]
    return total


def ex0206(yours: Function) -> None:
    """Sphere tracing: (sdf, origins, directions, lipschitz, far) -> depth (N,), inf for a miss."""
    asked = {"yours": 0, "ours": 0}

    def counted(who: str, sdf: shapes.Shape, *case: Any) -> tuple[Any, ...]:
        most = asked[who] + 1500 * len(case[0])

        def ask(points: Tensor) -> Tensor:
            asked[who] += len(points)
            if asked[who] > most:
                raise RuntimeError("over 1500 questions a ray: step as far as f allows")
            return sdf(points)

        return ask, *case

    def spec(*case: Any) -> Tensor:
        return _trace(*counted("ours", *case))

    def by(**changed: Any) -> Function:
        return partial(_trace, **changed)

    def places(sdf: shapes.Shape, origins: Tensor, directions: Tensor, *limits: float) -> Tensor:
        return origins + _trace(sdf, origins, directions, *limits)[:, None] * directions

    def even(sdf: shapes.Shape, o: Tensor, d: Tensor, _: float, far: float) -> Tensor:
        depth = torch.full((len(o),), math.inf)
        for step in torch.linspace(0, far, 200).flip(0):
            depth = torch.where(sdf(o + step * d) <= 1e-4, step, depth)
        return depth

    def wavy(x: Tensor) -> Tensor:  # |gradient| <= 1 + 0.06 * 16
        return shapes.sphere(x, 0.5) + 0.06 * torch.sin(16 * x[..., 0])

    def leaf(x: Tensor) -> Tensor:
        return (x[:, 2] - 0.8405).abs() - 1e-5  # no even march of usual steps meets it

    front, slanted = _rays(12, 0.0), _rays(15, 0.35)
    middle = (front[0] * torch.tensor([0.4, 0.4, 1.0]), front[1])
    half = torch.tensor([0.55, 0.4, 0.5])

    block = partial(shapes.box, half=half)

    def cut(x: Tensor) -> Tensor:
        return torch.maximum(block(x), shapes.sphere(x - 0.3 * torch.eye(3)[0]))

    check(
        "ex0206",
        lambda *case: yours(*counted("yours", *case)),
        spec,
        {
            "a leaf, thinner than a hair": (leaf, *front, 1.0, 4.0),
            "a sphere, hit and missed": (shapes.sphere, *front, 1.0, 4.0),
            "a box, at an angle": (block, *slanted, 1.0, 4.0),
            "three times a torus": (lambda x: 3 * shapes.torus(x), *front, 3.0, 4.0),
            "an intersection, a bound only": (cut, *slanted, 1.0, 4.0),
            "a wavy sphere, gradients up to 2": (wavy, *slanted, 2.0, 4.0),
            "rays that end before they arrive": (shapes.sphere, *front, 1.0, 1.2),
            "rays that begin inside": (shapes.sphere, 0.1 * front[0], front[1], 1.0, 4.0),
            "a bound that is 25 times too careful": (shapes.sphere, *middle, 25.0, 4.0),
        },
        slips={
            "your step is too long: where f grows faster than the way, divide by lipschitz": (
                lambda s, o, d, _, far: _trace(s, o, d, 1.0, far)
            ),
            "a miss has the depth inf": lambda *case: _trace(*case).clamp(max=case[-1]),
            "what lies beyond `far` is not met": lambda s, o, d, b, _: _trace(s, o, d, b, 4.0),
            "these are the places; return how far along the ray they are": places,
            "inside is met at once: compare f, not its magnitude": by(value=torch.abs),
            "steps of your own choice jump over what is thin: go as far as f allows": even,
            "you give up too early: until each ray has arrived or is beyond `far`": by(steps=60),
        },
        rtol=1e-3,
        atol=2e-3,
    )  # fmt: skip
    print(f"  it asks the field {asked['yours'] / asked['ours']:.1f} times as often as ours does")


def _trace(
    sdf: shapes.Shape,
    origins: Tensor,
    directions: Tensor,
    lipschitz: float,
    far: float,
    *,
    steps: int = 2000,
    value: Callable[[Tensor], Tensor] = lambda f: f,
) -> Tensor:
    """Sphere tracing (Hart 1996), or one of its slips; (N,)."""
    depth = torch.zeros(len(origins))
    met, going = depth > 0, torch.arange(len(origins))
    for _ in range(steps):
        f = sdf(origins[going] + depth[going, None] * directions[going])
        hit = value(f) <= 1e-4
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

    check(
        "ex0207",
        yours,
        spec,
        {
            "0.1 % of the light, in front": (0.001, 2.0, 1.0),
            "half of it": (0.5, 1.5, 1.0),
            "99.99 %, behind": (0.9999, 0.5, 1.0),
            "half of it, at 60 degrees": (0.5, 1.0, 0.5),
            "99.9 %, at 80 degrees, a thin layer": (0.999, 0.28, 0.17),
        },
        slips={
            "a slanting ray gathers 1 / cosine as much a depth": lambda s, b, _: spec(s, b),
            "a slanting ray gathers more, not less: multiply where you divide": (
                lambda s, b, c: spec(-math.expm1(math.log1p(-s) / c**2), b, c)
            ),
            "depth is -f, not a way along the ray": lambda s, b, c: spec(s, b, c) / c,
            "what lies in front counts behind, too": lambda s, b, c: -b * c * math.log1p(-s),
            "behind the surface R is another": lambda s, b, c: (
                b * math.log(-2 * c * math.log1p(-s))
            ),
            "behind is positive here: the sign is swapped": lambda *case: -spec(*case),
            "the share that is stopped, not the one left": lambda s, b, c: spec(1 - s, b, c),
            "this is in units of beta": lambda s, _, c: spec(s, 1.0, c),
            "a logarithm to the base e": lambda s, b, c: spec(
                -math.expm1(math.log1p(-s) / math.log(10)), b, c
            ),
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
