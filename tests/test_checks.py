"""Claims about exercise checks: they pass what is right, name what is wrong, and count truly.

What a lesson's own exercises say stands in the tests of that lesson.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from privhead_nb.teach import checks
from privhead_nb.teach.checks import CheckFailed, check, check_loop, same_names

X = np.arange(1.0, 5.0)
CASES = {"one number": (np.array([2.0]),), "four numbers": (X,)}
SLIPS = {"you forgot to square": lambda *x: x[0] if x else None}


def said_of(capsys: pytest.CaptureFixture[str], run: Callable[..., None], *given: Any) -> str:
    """What a failing check prints."""
    with pytest.raises(CheckFailed):
        run("ex9901", *given, slips=SLIPS)
    return capsys.readouterr().out


def stub(*_: Any) -> Any:
    raise NotImplementedError("your turn")


@pytest.mark.parametrize(
    ("yours", "words"),
    [
        (stub, ["still raises NotImplementedError", 'for a hint: checks.hint("9901")']),
        (lambda x: x, ["case: one number", "first wrong index 0: yours 2, specification 4",
                       "slip: you forgot to square"]),
        (lambda x: x**2 + (x == 3), ["case: four numbers", "yours 10, specification 9",
                                     "1 of 4 numbers are wrong", "for a hint: "]),
        (lambda x: x[:0], ["the shape (0,), the specification (1,)"]),
        (lambda x: None, ["shape ()", "for a hint: "]),
        (lambda x: x**2 * np.nan, ["yours nan, specification 4  (nan: a 0 / 0"]),
        (lambda x: "many", ["not made of numbers"]),
        (lambda x: x[99], ["raises IndexError", "in the line: "]),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_named(
    yours: Callable[..., Any], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = said_of(capsys, check, yours, np.square, CASES)
    assert said.startswith("ex9901: not yet\n") and all(word in said for word in words), said


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        (3.0, 2, "yours 2, specification 3"),
        ((1, 2.0), (1, 2.5), "first wrong index 1: yours 2.5, specification 2"),
        (torch.ones(2, requires_grad=True), np.zeros(2), "yours 0, specification 1"),
        ((X, np.eye(2)), (X, np.ones((2, 2))), "output 2 of 2:"),
        ((X, 3.0), (X, 4.0), "output 2 of 2:"),
        ((X, 3.0), X, "not 2 things"),
    ],
)
def test_numbers_tensors_and_several_outputs_are_compared(
    right: Any, wrong: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check("ex9901", lambda: right, lambda: right, {"the only case": ()}, slips={})
    assert capsys.readouterr().out == (
        "ex9901 passed: 1 of 1 cases are as the specification says\n"
    )
    assert words in said_of(capsys, check, lambda: wrong, lambda: right, {"only": ()})


@pytest.mark.parametrize(
    ("yours", "words"),
    [
        ("light", ["not a set of names"]),
        ({"light", "rare"}, ["too many: rare", "missing: 1 of 2"]),
    ],
)
def test_sets_of_names_are_compared(
    yours: Any, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(number: str, *given: Any, **options: Any) -> None:
        check(number, *given, same=same_names, **options | {"slips": {}})

    said = said_of(capsys, run, lambda: yours, lambda: {"light", "heavy"}, {"only": ()})
    assert all(word in said for word in words)
    run("ex9901", lambda: ["heavy", "light"], lambda: {"light", "heavy"}, {"only": ()})


def squares(x: Any, out: Any) -> None:
    for i in range(len(x)):
        out[i] = x[i] * x[i]


def test_a_loop_is_checked_as_python_then_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    class Compiled:
        py_func = staticmethod(squares)

        def __call__(self, *_: Any) -> None:
            lines = ["Failed in", "", "cannot determine the type of x", "File:", *["more"] * 40]
            raise TypeError("\n".join(lines))

    said = said_of(capsys, check_loop, Compiled(), np.square, CASES)
    assert "right as plain Python, but not compiled" in said
    assert "cannot determine the type of x" in said and "more" not in said
    said = said_of(capsys, check_loop, lambda x, out: None, np.square, CASES)
    assert "(never written)" in said
    said = said_of(capsys, check_loop, lambda x, out: out.fill(np.nan), np.square, CASES)
    assert "(nan: a 0 / 0" in said and "never written" not in said


def test_reads_and_writes_of_a_loop_are_counted_and_its_cases_kept(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def spoiling(x: Any, out: Any) -> None:
        squares(x, out)
        x[:] = 0

    for loop, counted in ((squares, "reads 2.0 and writes 1.0"), (spoiling, "writes 2.0")):
        check_loop("ex9901", loop, np.square, CASES, slips={})
        said = capsys.readouterr().out
        assert "ex9901 passed" in said and counted in said
        assert "numbers a sample; the least is 1 and 1" in said


def test_a_notebook_shows_one_line_and_an_unknown_check_is_named() -> None:
    assert CheckFailed("ex9901: not yet")._render_traceback_() == ["CheckFailed: ex9901: not yet"]
    with pytest.raises(AttributeError, match="no check 'ex9901'"):
        checks.ex9901  # noqa: B018


def test_an_answer_that_changes_what_it_is_given_is_told(capsys):
    def spoiling(x):
        x *= x
        return x

    for given in (np.arange(1.0, 4), torch.arange(1.0, 4)):
        said = said_of(capsys, check, spoiling, lambda x: x * x, {"three": (given,)})
        assert "case: three" in said and "slip: it changes what it is given" in said


def test_hints_come_in_stages(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "_hints_given", set())
    for stage in ("question", "idea", "idea"):
        checks.hint("0304")
        assert capsys.readouterr().out == f"{stage}: {checks.hints()['0304'][stage]}\n"
    for number in ("0399", "9901", "3"):
        with pytest.raises(ValueError, match="there is no exercise"):
            checks.hint(number)
