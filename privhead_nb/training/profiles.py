"""Every setting of a reconstruction, and the five profiles: ci, cpu, fine, gpu, paper.

Profiles change sizes only: steps, rays, grid and mesh resolution; `ci` takes a pixel for a point.
`fine` is for pictures of 128 and 256 pixels, with `start`: the result of `cpu` on 64. `paper` also
names the paper's network and sampler. The weights below are the same for all heads.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from privhead_nb.errors import TrainingError, check_choice
from privhead_nb.field.model import FieldSettings
from privhead_nb.files import json_text
from privhead_nb.reading import Record
from privhead_nb.render.volume import RenderSettings

Settings = TypeVar("Settings")

RENAMED = {"probes": "eikonal_points"}  # in files of older versions
GONE = {"smoothness"}  # of stage 2 in files of older versions, and read no more


@dataclass(frozen=True)
class Stage1:
    """Neutral RGB: rgb + eikonal (eq. 9 with lambda_3 = lambda_4 = 0).

    Args:
        steps: optimiser steps.
        rays: pixels a step.
        beta: first and last beta where it is scheduled; it falls geometrically.
        rgb, eikonal: weights of eq. 2 and 4.
        mask: weight of the coverage, on the views whose mask is released.
        laplacian: weight of mean |laplace f|.
        eikonal_points: random points a step for the eikonal term.
    """

    steps: int = 300
    rays: int = 1024
    beta: tuple[float, float] = (0.03, 0.003)
    rgb: float = 1.0
    eikonal: float = 0.1
    mask: float = 0.5
    laplacian: float = 2e-3
    eikonal_points: int = 512

    def __post_init__(self) -> None:
        _check_stage(self)


@dataclass(frozen=True)
class Stage2:
    """Gradient moduli alone: eikonal + Lipschitz + gradient (eq. 9 with lambda_1 = 0).

    Args:
        steps: optimiser steps; 0 leaves the stage out.
        patches, patch: how many squares a step, and their side in pixels.
        beta: first and last beta where it is scheduled.
        gradient, eikonal, lipschitz: weights of eq. 5, 4 and 8.
        lipschitz_log: sum of logarithms instead of eq. 8's product.
        lipschitz_from: share of the stage after which the Lipschitz term counts.
        mask: weight of the coverage, where masks of sensitive views are released.
        laplacian: weight of mean |laplace f|.
        eikonal_points: random points a step for the eikonal and Laplacian terms.
    """

    steps: int = 1900
    patches: int = 10
    patch: int = 10
    beta: tuple[float, float] = (0.012, 0.0015)
    gradient: float = 16.0
    eikonal: float = 0.1
    lipschitz: float = 3e-6
    lipschitz_log: bool = False
    lipschitz_from: float = 0.0
    mask: float = 0.5
    laplacian: float = 2e-3
    eikonal_points: int = 512

    def __post_init__(self) -> None:
        _check_stage(self)


@dataclass(frozen=True)
class FullRGB(Stage1):
    """The baseline that sees everything: rgb on all views; tuned on its own.

    Args: as in `Stage1`.
    """

    steps: int = 2200
    beta: tuple[float, float] = (0.03, 0.0015)
    rgb: float = 20.0


def _check_stage(stage: Stage1 | Stage2) -> None:
    name = type(stage).__name__
    object.__setattr__(stage, "beta", tuple(stage.beta))
    if len(stage.beta) != 2 or min(stage.beta) <= 0:
        raise ValueError(f"{name}.beta is {stage.beta}; give two positive numbers")
    for key, value in asdict(stage).items():
        if isinstance(value, (int, float)) and value < 0:
            raise ValueError(f"{name}.{key} is {value}; it can't be negative")


@dataclass(frozen=True)
class Optimiser:
    """Adam with an exponentially falling rate.

    Args:
        grid_rate, rate: learning rate of feature grids and of networks, at a stage's start.
        decay: what is left of them at its end.
        betas: Adam's.
        clip: largest gradient norm; longer gradients are cut to it.
    """

    grid_rate: float = 1e-2
    rate: float = 2e-3
    decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 50.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        if min(self.grid_rate, self.rate, self.decay, self.clip) <= 0:
            raise ValueError("Optimiser: rates, decay and clip must be positive")


@dataclass(frozen=True)
class Profile:
    """All settings of a reconstruction."""

    name: str = "cpu"
    field: FieldSettings = dataclasses.field(default_factory=FieldSettings)
    render: RenderSettings = dataclasses.field(default_factory=RenderSettings)
    stage1: Stage1 = dataclasses.field(default_factory=Stage1)
    stage2: Stage2 = dataclasses.field(default_factory=Stage2)
    full_rgb: FullRGB = dataclasses.field(default_factory=FullRGB)
    optimiser: Optimiser = dataclasses.field(default_factory=Optimiser)
    cache_every: int = 16
    mesh_resolution: int = 256

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, as a JSON file gives them back: lists for tuples."""
        plain: dict[str, Any] = json.loads(json_text(asdict(self)))
        return plain

    @classmethod
    def from_record(cls, record: Record) -> Profile:
        """Back from `to_dict`, out of a file.

        Raises:
            record.error: a field of the wrong type, or out of bounds.
        """
        return read_settings(cls, record)


