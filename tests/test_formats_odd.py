"""Folders of every format that are unusual and yet right; and lens distortion.

What is wrong with a folder is in test_faults.py.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import ball_scene
from layouts import (
    MODEL,
    WRITERS,
    by_stem,
    colmap_camera,
    colmap_view,
    edit_colmap_lines,
    edit_facescape,
    edit_frame,
    edit_poses,
    same,
    write_colmap,
    write_colmap_text,
    write_facescape,
    write_nerfstudio,
)
from PIL import Image
from refusals import Spoil, edit_json, edit_scene, fields, gone, refused

from privhead_nb.scenes.folder import load_scene, open_scene
from privhead_nb.scenes.lens import make_lens
from privhead_nb.scenes.scene import Scene

BALL = ball_scene()
FOCAL = float(BALL.cameras.K[0, 0, 0])
NERF, PARAMS = "transforms.json", "params.json"


@pytest.fixture
def made(tmp_path: Path) -> Callable[[str], Path]:
    """The ball in a layout."""

    def write(kind: str) -> Path:
        if kind.startswith("colmap"):
            pytest.importorskip("pycolmap", reason="the extra `capture` is not installed")
        return WRITERS[kind](tmp_path / kind.replace(" ", "_"), BALL)

    return write


# The same scene


def called(name: str, path: str) -> Spoil:
    """Another word for the picture of frames[1]."""
    return lambda f: edit_frame(f / name, 1, file_path=path)


def backwards(folder: Path) -> None:
    """Frames in any order, behind a byte order mark."""
    data = json.loads((folder / NERF).read_text())
    data["frames"].reverse()
    (folder / NERF).write_text("\ufeff" + json.dumps(data), encoding="utf-8")


def of_each_frame(folder: Path) -> None:
    """Intrinsics of a frame win."""
    edit_json(folder / NERF, fl_x=..., fl_y=..., cx=1.0)
    for view in range(6):
        edit_frame(folder / NERF, view, fl_x=FOCAL, fl_y=FOCAL, cx=16.0)


def hidden_green(folder: Path) -> None:
    """Colours below full transparency, black or a photographer's room, are no background."""
    for path in [*folder.glob("train/*"), *folder.glob("test/*")]:
        pixels = np.array(Image.open(path))
        pixels[pixels[..., 3] == 0, :3] = (0, 255, 0)
        Image.fromarray(pixels).save(path)


def matrices(rows: int) -> Spoil:
    """Documented as 4 x 4, written as 3 x 3 and 3 x 4."""

    def change(mat: np.ndarray) -> np.ndarray:
        whole = np.eye(4)
        whole[: mat.shape[0], : mat.shape[1]] = mat
        return whole[:rows]

    return lambda f: [edit_facescape(f, name, change) for name in ("K", "Rt")]


def placed(place: str) -> Spoil:
    """COLMAP's model elsewhere in the folder."""

    def spoil(folder: Path) -> None:
        (folder / MODEL).rename(folder / "model")
        (folder / "sparse").rmdir()
        (folder / place).mkdir(parents=True, exist_ok=True)
        for path in (folder / "model").iterdir():
            path.rename(folder / place / path.name)

    return spoil


def beside_stale_text(folder: Path) -> None:
    """.bin wins over .txt."""
    text = write_colmap_text(folder.with_name("text"), BALL)
    for path in (text / MODEL).iterdir():
        shutil.copy(path, folder / MODEL)
    (folder / MODEL / "cameras.txt").write_text("stale")


def points_left_out(folder: Path) -> None:
    """Each picture has two lines, and the second may be empty."""
    edit_colmap_lines(folder, lambda lines: [x * (i % 2 == 0) for i, x in enumerate(lines)])


def camera(line: str) -> Spoil:
    return lambda f: colmap_camera(f, line)


def lost_or(name: str, data: bytes | None) -> Spoil:
    """A file of COLMAP's model that isn't needed: points of known poses, rigs of older models."""
    path = MODEL / f"{name}.bin"
    return gone(str(path)) if data is None else lambda f: (f / path).write_bytes(data)


def beside(name: str) -> Spoil:
    """A further picture."""
    return lambda f: shutil.copy(f / "5.png", f / name)


