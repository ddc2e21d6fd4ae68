"""Claims about the two distance protocols."""

import json
from typing import Any

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from privhead_nb.errors import PrivheadError, SceneError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import (
    Distances,
    MetricsError,
    closest_points,
    evaluate,
    sample_surface,
)
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.scene import Truth


def scene_of(truth: trimesh.Trimesh | None, nose: bool = True) -> Truth:
    """A truth whose face is the ball of 95 around (0, 0, 100)."""
    triangles = None if truth is None else (truth.vertices, truth.faces)
    return Truth(truth=triangles, nose_tip=(0.0, 0.0, 100.0), face_radius=95.0 if nose else None)


def head(result: Any, truth: trimesh.Trimesh, samples: int = 20_000, **more: Any) -> Distances:
    """Measured over the whole head."""
    return evaluate(result, scene_of(truth), samples=samples, region="head", **more)


def turned(mesh: trimesh.Trimesh, angle: float, axis: list[float]) -> trimesh.Trimesh:
    return mesh.copy().apply_transform(trimesh.transformations.rotation_matrix(angle, axis))


def sphere(radius: float, level: int = 4) -> trimesh.Trimesh:
    return trimesh.creation.icosphere(subdivisions=level, radius=radius)


def brute_force(point: np.ndarray, triangle: np.ndarray) -> float:
    """Distance from a point to a triangle, as trimesh has it."""
    nearest = trimesh.triangles.closest_point(triangle[None], point[None])[0]
    return float(np.linalg.norm(point - nearest))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_closest_points_equal_brute_force(seed):
    rng = np.random.default_rng(seed)
    mesh = Mesh(rng.normal(size=(12, 3)), np.arange(12).reshape(4, 3))
    points = rng.normal(scale=2, size=(10, 3))
    distance, closest, face = closest_points(points, mesh)
    expected = [min(brute_force(p, t) for t in mesh.triangles()) for p in points]
    np.testing.assert_allclose(distance, expected, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(points - closest, axis=1), distance, atol=1e-12)
    on_face = [brute_force(p, mesh.triangles()[f]) for p, f in zip(closest, face, strict=True)]
    np.testing.assert_allclose(on_face, 0, atol=1e-12)


def test_samples_are_even_by_area_lie_on_their_face_and_repeat():
    small_and_large = Mesh(
        np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 0, 0], [8, 0, 0], [5, 3, 0.0]]),
        np.array([[0, 1, 2], [3, 4, 5]]),
    )
    points, face = sample_surface(small_and_large, 20_000, seed=3)
    assert (face == 1).mean() == pytest.approx(0.9, abs=0.01)
    for which in (0, 1):  # the mean of even samples is the centroid
        centroid = small_and_large.triangles()[which].mean(axis=0)
        np.testing.assert_allclose(points[face == which].mean(axis=0), centroid, atol=0.05)
    again, _ = sample_surface(small_and_large, 20_000, seed=3)
    np.testing.assert_array_equal(points, again)
    other, _ = sample_surface(small_and_large, 20_000, seed=4)
    assert not np.array_equal(points, other)


def test_two_spheres_are_apart_by_the_difference_of_their_radii():
    result = head(sphere(103), sphere(100))
    both = (result.distance_truth_to_mesh, result.distance_mesh_to_truth)
    assert (*both, result.distance_mean) == pytest.approx([3.0] * 3, abs=0.05)  # facets
    assert result.normal_median_deg < 1.5
    assert result.within == {"1": 0.0, "2": 0.0, "5": 1.0}
    assert (result.samples_truth, result.samples_mesh) == (20_000, 20_000)


def test_the_mean_of_both_directions_sees_what_one_direction_hides():
    half = sphere(100)
    half.update_faces(half.triangles_center[:, 2] > 0)
    result = head(half, sphere(100))
    assert result.distance_mesh_to_truth == pytest.approx(0, abs=1e-6)
    assert result.distance_truth_to_mesh > 10
    assert result.distance_mean == pytest.approx(result.distance_truth_to_mesh / 2)


def test_normals_are_compared_face_to_face():
    flat = trimesh.Trimesh([[-50, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]],
                           [[0, 1, 2], [0, 2, 3]])  # fmt: skip
    tilted = head(turned(flat, np.radians(10), [1, 0, 0]), flat, 2_000)
    assert (tilted.normal_median_deg, tilted.normal_mean_deg) == pytest.approx((10, 10))
    flipped = trimesh.Trimesh(flat.vertices, flat.faces[:, ::-1])
    assert head(flipped, flat, 2_000).normal_median_deg == pytest.approx(180)


