"""The truth mesh and landmarks beside a scene: plain OBJ and H3DS's landmarks.txt."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from privhead_nb.errors import SceneError

Triangles = tuple[np.ndarray, np.ndarray]


def read_obj(path: Path) -> Triangles:
    """Vertices (N, 3) float64 in the file's order and triangles (M, 3) int64; polygons are fanned.

    Raises:
        SceneError: missing, or no mesh in it.
    """
    vertices: list[list[str]] = []
    faces: list[tuple[int, int, int]] = []
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("v "):
                    vertices.append(line.split()[1:4])
                elif line.startswith("f "):
                    ring = [int(c.split("/")[0]) for c in line.split()[1:]]
                    ring = [i - 1 if i > 0 else len(vertices) + i for i in ring]
                    faces += [(ring[0], b, c) for b, c in pairwise(ring[1:])]
        points, triangles = np.array(vertices, np.float64), np.array(faces, np.int64)
    except (OSError, ValueError) as error:
        raise SceneError(
            f"can't be read as an OBJ mesh ({error})", where=path, remedy="Export it again."
        ) from error
    if points.ndim != 2 or not len(triangles) or triangles.max() >= len(points):
        raise SceneError("holds no triangle mesh", where=path, remedy="Export it again as OBJ.")
    return points, triangles


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write v and f lines, 6 decimals."""
    with path.open("w", encoding="utf-8") as out:
        np.savetxt(out, vertices, fmt="v %.6f %.6f %.6f")
        np.savetxt(out, faces + 1, fmt="f %d %d %d")


def read_landmarks(path: Path, mesh_path: Path | None) -> np.ndarray:
    """(L, 3) float64: the vertices of the truth mesh that landmarks.txt ("name vertex") names.

    Raises:
        SceneError: unreadable, no mesh, or vertices that the mesh doesn't have.
    """
    if mesh_path is None:
        raise SceneError(
            "names vertices, but full_head.obj is missing", where=path, remedy="Add the mesh."
        )
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        index = np.array([int(row[-1]) for row in rows if row], np.int64)
    except (OSError, ValueError) as error:
        raise SceneError(
            f"can't be read ({error})", where=path, remedy='Each line must be "name vertex".'
        ) from error
    vertices, _ = read_obj(mesh_path)
    if len(index) and not (index.min() >= 0 and index.max() < len(vertices)):
        raise SceneError(
            f"names vertex {index.max()} of a mesh with {len(vertices)}",
            where=path,
            remedy="Vertices count from 0, in the order of full_head.obj.",
        )
    return vertices[index]


def write_landmarks(path: Path, landmarks: np.ndarray, vertices: np.ndarray) -> None:
    """Write H3DS's "name vertex" lines: the vertex nearest to each landmark."""
    _, nearest = cKDTree(vertices).query(landmarks)
    lines = [f"landmark_{i:02d} {v}" for i, v in enumerate(nearest)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
