"""Claims about the lessons: they are their sources, they were executed, and nbval notices a lie.

And about exercises: every solution passes its check, every stub fails it.
"""

from __future__ import annotations

import codeop
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import nbformat
import pytest

from notebooks.tools import build, exercises, nbval_plugin
from privhead_nb.teach import checks

ROOT = Path(__file__).parents[1]
SOURCES = build.sources()
EXERCISES = [(s, e) for s in SOURCES for e in exercises.find(build.generate(s))]


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_a_notebook_is_its_source_executed_and_opens_and_ends_as_all_do(source: Path) -> None:
    assert build.faults(source) == []
    text = source.read_text(encoding="utf-8")
    for words in (
        "You will be able to", "You should know", "**Time**", "Equations of the paper",
        "## What to remember", "| what we claimed |", "**Read on**",
    ):  # fmt: skip
        assert words in text
    for word in text.replace("`", " ").split():
        if word.startswith(("tests/", "privhead_nb/")):
            assert (ROOT / word).exists(), word


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


def prints(notebook: Any, words: str) -> None:
    """Let the second code cell have printed these words."""
    code(notebook)[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=words)]


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
        (lambda n: prints(n, "took 12.5 ms"), "prints what differs between machines: '12.5 ms'"),
        (lambda n: prints(n, "in /home/me/x"), "prints what differs between machines: '/home/'"),
        (lambda n: prints(n, "NVIDIA H100"), "prints what differs between machines"),
        (
            lambda n: code(n)[1].outputs.append(
                nbformat.v4.new_output("display_data", data={build.WIDGET_VIEW: {"model_id": "1"}})
            ),
            "shows a widget and is not tagged",
        ),
    ],
)
def test_the_check_notices_drift(
    change: Any, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert any(words in fault for fault in _faults_after(change, monkeypatch, tmp_path))
    monkeypatch.setattr(build, "target_of", lambda _: tmp_path / "none.ipynb")
    assert "make notebooks" in build.faults(SOURCES[0])[0]


HONEST = "print('head 204: 1.25 mm and 3 views')"


@pytest.mark.slow
def test_nbval_passes_the_truth_and_fails_a_lie(tmp_path: Path) -> None:
    """A cell under our settings, with the output that it gives and with others."""
    stored = {
        "honest": "head 204: 1.25 mm and 3 views\n",
        "near": "head 204: 1.27 mm and 3 views\n",
        "far": "head 204: 1.35 mm and 3 views\n",
        "word": "head 204: 1.25 cm and 3 views\n",
        "line": "head 204: 1.25 mm and 3 views\nand one line more\n",
        "sign": "head 204: -1.25 mm and 3 views\n",
    }
    for name, text in stored.items():
        for tags in ([], ["tolerance-2"]):
            cell = nbformat.v4.new_code_cell(HONEST, execution_count=1, metadata={"tags": tags})
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
            notebook = nbformat.v4.new_notebook(cells=[cell])
            notebook.metadata.kernelspec = {"name": "python3", "display_name": "", "language": ""}
            nbformat.write(notebook, tmp_path / f"{name}_{len(tags)}.ipynb")
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--nbval", "-q", "-rA", "-p", "no:cacheprovider",
            "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), str(tmp_path),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    passed = set(re.findall(r"^PASSED .*?(\w+)\.ipynb::", done.stdout, re.MULTILINE))
    assert passed == {"honest_0", "honest_1", "near_1"}, done.stdout


@pytest.mark.parametrize(
    ("text", "stored", "alike"),
    [
        ("1.27 mm", "1.25 mm", True),
        ("1.28 mm", "1.25 mm", False),
        ("0.02 mm", "0.01 mm", True),  # one step of the last digit
        ("0.03 mm", "0.01 mm", False),
        ("101 rays,   9 %", "100 rays,  10 %", True),
        ("ex0201 passed", "ex0203 passed", False),  # a number in a word is a word
        ("-1.25", "1.25", False),
        ("1.25e-05", "1.26e-05", True),
        ("1.25", "1.25 2.5", False),
        ("nan mm", "1.25 mm", False),
        ("inf", "inf", True),
    ],
)
def test_numbers_are_compared_within_a_tolerance_and_words_exactly(
    text: str, stored: str, alike: bool
) -> None:
    assert nbval_plugin.close(text, stored, 2) == alike


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["# One", "### Three"], ["the heading 'Three' skips a level"]),
        (["# One", "# Again"], ["2 titles (# ...), not one"]),
        (["# One", "```\n### no heading\n```", "## Two", "### Three", "## Two"], []),
    ],
)
def test_headings_are_in_order_and_no_cell_is_long(words: list[str], fault: list[str]) -> None:
    cells = [nbformat.v4.new_markdown_cell(text) for text in words]
    cells += [nbformat.v4.new_code_cell("1\n" * 40), nbformat.v4.new_code_cell("1\n" * 41)]
    long = ["code cell 2 has more than 40 lines"]
    assert build._text_faults(nbformat.v4.new_notebook(cells=cells)) == long + fault


