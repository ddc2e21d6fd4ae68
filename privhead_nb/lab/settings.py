"""The settings that studies name: an operator, and the size of what is released.

Attacks on pictures and reconstructions share them, so that leak and cost can be compared.
"""

from __future__ import annotations

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
