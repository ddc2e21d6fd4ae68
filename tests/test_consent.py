"""A neutral view before the face goes out in colour only if its owner names its file."""

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from command import answer, run
from refusals import (
    SAMPLE_SCENE,
    contents,
    edit_cameras,
    edit_scene,
    in_a_room,
    moved,
    refused,
    rename_views,
)

from privhead_nb.errors import PrivheadError
from privhead_nb.heads.synthetic import _jitter
from privhead_nb.privacy.consent import FACE_ANGLE, angles_from_front, views_facing
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.protect import protect, protect_folder
from privhead_nb.privacy.release import Release
from privhead_nb.scenes.camera import RIGS, Cameras, make_rig
from privhead_nb.scenes.folder import open_scene
from privhead_nb.scenes.scene import Scene


def _nothing_beside(target: Path, *others: str) -> None:
    assert sorted(p.name for p in target.parent.iterdir()) == sorted(others)


# --- the angle --------------------------------------------------------------------------------


@pytest.mark.parametrize("front", ["+z", "+x", "-x", "-z"])
def test_the_angle_is_the_cameras_at_the_sphere_from_the_front(ball, front):
    turned = replace(ball, front=front, nose_tip=None)
    sign, axis = (1 if front[0] == "+" else -1), "xyz".index(front[1])
    along = sign * ball.cameras.centers[:, axis] / ball.cameras.centers.norm(dim=1)
    angles = angles_from_front(turned).tolist()
    assert angles == pytest.approx(torch.rad2deg(along.acos()).tolist(), abs=1e-5)
    if front == "+z":
        assert angles[0] == pytest.approx(0, abs=1e-5) and angles[4] == pytest.approx(135)


@pytest.mark.parametrize("rig", list(RIGS))
def test_no_rig_of_ours_needs_consent_whatever_its_seed(rig, ball):
    for count in (2, 6, 10, 16):
        rigs = [_jitter(make_rig(rig, count), (0, 0, 0), seed) for seed in range(40)]
        K = torch.cat([cameras.K for cameras, *_ in rigs])
        c2w = torch.cat([cameras.c2w for cameras, *_ in rigs])
        views = len(K) // len(rigs)
        stand_in = replace(
            ball,
            images=torch.ones(len(K), 32, 32, 3),
            masks=torch.ones(len(K), 32, 32),
            cameras=Cameras(K, c2w, 32, 32, 0.5),
            sensitive=(),
            neutral=tuple(views * i + v for i, (*_, neutral) in enumerate(rigs) for v in neutral),
            names=(),
        )
        assert views_facing(stand_in) == {}


def test_the_samples_and_the_real_head_fit_their_masks_and_need_no_consent(request):
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


def test_one_sensitive_view_of_twenty_is_refused_with_the_nineteen_others(tmp_path):
    done = run("protect", SAMPLE_SCENE, tmp_path / "r", "--sensitive", "0")
    assert done.exit_code == 2
    said = set(re.findall(r"img_\d{4}\.png", done.stderr.split("Mark them")[0]))
    assert said == {f"img_{v:04d}.png" for v in range(1, 20)}
    assert "--consent" in done.stderr
    _nothing_beside(tmp_path / "r")


def test_a_view_faces_what_the_scene_calls_its_front(ball):
    with pytest.raises(PrivheadError, match="may show the face"):
        protect(replace(ball, front="-z", nose_tip=None), size=16)


# --- consent ----------------------------------------------------------------------------------


@pytest.fixture
def exposed(ball: Scene) -> Scene:
    """Views 1 and 2, which see the face, are neutral."""
    return replace(ball, sensitive=(0,), neutral=(1, 2, 3, 4, 5))


def test_consent_holds_for_the_views_named_and_no_other(exposed):
    with pytest.raises(PrivheadError) as error:
        protect(exposed, size=16, consent=("img_0002.png",))
    assert "img_0001.png (" in str(error.value) and "img_0002.png" not in str(error.value)
    release = protect(exposed, size=16, consent=("img_0002.png", "img_0001.png"))
    assert release.neutral == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "name",
    ["1", "1-2", "0001", "img_0001", "IMG_0001.PNG", "*", "img_*.png", "img_000[12].png", "all"],
)
def test_only_whole_file_names_give_consent(exposed, name):
    with pytest.raises(PrivheadError, match="no picture of the scene is called"):
        protect(exposed, size=16, consent=("img_0001.png", "img_0002.png", name))


