"""Releases that others made, edited or damaged: refused with a remedy, or read as they are."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from refusals import edit_release, release_refused

from privhead_nb.errors import OutputError, PrivheadError, ReleaseError
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release, protect, protect_folder
from privhead_nb.privacy.release_files import system_files
from privhead_nb.scenes.scene import Scene
from privhead_nb.teach.lesson03.leaks import renew_manifest

# --- settings ---------------------------------------------------------------------------------


K = [[20.0, 0, 8], [0, 20.0, 8], [0, 0, 1]]


@pytest.mark.parametrize(
    "change",
    [
        {"radius": 1e9},
        {"radius": 0},
        {"radius": 10**30},
        {"center": [1e308, 0, 0]},
        {"center": [0, 0, "0"]},
        {"size": 9000},
        {"size": 8},
        {"size": 16.0},
        {"K": [[[1e9, 0, 8], [0, 1e9, 8], [0, 0, 1]]] * 6},
        {"K": [[[0, 0, 8], [0, 20, 8], [0, 0, 1]]] * 6},
        {"K": [K] * 5},
        {"K": [[[20.0, 0, 8, 0], *K[1:]]] * 6},
        {"c2w": [[[1e300] * 4] * 4] * 6},
        {"c2w": []},
        {"neutral": [3, 4, 100_000]},
        {"neutral": [3, 4, 4]},
        {"neutral": [3, 4, True]},
        {"neutral": [], "sensitive": []},
        {"background": [0, 0, 1.5]},
        {"unit": "mm /home/anna"},
        {"unit": "m" * 1_000_000},
        {"unit": None},
        {"up": "+z"},
        {"front": "forward"},
        {"pixel_center": 0.25},
        {"masks_released": ["neutral"]},
        {"modulus_scale": 1.0},
        {"operator": {"kind": "sobel"}},
        {"operator": Operator().to_dict() | {"strength": 3}},
        {"operator": Operator().to_dict() | {"sigma": "wide"}},
        {"operator": Operator().to_dict() | {"kind": ["sobel"]}},
        {"licence": "anna's"},
    ],
    ids=lambda change: "-".join(change) + str(next(iter(change.values())))[:20],
)
def test_a_signed_release_passes_the_checks_of_a_scene(
    released: Path, change: dict[str, Any]
) -> None:
    edit_release(released, **change)
    release_refused(released, "release.json")


@pytest.mark.parametrize(
    "text",
    [
        '{"a": ' * 100_000,
        '{"size": 1' + "0" * 400 + "}",
        '{"size": 16, "size": 16}',
        "[]",
        "\ufeff",
    ],
    ids=["deep", "long", "twice", "list", "empty"],
)
@pytest.mark.parametrize("name", ["release.json", "manifest.json"])
def test_json_that_breaks_readers_is_refused(released: Path, name: str, text: str) -> None:
    (released / name).write_text(text, encoding="utf-8")
    if name != "manifest.json":
        renew_manifest(released)
    release_refused(released, name)


def test_more_pixels_than_memory_holds_are_refused_before_they_are_read(released: Path) -> None:
    views = 1200
    settings = {"size": 512, "neutral": list(range(views)), "sensitive": []}
    edit_release(released, **settings, masks_released="none", K=[K] * views, c2w=[])
    release_refused(released, "1200 views of 512 x 512 pixels are too many")


def test_a_release_in_memory_passes_the_same_checks(ball: Scene) -> None:
    release = protect(ball, size=16)
    for change in (
        {"unit": "mm /home/anna"},
        {"front": "+y"},
        {"radius": 1e9},
        {"center": (math.nan, 0, 0)},
        {"background": (0, 0, 2)},
        {"neutral": (3, 4, 4)},
    ):
        with pytest.raises(ReleaseError):
            replace(release, **change)


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["TIFF", "BMP", "WEBP", "GIF", "EPS", "JPEG"])
def test_only_png_is_opened_whatever_the_manifest_says(
    released: Path, tmp_path: Path, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A Ghostscript that would leave a trace: Pillow starts it for EPS.
    (tmp_path / "bin").mkdir()
    gs = tmp_path / "bin" / "gs"
    gs.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    gs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}")
    path = released / "neutral" / "view_0004.png"
    with Image.open(path) as image:
        pixels = image.convert("RGB")
    pixels.save(path, format=format)
    renew_manifest(released)
    release_refused(released, "view_0004.png", "PNG")
    assert not (tmp_path / "started").exists()


def test_a_view_is_measured_before_it_is_read(released: Path) -> None:
    with (released / "neutral" / "view_0003.png").open("ab") as file:
        file.truncate(5_000_000)
    renew_manifest(released)
    release_refused(released, "view_0003.png", "5,000,000 bytes")


def test_a_listed_file_that_is_no_view_of_the_release_is_refused(released: Path) -> None:
    for name in ("notes.txt", "neutral/view_0000.png", "sensitive/view_0009.png"):
        shutil.copy(released / "neutral" / "view_0003.png", released / name)
        renew_manifest(released)
        release_refused(released, name, "none of this release's views")
        (released / name).unlink()
    (released / "mask" / "view_0003.png").unlink()
    renew_manifest(released)
    release_refused(released, "mask/view_0003.png", "isn't in the manifest")


@pytest.mark.parametrize(
    "name", [".DS_Store", "Thumbs.db", "desktop.ini", "._view", "neutral/._view_0003.png"]
)
def test_files_of_operating_systems_are_ignored(released: Path, name: str) -> None:
    before = Release.load(released).fingerprint
    (released / name).write_bytes(b"x")
    assert Release.load(released).fingerprint == before
    assert system_files(released) == [name]


def test_changed_line_ends_are_told_as_such(released: Path) -> None:
    path = released / "release.json"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    release_refused(released, "release.json", "LF to CRLF", "binary mode")


def test_a_picture_sent_as_text_is_told_as_such(released: Path) -> None:
    path = released / "sensitive" / "view_0001.png"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    release_refused(released, "view_0001.png", "LF to CRLF", "binary mode")


def test_links_and_folders_have_their_own_remedies(released: Path, tmp_path: Path) -> None:
    (released / "photos").mkdir()
    release_refused(released, "photos", "folder that no release has")
    (released / "photos").rmdir()
    (released / "neutral" / "photos").mkdir()
    release_refused(released, "photos", "folder that no release has")
    (released / "neutral" / "photos").rmdir()
    shutil.move(released / "mask", tmp_path / "mask")
    (released / "mask").symlink_to(tmp_path / "mask")
    release_refused(released, "mask", "is a link", "cp -rL")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["neutral", "release.json", "mask/view_0003.png", "."])
def test_closed_files_and_folders_are_told_as_such(released: Path, name: str) -> None:
    mode = (released / name).stat().st_mode
    (released / name).chmod(0)
    try:
        release_refused(released, "no permission")
    finally:
        (released / name).chmod(mode)


def test_a_release_between_two_renames_is_found_again(released: Path, ball_folder: Path) -> None:
    old = released.with_name(".released.4711.old")
    before = Release.load(released).fingerprint
    released.rename(old)
    release_refused(released, f"Rename {old} to released")
    with pytest.raises(OutputError, match=r"\.released\.4711\.old"):
        protect_folder(ball_folder, released, size=16)
    old.rename(released)
    assert Release.load(released).fingerprint == before


@pytest.mark.parametrize("name", ["thesis.tex", "neutral/thesis.png", "photos/img_0001.png"])
def test_overwrite_keeps_what_is_no_part_of_a_release(
    released: Path, ball_folder: Path, name: str
) -> None:
    (released / name).parent.mkdir(exist_ok=True)
    (released / name).write_text("years of work")
    before = (released / "manifest.json").read_bytes()
    for _ in range(2):
        with pytest.raises(OutputError, match=r"thesis|photos"):
            protect_folder(ball_folder, released, size=24, overwrite=True)
        assert (released / name).read_text() == "years of work"
        assert (released / "manifest.json").read_bytes() == before
        renew_manifest(released)  # listed in the manifest or not
        before = (released / "manifest.json").read_bytes()


def test_overwrite_replaces_a_release_with_a_systems_files_in_it(
    released: Path, ball_folder: Path
) -> None:
    (released / ".DS_Store").write_bytes(b"x")
    protect_folder(ball_folder, released, size=24, overwrite=True)
    assert Release.load(released).size == 24 and system_files(released) == []


# --- the fingerprint --------------------------------------------------------------------------


@pytest.mark.parametrize("masks", ["none", "neutral", "all"])
def test_a_release_in_memory_and_its_folder_have_one_fingerprint(
    ball: Scene, tmp_path: Path, masks: str
) -> None:
    release = protect(ball, Operator("gaussian", sigma=1), size=16, masks=masks)
    release.save(tmp_path / "r")
    assert Release.load(tmp_path / "r").fingerprint == release.fingerprint
    assert len(release.fingerprint) == 64 and int(release.fingerprint, 16) > 0


CHANGES: dict[str, Callable[[Release], dict[str, Any]]] = {
    "K": lambda r: {"cameras": replace(r.cameras, K=r.cameras.K * (1 + 1e-12))},
    "pixel_center": lambda r: {"cameras": replace(r.cameras, pixel_center=0)},
    "sphere": lambda r: {"radius": math.nextafter(r.radius, 0)},
    "background": lambda r: {"background": (1.0, 1.0, 0.99)},
    "operator": lambda r: {"operator": r.operator.with_noise(0.1)},
    "unit": lambda r: {"unit": "cm"},
    "front": lambda r: {"front": "-z"},
    "mask": lambda r: {"masks": _flipped(r.masks)},
    "colour": lambda r: {"neutral_images": _flipped(r.neutral_images)},
    "modulus": lambda r: {"moduli": _flipped(r.moduli)},
    "order": lambda r: {"neutral": r.neutral[::-1]},
}


def _flipped(values: torch.Tensor | None) -> torch.Tensor:
    """One value changed, far enough for its code to change."""
    assert values is not None
    changed = values.clone()
    changed.view(-1)[5] = 1 - changed.view(-1)[5]
    return changed


@pytest.mark.parametrize("name", list(CHANGES))
def test_every_part_of_a_release_counts_in_its_fingerprint(ball: Scene, name: str) -> None:
    release = protect(ball, size=16)
    changed = replace(release, **CHANGES[name](release))
    assert changed.fingerprint != release.fingerprint


def test_reading_refuses_what_the_reader_can_not_open(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below", tmp_path / ("n" * 300)):
        with pytest.raises(PrivheadError) as error:
            Release.load(path)
        assert error.value.remedy
