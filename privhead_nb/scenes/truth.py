"""The truth mesh and landmarks beside a scene: plain OBJ and H3DS's landmarks.txt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from privhead_nb.errors import SceneError
from privhead_nb.reading import read_text
from privhead_nb.scenes.mesh_files import read_mesh, read_vertices
from privhead_nb.scenes.ply import Triangles as Triangles

MAX_LANDMARKS = 1_000_000  # bytes of landmarks.txt


def read_obj(path: Path) -> Triangles:
    """Vertices (N, 3) float64 in the file's order and triangles (M, 3) int64.

    Raises:
        SceneError: what `mesh_files.read_mesh` refuses.
    """
    return read_mesh(path, error=SceneError)


def write_obj(path: Path, vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write v and f lines, 6 decimals, and how many there are, so that a cut file is found out."""
    with path.open("w", encoding="utf-8") as out:
        out.write(f"# Vertices: {len(vertices)}\n# Faces: {len(faces)}\n")
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
    remedy = 'Each line must be "name vertex", and vertices count from 0 as in full_head.obj.'
    text = read_text(path, error=SceneError, remedy=remedy, most=MAX_LANDMARKS)
    words = [(n, line.split()[-1]) for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    wrong = [(n, word) for n, word in words if not (word.isdecimal() and len(word) < 12)]
    vertices = np.zeros((0, 3)) if wrong else read_vertices(mesh_path, error=SceneError)
    finite = np.asarray(np.isfinite(vertices).all(axis=1))
    wrong = wrong or [(n, w) for n, w in words if int(w) >= len(finite) or not finite[int(w)]]
    if wrong:
        raise SceneError(
            f"line {wrong[0][0]} names the vertex {wrong[0][1][:40]!r}, which isn't there",
            where=path,
            remedy=remedy,
        )
    return vertices[[int(word) for _, word in words]]


def write_landmarks(path: Path, landmarks: np.ndarray, vertices: np.ndarray) -> None:
    """Write H3DS's "name vertex" lines: the vertex nearest to each landmark."""
    _, nearest = cKDTree(vertices).query(landmarks)
    lines = [f"landmark_{i:02d} {v}" for i, v in enumerate(nearest)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