APPLIED = "applied_transform is left as it is ... applied_scale is left as it is"
BY_ANGLE = {"camera_angle_x": 2 * np.arctan(16 / FOCAL), "w": 32.0, "h": 32.0}
NO_FOCAL = dict.fromkeys(("fl_x", "fl_y", "cx", "cy"), ...)
TRAIN_1 = ("./train/r_1", "train/r_1", ".\\train\\r_1", "train/r_1.png")
FRAME_2 = [f"{start}.png" for start in ("images/frame_00002", "./images/frame_00002")]
FRAME_2 += ["images/frame_00002", "images\\frame_00002.png"]
RIGHT: list[tuple[str, str, Spoil]] = [
    *(("blender", "", called("transforms_train.json", path)) for path in TRAIN_1),
    *(("nerfstudio", "", called(NERF, path)) for path in FRAME_2),
    ("blender", "", lambda f: edit_poses(f, lambda m: m[:3])),  # without the last row
    ("nerfstudio", "", lambda f: edit_poses(f, lambda m: m[:3])),
    ("blender", "", hidden_green),
    ("nerfstudio", "", backwards),
    ("nerfstudio", APPLIED, fields(NERF, applied_scale=0.25)),
    ("nerfstudio", "principal point", fields(NERF, **BY_ANGLE, **NO_FOCAL)),  # instant-ngp's
    ("nerfstudio", "", of_each_frame),
    ("facescape", "without a camera are left out: 17.png", beside("17.png")),
    ("facescape", "", beside("overview.png")),  # no number: no view's
    *(("facescape", "", matrices(rows)) for rows in (3, 4)),
    *(("colmap", "", placed(place)) for place in ("sparse", ".", "sparse/3")),
    *(
        ("colmap", "", lost_or(name, data))
        for name in ("points3D", "rigs", "frames")
        for data in (None, b"", b"\xff" * 99)
    ),
    ("colmap", ".bin are read", beside_stale_text),
    ("colmap", "", by_stem),
    ("colmap text", "", points_left_out),
    ("colmap text", "", camera(f"1 SIMPLE_PINHOLE 32 32 {FOCAL} 16 16")),
    ("colmap text", "", camera(f"1 PINHOLE 32 32 {FOCAL} {FOCAL} 16 16")),
    ("colmap text", "", camera(f"1 SIMPLE_RADIAL 32 32 {FOCAL} 16 16 0")),
]
"""The layout, what is assumed, with ... between, and what is done to the folder."""


@pytest.mark.parametrize(("kind", "said", "spoil"), RIGHT)
def test_what_is_unusual_and_right_gives_the_same_scene(made, kind, said, spoil):
    folder = made(kind)
    spoil(folder)
    scene = load_scene(folder)
    same(scene, BALL)
    for words in said.split(" ... "):
        assert not said or any(words in assumption for assumption in scene.assumptions)
    assert not any("distortion" in assumption for assumption in scene.assumptions)


# Names, views and sizes


def test_intrinsics_of_each_frame_must_be_those_of_all(made):
    folder = made("nerfstudio")
    of_each_frame(folder)
    edit_frame(folder / NERF, 4, fl_x=...)
    refused(lambda: open_scene(folder), NERF, "frames[4]", "fl_x")


def two_splits(folder: Path) -> list[str]:
    (folder / "test" / "r_4.png").rename(folder / "test" / "r_0.png")
    path = folder / "transforms_test.json"
    path.write_text(path.read_text().replace("test/r_4", "test/r_0"))
    return [f"train/r_{v}.png" for v in range(4)] + ["test/r_0.png", "test/r_5.png"]


def two_cameras(folder: Path) -> list[str]:
    for view in range(6):
        old, new = f"IMG_{view:03d}.png", f"cam{view // 3}/{view % 3}.png"
        for kind, ending in (("images", ""), ("masks", ".png")):
            (folder / kind / new).parent.mkdir(exist_ok=True)
            (folder / kind / (old + ending)).rename(folder / kind / (new + ending))
        colmap_view(old, lambda words, new=new: [*words[:-1], new])(folder)
    return [f"images/cam{view // 3}/{view % 3}.png" for view in range(6)]


@pytest.mark.parametrize(
    ("kind", "rename"), [("blender", two_splits), ("colmap text", two_cameras)]
)
def test_pictures_of_one_name_are_told_by_their_folders(made, kind, rename):
    folder = made(kind)
    names = rename(folder)
    edit_scene(folder, views={"sensitive": names[:3], "neutral": names[3:]})
    scene = load_scene(folder)
    assert scene.names == tuple(names)
    same(scene, BALL)


