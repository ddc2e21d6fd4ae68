"""Targets: what a run may write to, asked before the work, and what a killed one left there.

A killed writer leaves hidden files beside its target: `.NAME.PID.part`, the new one, and
`.NAME.PID.old`, what it was to replace. The next writer of the same target removes them.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from privhead_nb.errors import OutputError

SOURCES = (
    "scene.json",
    "release.json",
    "cameras.npz",
    "cameras_sphere.npz",
    "transforms.json",
    "transforms_train.json",
    "sparse/0",  # COLMAP
)
"""Files by which a scene or a release is known."""
OURS = b"privhead"
"""Stands near the start of pictures and JSON files that a command may write over."""


def explain(error: OSError, target: Path) -> OutputError:
    """What to raise for the operating system's refusal to write `target`."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            problem = "the disk is full"
            remedy = "Free some space or name a target on another disk; nothing was left behind."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            problem = "no permission to write here"
            remedy = "Name a target in a folder that you may write to."
        case errno.ENAMETOOLONG:
            problem, remedy = "the name is too long", "Name a target with a shorter name."
        case errno.EEXIST | errno.ENOTDIR:
            problem, remedy = "a file is in the way", "Name another target."
        case _:
            problem = f"could not be written ({error.strerror or error})"
            remedy = "Check that the path exists and is on a working disk; nothing was left behind."
    return OutputError(problem, where=target, remedy=remedy)


def resolved(target: str | Path) -> Path:
    """The absolute path that is written to: links are followed, and stay."""
    try:
        path = Path(target).resolve()
        with suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(path)  # a name that is too long raises here, and nowhere later
        return path
    except OSError as error:
        raise explain(error, Path(target)) from error
    except (RuntimeError, ValueError) as error:  # a loop of links, a zero byte
        raise OutputError(
            f"is no path that can be written to ({error})",
            where=repr(str(target)),
            remedy="Name another target.",
        ) from error


def check_target(target: str | Path, *, overwrite: bool) -> None:
    """Refuse a folder that can't be written, or holds something, before the work.

    Raises:
        OutputError: it says why.
    """
    refuse_occupied(check_place(target), overwrite=overwrite)


def check_file_target(target: str | Path) -> None:
    """Refuse a file that can't be written, or that is there and isn't ours, before the work.

    Raises:
        OutputError: it says why.
    """
    path = check_place(target)
    if path.is_dir():
        raise OutputError("is a folder, not a file", where=target, remedy="Name a file in it.")
    if path.exists() and not _ours(path):
        raise OutputError(
            "is there already, and was not written by this package",
            where=target,
            remedy="Name another file, or remove this one.",
        )


def refuse_inside_sources(target: str | Path, sources: Iterable[str | Path] = ()) -> None:
    """Refuse a target that lies in a scene or release, or lies in, is or holds one of `sources`.

    Raises:
        OutputError: it would change what it is made from.
    """
    path = resolved(target)
    for source in map(resolved, sources):
        if path == source or path in source.parents or source in path.parents:
            raise OutputError(
                f"would be written into, or over, {source.name}, which it is made from",
                where=target,
                remedy="Name a folder outside of it.",
            )
    for parent in path.parents:
        found = next((name for name in SOURCES if (parent / name).exists()), None)
        if found is not None:
            raise OutputError(
                f"lies in a scene or release (which has a {found}); nothing is written there",
                where=target,
                remedy=f"Name a target outside of {parent}.",
            )


def refuse_occupied(target: Path, *, overwrite: bool) -> None:
    """Raise OutputError where `target` is a file, or holds something that may not be replaced."""
    if target.exists() and not target.is_dir():
        raise OutputError("is a file, not a folder", where=target, remedy="Name another target.")
    if overwrite:
        return
    if target.exists() and contents(target):
        raise OutputError(
            "the target folder is not empty",
            where=target,
            remedy="Name an empty or new folder, or pass --overwrite to replace this one.",
        )
    for old in left_over(target):
        if old.suffix == ".old":
            raise OutputError(
                f"a run that was killed moved what was here to {old.name}",
                where=target,
                remedy=f"Rename {old} back to {target.name} to keep it, or pass --overwrite.",
            )


def refuse_foreign(target: Path, own: re.Pattern[str], what: str) -> None:
    """Refuse to replace a folder that holds an entry which is no part of `what` was written there.

    Args:
        target: a folder, or nothing yet.
        own: fits the paths in it, with slashes, of what is written there; a scene.json is among it.
        what: for the message, "an export".

    Raises:
        OutputError: names the first such entry; all of them are, where there is no scene.json.
    """
    names = sorted(path.relative_to(target).as_posix() for path in target.rglob("*"))
    foreign = (
        [name for name in names if not own.fullmatch(name)] if "scene.json" in names else names
    )
    if foreign:
        raise OutputError(
            f"holds {foreign[0]!r}, which is no part of {what} and would be lost",
            where=target,
            remedy="Name a new folder, or remove this one yourself.",
        )


def left_over(target: str | Path) -> list[Path]:
    """What killed writers of a folder or file left: hidden, beside it or, of a mount, in it."""
    path = resolved(target)
    stem = re.escape(path.name)
    of_file = rf"|\.{re.escape(path.stem)}\.\d+\.part{re.escape(path.suffix)}"
    pattern = re.compile(
        rf"\.{stem}\.(\d+|[a-z0-9_]{{8}})\.(part|old){of_file if path.suffix else ''}"
    )
    found: list[Path] = []
    for folder in (path.parent, path):
        with suppress(OSError):
            found += [p for p in folder.iterdir() if pattern.fullmatch(p.name)]
    return sorted(found)


def contents(folder: Path) -> list[Path]:
    """What a folder holds besides our own lock and leftovers."""
    own = {*left_over(folder), *lock_files(folder)}
    return [path for path in folder.iterdir() if path not in own]


def check_place(target: str | Path) -> Path:
    """The absolute path that is written to, if that can be.

    Raises:
        OutputError: its names are too long, or its place is a file, closed to us, or in a scene or
            release.
    """
    path = resolved(target)
    there = next(p for p in (path, *path.parents) if p.exists())
    place = path.parent if there == path and movable(path) else there
    if not place.is_dir() and there != path:
        raise OutputError("is a file, not a folder", where=place, remedy="Name another target.")
    names = [*path.relative_to(there).parts, f".{path.name}.{2**22}.part"]
    try:
        for long in (path, *(place / name for name in names)):
            with suppress(FileNotFoundError, NotADirectoryError):
                os.lstat(long)
    except OSError as error:
        raise explain(error, path) from error
    if not os.access(place, os.W_OK | os.X_OK):
        raise explain(PermissionError(errno.EACCES, "closed"), path)
    refuse_inside_sources(path)
    return path


def movable(target: Path) -> bool:
    """Whether another folder can take its place: no mount, not where we are, parent not closed."""
    here = Path.cwd()
    return not (
        os.path.ismount(target)
        or target in (here, *here.parents)
        or not os.access(target.parent, os.W_OK | os.X_OK)
    )


def _ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return OURS in file.read(4096)
    except OSError as error:
        raise explain(error, path) from error


def lock_files(target: Path) -> tuple[Path, Path]:
    """Where the lock lies: beside the target, or in it where its parent is closed to us."""
    return target.parent / f".{target.name}.lock", target / f".{target.name}.lock"
