"""Checks of the exercises: yours against the specification, and the first wrong index.

    checks.ex1102(my_loop)
    checks.hint("1102")

A check that passes prints one or two lines that are the same on every machine. One that fails
prints what differs and raises `CheckFailed`, so that a notebook, nbval and a test all see it; in a
notebook it shows one line instead of a traceback. The specification is the package's own function
or a few lines in the lesson's room. Hints come on demand: `hint` first asks a question, then tells
the idea, and never the formula.

`check` takes functions that return something, `check_loop` loops that fill their last argument.
Both call the specification and yours on the same cases, and stop at the first that differs. A new
check is a function ex<lesson><number> in lesson<lesson>/checks.py that calls one of them with a
specification, a dict of cases, and a dict of the slips that are worth a word of their own: the four
or so that a learner is likely to make; its question and its idea stand in hints.toml. A slip is a
function, or two strings: what the specification's source has, and what it has instead.
Answers may be numbers, arrays, tensors, or tuples of them: no wrapping is needed. With
`same=same_names` they are sets of names. A lesson's checks are loaded when the first of them is
asked for.
"""

from __future__ import annotations

import inspect
import linecache
import re
import textwrap
import tomllib
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

Function = Callable[..., Any]
Slip = Function | tuple[str, str]
Array = NDArray[Any]
UNWRITTEN = -7.125e33  # what a loop's output holds before the loop runs


class CheckFailed(AssertionError):  # noqa: N818
    """An exercise is not solved yet."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the message, not the way to it."""
        return [f"CheckFailed: {self}"]


class _Counted:
    """An array that counts the numbers read from it and written to it, for a loop in Python."""

    def __init__(self, values: Array) -> None:
        self.values, self.shape, self.read, self.written = values, values.shape, 0, 0

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        found = self.values[index]
        self.read += np.size(found)
        return found

    def __setitem__(self, index: Any, value: Any) -> None:
        self.written += np.size(self.values[index])
        self.values[index] = value


def check_loop(
    number: str, yours: Function, spec: Function, cases: Mapping[str, Any], **options: Any
) -> None:
    """Check a loop that fills its last argument, an array like its first.

    As plain Python, whose errors are readable, then compiled, if it is; then its reads and writes
    are counted on the largest case.
    """
    plain = getattr(yours, "py_func", getattr(yours, "python", yours))

    def filled(function: Function, *arguments: Array) -> Array:
        out = np.full_like(arguments[0], UNWRITTEN)
        function(*(a.copy() for a in arguments), out)
        return out

    _compare(number, partial(filled, plain), spec, cases, **options)
    if plain is not yours:
        words = " (right as plain Python, but not compiled)"
        _compare(number, partial(filled, yours), spec, cases, words=words, **options)
    _passed(number, len(cases))
    arguments = max(cases.values(), key=lambda arrays: arrays[0].size)
    arrays = [_Counted(a) for a in (*arguments, np.zeros_like(arguments[0]))]
    try:
        plain(*arrays)
    except (TypeError, AttributeError):
        return  # it takes whole arrays: right, but there is nothing to count
    samples = arguments[0].size
    read, written = (sum(getattr(a, k) for a in arrays) for k in ("read", "written"))
    print(
        f"  it reads {read / samples:.1f} and writes {written / samples:.1f} numbers a sample; "
        f"the least is {len(arguments)} and 1"
    )


def check(
    number: str, yours: Function, spec: Function, cases: Mapping[str, Any], **options: Any
) -> None:
    """Check a function that returns an answer; `_compare` tells the options."""
    _compare(number, yours, spec, cases, **options)
    _passed(number, len(cases))


def _passed(number: str, count: int) -> None:
    print(f"{number} passed: {count} of {count} cases are as the specification says")


