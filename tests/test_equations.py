"""docs/equations.md: each link leads to a file, and to the function that it names."""

from __future__ import annotations

import ast
import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
LINK = re.compile(r"\[`?([^\]`]+)`?\]\(([^)#]+)\)")


def defined(path: Path) -> set[str]:
    """Names of the functions and classes of a module, methods too."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, kinds)}


def rows() -> list[list[str]]:
    lines = (DOCS / "equations.md").read_text().splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][2:]


def test_each_link_leads_to_what_it_names() -> None:
    for row in rows():
        assert len(row) == 6, row
        for name, target in LINK.findall(" ".join(row)):
            path = DOCS / target
            assert path.is_file(), target
            assert path.suffix != ".py" or name in defined(path), f"{name} is not in {target}"


def test_each_equation_has_code_a_test_and_a_lesson() -> None:
    for row in rows():
        for cell in (row[2], row[4], row[5]):
            assert LINK.search(cell), row
    named = {equation for row in rows() for equation in re.findall(r"^eq\. (\d)", row[0])}
    assert named == set("123456789")


def test_each_kernel_file_is_reached() -> None:
    text = (DOCS / "equations.md").read_text()
    folder = DOCS.parent / "privhead_nb" / "kernels"
    for file in [
        *folder.glob("*/naive.py"),
        *folder.glob("*/numba.py"),
        *folder.glob("*/triton.py"),
    ]:
        assert file.relative_to(folder.parent).as_posix() in text, file
