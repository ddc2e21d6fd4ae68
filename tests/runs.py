"""Short training runs on the small ball, and ways to disturb them."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from privhead_nb.errors import TrainingError
from privhead_nb.reading import Record
from privhead_nb.training import run as run_module
from privhead_nb.training.profiles import PROFILES

_CI = PROFILES["ci"]
TINY = replace(
    _CI,
    field=replace(_CI.field, resolutions=(8, 16)),
    render=replace(_CI.render, cache=32, march=32),
    stage1=replace(_CI.stage1, steps=24, rays=128, eikonal_points=64),
    stage2=replace(_CI.stage2, steps=24, patches=2, eikonal_points=64),
    full_rgb=replace(_CI.full_rgb, steps=24, rays=128, eikonal_points=64),
    mesh_resolution=48,
)
SHORT = replace(
    TINY,
    stage1=replace(TINY.stage1, steps=6),
    stage2=replace(TINY.stage2, steps=6),
    full_rgb=replace(TINY.full_rgb, steps=6),
    mesh_resolution=24,
)


def weights(result: Any) -> torch.Tensor:
    """All numbers of a reconstruction's model."""
    return torch.cat([v.reshape(-1).double() for v in result.model.state_dict().values()])


def as_read(data: Any) -> Record:
    """As it comes out of a JSON file."""
    return Record(json.loads(json.dumps(data)), Path("x.json"), TrainingError)


def at_render(patch: pytest.MonkeyPatch, strike: Callable[[int, Any], Any]) -> None:
    """Let `strike` see, and replace, what each step's rendering returns; steps count from 1."""
    render, count = run_module.Run.render, 0

    def struck(self: Any, *args: Any) -> Any:
        nonlocal count
        count += 1
        return strike(count, render(self, *args))

    patch.setattr(run_module.Run, "render", struck)


def stop_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Ctrl-C in a step, counted over both stages."""

    def interrupt(number: int, shown: Any) -> Any:
        if number == step:
            signal.raise_signal(signal.SIGINT)
        return shown

    at_render(patch, interrupt)


def poison(patch: pytest.MonkeyPatch, when: Callable[[int], bool]) -> None:
    """Colours that are no numbers in some steps."""

    def spoil(number: int, shown: Any) -> Any:
        bad = dataclasses.replace(shown, colour=shown.colour * float("nan"))
        return bad if when(number) else shown

    at_render(patch, spoil)
