"""Answers to the exercises of lesson 09, as students write them."""

from __future__ import annotations

import math

import numpy as np

from privhead_nb.lab.intervals import exact_interval

# 0901, two rates ----------------------------------------------------------------------------------


def rates_right(mated, other, thresholds):
    return np.array([((other >= t).mean(), (mated < t).mean()) for t in thresholds])


def rates_right_by_sorting(mated, other, thresholds):
    below = [np.searchsorted(np.sort(s), thresholds) / len(s) for s in (other, mated)]
    return np.stack([1 - below[0], below[1]], axis=1)


def rates_swapped(mated, other, thresholds):
    return rates_right(mated, other, thresholds)[:, ::-1]


def rates_with_tar(mated, other, thresholds):
    return np.array([((other >= t).mean(), (mated >= t).mean()) for t in thresholds])


def rates_above_only(mated, other, thresholds):
    return np.array([((other > t).mean(), (mated <= t).mean()) for t in thresholds])


def rates_of_all_pairs(mated, other, thresholds):
    total = len(mated) + len(other)
    return np.array([((other >= t).sum() / total, (mated < t).sum() / total) for t in thresholds])


def rates_in_pairs(mated, other, thresholds):
    return np.array([((other >= t).sum(), (mated < t).sum()) for t in thresholds])


def rates_of_distances(mated, other, thresholds):
    return np.array([((other < t).mean(), (mated >= t).mean()) for t in thresholds])


def rates_of_the_others(mated, other, thresholds):
    return rates_right(other, mated, thresholds)


def rates_as_rows(mated, other, thresholds):
    return rates_right(mated, other, thresholds)[:, 0]


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


def fnmr_as_tar(mated, other, fmr):
    return 1 - fnmr_right(mated, other, fmr)


def fnmr_by_quantile(mated, other, fmr):
    return (mated < np.quantile(other, 1 - fmr)).mean()


def fnmr_of_mated(mated, other, fmr):
    return (mated < np.quantile(mated, 1 - fmr)).mean()


def fnmr_too_strict(mated, other, fmr):
    last = np.sort(other)[::-1][math.floor(fmr * len(other) + 1e-9) - 1]
    return (mated <= last).mean()


def fnmr_one_too_many(mated, other, fmr):
    first = np.sort(other)[::-1][math.floor(fmr * len(other) + 1e-9)]
    return (mated < first).mean()


def fnmr_with_both(mated, other, fmr):
    return [fnmr_right(mated, other, fmr), fmr]


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
    named = np.where(similarity.max(1) >= threshold, similarity.argmax(1), -2)
    return (named[mate == -1] >= 0).mean(), (named[mate >= 0] != mate[mate >= 0]).mean()


def open_swapped(similarity, mate, threshold):
    return open_right(similarity, mate, threshold)[::-1]


def open_any_alarm(similarity, mate, threshold):
    alarm = similarity.max(1) >= threshold
    return alarm[mate < 0].mean(), 1 - alarm[mate >= 0].mean()


def open_without_threshold(similarity, mate, threshold):
    first = similarity.argmax(1)
    fpir = (similarity.max(1) >= threshold)[mate < 0].mean()
    return fpir, (first != mate)[mate >= 0].mean()


def open_by_mates_score(similarity, mate, threshold):
    own = similarity[np.arange(len(mate)), mate]
    fpir = (similarity.max(1) >= threshold)[mate < 0].mean()
    return fpir, (own < threshold)[mate >= 0].mean()


def open_by_pairs(similarity, mate, threshold):
    return (similarity[mate < 0] >= threshold).mean(), open_right(similarity, mate, threshold)[1]


def open_of_all(similarity, mate, threshold):
    alarm, first = similarity.max(1) >= threshold, similarity.argmax(1)
    return (alarm & (mate < 0)).mean(), ((mate >= 0) & ~(alarm & (first == mate))).mean()


def open_as_hits(similarity, mate, threshold):
    fpir, fnir = open_right(similarity, mate, threshold)
    return fpir, 1 - fnir


def open_above_only(similarity, mate, threshold):
    return open_right(similarity, mate, np.nextafter(threshold, np.inf))


# 0904, right and false alarms ---------------------------------------------------------------------


def alarms_right(passers, wanted, listed, fmr, fnmr):
    quiet = math.exp(listed * math.log1p(-fmr))
    right, false = wanted - wanted * fnmr, (passers - wanted) * (1 - quiet)
    return right, false, 1 / (1 + false / right)


def alarms_right_step_by_step(passers, wanted, listed, fmr, fnmr):
    quiet = 1.0
    for _ in range(listed):
        quiet *= 1 - fmr
    false = (passers - wanted) * (1 - quiet)
    right = wanted * (1 - fnmr)
    return np.array([right, false, right / (false + right)])


def alarms_of_all_passers(passers, wanted, listed, fmr, fnmr):
    right, false = wanted * (1 - fnmr), passers * (1 - (1 - fmr) ** listed)
    return right, false, right / (right + false)


def alarms_of_one_comparison(passers, wanted, listed, fmr, fnmr):
    right, false = wanted * (1 - fnmr), (passers - wanted) * fmr
    return right, false, right / (right + false)


def alarms_added_up(passers, wanted, listed, fmr, fnmr):
    right, false = wanted * (1 - fnmr), (passers - wanted) * fmr * listed
    return right, false, right / (right + false)


