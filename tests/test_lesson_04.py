"""Claims of lesson 4: what the loss cannot see, its landscape, descent on the toy head, the panel.

The loss, the toy head and the loop stand on the lesson's page, and are taken from there.
"""

from __future__ import annotations

from types import SimpleNamespace

import answers
import pytest
import torch
from torch.nn import functional as F

from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.teach.lesson04 import landscape, panel

NOISE = torch.rand(3, 24, 24, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def page() -> SimpleNamespace:
    return answers.page("04", "SOBEL = ", "def spots", "class ToyHead", "def cut")


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return load_scene(SAMPLES / "scene").images[panel.FRONT]


# What the loss cannot see -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_every_rotation_and_reflection_of_colour_is_free(seed: int, page: SimpleNamespace) -> None:
    random = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=random))[0]
    other = NOISE @ turn.T + torch.rand(3, generator=random)
    assert page.gradient_loss(other, page.modulus(NOISE)) < 1e-5


def test_a_lit_head_may_be_turned_about_black_alone_and_an_unlit_one_moved_too(
    page: SimpleNamespace,
) -> None:
    turn = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))[0]
    true = {name: torch.tensor(page.TRUE[name]) for name in ("skin", "paint", "sky")}
    darker = {name: true[name] - 0.2 * (name != "paint") for name in true}
    for light, colours, free in (
        (0.6, {name: c @ turn.T for name, c in true.items()}, True),
        (0.6, darker, False),
        (0.0, darker, True),
        (0.0, {name: -c for name, c in true.items()}, True),
    ):
        wanted = page.modulus(page.views_of(page.ToyHead(light)))
        toy = page.ToyHead(light, **{name: tuple(c.tolist()) for name, c in colours.items()})
        off = page.gradient_loss(page.views_of(toy), wanted) / wanted.mean()
        assert off < 1e-4 if free else off > 0.02


# Landscapes ---------------------------------------------------------------------------------------


def test_a_picture_moved_by_whole_pixels_is_the_same_picture(photo: torch.Tensor) -> None:
    there = landscape.moved(photo, 3.0, -2.0)[0]
    assert torch.allclose(there[:-2, 3:], photo[2:, :-3], atol=1e-5)
    assert torch.allclose(there[-2:], torch.ones(2, 64, 3), atol=1e-5)
    assert torch.allclose(landscape.moved(photo)[0], photo, atol=1e-5)


@pytest.mark.parametrize("view", [2, 7, 12])
def test_the_funnel_is_narrow_and_blur_widens_it(view: int) -> None:
    picture, steps = load_scene(SAMPLES / "scene").images[view], torch.arange(-16.0, 17.0)
    moved = landscape.moved(picture, steps)
    found = {}
    for blur in (0.0, 2.0):
        moduli = landscape.moduli(moved, blur)
        found[blur] = (moduli - moduli[16]).abs().mean((1, 2)) / moduli[16].mean()
    rgb = (moved - picture).abs().mean((1, 2, 3))
    narrow = landscape.half_width(steps, found[0.0])
    assert 3 * narrow < landscape.half_width(steps, rgb)
    assert 1.4 * narrow < landscape.half_width(steps, found[2.0])
    assert found[0.0][16] < 1e-4 and found[0.0][19] > 1  # three off: worse than nothing
    assert landscape.minima(rgb).tolist() == [[16]]


def test_half_width_and_minima_of_a_known_curve() -> None:
    steps = torch.arange(-4.0, 5.0)
    values = torch.tensor([4.0, 2, 3, 1, 0, 2, 4, 3, 4])
    assert landscape.half_width(steps, values) == pytest.approx(1.0)
    assert landscape.half_width(steps, steps.abs()) == pytest.approx(2.0)
    assert landscape.minima(values).tolist() == [[1], [4], [7]]
    assert landscape.minima(steps[:, None] ** 2 + steps**2).tolist() == [[4, 4]]
    assert landscape.minima(torch.zeros(9)).tolist() == landscape.minima(steps).tolist() == []


def test_three_pixels_off_the_best_contrast_is_low(
    photo: torch.Tensor, page: SimpleNamespace
) -> None:
    moved = page.modulus(landscape.moved(photo, torch.tensor([0.0, 3.0])))
    own = page.modulus(photo[None])[0]
    assert page.best_contrast(moved[0], own) == pytest.approx(1, abs=1e-4)
    assert page.best_contrast(moved[1], own) < 0.4


# The toy head -------------------------------------------------------------------------------------


