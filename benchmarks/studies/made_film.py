"""Photographs of a made head in a papered room, as a phone on a walk around it would take them.

    python benchmarks/studies/made_film.py film OUT    a folder of JPEGs, and its cameras
    python benchmarks/studies/made_film.py lesson      lesson 16's photographs and their capture

With them a capture can be tried and measured without a real person: the cameras and masks are
known.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import ExifTags, Image
from torch import Tensor
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from privhead_nb.capture.photographs import focal_share
from privhead_nb.capture.run import capture, steps_folder
from privhead_nb.capture.settings import CaptureSettings
from privhead_nb.files import write_json
from privhead_nb.heads.head import make_head
from privhead_nb.heads.tracer import render
from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.images import write_image
from privhead_nb.teach.lesson16.photos import (
    FRAMES,
    IDENTITY,
    KEPT,
    PHOTOS,
    PUPILS,
    ROOM,
    SIZE,
    TURNED,
    walk,
)

FOCAL_35MM = 42
BACK = {3: "ROTATE_180", 6: "ROTATE_90", 8: "ROTATE_270"}
PAPER = (180.0, 75.0, 30.0)
"""Sizes of the wallpaper's patches, mm: large ones for far, small ones for near."""


def pictures_of(
    identity: int, cameras: Cameras, *, plain: bool = False, progress: bool = False
) -> tuple[Tensor, Tensor]:
    """Pictures (V, H, W, 3) and masks (V, H, W) of a made head in the room.

    Args:
        identity: of the made person.
        cameras: V of them, in the room, mm.
        plain: white walls, on which nothing can be matched.
        progress: show a bar.
    """
    head = make_head(identity)
    images, masks = [], []
    for view in tqdm(range(len(cameras)), desc="film", disable=not progress):
        shown = render(head, cameras[view], samples=1)
        mask = shown.masks[0]
        room = torch.full((*mask.shape, 3), 0.9) if plain else _smooth_room(cameras[view])
        images.append(torch.where(mask[..., None] > 0.5, shown.images[0], room))
        masks.append((mask > 0.5).float())
    return torch.stack(images), torch.stack(masks)


def write_film(
    out: Path, identity: int, cameras: Cameras, *, plain: bool = False, progress: bool = False
) -> NDArray[np.float32]:
    """Write `pictures_of` as OUT/IMG_0001.jpg and so on; returns the masks (V, H, W)."""
    out.mkdir(parents=True, exist_ok=True)
    images, masks = pictures_of(identity, cameras, plain=plain, progress=progress)
    for number, image in enumerate(images.numpy(), 1):
        write_image(out / f"IMG_{number:04d}.jpg", image)
    return masks.numpy()


def _smooth_room(camera: Cameras) -> Tensor:
    """`_room` averaged over 3 x 3 rays a pixel, so that far paper doesn't flicker."""
    fine = _room(camera.resized(3 * camera.width, 3 * camera.height))
    fine = fine.reshape(camera.height, 3, camera.width, 3, 3)
    return fine.mean(dim=(1, 3))


def _room(camera: Cameras) -> Tensor:
    """(H, W, 3) colours of the walls, floor and ceiling that each pixel sees."""
    y, x = torch.meshgrid(torch.arange(camera.height), torch.arange(camera.width), indexing="ij")
    xy = torch.stack([x, y], -1).reshape(-1, 2)
    origin, along = camera.rays(torch.zeros(len(xy), dtype=torch.long), xy)
    safe = torch.where(along.abs() < 1e-9, 1e-9, along)
    steps = (torch.sign(safe) * ROOM - origin) / safe
    way, axis = steps.min(dim=1)
    hit = (origin + way[:, None] * along).double().numpy()
    wall = (axis * 2 + (torch.gather(along, 1, axis[:, None])[:, 0] > 0)).numpy()
    flat = np.where(
        (axis == 0).numpy()[:, None], hit[:, [1, 2]],
        np.where((axis == 1).numpy()[:, None], hit[:, [0, 2]], hit[:, [0, 1]]),
    )  # fmt: skip
    colour = np.full((len(flat), 3), 0.5)
    for octave, patch in enumerate(PAPER):
        cell = np.floor(flat / patch).astype(np.int64)
        colour += 0.16 * (_random(cell, wall, octave) - 0.5) * 2
    return torch.from_numpy(np.clip(colour, 0, 1)).float().reshape(camera.height, camera.width, 3)


def _random(cell: NDArray[np.int64], wall: NDArray[np.int64], octave: int) -> NDArray[np.float64]:
    """(N, 3) numbers in [0, 1) that hang on cell, wall and octave alone (splitmix64)."""
    key = ((cell[:, 0] * 73856093) ^ (cell[:, 1] * 19349663)).astype(np.uint64)
    key = key ^ np.uint64(83492791 * (octave + 1)) ^ (wall.astype(np.uint64) << np.uint64(40))
    found = []
    for channel in range(3):
        z = key + np.array([0x9E3779B97F4A7C15], np.uint64) * np.uint64(channel + 1)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        found.append((z ^ (z >> np.uint64(31))) / 2.0**64)
    return np.stack(found, 1)


def make_film(out: Path, identity: int, frames: int, size: int, level: bool) -> None:
    """Write a film of a made head, and where its cameras truly stood."""
    cameras, azimuth = walk(frames, size=size, elevations=(5.0,) if level else (2.0, 24.0))
    write_film(out, identity, cameras, progress=True)
    truth = [
        {"R": c[:3, :3].T.tolist(), "c": c[:3, 3].tolist(), "azimuth": float(a),
         "f": float(cameras.K[0, 0, 0])}
        for c, a in zip(cameras.c2w, azimuth, strict=True)
    ]  # fmt: skip
    write_json(out.with_name(out.name + "_cameras.json"), truth)


def write_photos(film: Path, out: Path) -> None:
    """Copies of a film's pictures as the phone stores them: turned, with EXIF."""
    out.mkdir(exist_ok=True)
    for path in sorted(film.glob("*.jpg")):
        orientation = TURNED.get(int(path.stem[-4:]), 1)
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = FOCAL_35MM
        with Image.open(path) as image:
            way = BACK.get(orientation)
            stored = image.transpose(getattr(Image.Transpose, way)) if way else image
            stored.save(out / path.name, quality=88, exif=exif)


def _rounded(text: str) -> str:
    """JSON with six digits after the point, which is enough for pixels."""
    return re.sub(r"-?\d+\.\d{7,}(?:e-?\d+)?", lambda m: f"{float(m[0]):.6f}", text)


def make_lesson() -> None:
    """Render lesson 16's photographs, store and capture them, and keep what was found."""
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


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("lesson")
    film = commands.add_parser("film")
    film.add_argument("out", type=Path, metavar="OUT")
    film.add_argument("--identity", type=int, default=7)
    film.add_argument("--frames", type=int, default=48)
    film.add_argument("--size", type=int, default=512)
    film.add_argument("--level", action="store_true", help="one level circle: the trap")
    given = vars(parser.parse_args())
    make_lesson() if given.pop("command") == "lesson" else make_film(**given)


if __name__ == "__main__":
    main()
