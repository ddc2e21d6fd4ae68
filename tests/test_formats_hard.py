"""Pictures and masks: of every mode, called what they are not, turned, damaged, closed to us."""

import io
import os
import shutil
import struct
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refusal, refused, traced_peak

from privhead_nb.errors import SceneError
from privhead_nb.scenes.folder import load_scene
from privhead_nb.scenes.images import exif_orientation, image_size, read_image, read_mask
from privhead_nb.scenes.scene import Scene

READERS = [read_image, read_mask, image_size, exif_orientation]


def saved(format: str, path: Path, **options: object) -> Path:
    data = io.BytesIO()
    colours = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(colours).save(data, format, **options)
    path.write_bytes(data.getvalue())
    return path


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


# What a file is


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "BMP", "WEBP", "GIF", "JPEG"])
def test_a_file_called_png_that_is_something_else_is_refused_as_what_it_is(
    tmp_path, monkeypatch, kind
):
    """And no Ghostscript is started for it."""
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", "gs")
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("was started"))
    path = saved(kind, tmp_path / "view_0020.png")
    for read in READERS:
        words = [f" {kind} file, not the PNG", "view_0020.png", "with the ending that fits"]
        refused(partial(read, path), *words)


def test_names_that_are_no_picture_files(tmp_path):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "empty.png").touch()
    saved("PNG", tmp_path / "png.jpg")
    saved("TIFF", tmp_path / "a.tif")
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "moving.png", save_all=True, append_images=frames[1:])
    for name, said in {
        "folder.png": "is no file",
        "empty.png": "can't be read as a picture",
        "nowhere.png": "the file is missing",
        "png.jpg": "is a PNG file, not the JPEG",
        "a.tif": "'.tif' are not read",
        "moving.png": "animated PNG",
    }.items():
        for read in READERS:
            assert said.lower() in str(refusal(partial(read, tmp_path / name))).lower(), name


# EXIF


def add_late_exif(path: Path, orientation: int) -> Path:
    """EXIF behind the pixels, where tools that add it to a finished file put it."""
    body = oriented(orientation).tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk + data[-12:])
    return path


def test_an_orientation_in_exif_is_found_wherever_it_stands(tmp_path):
    for path, orientation in (
        (saved("JPEG", tmp_path / "a.jpg", exif=oriented(6)), 6),
        (saved("PNG", tmp_path / "a.png", exif=oriented(6)), 6),
        (add_late_exif(saved("PNG", tmp_path / "late.png"), 8), 8),
        (saved("PNG", tmp_path / "plain.png"), 1),
        (saved("JPEG", tmp_path / "odd.jpg", exif=oriented(77)), 1),
    ):
        assert exif_orientation(path) == orientation


def test_square_pictures_that_exif_would_turn_are_named_and_used_as_stored(ball_folder):
    before = load_scene(ball_folder)
    assert not any("EXIF" in said for said in before.assumptions)
    for view in (1, 4):
        add_late_exif(ball_folder / "image" / f"img_{view:04d}.png", 6)
    after = load_scene(ball_folder)
    (said,) = [said for said in after.assumptions if "EXIF" in said]
    assert "img_0001.png (orientation 6), img_0004.png (orientation 6)" in said
    assert "img_0000.png" not in said and "as stored" in said
    assert torch.equal(after.images, before.images)


