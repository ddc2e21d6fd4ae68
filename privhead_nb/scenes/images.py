"""Reading and writing pictures: size checked before decoding, nothing but pixels written."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from privhead_nb.errors import SceneError

MAX_PIXELS = 64_000_000
"""Pictures above this many pixels (8000 x 8000) are refused before they are decoded."""

_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "I", "CMYK", "YCbCr")


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
    pixels = _decode(Path(path), max_pixels)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1:]
        pixels = pixels[..., :-1] * alpha + (1 - alpha) * np.array(background, np.float32)
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)), np.float32)


def read_mask(path: str | Path, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """(H, W) float32 in [0, 1], 1 = head; a colour mask is averaged over its channels.

    Raises:
        SceneError: missing, truncated, no picture, or larger than `max_pixels`.
    """
    pixels = _decode(Path(path), max_pixels)
    if pixels.ndim == 3:
        colour = pixels[..., : pixels.shape[2] - (pixels.shape[2] in (2, 4))]
        pixels = colour.mean(axis=2)
    return np.ascontiguousarray(pixels, np.float32)


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
    """Open without decoding; the header's size is checked here."""
    if not path.is_file():
        raise SceneError("the file is missing", where=path, remedy="Put it back or rename it.")
    try:
        with warnings.catch_warnings():
            # Pillow's own bomb check sits at other sizes; ours follows at once.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error), max_pixels) from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise SceneError(
            "can't be read as a picture", where=path, remedy="Save it again as PNG or JPEG."
        ) from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise _too_large(path, f"{width} x {height} pixels", max_pixels)
    return image


def _too_large(path: Path, size: str, max_pixels: int) -> SceneError:
    return SceneError(
        f"the picture is too large ({size}; the limit is {max_pixels / 1e6:g} million pixels)",
        where=path,
        remedy="Scale the pictures, masks and K down first.",
    )


def _decode(path: Path, max_pixels: int) -> np.ndarray:
    """(H, W) or (H, W, C) float32 in [0, 1], alpha kept as the last channel."""
    with _open(path, max_pixels) as image:
        try:
            image.load()
            mode = image.mode
            if mode not in _MODES and not mode.startswith("I;16"):
                raise SceneError(
                    f"has the unknown colour mode {mode}", where=path, remedy="Save it as RGB."
                )
            if mode.startswith("I"):  # 16-bit grey
                return np.asarray(image, dtype=np.float32) / 65535
            if mode in ("P", "LA") or (mode in ("L", "RGB") and "transparency" in image.info):
                image = image.convert("RGBA")
            elif mode in ("1", "CMYK", "YCbCr"):
                image = image.convert("L" if mode == "1" else "RGB")
            return np.asarray(image, dtype=np.float32) / 255
        except (OSError, ValueError, SyntaxError) as error:
            raise SceneError(
                f"the picture is truncated or damaged ({error})",
                where=path,
                remedy="Copy or export it again.",
            ) from error
