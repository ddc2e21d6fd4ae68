"""Renders of a released field as pictures of the person: the radiance network was never protected.

A recogniser of ordinary pictures looks at them, or one that learned to see through wrong colours:
the modulus of eq. 6 does not change if the three colours are turned in their space or shifted, so a
field is free to do both.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.fit import fit_identities
from privhead_nb.lab.recognisers import Recogniser, head_crop
from privhead_nb.lab.recognisers.network import ArcFace, FaceNetwork
from privhead_nb.scenes.camera import Cameras
from privhead_nb.training.reconstruction import Reconstruction

COLOUR_BLIND = "field renders, colour-blind network"
YAWS = (-20.0, 0.0, 20.0)  # degrees, of the portraits that are rendered


def renders(made: Reconstruction, cameras: Cameras) -> Tensor:
    """(V, H, W, 3) colours in [0, 1] of the field, as it was released."""
    with torch.no_grad():
        views = [made.render(cameras, v).colour for v in range(len(cameras))]
    return torch.stack(views).clamp(0, 1).cpu()


def by_recogniser(recogniser: Recogniser) -> Attack:
    """A recogniser of ordinary pictures, as it is, looks at renders."""
    card = Card(
        attack=f"field renders, {recogniser.name}",
        knowledge="frontal pictures of known people",
        data=recogniser.note or "what the recogniser learned from",
        cost="a few renders",
    )

    def embed(pictures: Tensor) -> Tensor:
        return recogniser.embed(pictures)[0]

    return Attack(card, embed, embed)


def recoloured(pictures: Tensor, masks: Tensor, random: torch.Generator) -> Tensor:
    """Heads (N, H, H, 3) in colours that have about the same modulus; white stays behind them.

    Colours are turned in their space and moved, slowly changing over the picture, and blurred.
    Masks (N, H, H) tell the share of each pixel that the head covers.
    """
    n, size = len(pictures), pictures.shape[1]
    turn, _ = torch.linalg.qr(torch.randn(n, 3, 3, generator=random))
    as_is = torch.rand(n, 1, 1, generator=random) < 0.25
    turn = torch.where(as_is, torch.eye(3), turn)
    weight = masks[..., None].clamp_min(0)
    middle = (pictures * weight).sum((1, 2), keepdim=True)
    middle = middle / weight.sum((1, 2), keepdim=True).clamp_min(1)
    gain = 0.7 + 0.5 * torch.rand(n, 1, 1, 1, generator=random)
    drift = F.interpolate(
        torch.randn(n, 3, 4, 4, generator=random), size=size, mode="bicubic", align_corners=False
    ).movedim(1, -1)
    level = torch.where(
        as_is[..., None], middle, 0.25 + 0.5 * torch.rand(n, 1, 1, 3, generator=random)
    )
    x = level + gain * torch.einsum("nhwc,ncd->nhwd", pictures - middle, turn)
    x = (x + 0.08 * torch.rand(n, 1, 1, 1, generator=random) * drift).clamp(0, 1)
    soft = F.avg_pool2d(x.movedim(-1, 1), 3, stride=1, padding=1).movedim(1, -1)
    x = torch.where(torch.rand(n, 1, 1, 1, generator=random) < 0.5, soft, x)
    return weight * x + (1 - weight)


def learn_colour_blind(
    others: FaceDataset, *, steps: int = 600, batch: int = 128, seed: int = 0,
    progress: bool = False,
) -> Attack:  # fmt: skip
    """A network that tells the attacker's people apart in any colours looks at renders.

    Of other people's portraits, three in ten keep their true colours, for the gallery's.
    """
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    numbers, who = torch.unique(others.identity, return_inverse=True)
    network = FaceNetwork(3)

    def drawn() -> tuple[list[Tensor], list[Tensor]]:
        rows = torch.randint(len(others), (batch,), generator=random)
        variant = torch.randint(3, (batch,), generator=random)
        x = others.pictures[rows, variant].float() / 255
        changed = recoloured(x, others.masks[rows].float() / 255, random)
        keep = torch.rand(batch, 1, 1, 1, generator=random) < 0.3
        x = torch.where(keep, x, changed)
        mirrored = torch.rand(batch, generator=random) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(2), x)
        moves = torch.randint(-3, 4, (batch, 2), generator=random).tolist()
        x = torch.stack([p.roll((a, b), (0, 1)) for p, (a, b) in zip(x, moves, strict=True)])
        return [head_crop(x)], [who[rows] + len(numbers) * mirrored.long()]

    centres = ArcFace(2 * len(numbers))
    fit_identities(
        [network], centres, drawn, steps, rate=2e-3, desc="colour-blind", progress=progress
    )
    card = Card(
        attack=COLOUR_BLIND,
        knowledge="frontal pictures of known people",
        data=f"{len(others)} pictures of {len(numbers)} other people, in turned colours",
        cost=f"{steps} steps of {batch} pictures; a few renders",
        seed=seed,
    )
    return by_network(network, card)


def by_network(network: FaceNetwork, card: Card) -> Attack:
    """A trained network looks at renders, and at the gallery's pictures."""

    def embed(pictures: Tensor) -> Tensor:
        return network(head_crop(pictures))

    return Attack(card, embed, embed, networks=(network,))
