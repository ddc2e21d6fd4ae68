"""Claims about the course as a whole: its panels, times, words, site, and who can read it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from matplotlib.figure import Figure

from privhead_nb.teach import build, exercises, latency, panels, site, timings
from privhead_nb.teach.widgets import View, choice, real, tick, values_of, whole
from privhead_nb.viz import plots

ROOT = Path(__file__).parents[1]
SOURCES = build.sources()
LESSONS = [f"{n:02d}" for n in range(12)]


def names(paths: list[Path]) -> list[str]:
    return [p.stem[:2] for p in paths]


def test_the_lessons_are_there() -> None:
    assert names(SOURCES) == LESSONS == panels.names()


# Panels -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", panels.names())
def test_a_lesson_shows_its_panel_and_the_twin_and_prints_facts(lesson: str) -> None:
    (source,) = build.sources([lesson])
    cells = [c for c in build.generate(source).cells if c.cell_type == "code"]
    shown = [i for i, c in enumerate(cells) if "widgets.panel(" in c.source]
    twins = [i for i, c in enumerate(cells) if f"widgets.twin(lesson{lesson}." in c.source]
    assert len(shown) == 1 and twins
    assert build.IGNORED in cells[shown[0]].metadata["tags"]
    assert all(not cells[i].metadata.get("tags") for i in twins)


@pytest.mark.parametrize("lesson", panels.names())
def test_a_panel_draws_at_the_ends_of_its_controls(lesson: str) -> None:
    """Each control at its first and its last value, the others at rest; labels tell them apart."""
    module = panels.of(lesson)
    controls = module.controls()
    rest = {name: control.value for name, control in controls.items()}
    labels = [control.description for control in controls.values()]
    assert all(labels) and len(set(labels)) == len(labels)
    draw = getattr(module, "preview", module.picture)
    for name, control in controls.items():
        values = values_of(control)
        for value in (values[0], values[-1]):
            view = draw(**rest | {name: value})
            assert isinstance(view, View) and isinstance(view.figure, Figure)
            assert len(view.alt) > 30 and view.facts
            assert len(view.png()) > 1000


@pytest.mark.parametrize("lesson", panels.names())
def test_the_twin_sets_what_the_panel_sets(lesson: str) -> None:
    module = panels.of(lesson)
    controls = module.controls()
    assert len(module.TWIN) >= 2
    for setting in module.TWIN:
        assert set(setting) <= set(controls)
        for name, value in setting.items():
            assert any(value == v or value == pytest.approx(v) for v in values_of(controls[name]))


def test_values_that_a_control_can_take() -> None:
    assert values_of(whole("n", 2, 8, 3, 2)) == [2, 5, 8]
    assert values_of(real("x", 0.0, 1.0, 0.25, 0.5)) == [0, 0.25, 0.5, 0.75, 1.0]
    assert values_of(choice("kind", {"one": 1, "two": 2})) == [1, 2]
    assert values_of(choice("kind", ["a", "b"])) == ["a", "b"]
    assert values_of(tick("on")) == [False, True]


def test_a_panel_is_timed() -> None:
    row = latency.time_panel("11")
    assert row["redraws"] > 10 and 0 < row["median_ms"] <= row["worst_ms"]


def test_every_panel_was_timed_and_none_is_slow_to_follow_a_hand() -> None:
    stored = json.loads((ROOT / "benchmarks/results/panels.json").read_text())
    assert [row["lesson"] for row in stored["panels"]] == panels.names()
    assert stored["goal_ms"] == 100
    assert all(row["median_ms"] <= stored["goal_ms"] for row in stored["panels"])


# Times and words ----------------------------------------------------------------------------------


def test_the_table_of_times_is_the_stored_one() -> None:
    page = timings.PAGE.read_text(encoding="utf-8")
    inside = page.split(timings.START)[1].split(timings.STOP)[0]
    assert inside.strip() == timings.table(timings.read())


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_lesson_was_timed_and_keeps_to_its_budget(source: Path) -> None:
    spent = timings.read()["lessons"][source.stem]
    assert spent["ci"] <= 90
    assert spent["cpu"] <= 300
    assert 10 <= timings.reading(source) <= 120


def test_the_glossary_is_in_order_and_leads_to_lessons() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    terms = re.findall(r"^\*\*(.+?)\*\*:", text, re.MULTILINE)
    assert len(terms) > 25 and terms == sorted(terms, key=str.lower)
    for entry in text.split("\n\n")[1:]:
        links = re.findall(r"\]\((.+?)\)", entry)
        assert links and all((ROOT / "docs" / link).is_file() for link in links), entry


def test_pages_for_those_who_teach_name_what_there_is() -> None:
    text = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")
    assert all((ROOT / link).is_file() for link in re.findall(r"\]\(([^)]+)\)", text))
    targets = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make (\w+)|`make (\w+)", text)) and all(
        a or b in targets for a, b in re.findall(r"(?:^|`)make (\w+)()", text)
    )
    for number in re.findall(r"\b(\d{4})\b", text):
        assert any(number in s.read_text(encoding="utf-8") for s in SOURCES), number


def test_nbgrader_finds_its_marks(tmp_path: Path) -> None:
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
def test_every_picture_is_told_in_its_own_words(source: Path) -> None:
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


def test_no_rainbow_and_no_bare_red_against_green() -> None:
    """Colour maps keep their order in grey, and lines come from the palette."""
    wrong = re.compile(
        r"""["'](?:jet|rainbow|hsv|turbo|gist_\w+|nipy_\w+|RdYlGn)["']|"""
        r"""colou?r\s*=\s*["'](?:red|green|lime)["']"""
    )
    files = [*(ROOT / "privhead_nb").rglob("*.py"), *SOURCES]
    for path in files:
        found = wrong.search(path.read_text(encoding="utf-8"))
        assert found is None, f"{path.name}: {found}"


