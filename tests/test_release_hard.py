"""Releases that others made, edited or damaged: refused with a remedy, or read as they are."""

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
from refusals import edit_release, flip, picture, refused, release_refused

from privhead_nb.errors import OutputError, PrivheadError, ReleaseError
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.protect import protect, protect_folder
from privhead_nb.privacy.release import Release
from privhead_nb.privacy.release_folder import system_files
from privhead_nb.teach.lesson03.leaks import renew_manifest

K = [[20.0, 0, 8], [0, 20.0, 8], [0, 0, 1]]
SOBEL = Operator().to_dict()

# Each change of release.json under a fitting manifest, and what the refusal says
SETTINGS: list[tuple[dict[str, Any], list[str]]] = [
    ({"version": 2}, ["version 2"]),
    ({"format": "else"}, ["'else'"]),
    ({"size": 9000}, ["size"]),
    ({"size": 8}, ["size"]),
    ({"masks_released": "some"}, ["masks_released"]),
    ({"modulus_scale": 2.0}, ["modulus_scale"]),
    ({"operator": {"kind": "sobel"}}, ["missing"]),
    ({"operator": SOBEL | {"kind": "none"}}, ["kind"]),
    ({"operator": SOBEL | {"kind": ["sobel"]}}, ["kind"]),
    ({"operator": SOBEL | {"strength": 3}}, ["strength"]),
    ({"operator": SOBEL | {"sigma": "wide"}}, ["sigma"]),
    ({"radius": None}, ["radius", "missing"]),
    ({"radius": 0}, ["radius"]),
    ({"radius": 1e9}, ["radius"]),
    ({"center": [1]}, ["center", "3 numbers"]),
    ({"center": [1e308, 0, 0]}, ["center"]),
    ({"K": [[1]]}, ["K is", "6 x 3 x 3"]),
    ({"K": [[[1e9, 0, 8], [0, 1e9, 8], [0, 0, 1]]] * 6}, ["focal length"]),
    ({"K": [[[0, 0, 8], [0, 20, 8], [0, 0, 1]]] * 6}, ["focal length"]),
    ({"c2w": [[[1e300] * 4] * 4] * 6}, ["c2w"]),
    ({"neutral": [0, 1, -2]}, ["neutral"]),
    ({"neutral": [3, 4, 100_000]}, ["neutral"]),
    ({"neutral": [3, 4, 4]}, ["neutral"]),
    ({"neutral": [], "sensitive": []}, ["neutral"]),
    ({"background": [0, 0, 1.5]}, ["background"]),
    ({"unit": "mm /home/anna"}, ["unit"]),
    ({"up": "+z"}, ["up and front"]),
    ({"front": "forward"}, ["up and front"]),
    ({"pixel_center": 0.25}, ["pixel_center"]),
    ({"licence": "anna's"}, ["licence"]),
]


@pytest.mark.parametrize(("change", "words"), SETTINGS, ids=lambda x: str(x)[:40])
def test_a_signed_release_passes_the_checks_of_a_scene(released, change, words):
    edit_release(released, **change)
    release_refused(released, "release.json", *words)


@pytest.mark.parametrize("text", ["{", '{"sha256": 3}'])
def test_json_that_is_no_manifest_is_refused(released, text):
    (released / "manifest.json").write_text(text, encoding="utf-8")
    release_refused(released, "manifest.json")


def test_more_pixels_than_memory_holds_are_refused_before_they_are_read(released):
    settings = {"size": 512, "neutral": list(range(1200)), "sensitive": []}
    edit_release(released, **settings, masks_released="none", K=[K] * 1200, c2w=[])
    release_refused(released, "1200 views of 512 x 512 pixels are too many")


def test_a_release_in_memory_passes_the_same_checks(ball):
    release = protect(ball, size=16)
    changes: list[dict[str, Any]] = [
        {"unit": "mm /home/anna"},
        {"radius": math.nan},
        {"center": (math.nan, 0, 0)},
        {"sensitive": (0, 1, 3)},
        {"masks": None},
        {"masks_released": "all"},
        {"moduli": release.moduli[:2]},
        {"size": 17},
        {"cameras": release.cameras.resized(8, 8)},
    ]
    for change in changes:
        with pytest.raises(ReleaseError):
            replace(release, **change)


# --- files ------------------------------------------------------------------------------------


def add_text(path: Path) -> None:
    path.write_text("x")


