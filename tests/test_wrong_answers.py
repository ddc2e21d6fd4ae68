"""Claims about the exercises: a plausible wrong answer fails, and is told which slip it makes.

Every slip that a check knows is tried as an answer. Others stand in wrong_answers/lesson_NN.py, a
file a lesson: WRONG has (exercise, answer, words of the message) for what a check says beside its
slips, RIGHT has (exercise, answer) for right answers that are written another way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answers import failed, slips

from notebooks.tools import build, exercises
from privhead_nb.teach import checks

TABLES = [
    import_module(f"wrong_answers.{path.stem}")
    for path in sorted((Path(__file__).parent / "wrong_answers").glob("lesson_*.py"))
]
WRONG = [row for table in TABLES for row in table.WRONG]
RIGHT = [row for table in TABLES for row in table.RIGHT]
EXERCISES = [e.number for s in build.sources() for e in exercises.find(build.generate(s))]
# whose check wants the answer otherwise than its slips are written: see their lesson's WRONG
OTHERWISE = {"0406", "0504", "1105"}
SLIPS = [
    (number, words, slip)
    for number in EXERCISES
    if number not in OTHERWISE
    for words, slip in slips(number).items()
]
# what a message says of an answer that isn't even of the right kind
KINDS = ("slip: ", "has the shape", "raises", "not made of numbers", "never written", "(nan: ")


@pytest.mark.parametrize(("number", "words", "slip"), SLIPS, ids=[row[0] for row in SLIPS])
def test_a_slip_fails_and_is_told_from_all_others(
    number: str, words: str, slip: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with np.errstate(all="ignore"):
        assert f"slip: {words}\n" in failed(capsys, f"ex{number}", slip)


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


def test_every_exercise_has_four_wrong_answers_and_two_hints() -> None:
    counted = Counter([number for number, _, _ in WRONG] + [number for number, _, _ in SLIPS])
    assert {n: counted[n] for n in EXERCISES if counted[n] < 4} == {}
    assert set(counted) == set(EXERCISES)
    assert set(checks.hints()) == set(EXERCISES)
    for number, stages in checks.hints().items():
        assert stages["question"].endswith("?") and len(stages["idea"]) > 20, number
