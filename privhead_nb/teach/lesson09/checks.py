"""Checks of lesson 9: error rates, open sets, base rates, intervals, people drawn again."""

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
from privhead_nb.teach.checks import Array, Function, Slip, check


def ex0901(yours: Function) -> None:
    """FMR and FNMR at thresholds: (mated, other, thresholds) -> (T, 2)."""

    def spec(mated: Array, other: Array, at: Array) -> Array:
        return np.stack([(other >= at[:, None]).mean(1), (mated < at[:, None]).mean(1)], axis=1)

    def of_all(mated: Array, other: Array, at: Array) -> Array:
        return spec(mated, other, at) * [len(other), len(mated)] / (len(mated) + len(other))

    random = np.random.default_rng(90)
    mated, other = random.normal(1.5, 1, 40), random.normal(0, 1, 200)
    cases = {
        "40 mated and 200 non-mated": (mated, other, np.linspace(-2, 3, 11)),
        "thresholds at scores": (np.array([2, 2, 3.0]), np.arange(4.0), np.array([0, 2, 3.0])),
        "one threshold": (mated, other, np.array([0.5])),
    }
    slips: dict[str, Slip] = {
        "FMR comes first, then FNMR": lambda *given: spec(*given)[:, ::-1],
        "the second is the share of mated pairs that do not match; yours is TAR": (
            lambda *given: np.abs(spec(*given) - [0, 1])
        ),
        "a score that equals the threshold matches": (
            lambda mated, other, at: spec(mated, other, np.nextafter(at, np.inf))
        ),
        "each rate is a share of its own kind of pairs, not of all": of_all,
    }
    check("ex0901", yours, spec, cases, slips=slips)


def ex0903(yours: Function) -> None:
    """An open set: (similarity (P, G), mate (P,), threshold) -> FPIR, FNIR."""
    random = np.random.default_rng(92)
    similarity, mate = random.normal(size=(60, 8)), np.repeat(np.arange(-4, 8), 5).clip(min=-1)
    similarity[mate >= 0] += 1.5 * (mate[mate >= 0][:, None] == np.arange(8))
    small = np.array([[0.9, 0.2], [0.4, 0.7], [0.8, 0.6], [0.1, 0.3]])
    cases = {
        "two listed and two strangers": (small, np.array([0, 0, -1, -1]), 0.5),
        "60 searches, a low threshold": (similarity, mate, 0.5),
        "60 searches, a high threshold": (similarity, mate, 1.5),
        "at a score": (small, np.array([0, 1, -1, -1]), 0.7),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "who is listed must come first, too, and not only raise an alarm":
            (" & (similarity.argmax(1) == mate)", ""),
        "a right first candidate below the threshold raises no alarm": ("alarm & ", ""),
        "the mate's score is not enough: someone else may come first":
            ("similarity.argmax(1) == mate", "similarity[np.arange(len(mate)), mate] >= at"),
        "a score that equals the threshold raises an alarm": ("max(1) >= at", "max(1) > at"),
    }  # fmt: skip
    check("ex0903", yours, _open_set, cases, slips=slips)


def _open_set(similarity: Array, mate: Array, at: float) -> tuple[float, float]:
    alarm = similarity.max(1) >= at
    named = alarm & (similarity.argmax(1) == mate)
    return alarm[mate < 0].mean(), 1 - named[mate >= 0].mean()


def ex0904(yours: Function) -> None:
    """Alarms: (passers, wanted, listed, fmr, fnmr) -> right, false, share that is right."""
    cases = {
        "one on the list": (10_000, 10, 1, 0.001, 0.05),
        "a hundred on the list": (10_000, 10, 100, 0.001, 0.05),
        "a long list and half a town": (5_000, 2_500, 2_000, 0.002, 0.3),
        "nobody is missed": (100, 1, 10, 0.01, 0.0),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "false alarms are raised by those who are not wanted: passers less wanted":
            ("(passers - wanted)", "passers"),
        "each passer is compared with the whole list": (" ** listed", ""),
        "a passer raises one alarm at most; chances of many comparisons don't add up":
            ("(1 - (1 - fmr) ** listed)", "fmr * listed"),
        "fnmr is the share that is missed; the others raise the alarm": ("(1 - fnmr)", "fnmr"),
    }  # fmt: skip
    check("ex0904", yours, _alarms, cases, slips=slips, rtol=1e-9, atol=1e-9)


