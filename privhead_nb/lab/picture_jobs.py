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
from torch import Tensor

from privhead_nb.files import write_tensors
from privhead_nb.lab import faces
from privhead_nb.lab.attacks import Attack, decoder, learned_inversion, parrot
from privhead_nb.lab.attacks.no_attack import no_attack
from privhead_nb.lab.attacks.probe import fused_each, in_batches
from privhead_nb.lab.framing import resized
from privhead_nb.lab.protocol import compare, identification, verification
from privhead_nb.lab.recognisers import learn
from privhead_nb.lab.recognisers.learn import WITH_CODES, Learning
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.lab.recognisers.stored import network_in, recogniser
from privhead_nb.lab.settings import SETTINGS, setting
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import WEIGHTS

STUDY_VERSION = 2
"""Changes whenever the same setting and attack give other numbers."""

NO_ATTACK, NO_ATTACK_INVERTED, NO_ATTACK_HOG = "no-attack", "no-attack-inverted", "no-attack-hog"
CLASSICAL, NETWORK, STEMS = "parrot-classical", "parrot-cnn", "parrot-two-stems"
INFORMED, INVERSION, DECODER = "parrot-informed", "inversion", "decoder"
ATTACKS = (
    NO_ATTACK, NO_ATTACK_INVERTED, NO_ATTACK_HOG,
    CLASSICAL, INFORMED, NETWORK, STEMS, INVERSION, DECODER,
)  # fmt: skip
ONLY_AT = dict.fromkeys((NETWORK, STEMS, INVERSION, DECODER), ("sobel-64",))
"""Settings that the slowest attacks are run at by default."""
FEWER = {DECODER: 2}
"""Pictures of a person that an attack looks at, where all would take too long."""
BASES = {"colours": (STEMS, INVERSION), "moduli": (NETWORK, STEMS), "any": (INFORMED,)}
"""The shared networks, and which attacks go on from them."""

BASE = replace(parrot.CNN, epochs=20)
ANY = replace(WITH_CODES, epochs=20)
"""The informed network of all settings, one drawn for each step, and how it goes on at one."""
AT_ONE = replace(WITH_CODES, epochs=6)


@dataclass(frozen=True)
class Size:
    """How large the study is."""

    people: int = 100  # who are named
    group: str = "fresh"  # theirs
    attackers: int = 200  # people whose portraits the attacker has
    # network, base, painting: how parrots, the shared networks before them, and learned inversion
    # are trained.
    network: Learning = parrot.CNN
    base: Learning = BASE
    # any, at_one: the informed network, of all settings and then of one.
    painting: learned_inversion.Painting = learned_inversion.DEFAULT
    any: Learning = ANY
    at_one: Learning = AT_ONE
    scored_by: str = "arcface_cnn"  # the recogniser of clean pictures that looks
    resamples: int = 1000  # of an interval


FULL = Size()
FEW = Learning("arcface", epochs=3, batch=32)
LITTLE = Size(
    people=12, group="evaluation", attackers=10, network=FEW, base=FEW, any=FEW, at_one=FEW,
    painting=learned_inversion.SMALL, resamples=200,
)  # fmt: skip
"""For a test: minutes. It shows that the study runs, and no more."""


