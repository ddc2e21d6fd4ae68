"""The candidates of `benchmarks/studies/defence.py` are what they say, and so is what is stored."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from benchmarks.studies import defence, defence_front
from benchmarks.studies import defence_candidates as tried

CANDIDATES = {c.name: c for c in tried.fixed_candidates()}


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """(4, 64, 64, 3) smooth random colours between 0.1 and 0.9."""
    random = torch.Generator().manual_seed(3)
    rough = torch.rand(4, 3, 9, 9, generator=random)
    smooth = torch.nn.functional.interpolate(rough, size=(64, 64), mode="bicubic").clamp(0, 1)
    return 0.1 + 0.8 * smooth.movedim(1, -1)


def released(name: str, pictures: Tensor, seed: int = 0) -> Tensor:
    return CANDIDATES[name].release(pictures, torch.Generator().manual_seed(seed))


def inner(x: Tensor) -> Tensor:
    """Without the edge, where squares of a picture are not padded."""
    return x[:, 8:-8, 8:-8]


@pytest.mark.parametrize("name", CANDIDATES)
def test_a_square_of_a_picture_measures_as_the_whole_picture_does(
    name: str, pictures: Tensor
) -> None:
    """Training imitates a candidate on squares, so they must give what was released."""
    candidate = CANDIDATES[name]
    if candidate.size != 64:
        pictures = tried.resized(pictures, candidate.size)
    quiet = tried.replace(candidate, spoil=None)
    whole = quiet.release(pictures, torch.Generator())
    r, (top, left, side) = candidate.reach, (10, 13, 9)
    square = pictures[:, top - r : top + side + r, left - r : left + side + r]
    close = (candidate.measure(square) - whole[:, top : top + side, left : left + side]).abs()
    assert close.max() < 1e-4
    assert whole.shape[:3] == (4, candidate.size, candidate.size)


def test_the_default_is_the_papers_operator(pictures: Tensor) -> None:
    torch.testing.assert_close(
        released(tried.DEFAULT, pictures)[..., 0], tried.SOBEL.modulus(pictures)
    )


def test_direction_alone_does_not_know_contrast(pictures: Tensor) -> None:
    before, after = (inner(released("direction", p)) for p in (pictures, 0.3 + 0.2 * pictures))
    assert float((before - after).abs().quantile(0.99)) < 1e-3  # channels may cancel in a point
    assert float((before.norm(dim=-1) - 1).abs().quantile(0.99)) < 1e-3


def left_of_a_gain(name: str, pictures: Tensor) -> float:
    """How much of what half the light does to the default is left, 0 for an invariant."""
    lit, dim = (inner(released(name, p)) for p in (pictures, 0.5 * pictures))
    return float((lit - dim).abs().mean() / lit.abs().mean()) / 0.5


@pytest.mark.parametrize("name", ["log", "homomorphic", "over-contrast"])
def test_normalised_moduli_hardly_know_how_bright_a_picture_is(name: str, pictures: Tensor) -> None:
    assert left_of_a_gain(tried.DEFAULT, pictures) == pytest.approx(1, abs=1e-3)
    assert left_of_a_gain(name, pictures) < 0.5  # not 0: dark pixels are kept from noise


def test_edges_are_zero_or_one_and_know_only_the_threshold(pictures: Tensor) -> None:
    edge, m = released("edges-0.1", pictures), released(tried.DEFAULT, pictures)
    assert set(edge.unique().tolist()) <= {0.0, 1.0}
    assert bool(((m > 0.1) == (edge == 1)).all())


def test_luma_and_red_see_no_other_channel(pictures: Tensor) -> None:
    blue = pictures.clone()
    blue[..., 2] = torch.rand(blue.shape[:3], generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(released("red", blue), released("red", pictures))
    assert not torch.allclose(released("luma", blue), released("luma", pictures), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "per_view"),
    [("noise-0.05", False), ("offset-0.05", True), ("gain-0.5", True),
     ("dither-16", False), ("dither-16-view", True)],
)  # fmt: skip
def test_what_is_drawn_is_drawn_for_each_pixel_or_each_view(
    name: str, per_view: bool, pictures: Tensor
) -> None:
    """Two releases differ; where a view draws one number, pixels of one modulus stay alike."""
    one, two = (released(name, pictures, seed) for seed in (0, 1))
    assert not torch.allclose(one, two)
    ramp = torch.linspace(0, 1, 64)[:, None].expand_as(pictures)  # one modulus everywhere inside
    within = float(inner(released(name, ramp)).flatten(1).std(1).max())
    assert (within < 1e-5) == per_view


def test_noise_is_as_large_as_it_says(pictures: Tensor) -> None:
    off = released("noise-0.02", pictures) - released(tried.DEFAULT, pictures)
    assert float(off.std()) == pytest.approx(0.02, rel=0.1)


def test_dither_is_right_on_average(pictures: Tensor) -> None:
    many = torch.stack([released("dither-16", pictures, seed) for seed in range(200)])
    off = many.mean(0) - released(tried.DEFAULT, pictures)
    assert float(off.abs().mean()) < 0.01  # a step is 0.115


def test_pigment_free_weights_see_shade_and_not_the_pigment() -> None:
    """Two pigments of known colour on grey: their logarithms cancel, light's do not."""
    random = torch.Generator().manual_seed(0)
    amount = 0.5 * torch.rand(8, 64, 64, 2, generator=random)
    absorbs = torch.tensor([[0.45, 0.8, 1.0], [0.1, 1.0, 0.6]])
    flat = torch.full((8, 64, 64, 3), 0.6)
    whole = (flat + tried.DARK) * torch.exp(-amount @ absorbs) - tried.DARK
    weights = torch.tensor(tried.pigment_free(whole, flat, ridge=1e-6))
    assert float(weights.sum()) == pytest.approx(1, abs=1e-3)
    assert float((absorbs @ weights).abs().max()) < 0.02
    one = tried.pigment_free_candidate(whole, flat)
    drawn, plain = (c.release(whole, torch.Generator()) for c in (one, CANDIDATES["log"]))
    assert float(drawn.mean()) < 0.5 * float(plain.mean())


