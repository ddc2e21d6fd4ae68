"""Lesson 9: its checks, its album, its pictures and panel, live claims and stored ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed
from PIL import Image

from privhead_nb.errors import LabError
from privhead_nb.lab import albums, tables
from privhead_nb.lab.attacks.shown import as_grey
from privhead_nb.lab.intervals import draws, exact_interval, wilson_interval
from privhead_nb.lab.protocol import Comparison, calibrate, compare, identification, verification
from privhead_nb.lab.recognition.stored import recogniser
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import checks, lab_runs, small_album
from privhead_nb.teach.lab_runs import WORST, Spot, Stored
from privhead_nb.teach.lesson09 import panel, recognition_plots, repeated_studies, swap_pictures
from privhead_nb.teach.widgets import View, values_of

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


# The album ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def album() -> albums.Album:
    return small_album.stored()


def test_the_stored_album_is_what_its_command_makes(album: albums.Album) -> None:
    assert small_album.SHEET.stat().st_size < 1e6
    person = 40_007
    again = small_album.chosen(albums.portraits(person, albums.GALLERY))
    kept = album.only(album.identity == person)
    assert torch.equal(again.role, kept.role)
    assert torch.allclose(again.yaw.float(), kept.yaw.float(), atol=0.01)
    assert (again.pictures.int() - kept.pictures.int()).abs().max() <= 2


def test_nobody_of_the_album_taught_anybody(album: albums.Album) -> None:
    tested = set(album.identity.tolist())
    assert tested == set(albums.people("evaluation", small_album.PEOPLE))
    assert tested.isdisjoint(albums.people("attacker", 1000))
    assert len(album.frontals()) == 24 and len(album.views()) == 96
    assert album.views().yaw.abs().max() <= 45


def test_an_album_is_read_as_it_was_written_and_refused_otherwise(
    album: albums.Album, tmp_path: Path
) -> None:
    two = album.only(album.identity < 40_002)
    both = albums.join([two.frontals(), two.views()])
    small_album.write(both, tmp_path / "two.png")
    back = small_album.stored(tmp_path / "two.png")
    assert torch.equal(back.pictures, both.pictures) and torch.equal(back.identity, both.identity)
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    for name in ("other.png", "missing.png"):
        with pytest.raises(LabError, match="small_album"):
            small_album.stored(tmp_path / name)


# What the lesson claims of live measures ----------------------------------------------------------


def test_networks_are_blind_before_moduli_and_hog_is_not(album: albums.Album) -> None:
    probes, gallery, operator = album.views(), album.frontals(), Operator()
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


def test_rank_1_falls_with_the_gallery_and_a_threshold_does_not() -> None:
    random = np.random.default_rng(0)
    probe = np.repeat(np.arange(40), 3)
    score = random.normal(size=(120, 40)) + 2.0 * (probe[:, None] == np.arange(40))
    pairs = Comparison(score, probe, np.arange(40))
    few, many = repeated_studies.in_galleries(pairs, (2, 40))
    assert few > many + 0.2
    assert repeated_studies.in_galleries(pairs, (40,), chosen=1) == [
        pytest.approx(identification(pairs, resamples=0).rank[1].value)
    ]
    half = Comparison(score[:60, :20], probe[:60], np.arange(20))
    rates = [
        verification(x, fars=(0.05,), resamples=0).fnmr_at_fmr[0.05].value for x in (pairs, half)
    ]
    assert abs(rates[0] - rates[1]) < 0.15


def test_intervals_over_pictures_are_too_narrow() -> None:
    for seed in (1, 2):
        found = repeated_studies.repeated(200, seed=seed)
        assert found.coverage(found.by_picture) < 0.8 < 0.87 < found.coverage(found.by_person)


def test_the_bootstrap_by_hand_is_the_labs() -> None:
    random = np.random.default_rng(3)
    probe, gallery = np.repeat(np.arange(12), 3), np.arange(12)
    score = random.normal(size=(36, 12)) + 1.5 * (probe[:, None] == gallery)
    pairs, counts = Comparison(score, probe, gallery), draws(12, 1000, 0)
    again = repeated_studies.pair_rates(score >= calibrate(pairs, 0.1), probe, gallery, counts)
    hits = (score >= calibrate(pairs, 0.1))[probe[:, None] == gallery]
    lab = tables.share(~hits, probe, resamples=1000, seed=0)
    assert np.quantile(again[:, 0], [0.025, 0.975]) == pytest.approx([lab.low, lab.high])
    assert again[:, 1].mean() == pytest.approx(0.1, abs=0.02)


# Stored results -----------------------------------------------------------------------------------


def test_the_study_is_read_as_it_was_stored() -> None:
    assert lab_runs.settings()[0] == "sobel-64" and lab_runs.people() == 100
    assert set(lab_runs.attacks()) <= set(lab_runs.NAMES)
    one = lab_runs.rate("sobel-64", "parrot-classical")
    assert one.low < one.value < one.high and str(one) == "52 % (48 to 57)"
    for setting in lab_runs.settings():
        every = [lab_runs.rate(setting, name) for name in lab_runs.attacks()]
        worst = lab_runs.rate(setting, WORST)
        assert worst.value == max(r.value for r in every if r.known)
        assert worst.source in lab_runs.attacks()
        together = lab_runs.rate(setting, WORST, taken="eight together")
        assert together.low > 1 / lab_runs.people(), "the lesson says that none comes down to it"
    assert lab_runs.rate("sobel-64", "no such").why == "not run at this setting"


def test_rates_are_read_in_all_their_forms() -> None:
    assert lab_runs.read([0.5, 0.4, 0.6], "x") == Stored(0.5, 0.4, 0.6, source="x")
    assert not lab_runs.read({"why": "too few"}).known
    assert str(lab_runs.read("no face was found")) == "not known: no face was found"
    assert math.isnan(lab_runs.read([0.5, None, None]).low)


def entry(rate: Any) -> dict[str, Any]:
    return {"verified": rate, "verified_strict": rate, "false": [0.01, 0.0, 0.02]}


@pytest.fixture
def no_tables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Tables and pictures that are not there yet."""
    monkeypatch.setattr(lab_runs, "TABLES", tmp_path / "tables.json")
    lab_runs._tables.cache_clear()
    yield tmp_path / "tables.json"
    lab_runs._tables.cache_clear()


