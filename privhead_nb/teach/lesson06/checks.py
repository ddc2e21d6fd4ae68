"""Checks of lesson 6: count signals, flip a part, score a guess, Poisson's equation, a crowd."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.teach.lesson06 import multiplicity, poisson, scores


def ex0601(yours: Function) -> None:
    """Signals in [0, 1] with given steps, those that differ by a constant once: steps -> count."""

    def walks(steps: Array) -> Array:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
        return np.cumsum(signs * steps, axis=1)

    def from_zero(steps: Array) -> int:
        return int((np.abs(walks(steps) - 0.5) <= 0.5 + 1e-9).all(axis=1).sum())

    check(
        "ex0601",
        yours,
        lambda steps: len(multiplicity.signals(steps)),
        {
            "one step": (np.array([0.4]),),
            "three steps that all fit": (np.array([0.2, 0.3, 0.1]),),
            "three large steps": (np.array([0.6, 0.5, 0.6]),),
            "a step of the whole range": (np.array([1.0, 0.25]),),
            "ten random steps": (np.random.default_rng(601).uniform(0.1, 0.5, 10),),
        },
        hint="for each choice of signs, add the steps up; a signal fits if some start puts all of "
        "it between 0 and 1, so compare its highest with its lowest value",
        slips={
            "these are all choices of signs; some leave the range": lambda steps: 2 ** len(steps),
            "the signal may start anywhere, not only at 0": from_zero,
            "it must stay in the range on its way, too, not only at its end": lambda steps: (
                np.abs(walks(steps)[:, -1]) <= 1 + 1e-9
            ).sum(),
            "the signal has one value more than it has steps: don't forget the start": lambda s: (
                np.ptp(walks(s), axis=1) <= 1 + 1e-9
            ).sum(),
        },
    )


def ex0602(yours: Function) -> None:
    """A part mirrored about the level around it: (picture (H, W, 3), inside (H, W)) -> picture."""

    def spec(picture: Array, inside: Array) -> Array:
        return multiplicity.mirrored(torch.tensor(picture), torch.tensor(inside)).numpy()

    def about(twice_the_level: Array, picture: Array, inside: Array) -> Array:
        return np.where(inside[..., None], twice_the_level - picture, picture)

    def of_mean(picture: Array, inside: Array) -> Array:
        return about(2 * picture[inside].mean(0), picture, inside)

    random = np.random.default_rng(602)
    sea = np.broadcast_to(np.array([0.5, 0.4, 0.3]), (9, 11, 3)).copy()
    first, second, edge = np.zeros((3, 9, 11), dtype=bool)
    first[3:6, 3:7], second[2:5, 8:10], edge[3:6, :2] = True, True, True
    bump = sea.copy()
    bump[first] += random.uniform(0.05, 0.2, (12, 3))
    two = bump.copy()
    two[second] -= random.uniform(0.05, 0.2, (6, 3))
    seas, cut = two.copy(), sea.copy()
    seas[:, :2] = cut[:, :4] = [0.2, 0.6, 0.4]  # a strip of another sea
    cut[edge] -= random.uniform(0.05, 0.15, (6, 3))
    check(
        "ex0602",
        yours,
        spec,
        {
            "one part": (bump, first),
            "the second of two parts": (two, second),
            "nothing to mirror but the sea": (sea, first),
            "another sea at the picture's left": (seas, second),
            "a part that the picture's edge cuts": (cut, edge),
        },
        hint="find the colour b just outside of the part, and put 2 b - x in place of x inside",
        slips={
            "mirror about the level around the part, not about the mean inside of it": of_mean,
            "the level is that right beside the part; the picture's corner may be in another sea": (
                lambda p, i: about(2 * p[0, 0], p, i)
            ),
            "only the rim of the part is known to be even, not all that is outside": lambda p, i: (
                about(2 * p[~i].mean(0), p, i)
            ),
            "1 - x is the mirror about 0.5; the sea need not be 0.5": lambda p, i: (
                about(np.ones(3), p, i)
            ),
            "only the part is to be mirrored, all else stays": lambda p, i: (
                about(2 * p[0, 0], p, np.ones_like(i))
            ),
            "-x is the mirror about 0; the sea is not 0": lambda p, i: about(np.zeros(3), p, i),
        },
    )  # fmt: skip


def ex0603(yours: Function) -> None:
    """Share explained by the best of c + x and c - x: (guess (H, W), truth (H, W)) -> number."""

    def spec(guess: Array, truth: Array) -> float:
        x, y = torch.tensor(guess), torch.tensor(truth)
        return scores.up_to_constant_and_sign(x, y).explained

    def left_over(guess: Array, truth: Array) -> float:
        return float(1 - ((guess - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())

    def correlation(guess: Array, truth: Array) -> float:
        x, y = guess - guess.mean(), truth - truth.mean()
        return float((x * y).sum() ** 2 / max((x * x).sum() * (y * y).sum(), 1e-12))

    random = np.random.default_rng(603)
    truth = random.uniform(size=(5, 7))
    check(
        "ex0603",
        yours,
        spec,
        {
            "the truth, lighter": (truth + 0.2, truth),
            "its negative": (1 - truth, truth),
            "half its contrast, and a negative": (0.3 - 0.5 * truth, truth),
            "a plain picture": (np.full_like(truth, 0.4), truth),
            "a guess with errors": (1 - truth + 0.1 * random.normal(size=truth.shape), truth),
            "something else": (random.uniform(size=truth.shape), truth),
        },
        hint="for either sign the best c puts the mean of the guess on the mean of the truth; then "
        "1 - what is left / what there was, sums of squares, the truth's around its mean",
        slips={
            "try the negative, too: the modulus doesn't know the sign": lambda x, y: left_over(
                x - x.mean() + y.mean(), y
            ),
            "c is free: move the guess to the truth's mean before you compare": lambda x, y: max(
                left_over(x, y), left_over(-x, y)
            ),
            "a correlation also forgives a wrong contrast, and the modulus fixes it": correlation,
        },
        rtol=1e-4,
    )


def ex0604(yours: Function) -> None:
    """A picture from signed differences: (right (H, W-1), down (H-1, W)) -> (H, W) of mean 0."""
    spec = poisson.from_differences

    def summed(right: Array, down: Array) -> Array:
        start = np.cumsum(np.pad(down[:, :1], ((1, 0), (0, 0))), axis=0)
        rows = start + np.cumsum(np.pad(right, ((0, 0), (1, 0))), axis=1)
        return np.asarray(rows - rows.mean())

    def around(right: Array, down: Array) -> Array:
        """Fourier's borders, where the picture goes round."""
        x, y = np.pad(right, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0)))
        pulled = np.roll(x, 1, 1) - x + np.roll(y, 1, 0) - y
        u, v = (2 - 2 * np.cos(2 * np.pi * np.arange(n) / n) for n in pulled.shape)
        bottom = u[:, None] + v
        bottom[0, 0] = np.inf
        return np.asarray(np.fft.ifft2(np.fft.fft2(pulled) / bottom).real)

    random = np.random.default_rng(604)
    picture = random.uniform(size=(6, 9))
    exact = (np.diff(picture, axis=1), np.diff(picture, axis=0))
    check(
        "ex0604",
        yours,
        spec,
        {
            "2 x 2 pixels": (np.array([[1.0], [1.0]]), np.array([[0.0, 0.0]])),
            "a picture's own differences": exact,
            "differences that no picture has": tuple(
                g + 0.1 * random.normal(size=g.shape) for g in exact
            ),
        },
        hint="D'g: each difference adds itself to the pixel after it and takes itself from the one "
        "before; divide its DCT-II by 4 - 2 cos(pi u / H) - 2 cos(pi v / W), with 0 at u = v = 0",
        slips={
            "this is the negative: D'g is minus the divergence": lambda r, d: -spec(r, d),
            "this goes round the borders: use the cosines of the DCT, not Fourier's waves": around,
            "the mean is to be 0, not the first pixel": lambda r, d: spec(r, d) - spec(r, d)[0, 0],
            "right where the differences fit together; else every error runs along the row: "
            "find the picture whose differences come nearest": summed,
        },
    )


