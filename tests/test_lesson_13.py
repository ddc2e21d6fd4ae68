"""Claims about lesson 13: what its distances, modes and attack say, with a margin."""

from __future__ import annotations

from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.deid import features
from privhead_nb.deid.aware3d import examples
from privhead_nb.lab.faces import GROUPS
from privhead_nb.lab.recognisers.stored import recogniser
from privhead_nb.lab.sheet import shipped_gallery
from privhead_nb.teach.lesson13 import panel
from privhead_nb.teach.lesson13.checks import toy

JUDGES = panel.JUDGES
PEOPLE = 30
TAU = 1.5


def embedded(name: str, pictures: Tensor) -> Tensor:
    return recogniser(name).embed(pictures)[0]


@cache
def fronts() -> Tensor:
    """(100, 64, 64, 3) the gallery."""
    return shipped_gallery().frontals().rgb()


@cache
def others() -> Tensor:
    """(30, 64, 64, 3) another picture of each of the gallery's first people."""
    return shipped_gallery().views().rgb()[: 4 * PEOPLE : 4]


@cache
def drawn(which: str, tau: float = TAU, key: int | None = None) -> Tensor:
    """What G_3d makes of the first people's gallery pictures, or of their other ones."""
    pictures = others() if which == "others" else fronts()[:PEOPLE]
    w, direction = system_codes(pictures, tau, key)
    return panel.system().rendered(w, direction)


@torch.no_grad()
def system_codes(pictures: Tensor, tau: float, key: int | None) -> tuple[Tensor, Tensor]:
    z = examples.vectors(pictures)
    if key is not None:
        random = torch.Generator().manual_seed(key)
        z = z @ torch.linalg.qr(torch.randn(64, 64, generator=random))[0]
    networks = panel.system().networks
    attributes, direction = networks.auxiliary(pictures)
    return networks.mapper(z, attributes, torch.full((len(z),), tau)), direction


def named(name: str, released: Tensor, gallery: Tensor) -> float:
    """Share of released pictures whose nearest in the gallery is the same row."""
    nearest = (embedded(name, released) @ embedded(name, gallery).T).argmax(1)
    return float((nearest == torch.arange(len(released))).float().mean())


# Distances ----------------------------------------------------------------------------------------


def test_strangers_and_random_directions_stand_near_a_right_angle() -> None:
    vectors = embedded("arcface_cnn", fronts())
    strangers = torch.pdist(vectors)
    own = (embedded("arcface_cnn", others()) - vectors[:PEOPLE]).norm(dim=1)
    assert float(own.mean()) < 0.6 < 1.3 < float(strangers.mean()) < 1.5
    one, two = F.normalize(
        torch.randn(2, 4000, 64, generator=torch.Generator().manual_seed(0)), dim=2
    )
    assert float((one - two).norm(dim=1).mean()) == pytest.approx(2**0.5, abs=0.02)


def test_the_mapper_keeps_the_order_of_tau_and_not_its_scale() -> None:
    for name in JUDGES:
        source = embedded(name, fronts()[:PEOPLE])
        moved = [
            float((embedded(name, drawn("fronts", tau)) - source).norm(dim=1).mean())
            for tau in (0.5, 1.0, 1.5)
        ]
        assert moved == sorted(moved) and moved[2] - moved[0] > 0.1
        if name == "arcface_cnn":
            assert moved[0] > 0.7 and moved[2] < 1.45


def test_descent_on_the_code_reaches_each_tau() -> None:
    system, E_id = panel.system(), features.recogniser()
    X, goals = fronts()[3].expand(2, -1, -1, -1), torch.tensor([0.5, 1.5])
    source = features.identity_of(E_id, X)
    w, direction = system.codes(X, 0.0)
    w = w.clone().requires_grad_()
    adam = torch.optim.Adam([w], 0.05)
    for _ in range(15):
        reached = (features.identity_of(E_id, system.networks.nerf(w, direction)[0]) - source).norm(
            dim=1
        )
        loss = (goals - reached).abs().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert float((goals - reached.detach()).abs().max()) < 0.15


# Views --------------------------------------------------------------------------------------------


def test_one_code_is_the_most_consistent_and_people_stay_apart() -> None:
    count = 10
    pair = torch.stack([fronts()[:count], others()[:count]], 1)
    flat = pair.flatten(0, 1)
    system = panel.system()
    w, direction = system.codes(flat, TAU)
    one_code = w.unflatten(0, (count, 2))[:, :1].expand(-1, 2, -1).flatten(0, 1)
    within = {}
    for mode, codes in {"single": w, "multi-view": one_code}.items():
        vectors = embedded("triplet_cnn", system.rendered(codes, direction)).unflatten(
            0, (count, 2)
        )
        within[mode] = float((vectors[:, 1] - vectors[:, 0]).norm(dim=1).mean())
        assert within[mode] < 0.8 * float(torch.pdist(vectors[:, 0]).mean())
    assert within["multi-view"] < within["single"]


# The attack ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JUDGES)
def test_who_deidentifies_the_gallery_names_many_and_a_key_ends_it(name: str) -> None:
    """Among thirty, of G_3d's own drawings; chance is 3 %."""
    originals = fronts()[:PEOPLE]
    assert named(name, others(), originals) > 0.9
    assert named(name, drawn("others"), originals) < 0.3
    assert named(name, drawn("others"), drawn("fronts")) > 0.4
    assert named(name, drawn("others", key=1), drawn("fronts")) < 0.25
    assert named(name, drawn("others", key=1), drawn("fronts", key=1)) > 0.4


def test_the_cases_of_the_attack_try_what_they_should() -> None:
    """Neither the naive attacker nor vectors of any length name the toy people."""
    for seed in (0, 1):
        released, gallery, deidentify, embed = toy(seed)
        right = torch.tensor([3, 0, 7, 1, 5, 2, 6, 4, 3, 5])
        seen, known = (F.normalize(embed(x), dim=1) for x in (released, deidentify(gallery)))
        assert torch.equal((seen @ known.T).argmax(1), right)
        assert not torch.equal((embed(released) @ embed(deidentify(gallery)).T).argmax(1), right)


def test_the_lesson_learns_from_people_whom_no_weights_saw() -> None:
    """600 with portraits, the generator's 1,500 after them; the lesson begins at 23,000."""
    assert GROUPS["defender"] + 600 + 1500 < 23_000 < GROUPS["defender"] + 10_000
    assert int(shipped_gallery().identity.min()) >= GROUPS["evaluation"]
