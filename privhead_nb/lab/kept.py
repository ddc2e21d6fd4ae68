"""Tensors that the lab keeps on disk between calls: read back whole, or refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from privhead_nb.errors import LabError
from privhead_nb.reading import read_tensors

AGAIN = "Delete its folder; it is made again."


def read_kept(path: Path, names: Iterable[str] = (), remedy: str = AGAIN) -> dict[str, Tensor]:
    """The tensors of a kept file, `names` among them.

    Raises:
        LabError: missing, damaged, or without one of `names`.
    """
    tensors, _ = read_tensors(path, error=LabError, remedy=remedy)
    for name in names:
        if name not in tensors:
            raise LabError(f"lacks {name}", where=path, remedy=remedy)
    return tensors


def restore(
    network: nn.Module, tensors: Mapping[str, Tensor], path: Path, remedy: str = AGAIN
) -> None:
    """Give a network the numbers of the file at `path`.

    Raises:
        LabError: they are another network's.
    """
    try:
        nn.Module.load_state_dict(network, dict(tensors))
    except RuntimeError as error:
        raise LabError("holds another network's numbers", where=path, remedy=remedy) from error