def read_settings(kind: type[Settings], record: Record) -> Settings:
    """A dataclass of settings; each field must be of its default's type, none may be unknown."""
    plain: Any = kind()
    gone = GONE if kind is Stage2 else ()
    data = {RENAMED.get(k, k): v for k, v in record.data.items() if k not in gone}
    record = replace(record, data=data)
    record.only(f.name for f in dataclasses.fields(plain))
    try:
        return kind(**{key: _like(getattr(plain, key), record, key) for key in record.data})
    except ValueError as error:
        raise record.error(str(error), where=record.path, remedy=record.remedy) from error


def _like(default: Any, record: Record, key: str) -> Any:
    """A field of the type that `default` has."""
    if dataclasses.is_dataclass(default):
        return read_settings(type(default), record.record(key))
    if isinstance(default, bool):
        if not isinstance(record.get(key), bool):
            raise record.wrong(key, "true or false")
        return record.get(key)
    if isinstance(default, int):
        return record.whole(key, -1, 2**26)
    if isinstance(default, float):
        return record.number(key, -1e9, 1e9)
    if isinstance(default, str):
        return record.text(key, most=40)
    if isinstance(default[0], int):
        return tuple(record.wholes(key, 1, 2**16, most=32))
    return tuple(record.array(key, (len(default),), -1e9, 1e9).tolist())


def _profiles() -> dict[str, Profile]:
    cpu = Profile(  # the defaults of these settings, 1, are those of older files
        field=FieldSettings(degree=2), render=RenderSettings(supersampling=2, samples=2)
    )
    ci = replace(
        cpu,
        name="ci",
        field=replace(cpu.field, resolutions=(12, 24, 48)),
        render=RenderSettings(),
        stage1=replace(cpu.stage1, steps=60, rays=512, eikonal_points=256),
        stage2=replace(cpu.stage2, steps=80, patches=5, eikonal_points=256),
        full_rgb=replace(cpu.full_rgb, steps=140, rays=512, eikonal_points=256),
        mesh_resolution=96,
    )
    gpu = replace(
        cpu,
        name="gpu",
        stage1=replace(cpu.stage1, rays=4096, eikonal_points=4096),
        stage2=replace(cpu.stage2, patches=40, eikonal_points=4096),
        full_rgb=replace(cpu.full_rgb, rays=4096, eikonal_points=4096),
        mesh_resolution=320,
    )
    # for 256 pixels, from where a release of 64 led: normals are felt over half the width
    fine = replace(
        cpu,
        name="fine",
        render=replace(cpu.render, step=0.006),
        stage2=replace(cpu.stage2, steps=1600, patches=20, beta=(0.006, 0.0008)),
        full_rgb=replace(cpu.full_rgb, steps=3800, beta=(0.03, 0.0008)),
    )
    # The paper: VolSDF's network and sampler, learned beta from 0.1, 1024 rays a step, rate 5e-4;
    # an epoch is one step per view, so 1000 x 16 and 500 x 20 steps. No regulariser of ours.
    plain: dict[str, Any] = {"beta": (0.1, 0.1), "laplacian": 0.0, "mask": 0.0}
    paper = Profile(
        name="paper",
        field=FieldSettings(
            kind="mlp",
            width=256,
            depth=8,
            features=256,
            frequencies=6,
            sphere=0.6,
            colour_width=256,
            colour_depth=4,
            view_frequencies=4,
            learned_beta=True,
        ),
        render=RenderSettings(
            sampler="error-bounded", coverage="volume", normals="exact", min_weight=-1.0
        ),
        stage1=Stage1(steps=16000, **plain),
        stage2=Stage2(steps=10000, gradient=1.0, lipschitz=3e-6, **plain),
        full_rgb=FullRGB(steps=26000, rgb=1.0, **plain),
        optimiser=Optimiser(rate=5e-4, grid_rate=5e-4, betas=(0.9, 0.999)),
    )
    return {"ci": ci, "cpu": cpu, "fine": fine, "gpu": gpu, "paper": paper}


PROFILES = _profiles()


def get_profile(profile: str | Profile | None = None) -> Profile:
    """A profile by name; None takes PRIVHEAD_PROFILE, else "cpu".

    Raises:
        TrainingError: no such profile.
    """
    if isinstance(profile, Profile):
        return profile
    name = profile or os.environ.get("PRIVHEAD_PROFILE") or "cpu"
    where = "--profile or PRIVHEAD_PROFILE"
    check_choice("profile", name, PROFILES, where=where, error=TrainingError)
    return PROFILES[name]
