"""Claims about lesson 00: its checks, its panel, and the map of the course."""

from __future__ import annotations

import re

import torch

from notebooks.tools import build, timings
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson00 import figures, panel

SOURCE = build.NOTEBOOKS / "src" / "00_start_here.py"


def test_neutral_views_stand_over_100_degrees_from_the_front() -> None:
    scene = load_scene(SAMPLES / "scene")
    eyes = scene.cameras.c2w[:, :3, 3] - torch.tensor(scene.center)
    angles = torch.rad2deg(torch.arccos(eyes[:, 2] / eyes.norm(dim=1)))
    assert float(angles[list(scene.neutral)].min()) > 100
    assert all(103 < angles[view] < 105.1 for view in (20, 24, 25, 29))


def test_a_view_is_drawn_from_both_sides() -> None:
    assert widgets.values_of(panel.controls()["view"]) == list(range(30))
    for view in (0, 19, 20, 29):
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
        assert cells[2:] == [str(timings.reading(source)), ", ".join(needs)], number
        assert f"({source.stem}.ipynb)" in row[1] or number == "00"
    linked = set(re.findall(r"\]\((\d\d_\w+)\.ipynb\)", text))
    assert linked == {source.stem for source in sources} - {"00_start_here"}
    assert len({place for _, place, _ in figures.LESSONS.values()}) == len(sources)
