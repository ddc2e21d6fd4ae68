"""The four recognisers that the package ships, and how their weights are kept.

`python benchmarks/studies/recogniser.py` makes `lab/weights/NAME.safetensors`: half floats, with
what they were trained on, people of the group "recogniser", in the header.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from privhead_nb.errors import LabError, check_choice
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.faces import read_kept
from privhead_nb.lab.recognisers import Recogniser, head_crop
from privhead_nb.lab.recognisers.learn import Projection
from privhead_nb.lab.recognisers.network import AGAIN, FaceNetwork, restore
from privhead_nb.reading import Record, parse_json, read_tensors
from privhead_nb.resources import WEIGHTS

NAMES = ("arcface_cnn", "triplet_cnn", "hog_lda", "pca_lda")


@cache
def recogniser(name: str) -> Recogniser:
    """One of NAMES, ready to use.

    Raises:
        LabError: no such recogniser, or its weights are missing or of another generator.
    """
    check_choice("recogniser", name, NAMES, where="recognisers", error=LabError)
    return load(WEIGHTS / f"{name}.safetensors")


def shipped() -> tuple[Recogniser, ...]:
    """All four."""
    return tuple(recogniser(name) for name in NAMES)


def of_network(name: str, network: FaceNetwork, note: str = "") -> Recogniser:
    """A recogniser of a trained network."""
    network.eval()

    def embed(pictures: Tensor) -> Tensor:
        return torch.cat([network(head_crop(part)) for part in pictures.split(256)])

    return Recogniser(name, embed, note)


def load(path: Path) -> Recogniser:
    """The recogniser of a file that `benchmarks/studies/recogniser.py` wrote.

    Raises:
        LabError: no such file, not one of ours, or of another head generator.
    """
    remedy = "Make it again: python benchmarks/studies/recogniser.py"
    tensors, facts = read_weights(path, remedy)
    name, kind = facts.text("name"), facts.text("kind", ("network", "hog", "pixels"))
    note = facts.text("note") if "note" in facts else ""
    if kind == "network":
        return of_network(name, network_in(path, remedy), note)
    if not {"mean", "matrix"} <= tensors.keys():
        raise LabError("lacks mean or matrix", where=path, remedy=remedy)
    return Recogniser(name, Projection(kind, tensors["mean"], tensors["matrix"]), note)


def read_weights(path: Path, remedy: str) -> tuple[dict[str, Tensor], Record]:
    """The tensors of a shipped file, and the facts in its header.

    Raises:
        LabError: no such file, damaged, or of another head generator.
    """
    tensors, said = read_tensors(path, error=LabError, remedy=remedy)
    facts = parse_json(said.get("facts", ""), path, error=LabError, remedy=remedy)
    if facts.get("generator") != GENERATOR_VERSION:
        raise LabError(
            f"field generator is {facts.get('generator')}, this package's is {GENERATOR_VERSION}",
            where=path,
            remedy=remedy,
        )
    return tensors, facts


def network_in(path: Path, remedy: str = AGAIN) -> FaceNetwork:
    """The network whose numbers a file holds, in `eval`.

    Raises:
        LabError: missing, damaged, or of something else.
    """
    return network_of(read_kept(path, ["stem.weight"], remedy), path, remedy)


def network_of(tensors: Mapping[str, Tensor], path: Path, remedy: str = AGAIN) -> FaceNetwork:
    """The network of the numbers that the file at `path` holds, in `eval`.

    Raises:
        LabError: they are of something else.
    """
    if "stem.weight" not in tensors:
        raise LabError("lacks stem.weight", where=path, remedy=remedy)
    network = FaceNetwork(tensors["stem.weight"].shape[1])
    restore(network, tensors, path, remedy)
    return network.eval()
