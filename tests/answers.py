"""What a check says of a student's answer, what it knows of mistakes, and the lessons' panels."""

from __future__ import annotations

import inspect
import linecache
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from privhead_nb.teach import checks
from privhead_nb.teach.checks import CheckFailed


def failed(capsys: pytest.CaptureFixture[str], number: str, function: Callable[..., Any]) -> str:
    """What a check prints of a wrong answer."""
    with pytest.raises(CheckFailed):
        getattr(checks, number)(function)
    return capsys.readouterr().out


def edited(function: Callable[..., Any], *changes: tuple[str, str]) -> Callable[..., Any]:
    """A function with other words in its source: (old, new), where old stands once.

    Its source can be read as that of any function, which Triton and the checks do.
    """
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        assert source.count(old) == 1, (function.__name__, old)
        source = source.replace(old, new)
    file = f"<{function.__name__}: {changes}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, Any] = {}
    exec(compile(source, file, "exec"), function.__globals__, names)
    return names[function.__name__]


def spoiled(number: str, right: Callable[..., Any], *rows: tuple[str, str, str]) -> list[Any]:
    """Wrong answers that differ from a right one in a few words: (old, new, what is said)."""
    return [(number, edited(right, (old, new)), said) for old, new, said in rows]


def slips(number: str) -> dict[str, Callable[..., Any]]:
    """The mistakes that a check knows: in words -> a function that makes it."""
    exercise, found = getattr(checks, number), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(exercise.__globals__, "check", lambda *_, **said: found.update(said["slips"]))
        exercise(None)
    return found


def panels() -> dict[str, ModuleType]:
    """The panels by the number of their lesson, "03"."""
    rooms = sorted(Path(checks.__file__).parent.glob("lesson*/panel.py"))
    return {
        path.parent.name[-2:]: import_module(f"privhead_nb.teach.{path.parent.name}.panel")
        for path in rooms
    }
