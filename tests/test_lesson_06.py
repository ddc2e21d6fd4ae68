"""Claims about lesson 6: what its page makes, what pictures draw, and what is stored."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import answers
import numpy as np
import pytest
import torch

from benchmarks.studies import inversion as inversion_study
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.lab.attacks import prior_free
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import lab_runs, results
from privhead_nb.teach.lesson06 import data, figures, multiplicity, panel
from privhead_nb.teach.lesson06.checks import list_length
from privhead_nb.teach.lesson06.scores import up_to_colours


@pytest.fixture(scope="module")
def page() -> SimpleNamespace:
    return answers.page("06", "import math")


# What the page makes ------------------------------------------------------------------------------


def test_two_choices_of_signs_of_4096_close_all_loops(page: SimpleNamespace) -> None:
    for seed in range(3):
        assert page.closing(np.random.default_rng(seed).uniform(size=(3, 3))) == 2
    corners = np.zeros((3, 3))
    corners[0, 0], corners[2, 2] = 0.5, 0.3
    assert page.closing(corners) == 4


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


def test_portraits_are_one_part_and_generic_but_for_a_square_in_a_thousand(
    page: SimpleNamespace,
) -> None:
    heads = data.front(48)[:, 0]
    full, paired = sum(page.squares(head.mean(-1).numpy()) for head in heads)
    assert full > 15_000 and paired / full < 0.0015
    assert {multiplicity.parts(Operator().modulus(head))[1] for head in heads} == {1}


@pytest.mark.parametrize("seed", [0, 1])
def test_descent_alone_finds_a_preimage_and_preferences_a_head(
    page: SimpleNamespace, seed: int
) -> None:
    truth = data.front(32)[3, 0]
    released = Operator().modulus(truth)
    wall, where = released < 1e-3, prior_free.interior(released, Operator(), 2)

    def found(loss_of: Any, last: float) -> tuple[float, float]:
        pictures, _ = page.descend(loss_of, wall, 150, last, starts=1, seed=seed)
        left = page.misfit(pictures, released, 1e-9)[0] / released.mean()
        return float(left), up_to_colours(pictures[0], truth, where).explained

    left, explained = found(lambda x, e, _: page.misfit(x, released, e), 1e-4)
    assert left < 0.006 and explained < 0.1
    left, explained = found(
        lambda x, e, share: page.misfit(x, released, e) + page.preferred(x, share), 0.002
    )
    assert left < 0.04 and explained > 0.3
    package = prior_free.smoothed_modulus(truth[None], Operator(), 0.03)
    off = (package - 0.5 * released).abs().mean()
    assert torch.allclose(page.misfit(truth[None], 0.5 * released, 0.03)[0], off)


def test_the_attack_on_the_page_wins_its_control_and_loses_the_other(page: SimpleNamespace) -> None:
    one, two = (data.front(32)[person, 0] for person in (3, 2))
    released = Operator().modulus(one)
    where = prior_free.interior(released, Operator(), 2)
    given = page.gradients(one[None])

    def signed(pictures: torch.Tensor, e: float, _: float) -> torch.Tensor:
        off = [g - h for g, h in zip(page.gradients(pictures), given, strict=True)]
        return sum((d.square().sum(1) + e**2).sqrt() for d in off).mean((1, 2))

    won, _ = page.descend(signed, released < 1e-3, 120, 0.002, starts=1)
    assert up_to_colours(won[0], one, where).explained > 0.95
    other = Operator().modulus(two)
    lost, _ = page.descend(
        lambda x, e, share: page.misfit(x, other, e) + page.preferred(x, share),
        other < 1e-3, 120, 0.002, starts=1,
    )  # fmt: skip
    assert up_to_colours(lost[0], one, where).explained < 0.25


def test_signed_differences_give_the_head_back_and_sizes_do_not(page: SimpleNamespace) -> None:
    head = data.front(32)[3, 0]

    def rebuilt(change: Any) -> float:
        channels = [
            page.from_differences(change(np.diff(c, axis=1)), change(np.diff(c, axis=0)))
            for c in head.numpy().transpose(2, 0, 1)
        ]
        return up_to_colours(torch.from_numpy(np.stack(channels, -1)), head).explained

    assert rebuilt(lambda d: d) == pytest.approx(1) and rebuilt(np.abs) < 0.5


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


def test_what_the_lesson_says_of_the_study() -> None:
    scores = data.explained()
    median = {name: data.median(values).value for name, values in scores.items()}
    assert median["signed gradients"] > 0.95 and median["another's modulus"] < -0.3
    assert median["as released"] > 0.6
    assert median["noise 0.1"] < median["noise 0.03"] < median["noise 0.01"]
    assert median["background unknown"] < 0.3 < median["as released"]
    gains = {name: int((values > scores["as released"]).sum()) for name, values in scores.items()}
    assert min(gains["blur 0.5"], gains["blur 1"], gains["32 pixels"]) >= 7
    assert max(gains["noise 0.03"], gains["noise 0.1"], gains["background unknown"]) == 0
    assert gains["64 pixels"] <= 2 and gains["luma only"] <= 3 and 2 <= gains["noise 0.01"] <= 6


def test_the_table_ends_with_the_strongest_over_all_artefacts() -> None:
    """On pictures the informed parrot is the strongest; over all that is released, the mesh."""
    *pictures, mesh = data.attacks()
    assert all(attack.knows and attack.alone.known and attack.fnmr.known for attack in pictures)
    best = max(pictures, key=lambda attack: attack.alone.value)
    assert best.name == "parrot, informed" and best.alone.value > 0.8
    assert best.fnmr.value > 0.1, "an attack that names nearly everybody still misses many pairs"
    assert mesh.name == "mesh, matching of the head" and mesh.alone.n == 10
    assert mesh.alone[:2] == (1.0, 0.6915) and mesh.alone.value > best.alone.value
    for setting in ("sobel-64", "noise-0.2"):
        assert data.strongest_on_mesh(setting)[2].value == 1.0
        assert lab_runs.rate(setting, lab_runs.WORST).value < 1.0


def test_what_the_last_section_says_of_stored_attacks() -> None:
    alone, eight = (
        {n: lab_runs.rate(n, "parrot-classical", taken=taken) for n in lab_runs.settings()}
        for taken in lab_runs.TAKEN
    )
    plain = alone["sobel-64"]
    assert 0.4 < plain.value < 0.65 and eight["sobel-64"].value > 0.85 and len(alone) == 15
    shown = [lab_runs.rate("sobel-64", name) for name in ("no-attack", "no-attack-inverted")]
    assert max(rate.value for rate in shown) < 0.1
    assert min(r.low for r in (*eight.values(), *alone.values())) > 1 / lab_runs.people()
    for name in ("blur-1", "blur-2", "sobel-32", "sobel-16"):
        assert abs(alone[name].value - plain.value) < 0.1
    for name in ("noise-0.2", "levels-2", "sobel-16-noise-0.2"):
        assert alone[name].high < plain.low
