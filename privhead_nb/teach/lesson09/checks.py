"""Checks of lesson 9: an error rate at a threshold, an interval, and people drawn again."""

from __future__ import annotations

import math

import numpy as np

from privhead_nb.lab.comparison import Comparison
from privhead_nb.lab.intervals import draws, exact_interval, wilson_interval
from privhead_nb.lab.verification import calibrate, verdicts
from privhead_nb.teach.checks import Array, Function, check
from privhead_nb.teach.lesson09.repeated_studies import pair_rates


def ex0901(yours: Function) -> None:
    """FNMR at the loosest threshold of an FMR: (mated, other, fmr) -> number."""

    def spec(mated: Array, other: Array, fmr: float) -> float:
        similarity = np.concatenate([mated, other])[:, None]
        probe = np.repeat([0, 1], [len(mated), len(other)])
        pairs = Comparison(similarity, probe, np.array([0]))
        return 1 - float(verdicts(pairs, calibrate(pairs, fmr))[: len(mated)].mean())

    def allowed(other: Array, fmr: float) -> int:
        return math.floor(fmr * len(other) + 1e-9)

    def tar(mated: Array, other: Array, fmr: float) -> float:
        return 1 - spec(mated, other, fmr)

    def one_too_many(mated: Array, other: Array, fmr: float) -> float:
        limit = np.sort(other)[::-1][min(allowed(other, fmr), len(other) - 1)]
        return float((mated < limit).mean())

    def too_strict(mated: Array, other: Array, fmr: float) -> float:
        limit = np.sort(other)[::-1][allowed(other, fmr) - 1]
        return float((mated <= limit).mean())

    def of_mated(mated: Array, _: Array, fmr: float) -> float:
        return float((mated < np.quantile(mated, 1 - fmr)).mean())

    random = np.random.default_rng(91)
    mated, other = random.normal(1.5, 1, 40), random.normal(0, 1, 200)
    tied_mated, tied_other = np.round(mated), np.round(other)
    check(
        "ex0901",
        yours,
        spec,
        {
            "ten pairs of each kind": (
                np.arange(10) / 10 + 0.45,
                np.arange(10) / 10,
                0.2,
            ),
            "40 mated and 200 non-mated, FMR 5 %": (mated, other, 0.05),
            "the same scores in whole numbers: ties": (tied_mated, tied_other, 0.05),
            "all non-mated scores are equal": (mated, np.zeros(100), 0.3),
            "FMR 7 % of 100 pairs": (mated, other[:100], 0.07),
        },
        hint="sort the non-mated scores from the highest. You may let the first fmr * N of them "
        "pass, but not the next one: pairs match that score higher than that one. Scores that "
        "equal it would all pass together with it, so none of them may",
        slips={
            "that is TAR, the share that matches; FNMR is the share that does not": tar,
            "your threshold lets one non-mated pair too many pass, and all that tie with it": (
                one_too_many
            ),
            "stricter than need be: mated scores between the last pair that may pass and the "
            "first that may not still match": too_strict,
            "the threshold comes from the non-mated scores, not from the mated ones": of_mated,
        },
        rtol=0,
        atol=1e-9,
    )


def ex0902(yours: Function) -> None:
    """Wilson's interval: (successes, trials, z) -> (low, high)."""

    def spec(successes: int, trials: int, z: float) -> tuple[float, float]:
        level = math.erf(z / math.sqrt(2))
        return wilson_interval(successes, trials, level)

    def wald(successes: int, trials: int, z: float) -> tuple[float, float]:
        share = successes / trials
        half = z * math.sqrt(share * (1 - share) / trials)
        return share - half, share + half

    def exact(successes: int, trials: int, z: float) -> tuple[float, float]:
        return exact_interval(successes, trials, math.erf(z / math.sqrt(2)))

    def around_the_share(successes: int, trials: int, z: float) -> tuple[float, float]:
        low, high = spec(successes, trials, z)
        share, half = successes / trials, (high - low) / 2
        return share - half, share + half

    def percent(successes: int, trials: int, z: float) -> tuple[float, float]:
        low, high = spec(successes, trials, z)
        return 100 * low, 100 * high

    check(
        "ex0902",
        yours,
        spec,
        {
            "2 of 31": (2, 31, 1.959964),
            "30 of 32": (30, 32, 1.959964),
            "none of 12": (0, 12, 1.959964),
            "all of 12": (12, 12, 1.959964),
            "500 of 1000, z = 1": (500, 1000, 1.0),
        },
        hint="square |k/n - p| = z sqrt(p (1 - p) / n) and sort by powers of p: "
        "(1 + z^2/n) p^2 - (2 k/n + z^2/n) p + (k/n)^2 = 0; its two roots are the ends",
        slips={
            "the spread must be that of the unknown p, sqrt(p (1 - p) / n), and not that of k/n: "
            "at k = 0 yours has no width": wald,
            "that is Clopper and Pearson's; Wilson's asks for the p within z spreads": exact,
            "the width is right, but the interval does not lie around k/n": around_the_share,
            "as shares between 0 and 1, not in percent": percent,
        },
        rtol=1e-6,
        atol=1e-7,
    )


