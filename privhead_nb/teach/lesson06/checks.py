"""Checks of lesson 6: count signals, flip a part, score a guess, Poisson's equation, a crowd."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from privhead_nb.lab.attacks import multiplicity, poisson, scores
from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.teach.lesson06 import strong_attacks


def ex0601(yours: Function) -> None:
    """Signals in [0, 1] with given steps, those that differ by a constant once: steps -> count."""

    def spec(steps: Array) -> int:
        return len(multiplicity.signals(steps))

    def walks(steps: Array) -> Array:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
        return np.cumsum(signs * steps, axis=1)

    def all_signs(steps: Array) -> int:
        return int(2 ** len(steps))

    def from_zero(steps: Array) -> int:
        return int(((walks(steps) >= -1e-9) & (walks(steps) <= 1 + 1e-9)).all(1).sum())

    def only_ends(steps: Array) -> int:
        return int((np.abs(walks(steps)[:, -1]) <= 1 + 1e-9).sum())

    def no_start(steps: Array) -> int:
        return int((np.ptp(walks(steps), axis=1) <= 1 + 1e-9).sum())

    random = np.random.default_rng(601)
    check(
        "ex0601",
        yours,
        spec,
        {
            "one step": (np.array([0.4]),),
            "three steps that all fit": (np.array([0.2, 0.3, 0.1]),),
            "three large steps": (np.array([0.6, 0.5, 0.6]),),
            "a step of the whole range": (np.array([1.0, 0.25]),),
            "ten random steps": (random.uniform(0.1, 0.5, 10),),
        },
        hint="for each choice of signs, add the steps up; a signal fits if some start puts all of "
        "it between 0 and 1, so compare its highest with its lowest value",
        slips={
            "these are all choices of signs; some leave the range": all_signs,
            "the signal may start anywhere, not only at 0": from_zero,
            "it must stay in the range on its way, too, not only at its end": only_ends,
            "the signal has one value more than it has steps: don't forget the start": no_start,
        },
        same=_one_number,
    )


def ex0602(yours: Function) -> None:
    """A part mirrored about the level around it: (picture (H, W, 3), inside (H, W)) -> picture."""

    def spec(picture: Array, inside: Array) -> Array:
        return multiplicity.mirrored(torch.tensor(picture), torch.tensor(inside)).numpy()

    def about_mean(picture: Array, inside: Array) -> Array:
        out = picture.copy()
        out[inside] = 2 * picture[inside].mean(0) - picture[inside]
        return out

    def about_corner(picture: Array, inside: Array) -> Array:
        return np.where(inside[..., None], 2 * picture[0, 0] - picture, picture)

    def about_outside(picture: Array, inside: Array) -> Array:
        return np.where(inside[..., None], 2 * picture[~inside].mean(0) - picture, picture)

    def negative(picture: Array, inside: Array) -> Array:
        return np.where(inside[..., None], 1 - picture, picture)

    def whole(picture: Array, inside: Array) -> Array:
        return 2 * picture[0, 0] - picture + 0 * inside[..., None]

    def minus(picture: Array, inside: Array) -> Array:
        return np.where(inside[..., None], -picture, picture)

    check(
        "ex0602",
        yours,
        spec,
        _parts(),
        hint="find the colour b just outside of the part, and put 2 b - x in place of x inside",
        slips={
            "mirror about the level around the part, not about the mean inside of it": about_mean,
            "the level is that right beside the part; the picture's corner may be in another sea": (
                about_corner
            ),
            "only the rim of the part is known to be even, not all that is outside": about_outside,
            "1 - x is the mirror about 0.5; the sea need not be 0.5": negative,
            "only the part is to be mirrored, all else stays": whole,
            "-x is the mirror about 0; the sea is not 0": minus,
        },
    )


def ex0603(yours: Function) -> None:
    """Share explained by the best of c + x and c - x: (guess (H, W), truth (H, W)) -> number."""

    def spec(guess: Array, truth: Array) -> float:
        x, y = torch.tensor(guess), torch.tensor(truth)
        return scores.up_to_constant_and_sign(x, y).explained

    def left_over(guess: Array, truth: Array) -> float:
        return float(1 - ((guess - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())

    def plus_only(guess: Array, truth: Array) -> float:
        return left_over(guess - guess.mean() + truth.mean(), truth)

    def uncentred(guess: Array, truth: Array) -> float:
        return max(left_over(guess, truth), left_over(-guess, truth))

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
            "try the negative, too: the modulus doesn't know the sign": plus_only,
            "c is free: move the guess to the truth's mean before you compare": uncentred,
            "a correlation also forgives a wrong contrast, and the modulus fixes it": correlation,
        },
        same=_one_number,
    )


def ex0604(yours: Function) -> None:
    """A picture from signed differences: (right (H, W-1), down (H-1, W)) -> (H, W) of mean 0."""

    def negative(right: Array, down: Array) -> Array:
        return -poisson.from_differences(right, down)

    def summed(right: Array, down: Array) -> Array:
        start = np.concatenate([np.zeros((1, 1)), np.cumsum(down[:, :1], axis=0)], axis=0)
        rows = np.concatenate([start, start + np.cumsum(right, axis=1)], axis=1)
        return np.asarray(rows - rows.mean())

    def from_corner(right: Array, down: Array) -> Array:
        found = poisson.from_differences(right, down)
        return np.asarray(found - found[0, 0])

    def around(right: Array, down: Array) -> Array:
        """Fourier's borders, where the picture goes round."""
        height, width = right.shape[0], down.shape[1]
        x = np.concatenate([right, np.zeros((height, 1))], axis=1)
        y = np.concatenate([down, np.zeros((1, width))], axis=0)
        pulled = np.roll(x, 1, 1) - x + np.roll(y, 1, 0) - y
        u = 2 - 2 * np.cos(2 * np.pi * np.arange(height) / height)
        v = 2 - 2 * np.cos(2 * np.pi * np.arange(width) / width)
        bottom = u[:, None] + v
        bottom[0, 0] = 1.0
        spectrum = np.fft.fft2(pulled) / bottom
        spectrum[0, 0] = 0
        return np.asarray(np.fft.ifft2(spectrum).real)

    random = np.random.default_rng(604)
    picture = random.uniform(size=(6, 9))
    exact = (np.diff(picture, axis=1), np.diff(picture, axis=0))
    noisy = tuple(g + 0.1 * random.normal(size=g.shape) for g in exact)
    check(
        "ex0604",
        yours,
        poisson.from_differences,
        {
            "2 x 2 pixels": (np.array([[1.0], [1.0]]), np.array([[0.0, 0.0]])),
            "a picture's own differences": exact,
            "differences that no picture has": noisy,
        },
        hint="D'g: each difference adds itself to the pixel after it and takes itself from the one "
        "before; divide its DCT-II by 4 - 2 cos(pi u / H) - 2 cos(pi v / W), with 0 at u = v = 0",
        slips={
            "this is the negative: D'g is minus the divergence": negative,
            "this goes round the borders: use the cosines of the DCT, not Fourier's waves": around,
            "the mean is to be 0, not the first pixel": from_corner,
            "right where the differences fit together; else every error runs along the row: "
            "find the picture whose differences come nearest": summed,
        },
    )


