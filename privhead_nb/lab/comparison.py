"""Probes against a gallery: similarities, and who is who. All that the protocol measures from.

A probe is a picture of someone to be told; the gallery holds pictures of known people. A pair of
pictures of one identity is mated, of two identities non-mated (NIST's words). Original-original,
protected-original and protected-protected differ only in the pictures that the two sides were made
of. A picture must not stand on both sides: it would find itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privhead_nb.errors import LabError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
SHOWN = 5  # identities named in a message


@dataclass(frozen=True, eq=False)
class Comparison:
    """Similarities of probes against a gallery.

    Attributes:
        similarity: (P, G) float64, higher = more alike (cosine of unit embeddings unless said
            otherwise); anything, NaN too, in rows of probes that were not detected.
        probe: (P,) int identity of each probe.
        gallery: (G,) int identity of each gallery picture.
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
        detected = _detected(self.detected, len(probe))
        if similarity.shape != (len(probe), len(gallery)):
            raise LabError(
                f"similarities are {similarity.shape}, identities {len(probe)} by {len(gallery)}",
                where="similarity",
                remedy="Give one row for each probe and one column for each gallery picture.",
            )
        bad = (~np.isfinite(similarity)).any(axis=1) & detected
        if bad.any():
            raise LabError(
                f"{bad.sum()} detected probes (first: row {int(np.argmax(bad))}) have similarities "
                "that are not finite",
                where="similarity",
                remedy="Mark probes without a template as not detected.",
            )
        for name, value in zip(
            ("similarity", "probe", "gallery", "detected"),
            (similarity, probe, gallery, detected),
            strict=True,
        ):
            object.__setattr__(self, name, value)

    @property
    def mated(self) -> Bools:
        """(P, G) True where both pictures show the same identity."""
        return np.asarray(self.probe[:, None] == self.gallery[None, :])

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
        probe_embeddings: (P, D); rows of undetected probes may hold anything.
        probe: (P,) int identities.
        gallery_embeddings: (G, D).
        gallery: (G,) int identities.
        detected: (P,) bool; None: all.

    Raises:
        LabError: as `Comparison`; or an embedding that has no direction (zero, NaN).
    """
    people, known = _identities(probe, "probe"), _identities(gallery, "gallery")
    found = _detected(detected, len(people))
    rows = np.asarray(probe_embeddings, dtype=np.float64)
    columns = np.asarray(gallery_embeddings, dtype=np.float64)
    if rows.ndim != 2 or columns.ndim != 2 or rows.shape[1] != columns.shape[1]:
        raise LabError(
            f"embeddings are {rows.shape} and {columns.shape}",
            where="compare",
            remedy="Give (P, D) and (G, D), from one recogniser.",
        )
    if (len(rows), len(columns)) != (len(people), len(known)):
        raise LabError(
            f"{len(rows)} and {len(columns)} embeddings for {len(people)} probes and {len(known)} "
            "gallery pictures",
            where="compare",
            remedy="Give one embedding for each picture.",
        )
    similarity = np.full((len(people), len(known)), np.nan)
    unit_columns = _unit(columns, "gallery_embeddings", "Leave it out of the gallery.")
    unit_rows = _unit(rows[found], "probe_embeddings", "Mark it as not detected.")
    similarity[found] = np.clip(unit_rows @ unit_columns.T, -1.0, 1.0)
    return Comparison(similarity, people, known, found)


def check_disjoint(**groups: Iterable[int]) -> None:
    """Refuse identities that stand in two groups: a recogniser must not score whom it learned from.

    Args:
        groups: name -> identities, e.g. recogniser=range(200), attacker=range(200, 400).

    Raises:
        LabError: names two groups and the identities that they share.
    """
    sets = {name: set(map(int, people)) for name, people in groups.items()}
    for (first, a), (second, b) in combinations(sets.items(), 2):
        both = sorted(a & b)
        if both:
            more = f" and {len(both) - SHOWN} more" if len(both) > SHOWN else ""
            raise LabError(
                f"{first} and {second} share identities {', '.join(map(str, both[:SHOWN]))}{more}",
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
