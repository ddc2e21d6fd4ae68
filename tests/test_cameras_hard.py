"""Hard inputs: lenses, spheres and poses that can't be, and masks that belong to other views."""

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from refusals import refusal, refused

from privhead_nb.scenes import camera
from privhead_nb.scenes.camera import Cameras, Vec3
from privhead_nb.scenes.checks import check_surroundings
from privhead_nb.scenes.folder import load_scene
from privhead_nb.scenes.mask_check import check_masks


def _changed(cameras: Cameras, **entries: float) -> Cameras:
    """K with single entries replaced in all views, such as K02=5."""
    K = cameras.K.clone()
    for name, value in entries.items():
        K[:, int(name[1]), int(name[2])] = value
    return replace(cameras, K=K)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"K00": 1e9, "K11": 1e9}, "focal length outside of"),
        ({"K00": 1.0}, "focal length outside of"),
        ({"K11": 40_000.0}, "focal length outside of"),
        ({"K22": 0.0}, "no upper triangular K"),
        ({"K20": 0.1}, "no upper triangular K"),
        ({"K10": 5.0}, "no upper triangular K"),
        ({"K02": 1e6}, "principal point far outside"),
        ({"K12": -300.0}, "principal point far outside"),
        ({"K01": 1e4}, "skew"),
    ],
)
def test_a_camera_matrix_that_is_no_lens_is_refused(ball, entries, said):
    cameras = _changed(ball.cameras, **entries)
    refused(lambda: check_surroundings(cameras, ball.center, ball.radius, "cameras.npz"), said)


@pytest.mark.parametrize(
    ("x", "radius", "said"),
    [
        *((x, 80.0, "the bounding sphere has centre") for x in (1e308, math.nan)),
        *(
            (0.0, r, "the bounding sphere has centre")
            for r in (1e9, math.inf, math.nan, 1e-9, -80.0)
        ),
        (0.0, 0.3, "more than 1000 radii"),
    ],
)
def test_a_sphere_that_holds_no_head_or_lies_far_off_is_refused(ball, x, radius, said):
    refused(lambda: check_surroundings(ball.cameras, (x, 0, 0), radius, "cameras.npz"), said)


def test_crops_long_lenses_map_coordinates_and_other_units_pass(ball):
    crop = _changed(ball.cameras, K00=900.0, K11=900.0, K02=-1500.0, K12=400.0)
    check_surroundings(crop, ball.center, ball.radius, "x")
    for scale, shift in ((1e-6, 0.0), (1e3, 0.0), (1.0, 5.8e9)):
        c2w = ball.cameras.c2w.clone()
        c2w[:, :3, 3] = c2w[:, :3, 3] * scale + shift
        moved = replace(ball.cameras, c2w=c2w)
        check_surroundings(moved, (shift, shift, shift), 80.0 * scale, "x")


# Cameras, sphere and masks against each other

EGG = np.array([32.0, 75.0, 60.0])  # half axes; no two views of it look alike
EGG_AT = np.array([12.0, 20.0, -8.0])


def _egg_masks(cameras: Cameras) -> np.ndarray:
    """(V, h, w) masks of an ellipsoid that stands beside the rig's middle."""
    y, x = np.mgrid[: cameras.height, : cameras.width]
    xy = torch.from_numpy(np.stack([x, y], -1).reshape(-1, 2))
    masks = []
    for view in range(len(cameras)):
        o, d = cameras.rays(torch.full((len(xy),), view), xy)
        a, b = (o.numpy() - EGG_AT) / EGG, d.numpy() / EGG
        ab = (a * b).sum(1)
        hit = ab**2 >= (b * b).sum(1) * ((a * a).sum(1) - 1)
        masks.append(hit.reshape(cameras.height, cameras.width))
    return np.stack(masks).astype(np.float32)


def _egg() -> tuple[Cameras, np.ndarray, Vec3, float]:
    cameras, _, _ = camera.make_rig("h3ds", 8, 12, distance=450)
    return cameras, _egg_masks(cameras), (0.0, 10.0, 0.0), 100.0


def _verdict(cameras: Cameras, masks: np.ndarray, center: Vec3, radius: float) -> str:
    names = [f"img_{i:04d}.png" for i in range(len(cameras))]
    said: list[str] = []

    def check() -> None:
        check_surroundings(cameras, center, radius, "cameras.npz")
        said.extend(check_masks(cameras, masks, center, radius, names=names, where="cameras.npz"))

    if (error := refusal(check)) is not None:
        assert error.remedy and error.where == "cameras.npz"
        return "refused"
    assert all("img_00" in sentence and "Usual causes" in sentence for sentence in said)
    return "warned" if said else "passed"


