"""Is this the same person? Rates of a comparison as a verifier, with identity-level intervals.

NIST's words: FMR is the share of non-mated pairs that match, FNMR that of mated pairs that don't,
TAR = 1 - FNMR, and FAR is FMR here, since one picture is one try. A pair matches where its
similarity is at least the threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import Bools, Comparison, Floats, Ints, need_mates
from privhead_nb.lab.folds import fold_accuracy
from privhead_nb.lab.intervals import Rate, abstain, draws, rate
from privhead_nb.lab.pairs import Pairs, allowed, measures, sorted_pairs

FARS = (1e-3, 1e-2)
ENOUGH = 30  # expected false matches at a FAR; below, the rate is given with a note
NO_FACE = "no probe was detected, and a rate of zero would look like privacy"


@dataclass(frozen=True)
class Verification:
    """What a verifier gets right.

    Attributes:
        auc: area under the ROC: how often a mated pair beats a non-mated one, a tie half.
        eer: the rate at which FMR and FNMR are the same.
        tar_at_far: FAR -> mated pairs that match, at the best threshold with at most that FAR.
        fnmr_at_fmr: the same as misses, FMR -> 1 - TAR.
        accuracy: mean of TAR and 1 - FMR over ten folds, thresholds from the other nine.
        failure_to_detect: undetected probes, among all probes.
        identities: on either side.
        mated, non_mated: pairs that were counted.
        count_failures: whether pairs of undetected probes were.
    """

    auc: Rate
    eer: Rate
    tar_at_far: Mapping[float, Rate]
    fnmr_at_fmr: Mapping[float, Rate]
    accuracy: Rate
    failure_to_detect: Rate
    identities: int
    mated: int
    non_mated: int
    count_failures: bool


@dataclass(frozen=True, eq=False)
class Roc:
    """Error rates from the strictest threshold to the loosest that a detected pair has.

    Attributes:
        fmr, fnmr: (K,).
        threshold: (K,) falling; the first is inf.
        mated, non_mated: pairs behind it.
        band: (3, L) FMR, and the interval of FNMR at it; None without resamples.
    """

    fmr: Floats
    fnmr: Floats
    threshold: Floats
    mated: int
    non_mated: int
    band: Floats | None = None


def verification(
    comparison: Comparison,
    *,
    fars: Sequence[float] = FARS,
    resamples: int = 1000,
    seed: int = 0,
    count_failures: bool = True,
) -> Verification:
    """Rates of verification, each with its 95 % interval from drawing identities again.

    Args:
        comparison: probes against a gallery.
        fars: of `tar_at_far` and `fnmr_at_fmr`. Fewer than 1 / far non-mated pairs can't tell: an
            abstention; fewer than 30 / far (30,000 for 1e-3) are few: a note.
        resamples: of the identities on both sides; probes and gallery pictures of one identity come
            together, and its copies never make a pair (`pairs.py`).
        seed: of the draws and the folds.
        count_failures: True counts every mated pair of an undetected probe as a miss and every
            non-mated one as a correct reject; False leaves them out. An attacker with such
            pictures would do the second, an entrance gate the first: report both.

    Raises:
        LabError: one identity only, a gallery without mates, a FAR outside of 0 to 1.
    """
    from sklearn.metrics import roc_auc_score

    need_mates(comparison)
    for far in fars:
        _check_far(far)
    pairs = sorted_pairs(comparison, count_failures)
    counts = draws(pairs.identities, resamples, seed)
    failed = failure_to_detect(comparison, resamples=resamples, seed=seed)
    M, N, why = len(pairs.mated), len(pairs.other), _nothing_left(comparison, pairs)
    if why:
        none = abstain(why)
        tar = fnmr = dict.fromkeys(fars, none)
        return Verification(
            none, none, tar, fnmr, none, failed, pairs.identities, M, N, count_failures
        )
    score, label = _finite(pairs)
    value = measures(pairs, np.ones(pairs.identities, dtype=np.int64), fars)
    value[0], value[1] = roc_auc_score(label, score), _equal_error(label, score)
    again = np.array([measures(pairs, c, fars) for c in counts]).reshape(-1, 2 + len(fars))
    people = len(np.unique(pairs.mated_identity))
    auc, eer = (rate(value[k], again[:, k], count=M, identities=people) for k in (0, 1))
    tar, fnmr = {}, {}
    for far, hit, hits in zip(fars, value[2:], again[:, 2:].T, strict=True):
        few, note = _too_few(far, N)
        for rates, share, shares in ((tar, hit, hits), (fnmr, 1 - hit, 1 - hits)):
            rates[far] = (
                abstain(few, M)
                if few
                else rate(share, shares, count=M, identities=people, note=note)
            )
    accuracy = fold_accuracy(comparison, counts, seed=seed, count_failures=count_failures)
    return Verification(
        auc, eer, tar, fnmr, accuracy, failed, pairs.identities, M, N, count_failures
    )


def failure_to_detect(comparison: Comparison, *, resamples: int = 1000, seed: int = 0) -> Rate:
    """Share of all probes in which no face was found; its count is the number of probes."""
    people, i = np.unique(comparison.probe, return_inverse=True)
    lost = np.bincount(i, weights=~comparison.detected)
    counts = draws(len(people), resamples, seed)
    again = (counts @ lost) / (counts @ np.bincount(i))
    value = float((~comparison.detected).mean())
    return rate(value, again, count=len(i), identities=len(people))


def calibrate(comparison: Comparison, far: float, *, count_failures: bool = True) -> float:
    """The lowest threshold at which at most a share `far` of the non-mated pairs match.

    Raises:
        LabError: fewer than 1 / far non-mated pairs, or no probe detected.
    """
    _check_far(far)
    need_mates(comparison)
    pairs = sorted_pairs(comparison, count_failures)
    few, _ = _too_few(far, len(pairs.other))
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
    score = np.where(comparison.detected[:, None], comparison.similarity, -np.inf)
    return np.asarray((score >= threshold) & comparison.detected[:, None])


def roc(
    comparison: Comparison, *, resamples: int = 0, seed: int = 0, count_failures: bool = True
) -> Roc:
    """FMR and FNMR at every threshold; with resamples, FNMR's interval at 60 rates as well.

    Raises:
        LabError: as `verification`; or no detected pair of either kind.
    """
    from sklearn.metrics import roc_curve

    need_mates(comparison)
    pairs = sorted_pairs(comparison, count_failures)
    if why := _nothing_left(comparison, pairs):
        raise LabError(why, where="roc", remedy="Report the failure to detect instead.")
    score, label = _finite(pairs)
    fmr, tar, threshold = roc_curve(label, score, drop_intermediate=False)
    seen = threshold >= comparison.similarity[comparison.detected].min()
    band = None
    if resamples:
        grid = np.geomspace(1 / len(pairs.other), 1, 60)
        counts = draws(pairs.identities, resamples, seed)
        again = 1 - np.array([measures(pairs, c, grid.tolist())[2:] for c in counts])
        band = np.stack([grid, *np.nanquantile(again, [0.025, 0.975], axis=0)])
    M, N = len(pairs.mated), len(pairs.other)
    return Roc(fmr[seen], 1 - tar[seen], threshold[seen], M, N, band)


def _equal_error(label: Ints, score: Floats) -> float:
    """Where the ROC, joined by straight lines, meets FMR = FNMR."""
    from sklearn.metrics import roc_curve

    fmr, tar, _ = roc_curve(label, score)
    return float(np.interp(0.0, fmr + tar - 1, fmr))


def _finite(pairs: Pairs) -> tuple[Floats, Ints]:
    """Scores and labels (1: mated) for scikit-learn; failures get a number below all others."""
    score = np.concatenate([pairs.mated, pairs.other])
    label = np.repeat([1, 0], [len(pairs.mated), len(pairs.other)])
    lowest = score[np.isfinite(score)].min()
    return np.where(np.isfinite(score), score, lowest - 1), label


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


def _too_few(far: float, other: int) -> tuple[str, str]:
    """Why a rate at this FAR is not known, or what must be said beside it; "" for neither."""
    if other * far < 1 - 1e-9:
        return f"{other:,} non-mated pairs can't show a FAR of {far:g}: {1 / far:,.0f} needed", ""
    if other * far < ENOUGH - 1e-9:
        return "", f"only {other:,} non-mated pairs; {ENOUGH / far:,.0f} are wanted at FAR {far:g}"
    return "", ""


def _check_far(far: float) -> None:
    if not 0 < far < 1:
        raise LabError(f"a FAR of {far:g}", remedy="Give a rate between 0 and 1, such as 1e-3.")
