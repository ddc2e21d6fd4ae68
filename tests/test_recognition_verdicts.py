"""deepface's recognisers, and verdicts: against a fake, and for real where deepface is installed.

The fake has the names, arguments and answers of deepface 0.0.103.
"""

from __future__ import annotations

import dataclasses
import json
import socket
import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.studies import deepface_models, dlib_recogniser
from privhead_nb.errors import LabError
from privhead_nb.lab import faces
from privhead_nb.lab.recognisers import published, verdicts


class FaceNotDetected(ValueError):  # noqa: N818
    """As deepface calls it."""


def module(monkeypatch: pytest.MonkeyPatch, name: str, **parts: Any) -> None:
    made = ModuleType(name)
    made.__path__ = []
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
        raise dlib_recogniser.importlib.metadata.PackageNotFoundError(name)

    module(monkeypatch, "deepface", __version__="9.9.9")
    module(monkeypatch, "deepface.DeepFace", represent=represent)
    module(monkeypatch, "deepface.commons")
    module(monkeypatch, "deepface.commons.backend_utils", get_backend_engine=lambda: "pytorch")
    module(monkeypatch, "deepface.modules")
    module(monkeypatch, "deepface.modules.verification", find_threshold=find_threshold)
    monkeypatch.setattr(dlib_recogniser.importlib.metadata, "version", no_metadata)
    return state


def redness(x: Tensor) -> Tensor:
    """(N, H, H, 3) -> (N, 3), as the fake's templates; no face in pictures that are dark."""
    red = x[..., 0].mean((1, 2))
    found = torch.stack([red, torch.full_like(red, 0.5), torch.zeros_like(red)], 1)
    return torch.where(red[:, None] < 0.1, torch.nan, found)


def dlib_like() -> verdicts.Installed:
    """A recogniser with dlib's name and published threshold."""
    return verdicts.Installed(
        "dlib", redness, library="dlib", version="20.0", runs_on="dlib 20.0", detector="hog",
        model="face_recognition_resnet_model_v1", metric="euclidean",
    )  # fmt: skip


# What is missing ----------------------------------------------------------------------------------


def test_what_a_library_lacks_is_named_with_its_pip_line(fake_deepface, monkeypatch, tmp_path):
    for options, said in (
        ({"model": "Deepest"}, r"no model 'Deepest'.*ArcFace"),
        ({"metric": "feeling"}, r"no metric 'feeling'.*cosine"),
    ):
        with pytest.raises(LabError, match=said):
            deepface_models.deepface(**options)
    fake_deepface.error = ImportError("No module named 'dlib'")
    with pytest.raises(LabError, match="No module named 'dlib'"):
        deepface_models.deepface("ArcFace")
    monkeypatch.setitem(sys.modules, "a_missing", None)
    # a library may call quit() while it is imported, or can't open a file
    (tmp_path / "a_quitter.py").write_text("raise SystemExit")
    (tmp_path / "a_file.py").write_text("raise RuntimeError('no x.dat')")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, said in {
        "a_missing": "is not installed",
        "a_quitter": "it won't start",
        "a_file": "it won't start",
    }.items():
        with pytest.raises(LabError, match=rf"{said}.*pip install {name}"):
            published.optional(name, f"pip install {name}")


def test_nothing_can_be_fetched_meanwhile_and_all_can_be_afterwards(fake_deepface, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: asked.append(a[0]))

    def fetch(**options: Any) -> None:
        socket.getaddrinfo("weights.example", 443)

    monkeypatch.setattr(sys.modules["deepface.DeepFace"], "represent", fetch)
    with pytest.raises(
        LabError, match=r"fetched here \(weights.example.*Fetch the weights yourself"
    ):
        deepface_models.deepface("ArcFace")
    assert asked == []
    with deepface_models.offline():
        other = threading.Thread(target=lambda: socket.getaddrinfo("another.example", 1))
        other.start()
        other.join()
    socket.getaddrinfo("weights.example", 443)
    assert asked == ["another.example", "weights.example"]


# Pictures and templates ---------------------------------------------------------------------------


