"""Generate and execute `notebooks/*.ipynb` from `notebooks/src/*.py`, or check that they fit.

    python -m notebooks.tools.build              make all notebooks again
    python -m notebooks.tools.build 00 05        only those whose name starts so
    python -m notebooks.tools.build --check      complain where a notebook is not its source's
    python -m notebooks.tools.build --text 00    only text has changed: keep what was executed
    python -m notebooks.tools.build --count      printed lines, verdicts, exercises and their use
    python -m notebooks.tools.build --nbgrader course/source    lessons as nbgrader's sources

Executed on the ci profile, on the CPU, with one thread, so that the stored outputs are what
`pytest --nbval` finds on another machine.

A lesson with exercises becomes two notebooks: the solved one, executed, and one for students in
`notebooks/student/`, with stubs, not executed. `exercises.py` says how an exercise is written.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from notebooks.tools import exercises
from privhead_nb.files import atomic_file

NOTEBOOKS = Path(__file__).parents[1]
ENVIRONMENT = {
    "PRIVHEAD_PROFILE": "ci",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONWARNINGS": "ignore",
}
IGNORED = "nbval-ignore-output"
IGNORED_SHARE = 0.15  # of a notebook's code cells
VERDICT_SHARE = 0.1  # of a notebook's printed lines: those that say True or False
CELL_LINES = 40  # imports apart
CELLS = (25, 60)  # cells of a lesson, text and code
BYTES = 2_000_000  # of a notebook file with its outputs
TIMEOUT = 600  # seconds a cell, on a machine that is busy otherwise
WIDGETS = "application/vnd.jupyter.widget-state+json"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PLOTLY = "application/vnd.plotly.v1+json"
_STEP = re.compile(r"\.backward\(\)|optim\.[A-Z]\w+\(")
# What may not stand in an output that nbval compares: paths, devices, times.
TELLTALE = re.compile(
    r"(?<![\w.])/(?:home|work|tmp|usr|root|content|opt)/|[A-Z]:\\"
    r"|\bcuda:\d|NVIDIA|GeForce|Tesla|Intel|\bAMD\b|Apple M\d"
    r"|\b\d+(?:\.\d+)?\s?(?:ns|us|µs|ms|s|seconds?|minutes?)\b"
)


def sources(starts: list[str] | None = None) -> list[Path]:
    """The percent scripts, in order."""
    found = sorted((NOTEBOOKS / "src").glob("[0-9][0-9]_*.py"))
    return [p for p in found if not starts or any(p.name.startswith(s) for s in starts)]


def target_of(source: Path) -> Path:
    """The solved notebook that a source becomes."""
    return NOTEBOOKS / f"{source.stem}.ipynb"


def student_of(source: Path) -> Path:
    """The students' notebook of a source that has exercises."""
    return NOTEBOOKS / "student" / f"{source.stem}.ipynb"


def generate(source: Path) -> Any:
    """The solved notebook of a source, not executed; the same bytes each time."""
    notebook = _read(source)
    for cell in notebook.cells:
        cell.source = exercises.solved(cell.source)
    return notebook


def generate_student(source: Path) -> Any:
    """The notebook with stubs in place of solutions; None where there are no exercises."""
    notebook = _read(source)
    if not exercises.find(notebook):
        return None
    has_student = {p.stem for p in sources() if exercises.MARK in p.read_text(encoding="utf-8")}
    for cell in notebook.cells:
        cell.source = exercises.stubbed(cell.source)
        if cell.cell_type == "markdown":
            cell.source = exercises.relinked(cell.source, has_student)
    opening = notebook.cells[0]
    opening.source += f"\n\n{exercises.OPENING.format(name=source.stem)}"
    return notebook


def _read(source: Path) -> Any:
    import jupytext

    notebook = jupytext.read(source)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"{source.stem[:2]}-{index:03d}"
        cell["metadata"] = {k: v for k, v in cell["metadata"].items() if k == "tags"}
    notebook["metadata"] = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    notebook["nbformat"], notebook["nbformat_minor"] = 4, 5
    return notebook


def execute(notebook: Any) -> Any:
    """Run all cells in a fresh kernel beside the notebooks; an error in a cell is raised."""
    from nbclient import NotebookClient

    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(NOTEBOOKS)}},
    )
    metadata = dict(notebook["metadata"])
    client.execute(env={**os.environ, **ENVIRONMENT})
    widgets = notebook["metadata"].get("widgets", {}).get(WIDGETS, {}).get("state")
    notebook["metadata"] = metadata  # without the Python version of this machine
    if widgets:
        _keep_widgets(notebook, widgets)
    return notebook


