"""Attacks on a release, by name: each trained here on the attacker's people, and tried."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from tqdm import tqdm

from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import albums, captures, known_people
from privhead_nb.lab.albums import Album
from privhead_nb.lab.attacks import Attack, Card, decoder, prior_free
from privhead_nb.lab.attacks.identify import (
    YAW_LIMIT,
    framed,
    fused,
    in_batches,
    of_release,
    views_in_front,
)
from privhead_nb.lab.attacks.learned_inversion import DEFAULT, attack_of, train_inversion
from privhead_nb.lab.attacks.neutral_views import ViewAttack, learn_network, learn_palette
from privhead_nb.lab.attacks.parrot import (
    CNN,
    classical_parrot,
    cnn_parrot,
    two_stem_parrot,
)
from privhead_nb.lab.attacks.shown import shown_to
from privhead_nb.lab.known_people import Known
from privhead_nb.lab.naming import Guess, Held
from privhead_nb.lab.recognition.learn import resized
from privhead_nb.lab.recognition.stored import recogniser
from privhead_nb.lab.scans import Axes
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.released import Release

SCORED_BY = "arcface_cnn"
"""The recogniser of clean pictures, where an attack needs one."""
CAPTURE_SECONDS = 5  # a person and core
SEEN = 20_000  # pictures that the network of neutral views learns from at least, with repetitions


@dataclass(frozen=True)
class How:
    """How an attack is run.

    Args:
        people: other people that the attacker learns from.
        seed: of everything random.
        views: how many views, nearest to the front, are guessed as pictures.
        guesses: guess them at all.
        workers: processes that make portraits; all cores by default.
        progress: show bars.
    """

    people: int = 100
    seed: int = 0
    views: int = 4
    guesses: bool = False
    workers: int | None = None
    progress: bool = True


def hold(name: str, release: Release, known: Known, how: How) -> Held:
    """Train the attack `name` for this release, and hold its vector against a gallery.

    Raises:
        LabError: the release has nothing to attack, or an operator that the attack can't imitate.
    """
    if name.startswith("neutral"):
        return _neutral(name, release, known, how)
    _check_operator(name, release.operator)
    rows = views_in_front(release)
    attack = _made(name, release, how)
    guesses: dict[int, Guess] = {}
    if how.guesses and attack.picture is not None:
        near = nearest(release, rows)[: how.views]
        moduli = framed(release, near)
        guesses = guessed(release, near, moduli, attack.picture(moduli))
    others, other, why = torch.zeros(0, 1), torch.zeros(0, dtype=torch.long), ""
    if name == "decoder":
        why = "the decoder takes seconds a picture, too long for hundreds of other people"
    else:
        others, other = _others(attack, known.probes, how.seed)
    return Held(
        card=attack.card,
        one=of_release(attack, release, YAW_LIMIT),
        views=len(rows),
        known=in_batches(attack.enrol, known.gallery.rgb()),
        who=known.gallery.identity,
        others=others,
        other=other,
        why=why,
        guesses=guesses,
    )


def invert(release: Release, how: How) -> tuple[Card, dict[int, Guess]]:
    """Prior-free guesses of the views nearest to the front.

    Raises:
        LabError: as `hold`.
    """
    _check_operator("prior-free", release.operator)
    rows = nearest(release, views_in_front(release))[: how.views]
    settings = prior_free.suited(release.operator, background=release.background, seed=how.seed)
    bar = tqdm(rows, desc="inversion", disable=not how.progress)
    found = [prior_free.invert(release.moduli[r], release.operator, settings, looks=0) for r in bar]
    pictures = torch.stack([one.guess for one in found])
    return found[0].card, guessed(release, rows, release.moduli[rows], pictures)


def guessed(
    release: Release, rows: Iterable[int], moduli: Tensor, pictures: Tensor
) -> dict[int, Guess]:
    """View -> guess, of rows of `release.moduli` and guesses (N, H, H, 3) of them."""
    operator = release.operator
    seen = operator.modulus(resized(pictures, release.size))
    off = (prior_free.expected(seen, operator) - moduli).abs() - prior_free.rounding(operator)
    misfit, level = off.clamp_min(0).mean((1, 2)), moduli.mean((1, 2)).clamp_min(1e-9)
    return {
        release.sensitive[row]: Guess(picture, float(m), float(m / mean))
        for row, picture, m, mean in zip(rows, pictures, misfit, level, strict=True)
    }


def nearest(release: Release, rows: Iterable[int]) -> list[int]:
    """Rows of `release.moduli`, the camera nearest to the front first."""
    away = release.cameras.centers[list(release.sensitive)].double()
    turned = (away - away.new_tensor(release.center)) @ Axes(release.up, release.front).turn().T
    yaw = torch.atan2(turned[:, 0], turned[:, 2]).abs()
    return sorted(rows, key=lambda row: float(yaw[row]))


def captured(who: tuple[int, ...], how: How) -> captures.Captures:
    """Captures from the lab's folder; what is missing is made, and a message says how long."""
    folder = albums.cache_folder()
    kept = folder / f"heads{GENERATOR_VERSION}_captures{captures.CAPTURE_VERSION}"
    missing = sum(not (kept / f"{i}.safetensors").is_file() for i in who)
    if missing:
        known_people.tell(f"captures of {missing} made people", missing * CAPTURE_SECONDS)
    return captures.make_captures(
        who, folder=folder, workers=how.workers, progress=missing > 0 and how.progress
    )


