"""Claims about the exercises: a plausible wrong answer fails, and is told which slip it makes.

The answers stand in wrong_answers/lesson_NN.py, a file a lesson: WRONG has (exercise, answer, words
of the message), RIGHT has (exercise, answer) for right answers that are written another way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answers import failed

from privhead_nb.teach import build, checks, exercises

TABLES = [
    import_module(f"wrong_answers.{path.stem}")
    for path in sorted((Path(__file__).parent / "wrong_answers").glob("lesson_*.py"))
]
WRONG = [row for table in TABLES for row in table.WRONG]
RIGHT = [row for table in TABLES for row in table.RIGHT]
EXERCISES = [e.number for s in build.sources() for e in exercises.find(build.generate(s))]
# what a message says of an answer that isn't even of the right kind
KINDS = ("slip: ", "has the shape", "raises", "not made of numbers", "never written", "(nan: ")


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step")  # of the rate that falls
@pytest.mark.parametrize(("number", "answer", "words"), WRONG, ids=[row[0] for row in WRONG])
def test_a_wrong_answer_fails_and_its_slip_is_named(
    number: str, answer: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with np.errstate(all="ignore"):
        said = failed(capsys, f"ex{number}", answer)
    assert words in said and any(kind in said for kind in KINDS), said


@pytest.mark.parametrize(("number", "answer"), RIGHT, ids=[row[0] for row in RIGHT])
def test_a_right_answer_passes_however_it_is_written(
    number: str, answer: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    getattr(checks, f"ex{number}")(answer)
    assert capsys.readouterr().out.startswith(f"ex{number} passed: ")


def test_every_exercise_has_five_wrong_answers_and_two_hints() -> None:
    counted = Counter(number for number, _, _ in WRONG)
    assert {n: counted[n] for n in EXERCISES if counted[n] < 5} == {}
    assert len(WRONG) >= 200 and set(counted) == set(EXERCISES)
    for number in EXERCISES:
        table = import_module(f"privhead_nb.teach.lesson{number[:2]}.checks").HINTS
        question, idea = table[number]
        assert question.rstrip().endswith("?") and len(idea) > 20, number
