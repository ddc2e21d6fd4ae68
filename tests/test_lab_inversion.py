"""Claims about the lab's first attacks: one modulus has many pictures, and descent finds a face.

Constructions are checked in float64 to 1e-6 or better; the attack wins its positive control and
loses its null control.
"""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from privhead_nb.lab.attacks import prior_free
from privhead_nb.lab.attacks.prior_free import Descent
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach.lesson06 import multiplicity, scores, surface

SOBEL = Operator()


def portrait(size: int = 24, seed: int = 0) -> Tensor:
    """(size, size, 3) float64: an oval with random soft colours before white."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] / (size - 1) - 0.5
    soft = sum(
        random.uniform(-0.25, 0.25, 3) * np.sin(random.uniform(3, 14) * (a * x + b * y))[..., None]
        for a, b in random.normal(size=(6, 2))
    )
    face = np.clip(0.5 + soft, 0.15, 0.85)
    oval = ((x / 0.3) ** 2 + (y / 0.36) ** 2 < 1)[..., None]
    return torch.from_numpy(np.where(oval, face, 1.0))


# One dimension ------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.05, 0.6), min_size=1, max_size=8))
def test_signals_are_all_that_fit_and_no_others(steps):
    found = multiplicity.signals(np.array(steps))
    assert np.allclose(np.abs(np.diff(found, axis=1)), steps)
    assert found.min() >= -1e-9 and found.max() <= 1 + 1e-9
    signs = np.array(list(itertools.product((1, -1), repeat=len(steps))))
    walks = np.cumsum(np.hstack([np.zeros((len(signs), 1)), signs * steps]), axis=1)
    assert len(found) == (np.ptp(walks, axis=1) <= 1 + 1e-9).sum()


def test_known_ends_leave_fewer_signals_and_the_right_one():
    truth = np.array([1.0, 0.45, 0.6, 0.52, 0.81, 0.3, 0.9, 1.0])
    steps = np.abs(np.diff(truth))
    known: list[dict[str, float]] = [{}, {"first": 1.0}, {"first": 1.0, "last": 1.0}]
    anywhere, first, both = (multiplicity.signals(steps, **ends) for ends in known)
    assert len(anywhere) >= len(first) >= len(both) >= 1
    assert any(np.allclose(row, truth) for row in both)
    for bad, ends, words in (
        (np.zeros(2), {}, "above 0"),
        (np.ones(21), {}, "at most 20"),
        (np.ones(2), {"last": 1.0}, "needs first"),
    ):
        with pytest.raises(ValueError, match=words):
            multiplicity.signals(bad, **ends)


# Two dimensions -----------------------------------------------------------------------------------


def flips(picture: Tensor, operator: Operator) -> Tensor:
    for part in (2, 3, 7):
        picture = multiplicity.flipped(picture, operator, part)
    return picture


@pytest.mark.parametrize("kind", ["sobel", "scharr", "prewitt", "central", "roberts"])
def test_flips_keep_the_modulus_and_the_border_and_change_the_picture(kind):
    operator, picture = Operator(kind), multiplicity.islands(36)
    modulus = operator.modulus(picture)
    assert multiplicity.parts(modulus)[1] == 9
    flipped, again = flips(picture, operator), flips(flips(picture, operator), operator)
    assert float((operator.modulus(flipped) - modulus).abs().max()) < 1e-12
    assert torch.equal(flipped[0], picture[0]) and torch.equal(flipped[:, -1], picture[:, -1])
    assert float((flipped - picture).abs().max()) > 0.3 and multiplicity.in_range(flipped)
    assert torch.allclose(again, picture)
    ramp = torch.linspace(0, 1, 12, dtype=torch.float64)[None, :, None].expand(12, 12, 3)
    for part, words in ((1, "not surrounded"), (2, "parts 1 to 1")):
        with pytest.raises(ValueError, match=words):
            multiplicity.flipped(ramp, SOBEL, part)


# Colours ------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_every_orthogonal_turn_of_colours_keeps_the_modulus(seed):
    q = multiplicity.random_turn(torch.Generator().manual_seed(seed))
    assert torch.allclose(q @ q.T, torch.eye(3, dtype=torch.float64))
    picture = portrait()
    turned = multiplicity.recoloured(picture, q)
    assert float((SOBEL.modulus(turned) - SOBEL.modulus(picture)).abs().max()) < 1e-12


def test_a_turn_about_grey_keeps_greys_and_turns_colours():
    q, red = multiplicity.turn(120), torch.eye(3, dtype=torch.float64)[0]
    grey = torch.ones(3, dtype=torch.float64)
    assert torch.allclose(q @ grey, grey) and torch.allclose(q @ red, red.roll(1))
    assert float((multiplicity.recoloured(portrait(), q) - portrait()).abs().max()) > 0.1


def test_stripes_are_unseen_by_sobel_alone_and_all_that_is_unseen_is_counted():
    random, plain = torch.Generator().manual_seed(1), portrait(20)[:18]
    rows, columns = (torch.rand(n, generator=random) for n in (20, 18))
    striped = plain + 0.2 * multiplicity.unseen(rows, columns).double()[..., None]
    for kind, seen in (("sobel", False), ("scharr", True)):
        off = (Operator(kind).modulus(striped) - Operator(kind).modulus(plain)).abs().max()
        assert float(off) > 1e-2 if seen else float(off) < 1e-6
    wanted = {"sobel": 10 + 8, "scharr": 4, "prewitt": 4, "central": 4, "roberts": 2}
    for kind, count in wanted.items():
        assert surface.unseen_dimensions(8, 10, Operator(kind)) == count


def test_matrices_are_the_operator():
    picture = portrait(14)[:13]
    x = picture.reshape(-1, 3).numpy()
    for border, blur in itertools.product(("reflect", "replicate", "zero"), (0.0, 0.6)):
        operator = Operator(border=border, blur=blur)
        kx, ky = surface.derivative_matrices(13, 14, operator)
        mine = np.linalg.norm(kx @ x, axis=1) + np.linalg.norm(ky @ x, axis=1)
        assert np.allclose(mine, operator.modulus(picture).reshape(-1), atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_walk_keeps_the_modulus_to_1e_6_and_moves_the_colours(seed):
    picture = portrait(20, seed)
    noise = torch.rand(picture.shape, generator=torch.Generator().manual_seed(seed)).double()
    found = surface.wander(picture, SOBEL, picture + 2 * noise - 1, steps=6)
    off = (SOBEL.modulus(found.picture) - SOBEL.modulus(picture)).abs()
    assert float(off.max()) < 1e-6 and found.residual < 1e-8
    assert found.moved > 0.03 and multiplicity.in_range(found.picture, slack=0)
    assert torch.equal(found.path[0], picture)
    flat = SOBEL.modulus(picture) < 1e-9
    assert torch.equal(found.picture[flat], picture[flat])
    with pytest.raises(ValueError, match="per channel"):
        surface.wander(picture, Operator(per_channel=False), picture)


# Scores -------------------------------------------------------------------------------------------


def test_scores_forgive_what_the_modulus_cannot_tell_and_nothing_else():
    truth, sign, colours = portrait(16), scores.up_to_constant_and_sign, scores.up_to_colours
    grey, q = truth.mean(-1), multiplicity.random_turn(torch.Generator().manual_seed(3))
    where = torch.zeros(16, 16)  # weights leave pixels out
    where[3:9, 3:9] = 1
    spoilt = torch.where(where[..., None] > 0, truth, 0.0)
    for found, explained in (
        (sign(0.3 - grey, grey), 1),
        (sign(0.5 * grey, grey), 0.75),
        (sign(torch.full_like(grey, 0.2), grey), 0),
        (colours(truth @ q.T + 0.1, truth), 1),
        (colours(0.5 * truth @ q.T, truth), 0.75),
        (colours(spoilt, truth, where), 1),
    ):
        assert found.explained == pytest.approx(explained)
    found = colours(truth @ q.T + 0.1, truth)
    assert torch.allclose(found.picture, truth) and found.error == pytest.approx(0, abs=1e-9)
    with pytest.raises(ValueError, match="the guess is"):
        colours(truth[:-1], truth)


def test_no_turn_does_better_than_the_best_one():
    random = torch.Generator().manual_seed(4)
    guess, truth = torch.rand(2, 9, 8, 3, generator=random).double()
    weights = torch.rand(9, 8, generator=random).double()
    best = scores.up_to_colours(guess, truth, weights).error
    for _ in range(50):
        turned = guess @ multiplicity.random_turn(random).T
        shift = (weights[..., None] * (truth - turned)).sum((0, 1)) / weights.sum()
        left = (weights[..., None] * (turned + shift - truth) ** 2).sum() / (3 * weights.sum())
        assert float(left.sqrt()) >= best - 1e-12


# The attack ---------------------------------------------------------------------------------------

QUICK = Descent(starts=2, steps=120)


def test_the_smoothed_modulus_is_eq_6_without_smoothing_and_below_it_with():
    pictures = torch.stack([portrait(20), portrait(20, 1)])
    exact = SOBEL.modulus(pictures)
    assert torch.allclose(prior_free.smoothed_modulus(pictures, SOBEL), exact, atol=1e-6)
    smooth = prior_free.smoothed_modulus(pictures, SOBEL, 0.05)
    assert bool((smooth <= exact + 1e-9).all()) and bool((smooth >= exact - 0.1).all())


def test_signed_gradients_give_the_face_away_and_another_modulus_gives_nothing():
    """The positive and the null control."""
    heads = [portrait(seed=seed).float() for seed in (0, 1)]
    moduli = [SOBEL.modulus(head) for head in heads]
    gx, gy = prior_free.signed_gradients(heads[0][None], SOBEL)
    won = prior_free.invert(moduli[0], SOBEL, QUICK, signed=(gx[0], gy[0]))
    lost = prior_free.invert(moduli[1], SOBEL, QUICK)
    where = prior_free.interior(moduli[0], SOBEL, 2)
    assert scores.up_to_colours(won.guess, heads[0], where).explained > 0.9
    assert "positive control" in won.card.attack and "signed" in won.card.knowledge
    assert scores.up_to_colours(lost.guess, heads[0], where).explained < 0.3


def test_the_attack_finds_a_picture_with_nearly_the_released_modulus():
    head = portrait().float()
    released = SOBEL.modulus(head)
    found = prior_free.invert(released, SOBEL, QUICK)
    assert found.residual < 0.1 * float(released.mean())
    assert found.residual == pytest.approx(float(found.residuals.min()))
    off = (SOBEL.modulus(found.guess) - released).abs().mean()
    assert float(off) == pytest.approx(found.residual, rel=1e-3)
    assert found.guess.min() >= 0 and found.guess.max() <= 1
    assert found.card.data == "none" and found.card.cost == "2 starts of 120 steps"


def test_the_same_seed_gives_the_same_guess_and_another_does_not():
    released, short = SOBEL.modulus(portrait(16).float()), Descent(starts=1, steps=3)
    one, two = (prior_free.invert(released, SOBEL, short).guess for _ in range(2))
    other = prior_free.invert(released, SOBEL, dataclasses.replace(short, seed=1)).guess
    assert torch.equal(one, two) and not torch.equal(one, other)
    plain = dataclasses.replace(short, channels=1, background=None)
    found = prior_free.invert(released, SOBEL, plain)  # a grey guess, and an unknown wall
    assert torch.equal(found.guess[..., 0], found.guess[..., 2])
    assert "background" not in found.card.knowledge
    for wrong in ({"starts": 0}, {"steps": 0}, {"channels": 2}):
        with pytest.raises(ValueError, match=r"at least 1|not 1 or 3"):
            Descent(**wrong)


def test_the_flat_border_is_found_with_noise_too():
    head = portrait(32)
    plain = prior_free.flat_border(SOBEL.modulus(head), SOBEL)
    assert bool(plain[0, 0]) and not bool(plain[16, 16])
    noisy = SOBEL.with_noise(0.02)
    released = noisy.protect(head.float(), torch.Generator().manual_seed(0))
    seen = prior_free.flat_border(released, noisy)
    assert bool(seen[0, 0]) and not bool(seen[16, 16])
    assert float((plain & ~seen).sum()) < 0.4 * float(plain.sum())


def test_the_expected_release_is_the_mean_over_the_noise():
    operator = Operator(noise=0.05)
    modulus = torch.tensor([0.0, 0.02, 0.1, 0.5]).expand(40000, 4)
    mean = operator.degrade(modulus, torch.Generator().manual_seed(0)).mean(0)
    assert torch.allclose(prior_free.expected(modulus[0], operator), mean, atol=2e-3)
    assert torch.equal(prior_free.expected(modulus, SOBEL), modulus)
    rounded, exact = SOBEL.quantised(8), SOBEL.modulus(portrait())  # half a level is forgiven
    off = (rounded.degrade(exact) - exact).abs().max()
    assert float(off) <= prior_free.rounding(rounded) + 1e-9
    assert prior_free.rounding(SOBEL) == 0
