"""Claims of lesson 02: distances, bounds, starts, fits, walls; its checks, pictures and panel."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed, slips
from torch import Tensor

from benchmarks.studies import sdf as sdf_study
from privhead_nb import load_scene
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import closest_points
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, results
from privhead_nb.teach.lesson02 import figures, panel, sdf_fit, shapes, wall
from privhead_nb.training.losses import eikonal_loss
from privhead_nb.training.profiles import PROFILES

EXACT = (shapes.sphere, shapes.box, shapes.capsule, shapes.torus)
BALL = shapes.moved(partial(shapes.sphere, radius=0.5), (-0.3, 0.0, 0.0))
BLOCK = shapes.moved(partial(shapes.box, half=(0.4, 0.35, 0.35)), (0.3, 0.0, 0.0))
BOUNDS = {
    "union": shapes.union(BALL, BLOCK),
    "intersection": shapes.intersection(BALL, BLOCK),
    "smooth union": shapes.smooth_union(BALL, BLOCK),
}


def places(count: int = 2000, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)) * 1.8 - 0.9


# Shapes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", EXACT, ids=lambda f: f.__name__)
def test_a_shapes_value_is_the_distance_to_its_own_zero_set(shape: shapes.Shape) -> None:
    mesh = sdf_fit.level_mesh(shape, 0.0, resolution=128)
    true = closest_points(places().double().numpy(), mesh)[0]
    assert np.abs(np.abs(shape(places()).numpy()) - true).max() < 0.01


@pytest.mark.parametrize("shape", [*EXACT, *BOUNDS.values()])
def test_no_shape_is_steeper_than_one(shape: shapes.Shape) -> None:
    near, far = places(seed=1), places(seed=2)
    apart = (near - far).norm(dim=-1)
    assert ((shape(near) - shape(far)).abs() <= apart + 1e-5).all()
    assert shapes.value_and_gradient(shape, near)[1].norm(dim=-1).max() < 1.0001


@pytest.mark.parametrize(
    ("name", "wrong_side"), [("union", -1), ("intersection", 1), ("smooth union", -1)]
)
def test_joined_shapes_are_bounds_and_wrong_on_one_side(name: str, wrong_side: int) -> None:
    shape = BOUNDS[name]
    mesh = sdf_fit.level_mesh(shape, 0.0, resolution=128)
    points = places(4000)
    value = shape(points).numpy()
    short = closest_points(points.double().numpy(), mesh)[0] - np.abs(value)
    assert short.min() > -0.01
    assert short[value * wrong_side > 0].max() > 0.03
    if name != "smooth union":
        assert short[value * wrong_side < 0].max() < 0.015


def test_a_smooth_seam_shortens_the_gradient_and_a_sharp_one_does_not() -> None:
    def unit(shape: shapes.Shape) -> float:
        norm = shapes.value_and_gradient(shape, places())[1].norm(dim=-1)
        return float(((norm - 1).abs() < 1e-3).float().mean())

    assert unit(BOUNDS["union"]) > 0.99 and unit(BOUNDS["smooth union"]) < 0.9


def test_a_slice_holds_the_points_that_it_names() -> None:
    front, side = shapes.plane(5, "z", 0.3), shapes.plane(5, "x", -0.2)
    assert front.shape == side.shape == (5, 5, 3)
    assert torch.allclose(front[0, -1], torch.tensor([1.0, -1.0, 0.3]))  # below, right
    assert torch.allclose(side[-1, 0], torch.tensor([-0.2, 1.0, -1.0]))  # above, left


# Sphere tracing -----------------------------------------------------------------------------------


def test_a_traced_sphere_is_hit_where_geometry_says() -> None:
    origins, directions = shapes.parallel_rays(31, reach=0.91)
    depth = shapes.sphere_trace(shapes.sphere, origins, directions, tolerance=1e-6)
    inside = 0.36 - origins[:, :2].square().sum(-1)
    hit = inside > 0
    assert torch.equal(torch.isfinite(depth), hit)
    assert torch.allclose(depth[hit], 1 - inside[hit].sqrt(), atol=1e-3)


def test_no_ray_jumps_over_a_thin_plate_unless_the_bound_is_a_lie() -> None:
    def plate(points: Tensor) -> Tensor:
        return 3 * ((points[:, 2] - 0.1).abs() - 1e-3)

    origins, directions = shapes.parallel_rays(8)
    safe = shapes.sphere_trace(plate, origins, directions, lipschitz=3.0, tolerance=1e-5)
    assert torch.allclose(safe, torch.full((64,), 0.899), atol=1e-4)
    assert torch.isinf(shapes.sphere_trace(plate, origins, directions, lipschitz=1.0)).all()


# Starts and fits ----------------------------------------------------------------------------------


def test_the_geometric_start_is_nearly_a_sphere_and_the_plain_one_is_not() -> None:
    grid = sdf_fit.start_grid(PROFILES["ci"])
    plain, geometric = sdf_fit.start_mlp(plain=True).sdf, sdf_fit.start_mlp().sdf
    starts = (plain, geometric, sdf_fit.without_sphere(grid), grid.sdf)
    assert torch.equal(plain(places(9)), sdf_fit.start_mlp(plain=True).sdf(places(9)))
    rays = torch.nn.functional.normalize(places(500), dim=-1)
    closed = [bool((f(0.2 * rays) < 0).all() and (f(rays) > 0).all()) for f in starts]
    assert closed == [False, True, False, True]


@pytest.fixture(scope="module")
def torus() -> Mesh:
    return sdf_fit.level_mesh(shapes.torus, 0.0, resolution=96)


@pytest.mark.parametrize("seed", [0, 2])
def test_points_alone_do_not_make_a_distance_and_the_eikonal_term_does(
    seed: int, torus: Mesh
) -> None:
    cloud = sdf_fit.cloud_of(torus, 500, (0, 0, 0), 1.0, seed=seed)
    apart, norm = {}, {}
    for weight in (0.0, 0.1):
        field = sdf_fit.start_mlp(seed=seed)
        settings = sdf_fit.FitSettings(steps=180, batch=256, probes=256, eikonal=weight)
        sdf_fit.fit(field, cloud, settings, seed=seed)
        zero = sdf_fit.level_mesh(field.sdf, 0.0, resolution=64, largest=False)
        apart[weight] = sdf_fit.distance_of(zero, torus)
        norm[weight] = float(sdf_fit.gradient_norms(field).median())
    assert apart[0.1] < 0.008 and apart[0.0] > 1.5 * apart[0.1]
    assert norm[0.0] < 0.6 and 0.85 < norm[0.1] < 1.1


def test_a_fit_repeats_with_its_seed() -> None:
    cloud = sdf_fit.Cloud(places(50), torch.nn.functional.normalize(places(50), dim=-1))
    settings = sdf_fit.FitSettings(steps=3, batch=20, probes=20, normals=0.1)
    fields = [sdf_fit.start_mlp(width=16) for _ in range(3)]
    for field, seed in zip(fields, (4, 4, 5), strict=True):
        sdf_fit.fit(field, cloud, settings, seed=seed)
    one, again, other = (field.sdf(places(9)) for field in fields)
    assert torch.equal(one, again) and not torch.equal(one, other)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"probes": 0}, {"rate": 0.0}, {"eikonal": -1.0}, {"normals": -0.1}]
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be positive|can't be negative"):
        sdf_fit.FitSettings(**wrong)
    with pytest.raises(ValueError, match="points"):
        sdf_fit.Cloud(torch.zeros(4, 3), torch.zeros(5, 3))


def test_a_cloud_lies_on_its_mesh_and_looks_outwards(torus: Mesh) -> None:
    cloud = sdf_fit.cloud_of(torus, 300, (0.1, 0.0, 0.0), 2.0)
    value, gradient = shapes.value_and_gradient(
        shapes.torus, cloud.points * 2 + torch.tensor([0.1, 0, 0])
    )
    assert value.abs().max() < 0.002
    assert ((gradient * cloud.normals).sum(-1) > 0.99).all()


def test_a_field_is_judged_in_the_scenes_unit_and_its_pieces_are_counted() -> None:
    scene = load_scene(SAMPLES / "scene")

    def ball(points: Tensor) -> Tensor:
        return points.norm(dim=-1) - 0.5

    mesh = sdf_fit.level_mesh(ball, 10.0, scene.center, scene.radius, resolution=48)
    reach = np.linalg.norm(mesh.vertices - np.asarray(scene.center), axis=1)
    assert np.abs(reach - 0.5 * scene.radius - 10).max() < 0.5
    two = shapes.union(*(shapes.moved(ball, (0, y, 0)) for y in (-0.6, 0.6)))
    for field, pieces in ((ball, 1), (two, 2)):
        judged = sdf_fit.judge(field, scene, levels=(10.0,), resolution=48, samples=2000)
        assert judged.pieces == pieces and judged.distance > 5 and set(judged.levels) == {10.0}


# Walls --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", wall.FORMS)
@pytest.mark.parametrize("cosine", [1.0, 0.5])
def test_the_closed_form_is_the_packages_compositing(form: str, cosine: float) -> None:
    way = torch.linspace(-60, 60, 600_001, dtype=torch.float64)
    weights = wall.sampled_weights(-way * cosine, float(way[1] - way[0]), 1.3, form)
    stopped = wall.stopped(way * cosine, 1.3, cosine, form)
    assert (weights.cumsum(0) - stopped).abs().max() < 1e-3


@pytest.mark.parametrize("form", wall.FORMS)
def test_depth_at_is_the_inverse_of_stopped(form: str) -> None:
    for share in (1e-4, 0.05, 0.39, 0.4, 0.5, 0.95, 0.9999):
        for cosine in (1.0, 0.3):
            depth = torch.tensor(wall.depth_at(share, 0.7, cosine, form), dtype=torch.float64)
            assert float(wall.stopped(depth, 0.7, cosine, form)) == pytest.approx(share, rel=1e-6)


def test_a_walls_thickness_is_a_number_times_beta() -> None:
    thick = [wall.depth_at(0.95, b) - wall.depth_at(0.05, b) for b in (0.1, 1.0, 7.0)]
    assert thick[0] / 0.1 == pytest.approx(thick[1]) == pytest.approx(thick[2] / 7)
    assert 5 < thick[1] < 5.5


def test_volsdfs_wall_comes_forward_at_grazing_angles_and_neus_s_does_not() -> None:
    middle = [wall.depth_at(0.5, 1.0, math.cos(math.radians(a))) for a in (0, 45, 60, 80)]
    assert middle[0] > 0.3 and middle[-1] < -1.3 and middle == sorted(middle, reverse=True)
    assert wall.depth_at(0.5, 1.0, 0.1, "NeuS") == 0.0


def test_walls_that_mean_nothing_are_refused() -> None:
    for wrong in ((1.0, 1.0, 1.0), (0.5, 0.0, 1.0), (0.5, 1.0, 0.0)):
        with pytest.raises(ValueError, match="share"):
            wall.depth_at(*wrong)


# Checks -------------------------------------------------------------------------------------------


def right_box(points: Tensor, half: Tensor) -> Tensor:
    q = points.abs() - half
    return q.clamp_min(0).norm(dim=-1) + q.max(dim=-1).values.clamp_max(0)


def right_eikonal(field: Any, points: Tensor, keep: bool = True) -> Tensor:
    points.requires_grad_()
    (g,) = torch.autograd.grad(field(points).sum(), points, create_graph=keep)
    return ((g.square().sum(-1).sqrt() - 1) ** 2).mean()


def right_trace(sdf: Any, origins: Tensor, directions: Tensor, bound: float, far: float) -> Tensor:
    depth = torch.zeros(len(origins))
    for _ in range(400):
        value = sdf(origins + depth[:, None] * directions)
        met = value <= 1e-4
        depth = torch.where(met | (depth > far), depth, depth + value / bound)
    return torch.where(met & (depth <= far), depth, math.inf)


def right_depth(share: float, beta: float, cosine: float) -> float:
    low, high = -60.0, 60.0
    for _ in range(100):
        u = (low + high) / 2
        optical = (0.5 * math.exp(u) if u <= 0 else u + 0.5 * math.exp(-u)) / cosine
        low, high = (u, high) if 1 - math.exp(-optical) < share else (low, u)
    return beta * low


RIGHT: dict[str, Callable[..., Any]] = {
    "ex0201": right_box,
    "ex0202": right_eikonal,
    "ex0203": right_trace,
    "ex0204": right_depth,
}


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(checks, number)(RIGHT[number])
    said = capsys.readouterr().out
    assert f"{number} passed" in said
    if number == "ex0203":  # all rays, all steps
        assert "times as often as ours does" in said and " 1.0 times" not in said


def test_a_wrong_answer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("ex0201", "ex0203", "ex0204"):
        assert "shape (2, 2)" in failed(capsys, number, lambda *_: torch.zeros(2, 2))
    for number in ("ex0201", "ex0204"):
        for words, answer in slips(number).items():
            assert words in failed(capsys, number, answer)
    for number, answer, words in (
        ("ex0202", lambda f, x: right_eikonal(f, x, keep=False), "create_graph=True"),
        ("ex0202", lambda f, x: right_eikonal(f, x).detach(), "create_graph=True"),
        ("ex0202", lambda f, x: len(x) * right_eikonal(f, x), "the mean over the places"),
        ("ex0203", lambda s, o, d, _, far: right_trace(s, o, d, 1.0, far), "divide by lipschitz"),
        ("ex0203", lambda *case: right_trace(*case).clamp(max=case[-1]), "has the depth inf"),
    ):
        assert words in failed(capsys, number, answer)


# Pictures and the panel ---------------------------------------------------------------------------


def test_slices_draw_every_field_given_and_hide_the_empty_axes() -> None:
    figure = figures.slices(
        {f.__name__: f for f in EXACT[:3]}, columns=2, truth=shapes.torus, points=places()
    )
    assert [ax.get_title() for ax in figure.axes[:4]] == ["sphere", "box", "capsule", ""]
    assert [len(ax.images) for ax in figure.axes[:4]] == [1, 1, 1, 0]


def test_creases_are_dark_where_two_surface_points_are_equally_near() -> None:
    norm = figures.gradient_norm_on(shapes.torus, side=41)
    assert norm[20, 20] < 0.5 and norm[20, 30] < 0.5  # the hole's middle, the tube's
    assert abs(norm[20, 38] - 1) < 0.01


@pytest.mark.parametrize("form", wall.FORMS)
@pytest.mark.parametrize("angle", [0, 80])
@pytest.mark.parametrize(("beta", "samples"), [(8.0, 12), (0.25, 192), (0.25, 12)])
def test_the_panel_draws_every_corner_of_its_controls(
    form: str, angle: int, beta: float, samples: int
) -> None:
    for hit in (20.0, 40.0):
        view = panel.picture(beta, angle, samples, hit, form)
        assert view.png()[:4] == b"\x89PNG"
        assert f"beta {beta:g} mm ({form})" in view.alt and f"{samples} samples" in view.alt
        assert "within 1 mm of the surface" in view.facts and "nan" not in view.facts
        share, _ = wall.exactly(beta, angle, hit, form)
        assert 0 < share < 1


def test_a_thin_wall_between_samples_loses_its_place() -> None:
    """With few samples the weight jumps as the hit moves, though the wall stays as it is."""
    thin = [panel.picture(0.25, 0, 12, hit, "VolSDF").facts for hit in (30.0, 32.25)]
    words = [facts.split("mean depth")[0].split(", ")[1] for facts in thin]
    assert words[0] != words[1]


def test_the_lessons_loss_is_equation_4() -> None:
    field = sdf_fit.start_mlp(width=16)
    points = places(50)
    assert torch.allclose(
        right_eikonal(field.sdf, points.clone()), eikonal_loss(field.with_gradient(points)[2])
    )


def test_the_stored_study_has_the_lessons_fits() -> None:
    found = results.table("sdf_fits")
    assert found["command"] == "python benchmarks/studies/sdf.py"
    assert set(found["head"]) == set(sdf_study.HEAD)
    assert {name: len(apart) for name, apart in found["torus"].items()} == dict.fromkeys(
        sdf_study.TORUS, len(found["seeds"])
    )
