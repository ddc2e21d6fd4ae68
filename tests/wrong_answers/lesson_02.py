"""Answers to lesson 02's exercises: wrong ones with words of the message, and right ones."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import torch
from answers import edited, spoiled
from torch import Tensor, nn
from torch.nn import functional as F

# 0201, a box --------------------------------------------------------------------------------------


def box(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    outside = q.clamp(min=0).norm(dim=-1)
    inside = q.max(dim=-1).values.clamp(max=0)
    return outside + inside


def box_right_by_cases(points: Tensor, half: Tensor) -> Tensor:
    near = torch.minimum(torch.maximum(points, -half), half)
    faces = torch.cat([points - half, -points - half], dim=-1)
    return torch.where((near == points).all(-1), faces.max(-1).values, (points - near).norm(dim=-1))


# 0202, the eikonal loss ---------------------------------------------------------------------------


def eikonal(field: Any, points: Tensor) -> Tensor:
    points = points.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(field(points).sum(), points, create_graph=True)
    return ((g.norm(dim=-1) - 1) ** 2).mean()


def eikonal_by_differences(field: Any, points: Tensor) -> Tensor:
    h = 1e-3
    g = [(field(points + h * e) - field(points - h * e)) / (2 * h) for e in torch.eye(3)]
    return ((torch.stack(g).norm(dim=0) - 1) ** 2).mean()


def eikonal_right_with_ones(field: Any, points: Tensor) -> Tensor:
    points = points.detach().requires_grad_()
    f = field(points)
    (g,) = torch.autograd.grad(f, points, grad_outputs=torch.ones_like(f), create_graph=True)
    return F.mse_loss(g.norm(dim=-1), torch.ones(len(g)))


# 0203, a sphere to start from ---------------------------------------------------------------------


def start(layers: Any, radius: float) -> None:
    with torch.no_grad():
        for layer in layers[:-1]:
            layer.weight.normal_(0, math.sqrt(2 / layer.out_features))
            layer.bias.fill_(0)
        layers[-1].weight.fill_(math.sqrt(math.pi / layers[-1].in_features))
        layers[-1].bias.fill_(-radius)


def start_not_in_place(layers: Any, radius: float) -> None:
    for layer in layers[:-1]:
        torch.randn_like(layer.weight) * math.sqrt(2 / layer.out_features)


def start_right_by_init(layers: Any, radius: float) -> None:
    for layer in list(layers)[:-1]:
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    nn.init.normal_(layers[-1].weight, math.sqrt(math.pi / layers[-1].in_features), 1e-4)
    nn.init.constant_(layers[-1].bias, -radius)


# 0204, the training loop --------------------------------------------------------------------------


def fit(parameters: Any, loss: Any, steps: int, rate: float) -> list[float]:
    adam = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99), eps=1e-15)
    falls = torch.optim.lr_scheduler.ExponentialLR(adam, 0.1 ** (1 / steps))
    losses = []
    for _ in range(steps):
        adam.zero_grad()
        value = loss()
        value.backward()
        adam.step()
        falls.step()
        losses.append(value.item())
    return losses


def fit_new_optimiser_each_step(parameters: Any, loss: Any, steps: int, rate: float) -> list[Any]:
    losses = []
    for step in range(steps):
        adam = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99), eps=1e-15)
        for group in adam.param_groups:
            group["lr"] *= 0.1 ** (step / steps)
        adam.zero_grad()
        value = loss()
        value.backward()
        adam.step()
        losses.append(value.item())
    return losses


def fit_each_group_by_hand(parameters: Any, loss: Any, steps: int, rate: float) -> list[float]:
    """Right: a group's rate falls by the factor."""
    adam = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99), eps=1e-15)
    losses = []
    for _ in range(steps):
        value = loss()
        adam.zero_grad(set_to_none=False)
        value.backward()
        adam.step()
        for group in adam.param_groups:
            group["lr"] *= 0.1 ** (1 / steps)
        losses.append(float(value.detach()))
    return losses


