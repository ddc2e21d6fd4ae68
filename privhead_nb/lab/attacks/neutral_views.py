"""The neutral views as a leak of their own: hair, ears, skin and neck, in full colour.

A release shows its owner from behind without any protection, so no operator matters here. The
attacker holds the views against a gallery of known people, seen from behind too, or from the front
only. A network that learned which pictures from all sides show one person does the matching, and a
palette (colour histograms and LDA), which cannot see shape at all. The vectors of a release's views
are added up, and so are those of a known person's pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.albums import VARIANTS, Album
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.captures import Captures
from privhead_nb.lab.recognition.learn import Learning, telling_apart, train_network
from privhead_nb.lab.recognition.stored import of_network

BINS = 6  # of a palette, along each of brightness, red - green, yellow - blue
OUTERMOST = 115.0
"""Degrees from the front up to which a neutral view shows a sliver of the profile: facescape's and
the orbit's rig have views at 105 degrees, H3DS's at 108."""


@dataclass(frozen=True, eq=False)
class ViewAttack:
    """Says who is seen, from ordinary pictures.

    Args:
        card: what it needed.
        embed: (N, H, H, 3) float32 in [0, 1] -> (N, D).
    """

    card: Card
    embed: Callable[[Tensor], Tensor]

    def person(self, pictures: Tensor) -> Tensor:
        """(P, D) unit vectors of people, each seen in V pictures (P, V, H, H, 3).

        Raises:
            LabError: no picture.
        """
        if pictures.dim() != 5 or pictures.shape[1] == 0:
            raise LabError(
                f"pictures of shape {tuple(pictures.shape)}, not (P, V, H, H, 3)",
                where=self.card.attack,
                remedy="Give at least one picture of each person.",
            )
        with torch.no_grad():
            found = self.embed(pictures.flatten(0, 1)).float()
        unit = F.normalize(found, dim=1).reshape(*pictures.shape[:2], -1)
        return F.normalize(unit.mean(1), dim=1)


def away_from_front(yaw: Tensor) -> Tensor:
    """Degrees (V,) between a camera's azimuth and the front, 0 to 180."""
    return ((yaw + 180) % 360 - 180).abs()


def shown(yaw: Tensor, which: str) -> Tensor:
    """Indices of neutral views at `yaw` (V,) degrees: "all", "inner" or "outermost".

    Raises:
        LabError: none of these, or no such view.
    """
    away = away_from_front(yaw)
    masks = {"all": away >= 0, "inner": away > OUTERMOST, "outermost": away <= OUTERMOST}
    if which not in masks or not bool(masks[which].any()):
        raise LabError(
            f"there are no {which!r} views",
            where="neutral views",
            remedy=f"Use {', '.join(masks)}.",
        )
    return masks[which].nonzero()[:, 0]


def all_sides(captured: Captures, album: Album | None = None) -> Album:
    """One album of people from behind and, from `album`, from the front."""
    P, _, _, H, _, _ = captured.behind.shape
    pictures = torch.cat([captured.behind, captured.neutral], 1)
    views = pictures.shape[1]
    behind = Album(
        identity=captured.identity.repeat_interleave(views),
        role=torch.full((P * views,), 2),
        yaw=torch.full((P * views,), 180.0),
        pictures=pictures.flatten(0, 1),
        masks=torch.zeros(P * views, H, H, dtype=torch.uint8),
        normals=torch.zeros(P * views, H, H, 3, dtype=torch.int8),
    )
    if album is None:
        return behind
    known = album.only(torch.isin(album.identity, captured.identity) & (album.role < 2))
    both = (
        torch.cat([getattr(behind, name), getattr(known, name).to(getattr(behind, name).dtype)])
        for name in ("identity", "role", "yaw", "pictures", "masks", "normals")
    )
    return Album(*both)


def learn_network(
    captured: Captures, album: Album | None = None, *, epochs: int = 12, seed: int = 0,
    progress: bool = False,
) -> ViewAttack:  # fmt: skip
    """A network that tells the attacker's people apart from all sides.

    Args:
        captured: other people, from behind.
        album: the same people from the front; None leaves the front out, for rear galleries.
        epochs: passes over the pictures.
        seed: of the training.
        progress: show a bar.
    """
    pictures = all_sides(captured, album)
    network = train_network(pictures, Learning(epochs=epochs, seed=seed), progress=progress)
    sides = "from behind" if album is None else "from all sides"
    card = Card(
        attack=f"neutral views, network that learned {sides}",
        knowledge="a gallery of known people, from behind or from the front",
        data=f"{len(pictures)} pictures {sides} of {len(captured)} other people",
        cost=f"{epochs} passes over them",
        seed=seed,
    )
    return ViewAttack(card, of_network("neutral views", network).function)


def learn_palette(captured: Captures, album: Album | None = None) -> ViewAttack:
    """Colour histograms and LDA: what colours alone give away. Arguments as `learn_network`."""
    pictures = all_sides(captured, album)
    rows = torch.cat([palette(pictures.rgb(name)) for name in VARIANTS[:2]]).numpy()
    who = pictures.identity.repeat(2).numpy()
    mean, matrix = telling_apart(rows, who, 60, 40, shrinkage=1e-2)
    card = Card(
        attack="neutral views, palette",
        knowledge="a gallery of known people, from behind or from the front",
        data=f"{len(pictures)} pictures of {len(captured)} other people",
        cost="a projection of colour histograms",
        seed=0,
    )
    return ViewAttack(card, lambda x: (palette(x) - mean) @ matrix)


def palette(pictures: Tensor) -> Tensor:
    """(N, 2 BINS^3) square roots of soft colour histograms of the upper and the lower half.

    White behind the head is left out.
    """
    parts = []
    for some in pictures.float().split(128):
        low, high = (_histogram(half.flatten(1, 2)) for half in some.chunk(2, dim=1))
        parts.append(torch.cat([low, high], 1))
    return torch.cat(parts)


def _histogram(colours: Tensor) -> Tensor:
    """(N, BINS^3) of colours (N, M, 3)."""
    there = (colours.amin(-1) < 0.94).float()
    r, g, b = colours.unbind(-1)
    light = (r + g + b) / 3
    axes = torch.stack([light, 0.5 + 2.0 * (r - g), 0.4 + 1.5 * ((r + g) / 2 - b)], -1)
    place = axes.clamp(0, 1) * (BINS - 1)
    base = place.floor().clamp(max=BINS - 2)
    share = place - base
    out = torch.zeros(len(colours), BINS**3)
    for corner in range(8):
        bits = torch.tensor([corner >> 2 & 1, corner >> 1 & 1, corner & 1])
        weight = torch.where(bits.bool(), share, 1 - share).prod(-1) * there
        cell = ((base + bits) * torch.tensor([BINS**2, BINS, 1])).sum(-1).long()
        out.scatter_add_(1, cell, weight)
    return (out / out.sum(1, keepdim=True).clamp_min(1e-6)).sqrt()
