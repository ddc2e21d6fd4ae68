"""What a check says of an answer, what it knows of mistakes, and the lessons' pages and panels."""

from __future__ import annotations

import ast
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from notebooks.tools import build
from privhead_nb.teach import checks
from privhead_nb.teach.checks import CheckFailed, edited


def failed(capsys: pytest.CaptureFixture[str], number: str, function: Callable[..., Any]) -> str:
    """What a check prints of a wrong answer."""
    with pytest.raises(CheckFailed):
        getattr(checks, number)(function)
    return capsys.readouterr().out


def spoiled(number: str, right: Callable[..., Any], *rows: tuple[str, str, str]) -> list[Any]:
    """Wrong answers that differ from a right one in a few words: (old, new, what is said)."""
    return [(number, edited(right, (old, new)), said) for old, new, said in rows]


def slips(number: str) -> dict[str, Callable[..., Any]]:
    """The mistakes that a check knows: in words -> an answer that makes it."""
    exercise, found = getattr(checks, f"ex{number}"), {}

    def keep(_: str, yours: Any, spec: Any, cases: Any, **options: Any) -> None:
        for words, slip in options["slips"].items():
            found[words] = edited(spec, slip) if isinstance(slip, tuple) else slip
        raise StopIteration  # all that is wanted of the check is known

    def keep_loops(*given: Any, **options: Any) -> None:
        loops = {words: partial(filled, slip) for words, slip in options["slips"].items()}
        keep(*given, slips=loops)

    with pytest.MonkeyPatch.context() as patch, suppress(StopIteration):
        for name, kept in (("check", keep), ("check_loop", keep_loops)):
            if name in exercise.__globals__:
                patch.setitem(exercise.__globals__, name, kept)
        exercise(None)
    return found


def filled(slip: Callable[..., Any], *arguments: Any) -> None:
    """A slip as a loop that fills its last argument."""
    arguments[-1][:] = slip(*arguments[:-1])


def page(number: str, *whole: str) -> SimpleNamespace:
    """The functions and classes that a lesson's page defines, and what some of its cells make.

    Args:
        number: of the lesson.
        whole: words of cells that are run as they stand.
    """
    (source,) = build.sources([number])
    definitions = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    names: dict[str, Any] = {}
    for cell in build.generate(source).cells:
        if cell.cell_type == "code":
            tree = ast.parse(cell.source)
            if not any(words in cell.source for words in whole):
                tree.body = [node for node in tree.body if isinstance(node, definitions)]
            exec(compile(tree, f"<lesson {number}>", "exec"), names)
    return SimpleNamespace(**names)


def panels() -> dict[str, ModuleType]:
    """The panels by the number of their lesson, "03"."""
    rooms = sorted(Path(checks.__file__).parent.glob("lesson*/panel.py"))
    return {
        path.parent.name[-2:]: import_module(f"privhead_nb.teach.{path.parent.name}.panel")
        for path in rooms
    }
