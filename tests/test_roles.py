"""A view goes out in colour only if somebody said so, in words with one meaning."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from privhead_nb.cli.common import table
from privhead_nb.errors import SceneError
from privhead_nb.scenes.folder import open_scene
from privhead_nb.scenes.roles import file_numbers, parse_views
from privhead_nb.scenes.scene import Scene, load_scene, scene_facts

FROM_0 = [f"img_{i:04d}.png" for i in range(6)]
FROM_1 = [f"{i:04d}.png" for i in range(1, 7)]


def _change(folder: Path, **fields: Any) -> None:
    path = folder / "scene.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields), encoding="utf-8")


def _rename(folder: Path, names: list[str]) -> None:
    """Call picture and mask i names[i]; landmarks and mesh go, as in an IDR folder."""
    for kind in ("image", "mask"):
        for old, new in zip(sorted((folder / kind).iterdir()), names, strict=True):
            old.rename(folder / kind / f"new {new}")
        for path in (folder / kind).iterdir():
            path.rename(folder / kind / path.name.removeprefix("new "))


def _refused(folder: Path, *words: str, sensitive: str | None = None) -> None:
    with pytest.raises(SceneError) as error:
        open_scene(folder, sensitive=sensitive)
    assert error.value.remedy
    for word in words:
        assert word in str(error.value), f"{word!r} isn't in {error.value}"


# What scene.json says


def test_a_typing_error_in_a_role_is_refused_with_the_word_that_was_meant(
    ball_folder: Path,
) -> None:
    _change(ball_folder, views={"sensitive": [0, 1, 2], "nuetral": [4, 5]})
    _refused(ball_folder, "scene.json", "views.nuetral", "Did you mean 'neutral'?")


@pytest.mark.parametrize(
    ("field", "meant"),
    [("noise_tip", "nose_tip"), ("license", "licence"), ("View", "views"), ("pixel_centre", "pix")],
)
def test_an_unknown_field_is_refused(ball_folder: Path, field: str, meant: str) -> None:
    _change(ball_folder, **{field: 0})
    _refused(ball_folder, "unknown field", field, meant)


def test_views_that_no_list_names_are_listed_and_refused(ball_folder: Path) -> None:
    _change(ball_folder, views={"sensitive": [0, 1], "neutral": [4, 5]})
    _refused(
        ball_folder, "2 views have no role: img_0002.png, img_0003.png", "stands under neutral"
    )


@pytest.mark.parametrize("sensitive", [[], [0]])
def test_naming_the_sensitive_views_alone_makes_no_other_view_neutral(
    ball_folder: Path, sensitive: list[int]
) -> None:
    _change(ball_folder, views={"sensitive": sensitive})
    _refused(ball_folder, f"{6 - len(sensitive)} views have no role", "img_0005.png")


def test_where_neutral_views_are_named_all_others_are_sensitive(ball_folder: Path) -> None:
    _change(ball_folder, views={"neutral": ["img_0004.png"], "unused": [5]})
    scene = open_scene(ball_folder)
    assert (scene.sensitive, scene.neutral, scene.unused) == ((0, 1, 2, 3), (4,), (5,))


def test_all_views_may_be_sensitive_or_all_neutral_if_every_one_is_named(ball_folder: Path) -> None:
    _change(ball_folder, views={"sensitive": list(range(6))})
    assert open_scene(ball_folder).neutral == ()
    _change(ball_folder, views={"sensitive": [], "neutral": FROM_0})
    assert open_scene(ball_folder).neutral == (0, 1, 2, 3, 4, 5)


def test_lists_without_roles_ask_for_roles(ball_folder: Path) -> None:
    for views in ({}, {"unused": [0]}, {"sensitive": None, "neutral": None}):
        _change(ball_folder, views=views)
        _refused(ball_folder, "names no views", "--sensitive", '"img_0005.png"')


def test_the_template_names_this_folders_files_and_makes_nothing_public(ball_folder: Path) -> None:
    path = ball_folder / "scene.json"
    path.unlink()
    _rename(ball_folder, FROM_1)
    with pytest.raises(SceneError) as error:
        open_scene(ball_folder)
    text = str(error.value)
    path.write_text(text[text.index("{") :], encoding="utf-8")
    scene = open_scene(ball_folder)
    assert scene.names == tuple(FROM_1)
    assert len(scene.sensitive) == 6 and scene.neutral == ()


@pytest.mark.parametrize(
    ("views", "words"),
    [
        ({"neutral": [6]}, ["no view 6 of 6", "0 to 5"]),
        ({"neutral": [-1]}, ["no view '-1'"]),
        ({"neutral": [True]}, ["views.neutral", "file names or view numbers"]),
        ({"neutral": [1.0]}, ["views.neutral"]),
        ({"neutral": "img_0001.png"}, ["views.neutral"]),
        ({"neutral": {"0": 1}}, ["views.neutral"]),
        ({"neutral": [[0]]}, ["views.neutral"]),
        ({"neutral": [""]}, ["no view ''"]),
        ({"neutral": ["img_0009.png"]}, ["no view 'img_0009.png'", "Did you mean img_000"]),
        ({"neutral": ["../mask/mask_0000.png"]}, ["no view"]),
        ({"neutral": [1, "img_0001.png"]}, ["img_0001.png is named twice, under neutral"]),
        ({"neutral": [1], "unused": [1]}, ["img_0001.png is named twice", "neutral and unused"]),
        ({"sensitive": [0, 1], "neutral": ["img_0001.png"]}, ["twice", "sensitive and neutral"]),
    ],
)
def test_a_list_that_names_no_view_or_one_twice_is_refused(
    ball_folder: Path, views: dict[str, Any], words: list[str]
) -> None:
    _change(ball_folder, views=views)
    _refused(ball_folder, "scene.json", *words)


@pytest.mark.parametrize("entry", [0, "img_0000.png", "*", "x"])
def test_long_lists_are_refused_at_once(ball_folder: Path, entry: Any) -> None:
    _change(ball_folder, views={"sensitive": [entry] * 300_000})
    start = time.process_time()
    _refused(ball_folder, "view")
    assert time.process_time() - start < 3


def test_ten_thousand_views_are_told_apart_in_linear_time() -> None:
    names = [f"{i:05d}.png" for i in range(10_000)]
    start = time.process_time()
    assert len(parse_views(",".join(map(str, range(10_000))), names)) == 10_000
    assert time.process_time() - start < 3


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_byte_order_marks_and_windows_line_ends_are_read(
    ball_folder: Path, ends: str, mark: str
) -> None:
    path = ball_folder / "scene.json"
    text = mark + path.read_text().replace("\n", ends)
    path.write_bytes(text.encode("utf-8"))
    assert open_scene(ball_folder).neutral == (3, 4, 5)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"unit": "mm /home/anna"}, "mm, cm, m, scene, unknown"),
        ({"unit": ""}, "unit"),
        ({"unit": "inch"}, "unit"),
        ({"licence": "x" * 1001}, "licence"),
        ({"face_radius": 1e12}, "face_radius"),
        ({"nose_tip": [0, 0, 1e300]}, "nose_tip"),
        ({"nose_tip": [0, 0]}, "nose_tip"),
        ({"background": [255, 255, -1]}, "background"),
        ({"background": [True, True, True]}, "background"),
        ({"pixel_center": False}, "pixel_center"),
        ({"landmarks": [[0, 0, 0]] * 100_001}, "landmarks"),
        ({"landmarks": {"nose": [0, 0, 0]}}, "landmarks"),
        ({"front": "z"}, "front"),
        ({"up": "+z"}, "up and front"),
    ],
)
def test_fields_have_types_and_bounds(ball_folder: Path, fields: dict[str, Any], word: str) -> None:
    _change(ball_folder, **fields)
    _refused(ball_folder, "scene.json", word)


@pytest.mark.parametrize(
    "text",
    ['{"face_radius": 1' + "0" * 400 + "}", "[" * 100_000, '{"unit": "mm", "unit": "m"}', "\ud800"],
)
def test_numbers_of_400_digits_and_deep_nesting_are_one_clear_error(
    ball_folder: Path, text: str
) -> None:
    (ball_folder / "scene.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    _refused(ball_folder, "scene.json", "should look like")


def test_a_front_that_the_nose_tip_contradicts_is_refused(ball: Scene, ball_folder: Path) -> None:
    _change(ball_folder, front="-z")
    _refused(ball_folder, "front", "nose_tip", "another side")
    _change(ball_folder, front="+x")  # at a right angle
    _refused(ball_folder, "front", "nose_tip", "another side")
    _change(ball_folder, front="+x", nose_tip=[50.0, -40.0, 30.0])  # low, and to one side
    assert open_scene(ball_folder).front == "+x"
    with pytest.raises(SceneError, match="nose_tip"):
        replace(ball, nose_tip=(0.0, 10.0, -30.0))


def test_a_scene_in_memory_has_a_known_unit_and_a_name_for_every_view(ball: Scene) -> None:
    with pytest.raises(SceneError, match="mm, cm, m"):
        replace(ball, unit="mm /home/anna")
    assert ball.names == tuple(FROM_0)
    for names in (tuple(FROM_0[:5]), ("a.png",) * 6):
        with pytest.raises(SceneError, match="names for 6 views"):
            replace(ball, names=names)


def test_a_saved_scene_says_every_views_role_and_loads_again(ball: Scene, tmp_path: Path) -> None:
    replace(ball, neutral=(4,)).save(tmp_path / "some")
    stored = json.loads((tmp_path / "some" / "scene.json").read_text())["views"]
    assert stored == {"sensitive": [0, 1, 2], "neutral": [4], "unused": [3, 5]}
    assert load_scene(tmp_path / "some").unused == (3, 5)
    replace(ball, sensitive=(), neutral=()).save(tmp_path / "none")
    assert load_scene(tmp_path / "none").unused == tuple(range(6))


# Numbers, names and patterns


def test_files_counted_from_one_arent_taken_by_plain_numbers(ball_folder: Path) -> None:
    _rename(ball_folder, FROM_1)
    (ball_folder / "scene.json").unlink()
    _refused(ball_folder, "0001.png", "file:1-6", "position:0-5", sensitive="1-6")
    _refused(ball_folder, "two meanings", sensitive="0")
    by_file = open_scene(ball_folder, sensitive="file:1-3")
    assert by_file.sensitive == (0, 1, 2) and by_file.neutral == (3, 4, 5)
    assert open_scene(ball_folder, sensitive="position:0-2").sensitive == (0, 1, 2)
    assert open_scene(ball_folder, sensitive="0001.png,0003.png").sensitive == (0, 2)


def test_plain_numbers_in_scene_json_are_refused_too_and_names_are_not(ball_folder: Path) -> None:
    _rename(ball_folder, FROM_1)
    _refused(ball_folder, "scene.json", "two meanings", "file names")
    _change(ball_folder, views={"neutral": ["0005.png", "0006.png"]})
    assert open_scene(ball_folder).neutral == (4, 5)


def test_gaps_in_the_numbers_forbid_plain_numbers() -> None:
    names = ["frame0.png", "frame1.png", "frame3.png", "frame4.png"]
    with pytest.raises(SceneError, match="file:0-4"):
        parse_views("0-3", names)
    assert parse_views("file:1-3", names) == (1, 2)
    assert parse_views("position:1-3", names) == (1, 2, 3)
    with pytest.raises(SceneError, match="numbered 0 to 4"):
        parse_views("file:0-5", names)
    with pytest.raises(SceneError, match="no view file:2"):
        parse_views("file:2", names)


@pytest.mark.parametrize(
    ("text", "views"),
    [
        ("img_0003.png", (3,)),
        ("img_000[12].png", (1, 2)),
        ("*_0004.png, 0-1", (0, 1, 4)),
        ("file:1-2,4", (1, 2, 4)),
        ("file: 5", (5,)),
        ("position:0,file:3-4", (0, 3, 4)),
        ("*", (0, 1, 2, 3, 4, 5)),
    ],
)
def test_names_patterns_and_prefixes(text: str, views: tuple[int, ...]) -> None:
    assert parse_views(text, FROM_0) == views


@pytest.mark.parametrize(
    "text", ["img_0006.png", "front_*.png", "file:", "file:a", "positions:1", "file:3-1", "9" * 400]
)
def test_what_names_no_view_is_refused(text: str) -> None:
    with pytest.raises(SceneError, match="--sensitive"):
        parse_views(text, FROM_0)


def test_a_prefix_holds_for_the_numbers_after_it() -> None:
    assert parse_views("file:1-2,5", FROM_1) == (0, 1, 4)
    assert parse_views("position:1-2,5", FROM_1) == (1, 2, 5)


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (FROM_1, [1, 2, 3, 4, 5, 6]),
        (["IMG_003_v2.png", "IMG_007_v2.png"], [3, 7]),
        (["cam0_frame1.png", "cam1_frame0.png"], None),  # two numbers vary
        (["left.png", "right.png"], None),
        (["left.png", "right1.png"], None),
        (["0001.png"], [1]),
        (["only.png"], None),
    ],
)
def test_the_number_of_a_file_is_the_one_that_varies(
    names: list[str], numbers: list[int] | None
) -> None:
    assert file_numbers(names) == numbers


def test_names_without_any_digit_are_counted_by_place() -> None:
    assert parse_views("0", ["left.png", "right.png"]) == (0,)
    for names in (["cam0_frame1.png", "cam1_frame0.png"], ["left.png", "right1.png"]):
        with pytest.raises(SceneError, match="position:0-1"):
            parse_views("0", names)
        with pytest.raises(SceneError, match="no single number"):
            parse_views("file:0", names)


# What is said of it


def test_facts_list_every_picture_that_goes_out_in_colour(ball_folder: Path) -> None:
    names = ["front a.png", "front b.png", "left.png", "back.png", "nape.png", "top.png"]
    _rename(ball_folder, sorted(names))
    _change(ball_folder, views={"neutral": ["back.png"], "unused": ["top.png"]})
    scene = open_scene(ball_folder)
    facts = json.loads(json.dumps(scene_facts(scene)))
    assert facts["in_colour"] == ["back.png"] and facts["unused"] == ["top.png"]
    assert facts["as_modulus"] == ["front a.png", "front b.png", "left.png", "nape.png"]
    assert [scene.names[v] for v in facts["sensitive"]] == facts["as_modulus"]
    assert [scene.names[v] for v in facts["neutral"]] == facts["in_colour"]


def test_the_table_keeps_long_lists_of_names_readable() -> None:
    names = [f"DSC_{i:05d}-of-anna.png" for i in range(60)]
    lines = table({"in_colour": names, "views": 60}).splitlines()
    assert max(map(len, lines)) <= 100 and len(lines) > 10
    assert [w for line in lines[:-1] for w in line.removeprefix("in_colour").split()] == [
        *(f"{name}," for name in names[:-1]),
        names[-1],
    ]


# The head's own frame

MAP = np.array([5e5, 4e6, 300.0])


def _on_a_map(ball: Scene, folder: Path, spoil: Callable[..., None], unit: float = 1) -> None:
    """The ball's folder as a surveyor has it: x east, y north, z up, far from the origin.

    `unit` is the length of a millimetre there.
    """
    # up +y becomes +z, front +z becomes -y, and so +x stays.
    turn = unit * np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    back = np.eye(4)
    back[:3, :3], back[:3, 3] = turn.T / unit**2, -turn.T @ MAP / unit**2
    scale = np.diag([80.0 * unit, 80 * unit, 80 * unit, 1])
    scale[:3, 3] = MAP
    mats = ball.cameras.world_mats().numpy() @ back
    spoil(
        folder,
        **{f"world_mat_{i}": m for i, m in enumerate(mats)},
        **{f"scale_mat_{i}": scale for i in range(6)},
    )
    assert ball.truth is not None and ball.landmarks is not None
    vertices, faces = ball.truth[0] @ turn.T + MAP, ball.truth[1] + 1
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    lines += [f"f {a} {b} {c}" for a, b, c in faces.tolist()]
    (folder / "full_head.obj").write_text("\n".join(lines) + "\n")
    tip = turn @ [0.0, 0, 60] + MAP
    marks = ball.landmarks @ turn.T + MAP
    _change(folder, up="+z", front="-y", nose_tip=tip.tolist(), landmarks=marks.tolist())


@pytest.mark.parametrize("unit", [1, 0.001])
def test_a_scene_in_a_maps_coordinates_comes_home(
    ball: Scene, ball_folder: Path, spoil_cameras: Callable[..., None], unit: float
) -> None:
    _on_a_map(ball, ball_folder, spoil_cameras, unit)
    for scene in (open_scene(ball_folder), load_scene(ball_folder)):
        assert scene.origin == pytest.approx(tuple(MAP)) and scene.center == (0, 0, 0)
        assert (scene.up, scene.front) == ("+y", "+z")
        assert torch.allclose(scene.cameras.centers / unit, ball.cameras.centers, atol=1e-3)
        assert torch.allclose(scene.cameras.forward, ball.cameras.forward, atol=1e-6)
        assert torch.allclose(scene.cameras.K, ball.cameras.K, atol=1e-5)
        assert scene.nose_tip == pytest.approx((0, 0, 60 * unit), abs=1e-8)
        assert ball.truth is not None and ball.landmarks is not None
        assert np.abs(scene.truth_triangles()[0] - unit * ball.truth[0]).max() < 1e-8
        assert scene.landmarks is not None
        assert np.abs(scene.landmarks - unit * ball.landmarks).max() < 1e-8
        (said,) = scene.assumptions  # and cameras, sphere and masks fit each other
        assert "own frame" in said
        assert scene.in_head_frame() is scene


def test_a_scene_in_memory_is_moved_with_its_truth(ball: Scene) -> None:
    c2w = ball.cameras.c2w.clone()
    c2w[:, :3, 3] += torch.from_numpy(MAP)
    assert ball.truth is not None and ball.landmarks is not None
    far = replace(
        ball,
        cameras=replace(ball.cameras, c2w=c2w),
        center=tuple(MAP),
        nose_tip=tuple(MAP + [0, 0, 60]),
        landmarks=ball.landmarks + MAP,
        truth=(ball.truth[0] + MAP, ball.truth[1]),
    )
    home = far.in_head_frame()
    assert np.abs(home.truth_triangles()[0] - ball.truth[0]).max() < 1e-8
    assert torch.allclose(home.cameras.c2w, ball.cameras.c2w, atol=1e-8)
    assert home.face_region()[0] == pytest.approx((0, 0, 60)) and home.origin == tuple(MAP)
    assert ball.in_head_frame() is ball


def test_a_moved_scene_survives_its_folder(
    ball: Scene, ball_folder: Path, tmp_path: Path, spoil_cameras: Callable[..., None]
) -> None:
    _on_a_map(ball, ball_folder, spoil_cameras)
    load_scene(ball_folder).save(tmp_path / "copy")
    back = load_scene(tmp_path / "copy")
    assert back.origin == (0, 0, 0) and back.front == "+z"
    assert torch.allclose(back.cameras.c2w, ball.cameras.c2w, atol=1e-5)
    assert ball.truth is not None
    assert np.abs(back.truth_triangles()[0] - ball.truth[0]).max() < 1e-5


def test_a_scene_whose_origin_lies_in_its_sphere_is_left_alone(ball_folder: Path) -> None:
    _change(ball_folder, up="+z", front="+x", nose_tip=[60, 0, 0])
    scene = open_scene(ball_folder)
    assert (scene.up, scene.front, scene.origin) == ("+z", "+x", (0, 0, 0))
    assert scene.assumptions == ()
