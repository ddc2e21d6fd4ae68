"""Triangle meshes: the zero level set of a signed distance (eq. 3), and mesh files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.errors import PrivheadError
from privhead_nb.files import atomic_file
from privhead_nb.scenes.mesh_files import read_mesh

if TYPE_CHECKING:
    import trimesh

FORMATS = (".ply", ".obj", ".glb")
BLOCK = 4  # fine cells along the side of one coarse cell
CHUNK = 1 << 17  # points in one call of the signed distance


class MeshError(PrivheadError):
    """A mesh is empty, broken, or has no surface where one is needed."""


@dataclass(frozen=True)
class Mesh:
    """Triangles in the scene's unit.

    Args:
        vertices: (N, 3) float64.
        faces: (M, 3) int64, counter-clockwise seen from outside.

    Raises:
        MeshError: no triangle, a vertex that is not finite, or a face that names a missing vertex.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]

    def __post_init__(self) -> None:
        vertices = np.ascontiguousarray(self.vertices, dtype=np.float64)
        faces = np.ascontiguousarray(self.faces, dtype=np.int64)
        object.__setattr__(self, "vertices", vertices)
        object.__setattr__(self, "faces", faces)
        if vertices.ndim != 2 or vertices.shape[1] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
            raise MeshError(f"needs (N, 3) and (M, 3), got {vertices.shape} and {faces.shape}")
        if len(faces) == 0:
            raise MeshError("the mesh has no triangle")
        if not np.isfinite(vertices).all():
            raise MeshError("the mesh has vertices that are not finite")
        if faces.min() < 0 or faces.max() >= len(vertices):
            raise MeshError("a face names a vertex that does not exist")

    def triangles(self) -> NDArray[np.float64]:
        """Corners of each face, (M, 3, 3)."""
        return self.vertices[self.faces]

    def face_normals(self) -> NDArray[np.float64]:
        """Unit normals, (M, 3); zero for a triangle without area."""
        cross = self._cross()
        length = np.linalg.norm(cross, axis=1, keepdims=True)
        return cross / np.where(length > 0, length, 1.0)

    def face_areas(self) -> NDArray[np.float64]:
        """Areas, (M,), in the unit squared."""
        return np.asarray(0.5 * np.linalg.norm(self._cross(), axis=1))

    def vertex_normals(self) -> NDArray[np.float64]:
        """Unit normals at the vertices, (N, 3), weighted by the area of the faces around."""
        cross = self._cross()
        total = np.zeros_like(self.vertices)
        for corner in range(3):
            for axis in range(3):
                column = self.faces[:, corner]
                total[:, axis] += np.bincount(column, cross[:, axis], minlength=len(total))
        length = np.linalg.norm(total, axis=1, keepdims=True)
        return total / np.where(length > 0, length, 1.0)

    def _cross(self) -> NDArray[np.float64]:
        a, b, c = self.triangles().transpose(1, 0, 2)
        return np.cross(b - a, c - a)

    def to_trimesh(self) -> trimesh.Trimesh:
        """The same vertices and faces, untouched, as a trimesh object."""
        import trimesh

        return trimesh.Trimesh(self.vertices, self.faces, process=False)

    def save(self, path: str | Path) -> None:
        """Write PLY, OBJ or GLB, chosen by the ending.

        Raises:
            MeshError: another ending.
            OutputError: the disk says no; nothing half-written is left.
        """
        path = Path(path)
        if path.suffix.lower() not in FORMATS:
            raise MeshError(
                f"can't write the format {path.suffix!r}",
                where=path,
                remedy=f"Use one of {', '.join(FORMATS)}.",
            )
        with atomic_file(path) as aside:
            self.to_trimesh().export(aside)

    @classmethod
    def load(cls, path: str | Path) -> Mesh:
        """Read an OBJ, PLY, GLB or STL file; several parts in one file are joined.

        Raises:
            MeshError: what `read_mesh` refuses.
        """
        return cls(*read_mesh(Path(path), error=MeshError))

    @classmethod
    def from_trimesh(cls, mesh: trimesh.Trimesh) -> Mesh:
        """Take over the vertices and faces of a trimesh object."""
        return cls(np.asarray(mesh.vertices), np.asarray(mesh.faces))


