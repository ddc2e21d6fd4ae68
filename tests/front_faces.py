"""Stored portraits from the front: what attacks learn from and are tried on, in seconds."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from safetensors.torch import load_file

from privhead_nb.lab.attacks import Attack
from privhead_nb.lab.attacks.probe import in_batches
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.framing import resized
from privhead_nb.lab.protocol import Identification, compare, identification
from privhead_nb.resources import RESULTS

FACES = RESULTS / "faces.safetensors"


def front_faces(people: Iterable[int]) -> FaceDataset:
    """Made heads from the front, in two lights: the second light plays the gallery."""
    front = load_file(FACES)["front"][list(people)]  # (P, 2, 64, 64, 3)
    who, lights = torch.tensor(list(people)), front.shape[1]
    return FaceDataset.of_pictures(
        who.repeat_interleave(lights), torch.tensor([1, 0]).repeat(len(who)), front.flatten(0, 1)
    )


def ranks(attack: Attack, tested: FaceDataset, *, shuffled: bool = False) -> Identification:
    """Who is found in one light among the others' pictures, protected as the attack expects."""
    random = torch.Generator().manual_seed(3)
    probes, gallery = tested.views(), tested.frontals()
    seen = resized(probes.rgb(), attack.size)
    if attack.operator is not None:
        seen = attack.operator.protect(seen, random)
    names = gallery.identity
    if shuffled:
        names = names[torch.randperm(len(names), generator=random)]
    enrolled = in_batches(attack.enrol, gallery.rgb())
    scores = compare(in_batches(attack.probe, seen), probes.identity, enrolled, names)
    return identification(scores, resamples=200)
