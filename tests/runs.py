"""Short training runs on the small ball, and ways to disturb them."""

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
from privhead_nb.training.profiles import PROFILES, Profile


def shortened(profile: Profile, steps: int, mesh: int) -> Profile:
    """A profile with so many steps in each stage, few rays and a small cache and mesh."""
    few: dict[str, Any] = {"steps": steps, "eikonal_points": 64}
    return replace(
        profile,
        render=replace(profile.render, cache=32, march=32),
        stage1=replace(profile.stage1, rays=128, **few),
        stage2=replace(profile.stage2, patches=2, **few),
        full_rgb=replace(profile.full_rgb, rays=128, **few),
        mesh_resolution=mesh,
    )


_CI = PROFILES["ci"]
_SMALL = replace(_CI, field=replace(_CI.field, resolutions=(8, 16)))
TINY = shortened(_SMALL, steps=24, mesh=48)
SHORT = shortened(_SMALL, steps=6, mesh=24)


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


def stopped_run(step: int, train: Callable[[], Any]) -> None:
    """Train, and press Ctrl-C in a step, counted over both stages."""

    def interrupt(number: int, shown: Any) -> Any:
        if number == step:
            signal.raise_signal(signal.SIGINT)
        return shown

    with pytest.MonkeyPatch.context() as patch:
        at_render(patch, interrupt)
        with pytest.raises(KeyboardInterrupt):
            train()


def poison(patch: pytest.MonkeyPatch, when: Callable[[int], bool]) -> None:
    """Colours that are no numbers in some steps."""

    def spoil(number: int, shown: Any) -> Any:
        bad = dataclasses.replace(shown, colour=shown.colour * float("nan"))
        return bad if when(number) else shown

    at_render(patch, spoil)


def fill_disk(patch: pytest.MonkeyPatch, when: Callable[[int, Path], bool]) -> None:
    """Writes fail half-way where `when`, given their number (from 1) and path, says so."""
    write, count = Path.write_bytes, 0

    def full(self: Path, data: bytes) -> int:
        nonlocal count
        count += 1
        if when(count, self):
            write(self, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return write(self, data)

    patch.setattr(Path, "write_bytes", full)
