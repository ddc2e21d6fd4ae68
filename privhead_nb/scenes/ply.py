"""PLY meshes, ASCII and binary: polygons and triangle strips, checked against their own counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_HEADER = 100_000  # bytes
_NUMBERS = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}

Triangles = tuple[NDArray[np.float64], NDArray[np.int64]]
Columns = dict[str, NDArray[Any] | list[NDArray[Any]]]


class MeshFileError(ValueError):
    """What is wrong with a mesh file, in one clause."""


@dataclass
class _Element:
    """Rows of one kind; a property is its name, its type, and the type of its length in lists."""

    name: str
    count: int
    properties: list[tuple[str, str, str | None]] = field(default_factory=list)


def read_ply(data: bytes) -> Triangles:
    """Vertices (N, 3), as stored, and triangles (M, 3), of a whole PLY file.

    Raises:
        MeshFileError: no PLY, or one whose counts don't fit what it holds.
        ValueError: numbers that are none.
    """
    elements, order, at = _header(data)
    if not order:  # ASCII is read as if it were a binary file of doubles
        if not data[-1:].isspace():
            raise MeshFileError("its last line has no end, so it is cut off")
        data, at = np.array([float(word) for word in data[at:].split()], "<f8").tobytes(), 0
    found: dict[str, Columns] = {}
    for element in elements:
        kinds = [
            (name, order + kind if order else "<f8", size and (order + size if order else "<f8"))
            for name, kind, size in element.properties
        ]
        found[element.name], at = _rows(kinds, element.count, data, at)
    if data[at:].strip():
        raise MeshFileError("holds more than its header says")
    points = found.get("vertex", {})
    if not points.keys() >= {"x", "y", "z"}:
        raise MeshFileError("has no vertices with x, y and z")
    vertices = np.stack([np.asarray(points[axis], np.float64).reshape(-1) for axis in "xyz"], 1)
    return vertices, np.concatenate([*map(_fan, _lists(found, "face"))]
                                    + [*map(_strip, _lists(found, "tristrips"))]
                                    + [np.zeros((0, 3), np.int64)])  # fmt: skip


def _header(data: bytes) -> tuple[list[_Element], str, int]:
    """The elements, the byte order (empty for ASCII), and where the rest begins."""
    end = data.find(b"end_header", 0, MAX_HEADER)
    at = data.find(b"\n", end) + 1
    lines = [line.split() for line in data[: max(end, 0)].decode("ascii", "replace").splitlines()]
    if end < 0 or at == 0 or lines[0] != ["ply"]:
        raise MeshFileError("has no PLY header")
    elements: list[_Element] = []
    order = None
    for words in lines[1:]:
        match words:
            case ["format", name, _] if name in _ORDERS:
                order = _ORDERS[name]
            case ["element", name, count] if count.isdecimal() and len(count) < 12:
                elements.append(_Element(name, int(count)))
            case ["property", "list", size, kind, name] if elements and {size, kind} <= set(
                _NUMBERS
            ):
                elements[-1].properties.append((name, _NUMBERS[kind], _NUMBERS[size]))
            case ["property", kind, name] if elements and kind in _NUMBERS:
                elements[-1].properties.append((name, _NUMBERS[kind], None))
            case [] | ["comment" | "obj_info", *_]:
                pass
            case _:
                raise MeshFileError(
                    f"has the header line {' '.join(words)[:60]!r}, which is unknown"
                )
    if order is None:
        raise MeshFileError("has no known PLY format")
    return elements, order, at


def _rows(
    kinds: list[tuple[str, str, str | None]], count: int, data: bytes, at: int
) -> tuple[Columns, int]:
    """The columns of `count` rows from byte `at` on, and where they end."""
    if not count or not kinds:
        return {}, at
    # In most files all lists are as long as in the first row, and the rows are one table.
    first, _ = _row(kinds, data, at)
    fields: list[Any] = []
    for i, ((_, kind, size), value) in enumerate(zip(kinds, first, strict=True)):
        fields += [(f"length{i}", size)] if size else []
        fields += [(f"value{i}", kind, (len(value),))]
    table = np.dtype(fields)
    end = at + count * table.itemsize
    if end <= len(data):
        rows = np.frombuffer(data, table, count, at)
        same = [(rows[f"length{i}"] == len(first[i])).all() for i, k in enumerate(kinds) if k[2]]
        if all(same):
            return {name: rows[f"value{i}"] for i, (name, _, _) in enumerate(kinds)}, end
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name, _, _ in kinds}
    for _ in range(count):
        row, at = _row(kinds, data, at)
        for (name, _, _), value in zip(kinds, row, strict=True):
            columns[name].append(value)
    return dict(columns), at


def _row(
    kinds: list[tuple[str, str, str | None]], data: bytes, at: int
) -> tuple[list[NDArray[Any]], int]:
    """One row's values, an array a property, and where it ends."""
    row = []
    for _, kind, size in kinds:
        length = 1
        if size is not None:
            (said,), at = _take(size, 1, data, at)
            length = int(said)
        value, at = _take(kind, length, data, at)
        row.append(value)
    return row, at


def _take(kind: str, count: int, data: bytes, at: int) -> tuple[NDArray[Any], int]:
    end = at + count * np.dtype(kind).itemsize
    if count < 0 or end > len(data):
        raise MeshFileError("is cut off: it holds less than its header says")
    return np.frombuffer(data, kind, count, at), end


def _lists(found: dict[str, Columns], element: str) -> list[NDArray[np.int64]]:
    """The lists of vertices of faces or strips: an array (M, n) where all are of one length."""
    columns = found.get(element, {})
    column = columns.get("vertex_indices", columns.get("vertex_index"))
    if column is None:
        return []
    parts = [column] if isinstance(column, np.ndarray) else [c[None] for c in column]
    for part in parts:
        if not np.array_equal(part, np.trunc(part)) or np.abs(part).max(initial=0) > 2**40:
            raise MeshFileError("has faces of numbers that name no vertex")
    return [np.asarray(part).astype(np.int64) for part in parts]


def _fan(rings: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles (., 3) of polygons (M, n)."""
    if rings.shape[1] < 3:
        raise MeshFileError(f"has a face of {rings.shape[1]} corners")
    fans = [rings[:, [0, k, k + 1]] for k in range(1, rings.shape[1] - 1)]
    return np.stack(fans, axis=1).reshape(-1, 3)


def _strip(strips: NDArray[np.int64]) -> NDArray[np.int64]:
    """Triangles (., 3) of strips (M, n), in which -1 begins anew; every second one is turned."""
    found = [np.zeros((0, 3), np.int64)]
    for strip in strips:
        for run in np.split(strip, np.flatnonzero(strip < 0)):
            run = run[run >= 0]
            triangles = np.stack([run[:-2], run[1:-1], run[2:]], axis=1)
            triangles[1::2] = triangles[1::2][:, [1, 0, 2]]
            found.append(triangles)
    return np.concatenate(found)
