"""How well twins are told apart, and how much of their colours is read: figures with intervals.

Twins share a shape but not their colours (`twins.py`). All intervals draw whole
groups of twins, since a group's pictures share their cameras and their shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.studies.colour_reader import learn_ridge
from benchmarks.studies.face_colours import ColourSpace, colour_difference, face_colours
from benchmarks.studies.guessed import three
from privhead_nb.lab.comparison import Comparison
from privhead_nb.lab.intervals import draws, rate, share
from privhead_nb.lab.protocol import rank_hits

FMR = 1e-3
SHARED = 0.3  # of the change from picture to picture, in common to one session's
RESAMPLES = 1000
SHUFFLES = 20  # draws of names for the null control


@dataclass(frozen=True, eq=False)
class Vectors:
    """Vectors of N pictures, of whom they are, and whose shape they have."""

    values: Tensor  # (N, D)
    identity: Tensor  # (N,)
    shape: Tensor  # (N,)

    def each(self) -> Vectors:
        """A mean vector for each identity, in order of their numbers."""
        names, row = torch.unique(self.identity, return_inverse=True)
        total = torch.zeros(len(names), self.values.shape[1]).index_add(0, row, self.values)
        first = first_of_each(self.identity)
        mean = total / torch.bincount(row)[:, None]
        return Vectors(mean, names, self.shape[first])

    def map(self, function: Callable[[Tensor], Tensor]) -> Vectors:
        """The same with other values."""
        return Vectors(function(self.values), self.identity, self.shape)

    @classmethod
    def stacked(cls, parts: Sequence[Vectors]) -> Vectors:
        """Of several lots of pictures, one after the other."""
        names = ("values", "identity", "shape")
        return cls(*(torch.cat([getattr(p, name) for p in parts]) for name in names))


def first_of_each(identity: Tensor) -> Tensor:
    """(P,) the first place of each number in identity (N,), in order of the numbers."""
    names, row = torch.unique(identity, return_inverse=True)
    places = torch.arange(len(row))
    return torch.full((len(names),), len(row)).scatter_reduce(0, row, places, "amin")


def joined(parts: Sequence[Vectors]) -> Vectors:
    """Vectors of the same people, side by side."""
    return Vectors(torch.cat([p.values for p in parts], 1), parts[0].identity, parts[0].shape)


@dataclass(frozen=True, eq=False)
class Likelihood:
    """How likely two vectors show one person, as log ratio: PLDA (Prince & Elder, ICCV 2007).

    A vector is the person's own, normal with covariance `between`, plus what changes from picture
    to picture, normal with covariance `within`. Pictures of one session share some of the latter,
    so a mean of n keeps SHARED of it, and a part 1 / n of the rest.
    """

    between: Tensor  # (D, D)
    within: Tensor  # (D, D)

    @classmethod
    def of(cls, own: Tensor, changing: Tensor, pictures: float = math.inf) -> Likelihood:
        """Of deviations (N, D) that are people's own, and (M, D) from picture to picture.

        The former are means of so many pictures, and what these still change is taken away.
        """
        both, within = (x.double().T @ x.double() / len(x) for x in (own, changing))
        size, axes = torch.linalg.eigh(both - within / pictures)
        between = axes * size.clamp_min(1e-6 * float(size.max())) @ axes.T
        floor = 0.05 * within.diagonal().mean() * torch.eye(len(within))
        return cls(between, within + floor)

    @classmethod
    def learned(cls, held: Vectors) -> Likelihood:
        """Of several pictures of each of other twins."""
        each = held.each()
        pictures = len(held.identity) / len(each.identity)
        return cls.of(within_group(each), within_each(held), pictures)

    def ratio(self, probes: Tensor, gallery: Tensor, pictures: int) -> Tensor:
        """(P, G) of probes (P, D), means of so many pictures, and of gallery pictures (G, D)."""
        share = 1.0 if pictures == 1 else SHARED + (1 - SHARED) / pictures
        p, g = probes.double(), gallery.double()
        one, two = self.between + share * self.within, self.between + self.within
        rows = [torch.cat([one, self.between], 1), torch.cat([self.between, two], 1)]
        joint = torch.linalg.inv(torch.cat(rows))
        D = len(one)
        of_probe = ((p @ (joint[:D, :D] - torch.linalg.inv(one))) * p).sum(1)
        of_gallery = ((g @ (joint[D:, D:] - torch.linalg.inv(two))) * g).sum(1)
        return -(of_probe[:, None] + 2 * p @ joint[:D, D:] @ g.T + of_gallery) / 2


def within_each(held: Vectors) -> Tensor:
    """(N, D) what sets a twin's pictures apart from the twin's mean."""
    names, row = torch.unique(held.identity, return_inverse=True)
    spare = len(row) / max(1, len(row) - len(names))
    return (held.values - held.each().values[row]) * spare**0.5


def within_group(twins: Vectors) -> Tensor:
    """(T, D) what sets each twin, a vector each, apart from the mean of its group."""
    names, row = torch.unique(twins.shape, return_inverse=True)
    total = torch.zeros(len(names), twins.values.shape[1]).index_add(0, row, twins.values)
    return twins.values - (total / torch.bincount(row)[:, None])[row]


def named(
    probes: Vectors,
    gallery: Vectors,
    likelihood: Likelihood,
    *,
    shuffled: bool = False,
    aligned: bool = True,
) -> dict[str, Any]:
    """Rank-1 and FNMR at FMR 1e-3 among twins: of one picture, and of all of a twin's together.

    A group's vectors are held against each other without their gallery's mean, which is what the
    twins have in common. How probes look different from a gallery (light, angle) is taken from the
    other groups' means, as an attacker has it of other people, and taken away, too.

    Args:
        probes: several pictures of each twin.
        gallery: one vector a twin.
        likelihood: what pairs are compared by.
        shuffled: draw the probes' names anew, SHUFFLES times: the null control.
        aligned: take away how other groups' probes look; False where a group's probes show one
            twin only.
    """
    found: dict[str, list[Any]] = {"one": [], "together": []}
    random = np.random.default_rng(0)
    shapes = gallery.shape.unique()
    middles = [
        [side.values[side.shape == shape].mean(0) for shape in shapes] for side in (gallery, probes)
    ]
    away = float(aligned) * (torch.stack(middles[1]) - torch.stack(middles[0]))
    for k, shape in enumerate(shapes):
        here, there = probes.shape == shape, gallery.shape == shape
        middle = middles[0][k]
        off = (away.sum(0) - away[k]) / max(1, len(shapes) - 1)
        enrolled = gallery.values[there] - middle
        values = probes.values[here] - off - middle
        single = Vectors(values, probes.identity[here], probes.shape[here])
        each = single.each()
        for name, x in (("one", single), ("together", each)):
            similar = likelihood.ratio(x.values, enrolled, round(len(values) / len(x.identity)))
            for _ in range(SHUFFLES if shuffled else 1):
                people = x.identity.numpy()
                if shuffled:
                    names, row = np.unique(people, return_inverse=True)
                    people = random.permutation(names)[row]
                found[name].append(_outcome(similar.numpy(), people, gallery.identity[there]))
    copies = SHUFFLES if shuffled else 1
    return {name: _rates(parts, copies) for name, parts in found.items()}


def _outcome(
    similar: np.ndarray, people: np.ndarray, known: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits, mated and non-mated similarities of one group."""
    both = Comparison(similar, people, known.numpy())
    return rank_hits(both, [1])[0], similar[both.mated], similar[~both.mated]


