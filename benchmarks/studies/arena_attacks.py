"""The attackers of the arena (`studies/arena.py`): all defences stand before the same ones.

picture-only   recognisers that know pictures and no defence: the lab's four, and dlib's; the
               gallery is original
informed       the lab's network and its two classical projections, trained on that defence's
               outputs, and told the codes of its people's heads; the gallery is original, or
               de-identified by the attacker, whichever names more
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies import dlib_recogniser
from privhead_nb.deid import Deidentifier
from privhead_nb.lab.attacks.probe import fused, in_batches
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.protocol import compare, identification, verification
from privhead_nb.lab.recognisers import Recogniser, head_crop, is_template
from privhead_nb.lab.recognisers.learn import WITH_CODES, train_network, train_projection
from privhead_nb.lab.recognisers.stored import network_in, shipped
from privhead_nb.resources import WEIGHTS

Embed = Callable[[Tensor], Tensor]
CLEAN = "arcface_cnn"
"""The recogniser from which the informed attacker's network goes on."""


@dataclass(frozen=True, eq=False)
class Sides:
    """What is compared: pictures that were released, and those of known people."""

    probes: Tensor  # (P, 64, 64, 3) released
    probe: Tensor  # (P,) whose they are
    gallery: Tensor  # (G, 64, 64, 3) known people from the front, as photographed
    changed: Tensor  # (G, 64, 64, 3) the same, de-identified by the attacker
    known: Tensor  # (G,) who they are


def changed_views(
    system: Deidentifier | None, data: FaceDataset, strength: float, seed: int
) -> Tensor:
    """What a defence makes of a data set's pictures, (N, 64, 64, 3); as they are for None.

    Pictures are given in sets that hold one of each person, as k-Same asks for.
    """
    rgb = data.rgb()
    if system is None:
        return rgb
    random = torch.Generator().manual_seed(seed)
    out, place = torch.empty_like(rgb), _places(data.identity)
    for number in range(int(place.max()) + 1):
        rows = (place == number).nonzero()[:, 0]
        out[rows] = system(rgb[rows], strength, random)
    return out


def _places(identity: Tensor) -> Tensor:
    """(N,) how many pictures of the same person come before."""
    seen: dict[int, int] = {}
    out = []
    for who in identity.tolist():
        out.append(seen.get(who, 0))
        seen[who] = out[-1] + 1
    return torch.tensor(out)


def rates(probe_vectors: Tensor, known_vectors: Tensor, sides: Sides) -> dict[str, Any]:
    """Rank-1 and misses at an FMR of 0.1 % of single pictures; rank-1 of all a person's together.

    Each [value, low, high], or {"why": ...}; undetected faces count as not named.
    """
    found = is_template(probe_vectors)
    kept = is_template(known_vectors)
    single = compare(
        torch.nan_to_num(probe_vectors), sides.probe, known_vectors[kept], sides.known[kept],
        found.numpy(),
    )  # fmt: skip
    named, pairs = identification(single, ranks=(1,)), verification(single, fars=(1e-3,))
    who = torch.unique(sides.probe)
    together = [
        fused(rows) if len(rows := probe_vectors[(sides.probe == i) & found]) else
        torch.zeros(probe_vectors.shape[1])
        for i in who
    ]  # fmt: skip
    whole = torch.stack(together)
    eight = compare(whole, who, known_vectors[kept], sides.known[kept], is_template(whole).numpy())
    return {
        "one": named.rank[1].stored(),
        "fnmr": pairs.fnmr_at_fmr[1e-3].stored(),
        "eight": identification(eight, ranks=(1,)).rank[1].stored(),
        "no_template": round(1 - float(found.float().mean()), 4),
    }


def picture_only(sides: Sides) -> dict[str, Any]:
    """Recognisers that know pictures, and nothing of any defence."""
    everyone: list[Recogniser] = list(shipped())
    if dlib_recogniser.available():
        everyone.append(dlib_recogniser.dlib(detector="skip"))
    out = {}
    for one in everyone:
        known, probes = one.embed(sides.gallery)[0], one.embed(sides.probes)[0]
        out[one.name] = rates(probes, known, sides)
    return out


def informed(sides: Sides, learn: FaceDataset, changed: Tensor, epochs: int) -> dict[str, Any]:
    """Attackers who have the defence, other people's pictures and their codes.

    Args:
        learn: the attacker's people, as photographed.
        changed: the same, de-identified.
        epochs: of the network.
    """
    both = _both(learn, changed)
    start = network_in(WEIGHTS / f"{CLEAN}.safetensors")
    network = train_network(both, replace(WITH_CODES, epochs=epochs), start=start)
    once = replace(both, pictures=both.pictures[:, :1])  # all of VARIANTS are the same here
    kinds = [train_projection(once, kind) for kind in ("hog", "pixels")]

    def of_network(x: Tensor) -> Tensor:
        return network(head_crop(x))

    def classical(x: Tensor) -> Tensor:
        return torch.cat([F.normalize(kind(x).float(), dim=1) for kind in kinds], 1)

    ways: Mapping[str, Embed] = {"network": of_network, "HOG and pixels": classical}
    out = {}
    for name, embed in ways.items():
        with torch.no_grad():
            probes = in_batches(embed, sides.probes)
            for side, pictures in (("original", sides.gallery), ("changed", sides.changed)):
                known = in_batches(embed, pictures)
                out[f"informed {name}, gallery {side}"] = rates(probes, known, sides)
    return out


def _both(learn: FaceDataset, changed: Tensor) -> FaceDataset:
    """The attacker's pictures with and without the defence, under one name each."""
    as_bytes = changed.mul(255).round().byte()
    hidden = FaceDataset.of_pictures(learn.identity, learn.role, as_bytes)
    plain = FaceDataset.of_pictures(learn.identity, learn.role, learn.pictures[:, 0])
    return FaceDataset.join([hidden, plain])