def _compare(
    number: str,
    yours: Function,
    spec: Function,
    cases: Mapping[str, Any],
    *,
    slips: Mapping[str, Slip],
    call: Function = lambda function, *arguments: function(*arguments),
    same: Function | None = None,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    words: str = "",
) -> None:
    """Raise CheckFailed at the first case where `yours` differs from `spec`.

    Args:
        number: of the exercise.
        cases: what is special about a case -> the arguments of `spec`.
        slips: a common mistake, in words -> a function that makes it, or the change of the
            specification's source that does.
        call: how to get an answer from a function (yours, `spec` or a slip) and the arguments.
        same: (got, wanted) -> None or what differs, in words; by default compares numbers with
            `rtol` and `atol` (0 for whole numbers).
        words: put behind the case's name.
    """
    same = same or (lambda got, wanted: numbers_differ(got, wanted, rtol, atol))
    for name, arguments in cases.items():
        wanted = call(spec, *arguments)
        arrays = [a for a in arguments if isinstance(a, np.ndarray | torch.Tensor)]
        given = [(a, _array(a).copy()) for a in arrays]
        try:
            got = call(yours, *arguments)
        except NotImplementedError:
            _fail(number, ["it still raises NotImplementedError: replace that line"])
        except Exception as error:  # whatever a student's function may raise
            _fail(number, [f"case: {name}{words}", *_where(error)])
        if any(numbers_differ(now, before, 0, 0) for now, before in given):
            _fail(number, [f"case: {name}{words}"], "it changes what it is given: work on a copy")
        wrong = same(got, wanted)
        if wrong:
            for slip, change in slips.items():
                slipped = edited(spec, change) if isinstance(change, tuple) else change
                answer = call(slipped, *arguments)
                if same(answer, wanted) and not same(got, answer):
                    _fail(number, [f"case: {name}{words}", *wrong], slip)
            _fail(number, [f"case: {name}{words}", *wrong])


def edited(function: Function, *changes: tuple[str, str]) -> Function:
    """A function with other words in its source: (old, new), where old stands once.

    Its source can be read as that of any function, which Triton and the checks do.
    """
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"{function.__name__} has {old!r} {source.count(old)} times, not once")
        source = source.replace(old, new)
    file = f"<{function.__name__}: {changes}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names: dict[str, Any] = {}
    exec(compile(source, file, "exec"), function.__globals__, names)
    made: Function = names[function.__name__]
    return made


def numbers_differ(got: Any, wanted: Any, rtol: float, atol: float) -> list[str] | None:
    """What differs between two numbers, arrays, tensors, or tuples of them; None where nothing."""
    if isinstance(wanted, tuple) and len({np.shape(part) for part in wanted}) > 1:
        if not isinstance(got, tuple | list) or len(got) != len(wanted):
            return [f"yours is {type(got).__name__}, not {len(wanted)} things"]
        for number, parts in enumerate(zip(got, wanted, strict=True), start=1):
            wrong = numbers_differ(*parts, rtol, atol)
            if wrong:
                return [f"output {number} of {len(wanted)}:", *wrong]
        return None
    wanted = _array(wanted)
    try:
        mine = _array(got)
    except (TypeError, ValueError):
        return [f"yours is {got!r}, which is not made of numbers"]
    if mine.shape != wanted.shape:
        return [f"yours has the shape {mine.shape}, the specification {wanted.shape}"]
    places = np.argwhere(~np.isclose(mine, wanted, rtol, atol, equal_nan=True))
    if not len(places):
        return None
    if mine.ndim == 0:
        return [f"yours {mine:.6g}, specification {wanted:.6g}{_why(float(mine), float(wanted))}"]
    first = tuple(int(i) for i in places[0])
    row = first[:-1]
    return [
        f"yours          {_row(mine[row], first)}",
        f"specification  {_row(wanted[row], first)}",
        f"first wrong index {first if len(first) > 1 else first[0]}: "
        f"yours {mine[first]:.6g}, specification {wanted[first]:.6g}"
        + _why(mine[first], wanted[first]),
        f"{len(places)} of {wanted.size} numbers are wrong",
    ]


