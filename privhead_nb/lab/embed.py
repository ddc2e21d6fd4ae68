"""The embeddings that an attack makes of a release or a reconstruction, and of a gallery.

The attack ships trained (`attackers.py`), or is trained here, on the attacker's people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from privhead_nb.errors import LabError
from privhead_nb.lab import attacker_data, attackers, faces
from privhead_nb.lab.attacker_data import AttackerData, scan_of_mesh
from privhead_nb.lab.attacks import (
    DEFAULT,
    REGISTRY,
    Attack,
    Card,
    decoder,
    field_renders,
    learned_inversion,
    mesh_shape,
    neutral_views,
    parrot,
    prior_free,
    probe,
    radiance_refit,
)
from privhead_nb.lab.attacks.no_attack import no_attack
from privhead_nb.lab.faces import FaceDataset, people
from privhead_nb.lab.framing import cameras_around, resized
from privhead_nb.lab.gallery import Gallery
from privhead_nb.lab.match import Embeddings, Guess
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers.learn import WITH_CODES
from privhead_nb.lab.recognisers.stored import recogniser
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.scene import HEAD_AXES
from privhead_nb.training.reconstruction import Reconstruction

SCORED_BY = "arcface_cnn"
"""The recogniser of clean pictures, where an attack needs one."""
SEEN = 20_000  # pictures that the network of neutral views learns from at least, with repetitions
SLOW = "the decoder takes seconds a picture, too long for hundreds of other people"
NO_REAR = "the gallery holds no second pictures of its people, from behind"
NO_OTHERS = (
    "it would take reconstructions of other people: python benchmarks/studies/artefact.py run "
    "measures rates"
)


@dataclass(frozen=True)
class AttackRequest:
    """What `privhead attack` is asked for.

    Raises:
        LabError: fewer than two people.
    """

    attack: str = DEFAULT  # a name of `attacks.REGISTRY`
    gallery: str = "100"  # a count of made people, or a folder of pictures
    truth: str | None = None  # who is shown, if that is known
    out: Path | None = None  # for attack.json and guessed pictures; without it no view is guessed
    # what a reconstruction was made from: for radiance-refit, and for axes other than +y and +z
    release: Path | None = None
    people: int = 100  # others that the attacker learns from
    train: bool = False  # learn anew, also where an attack ships trained
    seed: int = 0  # of everything random
    views: int = 4  # how many, nearest to the front, are guessed as pictures
    workers: int | None = None  # processes that make portraits; all cores by default

    def __post_init__(self) -> None:
        if self.people < 2:
            raise LabError(
                f"{self.people} people to learn from",
                where="--people",
                remedy="Give at least 2; 100 do.",
            )

    def portraits(self) -> FaceDataset:
        """Portraits of the attacker's people, made where they are missing."""
        who, folder = people("attacker", self.people), faces.cache_folder()
        return faces.face_dataset(
            who, faces.LEARNING, folder=folder, workers=self.workers, progress=True
        )

    def data(self, who: Sequence[int] = ()) -> AttackerData:
        """Rear pictures, scans and skins of `who`, the attacker's people by default."""
        who, folder = who or people("attacker", self.people), faces.cache_folder()
        return attacker_data.attacker_data(who, folder=folder, workers=self.workers, progress=True)

    def ships(self) -> bool:
        """Whether the attack is taken as it ships."""
        return REGISTRY[self.attack].trained and not self.train

    def judge(self) -> Recogniser:
        """The recogniser of clean pictures."""
        return recogniser(SCORED_BY)


def _parrot(request: AttackRequest, operator: Operator, size: int, stems: int) -> Attack:
    return parrot.network_parrot(
        request.portraits().views(), operator, stems=stems, size=size,
        learning=replace(parrot.CNN, seed=request.seed), progress=True,
    )  # fmt: skip


def _informed(request: AttackRequest, operator: Operator, size: int) -> Attack:
    if request.ships():
        return attackers.for_release(operator, size).attack
    learning = replace(WITH_CODES, seed=request.seed)
    return parrot.informed_parrot(
        request.portraits().views(), operator, size=size, learning=learning
    )


def _colour_blind(request: AttackRequest) -> Attack:
    if request.ships():
        return attackers.trained(attackers.RENDERS).attack
    return field_renders.learn_colour_blind(request.portraits(), seed=request.seed, progress=True)


def _mesh_network(request: AttackRequest, portraits: FaceDataset | None = None) -> Attack:
    if request.ships():
        return attackers.trained(attackers.MESH).attack
    learning, data = mesh_shape.ShapeLearning(seed=request.seed), request.data()
    pictures = None if portraits is None else mesh_shape.of_same_people(portraits, data)
    return mesh_shape.learn_network(data.scan, pictures, learning, progress=True)


