"""Renders of a released field as pictures of the person: the radiance network was never protected.

The trained field can be rendered from any side, in the colours that it made up to explain the
moduli. Two recognisers look at such renders: one of ordinary pictures, as it is, and one that
learned to see through wrong colours. For the modulus of eq. 6 does not change if the three colours
are turned in their space, nor if each is shifted, so a field is free to do both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.albums import DISTANCE, FOV, SIZE, Album
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.captures import azimuths
from privhead_nb.lab.descent import descend
from privhead_nb.lab.recognition import Recogniser, head_crop
from privhead_nb.lab.recognition.network import ArcFace, FaceNetwork
from privhead_nb.scenes.camera import Cameras, custom_rig
from privhead_nb.training.reconstruction import Reconstruction

YAWS = (-20.0, 0.0, 20.0)  # degrees, of the portraits that are rendered


@dataclass(frozen=True, eq=False)
class PictureAttack:
    """Says who is seen in pictures that an attack made.

    Args:
        card: what it needed.
        embed: (N, H, H, 3) -> (N, D).
    """

    card: Card
    embed: Callable[[Tensor], Tensor]

    def person(self, pictures: Tensor) -> Tensor:
        """(D,) unit vector of one person, seen in V pictures (V, H, H, 3)."""
        with torch.no_grad():
            return F.normalize(F.normalize(self.embed(pictures).float(), dim=1).mean(0), dim=0)


def portrait_cameras(center: Sequence[float], yaws: Sequence[float] = YAWS) -> Cameras:
    """Cameras that frame a head around `center` mm as the galleries' portraits do."""
    middle = torch.tensor([float(c) for c in center], dtype=torch.float64)
    angle = torch.deg2rad(torch.tensor(list(yaws), dtype=torch.float64))
    toward = torch.stack([angle.sin(), torch.zeros_like(angle), angle.cos()], -1)
    eyes = (middle + DISTANCE * toward).numpy()
    at = (float(middle[0]), float(middle[1]), float(middle[2]))
    return custom_rig(eyes, range(len(eyes)), target=at, size=SIZE, fov_deg=FOV)[0]


def sensitive_cameras(
    cameras: Cameras,
    sensitive: Sequence[int],
    center: Sequence[float],
    within: float = 40.0,
    level: float = 90.0,
) -> tuple[Cameras, list[int]]:
    """Sensitive cameras that see the front.

    Args:
        cameras: of a release.
        sensitive: which of them are.
        center: of the head, mm.
        within: degrees of azimuth from the front.
        level: degrees of elevation, up or down.

    Returns:
        The cameras, and their places in `sensitive`.

    Raises:
        LabError: there is none.
    """
    away = ((azimuths(cameras, center) + 180) % 360 - 180).abs()
    offset = cameras.centers - cameras.centers.new_tensor(list(center))
    height = torch.rad2deg(torch.asin(offset[:, 1] / offset.norm(dim=1))).abs()
    rows = [
        k for k, v in enumerate(sensitive) if float(away[v]) <= within and float(height[v]) <= level
    ]
    if not rows:
        raise LabError(f"no sensitive view within {within:g} degrees of the front", where="views")
    return cameras[[sensitive[k] for k in rows]], rows


def renders(made: Reconstruction, cameras: Cameras) -> Tensor:
    """(V, H, W, 3) colours in [0, 1] of the field, as it was released."""
    with torch.no_grad():
        views = [made.render(cameras, v).colour for v in range(len(cameras))]
    return torch.stack(views).clamp(0, 1).cpu()


def by_recogniser(one: Recogniser) -> PictureAttack:
    """A recogniser of ordinary pictures, as it is."""
    card = Card(
        attack=f"field renders, {one.name}",
        knowledge="frontal pictures of known people",
        data=one.note or "what the recogniser learned from",
        cost="a few renders",
        seed=0,
    )
    return PictureAttack(card, lambda x: one.embed(x)[0])


def recoloured(pictures: Tensor, masks: Tensor, random: torch.Generator) -> Tensor:
    """Heads (N, H, H, 3) in colours that have about the same modulus; white stays behind them.

    Colours are turned in their space and moved, slowly changing over the picture, and blurred.

    Args:
        pictures: in [0, 1].
        masks: (N, H, H) share covered by the head, in [0, 1].
        random: of the draws.
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
    album: Album, *, steps: int = 600, batch: int = 128, seed: int = 0, progress: bool = False
) -> PictureAttack:
    """A network that tells the attacker's people apart in any colours.

    Args:
        album: portraits of other people.
        steps, batch: of the training; every second batch keeps its true colours, for the gallery's.
        seed: of everything random.
        progress: show a bar.
    """
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    numbers, who = torch.unique(album.identity, return_inverse=True)
    network, head = FaceNetwork(3), ArcFace(2 * len(numbers))
    parts = [*network.parameters(), *head.parameters()]
    adam = torch.optim.AdamW(parts, lr=2e-3, weight_decay=5e-2)
    network.train()

    def loss(step: int) -> Tensor:
        rows = torch.randint(len(album), (batch,), generator=random)
        variant = torch.randint(3, (batch,), generator=random)
        x = album.pictures[rows, variant].float() / 255
        masks = album.masks[rows].float() / 255
        changed = recoloured(x, masks, random)
        keep = torch.rand(batch, 1, 1, 1, generator=random) < 0.3
        x = torch.where(keep, x, changed)
        mirrored = torch.rand(batch, generator=random) < 0.5
        x = torch.where(mirrored[:, None, None, None], x.flip(2), x)
        moves = torch.randint(-3, 4, (batch, 2), generator=random).tolist()
        x = torch.stack([p.roll((a, b), (0, 1)) for p, (a, b) in zip(x, moves, strict=True)])
        head.margin = 0.3 * min(1.0, 2 * step / steps)
        off: Tensor = head(network(head_crop(x)), who[rows] + len(numbers) * mirrored.long())
        return off

    descend(adam, loss, steps, desc="colour-blind", progress=progress)
    network.eval()
    card = Card(
        attack="field renders, colour-blind network",
        knowledge="frontal pictures of known people",
        data=f"{len(album)} pictures of {len(numbers)} other people, in turned colours",
        cost=f"{steps} steps of {batch} pictures; a few renders",
        seed=seed,
    )
    return PictureAttack(card, lambda x: network(head_crop(x)))
