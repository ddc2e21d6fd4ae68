"""The four recognisers that the package ships, and how their weights are kept.

    python benchmarks/studies/recogniser.py      trains all four and measures them

Weights are half floats in `lab/weights/NAME.safetensors`, with what they were trained on in the
file's header. They learned from people of the group "recogniser" and nobody else.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.files import write_tensors
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.kept import restore
from privhead_nb.lab.recognisers import Recogniser, head_crop
from privhead_nb.lab.recognisers.learn import Projection
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.reading import Record, parse_json, read_tensors
from privhead_nb.resources import WEIGHTS

MUCH_OF, LITTLE_OF = 400, 1200  # people that they learned from
NAMES = ("arcface_cnn", "triplet_cnn", "hog_lda", "pca_lda")


@cache
def recogniser(name: str) -> Recogniser:
    """One of NAMES, ready to use.

    Raises:
        LabError: no such recogniser, or its weights are missing or of another generator.
    """
    if name not in NAMES:
        raise LabError(
            f"there is no recogniser {name!r}",
            where="recognisers",
            remedy=f"Shipped: {', '.join(NAMES)}. Others come in through lab/recognisers/adapters.",
        )
    return load(WEIGHTS / f"{name}.safetensors")


def shipped() -> tuple[Recogniser, ...]:
    """All four."""
    return tuple(recogniser(name) for name in NAMES)


def learning_faces(
    much_of: int = MUCH_OF,
    little_of: int = LITTLE_OF,
    *,
    workers: int | None = None,
    progress: bool = False,
) -> faces.FaceDataset:
    """Portraits of the group "recogniser": 12 of each of `much_of`, then 6 of each other."""
    everyone = faces.people("recogniser", much_of + little_of)
    much, little = (
        faces.face_dataset(
            some, plan, folder=faces.cache_folder(), workers=workers, progress=progress
        )
        for some, plan in ((everyone[:much_of], faces.LEARNING), (everyone[much_of:], faces.MANY))
    )
    return faces.FaceDataset.join([much.views(), little])


def of_network(name: str, network: FaceNetwork, note: str = "") -> Recogniser:
    """A recogniser of a trained network."""
    network.eval()

    def embed(pictures: Tensor) -> Tensor:
        return torch.cat([network(head_crop(part)) for part in pictures.split(256)])

    return Recogniser(name, embed, note)


def save(name: str, model: FaceNetwork | Projection, facts: dict[str, Any], path: Path) -> None:
    """Weights as half floats, facts in the header."""
    if isinstance(model, Projection):
        tensors = {"mean": model.mean.float(), "matrix": model.matrix.half()}
        facts = facts | {"kind": model.kind}
    else:
        tensors = {
            k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()
        }
        facts = facts | {"kind": "network"}
    facts = {"name": name, "generator": GENERATOR_VERSION, **facts}
    write_tensors(path, tensors, {"facts": json.dumps(facts)})


def load(path: Path) -> Recogniser:
    """The recogniser of a file that `save` wrote.

    Raises:
        LabError: no such file, not one of ours, or of another head generator.
    """
    remedy = "Make it again: python benchmarks/studies/recogniser.py"
    tensors, said = read_tensors(path, error=LabError, remedy=remedy)
    words = parse_json(said.get("facts", ""), path, error=LabError, remedy=remedy)
    facts = Record(words, path, LabError, remedy)
    if facts.get("generator") != GENERATOR_VERSION:
        raise LabError(
            f"field generator is {facts.get('generator')}, this package's is {GENERATOR_VERSION}",
            where=path,
            remedy=remedy,
        )
    name, kind = facts.text("name"), facts.text("kind", ("network", "hog", "pixels"))
    note = facts.text("note") if "note" in facts else ""
    wanted = {"stem.weight"} if kind == "network" else {"mean", "matrix"}
    if not wanted <= tensors.keys():
        raise LabError(f"lacks {min(wanted - tensors.keys())}", where=path, remedy=remedy)
    if kind != "network":
        return Recogniser(name, Projection(kind, tensors["mean"], tensors["matrix"]), note)
    network = FaceNetwork(tensors["stem.weight"].shape[1])
    restore(network, {k: v.to(_dtype(v)) for k, v in tensors.items()}, path, remedy)
    return of_network(name, network, note)


def _dtype(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.is_floating_point() else tensor.dtype
