"""Fit a signed distance to points, with or without the eikonal term, and measure what came out.

    fit(field, cloud_of(truth, 20000, scene.center, scene.radius), FitSettings(steps=200))
    print(judge(field.sdf, scene))

The loss is IGR's (Gropp et al. 2020): mean |f(p)| + normals * mean ||grad f(p) - n|| + eikonal *
eq. 4 at random places, for points p and normals n of the surface.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from privhead_nb.field.sdf import GridField, MLPField
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.geometry.metrics import closest_points, evaluate, sample_surface
from privhead_nb.kernels.grid_encoding import GridLayout
from privhead_nb.training.losses import eikonal_loss

if TYPE_CHECKING:
    from privhead_nb.scenes.scene import Scene
    from privhead_nb.training.profiles import Profile

Field = GridField | MLPField


@dataclass(frozen=True)
class Cloud:
    """Points on a surface, in unit-sphere coordinates.

    Args:
        points: (N, 3).
        normals: (N, 3) unit, outwards.
    """

    points: Tensor
    normals: Tensor

    def __post_init__(self) -> None:
        if self.points.shape != self.normals.shape or self.points.shape[1:] != (3,):
            raise ValueError(f"{tuple(self.points.shape)} points, {tuple(self.normals.shape)}")


@dataclass(frozen=True)
class FitSettings:
    """What is minimised, and for how long.

    Args:
        steps: optimiser steps.
        batch: surface points a step.
        probes: places a step at which the eikonal term is asked: half of them anywhere in the unit
            ball, half near the surface.
        spread: how near, standard deviation in unit-sphere coordinates.
        normals: weight of the normals; 0 leaves them out.
        eikonal: weight of eq. 4; 0 leaves it out.
        grid_rate, rate: Adam's rate for a feature grid and for all else; they fall to a tenth.
    """

    steps: int = 200
    batch: int = 1024
    probes: int = 1024
    spread: float = 0.05
    normals: float = 0.0
    eikonal: float = 0.1
    grid_rate: float = 1e-2
    rate: float = 2e-3

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.probes) < 1 or min(self.grid_rate, self.rate) <= 0:
            raise ValueError(f"steps, batch, probes and rates must be positive: {self}")
        if min(self.normals, self.eikonal, self.spread) < 0:
            raise ValueError(f"weights can't be negative: {self}")


def cloud_of(
    mesh: Mesh, count: int, center: Sequence[float], radius: float, *, seed: int = 0
) -> Cloud:
    """Points spread over a mesh by area, with the normals of their faces.

    Args:
        mesh: in the scene's unit.
        count: how many.
        center, radius: the bounding sphere that becomes the unit sphere.
        seed: of the places.
    """
    points, face = sample_surface(mesh, count, seed)
    unit = (points - np.asarray(center)) / radius
    normals = mesh.face_normals()[face]
    return Cloud(torch.from_numpy(unit).float(), torch.from_numpy(normals).float())


def fit(field: Field, cloud: Cloud, settings: FitSettings, *, seed: int = 0) -> None:
    """Train `field` in place.

    Args:
        field: with its start values.
        cloud: the surface.
        settings: weights and sizes.
        seed: of the points drawn in each step.
    """
    parameters = dict(field.named_parameters())
    grids = [p for name, p in parameters.items() if name.startswith("grid.")]
    others = [p for name, p in parameters.items() if not name.startswith("grid.")]
    groups = [{"params": grids, "lr": settings.grid_rate}, {"params": others, "lr": settings.rate}]
    optimiser = torch.optim.Adam([g for g in groups if g["params"]], betas=(0.9, 0.99), eps=1e-15)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.1 ** (1 / settings.steps))
    generator = _generator(seed)
    for _ in range(settings.steps):
        optimiser.zero_grad(set_to_none=True)
        loss(field, cloud, settings, generator).backward()
        optimiser.step()
        schedule.step()


def loss(field: Field, cloud: Cloud, settings: FitSettings, generator: torch.Generator) -> Tensor:
    """One step's loss: of points of the surface, their normals, and the eikonal term."""
    chosen = torch.randint(len(cloud.points), (settings.batch,), generator=generator)
    points, normals = cloud.points[chosen], cloud.normals[chosen]
    if settings.normals == 0 and settings.eikonal == 0:
        return field.sdf(points).abs().mean()
    places = _probes(points, settings, generator) if settings.eikonal else points[:0]
    value, _, gradient = field.with_gradient(torch.cat([points, places]))
    total = value[: len(points)].abs().mean()
    if settings.normals:
        total = total + settings.normals * (gradient[: len(points)] - normals).norm(dim=-1).mean()
    if settings.eikonal:
        total = total + settings.eikonal * eikonal_loss(gradient[len(points) :])
    return total


