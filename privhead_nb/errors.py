"""The one exception type a user meets: it says what was wrong, where, and what to do."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


class PrivheadError(Exception):
    """Something the user can mend.

    Args:
        problem: what is wrong, in one clause ("the image is truncated").
        where: the file, field or setting concerned.
        remedy: what to do about it.
    """

    def __init__(self, problem: str, *, where: str | Path | None = None, remedy: str = "") -> None:
        self.problem, self.where, self.remedy = problem, where, remedy
        text = f"{where}: {problem}" if where is not None else problem
        super().__init__(f"{text}. {remedy}" if remedy else text)


class SceneError(PrivheadError):
    """A scene folder, camera, image or mask is missing or wrong."""


class ReleaseError(PrivheadError):
    """A release is missing, edited, or not a release."""


class TrainingError(PrivheadError):
    """Training can't start, can't go on, or can't be resumed."""


class OutputError(PrivheadError):
    """A result can't be written; nothing half-written is left."""


class LabError(PrivheadError):
    """A study, attack or recogniser can't be run as asked."""


def check_choice(
    what: str,
    name: object,
    choices: Iterable[str],
    *,
    where: str | Path,
    error: type[PrivheadError],
) -> None:
    """Refuse a `name` that is none of the `choices`, which the message lists.

    Args:
        what: one of them in a word ("setting").
        where, error: of what is raised.
    """
    choices = list(choices)
    if name not in choices:
        remedy = f"{what.capitalize()}s: {', '.join(choices)}."
        raise error(f"there is no {what} {name!r}", where=where, remedy=remedy)


def no_folder(path: Path) -> str:
    """What is wrong with a path that should be a folder and is none."""
    # Path.is_file raises for names that are too long
    return "is a file, not a folder" if os.path.isfile(path) else "there is no such folder"  # noqa: PTH113


def listed(names: Iterable[str], most: int = 20) -> str:
    """The names for a message, with commas; above `most`, the first of them and a count."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
