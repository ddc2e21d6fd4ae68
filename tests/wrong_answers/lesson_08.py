"""Lesson 08: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import find_contours

# 0801, a mean of balls ----------------------------------------------------------------------------


def by_small_steps(points: Any, centers: Any, radii: Any) -> Any:
    """Right: the slope from small differences."""

    def mean(x: Any) -> Any:
        return (np.linalg.norm(x[:, None] - centers, axis=2) - radii).mean(1)

    slope = [(mean(points + h) - mean(points - h)) / 2e-5 for h in 1e-5 * np.eye(3)]
    return mean(points), np.linalg.norm(slope, axis=0)


# 0802, repair a distance --------------------------------------------------------------------------


def dense_points(values: Any, step: float) -> Any:
    """Right: many points on a refined zero line."""
    fine = ndimage.zoom(values, 8, order=1, grid_mode=False)
    scale = step * (values.shape[0] - 1) / (fine.shape[0] - 1)
    line = np.concatenate(find_contours(fine, 0.0)) * scale
    where = np.indices(values.shape).reshape(2, -1).T * step
    away = cKDTree(line).query(where)[0].reshape(values.shape)
    return np.where(values < 0, -away, away)


def swept(values: Any, step: float) -> Any:
    """Right: values at the line by interpolation, then fast sweeping of the eikonal equation."""
    far = np.full(values.shape, 1e3)
    for axis in (0, 1):
        a, b = np.moveaxis(values, axis, 0)[:-1], np.moveaxis(values, axis, 0)[1:]
        share = np.where(a * b <= 0, np.abs(a) / (np.abs(a) + np.abs(b) + 1e-12), np.nan)
        near = np.moveaxis(far, axis, 0)
        near[:-1] = np.fmin(near[:-1], share * step)
        near[1:] = np.fmin(near[1:], (1 - share) * step)
    slope = np.hypot(*np.gradient(values, step))
    frozen = far < 1e2
    out = np.where(frozen, np.minimum(far, np.abs(values) / slope.clip(1e-6)), 1e3)
    rows, columns = values.shape
    for turn in range(8):
        for i in range(rows)[:: 1 if turn % 2 else -1]:
            for j in range(columns)[:: 1 if turn // 2 % 2 else -1]:
                if frozen[i, j]:
                    continue
                a = min(out[max(i - 1, 0), j], out[min(i + 1, rows - 1), j])
                b = min(out[i, max(j - 1, 0)], out[i, min(j + 1, columns - 1)])
                if abs(a - b) >= step:
                    new = min(a, b) + step
                else:
                    new = (a + b + np.sqrt(2 * step**2 - (a - b) ** 2)) / 2
                out[i, j] = min(out[i, j], new)
    return np.where(values < 0, -out, out)


# 0803, the next best view -------------------------------------------------------------------------


def by_angles(towards: Any, count: int) -> Any:
    """Right: angles instead of cosines, kept up to date."""
    chosen, angle = [0], np.arccos((towards @ towards[0]).clip(-1, 1))
    while len(chosen) < count:
        chosen.append(int(np.argmax(angle.round(9))))
        angle = np.minimum(angle, np.arccos((towards @ towards[chosen[-1]]).clip(-1, 1)))
    return np.array(chosen)


# 0804, an examination without the truth -----------------------------------------------------------


def pixel_by_pixel(moduli: Any, shape: Any, reach: int) -> Any:
    """Right: loops."""
    outside = 0.0
    for v, i, j in np.ndindex(moduli.shape):
        top, left = max(i - reach, 0), max(j - reach, 0)
        if not shape[v, top : i + reach + 1, left : j + reach + 1].any():
            outside += moduli[v, i, j]
    return outside / moduli.sum()


WRONG: list[Any] = []  # the checks say nothing of a wrong answer that is none of their slips

RIGHT = [
    ("0801", by_small_steps),
    ("0802", dense_points),
    ("0802", swept),
    ("0803", by_angles),
    ("0804", pixel_by_pixel),
]