# Values


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_values_are_those_of_a_reading_in_one_piece(tmp_path, mode):
    """In RGB float32; a transparent pixel shows the background."""
    codes = np.random.default_rng(0).integers(0, 256, (600, 7, 4), np.uint8)
    if mode == "I;16":
        picture = Image.fromarray(codes.view("<u2")[..., 0])
    elif mode in ("RGBA", "CMYK"):
        picture = Image.fromarray(codes, mode)
    else:
        picture = Image.fromarray(codes).convert(mode)
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture.save(path)
    with Image.open(path) as image:
        whole = image.convert({"LA": "RGBA", "P": "RGBA", "1": "L", "CMYK": "RGB"}.get(mode, mode))
        stored = np.asarray(whole, np.float32) / (65535 if mode == "I;16" else 255)
    pixels = stored if stored.ndim == 3 else stored[..., None]
    if pixels.shape[2] == 4:
        alpha = pixels[..., 3:]
        pixels = pixels[..., :3] * alpha + (1 - alpha) * np.array((0.2, 1, 0.7), np.float32)
    found = read_image(path, background=(0.2, 1.0, 0.7))
    assert found.dtype == np.float32
    assert np.array_equal(found, np.broadcast_to(pixels, (600, 7, 3)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_of_4000_pixels_takes_little_more_than_its_floats(tmp_path, mode):
    Image.new(mode, (4000, 4000), (10, 20, 30, 255)[: len(mode)]).save(tmp_path / "a.png")
    peak = traced_peak(lambda: read_image(tmp_path / "a.png"))
    # 192 MB of floats, the codes, and these once more; Pillow's own copy, 64 MB, isn't traced.
    assert peak < 4000 * 4000 * (12 + 2.2 * len(mode)) < 450e6 - 64e6


def masks() -> dict[str, Image.Image]:
    head = np.zeros((16, 16), np.uint8)
    head[4:12, 5:11] = 255
    white, black = np.full_like(head, 255), np.zeros_like(head)

    def rgba(grey: np.ndarray, alpha: np.ndarray) -> Image.Image:
        return Image.fromarray(np.dstack([grey, grey, grey, alpha]))

    def la(grey: np.ndarray, alpha: np.ndarray) -> Image.Image:
        return Image.fromarray(np.dstack([grey, alpha]), "LA")

    palette = Image.fromarray((head > 0).astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 0, 0, 0])
    palette.info["transparency"] = bytes([0, 255])
    return {
        "white, cut out by alpha": rgba(white, head),
        "black, cut out by alpha": rgba(black, head),
        "grey and alpha": la(white, head),
        "a palette with transparent colours": palette,
        "the same in colour and alpha": rgba(head, head),
        "colour under an opaque alpha": rgba(head, white),
        "colour under a transparent alpha": la(head, black),
        "plain grey": Image.fromarray(head),
        "in colour": Image.fromarray(np.dstack([head] * 3)),
    }


@pytest.mark.parametrize("kind", masks())
def test_a_mask_is_read_from_where_it_stands(tmp_path, kind):
    masks()[kind].save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert mask.shape == (16, 16) and mask[4:12, 5:11].min() == 1 and mask.sum() == 8 * 6


def test_a_photo_with_a_cut_out_is_no_mask_but_an_error(tmp_path):
    """A picture in the place of its mask: colour says one thing, transparency another."""
    colours = np.random.default_rng(0).integers(0, 255, (16, 16, 4), np.uint8)
    colours[..., 3] = 0
    colours[4:12, 5:11, 3] = 255
    Image.fromarray(colours).save(tmp_path / "mask_0003.png")
    refused(lambda: read_mask(tmp_path / "mask_0003.png"), "mask_0003.png", "different things")


# Permissions


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may read everything: be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(ball: Scene) -> Iterator[Path]:
    """A scene where other users may look, which pytest's own folders are closed to."""
    if not hasattr(os, "geteuid"):
        pytest.skip("permissions are Unix's")
    top = Path(tempfile.mkdtemp())
    top.chmod(0o755)
    ball.save(top / "ball")
    load_scene(top / "ball")  # all imports are done
    yield top / "ball"
    for path in top.rglob("*"):
        path.chmod(0o755)
    shutil.rmtree(top)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        (name, mode)
        for name in ("", "image", "mask", "mask/mask_0003.png", "cameras.npz")
        for mode in (0o000, 0o400, 0o100)
        if (name, mode) != ("", 0o100)  # a scene that can't be listed, but entered, can be read
    ],
)
def test_what_is_closed_to_us_says_so(open_folder, name, mode):
    closed = open_folder / name
    if os.geteuid() == 0:
        os.chown(closed, 65534, -1)
    closed.chmod(mode if closed.is_dir() else 0o200)
    with ordinary_user(), pytest.raises(SceneError, match=r"(?i)permission") as error:
        load_scene(open_folder)
    assert "permissions" in error.value.remedy
    assert "Save it again" not in str(error.value)
