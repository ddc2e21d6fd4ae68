"""How far a mesh is from the truth: the `surface` protocol, and the H3DS toolkit's `h3ds`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from privhead_nb.errors import PrivheadError, check_choice
from privhead_nb.geometry.mesh import Mesh

if TYPE_CHECKING:
    import trimesh

    from privhead_nb.scenes.scene import Truth


class HasMesh(Protocol):
    """What was reconstructed."""

    @property
    def mesh(self) -> Mesh: ...


Points = NDArray[np.float64]
Ball = tuple[tuple[float, float, float], float]  # centre and radius
Way = Literal["surface", "h3ds"]
Region = Literal["face", "head"]
Align = Literal["known", "icp"]

SHARES = (1.0, 2.0, 5.0)  # "within" is stated at these distances, in the scene's unit


class MetricsError(PrivheadError):
    """The distance asked for has no meaning: an unknown name, or no surface in the region."""


@dataclass(frozen=True, kw_only=True)
class Distances:
    """What `evaluate` measured.

    Distances are in `unit`, unsquared; normal errors in degrees. Fields that a protocol does not
    define are None (`h3ds` is one-way and knows no normals). `within` maps a distance to the share
    of samples, mean of the directions measured, that lie no further from the other surface.
    """

    protocol: str
    region: str
    unit: str
    distance_mean: float
    distance_truth_to_mesh: float
    distance_mesh_to_truth: float | None = None
    normal_median_deg: float | None = None
    normal_mean_deg: float | None = None
    within: dict[str, float]
    samples_truth: int
    samples_mesh: int
    seed: int
    align: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return asdict(self)


def closest_points(points: Points, mesh: Mesh) -> tuple[Points, Points, NDArray[np.int64]]:
    """Exact closest points on a mesh's triangles.

    Args:
        points: (P, 3).

    Returns:
        distance (P,) unsquared, closest point (P, 3), index of its face (P,).
    """
    import igl

    points = np.ascontiguousarray(points, dtype=np.float64)
    squared, face, closest = igl.point_mesh_squared_distance(points, mesh.vertices, mesh.faces)
    return np.sqrt(squared), np.asarray(closest), np.asarray(face)


def sample_surface(mesh: Mesh, count: int, seed: int) -> tuple[Points, NDArray[np.int64]]:
    """Points spread evenly over the area of a mesh.

    Returns:
        points (count, 3) and the face (count,) that each lies on.
    """
    areas = mesh.face_areas()
    if not areas.sum() > 0:
        raise MetricsError("the mesh has no area", remedy="Give a mesh with real triangles.")
    rng = np.random.default_rng(seed)
    face = np.searchsorted(np.cumsum(areas) / areas.sum(), rng.random(count), side="right")
    face = np.minimum(face, len(areas) - 1)
    # Uniform in a triangle: (1 - sqrt u) a + sqrt u (1 - v) b + sqrt u v c.
    u, v = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    a, b, c = mesh.triangles()[face].transpose(1, 0, 2)
    return (1 - u) * a + u * (1 - v) * b + u * v * c, face


def evaluate(
    result: HasMesh | Mesh | trimesh.Trimesh,
    scene: Truth,
    *,
    protocol: Way = "surface",
    region: Region = "face",
    samples: int = 200_000,
    seed: int = 0,
    align: Align = "known",
) -> Distances:
    """Distances and normal errors of a reconstruction or a mesh against a scene's truth.

    `surface`: `samples` points by area on each mesh, those in the region kept, the exact distance
    from each to the whole other mesh, mean of the two directions; normal error from truth to mesh,
    between the normal of the sample's own face and that of the face its closest point lies on.

    `h3ds`, as that data set's toolkit does it: ICP (20 iterations, 1e-5; it may scale) from the
    truth's vertices in the region to the mesh's vertices, then the mean distance from each of them
    to the nearest vertex. It depends on vertex density and hides errors of scale: report both.

    Args:
        result: a `Reconstruction`, or a mesh in the scene's frame and unit.
        scene: a `Scene`, or whatever else gives the truth mesh, nose tip, face radius and unit.
        region: `face` is the ball of `face_radius` around the nose tip, `head` everything.
        samples, seed: used by `surface`; both meshes are sampled with the same seed.
        align: `known` trusts the cameras; `icp` first moves the mesh rigidly onto the truth
            (`surface` only; `h3ds` always aligns).

    Raises:
        SceneError: the scene has no truth mesh, or no nose tip where the face is asked for.
        MeshError: the mesh is empty or broken.
        MetricsError: no surface in the region, or an unknown name.
    """
    check_choice("protocol", protocol, get_args(Way), where="protocol", error=MetricsError)
    check_choice("region", region, get_args(Region), where="region", error=MetricsError)
    check_choice("alignment", align, get_args(Align), where="align", error=MetricsError)
    if samples < 1:
        raise MetricsError(f"samples must be at least 1, got {samples}")
    found: Any = getattr(result, "mesh", result)
    mesh = found if isinstance(found, Mesh) else Mesh.from_trimesh(found)
    truth = Mesh.from_trimesh(scene.truth_mesh())
    ball = scene.face_region() if region == "face" else None
    given: dict[str, Any] = {
        "protocol": protocol,
        "region": region,
        "unit": scene.unit,
        "seed": seed,
    }
    if protocol == "h3ds":
        return Distances(**given, align="icp", **_h3ds(mesh, truth, ball))
    if align == "icp":
        mesh = _rigid_icp(mesh, truth, ball, seed)
    on_truth, truth_face = _keep(sample_surface(truth, samples, seed), ball, "the truth")
    on_mesh, _ = _keep(sample_surface(mesh, samples, seed), ball, "the mesh")
    forward, _, mesh_face = closest_points(on_truth, mesh)
    backward, _, _ = closest_points(on_mesh, truth)
    angle = _angle_deg(truth.face_normals()[truth_face], mesh.face_normals()[mesh_face])
    return Distances(
        **given,
        align=align,
        distance_mean=float((forward.mean() + backward.mean()) / 2),
        distance_truth_to_mesh=float(forward.mean()),
        distance_mesh_to_truth=float(backward.mean()),
        normal_median_deg=float(np.median(angle)),
        normal_mean_deg=float(angle.mean()),
        within=_within(forward, backward),
        samples_truth=len(on_truth),
        samples_mesh=len(on_mesh),
    )


def _h3ds(mesh: Mesh, truth: Mesh, ball: Ball | None) -> dict[str, Any]:
    """What the `h3ds` protocol measures, by the names of `Distances`."""
    from trimesh.registration import icp

    source = truth.vertices[np.unique(truth.faces)]
    source, _ = _keep((source, np.arange(len(source))), ball, "the truth")
    target = mesh.vertices[np.unique(mesh.faces)]
    if len(source) < 3 or len(target) < 3:
        raise MetricsError("too few vertices for ICP")
    # Truth to prediction, and then the prediction is moved by the inverse, as the toolkit does.
    try:
        matrix, _, _ = icp(source, target, threshold=1e-5, max_iterations=20)
        back = np.linalg.inv(matrix)
    except np.linalg.LinAlgError as error:
        raise MetricsError(
            f"the meshes can't be aligned ({error})",
            remedy="ICP needs two meshes of some extent that lie near each other.",
        ) from error
    distance = np.asarray(cKDTree(_moved(target, back)).query(source)[0])  # to the nearest vertex
    return {
        "distance_mean": float(distance.mean()),
        "distance_truth_to_mesh": float(distance.mean()),
        "within": _within(distance),
        "samples_truth": len(source),
        "samples_mesh": len(target),
    }


def _moved(points: Points, matrix: NDArray[Any]) -> Points:
    """Points (P, 3) moved by a matrix (4, 4)."""
    return np.asarray(points @ matrix[:3, :3].T + matrix[:3, 3])


def _rigid_icp(mesh: Mesh, truth: Mesh, ball: Ball | None, seed: int) -> Mesh:
    """Turn and shift the mesh (no scaling) so that the truth's region lies best on its surface."""
    from trimesh.registration import procrustes

    points, _ = _keep(sample_surface(truth, 5_000, seed), ball, "the truth")
    total, previous = np.eye(4), np.inf
    for _ in range(50):
        # Moving the truth's points is the same as moving the mesh by the inverse.
        here = _moved(points, total)
        distance, closest, _ = closest_points(here, mesh)
        if previous - distance.mean() < 1e-4 * max(previous, 1e-12) and np.isfinite(previous):
            break
        previous = distance.mean()
        step, _, _ = procrustes(here, closest, reflection=False, scale=False)
        total = step @ total
    return Mesh(_moved(mesh.vertices, np.linalg.inv(total)), mesh.faces)


def _keep(
    sampled: tuple[Points, NDArray[np.int64]], ball: Ball | None, what: str
) -> tuple[Points, NDArray[np.int64]]:
    """The points in the face ball (all of them without one)."""
    points, face = sampled
    if ball is None:
        return points, face
    near = np.linalg.norm(points - ball[0], axis=1) <= ball[1]
    if not near.any():
        raise MetricsError(
            f"{what} has no surface in the face region",
            remedy="Check that mesh and scene share one frame and unit, or use --region head.",
        )
    return points[near], face[near]


def _angle_deg(a: Points, b: Points) -> Points:
    """Angle between unit vectors (P, 3), exact for small angles too; 90 for a zero normal."""
    cross, dot = np.linalg.norm(np.cross(a, b), axis=1), (a * b).sum(axis=1)
    angle = np.degrees(np.arctan2(cross, dot))
    flat = ~(a.any(axis=1) & b.any(axis=1))
    return np.asarray(np.where(flat, 90.0, angle))


def _within(*directions: Points) -> dict[str, float]:
    return {
        f"{limit:g}": float(np.mean([(distance <= limit).mean() for distance in directions]))
        for limit in SHARES
    }
