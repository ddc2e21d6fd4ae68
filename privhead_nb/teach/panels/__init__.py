"""The lessons' panels, one a lesson, in lesson<number>.py. Each such file has

    picture(...) -> View     what the panel shows: a pure function of its controls' values
    controls() -> dict       the controls, by the names of picture's arguments
    TWIN                     a few settings, for readers without a kernel
    preview(...) -> View     where picture takes over 100 ms: a quick form, shown while dragging

A lesson shows them by `widgets.panel(lesson03.picture, lesson03.controls())` and
`widgets.twin(lesson03.picture, lesson03.TWIN)`. `teach/latency.py` times all of them.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType


def names() -> list[str]:
    """Of the lessons that have a panel: "01", "02", ..."""
    return [p.stem[-2:] for p in sorted(Path(__file__).parent.glob("lesson[0-9][0-9].py"))]


def of(lesson: str) -> ModuleType:
    """The panel of lesson "03"."""
    return import_module(f"{__name__}.lesson{lesson}")
