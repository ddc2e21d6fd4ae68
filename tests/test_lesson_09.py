"""Lesson 9: its checks, stored portraits, live claims and stored ones, its panel."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed
from PIL import Image

from benchmarks.studies import stored_faces as making
from privhead_nb.errors import LabError
from privhead_nb.lab import faces
from privhead_nb.lab.attacks.no_attack import as_grey
from privhead_nb.lab.intervals import draws, exact_interval, share
from privhead_nb.lab.protocol import (
    Comparison,
    calibrate,
    compare,
    identification,
    verification,
)
from privhead_nb.lab.recognisers.stored import recogniser
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import checks, lab_runs, stored_faces
from privhead_nb.teach.lab_runs import WORST
from privhead_nb.teach.lesson09 import figures, panel
from privhead_nb.teach.lesson09.checks import drawn_rates
from privhead_nb.teach.results import Interval
from privhead_nb.teach.widgets import values_of

# Checks -------------------------------------------------------------------------------------------


def right_0901(mated: Any, other: Any, fmr: float) -> float:
    """Try every threshold just above a score."""
    loosest = [t for t in np.append(np.nextafter(np.unique(other), np.inf), other.min())
               if (other >= t).mean() <= fmr + 1e-12]  # fmt: skip
    return float((mated < min(loosest)).mean())


def right_0902(successes: int, trials: int, z: float) -> tuple[float, float]:
    """The textbook's form."""
    n, share = trials, successes / trials
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def right_0903(matches: Any, probe: Any, gallery: Any, counts: Any) -> Any:
    """By copies: every drawn person with all their pictures, pair by pair."""
    out = []
    for drawn in counts:
        wrong = missed = mated = other = 0
        copies = [i for i, times in enumerate(drawn) for _ in range(times)]
        for a, i in enumerate(copies):
            for b, j in enumerate(copies):
                if i == j and a != b:
                    continue
                part = matches[np.ix_(probe == i, gallery == j)]
                if i == j:
                    mated, missed = mated + part.size, missed + (~part).sum()
                else:
                    other, wrong = other + part.size, wrong + part.sum()
        out.append((missed / mated, wrong / other))
    return np.array(out)


RIGHT = {"ex0901": right_0901, "ex0902": right_0902, "ex0903": right_0903}


@pytest.mark.parametrize("number", RIGHT)
def test_right_answers_pass(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(checks, number)(RIGHT[number])
    assert f"{number} passed" in capsys.readouterr().out


def wald(k: int, n: int, z: float) -> tuple[float, float]:
    half = z * math.sqrt(k / n * (1 - k / n) / n)
    return k / n - half, k / n + half


def every_pair_counts_both(m: Any, p: Any, g: Any, c: Any) -> Any:
    same, w = p[:, None] == g, c[:, p][:, :, None] * c[:, g][:, None, :]
    parts = (w * same, ~m), (w * ~same, m)
    return np.stack([(v * x).sum((1, 2)) / v.sum((1, 2)) for v, x in parts], axis=1)


WRONG: list[tuple[str, Callable[..., Any], str]] = [
    ("ex0901", lambda m, o, f: 1 - right_0901(m, o, f), "that is TAR"),
    ("ex0901", lambda m, o, f: (m < np.quantile(o, 1 - f)).mean(), "one non-mated pair too many"),
    ("ex0901", lambda m, o, f: (m < np.quantile(m, 1 - f)).mean(), "not from the mated"),
    ("ex0901", lambda m, o, f: [0.0, 1.0], "the shape"),
    ("ex0902", wald, "unknown p"),
    ("ex0902", lambda k, n, z: exact_interval(k, n, math.erf(z / 2**0.5)), "Clopper"),
    ("ex0902", lambda k, n, z: tuple(100 * x for x in right_0902(k, n, z)), "not in percent"),
    ("ex0902", lambda k, n, z: k / n, "the shape"),
    ("ex0903", every_pair_counts_both, "not c_i squared"),
    ("ex0903", lambda m, p, g, c: right_0903(m, p, g, np.minimum(c, 1)), "counts three times"),
    ("ex0903", lambda m, p, g, c: right_0903(m, p, g, c)[:, ::-1], "FNMR comes first"),
    ("ex0903", lambda m, p, g, c: right_0903(m, p, g, c)[0], "the shape"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_slips_are_named(
    number: str, answer: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in failed(capsys, number, answer)


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


def test_networks_are_blind_before_moduli_and_hog_is_not(data: faces.FaceDataset) -> None:
    probes, gallery, operator = data.views(), data.frontals(), Operator()
    pictures = {"clean": probes.rgb(), "moduli": as_grey(operator.protect(probes.rgb()), operator)}
    found: dict[tuple[str, str], float] = {}
    for name in ("arcface_cnn", "hog_lda"):
        one = recogniser(name)
        known, _ = one.embed(gallery.rgb())
        for kind, shown in pictures.items():
            seen, made = one.embed(shown)
            pairs = compare(seen, probes.identity, known, gallery.identity, made.numpy())
            found[name, kind] = identification(pairs, resamples=0).rank[1].value
    assert found["arcface_cnn", "clean"] > 0.95 and found["arcface_cnn", "moduli"] < 0.2
    assert found["hog_lda", "moduli"] > 0.35


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
    assert lab_runs.rate("sobel-64", "parrot-classical").percent() == "52 % (48 to 57)"
    for setting in lab_runs.settings():
        every = [lab_runs.rate(setting, name) for name in lab_runs.attacks(setting)]
        assert lab_runs.rate(setting, WORST).value == max(rate.value for rate in every)
        together = lab_runs.rate(setting, WORST, taken="eight together")
        assert together.low > 1 / lab_runs.people(), "the lesson says that none comes down to it"
    assert lab_runs.rate("sobel-64", "no such").why == "not run at this setting"


# Pictures, and the panel --------------------------------------------------------------------------


def test_rates_draw_what_is_known_only() -> None:
    rows = {"a": {"x": Interval(0.5, 0.4, 0.6), "y": Interval(math.nan, why="none")}, "b": {}}
    ax = figures.rates(rows, 0.01).axes[0]
    assert sum(line.get_marker() in ("o", "s") and len(line.get_xdata()) for line in ax.lines) == 1


def test_the_panel_draws_at_every_end_and_says_what_was_not_run() -> None:
    controls = panel.controls()
    rest = {name: control.value for name, control in controls.items()}
    for name, control in controls.items():
        for value in (values_of(control)[0], values_of(control)[-1]):
            view = panel.picture(**rest | {name: value})
            assert "chance 1 %" in view.facts and len(view.png()) > 1000
            assert rest["setting"] in view.alt or name == "setting"
    view = panel.picture("levels-2", "one picture", "whole", "parrot-informed")
    assert "was not run here" in view.facts
    assert "not run" in {text.get_text() for ax in view.figure.axes for text in ax.texts}
    strong, _, weak, _ = (panel.picture(**setting).facts for setting in panel.TWIN)
    assert "strongest" in strong and "clean network" in weak
