"""A released mesh as a leak: who has this shape, without any colour.

Meshes become aligned scans (`attacker_data.py`), which are held against

    matching    true scans, pixel by pixel; learns only what is common to all heads
    network     the same, embedded by a network that learned on roughened true scans
    two stems   frontal RGB pictures, by two networks that learned to agree
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.attacker_data import AttackerData
from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.fit import fit_identities
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.learn import disturbed
from privhead_nb.lab.recognisers.network import ArcFace, FaceNetwork

FACE = (slice(14, 50), slice(18, 46))
"""Rows and columns of a frontal scan that hold brows to chin, but little hair."""
NETWORK = "mesh, network"
FRONT = 1  # which of a scan's sides
TRUE_SCANS = "true scans of known people at rest; the release's axes"


def matching(others: AttackerData, *, face_only: bool = False) -> Attack:
    """Difference to the mean head, in units of how much others' heads differ there.

    With `face_only` the frontal side's middle alone, so that hair and ears hardly count.
    """
    flat = _flat(others.scan, face_only)
    mean, spread = flat.mean(0), flat.std(0) + 0.05

    def embed(scans: Tensor) -> Tensor:
        return (_flat(scans, face_only) - mean) / spread

    card = Card(
        attack=f"mesh, matching of {'the face' if face_only else 'the head'}",
        knowledge=TRUE_SCANS,
        data=f"mean and spread of {len(others)} other people's scans",
        cost="a picture of normals and depth from three sides",
    )
    return Attack(card, embed, embed)


def _flat(scans: Tensor, face_only: bool) -> Tensor:
    """(N, F) of scans (N, 3, S, S, 4), smoothed as reconstructions are."""
    x = as_channels(scans)
    x = F.avg_pool2d(x.flatten(0, 1), 3, stride=1, padding=1).reshape(x.shape)
    if face_only:
        x = x[:, FRONT, :, FACE[0], FACE[1]]
    return x.flatten(1)


def as_channels(scans: Tensor) -> Tensor:
    """(N, 3, S, S, 4) int8 -> (N, 3, 4, S, S) float32, about -1 to 1."""
    return scans.float().div(127).movedim(-1, -3)


def roughened(x: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Scans (N, 4, S, S) of one side as a reconstruction might give them, and which are mirrored.

    They are shifted by up to 2 pixels, blurred, and given the normals of a smooth random relief.
    """
    n, _, size, _ = x.shape
    mirrored = torch.rand(n, generator=random) < 0.5
    flipped = x.flip(3) * torch.tensor([-1.0, 1.0, 1.0, 1.0])[:, None, None]
    x = torch.where(mirrored[:, None, None, None], flipped, x)
    moves = torch.randint(-2, 3, (n, 2), generator=random).tolist()
    x = torch.stack([scan.roll((a, b), (1, 2)) for scan, (a, b) in zip(x, moves, strict=True)])
    soft = F.avg_pool2d(F.avg_pool2d(x, 3, 1, 1), 3, 1, 1)
    share = torch.rand(n, 1, 1, 1, generator=random)
    x = share * soft + (1 - share) * x
    there = (x[:, :3].norm(dim=1, keepdim=True) > 0.5).float()
    bumps = torch.zeros(n, 4, size, size)
    for cells in (8, 16):
        strength = 0.25 * torch.rand(n, 1, 1, 1, generator=random)
        rough = torch.randn(n, 4, cells, cells, generator=random)
        bumps += strength * F.interpolate(rough, size=size, mode="bicubic", align_corners=False)
    bumps[:, 3] *= 0.15
    x = x + bumps * there
    normals = F.normalize(x[:, :3], dim=1) * there
    return torch.cat([normals, x[:, 3:]], 1), mirrored.long()


@dataclass(frozen=True)
class ShapeLearning:
    """How the networks are trained."""

    steps: int = 600  # of the optimiser
    batch: int = 96  # scans (and pictures) in each
    rate: float = 2e-3  # highest learning rate
    seed: int = 0  # of everything random


def learn_network(
    others: Tensor,
    pictures: tuple[FaceDataset, Tensor] | None = None,
    learning: ShapeLearning | None = None,
    *,
    progress: bool = False,
) -> Attack:
    """A network that tells the attacker's scans apart, however rough they are, looks at meshes.

    Args:
        others: (P, 3, S, S, 4) scans of other people.
        pictures: portraits of the same people, as `of_same_people` gives them: a second network
            (stem) for RGB pictures learns to put each person in the same place, and the gallery
            then holds pictures.
        learning, progress: of the training.
    """
    chosen = ShapeLearning() if learning is None else learning
    torch.manual_seed(chosen.seed)
    random = torch.Generator().manual_seed(chosen.seed)
    people, scans = len(others), as_channels(others)
    stems, centres = [FaceNetwork(4)], ArcFace(2 * people)
    if pictures is not None:
        stems.append(FaceNetwork(3))

    def batch() -> tuple[list[Tensor], list[Tensor]]:
        rows = torch.randint(people, (chosen.batch,), generator=random)
        sides = torch.randint(scans.shape[1], (chosen.batch,), generator=random)
        x, mirrored = roughened(scans[rows, sides], random)  # side 0 mirrored is side 2
        inputs, names = [head_crop(x.movedim(1, -1))], [rows + people * mirrored]
        if pictures is not None:
            portraits, who = pictures
            drawn = torch.randint(len(portraits), (chosen.batch,), generator=random)
            seen, turned = disturbed(portraits, drawn, random)
            inputs.append(head_crop(seen))
            names.append(who[drawn] + people * turned)
        return inputs, names

    fit_identities(
        stems, centres, batch, chosen.steps, rate=chosen.rate, desc="shapes", progress=progress
    )
    cost = f"{chosen.steps} steps of {chosen.batch}"
    card = Card(
        attack=NETWORK,
        knowledge=TRUE_SCANS,
        data=f"scans of {people} other people",
        cost=f"{cost} roughened scans",
        seed=chosen.seed,
    )
    if pictures is None:
        return by_network(stems[0], card)
    card = replace(
        card,
        attack="mesh, two stems",
        knowledge="frontal RGB pictures of known people; the release's axes",
        data=f"scans and portraits of {people} other people",
        cost=f"{cost} scans and as many portraits",
    )
    scanned = by_network(stems[0], card)
    return replace(scanned, enrol=lambda pictures: stems[1](head_crop(pictures)))


def by_network(network: FaceNetwork, card: Card) -> Attack:
    """A trained network looks at the three sides of scans (N, 3, S, S, 4), of meshes and true."""

    def embed(scans: Tensor) -> Tensor:
        x = [head_crop(side.float() / 127) for side in scans.unbind(1)]
        return torch.stack([F.normalize(network(side), dim=1) for side in x]).mean(0)

    return Attack(card, embed, embed, networks=(network,))


def of_same_people(
    portraits: FaceDataset, others: AttackerData, yaw: float = 25.0
) -> tuple[FaceDataset, Tensor]:
    """Portraits within `yaw` degrees of people whose scans are given, and each one's place there.

    Raises:
        LabError: there is none.
    """
    number = {int(i): k for k, i in enumerate(others.identity)}
    rows = torch.isin(portraits.identity, others.identity) & (portraits.role < 2)
    same = portraits.only(rows & (portraits.yaw.abs() <= yaw))
    if len(same) == 0:
        raise LabError(
            f"no portrait within {yaw:g} degrees of people whose scans are given",
            where="two stems",
            remedy="Give portraits of the same people.",
        )
    return same, torch.tensor([number[int(i)] for i in same.identity])
