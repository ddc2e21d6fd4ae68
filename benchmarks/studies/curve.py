"""What a setting costs the reconstructed head, beside the strongest attack on all it gives away.

    python benchmarks/studies/curve.py run        heads of 10 people at 7 settings: 2 minutes a head
    python benchmarks/studies/curve.py run --settings sobel-64 noise-0.2 --people 4
    python benchmarks/studies/curve.py run --small        two people, profile ci: half a minute
    python benchmarks/studies/curve.py table

`run` goes on where it stopped: heads are kept in out/lab (PRIVHEAD_LAB), shared with
studies/artefact.py. The result goes to benchmarks/results/curve.json, or to
out/lab/curve_small.json with --small. The leak stands in benchmarks/results/privacy.json (`privhead
study privacy --store`) and artefacts.json (`python benchmarks/studies/artefact.py run`); `table`
puts both side by side, and says which settings meet the rule that was fixed before: the lowest leak
of those whose two errors are at most 1.1 times those of the paper's default.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.studies.reconstructed_heads import FULL_RGB, Made, make_reconstructions
from benchmarks.studies.table2 import mean
from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import assessment, faces
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.settings import DEFAULT, setting

FORMAT = 2
RESULTS = resources.RESULTS / "curve.json"
Interval = tuple[float, float, float]
TOLERANCE = 1.1
"""How much larger than the paper's default both errors of a setting may be."""
RECONSTRUCTED = (DEFAULT, "noise-0.1", "noise-0.2")
"""Settings by default, beside FULL_RGB."""


@dataclass(frozen=True)
class Point:
    """One setting, and what it costs the shape.

    Attributes:
        name: in the table of settings, or FULL_RGB.
        chamfer_mm, normals_deg: mean over people of a head's error, with its 95 % interval.
        chamfer_ratio, normals_ratio: the same over the paper's default of the same people.
        people: reconstructed.
    """

    name: str
    chamfer_mm: Interval
    normals_deg: Interval
    chamfer_ratio: Interval
    normals_ratio: Interval
    people: int


def points(made: Sequence[Made]) -> list[Point]:
    """One point a setting.

    Args:
        made: heads; the paper's default must be among the settings, with the same people in each.

    Raises:
        LabError: a setting lacks people.
    """
    by_setting: dict[str, dict[int, Made]] = {}
    for head in made:
        by_setting.setdefault(head.setting, {})[head.identity] = head
    if DEFAULT not in by_setting or len({frozenset(own) for own in by_setting.values()}) != 1:
        raise LabError(
            "settings are compared person by person",
            where="curve",
            remedy=f"Reconstruct the same people at each setting, and at {DEFAULT}.",
        )
    found = []
    for name, own in by_setting.items():
        errors: dict[str, Any] = {}
        for measure, unit in (("chamfer", "mm"), ("normals", "deg")):
            value = np.array([getattr(own[i], measure) for i in own])
            plain = np.array([getattr(by_setting[DEFAULT][i], measure) for i in own])
            errors[f"{measure}_{unit}"] = _interval(value, own)
            errors[f"{measure}_ratio"] = _interval(value / plain, own)
        found.append(Point(name, people=len(own), **errors))
    return found


def affordable(stored: dict[str, Any]) -> list[str]:
    """Settings other than the paper's default whose errors are at most TOLERANCE times its own.

    Args:
        stored: curve.json, or what `to_dict` gives.
    """
    return [
        name
        for name, point in stored["settings"].items()
        if name not in (DEFAULT, FULL_RGB)
        and max(point["chamfer_ratio"][0], point["normals_ratio"][0]) <= TOLERANCE
    ]


