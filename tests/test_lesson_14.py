"""Claims about lesson 14: its payload is the package's, what the shipped weights do, its arena."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from wrong_answers import lesson_14 as answers

from privhead_nb.deid.g2face import G2Face, deidentifier, payload
from privhead_nb.deid.g2face.identity import NOISE
from privhead_nb.deid.g2face.payload import stream_of, tag_of
from privhead_nb.lab.recognisers.stored import recogniser
from privhead_nb.lab.sheet import shipped_gallery
from privhead_nb.teach.lesson14 import figures, panel
from privhead_nb.teach.lesson14.checks import messages, pictures_of_people
from privhead_nb.teach.lesson14.panel import as_file

KEY = "correct horse"

# Checks and payload -------------------------------------------------------------------------------


def test_the_pieces_of_the_exercises_open_the_packages_payload() -> None:
    identity = torch.nn.functional.normalize(
        torch.randn(5, 64, generator=torch.Generator().manual_seed(0)), dim=1
    )
    bits = payload.written(identity, torch.Generator().manual_seed(1), KEY)
    order = torch.randperm(1024, generator=torch.Generator().manual_seed(1024))
    body = answers.by_median(2 * bits - 1, order, 336)
    for row, wanted in zip(body, payload.coarse(identity), strict=True):
        told = np.packbits(row.numpy().astype(np.uint8)).tobytes()
        packed, right = answers.by_arrays(told, payload.key_of(KEY), stream_of, tag_of)
        levels = np.stack([packed >> 4, packed & 15], 1).reshape(-1) - 7.5
        assert right and levels @ wanted.numpy() / np.linalg.norm(levels) > 0.9999
        packed, right = answers.by_arrays(told, payload.key_of("battery staple"), stream_of, tag_of)
        assert not right and not packed.any()
    again = answers.place_by_place(body.float(), torch.zeros(5, 16), order)
    assert payload.read(again, KEY)[1] == [True] * 5


def test_the_cases_try_what_they_should() -> None:
    opened = [answers.by_arrays(*case, stream_of, tag_of)[1] for case in messages().values()]
    assert opened == [True] + [False] * (len(opened) - 1)
    assert len(stream_of(b"k", b"n")) == 32 and len(tag_of(b"k", b"n")) == 8
    *plain, taken = (answers.in_a_loop(*case) for case in pictures_of_people().values())
    assert all(hits.mean() > 0.5 for hits, _ in plain)
    assert taken[0].mean() == 0 and taken[1].mean() == 0.6


# The shipped weights ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture each of thirty people, another of each, the first's file; and a hundred known."""

    system: G2Face
    plain: Tensor
    other: Tensor
    made: Tensor  # the first, anonymised under KEY and saved
    who: Tensor
    front: Tensor
    names: Tensor

    def named(self, pictures: Tensor, front: Tensor, judge: str = "triplet_cnn") -> float:
        """Rank-1 by a recogniser, of those that took no part in training."""
        probes, known = (recogniser(judge).embed(x)[0] for x in (pictures, front))
        return float((self.names[(probes @ known.T).argmax(1)] == self.who).float().mean())

    def alike(self, pictures: Tensor, judge: str) -> Tensor:
        """Cosines (30,) of pictures to the originals."""
        one, two = (F.normalize(recogniser(judge).embed(x)[0]) for x in (pictures, self.plain))
        return (one * two).sum(1)


@pytest.fixture(scope="module")
def shown() -> Shown:
    everyone = shipped_gallery()
    known, views = everyone.frontals(), everyone.views()
    first, second = (views.only(torch.arange(k, 120, 4)) for k in (0, 2))
    assert torch.equal(first.identity, second.identity)
    system, random = deidentifier(), torch.Generator().manual_seed(0)
    made = as_file(system.anonymise(first.rgb(), 1.0, random, passphrase=KEY))
    pictures = first.rgb(), second.rgb(), made
    return Shown(system, *pictures, first.identity, known.rgb(), known.identity)


def test_a_png_comes_back_and_a_jpeg_or_another_passphrase_does_not(shown: Shown) -> None:
    def count(pictures: Tensor, key: str | None) -> int:
        return sum(payload.read(shown.system.extracted(pictures), key)[1])

    assert count(shown.made, KEY) == len(shown.made)
    assert count(shown.made, "battery staple") == 0 == count(shown.made, None)
    assert count(shown.plain, KEY) == 0 == count(shown.plain, None)
    for quality in (90, 50):
        assert count(as_file(shown.made, quality), KEY) == 0


