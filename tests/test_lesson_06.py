"""Claims about lesson 6: what its page makes, what pictures draw, and what is stored."""

from __future__ import annotations

import json
from types import SimpleNamespace

import answers
import numpy as np
import pytest
import torch

from benchmarks.studies import inversion as inversion_study
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import lab_runs, results
from privhead_nb.teach.lesson06 import data, figures, multiplicity, panel
from privhead_nb.teach.lesson06.checks import list_length


@pytest.fixture(scope="module")
def page() -> SimpleNamespace:
    return answers.page("06", "import math")


# What the page makes ------------------------------------------------------------------------------


def test_a_ramp_is_one_part_with_four_choices_of_signs(page: SimpleNamespace) -> None:
    """So "one sign a part" needs its condition: no square's differences fall into pairs."""
    ramp = np.repeat([[0.0], [0.3], [0.8]], 3, axis=1)
    in_colour = torch.from_numpy(ramp)[..., None].expand(3, 3, 3)
    assert multiplicity.parts(Operator().modulus(in_colour))[1] == 1
    assert page.closing(ramp) == 4
    tilted = ramp + np.array([0.0, 0.07, 0.19])  # every square falls into pairs: still not generic
    assert page.squares(tilted).tolist() == [4, 4] and page.closing(tilted) == 16
    generic = tilted + 0.01 * np.random.default_rng(0).uniform(size=(3, 3))
    assert page.squares(generic).tolist() == [4, 0] and page.closing(generic) == 2


def test_a_list_holds_the_whole_gallery_for_a_guess_and_one_for_an_oracle() -> None:
    random = np.random.default_rng(0)
    guess, own = random.uniform(size=(4000, 20)), random.integers(0, 20, 4000)
    assert abs(list_length(guess, own, 0.9) - 18) <= 1
    assert list_length(np.eye(20)[own], own, 1.0) == 1
    assert list_length(np.zeros((5, 20)), own[:5], 0.5) == 20, "ties stand before"


# Panel and figures --------------------------------------------------------------------------------


def test_the_panels_other_picture_has_the_modulus_unless_there_is_noise() -> None:
    for setting in panel.TWIN:
        given = {name: value for name, value in setting.items() if name != "noise"}
        moduli = [
            Operator().modulus(p)
            for p in (panel.other(**given), panel.subject_of(given["subject"]))
        ]
        assert float((moduli[0] - moduli[1]).abs().max()) < 1e-6
    noisy = panel.picture(**panel.REST | {"noise": 0.1})
    assert float(noisy.facts.split("moduli by ")[1].split()[0]) > 0.05


def test_the_panel_says_when_a_picture_leaves_the_range() -> None:
    assert "other picture does NOT fit" in panel.picture(**panel.REST | {"flips": 1}).facts
    assert "other picture fits" in panel.picture(**panel.REST | {"turn": 120}).facts


def test_colours_out_of_range_and_moduli_can_be_drawn() -> None:
    wild = figures.drawn(torch.tensor([[[-1.0, 0.5, 2.0]]]))
    assert wild.tolist() == [[[0.0, 0.5, 1.0]]]
    assert figures.drawn(torch.zeros(4, 5)).shape == (4, 5, 3)


# What is stored -----------------------------------------------------------------------------------


def test_the_stored_faces_are_the_made_heads() -> None:
    """One of them, rendered again."""
    scene = synthetic_scene(1, neutral=0, sensitive=1, size=64)
    assert data.front(64).shape == (24, 2, 64, 64, 3)
    assert float((scene.images[0] - data.front(64)[1, 0]).abs().mean()) < 0.005


def test_every_run_of_the_study_is_stored_once() -> None:
    found = results.frame("inversion", "rows")[["setting", "person", "seed"]]
    assert sorted(found.itertuples(index=False, name=None)) == sorted(inversion_study.wanted())
    stored = results.table("inversion")["settings"]
    assert stored == json.loads(json.dumps(inversion_study.SETTINGS))
    for name in ("faces.safetensors", "inversion.safetensors"):
        assert (results.RESULTS / name).stat().st_size < 1_000_000


def test_a_stored_run_comes_out_again() -> None:
    """The positive control, which does not depend on the last digits of a machine."""
    wanted = {"setting": "signed gradients", "person": 3, "seed": 0}
    row, guess = inversion_study.attack(*wanted.values())
    stored = results.where(results.frame("inversion", "rows"), **wanted)["explained"].item()
    assert row["explained"] == pytest.approx(stored, abs=0.02)
    assert float((guess.double() - data.guess("signed gradients", 3)).abs().mean()) < 0.03


def test_what_the_last_section_says_of_stored_attacks() -> None:
    alone, eight = (
        {n: lab_runs.rate(n, "parrot-classical", taken=taken) for n in lab_runs.settings()}
        for taken in lab_runs.TAKEN
    )
    plain = alone["sobel-64"]
    assert len(alone) == 15
    assert min(r.low for r in (*eight.values(), *alone.values())) > 1 / lab_runs.people()
    for name in ("blur-1", "blur-2", "sobel-32", "sobel-16"):
        assert abs(alone[name].value - plain.value) < 0.1
    for name in ("noise-0.2", "levels-2", "sobel-16-noise-0.2"):
        assert alone[name].high < plain.low
