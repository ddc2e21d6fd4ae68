"""Cameras: one convention, kept by rays, projection, resizing and rigs."""

import math
from functools import partial

import pytest
import torch
from refusals import refused

from privhead_nb.scenes.camera import (
    Cameras,
    custom_rig,
    look_at,
    make_rig,
)


def _cameras(pixel_center: float = 0.5, size: int = 48) -> Cameras:
    c2w = look_at(torch.tensor([[300.0, 100.0, 700.0], [0.0, 0.0, -900.0]]), torch.zeros(3))
    K = torch.tensor([[90.0, 0.3, 23.0], [0.0, 95.0, 25.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    return Cameras(K.repeat(2, 1, 1), c2w, size, size, pixel_center)


@pytest.mark.parametrize("pixel_center", [0, 0.5])
def test_rays_meet_projected_points_and_resizing_moves_pixels_as_area_averaging_does(pixel_center):
    cameras = _cameras(pixel_center)
    points = 80 * torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    xy, depth = cameras.project(points)
    for view in range(2):
        origins, directions = cameras.rays(torch.full((20,), view), xy[view])
        assert origins.dtype == directions.dtype == torch.float32
        assert torch.allclose(directions.norm(dim=1), torch.ones(20), atol=1e-6)
        along = depth[view].float() / (directions @ cameras.forward[view].float())
        assert torch.allclose(origins + along[:, None] * directions, points, atol=1e-2)
    small, _ = cameras.resized(12, 24).project(points)
    # Index coordinates of pixel edges scale: index + 0.5 is the distance from the corner.
    factors = torch.tensor([4, 2])
    assert torch.allclose((xy + 0.5) / factors, small + 0.5, atol=1e-9)


def test_index_zero_is_the_centre_of_the_first_pixel_in_both_conventions():
    # The same lens written down twice: K shifts by half a pixel with the convention.
    half = _cameras(0.5)
    K = half.K.clone()
    K[:, :2, 2] -= 0.5
    whole = Cameras(K, half.c2w, 48, 48, 0)
    xy = torch.tensor([[0.0, 0.0], [5.25, 40.0]])
    view = torch.tensor([0, 1])
    assert torch.allclose(half.rays(view, xy)[1], whole.rays(view, xy)[1], atol=1e-6)


def test_axes_are_opencvs():
    cameras, _, _ = custom_rig([(0, 0, 500)], [])
    right_of_face_in_picture = torch.tensor([[50.0, 0, 0]])  # +x is to the right, seen from +z
    above = torch.tensor([[0.0, 50.0, 0]])
    middle, _ = cameras.project(torch.zeros(1, 3))
    assert cameras.project(right_of_face_in_picture)[0][0, 0, 0] > middle[0, 0, 0]
    assert cameras.project(above)[0][0, 0, 1] < middle[0, 0, 1]
    assert torch.allclose(torch.linalg.det(cameras.c2w[:, :3, :3]), torch.ones(1).double())


def test_look_at_survives_looking_straight_down():
    c2w = look_at(torch.tensor([[0.0, 500.0, 0.0]]), torch.zeros(3))
    R = c2w[0, :3, :3]
    assert torch.allclose(R @ R.T, torch.eye(3).double(), atol=1e-12)
    assert torch.allclose(R[:, 2], torch.tensor([0.0, -1.0, 0.0]).double())


def test_indexing_keeps_the_view_axis_and_world_mats_multiply_back():
    cameras = _cameras()
    assert len(cameras[1]) == 1
    assert len(cameras[[1, 0]]) == len(cameras[:]) == 2
    assert torch.equal(cameras[[1, 0]].K, cameras.K[[1, 0]])
    assert torch.equal(cameras[1].c2w[0], cameras.c2w[1])
    P = cameras.world_mats()
    point = torch.tensor([10.0, 20.0, 30.0, 1.0]).double()
    image = P[:, :3] @ point
    xy, _ = cameras.project(point[None, :3])
    assert torch.allclose(image[:, :2] / image[:, 2:] - 0.5, xy[:, 0])


@pytest.mark.parametrize(
    ("rig", "neutral", "sensitive"),
    [("orbit", 10, 20), ("facescape", 10, 20), ("h3ds", 16, 20), ("h3ds", 3, 5)],
)
def test_rigs_look_at_the_head_and_only_sensitive_views_face_it(rig, neutral, sensitive):
    center = (1.0, 75.0, -3.0)
    cameras, shown, hidden = make_rig(rig, neutral, sensitive, center=center, size=32)
    assert len(shown) == sensitive and len(hidden) == neutral
    assert sorted([*shown, *hidden]) == list(range(neutral + sensitive))
    xy, depth = cameras.project(torch.tensor([center]))
    assert torch.allclose(xy, torch.tensor(15.5).double(), atol=1e-6) and bool((depth > 0).all())
    offset = cameras.centers - torch.tensor(center).double()
    azimuth = torch.rad2deg(torch.atan2(offset[:, 0], offset[:, 2])).abs()
    assert float(azimuth[list(shown)].max()) <= 95 < 100 < float(azimuth[list(hidden)].min())
    apart = torch.cdist(offset, offset) + 1e9 * torch.eye(len(cameras)).double()
    assert float(apart.min()) > 50


def test_custom_rig_sets_the_field_of_view():
    cameras, sensitive, neutral = custom_rig([(0, 0, 500), (500, 0, 0)], [1], fov_deg=40, size=100)
    edge = torch.tensor([[500 * math.tan(math.radians(20)), 0.0, 0.0]])
    assert float(cameras.project(edge)[0][0, 0, 0]) == pytest.approx(99.5, abs=1e-4)
    assert (sensitive, neutral) == ((1,), (0,))
    refused(lambda: custom_rig([(0, 0, 500), (500, 0, 0)], [2]), "of 2 cameras")
    assert make_rig("facescape", 0, 20)[1:] == (tuple(range(20)), ())


def test_impossible_cameras_sizes_and_conventions_are_refused():
    good = _cameras()
    for spoil, said in (
        (lambda K, c2w: c2w[1, 0, 3:].fill_(math.nan), "view 1 has NaN"),
        (lambda K, c2w: K[1, 0, :1].zero_(), "view 1 has a focal length"),
        (lambda K, c2w: c2w[1, :3, 0].neg_(), "view 1 has mirrored"),
        (lambda K, c2w: c2w[1, :3, :3].mul_(2), "view 1 has axes that are no rotation"),
    ):
        K, c2w = good.K.clone(), good.c2w.clone()
        spoil(K, c2w)
        refused(partial(Cameras, K, c2w, 48, 48), said)
    refused(lambda: Cameras(good.K[:1], good.c2w, 48, 48), "shape")
    refused(lambda: Cameras(good.K, good.c2w, 48, 48, 0.25), "0 or 0.5")
    refused(lambda: good.resized(0, 10), "size")
    refused(lambda: Cameras(good.K, good.c2w, 0, 48), "image size 0 x 48")
