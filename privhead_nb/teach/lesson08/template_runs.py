"""The stored runs of `benchmarks/studies/template.py`, as lesson 8 asks for them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from privhead_nb import resources

FILE = resources.RESULTS / "templates.json"
STARTS = (
    "the template itself",
    "stage 1, then 2",
    "longer stage 1, then 2",
    "mean template",
    "trained template",
    "template, stage 1, then 2",
    "sphere",
    "at once on the template",
    "at once on a sphere",
)
NEUTRAL = ("15", "10", "5", "2", "5 in a narrow arc")
USUAL = {"neutral": "10", "sensitive": 20, "size": 64}

Run = dict[str, Any]


@cache
def stored() -> list[Run]:
    """All runs, head by head."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    return sorted(found.values(), key=lambda r: (r["head"], r["seed"]))


def runs(**wanted: Any) -> list[Run]:
    """The runs with these settings; what isn't named is as usual (10 + 20 views of 64 pixels)."""
    asked = USUAL | wanted
    return [r for r in stored() if all(v is None or r[k] == v for k, v in asked.items())]


def value(run: Run, path: str) -> float:
    """A number of a run, "final.face_mm"."""
    found: Any = run
    for part in path.split("."):
        found = found[part]
    return float(found)


def of_heads(path: str, **wanted: Any) -> dict[str, float]:
    """Head -> mean over its seeds."""
    by_head: dict[str, list[float]] = {}
    for run in runs(**wanted):
        by_head.setdefault(run["head"], []).append(value(run, path))
    return {head: float(np.mean(values)) for head, values in by_head.items()}


def common(
    path: str, setting: str, options: Sequence[Any], **wanted: Any
) -> tuple[dict[Any, float], list[str]]:
    """Option -> mean over those heads that were run with every option; and these heads.

    Heads differ more than settings do, so a mean over other heads would say nothing.
    """
    found = {option: of_heads(path, **wanted, **{setting: option}) for option in options}
    heads = sorted(set.intersection(*(set(values) for values in found.values())))
    return {o: float(np.mean([values[h] for h in heads])) for o, values in found.items()}, heads


def interval(values: Any) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval by Student's t; nan for a single value."""
    from scipy.stats import t

    numbers = np.asarray(list(values), dtype=float)
    if len(numbers) < 2:
        return float(numbers.mean()), float("nan")
    error = numbers.std(ddof=1) / np.sqrt(len(numbers))
    return float(numbers.mean()), float(t.ppf(0.975, len(numbers) - 1) * error)


def differences(path: str, start: str, other: str, **wanted: Any) -> list[float]:
    """`start` minus `other`, head by head and seed by seed, where both were run."""
    pairs = {(r["head"], r["seed"]): r for r in runs(start=other, **wanted)}
    return [
        value(r, path) - value(pairs[r["head"], r["seed"]], path)
        for r in runs(start=start, **wanted)
        if (r["head"], r["seed"]) in pairs
    ]


def table(paths: dict[str, str], starts: Sequence[str] = STARTS) -> str:
    """A line for each start: the mean of each number over the heads that all starts were run with.

    Args:
        paths: heading of a column -> path of the number.
    """
    columns = [common(path, "start", starts) for path in paths.values()]
    heads = columns[0][1]
    title = f"mean of heads {', '.join(heads)}"
    lines = [f"{title:<28}" + "".join(f"{n:>15}" for n in paths)]
    for start in starts:
        lines.append(f"{start:<28}" + "".join(f"{means[start]:>15.2f}" for means, _ in columns))
    return "\n".join(lines)
