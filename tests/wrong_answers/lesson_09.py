"""Answers to the exercises of lesson 09, as students write them."""

from __future__ import annotations

from typing import Any

import numpy as np

# 0901, two rates ----------------------------------------------------------------------------------


def rates_right_by_sorting(mated, other, thresholds):
    below = [np.searchsorted(np.sort(s), thresholds) / len(s) for s in (other, mated)]
    return np.stack([1 - below[0], below[1]], axis=1)


# 0902, FNMR at an FMR -----------------------------------------------------------------------------


def fnmr_right_by_sorting(mated, other, fmr):
    may = int(fmr * len(other) + 1e-9)
    return float((mated <= np.sort(other)[len(other) - may - 1]).mean())


# 0903, an open set --------------------------------------------------------------------------------


def open_right(similarity, mate, threshold):
    wrong = missed = 0
    for row, own in zip(similarity, mate, strict=True):
        best = int(np.argmax(row))
        named = best if row[best] >= threshold else None
        wrong += own < 0 and named is not None
        missed += own >= 0 and named != own
    return wrong / (mate < 0).sum(), missed / (mate >= 0).sum()


# 0904, right and false alarms ---------------------------------------------------------------------


def alarms_right_step_by_step(passers, wanted, listed, fmr, fnmr):
    quiet = 1.0
    for _ in range(listed):
        quiet *= 1 - fmr
    false = (passers - wanted) * (1 - quiet)
    right = wanted * (1 - fnmr)
    return np.array([right, false, right / (false + right)])


# 0905, Wilson's interval --------------------------------------------------------------------------


def wilson_right_by_roots(successes, trials, z):
    share, extra = successes / trials, z * z / trials
    return tuple(np.sort(np.roots([1 + extra, -2 * share - extra, share**2]).real))


# 0906, people drawn again -------------------------------------------------------------------------


def drawn_right(matches, probe, gallery, counts):
    """By copies: every drawn person with all their pictures, pair by pair."""
    out = []
    for drawn in counts:
        wrong = missed = mated = other = 0
        copies = [i for i, times in enumerate(drawn) for _ in range(times)]
        for a, i in enumerate(copies):
            for b, j in enumerate(copies):
                if i == j and a != b:
                    continue
                part = matches[np.ix_(probe == i, gallery == j)]
                if i == j:
                    mated, missed = mated + part.size, missed + (~part).sum()
                else:
                    other, wrong = other + part.size, wrong + part.sum()
        out.append((missed / mated, wrong / other))
    return np.array(out)


WRONG: list[Any] = []  # the checks say nothing of a wrong answer that is none of their slips

RIGHT = [
    ("0901", rates_right_by_sorting),
    ("0902", fnmr_right_by_sorting),
    ("0903", open_right),
    ("0904", alarms_right_step_by_step),
    ("0905", wilson_right_by_roots),
    ("0906", drawn_right),
]
