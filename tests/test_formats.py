"""Folders as people bring them: IDR, NeuS, VolSDF and DVR, other names, damaged camera files."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import (
    as_idr,
    edit_cameras,
    edit_scene,
    refused,
    rename_views,
    set_sphere,
)

from privhead_nb.scenes.folder import load_scene, open_truth
from privhead_nb.scenes.formats import h3ds, idr
from privhead_nb.scenes.formats.idr import decompose
from privhead_nb.scenes.formats.parts import list_pictures, pair_views
from privhead_nb.scenes.images import read_image
from privhead_nb.scenes.scene import Scene

# Layouts


def test_idr_folder_loads_and_says_what_it_assumed(ball_folder, ball):
    as_idr(ball_folder)
    scene = load_scene(ball_folder, sensitive="0-2")
    assert scene.sensitive == (0, 1, 2) and scene.unit == "scene"
    assert torch.allclose(scene.cameras.c2w, ball.cameras.c2w, atol=1e-9)
    assert scene.radius == pytest.approx(80)
    # IDR's code feeds whole pixel indices to K: the first pixel's centre is at 0.
    assert scene.cameras.pixel_center == 0
    assert any("pixel_center 0" in said for said in scene.assumptions)


def test_neus_camera_file_is_preferred(ball_folder):
    shutil.copy(ball_folder / "cameras.npz", ball_folder / "cameras_sphere.npz")
    set_sphere(ball_folder, 300)
    assert load_scene(ball_folder).radius == pytest.approx(80)


def test_views_sort_by_number_not_by_letter(ball_folder):
    rename_views(ball_folder, [f"frame{i * 5}.png" for i in range(6)])  # letters: "10" < "5"
    images = load_scene(ball_folder, sensitive="frame0.png").images
    last = read_image(ball_folder / "image" / "frame25.png")
    assert np.array_equal(images[5].numpy(), last)


def test_idr_names_beside_a_truth_mesh_are_an_idr_folder(ball_folder):
    rename_views(ball_folder, [f"{i:03d}.png" for i in range(6)])
    assert idr.looks_like(ball_folder) and not h3ds.looks_like(ball_folder)
    edit_scene(ball_folder, unit=...)
    scene = load_scene(ball_folder)
    assert len(scene.images) == 6 and scene.unit == "scene"
    assert len(scene.truth_triangles()[0]) > 100


def test_a_named_format_is_used_and_an_unknown_one_refused(ball_folder):
    assert load_scene(ball_folder, format="idr").name == "ball"
    words = "auto, h3ds, idr, facescape, blender, nerfstudio, colmap"
    refused(lambda: load_scene(ball_folder, format="obj"), words)


def test_jpegs_and_3x4_matrices_are_read(ball_folder):
    for path in sorted((ball_folder / "image").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"))
        path.unlink()
    with np.load(ball_folder / "cameras.npz") as data:
        edit_cameras(ball_folder, world_mat_3=data["world_mat_3"][:3])
    assert len(load_scene(ball_folder).images) == 6


def test_landmarks_and_pixel_centre_of_scene_json_win(ball_folder):
    edit_scene(ball_folder, landmarks=[[1, 2, 3.5]], pixel_center=0)
    scene = load_scene(ball_folder)
    assert scene.landmarks.tolist() == [[1, 2, 3.5]]
    assert scene.cameras.pixel_center == 0


# Names


def listing(folder: Path, names: list[str]) -> list[Path]:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return list_pictures(folder)


def paired(folder: Path, images: list[str], masks: list[str]) -> list[str]:
    views, there = listing(folder / "image", images), listing(folder / "mask", masks)
    return [mask.name for mask in pair_views(views, there, len(images), folder / "cameras.npz")]


def test_a_lost_and_a_surplus_mask_never_shift_the_others(tmp_path):
    images = [f"IMG_{i:03d}_v2.png" for i in range(12)]
    masks = [f"IMG_{i:03d}_v2.png" for i in range(13) if i != 3]  # sorted, 9 stand one too early
    words = ["12 masks", "no mask for IMG_003_v2.png", "no image for IMG_012_v2.png"]
    refused(lambda: paired(tmp_path, images, masks), *words)


@pytest.mark.parametrize(
    ("images", "masks", "belong"),
    [
        (["img_0000.png", "img_0001.jpg"], ["mask_0000.png", "mask_0001.png"], True),
        (["000000.png", "000001.png"], ["000.png", "001.png"], True),
        (["left.png", "right.png"], ["left_mask.png", "right_mask.png"], True),
        (["left.jpg", "right.jpg"], ["left.jpg.png", "right.jpg.png"], True),
        (["a_1.png", "b_1.png"], ["a_1_mask.png", "b_1_mask.png"], True),
        (["2026-1-01_7.png", "2026-1-02_7.png"], ["Mask-2026-1-01-7.PNG", "2026.1.02.7.png"], True),
        (["only.png"], ["something.png"], True),
        (["a_1.png", "b_1.png"], ["mask_1.png", "mask_01.png"], False),
        (["left.png", "right.png"], ["mask_1.png", "mask_2.png"], False),
        (["v1_0001.png", "v1_0002.png"], ["v2_0001.png", "v2_0002.png"], False),
        (["0001.png", "0002.png"], ["0000.png", "0001.png"], False),
    ],
)
def test_a_mask_belongs_to_the_image_of_its_numbers_or_words(tmp_path, images, masks, belong):
    if belong:
        assert paired(tmp_path, images, masks) == masks
    else:
        refused(lambda: paired(tmp_path, images, masks), "2 masks but 2 images")


def test_files_of_the_system_and_other_endings_are_passed_over(ball_folder):
    for kind in ("image", "mask"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._img_0000.png", "notes.txt"):
            (ball_folder / kind / name).write_bytes(b"x")
        (ball_folder / kind / "__MACOSX").mkdir()
    assert len(load_scene(ball_folder).images) == 6


# Cameras


def test_scene_unit_is_kept_whatever_scale_mat_says(ball_folder, ball):
    set_sphere(ball_folder, 90, [5, -7, 3])
    scene = load_scene(ball_folder)
    assert scene.center == pytest.approx((5, -7, 3)) and scene.radius == pytest.approx(90)
    assert torch.allclose(scene.cameras.c2w, ball.cameras.c2w, atol=1e-9)
    assert torch.allclose(scene.cameras.K, ball.cameras.K, atol=1e-9)


def test_decomposition_undoes_any_camera_at_any_scale():
    generator = np.random.default_rng(0)
    for _ in range(20):
        R = np.linalg.qr(generator.normal(size=(3, 3)))[0]
        R *= np.sign(np.linalg.det(R))
        K = np.array([[generator.uniform(50, 900), 0.5, 30], [0, generator.uniform(50, 900), 40]])
        K = np.vstack([K, [0, 0, 1]])
        C = 500 * generator.normal(size=3)
        P = K @ np.hstack([R, -(R @ C)[:, None]]) * generator.uniform(0.01, 100)
        k, c2w = decompose(P, 0, Path("cameras.npz"))
        assert np.allclose(k, K, atol=1e-6) and np.allclose(c2w[:3, 3], C, atol=1e-6)
        assert np.allclose(c2w[:3, :3], R.T, atol=1e-9)


def volsdf(folder: Path, ball: Scene) -> float:
    """Set scale_mat as VolSDF's script does: the farthest camera at 3 / 1.1. Returns its radius."""
    radius = float(ball.cameras.centers.norm(dim=1).max()) * 1.1 / 3
    set_sphere(folder, radius)
    return radius


