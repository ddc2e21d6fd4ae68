"""Who is recognised in protected pictures: every rate of `privhead study privacy`, for the lessons.

    python benchmarks/studies/picture_attacks.py                    all that is not stored yet
    python benchmarks/studies/picture_attacks.py --settings sobel-64,blur-2 --attacks parrot-cnn

It does what `privhead study privacy` does, with the same jobs in out/lab/picture_attacks, and then
writes what all of them found to results/picture_attacks.json.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json
from privhead_nb.lab.picture_jobs import FULL
from privhead_nb.lab.privacy_study import stored, study_privacy, text, version

RESULTS = resources.RESULTS / "picture_attacks.json"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--settings", default="", metavar="NAMES", help="such as sobel-64,blur-2")
    parser.add_argument("--attacks", default="", metavar="NAMES")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--scheduler", help='of a Dask cluster, or "local"')
    parser.add_argument("--overwrite", action="store_true", help="drop results of another version")
    answer = study_privacy(**vars(parser.parse_args()))
    facts = {"command": "python benchmarks/studies/picture_attacks.py", "cpu": cpu_name()}
    results = stored(Path(answer["folder"]), FULL)
    write_json(RESULTS, {**facts, **version(FULL), "results": results})
    print(text(answer))


if __name__ == "__main__":
    main()
