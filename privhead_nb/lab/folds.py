"""Ten-fold accuracy: a threshold from nine tenths of the people, tried on the tenth.

The custom of Labeled Faces in the Wild. Folds are of identities, and a pair belongs to a fold only
if both its people do: no threshold has seen anyone whom it judges. Since non-mated pairs are many
times more, accuracy is balanced: the mean of TAR and 1 - FMR, so that a coin gets 0.5.
"""

from __future__ import annotations

import math

import numpy as np

from privhead_nb.lab.comparison import Bools, Comparison, Floats, Ints
from privhead_nb.lab.intervals import Rate, abstain, rate

FOLDS = 10


def fold_accuracy(
    comparison: Comparison, counts: Ints, *, seed: int = 0, count_failures: bool = True
) -> Rate:
    """Balanced accuracy over at most ten folds of at least two identities each; its count: pairs.

    Right and wrong are summed over folds before they are divided, so a fold without mated pairs
    takes nothing away. In resamples the thresholds stay: identities are drawn among the verdicts.

    Args:
        comparison: of n identities.
        counts: (B, n) draws of its identities.
        seed: of the folds.
        count_failures: whether undetected probes count as rejected; else they are left out.
    """
    people = comparison.identities
    n, found = len(people), comparison.detected
    kept = np.ones_like(found) if count_failures else found
    i = np.searchsorted(people, comparison.probe[kept])
    j = np.searchsorted(people, comparison.gallery)
    score = np.where(found[:, None], comparison.similarity, -np.inf)[kept]
    mated = i[:, None] == j
    folds = min(FOLDS, n // 2)
    if folds < 2:
        return abstain(f"{n} identities make no two folds of two")
    fold = np.random.default_rng(seed).permutation(n) % folds
    tested, right = np.zeros_like(mated), np.zeros_like(mated)
    for k in range(folds):
        train = (fold[i] != k)[:, None] & (fold[j] != k)
        test = (fold[i] == k)[:, None] & (fold[j] == k)
        threshold = best_threshold(score[train], mated[train])
        if not math.isnan(threshold):
            tested |= test
            right |= test & ((score >= threshold) == mated)
    cell = i[:, None] * n + j
    own = [np.bincount(cell[x & mated] // n, minlength=n) for x in (right, tested)]
    cross = [
        np.bincount(cell[x & ~mated], minlength=n * n).reshape(n, n).astype(float)
        for x in (right, tested)
    ]
    value = _balanced(np.ones((1, n)), own, cross)[0]
    return rate(
        float(value),
        _balanced(counts.astype(float), own, cross),
        count=int(tested.sum()),
        identities=int((own[1] > 0).sum()),
        why="no fold has mated and non-mated pairs",
    )


def best_threshold(score: Floats, mated: Bools) -> float:
    """The threshold of largest TAR - FMR, half-way to the next lower score; NaN without pairs.

    Args:
        score: (K,), -inf for failures.
        mated: (K,).
    """
    from sklearn.metrics import roc_curve

    seen = score[np.isfinite(score)]
    if mated.all() or not mated.any() or len(seen) == 0:
        return math.nan
    fmr, tar, thresholds = roc_curve(mated, np.where(np.isfinite(score), score, seen.min() - 1))
    best = float(thresholds[np.argmax(tar - fmr)])
    lower = seen[seen < best]
    return best if len(lower) == 0 or math.isinf(best) else (best + float(lower.max())) / 2


def _balanced(weights: Floats, own: list[Ints], cross: list[Floats]) -> Floats:
    """(B,) mean of TAR and 1 - FMR, identity i counting weights[b, i] times; NaN without pairs."""
    hits, mated = (weights @ x for x in own)
    rejects, other = (np.einsum("bi,bi->b", weights @ x, weights) for x in cross)
    with np.errstate(invalid="ignore"):
        return np.asarray((hits / mated + rejects / other) / 2)