def test_the_face_region_is_a_ball_and_the_other_mesh_stays_whole():
    """A sample at the region's rim may find its closest point outside of the region."""
    truth = sphere(100)
    dented = truth.vertices.copy()
    dented[dented[:, 2] < -50] *= 0.5  # far from the face
    worse = trimesh.Trimesh(dented, truth.faces, process=False)
    face, whole = evaluate(worse, scene_of(truth), samples=20_000), head(worse, truth)
    assert face.distance_mean < 1e-6 < whole.distance_mean
    assert face.samples_truth < 20_000 == whole.samples_truth
    grown = evaluate(sphere(101), scene_of(truth), samples=20_000)
    assert grown.distance_truth_to_mesh == pytest.approx(1.0, abs=0.05)


def test_icp_takes_out_a_rigid_motion_but_no_scale():
    truth = trimesh.creation.box((100, 80, 60)).subdivide().subdivide()
    moved = turned(truth, 0.05, [1, 1, 0]).apply_translation([2, -1, 1])
    assert head(moved, truth, 5_000).distance_mean > 1
    assert head(moved, truth, 5_000, align="icp").distance_mean < 0.05
    larger = truth.copy().apply_scale(1.1)
    assert head(larger, truth, 5_000, align="icp").distance_mean > 1


def test_h3ds_is_one_way_on_vertices_and_hides_scale():
    truth = trimesh.creation.box((100, 80, 60)).subdivide().subdivide().subdivide()
    result = head(truth.copy().apply_scale(1.05), truth, protocol="h3ds")
    assert result.distance_mean < 0.2  # its ICP scales
    assert result.distance_mesh_to_truth is None and result.normal_median_deg is None
    sparse, dense = (head(sphere(100, n), sphere(100), protocol="h3ds") for n in (1, 4))
    assert sparse.distance_mean > 10 * dense.distance_mean + 5  # it sees vertices, not surface


def test_the_result_is_plain_json():
    result = evaluate(sphere(101), scene_of(sphere(100)), samples=1_000, seed=7).to_dict()
    assert json.loads(json.dumps(result)) == result
    wanted = {"protocol", "region", "unit", "distance_mean", "distance_truth_to_mesh"}
    wanted |= {"distance_mesh_to_truth", "normal_median_deg", "normal_mean_deg", "within", "seed"}
    assert wanted <= set(result)
    assert result["seed"] == 7


def test_what_can_not_be_measured_is_a_clear_error():
    ball = sphere(100)
    far = ball.copy().apply_translation([0, 0, 10_000])
    flat = Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]]))
    for mesh, scene, error, said in (
        (ball, scene_of(None), SceneError, "no truth mesh"),
        (ball, scene_of(ball, nose=False), SceneError, "face region is unknown"),
        (trimesh.Trimesh(), scene_of(ball), PrivheadError, "no triangle"),
        (far, scene_of(ball), MetricsError, "the mesh has no surface in the face region"),
        (flat, scene_of(ball), MetricsError, "no area"),
    ):
        with pytest.raises(error, match=said):
            evaluate(mesh, scene, samples=100)
    evaluate(ball, scene_of(ball, nose=False), region="head", samples=100)
    for wrong in ({"protocol": "x"}, {"region": "x"}, {"align": "x"}, {"samples": 0}):
        with pytest.raises(MetricsError):
            evaluate(ball, scene_of(ball), **wrong)


def test_the_real_head_is_at_no_distance_from_itself(real_head):
    from privhead_nb.scenes.folder import load_scene

    scene = load_scene(real_head)
    result = evaluate(scene.truth_mesh(), scene)
    assert result.distance_mean < 1e-9
    assert result.normal_mean_deg < 1e-6
    assert result.within == {"1": 1.0, "2": 1.0, "5": 1.0}
    assert evaluate(scene.truth_mesh(), scene, protocol="h3ds").distance_mean < 1e-9


def test_meshes_that_icp_cant_align_are_refused():
    head = Mesh.load(SAMPLES / "scene" / "full_head.obj")
    truth = Truth(truth=(np.eye(3), np.array([[0, 1, 2]])))
    with pytest.raises(MetricsError, match="aligned"):
        evaluate(head, truth, protocol="h3ds", region="head")
