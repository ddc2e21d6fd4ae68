"""Whole scenes of made heads."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from privhead_nb.errors import SceneError
from privhead_nb.heads import head as heads
from privhead_nb.heads.codes import ALBEDO_NAMES, identity_codes
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.scenes.scene import Scene


def small(identity: int = 3, **settings: object) -> Scene:
    chosen = {"neutral": 1, "sensitive": 2, "size": 24, "samples": 1} | settings
    return synthetic_scene(identity, **chosen)


@pytest.fixture(scope="module", autouse=True)
def coarse_grid() -> Iterator[None]:
    """A coarser truth grid keeps these tests quick; full resolution has its own test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "GRID_SPACING", 3.0)
        yield


@pytest.fixture(scope="module")
def scene() -> Scene:
    return small()


def test_a_scene_has_all_that_a_scene_needs(scene):
    assert scene.images.shape == (3, 24, 24, 3) and scene.masks.shape == (3, 24, 24)
    assert scene.sensitive == (0, 1) and scene.neutral == (2,)
    assert scene.unit == "mm" and scene.face_radius == 95.0
    assert scene.landmarks.shape == (68, 3)
    assert np.allclose(scene.nose_tip, scene.landmarks[30])
    assert any("generator version" in line for line in scene.assumptions)


def test_the_sphere_holds_the_head_and_the_pictures_hold_the_sphere(scene):
    vertices, _ = scene.truth
    reach = np.linalg.norm(vertices - np.array(scene.center), axis=1).max()
    assert reach < scene.radius < 1.2 * reach
    xy, depth = scene.cameras.project(torch.tensor(vertices))
    assert (depth > 0).all() and xy.min() > -0.5 and xy.max() < scene.cameras.width - 0.5
    # A neutral camera stands behind the ears, a sensitive one before them.
    towards = scene.cameras.centers - torch.tensor(scene.center).double()
    assert (towards[list(scene.neutral), 2] < 0).all()
    assert (towards[list(scene.sensitive), 2] > 0).all()


def test_truth_mesh_is_watertight_at_full_resolution():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "GRID_SPACING", 1.5)
        mesh = small(sensitive=1, neutral=0, size=8).truth_mesh()
    assert mesh.is_watertight and len(mesh.vertices) > 50_000


def test_the_same_scene_twice_and_other_people(scene):
    again, other = small(), small(4)
    assert torch.equal(scene.images, again.images)
    assert np.array_equal(scene.truth[0], again.truth[0])
    assert (scene.images - other.images).abs().mean() > 0.01
    changed = small(light="left", expression={"jaw_open": 1.0})
    assert (changed.images[0] - scene.images[0]).abs().mean() > 0.005


def test_seed_moves_cameras_but_not_the_head(scene):
    moved = small(seed=5)
    shift = (moved.cameras.centers - scene.cameras.centers).norm(dim=1)
    assert (shift > 1).all() and (shift < 150).all()
    assert np.array_equal(moved.truth[0], scene.truth[0])


def test_named_colours_take_the_place_of_the_persons_own(scene):
    dark = small(albedo={"skin_tone": -1.0})
    assert np.array_equal(dark.truth[0], scene.truth[0])
    assert float(dark.images.mean()) < float(scene.images.mean())
    own = float(identity_codes(3)[1][ALBEDO_NAMES.index("skin_tone")])
    assert torch.equal(small(albedo={"skin_tone": own}).images, scene.images)


def test_wrong_settings_are_refused():
    none = {"neutral": 0, "sensitive": 0}
    moons = [{"rig": "moon"}, {"light": "moon"}, {"expression": {"smirk": 1}}]
    for settings in ({"size": 0}, none, *moons):
        with pytest.raises(SceneError):
            small(**settings)
