"""Claims about G2Face: equations, the hidden payload, training, and the whole system."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.studies.deid import g2face_losses as losses
from benchmarks.studies.deid import g2face_training as train
from benchmarks.studies.deid import portraits
from benchmarks.studies.deid.learning import MOST, Learning
from privhead_nb.deid.g2face import (
    G2Face,
    deidentifier,
    identity,
    manipulate,
    payload,
)
from privhead_nb.deid.ideudemon.codes import CoarseRegressor, Codes
from privhead_nb.deid.stored import path_of
from privhead_nb.errors import LabError


@pytest.fixture(scope="module")
def known() -> portraits.KnownPortraits:
    """Two more people, two pictures each."""
    return portraits.known_portraits((62_000, 62_001), views=2)


@pytest.fixture(scope="module")
def rgb() -> Tensor:
    """Six portraits of three people who are nobody's."""
    return portraits.known_portraits((61_000, 61_001, 61_002), views=2).rgb()


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def vectors(count: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(count, 64, generator=drawn(seed)), dim=1)


# Payload ------------------------------------------------------------------------------------------


def test_a_payload_comes_back_and_is_the_papers_size() -> None:
    who = vectors(20)
    bits = payload.written(who, drawn())
    assert bits.shape == (20, 1024) and set(bits.unique().tolist()) == {0.0, 1.0}
    again, right = payload.read(bits)
    assert all(right)
    torch.testing.assert_close(again, payload.coarse(who), atol=1e-6, rtol=0)
    assert float((again * who).sum(1).min()) > 0.985
    assert 0.45 < float(bits.mean()) < 0.55
    logits = torch.where(bits > 0, 1.7, -0.2)
    assert all(payload.read(logits)[1])


def test_a_few_wrong_bits_are_mended_and_many_are_noticed() -> None:
    bits = payload.written(vectors(50), drawn())
    few = (torch.rand(bits.shape, generator=drawn(1)) < 1e-3).float()
    many = (torch.rand(bits.shape, generator=drawn(1)) < 0.2).float()
    assert sum(payload.read((bits - few).abs())[1]) >= 48
    assert sum(payload.read((bits - many).abs())[1]) == 0


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(LabError, match="passphrase: is empty"):
        payload.written(vectors(1), drawn(), "")


def test_another_key_opens_nothing() -> None:
    who = vectors(20)
    bits = payload.written(who, drawn(), "a long passphrase")
    right, wrong, public = (payload.read(bits, key) for key in ("a long passphrase", "b", None))
    assert all(right[1]) and not any(wrong[1]) and not any(public[1])
    assert float((public[0] * who).sum(1).abs().mean()) < 0.3  # what an outsider reads is noise
    assert not any(payload.read(torch.randint(2, (20, 1024), generator=drawn(3)).float())[1])
    same = payload.written(who[:1].expand(2, -1), drawn(), "a")
    assert not torch.equal(same[0], same[1])  # the nonce differs


# Equations ----------------------------------------------------------------------------------------


def test_feature_fusion_is_equations_6_to_8() -> None:
    torch.manual_seed(0)
    for side in (8, 64):
        fuse = manipulate.FeatureFusion(5, side)
        generated, original = (torch.randn(2, 5, side, side) for _ in range(2))
        bits = torch.randint(2, (2, 1024), generator=drawn()).float()
        grid = min(side, 32)
        password = (2 * bits - 1).reshape(2, 1024 // grid**2, grid, grid)
        if side > grid:
            password = password.repeat_interleave(2, 2).repeat_interleave(2, 3)
        hidden = fuse.hide(password)
        mask = torch.sigmoid(fuse.mask(torch.cat([generated, original, hidden], 1)))
        wanted = mask * generated + (1 - mask) * original + hidden
        made, found = fuse(generated, original, bits)
        torch.testing.assert_close(made, wanted)
        torch.testing.assert_close(found, mask)


def test_a_style_convolution_is_stylegan2s() -> None:
    """Weights scaled by the style, and each output's brought to unit length, picture by picture."""
    torch.manual_seed(0)
    layer = manipulate.StyleConvolution(4, 3)
    x, latent = torch.randn(2, 4, 6, 6), torch.randn(2, manipulate.STYLE)
    made = layer(x, latent)
    for k in range(2):
        weight = layer.weight * (1 + layer.style(latent))[k][None, :, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).add(1e-8).sqrt()
        wanted = F.leaky_relu(F.conv2d(x[k : k + 1], weight, layer.bias, padding=1), 0.2)
        torch.testing.assert_close(made[k : k + 1], wanted, atol=1e-5, rtol=1e-4)


def test_losses_are_the_papers() -> None:
    """Eq. 12 to 16, 19 and 21."""
    made, own, dummy = vectors(4, 0), vectors(4, 1), vectors(4, 2)
    wanted = torch.stack([max(float(a @ b), 0) + 1 - a @ c
                          for a, b, c in zip(made, own, dummy, strict=True)]).mean()  # fmt: skip
    torch.testing.assert_close(losses.anonymous_identity_loss(made, own, dummy), wanted)
    torch.testing.assert_close(
        losses.recovered_identity_loss(made, own), 1 - (made * own).sum(1).mean()
    )
    assert float(losses.diversity_loss(dummy[:1].expand(3, -1))) == pytest.approx(1, abs=1e-5)
    assert float(losses.diversity_loss(torch.eye(64)[:3])) == 0
    logits = torch.tensor([0.5, -2.0])
    torch.testing.assert_close(
        losses.adversarial_loss(logits), torch.log1p(torch.exp(-logits)).mean()
    )
    bits = torch.tensor([[1.0, 0.0]])
    p = torch.sigmoid(logits)
    torch.testing.assert_close(
        losses.hiding_loss(logits[None], bits), -(p[0].log() + (1 - p[1]).log()) / 2
    )


def test_rounding_has_a_gradient_and_rounds() -> None:
    x = torch.rand(2, 4, 4, 3, generator=drawn(), requires_grad=True)
    made = losses.as_saved(x, 0.0, drawn())
    torch.testing.assert_close(made * 255, (x * 255).round(), atol=1e-4, rtol=0)
    made.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.ones_like(x))
    noisy = losses.as_saved(x, 0.01, drawn())
    assert float((noisy - made).detach().std()) == pytest.approx(0.01, rel=0.2)