def _probes(points: Tensor, settings: FitSettings, generator: torch.Generator) -> Tensor:
    """Half of them anywhere in the unit ball, half beside the given points; (probes, 3)."""
    half = settings.probes // 2
    noise = settings.spread * torch.randn(half, 3, generator=generator)
    beside = points[torch.arange(half) % len(points)] + noise
    return torch.cat([_in_ball(settings.probes - half, generator), beside.clamp(-1, 1)])


def _in_ball(count: int, generator: torch.Generator) -> Tensor:
    """Points spread evenly in the unit ball, (count, 3)."""
    direction = nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    return torch.rand(count, 1, generator=generator) ** (1 / 3) * direction


def start_mlp(*, seed: int = 0, plain: bool = False, width: int = 64, depth: int = 3) -> MLPField:
    """A small VolSDF network, with geometric initialisation or PyTorch's own (`plain`)."""
    field = MLPField(
        width=width, depth=depth, frequencies=2, features=1, generator=_generator(seed)
    )
    if plain:
        _start_plainly(field, seed)
    return field


def start_grid(profile: Profile, *, seed: int = 0) -> GridField:
    """The head's feature grid, sized by the profile, on its sphere."""
    sizes = profile.field
    layout = GridLayout(sizes.resolutions, sizes.channels, sizes.max_entries)
    return GridField(layout, sphere=sizes.sphere, generator=_generator(seed))


def without_sphere(field: GridField, *, seed: int = 0) -> Callable[[Tensor], Tensor]:
    """What a grid and its head would answer alone, with PyTorch's own start values."""
    alone = copy.deepcopy(field)
    _start_plainly(alone, seed)
    return lambda points: alone.sdf(points) - (points.norm(dim=-1) - alone.sphere)


def _start_plainly(field: Field, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in field.modules():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gradient_norms(field: Field, count: int = 4096, *, seed: int = 1) -> Tensor:
    """||grad f|| at places spread over the unit ball, (count,)."""
    places = _in_ball(count, _generator(seed))
    return field.with_gradient(places)[2].detach().norm(dim=-1)


def level_mesh(
    sdf: Callable[[Tensor], Tensor],
    level: float,
    center: Sequence[float] = (0.0, 0.0, 0.0),
    radius: float = 1.0,
    *,
    resolution: int = 96,
    largest: bool = True,
) -> Mesh:
    """The surface on which f has the value `level`, given in the scene's unit."""
    return extract_mesh(
        lambda points: sdf(points) - level / radius,
        center, radius, resolution=resolution, largest=largest,
    )  # fmt: skip


def distance_of(mesh: Mesh, truth: Mesh, *, samples: int = 20_000, seed: int = 0) -> float:
    """Mean distance of two surfaces, both ways, exact from point to triangle."""
    there = closest_points(sample_surface(truth, samples, seed)[0], mesh)[0].mean()
    back = closest_points(sample_surface(mesh, samples, seed)[0], truth)[0].mean()
    return float((there + back) / 2)


@dataclass(frozen=True)
class Judged:
    """How good a fitted head is, on the surface and off it.

    Attributes:
        distance: of the zero set to the truth, two-way mean over the whole head [mm].
        normals: median angle between the two [degrees].
        pieces: connected parts that the zero set falls into.
        levels: level [mm] -> median distance of that level set to the truth [mm].
    """

    distance: float
    normals: float
    pieces: int
    levels: dict[float, float]


def judge(
    sdf: Callable[[Tensor], Tensor],
    scene: Scene,
    *,
    levels: Sequence[float] = (-10.0, 10.0, 30.0),
    resolution: int = 96,
    samples: int = 20_000,
) -> Judged:
    """Measure a field against a scene's truth mesh; every piece of its zero set counts."""
    truth = Mesh.from_trimesh(scene.truth_mesh())
    zero = level_mesh(sdf, 0.0, scene.center, scene.radius, resolution=resolution, largest=False)
    found = evaluate(zero, scene, region="head", samples=samples)
    apart = {}
    for level in levels:
        mesh = level_mesh(sdf, level, scene.center, scene.radius, resolution=resolution)
        points = sample_surface(mesh, samples, 0)[0]
        apart[level] = float(np.median(closest_points(points, truth)[0]))
    assert found.normal_median_deg is not None
    return Judged(found.distance_mean, found.normal_median_deg, zero.to_trimesh().body_count, apart)
