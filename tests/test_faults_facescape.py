"""Faults that users of FaceScape's multi-view data report, made in code; and lens distortion.

Each ends in the right scene, or in an error that names file, field and remedy.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from conftest import ball_scene
from layouts import write_colmap, write_facescape, write_nerfstudio
from PIL import Image
from refusals import edit_json, edit_scene, refused

from privhead_nb.scenes.folder import load_scene, open_scene
from privhead_nb.scenes.lens import make_lens
from privhead_nb.scenes.scene import Scene

BALL = ball_scene()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_facescape(tmp_path_factory.mktemp("written") / "ball", BALL)


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """The ball in FaceScape's layout, to be spoiled."""
    return Path(shutil.copytree(written, tmp_path / "7" / "1_neutral"))


def edit(folder: Path, **change: Any) -> None:
    """Change fields of params.json, written `_0_K` for 0_K; one that is to be `...` goes."""
    edit_json(folder / "params.json", **{k.removeprefix("_"): v for k, v in change.items()})


def matrices(folder: Path, name: str, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Put one matrix of every view through a function."""
    data = json.loads((folder / "params.json").read_text())
    mats = {f"{v}_{name}": change(np.array(data[f"{v}_{name}"])).tolist() for v in range(6)}
    edit_json(folder / "params.json", **mats)


def rows(mat: np.ndarray) -> np.ndarray:
    """The upper left of a 4 x 4 identity replaced by a matrix."""
    whole = np.eye(4)
    whole[: mat.shape[0], : mat.shape[1]] = mat
    return whole


def is_the_ball(scene: Scene) -> None:
    """Pictures and rays are those of the ball; FaceScape's K counts from the first centre."""
    assert torch.allclose(scene.images, BALL.images, atol=0.51 / 255)
    assert torch.equal(scene.masks, BALL.masks)
    assert torch.allclose(scene.cameras.c2w, BALL.cameras.c2w, atol=1e-6)
    K = scene.cameras.K.clone()
    K[:, :2, 2] += 0.5
    assert scene.cameras.pixel_center == 0 and torch.allclose(K, BALL.cameras.K, atol=1e-6)


# Views


def test_views_that_are_called_invalid_are_left_out(folder):
    edit(folder, _4_valid=False)
    edit_scene(folder, views={"sensitive": ["0.png", "1.png", "2.png"], "neutral": ["[35].png"]})
    scene = open_scene(folder)
    assert scene.names == ("0.png", "1.png", "2.png", "3.png", "5.png")
    assert any("invalid are left out: 4" in said for said in scene.assumptions)
    edit(folder, **{f"{v}_valid": False for v in range(6)})
    refused(lambda: open_scene(folder), "params.json", "calls every view invalid", "expression")
    edit(folder, _0_valid="yes")
    refused(lambda: open_scene(folder), "params.json", "0_valid", "true or false")


def test_an_invalid_view_needs_no_picture(folder):
    edit(folder, _4_valid=False)
    (folder / "4.png").unlink()
    edit_scene(folder, views={"neutral": ["3.png", "5.png"]})
    assert open_scene(folder).sensitive == (0, 1, 2)


def test_a_picture_that_is_missing(folder):
    (folder / "4.png").unlink()
    refused(lambda: open_scene(folder), "params.json", "view 4", "no such picture")


def test_a_picture_without_a_camera_is_left_out_and_said(folder):
    shutil.copy(folder / "5.png", folder / "17.png")
    scene = load_scene(folder)
    is_the_ball(scene)
    assert any("without a camera are left out: 17.png" in said for said in scene.assumptions)
    (folder / "17.png").rename(folder / "overview.png")  # no number: no view's
    is_the_ball(load_scene(folder))


def test_jpegs_as_the_data_has_them(folder):
    for v in range(6):
        Image.open(folder / f"{v}.png").save(folder / f"{v}.jpg", quality=100, subsampling=0)
        (folder / f"{v}.png").unlink()
    edit_scene(folder, views={"neutral": ["[345].jpg"]})
    scene = load_scene(folder)
    assert scene.names[0] == "0.jpg" and float((scene.images - BALL.images).abs().max()) < 0.05


def test_a_picture_that_is_a_link_to_elsewhere(folder, tmp_path):
    (folder / "4.png").rename(tmp_path / "secret.png")
    (folder / "4.png").symlink_to(tmp_path / "secret.png")
    refused(lambda: open_scene(folder), "params.json", "view 4", "leaves the scene's folder")


def test_pictures_that_were_made_smaller_and_params_that_were_not(folder):
    """FaceScape's are 4344 x 2896, and most users scale them first."""
    for path in [*folder.glob("*.png"), *folder.glob("mask/*.png")]:
        Image.open(path).resize((16, 16)).save(path)
    words = ["0.png: is 16 x 16", "params.json says 32 x 32", "focal lengths", "principal point"]
    refused(lambda: open_scene(folder), *words)


# Masks, which FaceScape has none of


def test_without_masks_nothing_is_made_up(folder):
    shutil.rmtree(folder / "mask")
    refused(lambda: open_scene(folder), "0.png", "has no mask", "masks/", "none is made up")


def test_a_lost_mask_and_masks_of_another_size(folder):
    (folder / "mask" / "3.png").rename(folder / "mask" / "9.png")
    refused(lambda: open_scene(folder), "mask", "no mask for 3.png", "Give every view")
    Image.new("L", (16, 16), 255).save(folder / "mask" / "3.png")
    refused(lambda: open_scene(folder), "mask/3.png", "is 16 x 16", "32 x 32")


# Cameras


@pytest.mark.parametrize("change", [rows, lambda m: rows(m)[:3]])
def test_matrices_of_three_and_of_four_rows(folder, change):
    """Documented as 4 x 4, written as 3 x 3 and 3 x 4."""
    for name in ("K", "Rt"):
        matrices(folder, name, change)
    is_the_ball(load_scene(folder))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"_2_Rt": ...}, ["'2_Rt' is missing"]),
        ({"_2_width": ...}, ["'2_width' is missing"]),
        ({"_2_K": [[1, 2], [3, 4]]}, ["2_K", "3 x 3"]),
        ({"_2_K": "K"}, ["2_K", "matrix"]),
        ({"_2_K": [[60, 9, 16], [0, 60, 16], [0, 0, 1]]}, ["2_K", "without skew"]),
        ({"_2_K": [[0, 0, 16], [0, 60, 16], [0, 0, 1]]}, ["view 2", "focal length"]),
        ({"_2_Rt": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 400]]}, ["2_Rt", "mirrored"]),
        ({"_2_Rt": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 400]]}, ["2_Rt", "no rotation"]),
        ({"_2_distortion": [0.1, 0.2]}, ["2_distortion", "k1 k2 p1 p2 k3"]),
        ({"_2_distortion": [-90, 0, 0, 0, 0]}, ["view 2", "distortion", "folds the picture"]),
        ({"_2_height": 31}, ["2.png: is 32 x 32", "params.json says 32 x 31"]),
    ],
)
def test_cameras_that_are_none(folder, change, words):
    edit(folder, **change)
    error = refused(lambda: open_scene(folder), *words)
    assert "params.json" in str(error)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_camera_that_is_no_number(folder, number):
    edit(folder, _2_Rt=[[number] * 4] * 3)
    refused(lambda: open_scene(folder), "params.json", "2_Rt", "NaN or infinite")