def test_a_panels_state_is_stored_without_its_random_names() -> None:
    def built(first: str, second: str) -> Any:
        cell = nbformat.v4.new_code_cell("x", id="a")
        data = {build.WIDGET_VIEW: {"model_id": second}}
        cell.outputs = [nbformat.v4.new_output("execute_result", data=data, execution_count=1)]
        notebook = nbformat.v4.new_notebook(cells=[cell])
        state = {
            first: {"model_name": "LayoutModel", "state": {}},
            second: {"model_name": "VBoxModel", "state": {"layout": f"IPY_MODEL_{first}"}},
        }
        build._keep_widgets(notebook, state)
        return notebook

    one, two = built("a" * 32, "b" * 32), built("d" * 32, "c" * 32)
    assert nbformat.writes(one) == nbformat.writes(two)
    shown = one.cells[0].outputs[0].data[build.WIDGET_VIEW]["model_id"]
    state = one.metadata.widgets[build.WIDGETS].state
    assert state[state[shown].state.layout.removeprefix("IPY_MODEL_")].model_name == "LayoutModel"


# Exercises ----------------------------------------------------------------------------------------


def run(cells: list[str]) -> dict[str, Any]:
    """Run cells as a kernel would, each seeing the names and `__future__` of those before."""
    names: dict[str, Any] = {"__name__": "__main__"}
    compiler = codeop.Compile()
    for source in cells:
        exec(compiler(source + "\n", "<cell>", "exec"), names)
    return names


def cells_of(notebook: Any, exercise: exercises.Exercise) -> list[str]:
    """What an exercise needs: the lesson's first code cell, its own, and its check."""
    return [
        code(notebook)[0].source,
        notebook.cells[exercise.cell].source,
        notebook.cells[exercise.cell + 1].source,
    ]


def name(value: object) -> str | None:
    return value.number if isinstance(value, exercises.Exercise) else None


