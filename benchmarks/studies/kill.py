"""Runs that are killed, and two at once: is anything lost, and is the result the same to the bit?

    python benchmarks/studies/kill.py run                  # 100 kills, 20 pairs of writers
    python benchmarks/studies/kill.py run --part kills --count 6
    python benchmarks/studies/kill.py table

kills    `privhead reconstruct data_samples/release OUT --profile ci --threads 1`, with a checkpoint
         every SAVE_EVERY seconds, ends by SIGKILL at a moment drawn anew from an equal section of
         the run; the same with --resume goes on to the end. mesh.ply, stage1.ply and
         field.safetensors must be those of a run that nobody stopped, bit for bit, and no other
         file may stay. Every tenth run compiles its kernels anew, in an empty NUMBA_CACHE_DIR.
writers  two commands at once into one folder, `protect` and `reconstruct` in turn: one must end
         well, with the result of a lone one, and the other must be refused.

Finished runs are kept in benchmarks/results/kills.json and not repeated, unless the run that nobody
stopped gives other bits than the stored one. Some 15 minutes of two quiet cores, cold runs apart.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json

ROOT = Path(__file__).resolve().parents[2]
RESULTS = resources.RESULTS / "kills.json"
SAMPLES = ROOT / "data_samples"
RESULT = ("mesh.ply", "stage1.ply", "field.safetensors")
SAVE_EVERY = 0.2  # seconds between two checkpoints
COLD_EVERY = 10  # of so many kills one is of a run with a cold kernel cache
KILLS, WRITERS, SEED = 100, 20, 0
_STORE = threading.Lock()


def reconstruct(out: Path, *more: str) -> list[str]:
    """The command that is killed."""
    words = ["reconstruct", str(SAMPLES / "release"), str(out), "--profile", "ci"]
    return [sys.executable, "-m", "privhead_nb", *words, "--threads", "1", *more]


def protect(out: Path) -> list[str]:
    """The other command of `writers`."""
    words = ["protect", str(SAMPLES / "scene"), str(out)]
    return [sys.executable, "-m", "privhead_nb", *words]


def start(command: list[str], cache: Path | None = None) -> subprocess.Popen[str]:
    """A process; `cache` is the folder of its compiled kernels."""
    settings = {"PRIVHEAD_SAVE_EVERY": str(SAVE_EVERY), "OMP_NUM_THREADS": "1"}
    if cache is not None:
        settings["NUMBA_CACHE_DIR"] = str(cache)
    return subprocess.Popen(
        command, env=os.environ | settings, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and last line on stderr."""
    _, said = process.communicate()
    return process.returncode, (said.strip().splitlines() or [""])[-1]


def sums(folder: Path, names: tuple[str, ...] = RESULT) -> dict[str, str]:
    """SHA-256 of the files that are there; "" for one that is missing."""
    there = {name: folder / name for name in names}
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for name, path in there.items()
    }


def reference(work: Path) -> dict[str, Any]:
    """The run and the release that nobody stopped; the run twice, so that kernels are compiled."""
    for name in ("first", "whole"):
        began = time.perf_counter()
        code, said = finish(start(reconstruct(work / name)))
        seconds = time.perf_counter() - began
        if code:
            raise SystemExit(said)
    code, said = finish(start(protect(work / "release")))
    if code:
        raise SystemExit(said)
    return {
        "seconds": round(seconds, 2),
        "sha256": sums(work / "whole"),
        "manifest": sums(work / "release", ("manifest.json",))["manifest.json"],
    }


def kill(number: int, count: int, whole: dict[str, Any], work: Path) -> dict[str, Any]:
    """One run, killed and resumed."""
    cold = number % COLD_EVERY == COLD_EVERY - 1
    out = work / f"kill_{number}" / "out"
    cache = out.with_name("cache") if cold else None
    draw = random.Random(1000 * SEED + number)
    at = (number + draw.random()) / count * 1.1 * whole["seconds"]  # two at once are slower
    if cold:  # compiling takes most of such a run, and as long again on one core of two
        at *= 4
    process = start(reconstruct(out), cache)
    try:
        process.wait(at)
        finished = True
    except subprocess.TimeoutExpired:
        finished = False
    process.kill()
    process.communicate()
    kept = checkpoint(out / "checkpoint.safetensors")
    left = [p.name for p in out.glob(".*")] if out.is_dir() else []
    code, said = finish(start(reconstruct(out, "--resume"), cache))
    there = {p.name for p in (*out.parent.iterdir(), *out.iterdir())}
    return {
        "run": number,
        "of": count,
        "cache": "cold" if cold else "warm",
        "killed_at_s": round(at, 2),
        "finished_before": finished,
        "checkpoint": kept,
        "half_written": left,
        "resumed": code == 0,
        "said": said if code else "",
        "same": sums(out) == whole["sha256"],
        "other_files": sorted(there - {"out", "cache", *RESULT, "report.json"}),
    }  # fmt: skip


