"""Bad scenes are refused with the file, the field and the remedy, and cost no memory."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from privhead_nb.errors import OutputError, SceneError
from privhead_nb.privacy.release import protect
from privhead_nb.scenes import folder as scene_folder
from privhead_nb.scenes import images
from privhead_nb.scenes.scene import Scene, load_scene

Spoil = Callable[..., None]


def _refused(folder: Path, *words: str) -> str:
    """Load, expect SceneError, and find every word in its message."""
    with pytest.raises(SceneError) as error:
        load_scene(folder)
    for word in words:
        assert word in str(error.value), f"{word!r} isn't in {error.value}"
    assert error.value.remedy
    return str(error.value)


def test_missing_folder_and_empty_folder(tmp_path: Path) -> None:
    _refused(tmp_path / "nowhere", "no such folder")
    _refused(tmp_path, "no scene is in this folder", "cameras.npz")


def test_missing_image_is_named_with_both_counts(ball_folder: Path) -> None:
    (ball_folder / "image" / "img_0003.png").unlink()
    _refused(ball_folder, "img_0003", "5 images for 6 cameras")


def test_missing_mask_is_an_error_never_white(ball_folder: Path) -> None:
    (ball_folder / "mask" / "mask_0002.png").unlink()
    _refused(ball_folder, "mask_0002", "5 masks for 6 cameras")


def test_surplus_image_names_both_counts(ball_folder: Path) -> None:
    Image.new("RGB", (32, 32)).save(ball_folder / "image" / "img_0006.png")
    _refused(ball_folder, "7 images", "6 cameras")


def test_counts_that_differ_in_an_idr_folder(ball_folder: Path) -> None:
    for path in (ball_folder / "image").iterdir():
        path.rename(path.with_name(path.name.replace("img_", "")))
    (ball_folder / "full_head.obj").unlink()
    (ball_folder / "landmarks.txt").unlink()
    (ball_folder / "image" / "0005.png").unlink()
    _refused(ball_folder, "5 images", "6 cameras")
    (ball_folder / "image" / "0004.png").rename(ball_folder / "image" / "0005.png")
    (ball_folder / "mask" / "mask_0005.png").rename(ball_folder / "image" / "0004.png")
    _refused(ball_folder, "5 masks", "6 images")


def test_masks_that_belong_to_other_views(ball_folder: Path) -> None:
    for kind in ("image", "mask"):
        for path in (ball_folder / kind).iterdir():
            path.rename(path.with_name(path.name.split("_")[1]))
    (ball_folder / "full_head.obj").unlink()
    (ball_folder / "landmarks.txt").unlink()
    (ball_folder / "mask" / "0005.png").rename(ball_folder / "mask" / "0009.png")
    _refused(ball_folder, "0009.png", "0005.png")


def test_truncated_image(ball_folder: Path) -> None:
    path = ball_folder / "image" / "img_0001.png"
    path.write_bytes(path.read_bytes()[:-300])
    _refused(ball_folder, "img_0001.png", "truncated")


def test_truncated_jpeg_and_a_text_file_called_png(ball_folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    jpeg = ball_folder / "image" / "img_0001.jpg"
    Image.fromarray(noise).save(jpeg)
    jpeg.write_bytes(jpeg.read_bytes()[:-200])
    (ball_folder / "image" / "img_0001.png").unlink()
    _refused(ball_folder, "img_0001.jpg", "truncated")
    (ball_folder / "image" / "img_0001.jpg").write_text("not a picture")
    _refused(ball_folder, "img_0001.jpg", "can't be read as a picture")


def test_images_and_masks_of_another_size(ball_folder: Path) -> None:
    Image.new("L", (16, 32), 255).save(ball_folder / "mask" / "mask_0004.png")
    _refused(ball_folder, "mask_0004.png", "16 x 32", "32 x 32")
    Image.new("RGB", (33, 32)).save(ball_folder / "image" / "img_0002.png")
    _refused(ball_folder, "img_0002.png", "33 x 32")


def test_empty_masks(ball_folder: Path) -> None:
    Image.new("L", (32, 32), 0).save(ball_folder / "mask" / "mask_0004.png")
    _refused(ball_folder, "mask_0004.png", "the mask is empty")
    for i in range(6):  # 0/1 instead of 0/255 is as good as empty
        Image.new("L", (32, 32), 1).save(ball_folder / "mask" / f"mask_{i:04d}.png")
    _refused(ball_folder, "all masks are empty", "0/1")


def _world_mat(folder: Path, view: int) -> np.ndarray:
    with np.load(folder / "cameras.npz") as data:
        return data[f"world_mat_{view}"].copy()


def test_nan_camera(ball_folder: Path, spoil_cameras: Spoil) -> None:
    P = _world_mat(ball_folder, 2)
    P[0, 3] = np.nan
    spoil_cameras(ball_folder, world_mat_2=P)
    _refused(ball_folder, "cameras.npz", "world_mat_2", "NaN")


def test_zero_focal_length(ball_folder: Path, spoil_cameras: Spoil) -> None:
    P = _world_mat(ball_folder, 4)
    K = np.array([[0.0, 0, 16], [0, 60, 16], [0, 0, 1]])
    R = np.eye(3)
    P[:3] = K @ np.hstack([R, [[0], [0], [400]]])
    spoil_cameras(ball_folder, world_mat_4=P)
    _refused(ball_folder, "cameras.npz", "world_mat_4", "focal length")


def test_mirrored_axes(ball_folder: Path, spoil_cameras: Spoil) -> None:
    P = _world_mat(ball_folder, 1)
    P[:3, 0] *= -1  # the scene's x axis mirrored
    spoil_cameras(ball_folder, world_mat_1=P)
    _refused(ball_folder, "cameras.npz", "world_mat_1", "mirrored")


def test_cameras_that_look_away(ball_folder: Path, spoil_cameras: Spoil) -> None:
    P = _world_mat(ball_folder, 0)
    P[:3] = P[:3] @ np.diag([-1, 1, -1, 1])  # OpenGL-like: turned by half a circle
    K_R, t = P[:3, :3], _world_mat(ball_folder, 0)[:3, 3]
    P[:3, 3] = -t
    P[:3, :3] = K_R
    spoil_cameras(ball_folder, world_mat_0=P)
    _refused(ball_folder, "cameras.npz", "view 0", "behind")


def test_cameras_inside_the_object(ball_folder: Path, spoil_cameras: Spoil) -> None:
    spoil_cameras(ball_folder, **{f"scale_mat_{i}": np.diag([500.0] * 3 + [1]) for i in range(6)})
    _refused(ball_folder, "cameras.npz", "view 0", "inside the bounding sphere", "scale_mat")


def test_cameras_all_on_one_spot(ball_folder: Path, spoil_cameras: Spoil) -> None:
    P = _world_mat(ball_folder, 0)
    spoil_cameras(ball_folder, **{f"world_mat_{i}": P for i in range(6)})
    _refused(ball_folder, "cameras.npz", "6 cameras", "one spot")


@pytest.mark.parametrize(
    ("mats", "words"),
    [
        ({"world_mat_3": None}, ["world_mat_3", "5 cameras"]),
        ({"scale_mat_0": None}, ["scale_mat_0"]),
        ({"scale_mat_3": np.eye(4)}, ["scale_mat_3", "differs"]),
        ({f"scale_mat_{i}": np.diag([80.0, 80, 90, 1]) for i in range(6)}, ["uniform"]),
        ({f"scale_mat_{i}": np.diag([-80.0] * 3 + [1]) for i in range(6)}, ["uniform"]),
        ({"world_mat_0": np.eye(3)}, ["world_mat_0", "shape"]),
        ({f"world_mat_{i}": None for i in range(6)}, ["no world_mat_0"]),
    ],
)
def test_incomplete_camera_files(
    ball_folder: Path, spoil_cameras: Spoil, mats: dict[str, object], words: list[str]
) -> None:
    spoil_cameras(ball_folder, **mats)
    _refused(ball_folder, "cameras.npz", *words)


def test_a_pickle_in_cameras_npz_is_never_run(ball_folder: Path) -> None:
    class Trap:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (os.mkdir, (str(ball_folder / "sprung"),))

    np.savez(ball_folder / "cameras.npz", world_mat_0=np.array([Trap()], dtype=object))
    _refused(ball_folder, "cameras.npz", "pickled objects are refused")
    assert not (ball_folder / "sprung").exists()


def test_damaged_camera_file(ball_folder: Path) -> None:
    path = ball_folder / "cameras.npz"
    path.write_bytes(path.read_bytes()[:200])
    _refused(ball_folder, "cameras.npz", "can't be read")


def test_without_scene_json_the_error_shows_one_to_paste(ball_folder: Path) -> None:
    (ball_folder / "scene.json").unlink()
    message = _refused(ball_folder, "scene.json", "--sensitive", "sensitive")
    template = message[message.index("{") :]
    (ball_folder / "scene.json").write_text(template)
    assert load_scene(ball_folder).sensitive == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"axes": "opengl"}, "axes"),
        ({"pixel_center": 0.25}, "pixel_center"),
        ({"background": [255, 255]}, "background"),
        ({"background": [256, 0, 0]}, "background"),
        ({"nose_tip": [0, float("nan"), 0]}, "nose_tip"),
        ({"face_radius": -1}, "face_radius"),
        ({"face_radius": True}, "face_radius"),
        ({"up": "+w"}, "up"),
        ({"up": "+z", "front": "-z"}, "up"),
        ({"unit": 3}, "unit"),
        ({"views": [1, 2]}, "views"),
        ({"views": {"sensitive": "a"}}, "views.sensitive"),
        ({"views": {"sensitive": ["a"]}}, "no view 'a'"),
        ({"views": {"sensitive": [0, 6]}}, "no view 6"),
        ({"views": {"sensitive": [0, 1], "neutral": [1, 2]}}, "twice"),
        ({"landmarks": [[1, 2]]}, "landmarks"),
    ],
)
def test_wrong_fields_of_scene_json_are_named(
    ball_folder: Path, change: dict[str, object], word: str
) -> None:
    path = ball_folder / "scene.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    _refused(ball_folder, "scene.json", word)


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_scene_json_that_is_no_json_object(ball_folder: Path, text: str) -> None:
    (ball_folder / "scene.json").write_text(text)
    _refused(ball_folder, "scene.json", "face_radius")


def test_damaged_truth_and_landmarks(ball_folder: Path) -> None:
    (ball_folder / "full_head.obj").write_text("v 0 0\nf 1 2 3\n")
    with pytest.raises(SceneError, match=r"full_head\.obj"):
        load_scene(ball_folder).truth_mesh()
    path = ball_folder / "scene.json"
    info = json.loads(path.read_text())
    del info["landmarks"]
    path.write_text(json.dumps(info))
    (ball_folder / "landmarks.txt").write_text("nose tip\n")
    _refused(ball_folder, "landmarks.txt", "name vertex")


def test_a_release_given_for_a_scene(ball: Scene, tmp_path: Path) -> None:
    protect(ball, size=16).save(tmp_path / "release")
    _refused(tmp_path / "release", "this is a release, not a scene")


def _huge_png(path: Path, side: int = 20_000) -> None:
    """A sound 1-bit PNG of side x side black pixels, some 50 kB on disk."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    packer, row = zlib.compressobj(), bytes(1 + (side + 7) // 8)
    packed = b"".join(packer.compress(row * 1000) for _ in range(side // 1000)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


def test_huge_pictures_are_refused_and_memory_stays_flat(ball_folder: Path) -> None:
    huge = ball_folder / "image" / "img_0000.png"
    _huge_png(huge)
    _refused(ball_folder, "img_0000.png", "too large", "limit is 64 million")
    if not Path("/proc/self/status").is_file():
        pytest.skip("peak memory is asked of Linux")
    # Pillow's own memory isn't traced, so the process's peak is asked for, in a process of its own.
    code = """
import re, sys
from privhead_nb.errors import SceneError
from privhead_nb.scenes.scene import load_scene
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
before = peak()
try:
    load_scene(sys.argv[1])
except SceneError:
    print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(ball_folder)], capture_output=True, text=True, check=True
    )
    # Modules that are imported late take some; decoding would take 400,000 kB (a byte a pixel).
    assert int(done.stdout) < 100_000


def test_pictures_just_above_the_limit_are_refused(tmp_path: Path) -> None:
    Image.new("1", (100, 101)).save(tmp_path / "a.png")
    assert images.image_size(tmp_path / "a.png", max_pixels=10_100) == (100, 101)
    for read in (images.read_image, images.read_mask, images.image_size):
        with pytest.raises(SceneError, match="too large"):
            read(tmp_path / "a.png", max_pixels=10_099)


def test_a_scene_of_too_many_pixels_loads_at_a_smaller_size(
    ball_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_folder, "MAX_SCENE_PIXELS", 6 * 20 * 20)
    _refused(ball_folder, "6 views of 32 x 32", "smaller size")
    assert load_scene(ball_folder, size=16).cameras.width == 16


def test_loading_at_a_size_holds_one_picture_at_a_time(ball: Scene, tmp_path: Path) -> None:
    side = 768
    big = Scene(
        ball.images.repeat_interleave(side // 32, 1).repeat_interleave(side // 32, 2),
        ball.masks.repeat_interleave(side // 32, 1).repeat_interleave(side // 32, 2),
        ball.cameras.resized(side, side),
        *((0,), (1,), (0.0, 0.0, 0.0), 80.0),
    )
    big.save(tmp_path / "big")
    tracemalloc.start()
    load_scene(tmp_path / "big", size=32)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one = side * side * 4 * 4  # a float picture with its mask
    assert peak < 4 * one


def test_no_permission_to_write(
    ball: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write everywhere: let the system call say no

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match="permission"):
        ball.save(locked / "scene")
    assert list(locked.iterdir()) == []


def test_full_disk_leaves_nothing(
    ball: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("privhead_nb.scenes.scene.write_obj", full)  # after the pictures
    with pytest.raises(OutputError, match="disk is full"):
        ball.save(tmp_path / "scene")
    assert list(tmp_path.iterdir()) == []
