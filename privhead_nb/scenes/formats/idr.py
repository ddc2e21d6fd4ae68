"""IDR, NeuS and VolSDF folders: image/, mask/, cameras.npz or cameras_sphere.npz."""

from __future__ import annotations

import os
from pathlib import Path

from privhead_nb.scenes.formats.npz_cameras import read_npz_cameras
from privhead_nb.scenes.formats.parts import (
    Hints,
    SceneParts,
    list_pictures,
    pair_views,
)


def looks_like(folder: Path) -> bool:
    """True for a folder with image/ and a camera file."""
    return (folder / "image").is_dir() and camera_file(folder).is_file()


def camera_file(folder: Path) -> Path:
    """cameras_sphere.npz (NeuS) where it stands, else cameras.npz."""
    sphere = folder / "cameras_sphere.npz"
    return sphere if sphere.is_file() else folder / "cameras.npz"


def read(folder: Path, hints: Hints) -> SceneParts:
    """List the views in the order of the numbers in their names.

    Where `hints` says nothing, IDR's own code is followed, which feeds whole pixel indices to K
    (pixel_center 0), and a white background is taken.
    """
    path = camera_file(folder)
    K, c2w, center, radius = read_npz_cameras(path)
    image_paths = list_pictures(folder / "image")
    mask_paths = pair_views(image_paths, list_pictures(folder / "mask"), len(K), path)
    said = []
    if hints.pixel_center is None:
        said.append("pixel_center 0 assumed, as IDR's code feeds whole pixel indices to K")
    if hints.background is None:
        said.append("background assumed to be white")
    truth, landmarks = folder / "full_head.obj", folder / "landmarks.txt"
    return SceneParts(
        images=tuple(image_paths),
        masks=tuple(mask_paths),
        K=K,
        c2w=c2w,
        pixel_center=hints.pixel_center or 0.0,
        camera_file=path,
        center=center,
        radius=radius,
        unit="scene",
        truth_path=truth if os.path.lexists(truth) else None,
        landmarks_path=landmarks if os.path.lexists(landmarks) else None,
        assumptions=tuple(said),
    )
