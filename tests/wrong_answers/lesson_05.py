"""Lesson 05: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from answers import edited, spoiled

# 0501, beta's schedule ----------------------------------------------------------------------------


def by_loop(step: int, steps: int, first: float, last: float) -> float:
    """Right: multiplied step by step."""
    beta, arrived = first, 0.8 * (steps - 1)
    for _ in range(step):
        beta *= (last / first) ** (1 / arrived)
    return max(beta, last)


# 0502, a batch of patches -------------------------------------------------------------------------


def patches(moduli: Any, corners: Any, side: int) -> Any:
    """Right: one patch after the other."""
    everywhere = torch.arange(moduli.numel()).reshape(moduli.shape)
    pixels, target = [], []
    for v, r, c in corners.tolist():
        pixels.append(everywhere[v, r : r + side, c : c + side])
        target.append(moduli[v, r + 1 : r + side - 1, c + 1 : c + side - 1])
    return torch.stack(pixels), torch.stack(target)


# 0503, the distance of two clouds -----------------------------------------------------------------


def all_pairs(a: Any, b: Any) -> float:
    """Right, and slow."""
    pairs = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return float(0.5 * pairs.min(axis=1).mean() + 0.5 * pairs.min(axis=0).mean())


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


def any_inside(f: Any, o: Any, d: Any, near: float, far: float) -> Any:
    t = torch.linspace(near, far, 4001)
    inside = f((o[:, None] + t[:, None] * d[:, None]).reshape(-1, 3)).reshape(len(o), -1) <= 0
    return torch.where(inside.any(1), t[inside.int().argmax(1)], torch.inf)


# 0505, the median angle ---------------------------------------------------------------------------


def through_half_angles(a: Any, b: Any) -> float:
    """Right: by the chord."""
    half = np.arcsin(np.clip(np.linalg.norm(a - b, axis=1) / 2, 0, 1))
    return float(np.degrees(np.median(2 * half)))


WRONG: list[tuple[str, Any, str]] = [
    *spoiled(
        "0504", bracketed,
        ("65", "12", "some surfaces were passed by"),
        ("65", "17", "some surfaces were passed by"),
        ("torch.inf", "far", "must give inf, not far"),
    ),
    ("0504", edited(bracketed, ("values = f", "values = -f"), ("* d) <= 0", "* d) >= 0")),
     "this is where the ray leaves"),
    ("0504", any_inside, "a ray that begins inside has not entered yet"),
]  # fmt: skip

RIGHT: list[tuple[str, Any]] = [
    ("0501", by_loop),
    ("0502", patches),
    ("0503", all_pairs),
    ("0504", bracketed),
    ("0504", edited(bracketed, ("65", "97"), ("14", "8"))),
    ("0505", through_half_angles),
]
