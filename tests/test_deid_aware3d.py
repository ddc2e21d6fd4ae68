"""Claims about 3D-aware de-identification: equations, generator, training, the whole system."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies.deid import portraits
from benchmarks.studies.deid.aware3d_critic import (
    LatentDiscriminator,
    adversarial_loss,
    discriminator_loss,
)
from benchmarks.studies.deid.aware3d_generator import (
    known_codes,
    start_from,
    train_generator,
    train_parser,
)
from benchmarks.studies.deid.aware3d_mapper import (
    FOCUS,
    TAUS,
    Weights,
    converted,
    drawn_tau,
    frozen_call,
    kept_alike,
    no_tau,
    of_portraits,
    stage_1_loss,
    stage_2_loss,
    train_inversion,
    train_stage_1,
    train_stage_2,
)
from benchmarks.studies.deid.learning import MOST, Learning, save_parts
from privhead_nb.deid.aware3d import BACKGROUND, HAIR, Aware3d, Networks, examples, losses, mapper
from privhead_nb.deid.aware3d import style_nerf as generator
from privhead_nb.deid.features import layers_and_identity, recogniser
from privhead_nb.deid.ideudemon.codes import Parser
from privhead_nb.deid.ideudemon.nerf import ParametricNerf
from privhead_nb.deid.stored import path_of
from privhead_nb.errors import LabError


@pytest.fixture(scope="module")
def known() -> portraits.KnownPortraits:
    """Two people who are nobody's, two pictures each."""
    return portraits.known_portraits((62_000, 62_001), views=2)


@pytest.fixture(scope="module")
def networks() -> Networks:
    """All networks, untrained."""
    torch.manual_seed(0)
    made = Networks(generator.StyleNerf(), Parser(), mapper.AuxiliaryEncoder(),
                    mapper.ConversionMapper())  # fmt: skip
    for part in vars(made).values():
        part.eval().requires_grad_(False)
    return made


@pytest.fixture(scope="module")
def few(known: portraits.KnownPortraits) -> examples.Examples:
    """The known portraits as examples."""
    return of_portraits(known)


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Losses, eq. 4 to 9 -------------------------------------------------------------------------------


def test_losses_are_the_papers() -> None:
    """Each written out once more, a row at a time, in float64."""
    random = drawn()
    a, b, c = (F.normalize(torch.randn(5, 64, generator=random).double(), dim=1) for _ in range(3))

    def lengths(one: Tensor, two: Tensor) -> list[float]:
        return [float((x - y).pow(2).sum().sqrt()) for x, y in zip(one, two, strict=True)]

    apart, tau = lengths(a, b), torch.tensor([0.5, 1.5, 1.5, 0.9, 1.8]).double()
    assert float(losses.identity_loss(a, b)) == pytest.approx(sum(apart) / 5)
    wanted = sum(abs(float(t) - d) for t, d in zip(tau, apart, strict=True)) / 5
    assert float(losses.deidentification_loss(a, b, tau)) == pytest.approx(wanted)
    far = lengths(c, b)
    wanted = sum(max(0.0, n**2 + 0.5 - f**2) for n, f in zip(apart, far, strict=True)) / 5
    assert float(losses.contrastive_loss(a, c, b, 0.5)) == pytest.approx(wanted)
    assert float(losses.contrastive_loss(a, -a, a, 0.5)) == 0  # eq. 8 holds: nothing to lose
    assert float(losses.attribute_loss(a, b)) == pytest.approx(sum(d**2 for d in apart) / 5 / 64)
    assert float(losses.direction_loss(a, b)) == pytest.approx(float((a - b).abs().mean()))
    assert float(losses.inversion_loss(a, b)) == pytest.approx(float((a - b).abs().mean()))


def test_mask_loss_counts_where_labels_differ() -> None:
    X, made = torch.zeros(1, 2, 2, 3).double(), torch.full((1, 2, 2, 3), 0.5).double()
    parsed = F.one_hot(torch.tensor([[[0, 1], [2, 2]]]), 3).movedim(-1, 1).double()
    other = F.one_hot(torch.tensor([[[0, 2], [2, 2]]]), 3).movedim(-1, 1).double()
    assert float(losses.mask_loss(X, made, parsed, parsed)) == 0
    # one pixel of four, two labels, three colours
    assert float(losses.mask_loss(X, made, parsed, other)) == pytest.approx(2 * 3 * 0.25 / 4)


