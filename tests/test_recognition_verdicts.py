"""Verdicts of other libraries' recognisers: against fakes, and for real where installed."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import fake_recognisers
import pytest
import torch
from fake_recognisers import pictures
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab import albums
from privhead_nb.lab.recognition import adapters, verdicts


@pytest.fixture
def fake_deepface(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    return fake_recognisers.deepface(monkeypatch, tmp_path)


@pytest.fixture
def fake_dlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    return fake_recognisers.dlib(monkeypatch, tmp_path)


def test_a_verdict_says_by_what_and_fits_json(fake_dlib: SimpleNamespace) -> None:
    one = adapters.face_recognition()
    near, far = verdicts.verify(one, pictures(0.2, 0.2), pictures(0.5, 0.9))
    assert near.distance == pytest.approx(0.3, abs=0.01) and near.verified is True
    assert far.distance == pytest.approx(0.7, abs=0.01) and far.verified is False
    stored = json.loads(json.dumps(dataclasses.asdict(near)))
    assert 0 < stored.pop("seconds") < 60 and stored.pop("distance") > 0
    assert stored == {
        "library": "face_recognition",
        "version": "1.3.0",
        "runs_on": "dlib 20.0",
        "model": "dlib",
        "detector": "hog",
        "metric": "euclidean",
        "threshold": 0.6,
        "threshold_from": "face_recognition 1.3.0",
        "library_threshold": 0.6,
        "table_threshold": 0.6,
        "table_source": verdicts.IDEUDEMON_FACENET.source,
        "found": [True, True],
        "verified": True,
    }
    assert not near.differ


def test_a_missed_face_is_neither_same_nor_different(fake_dlib: SimpleNamespace) -> None:
    (verdict,) = verdicts.verify(adapters.face_recognition(), pictures(0.9), pictures(0.0))
    assert verdict.found == (True, False)
    assert verdict.distance is None and verdict.verified is None
    json.dumps(dataclasses.asdict(verdict), allow_nan=False)


def test_where_thresholds_differ_the_library_s_decides_and_both_are_kept(
    fake_deepface: SimpleNamespace,
) -> None:
    first, second = pictures(0.2), pictures(0.9)
    ours = adapters.deepface("ArcFace")
    assert ours.version == "9.9.9" and ours.runs_on == "pytorch"
    assert "0.68 (deepface 9.9.9)" in ours.note and "our table" not in ours.note
    assert verdicts.verify(ours, first, second)[0].verified
    fake_deepface.thresholds["cosine"] = 0.05
    (verdict,) = verdicts.verify(adapters.deepface("ArcFace"), first, second)
    assert verdict.verified is False and verdict.differ
    assert (verdict.threshold, verdict.library_threshold, verdict.table_threshold) == (
        0.05,
        0.05,
        0.68,
    )
    assert "our table says 0.68" in adapters.deepface("ArcFace").note


def test_the_table_decides_where_the_library_is_silent_and_anyone_may_ask_for_another(
    fake_deepface: SimpleNamespace,
) -> None:
    fake_deepface.thresholds.clear()
    one = adapters.deepface("ArcFace")
    (verdict,) = verdicts.verify(one, pictures(0.2), pictures(0.9))
    assert verdict.threshold == 0.68 and verdict.library_threshold is None
    assert "threshold.py" in verdict.threshold_from
    other = verdicts.Published(0.01, "a paper")
    (verdict,) = verdicts.verify(one, pictures(0.2), pictures(0.9), threshold=other)
    assert verdict.verified is False and verdict.threshold_from == "a paper"
    unknown = adapters.deepface("ArcFace", metric="angular")
    assert "no threshold known" in unknown.note
    with pytest.raises(LabError, match=r"no threshold.*angular"):
        verdicts.verify(unknown, pictures(0.2), pictures(0.9))
    with pytest.raises(LabError, match="as many first as second"):
        verdicts.verify(one, pictures(0.2), pictures(0.9, 0.8))


def test_the_table_is_the_design_s() -> None:
    table = {m: p.threshold for (lib, m, _), p in verdicts.PUBLISHED.items() if lib == "deepface"}
    wanted = {"VGG-Face": 0.68, "Facenet": 0.40, "Facenet512": 0.30, "ArcFace": 0.68}
    wanted |= {"Dlib": 0.07, "SFace": 0.593, "OpenFace": 0.10, "GhostFaceNet": 0.65}
    assert wanted.items() <= table.items()
    assert set(table) == set(adapters.DEEPFACE_WEIGHTS)
    assert verdicts.PUBLISHED["face_recognition", "dlib", "euclidean"].threshold == 0.6
    assert verdicts.IDEUDEMON_FACENET.threshold == 1.1


def test_distances() -> None:
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    found = [verdicts.distance(a, b, m) for m in ("cosine", "euclidean", "euclidean_l2", "angular")]
    assert found == pytest.approx([1.0, 5.0, 2**0.5, 0.5])
    assert verdicts.distance(a, a, "angular") == pytest.approx(0.0, abs=1e-6)


# For real, where installed -----------------------------------------------------------------------


@cache
def portraits() -> Tensor:
    """(2, 64, 64, 3) one made person from the front and from behind; takes seconds."""
    album = albums.portraits(40_000, albums.Plan(views=0, faces=1, rear=1))
    return torch.cat([album.frontals().rgb(), album.rears().rgb()])


def test_face_recognition_for_real() -> None:
    why = "face_recognition is optional: docs/recognisers.md"
    for name in ("face_recognition_models", "face_recognition"):
        pytest.importorskip(name, reason=why, exc_type=ImportError)
    one = adapters.face_recognition()
    assert one.threshold == verdicts.Published(0.6, f"face_recognition {one.version}")
    front = portraits()[:1]
    same, behind = verdicts.verify(one, torch.cat([front, front]), portraits())
    assert same.verified and same.distance == pytest.approx(0, abs=1e-6)
    assert behind.found == (True, False) and behind.verified is None
    assert adapters.face_recognition(detector="skip").embed(portraits())[1].all()


def test_deepface_for_real() -> None:
    pytest.importorskip("deepface", reason="deepface is optional: docs/recognisers.md")
    engine = adapters._engine()
    there = [m for m in adapters.DEEPFACE_WEIGHTS if adapters.deepface_weights(m, engine).is_file()]
    missing = [m for m in adapters.DEEPFACE_WEIGHTS if m not in there]
    for model in missing:
        with pytest.raises(LabError, match="are missing"):
            adapters.deepface(model)
    if not there:
        pytest.skip("none of deepface's weights is in place: docs/recognisers.md")
    one = adapters.deepface(there[0])
    front = portraits()[:1]
    (same,) = verdicts.verify(one, front, front)
    assert same.verified and same.distance == pytest.approx(0, abs=1e-5)
    assert same.library_threshold is not None