def test_volsdf_normalisation_is_detected_and_a_fitting_sphere_kept(ball_folder, ball):
    assert load_scene(ball_folder).assumptions == ()  # an ordinary sphere raises no suspicion
    radius = volsdf(ball_folder, ball)
    scene = load_scene(ball_folder)
    assert any("VolSDF-like" in said and "kept" in said for said in scene.assumptions)
    assert scene.radius == pytest.approx(radius)
    for path in (ball_folder / "image").iterdir():
        path.write_bytes(b"no picture")  # the sphere hangs on the masks alone
    assert open_truth(ball_folder).radius == scene.radius


def test_a_volsdf_sphere_that_misses_the_object_is_replaced_aloud(tmp_path, ball):
    # The cameras look past the origin at a small ball: VolSDF's sphere is far too large for it.
    masks = torch.zeros_like(ball.masks)
    xy, depth = ball.cameras.project(torch.tensor([[10.0, 0.0, 0.0]]))
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    for view in range(6):
        reach = 15 * float(ball.cameras.K[view, 0, 0] / depth[view, 0])
        masks[view] = ((x - xy[view, 0, 0]) ** 2 + (y - xy[view, 0, 1]) ** 2 < reach**2).float()
    replace(ball, masks=masks, sensitive=(0,), neutral=(1,)).save(tmp_path / "s")
    volsdf(tmp_path / "s", ball)
    scene = load_scene(tmp_path / "s")
    assert any("replaced by the masks' visual hull" in said for said in scene.assumptions)
    assert scene.center == pytest.approx((10, 0, 0), abs=4)
    assert 12 < scene.radius < 45


def test_other_arrays_in_the_file_do_not_matter(ball_folder):
    before = load_scene(ball_folder)
    extra = {"names": np.array(["a", "b"]), "camera_mat_0": np.eye(3), "world_mat_007": np.eye(4)}
    edit_cameras(ball_folder, **extra)
    assert torch.equal(load_scene(ball_folder).cameras.K, before.cameras.K)