def checkpoint(path: Path) -> str | None:
    """Stage and step of a checkpoint; None where there is none."""
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            words = json.loads(file.metadata()["privhead"])
    except (SafetensorError, OSError, ValueError) as error:
        return f"broken: {error}"
    return f"{words['stage']} {words['step']}"


def pair(number: int, whole: dict[str, Any], work: Path) -> dict[str, Any]:
    """Two writers at one target, the second up to a second later."""
    out = work / f"pair_{number}" / "out"
    trains = bool(number % 2)
    command = reconstruct(out) if trains else protect(out)
    wait = random.Random(SEED + number).random()
    first = start(command)
    time.sleep(wait)
    ends = [finish(process) for process in (first, start(command))]
    refused = [said for code, said in ends if code == 2]
    wanted = whole["sha256"] if trains else {"manifest.json": whole["manifest"]}
    return {
        "run": number,
        "command": "reconstruct" if trains else "protect",
        "second_after_s": round(wait, 2),
        "exit_codes": [code for code, _ in ends],
        "one_refused": len(refused) == 1 and [code for code, _ in ends].count(0) == 1,
        "by_lock": any("another run is writing here" in said for said in refused),
        "same": sums(out, tuple(wanted)) == wanted,
        "other_files": sorted({p.name for p in out.parent.iterdir()} - {"out"}),
    }


def stored() -> dict[str, Any]:
    """What is stored, or nothing yet."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}


def study(part: str, count: int, workers: int) -> None:
    """Run what is not stored yet."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as pool:
        work = Path(folder)
        whole = reference(work)
        found = stored()
        if found.get("whole", {}).get("sha256") != whole["sha256"]:
            found = {"kills": [], "writers": []}
        found |= {
            "command": "python benchmarks/studies/kill.py run",
            "cpu": cpu_name(),
            "save_every_s": SAVE_EVERY,
            "whole": whole,
        }

        def one(name: str, number: int) -> None:
            made = (
                kill(number, count, whole, work) if name == "kills" else pair(number, whole, work)
            )
            with _STORE:
                found[name] = sorted([*found[name], made], key=lambda run: run["run"])
                write_json(RESULTS, found)
                print(name, json.dumps(made), file=sys.stderr)

        jobs = []
        for name, most in (("kills", count), ("writers", min(count, WRITERS))):
            found[name] = [r for r in found[name] if r.get("of", count) == count]
            done = {run["run"] for run in found[name]}
            if part in (name, "all"):
                jobs += [pool.submit(one, name, n) for n in range(most) if n not in done]
        for job in jobs:
            job.result()


def table() -> str:
    """Counts as Markdown."""
    found = stored()
    rows = ["| part | runs | as they should be | not |", "| --- | --- | --- | --- |"]
    for name in ("warm", "cold"):
        runs = [r for r in found["kills"] if r["cache"] == name]
        good = [r for r in runs if r["resumed"] and r["same"] and not r["other_files"]]
        rows.append(_row(f"killed, {name} kernel cache", runs, good))
    for name in ("protect", "reconstruct"):
        runs = [r for r in found["writers"] if r["command"] == name]
        good = [r for r in runs if r["one_refused"] and r["same"] and not r["other_files"]]
        rows.append(_row(f"two writers, {name}", runs, good))
    places = [(r["checkpoint"] or "none").split()[0] for r in found["kills"]]
    said = ", ".join(f"{name} {places.count(name)}" for name in sorted(set(places)))
    half = sum(bool(r["half_written"]) for r in found["kills"])
    return "\n".join([*rows, "", f"Checkpoint at the kill: {said}; while writing: {half}."])


def _row(name: str, runs: list[dict[str, Any]], good: list[dict[str, Any]]) -> str:
    bad = ", ".join(str(run["run"]) for run in runs if run not in good) or "none"
    return f"| {name} | {len(runs)} | {len(good)} | {bad} |"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--part", choices=("all", "kills", "writers"), default="all")
    parser.add_argument("--count", type=int, default=KILLS)
    parser.add_argument("--workers", type=int, default=2, help="runs at once, a thread each")
    given = parser.parse_args()
    if given.command == "run":
        study(given.part, given.count, given.workers)
    print(table())


if __name__ == "__main__":
    main()
