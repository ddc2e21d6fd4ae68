"""How long each lesson takes to run, and the table of it in docs/lessons.md.

    python -m notebooks.tools.timings                      time all lessons, ci and cpu profiles
    python -m notebooks.tools.timings --profiles ci 03     some
    python -m notebooks.tools.timings --table              only write the table again

A lesson is run from its first cell to its last in a fresh kernel, as a student's "Run All" does,
on as many threads as torch takes by itself. Results go to benchmarks/results/lessons.json after
each run. Minutes of reading are those that the lesson itself names.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from notebooks.tools import build, exercises
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import atomic_file, write_json

ROOT = build.NOTEBOOKS.parent
STORED = ROOT / "benchmarks" / "results" / "lessons.json"
PAGE = ROOT / "docs" / "lessons.md"
START, STOP = "<!-- table: python -m notebooks.tools.timings -->", "<!-- end of the table -->"
PROFILES = ("ci", "cpu")
_MINUTES = re.compile(r"\*\*Time\*\*: (?:about )?(\d+) minutes")


def run(source: Path, profile: str) -> float:
    """Seconds that a lesson takes from its first cell to its last, kernel's start included."""
    from nbclient import NotebookClient

    notebook = build.generate(source)
    settings = {"PRIVHEAD_PROFILE": profile, "CUDA_VISIBLE_DEVICES": ""}
    client = NotebookClient(
        notebook, timeout=900, resources={"metadata": {"path": str(build.NOTEBOOKS)}}
    )
    began = time.perf_counter()
    client.execute(env={**os.environ, **settings})
    return time.perf_counter() - began


def reading(source: Path) -> int:
    """Minutes of reading and writing that a lesson's opening names."""
    found = _MINUTES.search(
        " ".join(source.read_text(encoding="utf-8").replace("\n#", " ").split())
    )
    if found is None:
        raise ValueError(f"{source.name} names no minutes: write '**Time**: 45 minutes of reading'")
    return int(found[1])


def title(source: Path) -> str:
    """Of a lesson, without its number."""
    found = re.search(r"^# # \d+\. (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else source.stem


def table(stored: dict[str, Any]) -> str:
    """A line a lesson: exercises, minutes, seconds by each profile that was timed."""
    timed = [p for p in PROFILES if any(p in spent for spent in stored["lessons"].values())]
    heads = ["lesson", "reading and writing", "exercises", *(f"`{profile}`" for profile in timed)]
    lines = [f"| {' | '.join(heads)} |", "| --- |" + " --- |" * (len(heads) - 1)]
    for source in build.sources():
        spent = stored["lessons"].get(source.stem, {})
        tasks = exercises.find(build.generate(source))
        kinds = ", ".join(
            f"{sum(t.difficulty == kind for t in tasks)} {kind}" for kind in exercises.DIFFICULTIES
        )
        seconds = [f"{spent[p]:.0f} s" if p in spent else "-" for p in timed]
        link = f"[{source.stem[:2]} {title(source)}](../notebooks/{source.stem}.ipynb)"
        lines.append(f"| {link} | {reading(source)} min | {kinds} | {' | '.join(seconds)} |")
    return "\n".join(lines)


def read() -> dict[str, Any]:
    """The stored seconds; empty where nothing was timed yet."""
    if not STORED.is_file():
        return {"machine": cpu_name(), "threads": os.cpu_count(), "lessons": {}}
    found: dict[str, Any] = json.loads(STORED.read_text(encoding="utf-8"))
    return found


def write_page() -> None:
    """Put the table into docs/lessons.md, between its two marks."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(STOP)
    with atomic_file(PAGE) as aside:
        aside.write_text(f"{before}{START}\n{table(read())}\n{STOP}{after}", encoding="utf-8")


def main() -> None:
    """Time lessons, store each, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lessons", nargs="*", help="starts of names; all by default")
    parser.add_argument("--profiles", nargs="+", default=PROFILES, choices=("ci", "cpu", "gpu"))
    parser.add_argument("--table", action="store_true", help="only write the table again")
    asked = parser.parse_args()
    for source in [] if asked.table else build.sources(asked.lessons):
        for profile in asked.profiles:
            spent = run(source, profile)
            stored = read()
            stored["lessons"].setdefault(source.stem, {})[profile] = round(spent, 1)
            write_json(STORED, stored)
            print(f"{source.stem}, {profile}: {spent:.1f} s", flush=True)
    write_page()


if __name__ == "__main__":
    main()
