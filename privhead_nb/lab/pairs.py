"""Sorted pairs, and what a draw of identities makes of them: AUC, EER and TAR without a new sort.

Scores don't change when identities are drawn again, only how often each counts. With c_i the times
that identity i was drawn,

    a mated pair of identity i counts         c_i times: each copy meets its own pictures
    a non-mated pair of i and j, i != j,      c_i c_j times

and two copies of the same identity never make a pair, neither mated nor non-mated: they are one
face, and calling them two people would put the highest similarities among the false matches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from privhead_nb.lab.comparison import Comparison, Floats, Ints


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs by falling score; the score of a pair that failed is -inf, below every threshold.

    Attributes:
        mated: (M,) scores. mated_identity: (M,) number of the identity, 0 to n - 1.
        other: (N,) scores of non-mated pairs. other_cell: (N,) i n + j, its two identities.
        identities: n, of all on either side.
    """

    mated: Floats
    mated_identity: Ints
    other: Floats
    other_cell: Ints
    identities: int

    @cached_property
    def above(self) -> tuple[Ints, Ints]:
        """For each mated score, how many non-mated ones are higher; higher or equal."""
        return (
            np.searchsorted(-self.other, -self.mated, side="left"),
            np.searchsorted(-self.other, -self.mated, side="right"),
        )

    @cached_property
    def mated_above_other(self) -> Ints:
        """(N + 1,) for each non-mated score, how many mated ones are higher; last: all detected."""
        last = np.append(self.other, -np.inf)
        return np.asarray(np.searchsorted(-self.mated, -last, side="left"))

    @cached_property
    def corners(self) -> tuple[Ints, Ints]:
        """Of the ROC, from the strictest threshold: how many of other, of mated, are accepted."""
        scores = -np.unique(-np.concatenate([self.mated, self.other]))
        other = np.searchsorted(-self.other, -scores, side="right")
        mated = np.searchsorted(-self.mated, -scores, side="right")
        return np.concatenate([[0], other]), np.concatenate([[0], mated])


def sorted_pairs(comparison: Comparison, count_failures: bool = True) -> Pairs:
    """Mated and non-mated pairs by falling score.

    Args:
        comparison: of P probes and G gallery pictures.
        count_failures: whether pairs of undetected probes stay, with the score -inf.
    """
    people = comparison.identities
    i, j = (np.searchsorted(people, side) for side in (comparison.probe, comparison.gallery))
    found = comparison.detected
    score = np.where(found[:, None], comparison.similarity, -np.inf)
    if not count_failures:
        score, i = score[found], i[found]
    mated = i[:, None] == j
    cell = i[:, None] * len(people) + j
    same = np.argsort(-score[mated], kind="stable")
    other = np.argsort(-score[~mated], kind="stable")
    return Pairs(
        mated=score[mated][same],
        mated_identity=(cell[mated] // len(people))[same],
        other=score[~mated][other],
        other_cell=cell[~mated][other],
        identities=len(people),
    )


def allowed(far: float, total: float) -> int:
    """How many of `total` non-mated pairs may match: 7 of 100 at 0.07, whatever floats say."""
    return math.floor(far * total + 1e-9)


def measures(pairs: Pairs, counts: Ints, fars: Sequence[float]) -> Floats:
    """AUC, EER, and TAR at each FAR, where identity i counts counts[i] times; NaN without pairs.

    TAR at FAR f is the best over all thresholds whose share of false matches is at most f. EER is
    where the ROC, joined by straight lines, meets FMR = FNMR.

    Returns:
        (2 + len(fars),)
    """
    mated = _heaped(counts[pairs.mated_identity])
    other = _heaped(np.outer(counts, counts).ravel()[pairs.other_cell])
    if mated[-1] == 0 or other[-1] == 0:
        return np.full(2 + len(fars), np.nan)
    strictly, also = pairs.above
    below = other[-1] - (other[strictly] + other[also]) / 2  # a tie is half a win
    auc = float(np.diff(mated) @ below) / (mated[-1] * other[-1])
    limits = [allowed(far, other[-1]) for far in fars]
    first_too_many = np.searchsorted(other[1:], limits, side="right")
    tar = mated[pairs.mated_above_other[first_too_many]] / mated[-1]
    return np.array([auc, _equal_error(pairs, mated, other), *tar])


def _equal_error(pairs: Pairs, mated: Floats, other: Floats) -> float:
    """FMR + TAR - 1 rises along the ROC from -1 to 1: halve the corners until it changes sign."""
    at_other, at_mated = pairs.corners

    def corner(k: int) -> tuple[float, float]:
        fmr = float(other[at_other[k]] / other[-1])
        return fmr, fmr + float(mated[at_mated[k]] / mated[-1]) - 1

    low, high = 0, len(at_other) - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if corner(middle)[1] < 0 else (low, middle)
    (fmr0, d0), (fmr1, d1) = corner(low), corner(high)
    return fmr0 - d0 / (d1 - d0) * (fmr1 - fmr0)


def _heaped(weights: Ints) -> Floats:
    """(K + 1,) sums of the first 0, 1, ..., K weights."""
    heap = np.zeros(len(weights) + 1)
    np.cumsum(weights, out=heap[1:])
    return heap
