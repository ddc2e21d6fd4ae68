"""The usual defences, and the package's own modulus, as the compared systems are called.

blur       Gaussian; the strength is its standard deviation, pixels
pixelate   means of square cells; the strength is a cell's side, pixels
mask       the face under one grey, where frontal portraits have it; strength 1 the eyes alone,
           2 eyes and nose, 3 the whole face
k-same     k-Same-Pixel (Newton, Sweeney and Malin 2005, algorithm 1): the set is split into groups
           of k pictures that are near each other, and each picture becomes its group's mean
modulus    the gradient modulus that the package releases; the strength is its noise
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.deid import check_pictures, check_strength
from privhead_nb.errors import LabError
from privhead_nb.lab.attacks.no_attack import as_grey
from privhead_nb.lab.recognisers.published import FACE
from privhead_nb.privacy.operators import Operator

GREY = 0.5
"""What covers a masked face, sRGB."""
ROWS = ((0.42, 0.52), (0.42, 0.62), (0.35, 0.78))
"""Top and bottom of what `mask` covers, shares of a portrait's height: eyes, nose too, all."""

Change = Callable[[Tensor, float, torch.Generator], Tensor]


@dataclass(frozen=True)
class Baseline:
    """A defence without a network."""

    name: str
    strengths: tuple[float, ...]
    default: float
    change: Change

    def __call__(
        self, pictures: Tensor, strength: float, random: torch.Generator, *, group: bool = False
    ) -> Tensor:
        """What is released; see `Deidentifier`. Pictures of a group are taken one by one.

        Raises:
            LabError: as there; fewer pictures than k, or one person's alone, for `k-same`.
        """
        check_pictures(pictures, self.name)
        check_strength(strength, self.strengths, self.name)
        if self.name == "k-same" and group:
            raise LabError(
                "all pictures show one person",
                where=self.name,
                remedy="It averages over people: give pictures of several, without --group.",
            )
        return self.change(pictures, strength, random)


def deidentifier(name: str) -> Baseline:
    """One of BASELINES."""
    return BASELINES[name]


def blurred(pictures: Tensor, strength: float, _random: torch.Generator) -> Tensor:
    """A Gaussian of `strength` pixels, cut off at 3 of these; edges are repeated."""
    reach = max(1, round(3 * strength))
    at = torch.arange(-reach, reach + 1, dtype=pictures.dtype)
    weights = torch.exp(-0.5 * (at / strength) ** 2)
    weights = weights / weights.sum()
    x = F.pad(pictures.movedim(-1, 1), (reach, reach, reach, reach), mode="replicate")
    x = F.conv2d(x.flatten(0, 1)[:, None], weights.reshape(1, 1, -1, 1))
    x = F.conv2d(x, weights.reshape(1, 1, 1, -1))
    return x.reshape(len(pictures), 3, *x.shape[-2:]).movedim(1, -1).clamp(0, 1)


def pixelated(pictures: Tensor, strength: float, _random: torch.Generator) -> Tensor:
    """Means of cells of `strength` pixels a side, which must divide 64.

    Raises:
        LabError: it doesn't.
    """
    side = pictures.shape[1]
    if strength != int(strength) or side % int(strength):
        raise LabError(
            f"cells of {strength:g} pixels", where="pixelate", remedy="Give 2, 4, 8 or 16."
        )
    x = F.avg_pool2d(pictures.movedim(-1, 1), int(strength))
    return F.interpolate(x, size=(side, side), mode="nearest").movedim(1, -1)


def masked(pictures: Tensor, strength: float, _random: torch.Generator) -> Tensor:
    """One grey over the face, or a part of it.

    Raises:
        LabError: strength is none of 1, 2, 3.
    """
    if strength not in (1, 2, 3):
        raise LabError(f"strength {strength:g}", where="mask", remedy="Give 1, 2 or 3.")
    side, (_, right, _, left) = pictures.shape[1], FACE
    top, bottom = ROWS[int(strength) - 1]
    out = pictures.clone()
    rows = slice(round(top * side), round(bottom * side))
    out[:, rows, round(left * side) : round(right * side)] = GREY
    return out


def k_same(pictures: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """The mean of k pictures in the place of each of them.

    As in the paper a picture is taken, with the k - 1 of those that are left nearest to it in L2;
    where fewer than 2 k are left they are one group, so that each has at least k members.

    Raises:
        LabError: k is no whole number, or there are fewer pictures.
    """
    k, count = int(strength), len(pictures)
    if k != strength or count < k:
        raise LabError(
            f"k = {strength:g} of {count} pictures",
            where="k-same",
            remedy=f"Give at least {k} pictures, one of each person, or a smaller --strength.",
        )
    flat, left = pictures.flatten(1), torch.randperm(count, generator=random)
    out = torch.empty_like(pictures)
    while len(left):
        distance = (flat[left] - flat[left[0]]).norm(dim=1)
        near = distance.argsort(stable=True)[: k if len(left) >= 2 * k else len(left)]
        out[left[near]] = pictures[left[near]].mean(0)
        stay = torch.ones(len(left), dtype=torch.bool)
        stay[near] = False
        left = left[stay]
    return out


def modulus(pictures: Tensor, strength: float, random: torch.Generator) -> Tensor:
    """The paper's gradient modulus with noise of `strength`, as a grey picture."""
    operator = Operator(noise=strength)
    return as_grey(operator.protect(pictures, random), operator)


BASELINES = {
    one.name: one
    for one in (
        Baseline("blur", (1.0, 2.0, 4.0, 8.0), 4.0, blurred),
        Baseline("pixelate", (2.0, 4.0, 8.0, 16.0), 8.0, pixelated),
        Baseline("mask", (1.0, 2.0, 3.0), 3.0, masked),
        Baseline("k-same", (2.0, 5.0, 10.0), 5.0, k_same),
        Baseline("modulus", (0.0, 0.05, 0.1, 0.2), 0.0, modulus),
    )
}
