"""Attacks on a reconstruction's folder, by name: mesh, field, and colours fitted on the mesh."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab import albums, known_people
from privhead_nb.lab.attack_names import OF_SCANS
from privhead_nb.lab.attacks import field_renders, mesh_shape
from privhead_nb.lab.attacks.field_renders import PictureAttack, portrait_cameras, renders
from privhead_nb.lab.attacks.identify import in_batches
from privhead_nb.lab.attacks.radiance_refit import Refit, card, learn_skins, refit
from privhead_nb.lab.attacks_on_releases import SCORED_BY, How, captured
from privhead_nb.lab.known_people import Known
from privhead_nb.lab.naming import Held
from privhead_nb.lab.recognition.stored import recogniser
from privhead_nb.lab.scans import Axes, scan_of_mesh
from privhead_nb.privacy.released import Release
from privhead_nb.training.reconstruction import Reconstruction

WHY = (
    "it would take reconstructions of other people: python benchmarks/studies/artefact.py run "
    "measures rates"
)


def hold(name: str, folder: Path, known: Known, how: How, release: Path | None = None) -> Held:
    """Train the attack `name`, and hold its vector of a reconstruction against a gallery.

    Args:
        name: of `attack_names.ON_RECONSTRUCTIONS`.
        folder: what `privhead reconstruct` wrote.
        known: the gallery.
        how: settings.
        release: what it was made from: for radiance-refit, and for axes other than +y and +z.

    Raises:
        LabError: no mm, no release where one is needed, a folder of pictures where shapes are.
        TrainingError: the folder holds no whole reconstruction.
    """
    if name in OF_SCANS and not known.made:
        raise LabError(
            "this attack compares shapes, and a folder of pictures has none",
            where=name,
            remedy="Use mesh-two-stems, or give --gallery a number of made people.",
        )
    if name == "radiance-refit" and release is None:
        raise LabError(
            "the colours are fitted to a release, and none is named",
            where=name,
            remedy="Name the release that the head was made from: --release FOLDER.",
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
    if name.startswith("mesh"):
        axes = Axes() if source is None else Axes(source.up, source.front)
        return _mesh(name, made, axes, known, how)
    if name == "radiance-refit":
        assert source is not None
        return _refitted(made, source, known, how)
    if name == "field-renders":
        attack = field_renders.by_recogniser(recogniser(SCORED_BY))
    else:
        album = known_people.attackers(how.people, workers=how.workers)
        attack = field_renders.learn_colour_blind(album, seed=how.seed, progress=how.progress)
    pictures = renders(made, portrait_cameras(made.center))
    return _seen(attack, pictures, known)


def _mesh(name: str, made: Reconstruction, axes: Axes, known: Known, how: How) -> Held:
    others = captured(albums.people("attacker", how.people), how)
    learning = mesh_shape.ShapeLearning(seed=how.seed)
    gallery, who = known.gallery.rgb(), known.gallery.identity
    if name == "mesh-two-stems":
        album = known_people.attackers(how.people, workers=how.workers)
        attack = mesh_shape.learn_two_stems(others, album, learning, progress=how.progress)
    else:
        gallery, who = captured(known.made, how).scan, torch.arange(len(known.made))
        attack = (
            mesh_shape.matching(others)
            if name == "mesh-matching"
            else mesh_shape.learn_network(others, learning, progress=how.progress)
        )
    return Held(
        card=attack.card,
        one=_unit(attack.probe(scan_of_mesh(made.mesh, axes)[None]))[0],
        views=1,
        known=_unit(attack.enrol(gallery)),
        who=who,
        why=WHY,
    )


def _refitted(made: Reconstruction, release: Release, known: Known, how: How) -> Held:
    """Colours of other people's skins, fitted on the mesh, before a recogniser."""
    judge = recogniser(SCORED_BY)
    skins = learn_skins(captured(albums.people("attacker", how.people), how))
    settings = Refit()
    fitted = refit(release, made.mesh, skins, settings)
    attack = PictureAttack(card(skins, settings), lambda x: judge.embed(x)[0])
    return _seen(attack, fitted.portraits, known)


def _seen(attack: PictureAttack, pictures: Tensor, known: Known) -> Held:
    """Pictures (V, H, H, 3) of one person, held against the gallery's."""
    return Held(
        card=attack.card,
        one=attack.person(pictures),
        views=len(pictures),
        known=in_batches(attack.embed, known.gallery.rgb()),
        who=known.gallery.identity,
        why=WHY,
    )


def _unit(vectors: Tensor) -> Tensor:
    return F.normalize(vectors.float(), dim=1)
