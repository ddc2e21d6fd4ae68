"""Folders as people bring them: IDR, NeuS and VolSDF, other names, pictures of every mode."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from privhead_nb.errors import SceneError
from privhead_nb.scenes.camera import custom_rig
from privhead_nb.scenes.formats.npz_cameras import decompose
from privhead_nb.scenes.images import read_image, read_mask
from privhead_nb.scenes.roles import parse_views
from privhead_nb.scenes.scene import Scene, load_scene


def _as_idr(folder: Path) -> None:
    """Rename the views to IDR's 000000.png and 000.png; no scene.json, no mesh."""
    for i in range(6):
        (folder / "image" / f"img_{i:04d}.png").rename(folder / "image" / f"{i:06d}.png")
        (folder / "mask" / f"mask_{i:04d}.png").rename(folder / "mask" / f"{i:03d}.png")
    for name in ("scene.json", "full_head.obj", "landmarks.txt"):
        (folder / name).unlink()


def test_idr_folder_loads_and_says_what_it_assumed(ball_folder: Path, ball: Scene) -> None:
    _as_idr(ball_folder)
    scene = load_scene(ball_folder, sensitive="0-2")
    assert scene.sensitive == (0, 1, 2) and scene.unit == "scene"
    assert torch.allclose(scene.cameras.c2w, ball.cameras.c2w, atol=1e-9)
    assert scene.radius == pytest.approx(80)
    # IDR's code feeds whole pixel indices to K: the first pixel's centre is at 0.
    assert scene.cameras.pixel_center == 0
    assert any("pixel_center 0" in said for said in scene.assumptions)


def test_neus_camera_file_is_preferred(
    ball_folder: Path, spoil_cameras: Callable[..., None]
) -> None:
    _as_idr(ball_folder)
    shutil.copy(ball_folder / "cameras.npz", ball_folder / "cameras_sphere.npz")
    spoil_cameras(ball_folder, scale_mat_0=np.diag([300.0, 300, 300, 1]))
    assert load_scene(ball_folder, sensitive="0").radius == pytest.approx(80)


def test_views_sort_by_number_not_by_letter(ball_folder: Path) -> None:
    _as_idr(ball_folder)
    for kind, width in (("image", 6), ("mask", 3)):
        for i in range(6):
            old = ball_folder / kind / f"{i:0{width}d}.png"
            old.rename(ball_folder / kind / f"frame{i * 5}.png")  # 0, 5, 10, ...: "10" < "5"
    images = load_scene(ball_folder, sensitive="frame0.png").images
    last = read_image(ball_folder / "image" / "frame25.png")
    assert np.array_equal(images[5].numpy(), last)


def test_scene_unit_is_kept_whatever_scale_mat_says(
    ball_folder: Path, spoil_cameras: Callable[..., None], ball: Scene
) -> None:
    sphere = np.diag([90.0, 90, 90, 1])
    sphere[:3, 3] = [5, -7, 3]
    spoil_cameras(ball_folder, **{f"scale_mat_{i}": sphere for i in range(6)})
    scene = load_scene(ball_folder)
    assert scene.center == pytest.approx((5, -7, 3)) and scene.radius == pytest.approx(90)
    assert torch.allclose(scene.cameras.c2w, ball.cameras.c2w, atol=1e-9)
    assert torch.allclose(scene.cameras.K, ball.cameras.K, atol=1e-9)


def test_decomposition_undoes_any_camera_at_any_scale() -> None:
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


def _volsdf(folder: Path, ball: Scene, spoil_cameras: Callable[..., None]) -> None:
    """scale_mat as VolSDF's script sets it: the farthest camera at 3 / 1.1."""
    far = float(ball.cameras.centers.norm(dim=1).max())
    scale = np.diag([far * 1.1 / 3] * 3 + [1.0])
    spoil_cameras(folder, **{f"scale_mat_{i}": scale for i in range(6)})


def test_volsdf_normalisation_is_detected_and_a_fitting_sphere_kept(
    ball_folder: Path, ball: Scene, spoil_cameras: Callable[..., None]
) -> None:
    _volsdf(ball_folder, ball, spoil_cameras)
    scene = load_scene(ball_folder)
    assert any("VolSDF-like" in said and "kept" in said for said in scene.assumptions)
    assert scene.radius == pytest.approx(float(ball.cameras.centers.norm(dim=1).max()) * 1.1 / 3)


