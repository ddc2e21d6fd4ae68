"""Claims about the study of attacks on pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.lab import faces, privacy_study
from privhead_nb.lab.picture_jobs import CLASSICAL, NETWORK, Size
from privhead_nb.lab.privacy_study import run, summary, wanted
from privhead_nb.lab.recognisers.learn import Learning
from privhead_nb.lab.settings import SETTINGS, setting
from privhead_nb.privacy.operators import Operator

FACES = resources.RESULTS / "faces.safetensors"
BRIEF = Learning("arcface", epochs=1, batch=12)
TINY = Size(people=12, attackers=12, network=BRIEF, base=BRIEF, resamples=50)


@pytest.fixture
def _faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve stored faces for each group, in place of portraits that take minutes."""
    front = load_file(FACES)["front"]

    def face_dataset(identities: Any, plan: faces.PortraitPlan, **_: Any) -> faces.FaceDataset:
        who, learning = torch.tensor(list(identities)), plan == faces.LEARNING
        pictures = front[who % 10_000 + (0 if learning else 12)].flatten(0, 1)
        role = torch.tensor([1, 1] if learning else [1, 0]).repeat(len(who))
        return faces.FaceDataset.of_pictures(who.repeat_interleave(2), role, pictures)

    monkeypatch.setattr(faces, "face_dataset", face_dataset)


@pytest.mark.usefixtures("_faces")
def test_a_stopped_study_goes_on_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"workers": 1}
    first = run([("sobel-64", CLASSICAL)], TINY, tmp_path, **options)
    found = first["sobel-64.parrot-classical"]
    value, low, high = found["whole"]["rank1"]
    assert low <= value <= high and low > found["chance"] == pytest.approx(1 / 12, abs=1e-4)
    assert found["whole"]["release"][0] >= value - 0.01  # one probe each: the same
    assert isinstance(found["whole"]["rank5"], list)
    done = []
    work = privacy_study.job
    monkeypatch.setattr(
        privacy_study, "job", lambda given: (done.append(given[:2]), work(given))[1]
    )
    both = run([("sobel-64", CLASSICAL), ("sobel-16", NETWORK)], TINY, tmp_path, **options)
    assert done == [("sobel-16", NETWORK)]
    assert both["sobel-64.parrot-classical"] == found
    assert both["sobel-16.parrot-cnn"]["pixels"] == 16
    assert (tmp_path / "base" / "moduli.safetensors").is_file()
    assert not (tmp_path / "base" / "colours.safetensors").exists()  # nobody asked for it
    other = Size(people=12, attackers=12, network=BRIEF, base=BRIEF, resamples=51)
    with pytest.raises(LabError, match="another version"):
        run([("sobel-64", CLASSICAL)], other, tmp_path, **options)


def result(name: str, attack: str, rank1: Any) -> dict[str, Any]:
    whole = {"rank1": rank1, "release": rank1}
    return {
        "setting": name, "attack": attack, "operator": {}, "pixels": 64, "chance": 0.01,
        "whole": whole,
    }  # fmt: skip


def test_the_summary_names_the_strongest_attack_and_no_abstention_as_privacy() -> None:
    found = summary(
        {
            "a.weak": result("a", "weak", [0.1, 0.05, 0.2]),
            "a.strong": result("a", "strong", [0.6, 0.5, 0.7]),
            "a.none": result("a", "none", {"why": "no face"}),
            "b.none": result("b", "none", {"why": "no face"}),
        }
    )
    assert found["a"]["attack"] == "strong"
    assert found["a"]["rank1"] == [0.6, 0.5, 0.7]
    assert len(found["a"]["attacks"]) == 3
    assert "b" not in found


def test_every_setting_is_one_that_can_be_released() -> None:
    assert setting("sobel-64") == (Operator(), 64)
    for name in SETTINGS:
        operator, size = setting(name)
        assert size in (16, 32, 64)
        assert operator.protect(torch.rand(1, size, size, 3)).shape == (1, size, size)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(LabError, match="no setting 'fog'"):
        wanted(["fog"], [CLASSICAL], False)
    with pytest.raises(LabError, match="no attack 'magic'"):
        wanted(["sobel-64"], ["magic"], False)
