"""A neutral view before the face goes out in colour only if its owner names its file."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import answer, run
from refusals import SAMPLE_SCENE, contents, edit_cameras, edit_scene, moved, refused, rename_views

from privhead_nb.errors import PrivheadError
from privhead_nb.heads.synthetic import RIGS, _jitter
from privhead_nb.privacy.consent import FACE_ANGLE, angles_from_front, views_facing
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.protect import protect, protect_folder
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.folder import open_scene
from privhead_nb.scenes.scene import Scene


def _nothing_beside(target: Path, *others: str) -> None:
    assert sorted(p.name for p in target.parent.iterdir()) == sorted(others)


# --- the angle --------------------------------------------------------------------------------


@pytest.mark.parametrize("front", ["+z", "+x", "-x", "-z"])
def test_the_angle_is_the_cameras_at_the_sphere_from_the_front(ball: Scene, front: str) -> None:
    turned = replace(ball, front=front, nose_tip=None)
    sign, axis = (1 if front[0] == "+" else -1), "xyz".index(front[1])
    along = sign * ball.cameras.centers[:, axis] / ball.cameras.centers.norm(dim=1)
    angles = angles_from_front(turned).tolist()
    assert angles == pytest.approx(torch.rad2deg(along.acos()).tolist(), abs=1e-5)
    if front == "+z":
        assert angles[0] == pytest.approx(0, abs=1e-5) and angles[4] == pytest.approx(135)


@pytest.mark.parametrize("rig", list(RIGS))
def test_no_rig_of_ours_needs_consent_whatever_its_seed(rig: str, ball: Scene) -> None:
    make, distance = RIGS[rig]
    for count in (2, 6, 10, 16):
        for seed in range(40):
            cameras, _, neutral = _jitter(make(count, 20, distance=distance), (0, 0, 0), seed)
            seen = Cameras(cameras.K, cameras.c2w, 32, 32, 0.5)
            stand_in = replace(
                ball,
                images=torch.ones(len(seen), 32, 32, 3),
                masks=torch.ones(len(seen), 32, 32),
                cameras=seen,
                sensitive=(),
                neutral=neutral,
                names=(),
            )
            assert views_facing(stand_in) == {}


def test_the_samples_and_the_real_head_fit_their_masks_and_need_no_consent(
    request: pytest.FixtureRequest,
) -> None:
    for folder in (SAMPLE_SCENE, "real_head"):
        if folder == "real_head":
            folder = request.getfixturevalue("real_head")  # skips where there is none
        scene = open_scene(folder)
        assert not any("fit badly" in said for said in scene.assumptions)
        angles = angles_from_front(scene)
        assert views_facing(scene) == {}
        assert float(angles[list(scene.neutral)].min()) > FACE_ANGLE + 3
        if folder == SAMPLE_SCENE:
            assert float(angles[list(scene.sensitive)].max()) < 90  # every sensitive view would


# --- refusal ----------------------------------------------------------------------------------


def test_one_sensitive_view_of_twenty_is_refused_with_the_nineteen_others(tmp_path: Path) -> None:
    done = run("protect", SAMPLE_SCENE, tmp_path / "r", "--sensitive", "0")
    assert done.exit_code == 2
    said = set(re.findall(r"img_\d{4}\.png", done.stderr.split("Mark them")[0]))
    assert said == {f"img_{v:04d}.png" for v in range(1, 20)}
    assert "--consent" in done.stderr
    _nothing_beside(tmp_path / "r")


def test_an_empty_list_of_sensitive_views_is_refused(ball_folder: Path, tmp_path: Path) -> None:
    edit_scene(ball_folder, views={"sensitive": [], "neutral": [0, 1, 2, 3, 4, 5]})
    with pytest.raises(PrivheadError, match="3 of 6 neutral views") as error:
        protect_folder(ball_folder, tmp_path / "r", size=16)
    for view in range(6):
        assert (f"img_{view:04d}.png (" in str(error.value)) == (view < 3)
    _nothing_beside(tmp_path / "r", "ball")


@pytest.mark.parametrize("change", [{"front": "-z", "nose_tip": None}, {"sensitive": (0, 1)}])
def test_a_scene_in_memory_is_refused_too(ball: Scene, change: dict[str, Any]) -> None:
    neutral = tuple(v for v in range(6) if v not in change.get("sensitive", (0, 1, 2)))
    with pytest.raises(PrivheadError, match="may show the face"):
        protect(replace(ball, **change, neutral=neutral), size=16)


# --- consent ----------------------------------------------------------------------------------


@pytest.fixture
def exposed(ball: Scene) -> Scene:
    """Views 1 and 2, which see the face, are neutral."""
    return replace(ball, sensitive=(0,), neutral=(1, 2, 3, 4, 5))


def test_consent_holds_for_the_views_named_and_no_other(exposed: Scene) -> None:
    with pytest.raises(PrivheadError) as error:
        protect(exposed, size=16, consent=("img_0002.png",))
    assert "img_0001.png (" in str(error.value) and "img_0002.png" not in str(error.value)
    release = protect(exposed, size=16, consent=("img_0002.png", "img_0001.png"))
    assert release.neutral == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "name",
    ["1", "1-2", "0001", "img_0001", "IMG_0001.PNG", "*", "img_*.png", "img_000[12].png", "all"],
)
def test_only_whole_file_names_give_consent(exposed: Scene, name: str) -> None:
    with pytest.raises(PrivheadError, match="no picture of the scene is called"):
        protect(exposed, size=16, consent=("img_0001.png", "img_0002.png", name))


def test_consent_to_sensitive_and_unused_views_is_an_error(exposed: Scene) -> None:
    consent = ["img_0000.png", "img_0001.png", "img_0002.png"]
    spare = replace(exposed, neutral=(1, 3, 4, 5))
    for scene, names, said in (
        (exposed, consent, "img_0000.png is sensitive"),
        (spare, consent[1:], "img_0002.png is unused"),
    ):
        call = partial(protect, scene, size=16, consent=names)
        refused(call, said, error=PrivheadError)


def test_the_command_takes_names_and_says_them(ball_folder: Path, tmp_path: Path) -> None:
    arguments = ["protect", ball_folder, tmp_path / "r", "--size", 16, "--sensitive", "0,1"]
    by_number = run(*arguments, "--consent", "2")
    assert by_number.exit_code == 2 and "'2'" in by_number.stderr
    _nothing_beside(tmp_path / "r", "ball")
    done = run(*arguments, "--consent", "img_0002.png", "--json")
    assert done.exit_code == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["in_colour"] == [
        {"file": f"img_{v:04d}.png", "released_as": f"neutral/view_{v:04d}.png"}
        for v in range(2, 6)
    ]
    assert said["as_modulus"] == ["img_0000.png", "img_0001.png"]


# --- what is said -----------------------------------------------------------------------------


def test_every_picture_that_goes_out_in_colour_is_said_by_name(
    ball_folder: Path, tmp_path: Path
) -> None:
    names = [f"anna_{v + 7}.png" for v in range(6)]  # counted from 7
    rename_views(ball_folder, names, [f"mask_{v + 7}.png" for v in range(6)])
    views = {"sensitive": names[:2], "neutral": names[3:5], "unused": [names[2], names[5]]}
    edit_scene(ball_folder, views=views)
    done = run("protect", ball_folder, tmp_path / "r", "--size", 16)
    assert done.exit_code == 0, done.stderr
    assert f"{names[3]} as neutral/view_0002.png" in done.stdout
    assert f"{names[4]} as neutral/view_0003.png" in done.stdout
    assert "In colour, 2 pictures" in done.stdout
    assert "As modulus only: 2 pictures. Not released, without a role: 2" in done.stdout
    for name in (*names[:3], names[5]):
        assert name not in done.stdout
    assert b"anna" not in b"".join(contents(tmp_path / "r").values())
    released = [f"neutral/view_{v:04d}.png" for v in (2, 3)]
    assert answer("inspect", tmp_path / "r")["in_colour"] == released


@pytest.fixture
def room(ball: Scene, tmp_path: Path) -> Path:
    """A scene whose pictures show a room behind the head."""
    noise = torch.rand(ball.images.shape, generator=torch.Generator().manual_seed(0))
    inside = ball.masks[..., None] > 0
    replace(ball, images=torch.where(inside, ball.images, noise)).save(tmp_path / "room")
    return tmp_path / "room"


def test_a_room_behind_the_head_is_said(room: Path, ball_folder: Path, tmp_path: Path) -> None:
    kept = run("protect", room, tmp_path / "kept", "--size", 16).stdout
    assert "Background: kept" in kept and "--background flat takes it out" in kept
    flat = run("protect", room, tmp_path / "flat", "--size", 16, "--background", "flat").stdout
    assert "outside of the masks, the scene's plain colour" in flat
    plain = run("protect", ball_folder, tmp_path / "plain", "--size", 16).stdout
    assert "Background" not in plain


def test_an_assumed_front_is_said(ball_folder: Path, tmp_path: Path) -> None:
    edit_scene(ball_folder, front=...)
    said = run("protect", ball_folder, tmp_path / "r", "--size", 16).stdout
    assert "face is assumed to look along +z" in said


def test_without_a_front_each_neutral_view_needs_consent(ball_folder: Path, tmp_path: Path) -> None:
    # A guessed front would let the faces pass of a scene that has no view from behind.
    edit_scene(ball_folder, front=..., nose_tip=...)
    done = run("protect", ball_folder, tmp_path / "r", "--size", 16)
    assert done.exit_code == 2 and "names no front" in done.stderr
    names = [f"img_{v:04d}.png" for v in (3, 4, 5)]
    assert all(name in done.stderr for name in names) and not (tmp_path / "r").exists()
    assert answer("inspect", ball_folder)["needs_consent"] == names
    given = run("protect", ball_folder, tmp_path / "r", "--size", 16, "--consent", ",".join(names))
    assert given.exit_code == 0, given.stderr


def test_where_cameras_and_masks_fit_badly_angles_prove_nothing(tmp_path: Path) -> None:
    # The samples' poses, moved on by two thirds: pictures of the face get cameras from behind.
    shutil.copytree(SAMPLE_SCENE, tmp_path / "scene")
    with np.load(tmp_path / "scene" / "cameras.npz") as data:
        turned = {f"world_mat_{v}": data[f"world_mat_{(v + 20) % 30}"] for v in range(30)}
    edit_cameras(tmp_path / "scene", **turned)
    edit_scene(tmp_path / "scene", views={"neutral": list(range(10))})
    done = run("protect", tmp_path / "scene", tmp_path / "r")
    assert done.exit_code == 2
    assert "contradict" in done.stderr or "fit badly" in done.stderr
    assert not (tmp_path / "r").exists()


def test_a_scene_without_roles_has_nothing_to_release(ball: Scene) -> None:
    with pytest.raises(PrivheadError, match="nothing to release"):
        protect(replace(ball, sensitive=(), neutral=()), size=16)


# --- words and places of the scene ----------------------------------------------------------------


def test_coordinates_of_a_map_do_not_leave(ball: Scene, tmp_path: Path) -> None:
    there = moved(ball, [448_262.4, 5_411_932.7, 35.5])  # Paris, in UTM zone 31
    there.save(tmp_path / "scene")
    plain = protect(ball, size=16)
    for release in (
        protect(there, size=16),
        protect_folder(tmp_path / "scene", tmp_path / "r", size=16)[1],
    ):
        numbers = _numbers(release.cameras.c2w.tolist(), release.center, release.radius)
        assert max(map(abs, numbers)) < 1000
        assert torch.allclose(release.cameras.c2w, plain.cameras.c2w, atol=1e-6)
    for number in _numbers(json.loads((tmp_path / "r" / "release.json").read_text())):
        assert abs(number) < 1000


def _numbers(*values: Any) -> list[float]:
    found: list[float] = []
    for value in values:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            found += _numbers(*value)
        elif isinstance(value, int | float):
            found.append(float(value))
    return found


@pytest.mark.parametrize("unit", ["mm /home/anna", "m" * 1_000_000, "MM", ""])
def test_no_text_passes_as_a_unit(
    ball: Scene, ball_folder: Path, tmp_path: Path, unit: str
) -> None:
    edit_scene(ball_folder, unit=unit)
    refused(lambda: protect_folder(ball_folder, tmp_path / "r", size=16), "unit")
    _nothing_beside(tmp_path / "r", "ball")
    refused(lambda: replace(ball, unit=unit), "unit")


def test_a_release_has_words_from_closed_lists_only(ball: Scene, tmp_path: Path) -> None:
    marked = replace(
        ball, name="anna", licence="anna", names=tuple(f"anna_{v}.png" for v in range(6))
    )
    protect(marked, Operator(), size=16).save(tmp_path / "r")
    settings = json.loads((tmp_path / "r" / "release.json").read_text())
    words = {v for v in (*settings.values(), *settings["operator"].values()) if isinstance(v, str)}
    assert words == {
        *("privhead release", "sobel", "reflect", "kept", "first", "neutral", "mm", "+y", "+z")
    }
    assert Release.load(tmp_path / "r").unit == "mm"
