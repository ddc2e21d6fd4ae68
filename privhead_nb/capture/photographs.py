"""A folder of photographs: turned upright, brought to one size, the bad ones named and left out."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps
from tqdm import tqdm

from privhead_nb.capture.settings import MIN_VIEWS
from privhead_nb.errors import SceneError, listed
from privhead_nb.scenes.images import MAX_BYTES, MAX_PIXELS

KINDS = {
    **{".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"},
    **{".tif": "TIFF", ".tiff": "TIFF", ".heic": "HEIF", ".heif": "HEIF"},
}
"""What a picture's ending says that it is."""
LONGER = 1600
"""Longer side, in pixels, that pictures are brought to before anything is found in them."""
BLURRED = 0.15
"""Share of the middle sharpness of all pictures below which one counts as blurred."""
EXPOSURE = 3.0
"""Times by which a picture may be brighter or darker than the middle one."""
SAME = 1.0 / 255
"""Mean difference, of 1, of 64 x 64 pixels below which two pictures are one and the same."""
DIAGONAL_35MM = 43.267
"""Of a frame of 36 x 24 mm: what FocalLengthIn35mmFilm refers to."""
_SHAPE = 0.01  # by how much long side / short side may differ
_SMALLEST = 200  # pixels of the longer side

Pixels = NDArray[Any]
"""uint8: (H, W) grey or (H, W, 3) sRGB."""


@dataclass(frozen=True)
class Picture:
    """A picture that was kept.

    Args:
        name: of the user's file, or "frame_00042" of a film.
        file: its copy among the steps, upright, without metadata.
        width: of the copy, pixels.
        height: of the copy, pixels.
        focal: focal length over the longer side by its EXIF; None where it says none.
        sharpness: variance of the Laplacian of its grey values, 0 to 255.
        turned: EXIF's orientation that was applied, 1 where upright.
    """

    name: str
    file: str
    width: int
    height: int
    focal: float | None
    sharpness: float
    turned: int = 1

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def list_photographs(folder: Path) -> list[Path]:
    """The photographs in a folder, by name; hidden and other files are passed over.

    Raises:
        SceneError: no folder, or none or only one photograph in it.
    """
    try:
        there = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise SceneError(
            f"can't be listed ({error.strerror})",
            where=folder,
            remedy="Name a folder of photographs, or a film.",
        ) from error
    found = [p for p in there if p.suffix.lower() in KINDS]
    if len(found) < 2:
        other = f"; it holds {listed([p.name for p in there], 3)}" if there and not found else ""
        raise SceneError(
            f"holds {'one photograph' if found else 'no photograph'}{other}",
            where=folder,
            remedy="Put 40 and more pictures there, taken on a walk around the head, as "
            f"{', '.join(KINDS)}; or name a film.",
        )
    return found


def read_photographs(
    paths: Sequence[Path], out: Path, *, progress: bool = False
) -> tuple[list[Picture], dict[str, str]]:
    """Copy photographs into `out`, upright, without metadata, at LONGER pixels or less.

    Returns:
        The pictures that can be used, and for each other one, by its name, why it was left out.

    Raises:
        SceneError: a file that is no picture, shapes that no one camera takes, too few left.
    """
    pictures: list[Picture] = []
    thumbs: list[NDArray[np.float32]] = []
    for number, path in enumerate(tqdm(paths, desc="read", disable=not progress)):
        pixels, focal, turned = read_photograph(path)
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        file = f"{number:04d}.png"
        Image.fromarray(pixels).save(out / file, compress_level=1)
        height, width = pixels.shape[:2]
        pictures.append(Picture(path.name, file, width, height, focal, sharpness(grey), turned))
        thumbs.append(thumbnail(grey))
    check_shapes(pictures, paths[0].parent)
    left_out = unfit(pictures, thumbs)
    kept = [p for p in pictures if p.name not in left_out]
    for picture in pictures:
        if picture.name in left_out:
            (out / picture.file).unlink(missing_ok=True)
    check_enough(kept, left_out, paths[0].parent)
    return same_side(kept, out), left_out


