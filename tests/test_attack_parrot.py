"""Claims about recognisers trained on protected images, and about a release's probe embedding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from front_faces import front_faces, ranks
from pairs import at_chance

from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Attack
from privhead_nb.lab.attacks.no_attack import as_grey, no_attack
from privhead_nb.lab.attacks.parrot import (
    classical_parrot,
    informed_parrot,
    network_parrot,
)
from privhead_nb.lab.attacks.probe import fused, in_batches, probe_embedding, views_in_front
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.framing import resized
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers.learn import Learning
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.camera import custom_rig, make_rig

QUICK = Learning("arcface", epochs=75, batch=12, rate=1e-3)
LONGER = Learning("arcface", epochs=60, batch=24, rate=3e-3)  # two networks find one space
WINS = 0.5  # rank-1 among 12 people; chance is 1 / 12, and 6 of 12 by chance 1 in 5,000
"""Networks learn here from 24 portraits in seconds, so a processor's rounding alone moves the
people found by a few. Fewest of 12, over three seeds and torch's oldest kernels
(ATEN_CPU_CAPABILITY=default): plain pictures 8, moduli 11, two stems 10 and 9, informed 10.
With 25 steps, as these tests once had, it was 2 of 12."""


@pytest.fixture(scope="module")
def known() -> FaceDataset:
    return front_faces(range(12))


@pytest.fixture(scope="module")
def unknown() -> FaceDataset:
    return front_faces(range(12, 24))


@pytest.fixture(scope="module")
def cheap(known: FaceDataset) -> Attack:
    return classical_parrot(known, Operator())


def test_positive_control_parrots_find_strangers_in_plain_pictures(known, unknown):
    classical = ranks(classical_parrot(known, None), unknown)
    assert classical.rank[1].value >= WINS and classical.rank[1].low > classical.chance[1]
    network = ranks(network_parrot(known, None, learning=QUICK), unknown)
    assert network.rank[1].low > network.chance[1]


@pytest.mark.parametrize(
    ("operator", "size"),
    [(Operator(), 64), (Operator(), 32), (Operator(), 48), (Operator(noise=0.05), 64)],
    ids=["as released", "32 pixels", "48 pixels", "noise"],
)
def test_the_classical_parrot_finds_people_whom_it_never_saw(known, unknown, operator, size):
    found = ranks(classical_parrot(known, operator, size=size), unknown)
    assert found.rank[1].low > found.chance[1]


def test_null_control_with_shuffled_names_there_is_chance(cheap, unknown):
    is_at_chance(cheap, unknown)


def is_at_chance(attack: Attack, people: FaceDataset) -> None:
    """Under shuffled names; an attack on people whom it learned from must lose there, too."""
    chance = ranks(attack, people, shuffled=True).rank[1]
    assert at_chance(chance, 1 / 12)


def test_the_network_parrot_finds_people_in_moduli(known, unknown):
    attack = network_parrot(known, Operator(), learning=QUICK)
    found = ranks(attack, unknown)
    assert found.rank[1].low > found.chance[1]
    assert attack.card.data == "24 portraits of 12 other people"


@pytest.mark.parametrize("operator", [None, Operator()], ids=["plain", "protected"])
def test_two_stems_bring_moduli_and_colours_to_one_space(known, operator):
    """Of people whom they learned from; a dozen are too few to learn it for all others."""
    size = 64 if operator is None else 32
    attack = network_parrot(known, operator, stems=2, size=size, learning=LONGER)
    assert ranks(attack, known).rank[1].value >= WINS
    is_at_chance(attack, known)


def test_the_informed_parrot_knows_whom_it_learned_and_says_what_it_knew(known):
    how = replace(QUICK, epochs=50, rate=3e-3, codes=20.0)
    attack = informed_parrot(known, Operator(), size=32, learning=how)
    assert attack.size == 32 and "codes of other people" in attack.card.knowledge
    assert ranks(attack, known).rank[1].value >= WINS
    is_at_chance(attack, known)


def test_training_repeats_and_can_go_on_from_a_network(known):
    brief = Learning("arcface", epochs=2, batch=8)
    first, again = (
        network_parrot(known, Operator(noise=0.1), size=16, learning=brief).networks[0]
        for _ in range(2)
    )
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    still = replace(brief, rate=1e-12)
    made = network_parrot(known, Operator(), size=16, learning=still, start=(first,))
    on = made.networks[0]
    assert torch.allclose(on.out.weight, first.out.weight)
    with pytest.raises(LabError, match="show 1 people"):
        network_parrot(known.only(known.identity == 0), Operator())
    with pytest.raises(LabError, match="triplet"):
        network_parrot(known, Operator(), learning=Learning("triplet"))


def test_the_baseline_shows_moduli_as_grey_pictures(unknown):
    def mean(pictures: torch.Tensor) -> torch.Tensor:
        return pictures.mean((1, 2))

    operator, moduli = Operator(), Operator().protect(unknown.rgb())
    white, black = (as_grey(moduli, operator, inverted=i) for i in (False, True))
    assert torch.allclose(white + black, torch.ones_like(white))
    assert black.shape == unknown.rgb().shape and torch.equal(black[..., 0], black[..., 2])
    assert black.min() >= 0 and white.min() >= 0
    attack = no_attack(Recogniser("mean", mean), operator, inverted=True)
    assert torch.allclose(in_batches(attack.probe, moduli).norm(dim=1), torch.ones(len(moduli)))
    assert "inverted" in attack.card.attack and attack.card.data == "none"


# Releases -----------------------------------------------------------------------------------------


def release(person: int, operator: Operator, *, size: int = 64, views: int = 5) -> Release:
    """A release whose views all show the front picture in the first light, noise apart."""
    colours = resized(front_faces([person]).views().rgb(), size)
    cameras, sensitive, neutral = make_rig("facescape", 2, views, size=size)
    random = torch.Generator().manual_seed(8)
    return Release(
        neutral_images=torch.ones(len(neutral), size, size, 3),
        neutral=neutral,
        moduli=operator.protect(colours.expand(len(sensitive), -1, -1, -1), random),
        sensitive=sensitive,
        cameras=cameras,
        masks=None,
        masks_released="none",
        operator=operator,
        size=size,
        center=(0.0, 0.0, 0.0),
        radius=200.0,
    )


def test_a_release_is_named(cheap, unknown):
    gallery = unknown.frontals()
    enrolled = in_batches(cheap.enrol, gallery.rgb())
    found = [
        gallery.identity[(enrolled @ probe_embedding(cheap, release(i, Operator()))).argmax()] == i
        for i in range(12, 24)
    ]
    assert sum(found) >= 6  # chance is 1 of 12


def test_views_within_45_degrees_are_used_and_their_mean_is_steadier_than_one():
    one = release(12, Operator(), views=5)
    eyes = one.cameras.centers[list(one.sensitive)]
    yaw = torch.rad2deg(torch.atan2(eyes[:, 0], eyes[:, 2])).abs()
    assert views_in_front(one) == (yaw <= 45).nonzero()[:, 0].tolist()
    assert 0 < len(views_in_front(one)) < 5
    with pytest.raises(LabError, match="no sensitive view is within 45"):
        views_in_front(replace(one, front="-z"))
    true = torch.nn.functional.normalize(torch.arange(1.0, 65.0), dim=0)
    views = true + 0.3 * torch.randn(9, 64, generator=torch.Generator().manual_seed(0))
    single = torch.nn.functional.normalize(views, dim=1) @ true
    assert float(fused(views) @ true) > float(single.max())
    assert float(fused(views).norm()) == pytest.approx(1.0)


def test_a_nearer_camera_is_brought_to_a_portraits_frame(cheap):
    one = release(12, Operator())
    near = replace(one, cameras=make_rig("facescape", 2, 5, distance=600.0)[0])
    same, other = probe_embedding(cheap, one), probe_embedding(cheap, near)
    assert float(same @ other) < 0.999
    metres = replace(near, unit="m")  # of unknown scale: taken as it is
    assert torch.allclose(probe_embedding(cheap, metres), same)


def test_a_release_that_isnt_what_the_attack_expects_is_refused(cheap, known):
    cameras, _, neutral = custom_rig([(0.0, 0.0, -885.0)], [])
    bare: dict[str, Any] = {
        "cameras": cameras, "sensitive": (), "neutral": neutral,
        "neutral_images": torch.ones(1, 64, 64, 3), "moduli": torch.zeros(0, 64, 64),
    }  # fmt: skip
    plain = release(12, Operator())
    for words, attack, given in (
        (r"noise 0\.1, not 0\.0", cheap, release(12, Operator(noise=0.1))),
        ("size 32, not 64", cheap, release(12, Operator(), size=32)),
        ("control on unprotected pictures", classical_parrot(known, None), plain),
        ("no sensitive views", cheap, replace(plain, **bare)),
    ):
        with pytest.raises(LabError, match=words):
            probe_embedding(attack, given)


def test_resized_is_the_area_mean():
    x = torch.rand(2, 64, 64, 3)
    assert torch.allclose(resized(x, 32)[0, 0, 0], x[0, :2, :2].mean((0, 1)))
    assert resized(x, 64) is x
    for size in (48, 96):
        assert resized(x, size).shape == torch.Size([2, size, size, 3])
