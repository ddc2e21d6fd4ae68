"""Protecting takes one picture at a time, whatever the options, and its results don't show it."""

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import run
from refusals import SAMPLE_SCENE, enlarge_files, own_peak, refused

from privhead_nb.kernels.dispatch import prefer, why_no_numba
from privhead_nb.privacy.operators import BORDERS, KINDS, Operator
from privhead_nb.privacy.protect import modulus_in_bands, protect, protect_folder
from privhead_nb.privacy.release import Release, encode_modulus
from privhead_nb.scenes.folder import SceneFolder, load_scene
from privhead_nb.scenes.images import read_image

OPTIONS = [
    Operator(),
    Operator(background="flat"),
    Operator(downsample="last"),
    Operator("dog", downsample="last", background="flat", blur=0.5, noise=0.01),
    Operator("scharr", per_channel=False, border="replicate", noise=0.01, levels=300),
]


@pytest.mark.parametrize("border", list(BORDERS))
@pytest.mark.parametrize(
    "operator",
    [
        Operator(),
        Operator("scharr", per_channel=False),
        Operator("dog", blur=1.0),
        Operator("gaussian", sigma=2.0, blur=2.0),
        Operator("roberts"),
    ],
    ids=lambda operator: operator.kind,
)
def test_bands_equal_the_whole_picture_borders_included(operator, border):
    operator = replace(operator, border=border)
    picture = np.random.default_rng(0).random((203, 61, 3), np.float32)
    whole = operator.modulus(torch.from_numpy(picture)).numpy()
    for most in (1, 61 * 200, 61 * 202, 61 * 203):
        assert np.abs(modulus_in_bands(picture, operator, most) - whole).max() < 1e-6


def test_pictures_that_the_package_has_shown_so_far_go_through_in_one_band():
    # So that releases of ordinary scenes keep every bit: 1600 x 1200 is DTU's size.
    seen: list[tuple[int, ...]] = []

    class Watched(Operator):
        def modulus(self, images: torch.Tensor, *, valid: bool = False) -> torch.Tensor:
            seen.append(tuple(images.shape))
            return images[..., 0]

    modulus_in_bands(np.zeros((1200, 1600, 3), np.float32), Watched())
    assert seen == [(1200, 1600, 3)]
    seen.clear()
    modulus_in_bands(np.zeros((4000, 4000, 3), np.float32), Watched())
    assert len(seen) > 1 and max(rows for rows, *_ in seen) * 4000 < 6e5


def test_fast_kernels_would_change_a_release_by_a_step_here_and_there():
    """Hence `protect` runs the reference: a release is the same wherever it is made."""
    pictures = {
        "sample": load_scene(SAMPLE_SCENE).images[:4],
        "random": torch.rand(4, 64, 64, 3, generator=torch.Generator().manual_seed(0)),
    }
    if why_no_numba() is None:
        for kind in KINDS:
            operator = Operator(kind)
            for images in pictures.values():
                fast = encode_modulus(operator.modulus(images).numpy(), operator.peak)
                with prefer("torch"):
                    exact = encode_modulus(operator.modulus(images).numpy(), operator.peak)
                apart = np.abs(fast.astype(int) - exact.astype(int))
                assert apart.max() <= 1 and apart.mean() < 0.005
    scene = load_scene(SAMPLE_SCENE)
    plain = protect(scene, size=64)
    for form in ("numba", "torch"):
        with prefer(form):
            assert protect(scene, size=64).fingerprint == plain.fingerprint


@pytest.mark.parametrize("masks", ["none", "all"])
@pytest.mark.parametrize("operator", OPTIONS, ids=str)
def test_no_picture_is_read_while_another_is_held(
    ball_folder, tmp_path, operator, masks, monkeypatch
):
    real, views = SceneFolder.picture, []
    held: list[weakref.ref[np.ndarray]] = []

    def watched(self: SceneFolder, view: int, size: int | None = None) -> np.ndarray:
        assert [r for r in held if r() is not None] == [], "two pictures at once"
        pixels = real(self, view, size).view()
        held.append(weakref.ref(pixels))
        views.append(view)
        return pixels

    monkeypatch.setattr(SceneFolder, "picture", watched)
    protect_folder(ball_folder, tmp_path / "r", operator, size=16, masks=masks)
    assert sorted(views) == list(range(6))  # each once


@pytest.mark.parametrize("operator", OPTIONS, ids=str)
def test_a_scene_that_memory_does_not_hold_is_released_with_every_option(
    ball_folder, tmp_path, operator, monkeypatch
):
    settings = {"size": 16, "masks": "all", "seed": 1, "consent": ["img_0002.png"]}
    whole = protect(load_scene(ball_folder, sensitive="0-1"), operator, **settings)
    monkeypatch.setattr("privhead_nb.scenes.folder.MAX_SCENE_PIXELS", 2 * 32 * 32)
    refused(lambda: load_scene(ball_folder), "too many to hold in memory")
    opened, streamed = protect_folder(
        ball_folder, tmp_path / "r", operator, sensitive="0-1", **settings
    )
    assert opened.sensitive == (0, 1)
    assert streamed.fingerprint == whole.fingerprint == Release.load(tmp_path / "r").fingerprint


@pytest.mark.slow
def test_photos_of_4000_pixels_take_less_than_one_point_two_gigabytes(ball, tmp_path):
    # Of the whole process, torch included; more photos add nothing (see above).
    replace(ball, sensitive=(0,), neutral=(3,)).save(tmp_path / "scene")
    enlarge_files(tmp_path / "scene", 4000)
    imports = "from privhead_nb.privacy.operators import Operator\n"
    imports += "from privhead_nb.privacy.protect import protect_folder"
    code = "operator = Operator(downsample='last', background='flat')\n"
    code += "protect_folder(sys.argv[1], sys.argv[2], operator, masks='all')"
    assert own_peak(imports, code, tmp_path / "scene", tmp_path / "r")[1] < 1.2e9


def test_protect_decodes_each_picture_once(ball_folder, tmp_path, monkeypatch):
    # What it says of the background comes from the same reading.
    read: list[str] = []

    def counted(path: Path, **options: Any) -> np.ndarray:
        read.append(path.name)
        return read_image(path, **options)

    monkeypatch.setattr("privhead_nb.scenes.view_files.read_image", counted)
    assert run("protect", ball_folder, tmp_path / "r", "--size", 16).exit_code == 0
    assert sorted(read) == [f"img_{view:04d}.png" for view in range(6)]
