"""A scene survives its folder, resizes honestly and knows what it doesn't know."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from refusals import edit_scene, refused

from privhead_nb.errors import OutputError
from privhead_nb.scenes.folder import load_scene, open_scene, scene_facts


def test_a_saved_scene_comes_back(ball, tmp_path):
    scene = replace(ball, background=(0.2, 0.4, 0.6), licence="CC0", up="+y", front="+z")
    scene.save(tmp_path / "out")
    back = load_scene(tmp_path / "out")
    assert float((back.images - scene.images).abs().max()) <= 0.5 / 255 + 1e-6
    assert torch.equal(back.masks, scene.masks)
    assert torch.allclose(back.cameras.K, scene.cameras.K, atol=1e-9)
    assert torch.allclose(back.cameras.c2w, scene.cameras.c2w, atol=1e-9)
    for field in ("sensitive", "neutral", "nose_tip", "face_radius", "unit", "licence"):
        assert getattr(back, field) == getattr(scene, field)
    assert back.background == pytest.approx(scene.background, abs=1e-6)
    assert back.center == pytest.approx(scene.center) and back.radius == pytest.approx(80)
    assert np.array_equal(back.landmarks, scene.landmarks)
    assert back.truth_triangles()[0] == pytest.approx(scene.truth_triangles()[0], abs=1e-5)
    assert np.array_equal(back.truth_triangles()[1], scene.truth_triangles()[1])
    assert back.truth_mesh().is_watertight


def test_folder_is_h3ds_layout_without_pickles_or_metadata(ball_folder):
    names = {p.relative_to(ball_folder).as_posix() for p in ball_folder.rglob("*") if p.is_file()}
    assert {"cameras.npz", "scene.json", "full_head.obj", "landmarks.txt"} < names
    assert {"image/img_0005.png", "mask/mask_0000.png"} < names and len(names) == 16
    with np.load(ball_folder / "cameras.npz", allow_pickle=False) as data:
        assert data["world_mat_5"].shape == data["scale_mat_0"].shape == (4, 4)
        assert data["scale_mat_0"][0, 0] == 80
    line = (ball_folder / "landmarks.txt").read_text().splitlines()[1]
    assert line.split() == ["landmark_01", "7"]


def test_landmarks_txt_alone_names_vertices_and_the_truth_is_parsed_once(ball_folder, ball):
    edit_scene(ball_folder, landmarks=...)
    loaded, opened = load_scene(ball_folder), open_scene(ball_folder)
    assert loaded.landmarks == pytest.approx(ball.landmarks, abs=1e-5)
    (ball_folder / "full_head.obj").unlink()
    assert np.array_equal(opened.truth_triangles()[0], loaded.truth_triangles()[0])


def test_resized_averages_areas_as_opencv_does(ball):
    small = ball.resized(16)
    expected = cv2.resize(ball.images[2].numpy(), (16, 16), interpolation=cv2.INTER_AREA)
    assert np.array_equal(small.images[2].numpy(), expected)
    assert torch.allclose(small.masks.mean(), ball.masks.mean(), atol=1e-6)
    assert torch.allclose(small.cameras.K[:, :2], ball.cameras.K[:, :2] / 2)
    assert small.cameras.width == small.cameras.height == 16


def test_a_missing_face_region_or_truth_is_said_when_asked_for(ball):
    scene = replace(ball, nose_tip=None, truth=None)
    refused(scene.face_region, "nose_tip and face_radius")
    refused(scene.truth_mesh, "no truth mesh")
    assert ball.face_region() == ((0.0, 0.0, 60.0), 50.0)


def test_save_neither_overwrites_unasked_nor_replaces_other_things(ball, tmp_path):
    ball.save(tmp_path / "out")
    with pytest.raises(OutputError, match="not empty"):
        ball.save(tmp_path / "out")
    ball.resized(16).save(tmp_path / "out", overwrite=True)
    assert load_scene(tmp_path / "out").cameras.width == 16
    (tmp_path / "out" / "notes.txt").write_text("mine")
    (tmp_path / "thesis" / "image").mkdir(parents=True)
    (tmp_path / "thesis" / "image" / "holiday.jpg").write_text("mine")
    for folder, name in ((tmp_path / "out", "notes.txt"), (tmp_path / "thesis", "image")):
        with pytest.raises(OutputError, match=f"'{name}', which is no part of a scene.*be lost"):
            ball.save(folder, overwrite=True)
    assert (tmp_path / "out" / "notes.txt").exists()
    assert (tmp_path / "thesis" / "image" / "holiday.jpg").exists()


def test_facts_are_json_and_say_what_was_assumed(ball_folder):
    (ball_folder / "scene.json").unlink()
    scene = load_scene(ball_folder, sensitive="0-1,3")
    facts = json.loads(json.dumps(scene_facts(scene)))
    assert facts["sensitive"] == [0, 1, 3] and facts["neutral"] == [2, 4, 5]
    assert facts["truth"] is True and facts["nose_tip"] is None
    said = " ".join(facts["assumptions"])
    assert "pixel_center" in said and "background" in said and "unit" in said


def test_real_head_loads_with_its_mesh_inside_its_masks_and_survives_saving(real_head, tmp_path):
    scene = load_scene(real_head, size=128)
    assert len(scene.sensitive) == 20 and len(scene.neutral) == 16
    assert scene.assumptions == () and scene.unit == "mm" and scene.cameras.pixel_center == 0.5
    vertices, _ = scene.truth_triangles()
    # The mesh is the cameras' judge: nearly every vertex falls into every mask.
    xy, depth = scene.cameras.project(torch.from_numpy(vertices))
    x, y = xy.round().long().clamp(0, 127).unbind(-1)
    hit = scene.masks[torch.arange(36)[:, None], y, x] > 0
    assert bool((depth > 0).all()) and float(hit.float().mean()) > 0.985
    tip = torch.tensor([scene.face_region()[0]])
    assert float(torch.cdist(tip.double(), torch.from_numpy(vertices)).min()) < 5
    scene.save(tmp_path / "copy")
    back = load_scene(tmp_path / "copy")
    assert torch.allclose(back.cameras.K, scene.cameras.K, atol=1e-6)
    assert torch.allclose(back.cameras.c2w, scene.cameras.c2w, atol=1e-6)
    assert back.nose_tip == scene.nose_tip and back.sensitive == scene.sensitive
