"""Claims about the whole way: a film of a made head becomes a scene and a release, all at home."""

import json
import re
import socket

import numpy as np
import pytest
from command import refused_call

from benchmarks.studies.made_film import walk, write_film
from privhead_nb.capture import run
from privhead_nb.capture.roles import FACE_ANGLE
from privhead_nb.capture.settings import CaptureSettings
from privhead_nb.errors import OutputError, PrivheadError, SceneError
from privhead_nb.privacy.consent import views_to_consent
from privhead_nb.privacy.protect import protect_folder
from privhead_nb.scenes.folder import open_scene

pytest.importorskip("pycolmap", reason="pycolmap is not installed (the extra `capture`)")
pytest.importorskip("dlib", reason="dlib is not installed (the extra `recognition`)")

SETTINGS = CaptureSettings(fov=40.0, pupils=61.0, size=96, features=1500, threads=1)
"""The angle of view is given, so that one map is made and not eight."""
CAMERAS, _ = walk(24, size=256)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """24 photographs of a made head in a papered room, and where they were taken."""
    folder = tmp_path_factory.mktemp("film") / "photos"
    write_film(folder, 7, CAMERAS)
    return folder


@pytest.fixture(scope="module")
def captured(film, tmp_path_factory):
    """Scene folder and report of it, made while no socket could be opened."""

    def refuse(*args, **options):
        raise AssertionError("a socket is opened")

    out = tmp_path_factory.mktemp("scene") / "me"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("socket", "create_connection", "getaddrinfo"):
            patch.setattr(socket, name, refuse)
        report = run.capture(film, out, SETTINGS)
        protect_folder(out, out.with_name("release"), size=64)
    return out, report


def true_angles(report):
    """Degrees from the front of each view's camera, by the user's name."""
    centers = CAMERAS.centers.numpy()
    angles = np.degrees(np.arccos(centers[:, 2] / np.linalg.norm(centers, axis=1)))
    names = [view["name"] for view in report["views"]]
    return {name: angles[int(re.findall(r"\d+", name)[0]) - 1] for name in names}


@pytest.mark.slow
def test_a_film_becomes_a_scene_and_a_release_without_any_socket(captured):
    out, report = captured
    assert report["placed"] >= 0.95 * report["pictures"] == 24 * 0.95
    scene = open_scene(out)
    assert scene.unit == "mm" and (scene.up, scene.front) == ("+y", "+z")
    assert not views_to_consent(scene) and not scene.doubts
    assert scene.neutral and (out.with_name("release") / "release.json").is_file()
    assert (out / run.PAGE).read_text().count("<img") == report["placed"]


@pytest.mark.slow
def test_no_view_that_shows_the_face_is_neutral(captured):
    _, report = captured
    angles = true_angles(report)
    neutral = [view["name"] for view in report["views"] if view["role"] == "neutral"]
    assert neutral and min(angles[name] for name in neutral) > FACE_ANGLE


@pytest.mark.slow
def test_cameras_and_masks_are_right(captured):
    out, _ = captured
    scene = open_scene(out)
    rows = [int(re.findall(r"\d+", name)[0]) - 1 for name in scene.names]
    found, true = scene.cameras.c2w.numpy(), CAMERAS.c2w.numpy()[rows]
    # The frame differs by the head's own turn and size, so relative poses are compared.
    between = np.linalg.inv(found[:1, :3, :3]) @ found[:, :3, :3]
    wanted = np.linalg.inv(true[:1, :3, :3]) @ true[:, :3, :3]
    cosine = (np.trace(np.swapaxes(between, 1, 2) @ wanted, axis1=1, axis2=2) - 1) / 2
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean() < 0.7
    steps = np.linalg.norm(found[1:, :3, 3] - found[:-1, :3, 3], axis=1)
    true_steps = np.linalg.norm(true[1:, :3, 3] - true[:-1, :3, 3], axis=1)
    ratio = steps / true_steps
    assert ratio.std() / ratio.mean() < 0.05 and 0.85 < ratio.mean() < 1.15
    report = json.loads((out / run.REPORT).read_text())
    assert report["mask_agreement"] > 0.9


@pytest.mark.slow
def test_resume_takes_finished_steps_over_and_keeps_what_was_moved_by_hand(captured, film):
    out, report = captured
    scene = json.loads((out / "scene.json").read_text())
    behind = scene["views"]["neutral"].pop()
    front = scene["views"]["sensitive"].pop(0)
    scene["views"]["sensitive"].append(behind)
    scene["views"]["neutral"].append(front)  # towards neutral, without a flag
    (out / "scene.json").write_text(json.dumps(scene))

    def refuse(*args, **options):
        raise AssertionError("done again")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("match_pictures", "find_poses", "read_photographs", "look_for_faces"):
            patch.setattr(run, name, refuse)
        again = run.capture(film, out, SETTINGS, resume=True)
    roles = {again["names"][view["name"]]: view["role"] for view in again["views"]}
    assert roles[behind] == "sensitive" and roles[front] == "sensitive"
    assert again["placed"] == report["placed"]


@pytest.mark.slow
def test_without_a_face_in_any_view_nothing_is_written(film, captured, tmp_path, monkeypatch):
    out, _ = captured
    blind = {"detectors": ["hog"], "faces": {}, "landmarks": {}}
    monkeypatch.setattr(run, "look_for_faces", lambda *a, **k: blind)
    (run.steps_folder(out) / "faces.json").unlink()
    before = (out / "scene.json").read_text()
    with pytest.raises(SceneError, match="no face is found in any of the"):
        run.capture(film, out, SETTINGS, resume=True)
    assert (out / "scene.json").read_text() == before
    (run.steps_folder(out) / "faces.json").unlink()  # what the blind one said


@pytest.mark.slow
def test_a_plain_wall_is_said(tmp_path):
    cameras, _ = walk(10, size=256)
    write_film(tmp_path / "photos", 7, cameras, plain=True)
    with pytest.raises(SceneError, match=r"could be placed|points to tell places by") as caught:
        run.capture(tmp_path / "photos", tmp_path / "me", SETTINGS)
    assert "wall" in caught.value.remedy and not (tmp_path / "me").exists()


def test_the_command_names_what_is_wrong_with_its_source(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.mp4").write_bytes(b"no film" * 100)
    for name, said in (
        ("none", "no such folder"), ("empty", "holds no"), ("broken.mp4", "can't be decoded"),
    ):  # fmt: skip
        source, out = tmp_path / name, tmp_path / "scene"
        for words in (said, str(source)):
            refused_call(words, "capture", source, out)
        assert not out.exists() and not run.steps_folder(out).exists()


def test_a_source_is_never_written_into(tmp_path):
    (tmp_path / "photos").mkdir()
    into = ("capture", tmp_path / "photos", tmp_path / "photos" / "me")
    refused_call("which it is made from", *into)


def test_what_capture_did_not_write_is_kept(tmp_path):
    (tmp_path / "photos").mkdir()
    out = tmp_path / "me"
    out.mkdir()
    (out / "diary.txt").write_text("mine")
    with pytest.raises(OutputError, match="didn't write"):
        run.capture(tmp_path / "photos", out, SETTINGS, resume=True)
    steps = run.steps_folder(out)
    steps.mkdir()
    (steps / "diary.txt").write_text("mine")
    with pytest.raises(PrivheadError, match=r"diary\.txt"):
        run.capture(tmp_path / "photos", tmp_path / "me", SETTINGS, overwrite=True)
    assert (steps / "diary.txt").read_text() == "mine"