def _why(mine: float, wanted: float) -> str:
    """What can be said of a wrong number by itself."""
    if np.isclose(mine, UNWRITTEN, rtol=1e-6):
        return "  (never written)"
    if np.isnan(mine) and not np.isnan(wanted):
        return "  (nan: a 0 / 0, or the root of a negative number?)"
    return ""


def _array(values: Any) -> Array:
    """Numbers, or a tensor, or a tuple of such, as one float64 array."""
    if isinstance(values, torch.Tensor):
        return np.asarray(values.detach().cpu().numpy(), dtype=np.float64)
    if isinstance(values, tuple | list):
        return np.asarray([_array(part) for part in values], dtype=np.float64)
    return np.asarray(values, dtype=np.float64)


def _row(values: Array, first: tuple[int, ...]) -> str:
    """Up to six numbers around the first wrong one."""
    start = max(0, first[-1] - 3)
    shown = " ".join(f"{v:>9.5g}" for v in values[start : start + 6])
    return ("... " if start else "") + shown + (" ..." if start + 6 < len(values) else "")


def same_names(got: Any, wanted: set[str]) -> list[str] | None:
    """What differs between two sets of names."""
    if isinstance(got, str) or not isinstance(got, Iterable):
        return [f"yours is {got!r}, not a set of names"]
    mine = set(got)
    if mine == wanted:
        return None
    lines = [f"yours          {_names(mine)}"]
    if mine - wanted:
        lines.append(f"too many: {_names(mine - wanted)}")
    if wanted - mine:
        lines.append(f"missing: {len(wanted - mine)} of {len(wanted)}")
    return lines


def _names(names: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, names))) or "none"


def _where(error: Exception) -> list[str]:
    """An error of the student's function in two lines: what, and at which of their lines.

    A compiler's message is long; what is wrong stands in its first lines.
    """
    words = [line.strip() for line in str(error).splitlines() if line.strip()]
    words = [line for line in words if not line.startswith("File ")]
    lines = [f"yours raises {type(error).__name__}: {' '.join(words[:3])}"]
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if Path(__file__).parent not in Path(f.filename).parents
        and "site-packages" not in f.filename
    ]
    if frames and frames[0].line:
        lines.append(f"in the line: {frames[0].line}")
    return lines


def _fail(number: str, lines: list[str], slip: str = "") -> NoReturn:
    last = f"slip: {slip}" if slip else f'for a hint: checks.hint("{number[2:]}")'
    print("\n  ".join([f"{number}: not yet", *lines, last]))
    raise CheckFailed(f"{number}: not yet") from None


_NUMBER = re.compile(r"ex(\d\d)\d\d")
_hints_given: set[str] = set()


def hint(number: str) -> None:
    """Print the next hint of exercise "0304": a question first, then the idea, then that again."""
    if number not in hints():
        raise ValueError(f'there is no exercise {number!r}: write hint("0304")')
    stage = "idea" if number in _hints_given else "question"
    _hints_given.add(number)
    print(f"{stage}: {hints()[number][stage]}")


@cache
def hints() -> dict[str, dict[str, str]]:
    """The "question" and the "idea" of each exercise, by its number."""
    told = tomllib.loads((Path(__file__).parent / "hints.toml").read_text(encoding="utf-8"))
    return {
        number: {stage: " ".join(words.split()) for stage, words in stages.items()}
        for number, stages in told.items()
    }


def __getattr__(name: str) -> Any:
    number = _NUMBER.fullmatch(name)
    if number and (Path(__file__).parent / f"lesson{number[1]}" / "checks.py").is_file():
        checks = import_module(f"privhead_nb.teach.lesson{number[1]}.checks")
        if hasattr(checks, name):
            return getattr(checks, name)
    raise AttributeError(f"there is no check {name!r}")


def __dir__() -> list[str]:
    """All checks of all lessons."""
    found = ["CheckFailed"]
    for path in sorted(Path(__file__).parent.glob("lesson*/checks.py")):
        module = import_module(f"privhead_nb.teach.{path.parent.name}.checks")
        found += [n for n in dir(module) if _NUMBER.fullmatch(n)]
    return found
