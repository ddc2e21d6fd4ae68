"""Checks of the exercises: yours against the specification, the first wrong index, and a hint.

    checks.ex1102(my_loop)

A check that passes prints one or two lines that are the same on every machine. One that fails
prints what differs and raises `CheckFailed`, so that a notebook, nbval and a test all see it; in a
notebook it shows one line instead of a traceback. The specification is the package's own function,
so the answers stand nowhere.

A new check is a function ex<lesson><number> in lesson<lesson>.py that calls `check` or `check_loop`
of `comparison.py` with a specification, a few cases, a hint, and the slips that are worth a hint of
their own. A lesson's checks are loaded when the first of them is asked for.
"""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from privhead_nb.teach.comparison import CheckFailed

__all__ = ["CheckFailed"]

_NUMBER = re.compile(r"ex(\d\d)\d\d")


def __getattr__(name: str) -> Any:
    number = _NUMBER.fullmatch(name)
    if number and (Path(__file__).parent / f"lesson{number[1]}.py").is_file():
        checks = import_module(f"{__name__}.lesson{number[1]}")
        if hasattr(checks, name):
            return getattr(checks, name)
    raise AttributeError(f"there is no check {name!r}")


def __dir__() -> list[str]:
    """All checks of all lessons."""
    found = ["CheckFailed"]
    for path in sorted(Path(__file__).parent.glob("lesson[0-9][0-9].py")):
        found += [n for n in dir(import_module(f"{__name__}.{path.stem}")) if _NUMBER.fullmatch(n)]
    return found
