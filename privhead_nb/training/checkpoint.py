"""Checkpoints: safetensors for numbers, JSON for words, never pickle, written aside first."""

from __future__ import annotations

import hashlib
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from privhead_nb.errors import TrainingError
from privhead_nb.files import json_text, write_tensors
from privhead_nb.reading import Record, is_number, parse_json, read_tensors
from privhead_nb.training.profiles import Profile

FORMAT = 3
NAME = "checkpoint.safetensors"
STAGES = ("stage1", "stage2", "full_rgb")
_AGAIN = "Remove it and start again without --resume."

History = dict[str, dict[str, list[float]]]


@dataclass
class Progress:
    """Where a training run stands.

    Attributes:
        stage: name of the stage that runs next or goes on.
        step: steps of it that are done.
        tensors: model, optimiser, cache and generator state.
        history, seconds: of all stages so far.
        identity: settings, seed and the fingerprint of the data.
        files: SHA-256 of the meshes that the run has written, by name.
    """

    stage: str
    step: int
    tensors: dict[str, Tensor]
    history: History
    seconds: dict[str, float]
    identity: dict[str, Any]
    files: dict[str, str]


def fingerprint(*tensors: Tensor) -> str:
    """SHA-256 of numbers, so that a run is resumed on the data it began with."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(str(tuple(tensor.shape)).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as named tensors."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{index}.{key}": torch.as_tensor(value)
        for index, values in state.items()
        for key, value in values.items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], where: Path
) -> None:
    """Put `optimiser_tensors` back; TrainingError where they aren't those of this optimiser."""
    found = {name: value for name, value in tensors.items() if name.startswith("optimiser.")}
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    wanted = {
        f"optimiser.{index}.{key}": torch.empty(() if key == "step" else parameter.shape)
        for index, parameter in enumerate(parameters)
        if any(name.startswith(f"optimiser.{index}.") for name in found)  # it had a gradient
        for key in ("step", "exp_avg", "exp_avg_sq")
    }
    check_tensors(found, wanted, where)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in found.items():
        _, index, key = name.split(".")
        state.setdefault(int(index), {})[key] = value
    full = optimiser.state_dict()
    full["state"] = state
    optimiser.load_state_dict(full)


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The model's state as named tensors."""
    return {f"model.{name}": value for name, value in model.state_dict().items()}


def restore_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put `model_tensors` back, which `check_tensors` has passed."""
    start = len("model.")
    model.load_state_dict({n[start:]: t for n, t in tensors.items() if n.startswith("model.")})


def check_tensors(
    found: dict[str, Tensor], wanted: dict[str, Tensor], where: Path, remedy: str = _AGAIN
) -> None:
    """Raise TrainingError unless names, shapes and number types are those of `wanted`."""
    for name in sorted(found.keys() ^ wanted.keys()):
        verb = "has the unknown" if name in found else "lacks the"
        raise TrainingError(f"{verb} numbers {name!r}", where=where, remedy=remedy)
    for name, tensor in found.items():
        same = wanted[name]
        if tensor.shape != same.shape or tensor.dtype != same.dtype:
            raise TrainingError(
                f"{name} is {tensor.dtype} {tuple(tensor.shape)}, not {same.dtype} "
                f"{tuple(same.shape)}",
                where=where,
                remedy=remedy,
            )


def check_there(folder: Path, names: tuple[str, ...], remedy: str) -> None:
    """Raise TrainingError unless a folder has these files."""
    for name in names:
        if not os.path.isfile(folder / name):  # noqa: PTH113 - Path.is_file raises if too long
            raise TrainingError(f"there is no {name}", where=folder, remedy=remedy)


def write_checkpoint(folder: Path, progress: Progress) -> None:
    """Write one file that holds it all; the previous one stays until the new one is whole.

    Raises:
        OutputError: the disk says no; the previous checkpoint is as it was.
    """
    said = {name: value for name, value in vars(progress).items() if name != "tensors"}
    text = json_text({"format": FORMAT, **said})
    words = {"privhead": text, "sha256": _digest(text, progress.tensors)}
    write_tensors(folder / NAME, progress.tensors, words)


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    names = sorted(tensors)
    types = " ".join(f"{name} {tensors[name].dtype}" for name in names)
    whole = fingerprint(*(tensors[name] for name in names))
    return hashlib.sha256(f"{text} {types} {whole}".encode()).hexdigest()


def check_same_run(what: str, found: dict[str, Any], wanted: dict[str, Any], where: Path) -> None:
    """Raises TrainingError unless all that is wanted is found: seed, profile, data, template ..."""
    for name, value in wanted.items():
        if found.get(name) == value:
            continue
        if name == "data" and " " not in str(found.get(name)):
            raise TrainingError(
                f"{what} to an older version, which marked its data in another way",
                where=where,
                remedy="Pass --overwrite to make it again, or name another folder.",
            )
        verb = "differs" if name in ("seed", "profile", "template", "linear_light") else "differ"
        raise TrainingError(
            f"{what} to another run: the {name} {verb}",
            where=where,
            remedy="Use the same input, profile and seed, pass --overwrite, or name another.",
        )


def read_checkpoint(folder: Path, identity: dict[str, Any]) -> Progress | None:
    """The checkpoint in `folder`, or None where there is none.

    Args:
        identity: what must be the same in the run that wrote it.

    Raises:
        TrainingError: it is broken, of another format, or of another run.
    """
    path = folder / NAME
    if not path.exists():
        return None
    tensors, said = read_tensors(path, error=TrainingError, remedy=_AGAIN)
    text = said.get("privhead", "")
    words = parse_json(text, path, error=TrainingError, remedy=_AGAIN)
    if words.whole("format") != FORMAT:
        raise TrainingError(
            f"the checkpoint has format {words.whole('format')}, this version reads {FORMAT}",
            where=path,
            remedy="Go on with the version that wrote it, or start again without --resume.",
        )
    if said.get("sha256") != _digest(text, tensors):
        raise TrainingError("is damaged: its checksum differs", where=path, remedy=_AGAIN)
    theirs = words.record("identity")
    settings = Profile.from_record(theirs.record("settings")).to_dict()  # under today's names
    found = theirs.data | {"settings": settings}
    check_same_run("the checkpoint belongs", found, identity, path)
    files = words.record("files")
    return Progress(
        stage=words.text("stage", STAGES),
        step=words.whole("step", high=10**9),
        tensors=tensors,
        history=read_history(words.record("history")),
        seconds=read_seconds(words.record("seconds")),
        identity=identity,
        files={name: files.text(name) for name in files.data},
    )


def read_history(record: Record) -> History:
    """Lists of step numbers and loss terms by stage; null stands for a loss that was no number."""
    found: History = {}
    for stage in record.data:
        terms = record.record(stage)
        steps: list[float] = [*terms.wholes("step", most=10**7)]
        found[stage] = {"step": steps}
        for name in terms.data:
            if name == "step":
                continue
            values = terms.get(name)
            if not isinstance(values, list) or not all(v is None or is_number(v) for v in values):
                raise terms.wrong(name, "a list of numbers")
            found[stage][name] = [math.nan if v is None else v for v in values]
    return found


def read_seconds(record: Record) -> dict[str, float]:
    """Seconds of training by stage."""
    return {name: record.number(name, 0.0, 1e9) for name in record.data}
