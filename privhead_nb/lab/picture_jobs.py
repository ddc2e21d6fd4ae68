"""One job of the study of attacks on pictures: train one attack for one setting, and test it.

What jobs share, the attacker's network for colours and one for moduli of the plain operator, is
trained before, kept beside the results, and gone on from.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from privhead_nb.files import write_tensors
from privhead_nb.lab import faces
from privhead_nb.lab.attacks import Attack
from privhead_nb.lab.attacks.learned_inversion import (
    DEFAULT,
    SMALL,
    Painting,
    learned_inversion,
)
from privhead_nb.lab.attacks.no_attack import no_attack
from privhead_nb.lab.attacks.parrot import (
    CNN,
    classical_parrot,
    informed_parrot,
    network_parrot,
    train_stems,
)
from privhead_nb.lab.attacks.probe import fused, in_batches
from privhead_nb.lab.framing import resized
from privhead_nb.lab.protocol import Rate, compare, identification, verification
from privhead_nb.lab.recognisers.learn import WITH_CODES, Learning
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.lab.recognisers.stored import learning_faces, network_in, recogniser
from privhead_nb.lab.settings import setting
from privhead_nb.privacy.operators import Operator

STUDY_VERSION = 1
"""Changes whenever the same setting and attack give other numbers."""

NO_ATTACK, NO_ATTACK_INVERTED, NO_ATTACK_HOG = "no-attack", "no-attack-inverted", "no-attack-hog"
CLASSICAL, NETWORK, STEMS = "parrot-classical", "parrot-cnn", "parrot-two-stems"
INFORMED, INVERSION = "parrot-informed", "inversion"
ATTACKS = (
    NO_ATTACK, NO_ATTACK_INVERTED, NO_ATTACK_HOG,
    CLASSICAL, NETWORK, STEMS, INFORMED, INVERSION,
)  # fmt: skip
ONLY_AT = {
    INFORMED: ("sobel-64", "noise-0.1", "noise-0.2"),
    INVERSION: ("sobel-64", "sobel-16", "blur-2", "noise-0.1", "levels-4"),
}
"""Settings that the slowest attacks are run at by default."""
BASES = {"colours": (STEMS, INVERSION), "moduli": (NETWORK, STEMS)}
"""The shared networks, and which attacks go on from them."""

BASE = replace(CNN, epochs=20)


@dataclass(frozen=True)
class Size:
    """How large the study is.

    Args:
        people: of the evaluation group.
        attackers: people whose portraits the attacker has.
        network: how a parrot is trained, after
        base: how the two shared networks are.
        painting: how learned inversion is.
        scored_by: the recogniser of clean pictures that looks.
        resamples: of an interval.
    """

    people: int = 100
    attackers: int = 200
    network: Learning = CNN
    base: Learning = BASE
    painting: Painting = DEFAULT
    scored_by: str = "arcface_cnn"
    resamples: int = 1000


FULL = Size()
FEW = Learning("arcface", epochs=3, batch=32)
LITTLE = Size(people=12, attackers=10, network=FEW, base=FEW, painting=SMALL, resamples=200)
"""For a test: minutes. It shows that the study runs, and no more."""


def score(attack: Attack, test: faces.FaceDataset, resamples: int, seed: int = 0) -> dict[str, Any]:
    """Rates of an attack on people whom it never saw, for each variant of their portraits.

    Returns:
        variant -> rank1, rank5, tar (at FAR 1e-3), eer, auc of single pictures, and release: rank-1
        where all pictures of a person are fused, as those of a release are. Each [value, low,
        high], or {"why": ...} where it isn't known.
    """
    gallery, probes = test.frontals(), test.views()
    out: dict[str, Any] = {"chance": round(1 / len(gallery), 6)}
    for variant in faces.VARIANTS:
        random = torch.Generator().manual_seed(7919 + seed)  # the owner's noise, not the attacker's
        seen = resized(probes.rgb(variant), attack.size)
        if attack.operator is not None:
            seen = attack.operator.protect(seen, random)
        vectors = in_batches(attack.probe, seen)
        known = in_batches(attack.enrol, gallery.rgb(variant))
        single = compare(
            vectors, probes.identity, known, gallery.identity, (vectors.norm(dim=1) > 0).numpy()
        )
        who = torch.unique(probes.identity)
        together = torch.stack([fused(vectors[probes.identity == i]) for i in who])
        release = compare(
            together, who, known, gallery.identity, (together.norm(dim=1) > 0).numpy()
        )
        named = identification(single, resamples=resamples)
        pairs = verification(single, fars=(1e-3,), resamples=resamples)
        whole = identification(release, ranks=(1,), resamples=resamples)
        out[variant] = {
            "rank1": _stored(named.rank[1]),
            "rank5": _stored(named.rank[5]),
            "release": _stored(whole.rank[1]),
            "tar": _stored(pairs.tar_at_far[1e-3]),
            "eer": _stored(pairs.eer),
            "auc": _stored(pairs.auc),
        }
    return out


def _stored(rate: Rate) -> list[float] | dict[str, str]:
    if not rate.known:
        return {"why": rate.why}
    return [round(v, 4) for v in (rate.value, rate.low, rate.high)]


def job(given: tuple[str, str, Size, str]) -> dict[str, Any]:
    """Train one attack for one setting, and test it."""
    name, attack, size, folder = given
    began = time.perf_counter()
    made = _attack(name, attack, size, folder)
    trained = round(time.perf_counter() - began, 1)
    operator, pixels = setting(name)
    return {
        "setting": name,
        "operator": operator.to_dict(),
        "pixels": pixels,
        "attack": attack,
        "card": asdict(made.card),
        "seconds_to_train": trained,
        "people": size.people,
        **score(made, portraits("evaluation", size), size.resamples),
    }


def _attack(name: str, attack: str, size: Size, folder: str) -> Attack:
    """The attack, trained where it learns."""
    operator, pixels = setting(name)
    if attack in (NO_ATTACK, NO_ATTACK_INVERTED, NO_ATTACK_HOG):
        one = recogniser("hog_lda" if attack == NO_ATTACK_HOG else size.scored_by)
        return no_attack(one, operator, size=pixels, inverted=attack == NO_ATTACK_INVERTED)
    if attack == INFORMED:
        much = learning_faces(2 * size.attackers, 6 * size.attackers, workers=1)
        how = replace(WITH_CODES, epochs=size.base.epochs, batch=size.base.batch)
        return informed_parrot(much, operator, size=pixels, learning=how)
    learn = portraits("attacker", size).views()
    if attack == CLASSICAL:
        return classical_parrot(learn, operator, size=pixels)
    if attack in BASES["moduli"]:
        names = ("moduli",) if attack == NETWORK else ("moduli", "colours")
        start = tuple(_shared(name, size, folder) for name in names)
        return network_parrot(
            learn, operator, stems=len(start), size=pixels, learning=size.network, start=start
        )
    return learned_inversion(
        learn, operator, recogniser(size.scored_by), size.painting, size=pixels,
        eyes=_shared("colours", size, folder),
    )  # fmt: skip


def base(given: tuple[str, Size, str]) -> dict[str, Any]:
    """Train a network that many jobs go on from: of colours, or of moduli of the plain operator."""
    name, size, folder = given
    learn = portraits("attacker", size).views()
    operator = None if name == "colours" else Operator()
    (network,) = train_stems(learn, operator, size=64, learning=size.base)
    write_tensors(_path(folder, name), network.state_dict(), {})
    return {"name": name, "portraits": len(learn), "learning": asdict(size.base)}


def _shared(name: str, size: Size, folder: str) -> FaceNetwork:
    """A network of `base`; made again where this machine doesn't have it."""
    if not _path(folder, name).is_file():
        base((name, size, folder))
    return network_in(_path(folder, name))


def _path(folder: str, name: str) -> Path:
    return Path(folder) / "base" / f"{name}.safetensors"


def people(size: Size) -> dict[str, tuple[int, ...]]:
    """Whom attacks are tested on, and whom they learn from."""
    return {
        "evaluation": faces.people("evaluation", size.people),
        "attacker": faces.people("attacker", size.attackers),
    }


def portraits(
    group: str, size: Size, *, workers: int | None = 1, progress: bool = False
) -> faces.FaceDataset:
    """Portraits of a group of `people`, made where the cache hasn't them."""
    plan = faces.GALLERY if group == "evaluation" else faces.LEARNING
    return faces.face_dataset(
        people(size)[group], plan, folder=faces.cache_folder(), workers=workers, progress=progress
    )
