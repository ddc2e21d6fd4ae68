"""The arena's result as a table: the worst attack on each defence, beside what it leaves."""

from __future__ import annotations

from typing import Any

from privhead_nb.lab.intervals import percent


def worst(attacks: dict[str, Any], key: str = "one") -> tuple[str, list[float]]:
    """The attack that names most people, and its rate with interval."""
    known = {name: found[key] for name, found in attacks.items() if isinstance(found[key], list)}
    name = max(known, key=lambda attack: known[attack][0])
    return name, known[name]


def picture_only(attacks: dict[str, Any], key: str = "one") -> tuple[str, list[float]]:
    """The same of those that know nothing of the defence."""
    return worst({n: a for n, a in attacks.items() if "informed" not in n}, key)


def table(stored: dict[str, Any]) -> str:
    """All defences as Markdown."""
    lines = [
        "| defence | knows pictures only | informed, one picture | eight | faces found | pose, deg "
        "| expression | Frechet | ms a picture |",
        "| --- |" + " --- |" * 8,
    ]
    for name, found in stored["defences"].items():
        attacks, use = found["attacks"], found["utility"]
        cells = [
            f"**{name}**" if found["default"] else name,
            percent(*picture_only(attacks)[1]),
            percent(*worst(attacks)[1]),
            percent(*worst(attacks, "eight")[1]),
            percent(*use["cascade"]) if isinstance(use["cascade"], list) else "-",
            f"{use['pose_deg']:.1f}",
            f"{use['expression']:.3f}",
            f"{use['frechet']:.3f}",
            f"{found['milliseconds']:.1f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
