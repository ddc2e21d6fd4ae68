"""The settings that studies name: an operator, and the size of what is released.

Attacks on pictures and reconstructions share them, so that leak and cost can be compared.
"""

from __future__ import annotations

import math
from typing import Any

from privhead_nb.errors import LabError, check_choice
from privhead_nb.privacy.operators import Operator

DEFAULT = "sobel-64"
"""The paper's."""

SETTINGS: dict[str, dict[str, Any]] = {
    "sobel-64": {},
    "sobel-32": {"size": 32},
    "sobel-16": {"size": 16},
    "blur-1": {"blur": 1.0},
    "blur-2": {"blur": 2.0},
    "noise-0.05": {"noise": 0.05},
    "noise-0.1": {"noise": 0.1},
    "noise-0.2": {"noise": 0.2},
    "levels-4": {"levels": 4},
    "levels-2": {"levels": 2},
    "luma": {"per_channel": False},
    "gaussian-2": {"kind": "gaussian", "sigma": 2.0},
    "dog": {"kind": "dog"},
    "sobel-32-noise-0.1": {"size": 32, "noise": 0.1},
    "sobel-16-noise-0.2": {"size": 16, "noise": 0.2},
}
"""Sobel 3 x 3 on 64 pixels, and what is changed in it; `size` is the release's."""


def setting(name: str) -> tuple[Operator, int]:
    """The operator and the size, pixels, of one of SETTINGS.

    Raises:
        LabError: no such setting.
    """
    check_choice("setting", name, SETTINGS, where="settings", error=LabError)
    changes = dict(SETTINGS[name])
    size = int(changes.pop("size", 64))
    return Operator(**changes), size


def nearest(operator: Operator, size: int) -> tuple[str, tuple[str, ...]]:
    """The studied setting that is most like an operator and a size, and how it differs."""
    apart = {name: differences(operator, size, *setting(name)) for name in SETTINGS}
    name = min(apart, key=lambda one: sum(far for far, _ in apart[one]))
    return name, tuple(said for _, said in apart[name])


def differences(
    operator: Operator, size: int, other: Operator, pixels: int
) -> list[tuple[float, str]]:
    """How a setting differs from another: how far in each respect, by judgement, and in words.

    A halved size, a blur of one pixel, noise of 0.05, four times fewer levels and luma instead of
    colours each count as 1.
    """
    a, b, bits = operator, other, abs(_bits(operator.levels) - _bits(other.levels))
    colours = {True: "R, G and B", False: "luma"}
    rows: list[tuple[str, object, object, float]] = [
        ("size", size, pixels, abs(math.log2(size / pixels))),
        ("operator", a.kind, b.kind, 2.0),
    ]
    if a.kind == b.kind:
        rows.append(
            ("kernel", a.kernel_size, b.kernel_size, abs(a.kernel_size - b.kernel_size) / 4)
        )
        if a.kind in ("gaussian", "dog"):
            rows.append(("sigma", a.sigma, b.sigma, abs(a.sigma - b.sigma)))
    rows += [
        ("colours", colours[a.per_channel], colours[b.per_channel], 1.0),
        ("blur", a.blur, b.blur, abs(a.blur - b.blur)),
        ("noise", a.noise, b.noise, abs(a.noise - b.noise) / 0.05),
        ("levels", a.levels or "all", b.levels or "all", bits / 2),
        ("border", a.border, b.border, 0.25),
        ("background", a.background, b.background, 0.25),
        ("made small", a.downsample, b.downsample, 0.5),
    ]
    return [(w, f"{what} {x} here, {y} there") for what, x, y, w in rows if x != y]


def _bits(levels: int) -> float:
    """Of a level; beyond 8 it hardly matters."""
    return min(8.0, math.log2(levels)) if levels else 8.0
