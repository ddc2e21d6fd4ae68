"""Checks of lesson 9: an error rate at a threshold, an interval, and people drawn again."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binomtest

from privhead_nb.lab.intervals import draws
from privhead_nb.lab.protocol import (
    Comparison,
    calibrate,
    exact_interval,
    verdicts,
)
from privhead_nb.teach.checks import Array, Function, check


def ex0901(yours: Function) -> None:
    """FNMR at the loosest threshold of an FMR: (mated, other, fmr) -> number."""

    def spec(mated: Array, other: Array, fmr: float) -> float:
        similarity = np.concatenate([mated, other])[:, None]
        probe = np.repeat([0, 1], [len(mated), len(other)])
        pairs = Comparison(similarity, probe, np.array([0]))
        return 1 - float(verdicts(pairs, calibrate(pairs, fmr))[: len(mated)].mean())

    def from_the_top(other: Array, fmr: float, further: int) -> float:
        """The last non-mated score that may match, or one so many places further down."""
        place = math.floor(fmr * len(other) + 1e-9) - 1 + further
        return float(np.sort(other)[::-1][min(place, len(other) - 1)])

    random = np.random.default_rng(91)
    mated, other = random.normal(1.5, 1, 40), random.normal(0, 1, 200)
    check(
        "ex0901",
        yours,
        spec,
        {
            "ten pairs of each kind": (np.arange(10) / 10 + 0.45, np.arange(10) / 10, 0.2),
            "40 mated and 200 non-mated, FMR 5 %": (mated, other, 0.05),
            "the same scores in whole numbers: ties": (np.round(mated), np.round(other), 0.05),
            "all non-mated scores are equal": (mated, np.zeros(100), 0.3),
            "FMR 7 % of 100 pairs": (mated, other[:100], 0.07),
        },
        hint="sort the non-mated scores from the highest. You may let the first fmr * N of them "
        "pass, but not the next one: pairs match that score higher than that one. Scores that "
        "equal it would all pass together with it, so none of them may",
        slips={
            "that is TAR, the share that matches; FNMR is the share that does not": (
                lambda mated, other, fmr: 1 - spec(mated, other, fmr)
            ),
            "your threshold lets one non-mated pair too many pass, and all that tie with it": (
                lambda mated, other, fmr: (mated < from_the_top(other, fmr, 1)).mean()
            ),
            "stricter than need be: mated scores between the last pair that may pass and the "
            "first that may not still match": (
                lambda mated, other, fmr: (mated <= from_the_top(other, fmr, 0)).mean()
            ),
            "the threshold comes from the non-mated scores, not from the mated ones": (
                lambda mated, _, fmr: (mated < np.quantile(mated, 1 - fmr)).mean()
            ),
        },
        rtol=0,
        atol=1e-9,
    )


def ex0902(yours: Function) -> None:
    """Wilson's interval: (successes, trials, z) -> (low, high)."""

    def spec(successes: int, trials: int, z: float) -> Array:
        level = math.erf(z / math.sqrt(2))
        return np.array(binomtest(successes, trials).proportion_ci(level, "wilson"))

    def wald(successes: int, trials: int, z: float) -> Array:
        share = successes / trials
        return share + z * math.sqrt(share * (1 - share) / trials) * np.array([-1, 1])

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
            "that is Clopper and Pearson's; Wilson's asks for the p within z spreads": (
                lambda k, n, z: exact_interval(k, n, math.erf(z / math.sqrt(2)))
            ),
            "the width is right, but the interval does not lie around k/n": (
                lambda k, n, z: k / n + np.ptp(spec(k, n, z)) / 2 * np.array([-1, 1])
            ),
            "as shares between 0 and 1, not in percent": lambda *given: 100 * spec(*given),
        },
        rtol=1e-6,
        atol=1e-7,
    )


def drawn_rates(matches: Array, probe: Array, gallery: Array, counts: Array) -> Array:
    """FNMR and FMR of verdicts, each time people are drawn again.

    Args:
        matches: (P, G) whether a pair was called a match.
        probe, gallery: (P,) and (G,) who is seen, numbers from 0 to n - 1.
        counts: (B, n) how often each person was drawn.

    Returns:
        (B, 2).
    """
    mated, mine, theirs = _weights(probe, gallery, counts)
    return _rates(matches, mine * mated, mine * theirs * ~mated)


def _weights(probe: Array, gallery: Array, counts: Array) -> tuple[Array, Array, Array]:
    """(P, G) is a pair mated; (B, P, 1) and (B, 1, G) how often its two people were drawn."""
    mated = probe[:, None] == gallery
    return mated, counts[:, probe][:, :, None], counts[:, gallery][:, None, :]


def _rates(matches: Array, own: Array, other: Array) -> Array:
    """(B, 2) FNMR and FMR where pairs count as (B, P, G) says of mated and of non-mated ones."""
    missed = (own * ~matches).sum((1, 2)) / own.sum((1, 2))
    return np.stack([missed, (other * matches).sum((1, 2)) / other.sum((1, 2))], axis=1)


def ex0903(yours: Function) -> None:
    """FNMR and FMR of drawn people: (matches, probe, gallery, counts) -> (B, 2)."""

    def both_sides(matches: Array, *given: Array) -> Array:
        mated, mine, theirs = _weights(*given)
        return _rates(matches, mine * theirs * mated, mine * theirs * ~mated)

    def probes_only(matches: Array, *given: Array) -> Array:
        mated, mine, _ = _weights(*given)
        return _rates(matches, mine * mated, mine * ~mated)

    def copies_are_strangers(matches: Array, *given: Array) -> Array:
        mated, mine, theirs = _weights(*given)
        return _rates(matches, mine * mated, (mine - mated) * theirs)

    random = np.random.default_rng(93)
    probe, gallery = np.repeat(np.arange(6), 4), np.arange(6)
    verdict = random.uniform(size=(24, 6)) < np.where(probe[:, None] == gallery, 0.8, 0.15)
    three = np.array([[True, False, True], [True, True, False], [False, False, True]])
    uneven = random.integers(0, 5, 30)
    uneven[:5], known = np.arange(5), np.repeat(np.arange(5), 2)
    other = random.uniform(size=(30, 10)) < np.where(uneven[:, None] == known, 0.7, 0.2)
    check(
        "ex0903",
        yours,
        drawn_rates,
        {
            "three people, each drawn once": (three, *[np.arange(3)] * 2, np.ones((1, 3), int)),
            "three people, two draws": (
                three, *[np.arange(3)] * 2, np.array([[0, 1, 1], [2, 0, 1]])
            ),
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
            "who was drawn three times counts three times": (
                lambda m, p, g, c: drawn_rates(m, p, g, np.minimum(c, 1))
            ),
            "FNMR comes first, then FMR": lambda *given: drawn_rates(*given)[:, ::-1],
        },
    )  # fmt: skip
