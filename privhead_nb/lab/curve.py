"""Privacy beside utility: what a setting leaks, and what it costs the shape.

Each point is a setting: how often the strongest attack on its pictures names the right person, and
how far heads reconstructed from it are off. `recommended` picks one of them by a rule that was
fixed before the numbers were there. `results/curve.json` ships with the package;

    python benchmarks/studies/curve.py run

writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.reconstructions import FULL_RGB, Made
from privhead_nb.lab.settings import DEFAULT, setting
from privhead_nb.lab.tables import mean
from privhead_nb.reading import read_json

RESULTS = resources.RESULTS / "curve.json"
FORMAT = 1
TOLERANCE = 1.1
"""How much larger than the paper's default both errors of a recommended setting may be."""
SETTINGS = (DEFAULT, "noise-0.1", "noise-0.2")
"""Reconstructed by default, beside FULL_RGB."""

Interval = tuple[float, float, float]


@dataclass(frozen=True)
class Point:
    """One setting.

    Attributes:
        name: in the table of settings, or FULL_RGB.
        chamfer_mm, normals_deg: mean over people of a head's error, low and high end of the 95 %
            interval over people.
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
    alone: Interval | None
    together: Interval | None
    attacks: tuple[str, str] | None


def points(made: Sequence[Made], privacy: dict[str, Any]) -> list[Point]:
    """One point a setting.

    Args:
        made: heads; the paper's default must be among the settings, with the same people in each.
        privacy: the summary that `privhead study privacy --store` writes.

    Raises:
        LabError: a setting lacks people, or an attack.
    """
    by_setting: dict[str, dict[int, Made]] = {}
    for one in made:
        by_setting.setdefault(one.setting, {})[one.identity] = one
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
        errors = {}
        for measure in ("chamfer", "normals"):
            value = [getattr(own[i], measure) for i in own]
            plain = [getattr(by_setting[DEFAULT][i], measure) for i in own]
            errors[measure] = _interval(value, own)
            errors[f"{measure}_ratio"] = _interval(np.array(value) / np.array(plain), own)
        found.append(
            Point(
                name,
                errors["chamfer"],
                errors["normals"],
                errors["chamfer_ratio"],
                errors["normals_ratio"],
                len(own),
                None if known is None else tuple(known["alone"]["rank1"]),
                None if known is None else tuple(known["together"]["rank1"]),
                None if known is None else (known["alone"]["attack"], known["together"]["attack"]),
            )
        )
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


def read(path: Path = RESULTS) -> tuple[list[Point], str]:
    """The stored curve, and the name of the recommended setting.

    Raises:
        LabError: there is none, or it is of another version or damaged.
    """
    again = "Run `python benchmarks/studies/curve.py run`."
    record = read_json(path, error=LabError, remedy=again)
    stored = record.data
    if (stored.get("format"), stored.get("generator")) != (FORMAT, GENERATOR_VERSION):
        raise LabError(
            "the stored curve is of another version",
            where=path,
            remedy=again,
        )
    settings, best = record.record("settings"), record.text("recommended", SETTINGS)
    try:
        return [_point(settings.record(name).data) for name in settings.data], best
    except TypeError as error:
        raise LabError(f"is damaged ({error})", where=path, remedy=again) from error


def _point(stored: dict[str, Any]) -> Point:
    values: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v
        for k, v in stored.items()
        if k in Point.__dataclass_fields__
    }
    return Point(**values)


def _described(name: str) -> dict[str, Any]:
    operator, size = setting(name)
    return {"operator": operator.to_dict(), "size": size}


def _interval(values: Any, people: Iterable[int]) -> Interval:
    found = mean(values, list(people))
    return round(found.value, 4), round(found.low, 4), round(found.high, 4)
