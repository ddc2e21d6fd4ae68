"""The embeddings that an attack makes of a release or a reconstruction, and of a gallery.

The attack is named as in `attacks.REGISTRY`, and trained here, on the attacker's people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from privhead_nb.errors import LabError
from privhead_nb.lab import attacker_data, faces
from privhead_nb.lab.attacker_data import AttackerData
from privhead_nb.lab.attacks import (
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
    radiance_refit,
)
from privhead_nb.lab.attacks.no_attack import no_attack
from privhead_nb.lab.attacks.probe import (
    away_from_front,
    framed,
    fused,
    in_batches,
    per_person,
    probe_embedding,
    views_in_front,
)
from privhead_nb.lab.faces import FaceDataset, people
from privhead_nb.lab.framing import Axes, cameras_around, resized
from privhead_nb.lab.gallery import Gallery
from privhead_nb.lab.match import Embeddings, Guess
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers.stored import recogniser
from privhead_nb.lab.scans import scan_of_mesh
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release
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
class AttackConfig:
    """How an attack is run.

    Args:
        people: other people that the attacker learns from.
        seed: of everything random.
        views: how many views, nearest to the front, are guessed as pictures.
        guesses: guess them at all.
        workers: processes that make portraits; all cores by default.
        progress: show bars.

    Raises:
        LabError: fewer than two people.
    """

    people: int = 100
    seed: int = 0
    views: int = 4
    guesses: bool = False
    workers: int | None = None
    progress: bool = True

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
            who, faces.LEARNING, folder=folder, workers=self.workers, progress=self.progress
        )

    def data(self, who: Sequence[int] = ()) -> AttackerData:
        """Rear pictures, scans and skins of `who`, the attacker's people by default."""
        return attacker_data.attacker_data(
            who or people("attacker", self.people), folder=faces.cache_folder(),
            workers=self.workers, progress=self.progress,
        )  # fmt: skip

    def judge(self) -> Recogniser:
        """The recogniser of clean pictures."""
        return recogniser(SCORED_BY)


Config = AttackConfig
ON_MODULI: dict[str, Callable[[Config, Operator, int], Attack]] = {
    "parrot-classical": lambda config, operator, size: parrot.classical_parrot(
        config.portraits().views(), operator, size=size, seed=config.seed
    ),
    "parrot-cnn": lambda config, operator, size: parrot.network_parrot(
        config.portraits().views(), operator, size=size,
        learning=replace(parrot.CNN, seed=config.seed), progress=config.progress,
    ),
    "parrot-two-stems": lambda config, operator, size: parrot.network_parrot(
        config.portraits().views(), operator, stems=2, size=size,
        learning=replace(parrot.CNN, seed=config.seed), progress=config.progress,
    ),
    "inversion": lambda config, operator, size: learned_inversion.learned_inversion(
        config.portraits().views(), operator, config.judge(),
        learned_inversion.DEFAULT.seeded(config.seed), size=size, progress=config.progress,
    ),
    "decoder": lambda config, operator, size: decoder.attack(
        decoder.learn(config.portraits().views().resized(size), seed=config.seed),
        config.judge(), operator, decoder.Descent(seed=config.seed),
    ),
    "no-attack": lambda config, operator, size: no_attack(config.judge(), operator, size=size),
    "no-attack-inverted": lambda config, operator, size: no_attack(
        config.judge(), operator, size=size, inverted=True
    ),
}  # fmt: skip
"""Attacks on moduli: config, the release's operator and size -> the attack, trained."""

ON_RECONSTRUCTIONS: dict[str, Callable[[Config], Attack]] = {
    "mesh-matching": lambda config: mesh_shape.matching(config.data()),
    "mesh-network": lambda config: mesh_shape.learn_network(
        config.data(), None, mesh_shape.ShapeLearning(seed=config.seed), progress=config.progress
    ),
    "mesh-two-stems": lambda config: mesh_shape.learn_network(
        config.data(), config.portraits(), mesh_shape.ShapeLearning(seed=config.seed),
        progress=config.progress,
    ),
    "field-renders": lambda config: field_renders.by_recogniser(config.judge()),
    "field-colour-blind": lambda config: field_renders.learn_colour_blind(
        config.portraits(), seed=config.seed, progress=config.progress
    ),
    "radiance-refit": lambda config: field_renders.by_recogniser(config.judge()),
}  # fmt: skip
"""Attacks on a mesh or a field: config -> the attack, trained."""


# Releases -----------------------------------------------------------------------------------------


def embed_release(
    name: str, release: Release, gallery: Gallery, config: AttackConfig
) -> Embeddings:
    """Train the attack `name` for a release; its embeddings of the release and of the gallery.

    Raises:
        LabError: the release has nothing to attack, or an operator that the attack can't imitate.
    """
    if name.startswith("neutral"):
        return _embed_neutral(name, release, gallery, config)
    _check_operator(name, release)
    rows = views_in_front(release)
    attack = ON_MODULI[name](config, release.operator, release.size)
    guesses: dict[int, Guess] = {}
    if config.guesses and attack.picture is not None:
        near = _nearest(release, rows)[: config.views]
        moduli = framed(release, near)
        guesses = _guesses(release, near, moduli, attack.picture(moduli))
    found = Embeddings(
        card=attack.card,
        probe_embedding=probe_embedding(attack, release),
        views=len(rows),
        gallery=in_batches(attack.enrol, gallery.enrolled.rgb()),
        who=gallery.enrolled.identity,
        guesses=guesses,
    )
    if name == "decoder":
        return replace(found, why=SLOW)
    random = torch.Generator().manual_seed(7919 + config.seed)  # not the attacker's noise
    others = release.operator.protect(resized(gallery.probes.rgb(), release.size), random)
    vectors, who = in_batches(attack.probe, others), torch.unique(gallery.probes.identity)
    each = [fused(vectors[gallery.probes.identity == i]) for i in who]
    return replace(found, others=torch.stack(each), other=who)


