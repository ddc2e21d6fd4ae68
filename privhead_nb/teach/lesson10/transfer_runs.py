"""The stored study of appearance transfer, as lesson 10 asks for it, and the paper's six figures.

`python benchmarks/studies/tables.py appearance` makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from privhead_nb.resources import RESULTS
from privhead_nb.teach import lab_runs
from privhead_nb.teach.lab_runs import TABLES

PICTURE = RESULTS / "transfer.png"
COMMAND = "python benchmarks/studies/tables.py appearance"
ARMS = (
    "generator",
    "full-RGB shapes, same point",
    "full-RGB shapes, nearest surface point",
    "our shapes, same point",
    "our shapes, nearest surface point",
)
PAPER: tuple[tuple[int, int, float, float], ...] = (
    (401, 429, 0.6360, 0.2570),
    (401, 491, 0.4295, 0.1109),
    (429, 401, 0.4728, 0.2308),
    (429, 491, 0.5468, 0.2183),
    (491, 429, 0.5964, 0.1534),
    (491, 401, 0.4804, 0.2512),
)
"""arXiv, Fig. 12: who gave geometry and radiance, cosine distance to either; all of the first are
"False", all of the second "True"."""
Three = tuple[float, float, float]
Part = Mapping[str, Any]


def stored(file: Path = TABLES) -> Part | None:
    """The study's part "appearance": recogniser -> arm -> rates; None while there is none."""
    return lab_runs.stored(file).get("appearance")


def recognisers(part: Part) -> list[str]:
    """Those that the study asked."""
    return [k for k, v in part.items() if isinstance(v, dict) and "own shape and colours" in v]


def three(value: Any) -> Three | None:
    """Value, low, high of a stored rate or mean; None where it was not known."""
    if not isinstance(value, list) or len(value) != 3:
        return None
    return float(value[0]), float(value[1]), float(value[2])


def rate(part: Part, recogniser: str, arm: str, what: str) -> Three | None:
    """What the study stored of an arm: "to_geometry", "radiance_nearer", "named_radiance", ..."""
    return three(part[recogniser].get(arm, {}).get(what))


def side(share: Three | None) -> str:
    """Which a share of pictures nearer to the colours' person tells for: the interval decides."""
    if share is None:
        return "not known"
    _, low, high = share
    return "colours" if low > 0.5 else "shape" if high < 0.5 else "undecided"


def table(part: Part | None) -> str:
    """A line for each recogniser and arm: nearer to the colours' person, with its interval."""
    if part is None:
        return f"not stored yet: {COMMAND}"
    lines = [f"{'':>50} nearer to the colours' person"]
    for name in recognisers(part):
        for arm in ARMS:
            share = rate(part, name, arm, "radiance_nearer")
            if share is not None:
                value, low, high = share
                told = f"{value:4.0%} ({low:.0%} to {high:.0%}): {side(share)}"
                lines.append(f"{name:>11}, {arm:<38} {told}")
    return "\n".join(lines)


def named(part: Part) -> str:
    """A line for each recogniser and two arms: how often shape's and colours' person is named."""
    lines = [" " * 48 + "the shape's person  the colours' person"]
    for name in recognisers(part):
        for arm in ARMS[:2]:
            both = [rate(part, name, arm, f"named_{whose}") for whose in ("geometry", "radiance")]
            told = [f"{v:.0%} ({low:.0%} to {high:.0%})" for v, low, high in filter(None, both)]
            lines.append(f"{name:>11}, {arm:<35}{told[0]:<20}{told[-1]}")
    return "\n".join(lines)
