"""Claims about what the stored study says of a setting of `protect`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab.advice import FORMAT, advice, differences
from privhead_nb.privacy.operators import Operator


def setting(operator: Operator, pixels: int, alone: float, together: float) -> dict[str, Any]:
    return {
        "operator": operator.to_dict(),
        "pixels": pixels,
        "chance": 0.01,
        "attacks": ["shown", "parrot-classical", "parrot-cnn", "parrot-two-stems"],
        "alone": {"attack": "parrot-cnn", "rank1": [alone, alone - 0.05, alone + 0.03]},
        "together": {"attack": "parrot-two-stems", "rank1": [together, together - 0.1, together]},
    }


STUDY: dict[str, Any] = {
    "format": FORMAT,
    "command": "privhead study privacy",
    "generator": GENERATOR_VERSION,
    "people": 100,
    "views": 8,
    "settings": {
        "sobel-64": setting(Operator(), 64, 0.8, 0.97),
        "sobel-16": setting(Operator(), 16, 0.3, 0.5),
        "noise-0.1": setting(Operator(noise=0.1), 64, 0.4, 0.9),
        "blur-1": setting(Operator(blur=1.0), 64, 0.7, 0.95),
    },
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "privacy.json"
    path.write_text(json.dumps(STUDY))
    return path


def test_a_studied_setting_gets_its_own_worst_attack_with_its_interval(file: Path) -> None:
    found = advice(Operator(), 64, file)
    assert (found.setting, found.differs, found.why) == ("sobel-64", (), "")
    assert found.alone is not None and found.together is not None
    interval = (found.alone.rank1, found.alone.low, found.alone.high)
    assert interval == pytest.approx((0.8, 0.75, 0.83))
    assert found.together.attack == "parrot-two-stems"
    assert (found.chance, found.people, found.views, found.attacks) == (0.01, 100, 8, 4)
    said = str(found)
    assert "80% (75% to 83%) by parrot-cnn" in said and "97% (87% to 97%)" in said
    assert "100 made people" in said and "chance 0.01" in said and "not studied" not in said
    assert said.count("\n") == 1 and "privhead study privacy --settings sobel-64" in said
    assert json.loads(json.dumps(found.to_dict()))["together"]["rank1"] == 0.97


def test_a_setting_that_the_strongest_attack_never_saw_says_so(tmp_path: Path) -> None:
    study = json.loads(json.dumps(STUDY))
    study["settings"]["sobel-64"]["attacks"].append("parrot-informed")
    study["settings"]["sobel-64"]["alone"]["attack"] = "parrot-informed"
    path = tmp_path / "privacy.json"
    path.write_text(json.dumps(study))
    assert advice(Operator(), 64, path).untried == ""
    found = advice(Operator(), 16, path)
    assert found.untried == "parrot-informed" and found.attacks == 4
    assert "parrot-informed, the strongest on sobel-64, was not tried there." in str(found)


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
    file: Path, operator: Operator, size: int, nearest: str, words: str
) -> None:
    found = advice(operator, size, file)
    assert found.setting == nearest
    assert any(words in one for one in found.differs)
    assert f"was not studied; {nearest} is the nearest" in str(found) and words in str(found)


def test_of_two_equally_near_settings_the_one_that_leaks_more_counts(tmp_path: Path) -> None:
    both = {
        "low": setting(Operator(blur=1.0), 64, 0.1, 0.2),
        "high": setting(Operator(blur=2.0), 64, 0.3, 0.4),
    }
    path = tmp_path / "s.json"
    path.write_text(json.dumps(STUDY | {"settings": both}))
    assert advice(Operator(blur=1.5), 64, path).setting == "high"


def test_what_an_operator_does_not_use_makes_no_difference() -> None:
    assert differences(Operator(sigma=2.0), 64, Operator(), 64) == []
    gaussian = Operator(kind="gaussian", kernel_size=7)
    assert differences(replace(gaussian, sigma=2.0), 64, gaussian, 64)[0][0] == 1.0


def test_without_a_study_it_says_so_and_a_release_never_fails_for_it(tmp_path: Path) -> None:
    none = advice(Operator(), 64, tmp_path / "none.json")
    assert none.why == "not studied yet" and none.alone is None
    assert "not known how well this protects" in str(none)
    assert none.to_dict() == {"why": "not studied yet", "command": "privhead study privacy"}
    path = tmp_path / "privacy.json"
    for text, why in {
        "{": "can't be read",
        "[]": "can't be read",
        json.dumps(STUDY | {"format": 99}): "another version",
        json.dumps(STUDY | {"generator": -1}): "another version",
        json.dumps(STUDY | {"settings": {}}): "not studied yet",
        json.dumps(STUDY | {"settings": {"a": {"pixels": 64}}}): "can't be read",
    }.items():
        path.write_text(text)
        assert why in advice(Operator(), 64, path).why
    assert "can't be read" in advice(Operator(), 64, tmp_path).why  # a folder


def test_a_setting_where_only_one_measure_is_known(tmp_path: Path) -> None:
    half = setting(Operator(), 64, 0.5, 0.6)
    del half["together"]
    path = tmp_path / "s.json"
    path.write_text(json.dumps(STUDY | {"settings": {"half": half}}))
    found = advice(Operator(), 64, path)
    assert found.together is None and "8 pictures" not in str(found)
