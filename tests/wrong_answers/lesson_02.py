"""Answers to lesson 02's exercises: wrong ones with words of the message, and right ones."""

from __future__ import annotations

import itertools
import math
import warnings
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

# 0201, a box --------------------------------------------------------------------------------------


def box_outside_only(points: Tensor, half: Tensor) -> Tensor:
    return (points.abs() - half).clamp(min=0).norm(dim=-1)


def box_largest(points: Tensor, half: Tensor) -> Tensor:
    return (points.abs() - half).max(dim=-1).values


def box_without_sides(points: Tensor, half: Tensor) -> Tensor:
    q = points - half
    return torch.relu(q).norm(dim=-1) + q.max(dim=-1).values.clamp(max=0)


def box_of_edges(points: Tensor, half: Tensor) -> Tensor:
    return box_right(points, 0.5 * half)


def box_sum(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return torch.relu(q).sum(-1) + q.amax(-1).clamp(max=0)


def box_norm_of_q(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return torch.where((q < 0).all(-1), q.amax(-1), q.norm(dim=-1))


def box_furthest_face(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return torch.where((q < 0).all(-1), q.amin(-1), torch.relu(q).norm(dim=-1))


def box_unsigned(points: Tensor, half: Tensor) -> Tensor:
    return box_right(points, half).abs()


def box_inside_positive(points: Tensor, half: Tensor) -> Tensor:
    return -box_right(points, half)


def box_folded_late(points: Tensor, half: Tensor) -> Tensor:
    q = (points - half).abs()
    return q.clamp_min(0).norm(dim=-1) + q.max(dim=-1).values.clamp_max(0)


def box_squared(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return (torch.relu(q) ** 2).sum(-1) + q.amax(-1).clamp(max=0)


def box_counted_twice(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return torch.relu(q).norm(dim=-1) + q.amax(-1)


def box_to_a_corner(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    inside = (q < 0).all(dim=-1)
    return torch.where(inside, -q.norm(dim=-1), torch.relu(q).norm(dim=-1))


def box_sum_inside(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return torch.relu(q).norm(dim=-1) + q.clamp(max=0).sum(-1)


def box_legs_inside(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return torch.relu(q).norm(dim=-1) - torch.relu(-q).norm(dim=-1)


def box_doubled(points: Tensor, half: Tensor) -> Tensor:
    return box_right(points, 2 * half)


def box_right(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return q.clamp_min(0).norm(dim=-1) + q.max(dim=-1).values.clamp_max(0)


def box_right_by_cases(points: Tensor, half: Tensor) -> Tensor:
    near = torch.minimum(torch.maximum(points, -half), half)
    faces = torch.cat([points - half, -points - half], dim=-1)
    return torch.where((near == points).all(-1), faces.max(-1).values, (points - near).norm(dim=-1))


# 0202, the eikonal loss ---------------------------------------------------------------------------


def slopes(field: Any, points: Tensor, keep: bool = True) -> Tensor:
    points = points.clone().requires_grad_(True)
    return torch.autograd.grad(field(points).sum(), points, create_graph=keep)[0]


def eikonal_without_graph(field: Any, points: Tensor) -> Tensor:
    return ((slopes(field, points, keep=False).norm(dim=-1) - 1) ** 2).mean()


def eikonal_detached(field: Any, points: Tensor) -> Tensor:
    return eikonal_right(field, points).detach()


def eikonal_retained(field: Any, points: Tensor) -> Tensor:
    points = points.requires_grad_()
    (g,) = torch.autograd.grad(field(points).sum(), points, retain_graph=True)
    return ((g.norm(dim=-1) - 1) ** 2).mean()


def eikonal_by_backward(field: Any, points: Tensor) -> Tensor:
    points = points.requires_grad_()
    field(points).sum().backward()
    return ((points.grad.norm(dim=-1) - 1) ** 2).mean()  # type: ignore[union-attr]


def eikonal_squared_norm(field: Any, points: Tensor) -> Tensor:
    return (((slopes(field, points) ** 2).sum(-1) - 1) ** 2).mean()


def eikonal_magnitude(field: Any, points: Tensor) -> Tensor:
    return (slopes(field, points).norm(dim=-1) - 1).abs().mean()


def eikonal_sum(field: Any, points: Tensor) -> Tensor:
    return ((slopes(field, points).norm(dim=-1) - 1) ** 2).sum()


def eikonal_of_the_mean(field: Any, points: Tensor) -> Tensor:
    points = points.requires_grad_()
    (g,) = torch.autograd.grad(field(points).mean(), points, create_graph=True)
    return ((g.norm(dim=-1) - 1) ** 2).mean()


def eikonal_by_component(field: Any, points: Tensor) -> Tensor:
    return ((slopes(field, points) - 1) ** 2).sum(-1).mean()


def eikonal_mean_norm(field: Any, points: Tensor) -> Tensor:
    return (slopes(field, points).norm(dim=-1).mean() - 1) ** 2


def eikonal_one_norm(field: Any, points: Tensor) -> Tensor:
    return (slopes(field, points).norm() - 1) ** 2


def eikonal_only_steep(field: Any, points: Tensor) -> Tensor:
    return (torch.relu(slopes(field, points).norm(dim=-1) - 1) ** 2).mean()


def eikonal_only_flat(field: Any, points: Tensor) -> Tensor:
    return (torch.relu(1 - slopes(field, points).norm(dim=-1)) ** 2).mean()


def eikonal_halved(field: Any, points: Tensor) -> Tensor:
    return eikonal_right(field, points) / 2


def eikonal_by_differences(field: Any, points: Tensor) -> Tensor:
    h = 1e-3
    g = [(field(points + h * e) - field(points - h * e)) / (2 * h) for e in torch.eye(3)]
    return ((torch.stack(g).norm(dim=0) - 1) ** 2).mean()


def eikonal_each_place(field: Any, points: Tensor) -> Tensor:
    return (slopes(field, points).norm(dim=-1) - 1) ** 2


def eikonal_right(field: Any, points: Tensor) -> Tensor:
    return ((slopes(field, points).square().sum(-1).sqrt() - 1) ** 2).mean()


def eikonal_right_with_ones(field: Any, points: Tensor) -> Tensor:
    points = points.detach().requires_grad_()
    f = field(points)
    (g,) = torch.autograd.grad(f, points, grad_outputs=torch.ones_like(f), create_graph=True)
    return F.mse_loss(g.norm(dim=-1), torch.ones(len(g)))


# 0203, a sphere to start from ---------------------------------------------------------------------


def start(layers: Any, radius: float, spread: Any = None, last: Any = None) -> None:
    with torch.no_grad():
        for layer in layers[:-1]:
            std = spread(layer) if spread else (2 / layer.out_features) ** 0.5
            layer.weight.copy_(torch.randn(layer.weight.shape) * std)
            layer.bias.fill_(0)
        weight = layers[-1].weight
        weight.copy_(last(weight) if last else torch.full_like(weight, (math.pi / 256) ** 0.5))
        layers[-1].bias.fill_(-radius)


def sphere_weights(weight: Tensor) -> Tensor:
    return torch.full_like(weight, math.sqrt(math.pi / weight.shape[1]))


def start_by_variance(layers: Any, radius: float) -> None:
    start(layers, radius, lambda layer: 2 / layer.out_features, sphere_weights)


def start_by_inputs(layers: Any, radius: float) -> None:
    start(layers, radius, lambda layer: math.sqrt(2 / layer.in_features), sphere_weights)


def start_by_kaiming(layers: Any, radius: float) -> None:
    start(layers, radius, last=sphere_weights)
    for layer in layers[:-1]:
        nn.init.kaiming_normal_(layer.weight)


def start_without_the_two(layers: Any, radius: float) -> None:
    start(layers, radius, lambda layer: layer.out_features**-0.5, sphere_weights)


def start_uniform(layers: Any, radius: float) -> None:
    start(layers, radius, last=sphere_weights)
    for layer in layers[:-1]:
        bound = math.sqrt(6 / layer.out_features)  # the right variance
        nn.init.uniform_(layer.weight, -bound, bound)


def start_random_last(layers: Any, radius: float) -> None:
    start(layers, radius, last=lambda w: torch.randn_like(w) * math.sqrt(math.pi / w.shape[1]))


def start_last_without_root(layers: Any, radius: float) -> None:
    start(layers, radius, last=lambda w: torch.full_like(w, math.sqrt(math.pi) / w.shape[1]))


def start_inside_out(layers: Any, radius: float) -> None:
    start(layers, -radius, last=sphere_weights)


def start_with_pytorchs_biases(layers: Any, radius: float) -> None:
    with torch.no_grad():
        for layer in layers[:-1]:
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.out_features))
        nn.init.constant_(layers[-1].weight, math.sqrt(math.pi / layers[-1].in_features))
        nn.init.constant_(layers[-1].bias, -radius)


def start_without_radius(layers: Any, radius: float) -> None:
    kept = layers[-1].bias.detach().clone()
    start(layers, radius, last=sphere_weights)
    with torch.no_grad():
        layers[-1].bias.copy_(kept)


def start_new_layers(layers: Any, radius: float) -> Any:
    layers = [nn.Linear(layer.in_features, layer.out_features) for layer in layers]
    start(layers, radius, last=sphere_weights)
    return layers


def start_not_in_place(layers: Any, radius: float) -> None:
    for layer in layers[:-1]:
        torch.randn_like(layer.weight) * math.sqrt(2 / layer.out_features)


def start_right(layers: Any, radius: float) -> None:
    start(layers, radius, last=sphere_weights)


def start_right_by_init(layers: Any, radius: float) -> None:
    for layer in list(layers)[:-1]:
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(layer.bias)
    nn.init.normal_(layers[-1].weight, math.sqrt(math.pi / layers[-1].in_features), 1e-4)
    nn.init.constant_(layers[-1].bias, -radius)


# 0204, the training loop --------------------------------------------------------------------------

BETAS = {"betas": (0.9, 0.99), "eps": 1e-15}


ACTIONS = {
    "clear": lambda run: run.adam.zero_grad(),
    "ask": lambda run: setattr(run, "value", run.loss()),
    "backward": lambda run: run.value.backward(),
    "climb": lambda run: (-run.value).backward(),
    "step": lambda run: run.adam.step(),
    "fall": lambda run: run.falls.step(),
}


def adam(parameters: Any, rate: float, **settings: Any) -> Any:
    return torch.optim.Adam(parameters, lr=rate, **(settings or BETAS))


def fit(
    order: str = "clear ask backward step fall",
    make: Any = adam,
    gamma: Any = None,
    told: Any = lambda run: run.value.item(),
) -> Any:
    """A loop that does in each step what `order` says, in this order, and keeps what is `told`."""

    def answer(parameters: Any, loss: Any, steps: int, rate: float) -> list[Any]:
        run, losses = SimpleNamespace(loss=loss, adam=make(parameters, rate)), []
        factor = gamma(steps) if callable(gamma) else gamma or 0.1 ** (1 / steps)
        run.falls = torch.optim.lr_scheduler.ExponentialLR(run.adam, factor)
        with warnings.catch_warnings():  # PyTorch's, of the rate that falls before the first step
            warnings.filterwarnings("ignore", "Detected call of `lr_scheduler.step", UserWarning)
            for _ in range(steps):
                for action in order.split():
                    ACTIONS[action](run)
                losses.append(told(run))
        return losses

    return answer


def fit_new_optimiser_each_step(parameters: Any, loss: Any, steps: int, rate: float) -> list[Any]:
    losses = []
    for step in range(steps):
        adam = torch.optim.Adam(parameters, lr=rate, **BETAS)
        for group in adam.param_groups:
            group["lr"] *= 0.1 ** (step / steps)
        adam.zero_grad()
        value = loss()
        value.backward()
        adam.step()
        losses.append(value.item())
    return losses


def fit_by_hand(parameters: Any, loss: Any, steps: int, rate: float, rates: Any) -> list[float]:
    """Rates that are set in each step: rates(step / steps, rate)."""
    run, losses = adam(parameters, rate), []
    for step in range(steps):
        for group in run.param_groups:
            group["lr"] = rates(step / steps, rate)
        run.zero_grad()
        value = loss()
        value.backward()
        run.step()
        losses.append(value.item())
    return losses


def fit_each_group_by_hand(parameters: Any, loss: Any, steps: int, rate: float) -> list[float]:
    """Right: a group's rate falls by the factor."""
    run, losses = adam(parameters, rate), []
    for _ in range(steps):
        value = loss()
        run.zero_grad(set_to_none=False)
        value.backward()
        run.step()
        for group in run.param_groups:
            group["lr"] *= 0.1 ** (1 / steps)
        losses.append(float(value.detach()))
    return losses


def fit_one_loss(parameters: Any, loss: Any, steps: int, rate: float) -> list[float]:
    value, losses = loss(), []
    run = adam(parameters, rate)
    falls = torch.optim.lr_scheduler.ExponentialLR(run, 0.1 ** (1 / steps))
    for _ in range(steps):
        run.zero_grad()
        value.backward(retain_graph=True)
        run.step()
        falls.step()
        losses.append(value.item())
    return losses


def fit_last_loss_only(parameters: Any, loss: Any, steps: int, rate: float) -> list[Any]:
    return fit()(parameters, loss, steps, rate)[-1:]


def fit_returns_nothing(parameters: Any, loss: Any, steps: int, rate: float) -> None:
    fit()(parameters, loss, steps, rate)


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


def tri_axes_swapped(volume: Tensor, points: Tensor) -> Tensor:
    return lerps(volume, *at_cells(points.flip(-1), len(volume)))


def tri_grid_sample_as_is(volume: Tensor, points: Tensor) -> Tensor:
    channels_first = volume.permute(3, 0, 1, 2)[None]
    return F.grid_sample(channels_first, points[None, None, None], align_corners=True)[0, :, 0, 0].T


def tri_nearest(volume: Tensor, points: Tensor) -> Tensor:
    cell, part = at_cells(points, len(volume))
    return volume[tuple((cell + part.round().long()).T)]


def tri_first_corner(volume: Tensor, points: Tensor) -> Tensor:
    return volume[tuple(at_cells(points, len(volume))[0].T)]


def tri_other_way_round(volume: Tensor, points: Tensor) -> Tensor:
    cell, part = at_cells(points, len(volume))
    return lerps(volume, cell, 1 - part)


def tri_from_0_to_1(volume: Tensor, points: Tensor) -> Tensor:
    return lerps(volume, *at_cells(2 * points.clamp(0, 1) - 1, len(volume)))


def tri_too_many_cells(volume: Tensor, points: Tensor) -> Tensor:
    position = (points.clamp(-1, 1) + 1) / 2 * len(volume)
    cell = position.detach().floor().clamp(max=len(volume) - 2)
    return lerps(volume, cell.long(), position - cell)


def tri_off_the_rim(volume: Tensor, points: Tensor) -> Tensor:
    position = (points.clamp(-1, 1) + 1) / 2 * (len(volume) - 1)
    cell = position.floor()
    return lerps(volume, cell.long(), position - cell)


def tri_extrapolates(volume: Tensor, points: Tensor) -> Tensor:
    position = (points + 1) / 2 * (len(volume) - 1)
    cell = position.detach().floor().clamp(0, len(volume) - 2)
    return lerps(volume, cell.long(), position - cell)


def tri_mean_of_corners(volume: Tensor, points: Tensor) -> Tensor:
    cell, part = at_cells(points, len(volume))
    return lerps(volume, cell, 0 * part + 0.5)


def tri_adds_shares(volume: Tensor, points: Tensor) -> Tensor:
    cell, part = at_cells(points, len(volume))
    total = torch.zeros(())
    for corner in map(torch.tensor, itertools.product((0, 1), repeat=3)):
        weight = torch.where(corner.bool(), part, 1 - part).sum(-1) / 3
        total = total + weight[:, None] * volume[tuple((cell + corner).T)]
    return total


def tri_detached(volume: Tensor, points: Tensor) -> Tensor:
    return lerps(volume, *at_cells(points.detach(), len(volume)))


def tri_of_data(volume: Tensor, points: Tensor) -> Tensor:
    return lerps(volume.data, *at_cells(points, len(volume)))


def tri_by_numpy(volume: Tensor, points: Tensor) -> Any:
    return tri_right(volume.detach(), points.detach()).numpy()


def tri_right(volume: Tensor, points: Tensor) -> Tensor:
    return lerps(volume, *at_cells(points, len(volume)))


def tri_right_flat(volume: Tensor, points: Tensor) -> Tensor:
    count, flat = len(volume), volume.flatten(0, 2)
    cell, part = at_cells(points, count)
    shares = torch.stack([1 - part, part])  # (2, N, 3)
    weights = torch.einsum("in,jn,kn->nijk", *shares.unbind(-1)).flatten(1)
    corners = torch.cartesian_prod(*3 * [torch.arange(2)])
    index = (cell[:, None] + corners) @ torch.tensor([count * count, count, 1])
    return (weights[..., None] * flat[index]).sum(1)


# 0206, sphere tracing -----------------------------------------------------------------------------


def tracing(
    sdf: Any, origins: Tensor, directions: Tensor, bound: float, far: float, steps: int = 800
) -> Tensor:
    """All rays, all steps."""
    depth = torch.zeros(len(origins))
    for _ in range(steps):
        value = sdf(origins + depth[:, None] * directions)
        met = value <= 1e-4
        depth = torch.where(met | (depth > far), depth, depth + value / bound)
    return torch.where(met & (depth <= far), depth, math.inf)


def trace_without_bound(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    return tracing(sdf, o, d, 1.0, far)


def trace_times_bound(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    return tracing(sdf, o, d, 1 / bound, far)


def trace_far_for_misses(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    return tracing(sdf, o, d, bound, far).clamp(max=far)


def trace_beyond_far(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    return tracing(sdf, o, d, bound, 4.0)


def trace_places(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    return o + tracing(sdf, o, d, bound, far)[:, None] * d


def trace_magnitude(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    depth = torch.zeros(len(o))
    for _ in range(800):
        value = sdf(o + depth[:, None] * d)
        met = value.abs() <= 1e-4
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


def trace_fifty_steps(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    return tracing(sdf, o, d, bound, far, steps=50)


def trace_hundred_steps(sdf: Any, o: Tensor, d: Tensor, bound: float, far: float) -> Tensor:
    return tracing(sdf, o, d, bound, far, steps=100)


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


def depth_by_bisection(share: float, beta: float, cosine: float, behind: bool = True) -> float:
    low, high = -60.0, 60.0
    for _ in range(100):
        u = (low + high) / 2
        optical = (0.5 * math.exp(u) if u <= 0 else u + behind * 0.5 * math.exp(-u)) / cosine
        low, high = (u, high) if 1 - math.exp(-optical) < share else (low, u)
    return beta * low


def depth_without_angle(share: float, beta: float, cosine: float) -> float:
    return depth_by_bisection(share, beta, 1.0)


def depth_along_the_ray(share: float, beta: float, cosine: float) -> float:
    return depth_by_bisection(share, beta, cosine) / cosine


def depth_in_betas(share: float, beta: float, cosine: float) -> float:
    return depth_by_bisection(share, 1.0, cosine)


def depth_as_f(share: float, beta: float, cosine: float) -> float:
    return -depth_by_bisection(share, beta, cosine)


def depth_of_what_is_left(share: float, beta: float, cosine: float) -> float:
    return depth_by_bisection(1 - share, beta, cosine)


def depth_front_formula(share: float, beta: float, cosine: float) -> float:
    return beta * math.log(2 * cosine * -math.log(1 - share))


def depth_hard_surface(share: float, beta: float, cosine: float) -> float:
    R = -math.log(1 - share) * cosine
    return beta * math.log(2 * R) if R <= 0.5 else beta * R


def depth_angle_upside_down(share: float, beta: float, cosine: float) -> float:
    R = -math.log(1 - share) / cosine
    if R <= 0.5:
        return beta * math.log(2 * R)
    u = R
    for _ in range(100):
        u = R - 0.5 * math.exp(-u)
    return beta * u


def depth_base_ten(share: float, beta: float, cosine: float) -> float:
    R = -math.log10(1 - share) * cosine
    if R <= 0.5:
        return beta * math.log(2 * R)
    u = R
    for _ in range(100):
        u = R - 0.5 * math.exp(-u)
    return beta * u


def depth_right_by_newton(share: float, beta: float, cosine: float) -> float:
    R = -math.log1p(-share) * cosine
    if R <= 0.5:
        return beta * math.log(2 * R)
    u = R
    for _ in range(50):
        u -= (u + 0.5 * math.exp(-u) - R) / (1 - 0.5 * math.exp(-u))
    return beta * u


WRONG = [
    ("0201", box_outside_only, "inside the box yours is 0"),
    ("0201", box_largest, "by Pythagoras"),
    ("0201", box_without_sides, "six faces"),
    ("0201", box_of_edges, "half of an edge already"),
    ("0201", box_sum, "the norm, not the sum"),
    ("0201", box_norm_of_q, "negative entries of q are no legs"),
    ("0201", box_furthest_face, "the nearest face counts"),
    ("0201", box_unsigned, "inside the distance is negative"),
    ("0201", box_inside_positive, "outside is positive"),
    ("0201", box_folded_late, "take |x| first"),
    ("0201", box_squared, "take the root"),
    ("0201", box_counted_twice, "cut it off there"),
    ("0201", box_to_a_corner, "not to a corner"),
    ("0201", box_sum_inside, "don't add up the ways"),
    ("0201", box_legs_inside, "no legs of one way"),
    ("0201", box_doubled, "don't double it"),
    ("0202", eikonal_without_graph, "the gradient's own graph"),
    ("0202", eikonal_detached, "the gradient's own graph"),
    ("0202", eikonal_retained, "the gradient's own graph"),
    ("0202", eikonal_by_backward, "the gradient's own graph"),
    ("0202", eikonal_squared_norm, "not its square"),
    ("0202", eikonal_magnitude, "square the difference"),
    ("0202", eikonal_sum, "the mean over the places"),
    ("0202", eikonal_of_the_mean, "differentiate the sum"),
    ("0202", eikonal_by_component, "not from each component"),
    ("0202", eikonal_mean_norm, "not the square of the mean"),
    ("0202", eikonal_one_norm, "one norm for each place"),
    ("0202", eikonal_only_steep, "short gradients are wrong, too"),
    ("0202", eikonal_only_flat, "long gradients are wrong, too"),
    ("0202", eikonal_halved, "no half before it"),
    ("0202", eikonal_by_differences, "raises RuntimeError: over 3 questions"),
    ("0202", eikonal_each_place, "has the shape"),
    ("0203", start_by_variance, "2 / m is a variance"),
    ("0203", start_by_inputs, "m is the number of rows"),
    ("0203", start_by_kaiming, "m is the number of rows"),
    ("0203", start_without_the_two, "max(., 0) halves it"),
    ("0203", start_uniform, "normal numbers"),
    ("0203", start_random_last, "not random ones"),
    ("0203", start_last_without_root, "have the root of m below them"),
    ("0203", start_inside_out, "the last bias is -radius"),
    ("0203", start_with_pytorchs_biases, "hidden biases are still PyTorch's"),
    ("0203", start_without_radius, "the last bias is still PyTorch's"),
    ("0203", start_new_layers, "nothing has changed"),
    ("0203", start_not_in_place, "nothing has changed"),
    ("0204", fit("ask backward step fall"), "forget them before each"),
    ("0204", fit("clear ask step fall"), "nothing has moved"),
    ("0204", fit("clear ask backward fall"), "nothing has moved"),
    ("0204", fit("ask backward clear step fall"), "nothing has moved"),
    ("0204", fit("ask step clear backward fall"), "before the new gradients are there"),
    ("0204", fit(gamma=1.0), "the rate doesn't fall"),
    ("0204", fit(gamma=0.1), "after all steps, not after each"),
    ("0204", fit("fall clear ask backward step"), "the rate falls before the first step"),
    ("0204", fit(make=lambda p, r: torch.optim.SGD(p, lr=r)), "use Adam"),
    ("0204", fit(make=partial(adam, eps=1e-15)), "betas are (0.9, 0.99)"),
    ("0204", fit(make=partial(adam, betas=(0.9, 0.99))), "eps is 1e-15"),
    ("0204", fit_new_optimiser_each_step, "make the optimiser once"),
    ("0204", fit(told=lambda run: run.loss().item()), "ask loss() once a step"),
    ("0204", fit(told=lambda run: run.value), "plain numbers"),
    ("0204", fit(told=lambda run: run.value.detach()), "plain numbers"),
    ("0204", fit(make=lambda p, r: torch.optim.Adam(p, lr=r)), "betas are (0.9, 0.99)"),
    ("0204", fit(make=lambda p, _: adam(p, 2e-3)), "`rate` is not used"),
    ("0204", fit(make=lambda p, r: torch.optim.AdamW(p, lr=r, **BETAS)), "AdamW pulls"),
    ("0204", fit(gamma=lambda steps: 0.1 ** (1 / (steps - 1))), "not one time less"),
    ("0204", fit(gamma=lambda steps: 10 ** (1 / steps)), "your rate grows"),
    ("0204", partial(fit_by_hand, rates=lambda t, rate: rate * (1 - 0.9 * t)), "the same amount"),
    ("0204", partial(fit_by_hand, rates=lambda t, rate: rate * 0.1**t), "let each fall"),
    ("0204", fit_one_loss, "in each step"),
    ("0204", fit("clear ask climb step fall"), "this climbs"),
    ("0204", fit_last_loss_only, "has the shape"),
    ("0204", fit_returns_nothing, "raises TypeError"),
    ("0205", tri_axes_swapped, "the axes are swapped"),
    ("0205", tri_grid_sample_as_is, "the axes are swapped"),
    ("0205", tri_nearest, "not the nearest one"),
    ("0205", tri_first_corner, "not the first one"),
    ("0205", tri_other_way_round, "the other way round"),
    ("0205", tri_from_0_to_1, "not from 0 to 1"),
    ("0205", tri_too_many_cells, "R corners make R - 1 cells"),
    ("0205", tri_off_the_rim, "raises IndexError"),
    ("0205", tri_extrapolates, "moved to the rim"),
    ("0205", tri_mean_of_corners, "the same share"),
    ("0205", tri_adds_shares, "multiply the three shares"),
    ("0205", tri_detached, "differentiable by the points"),
    ("0205", tri_of_data, "the features must stay differentiable"),
    ("0205", tri_by_numpy, "stay with torch"),
    ("0206", trace_without_bound, "your step is too long"),
    ("0206", trace_times_bound, "your step is too long"),
    ("0206", trace_far_for_misses, "a miss has the depth inf"),
    ("0206", trace_beyond_far, "beyond `far` is not met"),
    ("0206", trace_places, "how far along the ray"),
    ("0206", trace_magnitude, "not its magnitude"),
    ("0206", trace_even_steps, "raises RuntimeError: over 1500 questions"),
    ("0206", trace_1000_steps, "jump over what is thin"),
    ("0206", trace_coarse_then_bisect, "jump over what is thin"),
    ("0206", trace_fifty_steps, "you give up too early"),
    ("0206", trace_hundred_steps, "you give up too early"),
    ("0207", depth_without_angle, "1 / cosine as much"),
    ("0207", depth_along_the_ray, "not a way along the ray"),
    ("0207", depth_in_betas, "in units of beta"),
    ("0207", depth_as_f, "the sign is swapped"),
    ("0207", depth_of_what_is_left, "not the one left"),
    ("0207", depth_front_formula, "behind the surface R is another"),
    ("0207", depth_hard_surface, "what lies in front counts behind"),
    ("0207", depth_angle_upside_down, "multiply where you divide"),
    ("0207", depth_base_ten, "to the base e"),
]

RIGHT = [
    ("0201", box_right),
    ("0201", box_right_by_cases),
    ("0202", eikonal_right),
    ("0202", eikonal_right_with_ones),
    ("0203", start_right),
    ("0203", start_right_by_init),
    ("0204", fit()),
    ("0204", fit("ask backward step clear fall")),
    ("0204", fit_each_group_by_hand),
    ("0205", tri_right),
    ("0205", tri_right_flat),
    ("0206", tracing),
    ("0206", trace_right_ray_by_ray),
    ("0207", depth_by_bisection),
    ("0207", depth_right_by_newton),
]