def _moved(cameras: Cameras, change: Callable[[torch.Tensor], torch.Tensor]) -> Cameras:
    return replace(cameras, c2w=change(cameras.c2w.clone()))


def _scaled(factor: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """A change of poses that multiplies their translations."""

    def change(c2w: torch.Tensor) -> torch.Tensor:
        c2w[:, :3, 3] *= factor
        return c2w

    return change


def _transposed(c2w: torch.Tensor) -> torch.Tensor:
    c2w[:, :3, :3] = c2w[:, :3, :3].transpose(1, 2).clone()
    return c2w


SHUFFLED = np.random.default_rng(4).permutation(20).tolist()
OPENGL = torch.tensor([1.0, -1, -1, 1], dtype=torch.float64)
WRONG: dict[str, tuple[str, Callable[..., tuple[Cameras, np.ndarray, Vec3, float]]]] = {
    "poses inverted": ("refused", lambda c, m, o, r: (_moved(c, torch.linalg.inv), m, o, r)),
    "poses in another order": ("warned", lambda c, m, o, r: (c[SHUFFLED], m, o, r)),
    "translations x 10": ("refused", lambda c, m, o, r: (_moved(c, _scaled(10)), m, o, r)),
    "translations x 0.1": ("refused", lambda c, m, o, r: (_moved(c, _scaled(0.1)), m, o, r)),
    "masks of other views": ("warned", lambda c, m, o, r: (c, m[SHUFFLED], o, r)),
    "OpenGL axes": ("refused", lambda c, m, o, r: (_moved(c, lambda p: p * OPENGL), m, o, r)),
    "rotations transposed": ("refused", lambda c, m, o, r: (_moved(c, _transposed), m, o, r)),
    "half a picture off": ("refused", lambda c, m, o, r: (_changed(c, K02=64.0), m, o, r)),
    "another object's sphere": ("refused", lambda c, m, o, r: (c, m, (160.0, 60.0, 90.0), r)),
    "K of half the size": ("warned", lambda c, m, o, r: (_half_focal(c), m, o, r)),
    "sphere much too small": ("refused", lambda c, m, o, r: (c, m, o, 20.0)),
    "sphere beside": ("warned", lambda c, m, o, r: (c, m, (95.0, 10.0, 0.0), r)),
}


def _half_focal(cameras: Cameras) -> Cameras:
    return _changed(cameras, K00=float(cameras.K[0, 0, 0]) / 2, K11=float(cameras.K[0, 1, 1]) / 2)


@pytest.mark.parametrize("kind", WRONG)
def test_cameras_that_do_not_belong_to_the_masks_never_pass(kind):
    verdict, spoil = WRONG[kind]
    assert _verdict(*spoil(*_egg())) == verdict


def test_wrong_poses_in_a_folder_name_views_and_causes(ball, tmp_path):
    spread = replace(ball, cameras=_moved(ball.cameras, _scaled(10)))
    spread.save(tmp_path / "s")
    words = ["contradict each other", "img_0000.png", "another order or scale"]
    refused(lambda: load_scene(tmp_path / "s"), *words)


@pytest.mark.parametrize("rig", camera.RIGS)
@pytest.mark.parametrize("size", [16, 70])
@pytest.mark.parametrize("views", [(1, 2), (10, 20)])
def test_every_rig_passes_at_every_size(rig, size, views):
    cameras, _, _ = camera.make_rig(rig, *views, size=size)
    assert _verdict(cameras, _egg_masks(cameras), (0.0, 0.0, 0.0), 140.0) == "passed"


def test_large_spheres_rough_masks_and_heads_cut_at_the_border_pass():
    cameras, masks, center, radius = _egg()
    assert _verdict(cameras, masks, center, radius) == "passed"
    rough = [(cv2.erode, cv2.dilate)[i % 2](m, np.ones((3, 3))) for i, m in enumerate(masks)]
    assert _verdict(cameras, np.stack(rough), center, radius) == "passed"
    assert _verdict(cameras, masks, center, 300.0) == "passed"  # VolSDF's way
    close = _changed(cameras, K00=270.0, K11=270.0)
    masks = _egg_masks(close)
    assert masks[:, 0].any() or masks[:, :, 0].any()
    assert _verdict(close, masks, (12.0, 20.0, -8.0), 100.0) == "passed"


def test_one_mask_in_twenty_that_is_rubbish_is_named_but_not_refused():
    cameras, masks, center, radius = _egg()
    masks[13] = 0
    masks[13, :9, :9] = 1
    names = [f"{i}.png" for i in range(20)]
    said = check_masks(cameras, masks, center, radius, names=names, where="cameras.npz")
    assert said and all("13.png (100%)" in sentence for sentence in said)
