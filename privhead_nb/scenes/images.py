"""Reading and writing pictures: size checked before decoding, nothing but pixels written."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from privhead_nb.errors import SceneError, listed
from privhead_nb.reading import check_file

MAX_PIXELS = 64_000_000
"""Pictures above this many pixels (8000 x 8000) are refused before they are decoded."""
MAX_BYTES = 1_000_000_000
"""Bytes of a picture's file; 8000 x 8000 pixels of 16 bits, unpacked, have 0.4 GB."""
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""What a picture's ending says that it is; nothing else is opened, whatever is in the file."""

_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "CMYK", "YCbCr")
_ROWS = 256  # decoded pixels become floats in bands of rows, which saves copies of whole pictures
_ORIENTATION = 0x0112  # EXIF's tag; 1 is upright
_STARTS = {
    "a PNG": rb"\x89PNG",
    "a JPEG": rb"\xff\xd8\xff",
    "an EPS": rb"%!PS|\xc5\xd0\xd3\xc6",
    "a PDF": rb"%PDF",
    "a TIFF": rb"II[*+]\0|MM\0[*+]",
    "a BMP": rb"BM",
    "a GIF": rb"GIF8",
    "a PSD": rb"8BPS",
    "a JPEG 2000": rb"\0\0\0\x0cjP",
    "a WEBP": rb"RIFF....WEBP",
    "a HEIC or AVIF": rb"....ftyp",
}
"""Regular expressions that the first bytes of other kinds of files fit."""


