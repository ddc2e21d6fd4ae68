"""The paper's tables in kind: who is recognised in what, with intervals.

Table 2 (AAAI) asks seven recognisers whether a picture shows the person that it shows, in five
kinds of picture: original, protected, rendered mesh, our rendering, full-RGB rendering. Here the
recognisers are those of this package, the threshold of a verdict comes from clean pictures of other
people, and every rate has an interval that draws people, not pictures. The appendix gives cosine
distances instead of verdicts (arXiv, Table 3).

The paper's rates rest on about 31 pairs each. `SmallSample` says what such a rate can tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import Comparison, Floats, check_disjoint, compare
from privhead_nb.lab.folds import best_threshold
from privhead_nb.lab.identification import identification
from privhead_nb.lab.intervals import LEVEL, Rate, draws, exact_interval, rate, wilson_interval
from privhead_nb.lab.recognition import Recogniser
from privhead_nb.lab.verification import calibrate, verdicts

KINDS = ("original", "protected", "rendered mesh", "our rendering", "full-RGB rendering")
PAPER_TABLE_2: dict[str, tuple[float, ...]] = {  # AAAI, Table 2, percent, in the order of KINDS
    "VGG-Face": (93.75, 6.51, 3.03, 43.74, 84.62),
    "Facenet": (96.88, 9.68, 18.18, 31.23, 81.52),
    "Facenet512": (96.87, 3.23, 3.20, 18.77, 79.27),
    "ArcFace": (90.63, 6.66, 6.46, 31.25, 79.23),
    "Dlib": (93.75, 3.17, 1.77, 37.50, 71.57),
    "SFace": (84.38, 6.45, 9.14, 43.71, 73.35),
    "GhostFaceNet": (85.42, 6.62, 1.04, 31.44, 73.92),
}


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

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f}, n = {self.count:,})"


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
    score = np.where(found.detected[:, None], found.similarity, -np.inf)
    return Thresholds(
        accuracy=best_threshold(score.ravel(), found.mated.ravel()),
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


def share(
    values: ArrayLike,
    people: ArrayLike,
    partners: ArrayLike | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Rate:
    """Mean of values in [0, 1], one a picture, as a rate whose interval draws people.

    Args:
        values: (N,) such as hits.
        people: (N,) whose.
        partners: (N,) the second person of each picture, where two have to do with it: a picture
            then counts as often as both are drawn.
        resamples, seed: of the draws.
    """
    x, n, again = _drawn(values, people, partners, resamples, seed)
    return rate(float(x.mean()), again, count=len(x), identities=n)


def mean(
    values: ArrayLike,
    people: ArrayLike,
    partners: ArrayLike | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Mean:
    """As `share`, of values of any size."""
    x, n, again = _drawn(values, people, partners, resamples, seed)
    tail = (1 - LEVEL) / 2
    known = again[~np.isnan(again)]
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) and n > 1 else (np.nan, np.nan)
    return Mean(float(x.mean()), float(low), float(high), len(x), n)


@dataclass(frozen=True)
class SmallSample:
    """What `successes` of `trials` can tell about a rate: 95 % intervals."""

    successes: int
    trials: int

    @property
    def wilson(self) -> tuple[float, float]:
        """Wilson's; 2 of 31 is 1.8 to 20.7 %."""
        return wilson_interval(self.successes, self.trials)

    @property
    def exact(self) -> tuple[float, float]:
        """Clopper and Pearson's; 2 of 31 is 0.8 to 21.4 %."""
        return exact_interval(self.successes, self.trials)


def counts_that_give(percent: float, most: int = 40, digits: int = 2) -> list[SmallSample]:
    """All k of n, n up to `most`, that print as `percent` when rounded or cut to `digits`.

    93.75 is 15 of 16 or 30 of 32. A figure that no small n gives was averaged, or misprinted.
    """
    unit = 10.0**digits
    found = []
    for n in range(1, most + 1):
        for k in {int(percent * n / 100), int(percent * n / 100) + 1}:
            exact = 100.0 * k / n
            if k <= n and percent in (round(exact, digits), int(exact * unit + 1e-9) / unit):
                found.append(SmallSample(k, n))
    return found


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


def _drawn(
    values: ArrayLike, people: ArrayLike, partners: ArrayLike | None, resamples: int, seed: int
) -> tuple[Floats, int, Floats]:
    """Values (N,), number of people, and (B,) means with people drawn again."""
    x, own = np.asarray(values, dtype=np.float64), np.asarray(people)
    if len(x) == 0:
        raise LabError("there is nothing to average", where="tables")
    if partners is None:
        names, i = np.unique(own, return_inverse=True)
        times = draws(len(names), resamples, seed)[:, i]
    else:
        names, both = np.unique(np.stack([own, np.asarray(partners)]), return_inverse=True)
        counts, (i, j) = draws(len(names), resamples, seed), both.reshape(2, -1)
        times = counts[:, i] * counts[:, j]
    with np.errstate(invalid="ignore"):
        return x, len(names), np.asarray((times @ x) / times.sum(1))
