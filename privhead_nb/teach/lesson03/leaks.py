"""What a badly written release gives away, how to find it, and how to plant it for practice."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from privhead_nb.errors import PrivheadError
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.released import Release
from privhead_nb.teach.lesson03.detector import Picture

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
_PICTURE = re.compile(r"(neutral|sensitive|mask)/view_\d{4}\.png")


def find_leaks(folder: str | Path) -> set[str]:
    """Files under a release folder that don't belong there, or hold more than they should.

    Four rules, and a file breaks at least one: its name is one that a release has; a picture has
    the mode of its folder; a picture holds pixels and nothing else, neither as metadata nor behind
    its end; release.json has no other names than SETTINGS.

    Returns:
        Their names as seen from the folder, such as "sensitive/view_0003.png".
    """
    folder, found = Path(folder), set()
    for path in (p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if name == "release.json":
            leaks = not set(json.loads(path.read_text(encoding="utf-8"))) <= SETTINGS
        elif _PICTURE.fullmatch(name):
            leaks = not only_pixels(path, MODES[path.parent.name])
        else:
            leaks = name != "manifest.json"
        if leaks:
            found.add(name)
    return found


def only_pixels(path: Path, mode: str) -> bool:
    """Whether a PNG has this mode, no metadata, and nothing behind its end."""
    with Image.open(path) as image:
        bare = image.mode == mode and not image.info and not image.getexif()
    return bare and path.read_bytes().endswith(END_OF_PNG)


def rim_colour(modulus: Picture) -> float:
    """Length ||c|| of a plain background's colour, from a Sobel modulus with `border="zero"`.

    Half-way down the left rim, what lies outside is 0 and all else is c: dc/dx = c / 2, dc/dy = 0.
    """
    return 2.0 * float(modulus[modulus.shape[0] // 2, 0])


def quantise(modulus: NDArray[Any], peak: float, levels: int) -> NDArray[Any]:
    """A modulus rounded to `levels` grey levels between 0 and `peak`, as a release does it."""
    step = peak / (levels - 1)
    return np.round(np.clip(modulus, 0, peak) / step) * step


def peak_of(kind: str = "sobel") -> float:
    """The largest modulus that an operator can give: the scale of its releases."""
    return Operator(kind).peak


def steepest(operator: Operator) -> float:
    """The largest modulus that a 3 x 3 operator really gives to colours in [0, 1]; below its peak.

    Eq. 6 is convex in the picture, so its largest value is at a corner: each number 0 or 1.
    """
    kx, ky = (k.double().numpy().ravel() for k in operator.kernels())
    windows = np.array(list(itertools.product((0.0, 1.0), repeat=9)))
    pairs = np.unique(np.abs(np.stack([windows @ kx, windows @ ky], 1)), axis=0) ** 2
    channels = 3 if operator.per_channel else 1
    best = max(
        np.sqrt(np.sum(chosen, axis=0)).sum()
        for chosen in itertools.combinations_with_replacement(pairs, channels)
    )
    return float(best)


def complaint(action: Callable[[], object]) -> str:
    """What the package says when it refuses, without the way to the file."""
    try:
        action()
    except PrivheadError as refused:
        place = "" if refused.where is None else f"{Path(refused.where).name}: "
        return f"refused: {place}{refused.problem}"
    return "accepted"


def listing(folder: Path) -> list[str]:
    """What a release folder holds: a line for each file, or folder of pictures."""
    lines = []
    for path in sorted(folder.iterdir()):
        if path.is_file():
            lines.append(path.name)
            continue
        kinds = set()
        for inner in path.iterdir():
            with Image.open(inner) as image:
                kinds.add(f"{image.mode}, {image.width} x {image.height}")
        lines.append(f"{path.name}/: {len(list(path.iterdir()))} pictures, {' and '.join(kinds)}")
    return lines


# Tampering ----------------------------------------------------------------------------------------


def after(folder: Path, change: Callable[[Path], None]) -> str:
    """What loading says of a copy of a release after `change(copy)`."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "release"
        shutil.copytree(folder, copy)
        change(copy)
        return complaint(lambda: Release.load(copy))


