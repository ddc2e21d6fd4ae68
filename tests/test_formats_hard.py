"""Hard inputs: pictures that are something else, masks of other views, damaged camera files."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tempfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refusal

from privhead_nb.errors import SceneError
from privhead_nb.scenes.formats import h3ds, idr
from privhead_nb.scenes.formats.npz_cameras import read_npz_cameras
from privhead_nb.scenes.formats.parts import list_pictures, pair_views
from privhead_nb.scenes.images import exif_orientation, image_size, read_image, read_mask
from privhead_nb.scenes.scene import Scene, load_scene

Spoil = Callable[..., None]


def _saved(format: str, path: Path, **options: object) -> Path:
    data = io.BytesIO()
    colours = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    Image.fromarray(colours).save(data, format, **options)
    path.write_bytes(data.getvalue())
    return path


# Pictures


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "BMP", "WEBP", "GIF", "JPEG"])
def test_a_file_called_png_that_is_something_else_is_refused_as_what_it_is(
    ball_folder: Path, kind: str
) -> None:
    _saved(kind, ball_folder / "image" / "img_0002.png")
    with pytest.raises(SceneError, match=f"img_0002.png: is an? {kind} file, not the PNG") as error:
        load_scene(ball_folder)
    assert "with the ending that fits" in error.value.remedy


def test_a_png_called_jpg_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="is a PNG file, not the JPEG"):
        read_image(_saved("PNG", tmp_path / "a.jpg"))
    with pytest.raises(SceneError, match=r"'\.tif' are not read"):
        read_image(_saved("TIFF", tmp_path / "a.tif"))


@pytest.mark.parametrize("read", [read_image, read_mask, image_size, exif_orientation])
def test_no_file_starts_ghostscript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    started = []
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", "gs")
    monkeypatch.setattr("subprocess.check_call", lambda *a, **_: started.append(a))
    with pytest.raises(SceneError):
        read(_saved("EPS", tmp_path / "view_0020.png"))
    assert started == []


def test_an_animated_png_is_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(SceneError, match="animated PNG"):
        read_image(tmp_path / "a.png")


def test_names_that_are_no_picture_files(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "loop.png").symlink_to("loop.png")
    (tmp_path / "empty.png").touch()
    for name, said in {
        "folder.png": "is no file",
        "loop.png": "symbolic links",
        "x" * 300 + ".png": "name too long",
        "nul\0.png": "null",
        "empty.png": "can't be read as a picture",
        "nowhere.png": "the file is missing",
    }.items():
        for read in (read_image, read_mask, image_size, exif_orientation):
            with pytest.raises(SceneError, match=said):
                read(tmp_path / name)


def test_a_folder_called_png_among_the_views_is_named(ball_folder: Path) -> None:
    (ball_folder / "image" / "img_0002.png").unlink()
    (ball_folder / "image" / "img_0002.png").mkdir()
    with pytest.raises(SceneError, match=r"img_0002\.png: is no file"):
        load_scene(ball_folder)


@pytest.mark.parametrize("flip", range(12))
def test_a_flipped_bit_never_ends_in_anything_but_a_picture_or_a_scene_error(
    tmp_path: Path, flip: int
) -> None:
    generator = np.random.default_rng(flip)
    for kind, ending in (("PNG", ".png"), ("JPEG", ".jpg")):
        path = _saved(kind, tmp_path / f"a{ending}")
        data = bytearray(path.read_bytes())
        for _ in range(20):
            changed = bytearray(data)
            changed[generator.integers(len(data))] ^= 1 << generator.integers(8)
            path.write_bytes(changed)
            for read in (read_image, exif_orientation):
                error = refusal(partial(read, path))
                assert error is None or error.remedy


def _png_with_late_exif(path: Path, orientation: int) -> None:
    """EXIF behind the pixels, where tools that add it to a finished file put it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    data = path.read_bytes()
    path.write_bytes(data[:-12] + chunk + data[-12:])


