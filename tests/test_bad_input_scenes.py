"""Bad scenes are refused with the file, the field and the remedy, and cost no memory."""

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import ball_scene
from PIL import Image
from refusals import (
    as_idr,
    cut,
    edit_cameras,
    enlarged,
    own_peak,
    picture,
    refused,
    set_sphere,
    traced_peak,
)

from privhead_nb.errors import SceneError
from privhead_nb.privacy.protect import protect
from privhead_nb.scenes import folder as scene_folder
from privhead_nb.scenes import images
from privhead_nb.scenes.folder import load_scene


def world_mat(folder: Path, view: int) -> np.ndarray:
    with np.load(folder / "cameras.npz") as data:
        return np.array(data[f"world_mat_{view}"])


def changed_world_mat(view: int, change: Callable[[np.ndarray], object]) -> Callable[[Path], None]:
    """A spoiler that changes one camera's matrix in place."""

    def spoil(folder: Path) -> None:
        P = world_mat(folder, view)
        change(P)
        edit_cameras(folder, **{f"world_mat_{view}": P})

    return spoil


def without_focal_length(P: np.ndarray) -> None:
    P[:3] = np.array([[0.0, 0, 16], [0, 60, 16], [0, 0, 1]]) @ np.eye(3, 4)
    P[:3, 3] += [0, 0, 400]


def turned_by_half_a_circle(P: np.ndarray) -> None:  # OpenGL-like
    P[:3] = P[:3] @ np.diag([-1, 1, -1, -1])


def an_idr_folder_without(folder: Path, *names: str) -> None:
    as_idr(folder)
    for name in names:
        (folder / name).unlink()


def a_mask_of_another_number(folder: Path) -> None:
    as_idr(folder)
    (folder / "mask" / "005.png").rename(folder / "mask" / "009.png")


def a_damaged_jpeg(folder: Path) -> None:
    (folder / "image" / "img_0001.png").unlink()
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(noise).save(folder / "image" / "img_0001.jpg")
    cut(folder / "image" / "img_0001.jpg", -200)


def masks_of(value: int, *views: int) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for view in views:
            picture(folder / "mask" / f"mask_{view:04d}.png", mode="L", value=value)

    return spoil


def all_mats(name: str, mat: object) -> Callable[[Path], None]:
    return lambda f: edit_cameras(f, **{f"{name}_{i}": mat for i in range(6)})