def test_a_camera_with_larger_pictures_takes_part(made):
    """Several cameras: the smaller pictures are padded at the right and below; rays stay."""

    def widened(folder: Path, *pictures: str) -> None:
        for name, fill in zip(pictures, (255, 0), strict=True):
            pixels = np.array(Image.open(folder / name))
            wider = [(0, 8), (0, 4), (0, 0)][: pixels.ndim]
            Image.fromarray(np.pad(pixels, wider, constant_values=fill)).save(folder / name)

    nerf, model = made("nerfstudio"), made("colmap text")
    widened(nerf, "images/frame_00002.png", "masks/frame_00002.png")
    edit_frame(nerf / NERF, 1, w=36, h=40)
    widened(model, "images/IMG_003.png", "masks/IMG_003.png.png")
    pinholes = f"1 PINHOLE 32 32 {FOCAL} {FOCAL} 16 16\n2 PINHOLE 36 40 {FOCAL} {FOCAL} 16 16"
    colmap_camera(model, pinholes)
    colmap_view("IMG_003.png", lambda words: [*words[:-2], "2", words[-1]])(model)
    for folder in (nerf, model):
        scene = load_scene(folder)
        assert scene.images.shape == (6, 40, 36, 3) and bool((scene.images[:, 32:] == 1).all())
        assert not scene.masks[:, 32:].any() and any("padded" in s for s in scene.assumptions)
        cut = replace(scene.cameras, width=32, height=32)
        shown = {"images": scene.images[:, :32, :32], "masks": scene.masks[:, :32, :32]}
        same(replace(scene, cameras=cut, **shown), BALL)


def test_facescapes_views_that_are_called_invalid_are_left_out_and_need_no_picture(made):
    folder = made("facescape")
    edit_json(folder / PARAMS, **{"4_valid": False})
    (folder / "4.png").unlink()
    edit_scene(folder, views={"sensitive": ["0.png", "1.png", "2.png"], "neutral": ["[35].png"]})
    scene = open_scene(folder)
    assert scene.names == ("0.png", "1.png", "2.png", "3.png", "5.png")
    assert scene.sensitive == (0, 1, 2)
    assert any("invalid are left out: 4" in said for said in scene.assumptions)


def test_facescapes_jpegs_as_the_data_has_them(made):
    folder = made("facescape")
    for v in range(6):
        Image.open(folder / f"{v}.png").save(folder / f"{v}.jpg", quality=100, subsampling=0)
        (folder / f"{v}.png").unlink()
    edit_scene(folder, views={"neutral": ["[345].jpg"]})
    scene = load_scene(folder)
    assert scene.names[0] == "0.jpg" and float((scene.images - BALL.images).abs().max()) < 0.05


def test_nerfstudios_own_model_is_read_where_the_format_is_named(made):
    folder = made("colmap")
    placed("colmap/sparse/0")(folder)
    refused(lambda: open_scene(folder), "no scene is in this folder")
    same(load_scene(folder, format="colmap"), BALL)


def test_colmaps_pictures_without_a_pose_are_named_and_never_released(made):
    """colmap #707: 19 of 101 pictures weren't registered."""
    folder = made("colmap text")
    edit_colmap_lines(
        folder,
        lambda lines: [
            line for i, line in enumerate(lines) if "IMG_002" not in "".join(lines[i - i % 2 :][:1])
        ],
    )
    views = {"sensitive": ["IMG_000.png", "IMG_001.png"], "neutral": ["IMG_00[345].png"]}
    edit_scene(folder, views=views)
    scene = open_scene(folder)
    assert "IMG_002.png" not in scene.names and len(scene.names) == 5
    (said,) = [said for said in scene.assumptions if "no pose" in said]
    assert said.startswith("1 pictures") and "IMG_002.png" in said
    edit_scene(folder, views={"neutral": ["IMG_002.png"]})
    refused(lambda: open_scene(folder), "no view 'IMG_002.png'")


@pytest.mark.parametrize(
    "line",
    [
        f"1 RADIAL 32 32 {FOCAL} 16 16 0.1 0.01",
        f"1 OPENCV 32 32 {FOCAL} {FOCAL} 16 16 0.1 0.01 0.001 0.001",
        f"1 FULL_OPENCV 32 32 {FOCAL} {FOCAL} 16 16 0.1 0 0 0 0 0 0 0",
        f"1 OPENCV_FISHEYE 32 32 {FOCAL} {FOCAL} 16 16 0.1 0 0 0",
        f"1 SIMPLE_RADIAL_FISHEYE 32 32 {FOCAL} 16 16 0.1",
    ],
)
def test_colmaps_cameras_with_a_lens_are_read(made, line):
    folder = made("colmap text")
    colmap_camera(folder, line)
    scene = load_scene(folder)
    assert torch.allclose(scene.cameras.K, BALL.cameras.K, atol=1e-6)
    assert any("distortion is taken out of 6" in said for said in scene.assumptions)


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
            edit_json(folder / PARAMS, **{f"{v}_distortion": [*k, 0.0] for v in range(6)})
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
