"""Claims about attacks that guess pictures: learned inversion and the learned decoder."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from front_faces import front_faces, ranks
from pairs import at_chance
from torch import Tensor

from benchmarks.studies.guessed import recognised
from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Attack, decoder
from privhead_nb.lab.attacks.learned_inversion import (
    DEFAULT,
    SMALL,
    Painting,
    UNet,
    learned_inversion,
    shown,
)
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.protocol import Rate
from privhead_nb.lab.recognisers import Recogniser, head_crop
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.privacy.operators import Operator


def eyes() -> FaceNetwork:
    """The attacker's recogniser; untrained, its features are random, and good enough here."""
    torch.manual_seed(0)
    return FaceNetwork(3).eval()


def pixels(pictures: Tensor) -> Tensor:
    """A scoring recogniser that has learned nothing: the head's colours, mean removed."""
    flat = head_crop(pictures).flatten(1)
    return flat - flat.mean(1, keepdim=True)


JUDGE = Recogniser("pixels", pixels)


def inversion(
    known: FaceDataset, operator: Operator | None, settings: Painting = SMALL, size: int = 64
) -> Attack:
    return learned_inversion(known, operator, JUDGE, settings, size=size, eyes=eyes())


@pytest.fixture(scope="module")
def known() -> FaceDataset:
    return front_faces(range(16))


@pytest.fixture(scope="module")
def unknown() -> FaceDataset:
    return front_faces(range(16, 24))


@pytest.fixture(scope="module")
def of_grey(known: FaceDataset) -> Attack:
    return inversion(known, None, replace(SMALL, steps=60))


def found(attack: Attack, tested: FaceDataset, *, shuffled: bool = False) -> Rate:
    """Rank-1 of grey pictures of one light against the same people's colours, chance 1 / 8."""
    views = tested.views()
    greys = replace(attack, probe=lambda x: attack.probe(shown(x, None, 64)))
    both = [replace(views, role=torch.full_like(views.role, role)) for role in (0, 1)]
    return ranks(greys, FaceDataset.join(both), shuffled=shuffled).rank[1]


def error(guess: Tensor, truth: Tensor) -> float:
    return float((guess - truth).abs().mean())


def test_positive_control_grey_pictures_get_their_colours_back(of_grey, unknown):
    truth = unknown.rgb()
    guess = of_grey.picture(shown(truth, None, 64))
    assert error(guess, truth) < error(truth.mean(0).expand_as(truth), truth)
    assert found(of_grey, unknown).value >= 0.75  # chance is 1 / 8
    assert at_chance(found(of_grey, unknown, shuffled=True), 1 / 8)
    assert of_grey.card.knowledge == "a grey picture"


def test_moduli_become_a_face_nearer_to_the_truth_than_the_mean_face(known, unknown):
    truth, operator = unknown.rgb(), Operator(noise=0.02)
    attack = inversion(known, operator, size=32)
    guess = attack.picture(shown(truth, operator, 32, torch.Generator().manual_seed(1)))
    assert guess.shape == (len(unknown), 64, 64, 3)
    assert float(guess.min()) >= 0 and float(guess.max()) <= 1
    assert error(guess, truth) < error(known.rgb().mean(0).expand_as(truth), truth)


def test_training_repeats_and_leaves_the_attackers_recogniser_as_it_is(known):
    looking = eyes()
    before = [p.clone() for p in looking.parameters()]
    brief, guesses = replace(SMALL, steps=2), []
    for _ in range(2):
        attack = learned_inversion(known, Operator(noise=0.1), JUDGE, brief, eyes=looking)
        guesses.append(attack.picture(torch.linspace(0, 1, 4096).reshape(1, 64, 64)))
    assert torch.equal(*guesses)
    assert all(torch.equal(a, b) for a, b in zip(before, looking.parameters(), strict=True))


