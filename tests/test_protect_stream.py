"""Protecting takes one picture at a time, whatever the options, and its results don't show it."""

from __future__ import annotations

import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import run
from PIL import Image

from privhead_nb.errors import SceneError
from privhead_nb.privacy.operators import BORDERS, Operator
from privhead_nb.privacy.release import _modulus_in_bands, protect, protect_folder
from privhead_nb.scenes.folder import SceneFolder
from privhead_nb.scenes.images import read_image
from privhead_nb.scenes.scene import Scene, load_scene

OPTIONS = [
    Operator(),
    Operator(background="flat"),
    Operator(downsample="last"),
    Operator("dog", downsample="last", background="flat", blur=0.5, noise=0.01),
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
def test_bands_equal_the_whole_picture_borders_included(operator: Operator, border: str) -> None:
    operator = replace(operator, border=border)
    picture = np.random.default_rng(0).random((203, 61, 3), np.float32)
    whole = operator.modulus(torch.from_numpy(picture)).numpy()
    for most in (1, 61 * 200, 61 * 202, 61 * 203):
        assert np.abs(_modulus_in_bands(picture, operator, most) - whole).max() < 1e-6


def test_pictures_that_the_package_has_shown_so_far_go_through_in_one_band() -> None:
    # So that releases of ordinary scenes keep every bit: 1600 x 1200 is DTU's size.
    seen: list[tuple[int, ...]] = []

    class Watched(Operator):
        def modulus(self, images: torch.Tensor, *, valid: bool = False) -> torch.Tensor:
            seen.append(tuple(images.shape))
            return images[..., 0]

    _modulus_in_bands(np.zeros((1200, 1600, 3), np.float32), Watched())
    assert seen == [(1200, 1600, 3)]
    seen.clear()
    _modulus_in_bands(np.zeros((4000, 4000, 3), np.float32), Watched())
    assert len(seen) > 1 and max(rows for rows, *_ in seen) * 4000 < 6e5


@pytest.mark.parametrize("masks", ["none", "all"])
@pytest.mark.parametrize("operator", OPTIONS, ids=str)
def test_no_picture_is_read_while_another_is_held(
    ball_folder: Path,
    tmp_path: Path,
    operator: Operator,
    masks: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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
    ball_folder: Path, tmp_path: Path, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = protect(load_scene(ball_folder), operator, size=16, masks="all", seed=1)
    monkeypatch.setattr("privhead_nb.scenes.folder.MAX_SCENE_PIXELS", 2 * 32 * 32)
    with pytest.raises(SceneError, match="too many to hold in memory"):
        load_scene(ball_folder)
    streamed = protect_folder(ball_folder, tmp_path / "r", operator, size=16, masks="all", seed=1)
    assert streamed.fingerprint == whole.fingerprint


def _large(ball: Scene, folder: Path, side: int) -> None:
    """The ball's scene with pictures of `side` x `side` pixels."""
    mats: dict[str, Any] = {}
    ball.save(folder)
    with np.load(folder / "cameras.npz") as data:
        for key in data.files:
            grown = np.diag([side / 32, side / 32, 1, 1]) if "world" in key else np.eye(4)
            mats[key] = grown @ data[key]
    np.savez(folder / "cameras.npz", **mats)
    for path in [*folder.glob("image/*"), *folder.glob("mask/*")]:
        with Image.open(path) as image:
            image.resize((side, side)).save(path, compress_level=1)


@pytest.mark.skipif(sys.platform == "win32", reason="asks for the peak as Unix counts it")
def test_photos_of_4000_pixels_take_less_than_one_point_two_gigabytes(
    ball: Scene, tmp_path: Path
) -> None:
    # Of the whole process, torch included; more photos add nothing (see above).
    _large(replace(ball, sensitive=(0,), neutral=(3,)), tmp_path / "scene", 4000)
    code = """
import re, resource, sys
from pathlib import Path
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import protect_folder
operator = Operator(downsample="last", background="flat")
protect_folder(sys.argv[1], sys.argv[2], operator, masks="all")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # on Linux, at least the parent's
if sys.platform == "linux":
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
print(peak / (1e9 if sys.platform == "darwin" else 976562.5))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "scene"), str(tmp_path / "r")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 1.2


def test_protect_decodes_each_picture_once(
    ball_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What it says of the background comes from the same reading.
    read: list[str] = []

    def counted(path: Path, **options: Any) -> np.ndarray:
        read.append(path.name)
        return read_image(path, **options)

    monkeypatch.setattr("privhead_nb.scenes.folder.read_image", counted)
    assert run("protect", ball_folder, tmp_path / "r", "--size", 16).exit_code == 0
    assert sorted(read) == [f"img_{view:04d}.png" for view in range(6)]
