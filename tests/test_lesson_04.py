"""Claims of lesson 4: what the loss cannot see, its landscape, the toy head, the panel.

The loss and the toy head stand on the lesson's page, and are taken from there.
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


@pytest.fixture(scope="module")
def page() -> SimpleNamespace:
    return answers.page("04", "SOBEL = ", "def spots", "class ToyHead", "def cut")


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return load_scene(SAMPLES / "scene").images[panel.FRONT]


# What the loss cannot see -------------------------------------------------------------------------


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


def test_half_width_and_minima_of_a_known_curve() -> None:
    steps = torch.arange(-4.0, 5.0)
    values = torch.tensor([4.0, 2, 3, 1, 0, 2, 4, 3, 4])
    assert landscape.half_width(steps, values) == pytest.approx(1.0)
    assert landscape.half_width(steps, steps.abs()) == pytest.approx(2.0)
    assert landscape.minima(values).tolist() == [[1], [4], [7]]
    assert landscape.minima(steps[:, None] ** 2 + steps**2).tolist() == [[4, 4]]
    assert landscape.minima(torch.zeros(9)).tolist() == landscape.minima(steps).tolist() == []


# The toy head -------------------------------------------------------------------------------------


def test_the_toys_normals_are_its_gradient(page: SimpleNamespace) -> None:
    points = 2 * torch.rand(50, 3, generator=torch.Generator().manual_seed(1)) - 1
    points.requires_grad_()
    value, normals, _ = page.ToyHead(shift=(0.1, 0.05)).sdf(points)
    (gradient,) = torch.autograd.grad(value.sum(), points)
    assert torch.allclose(F.normalize(gradient, dim=-1), normals, atol=1e-4)


def test_patches_and_their_moduli_are_of_one_place(page: SimpleNamespace) -> None:
    (origins, directions), wanted = next(page.batches(page.released, 1, seed=3))
    with torch.no_grad():
        assert page.gradient_loss(page.ToyHead()(origins, directions), wanted) < 1e-5


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
