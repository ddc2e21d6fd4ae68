"""Claims about the course as a whole: its times, words, site, and who can read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from answers import panels

from notebooks.tools import build, exercises, site, timings
from privhead_nb.viz import style

ROOT = Path(__file__).parents[1]
SOURCES = build.sources()
LESSONS = [f"{n:02d}" for n in (*range(15), 16)]


def test_the_lessons_are_there_and_each_has_a_panel():
    assert [p.stem[:2] for p in SOURCES] == LESSONS == list(panels())


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_shows_its_panel_and_the_twin(lesson):
    (source,) = build.sources([lesson])
    cells = [c for c in build.generate(source).cells if c.cell_type == "code"]
    (shown,) = [c for c in cells if "widgets.panel(panel.picture, panel.controls())" in c.source]
    assert build.IGNORED in shown.metadata["tags"]
    twins = [c for c in cells if "widgets.twin(panel.picture, panel.TWIN" in c.source]
    assert twins and all(not c.metadata.get("tags") for c in twins)


# Times and words ----------------------------------------------------------------------------------


def test_the_table_of_times_is_the_stored_one():
    page = timings.PAGE.read_text(encoding="utf-8")
    inside = page.split(timings.START)[1].split(timings.STOP)[0]
    assert inside.strip() == timings.table(timings.read())


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_lesson_was_timed_and_keeps_to_its_budget(source):
    spent = timings.read()["lessons"].get(source.stem, {})
    assert spent.get("ci", 0) <= 90
    assert spent.get("cpu", 0) <= 300  # "-" in the table where it was not timed
    assert 10 <= timings.reading(source) <= 160


def test_the_glossary_is_in_order_and_leads_to_lessons():
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\*\*(.+?)\*\*:", text, re.MULTILINE)
    assert len(terms) > 25 and terms == sorted(terms, key=str.lower)
    for entry in text.split("\n\n")[1:]:
        links = re.findall(r"\]\((.+?)\)", entry)
        assert links and all((ROOT / "docs" / link).is_file() for link in links), entry


def test_pages_for_those_who_teach_name_what_there_is():
    text = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")
    assert all((ROOT / link).is_file() for link in re.findall(r"\]\(([^)]+)\)", text))
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make (\w+)|`make (\w+)", text)) and all(
        a or b in targets for a, b in re.findall(r"(?:^|`)make (\w+)()", text)
    )
    for number in re.findall(r"\b([01]\d{3})\b", text):
        assert any(number in s.read_text(encoding="utf-8") for s in SOURCES), number


def test_nbgrader_finds_its_marks(tmp_path):
    (source,) = build.sources(["11"])
    written = nbformat.read(build.write_for_nbgrader(source, tmp_path), as_version=4)
    nbformat.validate(written)
    marked = [c for c in written.cells if "nbgrader" in c.metadata]
    tasks = exercises.find(build.generate(source))
    assert len(marked) == 2 * len(tasks)
    for solution, check in zip(marked[::2], marked[1::2], strict=True):
        assert solution.metadata.nbgrader.solution and "### BEGIN SOLUTION" in solution.source
        assert check.metadata.nbgrader.grade and check.metadata.nbgrader.locked
        assert check.source.startswith(f"checks.{solution.metadata.nbgrader.grade_id}(")
    points = [c.metadata.nbgrader.points for c in marked[1::2]]
    assert points == [1 + exercises.DIFFICULTIES.index(t.difficulty) for t in tasks]
    identities = [c.metadata.nbgrader.grade_id for c in marked]
    assert len(set(identities)) == len(identities)


# Who can read it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_every_picture_is_told_in_its_own_words(source):
    """Alternative texts say more than a title, and no two pictures share one."""
    notebook = nbformat.read(build.target_of(source), as_version=4)
    told = [
        data["alt"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in ("image/png", build.PLOTLY)
        if (data := output.get("metadata", {}).get(kind))
    ]
    assert told and all(len(words) >= 40 for words in told)
    assert len(set(told)) == len(told)


def test_no_rainbow_and_no_bare_red_against_green():
    """Colour maps keep their order in grey, and lines come from the palette."""
    wrong = re.compile(
        r"""["'](?:jet|rainbow|hsv|turbo|gist_\w+|nipy_\w+|RdYlGn)["']|"""
        r"""colou?r\s*=\s*["'](?:red|green|lime)["']"""
    )
    files = [*(ROOT / "privhead_nb").rglob("*.py"), *SOURCES]
    for path in files:
        found = wrong.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.name}: {found}"


def test_curves_differ_by_more_than_colour():
    for part in zip(*style.LOOKS, strict=True):
        assert len({str(one) for one in part}) == len(style.LOOKS)


# The site -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_site_is_built_and_no_link_leads_nowhere(built_site):
    target, faults = built_site
    assert faults == []
    pages = {p.stem for p in (target / "notebooks").glob("*.html")}
    assert pages == {s.stem for s in SOURCES}
    for source in SOURCES:
        page = (target / "notebooks" / f"{source.stem}.html").read_text(encoding="utf-8")
        assert ('class="panel"' in page and "<math" in page) or source.stem[:2] == "00"
        assert 'lang="en"' in page
        if source.stem[:2] == "05":  # a head that turns
            assert "plotly-figure" in page and "plotly.min.js" in page
    assert (target / "_static" / site.PLOTLY_SCRIPT).stat().st_size > 1e6


def test_what_a_page_loads_from_elsewhere_and_pictures_without_words_are_told(tmp_path):
    (tmp_path / "a.html").write_text(
        '<script src="https://elsewhere.example/x.js"></script><img src="p.png"><img alt=" ">'
        '<link href="style.css"><img alt="a head" src="q.png"><a href="https://elsewhere.example">'
    )
    assert site.faults_of(tmp_path) == [
        "a.html: loads https://elsewhere.example/x.js from another host",
        "a.html: 2 pictures without alternative text",
    ]


def test_a_stored_panel_is_shown_at_rest():
    def model(kind: str, **state: Any) -> dict[str, Any]:
        return {"model_name": kind, "state": state}

    state = {
        "box": model("VBoxModel", children=["IPY_MODEL_a", "IPY_MODEL_b", "IPY_MODEL_c"]),
        "a": model("IntSliderModel", description="rays", min=1, max=9, value=4),
        "b": model("SelectionSliderModel", description="kind", _options_labels=["x", "y"], index=1),
        "c": model("OutputModel", outputs=[{"data": {"text/html": "<img alt='what it shows'>"}}]),
    }
    shown = site.still_panel(state, "box")
    assert "rays" in shown and "<output>4</output>" in shown and "<output>y</output>" in shown
    assert "what it shows" in shown
    with pytest.raises(ValueError, match="how to show a stored PlayModel"):
        site.still_panel({"p": model("PlayModel")}, "p")
