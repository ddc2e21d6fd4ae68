"""Lesson 9: its stored portraits, live claims and stored ones, its panel."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.studies import stored_faces as making
from privhead_nb.errors import LabError
from privhead_nb.lab import faces
from privhead_nb.lab.intervals import draws, share
from privhead_nb.lab.protocol import (
    Comparison,
    calibrate,
    identification,
    verification,
)
from privhead_nb.lab.settings import SETTINGS
from privhead_nb.teach import lab_runs, results, stored_faces
from privhead_nb.teach.lab_runs import WORST
from privhead_nb.teach.lesson09 import figures, panel
from privhead_nb.teach.lesson09.checks import drawn_rates
from privhead_nb.teach.results import Interval

# Stored portraits ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data() -> faces.FaceDataset:
    return stored_faces.load()


def test_the_stored_portraits_are_what_their_command_makes(data: faces.FaceDataset) -> None:
    assert stored_faces.SHEET.stat().st_size < 1e6
    person = 40_007
    again = making.chosen(faces.portraits(person, faces.GALLERY))
    kept = data.only(data.identity == person)
    assert torch.equal(again.role, kept.role)
    assert torch.allclose(again.yaw.float(), kept.yaw.float(), atol=0.01)
    assert (again.pictures.int() - kept.pictures.int()).abs().max() <= 2


def test_nobody_who_is_tested_taught_anybody(data: faces.FaceDataset) -> None:
    tested = set(data.identity.tolist())
    assert tested == set(faces.people("evaluation", making.PEOPLE))
    assert tested.isdisjoint(faces.people("attacker", 1000))
    assert len(data.frontals()) == 24 and len(data.views()) == 96
    assert data.views().yaw.abs().max() <= 45


def test_portraits_are_read_as_they_were_written_and_refused_otherwise(
    data: faces.FaceDataset, tmp_path: Path
) -> None:
    two = data.only(data.identity < 40_002)
    making.write(two, tmp_path / "two.png")
    back = stored_faces.load(tmp_path / "two.png")
    for name in ("pictures", "identity", "role", "yaw"):
        assert torch.equal(getattr(back, name), getattr(two, name))
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    for name in ("other.png", "missing.png"):
        with pytest.raises(LabError, match="stored_faces"):
            stored_faces.load(tmp_path / name)


# What the lesson claims of live measures ----------------------------------------------------------


def pairs_of(people: int, each: int, apart: float, seed: int) -> Comparison:
    random = np.random.default_rng(seed)
    probe = np.repeat(np.arange(people), each)
    score = random.normal(size=(people * each, people))
    return Comparison(
        score + apart * (probe[:, None] == np.arange(people)), probe, np.arange(people)
    )


def test_rank_1_falls_with_the_gallery_and_a_threshold_does_not() -> None:
    many = pairs_of(40, 12, 2.0, 0)
    few = Comparison(many.similarity[:60, :5], many.probe[:60], np.arange(5))
    first = [identification(x, resamples=0).rank[1].value for x in (few, many)]
    assert first[0] > first[1] + 0.2
    half = Comparison(many.similarity[:240, :20], many.probe[:240], np.arange(20))
    rates = [
        verification(x, fars=(0.05,), resamples=0).fnmr_at_fmr[0.05].value for x in (many, half)
    ]
    assert abs(rates[0] - rates[1]) < 0.15


def test_the_bootstrap_by_hand_is_the_labs() -> None:
    pairs, counts = pairs_of(12, 3, 1.5, 3), draws(12, 1000, 0)
    matches = pairs.similarity >= calibrate(pairs, 0.1)
    again = drawn_rates(matches, pairs.probe, pairs.gallery, counts)
    lab = share(~matches[pairs.mated], pairs.probe, resamples=1000, seed=0)
    assert np.quantile(again[:, 0], [0.025, 0.975]) == pytest.approx([lab.low, lab.high])
    assert again[:, 1].mean() == pytest.approx(0.1, abs=0.02)


# Stored results -----------------------------------------------------------------------------------


def test_the_study_is_read_as_it_was_stored() -> None:
    assert lab_runs.settings()[0] == "sobel-64" and lab_runs.people() == 100
    stored = results.table("picture_attacks")["results"]["sobel-64.parrot-classical"]["whole"]
    assert [*lab_runs.rate("sobel-64", "parrot-classical")[:3]] == stored["rank1"]
    assert [*lab_runs.fnmr("sobel-64", "parrot-classical")[:3]] == pytest.approx(
        [1 - stored["tar"][k] for k in (0, 2, 1)]
    )
    for setting in lab_runs.settings():
        every = [lab_runs.rate(setting, name) for name in lab_runs.attacks(setting)]
        assert lab_runs.rate(setting, WORST).value == max(rate.value for rate in every)
        together = lab_runs.rate(setting, WORST, taken="eight together")
        assert together.low > 1 / lab_runs.people(), "the lesson says that none comes down to it"
    for asked in (lab_runs.rate, lab_runs.fnmr):
        assert asked("sobel-64", "no such").why == "not run at this setting"
    assert lab_runs.people_from() in (40_000, 50_000)


def test_settings_without_the_strongest_attack_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    strongest = lab_runs.strongest("sobel-64")
    for setting in lab_runs.settings():
        tried = strongest in lab_runs.attacks(setting)
        assert panel.weaker(setting, WORST) == ("" if tried else "*")
        assert panel.weaker(setting, "no-attack") == ""
    monkeypatch.setattr(panel, "weaker", lambda setting, _: "*" if setting == "levels-2" else "")
    view = panel.picture("levels-2", "one picture", "whole", WORST)
    assert "the strongest attack on the default was not run" in view.facts
    assert "levels-2 *" in {t.get_text() for t in view.figure.axes[0].get_yticklabels()}


def test_no_setting_is_called_recommended() -> None:
    """It leaks nearly everybody by eight pictures: it is the paper's default, no more."""
    labels = " ".join(t.get_text() for t in figures.privacy_beside_utility().legends[0].get_texts())
    assert "recommended" not in labels and "the paper's default" in labels


