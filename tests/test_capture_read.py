"""Claims about how photographs and films are read for a capture."""

import re
import sys

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from privhead_nb.capture import film, photographs
from privhead_nb.capture.photographs import read_photograph, read_photographs
from privhead_nb.errors import SceneError


def busy(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A picture full of edges, (H, W, 3) uint8."""
    small = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def photos(folder, count=10, size=(240, 320)):
    folder.mkdir()
    for number in range(count):
        Image.fromarray(busy(*size, number)).save(folder / f"IMG_{number:04d}.jpg", quality=95)
    return folder


# Reading ------------------------------------------------------------------------------------------


def test_exif_turns_the_pixels_and_is_then_dropped(tmp_path):
    pixels = busy(240, 320)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "ACME"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 26
    for number in range(8):
        picture = Image.fromarray(busy(240, 320, number) if number else pixels)
        picture.save(tmp_path / f"p{number}.png", exif=exif)
    out = tmp_path / "out"
    out.mkdir()
    kept, left = read_photographs(photographs.list_photographs(tmp_path), out)
    assert len(kept) == 8 and not left
    assert {(p.width, p.height, p.turned) for p in kept} == {(240, 320, 6)}
    upright = np.asarray(Image.open(out / kept[0].file))
    assert np.array_equal(upright, np.rot90(pixels, -1))
    for copy in out.iterdir():
        assert not Image.open(copy).getexif() and b"ACME" not in copy.read_bytes()
    # 26 mm against the diagonal of a 4:3 picture
    assert kept[0].focal == pytest.approx(26 / 43.267 * 1.25, rel=1e-6)


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp"])
def test_these_kinds_are_read_and_deep_or_clear_ones_become_plain(tmp_path, kind):
    Image.fromarray(busy(240, 320)).save(tmp_path / f"p.{kind}")
    pixels, focal, turned = read_photograph(tmp_path / f"p.{kind}")
    assert pixels.shape == (240, 320, 3) and pixels.dtype == np.uint8
    assert focal is None and turned == 1


def test_sixteen_bits_and_transparency_become_eight_bits_on_white(tmp_path):
    Image.fromarray(np.full((240, 320), 257 * 100, np.uint16)).save(tmp_path / "deep.png")
    assert (read_photograph(tmp_path / "deep.png")[0] == 100).all()
    clear = np.zeros((240, 320, 4), np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert (read_photograph(tmp_path / "clear.png")[0] == 255).all()


def test_large_photographs_are_brought_to_1600_pixels(tmp_path):
    Image.fromarray(busy(3000, 4000)).save(tmp_path / "large.jpg")
    assert read_photograph(tmp_path / "large.jpg")[0].shape == (1200, 1600, 3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: None, "no photograph"),
        (lambda f: (f / "notes.txt").write_text("x"), r"no photograph; it holds notes\.txt"),
        (lambda f: Image.new("RGB", (300, 300)).save(f / "a.jpg"), "one photograph"),
    ],
)
def test_a_folder_without_photographs_is_refused_with_what_it_holds(tmp_path, make, said):
    make(tmp_path)
    with pytest.raises(SceneError, match=said) as caught:
        photographs.list_photographs(tmp_path)
    assert caught.value.remedy and str(tmp_path) in str(caught.value)


def test_a_damaged_photograph_is_named(tmp_path):
    whole = tmp_path / "whole.jpg"
    Image.fromarray(busy(240, 320)).save(whole)
    (tmp_path / "half.jpg").write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(SceneError, match=r"half\.jpg: can't be read as a JPEG"):
        read_photograph(tmp_path / "half.jpg")


def test_heic_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.heic").write_bytes(b"x" * 100)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(SceneError, match=r"a\.heic: is HEIC.*pip install pillow-heif"):
        read_photograph(tmp_path / "a.heic")


def test_pictures_of_mixed_sizes_are_refused_by_name_but_turned_ones_are_not(tmp_path):
    folder = photos(tmp_path / "in")
    Image.fromarray(busy(320, 240, 50)).save(folder / "IMG_0050.jpg")  # held upright
    out = tmp_path / "out"
    out.mkdir()
    kept, _ = read_photographs(photographs.list_photographs(folder), out)
    assert len(kept) == 11
    Image.fromarray(busy(240, 240, 60)).save(folder / "IMG_0060.jpg")
    with pytest.raises(SceneError, match=r"1 of 12 pictures.*IMG_0060\.jpg \(240 x 240\)"):
        read_photographs(photographs.list_photographs(folder), out)


def test_blurred_doubled_and_differently_exposed_pictures_are_named_and_left_out(tmp_path):
    folder = photos(tmp_path / "in", 12)
    blurred = cv2.GaussianBlur(busy(240, 320, 3), (0, 0), 9)
    Image.fromarray(blurred).save(folder / "IMG_0003.jpg")
    (folder / "IMG_0005.jpg").write_bytes((folder / "IMG_0004.jpg").read_bytes())
    Image.fromarray((busy(240, 320, 6) * 0.2).astype(np.uint8)).save(folder / "IMG_0006.jpg")
    out = tmp_path / "out"
    out.mkdir()
    kept, left = read_photographs(photographs.list_photographs(folder), out)
    assert set(left) == {"IMG_0003.jpg", "IMG_0005.jpg", "IMG_0006.jpg"}
    assert left["IMG_0003.jpg"].startswith("blurred")
    assert left["IMG_0005.jpg"] == "the same as IMG_0004.jpg"
    assert "bright" in left["IMG_0006.jpg"] or left["IMG_0006.jpg"].startswith("blurred")
    assert {p.file for p in kept} == {p.name for p in out.iterdir()}


# Films --------------------------------------------------------------------------------------------


def write_film(path, frames):
    height, width = frames[0].shape[:2]
    film_file = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 30, (width, height))
    if not film_file.isOpened():
        pytest.skip("OpenCV can't write films here")
    for frame in frames:
        film_file.write(frame[..., ::-1])
    film_file.release()
    return path


def test_a_film_gives_sharp_frames_spread_over_its_motion(tmp_path):
    wide = busy(240, 2400)
    frames = []
    for number in range(90):  # stands still for 30 frames, then pans
        left = 0 if number < 30 else (number - 30) * 24
        frame = wide[:, left : left + 320]
        frames.append(cv2.GaussianBlur(frame, (0, 0), 4) if number % 2 else frame)
    out = tmp_path / "out"
    out.mkdir()
    kept, left = film.read_film(write_film(tmp_path / "walk.mp4", frames), out, 20)
    numbers = [int(re.findall(r"\d+", p.name)[0]) for p in kept]
    assert 15 <= len(kept) <= 20 and sum(number % 2 == 0 for number in numbers) >= len(kept) - 1
    assert sum(number < 30 for number in numbers) <= 2 and "other frames" in left


def test_a_film_that_cannot_be_decoded_or_stands_still_is_refused(tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no film" * 100)
    with pytest.raises(SceneError, match=r"broken\.mp4: can't be decoded as a film"):
        film.read_film(tmp_path / "broken.mp4", tmp_path, 20)
    still = write_film(tmp_path / "still.mp4", [busy(240, 320)] * 30)
    with pytest.raises(SceneError, match=r"still\.mp4: nothing moves in it"):
        film.read_film(still, tmp_path, 20)
