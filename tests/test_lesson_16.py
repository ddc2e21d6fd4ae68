"""Claims about lesson 16: what pictures say of a focal length, and whom its photographs show."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ExifTags, Image

from privhead_nb.capture.photographs import list_photographs, read_photograph
from privhead_nb.capture.poses import Poses
from privhead_nb.teach.lesson16 import bundle, panel, photos
from privhead_nb.teach.lesson16.checks import choose, focal_pixels

# Section 3: the focal length ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def circle() -> bundle.Walk:
    return bundle.walk((5.0,))


def held(walk: bundle.Walk, *factors: float) -> tuple[list[float], list[float]]:
    """Errors in pixels, and the cameras' distance from the head over the true one."""
    runs = [bundle.adjust(walk, k * bundle.FOCAL) for k in factors]
    return [e for _, e in runs], [found.away() / walk.away() for found, _ in runs]


def test_the_derivatives_are_those_of_the_residuals(circle: bundle.Walk) -> None:
    walk = circle.first(3)
    random = np.random.default_rng(0)
    step = 1e-6 * random.normal(size=18 + 3 * len(walk.points))
    before, q = bundle._residuals(walk, 350.0)
    after, _ = bundle._residuals(bundle._moved(walk, step), 350.0)
    told = bundle._jacobian(walk, q, 350.0) @ step
    assert np.allclose((after - before).ravel(), told, rtol=1e-3, atol=1e-9)


def test_two_pictures_that_look_at_one_point_fit_any_longer_focal_length(
    circle: bundle.Walk,
) -> None:
    errors, away = held(circle.first(2), 0.85, 1.0, 1.2, 1.5)
    assert max(errors) < 1.05 * min(errors)
    assert np.allclose(away, [0.85, 1.0, 1.2, 1.5], rtol=0.05)
    assert choose(np.array(errors)) == -1


# The photographs ----------------------------------------------------------------------------------


def test_the_photographs_are_stored_turned_and_come_back_upright() -> None:
    paths = list_photographs(photos.PHOTOS)
    assert len(paths) == photos.FRAMES and sum(p.stat().st_size for p in paths) < 1_000_000
    for path in paths:
        number = int(path.stem[-4:])
        pixels, focal, turned = read_photograph(path)
        assert turned == photos.TURNED.get(number, 1)
        assert focal is not None
        assert abs(focal * photos.SIZE - focal_pixels(42, photos.SIZE, photos.SIZE)) < 0.01
        with Image.open(path) as image:
            tags = {ExifTags.TAGS[tag] for tag in image.getexif()}
            assert tags <= {"Orientation", "ExifOffset"}  # nothing of anybody's phone
        assert pixels.shape == (photos.SIZE, photos.SIZE, 3)


def test_what_is_stored_belongs_to_the_photographs() -> None:
    kept = photos.kept()
    poses = Poses.from_dict(kept["poses"])
    names = {path.name for path in photos.PHOTOS.glob("*.jpg")}
    assert set(poses.names) | set(poses.missing) == names and len(poses.missing) <= 2
    assert set(kept["faces"]["faces"]) == set(poses.names) and poses.error < 1.0
    true = photos.true_cameras()[[int(name[4:8]) - 1 for name in poses.names]]
    found, wanted = (
        np.linalg.norm(c[:, None] - c[None], axis=2) for c in (poses.centers, true)
    )  # distances between cameras, but for the scale
    scale = (found * wanted).sum() / (found**2).sum()
    assert np.abs(scale * found - wanted).mean() < 0.02 * 700


# The panel ----------------------------------------------------------------------------------------


def test_as_the_package_does_it_no_face_leaks_and_with_a_wrong_front_and_no_detector_some_do() -> (
    None
):
    _, neutral, wrong = panel.leaks(**panel.SETTING)
    assert neutral.any() and not wrong.any()
    _, _, off = panel.leaks(off=40, limit=137, detector=False)
    assert off.any()
    counted = [panel.leaks(0, limit, False)[2].sum() for limit in (70, 90, 125)]
    assert counted[0] > counted[2] == 0
