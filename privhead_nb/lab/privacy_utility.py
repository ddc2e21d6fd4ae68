"""The stored privacy-utility curve: what a setting leaks, and what it costs the shape.

Each point is a setting: how often the strongest attack on its pictures names the right person, and
how far heads reconstructed from it are off. `results/curve.json` ships with the package;

    python benchmarks/studies/curve.py run

writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.settings import SETTINGS
from privhead_nb.reading import read_json

RESULTS = resources.RESULTS / "curve.json"
FORMAT = 1
AGAIN = "Run `python benchmarks/studies/curve.py run`."

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


def read(path: Path = RESULTS) -> tuple[list[Point], str]:
    """The stored curve, and the name of the recommended setting.

    Raises:
        LabError: there is none, or it is of another version or damaged.
    """
    record = read_json(path, error=LabError, remedy=AGAIN)
    stored = record.data
    if (stored.get("format"), stored.get("generator")) != (FORMAT, GENERATOR_VERSION):
        raise LabError("the stored curve is of another version", where=path, remedy=AGAIN)
    settings, best = record.record("settings"), record.text("recommended", tuple(SETTINGS))
    points = []
    for name in settings.data:
        found = settings.record(name).data
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v
            for k, v in found.items()
            if k in Point.__dataclass_fields__
        }
        try:
            points.append(Point(**fields))
        except TypeError as error:
            raise LabError(f"is damaged ({error})", where=path, remedy=AGAIN) from error
    return points, best