def test_identity_and_coefficients_stand_side_by_side() -> None:
    flat = torch.arange(131.0)[None] / 131
    z = identity.geometry_aware(vectors(1), Codes.split(flat))
    assert z.shape == (1, 144)
    torch.testing.assert_close(z[0, 64:128], flat[0, :64])
    torch.testing.assert_close(z[0, 138:], flat[0, 125:])
    latents = manipulate.Mapper()(z)
    assert [w.shape for w in latents] == [(1, manipulate.STYLE)] * 5


# Training and the whole ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_batches_of_any_size_have_a_loss(known: portraits.KnownPortraits, count: int) -> None:
    """Fewer rows than one in REHEARSED or STRANGERS are no mean of nothing."""
    parts, critic = train.new_parts(), train.Discriminator(64, 64)
    parts.geometry.eval().requires_grad_(False)
    some = known.only(torch.arange(count))
    total, made, shares = train.losses_of(
        parts, some, critic, losses.Weights(), drawn(), noisy=False
    )
    total.backward()
    again = count - count // train.REHEARSED
    assert made.shape == (2 * again, 64, 64, 3)  # anonymised, and recovered
    assert all(bool(x.isfinite()) and not x.requires_grad for x in shares.values())
    slopes = [p.grad for p in parts.manipulator.parameters() if p.grad is not None]
    assert bool(total.isfinite()) and slopes and all(bool(s.isfinite().all()) for s in slopes)


def test_training_goes_on_where_it_stopped(
    tmp_path: Path, rgb: Tensor, known: portraits.KnownPortraits
) -> None:
    few = Learning(2, 4, 1e-3)
    how = train.Training(face_model=few, population=few, prior=few, joint=few)
    torch.manual_seed(5)
    codes = CoarseRegressor().eval()
    one, two = (train.train(codes, known, tmp_path, how, progress=False) for _ in range(2))
    for a, b in zip(one.manipulator.parameters(), two.manipulator.parameters(), strict=True):
        assert torch.equal(a, b)
    system = G2Face(one)
    first, again, other = (system(rgb, 1.0, drawn(seed)) for seed in (0, 0, 1))
    assert first.shape == rgb.shape and torch.equal(first, again)
    assert not torch.equal(first, other)
    together = system.recover(first)
    assert all(one.picture is None and "passphrase" in one.why for one in together)
    with pytest.raises(LabError, match="g2face: strength"):
        system(rgb, 1.5, drawn())


def test_the_shipped_system_takes_a_saved_picture_back(rgb: Tensor) -> None:
    """Loose bounds: figures are the study's."""
    system = deidentifier()
    hidden = (system.anonymise(rgb, 1.0, drawn(), passphrase="right") * 255).round() / 255
    back = system.recover(hidden, "right")
    assert sum(one.picture is not None for one in back) >= 5
    made = torch.stack([one.picture for one in back if one.picture is not None])
    kept = torch.stack([x for x, one in zip(rgb, back, strict=True) if one.picture is not None])
    assert float(-10 * (made - kept).square().mean().log10()) > 18
    for key in ("wrong", None):
        assert all(one.picture is None for one in system.recover(hidden, key))
    together = system.anonymise(rgb[:2], 1.0, drawn(), passphrase="right", group=True)
    assert not torch.equal(together, system.anonymise(rgb[:2], 1.0, drawn(), passphrase="right"))
    assert all(one.picture is None for one in system.recover(rgb, "right"))
    assert path_of("g2face").stat().st_size <= MOST