def test_an_orientation_in_exif_is_found_wherever_it_stands(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert exif_orientation(_saved("JPEG", tmp_path / "a.jpg", exif=exif)) == 6
    assert exif_orientation(_saved("PNG", tmp_path / "a.png", exif=exif)) == 6
    _png_with_late_exif(_saved("PNG", tmp_path / "late.png"), 8)
    assert exif_orientation(tmp_path / "late.png") == 8
    assert exif_orientation(_saved("PNG", tmp_path / "plain.png")) == 1
    exif[0x0112] = 77
    assert exif_orientation(_saved("JPEG", tmp_path / "odd.jpg", exif=exif)) == 1


def test_square_pictures_that_exif_would_turn_are_named_and_used_as_stored(
    ball_folder: Path,
) -> None:
    before = load_scene(ball_folder)
    assert not any("EXIF" in said for said in before.assumptions)
    for view in (1, 4):
        _png_with_late_exif(ball_folder / "image" / f"img_{view:04d}.png", 6)
    after = load_scene(ball_folder)
    (said,) = [said for said in after.assumptions if "EXIF" in said]
    assert "img_0001.png (orientation 6), img_0004.png (orientation 6)" in said
    assert "img_0000.png" not in said and "as stored" in said
    assert torch.equal(after.images, before.images)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK"])
def test_values_are_those_of_a_reading_in_one_piece(tmp_path: Path, mode: str) -> None:
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
    expected = np.broadcast_to(pixels, (600, 7, 3))
    assert np.array_equal(read_image(path, background=(0.2, 1.0, 0.7)), expected)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_of_4000_pixels_takes_little_more_than_its_floats(
    tmp_path: Path, mode: str
) -> None:
    Image.new(mode, (4000, 4000), (10, 20, 30, 255)[: len(mode)]).save(tmp_path / "a.png")
    tracemalloc.start()
    pixels = read_image(tmp_path / "a.png")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 192 MB of floats, the codes, and these once more; Pillow's own copy, 64 MB, isn't traced.
    codes = 4000 * 4000 * len(mode)
    assert peak < pixels.nbytes + 2.2 * codes < 450e6 - 64e6


# Permissions


@contextmanager
def _ordinary_user() -> Iterator[None]:
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
def test_what_is_closed_to_us_says_so(open_folder: Path, name: str, mode: int) -> None:
    closed = open_folder / name
    if os.geteuid() == 0:
        os.chown(closed, 65534, -1)
    closed.chmod(mode if closed.is_dir() else 0o200)
    with _ordinary_user(), pytest.raises(SceneError, match=r"(?i)permission") as error:
        load_scene(open_folder)
    assert "permissions" in error.value.remedy
    assert "Save it again" not in str(error.value)


# Names


def _names(folder: Path, names: list[str]) -> list[Path]:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    return list_pictures(folder)


def _pair(folder: Path, images: list[str], masks: list[str]) -> list[str]:
    views = _names(folder / "image", images)
    there = _names(folder / "mask", masks)
    paired = pair_views(views, there, len(images), folder / "cameras.npz")
    return [mask.name for mask in paired]


def test_a_lost_and_a_surplus_mask_never_shift_the_others(tmp_path: Path) -> None:
    images = [f"IMG_{i:03d}_v2.png" for i in range(12)]
    masks = [f"IMG_{i:03d}_v2.png" for i in range(13) if i != 3]  # sorted, 9 stand one too early
    with pytest.raises(SceneError, match="12 masks") as error:
        _pair(tmp_path, images, masks)
    assert "no mask for IMG_003_v2.png" in str(error.value)
    assert "no image for IMG_012_v2.png" in str(error.value)


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["img_0000.png", "img_0001.jpg"], ["mask_0000.png", "mask_0001.png"]),
        (["000000.png", "000001.png"], ["000.png", "001.png"]),
        (["left.png", "right.png"], ["left_mask.png", "right_mask.png"]),
        (["left.jpg", "right.jpg"], ["left.jpg.png", "right.jpg.png"]),
        (["a_1.png", "b_1.png"], ["a_1_mask.png", "b_1_mask.png"]),
        (["2026-01-01_7.png", "2026-01-02_7.png"], ["Mask-2026-01-01-7.PNG", "2026.01.02.7.png"]),
        (["only.png"], ["something.png"]),
    ],
)
def test_masks_that_belong_to_their_images(
    tmp_path: Path, images: list[str], masks: list[str]
) -> None:
    assert _pair(tmp_path, images, masks) == masks


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["a_1.png", "b_1.png"], ["mask_1.png", "mask_01.png"]),
        (["left.png", "right.png"], ["mask_1.png", "mask_2.png"]),
        (["v1_0001.png", "v1_0002.png"], ["v2_0001.png", "v2_0002.png"]),
        (["0001.png", "0002.png"], ["0000.png", "0001.png"]),
    ],
)
def test_masks_whose_image_nobody_can_tell(
    tmp_path: Path, images: list[str], masks: list[str]
) -> None:
    with pytest.raises(SceneError, match="2 masks but 2 images"):
        _pair(tmp_path, images, masks)


def test_two_pictures_of_one_name_are_refused(ball_folder: Path) -> None:
    _saved("JPEG", ball_folder / "image" / "img_0000.jpg")
    with pytest.raises(SceneError, match=r"img_0000\.png: stands beside img_0000\.jpg"):
        load_scene(ball_folder)


def test_files_of_the_system_and_other_endings_are_passed_over(ball_folder: Path) -> None:
    for kind in ("image", "mask"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._img_0000.png", "notes.txt"):
            (ball_folder / kind / name).write_bytes(b"x")
        (ball_folder / kind / "__MACOSX").mkdir()
    assert len(load_scene(ball_folder).images) == 6


def test_idr_names_beside_a_truth_mesh_are_an_idr_folder(ball_folder: Path) -> None:
    for kind, stem in (("image", "img"), ("mask", "mask")):
        for path in (ball_folder / kind).iterdir():
            path.rename(path.with_name(path.name.replace(f"{stem}_0", "")))
    (ball_folder / "scene.json").unlink()
    assert (ball_folder / "full_head.obj").is_file()
    assert idr.looks_like(ball_folder) and not h3ds.looks_like(ball_folder)
    scene = load_scene(ball_folder, sensitive="0-2")
    assert len(scene.images) == 6 and scene.unit == "scene"
    assert len(scene.truth_triangles()[0]) > 100


# Masks in transparency


def _masks() -> dict[str, Image.Image]:
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
    }