@pytest.mark.parametrize(("source", "exercise"), EXERCISES, ids=name)
def test_a_solution_passes_its_check_and_alone(
    source: Path, exercise: exercises.Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a restart, too: an exercise needs the first cell of its lesson and no other."""
    run(cells_of(build.generate(source), exercise))
    assert f"ex{exercise.number} passed" in capsys.readouterr().out


@pytest.mark.parametrize(("source", "exercise"), EXERCISES, ids=name)
def test_a_stub_fails_its_check(
    source: Path, exercise: exercises.Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = cells_of(nbformat.read(build.student_of(source), as_version=4), exercise)
    assert exercises.STUB in cells[1]
    run(cells[:2])  # the stub itself may be defined
    with pytest.raises(checks.CheckFailed, match=f"ex{exercise.number}: not yet"):
        run(cells)
    assert f'checks.hint("{exercise.number}")' in capsys.readouterr().out


def test_every_check_belongs_to_an_exercise_of_its_lesson() -> None:
    numbers = {f"ex{e.number}" for _, e in EXERCISES}
    assert numbers == {n for n in dir(checks) if re.fullmatch(r"ex\d{4}", n)}
    for source, exercise in EXERCISES:
        assert source.stem[:2] == exercise.number[:2]
    assert all(len(exercises.find(build.generate(source))) >= 3 for source in SOURCES)


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_the_students_notebook_gives_nothing_away(source: Path) -> None:
    student = nbformat.read(build.student_of(source), as_version=4)
    nbformat.validate(student)
    assert all(not c.outputs and c.execution_count is None for c in code(student))
    for exercise in exercises.find(student):
        secret = build.generate(source).cells[exercise.cell].source.splitlines()
        left = student.cells[exercise.cell].source.splitlines()
        assert len(left) < len(secret) and left[0] == secret[0]
    text = "\n".join(c.source for c in student.cells)
    assert "SOLUTION" not in text and f"(../{source.stem}.ipynb)" in text
    for link in re.findall(r"\]\(([^)]+\.ipynb)\)", text):
        assert (build.student_of(source).parent / link).resolve().is_file(), link


def test_drift_of_a_students_notebook_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "student_of", lambda _: tmp_path / "changed.ipynb")
    assert any("student/" in f and "missing" in f for f in build.faults(SOURCES[0]))
    for change in ({"source": "# Other words"}, {"execution_count": 1}):
        student = nbformat.from_dict(build.generate_student(SOURCES[0]))
        code(student)[0].update(change)
        nbformat.write(student, tmp_path / "changed.ipynb")
        assert any("student/" in f and "differs from" in f for f in build.faults(SOURCES[0]))


def written(
    source: str, used: str = "f(2)", heading: str = "### Exercise 9901 (solid, 9 min): add one"
) -> Any:
    cells = [nbformat.v4.new_markdown_cell(heading), nbformat.v4.new_code_cell(source)]
    cells += [nbformat.v4.new_code_cell(c) for c in ("checks.ex9901(f)", used)]
    cells[1].metadata["tags"] = [exercises.TAG]
    return nbformat.v4.new_notebook(cells=cells)


GOOD = "def f(x):\n    ### BEGIN SOLUTION\n    return x + 1\n    ### END SOLUTION\n"


def test_solution_and_stub_of_a_cell() -> None:
    assert exercises.solved(GOOD) == "def f(x):\n    return x + 1"
    assert exercises.stubbed(GOOD) == f"def f(x):\n    {exercises.STUB}"
    assert exercises.faults(written(GOOD)) == []
    assert exercises.solved("x = 1\n\ny = 2") == exercises.stubbed("x = 1\n\ny = 2")


@pytest.mark.parametrize(
    ("notebook", "words"),
    [
        (
            written(GOOD, heading="### Exercise: add one"),
            "has no '### Exercise 1234 (solid, 20 min)",
        ),
        (
            written(GOOD, heading="### Exercise 9901 (fun, 9 min): add one"),
            "is none of first steps",
        ),
        (
            written(GOOD, heading="### Exercise 9902 (hard, 9 min): add"),
            "not followed by its check",
        ),
        (written(GOOD, "fib(2)"), "what exercise 9901 defines is not used after its check"),
        (written("def f(x): ..."), "the tag 'exercise' and solution markers go together"),
        (written(GOOD.replace("### END", "# END")), "solution marker without its partner"),
    ],
)
def test_an_exercise_written_amiss_is_named(notebook: Any, words: str) -> None:
    assert any(words in fault for fault in exercises.faults(notebook))


def test_bare_pytest_leaves_stubs_and_sources_alone() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert "notebooks" in settings["testpaths"]
    assert {"student", "src"} <= set(settings["norecursedirs"])
