"""Claims of lesson 4: its checks, its landscapes, its toy head, its pictures and its panel."""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed
from PIL import Image
from torch.nn import functional as F

from privhead_nb.kernels.gradient_loss import gradient_loss
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.scene import load_scene
from privhead_nb.teach import checks, latency
from privhead_nb.teach.checks import CheckFailed
from privhead_nb.teach.lesson04 import landscape, loss_landscape, panel, toy_head, toy_pictures
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
        ("ex0404", least_squares, ["case: noise", "makes squares smallest"]),
        ("ex0404", lambda o, t: (t[o > 0] / o[o > 0]).median(), ["the plain median"]),
        ("ex0404", lambda o, t: -0.4, ["yours is -0.4"]),
        ("ex0404", lambda o, t: "none", ["not a number"]),
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


def test_a_slip_of_the_free_maps_is_told_by_a_proof_that_proves_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(CheckFailed):
        checks.ex0403(lambda A, b: None if torch.allclose(A.abs(), torch.eye(3)) else NOISE[0])
    assert "red and blue swapped" in capsys.readouterr().out


# Landscapes ---------------------------------------------------------------------------------------


def test_a_picture_moved_by_whole_pixels_is_the_same_picture(photo: torch.Tensor) -> None:
    there = landscape.moved(photo, 3.0, -2.0)[0].movedim(0, -1)
    assert torch.allclose(there[:-2, 3:], photo[2:, :-3], atol=1e-5)
    assert torch.allclose(there[-2:], torch.ones(2, 64, 3), atol=1e-5)
    assert torch.allclose(landscape.moved(photo)[0].movedim(0, -1), photo, atol=1e-5)


@pytest.mark.parametrize("blur", [0.0, 0.7, 2.0])
def test_moduli_are_the_operators(photo: torch.Tensor, blur: float) -> None:
    theirs = Operator("sobel", blur=blur).modulus(photo, valid=True)
    assert torch.allclose(landscape.moduli(landscape.planes(photo), blur)[0], theirs, atol=1e-5)


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


@pytest.mark.parametrize("seed", range(6))
def test_the_best_contrast_is_the_best(seed: int) -> None:
    own, target = torch.rand(2, 7, 8, generator=torch.Generator().manual_seed(seed))
    tried = torch.linspace(0, 4, 4001)
    losses = (tried[:, None, None] * own - target).abs().mean((1, 2))
    best = landscape.best_contrast(own, target)
    assert (best * own - target).abs().mean() <= losses.min() + 1e-6
    assert landscape.best_contrast(torch.zeros(3, 3), target[:3, :3]) == 0


def test_lines_that_fit_nowhere_fade_entirely() -> None:
    line = torch.zeros(6, 9)
    line[:, 3] = 1
    assert landscape.best_contrast(line, line.roll(2, 1)) == 0


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


def test_worth_of_a_ray_by_hand() -> None:
    signal = torch.zeros(1, 6, 6)
    signal[0, 2, 2] = 1.0  # only patches whose inner pixel it is find it useful
    by_signal, evenly = landscape.useful(signal, 3, 0.5)
    assert evenly == pytest.approx(1 / 16)
    weights = patch_weights(signal, 3)
    assert by_signal == pytest.approx(float(weights[0, 1, 1] / weights.sum()))
    assert landscape.worth(signal, 3, 0.5) == pytest.approx((by_signal / 9, evenly / 9))


def test_stripes_have_half_the_period_to_a_modulus() -> None:
    here, half, quarter = (
        landscape.moduli(landscape.planes(landscape.stripes(8.0, shift=s, samples=8)))
        for s in (0.0, 4.0, 2.0)
    )
    assert torch.allclose(here, half, atol=1e-5) and not torch.allclose(here, quarter, atol=0.1)


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
def test_autograd_and_differences_agree_and_the_map_sums(
    name: str, value: float, target: torch.Tensor
) -> None:
    def at(v: float) -> float:
        return float(toy_head.loss(toy_head.render(toy_head.shape(**{name: v})).colour, target))

    by_autograd = toy_head.slope(name, value, target)[1]
    assert by_autograd == pytest.approx((at(value + 1e-6) - at(value - 1e-6)) / 2e-6, rel=1e-3)
    share, opacity = toy_head.where_from(name, value, target)
    assert share.sum().item() == pytest.approx(by_autograd, rel=1e-6)
    outline = float(share.abs()[toy_head.outline(opacity)].sum() / share.abs().sum())
    assert outline < 0.05 if name == "nose" else outline > 0.6