def _made(name: str, release: Release, how: How) -> Attack:
    """The attack, trained."""
    operator, size, seed, bar = release.operator, release.size, how.seed, how.progress
    if name in ("shown", "shown-inverted"):
        inverted = name == "shown-inverted"
        return shown_to(recogniser(SCORED_BY), operator, size=size, inverted=inverted)
    judge = recogniser(SCORED_BY) if name in ("inversion", "decoder") else None  # before the work
    album = known_people.attackers(how.people, workers=how.workers).views()
    learning = replace(CNN, seed=seed)
    if name == "parrot-cnn":
        return cnn_parrot(album, operator, size=size, learning=learning, progress=bar)
    if name == "parrot-two-stems":
        return two_stem_parrot(album, operator, size=size, learning=learning, progress=bar)
    if judge is None:
        return classical_parrot(album, operator, size=size, seed=seed)
    if name == "inversion":
        settings = replace(DEFAULT, seed=seed, eyes=replace(DEFAULT.eyes, seed=seed))
        return attack_of(train_inversion(album, operator, settings, size=size, progress=bar), judge)
    learned = decoder.learn(_small(album, size), seed=seed)
    found = decoder.attack(learned, judge, operator, decoder.Descent(seed=seed))

    return Attack(found.card, found.probe, found.enrol, found.picture, operator, size)


def _small(album: Album, size: int) -> Album:
    """Portraits of a release's size."""
    parts = [resized(album.rgb(v), size).mul(255).round().byte() for v in albums.VARIANTS]
    return replace(album, pictures=torch.stack(parts, 1))


def _others(attack: Attack, probes: Album, seed: int) -> tuple[Tensor, Tensor]:
    """One vector (P, D) for each person of `probes`, protected as the release, and who (P,)."""
    random = torch.Generator().manual_seed(7919 + seed)  # not the attacker's noise
    seen = resized(probes.rgb(), attack.size)
    if attack.operator is not None:
        seen = attack.operator.protect(seen, random)
    vectors = in_batches(attack.probe, seen)
    who = torch.unique(probes.identity)
    return torch.stack([fused(vectors[probes.identity == i]) for i in who]), who


def _neutral(name: str, release: Release, known: Known, how: How) -> Held:
    """The neutral views, against pictures from behind where there are any."""
    if len(release.neutral) == 0:
        raise LabError(
            "the release has no neutral views", where="release", remedy="Attack its moduli instead."
        )
    others = captured(albums.people("attacker", how.people), how)
    shown = release.neutral_images[None]
    if not known.made:
        attack = _of_sides(name, others, how, front=True)
        return Held(
            card=attack.card,
            one=attack.person(shown)[0],
            views=len(release.neutral),
            known=attack.person(known.gallery.rgb()[:, None]),
            who=known.gallery.identity,
            why="the gallery holds no second pictures of its people, from behind",
        )
    behind = captured(known.made, how)
    attack = _of_sides(name, others, how, front=False)
    return Held(
        card=attack.card,
        one=attack.person(shown)[0],
        views=len(release.neutral),
        known=attack.person(behind.behind[:, :, 0].float() / 255),
        who=torch.arange(len(behind)),
        others=attack.person(behind.neutral[:, :, 0].float() / 255),
        other=torch.arange(len(behind)),
    )


def _of_sides(name: str, others: captures.Captures, how: How, *, front: bool) -> ViewAttack:
    """What tells people apart from behind, or, with `front`, from all sides."""
    album = known_people.attackers(how.people, workers=how.workers) if front else None
    if name == "neutral-palette":
        return learn_palette(others, album)
    pictures = others.behind.shape[:2].numel() + others.neutral.shape[:2].numel()
    epochs = max(12, SEEN // pictures)  # few people would be few steps
    return learn_network(others, album, epochs=epochs, seed=how.seed, progress=how.progress)


def _check_operator(name: str, operator: Operator) -> None:
    if operator.downsample == "last" and not name.startswith("shown"):
        raise LabError(
            "the release was made small after its operator (downsample last), and this attack "
            "imitates operators on small pictures only",
            where=name,
            remedy="Use shown, neutral-views or neutral-palette, or a release made with "
            "--downsample first.",
        )
