"""Faults that users of COLMAP's models report, made in code.

Each ends in the right scene, or in an error that names file, field and remedy.
"""

import shutil
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ball_scene
from layouts import write_colmap, write_colmap_text
from PIL import Image
from refusals import cut, edit_scene, flip, refusal, refused
from scipy.spatial.transform import Rotation

from privhead_nb.scenes.folder import load_scene, open_scene
from privhead_nb.scenes.formats import colmap
from privhead_nb.scenes.scene import Scene

pytest.importorskip("pycolmap", reason="the extra `capture` is not installed")

BALL = ball_scene()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    top = tmp_path_factory.mktemp("written")
    write = {"bin": write_colmap, "txt": write_colmap_text}
    return {kind: write[kind](top / kind, BALL) for kind in write}


@pytest.fixture
def binary(written: dict[str, Path], tmp_path: Path) -> Path:
    """The ball with a model of .bin files, to be spoiled."""
    return Path(shutil.copytree(written["bin"], tmp_path / "scene"))


@pytest.fixture
def text(written: dict[str, Path], tmp_path: Path) -> Path:
    """The ball with a model of .txt files, to be spoiled."""
    return Path(shutil.copytree(written["txt"], tmp_path / "scene"))


def edit_lines(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Put the lines of a text file that are no comments through a function."""
    lines = [line for line in path.read_text().split("\n") if not line.startswith("#")]
    path.write_text("\n".join(change(lines)))


def edit_views(folder: Path, change: Callable[[list[str]], list[str]], name: str) -> None:
    """Put the words of a picture's line in images.txt through a function."""

    def changed(lines: list[str]) -> list[str]:
        return [" ".join(change(i.split(" "))) if i.endswith(name) else i for i in lines]

    edit_lines(folder / "sparse" / "0" / "images.txt", changed)


def camera(folder: Path, line: str) -> None:
    """Write cameras.txt with one camera, number 1."""
    (folder / "sparse" / "0" / "cameras.txt").write_text(line + "\n")


def is_the_ball(scene: Scene) -> None:
    assert torch.allclose(scene.images, BALL.images, atol=0.51 / 255)
    assert torch.equal(scene.masks, BALL.masks)
    assert torch.allclose(scene.cameras.c2w, BALL.cameras.c2w, atol=1e-6)
    assert torch.allclose(scene.cameras.K, BALL.cameras.K, atol=1e-6)


# The model and its places


@pytest.mark.parametrize("place", ["sparse", ".", "sparse/3"])
def test_a_model_in_another_place(binary, place):
    (binary / "sparse" / "0").rename(binary / "model")
    (binary / "sparse").rmdir()
    target = binary / place
    target.mkdir(parents=True, exist_ok=True)
    for path in (binary / "model").iterdir():
        path.rename(target / path.name)
    is_the_ball(load_scene(binary))


def test_several_models_share_no_coordinates(binary):
    """colmap #895: a mapper that fails to join its pictures makes sparse/0, sparse/1, ..."""
    shutil.copytree(binary / "sparse" / "0", binary / "sparse" / "1")
    refused(lambda: open_scene(binary), "sparse", "2 models (0, 1)", "Keep the one")


def test_nerfstudios_own_model_is_read_where_the_format_is_named(binary):
    (binary / "sparse").rename(binary / "model")
    (binary / "colmap").mkdir()
    (binary / "model").rename(binary / "colmap" / "sparse")
    refused(lambda: open_scene(binary), "no scene is in this folder")
    is_the_ball(load_scene(binary, format="colmap"))


@pytest.mark.parametrize("name", ["points3D", "rigs", "frames"])
@pytest.mark.parametrize("how", ["lost", "empty", "damaged"])
def test_what_is_not_needed_may_be_lost_empty_or_damaged(binary, name, how):
    """Known poses come without points; older models have no rigs."""
    path = binary / "sparse" / "0" / f"{name}.bin"
    path.unlink()
    if how != "lost":
        path.write_bytes(b"" if how == "empty" else b"\xff" * 99)
    is_the_ball(load_scene(binary))


@pytest.mark.parametrize("name", ["cameras", "images"])
def test_a_file_of_the_model_is_missing_or_truncated(binary, name):
    path = binary / "sparse" / "0" / f"{name}.bin"
    whole = path.read_bytes()
    cut(path, -30)
    refused(lambda: open_scene(binary), "sparse/0", f"{name}.bin", "Export the model again")
    path.write_bytes(b"")
    refused(lambda: open_scene(binary), "cameras.bin and images.bin", "Export the model again")
    path.write_bytes(whole)
    path.unlink()
    word = "images.bin: the file is missing" if name == "images" else "no scene"
    refused(lambda: open_scene(binary), word)


def test_a_count_that_never_ends_ends(binary, monkeypatch):
    """A flipped bit in images.bin keeps COLMAP's own reader busy for ever."""
    monkeypatch.setattr(colmap, "_SECONDS", 3)
    path = binary / "sparse" / "0" / "images.bin"
    data = bytearray(path.read_bytes())
    for count in (2**28, 2**40, 2**63):
        name = data.index(b"IMG_000.png\0") + len(b"IMG_000.png\0")
        data[name : name + 8] = struct.pack("<Q", count)
        path.write_bytes(data)
        start = time.monotonic()
        refused(lambda: open_scene(binary), "can't be read as a COLMAP model")
        assert time.monotonic() - start < 10


@pytest.mark.parametrize("share", [0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
def test_a_flipped_bit_ends_in_a_scene_or_a_scene_error(binary, monkeypatch, share):
    monkeypatch.setattr(colmap, "_SECONDS", 3)
    for name in ("cameras", "images"):
        flip(binary / "sparse" / "0" / f"{name}.bin", share)
    error = refusal(lambda: open_scene(binary))
    assert error is None or error.remedy


def test_bin_wins_over_txt(written, tmp_path):
    folder = Path(shutil.copytree(written["bin"], tmp_path / "both"))
    for path in (written["txt"] / "sparse" / "0").iterdir():
        shutil.copy(path, folder / "sparse" / "0")
    (folder / "sparse" / "0" / "cameras.txt").write_text("stale")
    scene = load_scene(folder)
    is_the_ball(scene)
    assert any(".bin are read" in said for said in scene.assumptions)


# Pictures


def test_pictures_without_a_pose_are_named_and_never_released(text):
    """colmap #707: 19 of 101 pictures weren't registered."""
    edit_lines(
        text / "sparse" / "0" / "images.txt",
        lambda lines: [
            line for i, line in enumerate(lines) if "IMG_002" not in "".join(lines[i - i % 2 :][:1])
        ],
    )
    views = {"sensitive": ["IMG_000.png", "IMG_001.png"], "neutral": ["IMG_00[345].png"]}
    edit_scene(text, views=views)
    scene = open_scene(text)
    assert "IMG_002.png" not in scene.names and len(scene.names) == 5
    (said,) = [said for said in scene.assumptions if "no pose" in said]
    assert said.startswith("1 pictures") and "IMG_002.png" in said
    edit_scene(text, views={"neutral": ["IMG_002.png"]})
    refused(lambda: open_scene(text), "no view 'IMG_002.png'")


def test_a_picture_of_the_model_is_missing(binary):
    (binary / "images" / "IMG_003.png").unlink()
    words = ["images.bin", "picture 'IMG_003.png'", "no such picture", "take the view out"]
    refused(lambda: open_scene(binary), *words)


@pytest.mark.parametrize("name", ["../secret.png", "/{}/secret.png", "link.png"])
def test_a_picture_outside_of_the_folder(text, tmp_path, name):
    shutil.copy(text / "images" / "IMG_003.png", tmp_path / "secret.png")
    (text / "images" / "link.png").symlink_to(tmp_path / "secret.png")
    name = name.format(tmp_path)
    edit_views(text, lambda words: [*words[:-1], name], "IMG_003.png")
    refused(lambda: open_scene(text), "images.txt", "leaves the scene's folder", "Copy the file")


def test_pictures_in_folders_of_their_cameras(text):
    """Two cameras call their pictures alike: names keep the folder."""
    for view in range(6):
        old, new = f"IMG_{view:03d}.png", f"cam{view // 3}/{view % 3}.png"
        for kind, ending in (("images", ""), ("masks", ".png")):
            (text / kind / new).parent.mkdir(exist_ok=True)
            (text / kind / (old + ending)).rename(text / kind / (new + ending))
        edit_views(text, lambda words, new=new: [*words[:-1], new], old)
    names = [f"images/cam{view // 3}/{view % 3}.png" for view in range(6)]
    edit_scene(text, views={"sensitive": names[:3], "neutral": names[3:]})
    scene = load_scene(text)
    assert scene.names == tuple(names) and scene.neutral == (3, 4, 5)
    is_the_ball(scene)


def test_a_picture_that_stands_twice(text):
    edit_views(text, lambda words: [*words[:-1], "IMG_002.png"], "IMG_003.png")
    refused(lambda: open_scene(text), "images.txt", "name one picture, IMG_002.png", "stands once")


def test_pictures_of_another_size_than_the_camera(binary):
    """gaussian-splatting: images_4 in place of images."""
    for path in (binary / "images").iterdir():
        Image.open(path).resize((16, 16)).save(path)
    words = ["IMG_000.png: is 16 x 16", "images.bin says 32 x 32", "focal lengths"]
    refused(lambda: open_scene(binary), *words)


def test_masks_by_stem_lost_or_double(binary):
    for path in (binary / "masks").iterdir():  # a.png.png is COLMAP's name, a.png is others'
        path.rename(path.with_name(path.name.removesuffix(".png")))
    is_the_ball(load_scene(binary))
    mask = binary / "masks" / "IMG_004.png"
    shutil.copy(mask, binary / "masks" / "IMG_004.png.png")
    refused(lambda: open_scene(binary), "IMG_004.png", "stands beside", "Keep one")
    (binary / "masks" / "IMG_004.png.png").unlink()
    mask.unlink()
    refused(lambda: open_scene(binary), "masks", "no mask for IMG_004.png", "none is made up")
    shutil.rmtree(binary / "masks")
    refused(lambda: open_scene(binary), "IMG_000.png", "has no mask", "masks/")


# Poses


def test_images_txt_without_the_lines_of_points(text):
    """colmap's known poses: each picture has two lines, and the second is easily forgotten."""
    edit_lines(text / "sparse" / "0" / "images.txt", lambda lines: lines[::2])
    refused(lambda: open_scene(text), "images.txt can't be read", "two lines", "may be empty")


def test_empty_lines_of_points_are_enough(text):
    edit_lines(
        text / "sparse" / "0" / "images.txt",
        lambda lines: [line if i % 2 == 0 else "" for i, line in enumerate(lines)],
    )
    is_the_ball(load_scene(text))


def test_a_quaternion_that_is_not_of_length_one(text):
    def longer(words: list[str]) -> list[str]:
        return [words[0], *(str(3 * float(q)) for q in words[1:5]), *words[5:]]

    for view in range(6):
        edit_views(text, longer, f"IMG_{view:03d}.png")
    refused(lambda: open_scene(text), "images.txt", "picture 'IMG_", "no rotation", "scale")


@pytest.mark.parametrize("number", ["nan", "inf", "1e400"])
def test_a_pose_that_is_no_number(text, number):
    edit_views(text, lambda w: [*w[:5], number, *w[6:]], "IMG_003.png")
    refused(lambda: open_scene(text), "images.txt can't be read", "no number may be NaN")


def test_camera_to_world_in_place_of_world_to_camera(text):
    def inverted(words: list[str]) -> list[str]:
        w, x, y, z, *t = map(float, words[1:8])
        back = -Rotation.from_quat([x, y, z, w]).inv().apply(t)
        return [words[0], *map(str, (w, -x, -y, -z, *back)), *words[8:]]

    for view in range(6):
        edit_views(text, inverted, f"IMG_{view:03d}.png")
    for change in ({}, {"center": ..., "radius": ...}):
        edit_scene(text, **change)
        refused(lambda: open_scene(text), "images.txt")


# Cameras


def test_a_camera_that_a_picture_asks_for_and_nobody_has(text):
    edit_views(text, lambda words: [*words[:-2], "7", words[-1]], "IMG_003.png")
    refused(lambda: open_scene(text), "cameras.txt and images.txt can't", "ID 7", "Export")


@pytest.mark.parametrize(
    ("line", "straight"),
    [
        ("1 SIMPLE_PINHOLE 32 32 {f} 16 16", True),
        ("1 PINHOLE 32 32 {f} {f} 16 16", True),
        ("1 SIMPLE_RADIAL 32 32 {f} 16 16 0", True),
        ("1 RADIAL 32 32 {f} 16 16 0.1 0.01", False),
        ("1 OPENCV 32 32 {f} {f} 16 16 0.1 0.01 0.001 0.001", False),
        ("1 FULL_OPENCV 32 32 {f} {f} 16 16 0.1 0 0 0 0 0 0 0", False),
        ("1 OPENCV_FISHEYE 32 32 {f} {f} 16 16 0.1 0 0 0", False),
        ("1 SIMPLE_RADIAL_FISHEYE 32 32 {f} 16 16 0.1", False),
    ],
)
def test_camera_models_that_are_read(text, line, straight):
    camera(text, line.format(f=float(BALL.cameras.K[0, 0, 0])))
    scene = load_scene(text)
    assert torch.allclose(scene.cameras.K, BALL.cameras.K, atol=1e-6)
    assert straight != any("distortion is taken out of 6" in s for s in scene.assumptions)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("1 FOV 32 32 60 60 16 16 0.5", ["FOV", "image_undistorter"]),
        ("1 THIN_PRISM_FISHEYE 32 32 60 60 16 16 0 0 0 0 0 0 0 0", ["THIN_PRISM", "undistorter"]),
        ("1 SIMPLE_RADIAL 32 32 60 16 16 -40", ["camera 1", "folds the picture"]),
        ("1 PINHOLE 32 32 -60 60 16 16", ["focal length"]),
        ("1 PINHOLE 32 32 nan 60 16 16", []),
        ("1 PINHOLE 32 32 60 60", []),
        ("1 PINHOL 32 32 60 60 16 16", []),
        ("1 PINHOLE 0 0 60 60 16 16", ["IMG_000.png", "images.txt says 0 x 0"]),
        ("", []),
    ],
)
def test_cameras_that_are_none(text, line, words):
    camera(text, line)
    error = refused(lambda: load_scene(text), *words)
    assert (
        words or "sparse/0: cameras.txt and images.txt can't" in str(error) or "NaN" in str(error)
    )


def test_two_cameras_of_two_sizes(text):
    f = float(BALL.cameras.K[0, 0, 0])
    camera(text, f"1 PINHOLE 32 32 {f} {f} 16 16\n2 PINHOLE 36 40 {f} {f} 16 16")
    edit_views(text, lambda words: [*words[:-2], "2", words[-1]], "IMG_003.png")
    for kind, fill in (("images/IMG_003.png", 255), ("masks/IMG_003.png.png", 0)):
        pixels = np.array(Image.open(text / kind))
        wider = [(0, 8), (0, 4), (0, 0)][: pixels.ndim]
        Image.fromarray(np.pad(pixels, wider, constant_values=fill)).save(text / kind)
    scene = load_scene(text)
    assert scene.images.shape == (6, 40, 36, 3)
    assert torch.allclose(scene.images[:, :32, :32], BALL.images, atol=0.51 / 255)
    assert any("several sizes" in said for said in scene.assumptions)
