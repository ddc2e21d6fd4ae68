"""Probes against a gallery: similarities, who is who, and the pairs that rates are counted on.

A probe is a picture of someone to be told; the gallery holds pictures of known people. A pair of
pictures of one identity is mated, of two identities non-mated (NIST's words). A picture must not
stand on both sides: it would find itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privhead_nb.errors import LabError, listed

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SHOWN = 5  # identities named in a message


@dataclass(frozen=True, eq=False)
class Comparison:
    """Similarities of probes against a gallery.

    Attributes:
        similarity: (P, G) float64, higher = more alike; anything, NaN too, in rows of probes that
            were not detected.
        probe, gallery: (P,), (G,) int identity of each picture.
        detected: (P,) bool; False where no face was found or no template could be made. None on
            the way in: all detected.

    Raises:
        LabError: shapes that don't fit, identities that aren't whole numbers, nothing to compare,
            or similarities of detected probes that aren't finite.
    """

    similarity: Floats
    probe: Ints
    gallery: Ints
    detected: Bools = None  # type: ignore[assignment]  # an array from __post_init__ on

    def __post_init__(self) -> None:
        similarity = np.asarray(self.similarity, dtype=np.float64)
        probe, gallery = _identities(self.probe, "probe"), _identities(self.gallery, "gallery")
        if similarity.shape != (len(probe), len(gallery)):
            raise LabError(
                f"similarities are {similarity.shape}, identities {len(probe)} by {len(gallery)}",
                where="similarity",
                remedy="Give one row for each probe and one column for each gallery picture.",
            )
        detected = _detected(self.detected, len(probe))
        bad = (~np.isfinite(similarity)).any(axis=1) & detected
        if bad.any():
            raise LabError(
                f"{bad.sum()} detected probes (first: row {int(np.argmax(bad))}) have similarities "
                "that are not finite",
                where="similarity",
                remedy="Mark probes without a template as not detected.",
            )
        checked = {"similarity": similarity, "probe": probe, "gallery": gallery}
        for name, value in (checked | {"detected": detected}).items():
            object.__setattr__(self, name, value)

    @property
    def mated(self) -> Bools:
        """(P, G) True where both pictures show the same identity."""
        return np.asarray(self.probe[:, None] == self.gallery[None, :])

    @property
    def scores(self) -> Floats:
        """(P, G) similarities, -inf in the rows of undetected probes: they match nobody."""
        return np.where(self.detected[:, None], self.similarity, -np.inf)

    @property
    def identities(self) -> Ints:
        """(n,) every identity on either side, once, ascending."""
        return np.unique(np.concatenate([self.probe, self.gallery]))


def compare(
    probe_embeddings: ArrayLike,
    probe: ArrayLike,
    gallery_embeddings: ArrayLike,
    gallery: ArrayLike,
    detected: ArrayLike | None = None,
) -> Comparison:
    """Cosines of embeddings, which are brought to unit length first.

    Args:
        probe_embeddings, gallery_embeddings: (P, D), (G, D); rows of undetected probes may hold
            anything.
        probe, gallery, detected: as in `Comparison`.

    Raises:
        LabError: as `Comparison`; or an embedding that has no direction (zero, NaN).
    """
    rows = np.asarray(probe_embeddings, dtype=np.float64)
    columns = np.asarray(gallery_embeddings, dtype=np.float64)
    if rows.ndim != 2 or columns.ndim != 2 or rows.shape[1] != columns.shape[1]:
        raise LabError(
            f"embeddings are {rows.shape} and {columns.shape}",
            where="compare",
            remedy="Give (P, D) and (G, D) from one recogniser, one embedding for each picture.",
        )
    found = _detected(detected, len(rows))
    similarity = np.full((len(rows), len(columns)), np.nan)
    unit_columns = _unit(columns, "gallery_embeddings", "Leave it out of the gallery.")
    unit_rows = _unit(rows[found], "probe_embeddings", "Mark it as not detected.")
    similarity[found] = np.clip(unit_rows @ unit_columns.T, -1.0, 1.0)
    return Comparison(similarity, np.asarray(probe), np.asarray(gallery), found)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs by falling score; the score of a pair that failed is -inf, below every threshold.

    When identities are drawn again, c_i times identity i, a mated pair of i counts c_i times and a
    non-mated pair of i and j c_i c_j times. Two copies of one identity never make a pair: called
    two people, they would put the highest similarities among the false matches.
    """

    mated: Floats  # (M,) scores
    mated_identity: Ints  # (M,) number of the identity, 0 to n - 1
    other: Floats  # (N,) scores of non-mated pairs
    other_cell: Ints  # (N,) i n + j, their two identities
    identities: int  # n, of all on either side

    @cached_property
    def corners(self) -> tuple[Ints, Ints, Ints]:
        """For each distinct mated score (K,): how many non-mated ones are higher; as high or
        higher; and its last place among `mated`."""
        last = np.flatnonzero(np.append(self.mated[1:] != self.mated[:-1], True))
        higher, as_high = (
            np.searchsorted(-self.other, -self.mated[last], side=side) for side in ("left", "right")
        )
        return higher, as_high, last


