"""Lesson 16's photographs, and what pycolmap and the detectors found in them: both stored.

    python -m privhead_nb.teach.lesson16.photos        renders and captures them (minutes)

A made head in a papered room, by a phone that writes its focal length into EXIF and was held on its
side or upside down at times. The notebook asks neither pycolmap nor a detector.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
from PIL import ExifTags, Image

from privhead_nb.capture.made_film import walk, write_film
from privhead_nb.capture.photographs import focal_share
from privhead_nb.capture.run import capture, steps_folder
from privhead_nb.capture.settings import CaptureSettings

PHOTOS = Path(__file__).with_name("photos")
KEPT = Path(__file__).with_name("kept.json")
IDENTITY, FRAMES, SIZE = 41, 26, 256
PUPILS = 57.0
"""What a ruler says, mm."""
FOCAL_35MM = 42
TURNED = {2: 6, 5: 8, 9: 3, 12: 6, 14: 6, 15: 6, 18: 8, 21: 3}
"""EXIF orientation of the photographs that weren't held upright, by their numbers."""
_BACK = {3: "ROTATE_180", 6: "ROTATE_90", 8: "ROTATE_270"}


def true_cameras() -> Any:
    """(V, 3) where the cameras stood, in the head's frame, mm."""
    return walk(FRAMES, size=SIZE, seed=IDENTITY)[0].centers.double().numpy()


def kept() -> dict[str, Any]:
    """The stored poses and faces."""
    found: dict[str, Any] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def thumb(pixels: Any) -> Any:
    """The middle of pixels (256, 256, 3) as (64, 64, 3) in [0, 1], 16 levels: small as PNG."""
    small = cv2.resize(pixels[40:216, 40:216], (64, 64), interpolation=cv2.INTER_AREA)
    return np.round(small / 17) / 15


def write_photos(film: Path, out: Path) -> None:
    """Copies of a film's pictures as the phone stores them: turned, with EXIF."""
    out.mkdir(exist_ok=True)
    for path in sorted(film.glob("*.jpg")):
        orientation = TURNED.get(int(path.stem[-4:]), 1)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = FOCAL_35MM
        with Image.open(path) as image:
            way = _BACK.get(orientation)
            stored = image.transpose(getattr(Image.Transpose, way)) if way else image
            stored.save(out / path.name, quality=88, exif=exif)


def _rounded(text: str) -> str:
    """JSON with six digits after the point, which is enough for pixels."""
    return re.sub(r"-?\d+\.\d{7,}(?:e-?\d+)?", lambda m: f"{float(m[0]):.6f}", text)


def main() -> None:
    """Render, store, capture, and keep what was found."""
    with TemporaryDirectory() as work:
        film, scene = Path(work) / "film", Path(work) / "scene"
        write_film(film, IDENTITY, walk(FRAMES, size=SIZE, seed=IDENTITY)[0], progress=True)
        write_photos(film, PHOTOS)
        with Image.open(PHOTOS / "IMG_0001.jpg") as image:
            share = focal_share(image.getexif(), image.size)
        assert share is not None
        fov = float(np.degrees(2 * np.arctan(0.5 / share)))
        settings = CaptureSettings(fov=fov, pupils=PUPILS, size=96, threads=1)
        capture(PHOTOS, scene, settings, progress=True)
        found = {
            name: json.loads((steps_folder(scene) / f"{name}.json").read_text())["result"]
            for name in ("poses", "faces")
        }
    KEPT.write_text(_rounded(json.dumps(found)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
