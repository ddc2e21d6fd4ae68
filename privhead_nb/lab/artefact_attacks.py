"""Attacks on released artefacts, scored: three groups that a study runs side by side.

Probes are people of the group "evaluation", one vector each, held against a gallery of more of
them. Attacks learned from the group "attacker".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.lab import albums, captures
from privhead_nb.lab.artefacts import Artefacts, Looking, read_artefacts
from privhead_nb.lab.attacks import field_renders, mesh_shape, neutral_views
from privhead_nb.lab.identification import rank_hits
from privhead_nb.lab.protocol import compare, identification
from privhead_nb.lab.recognition import Recogniser
from privhead_nb.lab.recognition.learn import train_projection
from privhead_nb.lab.recognition.stored import shipped
from privhead_nb.lab.reconstructions import FULL_RGB, Made
from privhead_nb.lab.settings import DEFAULT

Rates = dict[str, Any]
SUBSETS = ("all", "inner", "outermost")
SHUFFLES = 200  # draws of names for the null control


@dataclass(frozen=True)
class Study:
    """Sizes.

    Args:
        people: reconstructed, the first of "evaluation".
        gallery: known people, the first of "evaluation".
        others: the attacker's people.
        settings: names in SETTINGS, or FULL_RGB.
        profile: of reconstructions.
        epochs, steps: of the attacks' networks.
        looking: how artefacts are made.
        folder: where all is kept.
        small: recognisers are trained here, in seconds, instead of read.
    """

    people: int = 10
    gallery: int = 100
    others: int = 200
    settings: tuple[str, ...] = (DEFAULT,)
    profile: str = "cpu"
    epochs: int = 12
    steps: int = 600
    looking: Looking = field(default_factory=Looking)
    folder: str = field(default_factory=lambda: str(albums.cache_folder()))
    small: bool = False

    def known(self) -> tuple[int, ...]:
        """Who is in the gallery."""
        return albums.people("evaluation", self.gallery)


# Scores -------------------------------------------------------------------------------------------


def scores(probe: Tensor, who: Sequence[int], gallery: Tensor, known: Sequence[int]) -> Rates:
    """Rank-1 and rank-5 with 95 % intervals, and rank-1 where the gallery's names are drawn anew.

    The last is the null control: its mean over SHUFFLES draws, and between which values 95 % of
    them lie. Chance must be among these.
    """
    similar = compare(
        probe.double().numpy(), np.array(who), gallery.double().numpy(), np.array(known)
    )
    found = identification(similar)
    random, names = np.random.default_rng(0), np.unique(known)
    drawn = []
    for _ in range(SHUFFLES):
        other = random.permutation(names)[np.searchsorted(names, similar.gallery)]
        again = replace(similar, gallery=other)
        drawn.append(float(rank_hits(again, [1])[0].mean()))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "probes": len(who),
        "gallery": found.gallery_identities,
        **{f"rank{k}": _rate(rate) for k, rate in found.rank.items()},
        "chance": round(found.chance[1], 4),
        "shuffled_rank1": [round(float(x), 4) for x in (np.mean(drawn), low, high)],
    }


def _rate(rate: Any) -> list[float] | str:
    if not rate.known:
        return str(rate.why)
    return [round(float(v), 4) for v in (rate.value, rate.low, rate.high)]


# Attacks, one group a job -------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """One of GROUPS, and what it works on."""

    name: str
    study: Study
    made: tuple[Made, ...]


def work(group: Group) -> dict[str, Any]:
    """A job of a study."""
    return GROUPS[group.name](group.study, group.made)


def _captured(study: Study) -> tuple[captures.Captures, captures.Captures]:
    folder = Path(study.folder)
    return (
        captures.make_captures(study.known(), folder=folder),
        captures.make_captures(albums.people("attacker", study.others), folder=folder),
    )


def _album(study: Study, group: str) -> albums.Album:
    count, plan = {
        "evaluation": (study.gallery, albums.GALLERY),
        "attacker": (study.others, albums.LEARNING),
    }[group]
    return albums.make_album(albums.people(group, count), plan, folder=Path(study.folder))


def neutral_group(study: Study, made: Sequence[Made]) -> dict[str, Any]:
    """The neutral views, against galleries from behind and from the front."""
    known, others = _captured(study)
    fronts, learned = _album(study, "evaluation").frontals(), _album(study, "attacker")
    attacks = {
        "network, rear gallery": neutral_views.learn_network(others, epochs=study.epochs),
        "network, frontal gallery": neutral_views.learn_network(
            others, learned, epochs=study.epochs
        ),
        "palette, rear gallery": neutral_views.learn_palette(others),
        "palette, frontal gallery": neutral_views.learn_palette(others, learned),
    }
    who = known.identity.tolist()
    seen = {m.identity: read_artefacts(m).neutral for m in made if m.setting != FULL_RGB}
    found: dict[str, Any] = {}
    for name, attack in attacks.items():
        own: dict[str, Any] = {"card": asdict(attack.card)}
        for v, variant in enumerate(albums.VARIANTS):
            if "rear" in name:
                gallery, names = attack.person(known.behind[:, :, v].float() / 255), who
            else:
                gallery = attack.person(fronts.rgb(variant)[:, None])
                names = fronts.identity.tolist()
            for subset in SUBSETS:
                views = neutral_views.shown(known.neutral_yaw, subset)
                probe = attack.person(known.neutral[:, views, v].float() / 255)
                own[f"{variant}, {subset} views"] = scores(probe, who, gallery, names)
            if variant == "whole" and seen:
                probe = torch.cat([attack.person(x[None]) for x in seen.values()])
                own["traced releases, all views"] = scores(probe, [*seen], gallery, names)
        found[name] = own
    return found


def shape_group(study: Study, made: Sequence[Made]) -> dict[str, Any]:
    """Meshes, against true scans and against frontal pictures."""
    known, others = _captured(study)
    fronts, learned = _album(study, "evaluation").frontals(), _album(study, "attacker")
    how = mesh_shape.ShapeLearning(steps=study.steps)
    scans = {
        "mesh, matching of the head": mesh_shape.matching(others),
        "mesh, matching of the face": mesh_shape.matching(others, face_only=True),
        "mesh, network": mesh_shape.learn_network(others, how),
    }
    stems = mesh_shape.learn_two_stems(others, learned, how)
    random = torch.Generator().manual_seed(5)
    found: dict[str, Any] = {}
    for name, attack in {**scans, "mesh, two stems": stems}.items():
        pictures = name == "mesh, two stems"
        gallery = attack.enrol(fronts.rgb() if pictures else known.scan)
        names = (fronts if pictures else known).identity.tolist()
        rough = _rough(known.scan, random)
        control = scores(attack.probe(rough), known.identity.tolist(), gallery, names)
        own: dict[str, Any] = {"card": asdict(attack.card), "control: roughened scans": control}
        for setting, some in _by_setting(made).items():
            probe = attack.probe(torch.stack([a.scan for a in some]))
            own[setting] = scores(probe, [a.identity for a in some], gallery, names)
        found[name] = own
    return found


def _rough(scans: Tensor, random: torch.Generator) -> Tensor:
    """Scans with a little noise on their normals, as int8: so that no scan finds itself."""
    noise = torch.randn(scans.shape, generator=random) * 12.0
    return (scans.float() + noise * (scans != 0)).round().clamp(-127, 127).to(torch.int8)


def picture_group(study: Study, made: Sequence[Made]) -> dict[str, Any]:
    """Pictures made of fields and meshes, against frontal pictures."""
    evaluation, learned = _album(study, "evaluation"), _album(study, "attacker")
    fronts, views = evaluation.frontals(), evaluation.views()
    ordinary = [field_renders.by_recogniser(one) for one in _recognisers(study, learned)]
    blind = field_renders.learn_colour_blind(learned, steps=study.steps)
    names, found = fronts.identity.tolist(), {}
    by_setting = _by_setting(made)
    for attack in [*ordinary, blind]:
        gallery = _vectors(attack.embed, fronts.rgb())
        control = scores(
            _vectors(attack.embed, views.rgb()), views.identity.tolist(), gallery, names
        )
        own: dict[str, Any] = {"card": asdict(attack.card), "control: unprotected views": control}
        for setting, some in by_setting.items():
            own[setting] = {}
            for kind in ("sensitive", "portraits", "refit", "plain", "moduli"):
                if not len(getattr(some[0], kind)):
                    continue
                probe = torch.stack([attack.person(_rgb(getattr(a, kind))) for a in some])
                own[setting][kind] = scores(probe, [a.identity for a in some], gallery, names)
        found[attack.card.attack.removeprefix("field renders, ")] = own
    return found


def _rgb(pictures: Tensor) -> Tensor:
    """Moduli (V, H, H) become grey pictures, dark lines on white."""
    if pictures.dim() == 4:
        return pictures
    dark = 1 - (pictures / pictures.amax().clamp_min(1e-6)).sqrt()
    return dark[..., None].expand(*dark.shape, 3)


def _vectors(embed: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([embed(part) for part in pictures.split(256)])


def _recognisers(study: Study, learned: albums.Album) -> tuple[Recogniser, ...]:
    if not study.small:
        return shipped()
    quick = train_projection(learned, "pixels", width=10)
    return (Recogniser("quick", quick, f"trained here on {study.others} people"),)


def _by_setting(made: Sequence[Made]) -> dict[str, list[Artefacts]]:
    found: dict[str, list[Artefacts]] = {}
    for one in made:
        found.setdefault(one.setting, []).append(read_artefacts(one))
    return found


GROUPS = {"neutral": neutral_group, "shape": shape_group, "pictures": picture_group}
