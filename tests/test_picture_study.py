"""Claims about the study of attacks on pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from front_faces import front_faces

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.lab import faces, privacy_study
from privhead_nb.lab.picture_jobs import CLASSICAL, FULL, NETWORK, Size
from privhead_nb.lab.privacy_study import run, summary
from privhead_nb.lab.recognisers.learn import Learning
from privhead_nb.lab.settings import SETTINGS, setting
from privhead_nb.privacy.operators import Operator

BRIEF = Learning("arcface", epochs=1, batch=12)
TINY = Size(
    people=12, attackers=12, network=BRIEF, base=BRIEF, any=BRIEF, at_one=BRIEF, resamples=50
)


@pytest.fixture
def _faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve stored faces for each group, in place of portraits that take minutes."""

    def face_dataset(identities: Any, plan: faces.PortraitPlan, **_: Any) -> faces.FaceDataset:
        who, learning = torch.tensor(list(identities)), plan == faces.LEARNING
        stored = front_faces((who % 10_000 + (0 if learning else 12)).tolist())
        role = torch.ones_like(stored.role) if learning else stored.role
        return replace(stored, identity=who.repeat_interleave(2), role=role)

    monkeypatch.setattr(faces, "face_dataset", face_dataset)


@pytest.mark.usefixtures("_faces")
def test_a_stopped_study_goes_on_and_keeps_what_it_has(tmp_path, monkeypatch):
    options: dict[str, Any] = {"workers": 1}
    first = run([("sobel-64", CLASSICAL)], TINY, tmp_path, **options)
    found = first["sobel-64.parrot-classical"]
    value, low, high = found["whole"]["rank1"]
    assert low <= value <= high and low > found["chance"] == pytest.approx(1 / 12, abs=1e-4)
    assert found["whole"]["release"][0] >= value - 0.01  # one probe each: the same
    assert isinstance(found["whole"]["rank5"], list)
    work, done = privacy_study.job, []
    monkeypatch.setattr(
        privacy_study, "job", lambda given: (done.append(given[:2]), work(given))[1]
    )
    both = run([("sobel-64", CLASSICAL), ("sobel-16", NETWORK)], TINY, tmp_path, **options)
    assert done == [("sobel-16", NETWORK)]
    assert both["sobel-64.parrot-classical"] == found
    assert both["sobel-16.parrot-cnn"]["pixels"] == 16
    assert (tmp_path / "base" / "moduli.safetensors").is_file()
    assert not (tmp_path / "base" / "colours.safetensors").exists()  # nobody asked for it
    with pytest.raises(LabError, match="another version"):
        run([("sobel-64", CLASSICAL)], replace(TINY, resamples=51), tmp_path, **options)


def result(attack: str, rank1: Any) -> dict[str, Any]:
    facts = {"setting": "blur-1", "operator": {}, "pixels": 64, "chance": 0.01}
    return facts | {"attack": attack, "whole": {"rank1": rank1, "release": rank1}}


def test_the_summary_names_the_strongest_attack_and_no_abstention_as_privacy():
    none = result("none", {"why": "no face"})
    results = {
        "weak": result("weak", [0.1, 0.05, 0.2]),
        "strong": result("strong", [0.6, 0.5, 0.7]),
        "none": none,
        "other": none | {"setting": "luma"},
    }
    settings = summary(results, TINY)["settings"]
    found = settings.pop("blur-1")
    assert found["alone"] == found["together"] == {"attack": "strong", "rank1": [0.6, 0.5, 0.7]}
    assert found["attacks"] == ["weak", "strong", "none"] and settings == {}


def test_what_is_stored_is_the_summary_of_what_the_attacks_found():
    """Of `privhead study privacy --store` and of `studies/picture_attacks.py`: one study."""
    runs, privacy = (
        json.loads((resources.RESULTS / f"{name}.json").read_text())
        for name in ("picture_attacks", "privacy")
    )
    assert json.loads(json.dumps(summary(runs["results"], FULL))) == privacy


def test_every_setting_is_one_that_can_be_released():
    assert setting("sobel-64") == (Operator(), 64)
    for name in SETTINGS:
        operator, size = setting(name)
        assert size in (16, 32, 64)
        assert operator.protect(torch.rand(1, size, size, 3)).shape == (1, size, size)