def read_photograph(path: Path) -> tuple[NDArray[np.uint8], float | None, int]:
    """A photograph upright: (H, W, 3) uint8 sRGB, focal length over longer side, orientation.

    Raises:
        SceneError: damaged, too large, too small, or of a kind whose reader is missing.
    """
    kind = KINDS[path.suffix.lower()]
    if kind == "HEIF":
        _open_heif(path)
    if path.stat().st_size > MAX_BYTES:
        raise SceneError(f"has more than {MAX_BYTES:,} bytes", where=path, remedy="Remove it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=(kind,)) as image:
                if image.size[0] * image.size[1] > MAX_PIXELS:
                    raise SceneError(
                        f"has {image.size[0]} x {image.size[1]} pixels; the limit is "
                        f"{MAX_PIXELS / 1e6:g} million",
                        where=path,
                        remedy="Save it smaller.",
                    )
                exif = image.getexif()
                focal = focal_share(exif, image.size)
                turned = exif.get(ExifTags.Base.Orientation, 1)
                image.draft("RGB", (LONGER, LONGER))  # a JPEG is decoded no larger than needed
                upright = ImageOps.exif_transpose(image)
                pixels = _rgb8(upright)
    except SceneError:
        raise
    except Exception as error:  # Pillow's readers raise whatever they trip over
        raise SceneError(
            f"can't be read as a {kind} picture ({error})",
            where=path,
            remedy="Copy it again from the camera, or take it out of the folder.",
        ) from error
    if max(pixels.shape[:2]) < _SMALLEST:
        raise SceneError(
            f"is {pixels.shape[1]} x {pixels.shape[0]} pixels, which is too small",
            where=path,
            remedy=f"Give the picture as the camera took it; {_SMALLEST} pixels are the least.",
        )
    return smaller(pixels, LONGER), focal, turned if turned in range(1, 9) else 1


def focal_share(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """Focal length over the longer side by FocalLengthIn35mmFilm; None where it isn't there.

    The value counts against the diagonal, so 26 mm of a phone's 4:3 picture are 0.75, not 0.72.
    """
    try:
        stated = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.FocalLengthIn35mmFilm)
        focal = float(stated) if stated else 0.0
    except Exception:  # damaged EXIF says nothing
        return None
    if not 5 <= focal <= 2000:  # 0 means unknown
        return None
    return focal / DIAGONAL_35MM * float(np.hypot(*size)) / max(size)


def sharpness(grey: Any) -> float:
    """Variance of the Laplacian of grey values (H, W)."""
    return float(cv2.Laplacian(grey, cv2.CV_32F).var())


def thumbnail(grey: Any) -> NDArray[np.float32]:
    """(64, 64) in [0, 1], to compare pictures by."""
    small = cv2.resize(grey, (64, 64), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255)


def smaller(pixels: Any, longer: int) -> Pixels:
    """Brought to a longer side of `longer` pixels by area average, if it is larger."""
    height, width = pixels.shape[:2]
    scale = longer / max(height, width)
    if scale >= 1:
        return pixels
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def check_shapes(pictures: Sequence[Picture], where: Path) -> None:
    """Refuse pictures that no single camera can have taken, upright or on its side.

    Raises:
        SceneError: the odd ones are named.
    """
    shapes = np.array(
        [max(p.width, p.height) / min(p.width, p.height) for p in pictures], np.float64
    )
    usual = float(np.median(shapes))
    longer = np.array([max(p.width, p.height) for p in pictures])
    odd = (np.abs(shapes / usual - 1) > _SHAPE) | (longer < 0.5 * np.median(longer))
    if odd.any():
        names = [f"{p.name} ({p.width} x {p.height})" for p, o in zip(pictures, odd, strict=True)
                 if o]  # fmt: skip
        first = next(p for p, o in zip(pictures, odd, strict=True) if not o)
        raise SceneError(
            f"{len(names)} of {len(pictures)} pictures are of another shape or much smaller than "
            f"{first.name} ({first.width} x {first.height}): {listed(names, 5)}",
            where=where,
            remedy="Take all pictures with one camera and one zoom, uncropped; take these out.",
        )


def unfit(pictures: Sequence[Picture], thumbs: Sequence[NDArray[np.float32]]) -> dict[str, str]:
    """Why each blurred, doubled or differently exposed picture is left out, by its name."""
    sharp = float(np.median([p.sharpness for p in pictures]))
    light = float(np.median([t.mean() for t in thumbs]))
    found: dict[str, str] = {}
    for number, picture in enumerate(pictures):
        mean = float(thumbs[number].mean())
        twin = next(
            (
                pictures[other].name
                for other in range(number)
                if pictures[other].name not in found
                and float(np.abs(thumbs[other] - thumbs[number]).mean()) < SAME
                and thumbs[number].std() > 4 * SAME
            ),
            None,
        )
        if picture.sharpness < BLURRED * sharp:
            share = picture.sharpness / sharp
            found[picture.name] = f"blurred (sharpness {share:.0%} of the middle picture's)"
        elif twin is not None:
            found[picture.name] = f"the same as {twin}"
        elif not light / EXPOSURE <= mean <= light * EXPOSURE:
            found[picture.name] = (
                f"exposed differently ({mean / max(light, 1e-6):.2g} times as bright)"
            )
    return found


def check_enough(
    kept: Sequence[Picture], left_out: dict[str, str], where: Path, what: str = "pictures"
) -> None:
    """Raise SceneError where fewer than MIN_VIEWS pictures are left."""
    if len(kept) >= MIN_VIEWS:
        return
    why = listed([f"{name}: {reason}" for name, reason in left_out.items()], 5)
    raise SceneError(
        f"{len(kept)} usable {what}" + (f"; left out: {why}" if why else ""),
        where=where,
        remedy=f"Take 40 and more (at least {MIN_VIEWS}), sharp, in steady light, all around "
        "the head.",
    )


def same_side(pictures: Sequence[Picture], folder: Path) -> list[Picture]:
    """Bring all pictures to the least longer side among them, so that one focal length serves."""
    least = min(max(p.width, p.height) for p in pictures)
    found = []
    for picture in pictures:
        if max(picture.width, picture.height) != least:
            with Image.open(folder / picture.file) as image:
                pixels = smaller(np.asarray(image), least)
            Image.fromarray(pixels).save(folder / picture.file, compress_level=1)
            height, width = pixels.shape[:2]
            picture = Picture(**{**picture.to_dict(), "width": width, "height": height})
        found.append(picture)
    return found


def copies(folder: Path, pictures: Iterable[Picture]) -> bool:
    """Whether the copies of all pictures still stand in `folder`."""
    return all((folder / picture.file).is_file() for picture in pictures)


def _rgb8(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) uint8; transparent pictures are laid over white, 16 bits become 8."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).astype(np.float32)
        grey = np.clip(np.round(wide / 257), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, clear)
    return np.asarray(image.convert("RGB"))


def _open_heif(path: Path) -> None:
    try:
        importlib.import_module("pillow_heif").register_heif_opener()
    except ImportError as error:
        raise SceneError(
            "is HEIC, whose reader is not installed",
            where=path,
            remedy="pip install pillow-heif; or let the phone save JPEG (Settings, Camera, "
            "Formats, Most Compatible).",
        ) from error
