"""Table 2 in kind: our recognisers asked about five kinds of picture, with intervals.

The recognisers are those of this package, the threshold of a verdict comes from clean pictures of
other people, and every rate has an interval that draws people, not pictures. The appendix gives
cosine distances instead of verdicts (arXiv, Table 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import Bools, Comparison, Floats, check_disjoint, compare
from privhead_nb.lab.intervals import TAILS, Rate, means_of_draws, share
from privhead_nb.lab.protocol import calibrate, identification, verdicts
from privhead_nb.lab.recognisers import Recogniser


@dataclass(frozen=True, eq=False)
class Pictures:
    """N pictures and whom they show.

    Args:
        rgb: (N, 64, 64, 3) in [0, 1].
        identity: (N,) int.

    Raises:
        LabError: not one identity a picture, or no picture.
    """

    rgb: Tensor
    identity: Tensor

    def __post_init__(self) -> None:
        if len(self.rgb) == 0 or len(self.rgb) != len(self.identity):
            raise LabError(
                f"{len(self.rgb)} pictures with {len(self.identity)} identities",
                where="pictures",
                remedy="Give at least one picture, and one identity for each.",
            )

    def only(self, people: Sequence[int]) -> Pictures:
        """Those of some people."""
        at = torch.isin(self.identity, torch.tensor(list(people)))
        return Pictures(self.rgb[at], self.identity[at])


@dataclass(frozen=True)
class Mean:
    """A mean with its 95 % interval from drawing people; `count` pictures of `people` people."""

    value: float
    low: float
    high: float
    count: int
    people: int


@dataclass(frozen=True)
class Entry:
    """One recogniser asked about one kind of picture.

    Attributes:
        verified: mated pairs that match at the threshold of best accuracy: the paper's "accuracy".
        false: non-mated pairs that match there.
        verified_strict: mated pairs that match at the strict threshold.
        rank1: right among all of the gallery, beside `chance`.
        own, others: cosine distances to the gallery's picture of the person, and of others.
        detected: pictures of which a template could be made.
    """

    verified: Rate
    false: Rate
    verified_strict: Rate
    rank1: Rate
    chance: float
    own: Mean
    others: Mean
    detected: Rate


@dataclass(frozen=True)
class Thresholds:
    """Cosine similarities from which on a pair matches.

    Attributes:
        accuracy: of the largest TAR - FMR.
        strict: of a low FMR, 1e-3 unless said otherwise.
        people: whom they come from.
    """

    accuracy: float
    strict: float
    people: int


def thresholds(
    recogniser: Recogniser, probes: Pictures, gallery: Pictures, far: float = 1e-3
) -> Thresholds:
    """Thresholds from clean pictures of people who will not be judged by them."""
    found = _compare(recogniser, probes, gallery)
    return Thresholds(
        accuracy=best_threshold(found.scores.ravel(), found.mated.ravel()),
        strict=calibrate(found, far),
        people=len(found.identities),
    )


def entry(
    recogniser: Recogniser,
    pictures: Pictures,
    gallery: Pictures,
    at: Thresholds,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Entry:
    """What a recogniser says of pictures, held against clean pictures of known people."""
    found = _compare(recogniser, pictures, gallery)
    people, mated = found.probe, found.mated
    who = identification(found, ranks=(1,), resamples=resamples, seed=seed)
    matches, strict = (verdicts(found, t) for t in (at.accuracy, at.strict))
    draw: dict[str, int] = {"resamples": resamples, "seed": seed}
    seen = found.detected
    distance = 1 - found.similarity[seen]
    return Entry(
        verified=share(_row_mean(matches, mated), people, **draw),
        false=share(_row_mean(matches, ~mated), people, **draw),
        verified_strict=share(_row_mean(strict, mated), people, **draw),
        rank1=who.rank[1],
        chance=who.chance[1],
        own=mean(_row_mean(distance, mated[seen]), people[seen], **draw),
        others=mean(_row_mean(distance, ~mated[seen]), people[seen], **draw),
        detected=share(seen.astype(float), people, **draw),
    )


def table2(
    kinds: Mapping[str, Pictures],
    gallery: Pictures,
    calibration: tuple[Pictures, Pictures],
    recognisers: Sequence[Recogniser],
    *,
    far: float = 1e-3,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, dict[str, Entry]]:
    """Table 2 in kind: recogniser -> kind of picture -> entry.

    Args:
        kinds: pictures of the same people in each kind.
        gallery: clean pictures of many people, the tested ones among them.
        calibration: clean probes and gallery of people none of whom is tested.
        recognisers: all of them unprotected ones, as the paper's.
        far: FMR of the strict threshold.
        resamples, seed: of the intervals.

    Raises:
        LabError: someone is tested and calibrated on; or a comparison can't be made.
    """
    tested = {int(i) for p in kinds.values() for i in p.identity}
    check_disjoint(tested=tested, calibration=calibration[0].identity.tolist())
    check_disjoint(tested=tested, calibration_gallery=calibration[1].identity.tolist())
    found = {}
    for one in recognisers:
        at = thresholds(one, *calibration, far)
        found[one.name] = {
            kind: entry(one, pictures, gallery, at, resamples=resamples, seed=seed)
            for kind, pictures in kinds.items()
        }
    return found


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
    below = seen.min() - 1  # scikit-learn wants numbers; failures stay below all others
    fmr, tar, thresholds = roc_curve(mated, np.where(np.isfinite(score), score, below))
    best = float(thresholds[np.argmax(tar - fmr)])
    lower = seen[seen < best]
    return best if len(lower) == 0 or math.isinf(best) else (best + float(lower.max())) / 2


def mean(
    values: ArrayLike,
    people: ArrayLike,
    partners: ArrayLike | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Mean:
    """Mean of values of any size, one a picture, with people drawn; arguments as of `share`."""
    x, identities, again = means_of_draws(values, people, partners, resamples, seed)
    known = again[~np.isnan(again)]
    low, high = np.quantile(known, TAILS) if len(known) and identities > 1 else (np.nan, np.nan)
    return Mean(float(x.mean()), float(low), float(high), len(x), identities)


def _compare(recogniser: Recogniser, probes: Pictures, gallery: Pictures) -> Comparison:
    p, made = recogniser.embed(probes.rgb)
    g, kept = recogniser.embed(gallery.rgb)
    return compare(
        p.numpy(),
        probes.identity.numpy(),
        g[kept].numpy(),
        gallery.identity[kept].numpy(),
        made.numpy(),
    )


def _row_mean(values: ArrayLike, where: NDArray[np.bool_]) -> Floats:
    """(P,) mean of values (P, G) `where` True.

    Raises:
        LabError: a row has nothing there.
    """
    count = where.sum(1)
    if (count == 0).any():
        raise LabError(
            "a picture has nobody to be compared with",
            where="tables",
            remedy="Put a clean picture of each tested person, and of others, into the gallery.",
        )
    return np.asarray((np.asarray(values, dtype=np.float64) * where).sum(1) / count)