FAULTS: dict[str, tuple[Callable[[Path], object], list[str]]] = {
    "no folder": (shutil.rmtree, ["no such folder"]),
    "a release": (
        lambda f: (shutil.rmtree(f), protect(ball_scene(), size=16).save(f)),
        ["this is a release, not a scene"],
    ),
    "no pictures and cameras": (
        lambda f: (shutil.rmtree(f), f.mkdir()),
        ["no scene is in this folder", "cameras.npz"],
    ),
    "no image": (
        lambda f: (f / "image" / "img_0003.png").unlink(),
        ["img_0003", "5 images for 6 cameras"],
    ),
    "no mask, and none is made up": (
        lambda f: (f / "mask" / "mask_0002.png").unlink(),
        ["mask_0002", "5 masks for 6 cameras"],
    ),
    "surplus image": (lambda f: picture(f / "image/img_0006.png"), ["7 images", "6 cameras"]),
    "IDR, no image": (
        lambda f: an_idr_folder_without(f, "image/000005.png"),
        ["5 images", "6 cameras"],
    ),
    "IDR, no mask": (lambda f: an_idr_folder_without(f, "mask/005.png"), ["5 masks", "6 images"]),
    "IDR, another mask": (a_mask_of_another_number, ["009.png", "000005.png"]),
    "cut JPEG": (a_damaged_jpeg, ["img_0001.jpg", "truncated"]),
    "mask of another size": (
        lambda f: picture(f / "mask/mask_0004.png", (16, 32), "L", 255),
        ["mask_0004.png", "16 x 32", "32 x 32"],
    ),
    "one empty mask": (masks_of(0, 4), ["mask_0004.png", "the mask is empty"]),
    "masks of 0 and 1": (masks_of(1, *range(6)), ["all masks are empty", "0/1"]),
    "NaN": (
        changed_world_mat(2, lambda P: np.put(P, 3, np.nan)),
        ["cameras.npz", "world_mat_2", "NaN"],
    ),
    "overflow": (
        lambda f: edit_cameras(f, world_mat_2=np.full((4, 4), 1e300)),
        ["cameras.npz", "world_mat_2 holds numbers beyond"],
    ),
    "no focal length": (
        changed_world_mat(4, without_focal_length),
        ["cameras.npz", "world_mat_4", "focal length"],
    ),
    "mirrored axes": (
        changed_world_mat(1, lambda P: np.negative(P[:3, 0], out=P[:3, 0])),
        ["cameras.npz", "view 1", "mirrored"],
    ),
    "looks away": (
        changed_world_mat(0, turned_by_half_a_circle),
        ["cameras.npz", "view 0", "behind"],
    ),
    "camera in the sphere": (
        lambda f: set_sphere(f, 500),
        ["cameras.npz", "view 0", "inside the bounding sphere", "scale_mat"],
    ),
    "cameras on one spot": (
        lambda f: all_mats("world_mat", world_mat(f, 0))(f),
        ["cameras.npz", "6 cameras", "one spot"],
    ),
    "no world_mat_3": (lambda f: edit_cameras(f, world_mat_3=None), ["world_mat_3", "5 cameras"]),
    "no scale_mat": (lambda f: edit_cameras(f, scale_mat_0=None), ["cameras.npz", "scale_mat_0"]),
    "two spheres": (lambda f: edit_cameras(f, scale_mat_3=np.eye(4)), ["scale_mat_3", "differs"]),
    "a flat sphere": (all_mats("scale_mat", np.diag([80.0, 80, 90, 1])), ["uniform"]),
    "a negative sphere": (all_mats("scale_mat", np.diag([-80.0, -80, -80, 1])), ["uniform"]),
    "3 x 3 matrices": (
        lambda f: edit_cameras(f, world_mat_0=np.eye(3)),
        ["cameras.npz", "world_mat_0", "shape"],
    ),
    "no cameras": (all_mats("world_mat", None), ["cameras.npz", "no world_mat_0"]),
    "damaged truth": (
        lambda f: (f / "full_head.obj").write_text("v 0 0\nf 1 2 3\n"),
        ["full_head.obj"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_file_and_its_remedy(ball_folder, fault):
    spoil, words = FAULTS[fault]
    spoil(ball_folder)
    refused(lambda: load_scene(ball_folder).truth_mesh(), *words)


# Memory


def test_huge_pictures_are_refused_and_memory_stays_flat(ball_folder):
    huge = np.zeros((20_000, 20_000), np.uint8)  # less than a megabyte on disk
    cv2.imwrite(str(ball_folder / "image" / "img_0000.png"), huge)
    refused(lambda: load_scene(ball_folder), "img_0000.png", "too large", "limit is 64 million")
    imports = "from privhead_nb.errors import SceneError; from privhead_nb import load_scene"
    code = "with contextlib.suppress(SceneError): load_scene(sys.argv[1])"
    before, after = own_peak(imports, code, ball_folder)
    # Modules that are imported late take some; decoding would take 400 MB (a byte a pixel).
    assert after - before < 100e6


def test_pictures_just_above_the_limit_are_refused(tmp_path):
    path = picture(tmp_path / "a.png", (100, 101), "1")
    assert images.image_size(path, max_pixels=10_100) == (100, 101)
    for read in (images.read_image, images.read_mask, images.image_size):
        with pytest.raises(SceneError, match="too large"):
            read(path, max_pixels=10_099)


def test_a_scene_of_too_many_pixels_loads_at_a_smaller_size(ball_folder, monkeypatch):
    monkeypatch.setattr(scene_folder, "MAX_SCENE_PIXELS", 6 * 20 * 20)
    words = ["6 views of 32 x 32", "load_scene(folder, size=512)", "open_scene(folder)"]
    refused(lambda: load_scene(ball_folder), *words)
    assert load_scene(ball_folder, size=16).cameras.width == 16


def test_loading_at_a_size_holds_one_picture_at_a_time(ball, tmp_path):
    side = 768
    enlarged(ball, side // 32).save(tmp_path / "big")
    peak = traced_peak(lambda: load_scene(tmp_path / "big", size=32))
    assert peak < 4 * side * side * 4 * 4  # four float pictures with their masks