def test_curves_differ_by_more_than_colour() -> None:
    dashes = [str(dash) for _, dash in plots.LINES.values()]
    pairs = {(colour, str(dash)) for colour, dash in plots.LINES.values()}
    assert len(pairs) == len(plots.LINES) and len(set(dashes)) >= 5


# The site -----------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_the_site_is_built_and_every_link_leads_somewhere(
    built_site: tuple[Path, list[str]],
) -> None:
    target, faults = built_site
    assert faults == []
    pages = {p.stem for p in (target / "notebooks").glob("*.html")}
    assert pages == {s.stem for s in SOURCES}
    for source in SOURCES:
        page = (target / "notebooks" / f"{source.stem}.html").read_text(encoding="utf-8")
        assert ('class="panel"' in page and "<math" in page) or source.stem[:2] == "00"
        assert '<html class="no-js" lang="en"' in page or 'lang="en"' in page


def test_what_turns_is_on_the_site(built_site: tuple[Path, list[str]]) -> None:
    target, _ = built_site
    page = (target / "notebooks" / "05_two_stage_reconstruction.html").read_text(encoding="utf-8")
    assert "plotly-figure" in page and "plotly.min.js" in page
    assert (target / "_static" / site.PLOTLY_SCRIPT).stat().st_size > 1e6


def test_a_site_with_faults_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">x</a><a href="b.html#gone">x</a><a href="c.html">x</a>'
        '<script src="https://elsewhere.example/x.js"></script><img src="p.png">'
        '<a href="https://elsewhere.example">fine</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there">')
    (tmp_path / "p.png").write_bytes(b"")
    assert site.broken_links(tmp_path) == [
        "a.html: links to b.html#gone, which has no such anchor",
        "a.html: links to c.html, which is not there",
        "a.html: loads https://elsewhere.example/x.js from another host",
        "a.html: 1 pictures without alternative text",
    ]


def test_a_stored_panel_is_shown_at_rest() -> None:
    def model(kind: str, **state: Any) -> dict[str, Any]:
        return {"model_name": kind, "state": state}

    state = {
        "box": model("VBoxModel", children=["IPY_MODEL_a", "IPY_MODEL_b", "IPY_MODEL_c"]),
        "a": model("IntSliderModel", description="rays", min=1, max=9, value=4),
        "b": model("SelectionSliderModel", description="kind", _options_labels=["x", "y"], index=1),
        "c": model("HTMLModel", value="<img alt='what it shows' src='data:,'>"),
    }
    shown = site.still_panel(state, "box")
    assert "rays" in shown and "<output>4</output>" in shown and "<output>y</output>" in shown
    assert "what it shows" in shown
    with pytest.raises(ValueError, match="how to show a stored PlayModel"):
        site.still_panel({"p": model("PlayModel")}, "p")