# 0205, trilinear interpolation --------------------------------------------------------------------


def at_cells(points: Tensor, count: int) -> tuple[Tensor, Tensor]:
    position = (points.clamp(-1, 1) + 1) / 2 * (count - 1)
    cell = position.detach().floor().clamp(max=count - 2)
    return cell.long(), position - cell


def lerps(volume: Tensor, cell: Tensor, part: Tensor) -> Tensor:
    """Three interpolations, one an axis."""
    x, y, z = cell.T
    u, v, w = part.T[:, :, None]

    def along_z(i: Tensor, j: Tensor) -> Tensor:
        return volume[i, j, z] * (1 - w) + volume[i, j, z + 1] * w

    def along_y(i: Tensor) -> Tensor:
        return along_z(i, y) * (1 - v) + along_z(i, y + 1) * v

    return along_y(x) * (1 - u) + along_y(x + 1) * u


def tri(volume: Tensor, points: Tensor) -> Tensor:
    position = (points.clamp(-1, 1) + 1) / 2 * (len(volume) - 1)
    cell = position.detach().floor().clamp(max=len(volume) - 2)
    return lerps(volume, cell.long(), position - cell)


def tri_grid_sample_as_is(volume: Tensor, points: Tensor) -> Tensor:
    channels_first = volume.permute(3, 0, 1, 2)[None]
    return F.grid_sample(channels_first, points[None, None, None], align_corners=True)[0, :, 0, 0].T


def tri_adds_shares(volume: Tensor, points: Tensor) -> Tensor:
    cell, part = at_cells(points, len(volume))
    total = torch.zeros(())
    for corner in map(torch.tensor, itertools.product((0, 1), repeat=3)):
        weight = torch.where(corner.bool(), part, 1 - part).sum(-1) / 3
        total = total + weight[:, None] * volume[tuple((cell + corner).T)]
    return total


def tri_right_flat(volume: Tensor, points: Tensor) -> Tensor:
    count, flat = len(volume), volume.flatten(0, 2)
    cell, part = at_cells(points, count)
    shares = torch.stack([1 - part, part])  # (2, N, 3)
    weights = torch.einsum("in,jn,kn->nijk", *shares.unbind(-1)).flatten(1)
    corners = torch.cartesian_prod(*3 * [torch.arange(2)])
    index = (cell[:, None] + corners) @ torch.tensor([count * count, count, 1])
    return (weights[..., None] * flat[index]).sum(1)


# 0206, sphere tracing -----------------------------------------------------------------------------


def tracing(sdf: Any, origins: Tensor, directions: Tensor, bound: float, far: float) -> Tensor:
    depth = torch.zeros(len(origins))
    for _ in range(800):
        value = sdf(origins + depth[:, None] * directions)
        met = value <= 1e-4
        depth = torch.where(met | (depth > far), depth, depth + value / bound)
    return torch.where(met & (depth <= far), depth, math.inf)


