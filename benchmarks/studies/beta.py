"""What the schedule of beta does: four schedules, with and without footprints, one seed or more.

    python benchmarks/studies/beta.py run       # eight runs, under a minute each on a quiet core
    python benchmarks/studies/beta.py run --seeds 3
    python benchmarks/studies/beta.py table

The head is that of data_samples/. The profile is the small one that made its reconstruction, with a
third of the steps and half of the rays, so its distances are larger. `coverage` says how much of a
pixel the head covers: by the pixel's footprint (as shipped), or by the fog alone (`volume`, as in
the paper). Finished runs are kept in benchmarks/results/beta_schedule.json and not repeated. Lesson
05 quotes them.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

from privhead_nb import resources
from privhead_nb.files import write_json

RESULTS = resources.RESULTS / "beta_schedule.json"
Pair = tuple[float, float]
# first and last beta of stage 1 and of stage 2, in units of the bounding sphere's radius
SCHEDULES: dict[str, tuple[Pair, Pair]] = {
    "cloud to wall (as shipped)": ((0.03, 0.003), (0.012, 0.0015)),
    "stops half way": ((0.03, 0.008), (0.03, 0.004)),
    "always a cloud": ((0.03, 0.03), (0.012, 0.012)),
    "always a wall": ((0.003, 0.003), (0.0015, 0.0015)),
}
COVERAGES = ("footprint", "volume")
STAGE_1: dict[str, Any] = {"steps": 150, "rays": 512, "eikonal_points": 256}
STAGE_2: dict[str, Any] = {"steps": 600, "patches": 5, "eikonal_points": 256}


def execute(schedule: str, coverage: str, seed: int) -> dict[str, Any]:
    """Train and evaluate one run."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    from benchmarks.make_samples import small_profile
    from privhead_nb import Release, evaluate, load_scene, reconstruct
    from privhead_nb.resources import SAMPLES

    one, two = SCHEDULES[schedule]
    profile = small_profile()
    profile = replace(
        profile,
        render=replace(profile.render, coverage=coverage),
        stage1=replace(profile.stage1, beta=one, **STAGE_1),
        stage2=replace(profile.stage2, beta=two, **STAGE_2),
    )
    scene = load_scene(SAMPLES / "scene")
    head = reconstruct(Release.load(SAMPLES / "release"), profile, seed=seed, progress=False)
    assert head.stage1_mesh is not None
    return {
        "schedule": schedule,
        "coverage": coverage,
        "seed": seed,
        "beta": [list(one), list(two)],
        "steps": [profile.stage1.steps, profile.stage2.steps],
        "stage1": evaluate(head.stage1_mesh, scene).to_dict(),
        "stage2": evaluate(head, scene).to_dict(),
    }


def stored() -> dict[str, Any]:
    """The stored results by "coverage, schedule, seed n"."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}


def study(seeds: int) -> None:
    """Run what is not stored yet; the first seed of everything first."""
    for seed, coverage, schedule in product(range(seeds), COVERAGES, SCHEDULES):
        name = f"{coverage}, {schedule}, seed {seed}"
        if name not in stored():
            found = execute(schedule, coverage, seed)
            write_json(RESULTS, stored() | {name: found})
            print(name, f"{found['stage2']['distance_mean']:.2f} mm", file=sys.stderr)


def table() -> str:
    """Means over seeds as Markdown."""
    rows = ["| coverage | schedule | stage 1 | stage 2 | runs |", "| --- | --- | --- | --- | --- |"]
    for coverage, schedule in product(COVERAGES, SCHEDULES):
        place = (coverage, schedule)
        runs = [r for r in stored().values() if (r["coverage"], r["schedule"]) == place]
        if runs:
            cells = [
                f"{mean(r[stage]['distance_mean'] for r in runs):.2f} mm "
                f"{mean(r[stage]['normal_median_deg'] for r in runs):.1f} deg"
                for stage in ("stage1", "stage2")
            ]
            rows.append(f"| {coverage} | {schedule} | {cells[0]} | {cells[1]} | {len(runs)} |")
    return "\n".join(rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    if given.command == "run":
        study(given.seeds)
    else:
        print(table())


if __name__ == "__main__":
    main()