def test_plain_unlit_skin_has_no_pull_on_the_nose() -> None:
    looks: dict[str, Any] = {"paint": toy_head.plain, "light": 0.0}
    flat = toy_head.modulus(toy_head.render(toy_head.shape(), **looks).colour)
    assert abs(toy_head.slope("nose", 0.1, flat, **looks)[1]) < 1e-5


def test_near_is_home_and_far_is_lost() -> None:
    losses, slopes = toy_head.far_slopes(torch.tensor([1.0, 2, 14.5, 15.5]) * 2 / toy_head.SIZE)
    assert (slopes[:2] > 0).all() and (slopes[2:] < 0).all() and (losses[2:] > 1).all()


def test_paint_alone_pleases_one_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRIVHEAD_PROFILE", "ci")
    done = toy_head.paint_it(0.0, (0.0,))
    assert done.losses[-1] < 0.1 * done.losses[0] and done.pictures.shape == (1, 48, 48, 3)
    rgb = toy_head.paint_it(0.0, (0.0,), by_rgb=True)
    assert rgb.losses[-1] < 0.2 * rgb.losses[0]


def test_the_package_has_no_gradient_at_the_kink() -> None:
    kx, ky = Operator("sobel").kernels()
    flat = torch.full((1, 3, 6, 6), 0.5, requires_grad=True)
    gradient_loss(flat, torch.ones(1, 4, 4), kx, ky).backward()
    assert flat.grad is not None and torch.equal(flat.grad, torch.zeros_like(flat))


# Pictures and panel -------------------------------------------------------------------------------


def test_pictures_draw(photo: torch.Tensor, target: torch.Tensor) -> None:
    lines = landscape.moduli(landscape.planes(photo))[0]
    random = torch.Generator().manual_seed(0)
    toy = toy_head.render(toy_head.shape()).colour
    steps = torch.arange(3.0)
    for figure in (
        loss_landscape.side_by_side({"a": photo, "b": lines}),
        loss_landscape.patches(lines, 10, 3, random),
        loss_landscape.patch_sizes(lines[None], (3, 10), 0.05),
        loss_landscape.curves({"shift": landscape.shift_curve(photo, 3)}),
        loss_landscape.maps(*landscape.shift_map(photo, 3)),
        loss_landscape.blurs({b: landscape.shift_curve(photo, 3, b) for b in (0.0, 1.0)}),
        loss_landscape.fading(steps, *landscape.fading(photo, steps), steps),
        toy_pictures.where_from({"nose": toy_head.where_from("nose", 0.1, target)}),
        toy_pictures.far(steps, steps, steps - 1),
        toy_pictures.painted({"true": toy}, [1.0, 0.1]),
        toy_pictures.noses([0.0, 0.2], {"one": [1, 1], "five": [2, 1]}),
        toy_pictures.views((0.0,)),
    ):
        figure.canvas.draw() if figure.canvas else None
        assert figure.axes


CORNERS = [
    {"shift": shift, "scale": scale, "contrast": contrast, "blur": blur, "loss": loss}
    for shift, scale in ((-12, 0.8), (12, 1.2))
    for contrast, blur in ((-1.0, 3.0), (0.0, 0.0))
    for loss in ("gradient", "rgb")
]


@pytest.mark.parametrize("setting", CORNERS + panel.TWIN)
def test_the_panel_draws_every_corner(setting: dict[str, Any]) -> None:
    view = panel.picture(**setting)
    assert Image.open(BytesIO(view.png())).size == (828, 198)
    curve = view.figure.axes[-1]
    (x,), (y,) = curve.lines[-1].get_data()
    assert x == setting["shift"] and 0 <= y <= curve.get_ylim()[1]
    on_curve = np.interp(x, *curve.lines[0].get_data())
    assert y == pytest.approx(on_curve)
    assert f"shift {setting['shift']}" in view.alt and "loss" in view.facts


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


def test_the_panels_controls_are_its_arguments() -> None:
    controls = panel.controls()
    rest = {name: control.value for name, control in controls.items()}
    assert panel.picture(**rest).facts
    assert set(panel.TWIN[0]) == set(controls)
    assert latency.time_panel("04")["redraws"] > 20
