"""Photographs of a made head in a papered room, as a phone on a walk around it would take them.

With them a capture can be tried and measured without a real person: the cameras and masks are
known. `python -m privhead_nb.capture.made_film OUT` writes a folder of JPEGs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from privhead_nb.heads.head import make_head
from privhead_nb.heads.tracer import render
from privhead_nb.scenes.camera import Cameras, directions, look_at
from privhead_nb.scenes.images import write_image

ROOM = 1500.0
"""Half of the room's side, mm."""
PAPER = (180.0, 75.0, 30.0)
"""Sizes of the wallpaper's patches, mm: large ones for far, small ones for near."""


def walk(
    frames: int,
    *,
    size: int = 320,
    fov: float = 40.0,
    elevations: Sequence[float] = (2.0, 24.0),
    distance: float = 700.0,
    seed: int = 0,
) -> tuple[Cameras, NDArray[np.float64]]:
    """Cameras on a walk around a head, the elevations (degrees) in turn; and azimuths (V,)."""
    random = np.random.default_rng(seed)
    azimuth = np.linspace(-180, 180, frames, endpoint=False) + random.uniform(-2, 2, frames)
    height = np.resize(elevations, frames) + random.uniform(-1, 1, frames)
    away = distance * random.uniform(0.96, 1.04, frames)
    eyes = away[:, None] * directions(np.radians(azimuth), np.radians(height))
    aim = torch.from_numpy(random.uniform(-15, 15, (frames, 3)) + np.array([0, -25, 0]))
    focal = 0.5 * size / np.tan(np.radians(fov) / 2)
    K = torch.tensor([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]], dtype=torch.float64)
    c2w = look_at(torch.from_numpy(eyes), aim)
    return Cameras(K.repeat(frames, 1, 1), c2w, size, size, 0.5), azimuth


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


def main() -> None:
    """Write a film of a made head, and where its cameras truly stood."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--identity", type=int, default=7)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--level", action="store_true", help="one level circle: the trap")
    given = parser.parse_args()
    cameras, azimuth = walk(
        given.frames, size=given.size, elevations=(5.0,) if given.level else (2.0, 24.0)
    )
    write_film(given.out, given.identity, cameras, progress=True)
    truth = [
        {"R": c[:3, :3].T.tolist(), "c": c[:3, 3].tolist(), "azimuth": float(a),
         "f": float(cameras.K[0, 0, 0])}
        for c, a in zip(cameras.c2w, azimuth, strict=True)
    ]  # fmt: skip
    text = json.dumps(truth, indent=1) + "\n"
    given.out.with_name(given.out.name + "_cameras.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
