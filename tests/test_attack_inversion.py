"""Claims about learned inversion."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.lab.albums import Album
from privhead_nb.lab.attacks.identify import in_batches
from privhead_nb.lab.attacks.learned_inversion import (
    DEFAULT,
    SMALL,
    Inverter,
    UNet,
    attack_of,
    shown,
    train_inversion,
)
from privhead_nb.lab.protocol import Rate, compare, identification
from privhead_nb.lab.recognition import Recogniser, head_crop
from privhead_nb.lab.recognition.network import FaceNetwork
from privhead_nb.privacy.operators import Operator

FACES = resources.RESULTS / "faces.safetensors"


def album(people: range) -> Album:
    """Made heads from the front, in two lights: the second light plays the gallery."""
    front = load_file(FACES)["front"][list(people)]
    P, L, H = front.shape[:3]
    return Album(
        identity=torch.tensor(list(people)).repeat_interleave(L),
        role=torch.tensor([1, 0]).repeat(P),
        yaw=torch.zeros(P * L),
        pictures=front.flatten(0, 1)[:, None].expand(-1, 3, -1, -1, -1).contiguous(),
        masks=torch.zeros(P * L, H, H, dtype=torch.uint8),
        normals=torch.zeros(P * L, H, H, 3, dtype=torch.int8),
    )


def eyes() -> FaceNetwork:
    """The attacker's recogniser; untrained, its features are random, and good enough here."""
    torch.manual_seed(0)
    return FaceNetwork(3).eval()


def pixels() -> Recogniser:
    """A scoring recogniser that has learned nothing: the head's colours, mean removed."""

    def embed(pictures: Tensor) -> Tensor:
        flat = head_crop(pictures).flatten(1)
        return flat - flat.mean(1, keepdim=True)

    return Recogniser("pixels", embed)


@pytest.fixture(scope="module")
def known() -> Album:
    return album(range(16))


@pytest.fixture(scope="module")
def unknown() -> Album:
    return album(range(16, 24))


@pytest.fixture(scope="module")
def of_grey(known: Album) -> Inverter:
    return train_inversion(known, None, replace(SMALL, steps=60), eyes=eyes())


@pytest.fixture(scope="module")
def of_moduli(known: Album) -> Inverter:
    return train_inversion(known, Operator(noise=0.02), SMALL, size=32, eyes=eyes())


def found(inverter: Inverter, tested: Album, *, shuffled: bool = False) -> Rate:
    """Rank-1 of one light against the same people in the same light, chance 1 / 8."""
    attack = attack_of(inverter, pixels())
    colours = tested.views()
    random = torch.Generator().manual_seed(2)
    probes = shown(colours.rgb(), inverter.operator, inverter.size, random)
    names = colours.identity
    if shuffled:
        names = names[torch.randperm(len(names), generator=random)]
    scores = compare(
        in_batches(attack.probe, probes),
        colours.identity,
        in_batches(attack.enrol, colours.rgb()),
        names,
    )
    return identification(scores, resamples=200).rank[1]


def error(guess: Tensor, truth: Tensor) -> float:
    return float((guess - truth).abs().mean())


def test_positive_control_grey_pictures_get_their_colours_back(
    of_grey: Inverter, unknown: Album
) -> None:
    truth = unknown.rgb()
    grey = shown(truth, None, 64)
    assert error(of_grey(grey), truth) < error(truth.mean(0).expand_as(truth), truth)
    assert found(of_grey, unknown).value >= 0.75  # chance is 1 / 8
    assert of_grey.card.knowledge == "a grey picture"


def test_null_control_with_shuffled_names_there_is_chance(
    of_grey: Inverter, unknown: Album
) -> None:
    rate = found(of_grey, unknown, shuffled=True)
    assert rate.low <= 1 / 8 <= rate.high


def test_moduli_become_a_face_nearer_to_the_truth_than_the_mean_face(
    of_moduli: Inverter, known: Album, unknown: Album
) -> None:
    truth = unknown.rgb()
    given = shown(truth, of_moduli.operator, 32, torch.Generator().manual_seed(1))
    guess = of_moduli(given)
    assert guess.shape == (len(unknown), 64, 64, 3)
    assert float(guess.min()) >= 0 and float(guess.max()) <= 1
    assert error(guess, truth) < error(known.rgb().mean(0).expand_as(truth), truth)


def test_training_repeats(known: Album) -> None:
    brief = replace(SMALL, steps=2)
    one, two = (
        train_inversion(known, Operator(noise=0.1), brief, eyes=eyes()).network for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_the_attackers_own_recogniser_is_trained_where_none_is_given(known: Album) -> None:
    made = train_inversion(known, Operator(levels=4), replace(SMALL, steps=1))
    assert made(torch.zeros(1, 64, 64)).shape == (1, 64, 64, 3)
    assert made.card.data == "32 portraits of 16 other people"


def test_the_scoring_recogniser_is_left_as_it_is(known: Album) -> None:
    looking = eyes()
    before = [p.clone() for p in looking.parameters()]
    train_inversion(known, Operator(), replace(SMALL, steps=2), eyes=looking)
    assert all(torch.equal(a, b) for a, b in zip(before, looking.parameters(), strict=True))


def test_an_album_of_another_size_is_refused(known: Album) -> None:
    small = replace(known, pictures=known.pictures[:, :, ::2, ::2])
    with pytest.raises(LabError, match="have 32 pixels"):
        train_inversion(small, Operator(), SMALL, eyes=eyes())


def test_the_network_has_the_size_that_its_text_says() -> None:
    assert sum(p.numel() for p in UNet(DEFAULT.width).parameters()) == 352_380
