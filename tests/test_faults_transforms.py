"""Faults that users of NeRF-Blender's and nerfstudio's transforms files report, made in code.

Each ends in the right scene, or in an error that names file, field and remedy.
"""

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ball_scene
from layouts import write_blender, write_nerfstudio
from PIL import Image
from refusals import edit_json, edit_scene, refused

from privhead_nb.scenes.folder import load_scene, open_scene
from privhead_nb.scenes.scene import Scene

BALL = ball_scene()
FILES = {"blender": "transforms_train.json", "nerfstudio": "transforms.json"}
WRITE = {"blender": write_blender, "nerfstudio": write_nerfstudio}
PICTURES = {"blender": "train/r_1.png", "nerfstudio": "images/frame_00002.png"}
BOTH = pytest.mark.parametrize("kind", FILES)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("written")
    return {kind: write(top / kind, BALL) for kind, write in WRITE.items()}


@pytest.fixture
def made(written: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the ball in one of the two layouts, to be spoiled."""
    return lambda kind: Path(shutil.copytree(written[kind], tmp_path / kind))


def edit_frame(folder: Path, kind: str, number: int = 1, **change: Any) -> None:
    """Change fields of one frame; one that is to be `...` goes."""
    path = folder / FILES[kind]
    data = json.loads(path.read_text(encoding="utf-8"))
    frame = data["frames"][number] | change
    data["frames"][number] = {k: v for k, v in frame.items() if v is not ...}
    path.write_text(json.dumps(data), encoding="utf-8")


def edit_poses(folder: Path, kind: str, turn: Callable[[np.ndarray], np.ndarray]) -> None:
    """Put every pose of all files through a function of its 4 x 4 matrix."""
    for path in folder.glob("transforms*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        for frame in data["frames"]:
            frame["transform_matrix"] = turn(np.array(frame["transform_matrix"])).tolist()
        path.write_text(json.dumps(data), encoding="utf-8")


def is_the_ball(scene: Scene) -> None:
    """Pictures and cameras are those of the ball."""
    assert torch.allclose(scene.images, BALL.images, atol=0.51 / 255)
    assert torch.equal(scene.masks, BALL.masks)
    assert torch.allclose(scene.cameras.c2w, BALL.cameras.c2w, atol=1e-6)
    assert torch.allclose(scene.cameras.K, BALL.cameras.K, atol=1e-6)


# Frames and their pictures


@BOTH
def test_paths_without_an_ending_with_one_and_as_windows_writes_them(made, kind):
    folder = made(kind)
    said = json.loads((folder / FILES[kind]).read_text())["frames"][1]["file_path"]
    for path in (said, "./" + said.removeprefix("./"), said.replace("/", "\\"), PICTURES[kind]):
        edit_frame(folder, kind, file_path=path)
        is_the_ball(load_scene(folder))
    edit_frame(folder, kind, file_path=str(Path(PICTURES[kind]).with_suffix("")))
    is_the_ball(load_scene(folder))


@BOTH
def test_a_picture_that_is_missing(made, kind):
    folder = made(kind)
    (folder / PICTURES[kind]).unlink()
    words = [FILES[kind], "frames[1].file_path", Path(PICTURES[kind]).stem, "no such picture"]
    refused(lambda: open_scene(folder), *words)


@BOTH
@pytest.mark.parametrize("path", ["../secret.png", "/secret.png", "C:\\secret.png", "images/link"])
def test_a_path_that_leaves_the_folder(made, kind, path, tmp_path):
    folder = made(kind)
    shutil.copy(folder / PICTURES[kind], tmp_path / "secret.png")
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    path = path.replace("/secret", f"{tmp_path}/secret") if path[0] == "/" else path
    edit_frame(folder, kind, file_path=path)
    words = [FILES[kind], "frames[1].file_path", "leaves the scene's folder", "Copy the file"]
    refused(lambda: open_scene(folder), *words)
    if kind == "nerfstudio":
        edit_frame(folder, kind, file_path=PICTURES[kind], mask_path=path)
        refused(lambda: open_scene(folder), "frames[1].mask_path", "leaves the scene's folder")


@BOTH
def test_a_frame_that_stands_twice(made, kind):
    folder = made(kind)
    edit_frame(folder, kind, file_path=PICTURES[kind].replace("2.", "1.").replace("r_1", "r_0"))
    refused(lambda: open_scene(folder), FILES[kind], "frames[0]", "frames[1]", "name one picture")


@BOTH
@pytest.mark.parametrize("frames", [[], {}, None, "0001.png", [7], ...])
def test_frames_that_are_none(made, kind, frames):
    folder = made(kind)
    edit_json(folder / FILES[kind], frames=frames)
    refused(lambda: open_scene(folder), FILES[kind], "frames")


def test_pictures_of_one_name_in_two_splits_are_told_by_their_folders(made):
    folder = made("blender")
    (folder / "test" / "r_4.png").rename(folder / "test" / "r_0.png")
    path = folder / "transforms_test.json"
    path.write_text(path.read_text().replace("test/r_4", "test/r_0"))
    names = [f"train/r_{v}.png" for v in range(4)] + ["test/r_0.png", "test/r_5.png"]
    edit_scene(folder, views={"sensitive": names[:3], "neutral": names[3:]})
    scene = load_scene(folder)
    assert scene.names == tuple(names) and scene.neutral == (3, 4, 5)
    is_the_ball(scene)


def test_frames_in_any_order_are_sorted_by_their_names(made):
    folder = made("nerfstudio")
    path = folder / "transforms.json"
    data = json.loads(path.read_text())
    data["frames"].reverse()
    path.write_text("\ufeff" + json.dumps(data), encoding="utf-8")  # with a byte order mark
    is_the_ball(load_scene(folder))


# Poses


@BOTH
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_pose_that_is_no_number(made, kind, number):
    """instant-ngp #434: colmap2nerf writes NaN for pictures that it couldn't place."""
    folder = made(kind)
    edit_frame(folder, kind, transform_matrix=[[number] * 4] * 4)
    words = [FILES[kind], "frames[1].transform_matrix", "NaN or infinite", "never posed"]
    refused(lambda: open_scene(folder), *words)


POSES = {
    "mirrored": (lambda m: m @ np.diag([-1, 1, 1, 1]), ["frames[0]", "mirrored axes"]),
    "with a scale": (lambda m: m @ np.diag([2, 2, 2, 1]), ["frames[0]", "no rotation", "scale"]),
    "by columns": (lambda m: m.T, ["frames[0]", "0 0 0 1", "exchanged"]),
    "OpenCV's": (lambda m: m @ np.diag([1, -1, -1, 1]), ["OpenGL", "negate y and z"]),
    "too small": (lambda m: m[:2], ["frames[0].transform_matrix", "3 x 4"]),
}


@BOTH
@pytest.mark.parametrize("fault", POSES)
@pytest.mark.parametrize("sphere", [True, False])
def test_poses_of_another_kind(made, kind, fault, sphere):
    folder = made(kind)
    edit_poses(folder, kind, POSES[fault][0])
    if not sphere:
        edit_scene(folder, center=..., radius=...)
    refused(lambda: open_scene(folder), FILES[kind], *POSES[fault][1])


@BOTH
def test_world_to_camera_in_place_of_camera_to_world(made, kind):
    folder = made(kind)
    edit_poses(folder, kind, np.linalg.inv)
    for change in ({}, {"center": ..., "radius": ...}):
        edit_scene(folder, **change)
        refused(lambda: open_scene(folder), FILES[kind])


@BOTH
def test_a_pose_without_its_last_row_is_a_pose(made, kind):
    folder = made(kind)
    edit_poses(folder, kind, lambda m: m[:3])
    is_the_ball(load_scene(folder))


def test_what_was_applied_before_is_not_applied_again(made):
    folder = made("nerfstudio")
    edit_json(folder / "transforms.json", applied_scale=0.25)
    scene = load_scene(folder)
    is_the_ball(scene)
    for key in ("applied_transform", "applied_scale"):
        assert any(said.startswith(f"{key} is left as it is") for said in scene.assumptions)


# Intrinsics


@pytest.mark.parametrize(
    ("angle", "words"),
    [(..., ["camera_angle_x", "missing"]), (42.0, ["camera_angle_x is 42", "degrees"])],
)
def test_a_field_of_view_that_is_none(made, angle, words):
    folder = made("blender")
    edit_json(folder / FILES["blender"], camera_angle_x=angle)
    refused(lambda: open_scene(folder), FILES["blender"], *words)


def test_instant_ngps_field_of_view_stands_in_for_a_focal_length(made):
    folder, K = made("nerfstudio"), BALL.cameras.K[0]
    angle = 2 * np.arctan(16 / float(K[0, 0]))
    whole = dict.fromkeys(("w", "h"), 32.0)
    lost = dict.fromkeys(("fl_x", "fl_y", "cx", "cy"), ...)
    edit_json(folder / "transforms.json", camera_angle_x=angle, **lost, **whole)
    is_the_ball(load_scene(folder))
    assert any("principal point" in said for said in open_scene(folder).assumptions)
    edit_json(folder / "transforms.json", camera_angle_x=...)
    refused(lambda: open_scene(folder), "frames[0]", "has fl_x or camera_angle_x", "in pixels")


def test_intrinsics_of_each_frame_win(made):
    folder, K = made("nerfstudio"), BALL.cameras.K[0]
    edit_json(folder / "transforms.json", fl_x=..., fl_y=..., cx=1.0)
    for view in range(6):
        own = {"fl_x": float(K[0, 0]), "fl_y": float(K[1, 1]), "cx": float(K[0, 2])}
        edit_frame(folder, "nerfstudio", view, **own)
    is_the_ball(load_scene(folder))
    edit_frame(folder, "nerfstudio", 4, fl_x=...)
    refused(lambda: open_scene(folder), "transforms.json", "frames[4]", "fl_x")


def test_pictures_of_another_size_than_the_intrinsics_say(made):
    """nerfstudio's images_2 in place of images."""
    folder = made("nerfstudio")
    for path in (folder / "images").iterdir():
        Image.open(path).resize((16, 16)).save(path)
    words = ["frame_00001.png", "is 16 x 16", "transforms.json says 32 x 32", "focal lengths"]
    refused(lambda: open_scene(folder), *words)


def test_a_split_of_another_size(made):
    folder = made("blender")
    for path in (folder / "test").iterdir():
        Image.open(path).resize((16, 16)).save(path)
    refused(lambda: open_scene(folder), "r_4.png: is 16 x 16", "r_0.png is 32 x 32", "one size")


def test_a_camera_with_larger_pictures_takes_part(made):
    """Several cameras: the smaller pictures are padded at the right and below; rays stay."""
    folder = made("nerfstudio")
    for kind, fill in (("images", 255), ("masks", 0)):
        path = folder / kind / "frame_00002.png"
        pixels = np.array(Image.open(path))
        Image.fromarray(np.pad(pixels, [(0, 8), (0, 4), (0, 0)][: pixels.ndim],
                               constant_values=fill)).save(path)  # fmt: skip
    edit_frame(folder, "nerfstudio", 1, w=36, h=40)
    scene = load_scene(folder)
    assert scene.images.shape == (6, 40, 36, 3) and bool((scene.images[:, 32:] == 1).all())
    assert torch.allclose(scene.images[:, :32, :32], BALL.images, atol=0.51 / 255)
    assert torch.allclose(scene.cameras.K, BALL.cameras.K, atol=1e-6)
    assert not scene.masks[:, 32:].any() and any("padded" in s for s in scene.assumptions)


# Lenses


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"k1": -40.0}, ["frames[0]", "folds the picture", "calibrate again"]),
        ({"k2": 1e7}, ["frames[0]", "distortion", "calibrate again"]),
        ({"k4": 0.1}, ["k4 is 0.1", "OPENCV_FISHEYE"]),
        ({"camera_model": "EQUIRECTANGULAR"}, ["camera_model", "undistort"]),
        ({"from_na": True}, ["from_na", "NeuS2"]),
        ({"fl_x": -3.0}, ["fl_x is -3.0", "a number from"]),
        ({"fl_x": 3.0, "fl_y": 3.0}, ["contradict", "K of another picture size"]),
        ({"w": "32"}, ["w is '32'"]),
        ({"cx": 4000.0}, ["principal point"]),
    ],
)
def test_lenses_that_are_none(made, change, words):
    folder = made("nerfstudio")
    edit_json(folder / "transforms.json", **change)
    refused(lambda: load_scene(folder), "transforms.json", *words)