def ex0903(yours: Function) -> None:
    """FNMR and FMR of drawn people: (matches, probe, gallery, counts) -> (B, 2)."""

    def weighted(matches: Array, probe: Array, gallery: Array, own: Array, cross: Array) -> Array:
        """With weights (B, P) of mated pairs by probe, and (B, P, G) of all non-mated ones."""
        mated = probe[:, None] == gallery
        w = own[:, :, None] * mated
        v = cross * ~mated
        missed = (w * ~matches).sum((1, 2)) / w.sum((1, 2))
        return np.stack([missed, (v * matches).sum((1, 2)) / v.sum((1, 2))], axis=1)

    def both_sides(m: Array, p: Array, g: Array, c: Array) -> Array:
        cross = c[:, p][:, :, None] * c[:, g][:, None, :]
        mated = p[:, None] == g
        w = cross * mated
        missed = (w * ~m).sum((1, 2)) / w.sum((1, 2))
        return np.stack([missed, weighted(m, p, g, c[:, p], cross)[:, 1]], axis=1)

    def probes_only(m: Array, p: Array, g: Array, c: Array) -> Array:
        cross = np.broadcast_to(c[:, p][:, :, None], (len(c), *m.shape))
        return weighted(m, p, g, c[:, p], cross)

    def copies_are_strangers(m: Array, p: Array, g: Array, c: Array) -> Array:
        mated = p[:, None] == g
        cross = c[:, p][:, :, None] * c[:, g][:, None, :]
        extra = (c[:, p] * (c[:, p] - 1))[:, :, None] * mated
        v = cross * ~mated + extra
        right = weighted(m, p, g, c[:, p], cross)
        return np.stack([right[:, 0], (v * m).sum((1, 2)) / v.sum((1, 2))], axis=1)

    def once_each(m: Array, p: Array, g: Array, c: Array) -> Array:
        return pair_rates(m, p, g, np.minimum(c, 1))

    def swapped(m: Array, p: Array, g: Array, c: Array) -> Array:
        return pair_rates(m, p, g, c)[:, ::-1]

    random = np.random.default_rng(93)
    probe, gallery = np.repeat(np.arange(6), 4), np.arange(6)
    verdict = random.uniform(size=(24, 6)) < np.where(probe[:, None] == gallery, 0.8, 0.15)
    few = np.array([[True, False, True], [True, True, False], [False, False, True]])
    two = np.array([[0, 1, 1], [2, 0, 1]])
    uneven = random.integers(0, 5, 30)
    uneven[:5], known = np.arange(5), np.repeat(np.arange(5), 2)
    other = random.uniform(size=(30, 10)) < np.where(uneven[:, None] == known, 0.7, 0.2)
    check(
        "ex0903",
        yours,
        pair_rates,
        {
            "three people, each drawn once": (
                few,
                np.arange(3),
                np.arange(3),
                np.ones((1, 3), int),
            ),
            "three people, two draws": (few, np.arange(3), np.arange(3), two),
            "six people, four probes each, 5 draws": (verdict, probe, gallery, draws(6, 5, 1)),
            "different numbers of pictures": (other, uneven, known, draws(5, 4, 2)),
        },
        hint="give every pair a weight that depends on the draw. If i was drawn c_i times, there "
        "are c_i copies of i: each meets its own pictures, and each copy of i meets each of the "
        "c_j copies of j. Then a rate is the weight of the wrong verdicts over all weight",
        slips={
            "a mated pair counts c_i times and not c_i squared: a copy meets its own pictures "
            "only": both_sides,
            "a non-mated pair has two people: it counts c_i c_j times": probes_only,
            "two copies of a person are no pair of strangers: leave them out of FMR": (
                copies_are_strangers
            ),
            "who was drawn three times counts three times": once_each,
            "FNMR comes first, then FMR": swapped,
        },
    )
