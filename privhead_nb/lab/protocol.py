"""How the lab measures: verification, identification, thresholds; rates with their intervals.

A pair matches where its similarity is at least the threshold. FMR is the share of non-mated pairs
that match, FNMR that of mated pairs that don't, TAR = 1 - FNMR; FAR is FMR here.

A set-up that can't be measured (one identity, no mates, NaN) raises a LabError. Data that leave
nothing to measure (no face found, too few pairs) give a Rate that abstains and says why: never a
zero, which would read as privacy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import (
    Bools,
    Comparison,
    Floats,
    Pairs,
    allowed,
    check_disjoint,
    compare,
    measures,
    need_mates,
    sorted_pairs,
)
from privhead_nb.lab.intervals import Rate, abstain, draws, exact_interval, rate, share

__all__ = [
    "Comparison",
    "Identification",
    "Rate",
    "abstain",
    "calibrate",
    "check_disjoint",
    "compare",
    "exact_interval",
    "identification",
    "verdicts",
    "verification",
]

FARS = (1e-3, 1e-2)
NO_FACE = "no probe was detected, and a rate of zero would look like privacy"
ENOUGH = 30  # expected false matches at a FAR; below, the rate is given with a note


@dataclass(frozen=True)
class Verification:
    """What a verifier gets right."""

    auc: Rate  # area under the ROC: how often a mated pair beats a non-mated one, a tie half
    eer: Rate  # the rate at which FMR and FNMR are the same
    # FAR -> mated pairs that match, at the best threshold with at most that FAR.
    tar_at_far: Mapping[float, Rate]
    failure_to_detect: Rate  # undetected probes, among all probes

    @property
    def fnmr_at_fmr(self) -> dict[float, Rate]:
        """The same as misses, FMR -> 1 - TAR."""
        return {
            far: replace(tar, value=1 - tar.value, low=1 - tar.high, high=1 - tar.low)
            for far, tar in self.tar_at_far.items()
        }


@dataclass(frozen=True)
class Identification:
    """How often the right person is among the first k."""

    rank: Mapping[int, Rate]  # k -> share of probes with a hit, counted in probes
    chance: Mapping[int, float]  # k -> what a guess gets, k / gallery identities
    failure_to_detect: Rate  # undetected probes, among all probes
    gallery_identities: int  # how many can be named


def verification(
    comparison: Comparison,
    *,
    fars: Sequence[float] = FARS,
    resamples: int = 1000,
    seed: int = 0,
    count_failures: bool = True,
) -> Verification:
    """Error rates of telling whether two faces are one person, each with its 95 % interval.

    Args:
        comparison: probes against a gallery.
        fars: of `tar_at_far` and `fnmr_at_fmr`. Fewer than 1 / far non-mated pairs give an
            abstention, fewer than 30 / far a note.
        resamples, seed: draws of identities on both sides, with all their pictures (`Pairs`).
        count_failures: True counts an undetected probe's mated pairs as misses and the others as
            correct rejects, as an entrance gate does; False leaves them out, as an attacker would:
            report both.

    Raises:
        LabError: one identity only, a gallery without mates, a FAR outside of 0 to 1.
    """
    need_mates(comparison)
    for far in fars:
        _check_far(far)
    pairs = sorted_pairs(comparison, count_failures)
    M, N = len(pairs.mated), len(pairs.other)
    counts = draws(pairs.identities, resamples, seed)
    tar: dict[float, Rate] = {}
    if why := _nothing_left(comparison, pairs):
        auc = eer = abstain(why)
        tar = dict.fromkeys(fars, auc)
    else:
        value = measures(pairs, np.ones(pairs.identities, dtype=np.int64), fars)
        again = np.array([measures(pairs, c, fars) for c in counts]).reshape(-1, 2 + len(fars))
        people = len(np.unique(pairs.mated_identity))
        auc, eer = (rate(value[k], again[:, k], count=M, identities=people) for k in (0, 1))
        for far, hit, hits in zip(fars, value[2:], again[:, 2:].T, strict=True):
            few, note = too_few(far, N)
            known = rate(hit, hits, count=M, identities=people, note=note)
            tar[far] = abstain(few, M) if few else known
    failed = failure_to_detect(comparison, resamples=resamples, seed=seed)
    return Verification(auc, eer, tar, failed)


def calibrate(comparison: Comparison, far: float) -> float:
    """The lowest threshold at which at most a share `far` of the non-mated pairs match.

    Raises:
        LabError: fewer than 1 / far non-mated pairs, or no probe detected.
    """
    _check_far(far)
    need_mates(comparison)
    pairs = sorted_pairs(comparison)
    few, _ = too_few(far, len(pairs.other))
    if few or not comparison.detected.any():
        raise LabError(
            few or "no probe was detected", where="calibrate", remedy="Compare more pictures."
        )
    last = len(pairs.other) - 1
    first_too_many = pairs.other[min(allowed(far, len(pairs.other)), last)]
    if np.isneginf(first_too_many):  # all who were detected may match
        return float(comparison.similarity[comparison.detected].min())
    return float(np.nextafter(first_too_many, np.inf))


def verdicts(comparison: Comparison, threshold: float) -> Bools:
    """(P, G) True where a pair matches; False for all pairs of an undetected probe."""
    if math.isnan(threshold):
        raise LabError("the threshold is NaN", where="verdicts", remedy="Calibrate it first.")
    return np.asarray((comparison.scores >= threshold) & comparison.detected[:, None])


def identification(
    comparison: Comparison,
    *,
    ranks: Sequence[int] = (1, 5),
    resamples: int = 1000,
    seed: int = 0,
    count_failures: bool = True,
) -> Identification:
    """Rank-k rates with 95 % intervals from drawing the probes' identities again.

    An identity is drawn with all its probes; its rivals stay the whole gallery. Were rivals drawn
    too, only 63 % of them would differ, and every rank would come out too good.

    Args:
        comparison: probes against a gallery.
        ranks: the k; one that reaches the size of the gallery is always a hit, so it abstains.
        resamples, seed: draws of identities.
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
    rates: dict[int, Rate] = {}
    for k, hit in zip(ranks, hits, strict=True):
        if not comparison.detected[has_mate].any():
            rates[k] = abstain(NO_FACE)
        elif k >= len(people):
            rates[k] = abstain(f"{len(people)} identities in the gallery: rank {k} is always a hit")
        else:
            rates[k] = share(hit, owner, resamples=resamples, seed=seed)
    return Identification(
        rank=rates,
        chance={k: min(1.0, k / len(people)) for k in ranks},
        failure_to_detect=failure_to_detect(comparison, resamples=resamples, seed=seed),
        gallery_identities=len(people),
    )