@pytest.mark.parametrize("kind", _masks())
def test_a_mask_is_read_from_where_it_stands(tmp_path: Path, kind: str) -> None:
    _masks()[kind].save(tmp_path / "mask.png")
    mask = read_mask(tmp_path / "mask.png")
    assert mask[4:12, 5:11].min() == 1 and mask.sum() == 8 * 6


def test_a_photo_with_a_cut_out_is_no_mask_but_an_error(tmp_path: Path) -> None:
    """A picture in the place of its mask: colour says one thing, transparency another."""
    colours = np.random.default_rng(0).integers(0, 255, (16, 16, 4), np.uint8)
    colours[..., 3] = 0
    colours[4:12, 5:11, 3] = 255
    Image.fromarray(colours).save(tmp_path / "mask_0003.png")
    with pytest.raises(SceneError, match=r"mask_0003\.png.*different things"):
        read_mask(tmp_path / "mask_0003.png")


# cameras.npz


def test_a_single_array_called_npz_is_named(ball_folder: Path) -> None:
    with (ball_folder / "cameras.npz").open("wb") as file:
        np.save(file, np.eye(4))
    with pytest.raises(SceneError, match=r"cameras\.npz: holds a single array.*numpy\.savez"):
        load_scene(ball_folder)


def test_damaged_archives_are_refused_or_read_rightly(ball_folder: Path, tmp_path: Path) -> None:
    with np.load(ball_folder / "cameras.npz") as data:
        mats = dict(data)
    np.savez_compressed(tmp_path / "c.npz", **mats)
    whole = (tmp_path / "c.npz").read_bytes()
    good, generator, refused = read_npz_cameras(tmp_path / "c.npz"), np.random.default_rng(0), 0
    for _ in range(300):
        changed = bytearray(whole)
        changed[generator.integers(len(whole))] ^= 1 << generator.integers(8)
        (tmp_path / "c.npz").write_bytes(changed)
        error = refusal(lambda: read_npz_cameras(tmp_path / "c.npz"))
        refused += error is not None
        if error is None:
            found = read_npz_cameras(tmp_path / "c.npz")
            assert torch.equal(found[0], good[0]) and torch.equal(found[1], good[1])
    assert refused > 50


@pytest.mark.parametrize(
    ("at", "value"),
    [(6, b"\x01\x00"), (8, b"\x63\x00")],
    ids=["encrypted", "packed in an unknown way"],
)
def test_archives_that_zip_cannot_open(
    ball_folder: Path, tmp_path: Path, at: int, value: bytes
) -> None:
    data = bytearray((ball_folder / "cameras.npz").read_bytes())
    for sign, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):
        place = data.find(sign)
        while place >= 0:
            data[place + at + shift : place + at + shift + 2] = value
            place = data.find(sign, place + 4)
    (tmp_path / "c.npz").write_bytes(data)
    with pytest.raises(SceneError, match="can't be read as a plain"):
        read_npz_cameras(tmp_path / "c.npz")


@pytest.mark.parametrize("shape", ["(10**15, 4)", "(4, -4)", "(4, 4, 10**9)", "((4,),)", "'x'"])
def test_shapes_that_a_header_only_claims(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(128)
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("world_mat_0.npy", data)
    with pytest.raises(SceneError, match="can't be read as a plain"):
        read_npz_cameras(tmp_path / "c.npz")


def test_other_arrays_in_the_file_do_not_matter(ball_folder: Path, spoil_cameras: Spoil) -> None:
    before = load_scene(ball_folder)
    extra = {"names": np.array(["a", "b"]), "camera_mat_0": np.eye(3), "world_mat_007": np.eye(4)}
    spoil_cameras(ball_folder, **extra)
    assert torch.equal(load_scene(ball_folder).cameras.K, before.cameras.K)


@pytest.mark.parametrize("beside", [True, False])
def test_cameras_of_dvr_and_unisurf_are_named(
    ball_folder: Path, spoil_cameras: Spoil, ball: Scene, beside: bool
) -> None:
    w2c, K = torch.linalg.inv(ball.cameras.c2w).numpy(), np.eye(4)
    K[:3, :3] = ball.cameras.K[0].numpy()
    mats = {f"world_mat_{i}": w2c[i] for i in range(6)}
    spoil_cameras(ball_folder, **mats, **({"camera_mat_0": K} if beside else {}))
    with pytest.raises(SceneError, match=r"cameras\.npz.*DVR or UNISURF.*multiply") as error:
        load_scene(ball_folder)
    assert ("camera_mat_0" in error.value.problem) == beside
