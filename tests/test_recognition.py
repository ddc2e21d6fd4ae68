"""The shipped recognisers: what they learned, how they are kept, and that they know people."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks.studies import recogniser as training
from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.lab import faces
from privhead_nb.lab.protocol import compare, identification
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers import stored as shelf
from privhead_nb.lab.recognisers.learn import (
    Learning,
    protecting,
    train_network,
    train_projection,
)
from privhead_nb.lab.recognisers.network import ArcFace, FaceNetwork, batch_hard
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import stored_faces

PEOPLE = 6


@pytest.fixture(scope="module")
def strangers() -> faces.FaceDataset:
    """The first people of the evaluation group, whose portraits lesson 09 has stored."""
    stored, first = stored_faces.load(), faces.people("evaluation", PEOPLE)
    return stored.only(torch.isin(stored.identity, torch.tensor(first)))


def toy_album(people: int = 8, each: int = 4) -> faces.FaceDataset:
    """Coloured noise instead of heads: a person is a pattern, a portrait a noisy copy."""
    random = torch.Generator().manual_seed(0)
    patterns = torch.rand(people, 8, 8, 3, generator=random)
    who = torch.arange(people).repeat_interleave(each)
    smooth = torch.nn.functional.interpolate(patterns[who].movedim(-1, 1), size=(64, 64))
    noisy = smooth.movedim(1, -1) + 0.1 * torch.rand(len(who), 64, 64, 3, generator=random)
    noisy = noisy.clamp(0, 1)
    return faces.FaceDataset.of_pictures(who, torch.ones_like(who), noisy.mul(255).byte())


@pytest.mark.parametrize("name", shelf.NAMES)
def test_each_shipped_recogniser_is_small_and_knows_strangers_again(name, strangers):
    assert (resources.WEIGHTS / f"{name}.safetensors").stat().st_size < 1_000_000
    one = shelf.recogniser(name)
    assert "recogniser" in one.note
    gallery, probes = strangers.frontals(), strangers.views()
    vectors, made = one.embed(probes.rgb())
    known, _ = one.embed(gallery.rgb())
    assert bool(made.all()) and torch.allclose(vectors.norm(dim=1), torch.ones(len(probes)))
    scores = compare(vectors, probes.identity, known, gallery.identity, made)
    assert identification(scores, ranks=(1,), resamples=10).rank[1].value > 3 / PEOPLE


def test_the_stored_figures_have_intervals_and_the_networks_reach_the_goal():
    found = json.loads(training.RESULTS.read_text())
    assert (found["generator"], found["people"], found["probes"]) == (1, 100, 800)
    for name in shelf.NAMES:
        assert set(faces.VARIANTS) <= set(found[name]) and found[name]["seconds"] > 0
        value, low, high = found[name]["whole"]["rank1"]
        assert low <= value <= high and (value >= 0.95 or name.endswith("_lda"))


def test_arcface_is_softmax_without_a_margin_and_harder_with_one():
    torch.manual_seed(0)
    head, vectors, who = ArcFace(5), torch.randn(7, 64), torch.arange(7) % 5
    unit = torch.nn.functional.normalize
    plain = torch.nn.functional.cross_entropy(
        head.scale * unit(vectors, dim=1) @ unit(head.centres, dim=1).T, who
    )
    assert torch.isclose(head(vectors, who), plain, atol=1e-4)
    head.margin = 0.3
    assert head(vectors, who) > plain


def test_hard_triplets_fall_when_people_stand_apart():
    who = torch.tensor([0, 0, 1, 1])
    apart = torch.tensor([[1.0, 0.0], [1.0, 0.1], [-1.0, 0.0], [-1.0, 0.1]])
    mixed = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.1], [-1.0, 0.1]])
    assert batch_hard(apart, who) < 1e-3 < 1 < batch_hard(mixed, who)


@pytest.mark.parametrize("operator", [None, Operator(noise=0.02)])
@pytest.mark.parametrize("loss", ["arcface", "triplet"])
def test_a_network_learns_a_toy_and_the_same_seed_gives_the_same_network(loss, operator):
    album = toy_album()
    learning = Learning(loss, epochs=8, batch=16, rate=3e-3)
    protect = operator and protecting(operator)
    one, two = (train_network(album, learning, protect=protect) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    channels = next(one.parameters()).shape[1]
    assert channels == (3 if operator is None else 1)


@pytest.mark.parametrize("kind", ["hog", "pixels"])
def test_a_projection_parts_toy_people_and_is_kept(kind, tmp_path):
    album = toy_album()
    model = train_projection(album, kind)
    training.save("toy", model, {"note": "a toy"}, tmp_path / "toy.safetensors")
    vectors, _ = shelf.load(tmp_path / "toy.safetensors").embed(album.rgb())
    assert torch.allclose(vectors, Recogniser("toy", model).embed(album.rgb())[0], atol=1e-4)
    alike, same = vectors @ vectors.T, album.identity[:, None] == album.identity
    assert alike[same].mean() > alike[~same].mean() + 0.3


def test_a_network_is_kept_in_half_precision(tmp_path):
    torch.manual_seed(0)
    network, pictures = FaceNetwork().eval(), torch.rand(3, 64, 64, 3)
    training.save("net", network, {}, tmp_path / "net.safetensors")
    one, _ = shelf.load(tmp_path / "net.safetensors").embed(pictures)
    assert torch.allclose(one, shelf.of_network("net", network).embed(pictures)[0], atol=2e-2)


def test_wrong_input_is_named():
    with pytest.raises(LabError, match="arcface_cnn"):
        shelf.recogniser("facenet")
    with pytest.raises(LabError, match="square"):
        Recogniser("x", lambda p: p).embed(torch.rand(2, 64, 32, 3))
    nothing = Recogniser("blind", lambda p: torch.zeros(len(p), 4))
    assert not bool(nothing.embed(torch.rand(2, 64, 64, 3))[1].any())