def sorted_pairs(comparison: Comparison, count_failures: bool = True) -> Pairs:
    """Mated and non-mated pairs by falling score; those of undetected probes, at -inf, may stay."""
    people = comparison.identities
    i, j = (np.searchsorted(people, side) for side in (comparison.probe, comparison.gallery))
    score = comparison.scores
    if not count_failures:
        score, i = score[comparison.detected], i[comparison.detected]
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


def measures(pairs: Pairs, counts: Ints, fars: Sequence[float]) -> Floats:
    """AUC, EER, and TAR at each FAR, where identity i counts counts[i] times; NaN without pairs.

    The ROC is known from its corners at mated scores, since TAR is flat between them. TAR at FAR f
    is the best over all thresholds whose share of false matches is at most f. EER is where the ROC,
    joined by straight lines, meets FMR = FNMR.

    Returns:
        (2 + len(fars),)
    """
    higher, as_high, last = pairs.corners
    hits = np.cumsum(counts[pairs.mated_identity])[last]
    other = np.append(0, np.cumsum(np.outer(counts, counts).ravel()[pairs.other_cell]))
    if hits[-1] == 0 or other[-1] == 0:
        return np.full(2 + len(fars), np.nan)
    before = np.append(0, hits)
    fmr = np.append(np.stack([other[higher], other[as_high]], 1).ravel(), other[-1]) / other[-1]
    tar = np.append(np.stack([before[:-1], hits], 1).ravel(), hits[-1]) / hits[-1]
    detected = np.isfinite(pairs.mated[last])
    limits = [allowed(far, other[-1]) for far in fars]
    best = before[np.searchsorted(other[as_high][detected], limits, side="right")] / hits[-1]
    return np.array([np.trapezoid(tar, fmr), np.interp(0.0, fmr + tar - 1, fmr), *best])


def allowed(far: float, total: float) -> int:
    """How many of `total` non-mated pairs may match: 7 of 100 at 0.07, whatever floats say."""
    return math.floor(far * total + 1e-9)


def check_disjoint(**groups: Iterable[int]) -> None:
    """Refuse identities that stand in two groups: a recogniser must not score whom it learned from.

    Raises:
        LabError: names two groups and the identities that they share.
    """
    sets = {name: set(map(int, people)) for name, people in groups.items()}
    for (first, a), (second, b) in combinations(sets.items(), 2):
        if both := sorted(a & b):
            raise LabError(
                f"{first} and {second} share identities {listed(map(str, both), SHOWN)}",
                where="check_disjoint",
                remedy="Give every identity to one group only.",
            )


def need_mates(comparison: Comparison) -> None:
    """Refuse a comparison whose set-up leaves nothing to measure.

    Raises:
        LabError: one identity only, or no probe whose identity is in the gallery.
    """
    people = comparison.identities
    if len(people) < 2:
        raise LabError(
            f"all pictures show identity {people[0]}: there is nobody to mistake it for",
            where="comparison",
            remedy="Compare at least two identities.",
        )
    if not np.isin(comparison.probe, comparison.gallery).any():
        raise LabError(
            "the gallery holds no mate of any probe",
            where="gallery",
            remedy="Put pictures of the probes' identities into it; check how both are numbered.",
        )


def _identities(given: ArrayLike, name: str) -> Ints:
    people = np.asarray(given)
    if people.ndim != 1 or len(people) == 0:
        raise LabError(
            f"identities are of shape {people.shape}",
            where=name,
            remedy="Give one whole number for each picture, and at least one picture.",
        )
    if people.dtype.kind not in "iu":
        raise LabError(
            f"identities are {people.dtype}", where=name, remedy="Number them with whole numbers."
        )
    return people.astype(np.int64)


def _detected(given: ArrayLike | None, probes: int) -> Bools:
    found = np.ones(probes, dtype=np.bool_) if given is None else np.asarray(given)
    if found.shape != (probes,) or found.dtype != np.bool_:
        raise LabError(
            f"detected is {found.dtype} of shape {found.shape} for {probes} probes",
            where="detected",
            remedy="Give one True or False for each probe.",
        )
    return found


def _unit(vectors: Floats, where: str, remedy: str) -> Floats:
    """Rows (N, D) at length 1."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = ~(np.isfinite(length) & (length > 0))[:, 0]
    if bad.any():
        raise LabError(f"{bad.sum()} embeddings are zero or not finite", where=where, remedy=remedy)
    return np.asarray(vectors / length)
