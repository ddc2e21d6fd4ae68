"""How long the lessons' panels take to redraw while a slider moves.

    python -m privhead_nb.teach.latency                     all panels
    python -m privhead_nb.teach.latency 03 --json FILE      one, and its figures as JSON

Each control is moved through its values, the others resting, and each redraw is timed from the
change to the picture's new bytes, by what the panel itself calls: the preview where there is one.
The goal is a median of 100 ms on two cores.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json
from privhead_nb.teach import panels
from privhead_nb.teach.widgets import redraw, values_of

GOAL_MS = 100.0
MOVES = 8  # of each control at most


def time_panel(lesson: str) -> dict[str, Any]:
    """Milliseconds of a panel's redraws: median and worst; and of its full picture."""
    module = panels.of(lesson)
    controls = module.controls()
    draw = getattr(module, "preview", module.picture)
    rest = {name: control.value for name, control in controls.items()}
    redraw(draw, rest)  # the first one loads what it needs
    spent = []
    for name, control in controls.items():
        values = values_of(control)
        for value in values[:: max(1, len(values) // MOVES)]:
            began = time.perf_counter()
            redraw(draw, rest | {name: value})
            spent.append(1000 * (time.perf_counter() - began))
    began = time.perf_counter()
    redraw(module.picture, rest)
    return {
        "lesson": lesson,
        "redraws": len(spent),
        "median_ms": round(statistics.median(spent), 1),
        "worst_ms": round(max(spent), 1),
        "full_ms": round(1000 * (time.perf_counter() - began), 1),
        "preview": hasattr(module, "preview"),
    }


def main() -> None:
    """Print a table, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("lessons", nargs="*", help="numbers of lessons; all by default")
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    rows = []
    print("lesson  redraws  median ms  worst ms  full ms")
    for lesson in asked.lessons or panels.names():
        row = time_panel(lesson)
        rows.append(row)
        print(
            f"{lesson:>6}  {row['redraws']:>7}  {row['median_ms']:>9.1f}  {row['worst_ms']:>8.1f}"
            f"  {row['full_ms']:>7.1f}" + ("" if row["median_ms"] <= GOAL_MS else "  over the goal")
        )
    if asked.json:
        write_json(asked.json, {"goal_ms": GOAL_MS, "cpu": cpu_name(), "panels": rows})


if __name__ == "__main__":
    main()