def read_image(
    path: str | Path,
    max_pixels: int = MAX_PIXELS,
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """(H, W, 3) float32 in [0, 1], values as stored (sRGB); EXIF rotation is not applied.

    Grey pictures are repeated over three channels; transparent ones are laid over `background`.

    Raises:
        SceneError: missing, truncated, no picture, or larger than `max_pixels`.
    """
    stored = _decode(Path(path), max_pixels)
    pixels = np.empty((*stored.shape[:2], 3), np.float32)
    for rows, band in _bands(stored):
        if band.shape[2] in (2, 4):
            alpha = band[..., -1:]
            band = band[..., :-1] * alpha + (1 - alpha) * np.array(background, np.float32)
        pixels[rows] = band
    return pixels


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """(H, W) float32 in [0, 1], 1 = head; a colour mask is averaged over its channels.

    Where transparency varies, it is the mask if the colour says nothing; if both say the same, the
    mask is laid over black.

    Raises:
        SceneError: missing, truncated, no picture, larger than `max_pixels`, or a mask whose colour
            and transparency contradict each other.
    """
    stored = _decode(Path(path), max_pixels)
    mask = np.empty(stored.shape[:2], np.float32)
    clear = stored.ndim == 3 and stored.shape[2] in (2, 4) and np.ptp(stored[..., -1]) > 0
    alpha = np.empty_like(mask) if clear else mask
    for rows, band in _bands(stored):
        colour = band[..., : band.shape[2] - (band.shape[2] in (2, 4))]
        mask[rows] = colour.mean(axis=2)
        if clear:
            alpha[rows] = band[..., -1]
    if not clear:
        return mask
    if np.ptp(mask) == 0:
        return alpha
    head, opaque = mask >= 0.5, alpha >= 0.5
    if (head & opaque).sum() < 0.8 * (head | opaque).sum():
        raise SceneError(
            "the mask's colour and its transparency say different things",
            where=path,
            remedy="Save it as a plain grey picture: white = head, black = not.",
        )
    return mask * alpha


def read_alpha(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """(H, W) float32 in [0, 1]: a picture's transparency as its mask, 1 = head.

    Raises:
        SceneError: missing, truncated, no picture, larger than `max_pixels`, without transparency,
            or opaque (or clear) all over, which would make a mask of nothing.
    """
    stored = _decode(Path(path), max_pixels)
    if stored.ndim == 3 and stored.shape[2] in (2, 4) and np.ptp(stored[..., -1]) > 0:
        alpha = np.empty(stored.shape[:2], np.float32)
        for rows, band in _bands(stored):
            alpha[rows] = band[..., -1]
        return alpha
    raise SceneError(
        "the view has no mask: no mask file belongs to it, and its picture has no transparency "
        "that would cut the head out",
        where=path,
        remedy="Put its mask (white = head) into a folder masks/ of the scene, under the same "
        "name; none is made up.",
    )


def exif_orientation(path: str | Path) -> int:
    """EXIF's orientation, 1 to 8; 1, upright, where the file says nothing (that makes sense).

    Raises:
        SceneError: missing, or no picture.
    """
    with _open(Path(path), MAX_PIXELS) as image:
        if image.format == "PNG" and "exif" not in image.info:
            image.info["exif"] = _png_exif(Path(path))
        try:
            # Pillow's own way for PNG decodes the whole picture.
            found = Image.Image.getexif(image).get(_ORIENTATION, 1)
        except Exception:  # damaged EXIF orients nothing; Pillow raises whatever it trips over
            return 1
    return found if found in range(1, 9) else 1


def turned_pictures(paths: Iterable[Path]) -> list[str]:
    """A sentence for a scene's assumptions where EXIF asks to turn pictures; empty where not."""
    turned = {path.name: n for path in paths if (n := exif_orientation(path)) != 1}
    if not turned:
        return []
    views = listed([f"{name} (orientation {n})" for name, n in turned.items()], 3)
    return [
        f"turned by EXIF, but used as stored, since cameras are calibrated on stored pixels: "
        f"{views}; if heads lie on their side in `inspect`, turn the pixels or mend K"
    ]


def image_size(path: str | Path, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """(width, height) from the header alone.

    Raises:
        SceneError: missing, no picture, or larger than `max_pixels`.
    """
    with _open(Path(path), max_pixels) as image:
        return image.size


def write_image(path: str | Path, pixels: np.ndarray) -> None:
    """Write (H, W, 3) or (H, W) values in [0, 1] as 8-bit PNG or JPEG, with no metadata."""
    # A picture made from an array has no EXIF, profile, text or thumbnail to pass on.
    image = Image.fromarray(to_uint8(pixels))
    if Path(path).suffix.lower() in (".jpg", ".jpeg"):
        image.save(path, quality=95, subsampling=0)
    else:
        image.save(path)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """[0, 1] to 0..255, rounded to nearest."""
    return np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def resize_area(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """(H, W) or (H, W, C) resampled by area average (OpenCV's INTER_AREA), float32."""
    if pixels.shape[:2] == (height, width):
        return np.array(pixels, dtype=np.float32)
    return cv2.resize(
        np.ascontiguousarray(pixels, np.float32), (width, height), interpolation=cv2.INTER_AREA
    )


def _open(path: Path, max_pixels: int) -> Image.Image:
    """Open without decoding; kind and size of the picture are checked here."""
    check_file(path, error=SceneError, remedy="Put it back or rename it.", most=MAX_BYTES)
    expected = FORMATS.get(path.suffix.lower())
    if expected is None:
        raise SceneError(
            f"pictures of the kind {path.suffix!r} are not read",
            where=path,
            remedy=f"Save it as one of {', '.join(FORMATS)}.",
        )
    try:
        with warnings.catch_warnings():
            # Pillow's own bomb check sits at other sizes; ours follows at once.
            warnings.simplefilter("ignore")
            image = Image.open(path, formats=(expected,))
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error), max_pixels) from error
    except Exception as error:  # Pillow's readers raise whatever they trip over
        raise _no_picture(path, expected) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise _too_large(path, f"{width} x {height} pixels", max_pixels)
    if expected == "PNG" and getattr(image, "n_frames", 1) > 1:
        image.close()
        raise SceneError("is an animated PNG", where=path, remedy="Save the one picture meant.")
    return image


def _no_picture(path: Path, expected: str) -> SceneError:
    with path.open("rb") as file:
        start = file.read(12)
    found = next((k for k, sign in _STARTS.items() if re.match(sign, start, re.DOTALL)), "")
    if not found or found.endswith(expected):
        return SceneError(
            "can't be read as a picture", where=path, remedy=f"Save it again as {expected}."
        )
    return SceneError(
        f"is {found} file, not the {expected} that its name says",
        where=path,
        remedy="Save it again as PNG or JPEG, with the ending that fits.",
    )


def _too_large(path: Path, size: str, max_pixels: int) -> SceneError:
    return SceneError(
        f"the picture is too large ({size}; the limit is {max_pixels / 1e6:g} million pixels)",
        where=path,
        remedy="Scale the pictures, masks and K down first.",
    )


def _decode(path: Path, max_pixels: int) -> np.ndarray:
    """(H, W) or (H, W, C) as stored: uint8, or 16-bit grey; alpha is the last channel."""
    with _open(path, max_pixels) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mode = image.mode
        if mode not in _MODES and not mode.startswith("I;16"):
            raise SceneError(
                f"has the unknown colour mode {mode}", where=path, remedy="Save it as RGB."
            )
        try:
            image.load()
            if mode in ("P", "LA") or (mode in ("L", "RGB") and "transparency" in image.info):
                return np.asarray(image.convert("RGBA"))
            if mode in ("1", "CMYK", "YCbCr"):
                return np.asarray(image.convert("L" if mode == "1" else "RGB"))
            return np.asarray(image)
        except Exception as error:  # Pillow's decoders raise whatever they trip over
            raise SceneError(
                f"the picture is truncated or damaged ({error})",
                where=path,
                remedy="Copy or export it again.",
            ) from error


def _bands(stored: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Bands of rows of a decoded picture: which rows, and (h, W, C) float32 in [0, 1]."""
    pixels = stored if stored.ndim == 3 else stored[..., None]
    most = 255 if stored.dtype == np.uint8 else 65535
    for top in range(0, len(pixels), _ROWS):
        rows = slice(top, top + _ROWS)
        yield rows, pixels[rows].astype(np.float32) / most


def _png_exif(path: Path) -> bytes | None:
    """The EXIF of a PNG; it may stand behind the pixels, where Pillow looks after decoding."""
    with path.open("rb") as file:
        file.seek(8)
        for _ in range(100_000):
            header = file.read(8)
            if len(header) < 8:
                break
            length, kind = struct.unpack(">I4s", header)
            if kind == b"eXIf" and length < 1_000_000:
                return file.read(length)
            file.seek(length + 4, 1)
    return None