def test_tables_may_be_missing(no_tables: Path) -> None:
    assert lab_runs.table2() is None and lab_runs.swaps("pair") is None
    assert "studies/tables.py table2" in lab_runs.missing("table2")
    assert lab_runs.by_kind() == {kind: {} for kind in tables.KINDS}
    paper = {kind: [0.5] for kind in tables.KINDS}
    assert drawn(recognition_plots.dots(lab_runs.by_kind(), paper=paper))
    assert drawn(recognition_plots.dots({}))
    assert drawn(swap_pictures.sheet(no_tables))


def test_tables_are_read_as_they_will_be_stored(no_tables: Path) -> None:
    kinds = {kind: entry([0.5, 0.4, 0.6]) for kind in tables.KINDS}
    kinds["rendered mesh"] = entry("no face was found")
    score = {"as_target": [0.2, 0.1, 0.3], "as_actor": [0.7, 0.5, 0.8]}
    stored = {
        "table2": {"recognisers": {"arcface_cnn": kinds}},
        "face_swap": {"tools": {"pair": {"original": {"arcface_cnn": score}}}},
    }
    no_tables.write_text(json.dumps(stored))
    assert lab_runs.missing("table2") == ""
    by_kind = lab_runs.by_kind("verified")
    assert by_kind["original"]["arcface_cnn"].value == 0.5
    assert not by_kind["rendered mesh"]["arcface_cnn"].known
    assert drawn(recognition_plots.dots(by_kind))
    swaps = lab_runs.swaps("pair", "as_actor")
    assert swaps is not None and swaps["original"]["arcface_cnn"].value == 0.7
    assert lab_runs.swaps("another") is None