def test_camera_to_world_in_place_of_world_to_camera(folder):
    matrices(folder, "Rt", lambda m: np.linalg.inv(rows(m))[:3])
    for change in ({}, {"center": ..., "radius": ...}):
        edit_scene(folder, **change)
        refused(lambda: open_scene(folder), "params.json")


def test_opengls_axes(folder):
    matrices(folder, "Rt", lambda m: np.diag([1, -1, -1]) @ m)
    for change in ({}, {"center": ..., "radius": ...}):
        edit_scene(folder, **change)
        refused(lambda: open_scene(folder), "params.json", "OpenGL", "negate y and z")


def test_a_side_of_the_data_that_is_no_scene(folder):
    (folder / "params.json").write_text("{}")
    refused(lambda: open_scene(folder), "params.json", "holds no camera", "0_Rt")
    (folder / "params.json").unlink()
    refused(lambda: open_scene(folder), "no scene is in this folder", "params.json")
    refused(lambda: open_scene(folder, format="facescape"), "params.json", "missing")


# Lenses


def bent(folder: Path, scene: Scene, fisheye: bool, k: list[float]) -> float:
    """Distort pictures and masks as a lens with these coefficients would show them.

    Returns the mean error of the masks, of 1, that this makes.
    """
    size, K = scene.cameras.width, scene.cameras.K[0].numpy().copy()
    K[:2, 2] -= 0.5
    y, x = np.mgrid[:size, :size].astype(np.float32)
    points = np.stack([x, y], -1).reshape(-1, 1, 2)
    straight = cv2.fisheye.undistortPoints if fisheye else cv2.undistortPoints
    maps = straight(points, K, np.array(k), R=np.eye(3), P=K).reshape(size, size, 2)
    errors = []
    for path in folder.rglob("*.png"):
        pixels, is_mask = np.array(Image.open(path)), path.parent.name in ("mask", "masks")
        fill = (0,) if is_mask else (255, 255, 255)
        shown = cv2.remap(pixels, maps, None, cv2.INTER_LINEAR, borderValue=fill)
        Image.fromarray(shown).save(path)
        if is_mask:
            errors.append(np.abs(shown / 255.0 - pixels / 255.0).mean())
    return float(np.mean(errors))


