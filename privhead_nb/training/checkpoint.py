"""Checkpoints: safetensors for numbers, JSON for words, never pickle, written aside first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from privhead_nb.errors import TrainingError
from privhead_nb.files import atomic_file

FORMAT = 1
NAME = "checkpoint.safetensors"


@dataclass
class Progress:
    """Where a training run stands.

    Attributes:
        stage: name of the stage that runs next or goes on.
        step: steps of it that are done.
        tensors: model, optimiser, cache and generator state.
        facts: history, seconds, settings and the fingerprint of the data.
    """

    stage: str
    step: int
    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def fingerprint(*tensors: Tensor) -> str:
    """SHA-256 of released numbers, so that a run is resumed on the data it began with."""
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


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put `optimiser_tensors` back."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimiser."):
            _, index, key = name.split(".", 2)
            state.setdefault(int(index), {})[key] = tensor
    full = optimiser.state_dict()
    full["state"] = state
    optimiser.load_state_dict(full)


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The model's state as named tensors."""
    return {f"model.{name}": value for name, value in model.state_dict().items()}


def restore_model(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Put `model_tensors` back."""
    start = len("model.")
    model.load_state_dict({n[start:]: t for n, t in tensors.items() if n.startswith("model.")})


def write_checkpoint(folder: Path, progress: Progress) -> None:
    """Write one file that holds it all; the previous one stays until the new one is whole.

    Raises:
        OutputError: the disk says no; the previous checkpoint is as it was.
    """
    words = {"format": FORMAT, "stage": progress.stage, "step": progress.step} | progress.facts
    tensors = {name: t.detach().cpu().contiguous() for name, t in progress.tensors.items()}
    with atomic_file(folder / NAME) as aside:
        try:
            save_file(tensors, aside, metadata={"privhead": json.dumps(words)})
        except SafetensorError as error:  # the library wraps the operating system's error
            raise OSError(28 if "space" in str(error).lower() else 5, str(error)) from error


def check_same_run(what: str, found: dict[str, Any], wanted: dict[str, Any], where: Path) -> None:
    """Raises TrainingError unless all that is wanted is found: seed, profile, data, template ..."""
    for name, value in wanted.items():
        if found.get(name) != value:
            verb = "differs" if name in ("seed", "profile", "template") else "differ"
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
    if not path.is_file():
        return None
    try:
        tensors = load_file(path)
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            words = json.loads(json.loads(file.read(length))["__metadata__"]["privhead"])
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise TrainingError(
            f"the checkpoint can't be read ({error})",
            where=path,
            remedy="Remove it and start again without --resume.",
        ) from error
    if words.get("format") != FORMAT:
        raise TrainingError(
            f"the checkpoint has format {words.get('format')}, this version reads {FORMAT}",
            where=path,
            remedy="Go on with the version that wrote it, or start again without --resume.",
        )
    check_same_run("the checkpoint belongs", words.get("identity") or {}, identity, path)
    stage, step = words.pop("stage"), words.pop("step")
    return Progress(stage, step, tensors, words)