def change_line_ends(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


VIEWS = ("sensitive/view_0001.png", "neutral/view_0004.png", "mask/view_0003.png")


@pytest.mark.parametrize(
    ("spoil", "names", "words"),
    [
        (flip, ("release.json", *VIEWS), ["changed after"]),
        (Path.unlink, ("release.json", "manifest.json", *VIEWS), ["missing"]),
        (add_text, ("notes.txt", ".hidden", "sensitive/view_0009.png"), ["not in the manifest"]),
        (change_line_ends, ("release.json", *VIEWS[:1]), ["LF to CRLF", "binary mode"]),
    ],
)
def test_a_file_that_is_changed_missing_or_too_many_is_named(released, spoil, names, words):
    for name in names:
        shutil.copytree(released, released.with_name("copy"))
        spoil(released / name)
        release_refused(released, name, *words)
        shutil.rmtree(released)
        released.with_name("copy").rename(released)


@pytest.mark.parametrize(
    ("spoil", "name", "words"),
    [
        (picture, "sensitive/view_0000.png", ["is RGB", "I;16"]),  # colours for a modulus
        (lambda p: picture(p, (5000, 5000), "L"), "mask/view_0003.png", ["5000"]),  # undecoded
        (lambda p: os.truncate(p, 5_000_000), "neutral/view_0003.png", ["5,000,000 bytes"]),
        (Path.unlink, "mask/view_0003.png", ["isn't in the manifest"]),
        (picture, "notes.txt", ["none of this release's views"]),
        (picture, "neutral/view_0000.png", ["none of this release's views"]),
        (picture, "sensitive/view_0009.png", ["none of this release's views"]),
    ],
)
def test_a_listed_file_that_is_no_view_of_the_release_is_refused(released, spoil, name, words):
    if name == "notes.txt":
        shutil.copy(released / "neutral" / "view_0003.png", released / name)
    else:
        spoil(released / name)
    renew_manifest(released)
    release_refused(released, name, *words)


@pytest.mark.parametrize("format", ["TIFF", "BMP", "WEBP", "GIF", "EPS", "JPEG"])
def test_only_png_is_opened_whatever_the_manifest_says(released, tmp_path, format, monkeypatch):
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


def test_files_of_operating_systems_are_ignored_and_go_with_what_is_replaced(released, ball_folder):
    before = Release.load(released).fingerprint
    names = [".DS_Store", "._view", "Thumbs.db", "desktop.ini", "neutral/._view_0003.png"]
    for name in names:
        (released / name).write_bytes(b"x")
    assert Release.load(released).fingerprint == before
    assert sorted(system_files(released)) == names
    protect_folder(ball_folder, released, size=24, overwrite=True)
    assert Release.load(released).size == 24 and system_files(released) == []


def test_links_and_folders_have_their_own_remedies(released, tmp_path):
    for folder in (released / "photos", released / "neutral" / "photos"):
        folder.mkdir()
        release_refused(released, "photos", "folder that no release has")
        folder.rmdir()
    for name in ("sensitive/view_0000.png", "mask"):
        shutil.move(released / name, tmp_path / "elsewhere")
        (released / name).symlink_to(tmp_path / "elsewhere")
        release_refused(released, name, "is a link", "cp -rL")
        (released / name).unlink()
        shutil.move(tmp_path / "elsewhere", released / name)


def test_what_is_no_release_is_told_as_what_it_is(ball_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for path, words in (
        (ball_folder, ["this is a scene, not a release", "protect"]),
        (tmp_path / "nowhere", ["no such folder"]),
        (tmp_path / "empty", ["no release"]),
        (tmp_path / "file", ["is no folder"]),
        (tmp_path / "file" / "below", []),
    ):
        refused(lambda path=path: Release.load(path), *words, error=PrivheadError)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["neutral", "release.json", "mask/view_0003.png", "."])
def test_closed_files_and_folders_are_told_as_such(released, name):
    mode = (released / name).stat().st_mode
    (released / name).chmod(0)
    try:
        release_refused(released, "no permission")
    finally:
        (released / name).chmod(mode)


def test_a_release_between_two_renames_is_found_again(released, ball_folder):
    old = released.with_name(".released.4711.old")
    before = Release.load(released).fingerprint
    released.rename(old)
    release_refused(released, f"Rename {old} to released")
    with pytest.raises(OutputError, match=r"\.released\.4711\.old"):
        protect_folder(ball_folder, released, size=16)
    old.rename(released)
    assert Release.load(released).fingerprint == before


@pytest.mark.parametrize("name", ["thesis.tex", "neutral/thesis.png", "photos/img_0001.png"])
def test_overwrite_keeps_what_is_no_part_of_a_release(released, ball_folder, name):
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


# --- the fingerprint --------------------------------------------------------------------------


CHANGES: dict[str, Callable[[Release], dict[str, Any]]] = {
    "K": lambda r: {"cameras": replace(r.cameras, K=r.cameras.K * (1 + 1e-12))},
    "pixel_center": lambda r: {"cameras": replace(r.cameras, pixel_center=0)},
    "radius": lambda r: {"radius": math.nextafter(r.radius, 0)},
    "center": lambda r: {"center": (math.nextafter(0.0, 1.0), 0.0, 0.0)},
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
    changed = values.clone()
    changed.view(-1)[5] = 1 - changed.view(-1)[5]
    return changed


@pytest.mark.parametrize("name", list(CHANGES))
def test_every_part_of_a_release_counts_in_its_fingerprint(ball, name):
    release = protect(ball, size=16)
    changed = replace(release, **CHANGES[name](release))
    assert changed.fingerprint != release.fingerprint
