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
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.studies.reconstructed_heads import FULL_RGB, Made, make_reconstructions
from benchmarks.studies.table2 import mean
from privhead_nb.errors import LabError
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces, recommendation
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.settings import DEFAULT, setting

FORMAT = 1
Interval = tuple[float, float, float]
TOLERANCE = 1.1
"""How much larger than the paper's default both errors of a recommended setting may be."""
RECONSTRUCTED = (DEFAULT, "noise-0.1", "noise-0.2")
"""Settings by default, beside FULL_RGB."""


@dataclass(frozen=True)
class Point:
    """One setting: what it leaks, and what it costs the shape.

    Attributes:
        name: in the table of settings, or FULL_RGB.
        chamfer_mm, normals_deg: mean over people of a head's error, with its 95 % interval.
        chamfer_ratio, normals_ratio: the same over the paper's default of the same people.
        people: reconstructed.
        alone, together: rank-1 of the strongest attack on one picture, and on a person's pictures
            together; None where there is none (FULL_RGB releases pictures as they are).
        attacks: names of these two attacks.
    """

    name: str
    chamfer_mm: Interval
    normals_deg: Interval
    chamfer_ratio: Interval
    normals_ratio: Interval
    people: int
    alone: Interval | None = None
    together: Interval | None = None
    attacks: tuple[str, str] | None = None


def points(made: Sequence[Made], privacy: dict[str, Any]) -> list[Point]:
    """One point a setting.

    Args:
        made: heads; the paper's default must be among the settings, with the same people in each.
        privacy: the summary that `privhead study privacy --store` writes.

    Raises:
        LabError: a setting lacks people, or an attack.
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
        known = None if name == FULL_RGB else privacy["settings"].get(name)
        if name != FULL_RGB and (known is None or not {"alone", "together"} <= set(known)):
            raise LabError(
                f"no attack was measured at {name}",
                where="curve",
                remedy=f"Run `privhead study privacy --settings {name}`, with --store.",
            )
        errors: dict[str, Any] = {}
        for measure, unit in (("chamfer", "mm"), ("normals", "deg")):
            value = np.array([getattr(own[i], measure) for i in own])
            plain = np.array([getattr(by_setting[DEFAULT][i], measure) for i in own])
            errors[f"{measure}_{unit}"] = _interval(value, own)
            errors[f"{measure}_ratio"] = _interval(value / plain, own)
        leak: dict[str, Any] = {}
        if known is not None:
            leak = {taken: tuple(known[taken]["rank1"]) for taken in ("alone", "together")}
            leak["attacks"] = tuple(known[taken]["attack"] for taken in ("alone", "together"))
        found.append(Point(name, people=len(own), **errors, **leak))
    return found


def recommended(curve: Iterable[Point]) -> Point:
    """The setting whose pictures name a person least often, at little cost.

    Of those whose errors of shape and normals are both at most TOLERANCE times the paper's default,
    the one with the lowest rank-1 of a person's pictures together.

    Raises:
        LabError: the paper's default is not among them.
    """
    able = [
        p
        for p in curve
        if p.together is not None
        and p.chamfer_ratio[0] <= TOLERANCE
        and p.normals_ratio[0] <= TOLERANCE
    ]
    if DEFAULT not in {p.name for p in able}:
        raise LabError(f"{DEFAULT} is not on the curve", where="curve")
    return min(able, key=lambda p: (p.together or (1.0,))[0])


def to_dict(curve: Sequence[Point], command: str, profile: str) -> dict[str, Any]:
    """What is stored."""
    return {
        "format": FORMAT,
        "generator": GENERATOR_VERSION,
        "command": command,
        "profile": profile,
        "rule": f"lowest rank-1 of all pictures together, errors at most {TOLERANCE} x {DEFAULT}",
        "recommended": recommended(curve).name,
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
    privacy = json.loads(recommendation.RESULTS.read_text(encoding="utf-8"))
    command = "python benchmarks/studies/curve.py run"
    if asked.small:
        command += " --small"
    elif list(asked.settings) != list(RECONSTRUCTED) or people != 10:
        command += f" --people {people} --settings {' '.join(asked.settings)}"
    write_json(target, to_dict(points(made, privacy), command, profile))


def table(stored: dict[str, Any]) -> str:
    """The stored curve as Markdown."""
    best = stored["recommended"]
    lines = [
        "| setting | distance, mm | over default | normals, deg | one picture | all together |",
        "| --- |" + " --- |" * 5,
    ]
    for name, p in stored["settings"].items():
        leaks = [percent(*p[k]) if p[k] else "not protected" for k in ("alone", "together")]
        cells = [
            f"**{name}**" if name == best else name,
            _said(p["chamfer_mm"], ".2f"),
            _said(p["chamfer_ratio"], ".2f"),
            _said(p["normals_deg"], ".1f"),
            *leaks,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Recommended: {best}."])


def _said(value: Sequence[float], how: str) -> str:
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
    target = faces.cache_folder() / "curve_small.json" if asked.small else recommendation.CURVE
    if asked.command == "run":
        run(asked, target)
    print(table(json.loads(target.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