def verdict(stored: dict[str, Any]) -> str:
    """What the rule gives, in a sentence."""
    able = affordable(stored)
    rule = f"errors at most {TOLERANCE} times those of {DEFAULT}, the paper's default"
    if not able:
        tried = ", ".join(n for n in stored["settings"] if n not in (DEFAULT, FULL_RGB))
        return f"None of the settings tried ({tried}) but the default itself has {rule}."
    leaks = {name: leak(name).worst for name in [DEFAULT, *able]}
    said = "; ".join(f"{name} {worst}" for name, worst in leaks.items() if worst)
    return f"With {rule}, and the strongest attack on all that each gives away: {said}."


def leak(name: str) -> assessment.Assessment:
    """What the stored studies know of a setting."""
    return assessment.assess(*setting(name))


def to_dict(curve: Sequence[Point], command: str, profile: str) -> dict[str, Any]:
    """What is stored."""
    return {
        "format": FORMAT,
        "generator": GENERATOR_VERSION,
        "command": command,
        "profile": profile,
        "settings": {
            p.name: asdict(p) | ({} if p.name == FULL_RGB else _described(p.name)) for p in curve
        },
    }


def _described(name: str) -> dict[str, Any]:
    operator, size = setting(name)
    return {"operator": operator.to_dict(), "size": size}


def _interval(values: Any, people: Iterable[int]) -> Interval:
    found = mean(values, list(people))
    return round(found.value, 4), round(found.low, 4), round(found.high, 4)


def run(asked: argparse.Namespace, target: Path) -> None:
    """Reconstruct what is missing, and store the curve."""
    profile, people = ("ci", 2) if asked.small else (asked.profile, asked.people)
    names = [DEFAULT, "noise-0.2"] if asked.small else [*asked.settings, FULL_RGB]
    made = make_reconstructions(
        faces.people("evaluation", people),
        {name: None if name == FULL_RGB else setting(name) for name in names},
        faces.cache_folder() / "reconstructions" / profile,
        profile,
        views=(4, 6) if asked.small else (10, 20),
        workers=asked.workers,
        scheduler=asked.scheduler,
        overwrite=asked.overwrite,
    )
    command = "python benchmarks/studies/curve.py run"
    if asked.small:
        command += " --small"
    elif list(asked.settings) != list(RECONSTRUCTED) or people != 10:
        command += f" --people {people} --settings {' '.join(asked.settings)}"
    write_json(target, to_dict(points(made), command, profile))


def table(stored: dict[str, Any]) -> str:
    """The stored curve as Markdown, beside the strongest attack on all that a setting gives."""
    lines = [
        "| setting | distance, mm | over default | normals, deg | one picture | together | worst |",
        "| --- |" + " --- |" * 6,
    ]
    for name, p in stored["settings"].items():
        known = assessment.Assessment() if name == FULL_RGB else leak(name)
        worst = (known.alone, known.together, known.worst)
        cells = [
            name,
            measured(p["chamfer_mm"], ".2f"),
            measured(p["chamfer_ratio"], ".2f"),
            measured(p["normals_deg"], ".1f"),
            *("not protected" if w is None else percent(w.rank1, w.low, w.high) for w in worst),
        ]
        if known.elsewhere:
            cells[-1] += ", mesh not attacked"
        if known.untried:
            cells[-1] += f", {known.untried} not tried"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", verdict(stored)])


def measured(value: Sequence[float], how: str) -> str:
    """A value with its interval, each in a format."""
    mean, low, high = (format(v, how) for v in value)
    return f"{mean} ({low} to {high})"


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--settings", nargs="+", default=list(RECONSTRUCTED), metavar="NAME")
    parser.add_argument("--profile", default="cpu")
    parser.add_argument("--small", action="store_true", help="two people; not stored")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--scheduler", help='of a Dask cluster, or "local"')
    parser.add_argument("--overwrite", action="store_true", help="drop results of another version")
    asked = parser.parse_args()
    target = faces.cache_folder() / "curve_small.json" if asked.small else RESULTS
    if asked.command == "run":
        run(asked, target)
    print(table(json.loads(target.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
