"""Which views are sensitive, neutral or unused: by file name, by file number, or by place.

A view goes out in colour only if it is neutral, and it is neutral only if somebody said so.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from privhead_nb.errors import SceneError
from privhead_nb.scenes.formats.parts import numbers_in

ROLES = ("sensitive", "neutral", "unused")
_NUMBERS = re.compile(r"(?:(file|position)\s*:)?\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")
_SHOWN = 20

Entry = int | str


def parse_views(text: str, names: Sequence[str]) -> tuple[int, ...]:
    """The views that a text such as "0-4,img_0007.png" names, sorted and each once.

    Between commas stand file names, patterns ("front_*.png"), numbers or ranges of numbers. After
    "file:" numbers are those in the file names, after "position:" places in the sorted list, from
    0. Plain numbers are taken only where both are the same.

    Raises:
        SceneError: no such notation, no such view, or numbers with two meanings.
    """
    known = _Known(names, "--sensitive")
    chosen: set[int] = set()
    kind = ""
    for part in map(str.strip, text.split(",")):
        match = _NUMBERS.fullmatch(part)
        if match is not None:
            kind = match[1] or kind  # a prefix holds for the numbers after it too
            part = part if match[1] or not kind else f"{kind}:{part}"
        chosen.update(known.views(part))
    return tuple(sorted(chosen))


def read_roles(
    lists: Mapping[str, Sequence[Entry] | None], names: Sequence[str], path: Path
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Sensitive and neutral views as scene.json's lists name them; the others are unused.

    Where only neutral views (and unused ones) are named, all others are sensitive.

    Args:
        lists: by role, numbers and file names; None where a role isn't given.
        names: file name of each view's picture.
        path: scene.json, for messages.

    Raises:
        SceneError: an unknown view, a view in two places, or views that no list names.
    """
    known = _Known(names, path)
    role: dict[int, str] = {}
    found: dict[str, list[int]] = {key: [] for key in ROLES}
    for key in ROLES:
        for entry in lists.get(key) or ():
            for view in known.views(entry):
                if view in role:
                    raise SceneError(
                        f"the view {names[view]} is named twice, under {role[view]} and {key}",
                        where=path,
                        remedy="A view is sensitive, neutral or unused: name it once.",
                    )
                role[view] = key
                found[key].append(view)
    left = [view for view in range(len(names)) if view not in role]
    if left and lists.get("sensitive") is None and lists.get("neutral") is not None:
        found["sensitive"] = left
    elif left:
        raise SceneError(
            f"{len(left)} views have no role: {listed(names[v] for v in left)}",
            where=path,
            remedy="Name each under views as neutral, sensitive or unused; a view goes out in "
            "colour only if its name stands under neutral.",
        )
    return tuple(found["sensitive"]), tuple(found["neutral"])


def listed(names: Iterable[str]) -> str:
    """The names, with commas; the first of them and a count where there are many."""
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def file_numbers(names: Sequence[str]) -> list[int] | None:
    """The one number in each name that differs from file to file, None where there is none."""
    rows = [numbers_in(Path(name)) for name in names]
    if not rows or len({len(row) for row in rows}) != 1:
        return None
    columns = [list(column) for column in zip(*rows, strict=True)]
    varying = [column for column in columns if len(set(column)) > 1]
    if len(names) == 1:
        varying = columns
    return varying[0] if len(varying) == 1 else None


class _Known:
    """The views of a scene by file name, file number and place; `where` is for messages."""

    def __init__(self, names: Sequence[str], where: str | Path) -> None:
        self.names, self.where = names, where
        self.place = {name: view for view, name in enumerate(names)}
        self.numbers = file_numbers(names)
        digits = any(numbers_in(Path(name)) for name in names)
        self.plain = not digits or self.numbers == list(range(len(names)))

    def views(self, entry: Entry) -> list[int]:
        """The views that a number, a range, a file name or a pattern names."""
        text = str(entry)
        match = _NUMBERS.fullmatch(text)
        if match is not None:
            return self._numbered(match[1], int(match[2]), int(match[3] or match[2]), text)
        if text in self.place:
            return [self.place[text]]
        if views := [v for v, name in enumerate(self.names) if text and fnmatchcase(name, text)]:
            return views
        near = difflib.get_close_matches(text[:100], self.names, 1)
        hint = f"Did you mean {near[0]}?" if near else f"The pictures are {listed(self.names)}."
        raise SceneError(f"there is no view {text[:100]!r}", where=self.where, remedy=hint)

    def _numbered(self, kind: str | None, first: int, last: int, said: str) -> list[int]:
        places = f'"position:0-{len(self.names) - 1}" for places in the sorted list'
        if kind is None and not self.plain:
            by_file = ""
            if self.numbers is not None:
                low, high = min(self.numbers), max(self.numbers)
                by_file = f'"file:{low}-{high}" for the numbers in the file names, '
            raise SceneError(
                f"view {said} has two meanings: the pictures, {listed(self.names)}, aren't "
                "numbered by their places 0, 1, 2, ...",
                where=self.where,
                remedy=f"Write {by_file}{places}, or file names.",
            )
        if kind == "file" and self.numbers is None:
            raise SceneError(
                f"can't read {said!r}: no single number tells the file names apart",
                where=self.where,
                remedy=f"Write {places}, or file names.",
            )
        if kind == "file" and self.numbers is not None:
            low, high = min(self.numbers), max(self.numbers)
            views = [v for v, number in enumerate(self.numbers) if first <= number <= last]
        else:
            low, high = 0, len(self.names) - 1
            views = list(range(first, min(last, high) + 1))
        if not views or first < low or last > high:
            raise SceneError(
                f"there is no view {said} of {len(self.names)} views",
                where=self.where,
                remedy=f"They are numbered {low} to {high}.",
            )
        return views
