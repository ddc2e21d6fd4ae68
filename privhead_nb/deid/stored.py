"""The weights of the compared systems: half floats in `deid/weights/NAME.safetensors`.

Numbers of a module `part` are called `part.…`; what they learned from stands in the header.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from privhead_nb.lab.recognisers.network import restore
from privhead_nb.lab.recognisers.stored import read_weights
from privhead_nb.reading import Record
from privhead_nb.resources import DEID_WEIGHTS


def path_of(name: str) -> Path:
    """The file of a system's weights."""
    return DEID_WEIGHTS / f"{name}.safetensors"


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
