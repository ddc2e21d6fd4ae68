"""Claims about the study of attacks on pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from privhead_nb import resources
from privhead_nb.errors import LabError
from privhead_nb.lab import albums, picture_study
from privhead_nb.lab.picture_jobs import (
    CLASSICAL,
    NETWORK,
    Size,
)
from privhead_nb.lab.picture_study import run, summary
from privhead_nb.lab.recognition.learn import Learning
from privhead_nb.lab.settings import SETTINGS, setting

FACES = resources.RESULTS / "faces.safetensors"
BRIEF = Learning("arcface", epochs=1, batch=12)
TINY = Size(people=12, attackers=12, network=BRIEF, base=BRIEF, resamples=50)


@pytest.fixture
def _faces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve stored faces for each group, in place of albums that take minutes."""
    front = load_file(FACES)["front"]

    def make_album(identities: Any, plan: albums.Plan, **_: Any) -> albums.Album:
        who = torch.tensor(list(identities))
        rows = who % 10_000 + (0 if plan == albums.LEARNING else 12)
        pictures = front[rows].flatten(0, 1)
        N = len(pictures)
        role = torch.ones(N) if plan == albums.LEARNING else torch.tensor([1, 0]).repeat(len(who))
        return albums.Album(
            identity=who.repeat_interleave(2),
            role=role.long(),
            yaw=torch.zeros(N),
            pictures=pictures[:, None].expand(-1, 3, -1, -1, -1).contiguous(),
            masks=torch.zeros(N, 64, 64, dtype=torch.uint8),
            normals=torch.zeros(N, 64, 64, 3, dtype=torch.int8),
        )

    monkeypatch.setattr(albums, "make_album", make_album)


@pytest.mark.usefixtures("_faces")
def test_a_stopped_study_goes_on_and_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"workers": 1, "progress": False}
    first = run([("sobel-64", CLASSICAL)], TINY, tmp_path, **options)
    found = first["sobel-64.parrot-classical"]
    value, low, high = found["whole"]["rank1"]
    assert low <= value <= high and low > found["chance"] == pytest.approx(1 / 12, abs=1e-4)
    assert found["whole"]["release"][0] >= value - 0.01  # one probe each: the same
    assert isinstance(found["whole"]["rank5"], list)
    done = []
    work = picture_study.job
    monkeypatch.setattr(
        picture_study, "job", lambda given: (done.append(given[:2]), work(given))[1]
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
    for name in SETTINGS:
        operator, size = setting(name)
        assert size in (16, 32, 64)
        assert operator.protect(torch.rand(1, size, size, 3)).shape == (1, size, size)


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no setting 'fog'"):
        run([("fog", CLASSICAL)], TINY, tmp_path)
    with pytest.raises(LabError, match="no attack 'magic'"):
        run([("sobel-64", "magic")], TINY, tmp_path)
