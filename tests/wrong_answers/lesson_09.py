"""Answers to the exercises of lesson 09, as students write them."""

from __future__ import annotations

import math

import numpy as np
from answers import edited, spoiled

from privhead_nb.lab.intervals import exact_interval

# 0901, two rates ----------------------------------------------------------------------------------


def rates_right(mated, other, thresholds):
    return np.array([((other >= t).mean(), (mated < t).mean()) for t in thresholds])


def rates_right_by_sorting(mated, other, thresholds):
    below = [np.searchsorted(np.sort(s), thresholds) / len(s) for s in (other, mated)]
    return np.stack([1 - below[0], below[1]], axis=1)


# 0902, FNMR at an FMR -----------------------------------------------------------------------------


def fnmr_right(mated, other, fmr):
    """Try every threshold just above a score."""
    loosest = [
        t
        for t in np.append(np.nextafter(np.unique(other), np.inf), other.min())
        if (other >= t).mean() <= fmr + 1e-12
    ]
    return float((mated < min(loosest)).mean())


def fnmr_right_by_sorting(mated, other, fmr):
    may = int(fmr * len(other) + 1e-9)
    return float((mated <= np.sort(other)[len(other) - may - 1]).mean())


def fnmr_by_quantile(mated, other, fmr):
    return (mated < np.quantile(other, 1 - fmr)).mean()


# 0903, an open set --------------------------------------------------------------------------------


def open_right(similarity, mate, threshold):
    wrong = missed = 0
    for row, own in zip(similarity, mate, strict=True):
        best = int(np.argmax(row))
        named = best if row[best] >= threshold else None
        wrong += own < 0 and named is not None
        missed += own >= 0 and named != own
    return wrong / (mate < 0).sum(), missed / (mate >= 0).sum()


def open_right_by_masks(similarity, mate, threshold):
    first, alarm = similarity.argmax(1), similarity.max(1) >= threshold
    missed = ~alarm | (first != mate)
    return alarm[mate < 0].mean(), missed[mate >= 0].mean()


# 0904, right and false alarms ---------------------------------------------------------------------


def alarms_right(passers, wanted, listed, fmr, fnmr):
    right, false = wanted * (1 - fnmr), (passers - wanted) * (1 - (1 - fmr) ** listed)
    return right, false, right / (right + false)


def alarms_right_step_by_step(passers, wanted, listed, fmr, fnmr):
    quiet = 1.0
    for _ in range(listed):
        quiet *= 1 - fmr
    false = (passers - wanted) * (1 - quiet)
    right = wanted * (1 - fnmr)
    return np.array([right, false, right / (false + right)])


# 0905, Wilson's interval --------------------------------------------------------------------------


def wilson_right(successes, trials, z):
    """The textbook's form."""
    n, share = trials, successes / trials
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def wilson_right_by_roots(successes, trials, z):
    share, extra = successes / trials, z * z / trials
    return tuple(np.sort(np.roots([1 + extra, -2 * share - extra, share**2]).real))


def wilson_of_wald(successes, trials, z):
    share = successes / trials
    half = z * math.sqrt(share * (1 - share) / trials)
    return share - half, share + half


def wilson_exact(successes, trials, z):
    return exact_interval(successes, trials, math.erf(z / 2**0.5))


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


def drawn_right_by_einsum(matches, probe, gallery, counts):
    same = probe[:, None] == gallery
    own, seen = counts[:, probe], counts[:, gallery]
    missed = np.einsum("bp,pg->b", own, same & ~matches) / np.einsum("bp,pg->b", own, same)
    wrong = np.einsum("bp,bg,pg->b", own, seen, ~same & matches)
    return np.stack([missed, wrong / np.einsum("bp,bg,pg->b", own, seen, ~same)], 1)


def drawn_right_by_weights(matches, probe, gallery, counts):
    same, own = probe[:, None] == gallery, counts[:, probe][:, :, None]
    both = own * counts[:, gallery][:, None, :]
    own, other = own * same, both * ~same
    missed = (own * ~matches).sum((1, 2)) / own.sum((1, 2))
    return np.stack([missed, (other * matches).sum((1, 2)) / other.sum((1, 2))], axis=1)


RATES = "(other >= t).mean(), (mated < t).mean()"
BOTH = "alarm[mate < 0].mean(), missed[mate >= 0].mean()"
ENDS = "max(0.0, middle - half), min(1.0, middle + half)"

