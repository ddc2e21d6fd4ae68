"""Claims about lesson 13: what its checks try, and whom it learns from; its page has the rest."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from privhead_nb.lab.faces import GROUPS
from privhead_nb.lab.sheet import shipped_gallery
from privhead_nb.teach.lesson13.checks import toy


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
