"""The parrot: a recogniser that learned from other people's protected pictures.

It guesses no colours. Whoever has the operator can protect any album and train on that; what the
modulus keeps of a person is then used as it is (McPherson et al., "Defeating Image Obfuscation with
Deep Learning", 2016). Three kinds:

    cnn_parrot         protected against protected: the gallery goes through the operator, too
    two_stem_parrot    protected against original: two networks, one for moduli and one for colours,
                       learn one space, since they share the centres of ArcFace
    classical_parrot   protected against protected in seconds: HOG and pixels, PCA, LDA

With operator None the same code learns and is tested on plain colours: the positive control.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.errors import LabError
from privhead_nb.lab.albums import VARIANTS, Album
from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.descent import descend
from privhead_nb.lab.recognition import head_crop
from privhead_nb.lab.recognition.learn import (
    WITH_CODES,
    Learning,
    as_input,
    disturbed,
    resized,
    train_network,
    train_projection,
)
from privhead_nb.lab.recognition.network import ArcFace, FaceNetwork
from privhead_nb.privacy.operators import Operator

CNN = Learning("arcface", epochs=14)
"""About 100 s on one core for 200 people with 12 portraits each."""
NOISE_DRAWS = 4  # protected copies of a gallery picture, where the operator adds noise
TIE = 1.0  # weight of the angle between a picture's two vectors, of modulus and of colours


def cnn_parrot(
    album: Album,
    operator: Operator | None,
    *,
    size: int = 64,
    learning: Learning = CNN,
    start: FaceNetwork | None = None,
    progress: bool = False,
) -> Attack:
    """Protected against protected, with the lab's network.

    Args:
        album: the attacker's people, none of whom may be tested.
        operator: what the release was made with; None: nothing, a positive control.
        size: pixels of the released pictures.
        learning: settings; only ArcFace's loss is used.
        start: a network to go on from, say one that learned another operator.
        progress: show a bar.
    """
    (network,) = train_stems(
        album, operator, size=size, learning=learning, start=(start,), progress=progress
    )
    return parrot_of((network,), operator, size, _card("parrot, CNN", album, operator, learning))


def two_stem_parrot(
    album: Album,
    operator: Operator | None,
    *,
    size: int = 64,
    learning: Learning = CNN,
    start: tuple[FaceNetwork | None, FaceNetwork | None] = (None, None),
    progress: bool = False,
) -> Attack:
    """Protected against original: moduli and colours are brought to one space.

    Args:
        start: networks for moduli and for colours to go on from.
    """
    stems = train_stems(
        album, operator, size=size, learning=learning, start=start, progress=progress
    )
    card = _card("parrot, two stems", album, operator, learning)
    return parrot_of(stems, operator, size, card)


def informed_parrot(
    album: Album,
    operator: Operator,
    *,
    size: int = 64,
    learning: Learning = WITH_CODES,
    progress: bool = False,
) -> Attack:
    """Protected against protected, by someone who also has the model that the heads come from.

    A network learns the codes of made people from their moduli, beside telling them apart. Codes
    say *how* two people differ. For real faces these would be a face model's, fitted to photos.

    Args:
        album: people none of whom may be tested, many of them.
        operator, size: what the release was made with.
    """
    network = train_network(album, learning, operator=operator, size=size, progress=progress)
    card = _card("parrot, informed", album, operator, learning)
    told = replace(card, knowledge=f"{card.knowledge}, the codes of other people's heads")
    return parrot_of((network,), operator, size, told)


def parrot_of(
    stems: tuple[FaceNetwork, ...], operator: Operator | None, size: int, card: Card
) -> Attack:
    """The attack of one trained network, or of two, of which the second sees the gallery."""
    probing, enrolling = stems[0], stems[-1]

    def probe(released: Tensor) -> Tensor:
        if operator is not None:
            released = _scaled(released, operator)
        return probing(head_crop(released))

    def enrol(colours: Tensor) -> Tensor:
        if len(stems) == 2:
            return enrolling(head_crop(colours))
        return _enrolled(colours, operator, size, card.seed, lambda x: probing(head_crop(x)))

    return Attack(card, probe, enrol, None, operator, size)


def train_stems(
    album: Album,
    operator: Operator | None,
    *,
    size: int,
    learning: Learning,
    start: tuple[FaceNetwork | None, ...],
    progress: bool = False,
) -> tuple[FaceNetwork, ...]:
    """One network for moduli, or, where `start` has two places, a second one for colours.

    Both see the same pictures of the same people, and share one centre for each person. Pictures
    are protected anew in every step, so no noise is seen twice.

    Raises:
        LabError: fewer than two people, or a loss that is not ArcFace.
    """
    numbers, who = torch.unique(album.identity, return_inverse=True)
    if len(numbers) < 2:
        raise LabError(
            f"the attacker's album shows {len(numbers)} people",
            where="parrot",
            remedy="It needs at least two, better hundreds.",
        )
    if learning.loss != "arcface":
        raise LabError(
            f"the loss is {learning.loss!r}", where="parrot", remedy="Parrots learn by arcface."
        )
    torch.manual_seed(learning.seed)
    random = torch.Generator().manual_seed(learning.seed)
    stems = [FaceNetwork(3 if operator is None else 1), FaceNetwork(3)][: len(start)]
    for stem, before in zip(stems, start, strict=True):
        if before is not None:
            nn.Module.load_state_dict(stem, before.state_dict())
    for stem in stems:
        stem.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    head = ArcFace(2 * len(numbers))
    parts = [p for module in (*stems, head) for p in module.parameters()]
    steps = max(1, len(album) // learning.batch) * learning.epochs
    adam = torch.optim.AdamW(parts, lr=learning.rate, weight_decay=5e-2)

    def loss(step: int) -> Tensor:
        rows = torch.randint(len(album), (learning.batch,), generator=random)
        colours, mirrored = disturbed(album, rows, random)
        people = who[rows] + len(numbers) * mirrored
        head.margin = learning.margin * min(1.0, 2 * step / steps)
        found = [stems[0](head_crop(_protected(colours, operator, size, random)))]
        if len(stems) == 2:
            found.append(stems[1](head_crop(colours)))
        off = torch.stack([head(vectors, people) for vectors in found]).sum()
        if len(stems) == 2:
            off = off + TIE * (1 - F.cosine_similarity(*found)).mean()
        return off

    descend(adam, loss, steps, desc="parrot", progress=progress)
    return tuple(stem.eval() for stem in stems)


def classical_parrot(
    album: Album, operator: Operator | None, *, size: int = 64, seed: int = 0
) -> Attack:
    """Protected against protected without a network: seconds of work, for every setting.

    The cosines of HOG + LDA and of pixels + LDA are averaged.
    """
    variants = [resized(album.rgb(name), size).mul(255).round().byte() for name in VARIANTS]
    small = replace(album, pictures=torch.stack(variants, 1))
    both = [
        train_projection(small, kind, operator=operator, seed=seed) for kind in ("hog", "pixels")
    ]

    def embed(pictures: Tensor) -> Tensor:
        pictures = pictures.clamp(0, 1)
        return torch.cat([F.normalize(one(pictures).float(), dim=1) for one in both], 1)

    def probe(released: Tensor) -> Tensor:
        return embed(released if operator is None else _scaled(released, operator))

    def enrol(colours: Tensor) -> Tensor:
        return _enrolled(colours, operator, size, seed, embed)

    card = Card(
        attack="parrot, HOG + LDA and pixels + LDA",
        knowledge=_knowledge(operator),
        data=_data(album),
        cost="two projections, seconds",
        seed=seed,
    )
    return Attack(card, probe, enrol, None, operator, size)


def _protected(
    colours: Tensor, operator: Operator | None, size: int, random: torch.Generator | None
) -> Tensor:
    """(N, H, H, 3) -> (N, size, size, 1) as a network sees them; colours where nothing protects."""
    small = resized(colours, size)
    return small if operator is None else as_input(small, operator, random)


def _scaled(released: Tensor, operator: Operator) -> Tensor:
    """(N, H, H) moduli -> (N, H, H, 1) as `as_input` scales them."""
    return released[..., None] / (0.25 * operator.peak)


def _enrolled(
    colours: Tensor,
    operator: Operator | None,
    size: int,
    seed: int,
    embed: Callable[[Tensor], Tensor],
) -> Tensor:
    """(N, D) of gallery pictures (N, H, H, 3), protected as the probes are; noise is averaged."""
    noisy = operator is not None and operator.noise > 0
    random = torch.Generator().manual_seed(seed)
    found = [
        F.normalize(embed(_protected(colours, operator, size, random)), dim=1)
        for _ in range(NOISE_DRAWS if noisy else 1)
    ]
    return torch.stack(found).mean(0)


def _card(attack: str, album: Album, operator: Operator | None, learning: Learning) -> Card:
    steps = max(1, len(album) // learning.batch) * learning.epochs
    return Card(
        attack=attack,
        knowledge=_knowledge(operator),
        data=_data(album),
        cost=f"{steps} steps of {learning.batch} pictures",
        seed=learning.seed,
    )


def _knowledge(operator: Operator | None) -> str:
    return "unprotected pictures (positive control)" if operator is None else "the operator"


def _data(album: Album) -> str:
    return f"{len(album)} portraits of {len(torch.unique(album.identity))} other people"
