"""Privacy beside utility of `studies/defence.py`: which candidates meet the rule, and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.studies.curve import TOLERANCE
from benchmarks.studies.defence_candidates import DEFAULT
from privhead_nb.lab.intervals import percent

HALF = 0.5
"""What may be left of the default's leak beyond shape, where a candidate is found."""
RATIOS = ("chamfer_ratio", "normals_ratio")
LESS = 0.9
"""Of candidates that leave more than this of it, no head is reconstructed."""
NEAR = 1.25
"""Errors over the default's, on few people, up to which a candidate may be a finalist."""
RULE = f"at most {HALF} of {DEFAULT}'s leak beyond shape is left, errors are at most {TOLERANCE} x"


def left(beyond: dict[str, Any], plain: dict[str, Any]) -> float:
    """The share of the default's leak beyond shape that is left: the worst of three figures.

    Rank-1 among twins of one picture and of eight together, less chance, and the share of the mean
    skin's colour error that the best guess removes.
    """
    shares = [_share(beyond[key]["rank1"][0], plain[key]["rank1"][0], plain["chance"])
              for key in ("one", "together")]  # fmt: skip
    read = _share(beyond["albedo"]["removed"][0], plain["albedo"]["removed"][0], 0.0)
    return max(*shares, read)


def _share(own: float, plain: float, chance: float) -> float:
    return round(max(0.0, own - chance) / max(1e-6, plain - chance), 4)


def worse(shape: dict[str, Any]) -> float:
    """The larger of a candidate's two errors over the default's."""
    return float(max(shape["chamfer_ratio"][0], shape["normals_ratio"][0]))


def leaks_less(leaks: dict[str, Any], name: str) -> bool:
    """Whether less than LESS of the default's leak beyond shape is left."""
    return left(leaks[name]["beyond"], leaks[DEFAULT]["beyond"]) < LESS


def finalists(leaks: dict[str, Any], shape: dict[str, Any], count: int) -> list[str]:
    """The candidates that leak least beyond shape, of those of little error that leak less."""
    able = [n for n in shape if n in leaks and n != DEFAULT and worse(shape[n]) <= NEAR]
    plain = leaks[DEFAULT]["beyond"]
    return sorted(able, key=lambda n: left(leaks[n]["beyond"], plain))[:count]


def found(stored: dict[str, Any]) -> list[str]:
    """The finalists that meet the rule."""
    ends = stored["finalists"]
    return [
        name
        for name, end in ends.items()
        if name != DEFAULT
        and left(end["beyond"], ends[DEFAULT]["beyond"]) <= HALF
        and worse(end["shape"]) <= TOLERANCE
    ]


# What it says -------------------------------------------------------------------------------------


def table(stored: dict[str, Any]) -> str:
    """The front as Markdown: candidates by how much of the leak beyond shape is left."""
    every = stored["candidates"]
    plain = every[DEFAULT]["beyond"]
    lines = [
        "| candidate | twins, one picture | twins, eight | colour read | left "
        "| people, eight | distance | normals |",
        "| --- |" + " --- |" * 7,
    ]
    for name in sorted(every, key=lambda n: -left(every[n]["beyond"], plain)):
        one = every[name]
        cells = [
            f"{name}: {one['what']}",
            *(percent(*one["beyond"][key]["rank1"]) for key in ("one", "together")),
            percent(*one["beyond"]["albedo"]["removed"]),
            f"{left(one['beyond'], plain):.2f}",
            percent(*one["named"]["together"]),
            *(_said(one["shape"] and one["shape"][key]) for key in RATIOS),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for name, shape in stored["bounds"].items():
        errors = (_said(shape[key]) for key in RATIOS)
        lines.append(f"| {name} |  |  |  |  |  | {' | '.join(errors)} |")
    return "\n".join(lines)


def table_of_finalists(stored: dict[str, Any]) -> str:
    """The finalists, by more budget, as Markdown, and the verdict."""
    ends = stored["finalists"]
    lines = [
        "| | one picture | eight | colour read | left | people, informed, one | eight "
        "| distance | normals |",
        "| --- |" + " --- |" * 8,
    ]
    for name, end in ends.items():
        cells = [
            name,
            *(percent(*end["beyond"][key]["rank1"]) for key in ("one", "together")),
            percent(*end["beyond"]["albedo"]["removed"]),
            f"{left(end['beyond'], ends[DEFAULT]['beyond']):.2f}",
            *(percent(*end["informed"][key]) for key in ("one", "together")),
            *(_said(end["shape"][key]) for key in RATIOS),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", verdict(stored)])


def verdict(stored: dict[str, Any]) -> str:
    """What the rule gives, in a sentence."""
    tried = len(stored["candidates"]) - 1
    if not stored["found"]:
        return f"None of {tried} tried meets the rule: {stored['rule']}."
    return f"Of {tried} tried, {', '.join(stored['found'])}: {stored['rule']}."


def _said(value: Sequence[float] | None) -> str:
    if value is None:
        return "-"
    middle, low, high = (f"{v:.2f}" for v in value)
    return f"{middle} ({low} to {high})"