def test_the_shipped_weights_anonymise_and_take_back(shown: Shown) -> None:
    taken = [found.picture for found in shown.system.recover(shown.made, KEY)]
    back = torch.stack([picture for picture in taken if picture is not None])
    assert len(back) == len(shown.plain)
    for judge in ("arcface_cnn", "triplet_cnn"):
        away, same, again = (shown.alike(x, judge) for x in (shown.made, shown.other, back))
        assert away.mean() < same.mean() - 0.25 and (away < same).float().mean() > 0.8
        assert again.mean() > away.mean() + 0.25 and (again > away).float().mean() > 0.8
    off, left = ((x - shown.plain).square().mean() for x in (shown.made, back))
    assert left < 0.9 * off
    before, after = (shown.named(x, shown.front) for x in (shown.plain, shown.made))
    assert before > 0.9 and after < 0.4
    assert shown.named(shown.made, shown.front, "pca_lda") > 0.2


def test_anothers_identity_names_more_than_the_file_and_a_dummys_does_not(shown: Shown) -> None:
    count, random = len(shown.made), torch.Generator().manual_seed(3)
    real = recogniser("arcface_cnn").embed(shown.plain)[0].roll(7, 0)
    dummy = shown.system.parts.dummy(torch.randn(count, NOISE, generator=random))
    bits = torch.randint(2, (count, payload.BITS), generator=random).float()
    turned, fresh = (
        shown.named(shown.system.manipulated(shown.made, identity, bits), shown.front)
        for identity in (real, dummy)
    )
    assert turned > shown.named(shown.made, shown.front) + 0.1 and turned > fresh + 0.1


def test_without_a_passphrase_an_outsider_reads_the_identity(shown: Shown) -> None:
    look = recogniser("arcface_cnn")
    own, known = (look.embed(x)[0] for x in (shown.plain, shown.front))
    random = torch.Generator().manual_seed(2)
    opening = shown.system.manipulated(shown.plain, own, payload.written(own, random))
    for pictures, low, high in ((as_file(opening), 0.9, 1.0), (shown.made, 0.0, 0.1)):
        told, _ = payload.read(shown.system.extracted(pictures))
        named = (shown.names[(told @ known.T).argmax(1)] == shown.who).float().mean()
        assert low <= named <= high


def test_hair_and_outline_name_people(shown: Shown) -> None:
    def covered(pictures: Tensor) -> Tensor:
        _, marks = shown.system.parts.geometry(pictures)
        out = pictures.clone()
        pixels = ((marks + 1) * 32 - 0.5).round().int().clamp(0, 63)
        for one, box in zip(out, pixels, strict=True):
            (left, top), (right, bottom) = box.amin(0).tolist(), box.amax(0).tolist()
            one[top : bottom + 1, left : right + 1] = 0.5
        return out

    beside = covered(shown.made), covered(shown.front)
    assert shown.named(*beside) > 0.05 and shown.named(*beside, "pca_lda") > 0.15


# Panel and arena ----------------------------------------------------------------------------------


def test_the_panel_says_what_came_back() -> None:
    facts = [panel.picture(**setting).facts for setting in panel.TWIN]
    assert "dB from the original" in facts[0]
    assert all("not recovered" in told for told in facts[1:])


def arena() -> dict[str, Any]:
    """A result in the form in which benchmarks/studies/arena.py writes it."""
    use = {"pose_deg": 2.0, "expression": 0.1, "frechet": 0.3, "cascade": [0.9, 0.8, 0.95]}

    def defence(method: str, strength: float, one: float) -> dict[str, Any]:
        rates = {
            "one": [one, one - 0.1, one + 0.1],
            "eight": [one / 2, 0.0, one],
            "fnmr": {"why": "-"},
        }
        attacks = {"triplet_cnn": rates, "informed network, gallery original": {
            "one": [one + 0.1, one, one + 0.2], "eight": {"why": "no template"}}}  # fmt: skip
        return {"method": method, "strength": strength, "default": strength == 1,
                "attacks": attacks, "utility": use}  # fmt: skip

    names = ("none", "blur", "pixelate", "mask", "k-same", "modulus", "g2face", "aware3d", "other")
    made = {f"{n} {s}": defence(n, s, 0.1 * k) for k, n in enumerate(names, 1) for s in (1, 2)}
    made["none 1"]["utility"] = use | {"cascade": {"why": "no face was found before"}}
    return {"chance": 0.01, "defences": made}


def test_the_arena_names_the_worst_attack_and_draws_all_defences() -> None:
    stored = arena()
    name, one, eight, faces, *_ = figures.row(stored["defences"]["blur 1"])
    assert name == "informed network, gallery original"
    assert (one, eight, faces) == ("30 % (20 to 40)", "10 % (0 to 20)", "90 % (80 to 95)")
    assert figures.row(stored["defences"]["none 1"])[3] == "-"
    figure = figures.chart(stored)
    (legend,) = figure.legends
    told = {t.get_text(): (h.get_color(), h.get_marker())
            for t, h in zip(legend.get_texts(), legend.legend_handles, strict=True)}  # fmt: skip
    assert list(told)[:2] == ["none", "blur"] and len(set(told.values())) == len(told) == 9
