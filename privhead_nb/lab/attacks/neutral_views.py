"""The neutral views as a leak of their own: hair, ears, skin and neck, in full colour.

They are held against known people, seen from behind too, or from the front only, by a network that
learned which pictures from all sides show one person, or by a palette (colour histograms and LDA),
which cannot see shape at all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.lab.attacker_data import AttackerData
from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.faces import VARIANTS, FaceDataset
from privhead_nb.lab.recognisers.learn import Learning, telling_apart, train_network
from privhead_nb.lab.recognisers.stored import of_network

BINS = 6  # of a palette, along each of brightness, red - green, yellow - blue
PALETTE = "neutral views, palette"
KNOWLEDGE = "a gallery of known people, from behind or from the front"


def all_sides(data: AttackerData, front: FaceDataset | None = None) -> FaceDataset:
    """Pictures of people from behind and, from `front`, of the same people from the front."""
    pictures = torch.cat([data.behind, data.neutral], 1)
    who = data.identity.repeat_interleave(pictures.shape[1])
    behind = FaceDataset.of_pictures(who, torch.full_like(who, 2), pictures.flatten(0, 1))
    if front is None:
        return behind
    same = torch.isin(front.identity, data.identity) & (front.role < 2)
    return FaceDataset.join([behind, front.only(same)])


def learn_network(
    data: AttackerData, front: FaceDataset | None = None, *, epochs: int = 12, seed: int = 0,
    progress: bool = False,
) -> Attack:  # fmt: skip
    """A network that tells the attacker's people apart from all sides; it looks at colours.

    Of `data` it sees them from behind, and in `front` the same people from the front; None leaves
    the front out, for rear galleries.
    """
    pictures = all_sides(data, front)
    network = train_network(pictures, Learning(epochs=epochs, seed=seed), progress=progress)
    sides = "from behind" if front is None else "from all sides"
    card = Card(
        attack=f"neutral views, network that learned {sides}",
        knowledge=KNOWLEDGE,
        data=f"{len(pictures)} pictures {sides} of {len(data)} other people",
        cost=f"{epochs} passes over them",
        seed=seed,
    )
    embed = of_network("neutral views", network).function
    return Attack(card, embed, embed)


def learn_palette(data: AttackerData, front: FaceDataset | None = None) -> Attack:
    """Colour histograms and LDA: what colours alone give away. Arguments as `learn_network`."""
    pictures = all_sides(data, front)
    card = Card(
        attack=PALETTE,
        knowledge=KNOWLEDGE,
        data=f"{len(pictures)} pictures of {len(data)} other people",
        cost="a projection of colour histograms",
    )
    return by_palette(*train_palette(pictures), card)


def train_palette(pictures: FaceDataset) -> tuple[Tensor, Tensor]:
    """The projection of `learn_palette`, trained: mean (F,) and matrix (F, D) of palettes."""
    rows = torch.cat([palette(pictures.rgb(name)) for name in VARIANTS[:2]]).numpy()
    who = pictures.identity.repeat(2).numpy()
    return telling_apart(rows, who, 60, 40, shrinkage=1e-2)


def by_palette(mean: Tensor, matrix: Tensor, card: Card) -> Attack:
    """A trained projection looks at the colours of neutral views, and of the gallery's pictures."""

    def embed(colours: Tensor) -> Tensor:
        return (palette(colours) - mean) @ matrix

    return Attack(card, embed, embed)


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