def test_the_best_of_several_recipes_looks_better_than_it_is() -> None:
    random = np.random.default_rng(1)
    chosen = random.binomial(100, 0.5, size=(2000, 12)).max(axis=1) / 100
    assert chosen.mean() > 0.56 and (chosen > 0.5).mean() > 0.95


def test_networks_see_more_of_renders_than_of_moduli() -> None:
    ranks = lab_runs.table2("rank1")
    for name in ("arcface_cnn", "triplet_cnn"):
        assert ranks["our rendering"][name].value > ranks["protected"][name].value


# Pictures, and the panel --------------------------------------------------------------------------


def test_rates_draw_what_is_known_only() -> None:
    rows = {"a": {"x": Interval(0.5, 0.4, 0.6), "y": Interval(math.nan, why="none")}, "b": {}}
    ax = figures.rates(rows, 0.01).axes[0]
    assert sum(line.get_marker() in ("o", "s") and len(line.get_xdata()) for line in ax.lines) == 1


def test_the_panel_says_what_was_not_run_and_what_chance_is() -> None:
    seldom = min(lab_runs.attacks(), key=lambda a: sum(a in lab_runs.attacks(s) for s in SETTINGS))
    (setting, *_) = (s for s in lab_runs.settings() if seldom not in lab_runs.attacks(s))
    view = panel.picture(setting, "one picture", "whole", seldom)
    assert "was not run here" in view.facts and "chance 1 %" in view.facts
    assert "not run" in {text.get_text() for ax in view.figure.axes for text in ax.texts}
    strong, _, weak, _ = (panel.picture(**setting).facts for setting in panel.TWIN)
    assert "strongest" in strong and "clean network" in weak