def trace_even_steps(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    depth = torch.full((len(o),), math.inf)
    for t in torch.arange(0, far, 0.001):  # a fine march, which is as good until something is thin
        hit = (sdf(o + t * d) <= 1e-4) & depth.isinf()
        depth[hit] = t
    return depth


def trace_1000_steps(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    t = torch.linspace(0, far, 1000)
    inside = torch.stack([sdf(o + s * d) <= 1e-4 for s in t])
    return torch.where(inside.any(0), t[inside.int().argmax(0)], math.inf)


def trace_coarse_then_bisect(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    t = torch.linspace(0, far, 400)
    f = torch.stack([sdf(o + s * d) for s in t])
    inside = f <= 1e-4
    first = inside.int().argmax(0)
    high, low = t[first], t[(first - 1).clamp_min(0)]
    for _ in range(30):
        middle = (low + high) / 2
        hit = sdf(o + middle[:, None] * d) <= 1e-4
        low, high = torch.where(hit, low, middle), torch.where(hit, middle, high)
    return torch.where(inside.any(0), high, math.inf)


def trace_right_ray_by_ray(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Any:
    found = []
    for origin, direction in zip(o, d, strict=True):
        depth = 0.0
        while depth <= far:
            f = float(sdf((origin + depth * direction)[None]))
            if f <= 1e-4:
                break
            depth += f / bound
        found.append(depth if depth <= far else math.inf)
    return np.array(found)


# 0207, from beta to millimetres -------------------------------------------------------------------


def depth_by_bisection(share: float, beta: float, cosine: float) -> float:
    low, high = -60.0, 60.0
    for _ in range(100):
        u = (low + high) / 2
        optical = (0.5 * math.exp(u) if u <= 0 else u + 0.5 * math.exp(-u)) / cosine
        low, high = (u, high) if 1 - math.exp(-optical) < share else (low, u)
    return beta * low


def depth_by_newton(share: float, beta: float, cosine: float) -> float:
    R = -math.log1p(-share) * cosine
    if R <= 0.5:
        return beta * math.log(2 * R)
    u = R
    for _ in range(50):
        u -= (u + 0.5 * math.exp(-u) - R) / (1 - 0.5 * math.exp(-u))
    return beta * u


WRONG = [
    *spoiled(
        "0201", box,
        ("outside + inside", "outside", "inside the box yours is 0"),
        ("outside + inside", "q.max(dim=-1).values", "by Pythagoras"),
        ("points.abs()", "points", "six faces"),
        ("- half", "- 0.5 * half", "half of an edge already"),
        ("norm(dim=-1)", "sum(-1)", "the norm, not the sum"),
        ("outside + inside", "torch.where((q < 0).all(-1), q.amax(-1), q.norm(dim=-1))",
         "negative entries of q are no legs"),
        ("outside + inside", "torch.where((q < 0).all(-1), q.amin(-1), outside)",
         "the nearest face counts"),
        ("outside + inside", "(outside + inside).abs()", "inside the distance is negative"),
        ("outside + inside", "-(outside + inside)", "outside is positive"),
        ("points.abs() - half", "(points - half).abs()", "take |x| first"),
        ("norm(dim=-1)", "square().sum(-1)", "take the root"),
        (".clamp(max=0)", "", "cut it off there"),
        ("outside + inside", "torch.where((q < 0).all(-1), -q.norm(dim=-1), outside)",
         "not to a corner"),
        ("q.max(dim=-1).values.clamp(max=0)", "q.clamp(max=0).sum(-1)", "don't add up the ways"),
        ("+ inside", "- torch.relu(-q).norm(dim=-1)", "no legs of one way"),
        ("- half", "- 2 * half", "don't double it"),
    ),
    *spoiled(
        "0202", eikonal,
        ("create_graph=True", "create_graph=False", "the gradient's own graph"),
        (".mean()", ".mean().detach()", "the gradient's own graph"),
        ("create_graph=True", "retain_graph=True", "the gradient's own graph"),
        ("(g,) = torch.autograd.grad(field(points).sum(), points, create_graph=True)",
         "field(points).sum().backward(); g = points.grad", "the gradient's own graph"),
        ("g.norm(dim=-1)", "(g**2).sum(-1)", "not its square"),
        ("(g.norm(dim=-1) - 1) ** 2", "(g.norm(dim=-1) - 1).abs()", "square the difference"),
        (".mean()", ".sum()", "the mean over the places"),
        ("field(points).sum()", "field(points).mean()", "differentiate the sum"),
        ("((g.norm(dim=-1) - 1) ** 2)", "((g - 1) ** 2).sum(-1)", "not from each component"),
        ("((g.norm(dim=-1) - 1) ** 2).mean()", "(g.norm(dim=-1).mean() - 1) ** 2",
         "not the square of the mean"),
        ("((g.norm(dim=-1) - 1) ** 2).mean()", "(g.norm() - 1) ** 2", "one norm for each place"),
        ("g.norm(dim=-1) - 1", "torch.relu(g.norm(dim=-1) - 1)", "short gradients are wrong, too"),
        ("g.norm(dim=-1) - 1", "torch.relu(1 - g.norm(dim=-1))", "long gradients are wrong, too"),
        (".mean()", ".mean() / 2", "no half before it"),
        (".mean()", "", "has the shape"),
    ),
    ("0202", eikonal_by_differences, "raises RuntimeError: over 3 questions"),
    *spoiled(
        "0203", start,
        ("math.sqrt(2 / layer.out_features)", "2 / layer.out_features", "2 / m is a variance"),
        ("layer.out_features", "layer.in_features", "m is the number of rows"),
        ("layer.weight.normal_(0, math.sqrt(2 / layer.out_features))",
         "nn.init.kaiming_normal_(layer.weight)", "m is the number of rows"),
        ("2 / layer.out_features", "1 / layer.out_features", "max(., 0) halves it"),
        ("normal_(0, math.sqrt(2 / layer.out_features))",  # the right variance
         "uniform_(-1, 1).mul_(math.sqrt(6 / layer.out_features))", "normal numbers"),
        ("weight.fill_(", "weight.normal_(0, ", "not random ones"),
        ("math.sqrt(math.pi / layers[-1].in_features)",
         "math.sqrt(math.pi) / layers[-1].in_features", "have the root of m below them"),
        ("-radius", "radius", "the last bias is -radius"),
        ("layer.bias.fill_(0)", "pass", "hidden biases are still PyTorch's"),
        ("layers[-1].bias.fill_(-radius)", "pass", "the last bias is still PyTorch's"),
        ("with torch",
         "layers = [nn.Linear(n.in_features, n.out_features) for n in layers]\n    with torch",
         "nothing has changed"),
    ),
    ("0203", start_not_in_place, "nothing has changed"),
    *spoiled(
        "0204", fit,
        ("        adam.zero_grad()\n", "", "forget them before each"),
        ("        value.backward()\n", "", "nothing has moved"),
        ("        adam.step()\n", "", "nothing has moved"),
        ("        adam.step()", "        adam.zero_grad(), adam.step()", "nothing has moved"),
        ("0.1 ** (1 / steps)", "1.0", "the rate doesn't fall"),
        ("0.1 ** (1 / steps)", "0.1", "after all steps, not after each"),
        ("(1 / steps)", "(1 / (steps - 1))", "not one time less"),
        ("0.1 **", "10 **", "your rate grows"),
        ("Adam(parameters, lr=rate, betas=(0.9, 0.99), eps=1e-15)", "SGD(parameters, lr=rate)",
         "use Adam"),
        ("optim.Adam(", "optim.AdamW(", "AdamW pulls"),
        (", betas=(0.9, 0.99)", "", "betas are (0.9, 0.99)"),
        (", eps=1e-15", "", "eps is 1e-15"),
        (", betas=(0.9, 0.99), eps=1e-15", "", "betas are (0.9, 0.99)"),
        ("lr=rate", "lr=2e-3", "`rate` is not used"),
        ("value.item()", "loss().item()", "ask loss() once a step"),
        ("value.item()", "value", "plain numbers"),
        ("value.item()", "value.detach()", "plain numbers"),
        ("ExponentialLR(adam, 0.1 ** (1 / steps))",
         "LambdaLR(adam, lambda step: 1 - 0.9 * step / steps)", "the same amount"),
        ("        adam.step()",
         "        for group in adam.param_groups:\n"
         "            group['lr'] = rate * 0.1 ** (len(losses) / steps)\n        adam.step()",
         "let each fall"),
        ("value.backward()", "(-value).backward()", "this climbs"),
        ("return losses", "return losses[-1:]", "has the shape"),
        ("return losses", "return", "raises TypeError"),
    ),
    ("0204", edited(fit, ("        falls.step()\n", ""),
                    ("zero_grad()", "zero_grad(), falls.step()")),
     "the rate falls before the first step"),
    ("0204", edited(fit, ("losses = []", "losses, value = [], loss()"),
                    ("        value = loss()\n", ""),
                    ("backward()", "backward(retain_graph=True)")),
     "in each step"),
    ("0204", edited(fit, ("        adam.zero_grad()\n        value", "        value"),
                    ("        value.backward()\n        adam.step()\n",
                     "        adam.step(), adam.zero_grad(), value.backward()\n")),
     "before the new gradients are there"),
    ("0204", fit_new_optimiser_each_step, "make the optimiser once"),
    *spoiled(
        "0205", tri,
        ("(points.clamp", "(points.flip(-1).clamp", "the axes are swapped"),
        ("lerps(volume, cell.long(), position - cell)",
         "volume[tuple((cell + (position - cell).round()).long().T)]", "not the nearest one"),
        ("lerps(volume, cell.long(), position - cell)", "volume[tuple(cell.long().T)]",
         "not the first one"),
        ("position - cell", "cell + 1 - position", "the other way round"),
        ("(points.clamp(-1, 1) + 1) / 2", "points.clamp(0, 1)", "not from 0 to 1"),
        ("* (len(volume) - 1)", "* len(volume)", "R corners make R - 1 cells"),
        (".clamp(max=len(volume) - 2)", "", "raises IndexError"),
        ("position - cell", "0 * position + 0.5", "the same share"),
        ("(points.clamp", "(points.detach().clamp", "differentiable by the points"),
        ("lerps(volume", "lerps(volume.data", "the features must stay differentiable"),
        ("position - cell)", "position - cell).detach().numpy()", "stay with torch"),
    ),
    ("0205", edited(tri, (".clamp(-1, 1)", ""), ("clamp(max", "clamp(0, max")), "moved to the rim"),
    ("0205", tri_grid_sample_as_is, "the axes are swapped"),
    ("0205", tri_adds_shares, "multiply the three shares"),
    *spoiled(
        "0206", tracing,
        ("value / bound", "value", "your step is too long"),
        ("value / bound", "value * bound", "your step is too long"),
        ("math.inf)", "math.inf).clamp(max=far)", "a miss has the depth inf"),
        ("depth = torch.zeros", "far, depth = 4.0, torch.zeros", "beyond `far` is not met"),
        ("math.inf)", "math.inf)[:, None] * directions + origins", "how far along the ray"),
        ("met = value", "met = value.abs()", "not its magnitude"),
        ("800", "50", "you give up too early"),
        ("800", "100", "you give up too early"),
    ),
    ("0206", trace_even_steps, "raises RuntimeError: over 1500 questions"),
    ("0206", trace_1000_steps, "jump over what is thin"),
    ("0206", trace_coarse_then_bisect, "jump over what is thin"),
    *spoiled(
        "0207", depth_by_bisection,
        (" / cosine", "", "1 / cosine as much"),
        ("beta * low", "beta * low / cosine", "not a way along the ray"),
        ("beta * low", "low", "in units of beta"),
        ("beta * low", "-beta * low", "the sign is swapped"),
        ("< share", "< 1 - share", "not the one left"),
    ),
    *spoiled(
        "0207", depth_by_newton,
        ("if R <= 0.5", "if True", "behind the surface R is another"),
        ("(u + 0.5 * math.exp(-u) - R)", "(u - R)", "what lies in front counts behind"),
        ("* cosine", "/ cosine", "multiply where you divide"),
        ("math.log1p(-share)", "math.log10(1 - share)", "to the base e"),
    ),
]  # fmt: skip

RIGHT = [
    ("0201", box),
    ("0201", box_right_by_cases),
    ("0202", eikonal),
    ("0202", eikonal_right_with_ones),
    ("0203", start),
    ("0203", start_right_by_init),
    ("0204", fit),
    ("0204", edited(fit, ("        adam.zero_grad()\n", ""),
                    ("adam.step()", "adam.step(), adam.zero_grad()"))),
    ("0204", fit_each_group_by_hand),
    ("0205", tri),
    ("0205", tri_right_flat),
    ("0206", tracing),
    ("0206", trace_right_ray_by_ray),
    ("0207", depth_by_bisection),
    ("0207", depth_by_newton),
]  # fmt: skip
