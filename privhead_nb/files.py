"""Write aside, then rename: a killed process never leaves a half-written file or folder."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from privhead_nb.errors import OutputError


def _explain(error: OSError, target: Path) -> OutputError:
    if error.errno == errno.ENOSPC:
        return OutputError(
            "the disk is full",
            where=target,
            remedy="Free some space or name a target on another disk; nothing was left behind.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(
            "no permission to write here",
            where=target,
            remedy="Name a target in a folder that you may write to.",
        )
    return OutputError(
        f"could not be written ({error.strerror or error})",
        where=target,
        remedy="Check that the path exists and is on a working disk; nothing was left behind.",
    )


def refuse_occupied(target: Path, *, overwrite: bool) -> None:
    """Raise OutputError where `target` is a file, or holds something that may not be replaced."""
    if target.exists() and not target.is_dir():
        raise OutputError("is a file, not a folder", where=target, remedy="Name another target.")
    if target.exists() and any(target.iterdir()) and not overwrite:
        raise OutputError(
            "the target folder is not empty",
            where=target,
            remedy="Name an empty or new folder, or pass --overwrite to replace this one.",
        )


@contextmanager
def atomic_folder(target: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a hidden sibling folder that becomes `target` only if the block succeeds.

    Raises:
        OutputError: `target` holds something and `overwrite` is false, or the disk says no.
    """
    target = Path(target)
    refuse_occupied(target, overwrite=overwrite)
    aside: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        aside.chmod(0o755)
        yield aside
        if target.exists():
            old = aside.with_suffix(".old")
            os.replace(target, old)
            try:
                os.replace(aside, target)
            except OSError:
                os.replace(old, target)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(aside, target)
    except OSError as error:
        raise _explain(error, target) from error
    finally:
        if aside is not None and aside.exists():
            shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def atomic_file(target: str | Path) -> Iterator[Path]:
    """Yield a hidden sibling path (same suffix) that replaces `target` if the block succeeds.

    Raises:
        OutputError: the disk says no; `target` is then as it was.
    """
    target = Path(target)
    aside = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        os.replace(aside, target)
    except OSError as error:
        raise _explain(error, target) from error
    finally:
        with suppress(OSError):  # the target's parent may be a file
            aside.unlink(missing_ok=True)


def write_json(target: str | Path, data: Any) -> None:
    """Write `data` as readable JSON, atomically."""
    with atomic_file(target) as aside:
        aside.write_text(json.dumps(data, indent=1, sort_keys=False) + "\n", encoding="utf-8")
