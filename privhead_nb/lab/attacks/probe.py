"""The probe embedding of a release: one vector of all that it shows of a protected face.

Each view gives a unit vector; their mean is steadier than any of them, above all where the operator
adds noise, which differs from view to view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Attack
from privhead_nb.lab.framing import DISTANCE, FOV, yaw_of
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release

YAW_LIMIT = 45.0  # degrees; recognisers are held to pictures up to there
BATCH = 256


def probe_embedding(attack: Attack, release: Release) -> Tensor:
    """One unit vector (D,) of all released moduli within YAW_LIMIT degrees of the front.

    Raises:
        LabError: the release has no such view, or its operator or size isn't the attack's.
    """
    check_aim(attack, release)
    return fused(in_batches(attack.probe, framed(release, views_in_front(release))))


def fused(vectors: Tensor) -> Tensor:
    """(..., N, D) of one person -> the unit vectors along the mean of the unit vectors."""
    return F.normalize(F.normalize(vectors, dim=-1).mean(-2), dim=-1)


def fused_each(vectors: Tensor, identity: Tensor) -> tuple[Tensor, Tensor]:
    """Who is seen (P,), ascending, and (P, D) their pictures' vectors (N, D) fused."""
    who = torch.unique(identity)
    return who, torch.stack([fused(vectors[identity == i]) for i in who])


def in_batches(function: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    """Unit vectors (N, D) of pictures (N, ...), some hundred at a time, without a graph."""
    with torch.no_grad():
        found = [function(part).float() for part in pictures.split(BATCH)]
    return F.normalize(torch.cat(found), dim=1)


def check_aim(attack: Attack, release: Release) -> None:
    """Raise LabError where a release is not protected as the attack expects."""
    if attack.operator is None:
        raise LabError(
            "this attack is a control on unprotected pictures, and a release has none of a face",
            where=attack.card.attack,
            remedy=f"Train it for the release's operator: {release.operator}.",
        )
    unlike = [
        f"{f.name} {getattr(release.operator, f.name)!r}, not {getattr(attack.operator, f.name)!r}"
        for f in fields(Operator)
        if getattr(release.operator, f.name) != getattr(attack.operator, f.name)
    ]
    if release.size != attack.size:
        unlike.append(f"size {release.size}, not {attack.size}")
    if unlike:
        raise LabError(
            f"the release has {'; '.join(unlike)} as the attack expects",
            where=attack.card.attack,
            remedy="Train the attack with the release's operator and size.",
        )


def views_in_front(release: Release) -> list[int]:
    """Rows of `release.moduli` whose camera stands within YAW_LIMIT degrees of the front.

    The angle is measured around the head's upright axis; how high the camera stands is no matter.

    Raises:
        LabError: there is none.
    """
    if len(release.sensitive) == 0:
        raise LabError(
            "the release has no sensitive views: nothing in it shows a protected face",
            where="release",
            remedy="Attack its neutral views instead, or protect views of the face.",
        )
    yaw = sides(release).abs()
    rows = (yaw <= YAW_LIMIT + 1e-6).nonzero()[:, 0].tolist()
    if not rows:
        raise LabError(
            f"no sensitive view is within {YAW_LIMIT:g} degrees of the front; the nearest is "
            f"{float(yaw.min()):.0f} degrees off",
            where="release",
            remedy="Attack its neutral views instead, or protect views from nearer to the front.",
        )
    return rows


def sides(release: Release) -> Tensor:
    """(S,) degrees to the right of the front, -180 to 180, of the sensitive views' cameras."""
    cameras = release.cameras[list(release.sensitive)]
    return yaw_of(cameras, release.center, (release.up, release.front))


def framed(release: Release, rows: list[int]) -> Tensor:
    """Moduli (N, H, H) of `rows`, enlarged or reduced so that a head is as large as in a portrait.

    A release in another unit than mm is taken as it is.
    """
    moduli = release.moduli[rows]
    if release.unit != "mm":
        return moduli
    # of what is seen: 0.9 shows a tenth less, enlarged
    zoom = (1 / widths(release, [release.sensitive[row] for row in rows])).float()
    if bool(((zoom - 1).abs() < 0.03).all()):
        return moduli
    place = torch.zeros(len(rows), 2, 3)
    place[:, 0, 0] = place[:, 1, 1] = zoom
    grid = F.affine_grid(place, [len(rows), 1, release.size, release.size], align_corners=False)
    return F.grid_sample(moduli[:, None], grid, align_corners=False)[:, 0]


def widths(release: Release, views: Sequence[int]) -> Tensor:
    """(V,) how wide views are at the head, as multiples of a portrait's 392 mm."""
    cameras = release.cameras[list(views)]
    away = (cameras.centers - cameras.centers.new_tensor(release.center)).norm(dim=1)
    portrait = 2 * DISTANCE * torch.tan(torch.deg2rad(torch.tensor(FOV / 2)))
    return release.size * away / cameras.K[:, 0, 0] / portrait


def per_person(function: Callable[[Tensor], Tensor], pictures: Tensor) -> Tensor:
    """(P, D) unit vectors of people, each seen in V pictures (P, V, H, H, 3).

    Raises:
        LabError: no picture.
    """
    if pictures.dim() != 5 or pictures.shape[1] == 0:
        raise LabError(
            f"pictures of shape {tuple(pictures.shape)}, not (P, V, H, H, 3)",
            where="attack",
            remedy="Give at least one picture of each person.",
        )
    found = in_batches(function, pictures.flatten(0, 1))
    return fused(found.reshape(*pictures.shape[:2], -1))