WRONG = [
    *spoiled(
        "0901", rates_right,
        (RATES, "(mated < t).mean(), (other >= t).mean()",
         "FMR comes first"),
        ("mated < t", "mated >= t", "yours is TAR"),
        (RATES,
         "*(hits.sum() / (len(mated) + len(other)) for hits in (other >= t, mated < t)),",
         "of its own kind of pairs"),
        (RATES, "(other >= t).sum(), (mated < t).sum()",
         "not numbers of pairs"),
        (RATES, "(other < t).mean(), (mated >= t).mean()",
         "similarities, not distances"),
        (RATES, "(mated >= t).mean(), (other < t).mean()",
         "mated and other are swapped"),
        (RATES, "(other >= t).mean()", "has the shape"),
    ),
    ("0901", edited(rates_right, (">=", ">"), ("< ", "<= ")),
     "a score that equals the threshold matches"),
    *spoiled(
        "0902", fnmr_right,
        ("mated < min", "mated >= min", "that is TAR"),
        ("float((mated < min(loosest)).mean())", "[(mated < min(loosest)).mean(), fmr]",
         "has the shape"),
    ),
    ("0902", fnmr_by_quantile, "one non-mated pair too many"),
    ("0902", lambda mated, other, fmr: fnmr_by_quantile(mated, mated, fmr), "not from the mated"),
    *spoiled(
        "0902", fnmr_right_by_sorting,
        ("- may - 1", "- may", "stricter than need be"),
        ("mated <=", "mated <", "one non-mated pair too many"),
    ),
    *spoiled(
        "0903", open_right_by_masks,
        (BOTH,
         "missed[mate >= 0].mean(), alarm[mate < 0].mean()", "FPIR comes first"),
        ("~alarm | (first != mate)", "~alarm", "must come first, too"),
        ("~alarm | (first != mate)", "first != mate", "below the threshold raises no alarm"),
        ("~alarm | (first != mate)", "similarity[np.arange(len(mate)), mate] < threshold",
         "someone else may come first"),
        ("return alarm[mate < 0]", "return (similarity[mate < 0] >= threshold)",
         "a search is one trial"),
        (BOTH,
         "(alarm & (mate < 0)).mean(), (missed & (mate >= 0)).mean()",
         "FNIR of the listed people's"),
        ("missed[mate >= 0].mean()", "1 - missed[mate >= 0].mean()",
         "yours is the share that is named"),
        (">= threshold", "> threshold", "equals the threshold raises an alarm"),
    ),
    *spoiled(
        "0904", alarms_right,
        ("(passers - wanted)", "passers", "passers less wanted"),
        ("(1 - (1 - fmr) ** listed)", "fmr", "with the whole list"),
        ("(1 - (1 - fmr) ** listed)", "fmr * listed", "don't add up"),
        ("wanted * (1 - fnmr)", "wanted * fnmr", "the others raise the alarm"),
        ("(right + false)", "false", "of all alarms, not of the false ones"),
        ("right / (right", "false / (right", "yours is of those that are false"),
        ("(1 - (1 - fmr) ** listed)", "(1 - fmr) ** listed",
         "the chance that no comparison matches"),
        ("return right, false, ", "return ", "has the shape"),
    ),
    ("0905", wilson_of_wald, "unknown p"),
    ("0905", wilson_exact, "Clopper"),
    *spoiled(
        "0905", wilson_right,
        (ENDS,
         "100 * (middle - half), 100 * (middle + half)", "not in percent"),
        (ENDS, "share - half, share + half",
         "does not lie around k/n"),
        (ENDS, "middle + half, middle - half",
         "the low end comes first"),
        (ENDS, "middle", "has the shape"),
    ),
    *spoiled(
        "0906", drawn_right_by_weights,
        ("own * same", "both * same", "not c_i squared"),
        ("both * ~same", "own * ~same", "it counts c_i c_j times"),
        ("both * ~same", "both - counts[:, probe][:, :, None] * same", "no pair of strangers"),
        ("    same,", "    counts = np.minimum(counts, 1)\n    same,", "counts three times"),
        ("axis=1)", "axis=1)[:, ::-1]", "FNMR comes first"),
        ("axis=1)", "axis=1).mean(axis=0)", "has the shape"),
    ),
]  # fmt: skip

RIGHT = [
    ("0901", rates_right),
    ("0901", rates_right_by_sorting),
    ("0902", fnmr_right),
    ("0902", fnmr_right_by_sorting),
    ("0903", open_right),
    ("0903", open_right_by_masks),
    ("0904", alarms_right),
    ("0904", alarms_right_step_by_step),
    ("0905", wilson_right),
    ("0905", wilson_right_by_roots),
    ("0906", drawn_right),
    ("0906", drawn_right_by_einsum),
    ("0906", drawn_right_by_weights),
]