# Masks


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_without_transparency_and_without_a_mask(made, mode):
    folder = made("blender")
    path = folder / "test" / "r_4.png"
    Image.open(path).convert("RGB").convert(mode).save(path)
    refused(lambda: open_scene(folder), "r_4.png", "has no mask", "masks/", "none is made up")


def test_what_transparent_pixels_hide_is_not_shown(made):
    """Colours below full transparency, black or a photographer's room, are no background."""
    folder = made("blender")
    for path in [*folder.glob("train/*"), *folder.glob("test/*")]:
        pixels = np.array(Image.open(path))
        pixels[pixels[..., 3] == 0, :3] = (0, 255, 0)
        Image.fromarray(pixels).save(path)
    is_the_ball(load_scene(folder))


def test_a_mask_path_for_some_frames_or_to_nothing(made):
    folder = made("nerfstudio")
    edit_frame(folder, "nerfstudio", 3, mask_path=...)
    words = ["5 of 6 frames", "frames[3]", "frame_00004", "every frame its mask"]
    refused(lambda: open_scene(folder), *words)
    edit_frame(folder, "nerfstudio", 3, mask_path="masks/none.png")
    refused(lambda: open_scene(folder), "frames[3].mask_path", "masks/none.png")


def test_masks_that_are_inverted_or_of_another_size(made):
    folder = made("nerfstudio")
    for path in (folder / "masks").iterdir():
        Image.fromarray(255 - np.array(Image.open(path))).save(path)
    refused(lambda: open_scene(folder), "transforms.json", "masks")
    shutil.rmtree(folder / "masks")
    shutil.copytree(folder / "images", folder / "masks")
    for path in (folder / "masks").iterdir():
        Image.new("L", (16, 16), 255).save(path)
    refused(partial(open_scene, folder), "masks/frame_00001.png", "is 16 x 16", "32 x 32")
