"""Who is recognised in protected pictures: operators and sizes against attacks on pictures.

    python benchmarks/studies/picture_attacks.py                    all that is not stored yet
    python benchmarks/studies/picture_attacks.py --settings sobel-64 blur-2 --attacks parrot-cnn
    python benchmarks/studies/picture_attacks.py --small            minutes, 12 people
    python benchmarks/studies/picture_attacks.py --table            what is stored

It can be stopped at any time and goes on where it was: jobs are kept in out/lab/picture_attacks,
and after each run all that are there go to results/picture_attacks.json.
"""

from __future__ import annotations

import argparse
from typing import Any

from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json
from privhead_nb.lab import faces
from privhead_nb.lab.picture_jobs import ATTACKS, FULL, LITTLE
from privhead_nb.lab.privacy_study import run, stored, summary, version, wanted
from privhead_nb.lab.settings import SETTINGS

RESULTS = resources.RESULTS / "picture_attacks.json"


def table(results: dict[str, Any]) -> str:
    """A line an attack, and the strongest attack of each setting."""
    lines = [f"{'job':38} {'rank-1 of a picture':>22} {'of a release':>22} {'TAR at 1e-3':>22}"]
    for key, result in results.items():
        cells = [_cell(result["whole"][name]) for name in ("rank1", "release", "tar")]
        lines.append(f"{key:38} " + " ".join(f"{cell:>22}" for cell in cells))
    lines.append("\nstrongest attack of each setting")
    for name, worst in summary(results).items():
        lines.append(
            f"{name:24} {_cell(worst['rank1']):>22}  {worst['attack']}, of {len(worst['attacks'])}"
        )
    return "\n".join(lines)


def _cell(rate: list[float] | dict[str, str]) -> str:
    if isinstance(rate, dict):
        return "not known"
    value, low, high = rate
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", nargs="+", choices=tuple(SETTINGS), metavar="NAME")
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, metavar="NAME")
    parser.add_argument("--small", action="store_true", help="12 people, two settings; not stored")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--scheduler", help='of a Dask cluster, or "local"')
    parser.add_argument("--overwrite", action="store_true", help="drop results of another version")
    parser.add_argument("--table", action="store_true", help="only show what is there")
    asked = parser.parse_args()
    size = LITTLE if asked.small else FULL
    folder = faces.cache_folder() / ("picture_attacks_small" if asked.small else "picture_attacks")
    if not asked.table:
        attacks = asked.attacks or (list(ATTACKS) if asked.small else [])
        run(
            wanted(asked.settings or [], attacks, asked.small), size, folder,
            workers=asked.workers, scheduler=asked.scheduler, overwrite=asked.overwrite,
        )  # fmt: skip
    results = stored(folder, size)
    if not asked.small and not asked.table:
        facts = {"command": "python benchmarks/studies/picture_attacks.py", "cpu": cpu_name()}
        write_json(
            RESULTS, {**facts, **version(size), "summary": summary(results), "results": results}
        )
    print(table(results))


if __name__ == "__main__":
    main()
