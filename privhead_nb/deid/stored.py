"""The weights of the compared systems: half floats in `deid/weights/NAME.safetensors`.

Numbers of a module `part` are called `part.…`; what they learned from stands in the header.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from privhead_nb.errors import LabError
from privhead_nb.files import write_tensors
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.recognisers.network import restore
from privhead_nb.lab.recognisers.stored import read_weights
from privhead_nb.reading import Record
from privhead_nb.resources import DEID_WEIGHTS

MOST = 4 * 2**20
"""Bytes of a system's file: 4 MiB."""


def path_of(name: str) -> Path:
    """The file of a system's weights."""
    return DEID_WEIGHTS / f"{name}.safetensors"


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


def load_parts(path: Path, parts: Mapping[str, nn.Module], command: str) -> Record:
    """Give modules the numbers of a file, leave them in `eval` without gradients; its facts.

    Args:
        command: what makes the file again.

    Raises:
        LabError: missing, damaged, of another generator, or another network's.
    """
    remedy = f"Make it again: {command}"
    tensors, facts = read_weights(path, remedy)
    whole = {name: value.float() if value.is_floating_point() else value
             for name, value in tensors.items()}  # fmt: skip
    for name, module in parts.items():
        own: dict[str, Tensor] = {
            key.removeprefix(f"{name}."): value
            for key, value in whole.items()
            if key.startswith(f"{name}.")
        }
        restore(module, own, path, remedy)
        module.eval().requires_grad_(False)
    return facts
