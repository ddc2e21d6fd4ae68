"""Claims about lesson 00: its checks, its panel, and the map of the course."""

from __future__ import annotations

import re

import pytest
import torch
from answers import failed, slips

from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import build, checks, widgets
from privhead_nb.teach.lesson00 import figures, panel

SOURCE = build.NOTEBOOKS / "src" / "00_start_here.py"


def test_right_answers_pass(capsys: pytest.CaptureFixture[str]) -> None:
    checks.ex0001(lambda photo: torch.ones_like(photo) - photo)
    checks.ex0002(lambda neutral, sensitive, size: size * size * (sensitive + 3 * neutral))
    for order in ([2, 1, 0], [1, 2, 0], [1, 0, 2]):
        checks.ex0003(lambda photo, order=order: photo[..., order])
    checks.ex0003(lambda photo: torch.stack([photo[..., 0], 1 - photo[..., 1], photo[..., 2]], -1))
    assert capsys.readouterr().out.count("passed") == 6


def test_a_wrong_answer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("ex0001", "ex0002"):
        for words, answer in slips(number).items():
            assert words in failed(capsys, number, answer)
    for number, answer, words in (
        ("ex0001", lambda p: (1 - p)[..., 0], "yours has the shape (2, 2)"),
        ("ex0002", lambda n, s, size: (3 * n + s, size), "shape (2,)"),
        ("ex0003", lambda p: 1 - p, "it is the negative"),
        ("ex0003", lambda p: p.clone(), "the picture itself"),
        ("ex0003", lambda p: p + 0.3, "colours go from"),
        ("ex0003", lambda p: 0.5 * p + 0.2, "modulus differs"),
        ("ex0003", lambda p: p[:-1], "not a picture of the shape"),
        ("ex0003", lambda _: 3, "yours is int"),
    ):
        assert words in failed(capsys, number, answer)


def test_every_view_is_drawn_from_both_sides() -> None:
    for view in widgets.values_of(panel.controls()["view"]):
        for side in figures.SIDES:
            shown = panel.picture(view, side)
            kind = "sensitive" if view < 20 else "neutral"
            assert f"view {view} is {kind}" in shown.facts and kind in shown.alt
            hidden = kind == "sensitive" and side == "everyone else"
            assert ("modulus" in shown.facts) == hidden
            assert shown.facts.endswith("64 x 64 numbers" if hidden else "64 x 64 x 3 numbers")
            drawn = shown.figure.axes[1].images[0].get_array()
            colour = float((drawn.max(axis=2) - drawn.min(axis=2)).max())
            assert colour < 1e-6 if hidden else colour > 0.05


def test_moduli_are_drawn_on_one_scale() -> None:
    photo = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(0))
    figure = figures.forgets({"a": photo, "half": photo / 2}, Operator("sobel"))
    first, second = (ax.images[0].get_array() for ax in (figure.axes[2], figure.axes[3]))
    assert float(first.min()) < 0.1 and float(second.min()) > 0.25  # half of it is paler


def test_the_map_and_the_table_tell_what_the_lessons_tell() -> None:
    """Each lesson has a box, a row, a link, its own minutes, and what it builds on."""
    text = SOURCE.read_text(encoding="utf-8")
    drawn = [words.get_text() for words in figures.course_map().axes[0].texts]
    sources = build.sources()
    assert list(figures.LESSONS) == [source.stem[:2] for source in sources]
    for source in sources:
        number = source.stem[:2]
        title, place, needs = figures.LESSONS[number]
        assert sum(words.startswith(f"{number}\n{title}") for words in drawn) == 1
        assert all(figures.LESSONS[need][1][0] < place[0] for need in needs)
        row = re.search(rf"^# \| {number} \| (.*) \|$", text, re.MULTILINE)
        assert row is not None, number
        cells = [cell.strip() for cell in row[1].split("|")]
        minutes = re.search(r"\*\*Time\*\*: (\d+) minutes", source.read_text(encoding="utf-8"))
        assert minutes is not None and cells[2:] == [minutes[1], ", ".join(needs)]
        assert f"({source.stem}.ipynb)" in row[1] or number == "00"
    linked = set(re.findall(r"\]\((\d\d_\w+)\.ipynb\)", text))
    assert linked == {source.stem for source in sources} - {"00_start_here"}
    assert len({place for _, place, _ in figures.LESSONS.values()}) == len(sources)