def _rates(parts: list[Any], copies: int) -> dict[str, Any]:
    """Figures of hits, mated and non-mated similarities; `copies` parts a group."""
    hits = np.concatenate([hit for hit, _, _ in parts])
    of_part = np.repeat(np.arange(len(parts)), [len(hit) for hit, _, _ in parts])
    groups = len(parts) // copies
    figures = {"rank1": three(share(hits, of_part // copies, resamples=RESAMPLES))}
    if copies > 1:
        return figures

    def missed(chosen: np.ndarray) -> float:
        mated = np.concatenate([parts[k][1] for k in chosen])
        other = np.sort(np.concatenate([parts[k][2] for k in chosen]))
        limit = other[-1 - int(FMR * len(other))]
        return float((mated <= limit).mean())

    everyone = np.arange(groups)
    again = [missed(np.repeat(everyone, times)) for times in draws(groups, 200, 0)]
    fnmr = rate(missed(everyone), np.array(again), count=len(hits), identities=groups)
    return figures | {"fnmr": three(fnmr)}


def error_removed(
    guess: Tensor, codes: Tensor, shape: Tensor, space: ColourSpace, *, shuffled: bool = False
) -> dict[str, Any]:
    """Colour error of a guess, that of the mean skin, and what share of it is removed.

    Args:
        guess: (P, K) coordinates of the guessed colours.
        codes: (P, 24) the true albedo codes.
        shape: (P,) whose shape they have.
        space: of the coordinates.
        shuffled: give everybody another one's guess: the null control.

    Returns:
        `removed`: 1 - guess's / mean skin's mean CIE76 Delta E over the face, 0 where nothing is
        known, 1 where all is, negative where the mean skin is the better guess; `by_part`;
        `delta_e` of both.
    """
    if shuffled:
        guess = guess[torch.randperm(len(guess), generator=torch.Generator().manual_seed(0))]
    truth = face_colours(codes)
    guessed = colour_difference(space.colours(guess), truth)
    plain = colour_difference(space.mean.expand_as(truth), truth)
    names, group = torch.unique(shape, return_inverse=True)
    counts = torch.from_numpy(draws(len(names), RESAMPLES, 0)).float()[:, group]

    def removed(part: str) -> list[float] | str:
        again = 1 - (counts @ guessed[part]) / (counts @ plain[part])
        value = 1 - float(guessed[part].mean() / plain[part].mean())
        return three(rate(value, again.double().numpy(), count=len(group), identities=len(names)))

    return {
        "removed": removed("face"),
        "by_part": {part: removed(part) for part in guessed if part != "face"},
        "delta_e": {
            "mean_skin": {k: round(float(v.mean()), 2) for k, v in plain.items()},
            "guess": {k: round(float(v.mean()), 2) for k, v in guessed.items()},
        },
    }


def colours_from(held: Vectors, coordinates: Tensor) -> Callable[[Tensor], Tensor]:
    """A linear map from a twin's mean vector to coordinates of colours, learned on others.

    Args:
        held: of twins that the network never saw.
        coordinates: (P, K) their colours, in order of their numbers.
    """
    mean = held.each()
    return learn_ridge(mean.values, coordinates, mean.shape)
