"""What the stored studies say of a setting: every attack that applies, with its rate.

Two leaks are told apart. **Through shape**: what the promised mesh itself gives away, since a
faithful head identifies; moduli count here, because in one albedo for everybody they name nearly as
many. **Beyond shape**: colour, texture, marks, which a forger needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.assessment import ARTEFACTS, three
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.settings import DEFAULT, nearest
from privhead_nb.privacy.operators import Operator
from privhead_nb.reading import read_json

PICTURES = resources.RESULTS / "picture_attacks.json"
TWINS = resources.RESULTS / "beyond_shape.json"
TWINS_COMMAND = "python benchmarks/studies/beyond_shape.py run"
PICTURES_COMMAND = "python benchmarks/studies/picture_attacks.py"
ARTEFACTS_COMMAND = "python benchmarks/studies/artefact.py run"
SHAPE, BEYOND = "through shape", "beyond shape"
ONE_ALBEDO = "one albedo"
RENDERED = {
    "sensitive": (BEYOND, "renders of the field, at the released cameras"),
    "portraits": (BEYOND, "renders of the field, from the front"),
    "refit": (BEYOND, "colours fitted on the mesh to the moduli"),
    "plain": (SHAPE, "mesh in a mean skin, from the front"),
}
"""Pictures that the study made of a reconstruction: which leak, and what they are."""
Three = tuple[float, float, float]


@dataclass(frozen=True)
class Row:
    """A stored rate."""

    attack: str
    looks_at: str
    leak: str  # SHAPE or BEYOND
    rank1: Three  # share of probes whom it names first, and its 95 % interval
    chance: float  # what a guess gets
    people: int  # how many were looked for
    fnmr: Three | None = None  # share of mated pairs that it misses at an FMR of 1e-3
    note: str = ""


@dataclass(frozen=True)
class Rates:
    """What is stored of a setting."""

    setting: str = ""  # the studied one; "" where nothing is known
    differs: tuple[str, ...] = ()  # how the release's differs from it; empty where it is the same
    rows: tuple[Row, ...] = ()  # the worst first
    missing: tuple[dict[str, str], ...] = ()  # what is not stored: attack, why, command
    # what a forger looks at -> the share of the mean skin's colour error that the guess removes
    forger: dict[str, Three] = field(default_factory=dict)

    def of(self, leak: str) -> list[Row]:
        """The rows of a leak, the worst first."""
        return [row for row in self.rows if row.leak == leak]

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        rows = {leak: [asdict(row) for row in self.of(leak)] for leak in (SHAPE, BEYOND)}
        named = {"setting": self.setting, "differs": list(self.differs)}
        return {**named, "rows": rows, "forger": self.forger}


@dataclass
class _Found:
    """What is gathered on the way."""

    rows: list[Row] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)

    def lacks(self, attack: str, why: str, command: str) -> None:
        self.missing.append({"attack": attack, "why": why, "command": command})


def stored_rates(operator: Operator, size: int, *, neutral: bool, moduli: bool) -> Rates:
    """The stored rates of a setting, or of the nearest one that was studied.

    Args:
        operator, size: of the release.
        neutral, moduli: whether it has neutral views, and protected ones.
    """
    name, differs = nearest(operator, size)
    found = _Found()
    if moduli:
        _of_pictures(_stored(PICTURES, PICTURES_COMMAND, found), name, found)
    made = _stored(ARTEFACTS, ARTEFACTS_COMMAND, found)
    if neutral:
        found.rows += _of_neutral(made)
    if moduli:
        _of_heads(made, name, found)
    twins = _stored(TWINS, TWINS_COMMAND, found).get("parts", {})
    if moduli:
        _of_twins(twins, name, "protected pictures", found)
    if neutral:
        _of_twins(twins, "neutral", "neutral views", found)
    forger = {
        seen: three(guess.get("removed"))
        for seen, guess in twins.get("forger", {}).items()
        if name == DEFAULT and isinstance(guess, dict)
    }
    rows = sorted(found.rows, key=lambda row: (-row.rank1[0], -row.rank1[1]))
    known = {seen: three for seen, three in forger.items() if three is not None}
    return Rates(name if rows else "", differs, tuple(rows), tuple(found.missing), known)


def _stored(path: Any, command: str, found: _Found) -> dict[str, Any]:
    """A stored study; empty, and noted as missing, where it can't be read."""
    try:
        data = read_json(path, error=LabError, remedy=command).data
    except LabError as error:
        found.lacks(path.stem, str(error), command)
        return {}
    if data.get("generator") != GENERATOR_VERSION:
        found.lacks(path.stem, "the stored study is of another head generator", command)
        return {}
    return data


