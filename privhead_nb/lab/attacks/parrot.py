"""The "parrot attack" (Newton et al. 2005): a recogniser trained on protected images.

Whoever has the operator can protect any portraits and train on that (McPherson et al., "Defeating
Image Obfuscation with Deep Learning", 2016). With operator None the same code learns and is tested
on plain colours: the positive control.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.fit import fit_identities
from privhead_nb.lab.framing import resized
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.learn import (
    WITH_CODES,
    Learning,
    as_input,
    disturbed,
    protecting,
    train_network,
    train_projection,
)
from privhead_nb.lab.recognisers.network import ArcFace, FaceNetwork
from privhead_nb.privacy.operators import Operator

CNN = Learning("arcface", epochs=14)
"""About 100 s on one core for 200 people with 12 portraits each."""
NOISE_DRAWS = 4  # protected copies of a gallery picture, where the operator adds noise
TIE = 1.0  # weight of the angle between a picture's two vectors, of modulus and of colours


def network_parrot(
    others: FaceDataset,
    operator: Operator | None,
    *,
    stems: int = 1,
    size: int = 64,
    learning: Learning = CNN,
    start: Sequence[FaceNetwork] = (),
    progress: bool = False,
) -> Attack:
    """Protected against protected (one stem) or against original (two), with the lab's network.

    Pictures are protected anew in every step, so no noise is seen twice.

    Args:
        others: the attacker's people, none of whom may be tested.
        operator: what the release, of `size` pixels, was made with; None: a positive control.
        stems: 1, or 2 with a second network for the gallery's colours, which learns the same space
            by sharing ArcFace's centres.
        learning, progress: of the training; only ArcFace's loss is used.
        start: networks to go on from, one a stem, say such as learned another operator.

    Raises:
        LabError: fewer than two people, or a loss that is not ArcFace.
    """
    numbers, who = torch.unique(others.identity, return_inverse=True)
    if len(numbers) < 2:
        raise LabError(
            f"the attacker's pictures show {len(numbers)} people",
            where="parrot",
            remedy="It needs at least two, better hundreds.",
        )
    if learning.loss != "arcface":
        raise LabError(
            f"the loss is {learning.loss!r}", where="parrot", remedy="Parrots learn by arcface."
        )
    torch.manual_seed(learning.seed)
    random = torch.Generator().manual_seed(learning.seed)
    networks = [FaceNetwork(3 if operator is None else 1), FaceNetwork(3)][:stems]
    for network, before in zip(networks, start, strict=False):
        nn.Module.load_state_dict(network, before.state_dict())
    for network in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batch() -> tuple[list[Tensor], list[Tensor]]:
        rows = torch.randint(len(others), (learning.batch,), generator=random)
        colours, mirrored = disturbed(others, rows, random)
        protected = _protected(colours, operator, size, random)
        inputs = [head_crop(x) for x in (protected, colours)[:stems]]
        return inputs, [who[rows] + len(numbers) * mirrored] * stems

    fit_identities(
        networks, ArcFace(2 * len(numbers)), batch, _steps(others, learning), rate=learning.rate,
        margin=learning.margin, tie=TIE if stems == 2 else 0.0, desc="parrot", progress=progress,
    )  # fmt: skip
    name = "parrot, two stems" if stems == 2 else "parrot, CNN"
    card = _card(name, others, operator, learning)
    attack = protected_gallery(lambda x: networks[0](head_crop(x)), operator, size, card)
    if stems == 2:
        attack = replace(attack, enrol=lambda colours: networks[1](head_crop(colours)))
    return replace(attack, networks=tuple(networks))


def informed_parrot(
    others: FaceDataset,
    operator: Operator,
    *,
    size: int = 64,
    learning: Learning = WITH_CODES,
    start: FaceNetwork | None = None,
) -> Attack:
    """Protected against protected, by someone who also has the model that the heads come from.

    The network also learns the codes of made people, which say *how* two people differ. For real
    faces these would be a face model's, fitted to photos. Arguments as of `network_parrot`; `start`
    is one network, say one that learned many operators.
    """
    network = train_network(others, learning, protect=protecting(operator, size), start=start)
    card = _card("parrot, informed", others, operator, learning)
    told = replace(card, knowledge=f"{card.knowledge}, the codes of other people's heads")
    return protected_gallery(lambda x: network(head_crop(x)), operator, size, told)


def classical_parrot(
    others: FaceDataset, operator: Operator | None, *, size: int = 64, seed: int = 0
) -> Attack:
    """Protected against protected without a network: cosines of HOG + LDA and pixels + LDA."""
    small = others.resized(size)
    both = [
        train_projection(small, kind, operator=operator, seed=seed) for kind in ("hog", "pixels")
    ]

    def embed(pictures: Tensor) -> Tensor:
        pictures = pictures.clamp(0, 1)
        return torch.cat([F.normalize(kind(pictures).float(), dim=1) for kind in both], 1)

    card = _card("parrot, HOG + LDA and pixels + LDA", others, operator, Learning(seed=seed))
    return protected_gallery(embed, operator, size, replace(card, cost="two projections, seconds"))


def protected_gallery(
    embed: Callable[[Tensor], Tensor], operator: Operator | None, size: int, card: Card
) -> Attack:
    """An attack whose gallery is protected as the probes are; its noise is averaged."""
    noisy = operator is not None and operator.noise > 0

    def probe(released: Tensor) -> Tensor:
        if operator is not None:  # (N, H, H) moduli, as `as_input` scales them
            released = released[..., None] / (0.25 * operator.peak)
        return embed(released)

    def enrol(colours: Tensor) -> Tensor:
        random = torch.Generator().manual_seed(card.seed)
        found = [
            F.normalize(embed(_protected(colours, operator, size, random)), dim=1)
            for _ in range(NOISE_DRAWS if noisy else 1)
        ]
        return torch.stack(found).mean(0)

    return Attack(card, probe, enrol, None, operator, size)


def _protected(
    colours: Tensor, operator: Operator | None, size: int, random: torch.Generator
) -> Tensor:
    """(N, H, H, 3) -> (N, size, size, 1) as a network sees them; colours where nothing protects."""
    small = resized(colours, size)
    return small if operator is None else as_input(small, operator, random)


def _steps(others: FaceDataset, learning: Learning) -> int:
    return max(1, len(others) // learning.batch) * learning.epochs


def _card(name: str, others: FaceDataset, operator: Operator | None, learning: Learning) -> Card:
    control = "unprotected pictures (positive control)"
    return Card(
        attack=name,
        knowledge=control if operator is None else "the operator",
        data=f"{len(others)} portraits of {len(torch.unique(others.identity))} other people",
        cost=f"{_steps(others, learning)} steps of {learning.batch} pictures",
        seed=learning.seed,
    )
