"""Published recognisers and detectors, dlib and MTCNN, where they are installed."""

from __future__ import annotations

import json
import sys
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.studies import dlib_recogniser
from benchmarks.studies.dlib_recogniser import detected
from privhead_nb.errors import LabError
from privhead_nb.heads.grid import sample_grid
from privhead_nb.heads.head import make_head
from privhead_nb.heads.tracer import render
from privhead_nb.lab import faces
from privhead_nb.lab.framing import portrait_cameras
from privhead_nb.lab.recognisers import published, verdicts
from privhead_nb.resources import RESULTS

WHY = "the extra `recognition` is not installed: docs/recognisers.md"
needs_dlib = pytest.mark.skipif(not dlib_recogniser.available(), reason=WHY)
needs_mtcnn = pytest.mark.skipif(not published.mtcnn_available(), reason=WHY)


@cache
def portraits(person: int = 40_000) -> Tensor:
    """(2, 64, 64, 3) one made person from the front and from behind; takes seconds."""
    album = faces.portraits(person, faces.PortraitPlan(views=0, faces=1, rear=1))
    return torch.cat([album.frontals().rgb(), album.only(album.role == 2).rgb()])


@cache
def large() -> Tensor:
    """(2, 256, 256, 3) the same person, front and a little turned, traced."""
    head = make_head(40_000)
    cameras = portrait_cameras([(0.0, 0.0), (16.0, 8.0)]).resized(256, 256)
    return render(head, cameras, samples=1, grid=sample_grid(head.sdf, 3.5, coarse=3)).images


@needs_dlib
def test_dlib_calls_one_person_one_and_finds_no_face_behind():
    one = dlib_recogniser.dlib()
    assert one.threshold == verdicts.PUBLISHED["dlib", one.model, "euclidean"]
    assert one.threshold.threshold == 0.6 and one.function(portraits()).shape == (2, 128)
    front = portraits()[:1]
    same, behind = verdicts.verify(one, torch.cat([front, front]), portraits())
    assert same.verified and same.distance == pytest.approx(0, abs=1e-5)
    assert behind.found == (True, False) and behind.verified is None
    assert dlib_recogniser.dlib(detector="skip").embed(portraits())[1].all(), (
        "it believes what it is told"
    )


@needs_dlib
def test_detector_and_landmarks_change_a_template_but_not_who_it_is():
    found = [dlib_recogniser.dlib(landmarks=n).function(large()) for n in dlib_recogniser.LANDMARKS]
    own = dlib_recogniser.dlib(detector=lambda rgb: np.array([[70.0, 90.0, 180.0, 200.0]]))
    assert own.detector == "one's own"
    for vectors in (*found, own.function(large()[:1])):
        apart = (vectors[0] - found[0][0]).norm()
        assert apart < 0.45 and vectors.isfinite().all()
    assert (found[0] - found[1]).norm(dim=1).min() > 1e-3


@needs_dlib
@needs_mtcnn
def test_both_detectors_find_a_made_face_and_nothing_where_there_is_none():
    for make in (published.dlib_hog, published.mtcnn):
        find = make()
        assert detected(find, large()).all()
        (left, top, right, bottom), *_ = find(dlib_recogniser.as_pixels(large()[:1])[0])
        assert left < 128 < right and top < 150 < bottom, "the face is in the middle"
        nothing = torch.stack([torch.full((64, 64, 3), level) for level in (0.0, 0.5, 1.0)])
        assert not detected(find, nothing).any()
    assert not detected(published.dlib_hog(), portraits()[1:]).any(), "a back of a head"
    assert dlib_recogniser.dlib(detector="mtcnn").embed(large())[1].all()


@needs_mtcnn
def test_the_stand_in_for_torchvision_is_gone_afterwards():
    published.mtcnn()
    if published.find_spec("torchvision") is None:
        assert not [name for name in sys.modules if name.startswith("torchvision")]


def test_non_maximum_suppression_keeps_the_best_of_those_that_overlap():
    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 11, 11], [20, 0, 30, 10], [0, 0, 10, 10.0]])
    scores, group = torch.tensor([0.8, 0.9, 0.7, 0.6]), torch.tensor([0, 0, 0, 1])
    assert published.batched_nms(boxes, scores, group, 0.5).tolist() == [1, 2, 3]
    assert published.batched_nms(boxes, scores, group, 0.9).tolist() == [1, 0, 2, 3]
    assert published.batched_nms(boxes[:0], scores[:0], group[:0], 0.5).tolist() == []


def test_what_is_missing_or_wrong_is_named_with_its_pip_line(monkeypatch):
    for options, said in (
        ({"detector": "luck"}, "no detector 'luck'.*hog"),
        ({"landmarks": 7}, "5 or 68"),
    ):
        with pytest.raises(LabError, match=said):
            dlib_recogniser.dlib(**options)
    for module in (published, dlib_recogniser):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    published.mtcnn_network.cache_clear()
    with pytest.raises(LabError, match=r"not installed.*pip install --no-deps facenet-pytorch"):
        published.mtcnn()
    published.mtcnn_network.cache_clear()
    monkeypatch.setitem(sys.modules, "dlib", None)
    assert not dlib_recogniser.available() and not published.mtcnn_available()
    for make in (dlib_recogniser.dlib, published.dlib_hog):
        with pytest.raises(LabError, match=r"dlib is not installed.*pip install dlib-bin face-rec"):
            make()


def test_pictures_of_another_shape_are_refused():
    with pytest.raises(LabError, match="pictures of shape"):
        detected(lambda rgb: np.zeros((0, 4)), torch.zeros(2, 64, 64, 2))
    with pytest.raises(LabError, match="or not finite"):
        detected(lambda rgb: np.zeros((0, 4)), torch.full((1, 64, 64, 3), torch.nan))


def test_the_stored_study_says_that_the_published_threshold_does_not_fit_made_people():
    found = json.loads((RESULTS / "published.json").read_text())
    assert found["people"] == [40_000, 40_099]
    shown = found["256 pixels, hog"]
    apart, errors = shown["distance"], shown["errors"]
    assert apart["mates"][2] < apart["strangers"][1] and shown["rank1"][1] > 0.6
    assert errors["published"]["fmr"][1] > 0.5 > errors["calibrated at FMR 0.01"]["fmr"][2]
    assert max(errors["calibrated at FMR 0.01"]["thresholds"]) < 0.6