def _of_pictures(stored: dict[str, Any], name: str, found: _Found) -> None:
    """Attacks on protected pictures, all of a person together."""
    results = stored.get("results", {})
    here = {r["attack"]: r for r in results.values() if r["setting"] == name}
    tried = dict.fromkeys(r["attack"] for r in results.values())
    for attack in tried:
        if attack not in here:
            command = f"{PICTURES_COMMAND} --settings {name} --attacks {attack}"
            found.lacks(attack, f"not run at {name}", command)
            continue
        result = here[attack]
        whole, plain = result["whole"], result.get(ONE_ALBEDO, {})
        alone, together = three(whole.get("rank1")), three(whole.get("release"))
        if (worst := together or alone) is None:
            why = (whole.get("release") or {}).get("why", "it abstained")
            found.lacks(attack, why, PICTURES_COMMAND)
            continue
        tar, views = three(whole.get("tar")), int(result.get("views", 8))
        notes = [f"one picture alone, as in the FNMR: {percent(*alone)}" if alone else ""]
        if (same := three(plain.get("release"))) is not None:
            notes.append(f"one albedo for everybody: {percent(*same)}")
        found.rows.append(
            Row(
                attack,
                f"{views} protected pictures together",
                SHAPE,
                worst,
                float(result["chance"]),
                int(result["people"]),
                (1 - tar[0], 1 - tar[2], 1 - tar[1]) if tar else None,
                "; ".join(filter(None, notes)),
            )
        )


def _of_neutral(stored: dict[str, Any]) -> Iterator[Row]:
    """Attacks on neutral views, which no operator touches."""
    for attack, rates in stored.get("attacks", {}).get("neutral", {}).items():
        same = three(rates.get("one albedo, all views", {}).get("rank1"))
        note = f"one albedo for everybody: {percent(*same)}" if same else ""
        yield from _row(f"neutral views, {attack}", "neutral views", BEYOND, rates, note)


def _row(attack: str, looks_at: str, leak: str, rates: Any, note: str = "") -> Iterator[Row]:
    one = rates.get("whole, all views", rates)
    if (rank1 := three(one.get("rank1"))) is not None:
        fnmr = three(one.get("fnmr"))
        yield Row(
            attack, looks_at, leak, rank1, float(one["chance"]), int(one["probes"]), fnmr, note
        )


def _of_heads(stored: dict[str, Any], name: str, found: _Found) -> None:
    """Attacks on what anybody can make of a release: a mesh, and renders of a field."""
    attacks, before = stored.get("attacks", {}), len(found.rows)
    for attack, rates in attacks.get("shape", {}).items():
        found.rows += _row(attack, "mesh made of the release", SHAPE, rates.get(name, {}))
    for kind, (leak, looks_at) in RENDERED.items():
        each: list[Row] = []
        for recogniser, rates in attacks.get("pictures", {}).items():
            each += _row(recogniser, looks_at, leak, rates.get(name, {}).get(kind, {}))
        found.rows += sorted(each, key=lambda row: -row.rank1[0])[:1]
    if stored and len(found.rows) == before:
        command = f"{ARTEFACTS_COMMAND} --settings {name}"
        found.lacks("mesh, renders, fitted colours", f"not attacked at {name}", command)
        for attack, rates in attacks.get("shape", {}).items():
            if (three(rates.get(DEFAULT, {}).get("rank1")) or (0,))[0] == 1:
                found.missing[-1]["why"] += f"; at {DEFAULT}, {attack} names all of them"
                break


def _of_twins(parts: dict[str, Any], name: str, looks_at: str, found: _Found) -> None:
    """People of one shape told apart: what shape can't have given away."""
    part = parts.get(name, {})
    rank1 = three(part.get("together", {}).get("rank1"))
    if rank1 is None:
        if parts:
            why = f"not measured at {name}"
            found.lacks(f"twins, {looks_at}", why, f"{TWINS_COMMAND} --part {name}")
        return
    removed = three(part.get("albedo", {}).get("removed"))
    note = "named among 20 people of one shape in other colours"
    if removed:
        note += f"; the best guess removes {percent(*removed)} of the mean skin's colour error"
    found.rows.append(
        Row(
            f"twins, {looks_at}", f"{looks_at} together", BEYOND, rank1, float(part["chance"]),
            int(part["twins"]), three(part["together"].get("fnmr")), note,
        )
    )  # fmt: skip