def test_slope_of_distance_is_finite_at_nothing() -> None:
    a = torch.ones(2, 4, dtype=torch.float64, requires_grad=True)
    losses.distance(a, torch.ones(2, 4).double()).sum().backward()
    assert a.grad is not None and bool(a.grad.isfinite().all())


def test_the_critic_learns_with_r1() -> None:
    """Non-saturating loss, and half the squared slope on real codes alone (Mescheder, eq. 9)."""
    torch.manual_seed(0)
    critic = LatentDiscriminator(8).double()
    real, made = (torch.randn(6, 125, generator=drawn(s)).double() for s in (1, 2))
    plain = F.softplus(-critic(real)).mean() + F.softplus(critic(made)).mean()
    slopes = []
    for row in real:
        x = row[None].clone().requires_grad_()
        (slope,) = torch.autograd.grad(critic(x).sum(), x)
        slopes.append(float(slope.square().sum()))
    found = discriminator_loss(critic, real, made, 3.0)
    assert found.item() == pytest.approx(plain.item() + 1.5 * sum(slopes) / 6)
    assert float(adversarial_loss(torch.zeros(3))) == pytest.approx(0.6931, abs=1e-3)


# The generator ------------------------------------------------------------------------------------


def test_the_generator_starts_as_the_field(known: portraits.KnownPortraits) -> None:
    torch.manual_seed(0)
    field, nerf = ParametricNerf(), generator.StyleNerf()
    start_from(field, nerf)
    made, opaque = nerf(known_codes(known), known.pose)
    wanted, cover = field(known.codes())
    torch.testing.assert_close(made, wanted, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(opaque, cover, atol=1e-4, rtol=1e-3)


def test_w_moves_the_picture_by_its_slope(networks: Networks) -> None:
    """Gradients of w and z_d are those of finite differences; a face is drawn as if alone."""
    torch.manual_seed(3)
    nerf = generator.StyleNerf(16).double()
    for layer in (*nerf.layers, nerf.colour):
        torch.nn.init.normal_(layer.scale.weight, std=0.05)
    w = torch.randn(2, 125, generator=drawn()).double().requires_grad_()
    pose = 0.1 * torch.randn(2, 6, generator=drawn(1)).double()
    picture, opaque = nerf(w, pose)
    assert picture.shape == (2, 64, 64, 3) and opaque.shape == (2, 16, 16)
    weights = torch.randn(picture.shape, generator=drawn(2)).double()
    (slope,) = torch.autograd.grad((picture * weights).sum(), w)
    for place in (0, 70, 120):
        step = torch.zeros_like(w)
        step[0, place] = 1e-5
        with torch.no_grad():
            up, down = ((nerf(w + s, pose)[0] * weights).sum() for s in (step, -step))
        assert float(slope[0, place]) == pytest.approx(float(up - down) / 2e-5, rel=1e-3, abs=1e-6)
    torch.testing.assert_close(nerf(w[:1], pose[:1])[0], picture[:1])


def test_codes_of_mixed_people_are_exact(
    few: examples.Examples,
) -> None:
    """One person's shape and colour, another picture's expression and light."""
    i, j = few.only(torch.tensor([0])), few.only(torch.tensor([3]))
    mixed = examples.mixed_codes(i, j)
    assert torch.equal(mixed, torch.cat([i.w[:, :88], j.w[:, 88:]], 1))
    torch.testing.assert_close(few.vector.norm(dim=1), torch.ones(4))


def test_pictures_of_further_people_have_their_codes(networks: Networks) -> None:
    made = examples.of_generator(networks.nerf, range(62_010, 62_012), 2, drawn())
    again = examples.of_generator(networks.nerf, range(62_010, 62_012), 2, drawn())
    assert len(made) == 4 and torch.equal(made.pictures, again.pictures)
    assert made.w.shape == (4, generator.STYLE)
    assert torch.equal(made.w[0, :88], made.w[1, :88])
    assert not torch.equal(made.w[0, 88:], made.w[1, 88:])
    assert float(made.pose[:, 0].abs().max()) <= 0.7855


# Training -----------------------------------------------------------------------------------------


def test_stage_1_is_the_sum_of_its_terms(networks: Networks, few: examples.Examples) -> None:
    i, j = few.only(torch.tensor([0, 1])), few.only(torch.tensor([2, 3]))
    how = Weights()
    seen = converted(networks, i.vector, j.rgb(), no_tau(i.vector))
    attributes, direction = networks.auxiliary(seen.made)
    alike = 100 * losses.attribute_loss(seen.attributes, attributes)
    alike = alike + 10 * losses.direction_loss(seen.direction, direction)
    parsed, parsed_made = (networks.parser(x).softmax(1) for x in (j.rgb(), seen.made))
    alike = alike + losses.mask_loss(j.rgb(), seen.made, parsed, parsed_made)
    torch.testing.assert_close(kept_alike(networks, seen, how), alike)
    wanted = losses.identity_loss(i.vector, seen.vector) + alike
    wanted = wanted + 0.5 * losses.contrastive_loss(i.vector, j.vector, seen.vector, how.margin)
    torch.testing.assert_close(stage_1_loss(networks, i, j, True, how), wanted)

    seen = converted(networks, j.vector, j.rgb(), no_tau(j.vector))
    features, _ = layers_and_identity(recogniser(), j.rgb())
    wanted = (
        losses.identity_loss(j.vector, seen.vector)
        + kept_alike(networks, seen, how)
        + 0.1 * losses.inversion_loss(j.w, seen.w)
        + 10 * losses.direction_loss(j.pose, seen.direction)
        + F.mse_loss(seen.made, j.rgb())
        + losses.perceptual_loss(features, seen.features)
    )
    torch.testing.assert_close(stage_1_loss(networks, j, j, False, how), wanted)
    tau = torch.tensor([0.5, 1.5])
    seen = converted(networks, j.vector, j.rgb(), tau)
    wanted = losses.deidentification_loss(j.vector, seen.vector, tau)
    wanted = wanted + kept_alike(networks, seen, how)
    torch.testing.assert_close(stage_2_loss(networks, j, tau, how), wanted)


def test_attributes_dont_learn_to_be_the_same() -> None:
    """Eq. 5 reaches the picture, not E_aux itself, which could meet it by saying nothing."""
    torch.manual_seed(0)
    auxiliary = mapper.AuxiliaryEncoder()
    x = torch.rand(2, 64, 64, 3, generator=drawn()).requires_grad_()
    attributes, _ = frozen_call(auxiliary, x)
    torch.testing.assert_close(attributes, auxiliary(x)[0])
    attributes.square().mul(torch.arange(96)).sum().backward()
    assert x.grad is not None and bool(x.grad.any())
    assert all(p.grad is None for p in auxiliary.parameters())


def test_half_of_the_taus_are_the_papers() -> None:
    tau = drawn_tau(400, drawn())
    assert bool((tau[::2] == FOCUS).all())
    assert float(tau.min()) >= TAUS[0] and float(tau.max()) <= TAUS[1]
    assert float(tau[1::2].std()) > 0.3


def test_training_goes_on_where_it_stopped(known: portraits.KnownPortraits, tmp_path: Path) -> None:
    short = Learning(2, 2, 1e-3)
    nerf = train_generator(known, ParametricNerf(), tmp_path, short, progress=False)
    parser = train_parser(known, tmp_path, short, progress=False)
    some = of_portraits(known)

    def learned() -> Networks:
        torch.manual_seed(5)
        made = Networks(nerf, parser)
        train_inversion(some, made, tmp_path, short, progress=False)
        train_stage_1(some, made, tmp_path, Learning(3, 2, 1e-3), progress=False)
        train_stage_2(some, made, tmp_path, short, progress=False)
        return made

    first = learned()
    second = learned()  # nothing is left to do
    for a, b in zip(first.mapper.parameters(), second.mapper.parameters(), strict=True):
        assert torch.equal(a, b)
    system = Aware3d(second)
    one, two = (system(known.rgb(), 1.5, drawn(seed)) for seed in (0, 1))
    assert one.shape == (4, 64, 64, 3) and torch.equal(one, two)  # nothing is drawn
    save_parts(tmp_path / "all.safetensors", vars(second), {})
    assert (tmp_path / "all.safetensors").stat().st_size <= MOST


# The whole ----------------------------------------------------------------------------------------


def test_a_group_shares_one_identity(networks: Networks, known: portraits.KnownPortraits) -> None:
    system, rgb = Aware3d(networks), known.rgb()
    w, _ = system.codes(rgb, 1.5, group=True)
    mean = F.normalize(examples.vectors(rgb).mean(0, keepdim=True), dim=1)
    attributes, _ = networks.auxiliary(rgb[2:3])
    wanted = networks.mapper(mean, attributes, torch.tensor([1.5]))
    torch.testing.assert_close(w[2:3], wanted, atol=1e-5, rtol=1e-4)
    alone, _ = system.codes(rgb[2:3], 1.5)
    assert not torch.allclose(alone, wanted, atol=1e-5)
    torch.testing.assert_close(
        system(rgb[:1], 1.5, drawn()), system(rgb[:1], 1.5, drawn(), group=True)
    )


def test_hair_and_background_are_put_back(
    networks: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = torch.full((64, 64), 1)
    labels[:8], labels[8:16] = BACKGROUND, HAIR
    after = labels.roll(-4, 0)  # the new head reaches four pixels further up
    answers = iter([labels, after] * 2)

    def parse(x: Tensor) -> Tensor:
        return F.one_hot(next(answers), 9).movedim(-1, 0)[None].expand(len(x), -1, -1, -1).float()

    monkeypatch.setattr(networks.parser, "forward", parse)
    X, made = torch.zeros(1, 64, 64, 3), torch.ones(1, 64, 64, 3)
    kept = Aware3d(networks).composited(X, made)[0, :, 0, 0]
    assert not kept[:4].any() and kept[4:8].all() and not kept[8:16].any() and kept[16:60].all()
    bare = Aware3d(networks, keep_hair=False).composited(X, made)[0, :, 0, 0]
    assert not bare[:4].any() and bare[4:60].all()


def test_views_of_one_code_and_bad_input(
    networks: Networks, known: portraits.KnownPortraits
) -> None:
    system, rgb = Aware3d(networks), known.rgb()
    pose = torch.zeros(3, 6)
    pose[:, 0] = torch.tensor([0.0, 0.5, 0.0])
    views = system.multi_view(rgb[0], pose, 1.5)
    assert views.shape == (3, 64, 64, 3) and torch.allclose(views[0], views[2], atol=1e-6)
    assert not torch.allclose(views[0], views[1], atol=1e-6)
    for call in (
        lambda: system(rgb, 9.0, drawn()),
        lambda: system(rgb, float("nan"), drawn()),
        lambda: system(rgb[:, :32], 1.5, drawn()),
        lambda: system.multi_view(rgb[0], torch.zeros(3, 5), 1.5),
        lambda: system.multi_view(rgb[0], torch.full((1, 6), float("inf")), 1.5),
        lambda: system.multi_view(rgb[0], pose, 0.0),
    ):
        with pytest.raises(LabError, match="aware3d"):
            call()
    assert system(rgb[:0], 1.5, drawn()).shape == (0, 64, 64, 3)


def test_the_shipped_system_changes_people_and_keeps_their_pose(
    known: portraits.KnownPortraits,
) -> None:
    """Loose bounds: figures are the study's."""
    from benchmarks.studies.deid import utility
    from privhead_nb.deid.aware3d import deidentifier
    from privhead_nb.lab.recognisers import stored

    system, rgb = deidentifier(), known.rgb()
    made = {tau: system(rgb, tau, drawn()) for tau in (0.5, 1.5)}
    eyes, others = stored.recogniser("arcface_cnn"), stored.recogniser("triplet_cnn")
    for looks in (eyes, others):
        near, far = (
            float((looks.embed(x)[0] - looks.embed(rgb)[0]).norm(dim=1).mean())
            for x in made.values()
        )
        assert far > near
    pose, _ = utility.pose_and_expression(made[1.5])
    before, _ = utility.pose_and_expression(rgb)
    assert float((pose - before).abs().mean()) < 10
    assert path_of("aware3d").stat().st_size <= MOST
