"""A released mesh as a leak: who has this shape, without any colour.

Meshes become aligned scans (`scans.py`): normals and depth from three sides. Three attackers hold
them against known people:

    matching    scans against true scans, pixel by pixel; learns only what is common to all heads
    network     the same two sides, embedded by a network that learned on roughened true scans
    two stems   scans against frontal RGB pictures, by two networks that learned to agree
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.albums import Album
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.captures import Captures
from privhead_nb.lab.descent import descend
from privhead_nb.lab.recognition import head_crop
from privhead_nb.lab.recognition.learn import disturbed
from privhead_nb.lab.recognition.network import ArcFace, FaceNetwork

FACE = (slice(14, 50), slice(18, 46))
"""Rows and columns of a frontal scan that hold brows to chin, but little hair."""
FRONT = 1  # which of a scan's sides


@dataclass(frozen=True, eq=False)
class ShapeAttack:
    """Says whose mesh it is.

    Args:
        card: what it needed.
        probe: (N, 3, S, S, 4) int8 scans of released meshes -> (N, D) unit vectors.
        enrol: what the gallery holds of known people, scans or (N, H, H, 3) pictures -> (N, D).
    """

    card: Card
    probe: Callable[[Tensor], Tensor]
    enrol: Callable[[Tensor], Tensor]


def matching(others: Captures, *, face_only: bool = False) -> ShapeAttack:
    """Difference to the mean head, in units of how much heads differ there, as one long vector.

    Args:
        others: people to take mean and spread from.
        face_only: the frontal side's middle alone, so that hair and ears hardly count.
    """
    known = _flat(others.scan, face_only)
    mean, spread = known.mean(0), known.std(0) + 0.05
    heads = "the face" if face_only else "the head"

    def embed(scans: Tensor) -> Tensor:
        return F.normalize((_flat(scans, face_only) - mean) / spread, dim=1)

    card = Card(
        attack=f"mesh, matching of {heads}",
        knowledge="true scans of known people at rest; the release's axes",
        data=f"mean and spread of {len(others)} other people's scans",
        cost="a picture of normals and depth from three sides",
        seed=0,
    )
    return ShapeAttack(card, embed, embed)


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

    They are shifted by up to 2 pixels, blurred, and given bumps: normals of a smooth random relief
    are added. A mirrored head is another person.
    """
    n, _, size, _ = x.shape
    mirrored = torch.rand(n, generator=random) < 0.5
    flipped = x.flip(3) * torch.tensor([-1.0, 1.0, 1.0, 1.0])[:, None, None]
    x = torch.where(mirrored[:, None, None, None], flipped, x)
    moves = torch.randint(-2, 3, (n, 2), generator=random).tolist()
    x = torch.stack([one.roll((a, b), (1, 2)) for one, (a, b) in zip(x, moves, strict=True)])
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


def _stem_input(x: Tensor) -> Tensor:
    """(N, 4, S, S) -> (N, 4, 56, 40), the middle."""
    return x[:, :, 4:60, 12:52].contiguous()


def _embed_scans(network: FaceNetwork) -> Callable[[Tensor], Tensor]:
    def embed(scans: Tensor) -> Tensor:
        x = as_channels(scans)
        with torch.no_grad():
            sides = [network(_stem_input(x[:, side])) for side in range(x.shape[1])]
        return F.normalize(torch.stack([F.normalize(s, dim=1) for s in sides]).mean(0), dim=1)

    return embed


@dataclass(frozen=True)
class ShapeLearning:
    """How the networks are trained.

    Args:
        steps: of the optimiser.
        batch: scans (and pictures) in each.
        rate: highest learning rate.
        yaw: most degrees of the portraits that the picture stem learns from.
        seed: of everything random.
    """

    steps: int = 600
    batch: int = 96
    rate: float = 2e-3
    yaw: float = 25.0
    seed: int = 0


