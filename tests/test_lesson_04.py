"""Claims of lesson 4: its checks, its landscapes, its toy head and its panel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from answers import failed
from torch.nn import functional as F

from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.folder import load_scene
from privhead_nb.teach import checks
from privhead_nb.teach.lesson04 import landscape, panel, toy_head
from privhead_nb.training.batches import patch_weights

NOISE = torch.rand(3, 24, 24, 3, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    return load_scene(SAMPLES / "scene").images[panel.FRONT]


# Checks -------------------------------------------------------------------------------------------


def derivatives(planes, kx, ky):
    return [F.conv2d(planes[:, None], k[None, None])[:, 0] for k in (kx, ky)]


def right_0401(rendered, photo, kx, ky):
    both = [derivatives(p.permute(2, 0, 1), kx, ky) for p in (rendered, photo)]
    a, b = (gx.square().sum(0).sqrt() + gy.square().sum(0).sqrt() for gx, gy in both)
    return (a - b).abs().mean()


def right_0402(patch, kernel, rays):
    inner = patch - 2 * (kernel // 2)
    patches = math.floor(rays / patch / patch)
    return [patches, patches * inner * inner, (patch**2 - inner**2) / patch**2]


def right_0403(A, b):
    if torch.linalg.matrix_norm(A.T @ A - torch.eye(3)) < 1e-3:
        return None
    values, vectors = torch.linalg.eigh(A.T @ A)
    axis = vectors[:, (values - 1).abs().argmax()]
    steps = torch.tensor([-0.4, -0.2, 0.0, 0.2, 0.4])
    return 0.5 + steps[:, None, None] * axis.expand(5, 5, 3)


def right_0404(own, target):
    """By trying all corners of the broken line that the loss is."""
    ratios = [0.0, *(target[own > 0] / own[own > 0]).tolist()]
    return min(ratios, key=lambda a: float((a * own - target).abs().sum()))


def right_0405(picture, target, kx, ky):
    """As loops over outputs and taps, scattered instead of gathered."""
    gx, gy = derivatives(picture, kx, ky)
    out, side = torch.zeros_like(picture), kx.shape[0]
    for y in range(target.shape[0]):
        for x in range(target.shape[1]):
            window = out[:, y : y + side, x : x + side]
            m = gx[:, y, x].norm() + gy[:, y, x].norm()
            s = torch.sign(m - target[y, x]) / target.numel()
            for g, k in ((gx[:, y, x], kx), (gy[:, y, x], ky)):
                if g.norm() > 0:
                    window += s * (g / g.norm())[:, None, None] * k
    return out


RIGHT = {
    "ex0401": right_0401, "ex0402": right_0402, "ex0403": right_0403, "ex0404": right_0404,
    "ex0405": right_0405,
}  # fmt: skip


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(checks, number)(RIGHT[number])
    assert capsys.readouterr().out.startswith(f"{number} passed: ")


def of_difference(rendered, photo, kx, ky):
    gx, gy = derivatives((rendered - photo).permute(2, 0, 1), kx, ky)
    return (gx.norm(dim=0) + gy.norm(dim=0)).mean()


def one_root(rendered, photo, kx, ky):
    both = [derivatives(p.permute(2, 0, 1), kx, ky) for p in (rendered, photo)]
    a, b = (torch.cat(g).norm(dim=0) for g in both)
    return (a - b).abs().mean()


def by_determinant(A, b):
    return None if abs(abs(A.det()) - 1) < 1e-3 else right_0403(A, b)


def least_squares(own, target):
    return (own * target).sum() / (own * own).sum()


def with_nan(picture, target, kx, ky, flip=(0, 1)):
    gx, gy = derivatives(picture, kx, ky)
    s = torch.sign(gx.norm(dim=0) + gy.norm(dim=0) - target) / target.numel()
    side = kx.shape[0] - 1
    units = [F.pad(s * g / g.norm(dim=0), [side] * 4)[:, None] for g in (gx, gy)]
    flipped = (k.flip(flip)[None, None] for k in (kx, ky))
    return sum(F.conv2d(u, k)[:, 0] for u, k in zip(units, flipped, strict=True))


def not_flipped(*given):
    return with_nan(*given, flip=())


def even(A, b):
    return None if right_0403(A, b) is None else torch.full((4, 4, 3), 0.5)


@pytest.mark.parametrize(
    ("number", "function", "words"),
    [
        ("ex0401", of_difference, ["a release has only their lengths"]),
        ("ex0401", one_root, ["adds two lengths"]),
        ("ex0401", lambda *g: 0.5 * right_0401(*g), ["hint: take lengths"]),
        ("ex0401", lambda r, p, kx, ky: r, ["has the shape"]),
        ("ex0402", lambda p, k, r: (r // p**2, r, 0.0), ["specification", "hint: "]),
        ("ex0402", lambda p, k, r: (*right_0402(p, k, r)[:2], ((p - k + 1) / p) ** 2),
         ["share that is compared"]),
        ("ex0402", lambda p, k, r: p, ["the shape ()"]),
        ("ex0403", by_determinant, ["case: a shear", "volumes, not lengths"]),
        ("ex0403", lambda A, b: right_0403(A, b) if b.any() else NOISE[0], ["keeps the modulus"]),
        ("ex0403", even, ["changes by 0.0000%: it proves nothing"]),
        ("ex0403", lambda A, b: None, ["case: half the contrast", "yours is None"]),
        ("ex0403", lambda A, b: 2 * NOISE[0], ["not all in [0, 1]"]),
        ("ex0403", lambda A, b: NOISE[0] * float("nan"), ["not all in [0, 1]"]),
        ("ex0403", lambda A, b: NOISE[0, 0], ["not (H, W, 3)"]),
        ("ex0403", lambda A, b: "free", ["neither None nor a picture"]),
        ("ex0403", lambda A, b: None if torch.allclose(A.abs(), torch.eye(3)) else NOISE[0],
         ["red and blue swapped"]),
        ("ex0404", least_squares, ["case: noise", "makes squares smallest"]),
        ("ex0404", lambda o, t: (t[o > 0] / o[o > 0]).median(), ["the plain median"]),
        ("ex0404", lambda o, t: -0.4, ["yours is -0.4 with"]),
        ("ex0404", lambda o, t: "none", ["yours raises ValueError"]),
        ("ex0405", not_flipped, ["turned by 180 degrees"]),
        ("ex0405", with_nan, ["case: a picture that is even"]),
        ("ex0405", lambda p, t, kx, ky: right_0405(p, -1 + 0 * t, kx, ky), ["sign of the"]),
        ("ex0405", lambda p, t, kx, ky: t.numel() * right_0405(p, t, kx, ky), ["is a mean"]),
        ("ex0405", lambda p, t, kx, ky: p[0], ["the shape (8, 9)"]),
    ],
)  # fmt: skip
def test_a_wrong_answer_is_named(
    number: str,
    function: Callable[..., Any],
    words: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = failed(capsys, number, function)
    assert all(word in said for word in words), said


# Landscapes ---------------------------------------------------------------------------------------


def test_a_picture_moved_by_whole_pixels_is_the_same_picture(photo: torch.Tensor) -> None:
    there = landscape.moved(photo, 3.0, -2.0)[0].movedim(0, -1)
    assert torch.allclose(there[:-2, 3:], photo[2:, :-3], atol=1e-5)
    assert torch.allclose(there[-2:], torch.ones(2, 64, 3), atol=1e-5)
    assert torch.allclose(landscape.moved(photo)[0].movedim(0, -1), photo, atol=1e-5)


def test_an_empty_picture_has_a_loss_of_one(photo: torch.Tensor) -> None:
    white = torch.ones(1, 3, 64, 64)
    curve = landscape.over(photo, white, torch.zeros(1))
    assert curve.gradient.item() == pytest.approx(1) and curve.rgb.item() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(4))
def test_every_rotation_and_reflection_of_colour_is_free(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=random))[0]
    other = NOISE[0] @ turn.T + torch.rand(3, generator=random)
    pair = [landscape.moduli(landscape.planes(p)) for p in (NOISE[0], other)]
    assert torch.allclose(*pair, atol=1e-5)


@pytest.mark.parametrize("view", [2, 7, 12])
def test_the_funnel_is_narrow_and_blur_widens_it(view: int) -> None:
    picture = load_scene(SAMPLES / "scene").images[view]
    curve, soft = landscape.shift_curve(picture), landscape.shift_curve(picture, blur=2.0)
    narrow = landscape.half_width(curve.steps, curve.gradient)
    assert 3 * narrow < landscape.half_width(curve.steps, curve.rgb)
    assert 1.4 * narrow < landscape.half_width(soft.steps, soft.gradient)
    assert curve.gradient[16] < 1e-4 and curve.gradient[19] > 1  # three off: worse than nothing
    assert landscape.basin(curve.steps, curve.rgb) == (-16, 16)


def test_half_width_basin_and_valleys_of_a_known_curve() -> None:
    steps = torch.arange(-4.0, 5.0)
    values = torch.tensor([4.0, 2, 3, 1, 0, 2, 4, 3, 4])
    assert landscape.half_width(steps, values) == pytest.approx(1.0)
    assert landscape.half_width(steps, steps.abs()) == pytest.approx(2.0)
    assert landscape.basin(steps, values) == (-2.0, 2.0)
    assert landscape.valleys(values) == 3
    assert landscape.valleys(steps[:, None] ** 2 + steps**2) == 1


@pytest.mark.parametrize(("patch", "reach"), [(10, 1), (12, 3), (3, 1)])
def test_who_is_compared_is_counted_right(patch: int, reach: int) -> None:
    counts = torch.zeros(20, 20)
    places = patch_weights(torch.rand(1, 20, 20), patch).shape[-1]
    for y in range(places):
        for x in range(places):
            counts[y + reach : y + patch - reach, x + reach : x + patch - reach] += 1
    found = landscape.compared(20, patch, reach)
    assert torch.equal(found, counts)
    assert not found[0].any() and found[reach, reach] == 1


# The toy head -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def target() -> torch.Tensor:
    return toy_head.modulus(toy_head.render(toy_head.shape()).colour)


def test_the_toys_normals_are_its_gradient() -> None:
    points = torch.rand(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    points = (2 * points - 1).requires_grad_()
    value, normals, _ = toy_head.distance(points, toy_head.shape(shift=0.1))
    (gradient,) = torch.autograd.grad(value.sum(), points)
    assert torch.allclose(F.normalize(gradient, dim=-1), normals, atol=1e-9)


@pytest.mark.parametrize(("name", "value"), [("radius", 0.57), ("shift", -0.04), ("nose", 0.3)])
def test_autograd_and_differences_agree(name: str, value: float, target: torch.Tensor) -> None:
    def at(v: float) -> float:
        return float(toy_head.loss(toy_head.render(toy_head.shape(**{name: v})).colour, target))

    by_autograd = toy_head.slope(name, value, target)[1]
    assert by_autograd == pytest.approx((at(value + 1e-6) - at(value - 1e-6)) / 2e-6, rel=1e-3)


# Panel ------------------------------------------------------------------------------------------


def test_the_panels_losses_are_the_landscapes(photo: torch.Tensor) -> None:
    setting = {"shift": 4, "scale": 0.9, "contrast": -0.5, "blur": 1.0}
    batch = landscape.recoloured(landscape.moved(photo, 4.0, 0.0, 0.9), -0.5)
    own = landscape.moduli(landscape.planes(photo), 1.0)[0]
    shown = {
        loss: panel.picture(**setting, loss=loss).figure.axes[-1].lines[-1].get_ydata()[0]
        for loss in ("gradient", "rgb")
    }
    wanted = landscape.gradient_losses(batch, own, 1.0).item()
    assert shown["gradient"] == pytest.approx(wanted, rel=1e-3)
    assert shown["rgb"] == pytest.approx(landscape.rgb_losses(batch, photo).item(), rel=1e-4)