ON_MODULI: dict[str, Callable[[AttackRequest, Operator, int], Attack]] = {
    "informed": _informed,
    "parrot-classical": lambda request, operator, size: parrot.classical_parrot(
        request.portraits().views(), operator, size=size, seed=request.seed
    ),
    "parrot-cnn": lambda request, operator, size: _parrot(request, operator, size, 1),
    "parrot-two-stems": lambda request, operator, size: _parrot(request, operator, size, 2),
    "inversion": lambda request, operator, size: learned_inversion.learned_inversion(
        request.portraits().views(), operator, request.judge(),
        learned_inversion.DEFAULT.seeded(request.seed), size=size, progress=True,
    ),
    "decoder": lambda request, operator, size: decoder.attack(
        decoder.learn(request.portraits().views().resized(size), seed=request.seed),
        request.judge(), operator, decoder.Descent(seed=request.seed),
    ),
    "no-attack": lambda request, operator, size: no_attack(request.judge(), operator, size=size),
    "no-attack-inverted": lambda request, operator, size: no_attack(
        request.judge(), operator, size=size, inverted=True
    ),
}  # fmt: skip
"""Attacks on moduli: the request, the release's operator and size -> the attack, trained."""

ON_RECONSTRUCTIONS: dict[str, Callable[[AttackRequest], Attack]] = {
    "mesh-matching": lambda request: mesh_shape.matching(request.data()),
    "mesh-network": _mesh_network,
    "mesh-two-stems": lambda request: _mesh_network(request, request.portraits()),
    "field-renders": lambda request: field_renders.by_recogniser(request.judge()),
    "field-renders-hog": lambda _: field_renders.by_recogniser(recogniser("hog_lda")),
    "field-colour-blind": _colour_blind,
    "radiance-refit": lambda request: field_renders.by_recogniser(request.judge()),
}
"""Attacks on a mesh or a field: the request -> the attack, trained."""


def _embedded(
    attack: Attack, shown: Tensor, gallery: Gallery, known: Tensor | None = None, **more: Any
) -> Embeddings:
    """What a source shows (N, ...), against the gallery's pictures, or templates of its people."""
    enrolled = probe.in_batches(attack.enrol, gallery.enrolled.rgb()) if known is None else known
    return Embeddings(
        card=attack.card,
        probe_embedding=probe.fused(probe.in_batches(attack.probe, shown)),
        views=len(shown),
        gallery=enrolled,
        who=gallery.enrolled.identity if known is None else torch.arange(len(known)),
        **more,
    )


# Releases -----------------------------------------------------------------------------------------


def embed_release(release: Release, gallery: Gallery, request: AttackRequest) -> Embeddings:
    """Train the attack for a release; its embeddings of the release and of the gallery.

    Raises:
        LabError: the release has nothing to attack.
    """
    if request.attack.startswith("neutral"):
        return _embed_neutral(release, gallery, request)
    rows = probe.views_in_front(release)
    attack = ON_MODULI[request.attack](request, release.operator, release.size)
    guesses: dict[int, Guess] = {}
    if request.out is not None and attack.picture is not None:
        near = _nearest(release, rows)[: request.views]
        moduli = probe.framed(release, near)
        guesses = _guesses(release, near, moduli, attack.picture(moduli))
    found = _embedded(attack, probe.framed(release, rows), gallery, guesses=guesses)
    if request.attack == "decoder":
        return replace(found, why=SLOW)
    random = torch.Generator().manual_seed(7919 + request.seed)  # not the attacker's noise
    others = release.operator.protect(resized(gallery.probes.rgb(), release.size), random)
    who, each = probe.fused_each(probe.in_batches(attack.probe, others), gallery.probes.identity)
    return replace(found, others=each, other=who)