def test_pictures_are_enlarged_bytes():
    x = torch.rand(2, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    large = dlib_recogniser.as_pixels(x, 256)
    assert large.shape == (2, 256, 256, 3) and large.dtype == np.uint8
    assert np.abs(large.mean((1, 2)) / 255 - x.mean((1, 2)).numpy()).max() < 0.01
    assert np.array_equal(dlib_recogniser.as_pixels(x, 32), (x * 255).round().byte().numpy())
    grey = dlib_recogniser.as_pixels(x[..., :1], 64)
    assert (grey == grey[..., :1]).all() and grey.shape[-1] == 3
    for bad in (x[0], x[..., :2], x / 0):
        with pytest.raises(LabError, match="pictures of shape"):
            dlib_recogniser.as_pixels(bad, 64)


def test_deepface_gets_blue_first_and_the_largest_face_counts(fake_deepface):
    """Without a detector the face is cut out where frontal portraits have it."""
    assert deepface_models.deepface("ArcFace").embed(pictures(0.0, 0.9))[1].all()
    assert fake_deepface.calls[-1][0] == (102, 102, 3)
    assert fake_deepface.calls[-1][2] == "skip"
    one = deepface_models.deepface("ArcFace", detector="mtcnn")
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


# Verdicts -----------------------------------------------------------------------------------------


def test_a_verdict_says_by_what_fits_json_and_is_none_of_a_missed_face():
    one = dlib_like()
    near, far, missed = verdicts.verify(one, pictures(0.2, 0.2, 0.9), pictures(0.5, 0.9, 0.0))
    assert (near.distance, far.distance) == pytest.approx((0.3, 0.7), abs=0.01)
    assert (near.verified, far.verified, near.differ) == (True, False, False)
    stored = json.loads(json.dumps(dataclasses.asdict(near)))
    assert 0 <= stored.pop("seconds") < 60 and stored.pop("distance") > 0
    made_by = {"library": "dlib", "version": "20.0", "runs_on": "dlib 20.0"}
    made_by |= {"model": "face_recognition_resnet_model_v1", "detector": "hog"}
    limits = {"metric": "euclidean", "threshold": 0.6, "library_threshold": None}
    limits |= {"table_threshold": 0.6, "table_source": one.published.source}
    limits["threshold_from"] = limits["table_source"]
    assert stored == made_by | limits | {"found": [True, True], "verified": True}
    assert missed.found == (True, False)
    assert missed.distance is None and missed.verified is None
    json.dumps(dataclasses.asdict(missed), allow_nan=False)


def test_where_thresholds_differ_the_library_s_decides_and_both_are_kept(fake_deepface):
    first, second = pictures(0.2), pictures(0.9)
    ours = deepface_models.deepface("ArcFace")
    assert ours.version == "9.9.9" and ours.runs_on == "pytorch"
    assert verdicts.verify(ours, first, second)[0].verified
    fake_deepface.thresholds["cosine"] = 0.05
    (verdict,) = verdicts.verify(deepface_models.deepface("ArcFace"), first, second)
    assert verdict.verified is False and verdict.differ
    limits = (verdict.threshold, verdict.library_threshold, verdict.table_threshold)
    assert limits == (0.05, 0.05, 0.68)


def test_the_table_decides_where_the_library_is_silent_unless_one_is_given(fake_deepface):
    fake_deepface.thresholds.clear()
    one = deepface_models.deepface("ArcFace")
    (verdict,) = verdicts.verify(one, pictures(0.2), pictures(0.9))
    assert verdict.threshold == 0.68 and verdict.library_threshold is None
    assert "threshold.py" in verdict.threshold_from
    other = verdicts.Published(0.01, "a paper")
    (verdict,) = verdicts.verify(one, pictures(0.2), pictures(0.9), threshold=other)
    assert verdict.verified is False and verdict.threshold_from == "a paper"
    unknown = deepface_models.deepface("ArcFace", metric="angular")
    with pytest.raises(LabError, match=r"no threshold.*angular"):
        verdicts.verify(unknown, pictures(0.2), pictures(0.9))
    with pytest.raises(LabError, match="as many first as second"):
        verdicts.verify(one, pictures(0.2), pictures(0.9, 0.8))


def test_distances():
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    found = [verdicts.distance(a, b, m) for m in ("cosine", "euclidean", "euclidean_l2", "angular")]
    assert found == pytest.approx([1.0, 5.0, 2**0.5, 0.5])
    assert verdicts.distance(a, a, "angular") == pytest.approx(0.0, abs=1e-6)


# For real, where installed -----------------------------------------------------------------------


def test_deepface_for_real():
    pytest.importorskip("deepface", reason="deepface is optional: docs/recognisers.md")
    try:
        one = deepface_models.deepface("Dlib")
    except LabError as error:
        pytest.skip(f"{error}: docs/recognisers.md")
    album = faces.portraits(40_000, faces.PortraitPlan(views=0, faces=1, rear=0))
    front = album.frontals().rgb()
    (same,) = verdicts.verify(one, front, front)
    assert same.verified and same.distance == pytest.approx(0, abs=1e-5)
