"""Claims about extract_mesh and mesh files."""

import numpy as np
import pytest
import torch
from skimage.measure import marching_cubes
from torch import Tensor

from privhead_nb.errors import OutputError
from privhead_nb.geometry.mesh import Mesh, MeshError, extract_mesh, largest_component

CENTER, RADIUS = (10.0, -20.0, 30.0), 100.0


def ball(x: Tensor, at: tuple[float, float, float] = (0, 0, 0), size: float = 0.5) -> Tensor:
    return (x - torch.tensor(at, dtype=x.dtype)).norm(dim=-1) - size


def test_a_ball_becomes_a_closed_mesh_in_world_units_that_faces_outwards():
    mesh = extract_mesh(ball, CENTER, RADIUS, resolution=64)
    distance = np.linalg.norm(mesh.vertices - CENTER, axis=1)
    assert np.abs(distance - 50).max() < 0.03  # linear interpolation on 3.1 mm cells
    solid = mesh.to_trimesh()
    assert solid.is_watertight
    assert solid.volume == pytest.approx(4 / 3 * np.pi * 50**3, rel=5e-3)
    assert solid.volume > 0
    outwards = (mesh.vertex_normals() * (mesh.vertices - CENTER)).sum(1) / distance
    assert outwards.min() > 0.99


def test_resolution_refines_the_surface():
    found = [extract_mesh(ball, (0, 0, 0), 1.0, resolution=r).to_trimesh() for r in (32, 64)]
    errors = [abs(mesh.volume - np.pi / 6) for mesh in found]
    assert errors[1] < errors[0] / 3  # second order


def test_only_the_neighbourhood_of_the_surface_is_evaluated():
    asked: list[int] = []
    extract_mesh(lambda x: (asked.append(len(x)), ball(x))[1], CENTER, RADIUS, resolution=128)
    assert sum(asked) < 0.2 * 129**3


@pytest.mark.parametrize("stretch", [0.4, 1.0, 1.9, 30.0])
def test_the_sparse_pass_gives_the_dense_mesh_where_the_gradient_is_not_one(stretch):
    """At 30 the coarse pass misses most of the surface, which is followed from what it finds."""

    def field(x: Tensor) -> Tensor:
        bumpy = x.norm(dim=-1) - 0.6 + 0.02 * torch.sin(20 * x).prod(dim=-1)
        return stretch * bumpy

    axis = torch.linspace(-1, 1, 65)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    volume = torch.maximum(field(grid.view(-1, 3)), grid.view(-1, 3).norm(dim=-1) - 1)
    dense, faces, _, _ = marching_cubes(volume.view(65, 65, 65).numpy(), 0.0)
    sparse = extract_mesh(field, (0, 0, 0), 1.0, resolution=64, largest=False)
    assert sparse.faces.shape == faces.shape
    order = np.lexsort(np.round(sparse.vertices, 5).T)
    expected = dense * (2 / 64) - 1
    np.testing.assert_allclose(
        sparse.vertices[order], expected[np.lexsort(np.round(expected, 5).T)], atol=1e-5
    )


def test_the_unit_sphere_closes_what_runs_out_of_it():
    mesh = extract_mesh(lambda x: x[:, 0].abs() - 0.2, CENTER, RADIUS, resolution=64)
    assert np.linalg.norm(mesh.vertices - CENTER, axis=1).max() < RADIUS * 1.001
    assert mesh.to_trimesh().is_watertight


def test_specks_are_dropped_only_on_request():
    def two(x: Tensor) -> Tensor:
        return torch.minimum(ball(x, (-0.3, 0, 0), 0.4), ball(x, (0.6, 0, 0), 0.1))

    both = extract_mesh(two, (0, 0, 0), 1.0, resolution=64, largest=False)
    one = extract_mesh(two, (0, 0, 0), 1.0, resolution=64)
    assert both.vertices[:, 0].max() > 0.65
    assert one.vertices[:, 0].max() == pytest.approx(0.1, abs=0.01)
    assert largest_component(both).faces.shape == one.faces.shape


@pytest.mark.parametrize(
    ("times", "plus", "said"),
    [(1, 5, "positive everywhere"), (1, -5, "negative everywhere"), (np.nan, 0, "not finite")],
)
def test_no_zero_crossing_or_a_nan_is_a_clear_error(times, plus, said):
    with pytest.raises(MeshError, match=said):
        extract_mesh(lambda x: ball(x) * times + plus, (0, 0, 0), 1.0, resolution=16)


@pytest.mark.parametrize("ending", ["ply", "obj", "glb"])
def test_files_give_back_the_mesh(tmp_path, ending):
    mesh = extract_mesh(ball, CENTER, RADIUS, resolution=16)
    mesh.save(tmp_path / f"head.{ending}")
    again = Mesh.load(tmp_path / f"head.{ending}")
    np.testing.assert_allclose(again.vertices, mesh.vertices, atol=1e-4)
    np.testing.assert_array_equal(again.faces, mesh.faces)
    assert [path.name for path in tmp_path.iterdir()] == [f"head.{ending}"]


def test_bad_targets_and_bad_meshes_are_clear_errors(tmp_path):
    mesh = extract_mesh(ball, CENTER, RADIUS, resolution=16)
    with pytest.raises(MeshError, match=r"format '\.stl'"):
        mesh.save(tmp_path / "head.stl")
    (tmp_path / "folder.ply").mkdir()
    with pytest.raises(OutputError):
        mesh.save(tmp_path / "folder.ply")
    for vertices, faces, said in (
        (np.zeros((3, 3)), np.zeros((0, 3)), "no triangle"),
        (np.full((3, 3), np.nan), np.array([[0, 1, 2]]), "not finite"),
        (np.zeros((3, 3)), np.array([[0, 1, 3]]), "does not exist"),
        (np.zeros((3, 2)), np.array([[0, 1, 2]]), r"needs \(N, 3\)"),
    ):
        with pytest.raises(MeshError, match=said):
            Mesh(vertices, faces)