def ex0605(yours: Function) -> None:
    """How many people to keep: (similarity (N, P), own (N,), share) -> a whole number."""

    def ranks(similarity: Array, own: Array) -> Array:
        mine = similarity[np.arange(len(own)), own]
        return np.asarray(np.sort((similarity >= mine[:, None]).sum(1)))

    def from_zero(similarity: Array, own: Array, share: float) -> int:
        return strong_attacks.crowd(similarity, own, share) - 1

    def least_first(similarity: Array, own: Array, share: float) -> int:
        return strong_attacks.crowd(-similarity, own, share)

    def mean_rank(similarity: Array, own: Array, share: float) -> float:
        return float(ranks(similarity, own).mean() + 0 * share)

    def ties_below(similarity: Array, own: Array, share: float) -> int:
        mine = similarity[np.arange(len(own)), own]
        found = np.sort((similarity > mine[:, None]).sum(1) + 1)
        return int(found[int(np.ceil(share * len(found) - 1e-9)) - 1])

    def between(similarity: Array, own: Array, share: float) -> float:
        return float(np.quantile(ranks(similarity, own), share))

    def the_rest(similarity: Array, own: Array, share: float) -> int:
        found = ranks(similarity, own)
        return int(found[int(np.ceil((1 - share) * len(found) - 1e-9)) - 1])

    random = np.random.default_rng(605)
    table = random.normal(size=(40, 12))
    own = random.integers(0, 12, 40)
    table[np.arange(40), own] += 1.0
    ties = np.round(table)
    check(
        "ex0605",
        yours,
        strong_attacks.crowd,
        {
            "one probe, the right one second": (np.array([[0.9, 0.2, 0.5]]), np.array([2]), 1.0),
            "half of 40 probes": (table, own, 0.5),
            "nine of ten": (table, own, 0.9),
            "with ties": (ties, own, 0.8),
            "all of them": (table, own, 1.0),
        },
        hint="a probe's rank is how many people score at least as high as its own person, itself "
        "included; sort the ranks, and take the one at place ceil(share x N)",
        slips={
            "the first person has rank 1: keep one more": from_zero,
            "the most similar comes first": least_first,
            "a mean rank is no answer for a share of the probes": mean_rank,
            "someone who scores the same stands before: count >=, not >": ties_below,
            "people come whole: the smallest k that reaches the share, nothing in between": between,
            "that is the rank which the share is above of; it is to be below": the_rest,
        },
        same=_one_number,
    )


def _one_number(got: Any, wanted: float) -> list[str] | None:
    """What differs between an answer that is one number and the specification's."""
    mine = np.asarray(got)
    if mine.shape != () or mine.dtype.kind not in "biuf":
        return [f"yours is {got!r}, not one number"]
    if np.isclose(float(mine), wanted, rtol=1e-4, atol=1e-5):
        return None
    return [f"yours {float(mine):.6g}, specification {wanted:.6g}"]


def _parts() -> dict[str, tuple[Array, Array]]:
    """Pictures and the part that is to be mirrored."""
    sea = np.broadcast_to(np.array([0.5, 0.4, 0.3]), (9, 11, 3)).copy()
    random = np.random.default_rng(602)
    bump = sea.copy()
    bump[3:6, 3:7] += random.uniform(0.05, 0.2, (3, 4, 3))
    two = bump.copy()
    two[2:5, 8:10] -= random.uniform(0.05, 0.2, (3, 2, 3))
    first, second, edge = np.zeros((3, 9, 11), dtype=bool)
    first[3:6, 3:7], second[2:5, 8:10], edge[3:6, :2] = True, True, True
    seas = two.copy()
    seas[:, :2] = [0.2, 0.6, 0.4]  # a strip of another sea
    cut = sea.copy()
    cut[:, :4] = seas[0, 0]
    cut[edge] -= random.uniform(0.05, 0.15, (6, 3))
    return {
        "one part": (bump, first),
        "the second of two parts": (two, second),
        "nothing to mirror but the sea": (sea, first),
        "another sea at the picture's left": (seas, second),
        "a part that the picture's edge cuts": (cut, edge),
    }
