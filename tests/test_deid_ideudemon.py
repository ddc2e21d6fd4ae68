"""Claims about IDeudemon: equations against plain references, training, the whole system."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies.deid import ideudemon_losses as losses
from benchmarks.studies.deid import portraits
from benchmarks.studies.deid.ideudemon_step1 import train_codes, train_nerf
from benchmarks.studies.deid.ideudemon_step2 import Variant, hybrids, train_restorer
from benchmarks.studies.deid.learning import MOST, Learning
from privhead_nb.deid.features import perceptual_features, recogniser
from privhead_nb.deid.ideudemon import Ideudemon, codes, fit, nerf, restore
from privhead_nb.deid.ideudemon.losses import Weights, reconstruction_loss
from privhead_nb.deid.stored import path_of
from privhead_nb.errors import LabError
from privhead_nb.heads.surface import LABELS
from privhead_nb.lab.recognisers import head_crop, stored


@pytest.fixture(scope="module")
def known() -> portraits.KnownPortraits:
    """Two people who are nobody's, two pictures each."""
    return portraits.known_portraits((62_000, 62_001), views=2)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Step I -------------------------------------------------------------------------------------------


def test_noise_is_gaussian_truncated_and_touches_the_identity_alone() -> None:
    """Eq. 3 and section 4.1."""
    flat = torch.zeros(400, codes.Codes.split(torch.zeros(1, 131)).flat().shape[1])
    plain = codes.Codes.split(flat)
    hidden = codes.perturbed(plain, 0.25, drawn())
    assert float(hidden.identity.std()) == pytest.approx(0.25, rel=0.02)
    assert float(hidden.identity.mean()) == pytest.approx(0, abs=0.01)
    for name in ("expression", "albedo", "illumination", "camera"):
        assert torch.equal(getattr(hidden, name), getattr(plain, name))
    edge = replace(plain, identity=torch.full_like(plain.identity, 0.95))
    far = codes.perturbed(edge, 0.4, drawn()).identity
    assert float(far.max()) == 1.0 and float(far.min()) >= -1.0
    assert torch.equal(hidden.identity, codes.perturbed(plain, 0.25, drawn()).identity)
    assert torch.equal(codes.Codes.split(hidden.flat()).camera, hidden.camera)


def test_the_nerf_sees_codes_and_camera(known: portraits.KnownPortraits) -> None:
    """Every code moves the picture; gradients are those of finite differences.

    Not the camera's: a sample that leaves the ball is a step.
    """
    torch.manual_seed(0)
    field = nerf.ParametricNerf(width=16).double()
    given = known.only(torch.tensor([1])).codes().flat().double()
    picture, opaque = field(codes.Codes.split(given))
    assert picture.shape == (1, 64, 64, 3) and opaque.shape == (1, 16, 16)
    weights = torch.randn(picture.shape, generator=drawn(), dtype=torch.float64)

    def value(flat: Tensor) -> Tensor:
        return (field(codes.Codes.split(flat))[0] * weights).sum()

    flat = given.clone().requires_grad_()
    (slope,) = torch.autograd.grad(value(flat), flat)
    starts = {"identity": 3, "expression": 66, "albedo": 80, "illumination": 100, "camera": 125}
    for name, place in starts.items():
        step = torch.zeros_like(given)
        step[0, place] = 1e-4
        with torch.no_grad():
            wanted = (value(given + step) - value(given - step)) / 2e-4
        assert abs(float(slope[0, place])) > 0 and abs(float(wanted)) > 0, name
        if name != "camera":
            assert float(slope[0, place]) == pytest.approx(float(wanted), rel=0.1, abs=1e-5), name


def test_fitting_goes_down_and_keeps_to_the_range(known: portraits.KnownPortraits) -> None:
    torch.manual_seed(1)
    regressor, field = codes.CoarseRegressor(8).eval(), nerf.ParametricNerf(width=16).eval()
    regressor.requires_grad_(False)
    field.requires_grad_(False)
    rgb = known.rgb()
    offs = []
    for steps in (0, 12):
        found = fit.fitted(rgb, regressor, field, fit.Fitting(steps=steps, rate=0.05))
        offs.append((field(found)[0] - rgb).square().mean((1, 2, 3)))
        assert float(found.identity.abs().max()) <= 1 and float(found.albedo.abs().max()) <= 1
    assert (offs[1] < offs[0]).all()
    # a face is fitted as if it were alone
    alone = fit.fitted(rgb[:1], regressor, field, fit.Fitting(steps=3))
    beside = fit.fitted(rgb, regressor, field, fit.Fitting(steps=3))
    torch.testing.assert_close(alone.flat()[0], beside.flat()[0], atol=1e-4, rtol=1e-3)


# Step II ------------------------------------------------------------------------------------------


def test_the_hybrid_takes_hair_and_surroundings_from_the_original() -> None:
    hair, skin, ground, nose = (LABELS.index(n) for n in ("hair", "skin", "background", "nose"))
    labels = torch.tensor([[[hair, skin, ground, skin]]])
    fitted = torch.tensor([[[skin, nose, skin, hair]]])
    X, P = torch.full((1, 1, 4, 3), 0.2), torch.full((1, 1, 4, 3), 0.7)
    made = restore.hybrid(X, P, labels, fitted)[0, 0, :, 0]
    torch.testing.assert_close(made, torch.tensor([0.2, 0.7, 0.2, 0.7]))