def rank_hits(comparison: Comparison, ranks: Sequence[int]) -> Floats:
    """(len(ranks), P) probability of a hit; 0 for undetected probes and those without a mate.

    A gallery identity is as alike as its best picture. Ties are broken at random, in expectation:
    if r identities beat the mate and t tie with it, rank k is a hit with probability
    (k - r) / (t + 1), cut to 0 and 1. A recogniser that says the same of everybody gets chance.
    """
    order = np.argsort(comparison.gallery, kind="stable")
    people, starts = np.unique(comparison.gallery[order], return_index=True)
    best = np.maximum.reduceat(comparison.similarity[:, order], starts, axis=1)
    column = np.searchsorted(people, comparison.probe).clip(0, len(people) - 1)
    usable = comparison.detected & (people[column] == comparison.probe)
    mate = best[np.arange(len(best)), column][:, None]
    beaten = (best > mate).sum(axis=1)
    tied = (best == mate).sum(axis=1)  # itself, too
    hit = (np.asarray(ranks)[:, None] - beaten) / np.maximum(tied, 1)
    return np.where(usable, np.clip(hit, 0, 1), 0.0)


def failure_to_detect(comparison: Comparison, *, resamples: int = 1000, seed: int = 0) -> Rate:
    """Share of all probes in which no face was found; its count is the number of probes."""
    return share(~comparison.detected, comparison.probe, resamples=resamples, seed=seed)


def _nothing_left(comparison: Comparison, pairs: Pairs) -> str:
    """Why nothing can be measured, or ""."""
    if not comparison.detected.any():
        return NO_FACE
    if len(pairs.mated) == 0 or len(pairs.other) == 0:
        kind = "mated" if len(pairs.mated) == 0 else "non-mated"
        return f"no {kind} pair is left once undetected probes are taken out"
    if np.isneginf(pairs.mated).all():
        return "no probe with a mate was detected, and a rate of zero would look like privacy"
    return ""


def too_few(far: float, other: int) -> tuple[str, str]:
    """Why a rate at this FAR is not known, or what must be said beside it; "" for neither."""
    if other * far < 1 - 1e-9:
        return f"{other:,} non-mated pairs can't show a FAR of {far:g}: {1 / far:,.0f} needed", ""
    if other * far < ENOUGH - 1e-9:
        return "", f"only {other:,} non-mated pairs; {ENOUGH / far:,.0f} are wanted at FAR {far:g}"
    return "", ""


def _check_far(far: float) -> None:
    if not 0 < far < 1:
        raise LabError(f"a FAR of {far:g}", remedy="Give a rate between 0 and 1, such as 1e-3.")
