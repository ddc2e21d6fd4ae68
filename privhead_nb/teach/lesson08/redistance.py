"""A true signed distance with the zero line of any function on a 2D lattice (exercise 0802)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def zero_segments(values: Array, step: float) -> tuple[Array, Array]:
    """The zero line as segments from a to b, (S, 2) each, by marching squares.

    Args:
        values: (H, W) on a lattice; its first point is (0, 0).
        step: of the lattice.
    """
    from skimage.measure import find_contours

    lines = find_contours(values, 0.0)
    pairs = [(line[:-1], line[1:]) for line in lines]
    if not pairs:
        return np.empty((0, 2)), np.empty((0, 2))
    first, second = (np.concatenate(ends) * step for ends in zip(*pairs, strict=True))
    return first, second


def to_segments(points: Array, first: Array, second: Array) -> Array:
    """Distance (P,) from points (P, 2) to the nearest of segments (S, 2).

    nearest point of a segment: a + t (b - a), t = (x - a) . (b - a) / |b - a|^2 cut to [0, 1]
    """
    along = second - first
    length = np.maximum((along**2).sum(axis=1), 1e-18)
    offset = points[:, None] - first[None]
    t = np.clip((offset * along).sum(axis=-1) / length, 0, 1)
    return np.asarray(np.linalg.norm(offset - t[..., None] * along, axis=-1).min(axis=1))


def redistance(values: Array, step: float) -> Array:
    """The signed distance (H, W) whose zero line is that of `values`; |gradient| = 1.

    Raises:
        ValueError: the values have no zero line.
    """
    first, second = zero_segments(values, step)
    if not len(first):
        raise ValueError("the values do not change their sign")
    rows, columns = np.indices(values.shape)
    points = np.stack([rows.ravel(), columns.ravel()], axis=1).astype(np.float64) * step
    away = to_segments(points, first, second).reshape(values.shape)
    return np.where(values < 0, -away, away)