def test_a_restorer_begins_with_what_it_is_given(known: portraits.KnownPortraits) -> None:
    torch.manual_seed(0)
    given = known.rgb()
    assert torch.equal(restore.Restorer()(given), given)


def test_r1_is_the_mean_squared_slope() -> None:
    torch.manual_seed(0)
    critic = losses.Discriminator(8, 8).double()
    real = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(lambda x: critic(x)[0].sum(), real)
    torch.testing.assert_close(losses.steepness(critic, real), slopes.square().sum() / 2)


def test_losses_are_the_papers(known: portraits.KnownPortraits) -> None:
    """Eq. 5 to 8 written out once more."""
    look, weights = recogniser(), Weights()
    one, two = known.rgb()[:2], known.rgb()[2:]
    phi = [perceptual_features(look, x) for x in (one, two)]
    wanted = (
        0.1 * (one - two).abs().mean()
        + 2 * sum((a - b).abs().mean() for a, b in zip(*phi, strict=True)) / 3
    )
    torch.testing.assert_close(reconstruction_loss(one, two, look, weights), wanted)
    assert float(reconstruction_loss(one, one, look, weights)) == 0

    logits = torch.tensor([-1.0, 2.0])
    wanted = -0.1 * torch.log1p(torch.exp(logits)).mean()
    torch.testing.assert_close(losses.adversarial_loss(logits, weights), wanted)

    torch.manual_seed(0)
    critic = {"mouth": losses.Discriminator(8, 16)}
    marks = known.landmarks[:2]
    found = losses.component_loss(one, two, marks, critic, weights)
    patches = [losses.region(x, marks, "mouth") for x in (one, two)]
    (logit, made), (_, real) = (critic["mouth"](x) for x in patches)
    style = sum(
        (losses.gram(a) - losses.gram(b)).abs().mean() for a, b in zip(made, real, strict=True)
    )
    wanted = torch.log(1 - torch.sigmoid(logit)).mean() + 200 * style
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)

    a, b = (F.normalize(look(head_crop(x)), dim=1) for x in (one, two))
    wanted = 5 * (1 - (a * b).sum(1)).mean()
    torch.testing.assert_close(losses.identity_loss(one, two, look, weights), wanted)
    l1 = losses.identity_loss(one, two, look, Weights(identity_l1=True))
    torch.testing.assert_close(l1, 5 * (a - b).abs().mean())


def test_a_region_is_cut_where_its_landmarks_are() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    picture = torch.stack([x, y, 0 * x], -1)[None] / 64
    marks = torch.zeros(1, 68, 2)
    marks[:, 48:68] = torch.tensor([30.5, 40.5])
    cut = losses.region(picture, marks, "mouth")[0] * 64
    torch.testing.assert_close(cut[0, 0], torch.arange(23.0, 39.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(cut[1, :, 0], torch.arange(37.0, 45.0), atol=1e-3, rtol=0)


def test_split_transform_passes_half_of_the_channels() -> None:
    torch.manual_seed(0)
    led = restore.SplitTransform(3, 6)
    x, beside = torch.randn(2, 6, 5, 5), torch.randn(2, 3, 5, 5)
    out = led(x, beside)
    assert torch.equal(out[:, :3], x[:, :3])
    alpha, beta = led.told(beside).chunk(2, 1)
    torch.testing.assert_close(out[:, 3:], (1 + alpha) * x[:, 3:] + beta)


# Training and the whole ---------------------------------------------------------------------------


def test_training_goes_on_where_it_stopped(known: portraits.KnownPortraits, tmp_path: Path) -> None:
    few = Learning(2, 2, 1e-3)
    regressor, parser = train_codes(known, tmp_path, few, progress=False)
    field = train_nerf(known, tmp_path, few, few, progress=False)
    again = train_nerf(known, tmp_path, few, few, progress=False)  # nothing is left to do
    for a, b in zip(field.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    restorer = train_restorer(known, field, parser, tmp_path, few, progress=False)
    for part in (regressor, parser, field, restorer):
        part.requires_grad_(False)
    system = Ideudemon(regressor, parser, field, restorer, fit.Fitting(steps=1))
    one, two, three = (system(known.rgb(), 0.25, drawn(seed)) for seed in (0, 0, 1))
    assert one.shape == (4, 64, 64, 3) and torch.equal(one, two) and three.shape == one.shape
    together = system(known.rgb()[:2], 0.25, drawn(), group=True)
    assert together.shape == (2, 64, 64, 3)
    with pytest.raises(LabError, match="ideudemon: strength"):
        system(known.rgb(), 9.0, drawn())
    without = hybrids(known, field, parser, drawn(), assistance=False)
    assert without.shape == (4, 64, 64, 3) and Variant().assistance


def test_the_shipped_system_changes_people_and_keeps_their_pose(
    known: portraits.KnownPortraits,
) -> None:
    """Loose bounds: figures are the study's."""
    from benchmarks.studies.deid import utility
    from privhead_nb.deid import deidentifier

    system = deidentifier("ideudemon")
    rgb = known.rgb()
    least, most = (system(rgb, s, drawn()) for s in (0.05, 1.6))
    looks = stored.recogniser("triplet_cnn")
    near, far = (
        float((looks.embed(x)[0] - looks.embed(rgb)[0]).norm(dim=1).mean()) for x in (least, most)
    )
    assert far > near
    pose, _ = utility.pose_and_expression(least)
    before, _ = utility.pose_and_expression(rgb)
    assert float((pose - before).abs().mean()) < 10
    assert path_of("ideudemon").stat().st_size <= MOST
