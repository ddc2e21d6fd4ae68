"""The lessons' panels: each lesson's room may have a file panel.py with

    picture(...) -> View     what the panel shows: a pure function of its controls' values
    controls() -> dict       the controls, by the names of picture's arguments
    TWIN                     a few settings, for readers without a kernel

A lesson shows them by `widgets.panel(panel.picture, panel.controls())` and
`widgets.twin(panel.picture, panel.TWIN)`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType


def names() -> list[str]:
    """Of the lessons that have a panel: "01", "02", ..."""
    return [p.parent.name[-2:] for p in sorted(Path(__file__).parent.glob("lesson*/panel.py"))]


def of(lesson: str) -> ModuleType:
    """The panel of lesson "03"."""
    return import_module(f"privhead_nb.teach.lesson{lesson}.panel")
