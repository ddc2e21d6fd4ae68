"""Claims about the steps of a capture, each on its own; no pictures of people, no pycolmap."""

import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from privhead_nb.capture import matching
from privhead_nb.capture.frame import DOUBT, DOUBT_OF_TWO, head_frame
from privhead_nb.capture.hull import carve
from privhead_nb.capture.kept import key_of, step
from privhead_nb.capture.masks import cut_at_plane, given_masks, overlap
from privhead_nb.capture.page import review_page
from privhead_nb.capture.poses import check_profile
from privhead_nb.capture.roles import FACE_ANGLE, ViewRole, view_roles
from privhead_nb.capture.settings import CaptureSettings
from privhead_nb.capture.views import View, moved
from privhead_nb.capture.write import Square, cut_square, square_around, world_matrix
from privhead_nb.errors import PrivheadError, SceneError
from privhead_nb.heads.head import make_head
from privhead_nb.scenes.camera import directions, look_at

RANDOM = np.random.default_rng(0)


def busy(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture full of edges, (H, W, 3) uint8."""
    small = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def ring_views(count=24, width=300, height=300, focal=400.0, elevation=10.0) -> list[View]:
    """Cameras around the origin at 700 mm, all looking at it; view 0 from the front."""
    azimuth = np.linspace(0, 2 * np.pi, count, endpoint=False)
    eyes = 700 * directions(azimuth, np.full(count, np.radians(elevation)))
    c2w = look_at(torch.from_numpy(eyes), torch.zeros(3)).numpy()
    return [
        View(f"v{i:02d}.jpg", f"{i:04d}.png", width, height, focal, 0.0, m[:3, :3].T, m[:3, 3])
        for i, m in enumerate(c2w)
    ]


# Matches and focal length -------------------------------------------------------------------------


def test_matches_are_mutual_near_and_clearly_the_nearest():
    one = torch.nn.functional.normalize(torch.from_numpy(RANDOM.normal(size=(60, 128))).float())
    noise = torch.from_numpy(RANDOM.normal(size=(40, 128))).float()
    two = torch.nn.functional.normalize(torch.cat([one[:40] + 0.01 * noise, noise]))
    found = matching.mutual_matches(one, two)
    assert found.tolist() == [[i, i] for i in range(40)]
    assert matching.mutual_matches(one[:1], two).shape == (0, 2)
    doubled = torch.cat([two, two])  # a repeated pattern matches nothing
    assert len(matching.mutual_matches(one, doubled)) == 0


def test_without_pycolmap_a_capture_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    with pytest.raises(SceneError, match="pip install pycolmap"):
        matching.colmap()


def profile(*errors, placed=1.0):
    shares = (0.60, 0.72, 0.86, 1.03, 1.24, 1.49, 1.79, 2.15)
    return [(s, e, placed) for s, e in zip(shares, errors, strict=True)]


def test_the_focal_length_of_least_error_is_taken(tmp_path):
    share = check_profile(profile(1.2, 1.1, 1.0, 0.7, 0.55, 0.40, 0.80, 1.0), tmp_path)
    assert 1.3 < share < 1.5


@pytest.mark.parametrize(
    "errors",
    [
        (0.33, 0.33, 0.32, 0.31, 0.30, 0.30, 0.31, 0.32),  # a level circle: flat
        (0.30, 0.35, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90),  # falls to its end
    ],
)
def test_a_profile_that_tells_nothing_is_refused_with_the_remedy(tmp_path, errors):
    with pytest.raises(SceneError, match=r"don't tell the camera's angle of view.*--fov"):
        check_profile(profile(*errors), tmp_path)


# The head's frame ---------------------------------------------------------------------------------


def seen_face(views, noise=0.5, seed=0):
    """Landmarks (68, 2) of a made head in the views within 60 degrees of the front, by name."""
    face = make_head(3).landmarks().detach().double().numpy()
    random = np.random.default_rng(seed)
    marks = {}
    for view in views:
        if view.center[2] > 0.5 * np.linalg.norm(view.center):
            marks[view.name] = view.project(face)[0] + random.normal(0, noise, (68, 2))
    return marks, face


def somewhere(views, seed=1):
    """The same views in another frame: turned, shifted and smaller."""
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    shift = random.normal(size=3)
    return [moved(view, turn, 0.01, shift) for view in views]


def test_up_front_and_scale_come_back_from_any_frame():
    views = ring_views()
    marks, face = seen_face(views)
    eyes = np.linalg.norm(face[36:42].mean(0) - face[42:48].mean(0))
    away = somewhere(views)
    head = head_frame(away, marks, float(eyes))
    back = [moved(view, head.turn, head.scale, head.shift) for view in away]
    for view, true in zip(back, views, strict=True):
        # axes to 4 degrees (every face differs from the mean one), distance to 15 mm
        assert np.degrees(np.arccos(np.clip((np.trace(view.R @ true.R.T) - 1) / 2, -1, 1))) < 4
        assert abs(np.linalg.norm(view.center) - 700) < 15
    assert head.unit == "mm" and head.nose_tip[2] > 80
    assert head_frame(away, marks).unit == "unknown"


def test_a_wrong_face_in_one_picture_does_not_turn_the_head():
    views = ring_views()
    marks, _ = seen_face(views)
    good = head_frame(somewhere(views), marks, 62)
    marks[views[1].name] = marks[views[1].name] + np.array([40.0, -30.0])
    bad = head_frame(somewhere(views), marks, 62)
    assert views[1].name not in bad.used
    between = np.degrees(np.arccos(np.clip((good.turn @ bad.turn.T)[2, 2], -1, 1)))
    assert between < 2


def test_pictures_whose_landmarks_agree_place_the_head_though_more_are_guessed():
    views = ring_views(36)
    marks, _ = seen_face(views)
    good = sorted(marks)[:5]
    random = np.random.default_rng(5)
    for name in sorted(marks)[5:]:  # each another guess: squeezed and shifted
        middle = marks[name].mean(0)
        wide = [random.uniform(0.5, 1.6), 1.0]
        marks[name] = middle + wide * (marks[name] - middle) + random.normal(0, 15, 2)
    assert len(marks) >= 11
    head = head_frame(somewhere(views), marks, 62)
    assert set(head.used) >= set(good) and head.pixels < 2
    alone = head_frame(somewhere(views), {name: marks[name] for name in good}, 62)
    assert abs(head.scale / alone.scale - 1) < 0.02


def test_of_pairs_that_agree_that_which_looks_like_a_face_is_taken_and_doubted():
    views = ring_views(36)
    marks, face = seen_face(views)
    one, two, three, four = sorted(marks)[:4]
    # two others agree as well, and on a face that is a third as wide
    narrow = {v.name: v.project(face * [0.33, 1, 1])[0] for v in views if v.name in (three, four)}
    head = head_frame(somewhere(views), {one: marks[one], two: marks[two], **narrow}, 62)
    assert set(head.used) == {one, two} and head.doubt == DOUBT_OF_TWO
    assert head_frame(somewhere(views), marks, 62).doubt == DOUBT
    behind = [view for view in views if 120 < np.degrees(np.arccos(view.center[2] / 700)) < 150]
    nothing = {view.name: 0 for view in behind}
    assert {r.role for r in view_roles(behind, nothing, (0, 0, 114.0), {})} == {
        "neutral", "sensitive",
    }  # fmt: skip
    doubted = view_roles(behind, nothing, (0, 0, 114.0), {}, doubt=DOUBT_OF_TWO)
    assert {r.role for r in doubted} == {"sensitive"}


def test_no_face_one_face_and_one_place_are_refused():
    views = ring_views()
    marks, _ = seen_face(views)
    with pytest.raises(SceneError, match="a face was found in 0 of 24"):
        head_frame(views, {})
    with pytest.raises(SceneError, match="a face was found in 1 of 24"):
        head_frame(views, {views[0].name: marks[views[0].name]})
    here = [views[0], View(**{**vars(views[0]), "name": "twin.jpg"})]
    with pytest.raises(SceneError, match="from one place"):
        head_frame(here, {view.name: marks[views[0].name] for view in here})


def test_points_that_are_no_face_are_refused():
    views = ring_views()
    face = np.random.default_rng(0).normal(0, 60, (68, 3))
    marks = {view.name: view.project(face)[0] for view in views[:4]}
    with pytest.raises(SceneError, match="make no face"):
        head_frame(views, marks, 62)


# Roles: fail closed -------------------------------------------------------------------------------


def roles_of(views, faces, **options):
    found = view_roles(views, faces, (0.0, -37.0, 114.0), {}, **options)
    return {role.name: role for role in found}


def test_a_view_is_neutral_only_where_detector_and_angle_both_say_so():
    views = ring_views(36)
    nothing = {view.name: 0 for view in views}
    found = roles_of(views, nothing)
    for view in views:
        angle = np.degrees(np.arccos(view.center[2] / 700))
        if angle <= FACE_ANGLE:
            assert found[view.name].role == "sensitive", angle
        if angle > FACE_ANGLE + DOUBT + 1:
            assert found[view.name].role == "neutral", angle
    behind = views[18].name
    assert roles_of(views, nothing | {behind: 1})[behind].role == "sensitive"
    unseen = {name: 0 for name in nothing if name != behind}
    assert roles_of(views, unseen)[behind].role == "sensitive"  # nobody looked at it


def test_a_camera_that_is_nowhere_is_sensitive():
    lost = View(**{**vars(ring_views()[12]), "center": np.full(3, np.nan)})
    assert roles_of([lost], {lost.name: 0})[lost.name].role == "sensitive"


def test_users_move_views_by_name_and_to_neutral_with_a_flag_only():
    views = ring_views(36)
    faces = {view.name: 0 for view in views}
    front, back = views[0].name, views[18].name
    assert roles_of(views, faces, sensitive=[back])[back].role == "sensitive"
    freed = roles_of(views, faces, neutral=[front])[front]
    assert freed.role == "neutral" and "although" in freed.reasons[0]
    assert roles_of(views, faces, unused=[back])[back].role == "unused"
    with pytest.raises(SceneError, match="no placed picture is called 'v1'"):
        roles_of(views, faces, neutral=["v1"])
    with pytest.raises(SceneError, match="to sensitive and to neutral"):
        roles_of(views, faces, neutral=[back], sensitive=[back])


def test_a_head_that_the_picture_cuts_is_never_released():
    views = ring_views()
    faces = {view.name: 0 for view in views}
    found = view_roles(views, faces, (0, 0, 114.0), {views[12].name: 0.3})
    assert found[12].role == "unused" and "outside of the picture" in found[12].reasons[0]


# Masks and squares --------------------------------------------------------------------------------


def ball_masks(views, radius=90.0):
    found = []
    for view in views:
        mask = np.zeros((view.height, view.width), np.uint8)
        (x, y), away = view.project(np.zeros((1, 3)))[0][0], np.linalg.norm(view.center)
        reach = radius * view.focal / np.sqrt(away**2 - radius**2)
        cv2.circle(mask, (round(x), round(y)), round(reach), 255, -1)
        found.append(mask)
    return found


def test_the_hull_of_a_ball_is_a_ball_and_fits_its_masks():
    views = ring_views(12, elevation=20.0) + ring_views(12, elevation=-20.0)
    hull = carve(views, ball_masks(views), 1.0, -250.0)
    reach = np.linalg.norm(hull.points, axis=1)
    assert 84 < np.quantile(reach, 0.9) < 96
    assert (
        min(overlap(hull.drawn(v), m) for v, m in zip(views, ball_masks(views), strict=True)) > 0.9
    )


def test_masks_end_at_the_neck_plane():
    views = ring_views()
    masks, hull, agreement = cut_at_plane(views, ball_masks(views), 1.0, -40.0)
    assert hull.points[:, 1].min() > -40 and min(agreement) > 0.85
    for view, mask in zip(views, masks, strict=True):
        lowest = np.flatnonzero(mask.any(1))[-1]
        assert lowest < view.project(np.array([[0, -70.0, 0]]))[0][0, 1]
    with pytest.raises(SceneError, match="nothing of the head is above"):
        cut_at_plane(views, ball_masks(views), 1.0, 120.0)


def test_masks_without_a_common_head_are_refused():
    views = ring_views()
    with pytest.raises(SceneError, match="no head in common"):
        carve(views, [np.zeros((300, 300), np.uint8)] * len(views), 1.0, -250.0)


def test_given_masks_are_paired_by_name_and_checked(tmp_path):
    views = ring_views(8)
    for view, mask in zip(views, ball_masks(views), strict=True):
        Image.fromarray(mask).resize((600, 600)).save(tmp_path / view.name.replace("jpg", "png"))
    found = given_masks(views, tmp_path)
    assert min(overlap(f, m) for f, m in zip(found, ball_masks(views), strict=True)) > 0.97
    Image.new("L", (600, 300), 255).save(tmp_path / "v03.png")
    with pytest.raises(SceneError, match=r"v03\.png: is 600 x 300 pixels, another shape"):
        given_masks(views, tmp_path)
    (tmp_path / "v03.png").unlink()
    with pytest.raises(SceneError, match=r"no mask for v03\.jpg"):
        given_masks(views, tmp_path)


def test_a_square_keeps_its_pixels_and_its_camera():
    view = ring_views(8, width=320, height=240)[1]
    square = square_around(view, (0.0, 0.0, 0.0), 60.0)
    assert square.left >= 0 and square.left + square.side <= 320 and square.side <= 240
    points = RANDOM.uniform(-50, 50, (20, 3))
    P = world_matrix(view, square, 128)
    image = points @ P[:3, :3].T + P[:3, 3]
    xy = image[:, :2] / image[:, 2:]
    scale = 128 / square.side
    expected = (view.project(points)[0] + 0.5 - [square.left, square.top]) * scale
    assert np.allclose(xy, expected, atol=1e-9)
    beyond = cut_square(busy(240, 320), Square(-100, -100, 200), 50, 255)
    assert (beyond[:20, :20] == 1).all() and beyond[-1, -1].max() <= 1


# Steps, page, settings ----------------------------------------------------------------------------


def test_a_step_is_done_once_and_again_where_its_source_changed_or_it_is_damaged(tmp_path):
    done = []

    def make():
        done.append(1)
        return {"n": len(done)}

    assert [step(tmp_path, "s", key_of(1), make)["n"] for _ in range(2)] == [1, 1]
    assert step(tmp_path, "s", key_of(2), make)["n"] == 2
    (tmp_path / "s.json").write_text("{")
    assert step(tmp_path, "s", key_of(2), make)["n"] == 3


def test_the_review_page_shows_every_view_with_its_reason_and_fetches_nothing(tmp_path):
    for folder in ("image", "mask"):
        (tmp_path / folder).mkdir()
        mode = "RGB" if folder == "image" else "L"
        for name in ("a.png", "b.png"):
            Image.new(mode, (64, 64), 128).save(tmp_path / folder / name)
    roles = [
        ViewRole("<a>.jpg", "sensitive", 10.0, 1, ("a detector sees a face",)),
        ViewRole("b.jpg", "neutral", 150.0, 0, ("150 degrees from the front",)),
    ]
    page = review_page(tmp_path, roles, {"<a>.jpg": "a.png", "b.jpg": "b.png"}, {"unit": "mm"})
    assert page.count("<img") == 2 and "a detector sees a face" in page
    assert "<a>" not in page and "&lt;a&gt;.jpg" in page
    assert "http" not in page.replace("http-equiv", "") and "default-src 'none'" in page
    assert page.index("Sensitive") < page.index("Neutral")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"fov": 0.0}, "--fov"),
        ({"fov": float("nan")}, "--fov"),
        ({"pupils": 6.2}, "--pupils"),
        ({"neck": 900.0}, "--neck"),
        ({"frames": 2}, "--frames"),
        ({"size": 9999}, "--size"),
    ],
)
def test_settings_out_of_range_are_refused_by_the_name_of_their_option(options, field):
    with pytest.raises(PrivheadError, match=f"^{field}: is ") as caught:
        CaptureSettings(**options)
    assert caught.value.remedy
