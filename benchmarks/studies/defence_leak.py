"""What a candidate of `studies/defence.py` gives away: attackers taught anew on it.

The quick attacker is the classical parrot (HOG and pixels, PCA, LDA), channel by channel. The
strong one is the lab's network that is told the codes of its people's heads (the informed parrot).
The leak beyond shape is measured by `studies/beyond_shape.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies.colour_reader import learn_reader
from benchmarks.studies.defence_candidates import SOBEL, Candidate
from benchmarks.studies.twin_attack import Study, attacker, learned_from, trained, victims
from benchmarks.studies.twin_scores import (
    Likelihood,
    Vectors,
    colours_from,
    error_removed,
    first_of_each,
)
from benchmarks.studies.twin_scores import named as named_twins
from benchmarks.studies.twins import FRONTAL, TESTED, VIEW, Twins
from privhead_nb.lab.attacks.probe import fused, in_batches
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.protocol import Rate, compare, identification
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.learn import (
    WITH_CODES,
    Protect,
    features,
    telling_apart,
    train_network,
)

DRAWS = 4  # protected copies of a gallery picture, where anything is drawn
SEEN = 0.12  # mean of what a network sees, about that of the lab's own (a quarter of the peak is 1)


def as_seen(candidate: Candidate, pictures: Tensor) -> Protect:
    """What a candidate releases, in units in which these pictures (N, H, H, 3) have mean SEEN."""
    scale = candidate.release(pictures, torch.Generator().manual_seed(0)).abs().mean()
    unit = SEEN / float(scale.clamp_min(1e-6))
    return lambda x, random: candidate.release(x, random) * unit


def beyond_quickly(candidate: Candidate, study: Study, steps: int) -> dict[str, Any]:
    """The main figures of `beyond_shape`, by fewer steps: a network that knows the default goes on.

    The default itself gets the same further steps; where two channels are released, the network
    begins from nothing.
    """
    everyone, space, coordinates = attacker(study)
    seen = everyone.role == VIEW
    learn, held = (seen & rows for rows in (learned_from(everyone, study),
                                            ~learned_from(everyone, study)))  # fmt: skip
    start = trained(SOBEL, 64, study).network if candidate.channels == 1 else None
    learning = replace(study.reader, steps=steps)
    reader = learn_reader(
        everyone.only(learn), candidate.release, coordinates[learn], learning, start=start
    )
    random = torch.Generator().manual_seed(study.reader.seed + 1)
    tested = victims("evaluation", study)
    draws = DRAWS if candidate.spoil is not None else 1

    def vectors(data: Twins, copies: int = 1) -> Vectors:
        looked = [reader.embed(data.rgb(), random) for _ in range(copies)]
        return Vectors(torch.stack(looked).mean(0), data.identity, data.shape)

    known = vectors(everyone.only(held))
    probes = vectors(tested.only(tested.role == VIEW))
    gallery = vectors(tested.only(tested.role == FRONTAL), draws).each()
    likelihood = Likelihood.learned(known)
    guess = colours_from(known, coordinates[held][first_of_each(known.identity)])
    codes = tested.albedo[tested.role == VIEW][first_of_each(probes.identity)]
    mean = probes.each()
    shuffled = named_twins(probes, gallery, likelihood, shuffled=True)["together"]["rank1"]
    return {
        **named_twins(probes, gallery, likelihood),
        "albedo": error_removed(guess(mean.values), codes, mean.shape, space),
        "controls": {"shuffled": shuffled},
        "chance": round(1 / TESTED.twins, 4),
        "groups": study.groups,
    }


def classical(
    candidate: Candidate, learn: FaceDataset, seed: int = 0
) -> Callable[[Tensor], Tensor]:
    """HOG + LDA and pixels + LDA of each channel of what is released: (N, H, H, C) -> (N, D)."""
    random = torch.Generator().manual_seed(seed)
    released = candidate.release(learn.rgb(), random)
    who = learn.identity.numpy()
    parts = []
    for channel in range(released.shape[-1]):
        for kind in ("hog", "pixels"):
            rows = features(released[..., channel, None], kind).numpy()
            found = telling_apart(rows, who, 200, 100, shrinkage=1e-3, seed=seed)
            parts.append((channel, kind, *found))

    def embed(x: Tensor) -> Tensor:
        vectors = [
            F.normalize((features(x[..., channel, None], kind) - middle) @ matrix, dim=1)
            for channel, kind, middle, matrix in parts
        ]
        return torch.cat(vectors, 1)

    return embed


def informed(
    candidate: Candidate, learn: FaceDataset, epochs: int, seed: int = 0
) -> tuple[Callable[[Tensor], Tensor], Protect]:
    """The informed parrot on what a candidate releases, and what brings pictures before it."""
    protect = as_seen(candidate, learn.rgb()[:256])
    learning = replace(WITH_CODES, epochs=epochs, seed=seed)
    network = train_network(learn, learning, protect=protect)
    return lambda x: network(head_crop(x)), protect


def named(
    embed: Callable[[Tensor], Tensor], protect: Protect, test: FaceDataset, *, drawn: bool
) -> dict[str, Any]:
    """Rank-1 among the test's people, of one picture and of a person's together, and chance.

    Args:
        embed: of what `protect` gives.
        drawn: whether the candidate draws numbers: gallery pictures are then protected DRAWS times.
    """
    owner, attacker = (torch.Generator().manual_seed(seed) for seed in (7919, 104_729))
    gallery, probes = test.frontals(), test.views()
    vectors = in_batches(embed, protect(probes.rgb(), owner))
    copies = [
        F.normalize(in_batches(embed, protect(gallery.rgb(), attacker)), dim=1)
        for _ in range(DRAWS if drawn else 1)
    ]
    known = torch.stack(copies).mean(0)
    who = torch.unique(probes.identity)
    together = torch.stack([fused(vectors[probes.identity == i]) for i in who])
    one, all_ = (
        identification(compare(found, people, known, gallery.identity), ranks=(1,)).rank[1]
        for found, people in ((vectors, probes.identity), (together, who))
    )
    return {"one": _stored(one), "together": _stored(all_), "chance": round(1 / len(who), 4)}


def named_by_classical(
    candidate: Candidate, learn: FaceDataset, test: FaceDataset
) -> dict[str, Any]:
    """`named`, by `classical`."""
    drawn = candidate.spoil is not None
    return named(classical(candidate, learn), candidate.release, test, drawn=drawn)


def _stored(rate: Rate) -> list[float]:
    return [round(v, 4) for v in (rate.value, rate.low, rate.high)]