def test_a_volsdf_sphere_that_misses_the_object_is_replaced_aloud(
    tmp_path: Path, ball: Scene, spoil_cameras: Callable[..., None]
) -> None:
    # The cameras look past the origin at a small ball: VolSDF's sphere is far too large for it.
    masks = torch.zeros_like(ball.masks)
    xy, depth = ball.cameras.project(torch.tensor([[10.0, 0.0, 0.0]]))
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    for view in range(6):
        reach = 15 * float(ball.cameras.K[view, 0, 0] / depth[view, 0])
        masks[view] = ((x - xy[view, 0, 0]) ** 2 + (y - xy[view, 0, 1]) ** 2 < reach**2).float()
    Scene(ball.images, masks, ball.cameras, (0,), (1,), (0, 0, 0), 80.0).save(tmp_path / "s")
    _volsdf(tmp_path / "s", ball, spoil_cameras)
    scene = load_scene(tmp_path / "s")
    assert any("replaced by the masks' visual hull" in said for said in scene.assumptions)
    assert scene.center == pytest.approx((10, 0, 0), abs=4)
    assert 12 < scene.radius < 45


def test_an_ordinary_sphere_raises_no_suspicion(ball_folder: Path) -> None:
    assert load_scene(ball_folder).assumptions == ()


def _mode(mode: str) -> Image.Image:
    colours = np.zeros((4, 4, 4), np.uint8)
    colours[..., :3], colours[..., 3] = [200, 100, 50], 255
    colours[0, 0, 3] = 0
    picture = Image.fromarray(colours)
    return picture if mode == "RGBA" else picture.convert("RGB").convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "LA"])
def test_pictures_of_any_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    _mode(mode).save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", background=(0.0, 1.0, 0.0))
    assert pixels.shape == (4, 4, 3) and pixels.dtype == np.float32
    expected = np.asarray(_mode(mode).convert("RGB"), np.float32)[1, 1] / 255
    assert np.allclose(pixels[1, 1], expected)
    if mode == "RGBA":  # a transparent pixel shows the background
        assert pixels[0, 0].tolist() == [0, 1, 0]


def test_sixteen_bit_grey_and_colour_masks(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 32768, np.uint16)).save(tmp_path / "deep.png")
    assert np.allclose(read_image(tmp_path / "deep.png"), 32768 / 65535)
    Image.fromarray(np.full((4, 4, 3), 255, np.uint8)).save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert mask.shape == (4, 4) and mask.min() == 1


def test_jpegs_and_3x4_matrices_are_read(
    ball_folder: Path, spoil_cameras: Callable[..., None]
) -> None:
    for path in sorted((ball_folder / "image").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"))
        path.unlink()
    with np.load(ball_folder / "cameras.npz") as data:
        spoil_cameras(ball_folder, world_mat_3=data["world_mat_3"][:3])
    assert len(load_scene(ball_folder).images) == 6


NAMES = [f"img_{i:04d}.png" for i in range(6)]


@pytest.mark.parametrize(
    ("text", "views"),
    [
        ("0-3", (0, 1, 2, 3)),
        ("0-1,5", (0, 1, 5)),
        ("4, 2 ,2", (2, 4)),
        ("3", (3,)),
        ("0 - 1", (0, 1)),
    ],
)
def test_view_ranges(text: str, views: tuple[int, ...]) -> None:
    assert parse_views(text, NAMES) == views


@pytest.mark.parametrize("text", ["", "a", "0-", "3-1", "6", "0-6", "-1", "1;2"])
def test_view_ranges_that_make_no_sense(text: str) -> None:
    with pytest.raises(SceneError, match="--sensitive"):
        parse_views(text, NAMES)


def test_sensitive_overrules_scene_json(ball_folder: Path) -> None:
    scene = load_scene(ball_folder, sensitive="5")
    assert scene.sensitive == (5,) and scene.neutral == (0, 1, 2, 3, 4)
    assert scene.nose_tip == (0.0, 0.0, 60.0)


def test_a_named_format_is_used_and_an_unknown_one_refused(ball_folder: Path) -> None:
    assert load_scene(ball_folder, format="idr").name == "ball"
    with pytest.raises(SceneError, match="auto, h3ds, idr"):
        load_scene(ball_folder, format="colmap")


def test_landmarks_in_scene_json_win(ball_folder: Path) -> None:
    path = ball_folder / "scene.json"
    info = json.loads(path.read_text())
    info["landmarks"] = [[1, 2, 3.5]]
    path.write_text(json.dumps(info))
    assert load_scene(ball_folder).landmarks.tolist() == [[1, 2, 3.5]]


def test_pixel_centre_zero_in_scene_json_is_honoured(ball_folder: Path) -> None:
    path = ball_folder / "scene.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pixel_center": 0}))
    assert load_scene(ball_folder).cameras.pixel_center == 0


def test_rigs_pass_for_scenes() -> None:
    cameras, sensitive, neutral = custom_rig([(0, 0, 400), (0, 0, -400)], [0], size=16)
    scene = Scene(
        torch.ones(2, 16, 16, 3), torch.ones(2, 16, 16), cameras, sensitive, neutral, (0, 0, 0), 80
    )
    assert scene.neutral == (1,)
