"""Privacy beside utility, setting by setting, and the setting that follows from it.

    python benchmarks/studies/curve.py run        heads of 10 people at 7 settings: 2 minutes a head
    python benchmarks/studies/curve.py run --settings sobel-64 noise-0.2 --people 4
    python benchmarks/studies/curve.py run --small        two people, profile ci: half a minute
    python benchmarks/studies/curve.py table

`run` goes on where it stopped: heads are kept in out/lab (PRIVHEAD_LAB), shared with
studies/artefact.py. The leak of a setting is read from benchmarks/results/privacy.json, which
`privhead study privacy --store` writes. The result goes to benchmarks/results/curve.json,
or to out/lab/curve_small.json with --small.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from privhead_nb.files import write_json
from privhead_nb.lab import advice, albums, curve
from privhead_nb.lab.curve import Interval, Point
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.reconstructions import FULL_RGB, make_reconstructions
from privhead_nb.lab.settings import DEFAULT, setting


def run(asked: argparse.Namespace, target: Path) -> None:
    """Reconstruct what is missing, and store the curve."""
    profile, people = ("ci", 2) if asked.small else (asked.profile, asked.people)
    names = [DEFAULT, "noise-0.2"] if asked.small else [*asked.settings, FULL_RGB]
    made = make_reconstructions(
        albums.people("evaluation", people),
        {name: None if name == FULL_RGB else setting(name) for name in names},
        albums.cache_folder() / "reconstructions" / profile,
        profile,
        views=(4, 6) if asked.small else (10, 20),
        workers=asked.workers,
        scheduler=asked.scheduler,
        overwrite=asked.overwrite,
    )
    privacy = json.loads(advice.RESULTS.read_text(encoding="utf-8"))
    command = "python benchmarks/studies/curve.py run"
    if asked.small:
        command += " --small"
    elif list(asked.settings) != list(curve.SETTINGS) or people != 10:
        command += f" --people {people} --settings {' '.join(asked.settings)}"
    write_json(target, curve.to_dict(curve.points(made, privacy), command, profile))


def table(found: Sequence[Point], best: str) -> str:
    """The curve as Markdown."""
    lines = [
        "| setting | distance, mm | over default | normals, deg | one picture | all together |",
        "| --- |" + " --- |" * 5,
    ]
    for p in found:
        name = f"**{p.name}**" if p.name == best else p.name
        lines.append(
            f"| {name} | {_said(p.chamfer_mm, '.2f')} | {_said(p.chamfer_ratio, '.2f')} "
            f"| {_said(p.normals_deg, '.1f')} | {_percent(p.alone)} | {_percent(p.together)} |"
        )
    return "\n".join([*lines, "", f"Recommended: {best}."])


def _said(value: Interval, how: str) -> str:
    mean, low, high = (format(v, how) for v in value)
    return f"{mean} ({low} to {high})"


def _percent(rate: Interval | None) -> str:
    if rate is None:
        return "not protected"
    return percent(*rate)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--settings", nargs="+", default=list(curve.SETTINGS), metavar="NAME")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--small", action="store_true", help="two people; not stored")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--scheduler", help='of a Dask cluster, or "local"')
    parser.add_argument("--overwrite", action="store_true", help="drop results of another version")
    asked = parser.parse_args()
    target = albums.cache_folder() / "curve_small.json" if asked.small else curve.RESULTS
    if asked.command == "run":
        run(asked, target)
    print(table(*curve.read(target)))


if __name__ == "__main__":
    main()
