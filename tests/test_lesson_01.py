"""Claims of lesson 1: its exercises, rays through fog, and sampling error on a head."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed, slips

from privhead_nb import Reconstruction, Scene, load_scene
from privhead_nb.kernels.compositing import sdf_weights_reference, weights_from_alpha
from privhead_nb.kernels.error_bounded import inverse_cdf
from privhead_nb.render.sampling import uniform_samples
from privhead_nb.resources import SAMPLES
from privhead_nb.teach import checks, widgets
from privhead_nb.teach.lesson01 import contest, figures, fog, panel, sampling

BETA = 0.0015


@pytest.fixture(scope="module")
def scene() -> Scene:
    return load_scene(SAMPLES / "scene")


@pytest.fixture(scope="module")
def head() -> Reconstruction:
    return Reconstruction.load(SAMPLES / "reconstruction")


@pytest.fixture(scope="module")
def side(head: Reconstruction, scene: Scene) -> sampling.HeadRays:
    return sampling.head_rays(head, scene.cameras, view=8, size=24)


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


def asked_twice(wide: bool) -> Callable[..., Any]:
    """Half of the questions evenly, half where the first found weight, or beside it."""

    def sampler(ask, near, far, beta):
        t = uniform_samples(near, far, 24)
        f, edges = ask(t), torch.cat([t, far[:, None]], 1)
        weights = sdf_weights_reference(f, edges.diff(), beta)
        if wide:
            weights = torch.nn.functional.max_pool1d(weights[:, None], 3, 1, 1)[:, 0]
        more = inverse_cdf(edges, weights, (torch.arange(24.0) + 0.5).expand(len(t), 24) / 24)
        t, order = torch.cat([t, more], 1).sort(1)
        return t, torch.cat([f, ask(more)], 1).gather(1, order)

    return sampler


careful, plain = asked_twice(wide=True), asked_twice(wide=False)


def even(count: int, beyond: float = 0.0) -> Callable[..., Any]:
    def sampler(ask, near, far, _):
        t = uniform_samples(near, far + beyond, count)
        return t, ask(t)

    return sampler


def traced(ask, near, far, beta):
    """Steps of length f from the camera, then samples around the place where they end."""
    t = near[:, None]
    for _ in range(23):
        t = (t + ask(t)).clamp(max=far[:, None])
    slope = ((ask(t + 1e-4) - ask(t - 1e-4)) / 2e-4).clamp(-1, -0.2)
    around = torch.linspace(-6, 6, 23, dtype=t.dtype) * beta / -slope
    t = (t + around).clamp(near[:, None], far[:, None])
    return t, ask(t)


def test_other_right_answers_pass(capsys: pytest.CaptureFixture[str]) -> None:
    for number, answer, words in (
        ("ex0101", directions, ""),
        ("ex0102", weights_by_loop, ""),
        ("ex0103", depth_and_spread, ""),
        ("ex0104", by_interpolation, ""),
        ("ex0105", careful, "as good as 144 even samples"),
        ("ex0105", traced, "as good as 512 even samples"),  # who uses that f is a distance
    ):
        getattr(checks, number)(answer)
        said = capsys.readouterr().out
        assert said.startswith(f"{number} passed: 3 of 3") and words in said


def test_a_wrong_answer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("ex0101", "ex0102", "ex0103", "ex0104"):
        assert "shape (3, 7, 2)" in failed(capsys, number, lambda *_: torch.zeros(3, 7, 2))
        for words, answer in slips(number).items():
            assert words in failed(capsys, number, answer)
    for answer, words in (
        (plain, "the wall stands before it"),
        (even(48), "these are even samples"),
        (even(49), "49 times; 48 are allowed"),
        (lambda *given: [x.flip(1) for x in careful(*given)], "t must rise"),
        (lambda ask, near, far, _: (near[:, None] + torch.arange(9) / 9, torch.ones(256, 9)),
         "f must hold what ask(t) says"),
        (even(48, beyond=0.5), "before near or behind far"),
        (lambda ask, near, *_: (near[:, None], ask(near[:, None])[0]), "must both be (256, S)"),
        (lambda ask, near, *_: (near, ask(near)), "one row a ray"),
        (lambda ask, near, far, _: uniform_samples(near, far, 4), "yours raises"),
    ):  # fmt: skip
        assert words in failed(capsys, "ex0105", answer)


@pytest.mark.parametrize("seed", range(3))
def test_the_bar_holds_for_other_scenes_with_room_to_spare(seed: int) -> None:
    for course in contest.courses(seed).values():
        bar = course.even(contest.EVEN)
        assert course.off(contest.run(careful, course).t) < 0.75 * bar
        assert course.off(contest.run(plain, course).t) > 5 * bar


# Fog on one ray -----------------------------------------------------------------------------------


def test_a_look_is_equation_1() -> None:
    seen = fog.look(fog.VEIL_AND_WALL, fog.place(fog.VEIL_AND_WALL, 32, "even"))
    assert torch.allclose(seen.weights, seen.through * seen.alpha)
    assert torch.allclose(seen.weights, weights_from_alpha(seen.alpha[None])[0], atol=1e-6)
    assert seen.opacity == pytest.approx(float(seen.weights.sum()))


def test_exact_is_the_integral_of_a_bump() -> None:
    bump = fog.Bump(1.0, 2.0, 0.1, (1.0, 0.0, 0.0))
    seen = fog.exact([bump])
    assert seen.opacity == pytest.approx(1 - np.exp(-2.0 * 0.1 * np.sqrt(2 * np.pi)), abs=1e-6)
    assert seen.colour.tolist() == pytest.approx([1.0, 1 - seen.opacity, 1 - seen.opacity])


def test_the_depth_of_veil_and_wall_is_where_nothing_is() -> None:
    both = fog.VEIL_AND_WALL
    assert fog.not_there(both, fog.exact(both))
    assert not fog.not_there(both[1:], fog.exact(both[1:]))
    assert fog.exact(both).spread > 5 * fog.exact(both[1:]).spread
    assert "a place without fog" in panel.picture(**panel.REST).facts
    assert "a place without fog" not in panel.picture(**panel.TWIN[1]).facts


@pytest.mark.parametrize("how", sampling.PLACINGS)
def test_samples_rise_on_the_ray(how: str) -> None:
    for count in (4, 5, 33):
        t = fog.place(fog.VEIL_AND_WALL, count, how)
        assert t.shape == (count,) and bool((t.diff() >= 0).all())
        assert float(t[0]) >= 0 and float(t[-1]) <= fog.LENGTH


def test_an_unknown_placing_is_refused() -> None:
    with pytest.raises(ValueError, match="use one of"):
        fog.place(fog.VEIL_AND_WALL, 8, "anyhow")


def test_importance_sampling_misses_what_its_first_pass_missed() -> None:
    clouds = panel.bumps(panel.TWIN[3])
    exact = fog.exact(clouds)
    found = fog.look(clouds, fog.place(clouds, 12, "by weight, widened"))
    assert found.opacity < exact.opacity - 0.2
    assert abs(fog.look(clouds, fog.place(clouds, 12, "even")).depth - exact.depth) < 0.1


# A head -------------------------------------------------------------------------------------------


def test_truth_is_fine_enough(side: sampling.HeadRays) -> None:
    exact, finer = side.truth(BETA), side.truth(BETA, 2 * sampling.FINE)
    met = exact.opacity > sampling.SURE
    assert int(met.sum()) > 100
    assert float((finer.depth - exact.depth)[met].abs().mean()) < 0.03
    shown = side.picture(exact.depth)
    assert bool(shown[12, 12] > 0) and bool(shown[0, 0].isnan()) == (not side.pixels[0, 0])


def test_what_the_curves_of_section_5_show(side: sampling.HeadRays) -> None:
    """Of pictures with 24 pixels a side; the lesson prints the same of larger ones."""
    exact, off = side.truth(BETA), {}
    for how in sampling.PLACINGS:
        errors = [side.error(exact, n, how, BETA) for n in (16, 32)]
        assert all(float((e > 0).sum() / (~e.isnan()).sum()) > 0.85 for e in errors)
        few, off[how] = (float(e.abs().nanmean()) for e in errors)
        assert off[how] < few
    assert off["even"] < off["jittered"] < off["random"]
    assert off["by weight"] > 1.3 * off["even"] > 2.6 * off["by weight, widened"]


# Pictures -----------------------------------------------------------------------------------------


def test_rays_are_drawn_to_the_head(scene: Scene, head: Reconstruction) -> None:
    figure = figures.rays_through_head(scene, head, 7, (8, 31, 56))
    assert len(figure.axes[1].lines) == 3 + 1  # rays and the camera
    xy = torch.tensor([[31.5, 31.5], [20.0, 20.0]])
    turning = figures.rays_to_turn(head, scene.cameras, (7, 9), xy, faces=400)
    mesh, *lines = turning.data
    assert len(mesh.i) <= 420 and [line.name for line in lines] == ["view 7", "view 9"]
    ends = np.stack([lines[0].x, lines[0].y, lines[0].z], 1)
    assert ends.shape == (6, 3) and np.isnan(ends[2]).all()
    reach = np.linalg.norm(ends[:2] - np.array(head.center), axis=1) / head.radius
    assert np.all(reach < 2.1) and not turning.layout.updatemenus


def test_the_panel_draws_every_corner_of_its_sliders() -> None:
    ends = {
        name: (widgets.values_of(control)[0], widgets.values_of(control)[-1])
        for name, control in panel.controls().items()
    }
    assert set(ends) == set(panel.REST)
    for high, count in product((0, 1), (0, 1)):
        setting = {name: pair[high] for name, pair in ends.items()}
        setting["samples"] = ends["samples"][count]
        for how in sampling.PLACINGS:
            view = panel.picture(**setting | {"placed": how})
            assert "nan" not in view.facts and how in view.alt and "opacity" in view.alt
