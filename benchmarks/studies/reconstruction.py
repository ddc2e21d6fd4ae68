"""The figures of the README: stage 1, stage 2 and full RGB over heads and seeds.

    python benchmarks/studies/reconstruction.py run                 # all parts, some two hours
    python benchmarks/studies/reconstruction.py run --part synthetic
    python benchmarks/studies/reconstruction.py table               # the stored results as Markdown

Parts: `real` (five seeds, needs PRIVHEAD_REAL_HEAD), `synthetic` (heads 101 to 110, two seeds),
`others` (heads 301 to 305, which nothing else looks at), `ablation` (stage 2 without stage 1, three
heads), `baseline` (what full RGB was tuned over), `recipe` (one setting of ours changed at a time,
on head 101). Every run is a process of its own, so that its peak memory is its own; finished runs
are kept in benchmarks/results/reconstruction.json and not repeated, so a study can be interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import mean
from threading import Lock
from typing import TYPE_CHECKING, Any

from privhead_nb import resources
from privhead_nb.files import write_json

if TYPE_CHECKING:
    from privhead_nb.training.profiles import Profile

ROOT = Path(__file__).resolve().parents[2]
RESULTS = resources.RESULTS / "reconstruction.json"
REAL = Path(
    os.environ.get("PRIVHEAD_REAL_HEAD", ROOT.parent / "shared" / "data" / "real_head" / "scene")
)
SYNTHETIC, OTHERS = range(101, 111), range(301, 306)
PARTS = ("real", "synthetic", "others", "ablation", "baseline", "recipe")


def runs(part: str, profile: str) -> list[dict[str, Any]]:
    """The runs of a part: head, seed, method and settings that differ from the profile's."""
    both = ("two-stage", "full-rgb")
    if part == "real":
        return [_run("real", s, m, profile) for s in range(5) for m in both]
    if part == "synthetic":
        return [_run(str(i), s, m, profile) for s in range(2) for i in SYNTHETIC for m in both]
    if part == "others":
        return [_run(str(i), 0, m, profile) for i in OTHERS for m in both]
    if part == "ablation":
        return [_run(h, 0, "stage-2-only", profile) for h in ("real", "101", "102")]
    if part == "baseline":
        weights = ("rgb=5.0", "rgb=40.0", "laplacian=0.0", "laplacian=0.006", "eikonal=0.4")
        changes = [f"full_rgb.{weight}" for weight in weights] + ["optimiser.decay=0.03"]
        return [_run("real", 0, "full-rgb", profile, change) for change in changes]
    changes = (
        'render.coverage="volume"',
        'render.normals="exact"',
        "stage2.gradient=4.0",
        "stage2.laplacian=0.0",
        "optimiser.decay=0.03",
        "stage2.lipschitz=0.0",
        "stage2.lipschitz=0.0001",
    )
    return [_run("101", 0, "two-stage", profile, change) for change in changes]


def _run(head: str, seed: int, method: str, profile: str, setting: str = "") -> dict[str, Any]:
    return {
        "head": head,
        "seed": seed,
        "method": method,
        "profile": profile,
        "setting": setting,
    }


def key(run: dict[str, Any]) -> str:
    """The name of a run among the stored results."""
    return " ".join(str(run[k]) for k in ("profile", "head", "seed", "method", "setting")).strip()


def changed(profile: Profile, settings: Iterable[str]) -> Profile:
    """A profile with some settings changed, each given as "part.name=JSON"."""
    for setting in settings:
        path, value = setting.split("=")
        part, name = path.split(".")
        made = replace(getattr(profile, part), **{name: json.loads(value)})
        profile = replace(profile, **{part: made})
    return profile


def execute(run: dict[str, Any], threads: int) -> dict[str, Any]:
    """Train and evaluate one run, in this process."""
    import torch

    from privhead_nb import evaluate, load_scene, protect, reconstruct, reconstruct_full_rgb
    from privhead_nb.training.profiles import PROFILES

    torch.set_num_threads(threads)
    profile = changed(PROFILES[run["profile"]], [run["setting"]] if run["setting"] else [])
    scene = load_scene(REAL if run["head"] == "real" else scene_folder(run["head"]))
    if run["method"] == "full-rgb":
        result = reconstruct_full_rgb(scene, profile, seed=run["seed"], progress=False)
    else:
        stages = (2,) if run["method"] == "stage-2-only" else (1, 2)
        release = protect(scene, seed=0)
        result = reconstruct(release, profile, seed=run["seed"], stages=stages, progress=False)
    peak = result.report["peak_memory_mb"]
    out = {"final": evaluate(result, scene).to_dict(), "seconds": result.report["seconds"]}
    if result.stage1_mesh is not None:
        out["stage1"] = evaluate(result.stage1_mesh, scene).to_dict()
    return {**run, **out, "peak_memory_mb": peak, "threads": threads, "machine": machine()}


def machine() -> str:
    """Processor and versions, so that a stored figure says where it comes from."""
    import torch

    from privhead_nb.bench.harness import cpu_name

    return f"{cpu_name()}, {os.cpu_count()} cores, torch {torch.__version__}"


