"""IDR, NeuS and VolSDF folders: image/, mask/, cameras.npz or cameras_sphere.npz."""

from __future__ import annotations

from pathlib import Path

from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.formats.npz_cameras import read_npz_cameras
from privhead_nb.scenes.formats.parts import (
    WHITE,
    Hints,
    SceneParts,
    check_counts,
    list_pictures,
    read_views,
)
from privhead_nb.scenes.formats.volsdf_sphere import looks_like_volsdf, refit_sphere


def looks_like(folder: Path) -> bool:
    """True for a folder with image/ and a camera file."""
    return (folder / "image").is_dir() and camera_file(folder).is_file()


def camera_file(folder: Path) -> Path:
    """cameras_sphere.npz (NeuS) where it stands, else cameras.npz."""
    sphere = folder / "cameras_sphere.npz"
    return sphere if sphere.is_file() else folder / "cameras.npz"


def read(folder: Path, hints: Hints) -> SceneParts:
    """Read the views in the order of the numbers in their names.

    Where `hints` says nothing, IDR's own code is followed, which feeds whole pixel indices to K
    (pixel_center 0), and a white background is taken.
    """
    path = camera_file(folder)
    K, c2w, center, radius = read_npz_cameras(path)
    image_paths, mask_paths = list_pictures(folder / "image"), list_pictures(folder / "mask")
    check_counts(image_paths, mask_paths, len(K), path)
    images, masks, (width, height) = read_views(
        image_paths, mask_paths, hints.background or WHITE, hints.size
    )
    said = []
    if hints.pixel_center is None:
        said.append("pixel_center 0 assumed, as IDR's code feeds whole pixel indices to K")
    if hints.background is None:
        said.append("background assumed to be white")
    cameras = Cameras(K, c2w, width, height, hints.pixel_center or 0.0)
    cameras = cameras.resized(images.shape[2], images.shape[1])
    if looks_like_volsdf(cameras, center, radius):
        center, radius, remark = refit_sphere(cameras, masks, center, radius)
        said.append(remark)
    truth, landmarks = folder / "full_head.obj", folder / "landmarks.txt"
    return SceneParts(
        images=images,
        masks=masks,
        cameras=cameras,
        camera_file=path,
        center=center,
        radius=radius,
        unit="scene",
        truth_path=truth if truth.is_file() else None,
        landmarks_path=landmarks if landmarks.is_file() else None,
        assumptions=tuple(said),
    )
