"""Claims about lesson 6: checks know right from wrong, pictures draw, the study is stored."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from answers import failed, slips
from PIL import Image

from benchmarks.studies import inversion as inversion_study
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import lab_runs, results
from privhead_nb.teach.lesson06 import data, figures, panel
from privhead_nb.teach.lesson06.checks import crowd
from privhead_nb.teach.widgets import View, twin, values_of

ROOT = Path(__file__).parents[1]
EXERCISES = ("ex0601", "ex0602", "ex0603", "ex0604", "ex0605")


@pytest.mark.parametrize(
    ("number", "words"), [(number, words) for number in EXERCISES for words in slips(number)]
)
def test_every_slip_is_named(number: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"hint: {words}" in failed(capsys, number, slips(number)[words])


def test_a_crowd_is_the_whole_town_for_a_guess_and_nobody_for_an_oracle() -> None:
    random = np.random.default_rng(0)
    guess, own = random.uniform(size=(4000, 20)), random.integers(0, 20, 4000)
    assert abs(crowd(guess, own, 0.9) - 18) <= 1
    assert crowd(np.eye(20)[own], own, 1.0) == 1
    assert crowd(np.zeros((5, 20)), own[:5], 0.5) == 20, "ties stand before"


# Panel and figures --------------------------------------------------------------------------------


def has_drawn(view: View) -> bool:
    return bool(np.asarray(Image.open(BytesIO(view.png())).convert("L")).std() > 5)


def test_the_panel_draws_at_the_ends_of_every_control() -> None:
    for name, control in panel.controls().items():
        values = values_of(control)
        for value in (values[0], values[-1]):
            view = panel.picture(**panel.REST | {name: value})
            assert has_drawn(view) and len(view.alt) > 80 and "moduli by" in view.facts
    image = twin(panel.picture, panel.TWIN, columns=1)
    assert image.alt.count("Four tiles") == len(panel.TWIN)


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


def test_the_figures_draw() -> None:
    head = data.front(32)[3, 0]
    for figure in (
        figures.walks([0.5, 0.3, 0.4]),
        figures.gallery([{"a": head, "m": Operator().modulus(head)}, {"a": head}]),
        figures.by_setting(),
    ):
        assert has_drawn(View(figure, ""))


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


def test_the_table_has_every_attack_and_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = data.attacks()
    for attack in stored:
        assert (ROOT / attack.command.split()[1]).is_file()
        assert attack.knows and (attack.alone.n >= 2 or not attack.alone.known)
    assert max(attack.alone.value for attack in stored if attack.alone.known) > 0.85
    # a study that was run after this was written
    rates = {"a": [0.4, 0.2, 0.6], "b": [0.3, 0.1, 0.5]}
    judged = {name: {"right": {"rank1": rate}, "people": 10} for name, rate in rates.items()}
    (tmp_path / "diffusion.json").write_text(json.dumps({"guided": {"recognisers": judged}}))
    (tmp_path / "synthesis.json").write_text(json.dumps({"decoder": {}}))
    for name in ("picture_attacks", "artefacts"):
        (tmp_path / f"{name}.json").write_bytes((results.RESULTS / f"{name}.json").read_bytes())
    for module in (results, data):
        monkeypatch.setattr(module, "RESULTS", tmp_path)
    results.table.cache_clear()
    alone = {attack.name: attack.alone for attack in data.attacks()}
    results.table.cache_clear()
    assert alone["diffusion, guided samples"] == (0.4, 0.2, 0.6, 10, "")
    assert alone["synthesis, learned decoder"].why == "not stored yet"


def test_what_the_last_section_says_of_stored_attacks() -> None:
    alone, eight = (
        {n: lab_runs.rate(n, "parrot-classical", taken=taken) for n in lab_runs.settings()}
        for taken in lab_runs.TAKEN
    )
    plain = alone["sobel-64"]
    assert 0.45 < plain.value < 0.6 and eight["sobel-64"].value > 0.85 and len(alone) == 15
    shown = [lab_runs.rate("sobel-64", name) for name in ("no-attack", "no-attack-inverted")]
    assert max(rate.high for rate in shown) < 0.1
    assert min(r.low for r in (*eight.values(), *alone.values())) > 1 / lab_runs.people()
    for name in ("blur-1", "blur-2", "sobel-32", "sobel-16"):
        assert abs(alone[name].value - plain.value) < 0.1
    for name in ("noise-0.2", "levels-2", "sobel-16-noise-0.2"):
        assert alone[name].high < plain.low
