"""What the stored studies say of a setting of `protect`: the strongest attack over all it gives.

`privhead study privacy --store benchmarks/results/privacy.json` writes what is known of released
pictures; `results/artefacts.json`, of `python benchmarks/studies/artefact.py run`, has the rest of
a release and what is made of it. A setting that was not studied gets the nearest one that was, and
is told so.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.settings import DEFAULT, SETTINGS, differences, setting
from privhead_nb.privacy.operators import Operator
from privhead_nb.reading import read_json

FORMAT = 2
RESULTS = resources.RESULTS / "privacy.json"
ARTEFACTS = resources.RESULTS / "artefacts.json"
ALONE, TOGETHER = "alone", "together"
FMR = 1e-3
"""Of the FNMR that stands beside rank-1."""
COMMAND = "privhead study privacy"


@dataclass(frozen=True)
class Worst:
    """The strongest attack, and the share of probes whom it names first, with a 95 % interval.

    `people` were tried; `fnmr` is the share of mated pairs that it misses at FMR, with its
    interval, and None where that was not measured.
    """

    attack: str
    rank1: float
    low: float
    high: float
    people: int = 0
    fnmr: tuple[float, float, float] | None = None

    def __str__(self) -> str:
        missed = "" if self.fnmr is None else f" (FNMR {self.fnmr[0]:.0%} at FMR {FMR:.1%})"
        return f"{self.rank1:.0%} ({self.low:.0%} to {self.high:.0%}) by {self.attack}{missed}"


@dataclass(frozen=True)
class Assessment:
    """What is known of a setting, or why nothing is."""

    setting: str = ""  # name of the studied setting; "" where there is none
    # how the chosen setting differs from it; empty where it is the very same.
    differs: tuple[str, ...] = ()
    # alone, together: against one protected picture, and against `views` of one person.
    alone: Worst | None = None
    together: Worst | None = None
    # over neutral views and, where attacked at this setting, mesh, renders and fitted colours.
    artefacts: Worst | None = None
    # over these of the paper's default, where they were not attacked at this setting.
    elsewhere: Worst | None = None
    chance: float = math.nan  # what a guess gets among `people` in the gallery
    people: int = 0
    views: int = 0
    attacks: int = 0  # how many were tried at this setting
    # the strongest attack on the paper's default, where it was not tried at this one.
    untried: str = ""
    command: str = COMMAND  # that measures it again
    why: str = ""  # the reason, where nothing is known

    @property
    def worst(self) -> Worst | None:
        """The strongest attack over everything that is released, or made of it."""
        known = [w for w in (self.artefacts, self.together, self.alone) if w is not None]
        return max(known, key=lambda w: w.rank1, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        if self.why:
            return {"why": self.why, "command": self.command}
        return asdict(self) | {"worst": self.worst and asdict(self.worst)}

    def __str__(self) -> str:
        """Two lines or more, the worst first."""
        if self.why:
            return f"Study: not known how well this protects ({self.why}). See: {self.command}"
        near = ""
        if self.differs:
            near = (
                f"This setting was not studied; {self.setting} is the nearest "
                f"({'; '.join(self.differs)})."
            )
        worst = f"Study ({self.setting}): the strongest attack measured on all it gives away names "
        worst += f"{self.worst}"
        if self.worst is self.artefacts and self.worst is not None and self.worst.people:
            worst += f", of {self.worst.people} people"
        taken = {"one picture": self.alone, f"{self.views} pictures": self.together}
        rates = "; ".join(f"{name} {found}" for name, found in taken.items() if found)
        lines = [
            near,
            f"{worst}.",
            f"Its pictures, {self.people} made people, worst of {self.attacks} attacks: {rates}; "
            f"chance {self.chance:.2g}. See: {self.command}",
        ]
        if self.untried:
            lines.append(f"{self.untried}, the strongest on {DEFAULT}, was not tried there.")
        if self.elsewhere:
            lines.append(f"Its mesh was not attacked. That of {DEFAULT}: {self.elsewhere}.")
        return "\n".join(filter(None, lines))


def assess(operator: Operator, size: int) -> Assessment:
    """What the stored studies say of a release's operator and size; nothing is raised."""
    if not RESULTS.exists():
        return Assessment(why="not studied yet")
    try:
        stored = read_json(RESULTS, error=LabError, remedy=COMMAND).data
        if (stored["format"], stored["generator"]) != (FORMAT, GENERATOR_VERSION):
            return Assessment(why="the stored study is of another version")
        return _of(stored, operator, size, _artefacts())
    except Exception as error:  # a release must not fail for want of a study
        return Assessment(why=f"the stored study can't be read: {type(error).__name__}")


def named(name: str) -> tuple[Operator, int]:
    """Operator and size of a studied setting.

    Raises:
        LabError: no such setting.
    """
    if name == "recommended":  # an option of earlier versions
        raise LabError(
            "no setting is recommended: at each one that was studied an attack names most people",
            where="--setting",
            remedy=f"Name one: {', '.join(SETTINGS)}. {DEFAULT} is the paper's default.",
        )
    return setting(name)


def worst_artefact(stored: dict[str, Any], name: str) -> Worst | None:
    """The strongest attack on what a release of a setting holds or gives, but for its pictures.

    Neutral views, which no operator touches, count at every setting; meshes, renders and fitted
    colours where they were made and attacked.

    Args:
        stored: artefacts.json.
        name: of the setting.
    """
    found = [
        _worst(f"neutral views: {attack}", rates["whole, all views"], "probes")
        for attack, rates in stored.get("attacks", {}).get("neutral", {}).items()
    ]
    if made := stored.get("heads", {}).get(name):
        rate = {"rank1": made["worst_rank1"], "people": len(made["people"])}
        found.append(_worst(made["worst_attack"], rate, "people"))
    return max(found, key=lambda worst: worst.rank1, default=None)


def _worst(attack: str, stored: dict[str, Any], people: str) -> Worst:
    rank1, low, high = map(float, stored["rank1"])
    return Worst(attack, rank1, low, high, int(stored[people]), three(stored.get("fnmr")))


def _artefacts() -> dict[str, Any]:
    """The study of artefacts; empty where it isn't there, or of another generator."""
    if not ARTEFACTS.exists():
        return {}
    stored: dict[str, Any] = read_json(ARTEFACTS, error=LabError, remedy="").data
    return stored if stored["generator"] == GENERATOR_VERSION else {}


def _of(
    stored: dict[str, Any], operator: Operator, size: int, artefacts: dict[str, Any]
) -> Assessment:
    candidates = []
    for name, one in stored["settings"].items():
        off = differences(operator, size, Operator.from_dict(one["operator"]), one["pixels"])
        found = {
            k: _worst(str(one[k]["attack"]), one[k] | {"people": stored["people"]}, "people")
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
    made = artefacts.get("heads", {})
    other = DEFAULT in made and name not in made
    return Assessment(
        setting=name,
        differs=tuple(said for _, said in off),
        alone=found.get(ALONE),
        together=found.get(TOGETHER),
        artefacts=worst_artefact(artefacts, name),
        elsewhere=worst_artefact(artefacts, DEFAULT) if other else None,
        chance=float(one["chance"]),
        people=int(stored["people"]),
        views=int(stored["views"]),
        attacks=len(one["attacks"]),
        untried="" if strongest in ("", *one["attacks"]) else strongest,
        command=f"{COMMAND} --settings {name}",
    )


def three(rate: Any) -> tuple[float, float, float] | None:
    """A stored rate and its interval; None where it was not measured, or abstained."""
    if not isinstance(rate, list):
        return None
    value, low, high = map(float, rate)
    return value, low, high
