"""How long a reconstruction takes beside other work: the default, one thread, other ways to wait.

    python benchmarks/studies/busy.py run       # about 8 minutes
    python benchmarks/studies/busy.py --table   # the stored figures as Markdown

`privhead reconstruct data_samples/release --profile ci`, as a process of its own, while 0, 2 or 5
processes compute without an end. The variants take turns, so that the machine's drift meets all of
them; a run that does not end in 150 s is stored as ">150 s" and not repeated. Run it on a machine
that has nothing else to do. "waits long" is what PyTorch does where nobody sets anything.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json

ROOT = Path(__file__).resolve().parents[2]
RESULTS = resources.RESULTS / "busy.json"
LIMIT = 150.0  # seconds a run may take
TURNS = {0: 5, 2: 2, 5: 1}  # busy processes -> runs of each variant
VARIANTS: dict[str, tuple[dict[str, str], list[str]]] = {  # environment, options
    "default": ({}, []),
    "one thread": ({}, ["--threads", "1"]),
    "passive": ({"OMP_WAIT_POLICY": "passive"}, []),
    "waits long": ({"GOMP_SPINCOUNT": "300000"}, []),
}
OURS = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")


def _compute(ready: Any) -> None:
    ready.release()
    while True:
        pass


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute, as long as this lasts."""
    context = multiprocessing.get_context("spawn")
    ready = context.Semaphore(0)
    others = [context.Process(target=_compute, args=(ready,), daemon=True) for _ in range(count)]
    for other in others:
        other.start()
    try:
        for _ in others:
            ready.acquire()
        yield
    finally:
        for other in others:
            other.terminate()
            other.join()


def seconds(variant: str, limit: float) -> float | None:
    """Wall time of one run, its start included; None where it did not end in time."""
    environment, options = VARIANTS[variant]
    env = {k: v for k, v in os.environ.items() if k not in OURS} | environment
    folder = Path(tempfile.mkdtemp())
    call = [sys.executable, "-m", "privhead_nb", "reconstruct", "data_samples/release"]
    call += [str(folder / "out"), "--profile", "ci", *options]
    began = time.perf_counter()
    try:
        subprocess.run(call, cwd=ROOT, env=env, capture_output=True, timeout=limit, check=True)
    except subprocess.TimeoutExpired:
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return time.perf_counter() - began


def measure(count: int, turns: int, limit: float) -> dict[str, Any]:
    """Each variant's runs beside `count` busy processes, their medians and ratios."""
    runs: dict[str, list[float]] = {name: [] for name in VARIANTS}
    late: set[str] = set()
    with busy(count):
        for _ in range(turns):
            for name in VARIANTS:
                took = None if name in late else seconds(name, limit)
                if took is None:
                    late.add(name)
                else:
                    runs[name].append(round(took, 2))
                print(f"{count} busy, {name}: {runs[name]}", file=sys.stderr)
    found: dict[str, Any] = {
        name: f">{limit:g} s" if name in late else round(median(runs[name]), 2) for name in VARIANTS
    }
    ratios = {}
    default, calm = found["default"], [found[n] for n in ("one thread", "passive")]
    calm = [x for x in calm if not isinstance(x, str)]
    if not isinstance(default, str) and calm:
        ratios["default to the better of one thread and passive"] = round(default / min(calm), 2)
    if not isinstance(default, str) and not isinstance(found["waits long"], str):
        ratios["default to waits long"] = round(default / found["waits long"], 2)
    return {"seconds": found, "ratios": ratios, "runs": runs}


def study(limit: float) -> None:
    """Measure all; the first run, which may compile kernels, is not counted."""
    seconds("one thread", 600.0)
    rows = {str(count): measure(count, turns, limit) for count, turns in TURNS.items()}
    facts = {
        "command": "python benchmarks/studies/busy.py run",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "limit_seconds": limit,
        "busy": rows,
    }
    write_json(RESULTS, facts)


def table() -> str:
    """Medians in seconds as Markdown."""
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))["busy"]
    lines = [
        "| busy processes | "
        + " | ".join(VARIANTS)
        + " | default / better of one thread, passive |",
        "| --- |" + " --- |" * (len(VARIANTS) + 1),
    ]
    for count, row in stored.items():
        cells = [str(row["seconds"][name]) for name in VARIANTS]
        ratio = row["ratios"].get("default to the better of one thread and passive", "-")
        lines.append(f"| {count} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", nargs="?", choices=("run",))
    parser.add_argument("--table", action="store_true", help="print what is stored")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds a run may take")
    given = parser.parse_args()
    if given.command == "run":
        study(given.limit)
    if given.table:
        print(table())
    elif given.command is None:
        parser.print_help()


if __name__ == "__main__":
    main()
