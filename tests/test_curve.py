"""Claims about the curve of privacy and utility, and the setting that it recommends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from privhead_nb import cli
from privhead_nb.errors import LabError
from privhead_nb.lab import advice, curve
from privhead_nb.lab.curve import Point
from privhead_nb.lab.reconstructions import FULL_RGB, Made
from privhead_nb.lab.settings import DEFAULT, SETTINGS, setting
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release

ROOT = Path(__file__).parents[1]


def made(name: str, chamfers: list[float]) -> list[Made]:
    return [Made(i, name, Path(), c, 2 * c, 1.0) for i, c in enumerate(chamfers)]


def leaks(**together: float) -> dict[str, Any]:
    return {
        "settings": {
            name.replace("_", "-"): {
                kind: {"attack": kind, "rank1": [rate, rate / 2, rate]}
                for kind in ("alone", "together")
            }
            for name, rate in together.items()
        }
    }


def test_points_compare_the_same_people() -> None:
    heads = [*made(DEFAULT, [1.0, 2.0]), *made("noise-0.2", [1.5, 3.0]), *made(FULL_RGB, [0.5, 1])]
    privacy = leaks(sobel_64=0.9) | {}
    privacy["settings"]["noise-0.2"] = privacy["settings"]["sobel-64"]
    plain, noisy, full = curve.points(heads, privacy)
    assert plain.chamfer_mm[0] == 1.5 and plain.chamfer_ratio == (1.0, 1.0, 1.0)
    assert noisy.chamfer_ratio == noisy.normals_ratio == (1.5, 1.5, 1.5) and noisy.people == 2
    assert full.together is None and full.chamfer_ratio[0] == 0.5
    assert plain.attacks == ("alone", "together") and plain.together == (0.9, 0.45, 0.9)


def test_points_refuse_what_cannot_be_compared() -> None:
    for heads in (made("noise-0.2", [1.0]), [*made(DEFAULT, [1.0]), *made("blur-1", [1.0, 2.0])]):
        with pytest.raises(LabError, match="person by person"):
            curve.points(heads, leaks(sobel_64=0.9))
    with pytest.raises(LabError, match="privhead study privacy --settings blur-1"):
        curve.points([*made(DEFAULT, [1.0]), *made("blur-1", [1.0])], leaks(sobel_64=0.9))


def point(name: str, chamfer: float, normals: float, together: float | None) -> Point:
    one = (1.0, 1.0, 1.0)
    rate = None if together is None else (together, 0.0, 1.0)
    return Point(
        name, one, one, (chamfer, 0.5, 2.0), (normals, 0.5, 2.0), 3, rate, rate, ("a", "b")
    )


def test_recommended_leaks_least_of_those_that_cost_little() -> None:
    plain = point(DEFAULT, 1.0, 1.0, 0.9)
    good, coarse = point("noise-0.2", 1.05, 1.02, 0.7), point("sobel-16", 2.0, 1.5, 0.1)
    ugly = point("blur-2", 1.0, 1.2, 0.2)  # a good distance with bad normals is not good
    full = point(FULL_RGB, 0.8, 0.8, None)
    assert curve.recommended([plain, good, coarse, ugly, full]) is good
    assert curve.recommended([plain, coarse, full]) is plain
    with pytest.raises(LabError, match="not on the curve"):
        curve.recommended([good])


def test_a_curve_reads_as_it_was_stored(tmp_path: Path) -> None:
    found = [point(DEFAULT, 1.0, 1.0, 0.9), point(FULL_RGB, 0.8, 0.8, None)]
    path = tmp_path / "curve.json"
    path.write_text(json.dumps(curve.to_dict(found, "x", "ci")))
    assert curve.read(path) == (found, DEFAULT)
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    with pytest.raises(LabError, match="another version"):
        curve.read(path)


def test_the_stored_curve_is_what_the_stored_study_says() -> None:
    found, best = curve.read()
    privacy = json.loads(advice.RESULTS.read_text())["settings"]
    assert curve.recommended(found).name == best == advice.recommendation()
    assert {p.name for p in found} == {*curve.SETTINGS, FULL_RGB}
    for p in found:
        assert p.people == 10 and 0 < p.chamfer_mm[1] <= p.chamfer_mm[0] <= p.chamfer_mm[2] < 20
        if p.name != FULL_RGB:
            assert list(p.together or ()) == privacy[p.name]["together"]["rank1"], (
                "run `python benchmarks/studies/curve.py run` after a new privacy.json"
            )


def test_protect_takes_a_setting_by_name_and_the_recommended_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = ROOT / "data_samples" / "scene"

    def protect(out: str, *more: str) -> Any:
        return CliRunner().invoke(cli.app, ["protect", str(scene), str(tmp_path / out), *more])

    stored = tmp_path / "curve.json"
    stored.write_text(json.dumps({"generator": 1, "recommended": "noise-0.2"}))
    monkeypatch.setattr(advice, "CURVE", stored)
    done = protect("a", "--setting", "recommended")
    release = Release.load(tmp_path / "a")
    assert done.exit_code == 0 and (release.operator, release.size) == setting("noise-0.2")
    assert "recommends" not in done.output
    plain = protect("b", "--json")
    assert json.loads(plain.stdout)["study"]["recommended"] == "noise-0.2"
    assert "The study recommends --setting noise-0.2: pictures together" in protect("c").output
    for name, remedy in {"fog": "Settings: sobel-64", "luma": ""}.items():
        done = protect("d", "--setting", name, *(("--blur", "1") if name == "luma" else ()))
        assert done.exit_code == 2 and (remedy or "Leave the other options") in done.output
        assert not (tmp_path / "d").exists()


def test_nothing_is_recommended_without_a_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advice, "CURVE", tmp_path / "none.json")
    assert advice.recommendation() == "" == advice.suggestion(Operator(), 64)
    with pytest.raises(LabError, match=r"curve_study\.py run"):
        advice.named("recommended")
    for text in ("{", "[]", '{"generator": 1, "recommended": "fog"}', '{"generator": 0}'):
        (tmp_path / "none.json").write_text(text)
        assert advice.recommendation() == ""


def test_every_setting_is_an_operator_and_a_size() -> None:
    assert all(16 <= setting(name)[1] <= 64 for name in SETTINGS)
    assert setting(DEFAULT) == (Operator(), 64) and replace(setting("blur-2")[0], blur=0.0) == (
        Operator()
    )


def test_the_small_study_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/studies/curve.py", "run", "--small", "--workers", "1"],
        cwd=ROOT, env=os.environ | {"PRIVHEAD_LAB": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Recommended: " in done.stdout and (tmp_path / "curve_small.json").is_file()