def _embed_neutral(release: Release, gallery: Gallery, request: AttackRequest) -> Embeddings:
    """The neutral views, against pictures from behind where there are any."""
    if len(release.neutral) == 0:
        raise LabError(
            "the release has no neutral views", where="release", remedy="Attack its moduli instead."
        )
    if request.ships():
        kept = attackers.trained(attackers.NEUTRAL)
        found = _embedded(kept.attack, release.neutral_images, gallery, why=NO_REAR)
        rear = kept.rows("others", gallery.made)
        if rear is None:
            return found
        return replace(found, others=rear, other=torch.arange(len(rear)), why="")
    others, front = request.data(), None if gallery.made else request.portraits()
    if request.attack == "neutral-palette":
        attack = neutral_views.learn_palette(others, front)
    else:
        pictures = others.behind.shape[:2].numel() + others.neutral.shape[:2].numel()
        epochs = max(12, SEEN // pictures)  # few people would be few steps
        attack = neutral_views.learn_network(
            others, front, epochs=epochs, seed=request.seed, progress=True
        )
    found = _embedded(attack, release.neutral_images, gallery, why=NO_REAR)
    if not gallery.made:
        return found
    known, places = request.data(gallery.made), torch.arange(len(gallery.made))
    behind = probe.per_person(attack.enrol, known.behind[:, :, 0].float() / 255)
    neutral = probe.per_person(attack.probe, known.neutral[:, :, 0].float() / 255)
    return replace(found, gallery=behind, who=places, others=neutral, other=places, why="")


def guess_only(release: Release, request: AttackRequest) -> tuple[Card, dict[int, Guess]]:
    """Prior-free guesses of the views nearest to the front.

    Raises:
        LabError: the release shows no face from the front.
    """
    rows = _nearest(release, probe.views_in_front(release))[: request.views]
    operator = release.operator
    settings = prior_free.suited(operator, background=release.background, seed=request.seed)
    bar = tqdm(rows, desc="inversion")
    found = [prior_free.invert(release.moduli[r], operator, settings) for r in bar]
    pictures = torch.stack([inversion.guess for inversion in found])
    return found[0].card, _guesses(release, rows, release.moduli[rows], pictures)


def _guesses(
    release: Release, rows: Sequence[int], moduli: Tensor, pictures: Tensor
) -> dict[int, Guess]:
    """View -> guess, of rows of `release.moduli` and guesses (N, H, H, 3) of them."""
    operator = release.operator
    shown = operator.modulus(resized(pictures, release.size))
    off = (prior_free.expected(shown, operator) - moduli).abs() - prior_free.rounding(operator)
    misfit, level = off.clamp_min(0).mean((1, 2)), moduli.mean((1, 2)).clamp_min(1e-9)
    return {
        release.sensitive[row]: Guess(picture, float(m), float(m / mean))
        for row, picture, m, mean in zip(rows, pictures, misfit, level, strict=True)
    }


def _nearest(release: Release, rows: Sequence[int]) -> list[int]:
    """Rows of `release.moduli`, the camera nearest to the front first."""
    away = probe.sides(release).abs()
    return sorted(rows, key=lambda row: float(away[row]))


# Reconstructions ----------------------------------------------------------------------------------


def embed_reconstruction(folder: Path, gallery: Gallery, request: AttackRequest) -> Embeddings:
    """Train the attack; its embeddings of a folder of `privhead reconstruct` and of the gallery.

    Raises:
        LabError: no mm, or a folder of pictures where shapes are compared.
        TrainingError: the folder holds no whole reconstruction.
    """
    name, scans = request.attack, REGISTRY[request.attack].scans
    if scans and not gallery.made:
        raise LabError(
            "this attack compares shapes, and a folder of pictures has none",
            where=name,
            remedy="Use mesh-two-stems, or give --gallery a number of made people.",
        )
    made = Reconstruction.load(folder)
    source = None if request.release is None else Release.load(request.release)
    unit = made.report.get("unit")
    if unit != "mm":
        raise LabError(
            f"the reconstruction's unit is {unit or 'not recorded'}, and the lab's people are in "
            "mm",
            where=folder,
            remedy="Reconstruct from a scene in mm.",
        )
    attack = ON_RECONSTRUCTIONS[name](request)
    if name == "radiance-refit":
        assert source is not None
        skins, settings = radiance_refit.learn_skins(request.data()), radiance_refit.Refit()
        shown = radiance_refit.refit(source, made.mesh, skins, settings).portraits
        attack = replace(attack, card=radiance_refit.card(skins, settings))
    elif name.startswith("mesh"):
        axes = HEAD_AXES if source is None else (source.up, source.front)
        shown = scan_of_mesh(made.mesh, axes)[None]
    else:
        shown = field_renders.renders(made, cameras_around(made.center, field_renders.YAWS))
    known = _scanned(request, attack, gallery.made) if scans else None
    return _embedded(attack, shown, gallery, known, why=NO_OTHERS)


def _scanned(request: AttackRequest, attack: Attack, who: Sequence[int]) -> Tensor:
    """Templates (N, D) of true scans of made people, as they ship or made here."""
    rows = attackers.trained(attackers.MESH).rows("gallery", who) if request.ships() else None
    return probe.in_batches(attack.enrol, request.data(who).scan) if rows is None else rows