SPOTS = (
    Spot("sobel-64", Stored(1.1, 1.0, 1.2), Stored(0.5, 0.4, 0.6), Stored(0.9, 0.8, 0.95)),
    Spot("noise-0.2", Stored(1.3, 1.1, 1.5), Stored(0.3, 0.2, 0.4), Stored(0.7, 0.6, 0.8), True),
    Spot("full RGB", Stored(0.8, 0.7, 0.9), None, None),
)


def test_the_curve_may_be_missing_or_there(tmp_path: Path, monkeypatch: Any) -> None:
    assert lab_runs.curve(tmp_path / "curve.json") is None
    assert drawn(recognition_plots.privacy_beside_utility(()))
    assert drawn(recognition_plots.privacy_beside_utility(SPOTS))
    for spots in (None, SPOTS):
        monkeypatch.setattr(lab_runs, "curve", lambda spots=spots: spots)
        view = panel.picture(**panel.TWIN[0])
        assert len(view.figure.axes) == (2 if spots is None else 3) and drawn(view.figure)


# Pictures -----------------------------------------------------------------------------------------


def drawn(figure: Any) -> bool:
    data = BytesIO()
    figure.savefig(data, format="png")
    return len(data.getvalue()) > 1000


def test_figures_draw(album: albums.Album, tmp_path: Path) -> None:
    assert drawn(recognition_plots.portraits(small_album.contact_sheet(album, 2), ["a", "b"]))
    moduli = torch.rand(2, 16, 16).numpy()
    assert drawn(recognition_plots.drawings({"a": album.rgb()[:2], "b": moduli}))
    assert drawn(recognition_plots.two_of_31(3, 40)) and drawn(swap_pictures.plan())
    assert drawn(recognition_plots.held(repeated_studies.repeated(50)))
    assert drawn(recognition_plots.galleries((2, 4), {"a": [0.9, 0.8]}))
    pairs = Comparison(np.array([[0.9, 0.1], [0.2, 0.7]]), np.arange(2), np.arange(2))
    assert drawn(recognition_plots.similarities({"a": (pairs, 0.5)}))
    assert drawn(recognition_plots.verdict_curves(pairs, {"a": 0.4, "b": 0.68}))
    sheet = np.random.default_rng(0).integers(0, 255, (8 * 64, 9 * 64, 3)).astype(np.uint8)
    Image.fromarray(sheet).save(tmp_path / "swaps.png")
    figure = swap_pictures.sheet(tmp_path / "swaps.png")
    assert drawn(figure) and len(figure.axes[0].get_yticklabels()) == 8


def test_dots_draw_what_is_known_only() -> None:
    rows = {"a": {"x": Stored(0.5, 0.4, 0.6), "y": Stored(math.nan, why="none")}, "b": {}}
    figure = recognition_plots.dots(rows, 0.01)
    marks = [line for line in figure.axes[0].lines if len(np.atleast_1d(line.get_xdata())) == 1]
    assert len(marks) == 1 and drawn(figure)


# The panel ----------------------------------------------------------------------------------------


def test_the_panel_draws_at_every_end() -> None:
    controls = panel.controls()
    rest = {name: control.value for name, control in controls.items()}
    for name, control in controls.items():
        for value in (values_of(control)[0], values_of(control)[-1]):
            view = panel.picture(**rest | {name: value})
            assert isinstance(view, View) and "chance 1 %" in view.facts
            assert rest["setting"] in view.alt or name == "setting"


def test_the_panel_says_what_was_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = lab_runs._attacks()
    fewer = {k: v for k, v in stored["results"].items() if k != "blur-2.shown"}
    monkeypatch.setattr(lab_runs, "_attacks", lambda: replace_results(stored, fewer))
    view = panel.picture("blur-2", "one picture", "whole", "shown")
    assert "was not run here" in view.facts
    assert "not run" in {text.get_text() for ax in view.figure.axes for text in ax.texts}


def replace_results(stored: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    return stored | {"results": results}


def test_the_twin_shows_how_harmless_a_weak_attack_looks() -> None:
    strong, _, weak, _ = (panel.picture(**setting).facts for setting in panel.TWIN)
    assert "strongest" in strong and "clean network" in weak
    assert replace(SPOTS[0], recommended=True).leak("one picture") == SPOTS[0].alone
    assert wilson_interval(0, 31)[1] < 0.12
