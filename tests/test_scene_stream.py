"""A scene's pictures stay on disk: what needs none reads none, what needs them holds one."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from command import answer, run
from conftest import ball_scene
from PIL import Image

from privhead_nb.errors import SceneError
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.geometry.metrics import evaluate
from privhead_nb.scenes import folder as scene_folder
from privhead_nb.scenes.folder import open_scene, open_truth
from privhead_nb.scenes.scene import Scene, load_scene, scene_facts
from privhead_nb.viz import inspect as pages

SIDE, VIEWS = 3000, 12


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve views of 3,000 x 3,000 pixels: two pictures and masks of a ball, six times each."""
    folder = tmp_path_factory.mktemp("large") / "scene"
    scene = ball_scene()
    pick = [0, 3] * (VIEWS // 2)
    views = tuple(range(VIEWS))
    replace(
        scene,
        images=scene.images[pick],
        masks=scene.masks[pick],
        cameras=scene.cameras[pick].resized(SIDE, SIDE).resized(32, 32),
        names=(),
        sensitive=views[0::2],
        neutral=views[1::2],
    ).save(folder)
    for kind in ("image", "mask"):
        for view in (0, 1):
            paths = sorted((folder / kind).iterdir())[view::2]
            with Image.open(paths[0]) as small:
                full = small.resize((SIDE, SIDE), Image.Resampling.NEAREST)
            full.save(paths[0], compress_level=1)
            for path in paths[1:]:
                shutil.copy(paths[0], path)
    with np.load(folder / "cameras.npz") as data:
        mats = {key: data[key] for key in data.files}
    stretch = np.diag([SIDE / 32, SIDE / 32, 1, 1])
    for view in views:
        mats[f"world_mat_{view}"] = stretch @ mats[f"world_mat_{view}"]
    np.savez(folder / "cameras.npz", **mats)
    return folder


def _no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path, **_: object) -> np.ndarray:
        raise AssertionError(f"{path} was decoded")

    monkeypatch.setattr(scene_folder, "read_image", read)


def test_opening_decodes_no_picture(ball_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _no_picture(monkeypatch)
    scene = open_scene(ball_folder)
    assert len(scene.names) == 6 and scene.mask(2).shape == (32, 32)
    with pytest.raises(AssertionError, match=r"img_0002\.png was decoded"):
        scene.picture(2)


@pytest.mark.parametrize("size", [None, 16, 13])
def test_pictures_read_singly_are_those_of_the_loaded_scene(
    ball_folder: Path, size: int | None
) -> None:
    scene, loaded = open_scene(ball_folder), load_scene(ball_folder, size=size)
    whole = load_scene(ball_folder)
    for view in range(6):
        for found in (scene.picture(view, size), whole.picture(view, size)):
            assert np.array_equal(found, loaded.images[view].numpy())
        for found in (scene.mask(view, size), whole.mask(view, size)):
            assert np.array_equal(found, loaded.masks[view].numpy())


def test_pictures_above_128_pixels_are_read_again_as_they_are(ball: Scene, tmp_path: Path) -> None:
    side = 160
    wide = replace(
        ball,
        images=ball.images.repeat_interleave(5, 1).repeat_interleave(5, 2),
        masks=ball.masks.repeat_interleave(5, 1).repeat_interleave(5, 2),
        cameras=ball.cameras.resized(side, side),
    )
    wide.save(tmp_path / "wide")
    scene = open_scene(tmp_path / "wide")
    assert scene.small_masks.shape == (6, 128, 128)
    assert np.array_equal(scene.mask(1), wide.masks[1].numpy())
    assert scene.mask_share() == pytest.approx(float(wide.masks.mean()), abs=1e-6)


def test_what_the_folder_says_is_what_the_loaded_scene_says(ball_folder: Path) -> None:
    scene, loaded = open_scene(ball_folder), load_scene(ball_folder)
    assert scene_facts(scene) == scene_facts(loaded)
    assert np.array_equal(scene.truth_triangles()[0], loaded.truth_triangles()[0])
    assert scene.face_region() == loaded.face_region()


def test_a_room_behind_the_head_is_noticed_from_the_folder_too(ball: Scene, tmp_path: Path) -> None:
    room = torch.rand(ball.images.shape, generator=torch.Generator().manual_seed(0))
    images = torch.where(ball.masks[..., None] > 0, ball.images, room)
    replace(ball, images=images).save(tmp_path / "room")
    scene = open_scene(tmp_path / "room")
    assert scene.assumptions == ()
    (said,) = scene_facts(scene)["assumptions"]
    assert said == load_scene(tmp_path / "room").assumptions[0] and "background" in said


def test_all_headers_are_read_before_any_pixel(
    ball_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (33, 32)).save(ball_folder / "image" / "img_0005.png")

    def decode(*_: object, **__: object) -> np.ndarray:
        raise AssertionError("a mask was decoded")

    monkeypatch.setattr("privhead_nb.scenes.formats.parts.read_mask", decode)
    with pytest.raises(SceneError, match=r"img_0005\.png: is 33 x 32"):
        open_scene(ball_folder)


def test_paths_that_no_disk_has_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / ("x" * 300), tmp_path / "a\0b", tmp_path / "file" / "scene"):
        with pytest.raises(SceneError):
            open_scene(path)


