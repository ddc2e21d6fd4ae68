"""Mesh files: OBJ and PLY as they stand in the file, binary glTF and STL through trimesh.

Vertices keep the file's order and its numbers, since landmarks name vertices. What a file says of
itself (counts, lengths, indices) is checked, so that a truncated one is refused. The truth mesh
beside a scene is plain OBJ, and H3DS's landmarks.txt names vertices of it.
"""

from __future__ import annotations

import io
from array import array
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from privhead_nb.errors import SceneError
from privhead_nb.reading import Error, read_bytes, read_text
from privhead_nb.scenes.ply import MeshFileError, Triangles, read_ply

ENDINGS = (".obj", ".ply", ".glb", ".stl")
MAX_BYTES = 2_000_000_000
"""Bytes of a mesh file."""
MAX_PARTS = 50_000_000
"""Vertices, or triangles, of a mesh."""
MAX_LANDMARKS = 1_000_000
"""Bytes of landmarks.txt."""
_LINE = 1_000_000  # characters of an OBJ line
_AGAIN = "Export it again as OBJ or PLY, with triangles."


def read_mesh(path: Path, *, error: Error) -> Triangles:
    """Vertices (N, 3) float64 and triangles (M, 3) int64 of a mesh file; polygons are fanned.

    Vertices come in the file's order. Only where some are not finite, and no triangle uses them,
    are these dropped and the others renumbered.

    Raises:
        error: missing, closed to us, too large, of another kind, damaged, truncated, a cloud of
            points, or with a triangle whose corner is missing or not finite.
    """
    return _finite(*_read(path, error), path, error)


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write v and f lines, 6 decimals, and how many there are, so that a cut file is found out."""
    with path.open("w", encoding="utf-8") as out:
        out.write(f"# Vertices: {len(vertices)}\n# Faces: {len(faces)}\n")
        np.savetxt(out, vertices, fmt="v %.6f %.6f %.6f")
        np.savetxt(out, faces + 1, fmt="f %d %d %d")


def read_landmarks(path: Path, mesh_path: Path | None) -> tuple[np.ndarray, Triangles]:
    """What landmarks.txt ("name vertex" lines) names of the truth mesh, and that mesh.

    Returns:
        (L, 3) float64 landmarks, and the mesh as `read_mesh` gives it.

    Raises:
        SceneError: unreadable, no mesh, or vertices that the mesh doesn't have.
    """
    if mesh_path is None:
        raise SceneError(
            "names vertices, but full_head.obj is missing", where=path, remedy="Add the mesh."
        )
    remedy = 'Each line must be "name vertex", and vertices count from 0 as in full_head.obj.'
    text = read_text(path, error=SceneError, remedy=remedy, most=MAX_LANDMARKS)
    words = [(n, line.split()[-1]) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    wrong = [(n, word) for n, word in words if not (word.isdecimal() and len(word) < 12)]
    vertices, faces = _read(mesh_path, SceneError)
    finite = np.asarray(np.isfinite(vertices).all(axis=1))
    wrong = wrong or [(n, w) for n, w in words if int(w) >= len(finite) or not finite[int(w)]]
    if wrong:
        raise SceneError(
            f"line {wrong[0][0]} names the vertex {wrong[0][1][:40]!r}, which isn't there",
            where=path,
            remedy=remedy,
        )
    marks = vertices[[int(word) for _, word in words]]
    return marks, _finite(vertices, faces, mesh_path, SceneError)


def write_landmarks(path: Path, landmarks: np.ndarray, vertices: np.ndarray) -> None:
    """Write H3DS's "name vertex" lines: the vertex nearest to each landmark."""
    _, nearest = cKDTree(vertices).query(landmarks)
    lines = [f"landmark_{i:02d} {v}" for i, v in enumerate(nearest)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _finite(vertices: np.ndarray, faces: np.ndarray, path: Path, error: Error) -> Triangles:
    """The mesh without vertices that are not finite, which no triangle may use."""
    finite = np.asarray(np.isfinite(vertices).all(axis=1))
    if finite.all():
        return vertices, faces
    if not finite[faces].all():
        raise error("the mesh has vertices that are not finite", where=path, remedy=_AGAIN)
    return vertices[finite], (np.cumsum(finite) - 1)[faces]


def _read(path: Path, error: Error) -> Triangles:
    ending = path.suffix.lower()
    data = read_bytes(path, error=error, remedy="Check the path.", most=MAX_BYTES)
    if ending not in ENDINGS:
        raise error(
            f"meshes of the kind {path.suffix!r} are not read",
            where=path,
            remedy=f"Export it as one of {', '.join(ENDINGS)}.",
        )
    try:
        if ending == ".obj":
            vertices, faces = _obj(data)
        else:
            vertices, faces = read_ply(data) if ending == ".ply" else _by_trimesh(data, ending)
        if not len(faces):
            raise MeshFileError(
                f"holds {len(vertices)} points but no triangle, so it is no surface"
            )
        if max(len(vertices), len(faces)) > MAX_PARTS:
            raise MeshFileError(f"has more than {MAX_PARTS:,} vertices or triangles")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise MeshFileError(f"a face names a vertex that does not exist, of {len(vertices)}")
    except Exception as bad:  # ours, numbers that are none, and whatever trimesh trips over
        raise error(
            f"could not be read as a triangle mesh ({str(bad)[:200]})", where=path, remedy=_AGAIN
        ) from bad
    return vertices, faces


def _obj(data: bytes) -> Triangles:
    if not data.endswith((b"\n", b"\r")):
        raise MeshFileError(
            "its last line has no end: the file is cut off, or lacks a line break there"
        )
    numbers, corners, lines, polygons = array("d"), array("q"), array("q"), 0
    said = {"Vertices:": 0, "Faces:": 0}  # MeshLab states both in comments
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text, 1):
        words = line[:_LINE].split()
        kind = words[0] if words else ""
        try:
            if kind == "v":
                x, y, z = words[1:4]
                numbers.extend((float(x), float(y), float(z)))
            elif kind == "f":
                ring = [_place(word, len(numbers) // 3) for word in words[1:]]
                if len(ring) < 3 or len(line) >= _LINE:
                    raise ValueError
                for b, c in pairwise(ring[1:]):
                    corners.extend((ring[0], b, c))
                    lines.append(number)
                polygons += 1
            elif kind == "#" and len(words) == 3 and words[1] in said:
                said[words[1]] += int(words[2])
        except (ValueError, OverflowError) as bad:
            raise MeshFileError(f"line {number} makes no sense: {line.strip()[:60]!r}") from bad
        if max(len(numbers), len(corners)) > 3 * MAX_PARTS:
            raise MeshFileError(f"has more than {MAX_PARTS:,} vertices or triangles")
    vertices = np.array(numbers, np.float64).reshape(-1, 3)
    faces = np.array(corners, np.int64).reshape(-1, 3)
    if len(vertices) < said["Vertices:"] or polygons < said["Faces:"]:
        raise MeshFileError(
            f"holds {len(vertices)} vertices and {polygons} faces, but says that it has "
            f"{said['Vertices:']} and {said['Faces:']}"
        )
    beyond = np.flatnonzero(faces.max(axis=1, initial=-1) >= len(vertices))
    if len(beyond):
        raise MeshFileError(
            f"line {lines[beyond[0]]} names vertex {faces[beyond[0]].max() + 1} of {len(vertices)}"
        )
    return vertices, faces


def _place(word: str, known: int) -> int:
    """The place of the vertex that "7/1/2" or "-1" names, from 0, after `known` vertices."""
    number = int(word.split("/")[0])
    place = number - 1 if number > 0 else known + number
    if number == 0 or place < 0:
        raise ValueError
    return place


def _by_trimesh(data: bytes, ending: str) -> Triangles:
    """Several parts in one file are joined; nothing but the file itself is opened."""
    import trimesh

    mesh = trimesh.load_mesh(
        io.BytesIO(data), file_type=ending[1:], process=False, skip_materials=True
    )
    return np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
