"""Attackers of real faces: what turns pictures, or their moduli, into vectors of who is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.lab.comparison import Ints
from privhead_nb.lab.fit import fit_identities
from privhead_nb.lab.framing import resized
from privhead_nb.lab.recognisers.learn import as_input, telling_apart
from privhead_nb.lab.recognisers.network import ArcFace, FaceNetwork
from privhead_nb.lab.recognisers.stored import network_in
from privhead_nb.lab.settings import setting
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import WEIGHTS

PICTURES = "pictures"
"""The name that stands for no operator."""
COMPONENTS, SHRINKAGE = 150, 0.3
MADE_HEADS = {PICTURES: "arcface_cnn", "sobel-64": "attacker_sobel64"}
"""Shipped networks that learned made heads only, by what they look at."""

Embed = Callable[[Tensor], Tensor]
"""(N, S, S, C) as `released` gives them -> (N, D)."""


@dataclass(frozen=True)
class NetworkSize:
    """How the small network is trained."""

    steps: int = 250
    batch: int = 32
    rate: float = 2e-3
    margin: float = 0.2


def operator_of(name: str) -> tuple[Operator | None, int]:
    """The operator and the size of a setting; None for pictures as they are."""
    return (None, 64) if name == PICTURES else setting(name)


def released(small: Tensor, name: str, random: torch.Generator) -> Tensor:
    """(N, 64, 64, 3) -> (N, S, S, 1): grey, or moduli in units of a quarter of their peak."""
    operator, size = operator_of(name)
    x = resized(small, size)
    return x[..., :1].contiguous() if operator is None else as_input(x, operator, random)


def linear(seen: Tensor, who: Ints) -> Embed:
    """PCA, then LDA, of the pixels and of their square roots, with mirror images as more people.

    Where hardly two pictures differ all vectors are alike: everybody ties, and chance comes out.
    """
    if len(seen.unique(dim=0)) < len(np.unique(who)):  # of two levels nearly all is zero
        return lambda x: torch.ones(len(x), 1)
    both = torch.cat([seen, seen.flip(2)])
    people = np.concatenate([who, who + 1_000_000])
    mean, matrix = telling_apart(
        _pixels(both).numpy(), people, COMPONENTS, len(np.unique(people)), shrinkage=SHRINKAGE
    )
    return lambda x: (_pixels(x) - mean) @ matrix


def unlearned(x: Tensor) -> Tensor:
    """(N, S, S, 1) -> (N, 2 S S): what `linear` starts from, the attacker that learned nothing."""
    return _pixels(x)


def _pixels(x: Tensor) -> Tensor:
    """(N, 2 S S): a picture, and its square root, each without its mean and of unit length."""
    parts = [x.flatten(1), x.clamp_min(0).sqrt().flatten(1)]
    return torch.cat([F.normalize(p - p.mean(1, keepdim=True), dim=1) for p in parts], 1)


def network(
    small: Tensor,
    who: Ints,
    name: str,
    size: NetworkSize,
    *,
    start: FaceNetwork | None = None,
    seed: int = 0,
) -> Embed:
    """The lab's small network with ArcFace; pictures are protected anew in every step.

    Args:
        small: (N, 64, 64, 3) the attacker's pictures, of people `who` (N,).
        name: of the setting, or PICTURES.
        size: of the training.
        start: a network to go on from, of made heads; `framed` then shows faces as it knows them.
        seed: of everything random.
    """
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    numbers, place = np.unique(who, return_inverse=True)
    person = torch.from_numpy(place)
    one = FaceNetwork(1) if start is None else start
    one.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    show = window(one, as_made=start is not None)

    def batch() -> tuple[list[Tensor], list[Tensor]]:
        rows = torch.randint(len(small), (size.batch,), generator=random)
        x, mirrored = moved(small[rows], random)
        return [show(released(x, name, random))], [person[rows] + len(numbers) * mirrored]

    fit_identities(
        [one], ArcFace(2 * len(numbers)), batch, size.steps, rate=size.rate, margin=size.margin,
        desc="network",
    )  # fmt: skip
    return lambda x: one(show(x))


def made_heads(name: str) -> tuple[FaceNetwork | None, str]:
    """A shipped network that learned made heads only; or None and why."""
    if name not in MADE_HEADS:
        return None, f"no shipped network looks at {name}"
    path: Path = WEIGHTS / f"{MADE_HEADS[name]}.safetensors"
    if not path.is_file():
        return None, f"{path.name} is not shipped"
    return network_in(path), ""


def window(one: FaceNetwork, *, as_made: bool) -> Embed:
    """(N, S, S, 1) -> (N, C, 56, 40), what a network is shown.

    The whole picture; or `as_made`, the face as wide as made heads' portraits have it, 28 of 40
    pixels, with the picture's edge drawn out above and below.
    """
    channels = one.stem.in_channels

    def show(x: Tensor) -> Tensor:
        x = x.movedim(-1, 1)
        if as_made:
            x = F.interpolate(x, (40, 40), mode="bilinear", antialias=True)
            x = F.pad(x, (0, 0, 8, 8), mode="replicate")
        else:
            x = F.interpolate(x, (56, 40), mode="bilinear", antialias=True)
        return x.expand(-1, channels, -1, -1).contiguous()

    return show


def moved(x: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures (N, H, H, 3) shifted by up to 3 pixels, brighter or darker; which are mirrored."""
    count, side = len(x), x.shape[1]
    mirrored = torch.rand(count, generator=random) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(2), x)
    gain = 0.85 + 0.3 * torch.rand(count, 1, 1, 1, generator=random)
    shift = torch.randint(-3, 4, (count, 2), generator=random)
    at = [(torch.arange(side) - shift[:, k, None]).clamp(0, side - 1) for k in (0, 1)]
    x = x[torch.arange(count)[:, None, None], at[0][:, :, None], at[1][:, None, :]]
    return (gain * x).clamp(0, 1), mirrored.long()


def embedded(embed: Embed, seen: Tensor) -> Tensor:
    """(N, D) without a graph."""
    with torch.no_grad():
        return torch.cat([embed(part) for part in seen.split(200)])