def test_what_is_left_is_the_worst_of_three_figures() -> None:
    def leak(one: float, eight: float, read: float) -> dict[str, object]:
        rates = {"one": {"rank1": [one]}, "together": {"rank1": [eight]}}
        return rates | {"albedo": {"removed": [read]}, "chance": 0.05}

    plain = leak(0.45, 0.85, 0.6)
    assert defence_front.left(plain, plain) == 1
    assert defence_front.left(leak(0.05, 0.05, 0.3), plain) == 0.5
    assert defence_front.left(leak(0.25, 0.05, 0.0), plain) == 0.5
    assert defence_front.left(leak(0.01, 0.01, -0.1), plain) == 0


# What is stored -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored() -> dict:  # type: ignore[type-arg]
    return json.loads(defence.STORED.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_enough_was_tried_each_with_all_figures(stored: dict) -> None:  # type: ignore[type-arg]
    every = stored["candidates"]
    assert tried.DEFAULT in every
    assert len(every) - 1 >= 10
    assert set(CANDIDATES) <= set(every)
    for one in every.values():
        assert {"named", "beyond", "shape", "what"} <= set(one)
        assert one["beyond"]["controls"]["shuffled"][0] < 0.2  # chance is 0.05
    assert every[tried.DEFAULT]["shape"]["chamfer_ratio"] == [1, 1, 1]


def test_the_attack_beyond_shape_wins_on_the_default_and_loses_its_controls(
    stored: dict,  # type: ignore[type-arg]
) -> None:
    plain = stored["finalists"][tried.DEFAULT]["beyond"]
    assert plain["together"]["rank1"][1] > 2 * plain["chance"]  # the interval's lower end
    low, high = plain["controls"]["one_albedo"][1:]
    assert low <= plain["chance"] + 0.05
    assert high < plain["together"]["rank1"][1]


def test_the_verdict_follows_from_the_figures(stored: dict) -> None:  # type: ignore[type-arg]
    assert stored["found"] == defence_front.found(stored)
    assert set(stored["finalists"]) - {tried.DEFAULT} <= set(stored["candidates"])
    assert stored["rule"] == defence_front.RULE
    said = defence_front.verdict(stored)
    assert str(len(stored["candidates"]) - 1) in said
    assert all(name in said for name in stored["found"])
    assert all(name in defence_front.table(stored) for name in stored["candidates"])