def crowd(similarity: Array, own: Array, share: float, *, ties_below: bool = False) -> int:
    """How many people an attacker must keep, so that the right one is among them.

    Args:
        similarity: (N, P) of N probes and P known people.
        own: (N,) the column of each probe's person.
        share: of the probes for which the right one has to be among them.
        ties_below: leave out people who are as similar as the right one.

    Returns:
        The smallest k such that for `share` of the probes at most k people, the right one among
        them, are as similar as the right one or more.
    """
    mine = similarity[np.arange(len(own)), own][:, None]
    before = similarity > mine if ties_below else similarity >= mine
    ranks = np.sort(before.sum(axis=1) + ties_below)
    return int(ranks[int(np.ceil(share * len(ranks) - 1e-9)) - 1])


def ex0605(yours: Function) -> None:
    """How many people to keep: (similarity (N, P), own (N,), share) -> a whole number."""

    def ranks(similarity: Array, own: Array) -> Array:
        return np.array([crowd(row[None], own[i : i + 1], 1.0) for i, row in enumerate(similarity)])

    def the_rest(similarity: Array, own: Array, share: float) -> int:
        place = int(np.ceil((1 - share) * len(own) - 1e-9)) - 1
        return int(np.sort(ranks(similarity, own))[place])

    random = np.random.default_rng(605)
    table = random.normal(size=(40, 12))
    own = random.integers(0, 12, 40)
    table[np.arange(40), own] += 1.0
    check(
        "ex0605",
        yours,
        crowd,
        {
            "one probe, the right one second": (np.array([[0.9, 0.2, 0.5]]), np.array([2]), 1.0),
            "half of 40 probes": (table, own, 0.5),
            "nine of ten": (table, own, 0.9),
            "with ties": (np.round(table), own, 0.8),
            "all of them": (table, own, 1.0),
        },
        hint="a probe's rank is how many people score at least as high as its own person, itself "
        "included; sort the ranks, and take the one at place ceil(share x N)",
        slips={
            "the first person has rank 1: keep one more": lambda t, o, s: crowd(t, o, s) - 1,
            "the most similar comes first": lambda t, o, s: crowd(-t, o, s),
            "a mean rank is no answer for a share of the probes": lambda t, o, _: ranks(
                t, o
            ).mean(),
            "someone who scores the same stands before: count >=, not >": lambda t, o, s: crowd(
                t, o, s, ties_below=True
            ),
            "people come whole: the smallest k that reaches the share, nothing in between": (
                lambda t, o, s: np.quantile(ranks(t, o), s)
            ),
            "that is the rank which the share is above of; it is to be below": the_rest,
        },
    )
