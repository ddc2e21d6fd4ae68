"""One writer at a target at a time: the operating system's lock on a hidden file beside it.

The system gives a lock back when its process ends, however it ends: a killed run blocks nobody.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from privhead_nb.errors import OutputError

if os.name == "nt":
    import msvcrt
else:
    import fcntl

_HELD: dict[Path, int] = {}  # lock files of this process, and the thread that holds each
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of some network file systems


@contextmanager
def hold(path: Path, target: Path) -> Iterator[None]:
    """Hold the lock file `path` inside of the block; a thread that holds it already goes on.

    Raises:
        OutputError: another process or thread writes to `target`; it is named.
        OSError: the lock file can't be made.
    """
    me = threading.get_ident()
    if _HELD.get(path) == me:
        yield
        return
    file, made = _take(path, target)
    _HELD[path] = me
    try:
        yield
    finally:
        del _HELD[path]
        _give_back(file, made)


def _take(path: Path, target: Path) -> tuple[int, Path]:
    """An open file with the lock on it, which is still the one of its name."""
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(file)
            same = os.name == "nt" or os.fstat(file).st_ino == path.stat().st_ino
        except (BlockingIOError, PermissionError) as error:
            said = os.read(file, 64)
            os.close(file)
            raise _busy(path, target, said) from error
        except FileNotFoundError:
            same = False
        except OSError as error:
            os.close(file)
            path.unlink(missing_ok=True)
            if error.errno not in _NO_LOCKS:
                raise
            return _take_by_name(path.with_suffix(".pid"), target)
        if same:
            with suppress(OSError):  # a full disk; the lock itself holds
                os.ftruncate(file, 0)
                os.write(file, _me())
            return file, path
        os.close(file)  # the writer before us removed the file in between


def _take_by_name(path: Path, target: Path) -> tuple[int, Path]:
    """For network file systems without locks: a file that only one process can make.

    It outlives a killed process, so whether its writer lives is asked, as far as this machine goes.
    """
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError as error:
            said = path.read_bytes()[:64]
            pid, _, host = said.decode(errors="replace").partition(" ")
            if not pid.isdigit() or host != socket.gethostname() or alive(int(pid)):
                raise _busy(path, target, said) from error
            path.unlink(missing_ok=True)
            continue
        os.write(file, _me())
        return file, path


def _give_back(file: int, path: Path) -> None:
    """Remove the file while it is still ours; Windows removes none that is open."""
    if os.name == "nt":
        os.close(file)
    with suppress(OSError):
        path.unlink()
    if os.name != "nt":
        os.close(file)


def _lock(file: int) -> None:
    if os.name == "nt":
        os.lseek(file, 1 << 30, os.SEEK_SET)  # behind the text, which others may read
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        os.lseek(file, 0, os.SEEK_SET)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _me() -> bytes:
    return f"{os.getpid()} {socket.gethostname()}".encode(errors="replace")


def _busy(path: Path, target: Path, said: bytes) -> OutputError:
    who = said.decode(errors="replace").split(" ")[0] or "unknown"
    return OutputError(
        f"another run is writing here (process {who})",
        where=target,
        remedy=f"Wait for it, or name another target. If there is none, remove {path}.",
    )


def alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine; always true on Windows.

    There, asking would send it a signal.
    """
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True