def learn_network(
    others: Captures, learning: ShapeLearning | None = None, *, progress: bool = False
) -> ShapeAttack:
    """A network that tells the attacker's scans apart however rough they are."""
    chosen = ShapeLearning() if learning is None else learning
    shape, _ = _train(others, None, chosen, progress)
    card = Card(
        attack="mesh, network",
        knowledge="true scans of known people at rest; the release's axes",
        data=f"scans of {len(others)} other people",
        cost=f"{chosen.steps} steps of {chosen.batch} roughened scans",
        seed=chosen.seed,
    )
    embed = _embed_scans(shape)
    return ShapeAttack(card, embed, embed)


def learn_two_stems(
    others: Captures, album: Album, learning: ShapeLearning | None = None, *,
    progress: bool = False,
) -> ShapeAttack:  # fmt: skip
    """A network for scans and one for RGB pictures that put one person in one place.

    Args:
        others: scans of other people.
        album: portraits of the same people.
        learning: settings.
        progress: show a bar.
    """
    chosen = ShapeLearning() if learning is None else learning
    shape, picture = _train(others, album, chosen, progress)
    assert picture is not None
    card = Card(
        attack="mesh, two stems",
        knowledge="frontal RGB pictures of known people; the release's axes",
        data=f"scans and portraits of {len(others)} other people",
        cost=f"{chosen.steps} steps of {chosen.batch} scans and as many portraits",
        seed=chosen.seed,
    )

    def enrol(pictures: Tensor) -> Tensor:
        with torch.no_grad():
            return F.normalize(picture(head_crop(pictures)), dim=1)

    return ShapeAttack(card, _embed_scans(shape), enrol)


def _train(
    others: Captures, album: Album | None, chosen: ShapeLearning, progress: bool
) -> tuple[FaceNetwork, FaceNetwork | None]:
    """ArcFace over the attacker's people and their mirror images, one set of centres for both."""
    torch.manual_seed(chosen.seed)
    random = torch.Generator().manual_seed(chosen.seed)
    people = len(others)
    shape, centres = FaceNetwork(4), ArcFace(2 * people)
    picture: FaceNetwork | None = None
    known, who = album, torch.empty(0, dtype=torch.long)
    modules: list[torch.nn.Module] = [shape, centres]
    if album is not None:
        picture = FaceNetwork(3)
        modules.append(picture)
        number = {int(i): k for k, i in enumerate(others.identity)}
        rows = torch.isin(album.identity, others.identity) & (album.role < 2)
        known = album.only(rows & (album.yaw.abs() <= chosen.yaw))
        if len(known) == 0:
            raise LabError(
                f"no portrait within {chosen.yaw:g} degrees of people whose scans are given",
                where="two stems",
                remedy="Give an album of the same people.",
            )
        who = torch.tensor([number[int(i)] for i in known.identity])
    parts = [p for m in modules for p in m.parameters()]
    adam = torch.optim.AdamW(parts, lr=chosen.rate, weight_decay=5e-2)
    scans = as_channels(others.scan)
    for module in modules:
        module.train()

    def loss(step: int) -> Tensor:
        centres.margin = 0.3 * min(1.0, 2 * step / chosen.steps)
        rows = torch.randint(people, (chosen.batch,), generator=random)
        sides = torch.randint(scans.shape[1], (chosen.batch,), generator=random)
        x, mirrored = roughened(scans[rows, sides], random)  # side 0 mirrored is side 2
        off: Tensor = centres(shape(_stem_input(x)), rows + people * mirrored)
        if picture is not None and known is not None:
            drawn = torch.randint(len(known), (chosen.batch,), generator=random)
            seen, turned = disturbed(known, drawn, random)
            off = off + centres(picture(head_crop(seen)), who[drawn] + people * turned)
        return off

    descend(adam, loss, chosen.steps, desc="shapes", progress=progress)
    for module in modules:
        module.eval()
    return shape, picture