def largest_component(mesh: Mesh) -> Mesh:
    """The connected part with the largest area; the floating specks around it are dropped."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    count = len(mesh.vertices)
    start = mesh.faces[:, [0, 1]].ravel()
    end = mesh.faces[:, [1, 2]].ravel()
    graph = coo_matrix((np.ones(len(start), bool), (start, end)), shape=(count, count))
    parts, label = connected_components(graph, directed=False)
    if parts == 1:
        return mesh
    face_label = label[mesh.faces[:, 0]]
    best = np.bincount(face_label, mesh.face_areas()).argmax()
    faces = mesh.faces[face_label == best]
    used, renumbered = np.unique(faces, return_inverse=True)
    return Mesh(mesh.vertices[used], renumbered.reshape(-1, 3))


def extract_mesh(
    sdf: Callable[[Tensor], Tensor],
    center: Sequence[float],
    radius: float,
    *,
    resolution: int = 256,
    largest: bool = True,
    device: str | torch.device = "cpu",
) -> Mesh:
    """The zero level set of `sdf` inside the unit sphere (eq. 3), by marching cubes.

    A coarse pass looks at every fourth grid point. A surface point in a coarse cell lies within
    half the cell's diagonal of some corner, so a cell can be passed over when |sdf| at its corners
    is larger than that, times two: every surface of a field whose gradient norm stays under 2 is
    found. Where the refined surface still runs into a cell that was passed over, that cell is
    refined too.

    Args:
        sdf: points (P, 3) float32 in unit-sphere coordinates x = (p - center) / radius to
            signed distances (P,) in the same coordinates, negative inside. Never asked outside.
        center, radius: the bounding sphere, in the scene's unit.
        resolution: cells along the sphere's diameter; rounded up to a multiple of 4.
        largest: keep only the connected part with the largest area.
        device: where `sdf` wants its points.

    Returns:
        A closed mesh in the scene's unit; outside of the sphere counts as empty. Not smoothed.

    Raises:
        MeshError: the field is not finite, or has no zero crossing in the sphere.
    """
    from skimage.measure import marching_cubes

    if resolution < 8:
        raise MeshError(f"resolution must be at least 8, got {resolution}")
    blocks = -(-resolution // BLOCK)
    axis = np.linspace(-1.0, 1.0, blocks * BLOCK + 1, dtype=np.float32)

    def evaluate(index: NDArray[np.int64]) -> NDArray[np.float32]:
        """sdf cut to the sphere, max(sdf, |x| - 1), at grid indices (P, 3)."""
        points = axis[index]
        values = np.linalg.norm(points, axis=1) - 1.0
        inside = np.flatnonzero(values < 0)
        for some in np.split(inside, range(CHUNK, len(inside), CHUNK)):
            with torch.no_grad():
                here = sdf(torch.from_numpy(points[some]).to(device)).reshape(-1)
            values[some] = np.maximum(here.float().cpu().numpy(), values[some])
        if not np.isfinite(values).all():
            raise MeshError("the signed distance is not finite everywhere")
        values[values == 0] = 1e-7  # an exact zero would collapse triangles and open seams
        return values

    # Coarse pass, and the values that stand in for what is never refined.
    corners = np.stack(np.meshgrid(*[np.arange(blocks + 1) * BLOCK] * 3, indexing="ij"), -1)
    coarse = evaluate(corners.reshape(-1, 3)).reshape((blocks + 1,) * 3)
    in_sphere = np.linalg.norm(axis[corners], axis=-1) < 1.0
    if coarse[in_sphere].max() < 0:
        raise _no_crossing("negative")
    volume = np.repeat(coarse, BLOCK, 0).repeat(BLOCK, 1).repeat(BLOCK, 2)
    volume = np.ascontiguousarray(volume[tuple([slice(0, len(axis))] * 3)])
    known = np.zeros(volume.shape, bool)
    known[tuple([slice(None, None, BLOCK)] * 3)] = True

    near = np.where(in_sphere, np.abs(coarse), np.inf)
    for k in range(3):
        near = np.minimum(np.take(near, range(blocks), k), np.take(near, range(1, blocks + 1), k))
    diagonal = BLOCK * float(axis[1] - axis[0]) * np.sqrt(3.0)
    wanted = near <= diagonal
    refined = np.zeros_like(wanted)
    while (wanted & ~refined).any():
        new = _points_of(wanted & ~refined) & ~known
        index = np.argwhere(new)
        volume[new] = evaluate(index)
        known |= new
        refined |= wanted
        inside = volume < 0
        wanted = _any_in_block(inside) & _any_in_block(~inside)

    if not (volume < 0).any():
        raise _no_crossing("positive")
    vertices, faces, _, _ = marching_cubes(volume, 0.0, gradient_direction="descent")
    unit = vertices.astype(np.float64) * (2.0 / (len(axis) - 1)) - 1.0
    world = unit * float(radius) + np.asarray(center, dtype=np.float64)
    mesh = Mesh(world, faces.astype(np.int64))
    return largest_component(mesh) if largest else mesh


def _no_crossing(sign: str) -> MeshError:
    return MeshError(
        f"the signed distance is {sign} everywhere in the bounding sphere, so it has no surface",
        remedy="Train longer, or check the scene's bounding sphere, cameras and masks.",
    )


def _points_of(cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """All fine grid points of the marked coarse cells, their borders included."""
    points = np.zeros([BLOCK * n + 1 for n in cells.shape], bool)
    points[:-1, :-1, :-1] = cells.repeat(BLOCK, 0).repeat(BLOCK, 1).repeat(BLOCK, 2)
    for k in range(3):  # so far without each cell's far border: one step further along each axis
        along = points.swapaxes(0, k)
        along[1:] |= along[:-1].copy()
    return points


def _any_in_block(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Per coarse cell: is any of its (BLOCK + 1)^3 grid points marked?"""
    for k in range(3):
        start = np.arange(0, marked.shape[k] - 1, BLOCK)
        marked = np.logical_or.reduceat(marked, start, k) | marked.take(start + BLOCK, k)
    return marked
