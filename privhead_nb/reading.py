"""Reading files that came from elsewhere: one reader each for JSON, npz archives and tensors.

Each has a bound on size, checks what it reads, and has one form of error: the file, the field, the
remedy. Pictures are read by `scenes.images`, meshes by `scenes.mesh_files`.
"""

from __future__ import annotations

import difflib
import io
import json
import math
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privhead_nb.errors import PrivheadError

if TYPE_CHECKING:
    from torch import Tensor

MAX_JSON = 64_000_000
"""Bytes of a JSON file; a scene of 10,000 views has about 10 MB."""
MAX_NPZ = 64_000_000
"""Bytes of all arrays of an archive together, unpacked; 10,000 cameras have 4 MB."""
MAX_TENSORS = 4_000_000_000
"""Bytes of a file of tensors; a checkpoint of the largest profile has about 0.5 GB."""
MAX_DIGITS = 18
"""Digits of a whole number in JSON: what fits into 64 bits."""

Error = type[PrivheadError]


def read_bytes(path: Path, *, error: Error, remedy: str, most: int) -> bytes:
    """The whole file; raises `error` where it is missing, closed to us, no file, or too large."""
    check_file(path, error=error, remedy=remedy, most=most)
    try:
        return path.read_bytes()
    except OSError as problem:
        raise unreadable(path, problem, error=error, remedy=remedy) from problem


def check_file(path: Path, *, error: Error, remedy: str, most: int) -> None:
    """Raise `error` unless `path` is a file of at most `most` bytes that we may read."""
    try:
        size = path.stat().st_size
        there = path.is_file()
        if there:
            path.open("rb").close()
    except (OSError, ValueError) as problem:
        raise unreadable(path, problem, error=error, remedy=remedy) from problem
    if not there:
        raise error("is no file", where=path, remedy=remedy)
    if size > most:
        raise error(f"has {size:,} bytes; the limit is {most:,}", where=path, remedy=remedy)


def unreadable(path: Path, problem: Exception, *, error: Error, remedy: str) -> PrivheadError:
    """What to raise for the operating system's `problem` with a file."""
    if isinstance(problem, FileNotFoundError):
        return error("the file is missing", where=path, remedy=remedy)
    if isinstance(problem, PermissionError):
        return error(
            "no permission to read it", where=path, remedy="Check its permissions and its folder's."
        )
    said = getattr(problem, "strerror", None) or str(problem)
    return error(f"can't be read ({said})", where=path, remedy=remedy)


def read_text(path: Path, *, error: Error, remedy: str, most: int = MAX_JSON) -> str:
    """The file as UTF-8 text, without a byte order mark."""
    data = read_bytes(path, error=error, remedy=remedy, most=most)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(
            f"is no UTF-8 text (byte {problem.start})", where=path, remedy=remedy
        ) from problem


def read_json(path: Path, *, error: Error, remedy: str) -> Record:
    """The object that a JSON file holds.

    Numbers must be finite and whole ones of at most MAX_DIGITS digits; a name may stand once.

    Raises:
        error: missing, too large, no JSON, or no object.
    """
    text = read_text(path, error=error, remedy=remedy)
    return parse_json(text, path, error=error, remedy=remedy)


def parse_json(text: str, where: Path, *, error: Error, remedy: str) -> Record:
    """The object that a JSON text holds, with the checks of `read_json`."""
    try:
        data = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_constant,
        )
    except RecursionError as problem:
        raise error("is nested too deep", where=where, remedy=remedy) from problem
    except ValueError as problem:
        raise error(f"can't be read as JSON ({problem})", where=where, remedy=remedy) from problem
    if not isinstance(data, dict):
        raise error("holds no object", where=where, remedy=remedy)
    return Record(data, where, error, remedy)