def test_consent_to_sensitive_and_unused_views_is_an_error(exposed):
    consent = ["img_0000.png", "img_0001.png", "img_0002.png"]
    spare = replace(exposed, neutral=(1, 3, 4, 5))
    for scene, names, said in (
        (exposed, consent, "img_0000.png is sensitive"),
        (spare, consent[1:], "img_0002.png is unused"),
    ):
        call = partial(protect, scene, size=16, consent=names)
        refused(call, said, error=PrivheadError)


def test_the_command_takes_names_and_says_them(ball_folder, tmp_path):
    arguments = ["protect", ball_folder, tmp_path / "r", "--size", 16, "--sensitive", "0,1"]
    said = answer(*arguments, "--consent", "img_0002.png")
    assert said["in_colour"] == [
        {"file": f"img_{v:04d}.png", "released_as": f"neutral/view_{v:04d}.png"}
        for v in range(2, 6)
    ]
    assert said["as_modulus"] == ["img_0000.png", "img_0001.png"]


# --- what is said -----------------------------------------------------------------------------


def test_every_picture_that_goes_out_in_colour_is_said_by_name(ball_folder, tmp_path):
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


def test_a_room_behind_the_head_is_said(ball, tmp_path):
    ball.save(tmp_path / "ball")
    in_a_room(ball).save(tmp_path / "room")

    def said(name: str, *more: object) -> str:
        return run("protect", tmp_path / name, tmp_path / "r", "--size", 16, *more).stdout

    assert "Background" not in said("ball")
    kept = said("room", "--overwrite")
    assert "Background: kept" in kept and "--background flat takes it out" in kept
    flat = said("room", "--overwrite", "--background", "flat")
    assert "outside of the masks, the scene's plain colour" in flat


def test_an_assumed_front_is_said(ball_folder, tmp_path):
    edit_scene(ball_folder, front=...)
    said = run("protect", ball_folder, tmp_path / "r", "--size", 16).stdout
    assert "face is assumed to look along +z" in said


def test_without_a_front_each_neutral_view_needs_consent(ball_folder, tmp_path):
    # A guessed front would let the faces pass of a scene that has no view from behind.
    edit_scene(ball_folder, front=..., nose_tip=...)
    done = run("protect", ball_folder, tmp_path / "r", "--size", 16)
    assert done.exit_code == 2 and "names no front" in done.stderr
    names = [f"img_{v:04d}.png" for v in (3, 4, 5)]
    assert all(name in done.stderr for name in names) and not (tmp_path / "r").exists()
    assert answer("inspect", ball_folder)["needs_consent"] == names
    given = run("protect", ball_folder, tmp_path / "r", "--size", 16, "--consent", ",".join(names))
    assert given.exit_code == 0, given.stderr


def test_where_cameras_and_masks_fit_badly_angles_prove_nothing(tmp_path):
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


def test_a_scene_without_roles_has_nothing_to_release(ball):
    with pytest.raises(PrivheadError, match="nothing to release"):
        protect(replace(ball, sensitive=(), neutral=()), size=16)


# --- words and places of the scene ----------------------------------------------------------------


def test_coordinates_of_a_map_do_not_leave(ball, tmp_path):
    there = moved(ball, [448_262.4, 5_411_932.7, 35.5])  # Paris, in UTM zone 31
    there.save(tmp_path / "scene")
    plain = protect(ball, size=16)
    for release in (
        protect(there, size=16),
        protect_folder(tmp_path / "scene", tmp_path / "r", size=16)[1],
    ):
        assert release.center == pytest.approx(plain.center, abs=1e-6)
        assert torch.allclose(release.cameras.c2w, plain.cameras.c2w, atol=1e-6)
    numbers = re.findall(
        r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", contents(tmp_path / "r")["release.json"].decode()
    )
    assert len(numbers) > 100 and max(abs(float(number)) for number in numbers) < 1000


@pytest.mark.parametrize("unit", ["mm /home/anna", "m" * 1_000_000, "MM", ""])
def test_no_text_passes_as_a_unit(ball, ball_folder, tmp_path, unit):
    edit_scene(ball_folder, unit=unit)
    refused(lambda: protect_folder(ball_folder, tmp_path / "r", size=16), "unit")
    _nothing_beside(tmp_path / "r", "ball")
    refused(lambda: replace(ball, unit=unit), "unit")


def test_a_release_has_words_from_closed_lists_only(ball, tmp_path):
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
