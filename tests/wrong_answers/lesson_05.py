"""Lesson 05: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from answers import edited, spoiled
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


def by_power(step: int, steps: int, first: float, last: float) -> Any:
    """Right: a share of the whole factor."""
    share = min(step / (steps - 1) / 0.8, 1)
    return first * (last / first) ** share


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
    height, width = moduli.shape[1:]
    pixels = (v * height + r) * width + c
    return pixels, moduli.reshape(-1)[pixels][:, 1:-1, 1:-1]


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


def bracketed(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    """Right with enough samples and halvings."""
    t = torch.linspace(near, far, 65)
    values = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1)
    enters = (values[:, :-1] > 0) & (values[:, 1:] <= 0)
    first = enters.int().argmax(1)
    low, high = t[first], t[first + 1]
    for _ in range(14):
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


def last_entry(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    t = torch.linspace(near, far, 4001)
    values = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1)
    enters = (values[:, :-1] > 0) & (values[:, 1:] <= 0)
    last = torch.where(enters, torch.arange(4000), -1).amax(1)
    return torch.where(enters.any(1), t[last] + 0.00025, torch.inf)


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
    *spoiled(
        "0501", by_power,
        ("first * (last / first) ** share", "first + (last - first) * share",
         "the same factor each step"),
        (" / 0.8", "", "and then stays"),
        ("min(step / (steps - 1) / 0.8, 1)", "step / (steps - 1) / 0.8", "below its last value"),
        ("(steps - 1)", "steps", "the last step is steps - 1"),
        ("first * (last / first)", "last * (first / last)", "from last to first"),
        ("/ 0.8", "* 0.8", "divide the share by 0.8"),
        ("/ 0.8", "/ 0.2", "not after 0.2 of it"),
        ("first * (last / first) ** share", "first, last", "the specification ()"),
    ),
    *spoiled(
        "0502", patches_at_once,
        ("1:-1, 1:-1", ":-2, :-2", "one pixel in: Sobel needs a neighbour"),
        ("1:-1, 1:-1", "2:, 2:", "one pixel in, not two"),
        ("[:, 1:-1, 1:-1]", "",
         "yours has the shape (1, 3, 3), the specification (1, 1, 1)"),
        ("    height", "    r, c = c.mT, r.mT\n    height", "row and column have changed places"),
        ("return pixels, moduli.reshape(-1)[pixels]",
         "pixels = pixels.mT\n    return pixels, moduli.reshape(-1)[pixels]",
         "rows come before columns"),
        ("return pixels,", "return pixels % (height * width),", "the view is missing"),
        ("return pixels,", "return v * height * width + r * height + c,",
         "a whole width further on"),
        (", moduli.reshape(-1)[pixels][:, 1:-1, 1:-1]", "", "give both: the pixels"),
    ),
    ("0503", lambda a, b: ways(a, b)[0].mean(), "from a to b"),
    ("0503", lambda a, b: ways(a, b)[1].mean(), "from b to a"),
    ("0503", lambda a, b: sum(way.mean() for way in ways(a, b)), "the sum of the two means"),
    ("0503", lambda a, b: np.concatenate(ways(a, b)).mean(), "the larger set would count more"),
    ("0503", lambda a, b: sum((way**2).mean() for way in ways(a, b)) / 2, "squared"),
    ("0503", lambda a, b: sum(np.median(w) for w in ways(a, b)) / 2, "these are medians"),
    ("0503", lambda a, b: np.array([w.mean() for w in ways(a, b)]), "yours has the shape (2,)"),
    *spoiled(
        "0504", bracketed,
        ("65", "12", "some surfaces were passed by"),
        ("65", "17", "some surfaces were passed by"),
        ("14", "0", "halve the bracket"),
        ("14", "2", "halve the bracket"),
        ("torch.inf", "far", "must give inf, not far"),
        ("torch.inf", "near", "argmax of nothing is 0"),
        ("return torch.where(enters.any(1), (low + high) / 2, torch.inf)",
         "return o + torch.where(enters.any(1), (low + high) / 2, torch.inf)[:, None] * d",
         "has the shape (9, 3)"),
    ),
    ("0504", edited(bracketed, ("values = f", "values = -f"), ("* d) <= 0", "* d) >= 0")),
     "this is where the ray leaves"),
    ("0504", last_entry, "nearer ones hide it"),
    ("0504", any_inside, "a ray that begins inside has not entered yet"),
    ("0504", sphere_tracing, "a step of length f jumps through"),
    ("0505", lambda a, b: np.median(np.radians(degrees(a, b))), "radians"),
    ("0505", lambda a, b: degrees(a, b).mean(), "this is the mean"),
    ("0505", lambda a, b: np.degrees(np.median(np.arccos(cosine(a, b).clip(0, 1)))), "inside out"),
    ("0505", lambda a, b: np.median(np.minimum(degrees(a, b), degrees(a, -b))), "inside out"),
    ("0505", lambda a, b: np.degrees(np.median(np.arccos(cosine(a, b)))), "rounding made"),
    ("0505", lambda a, b: degrees(a, b), "yours has the shape (1,)"),
    ("0505", lambda a, b: np.median(degrees(a, b)) / 2, "this is half the angle"),
    ("0505", lambda a, b: np.median(np.minimum(degrees(a, b), 90)), "not 90"),
    ("0505", lambda a, b: np.median(cosine(a, b)), "the cosine, not the angle"),
]  # fmt: skip

RIGHT: list[tuple[str, Any]] = [
    ("0501", by_power),
    ("0501", by_loop),
    ("0501", through_logarithms),
    ("0502", patches),
    ("0502", patches_at_once),
    ("0503", all_pairs),
    ("0503", row_by_row),
    ("0504", bracketed),
    ("0504", edited(bracketed, ("65", "97"), ("14", "8"))),
    ("0504", small_steps),
    ("0505", through_half_angles),
    ("0505", through_atan),
]
