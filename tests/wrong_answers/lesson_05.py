"""Lesson 05: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

# 0501, beta's schedule ----------------------------------------------------------------------------


def by_loop(step: int, steps: int, first: float, last: float) -> float:
    """Right: multiplied step by step."""
    beta, arrived = first, 0.8 * (steps - 1)
    for _ in range(step):
        beta *= (last / first) ** (1 / arrived)
    return max(beta, last)


def through_logarithms(step: int, steps: int, first: float, last: float) -> Any:
    """Right: linear in the logarithm."""
    return np.exp(np.interp(step, [0, 0.8 * (steps - 1)], np.log([first, last])))


def linear(step: int, steps: int, first: float, last: float) -> float:
    return first + (last - first) * min(step / (steps - 1) / 0.8, 1)


def whole_stage(step: int, steps: int, first: float, last: float) -> float:
    return first * (last / first) ** (step / (steps - 1))


def no_stop(step: int, steps: int, first: float, last: float) -> float:
    return first * (last / first) ** (step / (0.8 * (steps - 1)))


def of_steps(step: int, steps: int, first: float, last: float) -> float:
    return first * (last / first) ** min(step / steps / 0.8, 1)


def wrong_way(step: int, steps: int, first: float, last: float) -> float:
    return last * (first / last) ** min(step / (steps - 1) / 0.8, 1)


def too_late(step: int, steps: int, first: float, last: float) -> float:
    return first * (last / first) ** min(0.8 * step / (steps - 1), 1)


def too_early(step: int, steps: int, first: float, last: float) -> float:
    return first * (last / first) ** min(step / (steps - 1) / 0.2, 1)


def a_pair(step: int, steps: int, first: float, last: float) -> Any:
    return first, last


# 0502, a batch of patches -------------------------------------------------------------------------


def patches(moduli: Any, corners: Any, side: int) -> Any:
    """Right: one patch after the other."""
    everywhere = torch.arange(moduli.numel()).reshape(moduli.shape)
    pixels, target = [], []
    for v, r, c in corners.tolist():
        pixels.append(everywhere[v, r : r + side, c : c + side])
        target.append(moduli[v, r + 1 : r + side - 1, c + 1 : c + side - 1])
    return torch.stack(pixels), torch.stack(target)


def patches_at_once(moduli: Any, corners: Any, side: int) -> Any:
    """Right: three indices, broadcast."""
    step = torch.arange(side)
    v = corners[:, 0, None, None]
    r = corners[:, 1, None, None] + step[:, None]
    c = corners[:, 2, None, None] + step[None]
    pixels = v * moduli[0].numel() + r * moduli.shape[2] + c
    return pixels, moduli[v, r, c][:, 1:-1, 1:-1]


def target_too_early(moduli: Any, corners: Any, side: int) -> Any:
    pixels, _ = patches(moduli, corners, side)
    return pixels, moduli.reshape(-1)[pixels][:, :-2, :-2]


def target_too_late(moduli: Any, corners: Any, side: int) -> Any:
    pixels, _ = patches(moduli, corners, side)
    return pixels, moduli.reshape(-1)[pixels][:, 2:, 2:]


def whole_target(moduli: Any, corners: Any, side: int) -> Any:
    pixels, _ = patches(moduli, corners, side)
    return pixels, moduli.reshape(-1)[pixels]


def rows_for_columns(moduli: Any, corners: Any, side: int) -> Any:
    step, (_, height, width) = torch.arange(side), moduli.shape
    v, c, r = corners.T[:, :, None, None]
    pixels = (v * height + r + step[:, None]) * width + c + step
    return pixels, moduli.reshape(-1)[pixels % moduli.numel()][:, 1:-1, 1:-1]


def transposed(moduli: Any, corners: Any, side: int) -> Any:
    return tuple(part.transpose(1, 2) for part in patches(moduli, corners, side))


def without_view(moduli: Any, corners: Any, side: int) -> Any:
    pixels, target = patches(moduli, corners, side)
    return pixels % moduli[0].numel(), target


def by_height(moduli: Any, corners: Any, side: int) -> Any:
    step, (_, height, width) = torch.arange(side), moduli.shape
    v, r, c = corners.T[:, :, None, None]
    pixels = v * height * width + (r + step[:, None]) * height + c + step
    return pixels, patches(moduli, corners, side)[1]


def pixels_alone(moduli: Any, corners: Any, side: int) -> Any:
    return patches(moduli, corners, side)[0]


# 0503, the distance of two clouds -----------------------------------------------------------------


def all_pairs(a: Any, b: Any) -> float:
    """Right, and slow."""
    pairs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return float(0.5 * pairs.min(axis=1).mean() + 0.5 * pairs.min(axis=0).mean())


def ways(a: Any, b: Any) -> Any:
    return cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]


def row_by_row(a: Any, b: Any) -> float:
    """Right: pairs of rows that happen to stand side by side would be wrong."""
    return float(np.mean([way.mean() for way in ways(a, b)]))


# 0504, first hits ---------------------------------------------------------------------------------


def bracketed(
    f: Any, o: Any, d: Any, near: float, far: float, count: int = 65, halvings: int = 14
) -> Any:
    """Right with enough samples and halvings."""
    t = torch.linspace(near, far, count)
    values = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1)
    enters = (values[:, :-1] > 0) & (values[:, 1:] <= 0)
    first = enters.int().argmax(1)
    low, high = t[first], t[first + 1]
    for _ in range(halvings):
        middle = (low + high) / 2
        inside = f(o + middle[:, None] * d) <= 0
        low, high = torch.where(inside, low, middle), torch.where(inside, middle, high)
    return torch.where(enters.any(1), (low + high) / 2, torch.inf)


def small_steps(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    """Right, and slow: a thousandth at a time."""
    t = torch.arange(near, far, 0.001)
    values = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1)
    enters = (values[:, :-1] > 0) & (values[:, 1:] <= 0)
    return torch.where(enters.any(1), t[enters.int().argmax(1)] + 0.0005, torch.inf)


def coarse(*given: Any) -> Any:
    return bracketed(*given, count=12)


def still_coarse(*given: Any) -> Any:
    return bracketed(*given, count=17)


def not_halved(*given: Any) -> Any:
    return bracketed(*given, halvings=0)


def hardly_halved(*given: Any) -> Any:
    return bracketed(*given, halvings=2)


def clamped(*given: Any) -> Any:
    return bracketed(*given).clamp_max(given[-1])


def misses_at_near(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    found = bracketed(f, o, d, near, far)
    return torch.where(found.isfinite(), found, near)


def last_entry(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    t = torch.linspace(near, far, 4001)
    values = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1)
    enters = (values[:, :-1] > 0) & (values[:, 1:] <= 0)
    last = torch.where(enters, torch.arange(4000), -1).amax(1)
    return torch.where(enters.any(1), t[last] + 0.00025, torch.inf)


def exits(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    return bracketed(lambda points: -f(points), o, d, near, far)


def any_inside(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    t = torch.linspace(near, far, 4001)
    inside = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1) <= 0
    return torch.where(inside.any(1), t[inside.int().argmax(1)], torch.inf)


def sphere_tracing(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    t = torch.full((len(o),), near)
    for _ in range(200):
        t = t + f(o + t[:, None] * d)
    hit = (t < far) & (t >= near) & (f(o + t[:, None] * d).abs() < 1e-3)
    return torch.where(hit, t, torch.inf)


def points_of_hits(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    return o + bracketed(f, o, d, near, far)[:, None] * d


# 0505, the median angle ---------------------------------------------------------------------------


def cosine(a: Any, b: Any) -> Any:
    return (a * b).sum(axis=1)


def through_half_angles(a: Any, b: Any) -> float:
    """Right: by the chord."""
    half = np.arcsin(np.clip(np.linalg.norm(a - b, axis=1) / 2, 0, 1))
    return float(np.degrees(np.median(2 * half)))


def through_atan(a: Any, b: Any) -> float:
    """Right: by the cross product."""
    sine = np.linalg.norm(np.cross(a, b), axis=1)
    return float(np.degrees(np.median(np.arctan2(sine, cosine(a, b)))))


def degrees(a: Any, b: Any) -> Any:
    return np.degrees(np.arccos(np.clip(cosine(a, b), -1, 1)))


WRONG: list[tuple[str, Any, str]] = [
    ("0501", linear, "the same factor each step"),
    ("0501", whole_stage, "and then stays"),
    ("0501", no_stop, "below its last value"),
    ("0501", of_steps, "the last step is steps - 1"),
    ("0501", wrong_way, "from last to first"),
    ("0501", too_late, "divide the share by 0.8"),
    ("0501", too_early, "not after 0.2 of it"),
    ("0501", a_pair, "the specification ()"),
    ("0502", target_too_early, "one pixel in: Sobel needs a neighbour"),
    ("0502", target_too_late, "one pixel in, not two"),
    ("0502", whole_target, "yours has the shape (1, 3, 3), the specification (1, 1, 1)"),
    ("0502", rows_for_columns, "row and column have changed places"),
    ("0502", transposed, "rows come before columns"),
    ("0502", without_view, "the view is missing"),
    ("0502", by_height, "a whole width further on"),
    ("0502", pixels_alone, "give both: the pixels"),
    ("0503", lambda a, b: ways(a, b)[0].mean(), "from a to b"),
    ("0503", lambda a, b: ways(a, b)[1].mean(), "from b to a"),
    ("0503", lambda a, b: sum(way.mean() for way in ways(a, b)), "the sum of the two means"),
    ("0503", lambda a, b: np.concatenate(ways(a, b)).mean(), "the larger set would count more"),
    ("0503", lambda a, b: sum((way**2).mean() for way in ways(a, b)) / 2, "squared"),
    ("0503", lambda a, b: sum(np.median(w) for w in ways(a, b)) / 2, "these are medians"),
    ("0503", lambda a, b: np.array([w.mean() for w in ways(a, b)]), "yours has the shape (2,)"),
    ("0504", coarse, "some surfaces were passed by"),
    ("0504", still_coarse, "some surfaces were passed by"),
    ("0504", not_halved, "halve the bracket"),
    ("0504", hardly_halved, "halve the bracket"),
    ("0504", clamped, "must give inf, not far"),
    ("0504", misses_at_near, "argmax of nothing is 0"),
    ("0504", last_entry, "nearer ones hide it"),
    ("0504", exits, "this is where the ray leaves"),
    ("0504", any_inside, "a ray that begins inside has not entered yet"),
    ("0504", sphere_tracing, "a step of length f jumps through"),
    ("0504", points_of_hits, "has the shape (9, 3)"),
    ("0505", lambda a, b: np.median(np.radians(degrees(a, b))), "radians"),
    ("0505", lambda a, b: degrees(a, b).mean(), "this is the mean"),
    ("0505", lambda a, b: np.degrees(np.median(np.arccos(cosine(a, b).clip(0, 1)))), "inside out"),
    ("0505", lambda a, b: np.median(np.minimum(degrees(a, b), degrees(a, -b))), "inside out"),
    ("0505", lambda a, b: np.degrees(np.median(np.arccos(cosine(a, b)))), "rounding made"),
    ("0505", lambda a, b: degrees(a, b), "yours has the shape (1,)"),
    ("0505", lambda a, b: np.median(degrees(a, b)) / 2, "this is half the angle"),
    ("0505", lambda a, b: np.median(np.minimum(degrees(a, b), 90)), "not 90"),
    ("0505", lambda a, b: np.median(cosine(a, b)), "the cosine, not the angle"),
]

RIGHT: list[tuple[str, Any]] = [
    ("0501", by_loop),
    ("0501", through_logarithms),
    ("0502", patches),
    ("0502", patches_at_once),
    ("0503", all_pairs),
    ("0503", row_by_row),
    ("0504", bracketed),
    ("0504", lambda *given: bracketed(*given, count=97, halvings=8)),
    ("0504", small_steps),
    ("0505", through_half_angles),
    ("0505", through_atan),
]
