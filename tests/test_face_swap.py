"""Claims about face swaps in miniature: they win with the target's pictures, and with no others.

People are made of colours and shapes that a few dozen steps can learn; real portraits are the
study's (benchmarks/studies/tables.py).
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from benchmarks.studies import face_swap
from benchmarks.studies.face_swap import Swapping
from benchmarks.studies.table2 import Pictures
from privhead_nb.errors import LabError
from privhead_nb.lab.recognisers import Recogniser

TINY = Swapping(steps=60, batch=4, width=8, code=16, manner=4, rate=4e-3, adapt=30)
SKINS = torch.tensor(
    [[0.8, 0.3, 0.2], [0.2, 0.4, 0.8], [0.3, 0.7, 0.3], [0.6, 0.2, 0.6], [0.7, 0.6, 0.1],
     [0.2, 0.6, 0.6], [0.5, 0.4, 0.3], [0.35, 0.25, 0.5]]
)  # fmt: skip


def person(number: int, count: int = 6, seed: int = 0) -> Tensor:
    """(count, 64, 64, 3): an oval of a person's colour before white, here and there."""
    random = torch.Generator().manual_seed(100 * seed + number)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 64), torch.linspace(-1, 1, 64), indexing="ij")
    place = 0.08 * (torch.rand(count, 2, generator=random) - 0.5)
    far = ((x - place[:, 0, None, None]) / 0.45) ** 2 + ((y - place[:, 1, None, None]) / 0.6) ** 2
    return torch.where((far < 1)[..., None], SKINS[number], torch.ones(3))


def mean_colour(pictures: Tensor) -> Tensor:
    """(N, 3) what the middle looks like, against grey: a recogniser of these people."""
    return pictures[:, 26:38, 26:38].mean((1, 2)) - 0.45


BY_COLOUR = Recogniser("mean colour", mean_colour)
GALLERY = Pictures(torch.cat([person(k, 1, seed=9) for k in range(8)]), torch.arange(8))


def named(swapped: Tensor) -> list[float]:
    """Swaps of person 0 for person 1: named as the target, as the actor, nearer to the target."""
    who = torch.full((len(swapped),), 1), torch.full((len(swapped),), 0)
    found = face_swap.score(BY_COLOUR, swapped, *who, GALLERY, resamples=20)
    return [found.as_target.value, found.as_actor.value, found.nearer.value]


def test_a_pair_shows_the_target_and_with_the_actors_own_pictures_the_actor():
    actor = person(0)
    for given, wanted in ((person(1), [1, 0, 1]), (person(0, seed=1), [0, 1, 0])):
        swapped = face_swap.swapper_of_pair(face_swap.train_pair(actor, given, TINY))(actor)
        assert swapped.shape == actor.shape and swapped.min() >= 0 and swapped.max() <= 1
        assert named(swapped) == wanted


@pytest.fixture(scope="module")
def prior() -> face_swap.Prior:
    """Learned from six people; the two others are actor and target."""
    known = range(2, 8)
    pictures = torch.cat([person(k, 5) for k in known])
    people = torch.tensor([k for k in known for _ in range(5)])
    return face_swap.train_prior(pictures, people, dataclasses.replace(TINY, steps=150, batch=8))


def test_a_prior_takes_its_target_from_pictures_alone(prior):
    actor, target = person(0), person(1)
    before = {k: v.clone() for k, v in prior.state_dict().items()}

    def swap(given: Tensor, adapt: int) -> Tensor:
        how = dataclasses.replace(TINY, adapt=adapt)
        return face_swap.swapper_of_prior(*face_swap.adapted(prior, given, how))(actor)

    shown = swap(target, TINY.adapt), swap(target, 0), actor  # adapted, injected, as it was
    off = [float((mean_colour(s) - mean_colour(target)).norm(dim=1).mean()) for s in shown]
    assert off[0] < off[1] < off[2]
    assert named(shown[0])[0] == 1 and named(swap(person(0, seed=1), TINY.adapt))[0] == 0
    assert all(torch.equal(v, before[k]) for k, v in prior.state_dict().items()), "left as it was"


def test_matched_colours_have_the_actors_moments_and_white_stays():
    actor, swapped = person(0), person(1, seed=3)
    actor = (actor + 0.02 * torch.rand(actor.shape, generator=torch.Generator())).clamp(0, 1)
    matched = face_swap.colour_matched(swapped, actor)
    assert (mean_colour(matched) - mean_colour(actor)).abs().max() < 0.1
    white = actor.amin(-1) > 0.94
    assert torch.equal(matched[white], swapped[white])


def test_wrong_pictures_are_refused():
    for train, given, said in (
        (face_swap.train_pair, (person(0), torch.zeros(2, 32, 32, 3)), "pictures of the target"),
        (face_swap.train_pair, (person(0)[:0], person(1)), "at least one picture"),
        (face_swap.train_prior, (person(0, 4), torch.tensor([0, 0, 1, 1])), "fewer than three"),
    ):
        with pytest.raises(LabError, match=said):
            train(*given, TINY)
    double = Pictures(torch.cat([GALLERY.rgb] * 2), torch.cat([GALLERY.identity] * 2))
    who = torch.zeros(6, dtype=torch.long)
    with pytest.raises(LabError, match="not exactly one picture"):
        face_swap.score(BY_COLOUR, person(0), who, who + 1, double, resamples=2)