def _one_bit(folder: Path) -> None:
    path = folder / "sensitive" / "view_0003.png"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))


def _a_note(folder: Path) -> None:
    (folder / "notes.txt").write_text("this is Alice", encoding="utf-8")


def _a_loss(folder: Path) -> None:
    (folder / "neutral" / "view_0022.png").unlink()


def _colours_and_manifest(folder: Path) -> None:
    _colours(folder)
    renew_manifest(folder)


def _edit_and_manifest(folder: Path) -> None:
    path = folder / "sensitive" / "view_0005.png"
    with Image.open(path) as image:
        codes = np.array(image)
    Image.fromarray(np.ascontiguousarray(codes[:, ::-1])).save(path)
    renew_manifest(folder)


def renew_manifest(folder: Path) -> None:
    """Write a manifest that fits what is there now: all that a forger needs to do."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    digests = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in names
        if name != "manifest.json"
    }
    (folder / "manifest.json").write_text(json.dumps({"sha256": digests}), encoding="utf-8")


TAMPERINGS: dict[str, Callable[[Path], None]] = {
    "one bit of a picture": _one_bit,
    "a file too many": _a_note,
    "a file lost": _a_loss,
    "colours for a modulus, and a manifest that fits": _colours_and_manifest,
    "a modulus mirrored, and a manifest that fits": _edit_and_manifest,
}
"""What somebody may do to a release, by what it is."""


# Leaks to practise on -----------------------------------------------------------------------------


def _exif(folder: Path) -> None:
    path = folder / "neutral" / "view_0021.png"
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (48.0, 51.0, 29.9), 3: "E", 4: (2.0, 17.0, 40.2)}  # GPS
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif)


def _text(folder: Path) -> None:
    path, info = folder / "sensitive" / "view_0004.png", PngInfo()
    info.add_text("Source", "IMG_2044.jpg")
    with Image.open(path) as image:
        image.load()
        image.save(path, pnginfo=info)


def _tail(folder: Path) -> None:
    small = folder / "small.jpg"
    with Image.open(folder / "neutral" / "view_0020.png") as image:
        image.save(small)
    with (folder / "sensitive" / "view_0011.png").open("ab") as out:
        out.write(small.read_bytes())
    small.unlink()


def _colours(folder: Path) -> None:
    path = folder / "sensitive" / "view_0007.png"
    with Image.open(path) as image:
        size = image.size
    random = np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(random).save(path)


def _thumbnail(folder: Path) -> None:
    (folder / "thumbs").mkdir()
    with Image.open(folder / "neutral" / "view_0020.png") as image:
        image.resize((16, 16)).save(folder / "thumbs" / "view_0002.png")


def _name(folder: Path) -> None:
    path = folder / "mask" / "view_0022.png"
    path.rename(path.with_name("alice_smith_left.png"))


def _beside(folder: Path) -> None:
    (folder / "IMG_2044.txt").write_text("taken at home", encoding="utf-8")


def _deeper(folder: Path) -> None:
    (folder / "neutral" / "old").mkdir()
    shutil.copy(folder / "neutral" / "view_0025.png", folder / "neutral" / "old")


def _fourth_channel(folder: Path) -> None:
    path = folder / "neutral" / "view_0023.png"
    with Image.open(path) as image:
        image.convert("RGBA").save(path)


def _settings(folder: Path) -> None:
    path = folder / "release.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(data | {"noise_seed": 12345}), encoding="utf-8")


PLANTS: dict[str, Callable[[Path], None]] = {
    "GPS in a picture's EXIF": _exif,
    "a source's name as PNG text": _text,
    "a thumbnail behind a picture's end": _tail,
    "colours in place of a modulus": _colours,
    "a folder of thumbnails": _thumbnail,
    "a person's name in a file's name": _name,
    "the noise's seed in release.json": _settings,
    "a note beside release.json": _beside,
    "a folder in a folder": _deeper,
    "a fourth channel in a neutral picture": _fourth_channel,
}
"""What to plant into a copy of `data_samples/release`, by what it is."""
