"""Attacks on released artefacts, scored: three groups that a study runs side by side.

Probes are people of the group "evaluation", one embedding each, held against a gallery of more of
them. Attacks learned from the group "attacker".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.studies.artefact_pictures import Artefacts, Looking, read_artefacts
from benchmarks.studies.guessed import three
from benchmarks.studies.reconstructed_heads import FULL_RGB, Made
from privhead_nb.errors import LabError
from privhead_nb.lab import faces
from privhead_nb.lab.attacker_data import AttackerData, attacker_data
from privhead_nb.lab.attacks import field_renders, mesh_shape, neutral_views
from privhead_nb.lab.attacks.probe import fused, in_batches, per_person
from privhead_nb.lab.protocol import compare, identification, rank_hits
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers.learn import train_projection
from privhead_nb.lab.recognisers.stored import shipped
from privhead_nb.lab.settings import DEFAULT

Rates = dict[str, Any]
SUBSETS = ("all", "inner", "outermost")
OUTERMOST = 115.0
"""Degrees from the front up to which a neutral view shows a sliver of the profile: facescape's and
the orbit's rig have views at 105 degrees, H3DS's at 108."""
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
    folder: str = field(default_factory=lambda: str(faces.cache_folder()))
    small: bool = False

    def made(self, **how: Any) -> tuple[AttackerData, AttackerData, faces.FaceDataset, Any]:
        """Data of known people and of the attacker's, and the portraits of both, made and kept."""
        known = faces.people("evaluation", self.gallery)
        others, folder = faces.people("attacker", self.others), Path(self.folder)
        return (
            attacker_data(known, folder=folder, **how),
            attacker_data(others, folder=folder, **how),
            faces.face_dataset(known, faces.GALLERY, folder=folder, **how),
            faces.face_dataset(others, faces.LEARNING, folder=folder, **how),
        )


def work(job: tuple[str, Study, tuple[Made, ...]]) -> dict[str, Any]:
    """One of GROUPS, on the reconstructions of a study."""
    name, study, made = job
    return GROUPS[name](study, made)


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
        drawn.append(float(rank_hits(replace(similar, gallery=other), [1])[0].mean()))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "probes": len(who),
        "gallery": found.gallery_identities,
        **{f"rank{k}": three(rate) for k, rate in found.rank.items()},
        "chance": round(found.chance[1], 4),
        "shuffled_rank1": [round(float(x), 4) for x in (np.mean(drawn), low, high)],
    }


def subset(yaw: Tensor, which: str) -> Tensor:
    """Indices of neutral views at `yaw` (V,) degrees: "all", "inner" or "outermost".

    Raises:
        LabError: no such view.
    """
    away = ((yaw + 180) % 360 - 180).abs()
    masks = {"all": away >= 0, "inner": away > OUTERMOST, "outermost": away <= OUTERMOST}
    if not bool(masks[which].any()):
        raise LabError(f"there are no {which!r} views", where="neutral views")
    return masks[which].nonzero()[:, 0]


def neutral_group(study: Study, made: Sequence[Made]) -> dict[str, Any]:
    """The neutral views, against galleries from behind and from the front."""
    known, others, portraits, learned = study.made()
    fronts = portraits.frontals()
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
        for v, variant in enumerate(faces.VARIANTS):
            if "rear" in name:
                gallery, names = per_person(attack.enrol, known.behind[:, :, v].float() / 255), who
            else:
                gallery = in_batches(attack.enrol, fronts.rgb(variant))
                names = fronts.identity.tolist()
            for which in SUBSETS:
                views = subset(known.neutral_yaw, which)
                probe = per_person(attack.probe, known.neutral[:, views, v].float() / 255)
                own[f"{variant}, {which} views"] = scores(probe, who, gallery, names)
            if variant == "whole" and seen:
                probe = torch.stack([fused(in_batches(attack.probe, x)) for x in seen.values()])
                own["traced releases, all views"] = scores(probe, [*seen], gallery, names)
        found[name] = own
    return found


def shape_group(study: Study, made: Sequence[Made]) -> dict[str, Any]:
    """Meshes, against true scans and against frontal pictures."""
    known, others, portraits, learned = study.made()
    fronts, how = portraits.frontals(), mesh_shape.ShapeLearning(steps=study.steps)
    same = mesh_shape.of_same_people(learned, others)
    attacks = {
        "mesh, matching of the head": mesh_shape.matching(others),
        "mesh, matching of the face": mesh_shape.matching(others, face_only=True),
        "mesh, network": mesh_shape.learn_network(others.scan, None, how),
        "mesh, two stems": mesh_shape.learn_network(others.scan, same, how),
    }
    random = torch.Generator().manual_seed(5)
    found: dict[str, Any] = {}
    for name, attack in attacks.items():
        pictures = name == "mesh, two stems"
        gallery = in_batches(attack.enrol, fronts.rgb() if pictures else known.scan)
        names = (fronts if pictures else known).identity.tolist()
        rough = in_batches(attack.probe, _rough(known.scan, random))
        control = scores(rough, known.identity.tolist(), gallery, names)
        own: dict[str, Any] = {"card": asdict(attack.card), "control: roughened scans": control}
        for setting, some in _by_setting(made).items():
            probe = in_batches(attack.probe, torch.stack([a.scan for a in some]))
            own[setting] = scores(probe, [a.identity for a in some], gallery, names)
        found[name] = own
    return found


def _rough(scans: Tensor, random: torch.Generator) -> Tensor:
    """Scans with a little noise on their normals, as int8: so that no scan finds itself."""
    noise = torch.randn(scans.shape, generator=random) * 12.0
    return (scans.float() + noise * (scans != 0)).round().clamp(-127, 127).to(torch.int8)


def picture_group(study: Study, made: Sequence[Made]) -> dict[str, Any]:
    """Pictures made of fields and meshes, against frontal pictures."""
    _, _, portraits, learned = study.made()
    fronts, views = portraits.frontals(), portraits.views()
    ordinary = [field_renders.by_recogniser(r) for r in _recognisers(study, learned)]
    blind = field_renders.learn_colour_blind(learned, steps=study.steps)
    names, found = fronts.identity.tolist(), {}
    by_setting = _by_setting(made)
    for attack in [*ordinary, blind]:
        gallery = in_batches(attack.enrol, fronts.rgb())
        probe = in_batches(attack.probe, views.rgb())
        control = scores(probe, views.identity.tolist(), gallery, names)
        own: dict[str, Any] = {"card": asdict(attack.card), "control: unprotected views": control}
        for setting, some in by_setting.items():
            own[setting] = {}
            for kind in ("sensitive", "portraits", "refit", "plain", "moduli"):
                if not len(getattr(some[0], kind)):
                    continue
                each = [fused(in_batches(attack.probe, _rgb(getattr(a, kind)))) for a in some]
                who = [a.identity for a in some]
                own[setting][kind] = scores(torch.stack(each), who, gallery, names)
        found[attack.card.attack.removeprefix("field renders, ")] = own
    return found


def _rgb(pictures: Tensor) -> Tensor:
    """Moduli (V, H, H) become grey pictures, dark lines on white."""
    if pictures.dim() == 4:
        return pictures
    dark = 1 - (pictures / pictures.amax().clamp_min(1e-6)).sqrt()
    return dark[..., None].expand(*dark.shape, 3)


def _recognisers(study: Study, learned: faces.FaceDataset) -> tuple[Recogniser, ...]:
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
