"""Claims about the learned decoder: it finds people it never saw, and none in noise."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from benchmarks.studies.guessed import recognised
from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import decoder
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.privacy.operators import Operator


def toy_faces(people: range, size: int = 16) -> FaceDataset:
    """Three soft-coloured "portraits" a person in front of white."""
    pictures, turns = [], (-6.0, 0.0, 6.0)
    y, x = torch.meshgrid(*(2 * [torch.linspace(-1, 1, size)]), indexing="ij")
    for person in people:
        random = torch.Generator().manual_seed(person)
        knots = torch.rand(1, 3, 3, 3, generator=random)
        soft = F.interpolate(knots, size=(size, size), mode="bicubic")[0].movedim(0, -1)
        for turn in turns:
            oval = torch.sigmoid(8 * (0.8 - ((x - turn / 60) ** 2 + y**2).sqrt()))[..., None]
            pictures.append((1 - oval * (0.2 + 0.6 * soft.clamp(0, 1))).mul(255).byte())
    who = torch.tensor(list(people)).repeat_interleave(3)
    made = FaceDataset.of_pictures(who, torch.ones_like(who), torch.stack(pictures))
    return dataclasses.replace(made, yaw=torch.tensor(turns).repeat(len(people)))


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