@pytest.mark.parametrize(
    ("model", "k"),
    [("OPENCV", [4.0, 2.0, 0.02, -0.03]), ("OPENCV_FISHEYE", [4.0, 2.0, 0.0, 0.0])],
)
def test_distortion_is_taken_out_of_pictures_and_masks(tmp_path, model, k):
    scene, fisheye = ball_scene(128), model == "OPENCV_FISHEYE"
    folder = write_nerfstudio(tmp_path / "s", scene)
    crooked = bent(folder, scene, fisheye, k)
    names = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2")
    edit_json(folder / "transforms.json", camera_model=model, **dict(zip(names, k, strict=True)))
    found = load_scene(folder)
    assert float((found.masks - scene.masks).abs().mean()) < 0.2 * crooked
    assert float((found.images - scene.images).abs().mean()) < 0.01
    assert torch.allclose(found.cameras.K, scene.cameras.K)
    assert any("distortion is taken out of 6 of 6" in said for said in found.assumptions)


def test_facescapes_and_colmaps_coefficients_are_the_same_lens(tmp_path):
    """One bent scene, once with params.json and once with COLMAP's cameras."""
    pytest.importorskip("pycolmap", reason="the extra `capture` is not installed")
    scene, k, found = ball_scene(128), [4.0, 2.0, 0.02, -0.03], []
    for name, write in {"facescape": write_facescape, "colmap": write_colmap}.items():
        folder = write(tmp_path / name, scene)
        bent(folder, scene, False, k)
        if name == "facescape":
            edit(folder, **{f"{v}_distortion": [*k, 0.0] for v in range(6)})
        else:
            import pycolmap

            model = pycolmap.Reconstruction(str(folder / "sparse" / "0"))
            model.cameras[1].model = pycolmap.CameraModelId.OPENCV
            model.cameras[1].params = [*model.cameras[1].params, *k]
            model.write_binary(str(folder / "sparse" / "0"))
        found.append(load_scene(folder))
        assert float((found[-1].masks - scene.masks).abs().mean()) < 0.006
    assert torch.allclose(found[0].images, found[1].images, atol=1e-4)


def test_a_lens_without_distortion_is_none_and_what_is_outside_is_filled():
    K = BALL.cameras.K[0].numpy()
    make = lambda k: make_lens(K, k, (32, 32), 0.5, where=Path("f"), field="x")  # noqa: E731
    assert make([]) is None and make([0, 0, 0, 0]) is None
    lens = make([5.0, 0, 0, 0])
    assert lens is not None and lens.coefficients == (5.0, 0, 0, 0)
    white = lens.straightened(np.zeros((32, 32, 3), np.float32), (1.0, 0.5, 0.0))
    assert white[0, 0].tolist() == [1.0, 0.5, 0.0] and white[16, 16].tolist() == [0, 0, 0]