def _keep_widgets(notebook: Any, state: dict[str, Any]) -> None:
    """Store the widgets' state, so that a panel shows without a kernel.

    Their names are random: they get numbers, so that building twice gives the same.
    """
    import nbformat

    text = json.dumps({"state": state, "cells": notebook.cells})
    places = {name: text.index(name) for name in state}
    for number, name in enumerate(sorted(state, key=lambda name: _rank(state, name, places))):
        text = text.replace(name, f"widget-{number:03d}")
    renamed = json.loads(text)
    notebook["cells"] = [nbformat.from_dict(cell) for cell in renamed["cells"]]
    state = {name: renamed["state"][name] for name in sorted(renamed["state"])}
    notebook["metadata"]["widgets"] = {
        WIDGETS: {"state": state, "version_major": 2, "version_minor": 0}
    }


def _rank(state: dict[str, Any], name: str, places: dict[str, int]) -> tuple[str, int]:
    return state[name].get("model_name", ""), places[name]


def _as_executed(source: Path) -> Any:
    """The solved notebook of a source with the stored outputs; its code must be the stored one."""
    import nbformat

    stored, notebook = nbformat.read(target_of(source), as_version=4), generate(source)
    before, now = _code_cells(stored), _code_cells(notebook)
    if [_essence(cell)[1:] for cell in before] != [_essence(cell)[1:] for cell in now]:
        raise ValueError(f"{source.name}: a code cell has changed, build it without --text")
    for old, new in zip(before, now, strict=True):
        new.outputs, new.execution_count = old.outputs, old.execution_count
    notebook.metadata = stored.metadata
    return notebook


def _code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def build(source: Path, only_text: bool = False) -> None:
    """Generate, execute and write the notebooks of one source.

    With `only_text` the stored outputs stay, and a code cell that has changed is an error.
    """
    import nbformat

    student = generate_student(source)
    notebook = _as_executed(source) if only_text else execute(generate(source))
    with atomic_file(target_of(source)) as aside:
        nbformat.write(notebook, aside)
    if student is not None:
        student_of(source).parent.mkdir(exist_ok=True)
        with atomic_file(student_of(source)) as aside:
            nbformat.write(student, aside)


def write_for_nbgrader(source: Path, folder: Path) -> Path:
    """Write a lesson as an nbgrader assignment of its name: <folder>/<name>/<name>.ipynb."""
    import nbformat

    path = folder / source.stem / f"{source.stem}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as aside:
        nbformat.write(exercises.for_nbgrader(_read(source)), aside)
    return path


def faults(source: Path) -> list[str]:
    """What is wrong with a source's notebooks, in words; empty where all is well."""
    import nbformat

    target = target_of(source)
    if not target.is_file():
        return [f"{target.name}: missing, run `make notebooks`"]
    stored, fresh = nbformat.read(target, as_version=4), generate(source)
    if [_essence(c) for c in stored.cells] != [_essence(c) for c in fresh.cells]:
        return [f"{target.name}: differs from {source.name}, run `make notebooks`"]
    found = [*_output_faults(stored), *_text_faults(stored), *exercises.faults(_read(source))]
    if not CELLS[0] <= len(stored.cells) <= CELLS[1]:
        found.append(f"has {len(stored.cells)} cells, not {CELLS[0]} to {CELLS[1]}")
    if target.stat().st_size > BYTES:
        found.append(f"is larger than {BYTES / 1e6:g} MB")
    found = [f"{target.name}: {fault}" for fault in found]
    return found + _student_faults(source)


def _student_faults(source: Path) -> list[str]:
    import nbformat

    fresh, target = generate_student(source), student_of(source)
    name = f"student/{target.name}"
    if fresh is None:
        return [f"{name}: its lesson has no exercises, remove it"] if target.exists() else []
    if not target.is_file():
        return [f"{name}: missing, run `make notebooks`"]
    if nbformat.read(target, as_version=4) != nbformat.from_dict(fresh):
        return [f"{name}: differs from {source.name}, run `make notebooks`"]
    return []


