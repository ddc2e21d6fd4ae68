"""The trust boundary: what a release holds, what it can't hold, and how it is guarded."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from refusals import contents, edit_scene, in_a_room, refused

from privhead_nb.errors import OutputError, PrivheadError
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.protect import protect, protect_folder
from privhead_nb.privacy.release import Release, release_facts
from privhead_nb.scenes.folder import load_scene

EVERYTHING = Operator("scharr", per_channel=False, border="replicate", noise=0.01, levels=300)


def _same(a: Release, b: Release) -> None:
    """Equal bit for bit, field by field."""
    for field in fields(Release):
        one, two = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, torch.Tensor):
            assert one.dtype == two.dtype and torch.equal(one, two), field.name
        elif field.name != "cameras":
            assert one == two, field.name
    assert a.fingerprint == b.fingerprint  # which counts the cameras in


@pytest.mark.parametrize("masks", ["none", "neutral", "all"])
@pytest.mark.parametrize("operator", [Operator(), EVERYTHING], ids=["sobel", "everything"])
def test_memory_and_folder_hold_the_same_bits(ball, tmp_path, masks, operator):
    release = protect(ball, operator, size=24, masks=masks, seed=3)
    release.save(tmp_path / "r")
    _same(release, Release.load(tmp_path / "r"))


def test_moduli_are_the_operators_to_half_a_sixteen_bit_step(ball):
    release = protect(ball, size=16)
    small = ball.resized(16)
    expected = Operator().modulus(small.images[list(ball.sensitive)])
    assert float((release.moduli - expected).abs().max()) <= Operator().peak / 131070 * 1.01
    neutral = small.images[list(ball.neutral)]
    assert float((release.neutral_images - neutral).abs().max()) <= 0.5 / 255 + 1e-6
    assert torch.equal(release.cameras.K, small.cameras.K)
    assert release.masks.shape == (3, 16, 16)


def test_the_folder_holds_exactly_these_files_and_no_sensitive_colours(ball, tmp_path):
    protect(ball, size=16, masks="all").save(tmp_path / "r")
    names = set(contents(tmp_path / "r"))
    expected = {"release.json", "manifest.json"}
    expected |= {f"sensitive/view_{i:04d}.png" for i in (0, 1, 2)}
    expected |= {f"neutral/view_{i:04d}.png" for i in (3, 4, 5)}
    expected |= {f"mask/view_{i:04d}.png" for i in range(6)}
    assert names == expected
    for name in names - {"release.json", "manifest.json"}:
        with Image.open(tmp_path / "r" / name) as image:
            mode = {"sensitive": "I;16", "neutral": "RGB", "mask": "L"}[name.split("/")[0]]
            assert image.mode == mode and image.size == (16, 16)
            assert not image.info and not image.getexif() and not getattr(image, "text", {})
    settings = json.loads((tmp_path / "r" / "release.json").read_text())
    assert set(settings) == {
        *("format", "version", "size", "operator", "modulus_scale", "masks_released", "neutral"),
        *("sensitive", "unit", "up", "front", "center", "radius", "background", "pixel_center"),
        *("K", "c2w"),
    }


def test_sensitive_colours_that_differ_by_sign_and_offset_release_the_same_bytes(ball, tmp_path):
    # Two faces of different colours, one modulus: the colours can't be in the release.
    for name, (scale, shift) in {"dark": (-0.8, 0.9), "light": (0.8, 0.1)}.items():
        images = ball.images.clone()
        images[:3] = shift + scale * images[:3]
        protect(replace(ball, images=images), size=16, masks="none").save(tmp_path / name)
    one, two = contents(tmp_path / "dark"), contents(tmp_path / "light")
    for name in one:
        if name.startswith("sensitive/"):
            a, b = (np.asarray(Image.open(io.BytesIO(data[name]))) for data in (one, two))
            # Float rounding before the 16-bit code.
            assert np.abs(a.astype(int) - b.astype(int)).max() <= 1
        elif name != "manifest.json":
            assert one[name] == two[name]


PLANTED = [b"MARKER", b"alice_smith"]
CHUNKS = [b"Exif", b"GPS", b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"]


def _mark(folder: Path) -> None:
    """Plant metadata of every kind into the scene's pictures, names and texts."""
    for i in range(6):
        path = folder / "image" / f"img_{i:04d}.png"
        with Image.open(path) as opened:
            image = opened.convert("RGB")
        exif = Image.Exif()
        exif[0x013B] = "MARKER_EXIF_artist"
        exif[0x8769] = {0x9286: "MARKER_EXIF_thumb"}
        exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.917), 3: "E", 4: (2.0, 17.0, 40.213)}
        if i % 2:
            info = PngInfo()
            info.add_text("Author", "MARKER_png_text")
            info.add_text("Comment", "MARKER_png_ztext", zip=True)
            info.add_itxt("Title", "MARKER_itxt")
            image.save(path, pnginfo=info, exif=exif, icc_profile=b"MARKER_icc" * 20)
            path.rename(path.with_name(f"alice_smith_{i:04d}.png"))
        else:
            path.unlink()
            path = path.with_name(f"alice_smith_{i:04d}.jpg")
            image.save(path, exif=exif, comment=b"MARKER_jpeg_comment", quality=97)
            with path.open("ab") as out:  # what some cameras hang behind the picture
                out.write(b"MARKER_tail")
    edit_scene(folder, licence="MARKER_licence")
    (folder / "landmarks.txt").write_text("MARKER_landmark 3\n")