def score(attack: Attack, test: faces.FaceDataset, resamples: int, seed: int = 0) -> dict[str, Any]:
    """Rates of an attack on people whom it never saw.

    Returns:
        variant -> rank1, rank5, tar (at FAR 1e-3), eer, auc of single pictures, and release: rank-1
        of all a person's pictures fused. Each [value, low, high], or {"why": ...}.
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
        who, together = fused_each(vectors, probes.identity)
        single, release = (
            compare(found, people, known, gallery.identity, (found.norm(dim=1) > 0).numpy())
            for found, people in ((vectors, probes.identity), (together, who))
        )
        named = identification(single, resamples=resamples)
        pairs = verification(single, fars=(1e-3,), resamples=resamples)
        whole = identification(release, ranks=(1,), resamples=resamples)
        rates = {
            "rank1": named.rank[1],
            "rank5": named.rank[5],
            "release": whole.rank[1],
            "tar": pairs.tar_at_far[1e-3],
            "eer": pairs.eer,
            "auc": pairs.auc,
        }
        out[variant] = {name: rate.stored() for name, rate in rates.items()}
    return out


def job(given: tuple[str, str, Size, str]) -> dict[str, Any]:
    """Train one attack for one setting, and test it."""
    name, attack, size, folder = given
    began = time.perf_counter()
    made = _attack(name, attack, size, folder)
    trained = round(time.perf_counter() - began, 1)
    operator, pixels = setting(name)
    test = _fewer(portraits(size.group, size), FEWER.get(attack, faces.GALLERY.views))
    return {
        "setting": name,
        "operator": operator.to_dict(),
        "pixels": pixels,
        "attack": attack,
        "card": asdict(made.card),
        "seconds_to_train": trained,
        "people": size.people,
        "views": FEWER.get(attack, faces.GALLERY.views),
        **score(made, test, size.resamples),
    }


def _fewer(test: faces.FaceDataset, views: int) -> faces.FaceDataset:
    """All but what goes beyond so many views of each person."""
    import pandas as pd

    rows = pd.DataFrame({"who": test.identity, "role": test.role})
    place = torch.tensor(rows.groupby(["who", "role"]).cumcount().to_numpy())
    return test.only((test.role != 1) | (place < views))


def _attack(name: str, attack: str, size: Size, folder: str) -> Attack:
    """The attack, trained where it learns."""
    operator, pixels = setting(name)
    if attack in (NO_ATTACK, NO_ATTACK_INVERTED, NO_ATTACK_HOG):
        one = recogniser("hog_lda" if attack == NO_ATTACK_HOG else size.scored_by)
        return no_attack(one, operator, size=pixels, inverted=attack == NO_ATTACK_INVERTED)
    if attack == INFORMED:
        return parrot.informed_parrot(
            many(size), operator, size=pixels, learning=size.at_one,
            start=shared("any", size, folder),
        )  # fmt: skip
    others = portraits("attacker", size).views()
    if attack == CLASSICAL:
        return parrot.classical_parrot(others, operator, size=pixels)
    if attack in BASES["moduli"]:
        names = ("moduli",) if attack == NETWORK else ("moduli", "colours")
        start = tuple(shared(name, size, folder) for name in names)
        return parrot.network_parrot(
            others, operator, stems=len(start), size=pixels, learning=size.network, start=start
        )
    if attack == DECODER:
        return decoder.attack(decoder.learn(others), recogniser(size.scored_by), operator)
    return learned_inversion.learned_inversion(
        others, operator, recogniser(size.scored_by), size.painting, size=pixels,
        eyes=shared("colours", size, folder),
    )  # fmt: skip


def base(given: tuple[str, Size, str]) -> dict[str, Any]:
    """Train a network that many jobs go on from.

    Of colours, of moduli of the plain operator, or, with the codes, of moduli of any setting. The
    last goes on from a recogniser of clean pictures, which learned from the same people.
    """
    name, size, folder = given
    if name == "any":
        much = many(size)
        start = learn.of_moduli(network_in(WEIGHTS / f"{size.scored_by}.safetensors"))
        network = learn.train_network(much, size.any, protect=_any, start=start)
        write_tensors(_path(folder, name), network.state_dict(), {})
        return {"name": name, "portraits": len(much), "learning": asdict(size.any)}
    others = portraits("attacker", size).views()
    operator = None if name == "colours" else Operator()
    (network,) = parrot.network_parrot(others, operator, learning=size.base).networks
    write_tensors(_path(folder, name), network.state_dict(), {})
    return {"name": name, "portraits": len(others), "learning": asdict(size.base)}


def many(size: Size) -> faces.FaceDataset:
    """Portraits of the people whose codes the informed attacker knows.

    Its own, and more of the group that the recogniser learned from, from which its network starts.
    """
    more = faces.face_dataset(
        faces.people("recogniser", 4 * size.attackers), faces.MANY, folder=faces.cache_folder(),
        workers=1,
    )  # fmt: skip
    return faces.FaceDataset.join([portraits("attacker", size).views(), more])


def _any(pictures: Tensor, random: torch.Generator) -> Tensor:
    """Pictures protected by a setting drawn for every 16 of them, 64 pixels again."""
    names, parts = list(SETTINGS), []
    for part in pictures.split(16):
        drawn = torch.randint(len(names), (1,), generator=random)
        protect = learn.protecting(*setting(names[int(drawn)]))
        parts.append(resized(protect(part, random), 64))
    return torch.cat(parts)


def shared(name: str, size: Size, folder: str) -> FaceNetwork:
    """A network of `base`; made again where this machine doesn't have it."""
    if not _path(folder, name).is_file():
        base((name, size, folder))
    return network_in(_path(folder, name))


def _path(folder: str, name: str) -> Path:
    return Path(folder) / "base" / f"{name}.safetensors"


def people(size: Size) -> dict[str, tuple[int, ...]]:
    """Whom attacks are tested on, and whom they learn from."""
    return {
        size.group: faces.people(size.group, size.people),
        "attacker": faces.people("attacker", size.attackers),
    }


def portraits(
    group: str, size: Size, *, workers: int | None = 1, progress: bool = False
) -> faces.FaceDataset:
    """Portraits of a group of `people`, made where the cache hasn't them."""
    plan = faces.GALLERY if group == size.group else faces.LEARNING
    return faces.face_dataset(
        people(size)[group], plan, folder=faces.cache_folder(), workers=workers, progress=progress
    )