def ex0902(yours: Function) -> None:
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
    cases = {
        "ten pairs of each kind": (np.arange(10) / 10 + 0.45, np.arange(10) / 10, 0.2),
        "40 mated and 200 non-mated, FMR 5 %": (mated, other, 0.05),
        "the same scores in whole numbers: ties": (np.round(mated), np.round(other), 0.05),
        "all non-mated scores are equal": (mated, np.zeros(100), 0.3),
        "FMR 7 % of 100 pairs": (mated, other[:100], 0.07),
    }
    slips: dict[str, Slip] = {
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
    }
    check("ex0902", yours, spec, cases, slips=slips, rtol=0, atol=1e-9)


def ex0905(yours: Function) -> None:
    """Wilson's interval: (successes, trials, z) -> (low, high)."""

    def spec(successes: int, trials: int, z: float) -> Array:
        level = math.erf(z / math.sqrt(2))
        return np.array(binomtest(successes, trials).proportion_ci(level, "wilson"))

    def wald(successes: int, trials: int, z: float) -> Array:
        share = successes / trials
        return share + z * math.sqrt(share * (1 - share) / trials) * np.array([-1, 1])

    cases = {
        "2 of 31": (2, 31, 1.959964),
        "30 of 32": (30, 32, 1.959964),
        "none of 12": (0, 12, 1.959964),
        "all of 12": (12, 12, 1.959964),
        "500 of 1000, z = 1": (500, 1000, 1.0),
    }
    slips: dict[str, Slip] = {
        "the spread must be that of the unknown p, sqrt(p (1 - p) / n), and not that of k/n: "
        "at k = 0 yours has no width": wald,
        "that is Clopper and Pearson's; Wilson's asks for the p within z spreads": (
            lambda k, n, z: exact_interval(k, n, math.erf(z / math.sqrt(2)))
        ),
        "as shares between 0 and 1, not in percent": lambda *given: 100 * spec(*given),
        "the low end comes first": lambda *given: spec(*given)[::-1],
    }
    check("ex0905", yours, spec, cases, slips=slips, rtol=1e-6, atol=1e-7)


def _alarms(
    passers: int, wanted: int, listed: int, fmr: float, fnmr: float
) -> tuple[float, float, float]:
    right, false = wanted * (1 - fnmr), (passers - wanted) * (1 - (1 - fmr) ** listed)
    return right, false, right / (right + false)


def drawn_rates(matches: Array, probe: Array, gallery: Array, counts: Array) -> Array:
    """FNMR and FMR of verdicts, each time people are drawn again.

    Args:
        matches: (P, G) whether a pair was called a match.
        probe, gallery: (P,) and (G,) who is seen, numbers from 0 to n - 1.
        counts: (B, n) how often each person was drawn.

    Returns:
        (B, 2).
    """
    mated = probe[:, None] == gallery
    mine, theirs = counts[:, probe][:, :, None], counts[:, gallery][:, None, :]
    own, other = mine * mated, mine * theirs * ~mated
    missed = (own * ~matches).sum((1, 2)) / own.sum((1, 2))
    return np.stack([missed, (other * matches).sum((1, 2)) / other.sum((1, 2))], axis=1)


def ex0906(yours: Function) -> None:
    """FNMR and FMR of drawn people: (matches, probe, gallery, counts) -> (B, 2)."""
    random = np.random.default_rng(93)
    probe, gallery = np.repeat(np.arange(6), 4), np.arange(6)
    verdict = random.uniform(size=(24, 6)) < np.where(probe[:, None] == gallery, 0.8, 0.15)
    three = np.array([[True, False, True], [True, True, False], [False, False, True]])
    uneven = random.integers(0, 5, 30)
    uneven[:5], known = np.arange(5), np.repeat(np.arange(5), 2)
    other = random.uniform(size=(30, 10)) < np.where(uneven[:, None] == known, 0.7, 0.2)
    cases = {
        "three people, each drawn once": (three, *[np.arange(3)] * 2, np.ones((1, 3), int)),
        "three people, two draws": (
            three, *[np.arange(3)] * 2, np.array([[0, 1, 1], [2, 0, 1]])
        ),
        "six people, four probes each, 5 draws": (verdict, probe, gallery, draws(6, 5, 1)),
        "different numbers of pictures": (other, uneven, known, draws(5, 4, 2)),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "a mated pair counts c_i times and not c_i squared: a copy meets its own pictures "
        "only": ("= mine * mated", "= mine * theirs * mated"),
        "a non-mated pair has two people: it counts c_i c_j times": ("theirs * ~mated", "~mated"),
        "two copies of a person are no pair of strangers: leave them out of FMR":
            ("mine * theirs * ~mated", "(mine - mated) * theirs"),
        "who was drawn three times counts three times":
            lambda m, p, g, c: drawn_rates(m, p, g, np.minimum(c, 1)),
    }  # fmt: skip
    check("ex0906", yours, drawn_rates, cases, slips=slips)