def test_no_metadata_name_or_hash_of_the_source_survives(ball_folder, tmp_path):
    source = ball_folder.rename(tmp_path / "MARKER_folder_alice_smith")
    _mark(source)
    planted = b"".join(contents(source).values()) + " ".join(contents(source)).encode()
    assert b"MARKER_EXIF_artist" in planted and b"MARKER_tail" in planted
    protect_folder(source, tmp_path / "r", Operator(), size=16, masks="all", format="idr")
    released = contents(tmp_path / "r")
    everything = b"\0".join([*released.values(), *(n.encode() for n in released)])
    for marker in PLANTED + CHUNKS:
        assert marker not in everything, marker
    for name, data in contents(source).items():
        digests = [hashlib.new(kind, data).hexdigest() for kind in ("md5", "sha1", "sha256")]
        for digest in digests:
            assert digest.encode() not in everything, f"hash of {name}"
    # PNGs of a release have these chunks and no bytes behind the last one.
    for name, data in released.items():
        if name.endswith(".png"):
            assert _chunks(data) == {b"IHDR", b"IDAT", b"IEND"} and data[-8:-4] == b"IEND"


def _chunks(png: bytes) -> set[bytes]:
    kinds, at = set(), 8
    while at < len(png):
        kinds.add(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    return kinds


def test_face_region_landmarks_and_mesh_stay_at_home(ball, tmp_path):
    marked = replace(
        ball, nose_tip=(1.23456, 6.54321, 60.0), landmarks=np.array([[7.77777, 8.88888, 9.99999]])
    )
    protect(marked, size=16).save(tmp_path / "r")
    text = (tmp_path / "r" / "release.json").read_text()
    for word in ("1.23456", "6.54321", "7.77777", "nose", "landmark", "obj", "truth", "ball"):
        assert word not in text


def test_views_without_a_role_stay_at_home(ball):
    release = protect(replace(ball, sensitive=(4, 0), neutral=(5,)), size=16, masks="all")
    assert release.sensitive == (1, 0) and release.neutral == (2,)
    assert torch.equal(release.cameras.c2w, ball.cameras.c2w[[0, 4, 5]])
    assert release.masks.shape == (3, 16, 16)
    expected = Operator().modulus(ball.resized(16).images[4])
    assert float((release.moduli[0] - expected).abs().max()) < 1e-4


def test_noise_is_fresh_unless_seeded_and_its_seed_isnt_released(ball, tmp_path):
    noisy = Operator(noise=0.05)
    one, two = protect(ball, noisy, size=16), protect(ball, noisy, size=16)
    assert not torch.equal(one.moduli, two.moduli)
    three, four = (protect(ball, noisy, size=16, seed=987654321) for _ in range(2))
    assert torch.equal(three.moduli, four.moduli)
    three.save(tmp_path / "r")
    text = (tmp_path / "r" / "release.json").read_text()
    assert "seed" not in text and "987654321" not in text


def test_background_flat_takes_the_room_out_of_both_kinds_of_view(ball):
    scene = in_a_room(ball)
    flat, plain = protect(scene, Operator(background="flat"), size=16), protect(ball, size=16)
    assert torch.equal(flat.moduli, plain.moduli)
    assert torch.equal(flat.neutral_images, plain.neutral_images)
    assert not torch.equal(protect(scene, size=16).moduli, plain.moduli)


def test_downsample_last_averages_the_full_modulus(ball):
    release = protect(ball, Operator(downsample="last"), size=16)
    full = Operator().modulus(ball.images[:3])
    expected = 2 * full.reshape(3, 16, 2, 16, 2).mean((2, 4))
    assert float((release.moduli - expected.clamp(max=Operator().peak)).abs().max()) < 1e-4


def test_wrong_settings_are_refused(ball):
    for settings, said in (
        ({"size": 15}, "16 to 512"),
        ({"size": 513}, "16 to 512"),
        ({"masks": "some"}, "none, neutral, all"),
        ({"size": 33}, "never enlarged"),
    ):
        refused(lambda settings=settings: protect(ball, **settings), said, error=PrivheadError)


# --- writing -----------------------------------------------------------------------------------


def test_protect_never_writes_into_or_over_its_source(ball_folder, tmp_path):
    before = contents(ball_folder)
    link = tmp_path / "link"
    link.symlink_to(ball_folder)
    for target in (
        ball_folder,
        ball_folder / "release",
        ball_folder / "image" / "r",
        ball_folder.parent,
        link / "release",
        ball_folder / ".." / ball_folder.name,
    ):
        for overwrite in (False, True):
            with pytest.raises(OutputError, match="which it is made from"):
                protect_folder(ball_folder, target, size=16, overwrite=overwrite)
    protect_folder(ball_folder, tmp_path / "r", size=16)
    assert contents(ball_folder) == before


def test_targets_are_replaced_only_when_asked(ball_folder, tmp_path):
    target = tmp_path / "r"
    protect_folder(ball_folder, target, size=16)
    before = contents(target)
    with pytest.raises(OutputError, match="--overwrite"):
        protect_folder(ball_folder, target, size=24)
    assert contents(target) == before
    protect_folder(ball_folder, target, size=24, overwrite=True)
    assert Release.load(target).size == 24


def test_full_disk_leaves_nothing_and_the_old_release_whole(ball, tmp_path, monkeypatch):
    target = tmp_path / "r"
    protect(ball, size=16).save(target)
    before = contents(target)
    real, written = Image.Image.save, []

    def filling(self: Image.Image, path: Path, **options: object) -> None:
        if len(written) == 4:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        real(self, path, **options)

    monkeypatch.setattr(Image.Image, "save", filling)
    release = protect(ball, size=24)
    for save in (
        lambda: release.save(target, overwrite=True),
        lambda: release.save(tmp_path / "new"),
        lambda: ball.save(tmp_path / "new"),  # a scene neither
    ):
        written.clear()
        with pytest.raises(OutputError, match="disk is full"):
            save()
        assert len(written) == 4
        assert contents(tmp_path) == {f"r/{name}": data for name, data in before.items()}
        assert sorted(p.name for p in tmp_path.iterdir()) == ["r"]


def test_a_killed_protect_leaves_no_target(ball_folder, tmp_path):
    # The process stops itself half-way through the pictures and waits there to be killed.
    code = """
import sys, time
from PIL import Image
from privhead_nb.privacy.protect import protect_folder
real, count = Image.Image.save, 0
def slow(self, path):
    global count
    count += 1
    real(self, path)
    if count == 5:
        print("half-way", flush=True)
        time.sleep(60)
Image.Image.save = slow
protect_folder(sys.argv[1], sys.argv[2], size=16)
"""
    target = tmp_path / "out" / "r"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(ball_folder), str(target)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"half-way\n"
        process.kill()
        process.wait(timeout=20)
    assert process.returncode == (-signal.SIGKILL if os.name == "posix" else 1)
    assert not target.exists()
    left = [p.name for p in (tmp_path / "out").iterdir()]
    assert left and all(re.fullmatch(r"\.r\.(\d+\.part|lock)", name) for name in left)
    start = time.monotonic()
    protect_folder(ball_folder, target, size=16)  # the rest is no obstacle, and goes
    assert [p.name for p in target.parent.iterdir()] == ["r"]
    assert Release.load(target).size == 16 and time.monotonic() - start < 20


def test_every_promise_of_the_document_names_tests_that_exist():
    root = Path(__file__).parents[1]
    document = (root / "docs" / "release.md").read_text(encoding="utf-8")
    promises = document.split("## What is promised, and shown")[1].split("\n## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ")][2:]
    tests = "".join(path.read_text(encoding="utf-8") for path in root.glob("tests/test_*.py"))
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        for name in named:
            assert f"def {name}(" in tests, name


# --- facts and the real head ----------------------------------------------------------------------


def test_facts_are_json(ball):
    facts = json.loads(json.dumps(release_facts(protect(ball, EVERYTHING, size=16))))
    assert facts["kind"] == "release" and facts["sensitive_as_modulus"] == [0, 1, 2]
    assert facts["operator"]["kind"] == "scharr" and facts["masks_released"] == "neutral"
    assert 0 < facts["modulus_max"] <= facts["modulus_scale"]


def test_real_head_is_released_at_64_pixels(real_head, tmp_path):
    _, release = protect_folder(real_head, tmp_path / "r")
    assert release.moduli.shape == (20, 64, 64) and release.neutral_images.shape == (16, 64, 64, 3)
    _same(release, Release.load(tmp_path / "r"))
    _same(release, protect(load_scene(real_head)))
    # 255 codes would be too few: half of the face's moduli lie below 3 % of the peak.
    assert 0.4 < float(release.moduli.max()) < release.operator.peak
    data = b"".join(contents(tmp_path / "r").values())
    assert b"Lee" not in data and b"CC BY" not in data and b"real_head" not in data