def stored() -> dict[str, Any]:
    """The stored results by `key`."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}


def study(parts: list[str], profile: str, threads: int, again: bool, jobs: int) -> None:
    """Run what is not stored yet, one process a run, `jobs` at a time."""
    todo = [r for part in parts for r in runs(part, profile) if again or key(r) not in stored()]
    if not REAL.is_dir():
        print(f"no real head at {REAL}: its runs are skipped", file=sys.stderr)
        todo = [r for r in todo if r["head"] != "real"]
    for head in {r["head"] for r in todo} - {"real"}:
        scene_folder(head)  # before two runs of one head could both render it
    storing = Lock()

    def one(run: dict[str, Any]) -> None:
        command = [sys.executable, __file__, "one", json.dumps(run), "--threads", str(threads)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        with storing:
            everything = stored() | {key(run): result}
            write_json(RESULTS, everything)
        final = result["final"]
        print(
            f"{key(run)}: {final['distance_mean']:.3f} {final['unit']}, "
            f"{final['normal_median_deg']:.2f} deg, {sum(result['seconds'].values()):.0f} s",
            flush=True,
        )

    with ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(one, run) for run in todo]:
            future.result()


def scene_folder(head: str, size: int = 64) -> Path:
    """Folder of a made head's scene: rendered once, and read as a user's scene would be."""
    from privhead_nb.heads.codes import GENERATOR_VERSION
    from privhead_nb.heads.synthetic import synthetic_scene

    name = f"privhead-study-v{GENERATOR_VERSION}-{head}" + (f"-{size}" if size != 64 else "")
    folder = Path(tempfile.gettempdir()) / name
    if not folder.is_dir():
        synthetic_scene(int(head), size=size).save(folder)
    return folder


def table(profile: str) -> str:
    """The stored results as Markdown tables."""
    found = stored()
    rows = []

    def pick(head: str, method: str) -> list[dict[str, Any]]:
        return [
            r
            for r in found.values()
            if (r["head"], r["method"], r["profile"], r["setting"]) == (head, method, profile, "")
        ]

    rows += ["| head | seed | stage 1 | stage 2 | full RGB | stage 2 / full | seconds (threads) |"]
    rows += ["| --- | --- | --- | --- | --- | --- | --- |"]
    sets = {"real": ("real",), "made 101-110": SYNTHETIC, "made 301-305": OTHERS}
    means = []
    for name, heads in sets.items():
        pairs = [
            (two, full)
            for head in map(str, heads)
            for two in pick(head, "two-stage")
            for full in pick(head, "full-rgb")
            if full["seed"] == two["seed"]
        ]
        rows += [_pair_row(*pair) for pair in pairs]
        if pairs:
            means.append(_mean_row(name, pairs))
    rows += means
    memory = [r["peak_memory_mb"] for r in found.values() if r["peak_memory_mb"]]
    if memory:
        rows += ["", f"Peak memory of any run: {max(memory) / 1000:.2f} GB."]
    rows += ["", "| head, seed 0 | changed | method | with the change | as shipped |"]
    rows += ["| --- | --- | --- | --- | --- |"]
    for changed in found.values():
        alone = changed["method"] == "stage-2-only"
        if changed["profile"] != profile or not (alone or changed["setting"]):
            continue
        method = "two-stage" if alone else changed["method"]
        shipped = [r for r in pick(changed["head"], method) if r["seed"] == changed["seed"]]
        what = "no stage 1" if alone else f"`{changed['setting']}`"
        rows += [
            f"| {changed['head']} | {what} | {method} | {_cell(changed['final'])} "
            f"| {_cell(r['final'])} |"
            for r in shipped
        ]
    return "\n".join(rows)


def _pair_row(two: dict[str, Any], full: dict[str, Any]) -> str:
    """Two stages and full RGB of one head and seed."""
    ratio = two["final"]["distance_mean"] / full["final"]["distance_mean"]
    return (
        f"| {two['head']} | {two['seed']} | {_cell(two['stage1'])} | {_cell(two['final'])} "
        f"| {_cell(full['final'])} | {ratio:.2f} | {sum(two['seconds'].values()):.0f} "
        f"({two['threads']}) |"
    )


def _mean_row(name: str, pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    """Means over runs of both methods, with 95 % intervals of stage 2's distance and the ratio.

    The intervals are Student's, over heads, or over one head's seeds; the ratio's of logarithms.
    """
    import numpy as np
    from scipy.stats import ttest_1samp

    def average(which: int, what: str, part: str = "final") -> float:
        return mean(p[which][part][what] for p in pairs)

    first, second, full = (
        f"{average(w, 'distance_mean', p):.2f} mm {average(w, 'normal_median_deg', p):.1f} deg"
        for w, p in ((0, "stage1"), (0, "final"), (1, "final"))
    )
    one_head = len({two["head"] for two, _ in pairs}) == 1
    units: dict[Any, list[tuple[float, ...]]] = {}
    for pair in pairs:
        distances = tuple(run["final"]["distance_mean"] for run in pair)
        units.setdefault(pair[0]["seed" if one_head else "head"], []).append(distances)
    two, all_rgb = np.array([np.mean(unit, axis=0) for unit in units.values()]).T

    def spread(values: Any) -> Any:
        return np.array(ttest_1samp(values, 0).confidence_interval())

    near, far = spread(two)
    low, high = np.exp(spread(np.log(two / all_rgb)))
    return (
        f"| **{name}**, {len(pairs)} pairs | | {first} | {second} ({near:.2f} to {far:.2f}) "
        f"| {full} | {two.mean() / all_rgb.mean():.2f} ({low:.2f} to {high:.2f}) | |"
    )


def _cell(distances: dict[str, Any]) -> str:
    return f"{distances['distance_mean']:.2f} mm {distances['normal_median_deg']:.1f} deg"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=("run", "table", "one"))
    parser.add_argument("what", nargs="?", help="used by `one`: a run as JSON")
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; seconds suffer")
    parser.add_argument("--again", action="store_true", help="repeat runs that are stored")
    given = parser.parse_args()
    if given.command == "one":
        print(json.dumps(execute(json.loads(given.what), given.threads)))
    elif given.command == "run":
        study(given.part or list(PARTS), given.profile, given.threads, given.again, given.jobs)
    else:
        print(table(given.profile))


if __name__ == "__main__":
    main()