def _embed_neutral(
    name: str, release: Release, gallery: Gallery, config: AttackConfig
) -> Embeddings:
    """The neutral views, against pictures from behind where there are any."""
    if len(release.neutral) == 0:
        raise LabError(
            "the release has no neutral views", where="release", remedy="Attack its moduli instead."
        )
    others, front = config.data(), None if gallery.made else config.portraits()
    if name == "neutral-palette":
        attack = neutral_views.learn_palette(others, front)
    else:
        pictures = others.behind.shape[:2].numel() + others.neutral.shape[:2].numel()
        epochs = max(12, SEEN // pictures)  # few people would be few steps
        attack = neutral_views.learn_network(
            others, front, epochs=epochs, seed=config.seed, progress=config.progress
        )
    found = Embeddings(
        card=attack.card,
        probe_embedding=fused(in_batches(attack.probe, release.neutral_images)),
        views=len(release.neutral),
        gallery=in_batches(attack.enrol, gallery.enrolled.rgb()),
        who=gallery.enrolled.identity,
        why=NO_REAR,
    )
    if not gallery.made:
        return found
    known, places = config.data(gallery.made), torch.arange(len(gallery.made))
    behind = per_person(attack.enrol, known.behind[:, :, 0].float() / 255)
    neutral = per_person(attack.probe, known.neutral[:, :, 0].float() / 255)
    return replace(found, gallery=behind, who=places, others=neutral, other=places, why="")


def guess_only(release: Release, config: AttackConfig) -> tuple[Card, dict[int, Guess]]:
    """Prior-free guesses of the views nearest to the front.

    Raises:
        LabError: as `embed_release`.
    """
    _check_operator("prior-free", release)
    rows = _nearest(release, views_in_front(release))[: config.views]
    operator = release.operator
    settings = prior_free.suited(operator, background=release.background, seed=config.seed)
    bar = tqdm(rows, desc="inversion", disable=not config.progress)
    found = [prior_free.invert(release.moduli[r], operator, settings, looks=0) for r in bar]
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
    away = away_from_front(release)
    return sorted(rows, key=lambda row: float(away[row]))


def _check_operator(name: str, release: Release) -> None:
    if release.operator.downsample == "last" and REGISTRY[name].imitates:
        raise LabError(
            "the release was made small after its operator (downsample last), and this attack "
            "imitates operators on small pictures only",
            where=name,
            remedy="Use no-attack, neutral-views or neutral-palette, or a release made with "
            "--downsample first.",
        )


# Reconstructions ----------------------------------------------------------------------------------


def embed_reconstruction(
    name: str, folder: Path, gallery: Gallery, config: AttackConfig, release: Path | None = None
) -> Embeddings:
    """Train the attack `name`; its embeddings of a reconstruction and of the gallery.

    Args:
        name: of `attacks.REGISTRY`.
        folder: what `privhead reconstruct` wrote.
        gallery: known people.
        config: settings.
        release: what it was made from: for radiance-refit, and for axes other than +y and +z.

    Raises:
        LabError: no mm, no release where one is needed, a folder of pictures where shapes are.
        TrainingError: the folder holds no whole reconstruction.
    """
    if REGISTRY[name].scans and not gallery.made:
        raise LabError(
            "this attack compares shapes, and a folder of pictures has none",
            where=name,
            remedy="Use mesh-two-stems, or give --gallery a number of made people.",
        )
    made = Reconstruction.load(folder)
    source = None if release is None else Release.load(release)
    unit = made.report.get("unit")
    if unit != "mm":
        raise LabError(
            f"the reconstruction's unit is {unit or 'not recorded'}, and the lab's people are in "
            "mm",
            where=folder,
            remedy="Reconstruct from a scene in mm.",
        )
    attack = ON_RECONSTRUCTIONS[name](config)
    if name == "radiance-refit":
        assert source is not None
        skins, settings = radiance_refit.learn_skins(config.data()), radiance_refit.Refit()
        shown = radiance_refit.refit(source, made.mesh, skins, settings).portraits
        attack = replace(attack, card=radiance_refit.card(skins, settings))
    elif name.startswith("mesh"):
        axes = Axes() if source is None else Axes(source.up, source.front)
        shown = scan_of_mesh(made.mesh, axes)[None]
    else:
        shown = field_renders.renders(made, cameras_around(made.center, field_renders.YAWS))
    enrolled, who = gallery.enrolled.rgb(), gallery.enrolled.identity
    if REGISTRY[name].scans:
        enrolled, who = config.data(gallery.made).scan, torch.arange(len(gallery.made))
    return Embeddings(
        card=attack.card,
        probe_embedding=fused(in_batches(attack.probe, shown)),
        views=len(shown),
        gallery=in_batches(attack.enrol, enrolled),
        who=who,
        why=NO_OTHERS,
    )