def alarms_of_the_missed(passers, wanted, listed, fmr, fnmr):
    right, false = wanted * fnmr, (passers - wanted) * (1 - (1 - fmr) ** listed)
    return right, false, right / (right + false)


def alarms_as_odds(passers, wanted, listed, fmr, fnmr):
    right, false, _ = alarms_right(passers, wanted, listed, fmr, fnmr)
    return right, false, right / false


def alarms_false_share(passers, wanted, listed, fmr, fnmr):
    right, false, share = alarms_right(passers, wanted, listed, fmr, fnmr)
    return right, false, 1 - share


def alarms_that_stay_quiet(passers, wanted, listed, fmr, fnmr):
    right, false = wanted * (1 - fnmr), (passers - wanted) * (1 - fmr) ** listed
    return right, false, right / (right + false)


def alarms_share_alone(passers, wanted, listed, fmr, fnmr):
    return alarms_right(passers, wanted, listed, fmr, fnmr)[2]


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


def wilson_in_percent(successes, trials, z):
    return tuple(100 * x for x in wilson_right(successes, trials, z))


def wilson_around_the_share(successes, trials, z):
    low, high = wilson_right(successes, trials, z)
    return successes / trials - (high - low) / 2, successes / trials + (high - low) / 2


def wilson_swapped(successes, trials, z):
    return wilson_right(successes, trials, z)[::-1]


def wilson_middle(successes, trials, z):
    return sum(wilson_right(successes, trials, z)) / 2


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


def weighted(matches, own, other):
    missed = (own * ~matches).sum((1, 2)) / own.sum((1, 2))
    return np.stack([missed, (other * matches).sum((1, 2)) / other.sum((1, 2))], axis=1)


def drawn_both_squared(matches, probe, gallery, counts):
    same = probe[:, None] == gallery
    both = counts[:, probe][:, :, None] * counts[:, gallery][:, None, :]
    return weighted(matches, both * same, both * ~same)


def drawn_by_probe_only(matches, probe, gallery, counts):
    same, own = probe[:, None] == gallery, counts[:, probe][:, :, None]
    return weighted(matches, own * same, own * ~same)


def drawn_copies_as_strangers(matches, probe, gallery, counts):
    same, own = probe[:, None] == gallery, counts[:, probe][:, :, None]
    return weighted(matches, own * same, (own - same) * counts[:, gallery][:, None, :])


def drawn_once(matches, probe, gallery, counts):
    return drawn_right(matches, probe, gallery, np.minimum(counts, 1))


def drawn_swapped(matches, probe, gallery, counts):
    return drawn_right(matches, probe, gallery, counts)[:, ::-1]


def drawn_mean(matches, probe, gallery, counts):
    return drawn_right(matches, probe, gallery, counts).mean(axis=0)


WRONG = [
    ("0901", rates_swapped, "FMR comes first"),
    ("0901", rates_with_tar, "yours is TAR"),
    ("0901", rates_above_only, "a score that equals the threshold matches"),
    ("0901", rates_of_all_pairs, "of its own kind of pairs"),
    ("0901", rates_in_pairs, "not numbers of pairs"),
    ("0901", rates_of_distances, "similarities, not distances"),
    ("0901", rates_of_the_others, "mated and other are swapped"),
    ("0901", rates_as_rows, "has the shape"),
    ("0902", fnmr_as_tar, "that is TAR"),
    ("0902", fnmr_by_quantile, "one non-mated pair too many"),
    ("0902", fnmr_of_mated, "not from the mated"),
    ("0902", fnmr_too_strict, "stricter than need be"),
    ("0902", fnmr_one_too_many, "one non-mated pair too many"),
    ("0902", fnmr_with_both, "has the shape"),
    ("0903", open_swapped, "FPIR comes first"),
    ("0903", open_any_alarm, "must come first, too"),
    ("0903", open_without_threshold, "below the threshold raises no alarm"),
    ("0903", open_by_mates_score, "someone else may come first"),
    ("0903", open_by_pairs, "a search is one trial"),
    ("0903", open_of_all, "FNIR of the listed people's"),
    ("0903", open_as_hits, "yours is the share that is named"),
    ("0903", open_above_only, "equals the threshold raises an alarm"),
    ("0904", alarms_of_all_passers, "passers less wanted"),
    ("0904", alarms_of_one_comparison, "with the whole list"),
    ("0904", alarms_added_up, "don't add up"),
    ("0904", alarms_of_the_missed, "the others raise the alarm"),
    ("0904", alarms_as_odds, "of all alarms, not of the false ones"),
    ("0904", alarms_false_share, "yours is of those that are false"),
    ("0904", alarms_that_stay_quiet, "the chance that no comparison matches"),
    ("0904", alarms_share_alone, "has the shape"),
    ("0905", wilson_of_wald, "unknown p"),
    ("0905", wilson_exact, "Clopper"),
    ("0905", wilson_in_percent, "not in percent"),
    ("0905", wilson_around_the_share, "does not lie around k/n"),
    ("0905", wilson_swapped, "the low end comes first"),
    ("0905", wilson_middle, "has the shape"),
    ("0906", drawn_both_squared, "not c_i squared"),
    ("0906", drawn_by_probe_only, "it counts c_i c_j times"),
    ("0906", drawn_copies_as_strangers, "no pair of strangers"),
    ("0906", drawn_once, "counts three times"),
    ("0906", drawn_swapped, "FNMR comes first"),
    ("0906", drawn_mean, "has the shape"),
]

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
]
