"""Claims of lesson 1: rays, weights, depths that lie, sampling error, and the pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from privhead_nb import Reconstruction, Scene, load_scene
from privhead_nb.kernels.compositing import weights_from_alpha, weights_from_density
from privhead_nb.kernels.error_bounded import inverse_cdf
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.lesson01 import (
    fog,
    head_pictures,
    panel,
    question_budget,
    ray_pictures,
    sampling_error,
    sampling_pictures,
)

BETA = 0.0015


@pytest.fixture(scope="module")
def scene() -> Scene:
    return load_scene(SAMPLES / "scene")


@pytest.fixture(scope="module")
def head() -> Reconstruction:
    return Reconstruction.load(SAMPLES / "reconstruction")


@pytest.fixture(scope="module")
def side(head: Reconstruction, scene: Scene) -> sampling_error.HeadRays:
    return sampling_error.head_rays(head, scene.cameras, view=8, size=24)


@pytest.fixture(scope="module")
def exact(side: sampling_error.HeadRays) -> sampling_error.Depths:
    return sampling_error.truth(side, BETA)


# Checks -------------------------------------------------------------------------------------------


def directions(K, c2w, xy, pixel_center):
    uv1 = torch.cat([xy + pixel_center, torch.ones_like(xy[:, :1])], 1)
    d = (c2w[:3, :3] @ torch.linalg.solve(K, uv1.T)).T
    return d / d.norm(dim=1, keepdim=True)


def weights_by_loop(alpha):
    weights, left = torch.zeros_like(alpha), torch.ones_like(alpha[:, 0])
    for i in range(alpha.shape[1]):
        weights[:, i] = left * alpha[:, i]
        left = left * (1 - alpha[:, i])
    return weights


def depth_and_spread(weights, t):
    mass = weights.sum(1).clamp_min(1e-6)
    depth = (weights * t).sum(1) / mass
    second = (weights * t**2).sum(1) / mass
    return depth, (second - depth**2).clamp_min(0).sqrt()


def by_interpolation(t, weights, u):
    rows = []
    for ends, mass, heights in zip(t.numpy(), weights.numpy(), u.numpy(), strict=True):
        total = np.concatenate([[0], np.cumsum(mass + 1e-6)])
        rows.append(np.interp(heights * total[-1], total, ends))
    return np.array(rows)


def traced(ask, near, far, beta):
    """Steps of length f from the camera, then samples around the place where they end."""
    t = near[:, None]
    for _ in range(23):
        t = (t + ask(t)).clamp(max=far[:, None])
    slope = ((ask(t + 1e-4) - ask(t - 1e-4)) / 2e-4).clamp(-1, -0.2)
    around = torch.linspace(-6, 6, 23, dtype=t.dtype) * beta / -slope
    t = (t + around).clamp(near[:, None], far[:, None])
    return t, ask(t)


RIGHT: dict[str, Callable[..., Any]] = {
    "ex0101": directions,
    "ex0102": weights_by_loop,
    "ex0103": depth_and_spread,
    "ex0104": by_interpolation,
    "ex0105": question_budget.careful,
}


@pytest.mark.parametrize("number", RIGHT)
def test_another_right_answer_passes(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(checks, number)(RIGHT[number])
    assert capsys.readouterr().out.startswith(f"{number} passed: 3 of 3")


@pytest.mark.parametrize(
    ("number", "wrong", "words"),
    [
        ("ex0101", lambda K, c, xy, p: directions(K, c, xy, 0.0), "from the first pixel's centre"),
        ("ex0101", lambda K, c, xy, p: directions(K, torch.eye(4).to(c), xy, p), "camera's axes"),
        (
            "ex0101",
            lambda K, c, xy, p: directions(K, c.transpose(0, 1), xy, p),
            "turned it the other way",
        ),
        ("ex0101", lambda K, c, xy, p: directions(K, c, xy.flip(1), p), "x comes first"),
        ("ex0102", lambda a: torch.cumprod(1 - a, 1) * a, "contains the sample itself"),
        ("ex0102", lambda a: a, "this is alpha alone"),
        ("ex0102", lambda a: weights_by_loop(a.flip(1)).flip(1), "walk from the far end"),
        (
            "ex0103",
            lambda w, t: ((w * t).sum(1), depth_and_spread(w, t)[1]),
            "divide by the sum",
        ),
        (
            "ex0103",
            lambda w, t: (depth_and_spread(w, t)[0], depth_and_spread(w, t)[1] ** 2),
            "this is the variance",
        ),
        ("ex0104", lambda t, w, u: inverse_cdf(t, w * t.diff(), u), "don't multiply"),
        ("ex0104", lambda t, w, u: inverse_cdf(t, w, u / w.sum(1, True)), "multiply u by their"),
        ("ex0105", question_budget.plain, "the wall stands before it"),
        ("ex0105", question_budget.all_even, "these are even samples"),
    ],
)
def test_a_slip_is_recognised(
    number: str, wrong: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = failed(capsys, number, wrong)
    assert "hint: " in said and words in said


def test_the_missing_length_has_a_hint_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    def no_length(K: Tensor, c2w: Tensor, xy: Tensor, p: float) -> Tensor:
        uv1 = torch.cat([xy + p, torch.ones_like(xy[:, :1])], 1)
        return uv1 @ torch.linalg.inv(K).T @ c2w[:3, :3].T

    assert "must have length 1" in failed(capsys, "ex0101", no_length)


@pytest.mark.parametrize("number", ["ex0101", "ex0102", "ex0104"])
def test_a_wrong_shape_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = failed(capsys, number, lambda *given: torch.zeros(3, 7, 2))
    assert "yours has the shape (3, 7, 2)" in said


def even_too_often(ask, near, far, _):
    t = question_budget.even(near, far, 49)
    return t, ask(t)


def falling(ask, near, far, beta):
    t, f = question_budget.careful(ask, near, far, beta)
    return t.flip(1), f.flip(1)


def invented(ask, near, far, beta):
    t, f = question_budget.careful(ask, near, far, beta)
    return t, f.sort(1).values


def beyond(ask, near, far, _):
    t = question_budget.even(near, far + 0.5, 48)
    return t, ask(t)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (even_too_often, "49 times; 48 are allowed"),
        (falling, "t must rise"),
        (invented, "f must hold what ask(t) says"),
        (beyond, "before near or behind far"),
        (lambda ask, near, far, _: (near[:, None], ask(near[:, None])[0]), "must both be (256, S)"),
        (lambda ask, near, far, _: (near, ask(near)), "one row a ray"),
        (lambda ask, near, far, _: question_budget.even(near, far, 4), "yours raises"),
    ],
)
def test_fouls_of_the_last_exercise_are_named(
    wrong: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in failed(capsys, "ex0105", wrong)


def test_the_ladder_goes_on_for_who_uses_the_distance(capsys: pytest.CaptureFixture[str]) -> None:
    checks.ex0105(question_budget.careful)
    assert "as good as 144 even samples" in capsys.readouterr().out
    checks.ex0105(traced)
    assert "as good as 512 even samples" in capsys.readouterr().out


@pytest.mark.parametrize("seed", range(4))
def test_the_bar_holds_for_other_scenes_with_room_to_spare(seed: int) -> None:
    for course in question_budget.courses(seed).values():
        bar = course.off(course.even(question_budget.EVEN))
        assert course.off(question_budget.run(question_budget.careful, course).t) < 0.75 * bar
        assert course.off(question_budget.run(question_budget.plain, course).t) > 5 * bar


# Fog on one ray -----------------------------------------------------------------------------------


def test_weights_and_what_leaves_sum_to_one() -> None:
    random = torch.Generator().manual_seed(0)
    sigma, delta = 5 * torch.rand(50, 9, generator=random), torch.rand(50, 9, generator=random)
    stopped = weights_from_density(sigma, delta).sum(-1)
    assert torch.allclose(stopped + torch.exp(-(sigma * delta).sum(-1)), torch.ones(50), atol=1e-5)


def test_a_look_is_equation_1() -> None:
    seen = fog.look(ray_pictures.VEIL_AND_WALL, fog.place(ray_pictures.VEIL_AND_WALL, 32, "even"))
    assert torch.allclose(seen.weights, seen.through * seen.alpha)
    assert torch.allclose(seen.weights, weights_from_alpha(seen.alpha[None])[0], atol=1e-6)
    assert seen.opacity == pytest.approx(float(seen.weights.sum()))


def test_exact_is_the_integral_of_a_bump() -> None:
    bump = fog.Bump(1.0, 2.0, 0.1, (1.0, 0.0, 0.0))
    seen = fog.exact([bump])
    assert seen.opacity == pytest.approx(1 - np.exp(-2.0 * 0.1 * np.sqrt(2 * np.pi)), abs=1e-6)
    assert seen.colour.tolist() == pytest.approx([1.0, 1 - seen.opacity, 1 - seen.opacity])


def test_the_depth_of_veil_and_wall_is_where_nothing_is() -> None:
    both = ray_pictures.VEIL_AND_WALL
    assert ray_pictures.not_there(both, fog.exact(both))
    assert not ray_pictures.not_there(both[1:], fog.exact(both[1:]))
    assert fog.exact(both).spread > 5 * fog.exact(both[1:]).spread


@pytest.mark.parametrize("how", fog.PLACINGS)
def test_samples_rise_on_the_ray(how: str) -> None:
    for count in (4, 5, 33):
        t = fog.place(ray_pictures.VEIL_AND_WALL, count, how)
        assert t.shape == (count,) and bool((t.diff() >= 0).all())
        assert float(t[0]) >= 0 and float(t[-1]) <= fog.LENGTH


def test_an_unknown_placing_is_refused(side: sampling_error.HeadRays) -> None:
    with pytest.raises(ValueError, match="use one of"):
        fog.place(ray_pictures.VEIL_AND_WALL, 8, "anyhow")
    with pytest.raises(ValueError, match="use one of"):
        sampling_error.place(side, 8, "anyhow", BETA, torch.Generator())


def test_importance_sampling_misses_what_its_first_pass_missed() -> None:
    clouds = panel.bumps(panel.TWIN[3])
    t = fog.place(clouds, 12, "by weight, widened")
    assert fog.look(clouds, t).opacity < fog.exact(clouds).opacity - 0.2
    assert (
        abs(fog.look(clouds, fog.place(clouds, 12, "even")).depth - fog.exact(clouds).depth) < 0.1
    )


@pytest.mark.parametrize("seed", range(3))
def test_waits_at_a_bus_stop(seed: int) -> None:
    """1/2, 7/12 and 1 of a step from a wall to the next sample: E[gap^2] / 2 E[gap]."""
    random, n = torch.Generator().manual_seed(seed), 256
    wall = 0.1 + 0.8 * torch.rand(20000, 1, generator=random)
    inside = torch.rand(20000, n, generator=random)
    for t, wait in (
        ((torch.arange(n) + 0.5).expand(20000, n) / n, 1 / 2),
        ((torch.arange(n) + inside) / n, 7 / 12),
        (inside.sort(1).values, 1.0),
    ):
        found = n * float((t.gather(1, torch.searchsorted(t.contiguous(), wall)) - wall).mean())
        assert found == pytest.approx(wait, abs=0.03)


# A head -------------------------------------------------------------------------------------------


def test_rays_know_their_pixels(side: sampling_error.HeadRays) -> None:
    middle = side.number(12, 12)
    shown = side.picture(torch.arange(len(side.rays), dtype=torch.float32))
    assert shown[12, 12] == middle and bool(shown[0, 0].isnan()) == (not side.pixels[0, 0])


def test_truth_is_fine_enough(side: sampling_error.HeadRays, exact: sampling_error.Depths) -> None:
    finer = sampling_error.truth(side, BETA, 2 * sampling_error.FINE)
    met = exact.opacity > sampling_error.SURE
    assert int(met.sum()) > 100
    assert float((finer.depth - exact.depth)[met].abs().mean()) < 0.03


def test_what_the_curves_of_section_5_show(side: sampling_error.HeadRays) -> None:
    off = sampling_error.mean_errors(side, BETA, (16, 32))
    for values in off.values():
        assert values[1] < values[0]
    at_32 = {how: values[1] for how, values in off.items()}
    assert at_32["even"] < at_32["jittered"] < at_32["random"]
    assert at_32["by weight"] > 1.3 * at_32["even"] > 2.6 * at_32["by weight, widened"]


def test_the_packages_sampler_needs_eight_samples(
    side: sampling_error.HeadRays, exact: sampling_error.Depths
) -> None:
    assert side.head.settings.render.samples == 8
    assert float(side.head.model.beta()) == pytest.approx(BETA)
    assert sampling_error.package_error(side, exact) < 0.4


def test_errors_of_even_and_jittered_samples(
    side: sampling_error.HeadRays, exact: sampling_error.Depths
) -> None:
    off = sampling_error.three_errors(side, exact, 12, BETA)
    assert list(off) == ["12 even", "12 jittered", "mean of 16 jittered"]
    for error in off.values():
        known = error[~error.isnan()]
        assert float((known > 0).float().mean()) > 0.85


def test_alike_of_made_errors() -> None:
    ramp = torch.arange(64.0).reshape(8, 8)
    ramp[0, 0] = torch.nan
    assert sampling_error.alike(ramp) == pytest.approx(1.0, abs=1e-3)
    noise = torch.randn(200, 200, generator=torch.Generator().manual_seed(0))
    assert abs(sampling_error.alike(noise)) < 0.03


def test_a_lie_is_a_depth_outside_the_head(
    side: sampling_error.HeadRays, exact: sampling_error.Depths
) -> None:
    honest = sampling_error.lies(side, exact, BETA)
    assert float(honest.float().mean()) < 0.02
    early = sampling_error.Depths(exact.opacity, exact.depth - 30, exact.spread)
    met = exact.opacity > 0.5
    assert float(sampling_error.lies(side, early, BETA)[met].float().mean()) > 0.95
    wide, lying = sampling_error.uncertain(side, early, BETA, mm=-1.0)
    assert wide == 1.0 and lying > 0.95


def test_the_gap_at_the_outline() -> None:
    mask = torch.tensor([[0.0, 0.5, 1.0]])
    assert sampling_error.mean_opacity_gap(torch.tensor([[1.0, 0.25, 0.0]]), mask) == 0.25
    assert sampling_error.mean_opacity_gap(mask, mask.round()) == 0.0


# Pictures -----------------------------------------------------------------------------------------


def pixels(figure: Figure) -> np.ndarray:
    data = BytesIO()
    figure.savefig(data, format="png")
    return np.asarray(Image.open(data).convert("RGB"))


def test_pictures_of_rays(
    scene: Scene, head: Reconstruction, side: sampling_error.HeadRays
) -> None:
    figure = ray_pictures.rays_through_head(scene, head, 7, (8, 31, 56))
    assert len(figure.axes[1].lines) == 3 + 1  # rays and the camera
    assert pixels(figure).std() > 5
    assert pixels(ray_pictures.real_ray(side, side.number(12, 12), (0.03, 0.003))).std() > 5
    field = ray_pictures.slice_of(head, step=10.0)
    assert field.shape == (41, 41) and float(field.min()) < -40 < 0 < float(field[0, 0])


def test_rays_to_turn_end_at_the_head(scene: Scene, head: Reconstruction) -> None:
    xy = torch.tensor([[31.5, 31.5], [20.0, 20.0]])
    figure = ray_pictures.rays_to_turn(head, scene.cameras, (7, 9), xy, faces=400)
    mesh, *lines = figure.data
    assert len(mesh.i) <= 420 and [line.name for line in lines] == ["view 7", "view 9"]
    ends = np.stack([lines[0].x, lines[0].y, lines[0].z], 1)
    assert ends.shape == (6, 3) and np.isnan(ends[2]).all()
    reach = np.linalg.norm(ends[:2] - np.array(head.center), axis=1) / head.radius
    assert np.all(reach < 2.1) and not figure.layout.updatemenus


def test_pictures_of_sampling(side: sampling_error.HeadRays, exact: sampling_error.Depths) -> None:
    assert pixels(sampling_pictures.spread_maps(side, {BETA: exact})).std() > 5
    off = sampling_error.three_errors(side, exact, 8, BETA)
    assert pixels(sampling_pictures.terraces(side, off, exact)).std() > 5
    curves = {"sharp": {how: [3.0, 1.0] for how in sampling_error.PLACINGS}}
    figure = sampling_pictures.error_curves((8, 16), curves, {"ours": (8, 0.1)})
    assert len(figure.axes[0].lines) == len(sampling_error.PLACINGS) + 1
    t, weights = torch.linspace(0, 2, 5), torch.tensor([0.0, 1.0, 0.0, 1.0])
    u = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
    drawn = inverse_cdf(t[None], weights[None], u)
    assert pixels(sampling_pictures.inverse_cdf_picture(t, weights, u[0], drawn[0])).std() > 5


def test_every_placing_has_its_own_line() -> None:
    assert set(sampling_pictures.LINES) == set(sampling_error.PLACINGS)
    for part in zip(*sampling_pictures.LINES.values(), strict=True):
        assert len(set(part)) == len(part)


def test_pictures_of_a_head(scene: Scene, head: Reconstruction) -> None:
    rendered = head.render(scene.cameras.resized(32, 32), 8)
    assert pixels(head_pictures.four_pictures(rendered)).std() > 20
    board = head_pictures.checks(32)
    assert board.shape == (32, 32, 3) and len(board.unique()) == 2
    assert pixels(head_pictures.backgrounds({"a": rendered.colour, "b": board})).std() > 20
    window = head_pictures.around(rendered.opacity > 0.5)
    assert pixels(head_pictures.outlines({"a": rendered.opacity}, window)).std() > 20
    facing = head_pictures.normal_colours(torch.tensor([[[0.0, 0.0, 2.0]]]))
    assert facing[0, 0].tolist() == [0.5, 0.5, 1.0]


def test_the_window_holds_all_and_stays_inside() -> None:
    shown = torch.zeros(20, 20, dtype=torch.bool)
    shown[0:4, 15:20] = True
    window = head_pictures.around(shown)
    assert shown[window].sum() == shown.sum()
    assert all(0 <= part.start < part.stop <= 20 for part in window)


def test_the_panel_draws_every_corner_of_its_sliders() -> None:
    ends = {
        name: (widgets.values_of(control)[0], widgets.values_of(control)[-1])
        for name, control in panel.controls().items()
    }
    assert set(ends) == set(panel.REST)
    for high, count in product((0, 1), (0, 1)):
        setting = {name: pair[high] for name, pair in ends.items()}
        setting["samples"] = ends["samples"][count]
        for how in fog.PLACINGS:
            view = panel.picture(**setting | {"placed": how})
            assert Image.open(BytesIO(view.png())).size == (800, 440)
            assert "nan" not in view.facts and how in view.alt and "opacity" in view.alt


def test_the_panel_says_when_a_depth_lies() -> None:
    assert "a place without fog" in panel.picture(**panel.REST).facts
    assert "a place without fog" not in panel.picture(**panel.TWIN[1]).alt


def test_the_twin_shows_four_settings() -> None:
    image = widgets.twin(panel.picture, panel.TWIN)
    assert Image.open(BytesIO(image.data)).size == (1600, 880)
    assert image.alt.count("A ray through 2 bumps") == 4
