"""What the stored study says of a setting of `protect`.

`results/privacy.json` ships with the package. It is the summary that

    privhead study privacy --store benchmarks/results/privacy.json

writes. A setting that was not studied gets the nearest one that was, and is told so.
`results/curve.json`, of `python benchmarks/studies/curve.py run`, says which one is recommended.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.settings import DEFAULT, SETTINGS, setting
from privhead_nb.privacy.operators import Operator
from privhead_nb.reading import read_json

FORMAT = 2
RESULTS = resources.RESULTS / "privacy.json"
CURVE = resources.RESULTS / "curve.json"
RECOMMENDED = "recommended"
ALONE, TOGETHER = "alone", "together"
COMMAND = "privhead study privacy"


@dataclass(frozen=True)
class Worst:
    """The strongest attack, and how often it names the right person first.

    Attributes:
        attack: its name.
        rank1: share of probes.
        low, high: its 95 % interval.
    """

    attack: str
    rank1: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.rank1:.0%} ({self.low:.0%} to {self.high:.0%}) by {self.attack}"


@dataclass(frozen=True)
class Assessment:
    """What is known of a setting, or why nothing is.

    Attributes:
        setting: name of the studied setting; "" where there is none.
        differs: how the chosen setting differs from it; empty where it is the very same.
        alone: against one protected picture.
        together: against `views` protected pictures of one person, as a release has.
        chance: what a guess gets.
        people: in the gallery.
        views: pictures taken together.
        attacks: how many were tried at this setting.
        untried: the strongest attack on the paper's default, where it was not tried at this one.
        command: that measures it again.
        why: the reason, where nothing is known.
    """

    setting: str = ""
    differs: tuple[str, ...] = ()
    alone: Worst | None = None
    together: Worst | None = None
    chance: float = math.nan
    people: int = 0
    views: int = 0
    attacks: int = 0
    untried: str = ""
    command: str = COMMAND
    why: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"why": self.why, "command": self.command} if self.why else asdict(self)

    def __str__(self) -> str:
        """One line or two."""
        if self.why:
            return f"Study: not known how well this protects ({self.why}). See: {self.command}"
        taken = {"one picture": self.alone, f"{self.views} pictures": self.together}
        rates = "; ".join(f"{name} {worst}" for name, worst in taken.items() if worst)
        said = (
            f"Study ({self.setting}): recognised among {self.people} made people, worst of "
            f"{self.attacks} attacks: {rates}; chance {self.chance:.2g}."
        )
        if self.untried:
            said += f"\n{self.untried}, the strongest on {DEFAULT}, was not tried there."
        if self.differs:
            return (
                f"{said}\nThis setting was not studied; {self.setting} is the nearest "
                f"({'; '.join(self.differs)}). Neutral views and the head leak besides."
            )
        return f"{said}\nNeutral views and the reconstructed head leak besides: {self.command}"


def assess(operator: Operator, size: int, path: Path | None = None) -> Assessment:
    """What the stored study says of a release's operator and size; nothing is raised.

    Args:
        operator: the release's.
        size: pixels.
        path: of the summary; the package's own by default.
    """
    path = path or RESULTS
    if not path.exists():
        return Assessment(why="not studied yet")
    try:
        stored = read_json(path, error=LabError, remedy=COMMAND).data
        if (stored["format"], stored["generator"]) != (FORMAT, GENERATOR_VERSION):
            return Assessment(why="the stored study is of another version")
        return _of(stored, operator, size)
    except Exception as error:  # a release must not fail for want of a study
        return Assessment(why=f"the stored study can't be read: {type(error).__name__}")


def recommended(path: Path | None = None) -> str:
    """Name of the setting that the stored curve recommends; "" where there is no such curve."""
    try:
        stored = read_json(path or CURVE, error=LabError, remedy="").data
        same = stored["generator"] == GENERATOR_VERSION and stored["recommended"] in SETTINGS
    except (LabError, KeyError, TypeError):
        return ""
    return str(stored["recommended"]) if same else ""


def suggestion(operator: Operator, size: int) -> str:
    """One line that names the recommended setting; "" where it was chosen, or there is none."""
    best = recommended()
    if not best or setting(best) == (operator, size):
        return ""
    worst = assess(*setting(best)).together
    said = f": pictures together {worst}" if worst else ""
    return f"The study recommends --setting {best}{said}."


def named(name: str) -> tuple[Operator, int]:
    """Operator and size of a studied setting, or of the recommended one.

    Raises:
        LabError: no such setting, or nothing is recommended yet.
    """
    if name != RECOMMENDED:
        return setting(name)
    best = recommended()
    if not best:
        raise LabError(
            "no setting is recommended yet",
            where=CURVE,
            remedy="Run `python benchmarks/studies/curve.py run`, or name a setting.",
        )
    return setting(best)


def _of(stored: dict[str, Any], operator: Operator, size: int) -> Assessment:
    candidates = []
    for name, one in stored["settings"].items():
        off = differences(operator, size, Operator.from_dict(one["operator"]), one["pixels"])
        found = {
            k: Worst(str(one[k]["attack"]), *map(float, one[k]["rank1"]))
            for k in (ALONE, TOGETHER)
            if k in one
        }
        if found:  # of equally near ones the one that leaks more
            highest = max(worst.rank1 for worst in found.values())
            candidates.append(((sum(w for w, _ in off), -highest), name, one, off, found))
    if not candidates:
        return Assessment(why="not studied yet")
    _, name, one, off, found = min(candidates, key=lambda c: c[0])
    strongest = str(stored["settings"].get(DEFAULT, {}).get(ALONE, {}).get("attack", ""))
    return Assessment(
        setting=name,
        differs=tuple(said for _, said in off),
        alone=found.get(ALONE),
        together=found.get(TOGETHER),
        chance=float(one["chance"]),
        people=int(stored["people"]),
        views=int(stored["views"]),
        attacks=len(one["attacks"]),
        untried="" if strongest in ("", *one["attacks"]) else strongest,
        command=f"{COMMAND} --settings {name}",
    )


def differences(
    operator: Operator, size: int, other: Operator, pixels: int
) -> list[tuple[float, str]]:
    """How a setting differs from another: how far in each respect, and in words.

    The weights are a judgement: a halved size, a blur of one pixel, noise of 0.05, four times fewer
    levels and luma instead of colours each count as 1.
    """
    a, b, bits = operator, other, abs(_bits(operator.levels) - _bits(other.levels))
    rows: list[tuple[str, object, object, float]] = [
        ("size", size, pixels, abs(math.log2(size / pixels))),
        ("operator", a.kind, b.kind, 2.0),
    ]
    if a.kind == b.kind:
        rows.append(
            ("kernel", a.kernel_size, b.kernel_size, abs(a.kernel_size - b.kernel_size) / 4)
        )
        if a.kind in ("gaussian", "dog"):
            rows.append(("sigma", a.sigma, b.sigma, abs(a.sigma - b.sigma)))
    rows += [
        ("colours", _colours(a), _colours(b), 1.0),
        ("blur", a.blur, b.blur, abs(a.blur - b.blur)),
        ("noise", a.noise, b.noise, abs(a.noise - b.noise) / 0.05),
        ("levels", a.levels or "all", b.levels or "all", bits / 2),
        ("border", a.border, b.border, 0.25),
        ("background", a.background, b.background, 0.25),
        ("made small", a.downsample, b.downsample, 0.5),
    ]
    return [(w, f"{what} {x} here, {y} there") for what, x, y, w in rows if x != y]


def _colours(operator: Operator) -> str:
    return "R, G and B" if operator.per_channel else "luma"


def _bits(levels: int) -> float:
    """Of a level; beyond 8 it hardly matters."""
    return min(8.0, math.log2(levels)) if levels else 8.0
