"""Generate and execute `notebooks/*.ipynb` from `notebooks/src/*.py`, or check that they fit.

    python -m privhead_nb.teach.build            make all notebooks again
    python -m privhead_nb.teach.build 00 05      only those whose name starts so
    python -m privhead_nb.teach.build --check    complain where a notebook is not its source's

Executed on the ci profile, on the CPU, with one thread, so that the stored outputs are what
`pytest --nbval` finds on another machine.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from privhead_nb.files import atomic_file

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
ENVIRONMENT = {
    "PRIVHEAD_PROFILE": "ci",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONWARNINGS": "ignore",
}
IGNORED = "nbval-ignore-output"
IGNORED_SHARE = 0.2  # of a notebook's code cells
CELL_LINES = 15  # a longer cell is a function that belongs into the package
TIMEOUT = 120  # seconds a cell


def sources(starts: list[str] | None = None) -> list[Path]:
    """The percent scripts, in order."""
    found = sorted((NOTEBOOKS / "src").glob("[0-9][0-9]_*.py"))
    return [p for p in found if not starts or any(p.name.startswith(s) for s in starts)]


def target_of(source: Path) -> Path:
    """The notebook that a source becomes."""
    return NOTEBOOKS / f"{source.stem}.ipynb"


def generate(source: Path) -> Any:
    """The notebook of a source, not executed; the same bytes each time."""
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
    notebook["metadata"] = metadata  # without the Python version of this machine
    return notebook


def build(source: Path) -> None:
    """Generate, execute and write one notebook."""
    import nbformat

    notebook = execute(generate(source))
    with atomic_file(target_of(source)) as aside:
        nbformat.write(notebook, aside)


def faults(source: Path) -> list[str]:
    """What is wrong with a source's notebook, in words; empty where all is well."""
    import nbformat

    target = target_of(source)
    if not target.is_file():
        return [f"{target.name}: missing, run `make notebooks`"]
    stored, fresh = nbformat.read(target, as_version=4), generate(source)
    if [_essence(c) for c in stored.cells] != [_essence(c) for c in fresh.cells]:
        return [f"{target.name}: differs from {source.name}, run `make notebooks`"]
    code = [cell for cell in stored.cells if cell.cell_type == "code"]
    found = []
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not every code cell was executed, once and in order")
    outputs = [output for cell in code for output in cell.outputs]
    if any(output.output_type == "error" for output in outputs):
        found.append("a cell failed")
    ignored = sum(IGNORED in cell.metadata.get("tags", []) for cell in code)
    if ignored > IGNORED_SHARE * len(code):
        found.append(f"{ignored} of {len(code)} code cells are ignored by nbval")
    for number, cell in enumerate(code, start=1):
        if len(cell.source.splitlines()) > CELL_LINES:
            found.append(f"code cell {number} has more than {CELL_LINES} lines")
    for output in outputs:
        if "image/png" in output.get("data", {}) and not _alt(output):
            found.append("a picture has no alternative text")
    return [f"{target.name}: {fault}" for fault in found]


def _essence(cell: Any) -> tuple[str, str, str, tuple[str, ...]]:
    return cell.id, cell.cell_type, cell.source, tuple(cell.metadata.get("tags", []))


def _alt(output: Any) -> str:
    return str(output.get("metadata", {}).get("image/png", {}).get("alt", ""))


def main() -> None:
    """Entry point of `python -m privhead_nb.teach.build`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="only look, and fail on a fault")
    parser.add_argument("starts", nargs="*", metavar="NUMBER", help="first letters of names")
    given = parser.parse_args()
    chosen = sources(given.starts)
    if not given.check:
        for source in chosen:
            print(f"executing {target_of(source).name}", file=sys.stderr)
            build(source)
    found = [fault for source in chosen for fault in faults(source)]
    print("\n".join(found) or f"{len(chosen)} notebooks fit their sources")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
