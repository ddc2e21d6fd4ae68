"""Claims about the lessons: they are their sources, they were executed, and nbval notices a lie."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from privhead_nb.teach import build

ROOT = Path(__file__).parents[1]
SOURCES = build.sources()


def test_the_first_lessons_are_there() -> None:
    names = {source.stem for source in SOURCES}
    assert {"00_start_here", "05_two_stage_reconstruction"} <= names


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_notebook_is_its_source_executed(source: Path) -> None:
    assert build.faults(source) == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_notebook_opens_and_ends_as_all_do(source: Path) -> None:
    text = source.read_text(encoding="utf-8")
    for words in ("You will be able to", "You should know", "**Time**", "Equations of the paper"):
        assert words in text
    for words in ("## What to remember", "| what we claimed |", "**Read on**"):
        assert words in text


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_tests_that_a_notebook_names_exist(source: Path) -> None:
    for word in source.read_text(encoding="utf-8").replace("`", " ").split():
        if word.startswith("tests/"):
            assert (ROOT / word).is_file(), word


def _faults_after(
    change: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: Path = SOURCES[0]
) -> list[str]:
    """What the check says of a notebook after `change(notebook)`."""
    notebook = nbformat.read(build.target_of(source), as_version=4)
    change(notebook)
    changed = tmp_path / "changed.ipynb"
    nbformat.write(notebook, changed)
    monkeypatch.setattr(build, "target_of", lambda _: changed)
    return build.faults(source)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda n: n.cells[0].update(source="# Other words"), "differs from"),
        (lambda n: n.cells.pop(), "differs from"),
        (lambda n: code(n)[1].update(execution_count=None), "not every code cell was executed"),
        (lambda n: code(n)[2].outputs[0].update(metadata={}), "no alternative text"),
        (
            lambda n: code(n)[1].update(
                outputs=[nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]
            ),
            "a cell failed",
        ),
    ],
)
def test_the_check_notices_drift(
    change: Any, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert any(words in fault for fault in _faults_after(change, monkeypatch, tmp_path))


def test_a_missing_notebook_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(build, "target_of", lambda _: tmp_path / "none.ipynb")
    assert "make notebooks" in build.faults(SOURCES[0])[0]


def test_generating_twice_gives_the_same() -> None:
    first, second = (nbformat.writes(build.generate(SOURCES[0])) for _ in range(2))
    assert first == second


def test_nbval_passes_the_truth_and_fails_a_lie(tmp_path: Path) -> None:
    """The start of a lesson, as stored and with one number changed, under our settings."""
    whole = nbformat.read(build.target_of(SOURCES[0]), as_version=4)
    stop = next(i for i, c in enumerate(whole.cells) if c.cell_type == "code" and c.outputs)
    whole.cells = whole.cells[: stop + 1]
    assert "30 photos" in whole.cells[stop].outputs[0].text
    liar = copy.deepcopy(whole)
    liar.cells[stop].outputs[0].text = whole.cells[stop].outputs[0].text.replace("30", "31")
    nbformat.write(whole, tmp_path / "honest.ipynb")
    nbformat.write(liar, tmp_path / "liar.ipynb")
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider",
            "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), str(tmp_path),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "1 failed, 3 passed" in done.stdout, done.stdout
    assert "liar.ipynb" in done.stdout and "honest.ipynb::Cell" not in done.stdout