def read_npz(
    path: Path, *, error: Error, remedy: str, most: int = MAX_NPZ, names: str = ".*"
) -> dict[str, NDArray[np.float64]]:
    """The numeric arrays of a .npz archive as float64, by name; what isn't numeric is refused.

    Only arrays whose whole name fits the regular expression `names` are given back.

    Raises:
        error: missing, no archive, damaged, encrypted, packed in an unknown way, too large, or
            with pickled objects.
    """
    data = read_bytes(path, error=error, remedy=remedy, most=most)
    if data.startswith(b"\x93NUMPY"):
        raise error(
            "holds a single array, as numpy.save writes it, not an archive of named ones",
            where=path,
            remedy="Write it with numpy.savez.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if sum(entry.file_size for entry in entries) > most:
                raise ValueError(f"its arrays have more than {most:,} bytes")
            named = {entry.filename.removesuffix(".npy"): entry for entry in entries}
            if len(named) < len(entries):
                raise ValueError("an array stands twice")
            # All are unpacked, so that damage to what isn't asked for is found too.
            packed = {name: archive.read(entry) for name, entry in named.items()}
            return {n: _array(data) for n, data in packed.items() if re.fullmatch(names, n)}
    except Exception as problem:  # zipfile, zlib and numpy raise whatever they trip over
        why = str(problem) or type(problem).__name__
        raise error(
            f"can't be read as a plain .npz of matrices ({why})", where=path, remedy=remedy
        ) from problem


def read_tensors(
    path: Path, *, error: Error, remedy: str, most: int = MAX_TENSORS
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file and its metadata.

    Raises:
        error: missing, damaged, too large, or with numbers that are not finite.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    check_file(path, error=error, remedy=remedy, most=most)
    try:
        with safe_open(path, framework="pt") as file:
            words = dict(file.metadata() or {})
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, TypeError) as problem:
        raise error(
            f"can't be read as safetensors ({problem})", where=path, remedy=remedy
        ) from problem
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise error(f"{name} has NaN or infinite numbers", where=path, remedy=remedy)
    return tensors, words


@dataclass(frozen=True)
class Record:
    """An object out of a JSON file whose fields are read by type.

    Every method raises `error` with the file, the field and what it must be.

    Args:
        data: the object.
        path: its file.
        error: what to raise.
        remedy: what to do where nothing better is known.
        within: the field that holds it, with a dot at the end; empty for the file's own object.
    """

    data: dict[str, Any]
    path: Path
    error: Error
    remedy: str = ""
    within: str = ""

    def __contains__(self, key: str) -> bool:
        return self.data.get(key) is not None

    def only(self, known: Iterable[str]) -> None:
        """Refuse a field that isn't among `known`: most are typing errors."""
        known = sorted(known)
        for key in self.data:
            if key not in known:
                near = difflib.get_close_matches(key, known, 1)
                hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
                raise self.error(
                    f"has the unknown field {self.within + key[:60]!r}",
                    where=self.path,
                    remedy=hint,
                )

    def get(self, key: str) -> Any:
        """A field of any type; refused where it is missing or null."""
        if key not in self:
            raise self.error(
                f"the field {self.within + key!r} is missing", where=self.path, remedy=self.remedy
            )
        return self.data[key]

    def text(self, key: str, choices: Sequence[str] | None = None, most: int = 1000) -> str:
        """A string of at most `most` characters, one of `choices` where they are given."""
        value = self.get(key)
        if choices is not None and value not in choices:
            raise self.wrong(key, f"one of {', '.join(choices)}")
        if not isinstance(value, str) or len(value) > most:
            raise self.wrong(key, f"a text of at most {most} characters")
        return value

    def number(self, key: str, low: float = -1e15, high: float = 1e15) -> float:
        """A finite number from `low` to `high`."""
        value = self.get(key)
        if not is_number(value) or not low <= value <= high:
            raise self.wrong(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def whole(self, key: str, low: int = 0, high: int = 10**15) -> int:
        """A whole number from `low` to `high`."""
        value = self.get(key)
        if type(value) is not int or not low <= value <= high:
            raise self.wrong(key, f"a whole number from {low} to {high}")
        return value

    def wholes(self, key: str, low: int = 0, high: int = 10**15, most: int = 100_000) -> list[int]:
        """A list of at most `most` whole numbers from `low` to `high`."""
        value = self.get(key)
        fits = isinstance(value, list) and len(value) <= most
        if not fits or not all(type(v) is int and low <= v <= high for v in value):
            raise self.wrong(key, f"a list of whole numbers from {low} to {high}")
        return list(value)

    def array(
        self, key: str, shape: tuple[int | None, ...], low: float = -1e15, high: float = 1e15
    ) -> NDArray[np.float64]:
        """Nested lists of finite numbers as float64; None in `shape` takes any length."""
        value = self.get(key)
        said = " x ".join("N" if n is None else str(n) for n in shape)
        if not _has_shape(value, shape):
            raise self.wrong(key, f"{said} numbers")
        found = np.array(value, np.float64).reshape([-1 if n is None else n for n in shape])
        if found.size and not (found.min() >= low and found.max() <= high):
            raise self.wrong(key, f"{said} numbers from {low:g} to {high:g}")
        return found

    def vec3(self, key: str, low: float = -1e15, high: float = 1e15) -> tuple[float, float, float]:
        """Three finite numbers from `low` to `high`."""
        x, y, z = self.array(key, (3,), low, high).tolist()
        return x, y, z

    def record(self, key: str) -> Record:
        """An object in this one."""
        value = self.get(key)
        if not isinstance(value, dict):
            raise self.wrong(key, "an object")
        return Record(value, self.path, self.error, self.remedy, f"{self.within}{key}.")

    def wrong(self, key: str, wanted: str) -> PrivheadError:
        """The error for a field that is there but can't be right."""
        said = repr(self.data.get(key))
        said = said if len(said) <= 80 else said[:77] + "..."
        return self.error(
            f"{self.within + key} is {said}", where=self.path, remedy=f"It must be {wanted}."
        )


def is_number(value: Any) -> bool:
    """A finite int or float; no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _has_shape(value: Any, shape: tuple[int | None, ...]) -> bool:
    if not shape:
        return is_number(value)
    if not isinstance(value, list) or (shape[0] is not None and len(value) != shape[0]):
        return False
    return all(_has_shape(v, shape[1:]) for v in value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the field {key[:60]!r} stands twice")
        found[key] = value
    return found


def _whole(digits: str) -> int:
    if len(digits.lstrip("-")) > MAX_DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:40]} is too large")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _array(data: bytes) -> NDArray[np.float64]:
    """A .npy file's array; its header must say as many bytes as there are."""
    file = io.BytesIO(data)
    found = np.lib.format.read_array(file, allow_pickle=False)
    if found.dtype.kind not in "fiub":
        raise ValueError(f"an array of {found.dtype}, not of numbers")
    if surplus := len(data) - file.tell():
        raise ValueError(f"an array of shape {found.shape} with {surplus} bytes too many")
    return found.astype(np.float64)
