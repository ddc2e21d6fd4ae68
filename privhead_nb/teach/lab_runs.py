"""Stored results of the privacy lab, as lesson 9 asks for them: attacks, tables, swaps, the curve.

What was never run, or is not stored yet, is None, so that a lesson can say so; what was run and
has no value says why.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from privhead_nb.lab import curve as lab_curve
from privhead_nb.lab.albums import VARIANTS
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.settings import SETTINGS
from privhead_nb.lab.tables import KINDS
from privhead_nb.resources import RESULTS

ATTACKS = RESULTS / "picture_attacks.json"
TABLES = RESULTS / "tables.json"
SWAPS = RESULTS / "swaps.png"
WORST = "worst of all"

NAMES = {
    "shown": "clean network, shown",
    "shown-inverted": "clean network, inverted",
    "shown-hog": "hog_lda, shown",
    "parrot-classical": "parrot, classical",
    "parrot-cnn": "parrot, network",
    "parrot-two-stems": "parrot, two networks",
    "parrot-informed": "parrot, informed",
    "inversion": "learned inversion",
}
"""Attacks in words, in the order in which a menu has them."""

TAKEN = {"one picture": "rank1", "eight together": "release"}
"""How many pictures of a person are asked about, and what the study calls the rate."""


@dataclass(frozen=True)
class Stored:
    """A stored rate or mean.

    Attributes:
        value, low, high: with its 95 % interval; NaN where it is not known.
        why: the reason then.
        source: the attack that it belongs to, where there is one.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    why: str = ""
    source: str = ""

    @property
    def known(self) -> bool:
        """There is a value."""
        return not math.isnan(self.value)

    def __str__(self) -> str:
        if not self.known:
            return f"not known: {self.why}"
        return percent(self.value, self.low, self.high)


def read(found: Any, source: str = "") -> Stored:
    """A rate as the lab's studies write it: [value, low, high], {"why": ...}, or words."""
    if isinstance(found, list) and len(found) == 3:
        low, high = (math.nan if v is None else float(v) for v in found[1:])
        return Stored(float(found[0]), low, high, source=source)
    why = found.get("why", "") if isinstance(found, dict) else str(found)
    return Stored(math.nan, why=why, source=source)


def stored(file: Path) -> dict[str, Any]:
    """What a study wrote; nothing before it was run."""
    if not file.is_file():
        return {}
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


# Attacks on pictures ------------------------------------------------------------------------------


@cache
def _attacks() -> dict[str, Any]:
    return stored(ATTACKS)


def people() -> int:
    """In the study's gallery: one over chance."""
    return int(_attacks()["size"]["people"])


def settings() -> list[str]:
    """The study's settings, in the lab's order."""
    found = {one["setting"] for one in _attacks()["results"].values()}
    return [name for name in SETTINGS if name in found]


def attacks() -> list[str]:
    """The attacks that were run at one setting at least."""
    found = {one["attack"] for one in _attacks()["results"].values()}
    return [name for name in NAMES if name in found]


def rate(setting: str, attack: str, seen: str = VARIANTS[0], taken: str = "one picture") -> Stored:
    """Rank-1 of an attack at a setting, or of the strongest there.

    Args:
        setting: one of `settings`.
        attack: one of `attacks`, or WORST.
        seen: one of the album's variants.
        taken: one of TAKEN.
    """
    if attack == WORST:
        found = [rate(setting, one, seen, taken) for one in attacks()]
        return max(found, key=lambda r: r.value if r.known else -1.0)
    one = _attacks()["results"].get(f"{setting}.{attack}")
    if one is None:
        return Stored(math.nan, why="not run at this setting", source=attack)
    return read(one[seen][TAKEN[taken]], attack)


def card(setting: str, attack: str) -> dict[str, Any] | None:
    """What an attack at a setting knew, learned from and cost; None where it was not run."""
    one = _attacks()["results"].get(f"{setting}.{attack}")
    return None if one is None else one["card"]


def tried(setting: str) -> int:
    """How many attacks were run at a setting."""
    return sum(one["setting"] == setting for one in _attacks()["results"].values())


# Tables -------------------------------------------------------------------------------------------


@cache
def _tables() -> dict[str, Any]:
    return stored(TABLES)


def part(name: str) -> dict[str, Any] | None:
    """A part of the tables as stored, "table2" or "face_swap"; None before it was run."""
    return _tables().get(name)


def missing(name: str) -> str:
    """What to run for a part of the tables that is not stored yet; "" where it is."""
    if part(name) is not None:
        return ""
    return f"not stored yet: python benchmarks/studies/tables.py {name}"


def table2(measure: str = "verified") -> dict[str, dict[str, Stored]] | None:
    """Recogniser -> kind of picture -> one of an entry's measures; None before it was run."""
    found = part("table2")
    if found is None:
        return None
    return {
        name: {kind: read(entry[measure]) for kind, entry in asked.items()}
        for name, asked in found["recognisers"].items()
    }


def by_kind(measure: str = "verified") -> dict[str, dict[str, Stored]]:
    """Kind of picture -> recogniser -> a measure; kinds of nothing before Table 2 was run."""
    ours = table2(measure) or {}
    return {kind: {name: asked[kind] for name, asked in ours.items()} for kind in KINDS}


def swaps(tool: str, measure: str = "as_target") -> dict[str, dict[str, Stored]] | None:
    """Kind of picture of the target -> recogniser -> a measure of a tool's swaps; None if absent.

    Args:
        tool: "pair", "prior, injected", "prior, adapted"; or ", colours of the actor" behind it.
        measure: "as_target", "as_actor", "nearer", "to_target" or "to_actor".
    """
    found = part("face_swap")
    if found is None or tool not in found["tools"]:
        return None
    return {
        kind: {name: read(score[measure]) for name, score in asked.items()}
        for kind, asked in found["tools"][tool].items()
    }


# The curve ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spot:
    """A setting on the curve: what it leaks, and what it costs.

    Attributes:
        name: of the setting.
        shape: distance of reconstructed heads from the truth, mm.
        alone, together: rank-1 of the strongest attack; None for pictures that are not protected.
        recommended: by the curve's rule.
    """

    name: str
    shape: Stored
    alone: Stored | None
    together: Stored | None
    recommended: bool = False

    def leak(self, taken: str) -> Stored | None:
        """`alone` or `together`, by the words of TAKEN."""
        return self.alone if taken == "one picture" else self.together


@cache
def curve(path: Path = lab_curve.RESULTS) -> tuple[Spot, ...] | None:
    """The stored curve, in its order; None before it was made."""
    if not path.is_file():
        return None
    found, best = lab_curve.read(path)
    return tuple(
        Spot(
            p.name,
            Stored(*p.chamfer_mm),
            None if p.alone is None else Stored(*p.alone),
            None if p.together is None else Stored(*p.together),
            p.name == best,
        )
        for p in found
    )
