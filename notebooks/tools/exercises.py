"""How an exercise is written in a lesson's source, and what becomes of it.

    # %% [markdown]
    # ### Exercise 1102 (solid, 20 min): the loop
    # ...
    # %% tags=["exercise"]
    def my_loop(x):
        ### BEGIN SOLUTION
        return x + 1
        ### END SOLUTION

    # %%
    checks.ex1102(my_loop)

The solved notebook loses the two markers, the students' one what stands between them. The number is
the lesson's and the exercise's; the check is a function of `checks.py`, called in the next cell.
What an exercise defines is used in a cell after its check, where a wrong answer shows.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Any

TAG = "exercise"
MARK = "### BEGIN SOLUTION"
STUB = 'raise NotImplementedError("your turn")'
DIFFICULTIES = ("first steps", "solid", "hard")
OPENING = (
    "*This is the version for you to fill in: each exercise has a cell that says* your turn *and "
    "one that checks it. The solved lesson, with all pictures: [{name}](../{name}.ipynb).*"
)
_SOLUTION = re.compile(
    r"^([ ]*)### BEGIN SOLUTION\n(.*?)^[ ]*### END SOLUTION[ ]*(?:\n|\Z)", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^### Exercise (\d{4}) \(([\w ]+), (\d+) min\): (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((\d\d_\w+)\.ipynb")


@dataclass(frozen=True)
class Exercise:
    """One exercise of a lesson.

    Attributes:
        number: "1102", which is also the name of its check.
        difficulty: one of `DIFFICULTIES`.
        minutes: that it takes a student, by our estimate.
        title: what it is about.
        cell: index of the cell to fill in; the check stands in the next one.
    """

    number: str
    difficulty: str
    minutes: int
    title: str
    cell: int


def solved(source: str) -> str:
    """A cell's source without the markers."""
    return _SOLUTION.sub(lambda m: m[2], source).rstrip("\n")


def stubbed(source: str) -> str:
    """A cell's source with a stub in place of each solution."""
    return _SOLUTION.sub(lambda m: f"{m[1]}{STUB}\n", source).rstrip("\n")


def relinked(source: str, has_student: set[str]) -> str:
    """Markdown whose links to lessons start from the students' folder."""
    return _LINK.sub(lambda m: m[0] if m[1] in has_student else f"](../{m[1]}.ipynb", source)


def find(notebook: Any) -> list[Exercise]:
    """The exercises of a notebook, in order. What is written amiss is left to `faults`."""
    found = []
    for index, cell in enumerate(notebook.cells):
        heading = _HEADING.search(notebook.cells[index - 1].source) if index else None
        if TAG in cell.metadata.get("tags", []) and heading:
            found.append(Exercise(heading[1], heading[2], int(heading[3]), heading[4], index))
    return found


def for_nbgrader(notebook: Any) -> Any:
    """A source with the cell metadata of nbgrader (schema 3): solutions to fill in, graded checks.

    nbgrader itself takes out what stands between the markers, which are its own.
    """
    base = {"schema_version": 3, "task": False, "cell_type": "code"}
    for exercise in find(notebook):
        name, points = f"ex{exercise.number}", 1 + DIFFICULTIES.index(exercise.difficulty)
        notebook.cells[exercise.cell].metadata["nbgrader"] = base | {
            "grade_id": name, "solution": True, "grade": False, "locked": False,
        }  # fmt: skip
        notebook.cells[exercise.cell + 1].metadata["nbgrader"] = base | {
            "grade_id": f"{name}-check", "solution": False, "grade": True, "locked": True,
            "points": points,
        }  # fmt: skip
    return notebook


def defined(source: str) -> list[str]:
    """Names that a cell defines at its top level."""
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
    return names


def unused(notebook: Any) -> list[str]:
    """Numbers of the exercises whose answer no cell after the check uses."""
    found = []
    for exercise in find(notebook):
        later = notebook.cells[exercise.cell + 2 :]
        code = "\n".join(cell.source for cell in later if cell.cell_type == "code")
        names = defined(notebook.cells[exercise.cell].source)
        if not any(re.search(rf"\b{name}\b", code) for name in names):
            found.append(exercise.number)
    return found


def faults(notebook: Any) -> list[str]:
    """What is wrong with the exercises of a source, in words."""
    found, exercises = [], find(notebook)
    cells = notebook.cells
    tagged = [i for i, c in enumerate(cells) if TAG in c.metadata.get("tags", [])]
    for index in sorted(set(tagged) - {e.cell for e in exercises}):
        found.append(
            f"the exercise in cell {index} has no '### Exercise 1234 (solid, 20 min): ...' before"
        )
    for index, cell in enumerate(cells):
        if (MARK in cell.source) != (index in tagged):
            found.append(f"cell {index}: the tag {TAG!r} and solution markers go together")
        if cell.source.count("### ") and "SOLUTION" in solved(cell.source):
            found.append(f"cell {index} has a solution marker without its partner")
    for exercise in exercises:
        check = cells[exercise.cell + 1].source if exercise.cell + 1 < len(cells) else ""
        if f"checks.ex{exercise.number}(" not in check:
            found.append(f"exercise {exercise.number} is not followed by its check")
        if exercise.difficulty not in DIFFICULTIES:
            found.append(f"exercise {exercise.number} is none of {', '.join(DIFFICULTIES)}")
    found += [
        f"what exercise {number} defines is not used after its check" for number in unused(notebook)
    ]
    if len({e.number for e in exercises}) < len(exercises):
        found.append("two exercises have one number")
    return found