def _output_faults(notebook: Any) -> list[str]:
    """Of an executed notebook: counts, errors, the budget of ignored cells, alternative texts."""
    code = _code_cells(notebook)
    found = []
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not every code cell was executed, once and in order")
    outputs = [output for cell in code for output in cell.outputs]
    if any(output.output_type == "error" for output in outputs):
        found.append("a cell failed")
    ignored = [IGNORED in cell.metadata.get("tags", []) for cell in code]
    if sum(ignored) > IGNORED_SHARE * len(code):
        found.append(f"{sum(ignored)} of {len(code)} code cells are ignored by nbval")
    for number, (cell, skipped) in enumerate(zip(code, ignored, strict=True), start=1):
        telling = [] if skipped else [t for o in cell.outputs for t in TELLTALE.findall(_text(o))]
        if telling:
            found.append(f"code cell {number} prints what differs between machines: {telling[0]!r}")
        if not skipped and any(WIDGET_VIEW in o.get("data", {}) for o in cell.outputs):
            found.append(f"code cell {number} shows a widget and is not tagged {IGNORED}")
    lines, verdicts = _printed(code)
    if verdicts > VERDICT_SHARE * lines:
        found.append(f"{verdicts} of {lines} printed lines say True or False")
    for number, cell in enumerate(code, start=1):
        kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
        if PLOTLY in kinds and "image/png" not in kinds:
            found.append(f"code cell {number} shows a plotly figure without a PNG beside it")
    if any("image/png" in o.get("data", {}) and not _alt(o) for o in outputs):
        found.append("a picture has no alternative text")
    if any(PLOTLY in o.get("data", {}) and not o["metadata"].get(PLOTLY) for o in outputs):
        found.append("a plotly figure has no alternative text: show it with teach/interactive.py")
    return found


def _printed(code: list[Any]) -> tuple[int, int]:
    """Lines that cells print, and those among them that say True or False."""
    lines = "\n".join(_text(output) for cell in code for output in cell.outputs).split("\n")
    lines = [line for line in lines if line.strip()]
    return len(lines), sum(bool(re.search(r"\b(True|False)\b", line)) for line in lines)


def count(source: Path) -> str:
    """Of a lesson in a line: what it prints, whether it trains, and what becomes of answers."""
    import nbformat

    code = _code_cells(nbformat.read(target_of(source), as_version=4))
    lines, verdicts = _printed(code)
    steps = sum(len(_STEP.findall(cell.source)) for cell in code)
    notebook = _read(source)
    tasks, unused = exercises.find(notebook), exercises.unused(notebook)
    return (
        f"{source.stem[:2]}: {verdicts} of {lines} printed lines say True or False; "
        f"{len(tasks) - len(unused)} of {len(tasks)} exercises are used later; "
        f"{steps} optimisers or .backward() on the page"
    )


def _text_faults(notebook: Any) -> list[str]:
    """Of any notebook: long cells, and headings that skip a level."""
    found, level, titles = [], 0, 0
    code = _code_cells(notebook)
    for number, cell in enumerate(code, start=1):
        lines = [s for s in cell.source.splitlines() if not s.startswith(("import ", "from "))]
        if len(lines) > CELL_LINES:
            found.append(f"code cell {number} has more than {CELL_LINES} lines")
    prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    prose = re.sub(r"^```.*?^```", "", prose, flags=re.MULTILINE | re.DOTALL)
    for marks, words in re.findall(r"^(#+) (.*)$", prose, flags=re.MULTILINE):
        titles += len(marks) == 1
        if len(marks) > level + 1:
            found.append(f"the heading {words!r} skips a level")
        level = len(marks)
    if titles != 1:
        found.append(f"{titles} titles (# ...), not one")
    return found


def _essence(cell: Any) -> tuple[str, str, str, tuple[str, ...]]:
    return cell.id, cell.cell_type, cell.source, tuple(cell.metadata.get("tags", []))


def _alt(output: Any) -> str:
    return str(output.get("metadata", {}).get("image/png", {}).get("alt", ""))


def _text(output: Any) -> str:
    """What nbval compares of an output."""
    if output.output_type == "stream":
        return str(output.text) if output.name == "stdout" else ""
    return str(output.get("data", {}).get("text/plain", ""))


def main() -> None:
    """Entry point of `python -m notebooks.tools.build`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only look, and fail on a fault")
    parser.add_argument("--text", action="store_true", help="keep the outputs that are stored")
    parser.add_argument("--count", action="store_true", help="only count what stands on the pages")
    parser.add_argument("starts", nargs="*", metavar="NUMBER", help="first letters of names")
    parser.add_argument("--nbgrader", type=Path, metavar="FOLDER", help="write assignments there")
    given = parser.parse_args()
    chosen = sources(given.starts)
    if given.nbgrader:
        for source in chosen:
            print(write_for_nbgrader(source, given.nbgrader))
        return
    if given.count:
        print("\n".join(count(source) for source in chosen))
        return
    if not given.check:
        for source in chosen:
            words = "writing the text of" if given.text else "executing"
            print(f"{words} {target_of(source).name}", file=sys.stderr)
            build(source, given.text)
    found = [fault for source in chosen for fault in faults(source)]
    print("\n".join(found) or f"{len(chosen)} notebooks fit their sources")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
