"""Claims about what the stored studies say of a setting of `protect`, and which they recommend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.studies import curve
from benchmarks.studies.curve import Point
from benchmarks.studies.reconstructed_heads import FULL_RGB, Made
from privhead_nb import cli
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import recommendation
from privhead_nb.lab.recommendation import FORMAT, Assessment, assess, differences
from privhead_nb.lab.settings import DEFAULT, setting
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release

ROOT = Path(__file__).parents[1]
ATTACKS = ["no-attack", "parrot-classical", "parrot-cnn", "parrot-two-stems"]


def studied(operator: Operator, pixels: int, alone: float, together: float) -> dict[str, Any]:
    facts = {"operator": operator.to_dict(), "pixels": pixels, "chance": 0.01, "attacks": ATTACKS}
    return facts | {
        "alone": {"attack": "parrot-cnn", "rank1": [alone, alone - 0.05, alone + 0.03]},
        "together": {"attack": "parrot-two-stems", "rank1": [together, together - 0.1, together]},
    }


SETTINGS = {
    "sobel-64": studied(Operator(), 64, 0.8, 0.97),
    "sobel-16": studied(Operator(), 16, 0.3, 0.5),
    "noise-0.1": studied(Operator(noise=0.1), 64, 0.4, 0.9),
    "blur-1": studied(Operator(blur=1.0), 64, 0.7, 0.95),
}
STUDY = {"format": FORMAT, "generator": GENERATOR_VERSION, "people": 100, "views": 8}
Ask = Callable[..., Assessment]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """What a study of these settings says of an operator and a size."""

    def asked(operator: Operator, size: int, settings: dict[str, Any] = SETTINGS) -> Assessment:
        path = tmp_path / "privacy.json"
        path.write_text(json.dumps(STUDY | {"settings": settings}))
        return assess(operator, size, path)

    return asked


# What a setting leaks -----------------------------------------------------------------------------


def test_a_studied_setting_gets_its_own_worst_attack_with_its_interval(ask: Ask) -> None:
    found = ask(Operator(), 64)
    assert (found.setting, found.differs, found.why) == ("sobel-64", (), "")
    assert (found.chance, found.people, found.views, found.attacks) == (0.01, 100, 8, 4)
    said = str(found)
    assert "80% (75% to 83%) by parrot-cnn; 8 pictures 97% (87% to 97%) by parrot-two" in said
    assert "100 made people" in said and "chance 0.01" in said and "not studied" not in said
    assert said.count("\n") == 1 and "privhead study privacy --settings sobel-64" in said
    assert json.loads(json.dumps(found.to_dict()))["together"]["rank1"] == 0.97


def test_a_setting_that_the_strongest_attack_never_saw_says_so(ask: Ask) -> None:
    settings = json.loads(json.dumps(SETTINGS))
    settings["sobel-64"]["attacks"].append("parrot-informed")
    settings["sobel-64"]["alone"]["attack"] = "parrot-informed"
    assert ask(Operator(), 64, settings).untried == ""
    said = str(ask(Operator(), 16, settings))
    assert "parrot-informed, the strongest on sobel-64, was not tried there." in said


@pytest.mark.parametrize(
    ("operator", "size", "nearest", "words"),
    [
        (Operator(noise=0.08), 64, "noise-0.1", "noise 0.08 here, 0.1 there"),
        (Operator(), 24, "sobel-16", "size 24 here, 16 there"),
        (Operator(kind="scharr"), 64, "sobel-64", "operator scharr here, sobel there"),
        (Operator(blur=0.8), 64, "blur-1", "blur 0.8 here"),
        (Operator(levels=200), 64, "sobel-64", "levels 200 here, all there"),
        (Operator(per_channel=False), 64, "sobel-64", "colours luma here"),
    ],
)
def test_a_setting_that_was_not_studied_gets_the_nearest_and_is_told(
    ask: Ask, operator: Operator, size: int, nearest: str, words: str
) -> None:
    found = ask(operator, size)
    assert found.setting == nearest and any(words in one for one in found.differs)
    assert f"was not studied; {nearest} is the nearest" in str(found) and words in str(found)


def test_of_two_equally_near_settings_the_one_that_leaks_more_counts(ask: Ask) -> None:
    both = {
        "low": studied(Operator(blur=1.0), 64, 0.1, 0.2),
        "high": studied(Operator(blur=2.0), 64, 0.3, 0.4),
    }
    assert ask(Operator(blur=1.5), 64, both).setting == "high"
    del both["high"]["together"]
    half = ask(Operator(blur=2.0), 64, both)
    assert half.together is None and "8 pictures" not in str(half)


def test_what_an_operator_does_not_use_makes_no_difference() -> None:
    assert differences(Operator(sigma=2.0), 64, Operator(), 64) == []
    gaussian = Operator(kind="gaussian", kernel_size=7)
    assert differences(replace(gaussian, sigma=2.0), 64, gaussian, 64)[0][0] == 1.0


def test_without_a_study_it_says_so_and_a_release_never_fails_for_it(tmp_path: Path) -> None:
    none = assess(Operator(), 64, tmp_path / "none.json")
    assert "not known how well this protects" in str(none) and none.alone is None
    assert none.to_dict() == {"why": "not studied yet", "command": "privhead study privacy"}
    path = tmp_path / "privacy.json"
    for changed, why in (
        ({"format": 99}, "another version"),
        ({"generator": -1}, "another version"),
        ({"settings": {}}, "not studied yet"),
        ({"settings": {"a": {"pixels": 64}}}, "can't be read"),
    ):
        path.write_text(json.dumps(STUDY | changed))
        assert why in assess(Operator(), 64, path).why
    assert "can't be read" in assess(Operator(), 64, tmp_path).why  # a folder


# What it costs ------------------------------------------------------------------------------------


def made(name: str, chamfers: list[float]) -> list[Made]:
    return [Made(i, name, Path(), c, 2 * c, 1.0) for i, c in enumerate(chamfers)]


def leaks(*names: str) -> dict[str, Any]:
    kinds = {k: {"attack": k, "rank1": [0.9, 0.45, 0.9]} for k in ("alone", "together")}
    return {"settings": dict.fromkeys(names, kinds)}


def test_points_compare_the_same_people() -> None:
    heads = [*made(DEFAULT, [1.0, 2.0]), *made("noise-0.2", [1.5, 3.0]), *made(FULL_RGB, [0.5, 1])]
    plain, noisy, full = curve.points(heads, leaks(DEFAULT, "noise-0.2"))
    assert plain.chamfer_mm[0] == 1.5 and plain.chamfer_ratio == (1.0, 1.0, 1.0)
    assert noisy.chamfer_ratio == noisy.normals_ratio == (1.5, 1.5, 1.5) and noisy.people == 2
    assert full.together is None and full.chamfer_ratio[0] == 0.5
    assert plain.attacks == ("alone", "together") and plain.together == (0.9, 0.45, 0.9)
    one = made(DEFAULT, [1.0])
    for heads, said in (
        (made("noise-0.2", [1.0]), "person by person"),
        (one + made("blur-1", [1.0, 2.0]), "person by person"),
        (one + made("blur-1", [1.0]), "privhead study privacy --settings blur-1"),
    ):
        with pytest.raises(LabError, match=said):
            curve.points(heads, leaks(DEFAULT))


def point(name: str, chamfer: float, normals: float, together: float | None) -> Point:
    one = (1.0, 1.0, 1.0)
    leak = None if together is None else (together, 0.0, 1.0)
    return Point(name, one, one, (chamfer, 0.5, 2.0), (normals, 0.5, 2.0), 3, leak, leak)


def test_recommended_leaks_least_of_those_that_cost_little() -> None:
    plain = point(DEFAULT, 1.0, 1.0, 0.9)
    good, coarse = point("noise-0.2", 1.05, 1.02, 0.7), point("sobel-16", 2.0, 1.5, 0.1)
    ugly = point("blur-2", 1.0, 1.2, 0.2)  # a good distance with bad normals is not good
    full = point(FULL_RGB, 0.8, 0.8, None)
    assert curve.recommended([plain, good, coarse, ugly, full]) is good
    assert curve.recommended([plain, coarse, full]) is plain
    with pytest.raises(LabError, match="not on the curve"):
        curve.recommended([good])


def test_the_stored_curve_is_what_the_stored_study_says() -> None:
    stored = json.loads(recommendation.CURVE.read_text())
    privacy = json.loads(recommendation.RESULTS.read_text())["settings"]
    found = {}
    for name, one in stored["settings"].items():
        found[name] = Point(**{k: v for k, v in one.items() if k in Point.__annotations__})
    best = curve.recommended(found.values())
    assert best.name == stored["recommended"] == recommendation.recommended()
    assert found.keys() == {*curve.RECONSTRUCTED, FULL_RGB}
    for name, one in found.items():
        mean, low, high = one.chamfer_mm
        assert one.people == 10 and 0 < low <= mean <= high < 20
        again = None if name == FULL_RGB else privacy[name]["together"]["rank1"]
        assert one.together == again, "run `curve.py run` after a new privacy.json"


def test_protect_takes_a_setting_by_name_and_the_recommended_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = ROOT / "data_samples" / "scene"

    def protect(out: str, *more: str) -> Any:
        return CliRunner().invoke(cli.app, ["protect", str(scene), str(tmp_path / out), *more])

    stored = tmp_path / "curve.json"
    stored.write_text(json.dumps({"generator": 1, "recommended": "noise-0.2"}))
    monkeypatch.setattr(recommendation, "CURVE", stored)
    done = protect("a", "--setting", "recommended")
    release = Release.load(tmp_path / "a")
    assert done.exit_code == 0 and (release.operator, release.size) == setting("noise-0.2")
    assert "recommends" not in done.output
    plain = protect("b", "--json")
    assert json.loads(plain.stdout)["study"]["recommended"] == "noise-0.2"
    assert "The study recommends --setting noise-0.2: pictures together" in protect("c").output
    for options, remedy in (
        (["fog"], "Settings: sobel-64"),
        (["luma", "--blur", "1"], "Leave the other options"),
    ):
        done = protect("d", "--setting", *options)
        assert done.exit_code == 2 and remedy in done.output and not (tmp_path / "d").exists()
    for text in ("[]", '{"generator": 1, "recommended": "fog"}', '{"generator": 0}'):
        stored.write_text(text)
        assert recommendation.recommended() == "" == recommendation.suggestion(Operator(), 64)
    with pytest.raises(LabError, match=r"curve\.py run"):
        recommendation.named("recommended")


@pytest.mark.slow
def test_the_small_study_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/studies/curve.py", "run", "--small", "--workers", "1"],
        cwd=ROOT, env=os.environ | {"PRIVHEAD_LAB": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Recommended: " in done.stdout and (tmp_path / "curve_small.json").is_file()