def test_the_attackers_own_recogniser_is_trained_where_none_is_given(known):
    made = learned_inversion(known, Operator(levels=4), JUDGE, replace(SMALL, steps=1))
    assert made.probe(torch.zeros(1, 64, 64)).shape[0] == 1
    assert made.card.data == "32 portraits of 16 other people"
    assert sum(p.numel() for p in UNet(DEFAULT.width).parameters()) == 352_380  # as it says
    small = replace(known, pictures=known.pictures[:, :, ::2, ::2])
    with pytest.raises(LabError, match="have 32 pixels"):
        inversion(small, Operator())


# The decoder --------------------------------------------------------------------------------------


def toy_faces(people: range, size: int = 16) -> FaceDataset:
    """Three soft-coloured "portraits" a person in front of white."""
    pictures, turns = [], (-6.0, 0.0, 6.0)
    y, x = torch.meshgrid(*(2 * [torch.linspace(-1, 1, size)]), indexing="ij")
    for person in people:
        random = torch.Generator().manual_seed(person)
        knots = torch.rand(1, 3, 3, 3, generator=random)
        soft = torch.nn.functional.interpolate(knots, size=(size, size), mode="bicubic")[0].movedim(
            0, -1
        )
        for turn in turns:
            oval = torch.sigmoid(8 * (0.8 - ((x - turn / 60) ** 2 + y**2).sqrt()))[..., None]
            pictures.append((1 - oval * (0.2 + 0.6 * soft.clamp(0, 1))).mul(255).byte())
    who = torch.tensor(list(people)).repeat_interleave(3)
    made = FaceDataset.of_pictures(who, torch.ones_like(who), torch.stack(pictures))
    return replace(made, yaw=torch.tensor(turns).repeat(len(people)))


def test_a_decoder_finds_people_it_never_saw_and_none_in_noise():
    learned = toy_faces(range(60))
    made, mean = decoder.learn(learned, components=30), learned.rgb().mean(0)
    others = toy_faces(range(100, 112))
    truth, operator = others.rgb()[1::3], Operator()
    who = others.identity[1::3]
    gallery = others.only(torch.arange(0, len(others), 3))
    judge = Recogniser("pixels", lambda x: (x - mean).flatten(1))
    how = decoder.Descent(steps=300)
    control, misfit = decoder.decode(made, operator, truth, how, colours=True)
    assert float(misfit.max()) < 0.1
    rates = recognised(control, who, gallery, [judge])["pixels"]
    assert rates["right"]["rank1"][0] > 0.9
    assert rates["shuffled"]["rank1"][0] <= 0.1
    attack = decoder.attack(made, judge, operator, how)
    moduli = operator.protect(truth)
    guess = attack.picture(moduli)
    off = (operator.modulus(guess) - moduli).square().mean()
    assert float(off) < 0.02 * float(moduli.square().mean())
    rates = recognised(guess, who, gallery, [judge])["pixels"]
    assert rates["right"]["rank1"][0] > 0.4 > 3 * rates["chance"]["rank1"]
    assert rates["shuffled"]["rank1"][0] <= 0.1
    random = torch.Generator().manual_seed(5)
    noise = operator.protect(torch.rand(2, 16, 16, 3, generator=random))
    assert float(decoder.decode(made, operator, noise, how)[1].min()) > 0.3
    assert attack.probe(moduli[:2]).shape == attack.enrol(truth[:2]).shape


def test_a_decoder_refuses_other_sizes_and_few_portraits():
    made, two = decoder.learn(toy_faces(range(8)), components=4), toy_faces(range(2))
    alone = two.only(two.identity == 0)
    for words, refuse in (
        ("16 x 16", lambda: decoder.decode(made, Operator(), torch.zeros(1, 32, 32))),
        ("3 portraits", lambda: decoder.learn(alone)),
        ("one person", lambda: recognised(alone.rgb(), alone.identity, two, [])),
    ):
        with pytest.raises(LabError, match=words):
            refuse()
