"""Claims of lesson 02: distances, bounds, starts, loops, fits, layers; its pictures and panel.

What stands on the page is tested as it stands there: its definitions are read from the source.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.studies import sdf as sdf_study
from privhead_nb import load_scene
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import closest_points
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import results
from privhead_nb.teach.lesson02 import figures, laplace, panel, shapes
from privhead_nb.training.losses import eikonal_loss

SCENE = load_scene(SAMPLES / "scene")
TRUTH = Mesh.from_trimesh(SCENE.truth_mesh())
PAGE = sdf_study.definitions(scene=SCENE, truth=TRUTH)
BOX = partial(PAGE.box, half=torch.tensor([0.55, 0.4, 0.5]))
EXACT = {"sphere": PAGE.sphere, "box": BOX, "capsule": PAGE.capsule, "torus": PAGE.torus}
BALL = PAGE.moved(partial(PAGE.sphere, radius=0.5), (-0.3, 0.0, 0.0))
BLOCK = PAGE.moved(partial(PAGE.box, half=torch.tensor([0.4, 0.35, 0.35])), (0.3, 0.0, 0.0))
BOUNDS = {
    "union": lambda points: torch.minimum(BALL(points), BLOCK(points)),
    "intersection": lambda points: torch.maximum(BALL(points), BLOCK(points)),
    "smooth union": PAGE.smooth_union(BALL, BLOCK),
}


def places(count: int = 2000, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9


def mesh_of(shape: shapes.Shape, resolution: int = 128) -> Mesh:
    mesh: Mesh = PAGE.level_mesh(PAGE.sample_volume(shape, resolution))
    return mesh


# Shapes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", EXACT.values(), ids=EXACT)
def test_a_shapes_value_is_the_distance_to_its_own_zero_set(shape: shapes.Shape) -> None:
    true = closest_points(places().double().numpy(), mesh_of(shape))[0]
    assert np.abs(np.abs(shape(places()).numpy()) - true).max() < 0.01


@pytest.mark.parametrize("shape", [*EXACT.values(), *BOUNDS.values()])
def test_no_shape_is_steeper_than_one(shape: shapes.Shape) -> None:
    near, far = places(seed=1), places(seed=2)
    apart = (near - far).norm(dim=-1)
    assert ((shape(near) - shape(far)).abs() <= apart + 1e-5).all()
    assert shapes.value_and_gradient(shape, near)[1].norm(dim=-1).max() < 1.0001


def test_the_checks_shapes_are_the_pages() -> None:
    half = torch.tensor([0.3, 0.5, 0.4])
    assert torch.allclose(shapes.sphere(places()), PAGE.sphere(places()))
    assert torch.allclose(shapes.torus(places()), PAGE.torus(places()))
    assert torch.allclose(shapes.box(places(), half), PAGE.box(places(), half))


def test_a_slice_holds_the_points_that_it_names() -> None:
    front, side = shapes.plane(5, "z", 0.3), shapes.plane(5, "x", -0.2)
    assert front.shape == side.shape == (5, 5, 3)
    assert torch.allclose(front[0, -1], torch.tensor([1.0, -1.0, 0.3]))  # below, right
    assert torch.allclose(side[-1, 0], torch.tensor([-0.2, 1.0, -1.0]))  # above, left


# Networks, starts and fits ------------------------------------------------------------------------


def test_the_geometric_start_is_nearly_a_sphere_and_pytorchs_is_not() -> None:
    outward = torch.nn.functional.normalize(places(500), dim=-1)
    closed = []
    for make in (
        partial(PAGE.SDFNetwork, geometric=False), PAGE.SDFNetwork, PAGE.GridSDF,
    ):  # fmt: skip
        torch.manual_seed(0)
        f = make()
        closed.append(bool((f(0.2 * outward) < 0).all() and (f(outward) > 0).all()))
    assert closed == [False, True, True]


def test_a_fit_repeats_with_its_seed_and_moves_only_what_it_was_given() -> None:
    found = []
    for seed in (4, 4, 5):
        torch.manual_seed(0)
        field = PAGE.SDFNetwork(16)
        first = field.layers[0].weight.detach().clone()
        torch.manual_seed(seed)
        loss = partial(PAGE.scan_loss, field, places(50), 0.1)
        PAGE.fit(field.layers[1:].parameters(), loss, 3)
        assert torch.equal(first, field.layers[0].weight)
        found.append(field(places(9)))
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_eikonal_points_lie_in_the_ball_and_near_the_surface() -> None:
    surface = torch.tensor([[0.5, 0.0, 0.0]])
    found = PAGE.eikonal_points(surface, 400)
    assert found.shape == (400, 3) and found.abs().max() <= 1
    assert found[:200].norm(dim=-1).max() <= 1 and found[:200].norm(dim=-1).median() > 0.7
    assert (found[200:] - surface).norm(dim=-1).median() < 0.1


def test_a_field_is_measured_in_mm() -> None:
    def ball(points: Tensor) -> Tensor:
        return points.norm(dim=-1) - 0.5

    volume = PAGE.sample_volume(ball, 48)
    mesh = PAGE.in_mm(PAGE.level_mesh(volume, 10 / SCENE.radius))
    reach = np.linalg.norm(mesh.vertices - np.asarray(SCENE.center), axis=1)
    assert np.abs(reach - 0.5 * SCENE.radius - 10).max() < 0.5
    distance, angle, level = PAGE.measured(volume)
    assert distance > 5 and angle > 10 and level > 10


def test_the_lessons_loss_is_equation_4() -> None:
    torch.manual_seed(0)
    field = PAGE.SDFNetwork(16)
    theirs = eikonal_loss(PAGE.with_slope(field, places(50))[1])
    assert torch.allclose(PAGE.eikonal_loss(field, places(50)), theirs)


def test_the_stored_study_has_the_lessons_fits() -> None:
    found = results.table("sdf_fits")
    assert found["command"] == "python benchmarks/studies/sdf.py"
    assert set(found["head"]) == set(sdf_study.HEAD)
    torus = found["torus"]
    assert {name: len(apart) for name, apart in torus.items()} == dict.fromkeys(
        sdf_study.TORUS, len(found["seeds"])
    )


# Layers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", laplace.FORMS)
@pytest.mark.parametrize("cosine", [1.0, 0.5])
def test_the_closed_form_is_the_packages_compositing(form: str, cosine: float) -> None:
    way = torch.linspace(-60, 60, 600_001, dtype=torch.float64)
    weights = laplace.sampled_weights(-way * cosine, float(way[1] - way[0]), 1.3, form)
    stopped = laplace.stopped(way * cosine, 1.3, cosine, form)
    assert (weights.cumsum(0) - stopped).abs().max() < 1e-3


@pytest.mark.parametrize("form", laplace.FORMS)
def test_depth_at_is_the_inverse_of_stopped(form: str) -> None:
    for share in (1e-4, 0.05, 0.39, 0.4, 0.5, 0.95, 0.9999):
        for cosine in (1.0, 0.3):
            depth = torch.tensor(laplace.depth_at(share, 0.7, cosine, form), dtype=torch.float64)
            assert float(laplace.stopped(depth, 0.7, cosine, form)) == pytest.approx(
                share, rel=1e-6
            )


def test_volsdfs_layer_comes_forward_at_grazing_angles_and_neus_s_does_not() -> None:
    middle = [laplace.depth_at(0.5, 1.0, math.cos(math.radians(a))) for a in (0, 45, 60, 80)]
    assert middle[0] > 0.3 and middle[-1] < -1.3 and middle == sorted(middle, reverse=True)
    assert laplace.depth_at(0.5, 1.0, 0.1, "NeuS") == 0.0


def test_layers_that_mean_nothing_are_refused() -> None:
    for wrong in ((1.0, 1.0, 1.0), (0.5, 0.0, 1.0), (0.5, 1.0, 0.0)):
        with pytest.raises(ValueError, match="share"):
            laplace.depth_at(*wrong)


# Pictures and the panel ---------------------------------------------------------------------------


def test_the_medial_axis_is_dark_where_two_surface_points_are_equally_near() -> None:
    norm = figures.gradient_norm_on(PAGE.torus, side=41)
    assert norm[20, 20] < 0.5 and norm[20, 30] < 0.5  # the hole's middle, the tube's
    assert abs(norm[20, 38] - 1) < 0.01


def test_a_thin_layer_between_samples_loses_its_place() -> None:
    """With few samples the weight jumps as the hit moves, though the layer stays as it is."""
    thin = [panel.picture(0.25, 0, 12, hit, "VolSDF").facts for hit in (30.0, 32.25)]
    words = [facts.split("mean depth")[0].split(", ")[1] for facts in thin]
    assert words[0] != words[1]
