"""What a badly written release gives away: a clean one's rules, and leaks to practise on."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from privhead_nb.errors import PrivheadError

MODES = {"neutral": "RGB", "sensitive": "I;16", "mask": "L"}
"""Folders of a release, and the mode of their pictures."""

SETTINGS = frozenset(
    [
        *("format", "version", "size", "operator", "modulus_scale", "masks_released", "neutral"),
        *("sensitive", "unit", "up", "front", "center", "radius", "background", "pixel_center"),
        *("K", "c2w"),
    ]
)
"""Names that release.json may hold."""

END_OF_PNG = b"IEND\xaeB`\x82"
PICTURE_NAME = re.compile(r"(neutral|sensitive|mask)/view_\d{4}\.png")


def _bare(path: Path) -> bool:
    with Image.open(path) as image:
        return not image.info and not image.getexif()


def _mode_fits(path: Path) -> bool:
    with Image.open(path) as image:
        return image.mode == MODES[path.parent.name]


def find_leaks(folder: Path) -> set[str]:
    """Files under a release folder that don't belong there, or hold more than they should.

    Returns:
        Their names as seen from the folder, such as "sensitive/view_0003.png".
    """
    found = set()
    for path in (p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == "release.json":
            leaks = not set(json.loads(path.read_text())) <= SETTINGS
        elif PICTURE_NAME.fullmatch(name):
            whole = path.read_bytes().endswith(END_OF_PNG)
            leaks = not (_mode_fits(path) and _bare(path) and whole)
        else:
            leaks = name != "manifest.json"
        if leaks:
            found.add(name)
    return found


def complaint(action: Callable[[], object]) -> str:
    """What the package says when it refuses, without the way to the file; or "accepted"."""
    try:
        action()
    except PrivheadError as refused:
        place = "" if refused.where is None else f"{Path(refused.where).name}: "
        return f"refused: {place}{refused.problem}"
    return "accepted"


def renew_manifest(folder: Path) -> None:
    """Write a manifest that fits what is there now: all that a forger needs to do."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    digests = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in names
        if name != "manifest.json"
    }
    (folder / "manifest.json").write_text(json.dumps({"sha256": digests}), encoding="utf-8")


def save_again(
    path: Path, change: Callable[[Image.Image], Image.Image] = lambda image: image, **options: Any
) -> None:
    """Write a picture again, changed, or with `options` of PIL's `Image.save`, such as `exif`."""
    with Image.open(path) as image:
        image.load()
    change(image).save(path, **options)


def hide_behind(path: Path, picture: Path) -> None:
    """Hang a picture, as a small JPEG, behind the end of a PNG, where no viewer shows it."""
    aside = path.with_suffix(".jpg")
    with Image.open(picture) as image:
        image.convert("RGB").save(aside, quality=90)
    with path.open("ab") as out:
        out.write(aside.read_bytes())
    aside.unlink()


def source_text() -> PngInfo:
    """A PNG's text chunk that names the photo it was made of."""
    info = PngInfo()
    info.add_text("Source", "IMG_2044.jpg")
    return info


def _colours_for(image: Image.Image) -> Image.Image:
    size = (image.height, image.width, 3)
    return Image.fromarray(np.random.default_rng(3).integers(0, 256, size, dtype=np.uint8))


def _gps() -> Image.Exif:
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.9), 3: "E", 4: (2.0, 17.0, 40.2)}
    return exif


def _copy_into(folder: Path, name: str) -> None:
    (folder / name).mkdir(parents=True)
    shutil.copy(folder / "neutral" / "view_0025.png", folder / name)


def _add_seed(folder: Path) -> None:
    path = folder / "release.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"noise_seed": 12345}))


PLANTS: dict[str, Callable[[Path], Any]] = {
    "GPS in a picture's EXIF": lambda f: save_again(f / "neutral/view_0021.png", exif=_gps()),
    "a source's name as PNG text": lambda f: save_again(
        f / "sensitive/view_0004.png", pnginfo=source_text()
    ),
    "a thumbnail behind a picture's end": lambda f: hide_behind(
        f / "sensitive/view_0011.png", f / "neutral/view_0020.png"
    ),
    "colours in place of a modulus": lambda f: save_again(
        f / "sensitive/view_0007.png", _colours_for
    ),
    "a folder of thumbnails": lambda f: _copy_into(f, "thumbs"),
    "a person's name in a file's name": lambda f: (f / "mask/view_0022.png").rename(
        f / "mask/alice_smith_left.png"
    ),
    "a person's name behind a view's": lambda f: (f / "neutral/view_0024.png").rename(
        f / "neutral/view_0024_alice.png"
    ),
    "the noise's seed in release.json": _add_seed,
    "a note beside release.json": lambda f: (f / "IMG_2044.txt").write_text("taken at home"),
    "a hidden file": lambda f: (f / "neutral/.cache").write_text("IMG_2044.jpg"),
    "settings in another folder": lambda f: (f / "mask/release.json").write_text("{}"),
    "a folder in a folder": lambda f: _copy_into(f, "old/neutral"),
    "a fourth channel in a neutral picture": lambda f: save_again(
        f / "neutral/view_0023.png", lambda image: image.convert("RGBA")
    ),
}
"""What to plant into a copy of `data_samples/release`, by what it is: each breaks one file."""
