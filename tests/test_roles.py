"""scene.json: a view goes out in colour only if somebody said so, in words with one meaning."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from refusals import edit_cameras, edit_scene, moved, refused, rename_views, set_sphere

from privhead_nb.cli.common import table
from privhead_nb.scenes.folder import load_scene, open_scene, scene_facts
from privhead_nb.scenes.scene import Scene
from privhead_nb.scenes.scene_json import file_numbers, parse_views

FROM_0 = [f"img_{i:04d}.png" for i in range(6)]
FROM_1 = [f"{i:04d}.png" for i in range(1, 7)]
NO_NUMBERS = [["cam0_frame1.png", "cam1_frame0.png"], ["left.png", "right1.png"]]

# Each change of scene.json, and what the refusal says besides the file's name
WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"noise_tip": 0}, ["unknown field", "noise_tip", "nose_tip"]),
    ({"View": 0}, ["unknown field", "View", "views"]),
    ({"axes": "opengl"}, ["axes"]),
    ({"pixel_center": 0.25}, ["pixel_center"]),
    ({"pixel_center": False}, ["pixel_center"]),
    ({"background": [256, 0, 0]}, ["background"]),
    ({"nose_tip": [0, 0, 1e300]}, ["nose_tip"]),
    ({"face_radius": -1}, ["face_radius"]),
    ({"face_radius": 1e12}, ["face_radius"]),
    ({"up": "+w"}, ["up"]),
    ({"up": "+z"}, ["up and front"]),
    ({"up": "+z", "front": "-z"}, ["up and front"]),
    ({"front": "z"}, ["front"]),
    ({"front": "-z"}, ["front", "nose_tip", "another side"]),
    ({"front": "+x"}, ["front", "nose_tip", "another side"]),  # at a right angle
    ({"front": "-x", "nose_tip": [-1.4, 0.0, 60.0]}, ["another side"]),  # not behind, and yet
    ({"unit": "mm /home/anna"}, ["mm, cm, m, scene, unknown"]),
    ({"licence": "x" * 1001}, ["licence"]),
    ({"landmarks": [[1, 2]]}, ["landmarks"]),
    ({"landmarks": [[0, 0, 0]] * 100_001}, ["landmarks"]),
    ({"views": [1, 2]}, ["views"]),
    ({"views": {"sensitive": [0, 1, 2], "nuetral": [4, 5]}}, ["nuetral", "mean 'neutral'?"]),
    ({"views": {"neutral": [6]}}, ["no view 6 of 6", "0 to 5"]),
    ({"views": {"neutral": [-1]}}, ["no view '-1'"]),
    ({"views": {"neutral": [True]}}, ["views.neutral", "file names or view numbers"]),
    ({"views": {"neutral": "img_0001.png"}}, ["views.neutral"]),
    ({"views": {"neutral": [""]}}, ["no view ''"]),
    ({"views": {"neutral": ["img_0009.png"]}}, ["no view 'img_0009.png'", "Did you mean img_000"]),
    ({"views": {"neutral": ["../mask/mask_0000.png"]}}, ["no view"]),
    ({"views": {"neutral": [1, "img_0001.png"]}}, ["img_0001.png is named twice, under neutral"]),
    ({"views": {"neutral": [1], "unused": [1]}}, ["named twice", "neutral and unused"]),
    ({"views": {"sensitive": [0], "neutral": ["img_0000.png"]}}, ["sensitive and neutral"]),
    (
        {"views": {"sensitive": [0, 1], "neutral": [4, 5]}},
        ["2 views have no role: img_0002.png, img_0003.png", "stands under neutral"],
    ),
    ({"views": {"sensitive": []}}, ["6 views have no role", "img_0005.png"]),
    ({"views": {}}, ["names no views", "--sensitive", '"img_0005.png"']),
    ({"views": {"unused": [0]}}, ["names no views", "--sensitive", '"img_0005.png"']),
    ({"views": {"sensitive": None, "neutral": None}}, ["names no views", "--sensitive"]),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=lambda x: str(x)[:40])
def test_a_field_that_is_unknown_wrong_or_out_of_bounds_is_named(ball_folder, change, words):
    edit_scene(ball_folder, **change)
    refused(lambda: open_scene(ball_folder), "scene.json", *words)


def test_what_is_no_plain_json_object_is_one_clear_error(ball_folder):
    (ball_folder / "scene.json").write_text("{")
    refused(lambda: open_scene(ball_folder), "scene.json", "should look like", "face_radius")


@pytest.mark.parametrize(
    ("views", "roles"),
    [
        ({"neutral": ["img_0004.png"], "unused": [5]}, ((0, 1, 2, 3), (4,), (5,))),
        ({"sensitive": list(range(6))}, (tuple(range(6)), (), ())),
        ({"sensitive": [], "neutral": FROM_0}, ((), tuple(range(6)), ())),
    ],
)
def test_where_neutral_views_are_named_all_others_are_sensitive(ball_folder, views, roles):
    edit_scene(ball_folder, views=views)
    scene = open_scene(ball_folder)
    assert (scene.sensitive, scene.neutral, scene.unused) == roles


def test_the_option_overrules_the_file_and_never_colours_an_unused_view(ball_folder):
    scene = load_scene(ball_folder, sensitive="5")
    assert scene.sensitive == (5,) and scene.neutral == (0, 1, 2, 3, 4)
    assert scene.nose_tip == (0.0, 0.0, 60.0)
    edit_scene(ball_folder, views={"neutral": [3, 4], "unused": [5]})
    seen = open_scene(ball_folder, sensitive="0-2")
    assert (seen.sensitive, seen.neutral, seen.unused) == ((0, 1, 2), (3, 4), (5,))


def test_the_template_names_this_folders_files_and_makes_nothing_public(ball_folder):
    path = ball_folder / "scene.json"
    path.unlink()
    rename_views(ball_folder, FROM_1)
    text = str(refused(lambda: open_scene(ball_folder), "scene.json", "--sensitive"))
    path.write_text(text[text.index("{") :], encoding="utf-8")
    scene = open_scene(ball_folder)
    assert scene.names == tuple(FROM_1) and scene.neutral == () and len(scene.sensitive) == 6


@pytest.mark.parametrize("entry", [0, "img_0000.png", "*", "x"])
def test_long_lists_are_refused_at_once(ball_folder, entry):
    edit_scene(ball_folder, views={"sensitive": [entry] * 300_000})
    start = time.process_time()
    refused(lambda: open_scene(ball_folder), "view")
    assert time.process_time() - start < 3


def test_a_scene_in_memory_passes_the_same_checks(ball, ball_folder):
    edit_scene(ball_folder, front="+x", nose_tip=[50.0, -40.0, 30.0])  # low, and to one side
    assert open_scene(ball_folder).front == "+x"
    assert ball.names == tuple(FROM_0)
    for change, word in (
        ({"nose_tip": (0.0, 10.0, -30.0)}, "nose_tip"),
        ({"names": tuple(FROM_0[:5])}, "names for 6 views"),
        ({"names": ("a.png",) * 6}, "names for 6 views"),
    ):
        refused(lambda change=change: replace(ball, **change), word)


def test_a_saved_scene_says_every_views_role_and_loads_again(ball, tmp_path):
    replace(ball, neutral=(4,)).save(tmp_path / "some")
    stored = json.loads((tmp_path / "some" / "scene.json").read_text())["views"]
    assert stored == {"sensitive": [0, 1, 2], "neutral": [4], "unused": [3, 5]}
    some = load_scene(tmp_path / "some")
    assert (some.neutral, some.unused) == ((4,), (3, 5))
    replace(ball, sensitive=(), neutral=()).save(tmp_path / "none")
    assert load_scene(tmp_path / "none").unused == tuple(range(6))


# Numbers, names and patterns


def test_files_counted_from_one_arent_taken_by_plain_numbers(ball_folder):
    rename_views(ball_folder, FROM_1)
    refused(lambda: open_scene(ball_folder), "scene.json", "two meanings", "file names")
    edit_scene(ball_folder, views={"neutral": ["0005.png", "0006.png"]})
    assert open_scene(ball_folder).neutral == (4, 5)
    (ball_folder / "scene.json").unlink()
    for text, words in (("1-6", ["0001.png", "file:1-6", "position:0-5"]), ("0", ["two meanings"])):
        refused(lambda text=text: open_scene(ball_folder, sensitive=text), *words)
    assert open_scene(ball_folder, sensitive="file:1-3").neutral == (3, 4, 5)


@pytest.mark.parametrize(
    ("text", "names", "views"),
    [
        ("0-3", FROM_0, (0, 1, 2, 3)),
        ("0-1,5", FROM_0, (0, 1, 5)),
        ("4, 2 ,2", FROM_0, (2, 4)),
        ("3", FROM_0, (3,)),
        ("0 - 1", FROM_0, (0, 1)),
        ("img_0003.png", FROM_0, (3,)),
        ("img_000[12].png", FROM_0, (1, 2)),
        ("*_0004.png, 0-1", FROM_0, (0, 1, 4)),
        ("file:1-2,4", FROM_0, (1, 2, 4)),
        ("file: 5", FROM_0, (5,)),
        ("position:0,file:3-4", FROM_0, (0, 3, 4)),
        ("*", FROM_0, (0, 1, 2, 3, 4, 5)),
        ("file:1-3", FROM_1, (0, 1, 2)),
        ("position:0-2", FROM_1, (0, 1, 2)),
        ("0001.png,0003.png", FROM_1, (0, 2)),
        ("file:1-2,5", FROM_1, (0, 1, 4)),  # a prefix holds for the numbers after it
        ("position:1-2,5", FROM_1, (1, 2, 5)),
        ("0", ["left.png", "right.png"], (0,)),  # without any digit, places count
    ],
)
def test_numbers_names_patterns_and_prefixes(text, names, views):
    assert parse_views(text, names) == views


@pytest.mark.parametrize(
    "text",
    ["", "a", "0-", "3-1", "6", "0-6", "-1", "1;2", "img_0006.png", "front_*.png", "file:"]
    + ["file:a", "positions:1", "file:3-1", "9" * 400],
)
def test_what_names_no_view_is_refused(text):
    refused(lambda: parse_views(text, FROM_0), "--sensitive")


def test_gaps_in_the_numbers_forbid_plain_numbers():
    names = ["frame0.png", "frame1.png", "frame3.png", "frame4.png"]
    for text, word in (
        ("0-3", "file:0-4"),
        ("file:0-5", "numbered 0 to 4"),
        ("file:2", "no view file:2"),
    ):
        refused(lambda text=text: parse_views(text, names), word)
    assert parse_views("file:1-3", names) == (1, 2)
    assert parse_views("position:1-3", names) == (1, 2, 3)
    for others in NO_NUMBERS:
        refused(lambda others=others: parse_views("0", others), "position:0-1")
        refused(lambda others=others: parse_views("file:0", others), "no single number")


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (FROM_1, [1, 2, 3, 4, 5, 6]),
        (["IMG_003_v2.png", "IMG_007_v2.png"], [3, 7]),
        *((names, None) for names in NO_NUMBERS),
        (["left.png", "right.png"], None),
        (["0001.png"], [1]),
        (["only.png"], None),
    ],
)
def test_the_number_of_a_file_is_the_one_that_varies(names, numbers):
    assert file_numbers(names) == numbers


def test_ten_thousand_views_are_told_apart_in_linear_time():
    names = [f"{i:05d}.png" for i in range(10_000)]
    start = time.process_time()
    assert len(parse_views(",".join(map(str, range(10_000))), names)) == 10_000
    assert time.process_time() - start < 3


# What is said of it


def test_facts_list_every_picture_that_goes_out_in_colour(ball_folder):
    names = ["front a.png", "front b.png", "left.png", "back.png", "nape.png", "top.png"]
    rename_views(ball_folder, sorted(names))
    edit_scene(ball_folder, views={"neutral": ["back.png"], "unused": ["top.png"]})
    scene = open_scene(ball_folder)
    facts = json.loads(json.dumps(scene_facts(scene)))
    assert facts["in_colour"] == ["back.png"] and facts["unused"] == ["top.png"]
    assert facts["as_modulus"] == ["front a.png", "front b.png", "left.png", "nape.png"]
    assert [scene.names[v] for v in facts["sensitive"]] == facts["as_modulus"]
    assert [scene.names[v] for v in facts["neutral"]] == facts["in_colour"]


def test_the_table_keeps_long_lists_of_names_readable():
    names = [f"DSC_{i:05d}-of-anna.png" for i in range(60)]
    lines = table({"in_colour": names, "views": 60}).splitlines()
    assert max(map(len, lines)) <= 100 and len(lines) > 10
    words = [word for line in lines[:-1] for word in line.removeprefix("in_colour").split()]
    assert words == [*(f"{name}," for name in names[:-1]), names[-1]]


# The head's own frame

MAP = np.array([5e5, 4e6, 300.0])


def on_a_map(ball: Scene, folder: Path, unit: float = 1) -> None:
    """The ball's folder as a surveyor has it: x east, y north, z up, far from the origin.

    `unit` is the length of a millimetre there.
    """
    # up +y becomes +z, front +z becomes -y, and so +x stays.
    turn = unit * np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    back = np.eye(4)
    back[:3, :3], back[:3, 3] = turn.T / unit**2, -turn.T @ MAP / unit**2
    mats = ball.cameras.world_mats().numpy() @ back
    edit_cameras(folder, **{f"world_mat_{i}": m for i, m in enumerate(mats)})
    set_sphere(folder, 80 * unit, MAP)
    vertices, faces = ball.truth[0] @ turn.T + MAP, ball.truth[1] + 1
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in faces.tolist()]
    (folder / "full_head.obj").write_text("\n".join(lines) + "\n")
    tip, marks = turn @ [0.0, 0, 60] + MAP, ball.landmarks @ turn.T + MAP
    edit_scene(folder, up="+z", front="-y", nose_tip=tip.tolist(), landmarks=marks.tolist())


@pytest.mark.parametrize("unit", [1, 0.001])
def test_a_scene_in_a_maps_coordinates_comes_home(ball, ball_folder, tmp_path, unit):
    on_a_map(ball, ball_folder, unit)
    for scene in (open_scene(ball_folder), load_scene(ball_folder)):
        assert scene.origin == pytest.approx(tuple(MAP)) and scene.center == (0, 0, 0)
        assert (scene.up, scene.front) == ("+y", "+z")
        assert torch.allclose(scene.cameras.centers / unit, ball.cameras.centers, atol=1e-3)
        assert torch.allclose(scene.cameras.forward, ball.cameras.forward, atol=1e-6)
        assert torch.allclose(scene.cameras.K, ball.cameras.K, atol=1e-5)
        assert scene.nose_tip == pytest.approx((0, 0, 60 * unit), abs=1e-8)
        assert np.abs(scene.truth_triangles()[0] - unit * ball.truth[0]).max() < 1e-8
        assert np.abs(scene.landmarks - unit * ball.landmarks).max() < 1e-8
        (said,) = scene.assumptions  # and cameras, sphere and masks fit each other
        assert "own frame" in said
        assert scene.in_head_frame() is scene
    load_scene(ball_folder).save(tmp_path / "copy")
    again = load_scene(tmp_path / "copy")
    assert again.origin == (0, 0, 0) and again.front == "+z"
    assert np.abs(again.truth_triangles()[0] - unit * ball.truth[0]).max() < 1e-5


def test_a_scene_in_memory_is_moved_with_its_truth(ball):
    home = moved(ball, MAP).in_head_frame()
    assert np.abs(home.truth_triangles()[0] - ball.truth[0]).max() < 1e-8
    assert torch.allclose(home.cameras.c2w, ball.cameras.c2w, atol=1e-8)
    assert home.face_region()[0] == pytest.approx((0, 0, 60)) and home.origin == tuple(MAP)


def test_a_scene_whose_origin_lies_in_its_sphere_is_left_alone(ball, ball_folder):
    assert ball.in_head_frame() is ball
    edit_scene(ball_folder, up="+z", front="+x", nose_tip=[60, 0, 0])
    scene = open_scene(ball_folder)
    assert (scene.up, scene.front, scene.origin) == ("+z", "+x", (0, 0, 0))
    assert scene.assumptions == ()
