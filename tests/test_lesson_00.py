"""Claims about lesson 00: its checks, its panel, and the map of the course."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import build, checks, widgets
from privhead_nb.teach.checks import CheckFailed
from privhead_nb.teach.lesson00 import panel, start_plots
from privhead_nb.teach.lesson00.course import LESSONS

SOURCE = build.NOTEBOOKS / "src" / "00_start_here.py"


def told(capsys: pytest.CaptureFixture[str], check: Any, answer: Any) -> str:
    """What a check says of a wrong answer."""
    with pytest.raises(CheckFailed):
        check(answer)
    return capsys.readouterr().out


def test_right_answers_pass(capsys: pytest.CaptureFixture[str]) -> None:
    checks.ex0001(lambda photo: torch.ones_like(photo) - photo)
    checks.ex0002(lambda neutral, sensitive, size: size * size * (sensitive + 3 * neutral))
    for order in ([2, 1, 0], [1, 2, 0], [1, 0, 2]):
        checks.ex0003(lambda photo, order=order: photo[..., order])
    checks.ex0003(lambda photo: torch.stack([photo[..., 0], 1 - photo[..., 1], photo[..., 2]], -1))
    assert capsys.readouterr().out.count("passed") == 6


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda p: -p, "makes colours negative"),
        (lambda p: 255 - p, "not to 255"),
        (lambda p: p, "as it was"),
        (lambda p: (1 - p)[..., 0], "yours has the shape (2, 2)"),
    ],
)
def test_slips_of_the_negative(answer: Any, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in told(capsys, checks.ex0001, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda n, s, size: 3 * (n + s) * size**2, "one number leaves, not three"),
        (lambda n, s, size: (n + s) * size**2, "three numbers: red, green, blue"),
        (lambda n, s, size: (3 * n + s) * size, "size x size pixels"),
        (lambda n, s, size: (3 * n + s, size), "the specification (1,)"),
    ],
)
def test_slips_of_the_count(answer: Any, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in told(capsys, checks.ex0002, answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda p: 1 - p, "it is the negative"),
        (lambda p: p.clone(), "the picture itself"),
        (lambda p: p + 0.3, "colours go from"),
        (lambda p: 0.5 * p + 0.2, "modulus differs"),
        (lambda p: p[:-1], "not a picture of the shape"),
        (lambda _: 3, "yours is int"),
    ],
)
def test_strangers_that_are_none(
    answer: Any, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in told(capsys, checks.ex0003, answer)


def test_every_view_is_drawn_from_both_sides() -> None:
    controls = panel.controls()
    for view in widgets.values_of(controls["view"]):
        for side in widgets.values_of(controls["side"]):
            shown = panel.picture(view, side)
            kind = "sensitive" if view < 20 else "neutral"
            assert f"view {view} is {kind}" in shown.facts and kind in shown.alt
            hidden = kind == "sensitive" and side == "everyone else"
            assert ("modulus" in shown.facts) == hidden
            assert shown.facts.endswith("64 x 64 numbers" if hidden else "64 x 64 x 3 numbers")
    assert len(shown.png()) > 1000


def test_no_colour_of_a_sensitive_view_is_drawn_on_the_other_side() -> None:
    shown = panel.picture(7, "everyone else").figure.axes[1].images[0].get_array()
    assert float((shown.max(axis=2) - shown.min(axis=2)).max()) < 1e-6
    kept = panel.picture(7, "your device").figure.axes[1].images[0].get_array()
    assert float((kept.max(axis=2) - kept.min(axis=2)).max()) > 0.05


def test_the_twin_tells_all_its_settings() -> None:
    image = widgets.twin(panel.picture, panel.TWIN)
    assert image.alt.count("Left a plan of the cameras") == len(panel.TWIN) == 4


def test_moduli_are_drawn_on_one_scale() -> None:
    photo = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(0))
    figure = start_plots.forgets({"a": photo, "half": photo / 2}, Operator("sobel"))
    first, second = (ax.images[0] for ax in (figure.axes[2], figure.axes[3]))
    assert first.get_clim() == second.get_clim()
    assert float(second.get_array().max()) < float(first.get_array().max())


def test_the_map_shows_every_lesson_once_and_its_roots_before_it() -> None:
    numbers = [lesson.number for lesson in LESSONS]
    assert numbers == [f"{n:02d}" for n in range(len(LESSONS))]
    place = {lesson.number: lesson.place for lesson in LESSONS}
    for lesson in LESSONS:
        assert lesson.name.startswith(lesson.number)
        assert all(place[need][0] < lesson.place[0] for need in lesson.needs)
    assert len(set(place.values())) == len(LESSONS)
    figure = start_plots.course_map(LESSONS)
    drawn = [text.get_text() for text in figure.axes[0].texts]
    for lesson in LESSONS:
        assert drawn.count(lesson.number) == 1
        assert any(words.startswith(lesson.title) for words in drawn)
    assert sum("(to come)" in words for words in drawn) == sum(not x.written for x in LESSONS)


def test_the_table_is_the_map() -> None:
    """Each lesson has its row, with a link, its minutes and what it builds on; no other link."""
    text = SOURCE.read_text(encoding="utf-8")
    for lesson in LESSONS:
        row = re.search(rf"^# \| {lesson.number} \| (.*) \|$", text, re.MULTILINE)
        assert row is not None, lesson.number
        cells = [cell.strip() for cell in row[1].split("|")]
        assert cells[2] == (str(lesson.minutes) if lesson.written else "")
        assert cells[3] == ", ".join(lesson.needs)
        if lesson.number != "00":
            assert (f"({lesson.name}.ipynb)" in row[1]) == lesson.written
    linked = set(re.findall(r"\]\((\d\d_\w+)\.ipynb\)", text))
    assert linked == {x.name for x in LESSONS if x.written} - {"00_start_here"}


def test_every_lesson_that_is_there_is_on_the_map() -> None:
    on_map = {lesson.name for lesson in LESSONS if lesson.written}
    assert {Path(source).stem for source in build.sources()} <= on_map


def test_minutes_are_those_that_the_lessons_tell() -> None:
    told_of = {lesson.name: lesson.minutes for lesson in LESSONS}
    for source in build.sources():
        words = re.search(r"\*\*Time\*\*: (\d+) minutes", source.read_text(encoding="utf-8"))
        assert words is not None, source.stem
        assert int(words[1]) == told_of[source.stem], source.stem