def test_a_damaged_picture_is_named_when_it_is_read(ball_folder: Path) -> None:
    path = ball_folder / "image" / "img_0001.png"
    path.write_bytes(path.read_bytes()[:-300])
    scene = open_scene(ball_folder)
    assert scene.picture(0).shape == (32, 32, 3)
    with pytest.raises(SceneError, match=r"img_0001\.png.*truncated"):
        scene.picture(1)


def test_a_picture_swapped_for_one_of_another_size_is_noticed(ball_folder: Path) -> None:
    scene = open_scene(ball_folder)
    Image.new("RGB", (64, 64)).save(ball_folder / "image" / "img_0001.png")
    with pytest.raises(SceneError, match="changed while the scene was open"):
        scene.picture(1, size=16)


def test_pictures_are_never_enlarged(ball_folder: Path) -> None:
    scene = open_scene(ball_folder)
    for ask in (lambda: scene.picture(0, 33), lambda: scene.load(33), lambda: scene.mask(0, 0)):
        with pytest.raises(SceneError, match="smaller size"):
            ask()


def test_twelve_large_views_cost_the_memory_of_less_than_two(large: Path) -> None:
    pytest.importorskip("resource", reason="peak memory is asked of Unix")
    # Pillow's own memory isn't traced, so the process's peak is asked for.
    code = """
import resource, sys
from privhead_nb.scenes.folder import open_scene
from privhead_nb.scenes.scene import scene_facts
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
scene = open_scene(sys.argv[1])
scene_facts(scene)
for view in range(len(scene.cameras)):
    assert scene.picture(view, 64).shape == (64, 64, 3)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(large)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 2 * SIDE * SIDE * 3 * 4 / 1024, "kB"


def test_what_is_too_large_for_memory_names_ways_that_exist(
    ball_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene_folder, "MAX_SCENE_PIXELS", 6 * 20 * 20)
    with pytest.raises(SceneError, match=r"load_scene\(folder, size=512\).*open_scene\(folder\)"):
        load_scene(ball_folder)
    assert load_scene(ball_folder, size=16).cameras.width == 16
    assert answer("inspect", ball_folder)["views"] == 6  # the command holds no whole scene


# evaluate


def _spoil_pictures(folder: Path) -> None:
    for kind in ("image", "mask"):
        for path in (folder / kind).iterdir():
            path.write_bytes(b"no picture")


def test_evaluate_reads_no_picture(ball_folder: Path) -> None:
    mesh = ball_folder.with_name("mesh.ply")
    Mesh.load(ball_folder / "full_head.obj").save(mesh)
    measure = ("evaluate", mesh, "--truth", ball_folder, "--samples", 2000)
    before = answer(*measure)
    _spoil_pictures(ball_folder)
    assert answer(*measure) == before
    assert before["region"] == "face" and before["unit"] == "mm"
    assert before["distance_mean"] < 1e-4
    with pytest.raises(SceneError, match="picture"):
        open_scene(ball_folder)


def test_evaluate_needs_no_roles(ball_folder: Path) -> None:
    (ball_folder / "scene.json").unlink()
    truth = ball_folder / "full_head.obj"
    measure = ("evaluate", truth, "--truth", ball_folder, "--samples", 2000)
    assert answer(*measure, "--region", "head")["unit"] == "mm"
    assert "nose_tip and face_radius" in run(*measure).stderr


def test_a_mesh_file_is_a_truth_for_the_whole_head(ball_folder: Path) -> None:
    truth = ball_folder / "full_head.obj"
    mesh = ball_folder.with_name("grown.ply")
    full = Mesh.load(truth)
    Mesh(1.1 * full.vertices, full.faces).save(mesh)
    measure = ("evaluate", mesh, "--samples", 2000, "--truth")
    alone = answer(*measure, truth, "--region", "head")
    scene = answer(*measure, ball_folder, "--region", "head")
    assert alone["unit"] == "unknown"
    assert alone["distance_mean"] == pytest.approx(scene["distance_mean"], rel=1e-6)
    assert alone["distance_mean"] == pytest.approx(6, abs=0.5)
    refused = run(*measure, truth)
    assert refused.exit_code == 2 and "--region head" in refused.stderr
    assert "there is no such folder" in run(*measure, truth.with_name("none.obj")).stderr


def test_a_folder_is_measured_against_as_a_scene_in_memory(ball_folder: Path) -> None:
    mesh = Mesh.load(ball_folder / "full_head.obj")
    loaded = load_scene(ball_folder)
    grown = Mesh(1.05 * mesh.vertices, mesh.faces)
    distances = [
        evaluate(grown, scene, samples=2000)
        for scene in (loaded, open_scene(ball_folder), open_truth(ball_folder))
    ]
    assert distances[0] == distances[1] == distances[2]


def test_a_truth_far_from_the_origin_is_moved_as_its_scene_is(
    ball: Scene, tmp_path: Path, spoil_cameras: Callable[..., None]
) -> None:
    shift = np.array([5e5, 4e6, 300.0])
    c2w = ball.cameras.c2w.clone()
    c2w[:, :3, 3] += torch.from_numpy(shift)
    assert ball.truth is not None
    far = replace(
        ball,
        cameras=replace(ball.cameras, c2w=c2w),
        center=tuple(shift),
        nose_tip=tuple(shift + [0, 0, 60]),
        landmarks=None,
        truth=(ball.truth[0] + shift, ball.truth[1]),
    )
    far.save(tmp_path / "far")
    _spoil_pictures(tmp_path / "far")
    truth = open_truth(tmp_path / "far")
    assert np.abs(truth.truth_triangles()[0] - ball.truth[0]).max() < 1e-5
    assert truth.face_region()[0] == pytest.approx((0, 0, 60))
    measured = evaluate(Mesh(*ball.truth), truth, samples=2000)
    assert measured.distance_mean < 1e-4


def test_a_sphere_that_hangs_on_the_masks_is_found_without_pictures(
    ball: Scene, ball_folder: Path, spoil_cameras: Callable[..., None]
) -> None:
    far = float(ball.cameras.centers.norm(dim=1).max())
    scale = np.diag([far * 1.1 / 3] * 3 + [1.0])  # as VolSDF's script sets it
    spoil_cameras(ball_folder, **{f"scale_mat_{i}": scale for i in range(6)})
    sphere = open_scene(ball_folder).radius
    for path in (ball_folder / "image").iterdir():
        path.write_bytes(b"no picture")
    assert open_truth(ball_folder).radius == sphere


# inspect


def _many(ball: Scene, count: int) -> Scene:
    pick = [i % 6 for i in range(count)]
    return replace(
        ball,
        images=ball.images[pick],
        masks=ball.masks[pick],
        cameras=ball.cameras[pick],
        names=tuple(f"f$oto^{i:03d}_{'x' * 40}.png" for i in range(count)),  # no formula
        truth=None,
        sensitive=tuple(range(count // 2)),
        neutral=tuple(range(count // 2, count)),
    )


def test_all_of_49_views_are_drawn(ball: Scene, tmp_path: Path) -> None:
    many = _many(ball, 49)
    figure = pages.draw_scene(many)
    titles = [ax.get_title().split("\n")[-1] for ax in figure.axes if ax.get_title()]
    assert titles == [f"{v} {'sensitive' if v < 24 else 'neutral'}" for v in range(49)]
    pages.inspect_scene(many, tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_what_is_left_out_of_a_page_is_said_on_it_and_in_the_output(
    ball_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.png"
    assert answer("inspect", ball_folder, "--picture", page)["drawn"] == "6 of 6 views"
    page.unlink()
    monkeypatch.setattr(pages, "MAX_VIEWS", 4)
    figure = pages.draw_scene(open_scene(ball_folder))
    assert len([ax for ax in figure.axes if ax.get_title()]) == 4
    said = [text.get_text() for part in figure.findobj() for text in getattr(part, "texts", ())]
    assert any("4 of 6 views are drawn" in text for text in said)
    assert answer("inspect", ball_folder, "--picture", page)["drawn"] == "4 of 6 views"


def test_inspect_names_every_picture_that_goes_out_in_colour(ball_folder: Path) -> None:
    shown = run("inspect", ball_folder).stdout
    colours = next(line for line in shown.splitlines() if line.startswith("in_colour"))
    assert colours.split()[1:] == ["img_0003.png,", "img_0004.png,", "img_0005.png"]


def test_pages_of_large_pictures_hold_them_small(large: Path, tmp_path: Path) -> None:
    scene = replace(open_scene(large), truth_path=None)
    tracemalloc.start()
    pages.inspect_scene(scene, tmp_path / "page.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * SIDE * SIDE * 3 * 4
