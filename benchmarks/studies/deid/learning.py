"""The training that the compared systems share; it goes on where it was interrupted.

And how what it made is written, for `privhead_nb.deid.stored` to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from privhead_nb.errors import LabError
from privhead_nb.files import write_tensors
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.faces import read_kept
from privhead_nb.lab.fit import fit, one_cycle
from privhead_nb.lab.recognisers.network import restore

KEEP_EVERY = 100
"""Steps after which progress is written."""
MOST = 4 * 2**20
"""Bytes of a system's file: 4 MiB."""

Turn = tuple[Tensor, Callable[[], Mapping[str, Tensor]]]
"""A step's loss, and what is done once it is taken: others' steps. Gives what the bar shows."""


@dataclass(frozen=True)
class Learning:
    """One training: steps, rows of each, Adam's highest rate, and the seed of all that is drawn."""

    steps: int
    batch: int
    rate: float
    seed: int = 0


def train(
    parts: Mapping[str, nn.Module],
    loss: Callable[[torch.Generator], Tensor],
    learning: Learning,
    path: Path,
    progress: bool = True,
) -> None:
    """Adam on one loss, with one rise and fall of the rate.

    Args:
        parts: learn, and are left in `eval`.
        loss: of a batch that it draws.
        learning: how long.
        path: of the progress, without an ending.
        progress: whether a bar is shown.
    """
    numbers = [p for part in parts.values() for p in part.parameters()]
    adam = torch.optim.Adam(numbers, learning.rate)

    def turn(_step: int, random: torch.Generator) -> Turn:
        return loss(random), dict

    train_in_turns(parts, {"adam": adam}, turn, learning, path, progress, momentum=True)


def train_in_turns(
    parts: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    turn: Callable[[int, torch.Generator], Turn],
    learning: Learning,
    path: Path,
    progress: bool = True,
    *,
    steady: Collection[str] = (),
    momentum: bool = False,
) -> None:
    """Several optimisers in turns, as a network and its discriminator need.

    Args:
        parts, learning, path, progress: as in `train`.
        optimisers: the first takes the steps of the loss that `turn` gives.
        turn: called with the step's number; the others' steps are in what it gives beside the loss.
        steady: optimisers whose rate stays as it is; that of the others rises and falls once.
        momentum: Adam's first beta falls and rises against the rate.
    """
    random = torch.Generator().manual_seed(learning.seed)
    file = path.with_suffix(".safetensors")
    done = resume(file, parts, optimisers, random)
    for part in parts.values():
        part.train()
    schedules = {
        name: one_cycle(optimiser, learning.steps, done, momentum=momentum)
        for name, optimiser in optimisers.items()
        if name not in steady
    }
    first = next(iter(optimisers))
    leading = schedules.pop(first)
    others: Callable[[], Mapping[str, Tensor]] = dict

    def loss(step: int) -> Tensor:
        nonlocal others
        off, others = turn(step, random)
        return off

    def after_step(step: int) -> Mapping[str, Tensor]:
        shown = others()
        for schedule in schedules.values():
            schedule.step()
        if (step + 1) % KEEP_EVERY == 0 or step + 1 == learning.steps:
            keep_progress(file, step + 1, parts, optimisers, random)
        return shown

    fit(
        optimisers[first], loss, learning.steps, start=done, desc=path.name, progress=progress,
        schedule=leading, after_step=after_step,
    )  # fmt: skip
    for part in parts.values():
        part.eval()


def fast() -> torch.autocast:
    """Half precision (bfloat16) where the processor has units for it; else nothing changes."""
    able = torch.backends.mkldnn.is_available() and torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=able)


def step_down(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step down a loss."""
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()


def keep_progress(
    path: Path,
    step: int,
    parts: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    random: torch.Generator,
) -> None:
    """Write all that `resume` needs: modules, Adam's moments, the generator's state, the step."""
    tensors: dict[str, Tensor] = {"step": torch.tensor(step), "random": random.get_state()}
    for name, module in parts.items():
        tensors |= {f"part.{name}.{k}": v.detach() for k, v in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for index, values in optimiser.state_dict()["state"].items():
            for key, value in values.items():
                tensors[f"optimiser.{name}.{index}.{key}"] = torch.as_tensor(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(path, {name: value.contiguous().clone() for name, value in tensors.items()}, {})


def resume(
    path: Path,
    parts: Mapping[str, nn.Module],
    optimisers: Mapping[str, torch.optim.Optimizer],
    random: torch.Generator,
) -> int:
    """Go on from `keep_progress`; the steps that are done, 0 where no file is.

    Raises:
        LabError: the file is damaged or another training's.
    """
    if not path.is_file():
        return 0
    again = f"Delete {path.name} to start again."
    tensors = read_kept(path, ("step", "random"), again)
    for name, module in parts.items():
        start = f"part.{name}."
        own = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        restore(module, own, path, again)
    for name, optimiser in optimisers.items():
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(f"optimiser.{name}."):
                _, _, index, entry = key.split(".")
                state.setdefault(int(index), {})[entry] = value
        full = optimiser.state_dict()
        full["state"] = state
        optimiser.load_state_dict(full)
    random.set_state(tensors["random"])
    return int(tensors["step"])


def save_parts(path: Path, parts: Mapping[str, nn.Module], facts: Mapping[str, Any]) -> None:
    """Write modules as half floats, with `facts` of their training in the header.

    Raises:
        LabError: the file would be larger than MOST.
    """
    tensors = {
        f"{name}.{key}": value.detach().half() if value.is_floating_point() else value.detach()
        for name, module in parts.items()
        for key, value in module.state_dict().items()
    }
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    if size > MOST:
        raise LabError(f"{size} bytes of weights, more than {MOST}", where=path)
    path.parent.mkdir(parents=True, exist_ok=True)
    said = json.dumps({"generator": GENERATOR_VERSION, **facts})
    write_tensors(path, tensors, {"facts": said})
