"""Write aside, then rename: a killed process never leaves a half-written file or folder.

Targets are checked before the work (`targets.py`) and have one writer at a time (`locks.py`).
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from privhead_nb.locks import alive, hold
from privhead_nb.targets import (
    check_place,
    contents,
    explain,
    left_over,
    lock_files,
    movable,
    refuse_occupied,
    resolved,
)

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def claim(target: str | Path) -> Iterator[Path]:
    """Be the only writer of a folder inside of the block; yields its path with links followed.

    Raises:
        OutputError: another run writes there, or the place can't be written to.
    """
    path = check_place(target)
    made = [p for p in path.parents if not p.exists()]
    beside, inside = lock_files(path)
    closed = path.exists() and not os.access(path.parent, os.W_OK | os.X_OK)
    with ExitStack() as stack:
        stack.callback(_remove_empty, made)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold(inside if closed else beside, Path(target)))
        except OSError as error:
            raise explain(error, path) from error
        yield path


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders that were made for nothing, the innermost first."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


@contextmanager
def atomic_folder(target: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a hidden folder whose contents become those of `target` only if the block succeeds.

    It takes the target's place by a rename. Where that can't be (a mount, the working folder), it
    is made inside, and its entries are moved.

    Raises:
        OutputError: `target` holds something and `overwrite` is false, another run writes there,
            or the disk says no.
    """
    with claim(target) as path:
        refuse_occupied(path, overwrite=overwrite)
        renamed = not path.exists() or movable(path)
        aside = (path.parent if renamed else path) / f".{path.name}.{os.getpid()}.part"
        try:
            clear(p for p in left_over(path) if p.suffix == ".part")
            aside.mkdir()
            yield aside
            _replace(path, aside) if renamed else _swap(path, aside)
            clear(left_over(path))
        except OSError as error:
            raise explain(error, Path(target)) from error
        finally:
            clear([aside])


def clear(paths: Iterable[Path]) -> None:
    """Remove files and folders, as far as that goes."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _replace(target: Path, aside: Path) -> None:
    old = aside.with_suffix(".old")
    if target.exists():
        clear([old])  # of a killed process of our number: its new folder took its place
        os.replace(target, old)
    try:
        os.replace(aside, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise


def _swap(target: Path, aside: Path) -> None:
    old, kept = aside.with_suffix(".old"), contents(target)
    old.mkdir()
    try:
        _move(kept, old)
        try:
            _move(aside.iterdir(), target)
        except OSError:
            _move(old.iterdir(), target)
            raise
    except OSError:
        with suppress(OSError):  # stays, with what it holds, where even that failed
            old.rmdir()
        raise


def _move(paths: Iterable[Path], to: Path) -> None:
    """Move entries into a folder: all, or none."""
    done: list[Path] = []
    try:
        for path in list(paths):
            os.replace(path, to / path.name)
            done.append(path)
    except OSError:
        for path in done:
            os.replace(to / path.name, path)
        raise


@contextmanager
def atomic_file(target: str | Path) -> Iterator[Path]:
    """Yield a hidden sibling path (same suffix) that replaces `target` if the block succeeds.

    Raises:
        OutputError: the disk says no; `target` is then as it was.
    """
    path = resolved(target)
    aside = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear(_of_the_dead(path))
        yield aside
        os.replace(aside, path)
    except OSError as error:
        raise explain(error, Path(target)) from error
    finally:
        with suppress(OSError):  # the target's parent may be a file
            aside.unlink(missing_ok=True)


def _of_the_dead(target: Path) -> list[Path]:
    """A file's leftovers whose writers, other than a folder's, hold no lock: those long gone."""
    numbered = ((p, re.search(r"\.(\d+)\.part", p.name)) for p in left_over(target))
    return [path for path, number in numbered if number and not alive(int(number[1]))]


def write_json(target: str | Path, data: Any) -> None:
    """Write `data` as readable JSON, atomically; numbers that are not finite become null."""
    with atomic_file(target) as aside:
        aside.write_text(json_text(data, indent=1) + "\n", encoding="utf-8")


def json_text(data: Any, indent: int | None = None) -> str:
    """`data` as JSON, which has no NaN: numbers that are not finite become null."""
    return json.dumps(_finite(data), indent=indent, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def write_tensors(
    target: str | Path, tensors: Mapping[str, Tensor], words: dict[str, str] | None = None
) -> None:
    """Write tensors and words about them as one safetensors file, atomically.

    Raises:
        OutputError: the disk says no; `target` is then as it was.
    """
    from safetensors.torch import save  # its save_file leaves .tmp files, and hides a full disk

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_file(target) as aside:
        aside.write_bytes(save(plain, words))
