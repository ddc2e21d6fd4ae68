"""Who is it? Rank-k rates of a closed gallery, beside chance.

A probe's rank counts identities, not pictures: a gallery identity is as alike as its best picture.
Ties are broken at random, in expectation: if r identities beat the mate and t tie with it, rank k
is a hit with probability (k - r) / (t + 1), cut to 0 and 1. So a recogniser that says the same of
everybody gets chance, and no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import Comparison, Floats, Ints, need_mates
from privhead_nb.lab.intervals import Rate, abstain, draws, rate
from privhead_nb.lab.verification import NO_FACE, failure_to_detect


@dataclass(frozen=True)
class Identification:
    """How often the right person is among the first k.

    Attributes:
        rank: k -> share of probes with a hit, counted in probes.
        chance: k -> what a guess gets, k / gallery identities.
        failure_to_detect: undetected probes, among all probes.
        gallery_identities: how many can be named.
        probes: counted ones, which have a mate in the gallery.
        without_mate: probes left out because their identity is not in the gallery.
        count_failures: whether undetected probes count, as misses.
    """

    rank: Mapping[int, Rate]
    chance: Mapping[int, float]
    failure_to_detect: Rate
    gallery_identities: int
    probes: int
    without_mate: int
    count_failures: bool


def identification(
    comparison: Comparison,
    *,
    ranks: Sequence[int] = (1, 5),
    resamples: int = 1000,
    seed: int = 0,
    count_failures: bool = True,
) -> Identification:
    """Rank-k rates with 95 % intervals from drawing the probes' identities again.

    An identity is drawn with all its probes and its own gallery pictures; whom it competes with
    stays the whole gallery. If rivals were drawn too, only 63 % of them would differ, a gallery so
    much smaller, and every rank would come out too good: chance would lie outside of its interval.

    Args:
        comparison: probes against a gallery.
        ranks: the k; one that reaches the size of the gallery is always a hit, so it abstains.
        resamples: of identities.
        seed: of the draws.
        count_failures: True counts undetected probes as misses, False leaves them out.

    Raises:
        LabError: one identity only, a gallery without mates or of one identity, a rank below 1.
    """
    need_mates(comparison)
    people = np.unique(comparison.gallery)
    if len(people) < 2:
        raise LabError(
            f"the gallery holds identity {people[0]} only: every answer is right",
            where="gallery",
            remedy="Put at least two identities into it.",
        )
    if any(k < 1 or k != int(k) for k in ranks):
        raise LabError(f"ranks {tuple(ranks)}", remedy="Give whole numbers from 1.")
    has_mate = np.isin(comparison.probe, people)
    kept = has_mate if count_failures else has_mate & comparison.detected
    hits, owner = rank_hits(comparison, ranks)[:, kept], comparison.probe[kept]
    names, i = np.unique(owner, return_inverse=True)
    counts = draws(max(len(names), 1), resamples, seed)
    why = NO_FACE if not comparison.detected[has_mate].any() else ""
    rates: dict[int, Rate] = {}
    for k, hit in zip(ranks, hits, strict=True):
        if why:
            rates[k] = abstain(why)
        elif k >= len(people):
            rates[k] = abstain(f"{len(people)} identities in the gallery: rank {k} is always a hit")
        else:
            again = (counts @ np.bincount(i, weights=hit)) / (counts @ np.bincount(i))
            rates[k] = rate(float(hit.mean()), again, count=len(hit), identities=len(names))
    return Identification(
        rank=rates,
        chance={k: min(1.0, k / len(people)) for k in ranks},
        failure_to_detect=failure_to_detect(comparison, resamples=resamples, seed=seed),
        gallery_identities=len(people),
        probes=int(kept.sum()),
        without_mate=int((~has_mate).sum()),
        count_failures=count_failures,
    )


def rank_hits(comparison: Comparison, ranks: Sequence[int]) -> Floats:
    """(len(ranks), P) probability of a hit; 0 for undetected probes and those without a mate."""
    best, people = best_of_each(comparison)
    column = np.searchsorted(people, comparison.probe).clip(0, len(people) - 1)
    usable = comparison.detected & (people[column] == comparison.probe)
    mate = best[np.arange(len(best)), column][:, None]
    beaten = (best > mate).sum(axis=1)
    tied = (best == mate).sum(axis=1)  # itself, too
    share = (np.asarray(ranks)[:, None] - beaten) / np.maximum(tied, 1)
    return np.where(usable, np.clip(share, 0, 1), 0.0)


def best_of_each(comparison: Comparison) -> tuple[Floats, Ints]:
    """(P, I) similarity of each gallery identity's best picture, and the (I,) identities."""
    order = np.argsort(comparison.gallery, kind="stable")
    people, starts = np.unique(comparison.gallery[order], return_index=True)
    return np.maximum.reduceat(comparison.similarity[:, order], starts, axis=1), people