def test_the_toys_normals_are_its_gradient(page: SimpleNamespace) -> None:
    points = 2 * torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) - 1
    points.requires_grad_()
    value, normals, _ = page.ToyHead(shift=(0.1, 0.05)).sdf(points)
    (gradient,) = torch.autograd.grad(value.sum(), points)
    assert torch.allclose(F.normalize(gradient, dim=-1), normals, atol=1e-4)


@pytest.mark.parametrize(("name", "value"), [("radius", 0.57), ("nose", 0.3)])
def test_autograd_and_differences_agree(name: str, value: float, page: SimpleNamespace) -> None:
    front, wanted = (page.ORIGINS[2], page.DIRECTIONS[2]), page.released[2:3]

    def loss_at(v: float) -> torch.Tensor:
        toy = page.ToyHead(**{name: v})
        loss = page.gradient_loss(toy(*front)[None], wanted)
        loss.backward()
        return torch.stack([loss.detach(), getattr(toy, name).grad])

    low, here, high = (loss_at(value + step) for step in (-1e-3, 0, 1e-3))
    assert here[1].item() == pytest.approx((high[0] - low[0]).item() / 2e-3, rel=0.1)


def test_patches_and_their_moduli_are_of_one_place(page: SimpleNamespace) -> None:
    (origins, directions), wanted = next(page.batches(page.released, 1, seed=3))
    with torch.no_grad():
        assert page.gradient_loss(page.ToyHead()(origins, directions), wanted) < 1e-5


@pytest.mark.parametrize("seed", [0, 50])
def test_descent_finds_the_shape_and_not_the_colours(seed: int, page: SimpleNamespace) -> None:
    start = {"radius": 0.5, "shift": (0.05, -0.05), "nose": 0.0, "skin": (0.6, 0.7, 0.8)}
    toy = page.ToyHead(**start, paint=(-0.1, -0.1, -0.1), sky=(0.9, 0.9, 0.9))
    for number, (steps, rate) in enumerate([(70, 0.02), (30, 0.004)], seed):
        page.descend(toy, page.gradient_loss, page.batches(page.released, steps, number), rate)
    assert toy.radius.item() == pytest.approx(0.6, abs=0.02)
    assert toy.nose.item() == pytest.approx(0.2, abs=0.05) and toy.shift.norm() < 0.03
    assert (toy.skin - torch.tensor(page.TRUE["skin"])).norm() > 0.15


def test_an_unlit_head_keeps_the_signs_of_its_start(page: SimpleNamespace) -> None:
    moduli = page.modulus(page.views_of(page.ToyHead(0.0)))
    for sky, eyes in ((0.9, -0.1), (0.3, 0.1)):
        grey = {"skin": 3 * (0.6,), "sky": 3 * (sky,), "paint": 3 * (eyes,)}
        toy = page.ToyHead(0.0, radius=0.55, **grey)
        page.descend(toy, page.gradient_loss, page.batches(moduli, 50), 0.02)
        assert (toy.sky[0] - toy.skin[0]) * (sky - 0.6) > 0.05 and toy.paint[0] * eyes > 0.02
        assert page.gradient_loss(page.views_of(toy), moduli) < 0.3 * moduli.mean()


def test_a_head_that_is_off_fades_first(page: SimpleNamespace) -> None:
    toy = page.ToyHead(shift=(10 / page.SIZE, 0.0))
    before = (toy.sky - toy.skin).norm().item()
    page.descend(toy, page.gradient_loss, page.batches(page.released, 9), 0.02)
    assert (toy.sky - toy.skin).norm() < 0.6 * before


# Panel ------------------------------------------------------------------------------------------


def test_the_panels_losses_are_equations_2_and_5(
    photo: torch.Tensor, page: SimpleNamespace
) -> None:
    setting = {"shift": 4, "scale": 0.9, "contrast": -0.5}
    changed = 0.5 - 0.5 * (landscape.moved(photo, 4.0, 0.0, 0.9) - 0.5)
    own = page.modulus(photo[None])
    wanted = {
        "gradient loss": page.gradient_loss(changed, own) / own.mean(),
        "RGB loss": (changed - photo).abs().mean() / (1 - photo).abs().mean(),
    }
    for loss, value in wanted.items():
        axes = panel.picture(**setting, blur=0.0, loss=loss).figure.axes
        (curve,) = [ax for ax in axes if ax.get_xlabel() == "shift, pixels"]
        assert curve.lines[-1].get_ydata()[0] == pytest.approx(value.item(), rel=1e-3)
